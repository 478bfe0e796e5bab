"""What size and data bring the generative recommender before it is trained in the game.

    python -m benchmarks.studies.scaling                                      # what two cores allow
    python -m benchmarks.studies.scaling --tasks streaming-v1 playlist-v0 --sizes 1m 10m 30m --device cuda
    python -m benchmarks.studies.scaling --sizes 0.1m --pages 12500 50000 --episodes 16   # in minutes

Networks of several sizes are pre-trained on several numbers of logged pages until the loss on held-out visitors no
longer falls, with three seeds each. Each of them then plays the first agent. Policies that are not pre-trained are
measured beside it: every policy has the same rivals and plays the same held-out episodes, a seed's own. Intervals are
over seeds.

Cells (a size, a number of pages and a seed) are stored one by one with the seconds that they took. A run continues
where one with the same settings stopped; `--again` measures the cells that it names anew.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from baselines.algorithms import Generative, Pretraining
from baselines.generative_pretraining import Recommender, losses
from baselines.logged_pages import LoggedPages
from baselines.pretraining import total_loss
from baselines.training import begin
from recsys_env import cli
from recsys_env.batch.tensors import choose_device
from recsys_env.evaluation.runs import Run, play
from recsys_env.provenance import provenance
from recsys_env.trained import generative
from recsys_env.trained.generative import GenerativeNetwork
from recsys_env.trained.pages import SHARED

from ..result_files import earlier
from .study import beside, measure, options

SIZES, PAGES, SEEDS = ("0.1m", "0.3m", "1m", "3m", "10m"), (12_500, 50_000, 200_000), 3
EPISODES, WARM_UP = 64, 1
RIVALS = "content"


def earned(task: str, policy: str, seed: int, episodes: int) -> float:
    """Mean individual reward of a policy that plays the first agent beside the rivals, on the episodes of a seed."""
    first, *others = cli.config_of(task).agents
    team = ",".join([f"{first}={policy}", *(f"{other}={RIVALS}" for other in others)])
    own = play(Run(task, team, seed, episodes, WARM_UP, metrics=False))["individual_reward"]
    return float(np.mean([episode[0] for episode in own]))


class Study:
    """The cells of a task.

    Args:
        task: its name.
        args: of the command line.
    """

    def __init__(self, task: str, args: argparse.Namespace) -> None:
        self.task, self.args = task, args
        self.settings = {"task": task, "device": args.device, "threads": args.threads, "episodes": args.episodes}
        options = Generative(task=task, pretraining_steps=args.steps)
        pretraining = {name: getattr(options, name) for name in Pretraining.__annotations__ if name != "pages"}
        self.settings |= {"rivals": RIVALS, "warmup": WARM_UP, "pretraining": pretraining}
        self._logged: tuple[tuple[int, int], LoggedPages] | None = None

    @property
    def name(self) -> str:
        return f"scaling-{self.task}"

    def run(self) -> None:
        """Measure what stands beside the cells, then all cells, those of a number of pages and a seed one after the
        other."""
        args, policies = self.args, beside(cli.config_of(self.task))
        around = {policy: partial(self._around, policy) for policy in policies}
        kept = {"cells": earlier(self.name, "cells", self.settings)}
        stored = earlier(self.name, "beside", self.settings)
        again = args.again or any(len(row["individual_reward"]) < args.seeds for row in stored.values())
        found = measure(self.name, self.settings, around, "beside", again, lambda rows: kept)
        keys = [
            (size, pages, seed) for pages, seed, size in itertools.product(args.pages, range(args.seeds), args.sizes)
        ]
        cells = {", ".join(map(str, key)): partial(self._cell, *key) for key in keys}
        measure(self.name, self.settings, cells, "cells", args.again, lambda rows: {"beside": found})

    def _around(self, policy: str) -> dict[str, Any]:
        own = [earned(self.task, policy, seed, self.args.episodes) for seed in range(self.args.seeds)]
        return {"source": provenance(), "individual_reward": own}

    def _cell(self, size: str, pages: int, seed: int) -> dict[str, Any]:
        began, device = time.perf_counter(), self.args.device
        with tempfile.TemporaryDirectory() as folder:
            options = Generative(
                task=self.task,
                size=size,
                pages=pages,
                pretraining_steps=self.args.steps,
                seed=seed,
                device=device,
                num_envs=1,
                out=Path(folder),
            )
            torch.set_num_threads(self.args.threads)
            torch.manual_seed(seed)
            training = begin(options)
            envs = training.make_envs()
            recommender = Recommender(envs, options)
            logged = self._pages(recommender, training.config, pages, seed)
            logging = time.perf_counter() - began
            network = recommender.network().to(choose_device(device))
            recommender.pretrain(network, logged)
            pretraining = time.perf_counter() - began - logging
            generative.save(Path(folder), envs, {SHARED: network}, recommender.measured)
            own = earned(self.task, folder, seed, self.args.episodes)
        steps = int(recommender.measured["curve"][-1]["step"])
        return {
            "source": provenance(),
            "size": size,
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            "pages": pages,
            "seed": seed,
            "clicks": int(logged.has_click.sum()),
            "steps": steps,
            "operations": steps * 2 * options.pretraining_batch * operations(network, logged),
            "best": min(recommender.measured["curve"], key=total_loss),
            "predictors": recommender.measured["beside"],
            "individual_reward": own,
            "seconds": {"logging": logging, "pre-training": pretraining, "all": time.perf_counter() - began},
        }

    def _pages(self, recommender: Recommender, config: Any, pages: int, seed: int) -> LoggedPages:
        """Log pages, or take those of the cell before: all sizes read the same."""
        if self._logged is None or self._logged[0] != (pages, seed):
            self._logged = (pages, seed), recommender.log(config)
        return self._logged[1]


def operations(network: GenerativeNetwork, pages: LoggedPages) -> float:
    """Floating-point operations of training on a page."""
    some = pages.take(torch.arange(min(64, len(pages))))
    with FlopCounterMode(display=False) as counter:
        torch.cat([*losses(network.cpu(), some).values()]).sum().backward()
    return counter.get_total_flops() / len(some)


def main() -> None:
    given = options(
        __doc__,
        tasks=("streaming-v1", "playlist-v0"),
        sizes=SIZES,
        pages=PAGES,
        seeds=SEEDS,
        episodes=EPISODES,
        steps=Generative.pretraining_steps,
        device="auto",
        threads=2,
    )
    for task in given.tasks:
        Study(task, given).run()


if __name__ == "__main__":
    main()
