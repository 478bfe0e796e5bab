"""Tasks in words with some agents played by policies; rollouts of them; and the tools of language agents."""

import copy

import numpy as np
import pytest

from recsys_env import parallel_env, text_env
from recsys_env.language import TextPolicy, TextRollout, Tools
from recsys_env.policies import Team

SHOP, HORIZON = "ecommerce-v1", 12


def first_ones(prompt: str) -> str:
    return prompt.split("such as: ")[1].splitlines()[0] if prompt else ""


def answered(env, prompts):
    return {agent: first_ones(prompt) for agent, prompt in prompts.items()}


# ------------------------------------------------------------------------------------------------ others


def test_others_play_as_the_same_policies_do_beside_numbers():
    env, numbers = (
        text_env(SHOP, background={"recommender_1": "content"}, horizon=HORIZON),
        parallel_env(SHOP, horizon=HORIZON),
    )
    assert env.possible_agents == ["recommender_0"]
    prompts, infos = env.reset(seed=3)
    assert set(prompts) == set(infos) == {"recommender_0"}
    numbers.reset(seed=3)
    both = Team(numbers.vector, {"recommender_0": TextPolicy(first_ones), "recommender_1": "content"}, 3)
    joint = numbers.vector.empty_actions()
    while env.agents:
        both.act(numbers.vector.observations, joint)
        _, expected, *_ = numbers.step(dict(zip(numbers.possible_agents, joint[0].copy(), strict=True)))
        both.observe(numbers.vector.infos, numbers.vector.truncated)
        prompts, rewards, *_ = env.step(answered(env, prompts))
        assert rewards == {"recommender_0": expected["recommender_0"]}
    assert not numbers.agents
    assert env.step({}) == ({}, {}, {}, {}, {})


def test_actions_of_others_and_wrong_ones_are_refused_and_change_nothing():
    env = text_env(SHOP, background={"recommender_1": "content"}, horizon=HORIZON)
    env.reset(seed=3)
    twin = copy.deepcopy(env)
    for wrong, said in (
        ({"recommender_0": "1", "recommender_1": "1"}, "recommender_1 is played by a policy"),
        ({}, "no action for recommender_0"),
        ({"recommender_0": "1", "nobody": "1"}, "nobody"),
    ):
        with pytest.raises(KeyError, match=said):
            env.step(wrong)
    for _ in range(3):
        results = env.step({"recommender_0": "1"}), twin.step({"recommender_0": "1"})
        assert results[0][:2] == results[1][:2]
    assert text_env(SHOP, background="content").possible_agents == ["recommender_0"]
    with pytest.raises(ValueError, match="nobody learns"):
        text_env(SHOP, background={"recommender_0": "content", "recommender_1": "content"})


# ------------------------------------------------------------------------------------------------ rollouts


def rollout(pages=2, **options):
    more = {name: options.pop(name) for name in ("warmup", "tools") if name in options}
    return TextRollout(
        text_env(SHOP, horizon=30, **{"background": {"recommender_1": "content"}, **options}), pages, **more
    )


def played(one: TextRollout, seed: int, answer=first_ones) -> list[dict[str, str]]:
    prompts, said = one.start(seed), []
    while prompts:
        said.append(prompts)
        prompts = one.play({agent: answer(prompt) for agent, prompt in prompts.items()})
    return said


@pytest.mark.parametrize("warmup", [0, 10])
def test_a_group_begins_alike_and_differs_by_its_answers_alone(warmup):
    one, other = rollout(10, warmup=warmup), rollout(10, warmup=warmup)
    played(other, 5)  # whatever was played before
    first, second = played(one, 7), played(other, 7)
    assert first == second
    assert one.rewards == other.rewards
    third = played(other, 7, lambda prompt: "6, 7, 8, 9, 10")
    assert third[0] == first[0]
    assert third[1:] != first[1:]
    assert played(one, 8)[0] != first[0]


def test_without_a_number_of_pages_a_rollout_earns_what_the_episode_does():
    one, env = rollout(None), text_env(SHOP, horizon=30, background={"recommender_1": "content"})
    played(one, 7)
    prompts, _ = env.reset(seed=7)
    total = 0.0
    while env.agents:
        prompts, rewards, *_ = env.step(answered(env, prompts))
        total += rewards["recommender_0"]
    assert one.rewards == {"recommender_0": total}
    assert not one.repairs["recommender_0"]


def test_several_learners_are_asked_at_the_same_page():
    one = rollout(2, background=None)
    assert all(set(prompts) == {"recommender_0", "recommender_1"} for prompts in played(one, 7))
    one.start(7)
    before = dict(one.rewards), one.played
    with pytest.raises(KeyError, match="recommender_1"):
        one.play({"recommender_0": "1"})
    assert (dict(one.rewards), one.played) == before


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"pages": 0}, ValueError, "pages"),
        ({"warmup": 30}, ValueError, "warmup"),
        ({"tools": ["serch"]}, ValueError, "did you mean 'search'"),
        ({"tools": "search"}, TypeError, "tools"),
        ({"tools": {"recommender_0": "search"}}, TypeError, "tools"),
        ({"tools": {"recommender_1": ["search"]}}, ValueError, "unknown agent"),  # which a policy plays
    ],
)
def test_wrong_rollouts_are_refused(options, error, said):
    with pytest.raises(error, match=said):
        rollout(**options)


# ------------------------------------------------------------------------------------------------ tools


def test_a_search_finds_the_agents_own_items_by_their_words():
    one = rollout(2, tools=["search"])
    one.start(7)
    titles, tools = one.env.numeric.vector.texts.titles, one.tools["recommender_0"]
    word = titles[3].split(",")[0]
    found = tools.search(word).splitlines()
    assert 1 <= len(found) <= 10
    assert all(word.casefold() in line.casefold() for line in found)
    assert tools.search("xyzzy") == "None of your 100 items has one of these words: 'xyzzy'."
    assert len(tools.search("x" * 10**6)) < 300


def test_an_item_is_described_as_the_public_statistics_say():
    one = rollout(2)
    one.start(7)
    batch, tools = one.env.numeric.vector, one.tools["recommender_0"]
    public = batch.public_items()
    reader = one.env.readers["recommender_0"]
    candidate = int(reader.items[0, 4])
    said = tools.item(candidate)
    assert f'id {candidate}: "{batch.texts.titles[candidate]}" [' in said
    assert "candidate 5 of this page" in said
    assert f"Price {public['price'][0, candidate]:.2f}" in said
    assert f"Popularity {public['popularity'][0, candidate] / public['popularity'].mean():.1f}, clicks x" in said


def test_tools_keep_to_the_agents_inventory_and_to_what_its_role_sees():
    env = text_env("crossdomain-v0")
    agents = env.possible_agents
    env.reset(seed=1)
    allowed = env.numeric.vector.world.allowed
    assert allowed.size
    for n, agent in enumerate(agents):
        tools = Tools(env, agent)
        mine, other = int(np.flatnonzero(allowed[n])[0]), int(np.flatnonzero(~allowed[n])[0])
        assert "You may show it." in tools.item(mine)
        assert "not yours" in tools.item(other)
        word = env.numeric.vector.texts.titles[other].split(",")[0]
        ids = [int(line.split(":")[0].split()[1]) for line in tools.search(word).splitlines() if line.startswith("id ")]
        assert allowed[n][ids].all()


def test_history_says_what_was_shown_and_nothing_under_a_promise_of_privacy():
    one, said = rollout(None), []
    prompts = one.start(7)
    while prompts:
        page = one.env.pages["recommender_0"]
        said.append((tuple(map(str, (*page.clicked, *page.ignored))), one.tools["recommender_0"].history()))
        prompts = one.play(dict.fromkeys(prompts, "1, 2, 3, 4, 5"))
    assert any(titles for titles, _ in said)
    for titles, text in said:
        assert [line[2:] for line in text.splitlines() if line.startswith("- ")] == list(titles)
    private = rollout(None, observation={"privacy_epsilon": 1.0}, items={"stock_init": 0})
    prompts = private.start(7)
    while prompts:
        text = private.tools["recommender_0"].history()
        assert "withheld" in text
        assert "- " not in text
        prompts = private.play(dict.fromkeys(prompts, "1, 2, 3, 4, 5"))


def test_prices_are_those_of_the_page_and_of_the_last_one():
    one = TextRollout(text_env("market-v0", horizon=60))
    prompts, heard = one.start(2), False
    while prompts:
        for agent in prompts:
            page, said = one.env.pages[agent], one.tools[agent].prices()
            assert f'1. "{page.candidates[0].title}": {page.candidates[0].price:.2f}' in said
            assert all(f"{other} asked level {level}." in said for other, level in page.price_levels.items())
            heard |= bool(page.price_levels)
        prompts = one.play(dict.fromkeys(prompts, "1\nprice: 2"))
    assert heard
    assert "Nobody is there" in one.tools[agent].prices()


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("serch", "{}", "no tool 'serch'"),
        ("history", "{}", "no tool 'history'"),  # there is one, but not here
        ("search", "{", "no JSON"),
        ("search", "[" * 100_000, "no JSON"),
        ("search", "[1]", "search takes words"),
        ("search", '{"word": "sea"}', "search takes words"),
        ("search", '{"words": 3}', "words = 3"),
        ("search", '{"words": " ,;"}', "one word or more"),
        ("item", '{"id": -1}', "names no item"),
        ("item", '{"id": 1e400}', "names no item"),
        ("item", '{"id": true}', "names no item"),
        ("item", '{"id": "3"}', "names no item"),
        ("item", {"id": 10**5000}, "names no item"),
        ("item", "", "item takes id"),
    ],
)
def test_a_wrong_call_is_answered_and_changes_nothing(name, arguments, said):
    one = rollout(2, tools=["search", "item"])
    one.start(7)
    state = one.env.numeric.state()
    assert said in one.call("recommender_0", name, arguments)
    assert (one.env.numeric.state() == state).all()
    assert one.play({"recommender_0": "1"})
