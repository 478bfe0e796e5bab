"""The report on a log of pages: predictions of clicks, simulated clicks, values of pages, and the words about them."""

from __future__ import annotations

import dataclasses
import html
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pd = pytest.importorskip("pandas")
pytest.importorskip("implicit")
pytest.importorskip("sklearn")

from recsys_env import WorldConfig, replace, vector_env  # noqa: E402
from recsys_env.__main__ import main  # noqa: E402
from recsys_env.evaluation import record  # noqa: E402
from recsys_env.fitting import FittedWorld, PageFitSettings, recorded_pages  # noqa: E402
from recsys_env.fitting.page_world import fitted_pages  # noqa: E402
from recsys_env.fitting.report import assess, diagnosis, page_values, verdict, write_page  # noqa: E402
from recsys_env.fitting.report import click_prediction as prediction  # noqa: E402
from recsys_env.fitting.report import click_realism as realism  # noqa: E402
from recsys_env.fitting.report import visit_realism as visits  # noqa: E402
from recsys_env.fitting.report.assessment import PAGE_PARTS, PARTS  # noqa: E402
from recsys_env.fitting.report.page import SECTIONS  # noqa: E402
from recsys_env.fitting.report.ranking import FITTED  # noqa: E402
from recsys_env.fitting.report.realism import distances as realism_distances  # noqa: E402
from recsys_env.fitting.report.realism import habits_of  # noqa: E402
from recsys_env.fitting.report.split import PageSplit, split_pages  # noqa: E402

SHOP: WorldConfig = replace(
    WorldConfig(),
    {
        "num_agents": 1,
        "slots": 4,
        "horizon": 4_000,
        "action": "items",
        "users": {"number": 60, "population": "fixed", "habit_size": 16},
        "items": {"number": 24, "dims": 4, "topics": 4, "promotion_probability": 0.3, "promotion_depth": 0.3},
        "choice": {"v_0": 3.5, "beta_price": 0.7, "beta_repeat": 0.3},
        "dynamics": {"drift": 0.0},
        "arrival": {"k_1": 0.0, "r_0": 6.0, "r_1": 0.0},
    },
)
pytestmark = pytest.mark.usefixtures("short_chains")
SMALL: dict[str, Any] = {"episodes": 2, "draws": 1, "strengths": (1.0,), "policies": ("random", "content")}


@pytest.fixture(scope="module")
def log() -> Any:
    return recorded_pages(record(SHOP, "random", seed=3))


def test_what_is_bought_later_is_not_in_the_first_part() -> None:
    rows = []
    for page in range(400):
        user, time = page % 20, float(page)
        shown = [(user, item, page, time, "click" if item == page % 8 else "none") for item in range(8)]
        rows += shown + ([(user, page % 8, page, time, "cart"), (user, page % 8, page, time + 100.0, "purchase")])
        rows += [(user, item, 1000 + page, time + 0.5, "none") for item in range(8)]
    log = pd.DataFrame(rows, columns=["user", "item", "page", "time", "event"])
    found = split_pages(log, None, None, 0.5)
    cut = found.whole.start[~found.first].min()
    assert found.whole.bought[found.whole.clicked].all()
    page, carts = found.before.page, found.before.clicked
    np.testing.assert_array_equal(found.before.bought[carts], found.before.start[page[carts]] + 100.0 < cut)


@pytest.fixture(scope="module")
def cut(log: Any) -> PageSplit:
    return split_pages(log, None, None, 0.2)


@pytest.fixture(scope="module")
def fitted(cut: PageSplit) -> Any:
    return fitted_pages(cut.before, PageFitSettings())


@pytest.fixture(scope="module")
def shown(cut: PageSplit, fitted: Any) -> Any:
    """The items shown before and after the cut."""
    catalogue = fitted[0].catalogue
    return [prediction.shown_items(cut, catalogue, PageFitSettings(), pages) for pages in (cut.first, cut.after)]


@pytest.fixture(scope="module")
def report(log: Any) -> dict[str, Any]:
    return assess(log, origin="pages", **SMALL)


# ------------------------------------------------------------------------------------------------ from log to page


def test_a_report_has_all_its_parts_as_json(report: dict[str, Any]) -> None:
    assert json.loads(json.dumps(report, allow_nan=False)).keys() == report.keys()
    assert [name for name in report if name in PAGE_PARTS] == list(PAGE_PARTS) == list(PARTS) == list(SECTIONS)
    assert report["verdict"]["comparison"] in ("allowed", "with care")
    pages = report["log"]["pages"]
    assert pages[1] == pytest.approx(0.1 * sum(pages), abs=1)
    right = " ".join(report["verdict"]["right"])
    assert "100 % of the pages show an item that was unlikely to be shown there" in right
    assert "The world predicts later clicks better than 'click rates of item and position'" in right


def test_the_page_needs_no_other_file(report: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    text = write_page(json.loads(json.dumps(report)), tmp_path / "page.html", "a log").read_text(encoding="utf-8")
    assert html.escape(report["verdict"]["sentence"]) in text
    assert not re.findall(r'(?:src|href)="(?!data:)', text)
    assert text.count("data:image/svg+xml;base64,") == 5
    loss = report["held out"]["quality"][FITTED]["log-loss"]
    assert f"{loss['mean']:.3f} [{loss['low']:.3f}, {loss['high']:.3f}]" in text
    assert "nan" not in re.sub(r"base64,[^\"]*", "", text).lower().split()


@pytest.mark.slow
def test_a_log_without_propensities_or_prices_says_so(log: Any) -> None:
    found = assess(log[["user", "item", "time", "event", "page", "category"]], origin="pages", **SMALL)
    wrong, lacking = " ".join(found["verdict"]["wrong"]), " ".join(found["diagnosis"]["not identified"])
    assert "The log has no propensities" in wrong
    assert "they need the propensity of every slot" in wrong
    assert found["decisions"]["page values"].keys() == {"reason"}
    for part in ("Position effects: the log has no positions", "The effect of prices", "The platform's own popularity"):
        assert part in lacking


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (lambda log: log[log["page"] < 100], "the log has 100 pages, of which it needs 200"),
        (lambda log: log[log["user"].isin(log["user"].unique()[:9])], "9 users, of which it needs 20"),
        (lambda log: log.assign(time=5), "have the same time, so that none can be held out"),
        (lambda log: log.assign(user=log["page"]), "have 0 pages with a click, of which it needs 20"),
    ],
    ids=["few pages", "few users", "one time", "no user again"],
)
def test_a_log_that_says_nothing_is_refused(log: Any, rows: Any, reason: str) -> None:
    found = assess(rows(log), origin="pages", **SMALL)
    assert found["verdict"]["comparison"] == "refused"
    assert reason in found["verdict"]["sentence"]


def test_what_is_no_log_is_an_error(log: Any) -> None:
    with pytest.raises(ValueError, match="no column 'user'"):
        assess(log.drop(columns="user"), origin="pages")
    with pytest.raises(ValueError, match=r"there is no file log\.parquet"):
        assess("log.parquet", origin="pages")
    with pytest.raises(ValueError, match="'propensity' must hold numbers from"):
        assess(log.assign(propensity=0.0), origin="pages")


# ------------------------------------------------------------------------------------------------ the cut


def test_the_last_pages_are_held_out(log: Any, cut: PageSplit) -> None:
    pages = len(cut.whole.start)
    assert (~cut.first).sum() == pytest.approx(0.2 * pages, abs=1)
    assert cut.whole.start[cut.first].max() < cut.whole.start[~cut.first].min()
    assert cut.strangers == 1 - cut.after.sum() / (~cut.first).sum()
    np.testing.assert_array_equal(cut.before.user_ids[cut.user[cut.user >= 0]], cut.whole.user_ids[cut.user >= 0])
    untimed = split_pages(log.drop(columns="time"), None, None, 0.2)  # pages in order of appearance
    np.testing.assert_array_equal(untimed.first, cut.first)
    shuffled = split_pages(log.sample(frac=1, random_state=0), None, None, 0.2)
    np.testing.assert_array_equal(shuffled.first, cut.first)


# ------------------------------------------------------------------------------------------------ predictions


def rows_of(catalogue: Any, user: np.ndarray, item: np.ndarray) -> Any:
    """Pages [P, K] of items at list prices, for users [P] with the habits of the catalogue."""
    (pages, slots), flat = item.shape, item.ravel()
    users = np.repeat(user, slots)
    return prediction.Shown(
        page=np.repeat(np.arange(pages), slots),
        user=users,
        item=flat,
        rank=np.tile(np.arange(1.0, slots + 1), pages),
        price=catalogue.item_price.astype(float)[flat],
        habit=habits_of((catalogue.habit_item, catalogue.habit_count), users, flat),
        propensity=np.zeros(0),
        clicked=np.zeros(pages * slots, bool),
        order=np.repeat(np.arange(pages), slots),
    )


def test_ids_may_be_of_several_kinds(log: Any) -> None:
    mixed = log.assign(item=[f"sku {item}" if item % 2 else item for item in log["item"]])
    found, usual = (split_pages(table, None, None, 0.1) for table in (mixed, log))
    np.testing.assert_array_equal(found.after, usual.after)
    np.testing.assert_array_equal(
        found.before.item_ids[found.before.item].astype(str),
        [f"sku {item}" if item % 2 else str(item) for item in usual.before.item_ids[usual.before.item]],
    )


def test_probabilities_are_those_of_the_environment(fitted: Any) -> None:
    """On first pages, at list prices, with the world's own people and habits."""
    catalogue = dataclasses.replace(fitted[0].catalogue, item_price_ratio=np.ones((24, 0), np.float32))
    world = replace(fitted[0], {"action": "items", "catalogue": catalogue})
    envs = vector_env(world, 32)
    envs.reset(seed=1)
    here = envs.next_user_slots >= 0
    actions = envs.empty_actions()
    rng = np.random.default_rng(0)
    actions[:, 0] = [rng.permutation(len(catalogue.item_price))[: world.slots] for _ in range(32)]
    expected = envs.expected_feedback(actions)["click"][here, 0]
    rows = rows_of(catalogue, envs.next_user_slots[here], actions[here, 0])
    found = prediction.click_probabilities(catalogue, prediction.coefficients(catalogue), rows)
    assert here.sum() > 20
    np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-4)


def test_clicks_are_expected_over_all_that_is_not_known_of_tastes(fitted: Any, shown: Any) -> None:
    """The mean over posterior draws predicts better than any one draw does, and no worse than posterior means do."""
    catalogue, model, later = fitted[0].catalogue, fitted[1], shown[1]
    away = model.sampled.mean(axis=0) - model.centres
    assert np.sqrt((away**2).mean()) < 0.3 * np.sqrt(model.sampled.var(axis=0).mean())  # a root of 30 draws

    def log_loss(chance: np.ndarray) -> float:
        return float(-np.where(later.clicked, np.log(chance), np.log1p(-chance)).mean())

    singles = [
        log_loss(prediction.click_probabilities(catalogue, prediction.coefficients(catalogue, users), later))
        for users in model.sampled
    ]
    middle = prediction.click_probabilities(catalogue, prediction.coefficients(catalogue, model.centres), later)
    expected = log_loss(prediction.expected_clicks(catalogue, model, later))
    assert len(singles) == 30
    assert expected < min(singles)
    assert expected < log_loss(middle) + 0.001


def test_habits_are_those_before_the_page(cut: PageSplit, fitted: Any, shown: Any) -> None:
    catalogue, later = fitted[0].catalogue, shown[1]
    firsts = np.flatnonzero(np.r_[True, later.user[1:] != later.user[:-1]])  # of each user's first later page
    table = habits_of((catalogue.habit_item, catalogue.habit_count), later.user[firsts], later.item[firsts])
    np.testing.assert_allclose(later.habit[firsts], table, rtol=1e-4, atol=1e-6)
    assert later.clicked.sum() == (cut.whole.chosen[cut.after] >= 0).sum()


def test_the_world_predicts_better_than_what_knows_less(fitted: Any, shown: Any) -> None:
    found = prediction.predictions(fitted[0].catalogue, fitted[1], *shown)
    rng = np.random.default_rng(0)
    found["chance"] = rng.uniform(0.1, 0.2, len(shown[1].item))
    found["constant"] = np.full(len(shown[1].item), 0.1)
    quality = prediction.click_quality(found, shown[1])
    for name in ("click rate of the position", "click rates of item and position", "popularity", "chance", "constant"):
        gap = quality[name]["fitted minus this"]
        assert gap["log-loss"]["high"] < 0 < gap["AUC"]["low"], name
    assert quality["chance"]["AUC"]["mean"] == pytest.approx(0.5, abs=0.05)
    assert quality["constant"]["AUC"]["mean"] == 0.5
    assert quality["constant"]["slope"] is None
    for name in (FITTED, "click rates of item and position", prediction.BOOSTING):
        assert quality[name]["slope"]["mean"] == pytest.approx(1.0, abs=0.25), name
        assert quality[name]["predicted clicks per click"]["mean"] == pytest.approx(1.0, abs=0.15), name
        assert quality[name]["calibration error"] < 0.03


def test_calibration_tells_what_is_too_sure_and_too_many(shown: Any) -> None:
    later, rng = shown[1], np.random.default_rng(2)
    logit = rng.normal(-2, 1, len(later.item))
    rows = later._replace(clicked=rng.random(len(logit)) < 1 / (1 + np.exp(-logit)))
    sure = {FITTED: logit, "too sure": 2 * logit, "too many": logit + 1}
    quality = prediction.click_quality({name: 1 / (1 + np.exp(-v)) for name, v in sure.items()}, rows)
    slope, level = (
        {name: row[of]["mean"] for name, row in quality.items()} for of in ("slope", "predicted clicks per click")
    )
    assert slope[FITTED] == pytest.approx(1, abs=0.2)
    assert slope["too sure"] == pytest.approx(slope[FITTED] / 2)
    assert slope["too many"] == pytest.approx(slope[FITTED])
    assert level["too many"] > 1.5 > 1.1 > level[FITTED] > 0.9
    assert quality["too many"]["AUC"]["mean"] == quality[FITTED]["AUC"]["mean"]
    assert quality["too many"]["calibration error"] > 3 * quality[FITTED]["calibration error"]


def test_boosting_sees_nothing_of_a_page_before_it_is_clicked(fitted: Any, shown: Any) -> None:
    """Other clicks on later pages change no feature; clicks on an earlier page change only what comes after it."""
    catalogue, (before, later) = fitted[0].catalogue, shown
    usual = prediction._features(catalogue, before, later)
    turned = prediction._features(catalogue, before, later._replace(clicked=~later.clicked))
    np.testing.assert_array_equal(turned, usual)
    some = before.order[before.clicked][100]
    rows = np.flatnonzero(before.order == some)
    clicked = before.clicked.copy()
    clicked[rows] = np.roll(clicked[rows], 1)  # as many clicks
    other = prediction._features(catalogue, before._replace(clicked=clicked), later)
    moved = (other != usual).any(axis=1)
    assert moved.any()
    assert np.concatenate([before.order, later.order])[moved].min() > some


# ------------------------------------------------------------------------------------------------ realism


def test_simulated_clicks_follow_the_probabilities(fitted: Any, shown: Any) -> None:
    never = {"users": {"habit": "purchase", "habit_size": 64, "habit_decay": 1.0}, "feedback": {}}
    catalogue = dataclasses.replace(fitted[0].catalogue, settings={**fitted[0].catalogue.settings, **never})
    rows = shown[1]
    rows = rows._replace(habit=habits_of((catalogue.habit_item, catalogue.habit_count), rows.user, rows.item))
    expected = prediction.click_probabilities(catalogue, prediction.coefficients(catalogue), rows)
    made = realism.simulated_pages(catalogue, rows, priced=True)
    clicks = (made.item >= 0).sum()
    assert clicks == pytest.approx(expected.sum(), abs=4 * np.sqrt((expected * (1 - expected)).sum()))
    by_item = np.bincount(rows.item, expected, len(catalogue.item_price))
    assert np.corrcoef(np.bincount(made.clicks.item, minlength=len(by_item)), by_item)[0, 1] > 0.9
    again = realism.simulated_pages(catalogue, rows, priced=True)
    np.testing.assert_array_equal(again.item, made.item)


def test_habits_grow_with_simulated_clicks(fitted: Any) -> None:
    """One user who sees the same item on every page, and clicks it again and again if habits weigh much."""
    settings = {**fitted[0].catalogue.settings, "users": {"habit": "click", "habit_size": 64, "habit_decay": 0.5}}
    catalogue = dataclasses.replace(fitted[0].catalogue, settings=settings)
    made = realism.simulated_pages(catalogue, rows_of(catalogue, np.zeros(400, int), np.full((400, 1), 3)), True)
    clicks = made.clicks
    expected, last = [], None
    start = habits_of((catalogue.habit_item, catalogue.habit_count), np.zeros(1, int), np.full(1, 3))[0]
    for number in clicks.number:
        faded = start * 0.5**number if last is None else (0.5 * expected[-1] + 1) * 0.5 ** (number - last - 1)
        expected.append(faded)
        last = number
    np.testing.assert_allclose(clicks.habit, expected, rtol=1e-6)


SURE = {"b_0": 50.0, "b_taste": 0.0, "b_quality": 0.0}  # a cart, or a purchase, follows every click


@pytest.mark.parametrize("later", [0, 1], ids=["at once", "from the cart, at the next page"])
def test_habits_grow_with_simulated_purchases(fitted: Any, later: int) -> None:
    settings = {
        **fitted[0].catalogue.settings,
        "users": {"habit": "purchase", "habit_size": 64, "habit_decay": 0.5},
        "feedback": {**SURE, "instant": not later, "cart_hazard": 1.0, "cart_abandon": 0.0},
    }
    catalogue = dataclasses.replace(fitted[0].catalogue, settings=settings)
    made = realism.simulated_pages(catalogue, rows_of(catalogue, np.zeros(400, int), np.full((400, 1), 3)), True)
    start = habits_of((catalogue.habit_item, catalogue.habit_count), np.zeros(1, int), np.full(1, 3))[0]
    habit, in_cart = start, False
    assert (made.item >= 0).sum() > 10
    for page, clicked in enumerate(made.item >= 0):
        assert not clicked or made.habit[page] == pytest.approx(habit)
        bought = in_cart if later else clicked
        habit, in_cart = 0.5 * habit + bought, clicked and not in_cart  # a click on what is in the cart adds nothing


def test_carts_of_a_user_end_with_the_user_and_what_is_given_up_is_no_habit(fitted: Any) -> None:
    settings = {
        **fitted[0].catalogue.settings,
        "users": {"habit": "purchase", "habit_size": 64, "habit_decay": 1.0},
        "feedback": {**SURE, "instant": False, "cart_hazard": 0.0, "cart_abandon": 1.0},
    }
    catalogue = dataclasses.replace(fitted[0].catalogue, settings=settings)
    user = np.repeat([0, 1], 50)
    for hazard in (0.0, 1.0):
        settings["feedback"] |= {"cart_hazard": hazard}
        catalogue = dataclasses.replace(catalogue, settings=settings)
        made = realism.simulated_pages(catalogue, rows_of(catalogue, user, np.full((100, 1), 3)), True)
        start = habits_of((catalogue.habit_item, catalogue.habit_count), user[[0, 50]], np.full(2, 3))
        grown = made.clicks.habit - start[made.clicks.user]
        if hazard == 0.0:
            np.testing.assert_allclose(grown, 0.0, atol=1e-6)
        for u in (0, 1):
            assert grown[made.clicks.user == u][0] == pytest.approx(0.0, abs=1e-6)
            assert (grown[made.clicks.user == u][1:] > 0.5).any() == bool(hazard)


def test_an_item_is_in_a_cart_once(fitted: Any) -> None:
    settings = {**fitted[0].catalogue.settings, "feedback": {**SURE, "instant": False}}
    catalogue = dataclasses.replace(fitted[0].catalogue, settings=settings)
    purchases = realism._Purchases(catalogue, rows_of(catalogue, np.zeros(4, int), np.array([[3], [3], [5], [3]])))
    carts = []
    for page in range(4):
        assert purchases.at_page(page) == []
        carts.append(list(purchases.cart))
    assert carts == [[3], [3], [3, 5], [3, 5]]


def test_marginals_and_features_of_seen_pages(fitted: Any) -> None:
    catalogue = fitted[0].catalogue
    user, item = np.array([0, 0, 0, 0, 1]), np.array([3, -1, 4, 3, 3])
    pages = realism.SeenPages(user, np.array([0, 1, 2, 3, 0]), np.full(5, 4), item, np.ones(5), np.ones(5), np.zeros(5))
    found = realism.marginals(catalogue, pages)
    assert found.keys() == realism.MARGINALS.keys()
    assert found["click"].mean() == 0.8
    assert sorted(found["clicks of a user"]) == [1, 3]
    assert sorted(found["pages between clicks"]) == [1, 2]
    assert found["pages to a repeat"].tolist() == [3]
    told = realism.features(catalogue, pages.clicks)
    np.testing.assert_array_equal(told["pages since the last click"], [np.nan, 2, 1, np.nan])
    np.testing.assert_array_equal(told["pages since the same item"], [np.nan, np.nan, 3, np.nan])
    np.testing.assert_array_equal(told["clicks of the user before"], [0, 1, 2, 0])
    unpriced = realism.marginals(catalogue, pages._replace(price=np.full(5, np.nan)))
    assert len(unpriced["price"]) == 0


def test_visits_of_a_recorded_world_are_like_its_own(report: dict[str, Any], fitted: Any, cut: PageSplit) -> None:
    found = report["realism"]["visits"]
    assert found["visits"]["world"] == pytest.approx(found["visits"]["real"], rel=0.2)
    pages = visits.of_known_users(cut, np.ones(len(cut.order), bool))
    real, made = visits.real_visits(cut, pages), visits.simulated_visits(fitted[0], cut, pages)
    assert real.pages.sum() == made.pages.sum() == len(pages)
    assert made.start[0] == 0
    assert made.start.max() <= 1
    differences = realism_distances(*(visits.marginals(None, sample) for sample in (real, made)))
    assert max(differences.values()) < 0.2, differences


def test_users_who_come_back_by_the_clock_are_not_those_of_the_world(log: Any, fitted: Any) -> None:
    """The world draws who comes next. In this log, each user comes five times, every hour."""
    session, user = log["session"].to_numpy(), log["user"].to_numpy()
    by_user = pd.DataFrame({"user": user, "session": session}).groupby("user")["session"]
    number, kept = by_user.rank("dense").to_numpy(), (by_user.transform("nunique") >= 5).to_numpy()
    page = log.groupby("session")["page"].rank("dense").to_numpy()
    regular = log.assign(time=3600.0 * number + 0.01 * page)[kept & (number <= 5)]
    cut = split_pages(regular, None, None, 0.2)
    pages = visits.of_known_users(cut, np.ones(len(cut.order), bool))
    real, made = visits.real_visits(cut, pages), visits.simulated_visits(fitted[0], cut, pages)
    differences = realism_distances(*(visits.marginals(None, sample) for sample in (real, made)))
    assert differences["time between visits"] > 0.4
    assert differences["pages of a visit"] < 0.15


def test_a_new_person_in_the_place_of_a_lost_user_has_not_come_back() -> None:
    sample = visits.Visits(np.array([0, 1, 0, 0]), np.array([0, 2, 0, 1]), np.array([0, 0.1, 0.3, 0.9]), np.ones(4))
    found = visits.marginals(None, sample)
    assert found["time between visits"].tolist() == pytest.approx([0.3])
    assert sorted(found["visits of a user"]) == [1, 3]


def test_simulated_times_are_as_exact_as_those_of_the_log(log: Any, fitted: Any) -> None:
    by_day = log.assign(time=log["time"] // 100)
    cut = split_pages(by_day, None, None, 0.2)
    later = visits.of_known_users(cut, ~cut.first)
    days = visits.simulated_visits(fitted[0], cut, later).start * np.ptp(cut.whole.start[later])
    np.testing.assert_allclose(days, np.round(days), atol=1e-6)
    assert len(np.unique(np.round(days))) > 3


# ------------------------------------------------------------------------------------------------ values of pages


@pytest.mark.slow
def test_values_of_pages_are_ordered_alike_where_the_log_is_random(log: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the pages are held out, so that the estimates are sharp."""
    cut = split_pages(log, None, None, 0.5)
    world, model = fitted_pages(cut.before, PageFitSettings())
    shown = [prediction.shown_items(cut, world.catalogue, PageFitSettings(), pages) for pages in (cut.first, cut.after)]
    found = page_values.page_values(world.catalogue, model, *shown, None)
    assert found["slots"] == 4
    for name, row in found["policies"].items():
        assert row["weight"]["low"] < 1.05, name
        assert row["weight"]["high"] > 0.95, name
        assert row["ips"]["low"] < row["dr"]["mean"] < row["ips"]["high"], name
        assert 0.6 < row["world"]["mean"] / row["ips"]["mean"] < 1.6, name  # which rest on few clicks
    values = {name: row["world"]["mean"] for name, row in found["policies"].items()}
    assert values["fitted utility"] > values["popularity"] > values["random"]
    monkeypatch.setattr(page_values, "FEWEST_CLICKS", 10**6)
    rare = page_values.page_values(world.catalogue, model, *shown, None)
    assert all(row["dr"] is None and row["ips"] is None for row in rare["policies"].values())
    assert rare["pairs"] == {"differ": 0, "ordered alike": 0}
    assert found["logged"]["clicks"]["mean"] == pytest.approx(found["logged"]["world"]["mean"], rel=0.15)
    assert found["pairs"]["differ"] == found["pairs"]["ordered alike"] > 0
    assert not verdict.wrong_propensities(found)
    small = shown[1]._replace(propensity=shown[1].propensity / 4)
    wrong = page_values.page_values(world.catalogue, model, shown[0], small, None)
    assert verdict.wrong_propensities(wrong).keys() == wrong["policies"].keys()
    assert verdict.wrong_propensities(wrong)["random"] == pytest.approx(4, rel=0.3)
    sure = shown[1]._replace(propensity=np.ones(len(shown[1].item)))
    narrow = page_values.page_values(world.catalogue, model, shown[0], sure, None)
    assert all(row["ips"] is row["dr"] is None for row in narrow["policies"].values())


def test_a_world_that_is_right_is_not_doubted_whatever_fills_the_slots_below(fitted: Any) -> None:
    """The logging policy puts the items that people like best first, and fills slots at random now and then. Where a
    policy takes one of the first slots for another item, the log shows the best one further down."""
    world, model = fitted[0], fitted[1]
    settings = world.catalogue.settings
    catalogue = dataclasses.replace(
        world.catalogue, settings={**settings, "choice": {**settings["choice"], "v_0": settings["choice"]["v_0"] - 3.0}}
    )
    rng, items, pages, explored = np.random.default_rng(0), len(catalogue.item_price), 6_000, 0.3
    user = np.sort(rng.integers(len(catalogue.user_taste), size=pages))
    order = np.argsort(-catalogue.item_intercept)
    shown, propensity = np.zeros((pages, 2), int), np.zeros((pages, 2))
    for p in range(pages):
        left = order.tolist()
        for k in range(2):
            item = left[0] if rng.random() > explored else left[rng.integers(len(left))]
            propensity[p, k] = explored / len(left) + (1 - explored) * (item == left[0])
            shown[p, k] = item
            left.remove(item)
    rows = rows_of(catalogue, user, shown)._replace(propensity=propensity.ravel())
    chance = prediction.expected_clicks(catalogue, model, rows).reshape(pages, 2)
    draw = rng.random(pages)
    clicked = np.stack([draw < chance[:, 0], (draw >= chance[:, 0]) & (draw < chance.sum(1))], axis=1)
    rows = rows._replace(clicked=clicked.ravel())
    assert clicked.any(1).mean() > 0.6
    found = page_values.page_values(catalogue, model, rows, rows, None)
    assert [name for name, row in found["policies"].items() if row["apart"]] == []
    assert found["policies"]["popularity"]["world"] is not None
    worse = dataclasses.replace(catalogue, item_intercept=catalogue.item_intercept - np.float32(1.0))
    assert page_values.page_values(worse, model, rows, rows, None)["policies"]["appeal"]["apart"]
    assert items > 20


def test_values_that_rest_on_a_few_heavy_slots_are_left_out() -> None:
    """Clicks on slots of small weight alone would give a narrow interval beside the truth."""
    assert page_values._worth(np.full((50, 2), 3.0), np.full((50, 2), 0.5)) == pytest.approx(50)
    assert page_values._worth(np.zeros((50, 2)), np.full((50, 2), 0.5)) == 0
    weight, chance = np.full(3000, 1.4), np.full(3000, 0.1)
    assert page_values._worth(weight, chance) == pytest.approx(300)
    weight[:30] = 267.0
    assert page_values._worth(weight, chance) < page_values.FEWEST_CLICKS


def test_chance_is_judged_over_users_and_among_all() -> None:
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(200), 5)
    alike, own = rng.normal(size=1000), np.repeat(rng.normal(size=200), 5)
    assert prediction.beyond_chance(user, alike + 0.2, 1)
    assert not prediction.beyond_chance(user, own - own.mean() + 0.12, 1)  # as if every page counted, it would be
    found = np.mean([prediction.beyond_chance(user, np.repeat(rng.normal(size=200), 5), 1) for _ in range(400)])
    assert found == pytest.approx(0.05, abs=0.03)
    among = np.mean([prediction.beyond_chance(user, np.repeat(rng.normal(size=200), 5), 10) for _ in range(400)])
    assert among < 0.02


def test_the_first_pages_in_time_count(monkeypatch: pytest.MonkeyPatch, fitted: Any) -> None:
    monkeypatch.setattr(page_values, "PAGES", 3)
    rows = rows_of(fitted[0].catalogue, np.array([0, 0, 1, 1, 2]), np.arange(10).reshape(5, 2))
    order = np.array([4, 3, 0, 2, 1])
    assert page_values._alike(rows._replace(order=np.repeat(order, 2))).tolist() == [False, False, True, True, True]


def test_policies_choose_from_what_retrieval_offered() -> None:
    """Ten of 24 items at each page; with all of them, most choices could not have been logged."""
    changes = {"action": "candidates", "candidates": {"number": 10}, "horizon": 2_000}
    log = recorded_pages(record(replace(SHOP, changes), "random", seed=3, columns=["candidates"]))
    cut = split_pages(log, None, None, 0.5)
    world, model = fitted_pages(cut.before, PageFitSettings())
    shown = [prediction.shown_items(cut, world.catalogue, PageFitSettings(), pages) for pages in (cut.first, cut.after)]
    assert world.candidates.number == 10
    assert "candidates.number = 10: items that retrieval offers each recommender" in world.summary()
    assert cut.candidates is not None
    assert (np.sort(cut.candidates, axis=1)[:, 1:] != np.sort(cut.candidates, axis=1)[:, :-1]).all()
    of_all, of_offered = (
        page_values.page_values(world.catalogue, model, *shown, candidates)["policies"]
        for candidates in (None, cut.candidates)
    )
    for name in ("random", "popularity", "appeal", "fitted utility"):
        assert of_offered[name]["weight"]["low"] < 1 < of_offered[name]["weight"]["high"], name
        assert of_offered[name]["ips"]["low"] < of_offered[name]["dr"]["mean"] < of_offered[name]["ips"]["high"], name
    logged, slots = shown[1].clicked.reshape(-1, 4).sum(1).mean(), np.arange(4)
    for kind in ("ips", "dr"):
        assert of_offered["random"][kind]["low"] < logged < of_offered["random"][kind]["high"]
    assert of_all["random"]["weight"]["mean"] == pytest.approx(np.mean((10 - slots) / (24 - slots)), abs=0.05)
    assert of_all["popularity"]["dr"] is None


# ------------------------------------------------------------------------------------------------ words


def test_the_diagnosis_names_what_hardly_varies(cut: PageSplit) -> None:
    log = cut.before
    assert not [s for s in diagnosis.pages_not_identified(log) if s.startswith(("Position", "The effect", "How long"))]
    fixed = dataclasses.replace(
        log,
        rank=log.item + 1.0,
        price=np.exp(log.item / 10),
        propensity=None,
        session=None,
    )
    found = " ".join(diagnosis.pages_not_identified(fixed))
    for part in (
        "Position and appeal",
        "no item's price moves",
        "no propensities",
        "no sessions",
        "Purchases: the log",
    ):
        assert part in found
    same = dataclasses.replace(log, rank=np.ones(len(log.item)), price=np.ones(len(log.item)))
    assert "every item was shown at position 1" in " ".join(diagnosis.pages_not_identified(same))
    assert "no item's price moves" in " ".join(diagnosis.pages_not_identified(same))
    wider = dataclasses.replace(log, item_ids=np.arange(len(log.item_ids) + 2))
    assert "2 items that were never shown" in diagnosis.pages_not_identified(wider)[0]


def test_exploration_is_counted_and_judged(cut: PageSplit) -> None:
    log = cut.before
    uniform = diagnosis.exploration(dataclasses.replace(log, propensity=np.full(len(log.item), 0.1)))
    assert uniform == {"slots": 1.0, "pages": 1.0, "alternatives": pytest.approx(10), "smallest propensity": 0.1}
    usual = np.full(len(log.item), 0.99)
    usual[log.first_row[:-1][: len(log.chosen) // 50]] = 0.01  # one slot of every fiftieth page
    some = diagnosis.exploration(dataclasses.replace(log, propensity=usual))
    assert some["pages"] == pytest.approx(0.02, abs=0.001)
    none = diagnosis.exploration(dataclasses.replace(log, propensity=np.ones(len(log.item))))
    assert none["alternatives"] == 1
    kinds = [verdict.about_exploration(found).kind for found in (uniform, some, none, None)]
    assert kinds == ["right", "wrong", "serious", "wrong"]


def test_words_follow_from_the_numbers() -> None:
    def quality(loss: float, gap: float, slope: float = 1.0) -> dict[str, Any]:
        narrow = {"mean": gap, "low": gap - 0.01, "high": gap + 0.01}
        part = {name: {"mean": value} for name, value in (("log-loss", loss), ("slope", slope))}
        return {**part, "predicted clicks per click": {"mean": 1.0}, "fitted minus this": {"log-loss": narrow}}

    best = {FITTED: quality(0.3, 0.0), "popularity": quality(0.4, -0.1), prediction.BOOSTING: quality(0.3, 0.0)}
    assert [finding.kind for finding in verdict.about_clicks(best)] == ["right", "right", "right"]
    worst = {FITTED: quality(0.5, 0.0, 0.5), "popularity": quality(0.4, 0.1), prediction.BOOSTING: quality(0.3, 0.2)}
    assert [finding.kind for finding in verdict.about_clicks(worst)] == ["serious", "wrong", "wrong"]
    sure = {"mean": 0.9, "low": 0.87, "high": 0.93}
    row = {"world": sure, "weight": {"mean": 1.0, "low": 0.9, "high": 1.1}, "apart": False}
    estimates = {"policies": {"random": {**row, "dr": sure}}, "pairs": {"differ": 3, "ordered alike": 3}}
    assert verdict.about_page_values(estimates)[0].kind == "right"
    assert verdict.about_page_values({**estimates, "pairs": {"differ": 3, "ordered alike": 2}})[0].kind == "serious"
    assert verdict.about_page_values({**estimates, "pairs": {"differ": 0, "ordered alike": 0}}) == []
    other = {"mean": 0.7, "low": 0.6, "high": 0.8}
    unlike = {**estimates, "policies": {"random": {**row, "dr": other, "ips": other, "apart": True}}}
    assert [finding.kind for finding in verdict.about_page_values(unlike)] == ["right", "wrong"]
    assert "the world expects 0.90 clicks in them, and the log says 0.70" in verdict.about_page_values(unlike)[1].text
    unlikely = {"policies": {"random": {**row, "dr": None}}}
    assert "was shown or clicked too rarely in the log" in verdict.about_page_values(unlikely)[0].text
    unlikely["policies"]["random"]["weight"] = {"mean": 90.0, "low": 60.0, "high": 120.0}
    assert "are 90 on average, and must be 1" in verdict.about_page_values(unlikely)[0].text
    assert [finding.kind for finding in verdict.about_log(["a"], ["b"])] == ["serious", "wrong"]


# ------------------------------------------------------------------------------------------------ commands


def raw(log: Any) -> Any:
    """A file as platforms have it: own names, a flag of clicks, positions from 0, no column of pages."""
    shown = log[log["event"].isin(["none", "click"])]
    return pd.DataFrame(
        {
            "visitor": "v" + shown["user"].astype(str),
            "when": 1_700_000_000 + 60 * shown["time"],
            "offer": [f"sku {item}" if item % 2 else item for item in shown["item"]],
            "clicked": (shown["event"] == "click").astype(int),
            "slot": shown["position"] - 1,
            "pscore": shown["propensity"],
        }
    )


NAMES = ("user=visitor", "time=when", "item=offer", "event=clicked", "position=slot", "propensity=pscore")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_world_is_fitted_to_a_raw_file(
    log: Any, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tyro")
    path, out, table = tmp_path / f"log.{kind}", tmp_path / "world.npz", raw(log[log["item"] < 8])
    events = ("--events", "none=0", "click=1")
    if kind == "csv":
        table["clicked"], events = (
            table["clicked"].map({0: "seen", 1: "Klick"}),
            ("--events", "none=seen", "click=Klick"),
        )
    table.to_csv(path, index=False) if kind == "csv" else table.astype({"offer": str}).to_parquet(path)
    words = ("--origin", "pages", "--settings", "dims=3", "habit_size=8", "--out", str(out))
    main(("fit", str(path), "--columns", *NAMES, *events, *words))
    said = capsys.readouterr().err
    assert "warning: the log has no column of pages: rows of the same user, time count as one page" in said
    assert "warning: column 'slot' counts positions from 0" in said
    world = FittedWorld.load(out)
    assert world.log.first == "2023-11-14 22:13:20"
    assert (world.catalogue.item_vectors.shape[1], world.users.habit_size) == (3, 8)
    assert set(world.catalogue.item_name) == {"0", "sku 1", "2", "sku 3", "4", "sku 5", "6", "sku 7"}


def test_a_report_is_written(log: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tyro")
    pytest.importorskip("matplotlib")
    raw(log.head(400)).to_csv(tmp_path / "log.csv", index=False)
    words = ("--columns", *NAMES, "--origin", "pages", "--out", str(tmp_path / "r"))
    with pytest.raises(SystemExit) as stop:
        main(("report", str(tmp_path / "log.csv"), *words))
    assert stop.value.code == 1
    assert "No world can be fitted to this log: the log has 100 pages" in capsys.readouterr().out
    assert (tmp_path / "r" / "report.html").exists()
