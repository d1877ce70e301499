"""Features: annotations of each character of a text. One file, one family; NumPy, `re` and Pygments only.

The value at a character depends on the text up to and including it, unless its title ends with "(looks ahead)".
"""

from gatescope.features import tokens
from gatescope.features.choose import FAMILIES, choose
from gatescope.features.feature import Family, Feature, FeatureError, annotate, of_arrays
from gatescope.features.own import feature, from_quantities
from gatescope.features.pairs import binary_features_named, both, features_named, without
from gatescope.features.regex import pattern

__all__ = [
    "FAMILIES",
    "Family",
    "Feature",
    "FeatureError",
    "annotate",
    "binary_features_named",
    "both",
    "choose",
    "feature",
    "features_named",
    "from_quantities",
    "of_arrays",
    "pattern",
    "tokens",
    "without",
]
