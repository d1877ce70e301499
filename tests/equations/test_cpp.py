"""The C++ structs, compiled and run on plain numbers, against torch's equations and autograd; and their text."""

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
from gatescope.equations import join_drives, key, relu, reverse, sigmoid, source, tanh
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

# A cell's name, the signal to change (-1: none), scale and shift, and all that is read, one line; results, one line.
# Backward's results take the place of what it reads: they are stored last.
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
    double* kept;

    double operator()(int k, double value) const {
        kept[k] = value;
        return k == which ? scale * value + shift : value;
    }
    double before(int k, double value) const { return k == which || value == kept[k] ? kept[k] : NAN; }
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
    double kept[32], drive[32], state[32], parameter[32], gradient[32], signal[32], residual[32];
    Change change{-1, 1, 0, kept};
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
    """As C++ numbers them; "k" is x.k + u.k."""
    joined = join_drives(cell.tape)[1]
    alone = [[f"{side}.{k}" for k in names if k not in joined] for side, names in sides(cell)]
    return [*alone[0], *joined, *alone[1]]


def sides(cell: Cell) -> list[tuple[str, tuple[str, ...]]]:
    return [("x", cell.tape.input_drives), ("u", cell.tape.recurrent_drives)]


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
class Question:
    """One step of single numbers."""

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

    def answer(self) -> list[float]:
        """Of torch, of the equations as they were written: what is joined has the derivative of both."""
        drive = dict(self.read["drive"])
        for k in join_drives(self.cell.tape)[1]:
            drive[f"x.{k}"] = drive.pop(k) * 0.75
            drive[f"u.{k}"] = drive[f"x.{k}"] / 3
        states = {k: self.read["state"][k] for k in labels(self.cell.tape, "state")}
        step = forward(self.cell.tape, {**self.read, "drive": drive, "state": states}, self.changes)
        found = by_autograd(step, self.gradients)
        either = {**found["drive"], **{name[2:]: value for name, value in found["drive"].items()}}
        none = torch.zeros(())
        return [
            *(float(step.signals[k]) for k in self.cell.signals),
            *(float(either[k]) for k in drives_of(self.cell)),
            *(float(found["state"].get(k, none)) for k in self.cell.states),
            *(float(found["parameter"][k]) for k in self.cell.tape.parameters),
        ]


def question(cell: Cell, seed: int, changes: Changes) -> Question:
    random = torch.Generator().manual_seed(seed)

    def numbers(names: Any) -> Values:
        return {k: torch.randn((), generator=random, dtype=torch.float64) for k in names}

    states = {k: value.abs() + 0.5 for k, value in numbers(cell.states).items()}
    read = {"drive": numbers(drives_of(cell)), "state": states, "parameter": numbers(cell.tape.parameters)}
    return Question(cell, changes, read, numbers(cell.signals))


@pytest.mark.parametrize("name", TESTED)
def test_compiled_steps_agree_with_torch(program: Path, name: str) -> None:
    cell = TESTED[name]
    each = [{signal: change} for signal in cell.tape.stops.values() for change in ((0.5, 0.1), (0.0, 0.7))]
    asked = [question(cell, seed, changes) for seed, changes in enumerate([{}, {}, {}, *each])]
    done = subprocess.run(
        [program], input="".join(one.line() for one in asked), capture_output=True, text=True, check=True
    )
    answers = [[float(number) for number in line.split()] for line in done.stdout.splitlines()]
    assert len(answers) == len(asked)
    for one, answer in zip(asked, answers, strict=True):
        assert answer == pytest.approx(one.answer(), rel=1e-12, abs=1e-12), one.changes


# --- the text --------------------------------------------------------------------------------------------------------


def test_the_committed_header_is_the_one_that_the_cells_give() -> None:
    path = Path(__file__).parents[2] / "native" / "cells.hpp"
    assert path.read_text(encoding="utf-8") == header()
    assert max(map(len, header().splitlines())) <= 120


@cache
def header() -> str:
    return source(CELLS.values())


def constant_of(name: str, constant: str) -> str:
    struct = header().partition(f"\nstruct {name} {{")[2]
    found = re.search(rf"\b{constant}(?:\[\])? = ([^,;{{]+|{{.*?}})", struct)
    assert found
    return found[1]


@pytest.mark.parametrize("name", EACH_CELL)
def test_the_constants_say_what_the_cell_is(name: str) -> None:
    cell = CELLS[name]
    tape, joined = join_drives(cell.tape)
    assert constant_of(name, "key") == f'"{key(cell.tape)}"'
    assert constant_of(name, "name") == f'"{name}"'
    assert int(constant_of(name, "input_alone")) == len(cell.tape.input_drives) - len(joined)
    assert int(constant_of(name, "joined")) == len(joined)
    assert int(constant_of(name, "recurrent_alone")) == len(cell.tape.recurrent_drives) - len(joined)
    assert int(constant_of(name, "parameters")) == len(cell.tape.parameters)
    assert int(constant_of(name, "residuals")) == len(reverse(tape).residuals)
    assert cell.signals[int(constant_of(name, "hidden"))] == "h"
    states = [cell.signals.index(state) for state in cell.states]
    assert constant_of(name, "state_signal") == "{" + ", ".join(map(str, states or [-1])) + "}"


def test_the_numbers_of_drives_and_residuals() -> None:
    assert drives_of(CELLS["gru"]) == ["x.n", "r", "z", "u.n"]
    assert constant_of("gru", "residual_drive") == "{3}"
    assert constant_of("slstm", "residual_drive") == "{2, 3}"
    assert drives_of(CELLS["slstm"]) == ["g", "o", "f", "i"]
    assert constant_of("lstm", "residual_drive") == "{-1}"


def test_a_key_belongs_to_one_set_of_equations() -> None:
    keys = {key(cell.tape) for cell in TESTED.values()}
    assert len(keys) == len(TESTED)
    assert all(re.fullmatch("[0-9a-f]{16}", one) for one in keys)
    assert key(join_drives(CELLS["lstm"].tape)[0]) not in keys


def test_the_order_of_computation_is_kept() -> None:
    @define(paper="")
    def ordered(x: Any, u: Any, p: Any, s: Any) -> dict[str, Any]:
        return dict(h=x.a + (x.b - (x.c - x.d)) * (x.e / (x.f * x.g)) - -(x.a * x.b))

    assert "x_a + (x_b - (x_c - x_d)) * (x_e / (x_f * x_g)) - (-x_a * x_b)" in source([ordered])


def test_names_are_spelled_so_that_cpp_can_take_them() -> None:
    text = source([union])
    assert "#define GATESCOPE_CELLS(X) \\\n    X(union_)\n" in text
    assert 'name = "union";' in text
    assert "const V new_ = change(" in text
