"""Static sites: relative, complete, and never in the place of something else."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from gatescope.explorer.gallery import Gallery
from gatescope.explorer.live import LiveFileError, LiveOptions, LiveRun, live_run, write_site
from gatescope.explorer.live.container import Container
from gatescope.explorer.live.program import LIVE_FILES, STATIC
from gatescope.explorer.live.site import POLICY
from gatescope.explorer.playground import FILES, playground_file
from gatescope.runs import Run


def lives(runs: Path, *names: str) -> list[LiveRun]:
    return [live_run(Run(runs / name), LiveOptions(passages=0)) for name in names]


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_site_has_a_data_file_for_each_run(runs: Path, tmp_path: Path) -> None:
    written = lives(runs, "counter", "text")
    site = write_site(written, tmp_path / "site")
    index = json.loads((tmp_path / "site/runs.json").read_text(encoding="utf-8"))
    assert index["files"] == ["runs/counter.data", "runs/text.data"]
    for name, live in zip(index["files"], written, strict=True):
        content = gzip.decompress((tmp_path / "site" / name).read_bytes())
        assert content == live.container().to_bytes()
        assert Container.from_bytes(content, name).data["runs"][0]["run"]["name"] == live.data["run"]["name"]
    total = sum(map(len, files_of(tmp_path / "site").values()))
    assert site.program_bytes + sum(site.data_bytes.values()) == total


def test_list_of_runs_is_that_of_the_server(runs: Path, tmp_path: Path) -> None:
    """The summaries of a site have the fields and values that the server answers with."""
    write_site(lives(runs, "counter", "labels"), tmp_path / "site")
    index = json.loads((tmp_path / "site/runs.json").read_text(encoding="utf-8"))
    served = {summary["name"]: summary for summary in Gallery([runs]).summaries()}
    for summary in index["runs"]:
        expected = json.loads(json.dumps(served[summary["name"]]))
        assert summary.keys() == expected.keys()
        assert summary["layers"] == expected["layers"]
        assert summary["readout"] == expected["readout"]


def test_site_is_the_same_every_time(runs: Path, tmp_path: Path) -> None:
    for place in ("one", "two"):
        write_site(lives(runs, "counter", "text"), tmp_path / place)
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def test_page_of_a_site_has_its_own_policy(runs: Path, tmp_path: Path) -> None:
    write_site(lives(runs, "counter"), tmp_path)
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert '<meta name="gatescope-host" content="site">' in page
    assert re.findall(r'Content-Security-Policy" content="([^"]*)"', page) == [POLICY]
    assert "unsafe-inline" not in page
    assert "'unsafe-eval'" not in page
    for address in re.findall(r'(?:src|href)="([^"]*)"', page):
        assert address.startswith("./")
        assert (tmp_path / address).is_file()


def test_program_has_every_file_that_the_page_loads(runs: Path, tmp_path: Path) -> None:
    write_site(lives(runs, "counter"), tmp_path)
    built = {path.name for path in STATIC.iterdir()}
    assert set(files_of(tmp_path)) == built - LIVE_FILES | {
        "runs.json",
        "runs/counter.data",
        *(f"bundles/{name}.json" for name in FILES),
    }


def test_existing_file_is_not_replaced(runs: Path, tmp_path: Path) -> None:
    for name in ("index.html", "runs/counter.data", "kernels.wasm"):
        folder = tmp_path / name.replace("/", "-")
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("mine")
        with pytest.raises(LiveFileError, match=name):
            write_site(lives(runs, "counter"), folder)
        assert files_of(folder) == {name: b"mine"}


def test_run_directory_is_not_taken_for_the_folder(copy_of: Callable[[str], Run]) -> None:
    run = copy_of("counter")
    before = files_of(run.path)
    for overwrite in (False, True):
        with pytest.raises(LiveFileError, match="Name the folder of the site first"):
            write_site([live_run(run, LiveOptions(passages=0))], run.path, overwrite=overwrite)
    assert files_of(run.path) == before


def test_overwriting_removes_the_data_of_the_earlier_site_alone(runs: Path, tmp_path: Path) -> None:
    site, outside = tmp_path / "site", tmp_path / "outside.data"
    write_site(lives(runs, "counter", "text"), site)
    outside.write_text("mine")
    (site / "runs/mine.txt").write_text("mine")
    index = json.loads((site / "runs.json").read_text(encoding="utf-8"))
    index["files"] += ["../outside.data", str(outside), "runs/../../outside.data", "runs/mine.txt", 3, None]
    (site / "runs.json").write_text(json.dumps(index), encoding="utf-8")
    write_site(lives(runs, "text"), site, overwrite=True)
    assert outside.read_text() == "mine"
    assert sorted(path.name for path in (site / "runs").iterdir()) == ["mine.txt", "text.data"]


def test_runs_of_one_name_stay_apart(runs: Path, tmp_path: Path) -> None:
    """Equal names, and names that only differ where a file name cannot."""
    (live,) = lives(runs, "counter")
    write_site([live, live.renamed("counter"), live.renamed("a/b"), live.renamed("a:b"), live.renamed("A_B")], tmp_path)
    index = json.loads((tmp_path / "runs.json").read_text(encoding="utf-8"))
    names = [summary["name"] for summary in index["runs"]]
    assert names == ["counter", "counter (2)", "a/b", "a:b", "A_B"]
    assert len({file.casefold() for file in index["files"]}) == 5
    for name, file in zip(names, index["files"], strict=True):
        content = gzip.decompress((tmp_path / file).read_bytes())
        assert Container.from_bytes(content, file).data["runs"][0]["run"]["name"] == name


def test_file_in_place_of_the_folder_is_refused(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "site").write_text("mine")
    with pytest.raises(LiveFileError, match="site"):
        write_site(lives(runs, "counter"), tmp_path / "site")
    assert (tmp_path / "site").read_text() == "mine"


def test_site_has_the_files_of_the_playground(runs: Path, tmp_path: Path) -> None:
    write_site(lives(runs, "counter"), tmp_path / "site")
    for name in FILES:
        assert (tmp_path / "site/bundles" / f"{name}.json").read_bytes() == playground_file(name)
