"""Scores of whole episodes: whose world they are played in, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recsys_env import TASKS, Catalogue, WorldConfig, vector_env
from recsys_env.evaluation import COMPARED, compared, episode_returns
from recsys_env.policies import TASK_POLICIES


def test_episodes_in_the_world_of_a_catalogue() -> None:
    """By name, as an object, of a batch, and in place of a batch's: the same world plays the same episodes."""
    catalogue = Catalogue.load("grocery")
    config = WorldConfig(**catalogue.settings, horizon=30, arrival={"r_0": 2.0})
    expected = episode_returns(config, "popularity", 3, 0, catalogue=catalogue)
    assert expected.shape == (3, 2)
    assert expected.any()
    for task, chosen in (
        (config, "grocery"),
        (vector_env(config, 5, catalogue=catalogue), None),
        (vector_env(config), catalogue),
    ):
        np.testing.assert_array_equal(episode_returns(task, "popularity", 3, 0, catalogue=chosen), expected)
    assert not np.array_equal(episode_returns(config, "popularity", 3, 0), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"episodes": 0}, r"episodes = 0 is out of range"),
        ({"episodes": "3"}, r"episodes = '3' must be an integer"),
        ({"seed": -1}, r"seed = -1 is out of range"),
        ({"seed": np.timedelta64(1, "s")}, r"seed = .* must be an integer in \[0, 2\^64\)"),
        ({"policies": 5}, r"policy = 5 must be a Policy object, a name, a folder or module:factory"),
        (
            {"policies": {"recommender_0": "random", 5: "random"}},
            r"policies = {'recommender_0': 'random', 5: 'random'} must have one for each of",
        ),
        ({"policies": {}}, r"policies = {} must have one for each of recommender_0"),
        ({"policies": b"content"}, r"policy = b'content' must be a Policy object"),
        ({"policies": range(2)}, r"policy = range\(0, 2\) must be a Policy object"),
        ({"task": 5}, r"task = 5 must be the name of a task or a WorldConfig"),
        ({"catalogue": 5}, r"catalogue = 5 must be a Catalogue"),
        ({"catalogue": "grocerie"}, r"catalogue 'grocerie' is neither a file nor one of the shipped"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        episode_returns(**{"task": "ecommerce-v1", "policies": "random", "episodes": 2, "seed": 0, **arguments})


def test_static_is_compared_with_where_there_is_one() -> None:
    assert compared(TASKS["news-v1"]) == COMPARED
    assert compared(TASKS["journey-v1"]) == COMPARED  # each role has its own
    assert compared(WorldConfig()) == tuple(name for name in COMPARED if name != "static")
    for task, kind in (("auction-v0", "auction-"), ("creators-v0", "creators-")):
        made = [name for name in compared(TASKS[task]) if name.startswith(kind)]
        assert made == [name for name in TASK_POLICIES if name.startswith(kind)]
        assert "content" not in compared(TASKS[task])
