"""The cells and shapes of the networks with which the engine in TypeScript is compared.

`scripts/write-engine-fixtures` writes them before the tests of the page.
"""

from dataclasses import dataclass
from typing import Any

from gatescope import Vocabulary, define
from gatescope.cells import CELLS
from gatescope.equations import exp, log_sigmoid, maximum, relu, sigmoid, tanh
from gatescope.head import HiddenLayer
from gatescope.readout import SYMBOLS, Readout, classes, numbers

SEED = 20_261


@define(paper="", titles=dict(h="hidden state"))
def own(x, u, p, s):
    """Use every operation, a signal with two names, and a state that is the leaf of another signal."""
    k = sigmoid(x.k + u.k)
    m = maximum(tanh(x.m), p.m * s.h)
    q = exp(log_sigmoid(x.q - u.m)) / (1.5 + relu(-m))
    d = s.k
    h = k * m + (1 - k) * q
    return dict(k=k, m=m, q=q, d=d, h=h, copy=h, e=s.d - 0.25 * x.k)


ALL_CELLS = (*CELLS.values(), own)
"""The built-in cells, and one that only these fixtures have: a new cell needs no TypeScript."""


@dataclass(frozen=True)
class Shape:
    """A network without its cell, and a text for its trace."""

    name: str
    vocabulary: Vocabulary
    layers: tuple[dict[str, Any], ...]
    text: str
    embedding: int | None = None
    readout: Readout = SYMBOLS
    hidden: tuple[HiddenLayer, ...] = ()


CHARACTERS = Vocabulary(("a", "b", "月", "\n", "😀"), end="\n")
BOTH = (dict(neurons=4), dict(neurons=3, reverse=True))
SHAPES = (
    Shape("characters", CHARACTERS, (dict(neurons=5),), "ab月b\né😀a\naab"),
    Shape("bytes", Vocabulary.of_bytes("\n"), (dict(neurons=3), dict(neurons=6)), "aé\nzz", embedding=4),
    Shape(
        "both-ways",
        Vocabulary(("good", "bad", "not", "<unk>", "\n"), end="\n", unit="word", other="<unk>"),
        (*BOTH, dict(neurons=2), dict(neurons=2, reverse=True)),
        "not good, Bad\nbad BAD good",
        embedding=3,
        readout=classes(("positive", "negative", "neither"), "last step"),
    ),
    Shape(
        "numbers",
        Vocabulary(("level", "mark"), unit="number"),
        (dict(neurons=4, initial=True), dict(neurons=3)),
        "0.5, 1\n-0.25 0\n1e-5;3\n\n2,2\n0.1,-7\n",
        readout=numbers(("1 ahead", "2 ahead"), (0.1, 0.5, 0.9)),
        hidden=(HiddenLayer(4, "gelu"), HiddenLayer(3, "selu")),
    ),
    Shape(
        "tokens",
        Vocabulary(("x", "y", "|"), end="|", unit="token"),
        (dict(neurons=3, initial=True), dict(neurons=4, reverse=True, stacked=True, initial=True)),
        "x y z|y y x",
        readout=classes(("0", "1")),
        hidden=(HiddenLayer(5, "leaky_relu"),),
    ),
    Shape(
        "last-step",
        CHARACTERS,
        (dict(neurons=3, initial=True),),
        "ab月",
        readout=numbers(("sum",), reads="last step"),
        hidden=(HiddenLayer(2, "elu"), HiddenLayer(3, "silu"), HiddenLayer(2, "softplus")),
    ),
)
