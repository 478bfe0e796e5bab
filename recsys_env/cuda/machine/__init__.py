"""The files of `kernels/machine` that a GPU needs otherwise; all others are those of the CPU."""

from __future__ import annotations

from ...kernels import machine

__path__ = [*__path__, *machine.__path__]
