"""The examples of the documentation work.

Every ```sh and every ```python block is run; pages each in a folder of their own, blocks in order, so that later ones
find what earlier ones made. There, `pictures/` holds pictures, and `taxon`, `python` and `run_agent.py` are ours.
What is not meant to be run (it never ends, or it installs things) is marked ```console or ```text.
"""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from storage.engine import open_engine
from tests.pictures import FAMILIES, jpeg
from tests.postgres import Server

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN = ("sh", "python")
KNOWN = (*RUN, "", "console", "text", "yaml", "json", "sql", "toml", "ini", "dockerfile", "mermaid", "nginx", "caddy")
PER_FAMILY = 12
QUICK = {
    "TAXON_ENCODER__IMAGE_PX": "32",
    "TAXON_LEARNER__VIEWS_PER_PICTURE": "2",
    "TAXON_LEARNER__STREAM_BATCH": "16",
    "TAXON_LEARNER__REPLAY_BATCH": "16",
    "TAXON_DECODE__WORKERS": "1",
}


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and text of every fenced block of a page."""
    return BLOCK.findall(page.read_text(encoding="utf-8")) if page.is_file() else []


def runnable(page: Path) -> bool:
    return any(language in RUN for language, _ in blocks(page))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with pictures, our commands on the path."""
    (tmp_path / "pictures").mkdir()
    for family in FAMILIES:
        for seed in range(PER_FAMILY):
            (tmp_path / "pictures" / f"{family}-{seed:02d}.jpg").write_bytes(jpeg(family, seed))
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, line in {"taxon": f"'{ROOT}/run_agent.py' ", "python": ""}.items():
        (commands / name).write_text(f"#!/bin/sh\nexec '{sys.executable}' {line}\"$@\"\n")
        (commands / name).chmod(0o755)
    for name in ("run_agent.py", "configs"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", [page for page in PAGES if runnable(page)], ids=lambda page: page.stem)
def test_examples_work(page: Path, place: Path) -> None:
    environment = {**os.environ, **QUICK, "PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    for language, text in blocks(page):
        if language not in RUN:
            continue
        shell = ["bash", "-euo", "pipefail", "-c"] if language == "sh" else [sys.executable, "-c"]
        done = subprocess.run(
            [*shell, text], cwd=place, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 0, f"{page.name}:\n{text}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


DIALECT = (  # as docs/history.md says
    (r"\bIS NOT (?!NULL)", "IS DISTINCT FROM "),
    (r"datetime\('now', '-(\d+ days?)'\)", r"now() - interval '\1'"),
)
SQL = [text for page in PAGES for language, text in blocks(page) if language == "sql"]


IDS = [" ".join(statement.split())[:40] for statement in SQL]


@pytest.mark.parametrize("statement", SQL, ids=IDS)
def test_queries_are_understood_and_need_no_writing(statement: str, data: Path) -> None:
    database = sqlite3.connect(f"file:{data}/taxon.db?mode=ro", uri=True)
    assert database.execute(statement).fetchall() == []
    database.close()


@pytest.mark.parametrize("statement", SQL, ids=IDS)
def test_queries_are_understood_by_postgresql(statement: str, server: Server) -> None:
    for ours, theirs in DIALECT:
        statement = re.sub(ours, theirs, statement)
    with server.lend() as url:
        engine = open_engine(url, read_only=True)
        with engine.connect() as connection:
            assert connection.exec_driver_sql(statement.replace("%", "%%")).all() == []
        engine.dispose()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_blocks_say_what_they_are(page: Path) -> None:
    """A misspelt language would silently leave an example unproven."""
    assert {language for language, _ in blocks(page)} <= set(KNOWN)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_name_only_files_that_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    named = set(re.findall(r"`((?:agent|benchmarks|configs|docs|storage|tests)/[\w./-]+)`", text))
    assert {name for name in named if not (ROOT / name).exists()} == set()
