"""The weights of a layer as the page gets them: those of the study, and the same as the engine in the browser cuts."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load

from gatescope import TASKS, Settings, configure, create_run, train
from gatescope.explorer.layer_matrices import layer_matrices, matrices_json
from gatescope.explorer.live.tensor_bytes import tensor_bytes
from gatescope.explorer.memory import Memory
from gatescope.explorer.requests import RequestError
from tests.reference.engine_networks import network_of
from tests.reference.engine_shapes import ALL_CELLS, SHAPES

BY_NAME = {shape.name: shape for shape in SHAPES}


def matrices(shape: str, layer: str, cell: str = "lstm") -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """Return a network, the arrays of one of its layers, and what their rows and columns are."""
    chosen = next(one for one in ALL_CELLS if one.name == cell)
    network = network_of(chosen, BY_NAME[shape], torch.Generator().manual_seed(3))
    arrays, metadata = matrices_json(network, layer, 7)
    return network, arrays, {k: v if k in ("reads", "step") else json.loads(v) for k, v in metadata.items()}


def test_one_hot_layer_has_a_column_for_each_symbol() -> None:
    network, arrays, about = matrices("characters", "layer0")
    parameters = network.parameters_of(0)
    for k, gate in enumerate("ifgo"):
        np.testing.assert_array_equal(arrays[f"input.{gate}"], parameters.input_weights[k].detach())
        np.testing.assert_array_equal(arrays[f"recurrent.{gate}"], parameters.recurrent_weights[k].detach())
        np.testing.assert_array_equal(arrays[f"bias.{gate}"], parameters.biases[k].detach())
    np.testing.assert_array_equal(arrays["readout"], network.readout_weights.detach())
    assert about["inputs"] == list("ab月\n😀") == about["outputs"]
    assert (about["reads"], about["embedded"], about["step"]) == ("symbols", False, "7")


def test_embedded_symbols_have_the_weights_of_their_vectors() -> None:
    network, arrays, about = matrices("bytes", "layer0")
    expected = network.parameters_of(0).input_weights[0] @ network.embedding.T
    np.testing.assert_allclose(arrays["input.i"], expected.detach(), rtol=1e-5, atol=1e-6)
    assert about["embedded"]
    assert len(about["inputs"]) == 256
    assert arrays["above.layer1.i"].shape == (6, 3)
    np.testing.assert_array_equal(arrays["above.layer1.i"], network.parameters_of(1).input_weights[0].detach())


def test_directions_share_what_is_above() -> None:
    network, arrays, about = matrices("both-ways", "layer0_reverse")
    above = network.parameters_of(2).input_weights[0].detach()
    np.testing.assert_array_equal(arrays["above.layer1.i"], above[:, 4:])
    _, arrays, about = matrices("both-ways", "layer1_reverse")
    np.testing.assert_array_equal(arrays["readout"], network.readout_weights.detach()[:, 2:])
    assert about["reads"] == "neurons"
    assert about["inputs"][4] == "layer0_reverse.0"


def test_hidden_layers_of_the_readout_read_the_neurons() -> None:
    network, arrays, about = matrices("numbers", "layer1", "peephole")
    np.testing.assert_array_equal(arrays["readout"], network.hidden_weights(0)[0].detach())
    assert about["hidden"]
    assert about["outputs"] == [f"hidden0.{n}" for n in range(4)]
    assert {"neuron.i", "neuron.f", "neuron.o"} <= set(arrays)


def test_arrays_are_written_with_their_order() -> None:
    _, arrays, about = matrices("characters", "layer0")
    loaded = load(tensor_bytes(*matrices_json(matrices("characters", "layer0")[0], "layer0", 7)))
    assert sorted(loaded) == sorted(about["arrays"])
    assert about["arrays"][0] == "input.i"
    assert list(arrays) == about["arrays"]


def test_unknown_layer_and_field_are_refused(tmp_path: Path) -> None:
    task = TASKS["counter"](batch=2)
    counter = create_run(tmp_path / "counter", task, configure(task.vocabulary, "gru", [4]), Settings(2))
    train(counter)
    with pytest.raises(RequestError, match="expected one of layer0"):
        layer_matrices(Memory(), counter, {"layer": "layer9"})
    with pytest.raises(RequestError):
        layer_matrices(Memory(), counter, {"layer": "layer0", "colour": 1})
    body, reserved = layer_matrices(Memory(), counter, {"layer": "layer0", "checkpoint": None})
    assert load(body)["recurrent.r"].shape == (4, 4)
    reserved.release()
