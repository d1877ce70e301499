"""`gatescope distributions`: how are the values of every signal distributed over all neurons?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatescope.cli.app import FIND, command
from gatescope.cli.common import Flag, Json, print_table, use_threads
from gatescope.cli.studying import Characters, Csv, File, Place, Text, check_csv, counted, deliver, number, studied

if TYPE_CHECKING:
    from gatescope.studies import Table

BARS = " ▁▂▃▄▅▆▇█"
SHOWN_BINS = 24


@command(
    FIND,
    "RUN|TRACE [TEXT | --file FILE] [OPTIONS]",
    "gatescope distributions counter",
    "gatescope distributions runs/text --characters 20000 --by-neuron --csv distributions.csv",
)
def distributions(
    place: Place,
    text: Text = None,
    /,
    *,
    file: File = None,
    characters: Characters = None,
    bins: int = 24,
    by_neuron: Flag = False,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Print how the values of every signal are distributed over all neurons and steps.

    With --csv, mean, standard deviation and extremes go to a second file whose name ends in -moments.

    Parameters
    ----------
    bins
        The number of bins of each histogram.
    by_neuron
        Write the histogram of every neuron as well (with --csv or --json).
    """
    use_threads(1)
    from gatescope.studies.distributions import distributions as study
    from gatescope.studies.distributions import moments

    check_csv(csv)
    with studied(place, text, file, characters=characters, quiet=json) as about:
        found = study(about.trace, bins=bins, by_neuron=by_neuron)
        sums = moments(about.trace, by_neuron=by_neuron)
    deliver({"distributions": found, "moments": sums}, lambda: _print(found, sums), json=json, csv=csv)


def _print(found: Table, sums: Table) -> None:
    import numpy as np

    print(
        f"All neurons over {counted(found.about['steps'], 'step')}. "
        "Each histogram goes from its lowest to its highest bin.\n"
    )
    rows = []
    for row in sums.where(neuron=-1):
        part = found.where(layer=row["layer"], signal=row["signal"], neuron=-1)
        low, high = part["low"].min(initial=np.inf), part["high"].max(initial=-np.inf)
        cells = (number(row[name]) for name in ("mean", "deviation", "smallest", "largest"))
        rows.append(
            (row["layer"].removeprefix("layer"), row["signal"], *cells, number(low, 2), _bars(part), number(high, 2))
        )
    columns = ("layer", "signal", "mean", "deviation", "smallest", "largest", "from", "histogram", "to")
    print_table(columns, rows, right=("layer", "mean", "deviation", "smallest", "largest", "from"))


def _bars(part: Table) -> str:
    """Draw a histogram on one line, at most 24 columns wide."""
    import numpy as np

    groups = np.array_split(part["share"], min(SHOWN_BINS, len(part)))
    heights = np.array([group.mean() for group in groups])
    most = max(heights.max(initial=0.0), 1e-300)
    return "".join(BARS[int(np.ceil(height / most * (len(BARS) - 1)))] for height in heights)
