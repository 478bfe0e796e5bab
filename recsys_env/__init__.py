"""recsys_env: recommendation by several agents, as a partially observable stochastic game (POSG).

Several recommender agents share one population of users and one catalogue of items. In reading order:

config.py       WorldConfig, every number of a task (settings.py: how it checks itself; checks.py: single values)
tasks.py        the named tasks (tuned.json: parameters of their policies); catalogue.py: fitted items and users;
                tuning.py: the search for those parameters; scenarios.py: held-out teams
fields.py       what agents observe, every field declared once; observations.py: the flat vector and the dict of
                its parts; spaces.py: the Gymnasium spaces
responses.py    what can happen to a slot (clicked, bought, ...), every response declared once
arrays.py       World (read-only arrays), State (what changes, leading axis B), Report (what a step tells)
world.py        builds the World of a config (partners.py: what goes with what; privacy.py: noise for a guarantee)
kernels/        one compiled tick: page -> click -> feedback -> dynamics -> next visitor -> observation
batch.py        what every batch of copies offers; actions.py: how it reads actions; infos.py: what it reports
game_batch.py   a batch that plays its copies itself: vector.py on the CPU, cuda/ on a GPU by the same kernels
worlds.py       batches of several worlds side by side
snapshots.py    checks of what a snapshot or another world may hold; memory.py: whether a batch fits; busy.py: one
                thread at a time
environment.py  one copy as a PettingZoo environment (aec.py: agents in turn); render.py: its pages as text and pictures
team_sizes.py   teams of several sizes: one layout of observations, one environment
terms.py        which terms count in a world, and what they depend on
policies/       act for one agent in all copies
exact/          finite games as tables and their solutions; what an action is worth against another
rollouts.py     many ticks in one compiled call
focal.py        a batch as some of its agents see it, the others are policies
views.py        the game as Gymnasium sees it
texts/          what items are called, and what visitors ask for
language/       text as vectors, pages as prompts, language agents
adapters/       the batch in each trainer library's form
trained/        networks of trained policies, and how they are stored
evaluation/     metrics, runs and their statistics, tournaments, replays, logs
logs.py         logs in the forms of other libraries
fitting/        log of purchases or pages -> FittedWorld (fitted.py), a config with its catalogue
experiments/    A/B tests beside the true effect, off-policy estimates beside the exact value
__main__.py     the commands (cli.py, listing.py)

Shared by the later ones: history.py (what an agent remembers of its visitors), tensors.py (arrays for PyTorch),
scorer.py (a network that scores candidates),
files.py (reading and writing), addresses.py (secrets in URLs), libraries.py (optional ones), provenance.py (what made a
result).
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from .aec import RecommendationAEC, env
from .catalogue import Catalogue
from .checks import shown
from .config import WorldConfig
from .environment import RecommendationEnv, parallel_env
from .focal import FocalBatch
from .infos import plain
from .language import text_env
from .libraries import library
from .rollouts import Rollout, rollout
from .scenarios import SCENARIOS, Scenario
from .settings import replace
from .tasks import SUITES, TASKS, register_task, task_config
from .team_sizes import TeamSizesEnv, team_sizes_env
from .vector import VectorEnv
from .views import (
    SharedPolicyVectorEnv,
    SingleAgentEnv,
    SingleAgentVectorEnv,
    shared_policy_env,
    single_agent_env,
    single_agent_vector_env,
)
from .worlds import Worlds

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
        observation_format: "flat" (arrays [B, N, O]) or "dict" (their parts; see `recsys_env.observations`).

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
