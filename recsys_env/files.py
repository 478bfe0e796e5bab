"""Files that users exchange: JSON, and plain arrays in `.npz`.

Reading a file executes nothing: it unpickles nothing and imports nothing. A file that is damaged or holds something
else is refused in one line, and a file that is too large is refused before it is unpacked. Files are written under
another name and then renamed, so that an interruption leaves the old file or the new one.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import reprlib
import stat
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from .checks import shown

_LONGEST = 4000  # characters of a path
MOST_JSON = 2**26  # bytes of a JSON file
MOST_BYTES = 2**32  # of all arrays of a file together


class FileError(ValueError):
    """A file does not hold what it should; the message names the file and the cause, on one line."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))


# ------------------------------------------------------------------------------------------------ writing


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder, which replaces `path` if the block succeeds. If `path` is a link,
    the file that it points to is replaced.

    Raises:
        OSError: there is something else than a file, such as a folder or a device, or none can be made.
    """
    path = _file_at(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path} cannot be written: there is no folder {path.parent}")
    new = path.with_name(f".{digest_of_value(path.name)}.{os.getpid()}")  # another process may write the same file
    try:
        yield new
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def checked_path(name: str, value: Any) -> Path:
    """Return the value as a path, after checking that it can be one.

    Raises:
        TypeError: it is neither a string nor a path.
        ValueError: it is empty, too long, or contains a null character or one that file names cannot hold.
    """
    if not isinstance(value, str | Path):
        raise TypeError(f"{name} = {shown(value)} must be a path")
    if "\0" in str(value) or not 0 < len(str(value)) <= _LONGEST:
        raise ValueError(f"{name} = {shown(value)} must be a path, of 1 to {_LONGEST} characters, none of them null")
    try:
        os.fsencode(value)
    except UnicodeEncodeError as error:
        letter = shown(error.object[error.start])
        raise ValueError(
            f"{name} = {shown(value)} must be a path; it contains {letter}, which names of files cannot hold"
        ) from None
    return Path(value)


def check_writable(path: Path) -> None:
    """Create the folder of a file and check that the file can be written, before long work begins.

    Raises:
        OSError: it cannot; the message names the file.
    """
    path = _file_at(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"{path} cannot be written: {error.strerror}: {error.filename}") from None
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(f"{path} cannot be written: no permission in {path.parent}")


def _file_at(path: Path) -> Path:
    """The path of a file, or where one may be made, without the links that lead to it.

    Raises:
        OSError: there is something else, such as a folder or a device, or no file can be there.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):  # the folder is looked at next
        mode = stat.S_IFREG
    except OSError as error:
        raise OSError(f"{path} cannot be written: {error.strerror}") from None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"{path} is a folder, not a file")
    if not stat.S_ISREG(mode):
        raise OSError(f"{path} is a device, a pipe or a socket, not a file")
    return Path(os.path.realpath(path))


def write_json(path: Path, value: Any, indent: int | None = None) -> None:
    """Write a value as JSON."""
    text = json.dumps(value, indent=indent) + "\n"
    with replacing(path) as new:
        new.write_text(text, encoding="utf-8")


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], compressed: bool = False, **values: Any) -> None:
    """Write arrays, and values as JSON, to an `.npz`."""
    texts = {name: np.array(json.dumps(value)) for name, value in values.items()}
    with replacing(path) as new, new.open("xb") as file:
        (np.savez_compressed if compressed else np.savez)(file, **arrays, **texts)  # type: ignore[arg-type]


def digest_of_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of the names, types, shapes and contents of arrays, in their order."""
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def signed(value: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object with a digest of all else that it holds."""
    fields = {name: each for name, each in value.items() if name != "digest"}
    return {**fields, "digest": digest_of_value(fields)}


def digest_of_value(value: Any) -> str:
    """A short hash of a JSON value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


# ------------------------------------------------------------------------------------------------ reading


def read_json(path: Path, form: Any = object, what: str = "value") -> Any:
    """Return what a JSON file holds.

    Args:
        form: what it should be; see `misfit`.
        what: a name for that.

    Raises:
        FileError: it cannot be read, is not JSON, or is something else.
    """
    return _value(path, _bytes(path), form, what)


class Declared(NamedTuple):
    """Kind and shape that a file declares for an array, before any of it is read."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def read_arrays(path: Path, check: Callable[[dict[str, Declared]], None] | None = None) -> dict[str, np.ndarray]:
    """The arrays of an `.npz`, whose checksums are verified.

    No array is unpacked before the sizes of all are known: a small file may unpack to any number of bytes.

    Args:
        check: called with what the file declares, by name; raises `FileError` where that is not what is expected.

    Raises:
        FileError: it cannot be read, is no `.npz` or a damaged one, is larger than `MOST_BYTES`, or holds Python
            objects, which would be unpickled.
        MemoryError: there is no memory for an array; the message names the file.
    """
    with _archive(path) as (archive, place):
        members = _members(archive, place)
        total = sum(member.file_size for member, _ in members.values())
        if total > MOST_BYTES:
            raise FileError(f"{path} cannot be used: its arrays have {total:,} bytes, {MOST_BYTES:,} are allowed")
        if check is not None:
            check({name: declared for name, (_, declared) in members.items()})
        return {name: _array(archive, member, place) for name, (member, _) in members.items()}


def read_value(path: Path, name: str, form: Any) -> Any:
    """A value that `write_arrays` wrote as JSON; no other part of the `.npz` is unpacked.

    Args:
        form: what it should be; see `misfit`.

    Raises:
        FileError: as of `read_arrays`, or it is not there, or something else.
    """
    with _archive(path) as (archive, place):
        member, declared = _members(archive, place).get(name, (None, None))
        if member is None or declared is None or declared.shape or member.file_size > MOST_JSON:
            raise FileError(f"{path} holds no {name}")
        arrays = {name: _array(archive, member, place)}
    return value_among(path, arrays, name, form)


def value_among(path: Path, arrays: dict[str, np.ndarray], name: str, form: Any) -> Any:
    """Take a value that `write_arrays` wrote as JSON out of an `.npz`'s arrays.

    Args:
        form: what it should be; see `misfit`.

    Raises:
        FileError: it is not there, or something else.
    """
    text = arrays.pop(name, None)
    if text is None or text.dtype.kind != "U" or text.ndim:
        raise FileError(f"{path} holds no {name}")
    return _value(path, str(text).encode(), form, name)


def misfit(value: Any, form: Any, place: str = "") -> str | None:
    """Return what keeps a JSON value from being as it should, None if nothing does.

    Args:
        form: a type (`float`: any finite number, `int`: not a bool, `object`: anything); None; [form], a list of such;
            (form, form), one of these; {"key": form}, an object with these keys, of which "key?" may be missing, and
            maybe others; {str: form}, an object with any keys.
    """
    if isinstance(form, tuple):
        found = [misfit(value, option, place) for option in form]
        return None if None in found else found[0]
    if isinstance(form, list):
        if not isinstance(value, list):
            return f"{place or 'it'} must be a list, not {reprlib.repr(value)}"
        return _first(misfit(each, form[0], f"{place}[{i}]") for i, each in enumerate(value))
    if isinstance(form, dict):
        if not isinstance(value, dict):
            return f"{place or 'it'} must be an object, not {reprlib.repr(value)}"
        if str in form:
            return _first(misfit(each, form[str], f"{place}.{key}".lstrip(".")) for key, each in value.items())
        missing = [key for key in form if key not in value and not key.endswith("?")]
        if missing:
            return f"{place or 'it'} has no {missing[0]!r}"
        inside = [(key.removesuffix("?"), each) for key, each in form.items()]
        return _first(misfit(value[key], each, f"{place}.{key}".lstrip(".")) for key, each in inside if key in value)
    if form is None:
        return None if value is None else f"{place or 'it'} must be null, not {reprlib.repr(value)}"
    fits = {float: _is_finite, int: _is_whole}.get(form, lambda given: isinstance(given, form))
    return (
        None if fits(value) else f"{place or 'it'} must be {_NAMES.get(form, form.__name__)}, not {reprlib.repr(value)}"
    )


_NAMES = {
    float: "a finite number",
    int: "a whole number",
    str: "a string",
    bool: "true or false",
    dict: "an object",
    list: "a list",
}


class _NotLoaded(Exception):
    """Error that says what a member of an archive is, instead of a plain array."""


@contextmanager
def _opened(path: Path) -> Iterator[tuple[IO[bytes], int]]:
    """A file that is not empty, and its size."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise FileError(f"{path} is missing") from None
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from None
    with file:
        size = os.fstat(file.fileno()).st_size
        if not size:
            raise FileError(f"{path} is empty")
        yield file, size


@contextmanager
def _archive(path: Path) -> Iterator[tuple[zipfile.ZipFile, list[str]]]:
    """An `.npz`, and a list whose last entry says what is being read of it, for the message of an error."""
    place = ["its list of arrays"]
    with _opened(path) as (file, _):
        if not zipfile.is_zipfile(file):
            raise FileError(f"{path} is no .npz file, or one that was cut short")
        try:
            with zipfile.ZipFile(file) as archive:
                yield archive, place
        except FileError:
            raise
        except MemoryError:
            raise MemoryError(f"{path} cannot be used: there is not enough memory for {place[-1]!r}") from None
        except Exception as error:  # zipfile, zlib and numpy raise a dozen kinds over damaged bytes
            reason = error if isinstance(error, _NotLoaded) else "is damaged"
            raise FileError(f"{path} cannot be used: {place[-1]!r} {reason}") from None


def _members(archive: zipfile.ZipFile, place: list[str]) -> dict[str, tuple[zipfile.ZipInfo, Declared]]:
    """The arrays of an archive by name, and what their headers declare; nothing else of them is unpacked."""
    found: dict[str, tuple[zipfile.ZipInfo, Declared]] = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        place.append(name)
        if name == member.filename:
            raise _NotLoaded("is no array")
        if name in found:
            raise _NotLoaded("is there twice")
        with archive.open(member) as file:
            version = np.lib.format.read_magic(file)
            header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = header(file)
            begins = file.tell()
        if dtype.hasobject:
            raise _NotLoaded("holds Python objects, which are not loaded")
        if min(shape, default=0) < 0 or not dtype.itemsize:
            raise ValueError("no sizes of an array")
        if member.file_size != begins + math.prod(shape) * dtype.itemsize:
            raise ValueError("more or fewer bytes than the array has")
        found[name] = member, Declared(shape, dtype)
    return found


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, place: list[str]) -> np.ndarray:
    """An array, all of whose bytes are read: only then is the checksum looked at."""
    place.append(member.filename.removesuffix(".npy"))
    with archive.open(member) as file:
        array: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
        if file.read(1):
            raise ValueError("more bytes than the array has")
    return array


def _bytes(path: Path) -> bytes:
    with _opened(path) as (file, size):
        if size > MOST_JSON:
            raise FileError(f"{path} cannot be used: it has {size:,} bytes, {MOST_JSON:,} of JSON are allowed")
        try:
            return file.read(MOST_JSON)
        except OSError as error:
            raise FileError(f"{path} cannot be read: {error.strerror}") from None


def _value(path: Path, text: bytes, form: Any, what: str) -> Any:
    try:
        value = json.loads(text.decode())
    except UnicodeDecodeError as error:
        raise FileError(f"{path} is not JSON: byte {error.start} is not valid UTF-8") from None
    except MemoryError:
        raise MemoryError(f"{path} cannot be used: there is not enough memory for its JSON") from None
    except (ValueError, RecursionError) as error:
        raise FileError(f"{path} is not JSON: {str(error).splitlines()[0]}") from None
    if wrong := misfit(value, form):
        raise FileError(f"{path} holds no {what}: {wrong}")
    return value


def _first(found: Iterator[str | None]) -> str | None:
    return next((wrong for wrong in found if wrong), None)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def _is_finite(value: Any) -> bool:
    return _is_whole(value) or (isinstance(value, float) and math.isfinite(value))
