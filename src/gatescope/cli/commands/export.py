"""`gatescope export`: the network of a run as a file for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from gatescope.cli.app import FOREIGN, command
from gatescope.cli.common import Json, UsageError, file_size, find_run, harmless, print_json, use_threads

KINDS = {".pt": "torch", ".pth": "torch", ".safetensors": "safetensors", ".onnx": "onnx"}


@command(
    FOREIGN,
    "RUN FILE [--to torch|safetensors|onnx] [OPTIONS]",
    "gatescope export counter counter.pt",
    "gatescope export runs/text text.onnx        # any length of sequence, any number of them",
)
def export(
    run: str,
    path: Annotated[Path, Parameter(name="FILE")],
    /,
    *,
    to: Literal["torch", "safetensors", "onnx"] | None = None,
    checkpoint: int | None = None,
    overwrite: bool = False,
    json: Json = False,
) -> None:
    """Write the network of a run as a PyTorch state dict, a safetensors file or an ONNX model.

    The first two have torch.nn's names (embedding.weight, recurrent.weight_ih_l0, recurrent.weight_ih_l0_reverse,
    readout.weight); an ONNX model reads ids (steps, sequences) or numbers (steps, sequences, numbers) and gives logits
    or estimates (steps, sequences, what is predicted), without steps where it predicts once.

    Parameters
    ----------
    run
        A run directory, or the name of a run in ./runs.
    path
        The file to write.
    to
        The format; by default the one of the file's suffix.
    checkpoint
        The weights of this step instead of the best ones.
    overwrite
        Replace a file that is there.
    """
    use_threads(1)
    from gatescope.adopting import FORMATS, save

    kind = to or KINDS.get(path.suffix)
    if kind is None:
        raise UsageError("EXPORT_SAY_FORMAT_WANTED", path=path, formats=" or ".join(FORMATS))
    if path.exists() and not overwrite:
        raise UsageError("EXPORT_ALREADY_ANOTHER_NAME_OVERWRITE", path=path)
    network, step = find_run(run).network(checkpoint)
    try:
        notes = save(network, path, kind)
    except ImportError as error:
        raise UsageError(str(error)) from error
    size = path.stat().st_size
    if json:
        print_json({"file": str(path), "format": kind, "bytes": size, "training_step": step, "notes": notes})
        return
    print(f"{harmless(str(path))}: {file_size(size)}, the weights of step {step:,}")
    for note in notes:
        print(f"note: {harmless(note)}")
