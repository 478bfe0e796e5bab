"""The algorithms that can be trained: the library that each comes from, and its hyper-parameters."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from typing import Any

from recsys_env.config import did_you_mean

_INSTALL = {
    "train": 'pip install "recsys_env[train]"',
    "skrl": 'pip install "recsys_env[train,skrl]"',
    "benchmarl": 'pip install "recsys_env[benchmarl]" in a virtual environment of its own, because it pins an older torchrl',
}


@dataclass(frozen=True)
class Algorithm:
    """What trains it.

    Attributes:
        library: the module that has to be installed.
        extra: of recsys_env, which installs it.
        learner: "module:class", see `baselines.runs.Learner`.
        about: one line.
        options: hyper-parameters with this algorithm's own values; it takes no others.
        changes: fields of the task's config that it needs otherwise.
        query: "never", "slates" or "always": whether its actions are queries (`action="query"`).
    """

    library: str
    extra: str
    learner: str
    about: str
    options: dict[str, Any]
    changes: dict[str, Any] = field(default_factory=dict)
    query: str = "never"


_PPO = {
    "timesteps": 5_000_000, "num_envs": 256, "learning_rate": 1e-3, "gamma": None, "gae_lambda": 0.95, "ent_coef": 0.0, "n_steps": 128,
    "batch_size": 2048, "n_epochs": 3, "snapshot_every": 10,
}  # fmt: skip
_TRANSFORMER = {"layers": 2, "width": 32, "heads": 2, "history": 8, "amp": False, "compile": False}
_SKRL = {
    "timesteps": 2_000_000, "num_envs": 64, "learning_rate": 1e-3, "gamma": None, "gae_lambda": 0.95, "ent_coef": 0.003, "n_steps": 64,
    "minibatches": 4, "n_epochs": 4, "width": 64,
}  # fmt: skip
_BENCHMARL = {"timesteps": 1_000_000, "num_envs": 64, "learning_rate": 1e-3, "gamma": 0.95, "reward_scale": 1.0}


def _benchmarl(about: str, query: str, by_role: bool = False) -> Algorithm:
    return Algorithm(
        "benchmarl", "benchmarl", "baselines.benchmarl:Learner", about, {**_BENCHMARL, "by_role": by_role}, query=query
    )


def _sb3(library: str, about: str, options: dict[str, Any], **changes: Any) -> Algorithm:
    return Algorithm(library, "train", "baselines.sb3:Learner", about, options, changes)


ALGORITHMS: dict[str, Algorithm] = {
    "ippo": _sb3("stable_baselines3", "PPO, one policy shared by all learners, which ranks candidates", _PPO),
    "ippo-separate": Algorithm(
        "skrl", "skrl", "baselines.skrl:Learner", "PPO, a policy and a critic for each learner", _SKRL
    ),
    "ippo-roles": _benchmarl("PPO, a policy and a critic for each role", "slates", by_role=True),
    "maskable-ppo": _sb3(
        "sb3_contrib", "PPO that never picks what is masked", {**_PPO, "timesteps": 2_000_000}, mask_actions=True
    ),
    "recurrent-ppo": _sb3(
        "sb3_contrib",
        "PPO with an LSTM over the ticks of a copy",
        {**_PPO, "timesteps": 1_000_000, "num_envs": 64, "n_steps": 64, "batch_size": 1024, "width": 64},
    ),
    "transformer-ppo": _sb3(
        "stable_baselines3",
        "PPO with a causal transformer over the last pages of the visitor",
        {**_PPO, **_TRANSFORMER, "timesteps": 2_000_000},
    ),
    "item-ppo": _sb3(
        "stable_baselines3",
        "PPO that knows which item a candidate is, and follows each visitor",
        {
            **_PPO,
            "timesteps": 8_000_000,
            "num_envs": 16,
            "learning_rate": 3e-3,
            "n_steps": 1000,
            "batch_size": 4000,
            "n_epochs": 2,
        },
    ),
    "mappo": _benchmarl("PPO with a critic of the global state", "slates"),
    "maddpg": _benchmarl("deterministic queries, critics of all observations and queries", "always"),
    "masac": _benchmarl("soft actor-critic of queries, critics of all observations and queries", "slates"),
    "iql": _benchmarl("independent Q-learning, one slot", "never"),
    "vdn": _benchmarl("Q-learning of a team, values added up, one slot", "never"),
    "qmix": _benchmarl("Q-learning of a team, values mixed by the global state, one slot", "never"),
}
OPTIONS = sorted({option for algorithm in ALGORITHMS.values() for option in algorithm.options})


def find_algorithm(name: str) -> Algorithm:
    """The algorithm of this name.

    Raises:
        ValueError: there is none.
        ImportError: its library is missing; the message says how to install it.
    """
    if name not in ALGORITHMS:
        raise ValueError(
            f"unknown algorithm {name!r}{did_you_mean(name, ALGORITHMS)}; algorithms are {', '.join(ALGORITHMS)}"
        )
    algorithm = ALGORITHMS[name]
    if importlib.util.find_spec(algorithm.library) is None:
        raise ImportError(f"{name} needs {algorithm.library}: {_INSTALL[algorithm.extra]}")
    return algorithm
