"""Laws of the four tasks of short strings."""

import itertools
import json
import math
import re
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatescope.tasks import TASKS, Task, TaskError, load
from gatescope.tasks.base.strings import StringTask
from gatescope.tasks.counting.selective_counter import held_out
from gatescope.tasks.counting.state_memoriser import StateMemoriser
from tests.tasks import oracles

NAMES = ["counter", "selective_counter", "state_memoriser", "copy"]
LANGUAGE: dict[str, Callable[[str], bool]] = {
    "counter": lambda s: bool(m := re.fullmatch(r"(a{1,10})X(b+)\n", s)) and len(m[1]) == len(m[2]),
    "selective_counter": lambda s: (
        bool(m := re.fullmatch(r"([aX]+)Y(b{1,10})\n", s)) and m[1].count("a") == len(m[2]) and m[1].count("X") <= 10
    ),
    "state_memoriser": lambda s: bool(re.fullmatch(r"(Ax{1,10}Ya|Bx{1,10}Yb)\n", s)),
    "copy": lambda s: bool(re.fullmatch(r"([abc]{3})X\1\n", s)),
}


def make(name: str, batch: int | None = None) -> StringTask:
    task = TASKS[name](batch=batch)
    assert isinstance(task, StringTask)
    return task


def strings_of_batch(task: Task, seed: int, step: int) -> list[str]:
    """Return the strings of a batch, put together from its tokens and targets."""
    batch = task.batch(seed, step)
    symbols = task.vocabulary.symbols
    texts = []
    for tokens, targets in zip(batch.tokens, batch.targets, strict=True):
        filled = tokens != -1
        assert (filled == (targets != -1)).all(), "every symbol but the last has a next one"
        assert not filled[np.argmin(filled) :].any() or filled.all(), "padding comes after the string only"
        assert (tokens[filled][1:] == targets[filled][:-1]).all(), "a target is the next symbol"
        texts.append("".join(symbols[k] for k in (*tokens[filled][:1], *targets[filled])))
    return texts


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 2**70), step=st.integers(0, 10**9))
def test_batch_has_strings_of_the_language_only(name: str, seed: int, step: int) -> None:
    task = make(name)
    batch = strings_of_batch(task, seed, step)
    assert len(batch) == task.recommended.batch
    assert all(map(LANGUAGE[name], batch))
    batch = task.batch(seed, step)
    assert batch.tokens.dtype == batch.targets.dtype == np.int32
    assert batch.tokens.shape == batch.targets.shape
    assert not batch.continues
    assert (batch.tokens != -1).any(axis=0).all(), "no column is all padding"


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_depends_on_seed_and_step_only(name: str) -> None:
    task, other = make(name), make(name)
    for _ in range(3):
        other.batch(5, 1)
    assert (task.batch(3, 7).tokens == other.batch(3, 7).tokens).all()
    different = {tuple(strings_of_batch(task, seed, step)) for seed in range(4) for step in range(50)}
    assert len(different) == 200
    assert strings_of_batch(task, 2**32, 0) != strings_of_batch(task, 0, 1)


@pytest.mark.parametrize("name", NAMES)
def test_batch_has_the_given_number_of_rows(name: str) -> None:
    assert len(make(name, batch=3).batch(0, 0).tokens) == 3
    assert make(name, batch=3).recommended.batch == 3
    with pytest.raises(TaskError, match="Batch: expected 1 row or more, got 0"):
        make(name, batch=0)
    with pytest.raises(TaskError, match="expected 0 or more, got seed -1"):
        make(name).batch(-1, 0)


@pytest.mark.parametrize(("name", "count"), [("counter", 10), ("state_memoriser", 20), ("copy", 27)])
def test_training_draws_small_languages_uniformly(name: str, count: int) -> None:
    task = make(name)
    drawn = [s for step in range(200) for s in strings_of_batch(task, 0, step)]
    assert set(drawn) == set(task.evaluation())
    assert len(set(drawn)) == count
    assert min(drawn.count(s) for s in set(drawn)) > 0.7 * len(drawn) / count


def test_held_out_strings_are_never_trained_on() -> None:
    task = make("selective_counter", batch=16)
    scored = set(task.evaluation())
    trained = {s for seed in range(3) for step in range(200) for s in strings_of_batch(task, seed, step)}
    assert not scored & trained
    assert all(zlib.crc32(s.split("Y")[0].encode()) % 5 == 0 for s in scored)
    assert not any(zlib.crc32(s.split("Y")[0].encode()) % 5 == 0 for s in trained)
    assert {s.count("b") for s in trained} == {s.count("b") for s in scored} == set(range(1, 11))
    assert {s.count("X") for s in trained} == set(range(11))
    assert {s[:2] for s in trained} == {"aa", "aX", "Xa", "XX", "aY"}, "X's stand before, between and after"
    assert all(len([s for s in scored if s.count("b") == n]) >= (8 if n == 1 else 20) for n in range(1, 11))


def test_one_pattern_in_five_is_held_out() -> None:
    patterns = ["".join(p) for n in range(1, 13) for p in itertools.product("aX", repeat=n)]
    assert np.mean([held_out(p) for p in patterns]) == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_oracle_solves_and_uniform_guess_is_at_chance(name: str) -> None:
    task = make(name)
    perfect = task.score(oracles.predictor(task, oracles.RULES[name]))
    assert perfect.value == 1
    assert perfect.solved is True
    assert perfect.details.get("first_failure") is None
    guess = task.score(oracles.uniform(task))
    assert guess.value <= guess.chance < 1
    assert guess.solved is False
    assert guess.chance == perfect.chance
    for score in (perfect, guess):
        assert json.loads(json.dumps(score.to_json()))["value"] == score.value
        assert "\n" not in score.text


@pytest.mark.parametrize("name", NAMES)
def test_chance_is_the_best_guess_from_one_symbol(name: str) -> None:
    task = make(name)
    symbols = task.vocabulary.symbols
    symbols_with_answer = {"counter": "Xb", "selective_counter": "Yb", "state_memoriser": "Yab", "copy": "Xabc"}[name]
    values = []
    for choice in itertools.product(symbols, repeat=len(symbols_with_answer)):
        table = dict(zip(symbols_with_answer, choice, strict=True))
        values.append(task.score(oracles.predictor(task, lambda read, t=table: t.get(read[-1]))).value)
    assert max(values) == pytest.approx(task.score(oracles.uniform(task)).chance)


@pytest.mark.parametrize("name", NAMES)
def test_nan_predictions_are_wrong(name: str) -> None:
    task = make(name)
    score = task.score(lambda sequences: [np.full((len(ids), task.vocabulary.size), np.nan) for ids in sequences])
    assert score.value == 0
    assert score.solved is False


@pytest.mark.parametrize("name", ["counter", "selective_counter"])
@pytest.mark.parametrize("broken", [1, 4, 10, 11, 14, 100, 101])
def test_the_first_failure_is_the_first_number_that_fails(name: str, broken: int) -> None:
    task = make(name)

    def rule(read: str) -> str | None:
        answer = oracles.RULES[name](read)
        count = re.split("[XY]" if name == "counter" else "Y", read)[0].count("a")
        return "b" if answer == "\n" and count in (broken, broken + 3) else answer

    score = task.score(oracles.predictor(task, rule))
    assert score.details["first_failure"] == (broken if broken <= 100 else None)
    assert score.solved == (broken > 10)
    assert (score.value == 1) == (broken > 10)
    assert set(score.details["exact"]) == set(range(1, 11)) - {broken, broken + 3}
    if broken == 14 and name == "counter":
        assert score.text == "exact for every N from 1 to 10; first wrong at 14"
    if broken == 4 and name == "counter":
        assert score.text == "exact for 8 of the 10 values of N from 1 to 10; first wrong at 4"


@pytest.mark.parametrize(
    ("broken", "value", "text"),
    [
        ("Bx", 19 / 20, "19 of the 20 strings are right; the shortest gap it fails at is 1 x"),
        ("Axxxxxxx", 19 / 20, "19 of the 20 strings are right; the shortest gap it fails at is 7 x's"),
        ("B" + 37 * "x", 1.0, "all 20 strings are right; the shortest gap it fails at is 37 x's"),
        ("B" + 201 * "x", 1.0, "all 20 strings are right, and so is every longer gap tried, up to 200 x's"),
    ],
)
def test_the_first_failure_of_the_memoriser_is_the_shortest_gap(broken: str, value: float, text: str) -> None:
    task = make("state_memoriser")
    wrong = {broken, broken + "x"} if len(broken) > 10 else {broken}
    swapped = {"A": "b", "B": "a"}
    score = task.score(
        oracles.predictor(
            task,
            lambda read: swapped[read[0]] if read[:-1] in wrong and read[-1] == "Y" else oracles.state_memoriser(read),
        )
    )
    assert score.value == value
    assert score.solved == (value == 1)
    assert score.text == text
    assert score.details["wrong"] == ([] if len(broken) > 10 else [f"{broken[0]}{len(broken) - 1}"])


def test_memoriser_takes_other_gaps() -> None:
    task = StateMemoriser(3, shortest=4, longest=6)
    expected = {f"{a}{'x' * gap}Y{b}\n" for a, b in ("Aa", "Bb") for gap in (4, 5, 6)}
    assert set(task.evaluation()) == expected
    assert {s for step in range(40) for s in strings_of_batch(task, 0, step)} == expected
    loaded = load(json.loads(json.dumps(task.to_json())))
    assert isinstance(loaded, StateMemoriser)
    assert loaded.evaluation() == task.evaluation()
    assert loaded.recommended.batch == 3
    assert task.score(oracles.predictor(task, oracles.state_memoriser)).value == 1
    half = task.score(oracles.predictor(task, lambda read: "a" if read.endswith("Y") else "\n"))
    assert (half.value, half.text) == (0.5, "3 of the 6 strings are right; the shortest gap it fails at is 4 x's")


def test_the_memoriser_of_one_long_gap_is_solved_at_that_gap() -> None:
    task = StateMemoriser(longest=300, shortest=300)
    score = task.score(oracles.predictor(task, oracles.state_memoriser))
    assert score.solved
    assert score.details == {"wrong": [], "first_failure": None, "tried": 300}


def test_memoriser_without_saved_gaps_has_the_usual_ones() -> None:
    data = {k: v for k, v in StateMemoriser().to_json().items() if k not in ("shortest", "longest")}
    assert StateMemoriser.from_json(data).evaluation() == StateMemoriser().evaluation()


@pytest.mark.parametrize(("shortest", "longest"), [(0, 5), (6, 5), (-1, -1)])
def test_memoriser_refuses_gaps_out_of_range(shortest: int, longest: int) -> None:
    with pytest.raises(
        TaskError, match=f"expected 1 <= shortest <= longest, got shortest = {shortest} and longest = {longest}"
    ):
        StateMemoriser(shortest=shortest, longest=longest)
    with pytest.raises(TaskError, match="expected 1 <= shortest <= longest"):
        load({**StateMemoriser().to_json(), "shortest": shortest, "longest": longest})


@pytest.mark.parametrize("damaged", ["10", None, True, 2.0])
def test_memoriser_refuses_damaged_gaps(damaged: object) -> None:
    with pytest.raises(TaskError, match="settings shortest and longest: expected integers, got"):
        load({**StateMemoriser().to_json(), "longest": damaged})


def test_copy_scores_words_it_never_saw() -> None:
    task = make("copy")

    def rule(read: str) -> str | None:  # copies three letters and then ends, whatever the length of the word
        word, mark, copied = read.partition("X")
        return None if not mark else (word[:3] + "\n" * 9)[len(copied)]

    score = task.score(oracles.predictor(task, rule))
    assert score.solved
    assert score.details == {"wrong": [], "other_lengths": {"1": 1.0, "2": 1.0, "4": 0.0, "5": 0.0}}
    assert score.text.endswith("3 of 3 of length 1, 9 of 9 of length 2, 0 of 81 of length 4, 0 of 243 of length 5")
    missed = task.score(oracles.predictor(task, lambda read: "b" if read == "acbX" else oracles.copy(read)))
    assert missed.value == 26 / 27
    assert missed.details == {"wrong": ["acb"], "other_lengths": None}


@given(st.integers(0, 10**6), st.integers(2, 40))
def test_right_equals_greedy_completion(seed: int, rarity: int) -> None:
    task = make("counter")

    def rule(read: str) -> str | None:  # an oracle that errs here and there, in the same place for the same symbols
        draw = zlib.crc32(f"{seed} {read}".encode())
        return task.vocabulary.symbols[draw % 4] if draw // 7 % rarity == 0 else oracles.counter(read)

    predict = oracles.predictor(task, rule)
    exact = [n for n in range(1, 11) if oracles.complete(task, predict, "a" * n + "X", 3 * n + 10) == "b" * n + "\n"]
    assert task.score(predict).details["exact"] == exact


@pytest.mark.parametrize("name", NAMES)
def test_validation_is_the_mean_loss_of_a_next_symbol(name: str) -> None:
    task = make(name)
    assert task.validation(oracles.uniform(task)) == pytest.approx(math.log(task.vocabulary.size))
    rule = oracles.RULES[name]
    texts = task.evaluation()
    open_steps = sum(rule(s[:k]) is None for s in texts for k in range(1, len(s)))
    steps = sum(len(s) - 1 for s in texts)
    expected = math.log(task.vocabulary.size) * open_steps / steps
    assert task.validation(oracles.predictor(task, rule)) == pytest.approx(expected, abs=1e-5)


def test_predictions_of_a_wrong_shape_are_refused() -> None:
    task = make("counter")
    with pytest.raises(ValueError, match="expected log-probabilities of the shapes"):
        task.score(lambda sequences: [np.zeros((len(ids), 3)) for ids in sequences])
    with pytest.raises(ValueError, match="expected log-probabilities of the shapes"):
        task.score(lambda sequences: [np.zeros((len(ids), 4)) for ids in sequences[1:]])


@pytest.mark.parametrize("name", NAMES)
def test_json_gives_the_same_task(name: str) -> None:
    task = make(name, batch=5)
    loaded = load(json.loads(json.dumps(task.to_json())))
    assert type(loaded) is type(task)
    assert loaded.recommended == task.recommended
    assert loaded.to_json() == task.to_json()
    assert (loaded.batch(1, 2).tokens == task.batch(1, 2).tokens).all()


@pytest.mark.parametrize("name", NAMES)
def test_examples_are_several_sequences_of_known_symbols(name: str) -> None:
    task = make(name)
    assert len(task.examples()) >= 2
    for text in task.examples():
        assert len(task.vocabulary.split(text)) >= 2
        assert task.vocabulary.unknown_in(text) == []
    assert all(map(LANGUAGE[name], task.vocabulary.split(task.examples()[0]))), "the first is of the trained kind"
    assert task.notes == []


@pytest.mark.parametrize("name", list(TASKS))
def test_the_registry_uses_the_names_of_the_tasks(name: str) -> None:
    assert TASKS[name].name == name
    assert TASKS[name].title
    assert TASKS[name].question.endswith("?")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "got None"),
        ({}, "expected one of the tasks counter, selective_counter, state_memoriser, copy, .*text.*adopted, got None"),
        ({"name": "chess"}, "got 'chess'"),
        ({"name": "counter", "batch": "4"}, "Value of 'batch': expected a whole number, got '4'"),
        (
            {"name": "counter", "vocabulary": 3},
            "task.json of the task 'counter': expected the file that gatescope wrote, .* A vocabulary in JSON",
        ),
        (
            {"name": "counter", "vocabulary": {"bytes": False, "end": None, "symbols": ["q"]}},
            "expected 'aXb\\\\n', got 'q'",
        ),
    ],
)
def test_damaged_descriptions_are_refused(data: object, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        load(data)
    with pytest.raises(TaskError, match="expected a description of the task 'copy'"):
        TASKS["copy"].from_json(data)
