"""What all adapters have in common."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable

import pytest

import recsys_env

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
    "torch",
    "tensordict",
    "torchrl",
    "stable_baselines3",
    "benchmarl",
    "ray",
    "skrl",
    "agilerl",
    "xuance",
    "pufferlib",
    "verifiers",
    "openenv",
)


def said_without(libraries: Iterable[str], *names: str) -> dict[str, str]:
    """What the imports of these adapters say where these libraries are not installed."""
    code = f"""
import importlib, json, sys
sys.modules |= dict.fromkeys({[*libraries]})
said = {{}}
for name in {names}:
    try:
        importlib.import_module("recsys_env.adapters." + name)
    except ImportError as error:
        said[name] = str(error)
print(json.dumps(said))
"""
    return json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def test_with_the_core_alone_an_adapter_says_what_to_install() -> None:
    """Even torch is missing then, which every extra brings: the adapter's own extra is named."""
    said = said_without(LIBRARIES, *INSTALL)
    wrong = {name: said.get(name) for name in INSTALL if f'pip install "{INSTALL[name]}"' not in said.get(name, "")}
    assert wrong == {}


def test_without_its_library_an_adapter_says_what_to_install() -> None:
    pytest.importorskip("torch")
    needed = {"sb3": "stable_baselines3", "torchrl": "torchrl"}
    said = said_without(needed.values(), *needed)
    for name, library in needed.items():
        assert library in said[name]
        assert f'pip install "{INSTALL[name]}"' in said[name]


def test_an_unknown_device_is_an_error() -> None:
    tensors = pytest.importorskip("recsys_env.batch.tensors", exc_type=ImportError)
    with pytest.raises(ValueError, match="device = 'gpu' is not allowed; choose 'auto', 'cpu', 'cuda'"):
        tensors.choose_device("gpu")


@pytest.mark.parametrize(("name", "adapter"), [("sb3", "SB3VecEnv"), ("torchrl", "TorchRLEnv"), ("skrl", "SkrlEnv")])
def test_an_adapter_takes_batches_only(name: str, adapter: str) -> None:
    module = pytest.importorskip(f"recsys_env.adapters.{name}", exc_type=ImportError)
    with pytest.raises(
        TypeError, match=r"envs is a RecommendationEnv, not a batch; make one with recsys_env\.vector_env"
    ):
        getattr(module, adapter)(recsys_env.parallel_env("duel-v1"))
