"""Traces in the format that the page reads, and the same numbers as JSON: fixtures for the tests of the page's reader.

    python -m tests.reference.wire        writes web/tests/fixtures/ again

The explorer encodes the bytes; the JSON is written by loops over the original arrays.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from gatescope import Network, Trace, Vocabulary, configure
from gatescope.explorer.wire import TraceRequest, encode
from gatescope.recording import describe
from tests.reference.traced_text import TracedText

FIXTURES = Path(__file__).parents[2] / "web" / "tests" / "fixtures"
LABELS = ["a", "月", "\n", "é", "😀"]  # two sequences: three symbols, then two unknown characters
LENGTHS = (3, 2)
NEURONS = 2
# Special values of float32: NaN, infinity, both zeros, the smallest, the largest, and a third.
VALUES = (math.nan, math.inf, -math.inf, -0.0, 0.0, 1e-45, 3.4028234663852886e38, -1 / 3, 1.5, -65504.0)


def network() -> Network:
    """Return a GRU of two neurons over three symbols; only its configuration matters."""
    return Network(configure(Vocabulary(("a", "月", "\n"), end="\n"), "gru", [NEURONS]))


def trace(network: Network) -> Trace:
    """Return a trace of two sequences with distinguishable numbers; the padding of the second one is NaN."""
    cell = network.configuration.layers[0].cell
    layer: dict[str, NDArray[np.float32]] = {}
    for k, name in enumerate((*cell.signals, *cell.drives)):
        layer[name] = _numbers(k, (2, 3, NEURONS))
    inside = np.arange(3) < np.array(LENGTHS)[:, None]
    steps = {
        "token": np.where(inside, np.array([[0, 1, 2], [3, 3, 0]]), -1).astype(np.int32),
        "target": np.array([[1, 2, -1], [3, -1, -1]], np.int32),
        "log_probability": np.array([[-0.25, -3.5, math.nan], [math.nan] * 3], np.float32),
        "top_token": np.array([[[1, 0], [2, 0], [0, 2]], [[0, 1], [1, 0], [-1, -1]]], np.int32),
        "top_probability": np.where(inside[..., None], _numbers(3, (2, 3, 2)), np.nan).astype(np.float32),
    }
    parameters = {"layer0": {f"p.{name}": _numbers(8, (NEURONS,)) for name in cell.tape.parameters}}
    attributes = {**describe(network), "residual": 3.14159e-7, "engine": "plain, native"}
    return Trace(np.array(LENGTHS), steps, {"layer0": layer}, {"layer0": {}}, parameters, attributes)


def _numbers(offset: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    count = math.prod(shape)
    values = [VALUES[k] if (k := (offset * 3 + place) % 23) < len(VALUES) else k / 8 for place in range(count)]
    return np.array(values, np.float32).reshape(shape)


def messages() -> Iterator[tuple[str, bytes, dict[str, Any]]]:
    """Yield name, bytes and expected content of every fixture."""
    net = network()
    original = trace(net)
    shared = {"residual": "3.14e-07", "tolerance": "1e-05", "holds": "true", "step": "40", "engine": "plain, native"}
    metadata = {**shared, "labels": json.dumps(LABELS), "unknown": '["\\u00e9", "\\ud83d\\ude00"]'}
    recorded = TracedText(net, original, LABELS, ["é", "😀"], 40)
    signals, drives = list(net.configuration.layers[0].cell.signals), list(net.configuration.layers[0].cell.drives)

    everything = TraceRequest("a月\né😀", drives=True, top=2)
    arrays = {f"layer0.{name}": _rows(original["layer0"][name], [0, 1]) for name in (*signals, *drives)}
    arrays |= {f"layer0.{name}": _flat(v) for name, v in original.parameters["layer0"].items()}
    yield (
        "trace",
        encode(recorded, everything),
        {"metadata": metadata, "arrays": arrays | _steps(original, 2)},
    )

    single = TraceRequest("a月\né😀", signals=("h",), neurons=(1,), top=1)
    arrays = {"layer0.h": _rows(original["layer0"]["h"], [1])}
    yield (
        "one-neuron",
        encode(recorded, single),
        {"metadata": metadata, "arrays": arrays | _steps(original, 1)},
    )

    nothing = TracedText(net, None, [], [], 40)
    empty = {name: {"dtype": "I32", "shape": [0], "values": []} for name in ("token",)}
    empty["start"] = {"dtype": "U8", "shape": [0], "values": []}
    empty["log_probability"] = {"dtype": "F32", "shape": [0], "values": []}
    empty["top_token"] = {"dtype": "I32", "shape": [0, 3], "values": []}
    empty["top_probability"] = {"dtype": "F32", "shape": [0, 3], "values": []}
    empty |= {f"layer0.{name}": {"dtype": "F32", "shape": [NEURONS, 0], "values": []} for name in signals}
    metadata = {**shared, "residual": "0", "engine": "", "labels": "[]", "unknown": "[]"}
    yield "empty", encode(nothing, TraceRequest("")), {"metadata": metadata, "arrays": empty}

    by_type = {
        "half": np.array([[*VALUES[:5], 6e-8], [65504.0, -1 / 3, 1.5, -0.125, 2.0, 1e-4]], np.float16),
        "whole": np.array([-(2**31), -1, 0, 2**31 - 1], np.int32),
        "small": np.array([0, 1, 255], np.uint8),
        "none": np.empty((4, 0), np.float16),
    }
    names = {"half": "F16", "whole": "I32", "small": "U8", "none": "F16"}
    arrays = {name: {**_flat(array), "dtype": names[name]} for name, array in by_type.items()}
    yield "types", save(by_type, {"said": "σ · 月"}), {"metadata": {"said": "σ · 月"}, "arrays": arrays}


def _rows(array: NDArray[np.float32], neurons: list[int]) -> dict[str, Any]:
    """Return (S, T, N) as one row per neuron, with the steps of all sequences in a row."""
    values = [float(array[s, t, n]) for n in neurons for s, length in enumerate(LENGTHS) for t in range(length)]
    return {"dtype": "F32", "shape": [len(neurons), sum(LENGTHS)], "values": _json(values)}


def _steps(trace: Trace, top: int) -> dict[str, Any]:
    places = [(s, t) for s, length in enumerate(LENGTHS) for t in range(length)]
    steps = trace.steps
    token, ranked = (
        [int(steps["token"][place]) for place in places],
        [(*place, k) for place in places for k in range(top)],
    )
    logs = [float(steps["log_probability"][place]) for place in places]
    shares = [float(steps["top_probability"][place]) for place in ranked]
    return {
        "token": {"dtype": "I32", "shape": [5], "values": token},
        "start": {"dtype": "U8", "shape": [5], "values": [1, 0, 0, 1, 0]},
        "log_probability": {"dtype": "F32", "shape": [5], "values": _json(logs)},
        "top_token": {
            "dtype": "I32",
            "shape": [5, top],
            "values": [int(steps["top_token"][place]) for place in ranked],
        },
        "top_probability": {"dtype": "F32", "shape": [5, top], "values": _json(shares)},
    }


def _flat(array: NDArray[Any]) -> dict[str, Any]:
    return {"dtype": "F32", "shape": list(array.shape), "values": _json(array.flatten().tolist())}


def _json(values: list[float]) -> list[float | str]:
    """Return the values; those that JSON does not have, as JavaScript spells them. Its zero has a sign, as here."""
    names = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
    return [names.get(str(value), value) for value in values]


def parted(message: bytes) -> tuple[dict[str, Any], bytes]:
    """Return header and arrays; the order of the header is up to the library that writes it."""
    size = int.from_bytes(message[:8], "little")
    return json.loads(message[8 : 8 + size]), message[8 + size :]


def write(folder: Path) -> None:
    """Write every fixture."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, message, content in messages():
        (folder / f"{name}.bin").write_bytes(message)
        (folder / f"{name}.json").write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(FIXTURES)
