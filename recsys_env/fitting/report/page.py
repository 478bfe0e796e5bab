"""The report as one HTML page, which needs no other file: words, tables and small plots."""

from __future__ import annotations

import base64
import html
import io
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from ...checks import shown
from ...evaluation.plots import COLOURS
from ...files import checked_path, replacing
from ...libraries import library
from ..world import ORIGINS
from .ranking import CUTOFF, FITTED, RESAMPLES
from .realism import MARGINALS
from .verdict import percent

CLASSES = {"allowed": "allowed", "with care": "care", "not allowed": "not", "refused": "refused"}
SUBSETS = {"all": "All items", "new": "Items that the user had never bought before"}


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
    body = [f"<h1>{html.escape(head)}</h1>", *_verdict(report["verdict"])]
    if "log" in report:
        body += _log(report)
    for name, (heading, section) in SECTIONS.items():
        if name in report:
            body += [f"<h2>{heading}</h2>", *section(report[name])]
    template = resources.files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    with replacing(path) as new:
        text = _Template(template).substitute(title=html.escape(head), body="\n".join(body))
        new.write_text(text, encoding="utf-8", errors="xmlcharrefreplace")
    return path


class _Template(string.Template):
    delimiter = "%%"


# ------------------------------------------------------------------------------------------------ sections


def _verdict(verdict: Mapping[str, Any]) -> list[str]:
    found = [f'<p class="verdict {CLASSES[verdict["comparison"]]}">{html.escape(verdict["sentence"])}</p>']
    heads = {
        "right": "What is right in this world",
        "wrong": "What is wrong in it",
        "never": "What it must not be trusted for",
    }
    for name, head in heads.items():
        if verdict[name]:
            found += [f"<h3>{head}</h3>", _list(verdict[name])]
    return found


def _log(report: Mapping[str, Any]) -> list[str]:
    log = report["log"]
    before, after = log["days"]
    return [
        _text(
            f"The log has {log['rows']:,} purchases. The world is fitted to the first {before} days, from "
            f"{log['first day']} on, in which {log['users']:,} users bought {log['items']:,} different items. The last "
            f"{after} days, from {log['held out from']} on, are held out: the world has not seen them, and is compared "
            f"with them. {percent(log['held-out rows of new users or items'])} of the held-out purchases are left "
            "out, because their user or item does not occur in the first days."
        ),
        _text(f"Origin of the log: {ORIGINS[report['origin']]}."),
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
        _text(
            "The appeal of an item can be told from chance only if enough users bought it, and tastes can be compared "
            "only between users who share items."
        ),
        _list(
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
        _figure(_draw_items, overlap, "Items by the number of users who bought them."),
        "<h3>What the log cannot tell</h3>",
        _list(found["not identified"]),
        _text(pages),
        "<h3>What would help: explore 5 %</h3>",
        *map(_text, found["advice"]),
    ]


def _held_out(found: Mapping[str, Any]) -> list[str]:
    sampled = (
        f"a random sample of {found['ranked users']:,} of the {found['users']:,} users"
        if found["ranked users"] < found["users"]
        else f"the {found['users']:,} users"
    )
    body = [
        _text(
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
            [name, _interval(row["ndcg"]), _interval(row["recall"]), _gain(name, row)]
            for name, row in sorted(scores.items(), key=lambda item: -item[1]["ndcg"]["mean"])
        ]
        heads = ["method", f"NDCG@{CUTOFF}", f"recall@{CUTOFF}", "gain of the fitted utility (NDCG)"]
        body += [
            f"<h3>{SUBSETS[subset]}</h3>",
            _figure(_draw_quality, scores, f"NDCG@{CUTOFF} with 95 % intervals; further right is better."),
            _table(heads, rows),
        ]
    return body


def _gain(name: str, row: Mapping[str, Any]) -> str:
    return "" if name == FITTED else _interval(row["fitted minus this"]["ndcg"], sign=True)


def _realism(found: Mapping[str, Any]) -> list[str]:
    told = found["discriminator"]
    rows = [
        [MARGINALS[name], *(_number(row[kind]) for kind in ("world", "other users", "earlier"))]
        for name, row in found["marginals"].items()
    ]
    features = list(told["features"].items())[:5]
    return [
        _text(
            f"The customers of the world make {found['purchases']:,} purchases, as many as are compared of the "
            f"held-out period ({found['days']:.0f} days). No recommender takes part, so that the world alone is "
            "compared."
        ),
        "<h3>Distributions, one by one</h3>",
        _text(
            "Each number is the distance between two distributions, from 0 (equal) to 1 (nothing in common): total "
            "variation for items and topics, the Kolmogorov-Smirnov distance for numbers. The real purchases of half "
            "of the users are compared with three samples of the other half of the users: their purchases in the "
            "world, their real ones in the same days, and their real ones in as many days before. The two real columns "
            "are the floor: a perfect world would not be nearer."
        ),
        _figure(_draw_marginals, found["marginals"], "Distance of the world (dots) and of real purchases (bars)."),
        _table(["distribution", "world", "real, other users", "real, earlier days"], rows),
        "<h3>All together: can a classifier tell simulated from real purchases?</h3>",
        _text(
            "Gradient boosting is trained on the purchases of half of the users and tested on the others. An AUC of "
            f"0.5 is chance, 1 means that every purchase is told. Here it is {told['auc']:.2f}. Between real purchases "
            f"of two periods it is {told['floor']:.2f}, which is the floor. The most telling feature is "
            f"'{told['without']}'. Without it the AUC is {told['auc without']:.2f} (floor {told['floor without']:.2f})."
        ),
        _table(["feature", "AUC that is lost if the feature is shuffled"], [[n, f"{v:.3f}"] for n, v in features]),
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
    return _table(["statistic", *samples], rows)


def _quartiles(found: Mapping[str, float]) -> str:
    return f"{found['50']:.2f} [{found['25']:.2f}, {found['75']:.2f}]" if found else "–"


def _decisions(found: Mapping[str, Any]) -> list[str]:
    order, hidden = found["ranking"], found["confounder"]
    policies = order["policies"]
    pairs = order["pairs that differ"]
    rows = [
        [name, _interval(row, digits=1), ", ".join(worse for better, worse in pairs if better == name) or "none"]
        for name, row in policies.items()
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
        _text(
            f"Policies of the package serve {found['visitors']:,} users of the world as fitted. The reward is "
            "an agent's mean over an episode, in "
            "units of the mean profit of a sale. Two policies truly differ if the 95 % interval of their difference "
            f"for the same visitors does not contain 0: {len(pairs)} of {order['pairs']} pairs do "
            f"({percent(order['share of pairs that differ'])})."
        ),
        _figure(_draw_policies, policies, "Reward of each policy with 95 % intervals."),
        _table(["policy", "reward", "truly better than"], rows),
        _text(
            "How much would be lost by choosing the policy that this world prefers (the regret) cannot be computed "
            "from a log, because it needs the true rewards. The benchmarks of the package measure it in worlds where "
            "the truth is known."
        ),
        "<h3>If something that the log does not show drives the purchases</h3>",
        _text(
            "A hidden cause, such as a campaign or a place at the entrance, makes some items look better than they "
            "are. Here, the appeal of every item is moved at random. A strength of 0.5 utils multiplies or divides the "
            "odds of a typical item by 1.65. The fitted appeals of the items themselves have a standard deviation of"
            f" {hidden['spread of the intercepts']:.2f} utils. Kendall's tau compares the order of the "
            "policies with the order in the world as fitted: 1 is the same order, 0 is an unrelated one. The numbers "
            f"are means over {hidden['draws']} draws."
        ),
        _figure(_draw_confounder, hidden["strengths"], "Agreement with the order in the world as fitted."),
        _table(["strength (utils)", "tau", "lowest tau", "same best policy"], strengths),
    ]


SECTIONS: dict[str, tuple[str, Callable[[Any], list[str]]]] = {
    "diagnosis": ("What the log can say", _diagnosis),
    "held out": ("Does the world predict later purchases?", _held_out),
    "realism": ("Do simulated customers buy like real ones?", _realism),
    "decisions": ("Which policy would it choose, and how sure is that?", _decisions),
}
"""The parts of a report that the page explains, in order: heading, and what writes the part."""


# ------------------------------------------------------------------------------------------------ text


def _text(words: str) -> str:
    return f"<p>{html.escape(words)}</p>"


def _list(sentences: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{html.escape(sentence)}</li>" for sentence in sentences) + "</ul>"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = "".join(f"<th>{html.escape(head)}</th>" for head in heads)
    lines = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{cells}</tr>{lines}</table></div>'


def _cell(text: str) -> str:
    """A cell, in which numbers stay on one line."""
    kind = ' class="number"' if text[:1] in "+-" or text[:1].isdigit() else ""
    return f"<td{kind}>{html.escape(text)}</td>"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _interval(row: Mapping[str, float], digits: int = 3, sign: bool = False) -> str:
    mean, low, high = (f"{row[part]:{'+' if sign else ''}.{digits}f}" for part in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]"


# ------------------------------------------------------------------------------------------------ plots


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


def _draw_items(axes: Any, overlap: Mapping[str, Any]) -> None:
    counts = overlap["items by users"]
    axes.bar(list(counts), list(counts.values()), color=COLOURS[0])
    axes.set(xlabel="users who bought the item", ylabel="items")
    axes.tick_params(axis="x", labelrotation=30, labelsize="small")


def _draw_intervals(axes: Any, rows: Mapping[str, Mapping[str, float]], label: str) -> None:
    """A dot with its interval for each row, the first on top."""
    for place, (name, row) in enumerate(rows.items()):
        colour = COLOURS[1] if name == FITTED else COLOURS[0]
        axes.plot([row["low"], row["high"]], [place, place], color=colour)
        axes.plot(row["mean"], place, "o", color=colour)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.invert_yaxis()
    axes.set_xlabel(label)
    axes.grid(axis="x", alpha=0.25)


def _draw_quality(axes: Any, scores: Mapping[str, Any]) -> None:
    rows = {name: row["ndcg"] for name, row in scores.items()}
    _draw_intervals(axes, dict(sorted(rows.items(), key=lambda item: -item[1]["mean"])), f"NDCG@{CUTOFF}")


def _draw_policies(axes: Any, policies: Mapping[str, Any]) -> None:
    _draw_intervals(axes, policies, "reward of an agent in an episode")


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
