"""The verb `gallery`: exit codes, what it says, and that it waits for no torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import run_agent
from storage.store import Store
from tests.factories import pictures, round_of

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def two_kinds(store: Store, data: Path) -> Path:
    ids = store.add(pictures(range(6)))
    one, two = store.allocate_clusters(2)
    store.add_clustering(round_of({i: one if i in ids[:4] else two for i in ids}))
    return data


def test_it_says_where_the_page_is(two_kinds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = two_kinds / "gallery"
    assert run_agent.main(["gallery", "--out", str(out), "--data", str(two_kinds)]) == 0
    assert capsys.readouterr().err == f"3 sheets; open {out}/index.html\n"
    assert run_agent.main(["gallery", "--out", str(out), "--kinds", "2", "--json", "--data", str(two_kinds)]) == 0
    assert json.loads(capsys.readouterr().out) == {"page": f"{out}/index.html", "sheets": 1}


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--out", "{data}/taxon.db"], 2, "not a folder"),
        (["--out", "{data}"], 2, "other things than a gallery"),
        (["--out", "{data}/new", "--kinds", "99"], 3, "no kind 99"),
        (["--out", "{data}/new", "--as-of", "soonish"], 2, "--as-of"),
        (["--out", "{data}/taxon.db/new"], 3, "taxon.db"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    two_kinds: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, says: str
) -> None:
    given = [one.format(data=two_kinds) for one in arguments]
    assert run_agent.main(["gallery", *given, "--data", str(two_kinds)]) == code
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert says in said
    assert not (two_kinds / "new").exists()


def test_it_imports_nothing_heavy(two_kinds: Path) -> None:
    arguments = ["gallery", "--out", str(two_kinds / "gallery"), "--data", str(two_kinds)]
    script = (
        f"import sys, run_agent\ncode = run_agent.main({arguments!r})\n"
        "heavy = ('torch', 'numpy', 'sklearn', 'matplotlib', 'agent.config')\n"
        "print([name for name in heavy if name in sys.modules])\nsys.exit(code)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, "[]\n")
