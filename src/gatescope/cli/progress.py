"""The display of a training: a progress bar, or lines of JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from gatescope.cli.output import format_loss, format_number_loss, harmless, localized, phrase, print_json, visible
from gatescope.messages import Message
from gatescope.runs import SAMPLES
from gatescope.training import Record

if TYPE_CHECKING:
    from gatescope.runs import Run
    from gatescope.tasks import Task

SAMPLE_CHARACTERS = 72  # of a sample in a line
SHOWN_NAMES = 4
SPEED_DECAY = 0.8  # of the running average of the speed
UNIT_NOUNS = {"character": "characters", "byte": "bytes", "word": "words", "token": "tokens", "number": "steps"}


class JsonRecords:
    """A display that prints every record as a line of JSON."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def __enter__(self) -> Self:
        print_json({"event": "begin", "run": str(self.run.path)})
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        pass

    def show(self, record: Record) -> None:
        """Print one record."""
        print_json(record)


class TrainingProgress:
    """A progress bar on a terminal, with a line for each validation. A pipe gets the lines alone.

    Args:
        run: the run.
        task: its task.
        settings: settings of the training.
    """

    def __init__(self, run: Run, task: Task, settings: dict[str, Any]) -> None:
        self.run, self.settings = run, settings
        unit = task.vocabulary.unit
        self.unit = "symbols" if task.vocabulary.end and unit == "character" else UNIT_NOUNS[unit]
        self.format_loss = format_number_loss if task.readout.kind == "numbers" else format_loss
        self.console = Console(highlight=False, markup=False)
        self.bar = Progress(
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
        self.entry = self.bar.add_task("", total=1.0, step=phrase("TRAIN_LIVE_STARTING"), loss="", speed="", left="")
        self.first: tuple[int, float] | None = None  # step and seconds of the first record
        self.last: tuple[int, float] | None = None  # symbols and seconds of the last record
        self.speed = 0.0

    def __enter__(self) -> Self:
        configuration = self.run.configuration()
        sizes = " + ".join(str(layer.neurons) for layer in configuration.layers if not layer.reverse or layer.stacked)
        cells = ", ".join(dict.fromkeys(layer.cell.title for layer in configuration.layers))
        directions = " in each direction" if configuration.both_ways else ""
        symbols, names = configuration.vocabulary.symbols, configuration.readout.names
        is_numeric = configuration.vocabulary.unit == "number"
        inputs = f"reads {_listed(symbols)}" if is_numeric else f"{len(symbols)} symbols"
        outputs = f", predicts {_listed(names)}" if names else ""
        path = str(self.run.path)
        self._print_line(harmless(f"{path}: {cells}, {sizes} neurons{directions}, {inputs}{outputs}"))
        self.bar.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.bar.__exit__(kind, error, _)

    def show(self, record: Record) -> None:
        """Show one record."""
        if "loss" in record:
            self._move_bar(record)
        if "validation_loss" in record:
            self._print_validation(record)

    def _move_bar(self, record: Record) -> None:
        step, symbols, seconds = record["step"], record["symbols"], record["seconds"]
        if self.last is not None and "validation_loss" not in record and seconds > self.last[1]:
            speed = (symbols - self.last[0]) / (seconds - self.last[1])
            self.speed = SPEED_DECAY * self.speed + (1 - SPEED_DECAY) * speed if self.speed else speed
        self.last = (symbols, seconds)
        fraction, seconds_left = self._fraction_and_rest(step, seconds)
        steps = self.settings["steps"]
        left = "" if seconds_left is None else phrase("TRAIN_LIVE_LEFT", time=_format_clock(seconds_left))
        self.bar.update(
            self.entry,
            completed=fraction,
            step=phrase("TRAIN_LIVE_STEP", step=f"{step:,}/{steps:,}" if steps else f"{step:,}"),
            loss=phrase("TRAIN_LIVE_LOSS", loss=self.format_loss(record["loss"], 3)),
            speed=f"{self.speed:,.0f} {self.unit}/s" if self.speed else "",
            left=phrase("TRAIN_LIVE_SCORING") if fraction >= 1 else left,
        )

    def _fraction_and_rest(self, step: int, seconds: float) -> tuple[float, float | None]:
        """Return the completed fraction of the training, and the remaining seconds if they are known."""
        steps, minutes = self.settings["steps"], self.settings["minutes"]
        if self.first is None:
            self.first = (step, seconds)
        steps_done, seconds_spent = step - self.first[0], seconds - self.first[1]
        fraction, rests = 0.0, []
        if steps:
            fraction = step / steps
            if steps_done:
                rests.append((steps - step) * seconds_spent / steps_done)
        if minutes:
            fraction = max(fraction, seconds / 60 / minutes)
            rests.append(minutes * 60 - seconds)
        return min(1.0, fraction), max(0.0, min(rests)) if rests else None

    def _print_validation(self, record: Record) -> None:
        loss = self.format_loss(record["validation_loss"])
        line = phrase("TRAIN_LIVE_VALIDATION", step=f"{record['step']:>6,}", loss=loss)
        if "score" in record:
            message = Message.from_json(record["score"].get("message"))
            line += f"   {localized(message or record['score']['text'])}"
        self._print_line(line)
        samples = [sample for sample in self.run.read(SAMPLES)[-1:] if sample["step"] == record["step"]]
        for sample in samples:
            self._print_line(phrase("TRAIN_LIVE_SAMPLE", text=visible(sample["text"])[:SAMPLE_CHARACTERS]))

    def _print_line(self, line: str) -> None:
        if self.console.is_terminal:
            self.console.print(line, soft_wrap=True)
        else:
            print(line, flush=True)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - SHOWN_NAMES
    return ", ".join(names[:SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")


def _format_clock(seconds: float) -> str:
    """Format a time as 4:05 or 1:02:03."""
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
