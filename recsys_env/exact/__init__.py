"""Exact solutions: finite games as tables, their optima and equilibria, and the effect of single actions.

game.py            MarkovGame: states, joint actions, P(s', r | s, a)
states.py          the payoff-relevant part of the engine's state, what agents can react to, which worlds are finite
tables.py          from a config to its game, by the engine's own functions (kernels/outcomes.py)
solve.py           optimum, best responses, equilibria, distances from them
report.py          the command `python -m recsys_env solve`
policies.py        the policies `equilibrium` and `joint`, which look up the state
policy_tables.py   from a policy object to its table, if it depends on nothing but the table's state
action_values.py   the effect of a joint action against an alternative, in any world
openspiel.py       to_pyspiel: a finite game in OpenSpiel's form, for its solvers
exploit.py         a lower bound of an agent's gain from its best response, in any world: `python -m recsys_env exploit`
"""

from .action_values import Counterfactual, counterfactual
from .exploit import exploitability
from .game import MarkovGame, textbook_example
from .solve import (
    AVERAGE,
    Criterion,
    Equilibrium,
    PurePolicies,
    best_response,
    correlated_equilibrium,
    discounted,
    empirical_game,
    evaluate,
    finite,
    matrix_value,
    mixed_equilibria,
    nash_conv,
    prices,
    pure_policies,
    regrets,
    team_optimum,
    zero_sum_value,
)
from .tables import tabulate

__all__ = [
    "AVERAGE",
    "Counterfactual",
    "Criterion",
    "Equilibrium",
    "MarkovGame",
    "PurePolicies",
    "best_response",
    "correlated_equilibrium",
    "counterfactual",
    "discounted",
    "empirical_game",
    "evaluate",
    "exploitability",
    "finite",
    "matrix_value",
    "mixed_equilibria",
    "nash_conv",
    "prices",
    "pure_policies",
    "regrets",
    "tabulate",
    "team_optimum",
    "textbook_example",
    "zero_sum_value",
]
