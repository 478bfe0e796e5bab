"""Propensities: how likely a policy was to show what it has shown, against how often it does."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from recsys_env import WorldConfig, replace, task_config, vector_env
from recsys_env.evaluation import record
from recsys_env.evaluation.episodes import compared
from recsys_env.policies import POLICIES, TASK_POLICIES, Content, Policy, Population, Random, Team, make_policy
from recsys_env.policies.ranking import Ranker

PAGE = WorldConfig(
    num_agents=1,
    slots=3,
    horizon=20,
    users={"number": 3},
    items={"number": 20, "dims": 4, "topics": 4},
    candidates={"number": 5},
    arrival={"r_0": 50.0},
)
COPIES = 30_000
SILENT = {"thompson", "linear-thompson", "observer", "teller"}  # random policies without a closed form


def test_all_policies_but_some_random_ones_say_how_likely_their_pages_are() -> None:
    """This is the list of those that cannot."""
    silent = set()
    for name, path in (POLICIES | TASK_POLICIES).items():
        module, _, factory = path.partition(":")
        try:
            kind = getattr(importlib.import_module(module), factory)
        except ImportError:
            continue
        if not kind.deterministic and (name in SILENT or kind.probabilities is Policy.probabilities):
            silent.add(name)
    assert silent == SILENT


@pytest.mark.parametrize("task", ["ecommerce-v1", "duel-v1", "market-v0", "coverage-v0"])
def test_deterministic_policies_do_not_depend_on_their_seed(task: str) -> None:
    config = task_config(task, {"horizon": 40})
    names = (
        [*compared(config), "linucb", "ucb1", "reciprocal", "matcher"] if task == "ecommerce-v1" else compared(config)
    )
    tested = 0
    for name in names:
        if not make_policy(name).deterministic:
            continue
        shown = []
        for seed in (1, 2):
            envs = vector_env(config, 3)
            observations, _ = envs.reset(seed=0)
            team, actions = Team(envs, dict.fromkeys(config.agents, name), seed), envs.empty_actions()
            for _ in range(config.horizon):
                team.act(observations, actions)
                assert (team.probabilities(actions) == 1).all()
                observations, _, _, truncated, infos = envs.step(actions)
                shown.append(infos["shown"].copy())
                team.observe(infos, truncated)
        np.testing.assert_array_equal(shown[: config.horizon], shown[config.horizon :], err_msg=name)
        tested += 1
    assert tested >= 4


# ------------------------------------------------------------------------------------------------ frequencies


class Scores(Ranker):
    """Always ranks the options in the same order, and explores on a third of the pages."""

    deterministic = True
    exploration = 1 / 3

    def score(self, observations: np.ndarray) -> np.ndarray:
        return np.tile(np.sin(np.arange(self.items.shape[1])), (len(self.items), 1))


def same_page(config: WorldConfig, policy: str | Policy) -> tuple[np.ndarray, np.ndarray]:
    """Slates [B, K] that a policy shows on one page in all copies, and their propensities."""
    envs = vector_env(config, COPIES)
    observations, _ = envs.reset(seed=[5] * COPIES)
    team, actions = Team(envs, {config.agents[0]: policy}, 0), envs.empty_actions()
    team.act(observations, actions)
    found = team.probabilities(actions)[:, 0]
    shown = envs.step(actions)[4]["shown"][:, 0]
    return shown.copy(), found


def check_frequencies(shown: np.ndarray, propensities: np.ndarray) -> None:
    """The propensities of the picks up to each slot are how often these are shown, and those of all slates sum to 1."""
    for slots in range(1, shown.shape[1] + 1):
        slates, which, counts = np.unique(shown[:, :slots], axis=0, return_inverse=True, return_counts=True)
        joint = propensities[:, :slots].prod(axis=1)
        which = which.ravel()
        expected = np.bincount(which, joint) / counts
        np.testing.assert_allclose(joint, expected[which], rtol=1e-6)  # the same for the same slate
        assert expected.sum() == pytest.approx(1.0, rel=1e-5)
        error = np.sqrt(expected * (1 - expected) / len(shown))
        assert (np.abs(counts / len(shown) - expected) < 4.5 * error + 1e-12).all(), slates


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"slots": 1},
        {"mask_actions": True},
        {"mask_actions": True, "slots": 1, "messages": 2, "num_agents": 1},
        {"action": "items", "items": {"number": 5, "topics": 2}},
        {"action": "items", "items": {"number": 5, "topics": 2}, "mask_actions": True},
    ],
)
@pytest.mark.parametrize("policy", ["random", Scores])
def test_propensities_are_frequencies(policy: Any, changes: dict[str, Any]) -> None:
    config = replace(PAGE, changes)
    shown, propensities = same_page(config, policy if isinstance(policy, str) else policy())
    assert len(np.unique(shown, axis=0)) > 3
    check_frequencies(shown, propensities)


@pytest.mark.parametrize("name", ["epsilon-greedy", "nearest"])
def test_exploring_policies(name: str) -> None:
    check_frequencies(*same_page(PAGE, name))


@pytest.mark.parametrize("slots", [1, 3])
def test_slates_that_are_drawn_by_softmax(slots: int) -> None:
    """Plackett-Luce: each pick by softmax of the scores of what is left."""
    torch = pytest.importorskip("torch", reason='needs torch: pip install "recsys_env[train]"')
    pytest.importorskip("stable_baselines3", reason='needs stable_baselines3: pip install "recsys_env[train]"')
    from recsys_env.adapters.sb3 import SB3Policy
    from recsys_env.trained.slates import SlatePolicy, slate_kwargs

    config = replace(PAGE, {"slots": slots})
    envs = vector_env(config)
    torch.manual_seed(0)
    network = SlatePolicy(envs.observation_space, envs.action_space, lambda _: 0.0, **slate_kwargs(envs))
    with pytest.raises(TypeError, match=r"It is None where actions are more than picks of candidates, .*'MlpPolicy'"):
        SlatePolicy(envs.observation_space, envs.action_space, lambda _: 0.0)
    with torch.no_grad():
        network.mlp_extractor.score.weight.mul_(1000.0)
    shown, propensities = same_page(config, SB3Policy(network, deterministic=False))
    check_frequencies(shown, propensities)
    observations, _ = envs.reset(seed=5)
    with torch.no_grad():
        scores = network.mlp_extractor.forward_actor(torch.as_tensor(observations[:, 0]))[0].double().numpy()
    weights = dict(zip(envs.candidates[0, 0].tolist(), np.exp(scores), strict=True))
    assert max(weights.values()) > 2 * min(weights.values())
    for slate, found in zip(shown[:50].tolist(), propensities[:50], strict=True):
        left = dict(weights)
        for item, propensity in zip(slate, found, strict=True):
            assert propensity == pytest.approx(left[item] / sum(left.values()), rel=1e-4)
            del left[item]


def test_a_population_has_the_propensities_of_who_plays() -> None:
    config, policy = replace(PAGE, {"slots": 2}), Population(["random", "content"])
    envs = vector_env(config, 6)
    observations, _ = envs.reset(seed=0)
    team, actions = Team(envs, {config.agents[0]: policy}, 0), envs.empty_actions()
    team.act(observations, actions)
    random = policy.plays == 0
    found = team.probabilities(actions)[:, 0]
    assert random.sum() == 3
    np.testing.assert_allclose(found[random], [[1 / 5, 1 / 4]] * 3)
    assert (found[~random] == 1).all()


# ------------------------------------------------------------------------------------------------ logs


def test_the_log_holds_conditional_and_slate_propensities() -> None:
    table = record(PAGE, "random", episodes=4)
    assert table["propensity"].round(12).drop_duplicates().sort_values().tolist() == [0.2, 0.25, round(1 / 3, 12)]
    np.testing.assert_allclose(table["slate_propensity"], 1 / 60)
    np.testing.assert_allclose(table["propensity"], 1 / (5 - table["slot"]))


def why_none(task: Any, policies: Any) -> str:
    """Why a log holds no propensities."""
    table = record(task, policies)
    assert not {"propensity", "slate_propensity"} & set(table.columns)
    return table.attrs["no_propensity"]


class Noisy(Content):
    """Chooses pages in its own way, and does not say so."""

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        return self.rng.permuted(super().act(observations, mask), axis=1)


@pytest.mark.parametrize(
    ("changes", "policy", "reason"),
    [
        ({}, Noisy, "recommender_0: Noisy does not say how likely its pages are: it neither defines probabilities"),
        ({}, lambda: "thompson", "recommender_0: Thompson does not say how likely its pages are: it ranks by"),
        ({"action": "query"}, Random, "recommender_0: Random draws a uniform vector where action = 'query'"),
        ({"observation": {"delay": 1.0}}, Content, "pages that are late show the first candidates"),
    ],
)
def test_why_a_log_holds_none(changes: dict[str, Any], policy: Callable[[], Any], reason: str) -> None:
    assert why_none(replace(PAGE, changes), policy()).startswith(reason)


class Wrong(Random):
    def __init__(self, value: float) -> None:
        self.value = value

    def probabilities(self, actions: np.ndarray) -> np.ndarray:
        return np.full(actions.shape, self.value)


@pytest.mark.parametrize("value", [0.0, 1.5, np.nan])
def test_impossible_propensities_are_refused(value: float) -> None:
    with pytest.raises(
        ValueError, match=f"recommender_0: probabilities.. of its policy gives {value:g} for what it has"
    ):
        record(PAGE, Wrong(value))
