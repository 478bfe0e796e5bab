"""The environments of TRL's GRPO: alone, and played by TRL."""

from __future__ import annotations

import pytest

from recsys_env.adapters.trl import OVER, environment_factory, reward
from recsys_env.language import TextPolicy

SHOP = {"task": "ecommerce-v1", "horizon": 30, "background": "content"}


def said(content: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": content}]


def test_a_group_begins_alike_and_the_last_text_is_the_answer() -> None:
    make = environment_factory(**SHOP)
    group = [make() for _ in range(3)]
    prompts = {one.reset(**row) for one, row in zip(group, make.rows([7] * 3), strict=True)}
    assert len(prompts) == 1
    earned = reward([said("2, 3, 4, 5, 6"), said("2, 3, 4, 5, 6"), said("nothing")], group)
    assert earned[0] == earned[1] == group[0].rollout.rewards["recommender_0"]
    assert [one.rollout.played for one in group] == [1, 1, 1]
    assert [bool(one.rollout.repairs["recommender_0"]) for one in group] == [False, False, True]
    assert reward([said("9, 8, 7, 6, 5")] * 3, group) == earned  # all are over


def test_pages_are_shown_one_after_another_until_the_model_ends() -> None:
    one = environment_factory(**SHOP, pages=3)()
    first = one.reset(seed=7)
    second = one.show("2, 3, 4, 5, 6")
    assert second != first
    assert "Candidates:" in second
    assert reward([said("1, 2, 3, 4, 5")], [one]) == [one.rollout.rewards["recommender_0"]]
    assert one.rollout.played == 2
    assert one.show("1") == OVER
    assert one.reset(seed=7) == first
    assert [one.show(answer) == OVER for answer in ("1", "1", "1", "1")] == [False, False, True, True]
    one.reset(seed=7)
    assert "must be a text" in one.show(3)


def test_what_a_model_may_call_is_what_was_asked_for() -> None:
    """TRL takes the public methods of the class for tools, and reads their types and docstrings."""
    utils = pytest.importorskip("transformers.utils")

    def tools(one: object) -> set[str]:
        return {name for name in dir(type(one)) if name[0] != "_" and callable(getattr(type(one), name))} - {"reset"}

    assert tools(environment_factory(**SHOP)()) == set()
    one = environment_factory(**SHOP, pages=None, tools=["search", "prices"])()
    assert tools(one) == {"search", "prices", "show"}
    for name in tools(one):
        told = utils.get_json_schema(getattr(one, name))["function"]
        assert told["name"] == name
        assert all(p["description"] for p in told["parameters"]["properties"].values())
    one.reset(seed=7)
    assert one.search(words="sea").startswith(("id ", "None of"))
    assert "search takes words" in one.search(word="sea")


def test_rows_without_seeds_and_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="needs a seed"):
        environment_factory(**SHOP)().reset(prompt=[])
    with pytest.raises(ValueError, match="did you mean 'recommender_1'"):
        environment_factory(**SHOP, learners=["recomender_1"])
    with pytest.raises(ValueError, match="one can learn here"):
        environment_factory("ecommerce-v1", num_agents=3, background={"recommender_1": "content"})
    with pytest.raises(TypeError, match="lambda"):
        environment_factory("ecommerce-v1", background={"recommender_1": TextPolicy(str)})


@pytest.mark.filterwarnings("ignore:You are using 'environment_factory':UserWarning")
@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")  # which TRL sets
def test_trl_plays_groups_that_begin_alike_and_learns_from_what_they_earned(tmp_path, monkeypatch) -> None:
    """A real GRPO step: the tiny model's titles are calls of `show`."""
    pytest.importorskip("trl")
    from benchmarks.compat import trl as compat

    played = []

    def spied(prompts, completions, environments, seed, **row):  # type: ignore[no-untyped-def]
        earned = reward(completions, environments)
        ends = [(one.rollout.played, one.rollout.rewards[compat.LEARNER]) for one in environments]
        played.append((prompts, completions, seed, ends, earned))
        return earned

    for name, value in {"PAGES": 3, "GROUP": 4, "GROUPS": 2, "UPDATES": 2, "reward": spied}.items():
        monkeypatch.setattr(compat, name, value)
    monkeypatch.setattr(compat.Speaker, "earns", lambda self: 0.0)
    compat.train("GRPO", "cpu", 0)
    assert len(played) == 2
    for prompts, completions, seeds, ends, earned in played:
        said = [prompt[-1]["content"] for prompt in prompts]
        assert len(said) == 8
        assert len(set(seeds)) == 2
        for seed in set(seeds):
            assert len({text for text, of in zip(said, seeds, strict=True) if of == seed}) == 1
        assert [reward for _, reward in ends] == earned
        assert all(1 <= pages <= 3 for pages, _ in ends)
        answers = [sum(message["role"] == "tool" for message in messages) for messages in completions]
        assert max(answers) >= 1  # calls of `show` went through
        assert any(earned)
