"""A foreign file as an ordinary run directory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from os import PathLike
from pathlib import Path

from gatescope.adopting.assembling import Assembled, assemble, embedded
from gatescope.adopting.foreign import NONE, Joined
from gatescope.adopting.formats import read
from gatescope.adopting.torch_names import Nonlinearity
from gatescope.adopting.vocabulary import read_vocabulary
from gatescope.network import predict
from gatescope.readout import Kind, Reads
from gatescope.runs import HISTORY, Run
from gatescope.tasks import Adopted, Score
from gatescope.training import Settings
from gatescope.vocabulary import Unit, Vocabulary


@dataclass(frozen=True)
class Adoption:
    """What became of a file.

    Attributes:
        run: the run directory, with the weights.
        assembled: the network, and how it came together.
        format: what the file is, in words.
        notes: everything that was assumed or left out, and a warning where the network predicts the text worse than
            the frequencies of its symbols do; one sentence each.
        score: on the text; None without one, or without a readout.
    """

    run: Run
    assembled: Assembled
    format: str
    notes: tuple[str, ...]
    score: Score | None = None


def adopt(
    path: str | PathLike[str],
    run: str | PathLike[str],
    vocabulary: Vocabulary | str | PathLike[str],
    *,
    unit: Unit | None = None,
    end: str | None = None,
    unknown: str | None = None,
    layers: Sequence[str] = (),
    embedding: str | None = None,
    readout: str | None = None,
    predicts: Kind | None = None,
    names: Sequence[str] = (),
    reads: Reads | None = None,
    directions: Joined | None = None,
    nonlinearity: Nonlinearity | None = None,
    head: Sequence[str] = (),
    head_activation: str | None = None,
    gates: str | None = None,
    ignore: Sequence[str] = (),
    text: str = "",
) -> Adoption:
    """Make a run directory of a network that was trained elsewhere. Nothing in the file is executed.

    Args:
        path: see `read` for the formats.
        run: the directory to make.
        vocabulary: the symbols, or a file of them (see `read_vocabulary`); of a network that reads numbers, their names
            (`Vocabulary(names, unit="number")`).
        unit, end, unknown: of a vocabulary that is read from a file: what a symbol is; the one that ends a sequence, if
            one does; the one that was learned for unknown ones.
        layers, embedding, readout, predicts, names, reads, directions: which parts of the file belong to the network,
            and what they mean, where that is not clear; see `assemble`.
        head, head_activation, gates, ignore: as of `assemble`, too.
        nonlinearity: of simple recurrent networks, which files of weights do not say.
        text: something that the network can read, for scores and studies.

    Raises:
        AdoptingError: the file or the vocabulary cannot be read, or what is meant is not clear.
        RunError, TaskError: the run directory is taken, or the text is not of the vocabulary.
        ImportError: the format needs an extra.
    """
    foreign = read(Path(path), nonlinearity)
    if isinstance(vocabulary, Vocabulary):
        symbols, said = vocabulary, list[str]()
    else:
        rows = embedded(foreign, layers, embedding)
        symbols, said = read_vocabulary(Path(vocabulary), end, unit=unit, other=unknown, rows=rows)
    assembled = assemble(
        foreign,
        symbols,
        layers=layers,
        embedding=embedding,
        readout=readout,
        predicts=predicts,
        names=names,
        reads=reads,
        directions=directions,
        head=head,
        head_activation=head_activation,
        gates=gates,
        ignore=ignore,
    )
    notes = (*said, *assembled.notes)
    task = Adopted(symbols, Path(path).name, text, notes, assembled.network.configuration.readout)
    score = None if assembled.readout == NONE else task.score(partial(predict, assembled.network))
    if score is not None and not math.isnan(score.value):
        task = task.scored(score)
    made = Run.create(run, assembled.network.configuration, task, asdict(Settings.recommended(task)))
    made.save_weights(assembled.network.state_dict(), 0)
    measured = {} if task.measured is None else {"score": task.measured.to_json()}
    made.append(HISTORY, {"step": 0, "seconds": 0.0, "event": "end", "reason": "adopted", **measured})
    return Adoption(made, assembled, foreign.format, tuple(task.notes), task.measured)
