"""The equations of a cell and everything derived from them: derivatives, formulas, C++."""

from gatescope.equations.cpp import source
from gatescope.equations.derivatives import Reverse, reverse
from gatescope.equations.drives import DriveOrder, drive_order
from gatescope.equations.evaluation import Evaluator
from gatescope.equations.formulas import expression, latex, text
from gatescope.equations.forward_derivatives import Forward, Place, forward
from gatescope.equations.operations import OPERATIONS
from gatescope.equations.serialization import canonical_json, from_json, key, to_json
from gatescope.equations.symbolic import (
    EquationError,
    Expression,
    exp,
    log_sigmoid,
    maximum,
    relu,
    sigmoid,
    tanh,
)
from gatescope.equations.tape import Node, Tape, trace_function

__all__ = [
    "OPERATIONS",
    "DriveOrder",
    "EquationError",
    "Evaluator",
    "Expression",
    "Forward",
    "Node",
    "Place",
    "Reverse",
    "Tape",
    "canonical_json",
    "drive_order",
    "exp",
    "expression",
    "forward",
    "from_json",
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
