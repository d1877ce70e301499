"""`gatescope probe`: find whether one neuron or many carry a feature."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from gatescope.cli.app import STUDY_GROUP, command
from gatescope.cli.options import (
    AllRows,
    Csv,
    Json,
    RunOrTrace,
    StudyText,
    check_output_file,
    use_threads,
)
from gatescope.cli.output import (
    format_number,
    localized_names,
    phrase,
    print_message,
    print_omitted,
    print_table,
    visible,
    write_tables,
)
from gatescope.cli.subject import layer_of, recording
from gatescope.cli.text_options import DEFAULT_FEATURES, DEFAULT_TEXT, FeatureOptions, TextOptions

if TYPE_CHECKING:
    from gatescope.studies import Table

SHOWN_FEATURES = 25  # of each measure
SHOWN_OF_FAMILY = 5  # features of one family
MEASURES = {
    "AUROC": "PROBE_BINARY_FEATURES",
    "R2": "PROBE_COUNTS",
}


@command(STUDY_GROUP)
def probe(
    run_or_trace: RunOrTrace,
    text: StudyText = None,
    /,
    *,
    source: TextOptions = DEFAULT_TEXT,
    described: FeatureOptions = DEFAULT_FEATURES,
    layer: str = "0",
    signal: str = "h",
    all_rows: AllRows = False,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Score how well each feature can be predicted from 1, 2, 4, 8 and all neurons of a layer."""
    use_threads(1)
    from gatescope.studies.probes import probes

    check_output_file("--csv", csv)
    with recording(run_or_trace, text, source, described, quiet=json) as recorded:
        trace = recorded.trace
        table = probes(trace, recorded.features(), layer=layer_of(trace, layer, signal), signal=signal)
    write_tables(table, lambda: _print_probes(table, all_rows), json=json, csv=csv)


def _print_probes(table: Table, all_rows: bool) -> None:
    by_feature: dict[str, list[dict[str, Any]]] = {}
    for row in table:
        by_feature.setdefault(row["feature"], []).append(row)
    first = next(iter(table))
    print_message(
        "PROBE_SUMMARY",
        signal=first["signal"],
        neurons=table.about["neurons"],
        layer=first["layer"],
        steps=table.about["steps"]["held_out"],
    )
    for measure, code in MEASURES.items():
        groups = [group for group in by_feature.values() if group[0]["measure"] == measure]
        # The user's own features first, then by score.
        groups.sort(key=lambda group: (not group[0]["feature"].startswith("expression."), -group[-1]["score"]))
        shown = groups if all_rows else _some_of_each_family(groups)[:SHOWN_FEATURES]
        if not shown:
            continue
        print()
        print_message(code)
        print()
        sizes = [*(str(row["size"]) for row in shown[0][:-1]), "all"]
        rows = [
            (
                visible(localized_names(group[0]["feature"], group[0]["title"])[1]),
                *(format_number(row["score"]) for row in group),
                location(group),
            )
            for group in shown
        ]
        print_table(("feature", *sizes, "location"), rows, right=sizes)
        print_omitted(len(groups) - len(shown), "feature")


def _some_of_each_family(groups: list[list[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
    """Return the first features of each family, so that single characters do not crowd out the other features."""
    counts: Counter[str] = Counter()
    chosen = []
    for group in groups:
        family = group[0]["feature"].split(".")[0]
        counts[family] += 1
        if counts[family] <= SHOWN_OF_FAMILY or family == "expression":
            chosen.append(group)
    return chosen


def location(group: list[dict[str, Any]]) -> str:
    """Describe the neurons that carry a feature.

    Args:
        group: the rows of the feature's probes.
    """
    size = group[0]["verdict"]
    if size == 0:
        return phrase("PROBE_NOT_READABLE")
    if size == group[-1]["size"]:
        next_smaller = group[-2]["size"] if len(group) > 1 else 0
        return phrase("PROBE_SPREAD", neurons=next_smaller) if next_smaller else phrase("PROBE_ONLY_NEURON")
    neurons = next(row["neurons"] for row in group if row["size"] == size)
    return phrase("PROBE_IN_NEURON" if size == 1 else "PROBE_IN_NEURONS", neurons=neurons.replace(" ", ", "))
