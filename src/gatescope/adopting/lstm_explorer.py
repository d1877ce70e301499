"""Recordings of lstm-explorer, the program of the article "Exploring LSTMs" (Chen 2017), as traces.

A file is one JSON object: `chars`, and for each layer k the lists `cs0` (cell state), `hs0` (hidden state), `f_gate0`,
`i_gate0`, `j_gate0` (the candidate) and `o_gate0`, as [neuron][step] or [step][neuron], rounded to three digits. The
equations between them are those of an LSTM. The published files do not satisfy them, and nothing is mended here: the
self-check of the trace shows it.

`T` step, `N` neuron.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.adopting.foreign import AdoptingError, reason_of
from gatescope.cells import CELLS
from gatescope.checking import TOLERANCES, check
from gatescope.recording import arrays_of
from gatescope.trace import FORMAT, Trace
from gatescope.version import __version__
from gatescope.vocabulary import Vocabulary

MAX_FILE_BYTES = 256 << 20
NAMES = dict(i="i_gate", f="f_gate", g="j_gate", o="o_gate", c="cs", h="hs")
START = (
    "The state before the first step is not in the file. The state of the first step stands for it, and the trace "
    "begins at the second step."
)


def read_lstm_explorer(path: Path | str) -> Trace:
    """Return the trace of a recording, with the largest residual of its equations.

    Args:
        path: the file, a JSON object.

    Raises:
        AdoptingError: the file is no such recording, or damaged.
    """
    path = Path(path)
    content = _parsed(path)
    characters = content["chars"]
    if len(characters) < 2:
        raise AdoptingError("RECORDING_TOO_SHORT", path=path, count=len(characters))
    layers: dict[str, dict[str, NDArray[np.float64]]] = {}
    for k in range(len(content)):
        arrays = {name: _array(path, content, f"{field}{k}", len(characters)) for name, field in NAMES.items()}
        if any(value is None for value in arrays.values()):
            break
        signals = {name: value for name, value in arrays.items() if value is not None}
        shapes = {f"{NAMES[name]}{k} {value.shape}" for name, value in signals.items()}
        if len({value.shape for value in signals.values()}) > 1:
            raise AdoptingError(
                "RECORDING_SHAPES_DIFFER", path=path, layer=f"layer{k}", shapes=", ".join(sorted(shapes))
            )
        layers[f"layer{k}"] = signals
    if not layers:
        raise AdoptingError("RECORDING_WITHOUT_LAYER", path=path)
    vocabulary = Vocabulary.of("".join(characters))
    tokens = vocabulary.encode("".join(characters))[None]
    rounded = all(np.array_equal(np.round(v, 4), v) for arrays in layers.values() for v in arrays.values())
    precision = "float16" if rounded else "float32"
    cell = CELLS["lstm"]
    attributes: dict[str, Any] = {
        "format": FORMAT,
        "version": __version__,
        "engine": "lstm-explorer",
        "precision": precision,
        "tolerance": TOLERANCES[precision],
        "vocabulary": vocabulary.to_json(),
        "layers": {
            layer: {"cell": cell.to_json(), "neurons": arrays["h"].shape[1], "arrays": arrays_of(cell)}
            for layer, arrays in layers.items()
        },
        "notes": [START],
    }
    target = np.concatenate([tokens[:, 2:], np.full((1, 1), -1, np.int32)], axis=1)
    trace = Trace(
        lengths=np.array([tokens.shape[1] - 1]),
        steps={"token": tokens[:, 1:], "target": target},
        layers={k: {n: v[None, 1:].astype(np.float32) for n, v in arrays.items()} for k, arrays in layers.items()},
        initial={k: {s: arrays[s][None, 0].astype(np.float32) for s in cell.states} for k, arrays in layers.items()},
        parameters={layer: {} for layer in layers},
        attributes=attributes,
    )
    return Trace(**{**vars(trace), "attributes": {**attributes, "residual": check(trace).largest}})


def steps_that_hold(trace: Trace) -> Iterator[tuple[str, str, int, int]]:
    """Count the steps at which the equations of c and h of each layer hold for all neurons.

    Args:
        trace: the trace of a recording.

    Yields:
        The layer, the signal, the count of steps at which its equation holds, and the count of all steps.
    """
    for layer in trace.layers:
        s = {name: np.asarray(values[0], np.float64) for name, values in trace[layer].items()}
        before = np.concatenate([np.asarray(trace.initial[layer]["c"], np.float64), s["c"][:-1]])
        for signal, expected in (("c", s["f"] * before + s["i"] * s["g"]), ("h", s["o"] * np.tanh(s["c"]))):
            residual = np.abs(expected - s[signal]) / np.maximum(1.0, np.abs(s[signal]))
            holds = (residual <= trace.attributes["tolerance"]).all(axis=1)
            yield layer, signal, int(holds.sum()), len(residual)


def _parsed(path: Path) -> dict[str, Any]:
    """Return the JSON object of a recording, whose characters are checked."""
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise AdoptingError("FOREIGN_FILE_TOO_LARGE", path=path, size=size, limit=MAX_FILE_BYTES)
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AdoptingError("FOREIGN_FILE_UNREADABLE", path=path, reason=error.strerror or error) from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, AdoptingError):
            raise
        raise AdoptingError("RECORDING_NO_JSON", path=path, reason=reason_of(error)) from error
    characters = content.get("chars") if isinstance(content, dict) else None
    if not isinstance(characters, list) or not all(
        isinstance(character, str) and len(character) == 1 for character in characters
    ):
        raise AdoptingError("RECORDING_UNKNOWN", path=path)
    return content


def _array(path: Path, content: dict[str, Any], name: str, steps: int) -> NDArray[np.float64] | None:
    """Return a list of lists as (T, N); None if it is missing or empty. A square one is taken as [neuron][step]."""
    rows = content.get(name)
    if not isinstance(rows, list) or not rows:
        return None
    error = AdoptingError("RECORDING_LISTS_DAMAGED", path=path, name=name, steps=steps)
    if not all(isinstance(row, list) and len(row) == len(rows[0]) for row in rows):
        raise error
    if not all(type(value) in (int, float) for row in rows for value in row):
        raise error
    array = np.array(rows, np.float64)
    if array.shape[1] == steps:
        array = array.T
    elif len(array) != steps:
        raise error
    if not np.isfinite(array).all() or not array.size:
        raise error
    return array
