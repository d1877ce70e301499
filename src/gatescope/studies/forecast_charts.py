"""What comes next in a series, and how good were earlier forecasts?

A forecast is only useful with a statement of its uncertainty, and the uncertainty only if it is honest. This study
shows the forecast after the end of a series with its intervals, and beside it the earlier forecasts of steps that are
known by now: as tables, and as a picture.
"""

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
    "column": "column of the file",
    "ahead": "steps after the last step of the file",
    "step": "name of the step in the file, such as its date",
    "forecast": "median forecast, in the unit of the file",
    "lower": "lower end of the interval",
    "upper": "upper end of the interval",
    "season_before": "value one season earlier",
}
SHOWN_STEPS = 300  # steps of the series that are drawn by default
WIDTH, PANEL, MARGIN = 960, 260, 56  # pixels: the picture, the height of a panel, and the left margin for the numbers
GAP, FOOT = 46, 24  # pixels: between panels, and below the last one
TICKS = 5

STYLE = """
.paper{fill:#fff}.ink{fill:#222}.faint{fill:#666}.axis{stroke:#ccc}.end{stroke:#888;stroke-dasharray:3 3}
.band{fill:#2a6fdb;fill-opacity:.22}.point{stroke:#2a6fdb}.actual{stroke:#222}
text{font:12px system-ui,sans-serif}.title{font-size:14px;font-weight:600}
path.line{fill:none;stroke-width:1.4;stroke-linejoin:round}
@media(prefers-color-scheme:dark){.paper{fill:#16181c}.ink{fill:#e6e6e6}.faint{fill:#9aa0a6}.axis{stroke:#3a3d42}
.end{stroke:#777}.band{fill:#7fb0ff;fill-opacity:.28}.point{stroke:#7fb0ff}.actual{stroke:#e6e6e6}}
"""


def forecasts_of(run: Run, network: Network | None = None, *, task: Forecasting | None = None) -> Forecasts:
    """Compute the forecasts of a network: for all steps of the test part of a series, and after its end.

    Args:
        run: a run of the task forecasting.
        network: the network; None: that of the run, with its best weights.
        task: the task of the run on another series, from `Forecasting.on`; None: the task of the run.

    Raises:
        StudyError: the run has another task.
        TaskError: the file of the series does not exist any more.
    """
    task = task or forecasting_task(run)
    return task.forecasts(partial(predict, run.network()[0] if network is None else network))


def forecasting_task(run: Run) -> Forecasting:
    """Return the task of a run, which must be forecasting.

    Raises:
        StudyError: the run has another task.
    """
    task = run.task()
    if not isinstance(task, Forecasting):
        raise StudyError("FORECASTS_RUN_UNSUITABLE", run=run.name, task=task.name)
    return task


def outlook(forecasts: Forecasts, horizon: int | None = None) -> Table:
    """Return the forecast and its interval for each step after the end of the series.

    Args:
        forecasts: the forecasts of a series.
        horizon: the number of steps; None: all that the network forecasts.

    Returns:
        A row for each column and step. "step" is the date of the step in the format of the file, or "" if the file has
        no evenly spaced dates.

    Raises:
        StudyError: the network does not forecast that many steps.
    """
    count = forecasts.point.shape[1] if horizon is None else horizon
    _check_steps_ahead(forecasts, count)
    rows: list[dict[str, Any]] = [
        {
            "column": name,
            "ahead": step + 1,
            "step": forecasts.following[step] if step < len(forecasts.following) else "",
            "forecast": float(forecasts.point[-1, step, k]),
            "lower": float(forecasts.lower[-1, step, k]),
            "upper": float(forecasts.upper[-1, step, k]),
            "season_before": float(forecasts.seasonal[-1, step, k]),
        }
        for k, name in enumerate(forecasts.names)
        for step in range(count)
    ]
    return Table.of(
        rows, TITLES, interval=forecasts.interval, season=forecasts.season, steps=int(forecasts.origins[-1])
    )


def hindsight(forecasts: Forecasts, steps: tuple[str, ...], ahead: int) -> Table:
    """Compare the forecasts made `ahead` steps earlier with the actual values, for every step of the test part.

    Args:
        forecasts: the forecasts of a series.
        steps: the names of all steps of the series.
        ahead: the number of steps between the forecast and its step.

    Returns:
        A row for each step and column.

    Raises:
        StudyError: the network does not forecast that many steps.
    """
    _check_steps_ahead(forecasts, ahead)
    rows = []
    for place, origin in enumerate(forecasts.origins.tolist()):
        step = origin + ahead - 1
        for k, name in enumerate(forecasts.names if step < len(steps) else ()):
            low, point, high, actual = (
                float(values[place, ahead - 1, k])
                for values in (forecasts.lower, forecasts.point, forecasts.upper, forecasts.expected)
            )
            rows.append(
                {
                    "column": name,
                    "step": steps[step],
                    "forecast": point,
                    "lower": low,
                    "upper": high,
                    "came": actual,
                    "within": low <= actual <= high,
                }
            )
    titles = {
        "column": TITLES["column"],
        "step": TITLES["step"],
        "forecast": f"median forecast made {ahead} steps earlier",
        "lower": TITLES["lower"],
        "upper": TITLES["upper"],
        "came": "actual value",
        "within": "whether the actual value is in the interval",
    }
    return Table.of(rows, titles, ahead=ahead, interval=forecasts.interval)


def _check_steps_ahead(forecasts: Forecasts, ahead: int) -> None:
    horizon = forecasts.point.shape[1]
    if not 1 <= ahead <= horizon:
        raise StudyError("FORECASTS_STEPS_AHEAD_INVALID", horizon=horizon, ahead=ahead)


def drawn(forecasts: Forecasts, task: Forecasting, *, ahead: int | None = None, steps: int = SHOWN_STEPS) -> str:
    """Draw the last steps of the test part and the forecast after it as SVG, one panel for each column.

    The dark line shows the actual values. The blue line shows the forecasts made `ahead` steps earlier, and the band
    their intervals. After the dashed line at the end of the series, it shows the forecast of every step ahead. The
    picture needs no other file, and follows the light or dark theme of the page.

    Args:
        forecasts: the forecasts of a series.
        task: the task of the series.
        ahead: the number of steps between a forecast and its step; None: the whole horizon.
        steps: the number of steps of the series that are drawn.

    Returns:
        The text of an SVG file.

    Raises:
        StudyError: the network does not forecast that many steps, or fewer than 2 steps are drawn.
    """
    horizon = forecasts.point.shape[1]
    before = horizon if ahead is None else ahead
    _check_steps_ahead(forecasts, before)
    if steps < 2:
        raise StudyError("STUDY_NUMBER_TOO_SMALL", things="steps to draw", least=2, number=steps)
    series = task.data().series
    total = len(series.values)
    first = max(0, total - steps, int(forecasts.origins[0]) + before - 1)
    height = len(forecasts.names) * (PANEL + GAP) + FOOT
    distance = f"{before} step{'s' if before > 1 else ''}"
    legend = f"{forecasts.interval:.0%} of the values should be in the band, which was forecast {distance} earlier"
    about = escape(f"Forecasts of {', '.join(forecasts.names)}", quote=True)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{about}">',
        f"<style>{STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}"/>',
    ]
    for k, name in enumerate(forecasts.names):
        top = k * (PANEL + GAP) + GAP - 10
        parts.append(f'<text class="ink title" x="{MARGIN}" y="{top - 12}">{escape(name)}</text>')
        if k == 0:
            parts.append(f'<text class="faint" x="{WIDTH - 8}" y="{top - 12}" text-anchor="end">{legend}</text>')
        values = series.values[:, series.names.index(name)]
        parts += _panel(forecasts, k, values, series.steps, first, before, top)
    return "\n".join([*parts, "</svg>", ""])


def _panel(
    forecasts: Forecasts,
    column: int,
    values: Float[np.ndarray, " T"],
    names: tuple[str, ...],
    first: int,
    ahead: int,
    top: int,
) -> list[str]:
    """Draw one column: axes, band and both lines."""
    total, horizon = len(values), forecasts.point.shape[1]
    past = np.arange(first, total)
    rows = past - ahead + 1 - int(forecasts.origins[0])
    low, point, high = (
        np.concatenate([array[rows, ahead - 1, column], array[-1, :, column]])
        for array in (forecasts.lower, forecasts.point, forecasts.upper)
    )
    places = np.arange(first, total + horizon)
    actual = values[first:]
    least, most = float(min(low.min(), actual.min())), float(max(high.max(), actual.max()))
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
    labels = (*names, *forecasts.following)
    for step in np.unique(np.linspace(first, min(total + horizon, len(labels)) - 1, TICKS).astype(int)).tolist():
        anchor = "start" if step == first else "end" if step == total + horizon - 1 else "middle"
        parts.append(
            f'<text class="faint" x="{x(step):.1f}" y="{top + PANEL + 16}" text-anchor="{anchor}">'
            f"{escape(labels[step])}</text>"
        )
    parts.append(f'<path class="band" d="{line(places, low)}L{line(places[::-1], high[::-1])[1:]}Z"/>')
    parts.append(f'<path class="line point" d="{line(places, point)}"/>')
    parts.append(f'<path class="line actual" d="{line(past, actual)}"/>')
    end = f"{x(total - 0.5):.1f}"
    parts.append(f'<line class="end" x1="{end}" x2="{end}" y1="{top}" y2="{top + PANEL}"/>')
    return parts


def _ticks(least: float, most: float) -> list[float]:
    """Return about five round numbers between two numbers."""
    span = most - least
    if not span > 0:
        return [least]
    power = 10.0 ** np.floor(np.log10(span / TICKS))
    step = next(power * times for times in (1, 2, 5, 10) if span / (power * times) <= TICKS)
    return [round(k * step, 12) for k in range(int(np.ceil(least / step)), int(np.floor(most / step)) + 1)]
