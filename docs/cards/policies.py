"""What a card says of scripted policies: scores, what state and memory are worth, and the traffic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recsys_env import TASKS
from recsys_env.evaluation.statistics import scale_ends
from recsys_env.evaluation.tables import markdown, spread

from .values import missing, percent


def scores(found: Mapping[str, Any]) -> str:
    task, known = found["settings"]["task"], {name: row for name, row in found["rows"].items() if "missing" not in row}
    rows = [[f"`{policy}`", spread(row), spread(_score(task, known, policy), 1)] for policy, row in known.items()]
    table = markdown(["policy", "individual reward per agent", "score"], rows)
    absent = [f"`{name}` ({row['missing']})" for name, row in found["rows"].items() if "missing" in row]
    beside = f"\n\nNot played here: {'; '.join(absent)}." if absent else ""
    return f"All agents play the policy of the row.\n\n{table}{beside}"


def _score(task: str, known: Mapping[str, Any], policy: str) -> dict[str, float | None]:
    """The score of a row; without an interval where the task has had another scale since the row was measured."""
    low, high = (known.get(end, {}) for end in scale_ends(TASKS[task]))
    if (low.get("score"), high.get("score")) == (0, 100):
        row = known[policy]
        return {"mean": row.get("score"), "ci95": row.get("score_ci95")}
    if not (low and high and high["mean"] > low["mean"]):
        return {"mean": None, "ci95": None}
    return {"mean": 100 * (known[policy]["mean"] - low["mean"]) / (high["mean"] - low["mean"]), "ci95": None}


def effect_of_state(found: Mapping[str, Any]) -> str:
    best = found["state"]
    if "missing" in best:
        return missing(best)
    said = (
        f"The best ranker of fixed weights, `{best['fixed']}`, earns {spread(best['fixed_reward'])}; the best policy "
        f"known whose ranking depends on the state, `{best['policy']}`, earns {spread(best['reward'])}: "
        f"{percent(best['gain'])} more."
    )
    observed = best["observed"]
    if "missing" in observed:
        return said
    return (
        f"{said} The best of these that uses only what agents observe, `{observed['policy']}`, earns "
        f"{spread(observed['reward'])}: {percent(observed['gain'])} more."
    )


def worth_of_memory(found: Mapping[str, Any]) -> str:
    if "missing" in found:
        return missing(found)
    said = [f"`{of['with']}` earns {percent(of['gain'])} more than `{of['without']}`." for of in found.values()]
    if any(of["without"] == "forgetful" for of in found.values()):
        said.append("`forgetful` is the best ranker that does not look at a visitor's earlier clicks.")
    return " ".join(said)


def traffic(found: Mapping[str, Any]) -> str:
    rows = []
    for policy, row in found["levels"].items():
        pages = f"{row['pages']:.0f} (sd {row['pages_sd']:.0f}, {row['pages_min']:.0f} to {row['pages_max']:.0f})"
        rates = [f"{row[name]:.3f}" for name in ("clicks_per_page", "clicks_per_impression")]
        funnel = [f"{row[name]:.3f}" for name in ("carts_per_click", "bought_per_click")]
        visits = [f"{row[name]:.1f}" for name in ("pages_per_session", "sessions_per_place")]
        rows.append([f"`{policy}`", f"{row['idle']:.0%}", f"{row['inactive']:.0%}", pages, *rates, *funnel, *visits])
    head = [
        "policy",
        "idle ticks",
        "an agent inactive",
        "pages per episode",
        "clicks per page",
        "per impression",
        "carts per click",
    ]
    head += ["purchases per click", "pages per session", "sessions per user slot"]
    steps, played = found["speed"], list(found["levels"])
    ends = dict.fromkeys((played[0], played[-1]))
    pages = [f"{found['levels'][policy]['pages_per_session']:.1f} pages under `{policy}`" for policy in ends]
    return (
        f"A session lasts {' and '.join(pages)}. One thread simulates {steps['agent_steps_per_second']:,.0f} "
        f"agent-steps per second of random actions in {steps['copies']} copies.\n\n{markdown(head, rows)}"
    )
