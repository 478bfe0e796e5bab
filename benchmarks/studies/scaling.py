"""What size, data and computation bring the generative recommender before it is trained in the game.

    python -m benchmarks.studies.scaling                                      # what two cores allow
    python -m benchmarks.studies.scaling --sizes 30m 100m --pages 2000000 --device cuda

Networks of several sizes are pre-trained on several numbers of logged pages. Each row holds the losses on held-out
pages, the reward of the pre-trained policy when it plays all agents on unseen seeds, and the parameters, pages,
floating-point operations and seconds. Rows are stored one by one; stored rows of other sizes and pages with the same
settings are kept.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any, cast

import torch
from torch.utils.flop_counter import FlopCounterMode

from baselines.generative import Generative
from baselines.generative_learner import HELD_OUT, GenerativeLearner, LoggedPages, losses
from baselines.generative_network import GenerativeNetwork
from baselines.training import begin
from recsys_env.evaluation import UNSEEN, episode_returns
from recsys_env.evaluation.statistics import interval
from recsys_env.provenance import provenance

from ..result_files import earlier, store

SIZES, PAGES = ("0.1m", "0.3m", "1m", "3m", "10m"), (12_500, 50_000, 200_000)
EPISODES = 64
ENDS = ("random", "popularity", "nearest", "content", "static", "planner")


def measured(task: str, size: str, pages: int, device: str, threads: int) -> dict[str, Any]:
    """The row of one size and one number of logged pages."""
    with tempfile.TemporaryDirectory() as folder:
        options = Generative(task=task, size=size, pages=pages, device=device, num_envs=2, n_steps=1, out=Path(folder))
        torch.set_num_threads(threads)
        began, training = time.perf_counter(), begin(options)
        learner = GenerativeLearner(training, options)
        seconds = time.perf_counter() - began
        learner.save(Path(folder))
        (agent,) = learner.agents.values()
        own = episode_returns(training.config, folder, EPISODES, UNSEEN)
    pages_with_click = learner.pages
    seen = options.passes * len(pages_with_click) * (1 - HELD_OUT)
    return {
        "size": size,
        "parameters": sum(parameter.numel() for parameter in agent.actor.parameters()),
        "pages": pages,
        "clicks": len(pages_with_click),
        "operations": seen * _operations(cast("GenerativeNetwork", agent.actor), pages_with_click),
        "held_out": learner.pretraining,
        "reward": interval(own.mean(1)),
        "seconds": seconds,
    }


def _operations(network: GenerativeNetwork, pages: LoggedPages) -> float:
    """Floating-point operations of training on one page with a click."""
    some = pages.take(torch.arange(min(64, len(pages))))
    with FlopCounterMode(display=False) as counter:
        torch.stack(losses(network.cpu(), some)).sum().backward()
    return counter.get_total_flops() / len(some)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="streaming-v1")
    parser.add_argument("--sizes", nargs="+", default=list(SIZES))
    parser.add_argument("--pages", nargs="+", type=int, default=list(PAGES))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch on the CPU")
    args = parser.parse_args()
    settings = {"task": args.task, "device": args.device, "threads": args.threads, "episodes": EPISODES}
    rows = dict(earlier("scaling", "rows", settings))
    ends = {name: interval(episode_returns(args.task, name, EPISODES, UNSEEN).mean(1)) for name in ENDS}
    for pages in args.pages:
        for size in args.sizes:
            row = measured(args.task, size, pages, args.device, args.threads)
            rows[f"{size}, {pages}"] = {"source": provenance(), **row}
            store("scaling", settings, {"rows": rows, "beside": ends})
            print({name: row[name] for name in ("size", "parameters", "pages", "reward", "seconds")}, flush=True)


if __name__ == "__main__":
    main()
