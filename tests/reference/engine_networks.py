"""What Python computes for networks: signals, drives, states, traces and residuals of the self-check.

`scripts/write-engine-fixtures` writes them before the tests of the page.
"""

import json
import math
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save
from safetensors.torch import save as save_torch

from gatescope import Intervention, Network
from gatescope.cells import Cell
from gatescope.configuration import Configuration, Layer
from gatescope.explorer.wire import TraceRequest, encode
from gatescope.recording import check_with, record
from gatescope.runs.tensors import checksum
from gatescope.sources import parts_for
from tests.reference.engine_shapes import ALL_CELLS, SEED, SHAPES, Shape
from tests.reference.traced_text import TracedText

STEPS, ROWS = 9, 3
LENGTHS = (9, 1, 6)
TRAINING_STEP = 40


def network_of(cell: Cell, shape: Shape, generator: torch.Generator) -> Network:
    """Return a network with random weights; biases, neuron weights and initial states differ from 0 as well."""
    layers = tuple(Layer(cell, **layer) for layer in shape.layers)
    network = Network(Configuration(shape.vocabulary, layers, shape.embedding, 0.0, shape.readout, shape.hidden))
    with torch.no_grad():
        for weights in network.state_dict().values():
            weights.copy_(torch.randn(weights.shape, generator=generator) * 0.5)
    return network.eval()


def inputs_of(network: Network, generator: torch.Generator) -> torch.Tensor:
    """Return random ids (T, B), unknown ones and padding among them, or numbers (T, B, I)."""
    vocabulary = network.configuration.vocabulary
    if vocabulary.unit == "number":
        return torch.randn(STEPS, ROWS, vocabulary.size, generator=generator)
    return torch.randint(-1, vocabulary.size + 1, (STEPS, ROWS), generator=generator)


def interventions_of(network: Network) -> list[dict[str, Any]]:
    """Return changes of the lowest and highest layer, as the page sends them."""
    names, layers = network.configuration.names, network.configuration.layers
    signals = layers[0].cell.signals
    rising = [k / 8 - 0.5 for k in range(STEPS)]
    return [
        dict(layer=names[0], signal="h", neuron=0, scale=0.5, shift=0.25),
        dict(layer=names[0], signal=signals[0], neuron=dict(start=1, stop=3), steps=dict(start=2, stop=7, step=2)),
        dict(layer=names[0], signal="h", neuron=0, steps=-1, scale=-1.0, shift=0.125),
        dict(layer=names[0], signal=signals[-1], neuron=1, row=2, scale=1.0, shift=rising),
        dict(
            layer=names[-1],
            signal="h",
            neuron=dict(start=-2),
            row=dict(step=2),
            shift=[[[value, -value], [2 * value, 0.5]] for value in rising],
        ),
    ]


def _slice(value: Any) -> Any:
    if isinstance(value, dict):
        return slice(value.get("start"), value.get("stop"), value.get("step"))
    return value


def from_json(change: dict[str, Any]) -> Intervention:
    """Return the intervention that the page describes."""
    return Intervention(**{name: _slice(value) for name, value in change.items()})


def forward_arrays(network: Network, inputs: torch.Tensor, changes: list[dict[str, Any]]) -> dict[str, NDArray[Any]]:
    """Return signals, drives and final states of the plain engine, and the readout at every and at the last step."""
    configuration = network.configuration
    dtype = network.readout_biases.dtype
    with torch.inference_mode():
        outputs = [
            network(
                inputs.to(dtype) if inputs.is_floating_point() else inputs,
                lengths=torch.tensor(LENGTHS),
                keep=[(*layer.cell.signals, *layer.cell.drives) for layer in configuration.layers],
                interventions=[from_json(change) for change in changes],
                engine="plain",
                reads=reads,
            )
            for reads in ("every step", "last step")
        ]
    arrays = {"logits": outputs[0].logits.numpy(), "last": outputs[1].logits.numpy()}
    for k, name in enumerate(configuration.names):
        arrays |= {f"{name}.{signal}": values.numpy() for signal, values in outputs[0].signals[k].items()}
        arrays |= {f"{name}.final.{state}": values.numpy() for state, values in outputs[0].state[k].items()}
    return arrays


def trace_bytes(network: Network, text: str, layer: str, changes: list[dict[str, Any]]) -> bytes:
    """Return the answer of the local server to a request for all arrays of a layer."""
    configuration = network.configuration
    labels = [label for part in parts_for(configuration, text) for label in configuration.vocabulary.labels(part)]
    trace = record(network, text, interventions=[from_json(change) for change in changes]) if labels else None
    recorded = TracedText(network, trace, labels, configuration.vocabulary.unknown_in(text), TRAINING_STEP)
    return encode(recorded, TraceRequest(text, layer=layer, drives=True, top=4))


def traces_of(network: Network, shape: Shape) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield requests for traces, and the answers."""
    names = network.configuration.names
    clamp = [dict(layer=names[-1], signal="h", neuron=1, steps=dict(start=1), scale=0.0, shift=0.5)]
    for layer in names:
        yield dict(text=shape.text, layer=layer), trace_bytes(network, shape.text, layer, [])
    yield (
        dict(text=shape.text, layer=names[-1], interventions=clamp),
        trace_bytes(network, shape.text, names[-1], clamp),
    )
    yield dict(text="", layer=names[0]), trace_bytes(network, "", names[0], [])


TAMPERED = ((0.25, 0), (-3e-4, 1), (2e-5, 0), (float("nan"), 1))  # (what is added, neuron)


def tampered_checks(network: Network, shape: Shape) -> list[dict[str, Any]]:
    """Return single changes of recorded values, and the largest residual of each changed trace."""
    trace = record(network, shape.text)
    checks = []
    for layer in trace.layers:
        for k, name in enumerate(trace[layer]):
            delta, neuron = TAMPERED[k % len(TAMPERED)]
            array = trace[layer][name].copy()
            step = k % int(trace.lengths[0])
            array[0, step, neuron] += delta
            layers = {**trace.layers, layer: {**trace[layer], name: array}}
            report = check_with(network, replace(trace, layers=layers))
            largest = None if math.isinf(report.largest) else report.largest
            place = dict(layer=layer, name=name, step=step, neuron=neuron)
            checks.append(place | dict(delta=None if math.isnan(delta) else delta, largest=largest))
    return checks


def write_networks(folder: Path) -> None:
    """Write every cell in every shape: the run's two files, and what Python computes."""
    generator = torch.Generator().manual_seed(SEED)
    index: list[dict[str, Any]] = []
    arrays: dict[str, NDArray[Any]] = {}
    for cell in ALL_CELLS:
        for shape in SHAPES:
            case = f"{cell.name}/{shape.name}"
            network = network_of(cell, shape, generator)
            inputs, changes = inputs_of(network, generator), interventions_of(network)
            tensors = dict(network.state_dict())
            metadata = {"step": str(TRAINING_STEP), "format": "pt", "sha256": checksum(tensors, TRAINING_STEP)}
            weights = save_torch(tensors, metadata)
            arrays[f"{case}/weights"] = np.frombuffer(weights, np.uint8)
            arrays[f"{case}/inputs"] = inputs.numpy() if inputs.is_floating_point() else inputs.numpy().astype(np.int32)
            traces = list(traces_of(network, shape))
            for k, (_, answer) in enumerate(traces):
                arrays[f"{case}/trace{k}"] = np.frombuffer(answer, np.uint8)
            for precision, made in (("float32", network), ("float64", deepcopy(network).double())):
                for label, changed in (("free", []), ("changed", changes)):
                    values = forward_arrays(made, inputs, changed)
                    arrays |= {f"{case}/{precision}/{label}/{name}": value for name, value in values.items()}
            index.append(
                dict(
                    case=case,
                    network=network.configuration.to_json(),
                    interventions=changes,
                    traces=[request for request, _ in traces],
                    checks=tampered_checks(network, shape),
                )
            )
    contiguous = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    content = json.dumps(dict(lengths=LENGTHS, rows=ROWS, cases=index))
    (folder / "networks.bin").write_bytes(save(contiguous, {"index": content}))
