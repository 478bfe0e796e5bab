"""Purchase log -> `FittedWorld`: fit the environment's utility to who bought what, when and at what price.

table.py      log -> tidy lines
prices.py     -> list prices, the weight of price, users' price sensitivity, promotions
tastes.py     -> item vectors and tastes (implicit-feedback ALS, library `implicit`), habits
weights.py    -> weights of the utility (multinomial logit)
estimate.py   `fit`: all of these, one after the other -> Catalogue
world.py      what the log does not say is assumed -> FittedWorld

The utility is v = alpha_j + beta_taste <p_u, q_j> - beta_price rho_u x_j + beta_repeat log(1 + n_uj), with
x_j = log(list price / geometric mean list price of the topic). Its weights come in two steps: what a user has never
bought tells how popularity, taste and price weigh against each other, all purchases how habit weighs against these. (In
one step the popular products that a user has seen and left alone would teach that popularity repels.) Everything is
deterministic: fixed seed, one thread.
"""

from __future__ import annotations

from .estimate import FitSettings, fit
from .table import COLUMNS
from .world import ORIGINS, FittedWorld, LogFacts, RecommenderLogWarning

__all__ = ["COLUMNS", "ORIGINS", "FitSettings", "FittedWorld", "LogFacts", "RecommenderLogWarning", "fit"]
