"""Texts of items, topics and domains: those of a fitted catalogue, or generated ones of a synthetic world.

Generated texts say what could be printed on a box: what an item is about, how its price compares with others of its
topic, and how long it is. They are a pure function of vectors, topics, domains, list prices and lengths, so they reveal
nothing about quality or clickbait. A word means the same direction of taste in every world, so an agent that has
learned to read one catalogue can read another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .arrays import World
    from .catalogue import Catalogue

# The two ends of each dimension of taste, and the kinds of things; beyond the last they begin anew with a number.
POLES = (
    ("sea", "city"), ("night", "morning"), ("crime", "romance"), ("history", "future"), ("nature", "machines"),
    ("family", "travel"), ("comedy", "tragedy"), ("sport", "art"), ("food", "money"), ("science", "faith"),
    ("youth", "age"), ("music", "silence"), ("winter", "summer"), ("magic", "facts"), ("war", "peace"),
    ("animals", "politics"),
)  # fmt: skip
DOMAINS = ("films", "books", "songs", "games", "shows", "news", "podcasts", "courses")
PRICES = ("cheap", "mid-priced", "dear")
LENGTHS = ("short", "of medium length", "long")
MIDDLE = 0.3  # half the width of the middle level, in log price (of its topic) and log length
TOPIC_WORDS = 2  # an item has one more


@dataclass(frozen=True)
class Texts:
    """The texts of a world; M items, T topics, X domains.

    Attributes:
        titles: [M], not necessarily unique.
        descriptions: [M] further texts of the items; empty where there are none.
        topics: [T] names.
        domains: [X] names.
    """

    titles: np.ndarray
    descriptions: np.ndarray
    topics: np.ndarray
    domains: np.ndarray

    def full(self) -> list[str]:
        """Return title and description of each item [M] as one text."""
        return full_texts(self.titles, self.descriptions)


def full_texts(titles: np.ndarray, descriptions: np.ndarray) -> list[str]:
    """Return title and description of each item [M] as one text."""
    pairs = zip(titles.tolist(), descriptions.tolist(), strict=True)
    return [f"{title}. {said}" if said else str(title) for title, said in pairs]


def texts_of(world: World, catalogue: Catalogue | None) -> Texts:
    """Return the texts of a world: its catalogue's, or generated ones if its items are synthetic."""
    if catalogue is not None:
        return Texts(catalogue.item_name, catalogue.item_text, catalogue.topic_name, catalogue.domain_name)
    items = world.items
    domains = [_numbered(DOMAINS[x % len(DOMAINS)], x // len(DOMAINS)) for x in range(items["domain"].max() + 1)]
    topics = _distinct([" and ".join(words[:TOPIC_WORDS]) for words in _words(world.centres)])
    titles = [", ".join(words).capitalize() for words in _words(world.item_vectors)]
    parts = [
        [topics[t] for t in items["topic"]],
        [domains[x] for x in items["domain"]] if len(domains) > 1 else None,
        _levels(items["log_price"], PRICES),
        _levels(np.log(items["length"]), LENGTHS),
    ]
    said = ["; ".join(each) for each in zip(*filter(None, parts), strict=True)]
    return Texts(np.array(titles), np.array(said), np.array(topics), np.array(domains))


def _words(vectors: np.ndarray) -> list[list[str]]:
    """Return the words of each vector: the signed directions of its largest coordinates, largest first."""
    largest = np.argsort(-np.abs(vectors), axis=1, kind="stable")[:, : TOPIC_WORDS + 1]
    negative = np.take_along_axis(vectors < 0, largest, axis=1).astype(int)
    return [
        [_numbered(POLES[d % len(POLES)][end], d // len(POLES)) for d, end in zip(*row, strict=True)]
        for row in zip(largest.tolist(), negative.tolist(), strict=True)
    ]


def _levels(values: np.ndarray, words: Sequence[str]) -> list[str] | None:
    """Return a word for the size of each value; empty where all values are equal."""
    return [words[level] for level in np.digitize(values, (-MIDDLE, MIDDLE))] if np.ptp(values) > 0 else None


def _distinct(names: Iterable[str]) -> list[str]:
    """Make names unique by numbering repeated names from the second one on."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        found.append(_numbered(name, seen[name]))
        seen[name] += 1
    return found


def _numbered(name: str, before: int) -> str:
    """Append a number to a name that occurred `before` times already."""
    return f"{name} {before + 1}" if before else name
