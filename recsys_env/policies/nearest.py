"""The classical content-based recommender: items similar to those that the visitor has clicked."""

from __future__ import annotations

import numpy as np

from .ranking import Ranker


class Nearest(Ranker):
    """Shows the items nearest to the decayed mean of the clicked items (before the first click: to the profile).

    This is content-based filtering with a vector profile (Lops, de Gemmis & Semeraro 2011, section 3.3.1). One page in
    twenty is a uniform slate. Unlike `content`, it ignores prices, click odds and the composition of the slate.
    """

    deterministic = True
    exploration = 0.05

    def score(self, observations: np.ndarray) -> np.ndarray:
        history, profile = self.feature("history_match"), self.feature("profile_match")
        return np.where(history.any(1, keepdims=True), history, profile)
