"""From a policy that plays to its table: how often it takes each action in each state of a finite game.

The table describes a policy completely only if its actions depend on the state of the table alone. This is tested:
pairs of copies reach the same state, some by the same history and others by different ones. If copies with one history
agree more often than copies with different histories, the policy reacts to something that the table does not hold. The
same test compares a copy with itself when it comes back to a state.
"""

from __future__ import annotations

import numpy as np

from ..batch.base import copy_seed
from ..batch.vector import VectorEnv
from ..config import WorldConfig
from ..policies import Random, Team
from .game import MarkovGame
from .policies import TablePolicy

_PASTS = 512  # played at the same time, each by two copies that differ in nothing but the policies' own chance
_LEAST, _MOST = 200, 4000  # ticks: at least, and at most until every state has been met
_VISITS = 2  # pasts by which every state has to be met
_OTHERWISE = (0.0, 0.1, 1.0, 1.0)  # how often an agent does something else than its policy says, one for each past
_DEVIATIONS = 6.0  # standard deviations beyond which a difference between pasts is none of chance


class Refused(ValueError):
    """What a policy does is no function of the table's state, or not known in all of them."""


def played(game: MarkovGame, config: WorldConfig, name: str) -> list[np.ndarray]:
    """A team of a policy as distributions [S, A] of each agent: how often it takes each action.

    Exact for a policy that goes by the state of the table, and for `random`; counted for one that mixes. In states in
    which an agent's action changes nothing it is uniform.

    Raises:
        Refused: the policy reacts to what the table does not hold, or not all states have been met.
        ValueError: there is no such policy, or it does not play this world.
    """
    envs = VectorEnv(config, 2 * _PASTS, copy=False)
    team = Team(envs, dict.fromkeys(envs.possible_agents, name), seed=0)
    policies = list(team.policies.values())
    states, actions = len(game.states), len(game.actions)
    if all(isinstance(policy, Random) for policy in policies) and config.slots == 1 and not config.mask_actions:
        return [np.full((states, actions), 1 / actions)] * envs.num_agents
    tables = [policy.solution(config)[n] for n, policy in enumerate(policies) if isinstance(policy, TablePolicy)]
    if len(tables) == envs.num_agents:
        return [np.eye(actions)[table] for table in tables]
    trial = _Trial(game, envs, team)
    trial.play()
    return [trial.table(n, name) for n in range(envs.num_agents)]


class _Trial:
    """Plays a game many times, in which agents follow their policies, sometimes deviate, or always do."""

    def __init__(self, game: MarkovGame, envs: VectorEnv, team: Team) -> None:
        self.game, self.envs, self.team = game, envs, team
        agents, states = envs.num_agents, len(game.states)
        self.counts = np.zeros((agents, states, len(game.actions)), np.int64)  # of both copies of each past
        self.alike = np.zeros((agents, states), np.int64)  # pasts at which both did the same
        self.visits = np.zeros(states, np.int64)  # pasts
        self.last = np.full((agents, 2 * _PASTS, states), -1, np.int32)  # what a copy did when it was there before
        self.again = np.zeros((2, agents, states), np.int64)  # copies that came back to do the same, and that came back
        self.first = np.full((agents, states), -1)  # what was done at the first past,
        width = max(place.stop for place in envs.observation_fields.values())
        self.seen = np.zeros((2, agents, states, width), np.float32)  # what was observed there, and at one of another

    def play(self) -> None:
        """Play until every state has been met."""
        envs, game = self.envs, self.game
        rng = np.random.default_rng(0)
        otherwise = rng.choice(_OTHERWISE, (_PASTS, envs.num_agents))
        observations, _ = envs.reset(seed=[copy_seed(0, past) for past in range(_PASTS)] * 2)
        actions = envs.empty_actions()
        for tick in range(_MOST):
            self.team.act(observations, actions)
            chosen = np.stack([game.table_actions(actions[:, n]) for n in range(envs.num_agents)], axis=1)
            self._count(chosen, observations["observation"] if envs.config.mask_actions else observations)
            if tick + 1 >= _LEAST and self.visits.min() >= _VISITS:
                break
            other = rng.integers(0, len(game.actions), (_PASTS, envs.num_agents))
            done = np.where(rng.random(other.shape) < otherwise, other, chosen[:_PASTS])
            actions[:] = game.engine_actions(np.tile(done, (2, 1)))
            observations, _, _, truncated, infos = envs.step(actions)
            self.team.observe(infos, truncated)

    def _count(self, chosen: np.ndarray, observations: np.ndarray) -> None:
        """Take down what all copies [2 P, N] do, where they are and what they observe."""
        everywhere = self.game.states_of(self.envs)
        states = everywhere[:_PASTS]  # the same as of the other halves of the pairs
        np.add.at(self.visits, states, 1)
        for n in range(self.envs.num_agents):
            one, two = chosen[:_PASTS, n], chosen[_PASTS:, n]
            np.add.at(self.counts[n], (everywhere, chosen[:, n]), 1)
            np.add.at(self.alike[n], states, one == two)
            last = self.last[n, np.arange(len(chosen)), everywhere]
            np.add.at(self.again[0, n], everywhere, last == chosen[:, n])
            np.add.at(self.again[1, n], everywhere, last >= 0)
            self.last[n, np.arange(len(chosen)), everywhere] = np.where(last >= 0, -1, chosen[:, n])
            found, where = np.unique(states, return_index=True)
            new = self.first[n, found] < 0
            self.first[n, found[new]] = one[where[new]]
            self.seen[:, n, found[new]] = observations[where[new], n]
            another = np.flatnonzero(one != self.first[n, states])
            self.seen[1, n, states[another]] = observations[another, n]

    def table(self, n: int, name: str) -> np.ndarray:
        """How often agent n takes each action [S, A], if that follows from the state; of a policy that does not react
        to past prices counted over all states that differ in these alone.

        Raises:
            Refused: it does not, or nobody knows.
        """
        asked, visits = self._matters(n), self.visits
        if (missing := asked & (visits < _VISITS)).any():
            unmet = self.game.states[int(np.flatnonzero(missing)[0])]
            raise Refused(
                f"what {name!r} does in {missing.sum()} of the {len(visits)} states of the table, such as {unmet!r}, "
                f"is not known: {_MOST} ticks of play do not meet them"
            )
        each = np.arange(len(visits))
        for groups in (each if self.game.classes is None else self.game.classes, each):
            counts, alike, pasts, same, returns = (
                _summed(what, groups, asked) for what in (self.counts[n], self.alike[n], visits, *self.again[:, n])
            )
            by_chance = bool((alike < pasts).any())
            if not (_beyond(counts, alike, pasts, by_chance) or (by_chance and _beyond(counts, same, returns, True))):
                often = (counts / np.maximum(counts.sum(1, keepdims=True), 1))[groups]
                return np.where(asked[:, None], often, 1 / counts.shape[1])
        surplus = _surplus(counts, alike, pasts) + _surplus(counts, same, returns)
        raise Refused(self._reaction(n, int(surplus.argmax()), name))

    def _matters(self, n: int) -> np.ndarray:
        """Whether anything depends on what agent n does in each state [S]."""
        game, actions = self.game, len(self.game.actions)
        shape = (len(game.states), actions**n, actions, actions ** (len(game.agents) - n - 1))
        matters = np.zeros(shape[0], np.bool_)
        for table in (game.transitions, *(rewards[..., None] for rewards in (*game.rewards, *game.individual_rewards))):
            by_action = table.reshape(*shape, -1)
            matters |= (np.abs(by_action - by_action[:, :, :1]) > 1e-12).any((1, 2, 3, 4))
        return matters

    def _reaction(self, n: int, state: int, name: str) -> str:
        """What a policy reacts to that is not in the table."""
        envs, (one, two) = self.envs, self.seen[:, n, state]
        differ = [field for field, place in envs.observation_fields.items() if (one[place] != two[place]).any()]
        what = f"its observations differ in {', '.join(differ)}" if differ else "its observations are the same"
        actions = [self.game.actions[a] for a in np.flatnonzero(self.counts[n, state])]
        return (
            f"{name!r} as {envs.possible_agents[n]} reacts to a past that the table does not hold: in the state "
            f"{self.game.states[state]!r} it plays {', '.join(actions)}, by the way that led there ({what}); "
            "`python -m recsys_env exploit` gives a lower bound of what an agent gains against it"
        )


def _summed(what: np.ndarray, groups: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Sums [G, ...] over the states [S, ...] of each group that are asked about."""
    sums = np.zeros((groups.max() + 1, *what.shape[1:]), what.dtype)
    np.add.at(sums, groups[asked], what[asked])
    return sums


def _surplus(counts: np.ndarray, alike: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """How many pairs [G] did the same beyond what two of all that came to a state do.

    Args:
        counts: [G, A] of everything that was done there.
        alike: [G] pairs that did the same.
        pairs: [G]
    """
    total = np.maximum(counts.sum(1), 2)
    return np.asarray(alike - pairs * ((counts * (counts - 1)).sum(1) / (total * (total - 1))))


def _beyond(counts: np.ndarray, alike: np.ndarray, pairs: np.ndarray, by_chance: bool) -> bool:
    """Whether there is a surplus, which is none of chance if chance has a part in it."""
    surplus = _surplus(counts, alike, pairs)
    if not by_chance:
        return bool((surplus > 0).any())
    agree = (counts**2).sum(1) / np.maximum(counts.sum(1), 1) ** 2
    variance = pairs * agree * (1 - agree)
    beyond = (surplus > _DEVIATIONS * np.sqrt(variance)) & (variance > 0)
    return bool(beyond.any() or surplus.sum() > _DEVIATIONS * variance.sum() ** 0.5)
