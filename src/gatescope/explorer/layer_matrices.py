"""The weights of one layer by name: what its neurons read, and what reads them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.explorer.costs import megabytes, size_of, weight_bytes, with_network
from gatescope.explorer.live.tensor_bytes import tensor_bytes
from gatescope.explorer.memory import Memory, Reservation
from gatescope.explorer.requests import CHECKPOINT, Field, RequestError, parse_request, quoted
from gatescope.messages import Message
from gatescope.network import Network
from gatescope.runs import Run
from gatescope.studies.weights import matrices_of

FIELDS = {"layer": Field(str), "checkpoint": CHECKPOINT}
COPIES = 3  # of the weights while they are cut and written

Arrays = dict[str, NDArray[np.float32]]


def layer_matrices(memory: Memory, run: Run, data: Any) -> tuple[bytes, Reservation]:
    """Return the weights of a layer, in the layout that docs/explorer.md describes.

    Args:
        memory: the memory of the server.
        run: the run.
        data: the JSON value of the request.

    Raises:
        RequestError: a field cannot be used, the run has no such layer, or the network is too large.
        GatescopeError: the run cannot be read.
    """
    fields = parse_request("matrices", data, FIELDS)
    configuration = run.configuration()
    if fields["layer"] not in configuration.names:
        layers = ", ".join(configuration.names)
        raise RequestError("EXPLORER_LAYER_UNKNOWN", layers=layers, layer=quoted(fields["layer"]))
    needed = with_network(configuration, COPIES * weight_bytes(configuration))
    too_large = Message(
        "EXPLORER_MATRICES_TOO_LARGE", network=size_of(configuration), limit=megabytes(memory.working_bytes)
    )
    reserved = memory.reserve(needed, too_large)
    try:
        network, step = run.network(fields["checkpoint"])
        body = tensor_bytes(*matrices_json(network, fields["layer"], step))
    except BaseException:
        reserved.release()
        raise
    reserved.shrink(len(body))
    return body, reserved


def matrices_json(network: Network, layer: str, step: int) -> tuple[Arrays, dict[str, str]]:
    """Return the weights into and out of a layer, and what their rows and columns are.

    Args:
        network: the network.
        layer: the name of the layer.
        step: the training step of the weights.

    Returns:
        Arrays by name: "input.GATE" (N, I), "bias.GATE" (N,), "recurrent.GATE" (N, N), "neuron.NAME" (N,), and, with a
        column for each neuron, "readout" or "above.LAYER.GATE". Weights of an embedded symbol are those of its vector.
    """
    configuration = network.configuration
    level = next(k for k, level in enumerate(configuration.levels) if configuration.names.index(layer) in level)
    below = [configuration.names[k] for k in configuration.levels[level]]
    sizes = [configuration.layers[configuration.names.index(name)].neurons for name in below]
    first = sum(sizes[: below.index(layer)])
    own = slice(first, first + sizes[below.index(layer)])
    is_top = level + 1 == len(configuration.levels)
    above = [] if is_top else [configuration.names[k] for k in configuration.levels[level + 1]]
    matrices = list(matrices_of(network))
    output = next(kind for _, kind, *_ in matrices if kind in ("hidden", "readout"))
    embedding = next((values for _, kind, *_, values in matrices if kind == "embedding" and level == 0), None)
    arrays: Arrays = {}
    inputs: list[str] = []
    outputs: list[str] = []
    for name, kind, gate, rows, columns, values in matrices:
        if name == layer and kind == "input":
            inputs = list(configuration.vocabulary.symbols if embedding is not None else columns)
            arrays[f"input.{gate}"] = values if embedding is None else _product(values, embedding)
        elif name == layer and kind in ("bias", "recurrent", "neuron"):
            arrays[f"{kind}.{gate}"] = values if kind == "recurrent" else values[:, 0]
        elif name in above and kind == "input":
            arrays[f"above.{name}.{gate}"] = values[:, own]
        elif is_top and kind == output and "readout" not in arrays:
            arrays["readout"], outputs = values[:, own], list(rows)
    reads = "numbers" if configuration.vocabulary.unit == "number" else "symbols"
    metadata = {
        "arrays": json.dumps(list(arrays)),
        "reads": "neurons" if level else reads,
        "embedded": json.dumps(embedding is not None),
        "inputs": json.dumps(inputs),
        "outputs": json.dumps(outputs),
        "hidden": json.dumps(bool(configuration.hidden)),
        "step": str(step),
    }
    return {name: np.ascontiguousarray(values, np.float32) for name, values in arrays.items()}, metadata


def _product(weights: NDArray[Any], embedding: NDArray[Any]) -> NDArray[np.float64]:
    """Return the weights (N, V) of symbols whose vectors, (E, V), are read by weights (N, E)."""
    product: NDArray[np.float64] = weights.astype(np.float64) @ embedding.astype(np.float64)
    return product
