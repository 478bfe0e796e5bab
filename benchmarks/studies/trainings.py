"""Trainings of a study: each runs on one thread, and its policy plays the held-out episodes."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from baselines.algorithms import TorchPPO
from baselines.train import train
from recsys_env import TASKS, register_task, task_config
from recsys_env.provenance import provenance

from ..result_files import earlier, store
from .played import HELD_OUT, play, ratio


class Case(NamedTuple):
    """A training of the one-file PPO: the task, what is changed of it, and options of the run.

    Without a background, all agents learn.
    """

    task: str
    change: Mapping[str, Any]
    options: Mapping[str, Any]


def all_options(training: Mapping[str, Any]) -> dict[str, Any]:
    """All hyper-parameters of a study's trainings, also those at their defaults, which may change: runs with others are
    not added to a stored result. Their steps are the study's own."""
    options = TorchPPO("duel-v1", **training).hyperparameters()
    return {name: value for name, value in options.items() if name != "timesteps"}


def trained(name: str, case: Case, seed: int, episodes: int) -> dict[str, Any]:
    """Train a case with one seed, and play the held-out episodes.

    Args:
        name: of the case.
        case: whose option `timesteps` counts the steps of all agents of the task, so that a learner plays as many ticks
            whether the others learn or not.

    Returns:
        source, seconds; own: [E] reward per learner of the policy that was best in validation; validation: agent-steps
        and mean reward of each evaluation during training.
    """
    began = time.perf_counter()
    torch.set_num_threads(1)
    task = f"{name.replace(' ', '-')}-v0"
    if task not in TASKS:
        register_task(task, task_config(case.task, case.change))
    config, background = task_config(task, {}), dict(agent.split("=") for agent in case.options.get("background", ()))
    learners = [n for n, agent in enumerate(config.agents) if agent not in background]
    steps = case.options["timesteps"] * len(learners) // config.num_agents
    with tempfile.TemporaryDirectory() as folder:
        options = {"device": "cpu", "compare": (), **case.options, "timesteps": steps}
        run = TorchPPO(task, seed=seed, out=Path(folder) / "run", **options)
        found = train(run)
        team = [background.get(agent, str(run.out)) for agent in config.agents]
        own = play(config, team, episodes, HELD_OUT)[0][:, learners].mean(1)
    curve = [[point["agent_steps"], float(np.mean(point["individual_reward"]))] for point in found["evaluations"]]
    seconds = time.perf_counter() - began
    print(f"{name}, seed {seed}: {own.mean():.2f}, {seconds:.0f} s, validation {curve}", flush=True)
    return {"source": provenance(), "individual_reward": own.tolist(), "validation": curve, "seconds": seconds}


def train_and_store(
    name: str,
    settings: Mapping[str, Any],
    scripted: Callable[[], dict[str, Any]],
    cases: Mapping[str, Case],
    compared: str,
    compare: Callable[[Mapping[str, Any]], Any],
    given: argparse.Namespace,
) -> None:
    """Measure what scripted policies earn, and train each case with each seed, some at once. Each is stored as it ends,
    and what an earlier run with the same settings has stored is kept.

    Args:
        name: of the result.
        compared, compare: what follows from the trainings (case -> seed -> result), under this name.
        given: the command line, with `seeds`, `episodes`, `workers` and `again`.
    """
    there, runs = ({} if given.again else dict(earlier(name, part, settings)) for part in ("scripted", "learned"))

    def keep() -> None:
        print(store(name, settings, {"scripted": there, "learned": runs, compared: compare(runs)}), flush=True)

    if not there:
        there.update({"source": provenance(), **scripted()})
        keep()
    with ProcessPoolExecutor(given.workers, mp_context=get_context("spawn")) as pool:
        waiting = {
            pool.submit(trained, case, cases[case], seed, given.episodes): (case, str(seed))
            for seed in range(given.seeds)
            for case in cases
            if str(seed) not in runs.get(case, {})
        }
        for done in as_completed(waiting):
            case, seed = waiting[done]
            runs.setdefault(case, {})[seed] = done.result()
            keep()


def paired_gain(runs: Mapping[str, Mapping[str, Any]], one: str, other: str) -> dict[str, Any]:
    """Share by which one case earns more than the other, over the seeds that both have."""
    first, second = (runs.get(case, {}) for case in (one, other))
    seeds = sorted(set(first) & set(second))
    if not seeds:
        return {"mean": None, "ci95": None}
    means = [np.array([np.mean(of[seed]["individual_reward"]) for seed in seeds]) for of in (first, second)]
    return ratio(means[0] - means[1], means[1])
