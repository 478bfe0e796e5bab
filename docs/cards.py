"""What the documentation says of the evidence cards (`benchmarks.studies.evidence`): each task's, and the aims over
all.

What scripted policies show is in the card; what learners add is computed here from their stored results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import permutations
from typing import Any

import measured
import numpy as np

from baselines.algorithms import ALGORITHMS
from benchmarks.studies.distances import in_table, mean
from benchmarks.studies.evidence import priced_planners
from benchmarks.studies.played import ratio
from recsys_env import TASKS, WorldConfig
from recsys_env.cli import assignments
from recsys_env.evaluation.statistics import interval
from recsys_env.evaluation.tables import markdown, normalised, spread

NOT_CLAIMED = {  # task -> what its card does not claim
    "duel-v1": "The task resembles no product: it is small so that it can be solved.",
    "pricing-duel-v0": "The task resembles no market: it is small so that it can be solved.",
    "market-v0": "No equilibrium of this task is known.",
    "social-v1": "Clicks per page are not KuaiRand's: they lie above.",
    "rivals-v1": "Investing serves only the investor: two platforms that invest earn less than two that do not.",
    "coverage-v0": "The task is not calibrated to data.",
    "journey-v1": "Clicks and carts are more frequent than in shops: they are raised to keep learning practical.",
    "streaming-v1": "A content policy is clicked less than in KuaiRand, because topics wear out.",
    "news-v1": "Scores are of clicks alone and say nothing about diversity and fairness.",
    "coldstart-v1": "New people do not come as often as at a product.",
    "ecommerce-v1": "Carts are more frequent than in shops: they are raised to keep learning practical.",
    "grocery-v1": "The task does not need multi-agent learning: it is an anchor in real purchases.",
}
NOT_CLAIMED_ANYWHERE = (
    "Levels are not those of a named product: they stay near published ones where the description says so. Best "
    "answers are the best among the policies that were tried. In worlds that are not finite, costs and gains are "
    "therefore lower bounds, and an equilibrium is one among these policies only."
)
OWN_LIBRARY = "torch"  # of learners that are files of this repository
COMPARED: dict[str, tuple[str, Callable[[str], float]]] = {  # option -> what it asks, its value on a task by default
    "gamma": ("Discount: the recommended one against 0", lambda task: TASKS[task].discount),
    "memory": ("Memory: with against without", lambda task: 0.0),
    "sharing": ("Reward: the team's against one's own", lambda task: TASKS[task].reward.sharing),
    "messages": ("Messages: talking against not", lambda task: float(TASKS[task].messages > 0)),
}

Gain = dict[str, float | None]


# ------------------------------------------------------------------------------------------------ one task


def card(task: str) -> str:
    """The section of a task's page."""
    found = measured.evidence(task)
    if not found:
        return f"Not measured yet: `python -m benchmarks.studies.evidence {task}`."
    parts = {
        "Policies of growing insight": _rows(found),
        "Does the answer depend on the state?": _state(found),
        "What are memory and messages worth?": _memory(found["memory"]),
        "Does it depend on the others?": _play(found),
        "Solved": _exact(found["exact"]),
        "What learners show": _learners(task),
        "Traffic and speed": _levels(found),
        "What is not claimed": f"{NOT_CLAIMED.get(task, '')} {NOT_CLAIMED_ANYWHERE}".strip(),
    }
    note = (
        f"{found['settings']['episodes']} held-out episodes, the same for every policy, so that differences and ratios "
        f"are paired; ± 95 % (t over episodes). {measured.whence(found, f'evidence/{task}.json')}"
    )
    return "\n\n".join([note, *(f"### {title}\n\n{text}" for title, text in parts.items())])


def missing(part: Mapping[str, Any]) -> str:
    return f"Not here: {part['missing']}."


def percent(value: Mapping[str, float | None]) -> str:
    """A share or a gain as a percentage with its half-width."""
    if value["mean"] is None:
        return "—"
    width = "" if value["ci95"] is None else f" ±{100 * value['ci95']:.1f}"
    return f"{100 * value['mean']:.1f}{width} %"


def _rows(found: Mapping[str, Any]) -> str:
    rows = [
        [f"`{policy}`", spread(row), normalised({"score": None, "score_ci95": None, **row})]
        for policy, row in found["rows"].items()
        if "missing" not in row
    ]
    strategy = constant_strategy(TASKS[found["settings"]["task"]])
    said = f" `blind` may differ from `random` here: {strategy}." if strategy else ""
    return f"All agents use the same one.{said}\n\n" + markdown(["policy", "own reward per agent", "score"], rows)


def constant_strategy(config: WorldConfig) -> str:
    """Why a constant action may earn more or less than a random one where no position carries information."""
    if config.offer.kind == "price":
        return "a constant price is a strategy"
    return "a constant item is a strategy" if config.action == "items" else ""


def _state(found: Mapping[str, Any]) -> str:
    if "missing" in found["state"]:
        return missing(found["state"])
    best = found["state"]
    weights = "; ".join(
        f"{role}: " + ", ".join(f"`{name}` {weight:.2f}" for name, weight in of.items() if weight)
        for role, of in found["static"].get("weights", {}).items()
    )
    searched = found["searches"].get("searched-static", {"scores": []})["scores"]
    twice = (
        f" Two searches for them earned {' and '.join(map(spread, searched))} on training seeds." if searched else ""
    )
    observed = best["observed"]
    if "missing" in observed:
        alone = f" By what agents observe alone nothing is known: {observed['missing']}."
    else:
        alone = (
            f" The best of these by nothing but what agents observe, `{observed['policy']}`, earns "
            f"{spread(observed['reward'])}: {percent(observed['gain'])} more."
        )
    return (
        f"The best ranker of fixed weights, `{best['fixed']}`, earns {spread(best['fixed_reward'])}; the best "
        f"policy known whose ranking moves with the state, `{best['policy']}`, earns {spread(best['reward'])}: "
        f"{percent(best['gain'])} more." + alone + (f" The weights of `static`: {weights}." if weights else "") + twice
    )


def _memory(found: Mapping[str, Any]) -> str:
    if "missing" in found:
        return missing(found)
    rows = [[what, f"`{of['with']}` / `{of['without']}`", percent(of["gain"])] for what, of in found.items()]
    note = "`forgetful` is the best ranker that does not look at a visitor's earlier clicks.\n\n"
    forgets = any(of["without"] == "forgetful" for of in found.values())
    return note * forgets + markdown(["", "with / without", "gain"], rows)


def _play(found: Mapping[str, Any]) -> str:
    play = found["play"]
    if "missing" in play:
        return missing(play)
    payoffs = [[f"`{row}`", *(spread(value) for value in of.values())] for row, of in play["payoffs"].items()]
    keys = ("T", "R", "P", "S", "T-R", "P-S")
    cost = [[pair, percent(value)] for pair, value in play["wrong_rival"]["cost"].items()]
    task = found["settings"]["task"]
    team = TASKS[task].reward.sharing == 1
    whose = "Reward of the team, per agent" if team else "Own reward of the first agent"
    best = ", ".join(f"`{answer}` against `{rival}`" for rival, answer in play["wrong_rival"]["best"].items())
    return "\n\n".join(
        [
            f"{whose}, by the policy of the first agent (row) and that of all others (column):",
            markdown(["", *(f"`{rival}`" for rival in play["payoffs"])], payoffs),
            f"T: a lone `{play['selfish']}` among `{play['team']}`, R: all `{play['team']}`, "
            f"P: all `{play['selfish']}`, S: a lone `{play['team']}`.",
            markdown(keys, [[spread(play[key]) for key in keys]]),
            f"The best answers known: {best}. What an agent loses that gives the best answer to another rival:",
            markdown(["answers", "loses"], cost),
            *_priced(play, TASKS[task]),
            f"Price of anarchy: {_anarchy_text(play)}. Coupling (what the first agent loses when the others turn "
            f"from random to `{play['selfish']}`, as a share of what it gains by that itself; negative if the "
            f"others' turn adds to it): {_coupling(play['coupling'])}.",
            *([measured.whence(play["source"], f"evidence/{task}.json")] if "source" in play else []),
        ]
    )


def _priced(play: Mapping[str, Any], config: WorldConfig) -> list[str]:
    """Which prices of planners are an equilibrium among what was tried, and what is gained by leaving each."""
    if not priced_planners(config):
        return []
    if "priced" not in play:
        return ["Prices of planners were tried on a coarse grid only, so none is called an equilibrium here."]
    found = play["priced"]
    rows = [
        [
            f"`{mine}`",
            spread(row["reward"]),
            ", ".join(f"`{answer}` {percent(gain)}" for answer, gain in row["gains"].items()),
            "yes" if row["beaten"] else "no",
        ]
        for mine, row in found["prices"].items()
    ]
    return [
        "Planners of several prices, as multiples of the task's own (`greedy` pays 0). The gains are those of an agent "
        "that leaves the price that all others pay: by the best answer known, and by the prices next to it. A price is "
        f"beaten if one of these gains lies above 0 with its interval. {settled(found)}",
        markdown(["all pay", "own reward per agent", "gain of one that leaves", "beaten"], rows),
    ]


def settled(found: Mapping[str, Any]) -> str:
    """Which prices nothing beats, in words."""
    runs = [f"`{run[0]}`" if len(run) == 1 else f"`{run[0]}` to `{run[-1]}`" for run in found["unbeaten"]]
    if not runs:
        return "Every price is beaten: none is an equilibrium."
    between = " with all prices in between" if any(" to " in run for run in runs) else ""
    return (
        "Not beaten, and so equilibria among the policies tried as far as these episodes tell: "
        f"{', '.join(runs)}{between}."
    )


def _coupling(share: Mapping[str, Any]) -> str:
    """Nothing where what it is a share of is hardly any gain at all."""
    told = share["mean"] is not None and share["ci95"] is not None and share["ci95"] <= max(1.0, abs(share["mean"]) / 2)
    return percent(share) if told else "not to be told, since that gains it next to nothing"


def _anarchy_text(play: Mapping[str, Any]) -> str:
    found = play["anarchy"]
    if "missing" in found:
        return str(found["missing"])
    return (
        f"all playing `{found['policy']}`, an equilibrium among the policies tried, earn {percent(found)} of what all "
        f"playing `{found['optimum']}` earn"
    )


def _exact(found: Mapping[str, Any]) -> str:
    """A finite game's optimum and equilibria, and who earns what against whom."""
    if "missing" in found:
        return f"Not a finite game: {found['missing']}."
    rows = [["team optimum", " ".join(found["optimum"]["policies"]), f"{found['optimum']['own']:.4f}", "", ""]]
    for each in found.get("equilibria", ()):
        kinds = ", ".join(kind for kind in ("strict", "symmetric") if each[kind])
        gain = "" if each["over_constant"] is None else f"{each['over_constant']:+.0%}"
        rows.append(["equilibrium", " ".join(each["policies"]), _numbers(each["own"]), kinds, gain])
    text = [
        f"Own reward per agent and tick in the long run; a policy names an action for each state: "
        f"{', '.join(found['states'])}.",
        markdown(["", "policies", "reward", "", "gain over the best constant action"], rows),
        "The equilibria are all those in pure stationary strategies of these states (Markov perfect equilibria)."
        + _PAST_PRICES * (found.get("table", 0) > len(found["states"])),
    ]
    for name, four in found.get("dilemmas", {}).items():
        text.append(f"{name}: {', '.join(f'{which} {value:.4f}' for which, value in four.items())}.")
    if "anarchy" in found:
        text.append(f"Price of anarchy {found['anarchy']:.3f}, of stability {found['stability']:.3f}.")
    if "against" in found:
        table = found["against"]
        earned = [[n, *map(_number, row)] for n, row in zip(table["names"], table["payoffs"], strict=True)]
        text += ["Reward of the row against the column:", markdown(["", *table["names"]], earned)]
        if table["loss"] is not None:
            lost = [[n, *(f"{x:.1%}" for x in row)] for n, row in zip(table["names"], table["loss"], strict=True)]
            lines = markdown(["", *table["names"]], lost)
            text += ["What the best response to the row loses against the column:", lines]
    placed = [
        [f"`{row['name']}`", _numbers(row["own"]), _number(row["nash_conv"])]
        for row in found["policies"]
        if "missing" not in row
    ]
    refused = [f"Not in the table: {row['missing']}." for row in found["policies"] if "missing" in row]
    return "\n\n".join([*text, markdown(["policy, as a team", "reward", "NashConv"], placed), *refused])


_PAST_PRICES = (
    " Strategies that react to past prices can sustain more, up to the joint optimum: to play it while both did so at "
    "the visitor's last page, and low prices else, is an equilibrium as well. NashConv is measured against all "
    "strategies that react to the last prices."
)


def _number(value: float) -> str:
    return f"{value:.4f}"


def _numbers(values: Sequence[float]) -> str:
    return " ".join(map(_number, values))


def _learners(task: str) -> str:
    rows = [
        [what, f"`{one}` / `{other}`", percent(gain)]
        for setting, (what, _) in COMPARED.items()
        for one, other, gain in pairs(task, setting)
    ]
    rows += [
        [f"`{name}`, {ALGORITHMS[learner['algorithm']].library.replace('_', '-')}", "", spread(of["reward"])]
        for name, learner, of in trained(task)
    ]
    if not rows:
        return f"Not run yet: {measured.MEASURED_BY['training']}."
    return "\n\n".join([markdown(["what", "learners", "gain, or own reward"], rows), *_ends(task)])


def _ends(task: str) -> list[str]:
    """Where each seed of each learner ends in a finite game, beside the exact answers."""
    found = measured.distances(task)
    if not found:
        return []
    marks = ", ".join(f"{name} {_number(row['own'])}" for name, row in found["landmarks"].items())
    rows = [
        [f"`{name}`", str(len(runs)), " ".join(f"{own:.3f}" for own in sorted(map(mean, placed))), _worst(placed)]
        for name, runs in found["learners"].items()
        for placed in [in_table(runs)]
    ]
    return [
        "Where the trained policies end, played into tables: own reward per agent and tick in the long run of each "
        f"seed, and how far the farthest is from an equilibrium. Seeds that react to what the table does not hold have "
        f"no place in it. Exactly: {marks}. Raw: `benchmarks/results/distances.json`.",
        markdown(["learner", "seeds", "reward", "largest NashConv"], rows),
    ]


def _worst(runs: Sequence[Mapping[str, Any]]) -> str:
    return _number(max(run["nash_conv"] for run in runs)) if runs else ""


def _levels(found: Mapping[str, Any]) -> str:
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
    head += ["purchases per click", "pages per session", "sessions per place"]
    steps = found["speed"]
    return (
        f"{markdown(head, rows)}\n\n{steps['agent_steps_per_second']:,.0f} agent-steps/s of random actions in "
        f"{steps['copies']} copies on one thread."
    )


# ------------------------------------------------------------------------------------------------ learners


def trained(task: str) -> list[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """(name, learner, its results on this task) of each learner that played it."""
    learners = measured.training()["learners"]
    return [(name, learner, learner["tasks"][task]) for name, learner in learners.items() if task in learner["tasks"]]


def pairs(task: str, setting: str) -> list[tuple[str, str, Gain]]:
    """Learners that differ in one setting alone, the one with the larger value first, and what that one gains over the
    other, over training seeds, with intervals that hold together."""
    found, (_, usual) = [], COMPARED[setting]
    for (a, one, ours), (b, other, theirs) in permutations(trained(task), 2):
        mine, yours = options(one), options(other)
        values = [usual(task) if (value := of.pop(setting, None)) is None else value for of in (mine, yours)]
        if one["algorithm"] == other["algorithm"] and mine == yours and values[0] > values[1]:
            found.append((a, b, ours, theirs))
    return [(a, b, _gain(ours, theirs, len(found))) for a, b, ours, theirs in found]


def options(learner: Mapping[str, Any]) -> dict[str, Any]:
    """What a learner's settings are beside its algorithm's own: options, and fields of the task by their names."""
    settings = dict(learner["settings"])
    return settings | assignments(settings.pop("set", ()))


def _gain(ours: Mapping[str, Any], theirs: Mapping[str, Any], among: int) -> Gain:
    """Share by which the reward of one learner exceeds another's, paired by training seed; one of so many gains whose
    intervals hold together."""
    one, other = (
        dict(zip((seed["training"] for seed in of["seeds"]), of["runs"]["trained"], strict=True))
        for of in (ours, theirs)
    )
    seeds = sorted(one.keys() & other.keys())
    left, right = (np.array([of[seed] for seed in seeds]) for of in (one, other))
    return ratio(left - right, right, among)


# ------------------------------------------------------------------------------------------------ hidden knowledge


def hidden() -> str:
    """What the planner's lead rests on: scores without the visitor's taste, and without what single items are like."""
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
    note = (
        "`planner` knows the visitor's taste and the quality and clickbait of each item; agents observe neither. Here "
        "it plays with one of them, or both, taken away. A taste is then estimated from the profile and the clicks "
        "that the agent has seen, and every item has the catalogue's mean quality and clickbait. It still knows the "
        f"visitor's satisfaction and satiation. {said} Scores, {found['settings']['episodes']} "
        f"held-out episodes (`random` 0, `planner` 100; ± 95 %). {measured.whence_rows(found['tasks'], 'hidden.json')}"
    )
    head = ["task", "`static`", "taste estimated", "mean items", "both"]
    return f"{note}\n\n{markdown(head, rows)}"


def _rests_on(lost: Mapping[str, Mapping[str, float]]) -> str:
    """Without which of the two the planner loses more, beyond the intervals."""
    taste, items = lost["planner, taste estimated"], lost["planner, mean items"]
    apart = items["mean"] - taste["mean"]
    if abs(apart) <= items["ci95"] + taste["ci95"]:
        return "These episodes do not tell which of the two costs more"
    return "Not knowing the items costs more" if apart > 0 else "Not knowing the taste costs more"


# ------------------------------------------------------------------------------------------------ the aims

Found = tuple[str, bool]  # what is said of a task, and whether it meets the aim; in place of it None = not measured


def aims() -> str:
    """Each aim, how many tasks it is wanted in, and in which it is met and missed."""
    rows = []
    for what, wanted, finds in AIMS:
        found = {task: said for task in TASKS if (said := finds(task))}
        met, missed = ([f"`{task}` {text}" for task, (text, ok) in found.items() if ok == is_met] for is_met in (1, 0))
        least = len(found) if wanted is None else wanted
        verdict = "not measured" if not found else "met" if len(met) >= least else "missed so far"
        rows.append([what, "all" if wanted is None else str(wanted), verdict, ", ".join(met), ", ".join(missed)])
    cards = sum(bool(measured.evidence(task)) for task in TASKS)
    note = f"Computed from the evidence cards of {cards} of {len(TASKS)} tasks and the results of the learners."
    return f"{note}\n\n{markdown(['aim', 'tasks wanted', 'verdict', 'met in', 'missed in'], rows)}"


def _blind(task: str) -> Found | None:
    rows = measured.evidence(task).get("rows", {})
    blind, low = rows.get("blind", {}), rows.get("random", {})
    if TASKS[task].action not in ("candidates", "items") or blind.get("score") is None or low.get("score") is None:
        return None
    apart, strategy = blind["score"] - low["score"], constant_strategy(TASKS[task])
    near = abs(apart) <= 3
    return f"{apart:+.1f}" + (f" ({strategy})" if strategy and not near else ""), near


def _state_gain(task: str) -> Found | None:
    best = measured.evidence(task).get("state", {})
    if "gain" not in best:
        return None
    oracle, observed = f"`{best['policy']}` {percent(best['gain'])}", best["observed"]
    gains = _leads(task, best["fixed_reward"])
    if "gain" in observed:
        gains[f"`{observed['policy']}`"] = observed["gain"]
    said = _best(gains, 0.15)
    if said is None:
        return oracle, False
    return said[0] + (f", {oracle}" if observed.get("policy") != best["policy"] else ""), said[1]


def _wrong_rival(task: str) -> Found | None:
    found = measured.evidence(task)
    if losses := found.get("exact", {}).get("against", {}).get("loss"):
        lost = np.array(losses)
        return _exactly(float(np.minimum(lost, lost.T).max()), 0.05)
    wrong = found.get("play", {}).get("wrong_rival", {})
    if not wrong.get("reverse"):
        return None
    both = {pair: _reaches(wrong["cost"][pair], 0.05) for pair in (wrong["costliest"], wrong["reverse"])}
    return "; ".join(f"{pair} {text}" for pair, (text, _) in both.items()), all(ok for _, ok in both.values())


def _anarchy(task: str) -> Found | None:
    found = measured.evidence(task)
    if (share := found.get("exact", {}).get("anarchy")) is not None:
        return _exactly(1 / share - 1 if share > 0 else np.inf, 0.1)
    play = found.get("play", {})
    share = play.get("anarchy", {})
    if not share.get("mean") or ("priced" not in play and priced_planners(TASKS[task])):
        return None
    return _reaches({"mean": 1 / share["mean"] - 1, "ci95": share["ci95"] / share["mean"] ** 2}, 0.1)


def _pair_gain(setting: str, least: float) -> Callable[[str], Found | None]:
    def finds(task: str) -> Found | None:
        gains = {f"`{one}` / `{other}`": gain for one, other, gain in pairs(task, setting)}
        scripted = measured.evidence(task).get("memory", {}).get(setting)
        if scripted and scripted["without"] != "forgetful":
            gains |= _scripted(scripted)
        return _best(gains, least)

    return finds


def _inputs_gain(task: str) -> Found | None:
    scripted = measured.evidence(task).get("memory", {}).get("memory")
    return _best(_scripted(scripted), 0.1) if scripted and scripted["without"] == "forgetful" else None


def _scripted(pair: Mapping[str, Any]) -> dict[str, Gain]:
    return {f"`{pair['with']}` / `{pair['without']}`": pair["gain"]}


def _algorithms_differ(task: str) -> Found | None:
    if TASKS[task].reward.sharing != 1:
        return None
    of = [(name, kind, row) for name, learner, row in trained(task) if (kind := _team_algorithm(learner))]
    both_ways = [(one, other) for one, other in permutations(of, 2) if one[1] != other[1]]
    among = len(both_ways) // 2
    gains = {f"`{a}` / `{b}`": _gain(ours, theirs, among) for (a, _, ours), (b, _, theirs) in both_ways}
    return _best(gains, 0.0)


def _team_algorithm(learner: Mapping[str, Any]) -> str:
    """Which of IPPO, MAPPO, VDN and QMIX, of whatever make, a learner of the team's reward is; nothing if none."""
    name, settings = str(learner["algorithm"]), options(learner)
    if COMPARED.keys() & settings.keys() - {"sharing"} or settings.get("sharing") not in (None, 1.0):
        return ""
    if name == "ppo-torch":
        name = "mappo" if settings.get("centralised") else "ippo"
    elif name == "q-torch":
        name = settings.get("mixer", "none")
    return name if name in ("ippo", "mappo", "vdn", "qmix") else ""


def _learner_leads(libraries: Callable[[str], bool] = lambda library: True) -> Callable[[str], Found | None]:
    def finds(task: str) -> Found | None:
        rows = measured.evidence(task).get("rows", {})
        bars = {name: rows[name] for name in ("blind", "content", "static") if "mean" in rows.get(name, {})}
        if not bars:
            return None
        bar = max(bars, key=lambda name: float(bars[name]["mean"]))
        return _best({f"{name} / `{bar}`": gain for name, gain in _leads(task, bars[bar], libraries).items()})

    return finds


def _leads(
    task: str, bar: Mapping[str, float], libraries: Callable[[str], bool] = lambda library: True
) -> dict[str, Gain]:
    """Share by which each learner of these libraries exceeds what a policy earned; their intervals hold together."""
    of = {
        f"`{name}`": np.array(row["runs"]["trained"])
        for name, learner, row in trained(task)
        if libraries(ALGORITHMS[learner["algorithm"]].library) and "observability" not in options(learner)
    }
    return {name: _lead(runs, bar, len(of)) for name, runs in of.items()}


def _lead(runs: np.ndarray, bar: Mapping[str, float], among: int) -> Gain:
    """Share by which a learner's runs exceed what a policy earned on other episodes, with the delta method's interval;
    one of so many, as in `_gain`."""
    ours = interval(runs, among)
    if bar["mean"] <= 0 or ours["mean"] is None:
        return {"mean": None, "ci95": None}
    over = ours["mean"] / bar["mean"]
    width = None if ours["ci95"] is None else float(np.hypot(ours["ci95"], over * bar["ci95"])) / bar["mean"]
    return {"mean": over - 1, "ci95": width}


def _best(gains: Mapping[str, Gain], least: float = 0.0) -> Found | None:
    """The largest of some gains whose intervals hold together, of those that reach the aim if any does."""
    known = {name: gain for name, gain in gains.items() if gain["mean"] is not None}
    if not known:
        return None
    reached = {name: _reaches(gain, least) for name, gain in known.items()}
    best = max(known, key=lambda name: (reached[name][1], known[name]["mean"]))
    return f"{best} {reached[best][0]}", reached[best][1]


def _reaches(gain: Gain, least: float) -> Found:
    """An aim is met where the gain is at least this and its interval lies above 0."""
    mean, width = gain["mean"], gain["ci95"]
    return percent(gain), mean is not None and width is not None and mean >= least and mean - width > 0


def _exactly(gain: float, least: float) -> Found:
    """The same of a gain that is known exactly."""
    return percent({"mean": gain, "ci95": None}), gain >= least


AIMS: Sequence[tuple[str, int | None, Callable[[str], Found | None]]] = (  # what, in how many tasks, what is found
    ("`blind` within 3 of `random`, where actions are picks or items", None, _blind),
    ("The best policy that looks at the state as agents observe it at least 15 % above `static`", 5, _state_gain),
    ("The best answer to each of two rivals costs at least 5 % against the other", 4, _wrong_rival),
    ("A discount of 0 costs at least 15 %", 5, _pair_gain("gamma", 0.15 / 0.85)),  # as a gain over it
    ("The joint optimum at least 10 % above the equilibrium", 4, _anarchy),
    ("A policy's own memory gains at least 10 %", 2, _pair_gain("memory", 0.10)),
    ("A visitor's earlier clicks, which are in the observation, gain a ranker at least 10 %", 2, _inputs_gain),
    ("Messages gain at least 10 %", 1, _pair_gain("messages", 0.10)),
    ("Two of IPPO, MAPPO, VDN and QMIX differ beyond their intervals, in a team's task", 2, _algorithms_differ),
    ("A learner above `blind`, `content` and `static`", 8, _learner_leads()),
    ("A learner of a library above them", 5, _learner_leads(lambda library: library != OWN_LIBRARY)),
)
