"""Run directories of networks that were trained elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Unpack

from gatescope.adopting.assembling import Assembled, AssembleOptions, assemble
from gatescope.adopting.embeddings import embedded_symbols
from gatescope.adopting.foreign import NONE, AdoptingError, Foreign, Joined
from gatescope.adopting.formats import read
from gatescope.adopting.symbol_files import read_vocabulary
from gatescope.adopting.torch_names import Nonlinearity
from gatescope.network import Network, predict
from gatescope.readout import Kind, Reads
from gatescope.runs import HISTORY, Run
from gatescope.tasks import Adopted, Score
from gatescope.training import Settings
from gatescope.vocabulary import Unit, Vocabulary

File = str | PathLike[str]


class AdoptOptions(AssembleOptions, total=False):
    """The options of `adopt`, for functions that hand them on."""

    unit: Unit | None
    end: str | None
    unknown: str | None
    text: str


@dataclass(frozen=True)
class Adoption:
    """The result of an adoption.

    Attributes:
        run: the run directory, with the weights.
        assembled: the network, and the parts of the file it was made of.
        format: the format of the file, in words.
        notes: everything that was assumed or left out, and a warning if the network predicts the text worse than the
            frequencies of its symbols do; one sentence each.
        score: the score on the text; None without a text or without a readout.
    """

    run: Run
    assembled: Assembled
    format: str
    notes: tuple[str, ...]
    score: Score | None = None


def adopt(
    path: File,
    run: File,
    vocabulary: Vocabulary | File,
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

    `from_torch`, `from_keras`, `from_onnx` and `from_safetensors` do the same for one format; the first two also take a
    model that is in memory.

    Args:
        path: the file; see `read` for the formats.
        run: the directory to make.
        vocabulary: the symbols, or a file of them (see `read_vocabulary`). For a network that reads numbers, the names
            of the numbers: `Vocabulary(names, unit="number")`.
        unit: what a symbol of a vocabulary file is: a character, word or token.
        end: the symbol of a vocabulary file that ends a sequence.
        unknown: the symbol of a vocabulary file that was learned for unknown ones.
        layers: the recurrent layers to take, from the input upwards; see `assemble`.
        embedding: the name of the embedding, or "one-hot".
        readout: the name of the readout, or "none".
        predicts: what the rows of the readout stand for: "symbols", "classes" or "numbers".
        names: the names of the classes or numbers.
        reads: when the readout is read: "every step" or "last step".
        directions: how the readout reads two directions: "concat", "sum" or "average".
        nonlinearity: activation of simple recurrent layers. Weight files do not record it.
        head: the hidden layers of the readout, from the recurrent layers upwards.
        head_activation: the activation of the hidden layers, one name for all or one each, separated by commas.
        gates: the order of the gates, if the names of the arrays do not show it.
        ignore: names, or patterns of names, of arrays that are no part of the network.
        text: a text that the network can read, for scores and studies.

    Returns:
        The run, and how the network came together.

    Raises:
        AdoptingError: the file or the vocabulary cannot be read, or an answer is missing.
        RunError: the run directory is taken.
        TaskError: the text has no symbol of the vocabulary.
        ImportError: the format needs an extra that is not installed.
    """
    place = checked_path(path, "adopt")
    return make_run(
        read(place, nonlinearity),
        place.name,
        run,
        vocabulary,
        unit=unit,
        end=end,
        unknown=unknown,
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
        text=text,
    )


def checked_path(path: object, function: str) -> Path:
    """Return the path of a file.

    Args:
        path: what the caller gave.
        function: the public function it was given to.

    Raises:
        AdoptingError: it is no path, such as a model that is in memory.
    """
    if not isinstance(path, str | PathLike):
        raise AdoptingError("SOURCE_NO_PATH", function=function, kind=type(path).__name__)
    return Path(path)


def make_run(
    foreign: Foreign,
    source: str,
    run: File,
    vocabulary: Vocabulary | File,
    *,
    unit: Unit | None = None,
    end: str | None = None,
    unknown: str | None = None,
    text: str = "",
    **answers: Unpack[AssembleOptions],
) -> Adoption:
    """Make a run directory of the weights of a file or model.

    Args:
        foreign: the weights.
        source: the name of the file or model.
        run: see `adopt`, as for the arguments below.
        vocabulary: the symbols, or a file of them.
        unit: what a symbol of a vocabulary file is.
        end: the symbol that ends a sequence.
        unknown: the symbol for unknown ones.
        text: a text for scores and studies.
        **answers: the arguments of `assemble`.

    Raises:
        AdoptingError: the vocabulary cannot be read, or an answer is missing.
        RunError: the run directory is taken.
        TaskError: the text has no symbol of the vocabulary.
    """
    if isinstance(vocabulary, Vocabulary):
        symbols, notes = vocabulary, list[str]()
    else:
        rows = embedded_symbols(foreign, answers.get("layers", ()), answers.get("embedding"))
        symbols, notes = read_vocabulary(Path(vocabulary), end, unit=unit, unknown=unknown, rows=rows)
    assembled = assemble(foreign, symbols, **answers)
    task = Adopted(symbols, source, text, [*notes, *assembled.notes], assembled.network.configuration.readout)
    if assembled.readout != NONE:
        score = task.score(partial(predict, assembled.network))
        task = task if math.isnan(score.value) else task.scored(score)
    made = write_run(run, assembled.network, task)
    return Adoption(made, assembled, foreign.format, tuple(task.notes), task.measured)


def write_run(path: File, network: Network, task: Adopted) -> Run:
    """Write a network into a run directory.

    Args:
        path: the directory to make.
        network: the network, with its weights.
        task: its task.

    Raises:
        RunError: the run directory is taken, or cannot be written.
    """
    run = Run.create(path, network.configuration, task, asdict(Settings.recommended(task)))
    run.save_weights(network.state_dict(), 0)
    score = {} if task.measured is None else {"score": task.measured.to_json()}
    run.append(HISTORY, {"step": 0, "seconds": 0.0, "event": "end", "reason": "adopted", **score})
    return run
