"""Runs: a team of policies on a task with one seed. Each run has a file of its own; scores are computed from runs.

A run is E episodes, played at once as copies of a batch, on seed UNSEEN + s (see
`recsys_env.evaluation.episodes.UNSEEN`). All teams play the same seeds, and therefore with common random numbers.

The runs are the independent samples of every interval. The episodes of one run are independent only if no policy
learns: a learning policy (`learns`) is one recommender for all copies, so its episodes share what it has learned.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from .. import VectorEnv, WorldConfig, cli
from ..checks import shown
from ..config import plain_config
from ..config.scenarios import PACKAGE
from ..files import FileError, checked_path, digest_of_value, signed, write_json
from ..policies import FAMILIES, POLICIES, TASK_POLICIES, Team
from ..policies.population import members_of
from ..policies.registry import is_team
from ..provenance import provenance, task_digests
from .episodes import UNSEEN, by_agent, checked_policies, episode_rewards, play_episode
from .log import EpisodeLog
from .metrics import measure
from .stored import read_run

_LONGEST = 200  # characters of a folder's name


@dataclass(frozen=True)
class Run:
    """The settings of a run, which identify it.

    Args:
        task: name of the task, optionally with changed fields: `streaming-v1,observability=full,users.number=16`.
        team: one policy for all agents, or `agent=policy,agent=policy`. Policies are names, folders or module:factory,
            in which `{task}` and `{seed}` are replaced by the name of the task and s.
        seed: s.
        episodes: E.
        warmup: whole episodes that a team with a learning policy plays before the run, on seed 2 * UNSEEN + s. If the
            population is fixed and metrics are measured, other teams play them, too, so that the same people are known.
        metrics: whether metrics beside reward are measured.
    """

    task: str
    team: str
    seed: int
    episodes: int
    warmup: int
    metrics: bool

    @property
    def config(self) -> WorldConfig:
        return cli.config_of(self.task, self.seed)

    def members(self) -> dict[str, str]:
        """Return the policy of each agent."""
        name = self.task.split(",")[0].rpartition(":")[2]
        team = self.team.replace("{task}", name).replace("{seed}", str(self.seed))
        try:
            return cast("dict[str, str]", by_agent(self.config.agents, team))
        except ValueError as error:
            raise ValueError(f"{self.task}: {error}") from None

    def made_of(self) -> dict[str, str]:
        """Return `digest_of` of each policy that is not part of the package."""
        return {policy: digest for policy in self.members().values() if (digest := digest_of(policy))}

    def path(self, out: Path) -> Path:
        """<out>/<task>/<team>/<seed>.json."""
        return out / file_name(self.task) / file_name(self.team) / f"{self.seed}.json"


def file_name(name: str) -> str:
    """Return the name of a file or folder for a task or team. Names that are long, or hold characters that file names
    should not, end in a hash, so that different names never share a file."""
    clean = re.sub(r"[^\w.,=-]+", "_", name).strip("_")
    if clean == name and clean.strip(".") and len(clean) <= _LONGEST:
        return clean
    return f"{clean[:_LONGEST].strip('.')}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def learner_of(policy: str) -> str:
    """Return the learner that this folder is a seed of: folders that differ only in a last number are seeds of one
    learner."""
    return re.sub(r"[-_]\d+$", "", policy)


@functools.cache
def digest_of(policy: str) -> str | None:
    """Return a digest of a policy's folder or module file, or of those in a population; None for policies of the
    package, unless they are folders, and of other `FAMILIES`. It is kept until `play_all` is called again."""
    module, folder = policy.partition(":")[0], next((f for f in (Path(policy), PACKAGE / policy) if f.is_dir()), None)
    if module == "population":
        digests = list(filter(None, map(digest_of, members_of(policy.partition(":")[2]))))
        return hashlib.sha256(" ".join(digests).encode()).hexdigest()[:16] if digests else None
    if policy in POLICIES or policy in TASK_POLICIES or module in FAMILIES:
        return None
    if folder is not None:
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    else:
        spec = importlib.util.find_spec(module)
        files = [] if spec is None or spec.origin is None else [Path(spec.origin)]
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while part := file.read(2**20):
                digest.update(part)
    return digest.hexdigest()[:16]


def checked_request(
    policies: Sequence[str] | None, episodes: int, seeds: int, warmup: int, *, teams: bool, **names: Sequence[str]
) -> tuple[str, ...] | None:
    """Check what a command is asked to play, and return its policies, None if it was asked for none.

    Args:
        teams: whether mixed teams are allowed.
        names: tasks or scenarios.
    """
    cli.at_least(1, episodes=episodes, seeds=seeds)
    cli.at_least(0, warmup=warmup)
    cli.not_empty(**names)
    policies = checked_policies(policies)
    for team in () if teams else filter(is_team, policies or ()):
        raise ValueError(f"{shown(team)} is a team; give single policies here")
    return policies


def try_out(envs: VectorEnv, policies: Mapping[str, str]) -> None:
    """Create policies and let them act once.

    Args:
        envs: a batch of one copy, which is stepped.
        policies: of some agents.
    """
    team, actions = Team(envs, policies, 0), envs.empty_actions()
    envs.reset(seed=0)
    team.reset()
    team.act(envs.observations, actions)
    envs.step(actions)


def obstacle(config: WorldConfig, agent: str, policy: str) -> str:
    """Return why a policy cannot play an agent of a task; "" if it can."""
    try:
        try_out(VectorEnv(config), {agent: policy})
    except ValueError as error:
        return str(error)
    return ""


def play(run: Run) -> dict[str, Any]:
    """Play a run.

    Returns:
        the run's fields; config: digest of the task's config; learns; made_of: your own policies -> `digest_of`;
        individual_reward [E][N] of each agent; metrics: name -> [N + 1] mean over the episodes that have a value (None
        if none has), the platform last; costs: of a page (`Team.costs`), empty if one compiled call played the
        episodes; seconds; where it comes from.
    """
    began = time.perf_counter()
    envs = VectorEnv(run.config, run.episodes, copy=False)
    team = Team(envs, run.members(), UNSEEN + run.seed)
    learns = any(policy.learns for policy in team.policies.values())
    seen: set[int] = set()
    if warmed := run.warmup > 0 and (learns or _remembers_people(run)):
        seen = _warm_up(run, envs, team if learns else Team(envs, run.members(), UNSEEN + run.seed))
    observations, _ = envs.reset(seed=UNSEEN + run.seed)
    team.reset()
    metrics: dict[str, list[float | None]] = {}
    if run.metrics:
        measured = EpisodeLog(envs, seen)
        individual = play_episode(envs, team, observations, measured)
        metrics = {name: _means(values) for name, values in measure(measured).items()}
    else:
        individual = episode_rewards(envs, team, observations).individual_rewards
    return {
        **asdict(run),
        "config": digest_of_value(plain_config(run.config)),
        "warmup": run.warmup if warmed else 0,
        "learns": learns,
        "made_of": run.made_of(),
        "agents": envs.possible_agents,
        "individual_reward": np.round(individual, 5).tolist(),
        "metrics": metrics,
        "costs": team.costs(),
        "seconds": round(time.perf_counter() - began, 2),
        "played": task_digests(run.task),
        **provenance(),
    }


def _remembers_people(run: Run) -> bool:
    """Whether metrics distinguish people who were served before."""
    return run.metrics and run.config.users.population == "fixed"


def _warm_up(run: Run, envs: VectorEnv, team: Team) -> set[int]:
    """Play the warm-up episodes; return the ids of the people who were served, if metrics need them."""
    seen: set[int] = set()
    observations, _ = envs.reset(seed=2 * UNSEEN + run.seed)
    for _ in range(run.warmup):
        log = EpisodeLog(envs) if _remembers_people(run) else None
        play_episode(envs, team, observations, log)
        observations = envs.observations
        if log is not None:
            seen.update(np.unique(log.visitor[log.visitor >= 0]).tolist())
    return seen


def _means(values: np.ndarray) -> list[float | None]:
    """Return the mean of each column over the episodes that have a value."""
    columns = (column[np.isfinite(column)] for column in values.T)
    return [float(column.mean()) if len(column) else None for column in columns]


def play_all(runs: Iterable[Run], out: Path, resume: bool) -> list[dict[str, Any]]:
    """Play every run that has no file yet, with a progress bar, and return the result of each.

    Args:
        runs: the runs, in the order of play. Equal ones are played once. Another process may play the same runs in
            another order: each process checks for the file again before it plays a run.
        out: folder of the files.
        resume: whether to keep existing files. Otherwise all runs are played anew.
    """
    out = checked_path("out", out)
    from tqdm import tqdm

    wanted = list(runs)
    different = list(dict.fromkeys(wanted))
    digest_of.cache_clear()
    _check_policies(different)
    out.mkdir(parents=True, exist_ok=True)
    stored = [_stored(run, out) for run in different] if resume else [None] * len(different)
    results: dict[Run, dict[str, Any]] = {}
    with tqdm(total=len(different), initial=sum(s is not None for s in stored), unit="run", dynamic_ncols=True) as bar:
        for run, result in zip(different, stored, strict=True):
            bar.set_postfix_str(f"{run.task} {run.team} seed {run.seed}")
            if result is None:
                try:
                    result = (_stored(run, out) if resume else None) or _play_and_store(run, out)
                except Exception as error:  # a policy that passed its first page may fail later
                    raise _named(f"{run.team} on {run.task}, run {run.seed}", error) from error
                bar.update()
            results[run] = result
    return [results[run] for run in wanted]


def _named(whose: str, error: Exception) -> Exception:
    """Return an error with the name of the policy that raised it: a ValueError, or a RuntimeError for others."""
    if isinstance(error, ValueError):
        return ValueError(f"{whose}: {error}")
    return RuntimeError(f"{whose}: {type(error).__name__}: {error}")


def _check_policies(runs: Iterable[Run]) -> None:
    """Raise an error if a policy cannot be created or cannot play its task."""
    parts: dict[tuple[str, str, tuple[str, ...]], None] = {}  # a policy may act for all agents that have it
    for run in runs:
        members = run.members()
        for policy in members.values():
            parts[run.task, policy, tuple(agent for agent in members if members[agent] == policy)] = None
    envs = {task: VectorEnv(cli.config_of(task)) for task in dict.fromkeys(task for task, _, _ in parts)}
    for task, policy, agents in parts:
        try:
            try_out(envs[task], dict.fromkeys(agents, policy))
        except (ImportError, FileError):
            raise
        except Exception as error:
            if str(error).startswith(f"policy {policy!r}"):
                raise
            raise _named(f"policy {policy!r} as {', '.join(agents)} of {task}", error) from error


def _stored(run: Run, out: Path) -> dict[str, Any] | None:
    """Return the result of this run; None if it has not been played."""
    path = run.path(out)
    if not path.is_file():
        return None
    result, config = read_run(path), run.config
    wanted: dict[str, Any] = {name: getattr(run, name) for name in ("task", "team", "seed", "episodes")}
    wanted |= {"agents": config.agents, "made_of": run.made_of()}
    if result["learns"] or _remembers_people(run):
        wanted["warmup"] = run.warmup
    if run.metrics and not result["metrics"]:
        raise ValueError(f"{path} was played without metrics; give --no-metrics or another --out")
    another = "give another --out, or leave out --resume"
    for name, value in wanted.items():
        if result[name] != value:
            raise ValueError(f"{path} was played with {name} = {result[name]!r}, not {value!r}; {another}")
    today = task_digests(run.task)
    if result["config"] != digest_of_value(plain_config(config)) or result.get("played", today) != today:
        raise ValueError(f"{path} was played when {run.task} had other settings; {another}")
    return result


def _play_and_store(run: Run, out: Path) -> dict[str, Any]:
    result, path = signed(play(run)), run.path(out)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, result)
    return result


def load(out: Path) -> Iterator[dict[str, Any]]:
    """Yield every stored run below a folder, whichever command played it."""
    return map(read_run, sorted(out.glob("*/*/*.json")))
