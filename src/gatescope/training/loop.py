"""The training loop.

Gradients come from backpropagation through time: through whole sequences if the task has short ones, through chunks of
a text otherwise. The state is carried from chunk to chunk, but its gradient is not.
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
from gatescope.messages import Message
from gatescope.network import Network, predict
from gatescope.readout import SYMBOLS, pinball
from gatescope.runs import Checkpoint
from gatescope.tasks import Batch, Task
from gatescope.tasks.base.task import ReadsManyPlaces
from gatescope.training.page_batches import page_batches
from gatescope.training.settings import OPTIMIZERS, Settings, TrainingError
from gatescope.training.training_progress import FROM_BEST, Progress
from gatescope.vocabulary import PADDING

Record = dict[str, Any]
MAX_DIVERGED_VALIDATIONS = 3  # in a row; then training stops
UNINFORMED_BATCHES = 8
DIVERGED_FACTOR, DIVERGED_FACTOR_OF_NUMBERS = 2.0, 10.0  # times the uninformed loss: the training has diverged


@dataclass
class Loop:
    """A training: the network, its optimizer, and its progress.

    Attributes:
        network: the network.
        task: the task.
        settings: the settings of the training.
        progress: the progress so far.
        state: the state of each layer after the last batch, which a text carries to the next batch.
    """

    network: Network
    task: Task
    settings: Settings
    progress: Progress = field(default_factory=Progress)
    state: tuple[State, ...] | None = None

    def __post_init__(self) -> None:
        torch.manual_seed(self.settings.seed)
        self._draw = page_batches(self.task) if self.settings.batches == "page" else self.task.batch
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
        """The fraction of the training that is done, by steps or by time, whichever is larger."""
        by_steps = self.progress.step / self.settings.steps if self.settings.steps else 0.0
        by_clock = self.progress.seconds / 60 / self.settings.minutes if self.settings.minutes else 0.0
        return max(by_steps, by_clock)

    def update(self) -> tuple[float, float]:
        """Do one update; return the learning rate, and the norm of the gradient before clipping.

        Raises:
            TrainingError: the loss or the gradient is not finite.
        """
        batch = self._draw(self.settings.seed, self.progress.step)
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
            raise self._not_finite("loss")
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

    def _not_finite(self, loss: str) -> TrainingError:
        return TrainingError("LOOP_LOSS_NOT_FINITE", loss=loss, step=self.progress.step, advice=self._advice)

    @property
    def _advice(self) -> Message:
        """The advice after a failed training."""
        settings = self.settings
        return Message("LOOP_ADVICE", rate=settings.learning_rate, clip=settings.clip, from_best=FROM_BEST)

    def _start(self, batch: Batch) -> tuple[State, ...] | None:
        """Return the carried or initial state before a batch, for each row; None: the initial state for all rows."""
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
        """The loss of an uninformed prediction: equal probabilities, or 0 for all numbers of the first batches."""
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
        """Return whether the validation loss and the training loss are both far above the uninformed loss.

        Overfitting is not divergence, because its training loss is small.
        """
        return min(record["validation_loss"], record.get("loss", math.inf)) > self._bound

    @property
    def _bound(self) -> float:
        """The loss above which a training has diverged."""
        if self.network.configuration.readout.kind == "numbers":
            return DIVERGED_FACTOR_OF_NUMBERS * max(1.0, self.uninformed_loss)
        return DIVERGED_FACTOR * self.uninformed_loss

    def _check_divergence(self) -> None:
        """Stop a training that has diverged.

        Raises:
            TrainingError: the last three validations diverged, or the final one did.
        """
        count = self.progress.diverged_in_a_row
        if count >= MAX_DIVERGED_VALIDATIONS or (count and self.fraction >= 1):
            raise TrainingError(
                "LOOP_DIVERGED",
                step=self.progress.step,
                uninformed_loss=self.uninformed_loss,
                bound=self._bound,
                advice=self._advice,
            )

    def _loss(self, batch: Batch) -> tuple[Tensor, int]:
        """Return the sum of the loss over a batch (nats, or the loss of numbers), and the number of targets."""
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
        """Return a record with the validation loss, and with the score if the task computes it during training.

        Raises:
            TrainingError: the loss is not finite.
        """
        predictor = partial(predict, self.network)
        record: Record
        if isinstance(self.task, ReadsManyPlaces):
            validation = self.task.validate(predictor)
            record = {"validation_loss": validation.loss, "typical_loss": validation.typical}
        else:
            record = {"validation_loss": self.task.validation(predictor)}
        if not math.isfinite(record["validation_loss"]):
            raise self._not_finite("validation loss")
        if self.task.recommended.score_every:
            score = self.task.score(predictor)
            record["score"] = score.to_json()
            self.progress.solved_in_a_row = self.progress.solved_in_a_row + 1 if score.solved else 0
        return record

    def is_best(self, record: Record) -> bool:
        """Return whether a validation is the best so far: a better score, or the same score and a smaller loss.

        A validation that diverged is never the best. The loss of a text is the typical loss, without its worst tenth,
        so that one stretch on which the network is stuck cannot end a training early.
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
        """Return why training is over; None if it is not."""
        if self.settings.until_solved and self.progress.solved_in_a_row >= 2:
            return "solved"
        if self.settings.patience and self.progress.since_best >= self.settings.patience:
            return "no improvement"
        return "finished" if self.fraction >= 1 else None

    def checkpoint(self) -> Checkpoint:
        """Return everything that is needed to resume exactly."""
        arrays = {"random": torch.get_rng_state()}
        for index, entry in self.optimizer.state_dict()["state"].items():
            arrays.update({f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in entry.items()})
        for k, layer in enumerate(self.state or ()):
            arrays.update({f"state.{k}.{name}": value for name, value in layer.items()})
        return Checkpoint(self.network.state_dict(), arrays, asdict(self.progress))

    def restore(self, checkpoint: Checkpoint) -> None:
        """Restore a checkpoint.

        Raises:
            TrainingError: the checkpoint is of another training, or damaged.
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
            self._check_optimizer(entries, progress.step)
            self._check_state(layers, progress.step)
            groups = self.optimizer.state_dict()["param_groups"]
            self.optimizer.load_state_dict({"state": entries, "param_groups": groups})
            # The page has no random state, because it trains without dropout.
            of_page = self.settings.batches == "page" and not self.network.configuration.dropout
            if not of_page or "random" in checkpoint.arrays:
                torch.set_rng_state(checkpoint.arrays["random"])
        except (KeyError, ValueError, RuntimeError, TypeError) as error:
            reason = (
                error.message if isinstance(error, TrainingError) else Message("LOOP_ARRAYS_UNREADABLE", error=error)
            )
            raise TrainingError("LOOP_CHECKPOINT_DAMAGED", reason=reason, advice=FROM_BEST) from error
        self.progress = progress
        self.state = tuple(layers[k] for k in sorted(layers)) or None

    def _check_optimizer(self, entries: dict[int, dict[str, Tensor]], step: int) -> None:
        """Check the arrays of the optimizer, which torch itself checks only at the next update.

        Raises:
            TrainingError: an array is missing, or does not have the shape of its weight or floating-point numbers.
        """
        # A cell without parameters per neuron has an empty array of them, which the optimizer never sees.
        weights = [(k, weight) for k, weight in enumerate(self.network.parameters()) if step and weight.numel()]
        for index, weight in weights:
            for name in OPTIMIZERS[self.settings.optimizer]:
                array = entries.get(index, {}).get(name)
                shape = weight.shape if name != "step" else torch.Size()
                if array is None or array.shape != shape or not array.is_floating_point():
                    raise TrainingError("LOOP_OPTIMIZER_ARRAY", name=f"optimizer.{index}.{name}", shape=tuple(shape))

    def _check_state(self, state: dict[int, dict[str, Tensor]], step: int) -> None:
        """Check the carried state before the engine reads it.

        Raises:
            TrainingError: a layer does not have one row of each of its states for every row of a batch.
        """
        layers = self.network.configuration.layers
        if not state:
            return
        batch_rows = len(self.task.batch(self.settings.seed, step).tokens)
        rows = {value.shape[:1] for layer in state.values() for value in layer.values()}
        expected = {k: dict.fromkeys(layer.cell.states, (layer.neurons,)) for k, layer in enumerate(layers)}
        shapes = {k: {name: tuple(value.shape[1:]) for name, value in layer.items()} for k, layer in state.items()}
        floating = all(value.is_floating_point() for layer in state.values() for value in layer.values())
        if shapes != {k: layer for k, layer in expected.items() if layer} or rows - {(batch_rows,)} or not floating:
            raise TrainingError("LOOP_STATE_SHAPE")

    def records(self, stop: Callable[[], bool] = lambda: False) -> Iterator[Record]:
        """Train until the settings or `stop` end the training; yield its records.

        Every record has "step", "symbols" and "seconds". A report has "loss" (the mean loss since the last report),
        "learning_rate" and "gradient_norm" (before clipping). A validation has "validation_loss", with a text also
        "typical_loss" (without the worst tenth of the stretches), and "score" if the task computes it. The last record
        has "event": "end" and a "reason".

        Args:
            stop: called before every update; training ends if it returns true.

        Raises:
            TrainingError: the loss is not finite, or training has diverged.
        """
        before = self.progress.seconds
        began = time.monotonic()
        progress, settings = self.progress, self.settings
        # A complete run, or one that was killed while its final score was computed, is not trained further.
        self._check_divergence()
        reason = self.ended()
        while reason is None:
            if stop():
                reason = "interrupted"
                break
            rate, norm = self.update()
            progress.seconds = before + time.monotonic() - began
            finished = self.fraction >= 1
            validates = finished or settings.validates(progress.step)
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
            if validates:  # after the caller has called `is_best` for this record
                self._check_divergence()
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
    """Return the sum of the loss of numbers: squared errors, or the mean pinball loss of quantiles.

    Args:
        estimates: the estimates of O numbers, or of Q quantiles of each.
        targets: the targets; NaN for none.
        quantiles: the levels of the quantiles; empty: the estimates are means.

    Returns:
        The sum, and the number of targets.

    Source: R. Koenker and G. Bassett, Regression quantiles, Econometrica 46 (1978) 33-50, equation 3.1.
    """
    target_mask = ~targets.isnan()
    filled = targets.nan_to_num(0.0)
    if not quantiles:
        return (((estimates - filled) ** 2) * target_mask).sum(), int(target_mask.sum())
    errors = filled.unsqueeze(-1) - estimates.unflatten(-1, (-1, len(quantiles)))
    losses = pinball(errors, torch.tensor(quantiles, dtype=errors.dtype)).mean(-1)
    return (losses * target_mask).sum(), int(target_mask.sum())
