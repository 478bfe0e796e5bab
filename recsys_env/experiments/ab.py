"""What an A/B test would report, beside what it should have found.

    python -m recsys_env ab --task rivals-v1 --policies static content --design user session page switchback

One repetition is one population. It is played several times on the same random numbers: with policy A for everybody,
with policy B for everybody, and with the assignment of each design. The difference of the first two is the true effect.
The others give what a company computes from the log of its experiment.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from .. import cli
from ..api.focal import checked_agent, usual_background
from ..batch.base import copy_seed
from ..batch.infos import Infos
from ..batch.vector import VectorEnv
from ..checks import check_count, is_number, is_sequence, shown, unknown
from ..config import WorldConfig
from ..config.responses import later_reward, rating_value
from ..config.tasks import task_config
from ..evaluation import UNSEEN
from ..evaluation.statistics import errors_of_95, interval
from ..evaluation.tables import grid, spread
from ..policies import Team, make_policy
from ..policies.registry import import_policies
from .designs import ARMS, DESIGNS, Assignment
from .mixture import Mixture
from .variants import sparse, without

BUSY = 0.15  # share of the ticks in which somebody is served, above which arms compete for ticks
AT_ONCE = 32  # repetitions that are played as copies of one batch
NORMAL = 1.959964  # quantile of the normal distribution for a 95 % interval


@dataclass(frozen=True)
class Protocol:
    """How an experiment is conducted.

    Args:
        background: name of the policy of the agents that are not in the experiment; None = the usual one of the task.
        block: ticks of a block of a switchback; None = a fiftieth of the episode.
        burn_in: share of each block at its beginning that the estimate of a switchback leaves out, below 1.
        busy: what happens if more than 15 % of the ticks serve somebody: refuse or warn.

    Raises:
        TypeError, ValueError: an argument is of a wrong kind or out of range.
    """

    background: str | None = None
    block: int | None = None
    burn_in: float = 0.0
    busy: str = "refuse"

    def __post_init__(self) -> None:
        if self.background is not None and not isinstance(self.background, str):
            raise TypeError(f"background = {shown(self.background)} must be the name of a policy or None")
        if self.block is not None:
            check_count("block", self.block, 1, 10**8)
        if not is_number(self.burn_in) or not 0 <= self.burn_in < 1:
            raise ValueError(f"burn_in = {shown(self.burn_in)} must be a number in [0, 1)")
        if not isinstance(self.busy, str) or self.busy not in ("refuse", "warn"):
            raise ValueError(f"busy = {shown(self.busy)} must be refuse or warn")


@dataclass(frozen=True)
class Experiment:
    """An experiment that can be repeated; `ab_test` makes one. The arguments and errors are those of `ab_test`."""

    task: str | WorldConfig
    a: str
    b: str
    design: Sequence[str]
    agents: Sequence[str] | None = None
    protocol: Protocol = Protocol()

    def __post_init__(self) -> None:
        if not isinstance(self.protocol, Protocol):
            raise TypeError(f"protocol = {shown(self.protocol)} must be a recsys_env.experiments.Protocol")
        config = task_config(self.task, {})
        if config.ranked:
            raise ValueError(
                f"the task has page = {config.page!r}, on which agents publish items and serve nobody; experiments "
                "need a page that agents fill"
            )
        for name in ("a", "b"):
            if not isinstance(getattr(self, name), str | Path):
                raise TypeError(f"{name} = {shown(getattr(self, name))} must be the name or folder of a policy")
        design = (self.design,) if isinstance(self.design, str) else self.design
        if not is_sequence(design) or not len(design):
            raise TypeError(f"design = {shown(design)} must be one or more of {', '.join(DESIGNS)}")
        for name in design:
            if not isinstance(name, str) or name not in DESIGNS:
                raise ValueError(unknown("design", name, DESIGNS))
        agents = self.agents
        if agents is None:
            agents = config.agents[:1] if config.opens_agent else config.agents
        if not is_sequence(agents) or not len(agents):
            raise TypeError(f"agents = {shown(agents)} must be names of agents, or None")
        for agent in agents:
            checked_agent(agent, config.agents)
        object.__setattr__(self, "design", tuple(dict.fromkeys(design)))
        object.__setattr__(self, "agents", tuple(dict.fromkeys(agents)))

    @property
    def config(self) -> WorldConfig:
        return task_config(self.task, {})

    @property
    def block(self) -> int:
        """Length of the blocks of a switchback, in ticks."""
        return self.protocol.block or max(self.config.horizon // 50, 1)

    def repeat(self, first: int, last: int, seed: int = 0) -> list[dict[str, Any]]:
        """Play the repetitions first .. last - 1.

        They are copies of one batch. If a policy learns or draws random numbers, each treatment of a repetition has a
        batch of its own, so a repetition does not depend on what it is played with.

        Args:
            seed: repetition r plays on seed `UNSEEN + seed + r`.

        Returns:
            for each repetition its `seed`; `reward`: arm -> reward per user slot if all are served by it; `clock`:
            treatment -> share of the ticks that serve somebody; `designs`: name -> `effect` (estimate of the difference
            B - A of the reward per user slot), `error` (its reported standard error) and `units` of A and B.

        Raises:
            TypeError, ValueError: a number is out of range, a policy cannot play the task, or an arm has too few units.
        """
        check_count("first", first, 0, 10**9)
        check_count("last", last, first + 1, 10**9)
        check_count("seed", seed, 0, 10**12)
        treatments = (*ARMS, *self.design)
        cells = [_Cell(UNSEEN + seed + r, treatment) for r in range(first, last) for treatment in treatments]
        batches = [[cell] for cell in cells] if self._needs_batches_of_its_own() else [cells]
        played = [copy for batch in batches for copy in self._play(batch)]
        found = []
        for r in range(last - first):
            copies = dict(zip(treatments, played[r * len(treatments) : (r + 1) * len(treatments)], strict=True))
            found.append(
                {
                    "seed": UNSEEN + seed + first + r,
                    "reward": {arm: copies[arm].reward for arm in ARMS},
                    "clock": {treatment: copy.clock for treatment, copy in copies.items()},
                    "designs": {name: copies[name].estimate for name in self.design},
                }
            )
        return found

    @property
    def _background(self) -> str:
        """The policy of the agents that are not in the experiment."""
        return usual_background(self.config) if self.protocol.background is None else self.protocol.background

    def _needs_batches_of_its_own(self) -> bool:
        """Whether a policy learns while it serves, or draws random numbers, of which all copies share one stream."""
        policies = map(make_policy, (self.a, self.b, self._background))
        return any(policy.learns or policy.draws for policy in policies)

    def _team(self, cells: Sequence[_Cell]) -> Team:
        """Return the policies of all agents on a batch with these copies."""
        config = self.config
        envs = VectorEnv(config, len(cells), copy=False)
        # Stream 1 of each seed: the seed of a copy that is not in this batch.
        assignment = Assignment(
            envs, [cell.treatment for cell in cells], [copy_seed(cell.seed, 1) for cell in cells], self.block
        )
        agents = self.agents or ()
        policies = {
            agent: Mixture(self.a, self.b, assignment) if agent in agents else self._background
            for agent in config.agents
        }
        return Team(envs, policies, cells[0].seed)

    def _play(self, cells: Sequence[_Cell]) -> list[_Copy]:
        """Play one episode of each of these copies, and return what their logs say."""
        team = self._team(cells)
        envs: Any = team.envs
        mixture: Any = team.policies[(self.agents or ())[0]]
        log = _Log(envs, mixture.assignment, [envs.possible_agents.index(agent) for agent in self.agents or ()])
        observations, _ = envs.reset(seed=[cell.seed for cell in cells])
        actions = envs.empty_actions()
        for _ in range(envs.config.horizon):
            log.look()
            team.act(observations, actions)
            observations, _, _, truncated, infos = envs._step(actions)
            log.record(infos)
            team.observe(infos, truncated)
        team.check()
        return log.summaries(self.protocol.burn_in)


class _Cell(NamedTuple):
    """A copy that is to be played."""

    seed: int
    treatment: str


class _Copy(NamedTuple):
    """What the log of a copy says."""

    reward: float  # per user slot
    clock: float
    estimate: dict[str, Any] | None  # None where everybody has one policy


class _Log:
    """The log of an experiment: who was served where by the agents in it, and what that earned.

    A purchase from a cart counts for the page, and the item, that filled the cart.
    """

    def __init__(self, envs: VectorEnv, assignment: Assignment, numbers: Sequence[int]) -> None:
        self._envs, self._assignment, self._numbers = envs, assignment, np.array(numbers)
        self._pages: list[tuple[np.ndarray, ...]] = []  # copies, ticks and units
        self._rewards: list[float] = []  # of each page
        self._ticks, self._served = 0, np.zeros(envs.num_envs)
        self._of_items = np.zeros((envs.num_envs, envs.shape.items if assignment.by_item.any() else 0))
        self._carts: dict[tuple[int, int, int], int] = {}  # (copy, user slot, item) -> number of the page

    def look(self) -> None:
        """Take down whose pages are about to be shown."""
        self._places = self._envs.next_user_slots.copy()
        self._units = self._assignment.units()
        self._here = np.flatnonzero(self._envs.active[:, self._numbers].any(1) & (self._places >= 0))

    def record(self, infos: Infos) -> None:
        """Take down what the pages earned."""
        here, numbers, first = self._here, self._numbers, len(self._rewards)
        self._served += self._places >= 0
        self._pages.append((here, np.full(len(here), self._ticks), self._units[here]))
        self._ticks += 1
        self._rewards += infos["individual_reward"][here][:, numbers].sum(1).tolist()
        page_of = dict(zip(here.tolist(), range(first, len(self._rewards)), strict=True))
        self._credit_items(infos, here)
        cart = (infos["cart"] & ~infos["bought"])[here][:, numbers]
        for page, n, k in zip(*np.nonzero(cart), strict=True):
            copy = int(here[page])
            item = int(infos["shown"][copy, numbers[n], k])
            self._carts[copy, int(self._places[copy]), item] = first + int(page)
        for copy, q in zip(*np.nonzero(infos["later_item"] >= 0), strict=True):
            if infos["later_agent"][copy, q] in numbers:
                self._move(int(copy), int(q), infos, page_of)

    def _move(self, copy: int, q: int, infos: Infos, page_of: Mapping[int, int]) -> None:
        """Move the reward of a later purchase from the present page to the page that filled the cart."""
        item, agent = int(infos["later_item"][copy, q]), int(infos["later_agent"][copy, q])
        weights = self._envs.world.agents[agent]
        value = rating_value(infos["later_rating"][copy, q])
        reward = float(later_reward(weights, infos["later_price"][copy, q], value))
        if copy in page_of:
            self._rewards[page_of[copy]] -= reward
        self._rewards[self._carts.pop((copy, int(self._places[copy]), item))] += reward
        if self._assignment.by_item[copy]:
            self._of_items[copy, item] += reward

    def _credit_items(self, infos: Infos, here: np.ndarray) -> None:
        """Add what happened at once to the items of the pages on which items decide."""
        from ..kernels.feedback import read_rewards

        copies = here[self._assignment.by_item[here]]
        if not copies.size:
            return
        items = infos["shown"][copies][:, self._numbers].reshape(-1)
        slots = np.ascontiguousarray(self._envs.report.slots[copies][:, self._numbers].reshape(-1))
        agents = np.tile(np.repeat(self._numbers, self._envs.shape.slots), len(copies))
        rewards = np.zeros(len(items))
        read_rewards(self._envs.world, agents, slots, rewards)
        of = np.repeat(copies, len(items) // len(copies))
        np.add.at(self._of_items, (of[items >= 0], items[items >= 0]), rewards[items >= 0])

    def summaries(self, burn_in: float) -> list[_Copy]:
        """Return what the log says of each copy after its episode."""
        copies, ticks, units = (np.concatenate(column) for column in zip(*self._pages, strict=True))
        rewards, found = np.array(self._rewards), []
        users, order = self._envs.shape.users, np.argsort(copies, kind="stable")
        ends = np.searchsorted(copies[order], np.arange(self._envs.num_envs + 1))
        for copy, treatment in enumerate(self._assignment.treatments):
            mine = order[ends[copy] : ends[copy + 1]]
            estimate = None
            if treatment in DESIGNS:
                values, names, left_out = self._outcomes(copy, ticks[mine], units[mine], rewards[mine], burn_in)
                arms = self._assignment.arms_of(copy, names)
                estimate = _estimated(treatment, values[arms == 0], values[arms == 1], users * (1 - left_out))
            clock = float(self._served[copy] / self._ticks)
            found.append(_Copy(float(rewards[mine].sum() / users), clock, estimate))
        return found

    def _outcomes(
        self, copy: int, ticks: np.ndarray, units: np.ndarray, rewards: np.ndarray, burn_in: float
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """Return what each unit of a copy earned, the units, and the share of the ticks that was left out."""
        treatment, block = self._assignment.treatments[copy], self._assignment.block
        if treatment == "item":
            may = self._envs.world.allowed
            names = np.flatnonzero(may[self._numbers].any(0)) if may.size else np.arange(self._envs.shape.items)
            return self._of_items[copy, names], names, 0.0
        if treatment in ("session", "page"):
            names, of = np.unique(units, return_inverse=True)
            return np.bincount(of, rewards, len(names)), names, 0.0
        if treatment == "user":
            return np.bincount(units, rewards, self._envs.shape.users), np.arange(self._envs.shape.users), 0.0
        names = np.arange(self._envs.config.horizon // block)  # whole blocks
        skipped = int(burn_in * block)
        kept = (ticks % block >= skipped) & (units < len(names))
        left_out = 1 - len(names) * (block - skipped) / self._envs.config.horizon
        return np.bincount(units[kept], rewards[kept], len(names)), names, left_out


def _estimated(design: str, a: np.ndarray, b: np.ndarray, users: float) -> dict[str, Any]:
    """Return the estimate of a design from what its units earned, as reward per user slot.

    It is the difference of the means of the two arms times the number of units, with the standard error of two
    independent samples.
    """
    if min(len(a), len(b)) < 2:
        raise ValueError(
            f"design {design!r} has {len(a)} units of A and {len(b)} of B, and a standard error needs two of each; "
            "take more users, a longer horizon or shorter blocks"
        )
    scale = (len(a) + len(b)) / users
    error = np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
    return {
        "effect": float(scale * (b.mean() - a.mean())),
        "error": float(scale * error),
        "units": [len(a), len(b)],
    }


# ------------------------------------------------------------------------------------------------ repetitions


def ab_test(
    task: str | WorldConfig,
    a: str,
    b: str,
    design: str | Sequence[str] = ("user", "session", "page", "switchback"),
    *,
    agents: Sequence[str] | None = None,
    repetitions: int = 20,
    seed: int = 0,
    protocol: Protocol = Protocol(),
) -> dict[str, Any]:
    """Repeat an experiment, and compare its estimates with the true effect.

    The true effect is the reward per user slot and episode if policy B serves everybody, minus the same with policy A,
    on common random numbers. An estimate is the difference of the mean reward of the units of B and of A, times the
    number of units per user slot. Rewards are those of the agents in the experiment, before sharing. A purchase from a
    cart counts for the page that filled the cart.

    Args:
        task: the name of a task, or a config, such as one of `sparse` or `without`.
        a, b: names or folders of policies, or module:factory.
        design: one or more of `DESIGNS`.
        agents: the agents that A or B serves; None = all agents, or the first one where each visitor opens one agent.
        repetitions: R, populations that are independent of each other.
        seed, protocol: as in `Experiment.repeat`; how the experiment is conducted.

    Returns:
        as `summary`.

    Raises:
        TypeError, ValueError: an argument is wrong; a policy cannot play the task; a design has too few units; or more
            than 15 % of the ticks serve somebody, unless the protocol says to warn.
        ImportError: scipy is missing.
    """
    check_count("repetitions", repetitions, 2, 10**6)
    experiment = Experiment(task, a, b, design, agents, protocol)  # type: ignore[arg-type]
    found: list[dict[str, Any]] = []
    while len(found) < repetitions:
        found += experiment.repeat(len(found), min(len(found) + AT_ONCE, repetitions), seed)
        if len(found) <= AT_ONCE:
            check_clock(found, protocol.busy)
    return summary(found)


def check_clock(repetitions: Sequence[Mapping[str, Any]], busy: str = "refuse") -> None:
    """Raise `ValueError`, or warn, if more than 15 % of the ticks serve somebody, so that visitors compete for ticks.

    Args:
        repetitions: results of `Experiment.repeat`.
        busy: refuse or warn.
    """
    share = _clock(repetitions)
    if share <= BUSY:
        return
    message = (
        f"{share:.0%} of the ticks serve somebody, more than {BUSY:.0%}. One visitor is served in a tick, so whoever "
        "stays takes ticks from the other arm, which no real platform does: use recsys_env.experiments.sparse(task), "
        "or leave out --no-sparse; in a sparse variant, ask for more users or for fewer pages of each"
    )
    if busy == "refuse":
        raise ValueError(message)
    warnings.warn(message, stacklevel=3)


def _clock(repetitions: Sequence[Mapping[str, Any]]) -> float:
    """Return the largest share of ticks that serve somebody, over treatments."""
    clocks = [list(found["clock"].values()) for found in repetitions]
    return float(np.mean(clocks, axis=0).max())


def summary(repetitions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Compare the estimates of the designs with the true effect, over repetitions.

    Args:
        repetitions: two or more results of `Experiment.repeat`, with the same designs; else a `ValueError`.

    Returns:
        repetitions: R; clock: the largest share of ticks that serve somebody, over treatments; reward: arm -> interval;
        effect: interval of the true effect; clear: whether that interval leaves out 0; designs: name ->
        estimate, bias: intervals of the estimate and of its difference from the true effect;
        share: interval of the ratio of mean estimate and mean true effect;
        deviation: standard deviation of the estimates over repetitions; error: mean standard error that they report;
        significant: share of repetitions in which the 95 % interval of the estimate leaves out 0;
        right, wrong: shares in which it does so with the right and with the wrong sign;
        worse: share of repetitions whose estimate has the wrong sign, so that the worse policy is picked.
        Such a share is [value, low, high] with a 95 % Wilson interval.
        share, right, wrong and worse are None if the true effect is not clear.
    """
    if not is_sequence(repetitions) or len(repetitions) < 2:
        raise ValueError(f"repetitions = {shown(repetitions)} must be two or more results of Experiment.repeat")
    designs = tuple(repetitions[0]["designs"])
    for i, found in enumerate(repetitions):
        if tuple(found["designs"]) != designs:
            raise ValueError(
                f"repetition {i} has the designs {tuple(found['designs'])}, and repetition 0 has {designs}"
            )
    reward = {arm: np.array([found["reward"][arm] for found in repetitions]) for arm in ARMS}
    effects = reward["B"] - reward["A"]
    effect = interval(effects)
    clear = abs(float(effect["mean"] or 0)) > float(effect["ci95"] or 0)
    return {
        "repetitions": len(repetitions),
        "clock": _clock(repetitions),
        "reward": {arm: interval(values) for arm, values in reward.items()},
        "effect": effect,
        "clear": clear,
        "designs": {
            name: _judged([found["designs"][name] for found in repetitions], effects, clear) for name in designs
        },
    }


def _judged(found: Sequence[Mapping[str, Any]], effects: np.ndarray, clear: bool) -> dict[str, Any]:
    """Return the row of a design in `summary`."""
    estimates = np.array([one["effect"] for one in found])
    errors = np.array([one["error"] for one in found])
    freedom = np.array([sum(one["units"]) - 2 for one in found])  # that of units that vary alike in both arms
    significant, sign = np.abs(estimates) > errors_of_95(freedom) * errors, np.sign(effects.mean())
    row: dict[str, Any] = {
        "estimate": interval(estimates),
        "bias": interval(estimates - effects),
        "deviation": float(estimates.std(ddof=1)),
        "error": float(errors.mean()),
        "significant": _share(significant),
        **dict.fromkeys(("share", "right", "wrong", "worse")),
    }
    if not clear:
        return row
    ratio = float(estimates.mean() / effects.mean())
    width = interval(estimates - ratio * effects)["ci95"]
    return row | {
        "share": {"mean": ratio, "ci95": float(width or 0) / abs(float(effects.mean()))},
        "right": _share(significant & (np.sign(estimates) == sign)),
        "wrong": _share(significant & (np.sign(estimates) == -sign)),
        "worse": _share(np.sign(estimates) == -sign),
    }


def _share(truths: np.ndarray) -> list[float]:
    """Return the share of truths and its 95 % Wilson interval, as [value, low, high]."""
    count, number = len(truths), int(truths.sum())
    share, z = number / count, NORMAL
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    width = z / (1 + z * z / count) * np.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return [share, max(float(middle - width), 0.0), min(float(middle + width), 1.0)]


# ------------------------------------------------------------------------------------------------ the command


@dataclass(frozen=True)
class Command:
    """Show what an A/B test of two policies reports by design, beside the true effect."""

    task: str = "rivals-v1"
    """Name of a task, optionally with changed fields: rivals-v1,num_agents=3."""
    policies: tuple[str, str] = ("static", "content")
    """Policies A and B: names, folders of trained policies, or module:factory."""
    design: tuple[Literal["user", "session", "page", "switchback", "item"], ...] = (
        "user",
        "session",
        "page",
        "switchback",
    )
    """Designs that are tried."""
    repetitions: int = 20
    """Repetitions, each with a population of its own."""
    sparse: bool = True
    """Play the variant of the task with many users and rare visits, who do not compete for ticks."""
    without: tuple[str, ...] = ()
    """Causes of interference that are taken out: satisfaction, memory, stock, popularity, rivals."""
    agents: tuple[str, ...] = ()
    """Agents that A or B serves. By default all agents, or the first one where each visitor opens one agent."""
    background: str | None = None
    """Policy of the other agents. By default the usual one of the task."""
    block: int | None = None
    """Length of the blocks of a switchback, in ticks. By default a fiftieth of the episode."""
    burn_in: float = 0.0
    """Share of each block at its beginning that the estimate of a switchback leaves out."""
    busy: Literal["refuse", "warn"] = "refuse"
    """What happens if more than 15 % of the ticks serve somebody."""
    seed: int = 0
    """Seed of the first repetition."""


def command(experiment: Command) -> dict[str, Any]:
    """Show what an A/B test of two policies reports by design, beside the true effect."""
    cli.require("evaluate", "scipy", "rich")
    cli.at_least(2, repetitions=experiment.repetitions)
    a, b = import_policies(experiment.policies)
    config = cli.config_of(experiment.task)
    config = without(sparse(config) if experiment.sparse else config, *experiment.without)
    result = ab_test(
        config,
        a,
        b,
        experiment.design,
        agents=experiment.agents or None,
        repetitions=experiment.repetitions,
        seed=experiment.seed,
        protocol=Protocol(experiment.background, experiment.block, experiment.burn_in, experiment.busy),
    )
    return {"task": experiment.task, "policies": [a, b], **result}


def show(result: Mapping[str, Any]) -> None:
    """Print the result of the command as a table."""
    a, b = result["policies"]
    effect, base = result["effect"], result["reward"]["A"]["mean"]
    relative = f" ({effect['mean'] / base:+.1%})" if base > 0 else ""
    print(
        f"A = {a}, B = {b}. If B serves everybody instead of A, a user slot earns {spread(effect, 3)} more per "
        f"episode{relative}; A earns {spread(result['reward']['A'], 3)}."
    )
    print(f"Somebody is served in {result['clock']:.1%} of the ticks.")
    if not result["clear"]:
        print("The true effect cannot be told from 0, so no decision is right or wrong. More repetitions may show it.")
    grid(f"{result['task']}: {result['repetitions']} repetitions; ± and [] are 95 %", HEAD, table_rows(result))


HEAD = (
    "design",
    "estimate",
    "share of the true effect",
    "spread of estimates / reported error",
    "finds the effect",
    "finds the opposite",
    "picks the worse",
)


def table_rows(result: Mapping[str, Any]) -> list[list[str]]:
    """Return a row of text for each design of a `summary`, under `HEAD`."""
    rows = []
    for name, row in result["designs"].items():
        ratio = f"{row['deviation'] / row['error']:.2f}" if row["error"] > 0 else "—"
        shares = ["—" if row[key] is None else _percent(row[key]) for key in ("right", "wrong", "worse")]
        rows.append([name, spread(row["estimate"], 3), spread(row["share"]) if row["share"] else "—", ratio, *shares])
    return rows


def _percent(share: Sequence[float]) -> str:
    return "{:.0%} [{:.0%}, {:.0%}]".format(*share)
