"""Requests that the native engine does not serve: the plain engine runs, and one warning names the reason."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from gatescope import Intervention, define, patch
from gatescope import engine as engines
from gatescope.engine import Engine, Parameters, native
from gatescope.equations import sigmoid, tanh
from tests.engine.problems import Problem, identical, make
from tests.networks import numbers

pytestmark = pytest.mark.usefixtures("compiled")


@pytest.fixture
def no_earlier_warnings() -> Iterator[None]:
    """Let the engines warn again, although they warn only once per process."""
    warn: Any = inspect.unwrap(engines._warn_of_plain, stop=lambda f: hasattr(f, "cache_clear"))
    warn.cache_clear()
    yield
    warn.cache_clear()


def assert_served_by_plain(problem: Problem, reason: str, changes: Sequence[Intervention] = ()) -> None:
    """Assert that the plain engine runs: silently for "auto", with one warning for "native"."""
    expected = problem.forward("plain", None, changes)
    identical(problem.forward("auto", None, changes), expected)
    with pytest.warns(RuntimeWarning, match=f"{reason}.* The plain engine runs instead") as caught:
        results = [problem.forward("native", None, changes) for _ in range(2)]
    for result in results:
        identical(result, expected)
    assert len(caught) == 1


@pytest.mark.usefixtures("no_earlier_warnings")
def test_unserved_cell_runs_on_plain_engine() -> None:
    @define(paper="")
    def leaky(x, u, p, s):
        keep = sigmoid(p.keep)
        return dict(h=keep * s.h + (1 - keep) * tanh(x.h + u.h))

    weights = Parameters(numbers(1, 1, 3, 2), numbers(2, 1, 3), numbers(3, 1, 3, 3), numbers(4, 1, 3))
    assert_served_by_plain(Problem(leaky, weights, numbers(5, 4, 2, 2)), "no C.. for the equations of leaky")


@pytest.mark.usefixtures("no_earlier_warnings")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_unserved_precision_runs_on_plain_engine(dtype: torch.dtype) -> None:
    kind = str(dtype).removeprefix("torch.")
    assert_served_by_plain(make("gru", 3, 2, 2, 3).to(dtype), f"float32 or in float64, .*the tensors are {kind}")


@pytest.mark.usefixtures("no_earlier_warnings")
def test_unserved_gradient_of_intervention_values() -> None:
    values = numbers(1, 4, 3).requires_grad_()
    problem = make("lstm", 4, 2, 2, 3)
    assert_served_by_plain(
        problem, "no gradients for the values of an intervention", [patch(0, "c", slice(None), values)]
    )
    results = problem.forward("auto", None, [patch(0, "c", slice(None), values)])
    assert torch.autograd.grad(results["h"].sum(), values)[0].abs().min() > 0


@pytest.mark.usefixtures("no_earlier_warnings")
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")  # torch.func's own
def test_unserved_torch_func_runs_on_plain_engine() -> None:
    """vmap, jacfwd and jacrev run on the plain engine, even if the native one is requested."""
    problem = make("lstm", 3, 2, 2, 4)

    def hidden(x: Tensor, engine: Engine = "auto") -> Tensor:
        return replace(problem, inputs=x).forward(engine, ("h",))["h"]

    batch = numbers(3, 5, 3, 2, 2)
    torch.testing.assert_close(torch.func.vmap(hidden)(batch), torch.stack([hidden(x, "plain") for x in batch]))
    expected = torch.autograd.functional.jacobian(hidden, batch[0])
    torch.testing.assert_close(torch.func.jacfwd(hidden)(batch[0]), expected)
    torch.testing.assert_close(torch.func.jacrev(hidden)(batch[0]), expected)


@pytest.mark.usefixtures("no_earlier_warnings")
def test_missing_library_warns_once_and_runs_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_native", None)
    monkeypatch.setattr(native, "_problem", "No module of this name.")
    monkeypatch.setattr(native, "_plans", {})
    warn: Any = inspect.unwrap(native._warn_of_missing, stop=lambda f: hasattr(f, "cache_clear"))
    warn.cache_clear()
    problem = make("lstm", 4, 3, 2, 5)
    with pytest.warns(
        RuntimeWarning, match=r"No module of this name\..*install a C\+\+17 compiler.*scripts/install"
    ) as caught:
        values, _ = problem.forward("auto"), problem.gradients("auto")
    assert len(caught) == 1
    identical(values, problem.forward("plain"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        identical(problem.forward("native"), values)
        identical(problem.forward("native"), values)
    assert [str(warning.message) for warning in caught] == ["No module of this name. The plain engine runs instead."]
    assert not native.available()
