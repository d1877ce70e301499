"""Features found again by name: categories, pairs, and names that no feature has."""

import numpy as np

from gatescope.features import Feature, binary_features_named, features_named

FEATURES = [
    Feature("x.a", "a", np.array([True, True, False])),
    Feature("x.k", "k", np.array([0, 1, 1], np.int16), ("p", "q")),
    Feature("x.n", "n", np.array([0, 1, 2], np.float32)),
]


def test_binary_features_named() -> None:
    names = ["x.a", "x.k=q", "x.a & x.k=q", "x.a & not x.k=q", "x.b", "x.a & x.b", "x.k", "x.n"]
    values = [
        None if feature is None else feature.values.tolist() for feature in binary_features_named(FEATURES, names)
    ]
    assert values == [
        *([True, True, False], [False, True, True], [False, True, False], [True, False, False]),
        *(None, None, None, None),
    ]


def test_features_named_returns_every_kind() -> None:
    assert [feature and feature.kind for feature in features_named(FEATURES, ["x.a", "x.k", "x.n", "x.b"])] == [
        *("binary", "category", "count", None)
    ]
