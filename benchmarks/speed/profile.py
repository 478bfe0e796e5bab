"""Shares of the processor's time by kernel, in batches of 1,024 copies.

    python -m benchmarks.speed.profile                       # the games that miss their aims: a few minutes
    python -m benchmarks.speed.profile --games "duel-v1 items"

The step is four functions into which two hundred kernels are inlined. This command compiles it with line numbers and
samples the processor 5,000 times a second while it plays (`perf record`, on Linux). Each sample counts for the
innermost kernel at its line (`addr2line`, of the GNU binutils).
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from numba.core import debuginfo

from recsys_env.kernels.step import run

from ..result_files import store
from .step import actions_for, games, started

COPIES, SECONDS, LOOKS = 1024, 10.0, 5000  # looks per second
GAMES = ("duel-v1 items", "ecommerce-v1 items", "ecommerce-v1 candidates", "news-v1 candidates")
LEAST = 0.01  # kernels with a smaller share are not named


class _Lines(debuginfo.DIBuilder):  # type: ignore[misc]
    """Numba's line numbers for its debugger, without variables, which would keep LLVM from holding them in
    registers."""

    def __init__(self, module: Any, filepath: str, cgctx: Any, directives_only: bool) -> None:
        super().__init__(module, filepath, cgctx, False)

    def mark_variable(self, *arguments: Any, **options: Any) -> None:
        pass


@contextlib.contextmanager
def with_lines() -> Iterator[None]:
    """Compile the step with line numbers, and keep this code out of the cache on disk."""
    with mock.patch.object(debuginfo, "DummyDIBuilder", _Lines), mock.patch.object(run._cache, "_enabled", False):
        yield


def profile(label: str) -> dict[str, Any]:
    """Number of samples of a game, and their shares by kernel."""
    world, overrides = games()[label]
    before = set(run.overloads)
    with with_lines():
        envs = started(world, overrides, COPIES)
    (signature,) = set(run.overloads) - before
    made, read = run.overloads[signature], envs._actions.read(actions_for(envs))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "step.o").write_bytes(made.library._get_compiled_object())
        command = ["perf", "record", "-q", "-e", "cpu-clock", "-F", str(LOOKS), "-o", f"{folder}/looks", "-p"]
        with subprocess.Popen([*command, str(os.getpid())], stderr=subprocess.DEVNULL) as recorder:
            stop = time.perf_counter() + SECONDS
            while time.perf_counter() < stop:
                envs._tick(read)
            recorder.send_signal(signal.SIGINT)
        looks = _told("perf", "script", "-i", folder / "looks", "-F", "ip").split()
        start = made.library.get_pointer_to_function(made.fndesc.llvm_func_name)
        (place,) = re.findall(
            rf"^([0-9a-f]+) \w {re.escape(made.fndesc.llvm_func_name)}$", _told("nm", folder / "step.o"), re.M
        )
        base = start - int(place, 16)
        places = collections.Counter(int(look, 16) - base for look in looks)
        asked = "\n".join(hex(at) for at in places if 0 <= at < (folder / "step.o").stat().st_size)
        lines = _told("addr2line", "-C", "-f", "-i", "-a", "-e", folder / "step.o", asked=asked)
    return {"looks": len(looks), "shares": shares(kernels_at(lines.splitlines()), places)}


def _told(*command: Any, asked: str | None = None) -> str:
    return subprocess.run(
        list(map(str, command)), input=asked, check=True, capture_output=True, encoding="utf-8"
    ).stdout


def kernels_at(lines: Iterable[str]) -> dict[int, str]:
    """Map addresses in the code to the innermost kernel, from the output of `addr2line -a -f -i -C`."""
    found: dict[int, str] = {}
    place = 0
    for line in lines:
        if re.fullmatch("0x[0-9a-f]+", line):
            place = int(line, 16)
        elif place not in found and (name := re.match(r"recsys_env::kernels::(\w+)::(\w+)", line)):
            found[place] = f"{name[1]}.{name[2]}"
    return found


def shares(kernels: Mapping[int, str], places: Mapping[int, int]) -> dict[str, float]:
    """Share of the samples by kernel, largest first. Kernels below `LEAST` are added up, as are samples outside the
    kernels."""
    total = sum(places.values())
    found: collections.Counter[str] = collections.Counter()
    for place, count in places.items():
        found[kernels.get(place, "no kernel")] += count
    large = {
        name: count / total for name, count in found.most_common() if count >= LEAST * total and name != "no kernel"
    }
    return {
        **large,
        "no kernel": found["no kernel"] / total,
        "others": 1 - sum(large.values()) - found["no kernel"] / total,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", nargs="+", choices=list(games()), metavar="GAME", default=GAMES)
    found = {}
    for label in parser.parse_args().games:
        found[label] = profile(label)
        told = ", ".join(f"{name} {share:.1%}" for name, share in found[label]["shares"].items())
        print(f"{label}: {told}", flush=True)
    settings = {"copies": COPIES, "seconds": SECONDS, "looks_per_second": LOOKS}
    print(store("profile", settings, {"games": found}))


if __name__ == "__main__":
    main()
