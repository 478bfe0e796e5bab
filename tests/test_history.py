"""What an agent remembers of its visitors, against a plain list per visitor."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np

import recsys_env
from recsys_env.policies import feedback
from recsys_env.world.history import FLAGS, History

LENGTH, VISITORS = 3, 16


def plain(envs: recsys_env.VectorEnv, pages: list[tuple[int, Any, int]], tick: int) -> np.ndarray:
    """The last pages of one visitor in one row, from a list of (tick, feedback, row)."""
    dims = envs.world.item_vectors.shape[1]
    tokens = np.zeros((LENGTH, len(FLAGS) + 2 * dims), np.float32)
    for place, (when, told, b) in enumerate(pages[-LENGTH:], LENGTH - min(len(pages), LENGTH)):
        shown = [j for j in told["shown"][b] if j >= 0]
        flags = [
            1,
            np.log1p(tick - when) / 10,
            told["clicked"][b].any(),
            told["cart"][b].any(),
            told["bought"][b].any(),
        ]
        clicked = sum(
            (envs.world.item_vectors[j] for j, hit in zip(told["shown"][b], told["clicked"][b], strict=True) if hit),
            np.zeros(dims),
        )
        mean = np.mean([envs.world.item_vectors[j] for j in shown], 0) if shown else np.zeros(dims)
        tokens[place] = np.concatenate((flags, mean, clicked))
    return tokens


def test_it_is_a_list_per_visitor() -> None:
    envs = recsys_env.vector_env("ecommerce-v1", 4, horizon=300, arrival={"d_0": 0.3}, choice={"v_0": 2.0})
    envs.reset(seed=0)
    history, lists = (
        History(envs.world.item_vectors, 4, LENGTH, VISITORS),
        [OrderedDict() for _ in range(4)],
    )  # last seen last
    rng, met, forgotten = np.random.default_rng(0), 0, 0
    for tick in range(250):
        visitor = envs.next_visitor[:, 1]
        recalled = history.recall(visitor)
        for b in range(4):
            expected = plain(envs, lists[b].get(visitor[b], []), tick)
            np.testing.assert_allclose(recalled[b], expected, atol=1e-6)
            met += int(expected.any())
        assert np.abs(recalled).max() <= 1
        _, _, _, _, infos = envs.step(rng.integers(20, size=(4, 2, 5)))
        told = {name: value.copy() for name, value in feedback(infos, 1).items()}
        history.observe(told)
        for b in range(4):
            if told["visitor"][b] >= 0:
                lists[b].setdefault(told["visitor"][b], []).append((tick, told, b))
                lists[b].move_to_end(told["visitor"][b])
                if len(lists[b]) > VISITORS:
                    lists[b].popitem(last=False)
                    forgotten += 1
    assert met > 200
    assert forgotten > 10
    history.clear()
    assert not history.recall(envs.next_visitor[:, 1]).any()
