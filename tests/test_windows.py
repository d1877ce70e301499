"""The package where modules, signals and flags of POSIX are missing, as on Windows."""

import subprocess
import sys
from pathlib import Path

# Other packages adapt to the system that they are imported on; only gatescope is imported without these names.
PROGRAM = """
import importlib, os, pkgutil, signal, socket, sys
import anyio._backends._asyncio, cyclopts, filelock, h5py, onnx, numpy, pandas, rich.console, rich.progress, safetensors
import starlette.staticfiles, torch, torch.export, uvicorn, xarray

for name in ("fcntl", "termios", "tty", "pty", "resource", "pwd", "grp", "syslog"):
    sys.modules[name] = None
for module, names in {
    os: "nice fork getuid geteuid killpg setsid mkfifo statvfs chown O_NONBLOCK O_NOCTTY O_NOFOLLOW O_DIRECTORY",
    signal: "SIGPIPE SIGKILL SIGHUP SIGALRM SIGUSR1 SIGCHLD setitimer pthread_sigmask pthread_kill",
    socket: "AF_UNIX SO_REUSEPORT",
}.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)

import gatescope
from gatescope.cli import main

for found in pkgutil.walk_packages(gatescope.__path__, "gatescope."):
    if not found.name.endswith(("__main__", "._native")):
        importlib.import_module(found.name)
for command in (
    "train counter --neurons 4 --steps 6 --run runs/counter",
    "train --resume --run runs/counter --steps 12",
    "sample runs/counter --length 5",
    "record runs/counter aX --out trace",
    "check trace",
    "runs",
    "export runs/counter counter.onnx",
):
    assert main(command.split()) == 0, command
"""


def test_package_without_posix_names_imports_and_runs(tmp_path: Path) -> None:
    """Every module imports, and a run is trained, resumed, sampled, recorded and exported without names of POSIX."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
