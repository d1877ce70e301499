"""The C++ structs: compiled and run on numbers, against torch's equations and autograd; and their text."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from gatescope import CELLS, Cell, define
from gatescope.equations import drive_order, key, relu, reverse, sigmoid, source, tanh
from tests.equations.backward import Changes, Values, by_autograd, forward, labels
from tests.networks import EACH_CELL

COMPILER = next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)


@define(paper="", title="A cell whose names mean\nsomething in C++ \\")
def union(x: Any, u: Any, p: Any, s: Any) -> dict[str, Any]:
    new = sigmoid(x.new + u.new) - (x.double - (u.relu - 3))
    t0 = new * (s.new * (p.int + 1e-7)) + (x.t1 + u.t1)
    signal = -t0 / (2.5 + tanh(t0) * tanh(t0)) - -new
    return dict(new=new, x_double=x.double, t0=t0, signal=signal, s_new=s.new, h=relu(signal) * 0.5, h_=t0)


@define(paper="")
def constants(x: Any, u: Any, p: Any, s: Any) -> dict[str, Any]:
    return dict(c=s.c, k=p.k, again=p.k, a=x.a, b=x.b + u.b, h=(1 - (x.b + u.b)) * x.a + p.k / 3 + s.c)


TESTED = {**CELLS, "union": union, "constants": constants}

# Reads one line per step: the cell's name, the signal to change (-1: none), scale, shift and all arguments. Prints one
# line of results. The results of the backward step replace its arguments, because they are stored last.
MAIN = r"""
#include <cmath>
#include <cstdio>
#include <cstring>

template <class V> V constant(double value) { return V(value); }
template <class V> V sigmoid(V x) { return 1 / (1 + std::exp(-x)); }
template <class V> V tanh_(V x) { return std::tanh(x); }
template <class V> V exp_(V x) { return std::exp(x); }
template <class V> V log_sigmoid(V x) { return -std::log1p(std::exp(-x)); }
template <class V> V relu(V x) { return x > 0 ? x : 0; }
template <class V> V positive(V x) { return x > 0 ? 1 : 0; }
template <class V> V maximum(V a, V b) { return a > b ? a : b; }
template <class V> V above(V a, V b) { return a > b ? 1 : a == b ? 0.5 : 0; }

#include "cells.hpp"

struct Change {
    int which;
    double scale, shift;
    double* values_before;

    double operator()(int k, double value) const {
        values_before[k] = value;
        return k == which ? scale * value + shift : value;
    }
    double before(int k, double value) const {
        return k == which || value == values_before[k] ? values_before[k] : NAN;
    }
    double back(int k, double value) const { return k == which ? scale * value : value; }
};

void read(double* into, int count) {
    for (int k = 0; k < count; ++k) if (std::scanf("%lf", into + k) != 1) into[k] = NAN;
}
void print(const double* from, int count) {
    for (int k = 0; k < count; ++k) std::printf(" %.17g", from[k]);
}

template <class Cell> void run() {
    constexpr int drives = Cell::input_alone + Cell::joined + Cell::recurrent_alone;
    double values_before[32], drive[32], state[32], parameter[32], gradient[32], signal[32], residual[32];
    Change change{-1, 1, 0, values_before};
    if (std::scanf("%d %lf %lf", &change.which, &change.scale, &change.shift) != 3) return;
    read(drive, drives);
    read(state, Cell::states);
    read(parameter, Cell::parameters);
    read(gradient, Cell::signals);
    for (int j = 0; j < Cell::residuals; ++j) residual[j] = drive[Cell::residual_drive[j]];
    Cell::forward(drive, state, parameter, signal, change);
    print(signal, Cell::signals);
    Cell::backward(signal, state, parameter, residual, gradient, signal, state, gradient, change);
    print(signal, drives);
    print(state, Cell::states);
    print(gradient, Cell::parameters);
    std::printf("\n");
}

int main() {
    char name[64];
    while (std::scanf("%63s", name) == 1) {
#define RUN(cell) if (!std::strcmp(name, cell::name)) run<cell>();
        GATESCOPE_CELLS(RUN)
    }
}
"""


def drives_of(cell: Cell) -> list[str]:
    """Return the drives in the order of the struct; "k" is x.k + u.k."""
    return list(drive_order(cell.tape).labels)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if COMPILER is None:
        pytest.skip("there is no C++ compiler")
    folder = tmp_path_factory.mktemp("cpp")
    (folder / "cells.hpp").write_text(source(TESTED.values()), encoding="utf-8")
    (folder / "main.cpp").write_text(MAIN, encoding="utf-8")
    strict = ["-std=c++17", "-O0", "-Wall", "-Wextra", "-Werror", "-Wshadow", "-pedantic"]
    done = subprocess.run(
        [COMPILER, *strict, "main.cpp", "-o", "main"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder / "main"


@dataclass
class StepCase:
    """One step on single numbers: its arguments and the expected results."""

    cell: Cell
    changes: Changes
    read: dict[str, Values]
    gradients: Values

    def line(self) -> str:
        numbers = [self.read["drive"][k] for k in drives_of(self.cell)]
        numbers += [self.read["state"][k] for k in self.cell.states]
        numbers += [self.read["parameter"][k] for k in self.cell.tape.parameters]
        numbers += [self.gradients[k] for k in self.cell.signals]
        change = (-1, 1.0, 0.0)
        for signal, (scale, shift) in self.changes.items():
            change = (self.cell.signals.index(signal), scale, shift)
        return " ".join(map(repr, (*change, *(float(number) for number in numbers)))).join((f"{self.cell.name} ", "\n"))

    def expected(self) -> list[float]:
        """Return torch's results for the original equations; a joined drive has the derivative of both drives."""
        drive = dict(self.read["drive"])
        for k in drive_order(self.cell.tape).joined:
            drive[f"x.{k}"] = drive.pop(k) * 0.75
            drive[f"u.{k}"] = drive[f"x.{k}"] / 3
        states = {k: self.read["state"][k] for k in labels(self.cell.tape, "state")}
        step = forward(self.cell.tape, {**self.read, "drive": drive, "state": states}, self.changes)
        gradients = by_autograd(step, self.gradients)
        d_drives = {**gradients["drive"], **{name[2:]: value for name, value in gradients["drive"].items()}}
        zero = torch.zeros(())
        return [
            *(float(step.signals[k]) for k in self.cell.signals),
            *(float(d_drives[k]) for k in drives_of(self.cell)),
            *(float(gradients["state"].get(k, zero)) for k in self.cell.states),
            *(float(gradients["parameter"][k]) for k in self.cell.tape.parameters),
        ]


def step_case(cell: Cell, seed: int, changes: Changes) -> StepCase:
    random = torch.Generator().manual_seed(seed)

    def numbers(names: Any) -> Values:
        return {k: torch.randn((), generator=random, dtype=torch.float64) for k in names}

    states = {k: value.abs() + 0.5 for k, value in numbers(cell.states).items()}
    read = {"drive": numbers(drives_of(cell)), "state": states, "parameter": numbers(cell.tape.parameters)}
    return StepCase(cell, changes, read, numbers(cell.signals))


@pytest.mark.parametrize("name", TESTED)
def test_compiled_step_agrees_with_torch(program: Path, name: str) -> None:
    cell = TESTED[name]
    changes = [{signal: change} for signal in cell.tape.stops.values() for change in ((0.5, 0.1), (0.0, 0.7))]
    cases = [step_case(cell, seed, change) for seed, change in enumerate([{}, {}, {}, *changes])]
    done = subprocess.run(
        [program], input="".join(case.line() for case in cases), capture_output=True, text=True, check=True
    )
    results = [[float(number) for number in line.split()] for line in done.stdout.splitlines()]
    assert len(results) == len(cases)
    for case, result in zip(cases, results, strict=True):
        assert result == pytest.approx(case.expected(), rel=1e-12, abs=1e-12), case.changes


# --- the text --------------------------------------------------------------------------------------------------------


def test_committed_header_is_up_to_date() -> None:
    path = Path(__file__).parents[2] / "native" / "cells.hpp"
    assert path.read_text(encoding="utf-8") == header()
    assert header().startswith("// Generated by gatescope.cells.generate ")
    assert max(map(len, header().splitlines())) <= 120


@cache
def header() -> str:
    return source(CELLS.values())


def constant_of(name: str, constant: str) -> str:
    struct = header().partition(f"\nstruct {name} {{")[2]
    match = re.search(rf"\b{constant}(?:\[\])? = ([^,;{{]+|{{.*?}})", struct)
    assert match
    return match[1]


@pytest.mark.parametrize("name", EACH_CELL)
def test_struct_constants_match_the_cell(name: str) -> None:
    cell = CELLS[name]
    order = drive_order(cell.tape)
    assert constant_of(name, "key") == f'"{key(cell.tape)}"'
    assert constant_of(name, "name") == f'"{name}"'
    assert int(constant_of(name, "input_alone")) == len(order.input_alone)
    assert int(constant_of(name, "joined")) == len(order.joined)
    assert int(constant_of(name, "recurrent_alone")) == len(order.recurrent_alone)
    assert int(constant_of(name, "parameters")) == len(cell.tape.parameters)
    assert int(constant_of(name, "residuals")) == len(reverse(order.tape).residuals)
    assert cell.signals[int(constant_of(name, "hidden"))] == "h"
    states = [cell.signals.index(state) for state in cell.states]
    assert constant_of(name, "state_signal") == "{" + ", ".join(map(str, states or [-1])) + "}"


def test_struct_residuals_are_numbered_like_drives() -> None:
    assert drives_of(CELLS["gru"]) == ["x.n", "r", "z", "u.n"]
    assert constant_of("gru", "residual_drive") == "{3}"
    assert constant_of("slstm", "residual_drive") == "{2, 3}"
    assert drives_of(CELLS["slstm"]) == ["g", "o", "f", "i"]
    assert constant_of("lstm", "residual_drive") == "{-1}"


def test_key_differs_for_different_equations() -> None:
    keys = {key(cell.tape) for cell in TESTED.values()}
    assert len(keys) == len(TESTED)
    assert all(re.fullmatch("[0-9a-f]{16}", value) for value in keys)
    assert key(drive_order(CELLS["lstm"].tape).tape) not in keys


def test_struct_keeps_the_order_of_computation() -> None:
    @define(paper="")
    def ordered(x: Any, u: Any, p: Any, s: Any) -> dict[str, Any]:
        return dict(h=x.a + (x.b - (x.c - x.d)) * (x.e / (x.f * x.g)) - -(x.a * x.b))

    assert "x_a + (x_b - (x_c - x_d)) * (x_e / (x_f * x_g)) - (-x_a * x_b)" in source([ordered])


def test_struct_avoids_reserved_names() -> None:
    text = source([union])
    assert "#define GATESCOPE_CELLS(X) \\\n    X(union_)\n" in text
    assert 'name = "union";' in text
    assert "const V new_ = change(" in text
