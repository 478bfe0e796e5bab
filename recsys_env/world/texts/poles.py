"""What stands for each direction of taste: the words of goods, films and headlines, and those of requests.

A dimension of taste has two ends. Each end has a name, which the keywords and the names of topics are made of, and a
vocabulary for each kind of title. No other end has these words, so a word means the same direction in every world.
All words are in `words.json`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

# The two ends of each dimension of taste; beyond the last dimension they begin anew with a number.
POLES = (
    ("sea", "city"), ("night", "morning"), ("crime", "romance"), ("history", "future"), ("nature", "machines"),
    ("family", "travel"), ("comedy", "tragedy"), ("sport", "art"), ("food", "money"), ("science", "faith"),
    ("youth", "age"), ("music", "silence"), ("winter", "summer"), ("magic", "facts"), ("war", "peace"),
    ("animals", "politics"),
)  # fmt: skip


class Pole(NamedTuple):
    """The words of one end of a dimension.

    Attributes:
        requests: what people call it who ask for it; no two have a word in common.
        products: goods, each with what it is made of.
        styles: how goods look.
        uses: whom or what goods are for.
        symbols: what films are named after.
        people: who films are about.
        settings: where and when they play.
        actors: who headlines are about.
        subjects: what headlines are about.
        sections: of a newspaper.
    """

    requests: list[str]
    products: list[tuple[str, str]]
    styles: list[str]
    uses: list[str]
    symbols: list[str]
    people: list[str]
    settings: list[str]
    actors: list[str]
    subjects: list[str]
    sections: list[str]


WORDS: dict[str, Any] = json.loads(Path(__file__).with_name("words.json").read_text(encoding="utf-8"))
VOCABULARY = {name: Pole(**words) for name, words in WORDS["poles"].items()}
