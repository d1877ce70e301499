"""Comparisons of cells: reach on networks with known gradients, and trainings that are stopped and continued."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gatescope import CELLS, TASKS, Network, Run, Settings, Vocabulary, configure, create_run, train
from gatescope.cells import CellError
from gatescope.runs import HISTORY
from gatescope.sources import RecordingError
from gatescope.studies import StudyError, Table
from gatescope.studies.comparison import MEASURES, compare, reach, summary
from gatescope.studies.gradients.jacobians import jacobians_of
from tests.networks import EACH_CELL, network, seeds

TEXT = "abcdeabbcedaeecbdacb" * 2
PROBE = "A" + "x" * 20 + "Ya\n"


def quiet(cell: str, neurons: int, **biases: float) -> Network:
    """Make a network whose weights are 0, except for these biases."""
    net = Network(configure(Vocabulary(tuple("ab")), cell, [neurons]))
    with torch.no_grad():
        for name in ("input_weights", "recurrent_weights", "biases"):
            getattr(net.parameters_of(0), name).zero_()
        for drive, value in biases.items():
            net.parameters_of(0).biases[CELLS[cell].tape.input_drives.index(drive)] = value
    return net


# --- reach -----------------------------------------------------------------------------------------------------------


def test_reach_of_a_known_leak() -> None:
    measured = reach(quiet("mingru", 4), "ab" * 20, distance=10, furthest=5)
    (row,) = measured.layers
    assert row["gradient"] == pytest.approx(2 * 0.5**10, rel=1e-12)  # the root of four neurons
    assert row["states_norm"] == pytest.approx(2 * 0.5**10, rel=1e-12)
    assert row["direct"] == pytest.approx(2 * 0.5**10, rel=1e-12)
    assert row["rest"] == pytest.approx(0, abs=1e-14)
    assert row["growth"] == pytest.approx(math.log(0.5), rel=1e-12)
    assert row["exponent"] == pytest.approx(math.log(0.5), rel=1e-12)
    (term,) = measured.terms
    assert (term["to"], term["source"], term["term"], term["share"]) == ("h", "h", "direct", 1.0)
    assert measured.row() == {
        "gradient": row["gradient"],
        "growth": row["growth"],
        "horizon": pytest.approx(math.nan, nan_ok=True),  # no weight reads the input
        "horizon_1": pytest.approx(math.nan, nan_ok=True),
        "change": pytest.approx(math.nan, nan_ok=True),
        "change_1": pytest.approx(math.nan, nan_ok=True),
    }


@pytest.mark.parametrize("bias", [0.0, 1.0, 3.0])
def test_reach_direct_term_equals_forget_gates(bias: float) -> None:
    (row,) = reach(quiet("lstm", 1, f=bias), "ab" * 20, distance=7).layers
    forget_gate = 1 / (1 + math.exp(-bias))
    assert row["growth"] == pytest.approx(math.log(forget_gate), rel=1e-9)
    # c stays at 0, where tanh is the identity; the output gate is at one half.
    assert row["gradient"] == pytest.approx(0.5 * forget_gate**7, rel=1e-9)
    assert row["states_norm"] == pytest.approx(math.sqrt(1 + 0.25) * forget_gate**7, rel=1e-9)


@pytest.mark.parametrize("name", [name for name in EACH_CELL if name != "feedforward"])
def test_reach_norms_equal_products(name: str) -> None:
    net = network(name, [3, 2], 1)
    measured = reach(net, TEXT, distance=6)
    for k, row in enumerate(measured.layers):
        jacobians = jacobians_of(net, TEXT, k)
        place = jacobians.states.index("h") * jacobians.neurons
        steps, ends = jacobians.whole(), slice(place, place + jacobians.neurons)

        def norm(distance: int, rows: slice, steps: np.ndarray = steps) -> float:
            sizes = []
            for start in range(len(steps) - distance):
                product = np.eye(steps.shape[1])
                for step in range(start + 1, start + distance + 1):
                    product = steps[step] @ product
                sizes.append(np.linalg.norm(product[rows]))
            with np.errstate(divide="ignore"):  # some norms of an Elman network with ReLU are 0
                return float(np.median(np.log(sizes)))

        assert math.log(row["gradient"]) == pytest.approx(norm(6, ends), abs=1e-9)
        assert math.log(row["states_norm"]) == pytest.approx(norm(6, slice(None)), abs=1e-9)
        assert row["growth"] == pytest.approx((norm(6, ends) - norm(1, ends)) / 5, abs=1e-9)
    assert measured.layers["layer"].tolist() == ["layer0", "layer1"]
    assert measured.layers.about == {"distance": 6, "steps": len(TEXT)}


def test_reach_of_a_feedforward_network_is_zero() -> None:
    measured = reach(network("feedforward", [3], 1), TEXT)
    (row,) = measured.layers
    assert [row[name] for name in ("gradient", "states_norm", "direct", "rest")] == [0, 0, 0, 0]
    assert [row[name] for name in ("growth", "exponent")] == [-math.inf, -math.inf]
    assert len(measured.terms) == 0
    assert measured.row()["horizon"] == 1.0


@given(st.text("abcde", min_size=1, max_size=8), st.sampled_from(EACH_CELL), seeds)
@settings(max_examples=12)
def test_reach_of_any_text(text: str, name: str, seed: int) -> None:
    net = network(name, [2], seed)
    if len(text) < 2:
        with pytest.raises(StudyError, match="at most 1 step of the longest sequence"):
            reach(net, text)
        return
    measured = reach(net, text, samples=3)
    assert measured.layers.about["distance"] == len(text) // 2
    assert set(measured.row()) | {"score", "loss"} == set(MEASURES)
    assert reach(net, text, samples=3).horizons.to_json() == measured.horizons.to_json()


def test_reach_refuses_invalid_arguments() -> None:
    net = network("lstm", [2], 1)
    with pytest.raises(StudyError, match=r"Distance of the gradients: .* got 40"):
        reach(net, TEXT, distance=40)
    with pytest.raises(StudyError, match=r"Layer: expected one of .* got 1"):
        reach(net, TEXT, layers=[1])
    with pytest.raises(RecordingError, match="nothing to record"):
        reach(net, "")


# --- comparisons -----------------------------------------------------------------------------------------------------


def assert_same(table: Table, other: Table) -> None:
    """Compare all columns except the seconds.

    The last digits of products may differ, because the order of sums depends on the memory layout.
    """
    for name, column in table.columns.items():
        if name in ("gradient", "growth"):
            np.testing.assert_allclose(column, other[name], rtol=1e-12)
        elif name != "seconds":
            np.testing.assert_array_equal(column, other[name])


def small(out: Path, cells: tuple[str, ...] = ("elman", "lstm:f=3"), **changes: object) -> Table:
    options: dict[str, object] = {"steps": 120, "neurons": [4], "text": PROBE, "samples": 10} | changes
    return compare(TASKS["state_memoriser"](), cells, 2, out=out, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Table]:
    """Compare two cells with two seeds; return the folder and the table."""
    path = tmp_path_factory.mktemp("compared")
    return path, small(path)


def test_compare_writes_one_run_per_training(compared: tuple[Path, Table], tmp_path: Path) -> None:
    path, table = compared
    assert sorted(entry.name for entry in path.iterdir()) == ["elman-0", "elman-1", "lstm-f=3-0", "lstm-f=3-1"]
    task = TASKS["state_memoriser"]()
    alone = create_run(
        tmp_path / "alone",
        task,
        configure(task.vocabulary, "elman", [4]),
        Settings.recommended(task, steps=120, seed=1),
    )
    outcome = train(alone)
    end = next(iter(table.where(cell="elman", seed=1, when="end")))
    assert outcome.score is not None
    assert (end["score"], end["solved"]) == (outcome.score.value, float(bool(outcome.score.solved)))
    net, step = alone.network()
    assert end["step"] == step
    measured = reach(net, PROBE, samples=10).row()
    assert {name: end[name] for name in measured} == pytest.approx(measured, rel=1e-12)
    first = next(iter(table.where(cell="elman", seed=1, when="beginning")))
    untrained = reach(Network(alone.configuration(), 1), PROBE, samples=10).row()
    assert first["gradient"] == pytest.approx(untrained["gradient"], rel=1e-12)
    assert first["step"] == 0
    assert first["loss"] > end["loss"]


def test_compare_sorts_its_rows(compared: tuple[Path, Table]) -> None:
    _, table = compared
    keys = [(row["cell"], row["seed"]) for row in table]
    assert [key for key, _ in itertools.groupby(keys)] == list(itertools.product(("elman", "lstm:f=3"), (0, 1)))
    for key in set(keys):
        part = table.where(cell=key[0], seed=key[1])
        assert part["when"].tolist() == ["beginning", *["on the way"] * (len(part) - 2), "end"]
        assert (np.diff(part["step"]) > 0).all()
    assert table.about["missing"] == []
    assert table.about["distance"] == 12


def test_compare_skips_complete_trainings(compared: tuple[Path, Table]) -> None:
    path, table = compared
    before = {file: file.stat().st_mtime_ns for file in path.rglob("*") if file.is_file()}
    assert_same(small(path), table)
    assert {file: file.stat().st_mtime_ns for file in path.rglob("*") if file.is_file()} == before


def test_compare_continues_after_a_stop(compared: tuple[Path, Table], tmp_path: Path) -> None:
    _, whole = compared
    calls = itertools.count()
    part = small(tmp_path, stop=lambda: next(calls) > 150)  # in the middle of the second training
    assert {(row["cell"], row["seed"]) for row in part} == {("elman", 0)}
    assert part.about["missing"] == ["lstm:f=3, seed 0", "elman, seed 1", "lstm:f=3, seed 1"]
    assert_same(part, whole.where(cell="elman", seed=0))
    assert_same(small(tmp_path), whole)


def test_compare_stopped_at_once_is_empty(tmp_path: Path) -> None:
    table = small(tmp_path, stop=lambda: True)
    assert len(table) == 0
    assert len(table.about["missing"]) == 4
    assert len(summary(table)) == 0


def test_compare_progress_ends_at_one(tmp_path: Path) -> None:
    reports: list[tuple[str, float]] = []
    small(tmp_path, cells=("elman",), steps=40, progress=lambda what, share: reports.append((what, share)))
    shares = [share for _, share in reports]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert {what for what, _ in reports} == {"elman, seed 0", "elman, seed 1"}


def test_compare_records_a_nan_loss(tmp_path: Path) -> None:
    options = {"cells": ("elman_relu",), "steps": 50, "optimizer": "sgd", "learning_rate": 1e30, "clip": 1e30}
    table = small(tmp_path, **options)
    ends = table.where(when="end")
    assert ends["reason"].tolist() == ["failed", "failed"]
    assert np.isfinite(ends["loss"]).all()
    assert table.about["missing"] == []
    assert Run(tmp_path / "elman_relu-0").read(HISTORY)[-1]["reason"] == "failed"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"steps": 121},
            "expected a new run or one with the same task, network and settings",
        ),
        ({"neurons": [5]}, "expected a new run or one with the same"),
        ({"cells": ("elman", "elman")}, "Cells and seeds: expected at least one of each and no repeats"),
        ({"cells": ()}, "Cells and seeds: expected at least one of each and no repeats"),
    ],
)
def test_compare_refuses_invalid_arguments(
    compared: tuple[Path, Table], changes: dict[str, object], message: str
) -> None:
    with pytest.raises(StudyError, match=message):
        small(compared[0], **changes)  # type: ignore[arg-type]


def test_compare_refuses_an_unknown_cell(compared: tuple[Path, Table]) -> None:
    with pytest.raises(CellError, match="got 'elm'"):
        small(compared[0], cells=("elm",))


@pytest.mark.parametrize(("changes", "steps"), [({"distance": 30}, 24), ({"text": ""}, 0), ({"distance": 0}, 24)])
def test_compare_refuses_a_short_text_before_training(changes: dict[str, object], steps: int, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=f"at most {steps} steps of the longest sequence"):
        small(tmp_path, **changes)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_summary_equals_medians_by_hand() -> None:
    titles = {name: name for name in ("cell", "seed", "when", "step", "reason", "seconds", "solved", *MEASURES)}
    rows = [
        {"cell": "lstm", "seed": seed, "when": when, "step": 1, "reason": "", "seconds": 1.0, "solved": solved}
        | dict.fromkeys(MEASURES, value)
        for seed, when, solved, value in (
            (0, "beginning", None, 7.0),
            (1, "beginning", None, math.nan),
            (0, "on the way", 1.0, 99.0),
            (0, "end", 1.0, 3.0),
            (1, "end", 0.0, math.inf),
            (2, "end", 1.0, 1.0),
        )
    ]
    first, last = summary(Table.of(rows, titles, task="x"))
    assert (first["seeds"], first["loss"], first["loss_low"], first["loss_high"]) == (2, 7.0, 7.0, 7.0)
    assert math.isnan(first["solved"])
    assert (last["seeds"], last["solved"], last["loss"], last["loss_low"], last["loss_high"]) == (
        3,
        2,
        3.0,
        1.0,
        math.inf,
    )
