"""Kernels and entries, and where compiled code is kept. `dispatchers.py` says how they are compiled.

Inner functions are `kernel`s, inlined into the few `entry` points, which are the only ones called from Python and the
only ones cached on disk, or into the `stage`s of an entry that would otherwise be too long. A change in any file whose
code goes into an entry, or in a constant that it uses, never runs old code. Whoever waits for the compiler is told, on
a terminal or in a notebook by a line, elsewhere by one for the logger "recsys_env" (level INFO).
"""

from __future__ import annotations

import contextlib
import hashlib
import linecache
import logging
import os
import pickle
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import numba
import numpy as np
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.compiler_lock import global_compiler_lock

from . import COMPILER, FALLBACK_REASON
from . import __path__ as folders
from .dispatchers import entry_dispatcher, kernel_dispatcher
from .selection import SETTING

try:
    import fcntl
except ImportError:  # Windows, where processes that start at once all compile
    fcntl = None  # type: ignore[assignment]

F = TypeVar("F", bound=Callable[..., Any])

PATIENCE = 1.0  # seconds of compiling until somebody is told
LONGEST_WAIT = 300.0  # seconds for another process that compiles the same
_ELSEWHERE = "the environment variable NUMBA_CACHE_DIR can name a folder for it"


# ------------------------------------------------------------------------------------------------ which code it is

_digests: dict[str, str] = {}  # file -> SHA-256 of its text when it was imported


def _take_down(file: str, namespace: dict[str, Any] | None = None) -> None:
    """Digest a file, or a notebook's cell, while it is imported: a later edit must not be taken for what was
    imported."""
    linecache.checkcache(file)
    _digests[file] = hashlib.sha256("".join(linecache.getlines(file, namespace)).encode()).hexdigest()


# The files without kernels.
MACHINERY = (
    "addresses.py",
    "aliasing.py",
    "compiler.py",
    "dispatchers.py",
    "internals.py",
    "packed.py",
    "pointers.py",
    "selection.py",
    "specialize.py",
)


def _file_of(name: str) -> str:
    """The file that a module of this package is imported from: `plain/` can come first."""
    return next(str(path) for folder in folders if (path := Path(folder) / name).is_file())


# Of arrays.py too: in which order its named tuples have their fields is in no signature.
_ALWAYS = (*map(_file_of, MACHINERY), str(Path(__file__).parents[2] / "world" / "arrays.py"))
for _file in _ALWAYS:
    _take_down(_file)


def source_stamp(function: Callable[..., Any]) -> str:
    """SHA-256 of all that is compiled into an entry.

    That is the files of the entry and of the kernels that it calls, all the way down, and the constants that these take
    from other files.
    """
    found, functions = {_digests[file] for file in _ALWAYS}, [function]
    for inner in functions:  # which grows
        file = inner.__code__.co_filename
        if file not in _digests:
            _take_down(file, inner.__globals__)
        found.add(_digests[file])
        for name, value in _used(inner):
            called = getattr(value, "py_func", None) or getattr(value, "_defn", None)  # of a kernel, of an intrinsic
            if called is not None and called not in functions:
                functions.append(called)
            elif called is None and not callable(value):
                found.add(f"{inner.__module__}.{name} = {value.tolist() if isinstance(value, np.ndarray) else value!r}")
    return hashlib.sha256("\n".join(sorted(found)).encode()).hexdigest()


def _used(function: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    """(name, value) of what a function takes from its module, from modules and classes that it names, and from
    enclosing functions."""
    code, outside = function.__code__, function.__globals__
    spaces = [
        outside,
        *(vars(outside[name]) for name in code.co_names if isinstance(outside.get(name), ModuleType | type)),
    ]
    for space in spaces:
        for name in code.co_names:
            if name in space and not isinstance(space[name], ModuleType):
                yield name, space[name]
    yield from zip(code.co_freevars, (cell.cell_contents for cell in function.__closure__ or ()), strict=True)


# ------------------------------------------------------------------------------------------------ where it is kept


class _CacheFile(IndexDataCacheFile):
    """Reader and writer of numba's cache files. It ignores files that are damaged or made of other code.

    Numba writes first the index, which names the data, and then the data: if only the first succeeds, it names those of
    an older version.
    """

    def _load_index(self) -> Any:
        try:
            return super()._load_index()
        except Exception:  # what comes of unpickling a damaged file can be anything
            return {}

    def _save_data(self, name: str, data: Any) -> None:
        payload = self._dump(data)
        super()._save_data(name, (self._source_stamp, hashlib.sha256(payload).digest(), payload))

    def _load_data(self, name: str) -> Any:
        stamp, checksum, payload = super()._load_data(name)
        sound = stamp == self._source_stamp and checksum == hashlib.sha256(payload).digest()
        return pickle.loads(payload) if sound else None


class _Lock:
    """A lock file: of several processes that need the same code, the first one compiles it, and the others wait.

    The operating system frees the lock when the process ends, for whatever reason.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT)

    def acquire(self) -> None:
        """Wait until no other process holds the lock, but no longer than `LONGEST_WAIT`."""
        waited = 0.0
        while waited < LONGEST_WAIT:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                time.sleep(0.1)
                waited += 0.1

    def release(self) -> None:
        """Free the lock. Processes that wait for it keep the file open; the next one makes a new file."""
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        with contextlib.suppress(OSError):
            fcntl.flock(self._file, fcntl.LOCK_UN)  # also for a process that was forked meanwhile
        os.close(self._file)


class _Cache(FunctionCache):
    """Compiled code of an entry on disk. Where there is no place for it, or no room, the game goes on without."""

    _folder_announced = False  # whether `_announce` has said where compiled code is kept: once in a process

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._cache_path = None
        self._lock: _Lock | None = None
        self._waiting: threading.Timer | None = None
        try:
            super().__init__(function)
        except RuntimeError:  # no folder can be written to
            self.disable()

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the stored code for a signature. If there is none, numba compiles it next, calls `save_overload`, and
        `entry` calls `release`."""
        found = self._stored(sig, target_context)
        if found is None:
            self._waiting = threading.Timer(PATIENCE, self._announce)
            self._waiting.daemon = True
            self._waiting.start()
            if self._acquire(sig):
                found = self._stored(sig, target_context)  # by a process that had the lock before
        return found

    def _stored(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # a damaged file
            return None

    def _acquire(self, sig: Any) -> bool:
        """Wait for the lock of a signature. Returns whether there is one: not on Windows, and not without a folder."""
        if fcntl is None or not self._enabled:
            return False
        name = f"{self._impl.filename_base}.{hashlib.sha256(repr(sig).encode()).hexdigest()[:16]}.lock"
        try:
            self._lock = _Lock(os.path.join(self._cache_path, name))
            self._lock.acquire()
        except OSError:
            return False
        return True

    def release(self) -> None:
        """Let other processes go on that wait for what this one compiles."""
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()
        if self._waiting is not None:
            self._waiting.cancel()

    def _load_overload(self, sig: Any, target_context: Any) -> Any:
        if self._enabled:  # only now is every kernel defined
            name = f"{self._impl.filename_base}.{COMPILER}"  # so that one compiler keeps what the other has stored
            self._cache_file = _CacheFile(self._cache_path, name, source_stamp(self._function))
        return super()._load_overload(sig, target_context)

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled, if there is room."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            where = f"in {self._cache_path} ({error.strerror})"
            _tell_once(f"compiled code cannot be kept {where}, so every process compiles it; {_ELSEWHERE}")

    def _announce(self) -> None:
        """Tell whoever waits what is compiled; the first time also how long that takes and where the code is kept."""
        what = f"compiling the game ({Path(self._function.__code__.co_filename).stem}.{self._function.__name__})"
        if not _Cache._folder_announced:
            _Cache._folder_announced = True
            what += ", which takes up to 40 s on an idle machine; "
            if self._cache_path is None:
                what += f"in every process, because no folder for compiled code can be written to: {_ELSEWHERE}"
            else:
                what += f"only once, because compiled code is kept in {self._cache_path}"
        _tell(what)


def _tell(text: str) -> None:
    """Print a line where somebody watches the terminal; otherwise write it to the log."""
    try:
        watched = hasattr(sys, "ps1") or sys.stderr.isatty()
    except (AttributeError, ValueError):  # no standard error, or a closed one
        watched = False
    if watched:
        print(f"recsys_env: {text}", file=sys.stderr, flush=True)
    else:
        logging.getLogger("recsys_env").info(text)


_tell_once = cache(_tell)

if FALLBACK_REASON:
    _tell(
        f"{FALLBACK_REASON}: the game is compiled without the package's own compiler, which takes longer and gives "
        f"slower code with the same results; the environment variable {SETTING} chooses the compiler"
    )


# ------------------------------------------------------------------------------------------------ how it is compiled


def kernel(function: F) -> F:
    """An inner function: compiled into, and inlined by, the entries that use it. Never called from Python."""
    return _inner(function, inline=True)


def stage(function: F) -> F:
    """A kernel that stays a function of its own, because it is long and called once for many copies: the time that the
    compiler takes for a function grows faster than its length."""
    return _inner(function, inline=False)


def _inner(function: F, inline: bool) -> F:
    _take_down(function.__code__.co_filename, function.__globals__)
    return kernel_dispatcher(function, inline)  # type: ignore[no-any-return]


def entry(function: F | None = None, *, parallel: bool = False) -> Any:
    """A function called from Python: compiled on first use, cached on disk by a digest of all that is compiled into
    it."""
    if function is None:
        return lambda f: entry(f, parallel=parallel)
    _take_down(function.__code__.co_filename, function.__globals__)
    dispatcher = entry_dispatcher(function, parallel)
    dispatcher._cache = stored = _Cache(function)
    compile_it = dispatcher.compile

    def compile_and_release(signature: Any) -> Any:
        with global_compiler_lock:  # else another thread could take the next lock before this one is released
            try:
                return compile_it(signature)
            finally:
                stored.release()

    dispatcher.compile = compile_and_release
    return dispatcher


def compiled(function: Any, *arguments: Any) -> Any:
    """An entry compiled for arguments like these, to be called past numba's dispatcher, whose type checks cost more
    than a short call itself."""
    return function.compile(tuple(numba.typeof(argument) for argument in arguments))


def compiled_for(kinds: Any, entry: Any, *arguments: Any) -> Any:
    """The same of an entry that takes packed arrays of these kinds first: it is called with their address."""
    return entry.compile((kinds, *(numba.typeof(argument) for argument in arguments)))
