"""The peers that run an ONNX operator: black boxes without inner signals or gradients.

`T` step, `B` sequence, `I` input, `N` neuron.
"""

import sys
from typing import Any

import numpy as np
from engines_problem import Candidate, Problem

# Operator, attributes, and for each gate in the order of ONNX the index of its drive in our order.
OPERATORS: dict[str, tuple[str, dict[str, Any], tuple[int, ...]]] = {
    "lstm": ("LSTM", {}, (0, 3, 1, 2)),  # i o f c from i f g o
    "gru": ("GRU", {"linear_before_reset": 1}, (1, 0, 2)),  # z r h from r z n
    "elman": ("RNN", {"activations": ["Tanh"]}, (0,)),
    "elman_relu": ("RNN", {"activations": ["Relu"]}, (0,)),
}
OPSET, IR_VERSION = 17, 8  # old enough for every runtime


def model(problem: Problem) -> bytes:
    """Write the problem as an ONNX file: one operator, input "x" (T, B, I), output "y" (T, 1, B, N).

    Raises:
        ImportError: onnx is not installed.
    """
    import onnx  # noqa: PLC0415  optional peers
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415

    operator, attributes, order = OPERATORS[problem.cell.name]
    steps, rows, inputs, neurons = problem.size
    parameters = {name: values.detach().numpy()[list(order)] for name, values in _weights_by_drive(problem).items()}
    recurrent_biases = np.zeros_like(parameters["biases"])
    if operator == "GRU":
        recurrent_biases[-1] = problem.parameters.neuron_weights.detach().numpy()[0]
    arrays = {
        "W": parameters["input_weights"].reshape(1, -1, inputs),
        "R": parameters["recurrent_weights"].reshape(1, -1, neurons),
        "B": np.concatenate([parameters["biases"].ravel(), recurrent_biases.ravel()])[None],
    }
    node = helper.make_node(operator, ["x", "W", "R", "B"], ["y"], hidden_size=neurons, **attributes)
    graph = helper.make_graph(
        [node],
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [steps, rows, inputs])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [steps, 1, rows, neurons])],
        [numpy_helper.from_array(np.ascontiguousarray(values), name) for name, values in arrays.items()],
    )
    onnx_model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(onnx_model)
    return onnx_model.SerializeToString()


def _weights_by_drive(problem: Problem) -> dict[str, Any]:
    """Return the parameters whose first axis counts drives, by name."""
    return {name: values for name, values in problem.parameters.by_name().items() if name != "neuron_weights"}


def onnx_runtime(problem: Problem, threads: int) -> Candidate | None:
    """Return onnxruntime on the CPU as a candidate, or None if ONNX has no such cell.

    Raises:
        ImportError: onnx or onnxruntime is not installed.
    """
    if problem.cell.name not in OPERATORS:
        return None
    import onnxruntime  # noqa: PLC0415  an optional peer

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(model(problem), options, providers=["CPUExecutionProvider"])
    inputs = {"x": problem.inputs.numpy()}
    return Candidate("onnxruntime", lambda: {"h": session.run(["y"], inputs)[0]}, None, False)


def openvino(problem: Problem, threads: int) -> Candidate | None:
    """Return OpenVINO on the CPU as a candidate: lowest latency, float32 even where the CPU has bfloat16.

    Raises:
        ImportError: onnx or openvino is not installed.
    """
    if problem.cell.name not in OPERATORS:
        return None
    # OpenVINO would fork this multithreaded process to send usage statistics; it runs without that module.
    sys.modules.setdefault("openvino_telemetry", None)  # pyright: ignore[reportArgumentType]
    import openvino as library  # noqa: PLC0415  an optional peer

    core = library.Core()
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        "NUM_STREAMS": 1,
    }
    request = core.compile_model(core.read_model(model(problem), b""), "CPU", settings).create_infer_request()
    inputs = [problem.inputs.numpy()]

    def forward() -> dict[str, Any]:
        return {"h": request.infer(inputs, share_inputs=True, share_outputs=True)[0]}

    return Candidate("OpenVINO", forward, None, False)
