"""The reader of HDF5 gives what h5py gives, and no changed byte makes it take memory or time."""

from __future__ import annotations

import resource
import subprocess
import sys
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from gatescope.adopting import AdoptingError, read
from gatescope.adopting.hdf5 import Dataset, Group, Hdf5Error, Hdf5File
from tests.adopting.test_keras import drawn, keras2, layers_of, sequential
from tests.waiting import PATIENCE

SPOILT = (b"\xff" * 8, bytes(8), b"\0\0\0\x40\0\0\0\0", b"\xff", b"\x00")
PACKED: list[dict[str, Any]] = [
    {},
    {"compression": "gzip"},
    {"compression": "gzip", "shuffle": True, "fletcher32": True, "chunks": (3, 2)},
    {"chunks": (7, 5)},
]


def arrays(group: Group) -> dict[str, np.ndarray]:
    values: dict[str, np.ndarray] = {}
    for name, entry in group.items():
        values |= {name: entry.read()} if isinstance(entry, Dataset) else arrays(entry)
    return values


@pytest.mark.parametrize(
    ("version", "ordered", "count"), list(product(["earliest", "v108", "latest"], [False, True], [3, 12, 70]))
)
def test_hdf5_of_every_version_reads_like_h5py(version: Any, ordered: bool, count: int, tmp_path: Path) -> None:
    """Groups in headers, in B-trees and in heaps, floats of four kinds, and attributes of text."""
    random, path = np.random.default_rng(count), tmp_path / "m.h5"
    with h5py.File(path, "w", libver=version, track_order=ordered) as file:
        group = file.create_group("layers/inside", track_order=ordered)
        for k in range(count):
            value = random.normal(size=(1 + k % 5, 3)).astype(("f2", "f4", "f8", ">f4")[k % 4])
            group[f"array {k} {'x' * (k % 40)}"] = value
        file.attrs["long"] = "äö" * 30_000
        file.attrs["fixed"], file.attrs["several"] = np.array([b"a", b"bcd"]), ["x", "", "yy"]
        file.attrs["number"] = 3
        expected = {name: value[()].astype("f4") for name, value in group.items()}
    root = Hdf5File(path.read_bytes()).root()
    assert root.attributes == {"long": ["äö" * 30_000], "fixed": ["a", "bcd"], "several": ["x", "", "yy"], "number": []}
    values = arrays(root)
    assert values.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(values[name], value)


@pytest.mark.parametrize("options", PACKED)
def test_hdf5_of_packed_arrays_reads_like_h5py(options: dict[str, Any], tmp_path: Path) -> None:
    value = np.random.default_rng(0).normal(size=(11, 13)).astype("f")
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.create_dataset("value", data=value, **options)
    np.testing.assert_array_equal(arrays(Hdf5File((tmp_path / "m.h5").read_bytes()).root())["value"], value)


def test_hdf5_chunk_of_64_mb_in_a_small_file_is_bounded(tmp_path: Path) -> None:
    """64 MB in 100 kB are within what a file may claim."""
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.create_dataset("value", data=np.zeros((4096, 4096), "f"), compression="gzip", chunks=(4096, 4096))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with suppress(Hdf5Error):
        arrays(Hdf5File((tmp_path / "m.h5").read_bytes()).root())
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400 << 10


def test_hdf5_chunk_larger_than_its_array_is_refused(tmp_path: Path) -> None:
    """A chunk of 64 MB for four numbers belongs to no trained network."""
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.create_dataset("value", data=np.zeros((2, 2), "f"), chunks=(1 << 12, 1 << 12), maxshape=(None, None))
    with pytest.raises(Hdf5Error, match=r"expected chunks for 16 bytes, got 1 of 67,108,864 bytes"):
        arrays(Hdf5File((tmp_path / "m.h5").read_bytes()).root())


READ_SPOILT = """
import resource, sys
from contextlib import suppress
from pathlib import Path
from gatescope.adopting import AdoptingError, read

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

path, calls = Path(sys.argv[1]), 0
whole = path.read_bytes()
read(path)
before = peak()
for spoilt in map(bytes.fromhex, sys.argv[2:]):
    for place in range(0, len(whole), 8 * (1 + len(whole) // 800)):
        path.write_bytes(whole[:place] + spoilt + whole[place + len(spoilt) :])
        calls += 1
        with suppress(AdoptingError):
            read(path)
print(calls, peak() - before)
"""


@pytest.mark.parametrize("version", ["earliest", "latest"])
def test_hdf5_with_a_changed_size_takes_no_memory(version: Any, tmp_path: Path) -> None:
    """Places all over the file are spoilt in turn: a sentence or the weights, and never 100 MB.

    It runs in a process of its own, whose peak of memory is not that of other tests, and without the type checker
    around every function, which would take ten times as long.
    """
    layers = layers_of(("rnn", "LSTM", drawn("LSTM", 5, 0)))
    path = keras2(tmp_path / "m.h5", layers, sequential(layers))
    if version == "latest":
        with h5py.File(path) as old, h5py.File(tmp_path / "n.h5", "w", libver="latest") as new:
            old.copy("model_weights", new)
        path = tmp_path / "n.h5"
    command = [sys.executable, "-c", READ_SPOILT, str(path), *(spoilt.hex() for spoilt in SPOILT)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE)
    calls, grown = map(int, ran.stdout.split())
    assert calls > 400
    assert grown < 100 << 10


def test_hdf5_groups_that_hold_each_other_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "m.h5", "w") as file:
        for k in range(7):
            file.create_group(f"g{k}")
        for k, name in product(range(6), "abcdefgh"):
            file[f"g{k}/{name}"] = file[f"g{k + 1}"]
    with pytest.raises(AdoptingError, match=r"m\.h5: .*got a second name"):
        read(tmp_path / "m.h5")
