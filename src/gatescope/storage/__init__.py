"""Traces on disk: a directory that is a valid Zarr v3 group, written piece by piece and read lazily.

docs/trace.md is the schema. The chunks are uncompressed, so a neuron's values over many steps are one contiguous part
of a file that is mapped into memory; the zarr library opens the same directory. The root's zarr.json lists every array
with its shape and is replaced last, so a killed writer leaves a whole trace of the pieces that it had finished.
"""

from gatescope.storage.lazy_array import LazyArray
from gatescope.storage.reading import open_trace
from gatescope.storage.writing import Writer, pieces_of, save_trace

__all__ = ["LazyArray", "Writer", "open_trace", "pieces_of", "save_trace"]
