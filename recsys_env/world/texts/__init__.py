"""Texts of items, topics and domains: those of a fitted catalogue, or generated ones of a synthetic world.

poles.py     what stands for each direction of taste
titles.py    titles that read like goods, films or headlines
requests.py  what visitors say that they want
measure.py   how much texts tell of a number

Generated texts say what could be printed on a box: what an item is about, how its price compares with others of its
topic, and how long it is. A word means the same direction of taste in every world, so an agent that has learned to read
one catalogue can read another. Keywords (`items.titles = "keywords"`) say nothing else. Titles of other kinds may also
tell of quality and clickbait, as much as `items.title_signal` says.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...config import WorldConfig
from .poles import POLES, VOCABULARY
from .titles import Item, write

if TYPE_CHECKING:
    from ...config.catalogue import Catalogue
    from ..arrays import World

# Where items are to be had, by kind of title; beyond the last they begin anew with a number.
DOMAINS = {
    "keywords": ("films", "books", "songs", "games", "shows", "news", "podcasts", "courses"),
    "goods": ("ground floor", "first floor", "second floor", "third floor", "basement", "annexe"),
    "films": ("in cinemas", "on television", "on disc", "to stream", "at festivals", "in the archive"),
    "headlines": ("Courier", "Herald", "Gazette", "Observer", "Tribune", "Bulletin"),
}
PRICES = ("cheap", "mid-priced", "dear")
LENGTHS = ("short", "of medium length", "long")
MIDDLE = 0.3  # half the width of the middle level, in log price (of its topic) and log length
TOPIC_WORDS = 2  # an item has one more
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")  # control characters, and what else ends a line


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
    return [f"{title}{'' if title.endswith('!') else '.'} {said}" if said else str(title) for title, said in pairs]


def on_one_line(text: str) -> str:
    """Return the text with spaces in place of control characters and line breaks."""
    return _CONTROLS.sub(" ", text)


def texts_of(config: WorldConfig, world: World, catalogue: Catalogue | None) -> Texts:
    """Return the texts of a world: its catalogue's, or generated ones if its items are synthetic.

    No text contains control characters or line breaks.
    """
    if catalogue is not None:
        named = (catalogue.item_name, catalogue.item_text, catalogue.topic_name, catalogue.domain_name)
        return Texts(*(np.array([on_one_line(text) for text in texts.tolist()]) for texts in named))
    items, topics = world.items, topic_names(world.centres)
    domains = _domain_names(config, int(items["domain"].max()) + 1)
    parts = [
        [topics[t] for t in items["topic"]],
        [domains[x] for x in items["domain"]] if len(domains) > 1 else None,
        _levels(items["log_price"], PRICES),
        _levels(np.log(items["length"]), LENGTHS),
    ]
    facts = ["; ".join(each) for each in zip(*filter(None, parts), strict=True)]
    if config.items.titles == "keywords":
        titles, said = [", ".join(words).capitalize() for words in _words(world.item_vectors)], facts
    else:
        titles, said = _prose(config, world, facts)
    return Texts(np.array(titles), np.array(said), np.array(topics), np.array(domains))


def _domain_names(config: WorldConfig, number: int) -> list[str]:
    """Return a name for each domain: the names of the roles if each shows one domain alone, else generic ones."""
    owners = {role.domains: role.name for role in config.roles}
    if number > 1 and len(config.roles) == number and set(owners) == {(x,) for x in range(number)}:
        return [owners[x,] for x in range(number)]
    names = DOMAINS[config.items.titles]
    return [_numbered(names[x % len(names)], x // len(names)) for x in range(number)]


def _prose(config: WorldConfig, world: World, facts: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return titles and descriptions that read like goods, films or headlines. They speak of the first 16 dimensions:
    there are no words for more."""
    about = _words(world.item_vectors[:, : len(POLES)])
    # With fewer dimensions than words, the words begin anew.
    poles = [tuple(VOCABULARY[words[i % len(words)]] for i in range(TOPIC_WORDS + 1)) for words in about]
    ranks = _ranks(world.items["quality"]), _ranks(world.items["bait"])
    items = [Item(*each) for each in zip(poles, facts, *ranks, strict=True)]
    return write(config.items.titles, items, config.world_seed, config.items.title_signal)


def topic_names(centres: np.ndarray) -> list[str]:
    """Return a name for each topic, by the two largest coordinates of its centre [T, D]."""
    return _distinct([" and ".join(poles) for poles in topic_poles(centres)])


def topic_poles(centres: np.ndarray) -> list[list[str]]:
    """Return the ends of dimensions that each topic is about, by the largest coordinates of its centre [T, D]."""
    return [words[:TOPIC_WORDS] for words in _words(np.asarray(centres, np.float32))]


def _ranks(values: np.ndarray) -> list[float]:
    """Return the share of values that are smaller than each."""
    ranks = np.empty(len(values))
    ranks[np.argsort(values, kind="stable")] = np.arange(len(values)) / len(values)
    return list(ranks.tolist())


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
