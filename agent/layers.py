"""The three places where settings are given: YAML files, the environment, `--set`. Flat, with the place of each.

A layer maps dotted keys (`learner.lr`) to what was given and where. Values stay text until `agent.settings` validates
them, so that `1e-3` means the same everywhere (YAML 1.1 alone would call it a string). Which keys exist is an argument.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from agent.errors import ConfigError
from agent.redaction import without_login

PREFIX = "TAXON_"
NULL = "tag:yaml.org,2002:null"
CLOSE = 0.75
IPV6_AND_PORT = re.compile(r"\[[0-9A-Fa-f:.]+\]:[0-9]+")

Value = str | list["Value"] | dict[str, "Value"]


@dataclass(frozen=True, slots=True)
class Given:
    """One value as it was written, and where: `file:line`, a variable, a flag."""

    value: Value
    where: str


Layer = dict[str, Given]


# -------------------------------------------------------------------------- YAML


def read_yaml(path: Path, keys: Collection[str]) -> Layer:
    """The settings of a file; a key without a value keeps its default.

    Raises:
        ConfigError: the file cannot be read, is no YAML, or has an unknown or repeated key.
    """
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}; give another --config") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text; give another --config") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{path}:{line}: not valid YAML: {error.problem}") from error
    layer: Layer = {}
    if root is not None:
        for key, given in _settings(root, "", path, keys):
            if key in layer:
                raise ConfigError(f"{given.where}: {key} was given before, at {layer[key].where}; keep one")
            layer[key] = given
    return layer


def _settings(node: yaml.Node, prefix: str, path: Path, keys: Collection[str]) -> Iterator[tuple[str, Given]]:
    """Settings below a section's node; what no key goes further down than is a value."""
    if node.tag == NULL:
        return
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{_place(path, node)}: {prefix or 'the file'} should be a section of `key: value` lines")
    for key_node, value_node in node.value:
        key = f"{prefix}.{key_node.value}" if prefix else str(key_node.value)
        if key in keys:
            if value_node.tag != NULL:
                yield key, Given(_value(value_node), _place(path, key_node))
        elif is_section(key, keys):
            yield from _settings(value_node, key, path, keys)
        else:
            raise unknown(key, _place(path, key_node), keys)


def _value(node: yaml.Node) -> Value:
    if isinstance(node, yaml.SequenceNode):
        return [_value(item) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        return {str(key.value): _value(value) for key, value in node.value}
    return str(node.value)


def _place(path: Path, node: yaml.Node) -> str:
    return f"{path}:{node.start_mark.line + 1}"


# -------------------------------------------------------------------------- environment and flags


def read_environment(environment: Mapping[str, str], keys: Collection[str]) -> Layer:
    """Settings from variables like `TAXON_LEARNER__LR`.

    A variable that resembles no key is someone else's (orchestrators set `TAXON_PORT` for a service of that name), but
    one with `__` is meant for us.

    Raises:
        ConfigError: a variable that is meant for us names no setting.
    """
    layer: Layer = {}
    for name in sorted(environment):
        if not name.startswith(PREFIX):
            continue
        key = name.removeprefix(PREFIX).lower().replace("__", ".")
        where = f"environment variable {name}"
        if key in keys:
            layer[key] = Given(_parsed(environment[name], where), where)
        elif "__" in name or _resembles(key, keys):
            raise unknown(key, where, keys, variable=True)
    return layer


def read_overrides(overrides: Sequence[str], keys: Collection[str]) -> Layer:
    """Settings from flags like `--set learner.lr=1e-3`; the last one counts.

    Raises:
        ConfigError: no `=`, or an unknown key.
    """
    layer: Layer = {}
    for override in overrides:
        key, equals, text = override.partition("=")
        key, where = key.strip(), f"--set {without_login(override)}"
        if not equals:
            raise ConfigError(f"{where}: write --set KEY=VALUE, such as --set learner.lr=1e-3")
        if key not in keys:
            raise unknown(key, where, keys)
        layer[key] = Given(_parsed(text.strip(), where), where)
    return layer


def _parsed(text: str, where: str) -> Value:
    """Lists are written as in YAML; everything else, such as [::1]:8080, is taken as it stands."""
    if not text.startswith(("[", "{")) or IPV6_AND_PORT.fullmatch(text):
        return text
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{where}: not a list; write one as [15, 30]") from error
    return text if node is None else _value(node)


# -------------------------------------------------------------------------- unknown keys


def is_section(key: str, keys: Collection[str]) -> bool:
    return any(known.startswith(f"{key}.") for known in keys)


def unknown(key: str, where: str, keys: Collection[str], *, variable: bool = False) -> ConfigError:
    """The error for a key that does not exist, with the most likely one that does."""
    if is_section(key, keys):
        first = next(known for known in keys if known.startswith(f"{key}."))
        return ConfigError(f"{where}: {key} is a section; name one of its keys, such as {_spelt(first, variable)}")
    guess = guessed(key, keys)
    hint = f"did you mean {_spelt(guess, variable)}?" if guess else "`taxon config show` lists all keys"
    return ConfigError(f"{where}: unknown key {key}; {hint}")


def guessed(key: str, keys: Collection[str]) -> str | None:
    """The key that was probably meant: near in spelling, or of the same name in another section."""
    near = difflib.get_close_matches(key, keys, n=1, cutoff=CLOSE)
    if near:
        return near[0]
    name = key.rpartition(".")[2]
    same_name = [known for known in keys if known.rpartition(".")[2] == name]
    if same_name:
        return same_name[0]
    loose = difflib.get_close_matches(key, keys, n=1)
    return loose[0] if loose else None


def _resembles(key: str, keys: Collection[str]) -> bool:
    """Meant for us, but with `_` for `__`, or a slip of the keyboard."""
    flat = [known.replace(".", "_") for known in keys]
    return key in flat or bool(difflib.get_close_matches(key, flat, n=1, cutoff=CLOSE + 0.1))


def _spelt(key: str, variable: bool) -> str:
    return PREFIX + key.upper().replace(".", "__") if variable else key
