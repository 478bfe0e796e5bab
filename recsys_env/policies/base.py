"""The interface of policies: opponents, baselines and your own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..batch.base import AnyBatch, checked_batch
from ..batch.infos import Infos
from ..batch.vector import VectorEnv
from ..checks import check_count, checked_seed, is_sequence, shown, unknown
from ..config.responses import LATER_SALE, NAMES
from .shipped import Shipped


class NotBound(RuntimeError, AttributeError):
    """The policy was used before `bind`. It is also an AttributeError, so that `hasattr` returns False."""


def check_chooses_pages(policy: Policy) -> None:
    """Raise for a policy that chooses what pages show, where agents do not: on a platform of creators.

    Raises:
        ValueError: the bound batch plays a task with page = "platform".
    """
    if policy.envs.config.ranked:
        raise ValueError(
            f"{type(policy).__name__} chooses the items of a page, and with page = 'platform' a fixed ranker does; "
            "policies that publish items are random, blind and those whose names begin with creators-"
        )


_CHOOSING = {"act", "score"}  # methods that choose what a page shows


class Policy:
    """Acts for one agent in all copies of a batch; see the package docstring for the order of calls.

    A subclass overrides `act`, and `observe` and `reset` if it learns or remembers. The attributes below are those of
    its class, except for `envs`, `index` and `rng`, which `bind` sets.
    """

    learns: bool = False  # whether what it observes in one copy or episode changes how it acts in others
    compiled: bool = False  # whether `recsys_env.rollout` can play it, by its `actor`
    deterministic: bool = False  # whether its pages follow from what it has seen, without a random draw
    no_propensity: str = "it neither defines probabilities() nor sets deterministic = True"  # why there is none
    failure: str | None = None  # why it has made no choice so far; a run ends with an error that says so
    shipped: Shipped | None = None  # which checkpoint it is, if it ships with the package
    envs: VectorEnv  # with all agents of the task
    index: int  # of the bound agent in it
    rng: np.random.Generator  # the policy's own random stream
    _axes = 1  # of actions before those of the slots: copies

    @property
    def draws(self) -> bool:
        """Whether it draws random numbers while it acts."""
        return not self.deterministic

    @property
    def remembers(self) -> bool:
        """Whether its actions depend on anything besides the current page and random draws.

        By default this is true for every policy that overrides `observe` or `reset`.
        """
        own = type(self)
        return own.observe not in (Policy.observe, TeamPolicy.observe) or own.reset is not Policy.reset

    def __init_subclass__(cls, **options: Any) -> None:
        """Reset `deterministic` in a subclass that overrides `act` or `score`, unless the subclass sets it."""
        super().__init_subclass__(**options)
        if _CHOOSING & vars(cls).keys() and "deterministic" not in vars(cls):
            cls.deterministic = False

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Explain which attributes exist only after `bind`.

            Raises:
                NotBound: the policy was not bound.
                AttributeError: there is no attribute of this name.
            """
            if "envs" not in vars(self) and not name.startswith("__"):
                raise NotBound(f"{type(self).__name__}: call bind(envs, agent, seed) first; it sets {name!r}")
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        """Bind the policy to one agent of a batch, with its own random stream.

        Sets `self.envs` to the batch of all agents and `self.index` to the agent's number in it. If `envs` shows only
        some agents of a batch (`FocalBatch`), they refer to the full batch.

        Raises:
            ValueError: the batch has no such agent, its copies play in several worlds, the seed is out of range, or the
                policy is a checkpoint that ships for another task.
            TypeError: `envs` is not a batch, or `seed` is not an integer.
        """
        checked_batch(envs)
        if not isinstance(agent, str) or agent not in envs.possible_agents:
            raise ValueError(unknown("agent", agent, envs.possible_agents))
        seed = checked_seed(seed)
        if self.shipped is not None:
            self.shipped.check_task(envs.game.config)
        self.envs = envs.game  # type: ignore[assignment]  # of the package's policies, who play on the CPU
        self.index = self.envs.possible_agents.index(agent)
        self.rng = np.random.default_rng([seed, self.index])

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        """Return the agent's actions in all copies.

        Args:
            observations: [B, O] float32, the flat observations of the page about to be shown; do not write into them.
            mask: [B, A] int8 with `mask_actions`, 0 = not allowed, as in `recsys_env.batch.spaces`; else None.

        Returns:
            Discrete actions are integers [B, K] for K slots, or [B] for one slot: positions of candidates, item ids,
            or topic and clickbait of what a creator publishes, depending on `config.action` (with messages as in
            `recsys_env.batch.spaces.action_space`). Continuous actions are vectors [B, ...] in [-1, 1] whose parts are
            named in `VectorEnv.action_fields`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no act(observations, mask=None)")

    def probabilities(self, actions: np.ndarray) -> np.ndarray:
        """Return how likely the policy was to pick what these actions pick: propensities, for logs.

        A policy that draws its pages at random overrides this method. A policy that never does sets `deterministic =
        True` instead, and has propensity 1. One that draws, but has no closed form, says so in `no_propensity`. Levels
        of prices or bids and messages do not count.

        Args:
            actions: what `act` has just returned.

        Returns:
            [B, K] probability of the pick for each slot, given the picks for the slots before it and everything that
            happened before the page. The product over the slots is the probability of the slate. For a `TeamPolicy`
            [B, N', K].

        Raises:
            NotImplementedError: the policy cannot say; the message says why.
        """
        if not self.deterministic:
            raise NotImplementedError(
                f"{type(self).__name__} does not say how likely its pages are: {self.no_propensity}"
            )
        return np.ones((*actions.shape[: self._axes], self.envs.config.slots))

    def actor(self, ticks: int) -> Any:
        """Return the bound policy's actions of the next `ticks` ticks in compiled form (`policies.compiled.Actor`)."""
        raise NotImplementedError(f"{type(self).__name__} is not compiled")

    def observe(self, feedback: Mapping[str, np.ndarray]) -> None:
        """Learn from the events in the agent's own slots; see `feedback`."""

    def reset(self, done: np.ndarray) -> None:
        """Forget the state of the copies `done` [B] bool, which have begun another episode."""

    def costs(self) -> dict[str, float]:
        """Return the total cost of acting since `bind`, other than time: name -> amount, such as "tokens"."""
        return {}


class TeamPolicy(Policy):
    """Acts for several agents of a batch at once, such as one network that sees what all of them see.

    In a `Team`, a team policy acts for all agents that are given the same object, name or folder. Calls are made in the
    order of `Policy`; agents are in the order of the batch.
    """

    indices: list[int]  # numbers of the N' bound agents among all agents of the task
    _axes = 2  # copies and agents

    def bind(self, envs: AnyBatch, agents: str | Sequence[str], seed: int) -> None:
        """Bind the policy to its agents, with a random stream of its own.

        Sets `self.envs` to the batch of all agents and `self.indices` to the agents' numbers in it.

        Raises:
            ValueError, TypeError: as in `Policy.bind`, or there are no agents.
        """
        names = [agents] if isinstance(agents, str) else agents
        if not is_sequence(names) or not len(names):
            raise TypeError(f"agents = {shown(agents)} must be one or more names of agents")
        for name in reversed(names):  # so that the stream is that of the first
            super().bind(envs, name, seed)
        self.indices = [self.envs.possible_agents.index(name) for name in names]

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        """Return the actions [B, N', ...] of its agents in all copies, given their observations [B, N', O].

        Args:
            mask: [B, N', A] with `mask_actions`, else None.
        """
        raise NotImplementedError(f"{type(self).__name__} has no act(observations, mask=None)")

    def observe(self, feedback: Mapping[str, np.ndarray]) -> None:
        """Learn from the events in its agents' slots: `feedback` of each agent, stacked in axis 1."""


# The entries of infos that an agent learns from, and their axes.
_AXES = {
    **dict.fromkeys(("visitor", "individual_reward"), "BN"),
    **dict.fromkeys(("shown", *NAMES), "BNK"),
    **dict.fromkeys((f"later_{name}" for name in LATER_SALE), "BQ"),
}


def check_infos(infos: Any) -> None:
    """Raise unless these are infos of a step, as a batch returns them.

    Raises:
        TypeError, ValueError, KeyError: as for `feedback`.
    """
    if isinstance(infos, Infos):
        return
    if not isinstance(infos, Mapping):
        raise TypeError(f"infos = {shown(infos)} must be the infos of a step")
    missing = [name for name in _AXES if name not in infos]
    if missing:
        raise KeyError(f"infos = {shown(infos)} have no {', '.join(missing)}; give what a batch's step returned")
    sizes: dict[str, int] = {}
    for name, axes in _AXES.items():
        array, wanted = infos[name], f"an array [{', '.join(axes)}], as a batch's step returned it"
        if not isinstance(array, np.ndarray):
            raise TypeError(f"infos[{name!r}] = {shown(array)} must be {wanted}")
        here = dict(zip(axes, array.shape, strict=False))
        if array.ndim != len(axes) or here != {axis: sizes.setdefault(axis, size) for axis, size in here.items()}:
            raise ValueError(f"infos[{name!r}] = {shown(array)} of shape {list(array.shape)} must be {wanted}")


def team_feedback(infos: Mapping[str, Any], indices: Sequence[int]) -> dict[str, np.ndarray]:
    """Return the `feedback` of several agents, stacked in axis 1, after the copies: [B, N', ...]."""
    each = [feedback(infos, index) for index in indices]
    return {name: np.stack([one[name] for one in each], axis=1) for name in each[0]}


def feedback(infos: Mapping[str, Any], index: int) -> dict[str, np.ndarray]:
    """Return what one agent may learn from the infos of a step.

    visitor, individual_reward [B]                visitor id; the agent's reward before sharing
    shown [B, K]                                  items in its own slots
    clicked, dwell, ... [B, K]                    what happened to them: each of `responses.RESPONSES`
    later_item, later_price, later_rating [B, Q]  purchases of earlier cart items that are credited to the agent,
                                                  -1 = none

    Args:
        infos: of a batch.
        index: the agent's position in `possible_agents` of this batch. `Policy.index` is the position in the full
            batch, which is another one in the infos of a `FocalBatch`.

    Raises:
        TypeError, ValueError, KeyError: these are not infos of a batch, or there is no such agent.
    """
    check_infos(infos)
    check_count("index", index, 0, infos["individual_reward"].shape[1] - 1)
    seen = {key: infos[key][:, index] for key in ("visitor", "individual_reward", "shown", *NAMES)}
    credited = infos["later_agent"] == index
    seen["later_item"] = np.where(credited, infos["later_item"], -1)
    return {**seen, "later_price": infos["later_price"], "later_rating": infos["later_rating"]}
