"""What the documentation says of experiments on recommenders, and of estimates of one page from a log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from measured import NotMeasured, listed, section, stored, whence

from recsys_env.evaluation.tables import markdown, spread
from recsys_env.experiments import DESIGNS, summary
from recsys_env.experiments.ab import HEAD, table_rows

NAME = "experiments"
COLOURS = {"user": "#0072b2", "session": "#d55e00", "page": "#009e73", "switchback": "#cc79a7", "item": "#5f5f5f"}
BY_PAGE = tuple(design for design in DESIGNS if design != "item")
CONTROL, DENSE = "news-v1: control", "ecommerce-v1: dense"
REPAIRS = {
    "rivals-v1: burn-in": "without the first quarter of each block",
    "rivals-v1: long blocks": "blocks five times as long",
}
REPAIRED = "rivals-v1: greedy and planner"


def parts(folder: Path) -> dict[str, Callable[[], str]]:
    """Name of a section -> function that returns it.

    Args:
        folder: of the plots.
    """
    return {
        "experiment_designs": partial(designs, folder),
        "experiment_causes": causes,
        "experiment_repairs": repairs,
        "experiment_control": control,
        "one_page": one_page,
    }


@cache
def summaries() -> dict[str, dict[str, Any]]:
    """Case -> its summary; without cases of fewer than two repetitions."""
    cases = stored(NAME)["cases"]
    return {name: summary(case["repetitions"]) for name, case in cases.items() if len(case["repetitions"]) > 1}


def pairs() -> dict[str, dict[str, Any]]:
    """The summaries of two policies in a sparse task as it is."""
    found = {
        name: row
        for name, row in summaries().items()
        if "without" not in name and name not in (CONTROL, DENSE, *REPAIRS)
    }
    if not found:
        raise NotMeasured(NAME)
    return found


def how(words: str) -> str:
    """How the study was measured."""
    result = stored(NAME)
    settings = result["settings"]
    return (
        f"{words} Sparse variants with {settings['users']} user slots; blocks of {settings['block']} ticks. "
        f"{whence(result, f'{NAME}.json')}"
    )


def designs(folder: Path) -> str:
    """Estimates of all designs beside the true effect."""
    found = pairs()
    _draw(found, folder / "experiments.png")
    tables = []
    for name, row in found.items():
        base, effect = row["reward"]["A"]["mean"], row["effect"]
        said = f"{effect['mean'] / base:+.0%}" if row["clear"] else "not told from 0"
        tables.append(
            f"**{_title(name)}**: the true effect is {spread(effect, 3)} per user slot ({said}); "
            f"{row['clock']:.0%} of the ticks serve somebody.\n\n" + markdown(HEAD, table_rows(row))
        )
    return section(
        " ".join(_wrong(name, row) for name, row in found.items()),
        "![Estimates of each design as a share of the true effect](/_generated/plots/experiments.png)",
        *tables,
        how=how(
            f"{min(row['repetitions'] for row in found.values())} or more repetitions of each pair; ± 95 % over "
            "repetitions, [] 95 % (Wilson)."
        ),
    )


def _title(name: str) -> str:
    """A case in words: task, and its policies A and B."""
    task, _, policies = name.partition(": ")
    a, _, b = policies.partition(" and ")
    return f"`{task}`, A = {a}, B = {b}"


def _wrong(name: str, row: Mapping[str, Any]) -> str:
    """Which designs pick the worse policy in more than half of all experiments, beyond the interval, in a sentence."""
    task, _, policies = name.partition(": ")
    if not row["clear"]:
        return f"With {policies} on `{task}`, the repetitions do not tell the better policy yet."
    wrong = [design for design, found in row["designs"].items() if found["worse"][1] > 0.5]
    off = [design for design, found in row["designs"].items() if design not in wrong and _missed(found["share"])]
    said = (
        f"most experiments by {listed(wrong)} pick the worse policy"
        if wrong
        else "no design is shown to pick the worse policy in most experiments"
    )
    also = f", and experiments by {listed(off)} miss the size of the effect" if off else ""
    return f"With {policies} on `{task}`, {said}{also}."


def _missed(share: Mapping[str, Any]) -> bool:
    """Whether the interval of a share leaves out 1."""
    return abs(share["mean"] - 1) > share["ci95"]


def _draw(found: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Draw the share of the true effect that each design shows."""
    clear = {name: row for name, row in found.items() if row["clear"]}
    figure = Figure(figsize=(7, 1.2 + 0.9 * len(clear)), layout="constrained")
    axes = figure.add_subplot()
    for y, row in enumerate(clear.values()):
        for i, (design, one) in enumerate(row["designs"].items()):
            share, label = one["share"], design if y == 0 or design == "item" else None
            axes.errorbar(
                share["mean"], -y - 0.14 * i, xerr=share["ci95"], fmt="o", color=COLOURS[design], capsize=3, label=label
            )
    axes.axvline(1, color="black", linewidth=1)
    axes.axvspan(*(axes.get_xlim()[0], 0), color="#d55e00", alpha=0.08)
    axes.set_yticks([-y - 0.28 for y in range(len(clear))], [name.replace(": ", "\n") for name in clear])
    axes.set_xlabel("share of the true effect; 1 = right, below 0 = the wrong policy")
    handles, labels = axes.get_legend_handles_labels()
    kept = dict(zip(labels, handles, strict=True))
    axes.legend(
        [kept[name] for name in DESIGNS if name in kept], [name for name in DESIGNS if name in kept], fontsize=8
    )
    figure.savefig(path, dpi=100)


def causes() -> str:
    """Designs with and without one cause of interference."""
    found = summaries()
    rows = []
    for name, row in pairs().items():
        taken = {case: found[case] for case in found if case.startswith(f"{name} without ")}
        if not taken:
            continue
        for case, one in {name: row, **taken}.items():
            cause = case.partition(" without ")[2] or "as it is"
            base = one["reward"]["A"]["mean"]
            estimates = [_relative(one["designs"].get(design), base) for design in BY_PAGE]
            rows.append([_title(name) if case == name else "", cause, _percent(one["effect"], base), *estimates])
    if not rows:
        raise NotMeasured(NAME)
    return section(
        "Each row takes one cause out of the world and leaves the rest. A cause makes a design wrong if the design "
        "agrees with the true effect without it.",
        markdown(["experiment", "without", "true effect", *BY_PAGE], rows),
        how=how("Estimates and true effects in percent of the reward under A, ± 95 % over repetitions."),
    )


def _relative(row: Mapping[str, Any] | None, base: float) -> str:
    return _percent(row["estimate"], base) if row else "—"


def _percent(value: Mapping[str, Any], base: float) -> str:
    return spread({"mean": 100 * value["mean"] / base, "ci95": 100 * value["ci95"] / base}, 1) + " %"


def repairs() -> str:
    """Whether a burn-in or longer blocks mend a switchback."""
    found = summaries()
    shown = {"blocks as above": found.get(REPAIRED), **{words: found.get(name) for name, words in REPAIRS.items()}}
    rows = [
        [words, spread(row["designs"]["switchback"]["share"])] for words, row in shown.items() if row and row["clear"]
    ]
    if len(rows) < 2:
        raise NotMeasured(NAME)
    return section(
        "On `rivals-v1`, a switchback finds these shares of the true effect; 1 would be right.",
        markdown(["switchback", "share of the true effect"], rows),
        how=how("± 95 % over repetitions."),
    )


def control() -> str:
    """The control without interference, and the artefact of a busy clock."""
    found, said = summaries(), []
    for name, words in {
        CONTROL: "Without any cause of interference (`news-v1`, one agent, `random` against `static`)",
        DENSE: "On `ecommerce-v1` with its shipped clock",
    }.items():
        if name in found and found[name]["clear"]:
            row = found[name]
            shares = [f"{spread(one['share'])} by {design}" for design, one in row["designs"].items()]
            said.append(
                f"{words}, {row['clock']:.0%} of the ticks serve somebody, and the estimates show these shares of the "
                f"true effect: {', '.join(shares)}."
            )
    if not said:
        raise NotMeasured(NAME)
    return section(" ".join(said), how=how("± 95 % over repetitions."))


def one_page() -> str:
    """Estimates of one page from a log, its exact value, and the long run."""
    rows, reversed_ = [], []
    for task, found in stored(NAME)["off-policy"].items():
        for policy, row in found["policies"].items():
            values = [spread(row[name], 3) for name in ("exact", "ips", "dm", "dr")]
            rows.append([f"`{task}`", f"`{policy}`", *values, spread(row["episode"])])
        page, episode = found["difference"]["page"], found["difference"]["episode"]
        if page["mean"] + page["ci95"] < 0 < episode["mean"] - episode["ci95"]:
            first, second = found["policies"]
            reversed_.append(
                f"On `{task}` a page of `{first}` gets {spread({**page, 'mean': -page['mean']}, 3)} more clicks than a "
                f"page of `{second}`, while an episode of `{second}` earns {spread(episode)} more per agent."
            )
    settings = stored(NAME)["settings"]
    means = " ".join(reversed_) or "On no task do one page and the long run prefer different policies."
    return section(
        means,
        markdown(["task", "policy", "exact", "IPS", "DM", "DR", "reward of an episode"], rows),
        how=f"Clicks per page of the first agent, from {settings['episodes']} episodes in which it shows uniformly "
        "random slates beside agents that play `content`. Rewards per agent of whole episodes that all agents play. "
        f"± 95 % over episodes. {whence(stored(NAME), f'{NAME}.json')}",
    )
