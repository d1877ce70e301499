"""Keras models and weights: `.keras` (a zip of config.json and model.weights.h5) and `.h5`, of Keras 2 and 3.

Keras keeps kernels as (inputs, gates · neurons), the gates of an LSTM in the order i f c o and of a GRU in the order
z r h. A layer that was trained by cuDNN under Keras 2 (CuDNNLSTM, CuDNNGRU) has arrays of the same shapes with the
matrix of each gate laid out the other way round, and two biases: read as the usual layout it gives no error, but
nonsense. It is known by its bias, which is twice as long.

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

from gatescope.adopting.foreign import AdoptingError, Foreign, ForeignLayer, Head, check_size, listed
from gatescope.adopting.hdf5 import Dataset, Group, Hdf5File
from gatescope.adopting.keras_model import DEEPEST, Described, layers_of, matched, wiring
from gatescope.adopting.torch_names import Nonlinearity, layer_of
from gatescope.cells import CELLS
from gatescope.cells.cell import Cell

Array = NDArray[np.float32]

GATES = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}
CLASSES = {**{name: name for name in GATES}, "CuDNNLSTM": "LSTM", "CuDNNGRU": "GRU"}
ACTIVATIONS = {"tanh": "elman", "relu": "elman_relu", "sigmoid": "elman_sigmoid"}
MAX_CONFIG_BYTES = 16 << 20
OLD_VERSIONS = ("1.", "2.0", "2.1", "2.2")
HARD_GATES = (
    "{path} holds weights alone, of Keras {version}, in which gates are hard sigmoids unless the layer says otherwise. "
    "Save the whole model (model.save), which says it."
)
RESET_BEFORE = (
    "the GRU {name} has reset_after=False, which is another cell: it multiplies h by the reset gate before the "
    "recurrent product, U.h · (r · h₋₁), and here every recurrent product is one with h₋₁ itself. It cannot be "
    "adopted; Keras trains the other one with reset_after=True, its default since version 2."
)
RESET_UNKNOWN = (
    "the GRU {name} has no bias, and a file of weights does not say whether its reset gate acts before the recurrent "
    "product or after it; save the whole model (model.save), which does."
)


def read(path: Path, nonlinearity: Nonlinearity | None = None) -> Foreign:
    """The recurrent layers and the other weights.

    Raises:
        AdoptingError: the file is damaged, or a layer is of a form that is another cell.
    """
    content = _opened(path)
    arrays, described = content.arrays, layers_of(content.config)
    kinds = matched(arrays, described, content.order)
    stacks: dict[str, tuple[ForeignLayer, ...]] = {}
    matrices, vectors = dict[str, torch.Tensor](), dict[str, torch.Tensor]()
    notes: list[str] = []
    embedding = list[str]()
    for name, parts in arrays.items():
        about = kinds.get(name)
        recurrent = _directions(name, parts)
        if recurrent:
            if not described and content.version.startswith(OLD_VERSIONS):
                raise AdoptingError(HARD_GATES.format(path=path, version=content.version))
            made = [_recurrent(name, found, reverse, about, nonlinearity) for reverse, found in recurrent]
            stacks[name] = tuple(layer for layer, _ in made)
            notes += [note for _, said in made for note in said]
            continue
        for part, value in parts.items():
            last = part.rsplit("/", 1)[-1]
            # Keras 3 numbers the arrays of a layer; of one that multiplies by a matrix the second is the biases.
            dense = set(parts) <= {"vars/0", "vars/1"} and "vars/0" in parts and parts["vars/0"].ndim == 2
            of_symbols = about.kind == "Embedding" if about else name.startswith("embedding")
            key = f"{name}.{'embeddings' if of_symbols else ('kernel', 'bias')[int(last)] if dense else last}"
            if of_symbols or part.endswith("embeddings"):
                embedding.append(key)
                matrices[key] = torch.from_numpy(value)
            elif value.ndim == 2:
                matrices[key] = torch.from_numpy(value.T)
            elif value.ndim == 1:
                vectors[key] = torch.from_numpy(value)
    wired = wiring(described, kinds, stacks, content.compiled)
    turned = {name: tuple(replace(one, reverse=True) for one in stacks[name]) for name in wired.reversed}
    return Foreign(
        "Keras model" if described else "Keras weights",
        stacks | turned,
        matrices,
        vectors,
        order=wired.order,
        embedding=next((key for key in embedding if key.startswith(f"{wired.embedding}.")), None)
        or (embedding[0] if len(embedding) == 1 and not described else None),
        below=wired.below,
        before=wired.before,
        refused=wired.refused,
        masked=wired.masked,
        heads={name: _of_arrays(head, matrices) for name, head in wired.heads.items()},
        joined=wired.joined,
        others=content.others,
        notes=tuple(dict.fromkeys(notes)),
    )


def _of_arrays(head: Head, matrices: Mapping[str, torch.Tensor]) -> Head:
    """A head with the names of arrays in place of those of layers."""

    def named(layer: str) -> str:
        return next((key for key in matrices if key.startswith(f"{layer}.")), layer)

    hidden = tuple((named(layer), activation) for layer, activation in head.hidden)
    return replace(head, matrix=None if head.matrix is None else named(head.matrix), hidden=hidden)


# --- the file --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Contents:
    """What a file holds.

    Attributes:
        arrays: of layers, by their names in them.
        others: name -> shape of the arrays of three axes and more.
        config, compiled: the description of the model and of its training; None without one.
        order: the names of the layers, in files of Keras 2.
        version: of Keras, where the file says it.
    """

    arrays: dict[str, dict[str, Array]]
    others: dict[str, tuple[int, ...]]
    config: Any
    compiled: Any
    order: list[str]
    version: str


def _opened(path: Path) -> Contents:
    """Read a file of either kind."""
    try:
        if not zipfile.is_zipfile(path):
            with path.open("rb") as file:
                return _contents(path, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), None)
        with zipfile.ZipFile(path) as archive:
            weights, about = archive.getinfo("model.weights.h5"), archive.getinfo("config.json")
            if {weights.compress_type, about.compress_type} - {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                raise AdoptingError("KERAS_PACKED_WAY_KERAS_NEVER", path=path)
            check_size(path, weights.file_size)
            if about.file_size > MAX_CONFIG_BYTES:
                raise AdoptingError("KERAS_DESCRIPTION_BYTES_MODEL", path=path, file_size=about.file_size)
            return _contents(path, archive.read(weights), json.loads(archive.read(about)))
    except (KeyError, ValueError, RuntimeError, RecursionError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, AdoptingError):
            raise
        raise AdoptingError("KERAS_TRUNCATED_DAMAGED_KERAS_FILE", path=path, error=str(error)[:200]) from error


def _contents(path: Path, content: bytes | mmap.mmap, config: Any) -> Contents:
    root = Hdf5File(memoryview(content)).root()
    compiled = config.get("compile_config") if isinstance(config, dict) else None
    if config is None and "model_config" in root.attributes:
        config = _json_of(path, root, "model_config")
        compiled = _json_of(path, root, "training_config")
    weights = root.member("model_weights")
    group = weights if isinstance(weights, Group) else root
    found = dict(_datasets(path, group))
    check_size(path, sum(data.nbytes for data in found.values()))
    arrays, others = dict[str, dict[str, Array]](), dict[str, tuple[int, ...]]()
    for place, data in found.items():
        if data.is_float and 1 <= len(data.shape) <= 2 and data.nbytes:
            layer, part = _split(place)
            if part in arrays.setdefault(layer, {}):
                raise AdoptingError("KERAS_TWO_ARRAYS_MODELS_MODELS", path=path, part=part, layer=layer)
            arrays[layer][part] = data.read()
        elif data.is_float and data.nbytes and data.shape:
            others[place] = data.shape
    version = (root.attributes | group.attributes).get("keras_version", [])
    return Contents(arrays, others, config, compiled, group.attributes.get("layer_names", []), "".join(version))


def _json_of(path: Path, group: Group, name: str) -> Any:
    """Parse an attribute; None if there is none."""
    text = "".join(group.attributes.get(name, ["null"]))
    if len(text) > MAX_CONFIG_BYTES:
        raise AdoptingError("KERAS_DESCRIPTION_CHARACTERS_MODEL", path=path, count=len(text))
    return json.loads(text)


def _datasets(path: Path, group: Group, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Dataset]]:
    """Yield every array below a group with its place; the state of an optimizer is left out."""
    if depth > DEEPEST:
        raise AdoptingError("KERAS_GROUPS_NESTED_DEEPER_ANY", path=path)
    for name, entry in group.items(skip=("optimizer", "optimizer_weights", "metrics")):
        if isinstance(entry, Group):
            yield from _datasets(path, entry, f"{prefix}{name}/", depth + 1)
        else:
            yield f"{prefix}{name}", entry


def _split(place: str) -> tuple[str, str]:
    """The layer an array belongs to, and its name in the layer.

    Keras 3 keeps layers/NAME/[cell/]vars/0, 1, 2; before it, and in its own .h5 files, NAME/.../kernel.
    """
    parts = place.split("/")
    inside = [k for k, part in enumerate(parts[:-1]) if part in ("layers", "_layer_checkpoint_dependencies")]
    if inside:
        parts = parts[inside[-1] + 1 :]
    if "vars" in parts:
        end = parts.index("vars")
        back = "backward/" if any(part.startswith("backward") for part in parts) else ""
        return parts[0], f"{back}vars/{parts[end + 1]}"
    back = "backward/" if any(part.startswith("backward") for part in parts[1:]) else ""
    return parts[0], back + parts[-1].removesuffix(":0")


# --- layers ----------------------------------------------------------------------------------------------------------


def _directions(layer: str, parts: Mapping[str, Array]) -> list[tuple[bool, dict[str, Array]]]:
    """The arrays of the forward and the backward direction, if these are arrays of a recurrent layer."""
    found = []
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
                raise AdoptingError("KERAS_RECURRENT_LAYER_KERNEL_RECURRENT", layer=layer, listed=listed(more))
            found.append((reverse, own))
    return found


def _recurrent(
    name: str,
    arrays: Mapping[str, Array],
    reverse: bool,
    about: Described | None,
    nonlinearity: Nonlinearity | None,
) -> tuple[ForeignLayer, list[str]]:
    """One direction of a layer, in torch's layout, and what was assumed."""
    kernel, echoed = arrays["kernel"], arrays["recurrent_kernel"]
    neurons = echoed.shape[0]
    gates, rest = divmod(echoed.shape[1], neurons)
    kind = next((kind for kind, count in GATES.items() if count == gates and not rest), None)
    if kind is None or kernel.shape[1] != echoed.shape[1]:
        raise AdoptingError("KERAS_KERNELS_LSTM_GRU_SIMPLERNN", name=name, shape=kernel.shape, shape2=echoed.shape)
    if about is not None and reverse and about.backward is not None:
        about = replace(about, config=about.backward)
    if about is not None and CLASSES.get(about.kind) != kind:
        raise AdoptingError("KERAS_CELL_ADOPTED_HOLDS", name=name, kind=about.kind)
    bias = arrays.get("bias")
    cudnn = bias is not None and gates > 1 and bias.shape == (2 * gates * neurons,)
    if kind == "GRU" and not cudnn and (bias is None or bias.ndim == 1):
        after = None if about is None else about.config.get("reset_after")
        if bias is not None or after is not True:
            unknown = bias is None and after is None
            raise AdoptingError((RESET_UNKNOWN if unknown else RESET_BEFORE).format(name=name))
    biases = np.zeros((2, gates * neurons), np.float32)
    if bias is not None:
        if bias.size not in (gates * neurons, 2 * gates * neurons):
            raise AdoptingError("KERAS_BIAS_TWICE_MANY", name=name, shape=bias.shape, value=gates * neurons)
        biases[: bias.size // (gates * neurons)] = bias.reshape(-1, gates * neurons)
    weights = {
        "weight_ih": _gates(kernel, gates, cudnn),
        "weight_hh": _gates(echoed, gates, cudnn),
        "bias_ih": biases[0],
        "bias_hh": biases[1],
    }
    if kind == "GRU":  # z r h -> r z n
        weights = {role: _swapped(value, neurons) for role, value in weights.items()}
    tensors = {role: torch.from_numpy(np.ascontiguousarray(value)) for role, value in weights.items()}
    cell, notes = _cell(name, kind, about, cudnn, nonlinearity)
    layer, _ = layer_of(name, tensors, reverse, "tanh")
    return replace(layer, name=f"{name}{' backwards' if reverse else ''}", cell=cell), notes


def _gates(kernel: Array, gates: int, cudnn: bool) -> Array:
    """(I, G·N) as (G·N, I). cuDNN keeps the numbers of a gate as (N, I) in the space of (I, N)."""
    parts = np.split(kernel, gates, axis=1)
    if cudnn:
        parts = [np.ascontiguousarray(part).reshape(part.shape[::-1]) for part in parts]
    else:
        parts = [part.T for part in parts]
    return np.concatenate(parts)


def _swapped(value: Array, neurons: int) -> Array:
    return np.concatenate([value[neurons : 2 * neurons], value[:neurons], value[2 * neurons :]])


def _cell(
    name: str, kind: str, about: Described | None, cudnn: bool, nonlinearity: Nonlinearity | None
) -> tuple[Cell, list[str]]:
    """The equations, by the activations of the layer."""
    if about is None or cudnn:
        notes = []
        if about is None and not cudnn and kind != "GRU":
            what = "its activations (tanh" + (", and sigmoid at the gates" if kind == "LSTM" else "") + ")"
            notes.append(
                f"A file of weights does not say what {name} computes: {what} were assumed. The gates of LSTMs in "
                "Keras before 2.3 were hard sigmoids unless somebody chose otherwise."
                if kind == "LSTM"
                else f"A file of weights does not say what {name} computes: {nonlinearity or 'tanh'} was assumed."
            )
        return CELLS[{"LSTM": "lstm", "GRU": "gru"}.get(kind) or ACTIVATIONS[nonlinearity or "tanh"]], notes
    own, gate = about.config.get("activation", "tanh"), about.config.get("recurrent_activation", "sigmoid")
    if kind == "SimpleRNN":
        if isinstance(own, str) and own in ACTIVATIONS:
            return CELLS[ACTIVATIONS[own]], []
        raise AdoptingError("KERAS_SIMPLERNN_ADOPTED", name=name, own=own, listed=listed(ACTIVATIONS))
    if (own, gate) != ("tanh", "sigmoid"):
        raise AdoptingError("KERAS_ACTIVATIONS_GATES_TANH_SIGMOID", name=name, kind=kind, own=own, gate=gate)
    return CELLS["lstm" if kind == "LSTM" else "gru"], []
