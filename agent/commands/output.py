"""How answers look: JSON for programs, tables on a terminal, aligned columns in a pipe. Knows no verb."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unicodedata import category

GAP = "  "
OBEYED = ("Cc", "Cs", "Zl", "Zp")
"""Unicode's categories of control characters, halves of letters, and what begins a line."""


def plain(value: Any) -> Any:
    """The same as JSON values: rows become objects, times ISO 8601 in UTC, numbers that are none null."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def print_json(value: object) -> None:
    json.dump(plain(value), sys.stdout, ensure_ascii=False, indent=2)
    sys.stdout.write("\n")


def print_table(head: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
    """Rows for people; `empty` says why there are none."""
    if not rows:
        print(empty, file=sys.stderr)
        return
    cells = [[shown(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_rich(head, cells)
    else:
        _print_aligned(head, cells)


def print_facts(facts: Mapping[str, object]) -> None:
    """One fact a line."""
    width = max(len(name) for name in facts)
    for name, value in facts.items():
        print(f"{name:<{width}}{GAP}{shown(value)}".rstrip())


def shown(value: object) -> str:
    """A cell for people; times in the zone of this machine."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value.astimezone():%Y-%m-%d %H:%M:%S}"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, Mapping):
        return " ".join(f"{key}={shown(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(shown(item) for item in value) or "-"
    return _in_one_line(str(value))


def _in_one_line(text: str) -> str:
    """Text with what a terminal would obey written as `\\x1b`: file names come from strangers."""
    return text if text.isprintable() else "".join(map(_harmless, text))


def _harmless(letter: str) -> str:
    return ascii(letter)[1:-1] if category(letter) in OBEYED else letter


def _print_aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        print(GAP.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _print_rich(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*head, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # names and paths may hold what rich takes for markup
    Console().print(table)
