"""Reading a trace in pieces, or from disk, gives the same values as reading it at once from memory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatescope import Vocabulary
from gatescope.studies import StudyError
from gatescope.studies.common.arrays import around, blocks, check_neuron, check_sequence, in_pieces, of_neurons
from tests.reference.traces import make
from tests.studies.planted import column, pieces_of, places, planted, stored

lengths = st.lists(st.integers(0, 9), max_size=5)


@settings(max_examples=60)
@given(lengths=lengths, neurons=st.integers(0, 4), size=st.sampled_from([1, 5, 24, 1 << 22]), data=st.data())
def test_every_place_is_read_once_and_in_order(
    lengths: list[int], neurons: int, size: int, data: st.DataObject
) -> None:
    trace = make(["gru"], lengths, neurons=neurons, padding=data.draw(st.integers(0, 2))).trace
    expected = places(trace, "z")
    chosen = data.draw(st.lists(st.integers(0, neurons - 1), max_size=5)) if neurons else []
    low, high = sorted((data.draw(st.integers(0, neurons)), data.draw(st.integers(0, neurons))))
    with pieces_of(size):
        assert np.array_equal(of_neurons(trace, "layer0", "z", chosen), expected.T[chosen])
        assert np.array_equal(of_neurons(trace, "layer0", "z", slice(low, high)), expected.T[low:high])
        pieces = list(in_pieces(trace, "layer0", "z"))
        assert np.array_equal(np.concatenate([np.zeros((0, neurons)), *pieces]), expected)
        assert all(piece.size <= max(size, neurons) for piece in pieces)


@pytest.mark.parametrize("size", [1, 7, 1 << 22])
@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_reading_from_disk_equals_memory(size: int, dtype: str, tmp_path: object) -> None:
    trace = make(["lstm"], [3, 0, 7, 1], padding=1, dtype="float64").trace
    trace["layer0"]["h"][...] = trace["layer0"]["h"].astype(dtype)
    lazy = stored(trace, f"{tmp_path}/trace")
    with pieces_of(size):
        assert np.array_equal(of_neurons(lazy, "layer0", "h", [2, 0, 2]), places(trace, "h").T[[2, 0, 2]])
        assert np.array_equal(of_neurons(lazy, "layer0", "h", slice(1, 3)), places(trace, "h").T[1:3])
        assert np.array_equal(np.concatenate(list(in_pieces(lazy, "layer0", "h"))), places(trace, "h"))


@given(neurons=st.integers(0, 50), count=st.integers(0, 100), size=st.integers(1, 300))
def test_blocks_cover_all_neurons_within_the_size(neurons: int, count: int, size: int) -> None:
    with pieces_of(size):
        slices = list(blocks(neurons, count))
    assert [k for block in slices for k in range(block.start, block.stop)] == list(range(neurons))
    assert all((block.stop - block.start) * count <= size or block.stop - block.start == 1 for block in slices)


def test_reading_refuses_unknown_names() -> None:
    trace = planted({"h": [column(1, 2)]})
    with pytest.raises(StudyError, match="Signal of layer0: expected one of h, got 'q'"):
        of_neurons(trace, "layer0", "q", [0])
    with pytest.raises(StudyError, match="Neuron of layer0: expected a number from 0 to 0, got 1"):
        check_neuron(trace, "layer0", "h", 1)
    for sequence in (1, -1):
        with pytest.raises(StudyError, match="Sequence of the trace: expected a number from 0 to 0"):
            check_sequence(trace, sequence)
    assert check_sequence(trace, 0) == 2


def test_around_splits_the_text_of_a_place() -> None:
    trace = planted({"h": [np.zeros((6, 1)), np.zeros((2, 1))]}, texts=["abcdef", "xy"])
    assert around(trace, 0, 2, 3, 2) == ("ab", "cd", "ef")
    assert around(trace, 0, 0, 0, 2) == ("", "a", "bc")
    assert around(trace, 0, 5, 5, 9) == ("abcde", "f", "")
    assert around(trace, 1, 0, 1, 9) == ("", "xy", "")
    assert around(trace, 0, 1, 2, 0) == ("", "bc", "")


def test_around_shows_multibyte_characters_whole() -> None:
    text = "aé中😀b"  # 1, 2, 3, 4 and 1 bytes: they begin at 0, 1, 3, 6 and 10
    trace = planted({"h": [np.zeros((11, 1))]}, texts=[text], vocabulary=Vocabulary.of_bytes())
    assert around(trace, 0, 4, 4, 1) == ("", "中", "")
    assert around(trace, 0, 4, 4, 2) == ("é", "中", "😀")
    assert around(trace, 0, 5, 6, 0) == ("", "中😀", "")
    assert around(trace, 0, 10, 10, 1) == ("😀", "b", "")
    assert around(trace, 0, 8, 8, 20) == ("aé中", "😀", "b")
