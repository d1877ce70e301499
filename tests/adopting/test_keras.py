"""Keras files, in each of their layouts, give what a loop over Keras' own equations gives.

The files are written with h5py in the layouts of Keras 2 and 3. That Keras' own files give the numbers of Keras was
tried by hand with Keras 3.15 (docs/adopting.md). Layers and whole models are in one file, because both are written and
computed by the same few functions.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from gatescope import Vocabulary
from gatescope.adopting import AdoptingError, assemble, read
from gatescope.network import predict
from gatescope.readout import classes, numbers
from tests.adopting.models import IDS, VOCABULARY, assert_same

N, E, V = 4, 5, 7
Weights = dict[str, np.ndarray]


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def drawn(kind: str, inputs: int, seed: int, *, double: bool = False) -> Weights:
    """Return random weights of a layer in Keras' usual layout; `double`: with two biases."""
    random, gates = np.random.default_rng(seed), {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}[kind]
    biases = (2, gates * N) if double or kind == "GRU" else (gates * N,)
    return {
        "kernel": random.normal(size=(inputs, gates * N)).astype("f"),
        "recurrent_kernel": random.normal(size=(N, gates * N)).astype("f"),
        "bias": random.normal(size=biases).astype("f"),
    }


def run(kind: str, w: Weights, inputs: np.ndarray) -> np.ndarray:
    """(T, B, I) -> (T, B, N), as Keras' documentation has it: LSTM i f c o; GRU z r h with reset_after."""
    h = c = np.zeros((inputs.shape[1], N))
    bias = w["bias"].astype(float)
    first, second = (bias[0], bias[1]) if bias.ndim == 2 else (bias, np.zeros_like(bias))
    outputs = []
    for x in inputs:
        drive, recurrent = x @ w["kernel"] + first, h @ w["recurrent_kernel"] + second
        if kind == "LSTM":
            i, f, g, o = np.split(drive + recurrent, 4, axis=1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        elif kind == "GRU":
            (xz, xr, xh), (uz, ur, uh) = np.split(drive, 3, axis=1), np.split(recurrent, 3, axis=1)
            z, r = sigmoid(xz + uz), sigmoid(xr + ur)
            h = z * h + (1 - z) * np.tanh(xh + r * uh)
        else:
            h = np.tanh(drive + recurrent)
        outputs.append(h)
    return np.array(outputs)


def as_cudnn(w: Weights, gates: int) -> Weights:
    """Return the arrays of CuDNNLSTM and CuDNNGRU of Keras 2: each gate's matrix as (outputs, inputs) in the space of
    its transpose, and both biases one after the other."""
    kernels = {
        name: np.concatenate([part.T.reshape(part.shape) for part in np.split(w[name], gates, axis=1)], axis=1)
        for name in ("kernel", "recurrent_kernel")
    }
    return {**kernels, "bias": w["bias"].reshape(-1)}


EMBEDDING = np.random.default_rng(8).normal(size=(V, E)).astype("f")
DENSE = {
    "kernel": np.random.default_rng(9).normal(size=(N, V)).astype("f"),
    "bias": np.random.default_rng(10).normal(size=V).astype("f"),
}


def expected(*layers: tuple[str, Weights]) -> np.ndarray:
    values = EMBEDDING[IDS.numpy()].astype(float)
    for kind, weights in layers:
        values = run(kind, weights, values)
    return values @ DENSE["kernel"] + DENSE["bias"]


def layers_of(*recurrent: tuple[str, str, Weights]) -> list[tuple[str, str, Weights]]:
    return [("emb", "Embedding", {"embeddings": EMBEDDING}), *recurrent, ("out", "Dense", DENSE)]


def keras2(path: Path, layers: list[tuple[str, str, Weights]], config: Any = None) -> Path:
    """Keras 2 (and the .h5 files of Keras 3): a group a layer, arrays by name, the order in an attribute."""
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights") if config else file
        root.attrs["layer_names"] = [name.encode() for name, _, _ in layers]
        for name, _, weights in layers:
            for part, value in weights.items():
                root[f"{name}/{name}/{part}:0"] = value
        if config:
            file.attrs["model_config"] = json.dumps(config)
    return path


def keras3(path: Path, layers: list[tuple[str, str, Weights]], config: Any) -> Path:
    """Write a .keras file: groups by class and number, arrays by number, the configuration beside them."""
    buffer, counted = io.BytesIO(), dict[str, int]()
    with h5py.File(buffer, "w") as file:
        for _, kind, weights in layers:
            base = {"SimpleRNN": "simple_rnn"}.get(kind, kind.lower())
            number = counted.get(base, 0)
            counted[base] = number + 1
            inside = "cell/vars" if "recurrent_kernel" in weights else "vars"
            for k, value in enumerate(weights.values()):
                file[f"layers/{base}{f'_{number}' if number else ''}/{inside}/{k}"] = value
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", "{}")
        archive.writestr("model.weights.h5", buffer.getvalue())
    return path


def sequential(layers: list[tuple[str, str, Weights]], **options: Any) -> Any:
    about = [
        {"class_name": kind, "config": {"name": name, **(options if "recurrent_kernel" in weights else {})}}
        for name, kind, weights in layers
    ]
    return {"class_name": "Sequential", "config": {"name": "sequential", "layers": about}}


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
@pytest.mark.parametrize("layout", ["keras2 weights", "keras2 model", "keras3"])
def test_logits_are_those_of_keras_equations(kind: str, layout: str, tmp_path: Path) -> None:
    weights = drawn(kind, E, 0)
    layers = layers_of(("rnn", kind, weights))
    options = {"reset_after": True} if kind == "GRU" else {}
    if layout == "keras3":
        path = keras3(tmp_path / "m.keras", layers, sequential(layers, **options))
    else:
        path = keras2(tmp_path / "m.h5", layers, sequential(layers, **options) if "model" in layout else None)
    adopted = assemble(read(path), VOCABULARY)
    assert_same(adopted.network, expected((kind, weights)))
    assert bool(adopted.notes) == (layout == "keras2 weights" and kind != "GRU")


@pytest.mark.parametrize(("kind", "gates"), [("LSTM", 4), ("GRU", 3)])
def test_the_layout_of_cudnn_is_recognised(kind: str, gates: int, tmp_path: Path) -> None:
    weights = drawn(kind, E, 1, double=True)
    layers = layers_of(("rnn", f"CuDNN{kind}", as_cudnn(weights, gates)))
    adopted = assemble(read(keras2(tmp_path / "m.hdf5", layers)), VOCABULARY)
    assert_same(adopted.network, expected((kind, weights)))
    assert not adopted.notes


def test_keras_layers_are_connected_whatever_their_names_are(tmp_path: Path) -> None:
    first, second = drawn("LSTM", E, 2), drawn("LSTM", N, 3)
    # In the file the first LSTM is "lstm"; in the model the second one is called that.
    layers = layers_of(("mine", "LSTM", first), ("lstm", "LSTM", second))
    path = keras3(tmp_path / "m.keras", layers, sequential(layers, return_sequences=True))
    adopted = assemble(read(path), VOCABULARY)
    assert [layer.name for layer in adopted.layers] == ["lstm", "lstm_1"]
    assert_same(adopted.network, expected(("LSTM", first), ("LSTM", second)))


def test_keras_layers_without_a_connection_are_a_question(tmp_path: Path) -> None:
    first, second = drawn("LSTM", E, 2), drawn("GRU", N, 3)
    path = keras2(tmp_path / "m.h5", layers_of(("a", "LSTM", first), ("b", "GRU", second)))
    with pytest.raises(AdoptingError, match=r"expected one network.*a \(LSTM.*b \(GRU"):
        assemble(read(path), VOCABULARY)
    adopted = assemble(read(path), VOCABULARY, layers=["a", "b"])
    assert_same(adopted.network, expected(("LSTM", first), ("GRU", second)))


def test_a_gru_that_resets_before_the_product_is_another_cell(tmp_path: Path) -> None:
    weights = {**drawn("GRU", E, 0), "bias": np.zeros(3 * N, "f")}
    with pytest.raises(AdoptingError, match=r"got reset_after=False, which is another cell"):
        read(keras2(tmp_path / "m.h5", layers_of(("rnn", "GRU", weights))))


@pytest.mark.parametrize("option", [{"recurrent_activation": "hard_sigmoid"}, {"activation": "relu"}])
def test_other_activations_are_refused(option: dict[str, str], tmp_path: Path) -> None:
    layers = layers_of(("rnn", "LSTM", drawn("LSTM", E, 0)))
    with pytest.raises(AdoptingError, match=next(iter(option.values()))):
        read(keras2(tmp_path / "m.h5", layers, sequential(layers, **option)))


def test_both_directions(tmp_path: Path) -> None:
    forward, backward = drawn("LSTM", E, 0), drawn("LSTM", E, 1)
    with h5py.File(tmp_path / "m.h5", "w") as file:
        for part in forward:
            file[f"bi/bi/forward_lstm/{part}:0"] = forward[part]
            file[f"bi/bi/backward_lstm/{part}:0"] = backward[part]
    layers = read(tmp_path / "m.h5").stacks["bi"]
    assert [layer.reverse for layer in layers] == [False, True]
    for layer, weights in zip(layers, (forward, backward), strict=True):
        kernel = np.concatenate(list(layer.parameters.input_weights.numpy()))
        np.testing.assert_array_equal(kernel, weights["kernel"].T)


# --- whole models, with their descriptions ----------------------------------------------------------------------------

Level = tuple[str, Weights, Weights | None, str]  # kind, forward, backward, how they are joined
LENGTHS = (5, 2, 4, 1)
OUT = (
    np.random.default_rng(12).normal(size=(2 * N, 3)).astype("f"),
    np.random.default_rng(13).normal(size=3).astype("f"),
)


def reference(levels: list[Level], inputs: np.ndarray, *, once: bool) -> np.ndarray:
    """Return the outputs of the last layer for one sequence (T, I): (T, H), or (H,) with return_sequences=False."""
    values, final = inputs[:, None], np.empty(0)
    for kind, forward, backward, joined in levels:
        ahead = run(kind, forward, values)
        parts, ends = [ahead], [ahead[-1]]
        if backward is not None:
            back = run(kind, backward, values[::-1])  # in the order in which it reads
            parts, ends = [ahead, back[::-1]], [ahead[-1], back[-1]]
        values, final = (
            np.concatenate(sides, -1) if joined == "concat" else np.sum(sides, 0) / (2 if joined == "ave" else 1)
            for sides in (parts, ends)
        )
    return final[0] if once else values[:, 0]


def described(name: str, kind: str, reads: str | None, functional: bool, **config: Any) -> Any:
    """Return a layer as Keras 3 describes it; in a graph with the name of its input."""
    about = {"class_name": kind, "config": {"name": name, **config}, "name": name}
    if functional:
        history = {"class_name": "__keras_tensor__", "config": {"keras_history": [reads, 0, 0]}}
        about["inbound_nodes"] = [{"args": [history], "kwargs": {"mask": None}}] if reads else []
    return about


def both(kind: str, sequences: bool, joined: Any) -> dict[str, Any]:
    inner = {"class_name": kind, "config": {"name": "inner", "return_sequences": sequences, "reset_after": True}}
    return {"layer": inner, "merge_mode": joined}


def saved(
    path: Path, levels: list[Level], *, functional: bool, once: bool, dense: Any, tail: Any = (), loss: Any = None
) -> Path:
    """Write a .keras file: [embedding,] layers, `tail` of (name, kind, config, kernel, bias)."""
    layers, arrays = [described("ids", "InputLayer", None, functional)], dict[str, np.ndarray]()
    if dense["symbols"]:
        layers.append(described("vectors", "Embedding", "ids", functional, mask_zero=dense.get("mask", False)))
        arrays["embedding/vars/0"] = EMBEDDING
    counted: dict[str, int] = {}
    for k, (kind, forward, backward, joined) in enumerate(levels):
        sequences, name = not once or k + 1 < len(levels), f"layer {k}"
        wrapper = kind if backward is None else "Bidirectional"
        about = (
            {"return_sequences": sequences, "reset_after": True} if backward is None else both(kind, sequences, joined)
        )
        layers.append(described(name, wrapper, layers[-1]["name"], functional, **about))
        layers.append(described(f"drop {k}", "Dropout", name, functional))
        base = {"SimpleRNN": "simple_rnn"}.get(wrapper, wrapper.lower())
        group = f"{base}_{counted[base]}" if counted.get(base) else base
        counted[base] = counted.get(base, 0) + 1
        for side, weights in (("forward_layer", forward), ("backward_layer", backward)):
            inside = "cell" if backward is None else f"{side}/cell"
            for j, value in enumerate(weights.values() if weights else ()):
                arrays[f"{group}/{inside}/vars/{j}"] = value
    for name, kind, config, weights in tail:
        layers.append(described(name, kind, layers[-1]["name"], functional, **config))
        for j, value in enumerate(weights):
            arrays[f"{config.get('group', kind.lower())}/{'layer/' if kind == 'TimeDistributed' else ''}vars/{j}"] = (
                value
            )
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for place, value in arrays.items():
            file[f"layers/{place}"] = value
    kind = "Functional" if functional else "Sequential"
    config = {"class_name": kind, "config": {"name": "m", "layers": layers}, "compile_config": {"loss": loss}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", buffer.getvalue())
    return path


def softmax(values: np.ndarray) -> np.ndarray:
    raised = np.exp(values - values.max(-1, keepdims=True))
    return raised / raised.sum(-1, keepdims=True)


@pytest.mark.parametrize("functional", [True, False])
@pytest.mark.parametrize("once", [True, False])
@pytest.mark.parametrize("joined", ["concat", "sum", "ave"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
def test_classes_of_both_directions(functional: bool, once: bool, joined: str, kind: str, tmp_path: Path) -> None:
    width = 2 * N if joined == "concat" else N
    levels: list[Level] = [
        (kind, drawn(kind, E, 0), drawn(kind, E, 1), joined),
        (kind, drawn(kind, width, 2), drawn(kind, width, 3), joined),
    ]
    kernel, bias = OUT[0][:width], OUT[1]
    dense = ("tags", "Dense", {"activation": "softmax"}, (kernel, bias))
    if not once:
        inner = {"class_name": "Dense", "config": {"activation": "softmax"}}
        dense = ("tags", "TimeDistributed", {"layer": inner, "group": "time_distributed"}, (kernel, bias))
    path = saved(tmp_path / "m.keras", levels, functional=functional, once=once, dense={"symbols": True}, tail=[dense])
    adopted = assemble(read(path), VOCABULARY)
    assert adopted.network.configuration.readout == classes("012", "last step" if once else "every step")
    assert not adopted.notes
    sequences = [IDS[:length, row].numpy().astype(np.int32) for row, length in enumerate(LENGTHS)]
    for ids, log_probs in zip(sequences, predict(adopted.network, sequences), strict=True):
        expected = softmax(reference(levels, EMBEDDING[ids].astype(float), once=once) @ kernel + bias)
        np.testing.assert_allclose(np.exp(log_probs), np.atleast_2d(expected), atol=2e-6)


def test_a_sigmoid_of_one_number_and_masked_padding(tmp_path: Path) -> None:
    levels: list[Level] = [("LSTM", drawn("LSTM", E, 0), drawn("LSTM", E, 1), "concat")]
    tail = [("good", "Dense", {"activation": "sigmoid"}, (OUT[0][:, :1], OUT[1][:1]))]
    about = {"symbols": True, "mask": True}
    path = saved(
        tmp_path / "m.keras", levels, functional=True, once=True, dense=about, tail=tail, loss="binary_crossentropy"
    )
    with pytest.raises(AdoptingError, match=r"Id 0 of the vocabulary: expected padding.*got 'a'"):
        assemble(read(path), VOCABULARY, names=("bad", "good"))
    padded = Vocabulary(("\ue000", *VOCABULARY.symbols[1:]))
    adopted = assemble(read(path), padded, names=("bad", "good"))
    ids = np.array([3, 1, 4], np.int32)
    good = sigmoid(reference(levels, EMBEDDING[ids].astype(float), once=True) @ OUT[0][:, :1] + OUT[1][:1])[0]
    np.testing.assert_allclose(np.exp(predict(adopted.network, [ids])[0]), [[1 - good, good]], atol=2e-6)


@pytest.mark.parametrize(
    ("loss", "readout"),
    [
        ("mse", numbers("012", reads="last step")),
        ({"class_name": "SparseCategoricalCrossentropy", "config": {"from_logits": True}}, classes("012", "last step")),
        (None, numbers("012", reads="last step")),
    ],
)
def test_numbers_in(loss: Any, readout: Any, tmp_path: Path) -> None:
    levels: list[Level] = [("LSTM", drawn("LSTM", 2, 0), None, "concat"), ("GRU", drawn("GRU", N, 1), None, "concat")]
    tail = [("next", "Dense", {"activation": "linear"}, (OUT[0][:N], OUT[1]))]
    path = saved(
        tmp_path / "m.keras", levels, functional=False, once=True, dense={"symbols": False}, tail=tail, loss=loss
    )
    vocabulary = Vocabulary(("a", "b"), unit="number")
    if loss is None:
        with pytest.raises(AdoptingError, match=r"Predictions of .*: expected to know what"):
            assemble(read(path), vocabulary)
    adopted = assemble(read(path), vocabulary, predicts="numbers" if loss is None else None)
    assert adopted.network.configuration.readout == readout
    steps = np.random.default_rng(0).normal(size=(6, 2)).astype("f")
    expected = reference(levels, steps.astype(float), once=True) @ OUT[0][:N] + OUT[1]
    predictions = predict(adopted.network, [steps])[0]
    np.testing.assert_allclose(
        softmax(predictions) if readout.kind == "classes" else predictions,
        (softmax(expected) if readout.kind == "classes" else expected)[None],
        atol=2e-6,
    )


@pytest.mark.parametrize(
    ("tail", "between"),
    [
        ([("hidden", "Dense", {"activation": "relu"}, OUT)], r"dense has the activation 'relu'"),
        (
            [("pool", "GlobalMaxPooling1D", {}, ()), ("out", "Dense", {"activation": "softmax"}, OUT)],
            "GlobalMaxPooling1D",
        ),
    ],
)
def test_what_stands_between_is_named(tail: Any, between: str, tmp_path: Path) -> None:
    levels: list[Level] = [("LSTM", drawn("LSTM", E, 0), drawn("LSTM", E, 1), "concat")]
    path = saved(tmp_path / "m.keras", levels, functional=True, once=False, dense={"symbols": True}, tail=tail)
    with pytest.raises(AdoptingError, match=f"got something else.*{between}.*readout='none'"):
        assemble(read(path), VOCABULARY)
    assert assemble(read(path), VOCABULARY, readout="none").readout == "none"


@pytest.mark.parametrize("joined", ["mul", None, ["concat"]])
def test_other_ways_to_put_directions_together_are_refused(joined: Any, tmp_path: Path) -> None:
    levels: list[Level] = [("LSTM", drawn("LSTM", E, 0), drawn("LSTM", E, 1), joined)]
    path = saved(tmp_path / "m.keras", levels, functional=True, once=True, dense={"symbols": True})
    with pytest.raises(AdoptingError, match="expected directions joined by one of concat, sum, ave, got"):
        assemble(read(path), VOCABULARY, readout="none")


@pytest.mark.parametrize("attack", ["external", "soft", "huge", "cut", "deep"])
def test_hostile_files(attack: str, tmp_path: Path) -> None:
    path = keras2(tmp_path / "m.h5", layers_of(("rnn", "LSTM", drawn("LSTM", E, 0))))
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["kernel"] = np.zeros((E, 4 * N), "f")
    with h5py.File(path, "a") as file:
        if attack == "external":
            file["rnn/other"] = h5py.ExternalLink(str(secret), "/kernel")
        elif attack == "soft":
            file["rnn/loop"] = h5py.SoftLink("/rnn")
        elif attack == "huge":
            file.create_dataset("rnn/rnn/more", (1 << 20, 1 << 20), "f", chunks=(64, 64))
        elif attack == "deep":
            file["rnn/again"] = file["rnn"]  # a group inside itself
    if attack == "cut":
        path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(AdoptingError, match=r"m\.h5"):
        read(path)


@pytest.mark.parametrize("ways", [[True], [True, True], [False, True], [True, False], [False, True, True]])
@pytest.mark.parametrize("once", [True, False])
def test_keras_layers_that_go_backwards(ways: list[bool], once: bool, tmp_path: Path) -> None:
    """Keras hands on the steps of such a layer in the order in which it read them; the next layer reads that order."""
    layers, values = [("emb", "Embedding", {"embeddings": EMBEDDING})], EMBEDDING[[1, 3, 6, 2]].astype(float)[:, None]
    options, size = {}, E
    for k, way in enumerate(ways):
        name, weights = f"rnn{k}", drawn("LSTM", size, k)
        layers.append((name, "LSTM", weights))
        options[name] = {"go_backwards": way, "return_sequences": not once or k + 1 < len(ways)}
        values, size = run("LSTM", weights, values[::-1] if way else values), N
    config = sequential([*layers, ("out", "Dense", DENSE)])
    for about in config["config"]["layers"]:
        about["config"] |= options.get(about["config"]["name"], {})
    path = keras3(tmp_path / "m.keras", [*layers, ("out", "Dense", DENSE)], config)
    if not once and sum(ways) % 2:
        with pytest.raises(AdoptingError, match="steps come in reversed order, from the last to the first"):
            assemble(read(path), VOCABULARY, predicts="symbols")
        return
    network = assemble(read(path), VOCABULARY, predicts="symbols").network
    logits = (values[-1:] if once else values)[:, 0] @ DENSE["kernel"] + DENSE["bias"]
    log_probs = predict(network, [np.array([1, 3, 6, 2], np.int32)])[0]
    np.testing.assert_allclose(np.exp(log_probs), softmax(logits), atol=2e-6)


@pytest.mark.parametrize("kind", ["relu", "tanh", "gelu", "elu", "linear"])
def test_keras_hidden_layers_of_the_head(kind: str, tmp_path: Path) -> None:
    levels: list[Level] = [("LSTM", drawn("LSTM", E, 0), None, "concat")]
    random = np.random.default_rng(0)
    hidden, last = random.normal(size=(N, 6)).astype("f"), random.normal(size=(6, 3)).astype("f")
    tail = [
        ("hidden", "Dense", {"activation": kind}, (hidden, np.zeros(6, "f"))),
        ("out", "Dense", {"activation": "softmax", "group": "dense_1"}, (last, OUT[1])),
    ]
    path = saved(tmp_path / "m.keras", levels, functional=True, once=True, dense={"symbols": True}, tail=tail)
    x = torch.from_numpy(reference(levels, EMBEDDING[[1, 4]].astype(float), once=True) @ hidden)
    inner = {"linear": lambda v: v, "gelu": torch.nn.functional.gelu, "elu": torch.nn.functional.elu}.get(kind)
    values = (inner or getattr(torch, kind))(x).numpy()
    log_probs = predict(assemble(read(path), VOCABULARY).network, [np.array([1, 4], np.int32)])[0]
    np.testing.assert_allclose(np.exp(log_probs)[0], softmax(values @ last + OUT[1]), atol=2e-6)


@pytest.mark.parametrize("damage", ["name", "size"])
def test_keras_head_unlike_its_description_is_refused(damage: str, tmp_path: Path) -> None:
    """The description names a hidden layer without weights, or one that does not read the recurrent layer."""
    levels: list[Level] = [("LSTM", drawn("LSTM", E, 0), None, "concat")]
    hidden = np.ones((N + 1 if damage == "size" else N, 6), "f")
    tail = [
        ("hidden", "Dense", {"activation": "relu", "group": "x" if damage == "name" else "dense"}, (hidden,)),
        ("out", "Dense", {"activation": "softmax", "group": "dense_1"}, (np.ones((6, 3), "f"), OUT[1])),
    ]
    path = saved(tmp_path / "m.keras", levels, functional=True, once=True, dense={"symbols": True}, tail=tail)
    match = "expected a matrix of the file" if damage == "name" else r"expected dense\.kernel to read 4 numbers"
    with pytest.raises(AdoptingError, match=match):
        assemble(read(path), VOCABULARY)
