"""`gatescope export FILE.html`, `site`, `adopt FILE.html` and `explore FILE.html`."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from gatescope.runs import Run
from tests.cli.conftest import Cli
from tests.cli.test_explore import address
from tests.explorer.live.examples import read_apart
from tests.waiting import PATIENCE

MAX_COUNTER_BYTES = 600_000


def test_export_lists_what_leaves_before_it_writes(cli: Cli, run: Path) -> None:
    """The list comes before the line about the written file, and counts what is in it."""
    result = cli("export", "counter", "counter.html")
    assert (result.status, Path("counter.html").is_file()) == (0, True)
    listed, written = result.out.index("This leaves the machine"), result.out.index("counter.html: ")
    assert listed < result.out.index("3 examples of 200 characters") < written
    assert result.out.index("No path of this machine leaves it.") < written
    assert "gatescope label counter" in result.err
    (live,) = read_apart(Path("counter.html").read_bytes())[0]["runs"]
    assert live["run"]["name"] == "counter"


def test_live_file_of_the_counter_is_small(cli: Cli, run: Path) -> None:
    result = json.loads(cli("export", "counter", "counter.html", "--json").out)
    assert result["bytes"] == Path("counter.html").stat().st_size < MAX_COUNTER_BYTES
    assert result["sizes"]["total"] == sum(size for part, size in result["sizes"].items() if part != "total")
    assert result["leaves"]["examples"] == {"count": 3, "characters": 200}
    assert result["half"] is None


def test_export_options_reach_the_file(cli: Cli, run: Path) -> None:
    steps = Run(run).checkpoints()
    result = cli("export", "counter", "a.html", "--half", "--checkpoints", 1, "--passages", 0, "--json")
    content = json.loads(result.out)
    assert content["leaves"]["passages"]["count"] == 0
    assert content["leaves"]["steps"] == [steps[-1], Run(run).network()[1]]
    assert "float16" in content["half"]
    assert "float16" in cli("export", "counter", "b.html", "--half").out


def test_live_options_are_refused_for_other_formats(cli: Cli, run: Path) -> None:
    for option in (["--half"], ["--checkpoints", 2], ["--passages", 1], ["--without-text"]):
        assert str(option[0]) in cli("export", "counter", "counter.onnx", *option).refused()
    assert "--checkpoint" in cli("export", "counter", "counter.html", "--checkpoint", 0).refused()
    assert "-1" in cli("export", "counter", "counter.html", "--checkpoints", -1).refused()
    assert not list(Path().glob("counter.*"))


def test_existing_live_file_stays(cli: Cli, run: Path) -> None:
    Path("counter.html").write_text("mine")
    assert "--overwrite" in cli("export", "counter", "counter.html").refused()
    assert Path("counter.html").read_text() == "mine"
    assert cli("export", "counter", "counter.html", "--overwrite").status == 0
    assert "missing" in cli("export", "counter", "nowhere/counter.html").refused()


def test_adopt_makes_a_run_of_a_live_file(cli: Cli, run: Path) -> None:
    assert cli("export", "counter", "shared.html").status == 0
    assert "gatescope explore runs/shared" in cli("adopt", "shared.html").out
    assert cli("adopt", "shared.html", "--run", "runs/mine", "--json").status == 0
    expected = cli("predict", "counter", "aaX").out
    for name in ("shared", "mine"):
        assert cli("predict", name, "aaX").out == expected
    assert "runs/mine" in cli("adopt", "shared.html", "--run", "runs/mine").refused()


def test_adopt_refuses_other_options_and_pages(cli: Cli, run: Path) -> None:
    Path("page.html").write_text("<!doctype html><p>a page</p>")
    assert "another HTML page" in cli("adopt", "page.html").refused()
    assert "another HTML page" in cli("explore", "page.html", "--port", 0, "--no-browser").refused()
    assert "--vocabulary" in cli("adopt", "page.html", "--vocabulary", "bytes").refused()
    assert "missing.html" in cli("adopt", "missing.html").refused()
    assert not Path("runs/page").exists()


def test_explore_serves_a_copy_of_a_live_file(
    cli: Cli, program: Callable[..., subprocess.Popen[str]], run: Path
) -> None:
    assert cli("export", "counter", "counter.html").status == 0
    process = program("explore", "counter.html", "--port", 0, "--no-browser")
    page = address(process)
    with urllib.request.urlopen(page + "api/runs") as answer:
        assert [listed["name"] for listed in json.load(answer)["runs"]] == ["counter"]
    with urllib.request.urlopen(page + "api/token") as answer:
        headers = {"Origin": page.rstrip("/"), "X-Gatescope-Token": json.load(answer)["token"]}
    headers["Content-Type"] = "application/json"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(page + "api/runs/counter/delete", b"{}", headers))
    with refused.value as answer:
        assert json.load(answer)["code"] == "ACT_RUN_IS_COPY"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out.strip()) == (0, "Stopped.")
    assert "opened as a copy" in err
    assert sorted(path.name for path in Path().iterdir()) == ["counter.html", "runs"]


def test_hint_can_be_pasted_into_a_shell(cli: Cli, run: Path) -> None:
    name = 'a "b" $(c)'
    shutil.copytree(run, run.parent / name)
    result = cli("export", f"runs/{name}", "named.html", "--passages", 0)
    hint = re.search("`gatescope label (.*)`", result.out + result.err)
    assert hint is not None
    assert shlex.split(hint[1]) == [name]


def test_site_of_several_runs(cli: Cli, run: Path) -> None:
    assert cli("train", "copy", "--neurons", 3, "--steps", 2).status == 0
    result = cli("site", "site", "counter", "copy", "--passages", 0)
    assert result.status == 0
    assert result.out.count("This leaves the machine") == 2
    assert sorted(file.name for file in Path("site/runs").iterdir()) == ["copy.data", "counter.data"]
    before = {file: file.read_bytes() for file in Path("site").rglob("*") if file.is_file()}
    assert "--overwrite" in cli("site", "site", "counter").refused()
    assert before == {file: file.read_bytes() for file in Path("site").rglob("*") if file.is_file()}
    content = json.loads(cli("site", "site", "counter", "--overwrite", "--json").out)
    assert list(content["sizes"]["runs"]) == ["counter"]
    assert [file.name for file in Path("site/runs").iterdir()] == ["counter.data"]


def test_site_needs_runs_that_exist(cli: Cli, run: Path) -> None:
    assert "expected one or more" in cli("site", "site").refused()
    assert "countre" in cli("site", "site", "countre").refused()
    assert not Path("site").exists()
