"""Compare kinds of recommender in one market: language models, generative recommender, learners, bandits, filters.

    python -m benchmarks.studies.kinds --policies llm:smollm2 llm:runs/tuned linucb lightfm content
    python -m benchmarks.studies.kinds --tasks crossdomain-v0 --policies runs/generative runs/ppo linucb --ticks 600
    python -m benchmarks.studies.kinds --policies llm:smollm2 linucb content --beside all --episodes 16

Every policy plays the first agent. The other agents play the first agent's own policy or, in turn, those of `--beside`,
which are the same for every row; `all` = every policy, which takes long where a page of a language model takes a
second. Rows of simple policies are added to those that `--policies` names (`study.beside`). As rivals, each agent's
individual reward counts; as a mixed team, their sum. The result also holds the visitors' satisfaction, diversity and
rating on the whole platform, and the cost of a page of the first agent. For policies that need at most a millisecond
per page it holds a lower bound of what one agent of a team gains by its best reply, which a search looks for. Episodes
are as short as language models need (--ticks). Stored rows of other policies with the same settings are kept.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from recsys_env import VectorEnv, WorldConfig, task_config
from recsys_env.evaluation import UNSEEN
from recsys_env.evaluation.log import EpisodeLog
from recsys_env.evaluation.metrics import METRICS
from recsys_env.evaluation.statistics import interval
from recsys_env.evaluation.tuning import Budget
from recsys_env.exact import exploitability
from recsys_env.policies import Team
from recsys_env.provenance import provenance

from .study import beside, measure, named, options

PLATFORM = ("satisfaction", "diversity", "rating", "page_ctr")
QUICK = 1.0  # milliseconds per page; no best reply is searched for slower policies
BUDGET = Budget(generations=8, searches=1)


def played(config: WorldConfig, first: str, background: str, episodes: int) -> dict[str, Any]:
    """What the first agent and all agents earn, the platform's metrics, and the cost of the first agent's page."""
    envs = VectorEnv(config, episodes)
    agent, *seats = envs.possible_agents
    focal, rest = Team(envs, {agent: first}, UNSEEN), Team(envs, dict.fromkeys(seats, background), UNSEEN)
    observations, _ = envs.reset(seed=UNSEEN)
    log = EpisodeLog(envs)
    actions, own = envs.empty_actions(), np.zeros((episodes, envs.num_agents))
    for _ in range(config.horizon):
        log.look()
        rest.act(observations, actions)
        focal.act(observations, actions)
        observations, _, _, truncated, infos = envs.step(actions)
        own += infos["individual_reward"]
        log.record(infos)
        for team in (rest, focal):
            team.observe(infos, truncated)
    platform = {name: METRICS[name].of(log)[:, -1] for name in PLATFORM}
    return {
        "individual_reward": interval(own[:, 0]),
        "all": interval(own.sum(1)),
        "costs": focal.costs(),
        **{
            name: interval(values[np.isfinite(values)])
            for name, values in platform.items()
            if np.isfinite(values).any()
        },
    }


def measured(
    task: str, ticks: int, name: str, policies: dict[str, str], others: dict[str, str], episodes: int
) -> dict[str, Any]:
    """The row of a policy, which plays beside itself and beside each of the other policies."""
    policy = policies[name]
    config = task_config(task, {"horizon": ticks})
    beside = {
        other: played(config, policy, others_play, episodes) for other, others_play in {name: policy, **others}.items()
    }
    row: dict[str, Any] = {"source": provenance(), "beside": beside}
    if beside[name]["costs"].get("ms", 0.0) <= QUICK:
        found = exploitability(policy, config, budget=BUDGET, agents=config.agents[:1], episodes=64)
        row["best reply gains"] = found["agents"][config.agents[0]]["gain"]
    return row


def main() -> None:
    given = options(
        __doc__,
        tasks=("grocery-v1",),
        policies=("random", "content", "linucb"),
        beside=("content", "linucb"),
        episodes=4,
        ticks=60,
    )
    for task in given.tasks:
        policies = named(dict.fromkeys([*given.policies, *beside(task_config(task, {}))]))
        others = policies if list(given.beside) == ["all"] else named(given.beside)
        settings = {"task": task, "episodes": given.episodes, "ticks": given.ticks, "beside": sorted(others)}
        cells = {
            name: partial(measured, task, given.ticks, name, policies, others, given.episodes) for name in policies
        }
        measure(f"kinds-{task}", settings, cells, again=given.again)


if __name__ == "__main__":
    main()
