"""The one training loop, and what it leaves in a run directory.

Gradients come from back-propagation through time: through whole sequences where a task has short ones, through chunks
whose state is carried on (but not its gradient) where it has a text.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from os import PathLike
from typing import Any, Literal

import torch
from torch import Tensor, nn

from gatescope.engine import State
from gatescope.errors import GatescopeError
from gatescope.network import Configuration, Network, configure, predict
from gatescope.runs import HISTORY, SAMPLES, WEIGHTS, Checkpoint, Run
from gatescope.sampling import Choice, sample
from gatescope.tasks import Batch, Score, Task
from gatescope.text import PADDING

Record = dict[str, Any]
OPTIMIZERS = ("adam", "rmsprop", "sgd")
SCHEDULES = ("cosine", "linear", "constant")
FIRST_VALIDATION = 100  # steps; then at twice, four times, ... as many, until `validate_every` takes over


class TrainingError(GatescopeError):
    """Training cannot start or cannot go on; the message says why and what to change."""


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
    report_every: int = 20
    validate_every: int = 1000
    patience: int | None = None
    until_solved: bool = False

    def __post_init__(self) -> None:
        if self.steps is None and self.minutes is None:
            raise TrainingError("training has no end: give a number of steps, or minutes.")
        for name in ("steps", "minutes", "learning_rate", "clip", "report_every", "validate_every", "patience"):
            value = getattr(self, name)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise TrainingError(f"{name.replace('_', ' ')} is {value}; it must be more than 0.")
        for name in ("warmup", "seed"):
            if getattr(self, name) < 0:
                raise TrainingError(f"{name} is {getattr(self, name)}; it must be 0 or more.")
        if not 0 <= self.final_learning_rate <= 1:
            raise TrainingError(f"final learning rate is {self.final_learning_rate}; it is a share from 0 to 1.")
        if self.optimizer not in OPTIMIZERS or self.schedule not in SCHEDULES:
            raise TrainingError(
                f"the optimizer can be {', '.join(OPTIMIZERS)} and the schedule {', '.join(SCHEDULES)}; "
                f"{self.optimizer!r} and {self.schedule!r} were given."
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
            warmup=100 if text else 0,
            report_every=20 if text else 10,
            validate_every=usual.score_every or 1000,
            patience=10 if text else None,
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


@dataclass
class Loop:
    """One training: the network, its optimizer, and where it stands."""

    network: Network
    task: Task
    settings: Settings
    progress: Progress = field(default_factory=Progress)
    state: tuple[State, ...] | None = None

    def __post_init__(self) -> None:
        torch.manual_seed(self.settings.seed)
        parameters = list(self.network.parameters())
        rate = self.settings.learning_rate
        self.optimizer: torch.optim.Optimizer
        if self.settings.optimizer == "adam":
            self.optimizer = torch.optim.Adam(parameters, lr=rate, fused=True)
        elif self.settings.optimizer == "rmsprop":
            self.optimizer = torch.optim.RMSprop(parameters, lr=rate)
        else:
            self.optimizer = torch.optim.SGD(parameters, lr=rate, momentum=0.9)

    @property
    def fraction(self) -> float:
        """How much of the training is done, by steps or by the clock, whichever is further."""
        by_steps = self.progress.step / self.settings.steps if self.settings.steps else 0.0
        by_clock = self.progress.seconds / 60 / self.settings.minutes if self.settings.minutes else 0.0
        return max(by_steps, by_clock)

    def update(self) -> tuple[float, float]:
        """One step of the optimizer. Returns the learning rate and the norm of the gradient before clipping.

        Raises:
            TrainingError: the loss is not a number.
        """
        batch = self.task.batch(self.settings.seed, self.progress.step)
        rate = self.settings.rate(self.progress.step, self.fraction)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        loss, count = self._loss(batch)
        (loss / max(1, count)).backward()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip)
        nats = float(loss.detach())
        if not (math.isfinite(nats) and math.isfinite(float(norm))):
            raise TrainingError(
                f"the loss is no longer a number at step {self.progress.step}. The weights of the last validation are "
                f"kept. Try a smaller learning rate than {self.settings.learning_rate:g}, or stronger clipping than "
                f"{self.settings.clip:g}."
            )
        self.optimizer.step()
        self.progress.step += 1
        self.progress.symbols += int((batch.tokens != PADDING).sum())
        self.progress.nats += nats
        self.progress.targets += count
        return rate, float(norm)

    def _loss(self, batch: Batch) -> tuple[Tensor, int]:
        """The sum of -log p(target) in nats over a batch, and the number of targets."""
        tokens = torch.from_numpy(batch.tokens).long().t()
        targets = torch.from_numpy(batch.targets).long().t()
        lengths = (tokens != PADDING).sum(0)
        short = bool((lengths < len(tokens)).any())
        start = self.state if batch.continues else None
        output = self.network(tokens, start, lengths=lengths if short else None)
        self.state = tuple({name: value.detach() for name, value in layer.items()} for layer in output.state)
        if output.logits.ndim == 2:
            targets = targets[lengths - 1, torch.arange(len(lengths))]
        loss = nn.functional.cross_entropy(
            output.logits.flatten(0, -2), targets.flatten(), ignore_index=PADDING, reduction="sum"
        )
        return loss, int((targets != PADDING).sum())

    def validate(self) -> Record:
        """The validation loss, and the score where the task wants it during training."""
        ask = partial(predict, self.network)
        record: Record = {"validation_loss": self.task.validation(ask)}
        if self.task.recommended.score_every:
            score = self.task.score(ask)
            record["score"] = score.to_json()
            self.progress.solved_in_a_row = self.progress.solved_in_a_row + 1 if score.solved else 0
        return record

    def is_best(self, record: Record) -> bool:
        """Whether a validation is the best so far: a better score, or the same with a smaller loss."""
        rank = [record["score"]["value"] if "score" in record else 0.0, -record["validation_loss"]]
        if self.progress.best is not None and rank <= self.progress.best:
            self.progress.since_best += 1
            return False
        self.progress.best, self.progress.since_best = rank, 0
        return True

    def ended(self) -> str | None:
        """Why training is over, or None."""
        if self.settings.until_solved and self.progress.solved_in_a_row >= 2:
            return "solved"
        if self.settings.patience and self.progress.since_best >= self.settings.patience:
            return "no improvement"
        return "finished" if self.fraction >= 1 else None

    def checkpoint(self) -> Checkpoint:
        """All that is needed to go on as if nothing had happened."""
        arrays = {"random": torch.get_rng_state()}
        for index, entry in self.optimizer.state_dict()["state"].items():
            arrays.update({f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in entry.items()})
        for k, layer in enumerate(self.state or ()):
            arrays.update({f"state.{k}.{name}": value for name, value in layer.items()})
        return Checkpoint(self.network.state_dict(), arrays, asdict(self.progress))

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to a checkpoint.

        Raises:
            TrainingError: it is of another training.
        """
        known = {entry.name for entry in fields(Progress)}
        if set(checkpoint.progress) != known:
            raise TrainingError("the checkpoint was made by another version of gatescope; start a new run.")
        self.progress = Progress(**checkpoint.progress)
        self.network.load_state_dict(dict(checkpoint.weights))
        entries: dict[int, dict[str, Tensor]] = {}
        layers: dict[int, dict[str, Tensor]] = {}
        for name, value in checkpoint.arrays.items():
            place, _, rest = name.partition(".")
            index, _, label = rest.partition(".")
            if place in ("optimizer", "state"):
                (entries if place == "optimizer" else layers).setdefault(int(index), {})[label] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": entries, "param_groups": groups})
        self.state = tuple(layers[k] for k in sorted(layers)) or None
        torch.set_rng_state(checkpoint.arrays["random"])


def loop(training: Loop, stop: Callable[[], bool] = lambda: False) -> Iterator[Record]:
    """Train until the settings, or `stop`, say that it is over; yield a record whenever there is something to tell.

    Records hold "step", "symbols" and "seconds" and one or more of: "loss" (mean nats per symbol since the last such
    record), "learning_rate" and "gradient_norm" (before clipping); "validation_loss" and "score"; "event": "end" with
    its "reason".
    """
    before = training.progress.seconds
    began = time.monotonic()
    progress, settings = training.progress, training.settings
    # A run that was complete, or was killed while its score was measured, is not trained further.
    reason = training.ended()
    while reason is None:
        if stop():
            reason = "interrupted"
            break
        rate, norm = training.update()
        progress.seconds = before + time.monotonic() - began
        over = training.fraction >= 1
        validates = over or settings.validates(progress.step)
        record: Record = {"step": progress.step, "symbols": progress.symbols, "seconds": progress.seconds}
        if validates or progress.step % settings.report_every == 0:
            loss = progress.nats / max(1, progress.targets)
            record |= {"loss": loss, "learning_rate": rate, "gradient_norm": norm}
            progress.nats, progress.targets = 0.0, 0
        if validates:
            record |= training.validate()
            progress.seconds = record["seconds"] = before + time.monotonic() - began
            reason = training.ended()
        if len(record) > 3:
            yield record
    yield {
        "step": progress.step,
        "symbols": progress.symbols,
        "seconds": progress.seconds,
        "event": "end",
        "reason": reason,
    }


@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Attributes:
        reason: "solved", "finished", "no improvement" or "interrupted".
        score: of the best weights; None when it was interrupted, because the score of a text takes a while.
    """

    reason: str
    step: int
    seconds: float
    score: Score | None


def create(
    path: str | PathLike[str],
    task: Task,
    configuration: Configuration | None = None,
    settings: Settings | None = None,
) -> Run:
    """A run directory for a training that has not begun.

    Args:
        path: the directory; it must not exist, or be empty.
        task: what is learned.
        configuration: the network; an LSTM of the size that the task recommends when not given.
        settings: how it is trained; as the task recommends when not given.

    Raises:
        RunError: the place is taken or cannot be written.
    """
    if configuration is None:
        configuration = configure(task.vocabulary, "lstm", task.recommended.layers)
    return Run.create(path, configuration, task, asdict(settings or Settings.recommended(task)))


def train(
    run: Run,
    *,
    on_record: Callable[[Record], None] = lambda record: None,
    stop: Callable[[], bool] = lambda: False,
    **changes: Any,
) -> Outcome:
    """Train the network of a run, from its last checkpoint if it has one, and keep everything in its directory.

    Args:
        run: made by `create`.
        on_record: called with every record, after it was written.
        stop: asked before every update; True ends the training with a checkpoint from which it can go on.
        changes: settings that are different from now on, such as more steps; they are kept in the run. A new limit,
            steps or minutes, replaces the old one.

    Raises:
        RunError: the run is damaged, or another process is training it.
        TrainingError: the loss is no longer a number; the run keeps its last good weights.
        TaskError: the text is not there any more.
    """
    settings = _settings(run.settings(), changes)
    configuration, task = run.configuration(), run.task()
    with run.training():
        training = Loop(Network(configuration, settings.seed), task, settings)
        checkpoint = run.last_checkpoint()
        if checkpoint is not None:
            training.restore(checkpoint)
            if (run.path / WEIGHTS).is_file():
                run.network()  # damaged weights are found before anything is changed
            else:
                run.save_weights(checkpoint.weights, training.progress.step)
        else:  # the untrained network can be looked at, too
            run.save_weights(training.network.state_dict(), 0)
            run.save_checkpoint(training.checkpoint())
        run.forget_after(training.progress.step)
        run.save_settings(asdict(settings))
        end: Record = {}
        try:
            for record in loop(training, stop):
                if "validation_loss" in record:
                    _keep(run, training, record)
                if record.get("event") == "end":
                    end = record
                else:
                    run.append(HISTORY, record)
                    on_record(record)
        except TrainingError as error:
            run.append(
                HISTORY, {"step": training.progress.step, "event": "end", "reason": "failed", "problem": str(error)}
            )
            raise
        if end["reason"] == "interrupted":
            run.save_checkpoint(training.checkpoint())
        score = None if end["reason"] == "interrupted" else _final_score(run, task)
        if score is not None:
            end = {**end, "score": score.to_json()}
        run.append(HISTORY, end)
        on_record(end)
        return Outcome(end["reason"], end["step"], end["seconds"], score)


def _settings(stored: Mapping[str, Any], changes: Mapping[str, Any]) -> Settings:
    """The stored settings with changes; a change that is None is none."""
    known = {entry.name for entry in fields(Settings)}
    unknown = set(stored) - known
    if unknown:
        raise TrainingError(
            f"training.json has {', '.join(sorted(unknown))}, which this version does not know; upgrade."
        )
    given = {name: value for name, value in changes.items() if value is not None}
    if "steps" in given or "minutes" in given:
        given = {"steps": None, "minutes": None, **given}
    try:
        return Settings(**{**stored, **given})
    except TypeError as error:
        raise TrainingError(f"training.json does not hold settings of a training ({error}); is it damaged?") from error


def _keep(run: Run, training: Loop, record: Record) -> None:
    """After a validation: the weights if they are the best, a sample, a checkpoint."""
    if training.is_best(record):
        run.save_weights(training.network.state_dict(), training.progress.step)
    if training.task.vocabulary.end is None:
        text = "".join(sample(training.network, "", choice=Choice(temperature=0.7), seed=training.progress.step))
        run.append(SAMPLES, {"step": training.progress.step, "temperature": 0.7, "text": text})
    run.save_checkpoint(training.checkpoint())


def _final_score(run: Run, task: Task) -> Score:
    """The score of the weights that the run shows: its best ones."""
    network, _ = run.network()
    return task.score(partial(predict, network))
