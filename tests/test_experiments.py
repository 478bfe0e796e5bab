"""The A/B laboratory: who serves which unit, what an experiment's log says, and how that differs from the truth."""

from __future__ import annotations

import dataclasses
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from worlds import SMALL

from recsys_env import VectorEnv, WorldConfig, replace, task_config
from recsys_env.__main__ import main
from recsys_env.experiments import (
    CAUSES,
    DESIGNS,
    Assignment,
    Experiment,
    Mixture,
    Protocol,
    ab_test,
    page_estimates,
    page_log,
    slotwise,
    sparse,
    summary,
    without,
)
from recsys_env.experiments.off_policy import PageLog
from recsys_env.policies import Policy, Team
from recsys_env.policies.ranking import Ranker

pytest.importorskip("scipy")

SEEDS = (11, 12)
# Carts are filled and emptied often, so that many purchases come later than the page that is credited.
SHOP = replace(
    SMALL,
    {
        "horizon": 120,
        "users": {"number": 12},
        "scenes": [{"name": "page", "cart": True}],
        "choice": {"v_0": -2.0},
        "feedback": {"b_0": 3.0, "cart_hazard": 0.3, "cart_abandon": 0.1},
        "arrival": {"k_0": 0.0, "r_0": 0.0, "r_1": 0.0},
        "reward": {"click": 0.1, "purchase": 1.0},
    },
)
# Rare visits, and nothing that one page does to another.
APART = without(
    sparse(replace(SHOP, {"choice": {"v_0": 1.5}, "items": {"stock_init": 3}, "num_agents": 1}), users=24, pages=8),
    *(cause for cause in CAUSES if cause != "rivals"),
)


class Told(Policy):
    """Shows a fixed slate and keeps what it is told."""

    def __init__(self, first: int) -> None:
        self.first, self.told = first, []

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        slots = self.envs.shape.slots
        return np.tile(np.arange(self.first, self.first + slots), (len(observations), 1))

    def observe(self, feedback: Any) -> None:
        self.told.append({name: values.copy() for name, values in feedback.items()})


class Cheapest(Ranker):
    """Shows the cheapest candidates, so that it goes by nothing that pages change."""

    def score(self, observations: np.ndarray) -> np.ndarray:
        return -self.envs.world.items["price"][np.maximum(self.items, 0)]


def played(config: WorldConfig, *treatments: str, block: int = 7) -> dict[str, Any]:
    """An episode in which agent 0 mixes two policies: who was served when, by which unit and arm, and all infos."""
    envs = VectorEnv(config, len(treatments))
    assignment = Assignment(envs, treatments, range(len(treatments)), block)
    policies = Told(0), Told(3)
    mixture = Mixture(*policies, assignment)
    others = dict.fromkeys(config.agents[1:], "blind")
    team = Team(envs, {config.agents[0]: mixture, **others}, 0)
    observations, _ = envs.reset(seed=5)
    actions, ticks = envs.empty_actions(), []
    for _ in range(config.horizon):
        units, page, items = assignment.units(), envs.next_page, envs.candidates[:, 0].copy()
        team.act(observations, actions)
        observations, _, _, truncated, infos = envs.step(actions)
        team.observe(infos, truncated)
        ticks.append((units, assignment.arms(units), page, actions[:, 0].copy(), items, infos.copy()))
    names = ("units", "arms", "page", "actions", "items", "infos")
    columns = dict(zip(names, map(list, zip(*ticks, strict=True)), strict=True))
    return {**columns, "told": [policy.told for policy in policies], "assignment": assignment}


# ------------------------------------------------------------------------------------------------ who serves which unit


@pytest.fixture(scope="module")
def mixed() -> dict[str, Any]:
    return played(SHOP, "A", "B", "user", "session", "page", "switchback", "item")


def test_a_unit_is_what_its_design_says(mixed: dict[str, Any]) -> None:
    page, units = np.array(mixed["page"]), np.array(mixed["units"])
    here, tick = page["visitor"] >= 0, np.arange(SHOP.horizon)
    assert (units[~here] == -1).all()
    for copy, wanted in {2: page["visitor"][:, 2], 4: tick, 5: tick // 7}.items():
        assert (units[here[:, copy], copy] == wanted[here[:, copy]]).all()
    assert 20 < here[:, 3].sum() < SHOP.horizon
    session = np.cumsum(page["session_page"][here[:, 3], 3] == 0)  # a visit begins with page 0
    assert len(set(session)) == len(set(units[here[:, 3], 3])) > 5
    assert len(set(zip(session.tolist(), units[here[:, 3], 3].tolist(), strict=True))) == len(set(session))


def test_rows_are_routed_by_unit(mixed: dict[str, Any]) -> None:
    """Each page has the action of the policy of its unit, and a unit keeps its policy."""
    arms, actions, units = np.array(mixed["arms"]), np.array(mixed["actions"]), np.array(mixed["units"])
    here = units >= 0
    for copy in range(6):
        mine = here[:, copy]
        assert (actions[mine, copy, 0] == np.where(arms[mine, copy] == 1, 3, 0)).all()
        served = set(zip(units[mine, copy].tolist(), arms[mine, copy].tolist(), strict=True))
        assert len(served) == len({unit for unit, _ in served})
    assert (arms[here[:, 0], 0] == 0).all()
    assert (arms[here[:, 1], 1] == 1).all()
    for copy in range(2, 6):
        assert set(arms[here[:, copy], copy]) == {0, 1}


def test_where_items_decide_a_slot_holds_an_item_of_its_policy(mixed: dict[str, Any]) -> None:
    """The slates of the two policies do not overlap, so a page without a fill holds items of both kinds alone."""
    assignment, found = mixed["assignment"], set()
    for units, items, actions in zip(mixed["units"], mixed["items"], mixed["actions"], strict=True):
        if units[6] < 0:
            continue
        slates = [items[6][:2], items[6][3:5]]
        own = [
            [item for item in slate if item >= 0 and assignment.arms_of(6, item) == arm]
            for arm, slate in enumerate(slates)
        ]
        shown = items[6][actions[6]].tolist()
        if len(own[0]) + len(own[1]) >= 2:
            assert set(shown) <= {*own[0], *own[1]}
            assert len(set(shown)) == 2
        else:
            assert {*own[0], *own[1]} <= set(shown)
        found.add((len(own[0]), len(own[1])))
    assert len(found) > 4


def test_a_policy_is_told_of_its_own_pages_alone(mixed: dict[str, Any]) -> None:
    """And of purchases from the carts that it filled, whoever serves the page on which they come."""
    arms = np.array(mixed["arms"])
    shown = np.array([infos["shown"][:, 0] for infos in mixed["infos"]])
    cart = np.array([(infos["cart"] & ~infos["bought"])[:, 0] for infos in mixed["infos"]])
    credited = [np.where(infos["later_agent"] == 0, infos["later_item"], -1)[:, :, None] for infos in mixed["infos"]]
    elsewhere = 0
    for arm, told in enumerate(mixed["told"]):
        assert len(told) == SHOP.horizon
        for t, feedback in enumerate(told):
            mine = arms[t] == arm
            mine[6] = False
            assert (feedback["shown"][mine] == shown[t][mine]).all()
            other = (arms[t] == 1 - arm) | (mixed["units"][t] < 0)
            assert (feedback["shown"][other] == -1).all()
            assert not feedback["clicked"][other].any()
            kept = shown[t][6] >= 0
            owners = np.where(kept, mixed["assignment"].arms_of(6, np.maximum(shown[t][6], 0)), -1)
            assert (feedback["shown"][6] == np.where(owners == arm, shown[t][6], -1)).all()
    for t, later in enumerate(credited):
        for copy, q in zip(*np.nonzero(later[:, :, 0] >= 0), strict=True):
            item, place = later[copy, q, 0], mixed["page"][t]["visitor"][copy]
            told_of = [told[t]["later_item"][copy, q] == item for told in mixed["told"]]
            assert sum(told_of) == 1
            filled = [
                s
                for s in range(t + 1)
                if mixed["page"][s]["visitor"][copy] == place and (cart[s, copy] & (shown[s, copy] == item)).any()
            ]
            if copy < 6:
                assert told_of[arms[filled[-1], copy]]
                elsewhere += arms[filled[-1], copy] != arms[t, copy]
    assert elsewhere > 3


def test_designs_are_refused_where_they_mean_nothing() -> None:
    envs = VectorEnv(SHOP, 2)
    with pytest.raises(ValueError, match=r"unknown treatment 'users' \(did you mean 'user'\?\)"):
        Assignment(envs, ("user", "users"), SEEDS)
    with pytest.raises(ValueError, match=r"seeds = .* must hold one for each of the 2 copies"):
        Assignment(envs, ("user", "user"), (1,))
    weights = VectorEnv(replace(SHOP, {"action": "weights"}))
    with pytest.raises(ValueError, match=r"design 'item' needs slates of items; .* action = 'weights'"):
        Mixture("random", "blind", Assignment(weights, ("item",), (0,))).bind(weights, "recommender_0", 0)
    with pytest.raises(ValueError, match="the assignment is of another batch"):
        Mixture("random", "blind", Assignment(envs, ("user",) * 2, SEEDS)).bind(VectorEnv(SHOP, 2), "recommender_0", 0)
    with pytest.raises(ValueError, match="on which agents publish items and serve nobody"):
        ab_test("creators-v0", "random", "blind")


# ------------------------------------------------------------------------------------------------ what the log says


def test_the_units_of_a_design_earn_what_the_copy_earns() -> None:
    """Later purchases are moved to the page that filled the cart, and none is lost. The estimate of everybody's units
    is the plain formula."""
    experiment = Experiment(SHOP, "content", "random", tuple(DESIGNS), None, Protocol(block=5, busy="warn"))
    team = experiment._team([*map(_cell, ("A", *DESIGNS))])
    envs: Any = team.envs
    from recsys_env.experiments.ab import _Log

    log = _Log(envs, team.policies["recommender_0"].assignment, [0, 1])  # type: ignore[attr-defined]
    observations, _ = envs.reset(seed=4)
    actions, total = envs.empty_actions(), np.zeros(6)
    for _ in range(SHOP.horizon):
        log.look()
        team.act(observations, actions)
        observations, _, _, truncated, infos = envs._step(actions)
        total += infos["individual_reward"].sum(1)
        log.record(infos)
        team.observe(infos, truncated)
    copies, ticks, units = (np.concatenate(column) for column in zip(*log._pages, strict=True))
    rewards = np.array(log._rewards)
    for copy, found in enumerate(log.summaries(0.0)):
        assert found.reward * 12 == pytest.approx(total[copy], abs=1e-4)
        if copy == 0:
            assert found.estimate is None
            continue
        mine = copies == copy
        values, names, left_out = log._outcomes(copy, ticks[mine], units[mine], rewards[mine], 0.0)
        assert values.sum() == pytest.approx(total[copy], abs=1e-4)
        arms = log._assignment.arms_of(copy, names)
        scale = len(values) / 12
        assert left_out == 0
        estimate: Any = found.estimate
        assert estimate["effect"] == pytest.approx(scale * (values[arms == 1].mean() - values[arms == 0].mean()))
        assert estimate["units"] == [(arms == 0).sum(), (arms == 1).sum()]


def _cell(treatment: str) -> Any:
    from recsys_env.experiments.ab import _Cell

    return _Cell(4, treatment)


def test_a_policy_against_itself_has_no_effect() -> None:
    found = ab_test(APART, "content", "content", ("user", "page"), repetitions=12, seed=3)
    assert found["effect"]["mean"] == 0
    assert not found["clear"]
    for row in found["designs"].values():
        assert row["share"] is row["right"] is row["wrong"] is row["worse"] is None
        assert row["significant"][0] <= 0.2
        assert abs(row["bias"]["mean"]) < 2 * row["bias"]["ci95"]


def test_without_interference_a_unit_earns_the_same_whoever_serves_the_others() -> None:
    """The control: on common random numbers each unit earns what it earns where its policy serves everybody. So the
    estimate of every design has the true effect as its mean over assignments, without any bias."""
    treatments = ("A", "B", "user", "session", "page", "switchback")
    experiment = Experiment(APART, "blind", f"{__name__}:Cheapest", treatments[2:], None, Protocol(block=40))
    team = experiment._team([*map(_cell, treatments)])
    rewards, units = rewards_by_tick(team)
    assert np.count_nonzero(rewards[:, 0] != rewards[:, 1]) > 20
    assignment: Any = team.policies["recommender_0"].assignment  # type: ignore[attr-defined]
    for copy in range(2, 6):
        here = units[:, copy] >= 0
        arms = assignment.arms_of(copy, units[here, copy])
        assert set(arms) == {0, 1}
        assert rewards[here, copy] == pytest.approx(np.where(arms == 1, rewards[here, 1], rewards[here, 0]))
    assert 0.05 < (units[:, 0] >= 0).mean() < 0.15


def rewards_by_tick(team: Team) -> tuple[np.ndarray, np.ndarray]:
    """Rewards [t, B] of all pages, without later purchases, and their units [t, B]."""
    envs: Any = team.envs
    assignment: Any = team.policies["recommender_0"].assignment  # type: ignore[attr-defined]
    observations, _ = envs.reset(seed=[4] * envs.num_envs)
    actions, rewards, units = envs.empty_actions(), [], []
    for _ in range(envs.config.horizon):
        units.append(assignment.units())
        team.act(observations, actions)
        observations, _, _, truncated, infos = envs.step(actions)
        clicks = infos["clicked"].sum((1, 2)) + infos["cart"].sum((1, 2))
        rewards.append(clicks.astype(float))
        team.observe(infos, truncated)
    return np.array(rewards), np.array(units)


def test_a_busy_clock_is_refused_or_warned_of() -> None:
    with pytest.raises(ValueError, match=r"(?s)\d\d% of the ticks serve somebody, more than 15%.*sparse\(task\)"):
        ab_test(SHOP, "random", "content", "user", repetitions=2)
    with pytest.warns(UserWarning, match="of the ticks serve somebody"):
        found = ab_test(SHOP, "random", "content", "user", repetitions=2, protocol=Protocol(busy="warn"))
    assert found["clock"] > 0.15


def test_repetitions_do_not_depend_on_what_they_are_played_with() -> None:
    """So that a study may go on later. A policy that learns or draws has a batch of its own for each treatment."""
    shop, warn = replace(SHOP, {"horizon": 60}), Protocol(busy="warn")
    pairs = (("content", "popularity"), ("linucb", "popularity"), ("random", "content"), ("nearest", "content"))
    for policies in pairs:
        experiment = Experiment(shop, *policies, ("user", "item"), None, warn)
        both, second = experiment.repeat(0, 2), experiment.repeat(1, 2)
        assert both[1] == second[0]
        (alone,) = Experiment(shop, *policies, ("user",), None, warn).repeat(1, 2)
        assert alone["reward"] == second[0]["reward"]
        assert alone["designs"]["user"] == second[0]["designs"]["user"]


def test_a_summary_counts_decisions() -> None:
    def row(truth: float, effect: float, error: float) -> dict[str, Any]:
        designs = {"user": {"effect": effect, "error": error, "units": [60, 60]}}
        return {"reward": {"A": 1.0, "B": 1.0 + truth}, "clock": {"A": 0.1, "B": 0.2}, "designs": designs}

    rows = [row(1.0, 1.0, 0.4), row(1.1, 1.2, 0.7), row(0.9, -0.2, 0.5), row(1.0, -1.0, 0.2)]
    found = summary(rows)
    user = found["designs"]["user"]
    assert found["clear"]
    assert found["clock"] == pytest.approx(0.2)
    assert (user["right"][0], user["wrong"][0], user["worse"][0]) == (0.25, 0.25, 0.5)
    assert user["share"]["mean"] == pytest.approx(0.25)
    assert user["bias"]["mean"] == pytest.approx(-0.75)
    assert user["worse"][1:] == pytest.approx([0.150, 0.850], abs=1e-3)  # Wilson: 2 of 4
    with pytest.raises(ValueError, match="must be two or more results of Experiment"):
        summary(rows[:1])


# ------------------------------------------------------------------------------------------------ worlds


@pytest.mark.parametrize("task", ["rivals-v1", "ecommerce-v1", "news-v1", "grocery-v1", "duel-v1"])
def test_a_sparse_task_has_rare_visits(task: str) -> None:
    config, original = sparse(task, 50, 20), task_config(task, {})
    assert config.arrival.r_0 < original.arrival.r_0
    assert np.sign(config.arrival.r_1) == np.sign(original.arrival.r_1)
    assert config.horizon == round(config.users.number * 20 / 0.12)
    assert config.items.restock_period >= original.items.restock_period
    if task != "grocery-v1":
        assert config.users.number == 50


def test_taking_out_a_cause_changes_its_fields_alone() -> None:
    config = task_config("news-v1", {})
    assert without(config) == config
    still = without(config, "satisfaction")
    assert still.dynamics.z_rate == still.dynamics.trust_rate == 0
    assert replace(still, {"dynamics": config.dynamics}) == config
    assert without("ecommerce-v1", "stock").items.stock_init == 0
    assert without("rivals-v1", "rivals").num_agents == 1
    assert without(config, *CAUSES).num_agents == 1
    assert without("duel-v1", "satisfaction").dynamics.mood_down_none == 0
    with pytest.raises(ValueError, match="unknown cause 'stocks'"):
        without(config, "stocks")
    with pytest.raises(ValueError, match="rivals cannot be taken out"):
        without("journey-v1", "rivals")


@pytest.mark.parametrize("task", ["news-v1", "grocery-v1", "duel-v1"])
def test_without_popularity_the_mean_utility_stays(task: str) -> None:
    config = replace(task_config(task, {}), {"choice": {"beta_pop": 0.4}})
    known = without(config, "popularity")
    mean = 0.4 * np.log1p(VectorEnv(config).world.items["popularity"].astype(float)).mean()
    assert known.choice.beta_pop == 0
    assert known.choice.v_0 == pytest.approx(config.choice.v_0 - mean)
    assert known.choice.v_0_by_mood == pytest.approx([value - mean for value in config.choice.v_0_by_mood])


# ------------------------------------------------------------------------------------------------ off-policy

TINY = replace(
    SMALL, {"num_agents": 1, "slots": 2, "candidates": {"number": 4}, "users": {"number": 2}, "choice": {"v_0": 0.0}}
)


def test_the_estimators_have_the_expectations_that_enumeration_gives() -> None:
    """Over all slates of a page. IPS and DR are right for any model where a slot's reward depends on its own item; on a
    page they have the mean over what the other slots may show, which is another value."""
    envs = VectorEnv(TINY, 3)
    envs.reset(seed=1)
    slates = np.array(list(permutations(range(4), 2)))
    clicks = np.zeros((len(slates), 3, 2))
    for i, slate in enumerate(slates):
        joint = envs.empty_actions()
        joint[:, 0] = slate
        clicks[i] = envs.expected_feedback(joint)["click"][:, 0]
    assert clicks.max() > 0.1
    rng, target = np.random.default_rng(0), np.array([2, 0])
    here = int(np.flatnonzero(clicks.sum((0, 2)))[0])
    wanted = np.tile(target, (len(slates), 1))
    predicted = np.repeat(rng.random((1, 4, 2)), len(slates), axis=0)
    given = slates, np.full(slates.shape, 1 / 4)
    found = slotwise(*given, clicks[:, here], wanted, predicted)
    others = sum(clicks[slates[:, k] == target[k], here, k].mean() for k in range(2))
    assert found["ips"].mean() == pytest.approx(others)
    assert found["dr"].mean() == pytest.approx(others)
    exact = clicks[(slates == target).all(1), here].sum()
    assert abs(others - exact) > 1e-3  # the items of a page compete
    # Where slots do not, all of it is the exact value: for DM only if the model is right.
    own = rng.random((4, 2))
    apart = own[slates, np.arange(2)]
    found = slotwise(*given, apart, wanted, predicted)
    value = own[target, np.arange(2)].sum()
    assert found["ips"].mean() == pytest.approx(value)
    assert found["dr"].mean() == pytest.approx(value)
    assert found["dm"].mean() == pytest.approx(predicted[0, target, np.arange(2)].sum())
    assert slotwise(*given, apart, wanted, np.repeat(own[None], len(slates), 0))["dm"].mean() == pytest.approx(value)
    # Propensities that are conditional on the earlier slot, 1 / 4 and then 1 / 3: the target below what it shows.
    below = np.stack([wanted[:, 0], np.where(slates[:, 0] == target[1], target[0], target[1])], axis=1)
    found = slotwise(slates, np.tile([1 / 4, 1 / 3], (len(slates), 1)), apart, below, predicted)
    for kind in ("ips", "dr"):
        assert found[kind].mean() == pytest.approx(own[below, np.arange(2)].sum(1).mean())


def test_bad_logs_are_refused() -> None:
    good = [np.zeros((3, 2), int), np.full((3, 2), 0.25), np.zeros((3, 2)), np.zeros((3, 2), int), np.zeros((3, 4, 2))]
    assert slotwise(*good)["ips"].tolist() == [0, 0, 0]
    for place, bad, message in (
        (0, np.full((3, 2), 4), "picks"),
        (1, np.full((3, 2), 1.5), "propensities = .* must be above 0 and at most 1"),
        (1, np.full((3, 2), 0.0), "propensities = .* must be above 0 and at most 1"),
        (2, np.zeros((3, 1)), r"rewards = .* of shape \[3, 1\] must be \[P, K\] = \[3, 2\]"),
        (2, np.full((3, 2), np.nan), "rewards"),
        (4, np.zeros((3, 4)), r"predicted = .* must be \[P, C, K\]"),
    ):
        with pytest.raises(ValueError, match=message):
            slotwise(*good[:place], bad, *good[place + 1 :])


def test_a_log_of_random_slates_gives_the_value_of_a_page() -> None:
    """With one slot nothing competes with it on the page, so IPS and DR are without bias."""
    one = replace(TINY, {"slots": 1, "horizon": 100, "arrival": {"r_0": 10.0}})
    log = page_log(one, ("content", "random"), episodes=60, seed=2)
    assert isinstance(log, PageLog)
    assert log.propensities.max() <= 1
    assert log.picks.shape == log.propensities.shape == log.clicked.shape
    for policy in log.targets:
        found = page_estimates(log, policy)
        for name in ("ips", "dr"):
            difference = found[name]["mean"] - found["exact"]["mean"]
            assert abs(difference) < 2 * found[name]["ci95"]
    assert page_estimates(log, "content")["exact"]["mean"] > page_estimates(log, "random")["exact"]["mean"]
    with pytest.raises(ValueError, match="unknown policy 'greedy'"):
        page_estimates(log, "greedy")
    with pytest.raises(ValueError, match="policy 'linucb' learns or acts for several agents"):
        page_log(one, ("linucb",))
    with pytest.raises(ValueError, match="need actions that are slates alone"):
        page_log("market-v0", ("content",))
    even = dataclasses.replace(log, copy=2 * log.copy)
    with pytest.raises(ValueError, match="all pages of the log are of copies with even numbers"):
        page_estimates(even, "content")


# ------------------------------------------------------------------------------------------------ the command


def test_the_command_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tyro")
    pytest.importorskip("rich")
    task = "rivals-v1,horizon=400,arrival.r_0=-3,users.number=20"
    command = ["ab", "--task", task, "--no-sparse", "--policies", "random", "content"]
    main([*command, "--design", "user", "page", "--repetitions", "2"])
    shown = capsys.readouterr().out
    assert "A = random, B = content. If B serves everybody instead of A, a user slot earns" in shown
    assert "of the ticks." in shown
    for word in ("share of the true effect", "picks the worse", "user", "page"):
        assert word in shown
    with pytest.raises(SystemExit, match=r"^2$"):
        main(["ab", "--no-sparse", "--policies", "random", "content", "--design", "user", "--repetitions", "2"])
    assert "leave out --no-sparse" in capsys.readouterr().err
    with pytest.raises(SystemExit, match=r"^2$"):
        main([*command, "--without", "stocks"])
    assert "unknown cause 'stocks'" in capsys.readouterr().err


def test_a_policy_is_paid_for_its_own_slots_and_carts_alone(mixed: dict[str, Any]) -> None:
    """A purchase out of a cart that the other policy filled pays nothing, whoever serves the page on which it comes."""
    paid = np.array([infos["individual_reward"][:, 0] for infos in mixed["infos"]])
    told = []
    for arm in (0, 1):
        told.append(np.array([feedback["individual_reward"] for feedback in mixed["told"][arm]]))
        for feedback, reward in zip(mixed["told"][arm], told[arm], strict=True):
            later = np.where(feedback["later_item"] >= 0, feedback["later_price"], 0.0).sum(1)
            assert reward == pytest.approx(0.1 * feedback["clicked"].sum(1) + later, abs=1e-5)
    assert told[0] + told[1] == pytest.approx(paid, abs=1e-5)


def test_a_burn_in_leaves_out_the_beginning_of_each_block() -> None:
    """A click that everybody makes at every page: with and without the burn-in the estimate is 0, and errors are."""
    sure = replace(SHOP, {"choice": {"v_0": -50.0}, "feedback": {"b_0": -50.0}, "arrival": {"r_0": 50.0}})
    for burn_in in (0.0, 0.5):
        protocol = Protocol(block=10, burn_in=burn_in, busy="warn")
        experiment = Experiment(sure, "random", "blind", "switchback", None, protocol)
        found = experiment.repeat(0, 1)[0]
        assert found["reward"]["A"] == pytest.approx(found["reward"]["B"])
        assert found["designs"]["switchback"]["units"] == [6, 6]
        assert found["designs"]["switchback"]["effect"] == pytest.approx(0, abs=1e-6)


def test_the_interval_of_the_direct_method_holds_its_regression() -> None:
    logs = [page_log("rivals-v1", ("content",), episodes=16, seed=seed) for seed in range(12)]
    found = [page_estimates(log, "content")["dm"] for log in logs]
    spread = np.std([row["mean"] for row in found], ddof=1)
    error = np.mean([row["ci95"] for row in found]) / 2.13  # Student's t of 15 degrees of freedom
    assert 0.6 < error / spread < 2.0
    assert page_estimates(page_log("rivals-v1", ("content",), episodes=4), "content")["dm"]["ci95"] is None
