"""Network and text in, trace out.

`S` sequence, `T` step, `N` neuron, `V` symbol, `K` rank.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import isinf
from os import PathLike
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatescope.cells import Cell
from gatescope.checking import TOLERANCES, Report, check
from gatescope.engine import Intervention, State
from gatescope.engine.interventions import in_numbered_layers
from gatescope.engine.native import unserved
from gatescope.errors import GatescopeError
from gatescope.network import PIECE, Configuration, Network, evaluating, padded, predictions_of
from gatescope.readings import ReadingError, readings, texts_in
from gatescope.readout import Readout
from gatescope.storage import Writer, open_trace, pieces_of
from gatescope.trace import FORMAT, Trace
from gatescope.version import __version__
from gatescope.vocabulary import PADDING, Ids, Reading

Recordable = str | Sequence[Any] | NDArray[Any] | Tensor
"""A text, several texts, or sequences of ids or numbers in arrays, tensors or lists; `readings` checks them."""
Answers = Callable[[str], NDArray[Any] | None]
"""Of the text of one sequence what should have been said after each step, where that is known: (T,) ids of symbols or
classes, -1 where nothing is asked, or (T, O) numbers, NaN where nothing is asked."""

IN_MEMORY = 2 << 30  # bytes of a trace that are not put on disk
PREDICTED_VALUES = 1 << 24  # predictions of one piece of steps, all symbols of all sequences: bounds memory


class RecordingError(GatescopeError):
    """There is nothing to record, or it cannot be recorded so; the message says what to change."""


def parts_of(network: Network, text: str) -> list[str]:
    """The sequences of a text: it is cut behind each end mark. A network that answers at the end mark is given one."""
    return parts_for(network.configuration, text)


def parts_for(configuration: Configuration, text: str) -> list[str]:
    """Cut a text into its sequences as `parts_of` does, before there is a network with weights."""
    vocabulary = configuration.vocabulary
    end = vocabulary.end
    if end is not None and configuration.readout.reads == "last step" and text.strip() and not text.endswith(end):
        text += end
    return vocabulary.split(text)


def sequences_of(network: Network, source: Recordable) -> list[Reading]:
    """What the network reads of the sequences of a text, of several texts, or of arrays of ids or numbers.

    Raises:
        RecordingError: the text is empty, does not hold the numbers that the network reads, or ids do not exist.
    """
    _expect_network(network)
    vocabulary, parts = network.configuration.vocabulary, _parts(network, source)
    try:
        found = readings(vocabulary, source) if parts is None else [vocabulary.encode(part) for part in parts]
    except ValueError as error:
        raise RecordingError(str(error)) from error
    if not found or not all(len(sequence) for sequence in found):
        raise RecordingError("RECORDING_NOTHING_RECORD_TEXT_EMPTY")
    return found


def _expect_network(network: object) -> None:
    if not isinstance(network, Network):
        raise RecordingError("RECORDING_NETWORK_NETWORK_RUN_RUN", name=type(network).__name__)


def _parts(network: Network, source: Recordable) -> list[str] | None:
    """The sequences of a text, or of each of several texts; None where no texts were given.

    Raises:
        RecordingError: one of several texts is empty, or not everything is a text.
    """
    try:
        texts = texts_in(source)
    except ReadingError as error:
        raise RecordingError(str(error)) from error
    if texts is None:
        return None
    parts = [parts_of(network, text) for text in texts]
    if len(parts) > 1 and not all(parts):
        empty = next(k for k, each in enumerate(parts) if not each)
        raise RecordingError("RECORDING_TEXT_LIST_LEAST_SYMBOL", empty=empty)
    return [part for each in parts for part in each]


def symbols_of(network: Network, source: Recordable) -> list[Ids]:
    """The ids of the sequences of a text, or ids as they are: `sequences_of` for what needs symbols.

    Raises:
        RecordingError: as `sequences_of`, or the network reads numbers.
    """
    if network.configuration.vocabulary.unit == "number":
        raise RecordingError("RECORDING_NETWORK_READS_NUMBERS_NEEDS")
    return sequences_of(network, source)  # type: ignore[return-value]


def targets_of(network: Network, source: Recordable, sequences: Sequence[Reading], answers: Answers | None) -> Reading:
    """What should have been said after each step of the sequences of a source: (S, T), or (S, T, O) numbers.

    Where symbols are predicted and nobody says otherwise, that is the next symbol.

    Raises:
        RecordingError: the answers are not one for each step.
    """
    readout = network.configuration.readout
    parts = None if answers is None else _parts(network, source)
    if answers is None or parts is None:
        told: list[NDArray[Any] | None] = [None] * len(sequences)
    else:
        told = [answers(part) for part in parts]
    found: list[Reading] = []
    for sequence, answer in zip(sequences, told, strict=True):
        if answer is not None and len(answer) != len(sequence):
            raise RecordingError("RECORDING_ANSWERS_GIVEN_SEQUENCE_STEPS", count=len(answer), count2=len(sequence))
        found.append(_unanswered(readout, sequence) if answer is None else answer)
    return padded(found)[0]


def _unanswered(readout: Readout, sequence: Reading) -> Reading:
    """The next symbol; of classes and numbers nothing."""
    if readout.kind == "symbols":
        return np.append(sequence[1:], np.int32(PADDING)).astype(np.int32)
    if readout.kind == "numbers":
        return np.full((len(sequence), len(readout.names)), np.nan, np.float32)
    return np.full(len(sequence), PADDING, np.int32)


def record(
    network: Network,
    source: Recordable,
    *,
    drives: bool = True,
    top: int = 5,
    interventions: Sequence[Intervention] = (),
    answers: Answers | None = None,
) -> Trace:
    """Run a network and keep every signal of every neuron at every step, checked.

    Args:
        network: any network; it is not changed.
        source: a text, a list of texts, or ids, (T,) or (S, T): arrays, tensors or lists; of a network that reads
            numbers, (T, I) or (S, T, I). A text is cut behind each end mark of the network's vocabulary; every sequence
            starts from the initial state.
        drives: whether the trace keeps the drives, without which most equations cannot be checked again from the
            trace alone. They are checked while recording in any case.
        top: how many of the most probable next symbols are kept.
        interventions: changes made while it runs. The equation of a signal that is changed does not hold there, and
            the residual says so.
        answers: what should have been said; the next symbol when not given.

    Returns:
        A trace in memory, in the network's precision, with `attributes["residual"]`.

    Raises:
        RecordingError: there is nothing to record.
    """
    pieces = list(record_pieces(network, source, drives=drives, top=top, interventions=interventions, answers=answers))
    first = pieces[0]
    if len(pieces) == 1:
        return first
    steps = {name: np.concatenate([piece.steps[name] for piece in pieces], axis=1) for name in first.steps}
    # Each array of the pieces is let go as soon as it is joined: otherwise a long trace would be there twice.
    parts = [{layer: dict(signals) for layer, signals in piece.layers.items()} for piece in pieces]
    pieces = [replace(piece, layers={}) for piece in pieces]
    first = pieces[0]
    layers = {
        layer: {name: np.concatenate([part[layer].pop(name) for part in parts], axis=1) for name in [*signals]}
        for layer, signals in parts[0].items()
    }
    lengths = np.sum([piece.lengths for piece in pieces], axis=0)
    residual = max(piece.attributes["residual"] for piece in pieces)
    return replace(
        first, lengths=lengths, steps=steps, layers=layers, attributes={**first.attributes, "residual": residual}
    )


def record_to(
    directory: str | PathLike[str],
    network: Network,
    source: Recordable,
    *,
    drives: bool = True,
    top: int = 5,
    dtype: str = "float16",
    overwrite: bool = False,
    progress: Any = None,
    answers: Answers | None = None,
) -> Trace:
    """Record straight to disk, piece by piece: for texts whose trace does not fit in memory.

    Args:
        directory: where the trace goes; see docs/trace.md.
        dtype: how the signals are stored, "float16" or "float32".
        overwrite: whether a trace that is already there may be replaced.
        progress: called with the number of steps written after each piece, and the number of all.

    Returns:
        The trace, read lazily from the directory.

    Raises:
        RecordingError, TraceError: there is nothing to record, or the directory cannot be used.
    """
    sequences = sequences_of(network, source)
    total, done, seen = sum(map(len, sequences)), 0, []
    with Writer(directory, dtype=dtype, overwrite=overwrite) as writer:
        for piece in record_pieces(network, source, drives=drives, top=top, answers=answers):
            for part in pieces_of(piece):  # of a network that reads from the end, too, one piece is all of it
                writer.append(part)
            done += int(piece.lengths.sum())
            seen.append(piece.attributes["residual"])
            if progress is not None:
                progress(done, total)
        writer.finish(residual=max(seen))
    return open_trace(directory)


@contextmanager
def recorded(
    network: Network,
    source: Recordable,
    *,
    progress: Callable[[int, int], None] | None = None,
    answers: Answers | None = None,
) -> Iterator[Trace]:
    """A trace without drives that is there inside the block: in memory, or, where it is larger than 2 GB, on disk.

    Args:
        progress: called with the number of steps recorded, and the number of all, where there are several pieces.

    Raises:
        RecordingError, TraceError: there is nothing to record, or no room for it.
    """
    sequences = sequences_of(network, source)
    values = sum(len(layer.cell.signals) * layer.neurons for layer in network.configuration.layers)
    precision = network.readout_biases.element_size()
    if len(sequences) * max(map(len, sequences)) * values * precision <= IN_MEMORY:
        yield record(network, source, drives=False, top=1, answers=answers)
        return
    with TemporaryDirectory(prefix="gatescope-") as folder:
        # Single precision: of a gate near 1, half precision would leave little of how near.
        yield record_to(
            folder, network, source, drives=False, top=1, dtype="float32", progress=progress, answers=answers
        )


def record_pieces(
    network: Network,
    source: Recordable,
    *,
    drives: bool = True,
    top: int = 5,
    interventions: Sequence[Intervention] = (),
    answers: Answers | None = None,
) -> Iterator[Trace]:
    """The trace of all sequences side by side, in pieces of steps that follow each other.

    A network that reads out once is read out at every step as well: what it would say if the sequence ended there. One
    that also reads from the end would have to be run anew for that, and says something at the last step only.

    Each piece is a trace of its own: its initial state is where the piece before ended. It was checked with the
    weights, drives included, and says so in `attributes["residual"]`.
    """
    sequences = sequences_of(network, source)
    configuration = network.configuration
    read, lengths = padded(sequences)
    targets = targets_of(network, source, sequences, answers)
    attributes, weights = describe(network, interventions), weights_of(network)
    names = [(*layer.cell.signals, *layer.cell.drives) for layer in configuration.layers]
    state: Sequence[State] | None = None
    # Interventions name steps of the whole text, and who reads from the end needs all of it: these run in one piece.
    whole = bool(interventions) or configuration.both_ways
    once = configuration.both_ways and configuration.readout.reads == "last step"
    steps_of_piece = min(PIECE, max(1, PREDICTED_VALUES // configuration.predicted))
    size = read.shape[1] if whole else max(1, steps_of_piece // len(read))
    for start in range(0, read.shape[1], size):
        part = slice(start, start + size)
        left = np.clip(lengths - start, 0, read[:, part].shape[1])
        behind = np.arange(read[:, part].shape[1]) >= left[:, None]
        numbers = read.ndim == 3
        with torch.inference_mode(), evaluating(network):
            steps = torch.from_numpy(np.where(behind[..., None], 0, read[:, part]) if numbers else read[:, part])
            output = network(
                (steps.to(network.readout_biases.dtype) if numbers else steps.long()).transpose(0, 1),
                state,
                lengths=torch.from_numpy(left) if configuration.both_ways else None,
                keep=names,
                interventions=interventions,
                reads="last step" if once else "every step",
            )
            told = _told(configuration, output.logits, left).transpose(0, 1)
        piece = Trace(
            lengths=left,
            steps=_steps(configuration, read[:, part], targets[:, part], told, top, behind),
            layers={name: _blanked(output.signals[k], behind) for k, name in enumerate(configuration.names)},
            initial={name: _initial(network, state, k, len(read)) for k, name in enumerate(configuration.names)},
            parameters={name: _neuron_weights(network, k) for k, name in enumerate(configuration.names)},
            attributes=attributes,
        )
        state = output.state
        residual = check(piece, weights).largest
        if not drives:
            kept = {layer: _without_drives(signals) for layer, signals in piece.layers.items()}
            piece = replace(piece, layers=kept)
        yield replace(piece, attributes={**attributes, "residual": residual})


def check_with(network: Network, trace: Trace) -> Report:
    """`check`, with the drives recomputed from the network's weights as well."""
    return check(trace, weights_of(network))


def describe(network: Network, interventions: Sequence[Intervention] = ()) -> dict[str, Any]:
    """The attributes of every trace of a network that runs with these interventions; docs/trace.md lists them."""
    precision = str(network.readout_biases.dtype).removeprefix("torch.")
    configuration = network.configuration
    layers = {
        name: {"cell": layer.cell.to_json(), "neurons": layer.neurons, "arrays": arrays_of(layer.cell)}
        for name, layer in zip(configuration.names, configuration.layers, strict=True)
    }
    return {
        "format": FORMAT,
        "version": __version__,
        "engine": _engine_of(network, interventions),
        "precision": precision,
        "tolerance": TOLERANCES[precision],
        "vocabulary": configuration.vocabulary.to_json(),
        "readout": configuration.readout.to_json(),
        "layers": layers,
    }


def _engine_of(network: Network, interventions: Sequence[Intervention]) -> str:
    """The engine that runs the network; where its layers differ, one for each."""
    engines = []
    interventions = in_numbered_layers(interventions, network.configuration.names)
    for k, layer in enumerate(network.configuration.layers):
        parameters = network.parameters_of(k)
        changes = [one for one in interventions if one.layer == k]
        # The biases stand for what the layer reads: of the same precision, in the same place.
        engines.append("plain" if unserved(layer.cell, parameters, parameters.biases, {}, changes) else "native")
    return engines[0] if len(set(engines)) == 1 else ", ".join(engines)


def arrays_of(cell: Cell) -> dict[str, dict[str, Any]]:
    """Return the long name, range (null for an open side) and formula of each signal and drive."""
    found: dict[str, dict[str, Any]] = {}
    for name in cell.signals:
        bounds = [None if isinf(bound) else bound for bound in cell.tape.ranges[name]]
        found[name] = {"title": cell.title_of(name), "range": bounds, "formula": cell.formula(name)}
    for drive in cell.drives:
        source, name = drive.split(".", 1)
        of = f"the {cell.titles[name]}" if name in cell.titles else name
        title = f"{'input' if source == 'x' else 'recurrent'} drive of {of}"
        found[drive] = {"title": title, "range": [None, None], "formula": cell.formula(drive)}
    return found


def weights_of(network: Network) -> dict[str, dict[str, NDArray[Any]]]:
    """The arrays that `check` recomputes drives from, by layer."""
    found = {
        layer: {name: value.detach().numpy() for name, value in network.parameters_of(k).by_name().items()}
        for k, layer in enumerate(network.configuration.names)
    }
    if network.embedding is not None:
        for k in network.configuration.levels[0]:
            found[network.configuration.names[k]]["embedding"] = network.embedding.detach().numpy()
    return found


def _told(configuration: Configuration, logits: Tensor, left: NDArray[Any]) -> Tensor:
    """What was predicted after every step, (T, S, V): NaN but at the last step of each sequence, where it is one."""
    told = predictions_of(configuration, logits)
    if told.ndim == 3:
        return told
    everywhere = told.new_full((int(left.max(initial=0)), *told.shape), torch.nan)
    everywhere[torch.from_numpy(left) - 1, torch.arange(len(left))] = told
    return everywhere


def _steps(
    configuration: Configuration,
    read: Reading,
    targets: Reading,
    told: Tensor,
    top: int,
    behind: NDArray[np.bool_],
) -> dict[str, NDArray[Any]]:
    """The arrays of steps: what was read, what was predicted, (S, T, V), and what should have been."""
    steps: dict[str, NDArray[Any]] = {"token": read}
    if read.ndim == 3:
        steps = {"token": np.full(read.shape[:2], PADDING, np.int32), "input": read}
    if configuration.readout.kind == "numbers":
        return {**steps, "value": targets, "estimate": np.where(behind[..., None], np.nan, told.numpy())}
    best = told.nan_to_num(-torch.inf).topk(min(top, told.shape[2]), dim=2)
    asked = (targets != PADDING) & (targets < told.shape[2])
    chosen = torch.from_numpy(np.where(asked, targets, 0)).long().unsqueeze(2)
    said = told.gather(2, chosen).squeeze(2).numpy()
    silent = behind | told[..., 0].isnan().numpy()
    return {
        **steps,
        "target": targets,
        "log_probability": np.where(asked, said, np.nan).astype(said.dtype),
        "top_token": np.where(silent[..., None], PADDING, best.indices.numpy()).astype(np.int32),
        "top_probability": np.where(silent[..., None], np.nan, best.values.exp().numpy()).astype(said.dtype),
    }


def _blanked(signals: Mapping[str, Tensor], behind: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Arrays (T, S, N) of the engine as (S, T, N), NaN behind the end of each sequence."""
    found = {name: np.ascontiguousarray(values.transpose(0, 1).numpy()) for name, values in signals.items()}
    for array in found.values():
        array[behind] = np.nan
    return found


def _initial(network: Network, state: Sequence[State] | None, layer: int, rows: int) -> dict[str, NDArray[Any]]:
    start = network.initial_states(rows) if state is None else state
    return {name: values.numpy() for name, values in start[layer].items()}


def _neuron_weights(network: Network, layer: int) -> dict[str, NDArray[Any]]:
    values = network.parameters_of(layer).neuron_weights.detach().numpy()
    cell = network.configuration.layers[layer].cell
    return {f"p.{name}": values[k] for k, name in enumerate(cell.tape.parameters)}


def _without_drives(signals: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name: array for name, array in signals.items() if "." not in name}
