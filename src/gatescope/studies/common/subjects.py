"""The subject of a study: the network of a run, a text that it was not trained on, and the features of that text.

The command line and the explorer run the same studies on a run. The tables of slow studies are saved in its directory,
with a mark of the weights that they are about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gatescope.errors import GatescopeError
from gatescope.features import Family, Feature, choose, from_quantities, tokens
from gatescope.messages import Message
from gatescope.network import Network
from gatescope.recording import recorded
from gatescope.runs import STUDIES, Run, RunError, check_run
from gatescope.sources import parts_of
from gatescope.studies.common.steps import Steps
from gatescope.studies.common.table import StudyError, Table
from gatescope.tasks import Task, Text
from gatescope.tasks.base.strings import StringTask
from gatescope.trace import Trace

FORMAT = 1  # of saved tables; raise it when readers rely on a new column
TEXT_CHARACTERS = 100_000  # characters of a text that are studied by default
STRING_CHARACTERS = 4_000  # the same for tasks of strings, which have few different ones


@dataclass(frozen=True)
class Subject:
    """A network, and a text to study it on.

    Attributes:
        run: the run of the network.
        network: the network, with the best weights of the run or those of a checkpoint.
        task: the task that the network learned.
        text: the text that it reads.
        families: the families of the text's features.
    """

    run: Run
    network: Network
    task: Task
    text: str
    families: Sequence[Family]

    @contextmanager
    def trace(self, progress: Callable[[int, int], None] | None = None) -> Iterator[Trace]:
        """Record every signal on the text, without drives, while a `with` block runs."""
        with recorded(self.network, self.text, progress=progress, answers=self.task.answers) as trace:
            yield trace

    @cached_property
    def layers(self) -> list[str]:
        """Return the names of the layers: layer0, layer0_reverse, layer1, ..."""
        return self.network.configuration.names


def subject(
    run: Run,
    *,
    text: str | None = None,
    characters: int | None = None,
    lexer: str | None = None,
    families: Sequence[Family] | None = None,
    more: Sequence[Family] = (),
    checkpoint: int | None = None,
) -> Subject:
    """Open a run for studies.

    Args:
        run: a run.
        text: the text to read; None: a part of the task's data that is held out from training.
        characters: the number of characters of that part; None: 4,000 for strings, 100,000 for other texts.
        lexer: the name of a Pygments lexer, if the text is a program; None: chosen by the names of the task's files.
        families: the families of features; None: those that fit the text, and those of the task.
        more: additional families.
        checkpoint: the step of the checkpoint with the weights; None: the best weights.

    Raises:
        StudyError: fewer than one character is requested.
        RunError, TaskError, FeatureError: the run or its text cannot be read, or there is no such lexer.
    """
    if characters is not None and characters < 1:
        raise StudyError("STUDY_NUMBER_TOO_SMALL", things="characters", least=1, number=characters)
    check_run(run)
    network, _ = run.network(checkpoint)
    task = run.task()
    if text is None:
        text = task.held_out(characters or (STRING_CHARACTERS if isinstance(task, StringTask) else TEXT_CHARACTERS))
    if families is None:
        configuration = network.configuration
        families = choose(
            text, lexer or _lexer_of(task), vocabulary=configuration.vocabulary, readout=configuration.readout
        )
        if task.quantity_titles:
            families = [from_quantities(task.quantities, task.quantity_titles), *families]
    return Subject(run, network, task, text, [*families, *more])


def features_of(subject: Subject, trace: Trace) -> list[Feature]:
    """Compute the features of a subject's text at every place of its trace."""
    in_words = subject.network.configuration.vocabulary.in_words
    return Steps(trace).features(subject.families, parts_of(subject.network, subject.text) if in_words else None)


def _lexer_of(task: Task) -> str | None:
    """Return the lexer for the files of a text, if all of them are in one language."""
    if not isinstance(task, Text):
        return None
    if task.paths is None:
        return "python"
    lexers = {tokens.lexer_of(path) for path in task.paths}
    return lexers.pop() if len(lexers) == 1 else None


def load(run: Run, name: str) -> Table | None:
    """Load the table of a study from a run directory.

    Args:
        run: the run.
        name: the name under which `save` wrote the table, such as "labels".

    Returns:
        The table; None if there is no table, if it is damaged, or if it is about other weights than the present ones.
    """
    try:
        content: Any = run.study(name)
        if content["format"] != FORMAT or content["weights"] != run.weights_mark():
            return None
        return Table.from_json(content["table"])
    except (GatescopeError, OSError, KeyError, TypeError):
        return None


def newer_version(run: Run, name: str) -> Message | None:
    """Return the sentence about a table that a newer gatescope wrote into a run directory; None for other tables."""
    try:
        content: Any = run.study(name)
        version = content["format"]
    except (GatescopeError, OSError, KeyError, TypeError):
        return None
    if type(version) is not int or version <= FORMAT:
        return None
    return Message("SUBJECTS_TABLE_NEWER", path=run.path / STUDIES / f"{name}.json", format=FORMAT, version=version)


def save(run: Run, name: str, table: Table) -> None:
    """Save the table of a study in a run directory, with a mark of the weights that it is about.

    Args:
        run: the run.
        name: the name of the table, such as "labels".
        table: the answer of a study of the present weights.

    Raises:
        RunError: the table cannot be written, or a newer gatescope wrote the one that it would replace.
    """
    newer = newer_version(run, name)
    if newer is not None:
        raise RunError(newer)
    run.save_study(name, {"format": FORMAT, "weights": run.weights_mark(), "table": table.to_json()})
