"""Hypothesis strategies that several tests share: they draw what is wanted, so that nothing has to be filtered."""

from typing import TypeVar

from hypothesis import strategies as st

T = TypeVar("T")


@st.composite
def lists_with(draw: st.DrawFn, wanted: st.SearchStrategy[T], others: st.SearchStrategy[T], max_size: int) -> list[T]:
    """Draw a list of `others`, with one `wanted` element somewhere in it; at most `max_size` elements together."""
    before = draw(st.lists(others, max_size=max_size - 1))
    after = draw(st.lists(others, max_size=max_size - 1 - len(before)))
    return [*before, draw(wanted), *after]
