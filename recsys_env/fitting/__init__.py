"""Purchase log -> `FittedWorld`: fit the utility to what customers bought, when and at what price.

schema.py        what a log must be: roles, types, ranges, and what is refused
doubts.py        what else is worth knowing about a log, for the report
log_file.py      file -> table
table.py         table -> tidy lines
prices.py        -> list prices, the weight of price, users' price sensitivity, promotions
tastes.py        -> item vectors and tastes (implicit-feedback ALS, library `implicit`), habits
occasions.py     -> what users bought in the last days, and had bought before each of these purchases
weights.py       -> weights of the utility (multinomial logit)
estimate.py      `fit`: all of these steps in order, and assumptions about the rest -> FittedWorld

A log of pages (origin="pages") takes another way:

page_log.py      log -> pages and what happened on them
candidates.py    -> the items that retrieval offered
choice_data.py   -> pages as arrays, and what users were shown as signs of their tastes
learned_vectors.py  -> item vectors, where none are given
choice_model.py  -> weights, standard errors and posterior tastes (multinomial logit with random coefficients)
visits.py        -> how many users are lost after a visit (Kaplan-Meier estimator, library `lifelines`)
page_world.py    `fit_pages`: these, carts and purchases -> FittedWorld
logistic.py      logistic regression, for what follows a click and for the report

`recsys_env.config.fitted` holds the world as data, which is read without any of these.

The utility is v = alpha_j + beta_taste <p_u, q_j> - beta_price rho_u x_j + habit, with
x_j = log(price / geometric mean list price of the topic). Habit is beta_repeat log(1 + n_uj / n_0), or comes in place
of the liking (`choice.habit_rate`), whichever makes the last purchases likelier. The weights are estimated in two steps
from the last days of the log. Purchases of products new to the user give the relative weights of popularity, taste and
price. All purchases give the weight of habit relative to these. (In a single step, popular products that a user has
seen and not bought would suggest that popularity repels.) Everything is deterministic: fixed seed, one thread.
"""

from __future__ import annotations

from ..config.fitted import ORIGINS, FittedWorld, LogFacts, PageFacts, RecommenderLogWarning
from .doubts import LogWarning
from .estimate import FitSettings, fit
from .page_log import PAGE_ROLES, recorded_pages
from .page_world import PageFitSettings, fit_pages
from .table import COLUMNS

__all__ = [
    "COLUMNS",
    "ORIGINS",
    "PAGE_ROLES",
    "FitSettings",
    "FittedWorld",
    "LogFacts",
    "LogWarning",
    "PageFacts",
    "PageFitSettings",
    "RecommenderLogWarning",
    "fit",
    "fit_pages",
    "recorded_pages",
]
