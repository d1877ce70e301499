"""Hypothesis strategies that several tests share; they construct valid examples instead of filtering."""

from typing import TypeVar

from hypothesis import strategies as st

T = TypeVar("T")


@st.composite
def lists_with(draw: st.DrawFn, special: st.SearchStrategy[T], others: st.SearchStrategy[T], max_size: int) -> list[T]:
    """Draw a list of `others`, with one `special` element at a random place; at most `max_size` elements in all."""
    before = draw(st.lists(others, max_size=max_size - 1))
    after = draw(st.lists(others, max_size=max_size - 1 - len(before)))
    return [*before, draw(special), *after]
