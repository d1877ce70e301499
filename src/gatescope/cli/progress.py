"""What a training shows while it runs: a bar with the loss, the speed and the time left, and a line per validation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from gatescope.cli.common import harmless, loss, number_loss, print_json, visible
from gatescope.runs import SAMPLES
from gatescope.training import Record

if TYPE_CHECKING:
    from gatescope.runs import Run
    from gatescope.tasks import Task

WRITTEN = 72  # characters of a sample that are shown


class Quiet:
    """Records as lines of JSON, for a script."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def __enter__(self) -> Self:
        print_json({"event": "begin", "run": str(self.run.path)})
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        pass

    def see(self, record: Record) -> None:
        """Print one record."""
        print_json(record)


UNITS = {"character": "characters", "byte": "bytes", "word": "words", "token": "tokens", "number": "steps"}


class Progress:
    """A bar in a terminal, lines elsewhere."""

    def __init__(self, run: Run, task: Task, settings: dict[str, Any]) -> None:
        self.run, self.settings = run, settings
        unit = task.vocabulary.unit
        self.unit = "symbols" if task.vocabulary.end and unit == "character" else UNITS[unit]
        self.loss = number_loss if task.readout.kind == "numbers" else loss
        self.console = Console(highlight=False, markup=False)
        self.bar = Bar(
            TextColumn("{task.fields[step]}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[loss]}", markup=False),
            TextColumn("{task.fields[speed]}", markup=False),
            TextColumn("{task.fields[left]}", markup=False),
            console=self.console,
            expand=True,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self.entry = self.bar.add_task("", total=1.0, step="starting", loss="", speed="", left="")
        self.first: tuple[int, float] | None = None
        self.last: tuple[int, float] | None = None
        self.speed = 0.0

    def __enter__(self) -> Self:
        configuration = self.run.configuration()
        sizes = " + ".join(str(layer.neurons) for layer in configuration.layers if not layer.reverse or layer.stacked)
        cells = ", ".join(dict.fromkeys(layer.cell.title for layer in configuration.layers))
        ways = " in each direction" if configuration.both_ways else ""
        symbols, names = configuration.vocabulary.symbols, configuration.readout.names
        reads = f"{len(symbols)} symbols" if configuration.vocabulary.unit != "number" else f"reads {_listed(symbols)}"
        says = f", predicts {_listed(names)}" if names else ""
        self._print(f"{harmless(str(self.run.path))}: {cells}, {sizes} neurons{ways}, {reads}{says}")
        self.bar.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.bar.__exit__(kind, error, _)

    def see(self, record: Record) -> None:
        """Show one record."""
        if "loss" in record:
            self._move(record)
        if "validation_loss" in record:
            self._tell(record)

    def _move(self, record: Record) -> None:
        step, symbols, seconds = record["step"], record["symbols"], record["seconds"]
        if self.last is not None and "validation_loss" not in record and seconds > self.last[1]:
            now = (symbols - self.last[0]) / (seconds - self.last[1])
            self.speed = 0.8 * self.speed + 0.2 * now if self.speed else now
        self.last = (symbols, seconds)
        fraction, left = self._left(step, seconds)
        steps = self.settings["steps"]
        self.bar.update(
            self.entry,
            completed=fraction,
            step=f"step {step:,}" + (f"/{steps:,}" if steps else ""),
            loss=f"loss {self.loss(record['loss'], 3)}",
            speed=f"{self.speed:,.0f} {self.unit}/s" if self.speed else "",
            left="measuring the score" if fraction >= 1 else f"{_clock(left)} left" if left is not None else "",
        )

    def _left(self, step: int, seconds: float) -> tuple[float, float | None]:
        """How much is done, from 0 to 1, and the seconds that are left at most."""
        steps, minutes = self.settings["steps"], self.settings["minutes"]
        if self.first is None:
            self.first = (step, seconds)
        done, spent = step - self.first[0], seconds - self.first[1]
        fraction, left = 0.0, []
        if steps:
            fraction = step / steps
            if done:
                left.append((steps - step) * spent / done)
        if minutes:
            fraction = max(fraction, seconds / 60 / minutes)
            left.append(minutes * 60 - seconds)
        return min(1.0, fraction), max(0.0, min(left)) if left else None

    def _tell(self, record: Record) -> None:
        line = f"step {record['step']:>6,}   validation {self.loss(record['validation_loss'])}"
        if "score" in record:
            line += f"   {record['score']['text']}"
        self._print(line)
        written = [entry for entry in self.run.read(SAMPLES)[-1:] if entry["step"] == record["step"]]
        for entry in written:
            self._print(f"              it writes  {visible(entry['text'])[:WRITTEN]}")

    def _print(self, line: str) -> None:
        if self.console.is_terminal:
            self.console.print(line, soft_wrap=True)
        else:
            print(line, flush=True)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
