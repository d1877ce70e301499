"""Networks that read in both directions and predict classes or numbers: what torch and ONNX compute, or a question."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from torch import Tensor, nn

from gatescope import Configuration, Layer, Network, Vocabulary, check_with, configure, record
from gatescope.adopting import AdoptingError, Foreign, assemble, read, save
from gatescope.adopting.torch_names import recurrent
from gatescope.cells import CELLS
from gatescope.network import predict
from gatescope.readout import SYMBOLS, Readout, classes, numbers
from tests.adopting.models import IDS, VOCABULARY, save_torch
from tests.adopting.models import SYMBOLS as LETTERS
from tests.adopting.test_onnx import reference

N, C = 6, 3
LENGTHS = (5, 3, 1, 4)
SEQUENCES = [IDS[:length, row].numpy().astype(np.int32) for row, length in enumerate(LENGTHS)]


class Tagger(nn.Module):
    """An embedding, layers in both directions, a readout of both."""

    def __init__(self, kind: str, rows: int = C, **options: Any) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(LETTERS), 5)
        self.rnn = getattr(nn, kind)(5, N, bidirectional=True, batch_first=True, **options)
        self.fc = nn.Linear(2 * (options.get("proj_size") or N), rows)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits after every step, (T, C), and from the last state of each direction, (C,)."""
        steps, state = self.rnn(self.embedding(ids)[None])
        final = state[0] if isinstance(state, tuple) else state
        return self.fc(steps)[0], self.fc(torch.cat([final[-2], final[-1]], 1))[0]


def tagger(kind: str, **options: Any) -> Tagger:
    torch.manual_seed(1)
    made = Tagger(kind, **options)
    with torch.no_grad():
        for value in made.parameters():
            value.add_(0.3 * torch.randn_like(value))
    return made.eval()


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("reads", ["every step", "last step"])
@pytest.mark.parametrize(
    ("kind", "options"),
    [("LSTM", {"num_layers": 2}), ("LSTM", {"proj_size": 2, "num_layers": 2}), ("GRU", {}), ("RNN", {"num_layers": 3})],
)
def test_both_directions_predict_what_torch_does(
    kind: str, options: dict[str, Any], reads: Any, tmp_path: Path
) -> None:
    source = tagger(kind, **options)
    path = save_torch(tmp_path / "m.pt", source.state_dict())
    adopted = assemble(read(path, "tanh"), VOCABULARY, names=("x", "y", "z"), reads=reads)
    assert adopted.network.configuration.readout == classes("xyz", reads)
    layers = options.get("num_layers", 1)
    assert [layer.reverse for layer in adopted.layers] == [False, True] * layers
    for ids, predictions in zip(SEQUENCES, predict(adopted.network, SEQUENCES), strict=True):
        with torch.no_grad():
            every, once = source(torch.from_numpy(ids).long())
        expected = (every if reads == "every step" else once[None]).log_softmax(-1)
        np.testing.assert_allclose(predictions, expected, atol=2e-6)
    assert check_with(adopted.network, record(adopted.network, SEQUENCES)).holds


def test_when_both_directions_are_read_is_a_question(tmp_path: Path) -> None:
    path = save_torch(tmp_path / "m.pt", tagger("GRU").state_dict())
    with pytest.raises(
        AdoptingError, match=r"predictions of fc\.weight: .*when it is read.*reads='every step'.*reads='last step'"
    ):
        assemble(read(path), VOCABULARY, predicts="classes")
    with pytest.raises(AdoptingError, match=r"Predictions of fc\.weight: .*3 rows stand for.*predicts='classes'"):
        assemble(read(path), VOCABULARY)
    with pytest.raises(
        AdoptingError, match=r"Names of classes: expected 3, one for each row of fc\.weight, got 2: x, y"
    ):
        assemble(read(path), VOCABULARY, names=("x", "y"), reads="every step")


@pytest.mark.parametrize(("directions", "share"), [("sum", 1.0), ("average", 0.5)])
def test_a_readout_of_the_sum_of_both_directions(directions: Any, share: float, tmp_path: Path) -> None:
    source = tagger("LSTM", num_layers=2)
    small = nn.Linear(N, C)
    values = {**source.state_dict(), "fc.weight": small.weight.detach(), "fc.bias": small.bias.detach()}
    path = save_torch(tmp_path / "m.pt", values)
    with pytest.raises(AdoptingError, match=r"^Readout: expected one matrix that reads the 12 numbers.*readout='none'"):
        assemble(read(path), VOCABULARY)
    adopted = assemble(read(path), VOCABULARY, predicts="classes", reads="every step", directions=directions)
    ids = torch.from_numpy(SEQUENCES[0]).long()
    with torch.no_grad():
        steps = source.rnn(source.embedding(ids)[None])[0][0]
        expected = small(share * (steps[:, :N] + steps[:, N:])).log_softmax(-1)
    np.testing.assert_allclose(predict(adopted.network, SEQUENCES[:1])[0], expected, atol=2e-6)


def test_one_row_is_a_sigmoid_and_becomes_two_classes(tmp_path: Path) -> None:
    source = tagger("LSTM", rows=1)
    path = save_torch(tmp_path / "m.pt", source.state_dict())
    adopted = assemble(read(path), VOCABULARY, names=("bad", "good"), reads="last step")
    for ids, predictions in zip(SEQUENCES, predict(adopted.network, SEQUENCES), strict=True):
        with torch.no_grad():
            good = torch.sigmoid(source(torch.from_numpy(ids).long())[1]).item()
        np.testing.assert_allclose(np.exp(predictions), [[1 - good, good]], atol=1e-6)
    assert any("sigmoid" in note for note in adopted.notes)
    as_numbers = assemble(read(path), VOCABULARY, predicts="numbers", reads="last step")
    assert as_numbers.network.configuration.readout == numbers(["0"], reads="last step")


class Forecast(nn.Module):
    """Numbers in, numbers out."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(2, N, 2, batch_first=True)
        self.linear = nn.Linear(N, 4)


def test_numbers_in_and_out(tmp_path: Path) -> None:
    torch.manual_seed(2)
    source = Forecast()
    path = save_torch(tmp_path / "m.pt", source.state_dict())
    vocabulary = Vocabulary(("wind", "rain"), unit="number")
    series = [np.random.default_rng(k).normal(size=(k + 1, 2)).astype(np.float32) for k in range(4)]
    with pytest.raises(AdoptingError, match=r"Predictions of linear\.weight: expected to know what"):
        assemble(read(path), vocabulary)
    with pytest.raises(AdoptingError, match=r"predictions of linear\.weight: .*when it is read.*average or a maximum"):
        assemble(read(path), vocabulary, predicts="numbers")
    adopted = assemble(read(path), vocabulary, predicts="numbers", reads="every step")
    assert adopted.network.configuration.readout == numbers("0123")
    for steps, predictions in zip(series, predict(adopted.network, series), strict=True):
        with torch.no_grad():
            np.testing.assert_allclose(
                predictions, source.linear(source.lstm(torch.from_numpy(steps)[None])[0])[0], atol=2e-6
            )
    named = assemble(read(path), vocabulary, predicts="classes", names="abcd", reads="last step")
    assert named.network.configuration.readout == classes("abcd", "last step")
    silent = assemble(read(path), vocabulary, readout="none")
    assert predict(silent.network, series)[3].tolist() == [[0]] * 4
    assert any("the number 0" in note for note in silent.notes)
    with pytest.raises(
        AdoptingError,
        match=r"expected 2 numbers at a step, got 1 name: x\. Name all of them: vocabulary=Vocabulary\(\[2 names\]",
    ):
        assemble(read(path), Vocabulary(("x",), unit="number"))
    with pytest.raises(AdoptingError, match=r"^embedding='one-hot': expected a vocabulary of symbols, got numbers"):
        assemble(read(path), vocabulary, embedding="one-hot")
    with pytest.raises(
        AdoptingError, match=r"if the network reads numbers, give vocabulary=Vocabulary\(\[2 names\], unit='number'\)"
    ):
        assemble(read(path), VOCABULARY)
    with pytest.raises(AdoptingError, match="because the network reads numbers, got symbols"):
        assemble(read(path), vocabulary, predicts="symbols", readout="linear.weight")


def test_layers_that_are_no_two_directions_of_one() -> None:
    torch.manual_seed(0)
    layers = read_layers(nn.LSTM(5, N, bidirectional=True))
    with pytest.raises(AdoptingError, match=r"expected the same sizes, got 5 and 4 inputs"):
        other = read_layers(nn.LSTM(4, N, bidirectional=True))
        assemble(Foreign("test", {"rnn": (layers[0], other[1])}), VOCABULARY)
    with pytest.raises(AdoptingError, match=r"^directions='sum': expected a last layer of two directions"):
        assemble(Foreign("test", {"rnn": layers[:1]}), VOCABULARY, directions="sum")


def read_layers(module: nn.LSTM) -> tuple[Any, ...]:
    return recurrent({name: value.detach() for name, value in module.named_parameters()}, "test").stacks["recurrent"]


# --- the other way, and back ------------------------------------------------------------------------------------------

CASES: list[tuple[Any, int | None, Readout]] = [
    (VOCABULARY, 3, classes("xyz")),
    (VOCABULARY, None, classes("xyz", "last step")),
    (VOCABULARY, 3, SYMBOLS),
    (Vocabulary(("a", "b"), unit="number"), None, numbers("xy")),
    (Vocabulary(("a", "b"), unit="number"), None, numbers("xy", reads="last step")),
]


def sequences_for(vocabulary: Vocabulary) -> list[Any]:
    if vocabulary.unit == "number":
        return [np.random.default_rng(k).normal(size=(k + 1, 2)).astype(np.float32) for k in range(4)]
    return SEQUENCES


def drawn(vocabulary: Vocabulary, embedding: int | None, readout: Readout, cell: str, both: bool) -> Network:
    made = Network(configure(vocabulary, cell, (4, 4), embedding=embedding, readout=readout, both_ways=both), seed=1)
    with torch.no_grad():
        for value in made.parameters():
            value.add_(0.3 * torch.randn(value.shape, generator=torch.Generator().manual_seed(0)))
    return made


@pytest.mark.parametrize("kind", ["torch", "safetensors", "onnx"])
@pytest.mark.parametrize("both", [True, False])
@pytest.mark.parametrize("cell", ["lstm", "gru", "elman"])
@pytest.mark.parametrize(("vocabulary", "embedding", "readout"), CASES)
def test_what_is_exported_is_read_back_the_same(
    vocabulary: Vocabulary, embedding: int | None, readout: Readout, cell: str, both: bool, kind: str, tmp_path: Path
) -> None:
    network = drawn(vocabulary, embedding, readout, cell, both)
    sequences = sequences_for(vocabulary)
    expected = predict(network, sequences)
    path = tmp_path / f"m.{kind}"
    notes = save(network, path, kind)
    assert any("last state" in note for note in notes) == (readout.reads == "last step")
    predictions = {"predicts": readout.kind, "names": readout.names}
    # An ONNX graph shows when it is read; names of classes are nowhere in these files.
    back = assemble(read(path, "tanh"), vocabulary, reads=None if kind == "onnx" else readout.reads, **predictions)
    assert back.network.configuration.readout == readout
    for log_probs, adopted_log_probs in zip(expected, predict(back.network, sequences), strict=True):
        np.testing.assert_allclose(log_probs, adopted_log_probs, atol=2e-6)
    if kind == "onnx":
        for steps, log_probs in zip(sequences, expected, strict=True):
            inputs = torch.from_numpy(steps)[:, None]
            name, inputs = ("numbers", inputs) if vocabulary.unit == "number" else ("tokens", inputs.long())
            values = torch.from_numpy(reference(path, **{name: inputs}))
            values = values if readout.kind == "numbers" else values.log_softmax(-1)
            np.testing.assert_allclose(values.reshape(log_probs.shape), log_probs, atol=2e-6)


def test_an_exported_network_of_both_directions_runs_in_torch(tmp_path: Path) -> None:
    network = drawn(VOCABULARY, 5, classes("xyz"), "gru", True)
    save(network, tmp_path / "m.pt", "torch")
    values = torch.load(tmp_path / "m.pt", weights_only=True)
    theirs = nn.GRU(5, 4, 2, bidirectional=True)
    theirs.load_state_dict({n.removeprefix("recurrent."): v for n, v in values.items() if n.startswith("recurrent.")})
    with torch.no_grad():
        hidden = theirs(nn.functional.embedding(IDS, values["embedding.weight"]))[0]
        expected = nn.functional.linear(hidden, values["readout.weight"], values["readout.bias"])
        np.testing.assert_allclose(network(IDS).logits, expected, atol=2e-6)


@pytest.mark.parametrize("kind", ["torch", "onnx"])
def test_directions_that_differ_cannot_be_exported(kind: str, tmp_path: Path) -> None:
    layers = (Layer(CELLS["lstm"], 3), Layer(CELLS["gru"], 3, reverse=True))
    with pytest.raises(AdoptingError, match="layer0: expected two directions of one cell"):
        save(Network(Configuration(VOCABULARY, layers)), tmp_path / "m", kind)


# --- ONNX graphs as programs write them -------------------------------------------------------------------------------


def graph(
    path: Path, tail: list[Any], *, directions: int = 2, width: int = 2 * 4, rows: int = C, extra: Any = ()
) -> Path:
    """ids -> Gather -> LSTM -> `tail`, which makes "read" of y, h -> MatMul -> Add -> "values"; then `extra`."""
    random = np.random.default_rng(3)
    constants = {
        "table": random.normal(size=(7, 5)),
        "W": random.normal(size=(directions, 16, 5)),
        "R": random.normal(size=(directions, 16, 4)),
        "B": random.normal(size=(directions, 32)),
        "out": random.normal(size=(width, rows)),
        "shift": random.normal(size=rows),
    }
    whole = {"last": -1, "zero": 0, "one": 1}
    shapes = {"steps": [0, 0, -1], "once": [0, -1], "first": [0], "second": [1]}
    direction = "bidirectional" if directions == 2 else "forward"
    names = ["vectors", "W", "R", "B"]
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["vectors"]),
        helper.make_node("LSTM", names, ["y", "h"], name="rnn", hidden_size=4, direction=direction),
        *tail,
        helper.make_node("MatMul", ["read", "out"], ["product"]),
        helper.make_node("Add", ["product", "shift"], ["values"]),
        *extra,
    ]
    result = extra[-1].output[0] if extra else "values"
    made = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("ids", onnx.TensorProto.INT64, ["t", "b"])],
        [helper.make_tensor_value_info(result, onnx.TensorProto.FLOAT, None)],
        [
            *(onnx.numpy_helper.from_array(value.astype("f"), name) for name, value in constants.items()),
            *(onnx.numpy_helper.from_array(np.array(value), name) for name, value in (whole | shapes).items()),
        ],
    )
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def node(kind: str, reads: str, gives: str, **options: Any) -> Any:
    return helper.make_node(kind, reads.split(), [gives], **options)


EVERY = [node("Transpose", "y", "a", perm=[0, 2, 1, 3]), node("Reshape", "a steps", "read")]
BOTH_LAST = [node("Transpose", "h", "a", perm=[1, 0, 2]), node("Reshape", "a once", "read")]
GATHERED = [node("Gather", "h zero", "a"), node("Gather", "h one", "b"), node("Concat", "a b", "read", axis=1)]
TURNED = [node("Gather", "h one", "a"), node("Gather", "h zero", "b"), node("Concat", "a b", "read", axis=1)]
AT_THE_LAST = [*EVERY[:1], node("Reshape", "a steps", "c"), node("Gather", "c last", "read", axis=0)]


@pytest.mark.parametrize(("tail", "reads"), [(EVERY, "every step"), (BOTH_LAST, "last step"), (GATHERED, "last step")])
@pytest.mark.parametrize("activation", ["Softmax", "Sigmoid", None])
def test_a_graph_shows_when_it_is_read_and_what_is_predicted(
    tail: list[Any], reads: str, activation: str | None, tmp_path: Path
) -> None:
    extra = [node(activation, "values", "said")] if activation else []
    path = graph(tmp_path / "m.onnx", tail, rows=1 if activation == "Sigmoid" else C, extra=extra)
    if activation is None:
        with pytest.raises(AdoptingError, match=r"Predictions of out: expected to know what"):
            assemble(read(path), VOCABULARY)
    adopted = assemble(read(path), VOCABULARY, predicts="classes" if activation is None else None)
    readout = adopted.network.configuration.readout
    assert (readout.kind, readout.reads) == ("classes", reads)
    for ids, predictions in zip(SEQUENCES, predict(adopted.network, SEQUENCES), strict=True):
        theirs = reference(path, ids=torch.from_numpy(ids).long()[:, None]).reshape(len(predictions), -1)
        if activation is None:
            theirs = np.exp(theirs) / np.exp(theirs).sum(-1, keepdims=True)
        np.testing.assert_allclose(np.exp(predictions)[:, -theirs.shape[1] :], theirs, atol=2e-6)


def test_last_step_outputs_equal_those_of_every_step(tmp_path: Path) -> None:
    path = graph(tmp_path / "m.onnx", AT_THE_LAST)
    adopted = assemble(read(path), VOCABULARY, predicts="classes")
    assert adopted.network.configuration.readout.reads == "every step"
    assert any("the backward direction has read one step only" in note for note in adopted.notes)
    for ids in SEQUENCES:
        theirs = torch.from_numpy(reference(path, ids=torch.from_numpy(ids).long()[:, None])).log_softmax(-1)
        np.testing.assert_allclose(predict(adopted.network, [ids])[0][-1:], theirs, atol=2e-6)


def test_one_direction_at_the_last_step(tmp_path: Path) -> None:
    tail = [node("Squeeze", "y second", "a"), node("Gather", "a last", "read", axis=0)]
    path = graph(tmp_path / "m.onnx", tail, directions=1, width=4)
    assert assemble(read(path), VOCABULARY, predicts="classes").network.configuration.readout.reads == "last step"
    tail = [node("Squeeze", "h first", "read")]
    foreign = read(graph(path, tail, directions=1, width=4))
    assert assemble(foreign, VOCABULARY, predicts="classes").network.configuration.readout.reads == "last step"


@pytest.mark.parametrize(
    ("tail", "extra", "between"),
    [
        (TURNED, [], "MatMul"),
        ([*EVERY[:1], node("Reshape", "a steps", "c"), node("ReduceMean", "c", "read", axes=[0])], [], "ReduceMean"),
        (EVERY, [node("Relu", "values", "said")], "out has the activation 'relu'"),
        (
            [*EVERY[:1], node("Reshape", "a steps", "c"), node("Gather", "c zero", "read", axis=0)],
            [],
            "read the first step",
        ),
    ],
)
def test_graphs_that_do_something_else_have_no_readout(
    tail: list[Any], extra: list[Any], between: str, tmp_path: Path
) -> None:
    foreign = read(graph(tmp_path / "m.onnx", tail, extra=extra))
    with pytest.raises(AdoptingError, match=f"got something else.*{between}.*readout='none'"):
        assemble(foreign, VOCABULARY)
    assert assemble(foreign, VOCABULARY, readout="none").readout == "none"


def test_what_is_before_the_layers_is_named(tmp_path: Path) -> None:
    path = graph(tmp_path / "m.onnx", EVERY)
    model = onnx.load(path)
    model.graph.node[1].input[0] = "changed"
    model.graph.node.insert(1, node("Tanh", "vectors", "changed", name="bend"))
    onnx.save(model, path)
    with pytest.raises(
        AdoptingError, match=r"expected symbols, got the output of bend \(Tanh\).*Vocabulary\(\[5 names\]"
    ):
        assemble(read(path), VOCABULARY)
    numbers_in = Vocabulary(tuple("abcde"), unit="number")
    with pytest.raises(AdoptingError, match="confirm it: embedding='numbers'"):
        assemble(read(path), numbers_in)
    adopted = assemble(read(path), numbers_in, embedding="numbers", predicts="numbers")
    assert adopted.network.configuration.readout.kind == "numbers"
