"""The sections of a report's page on a log of pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..world import ORIGINS
from . import visit_realism
from .click_prediction import BINS, RESAMPLES
from .click_realism import MARGINALS
from .diagnosis import UNUSUAL
from .markup import bullets, draw_intervals, figure, interval_text, paragraph, table
from .page_values import FEWEST_CLICKS, LACKING
from .ranking import FITTED
from .shared_sections import distances, draw_items, likeness, limits, policies
from .verdict import percent


def log_facts(report: Mapping[str, Any]) -> list[str]:
    """What the log is, and what of it is held out."""
    log = report["log"]
    before, after = log["pages"]
    since = f", from {log['held out from']} on," if log["held out from"] else ""
    began = f", from {log['first']} on" if log["first"] else ""
    return [
        paragraph(
            f"The log has {log['rows']:,} rows. The world is fitted to the first {before:,} pages{began}, which show "
            f"{log['items']:,} different items to {log['users']:,} users. The last {after:,} pages{since} are held "
            f"out: the world has not seen them, and is compared with them. "
            f"{percent(log['held-out pages of new users or items'])} of the held-out pages are left out, because their "
            "user or one of their items does not occur on the first pages."
        ),
        paragraph(f"Origin of the log: {ORIGINS[report['origin']]}."),
    ]


def _diagnosis(found: Mapping[str, Any]) -> list[str]:
    overlap, explored = found["overlap"], found["exploration"]
    if explored is None:
        pages = "The log has no propensities, so it does not say which share of pages was left to chance."
    else:
        pages = (
            f"By the log's propensities, {percent(explored['slots'])} of the slots, on {percent(explored['pages'])} of "
            f"the pages, show something that had a propensity below {UNUSUAL:g}. On average a slot is as open as a "
            f"draw among {explored['alternatives']:.1f} equally likely items. The smallest propensity is "
            f"{explored['smallest propensity']:.2g}."
        )
    return [
        "<h3>How often what was shown to whom</h3>",
        paragraph(
            "The appeal of an item can be told from chance only if enough users saw it, and tastes can be compared "
            "only between users who saw the same items."
        ),
        bullets(
            [
                f"{percent(overlap['items with enough users'])} of the items were shown to at least "
                f"{overlap['enough users']} users. These items make up "
                f"{percent(overlap['impressions of items with enough users'])} of the impressions. The median item was "
                f"shown to {overlap['median users of an item']:g} users.",
                f"The median item was shown {found['median impressions of an item']:g} times and clicked "
                f"{found['median clicks of an item']:g} times. "
                f"{percent(found['items without a click'])} of the items were never clicked.",
                f"{percent(overlap['users with enough impressions'])} of the users saw at least "
                f"{overlap['enough impressions']} items, repeated ones included. The median user saw "
                f"{overlap['median impressions of a user']:g}.",
                f"Two random users have seen {overlap['items that two users share']:.1f} items in common. "
                f"{percent(overlap['pairs of users that share an item'])} of the pairs share at least one.",
                f"{percent(overlap['users in the largest connected group'])} of the users are linked to each other, "
                "directly or through other users, by items that they saw.",
            ]
        ),
        figure(draw_items, overlap, "Items by the number of users who saw them."),
        *limits(found, pages),
    ]


def _held_out(found: Mapping[str, Any]) -> list[str]:
    quality = dict(sorted(found["quality"].items(), key=lambda item: item[1]["log-loss"]["mean"]))
    rows = [
        [
            name,
            *(_optional(row[metric]) for metric in ("log-loss", "AUC", "predicted clicks per click", "slope")),
            f"{row['calibration error']:.4f}",
        ]
        for name, row in quality.items()
    ]
    gaps = [
        [name, *(_optional(row["fitted minus this"][metric], sign=True) for metric in ("log-loss", "AUC"))]
        for name, row in quality.items()
        if name != FITTED
    ]
    users = f"{found['users']:,} users"
    if found["users that are predicted"] < found["users"]:
        users = f"{found['users that are predicted']:,} of the {users}, drawn at random"
    return [
        paragraph(
            f"For each of the {found['shown items']:,} items on {found['pages']:,} held-out pages of "
            f"{users}, the world and other methods predict the probability of a click. "
            f"{found['clicks']:,} were clicked; of a page with several clicks, the first counts. The world averages "
            "over what it does not know of each user's taste. Log-loss is 0 for certain and right predictions; smaller "
            "is better. AUC is the probability that a clicked item got a higher prediction than one that was not."
        ),
        figure(_draw_loss, quality, "Log-loss with 95 % intervals; further left is better."),
        table(
            ["method", "log-loss", "AUC", "predicted clicks per click", "calibration slope", "calibration error"], rows
        ),
        paragraph(
            "Predictions are calibrated if there is one predicted click for each real one, and if the slope is 1: "
            "below 1 they are too sure, above 1 too timid. The calibration error is the mean distance of predicted and "
            f"real click rates in {BINS} groups of equally many items. Intervals are 95 % bootstrap intervals over "
            f"users ({RESAMPLES} resamples). Boosting sees positions, prices, popularity, habits, and the click rates "
            "so far of the item, of the user and of the user in the item's topic."
        ),
        "<h3>Fitted world minus the other methods, for the same users</h3>",
        table(["method", "log-loss (below 0: the world is better)", "AUC (above 0: the world is better)"], gaps),
    ]


def _optional(row: Mapping[str, float] | None, sign: bool = False) -> str:
    return "–" if row is None else interval_text(row, sign=sign)


def _realism(found: Mapping[str, Any]) -> list[str]:
    clicks = found["clicks"]
    return [
        paragraph(
            f"The users of the world see {found['pages']:,} of the held-out pages as they were shown, and choose "
            f"themselves. They click on {clicks['world']:,} pages, the real users clicked on {clicks['real']:,}. "
            "Nobody fills the pages anew, so that the choices alone are compared."
        ),
        *likeness(found, MARGINALS, "clicks", "pages"),
        *_visits(found["visits"]),
    ]


def _visits(found: Mapping[str, Any] | None) -> list[str]:
    heading = "<h3>Do simulated users come back like real ones?</h3>"
    if found is None:
        return [heading, paragraph("The log has no sessions, so it does not say what a visit is.")]
    visits = found["visits"]
    return [
        heading,
        paragraph(
            f"From the beginning of the held-out period, the log has {found['pages']:,} pages of known users, who made "
            f"{visits['real']:,} visits. In the world, {visits['world']:,} visits have as many pages. The period is "
            "as long in both, so that only the shapes of the distributions are compared, as above."
        ),
        distances(found["marginals"], visit_realism.MARGINALS, "pages"),
    ]


def _decisions(found: Mapping[str, Any]) -> list[str]:
    return [*policies(found, f"in {found['unit']}"), *_page_values(found["page values"])]


def _page_values(found: Mapping[str, Any]) -> list[str]:
    heading = "<h3>The value of one page, by the world and by the log's propensities</h3>"
    if "reason" in found:
        return [heading, paragraph(f"There are no off-policy estimates: {found['reason']}.")]
    rows = [
        [
            name,
            *(_optional(row[kind]) for kind in ("world", "dm", "dr", "ips")),
            _optional(row["weight"]),
        ]
        for name, row in found["policies"].items()
    ]
    logged = found["logged"]
    return [
        heading,
        paragraph(
            f"Simple policies fill the {found['slots']} slots of {found['pages']:,} held-out pages one at a time: each "
            "below what the log shows in the earlier slots, and the platform fills the slots below. They show an "
            "item at random, the most popular one, the one that was clicked most for its positions (appeal), or the "
            "one with the highest fitted utility for the user. The table shows the clicks per page of the slots that "
            "they fill so, as the world predicts them and by the log's propensities. The direct method (DM) multiplies "
            "the appeals of items and the click rates of positions. Inverse propensity scoring (IPS) counts the clicks "
            "of the slots in which the log shows what the policy would show, each divided by its propensity. The world "
            "counts its own click probabilities of these slots in the same way. The doubly robust estimate (DR) "
            "corrects DM by IPS of its errors. The mean weight of these slots is 1, but for chance, if the log could "
            "have shown all that the policy shows and its propensities are right. The estimates are "
            f"left out if its whole interval is below {1 - LACKING:g} or above {1 + LACKING:g}. They are also left out "
            f"if the slots in which the log shows the policy's item were clicked fewer than {FEWEST_CLICKS} times, or "
            f"if they are worth fewer clicks than that: a few slots with large weights may decide the estimate."
        ),
        table(["policy", "world", "DM", "DR", "IPS", "mean weight"], rows),
        paragraph(
            f"As logged, the pages got {interval_text(logged['clicks'])} clicks each; the world predicts "
            f"{interval_text(logged['world'])} for them. One page says nothing of later pages: what gets most clicks "
            "now may keep fewer users."
        ),
    ]


SECTIONS: dict[str, tuple[str, Callable[[Any], list[str]]]] = {
    "diagnosis": ("What the log can say", _diagnosis),
    "held out": ("Does the world predict later clicks?", _held_out),
    "realism": ("Do simulated users click like real ones?", _realism),
    "decisions": ("Which policy would it choose, and how sure is that?", _decisions),
}
"""The parts of a report that the page explains, in order: heading, and what writes the part."""


def _draw_loss(axes: Any, quality: Mapping[str, Any]) -> None:
    draw_intervals(axes, {name: row["log-loss"] for name, row in quality.items()}, "log-loss per shown item")
