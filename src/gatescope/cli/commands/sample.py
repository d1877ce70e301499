"""`gatescope sample`: let a network write text."""

from __future__ import annotations

import sys

from gatescope.cli.app import INSPECT_GROUP, command
from gatescope.cli.options import Flag, Json, RunName, use_threads
from gatescope.cli.output import harmless, print_json, print_unknown_symbols
from gatescope.cli.subject import default_prime, find_run, print_adoption


@command(
    INSPECT_GROUP,
    "RUN [OPTIONS]",
    'gatescope sample runs/text --prime "def " --length 500 --temperature 0.7',
    "gatescope sample counter --prime aaaaaX --argmax    # does it count to five?",
    "gatescope sample runs/text --seed 3 --top-k 5 > written.py",
)
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
    """Sample text: draw each symbol from the prediction, print it, and feed it back as the next input.

    Parameters
    ----------
    prime
        Text that the network reads first; it is printed too. Defaults to the first symbol of the task's first example
        if the task has an end mark. Other networks begin as if after a newline.
    length
        Maximum number of sampled symbols.
    temperature
        Divisor of the logits. Values above 1 make the distribution flatter, values below 1 sharper.
    top_k
        Draw from the k most probable symbols only.
    top_p
        Draw from the most probable symbols whose probabilities sum to this value.
    argmax
        Take the most probable symbol every time.
    seed
        Random seed. The same seed gives the same text.
    stop
        Stop after this symbol. Defaults to the end mark of the task, if it has one.
    """
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
