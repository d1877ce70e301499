"""Setup of all tests: the package of this tree, run-time type checks, and reproducible randomness.

Property tests draw the same examples in every run; the seed of a test is derived from its source. `make explore-tests`
draws new examples, and every failure that it finds becomes an `@example` of its test.
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

import jaxtyping
import pytest
import torch
from hypothesis import HealthCheck, register_random, settings
from hypothesis.internal.conjecture import providers
from jaxtyping import install_import_hook

from tests import typechecking

ROOT = Path(__file__).resolve().parent.parent

# The tests read English sentences, whatever the language of the developer.
os.environ["LC_ALL"] = "C.UTF-8"


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
jaxtyping.jaxtyped = typechecking.jaxtyped_where_needed
install_import_hook("gatescope", f"{typechecking.__name__}.{typechecking.check.__name__}")

# Not at the top of the file: the hook comes first.
from gatescope.engine import native  # noqa: E402

# Several workers share the cores, and so do the processes that tests start: threads would only compete.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"

# A shell starts background jobs with Ctrl-C ignored, and every program that a test starts would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Waiting for the disk takes half of the time of tests that write, and no test simulates a power failure. `os.fstat`
# raises the same errors for invalid descriptors.
os.fsync = os.fstat

# The colours and width of the caller's terminal must not change the output that a test reads.
for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS", "LINES"):
    os.environ.pop(name, None)

# Examples have no deadline, so that no test fails on a busy machine.
settings.register_profile("explore", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeat", settings.get_profile("explore"), derandomize=True, database=None)
settings.load_profile("repeat")

# Hypothesis also tries constants from the modules that happen to be imported, so examples would depend on the order of
# the tests and on every number in the sources.
providers._get_local_constants = lambda: providers._local_constants


class TorchRandom:
    """The global random generator of torch, which Hypothesis seeds for every example."""

    def seed(self, seed: int) -> None:
        torch.default_generator.manual_seed(seed)

    def getstate(self) -> torch.Tensor:
        return torch.default_generator.get_state()

    def setstate(self, state: Any) -> None:
        torch.default_generator.set_state(state)


TORCH = TorchRandom()  # Hypothesis only keeps a weak reference
register_random(TORCH)


def pytest_collection_finish() -> None:
    """Exempt imported modules from garbage collection, which is slow with many objects."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Seed the global generators, so that no test depends on earlier tests."""
    random.seed(0)
    TORCH.seed(0)


# Without a compiler, all tests run on the plain engine, without the package's warning about it.
with warnings.catch_warnings(action="ignore"):
    COMPILED = native.available()


@pytest.fixture(scope="session")
def compiled() -> None:
    """Skip a test of the native engine if it is not compiled."""
    if not COMPILED:
        pytest.skip("the native engine is not compiled")


@pytest.fixture(scope="session", params=["plain", "native"])
def engine(request: pytest.FixtureRequest) -> str:
    """Yield the name of each engine."""
    if request.param == "native":
        request.getfixturevalue("compiled")
    return request.param
