"""The addition problem against sums in plain Python, predictors built by hand, and a network that learns it."""

import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatescope import Run, Settings, check_with, create_run, record, train
from gatescope.tasks import TASKS, TaskError, load
from gatescope.tasks.addition import Addition

Answer = Callable[[Any], float]

PAIRS = st.lists(st.tuples(st.floats(-2, 2, width=32), st.sampled_from([0.0, 1.0])), max_size=20)


def marked_sum(pairs: list[tuple[float, float]]) -> float:
    """Return the sum of the marked values of (value, marker) pairs."""
    return sum(value for value, marker in pairs if marker == 1)


def predictor(answer: Answer) -> Callable[[Sequence[np.ndarray]], list[np.ndarray]]:
    """Return a predictor of one number for each sequence: `answer`(pairs)."""
    return lambda sequences: [np.array([[answer(rows.tolist())]]) for rows in sequences]


def text_of(pairs: list[tuple[float, float]]) -> str:
    return "".join(f"{value!r},{marker!r}\n" for value, marker in pairs)


# --- data ------------------------------------------------------------------------------------------------------------


def test_batch_has_two_marks_and_their_sum_as_target() -> None:
    task = Addition(batch=40, shortest=7, longest=9)
    batch = task.batch(seed=3, step=5)
    assert batch.tokens.shape == (40, 9, 2)
    assert batch.targets.shape == (40, 9, 1)
    assert not batch.continues
    assert set(batch.lengths.tolist()) == {7, 8, 9}
    for tokens, targets, length in zip(batch.tokens, batch.targets, batch.lengths.tolist(), strict=True):
        assert np.isnan(tokens[length:]).all()
        values, markers = tokens[:length].T
        assert ((values >= 0) & (values < 1)).all()
        first, second = np.flatnonzero(markers).tolist()
        assert set(markers.tolist()) == {0.0, 1.0}
        assert first < length // 2 <= second
        steps_with_target = np.flatnonzero(~np.isnan(targets[:, 0])).tolist()
        assert steps_with_target == [length - 1]
        assert targets[length - 1, 0] == pytest.approx(float(values[first]) + float(values[second]), abs=1e-7)


@pytest.mark.parametrize(("seed", "step"), [(0, 1), (1, 0)])
def test_batches_depend_on_seed_and_step_alone(seed: int, step: int) -> None:
    task = Addition(batch=4)
    np.testing.assert_array_equal(task.batch(0, 0).tokens, Addition(batch=4).batch(0, 0).tokens)
    other = task.batch(seed, step).tokens
    first = task.batch(0, 0).tokens
    assert other.shape != first.shape or not np.array_equal(other, first, equal_nan=True)


def test_sums_have_the_variance_of_two_uniform_numbers() -> None:
    batch = Addition(batch=4_000, shortest=2, longest=4).batch(0, 0)
    sums = batch.targets[~np.isnan(batch.targets)]
    assert sums.mean() == pytest.approx(1, abs=0.03)  # a standard error is 0.0065
    assert sums.var() == pytest.approx(2 / 12, abs=0.015)  # a standard error is 0.003


def test_shortest_sequences_have_marks_only() -> None:
    batch = Addition(batch=3, shortest=2, longest=2).batch(0, 0)
    assert (batch.tokens[:, :, 1] == 1).all()


def test_evaluation_is_fixed_and_not_trained_on() -> None:
    task = Addition(batch=100)
    evaluated = task.evaluation()
    assert len(evaluated) == 500
    assert all(np.array_equal(a, b) for a, b in zip(evaluated, Addition().evaluation(), strict=True))
    firsts = {rows[0, 0] for rows in evaluated}
    trained = {value for step in range(5) for value in task.batch(0, step).tokens[:, 0, 0].tolist()}
    assert len(firsts & trained) < 5  # of 24 bits, a few may coincide


# --- the score -------------------------------------------------------------------------------------------------------


def test_adding_predictor_solves_every_length() -> None:
    score = Addition().score(predictor(marked_sum))
    assert score.value < 1e-12
    assert score.solved is True
    assert score.better == "lower"
    assert score.details == {"close": 1.0, "first_failure": None, "tried": 440}
    assert "every length tried is done, up to 440" in score.text


def test_predicting_one_is_at_chance() -> None:
    task = Addition()
    score = task.score(predictor(lambda pairs: 1.0))
    assert score.chance == pytest.approx(0.167, abs=0.0005)
    assert score.value == pytest.approx(score.chance, abs=0.03)  # a standard error of 500 squares is 0.009
    assert score.value == task.validation(predictor(lambda pairs: 1.0))
    assert score.solved is False
    assert score.details["first_failure"] is None
    assert score.details["tried"] == task.longest


def test_score_names_the_first_length_that_fails() -> None:
    """Lengths a tenth longer each time: 11, then 13, 15, 17, ..."""
    lengths, length = [], 10
    while length < 80:
        length = min(-(-11 * length // 10), 80)
        lengths.append(length)
    task = Addition(shortest=5, longest=10)
    for limit in (10, 14, 40, 79):
        score = task.score(predictor(lambda pairs, limit=limit: marked_sum(pairs) + (1 if len(pairs) > limit else 0)))
        assert score.solved is True
        assert score.details["first_failure"] == next(length for length in lengths if length > limit)


def test_solved_allows_a_tenth_of_wrong_sums() -> None:
    """The error counts as solved up to exactly one wrong sum in ten."""
    task = Addition(shortest=4, longest=4)
    for every, solved in ((12, True), (10, True), (8, False)):
        counter = itertools.count()
        score = task.score(predictor(lambda p, c=counter, n=every: marked_sum(p) + (0.05 if next(c) % n == 0 else 0)))
        assert score.solved is solved


def test_nan_has_an_infinite_error() -> None:
    score = Addition().score(predictor(lambda pairs: float("nan")))
    assert score.value == np.inf
    assert score.solved is False
    assert score.details["close"] == 0


def test_predictions_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="shapes"):
        Addition().score(lambda sequences: [np.zeros((len(rows), 1)) for rows in sequences])


# --- texts -----------------------------------------------------------------------------------------------------------


def test_examples_are_sequences_of_the_task() -> None:
    task = Addition(shortest=20, longest=22)
    lengths = []
    for text in task.examples():
        (part,) = task.vocabulary.split(text)
        pairs = task.vocabulary.encode(part)
        lengths.append(len(pairs))
        assert pairs[:, 1].sum() == 2
    assert lengths == [22, 4, 22, 44]


def test_held_out_texts_are_the_evaluated_sequences() -> None:
    task = Addition(shortest=5, longest=6)
    text = task.held_out(1000)
    assert 1000 <= len(text) < 1100
    known = {rows[:, 0].tobytes() for rows in task.evaluation()}
    parts = task.vocabulary.split(text)
    assert all(5 <= len(task.vocabulary.encode(part)) <= 6 for part in parts)
    exact = [task.vocabulary.encode(part)[:, 0] for part in parts]
    nearest = [min(np.abs(np.frombuffer(k, np.float32)[:1] - rows[:1]).max() for k in known) for rows in exact]
    assert max(nearest) < 1e-5


@given(PAIRS)
def test_quantities_equal_a_loop(pairs: list[tuple[float, float]]) -> None:
    task = Addition()
    quantities = task.quantities(text_of(pairs))
    assert set(quantities) == set(task.quantity_titles)
    total, count, first = 0.0, 0, 0.0
    for step, (value, marker) in enumerate(pairs):
        if marker:
            first = value if count == 0 else first
            total, count = total + value, count + 1
        assert quantities["sum"][step] == pytest.approx(total, abs=1e-12)
        assert quantities["marks"][step] == count
        assert quantities["marked"][step] == bool(marker)
        assert quantities["first"][step] == first
    assert all(len(values) == len(pairs) for values in quantities.values())


@given(PAIRS)
def test_target_is_at_the_last_pair_only(pairs: list[tuple[float, float]]) -> None:
    answers = Addition().answers(text_of(pairs))
    assert answers.shape == (len(pairs), 1)
    assert np.isnan(answers[:-1]).all()
    if pairs:
        assert answers[-1, 0] == pytest.approx(marked_sum(pairs), abs=1e-5)


def test_line_without_a_pair_is_named() -> None:
    for read in (Addition().quantities, Addition().answers):
        with pytest.raises(TaskError, match="Line 2"):
            read("0.5,1\n0.5\n")


# --- settings and task.json ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [{"batch": 0}, {"shortest": 1}, {"shortest": 60}, {"longest": 10_001}],
)
def test_settings_out_of_range_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(TaskError, match=r"expected .*, got "):
        Addition(**settings)


def test_task_is_equal_after_json() -> None:
    task = Addition(batch=3, shortest=4, longest=8)
    loaded = load(json.loads(json.dumps(task.to_json())))
    assert isinstance(loaded, Addition)
    assert loaded.to_json() == task.to_json()
    np.testing.assert_array_equal(loaded.batch(1, 2).tokens, task.batch(1, 2).tokens)
    assert loaded.recommended == task.recommended
    assert TASKS["addition"] is Addition


@pytest.mark.parametrize(
    "data", [{"name": "copy"}, [], {"name": "addition", "longest": "many"}, {"name": "addition", "batch": 1.5}]
)
def test_damaged_json_is_refused(data: object) -> None:
    with pytest.raises(TaskError):
        Addition.from_json(data)


def test_network_learns_to_add_two_of_four(tmp_path: Path) -> None:
    task = Addition(batch=16, shortest=4, longest=4)
    run = create_run(tmp_path / "run", task, None, Settings.recommended(task, steps=250, validate_every=1000))
    outcome = train(run)
    assert outcome.score is not None
    assert outcome.score.value < outcome.score.chance / 4
    network, _ = Run(run.path).network()
    trace = record(network, task.examples()[0] + "\n" + task.examples()[1], answers=task.answers)
    assert check_with(network, trace).largest < trace.attributes["tolerance"]
    lengths = trace.lengths.tolist()
    estimates = np.asarray(trace.steps["estimate"])
    predicted = [float(estimates[row, length - 1, 0]) for row, length in enumerate(lengths)]
    sums = [task.answers(text)[-1:].sum(dtype=np.float64) for text in task.examples()[:2]]
    assert predicted == pytest.approx(sums, abs=0.6)
    np.testing.assert_array_equal(
        [trace.steps["value"][row, length - 1, 0] for row, length in enumerate(lengths)], np.array(sums, np.float32)
    )
