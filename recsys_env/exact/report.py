"""The command `solve`, which prints the solution of a finite game.

python -m recsys_env solve --task duel-v1
python -m recsys_env solve --task pricing-duel-v0 --criterion discounted --json solution.json
python -m recsys_env solve --task example
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import cli
from ..checks import did_you_mean, shown
from ..config import WorldConfig
from ..files import write_json
from .game import MarkovGame, Policies, textbook_example
from .policies import equilibrium_of
from .policy_tables import Refused, played
from .solve import (
    AVERAGE,
    Criterion,
    Equilibrium,
    PurePolicies,
    discounted,
    evaluate,
    finite,
    mixed_equilibria,
    prices,
    pure_policies,
    regrets,
    team_optimum,
)
from .tables import tabulate

NAMED = ("random", "greedy", "planner", "equilibrium", "joint")  # policies that are placed in the game


def solve(
    task: str = "example",
    criterion: str = "average",
    policies: tuple[str, ...] = NAMED,
    json: Path | None = None,
) -> dict[str, Any]:
    """Solve a finite game: states, team optimum, equilibria, distances of policies from equilibrium, price of anarchy.

    Equilibria are Markov perfect, in pure stationary strategies of the payoff-relevant state. Strategies that react to
    past prices may sustain higher rewards, up to the joint optimum. Policies are compared with best responses to
    everything in the table, including past prices; policies that react to anything else are refused.

    Args:
        task: a task, optionally with changed fields: duel-v1,reward.sharing=1; or "example", the textbook's.
        criterion: average (reward per tick in the long run), discounted (by the task's discount) or finite (its
            horizon); equilibria are listed for the first two.
        policies: policies whose distance from equilibrium is measured, each playing as a team: names, folders of
            trained policies, or module:factory.
        json: file to which everything is written, including the tables P and R.

    Returns:
        everything as JSON values; `show` prints it.
    """
    config = None if task == "example" else cli.config_of(task)
    cli.require("exact", "quantecon", "nashpy", "scipy")
    game = textbook_example() if config is None else tabulate(config)
    worth = criterion_of(game, criterion)
    found = solution(game.payoff_relevant, worth)
    found |= {
        "table": len(game.states),
        "task": task,
        "criterion": criterion,
        "policies": [] if config is None else _placed(game, config, policies, worth),
    }
    if json is not None:
        names = ("transitions", "rewards", "individual_rewards", "initial")
        tables = {name: getattr(game, name).tolist() for name in names}
        write_json(json, {**found, "table_states": list(game.states), **tables})
    return found


def criterion_of(game: MarkovGame, name: str) -> Criterion:
    """Return the criterion of this name, with the game's own discount or horizon."""
    known = {"average": AVERAGE, "discounted": discounted(game.discount), "finite": finite(game.horizon)}
    if name not in known:
        raise ValueError(
            f"criterion = {shown(name)} is not allowed; choose one of {', '.join(known)}{did_you_mean(name, known)}"
        )
    return known[name]


def solution(game: MarkovGame, criterion: Criterion) -> dict[str, Any]:
    """Return the solution of a game of payoff-relevant states: optimum, equilibria, prices and a payoff table."""
    value, joint = team_optimum(game, criterion)
    optimum = float(game.initial @ value)
    first = joint if joint.ndim == 2 else joint[0]  # of a finite horizon the first tick's
    found: dict[str, Any] = {
        "states": list(game.states),
        "agents": list(game.agents),
        "actions": list(game.actions),
        "shared": bool((game.rewards != game.individual_rewards).any()),
        "expected": game.individual_rewards[0].tolist() if len(game.agents) == 1 else None,
        "optimum": {"policies": _labels(game, list(first.T)), "individual_reward": optimum / len(game.agents)},
    }
    if criterion.kind == "finite":
        return found
    try:
        pure = pure_policies(game, criterion)
    except ValueError as error:  # too many
        return {**found, "not_enumerated": str(error)}
    equilibria = pure.equilibria()
    found["equilibria"] = [
        {
            "policies": _labels(game, e.policies),
            "individual_reward": e.individual_values.tolist(),
            "strict": e.strict,
            "symmetric": game.is_symmetric(e.policies),
            "over_constant": _over_constant(pure, e),
        }
        for e in equilibria
    ]
    if equilibria and len(game.agents) > 1 and optimum > 0:
        found["anarchy"], found["stability"] = prices(equilibria, optimum)
    if game.mirror is not None:
        found["against"] = _against(pure, _cast(pure, first))
        found["dilemmas"] = _dilemmas(pure, equilibria, first)
    return found


def _over_constant(pure: PurePolicies, equilibrium: Equilibrium) -> float | None:
    """Return agent 0's relative gain in an equilibrium over its best constant action; None if it gains nothing."""
    constants = [pure.index(np.full(len(pure.game.states), a)) for a in range(len(pure.game.actions))]
    others = tuple(pure.index(policy) for policy in equilibrium.policies[1:])
    best = pure.payoffs[0][(constants, *others)].max()
    return float(equilibrium.values[0] / best - 1) if best > 0 else None


def _dilemmas(
    pure: PurePolicies, equilibria: Sequence[Equilibrium], optimum: np.ndarray
) -> dict[str, dict[str, float]]:
    """Return T (lone defector), R (all cooperate), P (all defect), S (lone cooperator) of a symmetric two-agent game.

    They are computed among constant strategies, if there are two actions; and between the team optimum and the best
    response to it, if that is another policy, where P is the worst symmetric equilibrium.
    """
    game, payoffs = pure.game, pure.payoffs[0]
    found = {}
    if len(game.actions) == 2:
        constant = [pure.index(np.full(len(game.states), a)) for a in range(2)]
        good, bad = sorted(constant, key=lambda i: -payoffs[i, i])
        found["constant strategies"] = dict(
            T=payoffs[bad, good], R=payoffs[good, good], P=payoffs[bad, bad], S=payoffs[good, bad]
        )
    alike = [e for e in equilibria if game.is_symmetric(e.policies)]
    if alike and game.is_symmetric(list(optimum.T)):
        mine, theirs = pure.index(optimum[:, 0]), pure.index(optimum[:, 1])
        answer = int(payoffs[:, theirs].argmax())
        if answer != mine:
            found["the optimum and its best response"] = dict(
                T=payoffs[answer, theirs],
                R=payoffs[mine, theirs],
                P=alike[-1].values[0],
                S=pure.payoffs[1][answer, theirs],
            )
    return {name: {which: float(value) for which, value in four.items()} for name, four in found.items()}


def _labels(game: MarkovGame, policies: Policies) -> list[str]:
    return [game.label(game.seen_by(n, policy)) for n, policy in enumerate(policies)]


# ---------------------------------------------------------------------------------------------- who against whom


def _cast(pure: PurePolicies, optimum: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Return the roles, and the policy [S] of agent 0 in each, by which a symmetric two-agent game is summarised."""
    game, cast = pure.game, list[tuple[str, np.ndarray]]()
    if game.is_symmetric(list(optimum.T)):
        cast.append(("optimum", optimum[:, 0]))
    myopic = pure_policies(game, discounted(0.0)).equilibria()
    for name, equilibria in (("equilibrium", pure.equilibria()[::-1]), ("myopic", myopic)):
        cast += [(name, e.policies[0]) for e in equilibria if game.is_symmetric(e.policies)]
    if len(game.actions) <= 3:
        cast += [(f"always {name}", np.full(len(game.states), a)) for a, name in enumerate(game.actions)]
    names: dict[bytes, list[str]] = {}
    for name, policy in cast:
        labels = names.setdefault(policy.astype(np.int64).tobytes(), [])
        labels.append(name)
    return [(", ".join(labels), np.frombuffer(key, np.int64)) for key, labels in names.items()]


def _against(pure: PurePolicies, cast: Sequence[tuple[str, np.ndarray]]) -> dict[str, Any]:
    """Return rewards of roles (rows) against roles (columns), and what a best response to the row loses there."""
    game, rows, columns = pure.game, [], []
    for _, policy in cast:
        rows.append(pure.index(policy))
        columns.append(pure.index(game.seen_by(1, policy)))
    payoffs = pure.payoffs[0]
    answers = [int(payoffs[:, column].argmax()) for column in columns]
    best = payoffs[answers, columns]
    both = pure.payoffs[np.ix_((0, 1), rows, columns)]
    return {
        "names": [name for name, _ in cast],
        "policies": [game.label(policy) for _, policy in cast],
        "payoffs": payoffs[np.ix_(rows, columns)].tolist(),
        "answers": [game.label(pure.policies[answer]) for answer in answers],
        "answer_payoffs": best.tolist(),
        "mixed": [[mix.tolist() for mix in pair] for pair in mixed_equilibria(both)],
        "loss": (1 - payoffs[np.ix_(answers, columns)] / best).tolist() if (best > 0).all() else None,
    }


# ---------------------------------------------------------------------------------------------- policies of the package


def _check_equilibrium(config: WorldConfig, name: str) -> None:
    """Raise Refused if `equilibrium` has no equilibrium to play."""
    try:
        if name == "equilibrium":
            equilibrium_of(config)
    except ValueError as error:
        raise Refused(str(error)) from None


def _placed(game: MarkovGame, config: WorldConfig, names: Sequence[str], criterion: Criterion) -> list[dict[str, Any]]:
    """Return the rewards of teams of these policies and their distance from equilibrium, or why they are missing.

    They are missing for `equilibrium` if equilibria do not exist or are too many to list, and for policies that react
    to something outside the table.
    """
    placed: list[dict[str, Any]] = []
    for name in names:
        try:
            _check_equilibrium(config, name)
            team = played(game, config, name)
        except Refused as reason:
            placed.append({"name": name, "missing": str(reason)})
            continue
        pure = all((policy.max(1) == 1).all() and game.is_markov(policy) for policy in team)
        regret = regrets(game, team, criterion)
        placed.append(
            {
                "name": name,
                "policies": _labels(game, [policy.argmax(1) for policy in team]) if pure else None,
                "markov": all(map(game.is_markov, team)),
                "individual_reward": (evaluate(game, team, criterion, individual=True) @ game.initial).tolist(),
                "regret": regret.tolist(),
                "nash_conv": float(regret.sum()),
            }
        )
    return placed


# ---------------------------------------------------------------------------------------------- printing


def show(found: Mapping[str, Any]) -> None:
    """Print a result of `solve`."""
    alike = "; policies of the second agent as it sees the states" if "against" in found else ""
    past = found["table"] > len(found["states"])
    states = _count(found["states"], "payoff-relevant state" if past else "state")
    states += f" ({found['table']} with past prices)" * past
    print(f"{found['task']}: {states}, {_count(found['agents'], 'agent')}, ", end="")
    print(
        f"{_count(found['actions'], 'action')} ({', '.join(found['actions'])}); reward per tick, {found['criterion']}"
    )
    print(f"policies name an action for each state in turn: {' | '.join(found['states'])}{alike}")
    if found["shared"]:
        print("optimum, equilibria and prices in individual reward; payoffs against each other in reward after sharing")
    print()
    if found["expected"] is not None:
        for state, values in zip(found["states"], found["expected"], strict=True):
            line = ", ".join(f"R({state}, {a}) = {v:.4g}" for a, v in zip(found["actions"], values, strict=True))
            print(f"  {line}; at once best: {found['actions'][int(np.argmax(values))]}")
        print()
    best = found["optimum"]
    print(f"  team optimum  {' '.join(best['policies'])}  {best['individual_reward']:.4f} per agent")
    if len(found["agents"]) == 1:
        return
    for e in found.get("equilibria", ()):
        kind = ["strict"] * e["strict"] + ["symmetric"] * e["symmetric"]
        if e["over_constant"] is not None:
            gain = 100 * e["over_constant"]
            kind.append(f"{gain:+.0f} % for {found['agents'][0]} over its best constant answer")
        print(f"  equilibrium   {' '.join(e['policies'])}  {_numbers(e['individual_reward'])}  {', '.join(kind)}")
    if "equilibria" in found:
        print("  these are all in pure stationary strategies of these states (Markov perfect equilibria)", end="")
        print("; strategies that\n  react to past prices can sustain more, up to the optimum" if past else "")
    if "not_enumerated" in found:
        print(f"  equilibria: {found['not_enumerated']}")
    if "anarchy" in found:
        print(f"  price of anarchy {found['anarchy']:.3f}, of stability {found['stability']:.3f}")
    for name, four in found.get("dilemmas", {}).items():
        print(f"  {', '.join(f'{which} {value:.4f}' for which, value in four.items())}: {name}")
    if "against" in found:
        _show_against(found["against"])
    if found["policies"]:
        print("\n  policies of the package, each as a team: individual reward by agent, NashConv")
    for row in found["policies"]:
        if "missing" in row:
            print(f"  {row['name']:13} {row['missing']}")
            continue
        words = f"  {' '.join(row['policies'])}" if row["policies"] else ""
        words += "" if row["markov"] else "  reacts to past prices"
        print(f"  {row['name']:13} {_numbers(row['individual_reward'])}  {row['nash_conv']:.4f}{words}")


def _show_against(table: Mapping[str, Any]) -> None:
    width = max(map(len, table["names"]))
    heads = " ".join(f"{policy:>8}" for policy in table["policies"])
    print(f"\n  {'reward of row against column':{width + 9}} {heads}")
    for name, policy, row in zip(table["names"], table["policies"], table["payoffs"], strict=True):
        print(f"  {name:{width}} {policy:>8} {' '.join(f'{round(v, 4) + 0.0:8.4f}' for v in row)}")
    for mixes in table["mixed"]:
        if max(map(max, mixes)) < 1:
            print(f"  mixed equilibrium of these: {', '.join(_mix(mix, table['policies']) for mix in mixes)}")
    if table["loss"] is None:
        return
    print(f"\n  {'best response to row: loss, %':{width + 9}} {heads}")
    for name, policy, row in zip(table["names"], table["answers"], table["loss"], strict=True):
        print(f"  {name:{width}} {policy:>8} {' '.join(f'{100 * v:8.1f}' for v in row)}")


def _mix(shares: Sequence[float], policies: Sequence[str]) -> str:
    return " + ".join(f"{share:.3f} {policy}" for share, policy in zip(shares, policies, strict=True) if share)


def _numbers(values: Sequence[float]) -> str:
    return " ".join(f"{round(value, 4) + 0.0:.4f}" for value in values)  # no -0.0000


def _count(things: Sequence[Any], name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"
