"""Exact answers where agents observe more than what matters: past prices in the table, and other histories refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import recsys_env
from recsys_env.__main__ import main
from recsys_env.config.fields import OBSERVATION
from recsys_env.evaluation import episode_returns
from recsys_env.evaluation.tuning import Budget
from recsys_env.exact import (
    AVERAGE,
    MarkovGame,
    best_response,
    discounted,
    evaluate,
    exploitability,
    finite,
    nash_conv,
    pure_policies,
    regrets,
    tabulate,
    team_optimum,
)
from recsys_env.policies import Policy, make_policy

pytest.importorskip("tyro")
pytest.importorskip("rich")
pytest.importorskip("quantecon")
from recsys_env.exact.policy_tables import Refused, played
from recsys_env.exact.report import solve

PRICING = recsys_env.TASKS["pricing-duel-v0"]
JOINT, PUNISHMENT = np.array([6, 6, 3]), np.array([2, 0, 1])  # levels where the visitor is mine, the rival's, nobody's
AGREED = ((6, 6), (3, 3))  # the pairs of levels that two sellers who both play JOINT show; (3, 3) is observed as none


class Seller(Policy):
    """A seller who knows whose the visitor is and what both asked at its last page."""

    def bind(self, envs: recsys_env.VectorEnv, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        self._fields = envs.observation_fields

    def loyalty(self, observations: np.ndarray) -> np.ndarray:
        """0 where the visitor is mine, 1 where it is the rival's, 2 where it is nobody's."""
        trust = observations[:, self._fields["latent_trust"]]
        return np.where(trust[:, self.index] > 0.5, 0, np.where(trust[:, 1 - self.index] > 0.5, 1, 2))

    def last(self, observations: np.ndarray) -> np.ndarray:
        """The last pair of levels [B, 2]."""
        return np.rint(3 * observations[:, self._fields["price_levels"]] + 3).astype(int)


class Trigger(Seller):
    """The joint optimum while both kept to it at this visitor's last page, else low prices."""

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        kept = np.any([(self.last(observations) == pair).all(1) for pair in AGREED], axis=0)
        loyalty = self.loyalty(observations)
        return np.where(kept, JOINT[loyalty], PUNISHMENT[loyalty])


class Visits(Seller):
    """Fights for the visitors that it has met more than twice: visits are not in the table."""

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        often = observations[:, self._fields["visits"]][:, 0] > 2.5 / 7.5
        loyalty = self.loyalty(observations)
        return np.where(often, PUNISHMENT[loyalty], JOINT[loyalty])


class Unforgiving(Seller):
    """Ends the joint optimum in a copy for good when the rival has once asked less: it remembers by itself."""

    def bind(self, envs: recsys_env.VectorEnv, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        self._over = np.zeros(envs.num_envs, np.bool_)

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        self._over |= self.last(observations)[:, 1 - self.index] < 3
        loyalty = self.loyalty(observations)
        return np.where(self._over, PUNISHMENT[loyalty], JOINT[loyalty])

    def reset(self, done: np.ndarray) -> None:
        self._over[done] = False


class Mixing(Seller):
    """The joint optimum in nine of ten pages, else a low price: chance alone, which the table holds."""

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        return np.where(self.rng.random(len(observations)) < 0.1, 0, JOINT[self.loyalty(observations)])


class MixingByVisits(Seller):
    """Mixes more where it has met the visitor more than twice."""

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        often = observations[:, self._fields["visits"]][:, 0] > 2.5 / 7.5
        low = self.rng.random(len(observations)) < np.where(often, 0.5, 0.1)
        return np.where(low, 0, JOINT[self.loyalty(observations)])


class Settled(Seller):
    """Decides by chance, once in a copy, whether it plays the joint optimum there or low prices."""

    def bind(self, envs: recsys_env.VectorEnv, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        self._low = self.rng.random(envs.num_envs) < 0.5

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        loyalty = self.loyalty(observations)
        return np.where(self._low, PUNISHMENT[loyalty], JOINT[loyalty])


def mine(policy: type[Policy]) -> str:
    return f"{__name__}:{policy.__name__}"


@pytest.fixture(scope="module")
def pricing() -> MarkovGame:
    return tabulate(PRICING)


@pytest.mark.slow
def test_a_trigger_on_past_prices_makes_the_joint_optimum_an_equilibrium(pricing: MarkovGame) -> None:
    """What it plays in the table earns the optimum, nobody gains by another answer, and it is what the engine plays."""
    names = ("random", "equilibrium", "joint", mine(Trigger))
    rows = {row["name"]: row for row in solve("pricing-duel-v0", policies=names)["policies"]}
    trigger = rows[mine(Trigger)]
    assert trigger["individual_reward"] == pytest.approx([0.6986] * 2, abs=5e-5)
    assert trigger["nash_conv"] == pytest.approx(0, abs=1e-6)
    assert (trigger["policies"], trigger["markov"]) == (None, False)
    assert rows["joint"]["nash_conv"] == pytest.approx(0.7610, abs=5e-5)
    assert rows["equilibrium"]["nash_conv"] == pytest.approx(0, abs=1e-9)
    team = played(pricing, PRICING, mine(Trigger))
    assert nash_conv(pricing, team, discounted(PRICING.discount)) == pytest.approx(0, abs=1e-6)
    answer = best_response(pricing, team, 1)[1]
    assert evaluate(pricing, [team[0], answer])[1] @ pricing.initial == pytest.approx(0.6986, abs=5e-5)
    own = episode_returns(PRICING, {agent: Trigger() for agent in PRICING.agents}, 100, 0).mean(1) / PRICING.horizon
    assert abs(own.mean() - 0.6986) < 4 * own.std() / 10 + 0.003  # the start is not the long run


def test_the_table_holds_the_past_that_agents_see(pricing: MarkovGame) -> None:
    """3 loyalties x 49 pairs of levels, none being observed as the middle ones, of which nothing but agents depends."""
    assert len(pricing.states) == 147
    assert pricing.states[0] == "trust 1 0, price_levels -1 -1"
    core = pricing.payoff_relevant
    assert core.states == ("trust 1 0", "trust 0 1", "trust 0 0")
    assert pricing.classes is not None
    into = np.eye(3)[pricing.classes]
    np.testing.assert_allclose(pricing.transitions @ into, core.transitions[pricing.classes], atol=1e-12)
    np.testing.assert_allclose(pricing.rewards, core.rewards[:, pricing.classes], atol=1e-12)
    for a, (left, right) in enumerate(pricing.joint_actions):
        reached = {pricing.states[s].partition("price_levels ")[2] for s in np.flatnonzero(pricing.transitions[0, a])}
        levels = f"{(left - 3) / 3:.3g} {(right - 3) / 3:.3g}"
        assert reached == {levels, "0 0"}  # the visitor stays, or another comes
    roles = tuple({"name": role.name, "items": role.items, "hidden": ("price_levels",)} for role in PRICING.roles)
    unseen = tabulate(PRICING, roles=roles)
    assert unseen.states == core.states
    assert unseen.payoff_relevant is unseen
    np.testing.assert_allclose(unseen.transitions, core.transitions, atol=1e-12)
    assert tabulate("duel-v1").classes is None


@pytest.mark.parametrize("criterion", [AVERAGE, discounted(0.997)])
def test_markov_perfect_equilibria_stand_against_strategies_that_react(pricing: MarkovGame, criterion: Any) -> None:
    equilibria = pure_policies(pricing, criterion).equilibria()
    assert len(equilibria) >= 2
    for equilibrium in equilibria:
        assert equilibrium.policies.shape == (2, 147)
        assert nash_conv(pricing, equilibrium.policies, criterion) == pytest.approx(0, abs=1e-9)
        own = evaluate(pricing, equilibrium.policies, criterion, individual=True) @ pricing.initial
        np.testing.assert_allclose(own, equilibrium.individual_values, atol=1e-9)
    value, joint = team_optimum(pricing, criterion)
    assert joint.shape == (147, 2)
    np.testing.assert_allclose(evaluate(pricing, [*joint.T], criterion).sum(0), value, atol=1e-8)


def test_words_for_policies_of_either_kind(pricing: MarkovGame) -> None:
    joint = pricing.policy("663")
    assert pricing.label(joint) == "663"
    assert pricing.is_markov(joint)
    reacting = joint.copy()
    reacting[0] = 2
    assert not pricing.is_markov(reacting)
    assert len(word := pricing.label(reacting)) == 147
    assert (pricing.policy(word) == reacting).all()
    mixed = np.full((3, 7), 1 / 7)
    assert pricing.lift(mixed).shape == (147, 7)
    with pytest.raises(ValueError, match="for each of the 3 or 147 states"):
        pricing.policy("66")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (mine(Visits), r"in the state '.*' it plays \d, \d, by .* differ in .*visits"),
        (mine(Unforgiving), r"reacts to a past that the table does not hold: in the state '.*' it plays"),
        (mine(MixingByVisits), r"as left_0 reacts to a past that the table does not hold"),
        (mine(Settled), r"as left_0 reacts to a past that the table does not hold"),
        ("greedy", r"python -m recsys_env exploit` gives a lower bound"),
    ],
)
def test_what_reacts_to_more_than_the_table_holds_is_refused(policy: str, told: str) -> None:
    row = solve("pricing-duel-v0", policies=(policy,))["policies"][0]
    assert set(row) == {"name", "missing"}
    assert re.search(told, row["missing"])


def test_chance_alone_is_not_refused(pricing: MarkovGame) -> None:
    """A mix is counted over all states in which it is the same."""
    team = played(pricing, PRICING, mine(Mixing))
    mix = 0.9 * np.eye(7)[JOINT] + 0.1 * np.eye(7)[0]
    for n, policy in enumerate(team):
        assert pricing.is_markov(policy)
        np.testing.assert_allclose(pricing.seen_by(n, policy), pricing.lift(mix), atol=0.01)


def test_where_an_action_changes_nothing_nobody_asks_what_it_is() -> None:
    """In idle ticks a policy may do what it likes."""
    config = recsys_env.task_config("duel-v1", {"arrival": {"k_0": 0.0, "r_0": 0.0}})
    game = tabulate(config)
    idle = np.array(["idle" in state for state in game.states])
    assert idle.any()
    team = played(game, config, mine(IdleCounter))
    assert all((policy[~idle] == [1, 0]).all() and (policy[idle] == 0.5).all() for policy in team)


class IdleCounter(Policy):
    """Shows X, and in every other of its idle ticks Y."""

    def bind(self, envs: recsys_env.VectorEnv, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        self._ticks = 0

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        self._ticks += 1
        idle = observations[:, self.envs.observation_fields["visitor_present"]][:, 0] == 0
        return (idle & (self._ticks % 2 == 0)).astype(int)


def test_states_that_play_does_not_meet_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recsys_env.exact.policy_tables._LEAST", 1)
    monkeypatch.setattr("recsys_env.exact.policy_tables._MOST", 1)
    with pytest.raises(
        Refused, match=r"does in 2 of the 3 states of the table, such as 'mood 1', is not known: 1 tick"
    ):
        played(tabulate("duel-v1"), recsys_env.TASKS["duel-v1"], "greedy")


def test_the_command_says_which_strategies_its_equilibria_are_of(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "solution.json"
    main(["solve", "--task", "pricing-duel-v0", "--policies", mine(Trigger), "joint", "greedy", "--json", str(out)])
    text = " ".join(capsys.readouterr().out.split())
    for words in (
        "pricing-duel-v0: 3 payoff-relevant states (147 with past prices), 2 agents",
        "in pure stationary strategies of these states (Markov perfect equilibria); strategies that react to past "
        "prices can sustain more, up to the optimum",
        f"{mine(Trigger)} 0.6986 0.6986 0.0000 reacts to past prices",
        "joint 0.6986 0.6986 0.7610 663 663",
        "greedy 'greedy' as left_0 reacts to a past that the table does not hold",
    ):
        assert words in text
    stored = json.loads(out.read_text())
    assert np.shape(stored["transitions"]) == (147, 49, 147) == (len(stored["table_states"]), 49, stored["table"])
    main(["solve", "--task", "duel-v1", "--policies", "joint"])
    assert "these states (Markov perfect equilibria) price of anarchy" in " ".join(capsys.readouterr().out.split())


def test_a_table_of_another_world_than_the_batch_plays_is_refused() -> None:
    envs = recsys_env.vector_env("duel-v1", 1)
    envs.world = recsys_env.vector_env("duel-v1", 1, world_seed=2).world
    with pytest.raises(ValueError, match="the batch plays a world that was assigned to it"):
        make_policy("equilibrium").bind(envs, "recommender_0", 0)


@pytest.mark.slow
def test_a_search_finds_the_exact_best_reply_to_the_joint_optimum(pricing: MarkovGame) -> None:
    """Its ranker moves with all that is latent, trust too; without, it finds half of what there is to gain."""
    config = recsys_env.replace(PRICING, {"horizon": 60})
    exact = 60 * regrets(pricing, [pricing.policy("663"), pricing.policy("663")[pricing.mirror]], finite(60)).sum()
    found = exploitability("joint", config, budget=Budget(generations=16, searches=1), episodes=300)["nash_conv"]
    assert abs(found["mean"] - exact) < max(2 * found["ci95"], 0.05 * exact)


def test_a_bound_is_no_more_than_the_exact_value() -> None:
    config = recsys_env.task_config("duel-v1", {"horizon": 60})
    game = tabulate(config)
    budget = Budget(population=16, episodes=8, generations=6, searches=1)
    for team, policies in {"random": [np.full((3, 2), 0.5)] * 2, "equilibrium": [game.policy("YYY")] * 2}.items():
        exact = 60 * regrets(game, policies, finite(60)).sum()
        found = exploitability(team, config, budget=budget, episodes=200)["nash_conv"]
        assert 0 <= found["mean"] <= exact + 2 * found["ci95"] + 1e-9
        assert found["mean"] >= 0.3 * exact - 1e-9  # no ranker tells the items apart as well as the table


def test_replies_move_with_all_that_is_latent() -> None:
    from recsys_env.exact.exploit import RESPONSE_STATES

    assert {field.name for field in OBSERVATION if field.latent} < set(RESPONSE_STATES)
