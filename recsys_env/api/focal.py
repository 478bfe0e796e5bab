"""Batches in which some agents learn and policies act for the others.

batch = recsys_env.vector_env("social-v1", num_envs=64, num_agents=4)
envs = FocalBatch(batch, {"recommender_2": "content", "recommender_3": "popularity"})
envs.possible_agents    # ["recommender_0", "recommender_1"], the agents that `background` leaves out
envs.step(actions)      # [B, 2, ...]; every adapter accepts it as a batch
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from copy import deepcopy
from operator import attrgetter
from typing import Any

import numpy as np

from ..batch.actions import ActionReader
from ..batch.base import Batch, Snapshot
from ..batch.infos import Infos
from ..batch.vector import VectorEnv, checked_vector_env
from ..checks import is_sequence, shown, unknown
from ..config import WorldConfig
from ..policies import Policy, Team
from ..policies.registry import instead_of
from ..world.arrays import LATER, Report

Background = str | Policy | Mapping[str, str | Policy]

_BY_AGENT = ("observations", "masks", "final_observations", "final_masks", "rewards", "agents", "slots", "bids")
_NO_SALE = np.array((-1, -1, 0.0, 0), LATER)  # as the kernels leave an entry without a later sale


def checked_agent(agent: str, agents: Sequence[str]) -> str:
    """The agent, if it is one of these."""
    if not isinstance(agent, str) or agent not in agents:
        raise ValueError(unknown("agent", agent, agents))
    return agent


def usual_background(config: WorldConfig) -> str:
    """Return the default policy of agents that do not learn: "popularity", or "creators-myopic" on a platform."""
    return "creators-myopic" if config.ranked else "popularity"


def policies_of(
    agents: Sequence[str], background: Background, learners: Sequence[str] | None = None
) -> dict[str, str | Policy]:
    """Return the policy of each agent that does not learn.

    Args:
        agents: all agents of the task.
        background: one policy for all of them (a name, folder or module:factory; an object if there is one), or one for
            each by agent.
        learners: the agents that learn; None: those that `background`, given by agent, leaves out.

    Raises:
        TypeError: `background` or `learners` is of another kind.
        ValueError: an agent is unknown, an agent is both or neither, or no agent learns.
    """
    if not isinstance(background, (str, Policy, Mapping)):
        raise TypeError(
            f"background = {shown(background)} must be a policy, its name, or one of these for each other agent"
            f"{instead_of(background)}"
        )
    if learners is None:
        if not isinstance(background, Mapping):
            raise ValueError(f"background = {shown(background)} needs learners: one or several of {', '.join(agents)}")
        learners = [agent for agent in agents if agent not in background]
    if not is_sequence(learners):
        raise TypeError(f"learners = {shown(learners)} must be a list of agents")
    learners = list(learners)
    for agent in (*learners, *(background if isinstance(background, Mapping) else ())):
        checked_agent(agent, agents)
    if len(set(learners)) < len(learners):
        raise ValueError(f"learners = {shown(learners)} must be different agents")
    names = [agent for agent in agents if agent not in learners]
    policies = dict(background) if isinstance(background, Mapping) else dict.fromkeys(names, background)
    for agent in agents:
        if agent in learners and agent in policies:
            raise ValueError(
                f"{agent} is a learner and also has the policy {shown(policies[agent])}; give it to one of the two"
            )
        if agent not in learners and agent not in policies:
            raise ValueError(
                f"{agent} neither learns nor has a policy; give it one, as in {agent}=content, or let it learn"
            )
    if not learners:
        raise ValueError(
            f"background = {shown(background)} plays every agent, so nobody learns; "
            f"leave out at least one of {', '.join(agents)}"
        )
    return policies


class OtherAgents:
    """The policies of the agents that do not learn, and what they have chosen for the page about to be shown.

    They choose before the learners act, so that a wrong action of a learner does not affect them.

    Args:
        batch: the batch of all agents.
        policies: agent -> policy, as `policies_of` returns them.

    Attributes:
        team: the policies.
        actions: [B, N, ...] joint action that holds their choices. Whoever steps the batch fills in the learners'.
    """

    def __init__(self, batch: VectorEnv, policies: Mapping[str, str | Policy]) -> None:
        self._batch = batch
        self.team = Team(batch, policies, 0)
        self.actions = batch.empty_actions()
        self._seeded = False
        self._chosen_at = -1  # the batch's move that led to the page for which they have chosen

    @property
    def have_chosen(self) -> bool:
        """Whether they have chosen for the page about to be shown."""
        return self._chosen_at == self._batch._moves

    def require_choice(self, call: str) -> None:
        """Raise RuntimeError, which names the call, unless they have chosen for the page about to be shown."""
        if not self.have_chosen:
            raise RuntimeError(f"call reset() before {call}: the others have not chosen for this page")

    def begin(self, seed: int | None) -> None:
        """Begin another episode in every copy, and choose for its first page.

        Args:
            seed: seed of new random streams; None goes on with the present ones, or with random ones at first.
        """
        if seed is not None or not self._seeded:
            self.team.seed(secrets.randbits(63) if seed is None else seed)
            self._seeded = True
        else:
            self.team.reset()
        self.choose()

    def observe(self) -> None:
        """Learn from the last step, and choose for the next page."""
        self.team.observe(self._batch.infos, self._batch.truncated)
        self.choose()

    def choose(self) -> None:
        """Choose for the page about to be shown."""
        self.team.act(self._batch.observations, self.actions)
        self._chosen_at = self._batch._moves


def _of_batch(name: str) -> Any:
    """Create an attribute or method that forwards to the batch."""
    return property(attrgetter(f"batch.{name}"), doc=getattr(VectorEnv, name, property()).__doc__)


class FocalBatch(Batch[np.ndarray, Infos]):
    """A batch of the learners alone: N' learners in place of N agents, while policies act for the others.

    The others act in all copies at once, before the learners do, so a wrong action of a learner does not affect them.
    They learn from `observe`, are told when an episode ends, and are bound again, with random streams of the same seed,
    whenever `reset` gets a seed. If a step is interrupted (Ctrl-C) before the others have chosen for the next page, or
    if the batch was stepped directly, the next `step` asks for a `reset`. `state()` is that of the whole batch, for
    critics. `later_agent` counts learners; later sales of the others are left out of infos.

    Args:
        envs: the batch; step it only through this object.
        background, learners: as in `policies_of`.

    Attributes:
        batch: the batch of all agents.
        team: the policies of the others.

    A policy may be bound to a learner. It looks up the world in `batch`, by the learner's number there, and acts on the
    observations that this object returns.
    """

    def __init__(self, envs: VectorEnv, background: Background, learners: Sequence[str] | None = None) -> None:
        self.batch = checked_vector_env(envs)
        self._others = OtherAgents(envs, policies_of(envs.possible_agents, background, learners))
        self.team = self._others.team
        self.possible_agents = [agent for agent in envs.possible_agents if agent not in self.team.policies]
        self.num_agents = len(self.possible_agents)
        self._actions = ActionReader(self.config, self.num_envs, self.possible_agents, self.action_space)
        numbers = [envs.possible_agents.index(agent) for agent in self.possible_agents]
        self._learners = _evenly_spaced(numbers)
        self._learner_of = np.full(envs.num_agents + 1, -1)  # agent -> learner; -1 looks in the last entry
        self._learner_of[numbers] = np.arange(self.num_agents)

    # -------------------------------------------------------------------------------------------- as in the batch

    device = _of_batch("device")
    config = _of_batch("config")
    catalogue = _of_batch("catalogue")
    num_envs = _of_batch("num_envs")
    copy = _of_batch("copy")
    shape = _of_batch("shape")
    observation_space = _of_batch("observation_space")
    action_space = _of_batch("action_space")
    action_fields = _of_batch("action_fields")
    observation_format = _of_batch("observation_format")
    observation_fields = _of_batch("observation_fields")
    layout = _of_batch("layout")
    candidate_features = _of_batch("candidate_features")
    state_space = _of_batch("state_space")
    state_fields = _of_batch("state_fields")
    game = _of_batch("game")
    next_user_slots = _of_batch("next_user_slots")
    state = _of_batch("state")
    final_state = _of_batch("final_state")
    save = _of_batch("save")
    # What the simulator knows of the world and of each copy's visitor.
    world = _of_batch("world")
    world_digest = _of_batch("world_digest")
    texts = _of_batch("texts")
    tick = _of_batch("tick")
    next_page = _of_batch("next_page")
    latent_users = _of_batch("latent_users")
    public_items = _of_batch("public_items")
    prices_at = _of_batch("prices_at")
    purchase_values = _of_batch("purchase_values")

    __copy__ = deepcopy  # with a batch of its own

    # -------------------------------------------------------------------------------------------- playing

    def reset(
        self, *, seed: int | Sequence[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, Infos]:
        """Start an episode in every copy; as `VectorEnv.reset`."""
        self.batch.reset(seed=seed, options=options)
        self._others.begin(None if seed is None else int(np.ravel(seed)[0]))
        return self._observed()

    def _play(self, actions: Any) -> None:
        self._require_reset("step()")
        self.batch._play(self._join(actions))
        self._others.observe()

    def look(self) -> tuple[Any, Infos]:
        self._require_reset("look()")
        self.batch.look()
        return self._observed()

    def restore(
        self, snapshot: Snapshot, copy: int | None = None, seed: int | Sequence[int] | None = None
    ) -> tuple[Any, Infos]:
        """As `VectorEnv.restore`; the memory of the other agents, and their random numbers, are not part of a
        snapshot. In copies that are not restored, the choices of the others stay as they are."""
        self.batch.restore(snapshot, copy, seed)
        before = self._others.actions.copy()
        self._others.choose()
        if copy is not None:
            kept = np.arange(len(before)) != copy
            self._others.actions[kept] = before[kept]
        return self._observed()

    def _join(self, actions: Any) -> np.ndarray:
        """Combine the learners' actions with those that the others have chosen."""
        read, joint = self._actions.read(actions), self._others.actions
        joint[:, self._learners] = read.reshape(self.num_envs, self.num_agents, *(self.action_space.shape or ()))
        return joint

    def _nobody(self) -> np.ndarray:
        return self.batch._nobody()

    def _require_reset(self, call: str) -> None:
        self.batch._require_reset(call)
        self._others.require_choice(call)

    # -------------------------------------------------------------------------------------------- the last page

    def _last_report(self) -> Report:
        """Return the batch's report for the learners: views of its arrays if they are evenly spaced, else copies."""
        report = self.batch.report
        later = report.later
        if later.size and self.team.policies:
            later = later.copy()
            later["agent"] = self._learner_of[later["agent"]]
            later[later["agent"] < 0] = _NO_SALE
        by_agent = {name: getattr(report, name)[:, self._learners] for name in _BY_AGENT}
        return report._replace(later=later, **by_agent)

    def _infos(self, report: Report) -> Infos:
        return Infos(report)

    @property
    def candidates(self) -> np.ndarray:
        """`VectorEnv.candidates` of the learners."""
        return self.batch.candidates[:, self._learners]

    @property
    def utilities(self) -> np.ndarray:
        """`VectorEnv.utilities` of the learners."""
        return self.batch.utilities[:, self._learners]

    @property
    def inclusive_values(self) -> np.ndarray:
        """`VectorEnv.inclusive_values` of the learners."""
        return self.batch.inclusive_values[:, self._learners]

    def expected_feedback(self, actions: Any) -> dict[str, np.ndarray]:
        """As `VectorEnv.expected_feedback`, with the actions that the others have chosen for this page."""
        self._require_reset("expected_feedback()")
        expected = self.batch.expected_feedback(self._join(actions))
        return {name: array[:, self._learners] for name, array in expected.items()}

    def explain(self, actions: Any) -> dict[str, Any]:
        """As `VectorEnv.explain`, with the learners' actions and those that the others have chosen for this page."""
        self._require_reset("explain()")
        explained = self.batch.explain(self._join(actions))
        mine = {name: array[:, self._learners] for name, array in explained.items() if name not in ("terms", "outside")}
        terms = {name: values[:, self._learners] for name, values in explained["terms"].items()}
        return {**explained, **mine, "terms": terms}


def _evenly_spaced(numbers: list[int]) -> slice | list[int]:
    """Return the numbers as a slice, which makes views, if they are evenly spaced."""
    step = numbers[1] - numbers[0] if len(numbers) > 1 else 1
    even = numbers == list(range(numbers[0], numbers[-1] + 1, step))
    return slice(numbers[0], numbers[-1] + 1, step) if even else numbers
