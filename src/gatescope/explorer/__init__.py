"""The explorer: a local web page that shows every gate of every neuron."""

from gatescope.explorer.server import ExplorerError, serve

__all__ = ["ExplorerError", "serve"]
