"""The task forecasting: columns of numbers over time, and what the next steps will be.

`T` step, `I` number that is read, `C` column that is predicted, `H` step ahead, `N` origin, `Q` quantile.

The file is long because it is all a reader of the task needs: what is read, asked, scored, and written to task.json.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Sequence
from copy import copy
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from gatescope.errors import setting
from gatescope.messages import Message
from gatescope.readout import Readout, numbers
from gatescope.tasks.base.saved_task import FileTask, column, string, strings
from gatescope.tasks.base.task import (
    EVALUATION,
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
from gatescope.tasks.data.tables import LARGEST
from gatescope.tasks.forecasting.calendar import DateOrder
from gatescope.tasks.forecasting.calibration import REMEMBERED, widened
from gatescope.tasks.forecasting.forecasts import Forecasts
from gatescope.tasks.forecasting.series import Duplicates, Order, Reading, Series, read_series, targets_among
from gatescope.tasks.measures.baselines import calendar_season, find_season, seasonal_naive
from gatescope.tasks.measures.measures import naive_scale, pinball_loss
from gatescope.vocabulary import Numbers, Vocabulary

PHASE = ("season sine", "season cosine")
"""What is read besides the columns: where in the season a step is, as an angle."""

MOST_VALIDATED = 5_000  # forecasts that a validation is taken on
MOST_SCORED = 20_000  # forecasts that a score is taken on
EXAMPLES = 3
MOST_STEPS_BETWEEN = 20_000  # between the end of one series and the beginning of another that is forecast
WINDOW = 96  # steps of a window, where the series is long enough
FEWEST_STEPS = 4  # of a window
PARTS = (0.7, 0.1, 0.2)
SMALLEST_SPREAD = 1e-100  # the squares of smaller ones, which a variance needs, may be 0

Columns = Sequence[str | int]


@dataclass(frozen=True)
class Known:
    """The series, and what the network reads and is asked for at each of its steps."""

    series: Series
    inputs: Numbers
    answers: Numbers


class Forecasting(FileTask[Series, Known]):
    """The next `horizon` steps of some columns, estimated after every step from what came before: three quantiles each.

    The series is cut, by time, into a training, a validation and a test part. What the network reads is scaled by the
    mean and the standard deviation of each column over the training part alone; where there is a season, the sine and
    cosine of the place in it are read as well. It reads windows. Forecasts count in the second half of a window, so
    each rests on at least half a window of steps, in training as in the score.

    Arguments:
        paths: one table of numbers (CSV, TSV), a step a row; None: a series that is made up.
        columns: which ones are read, by name or by number (from 1); None: all.
        target: which of them are predicted, by name; None: all that are read.
        dates: the column that names the steps; None: found, where there is one.
        fill_missing: a missing number takes the value of the step before; otherwise it is an error.
        window: steps of a window; None: 96, or fewer where the series is short.
        horizon: how many steps ahead are forecast.
        season: steps of a season, such as 12 of months; 1: none; None: a day, week or year of the dates where the
            training part shows it, or else what it shows, which may be off by some steps where the season is long.
        interval: the share of values that a prediction interval should hold.
        parts: shares of the training, validation and test part; None: 0.7, 0.1 and 0.2, or what a short series allows.
        batch: windows in a batch; None: the recommended number.
        largest: the most bytes the file may have.
        encoding, decimal, thousands, order, date_order, duplicates, skip_bad: how the file is read; see
            `gatescope.tasks.forecasting.series.Reading`.

    Raises: TaskError for settings that make no sense, and for a file that cannot be used, with all that is wrong in it.
    """

    name: ClassVar[str] = "forecasting"
    title: ClassVar[str] = "Forecasting"
    question: ClassVar[str] = (
        "The network reads a series of numbers and says at each step what comes next, and how sure that is: "
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
        largest: int = LARGEST,
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
            raise TaskError("FORECASTING_FORECAST_TABLE_FILES_GIVEN", count=len(listed))
        _check(window, horizon, season, interval, parts, batch)
        self.path = str(absolute(listed[0])) if listed else None
        self.columns = (columns,) if isinstance(columns, str | int) else None if columns is None else tuple(columns)
        self.dates, self.fill_missing, self.largest = dates, fill_missing, largest
        self.reading = Reading(encoding, decimal, thousands, order, date_order, duplicates, skip_bad)
        self.horizon, self.interval = horizon, float(interval)
        self.recommended: Recommended = self.settings if batch is None else replace(self.settings, batch=batch)
        wanted = (target,) if isinstance(target, str) else target
        needed = shortest_series(window, horizon, season or 1, parts)
        series = self._read(needed, wanted)
        self.names = series.names
        self.targets = targets_among(series.names, wanted)
        self.size, self.filled = len(series.values), series.filled
        self.window, self.parts = fitted(self.size, window, horizon, season or 1, parts)
        training = series.values[: self.borders[0]]
        self.mean = tuple(training.mean(axis=0).tolist())
        self.spread = tuple(training.std(axis=0).tolist())
        _refuse_constant(self.names, training)
        calendar = () if series.step is None else series.step.seasons
        from_calendar = 1 if season is not None else calendar_season(training, calendar)
        self.found_season = season is None and from_calendar == 1
        self.season = season or (from_calendar if from_calendar > 1 else find_season(training))
        self.sha256 = _digest(series)
        self._notes = [*series.notes, *self._notes_of_fit(window, parts)]
        if from_calendar > 1:
            self._notes.append(
                f"The season is {self.season} steps, by the dates (a step is a {series.step}) and as the training part "
                f"shows; where you know better, {setting('season', None)} sets it."
            )
        self._data = self._prepare(series)
        self._examples = [self._text(first, first + self.window) for first in self._example_starts()]

    def _notes_of_fit(self, window: int | None, parts: Sequence[float] | None) -> list[str]:
        """What was shrunk for a short series, as sentences."""
        notes = []
        if window is None and self.window < WINDOW:
            notes.append(
                f"The series is short ({self.size:,} steps), so windows have {self.window} steps instead of {WINDOW} "
                f"({setting('window', None)} sets them)."
            )
        if parts is None and self.parts != PARTS:
            first, second = self.borders
            notes.append(
                f"The series is short, so {first:,} steps are trained on, {second - first:,} validated on and "
                f"{self.size - second:,} tested on, to hold forecasts of {self.horizon} steps."
            )
        return notes

    @property
    def borders(self) -> tuple[int, int]:
        """The first step of the validation part, and that of the test part."""
        return round(self.size * self.parts[0]), round(self.size * (self.parts[0] + self.parts[1]))

    @property
    def vocabulary(self) -> Vocabulary:
        """The columns, and the place in the season."""
        phase = PHASE if self.season > 1 else ()
        return Vocabulary((*self.names, *phase), unit="number")

    @property
    def readout(self) -> Readout:
        """Three quantiles of each step ahead: the ends of the interval, and the median between them."""
        ahead = [f"{k} ahead" for k in range(1, self.horizon + 1)]
        several = len(self.targets) > 1
        names = [f"{name} {step}" if several else step for name in self.targets for step in ahead]
        outside = (1 - self.interval) / 2
        return numbers(names, (outside, 0.5, 1 - outside))

    @property
    def notes(self) -> list[str]:
        """Sentences to read before training starts: what was filled in, and the season that was found."""
        notes = super().notes
        if self.filled:
            count = "One missing number was" if self.filled == 1 else f"{self.filled:,} missing numbers were"
            notes.append(f"{count} filled in with the value of the step before.")
        if self.found_season:
            found = f"A season of {self.season} steps was found" if self.season > 1 else "No season was found"
            notes.append(f"{found} in the training part; where you know better, {setting('season', None)} sets it.")
        return notes

    def on(self, path: str | os.PathLike[str], *, phase: int | None = None) -> Forecasting:
        """Return this task on another series, to apply a network to it: the same columns, scale, window and season.

        Args:
            path: a table with the columns of this task.
            phase: the place of its first step in the season, in steps; None: found by the name of that step (its date)
                among those of the series that was trained on, and after its end.

        Raises:
            TaskError: the file cannot be used, is too short to forecast from, or its place in the season is not known.
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
            TaskError: it is not known.
        """
        if phase is not None:
            if not 0 <= phase < self.season:
                raise TaskError(
                    "FORECASTING_PLACE_SEASON_CHANGE",
                    value=self.season - 1,
                    phase=phase,
                    setting=setting("phase", None),
                )
            return phase
        known = self._read(1, self.targets, max(MOST_STEPS_BETWEEN, len(series.values)))
        if known.step is not None and series.step == known.step:
            names = (*known.steps, *known.following)
            if series.steps[0] in names:
                return names.index(series.steps[0]) % self.season
        values = series.values[: len(known.values)]
        if known.step is None and series.step is None and np.array_equal(values, known.values):
            return 0  # the same series, with more steps at its end
        raise TaskError(
            "FORECASTING_PLACE_SEASON_FIRST_STEP",
            steps=series.steps[0],
            setting=setting("phase", None),
            season=self.season,
        )

    # --- what is read and asked for ----------------------------------------------------------------------------------

    def _read(self, shortest: int, wanted: Sequence[str] | None, ahead: int | None = None) -> Series:
        if self.path is None:
            return _made(ahead or self.horizon)
        return read_series(
            self.path,
            self.columns,
            self.dates,
            self.fill_missing,
            shortest,
            self.largest,
            targets=wanted,
            reading=self.reading,
            ahead=ahead or self.horizon,
        )

    def _read_files(self) -> tuple[Series, str]:
        series = self._read(1, self.targets)
        return series, _digest(series)

    def _title_of_files(self) -> str | Message:
        return self.path or Message("FORECASTING_ARTIFICIAL_SERIES")

    def _amount(self, contents: Series | None) -> Message:
        return Message("TASK_AMOUNT_STEPS", count=self.size if contents is None else len(contents.values))

    def _prepare(self, contents: Series) -> Known:
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
                    "FORECASTING_COLUMN_VALUES_SIZE_TRAINING",
                    name=name,
                    values=values[wrong[0]],
                    lines=series.lines[wrong[0]],
                )
        return Known(series, inputs, self._ahead(inputs))

    def _ahead(self, inputs: Numbers) -> Numbers:
        """What comes in the next steps after each, (T, C * H), NaN behind the last."""
        answers = np.full((len(inputs), len(self.targets), self.horizon), np.nan, np.float32)
        chosen = inputs[:, self._places]
        for step in range(1, min(self.horizon, len(inputs) - 1) + 1):
            answers[:-step, :, step - 1] = chosen[step:]
        return answers.reshape(len(inputs), len(self.targets) * self.horizon)

    @property
    def _places(self) -> list[int]:
        """Which of the columns are predicted."""
        return [self.names.index(name) for name in self.targets]

    @property
    def warmup(self) -> int:
        """How many steps of a window are read, at least, before a forecast counts."""
        return (self.window + 1) // 2

    def batch(self, seed: int, step: int) -> Batch:
        """Windows of the training part, drawn evenly; nothing behind it is read or asked for."""
        known, last = self.data(), self.borders[0]
        starts = generator(TRAINING, seed, step).integers(0, last - self.window + 1, self.recommended.batch)
        places = starts[:, None] + np.arange(self.window)
        answers = known.answers[places].reshape(*places.shape, len(self.targets), self.horizon)
        answers[:, : self.warmup - 1] = np.nan
        behind = places[..., None] + np.arange(1, self.horizon + 1) >= last
        answers[np.broadcast_to(behind[:, :, None], answers.shape)] = np.nan
        return Batch(known.inputs[places], answers.reshape(*places.shape, -1))

    def _told(self, predict: Predict, first: int, end: int) -> Float[np.ndarray, "N H C Q"]:
        """What the network estimates at the origins from `first` up to `end`, in its own scale, quantiles in order."""
        inputs, readout = self.data().inputs, self.readout
        count = self.window - self.warmup + 1  # forecasts of a window
        windows = [inputs[t - self.warmup : min(t + count, end) - 1] for t in range(first, end, count)]
        rows = predictions(predict, windows, readout.size(0))
        told = np.concatenate([row[self.warmup - 1 :] for row in rows]).astype(np.float64)
        split = told.reshape(len(told), len(self.targets), self.horizon, len(readout.quantiles))
        # Quantiles that cross are put in order (Chernozhukov, Fernandez-Val and Galichon 2010).
        return np.sort(split.transpose(0, 2, 1, 3), axis=-1)

    def _values(self, first: int, end: int) -> Float[np.ndarray, "N H C"]:
        """What comes after the origins from `first` up to `end`, in the units of the file; NaN behind the series."""
        values = self.data().series.values[:, self._places]
        padded = np.concatenate([values, np.full((self.horizon, values.shape[1]), np.nan)])
        return padded[np.arange(first, end)[:, None] + np.arange(self.horizon)]

    # --- how well it is done -----------------------------------------------------------------------------------------

    def validation(self, predict: Predict) -> float:
        """The mean pinball loss, of scaled numbers, of the forecasts within the validation part (5,000 at most)."""
        start, test = self.borders
        end = test - self.horizon + 1
        first = max(start, end - MOST_VALIDATED)
        told = self._told(predict, first, end)
        mean, spread = self._scaling()
        expected = (self._values(first, end) - mean) / spread
        losses = [pinball_loss(told[..., k], expected, level) for k, level in enumerate(self.readout.quantiles)]
        return float(np.mean(losses))

    def _scaling(self) -> tuple[Float[np.ndarray, " C"], Float[np.ndarray, " C"]]:
        """Mean and standard deviation, over the training part, of the columns that are predicted."""
        return np.array(self.mean)[self._places], np.array(self.spread)[self._places]

    def forecasts(self, predict: Predict) -> Forecasts:
        """Every forecast of the test part, with calibrated intervals; the last one starts where the series ends.

        At most the last 20,000.
        """
        first = max(self.borders[1], self.size + 1 - MOST_SCORED)
        before = max(self.borders[0], first - self.horizon - REMEMBERED)
        end = self.size + 1
        mean, spread = self._scaling()
        told = self._told(predict, before, end) * spread[:, None] + mean[:, None]
        low, point, high = (told[..., k] for k in range(3))
        expected = self._values(before, end)
        lower, upper = widened(low, point, high, expected, first - before, self.interval)
        once = widened(low, point, high, expected, first - before, self.interval, follow=False)
        late = slice(first - before, None)
        origins = np.arange(first, end)
        values = self.data().series.values
        chosen = values[:, self._places]
        return Forecasts(
            self.targets,
            origins,
            expected[late],
            point[late],
            lower,
            upper,
            (low[late] <= expected[late]) & (expected[late] <= high[late]),
            (once[0] <= expected[late]) & (expected[late] <= once[1]),
            seasonal_naive(chosen, origins, self.horizon),
            seasonal_naive(chosen, origins, self.horizon, self.season),
            self.season,
            self.interval,
            naive_scale(chosen[: self.borders[0]], self.season),
            self.data().series.following,
        )

    def score(self, predict: Predict) -> Score:
        """MASE, mean absolute error and coverage of all forecasts whose values lie in the test part.

        Chance is the seasonal-naive forecast from the same origins: each value is what it was one season before. The
        intervals are those of `gatescope.tasks.forecasting.calibration`.
        """
        found = self.forecasts(predict)
        count = int(found.known.sum())
        return found.score(f"in {count:,} forecast{'s' if count != 1 else ''} of up to {self.horizon} steps")

    # --- what can be looked at ---------------------------------------------------------------------------------------

    def _example_starts(self) -> list[int]:
        """Where windows begin that are spread over the test part and end in it."""
        first = max(0, min(self.borders[1], self.size - self.window))
        return sorted({int(start) for start in np.linspace(first, self.size - self.window, EXAMPLES)})

    def _text(self, first: int, end: int) -> str:
        """Steps as text, one a line."""
        return "".join(
            ",".join(f"{value:.5g}" for value in row) + "\n" for row in self.data().inputs[first:end].tolist()
        )

    def examples(self) -> list[str]:
        """Windows of the test part."""
        return list(self._examples)

    def held_out(self, characters: int) -> str:
        """The windows of the test part one after the other, as many as make so many characters."""
        parts: list[str] = []
        for first in range(self.borders[1], self.size, self.window):
            parts.append(self._text(first, min(first + self.window, self.size)))
            if sum(map(len, parts)) >= characters:
                break
        return "\n".join(parts)

    def _rows(self, text: str) -> Numbers:
        try:
            return self.vocabulary.encode(text)
        except ValueError as error:
            raise TaskError(str(error)) from error

    def answers(self, text: str) -> Numbers:
        """What comes in the next steps, as far as the text goes."""
        return self._ahead(self._rows(text))

    def quantities(self, text: str) -> dict[str, Quantity]:
        """The level and the turns of the first column that is predicted, and the place in the season.

        The numbers of a step and how they change are features of every network that reads numbers.
        """
        rows = self._rows(text).astype(np.float64)
        value, steps = rows[:, self._places[0]], np.arange(len(rows))
        sums = np.concatenate([[0.0], np.cumsum(value)])
        begin = np.maximum(0, steps + 1 - self.horizon)
        level = (sums[1:] - sums[begin]) / (steps + 1 - begin)
        highest = np.maximum.accumulate(value)
        peak = np.maximum.accumulate(np.where(value == highest, steps, 0))
        found: dict[str, Quantity] = {
            "level": level,
            "rising": level > level[np.maximum(0, steps - self.horizon)],
            "above_mean": value > 0,
            "since_peak": steps - peak,
        }
        if self.season > 1:
            sine, cosine = rows[:, len(self.names)], rows[:, len(self.names) + 1]
            place = np.arctan2(sine, cosine) / (2 * np.pi) * self.season
            found["phase"] = np.round(place).astype(np.int64) % self.season
        return found

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
        _check(self.window, self.horizon, self.season, self.interval, self.parts, self.recommended.batch)
        sizes = {len(self.names), len(self.mean), len(self.spread)}
        if len(sizes) > 1 or not self.targets or not set(self.targets) <= set(self.names) or min(self.spread) <= 0:
            raise TaskError("FORECASTING_SCALING_DAMAGED")


def shortest_series(window: int | None, horizon: int, season: int, parts: Sequence[float] | None) -> int:
    """Return how many steps a series needs at least; None: what `fitted` may choose."""
    training = max((FEWEST_STEPS if window is None else window) + horizon, season) + 1
    validation, test = 2 * horizon + 1, horizon + 1
    if parts is None:
        return training + validation + test
    return max(math.ceil(need / share) for need, share in zip((training, validation, test), parts, strict=True))


def fitted(
    size: int, window: int | None, horizon: int, season: int, parts: tuple[float, float, float] | None
) -> tuple[int, tuple[float, float, float]]:
    """Return the window and the parts for a series: the usual ones, or those that a short one allows.

    Args:
        size: steps of the series, as many as `shortest_series` says or more.
        window, parts: as the user gave them; None: to be chosen.
        horizon, season: of the task.
    """
    if parts is None:
        least = max((FEWEST_STEPS if window is None else window) + horizon, season) + 1
        first, second = round(size * PARTS[0]), round(size * (PARTS[0] + PARTS[1]))
        if first >= least and second - first > 2 * horizon and size - second > horizon:
            parts = PARTS
        else:
            validation = max(round(size * PARTS[1]), 2 * horizon + 1)
            test = max(min(round(size * PARTS[2]), size - validation - least), horizon + 1)
            validation = min(validation, size - test - least)
            parts = ((size - validation - test) / size, validation / size, test / size)
    if window is None:
        training = round(size * parts[0])
        window = min(WINDOW, max(FEWEST_STEPS, (training - horizon - 1) // 2))
    return window, (float(parts[0]), float(parts[1]), float(parts[2]))


def _check(
    window: int | None,
    horizon: int,
    season: int | None,
    interval: float,
    parts: Sequence[float] | None,
    batch: int | None,
) -> None:
    """Settings that make no sense. Raises: TaskError."""
    for label, value, least in (
        ("window", window, 2),
        ("horizon", horizon, 1),
        ("season", season, 1),
        ("batch", batch, 1),
    ):
        if value is not None and (type(value) is not int or value < least):
            raise TaskError("FORECASTING_WHOLE_NUMBER_GIVEN", label=label, least=least, value=value)
    if not 0 < interval < 1:
        raise TaskError("FORECASTING_INTERVAL_SHARE_BETWEEN_SUCH", interval=interval)
    if parts is not None and (len(parts) != 3 or min(parts) <= 0 or not math.isclose(sum(parts), 1)):
        raise TaskError("FORECASTING_PARTS_THREE_POSITIVE_SHARES", parts=tuple(parts))


def _refuse_constant(names: Sequence[str], training: Float[np.ndarray, "T I"]) -> None:
    """Raises: TaskError where a column cannot be scaled."""
    same = [name for name, values in zip(names, training.T, strict=True) if np.ptp(values) == 0]
    if same:
        raise TaskError("FORECASTING_SAME_THROUGHOUT_TRAINING_PART", same=", ".join(same))
    small = [name for name, values in zip(names, training.T, strict=True) if not values.std() > SMALLEST_SPREAD]
    if small:
        raise TaskError("FORECASTING_COLUMN_NUMBERS_DIFFER_TRAINING", small=small[0], smallest_spread=SMALLEST_SPREAD)


def _digest(series: Series) -> str:
    """Return the SHA-256 of the names and numbers of a series."""
    return hashlib.sha256("\n".join(series.names).encode() + series.values.astype("<f8").tobytes()).hexdigest()


def _made(ahead: int) -> Series:
    """A wave of 24 steps whose height wanders, with noise that lasts a few steps: a series to try things on."""
    random, size = generator(EVALUATION, 0), 2400
    slow, noise = np.zeros(size), np.zeros(size)
    for step in range(1, size):
        slow[step] = 0.99 * slow[step - 1] + 0.06 * random.standard_normal()
        noise[step] = 0.7 * noise[step - 1] + 0.25 * random.standard_normal()
    values = 20 + 5 * np.exp(slow) * np.sin(2 * np.pi * np.arange(size) / 24) + noise
    steps = tuple(map(str, range(size)))
    following = tuple(map(str, range(size, size + ahead)))
    return Series(("value",), values[:, None], steps, np.arange(1, size + 1), following=following)
