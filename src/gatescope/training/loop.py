"""The one training loop.

Gradients come from back-propagation through time: through whole sequences where a task has short ones, through chunks
whose state is carried on (but not its gradient) where it has a text.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gatescope.engine import State
from gatescope.network import Network, predict
from gatescope.readout import SYMBOLS, pinball
from gatescope.runs import Checkpoint
from gatescope.tasks import Batch, Task
from gatescope.tasks.base.task import ReadsManyPlaces
from gatescope.training.progress import FROM_BEST, Progress
from gatescope.training.settings import OPTIMIZERS, Settings, TrainingError
from gatescope.vocabulary import PADDING

Record = dict[str, Any]
DIVERGED_VALIDATIONS = 3  # in a row, until training is stopped
UNINFORMED_BATCHES = 8
DIVERGED_NATS, DIVERGED_NUMBERS = 2.0, 10.0  # how often the loss of knowing nothing, in nats and of numbers


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
            raise self._no_number("loss")
        self._shrink_readout(rate)
        self.optimizer.step()
        self.progress.step += 1
        self.progress.symbols += int(batch.lengths.sum())
        self.progress.nats += nats
        self.progress.targets += count
        return rate, float(norm)

    @torch.no_grad()
    def _shrink_readout(self, rate: float) -> None:
        if self.settings.readout_decay:
            self.network.readout_weights.mul_(1 - rate * self.settings.readout_decay)

    def _no_number(self, what: str) -> TrainingError:
        return TrainingError("LOOP_LONGER_NUMBER_STEP", what=what, step=self.progress.step, advice=self._advice)

    @property
    def _advice(self) -> str:
        """What to try after a training that failed."""
        return (
            "The best weights so far are kept. Try a smaller learning rate than "
            f"{self.settings.learning_rate:g}, or stronger clipping than {self.settings.clip:g}. {FROM_BEST}"
        )

    def _start(self, batch: Batch) -> tuple[State, ...] | None:
        """The states before the first step of a batch: carried over, or the initial state."""
        continues = torch.as_tensor(batch.continues).reshape(-1, 1)
        if self.state is None or not continues.any():
            return None
        initial = self.network.initial_states(len(batch.tokens))
        return tuple(
            {name: value.where(continues, start[name]) for name, value in layer.items()}
            for layer, start in zip(self.state, initial, strict=True)
        )

    @cached_property
    def uninformed_loss(self) -> float:
        """The loss of knowing nothing: of equal probabilities, or of predicting 0 on the first batches."""
        readout = self.network.configuration.readout
        if readout.kind != "numbers":
            return math.log(max(2, self.network.configuration.predicted))
        total, count = 0.0, 0
        for step in range(UNINFORMED_BATCHES):
            targets = torch.from_numpy(self.task.batch(self.settings.seed, step).targets)
            zeros = targets.new_zeros((*targets.shape[:-1], self.network.configuration.predicted))
            loss, numbers = loss_of_numbers(zeros, targets, readout.quantiles)
            total, count = total + float(loss), count + numbers
        return total / max(1, count)

    def has_diverged(self, record: Record) -> bool:
        """Return whether a validation is worse by far than knowing nothing, on the training data as well.

        Overfitting is not divergence: there the training loss is small.
        """
        return min(record["validation_loss"], record.get("loss", math.inf)) > self._bound

    @property
    def _bound(self) -> float:
        """The loss beyond which a training has diverged."""
        if self.network.configuration.readout.kind == "numbers":
            return DIVERGED_NUMBERS * max(1.0, self.uninformed_loss)
        return DIVERGED_NATS * self.uninformed_loss

    def _expect_convergence(self) -> None:
        """Stop a training that has diverged.

        Raises:
            TrainingError: the last three validations diverged, or the very last of the training.
        """
        times = self.progress.diverged_in_a_row
        if times >= DIVERGED_VALIDATIONS or (times and self.fraction >= 1):
            raise TrainingError(
                "LOOP_TRAINING_DIVERGED_STEP_LOSS",
                step=self.progress.step,
                uninformed_loss=self.uninformed_loss,
                bound=self._bound,
                advice=self._advice,
            )

    def _loss(self, batch: Batch) -> tuple[Tensor, int]:
        """The sum of the losses over a batch, in nats of symbols or classes, and of how many targets."""
        numbers, readout = batch.tokens.ndim == 3, self.network.configuration.readout
        tokens = torch.from_numpy(batch.tokens).transpose(0, 1)
        tokens = tokens if numbers else tokens.long()
        targets = torch.from_numpy(batch.targets).transpose(0, 1)
        lengths = torch.from_numpy(batch.lengths)
        short = bool((lengths < len(tokens)).any())
        output = self.network(tokens, self._start(batch), lengths=lengths if short else None)
        self.state = tuple({name: value.detach() for name, value in layer.items()} for layer in output.state)
        if readout.reads == "last step":
            targets = targets[lengths - 1, torch.arange(len(lengths))]
        if readout.kind == "numbers":
            return loss_of_numbers(output.logits, targets, readout.quantiles)
        if readout == SYMBOLS and targets.ndim == 3:
            loss = -(targets * output.logits.log_softmax(-1)).sum()
            return loss, int((targets > 0).any(-1).sum())
        loss = nn.functional.cross_entropy(
            output.logits.flatten(0, -2), targets.long().flatten(), ignore_index=PADDING, reduction="sum"
        )
        return loss, int((targets != PADDING).sum())

    def validate(self) -> Record:
        """The validation loss, and the score where the task wants it during training.

        Raises:
            TrainingError: the loss is not a number.
        """
        ask = partial(predict, self.network)
        record: Record
        if isinstance(self.task, ReadsManyPlaces):
            found = self.task.validate(ask)
            record = {"validation_loss": found.loss, "typical_loss": found.typical}
        else:
            record = {"validation_loss": self.task.validation(ask)}
        if not math.isfinite(record["validation_loss"]):
            raise self._no_number("validation loss")
        if self.task.recommended.score_every:
            score = self.task.score(ask)
            record["score"] = score.to_json()
            self.progress.solved_in_a_row = self.progress.solved_in_a_row + 1 if score.solved else 0
        return record

    def is_best(self, record: Record) -> bool:
        """Whether a validation is the best so far: a better score, or the same with a smaller loss.

        One that diverged is never: the weights before it are kept. At many places of a text the worst tenth does not
        count, so that one stuck stretch cannot end a training early.
        """
        score = record.get("score", {"value": 0.0, "better": "higher"})
        loss = record.get("typical_loss", record["validation_loss"])
        rank = [score["value"] if score["better"] == "higher" else -score["value"], -loss]
        if self.has_diverged(record) or (self.progress.best is not None and rank <= self.progress.best):
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
        progress = Progress.from_json(checkpoint.progress)
        entries: dict[int, dict[str, Tensor]] = {}
        layers: dict[int, dict[str, Tensor]] = {}
        try:
            for name, value in checkpoint.arrays.items():
                place, _, rest = name.partition(".")
                index, _, label = rest.partition(".")
                if place in ("optimizer", "state"):
                    (entries if place == "optimizer" else layers).setdefault(int(index), {})[label] = value
            self.network.load_state_dict(dict(checkpoint.weights))
            self._expect(entries, progress.step)
            self._expect_state(layers, progress.step)
            groups = self.optimizer.state_dict()["param_groups"]
            self.optimizer.load_state_dict({"state": entries, "param_groups": groups})
            torch.set_rng_state(checkpoint.arrays["random"])
        except (KeyError, ValueError, RuntimeError, TypeError) as error:
            raise TrainingError("LOOP_LAST_CHECKPOINT_HOLD_TRAINING", error=error, from_best=FROM_BEST) from error
        self.progress = progress
        self.state = tuple(layers[k] for k in sorted(layers)) or None

    def _expect(self, entries: dict[int, dict[str, Tensor]], step: int) -> None:
        """What torch would find missing only while it trains.

        Raises:
            KeyError: an array of the optimizer is missing, or has not the shape of its weights.
        """
        # A cell without numbers per neuron has an empty array of them, which the optimizer never meets.
        known = [(k, weight) for k, weight in enumerate(self.network.parameters()) if step and weight.numel()]
        for index, weight in known:
            for name in OPTIMIZERS[self.settings.optimizer]:
                found = entries.get(index, {}).get(name)
                if found is None or found.shape != (weight.shape if name != "step" else ()):
                    raise KeyError(f"optimizer.{index}.{name}")
                if not found.is_floating_point():
                    raise TypeError(f"optimizer.{index}.{name} holds {found.dtype}")

    def _expect_state(self, found: dict[int, dict[str, Tensor]], step: int) -> None:
        """Check the carried state before the engine meets it.

        Raises:
            ValueError: it is not one row of each state of each layer for every stream.
        """
        layers = self.network.configuration.layers
        if not found:
            return
        streams = len(self.task.batch(self.settings.seed, step).tokens)
        rows = {value.shape[:1] for layer in found.values() for value in layer.values()}
        expected = {k: dict.fromkeys(layer.cell.states, (layer.neurons,)) for k, layer in enumerate(layers)}
        shapes = {k: {name: tuple(value.shape[1:]) for name, value in layer.items()} for k, layer in found.items()}
        floating = all(value.is_floating_point() for layer in found.values() for value in layer.values())
        if shapes != {k: layer for k, layer in expected.items() if layer} or rows - {(streams,)} or not floating:
            raise ValueError("the carried state has not the shape of the network")

    def records(self, stop: Callable[[], bool] = lambda: False) -> Iterator[Record]:
        """Train until the settings, or `stop`, say that it is over; yield a record whenever there is something to tell.

        Records hold "step", "symbols" and "seconds" and one or more of: "loss" (mean nats per symbol since the last
        such record), "learning_rate" and "gradient_norm" (before clipping); "validation_loss", of a text also
        "typical_loss" (without the worst tenth of the stretches), and "score";
        "event": "end" with its "reason".
        """
        before = self.progress.seconds
        began = time.monotonic()
        progress, settings = self.progress, self.settings
        # A run that was complete, or was killed while its score was measured, is not trained further.
        self._expect_convergence()
        reason = self.ended()
        while reason is None:
            if stop():
                reason = "interrupted"
                break
            rate, norm = self.update()
            progress.seconds = before + time.monotonic() - began
            over = self.fraction >= 1
            validates = over or settings.validates(progress.step)
            record: Record = {"step": progress.step, "symbols": progress.symbols, "seconds": progress.seconds}
            if validates or progress.step % settings.report_every == 0:
                loss = progress.nats / max(1, progress.targets)
                record |= {"loss": loss, "learning_rate": rate, "gradient_norm": norm}
                progress.nats, progress.targets = 0.0, 0
            if validates:
                record |= self.validate()
                progress.seconds = record["seconds"] = before + time.monotonic() - began
                progress.diverged_in_a_row = progress.diverged_in_a_row + 1 if self.has_diverged(record) else 0
            if len(record) > 3:
                yield record
            if validates:  # now that whoever listens has asked whether this validation was the best
                self._expect_convergence()
                reason = self.ended()
        yield {
            "step": progress.step,
            "symbols": progress.symbols,
            "seconds": progress.seconds,
            "event": "end",
            "reason": reason,
        }


def loss_of_numbers(
    estimates: Float[Tensor, "*steps OQ"], targets: Float[Tensor, "*steps O"], quantiles: tuple[float, ...]
) -> tuple[Tensor, int]:
    """The sum of squared errors; or, at quantiles, of the mean pinball loss (Koenker and Bassett 1978).

    Arguments: of O numbers and Q quantiles; targets that are NaN count for nothing.

    Returns: the sum, and of how many numbers.
    """
    asked = ~targets.isnan()
    wanted = targets.nan_to_num(0.0)
    if not quantiles:
        return (((estimates - wanted) ** 2) * asked).sum(), int(asked.sum())
    off = wanted.unsqueeze(-1) - estimates.unflatten(-1, (-1, len(quantiles)))
    losses = pinball(off, torch.tensor(quantiles, dtype=off.dtype)).mean(-1)
    return (losses * asked).sum(), int(asked.sum())
