"""The tables of `engines.py`, and the target ratios of the engine.

A record is a dictionary: size, cell, candidate, pass ("f" or "fb"), seconds, calls, faults.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from engines_problem import Size, operations

from gatescope import CELLS

Record = dict[str, Any]
Key = tuple[str, str]  # cell and pass

MODULE_CELLS = {"lstm": "LSTM", "gru": "GRU", "elman": "RNN"}
BLACK_BOXES = ("torch.nn", "onnxruntime", "OpenVINO")

# Their time / our time by size: (must, stretch) for LSTM f, fb, GRU f, fb, RNN f, fb against torch.nn; then f and fb of
# every other cell against the hand-written loop.
TARGETS: dict[Size, tuple[tuple[tuple[float, float], ...], tuple[float, float]]] = {
    Size(25, 64, 4, 10): (((3, 6), (3, 6), (8, 12), (11, 18), (5, 8), (7, 12)), (14, 14)),
    Size(100, 32, 32, 64): (((1.4, 1.8), (1.7, 2.3), (4, 4.5), (7, 8), (6.5, 8), (7.5, 9)), (7, 6)),
    Size(100, 100, 87, 128): (((1.12, 1.2), (2.0, 2.3), (2.1, 2.3), (2.2, 2.7), (2.2, 2.5), (2.3, 2.8)), (3.0, 2.8)),
    Size(100, 100, 87, 256): (((1.05, 1.15), (1.6, 1.9), (1.75, 1.9), (1.7, 2.1), (1.9, 2.1), (1.8, 2.1)), (2.0, 1.85)),
    Size(100, 100, 87, 512): (
        ((1.10, 1.2), (1.45, 1.65), (1.65, 1.8), (1.55, 1.8), (1.7, 1.9), (1.55, 1.7)),
        (1.8, 1.7),
    ),
    Size(1000, 1, 87, 512): (((1.2, 1.45), (1.5, 1.75), (3.5, 4.5), (7, 9), (3.5, 5), (8, 12)), (5, 11)),
    Size(2000, 1, 87, 128): (((2.0, 2.5), (2.2, 2.8), (6, 9), (18, 26), (8, 12), (18, 28)), (20, 36)),
}
BLACK_BOX_TARGETS = {"lstm": 1.0, "gru": 1.1, "elman": 1.2}  # 1.0 for every cell at batch 1
JAX_TARGETS = (2.0, 1.4)  # the second at batch 1
EVERY_SIGNAL_COST = 0.05
SHARE_OF_PEAK, SHARE_FROM_NEURONS = 0.85, 256  # for batches


class Results:
    """The records of one run, looked up by size, cell, candidate and pass."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.records = records
        self.sizes = list(dict.fromkeys(Size(*record["size"]) for record in records))
        self._found = {(Size(*r["size"]), r["cell"], r["candidate"], r["pass"]): r for r in records}

    def cells(self, size: Size) -> list[str]:
        """Return the cells measured at a size."""
        return list(dict.fromkeys(r["cell"] for r in self.records if Size(*r["size"]) == size))

    def seconds(self, size: Size, key: Key, candidate: str) -> float | None:
        """Return the median time in seconds, or None if it was not measured."""
        record = self._found.get((size, key[0], candidate, key[1]))
        return record["seconds"] if record else None

    def faults(self, size: Size, key: Key, candidate: str) -> float | None:
        """Return the page faults per call, or None if they were not measured."""
        record = self._found.get((size, key[0], candidate, key[1]))
        return record["faults"] if record else None

    def ratio(self, size: Size, key: Key, candidate: str, own: str = "ours") -> float | None:
        """Return their time / our time, or None if either is missing."""
        peer_seconds, our_seconds = self.seconds(size, key, candidate), self.seconds(size, key, own)
        return peer_seconds / our_seconds if peer_seconds and our_seconds else None

    def black_box(self, size: Size, cell: str) -> tuple[str, float] | None:
        """Return the fastest black box of the forward pass, and its time / our time."""
        ratios = [(name, self.ratio(size, (cell, "f"), name)) for name in BLACK_BOXES]
        return min(((name, ratio) for name, ratio in ratios if ratio), key=lambda pair: pair[1], default=None)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Format a Markdown table and an empty line; the first `left` columns are left-aligned."""
    rule = ["---"] * left + ["---:"] * (len(head) - left)
    return [*(f"| {' | '.join(row)} |" for row in (head, rule, *rows)), ""]


def number(value: float) -> str:
    """Format a number with three significant digits."""
    return f"{value:.0f}" if value >= 99.5 else f"{value:.3g}"


def against(value: float | None, required_ratio: float, stretch: float | None = None, note: str = "") -> str:
    """Format a ratio with its target, marked if it was missed."""
    if value is None:
        return "-"
    target = f"{required_ratio:g}" + (f" / {stretch:g}" if stretch else "")
    return f"{value:.2f}{note} ({target}){'' if value >= required_ratio else ' **missed**'}"


def lowest(values: Mapping[str, float | None]) -> tuple[float | None, str]:
    """Return the lowest ratio and the name it belongs to."""
    ratios = [(value, f" {name}") for name, value in values.items() if value is not None]
    return min(ratios, default=(None, ""))


def reached(results: Results) -> list[str]:
    """Return the table of ratios beside their targets."""
    rows = []
    for size in results.sizes:
        if size not in TARGETS:
            continue
        modules, others = TARGETS[size]
        keys = [(cell, kind) for cell in MODULE_CELLS for kind in ("f", "fb")]
        row = [against(results.ratio(size, k, "torch.nn"), *goal) for k, goal in zip(keys, modules, strict=True)]
        rest = [cell for cell in results.cells(size) if cell not in MODULE_CELLS]
        for product in (True, False):
            cells = [cell for cell in rest if bool(CELLS[cell].tape.recurrent_drives) == product]
            for kind, required_ratio in zip(("f", "fb"), others, strict=True):
                value, whose = lowest({cell: results.ratio(size, (cell, kind), "step loop") for cell in cells})
                row.append(against(value, required_ratio, None, whose))
        rows.append([str(size), *row])
    head = [f"{name} {kind}" for name in MODULE_CELLS.values() for kind in ("f", "fb")]
    return [
        (
            "Their time over ours, (must / stretch): torch.nn for LSTM, GRU and RNN; for the other cells the lowest "
            "ratio to the loop written by hand, apart for those without a recurrent product, whose gates that loop "
            "computes for all steps at once."
        ),
        "",
        *table(["T, B, I, N", *head, "others f", "others fb", "no product f", "no product fb"], rows),
    ]


def further(results: Results, peaks: Mapping[str, float]) -> list[str]:
    """Return the table of the other claims: black boxes, JAX, the cost of every signal, the share of the peak."""
    rows = []
    for size in results.sizes:
        single, row = size.rows == 1, [str(size)]
        for cell, required_ratio in BLACK_BOX_TARGETS.items():
            best = results.black_box(size, cell)
            row.append(against(best[1], 1.0 if single else required_ratio, None, f" {best[0]}") if best else "-")
        cells = results.cells(size)
        for kind in ("f", "fb"):
            value, whose = lowest({cell: results.ratio(size, (cell, kind), "JAX") for cell in cells})
            row.append(against(value, JAX_TARGETS[single], None, whose))
        for kind in ("f", "fb"):
            free = {cell: results.ratio(size, (cell, kind), "ours, h only") for cell in cells}
            value, whose = lowest(free)
            cost = 1 / value - 1 if value else 0.0
            missed = " **missed**" if cost > EVERY_SIGNAL_COST else ""
            row.append(f"{100 * cost:+.1f} %{whose}{missed}" if value else "-")
        rows.append([*row, *(_share(results, size, kind, peaks) for kind in ("f", "fb"))])
    boxes = [f"black box {MODULE_CELLS[cell]} f" for cell in BLACK_BOX_TARGETS]
    head = [
        "T, B, I, N",
        *boxes,
        "JAX f",
        "JAX fb",
        "every signal f",
        "every signal fb",
        "of the peak f",
        "of the peak fb",
    ]
    peak = "FMA" if "FMA" in peaks else "sgemm"
    return [
        (
            "Their time over ours for the fastest black box and, the lowest of all cells, for JAX with internals "
            "(must); what all signals cost over h alone, at most (5 %); the share of the "
            f"{peak} peak that the LSTM's matrix products reach (85 % from {SHARE_FROM_NEURONS} neurons on in batches)."
        ),
        "",
        *table(head, rows),
    ]


def _share(results: Results, size: Size, kind: str, peaks: Mapping[str, float]) -> str:
    seconds = results.seconds(size, ("lstm", kind), "ours")
    if not seconds:
        return "-"
    share = operations(CELLS["lstm"], size)[kind] / seconds / peaks.get("FMA", peaks["sgemm"])
    required = size.rows > 1 and size.neurons >= SHARE_FROM_NEURONS
    return f"{100 * share:.0f} %" + (" **missed**" if required and share < SHARE_OF_PEAK else "")


def details(results: Results, peaks: Mapping[str, float]) -> list[str]:
    """Return a table for each size: milliseconds, ratios to ours, and the share of the processor's peak."""
    lines = []
    for size in results.sizes:
        names = dict.fromkeys(r["candidate"] for r in results.records if Size(*r["size"]) == size)
        peers = [name for name in names if name != "ours"]
        rows = []
        for cell in results.cells(size):
            for kind in ("f", "fb"):
                key, row = (cell, kind), [cell, kind]
                our_seconds = results.seconds(size, key, "ours")
                if not our_seconds:
                    continue
                row.append(number(1000 * our_seconds))
                for name in peers:
                    peer_seconds, ratio = results.seconds(size, key, name), results.ratio(size, key, name)
                    row.append(f"{number(1000 * peer_seconds)} ({ratio:.2f})" if peer_seconds and ratio else "")
                best = results.black_box(size, cell) if kind == "f" else None
                row.append(f"{best[0]} {best[1]:.2f}" if best else "")
                rate = operations(CELLS[cell], size)[kind] / our_seconds
                row += [number(rate / 1e9), *(f"{100 * rate / peak:.0f} %" for peak in peaks.values())]
                rows.append(row)
        columns = ["cell", "pass", "ours", *peers, "fastest black box", "GFLOP/s", *(f"of {name}" for name in peaks)]
        lines += [f"### T, B, I, N = {size}", "", *table(columns, rows, 2)]
    return lines


def page_faults(results: Results) -> list[str]:
    """Return a table of the most page faults per call, by size and candidate."""
    names = list(dict.fromkeys(record["candidate"] for record in results.records))
    rows = []
    for size in results.sizes:
        row = [str(size)]
        for name in names:
            counts = [results.faults(size, (cell, kind), name) for cell in results.cells(size) for kind in ("f", "fb")]
            measured = [count for count in counts if count is not None]
            row.append(f"{max(measured):.0f}" if measured else "")
        rows.append(row)
    return table(["T, B, I, N", *names], rows)


def memory_table(records: Sequence[Record]) -> list[str]:
    """Return a table of peak memory, ours and that of torch.nn, in MB."""
    rows = [[str(Size(*r["size"])), r["cell"], f"{r['ours'] / 1e6:.1f}", f"{r['torch.nn'] / 1e6:.1f}"] for r in records]
    return table(["T, B, I, N", "cell", "ours, every signal", "torch.nn"], rows, 2)
