"""What everybody may know of the items now: prices, promotions, availability, stock, age and statistics."""

from __future__ import annotations

import math

import comparison
import numpy as np
import pytest
from plain_game import Game

from recsys_env import VectorEnv, vector_env
from recsys_env.policies import Policy, Team


@pytest.fixture
def envs() -> VectorEnv:
    """A shop in which all of it moves."""
    items = {"number": 40, "life": 30, "period": 50, "promotion_probability": 0.3, "promotion_depth": 0.25}
    stock = {"promotion_period": 10, "stock_init": 2, "restock_period": 70}
    made = vector_env(
        "ecommerce-v1", 3, items={**items, **stock}, users={"number": 6}, feedback={"b_0": 4.0, "instant": True}
    )
    made.reset(seed=4)
    return made


def test_they_are_those_of_the_rules(envs: VectorEnv) -> None:
    game = Game(envs.config, envs.world)
    team = Team(envs, dict.fromkeys(envs.possible_agents, "greedy"), seed=0)
    actions, first, moved = envs.empty_actions(), envs.public_items(), set()
    for tick in range(1, 241):
        team.act(envs.observations, actions)
        envs.step(actions)
        if tick % 24:
            continue
        found = envs.public_items()
        moved |= {name for name in found if not np.array_equal(first[name], found[name])}
        for b in range(envs.num_envs):
            copy = comparison.read(game, envs.arrays, b)
            for j in range(envs.shape.items):
                assert found["price"][b, j] == pytest.approx(game.price(j, copy.tick), rel=1e-6)
                assert found["promoted"][b, j] == game.promoted(j, copy.tick)
                assert found["available"][b, j] == game.available(j, copy.tick)
                assert found["age"][b, j] == game.age(j, copy.tick)
                assert found["stock"][b, j] == game.stock(copy, j)
                assert found["popularity"][b, j] == pytest.approx(game.popularity(copy, j), rel=1e-4)
                assert found["ctr"][b, j] == pytest.approx(game.relative_ctr(copy, j), abs=1e-4)
                assert found["satisfaction"][b, j] == pytest.approx(game.relative_satisfaction(copy, j), abs=1e-4)
    assert moved == set(first)


def test_unlimited_stock_and_no_windows() -> None:
    envs = vector_env("duel-v1")
    with pytest.raises(RuntimeError, match="call reset"):
        envs.public_items()
    envs.reset(seed=0)
    found = envs.public_items()
    assert (found["stock"] == -1).all()
    assert found["available"].all()
    assert not found["age"].any()


def test_a_policy_can_show_what_is_in_stock_and_on_offer(envs: VectorEnv) -> None:
    class Offers(Policy):
        def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
            known, mine = self.envs.public_items(), self.envs.candidates[:, self.index]
            copies = np.arange(len(mine))[:, None]
            good = known["promoted"][copies, mine] & (known["stock"][copies, mine] != 0) & (mine >= 0)
            return np.argsort(~good, axis=1, kind="stable")[:, : self.envs.config.slots]

    def promoted_share(policy: str | Policy) -> float:
        envs.reset(seed=5)
        team, actions, share = Team(envs, {"recommender_0": policy, "recommender_1": "random"}, seed=0), None, []
        for _ in range(40):
            promoted, actions = envs.public_items()["promoted"], envs.empty_actions()
            team.act(envs.observations, actions)
            *_, infos = envs.step(actions)
            item = infos["shown"][:, 0]
            share += promoted[np.arange(3)[:, None], item][item >= 0].tolist()
        return math.fsum(share) / len(share)

    assert promoted_share(Offers()) > promoted_share("random") + 0.2


def test_prices_of_any_tick(envs: VectorEnv) -> None:
    game, items = Game(envs.config, envs.world), np.array([39, 0, 7])
    for tick in (0, 25, 400):
        prices, promoted = envs.prices_at(items, tick)
        np.testing.assert_allclose(prices, [game.price(int(j), tick) for j in items], rtol=1e-6)
        assert promoted.tolist() == [game.promoted(int(j), tick) for j in items]
    for wrong in ([0, 40], [-1]):
        with pytest.raises(ValueError, match=r"items = .* must be from 0 to 39"):
            envs.prices_at(np.array(wrong), 0)
