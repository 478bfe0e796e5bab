"""The policy `observer`, which knows the world, and of people what it has observed: it shows what can be learnt of
visitors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..batch.base import AnyBatch
from ..batch.vector import VectorEnv
from ..checks import check_count
from ..config import WorldConfig
from ..kernels.planners.posterior import (
    IMAGINED,
    Population,
    Posterior,
    Work,
    choose_expected,
    imagine,
    learn,
    sample_people,
)
from ..world.arrays import STOCK, USER, State, allocate_state, zeros
from ..world.terms import CART, EXPERIENCE, UTILITY, counting_terms, undeclared
from .assortment import empty_scratch, oracle_levels
from .base import Policy, check_chooses_pages
from .slates import slate_action

PEOPLE = 2048  # size of the sample that represents the prior
PARTICLES = 64
_SAME = 1e-5  # squared distance below which two tastes are the same, but for rounding


class Observer(Policy):
    """Plans like `planner`, and knows like a recommender what it has observed of a visitor.

    It knows the world: every coefficient, the items with their quality and clickbait, what goes with what, and how
    people differ. Of the visitor it knows the noisy profile, and what the visitor did in its own slots, from which a
    particle filter infers taste, price sensitivity, satisfaction and intent (`kernels/planners/posterior.py`). What
    lies between `static` and `observer` can be learnt from observations, and what lies between `observer` and `planner`
    is hidden.

    It is not an exact optimum, so its reward is a lower bound. It assumes that rivals' slots on its pages have the same
    weight as its own, does not see what visitors do elsewhere, and does not explore. A page takes about a millisecond.
    The filter is that of Gordon, Salmond & Smith (1993).

    Args:
        particles: S, number of hypotheses about the visitor.

    Raises:
        ValueError, TypeError: `particles` is not a whole number of 1 or more.
        ValueError: when bound, a term that counts in the world depends on something that the hypotheses lack.
    """

    no_propensity = "it chooses by people that it draws, and no closed form says how likely its slate is"

    def __init__(self, particles: int = PARTICLES) -> None:
        check_count("particles", particles, 1, 10**6)
        self.particles = particles

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        check_chooses_pages(self)
        check_imaginable(self.envs.config)
        envs = self.envs
        world, shape, copies = envs.world, envs.shape, envs.num_envs
        self._base = np.uint64(self.rng.integers(2**63))
        self._population = people_of(envs, PEOPLE)
        self._scratch = empty_scratch(envs)
        hidden = envs.config.hidden(self.index)
        self._seen = "profile" not in hidden, "knows" not in hidden
        self._imagined = allocate_state(world, copies, self.particles, self.particles)
        self._spent_items = zeros((copies, shape.items), STOCK)
        self._kept = self._room(envs.arrays.vectors.shape[1])
        width, dims = int(world.params["shape"]["width"][0]), shape.dims
        size = self.particles
        self._work = Work(
            log_weights=np.zeros((copies, size)),
            intents=np.zeros((copies, size), np.int32),
            odds=np.zeros(max(size, shape.topics)),
            parents=np.zeros(size, np.int64),
            users=zeros(size, USER),
            vectors=np.zeros((size, width), np.float32),
            drawn_intents=np.zeros(size, np.int32),
            mean=np.zeros(dims),
            spread=np.zeros(dims),
        )
        self._slates = np.zeros((copies, shape.slots), np.int64)
        self._sizes, self._levels = np.zeros(copies, np.int64), np.zeros(copies, np.int64)
        self._rows = np.full(copies, -1, np.int64)
        self._settings = envs.config.planner_price, envs.config.planner_target

    def _room(self, rows: int) -> Posterior:
        envs, size = self.envs, self.particles
        copies, width = envs.num_envs, int(envs.world.params["shape"]["width"][0])
        return Posterior(
            who=np.full((copies, rows), -1, np.int64),
            sessions=np.zeros((copies, rows), np.int32),
            log_weights=np.zeros((copies, rows, size)),
            users=zeros((copies, rows, size), USER),
            vectors=np.zeros((copies, rows, size, width), np.float32),
            intents=np.zeros((copies, rows, size), np.int32),
        )

    def _make_room(self, rows: int) -> None:
        """Keep as many rows as the batch has by now."""
        have = self._kept.who.shape[1]
        if rows > have:
            larger = self._room(rows)
            for old, new in zip(self._kept, larger, strict=True):
                new[:, :have] = old
            self._kept = larger

    def _imagine(self, state: State) -> State:
        """The state of people as they may be, where items are as they are."""
        return self._imagined._replace(items=state.items, candidates=state.candidates)

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        world, state = self.envs.world, self.envs.arrays
        self._make_room(state.vectors.shape[1])
        imagined = self._imagine(state)
        imagine(world, state, imagined, self.index, self._base, self._seen, self._population, self._kept, self._work)
        self._rows[:] = state.copies["row"]
        self.hear(observations, imagined)
        levels = oracle_levels(self.envs)
        parts = self._slates, self._sizes, self._levels
        choose_expected(world, state, imagined, self.index, self._settings, levels, self._scratch, self._work, *parts)
        return slate_action(self.envs, self.index, *parts)

    def hear(self, observations: np.ndarray, imagined: State) -> None:
        """Add what other agents have said to what the agent knows of the present visitors."""

    def observe(self, feedback: Mapping[str, np.ndarray]) -> None:
        imagined = self._imagine(self.envs.arrays)
        spent = imagined._replace(items=self._spent_items)
        report = self.envs.report
        slots, multipliers = report.slots[:, self.index], report.agents["log_price_multiplier"][:, self.index]
        seen = (feedback[name] for name in ("clicked", "cart", "dwell"))
        results = feedback["visitor"], feedback["shown"], slots["rank"], *seen, multipliers
        kept = self._population, self._kept, self._rows, self._work
        learn(self.envs.world, imagined, spent, self.index, self._base, results, *kept)

    def reset(self, done: np.ndarray) -> None:
        self._kept.who[done] = -1


def check_imaginable(config: WorldConfig) -> None:
    """Check that imagined visitors have all that the utility, the experience and the odds of the cart depend on.

    Raises:
        ValueError: a term that counts in this world depends on something else.
    """
    for term in (term for which in (UTILITY, EXPERIENCE, CART) for term in counting_terms(config, which)):
        for attribute, parts in term.attributes.items():
            lacking = " and ".join(part for part in parts if part not in IMAGINED)
            if lacking or not parts:
                raise ValueError(
                    f"{term.coefficients} weighs {lacking or undeclared(attribute)}, and the visitors that observer "
                    f"imagines have only {', '.join(sorted(IMAGINED))}; set the weight to 0, or add the part to "
                    "kernels/planners/posterior.py and name it in IMAGINED there"
                )


def people_of(envs: VectorEnv, number: int) -> Population:
    """Return so many people before the first episode, as the prior of a world's visitors.

    The kernels are as wide as half of the people are away from their nearest neighbour: 0 where most have the same
    taste as another one, such as those of a catalogue.
    """
    shape = envs.shape
    population = Population(
        tastes=np.zeros((number, shape.dims), np.float32),
        rho=np.zeros(number, np.float32),
        bias=np.zeros(number, np.float32),
        width=np.zeros(1),
        log_weights=np.zeros(number),
        weights=np.zeros(number),
    )
    sample_people(envs.world, allocate_state(envs.world, 1, number, number), population)
    tastes = population.tastes.astype(np.float64)
    squares = 2.0 - 2.0 * tastes @ tastes.T
    np.fill_diagonal(squares, np.inf)
    nearest = float(np.median(squares.min(1)))
    population.width[0] = np.sqrt(nearest / shape.dims) if nearest > _SAME else 0.0
    return population
