"""Curves that can be read: nothing lies over another, everything has the same scale and a name."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason='needs matplotlib: pip install "recsys_env[evaluate]"')
pytest.importorskip("scipy", reason="needs scipy")

from recsys_env.evaluation.plots import (
    COLOURS,
    draw_comparison,
    draw_curves,
    draw_seeds,
    draw_training,
)
from recsys_env.evaluation.tables import latex


def curves(learners: int, seeds: int = 3) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        f"learner-{i}": {
            "agent_steps": np.linspace(1e3, 1e6 * (i + 1), 20).tolist(),
            "episode_reward": (i + rng.random((seeds, 20))).tolist(),
        }
        for i in range(learners)
    }


@pytest.mark.parametrize(("learners", "shape"), [(1, (1, 1)), (3, (1, 3)), (17, (5, 4))])
def test_each_learner_has_a_panel(learners: int, shape: tuple[int, int], tmp_path: Path) -> None:
    """A line for each seed in each, on the same axes, in colours that differ from the neighbours'."""
    figure = draw_curves("task", curves(learners), tmp_path / "a.png", {"random": 0.5, "greedy": 9.0})
    assert (tmp_path / "a.png").stat().st_size > 1000
    panels = figure.axes
    assert [axes.get_title() for axes in panels] == [f"learner-{i} (3 seeds)" for i in range(learners)]
    grid = panels[0].get_subplotspec().get_gridspec()
    assert (grid.nrows, grid.ncols) == shape
    assert len({(*axes.get_xlim(), *axes.get_ylim()) for axes in panels}) == 1
    edges = np.array([axes.get_position().p0 for axes in panels])
    for of in edges.T:  # columns and rows are evenly spaced, whether the last row is full or not
        gaps = np.diff(np.unique(of.round(6)))
        np.testing.assert_allclose(gaps, gaps.mean() if len(gaps) else [], atol=1e-4)
    for i, axes in enumerate(panels):
        *seeds, _, _ = axes.get_lines()  # random and greedy
        expected = curves(learners)[f"learner-{i}"]["episode_reward"]
        assert [line.get_ydata().tolist() for line in seeds] == expected
        assert {line.get_color() for line in seeds} == {COLOURS[i % len(COLOURS)]}
        low, high = axes.get_ylim()
        assert low < np.min(expected) < np.max(expected) < high
        assert axes.get_legend() is None
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["random", "greedy"]


def test_seeds_are_points(tmp_path: Path) -> None:
    figure = draw_seeds("task", {"one": [1.0, 5.0], "other": [2.0]}, {"random": 0.5}, tmp_path / "a.png")
    axes = figure.axes[0]
    found = {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}
    assert found["one"] == [[1.0, 0.0], [5.0, 0.0]]
    assert found["other"] == [[2.0, 1.0]]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["one", "other"]
    assert axes.yaxis_inverted()
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["random"]
    assert draw_seeds("task", {"one": [1.0]}, {}, tmp_path / "b.png").axes[0].get_legend() is None


def test_a_run_beside_what_it_is_compared_with(tmp_path: Path) -> None:
    """Each line is named at its right, and no name lies over another."""
    curve = [{"agent_steps": 100 * i, "episode_reward": i / 10} for i in range(10)]
    table = {
        name: {"mean": mean} for name, mean in (("random", 0.1), ("greedy", 5.01), ("content", 5.0), ("trained", 5.02))
    }
    evaluations = [{"agent_steps": 900, "individual_reward": [4.0, 5.0]}]
    figure = draw_training("task: ippo", curve, evaluations, table, tmp_path / "a.png")
    from matplotlib.text import Text

    axes = figure.axes[0]
    assert [line.get_xydata().tolist() for line in axes.lines if line.get_label() == "evaluated"] == [[[900, 4.5]]]
    names = {text.get_text().split()[0]: text for text in axes.texts}
    assert set(names) == set(table)
    boxes = [Text.get_window_extent(text) for text in names.values()]  # without the lines that lead to them
    spans = sorted((box.y0, box.y1) for box in boxes)
    assert all(below[1] <= above[0] + 1 for below, above in pairwise(spans))
    upwards = sorted(names, key=lambda name: names[name].xyann[1])
    assert upwards == ["random", "content", "greedy", "trained"]
    assert all(axes.get_window_extent().x1 < box.x0 < box.x1 <= figure.bbox.x1 for box in boxes)


def test_learners_are_compared_task_by_task(tmp_path: Path) -> None:
    """A line for each learner, the first one the thickest, areas where there are two seeds, and levels."""
    one = {"agent_steps": [1, 2, 3], "reward": [[1.0, 2.0, 3.0], [2.0, 3.0, 4.0]]}
    other = {"agent_steps": [1, 2], "reward": [[5.0, 6.0]]}
    levels = {"a": {"planner": 9.0, "random": 0.5}}
    figure = draw_comparison(
        {"a": {"mine": one, "other": other}, "b": {"mine": one}}, levels, "mine", tmp_path / "x.png"
    )
    first, second = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["a", "b"]
    mine, theirs, *dashed = first.get_lines()
    assert list(mine.get_ydata()) == [1.5, 2.5, 3.5]
    assert list(theirs.get_ydata()) == [5.0, 6.0]
    assert mine.get_linewidth() > theirs.get_linewidth()
    assert [line.get_ydata()[0] for line in dashed] == [0.5, 9.0]
    assert (len(first.collections), len(second.collections)) == (1, 1)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["mine", "other"]
    assert (tmp_path / "x.png").stat().st_size > 1000


def test_a_table_in_latex_is_escaped() -> None:
    text = latex(["a_b", "50 %"], [["x & y", "1.0 ±0.1"], ["~", "—"]])
    assert text.splitlines() == [
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"a\_b & 50 \% \\",
        r"\midrule",
        r"x \& y & 1.0 $\pm$0.1 \\",
        r"\textasciitilde{} & --- \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]
