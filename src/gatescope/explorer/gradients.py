"""Where gradients go, for the page: maps over all pairs of steps, chains of factors, what a prediction hangs on.

Short texts only: every pair of steps is compared. What would take too long is estimated from fewer vectors, or looked
at over shorter distances, and the answer says so.

`T` step of the text (all its sequences, one after the other), `N` neuron, `S` state, `M` = S · N, `P` place.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from gatescope.cells import Cell
from gatescope.configuration import Configuration
from gatescope.equations import forward
from gatescope.explorer.costs import gradient_bytes, megabytes, most_steps, reading_bytes, size_of, with_network
from gatescope.explorer.memory import Memory, Reservation
from gatescope.explorer.recorder import Measured, measured, weights_stamp
from gatescope.explorer.requests import RequestError, quoted
from gatescope.network import Network
from gatescope.recording import record, weights_of
from gatescope.runs import Run
from gatescope.sources import symbols_of
from gatescope.studies.gradients.backpropagation import saliency
from gatescope.studies.gradients.growth import lyapunov
from gatescope.studies.gradients.jacobians import Jacobians, exact, jacobians
from gatescope.studies.gradients.products import ProductMap, chain, product_map, sources_of
from gatescope.studies.horizon import influence
from gatescope.trace import Trace
from gatescope.vocabulary import Ids

LONGEST = 300  # steps of a text
LARGEST_EXACT = 64  # numbers in a state
EXACT_WORK = 1e8  # squared numbers in a state · squared steps, up to which a map is exact: a few seconds
MAP_WORK = 1e11  # multiplications of an estimated map
SALIENCY_WORK = 4e9  # squared neurons · steps · places of one answer about the gradient
INFLUENCE_WORK = 2e10  # squared neurons · steps · distances of one answer about replaced characters

Key = tuple[Any, ...]
By = Literal["gradient", "change"]


@dataclass(frozen=True)
class Reading:
    """A text read by a network that computes in float64.

    Attributes:
        network: a copy, in float64.
        step: the training step of its weights.
        labels: what to print for each step.
        sequences: the ids of each sequence.
        firsts: the first step of each sequence, and T behind the last.
        trace: None where the text is empty.
        layers: what was computed of each layer, sequence by sequence; filled as it is asked for.
    """

    network: Network
    step: int
    labels: list[str]
    sequences: list[Ids]
    firsts: NDArray[np.int64]
    trace: Trace | None
    layers: dict[str, list[Jacobians]] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """T."""
        return int(self.firsts[-1])

    def jacobians(self, layer: str) -> list[Jacobians]:
        """Return the Jacobians of every sequence.

        Raises:
            RequestError: the network has no such layer.
        """
        names = self.network.configuration.names
        if layer not in names:
            raise RequestError("GRADIENTS_NETWORK", layer=quoted(layer), names=", ".join(names))
        if self.network.configuration.layers[names.index(layer)].reverse:
            raise RequestError(
                "GRADIENTS_READS_END_GRADIENTS_GO",
                status=409,
                layer=layer,
            )
        if layer not in self.layers and self.trace is not None:
            weights = weights_of(self.network)[layer]
            count = len(self.sequences)
            self.layers[layer] = [jacobians(self.trace, layer, weights, sequence) for sequence in range(count)]
        return self.layers.get(layer, [])

    def parts(self) -> Iterator[tuple[int, slice]]:
        """Each sequence's number and its steps."""
        for number, (first, end) in enumerate(zip(self.firsts[:-1], self.firsts[1:], strict=True)):
            yield number, slice(int(first), int(end))

    def place(self, step: int) -> tuple[int, int]:
        """The sequence of a step, and its step within it."""
        number = int(np.searchsorted(self.firsts, step, side="right")) - 1
        return number, step - int(self.firsts[number])


class Gradients:
    """Answers the page's questions about gradients, and keeps the last answers."""

    def __init__(self, memory: Memory | None = None) -> None:
        self._memory = memory or Memory()
        self._lock = threading.Lock()  # one at a time: each takes all cores that there are

    def gradients(self, run: Run, data: Any) -> tuple[bytes, Reservation]:
        """The map over all pairs of steps, in the layout that docs/explorer.md describes.

        Raises:
            RequestError: a field is missing, unknown or of the wrong kind; the text is too long.
            GatescopeError: the run cannot be read, or its layer carries no state.
        """
        asked = _fields(data, {"text": str, "layer": str}, "a map")
        layer = asked["layer"]
        return self._answer(run, asked, lambda reading: ("map", layer), lambda reading: _map(reading, layer))

    def connections(self, run: Run, data: Any) -> tuple[bytes, Reservation]:
        """What the predictions of some steps around one hang on, in the layout that docs/explorer.md describes.

        Raises:
            RequestError: a field is missing, unknown or of the wrong kind; there is no such step.
            GatescopeError: the run cannot be read, or its network does not predict at every step.
        """
        asked = _fields(data, {"text": str, "by": str, "step": int}, "connections")
        if asked["by"] not in ("gradient", "change"):
            raise RequestError("GRADIENTS_REQUEST_GRADIENT_CHANGE_GIVEN", asked=quoted(asked["by"]))

        def about(reading: Reading) -> Key:
            _check_step(reading, asked["step"])
            return ("change",) if asked["by"] == "change" else ("gradient", asked["step"] // _block(reading))

        def make(reading: Reading) -> bytes:
            if asked["by"] == "change":
                return _changes(reading)
            size = _block(reading)
            return _saliency(reading, asked["step"] // size * size, size)

        return self._answer(run, asked, about, make)

    def chain(self, run: Run, data: Any) -> dict[str, Any]:
        """The factors of one neuron from a step to a later one, as JSON values.

        Raises:
            RequestError: a field is missing, unknown or of the wrong kind; the steps belong to different sequences.
            GatescopeError: the run cannot be read, or there is no such state, neuron or step.
        """
        kinds = {"text": str, "layer": str, "state": str, "neuron": int, "after": int, "before": int}
        asked = _fields(data, kinds, "a chain")
        with self._reading(run, asked) as (_, reading), self._lock:
            return _chain(reading, **{name: asked[name] for name in kinds if name != "text"})

    def _answer(
        self, run: Run, asked: dict[str, Any], about: Callable[[Reading], Key], make: Callable[[Reading], bytes]
    ) -> tuple[bytes, Reservation]:
        """The answer that `about` names, made if it is not cached, and the memory that it takes until it is sent."""
        configuration = run.configuration()
        text = _short(configuration, measured(self._memory, configuration, asked["text"]))
        reserved = self._reserve(configuration, text)
        try:
            with self._lock:
                key, reading = self._read(run, asked, text)
                name = (*about(reading), *key)
                body: bytes | None = self._memory.cached(name)
                if body is None:
                    body = make(reading)
                    self._memory.keep(name, body, len(body))
        except BaseException:
            reserved.release()
            raise
        reserved.shrink(len(body))
        return body, reserved

    @contextmanager
    def _reading(self, run: Run, asked: dict[str, Any]) -> Iterator[tuple[Key, Reading]]:
        configuration = run.configuration()
        text = _short(configuration, measured(self._memory, configuration, asked["text"]))
        with self._reserve(configuration, text):
            with self._lock:
                found = self._read(run, asked, text)
            yield found

    def _reserve(self, configuration: Configuration, text: Measured) -> Reservation:
        """Reserve what any answer about a text takes. Raises: RequestError: it takes too much."""
        limit = self._memory.working_bytes
        needed = with_network(configuration, gradient_bytes(configuration, len(text.lengths), text.longest))
        unit = configuration.vocabulary.unit
        possible = most_steps(
            lambda steps: with_network(configuration, gradient_bytes(configuration, 1, steps)), limit, LONGEST
        )
        advice = (
            f"At most {possible:,} {unit}s in one sequence are possible with this network. Use a part of the text."
            if possible
            else "This network is too large for this page. Use `gatescope gradients`."
        )
        return self._memory.reserve(
            needed,
            f"The gradients of {len(text.labels):,} {unit}s with {size_of(configuration)} take {megabytes(needed)}; "
            f"the page may take {megabytes(limit)}. {advice}",
        )

    def _read(self, run: Run, asked: dict[str, Any], text: Measured) -> tuple[Key, Reading]:
        checkpoint = asked["checkpoint"]
        stamp = weights_stamp(run) if checkpoint is None else None
        key = ("reading", run.path.resolve(), checkpoint, stamp, asked["text"])
        reading: Reading | None = self._memory.cached(key)
        if reading is None:
            network, step = run.network(checkpoint)
            reading = _reading(network, step, asked["text"], text.labels)
            size = reading_bytes(network.configuration, len(text.lengths), text.longest)
            self._memory.keep(key, reading, size)
        return key, reading


def _fields(data: Any, kinds: dict[str, type], what: str) -> dict[str, Any]:
    """The fields of a request, all of which must be there; `checkpoint` may be null or missing.

    Raises:
        RequestError: they are not, or there are others.
    """
    if not isinstance(data, dict):
        raise RequestError("GRADIENTS_REQUEST_JSON_OBJECT", what=what, kinds=", ".join(kinds))
    unknown = set(data) - {*kinds, "checkpoint"}
    if unknown:
        raise RequestError("GRADIENTS_REQUEST_FIELD", what=what, map=", ".join(map(quoted, sorted(unknown)[:9])))
    for name, kind in kinds.items():
        if type(data.get(name)) is not kind:
            given = quoted(data.get(name))
            raise RequestError("GRADIENTS_REQUEST_GIVEN", name=name, what=what, name2=kind.__name__, given=given)
    checkpoint = data.get("checkpoint")
    if checkpoint is not None and type(checkpoint) is not int:
        raise RequestError("GRADIENTS_CHECKPOINT_REQUEST_STEP_CHECKPOINT")
    return {**data, "checkpoint": checkpoint}


def _short(configuration: Configuration, text: Measured) -> Measured:
    """A text of which every pair of steps can be compared.

    Raises:
        RequestError: it is longer, or the network reads numbers.
    """
    unit = configuration.vocabulary.unit
    if unit == "number":
        raise RequestError("GRADIENTS_NETWORK_READS_NUMBERS_PAGE", status=409)
    if len(text.labels) > LONGEST:
        raise RequestError(
            "GRADIENTS_TEXT_EVERY_PAIR_COMPARED",
            status=413,
            count=len(text.labels),
            unit=unit,
            longest=LONGEST,
        )
    return text


def _reading(network: Network, step: int, text: str, labels: list[str]) -> Reading:
    copy = exact(network)
    sequences = symbols_of(copy, text) if labels else []
    firsts = np.cumsum([0, *map(len, sequences)], dtype=np.int64)
    return Reading(copy, step, labels, sequences, firsts, record(copy, text) if labels else None)


def _check_step(reading: Reading, step: int) -> None:
    if not 0 <= step < reading.steps:
        raise RequestError("GRADIENTS_TEXT_STEP_COUNTED", step=step, steps=reading.steps)


def effort(states: int, neurons: int, steps: int) -> tuple[int | None, int]:
    """How a map is computed so that it takes seconds: with how many vectors (None: exactly), and how far apart."""
    width = states * neurons
    if width <= LARGEST_EXACT:
        return (None if (width * steps) ** 2 <= EXACT_WORK else min(8, width)), steps
    one = states * neurons**2 * steps  # multiplications for one vector and one step of distance
    if one * 4 * steps / 2 <= MAP_WORK:
        return 4, steps
    return 2, steps if one * 2 * steps / 2 <= MAP_WORK else max(8, int(MAP_WORK / (one * 2)))


def _map(reading: Reading, layer: str) -> bytes:
    """All arrays that the page draws of a layer."""
    found = reading.jacobians(layer)
    steps = reading.steps
    if not found:
        return save({"norm": np.empty((0, 0), np.float32)}, _about(reading, layer=layer, states=[], terms=[]))
    states = found[0].states
    sources_of(found[0], None)
    longest = max(each.steps for each in found)
    vectors, furthest = effort(len(states), found[0].neurons, longest)
    names = ["norm", "largest", "bypass", "rest", *(f"norm.{state}" for state in states)]
    arrays: dict[str, NDArray[Any]] = {name: np.full((steps, steps), np.nan, np.float32) for name in names}
    terms = list(found[0].shares())
    shares = np.full((len(terms), steps), np.nan, np.float32)
    estimated = False
    for number, part in reading.parts():
        one: ProductMap = product_map(found[number], vectors=vectors, furthest=furthest)
        estimated |= not one.exact
        for name in ("norm", "largest", "bypass", "rest"):
            arrays[name][part, part] = getattr(one, name)
        for state in states:
            arrays[f"norm.{state}"][part, part] = one.by_state[state]
        for row, share in enumerate(found[number].shares().values()):
            shares[row, part] = share
    arrays["shares"] = shares
    start = np.zeros(steps, np.uint8)
    start[reading.firsts[:-1]] = 1
    arrays["start"] = start
    main = max(found, key=lambda each: each.steps)
    said = {
        "layer": layer,
        "states": list(states),
        "neurons": main.neurons,
        "exact": not estimated,
        "vectors": vectors,
        "furthest": furthest if furthest < longest else None,
        "exponent": float(lyapunov(main, 1)[0]) if main.steps > 1 else None,
        "terms": [
            {
                "to": term.to,
                "source": term.source,
                "name": term.name,
                "direct": term.direct,
                "formula": f"diag({term.formula or '…'})" + (f" · U.{term.drive}" if term.drive else ""),
            }
            for term in terms
        ],
    }
    return save(arrays, _about(reading, **said))


def _about(reading: Reading, **more: Any) -> dict[str, str]:
    """Return the metadata beside the arrays, as JSON values."""
    said = {"labels": reading.labels, "step": reading.step, **more}
    return {name: json.dumps(_finite(value)) for name, value in said.items()}


def _finite(value: Any) -> Any:
    """A number that JSON can write, or null."""
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _block(reading: Reading) -> int:
    """For how many places one answer about the gradient is computed at once: all of a small network."""
    squared = sum(layer.neurons**2 for layer in reading.network.configuration.layers)
    size = SALIENCY_WORK / (squared * reading.steps)
    return reading.steps if size >= reading.steps else max(4, int(2 ** np.floor(np.log2(max(size, 1.0)))))


def _saliency(reading: Reading, first: int, size: int) -> bytes:
    """|d loss_t / d input_s| for the t of one block, (P, T), and the losses."""
    last = min(first + size, reading.steps) - 1
    found = np.full((last + 1 - first, reading.steps), np.nan, np.float32)
    losses = np.full(last + 1 - first, np.nan, np.float32)
    for number, part in reading.parts():
        told = _told(reading, number)
        places = [t for t in range(max(first, part.start), min(last + 1, part.stop)) if told[t - part.start]]
        if not places:
            continue
        within = saliency(reading.network, reading.sequences[number], [t - part.start for t in places])
        for row, t in enumerate(places):
            distances = t - part.start + 1
            found[t - first, part.start : t + 1] = within.inputs[row, :distances][::-1]
            losses[t - first] = within.losses[row]
    about = _about(reading, by="gradient", first=first, furthest=reading.steps)
    return save({"connections": found, "loss": losses}, about)


def _told(reading: Reading, number: int) -> NDArray[np.bool_]:
    """At which steps of a sequence a symbol came that the network can predict."""
    assert reading.trace is not None  # there is a sequence
    values = np.asarray(reading.trace.steps["log_probability"][number])[: len(reading.sequences[number])]
    return ~np.isnan(values)


def _changes(reading: Reading) -> bytes:
    """Return the change of the loss after t (nats) when the character at s is replaced, (T, T), and the losses."""
    if reading.network.configuration.both_ways:
        raise RequestError(
            "GRADIENTS_NETWORK_ALSO_READS_END",
            status=409,
        )
    steps = reading.steps
    found = np.full((steps, steps), np.nan, np.float32)
    losses = np.full(steps, np.nan, np.float32)
    squared = sum(layer.neurons**2 for layer in reading.network.configuration.layers)
    furthest = max(8, min(steps, int(INFLUENCE_WORK / (squared * steps))))
    for number, part in reading.parts():
        within = influence(reading.network, reading.sequences[number], furthest=furthest).divergence
        for place, row in enumerate(within):
            reached = row[~np.isnan(row)]
            at = part.start + place
            found[at : at + len(reached), at] = reached
        assert reading.trace is not None  # there is a sequence
        losses[part] = -np.asarray(reading.trace.steps["log_probability"][number])[: part.stop - part.start]
    about = _about(reading, by="change", first=0, furthest=furthest)
    return save({"connections": found, "loss": losses}, about)


def _chain(reading: Reading, *, layer: str, state: str, neuron: int, after: int, before: int) -> dict[str, Any]:
    """`products.chain` with the formula of the direct factor, what it reads, and the derivative through every way."""
    found = reading.jacobians(layer)
    _check_step(reading, after)
    _check_step(reading, before)
    (number, to), (other, since) = reading.place(after), reading.place(before)
    if number != other:
        raise RequestError("GRADIENTS_STEPS_LIE_DIFFERENT_SEQUENCES", before=before, after=after)
    assert reading.trace is not None  # there is a step
    steps = chain(found[number], state, neuron, to, since).to_json()
    columns = {**steps["columns"], "step": [step + int(reading.firsts[number]) for step in steps["columns"]["step"]]}
    cell = Cell.from_json(reading.trace.attributes["layers"][layer]["cell"])
    derivatives = forward(cell.tape)
    direct = [
        {"formula": derivatives.formula(state, place), "expression": derivatives.expression(state, place)}
        for place in derivatives.slopes[state]
        if place.direct and place.label == state
    ]
    read = {leaf for one in direct for leaf in _leaves(one["expression"])}
    values = {
        f"{kind} {label}": _values(reading.trace, layer, number, kind, label, neuron)[since + 1 : to + 1].tolist()
        for kind, label in sorted(read)
    }
    formulas = {term.name: term.formula for term in found[number].terms if term.to == state and term.drive}
    return {
        "columns": {**columns, "whole": _whole(found[number], state, neuron, to, since)},
        "titles": steps["titles"],
        "direct": direct,
        "values": values,
        "through": formulas,
        "about": {"layer": layer, "state": state, "neuron": neuron, "after": after, "before": before},
    }


def _leaves(expression: Any) -> Iterator[tuple[str, str]]:
    if "operation" in expression:
        for argument in expression["arguments"]:
            yield from _leaves(argument)
    elif "constant" not in expression:
        yield from expression.items()


def _values(trace: Trace, layer: str, sequence: int, kind: str, label: str, neuron: int) -> NDArray[np.float64]:
    """What a leaf of a formula was at every step of a sequence, (T,)."""
    length = int(trace.lengths[sequence])
    if kind == "parameter":
        return np.full(length, float(trace.parameters[layer][label][neuron]))
    here = np.asarray(trace[layer][label][sequence, :length, neuron], np.float64)
    if kind != "state":
        return here
    return np.concatenate([[float(trace.initial[layer][label][sequence][neuron])], here])[:length]


def _whole(found: Jacobians, state: str, neuron: int, after: int, before: int) -> list[float | None]:
    """The derivative of the neuron's state at every step by the same at the first one, through every way there is."""
    now = next(iter(found.factors.values())).new_zeros(len(found.states), 1, found.neurons)
    row = found.states.index(state)
    now[row, 0, neuron] = 1.0
    values = []
    for step in range(before + 1, after + 1):
        now = found.forwards(step, now)
        values.append(_finite(float(now[row, 0, neuron])))
    return values
