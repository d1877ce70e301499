"""Write native/cells.hpp from the built-in cells: `python -m gatescope.cells.generate native/cells.hpp`."""

import sys
from pathlib import Path

from gatescope.cells import CELLS
from gatescope.equations import source

if __name__ == "__main__":
    Path(sys.argv[1]).write_text(source(CELLS.values()), encoding="utf-8")
