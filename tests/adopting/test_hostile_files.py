"""Damaged and malicious files: one sentence, nothing executed, memory bounded."""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from gatescope.adopting import AdoptingError, assemble, read, read_lstm_explorer, read_vocabulary
from gatescope.adopting.formats import KNOWN
from tests.adopting.models import IDS, VOCABULARY, arrays, assert_same, model
from tests.waiting import PATIENCE


class Executed:
    """Pickled, it would make a file when it is loaded."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.place),)


def good(folder: Path, form: str) -> Path:
    """Write a file that can be adopted."""
    path, source = folder / f"good.{form}", model()
    if form == "pt":
        torch.save(source.state_dict(), path)
    elif form == "safetensors":
        save_file(source.state_dict(), path)
    elif form == "npz":
        np.savez_compressed(path, allow_pickle=False, **arrays(source))
    return path


@pytest.mark.parametrize("form", ["pt", "safetensors", "npz"])
def test_a_file_cut_anywhere_is_one_sentence(form: str, tmp_path: Path) -> None:
    whole = good(tmp_path, form).read_bytes()
    path = tmp_path / f"cut.{form}"
    for size in {0, 1, 3, 4, 8, 9, 16, 100, len(whole) // 3, len(whole) // 2, len(whole) - 100, len(whole) - 1}:
        path.write_bytes(whole[:size])
        with pytest.raises(AdoptingError, match=f"cut.{form}"):
            read(path)


@pytest.mark.parametrize("form", ["pt", "safetensors", "npz"])
def test_changed_bytes_never_end_in_another_error(form: str, tmp_path: Path) -> None:
    whole = good(tmp_path, form).read_bytes()
    path, random = tmp_path / f"changed.{form}", np.random.default_rng(0)
    for _ in range(60):
        changed = bytearray(whole)
        for place in random.integers(0, len(whole), 8):
            changed[place] = random.integers(256)
        path.write_bytes(changed)
        with suppress(AdoptingError):
            read(path)


@pytest.mark.parametrize("content", [b"", b"\x00" * 64, b"GIF89a" + b"\x01" * 64, b"just some text\n" * 9])
def test_other_files(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other.bin"
    path.write_bytes(content)
    with pytest.raises(AdoptingError):
        read(path)
    assert ".onnx" in KNOWN


@pytest.mark.parametrize("name", ["nothing.pt", "folder"])
def test_places_without_a_file(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(AdoptingError, match=name):
        read(tmp_path / name)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_pickle_is_not_run(zipped: bool, tmp_path: Path) -> None:
    """Calls in a pickle become placeholders; the weights beside them are adopted."""
    place = tmp_path / "made"
    content = {"state_dict": model().state_dict(), "config": Executed(place)}
    torch.save(content, tmp_path / "m.pt", _use_new_zipfile_serialization=zipped)
    assert list(read(tmp_path / "m.pt").stacks) == ["rnn"]
    assert not place.exists()
    (tmp_path / "bare.pt").write_bytes(pickle.dumps(Executed(place)))
    with pytest.raises(AdoptingError, match="expected tensors under names"):
        read(tmp_path / "bare.pt")
    assert not place.exists()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
def test_a_whole_pickled_model_is_its_state_dict(zipped: bool, tmp_path: Path) -> None:
    """Its classes stay placeholders; parameters and persistent buffers have the names of model.state_dict()."""
    torch.save(model(), tmp_path / "m.pt", _use_new_zipfile_serialization=zipped)
    assert_same(assemble(read(tmp_path / "m.pt"), VOCABULARY).network, model()(IDS).detach())


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_a_torchscript_program_is_refused_with_advice(tmp_path: Path) -> None:
    """Its code is compressed, which a state dict never is: what it is comes first."""
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 3)), tmp_path / "m.pt")
    with pytest.raises(AdoptingError, match=r"TorchScript program.*state_dict\(\)"):
        read(tmp_path / "m.pt")


def test_pickled_objects_in_npz_are_not_read(tmp_path: Path) -> None:
    place = tmp_path / "made"
    objects = np.array([Executed(place)], dtype=object)
    np.savez(tmp_path / "m.npz", allow_pickle=True, **arrays(model()), objects=objects)
    assert list(read(tmp_path / "m.npz").stacks) == ["rnn"]
    assert not place.exists()


def bomb(path: Path, name: str, size: int, header: bytes = b"") -> Path:
    """Write an archive with an entry of zeros that is compressed a thousandfold."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive, archive.open(name, "w") as file:
        file.write(header)
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))
    return path


def npy_header(shape: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def repeated(shape: tuple[int, int]) -> torch.Tensor:
    return torch.zeros(1).expand(shape)


@pytest.fixture
def attacks(tmp_path: Path) -> list[Path]:
    """Return small files that claim to hold gigabytes."""
    paths = [bomb(tmp_path / "bomb.npz", "weight_hh_l0.npy", 512 << 20, npy_header((1 << 14, 1 << 13)))]
    paths.append(bomb(tmp_path / "bomb.pt", "m/data.pkl", 512 << 20))
    with zipfile.ZipFile(tmp_path / "absurd.npz", "w") as archive:
        archive.writestr("weight_hh_l0.npy", npy_header((1 << 20, 1 << 20)) + bytes(64))
    paths.append(tmp_path / "absurd.npz")
    torch.save(OrderedDict(weight_hh_l0=repeated((1 << 17, 1 << 15))), tmp_path / "repeated.pt")
    paths.append(tmp_path / "repeated.pt")
    header = json.dumps({"weight_hh_l0": {"dtype": "F32", "shape": [1 << 20, 1 << 20], "data_offsets": [0, 1 << 42]}})
    (tmp_path / "absurd.safetensors").write_bytes(len(header).to_bytes(8, "little") + header.encode() + bytes(64))
    paths.append(tmp_path / "absurd.safetensors")
    allocation = b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R."  # bytearray(2**31 - 1)
    (tmp_path / "allocation.pt").write_bytes(allocation)
    paths.append(tmp_path / "allocation.pt")
    return paths


def test_files_that_say_they_hold_gigabytes_take_no_memory(attacks: list[Path]) -> None:
    code = (
        "import resource, sys\n"
        "from gatescope.adopting import AdoptingError, read\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for path in sys.argv[1:]:\n"
        "    try:\n"
        "        read(path)\n"
        "    except AdoptingError as error:\n"
        "        print(error)\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, *map(str, attacks)], capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    *sentences, grown = ran.stdout.splitlines()
    assert len(sentences) == len(attacks), ran.stdout
    for path, sentence in zip(attacks, sentences, strict=True):
        assert path.name in sentence
    assert int(grown) < 200  # MB, torch's own first use of its loader included


def test_json_that_is_nested_deeply(tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    path.write_text("[" * 100_000)
    with pytest.raises(AdoptingError, match=r"deep\.json"):
        read_vocabulary(path)
    with pytest.raises(AdoptingError, match=r"deep\.json"):
        read_lstm_explorer(path)


def test_state_dicts_that_are_nested_or_circular_are_refused(tmp_path: Path) -> None:
    content: dict[str, Any] = {}
    for _ in range(200):
        content = {"model": content}
    torch.save(content, tmp_path / "deep.pt")
    with pytest.raises(AdoptingError, match="expected tensors under names"):
        read(tmp_path / "deep.pt")
    circle: dict[str, Any] = {}
    circle["model"] = circle
    circle["again"] = circle
    torch.save(circle, tmp_path / "circle.pt")
    with pytest.raises(AdoptingError, match="expected tensors under names"):
        read(tmp_path / "circle.pt")


def test_state_dicts_that_refer_to_each_other_many_times_over(tmp_path: Path) -> None:
    content: dict[str, Any] = {"weight": torch.zeros(2)}
    for _ in range(6):
        content = {f"part{k}": content for k in range(200)}
    torch.save(content, tmp_path / "many.pt")
    read(tmp_path / "many.pt")  # each of them is looked at once


@pytest.mark.parametrize(("name", "content", "package"), [("m.onnx", b"\x08", "onnx")])
def test_a_missing_extra_is_named(
    name: str, content: bytes, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImportError, match=rf"pip install 'gatescope\[{package}\]'"):
        read(tmp_path / name)
