"""`gatescope demo`: the explorer, and networks that train while one looks on.

The page is served by this process; one other process trains, a little behind in priority. It ends with this one, also
when this one is killed: it looks for its parent before every update of the weights.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gatescope.cli.app import LEARN, command
from gatescope.cli.commands.explore import PORT, NoBrowser, Port, announce
from gatescope.cli.common import UsageError, show_note
from gatescope.errors import GatescopeError

PATIENCE = 30.0  # seconds that the training has to keep what it has when the demo ends
NICENESS = 5


@dataclass(frozen=True)
class Lesson:
    """One network of the demo.

    Attributes:
        name: of the run.
        task: of `gatescope.TASKS`.
        minutes: how long it trains; None: as long as the task recommends.
    """

    name: str
    task: str
    minutes: float | None = None


def lessons(minutes: float) -> list[Lesson]:
    """The four tasks of memory, then Python code for some minutes."""
    tasks = ("counter", "state_memoriser", "copy", "selective_counter")
    return [*(Lesson(task, task) for task in tasks), Lesson("python_code", "text", minutes)]


@command(
    LEARN,
    "[OPTIONS]",
    "gatescope demo",
    "gatescope demo --minutes 10                    # a better code model",
    "gatescope demo --runs /tmp/demo --port 0 --no-browser",
)
def demo(
    *,
    runs: Annotated[Path, Parameter(help="Where the runs are kept; those that are there are used again.")] = Path(
        "runs/demo"
    ),
    minutes: Annotated[float, Parameter(help="How long the code model trains.")] = 2.0,
    port: Port = PORT,
    no_browser: NoBrowser = False,
) -> None:
    """Train four networks on tasks of memory and one on Python code, and watch them in the browser.

    The tasks take seconds each, the code model two minutes. A later start uses the runs that are there and goes on with
    one that was interrupted.
    """
    from gatescope.explorer import serve
    from gatescope.training import Settings

    Settings(steps=None, minutes=minutes)  # says what is wrong with it before anything starts
    if runs.exists() and not runs.is_dir():
        raise UsageError("DEMO_FILE_FOLDER_RUNS_KEPT", runs=runs)
    runs.mkdir(parents=True, exist_ok=True)
    trainer = multiprocessing.get_context("spawn").Process(
        target=train_behind, args=(runs, minutes, os.getpid()), daemon=True
    )

    def begin(address: str) -> None:
        announce(address)
        trainer.start()

    # SIGTERM ends the demo as Ctrl-C does, so that the training can keep what it has.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        serve([runs], port=port, open_browser=not no_browser, announce=begin)
    except KeyboardInterrupt:  # how one leaves it
        print("\nstopping; what is being trained keeps what it has", flush=True)
    finally:
        end(trainer)
        signal.signal(signal.SIGTERM, before)


def end(trainer: BaseProcess) -> None:
    """Ask the training to stop, and wait until it has kept what it has, but not for long."""
    if trainer.pid is None:
        return
    trainer.terminate()
    trainer.join(PATIENCE)
    if trainer.is_alive():
        trainer.kill()
        trainer.join()


def train_behind(runs: Path, minutes: float, parent: int) -> None:
    """What the other process does: train everything, until it is told to stop or is left alone."""
    import torch

    asked: list[int] = []
    # Ctrl-C reaches every process of a terminal; the parent passes it on as SIGTERM when it has closed the page.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    if hasattr(os, "nice"):  # Windows has no such priorities
        os.nice(NICENESS)
    torch.set_num_threads(1)
    warnings.showwarning = show_note
    train_all(runs, lessons(minutes), stop=lambda: bool(asked) or os.getppid() != parent, say=say)


def say(line: str) -> None:
    """Print a line at once; nobody may be listening."""
    with contextlib.suppress(OSError):
        print(line, flush=True)


def train_all(
    runs: Path, plan: Sequence[Lesson], *, stop: Callable[[], bool] = lambda: False, say: Callable[[str], None] = say
) -> None:
    """Train each network that is not trained yet, one after the other.

    Args:
        runs: the folder of the runs.
        plan: what to train.
        stop: asked before every update; True ends everything, and a later call goes on there.
        say: called with a line when a network begins and when it is done.
    """
    for lesson in plan:
        if stop():
            return
        try:
            train_one(runs / lesson.name, lesson, stop, say)
        except GatescopeError as error:
            say(f"  {lesson.name}: {error}")
        except OSError as error:
            say(f"  {lesson.name}: {error.filename or runs}: {error.strerror}.")


def train_one(path: Path, lesson: Lesson, stop: Callable[[], bool], say: Callable[[str], None]) -> None:
    """Train one network, go on with it, or say that it is there."""
    from gatescope.runs import HISTORY, Run
    from gatescope.tasks import TASKS
    from gatescope.training import Settings, create_run, recommended_network, train

    run = Run(path)
    if run.exists:
        last = (run.read(HISTORY) or [{}])[-1]
        if run.state(last) in ("finished", "failed"):
            run.network()  # a damaged run is reported, and is not called trained
            outcome = last["score"]["text"] if last.get("score") else last.get("problem", "")
            say(f"  {lesson.name}: trained before; {outcome}")
            return
        say(f"  {lesson.name}: goes on")
    else:
        task = TASKS[lesson.task]()
        run = create_run(str(path), task, recommended_network(task), Settings.recommended(task, minutes=lesson.minutes))
        long = f" for {lesson.minutes:g} minutes" if lesson.minutes else ""
        say(f"  {lesson.name}: trains{long}")
    outcome = train(run, stop=stop)
    if outcome.score is None:
        say(f"  {lesson.name}: stopped after {outcome.step:,} steps; the next start goes on")
    else:
        say(f"  {lesson.name}: {outcome.score.text} ({outcome.seconds:.1f} s)")
