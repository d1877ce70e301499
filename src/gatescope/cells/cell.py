"""A cell: equations with names, their source and initial biases.

`define` turns a function of (x, u, p, s) into a `Cell`; the built-in cells in this folder are defined in the same way
as a user's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite
from typing import Any

from gatescope.display import fields_html, table_html
from gatescope.equations import EquationError, Tape, expression, from_json, key, text, to_json, trace_function
from gatescope.equations.tape import CellFunction


@dataclass(frozen=True, repr=False)
class Cell:
    """The architecture of a layer: the equations of one step, for any number of neurons.

    Attributes:
        name: the short name, as in `--cell lstm`.
        title: the name to print.
        paper: the source of the equations.
        tape: the equations.
        titles: the long name of each signal ("forget gate").
        biases: input drive k -> initial value of b.k; 0 for all others.
        note: how the initial values were chosen, and where the cell departs from its paper.
    """

    name: str
    title: str
    paper: str
    tape: Tape
    titles: Mapping[str, str] = field(default_factory=dict)
    biases: Mapping[str, float] = field(default_factory=dict)
    note: str = ""

    def __repr__(self) -> str:
        return f"<Cell {self.name}: {', '.join(self.signals)}>"

    def _repr_html_(self) -> str:
        rows = [(name, self.title_of(name), f"{name} = {self.formula(name)}") for name in (*self.drives, *self.signals)]
        fields = {"name": self.name, "paper": self.paper} if self.paper else {"name": self.name}
        return fields_html(self.title, fields) + table_html(("signal", "title", "equation"), rows)

    @cached_property
    def key(self) -> str:
        """An identifier of the equations; see `gatescope.equations.key`."""
        return key(self.tape)

    @cached_property
    def signals(self) -> tuple[str, ...]:
        """The named signals, in the order in which the cell computes them."""
        return tuple(self.tape.signals)

    @cached_property
    def states(self) -> tuple[str, ...]:
        """The signals that the next step reads."""
        return self.tape.states

    @cached_property
    def drives(self) -> tuple[str, ...]:
        """The names of all drives, "x.k" then "u.k"."""
        return (*(f"x.{k}" for k in self.tape.input_drives), *(f"u.{k}" for k in self.tape.recurrent_drives))

    def title_of(self, signal: str) -> str:
        """Return the long name of a signal, or its short name if it has none."""
        return self.titles.get(signal, signal)

    def expression(self, signal: str) -> dict[str, Any]:
        """Return the equation of a signal as nested JSON; see `gatescope.equations.expression`."""
        return expression(self.tape, signal)

    @cached_property
    def formulas(self) -> dict[str, str]:
        """The equation of every drive and signal as one line of text."""
        return {name: self.formula(name) for name in (*self.drives, *self.signals)}

    def formula(self, name: str) -> str:
        """Return the equation of a signal or drive as one line of text, as in `f · c₋₁ + i · g`."""
        if name not in self.drives:
            return text(self.expression(name))
        source, drive = name.split(".", 1)
        return f"W.{drive} · input + b.{drive}" if source == "x" else f"U.{drive} · h₋₁"

    def to_json(self) -> dict[str, Any]:
        """Return the whole cell as JSON, including its equations."""
        return {
            "name": self.name,
            "title": self.title,
            "paper": self.paper,
            "titles": dict(self.titles),
            "biases": dict(self.biases),
            "note": self.note,
            "tape": to_json(self.tape),
        }

    @classmethod
    def from_json(cls, data: Any) -> Cell:
        """Return the cell that `to_json` wrote.

        Args:
            data: parsed JSON.

        Raises:
            EquationError: the data do not describe a cell.
        """
        if not isinstance(data, dict) or not all(isinstance(data.get(k), str) for k in ("name", "title", "paper")):
            raise EquationError("CELL_DATA_INVALID")
        titles, biases = data.get("titles", {}), data.get("biases", {})
        if not isinstance(titles, dict) or not all(isinstance(v, str) for v in titles.values()):
            raise EquationError("CELL_TITLES_INVALID", name=data["name"])
        tape = from_json(data.get("tape"), data["name"])
        if not isinstance(biases, dict) or not all(type(v) in (int, float) and isfinite(v) for v in biases.values()):
            raise EquationError("CELL_BIASES_INVALID", name=data["name"])
        _check_biases(biases, tape, data["name"])
        note = str(data.get("note", ""))
        return cls(data["name"], data["title"], data["paper"], tape, titles, biases, note)


def define(
    *,
    paper: str,
    title: str = "",
    titles: Mapping[str, str] | None = None,
    biases: Mapping[str, float] | None = None,
    note: str = "",
) -> Callable[[CellFunction], Cell]:
    """Turn a function of (x, u, p, s) that returns a dict of named signals into a cell.

    Inside the function `x.k` is W.k · input + b.k, `u.k` is U.k · h one step earlier, `p.k` is one learned number per
    neuron and `s.k` is the signal k one step earlier; using a name declares it.

    Args:
        paper: the source of the equations, or "" for your own.
        title: the name to print; the function's name if empty.
        titles: long names of signals.
        biases: initial values of b.k other than 0, such as `dict(f=1.0)`.
        note: where the cell departs from its source.

    Raises:
        EquationError: the function is not a cell (see `trace_function`), or a bias is given for an unused drive.
    """

    def decorate(function: CellFunction) -> Cell:
        name = getattr(function, "__name__", "cell")
        tape = trace_function(function)
        _check_biases(biases or {}, tape, name)
        return Cell(name, title or name, paper, tape, dict(titles or {}), dict(biases or {}), note)

    return decorate


def _check_biases(biases: Mapping[str, float], tape: Tape, name: str) -> None:
    unused = sorted(set(biases) - set(tape.input_drives))
    if unused:
        drives = ", ".join(f"x.{drive}" for drive in tape.input_drives) or "none"
        unknown = ", ".join(f"x.{drive}" for drive in unused)
        raise EquationError("CELL_BIAS_DRIVE_UNKNOWN", name=name, drives=drives, unknown=unknown)
