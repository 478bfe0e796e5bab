"""A wrapper of stable-baselines3's vectorised environment that appends to observations what a policy looks up."""

from __future__ import annotations

from typing import Any

import numpy as np

from recsys_env import VectorEnv
from recsys_env.adapters.sb3 import SB3VecEnv

# isort: split
# After ours, whose error says what to install if these are missing.
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnvWrapper


class RowWrapper(VecEnvWrapper):
    """Wraps rows; their observations [R, O] are followed by what a subclass appends, [R, O + X].

    At the end of an episode the batch no longer says what the last observation was about: it is followed by zeros.

    Args:
        rows: the environment.
        low, high: [X] bounds of what is appended.
    """

    def __init__(self, rows: SB3VecEnv, low: np.ndarray, high: np.ndarray) -> None:
        self.envs: VectorEnv = rows.envs
        self.by_row = rows.by_row
        self._zeros = np.zeros(len(low), np.float32)
        flat: Any = rows.observation_space
        lowest, highest = np.append(flat.low, low), np.append(flat.high, high)
        super().__init__(rows, spaces.Box(lowest.astype(np.float32), highest.astype(np.float32)))

    def _append(self, observations: np.ndarray) -> np.ndarray:
        """Observations [R, O] and what follows them, [R, O + X]."""
        raise NotImplementedError

    def _begin(self) -> None:
        """An episode begins in all copies, which end together."""

    def _go_on(self) -> None:
        """A step has been taken within an episode."""

    def reset(self) -> np.ndarray:
        observations: Any = self.venv.reset()
        self._begin()
        return self._append(observations)

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        observations, rewards, ended, infos = self.venv.step_wait()
        if ended.any():
            self._begin()
            for info in infos:
                info["terminal_observation"] = np.append(info["terminal_observation"], self._zeros)
        else:
            self._go_on()
        return self._append(observations), rewards, ended, infos  # type: ignore[arg-type]
