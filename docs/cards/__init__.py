"""The evidence card of each task, from the stored results of `benchmarks.studies.evidence`, and what the cards say
together.

A stored card holds what scripted policies show. What learners add is computed here from their stored results.
"""

from __future__ import annotations

import measured

from .aims import aims_of
from .games import dependence_on_others, exact_solution
from .learners import learners_of
from .policies import effect_of_state, scores, traffic, worth_of_memory

NOT_CLAIMED = (
    "Traffic does not match a named product. Best replies are the best among the policies that were tried. Except in "
    "finite games, costs and gains are therefore lower bounds, and the equilibria are only equilibria among those "
    "policies."
)


def card(task: str) -> str:
    """The section of a task's page."""
    found = measured.evidence(task)
    if not found:
        return f"Not measured yet: `python -m benchmarks.studies.evidence {task}`."
    parts = {
        "Which aims it meets": aims_of(task),
        "Scores of reference policies": scores(found),
        "Does the best action depend on the state?": effect_of_state(found),
        "What are memory and messages worth?": worth_of_memory(found["memory"]),
        "Does it depend on the others?": dependence_on_others(found),
        "Exact solution": exact_solution(found["exact"]),
        "What learners show": learners_of(task),
        "Traffic and speed": traffic(found),
        "What is not claimed": NOT_CLAIMED,
    }
    note = (
        f"Every policy plays the same {found['settings']['episodes']} held-out episodes, so differences and ratios are "
        f"paired; ± 95 % (t over episodes). {measured.foot(f'evidence/{task}')}"
    )
    sections = (f"### {title}\n\n{text}" for title, text in parts.items() if text)
    return "\n\n".join([f"{{.how}}\n{note}", *sections])
