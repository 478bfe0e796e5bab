"""How well policies do in catalogues and beside rivals that they have not trained with.

    python -m baselines train ppo-torch --task streaming-v1 --catalogues 16 --out runs/ppo --compare
    python -m baselines train generative --task streaming-v1 --catalogues 16 --out runs/generative --compare
    python -m benchmarks.studies.unseen --task streaming-v1 --policies runs/ppo runs/generative content linucb

Each policy plays the first agent in the worlds that `--catalogues 16` trains in (0 to 15) and in as many others (16 to
31). The other agents play the same policy, as in training, or one that the learners have not met. The result is the
first agent's individual reward per episode, with intervals over worlds. Every policy meets the same people in the same
world.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from recsys_env import task_config
from recsys_env.cli import CATALOGUES
from recsys_env.evaluation import UNSEEN, episode_returns
from recsys_env.evaluation.statistics import interval
from recsys_env.files import read_json

from .study import by_policy

POLICIES = ("random", "content", "static", "linucb", "linear-thompson", "greedy")
COMPANY = ("itself", "random", "content", "greedy")
EPISODES = 16  # in each world


def measured(task: str, policy: str) -> dict[str, dict[str, Any]]:
    """kind of catalogue -> company -> individual reward of the first agent."""
    return {
        kind: {who: interval(np.array([_own(task, policy, who, seed) for seed in seeds])) for who in COMPANY}
        for kind, seeds in CATALOGUES.items()
    }


def _own(task: str, policy: str, company: str, world_seed: int) -> float:
    config = task_config(task, {"world_seed": world_seed})
    others = [policy if company == "itself" else company] * (config.num_agents - 1)
    return float(episode_returns(config, [policy, *others], EPISODES, UNSEEN + world_seed)[:, 0].mean())


def trained(rows: dict[str, Any], policies: dict[str, str]) -> dict[str, Any]:
    """How the policies in folders were trained."""
    begun = {name: Path(policy) / "config.json" for name, policy in policies.items()}
    return {"trained": {name: read_json(config) for name, config in begun.items() if config.is_file()}}


def main() -> None:
    settings = {"episodes": EPISODES, "company": list(COMPANY)}
    by_policy(__doc__, "unseen-{task}", "streaming-v1", POLICIES, measured, trained, **settings)


if __name__ == "__main__":
    main()
