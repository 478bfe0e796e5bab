"""The game on an NVIDIA GPU: the files of `kernels` once more, compiled by numba-cuda.

    batch.py      `CudaVectorEnv`, the batch whose arrays stay on the device
    threads.py    what runs there: a thread for each copy
    machine/      `kernel` of the CPU's files as a function of the device; the arrays of a batch as one table

A module that is not in this folder is taken from `kernels`, and executed under this package's name: its relative
imports find the files above in place of the CPU's. Of `kernels/machine` it takes those of `plain/` first.
"""

from __future__ import annotations

from .. import kernels
from ..libraries import library

__path__ = [*__path__, *kernels.__path__]

library("numba.cuda", "cuda")
