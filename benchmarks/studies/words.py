"""What words are worth to policies that read them: the requests of visitors, and the titles of new items.

    python -m benchmarks.studies.words [--episodes 200]

Both variants are of `coldstart-v1`, in which next to nothing is known of new people and new items. Words change nothing
of what anybody does there. All policies play held-out episodes, and beside each reader stands the same policy without
the words.

requests     Visitors say what they want (`users.request`). `numbers` is `static` with one more feature: how much the
             encoding of the request (`observation.request`) asks for the candidate's topic, learnt from the clicks on
             pages filled at random. `prompts` is a language agent without a model, in the seat of the first agent
             beside `static`: it reads prompts, and compares what visitors say with candidates by a sentence encoder.
new items    Titles tell of quality and clickbait (`items.title_signal`), and items appear without statistics
             (`items.log_impressions = 0`). The readers are `static` with two more features: the statistics that a ridge
             regression, fitted to items of other catalogues, reads from an item's words. The weights of `static` are
             searched for anew, for a platform without statistics.

The weights of the added features are chosen on training episodes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from recsys_env import VectorEnv, WorldConfig, task_config
from recsys_env.batch.base import copy_seed
from recsys_env.evaluation.episodes import begin_episodes, episode_rewards
from recsys_env.evaluation.statistics import interval
from recsys_env.evaluation.tuning import Budget, best_ranker
from recsys_env.language import Projection, TextPolicy, encode
from recsys_env.language.encoders import HASHING, MINILM
from recsys_env.policies import Policy, Team
from recsys_env.policies.linear import Static
from recsys_env.policies.ranking import Ranker

from ..result_files import store
from .played import CHOSEN_ON, HELD_OUT, play, ratio
from .study import options

TASK = "coldstart-v1"
REQUESTS: Mapping[str, Any] = {"users": {"request": 1.0}, "observation": {"request": True}}
UNHEARD: Mapping[str, Any] = {"roles": ({"name": "recommender", "hidden": ("request",)},)}
NEW_ITEMS: Mapping[str, Any] = {"items": {"titles": "films", "title_signal": 1.0, "log_impressions": 0}}
LOG = 680  # impressions of each item of another catalogue (`items.log_impressions`)
CATALOGUES = range(1, 9)  # world seeds of the other catalogues
STATISTICS = ("ctr", "satisfaction")
SIGNALS = (1.0, 0.5, 0.0)
TRIVIAL = ("random", "popularity", "nearest", "static")
LOGGED = 512  # episodes of pages filled at random
WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)  # of a feature that words tell, of which the best is chosen
TRIED = 16  # episodes of each choice
BUDGET = Budget(population=32, episodes=8, generations=12, searches=1)  # of the search for `static`


# ------------------------------------------------------------------------------------------------ numbers

Topics = Callable[[np.ndarray], np.ndarray]  # encodings of requests [B, E] -> probabilities of the topics [B, T]
Told = Callable[[Ranker, np.ndarray], np.ndarray]  # ranker, observations [B, O] -> features [B, C, X] of the options


class Worded(Static):
    """Ranks as `static` does, with more features, which words tell.

    Args:
        told: these features.
        weights: their weights [X], or [B, X] of each copy.
    """

    def __init__(self, told: Told, weights: np.ndarray) -> None:
        super().__init__()
        self._told, self._weights_of_words = told, weights

    def score(self, observations: np.ndarray) -> np.ndarray:
        added: np.ndarray = (self._told(self, observations) @ self._weights_of_words[..., None])[..., 0]
        return super().score(observations) + added


def chosen(config: WorldConfig, told: Told, features: int) -> np.ndarray:
    """Return the weights [X] of the features that words tell which earn most on training episodes, as a team."""
    candidates = np.array(list(product(WEIGHTS, repeat=features)))
    envs = VectorEnv(config, len(candidates) * TRIED, copy=False)
    weights = np.repeat(candidates, TRIED, axis=0)
    team = Team(envs, {agent: Worded(told, weights) for agent in config.agents}, CHOSEN_ON)
    observations, _ = envs.reset(seed=[copy_seed(CHOSEN_ON, e) for e in range(TRIED)] * len(candidates))
    rewards = episode_rewards(envs, team, observations).individual_rewards
    best: np.ndarray = candidates[rewards.mean(axis=1).reshape(len(candidates), TRIED).mean(axis=1).argmax()]
    return best


def asked_for(config: WorldConfig, episodes: int) -> Topics:
    """Return a multinomial logistic regression of the topic of a click on the encoding of the request, fitted to clicks
    on pages filled at random."""
    from sklearn.linear_model import LogisticRegression

    envs, team, observations = begin_episodes(config, "random", episodes, seed=0)
    actions, said, topics = envs.empty_actions(), [], []
    for _ in range(config.horizon):
        requests = envs.field(observations, "request").copy()
        team.act(observations, actions)
        observations, _, _, truncated, infos = envs.step(actions)
        team.observe(infos, truncated)
        b, n, k = np.nonzero(infos["clicked"])
        said.append(requests[b, n])
        topics.append(envs.world.items["topic"][infos["shown"][b, n, k]])
    found = LogisticRegression(max_iter=1000).fit(np.concatenate(said), np.concatenate(topics))

    def topics_of(requests: np.ndarray) -> np.ndarray:
        odds = np.zeros((len(requests), envs.shape.topics))
        odds[:, found.classes_] = found.predict_proba(requests)  # those that were ever clicked
        return odds

    return topics_of


def by_request(topics_of: Topics) -> Told:
    """Return a feature: the probability that a click is one on the option's topic; 0 where nothing is said of it."""

    def told(ranker: Ranker, observations: np.ndarray) -> np.ndarray:
        requests = ranker.envs.field(observations, "request")
        topics = topics_of(requests) * requests.any(axis=1, keepdims=True)
        of_options = ranker.envs.world.items["topic"][np.maximum(ranker.items, 0)]
        return np.take_along_axis(topics, of_options, axis=1)[..., None]

    return told


def by_words(reads: Projection) -> Told:
    """Return the features that a regression reads from an option's words, for rankers of one world."""
    table: list[np.ndarray] = []

    def told(ranker: Ranker, observations: np.ndarray) -> np.ndarray:
        if not table:
            table.append(reads.place(encode(ranker.envs.texts.full(), HASHING)))
        return table[0][np.maximum(ranker.items, 0)]

    return told


def read_from_others(config: WorldConfig) -> Projection:
    """Return a ridge regression of `STATISTICS` on words, fitted to the items of other catalogues."""
    others = [task_config(config, {"world_seed": seed}) for seed in CATALOGUES]
    texts = [text for other in others for text in VectorEnv(other, 1).texts.full()]
    return Projection.fit(encode(texts, HASHING), np.concatenate([logged_statistics(other) for other in others]))


def logged_statistics(config: WorldConfig) -> np.ndarray:
    """Return the `STATISTICS` [M, 2] of a world's items after a historical log."""
    envs = VectorEnv(task_config(config, {"items": {"log_impressions": LOG}}), 1)
    envs.reset(seed=0)
    items = envs.public_items()
    return np.stack([items[name][0] for name in STATISTICS], axis=1)


# ------------------------------------------------------------------------------------------------ prompts

# Weights of the numbers in a candidate's line, about those of `static` in this task.
NUMBERS = {"fits tastes": 0.7, "fits clicks": 1.0, "liking": 0.5, "clicks": 0.3, "popularity": -0.2}


class Clerk:
    """A language agent without a model: it reads a prompt and picks the candidates whose numbers and words are best.

    Words are good if they are similar to what the visitor says.

    Args:
        encoder: encoder of texts, as in `recsys_env.language.encode`.
    """

    def __init__(self, encoder: str = MINILM) -> None:
        self._encoder = encoder
        self._vectors: dict[str, np.ndarray] = {}

    def __call__(self, prompt: str) -> str:
        candidates = re.findall(r'^\d+\. "(.*?)"(.*): (.*)$', prompt, re.MULTILINE)  # title, description, numbers
        said = re.search(r'^The visitor says: "(.*)"$', prompt, re.MULTILINE)
        slots = re.search(r"Choose (\d+) items", prompt)
        words = [as_written(f"{title}{of}") for title, of, _ in candidates]
        scores = self.scores(words, as_written(said[1]) if said else "")
        best = np.argsort(-scores - [appeal(numbers) for *_, numbers in candidates], kind="stable")
        return f"ANSWER: {', '.join(str(i + 1) for i in best[: int(slots[1]) if slots else 1])}"

    def scores(self, words: Sequence[str], request: str) -> np.ndarray:
        """Return scores [C] of the candidates' words, given a request, which may be empty."""
        if not request:
            return np.zeros(len(words))
        if new := [text for text in dict.fromkeys([request, *words]) if text not in self._vectors]:
            self._vectors |= zip(new, encode(new, self._encoder, cache=False), strict=True)
        found: np.ndarray = np.stack([self._vectors[text] for text in words]) @ self._vectors[request]
        return found


def as_written(text: str) -> str:
    """Return a text with the quotation marks that it had before a prompt told it."""
    return text.replace("”", '"')


def appeal(numbers: str) -> float:
    """Weigh the numbers in a candidate's line."""
    told = re.findall(rf"(?:^|, )({'|'.join(NUMBERS)}) x?([-+]?\d+\.\d+)", numbers)
    return sum(NUMBERS[name] * float(value) / (1 + abs(float(value))) for name, value in told)


# ------------------------------------------------------------------------------------------------ measured


def earned(config: WorldConfig, policy: str | Callable[[], Policy], episodes: int) -> np.ndarray:
    """Return the reward [E] per agent, when all agents play one policy."""
    team = [policy if isinstance(policy, str) else policy() for _ in config.agents]
    return np.asarray(play(config, team, episodes, HELD_OUT)[0].mean(axis=1))


def requests(episodes: int, prompts: int) -> dict[str, Any]:
    """What a request is worth to a ranker that sees its encoding, and to a language agent that reads it."""
    heard = task_config(TASK, REQUESTS)
    rewards = {policy: earned(heard, policy, episodes) for policy in TRIVIAL}
    told = by_request(asked_for(heard, LOGGED))
    weights = chosen(heard, told, 1)
    rewards["numbers"] = earned(heard, partial(Worded, told, weights), episodes)
    for name, config in {"prompts": heard, "prompts, no words": task_config(heard, UNHEARD)}.items():
        team: list[str | Policy] = [TextPolicy(Clerk()), *["static"] * (config.num_agents - 1)]
        rewards[name] = play(config, team, prompts, HELD_OUT)[0][:, 0]
    pairs = {"numbers": "static", "prompts": "prompts, no words"}
    return {**compared(rewards, pairs), "weights": weights.tolist()}


def new_items(episodes: int) -> dict[str, Any]:
    """What titles are worth to a ranker, by how much they tell."""
    plain = task_config(TASK, NEW_ITEMS)
    found = best_ranker(plain, budget=BUDGET)
    fixed = dict(zip(found.names, found.weights[0, 0].round(3).tolist(), strict=True))
    plain = task_config(plain, {"static_weights": fixed})
    rewards = {policy: earned(plain, policy, episodes) for policy in TRIVIAL}
    tells, weights = {}, {}
    for signal in SIGNALS:
        config, name = task_config(plain, {"items": {"title_signal": signal}}), f"signal {signal:g}"
        reads = read_from_others(config)
        told = by_words(reads)
        weights[name] = chosen(config, told, len(STATISTICS))
        rewards[name] = earned(config, partial(Worded, told, weights[name]), episodes)
        read, true = reads.place(encode(VectorEnv(config, 1).texts.full(), HASHING)), logged_statistics(config)
        tells[name] = {of: float(np.corrcoef(read[:, i], true[:, i])[0, 1]) for i, of in enumerate(STATISTICS)}
    return {
        **compared(rewards, dict.fromkeys(tells, "static")),
        "tells": tells,
        "weights": {"static": fixed, **{name: of.tolist() for name, of in weights.items()}},
    }


def compared(rewards: Mapping[str, np.ndarray], pairs: Mapping[str, str]) -> dict[str, Any]:
    """Rewards of each row, and the share by which the first of each pair earns more than the second."""
    return {
        "rewards": {name: interval(values) for name, values in rewards.items()},
        "gains": {one: ratio(rewards[one] - rewards[other], rewards[other]) for one, other in pairs.items()},
    }


def main() -> None:
    given = options(__doc__, episodes=200, prompts=48)  # episodes, and episodes of the language agent, which is slow
    settings = {"task": TASK, "episodes": given.episodes, "prompts": given.prompts, "encoder": MINILM}
    result = {"requests": requests(given.episodes, given.prompts), "new items": new_items(given.episodes)}
    print(store("words", settings, result))


if __name__ == "__main__":
    main()
