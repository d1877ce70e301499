"""`gatescope errors`: find the errors of a text model, and what would have prevented them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatescope.cli.app import STUDY_GROUP, command
from gatescope.cli.options import Csv, Json, RunName, StudyText, check_output_file, use_threads
from gatescope.cli.output import (
    format_interval,
    format_loss,
    format_number,
    format_range,
    localized_title,
    print_message,
    print_table,
    progress_bar,
    write_tables,
)
from gatescope.cli.subject import find_run, recording, saving
from gatescope.cli.text_options import DEFAULT_TEXT, TextOptions
from gatescope.cli.usage import UsageError, check_at_least_one
from gatescope.messages import Message

if TYPE_CHECKING:
    from gatescope.studies import Table
    from gatescope.studies.text_errors import Errors

DEFAULT_ORDERS, DEFAULT_THRESHOLD = 20, 0.5


@command(STUDY_GROUP)
def errors(
    name: RunName,
    text: StudyText = None,
    /,
    *,
    source: TextOptions = DEFAULT_TEXT,
    orders: int = DEFAULT_ORDERS,
    threshold: float = DEFAULT_THRESHOLD,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Find what would have prevented a text model's errors, and compare it with n-gram models."""
    use_threads(1)
    from gatescope.studies.common.losses import check_predicts_next
    from gatescope.studies.text_errors import errors as find_errors
    from gatescope.tasks import Text

    check_output_file("--csv", csv)
    check_at_least_one(orders=orders)
    run = find_run(name)
    task = run.task()
    check_predicts_next(run.configuration(), Message("LOSSES_STUDY_NGRAMS"))
    if not isinstance(task, Text):
        raise UsageError("ERRORS_TASK_NOT_TEXT", run=name, task=task.name)
    settings = (text, source, orders, threshold)
    is_default = settings == (None, DEFAULT_TEXT, DEFAULT_ORDERS, DEFAULT_THRESHOLD)
    with (
        recording(run, text, source, quiet=json) as recorded,
        saving(recorded.subject, is_default) as save,
    ):
        with progress_bar("counting n-grams", quiet=json) as bar:
            errors = find_errors(recorded.trace, task.data().training, range(1, orders + 1), threshold, progress=bar)
        tables = {"causes": errors.causes, "closings": errors.closings, "orders": errors.orders}
        for table_name, table in tables.items():
            save(f"errors-{table_name}", table)
    write_tables(tables, lambda: _print_errors(errors), json=json, csv=csv)


def _print_errors(errors: Errors) -> None:
    about = errors.causes.about
    print_message(
        "ERRORS_SUMMARY",
        errors=about["errors"],
        symbols=about["targets"],
        share=about["errors"] / about["targets"],
        threshold=about["threshold"],
        loss=format_loss(about["cross_entropy"]),
    )
    _print_causes(errors.causes)
    _print_orders(errors.orders)
    if len(errors.closings):
        _print_closings(errors.closings, about["best_order"])


def _print_causes(causes: Table) -> None:
    print()
    print_message("ERRORS_CAUSES")
    print()
    rows, last_cause = [], ""
    for row in causes:
        cause = row["cause"] if row["cause"] != last_cause else ""
        last_cause = row["cause"]
        rows.append(
            (
                localized_title("cause", cause),
                localized_title("cause", row["level"]),
                f"{row['errors']:,}",
                f"{row['share']:.1%}",
                f"{row['left']:.1%}",
                format_number(row["loss"], 2),
            )
        )
    columns = ("cause", "level", "errors", "share", "left", "mean loss")
    print_table(columns, rows, right=columns[2:])


def _print_orders(orders: Table) -> None:
    print()
    print_message("ERRORS_NGRAMS")
    print()
    columns = ("n", "loss", "errors", "shared", "network only", "n-gram only")
    counts = ("errors", "shared", "network_alone", "ngram_alone")
    rows = [
        (str(row["order"]), format_number(row["cross_entropy"]), *(f"{row[name]:,}" for name in counts))
        for row in orders
    ]
    print_table(columns, rows, right=columns)


def _print_closings(closings: Table, order: int) -> None:
    print()
    print_message("ERRORS_CLOSINGS", order=order)
    print()
    columns = ("mark", "opened before", "count", "network", f"{order}-gram", "gain", "interval")
    rows = [
        (
            row["bracket"],
            format_range(f"{row['from']:,}", f"{row['to'] - 1:,}")
            if row["to"] - row["from"] > 1
            else f"{row['from']:,}",
            f"{row['count']:,}",
            f"{row['network_probability']:.1%}",
            f"{row['ngram_probability']:.1%}",
            format_number(row["gain"], 2),
            format_interval(row["gain_low"], row["gain_high"], 2),
        )
        for row in closings
    ]
    print_table(columns, rows, right=("opened before", "count", "network", columns[4], "gain"))
