"""The verbs' end of embedding new pictures: what went wrong there is told here in one line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from agent.commands import newcomers
from agent.commands.newcomers import NewcomerError, embedded, located


@pytest.fixture
def other_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module in the place of the one that loads the network."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(newcomers, "MODULE", "other_end")
    return tmp_path / "other_end.py"


def test_vectors_come_as_they_are(other_end: Path, tmp_path: Path) -> None:
    """What was asked is passed on, and what libraries print to stderr does no harm."""
    one = {"sha256": "ab", "version": 3, "innate": "AD4=", "learned": None}
    other_end.write_text(
        "import json, pathlib, sys\n"
        "print('a library speaks', file=sys.stderr)\n"
        f"pathlib.Path({str(tmp_path / 'asked.json')!r}).write_text(sys.stdin.read())\n"
        f"print(json.dumps({{'pictures': [{one!r}]}}))\n"
    )
    (found,) = embedded(tmp_path, [Path("a.jpg")], store=True)
    assert (found.sha256, found.version, found.learned_D) == ("ab", 3, None)
    assert np.array_equal(found.innate_D, [1.5])
    asked = json.loads((tmp_path / "asked.json").read_text())
    assert asked == {"data": str(tmp_path), "paths": [str(Path.cwd() / "a.jpg")], "store": True}


def test_an_error_for_people_keeps_its_exit_code(other_end: Path, tmp_path: Path) -> None:
    other_end.write_text('print(\'{"error": "a.jpg: zero bytes; give another", "exit_code": 2}\')')
    with pytest.raises(NewcomerError, match="zero bytes; give another") as error:
        embedded(tmp_path, [Path("a.jpg")])
    assert error.value.exit_code == 2


def test_a_process_that_dies_is_told(other_end: Path, tmp_path: Path) -> None:
    other_end.write_text("import sys; sys.exit(9)")
    with pytest.raises(NewcomerError, match="ended with 9"):
        embedded(tmp_path, [Path("a.jpg")])


def test_ctrl_c_ends_it_without_a_word_from_the_other_end(other_end: Path, tmp_path: Path) -> None:
    """A terminal sends it to every process of the group."""
    other_end.write_text(f"import pathlib, time; pathlib.Path({str(tmp_path / 'up')!r}).touch(); time.sleep(60)")
    asks = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # in the background it is ignored
        "from agent.commands import newcomers; from pathlib import Path; newcomers.MODULE = 'other_end'\n"
        "try: newcomers.embedded(Path('.'), [Path('a.jpg')])\n"
        "except KeyboardInterrupt: print('interrupted')"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    verb = subprocess.Popen(
        [sys.executable, "-c", asks], stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0, env=environment
    )
    while not (tmp_path / "up").exists():
        assert verb.poll() is None
        time.sleep(0.01)
    os.killpg(verb.pid, signal.SIGINT)
    assert verb.communicate(timeout=30) == (b"interrupted\n", b"")


def test_files_are_named_as_sources_name_them(tmp_path: Path) -> None:
    """Folders are resolved; the file itself may be a link."""
    (tmp_path / "real").mkdir()
    (tmp_path / "folder").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "link.jpg").symlink_to("/elsewhere.jpg")
    assert located(tmp_path / "folder" / "link.jpg") == (tmp_path / "real").resolve() / "link.jpg"
