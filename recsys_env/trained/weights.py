"""Turn networks and optimisers into plain arrays, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from ..files import Declared, FileError
from ..libraries import needed
from .folders import WEIGHTS, read_weights

with needed("trained networks", "recsys_env[train]"):
    import torch
    from torch import nn

_ADAM = ("step", "exp_avg", "exp_avg_sq")  # what every optimiser here adds up for each parameter


def to_arrays(parts: Mapping[str, nn.Module | torch.optim.Optimizer]) -> dict[str, np.ndarray]:
    """Parameters and buffers of modules, and running sums of optimisers, as arrays by "part/name"."""
    return {
        f"{part}/{name}": tensor.detach().cpu().numpy()
        for part, thing in parts.items()
        for name, tensor in _tensors(thing)
    }


def from_arrays(
    path: Path, arrays: Mapping[str, np.ndarray], parts: Mapping[str, nn.Module | torch.optim.Optimizer]
) -> None:
    """Load arrays of `to_arrays` into parts that were made alike. If something does not fit, nothing is loaded.

    Args:
        path: where the arrays were read from.
    """
    check_fit(path, arrays, parts)
    given: dict[str, dict[str, torch.Tensor]] = {part: {} for part in parts}
    for name, array in arrays.items():
        part, _, inner = name.partition("/")
        given[part][inner] = torch.from_numpy(array)
        if not given[part][inner].isfinite().all():
            raise FileError(f"{path} cannot be used: {name} holds NaN or infinite numbers")
    for part, thing in parts.items():
        if isinstance(thing, nn.Module):
            thing.load_state_dict(given[part], assign=any(parameter.is_meta for parameter in thing.parameters()))
        else:
            state = {number: {key: given[part][f"{number}.{key}"] for key in _ADAM} for number in _numbers(given[part])}
            thing.load_state_dict({"state": state, "param_groups": thing.state_dict()["param_groups"]})


def load_weights(folder: Path, networks: Mapping[str, nn.Module]) -> None:
    """Put the weights of a policy's folder into its networks."""
    path = folder / WEIGHTS
    from_arrays(path, read_weights(folder, lambda declared: check_fit(path, declared, networks)), networks)


def _tensors(thing: nn.Module | torch.optim.Optimizer) -> Iterable[tuple[str, torch.Tensor]]:
    if isinstance(thing, nn.Module):
        return thing.state_dict().items()
    return [
        (f"{number}.{key}", tensor)
        for number, state in thing.state_dict()["state"].items()
        for key, tensor in state.items()
    ]


def _numbers(given: Iterable[str]) -> list[int]:
    """Numbers of the parameters that an optimiser has updated."""
    return sorted({int(number) for number in (name.partition(".")[0] for name in given) if number.isdecimal()})


def check_fit(
    path: Path,
    arrays: Mapping[str, np.ndarray | Declared],
    parts: Mapping[str, nn.Module | torch.optim.Optimizer],
) -> None:
    """Check that arrays, or the types and sizes that a file declares, are those of these parts."""
    given: dict[str, dict[str, np.ndarray | Declared]] = {part: {} for part in parts}
    for name, array in arrays.items():
        part, _, inner = name.partition("/")
        if part not in parts:
            raise FileError(f"{path} holds {name!r}, which nothing here has")
        if not array.dtype.isnative or not isinstance(getattr(torch, array.dtype.name, None), torch.dtype):
            raise FileError(f"{path} holds {name!r} as {array.dtype}, which is no kind of weights")
        given[part][inner] = array
    for part, thing in parts.items():
        _check(path, part, given[part], thing)


def _check(
    path: Path, part: str, given: Mapping[str, np.ndarray | Declared], thing: nn.Module | torch.optim.Optimizer
) -> None:
    """Raise `FileError` if these arrays are not those of this part."""
    if isinstance(thing, nn.Module):
        wanted = dict(thing.state_dict().items())
    else:
        parameters = dict(enumerate(parameter for group in thing.param_groups for parameter in group["params"]))
        updated = {number: parameters[number] for number in _numbers(given) if number in parameters}
        wanted = {
            f"{number}.{key}": torch.zeros(()) if key == "step" else like
            for number, like in updated.items()
            for key in _ADAM
        }
    for name in sorted(given.keys() ^ wanted.keys()):
        raise FileError(
            f"{path} does not fit: {part}/{name} is {'missing' if name in wanted else 'none of its weights'}"
        )
    for name, tensor in wanted.items():
        has, needs = (f"{str(t.dtype).removeprefix('torch.')}{list(t.shape)}" for t in (given[name], tensor))
        if has != needs:
            raise FileError(f"{path} does not fit: {part}/{name} is {has}, expected {needs}")
