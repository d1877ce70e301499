"""The network of a run for other programs: torch.nn's names in a state dict or a safetensors file, or an ONNX model."""

from __future__ import annotations

import io
from os import PathLike
from pathlib import Path

import torch
from safetensors.torch import save as safetensors_bytes
from torch import Tensor

from gatescope.adopting.foreign import AdoptingError
from gatescope.adopting.onnx_writing import model_bytes
from gatescope.files import write_bytes
from gatescope.network import Network

FORMATS = ("torch", "safetensors", "onnx")
IN_TORCH = {"lstm": "LSTM", "gru": "GRU", "elman": "RNN (tanh)", "elman_relu": "RNN (relu)"}


def save(network: Network, path: str | PathLike[str], kind: str) -> list[str]:
    """Write a network.

    Args:
        network: any whose cells the format has.
        path: the file; it is replaced.
        kind: one of FORMATS.

    Returns:
        What a reader of the file has to know, one sentence each.

    Raises:
        AdoptingError: a cell is not in the format, the format is unknown, or the file cannot be written.
        ImportError: the format needs an extra.
    """
    if kind not in FORMATS:
        raise AdoptingError(f"there is no format {kind!r} to write; there are {', '.join(FORMATS)}.")
    notes = [f"The symbols are in the vocabulary of the run: id k is the symbol number k, {_size(network)} in all."]
    if network.embedding is None:
        notes.append("A symbol is read as a one-hot vector; an unknown one as zeros.")
    if network.configuration.readout.reads == "last step":
        notes.append("This network predicts after the last step of a sequence only.")
    if kind == "onnx":
        content = model_bytes(network)
    else:
        tensors = torch_names(network)
        modules = dict.fromkeys(IN_TORCH[layer.cell.name] for layer in network.configuration.layers)
        notes.append(f"The recurrent weights are those of torch.nn.{', torch.nn.'.join(modules)}.")
        if kind == "torch":
            buffer = io.BytesIO()
            torch.save(tensors, buffer)
            content = buffer.getvalue()
        else:
            content = safetensors_bytes(tensors, {"format": "pt"})
    try:
        write_bytes(Path(path), content)
    except OSError as error:
        raise AdoptingError(f"{path} cannot be written: {error.strerror or error}.") from error
    return notes


def _size(network: Network) -> str:
    return f"{network.configuration.vocabulary.size:,}"


def torch_names(network: Network) -> dict[str, Tensor]:
    """The weights under the names, and in the layout, of torch.nn: embedding, recurrent, readout.

    Layers of one cell and one size are one module, `recurrent.weight_ih_l0`, `recurrent.weight_ih_l1`; others one each,
    `recurrent.0.weight_ih_l0`, `recurrent.1.weight_ih_l0`.

    Raises:
        AdoptingError: torch.nn has no such cell.
    """
    layers = network.configuration.layers
    found: dict[str, Tensor] = {}
    if network.embedding is not None:
        found["embedding.weight"] = network.embedding
    alike = len({(layer.cell.name, layer.neurons) for layer in layers}) == 1
    for k, layer in enumerate(layers):
        if layer.cell.name not in IN_TORCH:
            there = ", ".join(IN_TORCH.values())
            raise AdoptingError(
                f"layer{k} is a {layer.cell.title}, which torch.nn does not have (it has {there}). The run's own "
                "weights.safetensors can be read by any program, with the equations in network.json."
            )
        parameters = network.parameters_of(k)
        stem, end = ("recurrent.", f"_l{k}") if alike else (f"recurrent.{k}.", "_l0")
        echoed = torch.zeros_like(parameters.biases)
        if layer.cell.tape.parameters:  # the GRU's p.n is the bias of its candidate's recurrent product
            echoed[-1] = parameters.neuron_weights[0].detach()
        found[f"{stem}weight_ih{end}"] = parameters.input_weights.flatten(0, 1)
        found[f"{stem}weight_hh{end}"] = parameters.recurrent_weights.flatten(0, 1)
        found[f"{stem}bias_ih{end}"] = parameters.biases.flatten()
        found[f"{stem}bias_hh{end}"] = echoed.flatten()
    found["readout.weight"] = network.readout_weights
    found["readout.bias"] = network.readout_biases
    return {name: value.detach().clone().contiguous() for name, value in found.items()}
