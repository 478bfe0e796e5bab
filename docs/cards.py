"""What the documentation says about the evidence cards (`benchmarks.studies.evidence`): the card of each task, and the
aims over all tasks.

The stored card holds what scripted policies show. What learners add is computed here from their stored results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import permutations
from typing import Any, NamedTuple

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

_FOUR = (
    "{Count} myopic agents earn {P} each, {count} patient ones {R}; a lone patient agent gets {S}, a lone greedy one "
    "among patient ones {T}: {game}."
)
_PPO = "PPO paid by its own {} ends at {{ppo-torch}}, by the team's at {{ppo-torch-team}}."
OPENINGS: Mapping[str, Sequence[str]] = {
    # task -> sentences of `opening`: what it asks, and what was measured; in braces a name of `figures`
    "duel-v1": (
        "The hook wins the click and spoils the visitor's mood; the fair item repairs it, for both agents.",
        "Two agents that never repair earn {equilibrium} each in an episode, two that repair together {joint}, and "
        "both ways to play are equilibria.",
        _PPO.format("clicks"),
    ),
    "pricing-duel-v0": (
        "Two sellers of the same good set prices for a visitor who is loyal to the last seller.",
        "In the worst stationary equilibrium each earns {equilibrium}, with random prices {random}, and with the "
        "prices that are best for both {joint}.",
        "PPO paid by its own profit ends at {ppo-torch}, with a discount of 0 at {ppo-torch-myopic}, and paid by the "
        "team's profit at {ppo-torch-team}.",
    ),
    "market-v0": (
        "Buyers grow loyal to a seller, so undercutting the others wins customers for later.",
        "Three myopic sellers earn {greedy} each, three that look ahead {planner}, and three that follow a common plan "
        "{central}.",
        _PPO.format("profit"),
    ),
    "ecommerce-v1": (
        "Clickbait wins the click, but a satisfied visitor buys pages later and comes back, to either seller.",
        _FOUR,
        _PPO.format("sales"),
    ),
    "coverage-v0": (
        "Each agent knows half of what the visitor wants, and an item that both show wastes a slot.",
        "Teams whose agents guess alone earn {coverage-alone}, with a convention {coverage-convention}, with memory "
        "{coverage-memory} and with messages {coverage-talk}; an agent that knows everything earns {central}.",
        "PPO ends at {ppo-torch}, with a memory at {ppo-torch-memory}, and without messages at {ppo-torch-silent}.",
    ),
    "journey-v1": (
        "Only purchases pay, and the topics that attract clicks at the entrance are not those that people buy.",
        "A myopic team earns {greedy}, a team that looks ahead {planner}, and the best fixed rankings {static}.",
        "PPO ends at {ppo-torch}, with a discount of 0 at {ppo-torch-myopic}.",
    ),
    "social-v1": (
        "Bait earns clicks now and drives visitors away from both agents.",
        _FOUR,
        _PPO.format("clicks"),
    ),
    "news-v1": (
        "Items appear and expire within the episode, and bait drives readers away from all agents.",
        _FOUR,
        _PPO.format("reward"),
    ),
    "streaming-v1": (
        "Rows are paid by watch time, and users slowly tire of a topic.",
        "Random rows earn {random}, a policy that follows tastes {content}, the best fixed ranking {static}, and an "
        "oracle that looks ahead {planner}.",
        _PPO.format("watch time"),
    ),
    "coldstart-v1": (
        "New users and items arrive all the time, so agents must act on little information.",
        "Ranking by profile and past clicks earns {content}, the best fixed ranking {static}, and an oracle that knows "
        "tastes and items {planner}.",
        _PPO.format("clicks"),
    ),
    "grocery-v1": (
        "The same households come in every episode, with habits, prices and promotions fitted to real purchases.",
        "Showing what is popular earns {popularity}, ranking by profile and past purchases {content}, and an oracle "
        "{greedy}.",
        _PPO.format("sales"),
    ),
    "crossdomain-v0": (
        "Each of three domains knows a person by its own pages only, though one taste governs all three.",
        "Random pages earn {random}, ranking by profile and past clicks {content}, and an oracle that knows tastes "
        "{greedy}.",
        "PPO ends at {ppo-torch}.",
    ),
    "rivals-v1": (
        "A platform that spares its users bait is opened more often, and its rival less.",
        "Two myopic platforms earn {R} each, two that invest in their users {P}; a lone investor gets {T}, a lone "
        "myopic platform among investors {S}: {game}.",
        _PPO.format("clicks"),
    ),
}
NOT_CLAIMED = {  # task -> what its card does not claim
    "duel-v1": "The task resembles no product: it is small so that it can be solved.",
    "pricing-duel-v0": "The task resembles no market: it is small so that it can be solved.",
    "market-v0": "No equilibrium of this task is known.",
    "social-v1": "Clicks per page are higher than in KuaiRand.",
    "rivals-v1": "Investing serves only the investor: two platforms that invest earn less than two that do not.",
    "coverage-v0": "The task is not calibrated to data.",
    "journey-v1": "Clicks and carts are more frequent than in shops: they are raised to keep learning practical.",
    "streaming-v1": "A content policy is clicked less than in KuaiRand, because users tire of topics.",
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
        "Which aims it meets": _aims_of(task),
        "Scores of reference policies": _rows(found),
        "Does the best action depend on the state?": _state(found),
        "What are memory and messages worth?": _memory(found["memory"]),
        "Does it depend on the others?": _play(found),
        "Exact solution": _exact(found["exact"]),
        "What learners show": _learners(task),
        "Traffic and speed": _levels(found),
        "What is not claimed": f"{NOT_CLAIMED.get(task, '')} {NOT_CLAIMED_ANYWHERE}".strip(),
    }
    note = (
        f"Every policy plays the same {found['settings']['episodes']} held-out episodes, so differences and ratios are "
        f"paired; ± 95 % (t over episodes). {measured.whence(found, f'evidence/{task}.json')}"
    )
    sections = (f"### {title}\n\n{text}" for title, text in parts.items())
    return "\n\n".join([*filter(None, [opening(task)]), f"{{.how}}\n{note}", *sections])


def opening(task: str) -> str:
    """What a task asks and what was measured, in a few sentences; without those whose numbers are not stored."""
    known, said = figures(task), []
    for sentence in OPENINGS.get(task, ()):
        with suppress(KeyError):
            said.append(sentence.format_map(known))
    return " ".join(said)


def figures(task: str) -> dict[str, str]:
    """Name -> number or words that `OPENINGS` quotes: own reward per agent and episode where all agents play a policy
    or a learner, the payoffs T, R, P and S, and what kind of game these make."""
    found, play = measured.evidence(task), measured.evidence(task).get("play", {})
    rewards = {name: row["mean"] for name, row in found.get("rows", {}).items() if "mean" in row}
    rewards |= {name: row["reward"]["mean"] for name, _, row in trained(task)}
    rewards |= {name: play[name]["mean"] for name in "TRPS" if name in play}
    said = {name: f"{mean:.{0 if abs(mean) >= 40 else 1}f}" for name, mean in rewards.items() if mean is not None}
    if "T" in play:
        count = {2: "two", 3: "three", 4: "four"}.get(TASKS[task].num_agents, "many")
        said |= {"game": game(play), "count": count, "Count": count.capitalize()}
    return said


def game(play: Mapping[str, Any]) -> str:
    """What kind of game the payoffs T, R, P and S make, as far as their intervals tell."""
    signs = tuple(_sign(play[difference]) for difference in ("T-R", "P-S"))
    kinds = {
        (1, 1): "a prisoner's dilemma",
        (-1, 1): "a stag hunt",
        (-1, -1): "cooperating pays whatever the others do",
        (1, -1): "a game of chicken",
    }
    return kinds.get(signs, "these episodes do not tell what kind of game that is")


def _sign(value: Mapping[str, float | None]) -> int:
    """The sign of a mean; 0 if its interval contains 0."""
    mean, width = value["mean"], value["ci95"]
    return 0 if mean is None or width is None or abs(mean) <= width else int(np.sign(mean))


def missing(part: Mapping[str, Any]) -> str:
    return f"Not here: {part['missing']}."


def percent(value: Mapping[str, float | None]) -> str:
    """A share or a gain as a percentage with its half-width."""
    if value["mean"] is None:
        return "—"
    width = "" if value["ci95"] is None else f" ±{100 * value['ci95']:.1f}"
    return f"{100 * value['mean']:.1f}{width} %"


def _rows(found: Mapping[str, Any]) -> str:
    known = {policy: row for policy, row in found["rows"].items() if "missing" not in row}
    rows = [
        [f"`{policy}`", spread(row), normalised({"score": None, "score_ci95": None, **row})]
        for policy, row in known.items()
    ]
    bests = [
        f"{who} is `{name}` ({spread(known[name])})"
        for who, name in measured.leaders({name: row["mean"] for name, row in known.items()}).items()
    ]
    strategy = constant_strategy(TASKS[found["settings"]["task"]])
    said = f" `blind` may differ from `random` here, because {strategy}." if strategy else ""
    table = markdown(["policy", "own reward per agent", "score"], rows)
    lead = ", ".join(bests)
    return f"{lead[:1].upper()}{lead[1:]}. All agents play the policy of the row.{said}\n\n{table}"


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
        alone = f" For policies that use observations only nothing is known: {observed['missing']}."
    else:
        alone = (
            f" The best of these that uses only what agents observe, `{observed['policy']}`, earns "
            f"{spread(observed['reward'])}: {percent(observed['gain'])} more."
        )
    return (
        f"The best ranker of fixed weights, `{best['fixed']}`, earns {spread(best['fixed_reward'])}; the best "
        f"policy known whose ranking depends on the state, `{best['policy']}`, earns {spread(best['reward'])}: "
        f"{percent(best['gain'])} more." + alone + (f" The weights of `static`: {weights}." if weights else "") + twice
    )


def _memory(found: Mapping[str, Any]) -> str:
    if "missing" in found:
        return missing(found)
    said = [f"`{of['with']}` earns {percent(of['gain'])} more than `{of['without']}`." for of in found.values()]
    if any(of["without"] == "forgetful" for of in found.values()):
        said.append("`forgetful` is the best ranker that does not look at a visitor's earlier clicks.")
    return " ".join(said)


def _play(found: Mapping[str, Any]) -> str:
    play = found["play"]
    if "missing" in play:
        return missing(play)
    payoffs = [[f"`{row}`", *(spread(value) for value in of.values())] for row, of in play["payoffs"].items()]
    wrong, config = play["wrong_rival"], TASKS[found["settings"]["task"]]
    cost = [[*pair.split(" for "), percent(value)] for pair, value in wrong["cost"].items()]
    whose = "the team, per agent" if config.reward.sharing == 1 else "the first agent"
    best = ", ".join(f"`{answer}` against `{rival}`" for rival, answer in wrong["best"].items())
    four = {name: spread(play[name]) for name in ("T", "R", "P", "S", "T-R", "P-S")}
    return "\n\n".join(
        [
            f"If all agents play `{play['team']}` each earns R = {four['R']}, if all play `{play['selfish']}` "
            f"P = {four['P']}. A lone `{play['selfish']}` among `{play['team']}` gets T = {four['T']}, a lone "
            f"`{play['team']}` among `{play['selfish']}` S = {four['S']}. T − R is {four['T-R']} and P − S "
            f"{four['P-S']}: {game(play)}.",
            f"Reward of {whose}, by the policy of the first agent (row) and of all others (column):",
            markdown(["", *(f"`{rival}`" for rival in play["payoffs"])], payoffs),
            f"The best replies known are {best}. {_costliest(wrong['cost'])}",
            measured.folded(
                "Loss from best-responding to the wrong rival, for each pair",
                markdown(["reply to", "against", "loss"], cost),
            ),
            *_priced(play, config),
            f"Price of anarchy: {_anarchy_text(play)}. Coupling: {_coupling(play)}.",
            *(
                ["{.how}\n" + measured.whence(play["source"], f"evidence/{found['settings']['task']}.json")]
                if "source" in play
                else []
            ),
        ]
    )


def _costliest(cost: Mapping[str, Any]) -> str:
    """The largest loss from best-responding to the wrong rival."""
    known = {pair: value for pair, value in cost.items() if value["mean"] is not None}
    if not known:
        return ""
    worst = max(known, key=lambda pair: known[pair]["mean"])
    reply, rival = worst.split(" for ")
    return f"The best reply to `{reply}` loses {percent(known[worst])} against `{rival}`, the most of all pairs."


def _priced(play: Mapping[str, Any], config: WorldConfig) -> list[str]:
    """The prices of planners that are equilibria among those tried, and the gain from leaving each price."""
    if not priced_planners(config):
        return []
    if "priced" not in play:
        return ["The prices of `planner` were tried on a coarse grid only, so none is called an equilibrium here."]
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
        "`planner` pays a price for a visitor's satisfaction, and choosing that price is itself a game. "
        f"{settled(found)} The folded table shows prices as multiples of the task's own (`greedy` pays 0), and what an "
        "agent gains that leaves the price which all others pay: by the best reply known, and by the prices next to "
        "it. A price is beaten if one of these gains is positive beyond its interval.",
        measured.folded(
            "Rewards and gains for each price",
            markdown(["all pay", "own reward per agent", "gain of one that leaves", "beaten"], rows),
        ),
    ]


def settled(found: Mapping[str, Any]) -> str:
    """Name the prices that nothing beats."""
    runs = [f"`{run[0]}`" if len(run) == 1 else f"`{run[0]}` to `{run[-1]}`" for run in found["unbeaten"]]
    if not runs:
        return "Every price is beaten: none is an equilibrium."
    between = " with all prices in between" if any(" to " in run for run in runs) else ""
    return (
        "Not beaten, and so equilibria among the policies tried as far as these episodes tell: "
        f"{', '.join(runs)}{between}."
    )


def _coupling(play: Mapping[str, Any]) -> str:
    """The coupling in words; unknown if the gain that it is a share of is close to 0."""
    share, selfish = play["coupling"], play["selfish"]
    if share["mean"] is None or share["ci95"] is None or share["ci95"] > max(1.0, abs(share["mean"]) / 2):
        return f"not known, because turning from `random` to `{selfish}` gains an agent next to nothing"
    verb = "loses" if share["mean"] >= 0 else "gains"
    size = percent({"mean": abs(share["mean"]), "ci95": share["ci95"]})
    return (
        f"when the others turn from `random` to `{selfish}`, the first agent {verb} {size} of what it gains by "
        "turning itself"
    )


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
        "The table shows own reward per agent and tick in the long run. A policy names an action for each state: "
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
            text += ["Loss of the best response to the row when it meets the column:", lines]
    placed = [
        [f"`{row['name']}`", _numbers(row["own"]), _number(row["nash_conv"])]
        for row in found["policies"]
        if "missing" not in row
    ]
    refused = [f"Not in the table: {row['missing']}." for row in found["policies"] if "missing" in row]
    return "\n\n".join([*text, markdown(["policy, as a team", "reward", "NashConv"], placed), *refused])


_PAST_PRICES = (
    " Strategies that react to past prices can sustain more, up to the joint optimum: playing it as long as both "
    "sellers did so at the visitor's last page, and low prices otherwise, is an equilibrium as well. NashConv is "
    "measured against all strategies that react to the last prices."
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
    learners = trained(task)
    rows += [
        [f"`{name}`, {ALGORITHMS[learner['algorithm']].library.replace('_', '-')}", "", spread(of["reward"])]
        for name, learner, of in learners
    ]
    if not rows:
        return f"Not run yet: {measured.MEASURED_BY['training']}."
    name, _, best = max(learners, key=lambda row: row[2]["reward"]["mean"])
    note = f"`{name}` earns the most of all learners, {spread(best['reward'])} per agent and episode."
    return "\n\n".join([note, markdown(["what", "learners", "gain, or own reward"], rows), *_ends(task)])


def _ends(task: str) -> list[str]:
    """The reward of each seed of each learner in a finite game, beside the exact solution."""
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
        f"Exact own rewards per agent and tick in the long run: {marks}. The table shows what each seed of a learner "
        "earns on the same scale, and how far its farthest seed is from an equilibrium. Seeds that react to what the "
        "exact table does not hold are left out. Raw: `benchmarks/results/distances.json`.",
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
    steps, played = found["speed"], list(found["levels"])
    ends = dict.fromkeys((played[0], played[-1]))
    pages = [f"{found['levels'][policy]['pages_per_session']:.1f} pages under `{policy}`" for policy in ends]
    return (
        f"A session lasts {' and '.join(pages)}. One thread simulates {steps['agent_steps_per_second']:,.0f} "
        f"agent-steps per second of random actions in {steps['copies']} copies.\n\n{markdown(head, rows)}"
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
    """A learner's options, and the fields of the task that it changes, by name."""
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
    return measured.told(means, markdown(head, rows), how=how)


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


# ------------------------------------------------------------------------------------------------ the aims


class Found(NamedTuple):
    """The measurement of an aim in a task."""

    said: str  # with the policies compared and the interval
    met: bool
    number: str  # the estimate alone, for a narrow cell


class Aim(NamedTuple):
    """A property that tasks should have."""

    name: str
    what: str
    wanted: int | None  # in so many tasks; None: in all that are measured
    finds: Callable[[str], Found | None]  # of a task; None: not measured


def aims() -> str:
    """A grid of all tasks and aims, then what each aim asks for and in how many tasks it is met."""
    found = {task: {aim.name: aim.finds(task) for aim in AIMS} for task in TASKS}
    grid = [
        [f"[{task.rpartition('-v')[0]}](_generated/tasks/{task}.md#evidence)", *map(_mark, of.values())]
        for task, of in found.items()
    ]
    rows, verdicts = [], []
    for aim in AIMS:
        of = [said for task in TASKS if (said := found[task][aim.name])]
        met, wanted = sum(said.met for said in of), len(of) if aim.wanted is None else aim.wanted
        verdicts.append("not measured" if not of else "met" if met >= wanted else "missed")
        asked = "all measured" if aim.wanted is None else str(aim.wanted)
        rows.append([aim.name, aim.what, asked, str(met), verdicts[-1]])
    cards = sum(bool(measured.evidence(task)) for task in TASKS)
    return "\n\n".join(
        [
            f"{verdicts.count('met')} of {len(AIMS)} aims are met. Each cell shows the measured gain, ✓ where it meets "
            "the aim and ✗ where it misses it; an empty cell is not measured. The page of a task shows the policies "
            "and intervals behind its row.",
            markdown(["task", *(aim.name for aim in AIMS)], grid),
            f"Computed from the evidence cards of {cards} of {len(TASKS)} tasks and the results of the learners. The "
            "aims, and in how many tasks each is wanted and met:",
            markdown(["", "aim", "tasks wanted", "tasks met", "verdict"], rows),
        ]
    )


def _mark(found: Found | None) -> str:
    return f"{'✓' if found.met else '✗'} {found.number}" if found else ""


def _aims_of(task: str) -> str:
    """The measurements of all aims in one task."""
    found = [(aim, said) for aim in AIMS if (said := aim.finds(task))]
    rows = [[aim.name, aim.what, said.said, "yes" if said.met else "no"] for aim, said in found]
    note = (
        f"The task meets {sum(said.met for _, said in found)} of the {len(found)} [aims](../../challenge.md) that are "
        "measured in it."
    )
    return f"{note}\n\n{markdown(['', 'aim', 'measured', 'met'], rows)}"


def _blind(task: str) -> Found | None:
    rows = measured.evidence(task).get("rows", {})
    blind, low = rows.get("blind", {}), rows.get("random", {})
    if TASKS[task].action not in ("candidates", "items") or blind.get("score") is None or low.get("score") is None:
        return None
    apart, strategy = blind["score"] - low["score"], constant_strategy(TASKS[task])
    near = abs(apart) <= 3
    return Found(f"{apart:+.1f}" + (f" ({strategy})" if strategy and not near else ""), near, f"{round(apart):+d}")


def _state_gain(task: str) -> Found | None:
    best = measured.evidence(task).get("state", {})
    if "gain" not in best:
        return None
    oracle, observed = f"`{best['policy']}` {percent(best['gain'])}", best["observed"]
    gains = _leads(task, best["fixed_reward"])
    if "gain" in observed:
        gains[f"`{observed['policy']}`"] = observed["gain"]
    found = _best(gains, 0.15)
    if found is None:
        return Found(oracle, False, "")
    beside = f", {oracle}" if observed.get("policy") != best["policy"] else ""
    return found._replace(said=found.said + beside)


def _wrong_rival(task: str) -> Found | None:
    found = measured.evidence(task)
    if losses := found.get("exact", {}).get("against", {}).get("loss"):
        lost = np.array(losses)
        return _exactly(float(np.minimum(lost, lost.T).max()), 0.05)
    wrong = found.get("play", {}).get("wrong_rival", {})
    if not wrong.get("reverse"):
        return None
    both = {pair: _reaches(wrong["cost"][pair], 0.05) for pair in (wrong["costliest"], wrong["reverse"])}
    least = min(both, key=lambda pair: wrong["cost"][pair]["mean"])
    said = "; ".join(f"{pair} {found.said}" for pair, found in both.items())
    return Found(said, all(found.met for found in both.values()), both[least].number)


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
    """Which of IPPO, MAPPO, VDN and QMIX a learner of the team's reward is, from any library; "" if none."""
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
    """The largest of some gains whose intervals hold together; only gains that reach the aim count if any does."""
    known = {name: gain for name, gain in gains.items() if gain["mean"] is not None}
    if not known:
        return None
    reached = {name: _reaches(gain, least) for name, gain in known.items()}
    best = max(known, key=lambda name: (reached[name].met, known[name]["mean"]))
    return reached[best]._replace(said=f"{best} {reached[best].said}")


def _reaches(gain: Gain, least: float) -> Found:
    """An aim is met where the gain is at least this and its interval lies above 0."""
    mean, width = gain["mean"], gain["ci95"]
    return Found(
        percent(gain), mean is not None and width is not None and mean >= least and mean - width > 0, _in_percent(mean)
    )


def _exactly(gain: float, least: float) -> Found:
    """The same for a gain that is known exactly."""
    return Found(percent({"mean": gain, "ci95": None}), gain >= least, _in_percent(gain))


def _in_percent(mean: float | None) -> str:
    return "" if mean is None or np.isinf(mean) else f"{round(100 * mean)} %"


AIMS: Sequence[Aim] = (
    Aim("blind", "`blind` scores within 3 of `random`, where actions are picks or items", None, _blind),
    Aim(
        "state",
        "The best policy that looks at the state as agents observe it earns at least 15 % more than `static`",
        5,
        _state_gain,
    ),
    Aim("rivals", "The best reply to each of two rivals loses at least 5 % against the other", 4, _wrong_rival),
    Aim(
        "foresight", "A discount of 0 costs at least 15 % (a gain of 18 % over it)", 5, _pair_gain("gamma", 0.15 / 0.85)
    ),  # as a gain over it
    Aim("team", "The joint optimum earns at least 10 % more than the equilibrium", 4, _anarchy),
    Aim("memory", "A policy's own memory gains at least 10 %", 2, _pair_gain("memory", 0.10)),
    Aim(
        "history",
        "A ranker gains at least 10 % by a visitor's earlier clicks, which are in the observation",
        2,
        _inputs_gain,
    ),
    Aim("messages", "Messages gain at least 10 %", 1, _pair_gain("messages", 0.10)),
    Aim(
        "algorithms",
        "Two of IPPO, MAPPO, VDN and QMIX differ beyond their intervals, in a task with one shared reward",
        2,
        _algorithms_differ,
    ),
    Aim("learner", "A learner earns more than `blind`, `content` and `static`", 8, _learner_leads()),
    Aim(
        "library",
        "A learner of a library earns more than these",
        5,
        _learner_leads(lambda library: library != OWN_LIBRARY),
    ),
)
