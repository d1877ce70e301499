"""Which input or neuron moves a drive of a neuron at one step?

A gate opens because its drives are large. A drive is a weighted sum: the input of the step, or the hidden states of the
step before, each times its weight. The largest products tell which symbol or which neuron opened the gate, and by how
much. The page shows the same products in *Diagram*.

`N` neuron, `I` input of the layer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.names import unknown
from gatescope.network import Network
from gatescope.studies.common.arrays import check_neuron, check_sequence, signal_of
from gatescope.studies.common.layers import LayerId, number_of
from gatescope.studies.common.table import StudyError, Table
from gatescope.trace import Trace
from gatescope.vocabulary import is_symbol

TITLES = {
    "kind": "input, neuron or bias",
    "source": 'symbol, number of the input, or neuron with its layer, such as "layer0.3"; "" for the bias',
    "weight": "weight of the source in the drive",
    "value": "value of the source; 1 for a symbol and for the bias",
    "part": "their product",
}

Part = tuple[str, str, float, float]


def drive_parts(
    network: Network,
    trace: Trace,
    drive: str,
    *,
    neuron: int,
    step: int,
    sequence: int = 0,
    layer: LayerId = "layer0",
) -> Table:
    """Return the products whose sum is a drive of one neuron at one step.

    Args:
        network: the network.
        trace: a trace of this network, with the hidden states of all layers.
        drive: the name of the drive: "x.i" reads the input of the layer, "u.i" its hidden states of the step before.
        neuron: the neuron.
        step: the step of the sequence.
        sequence: the sequence.
        layer: the layer, by name or number.

    Returns:
        A row for each product, the largest |part| first, and the bias of an input drive as the last row. The weight of
        a symbol of a network with an embedding is that of its vector. An unknown symbol has no row, because it is read
        as 0. `about["total"]` is the sum, the drive.

    Raises:
        TraceError: the trace lacks a layer.
        StudyError: there is no such layer, drive, neuron, sequence or step, or the trace lacks the hidden states.
    """
    k = number_of(network.configuration, layer)
    name, cell = network.configuration.names[k], network.configuration.layers[k].cell
    if drive not in cell.drives:
        raise StudyError(unknown(f"Drive of {name}", drive, cell.drives))
    check_neuron(trace, name, "h", neuron)
    steps = check_sequence(trace, sequence)
    if not 0 <= step < steps:
        raise StudyError("DRIVE_PARTS_STEP_UNKNOWN", last=steps - 1, step=step)
    kind, gate = drive.split(".", 1)
    weights = network.parameters_of(k)
    if kind == "u":
        row = _doubles(weights.recurrent_weights[cell.tape.recurrent_drives.index(gate), neuron])
        parts = _before(network, trace, k, row, sequence, step)
        bias = None
    else:
        g = cell.tape.input_drives.index(gate)
        row = _doubles(weights.input_weights[g, neuron])
        parts = _inputs(network, trace, k, row, sequence, step)
        bias = float(weights.biases[g, neuron].detach())
    rows: list[dict[str, Any]] = [
        {"kind": kind, "source": source, "weight": weight, "value": value, "part": weight * value}
        for kind, source, weight, value in parts
    ]
    rows.sort(key=lambda row: -abs(row["part"]))
    if bias is not None:
        rows.append({"kind": "bias", "source": "", "weight": bias, "value": 1.0, "part": bias})
    total = float(sum(row["part"] for row in rows))
    about = {"study": "drive_parts", "layer": name, "drive": drive, "neuron": neuron, "sequence": sequence}
    return Table.of(rows, TITLES, **about, step=step, total=total)


def _doubles(values: Any) -> NDArray[np.float64]:
    return np.asarray(values.detach().numpy(), np.float64)


def _before(
    network: Network, trace: Trace, layer: int, row: NDArray[np.float64], sequence: int, step: int
) -> list[Part]:
    """Return the parts of the hidden states (N,) that the layer read one step earlier."""
    name = network.configuration.names[layer]
    before = step + 1 if network.configuration.layers[layer].reverse else step - 1
    if 0 <= before < int(trace.lengths[sequence]):
        hidden = signal_of(trace, name, "h")[sequence, before]
    else:
        hidden = trace.initial[name]["h"][sequence]
    return [("neuron", f"{name}.{n}", float(row[n]), float(value)) for n, value in enumerate(np.asarray(hidden))]


def _inputs(
    network: Network, trace: Trace, layer: int, row: NDArray[np.float64], sequence: int, step: int
) -> list[Part]:
    """Return the parts of what the layer reads at a step, (I,): a symbol, numbers, or the layers below."""
    configuration = network.configuration
    level = next(k for k, layers in enumerate(configuration.levels) if layer in layers)
    if level:
        below = [configuration.names[k] for k in configuration.levels[level - 1]]
        hidden = {name: np.asarray(signal_of(trace, name, "h")[sequence, step]) for name in below}
        values = [(f"{name}.{n}", float(value)) for name in below for n, value in enumerate(hidden[name])]
        return [("neuron", source, float(row[k]), value) for k, (source, value) in enumerate(values)]
    symbols = configuration.vocabulary.symbols
    if configuration.vocabulary.unit == "number":
        numbers = np.asarray(trace.steps["input"][sequence, step])
        return [("input", symbols[k], float(row[k]), float(value)) for k, value in enumerate(numbers)]
    symbol = int(trace.steps["token"][sequence, step])
    if not is_symbol(np.array(symbol), configuration.vocabulary.size):
        return []
    weight = row[symbol] if network.embedding is None else row @ _doubles(network.embedding[symbol])
    return [("input", symbols[symbol], float(weight), 1.0)]
