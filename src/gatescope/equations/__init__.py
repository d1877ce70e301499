"""The equations of a cell, and everything that is derived from them."""

from gatescope.equations.cpp import source
from gatescope.equations.derivatives import Reverse, reverse
from gatescope.equations.evaluation import Evaluator
from gatescope.equations.expression import (
    EquationError,
    Expression,
    exp,
    log_sigmoid,
    maximum,
    relu,
    sigmoid,
    tanh,
)
from gatescope.equations.formulas import expression, latex, text
from gatescope.equations.forward_derivatives import Forward, Place, forward
from gatescope.equations.operations import OPERATIONS
from gatescope.equations.serialization import from_json, key, to_json
from gatescope.equations.tape import Node, Tape, join_drives, trace_function

__all__ = [
    "OPERATIONS",
    "EquationError",
    "Evaluator",
    "Expression",
    "Forward",
    "Node",
    "Place",
    "Reverse",
    "Tape",
    "exp",
    "expression",
    "forward",
    "from_json",
    "join_drives",
    "key",
    "latex",
    "log_sigmoid",
    "maximum",
    "relu",
    "reverse",
    "sigmoid",
    "source",
    "tanh",
    "text",
    "to_json",
    "trace_function",
]
