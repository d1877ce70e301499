"""`gatescope cells`: list the cells with their equations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from gatescope.cli.app import LIST_GROUP, command
from gatescope.cli.options import Flag, Json
from gatescope.cli.output import (
    localized,
    localized_title,
    phrase,
    print_json,
    print_message,
    print_table,
    shell_quoted,
)
from gatescope.cli.subject import find_run
from gatescope.cli.usage import unknown_name

if TYPE_CHECKING:
    from gatescope.cells import Cell


@command(LIST_GROUP)
def cells(
    name: Annotated[str | None, Parameter(name="CELL")] = None,
    /,
    *,
    run: str | None = None,
    engines: Flag = False,
    json: Json = False,
) -> None:
    """List the cells, which are the architectures of a layer, with their equations."""
    from gatescope.cells import CELLS

    known = CELLS if run is None else {layer.cell.name: layer.cell for layer in find_run(run).configuration().layers}
    if name is not None and name not in known:
        raise unknown_name("Cell", name, known)
    chosen = list(known.values()) if name is None else [known[name]]
    if engines:
        _print_engines(chosen, json)
    elif json:
        listed = [_cell_json(cell) for cell in chosen]
        print_json(listed if name is None else listed[0])
    elif name is None:
        _print_list(chosen)
        example = "lstm" if run is None else f"{chosen[0].name} --run {shell_quoted(Path(run))}"
        print_message("CELLS_ONE_IN_FULL", example=example)
    else:
        _print_cell(chosen[0])


def _print_list(cells: Sequence[Cell]) -> None:
    rows = []
    for cell in cells:
        equations = "\n".join(f"{signal} = {cell.formula(signal)}" for signal in cell.signals)
        rows.append((cell.name, _title(cell), f"{equations}\n"))
    print_table(("cell", "", "equations"), rows)
    print(_legend(cells))


def _print_engines(cells: Sequence[Cell], json: bool) -> None:
    from gatescope.engine import native

    engine = native.describe()
    reasons = [native.unserved_cell(cell) for cell in cells]
    rows = [(cell.name, "plain" if reason else "native", reason) for cell, reason in zip(cells, reasons, strict=True)]
    if json:
        listed = [dict(zip(("name", "engine", "reason"), row, strict=True)) for row in rows]
        print_json({"native": asdict(engine), "cells": listed})
        return
    print_table(("cell", "engine", "why not native"), rows)
    if engine.missing:
        print(f"\n{localized(engine.missing)}")
        return
    print()
    print_message("CELLS_ENGINE", level=engine.level, levels=", ".join(engine.levels), threads=engine.threads)


def _cell_json(cell: Cell) -> dict[str, Any]:
    return {
        **{key: value for key, value in cell.to_json().items() if key != "tape"},
        "formulas": {signal: cell.formula(signal) for signal in cell.signals},
        "states": list(cell.states),
    }


def _print_cell(cell: Cell) -> None:
    print(f"{_title(cell)} ({cell.name})\n{cell.paper}\n")
    rows = []
    for signal in cell.signals:
        low, high = cell.tape.ranges[signal]
        bounds = phrase("RANGE", first=f"{low:g}", last=f"{high:g}").replace("-", "−").replace("inf", "∞")
        rows.append((f"  {signal} = {cell.formula(signal)}", localized_title("signal", cell.title_of(signal)), bounds))
    print_table(("  equation", "name", "range"), rows)
    print(f"\n{_legend([cell])}")
    if cell.states:
        print_message("CELLS_STATES", states=", ".join(cell.states))
    else:
        print_message("CELLS_NO_STATES")
    biases = ", ".join(f"b.{key} = {value:g}" for key, value in cell.biases.items())
    if biases:
        print_message("CELLS_BIASES", biases=biases)
    else:
        print_message("CELLS_BIASES_ZERO")
    if cell.note:
        print(localized_title("cell_note", cell.name, cell.note))


def _title(cell: Cell) -> str:
    return localized_title("cell", cell.name, cell.title)


def _legend(cells: Sequence[Cell]) -> str:
    """Explain the letters in the formulas."""
    terms = [phrase("CELLS_INPUT_DRIVE")]
    if any(cell.tape.recurrent_drives for cell in cells):
        terms.append("u.k = U.k · h₋₁")
    if any(cell.tape.parameters for cell in cells):
        terms.append(phrase("CELLS_PARAMETER"))
    if any(cell.states for cell in cells):
        terms.append(phrase("CELLS_STEP_EARLIER"))
    return "; ".join(terms)
