"""Forecasting against loops over a small series, predictors whose error is known, and files with faults."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, mean_pinball_loss

from gatescope import Run, Settings, check_with, create_run, record, train
from gatescope.studies.common.table import StudyError
from gatescope.studies.forecast_charts import drawn, forecasting_task, forecasts_of, hindsight, outlook
from gatescope.tasks import TASKS, Forecasting, TaskError, load
from gatescope.training import TrainingError, recommended_network
from gatescope.vocabulary import PADDING

Predict = Callable[[Sequence[np.ndarray]], list[np.ndarray]]

STEPS = 200  # training part 140, validation 20, test 40
SMALL: dict[str, Any] = {"window": 12, "horizon": 3, "season": 4}


def series(steps: int = STEPS) -> np.ndarray:
    """Return two columns, (steps, 2): a noisy season of 4 steps, and a random walk."""
    random = np.random.default_rng(5)
    season = 10 + 3 * np.sin(np.pi * np.arange(steps) / 2) + random.standard_normal(steps)
    return np.stack([season, 100 + random.standard_normal(steps).cumsum()], axis=1)


def write(path: Path, values: np.ndarray, names: str = "month,a,b") -> Path:
    rows = [f"{np.datetime64('1990-01-01') + k}," + ",".join(map(repr, row)) for k, row in enumerate(values.tolist())]
    path.write_text("\n".join([names, *rows]) + "\n")
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "series.csv", series())


def make_task(file: Path, **settings: Any) -> Forecasting:
    return Forecasting(file, **{**SMALL, "columns": ["a"], **settings})


def predictor(task: Forecasting, estimate: Callable[[np.ndarray, int], np.ndarray]) -> Predict:
    """Return a predictor that calls `estimate`(rows up to step t, t) -> (C, H, 3) at every step of a window."""

    def predict(windows: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [np.array([estimate(rows[: t + 1], t).ravel() for t in range(len(rows))]) for rows in windows]

    return predict


def last_value(task: Forecasting, places: Sequence[int] = (0,)) -> Predict:
    """Return a predictor that repeats the last value of some input columns."""
    shape = (len(places), task.horizon, 3)
    return predictor(task, lambda rows, _: np.broadcast_to(rows[-1, list(places)][:, None, None], shape))


def season_before(task: Forecasting) -> Predict:
    """Return a predictor that repeats the last season; 0 until a whole season was read."""
    m, ahead = task.season, np.arange(task.horizon)

    def estimate(rows: np.ndarray, t: int) -> np.ndarray:
        known = rows[t + 1 - m + ahead % m, 0] if t + 1 >= m else np.zeros(task.horizon)
        return np.repeat(known, 3)

    return predictor(task, estimate)


# --- inputs and targets -----------------------------------------------------------------------------------------------


def test_scaling_and_batches_use_the_training_part_only(tmp_path: Path) -> None:
    values = series()
    changed = values.copy()
    changed[140:] *= 50
    task, other = (make_task(write(tmp_path / f"{k}.csv", v)) for k, v in enumerate((values, changed)))
    assert task.borders == (140, 160)
    assert task.mean == other.mean == pytest.approx([values[:140, 0].mean()])
    assert task.spread == other.spread == pytest.approx([values[:140, 0].std()])
    for step in range(5):
        a, b = task.batch(0, step), other.batch(0, step)
        np.testing.assert_array_equal(a.tokens, b.tokens)
        np.testing.assert_array_equal(a.targets, b.targets)


def test_batch_equals_a_loop(file: Path) -> None:
    task = make_task(file, columns=None, target="b", batch=60)
    scaled = (series() - series()[:140].mean(axis=0)) / series()[:140].std(axis=0)
    batch = task.batch(1, 2)
    assert batch.tokens.shape == (60, 12, 4)
    assert batch.targets.shape == (60, 12, 3)
    starts = set()
    for tokens, targets in zip(batch.tokens, batch.targets, strict=True):
        start = int(np.flatnonzero(np.isclose(scaled[:, 1], tokens[0, 1], atol=1e-6))[0])
        starts.add(start)
        for t in range(12):
            angle = 2 * math.pi * (start + t) / 4
            np.testing.assert_allclose(tokens[t], [*scaled[start + t], math.sin(angle), math.cos(angle)], atol=1e-5)
            for h in (1, 2, 3):
                has_target = t >= 5 and start + t + h < 140
                assert np.isnan(targets[t, h - 1]) != has_target
                if has_target:
                    assert targets[t, h - 1] == pytest.approx(scaled[start + t + h, 1], abs=1e-5)
    assert len(starts) > 30
    assert max(starts) <= 128


def test_batches_depend_on_seed_and_step_alone(file: Path) -> None:
    first = make_task(file).batch(0, 0).tokens
    np.testing.assert_array_equal(first, make_task(file).batch(0, 0).tokens)
    assert not np.array_equal(first, make_task(file).batch(1, 0).tokens)
    assert not np.array_equal(first, make_task(file).batch(0, 1).tokens)


def test_predicted_values_have_names(file: Path) -> None:
    task = make_task(file)
    assert task.vocabulary.symbols == ("a", "season sine", "season cosine")
    assert task.readout.names == ("1 ahead", "2 ahead", "3 ahead")
    assert task.readout.quantiles == pytest.approx((0.1, 0.5, 0.9))
    both = make_task(file, columns=None, horizon=2, season=1, interval=0.5)
    assert both.vocabulary.symbols == ("a", "b")
    assert both.readout.names == ("a 1 ahead", "a 2 ahead", "b 1 ahead", "b 2 ahead")
    assert both.readout.quantiles == (0.25, 0.5, 0.75)
    assert make_task(file, columns=None, target=["B"]).targets == ("b",)


# --- the score -------------------------------------------------------------------------------------------------------


def test_last_value_is_the_naive_forecast(file: Path) -> None:
    task = make_task(file)
    score = task.score(last_value(task))
    values = series()[:, 0]
    origins = range(160, 198)
    expected = [values[t + h] for t in origins for h in range(3)]
    error = mean_absolute_error(expected, [values[t - 1] for t in origins for _ in range(3)])
    scale = np.mean([abs(values[t] - values[t - 4]) for t in range(4, 140)])
    column = score.details["columns"]["a"]
    assert score.details["forecasts"] == 38
    assert column["mae"] == pytest.approx(error, rel=1e-5)
    assert column["naive_mae"] == pytest.approx(error)
    assert score.value == pytest.approx(error / scale, rel=1e-5)
    assert score.details["of_naive"] == pytest.approx(1, rel=1e-5)
    for h in range(3):
        of_step = np.mean([abs(values[t + h] - values[t - 1]) for t in origins])
        assert column["by_horizon"]["mae"][h] == pytest.approx(of_step, rel=1e-5)
    assert score.solved is None
    assert score.better == "lower"
    json.dumps(score.to_json(), allow_nan=False)


def test_season_before_is_at_chance(file: Path) -> None:
    task = make_task(file)
    score = task.score(season_before(task))
    values = series()[:, 0]
    error = np.mean([abs(values[t + h] - values[t + h - 4]) for t in range(160, 198) for h in range(3)])
    scale = np.mean([abs(values[t] - values[t - 4]) for t in range(4, 140)])
    assert score.chance == pytest.approx(error / scale)
    assert score.value == pytest.approx(score.chance, rel=1e-5)
    assert score.details["of_seasonal_naive"] == pytest.approx(1, rel=1e-5)
    assert f"({score.chance:.3f} by the value a season of 4 steps before" in score.text


def test_without_a_season_the_last_value_is_chance(file: Path) -> None:
    task = make_task(file, season=1)
    score = task.score(last_value(task))
    assert score.value == pytest.approx(score.chance, rel=1e-5)
    assert "season" not in score.text


def test_oracle_makes_no_error(file: Path) -> None:
    task = make_task(file, columns=None, window=11)
    known = task.data()
    place = {rows.tobytes(): t for t, rows in enumerate(known.inputs)}

    def estimate(rows: np.ndarray, t: int) -> np.ndarray:
        answers = np.nan_to_num(known.targets[place[rows[-1].tobytes()]])
        return np.repeat(answers, 3)

    score = task.score(predictor(task, estimate))
    assert score.value < 1e-5
    assert set(score.details["columns"]) == {"a", "b"}
    forecasts = task.forecasts(predictor(task, estimate))
    assert forecasts.origins.tolist() == list(range(160, 201))
    assert forecasts.known.tolist() == [True] * 38 + [False] * 3
    np.testing.assert_allclose(forecasts.point[:38], forecasts.expected[:38], rtol=1e-5)
    np.testing.assert_array_equal(forecasts.expected[7, 2], series()[169])
    assert np.isnan(forecasts.expected[-1]).all()


def test_quantiles_that_cross_are_put_in_order(file: Path) -> None:
    task = make_task(file)
    forecasts = task.forecasts(predictor(task, lambda rows, _: np.tile([2.0, -1.0, 0.0], (3, 1))))
    mean, spread = task.mean[0], task.spread[0]
    np.testing.assert_allclose(forecasts.point, mean)
    assert (forecasts.lower <= forecasts.point).all()
    assert (forecasts.upper >= forecasts.point).all()
    came = series()[160:, 0]
    inside = (mean - spread <= came[:38]) & (came[:38] <= mean + 2 * spread)
    np.testing.assert_array_equal(forecasts.uncalibrated[:38, 0, 0], inside)


def test_validation_is_the_pinball_loss(file: Path) -> None:
    task = make_task(file)
    rows = np.tile([-1.0, 0.2, 0.7], (3, 1))
    scaled = (series()[:, 0] - task.mean[0]) / task.spread[0]
    expected = [scaled[t + h] for t in range(140, 158) for h in range(3)]
    losses = [
        mean_pinball_loss(expected, [value] * len(expected), alpha=level)
        for value, level in zip((-1.0, 0.2, 0.7), (0.1, 0.5, 0.9), strict=True)
    ]
    assert task.validation(predictor(task, lambda inputs, _: rows)) == pytest.approx(np.mean(losses), rel=1e-6)


@pytest.mark.parametrize("window", [2, 3, 12, 13])
def test_forecasts_rest_on_at_least_half_a_window(file: Path, window: int) -> None:
    task = make_task(file, window=window)
    read: list[int] = []

    def predict(windows: Sequence[np.ndarray]) -> list[np.ndarray]:
        read.extend(len(rows) for rows in windows)
        return [np.tile(np.arange(len(rows))[:, None] + 0.0, (1, 9)) for rows in windows]

    steps = (task.forecasts(predict).point[:, 0, 0] - task.mean[0]) / task.spread[0]
    assert max(read) <= window
    assert np.round(steps).min() == math.ceil(window / 2) - 1
    assert np.round(steps).max() <= window - 1


# --- texts -----------------------------------------------------------------------------------------------------------


def test_examples_are_of_the_test_part(file: Path) -> None:
    task = make_task(file)
    inputs = task.data().inputs
    for text in [*task.examples(), *task.vocabulary.split(task.held_out(10**9))]:
        rows = task.vocabulary.encode(text)
        start = int(np.abs(inputs[:, 0] - rows[0, 0]).argmin())
        assert start >= 160
        np.testing.assert_allclose(rows, inputs[start : start + len(rows)], atol=1e-4)
    assert len(task.vocabulary.encode(task.held_out(10**9))) == 40
    assert len(task.held_out(1)) == len(task.examples()[0])
    assert PADDING not in task.vocabulary.encode(task.examples()[0])[:, 0]


ROWS = st.lists(st.floats(-3, 3, width=32), max_size=25)


@given(ROWS)
def test_quantities_and_answers_equal_loops(values: list[float]) -> None:
    task = Forecasting(season=6, horizon=3, window=12)
    text = "".join(
        f"{v!r},{math.sin(2 * math.pi * (k + 2) / 6)!r},{math.cos(2 * math.pi * (k + 2) / 6)!r}\n"
        for k, v in enumerate(values)
    )
    quantities, answers = task.quantities(text), task.answers(text)
    assert set(quantities) == set(task.quantity_titles)
    assert answers.shape == (len(values), 3)
    level = [float(np.mean(values[max(0, t - 2) : t + 1])) for t in range(len(values))]
    for t, value in enumerate(values):
        assert quantities["level"][t] == pytest.approx(level[t], abs=1e-9)
        if abs(level[t] - level[max(0, t - 3)]) > 1e-9:
            assert quantities["rising"][t] == (level[t] > level[max(0, t - 3)])
        assert quantities["above_mean"][t] == (value > 0)
        highest = max(values[: t + 1])
        assert quantities["since_peak"][t] == next(k for k in range(t + 1) if values[t - k] == highest)
        assert quantities["phase"][t] == (t + 2) % 6
        for h in (1, 2, 3):
            if t + h < len(values):
                assert answers[t, h - 1] == np.float32(values[t + h])
            else:
                assert np.isnan(answers[t, h - 1])


def test_without_a_season_there_is_no_phase(file: Path) -> None:
    task = make_task(file, season=1)
    assert set(task.quantities("0.5\n1\n")) == set(task.quantity_titles) - {"phase"}
    with pytest.raises(TaskError, match="Line 1"):
        task.quantities("0.5,1\n")


# --- files and settings that cannot be used --------------------------------------------------------------------------


def test_wrong_lines_are_all_listed(tmp_path: Path) -> None:
    rows = ["day,a", "1,2.5", "2,NaN", "3,four", "4", *(f"{k},1" for k in range(5, 9))]
    path = tmp_path / "bad.csv"
    path.write_text("\n".join(rows) + "\n")
    with pytest.raises(TaskError) as caught:
        make_task(path)
    message = str(caught.value)
    for fault in (
        "Line 3, column 'a': Expected a number, got none",
        "Line 4, column 'a': Expected a number, got 'four'",
        "Line 5: Expected 2 fields, got 1",
        "at least",
    ):
        assert fault in message


def test_unknown_target_is_named_before_wrong_lines(tmp_path: Path) -> None:
    file = tmp_path / "short.csv"
    file.write_text("a\n1\nx\n")
    with pytest.raises(TaskError, match="Target: expected one of the columns a, got 'b'"):
        make_task(file, target="b")


def test_shortest_series_is_enough(tmp_path: Path) -> None:
    """16 steps to train on of 0.7, 7 of 0.1 to calibrate, 4 of 0.2 to test."""
    parts = (0.7, 0.1, 0.2)
    with pytest.raises(TaskError, match=r"at least 70 steps, got 69"):
        make_task(write(tmp_path / "short.csv", series(69)), parts=parts)
    task = make_task(write(tmp_path / "enough.csv", series(70)), parts=parts)
    score = task.score(last_value(task))
    assert score.details["forecasts"] == 12
    assert 0 <= score.details["coverage"] <= 1
    assert task.batch(0, 0).targets.shape[2] == 3


@pytest.mark.parametrize("size", [27, 28, 40, 60])
def test_parts_and_window_fit_a_short_series(tmp_path: Path, size: int) -> None:
    """Every part has its fewest steps by default (16 to train, 7 to calibrate, 4 to test), with a note."""
    path = write(tmp_path / "short.csv", series(size))
    task = make_task(path)
    first, second = task.borders
    assert first >= 16
    assert second - first >= 7
    assert size - second >= 4
    assert any("The series is short, so" in note for note in task.notes)
    assert 0 <= task.score(last_value(task)).details["coverage"] <= 1
    with pytest.raises(TaskError, match="at least 27 steps, got 26"):
        make_task(write(tmp_path / "shorter.csv", series(26)))
    small = Forecasting(path, columns=["a"], horizon=3, season=1)
    assert 4 <= small.window < 96
    assert any(f"windows have {small.window} steps instead of 96" in note for note in small.notes)
    assert load(json.loads(json.dumps(small.to_json()))).to_json() == small.to_json()


def test_forecasts_follow_the_dates(tmp_path: Path) -> None:
    """Months are continued as months, twelve of them are the season, and a file from the newest on is the same."""
    months = [f"{1980 + k // 12}-{k % 12 + 1:02d}" for k in range(144)]
    values = 10 + 0.05 * np.arange(144) + np.sin(np.arange(144) * np.pi / 6)
    rows = [f"{month},{value:.3f}" for month, value in zip(months, values.tolist(), strict=True)]
    old, new = tmp_path / "old.csv", tmp_path / "new.csv"
    old.write_text("\n".join(["Month,x", *rows]))
    new.write_text("\n".join(["Month,x", *reversed(rows)]))
    task, other = Forecasting(old), Forecasting(new)
    assert task.season == other.season == 12
    assert any("The season is 12 steps, by the dates (a step is a month)" in note for note in task.notes)
    assert any("newest row comes first" in note for note in other.notes)
    np.testing.assert_array_equal(task.data().inputs, other.data().inputs)
    forecasts = other.forecasts(last_value(other))
    assert forecasts.following == tuple(f"1992-{month:02d}" for month in range(1, 13))
    assert outlook(forecasts)["step"].tolist() == list(forecasts.following)
    assert "1992-12" in drawn(forecasts, other)


def test_series_of_version_0_1_stays_in_file_order(tmp_path: Path) -> None:
    """A task.json of version 0.1 has no order, and its rows were steps in the order of the file."""
    path = write(tmp_path / "t.csv", series(200))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], *lines[:0:-1]]) + "\n")
    task = make_task(path, order="file")
    data = task.to_json()
    del data["reading"], data["notes"]
    old = Forecasting.from_json(data)
    np.testing.assert_array_equal(old.data().inputs, task.data().inputs)


def test_values_without_a_usable_variance_are_refused(tmp_path: Path) -> None:
    """Too large, too close together, or too far from what is trained on: the column is named."""
    values = series(200)
    with pytest.raises(TaskError, match=r"column 'a': Expected a number up to 1e.100, got"):
        make_task(write(tmp_path / "huge.csv", values * 1e301))
    with pytest.raises(TaskError, match="Column 'a': expected numbers that differ by more than 1e-100"):
        make_task(write(tmp_path / "tiny.csv", values * 1e-200))
    values = values * 1e-30
    values[-1] = 1e60
    with pytest.raises(TaskError, match=r"Column 'a': .* got 1e.60 on line 201, too far away"):
        make_task(write(tmp_path / "far.csv", values))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"columns": ["c"]}, "or a number from 1 to 3, got 'c'"),
        ({"target": "b"}, "Target: expected one of the columns a, got 'b'"),
        ({"target": []}, "one or more"),
        ({"window": 1}, "Setting window: expected a whole number from 2, got 1"),
        ({"horizon": 0}, "Setting horizon: expected a whole number"),
        ({"season": 0}, "Setting season: expected a whole number"),
        ({"season": 250}, "at least"),
        ({"batch": 0}, "Setting batch: expected a whole number"),
        ({"interval": 1.0}, "between 0 and 1"),
        ({"parts": (0.5, 0.5, 0.5)}, "sum to 1"),
    ],
)
def test_settings_out_of_range_are_refused(file: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        make_task(file, **settings)


def test_several_files_and_constant_columns_are_refused(tmp_path: Path, file: Path) -> None:
    with pytest.raises(TaskError, match="expected one table, got 2"):
        Forecasting([file, file])
    flat = write(tmp_path / "flat.csv", np.stack([series()[:, 0], np.where(np.arange(STEPS) < 140, 7.0, 8.0)], axis=1))
    with pytest.raises(TaskError, match="Column 'b': expected numbers that change in the training part, got 7"):
        make_task(flat, columns=None)


def test_filled_numbers_and_found_season_are_noted(tmp_path: Path, file: Path) -> None:
    assert make_task(file).notes == []
    lines = file.read_text().splitlines()
    lines[5] = "1990-01-05,,1"
    path = tmp_path / "gap.csv"
    path.write_text("\n".join(lines) + "\n")
    notes = make_task(path, fill_missing=True, season=None).notes
    assert notes[0] == "1 missing number was filled in with the value of the step before."
    assert "A season of 4 steps was found" in notes[1]


# --- task.json -------------------------------------------------------------------------------------------------------


def test_task_is_equal_after_json(file: Path) -> None:
    task = make_task(file, columns=None, target="b", batch=5, interval=0.9, dates="month")
    loaded = load(json.loads(json.dumps(task.to_json(), allow_nan=False)))
    assert isinstance(loaded, Forecasting)
    assert loaded.to_json() == task.to_json()
    assert loaded.recommended == task.recommended
    assert loaded.vocabulary == task.vocabulary
    assert loaded.readout == task.readout
    assert loaded.score(last_value(loaded, (1,))).to_json() == task.score(last_value(task, (1,))).to_json()
    np.testing.assert_array_equal(loaded.batch(1, 2).tokens, task.batch(1, 2).tokens)


def test_changed_file_is_refused_only_if_needed(file: Path) -> None:
    data = make_task(file).to_json()
    write(file, series() + 1)
    loaded = Forecasting.from_json(data)
    assert loaded.examples() == data["examples"]
    with pytest.raises(TaskError, match=r"expected the data that this run was trained on.*have changed"):
        loaded.batch(0, 0)
    file.unlink()
    with pytest.raises(TaskError, match="cannot be read again"):
        Forecasting.from_json(data).batch(0, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "text"},
        {"mean": [1.0, 2.0]},
        {"spread": [0.0]},
        {"targets": ["z"]},
        {"window": "long"},
        {"parts": [1.0]},
        {"names": 3},
        {"horizon": 0},
    ],
)
def test_damaged_json_is_refused(file: Path, change: dict[str, Any]) -> None:
    data = {**make_task(file).to_json(), **change}
    with pytest.raises(TaskError):
        Forecasting.from_json(data)
    with pytest.raises(TaskError, match="expected the key 'sha256', got none"):
        Forecasting.from_json({key: value for key, value in make_task(file).to_json().items() if key != "sha256"})


def test_default_series_is_artificial() -> None:
    task = TASKS["forecasting"]()
    assert isinstance(task, Forecasting)
    assert task.season == 24
    assert task.path is None
    loaded = Forecasting.from_json(json.loads(json.dumps(task.to_json())))
    np.testing.assert_array_equal(loaded.batch(0, 0).tokens, task.batch(0, 0).tokens)


# --- a network -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a run of a network that forecasts better than chance after a short training."""
    folder = tmp_path_factory.mktemp("forecasting")
    file = write(folder / "series.csv", series())
    task = Forecasting(file, columns=["a"], window=12, horizon=3, season=4, batch=16)
    run = create_run(folder / "run", task, None, Settings.recommended(task, steps=150, learning_rate=0.02))
    outcome = train(run)
    assert outcome.score is not None
    assert outcome.score.value < outcome.score.chance
    return run


def test_a_network_that_forecasts_is_recorded_and_checked(run: Run) -> None:
    task, (network, _) = run.task(), run.network()
    text = task.examples()[0]
    trace = record(network, text, answers=task.answers)
    assert check_with(network, trace).largest < trace.attributes["tolerance"]
    np.testing.assert_array_equal(trace.steps["value"][0], task.answers(text))
    assert trace.steps["estimate"].shape == (1, 12, 9)


def test_outlook_is_a_table(run: Run) -> None:
    task, forecasts = forecasting_task(run), forecasts_of(run)
    table = outlook(forecasts)
    values = series()[:, 0]
    assert table["ahead"].tolist() == [1, 2, 3]
    assert table["season_before"] == pytest.approx(values[-4:-1])
    assert (table["lower"] < table["forecast"]).all()
    assert (table["forecast"] < table["upper"]).all()
    before = hindsight(forecasts, task.data().series.steps, 2)
    assert len(before) == 40 - 1
    assert before["step"][0] == "1990-06-11"
    assert before["came"] == pytest.approx(values[161:])
    assert before["within"].mean() == pytest.approx(0.8, abs=0.2)


def test_picture_stands_alone_and_shows_every_step(run: Run) -> None:
    task, forecasts = forecasting_task(run), forecasts_of(run)
    picture = drawn(forecasts, task, ahead=1, steps=30)
    root = ET.fromstring(picture)
    paths = {path.get("class"): path.get("d", "") for path in root.iter("{http://www.w3.org/2000/svg}path")}
    places = {name: [tuple(map(float, p.split())) for p in d[1:].rstrip("Z").split("L")] for name, d in paths.items()}
    assert len(places["line actual"]) == 30
    assert len(places["line point"]) == 33
    assert len(places["band"]) == 66
    values = series()[-30:, 0]
    heights = np.array(places["line actual"])[:, 1]
    assert np.corrcoef(heights, values)[0, 1] == pytest.approx(-1, abs=1e-4)  # up is a smaller y
    # The value and its band are drawn on one scale: the line is inside the band where the table has `within`.
    within = hindsight(forecasts, task.data().series.steps, 1)["within"][-30:]
    band = np.array(places["band"])
    low, high = band[:33, 1][:30], band[33:, 1][::-1][:30]
    np.testing.assert_array_equal((high <= heights + 0.11) & (heights - 0.11 <= low) | ~within, np.ones(30, bool))
    assert "prefers-color-scheme:dark" in picture
    assert "http" not in picture.replace("http://www.w3.org/2000/svg", "")
    for wrong in ({"ahead": 4}, {"ahead": 0}, {"steps": 1}):
        with pytest.raises(StudyError):
            drawn(forecasts, task, **wrong)


def test_reading_in_both_directions_is_refused(file: Path, tmp_path: Path) -> None:
    task = make_task(file)
    with pytest.raises(TrainingError, match="in both directions"):
        create_run(tmp_path / "run", task, recommended_network(task, both_ways=True))


def test_run_of_another_task_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="expected one of the task forecasting, got run of the task counter"):
        forecasts_of(create_run(tmp_path / "run", TASKS["counter"]()))


def test_other_series_has_the_phase_of_its_dates(tmp_path: Path) -> None:
    """A later part of a dated series is read as the same steps in the whole: same inputs, same forecast."""
    days = [str(np.datetime64("2020-01-01") + k) for k in range(140)]
    wave = 10 + np.sin(2 * np.pi * np.arange(140) / 7) + 0.1 * np.random.default_rng(0).standard_normal(140)
    rows = [f"{day},{value:.4f}" for day, value in zip(days, wave, strict=True)]
    whole, part = tmp_path / "whole.csv", tmp_path / "part.csv"
    whole.write_text("date,level\n" + "\n".join(rows) + "\n")
    part.write_text("date,level\n" + "\n".join(rows[51:]) + "\n")
    task = Forecasting(whole, window=14, horizon=3, season=7)
    other = task.on(part)
    assert other.first_phase == 51 % 7
    np.testing.assert_array_equal(other.data().inputs, task.data().inputs[51:])
    assert task.first_phase == 0
    assert task.size == 140
    later = tmp_path / "later.csv"
    days = [str(np.datetime64("2020-01-01") + k) for k in range(200, 260)]
    later.write_text("date,level\n" + "\n".join(f"{day},{k % 7}" for k, day in enumerate(days)) + "\n")
    assert task.on(later).first_phase == 200 % 7
    with pytest.raises(TaskError, match="phase"):
        _ = task.on(_undated(tmp_path))
    assert task.on(_undated(tmp_path), phase=3).first_phase == 3


def _undated(folder: Path) -> Path:
    path = folder / "undated.csv"
    path.write_text("level\n" + "\n".join(str(k % 7) for k in range(60)) + "\n")
    return path
