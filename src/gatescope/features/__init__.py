"""Features: what can be said of each character of a text. One file, one family; NumPy and `re` only."""

from gatescope.features.feature import Family, Feature, FeatureError, annotate, of_arrays

__all__ = ["Family", "Feature", "FeatureError", "annotate", "of_arrays"]
