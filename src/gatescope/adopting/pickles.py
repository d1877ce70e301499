"""Pickles read without running anything: containers and numbers are made, tensors are noted, all else is a placeholder.

A pickle is a program for a stack machine that may import and call any function. This reader follows its instructions
and neither imports nor calls: a name becomes a `Placeholder`, a call of it another one. Known are only what torch.save
writes for tensors, and ordered dicts.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from io import BufferedIOBase
from typing import IO, Any, cast

from gatescope.adopting.foreign import AdoptingError

MAX_PICKLE_BYTES = 64 << 20  # names and containers; the numbers of tensors are stored beside them
MAX_INSTRUCTIONS = 1_000_000  # less than two seconds
STORAGES = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}
ORDERED = ("collections.OrderedDict", "collections.defaultdict", "builtins.dict", "__builtin__.dict")
REBUILD = ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor")
OF_TENSORS = ("torch._utils._rebuild", "torch._tensor._rebuild")  # sparse, quantized, of a type of its own, ...
PARAMETER = ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state")


@dataclass(frozen=True)
class Storage:
    """The numbers of tensors, not yet read: their type, the key they are stored under, and how many there are."""

    dtype: str
    key: str
    count: int


@dataclass(frozen=True)
class StoredTensor:
    """A tensor whose numbers are not yet read."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


UNREADABLE = StoredTensor(Storage("complex64", "", 1), 0, (1,), (1,))
"""Stands for a tensor of a kind that no weight here is of; it is not lost, so that it can be refused."""


@dataclass(eq=False)
class Placeholder:
    """Whatever is named in a pickle and is not made: a class, a function, or what a call of one would give.

    Attributes:
        name: "module.name".
        called: whether it stands for the result of a call.
        state: what the pickle wanted its attributes to be.
    """

    name: str
    called: bool = False
    state: list[Any] = field(default_factory=list)


class _Mark:
    pass


def load(file: BufferedIOBase, storages: dict[str, Storage] | None = None) -> Any:
    """Return what one pickle describes; the file then stands behind it.

    Args:
        file: one that stands at its beginning.
        storages: every storage that the pickle names is added to these, by its key.

    Raises:
        AdoptingError: it is too long.
        Exception: it is damaged; of any kind that a stack machine run on nonsense raises.
    """
    machine = _Machine({} if storages is None else storages)
    start = file.tell()
    for number, (operation, argument, _) in enumerate(pickletools.genops(cast(IO[bytes], file))):
        if number > MAX_INSTRUCTIONS or (number % 1024 == 0 and file.tell() - start > MAX_PICKLE_BYTES):
            raise AdoptingError(
                "PICKLES_PICKLE_MOST_INSTRUCTIONS_BYTES",
                max_instructions=MAX_INSTRUCTIONS,
                max_pickle_bytes=MAX_PICKLE_BYTES,
            )
        if operation.name == "STOP":
            return machine.stack.pop()
        machine.follow(operation.name, argument)
    raise EOFError("the pickle does not end")


class _Machine:
    """The stack and memo of a pickle, and what each instruction does with them."""

    def __init__(self, storages: dict[str, Storage]) -> None:
        self.storages = storages
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def follow(self, name: str, argument: Any) -> None:
        """Follow one instruction."""
        if name in PUSHES_ARGUMENT:
            self.stack.append(argument)
        elif name in PUSHES:
            self.stack.append(PUSHES[name]())
        elif name in ("PROTO", "FRAME", "READONLY_BUFFER"):
            return
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self.memo[int(argument)] = self.stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[int(argument)])
        elif name in HANDLERS:
            HANDLERS[name](self, argument)
        else:
            raise ValueError(f"the instruction {name} is none of a file of torch.save")

    def marked(self) -> list[Any]:
        """Take everything above the last mark off the stack, and the mark."""
        place = len(self.stack) - 1
        while not isinstance(self.stack[place], _Mark):
            place -= 1
            if place < 0:
                raise IndexError("a mark is missing")
        found = self.stack[place + 1 :]
        del self.stack[place:]
        return found

    def take(self, count: int) -> list[Any]:
        """Take so many values off the stack, the lowest first."""
        if count > len(self.stack):
            raise IndexError("the stack is empty")
        found = self.stack[-count:]
        del self.stack[-count:]
        return found


def _set(target: Any, pairs: list[tuple[Any, Any]]) -> None:
    if isinstance(target, dict):
        for key, value in pairs:
            target[_key(key)] = value
    elif isinstance(target, Placeholder):
        target.state.append({_key(key): value for key, value in pairs})
    else:
        raise TypeError("entries are set of what is no dict")


def _key(value: Any) -> Hashable:
    """A key of a dict: text or a number; another one is told apart by identity, as hashing nested tuples takes long."""
    return value if isinstance(value, str | int | float | bytes | Placeholder | None) else Placeholder("a key")


def _extend(target: Any, values: list[Any]) -> None:
    if isinstance(target, list):
        target.extend(values)
    elif isinstance(target, Placeholder):
        target.state.append(values)
    else:
        raise TypeError("values are appended to what is no list")


def _build(machine: _Machine, _: Any) -> None:
    (state,) = machine.take(1)
    if isinstance(machine.stack[-1], Placeholder):
        machine.stack[-1].state.append(state)


def _persistent(machine: _Machine, _: Any) -> None:
    (about,) = machine.take(1)
    if isinstance(about, tuple) and len(about) >= 5 and about[0] == "storage" and isinstance(about[1], Placeholder):
        _, kind, key, _, count, *view = about
        dtype = STORAGES.get(kind.name.rpartition(".")[2])
        if dtype and kind.name.startswith("torch.") and type(count) is int and count >= 0 and not (view and view[0]):
            machine.storages[str(key)] = Storage(dtype, str(key), count)
            machine.stack.append(machine.storages[str(key)])
            return
    machine.stack.append(Placeholder("a storage of an unknown kind"))


def _called(function: Any, arguments: Any) -> Any:
    """What a call gives: a tensor, a dict, or a placeholder. Nothing is called."""
    name = function.name if isinstance(function, Placeholder) and not function.called else ""
    if not isinstance(arguments, tuple):
        raise TypeError("the arguments of a call are no tuple")
    if name in REBUILD:
        storage, offset, shape, strides = arguments[:4]
        sizes = (offset, *shape, *strides)
        if isinstance(storage, Storage) and all(type(size) is int and size >= 0 for size in sizes):
            return StoredTensor(storage, offset, tuple(shape), tuple(strides))
    elif name in PARAMETER and isinstance(arguments[0], StoredTensor):
        return arguments[0]
    elif name in ORDERED:
        found: dict[Any, Any] = {}
        if arguments and isinstance(arguments[0], list):
            _set(found, [(key, value) for key, value in arguments[0]])
        return found
    if name.startswith(OF_TENSORS):
        return UNREADABLE
    return Placeholder(name or "a call", called=True, state=[arguments])


def _reduce(machine: _Machine, _: Any) -> None:
    function, arguments = machine.take(2)
    machine.stack.append(_called(function, arguments))


def _new_with_keywords(machine: _Machine, _: Any) -> None:
    function, arguments, _ = machine.take(3)
    machine.stack.append(_called(function, arguments))


def _instance(machine: _Machine, argument: str) -> None:
    arguments = tuple(machine.marked())
    machine.stack.append(_called(Placeholder(argument.replace(" ", ".")), arguments))


def _object(machine: _Machine, _: Any) -> None:
    function, *arguments = machine.marked()
    machine.stack.append(_called(function, tuple(arguments)))


def _named(machine: _Machine, _: Any) -> None:
    module, name = machine.take(2)
    machine.stack.append(Placeholder(f"{module}.{name}" if isinstance(name, str) else "something"))


def _pairs(values: list[Any]) -> list[tuple[Any, Any]]:
    return list(zip(values[::2], values[1::2], strict=True))


def _set_items(machine: _Machine, _: Any) -> None:
    values = machine.marked()
    _set(machine.stack[-1], _pairs(values))


def _set_item(machine: _Machine, _: Any) -> None:
    key, value = machine.take(2)
    _set(machine.stack[-1], [(key, value)])


def _dict(machine: _Machine, _: Any) -> None:
    found: dict[Any, Any] = {}
    _set(found, _pairs(machine.marked()))
    machine.stack.append(found)


def _appended(machine: _Machine, _: Any) -> None:
    values = machine.marked()
    _extend(machine.stack[-1], values)


def _append(machine: _Machine, _: Any) -> None:
    values = machine.take(1)
    _extend(machine.stack[-1], values)


PUSHES_ARGUMENT = frozenset(
    (
        "INT",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG",
        "LONG1",
        "LONG4",
        "STRING",
        "BINSTRING",
        "SHORT_BINSTRING",
        "BINBYTES",
        "SHORT_BINBYTES",
        "BINBYTES8",
        "BYTEARRAY8",
        "UNICODE",
        "SHORT_BINUNICODE",
        "BINUNICODE",
        "BINUNICODE8",
        "FLOAT",
        "BINFLOAT",
    )
)
PUSHES: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "EMPTY_SET": list,
    "MARK": _Mark,
    "EXT1": lambda: Placeholder("an extension"),
    "EXT2": lambda: Placeholder("an extension"),
    "EXT4": lambda: Placeholder("an extension"),
    "NEXT_BUFFER": lambda: Placeholder("a buffer"),
}
HANDLERS: dict[str, Callable[[_Machine, Any], Any]] = {
    "LIST": lambda machine, _: machine.stack.append(machine.marked()),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.marked())),
    "FROZENSET": lambda machine, _: machine.stack.append(machine.marked()),
    "TUPLE1": lambda machine, _: machine.stack.append(tuple(machine.take(1))),
    "TUPLE2": lambda machine, _: machine.stack.append(tuple(machine.take(2))),
    "TUPLE3": lambda machine, _: machine.stack.append(tuple(machine.take(3))),
    "DUP": lambda machine, _: machine.stack.append(machine.stack[-1]),
    "POP": lambda machine, _: machine.take(1),
    "POP_MARK": lambda machine, _: machine.marked(),
    "APPEND": _append,
    "APPENDS": _appended,
    "ADDITEMS": _appended,
    "DICT": _dict,
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "GLOBAL": lambda machine, name: machine.stack.append(Placeholder(str(name).replace(" ", "."))),
    "STACK_GLOBAL": _named,
    "REDUCE": _reduce,
    "NEWOBJ": _reduce,
    "NEWOBJ_EX": _new_with_keywords,
    "INST": _instance,
    "OBJ": _object,
    "BUILD": _build,
    "BINPERSID": _persistent,
    "PERSID": lambda machine, _: machine.stack.append(Placeholder("a storage of an unknown kind")),
}
