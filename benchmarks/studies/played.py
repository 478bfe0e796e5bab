"""What mixes of policies earn on the same held-out episodes, and paired ratios of it. Each mix is played once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from recsys_env import WorldConfig
from recsys_env.evaluation import UNSEEN
from recsys_env.evaluation.episodes import begin_episodes
from recsys_env.evaluation.statistics import interval
from recsys_env.evaluation.tuning import Found
from recsys_env.policies import Planner, Policy

HELD_OUT = UNSEEN + 40_000  # seed of everything that is reported
CHOSEN_ON = 40_000  # seed on which the best of several is chosen: a training seed


class PricedPlanner(NamedTuple):
    """A planner that pays another price for what its visitors do later, that is, invests more or less in them."""

    price: float

    def policy(self, config: WorldConfig, n: int) -> Policy:
        """The policy of agent n."""
        return Planner(self.price)


@dataclass
class Played:
    """What mixes of policies earn in one task. Each mix is played once.

    Args:
        config: the task.
        episodes: E, the number of whole episodes, which are played at once.
        seed: the seed of the episodes.
        made: searched rankers and planners with other prices, by the names under which they play.
    """

    config: WorldConfig
    episodes: int
    seed: int
    made: Mapping[str, Found | PricedPlanner] = field(default_factory=dict)
    _own: dict[tuple[str, ...], np.ndarray] = field(default_factory=dict)
    _counts: dict[tuple[str, ...], dict[str, np.ndarray]] = field(default_factory=dict)

    @cached_property
    def selection(self) -> Played:
        """The same on other episodes, a quarter as many, on which the best of several policies is chosen."""
        return replace(self, episodes=max(2, self.episodes // 4), seed=CHOSEN_ON, _own={}, _counts={})

    def own(self, first: str, background: str | None = None) -> np.ndarray:
        """Own returns [E, N] when the first agent plays one policy and all others another (by default the same)."""
        return self._played(first, background)[0]

    def counts(self, policy: str) -> dict[str, np.ndarray]:
        """What happened [E] in these episodes when all agents play one policy; see `play`."""
        return self._played(policy, None)[1]

    def mean(self, policy: str) -> np.ndarray:
        """Own return [E] per agent when all play one policy."""
        return np.asarray(self.own(policy).mean(axis=1))

    def payoff(self, first: str, background: str) -> np.ndarray:
        """Own return [E] of the first agent, or the team's mean if rewards are shared."""
        own = self.own(first, background)
        return np.asarray(own.mean(axis=1) if self.config.reward.sharing == 1 else own[:, 0])

    def _played(self, first: str, background: str | None) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        team = (first, *[background or first] * (self.config.num_agents - 1))
        if team not in self._own:
            members = [
                self.made[name].policy(self.config, n) if name in self.made else name for n, name in enumerate(team)
            ]
            self._own[team], self._counts[team] = play(self.config, members, self.episodes, self.seed)
        return self._own[team], self._counts[team]


def play(
    config: WorldConfig, team: Sequence[str | Policy], episodes: int, seed: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Play whole episodes. Returns own returns [E, N] and counts [E] of what happened: agents active, pages, sessions,
    clicks, impressions, holes, carts, purchases at once and later."""
    envs, members, observations = begin_episodes(config, team, episodes, seed)
    names = ("active", "pages", "sessions", "clicks", "impressions", "holes", "carts", "bought", "later")
    own, actions = np.zeros((episodes, config.num_agents)), envs.empty_actions()
    counts = {name: np.zeros(episodes) for name in names}
    for _ in range(config.horizon):
        page = envs.next_page
        counts["sessions"] += (page["visitor"] >= 0) & (page["session_page"] == 0)
        members.act(observations, actions)
        observations, _, _, truncated, infos = envs.step(actions)
        members.observe(infos, truncated)
        own += infos["individual_reward"]
        happened = {
            "active": infos["visitor"] >= 0,
            "pages": infos["visitor"].max(axis=1) >= 0,
            "clicks": infos["clicked"],
            "impressions": infos["shown"] >= 0,
            "holes": infos["empty"],
            "carts": infos["cart"],
            "bought": infos["bought"],
            "later": infos["later_item"] >= 0,
        }
        for name, what in happened.items():
            counts[name] += what.reshape(episodes, -1).sum(axis=1)
    return own, counts


def gain(played: Played, one: str, other: str) -> dict[str, Any]:
    """Share by which one policy earns more than another, each played by all agents."""
    return ratio(played.mean(one) - played.mean(other), played.mean(other))


def ratio(numerator: np.ndarray, denominator: np.ndarray, among: int = 1) -> dict[str, Any]:
    """Ratio of paired means with its delta-method interval; a mean of None if the denominator is not positive.

    Args:
        among: the number of intervals that are to hold together.
    """
    base = float(denominator.mean())
    if base <= 0:
        return {"mean": None, "ci95": None}
    value = float(numerator.mean()) / base
    return {"mean": value, "ci95": interval((numerator - value * denominator) / base, among)["ci95"]}
