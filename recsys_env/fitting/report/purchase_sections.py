"""The sections of a report's page on a log of purchases, and what those on a log of pages share with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...evaluation.plots import COLOURS
from ..world import ORIGINS
from .markup import bullets, draw_intervals, figure, interval_text, number, paragraph, table
from .ranking import CUTOFF, FITTED, RESAMPLES
from .realism import MARGINALS
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


def limits(found: Mapping[str, Any], explored: str) -> list[str]:
    """What a log cannot tell, and what would help.

    Args:
        found: the part "diagnosis".
        explored: a sentence about the pages that were filled at random.
    """
    return [
        "<h3>What the log cannot tell</h3>",
        bullets(found["not identified"]),
        paragraph(explored),
        "<h3>What would help: explore 5 %</h3>",
        *map(paragraph, found["advice"]),
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
            f"held-out period ({found['days']:.0f} days). No recommender takes part, so that the world alone is "
            "compared."
        ),
        *likeness(found, MARGINALS, "purchases", "days"),
        "<h3>Statistics</h3>",
        _statistics(found["statistics"]),
    ]


def likeness(found: Mapping[str, Any], meanings: Mapping[str, str], rows: str, period: str) -> list[str]:
    """Distances of simulated from real purchases or clicks, and how well a classifier tells them apart.

    Args:
        found: the part "realism", whose marginals have these meanings.
        rows: what is compared.
        period: what the samples consist of.
    """
    told = found["discriminator"]
    distances = [
        [meanings[name], *(number(row[kind]) for kind in ("world", "other users", "earlier"))]
        for name, row in found["marginals"].items()
    ]
    features = list(told["features"].items())[:5]
    return [
        "<h3>Distributions, one by one</h3>",
        paragraph(
            "Each number is the distance between two distributions, from 0 (equal) to 1 (nothing in common): total "
            f"variation for items and topics, the Kolmogorov-Smirnov distance for numbers. The real {rows} of half "
            f"of the users are compared with three samples of the other half of the users: their {rows} in the "
            f"world, their real ones of the same {period}, and their real ones of as many {period} before. The two "
            "real columns are the floor: a perfect world would not be nearer."
        ),
        figure(_draw_marginals, found["marginals"], f"Distance of the world (dots) and of real {rows} (bars)."),
        table(["distribution", "world", "real, other users", f"real, earlier {period}"], distances),
        f"<h3>All together: can a classifier tell simulated from real {rows}?</h3>",
        paragraph(
            f"Gradient boosting is trained on the {rows} of half of the users and tested on the others. An AUC of "
            f"0.5 is chance, 1 means that it is always right. Here it is {told['auc']:.2f}. Between real {rows} "
            f"of two periods it is {told['floor']:.2f}, which is the floor. The most telling feature is "
            f"'{told['without']}'. Without it the AUC is {told['auc without']:.2f} (floor {told['floor without']:.2f})."
        ),
        table(["feature", "AUC that is lost if the feature is shuffled"], [[n, f"{v:.3f}"] for n, v in features]),
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


def policies(found: Mapping[str, Any], unit: str) -> list[str]:
    """How a world orders the policies, and what a hidden cause would change.

    Args:
        found: the part "decisions".
        unit: of the reward.
    """
    order, hidden = found["ranking"], found["confounder"]
    by_policy = order["policies"]
    pairs = order["pairs that differ"]
    rows = [
        [name, interval_text(row, digits=1), ", ".join(worse for better, worse in pairs if better == name) or "none"]
        for name, row in by_policy.items()
    ]
    strengths = [
        [
            f"{row['strength']:g}" + (" (chance alone)" if row["strength"] == 0 else ""),
            f"{row['tau']:.2f}",
            f"{row['lowest tau']:.2f}",
            percent(row["same best policy"]),
        ]
        for row in hidden["strengths"]
    ]
    return [
        paragraph(
            f"Policies of the package serve {found['visitors']:,} users of the world as fitted. The reward is "
            f"an agent's mean over an episode, {unit}. Two policies truly differ if the 95 % interval of their "
            f"difference for the same visitors does not contain 0: {len(pairs)} of {order['pairs']} pairs do "
            f"({percent(order['share of pairs that differ'])})."
        ),
        figure(_draw_policies, by_policy, "Reward of each policy with 95 % intervals."),
        table(["policy", "reward", "truly better than"], rows),
        paragraph(
            "How much would be lost by choosing the policy that this world prefers (the regret) cannot be computed "
            "from a log, because it needs the true rewards. The benchmarks of the package measure it in worlds where "
            "the truth is known."
        ),
        "<h3>If something that the log does not show drives the choices</h3>",
        paragraph(
            "A hidden cause, such as a campaign or a place at the entrance, makes some items look better than they "
            "are. Here, the appeal of every item is moved at random. A strength of 0.5 utils multiplies or divides the "
            "odds of a typical item by 1.65. The fitted appeals of the items themselves have a standard deviation of"
            f" {hidden['spread of the intercepts']:.2f} utils. Kendall's tau compares the order of the "
            "policies with the order in the world as fitted: 1 is the same order, 0 is an unrelated one. The numbers "
            f"are means over {hidden['draws']} draws."
        ),
        figure(_draw_confounder, hidden["strengths"], "Agreement with the order in the world as fitted."),
        table(["strength (utils)", "tau", "lowest tau", "same best policy"], strengths),
    ]


SECTIONS: dict[str, tuple[str, Callable[[Any], list[str]]]] = {
    "diagnosis": ("What the log can say", _diagnosis),
    "held out": ("Does the world predict later purchases?", _held_out),
    "realism": ("Do simulated customers buy like real ones?", _realism),
    "decisions": ("Which policy would it choose, and how sure is that?", _decisions),
}
"""The parts of a report that the page explains, in order: heading, and what writes the part."""


# ------------------------------------------------------------------------------------------------ plots


def draw_items(axes: Any, overlap: Mapping[str, Any]) -> None:
    """Items by the number of their users."""
    counts = overlap["items by users"]
    axes.bar(list(counts), list(counts.values()), color=COLOURS[0])
    axes.set(xlabel="users of the item", ylabel="items")
    axes.tick_params(axis="x", labelrotation=30, labelsize="small")


def _draw_quality(axes: Any, scores: Mapping[str, Any]) -> None:
    rows = {name: row["ndcg"] for name, row in scores.items()}
    draw_intervals(axes, dict(sorted(rows.items(), key=lambda item: -item[1]["mean"])), f"NDCG@{CUTOFF}")


def _draw_policies(axes: Any, policies: Mapping[str, Any]) -> None:
    draw_intervals(axes, policies, "reward of an agent in an episode")


def _draw_marginals(axes: Any, marginals: Mapping[str, Any]) -> None:
    rows = {name: row for name, row in marginals.items() if row["world"] is not None and row["floor"] is not None}
    places = range(len(rows))
    axes.barh(places, [row["floor"] for row in rows.values()], color="#cccccc", label="real purchases (floor)")
    axes.plot([row["world"] for row in rows.values()], places, "o", color=COLOURS[1], label="world")
    axes.set_yticks(places, list(rows))
    axes.invert_yaxis()
    axes.set(xlabel="distance", xlim=(0, 1))
    axes.legend(fontsize="small", frameon=False)


def _draw_confounder(axes: Any, rows: Sequence[Mapping[str, float]]) -> None:
    strengths = [row["strength"] for row in rows]
    axes.plot(strengths, [row["tau"] for row in rows], "o-", color=COLOURS[0], label="Kendall's tau, mean")
    axes.plot(strengths, [row["lowest tau"] for row in rows], "o--", color=COLOURS[0], alpha=0.5, label="lowest")
    axes.plot(strengths, [row["same best policy"] for row in rows], "s-", color=COLOURS[1], label="same best policy")
    axes.set(
        xlabel="strength of the hidden cause (utils)", ylim=(min(-0.05, *(row["lowest tau"] for row in rows)), 1.05)
    )
    axes.legend(fontsize="small", frameon=False)
    axes.grid(alpha=0.25)
