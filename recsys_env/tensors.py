"""The batch's buffers as tensors on the trainer's device, without a Python loop and without a second copy."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from .vector import VectorEnv

try:
    import torch
except ImportError as error:
    raise ImportError('tensors of a batch need torch: pip install "recsys_env[train]"') from error

_WORTH_PINNING = 1 << 16  # bytes; smaller arrays may share memory pages, which can be pinned only once


def choose_device(device: str | torch.device = "auto") -> torch.device:
    """The device of this name; "auto" is a GPU where there is one.

    Raises:
        ValueError: torch knows no such device.
    """
    try:
        return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
    except RuntimeError as error:
        raise ValueError(
            f"device = {device!r} is not allowed; choose 'auto', 'cpu', 'cuda' or another of torch's, such as 'cuda:1'"
        ) from error


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread of the CPU.

    Small networks are faster so (by tens of times where other processes want the cores too), and sums come in the same
    order on every machine.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class Tensors:
    """Turns arrays that a batch returns into tensors on a device.

    On the CPU a tensor shares the array's memory: it is valid for as long as the array, until the step after the next.
    For a GPU the batch's own buffers are pinned once, so that each array crosses in one asynchronous transfer; what is
    computed from it on the same stream waits for it, and reading an action back ends every transfer before the buffers
    are written again.

    Args:
        envs: the batch.
        device: as in `choose_device`.
    """

    def __init__(self, envs: VectorEnv, device: str | torch.device = "auto") -> None:
        self.device = choose_device(device)
        if self.device.type == "cuda":
            for array in envs.output_arrays():
                if array.nbytes >= _WORTH_PINNING:
                    _pin(array)

    def __call__(self, array: np.ndarray) -> torch.Tensor:
        tensor = torch.from_numpy(array)
        return tensor if self.device.type == "cpu" else tensor.to(self.device, non_blocking=True)


def _pin(array: np.ndarray) -> None:
    """Lock an array's memory for transfers, until the array is freed."""
    runtime: Any = torch.cuda.cudart()
    address = array.ctypes.data
    if int(runtime.cudaHostRegister(address, array.nbytes, 0)) == 0:
        weakref.finalize(array, runtime.cudaHostUnregister, address)
