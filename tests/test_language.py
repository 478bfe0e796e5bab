"""Pages as prompts, answers as actions, and the environment of both."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pettingzoo.test import parallel_api_test

import recsys_env
from recsys_env import TASKS, parallel_env, replace, text_env
from recsys_env.evaluation import episode_returns
from recsys_env.evaluation.episodes import begin_episodes, play_episode
from recsys_env.language import REPAIRS, Answer, Candidate, Page, Reader, TextPolicy, describe, parse
from recsys_env.language.pages import REMEMBERED
from recsys_env.policies import feedback, make_policy

# ------------------------------------------------------------------------------------------------ answers


def page(slots: int = 2, titles: tuple[str, ...] = ("Sea, city", "Milk 2 oz", "Milk 2 oz", "War"), **changes) -> Page:
    candidates = tuple(Candidate(i, title, "", None, {}) for i, title in enumerate(titles))
    facts = dict(
        agent="a", scene="", visits=1, session_page=0, gap=None, satisfaction=None, likes=(), clicked=(), ignored=()
    )
    more = dict(private=False, wants=(), anchor="", heard={}, offers={}, levels=0, vocabulary=())
    return Page(slots=slots, candidates=candidates, **{**facts, **more, **changes})


@pytest.mark.parametrize(
    ("answer", "picks"),
    [
        ("4, 1", (3, 0)),
        (" 4 1\n", (3, 0)),
        ("4;1.", (3, 0)),
        ("War\nSea, city", (3, 0)),
        ('- "war"; *SEA, CITY*', (3, 0)),
        ("Milk 2 oz\nMilk 2 oz", (1, 2)),  # the same title twice: the next one of it
    ],
)
def test_what_is_as_it_was_asked_for_is_read_as_it_is(answer, picks):
    assert parse(answer, page()) == Answer(picks)


@pytest.mark.parametrize(
    ("answer", "picks", "repairs"),
    [
        ("I would show 4 and then 1, of course.", (3, 0), {"words around"}),
        ("Show War first; then Sea, city!", (3, 0), {"words around"}),
        ("1. War", (0, 3), {"words around"}),
        ("4, 9", (3, 0), {"unknown", "too few"}),
        ("0, 4", (3, 0), {"unknown", "too few"}),
        ("4, 4", (3, 0), {"repeated", "too few"}),
        ("4, 3, 2", (3, 2), {"too many"}),
        ("3", (2, 0), {"too few"}),
        ("", (0, 1), {"unknown", "too few"}),
        ("what?", (0, 1), {"unknown", "too few"}),
        ("version 4.1 of 12x", (0, 1), {"unknown", "too few"}),  # no whole numbers of their own
    ],
)
def test_all_else_is_repaired_and_told(answer, picks, repairs):
    found = parse(answer, page())
    assert found.picks == picks
    assert set(found.repairs) == repairs <= set(REPAIRS)
    assert len(found.repairs) == len(repairs)


@pytest.mark.parametrize(
    ("answer", "picks", "repairs"),
    [
        ("9" * 5_000, (0, 1), {"unknown", "too few"}),
        (f"4, {'1' * 5_000}", (3, 0), {"unknown", "too few"}),
        (f"I take 4 and {'1' * 5_000} of them", (3, 0), {"words around", "unknown", "too few"}),
        ("\u0664, \u0661", (3, 0), set()),  # digits of other scripts are digits
        ("\u00b2, \u00b9", (0, 1), {"unknown", "too few"}),  # superscripts are none
        ("-4, +1", (3, 0), {"words around"}),
        ("4, 1" + " " * 10**6, (3, 0), {"too long"}),
        ("[" * 10**6, (0, 1), {"too long", "unknown", "too few"}),
    ],
)
def test_no_number_ends_a_run(answer, picks, repairs):
    found = parse(answer, page())
    assert found.picks == picks
    assert set(found.repairs) == repairs


WORDS = st.one_of(
    st.text(st.characters(exclude_categories=())),  # NULs and lone surrogates among them
    st.integers(4_000, 6_000).map(lambda digits: "8" * digits),
    st.sampled_from(
        ["4", "war", "price:", "message=", "\n", ";", ", ", "1e999", "[[[", '{"a": 1}', "\0", "\ud800", "\u00b2"]
    ),
)


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(WORDS).map("".join), st.booleans())
def test_any_text_is_a_legal_answer(text, speaks):
    asked = page(levels=5, vocabulary=("sea", "land")) if speaks else page()
    found = parse(text, asked)
    assert len(found.picks) == len(set(found.picks)) == asked.slots
    assert set(found.picks) <= set(range(len(asked.candidates)))
    assert found.level is None or found.level in range(5)
    assert found.word in (0, 1)
    assert set(found.repairs) <= set(REPAIRS)


def test_no_words_end_an_episode():
    env = text_env("ecommerce-v1", horizon=12)
    env.reset(seed=0)
    for text in ("1" * 5_000, "\ud800\0", "\u00b2", "{" * 10**5, "1e999, -inf", "4" * 10**6):
        env.step(dict.fromkeys(env.agents, text))
    assert env.agents


def test_prices_and_messages_are_read_beside_the_picks():
    asked = page(levels=5, vocabulary=("sea", "land"))
    assert parse("4, 1\nPrice: 3\nmessage: Land", asked) == Answer((3, 0), 3, 1)
    assert parse("price = 0\n4, 1\nMESSAGE: sea.", asked) == Answer((3, 0), 0, 0)
    assert parse("4, 1\nprice: 5\nmessage: air", asked) == Answer((3, 0), None, 0, ("no price", "no message"))
    assert parse("4, 1\nprice: 7\nprice: 2\nmessage: sea", asked).level == 2
    assert "words around" in parse("4, 1\nprice: 2", page()).repairs  # nobody asked


def test_a_page_of_few_candidates_is_filled_as_far_as_it_goes():
    assert parse("2, 1", page(slots=4, titles=("a", "b"))) == Answer((1, 0))
    assert parse("", page(slots=4, titles=("a", "b"))).picks == (0, 1)
    with pytest.raises(TypeError, match="answer = 3 must be a string"):
        parse(3, page())


# ------------------------------------------------------------------------------------------------ prompts


def readers(task: str, ticks: int = 40, words: tuple[str, ...] = (), **changes):
    """A batch of one copy after some ticks, the reader of each agent, and the pages it reads."""
    envs = recsys_env.vector_env(task, 1, **changes)
    team = [Reader(words) for _ in envs.possible_agents]
    for agent, reader in zip(envs.possible_agents, team, strict=True):
        reader.bind(envs, agent, 0)
    observations, _ = envs.reset(seed=3)
    seen = []
    for _ in range(ticks):
        actions = envs.empty_actions()
        for n, reader in enumerate(team):
            pages = reader.read(observations[:, n])
            seen += [(n, pages[0])] if pages[0] else []
            actions[:, n] = reader.write([each and parse("2, 1\nmessage: land", each) for each in pages])
        observations, *_, infos = envs.step(actions)
        for n, reader in enumerate(team):
            reader.observe(feedback(infos, n))
    return envs, seen


@pytest.mark.parametrize("task", TASKS)
def test_every_task_is_told_in_words(task):
    envs, seen = readers(task, 25)
    assert seen
    for n, each in seen:
        prompt = describe(each)
        assert envs.possible_agents[n] in prompt
        assert all(f"{i + 1}. {c.title}" in prompt for i, c in enumerate(each.candidates))
        example = next(line for line in prompt.splitlines() if "such as: " in line).split("such as: ")[1]
        assert set(parse(example, each).repairs) <= {"no price", "no message"}


def test_a_prompt_says_what_the_agent_knows():
    _, seen = readers("ecommerce-v1", 60)
    pages = [each for _, each in seen]
    clicked = next(each for each in pages if each.clicked)
    assert any(clicked.clicked[0].split(" (")[0] == c.title for each in pages for c in each.candidates)
    prompt = describe(clicked)
    assert f"Clicked before: {clicked.clicked[0]}" in prompt
    assert f"Seems to like: {clicked.likes[0]}" in prompt
    assert f"price {clicked.candidates[0].price:.2f}" in prompt
    assert max(len(each.clicked) for each in pages) <= REMEMBERED
    assert describe(dataclasses.replace(clicked, satisfaction=0.5)).count("liked what was clicked (+0.50)") == 1
    assert "disliked what was clicked" in describe(dataclasses.replace(clicked, satisfaction=-0.5))


def test_copies_and_episodes_do_not_know_of_each_other():
    """Customers of a fixed population come to every copy and in every episode; what they clicked there is unknown."""
    envs = recsys_env.vector_env("grocery-v1", 3, horizon=60)
    reader, rng = Reader(), np.random.default_rng(0)
    reader.bind(envs, "recommender_0", 0)
    observations, _ = envs.reset(seed=[5, 5, 6])
    clicked = 0
    for _ in range(110):
        pages = reader.read(observations[:, 0])
        assert pages[0] == pages[1]
        clicked += sum(len(each.clicked) for each in pages if each)
        actions = np.tile(rng.integers(0, 20, (1, 2, 10)), (3, 1, 1))
        observations, _, _, truncated, infos = envs.step(actions)
        reader.observe(feedback(infos, 0))
        if truncated.any():
            assert clicked
            reader.reset(truncated)
            assert not any(each.clicked for each in reader.read(observations[:, 0]) if each)


def test_features_are_told_without_their_squashing():
    envs, seen = readers("market-v0", 10)
    assert {name for name in seen[0][1].candidates[0].features} == set(envs.candidate_features)
    reader = Reader()
    reader.bind(envs, envs.possible_agents[0], 0)
    (each,) = reader.read(envs.observations[:, 0])
    if each is None:
        pytest.skip("nobody came")
    for place, candidate in enumerate(each.candidates):
        squashed = reader.features[0, place, reader.feature_names.index("popularity")]
        x = candidate.features["popularity"]
        assert x / (1 + x) == pytest.approx(squashed, abs=1e-6)


def test_what_a_role_does_not_see_is_not_told():
    hidden = ("profile", "observed_satisfaction", "visits", "session_page", "messages", "anchor")
    config = TASKS["coverage-v0"]
    roles = tuple(dataclasses.replace(role, hidden=hidden) for role in config.roles)
    _, seen = readers(replace(config, {"roles": roles}), 60)
    for _, each in seen:
        assert (each.visits, each.session_page, each.gap, each.satisfaction) == (None, None, None, None)
        assert not each.likes
        assert not each.heard
        assert each.wants
        assert "Visit" not in describe(each)
        assert "fits tastes" not in describe(each)


def test_agents_talk_in_words_of_theirs():
    words = ("sea", "land", "air", "fire")
    _, seen = readers("coverage-v0", 60, words)
    heard = [said for _, each in seen for said in each.heard.values()]
    assert heard
    assert set(heard) == {"land"}
    assert "with one of these words: sea, land, air, fire." in describe(seen[0][1])
    for wrong in (("sea",), ("sea", "Sea", "air", "fire"), ("sea", "", "air", "fire"), ("a\nb", "c", "d", "e")):
        with pytest.raises(ValueError, match=r"must be 4 different words, each on a line \(messages = 4\)"):
            text_env("coverage-v0", words=wrong)


def test_a_task_of_very_many_items_needs_a_retrieval_stage():
    with pytest.raises(ValueError, match=r"which are 300 items; 200 are allowed"):
        text_env("streaming-v1", action="items", items={"number": 300})


# ------------------------------------------------------------------------------------------------ the environment


@pytest.mark.parametrize("task", ["grocery-v1", "coverage-v0", "market-v0", "journey-v1", "rivals-v1", "duel-v1"])
def test_it_is_a_parallel_environment(task):
    env = text_env(task, horizon=20)
    parallel_api_test(env, num_cycles=50)
    observations, _ = env.reset(seed=0)
    while env.agents:
        for agent, prompt in observations.items():
            assert env.observation_space(agent).contains(prompt)
            assert (prompt == "") == (env.pages[agent] is None)
        observations, *_ = env.step({agent: env.action_space(agent).sample() for agent in env.agents})
    assert set(observations.values()) == {""}
    assert env.step({}) == ({}, {}, {}, {}, {})


@pytest.mark.parametrize("task", ["ecommerce-v1", "market-v0", "coverage-v0", "journey-v1"])
def test_it_is_the_same_game_as_in_numbers(task):
    """What an answer names is shown: the actions that it was read as earn the same in the environment of numbers."""
    text, numbers = text_env(task, horizon=60), parallel_env(task, horizon=60)
    text.reset(seed=5)
    numbers.reset(seed=5)
    rng = np.random.default_rng(0)
    earned = 0.0
    while text.agents:
        answers, joint = {}, {}
        for agent, each in text.pages.items():
            if each is None:
                answers[agent], joint[agent] = "", numbers.action_space(agent).sample()
                continue
            picks = rng.permutation(len(each.candidates))[: each.slots]
            level, word = rng.integers(max(each.levels, 1)), rng.integers(max(len(each.vocabulary), 1))
            answers[agent] = f"{', '.join(str(i + 1) for i in picks)}\nprice: {level}\nmessage: {word}"
            asked = [line for line in answers[agent].splitlines() if "price" not in line or each.levels]
            answers[agent] = "\n".join(line for line in asked if "message" not in line or each.vocabulary)
            beside = [level] * (each.levels > 0) + [word] * bool(each.vocabulary)
            places = [each.candidates[i].position for i in picks]
            if each.slots == 1:
                joint[agent] = places[0]
                for value, size in zip(beside, [s for s in (each.levels, len(each.vocabulary)) if s], strict=True):
                    joint[agent] = joint[agent] * size + value
            else:
                joint[agent] = np.array(places + beside)
        _, rewards, _, truncations, infos = text.step(answers)
        _, expected, _, ends, _ = numbers.step(joint)
        assert rewards == expected
        assert truncations == ends
        assert all(info["repairs"] == () for info in infos.values())
        earned += sum(rewards.values())
    assert earned != 0


def test_repairs_are_told_and_counted():
    env = text_env("streaming-v1", horizon=30)
    env.reset(seed=0)
    told: Counter[str] = Counter()
    while env.agents:
        *_, infos = env.step(dict.fromkeys(env.agents, "nothing"))
        told.update(repair for info in infos.values() for repair in info["repairs"])
    assert sum(env.repairs.values(), Counter()) == told
    assert set(told) == {"unknown", "too few"}


def test_agents_and_actions_that_are_wrong_are_named():
    env = text_env("streaming-v1", horizon=30)
    with pytest.raises(RuntimeError, match="call reset"):
        env.step(dict.fromkeys(env.agents, "1"))
    env.reset(seed=0)
    before = dict(env.pages)
    with pytest.raises(TypeError, match=f"action of {env.agents[0]} is 3; it must be a string"):
        env.step({**dict.fromkeys(env.agents, "1"), env.agents[0]: 3})
    with pytest.raises(KeyError, match="unknown agent 'nobody'"):
        env.step({**dict.fromkeys(env.agents, "1"), "nobody": "1"})
    with pytest.raises(KeyError, match="no action for"):
        env.step({env.agents[0]: "1"})
    assert env.pages == before
    with pytest.raises(ValueError, match=r"action = 'query' takes vectors"):
        text_env("streaming-v1", action="query")


def test_a_seed_plays_the_same_prompts_again():
    def prompts(env) -> list[str]:
        observations, _ = env.reset(seed=9)
        kept = list(observations.values())
        for _ in range(30):
            observations, *_ = env.step(dict.fromkeys(env.agents, "1"))
            kept += observations.values()
        return kept

    env = text_env("grocery-v1", horizon=40)
    assert prompts(env) == prompts(env) == prompts(text_env("grocery-v1", horizon=40))


# ------------------------------------------------------------------------------------------------ as policies


def best_clicks(prompt: str) -> str:
    """Ranks candidates by how often they were clicked: a text agent in a few lines."""
    lines = [line for line in prompt.splitlines() if line.split(".")[0].isdecimal()]
    clicks = [float(line.split("clicks x")[1].split(",")[0]) for line in lines]
    return ", ".join(str(i + 1) for i in np.argsort(np.negative(clicks), kind="stable"))


def text_agent() -> TextPolicy:
    return TextPolicy(best_clicks)


def test_a_function_from_prompt_to_answer_is_a_policy():
    config = replace(TASKS["ecommerce-v1"], {"horizon": 150})
    earned = {
        name: episode_returns(config, name, 8, seed=1).mean() for name in ("random", "tests.test_language:text_agent")
    }
    assert earned["tests.test_language:text_agent"] > 1.1 * earned["random"]
    agent = text_agent()
    episode_returns(replace(config, {"num_agents": 1}), agent, 1, seed=1)
    assert set(agent.repairs) == {"too many"}  # it ranks all candidates


def test_a_reader_without_answers_is_no_policy():
    with pytest.raises(NotImplementedError, match=r"Reader has no answer\(pages\)"):
        episode_returns("duel-v1", {"recommender_0": Reader(), "recommender_1": "random"}, 1, seed=0)


# ------------------------------------------------------------------------------------------------ visitors who leave


def test_visitors_who_do_not_wait_are_shown_what_was_retrieved(clock):
    slow = replace(TASKS["ecommerce-v1"], {"horizon": 60, "num_agents": 1, "observation": {"delay": 0.002}})

    def sleepy(prompt: str) -> str:
        clock.sleep(0.005)
        return best_clicks(prompt)

    in_time = episode_returns(slow, TextPolicy(lambda prompt: "1, 2, 3, 4, 5"), 4, seed=2)
    np.testing.assert_array_equal(episode_returns(slow, TextPolicy(sleepy), 4, seed=2), in_time)
    envs, team, observations = begin_episodes(slow, TextPolicy(sleepy), 4, 2)
    play_episode(envs, team, observations)
    assert team.costs()["late"] == 1
    assert team.costs()["ms"] == pytest.approx(5)
    patient = replace(slow, {"observation": {"delay": 100.0}})
    assert (episode_returns(patient, TextPolicy(sleepy), 4, seed=2) != in_time).any()


def test_prompts_that_are_answered_too_late_are_answered_by_retrieval(clock):
    env = text_env("streaming-v1", horizon=30, observation={"delay": 0.01})
    env.reset(seed=0)
    told: Counter[str] = Counter()
    while env.agents:
        clock.sleep(0.02)
        *_, infos = env.step(dict.fromkeys(env.agents, "5, 4"))
        told.update(repair for info in infos.values() for repair in info["repairs"])
    assert set(told) == {"late"}


def test_what_says_the_same_is_recommended_to_who_clicked_it():
    """Words are vectors here, so texts find what vectors find, without looking at them."""
    config = replace(TASKS["ecommerce-v1"], {"horizon": 400, "choice": {"beta_bait": 0.0, "beta_quality": 0.0}})
    earned = {name: episode_returns(config, name, 8, seed=1).mean() for name in ("random", "text:hashing", "nearest")}
    assert earned["text:hashing"] > 1.15 * earned["random"]
    assert earned["text:hashing"] < 1.2 * earned["nearest"]
    again = episode_returns(config, "text:hashing", 4, seed=1)
    np.testing.assert_array_equal(again, episode_returns(config, "text:hashing", 8, seed=1)[:4])
    with pytest.raises(ValueError, match=r"model = 'nothing' is neither"):
        make_policy("text:nothing")
