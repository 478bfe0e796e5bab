"""Counter-based random numbers: draw = hash(copy seed, episode, tick, event, index).

The hash is SplitMix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators"; its finaliser is
Stafford's variant 13): output i of the stream with key s is mix64(s + (i + 1) * GOLDEN), so any draw is reached
directly. A seed is scrambled first, for each purpose (ticks, people, promotions, copies) on its own: were it a key as
it is, episode 1 of seed s would be episode 0 of seed s + GOLDEN. Each (seed, episode, tick) has its own key, two
outputs below that; within a tick, event and index form the counter.
Nothing is stored between draws: results cannot depend on batch size, thread count or order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .compiler import entry, kernel
from .numeric import cos, log

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11, _S32 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11), np.uint64(32)
_ONE = np.uint64(1)
_TINY = 1e-16  # below every uniform number but 0

# What the streams of a seed are for.
TICKS = np.uint64(0x7469636B73000000)
PEOPLE = np.uint64(0x706572736F6E0000)
PROMOTIONS = np.uint64(0x70726F6D6F74696F)
COPIES = np.uint64(0x636F70795F736565)

# Events of a tick. Those of a page and of the next page's draw share the key of the tick that they happen in.
CLICK, NOISE, LIKE, CART, OLD_CART, RATING, MOOD = 0, 1, 2, 3, 4, 5, 6
CONTINUE, LOST, VISITOR, ACCEPT, INTENT, OPEN, ORDER, RETRIEVE = 7, 8, 9, 10, 11, 12, 13, 14
SHUFFLE, BLUR, REQUEST, WORTH, RANKING = 15, 16, 17, 18, 19
# Events of a person, under the key of (population, user, incarnation).
PERSON_TOPIC, PERSON_WEIGHT, PERSON_NOISE, PERSON_PRICE, PERSON_BIAS, PERSON_ROW = 0, 1, 2, 3, 4, 5


def check_events(events: Mapping[str, int]) -> None:
    """Check that all events of a tick have different numbers, and so all events of a person (`PERSON_...`).

    Raises:
        TypeError: two have the same number, so they would happen by the same draws.
    """
    known: dict[tuple[bool, int], str] = {}
    for name, number in events.items():
        other = known.setdefault((name.startswith("PERSON_"), number), name)
        if other != name:
            raise TypeError(f"events {other} and {name} have the same number {number}; give one a number of its own")


check_events({name: number for name, number in globals().items() if name.isupper() and isinstance(number, int)})


@kernel
def mix64(z):
    z = (z ^ (z >> _S30)) * _M1
    z = (z ^ (z >> _S27)) * _M2
    return z ^ (z >> _S31)


@kernel
def stream(seed, purpose):
    """Key of a seed's stream for one purpose: no sum or difference of seeds, or of purposes, survives in it."""
    return mix64(mix64(seed) + purpose)


@kernel
def child(key, index):
    """Output `index` >= -1 of the stream with this key: a key of its own."""
    return mix64(key + GOLDEN * np.uint64(index + 2))


@kernel
def episode_key(seed, episode):
    """Key of one episode of one copy, whose children are those of its ticks; tick -1 is the reset."""
    return child(stream(seed, TICKS), episode)


@kernel
def bits(key, event, index):
    """64 random bits of an event; index < 2^32."""
    return mix64(key + GOLDEN * (((np.uint64(event) << _S32) | np.uint64(index)) + _ONE))


@kernel
def uniform(key, event, index):
    """Uniform on [0, 1), 53 bits."""
    return np.float64(bits(key, event, index) >> _S11) * (1.0 / 9007199254740992.0)


@kernel
def integer(key, event, index, n):
    """Uniform on 0..n-1 (bias below n / 2^53)."""
    return np.int64(uniform(key, event, index) * n)


@kernel
def gumbel(key, event, index):
    """Standard Gumbel: the largest of scores with such noise is drawn from their softmax (Yellott 1977)."""
    return -log(max(-log(max(uniform(key, event, index), _TINY)), _TINY))


@kernel
def normal(key, event, index):
    """Standard normal (Box & Muller 1958)."""
    u = 1.0 - uniform(key, event, 2 * index)
    return math.sqrt(-2.0 * log(u)) * cos(2.0 * math.pi * uniform(key, event, 2 * index + 1))


@kernel
def logistic_quantile(u01):
    """Standard logistic noise, of a uniform number."""
    u = min(max(u01, 1e-16), 1.0 - 1e-16)
    return log(u / (1.0 - u))


@kernel
def logistic(key, event, index):
    """Standard logistic noise."""
    return logistic_quantile(uniform(key, event, index))


@kernel
def alias_draw(x, here, probability, alias):
    """The draw of an alias table (see `build_alias`): what stands in the row that x = n * uniform fell into, or its
    alias."""
    return np.int64(alias) if x - np.int64(x) >= probability else np.int64(here)


def copy_seeds(seed: int, copies: np.ndarray) -> np.ndarray:
    """Seeds [B] of these copies of a batch: copy 0 has the batch's own, the others outputs of a stream of their own."""
    copies = np.asarray(copies, np.uint64)
    first = np.full(copies.shape, seed, np.uint64)
    mix: Any = mix64.py_func  # type: ignore[attr-defined]
    return np.where(copies == 0, first, mix(mix(mix(first) + COPIES) + GOLDEN * copies))


@entry
def uniforms(seeds, episodes, ticks, event, index, out):
    """out[i] = the draw of (seeds[i], episodes[i], ticks[i], event, index): for tests of the generator."""
    for i in range(out.size):
        out[i] = uniform(child(episode_key(seeds[i], episodes[i]), ticks[i]), event, index)


@entry
def build_alias(weights, start, stop, probability, alias, scaled, small, large):
    """Alias table of weights[start:stop] in O(n) (Vose 1991): keep draw i with probability[i], else take alias[i].

    `scaled`, `small` and `large` are scratch of the same length as `weights`.
    """
    n = stop - start
    total = 0.0
    for i in range(start, stop):
        total += weights[i]
    n_small = n_large = 0
    for i in range(n):
        scaled[i] = weights[start + i] * n / total if total > 0.0 else 1.0  # nothing weighs anything: uniform
        if scaled[i] < 1.0:
            small[n_small] = i
            n_small += 1
        else:
            large[n_large] = i
            n_large += 1
    while n_small > 0 and n_large > 0:
        n_small -= 1
        s, g = small[n_small], large[n_large - 1]
        probability[start + s] = scaled[s]
        alias[start + s] = start + g
        scaled[g] -= 1.0 - scaled[s]
        if scaled[g] < 1.0:
            n_large -= 1
            small[n_small] = g
            n_small += 1
    for k in range(n_small):
        probability[start + small[k]] = 1.0
        alias[start + small[k]] = start + small[k]
    for k in range(n_large):
        probability[start + large[k]] = 1.0
        alias[start + large[k]] = start + large[k]
