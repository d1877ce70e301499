"""The task of a network that was trained elsewhere: its symbols and texts to look at, without training data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np

from gatescope.errors import GatescopeError
from gatescope.messages import Message
from gatescope.readout import SYMBOLS, Readout
from gatescope.tasks.base.saved_task import SavedTask, string, strings
from gatescope.tasks.base.task import Batch, Predict, Quantity, Recommended, Score, TaskError, loss_sum, predictions
from gatescope.vocabulary import Ids, Vocabulary

MAX_TEXT_CHARACTERS = 200_000  # in task.json
EXAMPLE_CHARACTERS = 300
STRETCH_SYMBOLS = 2_000  # scored from the initial state


class Adopted(SavedTask):
    """The task of an adopted network. It is not in `TASKS`, because it cannot be trained.

    Args:
        vocabulary: the symbols.
        source: the file of the network.
        text: a text to read, which the network may have been trained on. The first 200,000 characters are used, whole
            lines for words and numbers.
        notes: assumptions of the adoption, one sentence each.
        readout: the kind of prediction.
        measured: the score on the text at the adoption.

    Raises:
        TaskError: the text has no symbol of the vocabulary, or a line without the numbers.
    """

    name: ClassVar[str] = "adopted"
    title: ClassVar[str] = "Adopted"
    question: ClassVar[str] = "The network was trained elsewhere: which of its neurons do what?"
    settings: ClassVar[Recommended] = Recommended(layers=(128,), steps=1, batch=1, learning_rate=0.001)
    quantity_titles: ClassVar[dict[str, str]] = {}

    def __init__(
        self,
        vocabulary: Vocabulary,
        source: str,
        text: str = "",
        notes: Sequence[str] = (),
        readout: Readout = SYMBOLS,
        measured: Score | None = None,
    ) -> None:
        self.vocabulary: Vocabulary = vocabulary
        self.readout: Readout = readout
        self.source = source
        self.measured: Score | None = measured
        self.text = self._beginning(text, MAX_TEXT_CHARACTERS)
        self.recommended: Recommended = self.settings
        self._notes = tuple(notes)
        try:
            ids = vocabulary.encode(self.text)
        except GatescopeError as error:
            raise TaskError("ADOPTED_TEXT_UNREADABLE", reason=error.message) from error
        if text and vocabulary.unit != "number" and (ids == vocabulary.unknown).all():
            symbols = f"{vocabulary.unit}s" if vocabulary.in_words else "characters"
            raise TaskError("ADOPTED_SYMBOLS_UNKNOWN", what=symbols)

    def _beginning(self, text: str, characters: int) -> str:
        """Return at most this number of characters of a text, whole lines for words and numbers."""
        if len(text) <= characters or self.vocabulary.unit in ("character", "byte"):
            return text[:characters]
        if cut := text.rfind("\n", 0, characters) + 1:
            return text[:cut]
        if self.vocabulary.unit == "number":
            return text.partition("\n")[0]
        return text[:characters].rpartition(" ")[0] or text[:characters]

    @property
    def notes(self) -> list[str]:
        """Sentences about the assumptions of the adoption."""
        return list(self._notes)

    @property
    def warning(self) -> str | None:
        """A sentence if the network predicts the text worse than the frequencies of its symbols; else None."""
        score = self.measured
        if score is None or score.chance is None or not score.value > score.chance:
            return None
        return str(Message("ADOPTED_WARNING", value=score.value, chance=score.chance))

    def scored(self, score: Score) -> Adopted:
        """Return the task with the score on its text, and with a warning among its notes if the score is bad."""
        task = Adopted(self.vocabulary, self.source, self.text, self._notes, self.readout, score)
        if task.warning is not None:
            task._notes = (*self._notes, task.warning)
        return task

    def batch(self, seed: int, step: int) -> Batch:
        """Refuse to train.

        Raises:
            TaskError: always; an adopted network has no training data.
        """
        raise TaskError("ADOPTED_NO_DATA", source=self.source)

    def validation(self, predict: Predict) -> float:
        """Return the loss on the text, in nats per symbol; NaN without a text."""
        return self.score(predict).value

    def score(self, predict: Predict) -> Score:
        """Return the cross-entropy in nats per symbol on the text, in stretches of 2,000 symbols; NaN without a text.

        Chance is a guess by the frequencies of the symbols in this text.
        """
        ids = self.vocabulary.encode(self.text) if self.readout == SYMBOLS else np.empty(0, np.int32)
        stretches = [ids[k : k + STRETCH_SYMBOLS] for k in range(0, len(ids), STRETCH_SYMBOLS)]
        stretches = [stretch for stretch in stretches if len(stretch) > 1]
        if not stretches:
            without = Message("SCORE_ADOPTED_NO_TEXT" if self.readout == SYMBOLS else "SCORE_ADOPTED_NO_ANSWERS")
            return Score(math.nan, math.nan, None, str(without), message=without)
        rows = predictions(predict, [stretch[:-1] for stretch in stretches], self.vocabulary.size)
        sums = [loss_sum(r, s[1:], self.vocabulary.unknown) for r, s in zip(rows, stretches, strict=True)]
        targets = sum(count for _, count in sums)
        value = sum(nats for nats, _ in sums) / targets if targets else math.nan
        counts = np.bincount(ids[ids < self.vocabulary.size], minlength=self.vocabulary.size)
        shares = counts[counts > 0] / counts.sum()
        text = Message("SCORE_ADOPTED", nats=value, bits=value / math.log(2), symbols=len(ids))
        chance, details = float(-(shares * np.log(shares)).sum()), {"symbols": len(ids), "targets": targets}
        return Score(value, chance, None, str(text), details, "lower", text)

    def examples(self) -> list[str]:
        """Return the beginning of the text; without a text, the symbols, beginning with those that can be typed."""
        if self.text:
            start = self._beginning(self.text, 10 * EXAMPLE_CHARACTERS)
            in_lines = self.vocabulary.in_words or self.vocabulary.unit == "number"
            return [self._beginning(self.vocabulary.split(start)[0] if in_lines else start, EXAMPLE_CHARACTERS)]
        if self.vocabulary.unit == "number":
            # The k-th number of a step is a sine of k periods in 24 steps.
            steps = np.arange(24)[:, None] / 24 * np.arange(1, self.vocabulary.size + 1)
            return [self.vocabulary.decode(np.sin(2 * np.pi * steps).round(2).astype(np.float32))]
        if self.vocabulary.in_words:
            words = [s for s in self.vocabulary.symbols if any(map(str.isalpha, s)) and s[0] not in "<[\u27e8"]
            return [" ".join((words or self.vocabulary.symbols)[: EXAMPLE_CHARACTERS // 10])]
        typed = [s for s in self.vocabulary.symbols if s.isprintable() and not "\ue000" <= s <= "\uf8ff"]
        return ["".join(typed or self.vocabulary.symbols)[:EXAMPLE_CHARACTERS]]

    def answers(self, text: str) -> Ids | None:
        """Return None: the targets are the next symbols, or are unknown for other readouts."""
        return None

    def held_out(self, characters: int) -> str:
        """Return the beginning of the text.

        Raises:
            TaskError: the network was adopted without a text.
        """
        if not self.text:
            raise TaskError("ADOPTED_TEXT_MISSING")
        return self._beginning(self.text, characters)

    def quantities(self, text: str) -> dict[str, Quantity]:
        """Return nothing: what the network learned is unknown."""
        return {}

    def _to_fields(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "vocabulary": self.vocabulary.to_json(),
            "text": self.text,
            "notes": self.notes,
            "score": None if self.measured is None else self.measured.to_json(),
            "readout": self.readout.to_json(),
            "examples": self.examples(),
        }

    @classmethod
    def _from_fields(cls, fields: dict[str, Any]) -> Self:
        readout = Readout.from_json(fields["readout"]) if "readout" in fields else SYMBOLS
        vocabulary = Vocabulary.from_json(fields["vocabulary"])
        notes, measured = strings(fields["notes"]), _score(fields.get("score"))
        return cls(vocabulary, string(fields["source"]), string(fields["text"]), notes, readout, measured)


def _score(data: object) -> Score | None:
    """Return the score that `Score.to_json` wrote; None if task.json has no score.

    Raises:
        TaskError: the score is damaged.
    """
    if data is None:
        return None
    if not isinstance(data, dict) or not all(type(data.get(name)) in (int, float) for name in ("value", "chance")):
        raise TaskError("ADOPTED_SCORE_DAMAGED", score=f"{data!r:.80}")
    return Score(
        float(data["value"]),
        float(data["chance"]),
        None,
        str(data.get("text", "")),
        {},
        "lower",
        Message.from_json(data.get("message")),
    )
