"""How does each state depend on the states one step earlier, and through which part of the equations?

The Jacobian of one step is the link of which all gradients through time are made. Its terms show which path a gradient
takes, such as directly along the cell state, through the forget gate, or through the candidate, and how much of the
derivative each path carries.

The Jacobian is exact at the recorded values. It is the sum of its terms, one for every place where an earlier state
enters the equations (see `gatescope.equations.forward_derivatives`). `whole` and `matrix` write it out; `forwards` and
`backwards` multiply by it without writing it out.

`T` step, `N` neuron, `S` state, `M` = S · N, `K` vector.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from gatescope.cells import Cell
from gatescope.equations import Forward, Place, forward
from gatescope.network import Network
from gatescope.recording import record, weights_of
from gatescope.sources import Recordable
from gatescope.studies.common.layers import LayerId, number_of
from gatescope.studies.common.table import StudyError, Table
from gatescope.trace import Trace

TITLES = {
    "to": "state",
    "source": "state one step earlier",
    "term": "place where the earlier state enters",
    "formula": "the factors of the term",
    "norm": "Frobenius norm, median over steps",
    "share": "share of the derivative, median over steps",
}

CANCELLED = 1e-6  # share of the size of its terms below which a derivative is only rounding


@dataclass(frozen=True)
class Term:
    """One part of the derivative of a state by a state one step earlier.

    Attributes:
        to: the state.
        source: the state one step earlier.
        name: the place where it enters: "direct", "peephole f", or a recurrent drive such as "u.f".
        drive: the k of u.k; None for a diagonal term.
        formula: the formula of the factors. The term is diag(factors), or diag(factors) · U_k.
    """

    to: str
    source: str
    name: str
    drive: str | None
    formula: str

    @property
    def direct(self) -> bool:
        """Test whether the state enters the equation directly, not through a drive or a peephole."""
        return self.drive is None and self.name.split(" ")[0] == "direct"


@dataclass(frozen=True)
class Jacobians:
    """The Jacobians of the steps of one layer on one sequence.

    Vectors are tensors (S, ..., N), with a part for each state in the order of `states`. The Jacobian of step t is the
    derivative of the states after it by the states before it, so the first one is by the initial state. Steps are in
    the order in which the layer reads: for a layer that reads from the end, step 0 is the last of the sequence.

    Attributes:
        layer: the layer, such as "layer0".
        states: the states that are carried from step to step.
        factors: term -> its diagonal at every step, (T, N).
        weights: k -> U_k, (N, N).
        inside: (state, other state) -> the derivative of the first by the second within one step, (T, N):
            o · (1 - tanh²(c)) for h and c of an LSTM. Pairs without such a derivative are left out.
        size: T and N.
    """

    layer: str
    states: tuple[str, ...]
    factors: Mapping[Term, Float[Tensor, "T N"]]
    weights: Mapping[str, Float[Tensor, "N N"]]
    inside: Mapping[tuple[str, str], Float[Tensor, "T N"]]
    size: tuple[int, int]

    @property
    def steps(self) -> int:
        """Return T, the number of steps."""
        return self.size[0]

    @property
    def neurons(self) -> int:
        """Return N, the number of neurons."""
        return self.size[1]

    @property
    def width(self) -> int:
        """Return M, the number of numbers in all states."""
        return len(self.states) * self.neurons

    @property
    def terms(self) -> tuple[Term, ...]:
        """Return all terms."""
        return tuple(self.factors)

    def to(self, dtype: torch.dtype) -> Jacobians:
        """Convert to another precision."""
        factors = {term: values.to(dtype) for term, values in self.factors.items()}
        weights = {drive: values.to(dtype) for drive, values in self.weights.items()}
        inside = {pair: values.to(dtype) for pair, values in self.inside.items()}
        return replace(self, factors=factors, weights=weights, inside=inside)

    def term(self, to: str, source: str, name: str) -> Term:
        """Return the term with these names.

        Raises:
            StudyError: there is no such term.
        """
        for term in self.factors:
            if (term.to, term.source, term.name) == (to, source, name):
                return term
        named = ", ".join(f"{t.name} (from {t.source} to {t.to})" for t in self.factors) or "none"
        raise StudyError("JACOBIANS_TERM_UNKNOWN", layer=self.layer, terms=named, term=name, source=source, to=to)

    def written(self, term: Term, step: int | slice = slice(None)) -> Float[Tensor, "*T N N"]:
        """Return a term as a matrix, at one step or several."""
        factors = self.factors[term][step]
        return torch.diag_embed(factors) if term.drive is None else factors.unsqueeze(-1) * self.weights[term.drive]

    def matrix(self, to: str, source: str, name: str | None = None) -> NDArray[np.float64]:
        """Return the derivative of a state by a state one step earlier, (T, N, N): one term, or the sum of all terms.

        Raises:
            StudyError: there is no such state or term.
        """
        for state in (to, source):
            if state not in self.states:
                raise StudyError(
                    "JACOBIANS_STATE_UNKNOWN", layer=self.layer, states=", ".join(self.states) or "none", state=state
                )
        chosen = [self.term(to, source, name)] if name is not None else self._between(to, source)
        total = torch.zeros(self.steps, self.neurons, self.neurons, dtype=torch.float64)
        for term in chosen:
            total += self.written(term)
        return total.numpy()

    def _between(self, to: str, source: str) -> list[Term]:
        return [term for term in self.factors if (term.to, term.source) == (to, source)]

    def whole(self) -> NDArray[np.float64]:
        """Return the derivative of all states by all states one step earlier, (T, M, M), state after state."""
        rows = [np.concatenate([self.matrix(to, source) for source in self.states], 2) for to in self.states]
        return np.concatenate(rows, 1) if rows else np.zeros((self.steps, 0, 0))

    @cached_property
    def diagonals(self) -> dict[tuple[str, str], Float[Tensor, "T N"]]:
        """Return (state, earlier state) -> the sum of all diagonal terms."""
        return _sums(self.factors, [term for term in self.factors if term.drive is None])

    @cached_property
    def bypass(self) -> dict[tuple[str, str], Float[Tensor, "T N"]]:
        """Return (state, earlier state) -> the sum of the direct terms, which pass no drive and no gate."""
        return _sums(self.factors, [term for term in self.factors if term.direct])

    def dense(self, step: int) -> Float[Tensor, "M N"]:
        """Return the terms through the drives at one step as one matrix by h, state after state."""
        like = next(iter(self.weights.values()))
        rows = like.new_zeros(len(self.states), self.neurons, self.neurons)
        for term, factors in self.factors.items():
            if term.drive is not None:
                rows[self.states.index(term.to)].addcmul_(factors[step].unsqueeze(1), self.weights[term.drive])
        return rows.flatten(0, 1)

    def forwards(
        self, step: int, vectors: Float[Tensor, "S *K N"], out: Float[Tensor, "S *K N"] | None = None
    ) -> Float[Tensor, "S *K N"]:
        """Multiply the Jacobian of a step by vectors: carry small changes before the step to after it.

        `out` must not share memory with `vectors`.
        """
        products = torch.empty_like(vectors) if out is None else out
        if self.weights:
            outputs = vectors[self.states.index("h")].reshape(-1, self.neurons)
            for part, matrix in zip(products, self.dense(step).split(self.neurons), strict=True):
                torch.mm(outputs, matrix.t(), out=part.view(-1, self.neurons))
        else:
            products.zero_()
        for (to, source), factors in self.diagonals.items():
            products[self.states.index(to)].addcmul_(factors[step], vectors[self.states.index(source)])
        return products

    def backwards(self, step: int, vectors: Float[Tensor, "S *K N"]) -> Float[Tensor, "S *K N"]:
        """Multiply the transposed Jacobian of a step by vectors: carry gradients after the step to before it."""
        products = torch.zeros_like(vectors)
        for (to, source), factors in self.diagonals.items():
            products[self.states.index(source)] += factors[step] * vectors[self.states.index(to)]
        if self.weights:
            products[self.states.index("h")] += torch.cat(list(vectors), -1) @ self.dense(step)
        return products

    def norms(self) -> dict[Term, NDArray[np.float64]]:
        """Return the Frobenius norm of every term at every step, (T,)."""
        return {term: values.clamp(min=0).sqrt().numpy() for term, values in self._products(self.factors).items()}

    def shares(self) -> dict[Term, NDArray[np.float64]]:
        """Return the share of every term in the derivative of its pair of states, at every step, (T,).

        The share of a term A of a Jacobian J is <A, J> / <J, J>, where <A, B> is the sum of the products of all
        entries. The shares of all terms of a pair of states sum to 1 at every step, and a term that works against the
        others has a negative share. NaN if J is 0, or if its terms cancel to less than a millionth of their own size,
        because rounding would decide.
        """
        shares = {}
        for to in self.states:
            for source in self.states:
                terms = self._between(to, source)
                parts = {term: sum(self._product(term, other) for other in terms) for term in terms}
                total = sum(parts.values())
                least = CANCELLED**2 * sum(self._products(terms).values())
                shares |= {term: _ratio(part, total, least) for term, part in parts.items()}
        return shares

    def _products(self, terms: Iterable[Term]) -> dict[Term, Tensor]:
        return {term: self._product(term, term) for term in terms}

    def _product(self, first: Term, second: Term) -> Float[Tensor, "T"]:
        """Return <A, B> of two terms at every step, without writing them out."""
        factors = self.factors[first] * self.factors[second]
        if first.drive is None and second.drive is None:
            return factors.sum(1)
        if first.drive is not None and second.drive is not None:
            return factors @ (self.weights[first.drive] * self.weights[second.drive]).sum(1)
        return factors @ self.weights[str(first.drive or second.drive)].diagonal()

    def table(self) -> Table:
        """Return the terms with their median norm and their median share of the derivative, over the steps."""
        norms, shares = self.norms(), self.shares()
        rows = [
            {
                "to": term.to,
                "source": term.source,
                "term": term.name,
                "formula": f"diag({term.formula or '...'})" + (f" · U.{term.drive}" if term.drive else ""),
                "norm": _median(norms[term]),
                "share": _median(shares[term]),
            }
            for term in self.factors
        ]
        return Table.of(rows, TITLES, layer=self.layer, steps=self.steps, neurons=self.neurons)

    def chained(self, to: str, source: str) -> dict[str, NDArray[np.float64]]:
        """Return d to_t / d source_{t-1} with h_{t-1} as a function of source_{t-1}, term by term, (T - 1, N, N) each.

        Textbooks write dC_t / dC_{t-1} of an LSTM in this form, as a sum of four terms: C_{t-1} acts on C_t directly,
        and through h_{t-1} = o_{t-1} tanh(C_{t-1}) on the forget gate, the input gate and the candidate. The output
        gate o_{t-1} is held fixed, so a product of these is not the whole gradient over several steps. The Jacobian of
        all states gives the whole gradient.
        """
        terms = {term.name: self.written(term, slice(1, None)) for term in self._between(to, source)}
        if source != "h" and ("h", source) in self.inside and "h" in self.states:
            slope = self.inside["h", source][:-1].unsqueeze(1)
            for term in self._between(to, "h"):
                name = term.name if term.name not in terms else f"{term.name} of h"
                terms[name] = self.written(term, slice(1, None)) * slope
        return {name: value.numpy() for name, value in terms.items()}


def exact(network: Network) -> Network:
    """Copy a network to float64, without dropout."""
    return deepcopy(network).double().eval()


def jacobians_of(network: Network, source: Recordable, layer: LayerId = "layer0") -> Jacobians:
    """Compute the Jacobians of a layer on the first sequence of a text, in float64.

    Raises:
        RecordingError, StudyError: the text is empty, or there is no such layer.
    """
    name = network.configuration.names[number_of(network.configuration, layer)]
    copy = exact(network)
    return jacobians(record(copy, source), name, weights_of(copy)[name])


def jacobians(trace: Trace, layer: str, weights: Mapping[str, NDArray[Any]], sequence: int = 0) -> Jacobians:
    """Compute the Jacobians of a layer at the values of a trace.

    Args:
        trace: a trace without interventions, and with drives if the derivatives read them (GRU and sLSTM).
        layer: the layer, such as "layer0" or "layer0_reverse".
        weights: the weights of the layer, from `gatescope.recording.weights_of`.
        sequence: the number of the sequence.

    Raises:
        TraceError: there is no such layer.
        StudyError: there is no such sequence, or the trace lacks signals that the derivatives read.
    """
    slopes, derivatives, cell = slopes_of(trace, layer, sequence)
    factors: dict[Term, Tensor] = {}
    inside: dict[tuple[str, str], Tensor] = {}
    for to in cell.states:
        for place, values in slopes[to].items():
            if place.kind == "signal" and place.label != to:
                inside[to, place.label] = values
            if place.kind == "state" or place.label.startswith("u."):
                drive = place.label.removeprefix("u.") if place.kind == "drive" else None
                source = place.label if drive is None else "h"
                factors[Term(to, source, place.name, drive, derivatives.formula(to, place))] = values
    matrices = torch.from_numpy(np.array(weights["recurrent_weights"], dtype=np.float64))
    named = dict(zip(cell.tape.recurrent_drives, matrices, strict=True))
    size = (int(trace.lengths[sequence]), int(np.shape(weights["biases"])[1]))
    return Jacobians(layer, cell.states, factors, named, inside, size)


Slopes = dict[str, dict[Place, Float[Tensor, "T N"]]]


def slopes_of(trace: Trace, layer: str, sequence: int) -> tuple[Slopes, Forward, Cell]:
    """Evaluate the forward derivatives of a layer at recorded values, in float64.

    Returns:
        output -> place in the equations -> (T, N), with steps in the order in which the layer reads; the derivatives;
        and the cell.

    Raises:
        TraceError, StudyError: see `jacobians`.
    """
    arrays = trace[layer]
    if not 0 <= sequence < len(trace.lengths):
        raise StudyError("STUDY_SEQUENCE_UNKNOWN", last=len(trace.lengths) - 1, sequence=sequence)
    cell, length = Cell.from_json(trace.attributes["layers"][layer]["cell"]), int(trace.lengths[sequence])
    derivatives = forward(cell.tape)
    missing = [key for kind, key in derivatives.reads() if kind != "parameter" and key not in arrays]
    if missing:
        raise StudyError(
            "JACOBIANS_SIGNALS_MISSING",
            layer=layer,
            cell=cell.name,
            signals=", ".join(dict.fromkeys(missing)),
        )

    def read(kind: str, label: str) -> NDArray[np.float64]:
        if kind == "parameter":
            return np.asarray(trace.parameters[layer][f"p.{label}"], np.float64)
        values = in_order(layer, np.asarray(arrays[label][sequence, :length], np.float64))
        if kind != "state":
            return values
        return np.concatenate([np.asarray(trace.initial[layer][label][sequence], np.float64)[None], values])[:length]

    shape = (length, trace.attributes["layers"][layer]["neurons"])
    slopes = {
        output: {place: torch.from_numpy(np.array(np.broadcast_to(v, shape), np.float64)) for place, v in row.items()}
        for output, row in derivatives.evaluate(read).items()
    }
    return slopes, derivatives, cell


def in_order(layer: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the steps of a sequence, (T, N), in the order in which a layer reads them; its own inverse."""
    return values[::-1] if layer.endswith("_reverse") else values


def _sums(factors: Mapping[Term, Tensor], chosen: Iterable[Term]) -> dict[tuple[str, str], Tensor]:
    sums: dict[tuple[str, str], Tensor] = {}
    for term in chosen:
        pair = (term.to, term.source)
        sums[pair] = sums[pair] + factors[term] if pair in sums else factors[term]
    return sums


def _ratio(part: Any, total: Any, least: Any) -> NDArray[np.float64]:
    known = total > least
    return torch.where(known, part / total.where(known, 1.0), torch.nan).numpy()


def _median(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else float("nan")
