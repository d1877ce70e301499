"""Errors of a text model against plain loops over the characters, and against examples worked by hand."""

import math
from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatescope.studies import StudyError
from gatescope.studies.common.ngrams import log_probabilities
from gatescope.studies.text_errors import errors
from gatescope.trace import Trace
from gatescope.vocabulary import Vocabulary
from tests.drawing import lists_with

RUN, WIDE = "aé1_\u0301", "人心"
ALPHABET = RUN + WIDE + " \n\t\"'“”()[]（）.+"
VOCABULARY = Vocabulary(tuple(ALPHABET))


def trace_of(texts: list[str], probabilities: list[list[float]], vocabulary: Vocabulary = VOCABULARY) -> Trace:
    """Make a trace with these probabilities for the second symbol of each text, the third, and so on."""
    ids = [vocabulary.encode(text) for text in texts]
    longest = max([0, *map(len, ids)])
    token = np.full((len(ids), longest), -1, np.int32)
    target = token.copy()
    log_probs = np.full((len(ids), longest), np.nan)
    for row, (symbols, values) in enumerate(zip(ids, probabilities, strict=True)):
        token[row, : len(symbols)] = symbols
        target[row, : max(0, len(symbols) - 1)] = symbols[1:]
        log_probs[row, : len(values)] = np.log(values)
    log_probs[(target < 0) | (target == vocabulary.unknown)] = np.nan
    lengths = np.array([len(symbols) for symbols in ids], np.int64)
    steps = {"token": token, "target": target, "log_probability": log_probs}
    return Trace(lengths, steps, {}, {}, {}, {"vocabulary": vocabulary.to_json()})


def words_of(text: str) -> list[tuple[int, int, int, int]]:
    """Return the words of a text: (start, end) of the word, and (start, end) of the characters that it covers.

    A wide character counts as a word together with the wide character before it, and covers only itself.
    """
    words, start = [], None
    for k, character in enumerate(text + " "):
        if character in RUN or character not in ALPHABET:
            start = k if start is None else start
        elif start is not None:
            words.append((start, k, start, k))
            start = None
        if character in WIDE:
            words.append((k - 1 if k and text[k - 1] in WIDE else k, k + 1, k, k + 1))
    return words


def cause_of(text: str, k: int, p: float, rights: dict[int, bool], training: Counter[str]) -> tuple[str, str]:
    """Return the first cause and level of the error at character k, with the distances and counts of SETTINGS."""
    for order, right in sorted(rights.items()):
        if right:
            return "n-gram", f"order {order}"
    mine = next((word for word in words_of(text) if word[2] <= k < word[3]), None)
    if mine is not None:
        spelled = text[mine[0] : mine[1]]
        before = [start for start, end, *_ in words_of(text) if text[start:end] == spelled and start < mine[0]]
        for distance in (5, 20):
            if before and mine[0] - max(before) <= distance:
                return "memory", f"within {distance} characters"
        if training[spelled] <= 2:
            return "rare word", "2 times in training" if training[spelled] else "never in training"
    for level, marks in [
        ("after a newline", "\n"),
        ("after other white space", " \t"),
        ("after a quotation mark", "\"'“”"),
    ]:
        if text[k - 1] in marks:
            return "word", level
    if mine is not None and text[k] in RUN and k == mine[0]:
        return "word", "first character otherwise"
    if text[k] in "\"'“”()[]（）.+":
        return "punctuation", ""
    missing = next(step for step in range(1, 6) if step == 5 or p >= 0.5 - step / 10)
    return "boost", f"by {missing / 10}"


CHARACTERS = st.text(alphabet=ALPHABET + "\N{SNOWMAN}", max_size=40)
SETTINGS = {"recent": (5, 20), "rare": (0, 2), "short": 2, "resamples": 1}


@settings(max_examples=80)
@given(data=st.data(), repeated=st.integers(0, 3))
def test_every_error_has_its_first_cause(data: st.DataObject, repeated: int) -> None:
    texts = data.draw(st.lists(CHARACTERS, min_size=1, max_size=3))
    training = data.draw(CHARACTERS) + repeated * texts[0]  # so that n-gram models are sometimes right
    # Not at a whole tenth, where rounding would decide the level of a cause.
    probability = st.tuples(st.integers(0, 9), st.floats(0.1, 0.9)).map(lambda parts: sum(parts) / 10)
    values = [[data.draw(probability) for _ in text[1:]] for text in texts]
    targets = [(s, k) for s, text in enumerate(texts) for k in range(1, len(text)) if text[k] in ALPHABET]
    if not targets:
        with pytest.raises(StudyError, match="expected predictions to compare"):
            errors(trace_of(texts, values), VOCABULARY.encode(training), [1], **SETTINGS)
        return
    tables = errors(trace_of(texts, values), VOCABULARY.encode(training), [1, 2, 4], **SETTINGS)
    models = {}
    for order, flat in log_probabilities(
        VOCABULARY.encode(training), [VOCABULARY.encode(t) for t in texts], VOCABULARY.size, [1, 2, 4]
    ):
        ends = np.cumsum([0, *map(len, texts)])
        models[order] = [np.exp(flat[start:end]) for start, end in pairwise(ends)]
    counts = Counter(training[start:end] for start, end, *_ in words_of(training))

    expected: Counter[tuple[str, str]] = Counter()
    losses: dict[tuple[str, str], float] = defaultdict(float)
    for s, k in targets:
        p = values[s][k - 1]
        if p < 0.5:
            rights = {order: models[order][s][k] >= 0.5 for order in (1, 2)}
            cause = cause_of(texts[s], k, p, rights, counts)
            expected[cause] += 1
            losses[cause] -= math.log(p)
    rows = list(tables.causes)
    assert {(row["cause"], row["level"]): row["errors"] for row in rows if row["errors"]} == dict(expected)
    total, left = sum(expected.values()), sum(expected.values())
    assert tables.causes.about["errors"] == total
    assert tables.causes.about["targets"] == len(targets)
    for row in rows:
        left -= row["errors"]
        assert row["share"] == pytest.approx(row["errors"] / max(1, total), abs=1e-12)
        assert row["left"] == pytest.approx(left / max(1, total), abs=1e-12)
        if row["errors"]:
            mean = losses[row["cause"], row["level"]] / row["errors"]
            assert row["loss"] == pytest.approx(mean, abs=1e-12)
        else:
            assert math.isnan(row["loss"])

    for row in tables.orders:
        pairs = [(values[s][k - 1], float(models[row["order"]][s][k])) for s, k in targets]
        assert row["cross_entropy"] == pytest.approx(-sum(math.log(q) for _, q in pairs) / len(pairs), abs=1e-12)
        assert row["errors"] == sum(q < 0.5 for _, q in pairs)
        assert row["shared"] == sum(p < 0.5 and q < 0.5 for p, q in pairs)
        assert row["network_alone"] == sum(p < 0.5 <= q for p, q in pairs)
        assert row["ngram_alone"] == sum(q < 0.5 <= p for p, q in pairs)
    mean = -sum(math.log(values[s][k - 1]) for s, k in targets) / len(targets)
    assert tables.orders.about["cross_entropy"] == pytest.approx(mean, abs=1e-12)


def closings_of(text: str) -> list[tuple[str, int, int]]:
    """Return the kind, place and distance of every closing mark, by a stack for each kind."""
    closings = []
    for opening, closing in ("()", "[]", "“”", "（）"):
        stack: list[int] = []
        for k, character in enumerate(text):
            if character == opening:
                stack.append(k)
            elif character == closing and stack:
                closings.append((opening + closing, k, k - stack.pop()))
    start = 0
    for line in text.split("\n"):
        places = [start + k for k, character in enumerate(line) if character == '"']
        for first, second in zip(places[::2], places[1::2], strict=False):
            follower = text[second + 1 : second + 2]
            if not follower or (follower in ALPHABET and follower not in RUN + WIDE):
                closings.append(('""', second, second - first))
        start += len(line) + 1
    return closings


@settings(max_examples=80)
@given(data=st.data())
def test_closing_marks_find_their_openings(data: st.DataObject) -> None:
    characters = st.text(alphabet='()[]“”（）"a人\n \N{SNOWMAN}', max_size=60)
    closed = st.tuples(characters.map(lambda text: text or "a"), characters).map(")".join)
    texts = data.draw(lists_with(closed, characters, max_size=3))
    values = [[0.1 + 0.8 * ((7 * k) % 11) / 11 for k in range(len(text) - 1)] for text in texts]
    table = errors(trace_of(texts, values), VOCABULARY.encode("()(a)"), [1, 3], resamples=2).closings
    expected: dict[tuple[str, int, int], list[float]] = {}
    for text, row in zip(texts, values, strict=True):
        for kind, place, distance in closings_of(text):
            power = 2 ** int(math.log2(distance))
            expected.setdefault((kind, power, 2 * power), []).append(row[place - 1])
    rows = {(row["bracket"], row["from"], row["to"]): row for row in table}
    assert {key: row["count"] for key, row in rows.items()} == {key: len(row) for key, row in expected.items()}
    for key, probabilities in expected.items():
        row = rows[key]
        assert row["network"] == pytest.approx(np.mean(np.log(probabilities)), abs=1e-12)
        assert row["network_probability"] == pytest.approx(np.mean(probabilities), abs=1e-12)
        assert row["gain"] == pytest.approx(row["network"] - row["ngram"], abs=1e-12)


def test_closing_marks_use_the_best_model() -> None:
    training, text = "(a)(é)(a)(a)[1]" * 4, "(a)(é)"
    tables = errors(trace_of([text], [[0.5] * 5]), VOCABULARY.encode(training), [1, 2, 3])
    best = int(tables.orders.sorted_by("cross_entropy", descending=False)["order"][0])
    assert tables.closings.about["best_order"] == best < 3  # not the highest order
    _, values = next(log_probabilities(VOCABULARY.encode(training), [VOCABULARY.encode(text)], VOCABULARY.size, [best]))
    (row,) = tables.closings
    assert (row["bracket"], row["from"], row["to"], row["count"]) == ("()", 2, 4, 2)
    assert row["ngram"] == pytest.approx((values[2] + values[5]) / 2, abs=1e-12)
    assert row["ngram_probability"] == pytest.approx(np.exp(values[[2, 5]]).mean(), abs=1e-12)


def test_closing_intervals_equal_those_of_a_mean() -> None:
    # Half of the 2000 closing marks are at p and half at q. The standard error of a mean of n values is sd / sqrt(n).
    p, q, count = 0.2, 0.8, 2000
    values = [value for k in range(count) for value in (0.9, p if k % 2 else q, 0.9)][:-1]
    text = "(a)" * count
    closings = errors(trace_of([text], [values[:]]), VOCABULARY.encode("(a)"), [1], resamples=2000).closings
    (row,) = closings
    half_width = 1.959964 * abs(math.log(p / q)) / 2 / math.sqrt(count)
    for name in ("network", "gain"):
        assert row[name] - row[f"{name}_low"] == pytest.approx(half_width, rel=0.08)
        assert row[f"{name}_high"] - row[name] == pytest.approx(half_width, rel=0.08)
    assert row["ngram_low"] == pytest.approx(row["ngram_high"], abs=1e-12)  # a model of order 1 has no context


def test_single_closing_mark_has_no_interval() -> None:
    (row,) = errors(trace_of(["(a)"], [[0.5, 0.5]]), VOCABULARY.encode("(a)"), [1]).closings
    assert row["count"] == 1
    assert math.isnan(row["network_low"])
    assert math.isnan(row["gain_high"])


def test_errors_same_seed_gives_same_intervals() -> None:
    trace = trace_of(["(a)(a)(a)"], [[0.9, 0.1, 0.9, 0.9, 0.3, 0.9, 0.9, 0.7]])
    both = [errors(trace, VOCABULARY.encode("a"), [1], seed=4).closings.to_json() for _ in range(2)]
    assert both[0] == both[1]


def test_error_is_attributed_to_the_smallest_order() -> None:
    # b and c follow a equally often, but only b follows xa. Most symbols are a, so order 1 predicts it.
    training = "xab" * 9 + "yac" * 9 + "a" * 99
    vocabulary = Vocabulary.of(training)
    table = errors(
        trace_of(["xab"], [[0.1, 0.2]], vocabulary), vocabulary.encode(training), [1, 2, 3], recent=(), rare=()
    )
    by_level = {row["level"]: (row["errors"], row["left"]) for row in table.causes if row["cause"] == "n-gram"}
    assert by_level == {"order 1": (1, 0.5), "order 2": (0, 0.5), "order 3": (1, 0)}
    short = errors(
        trace_of(["xab"], [[0.1, 0.2]], vocabulary), vocabulary.encode(training), [1, 3], recent=(), rare=(), short=2
    )
    assert [row["level"] for row in short.causes if row["cause"] == "n-gram"] == ["order 1"]


def levels(text: str, training: str, p: float = 0.01, vocabulary: Vocabulary | None = None) -> list[tuple[str, str]]:
    """Return the causes when every symbol of a text is an error and no n-gram model predicts any of them."""
    vocabulary = vocabulary or Vocabulary.of(text + training)
    trace = trace_of([text], [[p] * (len(vocabulary.encode(text)) - 1)], vocabulary)
    table = errors(trace, vocabulary.encode(training), [1], short=0).causes
    return [(row["cause"], row["level"]) for row in table for _ in range(row["errors"])]


def test_word_distance_counts_from_its_start() -> None:
    many = "Mary " * 9
    assert levels("Mary " + "." * 95 + "Mary", many).count(("memory", "within 100 characters")) == 4
    assert levels("Mary " + "." * 96 + "Mary", many).count(("memory", "within 500 characters")) == 4
    # Only whole words count as a repetition.
    assert not any(cause == "memory" for cause, _ in levels("Maryland Mary", many + "Maryland " * 9))


def test_words_of_other_languages() -> None:
    often = "слово " * 9 + "हिन्दी " * 9 + "كلمة " * 9
    assert levels(".слово", often)[0] == ("word", "first character otherwise")
    assert Counter(levels(". हिन्दी", often, 0.45)) == {
        ("word", "after other white space"): 1,
        ("boost", "by 0.1"): 6,  # the vowel signs and the virama are a part of the word
    }
    assert Counter(levels(".كلمة", often, 0.45))["boost", "by 0.1"] == 3
    # The second 喜欢 repeats two words: 喜 after the full stop, and the pair 喜欢.
    assert Counter(levels("。喜欢。喜欢", "喜欢。" * 9))["memory", "within 100 characters"] == 2
    assert Counter(levels("。喜欢", "喜。" * 9))["rare word", "never in training"] == 1


@pytest.mark.parametrize("texts", [[".a", "b.b"], ["。人", "心。心"]])
def test_words_end_with_their_sequence(texts: list[str]) -> None:
    vocabulary = Vocabulary.of("".join(texts))
    trace = trace_of(texts, [[0.6], [0.6, 0.01]], vocabulary)
    table = errors(trace, vocabulary.encode("".join(texts)), [1], short=0).causes
    # The error is the last character of the second text, which is also its first word.
    assert [(row["cause"], row["level"]) for row in table if row["errors"]] == [("memory", "within 100 characters")]


def test_bytes_above_ascii_are_letters() -> None:
    causes = Counter(levels(".né (", "né " * 9, 0.45, Vocabulary.of_bytes()))
    assert causes == {
        ("word", "first character otherwise"): 1,
        ("boost", "by 0.1"): 3,  # the two bytes of é, and the space
        ("word", "after other white space"): 1,
    }


def test_progress_counts_orders() -> None:
    reports: list[tuple[int, int]] = []
    trace = trace_of(["aa"], [[0.5]])
    errors(trace, VOCABULARY.encode("aa"), [1, 3, 9], progress=lambda done, of: reports.append((done, of)))
    assert reports == [(1, 3), (2, 3), (3, 3)]


def test_errors_refuse_a_trace_without_text() -> None:
    trace = trace_of(["aé1"], [[0.5, 0.5]])
    trace.steps["target"][0, 0] = 0
    with pytest.raises(StudyError, match="expected the next symbol as target of every step"):
        errors(trace, VOCABULARY.encode("a"), [1])


@pytest.mark.parametrize("texts", [[], [""], ["a"], ["a", "", "é"], ["a\N{SNOWMAN}"]])
def test_errors_refuse_an_empty_trace(texts: list[str]) -> None:
    with pytest.raises(StudyError, match="expected predictions to compare"):
        errors(trace_of(texts, [[0.5] * (len(text) - 1) for text in texts]), VOCABULARY.encode("a"), [1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"threshold": 0.0}, "above 0 and at most 1"),
        ({"threshold": 1.5}, "above 0 and at most 1"),
        ({"recent": (500, 100)}, "rising distances"),
        ({"rare": (1, 1)}, "rising distances"),
        ({"resamples": 0}, "rising distances"),
        ({"orders": [0]}, "orders of at least 1"),
        ({"orders": []}, "orders of at least 1"),
    ],
)
def test_errors_refuse_invalid_settings(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        errors(trace_of(["aa"], [[0.5]]), VOCABULARY.encode("a"), **changes)
