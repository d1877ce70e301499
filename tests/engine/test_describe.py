"""What the native engine says of itself, and the memory that it gives back."""

import pytest
import torch

from gatescope import CELLS
from gatescope.engine import native, release_memory, run
from tests.networks import layer, numbers


@pytest.mark.usefixtures("compiled")
def test_what_there_is() -> None:
    about = native.describe()
    assert about.missing == ""
    assert about.level == about.levels[-1]
    assert about.levels[0] == "baseline"
    assert about.threads == torch.get_num_threads()


def test_without_it_the_description_says_why_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_native", None)
    monkeypatch.setattr(native, "_problem", "it was compiled for another Python")
    about = native.describe()
    assert "not there (it was compiled for another Python)" in about.missing
    assert "install a C++17 compiler" in about.missing
    assert (about.level, about.levels) == ("", ())
    assert native.unserved_cell(CELLS["lstm"]) == "it was compiled for another Python"
    assert release_memory() == 0


@pytest.mark.usefixtures("compiled")
def test_memory_that_nobody_uses_is_given_back() -> None:
    cell = CELLS["elman"]
    release_memory()
    inputs = numbers(0, 64, 8, 2)
    found, _ = run(cell, layer(cell, 2, 512, 0), inputs)  # h: 2 MiB
    size = found["h"].numel() * found["h"].element_size()
    release_memory()
    before = found["h"].clone()
    assert torch.equal(found["h"], before)  # what is in use stays
    del found
    assert release_memory() >= size
    assert release_memory() == 0
