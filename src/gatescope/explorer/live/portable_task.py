"""The task of a run as another machine can have it: without the files that its data stand in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gatescope.errors import GatescopeError
from gatescope.messages import Message
from gatescope.readout import SYMBOLS
from gatescope.tasks import Adopted, Score, Task, Text
from gatescope.tasks.base.saved_task import PATH_FIELDS, FileTask
from gatescope.vocabulary import Vocabulary


def has_corpus(task: Task) -> bool:
    """Return whether the texts of a task are a person's: from files, or given with an adopted network.

    Args:
        task: the task. The strings of the other tasks are generated, and the same on every machine.
    """
    if isinstance(task, Adopted):
        return bool(task.text)
    return isinstance(task, FileTask) and (isinstance(task, Text) or _has_files(task.to_json()))


def _has_files(fields: dict[str, Any]) -> bool:
    return any(fields.get(name) for name in PATH_FIELDS)


def portable_task(task: Task, name: str, examples: Sequence[str], score: dict[str, Any] | None) -> dict[str, Any]:
    """Return task.json for another machine.

    A task whose data are generated stays what it is. A task with files becomes the task of an adopted network with the
    examples as its text, because the files stay on this machine.

    Args:
        task: the task.
        name: the name of the run.
        examples: the texts that leave the machine; none with --without-text.
        score: the score of the run, if it has one.
    """
    if not isinstance(task, FileTask | Adopted) or (isinstance(task, FileTask) and not has_corpus(task)):
        return task.to_json()
    source = task.source if isinstance(task, Adopted) else name
    notes = list(task.notes)
    if not isinstance(task, Adopted):
        notes.insert(0, str(Message("LIVE_TASK_NOTE", task=task.title)))
    measured = None
    if score is not None and score.get("better") == "lower" and task.readout == SYMBOLS:
        message = Message.from_json(score.get("message"))
        measured = Score(score["value"], score["chance"], None, score["text"], {}, "lower", message)
    text = joined(examples, task.vocabulary)
    try:
        return Adopted(task.vocabulary, source, text, notes, task.readout, measured).to_json()
    except GatescopeError:  # no symbol of the text is in the vocabulary
        return Adopted(task.vocabulary, source, "", notes, task.readout, measured).to_json()


def joined(texts: Sequence[str], vocabulary: Vocabulary) -> str:
    """Return texts as one text, each in sequences of its own where the vocabulary has an end.

    Args:
        texts: the texts.
        vocabulary: what they are written in.
    """
    if vocabulary.unit == "number":
        return "\n\n".join(text.strip("\n") for text in texts) + ("\n" if texts else "")
    if vocabulary.end is not None:
        return "".join(text if text.endswith(vocabulary.end) else text + vocabulary.end for text in texts)
    return "\n".join(texts)
