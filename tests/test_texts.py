"""What items are called: what the words say, what they must not say, and a fitted catalogue's own."""

import numpy as np
import pytest

from recsys_env import TASKS, Catalogue, replace, vector_env
from recsys_env.texts import DOMAINS, LENGTHS, POLES, PRICES, Texts, texts_of

SHOP = "ecommerce-v1"


def texts(task: str = SHOP, **changes) -> Texts:
    return vector_env(task, **changes).texts


def test_words_are_those_of_the_largest_coordinates() -> None:
    envs = vector_env(SHOP)
    for j in (0, 7, 41):
        q = envs.world.item_vectors[j]
        words = [POLES[d][int(q[d] < 0)] for d in np.argsort(-np.abs(q))[:3]]
        assert envs.texts.titles[j] == ", ".join(words).capitalize()
        assert envs.texts.descriptions[j].startswith(envs.texts.topics[envs.world.items["topic"][j]])


def test_a_word_is_the_same_direction_in_every_world() -> None:
    """Who learned what words mean in one catalogue knows it in another."""
    for seed in (1, 2):
        envs = vector_env(SHOP, world_seed=seed)
        near_the_sea = np.array([title.lower().startswith("sea") for title in envs.texts.titles])
        assert envs.world.item_vectors[near_the_sea, 0].min() > 0.4 > envs.world.item_vectors[~near_the_sea, 0].mean()


def test_prices_and_lengths_are_told_in_three_levels_where_they_differ() -> None:
    envs = vector_env("streaming-v1")
    length = np.log(envs.world.items["length"])
    for j, said in enumerate(envs.texts.descriptions):
        level = 0 if length[j] < -0.3 else 2 if length[j] >= 0.3 else 1
        assert said.split("; ")[-1] == LENGTHS[level]
    said = texts().descriptions
    assert {word for each in said for word in each.split("; ")[1:]} == set(PRICES)  # lengths are all the same there


def test_neither_quality_nor_bait_is_told() -> None:
    """The words follow from what everybody sees: other qualities, baits and intercepts leave them as they are."""
    envs = vector_env(SHOP)
    rng = np.random.default_rng(0)
    items = envs.world.items.copy()
    for hidden in ("quality", "bait", "intercept", "popularity"):
        assert np.ptp(items[hidden]) > 0 or hidden == "intercept"
        items[hidden] = rng.permutation(items[hidden])
    again = texts_of(envs.config, envs.world._replace(items=items), None)
    np.testing.assert_array_equal(again.titles, envs.texts.titles)
    np.testing.assert_array_equal(again.descriptions, envs.texts.descriptions)


def test_topics_and_domains_have_names_of_their_own() -> None:
    many = texts(items={"topics": 60, "number": 300, "dims": 3, "domains": 9}, candidates={"number": 20})
    assert len(set(many.topics)) == 60
    assert list(many.domains) == [*DOMAINS["keywords"], "films 2"]
    assert many.descriptions[8].split("; ")[1] == "films 2"
    wide = texts(items={"dims": 40})
    assert any(word.strip().endswith(" 2") for title in wide.titles for word in title.split(","))
    assert list(texts(items={"dims": 1, "topics": 2}).topics) in (
        ["sea", "city"],
        ["city", "sea"],
        ["sea", "sea 2"],
        ["city", "city 2"],
    )


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_words(task: str) -> None:
    envs = vector_env(task)
    said = envs.texts
    assert said.titles.shape == said.descriptions.shape == (envs.shape.items,)
    assert said.topics.shape == (envs.shape.topics,)
    assert all([*said.titles, *said.topics, *said.domains])
    assert len(said.full()) == envs.shape.items


def test_a_catalogue_brings_its_own() -> None:
    grocery, said = Catalogue.load("grocery"), texts("grocery-v1")
    assert said.titles[0] == grocery.item_name[0] == "Pasta sauce: mainstream 26 oz"
    assert said.descriptions[0] == "national brand of manufacturer 754; grocery"
    assert said.full()[0] == "Pasta sauce: mainstream 26 oz. national brand of manufacturer 754; grocery"
    assert list(said.domains[:3]) == ["Deli", "Drug gm", "Floral"]


def test_inventories_are_made_of_a_catalogues_domains() -> None:
    roles = ({"name": "deli", "domains": (0,)}, {"name": "rest", "domains": tuple(range(1, 13))})
    envs = vector_env(replace(TASKS["grocery-v1"], {"num_agents": 2, "roles": roles}))
    deli = Catalogue.load("grocery").item_domain == 0
    np.testing.assert_array_equal(envs.world.allowed, [deli, ~deli])
    with pytest.raises(ValueError, match=r"domains holds 13, but the world has 13 domains, from 0 on"):
        vector_env(replace(TASKS["grocery-v1"], {"roles": ({"name": "a", "domains": (13,)},)}))
