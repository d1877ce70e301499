"""`gatescope sample`: let a network write."""

from __future__ import annotations

import sys

from gatescope.cli.app import LOOK, command
from gatescope.cli.common import (
    Flag,
    Json,
    find_run,
    harmless,
    note_of_adoption,
    print_json,
    use_threads,
    usual_prime,
    warn_of_unknown,
)


@command(
    LOOK,
    "RUN [OPTIONS]",
    'gatescope sample runs/text --prime "def " --length 500 --temperature 0.7',
    "gatescope sample counter --prime aaaaaX --argmax    # does it count to five?",
    "gatescope sample runs/text --seed 3 --top-k 5 > written.py",
)
def sample(
    run: str,
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
    """Let a network write: what it predicts is drawn, printed, and read as the next input.

    Parameters
    ----------
    run
        A run directory, or the name of a run in ./runs.
    prime
        What the network reads first; it is printed, too. A network of a task with an end mark is otherwise given the
        first symbol of the task's first example, and one of a text begins as if after a newline.
    length
        The most symbols to write.
    temperature
        Above 1 makes the choice more even, below 1 more certain.
    top_k
        Draw from the k most probable symbols only.
    top_p
        Draw from the most probable symbols that together have this probability.
    argmax
        Always take the most probable symbol.
    seed
        The same seed writes the same text.
    stop
        Stop as soon as this has been written; by default the end mark of the task, where it has one.
    """
    use_threads(1)
    from gatescope.sampling import Choice
    from gatescope.sampling import sample as write

    place = find_run(run)
    network, step = place.network()
    vocabulary = network.configuration.vocabulary
    task = place.task()
    note_of_adoption(task)
    if prime is None:
        prime = usual_prime(task, vocabulary)
    warn_of_unknown(vocabulary, prime)
    choice = Choice(temperature, top_k, top_p, argmax)
    pieces = write(network, prime, length=length, choice=choice, seed=seed, stop=stop or vocabulary.end)
    if json:
        print_json({"run": str(place.path), "step": step, "prime": prime, "text": "".join(pieces), "seed": seed})
        return
    # A terminal obeys control characters, and a network may write any that it has read.
    show = harmless if sys.stdout.isatty() else str
    end = prime
    print(show(prime), end="", flush=True)
    for end in pieces:
        print(show(end), end="", flush=True)
    if sys.stdout.isatty() and not end.endswith("\n"):
        print()
