"""The file of a run's weights as it stands on disk, for readers that compute with it elsewhere."""

from __future__ import annotations

from gatescope.files import read_regular
from gatescope.network import expected_tensors
from gatescope.runs.run import Run
from gatescope.runs.run_errors import file_errors
from gatescope.runs.tensors import largest_file, parse_tensors


def weights_file(run: Run, checkpoint: int | None = None) -> bytes:
    """Return the content of weights.safetensors, after the checks that `Run.network` makes.

    Args:
        run: the run.
        checkpoint: the step of a checkpoint; None: the best weights so far.

    Raises:
        RunError: the weights are missing or damaged, or do not fit the configuration.
    """
    expected = expected_tensors(run.configuration())
    path, missing = run.weights_path(checkpoint)
    with file_errors(path, missing):
        content = read_regular(path, largest_file(expected), inside=run.path)
    parse_tensors(content, path, expected)
    return content
