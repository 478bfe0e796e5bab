"""Checks that a batch fits into memory, before any of it is allocated.

Operating systems promise more memory than they have: an array of zeros takes none until it is written to. Without this
check, a batch that is too large would be created, and the system would end the process later without a message.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..world.arrays import ROW_ARRAYS, World, allocate_report, allocate_scratch, allocate_state

_GROUPS, _OF_PROCESS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_UNLIMITED = 2**60  # a limit from here on is none


def bytes_of_copies(world: World, num_envs: int, mask_size: int) -> int:
    """Bytes of the state of B copies, of the two reports of a step and of what it works in. Nothing large is allocated:
    a state of no copies has the shapes of all of them."""
    small = (*allocate_report(world, 1, mask_size), *allocate_report(world, 1, mask_size), *allocate_scratch(world, 1))
    each = sum(array.nbytes for array in small)
    for array in allocate_state(world, 0):
        size = array.itemsize
        for length in array.shape[1:]:
            size *= length
        each += size
    return num_envs * each


def bytes_of_rows(world: World, num_envs: int, rows: int) -> int:
    """Bytes that `rows` rows of people take in each of B copies."""
    one = allocate_state(world, 1, 0, 1)
    return num_envs * rows * sum(getattr(one, name).nbytes for name in ROW_ARRAYS)


def check_fits(num_envs: int, needed: int, free: int | None, where: str) -> None:
    """Raise ValueError if B copies need more bytes than are free; None = nobody knows how many are."""
    if free is None or needed <= free:
        return
    most = num_envs * free // needed
    allowed = f"the largest num_envs that fits is {most}" if most else "not one copy fits"
    raise ValueError(
        f"num_envs = {num_envs} copies of this task need {_readable(needed)}, but {_readable(free)} are free {where}; "
        f"{allowed}"
    )


def check_rows_fit(num_envs: int, rows: int, needed: int, free: int | None, where: str) -> None:
    """Raise MemoryError if `rows` rows of people in each of B copies need more bytes than are free."""
    if free is not None and needed > free:
        raise MemoryError(
            f"num_envs = {num_envs} copies with room for {rows} users each, as many as have come so far or may come "
            f"soon, need {_readable(needed)}, but {_readable(free)} are free {where}"
        )


def _readable(size: int) -> str:
    return f"{size / 2**30:.3g} GiB" if size >= 2**30 else f"{size / 2**20:.3g} MiB"


def available() -> int | None:
    """Bytes that this process may still take, as the system and the limits of its control groups say; None where
    nothing tells it."""
    known = [size for size in (_of_system(), *_of_groups()) if size is not None]
    return max(min(known), 0) if known else None


def _of_system() -> int | None:
    """What Linux says is available, elsewhere all the memory there is."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            name, _, size = line.partition(":")
            if name == "MemAvailable":
                return int(size.split()[0]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # not of this system
        return None


def _of_groups() -> Iterator[int]:
    """What each limited control group above this process has left, of version 2 and of version 1."""
    try:
        lines = _OF_PROCESS.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            root, names = _GROUPS, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            root = _GROUPS / "memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        group = root / path.lstrip("/")
        for folder in (group, *group.parents):
            left = _left_in(folder, *names)
            if left is not None:
                yield left
            if folder == root:
                break


def _left_in(folder: Path, limit: str, used: str, reclaimable: str) -> int | None:
    """The limit of a group less what it uses, but for files that the system drops when memory is short."""
    try:
        most = int((folder / limit).read_text(encoding="ascii"))
        taken = int((folder / used).read_text(encoding="ascii"))
        statistics: dict[str, Any] = dict(
            line.split() for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines()
        )
        dropped = int(statistics.get(reclaimable, 0))
    except (OSError, ValueError):  # no limit, no such group, or one that is not ours to read
        return None
    return most - max(taken - dropped, 0) if most < _UNLIMITED else None
