"""What a promise of privacy costs, and what attackers still find out.

    python -m benchmarks.studies.privacy [--task rivals-v1] [--episodes 400]

There is a row for each epsilon of `observation.privacy_epsilon`. It holds what policies earn that act on their
observations alone, and how often each of `ATTACKERS` is right, beside how often it would be right by chance. The
attackers know what the first agent knows over an episode. The promise covers all but the last two of them, which
use that the profile of a person stays the same, and the feedback on the agent's own slots.

Most attackers name a visitor's main topic, which is the topic whose centre the visitor's taste is nearest to. Those
that are fitted to examples learn from the people of half of the copies, with their true tastes, and all are tested on
the people of the other half. Chance is then the best constant guess in hindsight. `dp-accounting` computes the privacy
account of every row a second time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from recsys_env import VectorEnv, WorldConfig, task_config
from recsys_env.batch.observations import unsquashed
from recsys_env.config.privacy import HISTORY, PROFILE, noise
from recsys_env.evaluation import UNSEEN
from recsys_env.evaluation.episodes import begin_episodes, episode_returns
from recsys_env.evaluation.statistics import interval
from recsys_env.language.pages import plain

from ..result_files import store
from .study import options

EPSILONS = (0.1, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 0.0)  # 0: no promise
POLICIES = ("random", "popularity", "nearest", "content", "static")
TOLD = ("profile", "clicked_mean", "topic_counts")
STATISTICS = ("popularity", "ctr", "satisfaction")  # features of candidates that hold everybody's clicks
MANY = 5  # clicks after which statistics tell more of a visitor


# ------------------------------------------------------------------------------------------------ what an agent sees


class Seen(NamedTuple):
    """The pages that the first agent sees over an episode, by copy and then in the order of time, and what is true of
    its visitors."""

    envs: VectorEnv
    copy: np.ndarray  # [P] of each page
    tick: np.ndarray  # [P]
    person: np.ndarray  # [P] number of the visitor among all whom the agent meets
    observations: np.ndarray  # [P, O]
    candidates: np.ndarray  # [P, C] items
    clicked: np.ndarray  # [P] item that was clicked in the agent's own slots; -1 = none
    clicks: np.ndarray  # [X, 3] copy, tick and item of every click on the platform, in anybody's slots
    home: np.ndarray  # [V] copy of each visitor
    topic: np.ndarray  # [V] its main topic

    def field(self, name: str) -> np.ndarray:
        """A field of the observations [P, size], without squashing."""
        return plain(self.envs, self.observations, name).astype(float)

    def statistics(self) -> np.ndarray:
        """`STATISTICS` of the candidates [P, C, 3] as the agent observes them, without squashing."""
        names = self.envs.candidate_features
        listed = self.envs.field(self.observations, "candidates").reshape(*self.candidates.shape, len(names))
        found = listed[..., [names.index(name) for name in STATISTICS]].astype(float)
        found[..., 0] = unsquashed(found[..., 0], STATISTICS[0])
        return found

    def last_page(self) -> np.ndarray:
        """The last page [V] of each visitor."""
        found = np.zeros(len(self.topic), int)
        np.maximum.at(found, self.person, np.arange(len(self.person)))
        return found

    def mean(self, rows: np.ndarray) -> np.ndarray:
        """The means [V, X] over each visitor's pages of rows [P, X]."""
        total = np.zeros((len(self.topic), rows.shape[1]))
        np.add.at(total, self.person, rows)
        return total / np.bincount(self.person)[:, None]


def seen(task: WorldConfig, episodes: int, seed: int) -> Seen:
    """Let random teams play, and note what the first agent sees."""
    envs, team, observations = begin_episodes(task, "random", episodes, seed)
    actions, pages, tastes, clicks = envs.empty_actions(), [], [], []
    for tick in range(task.horizon):
        visitor, candidates = envs.next_visitor[:, 0].copy(), envs.candidates[:, 0].copy()
        copies = np.flatnonzero(visitor >= 0)
        tastes.append(envs.latent_users()["taste"][copies])
        page = copies, np.full(len(copies), tick), visitor[copies], observations[copies, 0], candidates[copies]
        team.act(observations, actions)
        observations, _, _, truncated, infos = envs.step(actions)
        team.observe(infos, truncated)
        items = np.where(infos["clicked"], infos["shown"], -1)
        pages.append((*page, items[copies, 0].max(1)))
        copy, agent, slot = np.nonzero(items >= 0)
        clicks.append(np.stack((copy, np.full(len(copy), tick), items[copy, agent, slot]), 1))
    columns = [np.concatenate(column) for column in (*zip(*pages, strict=True), tastes)]
    order = np.lexsort((columns[1], columns[0]))
    home, ticks, visitor, told, candidates, clicked, taste = (column[order] for column in columns)
    people, first, person = np.unique(np.stack((home, visitor), 1), axis=0, return_index=True, return_inverse=True)
    topic = (taste[first] @ envs.world.centres.T).argmax(1)
    person = person.reshape(-1)
    return Seen(envs, home, ticks, person, told, candidates, clicked, np.concatenate(clicks), people[:, 0], topic)


# ------------------------------------------------------------------------------------------------ attackers


class Guesses(NamedTuple):
    """Whether each guess of an attacker was right, and whether it would have been by chance (shares, or 0 and 1)."""

    right: np.ndarray
    chance: np.ndarray


def profile(pages: Seen) -> Guesses:
    """Name as main topic the topic whose centre the profile is nearest to."""
    told = pages.field("profile")[pages.last_page()]
    return named(pages, (told @ pages.envs.world.centres.T).argmax(1))


def profile_and_history(pages: Seen) -> Guesses:
    """Name the main topic by a logistic regression on the mean and the last value of profile and history."""
    told = np.concatenate([pages.field(name) for name in TOLD], 1)
    return named(pages, fitted(pages, np.concatenate((pages.mean(told), told[pages.last_page()]), 1)))


def statistics(pages: Seen) -> Guesses:
    """Name the main topic from the statistics of the candidates alone."""
    return named(pages, topics_by_statistics(pages))


def statistics_after_clicks(pages: Seen) -> Guesses:
    """The same, of visitors who have clicked at least `MANY` items in the agent's slots."""
    clicks = np.bincount(pages.person, pages.clicked >= 0)
    return named(pages, topics_by_statistics(pages), clicks >= MANY)


def topics_by_statistics(pages: Seen) -> np.ndarray:
    """The main topics [V] that a logistic regression names by the statistics of the candidates on a visitor's pages:
    their means by topic, and how many items of each topic rise in popularity at that time."""
    topics, number = pages.envs.world.items["topic"], pages.envs.shape.topics
    of_topic = np.where(pages.candidates >= 0, topics[pages.candidates], -1)[:, :, None] == np.arange(number)
    totals = np.einsum("pct,pcs->pts", of_topic, pages.statistics()).reshape(len(of_topic), -1)
    counts = np.repeat(of_topic.sum(1), len(STATISTICS), axis=1)
    means = pages.mean(totals) / np.maximum(pages.mean(counts), 1e-9)
    twice = seen_twice(pages)
    first, second, topic = twice.first[twice.risen], twice.second[twice.risen], topics[twice.item[twice.risen]]
    changes = np.zeros((len(pages.copy) + 1, number))  # of the number of rises on a page; each is spread over the
    np.add.at(changes, (first, topic), 1 / (second - first))  # pages between which it happened
    np.subtract.at(changes, (second, topic), 1 / (second - first))
    return fitted(pages, np.concatenate((means, pages.mean(changes.cumsum(0)[:-1])), 1))


def rises(pages: Seen) -> Guesses:
    """Say of each candidate that the agent has seen before whether it was clicked in between: it was if its popularity
    has risen. Right: of those that were clicked, the share that is found. Chance: the share of the others of which the
    attacker says the same."""
    items, ticks, twice = pages.envs.shape.items, pages.envs.config.horizon, seen_twice(pages)

    def moment(copy: np.ndarray, item: np.ndarray, tick: np.ndarray) -> np.ndarray:
        """A number for each, in the order of copy, item and tick."""
        return (copy * items + item) * (ticks + 1) + tick

    happened = np.sort(moment(pages.clicks[:, 0], pages.clicks[:, 2], pages.clicks[:, 1]))
    until = [
        np.searchsorted(happened, moment(pages.copy[page], twice.item, pages.tick[page]))
        for page in (twice.first, twice.second)
    ]
    clicked = until[1] > until[0]
    return Guesses(twice.risen[clicked], twice.risen[~clicked])


class SeenTwice(NamedTuple):
    """Candidates that the agent sees again in the same copy."""

    first: np.ndarray  # [X] page on which it was seen before
    second: np.ndarray  # [X] page on which it is seen again
    item: np.ndarray  # [X]
    risen: np.ndarray  # [X] whether its popularity has risen from the first to the second


def seen_twice(pages: Seen) -> SeenTwice:
    envs, there = pages.envs, pages.candidates >= 0
    page, _ = np.nonzero(there)
    item = pages.candidates[there]
    counts = pages.statistics()[..., 0][there] / envs.world.params["shape"]["popularity_scale"][0]
    order = np.lexsort((page, item, pages.copy[page]))
    page, item, counts = page[order], item[order], counts[order]
    again = 1 + np.flatnonzero((item[1:] == item[:-1]) & (pages.copy[page[1:]] == pages.copy[page[:-1]]))
    first, second = page[again - 1], page[again]
    left = 0.5 ** ((pages.tick[second] - pages.tick[first]) / envs.config.items.popularity_half_life)
    risen = counts[again] - left * counts[again - 1] > left / 2  # half of the least that a click leaves
    return SeenTwice(first, second, item[again], risen)


def links(pages: Seen) -> Guesses:
    """Name the earlier page of a visitor that comes back after others: the page with the most similar profile. Right:
    it was the same person's. Chance: the share of all earlier pages that were this person's."""
    told, right, chance = pages.field("profile"), [], []
    for copy in range(pages.envs.num_envs):
        here = pages.copy == copy
        person, profiles = pages.person[here], told[here]
        for i in range(1, len(person)):
            same = person[:i] == person[i]
            if same.any() and not same[-1]:
                right.append(same[distances(profiles[:i], profiles[i]).argmin()])
                chance.append(same.mean())
    return Guesses(np.array(right), np.array(chance))


def linked_clicks(pages: Seen) -> Guesses:
    """Name as main topic the one of which most items were clicked in the agent's own slots, on the pages whose profile
    is the most similar to the visitor's. Tested on visitors who have clicked there."""
    told, topics = pages.field("profile"), pages.envs.world.items["topic"]
    guess = np.full(len(pages.topic), -1)
    for visitor, last in enumerate(pages.last_page()):
        kept = np.flatnonzero((pages.copy == pages.copy[last]) & (pages.clicked >= 0))
        if (pages.person[kept] == visitor).any():
            far = distances(told[kept], told[last])
            guess[visitor] = np.bincount(topics[pages.clicked[kept[far <= far.min() + 1e-5]]]).argmax()
    return named(pages, guess, guess >= 0)


ATTACKERS: dict[str, Callable[[Seen], Guesses]] = {
    "topic by profile": profile,
    "topic by profile and history": profile_and_history,
    "topic by statistics": statistics,
    f"topic by statistics, {MANY} clicks": statistics_after_clicks,
    "clicks by statistics": rises,
    "linking": links,
    "topic by linked clicks": linked_clicks,
}


def named(pages: Seen, guess: np.ndarray, among: np.ndarray | None = None) -> Guesses:
    """Whether main topics [V] are guessed right, and whether the best constant guess would be, of the visitors in the
    second half of the copies (`among` [V], if given)."""
    tested = ~examples(pages) if among is None else ~examples(pages) & among
    topic = pages.topic[tested]
    return Guesses(guess[tested] == topic, topic == np.bincount(topic).argmax())


def fitted(pages: Seen, rows: np.ndarray) -> np.ndarray:
    """The main topics [V] that a logistic regression on rows [V, X] names, fitted to the visitors in the first half of
    the copies."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    known = examples(pages)
    attacker = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    return attacker.fit(rows[known], pages.topic[known]).predict(rows)  # type: ignore[no-any-return]


def examples(pages: Seen) -> np.ndarray:
    """Which visitors [V] attackers may learn from."""
    return pages.home < pages.envs.num_envs // 2


def distances(rows: np.ndarray, row: np.ndarray) -> np.ndarray:
    return np.linalg.norm(rows - row, axis=1)


def attacked(task: WorldConfig, episodes: int, seed: int) -> dict[str, Any]:
    """How often each attacker is right, how often it would be by chance, and of how many."""
    pages, found = seen(task, episodes, seed), {}
    for name, attacker in ATTACKERS.items():
        right, chance = attacker(pages)
        found[name] = {
            "right": interval(right.astype(float)),
            "chance": interval(chance.astype(float)),
            "number": len(right),
        }
    return found


# ------------------------------------------------------------------------------------------------ the study


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
                "attackers": attacked(config, episodes, seed),
                "individual_reward": {
                    policy: interval(episode_returns(config, policy, episodes, seed).mean(1)) for policy in POLICIES
                },
            }
        )
        print({name: rows[-1][name] for name in ("epsilon", "second_account", "attackers")}, flush=True)
    return rows


def main() -> None:
    given = options(__doc__, task="rivals-v1", episodes=400)
    settings = {"task": given.task, "episodes": given.episodes, "seed": UNSEEN}
    print(store("privacy", settings, {"rows": measured(given.task, given.episodes)}))


if __name__ == "__main__":
    main()
