"""`gatescope export`: write the network of a run for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from gatescope.cli.app import EXCHANGE_GROUP, command
from gatescope.cli.live import LIVE, PARTS, collect, live_options, print_sizes, refuse_options
from gatescope.cli.options import Flag, Json, RunName, check_output_file, use_threads
from gatescope.cli.output import format_file_size, print_json, print_line_note, print_message
from gatescope.cli.subject import find_run
from gatescope.cli.usage import UsageError

if TYPE_CHECKING:
    from gatescope.explorer.live import LiveOptions

FORMAT_OF_SUFFIX = {
    ".pt": "torch",
    ".pth": "torch",
    ".safetensors": "safetensors",
    ".onnx": "onnx",
    ".html": LIVE,
    ".htm": LIVE,
}


@command(EXCHANGE_GROUP)
def export(
    name: RunName,
    path: Annotated[Path, Parameter(name="FILE")],
    /,
    *,
    to: Literal["torch", "safetensors", "onnx", "html"] | None = None,
    checkpoint: int | None = None,
    checkpoints: int | None = None,
    passages: int | None = None,
    without_text: Flag = False,
    findings: Flag = False,
    half: Flag = False,
    overwrite: bool = False,
    json: Json = False,
) -> None:
    """Write the network of a run as a live HTML file, a PyTorch state dict, a safetensors file or an ONNX model."""
    use_threads(1)
    from gatescope.adopting import FORMATS

    kind = to or FORMAT_OF_SUFFIX.get(path.suffix.lower())
    if kind is None:
        raise UsageError("EXPORT_FORMAT_UNKNOWN", path=path, formats=" or ".join((*FORMATS, LIVE)))
    if path.exists() and not overwrite:
        raise UsageError("EXPORT_FILE_EXISTS", path=path)
    if kind == LIVE:
        refuse_options(LIVE, {"--checkpoint": checkpoint})
        options = live_options(checkpoints, passages, half=half, without_text=without_text, findings=findings)
        _export_live(name, path, options, json=json)
        return
    of_live_files = {"--checkpoints": checkpoints, "--passages": passages, "--half": half}
    refuse_options(kind, {**of_live_files, "--without-text": without_text, "--findings": findings})
    _export_weights(name, path, kind, checkpoint, json=json)


def _export_live(name: str, path: Path, options: LiveOptions, *, json: bool) -> None:
    """Write a live file, after a list of what leaves the machine."""
    from gatescope.explorer.live import write_live_file
    from gatescope.explorer.live.disclosure import Disclosure

    check_output_file("FILE", path)
    (live,) = collect([find_run(name)], options, quiet=json)
    sizes = write_live_file(live, path)
    if json:
        change = None if live.half is None else str(live.half.sentence)
        sizes_of_parts = {part: getattr(sizes, part) for part in ("total", *PARTS)}
        content = {"file": str(path), "format": LIVE, "bytes": sizes.total, "training_step": live.training_step}
        print_json(content | {"leaves": Disclosure.of(live).to_json(), "sizes": sizes_of_parts, "half": change})
        return
    print_sizes(path, sizes)


def _export_weights(name: str, path: Path, kind: str, checkpoint: int | None, *, json: bool) -> None:
    """Write the weights for another program."""
    from gatescope.adopting import save

    network, step = find_run(name).network(checkpoint)
    try:
        notes = save(network, path, kind)
    except ImportError as error:
        raise UsageError("CLI_PACKAGE_MISSING", reason=error) from error
    nbytes = path.stat().st_size
    if json:
        print_json({"file": str(path), "format": kind, "bytes": nbytes, "training_step": step, "notes": notes})
        return
    print_message("EXPORT_SUMMARY", path=path, size=format_file_size(nbytes), step=step)
    for note in notes:
        print_line_note(note)
