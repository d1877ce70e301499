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
from gatescope.engine import Intervention, State, initial_state
from gatescope.engine.native import unserved
from gatescope.errors import GatescopeError
from gatescope.network import PIECE, Network, evaluating, padded
from gatescope.storage import Writer, open_trace
from gatescope.text import PADDING, Ids
from gatescope.trace import FORMAT, Trace
from gatescope.version import __version__

Recordable = str | Sequence[Ids]

IN_MEMORY = 2 << 30  # bytes of a trace that are not put on disk


class RecordingError(GatescopeError):
    """There is nothing to record, or it cannot be recorded so; the message says what to change."""


def sequences_of(network: Network, source: Recordable) -> list[Ids]:
    """The ids of the sequences of a text (it is cut behind each end mark), or ids as they are.

    Raises:
        RecordingError: the text is empty.
    """
    vocabulary = network.configuration.vocabulary
    found = [vocabulary.encode(part) for part in vocabulary.split(source)] if isinstance(source, str) else source
    if not found or not all(len(ids) for ids in found):
        raise RecordingError("there is nothing to record: the text is empty. Give at least one character.")
    return list(found)


def record(
    network: Network,
    source: Recordable,
    *,
    drives: bool = True,
    top: int = 5,
    interventions: Sequence[Intervention] = (),
) -> Trace:
    """Run a network and keep every signal of every neuron at every step, checked.

    Args:
        network: any network; it is not changed.
        source: a text, or sequences of ids. A text is cut behind each end mark of the network's vocabulary; every
            sequence starts from the initial state.
        drives: whether the trace keeps the drives, without which most equations cannot be checked again from the
            trace alone. They are checked while recording in any case.
        top: how many of the most probable next symbols are kept.
        interventions: changes made while it runs. The equation of a signal that is changed does not hold there, and
            the residual says so.

    Returns:
        A trace in memory, in the network's precision, with `attributes["residual"]`.

    Raises:
        RecordingError: there is nothing to record.
    """
    pieces = list(record_pieces(network, source, drives=drives, top=top, interventions=interventions))
    first = pieces[0]
    steps = {name: np.concatenate([piece.steps[name] for piece in pieces], axis=1) for name in first.steps}
    layers = {
        layer: {name: np.concatenate([piece[layer][name] for piece in pieces], axis=1) for name in signals}
        for layer, signals in first.layers.items()
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
        for piece in record_pieces(network, sequences, drives=drives, top=top):
            writer.append(piece)
            done += int(piece.lengths.sum())
            seen.append(piece.attributes["residual"])
            if progress is not None:
                progress(done, total)
        writer.finish(residual=max(seen))
    return open_trace(directory)


@contextmanager
def recorded(
    network: Network, source: Recordable, *, progress: Callable[[int, int], None] | None = None
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
        yield record(network, sequences, drives=False, top=1)
        return
    with TemporaryDirectory(prefix="gatescope-") as folder:
        # Single precision: of a gate near 1, half precision would leave little of how near.
        yield record_to(folder, network, sequences, drives=False, top=1, dtype="float32", progress=progress)


def record_pieces(
    network: Network,
    source: Recordable,
    *,
    drives: bool = True,
    top: int = 5,
    interventions: Sequence[Intervention] = (),
) -> Iterator[Trace]:
    """The trace of all sequences side by side, in pieces of steps that follow each other.

    Each piece is a trace of its own: its initial state is where the piece before ended. It was checked with the
    weights, drives included, and says so in `attributes["residual"]`.
    """
    if network.configuration.reads != "every step":
        raise RecordingError(
            "this network predicts once, after the last step; recording it needs one that always does."
        )
    tokens, lengths = padded(sequences_of(network, source))
    targets = np.concatenate([tokens[:, 1:], np.full((len(tokens), 1), PADDING, np.int32)], axis=1)
    attributes, weights = describe(network, interventions), weights_of(network)
    names = [(*layer.cell.signals, *layer.cell.drives) for layer in network.configuration.layers]
    state: Sequence[State] | None = None
    # Interventions name steps of the whole text, so they are run in one piece.
    size = tokens.shape[1] if interventions else max(1, PIECE // len(tokens))
    for start in range(0, tokens.shape[1], size):
        part = slice(start, start + size)
        with torch.inference_mode(), evaluating(network):
            ids = torch.from_numpy(tokens[:, part]).long().t()
            output = network(ids, state, keep=names, interventions=interventions)
        left = np.clip(lengths - start, 0, len(ids))
        behind = np.arange(len(ids)) >= left[:, None]
        piece = Trace(
            lengths=left,
            steps=_predictions(output.logits, tokens[:, part], targets[:, part], top, behind),
            layers={f"layer{k}": _blanked(signals, behind) for k, signals in enumerate(output.signals)},
            initial={f"layer{k}": _initial(network, state, k, len(tokens)) for k in range(len(names))},
            parameters={f"layer{k}": _neuron_weights(network, k) for k in range(len(names))},
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
    layers = {
        f"layer{k}": {"cell": layer.cell.to_json(), "neurons": layer.neurons, "arrays": arrays_of(layer.cell)}
        for k, layer in enumerate(network.configuration.layers)
    }
    return {
        "format": FORMAT,
        "version": __version__,
        "engine": _engine_of(network, interventions),
        "precision": precision,
        "tolerance": TOLERANCES[precision],
        "vocabulary": network.configuration.vocabulary.to_json(),
        "layers": layers,
    }


def _engine_of(network: Network, interventions: Sequence[Intervention]) -> str:
    """The engine that runs the network; where its layers differ, one for each."""
    engines = []
    for k, layer in enumerate(network.configuration.layers):
        parameters = network.parameters_of(k)
        changes = [one for one in interventions if one.layer == k]
        # The biases stand for what the layer reads: of the same precision, in the same place.
        engines.append("plain" if unserved(layer.cell, parameters, parameters.biases, {}, changes) else "native")
    return engines[0] if len(set(engines)) == 1 else ", ".join(engines)


def arrays_of(cell: Cell) -> dict[str, dict[str, Any]]:
    """Of each signal and drive: its long name, its range (null for a side without bound) and its formula."""
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
        f"layer{k}": {name: value.detach().numpy() for name, value in network.parameters_of(k).by_name().items()}
        for k in range(len(network.configuration.layers))
    }
    if network.embedding is not None:
        found["layer0"]["embedding"] = network.embedding.detach().numpy()
    return found


def _predictions(
    logits: Tensor, tokens: NDArray[Any], targets: NDArray[Any], top: int, behind: NDArray[Any]
) -> dict[str, NDArray[Any]]:
    """What was predicted after every step: logits (T, S, V), ids (S, T) -> the arrays of steps."""
    log_probabilities = logits.log_softmax(2).transpose(0, 1)
    best = log_probabilities.topk(min(top, logits.shape[2]), dim=2)
    asked = (targets != PADDING) & (targets < logits.shape[2])
    chosen = torch.from_numpy(np.where(asked, targets, 0)).long().unsqueeze(2)
    told = log_probabilities.gather(2, chosen).squeeze(2).numpy()
    return {
        "token": tokens,
        "target": targets,
        "log_probability": np.where(asked, told, np.nan).astype(told.dtype),
        "top_token": np.where(behind[..., None], PADDING, best.indices.numpy()).astype(np.int32),
        "top_probability": np.where(behind[..., None], np.nan, best.values.exp().numpy()).astype(told.dtype),
    }


def _blanked(signals: Mapping[str, Tensor], behind: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Arrays (T, S, N) of the engine as (S, T, N), NaN behind the end of each sequence."""
    found = {name: np.ascontiguousarray(values.transpose(0, 1).numpy()) for name, values in signals.items()}
    for array in found.values():
        array[behind] = np.nan
    return found


def _initial(network: Network, state: Sequence[State] | None, layer: int, rows: int) -> dict[str, NDArray[Any]]:
    about = network.configuration.layers[layer]
    if state is None:
        start = initial_state(about.cell, network.readout_biases.detach(), rows, about.neurons)
        return {name: values.numpy() for name, values in start.items()}
    return {name: values.numpy() for name, values in state[layer].items()}


def _neuron_weights(network: Network, layer: int) -> dict[str, NDArray[Any]]:
    values = network.parameters_of(layer).neuron_weights.detach().numpy()
    cell = network.configuration.layers[layer].cell
    return {f"p.{name}": values[k] for k, name in enumerate(cell.tape.parameters)}


def _without_drives(signals: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name: array for name, array in signals.items() if "." not in name}
