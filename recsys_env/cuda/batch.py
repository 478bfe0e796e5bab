"""The batch on a GPU: the same game as `VectorEnv`, whose arrays stay on the device.

    envs = vector_env("ecommerce-v1", 16_384, device="cuda")
    observations, infos = envs.reset(seed=0)                # arrays on the GPU
    torch.as_tensor(observations, device="cuda")            # shares their memory; JAX and CuPy take them alike

Actions are taken from the device too (whatever has `__cuda_array_interface__`, such as a tensor of PyTorch). They are
checked there. A step waits for the device only when it looks whether there is room for more users, once in many ticks.
After an action outside its space no copy plays on, and the next call of `step`, `reset`, `save` or `restore` raises the
error. Results are never copied, as with `copy=False` on the CPU: they are arrays of two alternating sets, which the
step after the next overwrites.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numba import cuda

from ..batch.game import GameBatch
from ..batch.infos import OF_AGENTS, OF_BIDS
from ..batch.memory import bytes_of_copies, check_fits
from ..batch.spaces import mask_size
from ..batch.vector import VectorEnv
from ..checks import did_you_mean
from ..config import WorldConfig
from ..config.catalogue import Catalogue
from ..config.responses import LATER_SALE, NAMES
from ..world.arrays import Report, Scratch, State, World, allocate_report, allocate_scratch, allocate_state
from .machine.table import ArrayTable
from .threads import NOWHERE, find_outside, step_copies, write_final_states, write_states

THREADS = 128  # of a block


class DeviceInfos(Mapping[str, Any]):
    """`Infos` of a batch on a GPU: those that are arrays of the report, as they lie there."""

    _AGENTS = (*OF_AGENTS, "log_price_multiplier")
    _SLOTS = ("rank", *NAMES)

    def __init__(self, report: Report) -> None:
        self._where: dict[str, tuple[Any, str]] = {name: (report.agents, name) for name in self._AGENTS}
        self._where |= {"shown": (report.slots, "item"), **{name: (report.slots, name) for name in self._SLOTS}}
        self._where |= {info: (report.bids, name) for info, name in OF_BIDS.items()}
        self._where |= {f"later_{name}": (report.later, name) for name in LATER_SALE}
        self._where |= {"final_obs": (report.final_observations, ""), "final_mask": (report.final_masks, "")}

    def __getitem__(self, key: str) -> Any:
        if key not in self._where:
            raise KeyError(f"{key!r}{did_you_mean(key, self._where)}; these infos hold {', '.join(self._where)}")
        array, field = self._where[key]
        return column(array, field) if field else array

    def __iter__(self) -> Iterator[str]:
        return iter(self._where)

    def __len__(self) -> int:
        return len(self._where)


def column(records: Any, name: str) -> Any:
    """One field of an array of records on the device, [..., K] for records [..., K], which shares its memory."""
    kind, offset = records.dtype.fields[name][:2]
    step = records.dtype.itemsize // kind.itemsize
    return records.view(kind)[..., offset // kind.itemsize :: step]


class CudaVectorEnv(GameBatch[Any, DeviceInfos]):
    """B independent copies of a task on a GPU, one thread each.

    Args:
        config, num_envs, catalogue: as in `GameBatch`; `Batch` lists the attributes.

    Raises:
        RuntimeError: there is no GPU.
        ValueError: a batch that does not fit into its free memory, beside what `GameBatch` refuses.

    Attributes:
        stream: CUDA stream that all work is queued on: 0 is the default one, which PyTorch uses too; else a number,
            such as `torch.cuda.current_stream().cuda_stream`.

    What is not here (`explain`, `expected_feedback`, `latent_users`, policies, metrics, replays) is done by a batch on
    the CPU that restores what this one saves, bit for bit: `vector_env(task, num_envs).restore(envs.save())`.
    """

    device = "cuda"
    copy = False

    def __init__(self, config: WorldConfig, num_envs: int = 1, catalogue: Catalogue | str | Path | None = None) -> None:
        if not cuda.is_available():
            raise RuntimeError('device = "cuda": there is no NVIDIA GPU here, or no driver for it')
        super().__init__(config, num_envs, catalogue)
        if self.shape.id_columns:
            raise ValueError(
                f"observation.item_ids = {config.observation.item_ids!r} is not possible on a GPU; allowed is 'none'"
            )
        self.stream = 0
        self._state: Any
        masks = mask_size(config, self.shape)
        needed = bytes_of_copies(self.world, self.num_envs, masks) + 8 * self.num_envs * self.state_space.shape[0]
        check_fits(self.num_envs, needed, *self._free_memory())
        hidden = np.zeros((self.num_agents, int(self.world.params["shape"]["observation"][0])), np.bool_)
        for n, columns in self._hidden:
            hidden[n, columns] = True
        self._world = _on_device(self.world)
        self._state = _on_device(innermost(allocate_state(self.world, self.num_envs)))
        self._buffers = [_on_device(allocate_report(self.world, self.num_envs, masks)) for _ in range(2)]
        self._report = self._buffers[0]
        self._scratch = _on_device(innermost(allocate_scratch(self.world, self.num_envs)))
        self._tables = self._array_tables(self._state)
        self._hides, self._runs = cuda.to_device(hidden), cuda.to_device(self._private)
        self._highest = cuda.to_device(self._actions.highest)
        self._found = cuda.to_device(np.array([NOWHERE]))
        # Of the host's memory, to which the device writes: the index of an action that it refused, and the action.
        self._refused = cuda.mapped_array(1 + self._highest.size, np.float64)
        self._refused[0] = -1
        self._never = cuda.to_device(np.zeros(self.num_envs, np.bool_))
        rows = np.zeros((self.num_envs, *self.state_space.shape), np.float32)
        self._rows, self._final_rows = cuda.to_device(rows), cuda.to_device(rows)

    def _array_tables(self, state: Any) -> list[ArrayTable]:
        """Where the arrays are, with this state and each report."""
        return [ArrayTable(self._world, state, report, self._scratch) for report in self._buffers]

    # -------------------------------------------------------------------------------------------- a step

    def _read(self, actions: Any) -> Any:
        """Actions [B, N, A] on the device. Those that are there already are checked there, and nobody waits for it."""
        if self._refused[0] >= 0:
            self._reject_refused()
        self._make_room(1)  # before anything is queued
        if not hasattr(actions, "__cuda_array_interface__"):
            return cuda.to_device(self._actions.read(actions))
        array = cuda.as_cuda_array(actions)
        shape = (self.num_envs, self.num_agents, *(self.action_space.shape or ()))
        if array.shape != shape or array.dtype.kind not in self._actions.kinds:
            raise ValueError(
                f"actions of shape {array.shape} and dtype {array.dtype}, expected {shape} of {self.action_space}"
            )
        array = array.reshape(*shape[:2], self._highest.size)
        self._run(find_outside, array, self._highest, self._actions.low, self._found)
        return array

    def _reject_refused(self) -> NoReturn:
        """Raise for the action that an earlier step has refused. The page is still the one before that step."""
        cuda.synchronize()
        index, action = int(self._refused[0]), self._refused[1:].astype(self.action_space.dtype or np.int64)
        self._refused[0] = -1
        self._found.copy_to_device(np.array([NOWHERE]))
        self._advance(self._sent(self._actions.empty()), mode=2)
        try:
            self._actions.reject(index, action.reshape(self.action_space.shape or ()))
        except ValueError as error:
            raise ValueError(f"{error}; neither that step nor a later one was played") from None

    def _advance(self, actions: Any, mode: int) -> None:
        second = self._report is self._buffers[0]
        table = self._tables[second]
        self._run(step_copies(table.unpack), table.words, self._hides, actions, mode, self._found, self._refused)
        self._report = self._buffers[second]

    def _run(self, kernel: Any, *arguments: Any) -> None:
        kernel[-(-self.num_envs // THREADS), THREADS, self._queue](*arguments)

    @property
    def _queue(self) -> Any:
        return cuda.external_stream(self.stream) if self.stream else 0

    # -------------------------------------------------------------------------------------------- results

    def _nobody(self) -> Any:
        return self._never

    def _infos(self, report: Report) -> DeviceInfos:
        return DeviceInfos(report)

    def _states(self) -> Any:
        table = self._tables[self._report is self._buffers[1]]
        self._run(write_states(table.unpack), table.words, self._runs, self._rows)
        return self._rows

    def _final_states(self) -> Any:
        report = self._report
        self._run(write_final_states, report.final_states, report.final_observations, self._runs, self._final_rows)
        return self._final_rows

    # -------------------------------------------------------------------------------------------- where the arrays are

    @property
    def nbytes(self) -> int:
        """Bytes of the copies on the device: state, two reports and what a tick works in; all but the world."""
        arrays = (self._state, *self._buffers, self._scratch)
        return sum(int(array.size) * array.dtype.itemsize for part in arrays for array in part)

    def _on_host(self, array: Any) -> np.ndarray:
        if self.stream:  # for which a copy on the default stream does not wait
            self._queue.synchronize()
        there: np.ndarray = array.copy_to_host()
        if self._refused[0] >= 0:
            self._reject_refused()
        return there

    def _put(self, array: Any, part: Any, values: np.ndarray) -> None:
        if array.size:
            there = self._on_host(array)
            there[part] = values
            array.copy_to_device(there)

    def _replace_state(self, arrays: dict[str, np.ndarray]) -> None:
        larger = {name: cuda.to_device(np.asfortranarray(array)) for name, array in arrays.items()}
        state = self._state._replace(**larger)
        self._state, self._tables = state, self._array_tables(state)

    def _free_memory(self) -> tuple[int | None, str]:
        return cuda.current_context().get_memory_info().free, "on the GPU"

    def _sent(self, array: np.ndarray) -> Any:
        return cuda.to_device(array)

    def _column(self, records: Any, name: str) -> Any:
        return column(records, name)

    def __getattr__(self, name: str) -> NoReturn:
        if hasattr(VectorEnv, name):
            there = "a batch on the CPU has it: vector_env(task, num_envs).restore(envs.save())"
            raise AttributeError(f"{name} is not there on a GPU; {there}")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def innermost(arrays: Any) -> Any:
    """The same named tuple of arrays [B, ...], in whose memory the copies of each number lie side by side.

    Neighbouring threads, which play neighbouring copies, then read neighbouring memory.
    """
    return type(arrays)(*map(np.asfortranarray, arrays))


def _on_device(arrays: World | State | Report | Scratch) -> Any:
    """The same named tuple with its arrays on the device."""
    return type(arrays)(*map(cuda.to_device, arrays))
