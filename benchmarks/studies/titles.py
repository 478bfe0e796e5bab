"""How much do titles tell of quality and clickbait?

    python -m benchmarks.studies.titles

For each kind of title and each `items.title_signal`, worlds of different seeds are built. A linear regression on the
words of their items predicts the quality and the clickbait of items that it was not fitted to
(`recsys_env.world.texts.measure`). The result is the share of the variance that it explains, once for titles alone and
once for titles and descriptions.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from recsys_env.config import ItemConfig, WorldConfig
from recsys_env.world.build import build
from recsys_env.world.texts import texts_of
from recsys_env.world.texts.measure import explained
from recsys_env.world.texts.titles import WRITERS

from ..result_files import store
from .study import options

ITEMS = 500
SIGNALS = (0.0, 0.25, 0.5, 0.75, 1.0)
SEEDS = 5


def told(kind: str, signal: float, world_seed: int, items: int = ITEMS) -> dict[str, float]:
    """Return the share of the variance that words explain, by what they are to tell and by where they stand."""
    config = WorldConfig(world_seed=world_seed, items=ItemConfig(number=items, titles=kind, title_signal=signal))
    world = build(config)
    texts = texts_of(config, world, None)
    words = {"title": texts.titles.tolist(), "title and description": texts.full()}
    return {
        f"{name}, {where}": explained(words[where], world.items[name])
        for name in ("quality", "bait")
        for where in words
    }


def measured(seeds: int) -> dict[str, Any]:
    """Mean over worlds, and the smallest and largest value, by kind of title and signal."""
    found: dict[str, Any] = {}
    for kind in WRITERS:
        for signal in SIGNALS:
            runs = [told(kind, signal, seed) for seed in range(seeds)]
            columns = {name: np.array([run[name] for run in runs]) for name in runs[0]}
            found.setdefault(kind, {})[f"{signal:g}"] = {
                name: {"mean": values.mean(), "low": values.min(), "high": values.max()}
                for name, values in columns.items()
            }
            print(kind, signal, {name: round(float(values.mean()), 3) for name, values in columns.items()}, flush=True)
    return found


def main() -> None:
    given = options(__doc__, seeds=SEEDS)
    print(store("titles", {"seeds": given.seeds, "items": ITEMS}, {"kinds": measured(given.seeds)}))


if __name__ == "__main__":
    main()
