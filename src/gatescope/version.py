"""The version of the package, said once: the build, the run directories and the explorer read it here."""

__version__ = "0.1.0"
