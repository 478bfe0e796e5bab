"""A server of tasks in words and its client, as OpenEnv runs them."""

from __future__ import annotations

import pytest

pytest.importorskip("openenv")
pytest.importorskip("torch")


from benchmarks.compat.openenv import served
from recsys_env import text_env
from recsys_env.adapters.openenv import PageAction, PageClient, page_app
from recsys_env.language import TextRollout

ANSWER = "2, 3, 4, 5, 6"


@pytest.fixture(scope="module")
def address():
    with served(
        page_app("ecommerce-v1", background="content", pages=3, horizon=30, tools=["search", "prices"])
    ) as found:
        yield found


def played(client, seed: int) -> list[tuple[str, float]]:
    result, pages = client.reset(seed=seed), []
    while not result.done:
        prompt = result.observation.prompt
        result = client.step(PageAction(answer=ANSWER))
        pages.append((prompt, result.reward))
    return pages


def test_a_rollout_over_a_connection_is_the_one_in_this_process(address) -> None:
    rollout = TextRollout(text_env("ecommerce-v1", horizon=30, background={"recommender_1": "content"}), pages=3)
    prompts, expected = rollout.start(7), []
    while prompts:
        prompt, before = prompts["recommender_0"], rollout.rewards["recommender_0"]
        prompts = rollout.play({"recommender_0": ANSWER})
        expected.append((prompt, rollout.rewards["recommender_0"] - before))
    with PageClient(base_url=address).sync() as client:
        assert played(client, 7) == expected
        state = client.state()
        assert (state.seed, state.agent, state.pages, state.repairs) == (7, "recommender_0", 3, {})
        assert state.reward == rollout.rewards["recommender_0"]


def test_connections_play_games_of_their_own_that_begin_alike(address) -> None:
    with PageClient(base_url=address).sync() as one, PageClient(base_url=address).sync() as other:
        first = one.reset(seed=7).observation.prompt
        played(other, 8)
        assert other.reset(seed=7).observation.prompt == first
        second = one.step(PageAction(answer=ANSWER)).observation.prompt
        assert other.step(PageAction(answer=ANSWER)).observation.prompt == second


def test_tools_leave_the_page_open_and_wrong_calls_are_answered(address) -> None:
    with PageClient(base_url=address).sync() as client:
        first = client.reset(seed=7).observation.prompt
        for action, said in (
            (PageAction(tool="search", arguments={"words": "sea"}), ("id ", "None of")),
            (PageAction(tool="search", arguments={"word": "sea"}), ("search takes words",)),
            (PageAction(tool="history"), ("There is no tool 'history'",)),
        ):
            result = client.step(action)
            assert result.observation.said.startswith(said)
            assert (result.observation.prompt, result.reward, result.done) == (first, 0.0, False)


def test_after_the_end_and_before_the_first_reset_nothing_happens(address) -> None:
    with PageClient(base_url=address).sync() as client:
        assert client.step(PageAction(answer=ANSWER)).done
        played(client, 7)
        result = client.step(PageAction(answer=ANSWER))
        assert (result.done, result.reward, result.observation.prompt) == (True, 0.0, "")
        observation = client.reset().observation
        assert observation.prompt
        assert observation.rules == text_env("ecommerce-v1", horizon=30).rules["recommender_0"]
        assert client.step(PageAction(answer=ANSWER)).observation.rules == ""
        assert 0 <= client.state().seed < 2**63
