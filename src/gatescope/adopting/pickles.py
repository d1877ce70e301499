"""Pickles, read without running anything: containers, numbers and tensors; everything else becomes a placeholder.

A pickle is a program for a stack machine that may import and call any function. This reader follows its instructions
and neither imports nor calls: a name becomes a `Placeholder`, and so does a call of it. Only the calls that torch.save
writes for tensors, and ordered dicts, are known.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from io import BufferedIOBase
from typing import IO, Any, cast

from gatescope.adopting.foreign import AdoptingError
from gatescope.errors import GatescopeError

MAX_PICKLE_BYTES = 64 << 20  # names and containers; the numbers of tensors are stored beside them
MAX_INSTRUCTIONS = 1_000_000  # takes less than two seconds
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
DICTS = ("collections.OrderedDict", "collections.defaultdict", "builtins.dict", "__builtin__.dict")
REBUILD = ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor")
OTHER_TENSORS = ("torch._utils._rebuild", "torch._tensor._rebuild")  # sparse, quantized, of a type of its own, ...
PARAMETER = ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state")


class PickleError(GatescopeError):
    """A pickle is damaged, or is none of torch.save."""


@dataclass(frozen=True)
class Storage:
    """The numbers of tensors, not yet read.

    Attributes:
        dtype: their type, by its name in torch.
        key: the key they are stored under.
        count: the count of numbers.
    """

    dtype: str
    key: str
    count: int


@dataclass(frozen=True)
class StoredTensor:
    """A tensor whose numbers are not yet read.

    Attributes:
        storage: its numbers, which it may share with other tensors.
        offset: the place of its first number in the storage.
        shape: the lengths of its axes.
        strides: for each axis, the step in the storage.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


UNREADABLE = StoredTensor(Storage("complex64", "", 1), 0, (1,), (1,))
"""Stands for a tensor of an unknown kind, so that it is not lost and can be refused."""


@dataclass(eq=False)
class Placeholder:
    """A class or function that a pickle names, or the result of calling one. Nothing is imported or called.

    Attributes:
        name: "module.name".
        called: whether it stands for the result of a call.
        state: the attributes that the pickle sets, call by call.
    """

    name: str
    called: bool = False
    state: list[Any] = field(default_factory=list)


class _Mark:
    """A mark on the stack."""


def load(file: BufferedIOBase, storages: dict[str, Storage] | None = None) -> Any:
    """Return the content of one pickle, and leave the file at its end.

    Args:
        file: the file, at the start of the pickle.
        storages: receives every storage that the pickle names, by its key.

    Raises:
        AdoptingError: the pickle is too long.
        Exception: the pickle is damaged. A stack machine run on nonsense raises errors of any kind.
    """
    machine = _Machine({} if storages is None else storages)
    start = file.tell()
    for number, (operation, argument, _) in enumerate(pickletools.genops(cast(IO[bytes], file))):
        if number > MAX_INSTRUCTIONS or (number % 1024 == 0 and file.tell() - start > MAX_PICKLE_BYTES):
            raise AdoptingError("TORCH_PICKLE_TOO_LONG", max_instructions=MAX_INSTRUCTIONS, max_bytes=MAX_PICKLE_BYTES)
        if operation.name == "STOP":
            return machine.stack.pop()
        machine.follow(operation.name, argument)
    raise PickleError("PICKLE_WITHOUT_END")


class _Machine:
    """The stack and memo of a pickle, and the effect of each instruction on them."""

    def __init__(self, storages: dict[str, Storage]) -> None:
        self.storages = storages
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def follow(self, name: str, argument: Any) -> None:
        """Follow one instruction.

        Args:
            name: the instruction.
            argument: its argument in the pickle.

        Raises:
            PickleError: the instruction is unknown.
        """
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
            raise PickleError("PICKLE_INSTRUCTION_UNKNOWN", name=name)

    def marked(self) -> list[Any]:
        """Take everything above the last mark off the stack, and remove the mark.

        Raises:
            PickleError: the stack has no mark.
        """
        mark = len(self.stack) - 1
        while not isinstance(self.stack[mark], _Mark):
            mark -= 1
            if mark < 0:
                raise PickleError("PICKLE_MARK_MISSING")
        values = self.stack[mark + 1 :]
        del self.stack[mark:]
        return values

    def take(self, count: int) -> list[Any]:
        """Take values off the stack, the lowest first.

        Args:
            count: the count of values.

        Raises:
            PickleError: the stack has fewer values.
        """
        if count > len(self.stack):
            raise PickleError("PICKLE_STACK_EMPTY")
        values = self.stack[-count:]
        del self.stack[-count:]
        return values


def _set(target: Any, pairs: list[tuple[Any, Any]]) -> None:
    if isinstance(target, dict):
        for key, value in pairs:
            target[_key(key)] = value
    elif isinstance(target, Placeholder):
        target.state.append({_key(key): value for key, value in pairs})
    else:
        raise PickleError("PICKLE_DICT_MISSING", kind=type(target).__name__)


def _key(value: Any) -> Hashable:
    """Return a key of a dict: text or a number. Other keys become placeholders, as hashing nested tuples takes long."""
    return value if isinstance(value, str | int | float | bytes | Placeholder | None) else Placeholder("a key")


def _extend(target: Any, values: list[Any]) -> None:
    if isinstance(target, list):
        target.extend(values)
    elif isinstance(target, Placeholder):
        target.state.append(values)
    else:
        raise PickleError("PICKLE_LIST_MISSING", kind=type(target).__name__)


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
    """Return the result of a call: a tensor, a dict, or a placeholder. Nothing is called."""
    name = function.name if isinstance(function, Placeholder) and not function.called else ""
    if not isinstance(arguments, tuple):
        raise PickleError("PICKLE_ARGUMENTS_MISSING", kind=type(arguments).__name__)
    if name in REBUILD:
        storage, offset, shape, strides = arguments[:4]
        sizes = (offset, *shape, *strides)
        if isinstance(storage, Storage) and all(type(size) is int and size >= 0 for size in sizes):
            return StoredTensor(storage, offset, tuple(shape), tuple(strides))
    elif name in PARAMETER and isinstance(arguments[0], StoredTensor):
        return arguments[0]
    elif name in DICTS:
        entries: dict[Any, Any] = {}
        if arguments and isinstance(arguments[0], list):
            _set(entries, [(key, value) for key, value in arguments[0]])
        return entries
    if name.startswith(OTHER_TENSORS):
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
    entries: dict[Any, Any] = {}
    _set(entries, _pairs(machine.marked()))
    machine.stack.append(entries)


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
