"""`.safetensors`: raw arrays behind a small header; opening one runs nothing."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open

from gatescope.adopting.foreign import AdoptingError, Foreign
from gatescope.adopting.torch_names import Nonlinearity, recurrent, usable


def read(path: Path, nonlinearity: Nonlinearity | None = None) -> Foreign:
    """The recurrent layers and the other weights.

    Raises:
        AdoptingError: the file is truncated or damaged.
    """
    try:
        with safe_open(path, "pt") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no mapping
    except SafetensorError as error:
        raise AdoptingError(f"{path} is truncated, damaged, or no safetensors file: {error}.") from error
    return recurrent({n: value for n, value in arrays.items() if usable(value)}, "safetensors", nonlinearity)
