"""The explorer: a page on this machine in which every gate of every neuron can be looked at."""

from gatescope.explorer.server import ExplorerError, serve

__all__ = ["ExplorerError", "serve"]
