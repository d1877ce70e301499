"""The description of the native engine, and releasing its memory."""

import pytest
import torch

from gatescope import CELLS
from gatescope.engine import native, release_memory, run
from tests.networks import layer, numbers


@pytest.mark.usefixtures("compiled")
def test_describe_compiled_engine() -> None:
    description = native.describe()
    assert description.missing == ""
    assert description.level == description.levels[-1]
    assert description.levels[0] == "baseline"
    assert description.threads == torch.get_num_threads()


def test_describe_missing_engine_says_how_to_build_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_native", None)
    monkeypatch.setattr(native, "_problem", "It was compiled for another Python.")
    description = native.describe()
    assert description.missing.startswith("It was compiled for another Python. The plain engine gives the same results")
    assert "install a C++17 compiler" in description.missing
    assert (description.level, description.levels) == ("", ())
    assert native.unserved_cell(CELLS["lstm"]) == "It was compiled for another Python."
    assert release_memory() == 0


@pytest.mark.usefixtures("compiled")
def test_release_memory_returns_only_unused_memory() -> None:
    cell = CELLS["elman"]
    release_memory()
    inputs = numbers(0, 64, 8, 2)
    results, _ = run(cell, layer(cell, 2, 512, 0), inputs)  # h: 2 MiB
    size = results["h"].numel() * results["h"].element_size()
    copy = results["h"].clone()
    release_memory()
    run(cell, layer(cell, 2, 512, 1), inputs)  # would overwrite memory that was released in use
    assert torch.equal(results["h"], copy)
    release_memory()
    del results
    assert release_memory() >= size
    assert release_memory() == 0
