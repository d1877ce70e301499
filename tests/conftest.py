"""What all tests share: types checked at run time, one thread per worker, property tests that repeat."""

import os
import warnings

import pytest
import torch
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

from tests import typechecking

# Every annotated call in the package is checked, shapes included. This has to come before anything imports gatescope.
install_import_hook("gatescope", f"{typechecking.__name__}.{typechecking.check.__name__}")

# Not at the top of the file: the hook has to be there first.
from gatescope.engine import native  # noqa: E402

# Several workers share the cores, and so do the processes that tests start: threads would only fight over them.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"

# A machine that is busy with something else fails no test, and a run that decides about a change is repeatable.
settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("here"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")

# Where there is no compiler, everything is tested on the plain engine; that it is said once is not every test's affair.
with warnings.catch_warnings(action="ignore"):
    COMPILED = native.available()


@pytest.fixture(scope="session")
def compiled() -> None:
    """What asks for this is about the native engine alone."""
    if not COMPILED:
        pytest.skip("the native engine is not compiled")


@pytest.fixture(scope="session", params=["plain", "native"])
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine in turn."""
    if request.param == "native":
        request.getfixturevalue("compiled")
    return request.param
