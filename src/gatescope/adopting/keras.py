"""Keras models and weights: `.keras` (a zip of config.json and model.weights.h5) and `.h5`, of Keras 2 and 3.

Keras stores kernels as (inputs, gates · neurons), the gates of an LSTM in the order i f c o and of a GRU in the order
z r h. A layer that cuDNN trained under Keras 2 (CuDNNLSTM, CuDNNGRU) has arrays of the same shapes with the matrix of
each gate transposed, and two biases. Its bias, which is twice as long, shows it: read in the usual layout the numbers
would be nonsense without any error.

`N` neuron, `I` input, `G` gate.
"""

from __future__ import annotations

import json
import mmap
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gatescope.adopting.foreign import AdoptingError, Foreign, ForeignLayer, Head, check_size, listed, reason_of
from gatescope.adopting.hdf5 import Dataset, Group, Hdf5File
from gatescope.adopting.keras_model import MAX_DEPTH, Described, layers_of, matched
from gatescope.adopting.keras_wiring import wiring
from gatescope.adopting.torch_names import Nonlinearity, layer_of
from gatescope.cells import CELLS
from gatescope.cells.cell import Cell

Array = NDArray[np.float32]

GATES = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}
CLASSES = {**{name: name for name in GATES}, "CuDNNLSTM": "LSTM", "CuDNNGRU": "GRU"}
ACTIVATIONS = {"tanh": "elman", "relu": "elman_relu", "sigmoid": "elman_sigmoid"}
MAX_CONFIG_BYTES = 16 << 20
HARD_SIGMOID_VERSIONS = ("1.", "2.0", "2.1", "2.2")  # of Keras, in which gates are hard sigmoids by default


def read(path: Path, nonlinearity: Nonlinearity | None = None) -> Foreign:
    """Return the recurrent layers and the other weights.

    Args:
        path: the file.
        nonlinearity: activation of SimpleRNN layers, for files of weights alone.

    Raises:
        AdoptingError: the file is damaged, or a layer is of a form that is another cell.
    """
    contents = _contents_of(path)
    arrays, described = contents.arrays, layers_of(contents.config)
    kinds = matched(arrays, described, contents.order)
    stacks: dict[str, tuple[ForeignLayer, ...]] = {}
    matrices, vectors = dict[str, torch.Tensor](), dict[str, torch.Tensor]()
    notes: list[str] = []
    embeddings = list[str]()
    for name, parts in arrays.items():
        about = kinds.get(name)
        recurrent = _directions(name, parts)
        if recurrent:
            if not described and contents.version.startswith(HARD_SIGMOID_VERSIONS):
                raise AdoptingError("KERAS_GATES_UNKNOWN", path=path, version=contents.version)
            layers = [_recurrent(name, own, reverse, about, nonlinearity) for reverse, own in recurrent]
            stacks[name] = tuple(layer for layer, _ in layers)
            notes += [note for _, note in layers if note]
            continue
        for part, value in parts.items():
            last = part.rsplit("/", 1)[-1]
            # Keras 3 numbers the arrays of a layer; the second one beside a matrix is the biases.
            dense = set(parts) <= {"vars/0", "vars/1"} and "vars/0" in parts and parts["vars/0"].ndim == 2
            of_symbols = about.kind == "Embedding" if about else name.startswith("embedding")
            key = f"{name}.{'embeddings' if of_symbols else ('kernel', 'bias')[int(last)] if dense else last}"
            if value.ndim == 2 and (of_symbols or part.endswith("embeddings")):
                embeddings.append(key)
                matrices[key] = torch.from_numpy(value)
            elif value.ndim == 2:
                matrices[key] = torch.from_numpy(value.T)
            else:
                vectors[key] = torch.from_numpy(value)
    wired = wiring(described, kinds, stacks, contents.compiled)
    reversed_stacks = {name: tuple(replace(layer, reverse=True) for layer in stacks[name]) for name in wired.reversed}
    return Foreign(
        "Keras model" if described else "Keras weights",
        stacks | reversed_stacks,
        matrices,
        vectors,
        order=wired.order,
        embedding=next((key for key in embeddings if key.startswith(f"{wired.embedding}.")), None)
        or (embeddings[0] if len(embeddings) == 1 and not described else None),
        below=wired.below,
        before=wired.before,
        refused=wired.refused,
        masked=wired.masked,
        heads={name: _with_array_names(head, matrices) for name, head in wired.heads.items()},
        joined=wired.joined,
        others=contents.others,
        notes=tuple(dict.fromkeys(notes)),
    )


def _with_array_names(head: Head, matrices: Mapping[str, torch.Tensor]) -> Head:
    """Return a head with the names of arrays in place of the names of layers."""

    def array_name(layer: str) -> str:
        return next((key for key in matrices if key.startswith(f"{layer}.")), layer)

    hidden = tuple((array_name(layer), activation) for layer, activation in head.hidden)
    return replace(head, matrix=None if head.matrix is None else array_name(head.matrix), hidden=hidden)


# --- the file --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Contents:
    """The contents of a file.

    Attributes:
        arrays: layer -> name in the layer -> array of one or two axes.
        others: name -> shape of the arrays with three or more axes.
        config: the description of the model; None without one.
        compiled: the description of its training; None without one.
        order: the names of the layers, in files of Keras 2.
        version: the version of Keras; empty if the file does not record it.
    """

    arrays: dict[str, dict[str, Array]]
    others: dict[str, tuple[int, ...]]
    config: Any
    compiled: Any
    order: list[str]
    version: str


def _contents_of(path: Path) -> Contents:
    """Return the contents of a file of either kind."""
    try:
        if not zipfile.is_zipfile(path):
            with path.open("rb") as file:
                return _contents(path, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), None)
        with zipfile.ZipFile(path) as archive:
            weights, about = archive.getinfo("model.weights.h5"), archive.getinfo("config.json")
            if {weights.compress_type, about.compress_type} - {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                raise AdoptingError("KERAS_COMPRESSION_UNKNOWN", path=path)
            check_size(path, weights.file_size)
            if about.file_size > MAX_CONFIG_BYTES:
                raise AdoptingError("KERAS_CONFIG_TOO_LARGE", path=path, limit=MAX_CONFIG_BYTES, size=about.file_size)
            return _contents(path, archive.read(weights), json.loads(archive.read(about)))
    except (KeyError, ValueError, RuntimeError, RecursionError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, AdoptingError):
            raise
        raise AdoptingError("KERAS_FILE_DAMAGED", path=path, reason=reason_of(error)) from error


def _contents(path: Path, content: bytes | mmap.mmap, config: Any) -> Contents:
    """Return the contents of the bytes of an HDF5 file; `config` is the description beside it."""
    root = Hdf5File(memoryview(content)).root()
    compiled = config.get("compile_config") if isinstance(config, dict) else None
    if config is None and "model_config" in root.attributes:
        config = _json_of(path, root, "model_config")
        compiled = _json_of(path, root, "training_config")
    weights = root.member("model_weights")
    group = weights if isinstance(weights, Group) else root
    datasets = dict(_datasets(path, group))
    check_size(path, sum(data.nbytes for data in datasets.values()))
    arrays, others = dict[str, dict[str, Array]](), dict[str, tuple[int, ...]]()
    for name, data in datasets.items():
        if data.is_float and 1 <= len(data.shape) <= 2 and data.nbytes:
            layer, part = _split(name)
            if part in arrays.setdefault(layer, {}):
                raise AdoptingError("KERAS_ARRAY_REPEATED", path=path, part=part, layer=layer)
            arrays[layer][part] = data.read()
        elif data.is_float and data.nbytes and data.shape:
            others[name] = data.shape
    version = (root.attributes | group.attributes).get("keras_version", [])
    return Contents(arrays, others, config, compiled, group.attributes.get("layer_names", []), "".join(version))


def _json_of(path: Path, group: Group, name: str) -> Any:
    """Return the parsed JSON of an attribute; None if there is none."""
    text = "".join(group.attributes.get(name, ["null"]))
    if len(text) > MAX_CONFIG_BYTES:
        raise AdoptingError("KERAS_CONFIG_TOO_LARGE", path=path, limit=MAX_CONFIG_BYTES, size=len(text))
    return json.loads(text)


def _datasets(path: Path, group: Group, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Dataset]]:
    """Yield every array below a group with its path, except the state of an optimizer."""
    if depth > MAX_DEPTH:
        raise AdoptingError("KERAS_GROUPS_TOO_DEEP", path=path, limit=MAX_DEPTH)
    for name, entry in group.items(skip=("optimizer", "optimizer_weights", "metrics")):
        if isinstance(entry, Group):
            yield from _datasets(path, entry, f"{prefix}{name}/", depth + 1)
        else:
            yield f"{prefix}{name}", entry


def _split(name: str) -> tuple[str, str]:
    """Return the layer that an array belongs to, and its name in the layer.

    Keras 3 writes layers/NAME/[cell/]vars/0, 1, 2; Keras 2, and Keras 3 in .h5 files, writes NAME/.../kernel.
    """
    parts = name.split("/")
    layers = [k for k, part in enumerate(parts[:-1]) if part in ("layers", "_layer_checkpoint_dependencies")]
    if layers:
        parts = parts[layers[-1] + 1 :]
    if "vars" in parts:
        end = parts.index("vars")
        back = "backward/" if any(part.startswith("backward") for part in parts) else ""
        return parts[0], f"{back}vars/{parts[end + 1]}"
    back = "backward/" if any(part.startswith("backward") for part in parts[1:]) else ""
    return parts[0], back + parts[-1].removesuffix(":0")


# --- layers ----------------------------------------------------------------------------------------------------------


def _directions(layer: str, parts: Mapping[str, Array]) -> list[tuple[bool, dict[str, Array]]]:
    """Return the arrays of the forward and the backward direction; nothing if the layer is not recurrent."""
    directions = []
    for reverse in (False, True):
        own = {
            name.removeprefix("backward/"): value
            for name, value in parts.items()
            if name.startswith("backward/") == reverse
        }
        if "vars/1" in own and own["vars/1"].ndim == 2 and "recurrent_kernel" not in own:
            own = {
                new: own[old]
                for old, new in (("vars/0", "kernel"), ("vars/1", "recurrent_kernel"), ("vars/2", "bias"))
                if old in own
            }
        if "kernel" in own and "recurrent_kernel" in own:
            if more := sorted(set(own) - {"kernel", "recurrent_kernel", "bias"}):
                raise AdoptingError("KERAS_LAYER_ARRAYS_UNKNOWN", layer=layer, names=listed(more))
            directions.append((reverse, own))
    return directions


def _recurrent(
    name: str,
    arrays: Mapping[str, Array],
    reverse: bool,
    about: Described | None,
    nonlinearity: Nonlinearity | None,
) -> tuple[ForeignLayer, str]:
    """Return one direction of a layer, in torch's layout, and a note about what was assumed."""
    kernel, recurrent_kernel = arrays["kernel"], arrays["recurrent_kernel"]
    shapes = {"kernel": kernel.shape, "recurrent_kernel": recurrent_kernel.shape}
    if kernel.ndim != 2 or recurrent_kernel.ndim != 2:
        raise AdoptingError("KERAS_KERNELS_OF_NO_CELL", name=name, **shapes)
    neurons = recurrent_kernel.shape[0]
    gates, remainder = divmod(recurrent_kernel.shape[1], neurons)
    kind = next((kind for kind, count in GATES.items() if count == gates and not remainder), None)
    if kind is None or kernel.shape[1] != recurrent_kernel.shape[1]:
        raise AdoptingError("KERAS_KERNELS_OF_NO_CELL", name=name, **shapes)
    if about is not None and reverse and about.backward is not None:
        about = replace(about, config=about.backward)
    if about is not None and CLASSES.get(about.kind) != kind:
        raise AdoptingError("KERAS_CELL_UNKNOWN", name=name, kind=about.kind, shape=recurrent_kernel.shape)
    bias = arrays.get("bias")
    cudnn = bias is not None and gates > 1 and bias.shape == (2 * gates * neurons,)
    if kind == "GRU" and not cudnn and (bias is None or bias.ndim == 1):
        after = None if about is None else about.config.get("reset_after")
        if bias is not None or after is not True:
            is_unknown = bias is None and after is None
            raise AdoptingError("KERAS_GRU_RESET_UNKNOWN" if is_unknown else "KERAS_GRU_RESET_BEFORE", name=name)
    biases = np.zeros((2, gates * neurons), np.float32)
    if bias is not None:
        if bias.size not in (gates * neurons, 2 * gates * neurons):
            raise AdoptingError("KERAS_BIAS_SIZE_DIFFERS", name=name, shape=bias.shape, size=gates * neurons)
        biases[: bias.size // (gates * neurons)] = bias.reshape(-1, gates * neurons)
    weights = {
        "weight_ih": _torch_layout(kernel, gates, cudnn),
        "weight_hh": _torch_layout(recurrent_kernel, gates, cudnn),
        "bias_ih": biases[0],
        "bias_hh": biases[1],
    }
    if kind == "GRU":  # z r h -> r z n
        weights = {role: _swapped(value, neurons) for role, value in weights.items()}
    tensors = {role: torch.from_numpy(np.ascontiguousarray(value)) for role, value in weights.items()}
    cell, note = _cell(name, kind, about, cudnn, nonlinearity)
    layer = layer_of(name, tensors, reverse, "tanh")
    return replace(layer, name=f"{name}{' backwards' if reverse else ''}", cell=cell), note


def _torch_layout(kernel: Array, gates: int, cudnn: bool) -> Array:
    """Return (I, G·N) as (G·N, I). cuDNN stores the numbers of a gate as (N, I) in the space of (I, N)."""
    parts = np.split(kernel, gates, axis=1)
    if cudnn:
        parts = [np.ascontiguousarray(part).reshape(part.shape[::-1]) for part in parts]
    else:
        parts = [part.T for part in parts]
    return np.concatenate(parts)


def _swapped(value: Array, neurons: int) -> Array:
    """Return the gates z r h in the order r z h."""
    return np.concatenate([value[neurons : 2 * neurons], value[:neurons], value[2 * neurons :]])


def _cell(
    name: str, kind: str, about: Described | None, cudnn: bool, nonlinearity: Nonlinearity | None
) -> tuple[Cell, str]:
    """Return the cell, by the activations of the layer, and a note about what was assumed.

    Raises:
        AdoptingError: the activations are those of another cell.
    """
    if about is None or cudnn:
        note = ""
        if about is None and not cudnn and kind != "GRU":
            note = f"A file of weights does not record the activations of {name}: "
            note += (
                "tanh, and sigmoid at the gates, were assumed. In Keras before 2.3 the gates of LSTMs were hard "
                "sigmoids by default."
                if kind == "LSTM"
                else f"{nonlinearity or 'tanh'} was assumed."
            )
        return CELLS[{"LSTM": "lstm", "GRU": "gru"}.get(kind) or ACTIVATIONS[nonlinearity or "tanh"]], note
    own, gate = about.config.get("activation", "tanh"), about.config.get("recurrent_activation", "sigmoid")
    if kind == "SimpleRNN":
        if isinstance(own, str) and own in ACTIVATIONS:
            return CELLS[ACTIVATIONS[own]], ""
        raise AdoptingError("KERAS_RNN_ACTIVATION_UNKNOWN", name=name, activation=own, names=listed(ACTIVATIONS))
    if (own, gate) != ("tanh", "sigmoid"):
        raise AdoptingError("KERAS_ACTIVATIONS_UNKNOWN", name=name, kind=kind, activation=own, gate=gate)
    return CELLS["lstm" if kind == "LSTM" else "gru"], ""
