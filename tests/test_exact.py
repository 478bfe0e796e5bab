"""Tables of finite games: made by the engine's functions, they say what the played game does."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
from test_kernels import small_catalogue

import recsys_env
from recsys_env.exact import states, tables
from recsys_env.exact.game import MarkovGame
from recsys_env.exact.states import Relevance, obstacles
from recsys_env.exact.tables import tabulate
from recsys_env.kernels import outcomes
from recsys_env.kernels.equations import (
    CART_TERMS,
    EXPERIENCE_TERMS,
    TERMS,
    Habits,
    Popularity,
    check_looked_up,
    popularity_term,
)
from recsys_env.kernels.machine.compiler import kernel
from recsys_env.kernels.machine.numeric import log1p
from recsys_env.world import terms
from recsys_env.world.arrays import State, allocate_scratch

# Nothing but what is named matters: people are alike, items have no quality of their own, nothing fades.
_PLAIN: dict[str, Any] = {
    "action": "items",
    "slots": 1,
    "world_seed": 5,
    "users": {"number": 1, "topics": 1, "price_sensitivity_log_sd": 0.0, "rating_bias_sd": 0.0},
    "items": {"number": 2, "dims": 2, "topics": 2, "bait_topic_share": 1.0, "price_log_sd": 0.3},
    "choice": {"v_0": 0.5, "beta_taste": 0.0, "beta_quality": 0.4, "beta_bait": 1.0},
    "feedback": {"a_taste": 0.0, "noise_scale": 0.0, "b_taste": 0.0, "b_0": 0.5, "instant": True},
    "dynamics": {"drift": 0.0, "trust_rate": 1.0, "trust_rate_none": 0.0, "z_rate": 1.0, "z_rate_none": 1.0},
    "reward": {"click": 0.3, "purchase": 1.0, "rating": 0.2},
    "scenes": ({"cart": True},),
}


def world(**changes: Any) -> recsys_env.WorldConfig:
    return recsys_env.replace(recsys_env.WorldConfig(**_PLAIN), changes)


MOODS = {"mood_up": (0.3, 0.1), "mood_down": (0.1, 0.4), "mood_up_none": 0.2, "mood_down_none": 0.1}

WORLDS: dict[str, recsys_env.WorldConfig] = {
    "the duel": recsys_env.TASKS["duel-v1"],
    "three agents and two moods": world(
        num_agents=3, page="rows", choice={"v_0_by_mood": (0.0, 1.5), "dissimilarity": 0.6}, dynamics=MOODS
    ),
    "sessions, idle ticks and new people": world(
        num_agents=1,
        choice={"v_0_by_mood": (0.0, 0.5, 1.5)},
        dynamics=MOODS,
        arrival={"k_0": 0.3, "k_1": 1.0, "r_0": 0.5, "r_1": 1.0, "d_0": 0.2, "d_1": 0.3, "d_2": 2.0},
    ),
    "satisfaction that forgets at once": world(num_agents=2, page="rows", feedback={"a_bait": 2.0}),
    "trust in rows": world(
        num_agents=2,
        page="rows",
        choice={"beta_trust": 1.5},
        feedback={"e_0": 1.0, "a_bait": 3.0},
        dynamics={"z_rate": 0.0, "z_rate_none": 0.0},
    ),
    "rival pages": world(
        num_agents=2,
        page="rival",
        choice={"beta_trust": 1.0},
        feedback={"e_0": 1.0, "a_bait": 3.0},
        dynamics={"trust_rate_none": 1.0, "z_rate": 0.0, "z_rate_none": 0.0},
        arrival={"k_0": 0.5, "k_1": 0.0},
    ),
    "slates on a shared page": world(
        num_agents=2,
        slots=2,
        page="shared",
        choice={"v_0_by_mood": (0.0, 1.5)},
        dynamics=MOODS,
        reward={"sharing": -0.5},
    ),
    "two places of unequal activity": world(
        num_agents=1,
        users={"number": 2, "activity_log_sd": 1.0},
        choice={"v_0_by_mood": (0.0, 1.5)},
        dynamics=MOODS,
        arrival={"k_0": 0.5, "k_1": 0.5, "r_0": 1.0, "r_1": 1.0},
    ),
    "intent and entrance, item page": world(
        num_agents=2,
        page="rows",
        users={"population": "fixed", "intent_scale": 0.3},
        choice={"beta_intent": 1.0, "v_0": 0.2},
        arrival={"k_0": 1.0, "r_0": 2.0},
        dynamics={"z_rate": 0.0, "z_rate_none": 0.0},
        scenes=({"name": "door"}, {"name": "shelf", "beta_context": 0.7, "cart": True}),
        roles=({"name": "door", "scene": "door"}, {"name": "shelf", "scene": "shelf"}),
    ),
    "prices that both have seen": recsys_env.task_config("pricing-duel-v0", {"offer": {"levels": 3}}),
}
WORLDS["entrance and item page on one feed"] = recsys_env.replace(
    WORLDS["intent and entrance, item page"], {"page": "shared"}
)


def play(game: MarkovGame, config: recsys_env.WorldConfig, copies: int, ticks: int) -> tuple[np.ndarray, np.ndarray]:
    """Random play: how often each joint action of each state led where [S, A^N, S], and the sum of individual rewards
    [N, S, A^N]."""
    assert game.reader is not None
    envs = recsys_env.vector_env(config, copies, horizon=10**6)
    envs.reset(seed=3)
    rng = np.random.default_rng(4)
    states, joint, _ = game.transitions.shape
    single = len(game.actions)
    choices = np.array(
        [[int(word) if word.isdigit() else "XYZ".index(word) for word in label.split("-")] for label in game.actions]
    )
    counts, own = np.zeros((states, joint, states), np.int64), np.zeros(game.individual_rewards.shape)
    before = game.reader.states(envs.arrays)
    for tick in range(ticks):
        picks = rng.integers(0, single, (copies, len(game.agents)))
        number = np.ravel_multi_index(tuple(picks.T), (single,) * len(game.agents))
        actions = choices[picks] if config.slots > 1 else choices[picks][..., 0]
        if tick == 5:
            own_told, reward_told = expected(envs, actions)
            np.testing.assert_allclose(own_told.T, game.individual_rewards[:, before, number], rtol=0, atol=1e-14)
            np.testing.assert_allclose(reward_told.T, game.rewards[:, before, number], rtol=0, atol=1e-14)
        infos = envs.step(actions)[4]
        after = game.reader.states(envs.arrays)
        np.add.at(counts, (before, number, after), 1)
        for n in range(len(game.agents)):
            np.add.at(own[n], (before, number), infos["individual_reward"][:, n])
        before = after
    return counts, own


def expected(envs: recsys_env.VectorEnv, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`expected_feedback`, own and shared [B, N]; on a shared page its mean over all orders of the agents."""
    agents, order = envs.num_agents, envs.arrays.order
    if not envs.config.one_feed or len(envs.config.scenes) > 1:  # no order, or that of the owner alone
        told = envs.expected_feedback(actions)
        return told["individual_reward"], told["reward"]
    rounds = list(itertools.permutations(range(agents)))
    drawn, sums = order.copy(), []
    for orders in itertools.product(rounds, repeat=envs.config.slots):
        order[:] = np.array([list(each) for each in orders])
        told = envs.expected_feedback(actions)
        sums.append((told["individual_reward"], told["reward"]))
    order[:] = drawn
    own, reward = np.mean(sums, axis=0)
    return own, reward


@pytest.mark.parametrize("name", WORLDS)
def test_the_game_played_agrees_with_its_table(name: str) -> None:
    """At least 10^6 transitions: chi-square over all cells at the level 1e-4, and expected rewards."""
    from scipy import stats

    config = WORLDS[name]
    game = tabulate(config)
    counts, own = play(game, config, 2000, 500)
    assert counts.sum() >= 10**6
    assert not counts[game.transitions == 0].any(), "played, but impossible in the table"
    visits = counts.sum(-1, keepdims=True)
    expected = visits * game.transitions
    enough = (expected >= 5).all(-1, where=game.transitions > 0)
    cells = game.transitions[enough] > 0
    statistic = ((counts[enough] - expected[enough])[cells] ** 2 / expected[enough][cells]).sum()
    freedom = int(cells.sum() - enough.sum())
    assert enough.mean() > 0.5
    assert stats.chi2.sf(statistic, freedom) > 1e-4 if freedom else statistic == 0
    total = (game.individual_rewards * visits[..., 0]).sum((1, 2))
    assert np.abs(own.sum((1, 2)) - total).max() < 5 * 2 * counts.sum() ** 0.5


def test_the_duel_is_what_a_hand_writes_down() -> None:
    game, config = tabulate("duel-v1"), recsys_env.TASKS["duel-v1"]
    v, up, down = (0.0, 2.0), (0.5, 0.0), (0.0, 0.1)
    assert game.states == ("mood 0", "mood 1", "mood 2")
    assert game.actions == ("X", "Y")
    for m, a in np.ndindex(3, 4):
        x, y = divmod(a, 2)
        odds = np.exp([v[x], v[y], config.choice.v_0_by_mood[m]])
        click = odds / odds.sum()
        move = np.zeros(3)
        for chance, better, worse in zip(click, (up[x], up[y], 0.01), (down[x], down[y], 0.02), strict=True):
            move[max(m - 1, 0)] += chance * better
            move[min(m + 1, 2)] += chance * worse
            move[m] += chance * (1 - better - worse)
        np.testing.assert_allclose(game.transitions[m, a], move, atol=1e-12)
        np.testing.assert_allclose(game.individual_rewards[:, m, a], click[:2], atol=1e-12)


def test_readable_states() -> None:
    assert tabulate(WORLDS["trust in rows"]).states[0].startswith("trust ")
    idle = tabulate(WORLDS["sessions, idle ticks and new people"]).states
    assert idle == ("mood 0", "mood 1", "mood 2", "idle, mood 0", "idle, mood 1", "idle, mood 2")
    assert any("opens recommender_1" in state for state in tabulate(WORLDS["rival pages"]).states)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"feedback": {"noise_scale": 0.5}}, "feedback.noise_scale = 0.5 moves satisfaction continuously"),
        ({"choice": {"beta_taste": 1.0}}, "tastes matter and are drawn with every person"),
        ({"choice": {"beta_taste": 1.0}, "dynamics": {"drift": 0.1}}, "dynamics.drift = 0.1 moves the tastes"),
        ({"choice": {"beta_price": 1.0}, "users": {"price_sensitivity_log_sd": 0.1}}, "price sensitivities matter"),
        ({"choice": {"beta_pop": 1.0}}, "choice.beta_pop = 1 weighs popularity"),
        ({"users": {"rating_bias_sd": 0.4}}, "rating biases matter"),
        ({"users": {"wallet_init": 2.0}}, "users.wallet_init = 2 is refilled"),
        ({"items": {"stock_init": 2}}, "items.stock_init = 2"),
        ({"items": {"life": 9}}, "items.life = 9"),
        ({"feedback": {"instant": False}}, "feedback.instant = False leaves items in carts"),
        ({"messages": 3}, "messages = 3 are talk"),
        ({"choice": {"beta_repeat": 1.0}, "users": {"habit_size": 2, "habit": "purchase"}}, "users.habit = 'purchase'"),
        ({"action": "query"}, "action = 'query' has infinitely many actions"),
        ({"action": "candidates", "candidates": {"number": 2}}, "candidates.number = 2 are drawn from 2 items"),
        ({"dynamics": {"z_rate": 0.3}}, r"more than 1000 states x 4 joint actions .*: visitor 2, satisfaction \d{3}"),
    ],
)
def test_what_is_not_finite_says_why(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        tabulate(recsys_env.replace(world(page="rows"), changes))


def test_prices_of_a_catalogue_are_refused(tmp_path: Path) -> None:
    """They change with the tick, as promotions do."""
    catalogue = small_catalogue(world(users={"number": 2}, items={"number": 4}), 0)
    catalogue.save(tmp_path / "moving.npz")
    dataclasses.replace(catalogue, item_price_ratio=catalogue.item_price_ratio[:, :0]).save(tmp_path / "fixed.npz")
    own = {name: value for name, value in _PLAIN.items() if name not in ("items", "users")}
    config = recsys_env.replace(recsys_env.WorldConfig(**own), {"num_agents": 1, "users": {"rating_bias_sd": 0.0}})
    tabulate(config, catalogue=str(tmp_path / "fixed.npz"))
    with pytest.raises(ValueError, match="the catalogue's 4 prices of each item make prices depend on the tick"):
        tabulate(config, catalogue=str(tmp_path / "moving.npz"))


def test_a_term_of_what_is_not_looked_up_for_it_is_refused() -> None:
    """It would read 0 where the other term's coefficient is 0."""

    @kernel
    def novelty(c, a):  # type: ignore[no-untyped-def]
        return c.beta_novel * a.popularity

    @kernel
    def luxury(f, a):  # type: ignore[no-untyped-def]
        return f.a_luxury * a.log_price

    with pytest.raises(TypeError, match="term 'novelty' reads popularity, which is looked up only where beta_pop is"):
        check_looked_up({**TERMS, "novelty": novelty})
    with pytest.raises(TypeError, match=r"term 'luxury' reads log_price, which is looked up only where .* a_price"):
        check_looked_up({**EXPERIENCE_TERMS, "luxury": luxury})


def test_a_term_is_refused_for_what_a_kernel_reads_that_it_calls() -> None:
    """Wherever it finds the kernel: in its module, or in the function that defines it."""

    @kernel
    def of_this_function(c, a):  # type: ignore[no-untyped-def]
        return log1p(a.popularity)

    @kernel
    def novelty(c, a):  # type: ignore[no-untyped-def]
        return c.beta_novel * of_this_function(c, a)

    @kernel
    def of_this_module(c, a):  # type: ignore[no-untyped-def]
        return c.beta_novel * _log_popularity(c, a)

    @kernel
    def weighed(c, a):  # type: ignore[no-untyped-def]
        return c.beta_pop * of_this_function(c, a)

    for term in (novelty, of_this_module):
        with pytest.raises(TypeError, match="term 'novelty' reads popularity, which is looked up only where beta_pop"):
            check_looked_up({"novelty": term})
    check_looked_up({"novelty": weighed, "popularity": popularity_term})


@kernel
def _log_popularity(c, a):  # type: ignore[no-untyped-def]
    return log1p(a.popularity)


def test_what_a_term_reads_through_another_kernel_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A term that hands the whole alternative on depends on what the kernel reads that it calls."""

    @kernel
    def outer_term(c, a):  # type: ignore[no-untyped-def]
        return popularity_term(c, a)

    monkeypatch.setitem(TERMS, "popularity", outer_term)
    with pytest.raises(ValueError, match=r"choice.beta_pop = 1 weighs popularity"):
        tabulate(recsys_env.replace(world(page="rows"), {"choice": {"beta_pop": 1.0}}))


class Clicked(NamedTuple):
    """In place of `equations.Consumed`: attributes that no term reads as it is."""

    crowd: Popularity
    kept: Habits
    mine: float


@pytest.mark.parametrize(
    ("terms", "needless"),
    [
        (EXPERIENCE_TERMS, {"arrival": {"k_1": 0.0, "r_1": 0.0, "d_1": 0.0}, "reward": {"rating": 0.0}}),
        (CART_TERMS, {"scenes": ({"cart": False},)}),
    ],
)
def test_terms_of_the_experience_and_the_cart_declare_what_they_depend_on(
    terms: dict[str, Any], needless: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As terms of the utility do; where nothing depends on their sum, they do not matter."""

    @kernel
    def crowd(f, a):  # type: ignore[no-untyped-def]
        return f.a_quality * f.b_quality * a.crowd

    @kernel
    def kept(f, a):  # type: ignore[no-untyped-def]
        return f.a_quality * f.b_quality * a.kept

    @kernel
    def mine(f, a):  # type: ignore[no-untyped-def]
        return f.a_quality * f.b_quality * a.mine

    for name in ("EXPERIENCE", "CART"):
        monkeypatch.setattr(states, name, getattr(states, name)._replace(item=Clicked))
    config = world(num_agents=2, page="rows", users={"habit_size": 2}, feedback={"a_quality": 2.0, "b_quality": 2.0})
    for term, refused in (
        (crowd, " weighs popularity, which never stands still; needed is 0"),
        (mine, "feedback.a_quality = 2, feedback.b_quality = 2 weighs 'mine', which does not declare"),
    ):
        monkeypatch.setitem(terms, "quality", term)
        assert any(refused in obstacle for obstacle in obstacles(config))
        assert not any(refused in obstacle for obstacle in obstacles(recsys_env.replace(config, needless)))
    assert not Relevance.of(config).habits
    monkeypatch.setitem(terms, "quality", kept)
    assert Relevance.of(config).habits
    assert not Relevance.of(recsys_env.replace(config, needless)).habits


def test_too_many_states_say_how_many() -> None:
    with pytest.raises(ValueError, match=r"more than 2 states x 4 joint actions \(max_states = 2, .*mood 3"):
        tabulate("duel-v1", max_states=2)


@pytest.mark.slow
def test_states_in_which_nobody_is_served_have_rows_as_well() -> None:
    """Of this game some states are found together whose ticks are all idle."""
    game = tabulate(
        "duel-v1",
        num_agents=3,
        page="shared",
        items={"number": 3, "topics": 3},
        choice={"beta_trust": 0.655},
        dynamics=dict(mood_up=(0.5, 0.1, 0.5), mood_down=(0.1, 0.1, 0.4), trust_rate=1.0, trust_rate_none=1.0),
        arrival={"k_0": 0.6, "r_0": -0.6},
        feedback={"noise_scale": 0.0},
    )
    assert len(game.states) == 384
    np.testing.assert_allclose(game.transitions.sum(-1), 1)


def test_candidates_are_retrieved_in_every_row() -> None:
    """Of one item there is one candidate, about which nothing is random."""
    one = world(num_agents=1, action="candidates", candidates={"number": 1}, roles=({"name": "a", "items": (1,)},))
    envs = recsys_env.vector_env(one, 3)
    envs.reset(seed=0)
    while (envs.next_user_slots < 0).any():
        envs.step(envs.empty_actions())
    state = State(*(array.copy() for array in envs.arrays))
    state.candidates[:] = -7
    outcomes.retrieve(envs.world, state, allocate_scratch(envs.world, 3))
    assert state.candidates.ravel().tolist() == [1, 1, 1]


def test_what_a_term_declares_is_confirmed_by_playing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A world that depends on more than its terms say has no table, although nothing that they say rules it out."""
    declared = terms.depends_on
    monkeypatch.setattr(terms, "depends_on", lambda item: declared(item) | {"popularity": ("item",)})
    liked = recsys_env.replace(recsys_env.TASKS["duel-v1"], {"choice": {"beta_pop": 1.0}})
    with pytest.raises(ValueError, match=r"'mood \d' leads to other pages at another time \(a difference of 0"):
        tabulate(liked)


@pytest.mark.parametrize("begins", [200, 499])
def test_what_begins_late_in_an_episode_is_noticed(begins: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages are compared at ticks from the first to the last."""
    expect = tables._Builder._expect

    def changed(builder: tables._Builder, rows: tables._Rows) -> tuple[np.ndarray, ...]:
        individual, *rest = expect(builder, rows)
        return individual + 0.1 * (rows.state.copies["tick"] >= begins)[:, None], *rest

    monkeypatch.setattr(tables._Builder, "_expect", changed)
    duel = recsys_env.replace(recsys_env.TASKS["duel-v1"], {"horizon": 500})
    with pytest.raises(ValueError, match=r"leads to other pages at another time \(a difference of 0.1\)"):
        tabulate(duel)


@pytest.mark.parametrize(
    ("formula", "counts"),
    [
        (lambda c, a: c.beta_pop * a.popularity, False),
        (lambda c, a: (c.beta_pop - 1.0) * a.popularity, True),  # it vanishes where the coefficient is 1
        (lambda c, a: c.beta_pop * a.freshness / c.tau_fresh, False),  # a scale that is not 0 weighs nothing
        (lambda c, a: c.beta_quality * a.popularity, True),
        (lambda c, a: c.beta_quality if a.repeats >= 2.5 else 0.0, True),  # it begins at several purchases
        (lambda c, a: c.beta_pop * max(0.0, a.freshness - 50.0), False),
    ],
)
def test_a_term_counts_unless_it_is_zero(formula: Any, counts: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TERMS, "mine", SimpleNamespace(py_func=formula))
    config = recsys_env.replace(recsys_env.TASKS["duel-v1"], {"choice": {"beta_quality": 1.0}})
    assert ("mine" in [term.name for term in states.weighted_terms(config)]) == counts


@pytest.mark.parametrize(
    ("formula", "own"),
    [
        (lambda c, a: c.kappa * a.satiation * c.beta_quality, ("kappa",)),  # a factor that no other term has
        (lambda c, a: c.kappa * a.satiation + c.beta_quality * a.repeats, ("beta_quality", "kappa")),
    ],
)
def test_a_term_is_taken_out_without_changing_others(
    formula: Any, own: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TERMS, "mine", SimpleNamespace(py_func=formula))
    (found,) = (term for term in states.weighted_terms(recsys_env.TASKS["ecommerce-v1"]) if term.name == "mine")
    assert found.own == own
