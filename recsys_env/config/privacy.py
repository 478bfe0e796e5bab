"""Compute the noise that makes observations of a person differentially private.

The promise (Dwork et al. 2006) is about one person as one agent sees it: whoever the person is and whatever it clicked,
the distribution of all that the agent's observations say of it over its visits changes by no more than (epsilon,
delta). Two kinds of Gaussian noise keep it, each half:

- the profile, a unit vector plus noise that is drawn once per person: two people differ by at most 2;
- the history (clicked mean and topic counts, each count times 1 - `history_decay`) with fresh noise at each of the
  first `privacy_pages` pages: norms of at most 1 and counts that add up to at most 1, so two people differ by at most
  sqrt(2^2 + 2).

Noise of standard deviation s on what differs by at most d is d / s-Gaussian differentially private; what is released in
turn adds up in squares, and mu-Gaussian privacy is (epsilon, delta) for each epsilon with

    delta = Phi(mu / 2 - epsilon / mu) - exp(epsilon) Phi(-mu / 2 - epsilon / mu)

(Dong, Roth & Su 2022, "Gaussian Differential Privacy", corollaries 1 and 2; Balle & Wang 2018). Any function of
the noisy numbers has the same guarantee.

The rest needs no noise. What else observations would say of the person is withheld (`WITHHELD`, `WITHHELD_FEATURES`).
Public statistics of items count the clicks of the historical log only (`public_statistics` in `kernels/page.py`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from .fields import CANDIDATE_FEATURES, OBSERVATION

PROFILE = 2.0  # by how much the profiles of two people differ at most
HISTORY = math.sqrt(6.0)  # their histories

# Fields of the observation and features of candidates that agents do not see where a promise is made. Each declares
# what it reveals (`fields.Field.reveals`); one that declares nothing is withheld.
WITHHELD = tuple(field.name for field in OBSERVATION if field.withheld)
WITHHELD_FEATURES = frozenset(feature.name for feature in CANDIDATE_FEATURES if feature.withheld)


class Noise(NamedTuple):
    """Standard deviations of the noise on each number, in the units of `PROFILE` and `HISTORY`."""

    profile: float
    history: float


def noise(epsilon: float, delta: float, pages: int) -> Noise:
    """The noise that promises (epsilon, delta) to a person whose history is released on `pages` pages."""
    half = gaussian_privacy(epsilon, delta) / math.sqrt(2.0)
    return Noise(PROFILE / half, HISTORY * math.sqrt(pages) / half)


def gaussian_privacy(epsilon: float, delta: float) -> float:
    """The largest mu whose Gaussian privacy promises (epsilon, delta)."""
    low, high = 0.0, 1.0
    while privacy_loss(high, epsilon) < delta:
        high *= 2.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if privacy_loss(middle, epsilon) <= delta else (low, middle)
    return low


def privacy_loss(mu: float, epsilon: float) -> float:
    """The smallest delta that mu-Gaussian privacy promises with an epsilon."""
    if mu == 0.0:
        return 0.0
    lost = _normal(mu / 2 - epsilon / mu)
    tail = _normal(-mu / 2 - epsilon / mu)
    return lost - (math.exp(epsilon + math.log(tail)) if tail > 0.0 else 0.0)


def _normal(x: float) -> float:
    """P(standard normal <= x)."""
    return 0.5 * math.erfc(-x / math.sqrt(2.0))
