"""`gatescope distributions`: print the distribution of every signal over all neurons and steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatescope.cli.app import STUDY_GROUP, command
from gatescope.cli.options import Csv, Flag, Json, RunOrTrace, StudyText, check_output_file, use_threads
from gatescope.cli.output import format_number, print_message, print_table, write_tables
from gatescope.cli.subject import recording
from gatescope.cli.text_options import DEFAULT_TEXT, TextOptions

if TYPE_CHECKING:
    from gatescope.studies import Table

BAR_CHARACTERS = " ▁▂▃▄▅▆▇█"
MAX_BAR_COLUMNS = 24
DEFAULT_BINS = 24


@command(STUDY_GROUP)
def distributions(
    run_or_trace: RunOrTrace,
    text: StudyText = None,
    /,
    *,
    source: TextOptions = DEFAULT_TEXT,
    bins: int = DEFAULT_BINS,
    by_neuron: Flag = False,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Print a histogram of every signal over all neurons and steps."""
    use_threads(1)
    from gatescope.studies.distributions import distributions as find_distributions
    from gatescope.studies.distributions import moments as find_moments

    check_output_file("--csv", csv)
    with recording(run_or_trace, text, source, quiet=json) as recorded:
        histograms = find_distributions(recorded.trace, bins=bins, by_neuron=by_neuron)
        moments = find_moments(recorded.trace, by_neuron=by_neuron)
    tables = {"distributions": histograms, "moments": moments}
    write_tables(tables, lambda: _print_distributions(histograms, moments), json=json, csv=csv)


def _print_distributions(histograms: Table, moments: Table) -> None:
    import numpy as np

    print_message("DISTRIBUTIONS_SUMMARY", steps=histograms.about["steps"])
    print()
    rows = []
    for row in moments.where(neuron=-1):
        histogram = histograms.where(layer=row["layer"], signal=row["signal"], neuron=-1)
        low, high = histogram["low"].min(initial=np.inf), histogram["high"].max(initial=-np.inf)
        rows.append(
            (
                row["layer"].removeprefix("layer"),
                row["signal"],
                *(format_number(row[name]) for name in ("mean", "deviation", "smallest", "largest")),
                format_number(low, 2),
                _bars(histogram),
                format_number(high, 2),
            )
        )
    columns = ("layer", "signal", "mean", "deviation", "smallest", "largest", "from", "histogram", "to")
    print_table(columns, rows, right=("layer", "mean", "deviation", "smallest", "largest", "from"))


def _bars(histogram: Table) -> str:
    """Draw a histogram on one line."""
    import numpy as np

    groups = np.array_split(histogram["share"], min(MAX_BAR_COLUMNS, len(histogram)))
    heights = np.array([group.mean() for group in groups])
    tallest = max(heights.max(initial=0.0), 1e-300)
    steps = len(BAR_CHARACTERS) - 1
    return "".join(BAR_CHARACTERS[int(np.ceil(height / tallest * steps))] for height in heights)
