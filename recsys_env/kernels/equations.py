"""Every formula of the game, once: functions of numbers, in the order of a tick (docs/game.md).

The step, expectations, oracles, beliefs and `explain` use these. Whoever calls one gathers what it needs, or puts
estimates in place of what an agent cannot know. `c`, `f`, `d` and the like are the groups of the config that a formula
takes its coefficients from.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Annotated, Any, NamedTuple, get_type_hints

import numpy as np

from ..config import responses
from .machine.compiler import kernel
from .machine.numeric import exp, log, log1p, sigmoid, softplus, tanh

_IN_NUMPY: dict[str, Callable[..., Any]] = {
    "exp": np.exp,
    "log": np.log,
    "log1p": np.log1p,
    "softplus": lambda x: np.logaddexp(0.0, x),
}


def in_python(formula: Callable[..., Any]) -> Callable[..., Any]:
    """The formula as Python runs it, of numbers or arrays of them: the kernels that it calls are run by Python, too."""
    function: Any = formula.py_func  # type: ignore[attr-defined]
    scope = function.__globals__
    kernels = [name for name in function.__code__.co_names if hasattr(scope.get(name), "py_func")]
    if not kernels:
        return function  # type: ignore[no-any-return]
    called = {name: _IN_NUMPY.get(name) or in_python(scope[name]) for name in kernels}
    return FunctionType(function.__code__, scope | called, closure=function.__closure__)


def names_read(formula: Callable[..., Any]) -> dict[str, None]:
    """Return the names in a formula and in the kernels that it calls, to which it may pass the whole item."""
    function = formula.py_func  # type: ignore[attr-defined]
    names = dict.fromkeys(function.__code__.co_names)
    outside = inspect.getclosurevars(function)
    for called in (*outside.globals.values(), *outside.nonlocals.values()):
        if hasattr(called, "py_func"):
            names |= names_read(called)
    return names


# ------------------------------------------------------------------------------------------------ prices and items

_PRIOR_IMPRESSIONS, _PRIOR_CLICKS = 10.0, 5.0  # of an average item, added to what is known of each


@kernel
def position_of_level(levels, level):
    """Return where level 0 .. L - 1 of prices lies in [-1, 1]."""
    return 2.0 * level / (levels - 1) - 1.0


@kernel
def level_of_position(levels, position):
    """The level, in general between two, whose prices lie at this position."""
    return (position + 1.0) / 2.0 * (levels - 1)


@kernel
def log_multiplier(offer, position):
    """log m of a price at this position in [-1, 1]: from `offer.low` to `offer.high`, in even steps of log m."""
    share = 0.5 * (1.0 + position)
    return (1.0 - share) * log(offer.low) + share * log(offer.high)


@kernel
def position_of_log_multiplier(offer, log_m):
    """The position of a price, the inverse of `log_multiplier`."""
    return 2.0 * (log_m - log(offer.low)) / (log(offer.high) - log(offer.low)) - 1.0


@kernel
def lognormal(sd, normal):
    """A log-normal number of mean 1, from a standard normal one."""
    return exp(sd * normal - 0.5 * sd * sd)


@kernel
def bid_for(value, multiplier, budget):
    """A bid: m times the value, or the whole budget if that is less."""
    return min(multiplier * value, budget)


@kernel
def margin_value(reward, paid, listed):
    """Return what a purchase counts in mean margins where agents set prices: the price paid less the unit cost (1 - mu)
    * list price, over mu = `margin_rate`. At the list price it is that price."""
    return (paid - (1.0 - reward.margin_rate) * listed) / reward.margin_rate


@kernel
def wallet_after(users, money, ticks):
    """Money that is refilled each tick up to what a wallet holds at first, in mean list prices."""
    return min(users.wallet_init, money + users.wallet_refill * ticks)


@kernel
def relative_ctr(mean, clicks, impressions):
    """tanh(log r) = (r^2 - 1) / (r^2 + 1): r is the click-through rate over the catalogue's mean, shrunk towards it."""
    ratio = (clicks + _PRIOR_IMPRESSIONS * mean) / ((impressions + _PRIOR_IMPRESSIONS) * mean)
    return (ratio * ratio - 1.0) / (ratio * ratio + 1.0)


@kernel
def relative_satisfaction(mean, clicks, satisfaction):
    """tanh of twice the mean log(dwell / length) of a click, less the historical log's mean, shrunk towards it."""
    return tanh(2.0 * (satisfaction - clicks * mean) / (clicks + _PRIOR_CLICKS))


@kernel
def freshness(c, age):
    """exp(-age / tau_fresh), of ticks since the item's window opened."""
    return exp(-age / c.tau_fresh)


# ------------------------------------------------------------------------------------------------ utility and click


# The type of an attribute declares what it depends on. From these declarations `exact/states.py` derives which worlds
# are finite and what their states hold. It refuses an attribute that is a plain `float`, and one that depends on a part
# of the state that tables do not hold, such as `Popularity` or `Annotated[float, "clock"]`. The policy
# `observer` refuses a part that its imagined visitors lack (`planners/posterior.py`).
Item = Annotated[float, "item"]  # never changes
LatentItem = Annotated[float, "latent item"]  # never changes, and only oracles know it
SceneAndAnchor = Annotated[float, "scene and anchor"]  # of the page
Price = Annotated[float, "price"]  # the level that the agent sets; moves with promotions
Age = Annotated[float, "age"]  # ticks since the availability window opened
Popularity = Annotated[float, "popularity"]  # everybody's clicks
# of the visitor; agents have at most estimates
Taste = Annotated[float, "taste"]
Satiation = Annotated[float, "satiation"]
PriceSensitivity = Annotated[float, "price sensitivity"]
Intent = Annotated[float, "intent"]
Habits = Annotated[float, "habits"]
Recent = Annotated[float, "the items consumed last"]


def depends_on(attributes: type) -> dict[str, tuple[str, ...]]:
    """Return what each attribute of `Alternative` or `Consumed` declares to depend on; () if it declares nothing."""
    hints = get_type_hints(attributes, include_extras=True)
    return {name: getattr(hint, "__metadata__", ()) for name, hint in hints.items()}


class Alternative(NamedTuple):
    """An item as it is offered to a visitor: the attributes that determine its utility."""

    intercept: LatentItem  # alpha_j
    quality: LatentItem  # g_j
    bait: LatentItem  # c_j
    match: Taste  # <p_u, q_j>
    satiation: Satiation  # s_{u,t} of its topic
    sensitivity: PriceSensitivity  # rho_u
    log_price: Price  # x_j, with the agent's multiplier
    freshness: Age  # 0 where items have no availability windows
    popularity: Popularity  # decayed clicks of everybody
    wanted: Intent  # 1 if its topic is the session's intent, else 0
    context_weight: SceneAndAnchor  # beta_context of the scene
    context: SceneAndAnchor  # <q_anchor, q_j>, 0 without an anchor
    repeats: Habits  # n_{u,j}
    usual_log_price: Item  # x_j at the item's usual price
    partner: Recent  # sum of w <A q, q_j> over the items that the visitor consumed last


class Consumed(NamedTuple):
    """An item that a visitor clicked: the attributes that determine the experience and the odds of the cart."""

    quality: LatentItem  # g_j
    bait: LatentItem  # c_j
    match: Taste  # <p_u, q_j>
    satiation: Satiation  # s_{u,t} of its topic
    sensitivity: PriceSensitivity  # rho_u
    log_price: Price  # x_j, with the agent's multiplier
    cart_intercept: LatentItem  # b_t of its topic


# Each term of the utility, in utils.


@kernel
def intercept_term(c, a):
    return a.intercept


@kernel
def quality_term(c, a):
    return c.beta_quality * a.quality


@kernel
def bait_term(c, a):
    return c.beta_bait * a.bait


@kernel
def taste_term(c, a):
    return c.beta_taste * a.match


@kernel
def satiation_term(c, a):
    return -c.beta_satiation * a.satiation


@kernel
def price_term(c, a):
    return -c.beta_price * a.sensitivity * a.log_price


@kernel
def freshness_term(c, a):
    return c.beta_fresh * a.freshness


@kernel
def popularity_term(c, a):
    return c.beta_pop * log1p(a.popularity) if c.beta_pop != 0.0 else 0.0


@kernel
def intent_term(c, a):
    return c.beta_intent * a.wanted


@kernel
def context_term(c, a):
    return a.context_weight * a.context


@kernel
def repeat_term(c, a):
    return c.beta_repeat * log1p(a.repeats / c.repeat_scale) if a.repeats != 0.0 else 0.0


@kernel
def liking(c, a):
    """Return what the visitor thinks of the item at its usual price, leaving habit aside: what stays of the utility."""
    of_price = -c.beta_price * a.sensitivity * a.usual_log_price
    return intercept_term(c, a) + quality_term(c, a) + bait_term(c, a) + taste_term(c, a) + of_price


@kernel
def habit_term(c, a):
    """log(1 + h n / exp(liking)): beside other items, this one weighs exp(liking) + h n.

    Without the other terms choices are those of the Dirichlet model of buying behaviour (Goodhardt, Ehrenberg &
    Chatfield 1984): people choose what they like, or again what they chose before, as often as they did.
    """
    if c.habit_rate == 0.0 or a.repeats == 0.0:
        return 0.0
    return softplus(log(c.habit_rate * a.repeats) - liking(c, a))


@kernel
def partner_term(c, a):
    return c.beta_partner * a.partner if c.beta_partner != 0.0 else 0.0


TERMS: dict[str, Callable[..., Any]] = {  # in the order in which they are added up
    "intercept": intercept_term,
    "quality": quality_term,
    "bait": bait_term,
    "taste": taste_term,
    "satiation": satiation_term,
    "price": price_term,
    "freshness": freshness_term,
    "popularity": popularity_term,
    "intent": intent_term,
    "context": context_term,
    "repeat": repeat_term,
    "habit": habit_term,
    "partner": partner_term,
}

# Attributes that are looked up only where a coefficient is not 0, by `choice.alternative` and `feedback.consumed`.
LOOKED_UP = {
    "log_price": ("beta_price", "a_price", "b_price"),
    "freshness": ("beta_fresh",),
    "popularity": ("beta_pop",),
    "repeats": ("beta_repeat", "habit_rate"),
    "usual_log_price": ("habit_rate",),
    "partner": ("beta_partner",),
}


def check_looked_up(terms: dict[str, Callable[..., Any]]) -> None:
    """Raise TypeError for a term that would read 0 in place of an attribute that is not looked up for it."""
    for name, term in terms.items():
        read = names_read(term).keys() if hasattr(term, "py_func") else set()  # it has none on a GPU's simulator
        for attribute in LOOKED_UP.keys() & read:
            if not read & set(LOOKED_UP[attribute]):
                raise TypeError(
                    f"term {name!r} reads {attribute}, which is looked up only where "
                    f"{' or '.join(LOOKED_UP[attribute])} is not 0: let kernels/choice.py or kernels/feedback.py look "
                    "it up for this term too, and add its coefficient to LOOKED_UP"
                )


def sum_of(terms: Sequence[Callable[..., Any]]) -> Callable[..., Any]:
    """The function (c, a) that is the sum of these, from the first to the last."""
    last = terms[-1]
    if len(terms) == 1:
        return last
    others = sum_of(terms[:-1])

    @kernel
    def total(c, a):
        return others(c, a) + last(c, a)

    return total


utility = sum_of(tuple(TERMS.values()))  # v (c, a), before examination and trust


@kernel
def likes_to_repeat(c):
    """Whether people tend to consume again what they have consumed before."""
    return c.beta_repeat > 0.0 or c.habit_rate > 0.0


def examination(c, rank):
    """theta = r^-eta (1 + kappa [r = 1]) of rank r, from 1 on. Python works it out once, when it builds a world."""
    return rank**-c.eta * (1.0 + c.kappa * (rank == 1))


@kernel
def ranking_score(platform, match, bait, noise):
    """Score by which a platform ranks an item: <noisy profile, q_j>, clickbait, and noise of standard Gumbel."""
    return platform.match * match + platform.bait * bait + platform.noise * noise


@kernel
def log_slot_weight(c, v, log_theta):
    """log w = v / lambda + log theta of the slot's rank."""
    return 1.0 / c.dissimilarity * v + log_theta


@kernel
def inclusive_value(c, log_sum, trust):
    """lambda I_n + what trust adds to the agent's nest, where log_sum = I_n is the log of the sum of its weights."""
    return c.dissimilarity * log_sum + trust


@kernel
def trust_bonus(c, trust):
    """Return what trust adds to an agent's nest; also the log odds that a visitor opens it on rival pages."""
    return c.beta_trust * trust


@kernel
def click_probability(mass, masses, weight, weights):
    """P(n) P(i | n): the agent's mass among those of all agents and no click, the slot's weight among its agent's."""
    return mass / masses * weight / weights


@kernel
def choice_probability(inclusive, rest):
    """Probability of choosing one alternative in a logit.

    Args:
        inclusive: its inclusive value, or the utility of an item that is alone on its page.
        rest: log of the sum of exp(utility) over all other alternatives, no click included.
    """
    return sigmoid(inclusive - rest)


# ------------------------------------------------------------------------------------------------ what a click brings


# Each term of the experience e, in utils.


@kernel
def base_experience(f, a):
    return f.e_0


@kernel
def quality_experience(f, a):
    return f.a_quality * a.quality


@kernel
def bait_experience(f, a):
    return -f.a_bait * a.bait


@kernel
def taste_experience(f, a):
    return f.a_taste * a.match


@kernel
def satiation_experience(f, a):
    return -f.a_satiation * a.satiation


@kernel
def price_experience(f, a):
    return -f.a_price * a.sensitivity * a.log_price if f.a_price != 0.0 else 0.0


EXPERIENCE_TERMS: dict[str, Callable[..., Any]] = {  # in the order in which they are added up
    "base": base_experience,
    "quality": quality_experience,
    "bait": bait_experience,
    "taste": taste_experience,
    "satiation": satiation_experience,
    "price": price_experience,
}

experience = sum_of(tuple(EXPERIENCE_TERMS.values()))  # e (f, a) of a clicked item, before noise


# Each term of the log odds that a clicked item is put in the cart.


@kernel
def topic_cart(f, a):
    return a.cart_intercept


@kernel
def quality_cart(f, a):
    return f.b_quality * a.quality


@kernel
def taste_cart(f, a):
    return f.b_taste * a.match


@kernel
def price_cart(f, a):
    return -f.b_price * a.sensitivity * a.log_price if f.b_price != 0.0 else 0.0


CART_TERMS: dict[str, Callable[..., Any]] = {  # in the order in which they are added up
    "topic": topic_cart,
    "quality": quality_cart,
    "taste": taste_cart,
    "price": price_cart,
}

cart_log_odds = sum_of(tuple(CART_TERMS.values()))


@kernel
def cart_probability(f, a):
    """P(cart | click), where the scene has a cart and the wallet can pay."""
    return sigmoid(cart_log_odds(f, a))


@kernel
def dwell_time(f, length, e):
    return length * softplus(e)


@kernel
def experience_of(dwell):
    """The experience e that a dwell time tells, in units of the item's length: the inverse of `dwell_time`."""
    tiny = dwell < 1e-6  # where the difference cancels
    return dwell + log(tiny * dwell + (1.0 - tiny) * (1.0 - exp(-dwell)))


@kernel
def like_probability(f, length, e):
    return sigmoid(e) if f.like else 0.0


# Events that a click brings by its experience e alone: how much of each on average.
REACTIONS: dict[str, Callable[..., Any]] = {
    "dwell": dwell_time,
    "like": like_probability,
}


@kernel
def stars(f, e, bias):
    """Ordinal rating 1..5 of an experience."""
    rating = 1
    for i in range(4):
        if e + bias >= f.rating_cutpoints[i]:
            rating += 1
    return rating


@kernel
def later_sale(f, value):
    """Return the expected value of an item in a cart, whose purchase is worth `value`.

    It is the value times P(bought) = h / (h + h' - h h'): on each page the item is bought with hazard h, and else
    abandoned with hazard h'.
    """
    leaves = f.cart_hazard + f.cart_abandon - f.cart_hazard * f.cart_abandon
    return value * f.cart_hazard / leaves if leaves > 0.0 else 0.0


# ------------------------------------------------------------------------------------------------ dynamics


@kernel
def approach(x, rate, target):
    """Change of an exponential average that takes in one more observation: satisfaction, trust, observed
    satisfaction."""
    return rate * (target - x)


@kernel
def pleasure(e):
    """Return what moves satisfaction, trust and taste: tanh(e), in (-1, 1)."""
    return tanh(e)


@kernel
def drifted_taste(d, taste, pull, vector):
    """A number of p_u after a click on an item whose vector has this number there, before p_u is normalised."""
    return taste + d.drift * pull * vector


@kernel
def satisfaction_of_mood(mood, moods):
    """Finite games: z = 1 - 2 m / (L - 1)."""
    return 1.0 - 2.0 * mood / (moods - 1)


@kernel
def stay_probability(arrival, z):
    return sigmoid(arrival.k_0 + arrival.k_1 * z)


@kernel
def loss_probability(arrival, z):
    """P(lost for good | the session ends)."""
    return arrival.d_0 + arrival.d_1 * sigmoid(-arrival.d_2 * z)


@kernel
def acceptance_probability(arrival, z):
    return sigmoid(arrival.r_0 + arrival.r_1 * z)


@kernel
def topic_weight(scale, match):
    """Odds of a topic whose centre has this inner product with the visitor's vector."""
    return exp(scale * match)


# ------------------------------------------------------------------------------------------------ rewards


# All events, in the order in which they are added up. `expected.click_value` has the chances of the others.
PAID = ("click", *REACTIONS, "cart", "purchase", "rating")
if set(PAID) != set(responses.EVENTS):
    raise NotImplementedError(f"responses.py declares the events {responses.EVENTS}, and {PAID} have formulas here")

rating_value: Any = kernel(responses.rating_value)
later_reward: Any = kernel(responses.later_reward)


@kernel
def _once(happened):
    return np.float32(1.0)


def _payment(event: str) -> Callable[..., Any]:
    """The function (weights, slot) that is what an agent is paid for this event."""
    response = responses.RESPONSES[responses.EVENTS.index(event)]
    column = "sale" if event == "purchase" else response.name
    value = rating_value if event == "rating" else _once

    @kernel
    def paid_for_amount(weights, slot):
        return weights[event] * slot[column]

    @kernel
    def paid_if_happened(weights, slot):
        return weights[event] * value(slot[column]) if slot[column] else np.float32(0.0)

    return paid_if_happened if event == "rating" or (column != "sale" and response.kind == "?") else paid_for_amount


# What an agent of these weights is paid for what happened to a slot of its own.
slot_reward = sum_of([_payment(event) for event in PAID])


@kernel
def mean_similarity(count, square):
    """Mean <q, q'> over the pairs of `count` unit vectors, from the square of the norm of their sum; 1 less this is the
    diversity of a slate."""
    return (square - count) / (count * (count - 1.0))


@kernel
def fairness_gain(theta, due, share):
    """Return what a slot of this examination adds to fairness: by how much its provider had less than its due share."""
    return theta * (due - share)


@kernel
def exposure_share(given, total, due):
    """A provider's share of the exposure so far; before any, the share that is due to it."""
    return given / total if total > 0.0 else due


@kernel
def shared_reward(s, individual, mean):
    """r_n = (1 - max(s, 0)) x_n + s * mean of x over all agents."""
    return (1.0 - max(s, 0.0)) * individual + s * mean


for _terms in (TERMS, EXPERIENCE_TERMS, CART_TERMS):  # here, where every kernel that they call is defined
    check_looked_up(_terms)
