"""What all adapters have in common: each says exactly what the batch says, refuses what is no action, and names what to
install."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from typing import Any, ClassVar

import numpy as np
import pytest

import recsys_env
from recsys_env.adapters import in_order
from recsys_env.batch.base import CpuBatch

INSTALL = {
    "sb3": "recsys_env[train]",
    "torchrl": "recsys_env[torchrl]",
    "benchmarl": "recsys_env[benchmarl]",
    "rllib": "recsys_env[rllib]",
    "skrl": "recsys_env[skrl]",
    "agilerl": "agilerl==2.42.5",
    "xuance": "recsys_env[xuance]",
    "pufferlib": "recsys_env[pufferlib]",
    "verifiers": "recsys_env[verifiers]",
    "openenv": "recsys_env[openenv]",
}
LIBRARIES = (
    *("torch", "tensordict", "torchrl", "stable_baselines3", "benchmarl", "ray", "skrl", "agilerl", "xuance"),
    *("pufferlib", "verifiers", "openenv"),
)
B, HORIZON, SEED = 3, 7, 5
KINDS: dict[str, dict[str, Any]] = {
    "duel-v1": {"reward": {"sharing": 1.0}},
    "ecommerce-v1": {"mask_actions": True},
    "journey-v1": {"slots": 1, "mask_actions": True, "messages": 2},
    "streaming-v1": {"action": "query"},
    "social-v1": {"action": "weights"},
}


def test_with_the_core_alone_an_adapter_says_what_to_install() -> None:
    """Even torch is missing then, which every extra brings: the adapter's own extra is named."""
    code = f"""
import importlib, json, sys
sys.modules |= dict.fromkeys({[*LIBRARIES]})
said = {{}}
for name in {[*INSTALL]}:
    try:
        importlib.import_module("recsys_env.adapters." + name)
    except ImportError as error:
        said[name] = str(error)
print(json.dumps(said))
"""
    said = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    wrong = {name: said.get(name) for name in INSTALL if f'pip install "{INSTALL[name]}"' not in said.get(name, "")}
    assert wrong == {}


# ------------------------------------------------------------------------------------------------ drivers


class Driver:
    """An adapter as this test steps it.

    `reset` returns the observations of all agents, without masks, in the order of the batch's [B, N]; `step` those of
    the page that follows, the last ones of an episode that has ended (None: the library does not ask for them), the
    rewards, and whether the episodes have ended.
    """

    adapter = ""
    copies = B
    changes: ClassVar[dict[str, Any]] = {}  # what the library needs of every task

    def __init__(self, envs: CpuBatch) -> None:
        self.envs: Any = envs
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the libraries, about themselves
            self.module: Any = pytest.importorskip(f"recsys_env.adapters.{self.adapter}", exc_type=ImportError)

    def by_agent(self, array: np.ndarray) -> dict[str, Any]:
        return {agent: array[:, n] for n, agent in enumerate(self.envs.possible_agents)}

    @staticmethod
    def stacked(by_agent: dict[str, Any]) -> np.ndarray:
        return np.stack([np.asarray(array) for array in by_agent.values()], axis=1)


class SB3(Driver):
    adapter = "sb3"

    def reset(self, seed: int) -> Any:
        self.rows = self.module.SB3VecEnv(self.envs)
        self.rows.seed(seed)
        return self.rows.reset()

    def masks(self) -> Any:
        return self.rows.action_masks()

    def step(self, joint: np.ndarray) -> tuple[Any, Any, Any, bool]:
        seen, rewards, ended, infos = self.rows.step(joint.reshape(self.rows.num_envs, *joint.shape[2:]))
        final = np.stack([info["terminal_observation"] for info in infos]) if ended.all() else None
        return seen, final, rewards, bool(ended.all())


class Skrl(Driver):
    adapter = "skrl"

    def reset(self, seed: int) -> Any:
        self.env = self.module.SkrlEnv(self.envs, "cpu")
        self.envs.reset(seed=seed)  # of which `SkrlEnv.reset` would begin the second episode
        self._seen = self.env._observed(self.envs.observations)
        return self._flat(self._seen)

    def _flat(self, seen: Any) -> np.ndarray:
        return self.stacked(seen)[..., -self.envs.layout.size :]

    def masks(self) -> Any:
        return self.stacked(self._seen)[..., : -self.envs.layout.size]

    def step(self, joint: np.ndarray) -> tuple[Any, Any, Any, bool]:
        import torch

        actions = {agent: torch.as_tensor(array).reshape(B, -1) for agent, array in self.by_agent(joint).items()}
        self._seen, rewards, terminated, truncated, infos = self.env.step(actions)
        ended = self.stacked(truncated)
        assert not self.stacked(terminated).any()
        assert ("final_observations" in infos) == ended.any() == ended.all()
        final = self._flat(infos["final_observations"]) if ended.all() else None
        return self._flat(self._seen), final, self.stacked(rewards), bool(ended.all())


class TorchRL(Driver):
    adapter = "torchrl"

    def reset(self, seed: int) -> Any:
        self.env = self.module.TorchRLEnv(self.envs, "cpu", by_role=False)
        self.env.set_seed(seed)
        self.td = self.env.reset()
        return self.td["agents", "observation"].numpy()

    def masks(self) -> Any:
        return self.td["agents", "action_mask"].numpy()

    def step(self, joint: np.ndarray) -> tuple[Any, Any, Any, bool]:
        import torch

        self.td["agents", "action"] = torch.as_tensor(joint)
        after = self.env.step(self.td)["next"]
        ended = bool(after["truncated"].all())
        self.td = self.env.reset() if ended else after
        final = after["agents", "observation"].numpy() if ended else None
        return self.td["agents", "observation"].numpy(), final, after["agents", "reward"].numpy(), ended


class RLlib(Driver):
    adapter = "rllib"
    copies = 1

    def reset(self, seed: int) -> Any:
        self.env = self.module.RecommendationMultiAgentEnv({"task": self.envs.config})
        self.envs = self.env._envs
        return self._flat(self.env.reset(seed=seed)[0])

    def _flat(self, seen: dict[str, Any]) -> np.ndarray:
        self._seen = seen
        return np.stack([one["observation"] if isinstance(one, dict) else one for one in seen.values()])

    def masks(self) -> Any:
        return np.stack([one["action_mask"] for one in self._seen.values()])

    def step(self, joint: np.ndarray) -> tuple[Any, Any, Any, bool]:
        seen, rewards, terminated, truncated, _ = self.env.step(dict(zip(self.env.agents, joint[0], strict=True)))
        assert terminated == {"__all__": False}
        ended = truncated["__all__"]
        final = self._flat(seen) if ended else None
        return self._flat(self.env.reset()[0] if ended else seen), final, [*rewards.values()], ended


class RLlibRows(Driver):
    adapter = "rllib"

    def reset(self, seed: int) -> Any:
        self.env = self.module.Rows({"task": self.envs.config, "num_envs": B * self.envs.num_agents})
        self.envs = self.env.envs
        return self._flat(self.env.reset(seed=seed)[0])

    def _flat(self, seen: Any) -> Any:
        self._seen = seen
        return seen["observation"] if isinstance(seen, dict) else seen

    def masks(self) -> Any:
        return self._seen["action_mask"]

    def step(self, joint: np.ndarray) -> tuple[Any, Any, Any, bool]:
        actions = joint.reshape(-1, *joint.shape[2:])
        seen, rewards, _, truncated, _ = self.env.step(actions)
        if not truncated.all():
            return self._flat(seen), None, rewards, False
        final = self._flat(seen).copy()
        return self._flat(self.env.step(actions)[0]), final, rewards, True  # the next step begins an episode


class AgileRL(Driver):
    adapter = "agilerl"

    def reset(self, seed: int) -> Any:
        self.rows = self.module.AgileRLVecEnv(self.envs)
        seen, self.infos = self.rows.reset(seed=seed)
        return self.stacked(seen)

    def masks(self) -> Any:
        return self.stacked({agent: infos["action_mask"] for agent, infos in self.infos.items()})

    def step(self, joint: np.ndarray) -> tuple[Any, Any, Any, bool]:
        seen, rewards, terminated, truncated, self.infos = self.rows.step(self.by_agent(joint))
        assert not self.stacked(terminated).any()
        return self.stacked(seen), None, self.stacked(rewards), bool(self.stacked(truncated).all())


class PufferLib(Driver):
    adapter = "pufferlib"
    changes: ClassVar = {"mask_actions": False}

    def reset(self, seed: int) -> Any:
        self.rows = self.module.PufferBatch(self.envs)
        return self.rows.reset(seed)[0]

    def step(self, joint: np.ndarray) -> tuple[Any, Any, Any, bool]:
        seen, rewards, terminals, truncations, _ = self.rows.step(joint.reshape(-1, *joint.shape[2:]))
        assert not terminals.any()
        return seen, None, rewards, bool(truncations.all())


class XuanCe(Driver):
    adapter = "xuance"
    changes: ClassVar = {"slots": 1}

    def reset(self, seed: int) -> Any:
        self.rows = self.module.XuanCeVecEnv(self.envs, seed)
        return self._rows(self.rows.reset()[0])

    @staticmethod
    def _rows(dicts: Any) -> np.ndarray:
        return np.array([list(one.values()) for one in dicts])

    def masks(self) -> Any:
        return self._rows(self._masks if self._masks else self.rows.buf_avail_actions)

    _masks: Any = None

    def step(self, joint: np.ndarray) -> tuple[Any, Any, Any, bool]:
        named = [dict(zip(self.rows.agents, row, strict=True)) for row in joint]
        seen, rewards, _, truncated, infos = self.rows.step(named)
        ended = all(truncated)
        final, self._masks = self._rows(seen) if ended else None, None
        if ended:
            seen, self._masks = ([info[name] for info in infos] for name in ("reset_obs", "reset_avail_actions"))
        return self._rows(seen), final, self._rows(rewards), ended


DRIVERS = (SB3, Skrl, TorchRL, RLlib, RLlibRows, AgileRL, PufferLib, XuanCe)


def started(kind: type[Driver], task: str) -> tuple[Any, Any, Any]:
    """An adapter, the batch that it should agree with, and the first observations of the adapter."""
    settings = {"horizon": HORIZON, **KINDS[task], **kind.changes}
    mine, batch = (recsys_env.vector_env(task, kind.copies, **settings) for _ in range(2))
    driver: Any = kind(mine)
    batch.action_space.seed(0)
    batch.reset(seed=SEED)
    return driver, batch, driver.reset(SEED)


def sampled(batch: Any) -> np.ndarray:
    return np.stack([[batch.action_space.sample() for _ in batch.possible_agents] for _ in range(batch.num_envs)])


@pytest.mark.parametrize("task", KINDS)
@pytest.mark.parametrize("kind", DRIVERS)
def test_an_adapter_says_what_the_batch_says(kind: type[Driver], task: str) -> None:
    """Over two episodes and a bit: observations, masks, rewards, the end by truncation, and the last observations."""
    driver, batch, seen = started(kind, task)
    rows = batch.num_envs, batch.num_agents
    for tick in range(1, 2 * HORIZON + 3):
        flat, masks = batch.flat(batch.observations)
        np.testing.assert_array_equal(np.reshape(seen, (*rows, -1)), flat)
        if masks is not None:
            np.testing.assert_array_equal(np.reshape(driver.masks(), (*rows, -1)), masks)
        joint = sampled(batch)
        seen, final, rewards, ended = driver.step(joint)
        _, expected, _, truncated, _ = batch.step(joint)
        np.testing.assert_array_equal(np.reshape(rewards, rows).astype(np.float32), expected.astype(np.float32))
        assert ended == truncated.all() == (tick % HORIZON == 0)
        if final is not None:
            np.testing.assert_array_equal(np.reshape(final, (*rows, -1)), batch.flat(batch.final_obs)[0])


@pytest.mark.parametrize("kind", DRIVERS)
def test_actions_that_are_none_are_refused_and_change_nothing(kind: type[Driver]) -> None:
    driver, batch, _ = started(kind, "journey-v1")
    before = [array.copy() for array in driver.envs.arrays]
    good = sampled(batch)
    for joint, error in ((good + 0.9, TypeError), (good + 99, ValueError)):
        with pytest.raises(error, match="action"):
            driver.step(joint)
        for mine, theirs in zip(driver.envs.arrays, before, strict=True):
            np.testing.assert_array_equal(mine, theirs)
    seen = driver.step(good)[0]
    flat, _ = batch.flat(batch.step(good)[0])
    np.testing.assert_array_equal(np.reshape(seen, flat.shape), flat)


def test_actions_by_agent_are_taken_in_order() -> None:
    assert in_order({"b": 2, "a": 1}, ["a", "b"]) == [1, 2]
    for actions, error, message in (
        ({"a": 1}, KeyError, "no action for b"),
        ({"a": 1, "b": 2, "zz": 3}, KeyError, "unknown agent 'zz'"),
        (None, TypeError, "actions = None must be a dict"),
    ):
        with pytest.raises(error, match=message):
            in_order(actions, ["a", "b"])


@pytest.mark.parametrize(
    ("name", "adapter"),
    [
        *(("sb3", "SB3VecEnv"), ("torchrl", "TorchRLEnv"), ("skrl", "SkrlEnv"), ("agilerl", "AgileRLVecEnv")),
        *(("pufferlib", "PufferBatch"), ("xuance", "XuanCeVecEnv")),
    ],
)
def test_an_adapter_takes_batches_of_flat_observations(name: str, adapter: str) -> None:
    module = pytest.importorskip(f"recsys_env.adapters.{name}", exc_type=ImportError)
    with pytest.raises(TypeError, match=r"envs is a RecommendationEnv, not a batch; make one with recsys_env\.vector_"):
        getattr(module, adapter)(recsys_env.parallel_env("duel-v1"))
    if name not in ("sb3", "torchrl"):  # which take parts as well
        with pytest.raises(ValueError, match=r"observation_format = 'dict' is not possible with .*, which takes flat"):
            getattr(module, adapter)(recsys_env.vector_env("duel-v1", 1, observation_format="dict"))


def test_an_unknown_device_is_an_error() -> None:
    tensors = pytest.importorskip("recsys_env.batch.tensors", exc_type=ImportError)
    with pytest.raises(ValueError, match="device = 'gpu' is not allowed; choose 'auto', 'cpu', 'cuda'"):
        tensors.choose_device("gpu")


def test_adapters_import_no_library_before_they_are_asked_for() -> None:
    code = "import sys, recsys_env, recsys_env.adapters, recsys_env.evaluation; print('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "False"
