"""Search for the rankers that are part of the package: background policies of scenarios, and oracles.

    python -m benchmarks.studies.backgrounds [TASK ...]               # background policies
    python -m benchmarks.studies.backgrounds TASK ... --oracles

`learned/TASK/team` is the best ranker for all agents together that a cross-entropy search finds. `learned/TASK/selfish`
starts from it; in several rounds each role in turn becomes its best reply to the others, as selfish learners with
foresight would. The weights of these rankers move with what agents observe (`recsys_env.evaluation.tuning.STATES`).
Tasks in which all rewards are shared have only a team. Two kinds of tasks have none: finite ones, which have exact
answers instead, and those in which roles know labels, where rankers earn less than chance.

`learned/TASK/oracle` ranks by what agents observe and by what they do not, with weights that move with the visitor's
satisfaction, starting from those of `static` and the utility. It is the reference 100 where it earns more than
`planner`, which values a click by the visitor's satisfaction alone; the weights also spare topics that the visitor has
had enough of.

The searches have seeds of their own, so that no other training has seen the same episodes.
"""

from __future__ import annotations

import argparse

import numpy as np

from recsys_env import TASKS, WorldConfig, cli, vector_env
from recsys_env.config.scenarios import PACKAGE
from recsys_env.evaluation.tuning import STATES, Budget, Found, best_ranker
from recsys_env.policies.linear import LATENT, static_weights, weight_names

from .evidence import split_of

SEED, ORACLE_SEED = 5, 50  # first seeds of the searches; those of evidence cards and of `tune` have seed 0
TEAM, REPLY, ROUNDS = Budget(generations=16, episodes=8, searches=1), Budget(generations=6, episodes=8, searches=1), 3
ORACLE = Budget(population=40, episodes=16, generations=30, searches=1)


def team(config: WorldConfig) -> Found:
    """Search for the rankers with which all agents together earn most."""
    return best_ranker(config, states=STATES, budget=TEAM, seed=SEED)


def selfish(config: WorldConfig, found: Found) -> Found:
    """Let each role in turn take its best reply to the others, `ROUNDS` times, starting from a team's rankers."""
    for number in range(ROUNDS):
        for n in range(len(config.roles)):
            learner = config.agents[n]
            background = {agent: found.policy(config, m) for m, agent in enumerate(config.agents) if agent != learner}
            reply = best_ranker(
                config,
                background=background,
                states=STATES,
                start=found.weights,
                budget=REPLY,
                seed=SEED + 1 + number,
            )
            weights = found.weights.copy()
            weights[n] = reply.weights[n]
            found = reply._replace(weights=weights)
    return found


def save_backgrounds(task: str) -> None:
    """Write the folders of a task."""
    config, folder = TASKS[task], PACKAGE / "learned" / task
    found = team(config)
    found.save(config, folder / "team")
    print(f"{folder / 'team'}: all of them earn {found.scores[0][0]:.2f} ±{found.scores[0][1]:.2f}")
    if config.reward.sharing < 1:
        found = selfish(config, found)
        found.save(config, folder / "selfish")
        print(f"{folder / 'selfish'}: the last to reply earns {found.scores[0][0]:.2f} ±{found.scores[0][1]:.2f}")


def first_weights(config: WorldConfig) -> np.ndarray:
    """Return the weights [R, 2, W] of `static`, and those of the utility relative to that of taste."""
    names, choice = weight_names(config, vector_env(config).shape, latent=True), config.choice
    utility = choice.beta_taste, choice.beta_quality, 0.0, choice.beta_intent, -choice.beta_satiation
    start = np.zeros((len(config.roles), 2, len(names)))
    for n in range(config.num_agents):
        terms = static_weights(config, n) | dict(zip(LATENT, np.array(utility) / choice.beta_taste, strict=True))
        start[config.role_index(n), 0] = [terms.get(name, 0.0) for name in names]
    return start


def save_oracle(task: str) -> None:
    """Write the folder of a task's oracle."""
    config, folder = TASKS[task], PACKAGE / "learned" / task / "oracle"
    found = best_ranker(config, latent=True, start=first_weights(config), budget=ORACLE, seed=ORACLE_SEED)
    found.save(config, folder)
    print(f"{folder}: a team of it earns {found.scores[0][0]:.2f} ±{found.scores[0][1]:.2f}")


def _has_better(config: WorldConfig) -> bool:
    """Whether better background policies exist: exact answers, or policies that use the label that a role knows."""
    return config.scale_zero == "equilibrium" or bool(split_of(config))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usual = [task for task, config in TASKS.items() if config.num_agents > 1 and not _has_better(config)]
    parser.add_argument("task", nargs="*", default=usual)
    parser.add_argument("--oracles", action="store_true", help="search for oracles in place of background policies")
    args = parser.parse_args()
    try:
        for task in cli.known_tasks(args.task):
            (save_oracle if args.oracles else save_backgrounds)(task)
    except (ValueError, OSError) as error:
        cli.fail(error)


if __name__ == "__main__":
    main()
