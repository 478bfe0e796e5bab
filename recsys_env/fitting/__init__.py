"""Purchase log -> `FittedWorld`: fit the utility to what customers bought, when and at what price.

table.py         log -> tidy lines
plausibility.py  whether the log can be what it is taken for
prices.py        -> list prices, the weight of price, users' price sensitivity, promotions
tastes.py        -> item vectors and tastes (implicit-feedback ALS, library `implicit`), habits
weights.py       -> weights of the utility (multinomial logit)
estimate.py      `fit`: all of these steps in order -> Catalogue
world.py         assumptions about what the log does not contain -> FittedWorld

The utility is v = alpha_j + beta_taste <p_u, q_j> - beta_price rho_u x_j + beta_repeat log(1 + n_uj), with
x_j = log(list price / geometric mean list price of the topic). Its weights are estimated in two steps. Purchases of
products new to the user give the relative weights of popularity, taste and price. All purchases give the weight of
habit relative to these. (In a single step, popular products that a user has seen and not bought would suggest that
popularity repels.) Everything is deterministic: fixed seed, one thread.
"""

from __future__ import annotations

from .estimate import FitSettings, fit
from .plausibility import LogWarning
from .table import COLUMNS
from .world import ORIGINS, FittedWorld, LogFacts, RecommenderLogWarning

__all__ = ["COLUMNS", "ORIGINS", "FitSettings", "FittedWorld", "LogFacts", "LogWarning", "RecommenderLogWarning", "fit"]
