"""Recording: network and text in, trace out.

`S` sequence, `T` step, `N` neuron, `V` symbol or class, `O` predicted number, `K` rank.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from math import isinf
from os import PathLike
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatescope import checking
from gatescope.cells import Cell
from gatescope.configuration import Configuration
from gatescope.engine import Intervention, State
from gatescope.engine.interventions import in_named_layers
from gatescope.engine.native import unserved
from gatescope.network import Network, Pass, padded, passes, predictions_of
from gatescope.ranking import ranked
from gatescope.sources import Answers, Recordable, sequences_of, targets_of
from gatescope.storage import Writer, open_trace, pieces_of
from gatescope.trace import FORMAT, Trace
from gatescope.version import __version__
from gatescope.vocabulary import PADDING, Reading, is_symbol

MAX_MEMORY_BYTES = 2 << 30  # of a trace that `recorded` keeps in memory
UNKEPT_STEPS = 4096  # steps of all sequences in a piece whose drives are not kept, so that its memory is used again


def record(
    network: Network,
    source: Recordable,
    *,
    drives: bool = True,
    top: int = 5,
    interventions: Sequence[Intervention] = (),
    answers: Answers | None = None,
    check: bool = True,
) -> Trace:
    """Run a network and record every signal of every neuron at every step, checked against the equations.

    Args:
        network: any network; it is not changed.
        source: a text, a list of texts, or ids (T,) or (S, T) as arrays, tensors or lists; for a network that reads
            numbers, (T, I) or (S, T, I). A text is cut after each end mark of the vocabulary; every sequence starts
            from the initial state.
        drives: true if the trace keeps the drives, without which most equations cannot be checked again from the trace
            alone. Recording itself checks them in any case.
        top: the number of most probable next symbols to record.
        interventions: changes made while the network runs; see `gatescope.engine.interventions`.
        answers: the targets of each sequence; the next symbol if None.
        check: false to leave the self-check for later: `check_with(network, trace)` makes it up, if the trace keeps
            the drives.

    Returns:
        A trace in memory, in the network's precision, with `attributes["residual"]`; None if it is unchecked.

    Raises:
        RecordingError: there is nothing to record.
        InterventionError: an intervention does not fit the network.
    """
    settings: dict[str, Any] = {"drives": drives, "top": top, "interventions": interventions, "answers": answers}
    sequences = sequences_of(network, source)
    steps_of_piece = None if drives else max(1, UNKEPT_STEPS // max(1, len(sequences)))
    pieces = record_pieces(network, source, check=check, steps_of_piece=steps_of_piece, **settings)
    first = next(pieces)
    total = max(map(len, sequences))
    return first if first.steps["token"].shape[1] == total else _joined(first, pieces, total, check)


def _joined(first: Trace, others: Iterator[Trace], total: int, checked: bool) -> Trace:
    """Join consecutive pieces of steps to one trace.

    The memory of each piece is free for the next one, so that a long trace is never in memory twice.

    Args:
        first: the first piece.
        others: the other pieces.
        total: the number of steps of all pieces.
        checked: whether the pieces were checked.
    """

    def joined(array: NDArray[Any]) -> NDArray[Any]:
        return np.empty((array.shape[0], total, *array.shape[2:]), array.dtype)

    steps = {name: joined(array) for name, array in first.steps.items()}
    layers = {layer: {name: joined(array) for name, array in arrays.items()} for layer, arrays in first.layers.items()}
    start, lengths, residuals = 0, np.zeros_like(first.lengths), []
    for piece in chain((first,), others):
        stop = start + piece.steps["token"].shape[1]
        for name, array in piece.steps.items():
            steps[name][:, start:stop] = array
        for layer, arrays in piece.layers.items():
            for name, array in arrays.items():
                layers[layer][name][:, start:stop] = array
        lengths, start = lengths + piece.lengths, stop
        residuals.append(piece.attributes["residual"])
        del piece
    attributes = {**first.attributes, "residual": max(residuals) if checked else None}
    return replace(first, lengths=lengths, steps=steps, layers=layers, attributes=attributes)


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
    """Record straight to disk, piece by piece, for texts whose trace does not fit in memory.

    Args:
        directory: where to write the trace; see docs/trace.md.
        network: any network; it is not changed.
        source: what it reads, as in `record`.
        drives: true if the trace keeps the drives.
        top: the number of most probable next symbols to record.
        dtype: the stored precision of the signals, "float16" or "float32".
        overwrite: true if a trace in this directory may be replaced.
        progress: called after each piece with the number of steps written and the number of all steps.
        answers: the targets of each sequence; the next symbol if None.

    Returns:
        The trace, read lazily from the directory.

    Raises:
        RecordingError: there is nothing to record.
        TraceError: the directory cannot be used.
    """
    sequences = sequences_of(network, source)
    total, done, residuals = sum(map(len, sequences)), 0, []
    with Writer(directory, dtype=dtype, overwrite=overwrite) as writer:
        for piece in record_pieces(network, source, drives=drives, top=top, answers=answers):
            # A network that reads from the end has only one piece, which may be large.
            for part in pieces_of(piece):
                writer.append(part)
            done += int(piece.lengths.sum())
            residuals.append(piece.attributes["residual"])
            if progress is not None:
                progress(done, total)
        writer.finish(residual=max(residuals))
    return open_trace(directory)


@contextmanager
def recorded(
    network: Network,
    source: Recordable,
    *,
    progress: Callable[[int, int], None] | None = None,
    answers: Answers | None = None,
) -> Iterator[Trace]:
    """Record a trace without drives that exists inside the block: in memory, or on disk if it is larger than 2 GB.

    Args:
        network: any network; it is not changed.
        source: what it reads, as in `record`.
        progress: called with the number of steps recorded and the number of all steps, if there are several pieces.
        answers: the targets of each sequence; the next symbol if None.

    Raises:
        RecordingError: there is nothing to record.
        TraceError: the disk has no room for the trace.
    """
    sequences = sequences_of(network, source)
    values = sum(len(layer.cell.signals) * layer.neurons for layer in network.configuration.layers)
    value_bytes = network.readout_biases.element_size()
    if len(sequences) * max(map(len, sequences)) * values * value_bytes <= MAX_MEMORY_BYTES:
        yield record(network, source, drives=False, top=1, answers=answers)
        return
    with TemporaryDirectory(prefix="gatescope-") as folder:
        # Half precision would round a gate near 1 too coarsely to show how near it is.
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
    check: bool = True,
    steps_of_piece: int | None = None,
) -> Iterator[Trace]:
    """Yield the trace of all sequences side by side, in consecutive pieces of steps.

    Each piece is a trace of its own: its initial state is the state in which the piece before ended. Each was checked
    with the weights, drives included, and has its `attributes["residual"]`; None if `check` is false.

    For many-to-one networks the readout is also evaluated at every step: the prediction if the sequence ended there. A
    network that reads from the end would have to be run again for that, and is read out at the last step only.

    Args:
        network: any network; it is not changed.
        source: what it reads, as in `record`.
        drives: true if the pieces keep the drives.
        top: the number of most probable next symbols to record.
        interventions: changes made while the network runs.
        answers: the targets of each sequence; the next symbol if None.
        check: false to leave out the self-check.
        steps_of_piece: the largest number of steps of a piece; None: as many as the memory allows.

    Raises:
        RecordingError: there is nothing to record.
    """
    sequences = sequences_of(network, source)
    configuration = network.configuration
    tokens, lengths = padded(sequences)
    targets = targets_of(network, source, sequences, answers)
    attributes = describe(network, interventions)
    weights, cells = weights_of(network) if check else {}, cells_of(network)
    parameters = {name: neuron_weights(network, k) for k, name in enumerate(configuration.names)}
    for run in passes(
        network,
        torch.from_numpy(tokens).transpose(0, 1),
        torch.from_numpy(lengths),
        keep=[(*layer.cell.signals, *layer.cell.drives) for layer in configuration.layers],
        interventions=interventions,
        reads="every step",
        most_steps=steps_of_piece,
    ):
        mask = run.mask.numpy().T
        own = {**attributes, "residual": None}
        piece = Trace(
            lengths=mask.sum(1),
            steps=step_arrays(configuration, run, tokens[:, run.steps], targets[:, run.steps], top),
            layers={name: _signals(run.output.signals[k], mask) for k, name in enumerate(configuration.names)},
            initial=_initial(network, run.state, len(tokens)),
            parameters=parameters,
            attributes=own,
        )
        if check:
            own["residual"] = checking.check(piece, weights, cells=cells).largest
        if not drives:
            piece = replace(piece, layers={layer: _without_drives(arrays) for layer, arrays in piece.layers.items()})
        yield piece
        del piece, run


def check_with(network: Network, trace: Trace) -> checking.Report:
    """Check a trace as `check` does, and recompute its drives from the network's weights as well.

    Args:
        network: the network that was recorded.
        trace: its trace.
    """
    return checking.check(trace, weights_of(network), cells=cells_of(network))


def describe(network: Network, interventions: Sequence[Intervention] = ()) -> dict[str, Any]:
    """Return the attributes of every trace of a network; docs/trace.md lists them.

    Args:
        network: any network.
        interventions: the changes with which it runs; they may decide which engine runs it.
    """
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
        "tolerance": checking.TOLERANCES[precision],
        "vocabulary": configuration.vocabulary.to_json(),
        "readout": configuration.readout.to_json(),
        "layers": layers,
    }


def _engine_of(network: Network, interventions: Sequence[Intervention]) -> str:
    """Return the engine that runs the network; one for each layer, separated by commas, if they differ."""
    engines = []
    names = network.configuration.names
    interventions = in_named_layers(interventions, names)
    for k, layer in enumerate(network.configuration.layers):
        parameters = network.parameters_of(k)
        changes = [change for change in interventions if change.layer == names[k]]
        # The biases stand in for the inputs, which have the same dtype and device.
        engines.append("plain" if unserved(layer.cell, parameters, parameters.biases, {}, changes) else "native")
    return engines[0] if len(set(engines)) == 1 else ", ".join(engines)


def arrays_of(cell: Cell) -> dict[str, dict[str, Any]]:
    """Return the long name, range (null for an open side) and formula of each signal and drive."""
    arrays: dict[str, dict[str, Any]] = {}
    for name in cell.signals:
        bounds = [None if isinf(bound) else bound for bound in cell.tape.ranges[name]]
        arrays[name] = {"title": cell.title_of(name), "range": bounds, "formula": cell.formulas[name]}
    for drive in cell.drives:
        source, name = drive.split(".", 1)
        signal = f"the {cell.titles[name]}" if name in cell.titles else name
        title = f"{'input' if source == 'x' else 'recurrent'} drive of {signal}"
        arrays[drive] = {"title": title, "range": [None, None], "formula": cell.formulas[drive]}
    return arrays


def cells_of(network: Network) -> dict[str, Cell]:
    """Return the cell of each layer."""
    configuration = network.configuration
    return {name: layer.cell for name, layer in zip(configuration.names, configuration.layers, strict=True)}


def weights_of(network: Network) -> dict[str, dict[str, NDArray[Any]]]:
    """Return the arrays from which `check` recomputes drives, by layer."""
    weights = {
        layer: {name: value.detach().numpy() for name, value in network.parameters_of(k).by_name().items()}
        for k, layer in enumerate(network.configuration.names)
    }
    if network.embedding is not None:
        for k in network.configuration.levels[0]:
            weights[network.configuration.names[k]]["embedding"] = network.embedding.detach().numpy()
    return weights


def _at_every_step(run: Pass, values: Tensor) -> Tensor:
    """Return logits or predictions as (S, T, V); NaN except at the last step if there is only that one."""
    if values.ndim == 2:
        lengths = run.mask.sum(0)
        at_last_step = values.new_full((*run.mask.shape, values.shape[1]), torch.nan)
        at_last_step[lengths - 1, torch.arange(len(lengths))] = values
        values = at_last_step
    return values.transpose(0, 1)


def step_arrays(
    configuration: Configuration, run: Pass, tokens: Reading, targets: Reading, top: int
) -> dict[str, NDArray[Any]]:
    """Return the arrays of the steps of one pass: inputs, predictions and targets, each (S, T, ...).

    Args:
        configuration: the network.
        run: the pass; only its mask and logits are read.
        tokens: the inputs of its steps, (S, T) or (S, T, I).
        targets: the targets of its steps, (S, T) or (S, T, O).
        top: the number of most probable symbols or classes.
    """
    arrays: dict[str, NDArray[Any]] = {"token": tokens}
    if tokens.ndim == 3:
        arrays = {"token": np.full(tokens.shape[:2], PADDING, np.int32), "input": tokens}
    predictions = _at_every_step(run, predictions_of(configuration, run.output.logits))
    padding = ~run.mask.numpy().T
    if configuration.readout.kind == "numbers":
        estimates = np.where(padding[..., None], np.nan, predictions.numpy())
        return {**arrays, "value": targets, "estimate": estimates}
    count = predictions.shape[2]
    # By the logits, as a network writes: rounding may make log-probabilities equal.
    best = ranked(_at_every_step(run, run.output.logits), top)
    has_target = is_symbol(targets, count)
    target_ids = torch.from_numpy(np.where(has_target, targets, 0)).long().unsqueeze(2)
    log_probs = predictions.gather(2, target_ids).squeeze(2).numpy()
    top_probabilities = predictions.gather(2, best).exp().numpy()
    unpredicted = padding | predictions[..., 0].isnan().numpy()
    return {
        **arrays,
        "target": targets,
        "log_probability": np.where(has_target, log_probs, np.nan).astype(log_probs.dtype),
        "top_token": np.where(unpredicted[..., None], PADDING, best.numpy()).astype(np.int32),
        "top_probability": np.where(unpredicted[..., None], np.nan, top_probabilities).astype(log_probs.dtype),
    }


def _signals(signals: Mapping[str, Tensor], mask: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    """Return arrays (T, S, N) of the engine as (S, T, N), with NaN for padding."""
    arrays = {name: np.ascontiguousarray(values.numpy().swapaxes(0, 1)) for name, values in signals.items()}
    if not mask.all():
        for array in arrays.values():
            array[~mask] = np.nan
    return arrays


def _initial(network: Network, state: Sequence[State] | None, rows: int) -> dict[str, dict[str, NDArray[Any]]]:
    """Return the states of each layer before the first step, (S, N) each."""
    states = network.initial_states(rows) if state is None else state
    arrays = [{name: values.numpy() for name, values in of_layer.items()} for of_layer in states]
    return dict(zip(network.configuration.names, arrays, strict=True))


def neuron_weights(network: Network, layer: int) -> dict[str, NDArray[Any]]:
    """Return the parameters "p.k" in the equations of a layer, (N,) each."""
    names = network.configuration.layers[layer].cell.tape.parameters
    values = network.parameters_of(layer).neuron_weights.detach().numpy() if names else []
    return {f"p.{name}": values[k] for k, name in enumerate(names)}


def _without_drives(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name: array for name, array in arrays.items() if "." not in name}
