"""Which recurrent layers of a file may belong to one network, and in which order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from gatescope.adopting.foreign import AdoptingError, Foreign, option
from gatescope.vocabulary import Vocabulary

PADS = ("<pad>", "[pad]", "pad", "<padding>", "_pad_", "<blank>", "")
MAX_OFFERS = 4  # orders of layers that an error lists


def check_order(foreign: Foreign, chosen: Sequence[str]) -> None:
    """Refuse layers that no run can have, and an order that is not that of the file.

    Args:
        foreign: the file.
        chosen: names of its stacks, from the input upwards.

    Raises:
        AdoptingError: a stack is refused, or reads something else in the file than the stack before it.
    """
    for name in chosen:
        if name in foreign.refused:
            raise AdoptingError(foreign.refused[name])
    for lower, upper in pairwise(chosen):
        below = foreign.below.get(upper, lower)
        if below != lower:
            source = below or foreign.before.get(upper) or "the input"
            raise AdoptingError(
                "LAYERS_ORDER_DIFFERS", option=option("layers", *chosen), upper=upper, source=source, lower=lower
            )


def check_padding(foreign: Foreign, vocabulary: Vocabulary) -> None:
    """Refuse a vocabulary whose first symbol is an ordinary one, if the network skips the id 0.

    Args:
        foreign: the file.
        vocabulary: the symbols.

    Raises:
        AdoptingError: the run would read that symbol, which the network skips.
    """
    if not foreign.masked or vocabulary.unit == "number":
        return
    symbol = vocabulary.symbols[0]
    private = len(symbol) == 1 and ("\ue000" <= symbol <= "\uf8ff" or not symbol.isprintable())
    if not private and symbol.lower() not in PADS and symbol != "\u27e80\u27e9":
        raise AdoptingError("FOREIGN_VOCABULARY_PADDING_MISSING", symbol=symbol)


def order_of(below: Mapping[str, str | None]) -> tuple[str, ...]:
    """Return the stacks in the order in which they read each other; empty if there is no single order of all.

    Args:
        below: stack -> the stack that it reads, or None.
    """
    order = [name for name, lower in below.items() if lower is None][:1]
    while order and len(order) < len(below):
        above = [name for name, lower in below.items() if lower == order[-1]]
        if len(above) != 1 or above[0] in order:
            return ()
        order.append(above[0])
    return tuple(order)


def offers(foreign: Foreign) -> list[tuple[str, ...]]:
    """Return values of the option `layers` that fit by shape and by the file's description, the longest first."""
    names = [name for name in foreign.stacks if name not in foreign.refused]
    return sorted(_chains(foreign, names), key=len, reverse=True)[:MAX_OFFERS]


def _chains(foreign: Foreign, names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield every single stack, and the chains of stacks of which each can read the one before."""
    for name in names:
        chain = (name,)
        yield chain
        for _ in names:
            above = [other for other in names if other not in chain and _fits(foreign, chain[-1], other)]
            if len(above) != 1:
                break
            chain = (*chain, above[0])
            yield chain


def _fits(foreign: Foreign, lower: str, upper: str) -> bool:
    """Return whether a stack may read another one."""
    if upper in foreign.below:
        return foreign.below[upper] == lower
    last = [layer for layer in foreign.stacks[lower] if layer.inputs == foreign.stacks[lower][-1].inputs][-2:]
    sides = {layer.reverse: layer.outputs for layer in last}
    concat = foreign.joined.get(lower, "concat") == "concat"
    outputs = sum(sides.values()) if concat and foreign.stacks[lower][-1].reverse else last[-1].outputs
    return foreign.stacks[upper][0].inputs == outputs
