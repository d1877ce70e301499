"""First calls: every unambiguous form of an argument works, and any other gives one sentence.

Calls with other types than the annotations name run in a process of their own, without the type checker of the tests.
"""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import gatescope
import gatescope.nn
from gatescope import Network, Vocabulary, clamp, configure, patch, record
from gatescope.errors import GatescopeError
from gatescope.network import predict
from gatescope.readout import Readout
from gatescope.studies import subject
from gatescope.tasks import Counter, Text

ROOT = Path(__file__).resolve().parent.parent
VOCABULARY = Vocabulary(tuple("abX\n"), end="\n")
NETWORK = Network(configure(VOCABULARY, "lstm", [5, 4]), seed=0)
BOTH_WAYS = Network(configure(VOCABULARY, "gru", [5, 4], both_ways=True), seed=0)
NUMBERS = Network(
    configure(Vocabulary(("x", "y"), unit="number"), "gru", [4], readout=Readout("classes", ("p", "q"))), seed=0
)


def untyped(value: Any) -> Any:
    """Hide the type of a value that the annotations do not name from the type checker."""
    return value


SAME: dict[str, Any] = {
    "texts": ["aXb", "bbb"],
    "tuple of texts": ("aXb", "bbb"),
    "array of texts": np.array(["aXb", "bbb"]),
    "array": np.array([[0, 2, 1], [1, 1, 1]]),
    "array of bytes": np.array([[0, 2, 1], [1, 1, 1]], np.uint8),
    "array of objects that are texts": np.array(["aXb", "bbb"], object),
    "tensor": torch.tensor([[0, 2, 1], [1, 1, 1]]),
    "lists": [[0, 2, 1], [1, 1, 1]],
    "arrays and tensors": [np.array([0, 2, 1]), torch.tensor([1, 1, 1])],
    "padded": np.array([[0, 2, 1, -1], [1, 1, 1, -1]]),
}


@pytest.mark.parametrize("source", SAME.values(), ids=SAME)
def test_every_form_of_texts_and_ids_records_the_same(source: Any) -> None:
    trace, expected = record(NETWORK, source), record(NETWORK, "aXb\n")
    assert trace.lengths.tolist() == [3, 3]
    assert [trace.text(k) for k in range(2)] == ["aXb", "bbb"]
    assert np.allclose(trace["layer1"]["h"][0], expected["layer1"]["h"][0, :3], atol=1e-7)


@pytest.mark.parametrize("source", [np.array([0, 2, 1]), torch.tensor([0, 2, 1]), [0, 2, 1], "aXb", ["aXb"]])
def test_one_sequence_needs_no_list(source: Any) -> None:
    assert record(NETWORK, source).lengths.tolist() == [3]


@pytest.mark.parametrize(
    "source",
    [np.full((3, 2), 0.5), torch.full((1, 3, 2), 0.5), [[0.5, 0.5]] * 3, [np.full((3, 2), 0.5)], "0.5 0.5\n" * 3],
)
def test_numbers_are_read_in_every_form(source: Any) -> None:
    trace = record(NUMBERS, source)
    assert trace.lengths.tolist() == [3]
    assert (trace.steps["input"] == 0.5).all()


REFUSED: dict[str, tuple[Any, str]] = {
    "id beyond the vocabulary": (np.array([0, 99]), "0 to 3, or 4 for what is unknown, got 99"),
    "negative id": (np.array([0, -7]), "got -7"),
    "id beyond 64 bits": ([2**70], "whole numbers, got object"),
    "padding inside": (np.array([0, -1, 1]), "at the end only, got it at step 1"),
    "floats": (np.array([0.0, 1.0]), "whole numbers, got float64"),
    "float tensor": (torch.ones(2, 3), "whole numbers, got float32"),
    "NaN": ([0.0, float("nan")], "whole numbers, got float64"),
    "truth values": (np.array([True, False]), "whole numbers, got bool"),
    "objects": (np.array([0, None], object), "whole numbers, got object"),
    "three axes": (np.zeros((1, 2, 3), int), "1 or 2 axes, got 3"),
    "ragged": ([[0, [1]], [1]], "several shapes"),
    "nothing": (None, "expected sequences, got nothing"),
    "number": (5, "expected sequences, got int 5"),
    "bytes": (b"ab", "expected sequences, got bytes"),
    "empty list": ([], "nothing to record"),
    "empty array": (np.zeros((2, 0), int), "nothing to record"),
    "empty text": (["ab", ""], "Text 1 of the list"),
    "texts and numbers": (["ab", 3], "got int 3 among them"),
}


@pytest.mark.parametrize("tokens", [torch.tensor([[9]]), torch.tensor([[-2]])])
def test_network_refuses_ids_that_do_not_exist(tokens: torch.Tensor) -> None:
    with pytest.raises(GatescopeError, match="Ids: expected"):
        NETWORK(tokens)


def test_unknown_and_padding_are_the_zero_vector() -> None:
    """The ids that are documented to be no symbol stay allowed."""
    logits = NETWORK(torch.tensor([[-1, VOCABULARY.unknown]])).logits
    assert torch.equal(logits[:, 0], logits[:, 1])


@pytest.mark.parametrize("layer", ["layer1", 1])
def test_layers_are_named_or_numbered(layer: Any) -> None:
    trace = record(NETWORK, "aXb", interventions=[clamp(layer, "f", 2, 0.5)])
    assert (trace["layer1"]["f"][..., 2] == 0.5).all()
    assert not (trace["layer0"]["f"][..., 2] == 0.5).any()


def test_backward_layers_are_named() -> None:
    change = [clamp("layer0_reverse", "h", 1, 0.5)]
    trace = record(BOTH_WAYS, "aXb", interventions=change)
    assert (trace["layer0_reverse"]["h"][..., 1] == 0.5).all()
    module = gatescope.nn.GRU(3, 4, bidirectional=True)
    inputs = torch.randn(5, 1, 3)
    assert (module(inputs, interventions=change)[0][..., 4 + 1] == 0.5).all()
    assert (module(inputs, interventions_reverse=[clamp("layer0", "h", 1, 0.5)])[0][..., 4 + 1] == 0.5).all()
    with pytest.raises(ValueError, match="a single direction"):
        gatescope.nn.GRU(3, 4)(inputs, interventions=change)


def rows(trace: gatescope.Trace) -> dict[str, Any]:
    row = trace["layer0"]["c"][0, :, 2]
    return {"row": row, "tensor": torch.from_numpy(row), "list": row.tolist(), "half": row, "trace": trace}


@pytest.mark.parametrize("form", ["row", "tensor", "list", "trace"])
def test_patch_takes_rows_of_any_kind_and_traces(form: str) -> None:
    clean = record(NETWORK, "aXb")
    trace = record(NETWORK, "bXa", interventions=[patch("layer0", "c", 2, rows(clean)[form])])
    assert np.allclose(trace["layer0"]["c"][..., 2], clean["layer0"]["c"][..., 2], atol=1e-7)


def test_patch_takes_all_neurons_of_a_stored_trace(tmp_path: Path) -> None:
    gatescope.save_trace(record(NETWORK, "aXb"), tmp_path / "trace", "float32")
    stored = gatescope.open_trace(tmp_path / "trace")
    trace = record(NETWORK, "bXa", interventions=[patch(0, "c", slice(None), stored)])
    assert np.allclose(trace["layer0"]["c"], stored["layer0"]["c"][...], atol=1e-7)


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "layer": (lambda: record(NETWORK, "a", interventions=[clamp("layr0", "f", 1, 0)]), "mean 'layer0'"),
    "layer number": (
        lambda: record(NETWORK, "a", interventions=[clamp(7, "f", 1, 0)]),
        "expected one of layer0, layer1, got 7",
    ),
    "layer of a truth value": (lambda: clamp(True, "f", 1, 0), "whole number or its name"),
    "signal": (lambda: record(NETWORK, "a", interventions=[clamp(0, "ff", 1, 0)]), "Did you mean 'f'"),
    "neuron": (
        lambda: record(NETWORK, "a", interventions=[clamp(0, "f", untyped(np.int64(9)), 0)]),
        "Argument neuron of an intervention: expected 0 to 4, got 9",
    ),
    "neurons in a list": (lambda: clamp(0, "f", untyped([1, 2]), 0), "or a slice"),
    "neuron of a float": (lambda: clamp(0, "f", untyped(1.5), 0), "or a slice"),
    "NaN": (lambda: clamp(0, "f", 1, float("nan")), "expected a number, got nan"),
    "text for a value": (lambda: patch(0, "f", 1, "abc"), "expected numbers, got str"),
    "nothing for a value": (lambda: patch(0, "f", 1, None), "expected numbers, got NoneType"),  # type: ignore[arg-type]
    "two sequences": (lambda: patch(0, "c", 1, record(NETWORK, ["a", "b"])), "one sequence, got 2"),
    "shorter row": (
        lambda: record(NETWORK, "aXb", interventions=[patch(0, "c", 1, [1.0])]),
        "each of the 3 steps of the run, got 1",
    ),
    "signal of a trace": (lambda: patch(0, "cc", 1, record(NETWORK, "a")), "Did you mean 'c'"),
    "neuron of a trace": (lambda: patch(0, "c", 99, record(NETWORK, "a")), "expected 0 to 4, as in the trace, got 99"),
}


NAMES: dict[str, tuple[Callable[[], Any], str]] = {
    "task": (lambda: gatescope.TASKS["conter"], "'counter'"),
    "cell": (lambda: gatescope.CELLS["lsmt"], "'lstm'"),
    "cell of a network": (lambda: configure(VOCABULARY, "lsmt", [3]), "'lstm'"),
    "setting": (lambda: gatescope.Settings(learning_rat=1), "'learning_rate'"),  # type: ignore[call-arg]
    "setting of a network": (lambda: configure(VOCABULARY, "lstm", [3], neuron=3), "'neurons'"),
    "setting in one step": (lambda: Network(VOCABULARY, cell="lstm", neuron=[3]), "'neurons'"),
    "setting of a configuration": (lambda: configure(VOCABULARY, "lstm", [3], embeding=3), "'embedding'"),
    "setting of a task": (lambda: Text(btach=3), "'batch'"),  # type: ignore[call-arg]
    "argument": (lambda: gatescope.create_run("x", gatescope.TASKS["counter"](), setings=1), "'settings'"),
    "choice": (lambda: gatescope.Choice(temprature=3), "'temperature'"),  # type: ignore[call-arg]
    "layer of a trace": (lambda: record(NETWORK, "a")["layr0"], "'layer0'"),
    "signal of a trace": (lambda: record(NETWORK, "a")["layer0"]["cc"], "'c'"),
    "signal as an attribute": (lambda: record(NETWORK, "a")["layer0"].cc, "'c'"),
}


@pytest.mark.parametrize(("call", "meant"), NAMES.values(), ids=NAMES)
def test_misspelt_name_says_what_there_is(call: Callable[[], Any], meant: str) -> None:
    with pytest.raises(GatescopeError, match=f"expected one of .*Did you mean {meant}"):
        call()


def test_network_in_one_step_equals_one_of_a_configuration() -> None:
    made = Network(VOCABULARY, cell="lstm", neurons=[5, 4], seed=3)
    expected = Network(configure(VOCABULARY, "lstm", [5, 4]), 3)
    assert made.configuration == expected.configuration
    for name, weights in expected.state_dict().items():
        assert torch.equal(made.state_dict()[name], weights)


def test_network_records_as_the_function_does() -> None:
    trace, expected = NETWORK.record("aXb", drives=False), record(NETWORK, "aXb", drives=False)
    assert (trace["layer1"]["h"] == expected["layer1"]["h"]).all()
    assert "x.i" not in trace["layer0"]


def test_layer_of_a_trace_has_its_signals_as_attributes() -> None:
    trace = record(NETWORK, "aXb")
    layer = trace["layer1"]
    assert (layer.c == layer["c"]).all()
    assert (trace[1].c == layer.c).all()
    assert {"c", "h"} <= set(dir(layer))
    assert not hasattr(layer, "cc")
    assert (copy.copy(layer).c == layer.c).all()
    assert (pickle.loads(pickle.dumps(layer)).c == layer.c).all()  # noqa: S301 - written in the same line


def test_layer_number_is_refused_where_two_layers_have_it() -> None:
    with pytest.raises(GatescopeError, match="expected one of layer0, layer0_reverse, layer1, layer1_reverse, got 1"):
        record(BOTH_WAYS, "aXb", interventions=[clamp(1, "h", 1, 0.5)])
    with pytest.raises(GatescopeError, match="expected one of layer0, layer0_reverse, layer1, layer1_reverse, got 0"):
        _ = record(BOTH_WAYS, "aXb")[0]


def test_missing_names_stay_missing() -> None:
    """`in` and `get` answer as those of a dictionary do."""
    assert "conter" not in gatescope.TASKS
    assert gatescope.CELLS.get("lsmt") is None
    with pytest.raises(KeyError):
        _ = gatescope.TASKS["conter"]


@pytest.mark.parametrize("place", [str, Path, lambda path: [path], lambda path: [str(path)]])
def test_runs_are_found_in_one_place_or_several(place: Any, tmp_path: Path) -> None:
    gatescope.create_run(tmp_path / "mine", gatescope.TASKS["counter"]())
    assert [run.path.name for run in gatescope.find_runs(place(tmp_path))] == ["mine"]


READ = {name: (lambda source=source: record(NETWORK, source), problem) for name, (source, problem) in REFUSED.items()}
MORE: dict[str, tuple[Callable[[], Any], str]] = {
    "numbers of NumPy": (
        lambda: record(
            NETWORK, "a", interventions=[clamp(untyped(np.int64(1)), "f", untyped(np.int8(2)), untyped(np.float32(1)))]
        ),
        "",
    ),
    "class of a task": (
        lambda: gatescope.create_run("no-run", untyped(Counter)),
        'expected a task, got the class Counter. Make one, such as gatescope.TASKS["counter"]().',
    ),
    "name of a task": (lambda: gatescope.create_run("no-run", untyped("counter")), "expected a task, got str"),
    "name of a run to train": (lambda: gatescope.train(untyped("runs/counter")), "expected a Run, got str"),
    "name of a run to study": (lambda: subject(untyped("counter")), "expected a Run, got str"),
    "one step": (lambda: record(NETWORK, "ab", interventions=[clamp(0, "f", 2, 1, untyped(1))]), ""),
    "a range": (lambda: record(NETWORK, range(3)), ""),
    "prime of ids": (lambda: gatescope.sample(NETWORK, np.array([1])), "prime: expected a text, got ndarray"),  # type: ignore[arg-type]
    "floats into the network": (lambda: NETWORK(torch.rand(3, 1)), "whole numbers, got torch.float32"),
    "text into the lower predict": (lambda: predict(NETWORK, "ab"), "expected sequences, got str"),  # type: ignore[arg-type]
    "path in place of a network": (lambda: record("runs/mine", "ab"), "expected a Network, got str"),  # type: ignore[arg-type]
    "tensor in place of a model": (lambda: gatescope.watch(torch.zeros(2)).__enter__(), "Module, got Tensor"),  # type: ignore[arg-type]
}
OTHER: dict[str, tuple[Callable[[], Any], str]] = {
    "predict of a path": (
        lambda: gatescope.predict(any_("runs/counter"), "ab"),
        "expected a Run or a Network, got str",
    ),
    "find_runs of None": (
        lambda: gatescope.find_runs(any_(None)),
        "Places: expected one directory or several, got NoneType",
    ),
    "find_runs of numbers": (
        lambda: gatescope.find_runs(any_([1])),
        "Places: expected one directory or several, got list",
    ),
    "open_trace of None": (
        lambda: gatescope.open_trace(any_(None)),
        "Directory of a trace: expected a path, got NoneType",
    ),
    "check of a text": (lambda: gatescope.check(any_("trace")), "trace: expected a Trace, got str"),
    "one intervention": (
        lambda: record(NETWORK, "aXb", interventions=any_(clamp("layer0", "c", 2, 0.0))),
        "Interventions: expected a list",
    ),
    "interventions None": (lambda: record(NETWORK, "aXb", interventions=any_(None)), "Interventions: expected a list"),
    "a cell by number": (lambda: configure(VOCABULARY, any_(5), [5]), "Cell"),
    "a task by a list": (lambda: gatescope.TASKS[any_([])], "Task: expected one of"),
    "a cell by a list": (lambda: gatescope.CELLS[any_([])], "Cell: expected one of"),
    "neurons of None": (lambda: configure(VOCABULARY, "lstm", any_(None)), "number for each layer, got None"),
    "neurons of a text": (lambda: configure(VOCABULARY, "lstm", any_(["a", 5])), "number for each layer, got 'a'"),
    "neurons of a float": (lambda: configure(VOCABULARY, "lstm", any_(1.5)), "number for each layer, got 1.5"),
    "neurons of NumPy": (lambda: configure(VOCABULARY, "lstm", any_(np.array([3, 2]))), ""),
    "dropout of a text": (lambda: configure(VOCABULARY, "lstm", 3, dropout="much"), "got 'much'"),
    "embedding of a text": (lambda: configure(VOCABULARY, "lstm", 3, embedding="much"), "1 or more, got 'much'"),
    "vocabulary of a text": (lambda: configure(any_("abc"), "lstm", 3), "expected a Vocabulary, got str"),
    "network of a text": (lambda: Network(any_("abc")), "expected a Configuration or a Vocabulary, got str"),
    "network without a cell": (lambda: Network(VOCABULARY, neurons=[3]), "Setting cell of Network: expected a value"),
    "network of both": (lambda: Network(NETWORK.configuration, dropout=0.5), "beside a Configuration, got dropout"),
    "value of a matrix": (lambda: clamp(0, "f", any_(np.ones((9, 9))), 0), "a slice, got array"),
}


def any_(value: Any) -> Any:
    return value


UNCHECKED = {
    **{f"read {k}": v for k, v in READ.items()},
    **{f"change {k}": v for k, v in WRONG.items()},
    **MORE,
    **OTHER,
}


@pytest.fixture(scope="module")
def outcomes() -> dict[str, str]:
    """Return the result of each call without a type checker: "" or the message of its error."""
    script = "from tests.test_first_calls import print_outcomes; print_outcomes()"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def print_outcomes() -> None:
    """Make all calls and print their results."""
    results = {}
    for name, (call, _) in UNCHECKED.items():
        try:
            call()
            results[name] = ""
        except GatescopeError as error:
            results[name] = str(error)
    sys.stdout.write(json.dumps(results))


@pytest.mark.parametrize("name", UNCHECKED)
def test_call_of_other_types_works_or_gives_one_sentence(name: str, outcomes: dict[str, str]) -> None:
    problem = UNCHECKED[name][1]
    assert problem in outcomes[name]
    assert "\n" not in outcomes[name]
    assert bool(problem) == bool(outcomes[name])
    assert "\n" not in outcomes[name]
