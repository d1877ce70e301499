"""A foreign file as an ordinary run directory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path

from gatescope.adopting.assembling import Assembled, assemble, embedded
from gatescope.adopting.foreign import Joined
from gatescope.adopting.formats import read
from gatescope.adopting.torch_names import Nonlinearity
from gatescope.adopting.vocabulary import read_vocabulary
from gatescope.readout import Kind, Reads
from gatescope.runs import HISTORY, Run
from gatescope.tasks import Adopted
from gatescope.text import Unit, Vocabulary
from gatescope.training import Settings


@dataclass(frozen=True)
class Adoption:
    """What became of a file.

    Attributes:
        run: the run directory, with the weights.
        assembled: the network, and how it came together.
        format: what the file is, in words.
        notes: everything that was assumed or left out, one sentence each.
    """

    run: Run
    assembled: Assembled
    format: str
    notes: tuple[str, ...]


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
        layers, embedding, readout, predicts, names, reads, directions: which parts of the file, and what they mean,
            where it is not clear; see `assemble`.
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
    )
    notes = (*said, *assembled.notes)
    task = Adopted(symbols, Path(path).name, text, notes, assembled.network.configuration.readout)
    made = Run.create(run, assembled.network.configuration, task, asdict(Settings.recommended(task)))
    made.save_weights(assembled.network.state_dict(), 0)
    made.append(HISTORY, {"step": 0, "seconds": 0.0, "event": "end", "reason": "adopted"})
    return Adoption(made, assembled, foreign.format, notes)
