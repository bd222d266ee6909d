"""The command line: which verbs there are, and how errors become one line and an exit code.

    python run_agent.py VERB        from a checkout
    taxon VERB                      once installed

Exit codes: 0 done, 1 internal error, 2 usage or configuration, 3 storage, 4 source. Verbs import what they need when
they run, so that asking the store never waits for torch.
"""

from __future__ import annotations

import atexit
import errno
import gc
import os
import sys
import traceback
from collections.abc import Sequence

import typer
from typer.exceptions import TyperException

from agent.commands import asking, correcting, explaining, gallery, pictures, teaching, upkeep, working
from storage.redaction import redacted

INTERNAL, USAGE, STORAGE = 1, 2, 3
INTERRUPTED = 130
DEBUG = "--debug"
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EBADF)
"""Ways in which an output takes no more."""

app = typer.Typer(
    help="An agent that sorts a stream of pictures into kinds that it discovers itself.",
    epilog="Every verb takes --debug: show where an error comes from.",
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for verb in (
    working.run, asking.status, asking.clusters, asking.cluster, asking.history,
    pictures.pictures, pictures.picture, pictures.changes, pictures.export,
    gallery.gallery,
    explaining.nearest, explaining.explain, explaining.review,
    correcting.rename, correcting.hide, correcting.move, correcting.merge, correcting.split, correcting.undo,
    teaching.teach, correcting.forget,
    working.recluster, working.pause, working.resume, upkeep.doctor, upkeep.migrate, upkeep.version, working.demo,
):  # fmt: skip
    app.command()(verb)
app.add_typer(upkeep.config, name="config")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code."""
    atexit.register(gc.freeze)  # looking through all that was imported takes 3 s at the end of an agent, for nothing
    if sys.stdout is None:  # whoever called has closed it
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = DEBUG in given
    try:
        code = app([one for one in given if one != DEBUG], prog_name="taxon", standalone_mode=False)
        sys.stdout.flush()
        return int(code or 0)
    except (BrokenPipeError, SystemExit):  # the reader has seen enough (`| head`); typer makes an exit of it
        _say_no_more()
        return 0
    except KeyboardInterrupt:  # not an error, but not done either: a shell must not go on as if it were
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 (the edge of the process: whatever it is becomes one line)
        if debug:
            traceback.print_exc()
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            _say_no_more()
        code, message = explained(error)
        print(f"taxon: {redacted(message)}", file=sys.stderr)
        return code


def explained(error: Exception) -> tuple[int, str]:
    """Exit code and one line for an error."""
    if isinstance(error, TyperException):
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "taxon"
        return USAGE, f"{_line(error.format_message()).rstrip('.')}; see `{command} --help`"
    code = getattr(error, "exit_code", None)
    if isinstance(code, int):
        return code, _line(str(error))
    if type(error).__module__.startswith("sqlalchemy."):
        return STORAGE, f"the database failed: {_line(str(getattr(error, 'orig', None) or error))}; see `doctor`"
    if isinstance(error, OverflowError):
        return USAGE, "a number is too large: ids and counts are below 2^63"
    if isinstance(error, OSError) and error.filename is None and error.errno in NO_ROOM:
        return STORAGE, f"{error.strerror}; check the disk, and where the output goes"
    if isinstance(error, OSError) and error.filename is not None:
        return STORAGE, f"{error.filename}: {error.strerror}; check the path, its permissions and the disk"
    return INTERNAL, f"internal error: {type(error).__name__}: {_line(str(error))} ({DEBUG} shows where)"


def _say_no_more() -> None:
    """Python writes what is left of the output at its end, and would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _line(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    sys.exit(main())
