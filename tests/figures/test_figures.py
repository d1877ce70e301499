"""Figures: the colours, letters and curves that they show, the files that they write, and what they refuse."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import torch

from gatescope import Network, Trace, Vocabulary, figures
from gatescope.errors import GatescopeError
from gatescope.figures.colours import Scale, pixels, scale_of

TEXT = "a$b$a\nba"


@pytest.fixture
def network() -> Network:
    return Network(Vocabulary(("\n", "$", "a", "b"), end="\n"), cell="lstm", neurons=[3], seed=5)


@pytest.fixture
def trace(network: Network) -> Trace:
    return network.record(TEXT, check=False)


def _image(axes: Any) -> np.ndarray:
    return np.asarray(axes.images[0].get_array())


def test_colours_run_evenly_from_the_paper_to_the_ends() -> None:
    two, one = Scale(-2, 2), Scale(0, 1)
    assert pixels(two, np.array([-2.0, 0.0, 2.0, 5.0])).tolist() == [
        [190, 50, 42],
        [246, 246, 243],
        [27, 90, 168],
        [27, 90, 168],
    ]
    # Half of the way from the paper to the positive end, by hand.
    assert pixels(one, np.array([0.5])).tolist() == [[(246 + 27 + 1) // 2, (246 + 90) // 2, (243 + 168 + 1) // 2]]


@pytest.mark.parametrize(
    ("bounds", "values", "expected"),
    [
        ((0.0, 1.0), [0.2], Scale(0.0, 1.0)),
        ((-1.0, 1.0), [0.2], Scale(-1.0, 1.0)),
        ((None, None), [3.0, -1.0], Scale(-4.0, 4.0)),
        ((0.0, None), [0.3], Scale(0.0, 0.5)),
        ((None, None), [0.0, np.nan], Scale(-1.0, 1.0)),
        ((None, None), [*[0.1] * 99, 50.0], Scale(-0.125, 0.125)),  # 95 % of the values, not the single large one
    ],
)
def test_scales_cover_the_values(bounds: Any, values: list[float], expected: Scale) -> None:
    assert scale_of(bounds, np.array(values)) == expected


def test_strips_show_the_values_of_the_trace(trace: Trace) -> None:
    figure = figures.strips(trace, [2, 0], signal="h", columns=4)
    first, second = figure.axes
    assert [_image(axes).shape for axes in (first, second)] == [(2, 4, 3), (2, 2, 3)]
    values = np.asarray(trace["layer0"].h)[0]
    for axes, start in ((first, 0), (second, 4)):
        for row, neuron in enumerate((2, 0)):
            for column in range(_image(axes).shape[1]):
                value = float(values[start + column, neuron])
                end = (27, 90, 168) if value >= 0 else (190, 50, 42)
                expected = [m + (e - m) * abs(value) for m, e in zip((246, 246, 243), end, strict=True)]
                assert _image(axes)[row, column] == pytest.approx(expected, abs=0.51)
    assert [label.get_text() for label in first.get_yticklabels()] == ["2", "0"]


def test_letters_stand_above_their_steps_and_are_never_formulas(trace: Trace) -> None:
    letters = figures.strips(trace).axes[0].texts
    assert [letter.get_text() for letter in letters] == ["a", "$", "b", "$", "a", "⏎"]
    assert [letter.get_position()[0] for letter in letters] == [0, 1, 2, 3, 4, 5]
    assert not any(letter.get_parse_math() for letter in letters)


def test_another_sequence_and_a_part_of_it(trace: Trace) -> None:
    letters = figures.strips(trace, sequence=1, steps=(1, 2)).axes[0].texts
    assert [letter.get_text() for letter in letters] == ["a"]


def test_each_neuron_may_have_a_scale_of_its_own() -> None:
    network = Network(Vocabulary(("a", "b")), cell="lstm", neurons=[2], seed=1)
    trace = network.record("abab", check=False)
    values = np.array([[[8.0, 0.1]] * 4])
    trace = Trace(
        trace.lengths, trace.steps, {"layer0": {"c": values}}, trace.initial, trace.parameters, trace.attributes
    )
    shared, own = (_image(figures.strips(trace, own_scales=own_scales).axes[0]) for own_scales in (False, True))
    assert np.abs(shared[1].astype(int) - (246, 246, 243)).max() < 10
    assert np.abs(own[1].astype(int) - (246, 246, 243)).max() > 100


def test_the_curve_of_gates_is_the_cell_state(trace: Trace) -> None:
    figure = figures.gates(trace, 1)
    strip, curve = figure.axes
    assert [label.get_text().split(",")[0] for label in strip.get_yticklabels()] == ["i", "f", "g", "o", "c", "h"]
    assert np.asarray(curve.lines[-1].get_ydata()) == pytest.approx(np.asarray(trace["layer0"].c)[0, :6, 1])


def test_a_network_without_a_cell_state_shows_h() -> None:
    trace = Network(Vocabulary(("a", "b")), cell="gru", neurons=[2], seed=3).record("abba", check=False)
    assert np.asarray(figures.gates(trace, 0).axes[1].lines[-1].get_ydata()) == pytest.approx(
        trace["layer0"].h[0, :, 0]
    )


def test_the_map_has_the_norms_of_the_derivatives() -> None:
    """An Elman network in torch, differentiated by autograd."""
    network = Network(Vocabulary(("a", "b")), cell="elman", neurons=[3], seed=2)
    text = "abbab"
    weights = {name: value.detach().double() for name, value in network.layers[0].named_parameters()}
    drawn = _image(figures.map(network, text).axes[0])
    ids = network.configuration.vocabulary.encode(text)

    def state(hidden: torch.Tensor, first: int, last: int) -> torch.Tensor:
        for step in range(first + 1, last + 1):
            drive = weights["input_weights"][0][:, int(ids[step])] + weights["biases"][0]
            hidden = torch.tanh(drive + weights["recurrent_weights"][0] @ hidden)
        return hidden

    start = state(torch.zeros(3, dtype=torch.float64), -1, 1)
    jacobian = torch.autograd.functional.jacobian(lambda hidden: state(hidden, 1, 4), start)
    assert drawn[4, 1] == pytest.approx(float(torch.log10(torch.linalg.matrix_norm(jacobian))), abs=1e-5)
    assert np.isnan(drawn[1, 4])


def test_files_are_written(trace: Trace, tmp_path: Path) -> None:
    figure = figures.strips(trace)
    for kind in ("svg", "png", "pdf"):
        figure.savefig(tmp_path / f"figure.{kind}")
    assert ET.parse(tmp_path / "figure.svg").getroot().tag.endswith("svg")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "figure.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"neurons": [3]}, "Neuron of layer0: expected a number from 0 to 2, got 3."),
        ({"neurons": []}, "expected at least one, got none"),
        ({"signal": "q"}, "Signal of layer0: expected one of i, f, g, o, c, h"),
        ({"layer": "layer1"}, "Layer of the trace"),
        ({"sequence": 2}, "Sequence of the trace: expected a number from 0 to 1, got 2."),
        ({"steps": (3, 9)}, "between 0 and 6, got (3, 9)"),
        ({"columns": 0}, "at least 1 step a line, got 0"),
    ],
)
def test_refusals_name_what_is_expected(trace: Trace, arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(GatescopeError) as error:
        figures.strips(trace, **arguments)
    assert sentence in str(error.value)


def test_long_texts_are_refused() -> None:
    network = Network(Vocabulary(("a", "b")), cell="elman", neurons=[2], seed=1)
    with pytest.raises(GatescopeError, match="at most 2,000, got 2,001"):
        figures.strips(network.record("a" * 2001, check=False))
    with pytest.raises(GatescopeError, match="at most 300, got 301"):
        figures.map(network, "a" * 301)


def test_notebook_shows_a_figure_at_the_end_of_a_cell(trace: Trace) -> None:
    """IPython's own formatter finds the picture without pyplot, at half of its pixels."""
    formatters = pytest.importorskip("IPython.core.formatters")
    figure = figures.strips(trace, [0, 2])
    data, metadata = formatters.DisplayFormatter().format(figure)
    assert data["image/png"].startswith(b"\x89PNG")
    width = int.from_bytes(data["image/png"][16:20], "big")
    assert width == pytest.approx(2 * metadata["image/png"]["width"], abs=2)
