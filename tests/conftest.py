"""Set up what all tests share: the package of this tree, run-time type checks, and randomness that repeats.

Property tests draw the same examples in every run, from seeds that follow from each test's own source. `make
explore-tests` draws new ones. Every failure that it finds is kept as an `@example` of its test.
"""

import gc
import importlib.util
import os
import random
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, register_random, settings
from hypothesis.internal.conjecture import providers
from jaxtyping import install_import_hook

from tests import typechecking

ROOT = Path(__file__).resolve().parent.parent


def require_package_of(root: Path) -> None:
    """Exit with a sentence unless `gatescope` is the package of `root`, or of a folder that PYTHONPATH names."""
    spec = importlib.util.find_spec("gatescope")
    package = None if spec is None or spec.origin is None else Path(spec.origin).resolve().parent
    chosen = [Path(folder).resolve() for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    if package is None or package.parent not in [root / "src", *chosen]:
        sys.exit(
            f"Package gatescope: expected the one in {root / 'src'}, got {package}. "
            f"Run 'make test' in {root}, or name the folder of another package with PYTHONPATH=DIR."
        )


require_package_of(ROOT)

# The hook checks every annotated call in the package, shapes included. Nothing may import gatescope before it.
install_import_hook("gatescope", f"{typechecking.__name__}.{typechecking.check.__name__}")

# Not at the top of the file: the hook comes first.
from gatescope.engine import native  # noqa: E402

# Several workers share the cores, and so do the processes that tests start: threads would only compete.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"

# A shell starts what runs in its background deaf to Ctrl-C, and so would be every program that a test starts and ends.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Waiting for the disk takes half of the time of tests that write, and no test here cuts the power. `os.fstat` fails for
# the same descriptors.
os.fsync = os.fstat

# What the caller's terminal says about colours and widths must not change what a test reads.
for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS", "LINES"):
    os.environ.pop(name, None)

# No example has a deadline: a busy machine fails no test.
settings.register_profile("explore", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeat", settings.get_profile("explore"), derandomize=True, database=None)
settings.load_profile("repeat")

# Hypothesis also tries constants from the modules that happen to be imported, so examples would depend on the order of
# the tests and on every number in the sources.
providers._get_local_constants = lambda: providers._local_constants


class TorchRandom:
    """The global random generator of torch, which Hypothesis seeds anew for every example."""

    def seed(self, seed: int) -> None:
        torch.default_generator.manual_seed(seed)

    def getstate(self) -> torch.Tensor:
        return torch.default_generator.get_state()

    def setstate(self, state: Any) -> None:
        torch.default_generator.set_state(state)


TORCH = TorchRandom()  # Hypothesis keeps a weak reference only
register_random(TORCH)


def pytest_collection_finish() -> None:
    """Exempt what was imported from garbage collection, which is slow with so many objects."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Seed the global generators, so that no test depends on those that ran before it."""
    random.seed(0)
    TORCH.seed(0)


# Without a compiler, everything is tested on the plain engine. The package's warning about that is not every test's.
with warnings.catch_warnings(action="ignore"):
    COMPILED = native.available()


@pytest.fixture(scope="session")
def compiled() -> None:
    """Skip a test that is about the native engine alone where it is not compiled."""
    if not COMPILED:
        pytest.skip("the native engine is not compiled")


@pytest.fixture(scope="session", params=["plain", "native"])
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine in turn."""
    if request.param == "native":
        request.getfixturevalue("compiled")
    return request.param
