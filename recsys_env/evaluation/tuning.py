"""Searches on training seeds for the numbers of a task's `planner`, and for the weights of linear rankers.

The best fixed ranker of a task is its policy `static`. Episodes of a search have seeds below
`recsys_env.evaluation.UNSEEN`, as in all training.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import cli
from ..batch.base import CpuBatch, copy_seed
from ..batch.vector import VectorEnv
from ..checks import as_numbers, check_count, check_finite, check_flag, is_number, is_sequence, shown, unknown
from ..config import WorldConfig
from ..config.catalogue import Catalogue
from ..config.fields import AUCTION_FIELDS, LEVELS
from ..config.tasks import task_config
from ..policies import Planner, Policy, Team
from ..policies.linear import LATENT, LinearRanker, save_ranker, state_columns, weight_names
from . import UNSEEN, episode_returns, mean_interval
from .episodes import episode_rewards

# Fields that move the weights of a ranker, where agents see them: how satisfied the visitor is with the agent, where it
# is in its visits, and what it was last asked for. In finite games agents are told what is latent.
STATES = (
    "observed_satisfaction",
    "satisfaction_pages",
    "session_page",
    "visit_gap",
    "price_levels",
    "latent_satisfaction",
    "latent_trust",
)
PRICES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
TARGETS = (-0.2, 0.2, 0.6, 1.0)
_ELITE = 4  # the best quarter of the candidates is the elite
# A search has so many seeds: one for the episodes of each generation, one for the last comparison, one for the start.
_SEEDS = 10_000
_GENERATIONS, _SEARCHES = _SEEDS - 2, 10  # the most of a budget
_NEAR = 0.3  # standard deviation at first of a search that begins with good weights
_STEPS = ((2**0.5, 0.0), (0.5**0.5, 0.0), (1.0, 0.1), (1.0, -0.1))  # to the neighbours: factor on the price, to target


def states_of(config: WorldConfig) -> tuple[str, ...]:
    """Return `STATES`, and in an auction what the slot is worth, and how much time and money is left."""
    return (*STATES, *(AUCTION_FIELDS if config.auctioned else ()))


# ------------------------------------------------------------------------------------------------ planner


def tune_planner(
    task: str | WorldConfig,
    *,
    prices: Sequence[float] = PRICES,
    targets: Sequence[float] = TARGETS,
    episodes: int = 50,
    seed: int = 0,
    catalogue: Catalogue | str | Path | None = None,
    **overrides: Any,
) -> dict[tuple[float, float], tuple[float, float]]:
    """Measure what a team of planners earns at pairs of price and target, and search for the best pair.

    The search begins on a grid and continues at the neighbours of the best pair, until no neighbour is better. All
    pairs play the same episodes. The best pair is `max(found, key=lambda point: found[point][0])`; it belongs into the
    fields `planner_price` and `planner_target`. If it is not better than (0, 0), which is `greedy`, by more than its
    interval, this kind of planning does not pay.

    Args:
        task: name of a task, or a config; keywords override its fields.
        prices, targets: lambda and theta of the grid, each in the range of its field.
        episodes: E, for each pair.
        seed: seed of the episodes.
        catalogue: as in `vector_env`.

    Returns:
        (price, target) -> mean individual reward per agent and episode, and the half-width of its 95 % interval.

    Raises:
        ValueError, TypeError: there is no price or target, or one is out of range; or as in `episode_returns`.
    """
    config = task_config(task, overrides, catalogue)
    (lowest, highest), (low, high) = _range("planner_price", prices), _range("planner_target", targets)
    envs = VectorEnv(config, 1, catalogue=catalogue)
    found: dict[tuple[float, float], tuple[float, float]] = {}

    @cache
    def played(price: float, target: float) -> tuple[float, float]:
        team = {name: Planner(price, target) for name in config.agents}
        return mean_interval(episode_returns(envs, team, episodes, seed).mean(axis=1))

    def earned(point: tuple[float, float]) -> float:
        price, target = point
        found[point] = played(price, 0.0 if config.offer.kind == "price" else target)  # trust is priced whatever z is
        return found[point][0]

    best = max([(0.0, 0.0), *((float(price), float(target)) for price in prices for target in targets)], key=earned)
    while True:
        price, target = best
        if price == 0:
            return found
        moves = [(round(price * factor, 4), round(target + shift, 4)) for factor, shift in _STEPS]
        around = [(p, t) for p, t in moves if lowest <= p <= highest and low <= t <= high]
        better = max(around, key=earned)
        if earned(better) <= earned(best):
            return found
        best = better


def _range(field: str, values: Sequence[float]) -> tuple[float, float]:
    """Return the range of a config field, after checking that these values are in it.

    Raises:
        ValueError: a value is out of range, or there are none.
        TypeError: they are not a sequence of numbers.
    """
    meta = WorldConfig.__dataclass_fields__[field].metadata
    low, high = meta["low"], meta["high"]
    name = field.removeprefix("planner_") + "s"
    if not is_sequence(values):
        raise TypeError(f"{name} = {shown(values)} must be numbers, one or more")
    if not len(values) or not all(is_number(value) and low <= value <= high for value in values):
        raise ValueError(f"{name} = {shown(values)} must be finite numbers in [{low:g}, {high:g}], one or more")
    return low, high


# ------------------------------------------------------------------------------------------------ rankers


@dataclass(frozen=True)
class Budget:
    """Budget of a search for rankers. Its generations play `searches * generations * population * episodes` episodes.

    Trying every single weight as a start, and comparing the searches at the end, come on top of that.

    Raises:
        ValueError, TypeError: the population is below 4, another number is below 1 or not an integer, or there are more
            generations or searches than have episodes of their own.
    """

    population: int = 32
    episodes: int = 16
    generations: int = 24
    searches: int = 2

    def __post_init__(self) -> None:
        check_count("population", self.population, _ELITE, 10**6)
        check_count("episodes", self.episodes, 1, 10**6)
        check_count("generations", self.generations, 1, _GENERATIONS)
        check_count("searches", self.searches, 1, _SEARCHES)


def cross_entropy(
    score: Callable[[np.ndarray, int], np.ndarray],
    start: np.ndarray,
    rng: np.random.Generator,
    population: int,
    generations: int,
    spread: float = 1.0,
) -> np.ndarray:
    """Maximise a score by the cross-entropy method (Rubinstein & Kroese 2004); return the final mean [D].

    Each generation draws candidates from a diagonal Gaussian, including its mean, and fits the Gaussian to the best
    quarter. Decreasing noise prevents an early collapse (Szita & Lorincz 2006).

    Args:
        score: function of the candidates [population, D] of a generation -> [population], higher is better. Noise that
            all candidates of a generation share does no harm.
        start: [D] initial mean.
        population, generations: number of candidates in a generation, at least 4, and of generations.
        spread: initial standard deviation; the noise is proportional to it.

    Raises:
        ValueError, TypeError: there are fewer candidates, or another argument is of a wrong kind.
    """
    if not callable(score):
        raise TypeError(f"score = {shown(score)} must be a function of candidates and the number of a generation")
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng = {shown(rng)} must be a numpy.random.Generator")
    check_count("population", population, _ELITE, 10**6)
    check_count("generations", generations, 0, 10**6)
    check_finite("spread", spread)
    start = as_numbers("start", start)
    if start.ndim != 1:
        raise ValueError(f"start = {shown(start)} of shape {list(start.shape)} must be numbers [D]")
    mean, deviation = start.astype(float), np.full(len(start), spread)
    for generation in range(generations):
        candidates = mean + deviation * rng.standard_normal((population, len(mean)))
        candidates[0] = mean
        elite = candidates[np.argsort(-score(candidates, generation))[: population // _ELITE]]
        mean = elite.mean(axis=0)
        deviation = elite.std(axis=0) + 0.3 * spread * max(1 - 1.5 * generation / generations, 0)
    return mean


class Found(NamedTuple):
    """Result of searches for rankers.

    Attributes:
        weights: of the best search, for each role [R, 1 + X, W] as in `LinearRanker`; scaled so that the largest
            feature weight of a role is 1 in size.
        states: fields of the observation that change the weights.
        names: names of the W weights: the features, those of an oracle, and where agents set prices or bid,
            `price_level` or `bid_level`.
        scores: mean and half-width of the 95 % interval of each search, best first: individual reward of the learners
            per agent and episode. All searches are measured on the same fresh episodes.
    """

    weights: np.ndarray
    states: tuple[str, ...]
    names: tuple[str, ...]
    scores: tuple[tuple[float, float], ...]

    def policy(self, config: WorldConfig, n: int) -> LinearRanker:
        """Return the policy of agent n."""
        return LinearRanker(self.weights[config.role_index(n)], self.states, set(LATENT) <= set(self.names))

    def save(self, config: WorldConfig, folder: Path) -> None:
        """Save the rankers as a folder that can be used as a policy by its path; see `save_ranker`."""
        of_role = {role.name: weights for role, weights in zip(config.roles, self.weights, strict=True)}
        save_ranker(folder, self.names, of_role, self.states)


def best_ranker(  # noqa: PLR0913  # what searches differ in
    task: str | WorldConfig,
    *,
    background: Mapping[str, str | Policy] | None = None,
    states: tuple[str, ...] = (),
    without: Collection[str] = (),
    start: np.ndarray | None = None,
    budget: Budget = Budget(),
    shared: bool = False,
    latent: bool = False,
    seed: int = 0,
) -> Found:
    """Search by cross-entropy for the best linear rankers of some agents, while the policies of the others are fixed.

    All learners of a role have the same weights, and all candidates of a generation play the same episodes.

    Args:
        task: name of a task, or a config.
        background: a policy for each agent whose ranker is not searched for.
        states: fields of the observation that change the weights; none: fixed weights. Fields that the world lacks are
            left out.
        without: features whose weights stay 0.
        start: [R, 1 or 1 + X, W] weights near which searches begin, such as those of a `Found`, either fixed or with
            the same states; None: each search begins at the best single weight.
        budget: budget of the search.
        shared: maximise the rewards after sharing instead of individual rewards.
        latent: search for oracles, who also rank by what agents do not observe (`policies.linear.LATENT`), with weights
            that move with the visitor's true satisfaction.
        seed: seed of the searches and their episodes.

    Returns:
        the best of the searches on fresh episodes. If their scores differ by more than a few percent they have not
        converged: use more generations.

    Raises:
        ValueError, TypeError: `background` names no agents, or all of them; a task, policy, field or feature is
            unknown; or another argument is of a wrong kind or shape.
    """
    config = task_config(task, {})
    if not isinstance(budget, Budget):
        raise TypeError(f"budget = {shown(budget)} must be a Budget")
    for name, value in {"shared": shared, "latent": latent}.items():
        check_flag(name, value)
    check_count("seed", seed, 0, 10**12)
    arena = Arena(config, {} if background is None else background, states, without, latent)
    if start is not None:
        start, (roles, rows, size) = as_numbers("start", start), arena.size
        if start.shape not in ((roles, 1, size), (roles, rows, size)):
            raise ValueError(
                f"start = {shown(start)} of shape {list(start.shape)} must be weights [{roles}, 1 or {rows}, {size}]"
            )
    found = []

    def earned(candidates: np.ndarray, episodes: int, seed: int) -> np.ndarray:
        individual, paid = arena.play(candidates, episodes, seed % UNSEEN)
        return paid if shared else individual

    for search in range(budget.searches):
        rng = np.random.default_rng([seed, search])
        first = _SEARCHES * _SEEDS * seed + _SEEDS * search  # of the seeds of this search's episodes

        def score(candidates: np.ndarray, generation: int, first: int = first) -> np.ndarray:
            return earned(candidates, budget.episodes, first + generation).mean(axis=1)

        begin = np.zeros(arena.size)
        given = start
        if given is None:
            single = arena.single_weights()
            given = single[np.argmax(earned(single, budget.episodes, first + _SEEDS - 1).mean(axis=1)), :, :1]
        begin[:, : given.shape[1]] = given
        spread = 1.0 if start is None else _NEAR
        found.append(cross_entropy(score, begin.ravel(), rng, budget.population, budget.generations, spread))
    fresh = earned(np.stack(found), budget.population * budget.episodes // 2, _SEARCHES * _SEEDS * seed + _SEEDS - 2)
    order = np.argsort(-fresh.mean(axis=1))
    weights = canonical(found[order[0]].reshape(arena.size) * arena.counts, arena.names)
    return Found(weights, arena.states, arena.names, tuple(mean_interval(fresh[i]) for i in order))


def canonical(weights: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Return the equivalent weights [R, 1 + X, W] in which the largest feature weight of a role is 1 in size.

    A fixed level of prices or bids is clipped to [-1, 1].
    """
    features = np.array([name not in LEVELS.values() for name in names])
    largest = abs(weights[..., features]).max(axis=(1, 2), keepdims=True)
    weights = np.where(features, weights / np.maximum(largest, 1e-12), weights)
    return weights if weights.shape[1] > 1 else np.where(features, weights, weights.clip(-1.0, 1.0))


class Arena:
    """Plays many rankers on the same episodes, side by side as copies of one batch.

    Args:
        config: config of the game.
        background: a policy for each agent whose ranker is not given.
        states: fields of the observation that change the weights; fields that the world lacks are left out.
        without: features whose weights are 0.
        latent: whether the rankers are oracles.
        make: creates a batch of a number of copies; None: a `VectorEnv`.

    Attributes:
        size: shape of a candidate: [R, 1 + X, W], roles, numbers of the states, weights.
        names: names of the W weights.

    Raises:
        ValueError: `background` are not agents or are all of them, or a field or feature is unknown.
        TypeError: `config` is not a config, or background, states or features are of a wrong kind.
    """

    def __init__(
        self,
        config: WorldConfig,
        background: Mapping[str, str | Policy],
        states: tuple[str, ...],
        without: Collection[str] = (),
        latent: bool = False,
        make: Callable[[WorldConfig, int], CpuBatch] | None = None,
    ) -> None:
        probe = VectorEnv(config, 1)
        if not isinstance(background, Mapping):
            raise TypeError(f"background = {shown(background)} must be policies by the names of their agents")
        if not (is_sequence(without) or isinstance(without, Set)) or not all(isinstance(name, str) for name in without):
            raise TypeError(f"without = {shown(without)} must be names of features")
        self.config, self._make = config, make or partial(VectorEnv, copy=False)
        self.learners = [agent for agent in config.agents if agent not in background]
        if not self.learners or not set(background) <= set(config.agents):
            raise ValueError(f"background = {shown(list(background))} must be some of {config.agents}, and not all")
        self.background, self.states, self.latent = background, states, latent
        self.names = weight_names(config, probe.shape, latent)
        for name in without:
            if name not in self.names:
                raise ValueError(unknown("feature", name, self.names))
        self.counts = np.array([name not in without for name in self.names], float)
        self.size = len(config.roles), 1 + len(state_columns(probe, states)) + latent, len(self.names)
        self._batches: dict[int, CpuBatch] = {}

    def play(self, candidates: np.ndarray, episodes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Play candidates [P, ...] on E episodes of this seed, and return the mean rewards of the learners.

        Returns individual rewards [P, E], and rewards after sharing [P, E].
        """
        count = len(candidates)
        if (batch := count * episodes) not in self._batches:
            self._batches[batch] = self._make(self.config, batch)
        envs = self._batches[batch]
        weights = np.repeat(candidates.reshape(count, *self.size) * self.counts, episodes, axis=0)
        numbers = [self.config.agents.index(agent) for agent in self.learners]
        rankers = {
            agent: LinearRanker(weights[:, self.config.role_index(n)], self.states, self.latent)
            for agent, n in zip(self.learners, numbers, strict=True)
        }
        team = Team(envs, {**self.background, **rankers}, seed)
        observations, _ = envs.reset(seed=[copy_seed(seed, e) for e in range(episodes)] * count)
        earned = episode_rewards(envs, team, observations)
        individual, paid = (of[:, numbers].mean(axis=1).reshape(count, episodes) for of in earned)
        return individual, paid

    def single_weights(self) -> np.ndarray:
        """Return [2 W, R, 1 + X, W] fixed weights with a single nonzero weight, 1 or -1, the same in all roles."""
        single = np.zeros((2 * len(self.names), *self.size))
        for f in range(len(self.names)):
            single[2 * f, :, 0, f], single[2 * f + 1, :, 0, f] = 1, -1
        return single


# ------------------------------------------------------------------------------------------------ the command


class Tuned(NamedTuple):
    """Result of `tune`: the best price and target of `planner`, its team's reward, and the searches for `static`."""

    planner: tuple[float, float]
    earned: tuple[float, float]
    static: Found
    roles: tuple[str, ...]


def tune(
    task: str = "ecommerce-v1", episodes: int = 50, generations: int = 24, searches: int = 2, seed: int = 0
) -> Tuned:
    """Search for the numbers that the policies `planner` and `static` use in a task, on training seeds.

    Args:
        task: name of a task, optionally with changed fields: social-v1,num_agents=4.
        episodes: episodes for each price and target of `planner`.
        generations: generations of each search for `static`, of 32 candidates on 16 episodes.
        searches: number of searches for `static`; their results should agree.
        seed: seed of the searches.
    """
    cli.require("evaluate", "scipy")
    cli.at_least(2, episodes=episodes)
    cli.at_least(1, generations=generations, searches=searches)
    cli.known_tasks((task,))
    config = cli.config_of(task)
    found = tune_planner(config, episodes=episodes, seed=seed)
    best = max(found, key=lambda point: found[point][0])
    static = best_ranker(config, budget=Budget(generations=generations, searches=searches), seed=seed)
    return Tuned(best, found[best], static, tuple(role.name for role in config.roles))


def show(found: Tuned) -> None:
    """Print the fields as they are written in a config, and the rewards of teams in the search."""
    (price, target), (mean, width) = found.planner, found.earned
    print(f"planner_price={price:g}, planner_target={target:g},  # {mean:.2f} ±{width:.2f} per agent and episode")
    scores = " and ".join(f"{mean:.2f} ±{width:.2f}" for mean, width in found.static.scores)
    for role, weights in zip(found.roles, found.static.weights[:, 0], strict=True):
        named = {name: round(float(w), 3) for name, w in zip(found.static.names, weights, strict=True)}
        print(f"static_weights={named},  # {role}; searches earned {scores}")
