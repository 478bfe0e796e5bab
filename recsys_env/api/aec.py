"""One copy of a task as a PettingZoo AEC environment: the parallel one, whose agents choose one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

from pettingzoo import AECEnv
from pettingzoo.utils.env_logger import EnvLogger

from ..batch.base import Snapshot
from ..checks import check_count
from ..config import WorldConfig
from ..config.catalogue import Catalogue
from .environment import RecommendationEnv, parallel_env

# Attributes that PettingZoo requires to raise before the first reset.
_OF_AN_EPISODE = {
    *("agents", "num_agents", "agent_selection", "rewards", "terminations", "truncations", "infos"),
    *("_cumulative_rewards", "_observations"),
}


class RecommendationAEC(AECEnv[str, Any, Any]):
    """PettingZoo AEC view of a `RecommendationEnv`: agents act in turn, and the last action of a round plays the tick.

    The other methods and attributes of `RecommendationEnv` are available as well.

    Args:
        parallel: the parallel environment; step it through this one alone.

    Attributes:
        parallel: that environment.
        config, vector, observation_fields, state_fields, state_space: as in `RecommendationEnv`.
        field, expected_feedback, explain, save: its methods. The page about to be shown, and the state, are those of
            the round that is being played.
    """

    def __init__(self, parallel: RecommendationEnv) -> None:
        super().__init__()
        self.parallel = parallel
        self.metadata, self.render_mode = parallel.metadata, parallel.render_mode
        self.possible_agents = parallel.possible_agents
        self.config, self.vector, self.state_space = parallel.config, parallel.vector, parallel.state_space
        self.observation_fields, self.state_fields = parallel.observation_fields, parallel.state_fields
        self.field, self.save = parallel.field, parallel.save
        self.expected_feedback, self.explain = parallel.expected_feedback, parallel.explain
        self._actions = self.vector._actions.empty()  # of the round that is being played
        self._turn = 0  # how many agents of this round have chosen
        self._moved = False  # since agent_iter named an agent
        self._round = -1  # the batch's move that began it

    __copy__ = deepcopy  # with a parallel environment of its own

    def __getattr__(self, name: str) -> Any:
        if name in _OF_AN_EPISODE:
            raise AttributeError(f"{name} cannot be accessed before reset")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def np_random(self) -> Any:
        """A random stream for wrappers that draw; as in `RecommendationEnv`."""
        return self.parallel.np_random

    @np_random.setter
    def np_random(self, stream: Any) -> None:
        self.parallel.np_random = stream

    def observation_space(self, agent: str) -> Any:
        """As in `RecommendationEnv`."""
        return self.parallel.observation_space(agent)

    def action_space(self, agent: str) -> Any:
        """As in `RecommendationEnv`."""
        return self.parallel.action_space(agent)

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Start an episode with the first agent's turn; seed and errors as in `RecommendationEnv.reset`."""
        self._begin(*self.parallel.reset(seed=seed, options=options))

    def restore(self, snapshot: Snapshot, seed: int | None = None) -> None:
        """Continue from a snapshot, as `RecommendationEnv.restore` does, with the first agent of a round.

        The actions of an unfinished round are forgotten.
        """
        self._begin(*self.parallel.restore(snapshot, seed=seed))

    def _begin(self, observations: dict[str, Any], infos: dict[str, Any]) -> None:
        self._observations, self.infos = observations, infos
        self.agents = self.possible_agents[:]
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.agent_selection, self._turn, self._moved = self.agents[0], 0, True
        self._round = self.vector._moves
        self._skip_agent_selection = None

    def step(self, action: Any) -> None:
        """Take the action of the agent whose turn it is; after the last agent's action, play a tick.

        After the end of an episode each agent takes None, once.

        Raises:
            ValueError, TypeError: an action outside its space; nothing has changed, and it is still this agent's turn.
            AttributeError: before the first `reset`.
            RuntimeError: the parallel environment or its batch was moved by itself, so that a `reset` is needed.

        If it is interrupted (Ctrl-C) before the tick is played, it is still this agent's turn; later, call `reset`.
        """
        agents = self.agents
        if not agents:
            EnvLogger.warn_step_after_terminated_truncated()
            return
        if self.truncations[self.agent_selection]:
            self._was_dead_step(action)
            self._moved = True
            return
        if self._round != self.vector._moves:
            raise RuntimeError(
                "call reset() before step(): the parallel environment behind this one was stepped; step this one only"
            )
        self._actions[0, self._turn] = self.vector._actions.read_one(self._turn, action)
        if self._turn + 1 < len(agents):
            self._moved = True
            self._turn += 1
            if self._turn == 1:
                self.rewards = dict.fromkeys(agents, 0.0)
            self.agent_selection = agents[self._turn]
            return
        results = self.parallel._tick(self._actions)
        self._moved = True
        self._observations, self.rewards, self.terminations, self.truncations, self.infos = results
        self._cumulative_rewards = self.rewards.copy()
        self.agent_selection, self._turn = agents[0], 0
        self._round = self.vector._moves

    def observe(self, agent: str) -> Any:
        """What an agent sees of the page about to be shown.

        Raises:
            KeyError: there is no such agent.
            AttributeError: before the first `reset`.
        """
        try:
            return self._observations[agent]
        except (LookupError, TypeError):
            self.parallel._check_agent(agent)
            raise

    def agent_iter(self, max_iter: int = 2**63) -> Iterator[str]:  # type: ignore[override]
        """The agents whose turn it is, until the end or for `max_iter` turns.

        Raises:
            RuntimeError: no `step` or `reset` since the last turn.
            ValueError, TypeError: `max_iter` is no count.
        """
        check_count("max_iter", max_iter, 0, 2**63)
        agents = self.agents  # raises before the first reset
        return self._turns(max_iter) if agents else iter(())

    def _turns(self, max_iter: int) -> Iterator[str]:
        self._moved = True
        for _ in range(max_iter):
            if not self.agents:
                return
            if not self._moved:
                raise RuntimeError("call step() or reset() in a loop over agent_iter()")
            self._moved = False
            yield self.agent_selection

    def state(self) -> Any:
        """Global state [S]; as in `RecommendationEnv`."""
        return self.parallel.state()

    def render(self) -> Any:
        """The page that was shown last; as in `RecommendationEnv`."""
        return self.parallel.render()

    def close(self) -> None:
        self.parallel.close()

    def __str__(self) -> str:
        return str(self.parallel)


def env(
    task: str | WorldConfig,
    *,
    catalogue: Catalogue | str | Path | None = None,
    render_mode: str | None = None,
    observation_format: str = "flat",
    **overrides: Any,
) -> RecommendationAEC:
    """Create a task as a PettingZoo AEC environment, whose agents act in turn. Arguments are as in `parallel_env`."""
    return RecommendationAEC(
        parallel_env(
            task, catalogue=catalogue, render_mode=render_mode, observation_format=observation_format, **overrides
        )
    )
