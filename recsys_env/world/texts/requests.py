"""Requests in words: what a visitor says at the start of a session, and its encoding for agents without language.

    requests = requests_of(config, centres, catalogue)
    requests.texts[row]      # "Do you have something for boating, not too expensive?"
    requests.vectors[row]    # [32]

A request names a topic, or none (it is vague), and a budget, or none. Topics are named in two ways: by their name, as
the shop writes it, and by other words for the directions of taste that they are made of (`poles.py`). Each world has
its own choice of these words, and no two topics of a world share one. Who reads knows them; who sees vectors only has
to learn them.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...config import WorldConfig
from ...kernels.requests import BUDGETS, PHRASINGS
from . import TOPIC_WORDS, on_one_line, topic_names, topic_poles
from .poles import VOCABULARY, WORDS
from .titles import shuffled

if TYPE_CHECKING:
    from ...config.catalogue import Catalogue

WIDTH = 32  # E, numbers of an encoding; at most 256
SAID_OF_BUDGETS: list[list[str]] = WORDS["requests"]["budgets"]  # nothing, and three budgets
PREFERRED = 3  # words that a world has for each topic and each budget
THINGS = {"keywords": "something", "goods": "something", "films": "a film", "headlines": "a story"}
FRAMES: list[str] = WORDS["requests"]["frames"]  # one for each phrasing
BY_NAME = 4  # every fourth phrasing names the topic as the shop does
VAGUE: list[str] = WORDS["requests"]["vague"]  # likewise


class Requests(NamedTuple):
    """All requests of a world; R = (T + 1) · budgets · phrasings, in the order of `kernels.requests.request_row`.

    Attributes:
        texts: [R].
        vectors: [R, E] float32 of unit length, or zeros where neither topic nor budget is named: see `encode_words`.
    """

    texts: np.ndarray
    vectors: np.ndarray


def requests_of(config: WorldConfig, centres: np.ndarray, catalogue: Catalogue | None) -> Requests:
    """Return the requests of a world; a pure function of the topics' names, or centres [T, D], and `world_seed`."""
    kind = "keywords" if catalogue is not None else config.items.titles
    if catalogue is not None:
        names = [on_one_line(name) for name in catalogue.topic_name.tolist()]
        names = [name if re.search(r"\w", name) else f"topic {t + 1}" for t, name in enumerate(names)]
        words: list[list[str]] = [[] for _ in names]
    else:
        names, words = topic_names(centres), _words_of_topics(centres, config.world_seed)
    budgets = [
        shuffled(said, f"{config.world_seed} {budget}")[:PREFERRED]
        for budget, said in zip(BUDGETS, SAID_OF_BUDGETS, strict=True)
    ]
    rows = [
        (_request(kind, named, budget, v), encode_words(f"{named[1]} {budget}"))
        for named_by in _named(kind, names, words)
        for said in budgets
        for v, named in enumerate(named_by)
        for budget in [said[v % len(said)]]
    ]
    return Requests(np.array([text for text, _ in rows]), np.array([vector for _, vector in rows], np.float32))


def _named(kind: str, names: Sequence[str], words: Sequence[Sequence[str]]) -> Iterator[list[tuple[str, str]]]:
    """Yield what each phrasing says of no topic, and then of each topic: the phrase, and the words of it that count."""
    yield [(vague, "") for vague in VAGUE]
    preposition = "for" if kind == "goods" else "about"
    for name, known in zip(names, words, strict=True):
        by_name = (f'from the "{name}" section', name)
        yield [
            (f"{preposition} {known[v % len(known)]}", known[v % len(known)]) if known and v % BY_NAME else by_name
            for v in range(PHRASINGS)
        ]


def _request(kind: str, named: tuple[str, str], budget: str, phrasing: int) -> str:
    wanted = f"{THINGS[kind]} {named[0]}" + (f", {budget}" if budget else "")
    text = FRAMES[phrasing].format(wanted)
    return text[:1].upper() + text[1:]


def _words_of_topics(centres: np.ndarray, world_seed: int) -> list[list[str]]:
    """Return the words that this world has for each topic; none is given to two topics. Few where many topics share
    their directions."""
    free = {name: shuffled(pole.requests, f"{world_seed} {name}") for name, pole in VOCABULARY.items()}
    about = topic_poles(centres)
    words: list[list[str]] = [[] for _ in about]
    for i in range(PREFERRED):
        for known, poles in zip(words, about, strict=True):
            left = [free[pole] for pole in (*poles[i % TOPIC_WORDS :], *poles[: i % TOPIC_WORDS]) if free.get(pole)]
            if left:
                known.append(left[0].pop())
    return words


# ------------------------------------------------------------------------------------------------ as numbers


def encode_words(text: str) -> list[float]:
    """Return E numbers of unit length for the words of a text, or zeros if it has none.

    Each word stands for E signs, the first bits of the SHA-256 of its lower-case letters; a text for the sum of its
    words' signs (a random projection of its bag of words: Achlioptas 2003), divided by its length. These are sums of
    whole numbers, a root and a division, so they are the same on every processor.
    """
    total = np.zeros(WIDTH, np.int64)
    for word in re.findall(r"\w+", text.lower()):
        bits = np.unpackbits(np.frombuffer(hashlib.sha256(word.encode()).digest(), np.uint8))[:WIDTH]
        total += 2 * bits.astype(np.int64) - 1
    length = math.sqrt(int(total @ total))
    return [value / length for value in total.tolist()] if length else [0.0] * WIDTH
