"""A list of which parts are replaced, one after the other and mostly in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Generic, TypeVar

_Item = TypeVar("_Item")


class GapList(Generic[_Item]):
    """Items, kept in two halves that meet where the last replacement ended.

    A replacement costs as much as it is away from the one before: a million of them in order cost what the
    list is long, and not the square of that.
    """

    def __init__(self, items: Iterable[_Item]) -> None:
        self._left: list[_Item] = []
        self._right = list(items)  # Backwards: what is next to the gap is at its end.
        self._right.reverse()

    def __len__(self) -> int:
        return len(self._left) + len(self._right)

    def __iter__(self) -> Iterator[_Item]:
        return chain(self._left, reversed(self._right))

    def span(self, start: int, stop: int) -> list[_Item]:
        """Return the items from ``start`` to before ``stop``, which are not beyond the list."""
        gap, size = len(self._left), len(self)
        behind = self._right[size - stop : size - max(start, gap)] if stop > gap else []
        behind.reverse()
        return self._left[start:stop] + behind

    def replace(self, start: int, stop: int, items: Sequence[_Item]) -> None:
        """Put ``items`` in the place of those from ``start`` to before ``stop``, not beyond the list."""
        gap = len(self._left)
        if start < gap:
            moved = self._left[start:]
            del self._left[start:]
            moved.reverse()
            self._right += moved
        elif start > gap:
            moved = self._right[gap - start :]
            del self._right[gap - start :]
            moved.reverse()
            self._left += moved
        del self._right[len(self._right) - (stop - start) :]
        self._left += items
