"""Running one command, and what becomes of an error.

Exit status: 0, done; 1, `check` found an equation that does not hold; 2, something that was given cannot be used;
70, an error nobody foresaw; 130 and 143, interrupted by Ctrl-C or told to end; 141, nobody read the output.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from io import TextIOWrapper

from cyclopts import CycloptsError

from gatescope.cli.app import app
from gatescope.cli.commands.ablate import ablate
from gatescope.cli.commands.adopt import adopt
from gatescope.cli.commands.check import check
from gatescope.cli.commands.compare import compare
from gatescope.cli.commands.demo import demo
from gatescope.cli.commands.distributions import distributions
from gatescope.cli.commands.errors import errors
from gatescope.cli.commands.explore import explore
from gatescope.cli.commands.export import export
from gatescope.cli.commands.health import health
from gatescope.cli.commands.horizon import horizon
from gatescope.cli.commands.label import label
from gatescope.cli.commands.lists import cells, runs, tasks
from gatescope.cli.commands.passages import passages
from gatescope.cli.commands.patch import patch
from gatescope.cli.commands.pattern import pattern
from gatescope.cli.commands.predict import predict
from gatescope.cli.commands.probe import probe
from gatescope.cli.commands.record import record
from gatescope.cli.commands.sample import sample
from gatescope.cli.commands.snapshot import snapshot
from gatescope.cli.commands.steer import steer
from gatescope.cli.commands.train import train
from gatescope.cli.commands.weights import weights
from gatescope.cli.common import harmless, show_note
from gatescope.errors import GatescopeError, settings_as_options

BAD_INPUT, UNFORESEEN = 2, 70
UNREAD = 128 + 13  # 13: the number of SIGPIPE, which Windows does not have

# Each added itself to the application when it was imported; this is the order in which they are listed.
COMMANDS = (
    *(demo, train),
    *(explore, predict, sample, record, check),
    *(label, probe, ablate, patch, steer, passages, pattern, snapshot, distributions, health, weights),
    *(errors, horizon, compare),
    *(adopt, export),
    *(tasks, cells, runs),
)
for place, command in enumerate(COMMANDS):
    app[command.__name__].sort_key = place


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given or os.environ.get("GATESCOPE_DEBUG", "") not in {"", "0"}
    given = [argument for argument in given if argument != "--debug"]
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character gets a question mark instead of an end of the program.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        with warnings.catch_warnings(), settings_as_options():
            warnings.showwarning = show_note
            status = app(given)
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
        return UNREAD
    except KeyboardInterrupt:
        print("\nstopped.", file=sys.stderr)
        return 128 + signal.SIGINT
    except (CycloptsError, GatescopeError, OSError, MemoryError) as error:
        if debug:
            traceback.print_exc()
        return _refuse(_sentence(error))
    except Exception as error:  # noqa: BLE001 (the last place that can turn it into a sentence)
        if debug:
            traceback.print_exc()
        elif "allocate memory" in str(error):
            return _refuse(_sentence(MemoryError()))
        return _report(error)
    return status if isinstance(status, int) else 0


def _refuse(sentence: str) -> int:
    print(f"gatescope: {harmless(sentence)}", file=sys.stderr)
    return BAD_INPUT


def _sentence(error: BaseException) -> str:
    """What a person can do about an error: one line, and one for each thing that it lists."""
    if isinstance(error, MemoryError):
        return "there is not enough memory for this; take fewer neurons, a smaller batch or a shorter text."
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."
    first, *rest = str(error).splitlines() or [""]
    kept = " ".join(first.split())
    for line in rest:  # those that stand further in are a list: what is wrong in a file
        kept += ("\n  " if line.startswith("  ") else " ") + " ".join(line.split())
    return kept


def _report(error: BaseException) -> int:
    print(
        f"gatescope: an error that it did not foresee: {type(error).__name__}: {harmless(_sentence(error))}\n"
        "Please report it, with the command; the same command with --debug shows where it happened.",
        file=sys.stderr,
    )
    return UNFORESEEN


def _drop_output() -> None:
    """Nobody reads any more: what Python still holds back would fail once more when it ends."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
