from __future__ import annotations

import errno
from collections.abc import Callable

import pytest
from sqlalchemy.exc import OperationalError

from agent.patience import RETRY_S, Patience
from storage.errors import StoreLocked, Unreachable


def failing(*errors: Exception) -> Callable[[], None]:
    left = list(errors)

    def work() -> None:
        if left:
            raise left.pop(0)

    return work


def test_what_may_pass_is_waited_for_longer_and_longer() -> None:
    waits: list[float] = []
    patience = Patience(waits.append)
    full = OperationalError("INSERT", {}, Exception("database or disk is full"))
    work = failing(full, OSError(errno.ENOSPC, "No space left on device"), StoreLocked("locked"), *[full] * 5)
    assert [patience.attempt(work) for _ in range(9)] == [False] * 8 + [True]
    assert waits == [*RETRY_S, RETRY_S[-1], RETRY_S[-1]]
    assert not patience.attempt(failing(full))
    assert waits[-1] == RETRY_S[0], "it went well in between"


def test_a_server_that_is_away_is_no_full_disk(capsys: pytest.CaptureFixture[str]) -> None:
    cut = OperationalError("INSERT", {}, Exception("server closed the connection"), connection_invalidated=True)
    for error in (cut, Unreachable("postgresql://db/kinds cannot be opened")):
        assert not Patience(lambda _: None).attempt(failing(error))
    assert "disk" not in "".join(capsys.readouterr())


@pytest.mark.parametrize("error", [ValueError("a bug"), FileNotFoundError(errno.ENOENT, "no such file")])
def test_what_will_not_pass_is_raised(error: Exception) -> None:
    with pytest.raises(type(error)):
        Patience(lambda _: None).attempt(failing(error))
