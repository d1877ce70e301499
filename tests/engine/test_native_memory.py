"""The memory, threads and forked processes of the native engine."""

from __future__ import annotations

import gc
import multiprocessing
import threading
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gatescope.engine import native
from tests.engine.problems import FLOAT64, Problem, agree, identical, make

pytestmark = pytest.mark.usefixtures("compiled")


def memory_of(problem: Problem) -> tuple[int, dict[str, Tensor]]:
    """Return the bytes that a run took from the engine's pool, including its results, and copies of the results."""
    assert native._native is not None
    gc.collect()
    native._native.release()
    results = problem.forward(keep=("h",))
    copies = {name: value.detach().clone() for name, value in results.items()}
    del results  # returns its memory to the pool
    return native._native.release(), copies


def test_native_memory_is_proportional_to_keep() -> None:
    """Without gradients, one array of 8 MiB; with gradients, the six signals that backward reads."""
    problem = make("lstm", 1024, 16, 4, 128, state=False).to(torch.float32)
    array_bytes = 1024 * 16 * 128 * 4
    taken, values = memory_of(problem)
    assert array_bytes <= taken < 1.5 * array_bytes
    with_gradients, _ = problem.leaves()
    taken, same_values = memory_of(with_gradients)
    assert 6 * array_bytes <= taken < 6.5 * array_bytes
    identical(same_values, values)


def test_native_pooled_memory_is_not_shared() -> None:
    problem = make("gru", 300, 16, 4, 64).to(torch.float32)
    other = make("gru", 300, 16, 4, 64, seed=9).to(torch.float32)
    assert native.POOLED_BYTES <= 300 * 16 * 64 * 4
    first = problem.forward()
    copies = {name: value.clone() for name, value in first.items()}
    gradients = problem.gradients()
    for _ in range(3):
        other.forward()
        other.gradients()
        identical(first, copies)
        identical(problem.gradients(), gradients)
    del first
    identical(problem.forward(), copies)


def test_native_large_final_states_agree() -> None:
    """With 600 rows, a single state is large enough to come from the pool."""
    problem = make("lstm", 3, 600, 2, 70).to(torch.float32)
    assert native.POOLED_BYTES <= 600 * 70 * 4
    agree(problem.forward(), problem.forward("plain"), 2e-6)
    agree(problem.gradients(), problem.gradients("plain"), 1e-5)


def test_native_view_keeps_its_result_alive() -> None:
    problem = make("lstm", 300, 16, 4, 64).to(torch.float32)
    part = problem.forward()["h"][7]
    copy = part.clone()
    for seed in range(3):
        make("lstm", 300, 16, 4, 64, seed=seed + 1).to(torch.float32).forward()
    assert torch.equal(part, copy)


def test_native_runs_in_several_python_threads(with_threads: Any) -> None:
    with_threads(2)
    problems = [make(name, 40, 6, 5, 70, seed) for seed, name in enumerate(("lstm", "gru", "slstm", "mingru"))]
    expected = [(problem.forward(), problem.gradients()) for problem in problems]
    results: list[list[tuple[dict[str, Tensor], dict[str, Tensor]]]] = [[] for _ in problems]

    def work(k: int) -> None:
        results[k].extend((problems[k].forward(), problems[k].gradients()) for _ in range(6))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(len(problems))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for runs, (values, gradients) in zip(results, expected, strict=True):
        assert len(runs) == 6
        for run_values, run_gradients in runs:
            identical(run_values, values)
            agree(run_gradients, gradients, FLOAT64)


def _in_a_child(problem: Problem, pipe: Any) -> None:
    torch.set_num_threads(2)
    results = problem.forward() | problem.gradients()
    pipe.send_bytes(b"".join(value.detach().numpy().tobytes() for value in results.values()))


# Python 3.12 warns of every fork in a process with threads; this test checks that the engine supports it.
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_native_runs_in_a_forked_process(with_threads: Any) -> None:
    with_threads(2)
    # For arrays of this size torch starts no threads of its own; its OpenMP library does not survive a fork.
    problem = make("lstm", 40, 8, 5, 70)
    results = problem.forward() | problem.gradients()  # starts the threads of the parent
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_in_a_child, args=(problem, sender), daemon=True)
    child.start()
    assert receiver.poll(60)
    received = np.frombuffer(receiver.recv_bytes())
    child.join(60)
    assert child.exitcode == 0
    expected = np.concatenate([value.detach().numpy().ravel() for value in results.values()])
    np.testing.assert_allclose(received, expected, rtol=1e-10, atol=1e-10)
