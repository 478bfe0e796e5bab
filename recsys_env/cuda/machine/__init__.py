"""What the kernels are compiled with on a GPU. All files that are not here are those of the plain compiler of the
CPU."""

from __future__ import annotations

from ...kernels import machine

__path__ = [*__path__, machine.PLAIN_FOLDER, *machine.__path__]
