"""What `popularity`, `content`, `greedy` and `planner` believe of an item: with one slot, the best item by the slow
reference is chosen.

How they fill slates of several is tested against all slates in `test_policies.py`.
"""

from __future__ import annotations

import math
from collections import Counter

import comparison
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_game import Copy, Game, sigmoid, softplus
from test_kernels import PAGES, action_shape, configs, one, random_actions, random_worlds

from recsys_env.batch.vector import VectorEnv
from recsys_env.config import WorldConfig
from recsys_env.config.settings import replace
from recsys_env.kernels.planners.beliefs import ExpectedAppeal
from recsys_env.policies import Planner, make_policy
from recsys_env.policies.assortment import expected_appeal

COPIES, TICKS, PRICE, TARGET = 4, 8, 1.5, 0.4
CLICK_MATCH = 0.65
NAMING = ("candidates", "items", "query")  # kinds of action; what weights show of a slate is in test_weights.py


class Beliefs(Game):
    """What each policy takes an item to be worth, for a page of one slot."""

    appeal: ExpectedAppeal
    newcomers: np.ndarray

    def value(self, policy: str, copy: Copy, n: int, j: int, offer: float) -> float:
        """Of showing item j at `offer` times its price, by what the policy believes; the largest is its choice."""
        if policy == "popularity":
            new = self.config.items.life > 0 and self.age(j, copy.tick) < self.config.items.popularity_half_life
            return max(self.popularity(copy, j, public=True), self.newcomers[j] * new)
        log_odds, worth = (self.content if policy == "content" else self.informed)(copy, n, j, offer)
        none = 0.0
        if policy == "planner":
            worth += PRICE * self.future(copy, n, j, offer) + self.lead(copy, j)
            none = PRICE * self.future(copy, n, None, offer)
        share = sigmoid(log_odds + self.config.choice.dissimilarity * self.log_theta(copy, n))
        return share * worth + (1 - share) * none

    def log_theta(self, copy: Copy, n: int) -> float:
        rank = copy.order[0].index(n) + 1 if self.config.page == "shared" else 1
        return math.log(rank**-self.config.choice.eta * (1 + self.config.choice.kappa * (rank == 1)))

    def later_sale(self, copy: Copy, n: int, j: int, cart: float) -> float:
        """What a cart is worth that may be bought at a later page."""
        f = self.config.feedback
        leaves = f.cart_hazard + f.cart_abandon - f.cart_hazard * f.cart_abandon
        worth = cart * self.weights_of(n)["purchase"] * self.price(j, copy.tick)
        return 0.0 if f.instant or leaves == 0 else worth * f.cart_hazard / leaves

    # -------------------------------------------------------------------------------------------- oracles

    def informed(self, copy: Copy, n: int, j: int, offer: float) -> tuple[float, float]:
        """(log odds of a click against everything else, worth of it)."""
        assert copy.visitor is not None
        person = self.person(copy, copy.visitor)
        cart = self.cart_probability(copy, person, j, offer)
        worth = self.value_of_click(copy, person, n, j, cart, offer) + self.later_sale(copy, n, j, cart)
        rivals = [copy.inclusive[m] for m in self.active(copy) if m != n and m in copy.inclusive]
        rest = math.log(sum(math.exp(x) for x in [self.outside(person), *rivals]))
        trust = 0.0 if self.config.page == "rival" else self.config.choice.beta_trust * person.trust[n]
        return self.utility(copy, person, j, offer) + trust - rest, worth

    def future(self, copy: Copy, n: int, j: int | None, offer: float) -> float:
        """What a click on item j, or none, does for later pages: its experience (in finite games the expected change of
        satisfaction), the more the less satisfied the visitor is; where agents set prices, the change of trust."""
        assert copy.visitor is not None
        d, person, worst = (
            self.config.dynamics,
            self.person(copy, copy.visitor),
            len(self.config.choice.v_0_by_mood) - 1,
        )
        if self.config.offer.kind == "price":
            if j is not None:
                pull = self.over_noise(math.tanh, self.mean_experience(copy, person, j, offer))
                return d.trust_rate * (pull - person.trust[n])
            rivals = [copy.inclusive[m] for m in self.active(copy) if m != n and m in copy.inclusive]
            nothing = 1 / (1 + sum(math.exp(x - self.outside(person)) for x in rivals))
            rate = nothing * d.trust_rate_none + (1 - nothing) * d.trust_rate_rival
            return rate * (d.baseline - person.trust[n])
        if j is None:
            return 0.0
        e, worst = self.mean_experience(copy, person, j), len(self.config.choice.v_0_by_mood) - 1
        if worst > 0:
            topic = self.items[j].topic
            e = 2 * (d.mood_up[topic] - d.mood_down[topic]) / worst
        return max(TARGET - person.satisfaction, 0) * e

    def lead(self, copy: Copy, j: int) -> float:
        """At an entrance: what the same item would sell on the next page."""
        assert copy.visitor is not None
        if len(self.config.scenes) == 1 or copy.scene > 0:
            return 0.0
        owner = next(n for n in self.agents if self.roles[n].scene == self.config.scenes[1].name)
        copy.scene = 1
        cart = self.cart_probability(copy, self.person(copy, copy.visitor), j)
        copy.scene = 0
        return self.later_sale(copy, owner, j, cart)

    # -------------------------------------------------------------------------------------------- content

    def taste(self, copy: Copy, n: int) -> np.ndarray:
        """Posterior mean of the taste, from profile and clicks."""
        assert copy.visitor is not None
        person, view, knows = self.person(copy, copy.visitor), self.view(n), self.knows(n, "profile")
        variance = self.profile_noise**2 * self.shape.dims if knows else 1.0
        mean, counts = (part[view] for part in self.known(person))
        fade, clicks, spread = 1 - self.config.observation.history_decay, counts.sum(), 1 - CLICK_MATCH**2
        if self.config.private and clicks:
            spread += (self.history_noise / fade) ** 2 * self.shape.dims / clicks
        weight = variance * CLICK_MATCH / spread * self.knows(n, "clicked_mean") * (clicks > 0)
        total = knows + variance + weight * CLICK_MATCH * clicks
        clicked = mean / fade
        return (knows * person.profile + weight * clicked) / total

    def knows(self, n: int, field: str) -> bool:
        return field not in self.roles[n].hidden

    def content(self, copy: Copy, n: int, j: int, offer: float) -> tuple[float, float]:
        assert copy.visitor is not None
        c, f, item, weight = self.config.choice, self.config.feedback, self.items[j], self.weights_of(n)
        match, x = float(self.taste(copy, n) @ self.item_vectors[j]), self.log_price(j, copy.tick, offer)
        bored = min(float(self.known(self.person(copy, copy.visitor))[1][self.view(n)][item.topic]), 1.0)
        bored, seen = (x * self.knows(n, "clicked_mean") for x in (bored, self.seen_count(copy, n, j)))
        usual, popular = self.usual_log_price(j), math.log1p(self.popularity(copy, j, public=True))
        intercept = self.appeal.intercept + self.appeal.price * usual + self.appeal.popularity * popular
        liking = intercept + c.beta_taste * match - c.beta_price * usual
        v = liking - c.beta_price * (x - usual) + c.beta_pop * popular
        v += math.log1p(c.habit_rate * seen / math.exp(liking))
        v += c.beta_fresh * self.freshness(j, copy.tick) - c.beta_satiation * bored
        v += c.beta_repeat * math.log1p(seen / c.repeat_scale)
        if copy.anchor is not None and self.knows(n, "anchor"):
            v += self.config.scenes[copy.scene].beta_context * float(
                self.item_vectors[copy.anchor] @ self.item_vectors[j]
            )
        quality = self.appeal.quality * float(item.log_price)
        e = f.e_0 + f.a_quality * quality + f.a_taste * match - f.a_bait / 2 - f.a_price * x - f.a_satiation * bored
        worth = weight["click"] + weight["dwell"] * item.length * self.over_noise(softplus, e)
        worth += weight["like"] * self.over_noise(sigmoid, e) if f.like else 0.0
        if self.config.scenes[copy.scene].cart:
            base = float(self.world.topics["cart_intercept"][item.topic]) + f.b_quality * quality
            cart = sigmoid(base + f.b_taste * match - f.b_price * x)
            worth += weight["cart"] * cart + self.later_sale(copy, n, j, cart)
            worth += weight["purchase"] * cart * self.sale(j, self.price(j, copy.tick, offer)) if f.instant else 0.0
        v_0 = float(np.mean(c.v_0_by_mood)) if c.v_0_by_mood else c.v_0
        trust = 0.0 if self.config.page == "rival" else c.beta_trust * self.config.users.trust_init
        return v + trust - v_0, worth


def named(game: Beliefs, copy: Copy, n: int, action: np.ndarray) -> tuple[set[int | None], float]:
    """The item that an action of one slot names, those of equal vectors if it is a query; what multiplies its price."""
    wanted, level, message = game.read_action(copy, n, action)
    assert message in (0, None)
    if game.config.action == "query":
        near = game.item_vectors @ action[: game.shape.dims].astype(float)
        wanted = np.flatnonzero(near > near.max() - 1e-6).tolist()
    return set(wanted), game.multiplier(level)


def allowed_levels(game: Beliefs, policy: str) -> list[float]:
    """The price multipliers that a policy chooses from: all levels if it knows the visitor, else that nearest to 1."""
    config = game.config.offer
    if config.kind == "none":
        return [1.0]
    every = [game.multiplier(2 * level / (config.levels - 1) - 1) for level in range(config.levels)]
    return every if policy in ("greedy", "planner") else [min(every, key=lambda m: abs(math.log(m)))]


@pytest.mark.parametrize(
    "action", [pytest.param(kind, marks=[pytest.mark.slow] * (kind == "query")) for kind in NAMING]
)
@pytest.mark.parametrize("policy", ["popularity", "content", "greedy", "planner"])
def test_the_best_item_is_chosen(policy: str, action: str) -> None:
    seen: Counter[str] = Counter()

    @random_worlds(12, number=NAMING.index(action))
    @given(data=st.data(), page=one(*PAGES), key=st.integers(0, 2**32))
    def check(data: st.DataObject, page: str, key: int) -> None:
        config: WorldConfig = data.draw(configs(page, action))
        config = replace(config, {"slots": 1, "choice": {"dissimilarity": 1.0}})
        if data.draw(one(False, True)) and not config.private:
            config = replace(config, {"offer": {"kind": "price"}, "feedback": {"instant": True}})
        hidden = data.draw(one((), (), ("profile",), ("clicked_mean",), ("anchor", "profile", "clicked_mean")))
        roles = tuple(replace(role, {"hidden": hidden if policy == "content" else ()}) for role in config.roles)
        never = {"cart_hazard": 0.0, "cart_abandon": 0.0} if data.draw(one(True, False, False)) else {}
        config = replace(config, {"roles": roles, "feedback": never})
        rng, envs = np.random.default_rng(key), VectorEnv(config, COPIES)
        game = Beliefs(config, envs.world)
        game.appeal = expected_appeal(envs)
        if data.draw(one(False, True)):  # as of a fitted catalogue
            game.appeal = ExpectedAppeal(intercept=0.3, popularity=0.2, price=-0.8, quality=0.6)
        items, count = envs.world.items, np.bincount(envs.world.items["provider"])
        game.newcomers = (np.bincount(items["provider"], items["popularity"]) / np.maximum(count, 1))[items["provider"]]
        players = [Planner(PRICE, TARGET) if policy == "planner" else make_policy(policy) for _ in envs.possible_agents]
        for agent, player in zip(envs.possible_agents, players, strict=True):
            player.bind(envs, agent, 0)
            vars(player)["_appeal"] = game.appeal
        envs.reset(seed=key)
        envs.reset()  # the second episode, so that its number is not that of a scene or an agent
        for _ in range(TICKS):
            copies = [comparison.read(game, envs.arrays, b) for b in range(COPIES)]
            before = [array.tobytes() for array in envs.arrays]
            for n, player in enumerate(players):
                actions = player.act(np.zeros(0)).reshape(COPIES, -1)
                for b, copy in enumerate(copies):
                    options = [j for j in game.options(copy, n) if j is not None]
                    if not options:
                        assert config.offer.kind == "price" or not actions[b].any()
                        continue
                    mine, offer = named(game, copy, n, actions[b])
                    allowed = allowed_levels(game, policy)
                    assert min(abs(offer / m - 1) for m in allowed) < 1e-6
                    values = {(j, m): game.value(policy, copy, n, j, m) for j in options for m in allowed}
                    best = max(values.values())
                    chosen = max(game.value(policy, copy, n, j, offer) for j in mine & set(options) if j is not None)
                    assert chosen >= best - 1e-6 - 1e-5 * abs(best), f"{mine} at {offer} of {values}"
                    seen["choices"] += len({round(value, 4) for value in values.values()}) > 1
                    seen["allowed_levels"] += len(allowed) > 1
            assert before == [array.tobytes() for array in envs.arrays]
            envs.step(
                random_actions(config, COPIES, rng)
                .reshape(COPIES, *envs.empty_actions().shape[1:])
                .astype(envs.action_space.dtype)
            )

    check()
    assert seen["choices"] > 50
    assert seen["allowed_levels"] > 10 or policy not in ("greedy", "planner")
    assert action_shape(WorldConfig(slots=1))[1] == 1


def test_at_the_entrance_the_planner_looks_ahead_to_the_next_scene() -> None:
    """Where all items are clicked alike, it shows the one that is most likely to be bought on the page it leads to."""
    config = WorldConfig(
        num_agents=2,
        slots=1,
        page="rows",
        action="items",
        horizon=60,
        scenes=({"name": "entrance"}, {"name": "item", "cart": True}),
        roles=(
            {"name": "front", "scene": "entrance", "rewards": {"click": 1.0}},
            {"name": "back", "scene": "item", "rewards": {"purchase": 3.0}},
        ),
        users={"number": 3},
        items={"number": 12, "dims": 4, "topics": 4},
        choice={"v_0": 0.0, "beta_taste": 0.0, "beta_quality": 0.0},
        feedback={"b_0": -1.0, "b_taste": 3.0},
        arrival={"r_0": 3.0},
    )
    envs = VectorEnv(config, 10)
    game, planner, rng, seen = Beliefs(config, envs.world), Planner(0.0, 1.0), np.random.default_rng(0), 0
    planner.bind(envs, "front_0", 0)
    envs.reset(seed=4)
    for tick in range(20):
        picked = planner.act(envs.observations[:, 0])
        for b in range(envs.num_envs):
            copy = comparison.read(game, envs.arrays, b)
            if copy.visitor is not None and copy.scene == 0:
                leads = [game.lead(copy, j) for j in range(game.shape.items)]
                assert leads[picked[b]] == pytest.approx(max(leads), rel=1e-6)
                assert max(leads) > 1.1 * min(leads)
                seen += tick > 0
        actions = random_actions(config, envs.num_envs, rng).reshape(envs.empty_actions().shape)
        envs.step(actions)
    assert seen > 50
