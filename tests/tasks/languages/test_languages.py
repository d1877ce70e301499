"""Tests of the language tasks against lists of all strings, plain loops, and predictors built by hand."""

import itertools
import json
import math
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatescope.tasks import TASKS, AnBn, AnBnCn, Dyck1, Dyck2, Parity, TaskError, load
from gatescope.tasks.languages.dyck import DyckTask
from gatescope.tasks.languages.language import LanguageTask, first_rejected, gap, judge, nats_of
from gatescope.vocabulary import Vocabulary
from tests.tasks import grammars
from tests.tasks.grammars import Chances

LANGUAGES = ["anbn", "anbncn", "dyck1", "dyck2", "parity"]


def make(name: str, **settings: object) -> LanguageTask:
    task = TASKS[name](**settings)
    assert isinstance(task, LanguageTask)
    return task


def blocks(letters: str, numbers: range, stop: float | None) -> Chances:
    """Return the probability of each string a^n b^n ... of these n."""
    weights = [1.0 if stop is None else (1 - stop) ** k * stop for k in range(len(numbers))]
    names = ["".join(letter * n for letter in letters) + "\n" for n in numbers]
    return {string: weight / sum(weights) for string, weight in zip(names, weights, strict=True)}


@dataclass(frozen=True)
class Case:
    """A task, the probability of every string that it draws, and the probabilities of its rule without a limit."""

    task: LanguageTask
    strings: Chances
    after: Callable[[str], Chances]


DYCK1, DYCK2 = grammars.dyck_after("()", 0.4), grammars.dyck_after("()[]", 0.3)
PARITY = grammars.parity_after(0.2)
CASES = {
    "anbn even": Case(AnBn(longest=7, stop=None), blocks("ab", range(1, 8), None), grammars.blocks_after("ab", 0.5)),
    "anbn geometric": Case(AnBn(longest=6, stop=0.3), blocks("ab", range(1, 7), 0.3), grammars.blocks_after("ab", 0.3)),
    "anbn from 3": Case(
        AnBn(shortest=3, longest=5, stop=0.2), blocks("ab", range(3, 6), 0.2), grammars.blocks_after("ab", 0.2)
    ),
    "anbncn": Case(
        AnBnCn(longest=4, stop=0.1, targets="drawn"),
        blocks("abc", range(1, 5), 0.1),
        grammars.blocks_after("abc", 0.1),
    ),
    "dyck1": Case(Dyck1(opens=0.4, longest=10), grammars.listed("()", 10, grammars.is_dyck, DYCK1, {"(": 1.0}), DYCK1),
    "dyck2": Case(
        Dyck2(opens=0.3, longest=6), grammars.listed("()[]", 6, grammars.is_dyck, DYCK2, {"(": 0.5, "[": 0.5}), DYCK2
    ),
    "parity": Case(
        Parity(stop=0.2, longest=7), grammars.listed("01", 7, grammars.is_even, PARITY, {"0": 0.5, "1": 0.5}), PARITY
    ),
}
BELONGS: dict[str, Callable[[str], bool]] = {
    "anbn": lambda s: grammars.is_blocks("ab", s),
    "anbncn": lambda s: grammars.is_blocks("abc", s),
    "dyck1": grammars.is_dyck,
    "dyck2": grammars.is_dyck,
    "parity": grammars.is_even,
}
RULES: dict[str, Callable[[str], Chances]] = {
    "anbn": grammars.blocks_after("ab", 0.1),
    "anbncn": grammars.blocks_after("abc", 0.1),
    "dyck1": DYCK1,
    "dyck2": grammars.dyck_after("()[]", 0.4),
    "parity": PARITY,
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_optimum_equals_entropy_of_all_strings(case: Case) -> None:
    assert case.task.optimum == pytest.approx(grammars.entropy_per_prediction(case.strings), rel=1e-12)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_places_agree_with_listing_all_strings(case: Case) -> None:
    symbols = case.task.vocabulary.symbols
    for string in case.strings:
        places = case.task.places(string)
        assert places.drawn.all()
        for step in range(len(string) - 1):
            read = string[: step + 1]
            expected = grammars.following(case.strings, read)
            assert places.likely[step] == pytest.approx([expected.get(s, 0.0) for s in symbols], abs=1e-14)
            allowed = {s for s, may in zip(symbols, places.allowed[step], strict=True) if may}
            assert allowed == set(case.after(read)), read


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_drawn_strings_have_their_probabilities(case: Case) -> None:
    count = 20_000
    drawn = case.task.draw(np.random.default_rng(1), count)
    seen = Counter(drawn)
    assert set(seen) <= set(case.strings)
    for string, chance in case.strings.items():
        deviation = math.sqrt(count * chance * (1 - chance))
        assert abs(seen[string] - count * chance) < 4.5 * deviation + 1, string
    known = {string: nats_of(case.task, string) for string in seen}
    nats = np.array([known[string] for string in drawn])
    lengths = np.array([len(string) - 1 for string in drawn])
    spread = (nats - case.task.optimum * lengths).std() / lengths.mean() / math.sqrt(count)
    assert nats.sum() / lengths.sum() == pytest.approx(case.task.optimum, abs=4.5 * spread)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_perfect_predictor_has_no_gap(case: Case) -> None:
    predict = grammars.predictor(case.task.vocabulary, lambda read: grammars.following(case.strings, read))
    judgements = judge(predict, case.task, list(case.strings))
    assert all(judgement.accepted for judgement in judgements)
    assert gap(judgements, list(case.strings.values())) == pytest.approx(0, abs=1e-14)
    worse = judge(grammars.predictor(case.task.vocabulary, case.after), case.task, list(case.strings))
    assert gap(worse, list(case.strings.values())) > 1e-3, "a predictor that knows the rule but not the limit has a gap"


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_gap_is_loss_above_optimum(case: Case) -> None:
    task, symbols = case.task, case.task.vocabulary.symbols
    draw = np.random.default_rng(0).dirichlet(np.ones(len(symbols)), 256)

    def arbitrary(read: str) -> Chances:
        return dict(zip(symbols, draw[hash_of(read)].tolist(), strict=True))

    judgements = judge(grammars.predictor(task.vocabulary, arbitrary), task, list(case.strings))
    nats = sum(
        chance * -sum(math.log(arbitrary(string[:k])[string[k]]) for k in range(1, len(string)))
        for string, chance in case.strings.items()
    )
    predictions = sum(chance * (len(string) - 1) for string, chance in case.strings.items())
    expected = nats / predictions - grammars.entropy_per_prediction(case.strings)
    assert gap(judgements, list(case.strings.values())) == pytest.approx(expected, rel=1e-10)


def hash_of(read: str) -> int:
    """Return a number from 0 to 255 that depends on the text only."""
    return sum((k + 1) * ord(symbol) for k, symbol in enumerate(read)) % 256


@pytest.mark.parametrize("name", LANGUAGES)
@given(seed=st.integers(0, 2**40), step=st.integers(0, 10**6))
def test_batch_rows_are_strings_of_the_language(name: str, seed: int, step: int) -> None:
    task = make(name, batch=8, **({"targets": "drawn"} if name == "anbncn" else {}))
    batch = task.batch(seed, step)
    assert len(batch.tokens) == 8
    for tokens, targets in zip(batch.tokens, batch.targets, strict=True):
        string = task.vocabulary.decode(np.append(tokens[:1], targets))
        assert string[-1] == "\n"
        assert BELONGS[name](string[:-1])
        assert len(string) <= {"anbn": 199, "anbncn": 151, "parity": 41}.get(name, math.inf)


@pytest.mark.parametrize("name", ["anbn", "anbncn"])
def test_allowed_targets_are_those_of_the_rule(name: str) -> None:
    task = make(name, batch=8, longest=9, targets="allowed")
    drawn, batch = make(name, batch=8, longest=9, targets="drawn").batch(3, 4), task.batch(3, 4)
    symbols = task.vocabulary.symbols
    assert (batch.tokens == drawn.tokens).all()
    assert batch.targets.shape == (*drawn.targets.shape, len(symbols))
    after = grammars.blocks_after(task.alphabet, 0.5)
    for tokens, targets in zip(batch.tokens, batch.targets, strict=True):
        string = task.vocabulary.decode(tokens[tokens >= 0])
        for step in range(len(string)):
            expected = after(string[: step + 1])
            assert targets[step].tolist() == [expected.get(symbol, 0.0) for symbol in symbols]
        assert not targets[len(string) :].any()


@pytest.mark.parametrize("name", ["anbn", "anbncn"])
def test_allowed_targets_predicted_exactly_reach_the_optimum(name: str) -> None:
    task = make(name, longest=9, stop=0.2, targets="allowed")
    predict = grammars.predictor(task.vocabulary, grammars.blocks_after(task.alphabet, 0.5))
    assert task.optimum == pytest.approx(math.log(2) / len(task.alphabet))
    assert task.validation(predict) == pytest.approx(task.optimum, abs=1e-12)
    strings = ["".join(letter * n for letter in task.alphabet) + "\n" for n in range(1, 60)]
    assert all(judgement.accepted for judgement in judge(predict, task, strings))
    even = [np.full((1, task.vocabulary.size), -math.log(task.vocabulary.size))]
    uniform = task.validation(lambda s: [np.repeat(even[0], len(ids), 0) for ids in s])
    assert uniform == pytest.approx(math.log(task.vocabulary.size))


@pytest.mark.parametrize("name", LANGUAGES)
def test_score_of_rule_is_1_and_of_uniform_guess_at_most_chance(name: str) -> None:
    # The default settings have limits that this predictor does not know, but a limit requires nothing beyond the rule.
    task = make(name) if name not in ("anbn", "anbncn") else make(name, longest=12, stop=0.1)
    score = task.score(grammars.predictor(task.vocabulary, RULES[name])) if name not in ("anbn", "anbncn") else None
    if score is not None:
        assert (score.value, score.solved, score.details["first_failure"]) == (1.0, True, None)
        assert score.details["tried"] == 400
        assert score.text.startswith("accepts all 300 strings, and all others up to 400 symbols; ")
    size = task.vocabulary.size
    guess = task.score(lambda sequences: [np.full((len(ids), size), -math.log(size)) for ids in sequences])
    assert guess.value <= guess.chance < 1
    assert guess.solved is False
    assert guess.details["tried"] == (1000 if name in ("anbn", "anbncn") else 400)
    assert guess.details["cross_entropy"] == pytest.approx(guess.details["optimum"] + guess.details["gap"])
    assert json.loads(json.dumps(guess.to_json()))["details"] == guess.details


def counting(letters: str, stop: float, wrong: Collection[int]) -> Callable[[np.ndarray], np.ndarray]:
    """Return log-probabilities of a^n b^n ... for a whole string; the end comes too late for the n in `wrong`."""

    def rows(ids: np.ndarray) -> np.ndarray:
        n = int((ids == 0).sum())
        log_probs = np.full((len(ids), len(letters) + 1), -60.0)
        log_probs[:n, 0] = math.log1p(-stop) if n else 0.0
        log_probs[:n, 1] = math.log(stop) if n else 0.0
        block = np.arange(n, len(ids)) // max(n, 1)
        last = np.arange(n, len(ids)) % max(n, 1) == n - 1
        following = np.where(last, block + 1, block)
        log_probs[np.arange(n, len(ids)), following] = 0.0
        if n in wrong:
            log_probs[-1] = -60.0
            log_probs[-1, len(letters) - 1] = 0.0
        return log_probs

    return rows


@pytest.mark.parametrize("name", ["anbn", "anbncn"])
@pytest.mark.parametrize("targets", ["drawn", "allowed"])
@pytest.mark.parametrize(
    ("wrong", "first", "value"),
    [([], None, 1.0), ([700], 700, 1.0), ([13], 13, 1.0), ([12, 5], 5, 10 / 12), ([1], 1, 11 / 12)],
)
def test_first_failure_is_the_smallest_rejected_n(
    name: str, targets: str, wrong: list[int], first: int | None, value: float
) -> None:
    task = make(name, longest=12, stop=0.1, targets=targets)
    rows = counting(task.alphabet, 0.1 if targets == "drawn" else 0.5, wrong)
    score = task.score(lambda sequences: [rows(ids) for ids in sequences])
    assert score.details["first_failure"] == first
    assert score.details["tried"] == 1000
    assert score.value == pytest.approx(value)
    assert score.solved == (value == 1)
    assert score.details["exact"] == [n for n in range(1, 13) if n not in wrong]
    assert score.chance == pytest.approx(1 / 12)
    if first is None:
        assert score.text.startswith("accepts every n from 1 to 12; the first it rejects is none up to 1000; 0.")
    if first == 5:
        assert score.text.startswith("accepts 10 of the 12 values of n from 1 to 12; the first it rejects is 5; ")


def test_chance_is_the_best_guess_from_the_present_symbol(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("dyck", "parity"):
        monkeypatch.setattr(f"gatescope.tasks.languages.{module}.SCORED_STRINGS", 60)
    for task in (AnBn(longest=5, stop=0.3), Dyck1(), Parity()):
        symbols = task.vocabulary.symbols
        # A guess with one possible symbol is wrong at the first symbol where two may follow.
        sets = [s for size in (2, 3) for s in itertools.combinations(symbols, size)]
        sets += [("\n",)] if isinstance(task, AnBn) else []
        values = []
        for choice in itertools.product(sets, repeat=2):
            rows = np.array([[-math.log(len(chosen)) if s in chosen else -60.0 for s in symbols] for chosen in choice])
            values.append(task.score(lambda sequences, r=rows: [r[np.asarray(ids, np.int64)] for ids in sequences]))
        assert max(score.value for score in values) == pytest.approx(values[0].chance)


def test_judge_handles_two_thousand_symbols() -> None:
    task = AnBn()
    string = "a" * 1000 + "b" * 1000 + "\n"
    rows = counting("ab", 0.03, [])
    (judgement,) = judge(lambda sequences: [rows(ids) for ids in sequences], task, [string])
    assert judgement.accepted
    assert judgement.right.shape == (2000,)
    assert judgement.drawn == 99, "only its first 99 beginnings can be drawn"
    early = judge(
        lambda sequences: [np.concatenate([rows(ids)[:-1], rows(ids)[-2:-1]]) for ids in sequences], task, [string]
    )
    assert not early[0].accepted
    assert np.flatnonzero(~early[0].right).tolist() == [1999]


@pytest.mark.parametrize(
    ("shares", "right"),
    [
        ([0.90, 0.09, 0.01], True),
        ([0.90, 0.051, 0.049], True),
        ([0.90, 0.049, 0.051], False),  # the end is possible
        ([0.96, 0.04, 0.00], False),  # a b is not
        ([0.04, 0.96, 0.00], False),  # an a is not
        ([0.05, 0.95, 0.00], True),
        ([math.nan, 0.5, 0.5], False),
    ],
)
def test_judge_where_two_symbols_may_follow(shares: list[float], right: bool) -> None:
    task = AnBn(longest=None, stop=0.1)
    assert task.floor == pytest.approx(0.05)
    with np.errstate(divide="ignore"):
        rows = np.log(np.array([shares, [0, 0, 1]]) + np.array([1e-12, 0, 0]))
    (judgement,) = judge(lambda sequences: [rows for _ in sequences], task, ["ab\n"])
    assert judgement.right.tolist() == [right, True]


@pytest.mark.parametrize(
    ("shares", "right"),
    [([0, 0.51, 0.49], True), ([0, 0.49, 0.51], False), ([0.3, 0.4, 0.3], False), ([0.2, 0.6, 0.2], True)],
)
def test_judge_where_one_symbol_must_follow(shares: list[float], right: bool) -> None:
    task = AnBn(longest=None, stop=0.1)
    with np.errstate(divide="ignore"):
        rows = np.log(np.array([[0.9, 0.1, 0], [0.9, 0.1, 0], shares, [0, 0, 1]]))
    (judgement,) = judge(lambda sequences: [rows for _ in sequences], task, ["aabb\n"])
    assert judgement.right.tolist() == [True, True, right, True]


def test_places_never_drawn_require_the_next_symbol() -> None:
    places = Parity(longest=4).places("110110110\n")
    assert places.drawn.tolist() == [True] * 3 + [False] * 6, "1101 must continue, and is at the limit"
    for step in range(3, 9):
        assert places.likely[step].tolist() == [s == "110110110\n"[step + 1] for s in "01\n"]
    nested = Dyck1(opens=0.4, longest=4).places("(()())\n")
    assert nested.drawn.tolist() == [True, True, True, False, False, False]
    assert nested.likely[3:].tolist() == [[0, 1, 0], [0, 1, 0], [0, 0, 1]]
    counted = AnBn(longest=3, stop=None).places("aaaaabbbbb\n")
    assert counted.drawn.tolist() == [True] * 3 + [False] * 7
    expected = [[2 / 3, 1 / 3, 0], [0.5, 0.5, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert counted.likely[:5] == pytest.approx(np.array(expected))
    assert counted.allowed[:5].tolist() == [[True, True, False]] * 5
    assert nats_of(AnBn(longest=3, stop=None), "aab" + "b\n") == pytest.approx(math.log(3))
    assert nats_of(AnBn(longest=3, stop=None), "aaaabbbb\n") == math.inf
    assert nats_of(AnBn(shortest=2, longest=3, stop=None), "ab\n") == math.inf


def test_optimum_without_limit_is_that_of_the_grammar() -> None:
    """Each choice in a Dyck string has H(p) nats; n has H(p) / p nats, divided by the mean number of letters."""
    h = -(0.3 * math.log(0.3) + 0.7 * math.log(0.7))
    assert Dyck1(opens=0.3, longest=None).optimum == pytest.approx(h)
    assert Dyck2(opens=0.3, longest=None).optimum == pytest.approx(h + 0.3 * math.log(2))
    assert AnBn(longest=None, stop=0.3).optimum == pytest.approx((h / 0.3) / (2 / 0.3))
    assert AnBnCn(shortest=3, longest=None, stop=0.3, targets="drawn").optimum == pytest.approx(
        (h / 0.3) / (3 * (2 + 1 / 0.3))
    )
    assert AnBn(longest=1000, stop=0.3).optimum == pytest.approx(h / 2, rel=1e-9), (
        "a limit that is never reached changes nothing"
    )
    assert Dyck1(opens=0.3, longest=400).optimum == pytest.approx(h, rel=1e-9)


def test_optimum_in_bits_equals_lan_et_al_2022() -> None:
    """The published optima are 0.258 and 0.882 bits per symbol.

    Their test strings of a^n b^n are 1000 successive n beyond the trained ones, and the first letter is predicted from
    a start mark. 0.258 is the mean over such strings when training saw n up to about 20; 0.882 is the mean over 50,000
    drawn strings, whose expectation is 0.8813.
    """
    task = AnBn(longest=None, stop=0.3)
    strings = [task.string(n) for n in range(21, 1021)]
    bits = sum(nats_of(task, string) for string in strings) / math.log(2)
    assert bits / sum(len(string) for string in strings) == pytest.approx(0.258, abs=5e-4)
    assert Dyck1(opens=0.3, longest=None).optimum / math.log(2) == pytest.approx(0.882, abs=1e-3)


def test_validation_weights_each_n_by_its_probability() -> None:
    task = AnBn(longest=6, stop=0.3)
    strings = blocks("ab", range(1, 7), 0.3)
    assert task.validation(grammars.predictor(task.vocabulary, lambda read: grammars.following(strings, read))) == (
        pytest.approx(task.optimum)
    )
    even = AnBnCn(longest=9, stop=None)
    size = even.vocabulary.size
    assert even.validation(lambda s: [np.full((len(ids), size), -math.log(size)) for ids in s]) == pytest.approx(
        math.log(4)
    )


def test_scored_numbers_without_limit_cover_999_in_1000() -> None:
    task = AnBn(longest=None, stop=0.3)
    assert task.scored_numbers == range(1, 21), "0.7^19 is more than 1 in 1000, 0.7^20 is not"
    assert 1 - task.probabilities.sum() < 1e-9
    assert [task.string(n) for n in task.scored_numbers] == task.evaluation()


@pytest.mark.parametrize("name", LANGUAGES)
def test_score_of_nan_predictions_is_0(name: str) -> None:
    task = make(name)
    score = task.score(lambda sequences: [np.full((len(ids), task.vocabulary.size), np.nan) for ids in sequences])
    assert (score.value, score.solved) == (0, False)
    assert score.details["gap"] is score.details["cross_entropy"] is None
    assert score.text.endswith("its own has no bound")


def test_first_rejected_reads_no_more_groups_than_needed() -> None:
    task, numbers = AnBn(longest=5, stop=None), []
    rows = counting("ab", 0.2, range(40, 3000))

    def groups():
        for n in range(1, 3000):
            numbers.append(n)
            yield n, [task.string(n)]

    assert first_rejected(lambda sequences: [rows(ids) for ids in sequences], task, groups())[0] == 40
    assert numbers[-1] < 400
    assert first_rejected(lambda sequences: [rows(ids) for ids in sequences], task, []) == (None, 0)


@pytest.mark.parametrize(("task", "pairs"), [(Dyck1(), 1), (Dyck1(), 4), (Dyck2(), 2)])
def test_strings_of_a_length_are_equally_likely(task: DyckTask, pairs: int) -> None:
    kinds, random = task.alphabet, np.random.default_rng(0)
    every = ["".join(s) for s in itertools.product(kinds, repeat=2 * pairs) if grammars.is_dyck("".join(s))]
    seen = Counter(task.of_length(random, pairs)[:-1] for _ in range(500 * len(every)))
    assert set(seen) == set(every)
    mean = sum(seen.values()) / len(every)
    assert all(abs(n - mean) < 5 * math.sqrt(mean) for n in seen.values())


def test_longer_strings_belong_to_the_language() -> None:
    for task in (Dyck1(), Dyck2()):
        groups = list(itertools.islice(task.longer_strings(), 40))
        assert [number for number, _ in groups] == list(range(2, 82, 2))
        for number, strings in groups:
            assert all(len(string) == number + 1 and grammars.is_dyck(string[:-1]) for string in strings)
            assert strings[0].rstrip(")]\n") == strings[0][: number // 2]
    assert Dyck2().nested(3) == "([()])\n"
    for number, strings in itertools.islice(Parity().longer_strings(), 40):
        assert all(len(string) == number + 1 and grammars.is_even(string[:-1]) for string in strings)


SETTINGS: dict[str, list[dict[str, object]]] = {
    "anbn": [{}, {"longest": None, "stop": 0.3}, {"shortest": 50, "longest": 100, "stop": None}],
    "anbncn": [{}, {"shortest": 4, "longest": 4}, {"stop": 0.2, "targets": "drawn"}],
    "dyck1": [{}, {"opens": 0.3, "longest": None}, {"opens": 0.7, "longest": 2}],
    "dyck2": [{}, {"opens": 0.45, "longest": 400}],
    "parity": [{}, {"stop": 0.05, "longest": 3}],
}


@pytest.mark.parametrize(("name", "settings"), [(n, s) for n, many in SETTINGS.items() for s in many])
def test_json_round_trip_gives_the_same_task(name: str, settings: dict[str, object]) -> None:
    task = make(name, batch=5, **settings)
    written = task.to_json()
    assert all(written[key] == value for key, value in settings.items())
    loaded = load(json.loads(json.dumps(written)))
    assert type(loaded) is type(task)
    assert loaded.to_json() == written
    assert loaded.recommended == task.recommended
    assert isinstance(loaded, LanguageTask)
    assert loaded.optimum == task.optimum
    assert (loaded.batch(1, 2).tokens == task.batch(1, 2).tokens).all()
    assert len(task.vocabulary.split(task.examples()[0])) >= 2
    assert all(BELONGS[name](string[:-1]) for string in task.vocabulary.split(task.examples()[0]))
    assert all(set(text) <= set(task.vocabulary.symbols) for text in task.examples())


@pytest.mark.parametrize("name", LANGUAGES)
def test_from_json_without_settings_uses_the_defaults(name: str) -> None:
    assert load({"name": name}).to_json() == make(name).to_json()
    with pytest.raises(TaskError, match="expected a description of the task"):
        TASKS[name].from_json({"name": "counter"})


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("anbn", {"shortest": 0}, "shortest: expected an integer from 1 to 1000, got 0"),
        ("anbn", {"shortest": 5, "longest": 4}, "longest: expected an integer from 5 to 1000, got 4"),
        ("anbn", {"longest": 1001}, "longest: expected an integer from 1 to 1000, got 1001"),
        ("anbn", {"longest": True}, "task.json, setting 'longest': expected int . None, got True"),
        ("anbn", {"longest": "9"}, "task.json, setting 'longest': expected int . None, got '9'"),
        (
            "anbn",
            {"longest": None, "stop": None},
            "longest and stop: expected at least one of them, got neither. Give longest",
        ),
        ("anbn", {"targets": "any"}, "targets: expected 'drawn' or 'allowed', got 'any'"),
        ("anbn", {"targets": 3}, "setting 'targets': expected str, got 3"),
        ("anbncn", {"stop": 1.0}, "stop: expected a probability from 0.01 to 0.99, got 1.0"),
        ("anbncn", {"stop": math.nan}, "stop: expected a probability from 0.01 to 0.99, got nan"),
        ("dyck1", {"opens": "much"}, "setting 'opens': expected float, got 'much'"),
        (
            "dyck1",
            {"opens": 0.5, "longest": None},
            "opens: expected 0.45 or less without a limit .*, got 0.5.* Give longest",
        ),
        ("dyck2", {"longest": 7}, "longest: expected an even number of brackets, got 7"),
        ("dyck2", {"longest": 402}, "longest: expected an integer from 2 to 400, got 402"),
        ("parity", {"stop": 0}, "stop: expected a probability from 0.01 to 0.9, got 0.0"),
        ("anbn", {"longest": 9.5}, "setting 'longest': expected int . None, got 9.5"),
        ("anbn", {"shortest": None}, "setting 'shortest': expected int, got None"),
        ("dyck1", {"opens": None}, "setting 'opens': expected float, got None"),
        ("parity", {"longest": 1}, "longest: expected an integer from 2 to 400, got 1"),
    ],
)
def test_settings_out_of_range_are_refused(name: str, settings: dict[str, object], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        load({**make(name).to_json(), **settings})


SYMBOLS = {name: "".join(make(name).vocabulary.symbols) for name in LANGUAGES}


def by_hand(name: str, text: str) -> dict[str, list[int]]:
    """Compute the quantities of any text in a loop, from the descriptions of the tasks."""
    expected: dict[str, list[int]] = {key: [] for key in TASKS[name].quantity_titles}
    letters = SYMBOLS[name][:-1]
    ended, phase, counts, stack, ones = False, 0, [0] * len(letters), [], 0
    for symbol in text:
        ended = ended or symbol == "\n"
        if not ended and symbol in letters:
            if name in ("anbn", "anbncn"):
                place = letters.index(symbol)
                phase = max(phase, place)
                if place == phase:
                    if place == 0:
                        counts = [counts[0] + 1, *(n + 1 for n in counts[1:])]
                    else:
                        counts[place] = max(0, counts[place] - 1)
            elif name in ("dyck1", "dyck2"):
                if symbol in "([":
                    stack.append(symbol)
                elif stack:
                    stack.pop()
            else:
                ones += symbol == "1"
        values = {"reading": phase == 0 and not ended, "so_far": counts[0]}
        values |= {"writing": phase == 1 and not ended, "owed": counts[min(1, len(counts) - 1)]}
        values |= {"writing_b": phase == 1 and not ended, "writing_c": phase == 2 and not ended}
        values |= {"owed_b": counts[min(1, len(counts) - 1)], "owed_c": counts[-1]}
        values |= {"depth": len(stack), "closed": not stack, "odd": ones % 2 == 1, "ones": ones}
        values |= {"innermost_round": stack[-1:] == ["("], "innermost_square": stack[-1:] == ["["]}
        for key, column in expected.items():
            column.append(int(values[key]))
    return expected


@pytest.mark.parametrize("name", LANGUAGES)
def test_quantities_equal_a_plain_loop(name: str) -> None:
    task = make(name)

    @given(text=st.text(alphabet=SYMBOLS[name] + "é", max_size=25))
    def check(text: str) -> None:
        quantities = task.quantities(text)
        assert list(quantities) == list(task.quantity_titles)
        assert {key: values.astype(int).tolist() for key, values in quantities.items()} == by_hand(name, text)
        assert all(values.shape == (len(text),) for values in quantities.values())

    check()


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("anbn", "aabb\n", {"reading": "11000", "writing": "00110", "so_far": "12222", "owed": "12100"}),
        ("anbn", "abab\na", {"so_far": "111111", "owed": "100000", "writing": "011100"}),
        (
            "anbncn",
            "aabbcc\n",
            {"owed_b": "1210000", "owed_c": "1222100", "writing_b": "0011000", "writing_c": "0000110"},
        ),
        ("dyck1", "(()))(\n(", {"depth": "12101" + "111", "closed": "00010000"}),
        ("dyck2", "([])\n", {"depth": "12100", "innermost_round": "10100", "innermost_square": "01000"}),
        ("dyck2", "([)]", {"depth": "1210", "innermost_round": "1010", "innermost_square": "0100"}),
        ("parity", "0110\n1", {"odd": "010000", "ones": "012222"}),
    ],
)
def test_quantities_worked_by_hand(name: str, text: str, expected: dict[str, str]) -> None:
    quantities = make(name).quantities(text)
    written = {key: "".join(str(int(v)) for v in values) for key, values in quantities.items()}
    if (name, text) == ("dyck1", "(()))(\n("):
        expected = {"depth": "12100111", "closed": "00011000"}
    assert {key: written[key] for key in expected} == expected


def test_catalogue_has_the_languages() -> None:
    assert [TASKS[name] for name in LANGUAGES] == [AnBn, AnBnCn, Dyck1, Dyck2, Parity]
    assert make("anbn").vocabulary == Vocabulary(("a", "b", "\n"), end="\n")
    assert all(make(name).notes == [] for name in LANGUAGES)
