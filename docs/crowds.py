"""What the documentation says of `creators-v0` with few and with many creators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from measured import percent, rewards_of_seeds, section, stored, whence

from recsys_env.evaluation.statistics import interval
from recsys_env.evaluation.tables import markdown, spread


def parts() -> dict[str, Callable[[], str]]:
    """Name of a section -> function that returns it."""
    return {"crowds": crowds}


def crowds() -> str:
    """Payoffs by the number of creators, and what learners earn on the scale from P to R."""
    result = stored("crowds")
    settings, learned = result["settings"], result["learned"]
    payoffs: Mapping[str, Mapping[str, Any]] = result["scripted"]["payoffs"]
    rows = [
        [
            creators,
            *(spread(row[corner]) for corner in "RTPS"),
            *(percent(row["cost"][others], 0) for others in ("creators-fair", "creators-bait")),
            placed(row, learned.get(f"selfish {creators}")),
        ]
        for creators, row in payoffs.items()
    ]
    head = ["creators", "R: none bait", "T: one baits", "P: all bait", "S: one does not"]
    head += ["wrong answer to honest ones", "wrong answer to baiters", "selfish learners, P = 0, R = 1"]
    few, many = min(payoffs, key=int), max((n for n in payoffs if f"selfish {n}" in learned), key=int, default=None)
    means = _corners(few, payoffs[few])
    if many is not None and many != few:
        means += f" {_corners(many, payoffs[many])}"
    tables = [markdown(head, rows)]
    crowd = payoffs.get(TASK_SIZE)
    if crowd and "team" in learned:
        teams = [[words, placed(crowd, learned.get(name)), len(learned.get(name, ()))] for name, words in TEAMS.items()]
        tables.append(markdown([f"{TASK_SIZE} creators", "P = 0, R = 1", "seeds"], teams))
        means += f" {_one_network(result['gain of one network'])}"
    per_second = {n: row["agent_steps_per_second"] / 1e6 for n, row in result["scripted"]["speed"].items()}
    how = (
        f"Clicks of a creator in {settings['episodes']} held-out episodes, ± 95 % over episodes; learners are placed "
        f"by their mean over seeds, ± 95 %, after {settings['ticks']:,} ticks. A wrong answer is honest items where "
        f"bait earns more, or bait where honest items do; its cost is a share of the right answer's reward. "
        f"{' and '.join(f'{speed:.1f} M' for speed in per_second.values())} agent-steps per second with "
        f"{' and '.join(per_second)} creators, on one thread. {whence(result, 'crowds.json')}"
    )
    return section(means, *tables, how=how)


TASK_SIZE = "20"
TEAMS = {
    f"selfish {TASK_SIZE}": "paid by its own clicks, one network for all",
    "team": "paid by the mean of all clicks, one network for all",
    "separate": "paid by the mean of all clicks, a network for each",
}


def _corners(creators: str, row: Mapping[str, Any]) -> str:
    """Whether baiting pays one of so many creators, and what all lose by it, in words."""
    r, t, p = (row[corner]["mean"] for corner in "RTP")
    alone = f"a creator who baits alone earns {t:.0f} clicks where honest ones earn {r:.0f}"
    return f"With {creators} creators, {alone}; if all bait, each earns {p:.0f}."


def _one_network(gain: Mapping[str, float | None]) -> str:
    """What one network for all is worth, if the seeds tell."""
    if gain["mean"] is None or gain["ci95"] is None or abs(gain["mean"]) <= gain["ci95"]:
        return "Whether a team with one network for all earns more than one with a network for each is not decided yet."
    more = "more" if gain["mean"] > 0 else "less"
    return f"A team with one network for all earns {percent(gain, 0)} {more} than one with a network for each."


def placed(row: Mapping[str, Any], runs: Mapping[str, Any] | None) -> str:
    """What learners earn, between P = 0 and R = 1; nothing if there are none."""
    if not runs:
        return ""
    r, p = row["R"]["mean"], row["P"]["mean"]
    return spread(interval((rewards_of_seeds(runs) - p) / (r - p)))
