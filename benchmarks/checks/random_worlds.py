"""Draw random worlds: valid configs in which every field may differ from its default."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from recsys_env import WorldConfig
from recsys_env.config import GROUPS, OBJECTIVES
from recsys_env.config.responses import EVENTS
from recsys_env.world.build import build

SMALL = {  # ranges of sizes and periods in a small world
    "users.number": (1, 6),
    "users.groups": (1, 3),
    "users.topics": (1, 4),
    "users.habit_size": (0, 6),
    "items.number": (2, 40),
    "items.dims": (1, 9),
    "items.topics": (1, 6),
    "items.providers": (1, 4),
    "items.domains": (1, 3),
    "items.partner_step": (0, 2),
    "items.promotion_period": (1, 9),
    "items.stock_init": (0, 3),
    "items.restock_period": (1, 20),
    "items.life": (0, 9),
    "items.period": (0, 14),
    "candidates.number": (1, 9),
    "offer.levels": (2, 9),
    "offer.refill_period": (1, 9),
    "platform.places": (1, 4),
    "platform.period": (1, 6),
    "platform.window": (1, 3),
    "platform.bait_levels": (2, 4),
    "observation.recent": (0, 5),
    "observation.privacy_pages": (1, 9),
}
OF_CREATORS = ("number", "life", "period", "bait_shape", "bait_topic_share")  # what a platform has no use for


def random_world(rng: np.random.Generator) -> WorldConfig:
    """Draw a valid config in which every field may differ from its default. Invalid combinations are drawn again."""
    page = str(rng.choice(["shared", "rows", "rival", "auction", "platform"]))
    while True:
        try:
            return WorldConfig(**_random_fields(rng, page))
        except ValueError:
            continue


def playable_world(rng: np.random.Generator) -> WorldConfig:
    """Draw a random world in which each role has something to show."""
    while True:
        config = random_world(rng)
        try:
            build(config)
        except ValueError:
            continue
        return config


def _random_fields(rng: np.random.Generator, page: str) -> dict[str, Any]:
    base = WorldConfig()
    drawn: dict[str, Any] = {group: _random_group(rng, group, getattr(base, group)) for group in GROUPS}
    auctioned, ranked = page == "auction", page == "platform"
    scenes = int(rng.integers(1, 4)) if page in ("shared", "rows") and rng.random() < 0.4 else 1
    names = ["entrance", "item", "cart"][:scenes]
    agents, slots = int(rng.integers(scenes, 5)), int(rng.integers(1, 5))
    several, cart = scenes > 1 or rng.random() < 0.5, bool(rng.random() < 0.7)
    owners = rng.permutation([*names, *[""] * (agents - scenes)]).tolist() if scenes > 1 else [""] * agents
    drawn["roles"] = tuple(
        _random_role(rng, drawn["items"], f"role{i}", owners[i]) for i in range(agents if several else 1)
    )
    drawn["scenes"] = tuple(
        {"name": name, "beta_context": rng.normal(), "cart": cart or bool(rng.random() < 0.5)} for name in names
    )
    drawn["choice"]["dissimilarity"] = float(rng.choice([1.0, 0.5, 0.1])) if page == "rows" else 1.0
    drawn["items"]["period"] = drawn["items"]["period"] if drawn["items"]["life"] else 0
    drawn["feedback"]["rating_cutpoints"] = sorted(rng.normal(0, 1.5, 4).tolist())
    moods = int(rng.choice([0, 0, 0, 2, 3]))
    drawn["choice"]["v_0_by_mood"] = rng.normal(0, 1, moods).tolist()
    for name in ("mood_up", "mood_down"):
        drawn["dynamics"][name] = rng.uniform(0, 0.5, drawn["items"]["topics"] if moods else 0).tolist()
    action = str(rng.choice(["candidates", "items", "query", "weights"]))
    if auctioned:  # of one slot, for which each bidder has one item
        slots, action = 1, str(rng.choice(["candidates", "weights"]))
        drawn["candidates"]["number"], drawn["feedback"]["instant"] = 1, True
    drawn["offer"]["kind"] = "bid" if auctioned else drawn["offer"]["kind"].replace("bid", "none")
    if ranked:  # creators own the items, see no visitor, and publish and do nothing else
        slots, action, drawn["offer"]["kind"] = 1, "publish", "none"
        drawn["items"] |= {name: getattr(base.items, name) for name in OF_CREATORS}
        drawn["observation"] |= {"recent": 0, "request": False, "item_ids": "none"}
        drawn["roles"] = tuple({**role, "items": (), "domains": (), "knows": ()} for role in drawn["roles"])
    # and no field that breaks the promise
    private = page in ("shared", "rows", "rival") and scenes == 1 and rng.random() < 0.15
    drawn["observation"]["privacy_epsilon"] = float(rng.uniform(0.1, 9.0)) if private else 0.0
    if private:
        drawn["users"]["population"], drawn["offer"]["kind"], drawn["items"]["stock_init"] = "fresh", "none", 0
        drawn["roles"] = tuple({**role, "knows": ()} for role in drawn["roles"])
    return drawn | {
        "num_agents": agents,
        "slots": slots,
        "page": page,
        "action": action,
        "horizon": int(rng.integers(3, 60)),
        "world_seed": int(rng.integers(2**63)),
        "messages": 0 if private or ranked else int(rng.choice([0, 0, 2, 3])),
        "mask_actions": action in ("candidates", "items", "publish") and bool(rng.random() < 0.5),
        "observability": "partial" if private or ranked else str(rng.choice(["partial", "full"])),
    }


def _random_group(rng: np.random.Generator, group: str, default: Any) -> dict[str, Any]:
    """Draw the fields of one group: the default, an end of the range, or a value between. Ranges are narrowed to values
    that have an effect."""
    drawn: dict[str, Any] = {}
    for f in fields(default):
        meta, value = f.metadata, getattr(default, f.name)
        if "allowed" in meta:
            drawn[f.name] = str(rng.choice(meta["allowed"]))
        elif isinstance(value, bool):
            drawn[f.name] = bool(rng.random() < 0.5)
        elif isinstance(value, tuple) or rng.random() < 0.3:
            drawn[f.name] = value
        elif f"{group}.{f.name}" in SMALL or isinstance(value, int):
            low, high = SMALL[f"{group}.{f.name}"]
            drawn[f.name] = int(rng.integers(low, high + 1))
        else:
            low, high = max(meta["low"], -2.0), min(meta["high"], max(3.0, 1.5 * value))
            drawn[f.name] = float(rng.choice([low, high, value, *rng.uniform(low, high, 5)]))
    for name in SMALL:  # where the default is too large for a small world
        at, _, field = name.partition(".")
        if at == group:
            drawn[field] = int(rng.integers(SMALL[name][0], SMALL[name][1] + 1))
    if group == "users" and rng.random() < 0.5:
        drawn["wallet_init"] = 0.0
    return drawn


def _random_role(rng: np.random.Generator, items: dict[str, Any], name: str, scene: str) -> dict[str, Any]:
    number, domains = items["number"], min(items["domains"], items["number"])
    shown = rng.choice(number, int(rng.integers(1, number + 1)), replace=False).tolist()
    kind = rng.choice(["all", "all", "items", "domains"])
    topics = items["topics"] if rng.random() < 0.3 else 0
    return {
        "name": name,
        "scene": scene,
        "items": tuple(shown) if kind == "items" else (),
        "domains": (int(rng.integers(domains)),) if kind == "domains" else (),
        "rewards": {name: rng.normal() for name in (*EVENTS, *OBJECTIVES) if rng.random() < 0.8}
        if rng.random() < 0.5
        else {},
        "knows": tuple(rng.integers(0, 3, topics).tolist()),
    }
