"""PPO's policy with a memory: a causal transformer over the last pages of the present visitor, beside the flat
observation.

`HistoryRows` appends the pages to the observation, `HistoryExtractor` turns them into features of any actor-critic
policy of stable-baselines3 (`SlatePolicy`, which scores each candidate by them), `HistoryPolicy` remembers while it
serves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from recsys_env.adapters.sb3 import SB3Policy, SB3VecEnv
from recsys_env.batch import AnyBatch, CpuBatch
from recsys_env.history import History

# isort: split
# After ours, whose error says what to install if these are missing.
import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import VecEnvWrapper
from torch import nn


def with_history(observations: np.ndarray, pages: np.ndarray) -> np.ndarray:
    """Observations [R, O] followed by the visitors' last pages [R, L, F], flat."""
    return np.concatenate((observations, pages.reshape(len(pages), -1)), 1)


class HistoryRows(VecEnvWrapper):
    """Wraps rows; their observations [R, O + L·F] end with the next visitor's last L pages; see `History`.

    At the end of an episode the batch no longer says what the last observation was about: it is followed by zeros.

    Args:
        rows: the environment.
        length: L.

    Attributes:
        page_width: F.
    """

    def __init__(self, rows: SB3VecEnv, length: int) -> None:
        self.envs: CpuBatch = rows.envs
        self._by_row = rows.by_row
        self._history = History(rows.envs.game.world.q, rows.num_envs, length)
        self.page_width = self._history.width
        self._pages = length * self.page_width
        flat: Any = rows.observation_space
        ones = np.ones(self._pages, np.float32)
        super().__init__(rows, spaces.Box(np.append(flat.low, -ones), np.append(flat.high, ones)))

    def reset(self) -> np.ndarray:
        observations: Any = self.venv.reset()
        self._history.clear()
        return self._recalled(observations)

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        observations, rewards, ended, infos = self.venv.step_wait()
        if ended.any():  # in all copies, which end together
            self._history.clear()
            for info in infos:
                info["terminal_observation"] = np.append(
                    info["terminal_observation"], np.zeros(self._pages, np.float32)
                )
        else:
            report = self.envs.infos
            self._history.observe(
                {name: self._by_row(report[name]) for name in ("visitor", "shown", "clicked", "cart", "bought")}
            )
        return self._recalled(observations), rewards, ended, infos  # type: ignore[arg-type]

    def _recalled(self, observations: Any) -> np.ndarray:
        return with_history(observations, self._history.recall(self._by_row(self.envs.next_visitor)))


class HistoryExtractor(BaseFeaturesExtractor):
    """Features [R, O + width]: the flat observation, and what a causal transformer makes of the pages and, last, of the
    observation.

    Places without a page are tokens too, whose `known` is 0.

    Args:
        length, page: L and F of the history.
        layers, width, heads: size of the transformer (pre-norm, feed-forward layers of twice the width).
        amp: bfloat16 on a GPU; ignored on a CPU.
        compiled: `torch.compile` on a GPU; ignored on a CPU.
    """

    def __init__(
        self,
        observation_space: spaces.Box,
        length: int,
        page: int,
        layers: int,
        width: int,
        heads: int,
        amp: bool = False,
        compiled: bool = False,
    ) -> None:
        flat = observation_space.shape[0] - length * page
        super().__init__(observation_space, flat + width)
        self.length, self._page, self._flat, self._amp = length, page, flat, amp
        self.page, self.present = nn.Linear(page, width), nn.Linear(flat, width)
        self.position = nn.Parameter(torch.randn(length + 1, width) * 0.02)
        layer = nn.TransformerEncoderLayer(width, heads, 2 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.transformer = nn.TransformerEncoder(layer, layers, norm=nn.LayerNorm(width), enable_nested_tensor=False)
        self.register_buffer("causal", nn.Transformer.generate_square_subsequent_mask(length + 1), persistent=False)
        if compiled and torch.cuda.is_available():
            self.compile()  # all of it: Dynamo leaves modules of torch itself alone

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        flat, pages = observations[:, : self._flat], observations[:, self._flat :].reshape(-1, self.length, self._page)
        with torch.autocast(observations.device.type, torch.bfloat16, enabled=self._amp and observations.is_cuda):
            tokens = torch.cat((self.page(pages), self.present(flat).unsqueeze(1)), 1) + self.position
            seen = self.transformer(tokens, mask=self.causal, is_causal=True)[:, -1]
        return torch.cat((flat, seen.float()), 1)


class HistoryPolicy(SB3Policy):
    """A trained policy with a `HistoryExtractor`, as a policy for one agent: it keeps the history of its own visitors.

    Args:
        model: the policy; `length` pages are remembered of each visitor.
    """

    def __init__(self, model: Any, length: int) -> None:
        super().__init__(model)
        self._length = length

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        envs = self.envs
        self._history = History(envs.world.q, envs.num_envs, self._length)

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        return super().act(
            with_history(observations, self._history.recall(self.envs.next_visitor[:, self.index])), mask
        )

    def observe(self, feedback: Mapping[str, np.ndarray]) -> None:
        self._history.observe(feedback)

    def reset(self, done: np.ndarray) -> None:
        self._history.clear()  # the copies of a batch end together
