"""The sections of a report's page on a log of purchases."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..world import ORIGINS
from .markup import bullets, draw_intervals, figure, interval_text, paragraph, table
from .ranking import CUTOFF, FITTED, RESAMPLES
from .realism import MARGINALS
from .shared_sections import draw_items, likeness, limits, policies
from .verdict import percent

SUBSETS = {"all": "All items", "new": "Items that the user had never bought before"}


def log_facts(report: Mapping[str, Any]) -> list[str]:
    """What the log is, and what of it is held out."""
    log = report["log"]
    before, after = log["days"]
    return [
        paragraph(
            f"The log has {log['rows']:,} purchases. The world is fitted to the first {before} days, from "
            f"{log['first day']} on, in which {log['users']:,} users bought {log['items']:,} different items. The last "
            f"{after} days, from {log['held out from']} on, are held out: the world has not seen them, and is compared "
            f"with them. {percent(log['held-out rows of new users or items'])} of the held-out purchases are left "
            "out, because their user or item does not occur in the first days."
        ),
        paragraph(f"Origin of the log: {ORIGINS[report['origin']]}."),
    ]


def _diagnosis(found: Mapping[str, Any]) -> list[str]:
    overlap, explored = found["overlap"], found["explored pages"]
    pages = (
        "The log does not say which share of pages was filled at random."
        if explored is None
        else (f"{percent(explored)} of the pages were filled at random.")
    )
    return [
        "<h3>How much users and items overlap</h3>",
        paragraph(
            "The appeal of an item can be told from chance only if enough users bought it, and tastes can be compared "
            "only between users who share items."
        ),
        bullets(
            [
                f"{percent(overlap['items with enough users'])} of the items were bought by at least "
                f"{overlap['enough users']} users. These items make up "
                f"{percent(overlap['purchases of items with enough users'])} of the purchases. The median item was "
                f"bought by {overlap['median users of an item']:g} users.",
                f"{percent(overlap['users with enough purchases'])} of the users made at least "
                f"{overlap['enough purchases']} purchases. The median user made "
                f"{overlap['median purchases of a user']:g}.",
                f"Two random users have bought {overlap['items that two users share']:.1f} items in common. "
                f"{percent(overlap['pairs of users that share an item'])} of the pairs share at least one.",
                f"{percent(overlap['users in the largest connected group'])} of the users are linked to each other, "
                "directly or through other users, by items that they bought.",
            ]
        ),
        figure(draw_items, overlap, "Items by the number of users who bought them."),
        *limits(found, pages),
    ]


def _held_out(found: Mapping[str, Any]) -> list[str]:
    sampled = (
        f"a random sample of {found['ranked users']:,} of the {found['users']:,} users"
        if found["ranked users"] < found["users"]
        else f"the {found['users']:,} users"
    )
    body = [
        paragraph(
            f"All items are ranked for {sampled} who bought something in the held-out days, and the first {CUTOFF} are "
            "compared with what each of them bought. NDCG is 1 if the bought items come first, and 0 if none is among "
            f"the first {CUTOFF}. Recall is the share of a user's bought items among them. Intervals are 95 % "
            f"bootstrap intervals over users ({RESAMPLES:,} resamples). The last column is the gain of the fitted "
            "utility for the same users: if its interval lies above 0, the fitted utility is better than this method "
            "beyond chance."
        )
    ]
    for subset, scores in found["quality"].items():
        rows = [
            [name, interval_text(row["ndcg"]), interval_text(row["recall"]), _gain(name, row)]
            for name, row in sorted(scores.items(), key=lambda item: -item[1]["ndcg"]["mean"])
        ]
        heads = ["method", f"NDCG@{CUTOFF}", f"recall@{CUTOFF}", "gain of the fitted utility (NDCG)"]
        body += [
            f"<h3>{SUBSETS[subset]}</h3>",
            figure(_draw_quality, scores, f"NDCG@{CUTOFF} with 95 % intervals; further right is better."),
            table(heads, rows),
        ]
    return body


def _gain(name: str, row: Mapping[str, Any]) -> str:
    return "" if name == FITTED else interval_text(row["fitted minus this"]["ndcg"], sign=True)


def _realism(found: Mapping[str, Any]) -> list[str]:
    return [
        paragraph(
            f"The customers of the world make {found['purchases']:,} purchases, as many as are compared of the "
            f"held-out period, in which {found['days']:.0f} days lie between the first and the last. No recommender "
            "takes part, so that the world alone is compared."
        ),
        *likeness(found, MARGINALS, "purchases", "days"),
        "<h3>Statistics</h3>",
        _statistics(found["statistics"]),
    ]


def _statistics(samples: Mapping[str, Mapping[str, Any]]) -> str:
    rows = []
    for name, value in next(iter(samples.values())).items():
        cells = [sample[name] for sample in samples.values()]
        if isinstance(value, Mapping):
            rows.append([f"{name}, median [quartiles]", *map(_quartiles, cells)])
        else:
            rows.append([name, *(f"{x:,.0f}" if name == "purchases" else f"{x:.2f}" for x in cells)])
    return table(["statistic", *samples], rows)


def _quartiles(found: Mapping[str, float]) -> str:
    return f"{found['50']:.2f} [{found['25']:.2f}, {found['75']:.2f}]" if found else "–"


def _decisions(found: Mapping[str, Any]) -> list[str]:
    return policies(found, "in units of the mean profit of a sale")


SECTIONS: dict[str, tuple[str, Callable[[Any], list[str]]]] = {
    "diagnosis": ("What the log can say", _diagnosis),
    "held out": ("Does the world predict later purchases?", _held_out),
    "realism": ("Do simulated customers buy like real ones?", _realism),
    "decisions": ("Which policy would it choose, and how sure is that?", _decisions),
}
"""The parts of a report that the page explains, in order: heading, and what writes the part."""


# ------------------------------------------------------------------------------------------------ plots


def _draw_quality(axes: Any, scores: Mapping[str, Any]) -> None:
    rows = {name: row["ndcg"] for name, row in scores.items()}
    draw_intervals(axes, dict(sorted(rows.items(), key=lambda item: -item[1]["mean"])), f"NDCG@{CUTOFF}")
