"""What the trainings of the tutorials come to, over several seeds: measured with the blocks of the pages, and drawn.

PYTHONPATH=.:docs python -m first_runs [PAGE ...]
"""

from __future__ import annotations

import hashlib
import io
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from measured import NotMeasured, if_measured, picture

from benchmarks.compat.snippets import blocks
from recsys_env.evaluation import mean_interval
from recsys_env.evaluation.plots import COLOURS
from recsys_env.files import read_json, write_json
from recsys_env.provenance import provenance

DOCS = Path(__file__).parent
STORED = DOCS / "first_runs.json"
PAGES = {"sb3": "tutorials/stable_baselines3.md", "own_ppo": "tutorials/own_ppo.md"}
TITLES = {"curve": "PPO of stable-baselines3", "single_curve": "PettingZoo API", "batch_curve": "batch"}
LEVELS = ("random", "content", "planner")  # policies drawn beside the curves
SEEDS = range(5)


def measured_blocks(page: str) -> list[str]:
    """The blocks of a tutorial up to its scores."""
    found = blocks(DOCS / PAGES[page])
    last = max(i for i, block in enumerate(found) if "\nscores = {}\n" in block)
    return found[: last + 1]


def digest(page: str) -> str:
    """Of the code that is measured."""
    return hashlib.sha256("".join(measured_blocks(page)).encode()).hexdigest()


def play(page: str, seed: int) -> dict[str, Any]:
    """Run a tutorial's training with this seed: what it prints, its learning curves, seconds of processor time of each,
    and the scores at its end."""
    names: dict[str, Any] = {"__name__": "__main__"}
    printed, seconds = [], {}
    for block in measured_blocks(page):
        before, began, out = set(names), time.process_time(), io.StringIO()
        with redirect_stdout(out):
            exec(block.replace("SEED = 0\n", f"SEED = {seed}\n"), names)
        printed.append(out.getvalue())
        seconds |= dict.fromkeys(TITLES.keys() & (set(names) - before), time.process_time() - began)
    return {
        "seed": seed,
        "printed": [text for text in printed if text],
        "curves": {name: [[steps, float(reward)] for steps, reward in names[name]] for name in seconds},
        "seconds": seconds,
        "scores": {name: list(map(float, score)) for name, score in names["scores"].items()},
    }


def main(pages: list[str]) -> None:
    stored = read_json(STORED) if STORED.is_file() else {}
    for page in pages or PAGES:
        source = {**provenance(), "command": f"PYTHONPATH=.:docs python -m first_runs {page}"}
        stored[page] = {"source": source, "code": digest(page), "runs": []}
        for seed in SEEDS:
            stored[page]["runs"].append(play(page, seed))
            write_json(STORED, stored, indent=1)


# ------------------------------------------------------------------------------------------------ what pages show


def measured(page: str) -> Any:
    """The stored runs of a tutorial.

    Raises:
        NotMeasured: there are none.
    """
    stored = read_json(STORED) if STORED.is_file() else {}
    if page not in stored:
        raise NotMeasured("first_runs")
    return stored[page]


def parts(folder: Path) -> dict[str, Callable[[], str]]:
    """Name -> what makes the section of that name; its plot goes into the folder."""
    return {f"first_run_{page}": partial(if_measured, partial(section, page, folder)) for page in PAGES}


def section(page: str, folder: Path) -> str:
    """Learning curves of all seeds, beside what policies earn on the same episodes."""
    from matplotlib.figure import Figure

    runs = measured(page)["runs"]
    curves = runs[0]["curves"]
    figure = Figure(figsize=(0.7 + 3.2 * len(curves), 3.0), layout="constrained")
    panels = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    for axes, name in zip(panels, curves, strict=True):
        for run in runs:
            steps, rewards = zip(*run["curves"][name], strict=True)
            axes.plot(steps, rewards, color=COLOURS[0], linewidth=1, alpha=0.7)
        for level in LEVELS:
            reward = runs[0]["scores"][level][0]
            axes.axhline(reward, linestyle="--", linewidth=1, color="0.35")
            axes.annotate(level, (0.99, reward), xycoords=("axes fraction", "data"), ha="right", va="bottom", size=8)
        top = 1.1 * max(runs[0]["scores"][level][0] for level in LEVELS)
        axes.set(title=TITLES[name], xlabel="agent-steps", ylim=(0, top))
    panels[0].set_ylabel("clicks per agent and episode")
    path = folder / f"first-run-{page}.png"
    figure.savefig(path, dpi=100)
    note = f"Held-out episodes of `social-v1` while PPO trains, a line for each of {len(runs)} seeds."
    return f"{picture(path, 'Learning curves of the tutorial')}\n\n{note}"


def numbers() -> dict[str, str]:
    """What sentences of the tutorials quote."""
    sb3, own = measured("sb3")["runs"], measured("own_ppo")["runs"]
    return {
        "sb3_trained": over_seeds([run["scores"]["trained"][0] for run in sb3]),
        "sb3_random": f"{sb3[0]['scores']['random'][0]:.1f}",
        "sb3_seconds": seconds(sb3, "curve"),
        "sb3_seeds": str(len(sb3)),
        "own_ppo_batch": over_seeds([run["scores"]["trained"][0] for run in own]),
        "own_ppo_single": over_seeds([run["curves"]["single_curve"][-1][1] for run in own]),
        "own_ppo_random": f"{own[0]['scores']['random'][0]:.1f}",
        "own_ppo_seconds": seconds(own, "batch_curve"),
        "own_ppo_seeds": str(len(own)),
    }


def over_seeds(rewards: list[float]) -> str:
    """Their mean and the half-width of its 95 % interval."""
    return "{:.1f} ± {:.1f}".format(*mean_interval(np.array(rewards)))


def seconds(runs: list[Mapping[str, Any]], curve: str) -> str:
    return f"{np.median([run['seconds'][curve] for run in runs]):.0f} seconds"


if __name__ == "__main__":
    main(sys.argv[1:])
