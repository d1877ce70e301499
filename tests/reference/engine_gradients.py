"""What Python computes for gradients: maps, connections and chains of every cell.

`scripts/write-engine-fixtures` writes them before the tests of the page.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save
from safetensors.torch import save as save_torch

from gatescope.explorer.chains import chain_json
from gatescope.explorer.connections import encode_changes, encode_gradients
from gatescope.explorer.exact_recording import ExactRecording
from gatescope.explorer.gradient_map import encode_map
from gatescope.explorer.lesson import paths_json
from gatescope.head import HiddenLayer
from gatescope.readout import Readout
from gatescope.sources import parts_for
from gatescope.studies.gradients.backpropagation import saliency
from gatescope.studies.gradients.influence import influence
from gatescope.studies.gradients.products import product_map
from tests.reference.engine_networks import TRAINING_STEP, network_of
from tests.reference.engine_shapes import ALL_CELLS, BOTH, CHARACTERS, SEED, Shape

# Networks for gradients. Every activation of a hidden layer is used by one of them.
GRADIENT_SHAPES = (
    Shape("symbols", CHARACTERS, (dict(neurons=5),), "ab月b\né😀a\naab月aab"),
    Shape("embedded", CHARACTERS, (dict(neurons=4), dict(neurons=3)), "ab月b\né😀ab", embedding=3),
    Shape(
        "stacked",
        CHARACTERS,
        (dict(neurons=4, initial=True), dict(neurons=3)),
        "abab月b\nba",
        embedding=3,
        hidden=(HiddenLayer(4, "gelu"), HiddenLayer(3, "tanh"), HiddenLayer(4, "leaky_relu"), HiddenLayer(3, "none")),
    ),
    Shape(
        "read-both-ways",
        CHARACTERS,
        (*BOTH, dict(neurons=2), dict(neurons=3, reverse=True, initial=True)),
        "abab月b\nba",
        hidden=(HiddenLayer(4, "silu"), HiddenLayer(3, "sigmoid"), HiddenLayer(4, "softplus")),
    ),
    Shape(
        "once",
        CHARACTERS,
        (dict(neurons=3),),
        "abab月b",
        readout=Readout(reads="last step"),
        hidden=(HiddenLayer(4, "selu"), HiddenLayer(3, "elu"), HiddenLayer(4, "relu")),
    ),
)


def chains_of(recording: ExactRecording, layer: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield requests for the factors of every state, within the first sequence and the last, and the answers."""
    neurons = recording.jacobians(layer)[0].neurons
    firsts = recording.firsts.tolist()
    for k, state in enumerate(recording.jacobians(layer)[0].states):
        for first, end in ((firsts[0], firsts[1]), (firsts[-2], firsts[-1])):
            request: dict[str, Any] = dict(layer=layer, state=state, neuron=k % neurons, after=end - 1, before=first)
            yield request, chain_json(recording, **request)


def paths_of(recording: ExactRecording, text: str) -> Iterator[dict[str, Any]]:
    """Yield requests for the paths of weights of the last layer, and the answers without the agreement of digits."""
    configuration = recording.network.configuration
    cell, name = configuration.layers[-1].cell, configuration.names[-1]
    if configuration.both_ways or configuration.hidden or configuration.readout.reads == "last step":
        return
    for k, drive in enumerate(cell.tape.recurrent_drives):
        request = dict(layer=name, drive=drive, to=k % 3, source=(k + 1) % 3, step=(2, 0, 1, 3)[k % 4])
        known = paths_json(recording.network, TRAINING_STEP, dict(text=text, **request), recording.labels)
        yield dict(request=request, answer={k: v for k, v in known.items() if k != "digits"})


def map_arrays(recording: ExactRecording, layer: str, case: str) -> dict[str, NDArray[Any]]:
    """Return the map of every sequence in float64, and the answer of the local server."""
    arrays: dict[str, NDArray[Any]] = {}
    for number, jacobians in enumerate(recording.jacobians(layer)):
        products = product_map(jacobians, vectors=jacobians.width)
        place = f"{case}/{layer}/{number}"
        arrays |= {f"{place}/{name}": getattr(products, name) for name in ("norm", "largest", "bypass", "rest")}
        arrays |= {f"{place}/norm.{state}": values for state, values in products.by_state.items()}
        arrays[f"{place}/shares"] = np.array(list(jacobians.shares().values()))
    return arrays | {f"{case}/{layer}/map": np.frombuffer(encode_map(recording, layer), np.uint8)}


def connection_arrays(recording: ExactRecording, case: str) -> dict[str, NDArray[Any]]:
    """Return connections of the first sequence in float64, and the answers of the local server."""
    network, ids = recording.network, recording.sequences[0]
    arrays = {f"{case}/gradient": np.frombuffer(encode_gradients(recording, 0, recording.steps), np.uint8)}
    places = np.flatnonzero(~np.isnan(recording.log_probabilities(0)))
    measured = saliency(network, ids, places.tolist())
    arrays |= {f"{case}/places": places, f"{case}/losses": measured.losses}
    by_input = np.zeros((len(places), len(ids)))
    for row, place in enumerate(places):
        inside = (place - measured.distances >= 0) & (place - measured.distances < len(ids))
        by_input[row, (place - measured.distances)[inside]] = measured.inputs[row, inside]
    arrays[f"{case}/inputs"] = np.nan_to_num(by_input)
    if not network.configuration.both_ways:
        changed = influence(network, ids, furthest=len(ids))
        arrays |= {f"{case}/divergence": changed.divergence, f"{case}/distances": changed.distances}
        arrays[f"{case}/change"] = np.frombuffer(encode_changes(recording), np.uint8)
    return arrays


def write_gradients(folder: Path) -> None:
    """Write the maps, connections and chains of every cell."""
    generator = torch.Generator().manual_seed(SEED + 1)
    index: list[dict[str, Any]] = []
    arrays: dict[str, NDArray[Any]] = {}
    for cell in ALL_CELLS:
        for shape in GRADIENT_SHAPES:
            case, network = f"{cell.name}/{shape.name}", network_of(cell, shape, generator)
            weights = save_torch(dict(network.state_dict()), {"step": str(TRAINING_STEP)})
            arrays[f"{case}/weights"] = np.frombuffer(weights, np.uint8)
            parts = parts_for(network.configuration, shape.text)
            labels = [label for part in parts for label in network.configuration.vocabulary.labels(part)]
            recording = ExactRecording.of(network, TRAINING_STEP, shape.text, labels)
            arrays |= connection_arrays(recording, case)
            configuration, chains = network.configuration, []
            stateful = zip(configuration.names, configuration.layers, strict=True)
            layers = [name for name, layer in stateful if layer.cell.states and not layer.reverse]
            for layer in layers:
                arrays |= map_arrays(recording, layer, case)
                chains += [dict(request=request, answer=answer) for request, answer in chains_of(recording, layer)]
            index.append(
                dict(
                    case=case,
                    network=configuration.to_json(),
                    text=shape.text,
                    layers=layers,
                    chains=chains,
                    paths=list(paths_of(recording, shape.text)),
                )
            )
    contiguous = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    (folder / "gradients.bin").write_bytes(save(contiguous, {"index": json.dumps(index)}))
