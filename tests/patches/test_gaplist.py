"""A list of which parts are replaced: it is what a plain list would be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from patches.gaplist import GapList


@given(items=st.lists(st.integers()), data=st.data())
def test_it_is_a_list_whatever_is_replaced(items: list[int], data: st.DataObject) -> None:
    """In order, backwards and at the ends; any span of it is the list's."""
    ours, plain = GapList(items), list(items)
    for _ in range(data.draw(st.integers(0, 6))):
        start = data.draw(st.integers(0, len(plain)))
        stop = data.draw(st.integers(start, len(plain)))
        new = data.draw(st.lists(st.integers(), max_size=4))
        assert ours.span(start, stop) == plain[start:stop]
        ours.replace(start, stop, new)
        plain[start:stop] = new
        assert (len(ours), list(ours)) == (len(plain), plain)
