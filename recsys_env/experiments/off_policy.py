"""Off-policy estimates of a page's value from a log with propensities, beside the exact value of that page.

    log = page_log("ecommerce-v1", ("content", "static"))
    page_estimates(log, "content")

The value of a page is the probability that one of the agent's slots is clicked. The log shows uniformly random slates,
so the propensity of each pick is known. Three estimators take the log slot by slot, as is usual for slates:

- inverse propensity scoring (IPS): the clicks of the slots in which the log shows the policy's pick, each divided by
  its propensity (Horvitz & Thompson 1952; slot by slot as in Li et al. 2018);
- the direct method (DM): a regression of clicks on the candidates' features and the slot, at the policy's picks;
- doubly robust (DR): DM plus IPS of its residuals (Dudik, Langford & Li 2011).

All three assume that a click on a slot depends only on the item in that slot. On a page items compete, so the estimates
are biased however long the log is. And no estimate of one page says what later pages lose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..api.focal import checked_agent, usual_background
from ..batch.base import copy_seed
from ..batch.vector import VectorEnv
from ..checks import as_indices, as_numbers, check_count, checked_seed, is_sequence, shown, unknown
from ..config import WorldConfig
from ..config.tasks import task_config
from ..evaluation.statistics import errors_of_95, interval
from ..policies import Policy, Team, TeamPolicy, feedback, make_policy
from ..policies.ranking import Ranker

RIDGE = 1.0  # penalty of the squared coefficients of the direct method, on standardised features
GROUPS, FEWEST_COPIES = 20, 8  # of copies, in the jackknife


class UniformSlates(Ranker):
    """Shows slates that are drawn uniformly from the available options, without repetition."""

    def score(self, observations: np.ndarray) -> np.ndarray:
        return self.rng.random(self.items.shape)


@dataclass(frozen=True)
class PageLog:
    """Pages of one agent with uniformly random slates, and what other policies would have shown there.

    Attributes:
        copy: [P] copy of each page; copies are independent.
        picks: [P, K] options shown, as positions among the candidates, or items where there are none.
        propensities: [P, K] probability that the log shows this option in this slot.
        clicked: [P, K] truth values.
        features: [P, C, F] features of the options.
        targets: policy -> [P, K] options that it would have shown.
        exact: policy -> [P] probability of a click on its page, by `VectorEnv.expected_feedback`, while the other
            agents show what they showed.
    """

    copy: np.ndarray
    picks: np.ndarray
    propensities: np.ndarray
    clicked: np.ndarray
    features: np.ndarray
    targets: dict[str, np.ndarray]
    exact: dict[str, np.ndarray]

    def of(self, kept: np.ndarray) -> PageLog:
        """Return the log of some pages [P], given as truth values."""
        return PageLog(
            **{name: getattr(self, name)[kept] for name in ("copy", "picks", "propensities", "clicked", "features")},
            targets={name: values[kept] for name, values in self.targets.items()},
            exact={name: values[kept] for name, values in self.exact.items()},
        )

    def means(self, values: np.ndarray) -> np.ndarray:
        """Return the means of values [P] of the pages, over the pages of each copy."""
        number = np.bincount(self.copy)
        means: np.ndarray = np.bincount(self.copy, values)[number > 0] / number[number > 0]
        return means


def page_log(
    task: str | WorldConfig,
    policies: Sequence[str],
    *,
    agent: str | None = None,
    background: str | None = None,
    episodes: int = 50,
    seed: int = 0,
) -> PageLog:
    """Play whole episodes in which one agent shows uniformly random slates, and log its pages.

    Pages with fewer available options than slots are left out.

    Args:
        policies: policies whose pages are asked for. They act on each page, and then observe what the explorer's page
            brought, as if they had shown it.
        agent: the agent that explores; None = the first one.
        background: policy of the other agents; None = the usual one of the task.
        episodes: E, played at once, from this seed.

    Raises:
        TypeError, ValueError: an argument is unknown or of a wrong kind; a policy learns, acts for several agents or
        has
            never chosen anything; or actions of the task are not slates alone.
    """
    config = task_config(task, {})
    check_count("episodes", episodes, 2, 10**6)
    checked_seed(seed)
    if config.continuous or config.ranked or config.offer.kind != "none" or config.messages:
        raise ValueError(
            f"the task has action = {config.action!r}, page = {config.page!r}, offer.kind = {config.offer.kind!r} and "
            f"messages = {config.messages}; off-policy estimates of pages need actions that are slates alone"
        )
    if not is_sequence(policies) or not len(policies):
        raise TypeError(f"policies = {shown(policies)} must be a list of names")
    agent = config.agents[0] if agent is None else checked_agent(agent, config.agents)
    targets = {str(name): make_policy(name) for name in policies}
    for name, target in targets.items():
        if target.learns or isinstance(target, TeamPolicy):
            raise ValueError(f"policy {name!r} learns or acts for several agents; its page is not given by the log")
    envs = VectorEnv(config, episodes, copy=False)
    explorer = UniformSlates()
    members: dict[str, Any] = dict.fromkeys(
        config.agents, usual_background(config) if background is None else background
    )
    team = Team(envs, members | {agent: explorer}, seed)
    for number, target in enumerate(targets.values()):  # whose random numbers are not those of the explorer
        target.bind(envs, agent, copy_seed(seed, number + 1))
    return _logged(envs, team, explorer, targets, seed)


def _logged(envs: VectorEnv, team: Team, explorer: UniformSlates, targets: dict[str, Policy], seed: int) -> PageLog:
    """Play the episodes of `page_log`."""
    n, slots = explorer.index, envs.shape.slots
    columns: dict[str, list[np.ndarray]] = {
        name: [] for name in ("copy", "picks", "propensities", "clicked", "features")
    }
    chosen: dict[str, list[np.ndarray]] = {name: [] for name in targets}
    exact: dict[str, list[np.ndarray]] = {name: [] for name in targets}
    observations, _ = envs.reset(seed=seed)
    actions = envs.empty_actions()
    for _ in range(envs.config.horizon):
        team.act(observations, actions)
        options = (explorer.items >= 0).sum(1)
        here = envs.active[:, n] & (envs.next_user_slots >= 0) & (options >= slots)
        columns["copy"].append(np.flatnonzero(here))
        columns["picks"].append(explorer.picks[here])
        columns["propensities"].append(np.repeat(1 / options[here, None], slots, axis=1))
        columns["features"].append(explorer.features[here])
        flat, masks = envs.flat(observations)
        for name, target in targets.items():
            joint = actions.copy()
            joint[:, n] = target.act(flat[:, n], None if masks is None else masks[:, n])
            chosen[name].append(envs.decode_actions(joint[here, n]).picks)
            exact[name].append(envs.expected_feedback(joint)["click"][here, n].sum(-1))
        observations, _, _, truncated, infos = envs._step(actions)
        columns["clicked"].append(infos["clicked"][here, n])
        team.observe(infos, truncated)
        for target in targets.values():
            target.observe(feedback(infos, n))
            if truncated.any():
                target.reset(truncated)
    team.check()
    for name, target in targets.items():
        if target.failure is not None:
            raise ValueError(f"{name}: {target.failure}")
    joined = {name: np.concatenate(pages) for name, pages in columns.items()}
    return PageLog(
        **joined,
        targets={name: np.concatenate(pages) for name, pages in chosen.items()},
        exact={name: np.concatenate(pages) for name, pages in exact.items()},
    )


def page_estimates(log: PageLog, policy: str) -> dict[str, Any]:
    """Estimate the value of a policy's page from a log of random slates, and compare it with the exact value.

    The regression of the direct method is fitted on half of the copies for the other half (cross-fitting). The interval
    of dm is that of a jackknife, which fits it again without each group of copies (Efron & Stein 1981).

    Returns:
        exact, ips, dm, dr: intervals of clicks per page, over copies; that of dm is None below 8 copies. pages: P.

    Raises:
        TypeError, ValueError: the log is something else, has too few pages, or the policy is not in it.
    """
    if not isinstance(log, PageLog):
        raise TypeError(f"log = {shown(log)} must be what page_log returned")
    if not isinstance(policy, str) or policy not in log.targets:
        raise ValueError(unknown("policy", policy, log.targets))
    if not len(log.copy):
        raise ValueError(
            "the log has no page on which there were as many options as slots; give the task more candidates, or fewer "
            "slots"
        )
    if len(np.unique(log.copy % 2)) < 2:
        raise ValueError(
            "all pages of the log are of copies with even numbers, or all of copies with odd ones; cross-fitting needs "
            "both: play more episodes"
        )
    pages = {"exact": log.exact[policy], **_estimates(log, policy)}
    found = {name: interval(log.means(values)) for name, values in pages.items()}
    return {"pages": len(log.copy), **found, "dm": {**found["dm"], "ci95": _jackknife(log, policy)}}


def _estimates(log: PageLog, policy: str) -> dict[str, np.ndarray]:
    """The estimates [P] of `slotwise` for a policy."""
    predicted = np.zeros((*log.features.shape[:2], log.picks.shape[1]))
    for half in (0, 1):
        fold = log.copy % 2 == half
        predicted[fold] = _regression(log, ~fold)(log.features[fold])
    return slotwise(log.picks, log.propensities, log.clicked, log.targets[policy], predicted)


def _jackknife(log: PageLog, policy: str) -> float | None:
    """Half-width of the 95 % interval of the direct method."""
    copies = np.unique(log.copy)
    if len(copies) < FEWEST_COPIES:
        return None
    group = np.arange(len(copies)) % min(GROUPS, len(copies))
    number = int(group.max()) + 1
    parts = [log.of(np.isin(log.copy, copies[group != g])) for g in range(number)]
    without = np.array([part.means(_estimates(part, policy)["dm"]).mean() for part in parts])
    error = ((number - 1) / number * ((without - without.mean()) ** 2).sum()) ** 0.5
    return float(errors_of_95(number - 1) * error)


def slotwise(
    picks: np.ndarray,
    propensities: np.ndarray,
    rewards: np.ndarray,
    target: np.ndarray,
    predicted: np.ndarray,
) -> dict[str, np.ndarray]:
    """Return the slot-wise IPS, DM and DR estimates of the value of each page.

    Propensities may also be conditional on the earlier slots of the page, as those of `evaluation.record`. Then
    `target` must be the policy's pick for each slot given the log's picks in the earlier slots, and none of those
    picks.

    Args:
        picks: [P, K] options that the log shows, integers below C.
        propensities: [P, K] their probabilities in this slot, in (0, 1].
        rewards: [P, K] rewards of the slots.
        target: [P, K] options that the policy would show.
        predicted: [P, C, K] predictions of the reward of each option in each slot.

    Returns:
        ips, dm, dr: [P] each.

    Raises:
        TypeError, ValueError: the arrays are of wrong kinds or shapes, or a propensity is not in (0, 1].
    """
    predicted = as_numbers("predicted", predicted)
    if predicted.ndim != 3:
        raise ValueError(f"predicted = {shown(predicted)} of shape {list(predicted.shape)} must be [P, C, K]")
    shape = (len(predicted), predicted.shape[2])
    shown_, wanted = (as_indices(name, a, predicted.shape[1]) for name, a in {"picks": picks, "target": target}.items())
    weights, earned = as_numbers("propensities", propensities), as_numbers("rewards", rewards, "fiub")
    for name, array in {"picks": shown_, "target": wanted, "propensities": weights, "rewards": earned}.items():
        if array.shape != shape:
            raise ValueError(f"{name} = {shown(array)} of shape {list(array.shape)} must be [P, K] = {list(shape)}")
    if weights.size and not (weights.min() > 0 and weights.max() <= 1):
        raise ValueError(f"propensities = {shown(propensities)} must be above 0 and at most 1")
    pages, slots = np.ogrid[: shape[0], : shape[1]]
    same = (shown_ == wanted) / weights
    ips, dm = (same * earned).sum(1), predicted[pages, wanted, slots].sum(1)
    return {"ips": ips, "dm": dm, "dr": dm + (same * (earned - predicted[pages, shown_, slots])).sum(1)}


def _regression(log: PageLog, fold: np.ndarray) -> Any:
    """Fit a ridge regression of clicks on the features of the option shown, in each slot apart, on some pages.

    Returns:
        function from features [P, C, F] to predictions [P, C, K].
    """
    features, clicked = log.features[fold], log.clicked[fold]
    pages = np.arange(len(features))
    mean, sd = features.mean((0, 1)), np.maximum(features.std((0, 1)), 1e-6)
    fitted = []
    for k in range(log.picks.shape[1]):
        x = _with_one((features[pages, log.picks[fold, k]] - mean) / sd)
        penalty = RIDGE * np.eye(x.shape[1])
        penalty[-1, -1] = 1e-9  # the intercept
        fitted.append(np.linalg.solve(x.T @ x + penalty, x.T @ clicked[:, k]))
    coefficients = np.array(fitted).T  # [F + 1, K]
    return lambda others: _with_one((others - mean) / sd) @ coefficients


def _with_one(x: np.ndarray) -> np.ndarray:
    """Return the features with a column of ones behind them."""
    return np.concatenate((x, np.ones((*x.shape[:-1], 1))), axis=-1)
