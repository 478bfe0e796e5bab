"""How well the pages of a policy can be explained, and whether it shows items for the right reasons.

    python -m benchmarks.studies.interpretability [--task streaming-v1] [--policies nearest sasrec FOLDER ...]

A policy plays as a team. Of every tenth page of the first agent, all items that could have been shown are recorded.
Surrogates are fitted to half of the copies and tested on the other half:

- fidelity: the share of a slate that a surrogate predicts. One surrogate is log-linear in the features that agents see,
  another is a tree of depth 5 on the same features. Neither sees what the policy remembers.
- fidelity of a surrogate of the true terms of the utility (`explain`), which no agent sees.
- agreement: how often a shown item is truly worth more than one that was not shown (AUC; .5 is chance).
- reasons: the cosine between the effect of each true term on that surrogate's odds and its effect on the utility.

The score of a generative recommender is a sum of parts (`recsys_env/trained/generative.py`): log P(item) by its tokens,
and each feature times its weight. For each part the result holds its rank correlation with each true term over the
options of a page.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import rankdata

from recsys_env import VectorEnv
from recsys_env.evaluation import UNSEEN
from recsys_env.evaluation.episodes import begin_episodes
from recsys_env.evaluation.statistics import interval
from recsys_env.evaluation.surrogate import Options, Surrogate, fidelity, list_page
from recsys_env.kernels.explain import TERMS
from recsys_env.policies.slates import slate_action

from .study import by_policy

POLICIES = ("random", "popularity", "nearest", "content", "static", "linucb", "sasrec", "two-tower", "greedy")
COPIES, EVERY, DEPTH = 32, 10, 5


def true_terms(envs: VectorEnv, items: np.ndarray) -> np.ndarray:
    """Terms [B, C, TERMS] of the utility of the first agent's options [B, C], computed slate by slate."""
    slots, options = envs.shape.slots, items.shape[1]
    found = np.zeros((*items.shape, len(TERMS)))
    actions = envs.empty_actions()
    for start in range(0, options, slots):
        some = np.tile(np.arange(start, start + slots) % options, (envs.num_envs, 1))
        actions[:, 0] = slate_action(envs, 0, some, np.full(envs.num_envs, slots))
        told = envs.explain(actions)["terms"]
        stacked = np.stack([told[name][:, 0] for name in TERMS], 2)
        at = np.minimum(np.arange(slots), options - 1 - start).clip(0)
        found[:, (start + at) % options] = stacked[:, at]
    return found


def played(task: str, policy: str) -> tuple[Options, Options, np.ndarray, list[np.ndarray]]:
    """Pages of the first agent: options with features, the same with the true terms as features, the copy of each, and
    the parts of a generative recommender's scores."""
    envs, team, observations = begin_episodes(task, policy, COPIES, UNSEEN)
    if envs.config.one_feed:
        raise ValueError(f"{task} has one page for all agents, where two may show the same; choose rows or rivals")
    actions, pages, copies, parts = envs.empty_actions(), [], [], []
    for tick in range(envs.config.horizon):
        team.act(observations, actions)
        if tick % EVERY == 0:
            here = np.flatnonzero(envs.active[:, 0])
            page = list_page(envs, 0, envs.explain(actions)["item"][:, 0])
            terms = true_terms(envs, page.items)
            pages.append([*(part[here] for part in page), terms[here]])
            copies.append(here)
            mind = team.policies[envs.possible_agents[0]]
            if hasattr(mind, "parts"):
                parts.append(mind.parts(observations[:, 0])[here])
        observations, _, _, truncated, infos = envs.step(actions)
        team.observe(infos, truncated)
    items, features, shown, terms = (np.concatenate(part) for part in zip(*pages, strict=True))
    return Options(items, features, shown), Options(items, terms, shown), np.concatenate(copies), parts


def tree_fidelity(fitted: Options, tried: Options) -> float:
    from sklearn.tree import DecisionTreeClassifier

    x, there = fitted.centred(), fitted.there
    tree = DecisionTreeClassifier(max_depth=DEPTH, random_state=0).fit(x[there], fitted.shown[there])
    scores = np.zeros(tried.shown.shape)
    if len(tree.classes_) > 1:
        scores[tried.there] = tree.predict_proba(tried.centred()[tried.there])[:, 1]
    return fidelity(scores, tried)


def agreement(worth: np.ndarray, pages: Options) -> np.ndarray:
    """AUC [P] of each page on which some options were shown and some were not."""
    wins = np.sign(worth[:, :, None] - worth[:, None, :]) / 2 + 0.5
    pairs = (pages.shown & pages.there)[:, :, None] & (~pages.shown & pages.there)[:, None, :]
    counts = pairs.sum((1, 2))
    return np.asarray((wins * pairs).sum((1, 2))[counts > 0] / counts[counts > 0])


def ranks(values: np.ndarray) -> np.ndarray:
    """[P, C, X] ranks within pages, centred and of unit length. Ties have their mean rank; pages without differences
    have 0."""
    order = rankdata(values, axis=1)
    order = order - order.mean(1, keepdims=True)
    return np.asarray(order / np.maximum(np.linalg.norm(order, axis=1, keepdims=True), 1e-12))


def measured(task: str, policy: str) -> dict[str, Any]:
    pages, terms, copies, parts = played(task, policy)
    halves = [[Options(*(part[which] for part in of)) for of in (pages, terms)] for which in _halves(copies)]
    (fitted, fitted_terms), (tried, tried_terms) = halves
    surrogate = Surrogate.fit(fitted_terms)
    differs = terms.centred()[terms.there].std(0)
    moved = surrogate.weights * differs
    row: dict[str, Any] = {
        "pages": len(pages.items),
        "chance": float(pages.shown.sum() / pages.there.sum()),
        "features": Surrogate.fit(fitted).fidelity(tried),
        "tree": tree_fidelity(fitted, tried),
        "true terms": surrogate.fidelity(tried_terms),
        "agreement": interval(agreement(terms.features.sum(2), pages)),
        "reasons": float(moved @ differs / max(np.linalg.norm(moved) * np.linalg.norm(differs), 1e-12)),
    }
    if parts:
        full = pages.there.all(1)
        inside, truth = ranks(np.concatenate(parts)[full]), ranks(terms.features[full])
        row["parts"] = (np.einsum("pcx,pct->xt", inside, truth) / full.sum()).round(4).tolist()
    return row


def _halves(copies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return copies < COPIES // 2, copies >= COPIES // 2


def main() -> None:
    settings: dict[str, Any] = {"copies": COPIES, "every": EVERY, "depth": DEPTH, "terms": list(TERMS)}
    by_policy(__doc__, "interpretability", "streaming-v1", POLICIES, measured, **settings)


if __name__ == "__main__":
    main()
