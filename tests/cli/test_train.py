"""`gatescope train`: new runs, resumed runs, and refusals that leave nothing behind."""

import json
import math
import shutil
from pathlib import Path

import pytest

from gatescope import Run
from tests.cli.conftest import Cli


def lines(printed: str) -> list[dict]:
    return [json.loads(line) for line in printed.splitlines()]


def losses(run: Path) -> list[tuple[int, float]]:
    return [(record["step"], record["loss"]) for record in Run(run).read("history.jsonl") if "loss" in record]


def test_train_prints_the_run_and_next_commands(cli: Cli) -> None:
    result = cli("train", "counter", "--neurons", 3, "--steps", 12)
    assert result.status == 0
    assert "Training complete after 12 steps" in result.out
    assert "Score: exact for" in result.out
    assert "gatescope explore runs/counter" in result.out
    assert cli("sample", "counter").status == 0


def test_train_leaves_an_existing_folder_alone(cli: Cli, run: Path) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    for number in (2, 3):
        cli("train", "counter", "--neurons", 2, "--steps", 1)
        assert Run(run.with_name(f"counter-{number}")).exists
    assert "--resume --run" in cli("train", "counter", "--run", run).refused()
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_train_json_prints_records(cli: Cli) -> None:
    begin, *records, end = lines(cli("train", "counter", "--neurons", 2, "--steps", 20, "--json").out)
    assert begin == {"event": "begin", "run": "runs/counter"}
    assert [record["step"] for record in records] == [10, 20]
    assert end["event"] == "end"
    assert end["score"]["chance"] == 0.1


def test_train_with_same_seed_is_equal(cli: Cli) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        cli("train", "counter", "--neurons", 2, "--steps", 20, "--seed", seed, "--run", name)
    assert losses(Path("a")) == losses(Path("b"))
    assert losses(Path("a")) != losses(Path("c"))


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        ((), [20, 20]),
        (("--neurons", "4"), [4, 4]),
        (("--neurons", "4,3"), [4, 3]),
        (("--layers", 1), [20]),
        (("--layers", 3, "--neurons", 2), [2, 2, 2]),
    ],
)
def test_train_sets_layer_sizes(cli: Cli, options: tuple[object, ...], sizes: list[int]) -> None:
    cli("train", "copy", "--steps", 1, "--run", "it", *options)
    assert [layer.neurons for layer in Run("it").configuration().layers] == sizes


def test_train_sets_initial_biases(cli: Cli) -> None:
    cli("train", "copy", "--steps", 1, "--learning-rate", 1e-6, "--run", "it", "--cell", "lstm:f=6")
    network, _ = Run("it").network()
    cell = network.configuration.layers[0].cell
    biases = dict(zip(cell.tape.input_drives, network.parameters_of(0).biases.mean(1).tolist(), strict=True))
    assert cell.name == "lstm:f=6"
    assert biases == pytest.approx({"i": 0, "f": 6, "g": 0, "o": 0}, abs=1e-5)


def test_train_options_reach_network_and_settings(cli: Cli) -> None:
    network = ("--cell", "gru", "--embedding", 3, "--dropout", 0.1, "--batch", 8)
    training = ("--optimizer", "sgd", "--learning-rate", 0.1, "--schedule", "linear", "--clip", 2, "--patience", 4)
    result = cli("train", "copy", "--steps", 2, "--run", "it", *network, *training, "--no-until-solved")
    assert result.status == 0
    configuration, settings = Run("it").configuration(), Run("it").settings()
    assert configuration.layers[0].cell.name == "gru"
    assert (configuration.embedding, configuration.dropout) == (3, 0.1)
    expected = {"optimizer": "sgd", "learning_rate": 0.1, "schedule": "linear", "clip": 2, "patience": 4, "seed": 0}
    assert expected.items() <= settings.items()
    assert settings["until_solved"] is False
    assert Run("it").task().recommended.batch == 8


def test_train_accepts_a_text_file(cli: Cli, text: Path) -> None:
    result = cli("train", text, "--neurons", 4, "--steps", 20, "--unroll", 16, "--batch", 4)
    assert result.status == 0
    assert "sample  " in result.out
    assert "nats per character" in result.out
    assert Run("runs/notes").exists


def test_train_reads_bytes(cli: Cli, text: Path) -> None:
    cli("train", text, "--bytes", "--neurons", 2, "--steps", 1, "--run", "it")
    assert Run("it").configuration().vocabulary.size == 256


def test_train_pattern_names_the_run_by_its_folder(cli: Cli, text: Path) -> None:
    folder = text.parent / "my papers"
    folder.mkdir()
    text.rename(folder / "one.txt")
    cli("train", folder / "*.txt", "--neurons", 2, "--steps", 1)
    assert Run("runs/my_papers").exists


def test_train_accepts_minutes(cli: Cli) -> None:
    result = cli("train", "counter", "--neurons", 2, "--minutes", 0.005)
    assert result.status == 0
    assert Run("runs/counter").settings()["steps"] is None


def test_resume_equals_uninterrupted_training(cli: Cli) -> None:
    options = ("--neurons", 3, "--schedule", "constant", "--no-until-solved")
    cli("train", "counter", *options, "--steps", 40, "--run", "whole")
    cli("train", "counter", *options, "--steps", 20)
    assert cli("train", "counter", "--resume", "--steps", 40).status == 0
    # Only the training that ended at step 20 has a record of its loss at this step.
    assert losses(Path("runs/counter")) == losses(Path("whole"))
    assert Run("runs/counter").settings()["steps"] == 40


def test_resume_accepts_directory_name_or_task(cli: Cli, text: Path, tmp_path: Path) -> None:
    options = ("--neurons", 2, "--unroll", 8, "--batch", 2)
    cli("train", text, *options, "--steps", 1)
    (tmp_path / "more").mkdir()
    (tmp_path / "runs" / "notes").rename(tmp_path / "more" / "notes")
    cli("train", text, *options, "--steps", 1)
    for steps, name in ((2, "more/notes"), (3, "notes"), (4, "notes.txt")):
        assert cli("train", "--resume", name, "--steps", steps).status == 0
    assert Run("more/notes").settings()["steps"] == 2
    assert Run("runs/notes").settings()["steps"] == 4


def test_resume_with_new_limit_replaces_the_old_one(cli: Cli) -> None:
    cli("train", "counter", "--neurons", 2, "--minutes", 0.002, "--run", "it")
    before = Run("it").read("history.jsonl")[-1]["step"]
    cli("train", "--resume", "--run", "it", "--steps", before + 10)
    assert Run("it").read("history.jsonl")[-1]["step"] == before + 10


def test_resume_of_a_complete_run_changes_nothing(cli: Cli, run: Path) -> None:
    weights = (run / "weights.safetensors").read_bytes()
    result = cli("train", "--resume", "--run", run)
    assert result.status == 0
    assert "already complete" in result.out
    assert (run / "weights.safetensors").read_bytes() == weights
    assert Run(run).read("history.jsonl")[-1]["step"] == 30


def test_resume_restores_lost_weights(cli: Cli, run: Path) -> None:
    (run / "weights.safetensors").unlink()
    assert cli("train", "--resume", "counter").status == 0
    assert cli("sample", "counter").status == 0


def test_train_stops_at_a_loss_of_nan(cli: Cli) -> None:
    options = ("--learning-rate", "1e38", "--optimizer", "sgd", "--clip", "1e38", "--neurons", 2)
    result = cli("train", "counter", *options, "--run", "it", "--json")
    assert "expected a finite number, got NaN" in result.refused()
    assert cli("sample", "it").status == 0
    weights = Run("it").network()[0].readout_weights
    assert math.isfinite(float(weights.detach().sum()))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), "expected the name of a task"),
        (("conter",), "Did you mean 'counter'?"),
        (("missing.txt",), "or the path of a text, got 'missing.txt'"),
        (("*.none",), "expected a pattern that matches a file"),
        (("counter", "notes.txt"), "expected no files, got notes.txt"),
        (("counter", "--bytes"), "Option --bytes: expected a task that has it (text), got the task counter"),
        (("text", "--parts", "half"), "Option --parts: expected three shares, as in 0.8,0.1,0.1, got 'half'"),
        (("counter", "--cell", "lstn"), "Did you mean 'lstm'?"),
        (("counter", "--cell", "lstn:f=3"), "Did you mean 'lstm'?"),
        (("counter", "--cell", "lstm:q=3"), "lstm has biases of i, f, g, o"),
        (
            ("counter", "--neurons", "0"),
            "expected one positive whole number, or one for each layer, as in 20,10, got '0'",
        ),
        (("counter", "--neurons", "-3"), "got '-3'"),
        (("counter", "--neurons", "many"), "got 'many'"),
        (("counter", "--neurons", "3,4", "--layers", "3"), "Leave one of the options out"),
        (("counter", "--layers", "0"), "Option --layers: expected 1 or more, got 0"),
        (("counter", "--layers", "-1"), "Option --layers: expected 1 or more, got -1"),
        (("counter", "--steps", "-5"), "Setting steps: expected a finite number above 0, got -5"),
        (("counter", "--steps", "ten"), "--steps"),
        (("counter", "--minutes", "nan"), "Setting minutes: expected a finite number above 0, got nan"),
        (("counter", "--steps", "5", "--minutes", "1"), "got both"),
        (("counter", "--seed", "-1"), "Setting seed: expected a finite number of 0 or more, got -1"),
        (("counter", "--dropout", "1.5"), "got 1.5"),
        (("counter", "--embedding", "0"), "expected 1 or more, got 0"),
        (("counter", "--batch", "0"), "expected 1 row or more"),
        (("counter", "--threads", "0"), "Option --threads: expected 1 or more, got 0"),
        (("counter", "--learning-rate", "-1"), "Setting learning rate: expected a finite number above 0, got -1"),
        (("counter", "--optimizer", "adm"), "Did you mean"),
        (("counter", "--schedul", "cosine"), "Did you mean --schedule?"),
        (("counter", "--steps"), "--steps"),
        (("--resume",), "--resume --run DIR"),
        (("--resume", "--run", "nowhere"), "Run 'nowhere': expected a run directory"),
        (("--resume", "nowhere"), "Run 'nowhere': expected a run directory"),
        (("--resume", "counter", "--neurons", "5"), "Option --neurons: expected a new run, got a run that has begun"),
        (("--resume", "counter", "--seed", "5"), "Option --seed: expected a new run, got a run that has begun"),
        (("counter", "--neurons", "1000000000000"), "Not enough memory"),
    ],
)
def test_train_refuses_bad_input_and_leaves_nothing(
    cli: Cli, tmp_path: Path, options: tuple[str, ...], sentence: str
) -> None:
    assert sentence in cli("train", *options).refused()
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "empty"),
        (b"abc", "expected at least"),
        (b"\xff\xfd" * 500, "expected UTF-8 text"),
        (b"x" * 59, "expected at least"),
    ],
)
def test_train_refuses_unusable_texts(cli: Cli, tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "it.txt").write_bytes(content)
    assert sentence in cli("train", "it.txt").refused()
    assert not (tmp_path / "runs").exists()


def test_resume_with_changed_text_is_refused(cli: Cli, text: Path) -> None:
    cli("train", text, "--neurons", 2, "--steps", 2, "--run", "it")
    text.write_text("another text, which is long enough to train on. " * 50)
    assert "got data that have changed" in cli("train", "--resume", "--run", "it", "--steps", 4).refused()
    text.unlink()
    assert "cannot be read again" in cli("train", "--resume", "--run", "it", "--steps", 4).refused()
    assert cli("sample", "it", "--length", 5).status == 0


def test_train_lists_every_bad_line_before_writing(cli: Cli, tmp_path: Path) -> None:
    lines = ["text\tlabel", "a fine film\tgood", "\tbad", "no label\t", "a dull film\tbad", "three\tfields\there"]
    (tmp_path / "reviews.tsv").write_text("\n".join(lines) + "\n")
    result = cli("train", "sentiment", "reviews.tsv")
    assert result.status == 2
    content = result.err.strip().splitlines()
    assert "reviews.tsv: expected a file without faults, got 3 faults." in content[0]
    assert [line.split(":")[0] for line in content[1:]] == [
        "  Line 3, column 'text'",
        "  Line 4, column 'label'",
        "  Line 6",
    ]
    assert not (tmp_path / "runs").exists()


def test_resume_without_checkpoints_needs_from_best(cli: Cli, run: Path) -> None:
    """The error names --from-best, and this option keeps the history."""
    shutil.rmtree(run / "checkpoints")
    before = Run(run).read("history.jsonl")
    assert "`--from-best`" in cli("train", "--resume", "--run", run, "--steps", 40).refused()
    assert "Option --from-best: expected --resume beside it" in cli("train", "counter", "--from-best").refused()
    assert cli("train", "--resume", "--from-best", "--run", run, "--steps", 40).status == 0
    assert Run(run).read("history.jsonl")[: len(before)] == before


def test_train_from_starts_with_the_weights_of_a_run(cli: Cli, run: Path) -> None:
    """Options of the network are refused, and the old run keeps its files."""
    before = (run / "weights.safetensors").read_bytes()
    assert (
        "Option --cell: expected a new network, got the network of --from"
        in cli("train", "counter", "--from", run, "--cell", "gru").refused()
    )
    assert "symbols" in cli("train", "parity", "--from", run).err
    assert cli("train", "counter", "--from", run, "--steps", 10, "--run", "new").status == 0
    assert Run("new").read("history.jsonl")[0]["from"] == "counter"
    assert (run / "weights.safetensors").read_bytes() == before
