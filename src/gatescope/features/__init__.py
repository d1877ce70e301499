"""Features: annotations of each character of a text. One file, one family; NumPy, `re` and Pygments only.

The value at a character depends on the text up to and including it, unless its title ends with "(looks ahead)".
"""

from gatescope.features import tokens
from gatescope.features.choose import FAMILIES, choose
from gatescope.features.feature import Family, Feature, FeatureError, annotate, of_arrays
from gatescope.features.feature_names import local_names, short_name
from gatescope.features.own import feature, from_quantities
from gatescope.features.pairs import above, binary_features_named, both, features_named, without
from gatescope.features.regex import pattern
from gatescope.features.symbols import of_symbols

__all__ = [
    "FAMILIES",
    "Family",
    "Feature",
    "FeatureError",
    "above",
    "annotate",
    "binary_features_named",
    "both",
    "choose",
    "feature",
    "features_named",
    "from_quantities",
    "local_names",
    "of_arrays",
    "of_symbols",
    "pattern",
    "short_name",
    "tokens",
    "without",
]
