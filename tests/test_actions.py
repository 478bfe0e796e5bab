"""Actions and what they consist of: picks, a level of prices, a word."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from plain_game import Game

from recsys_env import TASKS, FocalBatch, VectorEnv, WorldConfig, Worlds, replace
from recsys_env.batch.spaces import choices

MARKET = replace(TASKS["market-v0"], {"offer": {"levels": 5}})
KINDS: dict[str, WorldConfig] = {
    "one slot": TASKS["social-v1"],
    "one slot, words": replace(TASKS["social-v1"], {"messages": 3}),
    "one slot, levels": replace(MARKET, {"slots": 1}),
    "one slot, levels, words": replace(MARKET, {"slots": 1, "messages": 3}),
    "slates": TASKS["streaming-v1"],
    "slates, levels, words": replace(MARKET, {"slots": 2, "messages": 3}),
    "items, words": TASKS["coverage-v0"],
    "a level alone": TASKS["pricing-duel-v0"],
    "bids": TASKS["auction-v0"],
    "what is published": TASKS["creators-v0"],
}


@pytest.fixture(params=KINDS)
def envs(request: pytest.FixtureRequest) -> VectorEnv:
    return VectorEnv(KINDS[request.param], 3)


def some_parts(envs: VectorEnv, leading: tuple[int, ...]) -> dict[str, Any]:
    """Parts of actions [leading]; the picks of each differ."""
    shape, rng = envs.shape, np.random.default_rng(0)
    options = np.tile(np.arange(choices(envs.config, shape)), (*leading, 1))
    parts = {"picks": rng.permuted(options, axis=-1)[..., : shape.slots]}
    parts |= {"levels": rng.integers(shape.levels, size=leading)} if shape.levels else {}
    return parts | ({"words": rng.integers(shape.vocabulary, size=leading)} if shape.vocabulary else {})


@pytest.mark.parametrize("leading", [(), (7,), (3, 2)])
def test_there_and_back(envs: VectorEnv, leading: tuple[int, ...]) -> None:
    parts = some_parts(envs, leading)
    actions = envs.encode_actions(**parts)
    assert actions.shape == (*leading, *envs.action_space.shape)
    found = envs.decode_actions(actions)
    for name, values in found._asdict().items():
        np.testing.assert_array_equal(values, parts.get(name))
    np.testing.assert_array_equal(envs.encode_actions(*found), actions)


@pytest.mark.parametrize("kind", [kind for kind, config in KINDS.items() if not config.ranked])
def test_the_game_reads_the_same_parts(kind: str) -> None:
    """As `plain_game` does, which is written after the documentation."""
    envs = VectorEnv(KINDS[kind], 3)
    game, parts = Game(envs.config, envs.world), some_parts(envs, (20,))
    listed: Any = SimpleNamespace(candidates=[list(range(envs.shape.candidates))] * envs.num_agents)
    for i, action in enumerate(envs.encode_actions(**parts)):
        wanted, level, word = game.read_action(listed, 0, np.atleast_1d(action))
        assert wanted == parts["picks"][i].tolist()
        assert word == (parts["words"][i] if "words" in parts else None)
        most = envs.shape.levels - 1
        assert level == (2 * parts["levels"][i] / most - 1 if "levels" in parts else None)


def test_the_greatest_parts_are_the_greatest_action(envs: VectorEnv) -> None:
    shape, space = envs.shape, envs.action_space
    picks = [choices(envs.config, shape) - 1] * shape.slots
    beside = (size - 1 if size else None for size in (shape.levels, shape.vocabulary))
    greatest: Any = space.n if shape.slots == 1 else space.nvec  # type: ignore[attr-defined]
    np.testing.assert_array_equal(envs.encode_actions(picks, *beside), greatest - 1)
    with pytest.raises(ValueError, match=r"actions = .* must be from 0 to"):
        envs.decode_actions(greatest)


def test_what_is_left_out() -> None:
    """The level of the list prices, in every kind of batch; words must be given where others see them."""
    config = KINDS["slates, levels, words"]
    for envs in (VectorEnv(config, 2), FocalBatch(VectorEnv(config, 2), "random", ["seller_1"])):
        with pytest.raises(ValueError, match=r"words are missing: .* one of \d, .* give words of shape \(\), such as"):
            envs.encode_actions([4, 2])
        assert envs.encode_actions([[4, 2]], words=[1]).tolist() == [[4, 2, config.offer.list_level, 1]]
    envs = Worlds(KINDS["items, words"], 2, [0, 1])
    assert envs.decode_actions(5).picks.tolist() == [1]


def test_mistakes_are_named() -> None:
    envs = VectorEnv(KINDS["slates"], 2)
    with pytest.raises(ValueError, match=r"picks = \[1, 2, 3\] of shape \(3,\) must be \[\.\.\., 2\]"):
        envs.encode_actions([1, 2, 3])
    with pytest.raises(ValueError, match=r"picks = \[1, 99\] must be from 0 to"):
        envs.encode_actions([1, 99])
    with pytest.raises(TypeError, match=r"picks = \[1\.0, 2\.0\] of dtype float64 must be whole numbers"):
        envs.encode_actions([1.0, 2.0])
    with pytest.raises(ValueError, match="levels = 1: agents of this task have none; leave them out"):
        envs.encode_actions([1, 2], levels=1)
    with pytest.raises(ValueError, match=r"actions = 3 of shape \(\) must be \[\.\.\., 2\]"):
        envs.decode_actions(3)
    talking = VectorEnv(KINDS["items, words"], 2)
    with pytest.raises(ValueError, match=r"words = \[1, 1\] of shape \(2,\) must be \(3,\)"):
        talking.encode_actions(np.zeros((3, 1), int), words=[1, 1])
    with pytest.raises(ValueError, match="words = -1 must be from 0 to 3"):
        talking.encode_actions([0], words=-1)
    vectors = VectorEnv(replace(TASKS["streaming-v1"], {"action": "weights"}), 2)
    for call in (vectors.encode_actions, vectors.decode_actions):
        with pytest.raises(ValueError, match="action = 'weights' makes actions vectors; see action_fields"):
            call([0, 1])
