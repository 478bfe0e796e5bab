"""The evidence card of a task: what it asks of an algorithm, measured with confidence intervals.

    python -m benchmarks.studies.evidence TASK ... [--policies my_file:Mine] [--episodes 200] [--generations 16]

All policies and all mixes of policies play the same held-out episodes (common random numbers), so differences and
ratios are paired by episode. The best of several policies is chosen on other episodes than those on which it is
measured. Each part of the card is one function:

rows      policies of growing insight, each used by all agents, on the task's own scale
static    the best ranker that does not look at the state, and two searches for its weights
state     the best known policy that looks at the state (a planner, a table, or a ranker whose weights move with what is
          observed) and its gain over `static`; the same for policies that look only at what agents observe
memory    what knowing a visitor's earlier clicks is worth: the best fixed ranker against the best that ignores them;
          where there are scripted teams that listen, remember and talk, these against teams that do not
play      team, selfish and equilibrium play against each other: T, R, P, S, the cost of answering the wrong rival, the
          price of anarchy, the coupling of agents; and the planners' prices that nothing tried beats if all pay them
exact     the solution of a finite game: optimum, all equilibria, prices, and what each policy earns against each
levels    traffic and funnel: idle ticks, pages per episode, clicks, carts, purchases
speed     agent-steps per second

The card is written to benchmarks/results/evidence/<task>.json, which is published. Write a card with your own policies
or with few episodes to another folder (--out). A part that a task does not have holds `missing`, the reason. The site
adds what learners show (discount, memory, sharing, algorithms) from their own results (`docs/cards/`).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from functools import cache
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np

from recsys_env import VectorEnv, WorldConfig, cli, vector_env
from recsys_env.evaluation import scale_ends
from recsys_env.evaluation.runs import obstacle
from recsys_env.evaluation.statistics import interval, place_on_scale
from recsys_env.policies import TASK_POLICIES
from recsys_env.policies.linear import static_weights
from recsys_env.policies.registry import import_policies, made_for_page

from ..result_files import store
from .played import HELD_OUT, Played, PricedPlanner, gain, ratio
from .ranker_searches import search_record, searches

SIMPLE = ("random", "blind", "popularity", "content", "nearest", "greedy")
INSIGHT = ("static", "planner", "equilibrium", "joint", "central")  # where the task has them
SPLIT = tuple(name for name in TASK_POLICIES if name.startswith("coverage-"))  # where roles know different things
OBSERVING = ("searched-state", *SPLIT)  # look only at what agents observe, and at more than features of items
MYOPIC = "greedy"
INVESTMENTS = (0.1, 0.25, 0.4, 0.5, 0.6, 0.8, 1.25, 1.5, 2.0, 3.0, 4.0, 10.0)  # prices, as multiples of the task's

Card = dict[str, Any]


# ------------------------------------------------------------------------------------------------ the parts


def rows(played: Played, policies: Sequence[str]) -> Card:
    """Individual reward per agent and episode of each policy when all agents use it, and its place on the task's
    scale."""
    found: Card = {}
    able = []
    for policy in policies:
        if policy not in played.made and (reason := unable(played.config, policy)):
            found[policy] = {"missing": reason}
        else:
            able.append(policy)
    placed = place_on_scale({policy: played.mean(policy) for policy in able}, *scale_ends(played.config))
    return {policy: placed.get(policy) or found[policy] for policy in policies}


def fixed_ranker(played: Played) -> str:
    """The best ranker with fixed weights: `static`, or the searched one if the task has no `static` yet."""
    return "static" if not unable(played.config, "static") or not played.made else "searched-static"


def static(played: Played) -> Card:
    """The weights that the policy `static` ranks by."""
    if reason := unable(played.config, "static"):
        return {"missing": reason}
    config = played.config
    weights = {role.name: static_weights(config, n) for n, role in enumerate(config.roles)}
    return {"weights": weights, "reward": interval(played.mean("static"))}


def state(played: Played, policies: Sequence[str], observing: Sequence[str]) -> Card:
    """The best known policy that looks at the state and its gain over the best ranker that does not; the same for
    policies that look only at what agents observe."""
    ranker = fixed_ranker(played)
    if ranker not in played.made and (reason := unable(played.config, ranker)):
        return {"missing": reason}
    return {
        "fixed": ranker,
        "fixed_reward": interval(played.mean(ranker)),
        **_best_over(played, policies, ranker),
        "observed": _best_over(played, observing, ranker) if observing else {"missing": "none has been searched for"},
    }


def _best_over(played: Played, policies: Sequence[str], ranker: str) -> Card:
    """The best of some policies and its gain over a ranker that does not look at the state."""
    best = max(policies, key=lambda policy: played.selection.mean(policy).mean())
    return {"policy": best, "reward": interval(played.mean(best)), "gain": gain(played, best, ranker)}


def split_of(config: WorldConfig) -> tuple[str, ...]:
    """The policies made for tasks whose roles know different things; empty for other tasks."""
    return SPLIT if any(role.knows for role in config.roles) else ()


def made_for(config: WorldConfig) -> tuple[str, ...]:
    """The policies that were made for tasks of this kind."""
    return made_for_page(config) or split_of(config)


def memory(played: Played) -> Card:
    """Gains of memory and of messages: the policies with and without it, and the share by which the first earns
    more."""
    if split_of(played.config):
        pairs = {"memory": ("coverage-memory", "coverage-convention"), "messages": ("coverage-talk", "coverage-memory")}
    elif "forgetful" in played.made:
        pairs = {"memory": (fixed_ranker(played), "forgetful")}
    else:
        return {"missing": "no rankers were searched for"}
    return {
        what: {"with": one, "without": other, "gain": gain(played, one, other)} for what, (one, other) in pairs.items()
    }


def team_of(config: WorldConfig) -> str:
    """The policy that plays for the team: the one that defines 100 on the scale. Where roles know different things it
    is the best one that does not know everything."""
    return next(reversed(split_of(config)), scale_ends(config)[1])


def selfish_of(config: WorldConfig) -> str:
    """The policy that plays for itself: the myopic one, or the planner if the myopic one is best for the team. Creators
    who play for themselves bait, and bidders make their budgets last."""
    if config.ranked or config.auctioned:
        return "creators-bait" if config.ranked else "auction-pacing"
    alone = next(iter(split_of(config)), MYOPIC)
    return "planner" if alone == team_of(config) else alone


def rivals_of(config: WorldConfig) -> list[str]:
    """The policies that the others of a task may play: for the team, for themselves, as planners, in equilibrium where
    that is known, and, where rewards are shared, as teammates that are no oracles.

    Where roles know different things an oracle, which knows everything, is nobody's teammate. The others there talk,
    remember and so on. Policies that are `too_slow` are left out.
    """
    if split := split_of(config):
        return list(reversed(split))
    if made := made_for_page(config):
        return list(dict.fromkeys((team_of(config), *made)))
    plans = ("planner",) if config.planner_price > 0 else ()
    content = ("content",) if config.reward.sharing == 1 else ()
    kinds = dict.fromkeys((team_of(config), selfish_of(config), MYOPIC, *plans, "equilibrium", *content))
    return [policy for policy in kinds if not too_slow(config, policy) and not unable(config, policy)]


def too_slow(config: WorldConfig, policy: str) -> bool:
    """Whether a policy takes hours to play all pairs: one that arranges whole pages where agents set prices."""
    return policy == "central" and config.offer.kind == "price"


def priced_planners(config: WorldConfig) -> dict[str, PricedPlanner]:
    """Planners by name that pay more or less than the task's `planner`, where each agent plans for itself."""
    if config.planner_price == 0 or config.num_agents == 1 or config.reward.sharing == 1:
        return {}
    return {f"planner x {factor:g}": PricedPlanner(factor * config.planner_price) for factor in INVESTMENTS}


def priced_game(played: Played, answers: Sequence[str]) -> Card:
    """Find the prices at which planners may settle, from what an agent gains by leaving a price that all pay.

    The prices are in rising order. `gains` holds the share that the first agent gains by the best known answer, which
    is chosen on other episodes, and by the next lower and higher price. Their intervals hold together. A price is
    `beaten` if one of these gains lies above 0 with its interval. `unbeaten` holds the runs of neighbouring prices that
    are not beaten: these episodes cannot tell the prices of one run from an equilibrium or from each other. `settles`
    holds, for each run, the price that earns most if all pay it.
    """
    paid = {name: made.price for name, made in played.made.items() if isinstance(made, PricedPlanner)}
    if not paid:
        return {"missing": "no planners of several prices play it"}
    paid |= {MYOPIC: 0.0, "planner": played.config.planner_price}
    prices = sorted(paid, key=paid.__getitem__)
    rows: Card = {}
    runs: list[list[str]] = [[]]
    for i, mine in enumerate(prices):
        best = max(answers, key=lambda answer: played.selection.payoff(answer, mine).mean())
        others = [answer for answer in dict.fromkeys((best, *prices[max(i - 1, 0) : i + 2])) if answer != mine]
        own = played.payoff(mine, mine)
        gains = {answer: ratio(played.payoff(answer, mine) - own, own, len(others)) for answer in others}
        beaten = any(gain["mean"] is not None and gain["mean"] > gain["ci95"] for gain in gains.values())
        rows[mine] = {"price": paid[mine], "reward": interval(played.mean(mine)), "gains": gains, "beaten": beaten}
        if beaten:
            runs.append([])
        else:
            runs[-1].append(mine)
    unbeaten = [run for run in runs if run]
    settles = [max(run, key=lambda price: played.selection.mean(price).mean()) for run in unbeaten]
    return {"prices": rows, "unbeaten": unbeaten, "settles": settles}


def play_against(played: Played, answers: Sequence[str]) -> Card:
    """T, R, P, S and what follows from them: the part `play` of the card.

    Args:
        answers: policies among which the best answer to each rival is looked for. Therefore the cost of the wrong
            answer is a lower bound.
    """
    if played.config.num_agents == 1:
        return {"missing": "it has one agent"}
    priced = priced_game(played, answers)  # rivals may settle anywhere in a run, so both of its ends are tried
    ends = [price for run in priced.get("unbeaten", ()) for price in (run[0], run[-1])]
    rivals = list(dict.fromkeys((*rivals_of(played.config), *ends)))
    team, selfish = team_of(played.config), selfish_of(played.config)
    t, r = played.payoff(selfish, team), played.payoff(team, team)
    p, s = played.payoff(selfish, selfish), played.payoff(team, selfish)
    rival = wrong_rival(played, rivals, answers)
    stable = [*priced.get("settles", ())]
    stable += [name for name in rivals if name not in priced.get("prices", ()) and rival["best"][name] == name]
    return {
        "team": team,
        "selfish": selfish,
        **{name: interval(value) for name, value in {"T": t, "R": r, "P": p, "S": s}.items()},
        "T-R": interval(t - r),
        "P-S": interval(p - s),
        "payoffs": {a: {b: interval(played.payoff(a, b)) for b in rivals} for a in rivals},
        "wrong_rival": rival,
        "priced": priced,
        "anarchy": anarchy(played, stable, list(dict.fromkeys((team, *rivals)))),
        "coupling": coupling(played),
    }


def wrong_rival(played: Played, rivals: Sequence[str], answers: Sequence[str]) -> Card:
    """Best answer to each rival, and what an agent loses by the best answer to another rival, as a share of its payoff.

    `costliest` is the pair of rivals that costs most when each is taken for the other, by the lesser of the two costs.
    If only one of them costs anything, the best answer to the other rival is good enough against both. The answers and
    this pair are chosen on other episodes.
    """
    best = {rival: max(answers, key=lambda answer: played.selection.payoff(answer, rival).mean()) for rival in rivals}

    def cost(of: Played, taken: str, rival: str) -> dict[str, Any]:
        right = of.payoff(best[rival], rival)
        return ratio(right - of.payoff(best[taken], rival), right)

    pairs = list(permutations(rivals, 2))
    costs = {pair: cost(played.selection, *pair)["mean"] or 0.0 for pair in pairs}
    costliest = max(pairs, key=lambda pair: (min(costs[pair], costs[pair[::-1]]), costs[pair]), default=None)
    return {
        "answers": list(answers),
        "best": best,
        "cost": {_pair(*pair): cost(played, *pair) for pair in pairs},
        "costliest": costliest and _pair(*costliest),
        "reverse": costliest and _pair(*costliest[::-1]),
    }


def _pair(taken: str, rival: str) -> str:
    return f"{taken} for {rival}"


def anarchy(played: Played, stable: Sequence[str], known: Sequence[str]) -> Card:
    """Worst of the policies that are equilibria among those tried, and its share of what the best team earns. Both are
    chosen on other episodes. Among prices that cannot be told apart only the one counts that earns most, so the loss is
    not overstated."""
    if played.config.reward.sharing == 1:
        return {"missing": "all share one reward"}
    if not stable:
        return {"missing": "none of these is an equilibrium"}
    worst, best = (end(of, key=lambda p: played.selection.mean(p).mean()) for end, of in ((min, stable), (max, known)))
    return {"policy": worst, "optimum": best, **ratio(played.mean(worst), played.mean(best))}


def exact(task: str) -> Card:
    """The solution of a finite game, with rewards per tick, as `python -m recsys_env solve` gives it."""
    try:
        from recsys_env.exact.report import solve

        return solve(task)
    except (ValueError, ImportError) as error:
        return {"missing": str(error)}


def coupling(played: Played) -> Card:
    """Own return lost when the rivals change from random to selfish play, divided by own gain from doing so oneself."""
    selfish = selfish_of(played.config)
    weak, strong = played.payoff("random", "random"), played.payoff(selfish, "random")
    return ratio(strong - played.payoff(selfish, selfish), strong - weak)


def levels(played: Played, policies: Sequence[str]) -> Card:
    """Traffic and funnel under each policy."""
    places = VectorEnv(played.config).shape.users
    return {policy: _levels(played, policy, places) for policy in policies}


def _levels(played: Played, policy: str, places: int) -> dict[str, float]:
    counts = played.counts(policy)
    total = {name: float(values.sum()) for name, values in counts.items()}
    clicks, config = max(total["clicks"], 1.0), played.config
    return {
        "clicks_per_page": total["clicks"] / total["pages"],
        "clicks_per_impression": total["clicks"] / total["impressions"],
        "carts_per_click": total["carts"] / clicks,
        "bought_per_click": (total["bought"] + total["later"]) / clicks,
        "pages_per_session": total["pages"] / total["sessions"],
        "sessions_per_place": total["sessions"] / played.episodes / places,
        "holes_per_page": total["holes"] / total["pages"],
        "idle": 1 - total["pages"] / played.episodes / config.horizon,
        "inactive": 1 - total["active"] / played.episodes / config.horizon / config.num_agents,
        "pages": float(counts["pages"].mean()),
        "pages_sd": float(counts["pages"].std(ddof=1)),
        "pages_min": float(counts["pages"].min()),
        "pages_max": float(counts["pages"].max()),
    }


def speed(task: str | WorldConfig, seconds: float = 1.0) -> Card:
    """Agent-steps per second of random actions in 256 copies, on one thread."""
    envs = vector_env(task, 256)
    envs.reset(seed=0)
    team_actions = np.stack([np.stack([envs.action_space.sample() for _ in range(envs.num_agents)])] * envs.num_envs)
    envs.step(team_actions)
    steps, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < seconds:
        envs.step(team_actions)
        steps += 1
    return {"copies": envs.num_envs, "agent_steps_per_second": steps * envs.num_envs * envs.num_agents / spent}


@cache
def unable(config: WorldConfig, policy: str) -> str:
    """Why a policy cannot play this task; empty if it can."""
    return obstacle(config, config.agents[0], policy)


# ------------------------------------------------------------------------------------------------ the card


def card(task: str, episodes: int, mine: Sequence[str] = (), generations: int = 0) -> Card:
    """All parts of a task's card.

    Args:
        mine: your own policies. They get rows, and compete for the best policy that looks at the state and for the best
            answers to rivals.
        generations: of each search of rankers; 0 for no searches.
    """
    config = cli.config_of(task)
    found = searches(config, rivals_of(config), 0 if config.ranked else generations)
    played = Played(config, episodes, HELD_OUT, {**found, **priced_planners(config)})
    named = (*INSIGHT, *made_for(config))
    insight = [policy for policy in named if not unable(config, policy)]
    searched = [name for name in found if name in ("searched-static", "searched-state")]
    # These act for all agents at once, or do not look at the state.
    whole = {"central", "static", "searched-static"} - {scale_ends(config)[1]}
    looking = list(dict.fromkeys(name for name in (*insight, *searched, *mine) if name not in whole))
    observing = [name for name in looking if name in (*OBSERVING, *made_for_page(config), *mine)]
    usual = ("random", "content", selfish_of(config) if config.ranked else MYOPIC, scale_ends(config)[1])
    return {
        "rows": rows(played, (*SIMPLE, "static", "observer", *named[1:], *searched, *mine)),
        "static": static(played),
        "state": state(played, looking, observing),
        "memory": memory(played),
        "searches": {name: search_record(of) for name, of in found.items()},
        "play": play_against(played, answers_of(played, mine)),
        "exact": exact(task),
        "levels": levels(played, [policy for policy in dict.fromkeys(usual) if not unable(config, policy)]),
        "speed": speed(task),
    }


def answers_of(played: Played, mine: Sequence[str] = ()) -> list[str]:
    """The policies among which the best answers to rivals are looked for."""
    config = played.config
    insight = [policy for policy in (MYOPIC, *INSIGHT) if not unable(config, policy)]
    known = dict.fromkeys((*(split_of(config) or (*insight, *made_for_page(config))), *played.made, *mine))
    return [name for name in known if not too_slow(config, name)]


def _show(found: Card) -> None:
    """Print the rows of a card that the task has."""
    for name, row in found["rows"].items():
        if "missing" not in row:
            score = f"   score {row['score']:.1f} ± {row['score_ci95']:.1f}" if row.get("score") is not None else ""
            print(f"  {name:20} {row['mean']:.2f} ± {row['ci95']:.2f}{score}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", nargs="+")
    parser.add_argument("--policies", nargs="*", default=[], help="your own policies: names, folders or module:factory")
    parser.add_argument("--episodes", type=int, default=200, help="episodes of each row")
    parser.add_argument(
        "--generations", type=int, default=16, help="generations of each search of rankers; 0 for no searches"
    )
    parser.add_argument("--out", type=Path, help="folder of the cards, instead of benchmarks/results/evidence")
    args = parser.parse_args()
    try:
        cli.at_least(2, episodes=args.episodes)
        cli.at_least(0, generations=args.generations)
        args.policies = list(import_policies(args.policies))
        for task in cli.known_tasks(args.task):
            began = time.perf_counter()
            found = card(task, args.episodes, args.policies, args.generations)
            found["seconds"] = round(time.perf_counter() - began)
            settings = {"task": task, "episodes": args.episodes, "seed": HELD_OUT}
            settings |= {"policies": args.policies, "generations": args.generations}
            _show(found)
            name = task if args.out else f"evidence/{task}"
            print(store(name, settings, found, args.out))
    except (ValueError, ImportError) as error:
        cli.fail(error)


if __name__ == "__main__":
    main()
