"""Running a command, and turning its errors into sentences.

Exit status: 0, success; 1, `check` found an equation that does not hold; 2, an argument or a file cannot be used; 70,
an unexpected error; 130 and 143, stopped by Ctrl-C or SIGTERM; 141, the output was closed.
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
from gatescope.cli.commands.cells import cells
from gatescope.cli.commands.check import check
from gatescope.cli.commands.compare import compare
from gatescope.cli.commands.demo import demo
from gatescope.cli.commands.distributions import distributions
from gatescope.cli.commands.errors import errors
from gatescope.cli.commands.explore import explore
from gatescope.cli.commands.export import export
from gatescope.cli.commands.findings import findings
from gatescope.cli.commands.health import health
from gatescope.cli.commands.horizon import horizon
from gatescope.cli.commands.label import label
from gatescope.cli.commands.passages import passages
from gatescope.cli.commands.patch import patch
from gatescope.cli.commands.pattern import pattern
from gatescope.cli.commands.predict import predict
from gatescope.cli.commands.probe import probe
from gatescope.cli.commands.record import record
from gatescope.cli.commands.runs import runs
from gatescope.cli.commands.sample import sample
from gatescope.cli.commands.site import site
from gatescope.cli.commands.snapshot import snapshot
from gatescope.cli.commands.steer import steer
from gatescope.cli.commands.tasks import tasks
from gatescope.cli.commands.train import train
from gatescope.cli.commands.trash import trash
from gatescope.cli.commands.weights import weights
from gatescope.cli.output import harmless, localized, phrase, print_warning
from gatescope.cli.parsing_errors import parsing_message
from gatescope.errors import GatescopeError, settings_as_options

# NumPy reads these when it is imported. Its threads are not those of torch, and on a busy machine they wait for each
# other: commands use one thread, as `gatescope cells --engines` says.
THREADS_OF_NUMPY = ("OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
STATUS_BAD_INPUT = 2
STATUS_UNEXPECTED = 70
STATUS_OUTPUT_CLOSED = 128 + 13  # 13: the number of SIGPIPE, which Windows does not have

# Every import above registers its command. The help lists commands in this order.
COMMANDS = (
    *(demo, train),
    *(explore, predict, sample, record, check),
    *(label, probe, ablate, patch, steer, passages, pattern, snapshot, distributions, health, weights),
    *(errors, horizon, compare),
    *(adopt, export, site),
    *(tasks, cells, runs, findings, trash),
)
for position, command in enumerate(COMMANDS):
    app[command.__name__].sort_key = position


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the words after `gatescope`; None: those of this process.

    Returns:
        The exit status.
    """
    for variable in THREADS_OF_NUMPY:
        os.environ.setdefault(variable, "1")
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words or os.environ.get("GATESCOPE_DEBUG", "") not in {"", "0"}
    words = [word for word in words if word != "--debug"]
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character gets a question mark instead of an error.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        with warnings.catch_warnings(), settings_as_options():
            warnings.showwarning = print_warning
            status = app(words)
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
        return STATUS_OUTPUT_CLOSED
    except KeyboardInterrupt:
        print(file=sys.stderr)
        print(phrase("COMMAND_STOPPED"), file=sys.stderr)
        return 128 + signal.SIGINT
    except (CycloptsError, GatescopeError, OSError, MemoryError) as error:
        if debug:
            traceback.print_exc()
        return _print_refusal(_sentence_of(error))
    except Exception as error:  # noqa: BLE001 (the last place that can turn it into a sentence)
        if debug:
            traceback.print_exc()
        elif "allocate memory" in str(error):
            return _print_refusal(_sentence_of(MemoryError()))
        return _print_report(error)
    return status if isinstance(status, int) else 0


def _print_refusal(sentence: str) -> int:
    print(f"gatescope: {harmless(sentence)}", file=sys.stderr)
    return STATUS_BAD_INPUT


def _sentence_of(error: BaseException) -> str:
    """Return the message of an error on one line, with one more line for each item of a list in it."""
    if isinstance(error, MemoryError):
        return phrase("CLI_MEMORY_EXHAUSTED")
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."
    sentence_or_error = parsing_message(error) if isinstance(error, CycloptsError) else error
    first, *rest = localized(sentence_or_error).splitlines() or [""]
    sentence = " ".join(first.split())
    for line in rest:  # indented lines are a list, such as the bad rows of a file
        sentence += ("\n  " if line.startswith("  ") else " ") + " ".join(line.split())
    return sentence


def _print_report(error: BaseException) -> int:
    message = phrase("CLI_UNEXPECTED_ERROR", kind=type(error).__name__, reason=harmless(_sentence_of(error)))
    print(f"gatescope: {message}", file=sys.stderr)
    return STATUS_UNEXPECTED


def _discard_output() -> None:
    """Redirect stdout to the null device, because flushing a closed pipe at exit would fail once more."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
