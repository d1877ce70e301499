"""What does each state say of the states one step earlier, and through which part of the equations?

The exact Jacobian of a layer's step, at the values that were recorded, as the sum of its terms: one for every place
where an earlier state enters the equations (see `gatescope.equations.forward_derivatives`). `whole` and `matrix` write
it out; `forwards` and `backwards` multiply with it without doing so.

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
from gatescope.studies.common.layers import Given, number_of
from gatescope.studies.common.table import StudyError, Table
from gatescope.trace import Trace

TITLES = {
    "to": "state",
    "source": "state one step earlier",
    "term": "how it enters",
    "formula": "the factors of the term",
    "norm": "Frobenius norm, median over steps",
    "share": "share of the derivative, median over steps",
}

CANCELLED = 1e-6  # of the size of the terms: a derivative that is smaller is what rounding left of them


@dataclass(frozen=True)
class Term:
    """One part of the derivative of a state by a state one step earlier.

    Attributes:
        to: the state.
        source: the state one step earlier.
        name: how that one enters: "direct", "peephole f", or a recurrent drive, "u.f".
        drive: the k of u.k; None for a term that is diagonal.
        formula: of the factors: the term is diag(factors), or diag(factors) · U_k.
    """

    to: str
    source: str
    name: str
    drive: str | None
    formula: str

    @property
    def direct(self) -> bool:
        """Whether the state enters its own equation, without passing a drive or a gate's peephole."""
        return self.drive is None and self.name.split(" ")[0] == "direct"


@dataclass(frozen=True)
class Jacobians:
    """The Jacobians of the steps of one layer on one sequence.

    Vectors are tensors (S, ..., N): a part for each state, in the order of `states`. The Jacobian of step t is of the
    states after it by the states before it, so the first one is by the initial state. Steps are in the order in which
    the layer reads: of one that reads from the end, step 0 is the last of the sequence.

    Attributes:
        layer: "layer0".
        states: what is carried from step to step.
        factors: term -> its diagonal at every step, (T, N).
        weights: k -> U_k, (N, N).
        inside: (state, other state) -> the derivative of the first by the second within the step that computes both,
            (T, N): o · (1 - tanh²(c)) for h and c of an LSTM. A pair that is not there has none.
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
        """T."""
        return self.size[0]

    @property
    def neurons(self) -> int:
        """N."""
        return self.size[1]

    @property
    def width(self) -> int:
        """M: all numbers of the state."""
        return len(self.states) * self.neurons

    @property
    def terms(self) -> tuple[Term, ...]:
        """All terms."""
        return tuple(self.factors)

    def to(self, dtype: torch.dtype) -> Jacobians:
        """The same in another precision."""
        moved = [{k: v.to(dtype) for k, v in each.items()} for each in (self.factors, self.weights, self.inside)]
        return replace(self, factors=moved[0], weights=moved[1], inside=moved[2])

    def term(self, to: str, source: str, name: str) -> Term:
        """The term of these names.

        Raises:
            StudyError: there is none.
        """
        for term in self.factors:
            if (term.to, term.source, term.name) == (to, source, name):
                return term
        named = ", ".join(f"{t.name} (from {t.source} to {t.to})" for t in self.factors) or "none at all"
        raise StudyError("JACOBIANS_TERM_UNKNOWN", layer=self.layer, terms=named, term=name, source=source, to=to)

    def written(self, term: Term, step: int | slice = slice(None)) -> Float[Tensor, "*T N N"]:
        """A term as a matrix, at one step or several."""
        factors = self.factors[term][step]
        return torch.diag_embed(factors) if term.drive is None else factors.unsqueeze(-1) * self.weights[term.drive]

    def matrix(self, to: str, source: str, name: str | None = None) -> NDArray[np.float64]:
        """The derivative of one state by another one a step earlier, (T, N, N): one term of it, or their sum.

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
        """The derivative of all states by all states a step earlier, (T, M, M), state after state."""
        rows = [np.concatenate([self.matrix(to, source) for source in self.states], 2) for to in self.states]
        return np.concatenate(rows, 1) if rows else np.zeros((self.steps, 0, 0))

    @cached_property
    def diagonals(self) -> dict[tuple[str, str], Float[Tensor, "T N"]]:
        """Per (state, earlier state), the sum of all terms that are diagonal."""
        return _sums(self.factors, [term for term in self.factors if term.drive is None])

    @cached_property
    def bypass(self) -> dict[tuple[str, str], Float[Tensor, "T N"]]:
        """The same of the direct terms alone: the way around all drives and gates."""
        return _sums(self.factors, [term for term in self.factors if term.direct])

    def dense(self, step: int) -> Float[Tensor, "M N"]:
        """The terms through the drives at one step, as one matrix by h: state after state."""
        like = next(iter(self.weights.values()))
        rows = like.new_zeros(len(self.states), self.neurons, self.neurons)
        for term, factors in self.factors.items():
            if term.drive is not None:
                rows[self.states.index(term.to)].addcmul_(factors[step].unsqueeze(1), self.weights[term.drive])
        return rows.flatten(0, 1)

    def forwards(
        self, step: int, vectors: Float[Tensor, "S *K N"], out: Float[Tensor, "S *K N"] | None = None
    ) -> Float[Tensor, "S *K N"]:
        """The Jacobian of a step times vectors: what small changes before it become. `out` must be other memory."""
        found = torch.empty_like(vectors) if out is None else out
        if self.weights:
            heard = vectors[self.states.index("h")].reshape(-1, self.neurons)
            for part, matrix in zip(found, self.dense(step).split(self.neurons), strict=True):
                torch.mm(heard, matrix.t(), out=part.view(-1, self.neurons))
        else:
            found.zero_()
        for (to, source), factors in self.diagonals.items():
            found[self.states.index(to)].addcmul_(factors[step], vectors[self.states.index(source)])
        return found

    def backwards(self, step: int, vectors: Float[Tensor, "S *K N"]) -> Float[Tensor, "S *K N"]:
        """The transposed Jacobian of a step times vectors: what gradients after it are before it."""
        found = torch.zeros_like(vectors)
        for (to, source), factors in self.diagonals.items():
            found[self.states.index(source)] += factors[step] * vectors[self.states.index(to)]
        if self.weights:
            found[self.states.index("h")] += torch.cat(list(vectors), -1) @ self.dense(step)
        return found

    def norms(self) -> dict[Term, NDArray[np.float64]]:
        """The Frobenius norm of every term at every step, (T,)."""
        return {term: values.clamp(min=0).sqrt().numpy() for term, values in self._products(self.factors).items()}

    def shares(self) -> dict[Term, NDArray[np.float64]]:
        """How much of the derivative of one state by another each term makes up, (T,).

        The share of a term A of a Jacobian J is <A, J> / <J, J>, where <A, B> sums the products of all entries: the
        shares of all terms of a pair of states sum to 1 at every step, and a term that works against the others has
        a negative share. NaN where J is 0, and where its terms cancel to less than a millionth of their own size, so
        that rounding would decide.
        """
        found = {}
        for to in self.states:
            for source in self.states:
                terms = self._between(to, source)
                parts = {one: sum(self._product(one, other) for other in terms) for one in terms}
                total = sum(parts.values())
                least = CANCELLED**2 * sum(self._products(terms).values())
                found |= {term: _ratio(part, total, least) for term, part in parts.items()}
        return found

    def _products(self, terms: Iterable[Term]) -> dict[Term, Tensor]:
        return {term: self._product(term, term) for term in terms}

    def _product(self, one: Term, other: Term) -> Float[Tensor, "T"]:
        """<A, B> of two terms at every step, without writing them out."""
        factors = self.factors[one] * self.factors[other]
        if one.drive is None and other.drive is None:
            return factors.sum(1)
        if one.drive is not None and other.drive is not None:
            return factors @ (self.weights[one.drive] * self.weights[other.drive]).sum(1)
        return factors @ self.weights[str(one.drive or other.drive)].diagonal()

    def table(self) -> Table:
        """The terms: median norm over the steps, and median share of the derivative that they are part of."""
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
        """d to_t / d source_{t-1} where h_{t-1} is what source_{t-1} made it, term by term, each (T - 1, N, N).

        This is how texts write dC_t / dC_{t-1} of an LSTM as a sum of four terms: C_{t-1} acts on C_t directly, and
        through h_{t-1} = o_{t-1} tanh(C_{t-1}) on the forget gate, the input gate and the candidate. The output
        gate o_{t-1} is held, so a product of these is not yet the whole gradient over several steps: that is
        what the Jacobian of all states is for.
        """
        found = {term.name: self.written(term, slice(1, None)) for term in self._between(to, source)}
        if source != "h" and ("h", source) in self.inside and "h" in self.states:
            turned = self.inside["h", source][:-1].unsqueeze(1)
            for term in self._between(to, "h"):
                name = term.name if term.name not in found else f"{term.name} of h"
                found[name] = self.written(term, slice(1, None)) * turned
        return {name: value.numpy() for name, value in found.items()}


def exact(network: Network) -> Network:
    """A copy of a network that computes in float64, without dropout."""
    return deepcopy(network).double().eval()


def jacobians_of(network: Network, source: Recordable, layer: Given = "layer0") -> Jacobians:
    """The Jacobians of a layer on the first sequence of a text, computed in float64.

    Raises:
        RecordingError, StudyError: there is nothing to record, or no such layer.
    """
    name = network.configuration.names[number_of(network.configuration, layer)]
    copy = exact(network)
    return jacobians(record(copy, source), name, weights_of(copy)[name])


def jacobians(trace: Trace, layer: str, weights: Mapping[str, NDArray[Any]], sequence: int = 0) -> Jacobians:
    """The Jacobians of a layer at the values of a trace.

    Args:
        trace: without interventions, and with the drives where the derivatives read them (GRU and sLSTM).
        layer: "layer0", or "layer0_reverse".
        weights: of this layer, as `gatescope.recording.weights_of` gives them.
        sequence: which one.

    Raises:
        TraceError: there is no such layer.
        StudyError: there is no such sequence, or the trace lacks something that the derivatives read.
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
    """The forward derivatives of a layer at recorded values, in float64: output -> place -> (T, N); and of what.

    Steps are in the order in which the layer reads.

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
        here = in_order(layer, np.asarray(arrays[label][sequence, :length], np.float64))
        if kind != "state":
            return here
        return np.concatenate([np.asarray(trace.initial[layer][label][sequence], np.float64)[None], here])[:length]

    shape = (length, trace.attributes["layers"][layer]["neurons"])
    slopes = {
        output: {place: torch.from_numpy(np.array(np.broadcast_to(v, shape), np.float64)) for place, v in found.items()}
        for output, found in derivatives.evaluate(read).items()
    }
    return slopes, derivatives, cell


def in_order(layer: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The steps of a sequence, (T, N), in the order in which a layer reads them; and back."""
    return values[::-1] if layer.endswith("_reverse") else values


def _sums(factors: Mapping[Term, Tensor], chosen: Iterable[Term]) -> dict[tuple[str, str], Tensor]:
    found: dict[tuple[str, str], Tensor] = {}
    for term in chosen:
        pair = (term.to, term.source)
        found[pair] = found[pair] + factors[term] if pair in found else factors[term]
    return found


def _ratio(part: Any, total: Any, least: Any) -> NDArray[np.float64]:
    known = total > least
    return torch.where(known, part / total.where(known, 1.0), torch.nan).numpy()


def _median(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else float("nan")
