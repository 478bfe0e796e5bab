"""Parts of sections that reports on logs of purchases and of pages share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...evaluation.plots import COLOURS
from .markup import bullets, draw_intervals, figure, interval_text, number, paragraph, table
from .realism import FEWEST_VALUES
from .verdict import percent


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
        "<h3>What exploration would cure, and what not</h3>",
        *map(paragraph, found["advice"]),
    ]


def likeness(found: Mapping[str, Any], meanings: Mapping[str, str], rows: str, period: str) -> list[str]:
    """Distances of simulated from real purchases or clicks, and how well a classifier tells them apart.

    Args:
        found: the part "realism", whose marginals have these meanings.
        rows: what is compared.
        period: what the samples consist of.
    """
    classifier = found["discriminator"]
    features = list(classifier["features"].items())[:5]
    return [
        "<h3>Distributions, one by one</h3>",
        paragraph(
            "Each number is the distance between two distributions, from 0 (equal) to 1 (nothing in common): total "
            f"variation for items and topics, the Kolmogorov-Smirnov distance for numbers. The real {rows} of half "
            f"of the users are compared with three samples of the other half of the users: their {rows} in the "
            f"world, their real ones of the same {period}, and their real ones of as many {period} before. The two "
            "real columns are the floor: a perfect world would not be nearer. A dash stands for samples of fewer than "
            f"{FEWEST_VALUES} values."
        ),
        figure(_draw_marginals, found["marginals"], f"Distance of the world (dots) and of real {rows} (bars)."),
        distances(found["marginals"], meanings, period),
        f"<h3>All together: can a classifier tell simulated from real {rows}?</h3>",
        paragraph(
            f"Gradient boosting is trained on the {rows} of half of the users and tested on the others. An AUC of "
            f"0.5 is chance, 1 means that it is always right. Here it is {classifier['auc']:.2f}. Between real {rows} "
            f"of two periods it is {classifier['floor']:.2f}, which is the floor. The most telling feature is "
            f"'{classifier['without']}'. Without it the AUC is {classifier['auc without']:.2f} (floor "
            f"{classifier['floor without']:.2f})."
        ),
        table(["feature", "AUC that is lost if the feature is shuffled"], [[n, f"{v:.3f}"] for n, v in features]),
    ]


def distances(marginals: Mapping[str, Any], meanings: Mapping[str, str], period: str) -> str:
    """The table of marginals, which have these meanings, of samples that consist of a `period`, such as pages."""
    rows = [
        [meanings[name], *(number(row[kind]) for kind in ("world", "other users", "earlier"))]
        for name, row in marginals.items()
    ]
    return table(["distribution", "world", "real, other users", f"real, earlier {period}"], rows)


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
            f"an agent's mean over an episode, {unit}. An agent fills its slots from {found['candidates']} items that "
            "retrieval offers it; how retrieval finds them is assumed and not fitted. Two policies truly differ if the "
            "interval of their difference for the same visitors does not contain 0, where the intervals of all pairs "
            "hold jointly with 95 %: "
            f"{len(pairs)} of {order['pairs']} pairs do ({percent(order['share of pairs that differ'])})."
        ),
        figure(_draw_policies, by_policy, "Reward of each policy with 95 % intervals."),
        table(["policy", "reward", "truly better than"], rows),
        paragraph(
            "How much would be lost by choosing the policy that this world prefers (the regret) cannot be computed "
            "from a log, because it needs the true rewards."
        ),
        "<h3>If something that the log does not show drives the choices</h3>",
        paragraph(
            "A hidden cause, such as a campaign or a place at the entrance, makes some items look better than they "
            "are. Here, the appeal of every item is moved at random. A strength of 0.5 utils multiplies or divides the "
            "odds of a typical item by 1.65. The fitted appeals of the items themselves have a standard deviation of"
            f" {hidden['spread of the intercepts']:.2f} utils. Kendall's tau compares the order of the "
            "policies with the order in the world as fitted: 1 is the same order, 0 is an unrelated one. The numbers "
            f"are means over {hidden['draws']} draws. The best policy is the best of those that are not oracles."
        ),
        figure(_draw_confounder, hidden["strengths"], "Agreement with the order in the world as fitted."),
        table(["strength (utils)", "tau", "lowest tau", "same best policy"], strengths),
    ]


def draw_items(axes: Any, overlap: Mapping[str, Any]) -> None:
    """Items by the number of their users."""
    counts = overlap["items by users"]
    axes.bar(list(counts), list(counts.values()), color=COLOURS[0])
    axes.set(xlabel="users of the item", ylabel="items")
    axes.tick_params(axis="x", labelrotation=30, labelsize="small")


def _draw_policies(axes: Any, policies: Mapping[str, Any]) -> None:
    draw_intervals(axes, policies, "reward of an agent in an episode")


def _draw_marginals(axes: Any, marginals: Mapping[str, Any]) -> None:
    rows = {name: row for name, row in marginals.items() if row["world"] is not None and row["floor"] is not None}
    heights = range(len(rows))
    axes.barh(heights, [row["floor"] for row in rows.values()], color="#cccccc", label="real (floor)")
    axes.plot([row["world"] for row in rows.values()], heights, "o", color=COLOURS[1], label="world")
    axes.set_yticks(heights, list(rows))
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
