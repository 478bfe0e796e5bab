"""Items that nobody has bought yet: placed among the others by what their texts say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..config.catalogue import Catalogue
from ..language.encoders import encode
from ..language.projection import Projection
from ..world.texts import full_texts
from .prices import usual_prices

if TYPE_CHECKING:
    import pandas as pd


def with_newcomers(catalogue: Catalogue, new: pd.DataFrame, encoder: str | Path) -> Catalogue:
    """The catalogue with more items, behind those that it has.

    Linear maps from the vectors of texts to taste vectors and to appeal at the list price, fitted on the items that
    have been bought, give the new ones theirs (`Projection`). They have as little history as the least bought item, and
    no household is used to them.

    Args:
        catalogue: M items.
        new: of `table.newcomers`.
        encoder: of texts, as in `recsys_env.language.encode`.
    """
    known = encode(full_texts(catalogue.item_name, catalogue.item_text), encoder)
    said = encode(full_texts(new["name"].to_numpy(), new["text"].to_numpy()), encoder)
    topic, topics = _joined(catalogue.topic_name, catalogue.item_topic, new["category"])
    domain, domains = _joined(catalogue.domain_name, catalogue.item_domain, new["domain"])
    beta_price, count = catalogue.settings["choice"]["beta_price"], len(new)
    ratios = np.tile(catalogue.item_price_ratio.mean(0, dtype=np.float32), (count, 1))  # as of the others on average
    # The appeal of an item is that at its usual price, so an intercept holds what that price costs.
    cost = beta_price * usual_prices(catalogue.item_price, catalogue.item_topic, catalogue.item_price_ratio)
    appeal = catalogue.item_intercept - cost
    new_appeal = Projection.fit(known, appeal[:, None]).place(said)[:, 0]
    # Among more items of its topic, the same price is another relative price, and the appeal stays the same.
    prices, all_ratios = np.append(catalogue.item_price, new["price"]), np.append(catalogue.item_price_ratio, ratios, 0)
    intercept = np.append(appeal, new_appeal) + beta_price * usual_prices(prices, topic, all_ratios)
    more = {
        "item_vectors": Projection.fit(known, catalogue.item_vectors)(said),
        "item_price": new["price"].to_numpy(np.float32),
        "item_price_ratio": ratios,
        "item_popularity": np.full(count, catalogue.item_popularity.min(), np.float32),
        "item_name": new["name"].to_numpy(str),
        "item_text": new["text"].to_numpy(str),
        "item_id": new["id"].to_numpy(str),
    }
    grown = {name: np.concatenate((getattr(catalogue, name), array)) for name, array in more.items()}
    grown |= {"item_intercept": intercept.astype(np.float32)}
    grown |= {"item_topic": topic, "topic_name": topics, "item_domain": domain, "domain_name": domains}
    return Catalogue(**{**catalogue.arrays(), **catalogue.values(), **grown})  # type: ignore[arg-type]


def _joined(names: np.ndarray, codes: np.ndarray, new: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Codes of old and new items, and the names, of which those that are new come last."""
    found = new.to_numpy(str)
    names = np.concatenate((names, np.setdiff1d(found, names)))
    number = {name: code for code, name in enumerate(names.tolist())}
    return np.concatenate((codes, [number[name] for name in found])).astype(np.int32), names
