"""Requests in words: what they name, and what can be read from their numbers."""

import dataclasses
import hashlib
import re

import numpy as np
import pytest

from recsys_env import TASKS, Catalogue, VectorEnv, WorldConfig, replace
from recsys_env.kernels.equations import in_python
from recsys_env.kernels.requests import BUDGETS, PHRASINGS, request_row
from recsys_env.world.texts import POLES, topic_names, topic_poles
from recsys_env.world.texts.poles import VOCABULARY
from recsys_env.world.texts.requests import (
    FRAMES,
    SAID_OF_BUDGETS,
    WIDTH,
    Requests,
    requests_of,
)

# SHA-256 of the requests of a world
TEXTS = "3d705a7bf404559241f568aaabae4c7c0ebd3059afefcc8bf6b54042563ab2ca"
VECTORS = "7be4f31a704ca341bed4d5ac3c4061c38488952a073f8936b2ee9989916c11f6"
TOPICS = 12


def centres(seed: int = 0, topics: int = TOPICS, dims: int = 16) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((topics, dims))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def config(kind: str = "goods", seed: int = 0) -> WorldConfig:
    return WorldConfig(world_seed=seed, items={"titles": kind})


def tokens(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def labels(requests: Requests) -> tuple[np.ndarray, np.ndarray]:
    """Topic, from -1 on, and budget of each request."""
    rows = np.arange(len(requests.texts)) // PHRASINGS
    return rows // len(BUDGETS) - 1, rows % len(BUDGETS)


def readable(vectors: np.ndarray, classes: np.ndarray) -> float:
    """Share of classes that a linear model, softmax regression, tells."""
    x, y = np.c_[np.ones(len(vectors)), vectors], np.eye(classes.max() + 1)[classes]
    weights, speed = np.zeros((x.shape[1], y.shape[1])), 0.0
    for _ in range(2500):  # until it has converged
        odds = np.exp(x @ weights)
        speed = 0.9 * speed + 4 * x.T @ (y - odds / odds.sum(1, keepdims=True)) / len(x)
        weights = weights + speed
    return float(((x @ weights).argmax(1) == classes).mean())


@pytest.mark.parametrize("kind", ["keywords", "goods", "films", "headlines"])
def test_requests_name_their_topic_and_budget_and_no_other(kind: str) -> None:
    made = requests_of(config(kind), centres(), None)
    assert made.texts.shape == ((TOPICS + 1) * len(BUDGETS) * PHRASINGS,)
    assert len(set(made.texts)) == len(made.texts)
    assert (len(SAID_OF_BUDGETS), len(FRAMES)) == (len(BUDGETS), PHRASINGS)
    assert all(text.isprintable() for text in made.texts)
    names, poles = topic_names(centres()), topic_poles(centres())
    used: dict[str, set[int]] = {}
    for row, (topic, budget) in enumerate(zip(*labels(made), strict=True)):
        text = made.texts[row]
        assert in_python(request_row)(topic, budget, row % PHRASINGS) == row
        assert [any(f", {said}" in text for said in of) for of in SAID_OF_BUDGETS[1:]] == [
            budget == i for i in range(1, len(BUDGETS))
        ]
        assert [f'"{name}"' in text for name in names].count(True) <= 1
        words = [
            word
            for pole in VOCABULARY.values()
            for word in pole.requests
            if f"about {word}" in text.lower() or f"for {word}" in text.lower()
        ]
        if topic < 0:
            assert not words
            assert '"' not in text
        elif f'"{names[topic]}"' not in text:
            (word,) = words
            assert word in {word for pole in poles[topic] for word in VOCABULARY[pole].requests}
            used.setdefault(word, set()).add(int(topic))
    assert len(used) >= 2 * TOPICS
    assert all(len(topics) == 1 for topics in used.values())


def test_no_two_things_that_can_be_asked_for_share_a_word() -> None:
    small = {"the", "a", "at", "in", "of", "on"}
    asked = [word for pole in VOCABULARY.values() for word in pole.requests]
    said = [*asked, *(" ".join(of) for of in SAID_OF_BUDGETS), *(name for ends in POLES for name in ends)]
    times = [word for text in said for word in tokens(text) - small]
    assert sorted(set(times)) == sorted(times)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_topic_and_budget_can_be_read_from_the_numbers(seed: int) -> None:
    made = requests_of(config(seed=seed), centres(seed), None)
    assert made.vectors.shape == (len(made.texts), WIDTH)
    assert made.vectors.dtype == np.float32
    topic, budget = labels(made)
    assert readable(made.vectors, topic + 1) > 0.99
    assert readable(made.vectors, budget) > 0.99
    norms = np.linalg.norm(made.vectors, axis=1)
    np.testing.assert_allclose(norms, (topic >= 0) | (budget > 0), atol=1e-6)


def test_requests_are_the_same_everywhere() -> None:
    made = requests_of(config(seed=3), np.eye(8, 16) - 0.5 * np.eye(8, 16, 3), None)
    assert hashlib.sha256("\n".join(made.texts).encode()).hexdigest() == TEXTS
    assert hashlib.sha256(made.vectors.tobytes()).hexdigest() == VECTORS


def test_a_catalogues_topics_are_named_whatever_their_names_are() -> None:
    grocery = Catalogue.load("grocery")
    names = grocery.topic_name.astype("<U40")
    names[:4] = ['7" plates', "a\nb\u2028c", "***", "Käse & Öl {0}"]
    odd = dataclasses.replace(grocery, topic_name=names)
    made = requests_of(replace(TASKS["grocery-v1"], {"catalogue": ""}), centres(), odd)
    topic, budget = labels(made)
    assert len(made.texts) == (len(names) + 1) * len(BUDGETS) * PHRASINGS
    assert all(text.isprintable() for text in made.texts)
    for t, name in enumerate(('7" plates', "a b c", "topic 3", "Käse & Öl {0}", str(names[4]))):
        assert all(f'from the "{name}" section' in text for text in made.texts[topic == t])
    assert readable(made.vectors, topic + 1) > 0.99
    assert readable(made.vectors, budget) > 0.99


def test_an_assigned_world_speaks_its_own_requests() -> None:
    asking = WorldConfig(users={"request": 0.5})
    envs, other = VectorEnv(asking), VectorEnv(replace(asking, {"world_seed": 1}))
    before = envs.requests
    envs.world = other.world
    assert envs.requests is not before  # of this config's words, for the topics of the world
    assert envs.requests.texts.tolist() != before.texts.tolist()
