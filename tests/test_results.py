"""What the documentation says of the stored results is what they hold."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rich")
pytest.importorskip("matplotlib")

import cards.knowledge
import claims
import examples
import learners as learner_tables
import measured
import models
import results
import speeds
import suites

from baselines.comparison import Comparison
from baselines.learners import LEARNERS
from recsys_env import TASKS
from recsys_env.evaluation import statistics
from recsys_env.evaluation.tables import brief, markdown, normalised, spread
from recsys_env.files import write_json


@pytest.fixture(scope="module")
def example_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small results in place of benchmarks/results."""
    folder = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "REPETITIONS", 50)
        examples.write_evaluation(folder)
    examples.write_tournament(folder)
    examples.write_training(folder / "training")
    examples.write_robustness(folder / "robustness")
    (folder / "evidence").mkdir()
    write_json(folder / "evidence" / "ecommerce-v1.json", examples.evidence())
    return folder


@pytest.fixture
def small_results(example_results: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    yield from read_from(example_results, monkeypatch)


@pytest.fixture
def nothing_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    yield from read_from(tmp_path, monkeypatch)


def read_from(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Results are those of this folder."""
    monkeypatch.setattr(measured, "RESULTS", folder)
    monkeypatch.setattr(measured, "FEWEST_SEEDS", 1)
    monkeypatch.setattr(results, "picture", lambda path, title: f"![{title}]({path.name})")
    kept = (measured.stored, measured.trained, measured.comparisons, measured.evidence)
    for function in kept:
        function.cache_clear()
    yield folder
    for function in kept:
        function.cache_clear()


# ------------------------------------------------------------------------------------------------ sections


def cells(text: str) -> dict[str, list[str]]:
    """First cell of each row of a text's tables -> the others; of rows with the same, the first."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("| "):
            first, *others = [cell.strip() for cell in line.strip("|").split(" | ")]
            found.setdefault(first, others)
    return found


def tables(text: str) -> Iterator[tuple[list[str], list[list[str]]]]:
    """Head and rows of each table of a text."""
    for table in re.findall(r"(?:^\|.*\n?)+", text, flags=re.MULTILINE):
        head, _, *rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table.splitlines()]
        yield head, rows


def well_formed(text: str) -> None:
    found = list(tables(text))
    assert len(found) == text.count("\n| --- |")
    for head, rows in found:
        assert len(head) > 1
        assert rows
        assert {len(row) for row in rows} == {len(head)}
    assert not any(word in text for word in (" nan", "None", "±nan"))


@pytest.mark.parametrize("name", results.parts(Path()))
def test_every_section_says_where_it_comes_from(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (results, models):
        monkeypatch.setattr(module, "picture", lambda path, title: f"![{title}]({path.name})")
    text = results.parts(tmp_path)[name]()
    assert "benchmarks/results" in text or name == "claims" or "Not measured yet: `python -m " in text
    well_formed(text)


@pytest.mark.parametrize("name", ["evaluation", "learners", "algorithms", "claims", "tournament", "reproduce"])
def test_sections_of_small_results(name: str, tmp_path: Path, small_results: Path) -> None:
    text = results.parts(tmp_path)[name]()
    assert "Not measured yet: `python" not in text
    assert "benchmarks/results" in text or name == "claims"
    well_formed(text)


@pytest.mark.usefixtures("nothing_measured")
def test_what_is_not_there_is_not_measured_yet(tmp_path: Path) -> None:
    for name, section in results.parts(tmp_path).items():
        text = section()
        assert "Not measured yet: `python -m " in text, name
        well_formed(text)
    task = results.task_scores("duel-v1", tmp_path)
    assert task.startswith("Not measured yet: `python -m recsys_env evaluate --tasks duel-v1 --out FOLDER` and ")
    readme = tmp_path / "README.md"
    readme.write_text("<!-- tasks --><!-- /tasks --><!-- scores -->old<!-- /scores -->")
    results.readme_parts(readme)
    assert "<!-- scores -->\nNot measured yet: `python -m recsys_env evaluate" in readme.read_text()


@pytest.mark.parametrize("result", sorted(path.stem for path in measured.RESULTS.glob("*.json")))
def test_what_measures_a_result_again_is_there(result: str) -> None:
    """Results keep the command that they were run with; a module may have moved since."""
    module = re.findall(r"python -m ([\w.]+)", str(measured.NotMeasured(result)))[-1]
    assert importlib.util.find_spec(module)


@pytest.mark.usefixtures("small_results")
def test_scores_of_policies_are_the_stored_ones(tmp_path: Path) -> None:
    found, stored = cells(results.evaluation(tmp_path)), measured.stored("evaluation")
    over = stored["aggregate"]["ranking"]["teams"]
    assert (tmp_path / "leaderboard-ranking.png").read_bytes().startswith(b"\x89PNG")
    assert set(stored["tasks"]["ecommerce-v1"]["teams"]) <= {name.strip("`*") for name in found}
    for team in ("content", "blind"):
        rows = [task["teams"][team] for task in stored["tasks"].values()]
        assert found[f"`{team}`"][:-1] == [spread({"mean": row["score"], "ci95": row["score_ci95"]}, 0) for row in rows]
        assert found[f"`{team}`"][-1].startswith(f"{over[team]['iqm'][0]:.0f} [")


@pytest.mark.usefixtures("small_results")
def test_a_task_has_its_scores_and_plots(tmp_path: Path) -> None:
    text = results.task_scores("ecommerce-v1", tmp_path)
    row = measured.stored("evaluation")["tasks"]["ecommerce-v1"]["teams"]["planner"]
    assert cells(text)["`planner`"][:2] == [spread(row), "100.0 ±0.0"]
    for plot in ("scores-ecommerce-v1.png", "seeds-ecommerce-v1.png", "curves-ecommerce-v1.png"):
        assert f"]({plot})" in text
        assert (tmp_path / plot).read_bytes().startswith(b"\x89PNG")
    assert "between P and R" in text  # a dilemma


@pytest.mark.usefixtures("small_results")
def test_metrics_that_are_zero_for_all_are_left_out(tmp_path: Path) -> None:
    shown = {task: cells(results.task_scores(task, tmp_path))["policy"] for task in ("ecommerce-v1", "news-v1")}
    assert "revenue ↑" in shown["ecommerce-v1"]
    assert "revenue ↑" not in shown["news-v1"]  # nothing is sold


@pytest.mark.parametrize(
    ("task", "settings", "r", "said"),
    [
        ("duel-v1", {}, {"mean": 3.0, "ci95": 0.1}, "0.75 (0.50 to 1.00)"),
        ("duel-v1", {"sharing": 1.0}, {"mean": 3.0, "ci95": 0.1}, ""),  # learns from the team's reward
        ("duel-v1", {"observability": "full"}, {"mean": 3.0, "ci95": 0.1}, ""),  # another variant of the task
        ("journey-v1", {}, {"mean": 3.0, "ci95": 0.1}, ""),  # a team
        ("duel-v1", {}, {"mean": 3.0, "ci95": 1.9}, ""),  # R - P = 2 within the two intervals
        ("duel-v1", {}, {"mean": 0.5, "ci95": 0.1}, ""),  # no dilemma: planners earn less
    ],
)
def test_where_a_selfish_learner_stands_in_a_dilemma(
    task: str, settings: dict[str, Any], r: dict[str, float], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    payoffs = {"R": r, "P": {"mean": 1.0, "ci95": 0.1}}
    monkeypatch.setattr(measured, "evidence", lambda task: {"play": payoffs})
    monkeypatch.setattr(measured, "training", lambda: {"learners": {"mine": {"settings": settings}}})
    assert learner_tables._between_p_and_r(task, "mine", {"runs": {"trained": [2.0, 2.5, 3.0]}}) == said


def test_a_picture_is_named_by_its_place_in_the_source() -> None:
    path = Path(measured.__file__).parent / "_generated" / "a.png"
    assert measured.picture(path, "A") == "![A](/_generated/a.png)"


def test_rows_of_different_origin_are_told_apart() -> None:
    def row(command: str) -> dict[str, Any]:
        return {"source": {"command": command, "processor": "P", "cores": 2, "date": "2026-11-26"}}

    assert measured.whence_rows({"x": row("one"), "y": row("one")}, "f.json") == (
        "`one`, P, 2 cores, 2026-11-26; raw: `benchmarks/results/f.json`."
    )
    assert measured.whence_rows({"x": row("one"), "y": row("two")}, "f.json") == (
        "`one`, P, 2 cores, 2026-11-26 (`x`); `two`, P, 2 cores, 2026-11-26 (`y`); raw: `benchmarks/results/f.json`."
    )


def test_missed_aims_for_speed_have_a_cause() -> None:
    aims = [*measured.stored("speed")["aims"], *measured.stored("recsim_ng")["aims"]]
    said = cells(speeds._aims([[what, aim, value, False] for what, aim, value, _ in aims]))
    assert all(said[what][2].startswith("no. ") and len(said[what][2]) > 20 for what, *_ in aims)
    assert cells(speeds._aims([["second start, s", 1.0, 0.9, True]]))["second start, s"][2] == "yes"


def test_every_task_that_misses_an_aim_of_its_interfaces_is_listed() -> None:
    result = measured.stored("speed")
    tasks = {name: result["tasks"][f"{name} {config.action}"] for name, config in TASKS.items()}
    slow = {name for name, row in tasks.items() if row["interfaces"]["parallel_of_CartPole"][1] < 0.8}
    state = {
        name
        for name, row in tasks.items()
        if max(row[f"B={copies}"]["state_of_step"][1] for copies in (64, 1024)) > 0.25
    }
    assert len(slow) > 1
    assert len(state) > 1
    for text, names in ((speeds.slow_interfaces(result), slow), (speeds.slow_states(result), state)):
        assert text[0].startswith(f"{len(names)} of {len(TASKS)} tasks miss ")
        assert {name.strip("`") for name in cells(text[1])} == {"task", "---", *names}
        assert all(part in speeds.speed() for part in text)
    assert cells(speeds.slow_interfaces(result)[1])["`creators-v0`"][2:] == ["20", "53", "1,060"]
    fine = {**result, "aims": [[what, 0.0 if "parallel" in what else 9.0, *rest] for what, _, *rest in result["aims"]]}
    assert speeds.slow_interfaces(fine) == speeds.slow_states(fine) == speeds.slow_states({**result, "aims": []}) == []


def test_speed_beside_recsim_ng_is_said_with_its_aims(nothing_measured: Path) -> None:
    def row(ratio: float) -> dict[str, list[float]]:
        times = {f"{who}_ns": [90.0, 100.0, 110.0] for who in ("ours", "graph", "xla")}
        return {**times, "over_graph": [ratio - 0.1, ratio, ratio + 0.1], "over_xla": [0.9, 1.0, 1.1]}

    by_users = {"1000": {"fused": row(2.1), "stepwise": row(5.0)}, "10000": {"fused": row(2.3), "stepwise": row(7.0)}}
    found = {
        "command": "python -m benchmarks.speed.recsim_ng",
        "processor": "P",
        "date": "2026-11-29",
        "settings": {"rounds": 25, "ticks": 100},
        "threads": {"one thread": by_users, "default threads": by_users},
        "aims": [["fused, 1,000 users: ours ÷ RecSim NG", 2.0, 2.1, True], ["stepwise, 1,000 users", 6.0, 5.0, False]],
    }
    write_json(nothing_measured / "recsim_ng.json", found)
    text = speeds.recsim_ng()
    assert "2.1 to 2.3 times as fast as RecSim NG fused, and 5.0 to 7.0 times stepwise. 1 of 2 aims are met" in text
    assert cells(text)["stepwise, 10,000 users, default threads"][3:] == ["7.00 [6.90, 7.10]", "1.00 [0.90, 1.10]"]
    well_formed(text)


# ------------------------------------------------------------------------------------------------ the README


@pytest.mark.usefixtures("small_results")
def test_the_tables_of_the_readme_need_their_markers(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("a <!-- tasks -->old<!-- /tasks --> b <!-- scores --><!-- /scores -->")
    results.readme_parts(readme)
    text = readme.read_text()
    assert text.startswith("a <!-- tasks -->\n| task | ")
    assert "\n<!-- /tasks --> b <!-- scores -->\nOver the 2 tasks of `ranking` that were measured, the best" in text
    found = {line.split(" | ")[0]: line for line in text.partition("<!-- scores -->")[2].splitlines()}
    best = measured.stored("evaluation")["tasks"]["ecommerce-v1"]["teams"]["content"]
    learner = spread(suites.scores_of_learners("ecommerce-v1")["ppo-torch"], 0)
    assert found["| `ecommerce-v1`"].endswith(
        f"| the world and the visitor's state | `content` {normalised(best, 0)} | `ppo-torch` {learner} |"
    )
    assert found["| `market-v0`"].endswith("| Not measured yet |")
    without = "a <!-- tasks -->old<!-- /tasks --> b"
    readme.write_text(without)
    with pytest.raises(ValueError, match=r"README\.md has no markers <!-- scores --> and <!-- /scores -->"):
        results.readme_parts(readme)
    assert readme.read_text() == without


# ------------------------------------------------------------------------------------------------ tables


def test_a_folder_is_shown_by_its_last_name() -> None:
    assert [brief(policy) for policy in ("greedy", "my_file:Mine", "runs/reference/ppo-torch-{task}-0")] == [
        "greedy",
        "my_file:Mine",
        "ppo-torch-0",
    ]


def test_spread() -> None:
    assert spread({"mean": 1.234, "ci95": 0.5}) == "1.23 ±0.50"
    assert spread({"mean": 1.234, "ci95": None}, 1) == "1.2"


def test_a_cell_may_hold_a_bar() -> None:
    assert markdown(["a", "b"], [["x|y", "z"]]) == "| a | b |\n| --- | --- |\n| x\\|y | z |"


# ------------------------------------------------------------------------------------------------ claims


def team(*runs: float) -> dict[str, Any]:
    seeds = {"settings": {"seeds": list(range(len(runs)))}}
    return {"mean": sum(runs) / len(runs), "origin": seeds, "runs": list(runs)}


def learner_on(task: str, rewards: dict[int, float], **settings: Any) -> dict[str, Any]:
    row = {"seeds": [{"evaluation": seed} for seed in rewards], "runs": {"trained": list(rewards.values())}}
    return {"settings": settings, "tasks": {task: row}}


def test_differences_are_paired_and_signed() -> None:
    everywhere = ("content", "popularity", "implicit", "lightfm")
    coldstart = {
        "content": team(5, 6, 7),
        "popularity": team(4, 5.1, 5.9),
        "implicit": team(3, 4.2, 4.8),
        "lightfm": team(1, 1, 1),
    }
    tasks = {
        "coldstart-v1": {"teams": coldstart},
        "duel-v1": {"teams": {name: team(1, 2) for name in everywhere}},
    }
    learners = {
        "ppo-torch": learner_on("coldstart-v1", {0: 9, 1: 10.1, 2: 10.9}),
        "ippo": learner_on("coldstart-v1", {0: 10, 1: 10.5, 2: 11, 3: 1}),  # the best on shared seeds, not of all
        "single": learner_on("coldstart-v1", {0: 99}),  # one seed says nothing
        "seeing": learner_on("coldstart-v1", {0: 99, 1: 99, 2: 98}, observability="full"),
        "ppo-torch-team": learner_on("coldstart-v1", {2: 10, 0: 8, 5: 11.5}, sharing=1.0),
    }
    found = dict(claims.claims({"tasks": tasks}, {"learners": learners}))
    assert found["`content` earns more than `popularity`"]["coldstart-v1"]["mean"] == pytest.approx(1.0)
    assert claims.verdict(found["`content` earns more than `popularity`"]) == "holds on 1 of 2, fails on 0"
    assert claims.verdict(found["`implicit` earns more than `popularity`"]) == "holds on 0 of 2, fails on 1"
    trained = found["The best trained team earns more than `content`"]
    assert trained.keys() == {"coldstart-v1: ppo-torch"}
    gain = trained["coldstart-v1: ppo-torch"]
    assert gain["mean"] == pytest.approx(4.0)
    alone, together = (statistics.interval(np.array([4, 4.1, 3.9]), among)["ci95"] for among in (1, 3))
    assert together > 1.5 * alone
    assert gain["ci95"] == pytest.approx(together)
    assert claims.verdict(trained) == "holds on 1 of 1, fails on 0"
    sharing = found[
        "PPO paid by the team's reward (`ppo-torch-team`) earns more than PPO paid by its own (`ppo-torch`)"
    ]
    assert sharing["coldstart-v1"]["mean"] == pytest.approx(-0.95)  # on seeds 0 and 2
    assert claims.verdict(sharing) == "holds on 0 of 1, fails on 1"
    assert "`surprise` earns more than `popularity`" not in found


def test_nothing_stored_claims_nothing() -> None:
    assert claims.claims({}, {}) == []


# ------------------------------------------------------------------------------------------------ cards


@pytest.mark.usefixtures("small_results")
def test_a_card_says_what_is_stored() -> None:
    text = cards.card("ecommerce-v1")
    well_formed(text)
    found = cells(text)
    assert "observations only is `static` (2.00 ±0.01), the best oracle is `planner` (4.00 ±0.01)." in text
    assert found["`static`"] == ["2.00 ±0.01", "33.3 ±0.1"]
    assert "`joint`" not in found
    assert "`planner`, earns 4.00 ±0.01: 100.0 ±1.0 % more." in text
    assert "what agents observe, `searched-state`, earns 2.50 ±0.01: 25.0 ±1.0 % more." in text
    assert "The weights of `static`: recommender: `price` -0.50, `ctr` 1.00." in text
    assert "Two searches for them earned 2.10 ±0.01 and 2.00 ±0.01 on training seeds." in text
    assert "`static` earns 12.0 ±1.0 % more than `forgetful`." in text
    assert "P − S 1.00 ±0.01: a prisoner's dilemma." in text
    assert "The best reply to `planner` loses 60.0 ±1.0 % against `equilibrium`, the most of all pairs." in text
    assert "| planner | equilibrium | 60.0 ±1.0 % |" in text
    assert "as far as these episodes tell: `planner x 0.5` to `planner` with all prices in between." in text
    assert "| `greedy` | 2.00 ±0.01 | `planner x 0.5` 10.0 ±1.0 % | yes |" in text
    assert found["`planner x 0.5`"] == ["3.00 ±0.01", "`greedy` -20.0 ±1.0 %, `planner` 0.5 ±1.0 %", "no"]
    assert "earn 50.0 ±1.0 % of what all playing `planner` earn" in text
    assert found["team optimum"] == ["YX YX", "0.2500", "", ""]
    assert found["equilibrium"] == ["YX YX", "0.2500 0.2500", "strict, symmetric", "+70%"]
    assert "constant strategies: T 0.3000, R 0.2000, P 0.1000, S 0.0500." in text
    assert found["myopic"] == ["0.3000", "0.1000"]
    assert "Not run yet" not in text  # there is a learner
    assert cards.card("news-v1") == "Not measured yet: `python -m benchmarks.studies.evidence news-v1`."


def test_a_card_says_which_policies_do_not_play() -> None:
    missing = {"missing": "Static chooses the items of a page"}, {"missing": "Content chooses the items of a page"}
    rows = {"random": {"mean": 1.0}, "static": missing[0], "content": missing[1], "joint": {"missing": "no table"}}
    said = "`static`, `content` do not play here: each chooses the items of a page."
    assert cards.policies._not_played(rows) == said


def test_purposes_of_tasks_are_judged_by_what_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    purposes = cards.purposes
    for gain, said in [((0.5, 0.1), True), ((0.3, 0.1), False), ((0.5, 0.6), None), ((0.5, None), None)]:
        assert purposes._reaches(dict(zip(("mean", "ci95"), gain, strict=True)), 0.4)[1] is said
    assert purposes.purpose_of("news-v1") == ""
    for task in purposes.PURPOSES:
        well_formed(purposes.purpose_of(task))
    means = {"auction-truthful": 10.0, "auction-pacing": 12.0, "central": 15.0}
    rows = {name: {"mean": mean, "ci95": 0.1} for name, mean in means.items()}
    play = {"anarchy": {"policy": "auction-pacing", "mean": 0.8, "ci95": 0.032}}
    monkeypatch.setattr(cards.measured, "evidence", lambda task: {"rows": rows, "play": play})
    found = cells(purposes.purpose_of("auction-v0"))
    assert found["pacing earns at least 30 % more than truthful bids do"] == ["20.0 ±1.6 %", "no", ""]
    assert found["the joint optimum earns at least 15 % more than an equilibrium does"][:2] == ["25.0 ±5.0 %", "yes"]

    def missing(name: str) -> None:
        raise cards.measured.NotMeasured(name)

    monkeypatch.setattr(cards.measured, "stored", missing)
    assert purposes.purpose_of("creators-v0") == "Not measured yet: `python -m benchmarks.studies.crowds`."


@pytest.mark.usefixtures("small_results")
def test_aims_are_computed() -> None:
    text = cards.aims.table_of_aims()
    well_formed(text)
    aims, found = {aim.name: aim.what for aim in cards.aims.AIMS}, cells(text)
    head, grid = found["task"], found["[ecommerce](_generated/tasks/ecommerce-v1.md#evidence)"]
    assert head == ["suite", *aims]
    marks = dict(zip(head, grid, strict=True))
    verdict = {name: found[name][-1] for name in aims}
    row = next(rows for head, rows in tables(cards.card("ecommerce-v1")) if head[-1].strip() == "met")
    said = {name.strip(): measured.strip() for name, _, measured, _ in row}
    assert (marks["blind"], said["blind"], verdict["blind"]) == ("✗ +3", "+3.3", "missed")
    assert marks["state"] == "✓ 25 %"
    assert said["state"] == "`searched-state` 25.0 ±1.0 %, `planner` 100.0 ±1.0 %"
    assert verdict["state"] == "missed"
    assert (marks["rivals"], said["rivals"]) == ("✓ 20 %", "20.0 %")
    assert ("memory" in said, marks["memory"], verdict["memory"]) == (False, "", "not measured")
    assert (marks["history"], said["history"]) == ("✓ 12 %", "`static` / `forgetful` 12.0 ±1.0 %")
    assert (marks["team"], said["team"]) == ("✓ 150 %", "150.0 %")
    assert ("foresight" in said, marks["foresight"], verdict["foresight"]) == (False, "", "not measured")
    # the learner of the example earns 2 and 3 on its seeds, which says nothing against `static` at 2
    assert said["learner"].startswith("`ppo-torch` / `static` 25.0 ±")
    assert marks["learner"] == "✗ 25 %"
    assert text.startswith(f"{list(verdict.values()).count('met')} of {len(aims)} aims are met.")


@pytest.mark.usefixtures("small_results")
def test_a_card_opens_with_what_the_numbers_say() -> None:
    asked, *_ = cards.openings.OPENINGS["ecommerce-v1"]
    assert cards.card("ecommerce-v1").startswith(
        f"{asked} Two myopic agents earn 2.0 each, two patient ones 4.0; a lone patient agent gets 1.0, a lone greedy "
        "one among patient ones 5.0: a prisoner's dilemma. PPO paid by its own sales ends at 2.5.\n\n"
    )  # `ppo-torch` is trained there, but not by the team's reward, so there is no sentence on that
    assert cards.openings.opening("social-v1") == cards.openings.OPENINGS["social-v1"][0]
    assert cards.openings.opening("mine-v1") == ""


@pytest.mark.parametrize("task", cards.openings.OPENINGS)
def test_every_number_of_an_opening_is_stored(task: str) -> None:
    sentences = cards.openings.OPENINGS[task]
    assert 3 <= len(sentences) <= 5
    assert not any(re.search(r"\d", sentence) for sentence in sentences if "discount of 0" not in sentence)
    known = cards.openings.figures(task)
    untrained = [name for name in LEARNERS if name not in known]  # their sentences are left out until they are trained
    assert cards.openings.opening(task) == " ".join(
        sentence.format_map(known) for sentence in sentences if not any(f"{{{name}}}" in sentence for name in untrained)
    )


def test_every_task_has_an_opening() -> None:
    assert list(cards.openings.OPENINGS) == [task for task in TASKS if task in cards.openings.OPENINGS]
    assert set(cards.openings.OPENINGS) == set(TASKS)


@pytest.mark.parametrize(
    ("differences", "kind"),
    [
        ((1.0, 1.0), "a prisoner's dilemma"),
        ((-1.0, 1.0), "a stag hunt"),
        ((-1.0, -1.0), "cooperating pays whatever the others do"),
        ((1.0, -1.0), "a game of chicken"),
        ((0.05, 1.0), "these episodes do not tell what kind of game that is"),
    ],
)
def test_the_kind_of_game_is_said_by_the_numbers(differences: tuple[float, float], kind: str) -> None:
    assert cards.games.game(dict(zip(("T-R", "P-S"), (gain(mean, 0.1) for mean in differences), strict=True))) == kind


def gain(mean: float, ci95: float) -> dict[str, float]:
    return {"mean": mean, "ci95": ci95}


def aims() -> dict[str, Any]:
    """Name of an aim -> what finds out whether a task meets it."""
    return {aim.name: aim.finds for aim in cards.aims.AIMS}


PLANNER = {
    "policy": "planner",
    "gain": gain(0.5, 0.1),
    "fixed_reward": gain(2.0, 0.1),
}  # what an oracle gains is said, and does not count
COSTS = {"a for b": gain(0.06, 0.01), "b for a": gain(0.5, 0.1), "c for a": gain(0.3, 0.1), "a for c": gain(0.0, 0.0)}


@pytest.mark.parametrize(
    ("aim", "card", "said"),
    [
        (
            "state",
            {"state": {**PLANNER, "observed": {"policy": "searched-state", "gain": gain(0.2, 0.1)}}},
            ("`searched-state` 20.0 ±10.0 %, `planner` 50.0 ±10.0 %", True, "20 %"),
        ),
        (
            "state",
            {"state": {**PLANNER, "observed": {"policy": "searched-state", "gain": gain(0.2, 0.3)}}},
            ("`searched-state` 20.0 ±30.0 %, `planner` 50.0 ±10.0 %", False, "20 %"),
        ),
        (
            "state",
            {"state": {**PLANNER, "observed": {"missing": "none"}}},
            ("`planner` 50.0 ±10.0 %", False, ""),
        ),
        (
            "rivals",  # the costliest pair was chosen on other episodes
            {"play": {"wrong_rival": {"costliest": "a for b", "reverse": "b for a", "cost": COSTS}}},
            ("a for b 6.0 ±1.0 %; b for a 50.0 ±10.0 %", True, "6 %"),
        ),
        (
            "rivals",  # the answer to c does well against both
            {"play": {"wrong_rival": {"costliest": "c for a", "reverse": "a for c", "cost": COSTS}}},
            ("c for a 30.0 ±10.0 %; a for c 0.0 ±0.0 %", False, "0 %"),
        ),
        (
            "rivals",
            {"play": {"wrong_rival": {"costliest": "a for b", "cost": COSTS}}},
            None,
        ),
        ("rivals", {"play": {"wrong_rival": {"costliest": None, "cost": {}}}}, None),
        ("team", {"play": {"priced": {}, "anarchy": gain(0.8, 0.1)}}, ("25.0 ±15.6 %", True, "25 %")),
        ("team", {"play": {"priced": {}, "anarchy": gain(0.8, 0.2)}}, ("25.0 ±31.2 %", False, "25 %")),
        ("team", {"play": {"priced": {}, "anarchy": gain(0.95, 0.01)}}, ("5.3 ±1.1 %", False, "5 %")),
        ("team", {"play": {"priced": {}, "anarchy": {"missing": "none is stable"}}}, None),
        ("team", {"play": {"anarchy": gain(0.8, 0.1)}}, None),  # on a coarse grid of prices
        (
            "memory",  # to look at fewer inputs is not to forget
            {"memory": {"memory": {"with": "static", "without": "forgetful", "gain": gain(0.2, 0.01)}}},
            None,
        ),
        (
            "memory",
            {
                "memory": {
                    "memory": {"with": "coverage-memory", "without": "coverage-convention", "gain": gain(0.2, 0.01)}
                }
            },
            ("`coverage-memory` / `coverage-convention` 20.0 ±1.0 %", True, "20 %"),
        ),
        (
            "history",
            {"memory": {"memory": {"with": "static", "without": "forgetful", "gain": gain(0.2, 0.01)}}},
            ("`static` / `forgetful` 20.0 ±1.0 %", True, "20 %"),
        ),
    ],
)
def test_an_aim_is_met_by_an_estimate_whose_interval_lies_above_nothing(
    monkeypatch: pytest.MonkeyPatch, aim: str, card: dict[str, Any], said: tuple[str, bool, str] | None
) -> None:
    monkeypatch.setattr(measured, "evidence", lambda task: card)
    monkeypatch.setattr(measured, "training", lambda: {"learners": {}})
    assert aims()[aim]("social-v1") == said


@pytest.mark.parametrize(
    ("task", "why"),
    [
        ("market-v0", " (a constant price is a strategy)"),
        ("social-v1", ""),
        ("duel-v1", " (a constant item is a strategy)"),
    ],
)
def test_where_a_constant_is_a_strategy_the_blind_aim_says_so(
    monkeypatch: pytest.MonkeyPatch, task: str, why: str
) -> None:
    rows = {"random": {**gain(1.0, 0.1), "score": 0.0}, "blind": {**gain(2.0, 0.1), "score": 5.0}}
    monkeypatch.setattr(measured, "evidence", lambda name: {"rows": rows})
    finds = aims()["blind"]
    assert finds(task) == (f"+5.0{why}", False, "+5")
    rows["blind"]["score"] = 3.0
    assert finds(task) == ("+3.0", True, "+3")


def test_which_prices_are_equilibria_is_said_by_the_numbers() -> None:
    assert cards.games.settled({"unbeaten": []}) == "Every price is beaten: none is an equilibrium."
    assert cards.games.settled({"unbeaten": [["greedy"]]}).endswith("as far as these episodes tell: `greedy`.")
    several = cards.games.settled({"unbeaten": [["greedy"], ["a", "b", "c"]]})
    assert several.endswith(": `greedy`, `a` to `c` with all prices in between.")


@pytest.mark.parametrize(
    ("items", "said"),
    [(40.0, "Not knowing the items costs more"), (1.0, "Not knowing the taste"), (12.0, "These episodes do not tell")],
)
def test_what_the_planner_misses_more_is_said_by_the_numbers(items: float, said: str) -> None:
    lost = {"planner, taste estimated": gain(10.0, 2.0), "planner, mean items": gain(items, 2.0)}
    assert cards.knowledge._rests_on(lost).startswith(said)


def test_whether_credit_along_user_slots_helps_is_said_by_the_numbers() -> None:
    ticks = {"runs": [1.0, 2.0, 3.0]}
    assert "do not tell" in results._credit_found("t", {"user_slots": {"runs": [1.1, 1.8, 3.1]}, "ticks": ticks})
    assert "user slots earn more" in results._credit_found(
        "t", {"user_slots": {"runs": [6.0, 7.1, 8.0]}, "ticks": ticks}
    )
    assert "ticks earn more" in results._credit_found("t", {"user_slots": {"runs": [-6.0, -5.1, -4.0]}, "ticks": ticks})


def test_learners_that_differ_in_one_setting_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    def learner(reward: list[float], **settings: Any) -> dict[str, Any]:
        seeds = [{"training": seed} for seed in range(len(reward))]
        return {
            "algorithm": "ippo",
            "settings": settings,
            "tasks": {"duel-v1": {"seeds": seeds, "runs": {"trained": reward}}},
        }

    learners = {
        "far": learner([2.0, 4.0], device="cpu"),
        "near": learner([1.0, 2.0], device="cpu", gamma=0.0),
        "team": learner([9.0, 9.0], device="cpu", gamma=0.0, sharing=1.0),
        "talking": learner([3.0, 5.0], device="cpu", set=("messages=4",)),
    }
    monkeypatch.setattr(measured, "training", lambda: {"learners": learners})
    assert [(one, other) for one, other, _ in cards.learners.pairs("duel-v1", "gamma")] == [("far", "near")]
    assert cards.learners.pairs("duel-v1", "gamma")[0][2]["mean"] == pytest.approx(1.0)
    assert [(one, other) for one, other, _ in cards.learners.pairs("duel-v1", "sharing")] == [("team", "near")]
    assert [(one, other) for one, other, _ in cards.learners.pairs("duel-v1", "messages")] == [("talking", "far")]


def test_learners_of_a_finite_game_stand_beside_its_exact_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [
        {"individual_reward": [0.5, 0.25], "nash_conv": 0.125},
        {"individual_reward": [0.125, 0.125], "nash_conv": 0.0},
        {"missing": "why"},
    ]
    learner = {"algorithm": "ppo-torch", "settings": {}, "tasks": {"duel-v1": {"reward": {"mean": 1.0, "ci95": None}}}}
    landmarks = {
        "optimum": {"individual_reward": 0.5, "nash_conv": None},
        "equilibrium XX": {"individual_reward": 0.2, "nash_conv": 0.0},
    }
    landmarks["equilibrium YY"] = {"individual_reward": 0.1, "nash_conv": 0.0}
    exact = {"landmarks": landmarks, "learners": {"ppo-torch": runs}}
    monkeypatch.setattr(measured, "training", lambda: {"learners": {"ppo-torch": learner}})
    monkeypatch.setattr(measured, "distances", lambda task: exact)
    text = cards.learners.learners_of("duel-v1")
    assert cells(text.partition(" in the long run: optimum 0.5000, equilibrium XX 0.2000, equilibrium YY 0.1000.")[2])[
        "`ppo-torch`"
    ] == [
        "3",
        "0.125 0.375",
        "1 of 2",
        "0.1250",
    ]


def test_a_solution_says_which_strategies_it_is_of_and_who_has_no_place_in_it() -> None:
    placed = {"name": "joint", "individual_reward": [0.5, 0.5], "nash_conv": 0.25}
    found = {
        "states": ["mine", "yours"],
        "table": 2,
        "optimum": {"policies": ["XY", "XY"], "individual_reward": 0.5},
        "equilibria": [],
        "policies": [placed, {"name": "greedy", "missing": "it reacts to the past"}],
    }
    text = cards.exact.exact_solution(found)
    assert "pure stationary strategies of these states (Markov perfect equilibria).\n" in text
    assert cells(text)["`joint`"] == ["0.5000 0.5000", "0.2500"]
    assert "Not in the table: it reacts to the past." in text
    assert "Strategies that react to past prices can sustain more" in cards.exact.exact_solution({**found, "table": 98})


def test_algorithms_differ_where_a_pair_of_them_is_separated(monkeypatch: pytest.MonkeyPatch) -> None:
    def pair(one: str, other: str, gain: float, task: str = "coverage-v0") -> Comparison:
        view = {"mean": gain, "ci95": 1.0}
        return Comparison(task, "torch", one, other, 100, 5.0, view, view)

    found = [pair("a", "b", 3.0), pair("a", "c", 0.5), pair("b", "c", -2.0), pair("a", "b", 0.5, "duel-v1")]
    monkeypatch.setattr(measured, "comparisons", lambda: found)
    differ = aims()["algorithms"]
    assert differ("coverage-v0") == ("2 of 3 pairs are separated, `a` / `b`: `a`, `b` / `c`: `c`", True, "2 of 3")
    assert differ("duel-v1") == ("0 of 1 pairs are separated", False, "0 of 1")
    assert differ("social-v1") is None


@pytest.mark.usefixtures("small_results")
def test_comparisons_are_sentences_and_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    view = {"mean": -3.0, "ci95": 1.0}
    found = [
        Comparison("coverage-v0", "torch", "a", "b", 2_000_000, 32.0, view, {"mean": -2.0, "ci95": 0.5}),
        Comparison("coverage-v0", "torch", "a", "c", 2_000_000, 32.0, view, {"mean": -2.0, "ci95": 2.5}),
    ]
    monkeypatch.setattr(measured, "comparisons", lambda: found)
    text = learner_tables.comparisons()
    well_formed(text)
    assert text.startswith("1 of 2 pairs are separated by both views. They are:\n\n- On `coverage-v0`, `b` earns ")
    assert (
        "`b` earns 3.00 ±1.00 more than `a` after 2.0 million agent-steps, and 2.00 ±0.50 more after 32 seconds" in text
    )
    assert [row[-1].strip() for row in next(tables(text))[1]] == ["`b`", "neither"]


def test_a_result_that_is_older_than_its_code_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    origin = {"command": "python -m benchmarks.studies.recovery", "processor": "a CPU", "date": "2026-12-01"}
    monkeypatch.setattr(measured, "AWAITED", ("recovery",))
    assert measured.whence(origin, "recovery.json").endswith(
        "recovery.json`. The code that it measures has changed since."
    )
    assert measured.whence(origin, "words.json").endswith("words.json`.")
    assert measured.whence_rows({"a": {"source": origin}}, "recovery.json").count("has changed since") == 1


def test_the_best_of_several_is_said_with_those_that_chance_cannot_tell_from_it() -> None:
    rewards = {"a": gain(10.0, 1.0), "b": gain(12.0, 1.5), "c": gain(9.0, 1.0), "d": {"mean": 8.0, "ci95": None}}
    said = measured.who_earns_most(rewards, " alone")
    assert said == "`b` earns the most alone, 12.00 ±1.50 (intervals that overlap: `a`, `d`)"
    assert measured.who_earns_most({"a": gain(10.0, 1.0), "b": gain(12.0, 0.5)}) == "`b` earns the most, 12.00 ±0.50"


def test_a_sweep_says_what_it_chose_and_cost(nothing_measured: Path) -> None:
    def run(reward: float, **changed: float) -> dict[str, Any]:
        row = {"changed": changed, "seed": 100, "reward": {"mean": reward, "ci95": 0.1}}
        return {**row, "processor_seconds": 1800.0}

    def row(*rounds: list[dict[str, Any]]) -> dict[str, Any]:
        usual = {"gamma": None, "learning_rate": 0.001, "n_steps": 100}
        held = [{"defaults": usual, "runs": runs, "source": {}} for runs in rounds]
        return {"beside": "", "agent_steps": 500_000, "rounds": held}

    second = [run(3.0), run(3.0), run(2.0, gamma=0.9), run(5.0, gamma=0.9)]
    rows = {
        "duel-v1": row([run(4.0), run(3.0, gamma=0.9)], second),
        "social-v1": row([run(2.0), run(1.0, gamma=0.9)]),
    }
    write_json(nothing_measured / "sweep.json", {"learners": {"ppo-torch": rows}})
    text = learner_tables.sweep()
    well_formed(text)
    assert text.startswith("2 of 2 sweeps chose something else than the defaults. They took 8 runs of 0.5 million")
    assert "and 4.0 core-hours" in text
    assert cells(text)["`ppo-torch`"] == ["gamma 0.9, learning rate 0.001", "learning rate 0.001"]


def test_the_best_of_several_learners_has_intervals_that_hold_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is clear alone may not be among several."""

    def learner(reward: list[float], **settings: Any) -> dict[str, Any]:
        row = {"seeds": [{"training": seed} for seed in range(len(reward))], "runs": {"trained": reward}}
        kind = "q-torch" if "mixer" in settings else "ppo-torch"
        return {"algorithm": kind, "settings": settings, "tasks": {"coverage-v0": row}}

    learners = {"a": learner([10.0, 10.0, 10.0, 10.0]), "b": learner([11.0, 13.0, 11.0, 13.0], centralised=True)}
    learners["c"] = learner([9.5, 10.0, 10.0, 10.5], mixer="vdn")
    monkeypatch.setattr(measured, "training", lambda: {"learners": learners})
    bars = {name: gain(mean, 0.1) for name, mean in (("blind", 5.0), ("content", 6.0), ("static", 9.5))}
    monkeypatch.setattr(measured, "evidence", lambda task: {"rows": bars})
    leads = aims()["learner"]
    assert leads("coverage-v0") == (
        "`a` / `static` 5.3 ±1.1 %",
        True,
        "5 %",
    )  # `b` earns more, but not beyond its interval
    assert aims()["library"]("coverage-v0") is None
    del learners["a"], learners["c"]
    assert leads("coverage-v0") == ("`b` / `static` 26.3 ±19.4 %", True, "26 %")  # which it is alone
    known = cards.aims._lead(np.array([10.0, 10.0]), gain(2.0, 0.5), among=1)
    assert known == gain(4.0, 1.25)  # all that is uncertain is the policy's reward, of which 10 is a multiple


def test_a_stored_command_names_the_module_as_it_is_called_now() -> None:
    assert measured.as_today("python -m benchmarks.speed --rounds 15") == "python -m benchmarks.speed.step --rounds 15"
    assert measured.as_today("python -m benchmarks.evidence duel-v1") == "python -m benchmarks.studies.evidence duel-v1"
    for command in ("python -m benchmarks.speed.step", "python -m recsys_env evaluate --out benchmarks.x/runs"):
        assert measured.as_today(command) == command


def test_robustness_shows_each_learner_by_task(small_results: Path) -> None:
    text = results.parts(small_results)["robustness"]()
    assert "### `social-v1`" in text
    assert cells(text)["`ppo-torch`"] == [
        "3.25 ±0.10",
        "2.00 ±0.10",
        "1.25 ±0.10",
        "`greedy` 1.50 ±0.10",
        "33",
        "0.50 ±0.00",
    ]
    assert "benchmarks/results/robustness/" in text
    well_formed(text)


def test_without_robustness_the_command_is_named(nothing_measured: Path) -> None:
    assert results.parts(nothing_measured)["robustness"]() == "Not measured yet: `python -m baselines robustness`."
