"""The table of the learners whose results are published: on which tasks, with which settings, budget and seeds.

All but the generative recommender play the same number of ticks on a task, each a step of every agent. On
`coverage-v0` learners are trained with half of them, too. Learners with a sweep (`sweep.py`) take the settings that it
chose for them on a task; a learner that is `like` another takes the other's, so that the two differ in its own settings
alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

from recsys_env import SUITES, cli
from recsys_env.evaluation.tuning import states_of
from recsys_env.files import read_json

from .algorithms import ALGORITHMS, CMAES, find_algorithm
from .options import Algorithm

TICKS, SHORT = 1_000_000, 500_000  # of a run, in all copies together
MOST_AGENTS = 4  # whose steps count towards a budget: with more agents, a run plays fewer ticks
SEEDS, MORE_SEEDS = 5, 10
WITH_MORE_SEEDS = ("coverage-v0", "duel-v1", "pricing-duel-v0", "social-v1", "market-v0")
MARL = SUITES["marl"].tasks
PUBLISHED = tuple(task for suite in SUITES.values() for task in suite.tasks)
FINITE = ("duel-v1", "pricing-duel-v0")  # games whose equilibria are known: which one a seed ends in is the result
# Tasks that pay several agents for the team's reward, and tasks that pay each of them for itself.
SHARED = tuple(task for task in PUBLISHED if cli.config_of(task).reward.sharing == 1)
SELFISH = tuple(task for task in PUBLISHED if cli.config_of(task).num_agents > 1 and task not in SHARED)
# Where the generative recommender is trained.
LARGE = ("streaming-v1", "ecommerce-v1", "news-v1", "rivals-v1", "crossdomain-v0")
SWEEP = Path(__file__).parent.parent / "benchmarks" / "results" / "sweep.json"
_TEAM: dict[str, Any] = {"sharing": 1.0}
_LARGE: dict[str, Any] = {**_TEAM, "size": "0.3m", "timesteps": 600_000, "threads": 1}


def budget(task: str, ticks: int = TICKS) -> int:
    """Agent-steps of a run in which all agents of the task learn: this number of ticks, or fewer with many agents."""
    return ticks * min(cli.config_of(task).num_agents, MOST_AGENTS)


@dataclass(frozen=True)
class ReferenceLearner:
    """An algorithm and its settings.

    Args:
        name: of the learner.
        algorithm: its name, or module:class.
        tasks: on which it is trained, optionally with changed fields.
        settings: options that differ from the defaults, on all tasks.
        like: the learner that it is a variant of, if it is one.
        ticks: of a run, in all copies together.
    """

    name: str
    algorithm: str
    tasks: tuple[str, ...]
    settings: Mapping[str, Any]
    like: str | None = None
    ticks: int = TICKS

    @property
    def compared(self) -> bool:
        """Whether it is compared with other learners: it is not a variant, or only its budget differs."""
        return self.like is None or self.ticks != TICKS

    def seeds(self, task: str) -> range:
        """Seeds on a task; those of a variant that is not compared are fewer."""
        return range(MORE_SEEDS if task in WITH_MORE_SEEDS and self.compared else SEEDS)

    def job(self, task: str, seed: int = 0) -> Algorithm:
        """The training of one seed on a task, with the settings that a sweep chose."""
        swept = chosen(SWEEP, self.like or self.name, task)
        return self.training(task, seed=seed, timesteps=budget(task, self.ticks), **swept)

    def training(self, task: str, **options: Any) -> Algorithm:
        """A training on a task with these options; the learner's own settings come before them."""
        usual: dict[str, Any] = {"device": "cpu", "compare": ()}  # what policies earn is in the leaderboard
        kind = find_algorithm(self.algorithm)
        if issubclass(kind, CMAES):
            usual["states"] = states_of(cli.config_of(task))  # rankers of bidders look at the auction
        return kind(task=task, **{**usual, **options, **self.settings})


_TABLE = (
    # Paid by the task's own reward.
    ReferenceLearner("ppo-torch", "ppo-torch", PUBLISHED, {}),
    ReferenceLearner("mappo-torch", "ppo-torch", MARL, {"centralised": True}),
    ReferenceLearner("iql-torch", "q-torch", MARL, {}),
    ReferenceLearner("ippo", "ippo", MARL, {}),
    # Tables, on the finite games, by discount.
    *(ReferenceLearner(f"q-table-{gamma}", "q-table", FINITE, {"gamma": gamma}) for gamma in (0.9, 0.99, 0.997)),
    # Teams whose value is mixed.
    *(
        ReferenceLearner(f"{mixer}-torch", "q-torch", tuple(t for t in MARL if t in SHARED), {"mixer": mixer})
        for mixer in ("vdn", "qmix")
    ),
    # Paid by the team's reward where the task pays each agent for itself.
    ReferenceLearner("ppo-torch-team", "ppo-torch", SELFISH, _TEAM),
    ReferenceLearner("cma-es", "cma-es", tuple(t for t in PUBLISHED if not cli.config_of(t).ranked), _TEAM),
    # What an option is worth.
    ReferenceLearner("ppo-torch-myopic", "ppo-torch", (*FINITE, *SHARED), {"gamma": 0.0}, like="ppo-torch"),
    ReferenceLearner(
        "ppo-torch-team-myopic",
        "ppo-torch",
        ("social-v1", "rivals-v1", "market-v0", "ecommerce-v1", "news-v1"),
        {**_TEAM, "gamma": 0.0},
        like="ppo-torch-team",
    ),
    ReferenceLearner("ppo-torch-memory", "ppo-torch", ("coverage-v0", "streaming-v1"), {"memory": 32}, "ppo-torch"),
    ReferenceLearner("ppo-torch-silent", "ppo-torch", ("coverage-v0",), {"set": ("messages=0",)}, like="ppo-torch"),
    # Networks of thirty times the time, and a library with an environment of its own.
    ReferenceLearner("generative", "generative", LARGE, _LARGE),
    ReferenceLearner("generative-grpo", "generative-grpo", LARGE[:2], _LARGE),
    ReferenceLearner("mappo", "mappo", ("duel-v1",), {**_TEAM, "reward_scale": 10.0}),
    ReferenceLearner("qmix", "qmix", ("duel-v1",), {**_TEAM, "reward_scale": 10.0}),
)
# Learners with a sweep, trained for as long as the sweep's runs: who earns more where steps are few.
SHORT_RUNS = tuple(
    replace(learner, name=f"{learner.name}-short", tasks=("coverage-v0",), like=learner.name, ticks=SHORT)
    for learner in _TABLE
    if "coverage-v0" in learner.tasks and learner.like is None and ALGORITHMS[learner.algorithm].swept
)
LEARNERS: dict[str, ReferenceLearner] = {learner.name: learner for learner in (*_TABLE, *SHORT_RUNS)}


def full_length() -> tuple[str, ...]:
    """Names of the learners but those of short runs."""
    return tuple(name for name, learner in LEARNERS.items() if learner.ticks == TICKS)


# ------------------------------------------------------------------------------------------------ sweeps


def chosen(sweep: Path, learner: str, task: str) -> dict[str, Any]:
    """The values of the swept options that earned a learner most on a task, on average over the seeds of a round.

    Empty without a sweep.

    Raises:
        FileError: a damaged file, or one of another kind.
    """
    sweeps = read_sweep(sweep)
    if task not in sweeps.get(learner, {}):
        return {}
    # The last round that all learners with a sweep on this task have, so that each is chosen from as many runs.
    number = min(len(rows[task]["rounds"]) for rows in sweeps.values() if task in rows)
    round_ = sweeps[learner][task]["rounds"][number - 1]
    best = max(
        (run["changed"] for run in round_["runs"]),
        key=lambda changed: fmean(run["reward"]["mean"] for run in round_["runs"] if run["changed"] == changed),
    )
    return {**round_["defaults"], **best}


@cache
def read_sweep(path: Path) -> dict[str, Any]:
    """Read the stored sweeps: learner -> task -> rounds and more (see `sweep.sweep`); empty if there is no file."""
    if not path.is_file():
        return {}
    reward = {"mean": float, "ci95": float}
    run = {"changed": {str: float}, "seed": int, "reward": reward, "processor_seconds": float}
    round_ = {"defaults": {str: (float, None)}, "runs": [run]}
    row = {"beside": str, "agent_steps": int, "rounds": [round_]}
    learners: dict[str, Any] = read_json(path, {"learners": {str: {str: row}}}, "results of sweeps")["learners"]
    return learners
