"""How a network is trained: every number that training can be given, checked."""

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
}  # and the arrays that each keeps for every weight, by torch's names
SCHEDULES = ("cosine", "linear", "constant")
FIRST_VALIDATION = 100  # steps; then at twice, four times, ... as many, until `validate_every` takes over


class TrainingError(GatescopeError):
    """Training cannot start or cannot go on; the message says why and what to change."""


_WHOLE, _NUMBER, _NONE = (int,), (int, float), type(None)
_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "steps": ((*_WHOLE, _NONE), "a whole number or None"),
    "minutes": ((*_NUMBER, _NONE), "a number or None"),
    "seed": (_WHOLE, "a whole number"),
    "optimizer": ((str,), "a name"),
    "schedule": ((str,), "a name"),
    **dict.fromkeys(("learning_rate", "final_learning_rate", "clip", "readout_decay"), (_NUMBER, "a number")),
    **dict.fromkeys(("warmup", "report_every", "validate_every"), (_WHOLE, "a whole number")),
    "patience": ((*_WHOLE, _NONE), "a whole number or None"),
    "until_solved": ((bool,), "True or False"),
}  # the types that each setting may have
SEEDS = 1 << 64


@named_settings
@dataclass(frozen=True)
class Settings:
    """How a network is trained.

    Attributes:
        steps: the most updates; None: as many as the minutes allow.
        minutes: the longest time, validation included; None: as long as the steps take. With a time limit the
            learning rate follows the clock, so two runs of one seed differ; with steps alone they are the same.
        seed: of the initial weights, the data and dropout.
        optimizer: "adam" (Kingma and Ba 2015), "rmsprop", or "sgd" with momentum 0.9.
        learning_rate: the largest one.
        final_learning_rate: the share of it that is left at the end.
        schedule: how it gets there: "cosine", "linear", or "constant" (never).
        warmup: updates over which the learning rate rises to its largest.
        clip: the norm to which larger gradients are scaled down (Pascanu, Mikolov and Bengio 2013).
        readout_decay: how fast the weights of the readout shrink, as a share of the learning rate at each update
            (decoupled, as by Loshchilov and Hutter 2019). Probabilities that cannot become as sharp as they like ask
            for states that are exact.
        report_every: updates between two records of the training loss.
        validate_every: updates between two validations; the first come earlier, at 100, 200, 400, ... A checkpoint
            and a sample are made each time.
        patience: validations in a row without a better one after which training stops; None: never.
        until_solved: stop as soon as two scores in a row say the task is solved.
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

    def __post_init__(self) -> None:
        expect_types(vars(self))
        if self.seed >= SEEDS:
            raise TrainingError("SETTINGS_SEED_WHOLE_NUMBER_BELOW", seed=self.seed)
        if self.steps is None and self.minutes is None:
            raise TrainingError("SETTINGS_TRAINING_END_NUMBER_STEPS")
        for name in ("steps", "minutes", "learning_rate", "clip", "report_every", "validate_every", "patience"):
            value = getattr(self, name)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise TrainingError("SETTINGS_2", replace=name.replace("_", " "), value=value)
        for name in ("warmup", "seed", "readout_decay"):
            if not 0 <= getattr(self, name) < math.inf:
                raise TrainingError("SETTINGS_3", replace=name.replace("_", " "), getattr=getattr(self, name))
        if self.readout_decay * self.learning_rate >= 1:
            raise TrainingError(
                "SETTINGS_READOUT_DECAY_LEARNING_RATE",
                readout_decay=self.readout_decay,
                learning_rate=self.learning_rate,
            )
        if not 0 <= self.final_learning_rate <= 1:
            raise TrainingError("SETTINGS_FINAL_LEARNING_RATE_SHARE", final_learning_rate=self.final_learning_rate)
        if self.optimizer not in OPTIMIZERS or self.schedule not in SCHEDULES:
            raise TrainingError(
                "SETTINGS_OPTIMIZER_SCHEDULE_GIVEN",
                optimizers=", ".join(OPTIMIZERS),
                schedules=", ".join(SCHEDULES),
                optimizer=self.optimizer,
                schedule=self.schedule,
            )

    @classmethod
    def recommended(cls, task: Task, **changes: Any) -> Settings:
        """What the task recommends, with changes; a change that is None is none."""
        usual = task.recommended
        given = {name: value for name, value in changes.items() if value is not None}
        if "minutes" in given:
            given.setdefault("steps", None)
        text = usual.unroll is not None
        start = cls(
            steps=usual.steps,
            learning_rate=usual.learning_rate,
            final_learning_rate=usual.final_learning_rate,
            clip=usual.clip,
            readout_decay=usual.readout_decay,
            warmup=100 if text else 0,
            report_every=20 if text else 10,
            validate_every=usual.score_every or usual.validate_every or 1000,
            patience=10 if text else usual.patience,
            until_solved=usual.until_solved,
        )
        return replace(start, **given)

    def rate(self, step: int, fraction: float) -> float:
        """The learning rate of one update, when `fraction` of the training is done."""
        fraction = min(1.0, fraction)
        left = {"cosine": (1 + math.cos(math.pi * fraction)) / 2, "linear": 1 - fraction, "constant": 1.0}
        share = self.final_learning_rate + (1 - self.final_learning_rate) * left[self.schedule]
        return self.learning_rate * share * min(1.0, (step + 1) / max(1, self.warmup))

    def validates(self, step: int) -> bool:
        """Whether there is a validation after this many updates."""
        early = step // FIRST_VALIDATION
        return step % self.validate_every == 0 or (
            step < self.validate_every and step % FIRST_VALIDATION == 0 and early & (early - 1) == 0
        )


def expect_types(settings: Mapping[str, Any]) -> None:
    """Check that each setting has a type that training can use.

    Raises:
        TrainingError: the sentence names the setting and its value.
    """
    for name, value in settings.items():
        kinds, what = _KINDS[name]
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise TrainingError("SETTINGS", replace=name.replace("_", " "), value=value, what=what)
