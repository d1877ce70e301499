"""Trainings that begin on the page: each is an ordinary `gatescope train` in a process of its own.

A training belongs to its run, not to the server: it goes on when the page is closed and when the server ends, and any
server that shows the run can pause or stop it. The process gets a fixed list of words, never a line for a shell.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from gatescope.explorer.gallery import Gallery
from gatescope.explorer.requests import RequestError, parse_request, quoted
from gatescope.explorer.training_words import TrainingPlan, command_of, plan_training, resume_words
from gatescope.files import FileError
from gatescope.messages import Message
from gatescope.messages.languages import CHINESE, language
from gatescope.runs import HISTORY, Run
from gatescope.runs.edited_json import check_editable
from gatescope.runs.run_errors import file_errors
from gatescope.runs.training_request import Kind, is_requested, remove_request, request_end

START_SECONDS = 120.0  # in which a training reads its data and writes its first weights
END_SECONDS = 10.0  # that a request waits for the update under way; a validation may take longer
POLL_SECONDS = 0.05
MAX_TRAININGS = 4
MAX_ERROR_BYTES = 8192
PROGRAM = "gatescope: "
"""How the sentence begins with which a command refuses its work."""

STOPPED_STATUSES = (0, 130, 143)  # of a training that ended, or that a signal has paused


def most_trainings() -> int:
    """Return how many trainings may run at once: each takes a core, and one remains for the page."""
    return max(1, min(MAX_TRAININGS, (os.cpu_count() or 1) - 1))


class Training:
    """A process that trains a run. A thread waits for its end, so that it leaves no zombie.

    Attributes:
        problem: the sentence with which it ended; None while it runs, and after a good end.
        ended: set when it has ended.
    """

    def __init__(self, words: Sequence[str]) -> None:
        # The file has no name: it ends with the last process that has it open, also if that is the training.
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (the thread closes it)
        self.problem: Message | str | None = None
        self.ended = threading.Event()
        self._process = subprocess.Popen(
            # -P: the folder that the server was started in holds data, not modules.
            [sys.executable, "-P", "-m", "gatescope", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            env={**os.environ, **_language_variables()},
            # Ctrl-C of the server is not one of its trainings.
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        threading.Thread(target=self._wait, name="training", daemon=True).start()

    def kill(self) -> None:
        """End a process that has not begun to train."""
        self._process.kill()

    def _wait(self) -> None:
        status = self._process.wait()
        if status not in STOPPED_STATUSES:
            self._errors.seek(0, os.SEEK_END)
            self._errors.seek(max(0, self._errors.tell() - MAX_ERROR_BYTES))
            self.problem = _sentence_in(self._errors.read().decode("utf-8", "replace"), status)
        self._errors.close()
        self.ended.set()


class Trainings:
    """Begins, pauses, stops and resumes the trainings of a folder of runs."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        self._lock = threading.Lock()
        self._starting: set[Path] = set()
        self._problems: dict[Path, Message | str] = {}

    def begin(self, data: Any) -> dict[str, Any]:
        """Begin a training in a new run, or return its command alone.

        Args:
            data: the JSON of the request; see `training_words.FIELDS`.

        Raises:
            GatescopeError: the request is refused, or the command refuses it. No run was made.
        """
        folders = self._gallery.folders()
        if not folders:
            raise RequestError("ACT_NO_FOLDER", status=409)
        with self._lock:
            plan = plan_training(data, folders[0])
            answer = {"run": plan.run.name, "command": plan.command}
            if data.get("check"):
                return answer
            self._check_count()
            _write_text(plan)
            try:
                training = self._launch(plan.run, plan.words)
            except BaseException:
                _remove_text(plan)
                raise
        try:
            # From its first checkpoint on, the command keeps the run, whatever happens.
            self._wait_until(lambda: bool(Run(plan.run).checkpoints()), plan.run, training)
        except BaseException:
            _remove_text(plan)
            raise
        return answer | {"run": self._gallery.name_of(plan.run)}

    def resume(self, name: str, data: Any) -> dict[str, Any]:
        """Train an interrupted run on.

        Args:
            name: the name of the run in the list.
            data: the JSON of the request, without fields.

        Raises:
            GatescopeError: the run cannot be trained on; it has not changed.
        """
        parse_request("resume", data, {})
        run = self._run(name)
        with self._lock:
            history = run.read(HISTORY)
            state = run.state(history[-1] if history else {})
            if state not in ("interrupted", "created", "starting"):
                raise RequestError("MACHINE_NOT_INTERRUPTED", status=409, run=name, state=state)
            self._check_count()
            words = resume_words(run.path)
            training = self._launch(run.path, words)
        self._wait_until(lambda: run.is_training, run.path, training)
        return {"command": command_of(words)}

    def end(self, name: str, kind: Kind, data: Any) -> dict[str, Any]:
        """Pause or stop a training, whatever has started it.

        Args:
            name: the name of the run in the list.
            kind: "pause" or "stop".
            data: the JSON of the request, without fields.

        Returns:
            Whether it has ended; otherwise it ends after the update or the validation under way.

        Raises:
            GatescopeError: the run is not in training, or the request cannot be written.
        """
        parse_request(kind, data, {})
        run = self._run(name)
        if not run.is_training:
            raise RequestError("MACHINE_NOT_TRAINING", status=409, run=name)
        request_end(run.path, kind)
        until = time.monotonic() + END_SECONDS
        while (is_training := run.is_training) and time.monotonic() < until:
            time.sleep(POLL_SECONDS)
            if not is_requested(run.path) and run.is_training:
                request_end(run.path, kind)  # a training that has just begun has removed it as an old one
        if not is_training:
            remove_request(run.path)  # in case it came as the training ended
        return {"ended": not is_training}

    def with_problem(self, summary: dict[str, Any]) -> dict[str, Any]:
        """Return a summary with the sentence of a process that ended without writing why, such as for a full disk.

        Args:
            summary: the summary of a run, or its details.
        """
        if not self._problems or summary["state"] != "interrupted" or summary["problem"] is not None:
            return summary
        run = self._gallery.runs().get(summary["name"])
        problem = None if run is None else self._problems.get(run.path.resolve())
        return summary if problem is None else summary | {"problem": str(problem)}

    def _run(self, name: str) -> Run:
        run = self._gallery.runs().get(name)
        if run is None:
            raise RequestError("EXPLORER_RUN_UNKNOWN", status=404, run=quoted(name))
        self._gallery.check_writable(run)
        check_editable(run.path)
        return run

    def _check_count(self) -> None:
        """Refuse one training more than this machine should run.

        Raises:
            RequestError: so many run already, here or in a terminal.
        """
        locked = {run.path.resolve() for run in self._gallery.runs().values() if run.is_training}
        if len(locked | self._starting) >= (limit := most_trainings()):
            raise RequestError("MACHINE_BUSY", status=409, limit=limit)

    def _launch(self, run: Path, words: Sequence[str]) -> Training:
        """Start the process of a training.

        Raises:
            RequestError: the system starts no process.
        """
        place = run.resolve()
        try:
            training = Training(words)
        except OSError as error:
            raise RequestError("MACHINE_NO_PROCESS", status=409, reason=error.strerror or error) from error
        self._starting.add(place)
        self._problems.pop(place, None)
        threading.Thread(target=self._follow, args=(place, training), name="trainings", daemon=True).start()
        return training

    def _follow(self, place: Path, training: Training) -> None:
        """Keep the sentence of a training that fails."""
        training.ended.wait()
        if training.problem is not None and Run(place).exists:
            self._problems[place] = training.problem

    def _wait_until(self, has_begun: Callable[[], bool], run: Path, training: Training) -> None:
        """Wait until a process trains, or has ended well.

        Raises:
            RequestError: it ends with a sentence before, or does not begin.
        """
        until = time.monotonic() + START_SECONDS
        try:
            while not has_begun() and not training.ended.wait(POLL_SECONDS):
                if time.monotonic() >= until:
                    training.kill()
                    training.ended.wait()
                    raise RequestError("MACHINE_NOT_BEGUN", status=409, limit=round(START_SECONDS))
        finally:
            with self._lock:
                self._starting.discard(run.resolve())
        if training.problem is not None:
            raise RequestError("MACHINE_REFUSED", status=409, sentence=training.problem)


def _write_text(plan: TrainingPlan) -> None:
    """Write the text of a training, which replaces no file.

    Raises:
        RunError: it cannot be written.
    """
    if plan.file is None:
        return
    with file_errors(plan.file):
        plan.file.parent.mkdir(exist_ok=True)
        if plan.file.parent.is_symlink():
            raise FileError("FILE_IS_LINK", path=plan.file.parent)
        try:
            with plan.file.open("xb") as file:
                file.write(plan.text)
        except FileExistsError:
            raise
        except OSError:
            plan.file.unlink(missing_ok=True)
            raise


def _remove_text(plan: TrainingPlan) -> None:
    """Remove the text of a training without a run."""
    if plan.file is not None and not Run(plan.run).exists:
        plan.file.unlink(missing_ok=True)


def _sentence_in(errors: str, status: int) -> Message | str:
    """Return the sentence with which a command has refused its work.

    Args:
        errors: the end of what it wrote to stderr.
        status: its exit status.
    """
    _, found, sentence = ("\n" + errors).rpartition("\n" + PROGRAM)
    if found:
        return sentence.strip()
    return errors.strip().rpartition("\n")[2] or Message("MACHINE_ENDED", number=status)


def _language_variables() -> dict[str, str]:
    """Return the variables by which a command answers in the language of the request."""
    locale = "zh_CN.UTF-8" if language() == CHINESE else "en_US.UTF-8"
    # The encoding of paths must not depend on whether the system has this locale.
    return {"LC_ALL": locale, "LANGUAGE": language(), "PYTHONUTF8": "1"}
