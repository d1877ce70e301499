"""The JAX peer: `lax.scan` over steps that keeps every signal, compiled as a whole."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from engines_problem import Candidate, Problem
from peers_equations import EQUATIONS


def scan(problem: Problem) -> Candidate:
    """Compile the input product and `lax.scan`, forward and with `jax.vjp`; each call waits for its results.

    Raises:
        ImportError: JAX is not installed.
    """
    import jax  # noqa: PLC0415  an optional peer
    import jax.numpy as jnp  # noqa: PLC0415

    F = SimpleNamespace(
        sigmoid=jax.nn.sigmoid,
        tanh=jnp.tanh,
        relu=jax.nn.relu,
        exp=jnp.exp,
        log_sigmoid=jax.nn.log_sigmoid,
        maximum=jnp.maximum,
    )
    name, (_, rows, _, neurons), drives = problem.cell.name, problem.size, len(problem.cell.tape.input_drives)
    equations = EQUATIONS[name]
    processor = jax.devices("cpu")[0]

    def on_device(values: Any) -> Any:
        return jax.device_put(values.detach().numpy(), processor)

    weights, inputs = tuple(on_device(values) for values in problem.weights()), on_device(problem.inputs)
    upstream = {signal: on_device(values) for signal, values in problem.upstream.items()}

    def signals(weights: Any, inputs: Any) -> dict[str, Any]:
        input_weights, biases, recurrent, neuron = weights
        input_drives = inputs @ input_weights.T + biases
        early = equations.before(F, jnp.split(input_drives, drives, -1)) if equations.before else {}
        if equations.step is None:
            return early
        make: Callable[..., dict[str, Any]] = equations.step

        def step(state: Any, at: Any) -> Any:
            if not equations.before:
                recurrent_drives = state["h"] @ recurrent.T
                at = (
                    jnp.split(at + recurrent_drives, drives, -1)
                    if equations.joined
                    else (*jnp.split(at, drives, -1), *jnp.split(recurrent_drives, drives, -1))
                )
            values = make(F, at, state, neuron)
            return {signal: values[signal] for signal in equations.states}, values

        start = {signal: jnp.zeros((rows, neurons), input_drives.dtype) for signal in equations.states}
        return early | jax.lax.scan(step, start, early or input_drives)[1]

    def signals_and_gradients(weights: Any, inputs: Any, upstream: Any) -> tuple[Any, Any]:
        values, pull = jax.vjp(lambda weights: signals(weights, inputs), weights)
        return values, pull(upstream)[0]

    run, run_both = jax.jit(signals), jax.jit(signals_and_gradients)
    return Candidate(
        "JAX",
        lambda: jax.block_until_ready(run(weights, inputs)),
        lambda: jax.block_until_ready(run_both(weights, inputs, upstream))[1][0],
        True,
    )
