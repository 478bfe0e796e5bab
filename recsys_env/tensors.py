"""The batch's buffers as tensors on the trainer's device, without a Python loop and without a second copy."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from .batch import AnyBatch
from .checks import shown

try:
    import torch
except ImportError as error:
    raise ImportError('tensors of a batch need torch: pip install "recsys_env[train]"') from error

_WORTH_PINNING = 1 << 16  # bytes; smaller arrays may share memory pages, which can be pinned only once


def choose_device(device: str | torch.device = "auto") -> torch.device:
    """The device of this name; "auto" is a GPU where there is one.

    Raises:
        ValueError: torch knows no such device.
        TypeError: no name of one.
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
    """Turns arrays that a batch returns into tensors on a device, and tensors into actions.

    On the CPU a tensor shares the array's memory: it is valid for as long as the array, until the step after the next.
    So it is where the batch itself is on the GPU. For a GPU with the batch on the CPU the batch's own buffers are
    pinned once, so that each array crosses in one asynchronous transfer; what is computed from it on the same stream
    waits for it, and reading an action back ends every transfer before the buffers are written again.

    Args:
        envs: the batch, on the CPU or on a GPU, which then works on torch's present stream.
        device: as in `choose_device`.

    Raises:
        ValueError: a batch on a GPU whose tensors shall be elsewhere.
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
        """The same, in memory that no later step overwrites."""
        tensor = self(array)
        return tensor.clone() if self._resident or self.device.type == "cpu" else tensor

    def host(self, array: Any) -> np.ndarray:
        """A small array of the batch on the host, where it is copied to only if it is not there."""
        return array.copy_to_host() if self._resident else array  # type: ignore[no-any-return]

    def actions(self, tensor: torch.Tensor) -> Any:
        """What the batch steps with, of a tensor [B, N, ...]."""
        tensor = tensor.detach()
        return tensor.contiguous() if self._resident else tensor.cpu().numpy()


def _pin(array: np.ndarray) -> None:
    """Lock an array's memory for transfers, until the array is freed."""
    runtime: Any = torch.cuda.cudart()
    address = array.ctypes.data
    if int(runtime.cudaHostRegister(address, array.nbytes, 0)) == 0:
        weakref.finalize(array if array.base is None else array.base, runtime.cudaHostUnregister, address)
