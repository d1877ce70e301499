"""`.safetensors`: raw arrays behind a small header; opening one runs nothing."""

from __future__ import annotations

from pathlib import Path

from safetensors import safe_open

from gatescope.adopting.foreign import AdoptingError, Foreign
from gatescope.adopting.torch_names import Nonlinearity, recurrent


def read(path: Path, nonlinearity: Nonlinearity | None = None) -> Foreign:
    """The recurrent layers and the other weights.

    Raises:
        AdoptingError: the file is truncated or damaged.
    """
    try:
        with safe_open(path, "pt") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no mapping
    except OSError:
        raise
    except Exception as error:  # SafetensorError, and what its reader raises for types that it does not know
        what = str(error)[:200]
        raise AdoptingError("SAFETENSORS_FILE_TRUNCATED_DAMAGED_SAFETENSORS_FILE", path=path, what=what) from error
    return recurrent(arrays, "safetensors", nonlinearity)
