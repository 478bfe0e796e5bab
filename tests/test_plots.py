"""Curves that can be read: nothing lies over another, everything has the same scale and a name."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason='needs matplotlib: pip install "recsys_env[evaluate]"')
pytest.importorskip("scipy", reason="needs scipy")

from recsys_env.evaluation.plots import COLOURS, _apart, draw_curves, draw_training


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
    """One curve and its band in each, on the same axes, in colours that differ from the neighbours'."""
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
        curve, *levels = axes.get_lines()
        assert len(levels) == 2  # random and greedy
        assert len(axes.collections) == 1  # the band
        assert curve.get_color() == COLOURS[i % len(COLOURS)]
        low, high = axes.get_ylim()
        assert low < min(curve.get_ydata()) < max(curve.get_ydata()) < high
        assert axes.get_legend() is None
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["random", "greedy"]


def test_the_band_is_that_of_the_seeds(tmp_path: Path) -> None:
    """Student's t over seeds; one seed has no band, and no other figure has a legend of nothing."""
    figure = draw_curves("task", curves(1, seeds=2), tmp_path / "a.png")
    rewards = np.array(curves(1, seeds=2)["learner-0"]["episode_reward"])
    axes = figure.axes[0]
    np.testing.assert_allclose(axes.get_lines()[0].get_ydata(), rewards.mean(0))
    half = 12.706 * rewards.std(0, ddof=1) / 2**0.5
    top = axes.collections[0].get_paths()[0].vertices[:, 1].max()
    assert top == pytest.approx((rewards.mean(0) + half).max(), rel=1e-3)
    assert not figure.legends
    single = draw_curves("task", curves(1, seeds=1), tmp_path / "b.png").axes[0]
    assert single.get_title() == "learner-0 (1 seed)"
    flat = single.collections[0].get_paths()[0].vertices[:, 1]
    assert flat.max() == pytest.approx(max(curves(1, seeds=1)["learner-0"]["episode_reward"][0]))


def test_a_run_beside_what_it_is_compared_with(tmp_path: Path) -> None:
    """Each line is named at its right, and no name lies over another."""
    curve = [{"agent_steps": 100 * i, "episode_reward": i / 10} for i in range(10)]
    table = {
        name: {"mean": mean} for name, mean in (("random", 0.1), ("greedy", 5.01), ("content", 5.0), ("trained", 5.02))
    }
    evaluations = [{"agent_steps": 900, "own": [4.0, 5.0]}]
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


def test_labels_keep_apart() -> None:
    assert _apart([3.0, 1.0, 2.0], 0.5) == [3.0, 1.0, 2.0]
    assert _apart([1.0, 1.0], 0.5) == pytest.approx([0.75, 1.25])
    assert _apart([], 0.5) == []
