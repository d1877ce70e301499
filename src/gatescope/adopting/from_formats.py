"""One function for each format: `from_torch`, `from_keras`, `from_onnx` and `from_safetensors`.

Each is `adopt` for one kind of file, and refuses the others with the name of the right function. `from_torch` and
`from_keras` also take a model that is in memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any, Unpack

import torch
from torch import Tensor

from gatescope.adopting.adopt import Adoption, AdoptOptions, File, checked_path, make_run
from gatescope.adopting.formats import KERAS, ONNX, SAFETENSORS, TORCH, Format, read
from gatescope.adopting.live_models import of_keras, of_torch
from gatescope.adopting.torch_names import Nonlinearity
from gatescope.vocabulary import Vocabulary


def from_torch(
    source: torch.nn.Module | Mapping[str, Tensor] | File,
    run: File,
    vocabulary: Vocabulary | File,
    *,
    nonlinearity: Nonlinearity | None = None,
    **options: Unpack[AdoptOptions],
) -> Adoption:
    """Make a run directory of a PyTorch model.

    Args:
        source: a module, a state dict (name -> tensor), or a file of torch.save (.pt, .pth, .ckpt).
        run: the directory to make.
        vocabulary: the symbols, or a file of them.
        nonlinearity: activation of torch.nn.RNN. A module has it; state dicts and files do not.
        **options: the other arguments of `adopt`.

    Returns:
        The run, and how the network came together.

    Raises:
        AdoptingError: the source has another format, or an answer is missing.
        RunError: the run directory is taken.
    """
    if isinstance(source, torch.nn.Module | Mapping):
        return make_run(of_torch(source, nonlinearity), type(source).__name__, run, vocabulary, **options)
    return _from_file(source, TORCH, run, vocabulary, nonlinearity, **options)


def from_keras(
    source: Any,
    run: File,
    vocabulary: Vocabulary | File,
    *,
    nonlinearity: Nonlinearity | None = None,
    **options: Unpack[AdoptOptions],
) -> Adoption:
    """Make a run directory of a Keras model.

    Args:
        source: a Keras model, or a file (.keras, .h5).
        run: the directory to make.
        vocabulary: the symbols, or a file of them.
        nonlinearity: activation of SimpleRNN layers. Models have it; files of weights alone do not.
        **options: the other arguments of `adopt`.

    Returns:
        The run, and how the network came together.

    Raises:
        AdoptingError: the source has another format, or an answer is missing.
        RunError: the run directory is taken.
    """
    if not isinstance(source, str | PathLike) and callable(getattr(source, "save", None)):
        return make_run(of_keras(source, nonlinearity), str(source.name), run, vocabulary, **options)
    return _from_file(source, KERAS, run, vocabulary, nonlinearity, **options)


def from_onnx(path: File, run: File, vocabulary: Vocabulary | File, **options: Unpack[AdoptOptions]) -> Adoption:
    """Make a run directory of an ONNX model.

    Args:
        path: the file (.onnx).
        run: the directory to make.
        vocabulary: the symbols, or a file of them.
        **options: the other arguments of `adopt`.

    Returns:
        The run, and how the network came together.

    Raises:
        AdoptingError: the file has another format, or an answer is missing.
        RunError: the run directory is taken.
        ImportError: onnx is not installed.
    """
    return _from_file(path, ONNX, run, vocabulary, None, **options)


def from_safetensors(
    path: File,
    run: File,
    vocabulary: Vocabulary | File,
    *,
    nonlinearity: Nonlinearity | None = None,
    **options: Unpack[AdoptOptions],
) -> Adoption:
    """Make a run directory of a safetensors file.

    Args:
        path: the file (.safetensors).
        run: the directory to make.
        vocabulary: the symbols, or a file of them.
        nonlinearity: activation of simple recurrent layers. Weight files do not record it.
        **options: the other arguments of `adopt`.

    Returns:
        The run, and how the network came together.

    Raises:
        AdoptingError: the file has another format, or an answer is missing.
        RunError: the run directory is taken.
    """
    return _from_file(path, SAFETENSORS, run, vocabulary, nonlinearity, **options)


def _from_file(
    path: object,
    expected: Format,
    run: File,
    vocabulary: Vocabulary | File,
    nonlinearity: Nonlinearity | None,
    **options: Unpack[AdoptOptions],
) -> Adoption:
    """Make a run directory of a file of one format."""
    place = checked_path(path, expected.function)
    return make_run(read(place, nonlinearity, expected=expected), place.name, run, vocabulary, **options)
