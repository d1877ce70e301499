"""One step of every cell written by hand, for the loops that people write themselves.

The equations come from the papers, not from our tape, and serve all array libraries: `F` has sigmoid, tanh, relu, exp,
log_sigmoid and maximum. Drives are stacked in the order of our cells; `x` is an input drive, `u` a recurrent drive.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

Values = dict[str, Any]


@dataclass(frozen=True)
class Equations:
    """A cell written by hand.

    Attributes:
        states: the signals that are carried from step to step.
        step: (F, drives or signals of this step, states, per-neuron weights) -> the signals of this step.
        joined: whether the step reads the sums x + u. Otherwise it reads all x, then all u.
        before: for cells without a recurrent product: the signals that need no state, for all steps at once. `step`
            then reads these signals.
    """

    states: tuple[str, ...]
    step: Callable[[SimpleNamespace, Any, Mapping[str, Any], Any], Values] | None
    joined: bool = True
    before: Callable[[SimpleNamespace, Any], Values] | None = None


def _lstm(F: SimpleNamespace, drives: Any, s: Mapping[str, Any], _: Any) -> Values:
    i, f, g, o = drives
    i, f, g, o = F.sigmoid(i), F.sigmoid(f), F.tanh(g), F.sigmoid(o)
    c = f * s["c"] + i * g
    return dict(i=i, f=f, g=g, o=o, c=c, h=o * F.tanh(c))


def _lstm_1997(F: SimpleNamespace, drives: Any, s: Mapping[str, Any], _: Any) -> Values:
    i, g, o = drives
    i, g, o = F.sigmoid(i), F.tanh(g), F.sigmoid(o)
    c = s["c"] + i * g
    return dict(i=i, g=g, o=o, c=c, h=o * F.tanh(c))


def _coupled(F: SimpleNamespace, drives: Any, s: Mapping[str, Any], _: Any) -> Values:
    f, g, o = drives
    f, g, o = F.sigmoid(f), F.tanh(g), F.sigmoid(o)
    i = 1 - f
    c = f * s["c"] + i * g
    return dict(f=f, i=i, g=g, o=o, c=c, h=o * F.tanh(c))


def _peephole(F: SimpleNamespace, drives: Any, s: Mapping[str, Any], p: Any) -> Values:
    i, f, g, o = drives
    i, f, g = F.sigmoid(i + p[0] * s["c"]), F.sigmoid(f + p[1] * s["c"]), F.tanh(g)
    c = f * s["c"] + i * g
    o = F.sigmoid(o + p[2] * c)
    return dict(i=i, f=f, g=g, c=c, o=o, h=o * F.tanh(c))


def _gru(F: SimpleNamespace, drives: Any, s: Mapping[str, Any], p: Any) -> Values:
    x_r, x_z, x_n, u_r, u_z, u_n = drives
    r, z = F.sigmoid(x_r + u_r), F.sigmoid(x_z + u_z)
    n = F.tanh(x_n + r * (u_n + p[0]))
    return dict(r=r, z=z, n=n, h=n + z * (s["h"] - n))


def _slstm(F: SimpleNamespace, drives: Any, s: Mapping[str, Any], _: Any) -> Values:
    g, o, f, log_i = drives
    g, o, log_f = F.tanh(g), F.sigmoid(o), F.log_sigmoid(f) + s["m"]
    m = F.maximum(log_f, log_i)
    i, f = F.exp(log_i - m), F.exp(log_f - m)
    c, n = f * s["c"] + i * g, f * s["n"] + i
    return dict(g=g, o=o, m=m, i=i, f=f, c=c, n=n, h=o * (c / n))


def _mingru_before(F: SimpleNamespace, drives: Any) -> Values:
    z, n = drives
    return dict(z=F.sigmoid(z), n=n)


def _mingru(_: SimpleNamespace, at: Any, s: Mapping[str, Any], __: Any) -> Values:
    return dict(h=s["h"] + at["z"] * (at["n"] - s["h"]))


EQUATIONS: dict[str, Equations] = {
    "feedforward": Equations((), None, before=lambda F, drives: dict(h=F.tanh(drives[0]))),
    "elman": Equations(("h",), lambda F, drives, s, p: dict(h=F.tanh(drives[0]))),
    "elman_sigmoid": Equations(("h",), lambda F, drives, s, p: dict(h=F.sigmoid(drives[0]))),
    "elman_relu": Equations(("h",), lambda F, drives, s, p: dict(h=F.relu(drives[0]))),
    "lstm_1997": Equations(("c", "h"), _lstm_1997),
    "lstm": Equations(("c", "h"), _lstm),
    "peephole": Equations(("c", "h"), _peephole),
    "coupled": Equations(("c", "h"), _coupled),
    "gru": Equations(("h",), _gru, joined=False),
    "mingru": Equations(("h",), _mingru, before=_mingru_before),
    "slstm": Equations(("m", "c", "n", "h"), _slstm),
}
