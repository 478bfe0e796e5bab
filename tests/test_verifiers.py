"""Tasks in words as verifiers plays them: a seat for each learner, all trainable."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("verifiers")
pytest.importorskip("torch")

import verifiers.v1 as vf

from benchmarks.compat.verifiers import loaded, served
from recsys_env import text_env
from recsys_env.adapters.verifiers import MOST_CALLS, environment
from recsys_env.language import TextPolicy, TextRollout

SOURCE = """
from recsys_env.adapters.verifiers import environment

Taskset, Env, Harness = environment("ecommerce-v1", pages=3, horizon=30, seeds=[7, 8], {})
__all__ = ["Env", "Harness", "Taskset"]
"""
ANSWER = {"content": "2, 3, 4, 5, 6"}
LEARNERS = ("recommender_0", "recommender_1")


@pytest.fixture
def play(request, tmp_path, monkeypatch):
    """Write a module of these arguments, and play episodes of its first task against a model that answers so."""

    def played(answer, arguments="", episodes=1, **changes):
        monkeypatch.syspath_prepend(str(tmp_path))
        env = loaded(f"market_{abs(hash(request.node.name))}", SOURCE.format(arguments), tmp_path)
        for agent, change in changes.items():
            for name, value in change.items():
                setattr(getattr(env.config, agent), name, value)

        async def all_of_them(address):
            client = vf.EvalClientConfig(base_url=address, api_key_var="NO_KEY")
            context = vf.ModelContext(model="m", client=client, sampling=vf.SamplingConfig())
            async with env.serving():
                task = next(iter(env.taskset))
                return await asyncio.gather(*(env.run_episode(task, context) for _ in range(episodes)))

        with served(answer) as address:
            return asyncio.run(all_of_them(address))

    return played


def test_every_agent_has_a_trainable_seat_and_earns_what_the_game_pays(play) -> None:
    (episode,) = play(lambda asked: ANSWER)
    assert episode.ok, episode.errors
    rollout = TextRollout(text_env("ecommerce-v1", horizon=30), pages=3)
    prompts = rollout.start(7)
    first = dict(prompts)
    while prompts:
        prompts = rollout.play(dict.fromkeys(prompts, ANSWER["content"]))
    assert set(episode.by_agent) == set(LEARNERS)
    for agent in LEARNERS:
        (trace,) = episode.by_agent[agent]
        assert trace.agent.trainable
        assert trace.reward == rollout.rewards[agent]
        assert trace.metrics == {"pages": 3.0, "repairs": 0.0}
        assert trace.num_turns == 3
        system, page = trace.branches[-1].messages[:2]
        assert (system.content, page.content) == (rollout.env.rules[agent], first[agent])


def test_a_group_begins_alike(play) -> None:
    asked_first = []

    def answer(asked):
        if len(asked["messages"]) == 2:
            asked_first.append(asked["messages"][1]["content"])
        return ANSWER

    episodes = play(answer, episodes=3)
    assert all(episode.ok for episode in episodes)
    assert len(asked_first) == 6
    assert len(set(asked_first)) == 2  # one of each agent
    assert len({episode.by_agent["recommender_0"][0].reward for episode in episodes}) == 1


def test_tools_are_offered_and_answered_in_this_process(play) -> None:
    told = []

    def answer(asked):
        told.append([tool["function"]["name"] for tool in asked.get("tools", [])])
        if asked["messages"][-1]["role"] == "user":
            call = {"name": "search", "arguments": '{"words": "sea"}'}
            return {"content": None, "tool_calls": [{"id": "1", "type": "function", "function": call}]}
        return ANSWER

    (episode,) = play(answer, 'tools=["search", "item"]')
    assert episode.ok, episode.errors
    assert told[0] == ["search", "item"]
    messages = episode.by_agent["recommender_0"][0].branches[-1].messages
    assert [message.role for message in messages[:5]] == ["system", "user", "assistant", "tool", "assistant"]
    assert messages[3].content.startswith(("id ", "None of"))


def test_a_model_that_only_calls_tools_has_to_answer_in_the_end(play) -> None:
    def answer(asked):
        call = {"name": "history", "arguments": "{"}
        return {"content": "5", "tool_calls": [{"id": "1", "type": "function", "function": call}]}

    (episode,) = play(answer, 'tools=["history"], background={"recommender_1": "content"}')
    assert episode.ok, episode.errors
    (trace,) = episode.traces
    assert trace.metrics["pages"] == 3
    assert sum(message.role == "tool" for message in trace.branches[-1].messages) == 3 * MOST_CALLS


def test_a_seat_that_may_not_go_on_ends_the_episode(play) -> None:
    (episode,) = play(lambda asked: ANSWER, recommender_0={"max_turns": 1})
    assert episode.by_agent["recommender_1"][0].metrics["pages"] == 1


def test_wrong_arguments_are_refused_before_anything_is_asked() -> None:
    with pytest.raises(ValueError, match="did you mean 'search'"):
        environment("ecommerce-v1", tools=["serch"])
    with pytest.raises(TypeError, match="lambda"):
        environment("ecommerce-v1", background={"recommender_1": TextPolicy(str)})
