"""What does a network predict for these texts?

The other studies show how a network computes; this one applies it. Classes and labels come with the probability of
each, next symbols with the most probable ones, numbers with their quantiles. For forecasts after the end of a series,
see `gatescope.studies.forecast_charts`.

`T` step, `I` input number, `V` predicted value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray

from gatescope.network import Network
from gatescope.network import predict as values_of
from gatescope.ranking import ranked
from gatescope.readout import Readout
from gatescope.runs import Run
from gatescope.sources import Recordable, RecordingError, parts_of, sequences_of
from gatescope.studies.common.table import StudyError, Table
from gatescope.tasks import Sentiment
from gatescope.vocabulary import Reading, Vocabulary

Values = NDArray[np.floating[Any]]

PLACE_TITLES = {
    "text": "text (or number of the sequence)",
    "step": "step of the text, counted from 0",
    "symbol": "input at the step",
}


@dataclass(frozen=True)
class Predictions(Sequence[Values]):
    """The predictions for some sequences: an array for each of them, and tables of them.

    Attributes:
        readout: the kind of the predicted values, and the steps at which they are predicted.
        vocabulary: the vocabulary of the input.
        texts: the text of each sequence.
        sequences: the input of each sequence: ids (T,) or numbers (T, I).
        values: for each sequence, log-probabilities in nats of the symbols or classes, or estimates of numbers, (T, V);
            (1, V) for many-to-one networks.
    """

    readout: Readout
    vocabulary: Vocabulary
    texts: tuple[str, ...]
    sequences: tuple[Reading, ...]
    values: tuple[Values, ...]

    def __len__(self) -> int:
        return len(self.values)

    @overload
    def __getitem__(self, index: int) -> Values: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Values]: ...

    def __getitem__(self, index: int | slice) -> Values | Sequence[Values]:
        return self.values[index]

    @property
    def names(self) -> list[str]:
        """Return the names of the V predicted values: symbols, classes, or numbers with quantiles ("x q0.1")."""
        if self.readout.kind == "symbols":
            return self.vocabulary.labels(np.arange(self.vocabulary.size))
        return list(self.readout.value_names)

    def table(self, *, top: int = 5, every_step: bool | None = None) -> Table:
        """Return the predictions as a table.

        Args:
            top: for next symbols, the number of most probable ones.
            every_step: if true, return a row (or `top` rows) for every step; if false, for the last step of each text
                only; None: every step for labels of words or frames, the last step otherwise.

        Returns:
            Classes: the most probable one as "prediction", its "probability", and the probability of each class as
            "p(NAME)". Next symbols: one row for each "rank", with "prediction" and "probability". Numbers: one column
            for each of them (and quantile).

        Raises:
            StudyError: `top` is less than 1, or every step is requested for a network that predicts once.
        """
        if top < 1:
            raise StudyError("STUDY_NUMBER_TOO_SMALL", things="next symbols", least=1, number=top)
        once = self.readout.reads == "last step"
        if every_step and once:
            raise StudyError("PREDICTIONS_NO_EVERY_STEP")
        steps = not once and self.readout.kind == "classes" if every_step is None else every_step
        places = list(self._places(steps))
        rows = np.concatenate([self.values[k][v : v + 1] for k, _, v in places]) if places else np.empty((0, 1))
        columns, titles = self._place_columns(places), dict(PLACE_TITLES)
        about = {"study": "predictions", "kind": self.readout.kind, "reads": self.readout.reads, "every_step": steps}
        if self.readout.kind == "numbers":
            values = {name: rows[:, v].astype(np.float64) for v, name in enumerate(self.names)}
            return Table({**columns, **values}, {**titles, **{name: f"estimate of {name}" for name in values}}, about)
        probabilities = np.exp(rows.astype(np.float64))
        if self.readout.kind == "classes":
            return self._of_classes(probabilities, columns, titles, about)
        return self._of_symbols(probabilities, columns, titles, about, min(top, len(self.names)))

    def _places(self, every_step: bool) -> Iterator[tuple[int, int, int]]:
        """Yield (sequence, step, row of its values) of every prediction that is shown."""
        for k, (sequence, values) in enumerate(zip(self.sequences, self.values, strict=True)):
            length = len(sequence) - self._ends(k) if every_step else len(sequence)
            for step in range(0 if every_step else length - 1, length):
                yield k, step, min(step, len(values) - 1)

    def _ends(self, sequence: int) -> bool:
        """Test whether every step has a label, and the last step is an end mark, which has none."""
        symbols = self._labels[sequence]
        return self.readout.kind == "classes" and self.vocabulary.end is not None and symbols[-1] == self.vocabulary.end

    @cached_property
    def _labels(self) -> list[list[str]]:
        """Return the symbols at each step of each sequence, spelled as in its text."""
        return [self.vocabulary.labels(text) for text in self.texts]

    def _place_columns(self, places: Sequence[tuple[int, int, int]]) -> dict[str, NDArray[Any]]:
        return {
            "text": _texts(self.texts[k] for k, *_ in places),
            "step": np.array([step for _, step, _ in places], dtype=np.int64),
            "symbol": _texts(self._labels[k][step] for k, step, _ in places),
        }

    def _of_classes(
        self, probabilities: Values, columns: dict[str, NDArray[Any]], titles: dict[str, str], about: dict[str, Any]
    ) -> Table:
        best = probabilities.argmax(1) if len(probabilities) else np.empty(0, np.int64)
        columns |= {
            "prediction": _texts(self.names[k] for k in best.tolist()),
            "probability": probabilities[np.arange(len(best)), best],
        }
        titles |= {"prediction": "most probable class", "probability": "probability of the prediction"}
        for v, name in enumerate(self.names):
            columns[f"p({name})"], titles[f"p({name})"] = probabilities[:, v], f"probability of {name}"
        return Table(columns, titles, about)

    def _of_symbols(
        self,
        probabilities: Values,
        columns: dict[str, NDArray[Any]],
        titles: dict[str, str],
        about: dict[str, Any],
        top: int,
    ) -> Table:
        order = ranked(torch.from_numpy(probabilities), top).numpy()
        chosen = np.take_along_axis(probabilities, order, 1)
        columns = {name: np.repeat(column, top) for name, column in columns.items()}
        columns |= {
            "rank": np.tile(np.arange(1, top + 1), len(order)),
            "prediction": _texts(self.names[k] for k in order.ravel().tolist()),
            "probability": chosen.ravel(),
        }
        titles |= {
            "rank": "rank, 1 for the most probable",
            "prediction": "next symbol",
            "probability": "probability of the prediction",
        }
        return Table(columns, titles, about)


def predict(model: Run | Network, source: Recordable | Sequence[str]) -> Predictions:
    """Predict classes, labels, next symbols or numbers for some texts.

    Args:
        model: a network; or a run, of which the best weights are used.
        source: texts; or one text, which is cut after each end mark of the network's vocabulary; or sequences of ids
            (T,) or numbers (T, I). If classes are predicted, each text is closed with the end mark, as in training.

    Returns:
        An array of predictions for each text, each from the initial state; `table()` puts them side by side.

    Raises:
        RecordingError: a text is empty, or does not fit the input of the network.
        RunError: the run has no weights.
    """
    network: object = model.network()[0] if isinstance(model, Run) else model
    if not isinstance(network, Network):
        raise RecordingError("PREDICTIONS_MODEL_INVALID", type=type(network).__name__)
    vocabulary = network.configuration.vocabulary
    texts: list[str] = []
    if isinstance(source, str):
        texts = parts_of(network, source)
    elif isinstance(source, Sequence) and all(isinstance(text, str) for text in source):
        texts = [str(text) for text in source]
    if isinstance(model, Run) and isinstance(model.task(), Sentiment):
        texts = [" ".join(text.split()) for text in texts]  # as the task reads its own texts
    texts = [_closed(network, text) for text in texts]
    if not texts:
        sequences = sequences_of(network, source)
        texts = [vocabulary.decode(sequence) for sequence in sequences]
    else:
        for number, text in enumerate(texts, 1):
            if not text:
                raise RecordingError("PREDICTIONS_TEXT_EMPTY", number=number)
        sequences = [_one_sequence(network, text) for text in texts]
    values = values_of(network, sequences)
    return Predictions(network.configuration.readout, vocabulary, tuple(texts), tuple(sequences), tuple(values))


def _closed(network: Network, text: str) -> str:
    """Return the text of one sequence as training closes it.

    If classes are predicted, every text ends with the end mark, and an end mark inside the text becomes a space.
    """
    end = network.configuration.vocabulary.end
    if end is None or not end.isspace() or network.configuration.readout.kind != "classes":
        return text
    return text.rstrip(end).replace(end, " ") + end


def _one_sequence(network: Network, text: str) -> Reading:
    sequences = sequences_of(network, text)
    if len(sequences) != 1:
        raise StudyError("PREDICTIONS_TEXT_NOT_ONE_SEQUENCE", text=text[:60], sequences=len(sequences))
    return sequences[0]


def _texts(values: Iterable[str]) -> NDArray[Any]:
    listed = list(values)
    array = np.empty(len(listed), dtype=object)
    array[:] = listed
    return array
