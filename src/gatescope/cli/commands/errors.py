"""`gatescope errors`: where is a text model wrong, and what would have helped?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatescope.cli.app import FIND, command
from gatescope.cli.common import Encoding, Json, UsageError, find_run, loss, print_table, use_threads
from gatescope.cli.studying import (
    Characters,
    Csv,
    File,
    Run,
    Text,
    bar,
    check_csv,
    counted,
    deliver,
    keeping,
    number,
    studied,
)

if TYPE_CHECKING:
    from gatescope.studies.text_errors import Errors

ORDERS, THRESHOLD = 20, 0.5


@command(
    FIND,
    "RUN [TEXT | --file FILE] [OPTIONS]",
    "gatescope errors runs/text",
    "gatescope errors runs/text --characters 20000 --orders 9",
    "gatescope errors runs/text --file notes.txt --threshold 0.2 --csv errors.csv",
)
def errors(
    run: Run,
    text: Text = None,
    /,
    *,
    file: File = None,
    encoding: Encoding = None,
    characters: Characters = None,
    orders: int = ORDERS,
    threshold: float = THRESHOLD,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Say what would have taken a text model's errors away, beside n-gram models of the same training text.

    An error is a symbol to which the network gave a probability below the threshold. With --csv, brackets and orders go
    to two more files whose names end in -closings and -orders.

    Parameters
    ----------
    orders
        The longest n-gram; all from 1 on are tried.
    threshold
        The probability below which a symbol is an error.
    """
    use_threads(1)
    from gatescope.studies.common.losses import check_predicts_next
    from gatescope.studies.text_errors import errors as study
    from gatescope.tasks import Text as TextTask

    check_csv(csv)
    if orders < 1:
        raise UsageError("ERRORS_ORDERS", orders=orders)
    task = find_run(run).task()
    check_predicts_next(find_run(run).configuration(), "a comparison with n-gram models")
    if not isinstance(task, TextTask):
        raise UsageError("ERRORS_LEARNED_TASK_GRAM_MODELS", run=run, name=task.name)
    default = text is None and file is None and characters is None and (orders, threshold) == (ORDERS, THRESHOLD)
    with (
        studied(run, text, file, encoding=encoding, characters=characters, quiet=json) as about,
        keeping(about.subject, default) as keep,
    ):
        with bar("counting n-grams", quiet=json) as tell:
            found = study(about.trace, task.data().training, range(1, orders + 1), threshold, progress=tell)
        tables = {"causes": found.causes, "closings": found.closings, "orders": found.orders}
        for name, table in tables.items():
            keep(f"errors-{name}", table)
    deliver(tables, lambda: _print(found), json=json, csv=csv)


def _print(found: Errors) -> None:
    about = found.causes.about
    print(
        f"{counted(about['errors'], 'error')} of {counted(about['asked'], 'symbol')} "
        f"({about['errors'] / about['asked']:.1%}): the network gave them a probability below {about['threshold']:g}. "
        f"Its loss is {loss(about['cross_entropy'])}."
    )
    print("\nWhat would have helped, each cause tried on the errors that those above leave:\n")
    rows, before = [], ""
    for row in found.causes:
        cause = row["cause"] if row["cause"] != before else ""
        before = row["cause"]
        rows.append(
            (
                cause,
                row["level"],
                f"{row['errors']:,}",
                f"{row['share']:.1%}",
                f"{row['left']:.1%}",
                number(row["loss"], 2),
            )
        )
    columns = ("cause", "level", "errors", "of all", "left", "mean loss")
    print_table(columns, rows, right=columns[2:])
    print("\nBeside n-gram models of the training text:\n")
    columns = ("n", "loss", "its errors", "of both", "network alone", "n-gram alone")
    print_table(
        columns,
        [
            (
                str(row["order"]),
                number(row["cross_entropy"]),
                *(f"{row[name]:,}" for name in ("errors", "shared", "network_alone", "ngram_alone")),
            )
            for row in found.orders
        ],
        right=columns,
    )
    if not len(found.closings):
        return
    print(
        f"\nClosing marks: the log-probability the network gave them over that of the n-gram model of order "
        f"{about['best_order']}, in nats.\n"
    )
    columns = ("mark", "opened before", "count", "network", f"{about['best_order']}-gram", "gain", "interval")
    print_table(
        columns,
        [
            (
                row["bracket"],
                f"{row['from']:,} to {row['to'] - 1:,}" if row["to"] - row["from"] > 1 else f"{row['from']:,}",
                f"{row['count']:,}",
                f"{row['network_probability']:.1%}",
                f"{row['ngram_probability']:.1%}",
                number(row["gain"], 2),
                ""
                if row["gain_low"] != row["gain_low"]
                else f"{number(row['gain_low'], 2)} to {number(row['gain_high'], 2)}",
            )
            for row in found.closings
        ],
        right=("opened before", "count", "network", columns[4], "gain"),
    )
