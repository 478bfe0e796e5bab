"""What a promise of privacy costs, and what an attacker still finds out.

    python -m benchmarks.studies.privacy [--task rivals-v1] [--episodes 400]

There is a row for each epsilon of `observation.privacy_epsilon`. It holds what policies earn that act on their
observations alone; the promise does not cover a policy that remembers clicks by itself. It also holds how often an
attacker names a visitor's main topic, which is the topic whose centre the visitor's taste is nearest to. The attacker
has all observations of an agent over an episode: the profile, and the mean and the last value of each history. It is
tested on the people of half of the copies. Of two attacks the better one counts: the topic whose centre the profile is
nearest to, and a logistic regression that is fitted to the people of the other half with their true tastes. Chance is
the best constant guess in hindsight. `dp-accounting` computes the privacy account of every row a second time.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from recsys_env import WorldConfig, task_config
from recsys_env.evaluation import UNSEEN
from recsys_env.evaluation.episodes import begin_episodes, episode_returns
from recsys_env.evaluation.statistics import interval
from recsys_env.language.pages import unsquashed
from recsys_env.privacy import HISTORY, PROFILE, noise

from ..result_files import store

EPSILONS = (0.1, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 0.0)  # 0: no promise
POLICIES = ("random", "popularity", "nearest", "content", "static")
TOLD = ("profile", "clicked_mean", "topic_counts")


@dataclass
class _Met:
    """A person whom an agent met."""

    topic: int  # nearest to its taste
    nearest: int  # topic nearest to its profile
    total: np.ndarray  # sum of the observations over its pages
    last: np.ndarray = field(default_factory=lambda: np.zeros(0))
    pages: int = 0


def main_topics(task: WorldConfig, episodes: int, seed: int) -> tuple[np.ndarray, ...]:
    """Everybody whom the first agent met: what its observations told of them [P, X], their main topic [P], the topic
    that the profile is nearest to [P], and their copy [P]."""
    envs, team, observations = begin_episodes(task, "random", episodes, seed)
    actions, people = envs.empty_actions(), dict[tuple[int, int], _Met]()
    fields = np.r_[tuple(envs.observation_fields[name] for name in TOLD)]
    for _ in range(task.horizon):
        present = np.flatnonzero(envs.next_visitor[:, 0] >= 0)
        tastes, told = envs.latent_users()["taste"], observations[:, 0, fields].astype(float)
        for b in present.tolist():
            person = int(b), int(envs.next_visitor[b, 0])
            if person not in people:
                profile = unsquashed(told[b, : envs.shape.dims], half=1.0)
                true, seen = (int((envs.world.centres @ vector).argmax()) for vector in (tastes[b], profile))
                people[person] = _Met(true, seen, np.zeros(len(fields)))
            one = people[person]
            one.total, one.last, one.pages = one.total + told[b], told[b], one.pages + 1
        team.act(observations, actions)
        observations, _, _, truncated, infos = envs.step(actions)
        team.observe(infos, truncated)
    features = np.array([np.concatenate((one.total / one.pages, one.last)) for one in people.values()])
    topic, nearest = (np.array([getattr(one, name) for one in people.values()]) for name in ("topic", "nearest"))
    return features, topic, nearest, np.array([copy for copy, _ in people])


def attacked(task: WorldConfig, episodes: int, seed: int) -> dict[str, Any]:
    """How often an attacker is right about people of whom it knows nothing else."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    seen, topic, nearest, copy = main_topics(task, episodes, seed)
    known = copy < episodes // 2
    attacker = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(seen[known], topic[known])
    guesses = {
        "fitted": attacker.predict(seen[~known]),
        "nearest centre": nearest[~known],
        "chance": np.full((~known).sum(), np.bincount(topic[~known]).argmax()),
    }
    right = {name: interval((guess == topic[~known]).astype(float)) for name, guess in guesses.items()}
    return {"people": int((~known).sum()), "right": right}


def second_account(config: WorldConfig) -> float:
    """epsilon by the accountant of privacy-loss distributions in `dp-accounting`."""
    from dp_accounting import GaussianDpEvent, NeighboringRelation
    from dp_accounting.pld import PLDAccountant

    told = config.observation
    blur = noise(told.privacy_epsilon, told.privacy_delta, told.privacy_pages)
    accountant = PLDAccountant(NeighboringRelation.REPLACE_SPECIAL, value_discretization_interval=1e-3)
    accountant.compose(GaussianDpEvent(blur.profile / PROFILE))
    accountant.compose(GaussianDpEvent(blur.history / HISTORY), told.privacy_pages)
    return float(accountant.get_epsilon(told.privacy_delta))


def measured(task: str, episodes: int, seed: int = UNSEEN) -> list[dict[str, Any]]:
    """A row for each epsilon, on the same people."""
    rows = []
    for epsilon in EPSILONS:
        config = task_config(task, {"observation": {"privacy_epsilon": epsilon}})
        told = config.observation
        blur = noise(epsilon, told.privacy_delta, told.privacy_pages) if epsilon else None
        rows.append(
            {
                "epsilon": epsilon or None,
                "delta": told.privacy_delta,
                "pages": told.privacy_pages,
                "profile_noise": blur and blur.profile,
                "history_noise": blur and blur.history,
                "second_account": second_account(config) if epsilon else None,
                "attacker": attacked(config, episodes, seed),
                "own": {
                    policy: interval(episode_returns(config, policy, episodes, seed).mean(1)) for policy in POLICIES
                },
            }
        )
        print({name: rows[-1][name] for name in ("epsilon", "second_account", "attacker")}, flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="rivals-v1")
    parser.add_argument("--episodes", type=int, default=400)
    args = parser.parse_args()
    settings = {"task": args.task, "episodes": args.episodes, "seed": UNSEEN}
    print(store("privacy", settings, {"rows": measured(args.task, args.episodes)}))


if __name__ == "__main__":
    main()
