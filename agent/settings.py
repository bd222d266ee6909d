"""Loading and writing `agent.config.Config`: defaults < YAML < environment < `--set`.

What may be set is `agent.config`; where it may be written is `agent.layers`. It knows nothing about what settings do.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from agent.config import Config
from agent.errors import ConfigError
from agent.layers import Given, Layer, read_environment, read_overrides, read_yaml
from agent.redaction import without_login
from storage.redaction import redacted

__all__ = ["EFFECTIVE", "ConfigError", "effective_yaml", "load_config", "write_effective"]

EFFECTIVE = "taxon.yaml"
WIDTH = 116
LENGTHS = {"missing": "few", "too_short": "few", "too_long": "many"}
BOUNDS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


def load_config(
    file: Path | None = None, overrides: Sequence[str] = (), *, environment: Mapping[str, str] | None = None
) -> Config:
    """The configuration that these layers give.

    Args:
        file: YAML; every key is optional.
        overrides: `KEY=VALUE`, as given to `--set`.
        environment: variables like `TAXON_LEARNER__LR`; the process's own by default.

    Raises:
        ConfigError: an unknown key, a wrong type, a value out of bounds; names key and place.
    """
    keys = dict(fields(Config))
    given: Layer = {}
    if file is not None:
        given |= read_yaml(file, keys)
    given |= read_environment(os.environ if environment is None else environment, keys)
    given |= read_overrides(overrides, keys)
    try:
        return Config.model_validate(_nested(given))
    except ValidationError as error:
        raise ConfigError(_explained(error, given, keys)) from None


def fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every setting by its dotted key, in order."""
    for name, field in model.model_fields.items():
        section = _section(field)
        if section is None:
            yield f"{prefix}{name}", field
        else:
            yield from fields(section, f"{prefix}{name}.")


def _section(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _nested(given: Layer) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, one in given.items():
        *sections, name = key.split(".")
        place = tree
        for section in sections:
            place = place.setdefault(section, {})
        place[name] = one.value
    return tree


# -------------------------------------------------------------------------- errors


def _explained(error: ValidationError, given: Layer, keys: Mapping[str, FieldInfo]) -> str:
    """The first thing that is wrong, in one line, and how many more there are."""
    errors = error.errors(include_url=False)
    first = errors[0]
    key = _key(first["loc"], given)
    problem = _problem(first["type"], first["msg"], keys[key])
    more = len({_key(other["loc"], given) for other in errors}) - 1
    shown = "" if keys[key].annotation is SecretStr else f", not {_shown(given[key])}"
    return f"{given[key].where}: {key} {problem}{shown}" + (f" (and {more} more)" if more else "")


def _key(location: tuple[int | str, ...], given: Layer) -> str:
    parts = [str(part) for part in location]
    return next(key for end in range(len(parts), 0, -1) if (key := ".".join(parts[:end])) in given)


def _problem(kind: str, message: str, field: FieldInfo) -> str:
    if kind == "tuple_type":
        example = ", ".join(str(item) for item in field.default[:2]) or "..."
        return f"should be a list, such as [{example}]"
    if kind in LENGTHS:
        return f"has too {LENGTHS[kind]} values"
    if kind.endswith("_parsing"):
        return message.removeprefix("Input ").partition(",")[0]
    if message.startswith("Input "):
        return message.removeprefix("Input ")
    message = message.removeprefix("Value error, ")
    return f"is wrong: {message[0].lower()}{message[1:]}"


def _shown(one: Given) -> str:
    return without_login(one.value if isinstance(one.value, str) and one.value else repr(one.value))


# -------------------------------------------------------------------------- writing


def write_effective(config: Config, data: Path) -> None:
    """Write DATA/taxon.yaml, by which readers find the database.

    It holds `storage.url` as it is, password included, so only its owner may read it. Logins of cameras and tokens are
    left out, since no reader needs them.
    """
    path = data / EFFECTIVE
    temporary = path.with_name(f".{EFFECTIVE}.{os.getpid()}.tmp")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(effective_yaml(config, comments=False, redact=False))
    temporary.replace(path)


def effective_yaml(config: BaseModel, *, comments: bool = True, redact: bool = True) -> str:
    """Every setting as YAML that `load_config` reads back, in the order of `agent.config`.

    Args:
        comments: say above each key what it means and what it may be.
        redact: hide passwords in URLs; for eyes and logs.
    """
    values = config.model_dump(mode="json")
    lines: list[str] = []
    for name, field in type(config).model_fields.items():
        section = getattr(config, name)
        if isinstance(section, BaseModel):
            body = effective_yaml(section, comments=comments, redact=redact)
            head = _comment(type(section).__doc__ or "") if comments else ""
            lines.append(f"\n{head}{name}:\n{textwrap.indent(body, '  ')}")
        else:
            head = _comment(meaning(field)) if comments else ""
            secret = isinstance(section, SecretStr)  # whether there is one may be seen; a file says nothing of it
            lines.append(head + _line(name, values[name] if redact or not secret else "", redact))
    return "".join(lines)


def meaning(field: FieldInfo) -> str:
    """A setting's description, and what it may be."""
    if get_origin(field.annotation) is Literal:
        allowed = [" | ".join(str(choice) for choice in get_args(field.annotation))]
    else:
        limits = ((sign, getattr(rule, name, None)) for rule in field.metadata for name, sign in BOUNDS.items())
        allowed = [f"{sign} {limit}" for sign, limit in limits if limit is not None]
    return "; ".join(part for part in (field.description or "", ", ".join(allowed)) if part)


def _comment(text: str) -> str:
    return "".join(f"# {line}\n" for line in textwrap.wrap(text, WIDTH))


def _line(name: str, value: object, redact: bool) -> str:
    shown = value
    if isinstance(value, list):
        shown = [without_login(item) if isinstance(item, str) else item for item in value]
    elif redact and isinstance(value, str):
        shown = redacted(value)
    flow = None if isinstance(value, list) else False
    return yaml.safe_dump({name: shown}, default_flow_style=flow, width=WIDTH, allow_unicode=True, sort_keys=False)
