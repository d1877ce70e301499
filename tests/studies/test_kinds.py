"""Studies of bidirectional and many-to-one networks, and of networks that predict classes or numbers.

They are compared with torch's autograd, finite differences, whole runs and neurons with weights set by hand.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gatescope import Intervention, Network, Vocabulary, configure
from gatescope.features import Feature, words
from gatescope.features.class_predictions import FAMILY
from gatescope.network import predict
from gatescope.readout import SYMBOLS, Readout, classes, numbers
from gatescope.recording import record, weights_of
from gatescope.studies import Steps, StudyError
from gatescope.studies.ablation import ablation
from gatescope.studies.common.layers import number_of
from gatescope.studies.comparison import reach
from gatescope.studies.gradients.backpropagation import contributions, saliency
from gatescope.studies.gradients.influence import influence
from gatescope.studies.gradients.jacobians import exact, jacobians
from gatescope.studies.gradients.paths import paths
from gatescope.studies.health import health
from gatescope.studies.horizon import horizon
from gatescope.studies.labels import Search, labels
from gatescope.studies.passages import passages
from gatescope.studies.patterns import matches, neurons_on
from gatescope.studies.probes import probes
from gatescope.studies.text_errors import errors
from tests.networks import ALPHABET, network

NUMBERS = Vocabulary(("x", "gate"), None, "number")
QUANTILES = (0.1, 0.5, 0.9)
READOUTS = {
    "symbols": SYMBOLS,
    "classes": classes(("no", "yes", "maybe")),
    "once": classes(("no", "yes", "maybe"), "last step"),
    "numbers": numbers(("y", "z")),
    "quantiles": numbers(("y", "z"), QUANTILES),
    "number once": numbers(("y", "z"), reads="last step"),
}
KINDS = [
    (reads, predicts, both)
    for reads in ("characters", "embedded", "numbers")
    for predicts in READOUTS
    for both in (False, True)
    if not (reads == "numbers" and predicts == "symbols")
]


def network_of(reads: str, predicts: str, both: bool, cell: str = "lstm", neurons: tuple[int, ...] = (3, 2)) -> Network:
    vocabulary = NUMBERS if reads == "numbers" else ALPHABET
    embedding = 3 if reads == "embedded" else None
    return network(cell, neurons, 5, vocabulary, readout=READOUTS[predicts], both_ways=both, embedding=embedding)


def sequence(reads: str, length: int = 7, seed: int = 1) -> np.ndarray:
    random = np.random.default_rng(seed)
    if reads == "numbers":
        return random.normal(size=(length, 2)).astype(np.float32)
    return random.integers(0, 6, length).astype(np.int32)  # 5 is unknown


def truth(predicts: str, read: np.ndarray, seed: int = 2) -> np.ndarray:
    """Return the targets of each step; some steps have none."""
    random = np.random.default_rng(seed)
    count = len(read)
    if predicts == "symbols":
        return np.append(read[1:], -1).astype(np.int32)
    if READOUTS[predicts].kind == "classes":
        class_ids = random.integers(0, 3, count).astype(np.int32)
        class_ids[1] = -1
        return class_ids
    values = random.normal(size=(count, 2)).astype(np.float32)
    values[1] = np.nan
    values[2, 0] = np.nan
    return values


def read_out(net: Network, read: np.ndarray, changes: tuple[Intervention, ...] = ()) -> Tensor:
    """Return the logits by the plain engine: (T, V), or (1, V) for a many-to-one network."""
    steps = torch.from_numpy(read)
    steps = steps.to(net.readout_biases.dtype) if steps.is_floating_point() else steps.long()
    out = net(steps[:, None], interventions=changes, engine="plain").logits
    return out if net.configuration.readout.reads == "last step" else out[:, 0]


def loss_at(predicts: str, row: Tensor, target: Any) -> Tensor:
    """Return the loss of one prediction, written out."""
    readout = READOUTS[predicts]
    if readout.kind != "numbers":
        return -row.log_softmax(0)[int(target)]
    parts = []
    for k, value in enumerate(target.tolist()):
        if math.isnan(value):
            continue
        if not readout.quantiles:
            parts.append((row[k] - value) ** 2)
            continue
        off = [value - row[3 * k + q] for q in range(3)]
        parts.append(sum(max(tau * error, (tau - 1) * error) for tau, error in zip(QUANTILES, off, strict=True)) / 3)
    return sum(parts) / len(parts)  # type: ignore[return-value]


def losses(
    net: Network, predicts: str, read: np.ndarray, right: np.ndarray, *changes: Intervention
) -> dict[int, Tensor]:
    """Return step -> loss, for the steps with a target."""
    rows = read_out(net, read, changes)
    if READOUTS[predicts].reads == "last step":
        return {len(read) - 1: loss_at(predicts, rows[0], right[-1])}
    steps = [t for t in range(len(read)) if not (right[t] != right[t]).all()]
    if READOUTS[predicts].kind != "numbers":
        steps = [t for t in range(len(read)) if 0 <= right[t] < rows.shape[1]]
    return {t: loss_at(predicts, rows[t], right[t]) for t in steps}


@pytest.mark.parametrize(("reads", "predicts", "both"), KINDS)
def test_contributions_sum_to_the_gradient(reads: str, predicts: str, both: bool) -> None:
    net = exact(network_of(reads, predicts, both))
    read = sequence(reads)
    right = truth(predicts, read)
    by_step = contributions(net, read, targets=right)
    expected = losses(net, predicts, read, right)
    assert by_step.places.tolist() == list(expected)
    np.testing.assert_allclose(by_step.losses, [loss.item() for loss in expected.values()], rtol=1e-12)
    torch.stack(list(expected.values())).sum().backward()
    for name, value in net.named_parameters():
        gradient = (torch.zeros_like(value) if value.grad is None else value.grad).numpy()
        if not name.startswith("layers"):
            np.testing.assert_allclose(by_step.total(name), gradient, rtol=1e-9, atol=1e-12)
            continue
        _, number, kind = name.split(".")
        tape = net.configuration.layers[int(number)].cell.tape
        drives = {"recurrent_weights": tape.recurrent_drives, "neuron_weights": tape.parameters}
        for drive, part in zip(drives.get(kind, tape.input_drives), gradient, strict=True):
            np.testing.assert_allclose(by_step.total(f"{name}.{drive}"), part, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("predicts", ["classes", "once", "quantiles", "number once"])
@pytest.mark.parametrize("both", [False, True])
def test_saliency_of_inputs_and_states_equals_autograd(predicts: str, both: bool) -> None:
    net = exact(network_of("numbers", predicts, both, "gru"))
    read = sequence("numbers")
    right = truth(predicts, read)
    measured = saliency(net, read, targets=right, neurons=True)
    assert measured.distances.tolist() == list(range(-6 if both and "once" not in predicts else 0, 7))
    inputs = torch.from_numpy(read).double()[:, None].requires_grad_()
    rows = net(inputs, engine="plain").logits
    width = 1e-6
    for row, place in enumerate(measured.places.tolist()):
        output = rows[0] if "once" in predicts else rows[place, 0]
        (gradient,) = torch.autograd.grad(loss_at(predicts, output, right[place]), inputs, retain_graph=True)
        for column, distance in enumerate(measured.distances.tolist()):
            step = place - distance
            if not 0 <= step < len(read) or (step > place and not both):
                assert math.isnan(measured.inputs[row, column])
                continue
            np.testing.assert_allclose(
                measured.inputs[row, column], gradient[step].norm().item(), rtol=1e-9, atol=1e-14
            )
    # Finite differences: one state of each layer is shifted by a small number at one step.
    place, step = int(measured.places[-1]), 3
    for name in net.configuration.names:
        ends = [
            losses(net, predicts, read, right, Intervention(name, "h", 1, slice(step, step + 1), 1.0, by))[place].item()
            for by in (width, -width)
        ]
        slope = abs(ends[0] - ends[1]) / (2 * width)
        column = measured.distances.tolist().index(place - step)
        np.testing.assert_allclose(measured.neurons[name, "h"][-1, column, 1], slope, rtol=1e-4, atol=1e-8)


def test_saliency_without_targets_explains_the_prediction() -> None:
    net = exact(network_of("characters", "once", True))
    read = sequence("characters")
    own = int(predict(net, [read])[0][0].argmax())
    targets = np.full(len(read), own, np.int32)
    np.testing.assert_array_equal(saliency(net, read).inputs, saliency(net, read, targets=targets).inputs)
    with pytest.raises(StudyError, match="no loss without targets"):
        saliency(network_of("characters", "numbers", False), read)
    with pytest.raises(StudyError, match="got 3"):
        saliency(net, read, targets=targets[:3])
    with pytest.raises(StudyError, match="from 6 to 6"):
        saliency(net, read, [2])
    # A network that reads in one direction also has a prediction for the case that the text ends earlier.
    forward = exact(network_of("characters", "once", False))
    at_step = saliency(forward, read, [4], targets=targets)
    np.testing.assert_allclose(at_step.inputs, saliency(forward, read[:5], targets=targets[:5]).inputs, rtol=1e-12)


@pytest.mark.parametrize("cell", ["lstm", "gru", "peephole"])
def test_jacobians_of_a_reverse_layer_equal_reversed_text(cell: str) -> None:
    """The Jacobians equal those of the same layer on the reversed text."""
    net = exact(network_of("numbers", "classes", True, cell, (3,)))
    turned = Network(configure(NUMBERS, cell, [3], readout=READOUTS["classes"])).double()
    with torch.no_grad():
        for name, value in net.layers[1].named_parameters():
            turned.layers[0].get_parameter(name).copy_(value)
    read = sequence("numbers")
    backward = jacobians(record(net, [read]), "layer0_reverse", weights_of(net)["layer0_reverse"])
    expected = jacobians(record(turned, [read[::-1].copy()]), "layer0", weights_of(turned)["layer0"])
    np.testing.assert_allclose(backward.whole(), expected.whole(), rtol=1e-12, atol=1e-14)


# --- ablation --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("reads", "predicts", "both"), KINDS)
def test_ablation_of_every_kind_equals_single_runs(reads: str, predicts: str, both: bool) -> None:
    net = network_of(reads, predicts, both, neurons=(2,)).double()
    reads_text = {"numbers": "1,2\n-1,0\n0.5,3\n\n0,1\n2,2\n1,1\n"}.get(
        reads, "abcade" if predicts == "symbols" else "abca?e"
    )
    parts = net.configuration.vocabulary.split(reads_text)
    sequences = [net.configuration.vocabulary.encode(part) for part in parts]
    right = [truth(predicts, ids, k) for k, ids in enumerate(sequences)]
    by_text = dict(zip(parts, right, strict=True))
    layer = "layer0_reverse" if both else "layer0"
    count = sum(map(len, sequences))
    on = np.arange(count) % 2 == 0
    answers: Callable[[str], Any] | None = None if predicts == "symbols" else by_text.__getitem__
    table = ablation(net, reads_text, layer, to=0.3, answers=answers, features=[Feature("f.on", "", on)], draws=5)
    assert table.about["layers"] == [layer]
    starts = np.cumsum([0, *map(len, sequences)])
    for neuron in (0, 1):
        change = Intervention(layer, "h", neuron, shift=0.3)
        with torch.no_grad():
            pairs = [
                (start + t, float(before), float(after))
                for start, ids, targets in zip(starts, sequences, right, strict=False)
                for (t, before), after in zip(
                    losses(net, predicts, ids, targets).items(),
                    losses(net, predicts, ids, targets, change).values(),
                    strict=True,
                )
            ]
        (row,) = table.where(neuron=neuron, feature="")
        assert row["steps_on"] == len(pairs)
        np.testing.assert_allclose(row["loss_on"], np.mean([before for _, before, _ in pairs]), rtol=1e-6)
        np.testing.assert_allclose(row["on"], np.mean([b - a for _, a, b in pairs]), rtol=1e-6, atol=1e-9)
        (row,) = table.where(neuron=neuron, feature="f.on")
        assert row["steps_on"] == sum(bool(on[place]) for place, *_ in pairs)


def test_ablation_without_answers() -> None:
    with pytest.raises(StudyError, match="Give answers"):
        ablation(network_of("characters", "classes", False), "abc", 0)
    titles = ablation(
        network_of("numbers", "numbers", False), "1,2\n", 0, answers=lambda _: np.zeros((1, 2), np.float32)
    ).titles
    assert "squared error" in titles["loss_on"]


# --- horizon ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("reads", "predicts", "both"), KINDS[::3])
def test_influence_of_every_kind_equals_whole_runs(reads: str, predicts: str, both: bool) -> None:
    net = exact(network_of(reads, predicts, both))
    read = sequence(reads)
    measured = influence(net, read, furthest=4 if "once" not in predicts else 6, seed=3)
    before = read_out(net, read).detach()
    numeric = READOUTS[predicts].kind == "numbers"
    before = before if numeric else before.log_softmax(1)
    for row, place in enumerate(measured.places.tolist()):
        other = read.copy()
        other[place] = read[measured.replaced[row]] if reads == "numbers" else measured.replaced[row]
        assert (other[place] != read[place]).any()
        after = read_out(net, other).detach()
        after = after if numeric else after.log_softmax(1)
        for column, distance in enumerate(measured.distances.tolist()):
            step = place + distance
            value = measured.divergence[row, column]
            if ("once" in predicts and step != len(read) - 1) or not 0 <= step < len(read):
                assert math.isnan(value)
                continue
            p, q = (rows[0 if "once" in predicts else step] for rows in (before, after))
            expected = ((p - q) ** 2).mean() if numeric else (p.exp() * (p - q)).sum()
            np.testing.assert_allclose(value, float(expected), rtol=1e-8, atol=1e-14)


def leaky(share: float, *, both: bool, readout: Readout) -> Network:
    """Make a minGRU with a constant gate: states retain this share at every step, and inputs have small weights."""
    net = network("mingru", [4], 2, both_ways=both, readout=readout)
    with torch.no_grad():
        for number, layer in enumerate(net.configuration.layers):
            parameters = net.parameters_of(number)
            gate, candidate = (layer.cell.tape.input_drives.index(k) for k in "zn")
            parameters.input_weights[gate] = 0.0
            parameters.biases[gate] = math.log((1 - share) / share)
            parameters.input_weights[candidate] *= 1e-4
    return net


@pytest.mark.parametrize(
    "readout", [SYMBOLS, READOUTS["classes"], READOUTS["once"]], ids=["symbols", "classes", "once"]
)
@pytest.mark.parametrize("both", [False, True])
def test_horizon_of_a_known_memory_on_both_sides(readout: Readout, both: bool) -> None:
    net = leaky(0.8, both=both, readout=readout)
    measured = horizon(net, "abcdeabbcedaeecbdacb" * 5, furthest=20, samples=15)
    table = measured.table()
    assert set(table["side"]) == ({"before", "after"} if both else {"before"})
    own = table.take(np.flatnonzero(np.isin(table["measure"], ["gradient"]) & (table["of"] == "layer")))
    assert len(own) == (2 if both else 1)
    np.testing.assert_allclose(own["1/e"], -1 / math.log(0.8), rtol=1e-5)
    # The input at the place itself goes through both directions, all other inputs through one. In a many-to-one network
    # the other direction has a part of at least 60 steps more, which is below 1e-5.
    for part in (measured, measured.after) if measured.after else (measured,):
        np.testing.assert_allclose(part.gradient[2:] / part.gradient[1:-1], 0.8, rtol=1e-5)
    assert set(measured.by_neuron()["layer"]) == set(net.configuration.names)
    assert len(measured.curves()) == 21


def test_reach_measures_every_layer() -> None:
    net = network_of("numbers", "quantiles", True)
    text = "".join(f"{math.sin(k):.3f},{k % 3}\n" for k in range(30))
    answers = lambda part: np.roll(NUMBERS.encode(part), -1, 0)  # noqa: E731
    measured = reach(net, text, furthest=8, samples=10, answers=answers)
    assert measured.layers["layer"].tolist() == net.configuration.names
    assert set(measured.terms["layer"]) == set(net.configuration.names)
    assert all(math.isfinite(value) or value == math.inf for value in measured.row().values())
    only = reach(net, text, furthest=8, samples=10, answers=answers, layers=["layer1_reverse"])
    assert only.layers["layer"].tolist() == ["layer1_reverse"]
    with pytest.raises(StudyError, match="at least one step whose target"):
        reach(net, text, furthest=8, samples=10)


# --- refused questions ------------------------------------------------------------------------------------------------


def test_studies_of_the_next_symbol_refuse_other_networks() -> None:
    tagger, both = network_of("characters", "classes", False), network_of("characters", "symbols", True)
    with pytest.raises(StudyError, match=r"List of all paths: .* predicts classes"):
        paths(tagger, "abc", layer=1, drive="f", to=0, source=0)
    with pytest.raises(StudyError, match="already read the symbol"):
        paths(both, "abc", layer=3, drive="f", to=0, source=0)
    with pytest.raises(StudyError, match="expected predictions of the next symbol"):
        errors(record(tagger, "abc"), np.zeros(3, np.int32))
    with pytest.raises(StudyError, match="also reads from the end"):
        errors(record(both, "abc"), np.zeros(3, np.int32))
    in_words = network("gru", [2], 0, Vocabulary(("a", "b"), None, "word"))
    with pytest.raises(StudyError, match="got one that reads words"):
        errors(record(in_words, "a b a"), np.zeros(3, np.int32))


def test_layer_numbers_work_in_one_direction_only() -> None:
    """A number is refused if it could mean "layer1" or "layer1_reverse"."""
    both, forward = (network_of("characters", "classes", ways).configuration for ways in (True, False))
    assert number_of(both, "layer0_reverse") == 1
    assert number_of(forward, "layer1") == number_of(forward, 1) == 1
    for configuration, layer in ((both, 1), (both, "2"), (both, "0_reverse"), (forward, 2), (forward, "1")):
        with pytest.raises(StudyError, match=f"expected one of {', '.join(configuration.names)}, got {layer!r}"):
            number_of(configuration, layer)


# --- planted neurons --------------------------------------------------------------------------------------------------

WORDS = Vocabulary(("dog", "cat", "runs", "the", "\n"), "\n", "word")


def latched(both: bool, readout: Readout) -> Network:
    """Make a network: neuron 0 of each direction stays on after its first "dog", neuron 1 is on at "runs"."""
    net = Network(configure(WORDS, "elman", [2], both_ways=both, readout=readout))
    with torch.no_grad():
        for value in net.parameters():
            value.zero_()
        for number in range(len(net.layers)):
            parameters = net.parameters_of(number)
            parameters.input_weights[0, 0, 0] = 6.0
            parameters.recurrent_weights[0, 0, 0] = 6.0
            parameters.biases[0, 0] = 0.0
            parameters.input_weights[0, 1, 2] = 4.0
            net.readout_weights[1, 2 * number] = 5.0
    return net


@pytest.fixture(scope="module")
def sentences() -> str:
    random = np.random.default_rng(0)
    return "".join(
        " ".join(random.choice(["cat", "runs", "the", "dog"], random.integers(3, 12), p=[0.4, 0.2, 0.3, 0.1])) + "\n"
        for _ in range(400)
    )


def dogs(part: str) -> np.ndarray:
    ids = WORDS.encode(part)
    return (np.cumsum(ids == 0) > 0).astype(np.int32)


@pytest.mark.parametrize(
    ("both", "readout"), [(True, classes(("no dog", "dog"))), (False, classes(("no dog", "dog"), "last step"))]
)
def test_labels_and_probes_find_planted_neurons(both: bool, readout: Readout, sentences: str) -> None:
    """Both studies find the neurons of a bidirectional tagger and of a many-to-one classifier."""
    net = latched(both, readout)
    trace = record(net, sentences, answers=dogs)
    steps = Steps(trace)
    parts = WORDS.split(sentences)
    seen = np.concatenate([dogs(part) for part in parts]) > 0
    coming = np.concatenate([dogs(" ".join(WORDS.labels(part)[::-1]))[::-1] for part in parts]) > 0
    runs = steps.of_step("token") == 2
    noise = np.random.default_rng(1).random(len(steps)) < 0.3
    planted = {"seen": seen, "coming": coming, "runs": runs, "noise": noise}
    features = [Feature(f"p.{name}", name, values) for name, values in planted.items()]
    label_table = labels(trace, features, signals=["h"], search=Search(lags=(0,), top=1, pairs=False, chances=1000))
    best = {(row["layer"], row["neuron"]): (row["feature"], row["score"] > 0.99) for row in label_table}
    expected = {("layer0", 0): ("p.seen", True), ("layer0", 1): ("p.runs", True)}
    if both:
        expected |= {("layer0_reverse", 0): ("p.coming", True), ("layer0_reverse", 1): ("p.runs", True)}
    assert best == expected
    probe = probes(trace, features[:1], layer="layer0", sizes=(1,))
    assert probe["neurons"].tolist()[0] == "0"
    # The trace holds the predicted and the correct classes.
    class_features = {feature.name: feature for feature in steps.features([FAMILY])}
    right = seen if not both else class_features["class.right"].values == 1
    if both:
        np.testing.assert_array_equal(right, seen)
    np.testing.assert_array_equal(class_features["class.said"].values, steps.of_step("top_token")[:, 0])
    assert class_features["class.said"].categories == ("no dog", "dog")
    wrong = (class_features["class.said"].values != class_features["class.right"].values) & (
        class_features["class.right"].values >= 0
    )
    np.testing.assert_array_equal(class_features["class.wrong"].values, wrong)


def test_passages_of_words_and_numbers_show_their_text(sentences: str) -> None:
    trace = record(latched(True, classes(("no dog", "dog"))), "the dog runs\ncat dog\n")
    assert set(health(trace)["layer"]) == {"layer0", "layer0_reverse"}
    (first, *_) = passages(trace, "layer0", "h", 1, count=1, context=1)
    assert (first["before"], first["at"], first["after"]) == ("dog ", "runs", "\n")
    assert first["labels"] == ["dog", "runs", "\n"]
    neuron_table = neurons_on(trace, "layer0", 0, 1, 3, 0.9)
    assert neuron_table["neuron"].tolist() == [0]
    assert neuron_table.about["text"] == "dog runs\n"
    (other, *_) = matches(trace, neuron_table, context=2)
    assert (other["before"], other["at"], other["after"]) == ("cat ", "dog\n", "")
    series = record(network_of("numbers", "numbers", True), "0.1,2\n-1,0\n3,3\n")
    (first, *_) = passages(series, "layer1_reverse", "h", 0, count=1, context=5)
    assert " ".join([first["before"], first["at"], first["after"]]).split() == ["0.1,2.0", "-1.0,0.0", "3.0,3.0"]
    assert first["labels"] == ["0.1,2.0", "-1.0,0.0", "3.0,3.0"]


def test_word_features_keep_the_spelling_of_their_text() -> None:
    trace = record(latched(True, classes(("no dog", "dog"))), "The dog\n")
    family = words.family(WORDS)
    known, lost = (
        {feature.name: feature.values.tolist() for feature in Steps(trace).features([family], texts)}
        for texts in (["The dog\n"], None)
    )
    assert known["words.capital"] == [True, False, False]
    assert lost["words.capital"] == [False, False, False]
    assert known["words.last"] == lost["words.last"] == [False, True, False]
