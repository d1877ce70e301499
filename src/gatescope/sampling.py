"""Letting a network write: each symbol is drawn from its prediction and read as the next input."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from gatescope.errors import GatescopeError
from gatescope.network import Network, evaluating


class SamplingError(GatescopeError):
    """A setting that leaves nothing to draw from; the message says what it may be."""


@dataclass(frozen=True)
class Choice:
    """How the next symbol is chosen.

    Attributes:
        temperature: predictions are flattened above 1 and sharpened below; more than 0.
        top_k: only the k most probable symbols can be drawn.
        top_p: only the most probable symbols that together reach this probability can be drawn.
        greedy: always take the most probable symbol; the others are ignored.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    greedy: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.temperature < float("inf"):
            raise SamplingError(
                f"temperature is {self.temperature}; it is more than 0 (and --argmax is the limit at 0)."
            )
        if self.top_k is not None and self.top_k < 1:
            raise SamplingError(f"top-k is {self.top_k}; it is 1 or more.")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise SamplingError(f"top-p is {self.top_p}; it is more than 0 and at most 1.")

    def draw(self, logits: Tensor, generator: torch.Generator) -> int:
        """One symbol's id from unnormalised log-probabilities (V,)."""
        if self.greedy:
            return int(logits.argmax())
        order = logits.argsort(descending=True, stable=True)
        sorted_logits = logits[order].double()
        # The largest becomes 0, so that no temperature, however small, makes infinities of which softmax makes NaN.
        probabilities = ((sorted_logits - sorted_logits[0]) / self.temperature).softmax(0)
        if self.top_k is not None:
            probabilities[self.top_k :] = 0
        if self.top_p is not None:
            # A symbol stays when those before it have not yet reached top_p: the most probable always does.
            probabilities[probabilities.cumsum(0) - probabilities >= self.top_p] = 0
        return int(order[torch.multinomial(probabilities, 1, generator=generator)])


def sample(
    network: Network,
    prime: str,
    *,
    length: int = 200,
    choice: Choice | None = None,
    seed: int = 0,
    stop: str | None = None,
) -> Iterator[str]:
    """Text that goes on after `prime`, yielded as it is written (without the prime).

    Args:
        network: one that predicts at every step.
        prime: what the network reads first, from the initial state; when empty, it reads its end mark or a newline,
            where it knows one, and otherwise its first symbol.
        length: the most symbols to write.
        choice: how symbols are chosen; at temperature 1 when not given.
        seed: of the random numbers.
        stop: writing ends as soon as this text is complete.

    Raises:
        SamplingError: the network does not predict symbols at every step, or length is negative.
    """
    configuration, vocabulary = network.configuration, network.configuration.vocabulary
    if configuration.reads != "every step" or configuration.outputs is not None:
        raise SamplingError("this network does not predict the next symbol after every step, so it cannot write.")
    if length < 0:
        raise SamplingError(f"length is {length}; it is 0 or more.")
    begin = vocabulary.end or ("\n" if "\n" in vocabulary.symbols else vocabulary.symbols[0])
    read = torch.from_numpy(vocabulary.encode(prime or begin)).long().unsqueeze(1)
    return _write(network, read, length, choice or Choice(), torch.Generator().manual_seed(seed), stop)


@torch.inference_mode()
def _write(
    network: Network,
    read: Int[Tensor, "T 1"],
    length: int,
    choice: Choice,
    generator: torch.Generator,
    stop: str | None,
) -> Iterator[str]:
    """What `sample` yields, once its arguments were found to make sense."""
    vocabulary = network.configuration.vocabulary
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    written, state = "", None
    for _ in range(length):
        with evaluating(network):
            output = network(read, state)
        state = output.state
        drawn = choice.draw(output.logits[-1, 0], generator)
        piece = decoder.decode(bytes([drawn])) if vocabulary.bytes else vocabulary.symbols[drawn]
        if piece:
            yield piece
        if stop:
            # The last bytes of a piece may complete several characters at once.
            written = (written + piece)[-len(stop) - len(piece) :]
            if stop in written:
                return
        read = torch.tensor([[drawn]])
    if rest := decoder.decode(b"", final=True):
        yield rest
