"""The compiler of the rules of the game. None of these files holds a rule.

rng.py          every random number: a hash of (seed, episode, tick, event, index)
numeric.py      exp, log, sigmoid, squash, the K largest

selection.py    which compiler is used: the package's own, or numba as it is published
compiler.py     `kernel`, `stage` and `entry`, and the cache of compiled code

The package's own compiler, which patches and extends numba's internals:

internals.py    what it takes for granted of them
dispatchers.py  kernels are lowered to LLVM code once and inlined into entries
pointers.py     arrays and records are passed to kernels by their address
packed.py       all arrays of a batch under one address, so that a call passes one number
aliasing.py     which accesses to memory can meet, for LLVM
specialize.py   which numbers of a world are constants in the code of large batches
addresses.py    functions called by the address of their machine code
threads.py      the step over several threads
vectors.py      sums over vectors, written in vector instructions

plain/          these modules once more, by numba's public interface alone: slower, with the same results
"""

from __future__ import annotations

from pathlib import Path

from .selection import PLAIN, select

PLAIN_FOLDER = str(Path(__file__).parent / "plain")
COMPILER, FALLBACK_REASON = select()
if COMPILER == PLAIN:  # a module that is in this folder is taken from there
    __path__.insert(0, PLAIN_FOLDER)
