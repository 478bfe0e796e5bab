"""The knowledge behind the planner's lead, over all tasks."""

from __future__ import annotations

from collections.abc import Mapping

import measured

from recsys_env.evaluation.tables import markdown, spread


def hidden_knowledge() -> str:
    """The knowledge behind the planner's lead: its scores without the visitor's taste and without items' qualities."""
    found = measured.stored("hidden")
    rows: list[list[str]] = []
    rests: dict[str, list[str]] = {}
    for task, of in found["tasks"].items():
        scores = {
            name: spread({"mean": row["score"], "ci95": row["score_ci95"]}, 0) for name, row in of["rows"].items()
        }
        rows.append([f"`{task}`", scores["static"], *(scores[name] for name in of["lost"])])
        rests.setdefault(_rests_on(of["lost"]), []).append(f"`{task}`")
    said = " ".join(f"{what} in {', '.join(tasks)}." for what, tasks in rests.items())
    how = (
        "`planner` plays without its knowledge of the taste, of the items, or of both. A taste is then estimated from "
        "the profile and the clicks that the agent has seen, and every item has the catalogue's mean quality and "
        f"clickbait. It still knows the visitor's satisfaction and satiation. Scores over "
        f"{found['settings']['episodes']} held-out episodes (`random` 0, `planner` 100; ± 95 %). "
        f"{measured.whence_rows(found['tasks'], 'hidden.json')}"
    )
    head = ["task", "`static`", "taste estimated", "mean items", "both"]
    means = (
        "`planner` knows the visitor's taste and the quality and clickbait of each item, which agents do not observe. "
        + said
    )
    return measured.section(means, markdown(head, rows), how=how)


def _rests_on(lost: Mapping[str, Mapping[str, float]]) -> str:
    """Which of the two the planner needs more, beyond the intervals."""
    taste, items = lost["planner, taste estimated"], lost["planner, mean items"]
    apart = items["mean"] - taste["mean"]
    if abs(apart) <= items["ci95"] + taste["ci95"]:
        return "These episodes do not tell which of the two costs more"
    return (
        "Not knowing the items costs more than not knowing the taste"
        if apart > 0
        else "Not knowing the taste costs more than not knowing the items"
    )
