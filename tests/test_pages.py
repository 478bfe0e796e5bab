"""What the one-file learners share: chains of pages, advantages along them, slates, memories and mixers, each against a
slow version or a hand case."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from baselines.page_links import Links  # noqa: E402
from baselines.ppo_torch import advantages, gumbel, slate_log_probability  # noqa: E402
from baselines.q_torch import Mixer, Values  # noqa: E402
from recsys_env import vector_env  # noqa: E402
from recsys_env.trained.pages import (  # noqa: E402
    EXCLUDED,
    ObservationReader,
    PageNetwork,
    VisitorMemory,
    best_slates,
    layout_of,
    option_masks,
    to_actions,
)

STEPS, COPIES, AGENTS, PLACES = 60, 3, 2, 4


def played(rng: np.random.Generator, ends: tuple[int, ...] = (25,)) -> dict[str, Any]:
    """Random visits, with idle ticks, inactive agents and ends of episodes."""
    place = rng.integers(-1, PLACES, (STEPS, COPIES))
    active = (rng.random((STEPS, COPIES, AGENTS)) < 0.7) & (place >= 0)[:, :, None]
    return {"place": place, "active": active, "rewards": rng.normal(size=(STEPS, COPIES, AGENTS)), "ends": ends}


def linked(played: dict[str, Any], places: int, gamma: float) -> Links:
    links = Links(STEPS, COPIES, AGENTS, places, gamma)
    for t in range(STEPS):
        links.add(t, *(torch.from_numpy(played[what][t]) for what in ("place", "active", "rewards")))
        if t in played["ends"]:
            links.end()
    links.end()
    return links


def chains(played: dict[str, Any], places: int) -> list[tuple[list[int], list[tuple[int, float]], int, int, int]]:
    """The chains of a random play one by one: ticks of the pages, (tick, reward) of what counts, end, copy, agent."""
    found = []
    edges = [0, *(t + 1 for t in played["ends"]), STEPS]
    for begin, end in itertools.pairwise(edges):
        for b, n in itertools.product(range(COPIES), range(AGENTS)):
            pages: dict[int, list[int]] = {}
            earned: dict[int, list[tuple[int, float]]] = {}
            # who visited last may have done so in the episode before, where nothing of it is open any more
            lane = 0 if places == 1 else last_place(played["place"][:begin, b])
            for t in range(begin, end):
                if places > 1 and played["place"][t, b] >= 0:
                    lane = int(played["place"][t, b])
                if played["active"][t, b, n]:
                    pages.setdefault(lane, []).append(t)
                if lane in pages:
                    earned.setdefault(lane, []).append((t, played["rewards"][t, b, n]))
            found += [(pages[lane], earned[lane], end, b, n) for lane in pages]
    return found


def last_place(places: np.ndarray) -> int:
    seen = places[places >= 0]
    return int(seen[-1]) if len(seen) else 0


@pytest.mark.parametrize("places", [1, PLACES])
def test_pages_are_linked_as_one_by_one(places: int) -> None:
    play, gamma = played(np.random.default_rng(places)), 0.9
    links, rows = linked(play, places, gamma), COPIES * AGENTS
    seen = np.zeros(STEPS * rows, bool)
    for ticks, earned, end, b, n in chains(play, places):
        for at, t in enumerate(ticks):
            number = t * rows + b * AGENTS + n
            following = ticks[at + 1] if at + 1 < len(ticks) else None
            until = end if following is None else following
            reward = sum(gamma ** (when - t) * paid for when, paid in earned if t <= when < until)
            seen[number] = True
            assert links.following[number] == (number if following is None else following * rows + b * AGENTS + n)
            assert links.ticks[number] == until - t
            assert links.reward[number] == pytest.approx(reward)
    np.testing.assert_array_equal(seen, play["active"].reshape(-1))
    assert (links.following[~seen] == -1).all()


@pytest.mark.parametrize("places", [1, PLACES])
def test_advantages_are_those_of_each_chain_by_itself(places: int) -> None:
    """By their definition: errors added up, discounted along the chain."""
    rng = np.random.default_rng(7)
    play, gamma, page_gamma, decay, rows = played(rng), 0.95, 0.9, 0.8, COPIES * AGENTS
    values = rng.normal(size=STEPS * rows)
    found = advantages(torch.from_numpy(values), linked(play, places, gamma), page_gamma, gamma, decay)
    for ticks, earned, end, b, n in chains(play, places):
        numbers = [t * rows + b * AGENTS + n for t in ticks]
        errors, discounts = [], []
        for at, t in enumerate(ticks):
            until = ticks[at + 1] if at + 1 < len(ticks) else end
            after = values[numbers[min(at + 1, len(ticks) - 1)]]  # the last stands for the one that was not seen
            discounts.append(page_gamma * gamma ** (until - t))
            reward = sum(gamma ** (when - t) * paid for when, paid in earned if t <= when < until)
            errors.append(reward + discounts[-1] * after - values[numbers[at]])
        for at, number in enumerate(numbers):
            weights = np.cumprod([1.0, *(decay * discount for discount in discounts[at:-1])])
            assert found[number] == pytest.approx(float(weights @ errors[at:]))


def test_without_foresight_a_page_is_credited_with_its_own_reward_alone() -> None:
    rng = np.random.default_rng(1)
    play, values = played(rng), rng.normal(size=STEPS * COPIES * AGENTS)
    for places in (1, PLACES):
        links = linked(play, places, gamma=0.0)
        found = advantages(torch.from_numpy(values), links, page_gamma=0.97, gamma=0.0, gae_lambda=0.98)
        active = play["active"].reshape(-1)
        np.testing.assert_allclose(found[active], (play["rewards"].reshape(-1) - values)[active])


def test_a_replay_that_is_full_forgets_its_oldest_pages() -> None:
    links, nobody = Links(3, 1, 1, 1, gamma=0.5), torch.tensor([0])
    for t in range(5):
        links.add(t, nobody, torch.tensor([[t != 3]]), torch.tensor([[1.0]]))
    # ticks 3, 4, 2 lie in places 0, 1, 2; nothing is shown at 3, so 4 follows 2
    assert links.following.tolist() == [-1, -1, 1]
    assert links.ticks[2] == 2
    assert links.reward.tolist() == [0.0, 1.0, 1.5]


# ------------------------------------------------------------------------------------------------ slates


def test_the_probability_of_a_slate_is_that_of_draws_without_replacement() -> None:
    scores = torch.tensor([[0.3, -1.0, 2.0, 0.5]], dtype=torch.float64)
    total = 0.0
    for slate in itertools.permutations(range(4), 3):
        left, by_hand = scores[0].exp().numpy(), 1.0
        for pick in slate:
            by_hand *= left[pick] / left.sum()
            left[pick] = 0.0
        found = slate_log_probability(scores, torch.tensor([slate])).exp().item()
        assert found == pytest.approx(by_hand)
        total += found
    assert total == pytest.approx(1.0)
    whole = slate_log_probability(scores, torch.tensor([[2, 3, 0, 1]]))  # nothing is left at the end
    assert whole == pytest.approx(slate_log_probability(scores, torch.tensor([[2, 3, 0]])))


def test_slates_are_drawn_as_often_as_they_are_probable() -> None:
    torch.manual_seed(0)
    scores = torch.tensor([1.0, 0.0, -0.5, EXCLUDED]).expand(40_000, 4)
    drawn = best_slates(scores + gumbel(scores), [], 2)
    found, counts = torch.unique(drawn, dim=0, return_counts=True)
    expected = slate_log_probability(scores[: len(found)], found).exp()
    assert len(found) == 6  # what is excluded is never drawn
    torch.testing.assert_close(counts / len(drawn), expected, atol=0.01, rtol=0)


PRICES = {"offer": {"kind": "price", "levels": 4}, "feedback": {"instant": True}}


@pytest.mark.parametrize(
    "changes",
    [{}, {"messages": 3}, {"slots": 1, "messages": 3, **PRICES}, {"slots": 1, "action": "items"}, PRICES],
)
def test_choices_reach_the_environment_and_masks_come_from_it(changes: dict[str, Any]) -> None:
    """Whatever is chosen lies in the action space, and the mask of one slot allows what the environment's does."""
    torch.manual_seed(0)
    envs = vector_env("ecommerce-v1", 4, mask_actions=True, **changes)
    layout, rows = layout_of(envs), 8
    seen, _ = envs.reset(seed=0)
    masks = option_masks(torch.from_numpy(seen["action_mask"]), layout)
    network = PageNetwork(layout)
    page = network.read(torch.from_numpy(seen["observation"]).view(rows, -1), masks.reshape(rows, -1).bool())
    scores, words = network(page)
    chosen = best_slates(scores + gumbel(scores), [part + gumbel(part) for part in words], layout.slots)
    actions = to_actions(chosen, layout).numpy()
    assert page.allowed.gather(1, chosen[:, : layout.slots]).all()
    for action, mask in zip(actions, seen["action_mask"].reshape(rows, -1), strict=True):
        assert envs.action_space.contains(action)
        if layout.slots == 1:
            assert mask[action]
    envs.step(actions.reshape(4, 2, *envs.action_space.shape))


BY_AGENT = {"messages": 3, "observation": {"recent": 2}, "candidates": {"features": "both"}}


@pytest.mark.parametrize("changes", [{}, BY_AGENT, {"slots": 1, **PRICES}])
def test_parts_keep_their_numbers_in_the_layout_of_all_team_sizes(changes: dict[str, Any]) -> None:
    """Candidates, vectors and recent items hold the same numbers, and the context the same ones and zeros."""
    envs = vector_env("ecommerce-v1", 4, **changes)
    envs.action_space.seed(0)
    envs.reset(seed=0)
    for _ in range(10):
        envs.step(np.stack([[envs.action_space.sample() for _ in range(envs.num_agents)] for _ in range(4)]))
    reader, relative = ObservationReader(envs), ObservationReader(envs, max_agents=4)
    plain, padded = layout_of(envs), relative.layout
    before, after = reader.read(), relative.read()
    assert after.shape[2] == padded.observation > plain.observation == before.shape[2]
    for part, length in (
        ("start", plain.candidates * plain.features),
        ("vectors", plain.candidates * plain.dims if plain.vectors else 0),
        ("history", plain.recent),
    ):
        here, there = getattr(plain, part), getattr(padded, part)
        np.testing.assert_array_equal(after[..., there : there + length], before[..., here : here + length])
    extra = len(padded.context) - len(plain.context)
    assert extra == padded.observation - plain.observation
    columns, padding = np.sort(before[..., plain.context]), np.zeros((*before.shape[:2], extra))
    np.testing.assert_array_equal(np.sort(np.concatenate((columns, padding), 2)), np.sort(after[..., padded.context]))


# ------------------------------------------------------------------------------------------------ memory and mixers


def test_a_memory_is_of_one_person() -> None:
    memory = VisitorMemory((2, 1), 3, (1, 1), torch.device("cpu"))
    place, visitor = np.array([2, 0]), np.array([[5], [9]])
    memory.keep(place, visitor, torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [4.0]]))
    state, echo = memory.recall(place, visitor)
    assert (state.tolist(), echo.tolist()) == ([[1.0], [2.0]], [[3.0], [4.0]])
    state, _ = memory.recall(place, np.array([[6], [9]]))  # somebody else has taken the first one's place
    assert state.tolist() == [[0.0], [2.0]]
    memory.keep(place, np.array([[-1], [-1]]), torch.ones(2, 1), torch.ones(2, 1))  # nobody came
    assert memory.recall(place, visitor)[0].tolist() == [[1.0], [2.0]]
    memory.forget(np.array([False, True]))
    assert memory.recall(place, visitor)[0].tolist() == [[1.0], [0.0]]


def test_a_team_is_worth_more_when_any_of_its_members_is() -> None:
    """QMIX in every state, VDN by as much; so that everybody's best choice is the team's."""
    torch.manual_seed(0)
    layout = layout_of(vector_env("duel-v1", 1))
    states, active = torch.randn(50, 6), torch.ones(50, 3, dtype=torch.bool)
    values = torch.randn(50, 3, requires_grad=True)
    for mixer in (Mixer(3, 6), None):
        team = Values(layout, 8, mixer).total(values, active, states)
        (slopes,) = torch.autograd.grad(team.sum(), values)
        assert (slopes > 0).all()
        if mixer is None:
            torch.testing.assert_close(slopes, torch.ones_like(slopes))
            torch.testing.assert_close(team, values.sum(1))
        else:
            assert slopes.std(0).min() > 0.01  # they depend on the state
    away = Values(layout, 8, None).total(values, torch.tensor([True, False, True]).expand(50, 3), states)
    torch.testing.assert_close(away, values[:, 0] + values[:, 2])
