"""The peer made of JAX: `lax.scan` over steps that keeps every internal, compiled as a whole."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from engines_problem import Candidate, Problem
from peers_equations import EQUATIONS


def scan(given: Problem) -> Candidate:
    """`jax.jit` of the inputs' product and `lax.scan`, and of both with `jax.vjp`; waits until the results are there.

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
    name, (_, rows, _, neurons), drives = given.cell.name, given.size, len(given.cell.tape.input_drives)
    equations = EQUATIONS[name]
    processor = jax.devices("cpu")[0]

    def there(values: Any) -> Any:
        return jax.device_put(values.detach().numpy(), processor)

    weights, inputs = tuple(there(values) for values in given.weights()), there(given.inputs)
    upstream = {signal: there(values) for signal, values in given.upstream.items()}

    def signals(weights: Any, inputs: Any) -> dict[str, Any]:
        input_weights, biases, recurrent, neuron = weights
        heard = inputs @ input_weights.T + biases
        early = equations.before(F, jnp.split(heard, drives, -1)) if equations.before else {}
        if equations.step is None:
            return early
        make: Callable[..., dict[str, Any]] = equations.step

        def step(state: Any, at: Any) -> Any:
            if not equations.before:
                echoed = state["h"] @ recurrent.T
                at = (
                    jnp.split(at + echoed, drives, -1)
                    if equations.joined
                    else (*jnp.split(at, drives, -1), *jnp.split(echoed, drives, -1))
                )
            found = make(F, at, state, neuron)
            return {signal: found[signal] for signal in equations.states}, found

        start = {signal: jnp.zeros((rows, neurons), heard.dtype) for signal in equations.states}
        return early | jax.lax.scan(step, start, early or heard)[1]

    def signals_and_gradients(weights: Any, inputs: Any, upstream: Any) -> tuple[Any, Any]:
        found, pull = jax.vjp(lambda weights: signals(weights, inputs), weights)
        return found, pull(upstream)[0]

    run, run_both = jax.jit(signals), jax.jit(signals_and_gradients)
    return Candidate(
        "JAX",
        lambda: jax.block_until_ready(run(weights, inputs)),
        lambda: jax.block_until_ready(run_both(weights, inputs, upstream))[1][0],
        True,
    )
