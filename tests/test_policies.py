"""Policies: legal everywhere, exact where they claim to be, ordered as they should be; and the scores that compare
them."""

from __future__ import annotations

import json
from importlib.util import find_spec
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import worlds
from greedy_regret import enumerated, one_swap
from scipy import stats
from worlds import bound, bound_team

import recsys_env
from recsys_env import VectorEnv, WorldConfig, vector_env
from recsys_env.evaluation import episode_returns, normalised_score
from recsys_env.kernels.equations import Alternative, Consumed, depends_on
from recsys_env.policies import (
    CHECKPOINT,
    LOADERS,
    ORACLES,
    POLICIES,
    Greedy,
    Planner,
    Policy,
    Random,
    feedback,
    make_policy,
    register_loader,
    registry,
)

BATCH = 3
LATENT = [name for name, parts in depends_on(Alternative).items() if "latent item" in parts]
NEEDS = {
    "lightfm": "lightfm",
    "surprise": "surprise",
    "surprise-knn": "surprise",
    "two-tower": "torch",
    "sasrec": "torch",
    **dict.fromkeys(("implicit", "implicit-bpr", "implicit-knn"), "implicit"),
}
INSTALLED = [name for name in POLICIES if name not in NEEDS or find_spec(NEEDS[name])]
SMALL = recsys_env.replace(worlds.SMALL, {"static_weights": {"profile_match": 1.0, "popularity": 0.5}})
OFFERS = {"offer": {"kind": "price"}, "feedback": {"instant": True}, "scenes": ({"name": "page", "cart": True},)}
KINDS: dict[str, dict[str, Any]] = {
    "candidates": {"action": "candidates"},
    "items": {"action": "items"},
    "query": {"action": "query"},
    "candidates, messages": {"action": "candidates", "messages": 3},
    "items, messages": {"action": "items", "messages": 3},
    "query, messages": {"action": "query", "messages": 3},
    "candidates, offers": OFFERS,
    "query, offers, messages": {**OFFERS, "action": "query", "messages": 3},
    "one slot, offers, masks, messages": {**OFFERS, "slots": 1, "mask_actions": True, "messages": 3},
    "weights": {"action": "weights"},
    "weights, messages": {"action": "weights", "messages": 3},
    "one slot": {"slots": 1},
    "one slot, messages": {"slots": 1, "messages": 3},
    "one item, messages": {"slots": 1, "messages": 3, "action": "items"},
    "candidates, masks": {"mask_actions": True, "items": {"stock_init": 1, "number": 8}},
    "items, masks": {"mask_actions": True, "action": "items", "items": {"stock_init": 1, "life": 5, "period": 9}},
    "candidates, masks, messages": {"mask_actions": True, "messages": 3},
    "rival pages": {"page": "rival", "choice": {"beta_trust": 2.0}},
    "inventories": {"items": {"domains": 4}, "roles": ({"domains": (0,)},), "candidates": {"number": 6}},
    "sometimes nothing can be shown": {"items": {"life": 5, "period": 40}},
    "one slot, masks, messages": {"mask_actions": True, "messages": 3, "slots": 1, "action": "items"},
}


def play(envs: VectorEnv, policy: str, ticks: int, seed: int = 0) -> list[np.ndarray]:
    """Actions of a few ticks, each checked against its space and against a scalar-by-scalar reading of the mask."""
    team = bound_team(envs, policy, seed)
    observations, _ = envs.reset(seed=seed)
    history = []
    for _ in range(ticks):
        flat, masks = (
            (observations["observation"], observations["action_mask"])
            if envs.config.mask_actions
            else (observations, None)
        )
        actions = [member.act(flat[:, n], None if masks is None else masks[:, n]) for n, member in enumerate(team)]
        for n, chosen in enumerate(actions):
            assert len(chosen) == envs.num_envs
            for b in range(envs.num_envs):
                assert envs.action_space.contains(chosen[b].astype(envs.action_space.dtype)), (policy, chosen[b])
                if masks is not None and policy == "random":
                    assert _allowed(envs, chosen[b], masks[b, n]).all()
        history.append(np.stack(actions, axis=1))
        observations, _, _, truncated, infos = envs.step(history[-1])
        for n, member in enumerate(team):
            member.observe(feedback(infos, n))
            if truncated.any():
                member.reset(truncated)
    return history


def _allowed(envs: VectorEnv, action: np.ndarray, mask: np.ndarray) -> np.ndarray:
    sizes = getattr(envs.action_space, "nvec", None)
    if sizes is None:
        return mask[action : action + 1]
    return mask[np.concatenate([[0], np.cumsum(sizes)[:-1]]) + action]


# ------------------------------------------------------------------------------------------------ legal everywhere


@pytest.mark.parametrize("policy", INSTALLED)
@pytest.mark.parametrize("task", [task for task in recsys_env.TASKS if task != "grocery-v1"])
def test_every_policy_plays_every_task(task: str, policy: str) -> None:
    own = all(role.static_weights for role in recsys_env.TASKS[task].roles)  # which the task's would not reach
    envs = vector_env(task, BATCH, horizon=8, **{} if own else {"static_weights": {"popularity": 1.0}})
    if envs.config.ranked and policy not in ("random", "blind"):
        with pytest.raises(
            ValueError, match="chooses the items of a page, and with page = 'platform' a fixed ranker does"
        ):
            play(envs, policy, 1)
    else:
        play(envs, policy, 20)


def test_every_policy_plays_grocery() -> None:
    envs = vector_env("grocery-v1", 2, horizon=3, static_weights={"popularity": 1.0})
    for policy in INSTALLED:
        play(envs, policy, 4)


@pytest.mark.parametrize("policy", INSTALLED)
@pytest.mark.parametrize("kind", KINDS)
def test_every_policy_plays_every_kind_of_action(kind: str, policy: str) -> None:
    play(vector_env(SMALL, BATCH, **KINDS[kind]), policy, 35)


@pytest.mark.parametrize("policy", INSTALLED)
def test_seeds_decide(policy: str) -> None:
    envs = vector_env(SMALL, BATCH)
    one, two, other = play(envs, policy, 20, 5), play(envs, policy, 20, 5), play(envs, policy, 20, 6)
    np.testing.assert_array_equal(one, two)
    assert np.array_equal(one, other) == (policy == "blind")


@pytest.mark.parametrize("action", ["candidates", "items"])
@pytest.mark.parametrize("allowed", [6, 4])
def test_random_slates_are_uniform(action: str, allowed: int) -> None:
    """Over all ordered slates of different picks; with a mask, of what it allows, whichever that is in a copy."""
    envs = vector_env(SMALL, 1, slots=3, action=action, candidates={"number": 6}, items={"number": 6}, messages=2)
    policy, batch = make_policy("random"), 12_000
    policy.bind(envs, envs.possible_agents[0], 0)
    rows = np.random.default_rng(1).permuted(np.tile(np.arange(6) < allowed, (batch, 1)), axis=1)
    mask = np.concatenate((np.tile(rows, 3), np.ones((batch, 2))), axis=1).astype(np.int8)
    chosen = policy.act(np.zeros((batch, 1)), None if allowed == 6 else mask)
    picks, words = chosen[:, :3], chosen[:, 3]
    assert np.take_along_axis(rows, picks, 1).all()
    places = np.take_along_axis(rows.cumsum(1) - 1, picks, 1)  # among what is allowed
    slates = list(permutations(range(allowed), 3))
    counts = [(places == slate).all(1).sum() for slate in slates]
    assert sum(counts) == batch
    assert stats.chisquare(counts).pvalue > 0.01
    assert stats.binomtest(int(words.sum()), batch).pvalue > 0.01


# ------------------------------------------------------------------------------------------------ greedy is exact

TINY = WorldConfig(
    num_agents=1,
    slots=3,
    action="items",
    users={"number": 2},
    items={"number": 7, "dims": 3, "topics": 2},
    choice={"v_0": 0.5, "beta_taste": 2.0, "beta_bait": 1.0, "beta_intent": 0.5},
    feedback={"like": True, "rating_after_click": 0.4},
    arrival={"r_0": 4.0},
    reward={"click": 0.1, "like": 0.6, "dwell": 0.3, "rating": 0.7},
)


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"action": "candidates", "candidates": {"number": 5}},
        {"choice": {"v_0": -4.0}},  # saturated: items of little value only take clicks away
        {"choice": {"eta": 0.0, "kappa": 0.0}},
        {
            "feedback": {"instant": True, "b_0": 0.0},
            "scenes": ({"name": "page", "cart": True},),
            "reward": {"purchase": 1.0, "cart": 0.2},
        },
        {"page": "rows", "choice": {"beta_trust": 1.0}},
        {"slots": 1},
    ],
    ids=["items", "candidates", "saturated", "flat", "instant", "rows", "one slot"],
)
def test_greedy_is_the_best_of_all_slates(overrides: dict[str, Any]) -> None:
    """Against the exact value of every ordered slate, of any composition, in 30 different states."""
    batch = 30
    envs = vector_env(TINY, batch, **overrides)
    greedy = bound(envs, Greedy())
    observations, _ = envs.reset(seed=1)
    options = envs.shape.candidates or envs.shape.items
    slates = np.array(list(permutations(range(options), envs.config.slots)))
    if envs.config.slots == 1:
        slates = slates[:, 0]
    for _ in range(2):
        chosen = greedy.act(observations[:, 0])[:, None]
        mine = envs.expected_feedback(chosen)["individual_reward"][:, 0]
        values = np.stack(
            [
                envs.expected_feedback(np.broadcast_to(slate, chosen.shape))["individual_reward"][:, 0]
                for slate in slates
            ]
        )
        assert (np.ptp(values, axis=0)[envs.active[:, 0]] > 1e-3).all()
        np.testing.assert_allclose(mine, values.max(0), rtol=1e-7, atol=1e-9)
        observations = envs.step(chosen)[0]


@pytest.mark.parametrize(("dissimilarity", "percent"), [(0.2, 0.3), (0.35, 0.1), (0.5, 0.05), (0.8, 0.05)])
def test_greedy_where_slots_are_closer_substitutes(dissimilarity: float, percent: float) -> None:
    """Regret against every ordered slate, for one nest of the nested logit."""
    assert enumerated(dissimilarity, 30, 2) <= percent


def test_one_swap_does_not_improve_greedy_on_streaming() -> None:
    assert one_swap("streaming-v1", 30, 3) <= 0.03


@pytest.mark.parametrize("policy", [name for name in INSTALLED if name not in ORACLES])
def test_only_oracles_read_what_is_latent_of_items(policy: str) -> None:
    """Two worlds that differ in intercept, quality and clickbait of the items, always in the same state: the same
    choices."""
    assert LATENT == ["intercept", "quality", "bait"]
    for task in ("ecommerce-v1", "grocery-v1"):
        worlds = [vector_env(task, 2, horizon=20, static_weights={"popularity": 1.0}) for _ in range(2)]
        items = worlds[1].world.items
        items.flags.writeable = True
        order = np.random.default_rng(0).permutation(len(items))
        for latent in LATENT:
            items[latent] = items[latent][order] + 1
        items.flags.writeable = False
        players = [make_policy(policy) for _ in worlds]
        for envs, player in zip(worlds, players, strict=True):
            player.bind(envs, "recommender_0", 0)
            observations, _ = envs.reset(seed=0)
        for _ in range(6):
            one, two = (player.act(observations[:, 0]).copy() for player in players)
            np.testing.assert_array_equal(one, two)
            joint = worlds[0].empty_actions()
            joint[:, 0] = one
            observations, _, _, _, infos = worlds[0].step(joint)
            for player in players:
                player.observe(feedback(infos, 0))
            for mine, theirs in zip(worlds[0].arrays, worlds[1].arrays, strict=True):
                theirs[...] = mine


def test_greedy_against_a_rival_at_its_last_page() -> None:
    """With a rival that repeats its page for the same visitor in the same state, greedy is the best reply to it."""
    batch = 30
    config = recsys_env.replace(
        TINY,
        {
            "num_agents": 2,
            "page": "rows",
            "horizon": 50,
            "users": {"number": 1},
            "items": {"quality_sd": 0.3},
            "choice": {"v_0": 8.0},
            "arrival": {"r_0": 40.0, "k_0": 40.0},
            "dynamics": {"z_rate_none": 0.0, "trust_rate_none": 0.0},
        },
    )
    envs = vector_env(config, batch)
    greedy = bound(envs, Greedy())
    observations, _ = envs.reset(seed=1)
    rival = np.array([0, 1, 2])
    infos = envs.step(np.broadcast_to(rival, (batch, 2, 3)))[4]
    quiet = ~infos["clicked"].any((1, 2))
    assert quiet.sum() > 10
    joint = np.empty((batch, 2, 3), int)
    joint[:, 1] = rival
    joint[:, 0] = greedy.act(observations[:, 0])
    mine = envs.expected_feedback(joint)["individual_reward"][:, 0]
    values = []
    for slate in permutations(range(7), 3):
        joint[:, 0] = slate
        values.append(envs.expected_feedback(joint)["individual_reward"][:, 0])
    np.testing.assert_allclose(mine[quiet], np.max(values, axis=0)[quiet], rtol=1e-7)


def test_planner_without_a_price_is_greedy() -> None:
    envs = vector_env(SMALL, 40)
    greedy, planner, pricey = Greedy(), Planner(price=0.0), Planner(price=10.0)
    for policy in (greedy, planner, pricey):
        policy.bind(envs, "recommender_0", 0)
    observations, _ = envs.reset(seed=0)
    own = observations[:, 0]
    np.testing.assert_array_equal(greedy.act(own).copy(), planner.act(own))
    assert not np.array_equal(greedy.act(own).copy(), pricey.act(own))
    content_people = Planner(price=10.0, target=-0.5)  # everybody's satisfaction is above it
    content_people.bind(envs, "recommender_0", 0)
    np.testing.assert_array_equal(greedy.act(own).copy(), content_people.act(own))
    task = Planner()
    task.bind(vector_env(SMALL, 1, planner_price=3.0, planner_target=0.2), "recommender_1", 0)
    assert (task.price, task.target) == (3.0, 0.2)


def test_blind_shows_the_first_of_everything() -> None:
    for kind, expected in (("candidates", [0, 1]), ("items", [0, 1]), ("query", [0.0] * 4), ("weights", 0.0)):
        envs = vector_env(SMALL, 3, action=kind)
        blind = bound(envs, "blind")
        action = blind.act(envs.reset(seed=0)[0][:, 0])
        np.testing.assert_array_equal(action, np.broadcast_to(expected, action.shape))


# ------------------------------------------------------------------------------------------------ who beats whom


def beats(better: np.ndarray, worse: np.ndarray) -> float:
    """Standard errors by which the team return of one exceeds that of the other, paired by episode."""
    gain = better.sum(1) - worse.sum(1)
    return float(gain.mean() / (gain.std(ddof=1) / len(gain) ** 0.5))


def test_the_order_of_policies_on_ecommerce() -> None:
    """What is popular is soon sold out and shown twice; bait costs the myopic oracle what it knows more than
    `content`."""
    task = recsys_env.task_config("ecommerce-v1", {"horizon": 400})
    returns = [episode_returns(task, policy, 200, seed=0) for policy in ("popularity", "random", "content", "planner")]
    assert returns[0].shape == (200, 2)
    for worse, better in pairwise(returns):
        assert beats(better, worse) > 5
    _, random, content, planner = returns
    greedy = episode_returns(task, "greedy", 200, seed=0)
    assert beats(greedy, random) > 5
    assert beats(planner, greedy) > 5
    score, width = normalised_score(content.sum(1), random.sum(1), planner.sum(1))
    assert 0 < score - width < score + width < 100


def test_planning_pays_on_social() -> None:
    """So much that the myopic oracle, which drives people away, earns less than half, and little more than random."""
    planner, greedy, random = (
        episode_returns("social-v1", name, 24, seed=0) for name in ("planner", "greedy", "random")
    )
    assert beats(planner, greedy) > 5
    assert planner.mean() > 2 * greedy.mean()
    assert greedy.mean() < 1.5 * random.mean()


def test_nearest_shows_what_is_near_to_the_clicks() -> None:
    """By inner product with the decayed mean of the clicked vectors, with the profile where there is no click yet; now
    and then anything."""
    envs = vector_env(SMALL, 400, action="items")
    policy, joint = make_policy("nearest"), envs.empty_actions()
    policy.bind(envs, "recommender_0", 0)
    observations, same, by_clicks = envs.reset(seed=0)[0], [], 0
    for _ in range(5):
        clicked, profile = (envs.field(observations, name)[:, 0].astype(float) for name in ("clicked_mean", "profile"))
        taste = np.where(
            clicked.any(1, keepdims=True), clicked / (1 - abs(clicked)), profile / (1 - abs(profile))
        )  # observed squashed: x / (1 + |x|)
        near = taste @ envs.world.item_vectors.T
        joint[:, 0] = policy.act(observations[:, 0])
        shown, best = np.take_along_axis(near, joint[:, 0], 1), -np.sort(-near, 1)[:, :2]
        present = envs.active[:, 0]
        same += list(np.isclose(shown, best, atol=1e-5).all(1)[present])
        by_clicks += clicked[present].any(1).sum()
        observations = envs.step(joint)[0]
    assert by_clicks > 200
    assert 0.93 < np.mean(same) < 0.97


def test_content_knows_no_more_than_its_role_sees() -> None:
    """Another profile or history behind its back changes nothing for a role that hides them, and much for one that does
    not."""
    for hidden, blind in ((("profile", "clicked_mean", "topic_counts"), True), ((), False)):
        envs = vector_env(SMALL, 200, num_agents=1, roles=({"hidden": hidden},), users={"habit_size": 0})
        content = bound(envs, "content")
        observations, _ = envs.reset(seed=0)
        before = content.act(observations[:, 0]).copy()
        p = envs.world.params[0]["shape"]
        for part in ("profile", "history"):
            envs.arrays.vectors[:, :, p[part] : p[part] + envs.shape.dims] *= -3
        same = (content.act(observations[:, 0]) == before).all(1)
        assert same.all() if blind else same.mean() < 0.5


LATENT_OF_VISITORS = ("taste", "satiation", "price sensitivity", "intent", "habits", "the items consumed last")


def change_visitors(envs: VectorEnv, part: str) -> None:
    """Give this latent part of every visitor, on which attributes of items depend, another value."""
    state, at = envs.arrays, envs.world.params[0]["shape"]
    if part == "taste":
        state.vectors[:, :, at["taste"] : at["taste"] + envs.shape.dims] *= -1.0
    elif part == "satiation":
        state.vectors[:, :, at["satiation"]] += 3.0
    elif part == "price sensitivity":
        state.users["rho"] *= 20.0
    elif part == "intent":
        state.copies["intent"] = (state.copies["intent"] + 1) % envs.shape.topics
    elif part == "habits":
        state.habits["count"] = 50.0
    else:
        state.recent["item"] = (state.recent["item"] + 5) % envs.shape.items
        state.recent["weight"] = 1.0


@pytest.mark.parametrize(("policy", "knows"), [("content", False), ("greedy", True)])
@pytest.mark.parametrize("part", LATENT_OF_VISITORS)
def test_only_oracles_know_what_attributes_depend_on_of_the_visitor(policy: str, knows: bool, part: str) -> None:
    """A part of the visitor's latent state that changes behind its back changes nothing for `content`."""
    choice = {"beta_satiation": 3.0, "beta_price": 1.0, "beta_intent": 3.0, "beta_repeat": 2.0, "beta_partner": 3.0}
    envs = vector_env(SMALL, 200, num_agents=1, choice=choice, users={"habit_size": 4}, items={"price_log_sd": 1.0})
    player = bound(envs, policy)
    observations, _ = envs.reset(seed=0)
    for _ in range(5):
        observations = envs.step(envs.empty_actions())[0]
    before = player.act(observations[:, 0]).copy()
    change_visitors(envs, part)
    same = (player.act(observations[:, 0]) == before).all(1)
    assert not same.all() if knows else same.all()


def test_every_part_that_attributes_depend_on_is_public_or_known_to_oracles_alone() -> None:
    declared = {part for item in (Alternative, Consumed) for parts in depends_on(item).values() for part in parts}
    public = {"item", "scene and anchor", "price", "age", "popularity"}
    assert declared | public == {*public, "latent item", *LATENT_OF_VISITORS}
    assert all(parts for item in (Alternative, Consumed) for parts in depends_on(item).values())


@pytest.mark.parametrize(("policy", "blind"), [("content", True), ("greedy", False)])
def test_content_knows_neither_rivals_nor_trust_nor_mood(policy: str, blind: bool) -> None:
    """What rivals' pages draw, whom the visitor trusts and how it feels are latent: an oracle's slate depends on them,
    `content`'s does not."""
    for latent, fields in (("inclusive", {}), ("trust", {"choice": {"beta_trust": 6.0}})):
        envs = vector_env("ecommerce-v1", 200, **fields)
        player = bound(envs, policy)
        observations, _ = envs.reset(seed=0)
        for _ in range(20):
            observations = envs.step(envs.empty_actions())[0]
        before = player.act(observations[:, 0]).copy()
        p, vectors = envs.world.params[0]["shape"], envs.arrays.vectors
        if latent == "inclusive":
            envs.arrays.inclusive[:] = 20.0
        else:
            vectors[:, :, p["trust"] : p["trust"] + 2] = (-1.0, 1.0)
        same = (player.act(observations[:, 0]) == before).all(1)
        assert same.all() if blind else not same.all()
    envs = vector_env("duel-v1", 8)
    player = bound(envs, "content")
    observations, _ = envs.reset(seed=0)
    before = player.act(observations[:, 0]).copy()
    envs.arrays.users["mood"][:] = 2
    assert np.array_equal(player.act(observations[:, 0]), before)


# ------------------------------------------------------------------------------------------------ names and scores


def test_unknown_policies_suggest_the_nearest(tmp_path: Path) -> None:
    for call in (make_policy, lambda name: episode_returns(SMALL, name, 2, seed=0)):
        with pytest.raises(ValueError, match=r"unknown policy 'greedi' \(did you mean 'greedy'\?\); policies are"):
            call("greedi")
    with pytest.raises(ValueError, match=r"there is no folder of this name with a policy\.json"):
        make_policy(tmp_path)


def test_policies_by_name_or_as_objects() -> None:
    for name in INSTALLED:
        assert f"{type(make_policy(name)).__module__}:{type(make_policy(name)).__name__}" == POLICIES[name]
    mine = Greedy()
    assert make_policy(mine) is mine
    with pytest.raises(ValueError, match="unknown agent 'nobody'; agents are recommender_0, recommender_1"):
        mine.bind(vector_env(SMALL, 1), "nobody", 0)
    with pytest.raises(ValueError, match="must have one for each of"):
        episode_returns(SMALL, {"recommender_0": "random"}, 2, seed=0)
    with pytest.raises(ValueError, match="a policy object acts for one agent"):
        episode_returns(SMALL, {"recommender_0": mine, "recommender_1": mine}, 2, seed=0)


def test_a_policy_of_ones_own_by_its_factory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_own.py").write_text(
        "from recsys_env.policies import Random\n\n"
        "class Mine(Random):\n    pass\n\n"
        "def wrong():\n    return 3\n\n"
        "def trained(folder):\n    return Mine()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert type(make_policy("my_own:Mine")).__name__ == "Mine"
    with pytest.raises(ValueError, match=r"module 'my_own' has no 'Mein' \(did you mean 'Mine'\?\)"):
        make_policy("my_own:Mein")
    with pytest.raises(ValueError, match="there is no module 'nothing_here'"):
        make_policy("nothing_here:Mine")
    with pytest.raises(ValueError, match=r"made a int, not a recsys_env\.policies\.Policy"):
        make_policy("my_own:wrong")


def test_a_folder_of_ones_own_by_a_registered_loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = "from recsys_env.policies import Random\n\ndef trained(folder):\n    return Random()\n"
    (tmp_path / "my_loader.py").write_text(module)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(registry, "LOADERS", dict(LOADERS))
    (tmp_path / CHECKPOINT).write_text(json.dumps({"loader": "mine"}))
    with pytest.raises(ValueError, match=r"names the loader 'mine'; loaders are .*sb3.*register_loader"):
        make_policy(str(tmp_path))
    register_loader("mine", "my_loader:trained")
    register_loader("mine", "my_loader:trained")  # as when a module is imported again
    assert isinstance(make_policy(str(tmp_path)), Random)
    assert isinstance(make_policy(tmp_path), Random)
    with pytest.raises(ValueError, match=r"loader 'sb3' is 'recsys_env\.trained\.sb3:load' already"):
        register_loader("sb3", "my_loader:trained")
    register_loader("called", lambda folder: str(folder))  # type: ignore[arg-type, return-value]
    (tmp_path / CHECKPOINT).write_text(json.dumps({"loader": "called"}))
    with pytest.raises(ValueError, match=r"made a str, not a recsys_env\.policies\.Policy"):
        make_policy(str(tmp_path))


@pytest.mark.parametrize(("given", "said"), [(Random, r"give an instance: Random\(\)"), (None, "module:factory$")])
def test_what_is_no_policy_is_named(given: Any, said: str) -> None:
    with pytest.raises(TypeError, match=rf"policy = .* must be a Policy object, a name, .*{said}"):
        episode_returns(SMALL, {"recommender_0": given, "recommender_1": "random"}, 2, seed=0)


class Recorder(Random):
    """Random, and keeps what it was told."""

    def bind(self, envs: VectorEnv, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        self.told: list[dict[str, np.ndarray]] = []
        self.resets: list[np.ndarray] = []

    def observe(self, feedback: Any) -> None:
        self.told.append({key: value.copy() for key, value in feedback.items()})

    def reset(self, done: np.ndarray) -> None:
        self.resets.append(done.copy())


def test_what_a_policy_is_told() -> None:
    mine = Recorder()
    returns = episode_returns(SMALL, {"recommender_0": mine, "recommender_1": "random"}, 7, seed=3)
    assert len(mine.told) == SMALL.horizon
    assert [done.tolist() for done in mine.resets] == [[True] * 7]
    clicks = sum(told["clicked"].sum(1) for told in mine.told)
    np.testing.assert_allclose(returns[:, 0], clicks, rtol=1e-6)  # a click pays 1 and nothing else does
    assert {"visitor", "individual_reward", "shown", "clicked", "cart", "bought", "rating", "later_item"} <= set(
        mine.told[0]
    )
    assert all((told["visitor"][(told["shown"] >= 0).any(1)] >= 0).all() for told in mine.told)


def test_episode_returns_are_reproducible_and_take_any_task() -> None:
    one = episode_returns(SMALL, "popularity", 5, seed=3)
    np.testing.assert_array_equal(
        one, episode_returns(SMALL, {"recommender_0": "popularity", "recommender_1": "popularity"}, 5, seed=3)
    )
    envs = vector_env(SMALL, 2)
    before = envs.reset(seed=9)[0].copy()
    np.testing.assert_array_equal(one, episode_returns(envs, "popularity", 5, seed=3))
    np.testing.assert_array_equal(before, envs.observations)
    assert not np.array_equal(one, episode_returns(SMALL, "popularity", 5, seed=4))
    np.testing.assert_array_equal(
        one[:3], episode_returns(SMALL, "popularity", 3, seed=3)
    )  # copies do not depend on the batch
    shared = recsys_env.replace(SMALL, {"reward": {"sharing": 1.0}})
    np.testing.assert_array_equal(one, episode_returns(shared, "popularity", 5, seed=3))  # before sharing


def test_normalised_scores() -> None:
    rng = np.random.default_rng(0)
    low = rng.normal(10.0, 1.0, 200)
    high = low + rng.normal(5.0, 0.5, 200)
    assert normalised_score(low, low, high) == (0.0, 0.0)
    assert normalised_score(high, low, high) == (pytest.approx(100), pytest.approx(0, abs=1e-9))
    middle = (low + high) / 2
    assert normalised_score(middle, low, high) == (pytest.approx(50), pytest.approx(0, abs=1e-9))
    better = middle + rng.normal(0.0, 1.0, 200)
    score, width = normalised_score(better, low, high)
    resampled = [rng.integers(0, 200, 200) for _ in range(2000)]
    spread = np.std([100 * (better[i] - low[i]).mean() / (high[i] - low[i]).mean() for i in resampled])
    assert width == pytest.approx(1.97 * spread, rel=0.15)
    assert abs(score - 50) < 4 * width
    assert all(np.isnan(normalised_score(middle, high, low)))
    assert all(np.isnan(normalised_score(middle, low, low)))


def test_a_policy_of_ones_own() -> None:
    class First(Policy):
        def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
            return np.tile(np.arange(self.envs.config.slots), (len(observations), 1))

    returns = episode_returns(SMALL, {"recommender_0": First(), "recommender_1": First()}, 4, seed=0)
    assert returns.shape == (4, 2)
    with pytest.raises(NotImplementedError):
        Policy().act(np.zeros((1, 3)))
