"""What a study is about: a run's network on a text that it was not trained on, with the features of that text.

The command line and the explorer ask the same questions of a run; the answers that take longer are kept in its
directory, with a mark of the weights that they are about.
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
from gatescope.runs import STUDIES, Run, RunError
from gatescope.sources import parts_of
from gatescope.studies.common.steps import Steps
from gatescope.studies.common.table import StudyError, Table
from gatescope.tasks import Task, Text
from gatescope.tasks.base.strings import StringTask
from gatescope.trace import Trace

FORMAT = 1  # of the tables that are kept; to be raised when a column is added that readers rely on
OF_TEXT = 100_000  # characters, at most
OF_STRINGS = 4_000  # of strings there are only so many different ones


@dataclass(frozen=True)
class Subject:
    """A network, and a text to study it on.

    Attributes:
        run: where the network comes from.
        network: with the run's best weights, or those of a checkpoint.
        task: what it learned.
        text: what it reads.
        families: whose features of the text are taken.
    """

    run: Run
    network: Network
    task: Task
    text: str
    families: Sequence[Family]

    @contextmanager
    def trace(self, progress: Callable[[int, int], None] | None = None) -> Iterator[Trace]:
        """Every signal on the text, without drives."""
        with recorded(self.network, self.text, progress=progress, answers=self.task.answers) as trace:
            yield trace

    @cached_property
    def layers(self) -> list[str]:
        """layer0, layer0_reverse, layer1, ..."""
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
    """The subject of studies of a run.

    Args:
        run: a run directory.
        text: what to read; a part of what the task keeps from training when None.
        characters: how much of that; 4,000 of strings, 100,000 of anything else when None.
        lexer: a name of Pygments, if the text is a program; by the names of the task's files when None.
        families: whose features to take; those that fit the text, and the task's own, when None.
        more: families besides these.
        checkpoint: whose weights; the best when None.

    Raises:
        StudyError: fewer than one character.
        RunError, TaskError, FeatureError: the run or its text cannot be read, or there is no such lexer.
    """
    if characters is not None and characters < 1:
        raise StudyError("STUDY_NUMBER_TOO_SMALL", things="characters", least=1, number=characters)
    network, _ = run.network(checkpoint)
    task = run.task()
    if text is None:
        text = task.held_out(characters or (OF_STRINGS if isinstance(task, StringTask) else OF_TEXT))
    if families is None:
        configuration = network.configuration
        families = choose(
            text, lexer or _lexer_of(task), vocabulary=configuration.vocabulary, readout=configuration.readout
        )
        if task.quantity_titles:
            families = [from_quantities(task.quantities, task.quantity_titles), *families]
    return Subject(run, network, task, text, [*families, *more])


def features_of(about: Subject, trace: Trace) -> list[Feature]:
    """The features of a subject's text at every place of its trace."""
    in_words = about.network.configuration.vocabulary.in_words
    return Steps(trace).features(about.families, parts_of(about.network, about.text) if in_words else None)


def _lexer_of(task: Task) -> str | None:
    """The lexer for the files of a text, where all of them are of one language."""
    if not isinstance(task, Text):
        return None
    if task.paths is None:
        return "python"
    found = {tokens.lexer_of(path) for path in task.paths}
    return found.pop() if len(found) == 1 else None


def weights_mark(run: Run) -> str:
    """What changes whenever the run's best weights do.

    Raises:
        RunError: there are no weights, or they cannot be read.
    """
    return run.weights_mark()


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
        if content["format"] != FORMAT or content["weights"] != weights_mark(run):
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
    run.save_study(name, {"format": FORMAT, "weights": weights_mark(run), "table": table.to_json()})
