"""recsys_env: recommendation by several agents, as a partially observable stochastic game (POSG).

Several recommender agents share one population of users and one catalogue of items. In reading order:

config/       every number that defines a world: WorldConfig, the tasks, what agents observe
world/        what a config becomes: arrays, partner maps, texts
kernels/      one compiled tick: page -> click -> feedback -> dynamics -> next visitor -> observation; cuda/: on a GPU
batch/        many copies at once: the batch, its spaces, actions and infos
api/          the standard interfaces: PettingZoo, Gymnasium, agents in turn, pages as text and pictures
policies/     what acts for one agent in all copies; trained/: networks, and how they are stored
exact/        finite games as tables and their solutions; what an action is worth against another
evaluation/   metrics, runs and their statistics, tournaments, replays, logs
fitting/      a log of purchases or pages -> FittedWorld, a config with its catalogue
experiments/  A/B tests beside the true effect, off-policy estimates beside the exact value
language/     text as vectors, pages as prompts, language agents
adapters/     the batch in each trainer library's form
__main__.py   the commands (cli.py, listing.py)

Shared by all: checks.py (single values), files.py (reading and writing), libraries.py (optional ones), addresses.py
(secrets in URLs), provenance.py (what made a result).
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from .api.aec import RecommendationAEC, env
from .api.environment import RecommendationEnv, parallel_env
from .api.focal import FocalBatch
from .api.rollouts import Rollout, rollout
from .api.team_sizes import TeamSizesEnv, team_sizes_env
from .api.views import (
    SharedPolicyVectorEnv,
    SingleAgentEnv,
    SingleAgentVectorEnv,
    shared_policy_env,
    single_agent_env,
    single_agent_vector_env,
)
from .batch.infos import plain
from .batch.vector import VectorEnv
from .batch.worlds import Worlds
from .checks import shown
from .config import WorldConfig
from .config.catalogue import Catalogue
from .config.scenarios import SCENARIOS, Scenario
from .config.settings import replace
from .config.tasks import SUITES, TASKS, register_task, task_config
from .language import text_env
from .libraries import library

if TYPE_CHECKING:
    from .cuda.batch import CudaVectorEnv

__version__ = "0.1.0"
__all__ = [
    "SCENARIOS",
    "SUITES",
    "TASKS",
    "Catalogue",
    "FocalBatch",
    "RecommendationAEC",
    "RecommendationEnv",
    "Rollout",
    "Scenario",
    "SharedPolicyVectorEnv",
    "SingleAgentEnv",
    "SingleAgentVectorEnv",
    "TeamSizesEnv",
    "VectorEnv",
    "WorldConfig",
    "Worlds",
    "counterfactual",
    "env",
    "parallel_env",
    "plain",
    "register_task",
    "replace",
    "rollout",
    "shared_policy_env",
    "single_agent_env",
    "single_agent_vector_env",
    "team_sizes_env",
    "text_env",
    "vector_env",
]


@overload
def vector_env(
    task: str | WorldConfig,
    num_envs: int = 1,
    *,
    num_threads: int = 1,
    catalogue: Catalogue | str | Path | None = None,
    specialize: bool | Literal["auto"] = "auto",
    copy: bool = True,
    device: Literal["cpu"] = "cpu",
    observation_format: Literal["flat", "dict"] = "flat",
    **overrides: Any,
) -> VectorEnv: ...


@overload
def vector_env(
    task: str | WorldConfig,
    num_envs: int = 1,
    *,
    catalogue: Catalogue | str | Path | None = None,
    device: Literal["cuda"],
    **overrides: Any,
) -> CudaVectorEnv: ...


def vector_env(
    task: str | WorldConfig,
    num_envs: int = 1,
    *,
    num_threads: int = 1,
    catalogue: Catalogue | str | Path | None = None,
    specialize: bool | Literal["auto"] = "auto",
    copy: bool = True,
    device: str = "cpu",
    observation_format: str = "flat",
    **overrides: Any,
) -> VectorEnv | CudaVectorEnv:
    """Create B copies of a task as one batch: observations [B, N, O], rewards [B, N]. Keywords override config fields.

    Args:
        task: name of a task (`recsys_env.TASKS`), or a config.
        num_envs: B.
        num_threads: 1 runs serially; results do not depend on it.
        catalogue: fitted items and users, as in `parallel_env`.
        specialize: whether the step is compiled for the structure of this world alone, which makes it faster; "auto":
            where that pays off (see `VectorEnv`). Results do not depend on it.
        copy: whether results are copies, as in Gymnasium's vector environments. If False, results are the batch's own
            arrays, which the step after the next overwrites. On a GPU this argument has no effect: results are always
            the batch's own arrays.
        device: "cpu" gives a `VectorEnv`; "cuda" a `recsys_env.cuda.batch.CudaVectorEnv`, whose arrays stay on the GPU
            and whose results are the same.
        observation_format: "flat" (arrays [B, N, O]) or "dict" (their parts; see `recsys_env.batch.observations`).

    Raises:
        ImportError, RuntimeError: "cuda" without the library or a GPU.
        ValueError: another device or format, or threads, specialised code or the format "dict" on a GPU.
    """
    config = task_config(task, overrides, catalogue)
    if not isinstance(device, str) or device not in ("cpu", "cuda"):
        raise ValueError(f"device = {shown(device)} is not allowed; choose 'cpu' or 'cuda'")
    if device == "cpu":
        return VectorEnv(config, num_envs, num_threads, catalogue, specialize, copy, observation_format)
    if num_threads != 1:
        raise ValueError(f"num_threads = {shown(num_threads)}: a GPU has threads of its own; leave it out")
    if specialize != "auto":
        raise ValueError(f"specialize = {shown(specialize)}: a GPU plays the code for all worlds; leave it out")
    if observation_format != "flat":
        raise ValueError(f"observation_format = {shown(observation_format)}: a GPU has 'flat' alone; split it there")
    library("numba_cuda", "cuda")
    from .cuda.batch import CudaVectorEnv

    return CudaVectorEnv(config, num_envs, catalogue)


def __getattr__(name: str) -> Any:
    """`exact` and `counterfactual`, imported when they are first asked for."""
    if name in ("exact", "counterfactual"):
        exact = importlib.import_module("recsys_env.exact")
        return exact if name == "exact" else exact.counterfactual
    raise AttributeError(f"module {shown(__name__)} has no attribute {shown(name)}")
