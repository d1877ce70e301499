"""The kernels of the native engine; see native/bindings.cpp. Numbers named after arrays are their addresses."""

from collections.abc import Sequence

from torch import Tensor

Strided = tuple[int, int, int]
Change = tuple[int, int, int, int, int, int]

class Cell:
    def __init__(self, key: str, input_order: Sequence[int], recurrent_order: Sequence[int]) -> None: ...

def keys() -> list[str]: ...
def forward_float(
    cell: Cell,
    sizes: Sequence[int],
    reverse: bool,
    threads: int,
    x: Strided,
    ids: Strided,
    lengths: int,
    weights: Sequence[int],
    initial: Sequence[int],
    signals: Sequence[int],
    residuals: Sequence[int],
    changes: Sequence[Change],
    final: Sequence[int],
    /,
) -> None: ...

forward_double = forward_float

def backward_float(
    cell: Cell,
    sizes: Sequence[int],
    reverse: bool,
    threads: int,
    x: Strided,
    ids: Strided,
    lengths: int,
    weights: Sequence[int],
    initial: Sequence[int],
    signals: Sequence[int],
    residuals: Sequence[int],
    changes: Sequence[Change],
    d_signals: Sequence[Strided],
    d_final: Sequence[int],
    d_x: int,
    d_initial: Sequence[int],
    d_weights: Sequence[int],
    /,
) -> None: ...

backward_double = backward_float

def buffer_float(steps: int, rows: int, neurons: int, /) -> Tensor: ...
def buffer_double(steps: int, rows: int, neurons: int, /) -> Tensor: ...
def release() -> int: ...
def levels() -> list[str]: ...
def level() -> str: ...
def use_level(name: str) -> None: ...
def peak(threads: int, seconds: float) -> float: ...
def share_openmp(parallel: int, thread_number: int, thread_count: int) -> None: ...
