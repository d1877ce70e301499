"""The equations of a cell, and everything that is derived from them."""

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
from gatescope.equations.operations import OPERATIONS
from gatescope.equations.serialization import from_json, to_json
from gatescope.equations.tape import Node, Tape, join_drives, trace_function

__all__ = [
    "OPERATIONS",
    "EquationError",
    "Evaluator",
    "Expression",
    "Node",
    "Tape",
    "exp",
    "expression",
    "from_json",
    "join_drives",
    "latex",
    "log_sigmoid",
    "maximum",
    "relu",
    "sigmoid",
    "tanh",
    "text",
    "to_json",
    "trace_function",
]
