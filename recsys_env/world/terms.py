"""The terms that count in a world, and what of the items, the page and the visitor they depend on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from ..config import WorldConfig
from ..kernels.equations import (
    CART_TERMS,
    EXPERIENCE_TERMS,
    TERMS,
    Alternative,
    Consumed,
    depends_on,
    in_python,
    names_read,
)


class Sum(NamedTuple):
    """Terms that are added up."""

    terms: dict[str, Callable[..., Any]]
    item: type  # whose attributes they read
    group: str  # of the config, with their coefficients


UTILITY = Sum(TERMS, Alternative, "choice")
EXPERIENCE = Sum(EXPERIENCE_TERMS, Consumed, "feedback")
CART = Sum(CART_TERMS, Consumed, "feedback")  # the log odds of the cart


class WeightedTerm(NamedTuple):
    """A term that counts in a world, and what it reads."""

    name: str
    weights: dict[str, float]  # its coefficients, by their names in the config, also those of the kernels it calls
    own: tuple[str, ...]  # fields of the group that its formula itself reads; all 0 take the term out. Without those of
    # other terms, if the rest suffices: a product vanishes with one of its factors
    attributes: dict[str, tuple[str, ...]]  # of the item -> what each depends on; () if it does not declare that

    @property
    def depends_on(self) -> set[str]:
        return {part for parts in self.attributes.values() for part in parts}

    @property
    def coefficients(self) -> str:
        """The coefficients with their values, or the name of a term without any, for messages."""
        return ", ".join(f"{word} = {weight:g}" for word, weight in self.weights.items()) or f"term {self.name!r}"


def undeclared(attribute: str) -> str:
    """Return what messages say of an attribute that declares nothing."""
    return f"{attribute!r}, which does not declare in kernels/equations.py what it depends on"


def counting_terms(config: WorldConfig, which: Sum) -> list[WeightedTerm]:
    """Return the terms of a sum that may differ from 0 in this world.

    A term counts where one of its coefficients is not 0, even if the term only begins at large values of an attribute.
    Its coefficients are those that its own formula reads or, if that reads none, those that the kernels it calls read.
    A term without any counts unless it is 0 for items drawn at random.
    """
    declared, coefficients = depends_on(which.item), getattr(config, which.group)
    weighing = {f.name for f in fields(coefficients) if f.metadata.get("low", 0) <= 0}  # what cannot be 0 scales
    found = []
    reads = {name: names_read(formula) for name, formula in which.terms.items()}
    for name, formula in which.terms.items():
        words = reads[name]
        own = tuple(sorted(weighing.intersection(in_python(formula).__code__.co_names) or weighing.intersection(words)))
        alone = tuple(word for word in own if all(word not in read for other, read in reads.items() if other != name))
        without = SimpleNamespace(**{f.name: getattr(coefficients, f.name) for f in fields(coefficients)})
        vars(without).update(dict.fromkeys(alone, 0.0))
        if alone and alone != own and _vanishes(formula, without, words):
            own = alone
        if not any(getattr(coefficients, word) for word in own) and _vanishes(formula, coefficients, words):
            continue
        weights = {f"{which.group}.{word}": getattr(coefficients, word) for word in words if word in weighing}
        attributes = {word: declared[word] for word in words if word in declared}
        found.append(WeightedTerm(name, weights, own, attributes))
    return found


def _vanishes(formula: Callable[..., Any], coefficients: Any, words: Iterable[str]) -> bool:
    """Return whether a term is 0 for items drawn at random; their attributes are among the words that it reads."""
    rng = np.random.default_rng(0)
    items = [SimpleNamespace(**{word: rng.uniform(0.1, 2.0) for word in words}) for _ in range(8)]
    return not any(in_python(formula)(coefficients, item) for item in items)
