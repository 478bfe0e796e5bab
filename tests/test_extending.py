"""The diffs that the documentation shows (`docs/extending.md`) do what it says, in a copy of the package that takes
them together and is compiled once. A new task is in test_site.py."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from test_vector import PACKAGE, run_python

from recsys_env import vector_env

HERE, DIFFS = Path(__file__).parent, ("new_field.diff", "new_term.diff", "new_page_kind.diff")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package with all changes, beside the tests' slow reference with the same."""
    folder = tmp_path_factory.mktemp("extended")
    for source in (PACKAGE, HERE):
        shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__", "catalogues"))
    for diff in DIFFS:
        subprocess.run(["git", "apply", str(HERE / diff)], cwd=folder, check=True, capture_output=True)
    return folder / PACKAGE.name


def test_a_new_field_is_a_declaration_and_the_line_that_writes_it(package: Path) -> None:
    """The two lines of new_field.diff: the rest follows."""
    lines = (HERE / "new_field.diff").read_text().splitlines()
    assert sum(line.startswith(("+ ", "-")) for line in lines) == 2 + 2  # and two names
    code = """
import numpy as np, recsys_env
envs = recsys_env.vector_env("social-v1", 4, horizon=10)
hiding = recsys_env.vector_env("social-v1", 4, horizon=10, roles=({"hidden": ("progress",)},))
size = envs.observation_space.shape[0]
envs.reset(seed=0), hiding.reset(seed=0)
for tick in range(1, 11):
    seen, hidden = envs.step(envs.empty_actions())[0], hiding.step(hiding.empty_actions())[0]
    if tick == 10:
        seen, hidden = envs.final_obs, hiding.final_obs
    progress, active = envs.field(seen, "progress")[..., 0], envs.field(seen, "is_active")[..., 0]
    np.testing.assert_allclose(progress, tick / 10 * active, rtol=1e-6)
    rest = np.arange(size) != envs.observation_fields["progress"].start
    np.testing.assert_array_equal(seen[..., rest], hidden[..., rest])
    assert not envs.field(hidden, "progress").any()
blurred = recsys_env.vector_env("rivals-v1", 4, horizon=10, observation={"privacy_epsilon": 8.0})
blurred.reset(seed=0)
for tick in range(5):
    seen = blurred.step(blurred.empty_actions())[0]
    assert not blurred.field(seen, "progress").any()  # nobody said that it says nothing of the visitor
    assert blurred.field(seen, "profile").any()
print(size, active.any())
"""
    before = vector_env("social-v1").observation_space.shape[0]
    assert run_python(code, package).split() == [str(before + 1), "True"]


def test_a_new_term_is_a_formula_and_what_it_is_made_of(package: Path) -> None:
    """The click, `explain` and the oracles follow new_term.diff, as the slow reference says."""
    code = """
import sys
sys.path.insert(0, "tests")
import comparison, numpy as np, plain_game, recsys_env
from recsys_env.evaluation.episodes import begin_episodes

def shown(policy, weight):
    envs, team, seen = begin_episodes(config(weight), policy, 8, 0)
    team.act(seen, actions := envs.empty_actions())
    found = envs.explain(actions)
    return envs, found, np.where(found["item"] < 0, 0.0, envs.world.items["length"][found["item"]])

def config(weight):
    changed = {"choice": {"beta_length": weight}, "items": {"length_log_sd": 0.5}}
    return recsys_env.task_config("social-v1", changed)

for policy in ("greedy", "content"):
    envs, found, length = shown(policy, 0.7)
    np.testing.assert_allclose(found["terms"]["length"], 0.7 * length, atol=1e-12)
    np.testing.assert_allclose(sum(found["terms"].values()), found["utility"], atol=1e-9)
    game = plain_game.Game(envs.config, envs.world)
    for b in np.flatnonzero(envs.next_page["visitor"] >= 0):
        copy = comparison.read(game, envs.arrays, b)
        for item, utility in zip(found["item"][b].flat, found["utility"][b].flat):
            if item >= 0:
                assert abs(game.utility(copy, copy.people[copy.visitor], int(item)) - utility) < 2e-5
    longest = [length[length > 0].mean() for _, _, length in (shown(policy, 0.0), shown(policy, 30.0))]
    print(policy, longest[0] < longest[1])
"""
    assert run_python(code, package).split() == ["greedy", "True", "content", "True"]


def test_a_term_that_nobody_declared_is_refused_by_the_exact_solver(package: Path) -> None:
    """Tables may not hold what it depends on; without a weight it does not matter."""
    code = """
from recsys_env import task_config
from recsys_env.exact.states import obstacles

print(list(obstacles(task_config("duel-v1", {}))))
print(*obstacles(task_config("duel-v1", {"choice": {"beta_length": 1.0}})))
"""
    none, refused = run_python(code, package).splitlines()
    assert none == "[]"
    assert refused.startswith("choice.beta_length = 1 weighs 'length', of which exact/states.py does not say what")


def test_a_new_kind_of_page_is_what_it_is_like_and_how_its_slots_are_ranked(package: Path) -> None:
    """Pages of new_page_kind.diff: the slots of each agent follow one another, and whatever looks at a page knows."""
    changed = diffstat("new_page_kind.diff")
    assert len([path for path in changed if not path.startswith("tests/")]) <= 4, changed
    code = """
import sys
sys.path.insert(0, "tests")
import comparison, itertools, numpy as np, plain_game, recsys_env

envs = recsys_env.vector_env("social-v1", 16, page="blocks", num_agents=3, slots=2)
game, rng, orders, holes = plain_game.Game(envs.config, envs.world), np.random.default_rng(0), set(), 0
envs.reset(seed=0)
actions = envs.empty_actions()
for tick in range(20):
    actions[...] = rng.integers(0, envs.config.candidates.number, actions.shape)
    found, expected = envs.explain(actions), envs.expected_feedback(actions)["click"]
    np.testing.assert_array_equal(found["click"], expected)
    for b in np.flatnonzero(envs.next_page["visitor"] >= 0):
        ranks = found["rank"][b]
        np.testing.assert_array_equal(ranks[:, 1], ranks[:, 0] + 1)
        orders.add(tuple(ranks[:, 0]))
        copy = comparison.read(game, envs.arrays, b)
        wanted = {n: game.read_action(copy, n, actions[b, n])[0] for n in game.active(copy)}
        page = game.fill_page(copy, wanted, dict.fromkeys(wanted, 1.0))
        slots = [page[n] for n in range(3)]
        np.testing.assert_array_equal([[slot.rank - 1 for slot in row] for row in slots], ranks)
        items = [[-1 if slot.item is None else slot.item for slot in row] for row in slots]
        np.testing.assert_array_equal(items, found["item"][b])
        outcomes, weights = game.click_odds(copy, copy.people[copy.visitor], page)
        odds = np.zeros((3, 2))
        for outcome, weight in zip(outcomes, weights):
            if outcome is not None:
                odds[outcome[0], page[outcome[0]].index(outcome[1])] = weight / sum(weights)
        np.testing.assert_allclose(odds, found["click"][b], atol=1e-5)
        holes += (found["item"][b] < 0).sum()
    envs.step(actions)
    np.testing.assert_array_equal(envs.report.slots["item"], found["item"])
    np.testing.assert_array_equal(envs.report.slots["rank"], found["rank"])
print(sorted(orders) == sorted(itertools.permutations((0, 2, 4))), holes > 0)
"""
    assert run_python(code, package).split() == ["True", "True"]


def diffstat(diff: str) -> list[str]:
    """The files that a diff changes; prints how many lines of each."""
    print(subprocess.run(["git", "apply", "--stat", HERE / diff], check=True, capture_output=True, text=True).stdout)
    lines = (HERE / diff).read_text().splitlines()
    return [line.removeprefix("+++ b/") for line in lines if line.startswith("+++ ")]
