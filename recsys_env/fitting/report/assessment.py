"""The report on a log: fit a world to its first part, and compare the world with its last part."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ...policies import POLICIES
from ...settings import Settings, number_field, numbers_field, replace
from ..estimate import Origin, fit
from ..tastes import largest_habits, purchase_counts
from ..world import FittedWorld, RecommenderLogWarning, checked_origin
from . import decisions, diagnosis, ranking, realism, verdict
from .realism import Bought
from .split import Refusal, Split, split

if TYPE_CHECKING:
    import pandas as pd

Progress = Callable[[str], None]


@dataclass(frozen=True)
class ReportSettings(Settings):
    """Settings of a report."""

    held_out: float = number_field(0.1, "share of the log's days that are held out, the last ones", 0.001, 0.9)
    episodes: int = number_field(16, "episodes of each policy", 2, 10_000)
    draws: int = number_field(3, "draws of a hidden confounder at each strength", 1, 1000)
    strengths: tuple[float, ...] = numbers_field((0.25, 0.5, 1.0), "of a hidden confounder, in utils", 0.0, 50.0)
    policies: tuple[str, ...] = field(
        default=("random", "popularity", "nearest", "content", "linucb", "greedy"),
        metadata={"doc": "policies to compare in the world", "item": str, "words": tuple(POLICIES)},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(set(self.policies)) != len(self.policies) or len(self.policies) < 2:
            raise ValueError(f"ReportSettings.policies = {self.policies} must name two different policies or more")


@dataclass(frozen=True)
class Evidence:
    """What the parts of a report are made from."""

    origin: str
    log: Split
    world: FittedWorld  # fitted to the first part of the log
    settings: ReportSettings
    progress: Progress


def assess(
    purchases: pd.DataFrame,
    *,
    origin: Origin | None = None,
    columns: Mapping[str, str | None] | None = None,
    fit_settings: Mapping[str, Any] | None = None,
    progress: Progress = lambda step: None,
    **settings: Any,
) -> dict[str, Any]:
    """Say whether one may compare policies in a world fitted to a log, and why.

    The world is fitted to the first part of the log. The last days are held out: they show how well the world predicts,
    and how much its customers buy like real ones. What is large is sampled: at most `ranking.USERS` users are ranked
    for, at most `realism.PURCHASES` purchases are compared, and at most `decisions.USERS` users visit the policies.

    Args:
        purchases, origin, columns: as in `fit`.
        fit_settings: fields of `FitSettings`.
        progress: called with the name of each step before it begins.
        settings: fields of `ReportSettings`.

    Returns:
        a report of JSON values:

        - verdict: comparison ("allowed", "with care", "not allowed" or "refused"), sentence, right, wrong, never.
        - log: rows, users, items, days, and the date from which on purchases are held out.
        - the parts of `PARTS`, whose numbers `page` explains. If the comparison is refused, there are none.

    Raises:
        ValueError, TypeError: the table is no log of purchases, or an argument is of a wrong kind, as in `fit`.
        ImportError: a library of the extra `fit` is missing.
    """
    how = checked_origin(origin)
    if how not in diagnosis.KINDS:
        raise ValueError(f"origin = {how!r}: reports are for logs of purchases, {', '.join(diagnosis.KINDS)}")
    chosen: ReportSettings = replace(ReportSettings(), settings)
    report: dict[str, Any] = {"origin": how, "settings": asdict(chosen)}
    progress("cut the log")
    try:
        log = split(purchases, columns, chosen.held_out)
        progress("fit a world to the first part")
        world, doubts = _fitted(log, how, columns, fit_settings or {})
    except Refusal as reason:
        return {**report, "verdict": verdict.refused(reason)}
    evidence = Evidence(how, log, world, chosen, progress)
    report["log"] = {
        "rows": len(purchases),
        "users": log.shape[0],
        "items": log.shape[1],
        "first day": world.log.first,
        "held out from": log.date,
        "days": log.days,
        "held-out rows": len(log.after),
        "held-out rows of new users or items": log.strangers,
    }
    findings = [verdict.Finding("wrong", f"The log is doubtful: {doubt}.") for doubt in doubts]
    for name, part in PARTS.items():
        report[name], found = part(evidence)
        findings += found
    kind = diagnosis.KINDS[how]
    return {"verdict": verdict.verdict(kind.comparable, findings, kind.never), **report}


def _fitted(
    log: Split, origin: Any, columns: Mapping[str, str | None] | None, settings: Mapping[str, Any]
) -> tuple[FittedWorld, list[str]]:
    """The world of the first part of a log, and what `fit` warned of.

    Raises:
        Refusal: the first part cannot be fitted, although the whole log is one of purchases.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            world = fit(log.training, origin=origin, columns=columns, **settings)
        except ValueError as error:
            raise Refusal(str(error)) from None
    doubts = [str(w.message) for w in caught if not issubclass(w.category, RecommenderLogWarning | DeprecationWarning)]
    return world, doubts


# ------------------------------------------------------------------------------------------------ parts

Part = tuple[dict[str, Any], list[verdict.Finding]]  # numbers, and what they mean


def _diagnosis(evidence: Evidence) -> Part:
    evidence.progress("look at the overlap of users and items")
    found = diagnosis.overlap(evidence.log.before, evidence.log.shape)
    kind = diagnosis.KINDS[evidence.origin]
    numbers = {
        "overlap": found,
        "explored pages": kind.explored,
        "not identified": kind.not_identified,
        "advice": diagnosis.ADVICE,
    }
    return numbers, verdict.about_overlap(found)


def _held_out(evidence: Evidence) -> Part:
    evidence.progress("rank the held-out purchases")
    log = evidence.log
    known, later = (purchase_counts(lines, log.shape, 0.0, np.inf) for lines in (log.before, log.after))
    scores = ranking.scores_of(evidence.world.catalogue, log.before)
    quality = ranking.held_out_quality(scores, known, later)
    users = int((np.diff(later.indptr) > 0).sum())
    numbers = {"users": users, "ranked users": min(users, ranking.USERS), "quality": quality}
    return numbers, verdict.about_ranking(quality, ranking.RECENT)


def _realism(evidence: Evidence) -> Part:
    catalogue, log = evidence.world.catalogue, evidence.log
    most = max(1000, min(realism.PURCHASES, realism.SHELF_CELLS // log.shape[1]))
    later = log.after.sort_values("day", kind="stable").head(most)
    real = realism.bought(later, (catalogue.habit_item, catalogue.habit_count))
    days = max(float(real.day.max()), 1.0)
    earlier = _earlier(log, days, most)
    evidence.progress(f"simulate {len(real.user):,} purchases")
    simulated = realism.simulate(*_unguided(evidence, real), len(real.user), days)
    evidence.progress("compare simulated with real purchases")
    samples = {"held-out purchases": real, "earlier purchases": earlier, "world": simulated}
    numbers = {
        "days": days,
        "purchases": len(real.user),
        "statistics": {name: realism.statistics(catalogue, sample) for name, sample in samples.items()},
        "marginals": _marginals(evidence, real, earlier, simulated),
    }
    evidence.progress("train classifiers to tell simulated from real purchases")
    numbers["discriminator"] = _discriminator(evidence, real, earlier, simulated)
    return numbers, verdict.about_realism(numbers)


def _earlier(log: Split, days: float, most: int) -> Bought:
    """The last purchases before the date, with the habits that the users had before these."""
    start = float(log.before["day"].max()) - days
    old = log.before["day"] <= start
    half_life, size = ranking.HALF_LIVES.habit_half_life, ranking.HALF_LIVES.habit_size
    habits = largest_habits(purchase_counts(log.before[old], log.shape, start, half_life), size)
    return realism.bought(log.before[~old].sort_values("day", kind="stable").head(most), habits)


def _unguided(evidence: Evidence, real: Bought) -> tuple[FittedWorld, str | None]:
    """The world in which customers choose as the origin of the log says, and the policy that fills its pages."""
    policy = diagnosis.KINDS[evidence.origin].policy
    if policy is not None:
        return replace(evidence.world, {"action": "items"}), policy
    visits = len(np.unique(np.stack([real.user, np.floor(real.day).astype(np.int64)]), axis=1).T)
    return replace(evidence.world, realism.shelf(evidence.log.shape[1], len(real.user) / visits)), None


def _marginals(evidence: Evidence, real: Bought, earlier: Bought, simulated: Bought) -> dict[str, Any]:
    """Distances of three samples from the real purchases of half of the users: those of the other half in the world,
    in the held-out period, and in the period before."""
    half = realism.halves(evidence.log.shape[0])
    catalogue = evidence.world.catalogue
    reference = realism.marginals(catalogue, real.of(half[real.user]))
    found = {
        name: realism.distances(reference, realism.marginals(catalogue, sample.of(~half[sample.user])))
        for name, sample in {"world": simulated, "other users": real, "earlier": earlier}.items()
    }
    rows = {}
    for name in realism.MARGINALS:
        row: dict[str, float | None] = {kind: of[name] for kind, of in found.items()}
        floors = [value for kind in ("other users", "earlier") if (value := row[kind]) is not None]
        rows[name] = {**row, "floor": max(floors, default=None)}
    return rows


def _discriminator(evidence: Evidence, real: Bought, earlier: Bought, simulated: Bought) -> dict[str, Any]:
    """AUC of a classifier between simulated and real purchases; of one without its most telling feature; and between
    real purchases of two periods."""
    catalogue = evidence.world.catalogue
    features = realism.importances(catalogue, simulated, real)
    telling = next(iter(features))
    return {
        "auc": realism.discriminate(catalogue, simulated, real),
        "floor": realism.discriminate(catalogue, earlier, real),
        "features": features,
        "without": telling,
        "auc without": realism.discriminate(catalogue, simulated, real, without=(telling,)),
        "floor without": realism.discriminate(catalogue, earlier, real, without=(telling,)),
    }


def _decisions(evidence: Evidence) -> Part:
    world, settings = decisions.sampled(evidence.world), evidence.settings
    evidence.progress(f"play {len(settings.policies)} policies")
    rewards = decisions.play(world, settings.policies, settings.episodes, decisions.SEED)
    order = decisions.ranking(rewards)
    hidden = decisions.confounder(world, rewards, settings.strengths, settings.draws, evidence.progress)
    visitors = len(world.catalogue.user_taste)
    return {"visitors": visitors, "ranking": order, "confounder": hidden}, verdict.about_decisions(order, hidden)


PARTS: dict[str, Callable[[Evidence], Part]] = {
    "diagnosis": _diagnosis,
    "held out": _held_out,
    "realism": _realism,
    "decisions": _decisions,
}
"""The parts of a report, in order."""
