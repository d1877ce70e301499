"""What does a network write while one of its neurons is held?

Ablation shows that the network needs a neuron; steering shows what the neuron makes it do. If holding the quote neuron
high makes the network write inside quotation marks, the neuron does not only follow the feature but controls it.

The network samples texts while the neuron is held at each of some values, and the share of a feature in these texts is
compared with that in texts that are written with nothing held.

`B` text, `F` feature, `D` draw, `V` value at which the neuron is held; the first value means not held.
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
from gatescope.studies.common.layers import LayerId, number_of
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
    layer: LayerId,
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
    """Sample texts while a neuron is held at each of some values, and count how often a feature appears.

    All texts are sampled side by side, in one batch. Text number k of every value, and of the network with nothing
    held, uses the same random numbers: those of the seed `seed + k`.

    Args:
        network: a network that predicts the next symbol at every step; it is not changed.
        layer: the layer, by name or number.
        signal: the signal that is held.
        neuron: the neuron.
        values: the values at which it is held.
        prime: the text that the network reads first; see `gatescope.sampling.sample`.
        feature: the feature to count. A family: its binary features, and each name of its categories; count features
            are skipped, and `about["left_out"]` names them. Or a function from a text to one boolean for each
            character. The prime and the sampled text are annotated, and the sampled text is counted: by characters, or
            by words (at their last character) if the network writes words.
        samples: the number of texts for each value.
        length: the largest number of symbols of a text.
        choice: how symbols are chosen; None: at temperature 1.
        stop: the text at which sampling ends.
        steps: the steps at which the neuron is held, counted from the start of the prime.
        draws: the number of bootstrap draws for the intervals.
        seed: the seed of the first text, and of the resampling.

    Returns:
        A row for each feature with nothing held, and then for every value: the share of characters and of texts with
        the feature, with percentile bootstrap intervals over the texts (NaN for fewer than two); the change of the
        share, with an interval over pairs of texts with the same random numbers; and the first text as an example.

    Raises:
        StudyError: the layer, the signal, the neuron or a number does not fit.
        FeatureError: the feature does not have one boolean for each character.
        SamplingError: the network cannot write, or length is negative.
    """
    layer = number_of(network.configuration, layer)
    _check_settings(network, layer, signal, neuron, values, samples, draws)
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
        sizes, prime_size = [len(vocabulary.encode(text)) for text in whole], len(vocabulary.encode(prime))
        annotations = at_steps(vocabulary, whole, [_family(feature)], sizes)
    else:
        sizes, prime_size = list(map(len, whole)), len(prime)
        annotations = annotate(whole, [_family(feature)])
    binary = [part for annotation in annotations if annotation.kind != "count" for part in annotation.binaries()]
    lengths = np.array(sizes).reshape(-1, samples) - prime_size
    counts = _counts(binary, prime_size, lengths)
    shares = _shares(counts, lengths, resampled(samples, draws if samples > 1 else 0, seed).reshape(-1, samples))
    rows = [
        {
            "value": value,
            "feature": part.name,
            **{name: float(share[v, f]) for name, share in shares.items()},
            "characters": int(lengths[v].sum()),
            "example": texts[v * samples],
        }
        for v, value in enumerate([None, *map(float, values)])
        for f, part in enumerate(binary)
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
        features={part.name: part.title for part in binary},
        left_out=[annotation.name for annotation in annotations if annotation.kind == "count"],
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


def _check_settings(
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
    """Return a function from a text to booleans as a family of one feature."""
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
    """Count the sampled characters of each text with each feature, (F, V, B); features cover primes and texts."""
    ends = np.cumsum(lengths.ravel() + prime)
    starts = ends - lengths.ravel()
    sums = [np.concatenate([[0], np.cumsum(feature.values)]) for feature in features]
    counts = [(total[ends] - total[starts]).reshape(lengths.shape) for total in sums]
    return np.stack(counts) if counts else np.zeros((0, *lengths.shape), np.int64)


def _shares(
    counts: NDArray[np.int64], lengths: NDArray[np.int64], weights: NDArray[np.float64]
) -> dict[str, NDArray[Any]]:
    """Return the shares and their intervals, (V, F) each, from counts (F, V, B), lengths (V, B) and draws (D, B)."""
    # The same texts are drawn for every value, so that changes are between pairs of texts.
    once = np.ones((1, lengths.shape[1]))
    results = {}
    drawn, whole = _means(counts, lengths, weights), _means(counts, lengths, once)
    for name, values in whole.items():
        usable = drawn[name][~np.isnan(drawn[name]).any((1, 2))]
        results[name] = values[0]
        results[f"{name}_low"], results[f"{name}_high"] = interval(usable)
    return results


def _means(
    counts: NDArray[np.int64], lengths: NDArray[np.int64], weights: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Return the shares of characters and of texts in each draw, and the change of the former, (D, V, F) each."""
    with np.errstate(invalid="ignore"):  # 0 / 0 if nothing was written
        share = np.einsum("db,fvb->dvf", weights, counts) / np.einsum("db,vb->dv", weights, lengths)[:, :, None]
    texts = np.einsum("db,fvb->dvf", weights, counts > 0) / weights.sum(1)[:, None, None]
    return {"share": share, "texts": texts, "change": share - share[:, :1]}
