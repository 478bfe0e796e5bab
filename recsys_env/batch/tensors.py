"""The batch's buffers as tensors on the trainer's device, without a Python loop and without a second copy."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..checks import shown
from .base import AnyBatch

try:
    import torch
except ImportError as error:
    raise ImportError('tensors of a batch need torch: pip install "recsys_env[train]"') from error

EXCLUDED = -1e9  # score of what cannot be chosen; finite, so that no gradient becomes NaN
_WORTH_PINNING = 1 << 16  # bytes; smaller arrays may share memory pages, which can be pinned only once


def choose_device(device: str | torch.device = "auto") -> torch.device:
    """Return the device of this name; "auto" is a GPU if there is one.

    Raises:
        ValueError: torch has no such device.
        TypeError: `device` is not a name.
    """
    if not isinstance(device, str | torch.device):
        raise TypeError(f"device = {shown(device)} must be the name of a device or a torch.device")
    try:
        return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
    except RuntimeError as error:
        raise ValueError(
            f"device = {shown(device)} is not allowed; choose 'auto', 'cpu', 'cuda' or another of torch's, such as "
            "'cuda:1'"
        ) from error


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Make torch use one thread of the CPU.

    Small networks are faster on one thread (by tens of times if other processes use the cores too), and sums have the
    same order on every machine.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class Tensors:
    """Converts arrays that a batch returns to tensors on a device, and tensors to actions.

    On the CPU a tensor shares the array's memory, and is valid as long as the array: until the step after the next. The
    same holds if the batch itself is on the GPU. For a GPU with the batch on the CPU, the batch's own buffers are
    pinned once, so that each array crosses in one asynchronous transfer; make the batch with `copy=False`, because
    copies are not pinned. Computations on the same stream wait for the transfer, and reading an action back ends every
    transfer before the buffers are written again.

    Args:
        envs: the batch, on the CPU or on a GPU; on a GPU it works on torch's current stream.
        device: as in `choose_device`.

    Raises:
        ValueError: the batch is on a GPU and its tensors are wanted elsewhere, or torch has no such device.
        TypeError: `device` is not a name.
    """

    def __init__(self, envs: AnyBatch, device: str | torch.device = "auto") -> None:
        self.device = choose_device(device)
        self._resident = envs.device == "cuda"
        if self._resident:
            if self.device.type != "cuda":
                raise ValueError(f"device = {str(device)!r}: the batch lies on a GPU, and so do its tensors")
            envs.stream = torch.cuda.current_stream(self.device).cuda_stream  # type: ignore[attr-defined]
        elif self.device.type == "cuda":
            for array in envs.output_arrays():  # type: ignore[attr-defined]
                if array.nbytes >= _WORTH_PINNING:
                    _pin(array)

    def __call__(self, array: Any) -> torch.Tensor:
        """An array of the batch."""
        if self._resident:
            return torch.as_tensor(array, device=self.device)
        tensor = torch.from_numpy(array)
        return tensor if self.device.type == "cpu" else tensor.to(self.device, non_blocking=True)

    def kept(self, array: Any) -> torch.Tensor:
        """Return the same tensor in memory that no later step overwrites."""
        if self._resident:
            return self(array).clone()
        # A transfer to a GPU copies. Torch warns of memory that it may not write to.
        copied = self.device.type == "cpu" or not array.flags.writeable
        return self(array.copy() if copied else array)

    def actions(self, tensor: torch.Tensor) -> Any:
        """Return the actions for `step`, from a tensor [B, N, ...]."""
        tensor = tensor.detach()
        return tensor.contiguous() if self._resident else tensor.cpu().numpy()


def _pin(array: np.ndarray) -> None:
    """Lock an array's memory for transfers, until the array is freed."""
    runtime: Any = torch.cuda.cudart()
    address = array.ctypes.data
    if int(runtime.cudaHostRegister(address, array.nbytes, 0)) == 0:
        weakref.finalize(array if array.base is None else array.base, runtime.cudaHostUnregister, address)
