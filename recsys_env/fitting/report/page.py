"""The report as one HTML page, which needs no other file: words, tables and small plots.

A section is written once for logs of purchases and of pages. What differs are its words (`WORDS`) and metrics.
"""

from __future__ import annotations

import base64
import html
import io
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from ...checks import shown
from ...config.fitted import ORIGINS
from ...evaluation.plots import COLOURS
from ...files import checked_path, replacing
from ...libraries import library
from . import click_prediction, click_realism, realism, visit_realism
from .diagnosis import UNUSUAL
from .page_values import FEWEST_CLICKS, LACKING
from .ranking import CUTOFF, FITTED, RESAMPLES
from .realism import FEWEST_VALUES
from .verdict import percent

CLASSES = {"allowed": "allowed", "with care": "care", "not allowed": "not", "refused": "refused"}
HEADS = {  # part of a verdict -> its heading
    "right": "What is right in this world",
    "wrong": "What is wrong in it",
    "never": "What it must not be trusted for",
}
SECTIONS = {  # part of a report -> its heading
    "diagnosis": "What the log can say",
    "held out": "Does the world predict what users did later?",
    "realism": "Do simulated users behave like real ones?",
    "decisions": "Which policy would it choose, and how sure is that?",
}
SUBSETS = {"all": "All items", "new": "Items that the user had never bought before", "clicks": "Clicks"}


class Words(NamedTuple):
    """The words for one kind of log."""

    rows: str  # what users and items have in common
    by: str  # before the users of an item
    did: str  # what the users did to it
    compared: str  # what is simulated
    period: str  # what samples consist of
    marginals: Mapping[str, str]
    metrics: Mapping[str, str]  # of predictions, with their headings; the first one orders the methods
    better: int  # 1 if more of this metric is better, -1 if less is


PURCHASES = Words(
    rows="purchases",
    by="bought by",
    did="bought",
    compared="purchases",
    period="days",
    marginals=realism.MARGINALS,
    metrics={"ndcg": f"NDCG@{CUTOFF}", "recall": f"recall@{CUTOFF}"},
    better=1,
)
PAGES = Words(
    rows="impressions",
    by="shown to",
    did="seen",
    compared="clicks",
    period="pages",
    marginals=click_realism.MARGINALS,
    metrics={
        "log-loss": "log-loss",
        "AUC": "AUC",
        "predicted clicks per click": "predicted clicks per click",
        "slope": "calibration slope",
        "calibration error": "calibration error",
    },
    better=-1,
)


def write_page(report: Mapping[str, Any], path: str | Path, title: str = "") -> Path:
    """Write a report as one HTML page without other files; a browser shows it without a network.

    Args:
        report: of `assess`, or read from its JSON.
        path: the file; its folder exists.
        title: name of the log.

    Raises:
        TypeError: `report` is no report.
        ImportError: matplotlib is missing.
        OSError: the file cannot be written.
    """
    if not isinstance(report, Mapping) or "verdict" not in report:
        raise TypeError(f"report = {shown(report)} must be what assess returned")
    path = checked_path("path", path)
    head = f"May policies be compared in a world fitted to {title or 'this log'}?"
    verdict = report["verdict"]
    body = [
        f"<h1>{html.escape(head)}</h1>",
        f'<p class="verdict {CLASSES[verdict["comparison"]]}">{html.escape(verdict["sentence"])}</p>',
    ]
    for name, heading in HEADS.items():
        if verdict[name]:
            body += [f"<h3>{heading}</h3>", _bullets(verdict[name])]
    words = PAGES if report.get("origin") == "pages" else PURCHASES
    if "log" in report:
        body.append(_paragraph(f"{_log_facts(report['log'])} Origin of the log: {ORIGINS[report['origin']]}."))
    for name, heading in SECTIONS.items():
        if name in report:
            body += [f"<h2>{heading}</h2>", *WRITERS[name](report[name], words)]
    template = resources.files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    with replacing(path) as new:
        text = _Template(template).substitute(title=html.escape(head), body="\n".join(body))
        new.write_text(text, encoding="utf-8", errors="xmlcharrefreplace")
    return path


class _Template(string.Template):
    delimiter = "%%"


# ---------------------------------------------------------------------------------------------- sections


def _log_facts(log: Mapping[str, Any]) -> str:
    """What the log is, and what of it is held out."""
    unit = "pages" if "pages" in log else "days"
    before, after = log[unit]
    since = f", from {log['held out from']} on," if log["held out from"] else ""
    return (
        f"The log has {log['rows']:,} rows. The world is fitted to the first {before:,} {unit}, with "
        f"{log['users']:,} users and {log['items']:,} items. The last {after:,} {unit}{since} are held out: the world "
        f"has not seen them, and is compared with them. {percent(log['strangers'])} of what is held out is left out, "
        "because its user or an item does not occur in the first part."
    )


def _diagnosis(found: Mapping[str, Any], words: Words) -> list[str]:
    overlap, rows = found["overlap"], words.rows
    sentences = [
        f"{percent(overlap['items with enough users'])} of the items were {words.by} at least "
        f"{overlap['enough users']} users. They make up {percent(overlap[f'{rows} of items with enough users'])} of "
        f"the {rows}. The median item was {words.by} {overlap['median users of an item']:g} users.",
        f"{percent(overlap[f'users with enough {rows}'])} of the users have at least {overlap[f'enough {rows}']} "
        f"{rows}. The median user has {overlap[f'median {rows} of a user']:g}.",
        f"Two random users have {words.did} {overlap['items that two users share']:.1f} items in common. "
        f"{percent(overlap['pairs of users that share an item'])} of the pairs share at least one.",
        f"{percent(overlap['users in the largest connected group'])} of the users are linked to each other, directly "
        "or through other users, by items that they share.",
    ]
    if "items without a click" in found:
        sentences.append(
            f"The median item was shown {found['median impressions of an item']:g} times and clicked "
            f"{found['median clicks of an item']:g} times. {percent(found['items without a click'])} of the items were "
            "never clicked."
        )
    return [
        "<h3>How much users and items overlap</h3>",
        _paragraph(
            "The appeal of an item can be told from chance only if enough users met it, and tastes can be compared "
            "only between users who share items."
        ),
        _bullets(sentences),
        _figure(_draw_items, overlap, "Items by the number of their users."),
        "<h3>What the log cannot tell</h3>",
        _bullets(found["not identified"]),
        _paragraph(_explored(found)),
        "<h3>What exploration would cure, and what not</h3>",
        *map(_paragraph, found["advice"]),
    ]


def _explored(found: Mapping[str, Any]) -> str:
    """What was left to chance."""
    if found.get("explored pages") is not None:
        return f"{percent(found['explored pages'])} of the pages were filled at random."
    if found.get("exploration") is None:
        return "The log does not say which share of pages was left to chance."
    explored = found["exploration"]
    return (
        f"By the log's propensities, {percent(explored['slots'])} of the slots, on {percent(explored['pages'])} of the "
        f"pages, show something that had a propensity below {UNUSUAL:g}. On average a slot is as open as a draw among "
        f"{explored['alternatives']:.1f} equally likely items. The smallest propensity is "
        f"{explored['smallest propensity']:.2g}."
    )


def _held_out(found: Mapping[str, Any], words: Words) -> list[str]:
    sampled = f"{found['users']:,} users"
    if found["evaluated users"] < found["users"]:
        sampled = f"{found['evaluated users']:,} of the {sampled}, drawn at random"
    if words is PURCHASES:
        text = (
            f"All items are ranked for {sampled} who bought something in the held-out days, and the first {CUTOFF} are "
            "compared with what they bought. NDCG is 1 if the bought items come first, and 0 if none is among the "
            f"first {CUTOFF}. Recall is the share of a user's bought items among them."
        )
        resamples = RESAMPLES
    else:
        text = (
            f"For each of the {found['shown items']:,} items on {found['pages']:,} held-out pages of {sampled}, the "
            f"world and other methods predict the probability of a click. {found['clicks']:,} were clicked; of a page "
            "with several clicks, the first counts. Log-loss is 0 for certain and right predictions; smaller is "
            "better. AUC is the probability that a clicked item got a higher prediction than one that was not. "
            "Predictions are calibrated if there is one predicted click for each real one, and if the slope is 1: "
            "below 1 they are too sure, above 1 too timid. The calibration error is the mean distance of predicted and "
            f"real click rates in {click_prediction.BINS} groups of equally many items. Boosting sees positions, "
            "prices, popularity, habits, and click rates so far of the item, of the user, and of the user in the "
            "item's topic."
        )
        resamples = click_prediction.RESAMPLES
    text += (
        f" Intervals are 95 % bootstrap intervals over users ({resamples:,} resamples). The last columns are the "
        "fitted world minus the method, for the same users."
    )
    body = [_paragraph(text)]
    parts = found["quality"] if words is PURCHASES else {"clicks": found["quality"]}
    first = next(iter(words.metrics))
    for subset, scores in parts.items():
        by_quality = dict(sorted(scores.items(), key=lambda item: -words.better * item[1][first]["mean"]))
        gaps = next(iter(scores.values()))["fitted minus this"]
        rows = [
            [
                name,
                *(_value(row[metric]) for metric in words.metrics),
                *("" if name == FITTED else _value(row["fitted minus this"][gap], sign=True) for gap in gaps),
            ]
            for name, row in by_quality.items()
        ]
        heads = ["method", *words.metrics.values(), *(f"fitted minus this ({words.metrics[gap]})" for gap in gaps)]
        label = words.metrics[first]
        values = {name: row[first] for name, row in by_quality.items()}
        side = "right" if words.better > 0 else "left"
        body += [
            f"<h3>{SUBSETS[subset]}</h3>",
            _figure(_draw_intervals, (values, label), f"{label} with 95 % intervals; further {side} is better."),
            _table(heads, rows),
        ]
    return body


def _realism(found: Mapping[str, Any], words: Words) -> list[str]:
    rows, classifier = words.compared, found["discriminator"]
    if words is PURCHASES:
        text = (
            f"The customers of the world make {found['purchases']:,} purchases, as many as are compared of the "
            f"held-out period, in which {found['days']:.0f} days lie between the first and the last. No recommender "
            "takes part, so that the world alone is compared."
        )
    else:
        clicks = found["clicks"]
        text = (
            f"The users of the world see {found['pages']:,} of the held-out pages as they were shown, and choose "
            f"themselves. They click on {clicks['world']:,} pages, the real users clicked on {clicks['real']:,}."
        )
    body = [
        _paragraph(text),
        "<h3>Distributions, one by one</h3>",
        _paragraph(
            "Each number is the distance between two distributions, from 0 (equal) to 1 (nothing in common): total "
            f"variation for items and topics, the Kolmogorov-Smirnov distance for numbers. The real {rows} of half of "
            f"the users are compared with three samples of the other half of the users: their {rows} in the world, "
            f"their real ones of the same {words.period}, and their real ones of as many {words.period} before. The "
            "two real columns are the floor: a perfect world would not be nearer. A dash stands for samples of fewer "
            f"than {FEWEST_VALUES} values."
        ),
        _figure(_draw_marginals, found["marginals"], f"Distance of the world (dots) and of real {rows} (bars)."),
        _distances(found["marginals"], words.marginals, words.period),
        f"<h3>All together: can a classifier tell simulated from real {rows}?</h3>",
        _paragraph(
            f"Gradient boosting is trained on the {rows} of half of the users and tested on the others. An AUC of 0.5 "
            f"is chance, 1 means that it is always right. Here it is {classifier['auc']:.2f}. Between real {rows} of "
            f"two periods it is {classifier['floor']:.2f}, which is the floor. The most telling feature is "
            f"'{classifier['without']}'. Without it the AUC is {classifier['auc without']:.2f} (floor "
            f"{classifier['floor without']:.2f})."
        ),
        _table(
            ["feature", "AUC that is lost if the feature is shuffled"],
            [[name, f"{lost:.3f}"] for name, lost in list(classifier["features"].items())[:5]],
        ),
    ]
    if (visits := found.get("visits")) is not None:
        count = visits["visits"]
        body += [
            "<h3>Do simulated users come back like real ones?</h3>",
            _paragraph(
                f"In the held-out period, {visits['pages']:,} pages of known users are {count['real']:,} visits. In "
                f"the world, as many pages are {count['world']:,} visits. The shapes of the distributions are compared."
            ),
            _distances(visits["marginals"], visit_realism.MARGINALS, "pages"),
        ]
    return body


def _distances(marginals: Mapping[str, Any], meanings: Mapping[str, str], period: str) -> str:
    rows = [
        [meanings[name], *("–" if row[kind] is None else f"{row[kind]:.2f}" for kind in realism.SAMPLES)]
        for name, row in marginals.items()
    ]
    return _table(["distribution", "world", "real, other users", f"real, earlier {period}"], rows)


def _decisions(found: Mapping[str, Any], words: Words) -> list[str]:
    order, hidden = found["ranking"], found["confounder"]
    pairs = order["pairs that differ"]
    rows = [
        [name, _value(row, digits=1), ", ".join(worse for better, worse in pairs if better == name) or "none"]
        for name, row in order["policies"].items()
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
    body = [
        _paragraph(
            f"Policies of the package serve {found['visitors']:,} users of the world as fitted. The reward is an "
            f"agent's mean over an episode, in {found['unit']}. An agent fills its slots from {found['candidates']} "
            "items that retrieval offers it; how retrieval finds them is assumed. Two policies truly differ if the "
            "interval of their difference for the same visitors does not contain 0, where the intervals of all pairs "
            f"hold jointly with 95 %: {len(pairs)} of {order['pairs']} pairs do "
            f"({percent(order['share of pairs that differ'])})."
        ),
        _figure(
            _draw_intervals, (order["policies"], "reward of an agent"), "Reward of each policy with 95 % intervals."
        ),
        _table(["policy", "reward", "truly better than"], rows),
        _paragraph(
            "How much would be lost by choosing the policy that this world prefers (the regret) cannot be computed "
            "from a log, because it needs the true rewards."
        ),
        "<h3>If something that the log does not show drives the choices</h3>",
        _paragraph(
            "A hidden cause, such as a campaign, makes some items look better than they are. Here, the appeal of every "
            "item is moved at random. A strength of 0.5 utils multiplies or divides the odds of a typical item by "
            f"1.65. The fitted appeals have a standard deviation of {hidden['spread of the intercepts']:.2f} utils. "
            "Kendall's tau compares the order of the policies with the order in the world as fitted: 1 is the same "
            f"order, 0 is an unrelated one. The numbers are means over {hidden['draws']} draws. The best policy is the "
            "best of those that are not oracles."
        ),
        _figure(_draw_confounder, hidden["strengths"], "Agreement with the order in the world as fitted."),
        _table(["strength (utils)", "tau", "lowest tau", "same best policy"], strengths),
    ]
    return body + (_page_values(found["page values"]) if "page values" in found else [])


def _page_values(found: Mapping[str, Any]) -> list[str]:
    heading = "<h3>The value of one page, by the world and by the log's propensities</h3>"
    if "reason" in found:
        return [heading, _paragraph(f"There are no off-policy estimates: {found['reason']}.")]
    kinds = ("world", "dm", "dr", "ips", "weight")
    rows = [[name, *(_value(row[kind]) for kind in kinds)] for name, row in found["policies"].items()]
    logged = found["logged"]
    return [
        heading,
        _paragraph(
            f"Simple policies fill the {found['slots']} slots of {found['pages']:,} held-out pages one at a time: each "
            "below what the log shows in the earlier slots, and the platform fills the slots below. They show an item "
            "at random, the most popular one, the one that was clicked most for its positions (appeal), or the one "
            "with the highest fitted utility for the user. The table shows the clicks per page of these slots, as the "
            "world predicts them and by the log's propensities. The direct method (DM) multiplies the appeals of items "
            "and the click rates of positions. Inverse propensity scoring (IPS) counts the clicks of the slots in "
            "which the log shows what the policy would show, each divided by its propensity. The world counts its own "
            "click probabilities of these slots in the same way. The doubly robust estimate (DR) corrects DM by IPS of "
            "its errors. The mean weight is 1, but for chance, if the log could have shown all that the policy shows "
            "and its propensities are right. The estimates are left out if its whole interval is below "
            f"{1 - LACKING:g} or above {1 + LACKING:g}, or if the slots in which the log shows the policy's item have, "
            f"or are worth, fewer than {FEWEST_CLICKS} clicks."
        ),
        _table(["policy", "world", "DM", "DR", "IPS", "mean weight"], rows),
        _paragraph(
            f"As logged, the pages got {_value(logged['clicks'])} clicks each; the world predicts "
            f"{_value(logged['world'])} for them. One page says nothing of later pages: what gets most clicks now may "
            "keep fewer users."
        ),
    ]


WRITERS: dict[str, Callable[[Any, Words], list[str]]] = {
    "diagnosis": _diagnosis,
    "held out": _held_out,
    "realism": _realism,
    "decisions": _decisions,
}


# ---------------------------------------------------------------------------------------------- text


def _paragraph(words: str) -> str:
    return f"<p>{html.escape(words)}</p>"


def _bullets(sentences: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{html.escape(sentence)}</li>" for sentence in sentences) + "</ul>"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = "".join(f"<th>{html.escape(head)}</th>" for head in heads)
    lines = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{cells}</tr>{lines}</table></div>'


def _cell(text: str) -> str:
    """A cell, in which numbers stay on one line."""
    kind = ' class="number"' if text[:1] in "+-" or text[:1].isdigit() else ""
    return f"<td{kind}>{html.escape(text)}</td>"


def _value(row: Mapping[str, float] | float | None, digits: int = 3, sign: bool = False) -> str:
    """A number, or an interval."""
    if row is None:
        return "–"
    if not isinstance(row, Mapping):
        return f"{row:.{digits}f}"
    mean, low, high = (f"{row[part]:{'+' if sign else ''}.{digits}f}" for part in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]"


# ---------------------------------------------------------------------------------------------- plots


def _figure(draw: Callable[[Any, Any], None], values: Any, caption: str) -> str:
    """A plot as part of the page."""
    figure = library("matplotlib.figure", "evaluate").Figure(figsize=(6.6, 2.6), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    draw(axes, values)
    figure.set_figheight(max(2.2, 0.9 + 0.3 * len(axes.get_yticks()) if axes.yaxis_inverted() else 2.6))
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    data = base64.b64encode(file.getvalue()).decode()
    said = html.escape(caption)
    return f'<figure><img alt="{said}" src="data:image/svg+xml;base64,{data}"><figcaption>{said}</figcaption></figure>'


def _draw_intervals(axes: Any, values: tuple[Mapping[str, Mapping[str, float]], str]) -> None:
    """A dot with its interval for each row, the first on top."""
    rows, label = values
    for height, (name, row) in enumerate(rows.items()):
        colour = COLOURS[1] if name == FITTED else COLOURS[0]
        axes.plot([row["low"], row["high"]], [height, height], color=colour)
        axes.plot(row["mean"], height, "o", color=colour)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.invert_yaxis()
    axes.set_xlabel(label)
    axes.grid(axis="x", alpha=0.25)


def _draw_items(axes: Any, overlap: Mapping[str, Any]) -> None:
    counts = overlap["items by users"]
    axes.bar(list(counts), list(counts.values()), color=COLOURS[0])
    axes.set(xlabel="users of the item", ylabel="items")
    axes.tick_params(axis="x", labelrotation=30, labelsize="small")


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
    for name, style, colour in (("tau", "o-", 0), ("lowest tau", "o--", 0), ("same best policy", "s-", 1)):
        axes.plot(strengths, [row[name] for row in rows], style, color=COLOURS[colour], label=name)
    lowest = min(-0.05, *(row["lowest tau"] for row in rows))
    axes.set(xlabel="strength of the hidden cause (utils)", ylim=(lowest, 1.05))
    axes.legend(fontsize="small", frameon=False)
    axes.grid(alpha=0.25)
