"""What a task is: data to learn from, a score, the level of chance, and texts to look at. NumPy only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gatescope.errors import GatescopeError
from gatescope.readout import Readout
from gatescope.vocabulary import PADDING, Ids, Reading, Vocabulary

Probabilities = NDArray[np.floating[Any]]
Quantity = NDArray[np.bool_] | NDArray[np.int64] | NDArray[np.float64]
Predict = Callable[[Sequence[Reading]], Sequence[Probabilities]]
"""Sequences of ids (T,) or numbers (T, I), each from the initial state, to what is predicted after every step, (T, V)
each: the log-probabilities of the V next symbols or classes, or V estimates of numbers. (1, V) each, where the readout
is at the last step. This is all a task knows of a network."""


class TaskError(GatescopeError):
    """Something a user gave a task cannot be used; the message is one sentence that says what to do."""


@dataclass(frozen=True)
class Batch:
    """Rows of symbols (or numbers) and, for each, what should be predicted after it.

    Arguments:
        tokens: (B, T) int32 ids, -1 behind the end of a row; or (B, T, I) float32 numbers, NaN behind it.
        targets: (B, T) int32 ids of the next symbol or of the class, -1 where no loss is taken; (B, T, V) float32
            probabilities of the next symbol, 0 where none is; or (B, T, O) float32 numbers, NaN where none is. Where
            the network reads out once, those at the last step of each row count.
        continues: whether a row goes on where the same row of the batch before ended, so that its state is carried
            over; of all rows, or of each, (B,). Otherwise a row starts from the initial state.
    """

    tokens: Reading
    targets: Reading
    continues: bool | NDArray[np.bool_] = False

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The steps of each row, (B,)."""
        numbers = self.tokens.ndim == 3
        return ((~np.isnan(self.tokens)).all(-1) if numbers else self.tokens != PADDING).sum(1)


@dataclass(frozen=True)
class Score:
    """How well a task is done.

    Arguments:
        value: a share from 0 to 1, nats per symbol for a text, or what `text` says; what is better, `better` says.
        chance: the value of the best guess that remembers nothing but the present symbol (of a text: nothing at all).
        solved: whether the task is done perfectly; None where there is no such thing.
        text: the result as one plain sentence.
        details: further results, JSON values.
        better: whether a "higher" or a "lower" value is better.
    """

    value: float
    chance: float
    solved: bool | None
    text: str
    details: dict[str, Any] = field(default_factory=dict)
    better: Literal["higher", "lower"] = "higher"

    def to_json(self) -> dict[str, Any]:
        """The fields as a JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class Validation:
    """The loss on fixed data that is read at many places.

    Attributes:
        loss: the mean, in nats per symbol.
        typical: the mean without the worst tenth of the places. It decides about early stopping and the best weights,
            so that one place at which the network is stuck does not.
    """

    loss: float
    typical: float


@runtime_checkable
class ReadsManyPlaces(Protocol):
    """A task whose validation reads many places."""

    def validate(self, predict: Predict) -> Validation:
        """Compute the loss on fixed data, the same at every call; `Task.validation` is its mean."""
        ...


@dataclass(frozen=True)
class Recommended:
    """What training uses when the user says nothing. Settings at which seeds 0-4 of an LSTM were tried.

    Arguments:
        layers: neurons of each layer.
        steps: the most steps of the optimiser.
        batch: rows of a batch.
        learning_rate: of Adam, at the first step.
        final_learning_rate: share of `learning_rate` that is left at the last step, a half cosine in between.
        clip: largest norm of the gradient.
        readout_decay: how fast the readout's weights shrink, as a share of the learning rate.
        unroll: time steps of a batch of a text, beyond which no gradient flows; None: whole sequences.
        score_every: steps between two scores during training; 0: only at the end.
        validate_every: steps between two validations where there are no scores; None: as many as is usual.
        until_solved: stop as soon as two scores in a row say solved.
        cell: what the layers are made of, as `gatescope.cells.cell_of` reads it.
        embedding: numbers in the learned vector of each symbol; None: one-hot.
        dropout: the share of what the layers and the readout read that is left out while training.
        both_ways: whether the layers read in both directions.
        patience: validations in a row without a better one after which training stops; None: never.
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
class Task(Protocol):
    """A task. `batch` depends on nothing but its arguments, so a resumed run sees what it would have seen."""

    name: ClassVar[str]
    title: ClassVar[str]
    question: ClassVar[str]  # what the network must do, and what one looks for in it
    settings: ClassVar[Recommended]  # before the data or the user have changed any of it
    quantity_titles: ClassVar[dict[str, str]]  # what each of `quantities` says, in words

    def __init__(self, *args: Any, **settings: Any) -> None: ...

    @property
    def vocabulary(self) -> Vocabulary:
        """The symbols or numbers that are read."""
        ...

    @property
    def readout(self) -> Readout:
        """The kind of prediction, and when it is made."""
        ...

    @property
    def recommended(self) -> Recommended:
        """What training uses when the user says nothing; `batch` and `unroll` are those of this task's batches."""
        ...

    @property
    def notes(self) -> list[str]:
        """Sentences a user should read before training starts, such as which files were skipped."""
        ...

    def batch(self, seed: int, step: int) -> Batch:
        """The batch of training step `step` (from 0) of the run with this seed."""
        ...

    def validation(self, predict: Predict) -> float:
        """The mean loss (in nats per symbol or class) on fixed data, the same at every call."""
        ...

    def score(self, predict: Predict) -> Score:
        """How well the task is done, generalisation included."""
        ...

    def examples(self) -> list[str]:
        """Texts to look at; the first is the default."""
        ...

    def answers(self, text: str) -> Reading | None:
        """What should be said after each step of one sequence, where the task knows: see `gatescope.recording`.

        None: the next symbol, where symbols are predicted, and otherwise it is not known.
        """
        ...

    def held_out(self, characters: int) -> str:
        """Text to study a network on, about so many characters: never trained on, where there is such a thing."""
        ...

    def quantities(self, text: str) -> dict[str, Quantity]:
        """What must be remembered to do the task: name -> a value after each symbol of one sequence, (T,).

        Truth values or numbers, known once the symbol was read, under the names of `quantity_titles`. They are defined
        for any text, right or wrong.
        """
        ...

    def to_json(self) -> dict[str, Any]:
        """The JSON object (task.json) that `from_json` rebuilds the task from."""
        ...

    @classmethod
    def from_json(cls, data: object) -> Self:
        """The task that `to_json` wrote. Raises: TaskError."""
        ...


TRAINING, EVALUATION = 0, 1  # streams of random numbers that never meet, whatever the seed


def generator(stream: int, seed: int, step: int = 0) -> np.random.Generator:
    """The random numbers of one step of one seed. As a spawn key, stream and step cannot run into the seed's words."""
    if seed < 0 or step < 0:
        raise TaskError("TASK_SEED_STEP_RANGE", seed=seed, step=step)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(stream, step))))


def predictions(
    predict: Predict, sequences: Sequence[Reading], size: int, *, once: bool = False
) -> list[Probabilities]:
    """What `predict` gives, after a check that it is (T, size) for every sequence of T steps.

    Arguments: `once`: it is (1, size), because the readout is at the last step.

    Raises: TaskError where it is not.
    """
    results = [np.asarray(rows) for rows in predict(sequences)]
    given = [rows.shape for rows in results]
    expected = [(min(1, len(steps)) if once else len(steps), size) for steps in sequences]
    if given != expected:
        raise TaskError("TASK_PREDICTIONS_SHAPE", expected=expected[:3], actual=given[:3])
    return results


def loss_sum(rows: Probabilities, targets: Ids, unknown: int) -> tuple[float, int]:
    """The sum of -log p(target) in nats, and of how many targets; padding and unknown ones are left out.

    Arguments: rows (T, V), targets (T,).
    """
    counted = np.flatnonzero((targets != PADDING) & (targets != unknown))
    return -float(rows[counted, targets[counted]].sum(dtype=np.float64)), len(counted)
