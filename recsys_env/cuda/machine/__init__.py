"""The compiler of a GPU; all other files are those of the CPU without the package's own compiler."""

from __future__ import annotations

from ...kernels import machine

__path__ = [*__path__, machine.PLAIN_FOLDER, *machine.__path__]
