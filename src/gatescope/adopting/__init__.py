"""Networks that were trained elsewhere as gatescope's own, and the other way: one file for each foreign format."""

from gatescope.adopting.adopt import Adoption, adopt
from gatescope.adopting.assembling import Assembled, assemble
from gatescope.adopting.exporting import FORMATS, save
from gatescope.adopting.foreign import AdoptingError, Foreign, ForeignLayer, Head, Joined
from gatescope.adopting.formats import check_file, read
from gatescope.adopting.from_formats import from_keras, from_onnx, from_safetensors, from_torch
from gatescope.adopting.lstm_explorer import read_lstm_explorer, steps_that_hold
from gatescope.adopting.run_zip import is_run_zip, unpack_run
from gatescope.adopting.symbol_files import read_names, read_vocabulary, vocabulary_of

__all__ = [
    "FORMATS",
    "AdoptingError",
    "Adoption",
    "Assembled",
    "Foreign",
    "ForeignLayer",
    "Head",
    "Joined",
    "adopt",
    "assemble",
    "check_file",
    "from_keras",
    "from_onnx",
    "from_safetensors",
    "from_torch",
    "is_run_zip",
    "read",
    "read_lstm_explorer",
    "read_names",
    "read_vocabulary",
    "save",
    "steps_that_hold",
    "unpack_run",
    "vocabulary_of",
]
