"""Pictures: each is drawn, and shows what it is given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason='needs matplotlib: pip install "recsys_env[evaluate]"')
pytest.importorskip("scipy", reason="needs scipy")

from recsys_env.evaluation import plots
from recsys_env.evaluation.tables import latex

CURVES = {
    f"learner-{i}": {
        "agent_steps": np.linspace(1e3, 1e6 * (i + 1), 20).tolist(),
        "episode_reward": [[float(i)] * 20] * 3,
    }
    for i in range(5)
}
LEVELS = {"random": 0.5, "planner": 9.0}
CURVE = [{"agent_steps": 100 * i, "episode_reward": i / 10} for i in range(10)]
LOOKED = [{"agent_steps": 900, "individual_reward": [4.0, 5.0]}]
TABLE = {name: {"mean": mean} for name, mean in (("random", 0.1), ("greedy", 5.01), ("trained", 5.02))}
ONE = {"agent_steps": [1, 2, 3], "reward": [[1.0, 2.0, 3.0], [2.0, 3.0, 4.0]]}
TEAMS = {
    "teams": {
        "greedy": {"mean": 2.0, "ci95": 0.1, "learns": False},
        "ucb1": {"mean": 1.0, "ci95": None, "learns": True},
    }
}
PAYOFF = {"payoff": {row: {column: {"mean": 1.0} for column in "ab"} for row in "ab"}, "cooperative": False}
DRAWN: dict[str, Callable[[Path], Any]] = {
    "draw_scores": lambda path: plots.draw_scores("task", TEAMS, path),
    "draw_payoffs": lambda path: plots.draw_payoffs("task", PAYOFF, path),
    "draw_intervals": lambda path: plots.draw_intervals(
        {"best": (2.0, 1.5, 2.6), "worst": (1.0, 1.0, 1.2)}, "score", path
    ),
    "draw_curves": lambda path: plots.draw_curves("task", CURVES, path, LEVELS),
    "draw_seeds": lambda path: plots.draw_seeds("task", {"one": [1.0, 5.0], "other": [2.0]}, LEVELS, path),
    "draw_training": lambda path: plots.draw_training("task: ippo", CURVE, LOOKED, TABLE, path),
    "draw_comparison": lambda path: plots.draw_comparison({"a": {"mine": ONE}}, {"a": LEVELS}, "mine", path),
}


@pytest.mark.parametrize("name", [name for name in vars(plots) if name.startswith("draw_")])
def test_every_picture_is_drawn(name: str, tmp_path: Path) -> None:
    DRAWN[name](tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_each_learner_has_a_panel_with_a_line_for_each_seed(tmp_path: Path) -> None:
    """On the same axes."""
    figure = DRAWN["draw_curves"](tmp_path / "a.png")
    assert [axes.get_title() for axes in figure.axes] == [f"{learner} (3 seeds)" for learner in CURVES]
    assert len({(*axes.get_xlim(), *axes.get_ylim()) for axes in figure.axes}) == 1
    for axes, curve in zip(figure.axes, CURVES.values(), strict=True):
        assert [line.get_ydata().tolist() for line in axes.get_lines()[:3]] == curve["episode_reward"]


def test_learners_are_means_of_their_seeds(tmp_path: Path) -> None:
    mine, *dashed = DRAWN["draw_comparison"](tmp_path / "a.png").axes[0].get_lines()
    assert list(mine.get_ydata()) == [1.5, 2.5, 3.5]
    assert [line.get_ydata()[0] for line in dashed] == [0.5, 9.0]


def test_a_table_in_latex_is_escaped() -> None:
    text = latex(["a_b", "50 %"], [["x & y", "1.0 ±0.1"], ["~", "—"]])
    assert text.splitlines()[2] == r"a\_b & 50 \% \\"
    assert text.splitlines()[4:6] == [r"x \& y & 1.0 $\pm$0.1 \\", r"\textasciitilde{} & --- \\"]
