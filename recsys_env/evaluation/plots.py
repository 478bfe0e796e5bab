"""Results as pictures, drawn without a display."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .statistics import mean_interval
from .tables import brief, marked

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Distinct also to the colour-blind (Okabe & Ito 2008; their yellow, too pale for a line, is darker).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b58900", "#56b4e9", "#7a5cc7", "#5f5f5f")


def _figure(width: float, height: float) -> tuple[Any, Any]:
    """Return a figure and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def draw_scores(task: str, result: Mapping[str, Any], path: Path) -> None:
    """Draw bars of individual reward per agent and episode with 95 % intervals, best on top."""
    figure, axes = _figure(6.5, 1 + 0.32 * len(result["teams"]))
    for team, row in reversed(result["teams"].items()):
        axes.barh(marked(team, row["learns"]), row["mean"], xerr=row["ci95"] or 0, capsize=3, color=COLOURS[0])
    axes.set(title=task, xlabel="individual reward per agent and episode, ± 95 %")
    figure.savefig(path, dpi=100)


def draw_intervals(values: Mapping[str, Sequence[float]], label: str, path: Path) -> Figure:
    """Draw bars of estimates with intervals, name -> (estimate, low, high), the first on top. Return the figure."""
    figure, axes = _figure(6.5, 1 + 0.26 * len(values))
    for name, (estimate, low, high) in reversed(list(values.items())):
        axes.barh(
            name, estimate, xerr=[[max(0.0, estimate - low)], [max(0.0, high - estimate)]], capsize=2, color=COLOURS[0]
        )
    axes.set(xlabel=label)
    figure.savefig(path, dpi=100)
    return figure


def draw_payoffs(task: str, result: Mapping[str, Any], path: Path) -> None:
    """Draw a payoff matrix as a heat map."""
    policies = list(map(brief, result["payoff"]))
    means = np.array([[value["mean"] for value in columns.values()] for columns in result["payoff"].values()])
    figure, axes = _figure(2.2 + 0.9 * len(policies), 1.4 + 0.6 * len(policies))
    image = axes.imshow(means, cmap="viridis")
    middle = (means.max() + means.min()) / 2
    for (i, j), value in np.ndenumerate(means):
        axes.text(j, i, f"{value:.4g}", ha="center", va="center", color="black" if value > middle else "white")
    axes.set_xticks(range(len(policies)), policies, rotation=30, ha="right")
    axes.set_yticks(range(len(policies)), policies)
    if result["cooperative"]:
        axes.set(title=f"{task}: team reward", ylabel="one seat", xlabel="the other seats")
    else:
        axes.set(title=f"{task}: individual reward of the row", ylabel="row", xlabel="against")
    figure.colorbar(image)
    figure.savefig(path, dpi=100)


def draw_curves(title: str, curves: Mapping[str, Any], path: Path, levels: Mapping[str, float] | None = None) -> Figure:
    """Draw learning curves as small multiples: a panel for each learner, all with the same axes.

    Steps are logarithmic, because learners are trained for thousands or for millions of them. Each panel has a line for
    each seed: seeds often end in one of several equilibria, which a mean with an interval would hide.

    Args:
        curves: learner -> agent_steps [P] and episode_reward [seeds][P], individual reward per agent and episode.
        levels: rewards to compare with, drawn as dashed lines in every panel, such as {"random": 0.5, "planner": 6.2}.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter, NullFormatter

    columns = min(4, len(curves))
    rows = -(-len(curves) // columns)
    figure = Figure(figsize=(0.7 + 2.3 * columns, 1.3 + 1.75 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for i, (axes, (learner, curve)) in enumerate(zip(panels, curves.items(), strict=False)):
        colour, seeds = COLOURS[i % len(COLOURS)], len(curve["episode_reward"])
        for rewards in curve["episode_reward"]:
            axes.plot(curve["agent_steps"], rewards, color=colour, linewidth=1, alpha=0.7)
        axes.set_title(f"{learner} ({seeds} seed{'' if seeds == 1 else 's'})", fontsize="small", color=colour)
        axes.grid(alpha=0.25)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.tick_params(labelsize="small", labelbottom=True)  # in all panels, so that the rows have the same height
    for axes in panels[len(curves) :]:
        axes.remove()
    for (name, level), dashes in zip((levels or {}).items(), cycle(("--", ":", "-.")), strict=False):
        lines = [axes.axhline(level, linestyle=dashes, linewidth=1, color="0.35") for axes in panels[: len(curves)]]
        lines[0].set_label(name)
    figure.suptitle(title)
    figure.supxlabel("agent-steps", fontsize="medium")
    figure.supylabel("individual reward per agent and episode\nwhile training, a line for each seed", fontsize="medium")
    if levels:
        figure.legend(loc="outside upper right", ncols=len(levels), fontsize="small", frameon=False)
    figure.savefig(path, dpi=100)
    return figure


def draw_comparison(
    panels: Mapping[str, Any], levels: Mapping[str, Mapping[str, float]], first: str, path: Path
) -> Figure:
    """Draw what learners earn in evaluations while they train: a panel for each task, a line for each learner.

    Lines are means over training seeds, and areas their 95 % intervals (Student's t), where there are two seeds.

    Args:
        panels: task -> learner -> agent_steps [P] and reward [seeds][P] of the evaluations, individual reward per
            learner and episode.
        levels: task -> name -> reward to compare with, drawn as dashed lines.
        first: learner whose line is the thickest, and above the others.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    learners = list(dict.fromkeys([first, *(learner for panel in panels.values() for learner in panel)]))
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(max(0.7 + 3.4 * columns, 7.0), 1.8 + 2.5 * rows), layout="constrained")
    places = figure.subplots(rows, columns, squeeze=False).ravel()
    drawn: dict[str, Any] = {}
    for axes, (task, panel) in zip(places, panels.items(), strict=False):
        for learner, curve in panel.items():
            i, rewards = learners.index(learner), np.array(curve["reward"])
            style = {"color": COLOURS[i % len(COLOURS)], "linestyle": ("-", "--", ":", "-.")[i // len(COLOURS) % 4]}
            middle, widths = zip(*(mean_interval(column) for column in rewards.T), strict=True)
            above = {"linewidth": 2.5, "zorder": 3} if learner == first else {"linewidth": 1}
            (drawn[learner],) = axes.plot(curve["agent_steps"], middle, **style, **above, marker=".")
            if len(rewards) > 1:
                low, high = np.subtract(middle, widths), np.add(middle, widths)
                axes.fill_between(curve["agent_steps"], low, high, color=style["color"], alpha=0.15, linewidth=0)
        for i, (name, level) in enumerate(sorted(levels.get(task, {}).items(), key=lambda item: item[1])):
            axes.axhline(level, linestyle="--", linewidth=1, color="0.35")
            side = "bottom" if i else "top"  # names of levels that lie close together stay apart
            axes.annotate(name, (1, level), xycoords=("axes fraction", "data"), ha="right", va=side, fontsize=7)
        axes.set_title(task, fontsize="small")
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.tick_params(labelsize="small")
        axes.grid(alpha=0.25)
    for axes in places[len(panels) :]:
        axes.remove()
    figure.supxlabel("agent-steps", fontsize="medium")
    figure.supylabel("reward per learner and episode, ± 95 %", fontsize="medium")
    figure.legend(drawn.values(), drawn, loc="outside upper center", ncols=4, fontsize="small", frameon=False)
    figure.savefig(path, dpi=150)
    return figure


def draw_seeds(title: str, runs: Mapping[str, Sequence[float]], levels: Mapping[str, float], path: Path) -> Figure:
    """Draw the final reward of each seed as a point, with a row for each learner.

    Args:
        runs: learner -> individual reward per agent and episode of each seed.
        levels: rewards to compare with, drawn as vertical lines.
    """
    figure, axes = _figure(6.5, 1.4 + 0.32 * len(runs))
    for row, (learner, rewards) in enumerate(runs.items()):
        axes.plot(rewards, [row] * len(rewards), "o", color=COLOURS[0], alpha=0.6, label=learner)
    axes.set_yticks(range(len(runs)), list(runs))
    axes.invert_yaxis()
    for i, ((name, level), dashes) in enumerate(zip(levels.items(), cycle(("--", ":", "-.")), strict=False)):
        axes.axvline(level, linestyle=dashes, linewidth=1, color=_after_first(i), label=name)
    axes.set(title=title, xlabel="individual reward per agent and episode, a point for each seed")
    if levels:
        lines = [line for line in axes.get_lines() if line.get_label() in levels]
        axes.legend(handles=lines, fontsize="small", loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    figure.savefig(path, dpi=100)
    return figure


def draw_training(
    title: str,
    curve: Sequence[Mapping[str, Any]],
    evaluations: Sequence[Mapping[str, Any]],
    table: Mapping[str, Any],
    path: Path,
) -> Figure:
    """Draw the learning curve of one run. Policies to compare with are lines, which are named at the right.

    Args:
        curve: agent_steps and episode_reward (individual reward per learner and episode) of each point.
        evaluations: agent_steps and own (individual rewards [E]) of each evaluation.
        table: name -> mean individual reward.
    """
    from matplotlib.ticker import EngFormatter

    figure, axes = _figure(7.5, 4.2)
    steps, rewards = ([point[part] for point in curve] for part in ("agent_steps", "episode_reward"))
    axes.plot(steps, rewards, color=COLOURS[0], linewidth=2, label="while training, exploring")
    looked = {point["agent_steps"]: np.mean(point["individual_reward"]) for point in evaluations}
    axes.plot(list(looked), list(looked.values()), "o", color=COLOURS[0], label="evaluated")
    means = {name: row["mean"] for name, row in table.items()}
    for i, (name, mean) in enumerate(means.items()):
        trained = name == "trained"
        axes.axhline(mean, linestyle="-" if trained else "--", linewidth=2 if trained else 1, color=_after_first(i))
    axes.set(title=title, ylabel="individual reward per learner and episode")
    axes.set_xlabel("agent-steps")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(alpha=0.25)
    axes.legend(fontsize="small", loc="upper left", bbox_to_anchor=(0, -0.13), frameon=False)
    low, high = axes.get_ylim()
    heights = _apart(list(means.values()), 0.055 * (high - low))
    for i, (name, height) in enumerate(zip(means, heights, strict=True)):
        axes.annotate(
            f"{name} {means[name]:.4g}",
            (1, means[name]),
            (1.03, height),
            ("axes fraction", "data"),
            va="center",
            fontsize="small",
            color=_after_first(i),
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": _after_first(i), "linewidth": 0.7},
        )
    figure.savefig(path, dpi=100)
    return figure


def _after_first(i: int) -> str:
    """Return colour i of those that the curve itself does not use."""
    return COLOURS[1 + i % (len(COLOURS) - 1)]


def _apart(values: Sequence[float], gap: float) -> list[float]:
    """Places near these values for their labels, at least `gap` from each other, in the same order from low to high."""
    from scipy.optimize import isotonic_regression

    order = np.argsort(values, kind="stable")
    shift = gap * np.arange(len(values))
    heights = np.empty(len(values))
    heights[order] = isotonic_regression(np.array(values, float)[order] - shift).x + shift
    return heights.tolist()
