"""What are the weights of a network, named by gate, neuron and symbol?

In a small network a mechanism can be read off its weights. The input weight of the candidate from the symbol "a" is the
amount by which an a moves the cell state; the recurrent weight from neuron 3 to the forget gate of neuron 5 shows which
neuron resets which.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.network import Network
from gatescope.studies.common.layers import LayerId, number_of
from gatescope.studies.common.table import StudyError, Table

MAX_ROWS = 5_000_000
KINDS = (
    *("embedding", "input", "recurrent", "bias", "neuron", "initial"),
    *("hidden", "hidden bias", "readout", "readout bias"),
)

TITLES = {
    "layer": 'layer; "" for the embedding, the hidden layers of the readout and the readout',
    "kind": f"{', '.join(KINDS[:-1])} or {KINDS[-1]}",
    "gate": 'gate, candidate or state that the weight enters, or number of the hidden layer; "" for all others',
    "to": "neuron (or predicted symbol, class or number) that the weight leads to",
    "source": 'neuron, symbol or number that the weight comes from; "" for biases and weights per neuron',
    "value": "weight",
}


def weights(network: Network, *, layer: LayerId | None = None, kinds: Sequence[str] | None = None) -> Table:
    """Return every weight of a network as one row, named by what it connects.

    Args:
        network: any network.
        layer: only the weights of this layer, by name ("layer0") or number; None: all weights.
        kinds: only these kinds of `KINDS`; None: all kinds.

    Returns:
        A table with the columns of `TITLES`.

    Raises:
        StudyError: there is no such layer or kind, or the table would have more than 5,000,000 rows.
    """
    if wrong := [kind for kind in kinds or () if kind not in KINDS]:
        raise StudyError("WEIGHTS_KIND_UNKNOWN", kinds=", ".join(KINDS), kind=wrong[0])
    only = None if layer is None else network.configuration.names[number_of(network.configuration, layer)]
    matrices = [
        matrix
        for matrix in matrices_of(network)
        if (only is None or matrix[0] == only) and (kinds is None or matrix[1] in kinds)
    ]
    size = sum(values.size for *_, values in matrices)
    if size > MAX_ROWS:
        raise StudyError("WEIGHTS_TOO_MANY_ROWS", max_rows=MAX_ROWS, rows=size)
    parts = [_rows(*matrix) for matrix in matrices]
    columns = {name: np.concatenate([part[name] for part in parts]) if parts else np.empty(0) for name in TITLES}
    return Table(columns, TITLES, {"study": "weights", "layer": only or "", "kinds": list(kinds or KINDS)})


def matrices_of(
    network: Network,
) -> Iterator[tuple[str, str, str, Sequence[str], Sequence[str], NDArray[np.floating[Any]]]]:
    """Yield every weight matrix of a network with the names of its rows and columns.

    Yields:
        (layer, kind, gate, names of the rows, names of the columns, values (rows, columns)). A vector has one column
        with the name "".
    """
    configuration = network.configuration
    read = _names_of_inputs(network)
    if network.embedding is not None:
        symbols = configuration.vocabulary.symbols
        yield "", "embedding", "", read, symbols, _array(network.embedding).T
    names = configuration.names
    for level in configuration.levels:
        for k in level:
            cell, parameters = configuration.layers[k].cell, network.parameters_of(k)
            own = [str(n) for n in range(configuration.layers[k].neurons)]
            for g, gate in enumerate(cell.tape.input_drives):
                yield names[k], "input", gate, own, read, _array(parameters.input_weights[g])
                yield names[k], "bias", gate, own, [""], _array(parameters.biases[g])[:, None]
            for g, gate in enumerate(cell.tape.recurrent_drives):
                yield names[k], "recurrent", gate, own, own, _array(parameters.recurrent_weights[g])
            for g, name in enumerate(cell.tape.parameters):
                yield names[k], "neuron", name, own, [""], _array(parameters.neuron_weights[g])[:, None]
            for name, values in network.initial[k].named_buffers():
                yield names[k], "initial", name, own, [""], _array(values)[:, None]
        several = len(level) > 1
        read = [f"{names[k]}.{n}" if several else str(n) for k in level for n in range(configuration.layers[k].neurons)]
    for k, hidden in enumerate(configuration.hidden):
        values, biases = network.hidden_weights(k)
        units = [f"hidden{k}.{n}" for n in range(hidden.neurons)]
        yield "", "hidden", str(k), units, read, _array(values)
        yield "", "hidden bias", str(k), units, [""], _array(biases)[:, None]
        read = units
    predicted = _names_of_outputs(network)
    yield "", "readout", "", predicted, read, _array(network.readout_weights)
    yield "", "readout bias", "", predicted, [""], _array(network.readout_biases)[:, None]


def _names_of_inputs(network: Network) -> Sequence[str]:
    configuration = network.configuration
    if configuration.embedding is not None:
        return [str(k) for k in range(configuration.embedding)]
    return configuration.vocabulary.symbols


def _names_of_outputs(network: Network) -> Sequence[str]:
    readout = network.configuration.readout
    if readout.kind == "symbols":
        return network.configuration.vocabulary.symbols
    return readout.value_names


def _array(values: Any) -> NDArray[np.floating[Any]]:
    return values.detach().numpy()


def _rows(
    layer: str, kind: str, gate: str, rows: Sequence[str], columns: Sequence[str], values: NDArray[np.floating[Any]]
) -> dict[str, NDArray[Any]]:
    size = values.size
    return {
        "layer": np.array([layer] * size, dtype=object),
        "kind": np.array([kind] * size, dtype=object),
        "gate": np.array([gate] * size, dtype=object),
        "to": np.repeat(np.array(rows, dtype=object), values.shape[1]),
        "source": np.tile(np.array(columns, dtype=object), values.shape[0]),
        "value": values.astype(np.float64).ravel(),
    }
