"""Log lines on stderr, for people or for machines. Called by whoever owns a process, never on import."""

from __future__ import annotations

import logging
import sys

import structlog
from structlog.dev import plain_traceback
from structlog.tracebacks import ExceptionDictTransformer

from agent.config import LogConfig


class Stderr:
    """Writes to whatever `sys.stderr` is at that moment, so that a live view can keep lines above itself."""

    def msg(self, message: str) -> None:
        print(message, file=sys.stderr, flush=True)

    log = debug = info = warning = error = critical = exception = msg


def configure_logs(config: LogConfig) -> None:
    """Set the level and the form of all further log lines of this process."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *_renderers(config),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[config.level.upper()]),
        logger_factory=lambda *names: Stderr(),
        cache_logger_on_first_use=False,
    )


def _renderers(config: LogConfig) -> list[structlog.typing.Processor]:
    """Tracebacks are told without the values of variables: logins and passwords are among them."""
    if config.format == "json":
        tracebacks = structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False))
        return [tracebacks, structlog.processors.JSONRenderer(sort_keys=False, default=str)]
    return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain_traceback)]
