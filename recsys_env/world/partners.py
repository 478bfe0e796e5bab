"""What goes with what: the map A of a world, which says what a visitor wants after an item.

Each topic leads to another one, as cameras lead to lenses, and within it to the items that suit the one that was
consumed. A q_j is a vector of unit length: the visitor's utility of an item grows with its inner product with A q of
the items that it consumed last (`choice.beta_partner`). Agents never see A.

A turns the centre of a topic into that of the topic which it leads to, and everything that tells an item from the
centre by one rotation, the same for all topics. So it is orthogonal within each topic.
"""

from __future__ import annotations

import numpy as np

from ..config import WorldConfig
from ..config.fields import Shape

_STREAM = 1  # of the world's seed, so that nothing else in the world depends on whether there is a map


def topic_map(config: WorldConfig, topics: int, number: int = 0) -> np.ndarray:
    """Return the topic [T] that each topic leads to; `number` 1 is the map of the item before the last one.

    Topics of one domain lead to those of one other domain (`items.partner_step`), and within a domain in a circle.

    Raises:
        ValueError: topics would lead to a domain that has none.
    """
    rng, c = _random(config, number), config.items
    domain = np.arange(topics) % c.domains if c.domain_topics else np.zeros(topics, np.int64)
    leads_to = np.zeros(topics, np.int64)
    for d in np.unique(domain):
        after = (d + c.partner_step) % c.domains if c.domain_topics else d
        sources = rng.permutation(np.flatnonzero(domain == d))
        targets = np.roll(sources, -1) if after == d else rng.permutation(np.flatnonzero(domain == after))
        if not targets.size:
            raise ValueError(
                f"items.partner_step = {c.partner_step} leads from domain {d} to domain {after}, which has no topics: "
                f"items.topics = {topics}, items.domains = {c.domains}"
            )
        leads_to[sources] = np.resize(targets, sources.size)
    return leads_to


def partner_vectors(
    config: WorldConfig, shape: Shape, topic: np.ndarray, vectors: np.ndarray, centres: np.ndarray
) -> np.ndarray:
    """Return A q_j of all items, and below them those of the second map if there is one: [O M, D].

    Sums run over the dimensions one by one, so that they are the same on every processor.

    Args:
        topic: [M] topics of the items.
        vectors, centres: [M, D] and [T, D] of unit length.
    """
    first = np.zeros(shape.dims)
    first[0] = 1.0
    to_first = _unit_rows(centres - first)  # normals of the mirrors that turn a centre into the first axis, and back
    maps = []
    for number in range(shape.partner_maps):
        leads_to = topic_map(config, shape.topics, number)
        turned = _mirrored(vectors.astype(np.float64), to_first[topic])
        turned[:, 1:] = _product(turned[:, 1:], _rotation(_random(config, number), shape.dims - 1))
        maps.append(_mirrored(turned, to_first[leads_to[topic]]))
    return np.concatenate([np.zeros((0, shape.dims)), *maps])


def _random(config: WorldConfig, number: int) -> np.random.Generator:
    seed = np.random.SeedSequence(config.world_seed, spawn_key=(_STREAM, number))
    return np.random.Generator(np.random.Philox(seed))


def _rotation(rng: np.random.Generator, dims: int) -> np.ndarray:
    """Return a random orthogonal matrix [D, D]: the product of D mirrors with random normals (Stewart 1980)."""
    found = np.eye(dims)
    for normal in _unit_rows(rng.standard_normal((dims, dims))):
        found = _mirrored(found, np.broadcast_to(normal, found.shape))
    return found


def _mirrored(rows: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Mirror rows [M, D] at the planes with these normals [M, D]; a normal of 0 leaves a row as it is."""
    return rows - 2.0 * _products(rows, normals)[:, None] * normals


def _products(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the inner product [M] of each row [M, D] with another."""
    found = np.zeros(len(rows))
    for d in range(rows.shape[1]):
        found += rows[:, d] * others[:, d]
    return found


def _product(rows: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return rows [M, D] times a matrix [D, D]."""
    found = np.zeros_like(rows)
    for d in range(rows.shape[1]):
        found += rows[:, d, None] * matrix[d]
    return found


def _unit_rows(rows: np.ndarray) -> np.ndarray:
    """Return rows [M, D] at unit length; rows of 0 stay."""
    norms = np.sqrt(_products(rows, rows))
    return rows / np.where(norms > 0.0, norms, 1.0)[:, None]
