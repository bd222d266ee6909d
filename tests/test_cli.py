"""The command line: exit codes, one clear line for every error, and reading that waits for nobody."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

import run_agent
from storage.answers import Answers
from storage.engine import database_url, open_engine
from storage.lock import DataLock
from storage.migrate import migrate
from storage.queries import Queries
from storage.records import ClusterRecord, ClusterState, Event, EventType, LocationRecord
from storage.states import RECLUSTER
from storage.store import Store
from tests.ballots import voters
from tests.factories import EPOCH, Clock, pictures, rejection, round_of, sha

ROOT = Path(__file__).resolve().parents[1]
READING = (
    ["status"], ["clusters"], ["cluster", "1"], ["history"], ["pictures"], ["picture", sha(0)], ["changes"], ["export"],
    ["nearest", sha(0)], ["explain", sha(0)], ["review"],
)  # fmt: skip
CORRECTING = (
    ["rename", "1", "moths"], ["hide", "1"], ["move", "abcdef", "--to", "new"], ["merge", "1", "--into", "2"],
    ["split", "1", "abcdef"], ["undo", "1"], ["forget", "abcdef"],
    ["teach", "moths", "abcdef"],
)  # fmt: skip
# not pydantic: typer 0.29 imports it by itself
HEAVY = ("torch", "avalanche", "alembic", "sklearn", "hdbscan", "faiss", "agent.config")


class Answer:
    """What one call said."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    def json(self) -> Any:
        return json.loads(self.out)


Call = Callable[..., Answer]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    def run(*arguments: str) -> Answer:
        code = run_agent.main(arguments)
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine pictures and a rejected file; kind 1 emerges with six of them, and a day later kind 2 splits from it."""
    data = tmp_path_factory.mktemp("filled")
    engine = open_engine(database_url(data))
    migrate(engine)
    clock = Clock()
    store = Store(engine, clock)
    store.ensure_born({})
    ids = store.add(pictures(range(8)), rejections=[rejection("/pictures/broken.jpg")])
    one, two = store.allocate_clusters(2)
    emerged = Event(EventType.EMERGED, one)
    store.add_clustering(round_of({i: one if i in ids[:6] else None for i in ids}, events=[emerged]))
    clock.tick(timedelta(days=1).total_seconds())
    split = Event(EventType.SPLIT, two, (one,))
    kinds = [ClusterRecord(one, ClusterState.ACTIVE), ClusterRecord(two, ClusterState.PROVISIONAL, parents=(one,))]
    halves = {i: (one if i in ids[:3] else two) if i in ids[:6] else None for i in ids}
    ballot = voters(Queries(engine), halves).state_dict()
    near = {one: [(two, 0.75)], two: [(one, 0.75)]}
    store.add_clustering(round_of(halves, clusters=kinds, events=[split], voters=ballot, near=near))
    store.add(pictures([8]))
    engine.dispose()
    return data


@pytest.fixture
def own(filled: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    (tmp_path / "taxon.db").write_bytes((filled / "taxon.db").read_bytes())
    return tmp_path


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, cwd=ROOT, env={**os.environ, **environment}
    )


# -------------------------------------------------------------------------- usage and configuration: 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "--help"),
        (["statsu"], "Did you mean"),
        (["run", "--wacht", "x"], "--watch"),
        (["run"], "give --watch DIR"),
        (["run", "--watch", ".", "--set", "learner.lrr=1"], "did you mean learner.lr?"),
        (["run", "--watch", ".", "--config", "/nowhere.yaml"], "/nowhere.yaml"),
        (["cluster"], "ID"),
        (["cluster", "x"], "x"),
        (["clusters", "--state", "sleeping"], "dormant"),
        (["history", "--type", "born"], "emerged"),
        (["history", "--since", "soonish"], "2026-11-22"),
        (["pictures", "--status", "lost"], "rejected"),
        (["pictures", "--unassigned", "--status", "pending"], "contradicts"),
        (["changes", "--encoder", "2", "--since", "1d"], "stands for two moments"),
        (["export", "--format", "xml"], "folders"),
        (["nearest"], "IMAGE"),
        (["nearest", "abcdef", "--count", "0"], "--count"),
        (["export", "--format", "folders"], "--out"),
        (["gallery"], "--out"),
        (["gallery", "--out", "new", "--per-kind", "0"], "--per-kind"),
        (["gallery", "--out", "run_agent.py"], "not a folder"),
        (["config"], "--help"),
        (["config", "check", "--set", "seed=x"], "seed"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(call: Call, filled: Path, arguments: list[str], says: str) -> None:
    takes_data = bool(arguments) and arguments[0] in ("clusters", "history", "pictures", "export", "gallery")
    answer = call(*arguments, *(["--data", str(filled)] if takes_data else []))
    assert answer.code == 2
    assert answer.out == ""
    assert answer.err.count("\n") == 1
    assert answer.err.startswith("taxon: ")
    assert says in answer.err


def test_an_unknown_key_names_file_line_and_guess(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("learner:\n  views_per_pictures: 0\n")
    answer = call("config", "check", "--config", str(file))
    assert answer.code == 2
    assert f"{file}:2: unknown key learner.views_per_pictures; did you mean learner.views_per_picture?" in answer.err


def test_the_configuration_can_be_shown(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAXON_CLUSTER__EVERY", "77")
    shown = call("config", "show", "--json", "--set", "seed=3", "--set", "storage.url=postgresql://me:pw@h/d")
    assert shown.code == 0
    settings = shown.json()
    assert (settings["seed"], settings["cluster"]["every"]) == (3, 77)
    assert settings["storage"]["url"] == "postgresql://me:***@h/d"
    assert "#" in call("config", "show").out
    assert "#" not in call("config", "show", "--bare").out
    assert call("config", "check").code == 0


# -------------------------------------------------------------------------- storage: 3, source: 4, internal: 1


@pytest.mark.parametrize("arguments", [*READING, *CORRECTING, ["pause"], ["resume"], ["recluster"], ["migrate"]])
def test_a_missing_data_directory_is_exit_code_3_and_is_not_made(
    call: Call, tmp_path: Path, arguments: list[str]
) -> None:
    data = tmp_path / "nowhere"
    answer = call(*arguments, "--data", str(data))
    assert answer.code == 3
    assert answer.err.count("\n") == 1
    assert str(data) in answer.err
    assert "run" in answer.err
    assert not data.exists()


def test_a_directory_that_is_in_use_is_refused_with_the_pid(call: Call, own: Path, tmp_path: Path) -> None:
    with DataLock(own):
        answer = call("migrate", "--data", str(own))
        running = call("run", "--watch", str(tmp_path), "--data", str(own))
    assert (answer.code, running.code) == (3, 3)
    assert f"pid {os.getpid()}" in answer.err
    assert f"pid {os.getpid()}" in running.err


def test_a_missing_folder_is_exit_code_4(call: Call, tmp_path: Path) -> None:
    answer = call("run", "--watch", str(tmp_path / "gone"), "--data", str(tmp_path / "data"))
    assert answer.code == 4
    assert str(tmp_path / "gone") in answer.err
    assert not (tmp_path / "data").exists()


def test_an_unforeseen_error_is_one_line_and_debug_shows_where(
    call: Call, monkeypatch: pytest.MonkeyPatch, filled: Path
) -> None:

    def broken(self: Answers) -> None:
        raise RuntimeError("of\ntwo lines")

    monkeypatch.setattr(Answers, "status", broken)
    quiet = call("status", "--data", str(filled))
    loud = call("status", "--data", str(filled), "--debug")
    assert (quiet.code, loud.code) == (1, 1)
    assert quiet.err == "taxon: internal error: RuntimeError: of two lines (--debug shows where)\n"
    assert "Traceback" in loud.err


@pytest.mark.parametrize("arguments", [("cluster", str(2**63)), ("pictures", "--limit", str(2**70))])
def test_numbers_that_no_database_holds_are_usage_errors(call: Call, filled: Path, arguments: tuple[str, ...]) -> None:
    answer = call(*arguments, "--data", str(filled))
    assert (answer.code, answer.err) == (2, "taxon: a number is too large: ids and counts are below 2^63\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_an_output_that_is_full_is_said_in_one_line(filled: Path) -> None:
    called = [sys.executable, str(ROOT / "run_agent.py"), "clusters", "--data", str(filled)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(called, stdout=full, stderr=subprocess.PIPE, text=True)
    said = "taxon: No space left on device; check the disk, and where the output goes\n"
    assert (done.returncode, done.stderr) == (3, said)


def test_an_output_that_is_closed_is_no_error(filled: Path) -> None:
    called = [sys.executable, str(ROOT / "run_agent.py"), "clusters", "--data", str(filled)]
    done = subprocess.run(called, preexec_fn=lambda: os.close(1), stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_is_stored_where_no_name_is_taught(call: Call, own: Path, tmp_path: Path) -> None:
    (tmp_path / "new.jpg").write_bytes(b"never looked at")
    answer = call("teach", " ", str(tmp_path / "new.jpg"), "--data", str(own))
    assert answer.code == 2
    assert "give one that is not empty" in answer.err


def test_ctrl_c_is_no_error(call: Call, monkeypatch: pytest.MonkeyPatch, filled: Path, tmp_path: Path) -> None:

    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("agent.settings.load_config", interrupted)
    assert call("run", "--watch", str(tmp_path)).code == 0
    monkeypatch.setattr(Answers, "status", interrupted)
    answer = call("status", "--data", str(filled))
    assert (answer.code, answer.err) == (130, "")


# -------------------------------------------------------------------------- answers


def test_status(call: Call, filled: Path) -> None:
    facts = call("status", "--data", str(filled), "--json").json()
    wanted = {
        "daemon", "pid", "queue", "pictures", "pending", "rejected", "learner_debt", "encoder_version",
        "clustering_id", "behind", "sources", "heartbeats",
    }  # fmt: skip
    assert wanted <= set(facts)
    assert (facts["daemon"], facts["pid"]) == ("stopped", None)
    assert (facts["pictures"], facts["pending"], facts["rejected"], facts["encoder_version"]) == (9, 1, 1, 1)
    assert "pictures          9" in call("status", "--data", str(filled)).out


def test_status_of_a_living_agent(call: Call, own: Path) -> None:
    with DataLock(own):
        facts = call("status", "--data", str(own), "--json").json()
        assert (facts["daemon"], facts["pid"]) == ("running", os.getpid())
        call("pause", "--data", str(own))
        assert call("status", "--data", str(own), "--json").json()["daemon"] == "paused"
        call("resume", "--data", str(own))
        assert call("status", "--data", str(own), "--json").json()["daemon"] == "running"
    assert call("status", "--data", str(own), "--json").json()["daemon"] == "stopped"


def test_status_of_an_agent_that_only_takes_pictures_in(call: Call, own: Path) -> None:
    (own / "taxon.yaml").write_text("ingest_as: gate\n")
    store = Store(open_engine(database_url(own)))
    store.set_states({"queue": 3, "ingesting:gate": {"queue": 5}, "ingesting:yard": {"queue": 0}})
    with DataLock(own):
        facts = call("status", "--data", str(own), "--json").json()
    assert (facts["queue"], facts["sources"]) == (5, [])
    assert facts["ingesting"] == {"gate": {"queue": 5}, "yard": {"queue": 0}}


def test_clusters_now_and_then(call: Call, filled: Path) -> None:
    now = call("clusters", "--data", str(filled), "--json").json()
    assert [(kind["id"], kind["size"], kind["parents"]) for kind in now] == [(1, 3, []), (2, 3, [1])]
    keys = "id name state size core_size first_seen last_seen parents coarser exemplars"
    assert set(keys.split()) <= set(now[0])
    moment = (EPOCH + timedelta(hours=1)).isoformat()
    then = call("clusters", "--data", str(filled), "--json", "--as-of", moment).json()
    assert [(kind["id"], kind["size"]) for kind in then] == [(1, 6)]
    some = call("clusters", "--data", str(filled), "--json", "--state", "provisional").json()
    assert [kind["id"] for kind in some] == [2]
    assert call("clusters", "--data", str(filled)).out.splitlines()[0].split()[:3] == ["id", "name", "state"]


def test_one_cluster(call: Call, filled: Path) -> None:
    kind = call("cluster", "1", "--data", str(filled), "--json").json()
    assert (kind["id"], kind["size"], kind["children"], len(kind["borderline"])) == (1, 3, [2], 3)
    assert {event["type"] for event in kind["events"]} == {"emerged", "split"}
    assert kind["neighbours"] == [{"cluster_id": 2, "cluster_name": "", "cosine": 0.75}]
    text = call("cluster", "1", "--data", str(filled)).out
    assert "split into  2" in text
    assert ["2", "0.75"] in [line.split() for line in text.split("nearest kinds")[1].splitlines()]
    missing = call("cluster", "99", "--data", str(filled))
    assert missing.code == 3
    assert "99" in missing.err


def test_history_by_type_kind_and_time(call: Call, filled: Path) -> None:

    def types(*arguments: str) -> list[str]:
        return [event["type"] for event in call("history", "--data", str(filled), "--json", *arguments).json()]

    assert types() == ["emerged", "split"]
    assert types("--type", "split") == ["split"]
    assert types("--cluster", "2") == ["split"]
    assert types("--limit", "1") == ["split"]
    assert types("--limit", "0") == ["emerged", "split"]
    assert types("--since", (EPOCH + timedelta(hours=1)).isoformat()) == ["split"]
    assert types("--until", (EPOCH + timedelta(hours=1)).isoformat()) == ["emerged"]
    event = call("history", "--data", str(filled), "--json").json()[0]
    keys = "id at type actor cluster_id other_ids clustering_id encoder_version detail"
    assert set(keys.split()) <= set(event)


def test_pictures_by_kind_and_status(call: Call, filled: Path) -> None:

    def shas(*arguments: str) -> list[str]:
        return [row["sha256"] for row in call("pictures", "--data", str(filled), "--json", *arguments).json()]

    assert shas() == [sha(n) for n in range(9)]
    assert shas("--cluster", "2") == [sha(3), sha(4), sha(5)]
    assert shas("--unassigned") == [sha(6), sha(7)]
    assert shas("--status", "pending") == [sha(8)]
    rejected = call("pictures", "--data", str(filled), "--json", "--status", "rejected").json()
    assert [(row["uri"], row["reason"]) for row in rejected] == [("/pictures/broken.jpg", "cut off")]
    page = call("pictures", "--data", str(filled), "--limit", "2")
    assert len(page.out.splitlines()) == 3
    assert "--limit 0" in page.err
    assert call("pictures", "--data", str(filled), "--limit", "9").err == ""


def test_one_picture_and_where_it_has_belonged(call: Call, filled: Path) -> None:
    where = ("--data", str(filled))
    detail = call("picture", sha(3)[:10], "--json", *where).json()
    assert (detail["picture"]["sha256"], detail["picture"]["cluster_id"]) == (sha(3), 2)
    assert detail["uris"] == ["/pictures/3.jpg"]
    assert [(one["cluster_id"], one["actor"], one["encoder_version"]) for one in detail["belonged"]] == [
        (1, "agent", 1),
        (2, "agent", 1),
    ]
    then = call("picture", sha(3), "--as-of", EPOCH.isoformat(), "--json", *where).json()
    assert (then["picture"]["cluster_id"], len(then["belonged"])) == (1, 1)
    shown = call("picture", sha(8), *where)
    assert "pending" in shown.out
    assert "nowhere yet" in shown.err
    assert call("picture", sha(77), *where).code == 3


def test_which_pictures_changed_their_kind(call: Call, filled: Path) -> None:
    where = ("--data", str(filled))
    changed = call("changes", "--json", *where).json()
    assert changed == [{"sha256": sha(n), "uri": f"/pictures/{n}.jpg", "was": 1, "belongs": 2} for n in (3, 4, 5)]
    assert call("changes", "--since", EPOCH.isoformat(), "--json", *where).json() == changed
    assert call("changes", "--since", EPOCH.isoformat(), "--cluster", "7", "--json", *where).json() == []
    assert call("changes", "--encoder", "1", "--json", *where).json() == []
    assert "under encoder version 5" in call("changes", "--encoder", "5", *where).err
    some = call("changes", "--limit", "2", *where)
    assert (len(some.out.splitlines()), some.err) == (3, "the first 2; --limit 0 shows all\n")


def test_the_nearest_pictures(call: Call, filled: Path, tmp_path: Path) -> None:
    where = ("--data", str(filled))
    rows = call("nearest", sha(3)[:9], "--count", "3", "--json", *where).json()
    assert [set(row) for row in rows] == [{"sha256", "cosine", "cluster_id", "cluster_name", "status", "uri"}] * 3
    assert sha(3) not in {row["sha256"] for row in rows}
    assert rows[0]["cosine"] >= rows[1]["cosine"] >= rows[2]["cosine"]
    assert len(call("nearest", "/pictures/3.jpg", *where).out.splitlines()) == 9
    lost = call("nearest", "nowhere.jpg", *where)
    assert (lost.code, lost.err.count("\n")) == (3, 1)


def test_why_a_picture_is_where_it_is(call: Call, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "anna")
    where = ("--data", str(own))
    reasons = call("explain", sha(3), "--json", *where).json()
    assert (reasons["sha256"], reasons["cluster_id"], reasons["said"]["cluster_id"]) == (sha(3), 2, 2)
    assert (reasons["clustering_id"], reasons["encoder_version"], reasons["in_window"]) == (2, 1, True)
    assert reasons["placed"] is None
    assert len(reasons["voters"]) == 3
    assert set(reasons["voters"][0]) == {
        "sha256", "cosine", "weight", "cluster_id", "cluster_name", "core", "uri",
    }  # fmt: skip
    call("move", sha(3), "--to", "1", *where)
    shown = call("explain", sha(3), *where).out
    assert "placed by      anna (moved, event 3)" in shown
    assert "agent says     2 (core)" in shown
    waiting = call("explain", sha(8), "--json", *where).json()
    assert (waiting["status"], waiting["in_window"]) == ("pending", False)


def test_what_is_worth_a_look(call: Call, filled: Path) -> None:
    where = ("--data", str(filled))
    (pile,) = call("review", "--json", *where).json()
    assert (pile["reason"], pile["pile"], {pile["sha256"], *pile["others"]}) == ("unassigned", 2, {sha(6), sha(7)})
    assert call("review", *where).out.splitlines()[0].split()[:3] == ["why", "sha256", "kind"]


def test_without_a_round_nothing_can_be_explained(call: Call, tmp_path: Path) -> None:
    call("migrate", "--data", str(tmp_path))
    engine = open_engine(database_url(tmp_path))
    Store(engine).ensure_born({})
    Store(engine).add(pictures([0]))
    engine.dispose()
    answer = call("explain", sha(0), "--data", str(tmp_path))
    assert (answer.code, answer.err.count("\n")) == (3, 1)
    assert "`recluster` does one" in answer.err


def test_history_by_people(call: Call, own: Path) -> None:
    where = ("--data", str(own))
    call("rename", "1", "moths", *where)
    events = call("history", "--json", *where).json()
    who = events[-1]["actor"]
    for by, types in (("people", ["renamed"]), (who, ["renamed"]), ("agent", ["emerged", "split"]), ("nobody", [])):
        assert [event["type"] for event in call("history", "--by", by, "--json", *where).json()] == types


def test_export_to_stdout_and_to_a_file(call: Call, filled: Path, tmp_path: Path) -> None:
    text = call("export", "--data", str(filled)).out
    head = (
        "sha256,uri,source,captured_at,ingested_at,status,cluster_id,cluster_name,probability,is_core,encoder_version"
    )
    assert text.splitlines()[0] == head
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 10
    assert call("export", "--data", str(filled), "--out", str(tmp_path / "kinds.csv")).out == ""
    assert (tmp_path / "kinds.csv").read_text() == text
    assert len(call("export", "--data", str(filled), "--format", "json").json()) == 10
    assert call("export", "--data", str(filled), "--out", str(tmp_path)).code == 2
    gone = call("export", "--data", str(filled), "--out", str(tmp_path / "no" / "kinds.csv"))
    assert gone.code == 3
    assert [path.name for path in tmp_path.iterdir()] == ["kinds.csv"]


def test_export_goes_through_links_and_into_pipes_and_leaves_them_there(
    call: Call, filled: Path, tmp_path: Path
) -> None:
    text = call("export", "--data", str(filled)).out
    link, pipe = tmp_path / "link.csv", tmp_path / "pipe"
    link.symlink_to("kinds.csv")
    assert call("export", "--data", str(filled), "--out", str(link)).code == 0
    assert link.is_symlink()
    assert (tmp_path / "kinds.csv").read_text() == text
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert call("export", "--data", str(filled), "--out", str(pipe)).code == 0
        assert os.read(reader, 1 << 16).decode() == text
    finally:
        os.close(reader)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kinds.csv", "link.csv", "pipe"]
    assert pipe.is_fifo()


def test_export_to_folders(call: Call, filled: Path, tmp_path: Path) -> None:
    answer = call("export", "--data", str(filled), "--format", "folders", "--out", str(tmp_path / "kinds"))
    assert answer.code == 0
    assert sorted(path.name for path in (tmp_path / "kinds").iterdir()) == ["0001", "0002", "pending", "unassigned"]
    assert call("export", "--data", str(filled), "--format", "folders", "--out", str(tmp_path / "kinds")).code == 3


# -------------------------------------------------------------------------- writing


def test_kinds_are_named_hidden_and_that_is_undone(call: Call, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "anna")
    where = ("--data", str(own))
    named = call("rename", "1", "moths", *where)
    assert (named.code, named.out) == (0, "")
    assert "kind 1 is now called 'moths' (event 3; `undo 3` takes it back)" in named.err
    assert call("hide", "1", "--json", *where).json() == {"event": 4}
    kind = call("clusters", "--json", *where).json()[0]
    assert (kind["name"], kind["hidden"]) == ("moths", True)
    assert call("undo", "3", *where).code == 0
    assert call("hide", "1", "--show", *where).code == 0
    kind = call("clusters", "--json", *where).json()[0]
    assert (kind["name"], kind["hidden"]) == ("", False)
    told = [(event["type"], event["actor"]) for event in call("history", "--json", *where).json()[2:]]
    assert told == [("renamed", "anna"), ("hidden", "anna"), ("undone", "anna"), ("hidden", "anna")]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["rename", "77", "moths"], 3, "there is no kind 77; `clusters` lists them"),
        (["rename", "1", ""], 2, "has no name already"),
        (["move", sha(0), "--to", "old"], 2, "neither a number nor `new`"),
        (["merge", "1", "--into", "1"], 2, "cannot be merged into itself"),
        (["split", "1", sha(5)], 2, "is not in kind 1"),
        (["teach", "moths", sha(0), sha(3)], 2, "as many pictures fall in each of the kinds 1, 2"),
        (["teach", "", sha(0)], 2, "give one that is not empty"),
        (["teach", "moths", "nowhere.jpg"], 3, "neither a file nowhere.jpg nor a picture"),
        (["undo", "1"], 2, "only people's corrections can be undone"),
    ],
)
def test_a_correction_that_makes_no_sense_is_one_line(
    call: Call, own: Path, arguments: list[str], code: int, says: str
) -> None:
    answer = call(*arguments, "--data", str(own))
    assert (answer.code, answer.err.count("\n")) == (code, 1)
    assert says in answer.err


def test_pictures_are_moved_merged_and_split(call: Call, own: Path) -> None:
    where = ("--data", str(own))

    def kinds() -> list[int | None]:
        pictures = call("pictures", "--json", *where).json()
        return [picture["cluster_id"] for picture in sorted(pictures, key=lambda one: one["id"])]

    assert kinds() == [1, 1, 1, 2, 2, 2, None, None, None]
    moved = call("move", sha(0)[:8], sha(8), "--to", "2", *where)
    assert moved.err == "2 pictures are in kind 2 now (event 3; `undo 3` takes it back)\n"
    assert kinds() == [2, 1, 1, 2, 2, 2, None, None, 2]
    assert call("split", "2", sha(3), "--json", *where).json() == {"event": 4, "cluster_id": 3}
    assert call("move", sha(7), "--to", "new", "--json", *where).json() == {"event": 5, "cluster_id": 4}
    merged = call("merge", "1", "4", "--into", "2", *where)
    assert "what was in 1, 4 is in kind 2 now" in merged.err
    assert kinds() == [2, 2, 2, 3, 2, 2, None, 2, 2]
    assert call("undo", "6", *where).code == 0
    assert kinds() == [2, 1, 1, 3, 2, 2, None, 4, 2]
    told = [event["type"] for event in call("history", "--json", *where).json()[2:]]
    assert told == ["moved", "divided", "moved", "merged", "undone"]


def test_a_few_examples_teach_a_kind(call: Call, own: Path) -> None:
    where = ("--data", str(own))
    named = call("teach", "moths", sha(0)[:8], sha(1), sha(3), *where)
    assert named.out == ""
    assert named.err == (
        "kind 1, in which 2 of 3 pictures fell, is called 'moths' now, and the other 1 moved there "
        "(event 3; `undo 3` takes it back)\n"
    )
    made = call("teach", "beetles", sha(6), "--json", *where).json()
    assert made == {"event": 4, "cluster_id": 3, "did": "made", "pictures": 1, "moved": 1, "around": 1}
    assert "kind 1, which is called 'moths'" in call("teach", "ants", sha(0), *where).err
    assert "'beetles', has 1 picture more" in call("teach", "beetles", sha(8), *where).err
    rows = call("pictures", "--json", *where).json()
    assert [row["cluster_name"] for row in sorted(rows, key=lambda one: one["id"])] == [
        "moths", "moths", "moths", "moths", "", "", "beetles", "beetles", "beetles",
    ]  # fmt: skip
    for event in ("5", "4", "3"):
        assert call("undo", event, *where).code == 0
    rows = call("pictures", "--json", *where).json()
    kinds = [row["cluster_id"] for row in sorted(rows, key=lambda one: one["id"])]
    assert kinds == [1, 1, 1, 2, 2, 2, None, None, None]


def test_pictures_are_forgotten(call: Call, own: Path) -> None:
    where = ("--data", str(own))
    done = call("forget", sha(0), sha(1)[:9], *where)
    assert done.err == "2 pictures are forgotten for good (event 3); the files are yours to delete\n"
    assert sha(0) not in call("export", *where).out
    assert call("status", "--json", *where).json()["pictures"] == 7
    assert call("forget", sha(0), *where).code == 3


@pytest.mark.parametrize("kept", ["frames/front/2026-11-25/093012.000000.jpg", "pushed/3f/3f00-gate.jpg"])
def test_a_file_of_ours_is_forgotten_with_its_picture(call: Call, own: Path, kept: str) -> None:
    ours, theirs = own / kept, own / "theirs.jpg"
    ours.parent.mkdir(parents=True)
    engine = open_engine(database_url(own))
    for path in (ours, theirs):
        path.write_bytes(b"jpeg")
        Store(engine).add([], repeats=[(sha(0), LocationRecord(str(path.resolve()), "front"))])
    engine.dispose()
    assert call("forget", sha(0), "--data", str(own)).code == 0
    assert not ours.exists()
    assert theirs.exists()


def test_a_file_of_ours_is_forgotten_where_the_data_directory_was_moved_to(call: Call, own: Path) -> None:
    engine = open_engine(database_url(own))
    Store(engine).settle(str(own.resolve()), ["frames", "pushed"])
    engine.dispose()
    kept = kept_file(own).relative_to(own)
    moved = own.rename(own.with_name("moved"))
    assert call("forget", sha(0), "--data", str(moved)).code == 0
    assert not (moved / kept).exists()


def test_a_file_that_is_ours_on_this_machine_is_forgotten_with_its_picture(call: Call, own: Path) -> None:
    (own / "taxon.yaml").write_text("ingest_as: gate\n")
    kept = kept_file(own)
    engine = open_engine(database_url(own))
    Store(engine).add([], repeats=[(sha(0), LocationRecord(f"gate:{kept.resolve()}", "gate:push"))])
    engine.dispose()
    assert call("forget", sha(0), "--data", str(own)).code == 0
    assert not kept.exists()


def kept_file(data: Path) -> Path:
    """A file of ours, in which picture 0 lies."""
    path = data / "pushed" / "3f" / "3f00.jpg"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"jpeg")
    engine = open_engine(database_url(data))
    Store(engine).add([], repeats=[(sha(0), LocationRecord(str(path.resolve()), "gate"))])
    engine.dispose()
    return path


def test_a_file_that_cannot_be_removed_leaves_its_picture_to_be_forgotten_again(call: Call, own: Path) -> None:
    kept = kept_file(own)
    kept.unlink()
    kept.mkdir()  # which nobody can unlink, root neither
    refused = call("forget", sha(0), "--data", str(own))
    assert refused.code == 3
    assert str(kept) in refused.err
    kept.rmdir()
    kept.write_bytes(b"jpeg")
    assert call("forget", sha(0), "--data", str(own)).code == 0
    assert not kept.exists()


def test_ctrl_c_while_a_reader_holds_up_forgetting_leaves_no_file(
    call: Call, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(engine: object, tables: object) -> bool:
        raise KeyboardInterrupt

    kept = kept_file(own)
    monkeypatch.setattr("storage.store.scrub", interrupted)
    assert call("forget", sha(0), "--data", str(own)).code == 130
    assert not kept.exists()


def test_who_forgets_is_told_of_a_reader_in_the_way(call: Call, own: Path) -> None:
    reader = open_engine(database_url(own), read_only=True)
    with reader.begin() as connection:
        connection.execute(text("SELECT count(*) FROM pictures"))
        told = call("forget", sha(0), "--data", str(own))
    reader.dispose()
    assert told.code == 0
    said = [line for line in told.err.splitlines() if "reads the database" in line]
    assert len(said) == 1
    assert "reads the database" not in call("forget", sha(1), "--data", str(own)).err


def test_pause_is_one_event_by_a_person(call: Call, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    assert "paused" in call("pause", "--data", str(own)).err
    assert "already" in call("pause", "--data", str(own)).err
    assert call("resume", "--data", str(own)).code == 0
    events = call("history", "--data", str(own), "--json").json()[2:]
    assert [(event["type"], event["actor"]) for event in events] == [("paused", "ada"), ("resumed", "ada")]


def test_recluster_asks_the_agent_that_runs(call: Call, own: Path) -> None:
    with DataLock(own):
        assert str(os.getpid()) in call("recluster", "--data", str(own)).err
    engine = open_engine(database_url(own), read_only=True)
    last = Queries(engine).last_clustering()
    assert last is not None
    assert Queries(engine).state(RECLUSTER) == last.id
    engine.dispose()


def test_migrate_is_repeatable(call: Call, tmp_path: Path) -> None:
    assert call("migrate", "--data", str(tmp_path)).code == 0
    assert call("migrate", "--data", str(tmp_path)).code == 0
    assert call("status", "--data", str(tmp_path)).code == 0


def test_doctor(call: Call, tmp_path: Path) -> None:
    good = call("doctor", "--data", str(tmp_path), "--watch", str(tmp_path), "--json")
    assert good.code == 0
    assert {finding["verdict"] for finding in good.json()} <= {"ok", "warn"}
    bad = call("doctor", "--data", str(tmp_path), "--watch", str(tmp_path / "gone"))
    assert bad.code == 1
    assert bad.err == ""
    assert any(line.startswith("fail") and "gone" in line for line in bad.out.splitlines())


def test_demo(call: Call, tmp_path: Path) -> None:
    assert call("demo", "--out", str(tmp_path / "d"), "--limit", "3", "--rate", "1000").code == 0
    assert len(list((tmp_path / "d").iterdir())) == 3


def test_version(call: Call) -> None:
    assert call("version").out.startswith("taxon ")
    assert set(call("version", "--json").json()) == {"version", "schema"}


# -------------------------------------------------------------------------- reading waits for nobody


@pytest.mark.parametrize("arguments", READING, ids=lambda arguments: str(arguments[0]))
def test_reading_imports_nothing_heavy(filled: Path, arguments: Sequence[str]) -> None:
    script = (
        "import sys, run_agent\n"
        f"code = run_agent.main({[*arguments, '--data', str(filled)]!r})\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
        "sys.exit(code)\n"
    )
    done = python("-c", script)
    assert (done.returncode, done.stderr) == (0, "[]\n")


def test_a_reader_that_has_seen_enough_is_no_error(filled: Path) -> None:
    command = f"{sys.executable} run_agent.py export --data '{filled}' | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_end_does_not_look_through_all_that_was_imported() -> None:
    """An agent took 3 s from its last word to its exit, 15 s in all on a busy machine (fails without gc.freeze)."""
    script = (
        "import atexit, gc\n"
        "atexit.register(lambda: print(gc.get_freeze_count() > 1000))\n"
        "import run_agent\n"
        "run_agent.main(['version'])\n"
    )
    assert python("-c", script).stdout.splitlines()[-1] == "True"


def test_exit_codes_reach_the_shell() -> None:
    assert python("run_agent.py", "nonsense").returncode == 2
    assert python("run_agent.py", "--help").returncode == 0
