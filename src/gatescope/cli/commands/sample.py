"""`gatescope sample`: let a network write text."""

from __future__ import annotations

import sys

from gatescope.cli.app import INSPECT_GROUP, command
from gatescope.cli.options import Flag, Json, RunName, use_threads
from gatescope.cli.output import harmless, print_json, print_unknown_symbols
from gatescope.cli.subject import default_prime, find_run, print_adoption


@command(INSPECT_GROUP)
def sample(
    name: RunName,
    /,
    *,
    prime: str | None = None,
    length: int = 200,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    argmax: Flag = False,
    seed: int = 0,
    stop: str | None = None,
    json: Json = False,
) -> None:
    """Sample text: draw each symbol from the prediction, print it, and feed it back as the next input."""
    use_threads(1)
    from gatescope.sampling import Choice
    from gatescope.sampling import sample as sample_text

    run = find_run(name)
    network, step = run.network()
    vocabulary = network.configuration.vocabulary
    task = run.task()
    print_adoption(task)
    if prime is None:
        prime = default_prime(task, vocabulary)
    print_unknown_symbols(vocabulary, prime)
    choice = Choice(temperature, top_k, top_p, argmax)
    pieces = sample_text(network, prime, length=length, choice=choice, seed=seed, stop=stop or vocabulary.end)
    if json:
        print_json({"run": str(run.path), "step": step, "prime": prime, "text": "".join(pieces), "seed": seed})
        return
    # A terminal obeys control characters, and a network may write any character of its training text.
    show = harmless if sys.stdout.isatty() else str
    last = prime
    print(show(prime), end="", flush=True)
    for piece in pieces:
        last = piece or last
        print(show(piece), end="", flush=True)
    if sys.stdout.isatty() and not last.endswith("\n"):
        print()
