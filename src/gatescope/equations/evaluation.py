"""Evaluation of a tape on arrays of torch or NumPy."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from gatescope.equations.operations import OPERATIONS
from gatescope.equations.tape import Tape

Change = Callable[[str, Any], Any]
"""(name, value) of a signal -> the value that is used instead."""


class Evaluator:
    """One step of a tape as a function of arrays.

    The operations are looked up once, so a step costs little more than its array operations.

    Args:
        tape: the equations.
        library: "torch" or "numpy". The NumPy functions are written independently of the torch ones.
        constant: turns a constant of the equations into an array of the right type and device.
    """

    def __init__(self, tape: Tape, library: Literal["torch", "numpy"], constant: Callable[[float], Any]) -> None:
        self.tape = tape
        self._leaves = [
            (index, node.kind, node.label) for index, node in enumerate(tape.nodes) if node.kind not in OPERATIONS
        ]
        self._constants = {k: constant(float(v)) for k, kind, v in self._leaves if kind == "constant"}
        self._operations = [
            (index, getattr(OPERATIONS[node.kind], library), node.arguments)
            for index, node in enumerate(tape.nodes)
            if node.kind in OPERATIONS
        ]

    def __call__(
        self,
        drives: Mapping[str, Any],
        parameters: Mapping[str, Any],
        states: Mapping[str, Any],
        change: Change | None = None,
    ) -> dict[str, Any]:
        """Return all signals of one step, by name. Operations are element by element, so arrays may have any one shape.

        Args:
            drives: "x.k" and "u.k" -> array.
            parameters: k -> array of the numbers per neuron p.k, broadcast to the other arrays.
            states: name -> array, the signals one step earlier.
            change: called with the name and value of every signal when it is computed; its result is used instead.
                If it returns recorded values, every equation is evaluated on these.
        """
        stops = self.tape.stops
        sources = {"drive": drives, "parameter": parameters, "state": states}
        values: list[Any] = [None] * len(self.tape.nodes)
        for index, kind, label in self._leaves:
            value = self._constants[index] if kind == "constant" else sources[kind][str(label)]
            values[index] = change(stops[index], value) if change and index in stops else value
        for index, function, arguments in self._operations:
            value = function(*[values[k] for k in arguments])
            values[index] = change(stops[index], value) if change and index in stops else value
        return {name: values[index] for name, index in self.tape.signals.items()}
