"""The progress of a training, as progress.json of a checkpoint has it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from gatescope.messages import Message
from gatescope.runs.records import is_count, is_number
from gatescope.training.settings import TrainingError

FROM_BEST = Message("TRAINING_ADVICE_FROM_BEST")
_COUNTS = ("step", "symbols", "targets", "since_best", "solved_in_a_row", "diverged_in_a_row")


@dataclass
class Progress:
    """The progress of a training.

    Attributes:
        step: the number of updates.
        symbols: the number of steps (symbols, words or frames) that were read.
        seconds: the time spent.
        nats: the sum of the training loss since the last record.
        targets: the number of targets in that sum.
        best: the score and the negative loss of the best validation; None before the first.
        since_best: validations since the best one.
        solved_in_a_row: scores in a row at which the task is solved.
        diverged_in_a_row: validations in a row that diverged.
    """

    step: int = 0
    symbols: int = 0
    seconds: float = 0.0
    nats: float = 0.0
    targets: int = 0
    best: list[float] | None = None
    since_best: int = 0
    solved_in_a_row: int = 0
    diverged_in_a_row: int = 0

    @classmethod
    def from_json(cls, data: Any) -> Progress:
        """Return the progress of a checkpoint.

        Raises:
            TrainingError: a newer version wrote the checkpoint, or it is damaged.
        """
        known = {field.name for field in fields(cls)}
        if not isinstance(data, dict) or not known - {"diverged_in_a_row"} <= set(data):
            raise TrainingError("PROGRESS_INCOMPLETE", names=", ".join(sorted(known)), data=data, advice=FROM_BEST)
        if set(data) - known:
            newer = ", ".join(sorted(set(data) - known))
            raise TrainingError("PROGRESS_NEWER", names=newer)
        counts = [data.get(name, 0) for name in _COUNTS]
        best = data["best"]
        if (
            not all(is_count(count) for count in counts)
            or not all(is_number(data[name]) and data[name] >= 0 for name in ("seconds", "nats"))
            or not (best is None or (isinstance(best, list) and len(best) == 2 and all(map(is_number, best))))
        ):
            raise TrainingError("PROGRESS_DAMAGED", data=data, advice=FROM_BEST)
        return cls(**data)
