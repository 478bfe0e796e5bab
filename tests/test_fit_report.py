"""The report on a log (`recsys_env.fitting.report`): each of its numbers has the direction that its words say."""

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

from scipy.sparse import csr_matrix  # noqa: E402

from recsys_env import replace  # noqa: E402
from recsys_env.__main__ import main  # noqa: E402
from recsys_env.fitting import ORIGINS, FittedWorld, fit  # noqa: E402
from recsys_env.fitting.report import (  # noqa: E402
    assess,
    decisions,
    diagnosis,
    ranking,
    realism,
    verdict,
    write_page,
)
from recsys_env.fitting.report.assessment import PARTS  # noqa: E402
from recsys_env.fitting.report.page import SECTIONS  # noqa: E402
from recsys_env.fitting.report.split import Refusal, split  # noqa: E402

USERS, ITEMS, DAYS = 80, 30, 60
PRICE = np.exp(np.linspace(-0.5, 0.5, ITEMS))
COLUMNS = {"user": "who", "item": "what", "time": "when", "price": "paid", "category": "kind", "discount": "off"}
NAMED = {**COLUMNS, "quantity": None, "name": None}
SMALL: dict[str, Any] = {"episodes": 4, "draws": 1, "strengths": (1.0,), "policies": ("random", "content", "greedy")}
FIT = {"dims": 4, "habit_size": 8}


def simulated_log() -> Any:
    """Purchases of users with tastes for a third of the items, habits and promotions; two in each visit."""
    rng = np.random.default_rng(0)
    appeal, likes = rng.normal(0, 0.7, ITEMS), np.arange(USERS)[:, None] % 3 == np.arange(ITEMS) % 3
    past, days = np.zeros((USERS, ITEMS)), []
    for day in range(DAYS):
        if day % 7 == 0:
            cut = np.where(rng.random(ITEMS) < 0.3, 0.7, 1.0)
        here = np.flatnonzero(rng.random(USERS) < 0.4)
        for _ in range(2):
            v = appeal + 1.5 * likes[here] + 0.5 * np.log1p(past[here]) - 1.5 * np.log(cut)
            chosen = np.argmax(v + rng.gumbel(size=v.shape), axis=1)
            past[here, chosen] += 1
            days.append(
                pd.DataFrame(
                    {
                        "who": here + 100,
                        "what": chosen,
                        "when": pd.Timestamp("2025-03-01 10:00") + pd.Timedelta(days=day),
                        "paid": PRICE[chosen] * cut[chosen],
                        "off": PRICE[chosen] * (1 - cut[chosen]),
                        "kind": [f"kind {j}" for j in chosen % 5],
                    }
                )
            )
    return pd.concat(days, ignore_index=True)


@pytest.fixture(scope="module")
def log() -> Any:
    return simulated_log()


@pytest.fixture(scope="module")
def world(log: Any) -> FittedWorld:
    return fit(log, origin="free_choice", columns=NAMED, **FIT)


@pytest.fixture(scope="module")
def report(log: Any) -> dict[str, Any]:
    return assess(log, origin="free_choice", columns=NAMED, fit_settings=FIT, **SMALL)


# ------------------------------------------------------------------------------------------------ from log to page


def test_a_report_has_all_its_parts_as_json(report: dict[str, Any]) -> None:
    assert json.loads(json.dumps(report, allow_nan=False)).keys() == report.keys()
    assert [name for name in report if name in PARTS] == list(PARTS) == list(SECTIONS)
    assert report["log"]["held out from"] == "2025-04-24"
    assert report["log"]["days"] == (54, 6)
    assert report["verdict"]["comparison"] in ("allowed", "with care")
    assert report["verdict"]["right"]
    assert report["verdict"]["never"]


def test_the_page_needs_no_other_file(report: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    text = write_page(json.loads(json.dumps(report)), tmp_path / "page.html", "a <log>").read_text(encoding="utf-8")
    assert "a &lt;log&gt;" in text
    assert report["verdict"]["sentence"] in text
    assert not re.findall(r'(?:src|href)="(?!data:)', text)
    assert "because it needs the true rewards.</p>" in text  # no study measures the regret of a fitted world's choice
    assert text.count("data:image/svg+xml;base64,") == 6
    for part in ("all", "new"):
        quality = report["held out"]["quality"][part][ranking.FITTED]["ndcg"]
        assert f"{quality['mean']:.3f} [{quality['low']:.3f}, {quality['high']:.3f}]" in text
    assert "nan" not in re.sub(r"base64,[^\"]*", "", text).lower().split()


def test_no_difference_of_a_simulated_log_goes_without_a_finding() -> None:
    """Every distance, and every classifier, is near, somewhat further or far."""
    distances = {"prices": 0.05, "repeats": 0.12, "sizes": 0.5}
    marginals = {name: {"world": world, "floor": 0.05} for name, world in distances.items()}
    for auc, told in ((0.52, "can hardly tell"), (0.7, "sometimes tells"), (0.95, "tells simulated")):
        found = {"marginals": marginals, "discriminator": {"auc": auc, "floor": 0.5, "features": {"repeats": 0.1}}}
        *of_marginals, of_classifier = verdict.about_realism(found, {name: name for name in distances})
        assert [(finding.kind, finding.text.rpartition(": ")[2]) for finding in of_marginals] == [
            ("right", "prices."),
            ("wrong", "sizes."),
            ("wrong", "repeats."),
        ]
        for finding, how in zip(of_marginals[1:], ("differ much more", "differ somewhat more"), strict=True):
            assert how in finding.text
        assert told in of_classifier.text
        assert of_classifier.kind == ("right" if auc < 0.55 else "wrong")


def test_an_oracle_that_is_best_is_told_apart_from_what_can_be_shipped() -> None:
    def first(*policies: str) -> str:
        ranking = {"policies": dict.fromkeys(policies), "pairs that differ": [], "share of pairs that differ": 0.5}
        finding, chance = verdict.about_decisions(ranking, {"strengths": [{"same best policy": 0.5}]})
        assert (chance.kind, "cannot be told" in chance.text) == ("wrong", True)
        return finding.text

    assert first("greedy", "planner", "content", "random") == (
        "content and random, the two best of the policies that you can ship, differ by no more than chance; 50 % of "
        "pairs differ. greedy earns more, but is an oracle, which knows the world and the visitor's state."
    )
    assert "oracle" not in first("content", "greedy", "random")
    assert "oracle" not in first("greedy", "planner")


def test_the_verdict_follows_from_the_findings() -> None:
    findings = [verdict.Finding("right", "All is right.")]
    assert verdict.verdict(False, findings, ())["comparison"] == "not allowed"
    assert verdict.verdict(True, findings, ())["comparison"] == "allowed"
    doubt = verdict.Finding("serious", "No tastes.")
    found = verdict.verdict(True, [*findings, doubt], ["more"])
    assert (found["comparison"], found["right"], found["wrong"]) == ("with care", ["All is right."], ["No tastes."])
    assert found["never"] == ["more"]
    assert not diagnosis.KINDS["recommender"].comparable
    assert diagnosis.KINDS.keys() == ORIGINS.keys()


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (lambda log: log.head(150), "the log has 150 rows, of which it needs 200"),
        (lambda log: log[log["who"] < 110], "10 users, of which it needs 20"),
        (lambda log: log[log["what"] < 10], "10 items, of which it needs 20"),
        (lambda log: log[log["when"] < "2025-03-05"], "4 days, of which it needs 10"),
        (
            lambda log: log.assign(who=np.arange(len(log))),
            "and 0 of them are of users and items that come before",
        ),
        (
            lambda log: log.assign(when=log["when"].where(np.arange(len(log)) != 5, pd.Timestamp("2033-05-05"))),
            "rows are held out, those from 2032-07-",
        ),
    ],
    ids=["few rows", "few users", "few items", "few days", "no user again", "one wrong date"],
)
def test_a_log_that_says_nothing_is_refused(log: Any, rows: Any, reason: str, tmp_path: Path) -> None:
    found = assess(rows(log), origin="free_choice", columns=NAMED, **SMALL)
    assert found["verdict"]["comparison"] == "refused"
    assert reason in found["verdict"]["sentence"]
    assert "decisions" not in found
    assert reason in html.unescape(write_page(found, tmp_path / "page.html").read_text(encoding="utf-8"))


def test_what_fit_refuses_is_the_reason(log: Any) -> None:
    found = assess(log, origin="free_choice", columns=NAMED, fit_settings={"dims": 200}, **SMALL)
    assert "80 users, 30 items; a fit needs 50 purchases, 201 users, 201 items or more" in found["verdict"]["sentence"]


def test_what_is_no_log_is_an_error(log: Any) -> None:
    with pytest.raises(ValueError, match="has no column 'whom'"):
        assess(log, origin="free_choice", columns={**NAMED, "user": "whom"})
    with pytest.raises(ValueError, match="origin = None is not allowed; say how the customers came to choose"):
        assess(log, columns=NAMED)
    with pytest.raises(ValueError, match=r"ReportSettings.held_out = 2 is out of range"):
        assess(log, origin="free_choice", columns=NAMED, held_out=2)
    with pytest.raises(ValueError, match="must name two different policies or more"):
        assess(log, origin="free_choice", columns=NAMED, policies=("random",))
    with pytest.raises(ValueError, match='items and events are for origin="pages"'):
        assess(log, origin="free_choice", columns=NAMED, items=log)
    with pytest.raises(TypeError, match="must be what assess returned"):
        write_page({}, "page.html")


# ------------------------------------------------------------------------------------------------ the cut


def test_a_log_is_cut_at_midnight(log: Any) -> None:
    shuffled = log.sample(frac=1.0, random_state=0)
    for table in (log, shuffled):
        cut = split(table, NAMED, 0.1)
        assert (cut.date, cut.days) == ("2025-04-24", (54, 6))
        assert cut.training["when"].max() < pd.Timestamp(cut.date) <= cut.after["date"].min()
        assert len(cut.training) == len(cut.before)
        assert cut.strangers == 1 - len(cut.after) / (len(log) - len(cut.before))
        np.testing.assert_array_equal(np.unique(cut.training["who"])[cut.before["user"]], cut.training["who"])
    late = pd.concat([log, log.tail(1).assign(who=5)], ignore_index=True)  # a user of the last day alone
    cut = split(late, NAMED, 0.1)
    assert cut.shape == (USERS, ITEMS)
    assert cut.strangers == pytest.approx(1 / (len(late) - len(cut.before)))


def test_nobody_in_both_parts_is_a_refusal(log: Any) -> None:
    with pytest.raises(Refusal, match="0 of them are of users and items that come before"):
        split(log.assign(who=np.arange(len(log))), NAMED, 0.1)


# ------------------------------------------------------------------------------------------------ ranking


def test_the_quality_of_a_ranking() -> None:
    relevant = np.zeros((3, 50), bool)
    relevant[0, 3] = relevant[1, 4] = relevant[1, 40] = True
    score = np.tile(-np.arange(50.0), (3, 1))
    quality = ranking.ranking_quality(score, relevant, np.ones_like(relevant))
    both = 1 / np.log2(2) + 1 / np.log2(3)
    np.testing.assert_allclose(quality["ndcg"], [1 / np.log2(5), 1 / np.log2(6) / both, np.nan])
    np.testing.assert_allclose(quality["recall"], [1, 0.5, np.nan])
    first = np.ones_like(relevant)
    first[:, :3] = False  # what is not allowed makes room
    assert ranking.ranking_quality(score, relevant, first)["ndcg"][0] == 1


def test_the_top_is_that_of_a_stable_sort() -> None:
    cost = np.random.default_rng(0).integers(6, size=(40, 90)).astype(float)
    cost[:, :10] = np.inf
    np.testing.assert_array_equal(ranking._top(cost, 20), np.argsort(cost, axis=1, kind="stable")[:, :20])


def test_better_scores_have_higher_quality_beyond_their_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    known, bought = (csr_matrix(rng.random((60, 40)) < 0.1) for _ in range(2))
    truth = bought.toarray() + 0.0
    scores = {
        ranking.FITTED: lambda users: truth[users] + 0.1 * rng.random((len(users), 40)),
        "random": lambda users: rng.random((len(users), 40)),
    }
    found = ranking.held_out_quality(scores, known.astype(float), bought.astype(float))
    for subset in ("all", "new"):
        gain = found[subset]["random"]["fitted minus this"]["ndcg"]
        assert 0 < gain["low"] < gain["mean"] < gain["high"]
        assert found[subset][ranking.FITTED]["ndcg"]["mean"] == pytest.approx(1)
    monkeypatch.setattr(ranking, "BLOCK_CELLS", 7 * 40)  # users in blocks of seven
    monkeypatch.setattr(ranking, "USERS", 20)
    part = ranking.held_out_quality({ranking.FITTED: scores[ranking.FITTED]}, known.astype(float), bought.astype(float))
    assert part["all"][ranking.FITTED]["ndcg"]["users"] == 20
    again = ranking.held_out_quality({ranking.FITTED: lambda u: truth[u]}, bought.astype(float), bought.astype(float))
    assert "new" not in again  # nobody buys anything new


def test_simple_scores_know_what_they_are_named_after(report: dict[str, Any], log: Any) -> None:
    """Users repeat what they like, so their own counts beat popularity; new items are told by tastes."""
    quality = report["held out"]["quality"]
    ndcg = {name: row["ndcg"]["mean"] for name, row in quality["all"].items()}
    assert ndcg["repeat count, half-life 120 days"] > ndcg["popularity"]
    assert ndcg["item-kNN, 100 neighbours"] > ndcg["popularity"]
    assert ndcg["ALS, 16 factors, half-life 120 days"] > ndcg["popularity"]
    assert ndcg[ranking.FITTED] > ndcg["popularity"]
    assert "ALS, 64 factors, half-life 120 days" not in ndcg  # more than there are items


# ------------------------------------------------------------------------------------------------ realism


def sample(rng: np.random.Generator, liked: int = 0, price: float = 1.0) -> realism.Bought:
    """Purchases of 60 users in 10 days; `liked` items sell more, and all cost `price` times their list price."""
    user, day = rng.integers(60, size=3000), np.sort(rng.random(3000) * 10)
    item = np.where(rng.random(3000) < 0.5, rng.integers(max(liked, 1), size=3000), rng.integers(20, size=3000))
    item = item if liked else rng.integers(20, size=3000)
    return realism.Bought(user, item, day, np.full(3000, price), np.zeros(3000))


@pytest.fixture(scope="module")
def catalogue(world: Any) -> Any:
    return dataclasses.replace(world.catalogue, item_price=np.ones(ITEMS, np.float32))


def test_the_distance_of_marginals_grows_with_what_differs(catalogue: Any) -> None:
    rng = np.random.default_rng(2)
    real, other = sample(rng), sample(rng)
    few, dear = sample(rng, liked=3), sample(rng, price=1.5)
    values = {name: realism.marginals(catalogue, of) for name, of in {"other": other, "few": few, "dear": dear}.items()}
    reference = realism.marginals(catalogue, real)
    found = {name: realism.distances(reference, of) for name, of in values.items()}
    assert found["other"]["item"] < 0.1 < 0.3 < found["few"]["item"] < 0.6
    assert found["other"]["paid / list"] == 0
    assert found["dear"]["paid / list"] == 1
    assert set(found["other"]) == set(realism.MARGINALS)
    few_values = realism.distances(reference, {**reference, "habit": np.zeros(realism.FEWEST_VALUES - 1)})
    assert few_values["habit"] is None
    assert few_values["topic"] == 0


def test_a_classifier_tells_what_differs_and_by_what(catalogue: Any) -> None:
    rng = np.random.default_rng(3)
    real, other, dear = sample(rng), sample(rng), sample(rng, price=1.5)
    assert realism.discriminate(catalogue, other, real) == pytest.approx(0.5, abs=0.06)
    assert realism.discriminate(catalogue, dear, real) == pytest.approx(1)
    assert next(iter(realism.importances(catalogue, dear, real))) == "paid / list"
    assert realism.discriminate(catalogue, dear, real, without=("paid / list",)) == pytest.approx(0.5, abs=0.06)


def test_simulated_customers_choose_from_the_whole_catalogue_at_its_prices(world: Any) -> None:
    config = replace(world, realism.shelf(world.catalogue, 2.0))
    made = realism.simulate(config, None, 6000, 400.0)
    assert len(made.user) == 6000
    assert made.day.max() == pytest.approx(400)
    assert len(np.unique(made.item)) == ITEMS
    ratio = made.paid / world.catalogue.item_price[made.item]
    fitted = world.catalogue.item_price_ratio.astype(float)
    assert set(np.round(ratio, 3)) <= set(np.round(fitted, 3).ravel().tolist())
    assert (ratio < 0.99).any()
    sizes = realism.marginals(world.catalogue, made)["purchases of a visit"]
    assert 1.6 < sizes.mean() < 2.5
    pages = realism.simulate(replace(world, {"action": "items"}), "random", 200, 10.0)
    assert len(pages.user) == 200


def test_a_world_without_purchases_cannot_be_compared(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realism, "MOST_TICKS", 20)
    with pytest.raises(ValueError, match="in which nothing is bought in 20 ticks"):
        realism.simulate(replace(world, {"action": "items", "choice": {"v_0": 50.0}}), "random", 200, 10.0)


def test_a_large_catalogue_is_shown_by_several_agents(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every item once: what a part shows twice would sell twice as often."""
    monkeypatch.setattr(realism, "MOST_SLOTS", 8)
    overrides = realism.shelf(world.catalogue, 1.0)
    assert (overrides["num_agents"], overrides["slots"]) == (4, 8)  # 32 slots for 30 items
    parts = realism.simulate(replace(world, overrides), None, 3000, 100.0)
    monkeypatch.undo()
    whole = realism.simulate(replace(world, realism.shelf(world.catalogue, 1.0)), None, 3000, 100.0)
    marginals = [realism.marginals(world.catalogue, made) for made in (parts, whole)]
    assert realism.distances(*marginals)["item"] < 0.1


def test_visits_and_repeats_are_counted(catalogue: Any) -> None:
    day = np.array([0.2, 0.3, 2.1, 2.2, 5.0])
    user, item = np.array([0, 0, 0, 1, 0]), np.array([3, 4, 3, 3, 3])
    made = realism.Bought(user, item, day, np.ones(5), np.array([2.0, 0, 0, 0, 0]))
    found = realism.marginals(catalogue, made)
    assert sorted(found["purchases of a visit"]) == [1, 1, 1, 2]
    assert sorted(found["days between visits"]) == [2, 3]
    assert sorted(found["days to a repeat"]) == [2, 3]
    assert sorted(found["purchases of a user"]) == [1, 4]
    told = realism.features(catalogue, made)
    np.testing.assert_array_equal(told["purchases of the user before"], [0, 1, 2, 0, 3])
    np.testing.assert_array_equal(told["purchases of the visit"], [2, 2, 1, 1, 1])
    np.testing.assert_array_equal(told["days since the same item"], [np.nan, np.nan, 2, np.nan, 3])


def test_days_of_purchases_are_dates(log: Any) -> None:
    cut = split(log.sample(frac=1.0, random_state=1), NAMED, 0.1)
    habits = np.full((USERS, 1), -1), np.zeros((USERS, 1))
    made = realism.bought(cut.after, habits)
    dates = (np.sort(cut.after["date"]) - np.datetime64(cut.date)) / np.timedelta64(1, "D")
    np.testing.assert_array_equal(np.floor(made.day), dates)


# ------------------------------------------------------------------------------------------------ diagnosis, decisions


def test_overlap_counts_users_items_and_groups() -> None:
    user = np.repeat(np.arange(40), 12)
    lines = pd.DataFrame({"user": user, "item": np.tile(np.arange(12), 40), "day": 0.0})
    together = diagnosis.overlap(lines, (40, 12))
    assert together["items with enough users"] == together["purchases of items with enough users"] == 1
    assert together["items that two users share"] == 12
    assert together["users in the largest connected group"] == 1
    assert together["items by users"]["20 to 49"] == 12
    lines["item"] += 12 * (lines["user"] % 4)  # four groups of users without an item in common
    apart = diagnosis.overlap(lines, (40, 48))
    assert apart["items with enough users"] == 0
    assert apart["users in the largest connected group"] == 0.25
    assert 2 < apart["items that two users share"] < 4
    kinds = [[finding.kind for finding in verdict.about_overlap(found)] for found in (together, apart)]
    assert kinds == [["right"], ["serious", "wrong"]]


def test_earlier_purchases_have_the_habits_from_before_them() -> None:
    lines = pd.DataFrame({"user": [0, 0, 0], "item": [1, 1, 1], "day": [0.0, 10.0, 20.0], "paid": 1.0, "list": 1.0})
    lines["date"] = pd.Timestamp("2025-03-01") + pd.to_timedelta(lines["day"], unit="D")
    found = realism.bought_after(lines, np.array([True, False, False]), (1, 2), 10.0, 4)
    assert found.habit.tolist() == [0.5, 0.5]  # one purchase, ten days before the first of these


def test_habits_on_the_shelf_fade_from_purchase_to_purchase(world: Any) -> None:
    decay = world.catalogue.settings["users"]["habit_decay"]
    assert world.users.habit_decay > decay
    assert replace(world, realism.shelf(world.catalogue, 2.0)).users.habit_decay == decay


def test_policies_that_earn_the_same_do_not_differ() -> None:
    noise = np.random.default_rng(0).normal(size=(3, 16))
    rewards = {"bad": 1 + 0.1 * noise[0], "good": 3 + 0.1 * noise[1], "as good": 3 + 0.1 * noise[2]}
    found = decisions.ranking(rewards)
    assert list(found["policies"])[2] == "bad"
    assert {tuple(pair) for pair in found["pairs that differ"]} == {("good", "bad"), ("as good", "bad")}
    assert found["share of pairs that differ"] == 2 / 3


def test_equal_policies_hardly_ever_seem_to_differ() -> None:
    rng = np.random.default_rng(1)
    samples = rng.normal(size=(400, 6, 16))
    seem = [bool(decisions.ranking({str(k): row for k, row in enumerate(of)})["pairs that differ"]) for of in samples]
    assert np.mean(seem) < 0.08


def test_a_policy_that_learns_earns_the_same_in_however_many_episodes(world: Any) -> None:
    few, many = (decisions.play(world, ("thompson",), episodes, 3)["thompson"] for episodes in (2, 4))
    np.testing.assert_array_equal(few, many[:2])


def test_an_oracle_does_not_hide_that_the_best_policy_changes(world: Any) -> None:
    policies = ("greedy", "popularity", "content")
    rewards = decisions.play(world, policies, 2, 0)
    moved = decisions.confounder(world, rewards, (5.0,), 6, lambda step: None)["strengths"][1]
    assert moved["same best policy"] < 1


def test_a_stronger_confounder_changes_more(report: dict[str, Any], world: Any) -> None:
    assert [row["strength"] for row in report["decisions"]["confounder"]["strengths"]] == [0, 1]
    rewards = decisions.play(world, ("random", "popularity", "content"), 16, 0)  # which differ much
    chance, strong = decisions.confounder(world, rewards, (5.0,), 3, lambda step: None)["strengths"]
    assert chance["tau"] == chance["same best policy"] == 1
    assert strong["tau"] < 1


def test_of_a_large_world_some_users_visit(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert decisions.sampled(world) is world
    monkeypatch.setattr(decisions, "USERS", 30)
    part = decisions.sampled(world)
    assert part.catalogue.user_taste.shape == (30, 4)
    np.testing.assert_array_equal(part.catalogue.item_intercept, world.catalogue.item_intercept)
    kept = np.isin(world.catalogue.user_taste, part.catalogue.user_taste).all(axis=1)
    np.testing.assert_array_equal(world.catalogue.habit_item[kept], part.catalogue.habit_item)
    assert decisions.play(part, ("random",), 4, 0)["random"].min() > 0


# ------------------------------------------------------------------------------------------------ commands


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit status, output and errors of a command."""
    status = 0
    try:
        main(words)
    except SystemExit as stop:
        status = int(stop.code or 0)
    out, error = capsys.readouterr()
    return status, out, error


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_world_is_fitted_to_a_file(log: Any, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tyro")
    path, out = tmp_path / f"log.{kind}", tmp_path / "shop.npz"
    seconds = log.assign(when=(log["when"] - pd.Timestamp(0)) // pd.Timedelta(seconds=1))
    seconds.to_csv(path, index=False) if kind == "csv" else log.to_parquet(path)
    columns = [f"{role}={column}" for role, column in COLUMNS.items()]
    status, shown, progress = said(
        capsys, "fit", str(path), "--columns", *columns, "--origin", "free_choice", "--out", str(out)
    )
    assert (status, "shop.npz" in shown, "fit a world" in progress) == (0, True, True)
    expected = fit(log, origin="free_choice", columns=NAMED, source=path.name)
    assert FittedWorld.load(out).summary() == expected.summary()
    assert fit(path, origin="free_choice", columns=NAMED, source=path.name) == FittedWorld.load(out)


READ = {
    "semicolons": ("log.csv", {"sep": ";"}),
    "tabs": ("log.csv", {"sep": "\t"}),
    "compressed": ("log.csv.gz", {}),
    "with a mark of the encoding": ("log.csv", {"encoding": "utf-8-sig"}),
}
ROLES = ("user=user", "item=item", "time=time")


def test_a_report_is_written_and_its_verdict_printed(
    log: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tyro")
    pytest.importorskip("matplotlib")
    log.head(150).to_csv(tmp_path / "log.csv", index=False)
    columns = [f"{role}={column}" for role, column in COLUMNS.items()]
    words = ("report", str(tmp_path / "log.csv"), "--columns", *columns, "--origin", "free_choice")
    status, shown, progress = said(capsys, *words, "--out", str(tmp_path / "shop"))
    assert status == 1
    assert "No world can be fitted to this log: the log has 150 rows" in shown
    assert "cut the log" in progress
    found = json.loads((tmp_path / "shop" / "report.json").read_text(encoding="utf-8"))
    assert found["verdict"]["comparison"] == "refused"
    assert (tmp_path / "shop" / "report.html").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("log.csv",), "origin = '' is not allowed; say how the customers came to choose"),
        (("log.csv", "--origin", "free"), "origin = 'free' is not allowed"),
        (("log.txt", "--origin", "free_choice"), "log.txt must be a file whose name ends in .csv, "),
        (("none.csv", "--origin", "free_choice"), "there is no file none.csv"),
        (
            ("log.csv", "--columns", "usr=who", "--origin", "free_choice"),
            "columns has no role 'usr' (did you mean 'user'?)",
        ),
        (("log.csv", "--columns", "user=", "--origin", "free_choice"), "--columns user= must be ROLE=COLUMN"),
        (
            ("log.csv", "--columns", "user=whom", "--origin", "free_choice"),
            "the log has no column 'whom' (did you mean 'who'?) for the role user; it has the columns who, what",
        ),
        (("log.csv", "--origin", "free_choice", "--settings", "dimz=8"), "no field 'dimz' (did you mean 'dims'?)"),
        (("log.csv", "--origin", "pages", "--settings", "dims=eight"), "dims = 'eight' must be an integer"),
        (("log.csv", "--origin", "pages", "--events", "click"), "--events click must be EVENT=VALUE"),
        (("log.csv", "--origin", "free_choice", "--settings", "dims=99999"), "FitSettings.dims = 99999"),
    ],
)
@pytest.mark.parametrize("command", ["fit", "report"])
def test_a_wrong_word_is_one_line(
    command: str,
    words: Any,
    message: str,
    log: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: Any,
) -> None:
    pytest.importorskip("tyro")
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    log.head(150).to_csv("log.csv", index=False)
    status, _, errors = said(capsys, command, *words)
    assert status == 2
    assert message in errors.splitlines()[-1]
    assert not (tmp_path / "world.npz").exists()


def held_out(users: int, low: float, high: float) -> dict:
    """What held-out purchases say of the fitted utility and one other score."""
    other = {"ndcg": {"mean": 0.75}, "fitted minus this": {"ndcg": {"low": low, "high": high}}}
    return {"all": {ranking.FITTED: {"ndcg": {"mean": 0.65, "users": users}}, "popularity": other}}


def test_few_held_out_users_cannot_say_that_a_world_is_right() -> None:
    few = verdict.about_ranking(held_out(3, -0.5, 0.3), ())
    assert [finding.kind for finding in few] == ["serious", "wrong"]
    assert few[0].text.startswith("Only 3 users of the first part of the log bought anything in the second")
    assert "does not tell whether" in few[1].text
    assert few[1].text.endswith("(NDCG@20 0.650 against 0.750, for 3 users).")
    (alike,) = verdict.about_ranking(held_out(2000, -0.02, 0.01), ())
    assert (alike.kind, "about as well as" in alike.text) == ("right", True)
    (worse,) = verdict.about_ranking(held_out(2000, -0.12, -0.08), ())
    assert (worse.kind, "ranks later purchases better than the fitted utility" in worse.text) == ("wrong", True)
