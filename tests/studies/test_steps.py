"""All steps of all sequences on one axis."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatescope import TASKS, Vocabulary, record, record_to
from gatescope.features import FAMILIES, Family, Feature, of_arrays
from gatescope.studies import Steps, StudyError
from gatescope.tasks.base.strings import StringTask
from tests.networks import network

LETTERS = Vocabulary(tuple("abX\n"), end="\n")


def own_features(text: str) -> list[Feature]:
    return of_arrays("own", {"place": np.arange(len(text)), "is_a": np.array([c == "a" for c in text])}, {})


OWN = Family("own", "", own_features)


@given(st.lists(st.text(alphabet="abX", max_size=5), min_size=1, max_size=5))
def test_steps_follow_the_order_of_the_text(strings: list[str]) -> None:
    text = "\n".join(strings) + "\n"
    trace = record(network("gru", [3], vocabulary=LETTERS), text, drives=False)
    steps = Steps(trace)
    assert "".join(steps.texts()) == text
    assert LETTERS.decode(steps.of_step("token")) == text
    assert len(steps) == len(text)
    values = steps.values("layer0", "h")
    for place in range(len(text)):
        expected = trace["layer0"]["h"][steps.sequence[place], steps.step[place]]
        assert np.array_equal(values[place], expected)
    assert np.array_equal(steps.values("layer0", "h", [2, 0]), values[:, [2, 0]])
    place, is_a = steps.features([OWN])
    assert np.array_equal(place.values, steps.step)
    assert is_a.values.tolist() == [c == "a" for c in text]


def test_equal_sequences_have_equal_numbers() -> None:
    trace = record(network("gru", [3], vocabulary=LETTERS), "a\nbb\na\nb\nbb\n", drives=False)
    assert Steps(trace).same().tolist() == [0, 1, 0, 2, 1]


def test_bytes_have_the_features_of_their_character() -> None:
    text = "aé€a"
    trace = record(network("gru", [3], vocabulary=Vocabulary.of_bytes()), text, drives=False)
    steps = Steps(trace)
    assert len(steps) == 7
    place, is_a = steps.features([OWN])
    assert place.values.tolist() == [0, 1, 1, 2, 2, 2, 3]
    assert is_a.values.tolist() == [True, False, False, False, False, False, True]


def test_features_of_invalid_bytes_are_refused() -> None:
    ids = [np.array([0x61, 0xFF], np.int32)]
    trace = record(network("gru", [3], vocabulary=Vocabulary.of_bytes()), ids, drives=False)
    with pytest.raises(StudyError, match="not valid text"):
        Steps(trace).features([OWN])


def test_steps_from_disk_equal_memory(tmp_path: object) -> None:
    net = network("lstm", [4], vocabulary=LETTERS)
    text = "aXb\naaXbb\nX\n"
    memory, disk = record(net, text), record_to(f"{tmp_path}/trace", net, text, dtype="float32")
    for signal in ("c", "f"):
        assert np.array_equal(
            Steps(disk).values("layer0", signal, slice(1, 3)), Steps(memory).values("layer0", signal, slice(1, 3))
        )
    assert np.array_equal(Steps(disk).of_step("target"), Steps(memory).of_step("target"))


def test_steps_refuse_an_unknown_signal() -> None:
    trace = record(network("gru", [3], vocabulary=LETTERS), "ab", drives=False)
    with pytest.raises(StudyError, match=r"Signal of layer0: expected one of .* got 'c'"):
        Steps(trace).values("layer0", "c")


@pytest.mark.parametrize("name", ["counter", "selective_counter", "state_memoriser", "copy"])
def test_held_out_strings_come_from_the_evaluation(name: str) -> None:
    task = TASKS[name]()
    assert isinstance(task, StringTask)
    text = task.held_out(500)
    strings = task.vocabulary.split(text)
    assert set(strings) <= set(task.evaluation())
    assert 500 <= len(text) < 500 + max(map(len, strings))
    assert text == TASKS[name]().held_out(500)
    assert FAMILIES["character"].annotate(strings[0])
