"""Checks that a batch fits into memory, before any of it is allocated.

Operating systems promise more memory than they have: an array of zeros takes none until it is written to. Without this
check, a batch that is too large would be created, and the system would end the process later without a message.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..world.arrays import ROW_ARRAYS, World, allocate_report, allocate_scratch, allocate_state

_SYSTEM = Path("/proc/meminfo")
# Where the memory limit of a container is, in version 2 and in version 1: the files of the limit and of what is used.
_LIMITS = {
    Path("/sys/fs/cgroup"): ("memory.max", "memory.current"),
    Path("/sys/fs/cgroup/memory"): ("memory.limit_in_bytes", "memory.usage_in_bytes"),
}


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
    """Bytes that this process may still take, as the system and the limit of its container say; None where nothing
    tells it."""
    known = [size for size in (_of_system(), *map(_of_container, _LIMITS)) if size is not None]
    return max(min(known), 0) if known else None


def _of_system() -> int | None:
    """What Linux says is available, elsewhere all the memory there is."""
    try:
        for line in _SYSTEM.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # not of this system
        return None


def _of_container(folder: Path) -> int | None:
    """What the limit of a container leaves; files that the system may drop count as free."""
    limit, used = _LIMITS[folder]
    try:
        most = int((folder / limit).read_text(encoding="ascii"))
        taken = int((folder / used).read_text(encoding="ascii"))
        statistics = dict(line.split() for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines())
        return most - max(taken - int(statistics.get("inactive_file", 0)), 0)
    except (OSError, ValueError):  # "max", no such file, or one that is not ours to read
        return None
