"""A lock that stays open, and one that is only wanted as long as nobody else did the work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.errors import Busy
from ledger.store.locks import Lock, locked


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


def asked(*answers: bool) -> Callable[[], bool]:
    """Return a question that is answered so, one answer after another."""
    left = iter(answers)
    return lambda: next(left)


def assert_held(path: Path, *, held: bool) -> None:
    """Somebody else can take the lock, or cannot."""
    if held:
        with pytest.raises(Busy), locked(path, 0):
            pass
    else:
        with locked(path, 0):
            pass


def test_a_lock_is_held_for_its_block_each_time(path: Path) -> None:
    """The file stays open in between, and the lock is free."""
    lock = Lock(path)
    for _ in range(2):
        with lock:
            assert_held(path, held=True)
        assert_held(path, held=False)


def test_a_lock_is_free_after_an_error(path: Path) -> None:
    """Whatever happens inside of the block."""
    lock = Lock(path)
    with pytest.raises(KeyError), lock:
        raise KeyError
    with pytest.raises(KeyError), lock.unless(lambda: False, 1):
        raise KeyError
    assert_held(path, held=False)


def test_a_removed_file_is_no_lock(path: Path) -> None:
    """Somebody cleans up in the wrong place: all agree on the file that is there now."""
    lock = Lock(path)
    with lock:
        pass
    path.unlink()
    with lock:
        assert_held(path, held=True)


def test_what_is_done_needs_no_lock(path: Path) -> None:
    """Not even one that is held by somebody who was stopped."""
    with Lock(path), Lock(path).unless(lambda: True, 60) as needed:
        assert not needed


def test_what_is_done_while_waiting_needs_no_lock(path: Path) -> None:
    """Who waits looks again, and goes on before the lock is free."""
    with Lock(path), Lock(path).unless(asked(False, False, True), 60) as needed:
        assert not needed


def test_what_was_done_just_before_the_lock_was_free_needs_not_be_done(path: Path) -> None:
    """The holder does the work and frees the lock between the look and the try."""
    with Lock(path).unless(asked(False, True), 60) as needed:
        assert not needed


def test_what_is_not_done_is_done_under_the_lock(path: Path) -> None:
    """Nobody else does it at the same time."""
    with Lock(path).unless(lambda: False, 60) as needed:
        assert needed
        assert_held(path, held=True)
    assert_held(path, held=False)


def test_a_stopped_holder_is_not_waited_for(path: Path) -> None:
    """Past the timeout it is done without the lock, which stays with its holder."""
    with Lock(path):
        with Lock(path).unless(lambda: False, 0.01) as needed:
            assert needed
        assert_held(path, held=True)
