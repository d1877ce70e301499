"""`gatescope label`, `probe`, `ablate`, `steer`, `passages`, `pattern`, `health` and `errors`."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatescope import Network, Run, clamp, configure, create_run, record, sample
from gatescope.cli import main
from gatescope.cli.output import count_of, format_number
from gatescope.studies import Table, load, subject
from gatescope.studies.common.relocations import Relocations
from gatescope.studies.patterns import near_misses, neurons_on
from gatescope.tasks import Text
from tests.cli.conftest import TEXT, Cli

QUICK = ("--chances", 50, "--characters", 400)
STRINGS = "aaXbb\naXb\naaaXbbb\naaaaXbbbb\n"


@pytest.fixture
def short_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the held-out strings that studies read by default."""
    monkeypatch.setattr("gatescope.studies.common.subjects.STRING_CHARACTERS", 600)


@pytest.fixture(scope="session")
def text_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of the task text, trained for 20 steps. Tests must not change it."""
    folder = tmp_path_factory.mktemp("text_run")
    (folder / "notes.txt").write_text(TEXT, encoding="utf-8")
    arguments = ["train", str(folder / "notes.txt"), "--neurons", "4", "--steps", "20", "--run", str(folder / "run")]
    assert main(arguments) == 0
    return folder / "run"


@pytest.fixture
def labelled(run: Path) -> Path:
    """Return the run with handwritten labels: neuron 0 follows "writing", neuron 1 a pair, neuron 2 a count."""
    columns = {"layer": "layer0", "signal": "h", "measure": "AUROC", "explained": 0.5, "score": 0.9, "title": "words"}
    features = ["task.writing", "character.letter & not character.is=a", "counts.a"]
    rows = [{**columns, "neuron": k, "feature": name} for k, name in enumerate(features)]
    rows[2]["measure"] = "R2"
    table = Table.of(rows, {name: name for name in rows[0]})
    from gatescope.studies import save

    save(Run(run), "labels", table)
    return run


def table_of(printed: str) -> Table:
    return Table.from_json(json.loads(printed))


def test_label_json_equals_the_library(cli: Cli, run: Path) -> None:
    from gatescope.studies import features_of
    from gatescope.studies.labels import Search, labels

    content = table_of(cli("label", "counter", *QUICK, "--signal", "c", "--lags", "0,-1", "--top", 2, "--json").out)
    held_out = subject(Run(run), characters=400)
    search = Search(lags=(0, -1), top=2, chances=50)
    with held_out.trace() as trace:
        expected = labels(trace, features_of(held_out, trace), signals=["c"], search=search)
    assert content.to_json() == expected.to_json()
    assert len(content) > 0


def test_label_prints_best_labels_or_all(cli: Cli, run: Path) -> None:
    content = table_of(cli("label", "counter", *QUICK, "--json").out)
    best: dict[int, float] = {}
    for row in content:
        best[row["neuron"]] = max(best.get(row["neuron"], 0.0), round(row["explained"], 3))
    short, long = cli("label", "counter", *QUICK), cli("label", "counter", *QUICK, "--all")
    rows = [line for line in short.out.split("\n\n")[1].splitlines()[1:] if line.strip()]
    assert sorted(int(row.split()[0]) for row in rows) == sorted(best)
    assert f"{len(best)} of 5 neurons have a label" in short.out
    assert f"{len(content) - len(best)} more label" in short.out
    assert len(long.out.split("\n\n")[1].splitlines()) == 1 + len(content)


def test_label_saves_default_results_only(cli: Cli, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli("label", "counter", *QUICK).status == 0
    assert load(Run(run), "labels") is None
    monkeypatch.setattr("gatescope.studies.common.subjects.STRING_CHARACTERS", 300)
    passed: dict[str, Any] = {}

    def fake_labels(trace: object, features: object, **settings: Any) -> Table:
        passed.update(settings)
        return Table.of([], {"neuron": "neuron"}, chance={"least": {}}, steps={"held_out": 1})

    monkeypatch.setattr("gatescope.studies.labels.labels", fake_labels)
    assert cli("label", "counter", "--json").status == 0
    assert load(Run(run), "labels") is not None
    assert passed["signals"] is None


def test_label_of_changing_weights_saves_nothing(cli: Cli, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatescope.studies.common.subjects.STRING_CHARACTERS", 300)

    def change_weights(*_: object, **__: object) -> Table:
        network, step = Run(run).network()
        weights = {name: value * 1.5 for name, value in network.state_dict().items()}
        Run(run).save_weights(weights, step + 1)
        return Table.of([], {"neuron": "neuron"})

    monkeypatch.setattr("gatescope.studies.labels.labels", change_weights)
    result = cli("label", "counter", "--json")
    assert "training has changed the weights" in result.err
    assert load(Run(run), "labels") is None


def test_label_accepts_own_features(cli: Cli, run: Path) -> None:
    own = ("--feature", "end=b$", "--feature", r"start=^a", "--only")
    content = table_of(cli("probe", "counter", *own, "--json").out)
    assert set(content["feature"]) <= {"expression.end", "expression.start"}
    assert len(content) > 0
    everything = table_of(cli("probe", "counter", *own[:-1], "--json").out)
    assert set(content["feature"]) < set(everything["feature"])


def test_label_accepts_a_trace_directory(cli: Cli, run: Path) -> None:
    cli("record", "counter", STRINGS * 8, "--out", "it", "--no-drives")
    for command in (("health",), ("probe",), ("passages", "--neuron", 1), ("label", "--chances", 20)):
        result = cli(command[0], "it", *command[1:], "--json")
        assert result.status == 0, result.err
        assert "holds its own text" in cli(command[0], "it", "aXb", *command[1:]).refused()
    assert cli("pattern", "it", "--range", 0, "--anywhere", "--sign", "both", "--threshold", 0.001).status == 0


def test_probe_describes_where_a_feature_is(cli: Cli, run: Path) -> None:
    content = table_of(cli("probe", "counter", "--characters", 1000, "--json").out)
    printed = cli("probe", "counter", "--characters", 1000, "--all").out
    features = list(dict.fromkeys(content["feature"]))
    lines = [
        line for line in printed.splitlines() if " in neuron" in line or "spread" in line or "not readable" in line
    ]
    assert len(lines) == len(features)
    row = next(row for row in content if row["verdict"] == row["size"] == 1)
    line = next(line for line in lines if line.startswith(row["title"]) and f"in neuron {row['neurons']}" in line)
    assert format_number(row["score"]) in line.split()


def test_ablate_equals_the_library(cli: Cli, labelled: Path) -> None:
    content = table_of(cli("ablate", "counter", "--characters", 200, "--json").out)
    assert set(content.where(feature="")["neuron"]) == {0, 1, 2, 3, 4}
    features = {(row["neuron"], row["feature"]) for row in content if row["feature"]}
    (count,) = features - {(0, "task.writing"), (1, "character.letter & not character.is=a")}
    assert count[0] == 2
    assert count[1].startswith("counts.a > ")  # the label is a count, which is on above its mean
    network, _ = Run(labelled).network()
    text = subject(Run(labelled), characters=200).text
    before, after = (
        np.nanmean(-record(network, text, interventions=changes).steps["log_probability"].astype(np.float64))
        for changes in ([], [clamp(0, "h", 3, _mean(network, text, 3))])
    )
    row = next(iter(content.where(feature="", neuron=3)))
    assert row["on"] == pytest.approx(after - before, abs=1e-5)
    assert row["loss_on"] == pytest.approx(before, abs=1e-5)
    printed = cli("ablate", "counter", "--characters", 200).out
    order = [int(line.split()[0]) for line in printed.split("\n\n")[1].splitlines()[1:]]
    overall = {row["neuron"]: row["on"] for row in content.where(feature="")}
    assert order == sorted(overall, key=lambda neuron: -overall[neuron])


def _mean(network: Network, text: str, neuron: int) -> float:
    values = record(network, text)["layer0"]["h"][:, :, neuron]
    return float(values[~np.isnan(values)].mean(dtype=np.float64))


def test_ablate_saves_default_results_only(cli: Cli, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatescope.cli.commands.ablate.CHARACTERS_OF_TEXT", 300)
    assert "gatescope label" in cli("ablate", "counter", "--neuron", 2, "--json").err
    assert load(Run(run), "ablation") is None
    content = table_of(cli("ablate", "counter", "--json").out)
    result = load(Run(run), "ablation")
    assert result is not None
    assert result.to_json() == content.to_json()


def test_ablate_holds_some_neurons_at_a_value(cli: Cli, run: Path) -> None:
    arguments = ("--characters", 100, "--neuron", 4, "--neuron", 1, "--to", "-0.25", "--signal", "c")
    content = table_of(cli("ablate", "counter", *arguments, "--feature", "late=b$", "--json").out)
    assert content["neuron"].tolist() == [4, 4, 1, 1]
    assert set(content["held"]) == {-0.25}
    assert content["feature"].tolist() == ["", "expression.late"] * 2
    printed = cli("ablate", "counter", *arguments).out
    assert "c of one neuron is held at -0.25" in printed


def test_steer_prints_shares_and_examples(cli: Cli, labelled: Path) -> None:
    arguments = ("--neuron", 0, "--values", "-1,1", "--samples", 3, "--length", 15)
    content = table_of(cli("steer", "counter", *arguments, "--json").out)
    assert content["value"].tolist()[1:] == [-1.0, 1.0]
    assert np.isnan(content["value"][0])
    assert set(content["feature"]) == {"task.writing"}
    network, _ = Run(labelled).network()
    prime = Run(labelled).task().examples()[0][0]
    for value, example in zip(content["value"].tolist(), content["example"], strict=True):
        held = [] if np.isnan(value) else [clamp(0, "h", 0, value)]
        assert example == "".join(sample(network, prime, length=15, seed=0, stop="\n", interventions=held))
    printed = cli("steer", "counter", *arguments, "--feature", "twob=bb", "--feature", "character.is=X").out
    assert "a match of bb" in printed
    assert "the character: X" in printed
    assert "held at −1" in printed


def test_steer_counts_features_as_by_hand(cli: Cli, run: Path) -> None:
    arguments = ("--neuron", 2, "--values", "0.5", "--samples", 1, "--length", 30, "--feature", "character.is=b")
    for row in table_of(cli("steer", "counter", *arguments, "--json").out):
        assert row["share"] == pytest.approx(row["example"].count("b") / max(1, len(row["example"])))
        assert row["characters"] == len(row["example"])


def test_passages_contain_the_largest_values(cli: Cli, run: Path) -> None:
    content = json.loads(cli("passages", "counter", STRINGS, "--neuron", 1, "--signal", "c", "--json").out)
    values = record(Run(run).network()[0], STRINGS)["layer0"]["c"][:, :, 1]
    result = Table.from_json(content["passages"])
    assert result["value"][0] == pytest.approx(float(np.nanmax(values)))
    assert sum(content["distribution"]["columns"]["count"]) == len(STRINGS)
    least = json.loads(cli("passages", "counter", STRINGS, "--neuron", 1, "--signal", "c", "--least", "--json").out)
    assert least["passages"]["columns"]["value"][0] == pytest.approx(float(np.nanmin(values)))
    place = int(np.nanargmax(values)) // values.shape[1], int(np.nanargmax(values)) % values.shape[1]
    string = STRINGS.split("\n")[place[0]] + "\n"
    shown = f"{string[: place[1]]}»{string[place[1]]}«{string[place[1] + 1 :]}".replace("\n", "⏎")
    lines = cli("passages", "counter", STRINGS, "--neuron", 1, "--signal", "c").out.splitlines()
    assert lines[3].endswith(shown)
    assert {line.index("»") for line in lines if "»" in line} == {lines[3].index("»")}


def test_pattern_prints_neurons_and_places(cli: Cli, run: Path) -> None:
    arguments = ("aaXbb\naXbb\n", "--range", "2:3", "--sign", "both", "--threshold", "1e-6", "--anywhere")
    content = json.loads(cli("pattern", "counter", *arguments, "--json").out)
    values = record(Run(run).network()[0], "aaXbb\n")["layer0"]["h"][0]
    same = np.flatnonzero((np.sign(values[2]) == np.sign(values[3])) & (np.abs(values[2:4]) >= 1e-6).all(0))
    assert sorted(content["neurons"]["columns"]["neuron"]) == same.tolist()
    assert content["neurons"]["about"]["text"] == "Xb"
    assert len(content["places"]["columns"]["at"]) > 0
    assert "Passage: Xb\n" in cli("pattern", "counter", *arguments).out
    assert "No neuron" in cli("pattern", "counter", "aXb", "--range", "1", "--threshold", "5").out


def test_pattern_chooses_a_threshold_and_lists_misses(cli: Cli, run: Path) -> None:
    arguments = ("aaaXbbb\n", "--range", "1:2", "--signal", "c", "--sign", "both")
    content = json.loads(cli("pattern", "counter", *arguments, "--json").out)
    trace = record(Run(run).network()[0], "aaaXbbb\n")
    table = neurons_on(trace, "layer0", 0, 1, 2, signal="c", sign="both")
    assert content["neurons"]["about"]["threshold"] == table.about["threshold"]
    assert content["neurons"]["columns"]["neuron"] == table["neuron"].tolist()
    assert content["misses"]["columns"]["neuron"] == near_misses(trace, table)["neuron"].tolist()
    shown = cli("pattern", "counter", *arguments).out
    assert "Threshold: " in shown or "at any threshold" in shown
    assert "Nearest misses:" in shown


def test_health_equals_the_recorded_gates(cli: Cli, run: Path) -> None:
    content = json.loads(cli("health", "counter", STRINGS, "--json").out)
    forget = record(Run(run).network()[0], STRINGS)["layer0"]["f"].astype(np.float64)
    retention = np.exp(np.nanmean(np.log(forget), axis=(0, 1)))
    assert content["health"]["columns"]["retention"] == pytest.approx(retention.tolist(), rel=1e-5)
    printed = cli("health", "counter", STRINGS, "--all").out
    longest = int(np.argmax(retention))
    rows = printed.split("1/e is left.\n\n")[1].splitlines()
    assert rows[1].split()[0] == str(longest)
    assert len(rows) == 6
    assert "f, forget gate" in printed


def test_errors_counts_improbable_symbols(cli: Cli, text_run: Path) -> None:
    content = json.loads(cli("errors", text_run, "--orders", 3, "--json").out)
    assert content["orders"]["columns"]["order"] == [1, 2, 3]
    network, task = Run(text_run).network()[0], Run(text_run).task()
    trace = record(network, task.held_out(100_000))
    wrong = int((trace.steps["log_probability"][0, :-1] < np.log(0.5)).sum())
    assert sum(content["causes"]["columns"]["errors"]) == content["causes"]["about"]["errors"] == wrong
    assert load(Run(text_run), "errors-causes") is None
    printed = cli("errors", text_run, "--orders", 2)
    assert f"{wrong:,} errors in" in printed.out


def test_csv_files_equal_the_json(cli: Cli, run: Path, tmp_path: Path) -> None:
    result = cli("health", "counter", STRINGS, "--csv", "it.csv")
    assert "it-saturation.csv" in result.out
    content = json.loads(cli("health", "counter", STRINGS, "--json", "--csv", "again.csv").out)
    with (tmp_path / "it.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [float(row["deviation"]) for row in rows] == content["health"]["columns"]["deviation"]
    assert (tmp_path / "again.csv").read_text() == (tmp_path / "it.csv").read_text()


REQUIRED_OPTIONS = {
    "label": (),
    "probe": (),
    "ablate": (),
    "steer": ("--neuron", "0", "--feature", "character.is=b"),
    "passages": ("--neuron", "0"),
    "pattern": ("--range", "1"),
    "health": (),
    "errors": (),
}


@pytest.mark.parametrize("command", REQUIRED_OPTIONS)
def test_studies_refuse_unusable_arguments(cli: Cli, run: Path, tmp_path: Path, command: str) -> None:
    arguments = REQUIRED_OPTIONS[command]
    assert "Did you mean 'counter'?" in cli(command, "countr", *arguments).refused()
    assert "in the missing folder nowhere" in cli(command, "counter", *arguments, "--csv", "nowhere/it.csv").refused()
    assert "expected a file, got the folder runs" in cli(command, "counter", *arguments, "--csv", "runs").refused()
    (run / "weights.safetensors").unlink()
    if command != "errors":
        assert "expected weights, got none yet" in cli(command, "counter", *arguments).refused()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("label counter a", "too few"),
        ("label counter --layer 1", "Layer: expected one of 0, got '1'"),
        ("label counter --signal hh", "Did you mean 'h'?"),
        ("label counter --lexer pyton", "python"),
        ("label counter --feature call", "NAME=REGEX"),
        ("label counter --feature call=(", "Pattern '(': expected a regular expression"),
        ("label counter --feature Call=x", "Name of a feature: expected a lower case letter"),
        (
            "label counter --feature a=b --feature a=c",
            "Feature expression.a: expected a name that no other feature has",
        ),
        ("label counter --only", "--feature"),
        ("label counter --lags 1,x", "whole numbers"),
        ("label counter --rate 2", "between 0 and 1"),
        ("label counter --characters 0", "Option --characters: expected 1 or more, got 0"),
        ("label counter aXb --file it.txt", "got both"),
        ("probe counter --signal x.i", "Signal: expected one of i, f, g, o, c, h, got 'x.i'"),
        ("probe counter a", "too few"),
        ("ablate counter --layer one", "Layer: expected one of 0, got 'one'"),
        ("ablate counter --neuron 5", "0 to 4"),
        ("ablate counter --to nothing", "expected mean, zero or a finite number, got 'nothing'"),
        ("ablate counter --to nan", "expected mean, zero or a finite number, got 'nan'"),
        ("ablate counter a", "Give a longer text"),
        ("ablate counter --characters 0", "Option --characters: expected 1 or more, got 0"),
        ("steer counter --neuron 0", "gatescope label"),
        ("steer counter --neuron 5 --feature character.is=b", "0 to 4"),
        ("steer counter --neuron 0 --values 1,b", "expected numbers separated by commas"),
        ("steer counter --neuron 0 --feature character.is=q", "Feature 'character.is=q': expected"),
        ("steer counter --neuron 0 --feature character.i=b", "Did you mean 'character.is=b'?"),
        ("steer counter --neuron 0 --samples 0 --feature character.is=b", "samples: expected at least 1, got 0"),
        ("steer counter --neuron 0 --feature task.so_far", "got a count"),
        ("passages counter", "--neuron"),
        ("passages counter --neuron 0 --count 0", "at least 1"),
        ("passages counter --neuron 9", "0 to 4"),
        ("passages counter --neuron 0 --signal k", "Signal: expected one of i, f, g, o, c, h, got 'k'"),
        ("pattern counter --range 2:x", "expected the form A:B"),
        ("pattern counter --range :3", "expected the form A:B"),
        ("pattern counter aXb --range 1:9", "got 1 to 9"),
        ("pattern counter aXb --range 1 --sequence 1", "expected a number from 0 to 0, got 1"),
        ("pattern counter aXb --range 1 --sign both --threshold 0", "both signs at once"),
        ("health counter --file nowhere.txt", "nowhere.txt"),
        ("errors counter", "got the task 'counter'"),
        ("errors counter --orders 0", "Option --orders: expected 1 or more, got 0"),
    ],
)
@pytest.mark.usefixtures("short_text", "run")
def test_studies_refuse_with_one_sentence(cli: Cli, arguments: str, sentence: str) -> None:
    assert sentence in cli(*arguments.split()).refused()


def test_health_of_a_stateless_cell_has_no_time_constants(cli: Cli, tmp_path: Path) -> None:
    task = Text([_notes(tmp_path)])
    run = create_run(tmp_path / "elman", task, configure(task.vocabulary, "elman", [3]))
    run.save_weights(Network(run.configuration(), seed=0).state_dict(), 0)
    assert "no time constants" in cli("health", "elman", "--characters", 100).out


def _notes(folder: Path) -> Path:
    (folder / "notes.txt").write_text(TEXT, encoding="utf-8")
    return folder / "notes.txt"


@pytest.mark.usefixtures("short_text")
def test_study_after_ctrl_c_saves_nothing(cli: Cli, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C during an endless search prints "Stopped." and saves nothing."""
    shifts = 0

    draw = Relocations.draw

    def interrupted(*arguments: Any) -> Any:
        nonlocal shifts
        shifts += 1
        if shifts == 9:
            os.kill(os.getpid(), signal.SIGINT)
        return draw(*arguments)

    monkeypatch.setattr(Relocations, "draw", interrupted)
    result = cli("label", "counter", "--chances", 10**9)
    assert shifts == 9
    assert (result.status, result.err.strip().splitlines()[-1]) == (130, "Stopped.")
    assert "Traceback" not in result.err
    assert load(Run(run), "labels") is None


def test_format_number_and_count_of() -> None:
    assert [format_number(value) for value in (1234.5678, -0.25, -0.0001, float("nan"), float("inf"), None)] == [
        *("1,234.568", "−0.250", "0.000", "", "∞", "")
    ]
    assert (count_of(1, "neuron"), count_of(2000, "neuron")) == ("1 neuron", "2,000 neurons")


def test_run_fixture_is_a_copy(run: Path, trained: Path) -> None:
    shutil.rmtree(run)
    assert Run(trained).exists
    assert not (trained / "studies").exists()
