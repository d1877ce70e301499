"""The recordings of lstm-explorer, the program behind the article "Exploring LSTMs" (Chen 2017), as traces.

A file is one JSON object: `chars`, and for each layer k the lists `cs0` (cell state), `hs0` (hidden state), `f_gate0`,
`i_gate0`, `j_gate0` (the candidate) and `o_gate0`, as [neuron][step] or [step][neuron], rounded to three digits. The
equations between them are an LSTM's. That the published files do not satisfy them is theirs to show: nothing is mended.

`T` step, `N` neuron.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.adopting.foreign import AdoptingError
from gatescope.cells import CELLS
from gatescope.checking import TOLERANCES, check
from gatescope.recording import arrays_of
from gatescope.trace import FORMAT, Trace
from gatescope.version import __version__
from gatescope.vocabulary import Vocabulary

LARGEST = 256 << 20  # bytes
NAMES = dict(i="i_gate", f="f_gate", g="j_gate", o="o_gate", c="cs", h="hs")
START = (
    "The state before the first step is not in the file; the first step serves as that, and the trace begins at the "
    "second."
)


def read_lstm_explorer(path: Path | str) -> Trace:
    """The trace of a recording, with the largest residual of its equations.

    Raises:
        AdoptingError: the file is no such recording, or damaged.
    """
    path = Path(path)
    content = _parsed(path)
    characters = content["chars"]
    if len(characters) < 2:
        raise AdoptingError("LSTM_EXPLORER_CHARACTERS_RECORDING_NEEDS_LEAST", path=path, count=len(characters))
    layers: dict[str, dict[str, NDArray[np.float64]]] = {}
    for k in range(len(content)):
        arrays = {name: _array(path, content, f"{field}{k}", len(characters)) for name, field in NAMES.items()}
        if any(value is None for value in arrays.values()):
            break
        found = {name: value for name, value in arrays.items() if value is not None}
        if len({value.shape for value in found.values()}) > 1:
            raise AdoptingError("LSTM_EXPLORER_LISTS_LAYER_DIFFER_LENGTH", k=k, path=path)
        layers[f"layer{k}"] = found
    if not layers:
        raise AdoptingError("LSTM_EXPLORER_LAYER_CS_HS_GATE", path=path)
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

    Yields:
        The layer, the signal, the steps at which it holds, all steps.
    """
    for layer in trace.layers:
        a = {name: np.asarray(values[0], np.float64) for name, values in trace[layer].items()}
        before = np.concatenate([np.asarray(trace.initial[layer]["c"], np.float64), a["c"][:-1]])
        for signal, expected in (("c", a["f"] * before + a["i"] * a["g"]), ("h", a["o"] * np.tanh(a["c"]))):
            off = np.abs(expected - a[signal]) / np.maximum(1.0, np.abs(a[signal]))
            yield layer, signal, int((off <= trace.attributes["tolerance"]).all(axis=1).sum()), len(off)


def _parsed(path: Path) -> dict[str, Any]:
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise AdoptingError("LSTM_EXPLORER_BYTES_RECORDING_MOST", path=path, size=size, largest=LARGEST)
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AdoptingError("FOREIGN_FILE_UNREADABLE", path=path, reason=error.strerror or error) from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, AdoptingError):
            raise
        raise AdoptingError("LSTM_EXPLORER_JSON_TRUNCATED", path=path, error=str(error)[:200]) from error
    characters = content.get("chars") if isinstance(content, dict) else None
    if not isinstance(characters, list) or not all(isinstance(one, str) and len(one) == 1 for one in characters):
        raise AdoptingError("LSTM_EXPLORER_RECORDING_LSTM_EXPLORER_OBJECT", path=path)
    return content


def _array(path: Path, content: dict[str, Any], name: str, steps: int) -> NDArray[np.float64] | None:
    """(T, N) of one list of lists; None where there is none. Square, it is taken as [neuron][step]."""
    rows = content.get(name)
    if not isinstance(rows, list) or not rows:
        return None
    wrong = AdoptingError("LSTM_EXPLORER_LIST_LISTS_NUMBERS_STEPS", name=name, path=path, steps=steps)
    if not all(isinstance(row, list) and len(row) == len(rows[0]) for row in rows):
        raise wrong
    if not all(type(value) in (int, float) for row in rows for value in row):
        raise wrong
    array = np.array(rows, np.float64)
    if array.shape[1] == steps:
        array = array.T
    elif len(array) != steps:
        raise wrong
    if not np.isfinite(array).all() or not array.size:
        raise wrong
    return array
