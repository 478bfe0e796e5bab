"""Items that nobody has bought yet: placed among the others by what their texts say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..catalogue import Catalogue
from ..language.encoders import encode
from ..language.projection import Projection
from ..texts import full_texts
from .prices import mean_by

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
    topic, topics = _joined(catalogue.topic_name, catalogue.item_topic, new["topic"])
    domain, domains = _joined(catalogue.domain_name, catalogue.item_domain, new["domain"])
    # An intercept holds beta_price x, so that an item's appeal at its list price is what it sells at that price.
    log_price = np.log(np.concatenate((catalogue.item_price, new["price"])))
    priced = catalogue.settings["choice"]["beta_price"] * (log_price - mean_by(topic, log_price)[topic])
    count, old = len(new), len(catalogue.item_price)
    appeal = Projection.fit(known, (catalogue.item_intercept - priced[:old])[:, None]).place(said)[:, 0]
    more = {
        "item_vectors": Projection.fit(known, catalogue.item_vectors)(said),
        "item_intercept": (appeal + priced[old:]).astype(np.float32),
        "item_price": new["price"].to_numpy(np.float32),
        # as those of the old items are on average
        "item_price_ratio": np.tile(catalogue.item_price_ratio.mean(0, dtype=np.float32), (count, 1)),
        "item_popularity": np.full(count, catalogue.item_popularity.min(), np.float32),
        "item_name": new["name"].to_numpy(str),
        "item_text": new["text"].to_numpy(str),
        "item_id": new["id"].to_numpy(str),
    }
    grown = {name: np.concatenate((getattr(catalogue, name), array)) for name, array in more.items()}
    grown |= {"item_topic": topic, "topic_name": topics, "item_domain": domain, "domain_name": domains}
    return Catalogue(**{**catalogue.arrays(), **catalogue.values(), **grown})  # type: ignore[arg-type]


def _joined(names: np.ndarray, codes: np.ndarray, new: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Codes of old and new items, and the names, of which those that are new come last."""
    found = new.to_numpy(str)
    names = np.concatenate((names, np.setdiff1d(found, names)))
    number = {name: code for code, name in enumerate(names.tolist())}
    return np.concatenate((codes, [number[name] for name in found])).astype(np.int32), names
