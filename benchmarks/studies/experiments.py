"""Which designs of an A/B test pick the wrong policy, by which cause, and what repairs them?

    python -m benchmarks.studies.experiments [--repetitions 16]

pairs       two policies in the sparse variant of a task (`recsys_env.experiments.sparse`), by all designs
causes      the same without one cause of interference or another (`recsys_env.experiments.without`)
repairs     a switchback that leaves out the first quarter of its blocks, and one with blocks five times as long
control     a world in which units do not touch each other
clock       a task as it is shipped, in which visitors compete for ticks
off-policy  slot-wise IPS, DM and DR of one page's clicks from a log of random slates, beside the exact value and what
            the policy earns in whole episodes

Repetitions are stored as they come. A run with the same settings adds those that are missing, so a later run with more
repetitions keeps what is there.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from recsys_env import WorldConfig, task_config
from recsys_env.evaluation import UNSEEN, episode_returns
from recsys_env.evaluation.statistics import interval
from recsys_env.experiments import CAUSES, Experiment, Protocol, page_estimates, page_log, sparse, without
from recsys_env.provenance import provenance

from ..result_files import earlier, store
from .study import options

USERS, PAGES, BLOCK, AT_ONCE = 100, 25, 500, 16
SEED = 50_000
ALL = ("user", "session", "page", "switchback")


class Case(NamedTuple):
    """Two policies in a world, and the designs that compare them.

    Attributes:
        background: the policy of the agents that are not in the experiment.
        taken: causes of interference that are taken out.
        dense: the task as it is shipped, with more users.
    """

    task: str
    a: str
    b: str
    design: tuple[str, ...] = ALL
    background: str = "greedy"
    taken: tuple[str, ...] = ()
    burn_in: float = 0.0
    block: int = BLOCK
    dense: bool = False

    @property
    def config(self) -> WorldConfig:
        config = task_config(self.task, {"users": {"number": 40}}) if self.dense else sparse(self.task, USERS, PAGES)
        return without(config, *self.taken)

    @property
    def experiment(self) -> Experiment:
        block = 20 if self.dense else self.block
        return Experiment(
            self.config, self.a, self.b, self.design, None, Protocol(self.background, block, self.burn_in, "warn")
        )


_PAIRS = {
    "rivals-v1": (("greedy", "planner"), ("content", "static")),
    "ecommerce-v1": (("content", "static"),),
    "news-v1": (("content", "static"),),
}
_BY_ITEM = ("ecommerce-v1", "news-v1")  # where a page has several slots
_TAKEN = {
    "rivals-v1": ("satisfaction", "rivals"),
    "ecommerce-v1": ("satisfaction", "stock"),
    "news-v1": ("popularity",),
}
CASES: dict[str, Case] = {}
for _task, _pairs in _PAIRS.items():
    for _pair in _pairs:
        _design = (*ALL, "item") if _task in _BY_ITEM else ALL
        CASES[f"{_task}: {_pair[0]} and {_pair[1]}"] = Case(_task, *_pair, _design)
CASES["rivals-v1: greedy and planner beside a rival that learns"] = Case(
    "rivals-v1", *_PAIRS["rivals-v1"][0], background="thompson"
)
CASES["news-v1: control"] = Case("news-v1", "random", "static", taken=tuple(CAUSES))
for _task, _causes in _TAKEN.items():
    _pair = _PAIRS[_task][0]
    for _cause in _causes:
        CASES[f"{_task}: {_pair[0]} and {_pair[1]} without {_cause}"] = Case(_task, *_pair, taken=(_cause,))
_RIVALS = Case("rivals-v1", *_PAIRS["rivals-v1"][0], ("switchback",))
CASES["rivals-v1: burn-in"] = _RIVALS._replace(burn_in=0.25)
CASES["rivals-v1: long blocks"] = _RIVALS._replace(block=5 * BLOCK)
CASES["ecommerce-v1: dense"] = Case("ecommerce-v1", "content", "static", ("user",), dense=True)

OFF_POLICY = ("ecommerce-v1", "news-v1", "rivals-v1")
TARGETS = ("content", "static")


def one_page_and_the_long_run(task: str, episodes: int) -> dict[str, Any]:
    """Estimates and exact value of one page of each policy, and its reward in whole episodes that it plays with all
    agents."""
    log = page_log(task, TARGETS, background="content", episodes=episodes, seed=UNSEEN + SEED)
    found: dict[str, Any] = {"source": provenance(), "policies": {}}
    returns = {}
    for policy in TARGETS:
        returns[policy] = episode_returns(task, policy, 4 * episodes, UNSEEN + SEED).mean(1)
        found["policies"][policy] = {**page_estimates(log, policy), "episode": interval(returns[policy])}
    first, second = TARGETS
    found["difference"] = {
        "page": interval(log.means(log.exact[second]) - log.means(log.exact[first])),
        "episode": interval(returns[second] - returns[first]),
    }
    return found


def main() -> None:
    given = options(__doc__, repetitions=16, episodes=30, cases=tuple(CASES))
    settings = {"users": USERS, "pages": PAGES, "block": BLOCK, "seed": SEED, "episodes": given.episodes}
    pages, cases = (dict(earlier("experiments", part, settings)) for part in ("off-policy", "cases"))
    for task in [task for task in OFF_POLICY if given.again or task not in pages]:
        pages[task] = one_page_and_the_long_run(task, given.episodes)
        store("experiments", settings, {"off-policy": pages, "cases": cases})
        print(f"{task}: {pages[task]['difference']}", flush=True)
    for name in given.cases:
        row = cases.setdefault(name, {"sources": [], "repetitions": []})
        while (first := len(row["repetitions"])) < given.repetitions:
            last = min(first + AT_ONCE, given.repetitions)
            row["repetitions"] += CASES[name].experiment.repeat(first, last, SEED)
            row["sources"].append({"repetitions": [first, last], **provenance()})
            store("experiments", settings, {"off-policy": pages, "cases": cases})
            print(f"{name}: {last} repetitions", flush=True)


if __name__ == "__main__":
    main()
