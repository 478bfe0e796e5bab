"""Scenarios: the reward per capita of focal agents among held-out opponents and teammates.

    python -m recsys_env evaluate --scenarios social-v1 duel-v1/reciprocal --policies content my_file:MyPolicy

Every policy plays the focal agents of each scenario (`recsys_env.SCENARIOS`) on the same held-out seeds. Score 0 is
`random` in their place. Score 100 is the best policy of `answers_of` the task, which is a lower bound of the best
response. Where rewards are shared, a focal agent's reward is the team's mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import cli
from ..checks import shown
from ..config import WorldConfig
from ..config.scenarios import Scenario, scenarios_of
from ..files import write_json
from ..policies.registry import is_team, made_for_page, made_for_prices
from .episodes import asked_or_usual, checked_policies
from .runs import Run, obstacle, play_all
from .statistics import interval, normalised_score, origin
from .tables import grid, normalised, spread


def play_scenarios(
    policies: tuple[str, ...] | None,
    scenarios: tuple[str, ...],
    episodes: int = 50,
    seeds: int = 5,
    warmup: int = 1,
    out: Path = Path("runs/scenarios"),
    resume: bool = False,
) -> dict[str, Any]:
    """Play policies as the focal agents of scenarios.

    Args:
        policies: names, folders of trained policies, or module:factory. None = those that `compared` names for the task
            of each scenario.
        scenarios: names of scenarios, or of tasks for all of their scenarios.
        episodes, seeds, warmup, out, resume: as in `evaluate`; the summary is scenarios.json.

    Returns:
        scenarios: name -> task, about, focal, background, ends (of the scale), policies: policy -> mean, ci95, runs,
        score, score_ci95, best first. `show` prints it.

    Raises:
        ValueError, ImportError, RuntimeError: a name is unknown, or as in `recsys_env.evaluation.runs.play_all`.
    """
    cli.require("evaluate", "scipy", "rich", "tqdm")
    cli.at_least(1, episodes=episodes, seeds=seeds)
    cli.at_least(0, warmup=warmup)
    cli.not_empty(scenarios=scenarios)
    policies = checked_policies(policies)
    for policy in filter(is_team, policies or ()):
        raise ValueError(f"{shown(policy)} is a team; the focal agents of a scenario are played by one policy")
    wanted = scenarios_of(scenarios)
    report = {"scenarios": results_of(wanted, policies, range(seeds), episodes, warmup, out, resume)}
    write_json(out / "scenarios.json", report)
    return report


def results_of(
    wanted: Mapping[str, Scenario],
    policies: tuple[str, ...] | None,
    seeds: Iterable[int],
    episodes: int,
    warmup: int,
    out: Path,
    resume: bool,
    changes: Sequence[str] = (),
) -> dict[str, Any]:
    """Play policies as the focal agents of scenarios, beside `random` and the policies of `answers_of`.

    Args:
        wanted: scenarios by name.
        policies, episodes, warmup, out, resume: as in `play_scenarios`.
        seeds: s of each run; see `Run`.
        changes: fields that are changed in the scenarios' tasks, such as "mask_actions=True".

    Returns:
        name of a scenario -> `standings`.
    """
    seeds = list(seeds)
    answers = {
        name: [
            policy for policy in answers_of(scenario.config) if not obstacle(scenario.config, scenario.focal[0], policy)
        ]
        for name, scenario in wanted.items()
    }
    played = {
        (name, policy): [
            Run(",".join([scenario.task, *changes]), scenario.team(policy), seed, episodes, warmup, False)
            for seed in seeds
        ]
        for name, scenario in wanted.items()
        for policy in dict.fromkeys(("random", *answers[name], *asked_or_usual(policies, scenario.config)))
    }
    results = iter(play_all([run for runs in played.values() for run in runs], out, resume))
    found = {key: [next(results) for _ in runs] for key, runs in played.items()}
    return {
        name: standings(scenario, {policy: runs for (of, policy), runs in found.items() if of == name}, answers[name])
        for name, scenario in wanted.items()
    }


def answers_of(config: WorldConfig) -> list[str]:
    """Return the policies of which the best one is 100 in a task's scenarios, as far as they can play it."""
    known = ("greedy", "planner", "static", "equilibrium", "joint", config.scale_hundred)
    return list(dict.fromkeys((*known, *made_for_prices(config), *made_for_page(config))))


def standings(
    scenario: Scenario, runs: Mapping[str, Sequence[Mapping[str, Any]]], answers: Sequence[str]
) -> dict[str, Any]:
    """Return the scores of each policy in a scenario; see `play_scenarios`.

    Args:
        runs: policy -> results of `runs.play`, on the same seeds, including `random` and the answers.
    """
    earned = {
        policy: np.array([per_capita(scenario, run["individual_reward"]) for run in of]) for policy, of in runs.items()
    }
    best = max(answers, key=lambda policy: earned[policy].mean())
    ranked = {}
    for policy in sorted(earned, key=lambda policy: -earned[policy].mean()):
        score, width = normalised_score(earned[policy], earned["random"], earned[best])
        ranked[policy] = {
            **interval(earned[policy]),
            "runs": earned[policy].tolist(),
            "score": score if np.isfinite(score) else None,
            "score_ci95": width if np.isfinite(width) else None,
        }
    first = next(iter(runs.values()))
    return {
        "task": scenario.task,
        "about": scenario.about,
        "focal": scenario.focal,
        "background": dict(scenario.background),
        "episodes": first[0]["episodes"],
        "ends": ["random", best],
        "policies": ranked,
        "origin": origin([run for of in runs.values() for run in of]),
    }


def per_capita(scenario: Scenario, individual: Sequence[Sequence[float]]) -> float:
    """Return the mean reward of the focal agents from individual rewards [E][N]; where rewards are shared, of all
    agents."""
    agents = scenario.config.agents
    shared = scenario.config.reward.sharing == 1
    columns = [n for n, agent in enumerate(agents) if shared or agent in scenario.focal]
    return float(np.asarray(individual)[:, columns].mean())


def show(report: Mapping[str, Any]) -> None:
    """Print the table of each scenario of a result of `play_scenarios`."""
    for name, found in report["scenarios"].items():
        low, high = found["ends"]
        grid(
            f"{name}: {found['about']}; focal {', '.join(found['focal'])}; ± 95 % (t over runs)",
            ["policy", "reward per focal agent and episode", f"0 = {low}, 100 = {high}"],
            [[policy, spread(row), normalised(row)] for policy, row in found["policies"].items()],
        )
