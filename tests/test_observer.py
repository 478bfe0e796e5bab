"""The policy `observer`: its posterior is that of the rules, it sees only what its agent sees, and it uses the map."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recsys_env import VectorEnv, WorldConfig, replace, task_config, vector_env
from recsys_env.evaluation import episode_returns
from recsys_env.policies import feedback, make_policy
from recsys_env.policies.observer import Observer
from recsys_env.world import terms

# Each taste is the centre of one topic, so that there are four kinds of people.
KINDS = WorldConfig(
    num_agents=1,
    slots=2,
    page="rows",
    action="items",
    horizon=200,
    users={"number": 2, "topics": 1, "groups": 1, "price_sensitivity_log_sd": 0.0},
    items={"number": 12, "dims": 3, "topics": 4},
    choice={"v_0": 2.0, "beta_taste": 3.0, "beta_quality": 0.5},
    feedback={"a_taste": 2.0, "a_quality": 0.5, "noise_scale": 1.0},
    dynamics={"drift": 0.0},
    arrival={"r_0": 40.0, "k_0": 40.0},
    observation={"profile_noise": 1.5},
)


@pytest.mark.parametrize(
    ("declared", "reason"),
    [
        (("cart",), "cart, and the visitors that observer imagines have only age, habits, intent, item, "),
        (("item", "cart"), "cart, and the visitors"),
        ((), "'match', which does not declare in kernels/equations.py what it depends on, and the visitors"),
    ],
)
def test_a_world_that_depends_on_what_imagined_people_lack_is_refused(
    declared: tuple[str, ...], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless the term does not count there."""
    depends_on = terms.depends_on
    monkeypatch.setattr(terms, "depends_on", lambda item: depends_on(item) | {"match": declared})
    with pytest.raises(ValueError, match=f"choice.beta_taste = 3 weighs {reason}"):
        make_policy("observer").bind(vector_env(KINDS), "recommender_0", 0)
    changes = {"choice": {"beta_taste": 0.0}, "feedback": {"a_taste": 0.0, "b_taste": 0.0}}
    make_policy("observer").bind(vector_env(replace(KINDS, changes)), "recommender_0", 0)


def play(envs: VectorEnv, policy: Observer, pages: int, actions: np.ndarray | None = None) -> list[dict[str, Any]]:
    """Let a policy play, or watch other actions, and return what it was told of each page."""
    observations, told = envs.observations, []
    for _ in range(pages):
        chosen = policy.act(observations[:, 0])
        observations, _, _, truncated, infos = envs.step((chosen if actions is None else actions)[:, None])
        told.append(feedback(infos, 0))
        policy.observe(told[-1])
        policy.reset(truncated)
    return told


def log_posterior(envs: VectorEnv, told: list[dict[str, Any]], profile: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """log P(kind | profile, pages) [B, T] up to a constant, by enumeration from the equations."""
    c, f, world = envs.config.choice, envs.config.feedback, envs.world
    centres, q = world.centres.astype(float), world.item_vectors.astype(float)
    deviation = envs.config.observation.profile_noise / np.sqrt(envs.shape.dims)
    found = -0.5 * ((profile[:, None] - centres) ** 2).sum(2) / deviation**2
    match, quality = centres @ q.T, world.items["quality"].astype(float)
    theta = ranks**-c.eta * (1 + c.kappa * (ranks == 1))
    for page in told:
        for b, shown in enumerate(page["shown"]):
            weights = theta * np.exp(c.beta_taste * match[:, shown] + c.beta_quality * quality[shown])  # [T, K]
            share = weights / (np.exp(c.v_0) + weights.sum(1, keepdims=True))
            clicked = page["clicked"][b]
            if not clicked.any():
                found[b] += np.log(1 - share.sum(1))
                continue
            k = int(clicked.argmax())
            e = np.log(np.expm1(page["dwell"][b, k] / world.items["length"][shown[k]]))
            x = (e - f.e_0 - f.a_taste * match[:, shown[k]] - f.a_quality * quality[shown[k]]) / f.noise_scale
            found[b] += np.log(share[:, k]) - x - 2 * np.log1p(np.exp(-x))
    return found


def test_the_posterior_is_that_of_the_rules() -> None:
    """Against enumeration, where all people are of one of four kinds."""
    envs = vector_env(KINDS, 40)
    envs.reset(seed=5)
    policy = Observer(particles=512)
    policy.bind(envs, "recommender_0", seed=1)
    visitor, row = envs.arrays.copies["visitor"].copy(), envs.arrays.copies["row"].copy()
    at = envs.world.params["shape"][0]["profile"]
    profile = envs.arrays.vectors[np.arange(40), row, at : at + 3].astype(float)
    shown = np.random.default_rng(0).permuted(np.tile(np.arange(12), (40, 1)), axis=1)[:, :2]
    before = log_posterior(envs, [], profile, np.arange(1, 3))
    told = play(envs, policy, 5, shown)
    assert (envs.arrays.copies["visitor"] == visitor).all()  # nobody leaves
    assert {bool(page["clicked"].any(1).mean() > 0.2) for page in told} == {True}
    exact = log_posterior(envs, told, profile, np.arange(1, 3))
    tastes = policy._kept.vectors[np.arange(40), row, :, :3]
    kind = (tastes @ envs.world.centres.T).argmax(2)
    weights = np.exp(policy._kept.log_weights[np.arange(40), row])
    found = np.stack([(weights * (kind == t)).sum(1) for t in range(4)], 1) / weights.sum(1, keepdims=True)

    def shares(log: np.ndarray) -> np.ndarray:
        odds = np.exp(log - log.max(1, keepdims=True))
        return odds / odds.sum(1, keepdims=True)

    gap = np.abs(found - shares(exact)).sum(1) / 2  # total variation
    assert gap.mean() < 0.06
    assert np.abs(shares(before) - shares(exact)).sum(1).mean() / 2 > 4 * gap.mean()  # the pages said something


def test_it_acts_by_what_its_agent_observed_alone() -> None:
    """Two visitors who differ only in what is hidden are served alike until they respond differently."""
    slates = []
    for taste in (0, 1):
        envs = vector_env(KINDS, 6)
        envs.reset(seed=3)
        row, shape = envs.arrays.copies["row"], envs.world.params["shape"][0]
        people = np.arange(6), row
        envs.arrays.vectors[(*people, slice(shape["profile"], shape["profile"] + 3))] = 0.3
        envs.arrays.vectors[(*people, slice(0, 3))] = envs.world.centres[taste]
        policy = Observer()
        policy.bind(envs, "recommender_0", seed=1)
        slates.append(policy.act(envs.observations[:, 0]))
    np.testing.assert_array_equal(*slates)


@pytest.mark.parametrize("hidden", [(), ("profile",)])
def test_profiles_count_only_where_they_are_seen(hidden: tuple[str, ...]) -> None:
    envs = vector_env(KINDS, 50, roles=({"name": "recommender", "hidden": hidden},), observation={"profile_noise": 0.1})
    envs.reset(seed=2)
    policy = Observer()
    policy.bind(envs, "recommender_0", seed=1)
    policy.act(envs.observations[:, 0])
    tastes = policy._kept.vectors[np.arange(50), envs.arrays.copies["row"], :, :3]
    true = envs.arrays.vectors[np.arange(50), envs.arrays.copies["row"], :3]
    right = np.einsum("bsd,bd->bs", tastes, true) > 0.999
    assert right.mean() < 0.5 if hidden else right.mean() > 0.95


def test_it_uses_what_goes_with_what_was_sold() -> None:
    """A team that sees all sales earns more than one whose departments see their own."""
    options: dict[str, Any] = {"users": {"number": 4}, "horizon": 150}
    alone, together = (
        episode_returns(task_config("bundle-v0", {**options, "observation": {"share": share}}), "observer", 8, 0).mean()
        for share in (False, True)
    )
    assert together > 1.1 * alone


def test_tellers_say_what_they_sold_and_earn_more_than_those_who_do_not_hear() -> None:
    options: dict[str, Any] = {"users": {"number": 4}, "horizon": 200}
    talking = task_config("bundle-v0", {**options, "messages": 13})
    silent, told = (
        episode_returns(config, policy, 12, 0).mean()
        for config, policy in ((task_config("bundle-v0", options), "observer"), (talking, "teller"))
    )
    assert told > 1.08 * silent
    envs = VectorEnv(talking, 20)
    observations, _ = envs.reset(seed=1)
    team = [make_policy("teller") for _ in envs.possible_agents]
    for agent, policy in zip(envs.possible_agents, team, strict=True):
        policy.bind(envs, agent, 1)
    said, sold = set[int](), [{} for _ in team]  # what each agent sold last, by copy and visitor
    for _ in range(60):
        visitor = envs.next_visitor[:, 0].copy()
        actions = np.stack([policy.act(observations[:, n]) for n, policy in enumerate(team)], 1)
        for n, b in np.ndindex(len(team), envs.num_envs):
            word = int(actions[b, n, -1])
            if visitor[b] >= 0:
                assert word == sold[n].get((b, int(visitor[b])), 0)
                said.add(word)
        observations, _, _, truncated, infos = envs.step(actions)
        for n, policy in enumerate(team):
            found = feedback(infos, n)
            policy.observe(found)
            policy.reset(truncated)
            for b in range(envs.num_envs):
                bought = found["shown"][b][found["bought"][b].astype(bool)]
                topic = 1 + int(envs.world.items["topic"][bought[-1]]) if bought.size else 0
                sold[n][b, int(visitor[b])] = topic
    assert len(said) > 3


def test_tellers_need_a_word_for_each_topic() -> None:
    with pytest.raises(ValueError, match=r"messages = 5 and choice.beta_partner = 6 do not suit .*: it needs 13 words"):
        make_policy("teller").bind(vector_env("bundle-v0", 1, messages=5), "cameras_0", 0)


@pytest.mark.parametrize("page", ["shared", "rival"])
def test_imagined_people_have_the_visits_that_the_agent_knows_of(page: str) -> None:
    """So that a term of the utility that depends on them is followed."""
    envs = vector_env("ecommerce-v1", 8, horizon=300, page=page, scenes=({"name": "page"},), roles=({},), num_agents=2)
    policies = [make_policy("observer") for _ in range(2)]
    for n, policy in enumerate(policies):
        policy.bind(envs, envs.possible_agents[n], 0)
    envs.reset(seed=0)
    most = 0
    for _ in range(200):
        envs.step(np.stack([policy.act(envs.observations[:, n]) for n, policy in enumerate(policies)], axis=1))
        for n, policy in enumerate(policies):
            policy.act(envs.observations[:, n])
            for b in np.flatnonzero(envs.active[:, n]):
                copy = envs.arrays.copies[b]
                known = envs.arrays.users[b, copy["visitor"]]
                known = envs.arrays.visits[b, copy["row"], n] if page == "rival" else known
                for name in ("sessions", "last_visit", "last_page"):
                    assert (policy._imagined.users[name][b] == known[name]).all()
                most = max(most, int(known["sessions"]))
    assert most > 2
