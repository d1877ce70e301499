"""The protocol of a task: data to learn from, a score, the level of chance, and texts to look at. NumPy only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gatescope.errors import GatescopeError
from gatescope.messages import Message
from gatescope.readout import Readout
from gatescope.tasks.base.scoring import TaskData
from gatescope.vocabulary import PADDING, Ids, Reading, Vocabulary

Probabilities = NDArray[np.floating[Any]]
Quantity = NDArray[np.bool_] | NDArray[np.int64] | NDArray[np.float64]
Predict = Callable[[Sequence[Reading]], Sequence[Probabilities]]
"""A network, as a task sees it: from sequences, (T,) or (T, I) each, to predictions after every step, (T, V) each.

A sequence has ids or numbers, and is read from the initial state. Predictions are log-probabilities of the V next
symbols or classes, or V estimates of numbers; (1, V) each if the readout is at the last step."""


class TaskError(GatescopeError):
    """A setting, a file or a description of a task cannot be used."""


@dataclass(frozen=True)
class Batch:
    """Rows of symbols (or numbers) and their targets.

    Attributes:
        tokens: (B, T) int32 ids, -1 for padding; or (B, T, I) float32 numbers, NaN for padding.
        targets: (B, T) int32 ids of the next symbol or of the class, -1 for no target; (B, T, V) float32 probabilities
            of the next symbol, 0 for no target; or (B, T, O) float32 numbers, NaN for no target. For many-to-one
            networks only the targets at the last step of each row count.
        continues: whether a row goes on where the same row of the previous batch ended, so that its state is carried
            over; for all rows, or for each, (B,). Otherwise a row starts from the initial state.
    """

    tokens: Reading
    targets: Reading
    continues: bool | NDArray[np.bool_] = False

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The number of steps of each row, (B,)."""
        numbers = self.tokens.ndim == 3
        return ((~np.isnan(self.tokens)).all(-1) if numbers else self.tokens != PADDING).sum(1)


@dataclass(frozen=True)
class Score:
    """The score of a network on a task.

    Attributes:
        value: a share from 0 to 1, nats per symbol of a text, or another measure that `text` names.
        chance: the value of the best guess that remembers only the present symbol (for a text: nothing at all).
        solved: whether the task is solved perfectly; None if it cannot be.
        text: the result as one plain sentence.
        details: further results, JSON values.
        better: whether a "higher" or a "lower" value is better.
        message: the code and the values of `text`, for other languages; None if they are unknown.
    """

    value: float
    chance: float
    solved: bool | None
    text: str
    details: dict[str, Any] = field(default_factory=dict)
    better: Literal["higher", "lower"] = "higher"
    message: Message | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object."""
        return {**asdict(self), "message": None if self.message is None else self.message.to_json()}


@dataclass(frozen=True)
class Validation:
    """The loss on fixed data, read in many stretches.

    Attributes:
        loss: the mean, in nats per symbol.
        typical: the mean without the worst tenth of the stretches. It decides about early stopping and the best
            weights, so that one stretch in which the network is stuck does not.
    """

    loss: float
    typical: float


@runtime_checkable
class ReadsManyPlaces(Protocol):
    """A task whose validation reads many stretches."""

    def validate(self, predict: Predict) -> Validation:
        """Compute the loss on fixed data, the same at every call; `Task.validation` is its mean."""
        ...


@dataclass(frozen=True)
class Recommended:
    """The default settings of training for a task, tried with seeds 0-4 of an LSTM.

    Attributes:
        layers: neurons of each layer.
        steps: the largest number of optimizer steps.
        batch: rows of a batch.
        learning_rate: of Adam, at the first step.
        final_learning_rate: the learning rate at the last step, as a fraction of the first; a half cosine in between.
        clip: the largest norm of the gradient.
        readout_decay: weight decay of the readout, as a fraction of the learning rate.
        unroll: time steps of a batch of a text, beyond which no gradient flows; None: whole sequences.
        score_every: steps between two scores during training; 0: only at the end.
        until_solved: stop after two consecutive scores that are solved.
        cell: the cell of the layers, as `gatescope.cells.cell_of` reads it.
        embedding: the size of the learned vector of each symbol; None: one-hot.
        dropout: the fraction of the inputs of layers and readout that is dropped during training.
        both_ways: whether the layers read in both directions.
        patience: consecutive validations without improvement after which training stops; None: never.
        validate_every: steps between two validations without scores; None: the usual number.
    """

    layers: tuple[int, ...]
    steps: int
    batch: int
    learning_rate: float
    final_learning_rate: float = 1.0
    clip: float = 1.0
    readout_decay: float = 0.0
    unroll: int | None = None
    score_every: int = 0
    until_solved: bool = False
    cell: str = "lstm"
    embedding: int | None = None
    dropout: float = 0.0
    both_ways: bool = False
    patience: int | None = None
    validate_every: int | None = None


@runtime_checkable
class HasData(Protocol):
    """A task whose data and score another program can use, see `gatescope.tasks.base.scoring`."""

    def task_data(self) -> TaskData:
        """Return the strings or the text to train, validate and score on, and the rules of both."""
        ...


@runtime_checkable
class Task(Protocol):
    """A task. `batch` depends only on its arguments, so a resumed run sees the same batches as an uninterrupted one."""

    name: ClassVar[str]
    title: ClassVar[str]
    question: ClassVar[str]  # what the network must do, and what to look for in it
    settings: ClassVar[Recommended]  # before the data or the user change any of them
    quantity_titles: ClassVar[dict[str, str]]  # the meaning of each of `quantities`, in words

    def __init__(self, *args: Any, **settings: Any) -> None: ...

    @property
    def vocabulary(self) -> Vocabulary:
        """The symbols or numbers that the network reads."""
        ...

    @property
    def readout(self) -> Readout:
        """The kind of prediction, and the steps at which it is made."""
        ...

    @property
    def recommended(self) -> Recommended:
        """The default settings of training; `batch` and `unroll` are those of this task's batches."""
        ...

    @property
    def notes(self) -> list[str]:
        """Sentences to read before training starts, such as which files were skipped."""
        ...

    def batch(self, seed: int, step: int) -> Batch:
        """Return the batch of training step `step` (from 0) of the run with this seed."""
        ...

    def validation(self, predict: Predict) -> float:
        """Return the mean loss (in nats per symbol or class) on fixed data, the same at every call."""
        ...

    def score(self, predict: Predict) -> Score:
        """Return the score of a network, including generalisation."""
        ...

    def examples(self) -> list[str]:
        """Return texts to look at; the first is the default."""
        ...

    def answers(self, text: str) -> Reading | None:
        """Return the targets after each step of one sequence; see `gatescope.recording`.

        None: the next symbol if symbols are predicted, otherwise unknown.
        """
        ...

    def held_out(self, characters: int) -> str:
        """Return about this number of characters to study a network on, held out from training where possible."""
        ...

    def quantities(self, text: str) -> dict[str, Quantity]:
        """Return what must be remembered to do the task: name -> a value after each symbol of one sequence, (T,).

        Truth values or numbers, known once the symbol is read, under the names of `quantity_titles`. They are defined
        for any text, right or wrong.
        """
        ...

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object (task.json) that `from_json` rebuilds the task from."""
        ...

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Return the task that `to_json` wrote.

        Raises:
            TaskError: the object describes another task, or is damaged.
        """
        ...


TRAINING, EVALUATION = 0, 1  # independent streams of random numbers for every seed


def generator(stream: int, seed: int, step: int = 0) -> np.random.Generator:
    """Return the random numbers of one step of one seed.

    Stream and step are the spawn key, so that they cannot collide with the words of the seed.

    Raises:
        TaskError: seed or step is negative.
    """
    if seed < 0 or step < 0:
        raise TaskError("TASK_SEED_STEP_RANGE", seed=seed, step=step)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(stream, step))))


def predictions(
    predict: Predict, sequences: Sequence[Reading], size: int, *, once: bool = False
) -> list[Probabilities]:
    """Return the predictions of a network, after a check of their shapes.

    Args:
        predict: the network.
        sequences: what it reads.
        size: V, the number of symbols, classes or estimates.
        once: whether the readout is at the last step only.

    Returns:
        (T, V) for each sequence of T steps, (1, V) if `once`.

    Raises:
        TaskError: the predictions have other shapes.
    """
    results = [np.asarray(rows) for rows in predict(sequences)]
    actual = [rows.shape for rows in results]
    expected = [(min(1, len(steps)) if once else len(steps), size) for steps in sequences]
    if actual != expected:
        raise TaskError("TASK_PREDICTIONS_SHAPE", expected=expected[:3], actual=actual[:3])
    return results


def loss_sum(rows: Probabilities, targets: Ids, unknown: int) -> tuple[float, int]:
    """Return the sum of -log p(target) in nats, and the number of targets. Padding and unknown symbols do not count.

    Args:
        rows: (T, V) log-probabilities.
        targets: (T,) ids.
        unknown: the id of unknown symbols.
    """
    counted = np.flatnonzero((targets != PADDING) & (targets != unknown))
    return -float(rows[counted, targets[counted]].sum(dtype=np.float64)), len(counted)
