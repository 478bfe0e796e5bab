"""The report on a log: fit a world to its first part, and compare the world with its last part."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ...config.fitted import FittedWorld, RecommenderLogWarning
from ...config.settings import Settings, number_field, numbers_field, replace
from ...libraries import library
from ...policies import POLICIES
from ..choice_model import ChoiceModel
from ..estimate import FitSettings, Origin, checked_origin, fit
from ..page_world import PageFitSettings, doubts_of, fitted_pages
from ..tastes import purchase_counts
from . import (
    click_prediction,
    click_realism,
    decisions,
    diagnosis,
    page_values,
    ranking,
    realism,
    verdict,
    visit_realism,
)
from .split import PageSplit, Refusal, Split, split, split_pages

if TYPE_CHECKING:
    import pandas as pd

Progress = Callable[[str], None]
Part = tuple[dict[str, Any], list[verdict.Finding]]  # numbers, and what they mean


@dataclass(frozen=True)
class ReportSettings(Settings):
    """Settings of a report."""

    held_out: float = number_field(
        0.1, "share of the log's days, or of its pages, that are held out, the last ones", 0.001, 0.9
    )
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
    habit_half_life: float  # of the fit, in days
    settings: ReportSettings
    progress: Progress


@dataclass(frozen=True)
class PageEvidence:
    """What the parts of a report on a log of pages are made from."""

    log: PageSplit
    world: FittedWorld  # fitted to the first part of the log
    model: ChoiceModel
    fit_settings: PageFitSettings
    settings: ReportSettings
    progress: Progress

    @cached_property
    def before(self) -> click_prediction.Shown:
        """The items shown in the first part."""
        return self._shown(self.log.first)

    @cached_property
    def later(self) -> click_prediction.Shown:
        """The items shown in the second part."""
        return self._shown(self.log.after)

    def _shown(self, pages: np.ndarray) -> click_prediction.Shown:
        return click_prediction.shown_items(self.log, self.world.catalogue, self.fit_settings, pages)


def assess(
    log: Any,
    *,
    origin: Origin | None = None,
    columns: Mapping[str, str | None] | None = None,
    items: pd.DataFrame | None = None,
    events: Mapping[str, Any] | None = None,
    fit_settings: Mapping[str, Any] | None = None,
    progress: Progress = lambda step: None,
    **settings: Any,
) -> dict[str, Any]:
    """Say whether one may compare policies in a world fitted to a log, and why.

    The world is fitted to the first part of the log. The last days are held out: they show how well the world predicts,
    and how much its customers buy like real ones. What is large is sampled: at most `ranking.USERS` users are ranked
    for, at most `realism.PURCHASES` purchases are compared, and at most `decisions.USERS` users visit the policies.
    Of a log of pages the last pages are held out, and what is predicted, simulated and decided are clicks.

    Args:
        log: a DataFrame or the path of a file, as for `fit`.
        origin, columns, items, events: as in `fit`.
        fit_settings: fields of `FitSettings`, or of `PageFitSettings`.
        progress: called with the name of each step before it begins.
        settings: fields of `ReportSettings`.

    Returns:
        a report of JSON values:

        - verdict: comparison ("allowed", "with care", "not allowed" or "refused"), sentence, right, wrong, never.
        - log: rows, users, items, days or pages, and the date from which on they are held out.
        - diagnosis, held out, realism, decisions: numbers that `page` explains. If the comparison is refused, there are
          none.

    Raises:
        ValueError, TypeError: the table is no log of this origin, or an argument is of a wrong kind, as in `fit`.
        ImportError: a library of the extra `fit` is missing.
    """
    how = checked_origin(origin)
    if how != "pages" and (items is not None or events is not None):
        raise ValueError(f'items and events are for origin="pages"; origin = {how!r}')
    chosen: ReportSettings = replace(ReportSettings(), settings)
    report: dict[str, Any] = {"origin": how, "settings": asdict(chosen)}
    progress("cut the log")
    try:
        if how == "pages":
            of_pages: PageFitSettings = replace(PageFitSettings(), fit_settings or {})
            pages = split_pages(log, columns, items, chosen.held_out, events)
            progress("fit a world to the first part")
            report["log"], findings, parts = _of_pages(pages, of_pages, chosen, progress)
        else:
            of_purchases: FitSettings = replace(FitSettings(), fit_settings or {})
            purchases = split(log, columns, chosen.held_out)
            progress("fit a world to the first part")
            world, doubts = _fitted(purchases, how, columns, fit_settings or {})
            report["log"], findings = _facts(purchases, world), verdict.about_log(doubts)
            evidence = Evidence(how, purchases, world, of_purchases.habit_half_life, chosen, progress)
            parts = {name: partial(part, evidence) for name, part in PARTS.items()}
    except Refusal as reason:
        return {**report, "verdict": verdict.refused(reason)}
    for name, part in parts.items():
        report[name], found = part()
        findings += found
    kind = diagnosis.KINDS[how]
    return {"verdict": verdict.verdict(kind.comparable, findings, kind.never), **report}


def _facts(log: Split, world: FittedWorld) -> dict[str, Any]:
    return {
        "rows": len(log.training) + round(len(log.after) / (1 - log.strangers)),
        "users": log.shape[0],
        "items": log.shape[1],
        "first day": world.log.first,
        "held out from": log.date,
        "days": log.days,
        "held-out rows": len(log.after),
        "strangers": log.strangers,
    }


def _of_pages(
    log: PageSplit, fit_settings: PageFitSettings, settings: ReportSettings, progress: Progress
) -> tuple[dict[str, Any], list[verdict.Finding], dict[str, Callable[[], Part]]]:
    """Fit a world to the first part of a log of pages: facts of the log, doubts, and the parts of the report."""
    try:
        world, model = fitted_pages(log.before, fit_settings)
    except ValueError as error:
        raise Refusal(str(error)) from None
    facts = {
        "rows": len(log.whole.row_page),
        "users": len(log.before.user_ids),
        "items": len(log.before.item_ids),
        "first": world.log.first,
        "held out from": log.date,
        "pages": (int(log.first.sum()), int((~log.first).sum())),
        "strangers": log.strangers,
    }
    evidence = PageEvidence(log, world, model, fit_settings, settings, progress)
    doubts = verdict.about_log(doubts_of(log.whole, fit_settings), log.whole.serious)
    return facts, doubts, {name: partial(part, evidence) for name, part in PAGE_PARTS.items()}


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
    numbers = {"users": users, "evaluated users": min(users, ranking.USERS), "quality": quality}
    return numbers, verdict.about_ranking(quality, ranking.IMPERSONAL)


def _realism(evidence: Evidence) -> Part:
    catalogue, log = evidence.world.catalogue, evidence.log
    most = max(1000, min(realism.PURCHASES, realism.SHELF_CELLS // log.shape[1]))
    later = log.after.sort_values("day", kind="stable").head(most)
    real = realism.bought(later, (catalogue.habit_item, catalogue.habit_count))
    days = max(float(real.day.max()), 1.0)
    earlier = _earlier(evidence, days, most)
    evidence.progress(f"simulate {len(real.user):,} purchases")
    simulated = realism.simulate(*_unguided(evidence, real), len(real.user), days)
    evidence.progress("compare simulated with real purchases")
    samples = real, earlier, simulated
    numbers = {
        "days": days,
        "purchases": len(real.user),
        "marginals": realism.compared(catalogue, realism.marginals, *samples),
    }
    evidence.progress("train classifiers to tell simulated from real purchases")
    numbers["discriminator"] = realism.told_apart(catalogue, realism.features, *samples)
    return numbers, verdict.about_realism(numbers, realism.MARGINALS)


def _earlier(evidence: Evidence, days: float, most: int) -> realism.Bought:
    """The last purchases before the date, with the habits that the users had before these."""
    log, size = evidence.log, evidence.world.catalogue.habit_item.shape[1]
    old = (log.before["day"] <= float(log.before["day"].max()) - days).to_numpy()
    found = realism.bought_after(log.before, old, log.shape, evidence.habit_half_life, size)
    return found.of(np.arange(len(found.user)) < most)


def _unguided(evidence: Evidence, real: realism.Bought) -> tuple[FittedWorld, str | None]:
    """The world in which customers choose as the origin of the log says, and the policy that fills its pages."""
    policy = diagnosis.KINDS[evidence.origin].policy
    if policy is not None:
        return replace(evidence.world, {"action": "items"}), policy
    visits = len(np.unique(np.stack([real.user, np.floor(real.day).astype(np.int64)]), axis=1).T)
    return replace(evidence.world, realism.shelf(evidence.world.catalogue, len(real.user) / visits)), None


def _decisions(evidence: Evidence | PageEvidence) -> Part:
    world, settings = decisions.sampled(evidence.world), evidence.settings
    evidence.progress(f"play {len(settings.policies)} policies")
    rewards = decisions.play(world, settings.policies, settings.episodes, decisions.SEED)
    order = decisions.ranking(rewards)
    hidden = decisions.confounder(world, rewards, settings.strengths, settings.draws, evidence.progress)
    visitors = len(world.catalogue.user_taste)
    numbers = {
        "visitors": visitors,
        "candidates": world.candidates.number,
        "unit": "clicks" if world.reward.click > 0 else "units of the mean profit of a sale",
        "ranking": order,
        "confounder": hidden,
    }
    comparable = diagnosis.KINDS[world.origin].comparable
    return numbers, verdict.about_decisions(order, hidden) if comparable else []


# ------------------------------------------------------------------------------------------------ parts about pages


def _page_diagnosis(evidence: PageEvidence) -> Part:
    evidence.progress("look at the overlap of users and items")
    log, rows = evidence.log.before, evidence.before
    lines = library("pandas", "fit").DataFrame({"user": rows.user, "item": rows.item, "day": 0.0})
    found = diagnosis.overlap(lines, (len(log.user_ids), len(log.item_ids)), "impressions")
    impressions, clicks = (
        np.bincount(item, minlength=len(log.item_ids)) for item in (rows.item, rows.item[rows.clicked])
    )
    explored = diagnosis.exploration(log)
    enough = explored is not None and explored["pages"] >= verdict.EXPLORED
    numbers = {
        "overlap": found,
        "median impressions of an item": float(np.median(impressions)),
        "median clicks of an item": float(np.median(clicks)),
        "items without a click": float((clicks == 0).mean()),
        "exploration": explored,
        "not identified": (*diagnosis.pages_not_identified(log), *diagnosis.KINDS["pages"].not_identified),
        "advice": diagnosis.ADVICE[1:] if enough else diagnosis.ADVICE,  # the first says to explore
    }
    return numbers, verdict.about_overlap(found, "impressions", "saw")


def _page_held_out(evidence: PageEvidence) -> Part:
    evidence.progress("predict the held-out clicks")
    users = len(np.unique(evidence.later.user))
    later = evidence.later.of_some_users()
    found = click_prediction.predictions(evidence.world.catalogue, evidence.model, evidence.before, later)
    evidence.progress("compare the predictions")
    quality = click_prediction.click_quality(found, later)
    numbers = {
        "users": users,
        "evaluated users": len(np.unique(later.user)),
        "pages": int(later.page[-1]) + 1,
        "shown items": len(later.item),
        "clicks": int(later.clicked.sum()),
        "quality": quality,
    }
    return numbers, verdict.about_clicks(quality)


def _page_realism(evidence: PageEvidence) -> Part:
    catalogue, priced = evidence.world.catalogue, evidence.log.whole.price is not None
    later, before = evidence.later.page_order, evidence.before.page_order
    count = min(len(later), click_realism.PAGES)
    rows = evidence.later.of(later <= np.sort(later)[count - 1])
    rows_before = evidence.before.of(before >= np.sort(before)[-count:][0])
    evidence.progress(f"simulate clicks on {count:,} pages")
    real, earlier = (click_realism.real_pages(some, priced) for some in (rows, rows_before))
    simulated = click_realism.simulated_pages(catalogue, rows, priced)
    evidence.progress("compare simulated with real clicks")
    numbers: dict[str, Any] = {
        "pages": count,
        "clicks": {name: len(of.clicks.user) for name, of in {"real": real, "world": simulated}.items()},
        "marginals": realism.compared(catalogue, click_realism.marginals, real, earlier, simulated),
        "visits": _visits(evidence),
    }
    evidence.progress("train classifiers to tell simulated from real clicks")
    clicks = real.clicks, earlier.clicks, simulated.clicks
    numbers["discriminator"] = realism.told_apart(catalogue, click_realism.features, *clicks)
    findings = verdict.about_realism(numbers, click_realism.MARGINALS, "clicks")
    if numbers["visits"] is not None:
        findings += verdict.about_marginals(numbers["visits"]["marginals"], visit_realism.MARGINALS, "visits")
    return numbers, findings


def _visits(evidence: PageEvidence) -> dict[str, Any] | None:
    """How visits of the world differ from those of the held-out pages of known users; None without sessions."""
    log, catalogue = evidence.log, evidence.world.catalogue
    if log.whole.session is None:
        return None
    first, later = (visit_realism.of_known_users(log, pages) for pages in (log.first, ~log.first))
    later = later[: click_realism.PAGES]
    evidence.progress(f"simulate visits of {len(later):,} pages")
    real, earlier = (visit_realism.real_visits(log, pages) for pages in (later, first[-len(later) :]))
    simulated = visit_realism.simulated_visits(evidence.world, log, later)
    return {
        "pages": len(later),
        "visits": {name: len(of.user) for name, of in {"real": real, "world": simulated}.items()},
        "marginals": realism.compared(catalogue, visit_realism.marginals, real, earlier, simulated),
    }


def _page_decisions(evidence: PageEvidence) -> Part:
    evidence.progress("estimate the value of pages")
    catalogue = evidence.world.catalogue
    shown = evidence.before, evidence.later, evidence.log.candidates
    values = page_values.page_values(catalogue, evidence.model, *shown)
    numbers, findings = _decisions(evidence)
    if not verdict.wrong_propensities(values):
        findings.append(verdict.about_exploration(diagnosis.exploration(evidence.log.before)))
    return {**numbers, "page values": values}, [*findings, *verdict.about_page_values(values)]


PARTS: dict[str, Callable[[Evidence], Part]] = {
    "diagnosis": _diagnosis,
    "held out": _held_out,
    "realism": _realism,
    "decisions": _decisions,
}
"""The parts of a report on a log of purchases, in order."""
PAGE_PARTS: dict[str, Callable[[PageEvidence], Part]] = {
    "diagnosis": _page_diagnosis,
    "held out": _page_held_out,
    "realism": _page_realism,
    "decisions": _page_decisions,
}
"""The parts of a report on a log of pages, in order."""
