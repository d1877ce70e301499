"""Studies of networks that read in both directions, predict classes or numbers, or predict once.

The references are torch's autograd, finite differences, whole runs, and networks with known neurons.
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
    "classes": classes(("no", "yes", "who knows")),
    "once": classes(("no", "yes", "who knows"), "last step"),
    "numbers": numbers(("y", "z")),
    "quantiles": numbers(("y", "z"), QUANTILES),
    "number once": numbers(("y", "z"), reads="last step"),
}
KINDS = [
    (reads, readout_name, both)
    for reads in ("characters", "embedded", "numbers")
    for readout_name in READOUTS
    for both in (False, True)
    if not (reads == "numbers" and readout_name == "symbols")
]


def made(reads: str, readout_name: str, both: bool, cell: str = "lstm", neurons: tuple[int, ...] = (3, 2)) -> Network:
    vocabulary = NUMBERS if reads == "numbers" else ALPHABET
    embedding = 3 if reads == "embedded" else None
    return network(cell, neurons, 5, vocabulary, readout=READOUTS[readout_name], both_ways=both, embedding=embedding)


def sequence(reads: str, length: int = 7, seed: int = 1) -> np.ndarray:
    random = np.random.default_rng(seed)
    if reads == "numbers":
        return random.normal(size=(length, 2)).astype(np.float32)
    return random.integers(0, 6, length).astype(np.int32)  # 5 is unknown


def targets_for(readout_name: str, read: np.ndarray, seed: int = 2) -> np.ndarray:
    """Return random targets of the steps; some steps have none."""
    random = np.random.default_rng(seed)
    count = len(read)
    if readout_name == "symbols":
        return np.append(read[1:], -1).astype(np.int32)
    if READOUTS[readout_name].kind == "classes":
        found = random.integers(0, 3, count).astype(np.int32)
        found[1] = -1
        return found
    values = random.normal(size=(count, 2)).astype(np.float32)
    values[1] = np.nan
    values[2, 0] = np.nan
    return values


def outputs(net: Network, read: np.ndarray, changes: tuple[Intervention, ...] = ()) -> Tensor:
    """Return the outputs of the readout by the plain engine, (T, V), or (1, V) for one prediction."""
    steps = torch.from_numpy(read)
    steps = steps.to(net.readout_biases.dtype) if steps.is_floating_point() else steps.long()
    out = net(steps[:, None], interventions=changes, engine="plain").logits
    return out if net.configuration.readout.reads == "last step" else out[:, 0]


def loss_at(readout_name: str, row: Tensor, target: Any) -> Tensor:
    """Return the loss of one prediction, written out."""
    readout = READOUTS[readout_name]
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
        parts.append(sum(max(tau * one, (tau - 1) * one) for tau, one in zip(QUANTILES, off, strict=True)) / 3)
    return sum(parts) / len(parts)  # type: ignore[return-value]


def losses(
    net: Network, readout_name: str, read: np.ndarray, targets: np.ndarray, *changes: Intervention
) -> dict[int, Tensor]:
    """Return step -> loss, for the steps with a target."""
    rows = outputs(net, read, changes)
    if READOUTS[readout_name].reads == "last step":
        return {len(read) - 1: loss_at(readout_name, rows[0], targets[-1])}
    steps_with_target = [t for t in range(len(read)) if not (targets[t] != targets[t]).all()]
    if READOUTS[readout_name].kind != "numbers":
        steps_with_target = [t for t in range(len(read)) if 0 <= targets[t] < rows.shape[1]]
    return {t: loss_at(readout_name, rows[t], targets[t]) for t in steps_with_target}


@pytest.mark.parametrize(("reads", "readout_name", "both"), KINDS)
def test_contributions_sum_to_the_gradient(reads: str, readout_name: str, both: bool) -> None:
    net = exact(made(reads, readout_name, both))
    read = sequence(reads)
    targets = targets_for(readout_name, read)
    found = contributions(net, read, targets=targets)
    expected = losses(net, readout_name, read, targets)
    assert found.places.tolist() == list(expected)
    np.testing.assert_allclose(found.losses, [loss.item() for loss in expected.values()], rtol=1e-12)
    torch.stack(list(expected.values())).sum().backward()
    for name, value in net.named_parameters():
        gradient = (torch.zeros_like(value) if value.grad is None else value.grad).numpy()
        if not name.startswith("layers"):
            np.testing.assert_allclose(found.total(name), gradient, rtol=1e-9, atol=1e-12)
            continue
        _, number, kind = name.split(".")
        tape = net.configuration.layers[int(number)].cell.tape
        drives = {"recurrent_weights": tape.recurrent_drives, "neuron_weights": tape.parameters}
        for drive, part in zip(drives.get(kind, tape.input_drives), gradient, strict=True):
            np.testing.assert_allclose(found.total(f"{name}.{drive}"), part, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("readout_name", ["classes", "once", "quantiles", "number once"])
@pytest.mark.parametrize("both", [False, True])
def test_saliency_equals_autograd_and_finite_differences(readout_name: str, both: bool) -> None:
    net = exact(made("numbers", readout_name, both, "gru"))
    read = sequence("numbers")
    targets = targets_for(readout_name, read)
    found = saliency(net, read, targets=targets, neurons=True)
    assert found.distances.tolist() == list(range(-6 if both and "once" not in readout_name else 0, 7))
    inputs = torch.from_numpy(read).double()[:, None].requires_grad_()
    rows = net(inputs, engine="plain").logits
    width = 1e-6
    for row, place in enumerate(found.places.tolist()):
        one = rows[0] if "once" in readout_name else rows[place, 0]
        (gradient,) = torch.autograd.grad(loss_at(readout_name, one, targets[place]), inputs, retain_graph=True)
        for column, distance in enumerate(found.distances.tolist()):
            step = place - distance
            if not 0 <= step < len(read) or (step > place and not both):
                assert math.isnan(found.inputs[row, column])
                continue
            np.testing.assert_allclose(found.inputs[row, column], gradient[step].norm().item(), rtol=1e-9, atol=1e-14)
    # A state that is nudged by a little at one step, of each layer.
    place, step = int(found.places[-1]), 3
    for name in net.configuration.names:
        nudges = (Intervention(name, "h", 1, slice(step, step + 1), 1.0, by) for by in (width, -width))
        ends = [losses(net, readout_name, read, targets, nudge)[place].item() for nudge in nudges]
        slope = abs(ends[0] - ends[1]) / (2 * width)
        column = found.distances.tolist().index(place - step)
        np.testing.assert_allclose(found.neurons[name, "h"][-1, column, 1], slope, rtol=1e-4, atol=1e-8)


def test_saliency_without_targets_is_that_of_the_prediction() -> None:
    net = exact(made("characters", "once", True))
    read = sequence("characters")
    own = int(predict(net, [read])[0][0].argmax())
    given = np.full(len(read), own, np.int32)
    np.testing.assert_array_equal(saliency(net, read).inputs, saliency(net, read, targets=given).inputs)
    with pytest.raises(StudyError, match="no loss without targets"):
        saliency(made("characters", "numbers", False), read)
    with pytest.raises(StudyError, match="got 3"):
        saliency(net, read, targets=given[:3])
    with pytest.raises(StudyError, match="from 6 to 6"):
        saliency(net, read, [2])
    # A network that reads in one direction can also predict as if the text ended there.
    one = exact(made("characters", "once", False))
    there = saliency(one, read, [4], targets=given)
    np.testing.assert_allclose(there.inputs, saliency(one, read[:5], targets=given[:5]).inputs, rtol=1e-12)


@pytest.mark.parametrize("cell", ["lstm", "gru", "peephole"])
def test_jacobians_of_reverse_layer_equal_reversed_text(cell: str) -> None:
    """They equal those of the same layer on the reversed text."""
    net = exact(made("numbers", "classes", True, cell, (3,)))
    turned = Network(configure(NUMBERS, cell, [3], readout=READOUTS["classes"])).double()
    with torch.no_grad():
        for name, value in net.layers[1].named_parameters():
            turned.layers[0].get_parameter(name).copy_(value)
    read = sequence("numbers")
    found = jacobians(record(net, [read]), "layer0_reverse", weights_of(net)["layer0_reverse"])
    expected = jacobians(record(turned, [read[::-1].copy()]), "layer0", weights_of(turned)["layer0"])
    np.testing.assert_allclose(found.whole(), expected.whole(), rtol=1e-12, atol=1e-14)


# --- ablation --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("reads", "readout_name", "both"), KINDS)
def test_ablation_equals_each_neuron_held_alone(reads: str, readout_name: str, both: bool) -> None:
    net = made(reads, readout_name, both, neurons=(2,)).double()
    reads_text = {"numbers": "1,2\n-1,0\n0.5,3\n\n0,1\n2,2\n1,1\n"}.get(
        reads, "abcade" if readout_name == "symbols" else "abca?e"
    )
    parts = net.configuration.vocabulary.split(reads_text)
    sequences = [net.configuration.vocabulary.encode(part) for part in parts]
    targets = [targets_for(readout_name, ids, k) for k, ids in enumerate(sequences)]
    by_text = dict(zip(parts, targets, strict=True))
    layer = "layer0_reverse" if both else "layer0"
    count = sum(map(len, sequences))
    on = np.arange(count) % 2 == 0
    answers: Callable[[str], Any] | None = None if readout_name == "symbols" else by_text.__getitem__
    table = ablation(net, reads_text, layer, to=0.3, answers=answers, features=[Feature("f.on", "", on)], draws=5)
    assert table.about["layers"] == [layer]
    starts = np.cumsum([0, *map(len, sequences)])
    for neuron in (0, 1):
        change = Intervention(layer, "h", neuron, shift=0.3)
        with torch.no_grad():
            pairs = [
                (start + t, float(before), float(after))
                for start, ids, part_targets in zip(starts, sequences, targets, strict=False)
                for (t, before), after in zip(
                    losses(net, readout_name, ids, part_targets).items(),
                    losses(net, readout_name, ids, part_targets, change).values(),
                    strict=True,
                )
            ]
        (row,) = table.where(neuron=neuron, feature="")
        assert row["steps_on"] == len(pairs)
        np.testing.assert_allclose(row["loss_on"], np.mean([before for _, before, _ in pairs]), rtol=1e-6)
        np.testing.assert_allclose(row["on"], np.mean([b - a for _, a, b in pairs]), rtol=1e-6, atol=1e-9)
        (row,) = table.where(neuron=neuron, feature="f.on")
        assert row["steps_on"] == sum(bool(on[place]) for place, *_ in pairs)


def test_ablation_without_answers_is_refused() -> None:
    with pytest.raises(StudyError, match="Give answers"):
        ablation(made("characters", "classes", False), "abc", 0)
    titles = ablation(
        made("numbers", "numbers", False), "1,2\n", 0, answers=lambda _: np.zeros((1, 2), np.float32)
    ).titles
    assert "squared error" in titles["loss_on"]


# --- horizon ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("reads", "readout_name", "both"), KINDS[::3])
def test_influence_equals_whole_runs_on_changed_texts(reads: str, readout_name: str, both: bool) -> None:
    net = exact(made(reads, readout_name, both))
    read = sequence(reads)
    found = influence(net, read, furthest=4 if "once" not in readout_name else 6, seed=3)
    before = outputs(net, read).detach()
    numeric = READOUTS[readout_name].kind == "numbers"
    before = before if numeric else before.log_softmax(1)
    for row, place in enumerate(found.places.tolist()):
        other = read.copy()
        other[place] = read[found.replaced[row]] if reads == "numbers" else found.replaced[row]
        assert (other[place] != read[place]).any()
        after = outputs(net, other).detach()
        after = after if numeric else after.log_softmax(1)
        for column, distance in enumerate(found.distances.tolist()):
            step = place + distance
            value = found.divergence[row, column]
            if ("once" in readout_name and step != len(read) - 1) or not 0 <= step < len(read):
                assert math.isnan(value)
                continue
            p, q = (rows[0 if "once" in readout_name else step] for rows in (before, after))
            expected = ((p - q) ** 2).mean() if numeric else (p.exp() * (p - q)).sum()
            np.testing.assert_allclose(value, float(expected), rtol=1e-8, atol=1e-14)


def leaky(kept: float, *, both: bool, readout: Readout) -> Network:
    """Return a minGRU with a constant gate: its states keep this share of themselves at every step, and read little."""
    net = network("mingru", [4], 2, both_ways=both, readout=readout)
    with torch.no_grad():
        for number, layer in enumerate(net.configuration.layers):
            parameters = net.parameters_of(number)
            gate, candidate = (layer.cell.tape.input_drives.index(k) for k in "zn")
            parameters.input_weights[gate] = 0.0
            parameters.biases[gate] = math.log((1 - kept) / kept)
            parameters.input_weights[candidate] *= 1e-4
    return net


@pytest.mark.parametrize(
    "readout", [SYMBOLS, READOUTS["classes"], READOUTS["once"]], ids=["symbols", "classes", "once"]
)
@pytest.mark.parametrize("both", [False, True])
def test_horizon_equals_a_known_memory(readout: Readout, both: bool) -> None:
    net = leaky(0.8, both=both, readout=readout)
    found = horizon(net, "abcdeabbcedaeecbdacb" * 3, furthest=20, samples=15)
    table = found.table()
    assert set(table["side"]) == ({"before", "after"} if both else {"before"})
    own = table.take(np.flatnonzero(np.isin(table["measure"], ["gradient"]) & (table["of"] == "layer")))
    assert len(own) == (2 if both else 1)
    np.testing.assert_allclose(own["1/e"], -1 / math.log(0.8), rtol=1e-5)
    # What is read at the place itself goes through both directions, what is read elsewhere through one. Where it is
    # predicted once, a little of the other direction remains.
    for part in (found, found.after) if found.after else (found,):
        np.testing.assert_allclose(
            part.gradient[2:] / part.gradient[1:-1], 0.8, rtol=1e-5 if readout.reads == "every step" else 1e-2
        )
    assert set(found.by_neuron()["layer"]) == set(net.configuration.names)
    assert len(found.curves()) == 21


def test_reach_measures_every_layer() -> None:
    net = made("numbers", "quantiles", True)
    text = "".join(f"{math.sin(k):.3f},{k % 3}\n" for k in range(30))
    answers = lambda part: np.roll(NUMBERS.encode(part), -1, 0)  # noqa: E731
    found = reach(net, text, furthest=8, samples=10, answers=answers)
    assert found.layers["layer"].tolist() == net.configuration.names
    assert set(found.terms["layer"]) == set(net.configuration.names)
    assert all(math.isfinite(value) or value == math.inf for value in found.row().values())
    only = reach(net, text, furthest=8, samples=10, answers=answers, layers=["layer1_reverse"])
    assert only.layers["layer"].tolist() == ["layer1_reverse"]
    with pytest.raises(StudyError, match="at least one step whose target"):
        reach(net, text, furthest=8, samples=10)


# --- questions that make no sense ------------------------------------------------------------------------------------


def test_studies_of_next_symbol_refuse_other_readouts() -> None:
    tagger, both = made("characters", "classes", False), made("characters", "symbols", True)
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


def test_layers_have_names_and_numbers_in_one_direction() -> None:
    """A number is refused where "layer1" and "layer1_reverse" would both have it."""
    both, forward = (made("characters", "classes", ways).configuration for ways in (True, False))
    assert number_of(both, "layer0_reverse") == 1
    assert number_of(forward, "layer1") == number_of(forward, 1) == 1
    for configuration, layer in ((both, 1), (both, "2"), (both, "0_reverse"), (forward, 2), (forward, "1")):
        with pytest.raises(StudyError, match=f"expected one of {', '.join(configuration.names)}, got {layer!r}"):
            number_of(configuration, layer)


# --- what was planted ------------------------------------------------------------------------------------------------

WORDS = Vocabulary(("dog", "cat", "runs", "the", "\n"), "\n", "word")


def latched(both: bool, readout: Readout) -> Network:
    """Return a network: neuron 0 of each direction is on from the first "dog" it reads, neuron 1 at "runs"."""
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
def test_planted_neurons_are_found(both: bool, readout: Readout, sentences: str) -> None:
    """In a tagger that reads both ways, and in a classifier that answers after the last step."""
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
    found = labels(trace, features, signals=["h"], search=Search(lags=(0,), top=1, pairs=False, chances=1000))
    best = {(row["layer"], row["neuron"]): (row["feature"], row["score"] > 0.99) for row in found}
    expected = {("layer0", 0): ("p.seen", True), ("layer0", 1): ("p.runs", True)}
    if both:
        expected |= {("layer0_reverse", 0): ("p.coming", True), ("layer0_reverse", 1): ("p.runs", True)}
    assert best == expected
    probe = probes(trace, features[:1], layer="layer0", sizes=(1,))
    assert probe["neurons"].tolist()[0] == "0"
    # The trace has the predictions and the targets.
    of_class = {feature.name: feature for feature in steps.features([FAMILY])}
    targets = seen if not both else of_class["class.right"].values == 1
    if both:
        np.testing.assert_array_equal(targets, seen)
    np.testing.assert_array_equal(of_class["class.said"].values, steps.of_step("top_token")[:, 0])
    assert of_class["class.said"].categories == ("no dog", "dog")
    wrong = (of_class["class.said"].values != of_class["class.right"].values) & (of_class["class.right"].values >= 0)
    np.testing.assert_array_equal(of_class["class.wrong"].values, wrong)


def test_health_passages_and_patterns_of_words_and_numbers(sentences: str) -> None:
    trace = record(latched(True, classes(("no dog", "dog"))), "the dog runs\ncat dog\n")
    assert set(health(trace)["layer"]) == {"layer0", "layer0_reverse"}
    (first, *_) = passages(trace, "layer0", "h", 1, count=1, context=1)
    assert (first["before"], first["at"], first["after"]) == ("dog ", "runs", "\n")
    assert first["labels"] == ["dog", "runs", "\n"]
    found = neurons_on(trace, "layer0", 0, 1, 3, 0.9)
    assert found["neuron"].tolist() == [0]
    assert found.about["text"] == "dog runs\n"
    (other, *_) = matches(trace, found, context=2)
    assert (other["before"], other["at"], other["after"]) == ("cat ", "dog\n", "")
    series = record(made("numbers", "numbers", True), "0.1,2\n-1,0\n3,3\n")
    (first, *_) = passages(series, "layer1_reverse", "h", 0, count=1, context=5)
    assert " ".join([first["before"], first["at"], first["after"]]).split() == ["0.1,2.0", "-1.0,0.0", "3.0,3.0"]
    assert first["labels"] == ["0.1,2.0", "-1.0,0.0", "3.0,3.0"]


def test_words_keep_their_spelling_where_the_text_is_still_known() -> None:
    trace = record(latched(True, classes(("no dog", "dog"))), "The dog\n")
    family = words.family(WORDS)
    known, lost = (
        {feature.name: feature.values.tolist() for feature in Steps(trace).features([family], texts)}
        for texts in (["The dog\n"], None)
    )
    assert known["words.capital"] == [True, False, False]
    assert lost["words.capital"] == [False, False, False]
    assert known["words.last"] == lost["words.last"] == [False, True, False]
