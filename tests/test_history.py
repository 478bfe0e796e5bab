"""What an agent remembers of its visitors, against a plain list per visitor."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

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


def test_who_was_not_seen_for_longest_makes_room() -> None:
    history = History(np.eye(2), rows=1, length=2, visitors=2)
    nothing = np.zeros((1, 1), bool)

    def show(visitor: int, item: int) -> None:
        history.observe(
            {
                "visitor": np.array([visitor]),
                "shown": np.array([[item]]),
                "clicked": nothing,
                "cart": nothing,
                "bought": nothing,
            }
        )

    def known(visitor: int) -> float:
        return float(history.recall(np.array([visitor]))[0, :, 0].sum())

    for visitor in (5, 7, 5, 9):  # 9 takes the place of 7
        show(visitor, 0)
    assert [known(visitor) for visitor in (5, 7, 9, -1)] == [2, 0, 1, 0]
    show(7, 1)
    assert [known(visitor) for visitor in (5, 7, 9)] == [0, 1, 1]
    assert history.recall(np.array([7]))[0, 1, len(FLAGS) + 1] == 1


def test_wrong_use_is_named_and_changes_nothing() -> None:
    for name in ("rows", "length", "visitors"):
        for wrong in (0, -1, 2.5, None):
            with pytest.raises((ValueError, TypeError), match=f"{name} = {wrong} "):
                History(np.eye(2), **{"rows": 1, "length": 1, "visitors": 2, name: wrong})
    for vectors in (np.full((2, 2), np.nan), np.zeros(2), None, [["a"]]):
        with pytest.raises((ValueError, TypeError), match="vectors = "):
            History(vectors, 1, 1)
    history = History(np.eye(2), 1, 2)
    none = np.zeros((1, 1), bool)
    page = {"visitor": np.array([5]), "shown": np.array([[1]]), "clicked": none, "cart": none, "bought": none}
    for name, wrong, says in (
        ("visitor", np.array([0.5]), "must be whole numbers"),
        ("visitor", np.array([5, 6]), r"of shape \[2\] must be one for each of 1 rows"),
        ("shown", np.array([[2]]), "must hold items below 2, and -1 for empty slots"),
        ("shown", np.array([[-2]]), "must hold items below 2, and -1 for empty slots"),
        ("shown", np.array([1]), r"of shape \[1\] must be items \[1, K\]"),
        ("clicked", np.zeros((1, 2), bool), r"of shape \[1, 2\] must have the shape of what was shown, \[1, 1\]"),
        ("cart", None, "must be finite numbers"),
    ):
        with pytest.raises((ValueError, TypeError), match=f"{name} = .* {says}"):
            history.observe(page | {name: wrong})
    with pytest.raises(KeyError, match=r"feedback = .* has no 'bought'"):
        history.observe({name: value for name, value in page.items() if name != "bought"})
    with pytest.raises(TypeError, match="feedback = None must be what happened at a page"):
        history.observe(None)  # type: ignore[arg-type]
    for wrong in ([0.5], [5, 5], None):
        with pytest.raises((ValueError, TypeError), match="visitor = "):
            history.recall(wrong)  # type: ignore[arg-type]
    assert not history.recall(np.array([5])).any()
    history.observe(page)
    assert history.recall(np.array([5])).any()
