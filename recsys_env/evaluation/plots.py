"""Results as pictures, drawn without a display."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .statistics import interval
from .tables import brief, marked


def _figure(width: float, height: float) -> tuple[Any, Any]:
    """A figure and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def draw_scores(task: str, result: Mapping[str, Any], path: Path) -> None:
    """Bars of own reward per agent and episode with 95 % intervals, best on top."""
    teams = list(result["teams"])[::-1]
    rows = [result["teams"][team] for team in teams]
    figure, axes = _figure(6.5, 1 + 0.32 * len(teams))
    names, widths = (
        [marked(team, row["learns"]) for team, row in zip(teams, rows, strict=True)],
        [row["ci95"] or 0 for row in rows],
    )
    axes.barh(names, [row["mean"] for row in rows], xerr=widths, capsize=3)
    axes.set(title=task, xlabel="own reward per agent and episode, ± 95 %")
    figure.savefig(path, dpi=100)


def draw_payoffs(task: str, result: Mapping[str, Any], path: Path) -> None:
    """Heat map of a payoff matrix."""
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
        axes.set(title=f"{task}: own reward of the row", ylabel="row", xlabel="against")
    figure.colorbar(image)
    figure.savefig(path, dpi=100)


def draw_curves(title: str, curves: Mapping[str, Any], path: Path) -> None:
    """Learning curves: mean over seeds with a 95 % band, and each learner's own reward per agent and episode."""
    figure, axes = _figure(7, 4.2)
    for learner, curve in curves.items():
        points = [interval(np.array(values)) for values in zip(*curve["episode_reward"], strict=True)]
        mean, width = (
            np.array([point["mean"] for point in points]),
            np.array([point["ci95"] or 0 for point in points]),
        )
        line = axes.plot(curve["agent_steps"], mean, label=f"{learner}, {len(curve['episode_reward'])} seeds")[0]
        axes.fill_between(curve["agent_steps"], mean - width, mean + width, alpha=0.25, color=line.get_color())
    axes.set(title=title, xlabel="agent-steps", ylabel="own reward per agent and episode while training")
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=100)


def draw_training(title: str, curve: Sequence[Mapping[str, float]], table: Mapping[str, Any], path: Path) -> None:
    """Learning curve of one run; the references are horizontal lines."""
    figure, axes = _figure(7, 4.2)
    axes.plot(
        [point["agent_steps"] for point in curve],
        [point["episode_reward"] for point in curve],
        label="while training, exploring",
        color="C0",
    )
    for i, name in enumerate(table):
        axes.axhline(table[name]["mean"], linestyle="--", linewidth=1, color=f"C{(i + 1) % 10}", label=name)
    axes.set(title=title, xlabel="agent-steps", ylabel="own reward per learner and episode")
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=100)
