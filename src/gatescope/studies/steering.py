"""What does a network write while one of its neurons is held? The share of a feature in texts that it samples.

`B` text, `F` feature, `D` draw, `V` value at which the neuron is held, and first of all not held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatescope.engine import Intervention
from gatescope.features import Family, Feature, FeatureError, annotate, binary_features_named
from gatescope.network import Network
from gatescope.sampling import Choice, sample_many
from gatescope.studies.common.layers import Given, number_of
from gatescope.studies.common.resampling import LEVEL, interval, resampled
from gatescope.studies.common.steps import at_steps
from gatescope.studies.common.table import StudyError, Table
from gatescope.vocabulary import Vocabulary

Annotation = Callable[[str], NDArray[np.bool_]]
EVERY = slice(None)

TITLES = {
    "value": "value at which the neuron was held; NaN: not held",
    "feature": "feature",
    **{
        f"{name}{end}": f"{bound}{what}"
        for name, what in {
            "share": "share of the written characters with the feature",
            "texts": "share of the texts in which the feature occurs",
            "change": "share of the characters with it, minus that of the texts with nothing held",
        }.items()
        for end, bound in (
            ("", ""),
            ("_low", f"lower end of the {LEVEL:.0%} interval: "),
            ("_high", f"upper end of the {LEVEL:.0%} interval: "),
        )
    },
    "characters": "characters written",
    "example": "the first text",
}


def steer(
    network: Network,
    layer: Given,
    signal: str,
    neuron: int,
    values: Sequence[float],
    *,
    prime: str,
    feature: Family | Annotation,
    samples: int = 32,
    length: int = 200,
    choice: Choice | None = None,
    stop: str | None = None,
    steps: slice = EVERY,
    draws: int = 1000,
    seed: int = 0,
) -> Table:
    """Let a network write while a neuron is held at each of some values, and count how often a feature appears.

    All texts are written side by side, in one batch. Text number k of every value, and of the network with nothing
    held, is drawn with the same random numbers: those of the seed `seed + k`.

    Args:
        network: one that predicts the next symbol at every step; it is not changed.
        layer: which layer, by its name or its number from 0.
        signal: which of its signals is held.
        neuron: which neuron.
        values: where to hold it.
        prime: what the network reads first; see `gatescope.sampling.sample`.
        feature: what to count: a family of annotations (its binary features, and each name of its categories; those
            that count are left out, and `about["left_out"]` names them), or a function from a text to one truth value
            for each of its characters. It is given the prime and what was written; what was written is counted, word
            by word (by its last character) where the network writes words.
        samples: texts for each value.
        length: the most symbols of a text.
        choice: how symbols are chosen; at temperature 1 when not given.
        stop: a text ends as soon as this is complete.
        steps: the steps at which the neuron is held, counted from the first of the prime; all when not given.
        draws: how often the texts are resampled for the intervals.
        seed: of the first text's random numbers, and of the resampling.

    Returns:
        For nothing held and then for every value, one row a feature: the share of characters and of texts with it,
        with percentile bootstrap intervals over the texts (NaN for fewer than two), the change of the share with an
        interval over pairs of texts of the same random numbers, and the first text as an example.

    Raises:
        StudyError: the layer, the signal, the neuron or a number does not fit.
        FeatureError: the feature has no truth value for each character.
        SamplingError: the network cannot write, or length is negative.
    """
    layer = number_of(network.configuration, layer)
    _check(network, layer, signal, neuron, values, samples, draws)
    name = network.configuration.names[layer]
    held = [
        Intervention(name, signal, neuron, steps, 0.0, float(value), slice((k + 1) * samples, (k + 2) * samples))
        for k, value in enumerate(values)
    ]
    seeds = [seed + k for k in range(samples)] * (len(held) + 1)
    texts = sample_many(network, prime, seeds, length=length, choice=choice, stop=stop, interventions=held)
    vocabulary = network.configuration.vocabulary
    whole = [prime + text for text in texts]
    if vocabulary.in_words:
        sizes, begun = [len(vocabulary.encode(text)) for text in whole], len(vocabulary.encode(prime))
        found = at_steps(vocabulary, whole, [_family(feature)], sizes)
    else:
        sizes, begun = list(map(len, whole)), len(prime)
        found = annotate(whole, [_family(feature)])
    binary = [each for one in found if one.kind != "count" for each in one.binaries()]
    lengths = np.array(sizes).reshape(-1, samples) - begun
    counts = _counts(binary, begun, lengths)
    shares = _shares(counts, lengths, resampled(samples, draws if samples > 1 else 0, seed).reshape(-1, samples))
    rows = [
        {
            "value": value,
            "feature": one.name,
            **{name: float(values_[v, f]) for name, values_ in shares.items()},
            "characters": int(lengths[v].sum()),
            "example": texts[v * samples],
        }
        for v, value in enumerate([None, *map(float, values)])
        for f, one in enumerate(binary)
    ]
    unit = "word" if vocabulary.in_words else "character"
    return Table.of(
        rows,
        {name: title.replace("characters", f"{unit}s") for name, title in TITLES.items()},
        study="steering",
        unit=unit,
        layer=layer,
        layer_name=network.configuration.names[layer],
        signal=signal,
        neuron=neuron,
        prime=prime,
        samples=samples,
        length=length,
        stop=stop,
        steps=[steps.start, steps.stop, steps.step],
        level=LEVEL,
        draws=draws,
        seed=seed,
        features={one.name: one.title for one in binary},
        left_out=[one.name for one in found if one.kind == "count"],
    )


def features_family(vocabulary: Vocabulary, text: str, families: Iterable[Family], names: Sequence[str]) -> Family:
    """Return a family of the named binary features, for `steer` to count.

    Args:
        vocabulary: the vocabulary of the network that writes.
        text: a text of the network's task. Families that adapt to a text adapt to this one.
        families: the families to which the features belong; families that read a trace are skipped.
        names: binary features, names of categories such as "kind=x", or pairs such as "a & not b".

    Returns:
        A family with one feature for each name. A feature that a written text cannot have is off everywhere.

    Raises:
        StudyError: a name is a count feature, or no feature has it.
    """
    of_text = [family for family in families if family.of_trace is None]
    known = _annotations(vocabulary, text, of_text)
    if counts := [feature.name for feature in known if feature.kind == "count" and feature.name in names]:
        raise StudyError("STEERING_FEATURE_COUNT", name=counts[0])
    titles = {}
    for name, feature in zip(names, binary_features_named(known, names), strict=True):
        if feature is None:
            raise _unknown_feature(name, known)
        titles[name] = feature.title

    def adapted(texts: Sequence[str]) -> Family:
        fitted = [family.fit(texts) for family in of_text]

        def annotation(written: str) -> Iterator[Feature]:
            size = len(vocabulary.encode(written)) if vocabulary.in_words else len(written)
            features = binary_features_named(_annotations(vocabulary, written, fitted), list(titles))
            for (name, title), feature in zip(titles.items(), features, strict=True):
                # A written text may have no feature of this name, such as a category that does not occur in it.
                yield feature or Feature(name, title, np.zeros(size, np.bool_))

        return Family("chosen", "the counted features", annotation, per="step" if vocabulary.in_words else "character")

    return replace(adapted([text]), fitted=adapted)


def _unknown_feature(name: str, features: Sequence[Feature]) -> StudyError:
    names = [binary.name for feature in features if feature.kind != "count" for binary in feature.binaries()]
    close = get_close_matches(name, names, 1)
    if close:
        return StudyError("STEERING_FEATURE_UNKNOWN_CLOSE", name=name, close=close[0])
    return StudyError("STEERING_FEATURE_UNKNOWN", name=name)


def _annotations(vocabulary: Vocabulary, text: str, families: Sequence[Family]) -> list[Feature]:
    return at_steps(vocabulary, [text], families) if vocabulary.in_words else annotate([text], families)


def _check(
    network: Network, layer: int, signal: str, neuron: int, values: Sequence[float], samples: int, draws: int
) -> None:
    layers = network.configuration.layers
    cell, count = layers[layer].cell, layers[layer].neurons
    if signal not in cell.signals:
        raise StudyError(
            "STUDY_SIGNAL_UNKNOWN",
            layer=network.configuration.names[layer],
            signals=", ".join(cell.signals),
            signal=signal,
        )
    if not 0 <= neuron < count:
        raise StudyError(
            "STUDY_NEURON_UNKNOWN", layer=network.configuration.names[layer], last=count - 1, neuron=neuron
        )
    if not np.isfinite(np.asarray(values, np.float64)).all():
        raise StudyError("STEERING_VALUES_NOT_FINITE", values=list(values))
    for name, number in (("samples", samples), ("draws", draws)):
        if number < 1:
            raise StudyError("STUDY_NUMBER_TOO_SMALL", things=name, least=1, number=number)


def _family(feature: Family | Annotation) -> Family:
    """A function from a text to truth values as a family of one feature."""
    if isinstance(feature, Family):
        return feature
    name = getattr(feature, "__name__", "")
    name = name if name.isidentifier() else "feature"  # a lambda has no name

    def annotation(text: str) -> list[Feature]:
        values = np.asarray(feature(text))
        if values.dtype != np.bool_:
            raise FeatureError("STEERING_ANNOTATION_NOT_BOOLEAN", name=name, dtype=values.dtype)
        return [Feature(name, name, values)]

    return Family(name, name, annotation)


def _counts(features: Sequence[Feature], prime: int, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many written characters of each text have each feature, (F, V, B); features run through primes and texts."""
    ends = np.cumsum(lengths.ravel() + prime)
    starts = ends - lengths.ravel()
    sums = [np.concatenate([[0], np.cumsum(one.values)]) for one in features]
    counts = [(total[ends] - total[starts]).reshape(lengths.shape) for total in sums]
    return np.stack(counts) if counts else np.zeros((0, *lengths.shape), np.int64)


def _shares(
    counts: NDArray[np.int64], lengths: NDArray[np.int64], weights: NDArray[np.float64]
) -> dict[str, NDArray[Any]]:
    """The shares and their intervals, each (V, F), from counts (F, V, B), lengths (V, B) and draws (D, B)."""
    # (D, V, F): the same texts are drawn for every value, which makes the changes those of pairs.
    once = np.ones((1, lengths.shape[1]))
    found = {}
    drawn, whole = _means(counts, lengths, weights), _means(counts, lengths, once)
    for name, values in whole.items():
        usable = drawn[name][~np.isnan(drawn[name]).any((1, 2))]
        found[name] = values[0]
        found[f"{name}_low"], found[f"{name}_high"] = interval(usable)
    return found


def _means(
    counts: NDArray[np.int64], lengths: NDArray[np.int64], weights: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """The shares of characters and of texts in each draw, and the change of the first, (D, V, F)."""
    with np.errstate(invalid="ignore"):  # 0 / 0 where nothing was written
        share = np.einsum("db,fvb->dvf", weights, counts) / np.einsum("db,vb->dv", weights, lengths)[:, :, None]
    texts = np.einsum("db,fvb->dvf", weights, counts > 0) / weights.sum(1)[:, None, None]
    return {"share": share, "texts": texts, "change": share - share[:, :1]}
