from __future__ import annotations

from collections.abc import Sequence

import pytest

from benchmarks import __main__ as everything
from benchmarks import ingest, kinds, learning, startup, stream
from benchmarks.datasets import DatasetAbsent


def test_all_are_run_and_none_overwrites_what_is_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: dict[str, list[Sequence[str]]] = {}
    for module in (ingest, kinds, learning, startup, stream):
        name = module.__name__.rpartition(".")[2]
        monkeypatch.setattr(module, "main", asked.setdefault(name, []).append)
    assert everything.main() == 0
    assert {name: len(calls) for name, calls in asked.items()} == {
        "ingest": 1, "kinds": 6, "learning": 1, "startup": 1, "stream": 1,
    }  # fmt: skip
    told = stream._parser().parse_args(asked["stream"][0])
    assert str(told.out) != str(stream.RESULTS)
    assert "--out" not in asked["learning"][0]
    assert "kinds of cifar10, learning on" in capsys.readouterr().out


def test_a_set_that_is_not_here_is_skipped_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent(arguments: Sequence[str]) -> None:
        if arguments[1] != "digits":
            raise DatasetAbsent("looked for it in vain")

    for module in (ingest, learning, startup, stream):
        monkeypatch.setattr(module, "main", lambda _: 0)
    monkeypatch.setattr(kinds, "main", absent)
    assert everything.main() == 0
    assert capsys.readouterr().out.count("skipped: looked for it in vain") == 4
