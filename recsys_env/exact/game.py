"""A finite Markov game as tables: M = {S, A, P(s', r | s, a)}, for any number of agents."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..checks import shown

Policies = Sequence[np.ndarray] | np.ndarray  # one for each agent

if TYPE_CHECKING:
    from ..vector import VectorEnv
    from .states import StateReader


_ONLY_TABLES = "this game was not made from a task, so no engine plays it"


@dataclass(frozen=True, eq=False)
class MarkovGame:
    """A finite Markov game (Shapley 1953); with one agent a Markov decision process.

    All agents have the same actions. A joint action is one number: `joint_actions[a]` are the actions of its agents,
    of which the last one's changes fastest.
    """

    states: tuple[str, ...]  # S readable names
    agents: tuple[str, ...]  # N
    actions: tuple[str, ...]  # A, of each agent
    transitions: np.ndarray  # P[S, A^N, S]: probability of the next state
    rewards: np.ndarray  # R[N, S, A^N]: expected reward of each agent, after sharing
    own: np.ndarray  # [N, S, A^N]: the same before sharing; the score of a team is its sum
    initial: np.ndarray  # [S]: probability that an episode starts there
    discount: float = 0.997  # recommended, per tick
    horizon: int = 1000  # ticks of an episode
    mirror: np.ndarray | None = None  # [S]: each state with two agents exchanged; None if they are not alike
    reader: StateReader | None = None  # which state a copy of the engine is in; None for a game that is only tables
    choices: np.ndarray | None = None  # [A, K]: each action as the engine takes it

    def __post_init__(self) -> None:
        s, n, joint = len(self.states), len(self.agents), len(self.actions) ** len(self.agents)
        for name, shape in {"transitions": (s, joint, s), "rewards": (n, s, joint), "own": (n, s, joint)}.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"MarkovGame: {name} have shape {getattr(self, name).shape}, expected {shape}")
        wrong = (np.abs(self.transitions.sum(-1) - 1) > 1e-9) | (self.transitions < 0).any(-1)
        if wrong.any():
            s, a = (int(i) for i in np.argwhere(wrong)[0])
            raise ValueError(
                f"MarkovGame: transitions[{s}, {a}] = {shown(self.transitions[s, a].tolist())} must be probabilities "
                "that sum to 1"
            )

    @property
    def joint_actions(self) -> np.ndarray:
        """Actions [A^N, N] of every joint action."""
        return np.array(list(itertools.product(range(len(self.actions)), repeat=len(self.agents))))

    def states_of(self, envs: VectorEnv) -> np.ndarray:
        """The number [B] of the state that every copy of a batch of this task is in.

        Raises:
            ValueError: the game is only tables, or a copy is in none of its states.
        """
        if self.reader is None:
            raise ValueError(_ONLY_TABLES)
        return self.reader.states(envs.arrays)

    def engine_actions(self, actions: np.ndarray) -> np.ndarray:
        """Actions [...] of the table as the engine takes them: [...] for one slot, [..., K] for slates.

        Raises:
            ValueError: the game is only tables.
        """
        if self.choices is None:
            raise ValueError(_ONLY_TABLES)
        chosen = self.choices[actions]
        return chosen[..., 0] if self.choices.shape[1] == 1 else chosen

    def table_actions(self, actions: np.ndarray) -> np.ndarray:
        """The inverse of `engine_actions`, with the same error."""
        if self.choices is None:
            raise ValueError(_ONLY_TABLES)
        columns = actions[..., None] if self.choices.shape[1] == 1 else actions
        return np.ravel_multi_index(tuple(np.moveaxis(columns, -1, 0)), tuple(self.choices.max(0) + 1))

    def label(self, policy: np.ndarray) -> str:
        """A pure policy [S] in one word, the action of each state in turn, as in YXX."""
        words = [self.actions[action] for action in policy]
        return ("" if max(map(len, self.actions)) == 1 else " ").join(words)

    def policy(self, label: str) -> np.ndarray:
        """The pure policy [S] of a label.

        Raises:
            ValueError: it does not name one of the actions for each state.
        """
        words = list(label) if max(map(len, self.actions)) == 1 else label.split()
        if len(words) != len(self.states) or not set(words) <= set(self.actions):
            raise ValueError(
                f"policy {label!r} must name one of the actions {', '.join(self.actions)} "
                f"for each of the {len(self.states)} states"
            )
        return np.array([self.actions.index(word) for word in words])

    def seen_by(self, agent: int, policy: np.ndarray) -> np.ndarray:
        """A policy [S] or [S, A] of an agent with the states in the order in which it sees them: its own ones first.

        The same for agent 0, and where the agents are not alike.
        """
        return policy if self.mirror is None or agent == 0 else policy[self.mirror]

    def is_symmetric(self, policies: Policies) -> bool:
        """Whether two agents that are alike do the same in the same situation."""
        return self.mirror is not None and bool((policies[0] == self.seen_by(1, policies[1])).all())


def textbook_example() -> MarkovGame:
    """The example that the project began with: one agent, three states, actions X and Y, a reward for the next state.

    R(s, a) = sum over s' of P(s' | s, a) r(s'), r = (0, 1, 10). At once Y brings most in s0 and X in s2; in the long
    run X and Y do, which lead to s1.
    """
    reward = np.array([0.0, 1.0, 10.0])
    transitions = np.array(
        [
            [[0.5, 0.5, 0.0], [0.8, 0.0, 0.2]],
            [[0.0, 0.5, 0.5], [0.5, 0.5, 0.0]],
            [[0.5, 0.0, 0.5], [0.0, 1.0, 0.0]],
        ]
    )
    expected = (transitions @ reward)[None]
    return MarkovGame(
        states=("s0", "s1", "s2"),
        agents=("recommender_0",),
        actions=("X", "Y"),
        transitions=transitions,
        rewards=expected,
        own=expected,
        initial=np.array([1.0, 0.0, 0.0]),
        discount=0.9,
        horizon=100,
    )
