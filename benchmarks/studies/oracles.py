"""Search for oracles that plan by weights, where they earn more than `planner`: the references 100 of these tasks.

    python -m benchmarks.studies.oracles [TASK ...]
    python -m benchmarks.studies.evidence streaming-v1 --rows learned/streaming-v1/oracle    # add it to the card

`learned/TASK/oracle` ranks by what agents observe and by what they do not, with weights that move with the visitor's
satisfaction. Cross-entropy finds them on training seeds, starting from those of `static` and the utility. The folders
are part of the package. Where the planner values a click by the visitor's satisfaction alone, these weights also spare
topics that the visitor has had enough of.
"""

from __future__ import annotations

import argparse

import numpy as np

from recsys_env import TASKS, WorldConfig, cli, vector_env
from recsys_env.config.scenarios import PACKAGE
from recsys_env.evaluation.tuning import Budget, Found, best_ranker
from recsys_env.policies.linear import LATENT, static_weights, weight_names

SEED = 50  # of the searches; those of evidence cards and of `tune` have seed 0, those of background policies 5 to 8
BUDGET = Budget(population=40, episodes=16, generations=30, searches=1)


def first_weights(config: WorldConfig) -> np.ndarray:
    """Return the weights [R, 2, W] of `static`, and those of the utility relative to that of taste."""
    names, choice = weight_names(config, vector_env(config).shape, latent=True), config.choice
    utility = choice.beta_taste, choice.beta_quality, 0.0, choice.beta_intent, -choice.beta_satiation
    start = np.zeros((len(config.roles), 2, len(names)))
    for n in range(config.num_agents):
        terms = static_weights(config, n) | dict(zip(LATENT, np.array(utility) / choice.beta_taste, strict=True))
        start[config.role_index(n), 0] = [terms.get(name, 0.0) for name in names]
    return start


def oracle(config: WorldConfig) -> Found:
    return best_ranker(config, latent=True, start=first_weights(config), budget=BUDGET, seed=SEED)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", nargs="*", default=["streaming-v1"])
    try:
        for task in cli.known_tasks(parser.parse_args().task):
            config, folder = TASKS[task], PACKAGE / "learned" / task / "oracle"
            found = oracle(config)
            found.save(config, folder)
            print(f"{folder}: a team of it earns {found.scores[0][0]:.2f} ±{found.scores[0][1]:.2f}")
    except (ValueError, OSError) as error:
        cli.fail(error)


if __name__ == "__main__":
    main()
