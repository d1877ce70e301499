"""`.safetensors` files: raw arrays after a small header. Opening one runs nothing."""

from __future__ import annotations

from pathlib import Path

from safetensors import safe_open

from gatescope.adopting.foreign import AdoptingError, Foreign, reason_of
from gatescope.adopting.torch_names import Nonlinearity, recurrent


def read(path: Path, nonlinearity: Nonlinearity | None = None) -> Foreign:
    """Return the recurrent layers and the other weights.

    Args:
        path: the file.
        nonlinearity: activation of simple recurrent layers. Weight files do not record it.

    Raises:
        AdoptingError: the file is truncated or damaged.
    """
    try:
        with safe_open(path, "pt") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no mapping
    except OSError:
        raise
    except Exception as error:  # SafetensorError, and what its reader raises for types that it does not know
        raise AdoptingError("SAFETENSORS_FILE_DAMAGED", path=path, reason=reason_of(error)) from error
    return recurrent(arrays, "safetensors", nonlinearity)
