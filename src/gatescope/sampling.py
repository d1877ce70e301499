"""Sampling: a network writes a text. Each symbol is drawn from the prediction, and becomes the next input.

`T` step, `B` text, `V` symbol.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gatescope.engine import Intervention
from gatescope.errors import GatescopeError
from gatescope.generator import Generator
from gatescope.names import named_settings
from gatescope.network import Network, passes
from gatescope.ranking import ranked
from gatescope.readout import SYMBOLS
from gatescope.vocabulary import Ids, Vocabulary

STREAM = "sample"  # of the random numbers


class SamplingError(GatescopeError):
    """A network that cannot write, or a setting that leaves nothing to draw; the message says what was expected."""


@named_settings
@dataclass(frozen=True)
class Choice:
    """The way in which the next symbol is chosen.

    Attributes:
        temperature: flattens predictions above 1 and sharpens them below; more than 0.
        top_k: draw from the k most probable symbols only.
        top_p: draw only from the most probable symbols that together reach this probability.
        greedy: always take the most probable symbol, and ignore the other settings.

    Raises:
        SamplingError: a setting leaves nothing to draw from.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    greedy: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.temperature < float("inf"):
            raise SamplingError("SAMPLING_TEMPERATURE_RANGE", temperature=self.temperature)
        if self.top_k is not None and self.top_k < 1:
            raise SamplingError("SAMPLING_TOP_K_RANGE", top_k=self.top_k)
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise SamplingError("SAMPLING_TOP_P_RANGE", top_p=self.top_p)

    def draw(self, logits: Float[Tensor, " V"], generator: Generator) -> int:
        """Draw the id of one symbol.

        Args:
            logits: unnormalised log-probabilities.
            generator: the source of the random numbers.

        Raises:
            SamplingError: as in `draw_each`.
        """
        return self.draw_each(logits.unsqueeze(0), [generator])[0]

    def draw_each(self, logits: Float[Tensor, "B V"], generators: Sequence[Generator]) -> list[int]:
        """Draw the id of one symbol for each row.

        Each row takes one uniform number u, so its text does not depend on the other rows of the batch. A symbol has
        the weight exp((logit - largest logit) / temperature), or 0 if `top_k` or `top_p` leave it out. The drawn symbol
        is the first, in the order of the ids, at which the sum of the weights exceeds u times the sum of all weights.
        Numbers are float64. The order by probability would not do: two engines whose logits differ by rounding would
        order two almost equally probable symbols differently, and draw different ones.

        Args:
            logits: unnormalised log-probabilities.
            generators: the source of the random numbers of each row.

        Raises:
            SamplingError: a row has no largest finite logit, because the network computed NaN or infinity.
        """
        largest = logits.amax(1, keepdim=True)
        if not largest.isfinite().all():
            raise SamplingError("SAMPLING_LOGITS", largest=float(largest[~largest.isfinite()][0]))
        if self.greedy:
            return logits.argmax(1).tolist()
        # The largest logit becomes 0. Otherwise a small temperature makes infinities, and their differences NaN.
        weights = ((logits.double() - largest.double()) / self.temperature).exp()
        if self.top_k is not None or self.top_p is not None:
            weights = self._restricted(weights, ranked(logits, logits.shape[1]))
        sums = weights.cumsum(1).numpy()
        shares = np.array([generator.uniforms(1)[0] for generator in generators])
        # The product may round up to the sum itself, which no symbol exceeds.
        last = [int(np.flatnonzero(row)[-1]) for row in weights.numpy()]
        return np.minimum((sums <= shares[:, None] * sums[:, -1:]).sum(1), last).tolist()

    def _restricted(self, weights: Float[Tensor, "B V"], order: Int[Tensor, "B V"]) -> Float[Tensor, "B V"]:
        """Return weights with 0 for the symbols that `top_k` and `top_p` leave out; `order` ranks the symbols."""
        ordered = weights.gather(1, order)
        total = ordered.cumsum(1)[:, -1:]
        if self.top_k is not None:
            ordered[:, self.top_k :] = 0
        if self.top_p is not None:
            # A symbol stays if the more probable ones have not yet reached top_p: the most probable always stays.
            ordered[ordered.cumsum(1) - ordered >= self.top_p * total] = 0
        return torch.zeros_like(weights).scatter(1, order, ordered)


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
    """Write a text that continues `prime`, and yield it piece by piece (without the prime).

    Args:
        network: a network that predicts the next symbol at every step.
        prime: the text that the network reads first, from the initial state. If it is empty, the network reads its end
            mark, a newline, or its first symbol: the first of these that its vocabulary has.
        length: the largest number of symbols to write.
        choice: how symbols are chosen; `Choice()` if None.
        seed: the seed of the random numbers, from 0 to 2^64 - 1; they are those of the stream "sample".
        stop: a text after which writing ends.
        interventions: changes made while the network reads and writes. Their steps count the whole run: the symbols of
            the prime, then each written symbol that is read again, which the last one is not.

    Raises:
        SamplingError: the network does not predict the next symbol at every step, or length is negative. While the text
            is written: the network computes NaN or infinity.
        GeneratorError: the seed is out of its range.
        InterventionError: while the text is written: an intervention does not fit the network.
    """
    tokens = _first_tokens(network, prime, length)
    writer = _Writer(network.configuration.vocabulary, stop, prime)
    return _written(network, tokens, length, choice or Choice(), Generator(seed, STREAM), writer, interventions)


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
    """Write several texts that continue `prime`, side by side in one batch.

    Text k is the text that `sample` writes with seed k and the interventions that act on row k. (A batch may round a
    prediction differently from a single row, so a draw at the very edge between two symbols may differ.)

    Args:
        network: a network that predicts the next symbol at every step.
        prime: the text that the network reads first; see `sample`.
        seeds: the seed of each text. Texts with equal seeds are drawn with the same random numbers.
        length: the largest number of symbols to write.
        choice: how symbols are chosen; `Choice()` if None.
        stop: a text after which a text ends.
        interventions: changes made while the network reads and writes; the `row` of one is the number of a text.

    Raises:
        SamplingError: as in `sample`.
        GeneratorError: a seed is out of its range.
        InterventionError: an intervention does not fit the network.
    """
    generators = [Generator(seed, STREAM) for seed in seeds]
    tokens, choice = _first_tokens(network, prime, length), choice or Choice()
    writers = [_Writer(network.configuration.vocabulary, stop, prime) for _ in seeds]
    texts: list[list[str]] = [[] for _ in seeds]
    for symbols in _drawn_symbols(network, tokens, length, choice, generators, interventions) if writers else ():
        for writer, text, symbol in zip(writers, texts, symbols, strict=True):
            if not writer.ended:
                text.append(writer.write(symbol))
        if all(writer.ended for writer in writers):
            break
    return ["".join(text) + writer.rest() for writer, text in zip(writers, texts, strict=True)]


def _first_tokens(network: Network, prime: str, length: int) -> Ids:
    """Check the arguments, and return the ids that the network reads first."""
    if not isinstance(network, Network):
        raise SamplingError("RECORDING_NETWORK_TYPE", type=type(network).__name__)
    if not isinstance(prime, str):
        raise SamplingError("SAMPLING_PRIME_TYPE", type=type(prime).__name__)
    configuration, vocabulary = network.configuration, network.configuration.vocabulary
    if configuration.readout != SYMBOLS:
        raise SamplingError("SAMPLING_READOUT")
    if configuration.both_ways:
        raise SamplingError("SAMPLING_READS_FROM_END")
    if length < 0:
        raise SamplingError("SAMPLING_LENGTH_RANGE", length=length)
    begin = vocabulary.end or ("\n" if "\n" in vocabulary.symbols else vocabulary.symbols[0])
    return vocabulary.encode(prime or begin)


def _written(
    network: Network,
    tokens: Ids,
    length: int,
    choice: Choice,
    generator: Generator,
    writer: _Writer,
    interventions: Sequence[Intervention],
) -> Iterator[str]:
    """Yield the text of `sample`."""
    for symbols in _drawn_symbols(network, tokens, length, choice, [generator], interventions):
        if piece := writer.write(symbols[0]):
            yield piece
        if writer.ended:
            return
    if rest := writer.rest():
        yield rest


def _drawn_symbols(
    network: Network,
    tokens: Ids,
    length: int,
    choice: Choice,
    generators: Sequence[Generator],
    interventions: Sequence[Intervention],
) -> Iterator[list[int]]:
    """Yield one symbol of every text at a time, drawn from the prediction after the symbol before."""
    inputs, copies = torch.from_numpy(tokens).unsqueeze(1), len(generators)
    done, total, state, logits = 0, len(inputs) + length - 1, None, torch.empty(0)
    for _ in range(length):
        for run in passes(
            network, inputs, state=state, first=done, total=total, copies=copies, interventions=interventions
        ):
            state, logits = run.output.state, run.output.logits[-1]
        done += len(inputs)
        symbols = choice.draw_each(logits, generators)
        yield symbols
        inputs, copies = torch.tensor([symbols]), 1


class _Writer:
    """The characters of one text, symbol by symbol, until the stop text is complete; words with a space between."""

    def __init__(self, vocabulary: Vocabulary, stop: str | None, prime: str) -> None:
        self.ended = False
        self._needs_space = vocabulary.in_words and bool(prime) and not prime[-1].isspace()
        self._vocabulary, self._stop, self._written = vocabulary, stop, ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def write(self, symbol: int) -> str:
        """Return the characters that a symbol completes."""
        vocabulary = self._vocabulary
        piece = self._decoder.decode(bytes([symbol])) if vocabulary.bytes else vocabulary.symbols[symbol]
        if vocabulary.in_words:
            word, is_end = piece, piece == vocabulary.end
            piece = f" {word}" if self._needs_space and not is_end else word
            self._needs_space = not is_end
        if self._stop:
            # The last bytes of a piece may complete several characters at once.
            self._written = (self._written + piece)[-len(self._stop) - len(piece) :]
            self.ended = self._stop in self._written
        return piece

    def rest(self) -> str:
        """Return U+FFFD for the bytes of a character that was never completed; nothing after the stop text."""
        return "" if self.ended else self._decoder.decode(b"", final=True)
