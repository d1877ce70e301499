"""Laws of batches of similar length."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatescope.tasks.tagging.rows import Rows, padded

LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=40)


@given(lengths=LENGTHS, size=st.integers(1, 9), longest=st.integers(1, 70), seed=st.integers(0, 2**40))
def test_an_epoch_has_every_step_once_and_the_next_one_too(
    lengths: list[int], size: int, longest: int, seed: int
) -> None:
    rows = Rows(np.array(lengths), size, longest)
    for epoch in range(2):
        batches = [rows.batch(seed, epoch * rows.epoch + k) for k in range(rows.epoch)]
        read = [np.zeros(length, int) for length in lengths]
        for sequence, steps in (piece for batch in batches for piece in batch):
            assert 0 <= steps.start <= steps.stop <= lengths[sequence]
            read[sequence][steps] += 1
        assert all((counts == 1).all() for counts in read)
        sizes = sorted(map(len, batches))
        assert sizes[-1] <= size
        assert sum(length < size for length in sizes) <= 1, "only one batch is not full"


@given(lengths=LENGTHS, longest=st.integers(2, 30), seed=st.integers(0, 99))
def test_long_sequences_are_cut_into_the_fewest_pieces(lengths: list[int], longest: int, seed: int) -> None:
    rows = Rows(np.array(lengths), 1, longest)
    pieces = [piece for k in range(rows.epoch) for piece in rows.batch(seed, k)]
    for number, length in enumerate(lengths):
        piece_lengths = [steps.stop - steps.start for sequence, steps in pieces if sequence == number]
        assert len(piece_lengths) == -(-length // longest)
        assert max(piece_lengths) <= 1.5 * longest + 1


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    lengths = np.arange(1, 90)
    rows, same_rows = Rows(lengths, 4, 20), Rows(lengths, 4, 20)
    last = rows.batch(3, 200)
    for step in (0, 7, 199, 200):
        assert rows.batch(3, step) == same_rows.batch(3, step)
    assert rows.batch(3, 200) == last
    assert rows.batch(4, 200) != last
    assert rows.batch(3, 200 % rows.epoch) != last, "another epoch, another order"


def test_rows_of_a_batch_are_about_as_long() -> None:
    random = np.random.default_rng(0)
    lengths = random.integers(1, 100, 3000)
    rows = Rows(lengths, 32, 1000)
    read = filled = 0
    for step in range(rows.epoch):
        sizes = [steps.stop - steps.start for _, steps in rows.batch(0, step)]
        read += sum(sizes)
        filled += max(sizes) * len(sizes)
    mixed = np.array_split(lengths, rows.epoch)
    assert filled < 1.25 * read
    assert sum(part.max() * len(part) for part in mixed) > 1.8 * read, "what it would be without"


def test_padding_is_minus_one_of_ids_and_nan_of_numbers() -> None:
    ids = padded([np.array([4, 5], np.int32), np.array([6], np.int32)])
    assert ids.tolist() == [[4, 5], [6, -1]]
    assert ids.dtype == np.int32
    numbers = padded([np.ones((1, 2), np.float32), np.zeros((2, 2), np.float32)])
    assert numbers.dtype == np.float32
    assert numbers[1].tolist() == [[0, 0], [0, 0]]
    assert numbers[0, 0].tolist() == [1, 1]
    assert np.isnan(numbers[0, 1]).all()


@pytest.mark.parametrize("rows", [[np.array([], np.int32)], [np.empty((0, 3), np.float32)]])
def test_rows_without_steps(rows: list[np.ndarray]) -> None:
    assert padded(rows).shape == (1, *rows[0].shape)
