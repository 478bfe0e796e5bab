"""The classical content-based recommender: what is nearest to what the visitor has clicked."""

from __future__ import annotations

import numpy as np

from .ranking import Ranker


class Nearest(Ranker):
    """Shows the items nearest to the decayed mean of the clicked ones (to the profile before the first click).

    A uniform slate on one page in twenty. Content-based filtering with a vector profile (Lops, de Gemmis & Semeraro
    2011, section 3.3.1). What `content` knows beside that, of prices, clicks' odds and the slate as a whole, it does
    not.
    """

    exploration = 0.05

    def score(self, observations: np.ndarray) -> np.ndarray:
        history, profile = (
            self.features[:, :, self.feature_names.index(name)] for name in ("history_match", "profile_match")
        )
        return np.where(history.any(1, keepdims=True), history, profile)
