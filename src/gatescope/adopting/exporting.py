"""Writing a network for other programs: a state dict or safetensors file with torch.nn's names, or an ONNX model."""

from __future__ import annotations

import io
from os import PathLike
from pathlib import Path

import torch
from safetensors.torch import save as safetensors_bytes
from torch import Tensor

from gatescope.adopting.foreign import AdoptingError, listed
from gatescope.adopting.onnx_writing import model_bytes
from gatescope.files import FileError, write_bytes
from gatescope.network import Network

FORMATS = ("torch", "safetensors", "onnx")
TORCH_CELLS = {"lstm": "LSTM", "gru": "GRU", "elman": "RNN (tanh)", "elman_relu": "RNN (relu)"}


def save(network: Network, path: str | PathLike[str], kind: str) -> list[str]:
    """Write a network.

    Args:
        network: any network whose cells the format has.
        path: the file, which is replaced.
        kind: one of FORMATS.

    Returns:
        Notes for readers of the file, one sentence each.

    Raises:
        AdoptingError: a cell is not in the format, the format is unknown, or the file cannot be written.
        ImportError: the format needs an extra.
    """
    if kind not in FORMATS:
        raise AdoptingError("EXPORTING_FORMAT_UNKNOWN", kind=kind, names=", ".join(FORMATS))
    configuration = network.configuration
    notes = _notes(network)
    if kind == "onnx":
        content = model_bytes(network)
    else:
        tensors = torch_names(network)
        modules = dict.fromkeys(TORCH_CELLS[layer.cell.name] for layer in configuration.layers)
        directions = ", bidirectional=True" if configuration.both_ways else ""
        notes.append(f"The recurrent weights are those of torch.nn.{', torch.nn.'.join(modules)}{directions}.")
        if kind == "torch":
            buffer = io.BytesIO()
            torch.save(tensors, buffer)
            content = buffer.getvalue()
        else:
            content = safetensors_bytes(tensors, {"format": "pt"})
    try:
        write_bytes(Path(path), content)
    except FileError as error:
        raise AdoptingError(error.message) from error
    return notes


def _notes(network: Network) -> list[str]:
    """Return what the inputs and outputs stand for, one sentence each."""
    vocabulary, readout = network.configuration.vocabulary, network.configuration.readout
    if vocabulary.unit == "number":
        notes = [f"A step is {vocabulary.size:,} numbers: {listed(vocabulary.symbols)}."]
    else:
        notes = [f"The vocabulary of the run has the {vocabulary.size:,} symbols; the symbol number k has the id k."]
        if network.embedding is None:
            notes.append("A symbol is read as a one-hot vector; an unknown one as zeros.")
    if readout.kind == "classes":
        notes.append(f"The outputs are the classes {listed(readout.names)}, before the softmax.")
    elif readout.kind == "numbers":
        levels = f", each at the quantiles {listed(map(str, readout.quantiles))}" if readout.quantiles else ""
        notes.append(f"The outputs are the numbers {listed(readout.names)}{levels}.")
    if network.configuration.starts:
        notes.append("Every sequence starts from the initial states h0 (and c0) of the file, not from 0.")
    if network.configuration.hidden:
        kinds = listed(layer.activation for layer in network.configuration.hidden)
        notes.append(f"The readout has hidden layers with activations that no state dict records: {kinds}.")
    if readout.reads == "last step":
        backward = ", of each direction" if network.configuration.both_ways else ""
        notes.append(f"This network predicts once, from the last state of a sequence{backward}.")
    return notes


def torch_names(network: Network) -> dict[str, Tensor]:
    """Return the weights under the names, and in the layout, of torch.nn: embedding, recurrent, readout.

    Layers of one cell and one size are one module: `recurrent.weight_ih_l0`, `recurrent.weight_ih_l1`. Other layers are
    one module each: `recurrent.0.weight_ih_l0`, `recurrent.1.weight_ih_l0`. Names of the backward direction end with
    `_reverse`.

    Args:
        network: the network.

    Raises:
        AdoptingError: torch.nn has no such cell, or two directions differ.
    """
    configuration = network.configuration
    layers, levels = configuration.layers, configuration.levels
    tensors: dict[str, Tensor] = {}
    if network.embedding is not None:
        tensors["embedding.weight"] = network.embedding
    kinds = {(layer.cell.name, layer.neurons) for layer in layers}
    is_one_module = len(kinds) == 1 and len({len(level) for level in levels}) == 1
    for depth, level in enumerate(levels):
        first = layers[level[0]]
        if first.stacked:
            raise AdoptingError("EXPORTING_LAYER_BACKWARD_ALONE", layer=f"layer{depth}")
        if any(layer.initial != layers[0].initial for layer in layers):
            raise AdoptingError("EXPORTING_INITIAL_STATES_PARTIAL")
        for k in level:
            if layers[k].cell.name not in TORCH_CELLS:
                names = ", ".join(TORCH_CELLS.values())
                raise AdoptingError(
                    "EXPORTING_TORCH_CELL_UNKNOWN", layer=f"layer{depth}", title=layers[k].cell.title, names=names
                )
            if (layers[k].cell.name, layers[k].neurons) != (first.cell.name, first.neurons):
                raise AdoptingError("EXPORTING_DIRECTIONS_DIFFER", layer=f"layer{depth}")
            stem, end = ("recurrent.", f"_l{depth}") if is_one_module else (f"recurrent.{depth}.", "_l0")
            tensors |= _torch_layer(network, k, stem, f"{end}_reverse" if layers[k].reverse else end)
        if layers[level[0]].initial:
            stem = "recurrent." if is_one_module else f"recurrent.{depth}."
            tensors |= _initial_states(network, level, stem, tensors)
    for k in range(len(configuration.hidden)):
        weights, biases = network.hidden_weights(k)
        tensors |= {f"hidden.{k}.weight": weights, f"hidden.{k}.bias": biases}
    tensors["readout.weight"] = network.readout_weights
    tensors["readout.bias"] = network.readout_biases
    return {name: value.detach().clone().contiguous() for name, value in tensors.items()}


def _initial_states(network: Network, level: list[int], stem: str, written: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return h0 (and c0) of a module, (layers · directions, N), with the rows of one more level."""
    states: dict[str, Tensor] = {}
    for k in level:
        for state, value in network.initial[k].named_buffers():
            name, rows = f"{stem}{state}0", value[None]
            before = states.get(name, written.get(name))
            states[name] = rows if before is None else torch.cat([before, rows])
    return states


def _torch_layer(network: Network, k: int, stem: str, end: str) -> dict[str, Tensor]:
    """Return the four arrays of one direction of a layer."""
    parameters = network.parameters_of(k)
    recurrent_biases = torch.zeros_like(parameters.biases)
    if network.configuration.layers[k].cell.tape.parameters:  # the GRU's p.n is its candidate's recurrent bias
        recurrent_biases[-1] = parameters.neuron_weights[0].detach()
    return {
        f"{stem}weight_ih{end}": parameters.input_weights.flatten(0, 1),
        f"{stem}weight_hh{end}": parameters.recurrent_weights.flatten(0, 1),
        f"{stem}bias_ih{end}": parameters.biases.flatten(),
        f"{stem}bias_hh{end}": recurrent_biases.flatten(),
    }
