"""Letting a network write: each symbol is drawn from its prediction and read as the next input.

`T` step, `B` text, `V` symbol.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gatescope.engine import Intervention
from gatescope.errors import GatescopeError
from gatescope.names import named_settings
from gatescope.network import PIECE, Network, evaluating
from gatescope.readout import SYMBOLS
from gatescope.vocabulary import Ids, Vocabulary


class SamplingError(GatescopeError):
    """A setting that leaves nothing to draw from; the message says what it may be."""


@named_settings
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
            raise SamplingError("SAMPLING_TEMPERATURE_ARGMAX_LIMIT", temperature=self.temperature)
        if self.top_k is not None and self.top_k < 1:
            raise SamplingError("SAMPLING_TOP", top_k=self.top_k)
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise SamplingError("SAMPLING_TOP_MOST", top_p=self.top_p)

    def draw(self, logits: Float[Tensor, " V"], generator: torch.Generator) -> int:
        """One symbol's id from unnormalised log-probabilities."""
        return self.draw_each(logits.unsqueeze(0), [generator])[0]

    def draw_each(self, logits: Float[Tensor, "B V"], generators: Sequence[torch.Generator]) -> list[int]:
        """One symbol's id from each row of unnormalised log-probabilities, with the random numbers of its generator."""
        if self.greedy:
            return logits.argmax(1).tolist()
        order = logits.argsort(dim=1, descending=True, stable=True)
        sorted_logits = logits.gather(1, order).double()
        # The largest becomes 0, so that no temperature, however small, makes infinities of which softmax makes NaN.
        probabilities = ((sorted_logits - sorted_logits[:, :1]) / self.temperature).softmax(1)
        if self.top_k is not None:
            probabilities[:, self.top_k :] = 0
        if self.top_p is not None:
            # A symbol stays when those before it have not yet reached top_p: the most probable always does.
            probabilities[probabilities.cumsum(1) - probabilities >= self.top_p] = 0
        # Row by row, because each has random numbers of its own: what else is drawn beside it changes nothing.
        ranks = [
            torch.multinomial(row, 1, generator=generator)
            for row, generator in zip(probabilities, generators, strict=True)
        ]
        return order.gather(1, torch.stack(ranks))[:, 0].tolist()


def sample(
    network: Network,
    prime: str,
    *,
    length: int = 200,
    choice: Choice | None = None,
    seed: int = 0,
    stop: str | None = None,
    interventions: Sequence[Intervention] = (),
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
        interventions: changes made while it reads and writes. Their steps are those of the whole run: of the prime's
            symbols, then of each symbol that was written and is read again, which the last one is not.

    Raises:
        SamplingError: the network does not predict symbols at every step, or length is negative.
        ValueError: while it is written: an intervention on something that is not there.
    """
    read = _begin(network, prime, length)
    writer = _Writer(network.configuration.vocabulary, stop, prime)
    return _write(network, read, length, choice or Choice(), seed, writer, interventions)


def sample_many(
    network: Network,
    prime: str,
    seeds: Sequence[int],
    *,
    length: int = 200,
    choice: Choice | None = None,
    stop: str | None = None,
    interventions: Sequence[Intervention] = (),
) -> list[str]:
    """Many texts that go on after `prime`, written side by side in one batch.

    Text number k is what `sample` writes with seed number k and the interventions that act on row k. (Where a batch
    rounds a prediction differently from one row alone, a draw that lies on the very edge may fall to the other side.)

    Args:
        seeds: one for each text; texts of equal seeds are drawn with the same random numbers.
        network, prime, length, choice, stop, interventions: as of `sample`; an intervention's `row` is a text.

    Raises:
        SamplingError, ValueError: as `sample`.
    """
    read, choice = _begin(network, prime, length), choice or Choice()
    writers = [_Writer(network.configuration.vocabulary, stop, prime) for _ in seeds]
    texts: list[list[str]] = [[] for _ in seeds]
    for drawn in _draws(network, read, length, choice, seeds, interventions) if writers else ():
        for writer, text, symbol in zip(writers, texts, drawn, strict=True):
            if not writer.ended:
                text.append(writer.write(symbol))
        if all(writer.ended for writer in writers):
            break
    return ["".join(text) + writer.rest() for writer, text in zip(writers, texts, strict=True)]


def _begin(network: Network, prime: str, length: int) -> Ids:
    """What the network reads first, once the arguments were found to make sense."""
    if not isinstance(network, Network):
        raise SamplingError("RECORDING_NETWORK_NETWORK_RUN_RUN", name=type(network).__name__)
    if not isinstance(prime, str):
        raise SamplingError("SAMPLING_PRIME_TEXT_DECODE_IDS", name=type(prime).__name__)
    configuration, vocabulary = network.configuration, network.configuration.vocabulary
    if configuration.readout != SYMBOLS:
        raise SamplingError("SAMPLING_NETWORK_PREDICT_NEXT_SYMBOL")
    if configuration.both_ways:
        raise SamplingError("SAMPLING_NETWORK_ALSO_READS_END")
    if length < 0:
        raise SamplingError("SAMPLING_LENGTH", length=length)
    begin = vocabulary.end or ("\n" if "\n" in vocabulary.symbols else vocabulary.symbols[0])
    return vocabulary.encode(prime or begin)


def _write(
    network: Network,
    read: Ids,
    length: int,
    choice: Choice,
    seed: int,
    writer: _Writer,
    interventions: Sequence[Intervention],
) -> Iterator[str]:
    """What `sample` yields."""
    for drawn in _draws(network, read, length, choice, [seed], interventions):
        if piece := writer.write(drawn[0]):
            yield piece
        if writer.ended:
            return
    if rest := writer.rest():
        yield rest


def _draws(
    network: Network,
    read: Ids,
    length: int,
    choice: Choice,
    seeds: Sequence[int],
    interventions: Sequence[Intervention],
) -> Iterator[list[int]]:
    """One symbol of every text at a time, each drawn from what was predicted after the one before."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    ids = torch.from_numpy(read).long().unsqueeze(1).expand(-1, len(seeds))
    done, total, state, logits = 0, len(ids) + length - 1, None, torch.empty(0)
    for _ in range(length):
        with torch.inference_mode(), evaluating(network):
            for piece in ids.split(max(1, PIECE // len(seeds))):
                after = done + len(piece)
                changes = [one.within(done, after, total) for one in interventions]
                output = network(piece, state, interventions=changes)
                state, logits, done = output.state, output.logits[-1], after
            drawn = choice.draw_each(logits, generators)
        yield drawn
        ids = torch.tensor([drawn])


class _Writer:
    """Symbols of one text as characters, until the stop text is complete. Between words stands a space."""

    def __init__(self, vocabulary: Vocabulary, stop: str | None, prime: str) -> None:
        self.ended = False
        self._apart = vocabulary.in_words and bool(prime) and not prime[-1].isspace()
        self._vocabulary, self._stop, self._written = vocabulary, stop, ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def write(self, symbol: int) -> str:
        """The characters that this symbol completes."""
        vocabulary = self._vocabulary
        piece = self._decoder.decode(bytes([symbol])) if vocabulary.bytes else vocabulary.symbols[symbol]
        if vocabulary.in_words:
            word, end = piece, piece == vocabulary.end
            piece = f" {word}" if self._apart and not end else word
            self._apart = not end
        if self._stop:
            # The last bytes of a piece may complete several characters at once.
            self._written = (self._written + piece)[-len(self._stop) - len(piece) :]
            self.ended = self._stop in self._written
        return piece

    def rest(self) -> str:
        """What stands for the bytes of a character that was never completed; nothing behind the stop text."""
        return "" if self.ended else self._decoder.decode(b"", final=True)
