"""Small results, as they are stored, for tests of what reads them: of two named tasks, two runs of two episodes, which
end early."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from baselines.learners import LEARNERS
from baselines.training_results import TrainingResults
from recsys_env import replace, vector_env
from recsys_env.config import tasks
from recsys_env.evaluation import evaluate, tournament
from recsys_env.exact.policies import save_tables
from recsys_env.files import read_json, signed, write_json
from recsys_env.policies import CHECKPOINT
from recsys_env.policies.shipped import CARD
from recsys_env.provenance import provenance

TASKS = ("ecommerce-v1", "news-v1")
TEAMS = ("random", "blind", "content", "greedy", "planner")
TICKS = 100  # of an episode


def write_evaluation(folder: Path) -> dict[str, Any]:
    """evaluation.json, played."""
    short = {task: replace(tasks.TASKS[task], {"horizon": TICKS}) for task in TASKS}
    with mock.patch.dict(tasks._TASKS, short):
        found = evaluate(TEAMS, TASKS, episodes=2, seeds=2, warmup=0, out=folder / "runs")
    write_json(folder / "evaluation.json", found)
    return json.loads((folder / "evaluation.json").read_text())  # type: ignore[no-any-return]


def write_tournament(folder: Path) -> dict[str, Any]:
    """tournament.json, played."""
    found = tournament(("random", "greedy", "planner"), ("duel-v1",), episodes=2, seeds=2, out=folder / "games")
    write_json(folder / "tournament.json", found)
    return json.loads((folder / "tournament.json").read_text())  # type: ignore[no-any-return]


def write_training(folder: Path, learner: str = "ppo-torch", task: str = "ecommerce-v1") -> Path:
    """The results of a learner of the list on two seeds, made up."""
    source = {name: value for name, value in provenance().items() if name != "command"}
    runs = [made_up_run(seed, reward) for seed, reward in ((0, 2.0), (1, 3.0))]
    settings = LEARNERS[learner].job(task).settings()
    folder.mkdir(exist_ok=True)
    results = TrainingResults(folder / f"{learner}-{task}.json", learner, settings, [source], runs)
    results.write()
    return results.path


def made_up_run(seed: int, reward: float) -> dict[str, Any]:
    """A run that ended with this reward per learner and episode, after 20,000 agent-steps."""
    return {
        "seed": seed,
        "command": f"python -m baselines train --seed {seed}",
        "source": 0,
        "learners": ["recommender_0", "recommender_1"],
        "before": {"mean": 1.0, "ci95": 0.1},
        "after": {"mean": reward, "ci95": 0.1},
        "gain": {"mean": reward - 1, "ci95": 0.1},
        "last": {"mean": reward - 0.5, "ci95": 0.1},
        "kept": "best",
        "kept_agent_steps": 10_000,
        "processor_seconds": 20.0,
        "absolute": [reward - 0.1, reward + 0.1],
        "evaluations": {
            "agent_steps": [10_000, 20_000],
            "seconds": [5.0, 10.0],
            "individual_reward": [[reward], [reward - 0.5]],
        },
        "training": {"agent_steps": 20_000, "seconds": 10.0, "environment_share": 0.1},
        "curve": {"agent_steps": [10_000, 20_000], "episode_reward": [1.0, reward]},
    }


def write_checkpoint(folder: Path) -> Path:
    """A checkpoint of duel-v1 as it ships, made up; its folder."""
    envs, folder = vector_env("duel-v1", 1), folder / "duel-v1" / "q-table-0.99"
    folder.mkdir(parents=True)
    save_tables(folder, envs, {agent: np.array([1, 0, 0]) for agent in envs.possible_agents})
    card = {
        "learner": "q-table-0.99",
        "task": "duel-v1",
        "seed": 1,
        "among": [0, 1, 2],
        "reward": {"mean": 2.0, "ci95": 0.1},
        "kept": "last",
        "settings": LEARNERS["q-table-0.99"].job("duel-v1").settings(),
        "commit": None,
        "date": "2000-01-01",
        "policy": read_json(folder / CHECKPOINT)["digest"],
    }
    write_json(folder / CARD, signed(card))
    return folder


def write_robustness(folder: Path, learner: str = "ppo-torch", task: str = "social-v1") -> Path:
    """What a learner earns beside other partners, made up, of two seeds."""

    def mean(value: float) -> dict[str, float]:
        return {"mean": value, "ci95": 0.1}

    piece = {"settings": {"task": task, "set": []}, "source": provenance()}
    reply = {"agents": {"recommender_0": {"reply": "trained", "paid": mean(3.0), "gain": mean(0.5)}}}
    seeds = {str(s): {"made_of": "a", "source": piece["source"], "exact": False, **reply} for s in range(2)}
    ends = {"random": mean(1.0), "planner": mean(4.0)}
    scenario = {"reward": mean(2.0), "runs": [2.0, 2.0], "score": 33.3, "score_ci95": 1.0, "ends": ends}
    found = {
        "learner": learner,
        "task": task,
        "scenarios": {**piece, "found": {f"{task}/greedy": scenario}, "missing": {}},
        "cross_play": {
            **piece,
            "payoffs": [[3.0, 2.0], [2.0, 3.5]],
            "self_play": mean(3.25),
            "cross_play": mean(2.0),
            "gap": mean(1.25),
            "partners": {"content": mean(2.5), "greedy": mean(1.5)},
            "missing": {},
        },
        "exploitability": {"settings": piece["settings"], "seeds": seeds},
    }
    folder.mkdir(exist_ok=True)
    write_json(folder / f"{learner}-{task}.json", found)
    return folder / f"{learner}-{task}.json"


LEVELS = (
    "clicks_per_page",
    "clicks_per_impression",
    "carts_per_click",
    "bought_per_click",
    "pages_per_session",
    "sessions_per_place",
    "holes_per_page",
    "idle",
    "inactive",
    "pages",
    "pages_sd",
    "pages_min",
    "pages_max",
)
