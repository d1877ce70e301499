"""The task forecasting: the next steps of columns of numbers over time.

A network that forecasts keeps the level, the season and the last turns of a series in its state; this task shows which
neurons do. Shapes: `T` step, `I` input, `C` column to predict, `H` step ahead, `N` origin, `Q` quantile.

The file has over 400 lines, because one class implements the whole protocol of a task and documents every setting.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from copy import copy
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from gatescope.errors import GatescopeError, setting
from gatescope.messages import Message
from gatescope.readout import Readout, numbers
from gatescope.tasks.base.saved_task import FileTask, column, string, strings
from gatescope.tasks.base.task import (
    TRAINING,
    Batch,
    Predict,
    Quantity,
    Recommended,
    Score,
    TaskError,
    generator,
    predictions,
)
from gatescope.tasks.data.corpus import absolute
from gatescope.tasks.data.tables import MAX_FILE_BYTES
from gatescope.tasks.forecasting.artificial import artificial_series
from gatescope.tasks.forecasting.calibration import MAX_CALIBRATING_FORECASTS, calibrated
from gatescope.tasks.forecasting.date_formats import DateOrder
from gatescope.tasks.forecasting.fitting import (
    PARTS,
    WINDOW_STEPS,
    check_settings,
    check_spread,
    fitted,
    shortest_series,
)
from gatescope.tasks.forecasting.forecasts import Forecasts
from gatescope.tasks.forecasting.series import Duplicates, Order, Reading, Series, read_series, targets_among
from gatescope.tasks.measures.baselines import calendar_season, find_season, seasonal_naive
from gatescope.tasks.measures.measures import naive_scale, pinball_loss
from gatescope.vocabulary import Numbers, Vocabulary

PHASE = ("season sine", "season cosine")
"""The inputs for the place in the season, as an angle."""

MAX_VALIDATED_FORECASTS = 5_000
MAX_SCORED_FORECASTS = 20_000
EXAMPLE_COUNT = 3
MAX_STEPS_BETWEEN = 20_000  # between the end of the training series and the beginning of another one

Columns = Sequence[str | int]


@dataclass(frozen=True)
class Prepared:
    """A series as the network reads it.

    Attributes:
        series: as in the file.
        inputs: (T, I) scaled columns and the place in the season.
        targets: (T, C * H) scaled values in the next steps; NaN after the end of the series.
    """

    series: Series
    inputs: Numbers
    targets: Numbers


class Forecasting(FileTask[Series, Prepared]):
    """Forecast the next `horizon` steps of some columns after every step: three quantiles of each value.

    The series is cut, by time, into a training, a validation and a test part. The inputs are scaled by the mean and the
    standard deviation of each column over the training part alone. With a season, the sine and cosine of the place in
    it are inputs, too. The network reads windows. Only forecasts in the second half of a window count, in training as
    in the score, so each rests on at least half a window of steps.

    Args:
        paths: one table of numbers (CSV, TSV) with a step in each row; None: an artificial series.
        columns: the columns to read, by name or by number (from 1); None: all but row numbers and dates.
        target: the columns to predict, by name; None: all that are read.
        dates: the column that names the steps; None: found if there is one.
        fill_missing: give a missing number the value of the step before; otherwise it is an error.
        window: steps of a window; None: 96, or fewer for a short series.
        horizon: the number of steps ahead to forecast.
        season: steps of a season, such as 12 for months; 1: none; None: a day, week or year of the dates if the
            training part shows one, or else the season that its values show; a long season may be off by some steps.
        interval: the share of values that a prediction interval should hold.
        parts: shares of the training, validation and test part; None: 0.7, 0.1 and 0.2, or what a short series allows.
        batch: windows in a batch; None: the recommended number.
        largest: the most bytes that the file may have.
        encoding, decimal, thousands, order, date_order, duplicates, skip_bad: how the file is read; see
            `gatescope.tasks.forecasting.series.Reading`.

    Raises:
        TaskError: a setting is out of its range, or the file cannot be used; the message lists every wrong line.
    """

    name: ClassVar[str] = "forecasting"
    title: ClassVar[str] = "Forecasting"
    question: ClassVar[str] = (
        "It reads a series of numbers and predicts the next ones with an interval: "
        "which neurons follow the level, the season, the turns?"
    )
    settings: ClassVar[Recommended] = Recommended(
        layers=(24,),
        steps=800,
        batch=32,
        learning_rate=0.005,
        final_learning_rate=0.0,
        validate_every=50,
        patience=6,
    )
    first_phase: int = 0  # of the first step of the series, in steps since the season began
    quantity_titles: ClassVar[dict[str, str]] = {
        "level": "mean of the last values, as many as are forecast",
        "rising": "that mean is higher than it was so many steps before",
        "above_mean": "the value is above the mean of the training part",
        "since_peak": "steps since the highest value so far",
        "phase": "steps since the season began",
    }

    def __init__(
        self,
        paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
        *,
        columns: str | int | Columns | None = None,
        target: str | Sequence[str] | None = None,
        dates: str | int | None = None,
        fill_missing: bool = False,
        window: int | None = None,
        horizon: int = 12,
        season: int | None = None,
        interval: float = 0.8,
        parts: tuple[float, float, float] | None = None,
        batch: int | None = None,
        largest: int = MAX_FILE_BYTES,
        encoding: str | None = None,
        decimal: str = ".",
        thousands: str = "",
        order: Order = "dates",
        date_order: DateOrder | None = None,
        duplicates: Duplicates | None = None,
        skip_bad: bool = False,
    ) -> None:
        listed = [paths] if isinstance(paths, str | os.PathLike) else list(paths or ())
        if len(listed) > 1:
            raise TaskError("FORECASTING_FILES_SEVERAL", count=len(listed))
        check_settings(window, horizon, season, interval, parts, batch)
        self.path = str(absolute(listed[0])) if listed else None
        self.columns = (columns,) if isinstance(columns, str | int) else None if columns is None else tuple(columns)
        self.dates, self.fill_missing, self.largest = dates, fill_missing, largest
        self.reading = Reading(encoding, decimal, thousands, order, date_order, duplicates, skip_bad)
        self.horizon, self.interval = horizon, float(interval)
        self.recommended: Recommended = self.settings if batch is None else replace(self.settings, batch=batch)
        targets = (target,) if isinstance(target, str) else target
        needed = shortest_series(window, horizon, season or 1, parts)
        series = self._read(needed, targets)
        self.names = series.names
        self.targets = targets_among(series.names, targets)
        self.size, self.filled = len(series.values), series.filled
        self.window, self.parts = fitted(self.size, window, horizon, season or 1, parts)
        training = series.values[: self.borders[0]]
        self.mean = tuple(training.mean(axis=0).tolist())
        self.spread = tuple(training.std(axis=0).tolist())
        check_spread(self.names, training)
        calendar = () if series.step is None else series.step.seasons
        from_calendar = 1 if season is not None else calendar_season(training, calendar)
        self.found_season = season is None and from_calendar == 1
        self.season = season or (from_calendar if from_calendar > 1 else find_season(training))
        self.sha256 = _digest(series)
        self._notes = [*series.notes, *self._notes_of_fit(window, parts)]
        if from_calendar > 1:
            note = Message(
                "FORECASTING_NOTE_SEASON_DATES", season=self.season, step=series.step, setting=setting("season", None)
            )
            self._notes.append(str(note))
        self._data = self._prepare(series)
        self._examples = [self._text(first, first + self.window) for first in self._example_starts()]

    def _notes_of_fit(self, window: int | None, parts: Sequence[float] | None) -> list[str]:
        """Return sentences about the window and the parts of a short series."""
        notes = []
        if window is None and self.window < WINDOW_STEPS:
            note = Message(
                "FORECASTING_NOTE_WINDOW",
                steps=self.size,
                window=self.window,
                usual=WINDOW_STEPS,
                setting=setting("window", None),
            )
            notes.append(str(note))
        if parts is None and self.parts != PARTS:
            first, second = self.borders
            note = Message(
                "FORECASTING_NOTE_PARTS",
                training=first,
                validation=second - first,
                test=self.size - second,
                horizon=self.horizon,
            )
            notes.append(str(note))
        return notes

    @property
    def borders(self) -> tuple[int, int]:
        """The first step of the validation part and that of the test part."""
        return round(self.size * self.parts[0]), round(self.size * (self.parts[0] + self.parts[1]))

    @property
    def vocabulary(self) -> Vocabulary:
        """The columns that are read, and the place in the season."""
        phase = PHASE if self.season > 1 else ()
        return Vocabulary((*self.names, *phase), unit="number")

    @property
    def readout(self) -> Readout:
        """Three quantiles of each step ahead: the ends of the interval and the median."""
        ahead = [f"{k} ahead" for k in range(1, self.horizon + 1)]
        several = len(self.targets) > 1
        names = [f"{name} {step}" if several else step for name in self.targets for step in ahead]
        outside = (1 - self.interval) / 2
        return numbers(names, (outside, 0.5, 1 - outside))

    @property
    def notes(self) -> list[str]:
        """Sentences to read before training starts, such as the season and numbers that were filled in."""
        notes = super().notes
        if self.filled:
            notes.append(str(Message("FORECASTING_NOTE_FILLED", count=self.filled)))
        if self.found_season:
            option = setting("season", None)
            if self.season > 1:
                notes.append(str(Message("FORECASTING_NOTE_SEASON_FOUND", season=self.season, setting=option)))
            else:
                notes.append(str(Message("FORECASTING_NOTE_SEASON_NONE", setting=option)))
        return notes

    def on(self, path: str | os.PathLike[str], *, phase: int | None = None) -> Forecasting:
        """Return this task on another series, to apply a network to it: the same columns, scale, window and season.

        Args:
            path: a table with the columns of this task.
            phase: the place of its first step in the season, in steps; None: found by the date of that step among those
                of the training series and after its end.

        Raises:
            TaskError: the file cannot be used or is too short, or its place in the season is unknown.
        """
        other = copy(self)
        other.path, other.columns = str(absolute(path)), self.names
        series = other._read(self.warmup + self.horizon, self.targets)
        other.size, other.filled, other.sha256 = len(series.values), series.filled, _digest(series)
        other.first_phase = self._phase_of(series, phase) if self.season > 1 else 0
        first = min(max(self.warmup, self.season + 1), other.size - self.horizon)
        second = first + max(self.horizon, (other.size - first) // 2)
        other.parts = (first / other.size, (second - first) / other.size, (other.size - second) / other.size)
        other._notes = list(series.notes)
        other.found_season = False
        other._data = other._prepare(series)
        return other

    def _phase_of(self, series: Series, phase: int | None) -> int:
        """Return the place of the first step of another series in the season.

        Raises:
            TaskError: the place is unknown.
        """
        if phase is not None:
            if not 0 <= phase < self.season:
                raise TaskError(
                    "FORECASTING_PLACE_RANGE",
                    largest=self.season - 1,
                    phase=phase,
                    setting=setting("phase", None),
                )
            return phase
        trained = self._read(1, self.targets, max(MAX_STEPS_BETWEEN, len(series.values)))
        if trained.step is not None and series.step == trained.step:
            names = (*trained.steps, *trained.following)
            if series.steps[0] in names:
                return names.index(series.steps[0]) % self.season
        values = series.values[: len(trained.values)]
        if trained.step is None and series.step is None and np.array_equal(values, trained.values):
            return 0  # the same series, with more steps at its end
        raise TaskError(
            "FORECASTING_PLACE_UNKNOWN",
            step=series.steps[0],
            setting=setting("phase", None),
            season=self.season,
        )

    # --- data ---------------------------------------------------------------------------------------------------------

    def _read(self, shortest: int, targets: Sequence[str] | None, ahead: int | None = None) -> Series:
        """Return the series.

        A task that is read again keeps its columns, also those that only count the rows.
        """
        if self.path is None:
            return artificial_series(ahead or self.horizon)
        return read_series(
            self.path,
            self.columns,
            self.dates,
            self.fill_missing,
            shortest,
            self.largest,
            targets=targets,
            reading=self.reading,
            expected=getattr(self, "names", ()),
            ahead=ahead or self.horizon,
        )

    def _read_files(self) -> tuple[Series, str]:
        series = self._read(1, self.targets)
        return series, _digest(series)

    def _title_of_files(self) -> str | Message:
        return self.path or Message("FORECASTING_ARTIFICIAL_SERIES", count=self.size)

    def _amount(self, contents: Series | None) -> Message:
        return Message("TASK_AMOUNT_STEPS", count=self.size if contents is None else len(contents.values))

    def _prepare(self, contents: Series) -> Prepared:
        series = contents
        scaled = (series.values - np.array(self.mean)) / np.array(self.spread)
        parts = [scaled]
        if self.season > 1:
            angle = 2 * np.pi * ((self.first_phase + np.arange(len(scaled))) % self.season) / self.season
            parts.append(np.stack([np.sin(angle), np.cos(angle)], axis=1))
        with np.errstate(over="ignore"):
            inputs = np.concatenate(parts, axis=1).astype(np.float32)
        for name, scaled_values, values in zip(series.names, inputs.T, series.values.T, strict=False):
            if (wrong := np.flatnonzero(~np.isfinite(scaled_values))).size:
                raise TaskError(
                    "FORECASTING_COLUMN_FAR",
                    name=name,
                    value=values[wrong[0]],
                    line=series.lines[wrong[0]],
                    setting=setting("columns", None),
                )
        return Prepared(series, inputs, self._next_values(inputs))

    def _next_values(self, inputs: Numbers) -> Numbers:
        """Return the scaled values in the steps after each step, (T, C * H); NaN after the end of the series."""
        targets = np.full((len(inputs), len(self.targets), self.horizon), np.nan, np.float32)
        chosen = inputs[:, self._target_columns]
        for step in range(1, min(self.horizon, len(inputs) - 1) + 1):
            targets[:-step, :, step - 1] = chosen[step:]
        return targets.reshape(len(inputs), len(self.targets) * self.horizon)

    @property
    def _target_columns(self) -> list[int]:
        """The columns to predict, as numbers from 0."""
        return [self.names.index(name) for name in self.targets]

    @property
    def warmup(self) -> int:
        """The number of steps of a window that are read before a forecast counts."""
        return (self.window + 1) // 2

    def batch(self, seed: int, step: int) -> Batch:
        """Return windows of the training part, drawn evenly. No input or target comes from after it."""
        data, end = self.data(), self.borders[0]
        starts = generator(TRAINING, seed, step).integers(0, end - self.window + 1, self.recommended.batch)
        places = starts[:, None] + np.arange(self.window)
        targets = data.targets[places].reshape(*places.shape, len(self.targets), self.horizon)
        targets[:, : self.warmup - 1] = np.nan
        later = places[..., None] + np.arange(1, self.horizon + 1) >= end
        targets[np.broadcast_to(later[:, :, None], targets.shape)] = np.nan
        return Batch(data.inputs[places], targets.reshape(*places.shape, -1))

    # --- scores -------------------------------------------------------------------------------------------------------

    def validation(self, predict: Predict) -> float:
        """Return the mean pinball loss, of scaled numbers, of the last 5,000 forecasts within the validation part."""
        start, test = self.borders
        end = test - self.horizon + 1
        first = max(start, end - MAX_VALIDATED_FORECASTS)
        estimates = self._estimates(predict, first, end)
        mean, spread = self._scaling()
        outcomes = (self._outcomes(first, end) - mean) / spread
        losses = [pinball_loss(estimates[..., k], outcomes, level) for k, level in enumerate(self.readout.quantiles)]
        return float(np.mean(losses))

    def forecasts(self, predict: Predict) -> Forecasts:
        """Return the forecasts of the test part (the last 20,000), with calibrated intervals.

        The last forecast starts at the end of the series.
        """
        first = max(self.borders[1], self.size + 1 - MAX_SCORED_FORECASTS)
        before = max(self.borders[0], first - self.horizon - MAX_CALIBRATING_FORECASTS)
        end = self.size + 1
        mean, spread = self._scaling()
        estimates = self._estimates(predict, before, end) * spread[:, None] + mean[:, None]
        low, point, high = (estimates[..., k] for k in range(3))
        outcomes = self._outcomes(before, end)
        lower, upper = calibrated(low, point, high, outcomes, first - before, self.interval)
        once = calibrated(low, point, high, outcomes, first - before, self.interval, follow=False)
        test = slice(first - before, None)
        origins = np.arange(first, end)
        series = self.data().series
        values = series.values[:, self._target_columns]
        return Forecasts(
            self.targets,
            origins,
            outcomes[test],
            point[test],
            lower,
            upper,
            (low[test] <= outcomes[test]) & (outcomes[test] <= high[test]),
            (once[0] <= outcomes[test]) & (outcomes[test] <= once[1]),
            seasonal_naive(values, origins, self.horizon),
            seasonal_naive(values, origins, self.horizon, self.season),
            self.season,
            self.interval,
            naive_scale(values[: self.borders[0]], self.season),
            series.following,
        )

    def score(self, predict: Predict) -> Score:
        """Return MASE, mean absolute error and coverage of all forecasts whose values lie in the test part.

        Chance is the seasonal-naive forecast from the same origins: each value is that of one season before. The
        intervals are those of `gatescope.tasks.forecasting.calibration`.
        """
        forecasts = self.forecasts(predict)
        count = int(forecasts.known.sum())
        return forecasts.score(Message("SCORE_IN_FORECASTS_UP_TO", count=count, horizon=self.horizon))

    def _estimates(self, predict: Predict, first: int, end: int) -> Float[np.ndarray, "N H C Q"]:
        """Return the estimated quantiles, scaled and in order, at the origins from `first` up to `end`."""
        inputs, readout = self.data().inputs, self.readout
        count = self.window - self.warmup + 1  # forecasts of a window
        windows = [inputs[t - self.warmup : min(t + count, end) - 1] for t in range(first, end, count)]
        outputs = predictions(predict, windows, readout.size(0))
        rows = np.concatenate([output[self.warmup - 1 :] for output in outputs]).astype(np.float64)
        split = rows.reshape(len(rows), len(self.targets), self.horizon, len(readout.quantiles))
        # Quantiles that cross are put in order (Chernozhukov, Fernandez-Val and Galichon 2010).
        return np.sort(split.transpose(0, 2, 1, 3), axis=-1)

    def _outcomes(self, first: int, end: int) -> Float[np.ndarray, "N H C"]:
        """Return the values after the origins from `first` up to `end`, unscaled; NaN after the end of the series."""
        values = self.data().series.values[:, self._target_columns]
        padded = np.concatenate([values, np.full((self.horizon, values.shape[1]), np.nan)])
        return padded[np.arange(first, end)[:, None] + np.arange(self.horizon)]

    def _scaling(self) -> tuple[Float[np.ndarray, " C"], Float[np.ndarray, " C"]]:
        """Return mean and standard deviation, over the training part, of the columns to predict."""
        return np.array(self.mean)[self._target_columns], np.array(self.spread)[self._target_columns]

    # --- texts --------------------------------------------------------------------------------------------------------

    def _example_starts(self) -> list[int]:
        """Return the first steps of windows that are spread over the test part and end in it."""
        first = max(0, min(self.borders[1], self.size - self.window))
        return sorted({int(start) for start in np.linspace(first, self.size - self.window, EXAMPLE_COUNT)})

    def _text(self, first: int, end: int) -> str:
        """Return steps as text, one on each line."""
        return "".join(
            ",".join(f"{value:.5g}" for value in row) + "\n" for row in self.data().inputs[first:end].tolist()
        )

    def examples(self) -> list[str]:
        """Return windows of the test part, as text."""
        return list(self._examples)

    def held_out(self, characters: int) -> str:
        """Return the windows of the test part, one after the other, with at least this number of characters."""
        parts: list[str] = []
        for first in range(self.borders[1], self.size, self.window):
            parts.append(self._text(first, min(first + self.window, self.size)))
            if sum(map(len, parts)) >= characters:
                break
        return "\n".join(parts)

    def _rows(self, text: str) -> Numbers:
        try:
            return self.vocabulary.encode(text)
        except GatescopeError as error:
            raise TaskError(error.message) from error

    def answers(self, text: str) -> Numbers:
        """Return the values in the next steps, (T, C * H); NaN after the end of the text."""
        return self._next_values(self._rows(text))

    def quantities(self, text: str) -> dict[str, Quantity]:
        """Return the level and the turns of the first column to predict, and the place in the season, (T,) each.

        The numbers of a step and their changes are features of every network that reads numbers.
        """
        rows = self._rows(text).astype(np.float64)
        value, steps = rows[:, self._target_columns[0]], np.arange(len(rows))
        sums = np.concatenate([[0.0], np.cumsum(value)])
        begin = np.maximum(0, steps + 1 - self.horizon)
        level = (sums[1:] - sums[begin]) / (steps + 1 - begin)
        highest = np.maximum.accumulate(value)
        peak = np.maximum.accumulate(np.where(value == highest, steps, 0))
        quantities: dict[str, Quantity] = {
            "level": level,
            "rising": level > level[np.maximum(0, steps - self.horizon)],
            "above_mean": value > 0,
            "since_peak": steps - peak,
        }
        if self.season > 1:
            sine, cosine = rows[:, len(self.names)], rows[:, len(self.names) + 1]
            phase = np.arctan2(sine, cosine) / (2 * np.pi) * self.season
            quantities["phase"] = np.round(phase).astype(np.int64) % self.season
        return quantities

    # --- task.json ---------------------------------------------------------------------------------------------------

    def _to_fields(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "columns": None if self.columns is None else list(self.columns),
            "names": list(self.names),
            "targets": list(self.targets),
            "dates": self.dates,
            "fill_missing": self.fill_missing,
            "window": self.window,
            "horizon": self.horizon,
            "season": self.season,
            "found_season": self.found_season,
            "interval": self.interval,
            "parts": list(self.parts),
            "batch": self.recommended.batch,
            "largest": self.largest,
            "size": self.size,
            "filled": self.filled,
            "mean": list(self.mean),
            "spread": list(self.spread),
            "sha256": self.sha256,
            "reading": asdict(self.reading),
            "notes": self._notes,
            "vocabulary": self.vocabulary.to_json(),
            "examples": self.examples(),
        }

    def _restore(self, fields: dict[str, Any]) -> None:
        self.path = None if fields["path"] is None else string(fields["path"])
        self.columns = None if fields["columns"] is None else tuple(map(column, fields["columns"]))
        self.names, self.targets = tuple(strings(fields["names"])), tuple(strings(fields["targets"]))
        self.dates = None if fields["dates"] is None else column(fields["dates"])
        self.fill_missing, self.found_season = bool(fields["fill_missing"]), bool(fields["found_season"])
        self.window, self.horizon, self.season = (int(fields[key]) for key in ("window", "horizon", "season"))
        self.interval = float(fields["interval"])
        first, second, third = map(float, fields["parts"])
        self.parts = (first, second, third)
        self.recommended = replace(self.settings, batch=int(fields["batch"]))
        self.largest, self.size, self.filled = (int(fields[key]) for key in ("largest", "size", "filled"))
        self.mean, self.spread = (tuple(map(float, fields[key])) for key in ("mean", "spread"))
        self.sha256 = string(fields["sha256"])
        # A task.json of version 0.1 has no dates: the rows were steps in the order of the file.
        self.reading = Reading(**fields["reading"]) if "reading" in fields else Reading(order="file")
        self._notes = strings(fields.get("notes", []))
        self._examples = strings(fields["examples"])
        check_settings(self.window, self.horizon, self.season, self.interval, self.parts, self.recommended.batch)
        sizes = {len(self.names), len(self.mean), len(self.spread)}
        if len(sizes) > 1 or not self.targets or not set(self.targets) <= set(self.names) or min(self.spread) <= 0:
            raise TaskError("FORECASTING_SCALING_DAMAGED")


def _digest(series: Series) -> str:
    """Return the SHA-256 of the names and numbers of a series."""
    return hashlib.sha256("\n".join(series.names).encode() + series.values.astype("<f8").tobytes()).hexdigest()
