"""What it is worth to one domain to know what another knows of the same person, in `crossdomain-v0`.

    python -m benchmarks.studies.crossdomain [--seeds 5] [--total-steps 2000000]

The domains play under three levers:

- alone: each domain has its own histories.
- messages: a domain says one of 8 words with each page, and whoever serves the person next hears it.
- pooled: all domains have everybody's histories (`observation.share`).

Policies play as a team, and the one-file PPO is trained from several seeds under each lever. The generative recommender
is pre-trained on logged pages of the other two domains, of its own, or of all three. It then plays its domain without
further training, and `content` plays the others. The results are individual reward per agent and episode (for the
generative recommender: of its domain) and individual reward per page of visitors who are new to a domain and known to
another.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from baselines.algorithms import Generative, TorchPPO
from baselines.generative_learner import GenerativeLearner
from baselines.train import train
from baselines.training import begin
from recsys_env import WorldConfig, cli, task_config
from recsys_env.evaluation import UNSEEN
from recsys_env.evaluation.episodes import begin_episodes
from recsys_env.evaluation.statistics import interval

from .study import beside, measure, options

TASK, EPISODES = "crossdomain-v0", 100
LEVERS: dict[str, tuple[str, ...]] = {
    "alone": (),
    "messages": ("messages=8",),
    "pooled": ("observation.share=True",),
}
POLICIES = ("random", "popularity", "nearest", "content", "static", "greedy", "planner")
SIZE, PAGES = "0.3m", 100_000
MEASURES = ("individual_reward", "new here")
SOURCES: dict[str, Callable[[str, str], bool]] = {  # whether an agent is pre-trained on another's pages
    "other domains": lambda other, agent: other != agent,
    "its own": lambda other, agent: other == agent,
    "all": lambda other, agent: True,
}


def played(config: WorldConfig, policies: Any) -> tuple[np.ndarray, np.ndarray]:
    """Individual reward [E, N], and [2, E, N]: the reward of pages of visitors who are new to a domain and known to
    another, and the number of these pages."""
    envs, team, observations = begin_episodes(config, policies, EPISODES, UNSEEN)
    actions, own, first = (
        envs.empty_actions(),
        np.zeros((EPISODES, envs.num_agents)),
        np.zeros((2, EPISODES, envs.num_agents)),
    )
    for _ in range(config.horizon):
        here = envs.field(observations, "visits")[..., 0] < 0.2  # the first session: visits / (5 + visits) is 1 / 6
        new = envs.active & here & (envs.latent_users()["sessions"] > 1)[:, None]
        team.act(observations, actions)
        observations, _, _, truncated, infos = envs.step(actions)
        team.observe(infos, truncated)
        own += infos["individual_reward"]
        first += infos["individual_reward"] * new, new
    return own, first


def pulled(lever: str) -> WorldConfig:
    """The task under a lever."""
    return task_config(TASK, cli.assignments(LEVERS[lever]))


def told(config: WorldConfig, policies: Any) -> dict[str, Any]:
    own, new = played(config, policies)
    earned, pages = new.sum(2)
    return {"individual_reward": interval(own.mean(1)), "new here": interval(earned / np.maximum(pages, 1))}


def trained(lever: str, seed: int, steps: int) -> dict[str, Any]:
    """The result of a team that PPO trained under a lever."""
    with tempfile.TemporaryDirectory() as folder:
        run: dict[str, Any] = {"device": "cpu", "compare": (), "set": LEVERS[lever]}
        train(TorchPPO(TASK, timesteps=steps, seed=seed, out=Path(folder), **run))
        return told(pulled(lever), folder)


def pretrained(agent: str, on: tuple[str, ...], seed: int) -> dict[str, float]:
    """The result of a domain's generative recommender that was pre-trained on pages of these domains."""
    config = task_config(TASK, {})
    with tempfile.TemporaryDirectory() as folder:
        run: dict[str, Any] = {"background": ("content",), "learners": (agent,), "num_envs": 1, "n_steps": 1}
        options = Generative(
            TASK, size=SIZE, pages=PAGES, pretrain_on=on, seed=seed, device="cpu", out=Path(folder), **run
        )
        GenerativeLearner(begin(options), options).save(Path(folder))
        own, new = played(config, {other: folder if other == agent else "content" for other in config.agents})
    n = config.agents.index(agent)
    earned, pages = new[:, :, n].sum(1)
    return {"individual_reward": float(own[:, n].mean()), "new here": float(earned / pages)}


def of_lever(lever: str, seeds: int, steps: int) -> dict[str, Any]:
    """Rows of the policies and of PPO under a lever."""
    policies = dict.fromkeys([*POLICIES, *beside(pulled(lever))]) if lever != "messages" else ()
    rows = {policy: told(pulled(lever), policy) for policy in policies}
    runs = [trained(lever, seed, steps) for seed in range(seeds)]
    return {**rows, "ppo-torch": {name: interval(np.array([run[name]["mean"] for run in runs])) for name in MEASURES}}


def of_sources(kind: str, seeds: int) -> dict[str, Any]:
    """What generative recommenders earn that are pre-trained on these pages."""
    agents = task_config(TASK, {}).agents
    of = {agent: tuple(other for other in agents if SOURCES[kind](other, agent)) for agent in agents}
    each = [[pretrained(agent, of[agent], seed) for agent in agents] for seed in range(seeds)]
    return {name: interval(np.array([np.mean([one[name] for one in team]) for team in each])) for name in MEASURES}


def main() -> None:
    given = options(__doc__, seeds=5, total_steps=2_000_000)
    settings = {"task": TASK, "seeds": given.seeds, "agent_steps": given.total_steps, "episodes": EPISODES}
    settings |= {"size": SIZE, "pages": PAGES}
    generative = {kind: of_sources(kind, given.seeds) for kind in SOURCES}
    cells = {lever: partial(of_lever, lever, given.seeds, given.total_steps) for lever in LEVERS}
    measure("crossdomain", settings, cells, "levers", given.again, lambda rows: {"generative": generative})


if __name__ == "__main__":
    main()
