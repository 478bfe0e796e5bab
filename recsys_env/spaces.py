"""What an agent sees and does: observation fields and action spaces, all derived from the config.

An observation is declared once, as a list of (name, size). The Gymnasium space, the offsets that the kernel writes at
(`World.params["layout"]`) and the named views that users read all follow from that list.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from .config import WorldConfig

MAX_FEATURES = 8


class Shape(NamedTuple):
    """Sizes of a world, after the catalogue has had its say."""

    users: int  # U
    items: int  # M
    dims: int  # D
    topics: int  # T
    agents: int  # N
    slots: int  # K
    candidates: int  # C, 0 unless action="candidates"
    scenes: int  # S
    roles: int  # R
    habits: int  # H
    views: int  # P: separate histories, N or (observation.share) 1
    cart: int  # Q: cart places, 0 where nothing is ever carted for later
    vocabulary: int  # V


# In the order that candidates show them; a world that has all ten shows the first eight.
FEATURES = (
    "profile_match",
    "history_match",
    "topic_count",
    "popularity",
    "price",
    "repeat",
    "freshness",
    "context",
    "length",
    "promotion",
)


def candidate_features(config: WorldConfig, shape: Shape) -> tuple[str, ...]:
    """The observable features of a candidate in this world: those that can differ between its items."""
    present = {
        "profile_match": True,
        "history_match": True,
        "topic_count": True,
        "popularity": True,
        "price": bool(config.catalogue) or config.items.price_log_sd > 0,
        "repeat": shape.habits > 0,
        "freshness": config.items.life > 0,
        "context": shape.scenes > 1,
        "length": config.items.length_log_sd > 0,
        "promotion": config.items.promotion_probability > 0,
    }
    return tuple(name for name in FEATURES if present[name])[:MAX_FEATURES]


def observation_fields(config: WorldConfig, shape: Shape) -> list[tuple[str, int]]:
    """(name, size) of every field of an agent's observation, in order."""
    several_scenes, cart, full = shape.scenes > 1, shape.cart > 0, config.observability == "full"
    fields = [
        ("is_active", 1),  # 1 if this agent's slots will be on the page
        ("visitor_present", 1),  # 0 in an idle tick
        ("role", shape.roles),  # one-hot
        ("agent_id", shape.agents),  # one-hot
        ("scene", shape.scenes * several_scenes),  # one-hot
        ("session_page", 1),  # pages seen in this session
        ("visits", 1),  # sessions of this person so far
        ("visit_gap", 1),  # ticks since the last session
        ("cart", cart),  # items in the cart
        ("anchor", shape.dims * several_scenes),  # vector of the item that led here
        ("profile", shape.dims),  # noisy taste
        ("clicked_mean", shape.dims),  # decayed mean of clicked item vectors, in own slots
        ("topic_counts", shape.topics),  # decayed clicks per topic, in own slots
        ("candidates", shape.candidates * len(candidate_features(config, shape))),  # [C, F]
        (
            "messages",
            shape.agents * shape.vocabulary,
        ),  # [N, V] one-hot: what the others said at this visitor's last page
        ("latent_taste", shape.dims * full),
        ("latent_satiation", shape.topics * full),
        ("latent_trust", shape.agents * full),
        ("latent_intent", shape.topics * full),  # one-hot
        ("latent_scalars", 3 * full),  # satisfaction z, price sensitivity rho, wallet
    ]
    return [(name, int(size)) for name, size in fields if size]


# Fields that the kernel writes as they are and then squashes in one pass; contiguous.
SQUASHED = ("anchor", "profile", "clicked_mean", "topic_counts", "candidates")

# Fields of which each agent has its own version; contiguous, so that `state()` takes them in one slice.
PRIVATE = ("clicked_mean", "topic_counts", "candidates")


def state_fields(config: WorldConfig, shape: Shape) -> list[tuple[str, int]]:
    """(name, size) of every field of the global state for centralised critics, in order."""
    private = sum(size for name, size in observation_fields(config, shape) if name in PRIVATE)
    return [
        ("latent_taste", shape.dims),
        ("latent_satiation", shape.topics),
        ("latent_trust", shape.agents),
        ("latent_intent", shape.topics),
        ("latent_scalars", 3),
        ("scene", shape.scenes),
        ("mean_z", 1),  # platform mean of satisfaction over the users seen so far
        ("mean_trust", shape.agents),
        ("visitor_present", 1),
        ("private", shape.agents * private),
    ]


def slices(fields: list[tuple[str, int]]) -> dict[str, slice]:
    """Where each named field lies in the flat vector."""
    stops = np.cumsum([size for _, size in fields])
    return {name: slice(int(stop) - size, int(stop)) for (name, size), stop in zip(fields, stops, strict=True)}


def total(fields: list[tuple[str, int]]) -> int:
    return sum(size for _, size in fields)


def unit_box(size: int) -> spaces.Box:
    return spaces.Box(-1.0, 1.0, (size,), np.float32)


def choices(config: WorldConfig, shape: Shape) -> int:
    """How many things one slot can name."""
    return shape.candidates if config.action == "candidates" else shape.items


class Slate(spaces.MultiDiscrete):
    """A `MultiDiscrete` that also samples with the flat mask that observations carry: the masks of its parts, one after
    the other."""

    def sample(self, mask: Any = None, *args: Any, **kwargs: Any) -> np.ndarray:
        if isinstance(mask, np.ndarray):
            mask = tuple(np.split(mask, np.cumsum(self.nvec)[:-1]))
        return super().sample(mask, *args, **kwargs)


def action_space(config: WorldConfig, shape: Shape) -> spaces.Space:
    """Discrete for one slot, MultiDiscrete for slates, Box for queries; a message multiplies, appends or extends."""
    n, slots, words = choices(config, shape), shape.slots, shape.vocabulary
    if config.action == "query":
        return unit_box(shape.dims + words)
    if slots == 1:
        return spaces.Discrete(n * max(words, 1))
    return Slate([n] * slots + [words] * (words > 0))


def mask_size(config: WorldConfig, shape: Shape) -> int:
    """Length of the flat action mask (as MaskablePPO wants it for each kind of space)."""
    n, words = choices(config, shape), shape.vocabulary
    return n * max(words, 1) if shape.slots == 1 else n * shape.slots + words


def observation_space(config: WorldConfig, shape: Shape) -> spaces.Space:
    box = unit_box(total(observation_fields(config, shape)))
    if not config.mask_actions:
        return box
    return spaces.Dict({"observation": box, "action_mask": spaces.Box(0, 1, (mask_size(config, shape),), np.int8)})
