"""Scenarios: tasks in which held-out policies play some agents, the background (Melting Pot; Leibo et al. 2021).

Scenarios show how a trained policy acts among agents that it was not trained with. By the rules of the protocol,
neither the background policies nor the seeds may be used in training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..checks import ByName, ReadOnly, is_sequence, shown, unknown
from .tasks import TASKS
from .world_config import WorldConfig

PACKAGE = Path(__file__).parents[1]  # its folders learned/TASK/KIND are policies that were trained apart


@dataclass(frozen=True)
class Scenario:
    """A task in which given policies play some of the agents.

    Args:
        task: its name.
        background: agent -> policy (a name, the folder of a trained policy, or module:factory). All other agents are
            focal: the measured policy plays them.
        about: a description of the background agents.

    Raises:
        ValueError, TypeError: a task or agent is unknown, or something else than a name was given.
    """

    task: str
    background: Mapping[str, str]
    about: str

    def __post_init__(self) -> None:
        if not isinstance(self.task, str) or self.task not in TASKS:
            raise ValueError(unknown("task", self.task, TASKS))
        if not isinstance(self.background, Mapping):
            raise TypeError(f"background = {shown(self.background)} must be agents and their policies")
        for agent, policy in self.background.items():
            if agent not in self.config.agents:
                raise ValueError(f"background: {unknown('agent', agent, self.config.agents)}")
            _check_text(f"background[{shown(agent)}]", policy)
        _check_text("about", self.about)

    @property
    def config(self) -> WorldConfig:
        return TASKS[self.task]

    @property
    def focal(self) -> list[str]:
        """The agents that the measured policy plays."""
        return [agent for agent in self.config.agents if agent not in self.background]

    def team(self, policy: str) -> str:
        """Return the team in which this policy plays the focal agents: `agent=policy,agent=policy`.

        Raises:
            TypeError: `policy` is not a name.
        """
        _check_text("policy", policy)
        return ",".join(f"{agent}={self.background.get(agent, policy)}" for agent in self.config.agents)


def _check_text(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name} = {shown(value)} must be a text")


def _backgrounds_of(task: str, config: WorldConfig) -> Iterator[tuple[str, str]]:
    """Return the background policies of a task, and their descriptions."""
    if config.auctioned:
        yield "auction-truthful", "bidders that bid what the slot is worth to them"
        yield "auction-pacing", "bidders that make their budgets last"
        yield "auction-greedy", "bidders that bid all that they may"
    elif config.ranked:
        yield "creators-myopic", "creators that publish what is clicked most"
        yield "creators-bait", "creators that always bait"
        yield "creators-reciprocal", "creators that bait if the others do"
    else:
        yield "greedy", "myopic agents"
        yield "content", "agents that look at the profile alone"
        yield "popularity", "agents that show everybody the same"
    for kind, trained in (("team", "as a team"), ("selfish", "each for itself")):
        if (PACKAGE / "learned" / task / kind).is_dir():
            yield f"learned/{task}/{kind}", f"agents that were trained {trained}"
    if config.scale_hundred not in ("greedy", "planner"):
        yield config.scale_hundred, "agents that play for the team"
    if config.planner_price > 0:
        yield "planner", "agents that spare the visitor"
    spares = config.planner_price > 0 or config.scale_hundred != "planner"
    if config.choice.beta_bait > 0 and spares and not config.ranked:
        yield "reciprocal", "agents that repair while the others do"
        yield "grim", "agents that repair until somebody baits"
    if any(role.knows for role in config.roles):
        yield "coverage-alone", "agents that show what their own label makes likely"
        yield "coverage-convention", "agents that leave to the others what these would show"
    if config.offer.kind == "price":
        yield "matcher", "agents that match the lowest price"
        yield "undercutter", "agents that undercut the lowest price"


def _held_out() -> Iterator[tuple[str, Scenario]]:
    """Return scenarios with one focal agent among each kind of others.

    With more than two agents there is also one with all agents focal but one, which is myopic.
    """
    for task, config in TASKS.items():
        _, *others = config.agents
        for policy, description in _backgrounds_of(task, config) if others else ():
            name = policy.replace(f"learned/{task}/", "learned-")
            yield f"{task}/{name}", Scenario(task, dict.fromkeys(others, policy), description)
        myopic = "creators-myopic" if config.ranked else "greedy"
        if len(others) > 1:
            yield f"{task}/one-{myopic}", Scenario(task, {others[-1]: myopic}, "one myopic agent")


SCENARIOS: Mapping[str, Scenario] = ReadOnly(
    ByName("scenario", dict(_held_out())), "`recsys_env.Scenario` makes one of your own"
)
"""The scenarios by name, `task/background`."""


def scenarios_of(names: tuple[str, ...]) -> dict[str, Scenario]:
    """Return scenarios by name, or by the name of a task, which stands for all of its scenarios.

    Raises:
        ValueError: there is no scenario of that name.
        TypeError: something else than names was given.
    """
    if not is_sequence(names):
        raise TypeError(f"names = {shown(names)} must be a list of names of scenarios or tasks")
    found: dict[str, Scenario] = {}
    for name in names:
        _check_text("name of a scenario", name)
        named = {key: scenario for key, scenario in SCENARIOS.items() if name in (key, scenario.task)}
        if not named:
            raise ValueError(unknown("scenario", name, SCENARIOS))
        found |= named
    return found
