"""One caller at a time: compiled code runs without Python's lock, so two threads could play in the same arrays."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Busy:
    """A lock that a thread holds during a call of a batch. A second thread is refused at once and does not wait.

    The thread that holds the lock may take it again, because calls make further calls. It is released however the call
    ends.

    Raises:
        RuntimeError: another thread holds it.
    """

    __slots__ = ("_acquire", "_release")  # looked up once, because every step takes the flag

    def __init__(self) -> None:
        lock = threading.RLock()
        self._acquire, self._release = lock.acquire, lock.release

    def __enter__(self) -> None:
        if not self._acquire(False):
            raise RuntimeError(
                "another thread is in a call of this batch: give each thread a batch of its own, or let one wait for "
                "the other"
            )

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._release()


class _Shared(Protocol):
    @property
    def busy(self) -> Busy: ...


S = TypeVar("S", bound=_Shared)


def one_at_a_time(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """The method of something with a `busy` flag, which it holds meanwhile."""

    @functools.wraps(method)
    def guarded(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self.busy:
            return method(self, *args, **kwargs)

    return guarded
