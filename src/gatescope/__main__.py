"""`python -m gatescope` is the command `gatescope`."""

import sys

from gatescope.cli import main

if __name__ == "__main__":
    sys.exit(main())
