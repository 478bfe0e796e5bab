"""The evidence card of each task, from the stored results of `benchmarks.studies.evidence`, and what the cards say
together.

A stored card holds what scripted policies show. What learners add is computed here from their stored results.
"""

from __future__ import annotations

import measured

from .aims import aims_of
from .exact import exact_solution
from .games import dependence_on_others
from .learners import learners_of
from .openings import opening
from .policies import effect_of_state, scores, traffic, worth_of_memory
from .purposes import purpose_of

NOT_CLAIMED = {  # task -> what its card does not claim
    "duel-v1": "The task resembles no product: it is small so that it can be solved.",
    "pricing-duel-v0": "The task resembles no market: it is small so that it can be solved.",
    "market-v0": "No equilibrium of this task is known.",
    "social-v1": "Clicks per page are higher than in KuaiRand.",
    "rivals-v1": "Investing serves only the investor: two platforms that invest earn less than two that do not.",
    "coverage-v0": "The task is not calibrated to data.",
    "journey-v1": "Clicks and carts are more frequent than in shops: they are raised to keep learning practical.",
    "streaming-v1": "A content policy is clicked less than in KuaiRand, because users tire of topics.",
    "auction-v0": "The task is not calibrated to data: values, budgets and their refills were set by hand.",
    "news-v1": "Scores are of clicks alone and say nothing about diversity and fairness.",
    "coldstart-v1": "The rate of new people is not that of a real product.",
    "ecommerce-v1": "Carts are more frequent than in shops: they are raised to keep learning practical.",
    "grocery-v1": "The task does not need multi-agent learning: it is an anchor in real purchases.",
}
NOT_CLAIMED_ANYWHERE = (
    "Traffic does not match a named product; it is close to published levels where the description says so. Best "
    "replies are the best among the policies that were tried. Except in finite games, costs and gains are therefore "
    "lower bounds, and the equilibria are only equilibria among those policies."
)


def card(task: str) -> str:
    """The section of a task's page."""
    found = measured.evidence(task)
    if not found:
        return f"Not measured yet: `python -m benchmarks.studies.evidence {task}`."
    parts = {
        "Does it show what it was made for?": purpose_of(task),
        "Which aims it meets": aims_of(task),
        "Scores of reference policies": scores(found),
        "Does the best action depend on the state?": effect_of_state(found),
        "What are memory and messages worth?": worth_of_memory(found["memory"]),
        "Does it depend on the others?": dependence_on_others(found),
        "Exact solution": exact_solution(found["exact"]),
        "What learners show": learners_of(task),
        "Traffic and speed": traffic(found),
        "What is not claimed": f"{NOT_CLAIMED.get(task, '')} {NOT_CLAIMED_ANYWHERE}".strip(),
    }
    note = (
        f"Every policy plays the same {found['settings']['episodes']} held-out episodes, so differences and ratios are "
        f"paired; ± 95 % (t over episodes). {measured.whence(found, f'evidence/{task}.json')}"
    )
    sections = (f"### {title}\n\n{text}" for title, text in parts.items() if text)
    return "\n\n".join([*filter(None, [opening(task)]), f"{{.how}}\n{note}", *sections])
