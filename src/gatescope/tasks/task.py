"""What a task is: data to learn from, a score, the level of chance, and texts to look at. NumPy only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gatescope.errors import GatescopeError
from gatescope.text import PADDING, Ids, Vocabulary

Probabilities = NDArray[np.floating[Any]]
Quantity = NDArray[np.bool_] | NDArray[np.int64]
Predict = Callable[[Sequence[Ids]], Sequence[Probabilities]]
"""Sequences of ids, (T,) each and each from the initial state, to the log-probabilities of the next symbol after every
step, (T, V) each, V = the number of symbols. This is all a task knows of a network."""


class TaskError(GatescopeError):
    """Something a user gave a task cannot be used; the message is one sentence that says what to do."""


@dataclass(frozen=True)
class Batch:
    """Rows of symbols and, for each, the symbol that follows.

    Arguments:
        tokens: (B, T) int32 ids, -1 behind the end of a row.
        targets: (B, T) int32 ids of the next symbol, -1 where no loss is taken.
        continues: each row goes on where the same row of the batch before ended, so the state is carried over.
    """

    tokens: Ids
    targets: Ids
    continues: bool = False


@dataclass(frozen=True)
class Score:
    """How well a task is done.

    Arguments:
        value: a share from 0 to 1, or nats per symbol for a text.
        chance: the value of the best guess that remembers nothing but the present symbol (of a text: nothing at all).
        solved: whether the task is done perfectly; None where there is no such thing.
        text: the result as one plain sentence.
        details: further results, JSON values.
    """

    value: float
    chance: float
    solved: bool | None
    text: str
    details: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The fields as a JSON object."""
        return asdict(self)


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
        unroll: time steps of a batch of a text, beyond which no gradient flows; None: whole sequences.
        score_every: steps between two scores during training; 0: only at the end.
        until_solved: stop as soon as two scores in a row say solved.
    """

    layers: tuple[int, ...]
    steps: int
    batch: int
    learning_rate: float
    final_learning_rate: float = 1.0
    clip: float = 1.0
    unroll: int | None = None
    score_every: int = 0
    until_solved: bool = False


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
        """The symbols."""
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
        """The mean loss in nats per symbol on fixed data, the same at every call."""
        ...

    def score(self, predict: Predict) -> Score:
        """How well the task is done, generalisation included."""
        ...

    def examples(self) -> list[str]:
        """Texts to look at; the first is the default."""
        ...

    def held_out(self, characters: int) -> str:
        """Text to study a network on, about so many characters: never trained on, where there is such a thing."""
        ...

    def quantities(self, text: str) -> dict[str, Quantity]:
        """What must be remembered to do the task: name -> a value after each symbol of one sequence, (T,).

        Truth values or whole numbers, known once the symbol was read, under the names of `quantity_titles`. They are
        defined for any text, right or wrong.
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
        raise TaskError(f"Seeds and steps are 0 or more; seed {seed}, step {step} was given.")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(stream, step))))


def predictions(predict: Predict, sequences: Sequence[Ids], size: int) -> list[Probabilities]:
    """What `predict` gives, after a check that it is (T, size) for every sequence of T symbols.

    Raises: ValueError where it is not.
    """
    results = [np.asarray(rows) for rows in predict(sequences)]
    given, expected = [rows.shape for rows in results], [(len(ids), size) for ids in sequences]
    if given != expected:
        raise ValueError(f"predict must give log-probabilities of the shapes {expected[:3]}...; it gave {given[:3]}...")
    return results


def loss_sum(rows: Probabilities, targets: Ids, unknown: int) -> tuple[float, int]:
    """The sum of -log p(target) in nats, and of how many targets; padding and unknown ones are left out.

    Arguments: rows (T, V), targets (T,).
    """
    counted = np.flatnonzero((targets != PADDING) & (targets != unknown))
    return -float(rows[counted, targets[counted]].sum(dtype=np.float64)), len(counted)
