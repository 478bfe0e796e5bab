"""The folder of a trained policy: its weights, what it was trained on, and how its network is built.

Both files are arrays and JSON, so that reading executes nothing. `policy.json` names the loader and has the digest of
the arrays. `policy.npz` holds the weights, and as "facts" what the policy was trained on and how its network is built.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from .. import cli
from ..api.team_sizes import RelativeLayout
from ..batch.base import CpuBatch
from ..batch.game import loaded
from ..config import WorldConfig
from ..config.catalogue import Catalogue
from ..files import (
    Declared,
    FileError,
    digest_of_arrays,
    read_arrays,
    read_json,
    read_value,
    replacing,
    write_arrays,
    write_json,
)
from ..policies import CHECKPOINT, Policy

WEIGHTS = "policy.npz"
_SEPARATOR = ", "
Network = TypeVar("Network")


def write_policy(
    folder: Path,
    loader: str,
    envs: CpuBatch,
    weights: Mapping[str, np.ndarray],
    relative: RelativeLayout | None = None,
    /,
    **facts: Any,
) -> None:
    """Write the folder of a policy, which `make_policy` takes.

    Args:
        loader: one of `recsys_env.policies.loaders`.
        envs: batch that the policy was trained on, with the same spaces.
        weights: arrays by name.
        relative: layout in which the policy reads observations; by default that of the batch.
        facts: other data that the loader needs, as JSON.
    """
    about = {**_spaces(envs, relative), "items_of": _items_of(envs.config, envs.catalogue)}
    write_arrays(folder / WEIGHTS, weights, facts={**about, **facts})
    write_json(folder / CHECKPOINT, {"loader": loader, "digest": digest_of_arrays(read_arrays(folder / WEIGHTS))})


def copy_policy(source: Path, folder: Path) -> None:
    """Copy a policy from another folder, written by `write_policy` or, without arrays, by `save_ranker`."""
    copy_files(source, folder, (WEIGHTS, CHECKPOINT) if (source / WEIGHTS).exists() else (CHECKPOINT,))


def copy_files(source: Path, folder: Path, names: Iterable[str]) -> None:
    """Copy files from one folder to another, each of which is whole or absent."""
    for name in names:
        with replacing(folder / name) as new:
            shutil.copyfile(source / name, new)


def read_facts(folder: Path, form: Mapping[str, Any]) -> dict[str, Any]:
    """Read the facts that `write_policy` wrote, of this form (`recsys_env.files.misfit`)."""
    about = {"observations": str, "actions": str, "items_of?": str}
    facts: dict[str, Any] = read_value(folder / WEIGHTS, "facts", {**about, **form})
    return facts


def read_weights(folder: Path, check: Callable[[Mapping[str, Declared]], None]) -> dict[str, np.ndarray]:
    """Read the weights that `write_policy` wrote.

    Args:
        check: called with the declared types and sizes before the arrays are unpacked; raises `FileError` if they are
            not those of the network.
    """
    path = folder / WEIGHTS
    arrays = read_arrays(path, lambda declared: check({n: d for n, d in declared.items() if n != "facts"}))
    if digest_of_arrays(arrays) != read_json(folder / CHECKPOINT, {"digest": str}, "trained policy")["digest"]:
        raise FileError(f"{path} was altered: its digest does not match {CHECKPOINT}")
    return {name: array for name, array in arrays.items() if name != "facts"}


def check_spaces(
    folder: Path, facts: Mapping[str, Any], envs: CpuBatch, relative: RelativeLayout | None = None
) -> None:
    """Raise `ValueError` unless a task has the observations and actions that a policy was trained with.

    Args:
        relative: layout in which the policy reads observations; by default that of the batch.
    """
    for kind, here in _spaces(envs, relative).items():
        there = facts[kind]
        if there != here:
            raise ValueError(
                f"the policy in {folder} was trained with {kind} {_without(there, here)}; "
                f"here they are {_without(here, there)}"
            )


def check_items(policy: Policy, folder: Path, facts: Mapping[str, Any]) -> None:
    """Warn if a bound policy plays items by their numbers, or observes these, and was trained on other items."""
    config = policy.envs.config
    if config.action != "items" and config.observation.item_ids == "none":
        return
    here, there = _items_of(config, policy.envs.catalogue), facts.get("items_of")
    if there is None and policy.shipped is not None:  # it is older than this fact
        trained = cli.config_of(policy.shipped.card["task"])
        there = _items_of(trained, loaded(None, trained))
    if there not in (None, here):
        warnings.warn(
            f"the policy in {folder} knows items by their numbers, and was trained with {there}; here, with {here}, "
            "the same numbers are other items",
            stacklevel=2,
        )


def _items_of(config: WorldConfig, catalogue: Catalogue | None) -> str:
    """Return what decides which items the numbers of items stand for."""
    return (
        f"world_seed = {config.world_seed}" if catalogue is None else f"a catalogue of digest {catalogue.digest()[:12]}"
    )


def network_of(folder: Path, networks: Mapping[str, Network], agent: str, shared: str = "") -> Network:
    """Return the network that plays an agent: its own, or the shared one, or that of the first agent of its role.

    Args:
        networks: networks by agent.
        shared: name of the network that all agents share, if a folder may have one.
    """
    role = agent.rpartition("_")[0]
    fitting = [name for name in networks if name in (agent, shared)]
    fitting += [name for name in networks if name.rpartition("_")[0] == role]
    if not fitting:
        raise ValueError(f"{folder} has networks for {', '.join(networks)}, none for {agent!r}")
    return networks[fitting[0]]


def _spaces(envs: CpuBatch, relative: RelativeLayout | None) -> dict[str, str]:
    """What the numbers of observations and actions stand for: two tasks may have the same sizes and other fields."""
    read, size = (relative, relative.size) if relative else (envs, envs.layout.size)
    fields = [f"{name}[{place.stop - place.start}]" for name, place in read.observation_fields.items()]
    features = envs.candidate_features if "candidates" in envs.observation_fields else ()
    parts = [f"of {size} numbers", *fields, *(f"candidates.{name}" for name in features)]
    return {"observations": _SEPARATOR.join(parts), "actions": str(envs.action_space)}


def _without(text: str, other: str) -> str:
    """Return the parts of a text that another one lacks, or all of them where these differ in their order alone."""
    parts, others = text.split(_SEPARATOR), other.split(_SEPARATOR)
    return _SEPARATOR.join([part for part in parts if part not in others]) or text
