"""The machine and the versions that a result was measured on, as one line of text."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

import gatescope


def machine() -> str:
    """Return processor, cores, threads, versions and date."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    threads = torch.get_num_threads()
    return (
        f"{model}, {os.cpu_count()} cores, {threads} torch thread{'s' if threads > 1 else ''}; {platform.system()}, "
        f"Python {platform.python_version()}, torch {torch.__version__}, NumPy {np.__version__}, "
        f"gatescope {gatescope.__version__}; {datetime.now(UTC):%Y-%m-%d}"
    )
