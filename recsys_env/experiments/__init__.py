"""The A/B laboratory: which designs of an experiment pick the wrong policy, in worlds where the truth is known.

designs.py      the designs: what a unit is, and which policy serves it     ->  mixture.py  plays A or B by unit
variants.py     variants of tasks: a sparse clock, causes of interference taken out
ab.py           repetitions, estimates beside the true effect, and the command `python -m recsys_env ab`
off_policy.py   the value of a page from a log with propensities, beside its exact value
"""

from .ab import Experiment, Protocol, ab_test, summary
from .designs import DESIGNS, Assignment
from .mixture import Mixture
from .off_policy import PageLog, page_estimates, page_log, slotwise
from .variants import CAUSES, sparse, without

__all__ = [
    "CAUSES",
    "DESIGNS",
    "Assignment",
    "Experiment",
    "Mixture",
    "PageLog",
    "Protocol",
    "ab_test",
    "page_estimates",
    "page_log",
    "slotwise",
    "sparse",
    "summary",
    "without",
]
