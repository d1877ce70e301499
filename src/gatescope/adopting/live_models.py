"""Models that are in memory: a torch.nn.Module or its state dict, and a Keras model.

What a file of weights cannot record, a living module shows: the activation of torch.nn.RNN, and whether 3·N rows are
those of torch's own GRU.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from gatescope.adopting import keras
from gatescope.adopting.foreign import AdoptingError, Foreign
from gatescope.adopting.state_dict import without_averages
from gatescope.adopting.torch_names import Nonlinearity, recurrent


def of_torch(source: torch.nn.Module | Mapping[Any, Any], nonlinearity: Nonlinearity | None = None) -> Foreign:
    """Return the recurrent layers and the other weights of a module or of a state dict. The weights are copied.

    Args:
        source: the module, or name -> tensor.
        nonlinearity: activation of the simple recurrent layers. A module of torch.nn.RNN has it; a state dict does not.

    Raises:
        AdoptingError: an entry is no tensor, or the weights do not fit each other.
    """
    entries: Mapping[Any, Any]
    if isinstance(source, torch.nn.Module):
        entries = {k: v for k, v in source.state_dict().items() if not k.endswith("_extra_state")}
        nonlinearity = _nonlinearity_of(source, nonlinearity)
    else:
        entries = source
    if not entries:
        raise AdoptingError("TORCH_STATE_DICT_EMPTY")
    for name, value in entries.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            code = "TORCH_STATE_DICT_NESTED" if isinstance(value, Mapping) else "TORCH_STATE_DICT_ENTRY_NO_TENSOR"
            raise AdoptingError(code, name=str(name)[:80], kind=type(value).__name__)
    tensors = without_averages(cast(Mapping[str, Tensor], entries))
    arrays = {name: value.detach().cpu().clone() for name, value in tensors.items()}
    from_torch_modules = isinstance(source, torch.nn.Module) and _has_own_cells_only(source)
    return recurrent(arrays, "PyTorch model", nonlinearity, from_torch_modules=from_torch_modules)


def _nonlinearity_of(module: torch.nn.Module, nonlinearity: Nonlinearity | None) -> Nonlinearity | None:
    """Return the activation of the simple recurrent layers of a module; the argument if there are none.

    Raises:
        AdoptingError: the layers have another activation than the argument, or differ.
    """
    kinds = {
        str(inner.nonlinearity) for inner in module.modules() if isinstance(inner, torch.nn.RNN | torch.nn.RNNCell)
    }
    if not kinds:
        return nonlinearity
    if len(kinds) > 1 or nonlinearity not in (None, *kinds):
        raise AdoptingError("TORCH_MODULE_NONLINEARITY_DIFFERS", kinds=" and ".join(sorted(kinds)), given=nonlinearity)
    return cast(Nonlinearity, kinds.pop())


def _has_own_cells_only(module: torch.nn.Module) -> bool:
    """Return whether every recurrent weight belongs to a class of torch.nn itself, so that its equations are known."""
    owners = (
        inner
        for inner in module.modules()
        if any(name.startswith("weight_hh") for name, _ in inner.named_parameters(recurse=False))
    )
    return all(type(inner).__module__.startswith("torch.nn.") for inner in owners)


def of_keras(model: Any, nonlinearity: Nonlinearity | None = None) -> Foreign:
    """Return the recurrent layers and the other weights of a Keras model.

    The model is saved to a temporary file and read from there, so that a living model is the same as its file.

    Args:
        model: a Keras model: an object with `save(path)`.
        nonlinearity: activation of SimpleRNN layers, for layers without a description.

    Raises:
        AdoptingError: the model cannot be saved, or is of a form that is another cell.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        try:
            model.save(path)
        except Exception as error:  # Keras raises errors of many kinds
            raise AdoptingError("KERAS_MODEL_NOT_SAVED", kind=type(model).__name__, error=str(error)[:200]) from error
        if not path.is_file():
            raise AdoptingError("KERAS_MODEL_NOT_SAVED", kind=type(model).__name__, error="it wrote no file")
        return keras.read(path, nonlinearity)
