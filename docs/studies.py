"""The tables of single studies, each declared by the rows and columns of its stored result.

A `Study` names a result in benchmarks/results, where its rows lie in it, and a column for each heading. `parts` returns
the section of each name as Markdown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from measured import files, foot, if_measured, rewards_of_seeds, section, stored

from recsys_env.evaluation.statistics import interval, place_on_scale
from recsys_env.evaluation.tables import bracketed, markdown, spread
from recsys_env.experiments import summary

Column = str | tuple[str, int] | Callable[[Any], Any]  # a path in a row, with digits, or what makes a value of a row


class Study(NamedTuple):
    """One table.

    Attributes:
        result: name of the stored result; a * stands for one of several results.
        rows: path of the rows in it, with / between names, or a function of the result.
        keys: headings of the names of rows, one for each level of nesting.
        columns: heading -> column.
        how: what the numbers are and how they were measured.
    """

    result: str
    rows: str | Callable[[Any], Any]
    keys: Sequence[str]
    columns: Mapping[str, Column]
    how: str

    def text(self) -> str:
        names = [path.stem for path in files(f"{self.result}.json")] or [self.result]
        return "\n\n".join(map(self._table, names))

    def _table(self, name: str) -> str:
        result = stored(name)
        rows = self.rows(result) if callable(self.rows) else at(result, self.rows)
        lines = [
            [*names, *(cell(row, column) for column in self.columns.values())]
            for names, row in flat(rows, len(self.keys))
        ]
        task = result["settings"].get("task")
        how = f"`{task}`. {self.how}" if task else self.how
        return section(markdown([*self.keys, *self.columns], lines), how=f"{how} {foot(name)}")


def at(value: Any, path: str) -> Any:
    """What lies at a path; None if nothing does."""
    for name in filter(None, path.split("/")):
        if isinstance(value, list):
            value = value[int(name)]
        else:
            value = value.get(name) if value else None
    return value


def flat(rows: Any, depth: int) -> Iterator[tuple[list[str], Any]]:
    """The names of each row, of so many levels, and the row."""
    if depth == 0:
        yield from (([], row) for row in rows) if isinstance(rows, list) else [([], rows)]
        return
    for name, inside in rows.items():
        below = flat(inside, depth - 1) if depth > 1 else [([], inside)]
        yield from (([str(name), *names], row) for names, row in below)


def cell(row: Any, column: Column) -> str:
    """The value of a column as it is printed."""
    path, digits = column if isinstance(column, tuple) else (column, 2)
    return printed(path(row) if callable(path) else at(row, path), digits)


def printed(value: Any, digits: int = 2) -> str:
    """A value with its interval, quartiles, or digits that suit its size."""
    if value is None:
        return "—"
    if isinstance(value, dict) and "ci95" in value:
        return spread(value, digits)
    if isinstance(value, dict) and "range" in value:
        return bracketed([value["mean"], *value["range"]], digits)
    if isinstance(value, dict) and "low" in value:
        return bracketed([value.get("mean", value.get("median")), value["low"], value["high"]], digits)
    if isinstance(value, dict):
        return ", ".join(f"{name} {printed(inside, digits)}" for name, inside in value.items())
    if isinstance(value, list):
        return " / ".join(printed(inside, digits) for inside in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def percent(path: str) -> Callable[[Any], str]:
    """A column of shares in per cent."""

    def share(row: Any) -> str:
        value = at(row, path)
        if value is None:
            return "—"
        mean, width = (value["mean"], value["ci95"]) if isinstance(value, dict) else (value, None)
        return f"{100 * mean:.1f}" + (f" ±{100 * width:.1f} %" if width is not None else " %")

    return share


def median(path: str) -> Callable[[Any], Any]:
    """A column of [low, median, high] as median [low, high]."""

    def shown(row: Any) -> str | None:
        found = at(row, path)
        return bracketed([found[1], found[0], found[2]], 2) if found else None

    return shown


# ------------------------------------------------------------------------------------------------ computed rows


def regret_of(true: Mapping[str, float], fitted: Mapping[str, float]) -> float:
    """The share of the best policy's value that is lost by choosing the best one of a fitted world."""
    return 1 - true[max(fitted, key=lambda name: fitted[name])] / max(true.values())


def origins(result: Any) -> dict[str, Any]:
    """Logs -> how a world fitted to each ranks policies."""
    return {
        name: {
            "origin": f"`{row['origin']}`",
            "tau": row["tau"],
            "regret": max(regret_of(of["the world itself"], of[name]) for of in result["scores"].values()),
        }
        for name, row in result["logs"].items()
    }


def recovered(result: Any) -> dict[str, Any]:
    """Logs of pages -> how well the world that wrote them is found again, over worlds."""
    groups: dict[str, list[Any]] = {}
    for cell_ in result["cells"].values():
        groups.setdefault(f"{cell_['log']}, {cell_['pages']:,} pages, vectors {cell_['vectors']}", []).append(cell_)
    return {
        name: {
            "worlds": len(cells),
            "tau": float(np.mean([one["tau"] for one in cells])),
            "lowest": min(one["tau"] for one in cells),
            "regret": max(regret_of(one["truth"], one["scores"]) for one in cells),
            "held": {
                weight: sum(
                    abs(found["estimate"] - found["true"]) < 1.96 * found["error"]
                    for found in (one["estimates"][weight] for one in cells)
                )
                for weight in cells[0]["estimates"]
            },
        }
        for name, cells in groups.items()
    }


def experiments(result: Any, without: bool) -> dict[str, Any]:
    """Pairs of policies -> design -> estimate; those without a cause of interference, or others."""
    found = {
        name: summary(case["repetitions"])
        for name, case in result["cases"].items()
        if len(case["repetitions"]) > 1 and (" without " in name) == without
    }
    return {
        name: {design: {**one, "effect": row["effect"]} for design, one in row["designs"].items()}
        for name, row in found.items()
    }


def of_learned(result: Any) -> dict[str, Any]:
    """Trainings of a study -> reward over seeds."""
    return {
        name: {"seeds": len(runs), "reward": interval(rewards_of_seeds(runs))}
        for name, runs in result["learned"].items()
    }


def playlist(result: Any) -> dict[str, Any]:
    """Policies -> score on playlist-v0."""
    own = result["scripted"]["playlist-v0"]["individual_reward"]
    scores = place_on_scale({name: np.array(values) for name, values in own.items()}, "random", "greedy")
    return {name: {"mean": row["score"], "ci95": row["score_ci95"]} for name, row in scores.items()}


def curve(result: Any) -> list[Any]:
    """Agent-steps and the rewards of all seeds with each network."""
    kinds = {name: np.array(result["curves"][name]) for name in ("scorer", "flat")}
    return [
        {"steps": int(steps), **{name: interval(of[:, i, 1]) for name, of in kinds.items()}}
        for i, (steps, _) in enumerate(result["curves"]["scorer"][0])
    ]


def beside(row: Any) -> Any:
    """What the study of kinds measured of a policy where all agents play it."""
    return next(iter(row["beside"].values()))


def learning(result: Any) -> list[Any]:
    """The algorithms of each library that were tried."""
    return [
        {"library": library, **run}
        for library, row in result["libraries"].items()
        for run in row.get("rows", [{"algorithm": "failed"}])
    ]


AIM = {"aim": "0", "wanted": "1", "measured": "2", "met": "3"}
GROWTH = {"rows": "rows", "users": "users", "items": "items", "seconds": "seconds"}
GIB = {"GiB": lambda log: log["peak_bytes"] / 2**30}
TASTE = {"`beta_taste`": lambda log: f"{log['beta_taste']:.2f} ± {log['taste_error']:.2f}"}
REWARD = {"individual reward": "individual_reward"}
EXPERIMENT = {"true effect": ("effect", 3), "estimate": ("estimate", 3), "share of the effect": "share"}
STUDIES: Mapping[str, Sequence[Study]] = {
    "messages": [
        Study(
            "messages",
            lambda result: {name: result[name] for name in ("heard", "cut", "gain")},
            ["messages"],
            {"reward": ""},
            "Reward per agent and episode of a trained team, ± 95 % over seeds.",
        )
    ],
    "scorer": [
        Study(
            "scorer",
            curve,
            [],
            {"agent-steps": "steps", "`SlatePolicy`": ("scorer", 1), '`"MlpPolicy"`': ("flat", 1)},
            "Individual reward per agent and held-out episode of PPO with the packaged scorer and with a "
            "network of the flat vector, ± 95 % over seeds.",
        )
    ],
    "hidden": [
        Study(
            "hidden",
            lambda result: {task: of["rows"] for task, of in result["tasks"].items()},
            ["task", "policy"],
            {"score": lambda row: spread({"mean": row["score"], "ci95": row["score_ci95"]}, 0)},
            "`planner` without its knowledge of the visitor's taste, of the items, or of both.",
        )
    ],
    "partners": [
        Study("partners", playlist, ["`playlist-v0`, all agents"], {"score": ("", 0)}, "± 95 % over episodes."),
        Study(
            "partners",
            "scripted/bundle-v0/rewards",
            ["`bundle-v0`, all departments"],
            {"reward per agent": ""},
            "What policies earn that know the map, share histories or are told of sales.",
        ),
        Study(
            "partners",
            of_learned,
            ["trained `ppo-torch`"],
            {"seeds": "seeds", "reward": "reward"},
            "Networks with target attention, ± 95 % over seeds.",
        ),
    ],
    "crowds": [
        Study(
            "crowds",
            "scripted/payoffs",
            ["creators"],
            {"R: none bait": "R", "T: one baits": "T", "P: all bait": "P", "S: one does not": "S"},
            "Clicks of a creator per episode, ± 95 % over episodes.",
        ),
        Study(
            "crowds",
            of_learned,
            ["learners and creators"],
            {"seeds": "seeds", "clicks": "reward"},
            "Trained networks: selfish, paid as a team with one network, and with separate ones; ± 95 % over seeds.",
        ),
    ],
    "compatibility": [
        Study(
            "compatibility",
            learning,
            [],
            {
                "library": "library",
                "algorithm": "algorithm",
                "learned": "learned",
                "before": "before",
                "after": "after",
                "agent-steps": "agent_steps",
            },
            "Reward per agent and tick in a small dilemma, before and after training.",
        )
    ],
    "unseen": [
        Study(
            "unseen-*",
            "rows",
            ["policy", "catalogue"],
            {f"beside {who}": who for who in ("itself", "random", "content", "greedy")},
            "Individual reward of the first agent per episode in sixteen worlds, ± 95 % over worlds.",
        )
    ],
    "crossdomain": [
        Study(
            "crossdomain",
            "levers",
            ["histories", "policy"],
            {**REWARD, "on new visitors": ("new here", 3)},
            "By a domain's own histories, with messages, and with pooled ones; per agent and episode, and per page of "
            "visitors who are new to a domain and known to another; ± 95 %.",
        )
    ],
    "adaptation": [
        Study(
            "adaptation",
            "rows",
            ["policy", "what changes"],
            {name: (name, 3) for name in ("before", "at first", "new level")},
            "Reward per page of the first agent before a change, right after it, and at its new level; 95 % of "
            "resampled copies.",
        )
    ],
    "kinds": [
        Study(
            "kinds-*",
            "rows",
            ["policy"],
            {
                "individual reward": lambda row: beside(row)["individual_reward"],
                "satisfaction": lambda row: beside(row)["satisfaction"],
                "ms a page": lambda row: beside(row)["costs"].get("ms"),
                "a best reply gains": "best reply gains",
            },
            "All agents play the policy; ± 95 %.",
        )
    ],
    "computation": [
        Study(
            "computation",
            "rows",
            ["policy"],
            {
                "parameters": "parameters",
                "FLOPs a page": "operations",
                "ms a page": "ms alone",
                **REWARD,
            },
            "One core; ± 95 %.",
        )
    ],
    "titles": [
        Study(
            "titles",
            "kinds",
            ["`items.titles`", "`items.title_signal`"],
            {
                f"{name}, {words}": (lambda row, key=f"{name}, {words}": f"{row[key]['mean']:.2f}")
                for name in ("quality", "bait")
                for words in ("title", "title and description")
            },
            "Share of the variance of quality and clickbait that a regression on words explains.",
        )
    ],
    "words": [
        Study(
            "words",
            lambda result: {
                variant: {
                    name: {"reward": reward, "gain": result[variant]["gains"].get(name)}
                    for name, reward in result[variant]["rewards"].items()
                }
                for variant in ("requests", "new items")
            },
            ["with", "policy"],
            {"individual reward": ("reward", 1), "gain by the words": percent("gain")},
            "Teams of one policy, ± 95 %; the gain is over the same policy without the words.",
        )
    ],
    "manipulation": [
        Study(
            "manipulation",
            "agents",
            ["agent"],
            {"orders": percent("order"), "harmless words": percent("harmless")},
            "The share of pages with a changed title on which an agent shows what it would not show by its plain "
            "title; ± 95 %.",
        )
    ],
    "new_items": [
        Study(
            "new_items",
            "rankings",
            ["ranked by"],
            {"recall": ("recall", 3), "NDCG": ("ndcg", 3)},
            "Products that were left out of the fit, ranked for the households that bought some of them later; [95 % "
            "over households].",
        )
    ],
    "attackers": [
        Study(
            "privacy",
            lambda result: {str(row["epsilon"] or "∞"): row["attackers"] for row in result["rows"]},
            ["ε", "attacker"],
            {"right": percent("right"), "by chance": percent("chance")},
            "How often attackers are right about visitors, ± 95 %.",
        )
    ],
    "privacy": [
        Study(
            "privacy",
            lambda result: {str(row["epsilon"] or "∞"): row for row in result["rows"]},
            ["ε"],
            {
                "noise of profiles": "profile_noise",
                "noise of histories": "history_noise",
                **{
                    f"`{name}`": f"individual_reward/{name}"
                    for name in ("random", "popularity", "nearest", "content", "static")
                },
            },
            "Individual reward per agent and episode, ± 95 %.",
        )
    ],
    "fit_report": [
        Study(
            "fit_report",
            "held-out purchases",
            ["products", "score"],
            {"NDCG@20": ("ndcg", 4), "recall@20": ("recall", 4)},
            "How well the next four weeks' purchases are ranked; mean over households [95 % bootstrap].",
        ),
    ],
    "fit_origin": [
        Study(
            "fit_origin",
            origins,
            ["the log"],
            {
                "`origin`": "origin",
                "Kendall's τ in each world": "tau",
                "largest regret": percent("regret"),
            },
            "Whether a world fitted to a log ranks policies as the world that wrote it does.",
        )
    ],
    "fit_growth": [
        Study("fit_growth", "logs", [], {**GROWTH, **GIB, **TASTE}, "Made-up purchase logs, one core."),
    ],
    "recovery": [
        Study(
            "recovery",
            recovered,
            ["pages filled by"],
            {
                "worlds": "worlds",
                "τ: mean": "tau",
                "lowest": "lowest",
                "largest regret": percent("regret"),
                "true weights in their 95 % intervals": "held",
            },
            "Whether a world fitted to a log of pages ranks policies as the world that wrote it does.",
        )
    ],
    "experiment_designs": [
        Study(
            "experiments",
            partial(experiments, without=False),
            ["experiment", "design"],
            EXPERIMENT,
            "Estimates per user slot in sparse variants of the tasks; ± 95 % over repetitions.",
        )
    ],
    "experiment_causes": [
        Study(
            "experiments",
            partial(experiments, without=True),
            ["experiment", "design"],
            EXPERIMENT,
            "The same without one cause of interference.",
        )
    ],
    "one_page": [
        Study(
            "experiments",
            lambda result: {task: found["policies"] for task, found in result["off-policy"].items()},
            ["task", "policy"],
            {
                **{name: (name.lower(), 3) for name in ("exact", "IPS", "DM", "DR")},
                "reward of an episode": "episode",
            },
            "Clicks per page of the first agent from a log of random slates, the exact value, and whole episodes that "
            "all agents play; ± 95 % over episodes.",
        )
    ],
    "speed": [
        Study("speed", "aims", [], AIM, "One core."),
        Study(
            "speed",
            "tasks",
            ["task, actions"],
            {
                **{
                    f"{copies:,} copies": (
                        lambda row, key=f"B={copies}": f"{1e3 / row[key]['step_ns'][1]:.2f}" if key in row else "—"
                    )
                    for copies in (1, 64, 1024, 4096)
                },
                "÷ CartPole": median("B=1024/of_CartPoleVectorEnv"),
                "bytes per copy": "B=1024/state_bytes_per_copy",
            },
            "Millions of ticks per second through `vector_env.step` on one core; the rate of 1,024 copies as a share "
            "of Gymnasium's `CartPoleVectorEnv` (median [quartiles]).",
        ),
    ],
    "trainers": [
        Study(
            "trainers",
            "stepping",
            ["interface"],
            {
                "copies": "copies",
                "agent-steps/s": "agent_steps_per_second",
                "on top of the bare batch": median("over_bare"),
            },
            "Stepping alone, one thread.",
        ),
        Study(
            "trainers",
            "training",
            ["trainer"],
            {
                "copies": "copies",
                "agent-steps/s": "agent_steps_per_second",
                "inside the environment": percent("environment_share"),
            },
            "With PPO training.",
        ),
    ],
    "recsim_ng": [
        Study("recsim_ng", "aims", [], AIM, ""),
        Study(
            "recsim_ng",
            "threads",
            ["threads", "users", "calls"],
            {"ours ÷ RecSim NG": median("over_graph"), "ours ÷ with XLA": median("over_xla")},
            "How many times as fast our game is, median [quartiles].",
        ),
    ],
}


def parts() -> dict[str, Callable[[], str]]:
    """Name of a section -> function that returns it."""
    return {name: partial(if_measured, partial(text_of, studies)) for name, studies in STUDIES.items()}


def text_of(studies: Sequence[Study]) -> str:
    return "\n\n".join(study.text() for study in studies)
