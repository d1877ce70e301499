"""`gatescope tasks`, `gatescope cells`, `gatescope runs`: what there is."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatescope.cli.app import LIST, command
from gatescope.cli.common import (
    RUNS,
    Flag,
    Json,
    UsageError,
    find_run,
    harmless,
    no_such,
    print_json,
    print_table,
    quoted,
)

if TYPE_CHECKING:
    from gatescope.cells import Cell


@command(LIST, "[--json]", "gatescope tasks")
def tasks(*, json: Json = False) -> None:
    """List the tasks that a network can learn, with the network that is recommended for each."""
    from gatescope.tasks import TASKS

    if json:
        print_json(
            [{"name": t.name, "title": t.title, "question": t.question, **vars(t.settings)} for t in TASKS.values()]
        )
        return
    rows = [(t.name, _neurons(t.settings.layers), t.question) for t in TASKS.values()]
    print_table(("task", "neurons", "what the network must do, and what to look for in it"), rows)
    print("\ntrain one: gatescope train counter (text alone is the Python standard library; or give files of your own)")


@command(
    LIST,
    "[CELL] [--run RUN] [--engines] [--json]",
    "gatescope cells",
    "gatescope cells lstm          # one in full",
    "gatescope cells --engines     # which engine runs each of them on this machine",
)
def cells(name: str | None = None, /, *, run: str | None = None, engines: Flag = False, json: Json = False) -> None:
    """List the cells, the architectures a layer can be made of, with their equations.

    Parameters
    ----------
    name
        Show one cell in full: equations, paper, how it starts.
    run
        The cells of this run's layers instead of the built-in ones: a directory, or the name of a run in ./runs.
    engines
        Show which engine runs each cell and, where it is not the native one, why; and what the native one uses here.
    """
    from gatescope.cells import CELLS

    known = CELLS if run is None else {one.cell.name: one.cell for one in find_run(run).configuration().layers}
    if name is not None and name not in known:
        raise no_such("cell", name, known, f"the cells are {', '.join(known)}")
    chosen = list(known.values()) if name is None else [known[name]]
    if engines:
        _show_engines(chosen, json)
    elif json:
        listed = [_cell_json(cell) for cell in chosen]
        print_json(listed if name is None else listed[0])
    elif name is None:
        print_table(
            ("cell", "", "equations"),
            [(c.name, c.title, "\n".join(f"{s} = {c.formula(s)}" for s in c.signals) + "\n") for c in chosen],
        )
        print(_legend(chosen))
        example = "lstm" if run is None else f"{chosen[0].name} --run {quoted(Path(run))}"
        print(f"one in full: gatescope cells {example}")
    else:
        _print_cell(chosen[0])


def _show_engines(chosen: list[Cell], json: bool) -> None:
    from gatescope.engine import native

    here = native.describe()
    reasons = [native.unserved_cell(cell) for cell in chosen]
    rows = [(cell.name, "plain" if why else "native", why) for cell, why in zip(chosen, reasons, strict=True)]
    if json:
        listed = [dict(zip(("name", "engine", "reason"), row, strict=True)) for row in rows]
        print_json({"native": asdict(here), "cells": listed})
        return
    print_table(("cell", "engine", "why not native"), rows)
    if here.missing:
        print(f"\n{here.missing}")
        return
    print(f"\nthe native engine uses {here.level}; it can use {', '.join(here.levels)} on this processor")
    print(f"threads: up to {here.threads} from Python (torch.set_num_threads), 1 in commands (train has --threads)")


def _cell_json(cell: Cell) -> dict[str, Any]:
    formulas = {signal: cell.formula(signal) for signal in cell.signals}
    return {
        **{k: v for k, v in cell.to_json().items() if k != "tape"},
        "formulas": formulas,
        "states": list(cell.states),
    }


def _print_cell(cell: Cell) -> None:
    print(f"{cell.title} ({cell.name})\n{cell.paper}\n")
    rows = []
    for signal in cell.signals:
        low, high = cell.tape.ranges[signal]
        bounds = f"{low:g} to {high:g}".replace("-inf", "-∞").replace("inf", "∞")
        rows.append((f"  {signal} = {cell.formula(signal)}", cell.title_of(signal), bounds))
    print_table(("  equation", "name", "range"), rows)
    print(f"\n{_legend([cell])}")
    print(f"carried to the next step: {', '.join(cell.states) or 'nothing'}; at first all are 0")
    biases = ", ".join(f"b.{key} = {value:g}" for key, value in cell.biases.items())
    print(f"biases at first: {f'{biases}, the others 0' if biases else 'all 0'}")
    if cell.note:
        print(cell.note)


def _legend(shown: list[Cell]) -> str:
    """What the letters in the formulas mean."""
    words = ["x.k = W.k · input + b.k"]
    if any(cell.tape.recurrent_drives for cell in shown):
        words.append("u.k = U.k · h₋₁")
    if any(cell.tape.parameters for cell in shown):
        words.append("p.k: one learned number per neuron")
    if any(cell.states for cell in shown):
        words.append("₋₁: one step earlier")
    return "; ".join(words)


@command(LIST, "[DIR] [--json]", "gatescope runs", "gatescope runs runs/demo --json")
def runs(folder: Path = RUNS, /, *, json: Json = False) -> None:
    """List the runs in a folder: what they learn, how far they are, and how good.

    Parameters
    ----------
    folder
        A folder of runs.
    """
    if not folder.is_dir():
        raise UsageError("LISTS_FOLDER_MAKE_RUN_GATESCOPE", folder=folder)
    from gatescope.explorer.gallery import Gallery

    found = Gallery([folder]).summaries()
    if json:
        print_json(found)
    elif not found:
        print(f"no runs in {folder}; make one with: gatescope train counter")
    else:
        print_table(
            ("run", "task", "cell", "neurons", "state", "step", "loss", "score"),
            [_run_row(summary) for summary in found],
            right=("step", "loss"),
        )
        for summary in found:
            for note in summary["notes"]:
                print(harmless(f"{summary['name']}: {note}"))


def _run_row(summary: dict[str, Any]) -> tuple[str, ...]:
    loss, score = summary["loss"], summary["score"]
    return (
        summary["name"],
        summary["task"]["name"],
        summary["cell"]["name"],
        _neurons([layer["neurons"] for layer in summary["layers"]]),
        summary["state"],
        f"{summary['step']:,}" if summary["task"]["name"] else "",
        "" if loss is None else f"{loss:.3f}",
        summary["problem"] or ("" if score is None else score["text"]),
    )


def _neurons(sizes: tuple[int, ...] | list[int]) -> str:
    return " + ".join(map(str, sizes))
