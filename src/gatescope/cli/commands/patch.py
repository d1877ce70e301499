"""`gatescope patch`: which neuron, at which step, carries the difference between two texts?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from gatescope.cli.app import FIND, command
from gatescope.cli.common import Json, find_run, print_table, use_threads, visible, warn_of_unknown
from gatescope.cli.studying import Csv, Layer, Run, Signal, bar, check_csv, deliver, layer_named, number, numbers

if TYPE_CHECKING:
    from gatescope.studies import Table

SHOWN = 15


@command(
    FIND,
    "RUN CLEAN CORRUPTED [OPTIONS]",
    "gatescope patch counter aaaaXbbbb aaXaXbbbb --signal c",
    'gatescope patch runs/text "def f(x):" "def f[x):" --at 8 --answer ")" --csv patching.csv',
)
def patch(
    run: Run,
    clean: Annotated[str, Parameter(allow_leading_hyphen=True)],
    corrupted: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    layer: Layer = "0",
    signal: Signal = "h",
    neurons: Annotated[str | None, Parameter(metavar="N[,N...]")] = None,
    at: int = -1,
    answer: str | None = None,
    csv: Csv = None,
    json: Json = False,
) -> None:
    r"""Patch every neuron at every step of a corrupted text with its value in a clean text (activation patching).

    The neuron and the step whose patch brings the clean prediction back carry the difference between both texts.

    Parameters
    ----------
    clean
        The text whose prediction is to come back; \n stands for a newline.
    corrupted
        A text with the same number of steps that leads to another prediction; \n stands for a newline.
    neurons
        The neurons to patch, counted from 0; all neurons of the layer by default.
    at
        The step after which the prediction is read, counted from 0, or from the end where it is negative; the last one
        by default.
    answer
        The predicted symbol, class or number to follow; by default the most probable one after the clean text.
    """
    use_threads(1)
    from gatescope.studies.patching import patching

    check_csv(csv)
    network, _ = find_run(run).network()
    texts = [text.replace("\\n", "\n") for text in (clean, corrupted)]
    warn_of_unknown(network.configuration.vocabulary, "".join(texts))
    chosen = None if neurons is None else numbers("--neurons", neurons, int)
    with bar("patching", quiet=json) as tell:
        found = patching(
            network,
            *texts,
            layer=layer_named(layer, network.configuration.names),
            signal=signal,
            neurons=chosen,
            at=at,
            answer=None if answer is None else answer.replace("\\n", "\n"),
            progress=tell,
        )
    deliver(found, lambda: _print(found), json=json, csv=csv)


def _print(found: Table) -> None:
    about = found.about
    print(
        f"{about['metric'][0].upper()}{about['metric'][1:]} {visible(about['answer'])} after step {about['at']}: "
        f"{number(about['clean'])} on the clean text, {number(about['corrupted'])} on the corrupted one.\n"
        f"Patched: {about['signal']} of {about['layer_name']}. "
        "Recovered: the share of the difference that comes back.\n"
    )
    whole = found.where(neuron=-1)
    print_table(
        ("step", "clean", "corrupted", "recovered by the whole layer", "by its best neuron", "neuron"),
        [_step(found, row["step"], row["recovered"]) for row in whole],
        right=("step", "recovered by the whole layer", "by its best neuron", "neuron"),
    )


def _step(found: Table, step: int, recovered: float) -> tuple[str, ...]:
    single = found.take(((found["step"] == step) & (found["neuron"] >= 0)).nonzero()[0]).sorted_by("recovered")
    best = next(iter(single))
    symbols = (visible(best["clean_symbol"]), visible(best["corrupted_symbol"]))
    return (str(step), *symbols, f"{recovered:.1%}", f"{best['recovered']:.1%}", str(best["neuron"]))
