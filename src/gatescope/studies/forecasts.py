"""What comes next, and how good such forecasts were before: as a table, and drawn with the intervals."""

from __future__ import annotations

from functools import partial
from html import escape
from typing import Any

import numpy as np
from jaxtyping import Float

from gatescope.network import Network, predict
from gatescope.runs import Run
from gatescope.studies.common.table import StudyError, Table
from gatescope.tasks import Forecasting
from gatescope.tasks.forecasting.forecasts import Forecasts

TITLES = {
    "column": "the column of the file",
    "ahead": "steps after the last one of the file",
    "step": "the step, by its name in the file, such as its date",
    "forecast": "the median, in the unit of the file",
    "lower": "the lower end of the interval",
    "upper": "the upper end of the interval",
    "season_before": "the value one season before",
}
SHOWN = 300  # steps of the series that are drawn by default
WIDTH, PANEL, MARGIN = 960, 260, 56  # pixels; the margin is on the left, for the numbers
GAP, FOOT = 46, 24
TICKS = 5

STYLE = """
.paper{fill:#fff}.ink{fill:#222}.faint{fill:#666}.axis{stroke:#ccc}.end{stroke:#888;stroke-dasharray:3 3}
.band{fill:#2a6fdb;fill-opacity:.22}.point{stroke:#2a6fdb}.came{stroke:#222}
text{font:12px system-ui,sans-serif}.title{font-size:14px;font-weight:600}
path.line{fill:none;stroke-width:1.4;stroke-linejoin:round}
@media(prefers-color-scheme:dark){.paper{fill:#16181c}.ink{fill:#e6e6e6}.faint{fill:#9aa0a6}.axis{stroke:#3a3d42}
.end{stroke:#777}.band{fill:#7fb0ff;fill-opacity:.28}.point{stroke:#7fb0ff}.came{stroke:#e6e6e6}}
"""


def forecasts_of(run: Run, network: Network | None = None, *, task: Forecasting | None = None) -> Forecasts:
    """Return the forecasts of a network: all of the test part of a series, and what comes after its end.

    Args:
        run: a run of the task forecasting.
        network: with the weights to use; the best ones of the run when None.
        task: the task of the run on another series, as `Forecasting.on` gives it; the task of the run when None.

    Raises:
        StudyError: the run is of another task.
        TaskError: the series is not there any more.
    """
    task = task or forecasting_task(run)
    return task.forecasts(partial(predict, run.network()[0] if network is None else network))


def forecasting_task(run: Run) -> Forecasting:
    """Return the task of a run that forecasts.

    Raises:
        StudyError: the run is of another task.
    """
    task = run.task()
    if not isinstance(task, Forecasting):
        raise StudyError("FORECASTS_RUN_UNSUITABLE", run=run.name, task=task.name)
    return task


def outlook(found: Forecasts, horizon: int | None = None) -> Table:
    """Return what comes after the last step of the series: the forecast and its interval for each step ahead.

    Args:
        found: the forecasts of a series.
        horizon: how many steps; all that the network forecasts when None.

    Raises:
        StudyError: the network does not forecast so far ahead.

    The name of each step ("step") is the date that follows, in the way of the file; "" where the file has no dates that
    are evenly spaced.
    """
    count = found.point.shape[1] if horizon is None else horizon
    _check(found, count)
    rows: list[dict[str, Any]] = [
        {
            "column": name,
            "ahead": step + 1,
            "step": found.following[step] if step < len(found.following) else "",
            "forecast": float(found.point[-1, step, k]),
            "lower": float(found.lower[-1, step, k]),
            "upper": float(found.upper[-1, step, k]),
            "season_before": float(found.seasonal[-1, step, k]),
        }
        for k, name in enumerate(found.names)
        for step in range(count)
    ]
    return Table.of(rows, TITLES, interval=found.interval, season=found.season, steps=int(found.origins[-1]))


def hindsight(found: Forecasts, steps: tuple[str, ...], ahead: int) -> Table:
    """Every step of the test part that was forecast `ahead` steps before: what was said, and what came.

    Arguments: `steps` are the names of all steps of the series.

    Raises:
        StudyError: so far ahead nothing was forecast.
    """
    _check(found, ahead)
    rows = []
    for place, origin in enumerate(found.origins.tolist()):
        step = origin + ahead - 1
        for k, name in enumerate(found.names if step < len(steps) else ()):
            low, point, high, came = (
                float(values[place, ahead - 1, k]) for values in (found.lower, found.point, found.upper, found.expected)
            )
            rows.append(
                {
                    "column": name,
                    "step": steps[step],
                    "forecast": point,
                    "lower": low,
                    "upper": high,
                    "came": came,
                    "within": low <= came <= high,
                }
            )
    titles = {
        "column": TITLES["column"],
        "step": TITLES["step"],
        "forecast": f"what was forecast {ahead} steps before",
        "lower": TITLES["lower"],
        "upper": TITLES["upper"],
        "came": "what came",
        "within": "it is within the interval",
    }
    return Table.of(rows, titles, ahead=ahead, interval=found.interval)


def _check(found: Forecasts, ahead: int) -> None:
    horizon = found.point.shape[1]
    if not 1 <= ahead <= horizon:
        raise StudyError("FORECASTS_STEPS_AHEAD_INVALID", horizon=horizon, ahead=ahead)


def drawn(found: Forecasts, task: Forecasting, *, ahead: int | None = None, steps: int = SHOWN) -> str:
    """A picture (SVG) of the last steps of the test part and what comes next, one panel for each column.

    The dark line is what came. The blue line is what was forecast `ahead` steps before, the band its interval; behind
    the dashed line, where the series ends, it is the forecast of every step ahead from there. It needs nothing
    else to be seen, and follows the light or dark of the page.

    Arguments:
        ahead: how many steps before; all of the horizon when not given.
        steps: how many of the last steps are drawn.

    Raises:
        StudyError: so far ahead nothing was forecast.
    """
    horizon = found.point.shape[1]
    before = horizon if ahead is None else ahead
    _check(found, before)
    if steps < 2:
        raise StudyError("STUDY_NUMBER_TOO_SMALL", things="steps to draw", least=2, number=steps)
    series = task.data().series
    total = len(series.values)
    first = max(0, total - steps, int(found.origins[0]) + before - 1)
    height = len(found.names) * (PANEL + GAP) + FOOT
    plural = "s" if before > 1 else ""
    legend = (
        f"{found.interval:.0%} of the values should be in the band, which was forecast {before} step{plural} before"
    )
    about = escape(f"Forecasts of {', '.join(found.names)}", quote=True)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{about}">',
        f"<style>{STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}"/>',
    ]
    for k, name in enumerate(found.names):
        top = k * (PANEL + GAP) + GAP - 10
        parts.append(f'<text class="ink title" x="{MARGIN}" y="{top - 12}">{escape(name)}</text>')
        if k == 0:
            parts.append(f'<text class="faint" x="{WIDTH - 8}" y="{top - 12}" text-anchor="end">{legend}</text>')
        values = series.values[:, series.names.index(name)]
        parts += _panel(found, k, values, series.steps, first, before, top)
    return "\n".join([*parts, "</svg>", ""])


def _panel(
    found: Forecasts,
    column: int,
    values: Float[np.ndarray, " T"],
    names: tuple[str, ...],
    first: int,
    ahead: int,
    top: int,
) -> list[str]:
    """One column: axes, band, both lines."""
    total, horizon = len(values), found.point.shape[1]
    past = np.arange(first, total)
    rows = past - ahead + 1 - int(found.origins[0])
    low, point, high = (
        np.concatenate([array[rows, ahead - 1, column], array[-1, :, column]])
        for array in (found.lower, found.point, found.upper)
    )
    places = np.arange(first, total + horizon)
    came = values[first:]
    least, most = float(min(low.min(), came.min())), float(max(high.max(), came.max()))
    span = most - least or 1.0

    def x(step: Any) -> Any:
        return MARGIN + (step - first) * (WIDTH - MARGIN - 8) / max(1, len(places) - 1)

    def y(value: Any) -> Any:
        return top + PANEL - (value - least) / span * PANEL

    def line(steps: Any, heights: Any) -> str:
        return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x(steps), y(heights), strict=True))

    parts = []
    for tick in _ticks(least, most):
        parts.append(f'<line class="axis" x1="{MARGIN}" x2="{WIDTH - 8}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        parts.append(f'<text class="faint" x="{MARGIN - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    names = (*names, *found.following)
    for step in np.unique(np.linspace(first, min(total + horizon, len(names)) - 1, TICKS).astype(int)).tolist():
        anchor = "start" if step == first else "end" if step == total + horizon - 1 else "middle"
        parts.append(
            f'<text class="faint" x="{x(step):.1f}" y="{top + PANEL + 16}" text-anchor="{anchor}">'
            f"{escape(names[step])}</text>"
        )
    parts.append(f'<path class="band" d="{line(places, low)}L{line(places[::-1], high[::-1])[1:]}Z"/>')
    parts.append(f'<path class="line point" d="{line(places, point)}"/>')
    parts.append(f'<path class="line came" d="{line(past, came)}"/>')
    end = f"{x(total - 0.5):.1f}"
    parts.append(f'<line class="end" x1="{end}" x2="{end}" y1="{top}" y2="{top + PANEL}"/>')
    return parts


def _ticks(least: float, most: float) -> list[float]:
    """Round numbers between two, about five."""
    span = most - least
    if not span > 0:
        return [least]
    power = 10.0 ** np.floor(np.log10(span / TICKS))
    step = next(power * times for times in (1, 2, 5, 10) if span / (power * times) <= TICKS)
    return [round(k * step, 12) for k in range(int(np.ceil(least / step)), int(np.floor(most / step)) + 1)]
