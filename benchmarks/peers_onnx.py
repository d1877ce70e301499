"""The peers that run an ONNX operator: black boxes without internals and without gradients.

`T` step, `B` sequence, `I` input, `N` neuron.
"""

import sys
from typing import Any

import numpy as np
from engines_problem import Candidate, Problem

# The operator of each cell, its attributes, and where each of ONNX's gates stands in our order of drives.
OPERATORS: dict[str, tuple[str, dict[str, Any], tuple[int, ...]]] = {
    "lstm": ("LSTM", {}, (0, 3, 1, 2)),  # i o f c of i f g o
    "gru": ("GRU", {"linear_before_reset": 1}, (1, 0, 2)),  # z r h of r z n
    "elman": ("RNN", {"activations": ["Tanh"]}, (0,)),
    "elman_relu": ("RNN", {"activations": ["Relu"]}, (0,)),
}
OPSET, IR_VERSION = 17, 8  # old enough for every runtime


def model(given: Problem) -> bytes:
    """The problem as an ONNX file: one operator, input "x" (T, B, I), output "y" (T, 1, B, N).

    Raises:
        ImportError: onnx is not installed.
    """
    import onnx  # noqa: PLC0415  optional peers
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415

    operator, attributes, order = OPERATORS[given.cell.name]
    steps, rows, inputs, neurons = given.size
    parameters = {name: values.detach().numpy()[list(order)] for name, values in _drives(given).items()}
    echoed = np.zeros_like(parameters["biases"])
    if operator == "GRU":
        echoed[-1] = given.parameters.neuron_weights.detach().numpy()[0]
    arrays = {
        "W": parameters["input_weights"].reshape(1, -1, inputs),
        "R": parameters["recurrent_weights"].reshape(1, -1, neurons),
        "B": np.concatenate([parameters["biases"].ravel(), echoed.ravel()])[None],
    }
    node = helper.make_node(operator, ["x", "W", "R", "B"], ["y"], hidden_size=neurons, **attributes)
    graph = helper.make_graph(
        [node],
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [steps, rows, inputs])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [steps, 1, rows, neurons])],
        [numpy_helper.from_array(np.ascontiguousarray(values), name) for name, values in arrays.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(made)
    return made.SerializeToString()


def _drives(given: Problem) -> dict[str, Any]:
    return {name: values for name, values in given.parameters.by_name().items() if name != "neuron_weights"}


def onnx_runtime(given: Problem, threads: int) -> Candidate | None:
    """onnxruntime on the processor.

    Raises:
        ImportError: onnx or onnxruntime is not installed.
    """
    if given.cell.name not in OPERATORS:
        return None
    import onnxruntime  # noqa: PLC0415  an optional peer

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(model(given), options, providers=["CPUExecutionProvider"])
    inputs = {"x": given.inputs.numpy()}
    return Candidate("onnxruntime", lambda: {"h": session.run(["y"], inputs)[0]}, None, False)


def openvino(given: Problem, threads: int) -> Candidate | None:
    """OpenVINO on the processor, for the least latency and in float32 also where the processor has bfloat16.

    Raises:
        ImportError: onnx or openvino is not installed.
    """
    if given.cell.name not in OPERATORS:
        return None
    # Its usage statistics would be sent by a fork of this process, which is multithreaded; it runs without them.
    sys.modules.setdefault("openvino_telemetry", None)  # pyright: ignore[reportArgumentType]
    import openvino as library  # noqa: PLC0415  an optional peer

    core = library.Core()
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        "NUM_STREAMS": 1,
    }
    request = core.compile_model(core.read_model(model(given), b""), "CPU", settings).create_infer_request()
    inputs = [given.inputs.numpy()]

    def forward() -> dict[str, Any]:
        return {"h": request.infer(inputs, share_inputs=True, share_outputs=True)[0]}

    return Candidate("OpenVINO", forward, None, False)
