"""The weights of a utility, from choices that a test made up."""

from __future__ import annotations

from collections.abc import Sequence

from recsys_env.fitting.weights import Choices, Estimate, feature_weights, habit_in_place, habit_on_top


def on_top(choices: Choices, scales: Sequence[float] = (1.0,)) -> tuple[Estimate, float]:
    """Weights of features and of habit on top of them, and the scale of habit."""
    return habit_on_top(feature_weights(lambda: [choices]), lambda: [choices], scales)


def in_place(choices: Choices) -> Estimate:
    """Weights of features, and the rate of habit in their place."""
    return habit_in_place(feature_weights(lambda: [choices]), lambda: [choices])
