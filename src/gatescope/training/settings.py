"""The settings of a training, checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from gatescope.errors import GatescopeError
from gatescope.names import named_settings
from gatescope.tasks import Task

OPTIMIZERS = {
    "adam": ("step", "exp_avg", "exp_avg_sq"),
    "rmsprop": ("step", "square_avg"),
    "sgd": ("momentum_buffer",),
}
"""Optimizer -> the arrays that it has for every weight, by torch's names."""

SCHEDULES = ("cosine", "linear", "constant")
BATCHES = ("python", "page")
FIRST_VALIDATION_STEP = 100  # the next are at 200, 400, ... until `validate_every`


class TrainingError(GatescopeError):
    """Training cannot start or continue; the message names the reason and what to change."""


_INTEGER, _NUMBER, _NONE = (int,), (int, float), type(None)
_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "steps": ((*_INTEGER, _NONE), "an integer or None"),
    "minutes": ((*_NUMBER, _NONE), "a number or None"),
    "seed": (_INTEGER, "an integer"),
    "optimizer": ((str,), "a name"),
    "schedule": ((str,), "a name"),
    "batches": ((str,), "a name"),
    **dict.fromkeys(("learning_rate", "final_learning_rate", "clip", "readout_decay"), (_NUMBER, "a number")),
    **dict.fromkeys(("warmup", "report_every", "validate_every"), (_INTEGER, "an integer")),
    "patience": ((*_INTEGER, _NONE), "an integer or None"),
    "until_solved": ((bool,), "True or False"),
}
"""Setting -> its types, and their name in an error."""

SEED_LIMIT = 1 << 64


@named_settings
@dataclass(frozen=True)
class Settings:
    """The settings of a training.

    Attributes:
        steps: the most updates; None: as many as the minutes allow.
        minutes: the longest time, validation included; None: no limit. With a time limit the learning rate follows the
            clock, so two runs with the same seed differ; with steps alone they are the same.
        seed: the seed of the initial weights, the data and dropout.
        optimizer: "adam" (Kingma and Ba 2015), "rmsprop", or "sgd" with momentum 0.9.
        learning_rate: the largest learning rate.
        final_learning_rate: the learning rate at the end, as a fraction of `learning_rate`.
        schedule: the shape of the decrease: "cosine", "linear", or "constant" (no decrease).
        warmup: updates over which the learning rate rises to its largest value.
        clip: the norm to which larger gradients are scaled down (Pascanu, Mikolov and Bengio 2013).
        readout_decay: weight decay of the readout, as a fraction of the learning rate (decoupled: Loshchilov and Hutter
            2019). It limits how sharp the probabilities can become, so the states that they are read from must be
            exact.
        report_every: updates between two records of the training loss.
        validate_every: updates between two validations; the first ones come earlier, at 100, 200, 400, ... Each writes
            a checkpoint and a sample.
        patience: validations in a row without an improvement after which training stops; None: never.
        until_solved: stop as soon as the task is solved at two scores in a row.
        batches: which batches are drawn: those of gatescope in Python, or those of the playground of the page, with
            which a training of the page is repeated and continued.
    """

    steps: int | None
    minutes: float | None = None
    seed: int = 0
    optimizer: Literal["adam", "rmsprop", "sgd"] = "adam"
    learning_rate: float = 0.004
    final_learning_rate: float = 0.0
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: int = 0
    clip: float = 1.0
    readout_decay: float = 0.0
    report_every: int = 20
    validate_every: int = 1000
    patience: int | None = None
    until_solved: bool = False
    batches: Literal["python", "page"] = "python"

    def __post_init__(self) -> None:
        check_types(vars(self))
        if self.seed >= SEED_LIMIT:
            raise TrainingError("SETTINGS_SEED_RANGE", seed=self.seed)
        if self.steps is None and self.minutes is None:
            raise TrainingError("SETTINGS_LIMIT_MISSING")
        for name in ("steps", "minutes", "learning_rate", "clip", "report_every", "validate_every", "patience"):
            value = getattr(self, name)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise TrainingError("SETTINGS_NOT_POSITIVE", name=name.replace("_", " "), value=value)
        for name in ("warmup", "seed", "readout_decay"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise TrainingError("SETTINGS_NEGATIVE", name=name.replace("_", " "), value=value)
        if self.readout_decay * self.learning_rate >= 1:
            raise TrainingError(
                "SETTINGS_READOUT_DECAY_TOO_LARGE",
                readout_decay=self.readout_decay,
                learning_rate=self.learning_rate,
            )
        if not 0 <= self.final_learning_rate <= 1:
            raise TrainingError("SETTINGS_FINAL_RATE_RANGE", value=self.final_learning_rate)
        if self.optimizer not in OPTIMIZERS:
            raise TrainingError("SETTINGS_OPTIMIZER_UNKNOWN", known=", ".join(OPTIMIZERS), optimizer=self.optimizer)
        if self.schedule not in SCHEDULES:
            raise TrainingError("SETTINGS_SCHEDULE_UNKNOWN", known=", ".join(SCHEDULES), schedule=self.schedule)
        if self.batches not in BATCHES:
            raise TrainingError("SETTINGS_BATCHES_UNKNOWN", known=", ".join(BATCHES), batches=self.batches)

    @classmethod
    def recommended(cls, task: Task, **changes: Any) -> Settings:
        """Return the settings that the task recommends, with changes; a change that is None is ignored."""
        recommended = task.recommended
        changed = {name: value for name, value in changes.items() if value is not None}
        if "minutes" in changed:
            changed.setdefault("steps", None)
        is_text = recommended.unroll is not None
        settings = cls(
            steps=recommended.steps,
            learning_rate=recommended.learning_rate,
            final_learning_rate=recommended.final_learning_rate,
            clip=recommended.clip,
            readout_decay=recommended.readout_decay,
            warmup=100 if is_text else 0,
            report_every=20 if is_text else 10,
            validate_every=recommended.score_every or recommended.validate_every or 1000,
            patience=10 if is_text else recommended.patience,
            until_solved=recommended.until_solved,
        )
        return replace(settings, **changed)

    def rate(self, step: int, fraction: float) -> float:
        """Return the learning rate of an update.

        Args:
            step: the number of the update, from 0.
            fraction: the fraction of the training that is done.
        """
        fraction = min(1.0, fraction)
        remaining = {"cosine": (1 + math.cos(math.pi * fraction)) / 2, "linear": 1 - fraction, "constant": 1.0}
        share = self.final_learning_rate + (1 - self.final_learning_rate) * remaining[self.schedule]
        return self.learning_rate * share * min(1.0, (step + 1) / max(1, self.warmup))

    def validates(self, step: int) -> bool:
        """Return whether there is a validation after this number of updates."""
        early = step // FIRST_VALIDATION_STEP
        return step % self.validate_every == 0 or (
            step < self.validate_every and step % FIRST_VALIDATION_STEP == 0 and early & (early - 1) == 0
        )


def check_types(settings: Mapping[str, Any]) -> None:
    """Check the type of each setting.

    Raises:
        TrainingError: a setting has the wrong type.
    """
    for name, value in settings.items():
        types, expected = _TYPES[name]
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise TrainingError("SETTINGS_TYPE", name=name.replace("_", " "), expected=expected, value=value)
