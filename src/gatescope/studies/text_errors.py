"""Where is a text model wrong, compared with n-gram models?

After Karpathy, Johnson and Fei-Fei, "Visualizing and Understanding Recurrent Networks" (2015), sections 4.3 and 4.4. A
symbol is an error of a model that gave it a probability below a threshold, 0.5 in the paper.

**Causes.** Each error of the network goes to the first cause, and within it to the first level, that takes it away:

1. *n-gram*: some n-gram model, of order 1 to 9 in the paper, gives the symbol a probability of at least the threshold.
   The level is the smallest such order: what the last few characters would have told.
2. *memory*: the symbol is in a word that began at most k characters (100, 500, 1000) before, in the same sequence.
   The word is looked for as a whole, not as a part of another one: what remembering the text would have told.
3. *rare word*: it is in a word that the training text has at most n times (0 to 5): what more text would have told.
4. *word*: which word comes is harder to tell than how it goes on. The symbol follows a newline; other white space; a
   quotation mark; or, which the paper does not have but code needs, it is the first character of a word otherwise.
5. *punctuation*: the symbol is punctuation or a sign.
6. *boost*: it would be none if every probability were higher by a fifth of the threshold, two fifths, ... : all others.

`words` says what a word is, and the other kinds of characters. Unknown characters are not asked for.

**Closings.** How much more a network knows than the best n-gram model when a bracket or a quotation is closed, by how
long ago it was opened. Each kind of bracket is paired for itself, and may hold itself; a straight quotation mark is
paired with the next one on its line, unless a word follows directly on that.

**Orders.** Which errors network and n-gram model share, for each order, and the cross-entropy of both.

The n-gram models are trained on the text that the network was trained on, and both are asked about a text that it was
not: of a text from the training part the n-gram models know everything. The first symbol of a sequence is not asked
for. Losses are in nats.

`P` place: a symbol of any sequence. `E` error of the network. `C` closing mark.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from gatescope.readout import SYMBOLS, Readout
from gatescope.studies.common.ngrams import Symbols, log_probabilities
from gatescope.studies.common.steps import Steps
from gatescope.studies.common.table import StudyError, Table
from gatescope.studies.common.words import Classes, Numbers, Places, Truth, Words
from gatescope.trace import Trace

SHORT = 9  # the highest order whose errors are put down to too short a look back
RECENT = (100, 500, 1000)
RARE = (0, 1, 2, 3, 4, 5)
BOOSTS = 5
BRACKETS = ("()", "[]", "{}", "“”", "«»", "（）", "「」", "『』", "《》", "〈〉", "【】", '""')
CONFIDENCE = 0.95

CAUSE_TITLES = {
    "cause": "what would take the errors away",
    "level": "how much of it",
    "errors": "errors of the network",
    "share": "share of all its errors",
    "left": "share of its errors left after this and all above",
    "loss": "mean loss of these errors, nats",
}
ORDER_TITLES = {
    "order": "n",
    "cross_entropy": "cross-entropy of the n-gram model, nats per symbol",
    "errors": "its errors",
    "shared": "errors of both",
    "network_alone": "errors of the network alone",
    "ngram_alone": "errors of the n-gram model alone",
}
_OF = {"network": "the network", "ngram": "the best n-gram model", "gain": "the difference"}
CLOSING_TITLES = {
    "bracket": "opening and closing mark",
    "from": "least distance, characters",
    "to": "distance below, characters",
    "count": "closing marks",
    **{
        f"{name}{part}": f"{title} of the log-probability of {of}, nats" if name != "gain" else f"{title} of {of}, nats"
        for name, of in _OF.items()
        for part, title in (("", "mean"), ("_low", "lower bound of the mean"), ("_high", "upper bound of the mean"))
    },
    "network_probability": "mean probability by the network",
    "ngram_probability": "mean probability by the best n-gram model",
}


@dataclass(frozen=True)
class Errors:
    """What `errors` found.

    Attributes:
        causes: each cause and level, in the order in which they are tried.
        closings: kinds of brackets and distances, doubling.
        orders: the n-gram models.
    """

    causes: Table
    closings: Table
    orders: Table


def errors(
    trace: Trace,
    training_ids: Symbols,
    orders: Iterable[int] = range(1, 21),
    threshold: float = 0.5,
    *,
    short: int = SHORT,
    recent: Sequence[int] = RECENT,
    rare: Sequence[int] = RARE,
    resamples: int = 500,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Errors:
    """Compare a network's errors on a text with those of n-gram models; the module says what the tables hold.

    Args:
        trace: of a text that the network was not trained on, each symbol being the target of the step before it.
        training_ids: the training text in the network's ids, (A,); -1 stands between texts.
        orders: of the n-gram models.
        threshold: probability below which a symbol is an error, above 0 and up to 1.
        short: the highest order that counts as a cause.
        recent: distances in characters at which a word is still remembered, rising.
        rare: how often a rare word occurs in the training text, rising.
        resamples: of the bootstrap behind the 95 % intervals of closing marks, which takes them as independent.
        seed: of the bootstrap.
        progress: called after each order with how many are done, and of how many.

    Raises:
        StudyError: the trace predicts no text, or a setting makes no sense.
    """
    wanted = sorted(set(orders))
    if not 0 < threshold <= 1:
        raise StudyError("TEXT_ERRORS_THRESHOLD_INVALID", threshold=threshold)
    if resamples < 1 or list(recent) != sorted(set(recent)) or list(rare) != sorted(set(rare)):
        raise StudyError("TEXT_ERRORS_SETTINGS_INVALID", distances=recent, counts=rare, resamples=resamples)
    text = _Text(trace)
    network = text.log_probability
    wrong = text.asked & (network < np.log(threshold))
    closings = _closings(text)
    helped = np.full(len(network), np.iinfo(np.int64).max)  # the smallest order that has it right
    at_closings = np.empty((len(wanted), len(closings.place)))
    rows = []
    texts = [text.ids[start:end] for start, end in pairwise(text.starts.tolist())]
    for done, (order, model) in enumerate(log_probabilities(training_ids, texts, text.vocabulary.size, wanted), 1):
        right = model >= np.log(threshold)
        helped[right] = np.minimum(helped[right], order)
        at_closings[done - 1] = model[closings.place]
        both = int((wrong & ~right).sum())
        own = int((text.asked & ~right).sum())
        loss = float(-model[text.asked].mean())
        alone = {"network_alone": int(wrong.sum()) - both, "ngram_alone": own - both}
        rows.append({"order": order, "cross_entropy": loss, "errors": own, "shared": both, **alone})
        if progress is not None:
            progress(done, len(wanted))
    best = int(np.argmin([row["cross_entropy"] for row in rows]))
    about = {
        "asked": int(text.asked.sum()),
        "errors": int(wrong.sum()),
        "cross_entropy": float(-network[text.asked].mean()),
        "threshold": threshold,
        "training": len(training_ids),
        "best_order": rows[best]["order"],
    }
    causes = _Causes(text, training_ids, np.flatnonzero(wrong), threshold)
    causes.ngrams(helped, [order for order in wanted if order <= short])
    causes.words(recent, rare)
    causes.characters()
    causes.boosts()
    spread = {"resamples": resamples, "confidence": CONFIDENCE, "seed": seed}
    return Errors(
        Table.of(causes.rows(), CAUSE_TITLES, **about),
        Table.of(_gains(closings, network, at_closings[best], resamples, seed), CLOSING_TITLES, **about, **spread),
        Table.of(rows, ORDER_TITLES, **about),
    )


class _Text:
    """The symbols of a trace and how probable the network found each, along the axis of `Steps`.

    Attributes:
        ids: (P,).
        starts: the place of the first symbol of each sequence, and P.
        begins: whether a sequence begins here, (P,).
        asked: whether the network was asked for the symbol, (P,).
        log_probability: by the network, (P,); NaN where it was not asked.
    """

    def __init__(self, trace: Trace) -> None:
        if not len(trace.lengths):
            raise StudyError("TEXT_ERRORS_TRACE_EMPTY")
        steps = Steps(trace)
        self.vocabulary = trace.vocabulary
        if (
            Readout.from_json(trace.attributes.get("readout", SYMBOLS.to_json())) != SYMBOLS
            or "target" not in trace.steps
        ):
            raise StudyError("TEXT_ERRORS_TRACE_NOT_NEXT_SYMBOL")
        if any(layer.endswith("_reverse") for layer in trace.layers):
            raise StudyError("TEXT_ERRORS_TRACE_BOTH_WAYS")
        if self.vocabulary.unit not in ("character", "byte"):
            raise StudyError("TEXT_ERRORS_UNIT_UNSUPPORTED", unit=self.vocabulary.unit)
        self.starts = steps.starts
        self.ids = steps.of_step("token").astype(np.int64)
        self.begins = steps.step == 0
        self.log_probability = np.full(len(self.ids), np.nan)
        self.log_probability[1:] = steps.of_step("log_probability").astype(np.float64)[:-1]
        self.log_probability[self.begins] = np.nan
        self.asked = ~np.isnan(self.log_probability)
        told = np.append(-1, steps.of_step("target").astype(np.int64)[:-1])[: len(self.ids)]
        if (told != self.ids)[self.asked].any():
            raise StudyError("TEXT_ERRORS_TARGETS_DIFFER")
        if not self.asked.any():
            raise StudyError("TEXT_ERRORS_TRACE_EMPTY")


class _Causes:
    """The levels of all causes, tried one after the other on the errors that are left."""

    def __init__(self, text: _Text, training: Symbols, places: Places, threshold: float) -> None:
        self._text, self._training, self._places, self._threshold = text, training, places, threshold
        self._classes = Classes(text.vocabulary)
        self._words = Words(text.ids, text.begins, self._classes)
        self._left = np.ones(len(places), np.bool_)
        self._loss = -text.log_probability[places]
        self._rows: list[dict[str, Any]] = []

    def rows(self) -> list[dict[str, Any]]:
        """What was found."""
        return self._rows

    def take(self, cause: str, level: str, which: Truth) -> None:
        """Put those errors down to a cause that no cause before has taken; `which` of the errors, (E,)."""
        taken = which & self._left
        self._left &= ~taken
        errors, count = int(taken.sum()), max(1, len(taken))
        loss = float(self._loss[taken].mean()) if errors else None
        left = int(self._left.sum()) / count
        share = errors / count
        self._rows.append(dict(cause=cause, level=level, errors=errors, share=share, left=left, loss=loss))

    def ngrams(self, helped: Places, orders: Sequence[int]) -> None:
        """Errors that an n-gram model would not make; `helped`: the smallest order that is right, (P,)."""
        for order in orders:
            self.take("n-gram", f"order {order}", helped[self._places] == order)

    def words(self, recent: Sequence[int], rare: Sequence[int]) -> None:
        """Errors in words that were there just before, or that the training text hardly has."""
        words, ids, starts = self._words, self._text.ids, self._text.starts
        spelled = words.spelled(ids)
        since = words.since(spelled, np.repeat(np.arange(len(starts) - 1), np.diff(starts)))
        trained = np.clip(np.asarray(self._training, np.int64), -1, self._text.vocabulary.unknown)
        theirs = Words(trained, np.append(True, trained[:-1] == -1)[: len(trained)], self._classes)
        counts = Counter(theirs.spelled(trained))
        seen = np.array([counts[word] for word in spelled], np.float64)
        of = words.of[self._places]  # -1 finds the value behind the last word
        since, seen = np.append(since, np.inf)[of], np.append(seen, np.inf)[of]
        for distance in recent:
            self.take("memory", f"within {distance} characters", since <= distance)
        for count in rare:
            times = "once" if count == 1 else f"{count} times"
            self.take("rare word", f"{times} in training" if count else "never in training", seen <= count)

    def characters(self) -> None:
        """Errors at the beginning of words, and at punctuation."""
        symbol = self._text.ids[self._places]
        before = self._text.ids[self._places - 1]
        self.take("word", "after a newline", self._classes.newline[before])
        self.take("word", "after other white space", self._classes.space[before])
        self.take("word", "after a quotation mark", self._classes.quote[before])
        self.take("word", "first character otherwise", self._words.first[self._places])
        self.take("punctuation", "", self._classes.punctuation[symbol])

    def boosts(self) -> None:
        """The other errors, by how much is missing."""
        for step in range(1, BOOSTS + 1):
            boost = self._threshold * step / BOOSTS
            enough = (np.exp(-self._loss) >= self._threshold - boost) | (step == BOOSTS)
            self.take("boost", f"by {boost:.3g}", enough)


@dataclass(frozen=True)
class _Closings:
    """The closing marks that the network was asked for.

    Attributes:
        kind: number in BRACKETS, (C,).
        place: (C,).
        distance: characters since the opening mark, (C,).
    """

    kind: Places
    place: Places
    distance: Places


def _closings(text: _Text) -> _Closings:
    classes, found = Classes(text.vocabulary), []
    for kind, (opening, closing) in enumerate(BRACKETS):
        if text.vocabulary.bytes and not (opening + closing).isascii():
            continue
        symbols = text.vocabulary.symbols
        if opening not in symbols or closing not in symbols:
            continue
        opened, closed = text.ids == symbols.index(opening), text.ids == symbols.index(closing)
        pairs = _quoted(opened, text, classes) if opening == closing else _paired(opened, closed, text.begins)
        pairs = pairs[:, text.asked[pairs[1]]]
        found.append((np.full(pairs.shape[1], kind), pairs[1], pairs[1] - pairs[0]))
    columns = [np.concatenate(column) for column in zip(*found, strict=True)] or [np.empty(0, np.int64)] * 3
    return _Closings(*columns)


def _paired(opened: Truth, closed: Truth, begins: Truth) -> Places:
    """Opening and closing marks of one kind that belong together, (2, C).

    How deep a mark stands does not change between it and its partner, and nothing between them is as shallow: sorted by
    depth, partners are neighbours.
    """
    place = np.flatnonzero(opened | closed)
    step = opened.astype(np.int64) - closed
    depth = np.cumsum(step)[place] + closed[place]  # of a pair: inside it
    sequence = np.cumsum(begins)[place]
    order = np.lexsort((place, depth, sequence))
    place, depth, sequence = place[order], depth[order], sequence[order]
    pair = (depth[1:] == depth[:-1]) & (sequence[1:] == sequence[:-1]) & opened[place[:-1]] & closed[place[1:]]
    return np.stack([place[:-1][pair], place[1:][pair]])


def _quoted(marks: Truth, text: _Text, classes: Classes) -> Places:
    """Straight quotation marks, first and second of a line and so on, unless a word follows on the second, (2, C)."""
    line = np.cumsum(text.begins | np.append(False, classes.newline[text.ids[:-1]])[: len(marks)])
    place = np.flatnonzero(marks)
    first = np.searchsorted(line[place], line[place])  # of the same line
    second = (np.arange(len(place)) - first) % 2 == 1
    follows = np.append(classes.word[text.ids[1:]] & ~text.begins[1:], False)[: len(marks)]
    ends = np.flatnonzero(second & ~follows[place])
    return np.stack([place[ends - 1], place[ends]])


def _gains(closings: _Closings, network: Numbers, ngram: Numbers, resamples: int, seed: int) -> list[dict[str, Any]]:
    """The rows of the table of closing marks; `network` (P,), `ngram` (C,)."""
    random = np.random.default_rng(seed)
    doubling = np.frexp(closings.distance)[1] - 1  # 2 ** doubling <= distance < 2 ** (doubling + 1)
    own = network[closings.place]
    rows = []
    for kind, power in sorted(set(zip(closings.kind.tolist(), doubling.tolist(), strict=True))):
        which = np.flatnonzero((closings.kind == kind) & (doubling == power))
        values = np.stack([own[which], ngram[which], own[which] - ngram[which]])
        bounds = _bounds(values, resamples, random)
        row = {"bracket": BRACKETS[kind], "from": 2**power, "to": 2 ** (power + 1), "count": len(which)}
        for name, mean, (low, high) in zip(_OF, values.mean(1).tolist(), bounds.T.tolist(), strict=True):
            row |= {name: mean, f"{name}_low": low, f"{name}_high": high}
        probability = np.exp(values[:2]).mean(1).tolist()
        rows.append(row | dict(zip(("network_probability", "ngram_probability"), probability, strict=True)))
    return rows


def _bounds(values: Numbers, resamples: int, random: np.random.Generator) -> Numbers:
    """Percentile bootstrap of means, the same resamples for all: values (K, n) -> (2, K); NaN for fewer than two."""
    count = values.shape[1]
    if count < 2:
        return np.full((2, len(values)), np.nan)
    means = np.stack([values[:, random.integers(count, size=count)].mean(1) for _ in range(resamples)])
    return np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
