"""Where a training stands, as a checkpoint keeps it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from gatescope.runs.records import is_count, is_number
from gatescope.training.settings import TrainingError

FROM_BEST = "Go on from the best weights with a fresh optimizer: `--from-best`, in Python `from_best=True`."
_COUNTS = ("step", "symbols", "targets", "since_best", "solved_in_a_row", "diverged_in_a_row")


@dataclass
class Progress:
    """Where a training stands; what a checkpoint keeps besides arrays."""

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
        """Return the progress that a checkpoint holds.

        Raises:
            TrainingError: a newer version wrote it, or it is damaged.
        """
        known = {entry.name for entry in fields(cls)}
        if not isinstance(data, dict) or not known - {"diverged_in_a_row"} <= set(data):
            raise TrainingError(
                "PROGRESS_PROGRESS_JSON_LAST_CHECKPOINT", known=", ".join(sorted(known)), data=data, from_best=FROM_BEST
            )
        if set(data) - known:
            newer = ", ".join(sorted(set(data) - known))
            raise TrainingError("PROGRESS_PROGRESS_JSON_LAST_CHECKPOINT_2", newer=newer)
        counts = [data.get(name, 0) for name in _COUNTS]
        best = data["best"]
        if (
            not all(is_count(count) for count in counts)
            or not all(is_number(data[name]) and data[name] >= 0 for name in ("seconds", "nats"))
            or not (best is None or (isinstance(best, list) and len(best) == 2 and all(map(is_number, best))))
        ):
            raise TrainingError("PROGRESS_PROGRESS_JSON_LAST_CHECKPOINT_3", data=data, from_best=FROM_BEST)
        return cls(**data)
