"""Evaluation runs: one team of policies on one task with one seed, stored in a file of its own.

A run is E episodes, played at once as copies of a batch, on seed UNSEEN + s (the rule of seeds: `recsys_env.metrics.UNSEEN`). All policies
play the same runs: the same people and the same luck, as far as what they show allows (common random numbers).

The runs are the independent units of every interval. Episodes of one run are independent only for policies that do not learn: one that does
(`learns`) is one recommender for all copies, so its episodes share what it came to believe.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recsys_env import TASKS, VectorEnv
from recsys_env.measures import Log, measure
from recsys_env.metrics import UNSEEN, play_episode
from recsys_env.policies import Team, make_policy
from recsys_env.provenance import provenance

from . import cli


@dataclass(frozen=True)
class Run:
    """What one file holds the result of.

    Args:
        task: name of the task.
        team: one policy for all agents, or `agent=policy,agent=policy`; policies by name, folder or module:factory, in which `{task}` and `{seed}`
            stand for those of the run.
        seed: s.
        episodes: E.
        warmup: whole episodes that a team with a learning policy plays first, on seed 2 * UNSEEN + s, keeping what it learned; 0 for others.
        metrics: whether metrics beside reward are measured.
    """

    task: str
    team: str
    seed: int
    episodes: int
    warmup: int
    metrics: bool

    def members(self) -> dict[str, str]:
        """The policy of each agent.

        Raises:
            ValueError: a mixed team that does not name every agent once.
        """
        team, agents = self.team.replace("{task}", self.task).replace("{seed}", str(self.seed)), TASKS[self.task].agents
        if "=" not in team:
            return dict.fromkeys(agents, team)
        pairs = [part.partition("=")[::2] for part in team.split(",")]
        if sorted(agent for agent, _ in pairs) != sorted(agents):
            raise ValueError(f"team {team!r} must name a policy for each of the agents {', '.join(agents)} of {self.task} once: agent=policy,agent=policy")
        return dict(pairs)

    def path(self, out: Path) -> Path:
        """<out>/<task>/<team>/<seed>.json"""
        return out / self.task / re.sub(r"[^\w.,=-]+", "_", self.team).strip("_") / f"{self.seed}.json"


def play(run: Run) -> dict[str, Any]:
    """Play a run.

    Returns:
        the run's fields; learns; own [E][N] own reward of each agent; metrics: name -> [N + 1] mean over the episodes that have a value (None if
        none has), the platform last; seconds; where it comes from.
    """
    began = time.perf_counter()
    envs = VectorEnv(TASKS[run.task], run.episodes)
    team = Team(envs, run.members(), UNSEEN + run.seed)
    learns = any(policy.learns for policy in team.policies.values())
    seen: set[int] = set()
    if learns and run.warmup:
        observations, _ = envs.reset(seed=2 * UNSEEN + run.seed)
        for _ in range(run.warmup):
            log = Log(envs)
            play_episode(envs, team, observations, log)
            seen.update(np.unique(log.visitor).tolist())
            observations = envs.observations
    observations, _ = envs.reset(seed=UNSEEN + run.seed)
    team.reset()
    measured = Log(envs, seen) if run.metrics else None
    own = play_episode(envs, team, observations, measured)
    metrics = {} if measured is None else {name: _means(values) for name, values in measure(measured).items()}
    return {
        **asdict(run), "warmup": run.warmup if learns else 0, "learns": learns, "agents": envs.possible_agents,
        "own": np.round(own, 5).tolist(), "metrics": metrics, "seconds": round(time.perf_counter() - began, 2), **provenance(cli.module()),
    }  # fmt: skip


def _means(values: np.ndarray) -> list[float | None]:
    """Mean of each column over the episodes that have a value."""
    columns = (column[np.isfinite(column)] for column in values.T)
    return [float(column.mean()) if len(column) else None for column in columns]


def play_all(runs: Iterable[Run], out: Path, resume: bool) -> list[dict[str, Any]]:
    """Play every run that has no file yet, with a progress bar, and return the results of all.

    Args:
        runs: in the order of play. Another process may work on the same runs in another order: each looks again before it plays one.
        out: folder of the files.
        resume: keep files that are there. Otherwise all are played anew.

    Raises:
        SystemExit: a policy cannot be made (nothing has been played then), or a stored run was played with other settings.
    """
    from tqdm import tqdm

    runs = list(dict.fromkeys(runs))
    _check_policies(runs)
    stored = [_stored(run, out) for run in runs] if resume else [None] * len(runs)
    results = []
    bar = tqdm(total=len(runs), initial=sum(s is not None for s in stored), unit="run", dynamic_ncols=True)
    for run, result in zip(runs, stored, strict=True):
        bar.set_postfix_str(f"{run.task} {run.team} seed {run.seed}")
        if result is None:
            result = (_stored(run, out) if resume else None) or _play_and_store(run, out)
            bar.update()
        results.append(result)
    bar.close()
    return results


def _check_policies(runs: Iterable[Run]) -> None:
    """End with one line that says what is wrong, and what to install, if a policy cannot be made."""
    try:
        for policy in dict.fromkeys(policy for run in runs for policy in run.members().values()):
            make_policy(policy)
    except (ValueError, ImportError) as error:
        cli.fail(error)


def _stored(run: Run, out: Path) -> dict[str, Any] | None:
    path = run.path(out)
    if not path.is_file():
        return None
    result: dict[str, Any] = json.loads(path.read_text())
    wanted: dict[str, Any] = {"team": run.team, "episodes": run.episodes}
    if result["learns"]:
        wanted["warmup"] = run.warmup
    for name, value in wanted.items():
        if result[name] != value:
            cli.fail(f"{path} was played with {name} = {result[name]!r}, not {value!r}; give another --out, or leave out --resume")
    if run.metrics and not result["metrics"]:
        cli.fail(f"{path} was played without metrics; give --no-metrics or another --out, or leave out --resume")
    return result


def _play_and_store(run: Run, out: Path) -> dict[str, Any]:
    result = play(run)
    path = run.path(out)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(result) + "\n")
    new.replace(path)  # at once, so that a run that was stopped leaves no half file
    return result


def load(out: Path) -> Iterator[dict[str, Any]]:
    """Every stored run below a folder."""
    for path in sorted(out.glob("*/*/*.json")):
        yield json.loads(path.read_text())
