"""Parts of a drive against NumPy in float64 and the drives of the trace, for every kind of cell and input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gatescope import CELLS, Network, Vocabulary, clamp, configure, record
from gatescope.cells import Cell
from gatescope.readout import Readout
from gatescope.studies import StudyError
from gatescope.studies.drive_parts import drive_parts
from tests.studies.test_matching import VOCABULARY, own

TEXT = "aaXbb\naXb\n"
KINDS = (*(CELLS[name] for name in ("lstm", "gru", "peephole", "slstm", "mingru", "elman")), own)
NUMBERS = Vocabulary(("speed", "height"), unit="number")


@pytest.mark.parametrize("cell", KINDS, ids=lambda cell: cell.name)
def test_parts_sum_to_every_drive(cell: Cell) -> None:
    """The sum is the recorded drive of every layer, and each recurrent part is U times h one step earlier."""
    network = Network(configure(VOCABULARY, cell, [4, 3]), seed=3)
    trace = record(network, TEXT)
    for k, name in enumerate(network.configuration.names):
        for drive in cell.drives:
            for sequence, step in ((0, 0), (0, 3), (1, 2)):
                table = drive_parts(network, trace, drive, neuron=2, step=step, sequence=sequence, layer=k)
                recorded = float(trace[name][drive][sequence, step, 2])
                assert table.about["total"] == pytest.approx(recorded, abs=1e-6)
                assert sum(table["part"]) == pytest.approx(recorded, abs=1e-6)
                assert ("bias" in table["kind"]) == drive.startswith("x.")
    for gate in cell.tape.recurrent_drives:
        table = drive_parts(network, trace, f"u.{gate}", neuron=1, step=3)
        row = network.parameters_of(0).recurrent_weights[cell.tape.recurrent_drives.index(gate), 1].detach().numpy()
        expected = row.astype(np.float64) * trace["layer0"]["h"][0, 2]
        order = [int(source.removeprefix("layer0.")) for source in table["source"]]
        np.testing.assert_allclose(np.array(table["part"], float), expected[order], rtol=1e-12)
        assert order == np.argsort(-np.abs(expected), kind="stable").tolist()


def test_parts_of_a_symbol_are_its_weight_and_the_bias() -> None:
    network = Network(configure(VOCABULARY, "lstm", [4]), seed=1)
    table = drive_parts(network, record(network, TEXT), "x.f", neuron=3, step=2)
    parameters = network.parameters_of(0)
    f = CELLS["lstm"].tape.input_drives.index("f")
    weight, bias = (float(values.detach()) for values in (parameters.input_weights[f, 3, 1], parameters.biases[f, 3]))
    rows = [tuple(row.values()) for row in table]
    assert rows == [("input", "X", weight, 1.0, weight), ("bias", "", bias, 1.0, bias)]


def test_embedded_symbol_has_the_weight_of_its_vector() -> None:
    network = Network(configure(VOCABULARY, "gru", [4], embedding=3), seed=1)
    table = drive_parts(network, record(network, TEXT), "x.n", neuron=0, step=0)
    n = CELLS["gru"].tape.input_drives.index("n")
    assert network.embedding is not None
    vector = network.embedding[0].detach().numpy().astype(np.float64)
    row = network.parameters_of(0).input_weights[n, 0].detach().numpy().astype(np.float64)
    assert table["weight"][0] == pytest.approx(row @ vector, rel=1e-12)


def test_unknown_symbol_has_no_part() -> None:
    network = Network(configure(VOCABULARY, "lstm", [4]), seed=1)
    table = drive_parts(network, record(network, "a?b"), "x.f", neuron=0, step=1)
    assert list(table["kind"]) == ["bias"]


def test_numbers_are_parts_of_their_own() -> None:
    network = Network(configure(NUMBERS, "lstm", [4], readout=Readout("numbers", names=("next",))), seed=1)
    trace = record(network, "1, 2\n3, -4\n")
    table = drive_parts(network, trace, "x.i", neuron=1, step=1)
    values = {row["source"]: (row["value"], row["part"]) for row in table.where(kind="input")}
    row = network.parameters_of(0).input_weights[0, 1].detach().numpy().astype(np.float64)
    assert values == {"speed": (3.0, 3.0 * row[0]), "height": (-4.0, -4.0 * row[1])}


def test_reverse_layer_reads_the_step_after() -> None:
    """A layer that reads from the end has, before step t, the state of step t + 1."""
    network = Network(
        configure(VOCABULARY, "lstm", [4, 3], both_ways=True, readout=Readout("classes", names=("yes", "no"))), seed=1
    )
    trace = record(network, TEXT)
    for layer in ("layer0_reverse", "layer1_reverse", "layer1"):
        for drive in ("u.i", "x.f"):
            for step in (0, 4, 5):
                table = drive_parts(network, trace, drive, neuron=2, step=step, layer=layer)
                assert table.about["total"] == pytest.approx(float(trace[layer][drive][0, step, 2]), abs=1e-6)
    above = drive_parts(network, trace, "x.f", neuron=0, step=1, layer="layer1").where(kind="neuron")
    assert {source.split(".")[0] for source in above["source"]} == {"layer0", "layer0_reverse"}


def test_held_state_is_the_value_of_its_part() -> None:
    network = Network(configure(VOCABULARY, "lstm", [4]), seed=1)
    trace = record(network, TEXT, interventions=[clamp("layer0", "h", 3, 0.5, steps=slice(1, 2))])
    table = drive_parts(network, trace, "u.i", neuron=0, step=2)
    assert table.where(source="layer0.3")["value"].tolist() == [0.5]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"drive": "u.q"}, "Drive of layer0"),
        ({"neuron": 4}, "Neuron of layer0: expected a number from 0 to 3"),
        ({"step": 6}, "Step of the sequence: expected a number from 0 to 5, got 6"),
        ({"sequence": 2}, "Sequence of the trace"),
        ({"layer": "layer7"}, "Layer"),
    ],
)
def test_unknown_places_are_refused(change: dict[str, Any], words: str) -> None:
    network = Network(configure(VOCABULARY, "lstm", [4]), seed=1)
    settings: dict[str, Any] = {"drive": "u.i", "neuron": 0, "step": 0, **change}
    drive = settings.pop("drive")
    with pytest.raises(StudyError, match=words):
        drive_parts(network, record(network, TEXT), drive, **settings)
