"""The quantities of each task, against counting by hand and the oracles that solve the tasks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatescope.tasks import TASKS, Task
from gatescope.tasks.base.strings import StringTask
from tests.tasks import oracles

STRINGS = ["counter", "selective_counter", "state_memoriser", "copy"]
TEXTS = {name: st.text(alphabet="".join(TASKS[name]().vocabulary.symbols), max_size=15) for name in STRINGS}


def digits_of(task: Task, text: str) -> dict[str, str]:
    """Return the quantities with one digit for each symbol; all numbers in these tests are below 10."""
    return {name: "".join(str(int(v)) for v in values) for name, values in task.quantities(text).items()}


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "counter",
            "aaXbb\n",
            {"reading": "110000", "at_x": "001000", "writing": "000110", "so_far": "122222", "owed": "122100"},
        ),
        # too many b's, an a and an X behind the X, a b before it, and something after the end mark
        (
            "counter",
            "baXbbaX\nab",
            {
                "reading": "1100000000",
                "at_x": "0010000000",
                "writing": "0001111000",
                "so_far": "0111111111",
                "owed": "0110000000",
            },
        ),
        ("counter", "aaa\n", {"reading": "1110", "at_x": "0000", "writing": "0000", "so_far": "1233", "owed": "1233"}),
        ("counter", "a\nX", {"reading": "100", "at_x": "000", "writing": "000", "so_far": "111", "owed": "111"}),
        (
            "selective_counter",
            "XaXaYbb\n",
            {
                "reading": "11110000",
                "at_y": "00001000",
                "writing": "00000110",
                "is_x": "10100000",
                "so_far": "01122222",
                "x_so_far": "11222222",
                "owed": "01122100",
            },
        ),
        (
            "state_memoriser",
            "BxxYb\n",
            {
                "reading": "111000",
                "at_y": "000100",
                "writing": "000010",
                "remembers_a": "000000",
                "remembers_b": "111111",
                "gap": "012222",
            },
        ),
        ("state_memoriser", "xYA", {"remembers_a": "000", "remembers_b": "000", "gap": "111", "writing": "001"}),
        (
            "copy",
            "cabXcab\n",
            {
                "reading": "11100000",
                "at_x": "00010000",
                "writing": "00001110",
                "position": "12301230",
                "next_a": "00001000",
                "next_b": "00000100",
                "next_c": "00010000",
                "next_end": "00000010",
                "letter0_a": "00000000",
                "letter0_c": "11111111",
                "letter1_a": "01111111",
                "letter2_b": "00111111",
                "letter2_c": "00000000",
            },
        ),
        # a short word, copied wrongly and too long
        ("copy", "aXbb", {"position": "1012", "next_a": "0100", "next_b": "0000", "next_end": "0011"}),
        ("copy", "X\n", {"at_x": "10", "position": "00", "next_end": "10"}),
    ],
)
def test_quantities_equal_values_by_hand(name: str, text: str, expected: dict[str, str]) -> None:
    quantities = digits_of(TASKS[name](), text)
    assert {key: quantities[key] for key in expected} == expected


@pytest.mark.parametrize("name", STRINGS)
def test_every_quantity_has_a_title_and_fits_any_text(name: str) -> None:
    task = TASKS[name]()

    @given(text=TEXTS[name])
    def check(text: str) -> None:
        quantities = task.quantities(text)
        assert list(quantities) == list(task.quantity_titles)
        assert all(values.shape == (len(text),) for values in quantities.values())
        assert all((values >= 0).all() for values in quantities.values() if values.dtype != np.bool_)
        phases = quantities["reading"].astype(int) + quantities["writing"]
        marks = quantities.get("at_x", quantities.get("at_y"))
        assert marks is not None
        ended = np.array(["\n" in text[: step + 1] for step in range(len(text))], dtype=bool)
        assert (phases + marks == ~ended).all(), "one phase at a time, and none from the end mark on"

    check()


@pytest.mark.parametrize("name", STRINGS)
def test_quantities_do_not_depend_on_later_symbols(name: str) -> None:
    task = TASKS[name]()

    @given(text=TEXTS[name], data=st.data())
    def check(text: str, data: st.DataObject) -> None:
        cut = data.draw(st.integers(0, len(text)))
        whole, beginning = task.quantities(text), task.quantities(text[:cut])
        for key, values in beginning.items():
            assert (values == whole[key][:cut]).all(), key

    check()


@pytest.mark.parametrize("name", ["counter", "selective_counter"])
def test_oracle_ends_a_string_when_nothing_is_owed(name: str) -> None:
    task = TASKS[name]()
    assert isinstance(task, StringTask)
    for text in task.evaluation():
        quantities = task.quantities(text)
        for step in np.flatnonzero(quantities["writing"]).tolist():
            assert (oracles.RULES[name](text[: step + 1]) == "\n") == (quantities["owed"][step] == 0)


def test_next_letter_of_copy_is_that_of_the_oracle() -> None:
    task = TASKS["copy"]()
    assert isinstance(task, StringTask)
    for text in task.evaluation():
        quantities = task.quantities(text)
        for step in range(len(text) - 1):
            expected = oracles.copy(text[: step + 1])
            letters = [letter for letter in "abc" if quantities[f"next_{letter}"][step]] + ["\n"] * int(
                quantities["next_end"][step]
            )
            assert letters == ([] if expected is None else [expected])


def test_text_has_no_quantities(tmp_path) -> None:
    (tmp_path / "some.txt").write_text("some words " * 100)
    task = TASKS["text"]([tmp_path / "some.txt"])
    assert task.quantities("some words") == task.quantity_titles == {}
