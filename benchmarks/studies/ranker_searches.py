"""The rankers that an evidence card searches for on training seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from recsys_env import WorldConfig
from recsys_env.config.fields import unseen_features
from recsys_env.evaluation.tuning import Budget, Found, best_ranker, states_of
from recsys_env.policies import Policy
from recsys_env.policies.linear import static_weights

HISTORY = unseen_features(("clicked_mean", "topic_counts"))  # features that depend on a visitor's earlier clicks


def searches(config: WorldConfig, rivals: Sequence[str], generations: int) -> dict[str, Found]:
    """The best rankers that searches on training seeds find, by name.

    `searched-static` has fixed weights (two searches). The others start near the best known fixed weights: the weights
    of `searched-state` move with what is observed (twice as long, as there are several times as many), `forgetful` does
    without `HISTORY`, and there is one answer to each rival.
    """
    if not generations:
        return {}
    budget = Budget(generations=generations, searches=1, episodes=8)
    fixed = best_ranker(config, budget=replace(budget, searches=2))
    start = _weights_of_static(config, fixed)
    longer = replace(budget, generations=2 * generations)
    found = {
        "searched-static": fixed,
        "searched-state": best_ranker(config, states=states_of(config), start=start, budget=longer),
        "forgetful": best_ranker(config, without=HISTORY & set(fixed.names), start=start, budget=budget),
    }
    _, *others = config.agents
    for rival in rivals if others else ():
        background: dict[str, str | Policy] = dict.fromkeys(others, rival)
        found[f"answer to {rival}"] = best_ranker(
            config, background=background, states=states_of(config), start=start, budget=budget, shared=True
        )
    return found


def _weights_of_static(config: WorldConfig, found: Found) -> np.ndarray:
    """Weights [R, 1, W] of the policy `static`, or those found if the task has none."""
    given = [static_weights(config, n) for n in range(len(config.roles))]
    return np.array([[[of.get(name, 0.0) for name in found.names]] for of in given]) if all(given) else found.weights


def search_record(found: Found) -> dict[str, Any]:
    """A searched ranker as a card stores it: its weights, and what each search earned on fresh training episodes."""
    return {
        "scores": [{"mean": mean, "ci95": width} for mean, width in found.scores],
        "states": list(found.states),
        "names": list(found.names),
        "weights": found.weights.round(3).tolist(),
    }
