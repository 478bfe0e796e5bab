"""The kernels once more, compiled for NVIDIA GPUs: the same files, with this folder's compiler.py and vectors.py."""

from __future__ import annotations

from .. import kernels

__path__ = [*__path__, *kernels.__path__]  # a module that is not here is executed again from there, under this name
