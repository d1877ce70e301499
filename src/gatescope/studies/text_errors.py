"""Where is a text model wrong, and what would have prevented its errors?

A loss says how good a model is, not what it lacks. Would a longer memory help, or a larger training text? Each error is
attributed to the simplest cause that explains it, and the network is compared with n-gram models, which know the last
few characters perfectly and nothing else. A network that closes brackets better than the best n-gram model uses a
memory that reaches further.

A symbol is an error of a model that gave it a probability below a threshold (0.5 in the paper).

**Causes.** Each error of the network is attributed to the first cause that applies, and to its first level:

1. *n-gram*: an n-gram model (of order 1 to 9 in the paper) gives the symbol at least the threshold. The level is the
   smallest such order. The last few characters would have been enough.
2. *memory*: the symbol is in a word that also began at most k characters (100, 500, 1000) earlier in the same sequence,
   as a whole word. Remembering the text would have been enough.
3. *rare word*: the symbol is in a word that occurs at most n times (0 to 5) in the training text. More text would help.
4. *word*: the next word is harder to predict than the rest of a word. The symbol follows a newline, other white space
   or a quotation mark; or it is the first character of a word for another reason. The paper lacks this last level,
   but code needs it.
5. *punctuation*: the symbol is a punctuation mark or another sign.
6. *boost*: all other errors, by how much is missing: the symbol would be no error if every probability were higher by
   one fifth of the threshold, two fifths, and so on.

`gatescope.studies.common.word_spans` defines words and the other kinds of characters. Unknown characters are not
predicted.

**Closings.** How much more the network knows than the best n-gram model when a bracket or a quotation is closed, by the
distance from the opening mark. Each kind of bracket is paired separately and may be nested. A straight quotation mark
is paired with the next one on its line, unless a word follows directly after that.

**Orders.** For each order: the errors that the network and the n-gram model share, and the cross-entropy of both.

The n-gram models are trained on the training text of the network. Both are evaluated on a text outside it, because the
n-gram models know the training text by heart. The first symbol of a sequence is not predicted. Losses are in nats.

`P` place: a symbol of any sequence. `E` error of the network. `C` closing mark.

Source: Karpathy, Johnson and Fei-Fei, "Visualizing and Understanding Recurrent Networks", 2015, sections 4.3 and 4.4.
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
from gatescope.studies.common.resampling import LEVEL, bounds_of_means
from gatescope.studies.common.steps import Steps
from gatescope.studies.common.table import StudyError, Table
from gatescope.studies.common.word_spans import Classes, Numbers, Places, Truth, Words
from gatescope.trace import Trace

MAX_SHORT_ORDER = 9  # the highest order that counts as a cause
RECENT_CHARACTERS = (100, 500, 1000)  # distances at which a word is still remembered
RARE_COUNTS = (0, 1, 2, 3, 4, 5)  # occurrences of a rare word in the training text
BOOSTS = 5
BRACKETS = ("()", "[]", "{}", "“”", "«»", "（）", "「」", "『』", "《》", "〈〉", "【】", '""')

CAUSE_TITLES = {
    "cause": "cause of the errors",
    "level": "level of the cause",
    "errors": "errors of the network",
    "share": "share of all errors of the network",
    "left": "share of the errors that this cause and those above do not explain",
    "loss": "mean loss of these errors, nats",
}
ORDER_TITLES = {
    "order": "n",
    "cross_entropy": "cross-entropy of the n-gram model, nats per symbol",
    "errors": "errors of the n-gram model",
    "shared": "errors of both",
    "network_alone": "errors of the network alone",
    "ngram_alone": "errors of the n-gram model alone",
}
_MODELS = {"network": "the network", "ngram": "the best n-gram model", "gain": "the difference"}
CLOSING_TITLES = {
    "bracket": "opening and closing mark",
    "from": "least distance, characters",
    "to": "distance below, characters",
    "count": "closing marks",
    **{
        f"{name}{part}": f"{title} of the log-probability of {model}, nats"
        if name != "gain"
        else f"{title} of {model}, nats"
        for name, model in _MODELS.items()
        for part, title in (("", "mean"), ("_low", "lower bound of the mean"), ("_high", "upper bound of the mean"))
    },
    "network_probability": "mean probability by the network",
    "ngram_probability": "mean probability by the best n-gram model",
}


@dataclass(frozen=True)
class Errors:
    """The tables of `errors`.

    Attributes:
        causes: a row for each cause and level, in the order in which they are tried.
        closings: a row for each kind of bracket and distance; distances double.
        orders: a row for each n-gram model.
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
    short: int = MAX_SHORT_ORDER,
    recent: Sequence[int] = RECENT_CHARACTERS,
    rare: Sequence[int] = RARE_COUNTS,
    resamples: int = 500,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Errors:
    """Attribute the errors of a network to causes, and compare the network with n-gram models.

    Args:
        trace: a trace of a text that the network was not trained on. The target of each step is the next symbol.
        training_ids: the ids of the training text, (A,); -1 stands between texts.
        orders: the orders of the n-gram models.
        threshold: the probability below which a symbol is an error, above 0 and at most 1.
        short: the highest order that counts as a cause.
        recent: distances in characters at which a word is still remembered, ascending.
        rare: numbers of occurrences of a rare word in the training text, ascending.
        resamples: the bootstrap resamples for the 95 % intervals of closing marks, which count as independent.
        seed: the seed of the bootstrap.
        progress: called after each order with the number of orders done and the number of all orders.

    Returns:
        The three tables that this module describes.

    Raises:
        StudyError: the trace does not predict a text, or a setting is out of range.
    """
    ascending = sorted(set(orders))
    if not 0 < threshold <= 1:
        raise StudyError("TEXT_ERRORS_THRESHOLD_INVALID", threshold=threshold)
    if resamples < 1 or list(recent) != sorted(set(recent)) or list(rare) != sorted(set(rare)):
        raise StudyError("TEXT_ERRORS_SETTINGS_INVALID", distances=recent, counts=rare, resamples=resamples)
    text = _Text(trace)
    network = text.log_probability
    wrong = text.predicted & (network < np.log(threshold))
    closings = _closings(text)
    smallest_order = np.full(len(network), np.iinfo(np.int64).max)  # of the models that predict the symbol
    at_closings = np.empty((len(ascending), len(closings.place)))
    rows = []
    texts = [text.ids[start:end] for start, end in pairwise(text.starts.tolist())]
    for done, (order, model) in enumerate(log_probabilities(training_ids, texts, text.vocabulary.size, ascending), 1):
        right = model >= np.log(threshold)
        smallest_order[right] = np.minimum(smallest_order[right], order)
        at_closings[done - 1] = model[closings.place]
        both = int((wrong & ~right).sum())
        own = int((text.predicted & ~right).sum())
        loss = float(-model[text.predicted].mean())
        alone = {"network_alone": int(wrong.sum()) - both, "ngram_alone": own - both}
        rows.append({"order": order, "cross_entropy": loss, "errors": own, "shared": both, **alone})
        if progress is not None:
            progress(done, len(ascending))
    best = int(np.argmin([row["cross_entropy"] for row in rows]))
    about = {
        "targets": int(text.predicted.sum()),
        "errors": int(wrong.sum()),
        "cross_entropy": float(-network[text.predicted].mean()),
        "threshold": threshold,
        "training": len(training_ids),
        "best_order": rows[best]["order"],
    }
    causes = _Causes(text, training_ids, np.flatnonzero(wrong), threshold)
    causes.ngrams(smallest_order, [order for order in ascending if order <= short])
    causes.words(recent, rare)
    causes.characters()
    causes.boosts()
    spread = {"resamples": resamples, "confidence": LEVEL, "seed": seed}
    return Errors(
        Table.of(causes.rows(), CAUSE_TITLES, **about),
        Table.of(_gains(closings, network, at_closings[best], resamples, seed), CLOSING_TITLES, **about, **spread),
        Table.of(rows, ORDER_TITLES, **about),
    )


class _Text:
    """The symbols of a trace and their log-probabilities by the network, along the places of `Steps`.

    Attributes:
        ids: the ids of the symbols, (P,).
        starts: the place of the first symbol of each sequence, and P at the end.
        begins: true at the first symbol of each sequence, (P,).
        predicted: true if the network predicts the symbol, (P,).
        log_probability: the log-probability by the network, (P,); NaN for symbols that are not predicted.
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
        self.predicted = ~np.isnan(self.log_probability)
        targets = np.append(-1, steps.of_step("target").astype(np.int64)[:-1])[: len(self.ids)]
        if (targets != self.ids)[self.predicted].any():
            raise StudyError("TEXT_ERRORS_TARGETS_DIFFER")
        if not self.predicted.any():
            raise StudyError("TEXT_ERRORS_TRACE_EMPTY")


class _Causes:
    """The levels of all causes, tried in turn on the errors that are left."""

    def __init__(self, text: _Text, training: Symbols, places: Places, threshold: float) -> None:
        self._text, self._training, self._places, self._threshold = text, training, places, threshold
        self._classes = Classes(text.vocabulary)
        self._words = Words(text.ids, text.begins, self._classes)
        self._left = np.ones(len(places), np.bool_)
        self._loss = -text.log_probability[places]
        self._rows: list[dict[str, Any]] = []

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of the table of causes."""
        return self._rows

    def take(self, cause: str, level: str, selected: Truth) -> None:
        """Attribute the selected errors that are left to a cause.

        Args:
            cause: the name of the cause.
            level: the name of its level.
            selected: true for the errors that the level explains, (E,).
        """
        taken = selected & self._left
        self._left &= ~taken
        errors, count = int(taken.sum()), max(1, len(taken))
        loss = float(self._loss[taken].mean()) if errors else None
        left = int(self._left.sum()) / count
        share = errors / count
        self._rows.append(dict(cause=cause, level=level, errors=errors, share=share, left=left, loss=loss))

    def ngrams(self, smallest_order: Places, orders: Sequence[int]) -> None:
        """Take the errors that an n-gram model does not make.

        Args:
            smallest_order: the smallest order of a model that predicts the symbol, (P,).
            orders: the orders that count.
        """
        for order in orders:
            self.take("n-gram", f"order {order}", smallest_order[self._places] == order)

    def words(self, recent: Sequence[int], rare: Sequence[int]) -> None:
        """Take the errors in words that occurred shortly before, or that are rare in the training text."""
        words, ids, starts = self._words, self._text.ids, self._text.starts
        spelled = words.spelled(ids)
        since = words.since(spelled, np.repeat(np.arange(len(starts) - 1), np.diff(starts)))
        trained = np.clip(np.asarray(self._training, np.int64), -1, self._text.vocabulary.unknown)
        training_words = Words(trained, np.append(True, trained[:-1] == -1)[: len(trained)], self._classes)
        counts = Counter(training_words.spelled(trained))
        seen = np.array([counts[spelling] for spelling in spelled], np.float64)
        word = words.of[self._places]  # -1 outside words: the infinity that is appended at the end
        since, seen = np.append(since, np.inf)[word], np.append(seen, np.inf)[word]
        for distance in recent:
            self.take("memory", f"within {distance} characters", since <= distance)
        for count in rare:
            times = "once" if count == 1 else f"{count} times"
            self.take("rare word", f"{times} in training" if count else "never in training", seen <= count)

    def characters(self) -> None:
        """Take the errors at the beginning of words, and at punctuation."""
        symbol = self._text.ids[self._places]
        before = self._text.ids[self._places - 1]
        self.take("word", "after a newline", self._classes.newline[before])
        self.take("word", "after other white space", self._classes.space[before])
        self.take("word", "after a quotation mark", self._classes.quote[before])
        self.take("word", "first character otherwise", self._words.first[self._places])
        self.take("punctuation", "", self._classes.punctuation[symbol])

    def boosts(self) -> None:
        """Take all other errors, by how much probability is missing."""
        for step in range(1, BOOSTS + 1):
            boost = self._threshold * step / BOOSTS
            enough = (np.exp(-self._loss) >= self._threshold - boost) | (step == BOOSTS)
            self.take("boost", f"by {boost:.3g}", enough)


@dataclass(frozen=True)
class _Closings:
    """The closing marks that the network predicts.

    Attributes:
        kind: the number of the kind in BRACKETS, (C,).
        place: the place of the mark, (C,).
        distance: the number of characters from the opening mark, (C,).
    """

    kind: Places
    place: Places
    distance: Places


def _closings(text: _Text) -> _Closings:
    classes, parts = Classes(text.vocabulary), []
    for kind, (opening, closing) in enumerate(BRACKETS):
        if text.vocabulary.bytes and not (opening + closing).isascii():
            continue
        symbols = text.vocabulary.symbols
        if opening not in symbols or closing not in symbols:
            continue
        opened, closed = text.ids == symbols.index(opening), text.ids == symbols.index(closing)
        pairs = _quoted(opened, text, classes) if opening == closing else _paired(opened, closed, text.begins)
        pairs = pairs[:, text.predicted[pairs[1]]]
        parts.append((np.full(pairs.shape[1], kind), pairs[1], pairs[1] - pairs[0]))
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)] or [np.empty(0, np.int64)] * 3
    return _Closings(*columns)


def _paired(opened: Truth, closed: Truth, begins: Truth) -> Places:
    """Pair the opening and closing marks of one kind, (2, C).

    A mark and its partner have the same depth, and no mark between them is as shallow. Sorted by depth, partners are
    therefore neighbours.
    """
    place = np.flatnonzero(opened | closed)
    step = opened.astype(np.int64) - closed
    depth = np.cumsum(step)[place] + closed[place]  # the depth inside the pair
    sequence = np.cumsum(begins)[place]
    order = np.lexsort((place, depth, sequence))
    place, depth, sequence = place[order], depth[order], sequence[order]
    pair = (depth[1:] == depth[:-1]) & (sequence[1:] == sequence[:-1]) & opened[place[:-1]] & closed[place[1:]]
    return np.stack([place[:-1][pair], place[1:][pair]])


def _quoted(marks: Truth, text: _Text, classes: Classes) -> Places:
    """Pair the straight quotation marks of each line, (2, C), unless a word follows directly after the second."""
    line = np.cumsum(text.begins | np.append(False, classes.newline[text.ids[:-1]])[: len(marks)])
    place = np.flatnonzero(marks)
    first = np.searchsorted(line[place], line[place])  # the first mark of the same line
    second = (np.arange(len(place)) - first) % 2 == 1
    follows = np.append(classes.word[text.ids[1:]] & ~text.begins[1:], False)[: len(marks)]
    ends = np.flatnonzero(second & ~follows[place])
    return np.stack([place[ends - 1], place[ends]])


def _gains(closings: _Closings, network: Numbers, ngram: Numbers, resamples: int, seed: int) -> list[dict[str, Any]]:
    """Return the rows of the table of closing marks.

    Args:
        closings: the closing marks.
        network: log-probabilities by the network, (P,).
        ngram: log-probabilities of the closing marks by the best n-gram model, (C,).
        resamples: the number of bootstrap resamples.
        seed: the seed of the bootstrap.
    """
    random = np.random.default_rng(seed)
    doubling = np.frexp(closings.distance)[1] - 1  # 2 ** doubling <= distance < 2 ** (doubling + 1)
    own = network[closings.place]
    rows = []
    for kind, power in sorted(set(zip(closings.kind.tolist(), doubling.tolist(), strict=True))):
        rows_of_kind = np.flatnonzero((closings.kind == kind) & (doubling == power))
        values = np.stack([own[rows_of_kind], ngram[rows_of_kind], own[rows_of_kind] - ngram[rows_of_kind]])
        bounds = bounds_of_means(values, resamples, random)
        row = {"bracket": BRACKETS[kind], "from": 2**power, "to": 2 ** (power + 1), "count": len(rows_of_kind)}
        for name, mean, (low, high) in zip(_MODELS, values.mean(1).tolist(), bounds.T.tolist(), strict=True):
            row |= {name: mean, f"{name}_low": low, f"{name}_high": high}
        probability = np.exp(values[:2]).mean(1).tolist()
        rows.append(row | dict(zip(("network_probability", "ngram_probability"), probability, strict=True)))
    return rows
