"""`gatescope export`: write the network of a run for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from gatescope.cli.app import EXCHANGE_GROUP, command
from gatescope.cli.options import Json, RunName, use_threads
from gatescope.cli.output import format_file_size, harmless, print_json
from gatescope.cli.subject import find_run
from gatescope.cli.usage import UsageError

FORMAT_OF_SUFFIX = {".pt": "torch", ".pth": "torch", ".safetensors": "safetensors", ".onnx": "onnx"}


@command(EXCHANGE_GROUP)
def export(
    name: RunName,
    path: Annotated[Path, Parameter(name="FILE")],
    /,
    *,
    to: Literal["torch", "safetensors", "onnx"] | None = None,
    checkpoint: int | None = None,
    overwrite: bool = False,
    json: Json = False,
) -> None:
    """Write the network of a run as a PyTorch state dict, a safetensors file or an ONNX model."""
    use_threads(1)
    from gatescope.adopting import FORMATS, save

    kind = to or FORMAT_OF_SUFFIX.get(path.suffix)
    if kind is None:
        raise UsageError("EXPORT_FORMAT_UNKNOWN", path=path, formats=" or ".join(FORMATS))
    if path.exists() and not overwrite:
        raise UsageError("EXPORT_FILE_EXISTS", path=path)
    network, step = find_run(name).network(checkpoint)
    try:
        notes = save(network, path, kind)
    except ImportError as error:
        raise UsageError("CLI_PACKAGE_MISSING", reason=error) from error
    nbytes = path.stat().st_size
    if json:
        print_json({"file": str(path), "format": kind, "bytes": nbytes, "training_step": step, "notes": notes})
        return
    print(f"{harmless(str(path))}: {format_file_size(nbytes)}, weights of step {step:,}.")
    for note in notes:
        print(f"note: {harmless(note)}")
