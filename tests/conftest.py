"""What several test modules share."""

from __future__ import annotations

from collections.abc import Iterator

import gymnasium
import pettingzoo
import pytest

from recsys_env.tasks import _TASKS


@pytest.fixture
def registries() -> Iterator[None]:
    """Whatever a test registers is forgotten after it."""
    kept = [
        (registry, dict(registry))
        for registry in (_TASKS, gymnasium.registry, pettingzoo.aec_registry, pettingzoo.parallel_registry)
    ]
    yield
    for registry, before in kept:
        registry.clear()  # type: ignore[attr-defined]
        registry.update(before)  # type: ignore[attr-defined]


@pytest.fixture
def one_torch_thread() -> Iterator[None]:
    """Small networks train faster on one thread, and alike on every machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
