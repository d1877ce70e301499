"""`gatescope demo`: train networks while the explorer shows them.

This process serves the page. A second process with a lower priority trains. It ends with this process, even if this
process is killed, because it looks for its parent before every update of the weights.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gatescope.cli.app import TRAIN_GROUP, command
from gatescope.cli.commands.explore import DEFAULT_PORT, print_address
from gatescope.cli.options import Flag
from gatescope.cli.output import harmless, print_message, print_warning
from gatescope.cli.usage import UsageError
from gatescope.errors import GatescopeError
from gatescope.messages import Message

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

    from gatescope.runs import Run

SAVING_SECONDS = 30.0  # that the training process may take to save its state when the demo ends
NICENESS = 5
LINE_SECONDS = 5.0  # between two lines about the progress of the labels


@dataclass(frozen=True)
class Lesson:
    """One network of the demo.

    Attributes:
        name: name of the run.
        task: name of a task in `gatescope.TASKS`.
        minutes: time to train; None: as long as the task recommends.
    """

    name: str
    task: str
    minutes: float | None = None


def lessons(minutes: float) -> list[Lesson]:
    """Return the networks of the demo: four memory tasks, then Python code for some minutes."""
    tasks = ("counter", "state_memoriser", "copy", "selective_counter")
    return [*(Lesson(task, task) for task in tasks), Lesson("python_code", "text", minutes)]


@command(TRAIN_GROUP)
def demo(
    *,
    runs: Path = Path("runs/demo"),
    minutes: float = 2.0,
    port: int = DEFAULT_PORT,
    no_browser: Flag = False,
) -> None:
    """Train four networks on memory tasks and one on Python code, and watch them in the browser."""
    import multiprocessing

    from gatescope.explorer import serve
    from gatescope.training import Settings

    Settings(steps=None, minutes=minutes)  # refuses an impossible time before anything starts
    if runs.exists() and not runs.is_dir():
        raise UsageError("DEMO_RUNS_IS_FILE", runs=runs)
    runs.mkdir(parents=True, exist_ok=True)
    trainer = multiprocessing.get_context("spawn").Process(
        target=train_in_background, args=(runs, minutes, os.getpid()), daemon=True
    )

    def start_training(address: str) -> None:
        print_address(address)
        trainer.start()

    # SIGTERM ends the demo as Ctrl-C does, so that the training process can save its state.
    previous_handler = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        serve([runs], port=port, open_browser=not no_browser, announce=start_training)
    except KeyboardInterrupt:  # the usual way to leave the demo
        print()
        print_message("DEMO_STOPPING")
    finally:
        end_training(trainer)
        signal.signal(signal.SIGTERM, previous_handler)


def end_training(trainer: BaseProcess) -> None:
    """Ask the training process to stop, wait for it to save its state, and kill it if that takes too long."""
    if trainer.pid is None:
        return
    trainer.terminate()
    trainer.join(SAVING_SECONDS)
    if trainer.is_alive():
        trainer.kill()
        trainer.join()


def train_in_background(runs: Path, minutes: float, parent: int) -> None:
    """Train all networks of the demo until the process receives SIGTERM or loses its parent.

    Args:
        runs: the folder of the runs.
        minutes: training time of the code model.
        parent: the id of the parent process.
    """
    import torch

    signals: list[int] = []
    # Ctrl-C reaches every process of a terminal; the parent passes it on as SIGTERM once it has closed the page.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, _frame: signals.append(number))
    if hasattr(os, "nice"):  # Windows has no such priorities
        os.nice(NICENESS)
    torch.set_num_threads(1)
    warnings.showwarning = print_warning
    train_all(runs, lessons(minutes), stop=lambda: bool(signals) or os.getppid() != parent)


def print_line(line: str) -> None:
    """Print a line at once. A closed terminal is ignored."""
    with contextlib.suppress(OSError):
        print(harmless(line), flush=True)


def train_all(
    runs: Path,
    plan: Sequence[Lesson],
    *,
    stop: Callable[[], bool] = lambda: False,
    report: Callable[[str], None] = print_line,
) -> None:
    """Train each network that is not trained yet, one after the other, and find the labels of its neurons.

    Args:
        runs: the folder of the runs.
        plan: the networks.
        stop: called before every update of the weights; True ends the training, and a later call resumes it.
        report: called with a line when a network begins and when it is done.
    """
    for lesson in plan:
        if stop():
            return
        try:
            train_one(runs / lesson.name, lesson, stop, report)
        except GatescopeError as error:
            report(f"  {lesson.name}: {error}")
        except OSError as error:
            report(f"  {lesson.name}: {error.filename or runs}: {error.strerror}.")


def train_one(path: Path, lesson: Lesson, stop: Callable[[], bool], report: Callable[[str], None]) -> None:
    """Train one network, resume its training, or report its result if it is trained already."""
    from gatescope.runs import HISTORY, Run
    from gatescope.tasks import TASKS
    from gatescope.training import Settings, create_run, recommended_network, train

    run = Run(path)
    if run.exists:
        last = (run.read(HISTORY) or [{}])[-1]
        if run.state(last) in ("finished", "failed"):
            run.network()  # raises if the run is damaged
            result = last["score"]["text"] if last.get("score") else last.get("problem", "")
            report(f"  {Message('DEMO_ALREADY_TRAINED', name=lesson.name, result=result)}")
            label_one(run, lesson.name, stop, report)
            return
        report(f"  {Message('DEMO_RESUMING', name=lesson.name)}")
    else:
        task = TASKS[lesson.task]()
        run = create_run(str(path), task, recommended_network(task), Settings.recommended(task, minutes=lesson.minutes))
        if lesson.minutes:
            report(f"  {Message('DEMO_TRAINING_MINUTES', name=lesson.name, minutes=lesson.minutes)}")
        else:
            report(f"  {Message('DEMO_TRAINING', name=lesson.name)}")
    outcome = train(run, stop=stop)
    if outcome.score is None:
        report(f"  {Message('DEMO_STOPPED', name=lesson.name, steps=outcome.step)}")
    else:
        report(f"  {lesson.name}: {outcome.score.text} ({outcome.seconds:.1f} s)")
        label_one(run, lesson.name, stop, report)


class _StoppedError(Exception):
    """The demo ends while labels are searched; the next start searches them again."""


def label_one(run: Run, name: str, stop: Callable[[], bool], report: Callable[[str], None]) -> None:
    """Find and save the labels of a trained network, which the page then shows.

    Args:
        run: the run.
        name: the name of the run.
        stop: called at every report of the progress; True ends the search.
        report: called with lines about the progress.
    """
    from gatescope.explorer.studies import find_labels, saved_tables

    if stop() or saved_tables(run, "labels") is not None:
        return
    start = reported = time.monotonic()
    report(f"  {Message('DEMO_LABELLING', name=name)}")

    def progress(_: str, done: int, total: int) -> None:
        nonlocal reported
        if stop():
            raise _StoppedError
        if total and time.monotonic() - reported > LINE_SECONDS:
            reported = time.monotonic()
            report(f"  {Message('DEMO_LABELLING_SHARE', name=name, share=done / total)}")

    try:
        table = find_labels(run, progress)
    except _StoppedError:
        return
    if table is not None:
        labelled = len(set(zip(table["layer"], table["neuron"], strict=True)))
        neurons = sum(layer.neurons for layer in run.configuration().layers)
        seconds = time.monotonic() - start
        report(f"  {Message('DEMO_LABELLED', name=name, labelled=labelled, neurons=neurons, seconds=seconds)}")
