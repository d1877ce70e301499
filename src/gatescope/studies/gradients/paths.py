"""Along which paths does one recurrent weight act on one prediction? All of them, as products of partial derivatives.

Back-propagation through time is easier to believe than to see, because it sums the paths without naming them. This
study lists them for a short text, so that a reader can check every factor by hand; docs/lesson.md does that with a
pocket calculator. Each row is a path: the step at which the weight acts, the term of the equations through which its
effect continues, every factor, and their product. Texts have at most three steps, so that the list stays readable.

The weight U.k[to, source] adds U.k[to, source] · h₋₁[source] to the drive u.k[to]. Before the first step h is 0, so the
weight has no effect there. At the last step its effect reaches the prediction at once. At the step between, it
continues through one term of the last step.

Source: Werbos, "Backpropagation through time: what it does and how to do it", Proceedings of the IEEE 78 (1990).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.messages import Message
from gatescope.network import Network
from gatescope.recording import record, weights_of
from gatescope.sources import symbols_of
from gatescope.studies.common.layers import LayerId, number_of
from gatescope.studies.common.losses import check_predicts_next
from gatescope.studies.common.table import StudyError, Table
from gatescope.studies.gradients.backpropagation import contributions
from gatescope.studies.gradients.jacobians import Jacobians, Term, exact, jacobians
from gatescope.vocabulary import Ids

MAX_STEPS = 3
MAX_SEPARATE_NEURONS = 3  # neurons of a layer up to which each neuron of the last step has a row of its own
TITLES = {
    "step": "step at which the weight acted",
    "path": "path to the prediction",
    "kind": "at once, straight on, through a place of the equations, or before the first step (start)",
    "place": "the place of the equations",
    "neuron": "the neuron of the last step",
    "formula": "the product of partial derivatives",
    "names": "its factors",
    "derived": "each factor by the equations of the cell",
    "factors": "their values",
    "value": "the product",
}


def paths(
    network: Network,
    text: str | Ids,
    *,
    layer: LayerId = "layer0",
    drive: str,
    to: int,
    source: int,
    step: int | None = None,
) -> Table:
    """List all paths from U.drive[to, source] to the loss -log p(next symbol) after a step; they sum to the gradient.

    Args:
        network: a network that predicts the next symbol. It is copied in float64, without dropout.
        text: one sequence from the initial state: the symbols that are read, and the next one.
        layer: the last layer. Lower layers act on the prediction through the equations of other layers.
        drive: the name of the recurrent drive, such as "f" for u.f.
        to: the neuron whose drive it is.
        source: the neuron whose output the weight multiplies.
        step: the step after which the network predicts, 0 to 2; None: the last one with a next symbol.

    Returns:
        A row for every path, the latest step first. In layers of up to 3 neurons every neuron of the last step has a
        row of its own; in larger layers the first factor is the sum over them. `about` holds the loss and the total.

    Raises:
        StudyError: the network predicts something else, there is no such layer, drive, neuron or step, or the next
            symbol is not in the vocabulary.
        RecordingError: the text is empty.
    """
    check_predicts_next(network.configuration, Message("LOSSES_STUDY_PATHS"))
    cells = [spec.cell for spec in network.configuration.layers]
    number = number_of(network.configuration, layer)
    layer_name = network.configuration.names[number]
    if number != len(cells) - 1:
        raise StudyError("PATHS_LAYER_NOT_LAST", last=network.configuration.names[-1], layer=layer_name)
    if network.configuration.starts:
        raise StudyError("PATHS_NETWORK_HAS_INITIAL_STATE")
    if network.configuration.hidden:
        raise StudyError("PATHS_NETWORK_HAS_HEAD")
    drives = cells[number].tape.recurrent_drives
    if drive not in drives:
        if not drives:
            raise StudyError("PATHS_NOT_RECURRENT", layer=layer_name)
        raise StudyError("PATHS_DRIVE_UNKNOWN", layer=layer_name, drives=", ".join(drives), drive=drive)
    neurons = network.configuration.layers[number].neurons
    if not (0 <= to < neurons and 0 <= source < neurons):
        raise StudyError("PATHS_WEIGHT_UNKNOWN", layer=layer_name, last=neurons - 1, source=source, to=to)
    sequences = symbols_of(network, text if isinstance(text, str) else [text])
    if len(sequences) != 1:
        raise StudyError("PATHS_TEXT_NOT_ONE_SEQUENCE", sequences=len(sequences))
    step = len(sequences[0]) - 2 if step is None else step
    if not 0 <= step < MAX_STEPS:
        raise StudyError("PATHS_STEP_UNKNOWN", last=MAX_STEPS - 1, step=step)
    ids = sequences[0][: step + 2]
    derivatives = _Paths(network, ids, number, drive, to, source, step)
    rows = list(derivatives.rows())
    return Table.of(
        rows,
        TITLES,
        weight=f"U.{drive}[{to},{source}]",
        layer=number,
        loss=derivatives.loss,
        total=float(sum(row["value"] for row in rows)),
    )


@dataclass(frozen=True)
class _Factor:
    """A factor: its name, its formula by the equations, and its value."""

    name: str
    derived: str
    value: float


@dataclass(frozen=True)
class _Path:
    """A path: its kind, the place of the equations that it passes, and the neuron of the last step, if it is one."""

    kind: str
    place: str = ""
    neuron: int | None = None

    def text(self) -> str:
        """Return the path in words."""
        if self.kind != "through":
            return "before the first step h is 0" if self.kind == "start" else self.kind
        return f"through {self.place}" + ("" if self.neuron is None else f" of neuron {self.neuron}")


class _Paths:
    """The derivatives of one text, and their products along the paths of one weight."""

    def __init__(self, network: Network, ids: Ids, layer: int, drive: str, to: int, source: int, step: int) -> None:
        passed = contributions(network, ids, [step])
        self.loss = float(passed.losses[0])
        self.drive, self.to, self.source, self.step = drive, to, source, step
        copy = exact(network)
        trace = record(copy, [ids])
        name = copy.configuration.names[layer]
        self.jacobians: Jacobians = jacobians(trace, name, weights_of(copy)[name])
        self.h = np.asarray(trace[name]["h"][0], np.float64)
        readout = copy.readout_weights.detach().numpy()
        self.arriving: NDArray[np.float64] = passed.deltas["readout_biases"][step] @ readout

    def rows(self) -> Iterator[Mapping[str, Any]]:
        """Yield the paths, the last step first."""
        last, apart = self.step, self.jacobians.neurons <= MAX_SEPARATE_NEURONS
        if last > 0:
            ends = self._first("h", last)
            yield _row(last, _Path("at once"), [self._arrives(self.to), *ends])
        if last > 1:
            for term in self.jacobians.terms:
                if term.to == "h" and self._acts(term.source) is not None:
                    yield from self._through(term, last - 1, apart)
        yield _row(0, _Path("start"), [_Factor(f"h₋₁[{self.source}]", "", 0.0)])

    def _acts(self, state: str) -> Term | None:
        """Return the term by which the weight's drive acts on a state, if there is one."""
        for term in self.jacobians.terms:
            if term.to == state and term.drive == self.drive:
                return term
        return None

    def _first(self, state: str, step: int) -> list[_Factor]:
        """Return the factors of the weight's effect on a state of one step: the slope, and the input of the weight.

        The slope is 0 if the state does not depend on the drive.
        """
        term, before = self._acts(state), step - 1
        name = f"∂{_at(state, step, self.to)}/∂{_at(f'u.{self.drive}', step, self.to)}"
        slope = _Factor(name, "0", 0.0) if term is None else self._slope(name, term, step, self.to)
        return [slope, _Factor(_at("h", before, self.source), "", float(self.h[before, self.source]))]

    def _slope(self, name: str, term: Term, step: int, neuron: int) -> _Factor:
        return _Factor(name, term.formula, float(self.jacobians.factors[term][step, neuron]))

    def _arrives(self, neuron: int) -> _Factor:
        name = f"∂L/∂{_at('h', self.step, neuron)}"
        return _Factor(name, "Σ over symbols of (predicted - right) · readout weight", float(self.arriving[neuron]))

    def _through(self, term: Term, step: int, apart: bool) -> Iterator[Mapping[str, Any]]:
        """Yield the paths that start at one step and continue through one term of the last step."""
        effect, last = self._first(term.source, step), self.step
        if term.drive is None:
            slope = f"∂{_at('h', last, self.to)}/∂{_at(term.source, step, self.to)}"
            through = "" if term.direct else f" through {term.name}"
            path = _Path("straight on") if term.direct else _Path("through", term.name)
            factors = [self._arrives(self.to), self._slope(slope + through, term, last, self.to)]
            yield _row(step, path, [*factors, *effect])
            return
        weights = self.jacobians.weights[term.drive][:, self.to].numpy()
        if apart:
            for neuron in range(self.jacobians.neurons):
                slope = f"∂{_at('h', last, neuron)}/∂{_at(term.name, last, neuron)}"
                weight = _Factor(f"U.{term.drive}[{neuron},{self.to}]", "", float(weights[neuron]))
                middle = [self._arrives(neuron), self._slope(slope, term, last, neuron), weight]
                yield _row(step, _Path("through", term.name, neuron), [*middle, *effect])
            return
        h, u = _at("h", last, "j"), _at(term.name, last, "j")
        total = float((self.arriving * self.jacobians.factors[term][last].numpy()) @ weights)
        name = f"Σⱼ(∂L/∂{h} · ∂{h}/∂{u} · U.{term.drive}[j,{self.to}])"
        derived = f"∂{h}/∂{u} = {term.formula}" if term.formula else ""
        yield _row(step, _Path("through", term.name), [_Factor(name, derived, total), *effect])


def _row(step: int, path: _Path, factors: list[_Factor]) -> Mapping[str, Any]:
    return {
        "step": step,
        "path": path.text(),
        "kind": path.kind,
        "place": path.place,
        "neuron": path.neuron,
        "formula": " · ".join(factor.name for factor in factors),
        "names": [factor.name for factor in factors],
        "derived": [factor.derived for factor in factors],
        "factors": [factor.value for factor in factors],
        "value": float(np.prod([factor.value for factor in factors])),
    }


def _at(name: str, step: int, neuron: int | str) -> str:
    """Return the name of a signal of one neuron at one step, such as h₂[0]."""
    return f"{name}{'₀₁₂'[step]}[{neuron}]"
