"""`WorldConfig`: every number that defines a task, in one frozen, self-validating dataclass.

A field is declared with its meaning, unit, allowed range, source and whether a catalogue replaces it. Its check, the
error messages, `describe()` and the parameter record that the kernels read are derived from this declaration
(`settings.py`). Symbols are those of the equations: `beta_*` enter the utility of a slot, `a_*` the experienced
utility, `b_*` the cart logit, `k_*` staying, `r_*` returning, `d_*` leaving for good.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from ..checks import check_count, nearest, shown
from .fields import CANDIDATE_FEATURES, HIDEABLE, LEVELS, unseen_features
from .privacy import WITHHELD, WITHHELD_FEATURES
from .responses import EVENTS, RESPONSES
from .settings import (
    Settings,
    choice_field,
    frozen,
    group_field,
    integers_field,
    number_field,
    numbers_field,
    parts_field,
    replace,
    text_field,
    weights_field,
    words_field,
)

TRIVAGO = "trivago click-outs by displayed rank (conditional logit)"
PROTOTYPE = "prototype simulation"


# ---------------------------------------------------------------------------------------------- the world's contents


@frozen
@dataclass(frozen=True)
class UserConfig(Settings):
    """The users. A catalogue determines their number, tastes, price sensitivity, activity and initial habits."""

    number: int = number_field(8, "U, users (user slots) per copy", 1, 10**8, from_catalogue=True)
    population: str = choice_field(
        "fresh", "fresh: new people in every seed and episode; fixed: always the same people", "fresh", "fixed"
    )
    groups: int = number_field(
        2, "number of user groups; the main topic t of a user in group g satisfies t mod groups = g", 1, 64
    )
    topics: int = number_field(
        3,
        "topics that are mixed into one taste, with uniform Dirichlet weights",
        1,
        64,
        source=PROTOTYPE,
        from_catalogue=True,
    )
    price_sensitivity_log_sd: float = number_field(
        0.5, "log-sd of rho_u (log-normal, mean 1)", 0, 3, source=PROTOTYPE, from_catalogue=True
    )
    activity_log_sd: float = number_field(
        1.0, "log-sd of a user slot's visit rate", 0, 3, source="activity Gini .52, data .47-.60", from_catalogue=True
    )
    intent_scale: float = number_field(4.0, "session intent: P(topic t) ~ exp(intent_scale * <p_u, centre_t>)", 0, 50)
    rating_bias_sd: float = number_field(
        0.4, "sd of a user's rating bias", 0, 5, unit="utils", source="MovieLens: 13-15 % of rating variance"
    )
    habit_size: int = number_field(0, "entries in a user's table of recently consumed items; 0 = no table", 0, 256)
    habit_decay: float = number_field(
        0.98, "factor by which the counts n_{u,j} fade at each page of the user", 0, 1, unit="per page"
    )
    habit: str = choice_field(
        "click", "what counts as consumption, in the table and for what goes with what", "click", "purchase"
    )
    z_init: float = number_field(0.0, "satisfaction z at the start", -1, 1)
    trust_init: float = number_field(0.0, "trust tau at the start", -1, 1)
    wallet_init: float = number_field(
        0.0, "content of the wallet at the start, and its maximum; 0 = unlimited", 0, 1e6, unit="mean list prices"
    )
    wallet_refill: float = number_field(0.0, "wallet refill", 0, 1e6, unit="mean list prices per tick")
    request: float = number_field(
        0.0, "probability that a visitor says in words, at the start of a session, what it wants", 0, 1
    )
    request_vague: float = number_field(0.2, "probability that a request names no topic", 0, 1)
    request_misleading: float = number_field(0.1, "probability that a request names a topic at random", 0, 1)


@frozen
@dataclass(frozen=True)
class ItemConfig(Settings):
    """The items. A catalogue determines their number, vectors, topics, intercepts, prices, popularity and quality.
    Their clickbait is then 0, and their length is 1."""

    number: int = number_field(200, "M, items", 1, 10**8, from_catalogue=True)
    dims: int = number_field(16, "D, taste dimensions", 1, 512, from_catalogue=True)
    topics: int = number_field(12, "T, topics", 1, 1024, from_catalogue=True)
    topic_weight: float = number_field(
        0.6, "w in q = norm(sqrt(w) * topic centre + sqrt(1-w) * noise)", 0, 1, source=PROTOTYPE, from_catalogue=True
    )
    intercept_sd: float = number_field(0.0, "sd of alpha_j", 0, 10, unit="utils", from_catalogue=True)
    quality_sd: float = number_field(1.0, "sd of quality g_j", 0, 10, from_catalogue=True)
    bait_shape: float = number_field(
        1.5, "clickbait c_j ~ Beta(shape, shape)", 0.1, 50, source=PROTOTYPE, from_catalogue=True
    )
    bait_topic_share: float = number_field(
        0.0, "share of clickbait that is determined by the topic", 0, 1, from_catalogue=True
    )
    price_log_sd: float = number_field(
        0.5, "sd of log price within a topic", 0, 3, source=PROTOTYPE, from_catalogue=True
    )
    topic_price_log_sd: float = number_field(0.5, "sd of log price between topics", 0, 3, from_catalogue=True)
    length_log_sd: float = number_field(
        0.0, "log-sd of length (log-normal, mean 1): scales dwell time", 0, 3, from_catalogue=True
    )
    titles: str = choice_field(
        "keywords",
        "what titles and descriptions read like: keywords of taste, or goods, films, or headlines",
        "keywords",
        "goods",
        "films",
        "headlines",
        from_catalogue=True,
    )
    title_signal: float = number_field(
        0.0,
        "probability that a word of quality or of clickbait is the item's own rather than one at random: "
        "0 = titles say nothing of them, 1 = all that words can say",
        0,
        1,
        from_catalogue=True,
    )
    providers: int = number_field(1, "providers; item j belongs to provider j mod providers", 1, 10**6)
    domains: int = number_field(1, "domains; item j belongs to domain j mod domains", 1, 10**6, from_catalogue=True)
    domain_topics: bool = number_field(
        False, "each domain has its own topics: items of topic t belong to domain t mod domains", from_catalogue=True
    )
    partner_step: int = number_field(
        0,
        "what goes with an item of domain d is of domain (d + partner_step) mod domains; 0 = of the same domain",
        0,
        10**6,
        from_catalogue=True,
    )
    popularity_mean: float = number_field(
        20.0, "mean of the historical clicks that an item starts with", 0, 1e9, unit="clicks", from_catalogue=True
    )
    popularity_log_sd: float = number_field(
        1.0, "log-sd of historical counts", 0, 5, source="item Gini .50-.81", from_catalogue=True
    )
    popularity_quality: float = number_field(
        0.4, "correlation of log historical count and quality", -1, 1, source="MovieLens .27-.52", from_catalogue=True
    )
    popularity_half_life: float = number_field(
        1000.0,
        "half-life of the items' public statistics: popularity, clicks, impressions, satisfaction",
        1,
        1e9,
        unit="ticks",
    )
    log_impressions: float = number_field(
        680.0,
        "impressions of each item, at examination 1, in the historical log that `ctr` and `satisfaction` start from",
        0,
        1e9,
        source=PROTOTYPE,
    )
    promotion_probability: float = number_field(
        0.0, "share of items on promotion in a period", 0, 1, source="Complete Journey .50"
    )
    promotion_depth: float = number_field(0.0, "price cut on promotion", 0, 0.95, source="Complete Journey .26")
    promotion_period: int = number_field(100, "length of a promotion", 1, 10**9, unit="ticks")
    stock_init: int = number_field(0, "units in stock after each restock; 0 = unlimited", 0, 10**9)
    restock_period: int = number_field(500, "ticks between restocks", 1, 10**9, unit="ticks")
    life: int = number_field(0, "length of an availability window; 0 = always available", 0, 10**9, unit="ticks")
    period: int = number_field(0, "time from one window to the next; 0 = life", 0, 10**9, unit="ticks")


# ---------------------------------------------------------------------------------------------- behaviour


@frozen
@dataclass(frozen=True)
class ChoiceConfig(Settings):
    """Utility of a slot and the nested logit over agents (McFadden 1978)."""

    v_0: float = number_field(5.0, "utility of clicking nothing", -50, 50, unit="utils")
    v_0_by_mood: tuple[float, ...] = numbers_field(
        (), "finite games: utility of clicking nothing in each mood, best mood first; empty = no moods", -50, 50
    )
    beta_taste: float = number_field(4.0, "weight of <p_u, q_j>", -50, 50)
    beta_quality: float = number_field(0.3, "weight of quality g_j", -50, 50)
    beta_bait: float = number_field(0.0, "weight of clickbait c_j", -50, 50)
    beta_price: float = number_field(
        0.0,
        "weight of -rho_u x_j, x_j = log(price now / geometric mean list price of the topic)",
        -50,
        50,
        source="trivago .70",
    )
    beta_fresh: float = number_field(
        0.0, "weight of exp(-age / tau_fresh); no effect without availability windows", -50, 50
    )
    tau_fresh: float = number_field(100.0, "freshness time constant", 1e-3, 1e9, unit="ticks")
    beta_pop: float = number_field(0.0, "weight of log(1 + popularity)", -50, 50)
    beta_intent: float = number_field(0.0, "weight of [topic = session intent]", -50, 50)
    beta_satiation: float = number_field(0.0, "weight of -satiation with the topic", -50, 50)
    beta_repeat: float = number_field(0.0, "weight of log(1 + n_{u,j} / n_0): > 0 habit, < 0 boredom", -50, 50)
    repeat_scale: float = number_field(
        1.0,
        "n_0: the smaller it is, the more the first consumption of an item counts beside the later ones",
        1e-3,
        1e3,
        unit="consumptions",
    )
    habit_rate: float = number_field(
        0.0,
        "h: an item that the visitor consumed n times weighs exp(liking) + h n in the choice, so that habit comes in "
        "place of the liking rather than on top of it, as with `beta_repeat`",
        0,
        1e6,
        unit="per consumption",
    )
    beta_partner: float = number_field(
        0.0,
        "weight of w <A q, q_j>, summed over the items that the visitor consumed last: A is the world's map of what "
        "goes with what, and w fades by `partner_decay`",
        -50,
        50,
    )
    partner_decay: float = number_field(
        0.7, "factor by which w fades at each page of the visitor after the item was consumed", 0, 1, unit="per page"
    )
    partner_second: float = number_field(
        0.0,
        "weight of the item before the last one, which has a map of its own, relative to the last one; 0 = only the "
        "last one counts",
        0,
        1,
    )
    beta_trust: float = number_field(0.0, "weight of trust tau_{u,n} in the choice of the agent", -50, 50)
    dissimilarity: float = number_field(
        1.0, "lambda; below 1 an agent's slots are closer substitutes (rows only)", 0.05, 1, also=("temperature",)
    )
    eta: float = number_field(0.835, "examination theta_r = r^-eta (1 + kappa [r = 1])", 0, 10, source=TRIVAGO)
    kappa: float = number_field(0.75, "extra odds of the first rank", 0, 100, source=TRIVAGO)


@frozen
@dataclass(frozen=True)
class FeedbackConfig(Settings):
    """Experienced utility e, dwell, cart, purchase, rating and like after a click."""

    e_0: float = number_field(0.0, "intercept of experienced utility", -50, 50, unit="utils")
    a_taste: float = number_field(2.0, "weight of <p_u, q_j>", -50, 50)
    a_quality: float = number_field(0.4, "weight of quality", -50, 50)
    a_bait: float = number_field(0.0, "weight of -clickbait", -50, 50)
    a_satiation: float = number_field(0.0, "weight of -satiation with the topic", -50, 50)
    a_price: float = number_field(0.0, "weight of -rho_u x_j", -50, 50)
    noise_scale: float = number_field(1.0, "scale of the logistic noise in e", 0, 20, unit="utils", source=PROTOTYPE)
    b_0: float = number_field(
        -4.0, "intercept of the cart logit", -50, 50, source="RetailRocket: 2.6 % of views carted"
    )
    b_topic: float = number_field(
        0.0,
        "topic intercepts of the cart logit run from +b_topic to -b_topic over the topics: in the order of rising "
        "clickbait with items.bait_topic_share > 0, and else in a random order unrelated to the items' clickbait",
        -50,
        50,
        source=PROTOTYPE,
    )
    b_taste: float = number_field(2.0, "weight of <p_u, q_j> in the cart logit", -50, 50)
    b_quality: float = number_field(0.3, "weight of quality in the cart logit", -50, 50)
    b_price: float = number_field(0.0, "weight of -rho_u x_j in the cart logit", -50, 50)
    instant: bool = number_field(False, "an item that would go into the cart is bought at once")
    cart_hazard: float = number_field(
        0.08,
        "h, probability that a cart item is bought at a page",
        0,
        1,
        unit="per page",
        source="RetailRocket: 32 % of carts bought",
    )
    cart_abandon: float = number_field(
        0.16, "h', probability that it is abandoned otherwise", 0, 1, unit="per page", source="RetailRocket"
    )
    rating_after_click: float = number_field(0.0, "probability that a click is rated", 0, 1)
    rating_after_purchase: float = number_field(0.0, "probability that a purchase not rated before is rated", 0, 1)
    rating_cutpoints: tuple[float, ...] = numbers_field(
        (-2.0, -1.0, 0.3, 1.8),
        "rating r = 1 + number of cutpoints below e + the user's bias; ascending",
        -50,
        50,
        source="MovieLens shares 6/11/27/34/21 %",
    )
    like: bool = number_field(False, "a clicked item may be liked, with probability sigmoid(e)")


@frozen
@dataclass(frozen=True)
class DynamicsConfig(Settings):
    """How pages and clicks change the visitor."""

    drift: float = number_field(
        0.02, "delta in p <- norm(p + delta tanh(e) q_j)", 0, 1, unit="per click", source=PROTOTYPE
    )
    satiation_page: float = number_field(
        0.9, "factor on satiation at each page", 0, 1, unit="per page", source=PROTOTYPE
    )
    satiation_session: float = number_field(
        0.3, "further factor on satiation at the start of a session", 0, 1, unit="per session", source=PROTOTYPE
    )
    satiation_shown: float = number_field(
        0.0, "rise of a topic's satiation per shown item of the topic (a click adds 1)", 0, 1
    )
    z_rate: float = number_field(
        0.2, "weight of tanh(e) in satisfaction after a click", 0, 1, unit="per click", source=PROTOTYPE
    )
    z_rate_none: float = number_field(
        0.03, "pull to the baseline after a page without a click", 0, 1, unit="per page", source=PROTOTYPE
    )
    trust_rate: float = number_field(0.2, "weight of tanh(e) in the clicked agent's trust", 0, 1, unit="per click")
    trust_rate_none: float = number_field(
        0.03, "pull to the baseline of all shown agents' trust without a click", 0, 1, unit="per page"
    )
    trust_rate_rival: float = number_field(
        0.0, "pull to the baseline of the other shown agents' trust after a click (loyalty)", 0, 1, unit="per click"
    )
    baseline: float = number_field(
        -0.3, "level that satisfaction and trust approach without clicks", -1, 1, source=PROTOTYPE
    )
    mood_up: tuple[float, ...] = numbers_field(
        (), "finite games: probability that the mood improves after a click on topic t", 0, 1
    )
    mood_down: tuple[float, ...] = numbers_field(
        (), "finite games: probability that the mood worsens after a click on topic t", 0, 1
    )
    mood_up_none: float = number_field(0.0, "finite games: probability that the mood improves after no click", 0, 1)
    mood_down_none: float = number_field(0.0, "finite games: probability that the mood worsens after no click", 0, 1)


@frozen
@dataclass(frozen=True)
class ArrivalConfig(Settings):
    """How users visit, stay, return and leave for good."""

    k_0: float = number_field(
        2.0,
        "stay in the session with probability sigmoid(k_0 + k_1 z)",
        -50,
        50,
        source="Virtual Taobao: 7.6 pages a session",
    )
    k_1: float = number_field(0.8, "effect of satisfaction on staying", -50, 50)
    r_0: float = number_field(
        -1.3, "a drawn visitor accepts with probability sigmoid(r_0 + r_1 z)", -50, 50, source=PROTOTYPE
    )
    r_1: float = number_field(3.0, "effect of satisfaction on returning", -50, 50, source=PROTOTYPE)
    d_0: float = number_field(
        0.0, "at the end of a session the user is lost with probability d_0 + d_1 sigmoid(-d_2 z)", 0, 1
    )
    d_1: float = number_field(0.0, "part of the loss probability that depends on satisfaction", 0, 1)
    d_2: float = number_field(0.0, "effect of satisfaction on being lost", 0, 50)


@dataclass(frozen=True)
class _SharingConfig(Settings):
    sharing: float = number_field(0.0, "s, reward sharing: 0 selfish, 1 team, -1 zero-sum", -1, 1)
    margin_rate: float = number_field(
        0.3,
        "mu, margin per unit of price. Rewards are in mean margins, so it cancels where agents set no prices; where "
        "they do, an item costs the agent (1 - mu) times its list price",
        1e-6,
        1,
    )


# A weight for each event that `responses.py` declares.
_EventConfig: Any = dataclasses.make_dataclass(
    "_EventConfig",
    [(response.event, float, number_field(response.weight, response.paid, -100, 100)) for response in RESPONSES],
    bases=(_SharingConfig,),
    frozen=True,
)


@frozen
@dataclass(frozen=True)
class RewardConfig(_EventConfig):  # type: ignore[misc]
    """What agents are paid: own_n = sum of weight * value over the events credited to agent n.

    Values are 1 per click, cart and like, price paid / mean list price per purchase (where agents set prices:
    minus the unit cost, in mean margins), (rating - 3) / 2 per rating, and length * softplus(e) per dwell. The
    objectives diversity, novelty and fairness are paid per page of agent n, in addition to own_n
    (`kernels/objectives.py`).
    """

    diversity: float = number_field(
        0.0,
        "per page, on the mean of 1 - <q, q'> over the pairs of items of the agent's slate, in [0, 2]; not in own_n",
        -100,
        100,
        source="Ziegler et al. 2005",
    )
    novelty: float = number_field(
        0.0,
        "per page, on the mean novelty of the agent's slate: self-information of historical popularity, scaled to "
        "0 = the most and 1 = the least popular item; not in own_n",
        -100,
        100,
        source="Vargas & Castells 2011",
    )
    fairness: float = number_field(
        0.0,
        "per page, on the sum of theta * (target share - share of exposure so far) of the providers of the agent's "
        "slate; not in own_n",
        -100,
        100,
        source="Biega, Gummadi & Weikum 2018",
    )
    fairness_target: str = choice_field(
        "inventory",
        "target of a provider's share of an agent's exposure: its share of the items that the agent may show "
        "(inventory), or of their historical clicks, each plus one (merit)",
        "inventory",
        "merit",
    )
    fairness_half_life: float = number_field(
        200.0, "half-life of exposure, in pages on which the agent was active", 1, 1e9, unit="pages"
    )


OBJECTIVES = ("diversity", "novelty", "fairness")  # paid for the page itself, whatever the visitor does


# ---------------------------------------------------------------------------------------------- page, agents, views


@frozen
@dataclass(frozen=True)
class SceneConfig(Settings):
    """One page of the journey (entrance page -> item page -> cart page)."""

    name: str = text_field("page", "name, by which roles refer to the scene")
    beta_context: float = number_field(0.0, "weight of <q_anchor, q_j>; no effect at the entrance", -50, 50)
    cart: bool = number_field(False, "items can be put in the cart here")


@frozen
@dataclass(frozen=True)
class RoleConfig(Settings):
    """A kind of agent. A single role has `num_agents` agents; of several roles each has one agent."""

    name: str = text_field("recommender", "what its agents are called, before a number: recommender_0, recommender_1")
    scene: str = text_field(
        "", "one of several scenes, which the role owns; with one scene it must be '', and all agents are active"
    )
    domains: tuple[int, ...] = integers_field("domains in the inventory; empty = all", 0, 10**6)
    items: tuple[int, ...] = integers_field("item ids in the inventory; empty = all", 0, 10**8)
    rewards: Mapping[str, float] = weights_field(
        "weight of each event and objective in this role's reward; others weigh 0; empty = the weights of `reward`",
        -100,
        100,
        *EVENTS,
        *OBJECTIVES,
    )
    static_weights: Mapping[str, float] = weights_field(
        "feature weights of the policy `static` in this role; empty = `static_weights` of the task",
        -1,
        1,
        *(feature.name for feature in CANDIDATE_FEATURES),
        *LEVELS.values(),
    )
    hidden: tuple[str, ...] = words_field(
        "observation fields that are 0 for this role, as are the features of candidates that follow from them; which "
        "candidates are retrieved, and how action='weights' ranks them, does not change",
        *HIDEABLE,
    )
    knows: tuple[int, ...] = integers_field(
        "information partition: a label for each topic; the role sees the label of the session's intent; empty = none",
        0,
        1023,
    )


@frozen
@dataclass(frozen=True)
class OfferConfig(Settings):
    """Prices that agents set, or bids. An agent chooses at each page, in addition to its items, a level l from 0 to
    L - 1, which stands for the factor m = low^(1 - l / (L - 1)) * high^(l / (L - 1)).

    With `kind="price"` m multiplies the prices of all its slots. With `kind="bid"`, on auction pages, m multiplies what
    the slot is worth to the agent: it bids m times its value, or its whole budget if that is less. With continuous
    actions (query, weights) y in [-1, 1] replaces the level: l / (L - 1) = (1 + y) / 2.
    """

    kind: str = choice_field(
        "none",
        "price: agents set the prices of the items that they show; bid: they bid for the slot of an auction page",
        "none",
        "price",
        "bid",
    )
    levels: int = number_field(7, "L, number of levels of prices or bids", 2, 101)
    low: float = number_field(0.5, "m of the lowest level, a factor on the current price or on the value", 0.01, 100)
    high: float = number_field(2.0, "m of the highest level, a factor on the current price or on the value", 0.01, 100)
    value_log_sd: float = number_field(
        0.0,
        "log-sd of the factor on all that events pay a bidder, drawn for each bidder and page (log-normal, mean 1)",
        0,
        3,
        source=PROTOTYPE,
    )
    budget: float = number_field(
        0.0, "what a bidder may spend from one refill to the next; 0 = unlimited", 0, 1e6, unit="reward"
    )
    refill_period: int = number_field(250, "pages from one refill of the budgets to the next", 1, 10**9, unit="pages")

    @property
    def list_level(self) -> int:
        """The level whose m is nearest to 1, in log m: that of the list prices, or of truthful bids."""
        position = -math.log(self.low) / (math.log(self.high) - math.log(self.low))
        return min(max(round(position * (self.levels - 1)), 0), self.levels - 1)


@frozen
@dataclass(frozen=True)
class PlatformConfig(Settings):
    """One platform on which the agents are creators (`page="platform"`). Every `period` ticks each creator publishes
    one item of its own, and a fixed ranker fills every page from the items that creators published last.

    A creator owns an item for each position in its window, topic and level of clickbait. The clickbait of level l is
    l / (L - 1). An item scores match * <noisy profile, q_j> + bait * c_j + noise * Gumbel. Only the best item of each
    creator competes for the page, which shows the best of these in the order of their scores.
    """

    places: int = number_field(5, "places of a page; at most one item of each creator stands on it", 1, 512)
    period: int = number_field(50, "ticks from one decision of the creators to the next", 1, 10**6, unit="ticks")
    window: int = number_field(4, "W, items of each creator that can be shown: those that it published last", 1, 64)
    bait_levels: int = number_field(3, "L, levels of clickbait, from 0 to 1", 2, 101)
    match: float = number_field(4.0, "weight of <noisy profile, q_j> in the ranker's score", -50, 50)
    bait: float = number_field(0.0, "weight of clickbait c_j in the ranker's score", -50, 50)
    noise: float = number_field(
        1.0, "scale of the Gumbel noise in the ranker's score; 0 = the same page for the same profile", 0, 50
    )


@frozen
@dataclass(frozen=True)
class CandidateConfig(Settings):
    """The retrieval stage behind `action="candidates"` and `action="weights"`."""

    number: int = number_field(20, "C, candidates per agent", 1, 1024)
    topic_scale: float = number_field(
        4.0, "topics are drawn with P(topic) ~ exp(topic_scale * <noisy profile, centre>)", 0, 50
    )
    order: str = choice_field(
        "shuffled",
        "shuffled: positions carry no information; score: best first, by profile match and known habits",
        "shuffled",
        "score",
    )
    features: str = choice_field(
        "digest",
        "what agents observe of the candidates. digest: features, some of which compare them with the visitor; "
        "vectors: their vectors, topics and the features that compare nothing; both: vectors, topics and all features",
        "digest",
        "vectors",
        "both",
    )


@frozen
@dataclass(frozen=True)
class ObservationConfig(Settings):
    """What agents may know about their visitor."""

    profile_noise: float = number_field(
        0.5, "expected norm of the noise on the profile, drawn once per person; more noise = more privacy", 0, 100
    )
    history_decay: float = number_field(
        0.9, "factor by which the clicked-vector mean and topic counts fade at each click", 0, 1, unit="per click"
    )
    share: bool = number_field(False, "agents see the history of all agents' slots instead of only their own")
    recent: int = number_field(
        0,
        "L, items that the visitor consumed last (`users.habit`) that an agent observes: those of its own slots, or "
        "with `share` of all slots",
        0,
        64,
    )
    item_ids: str = choice_field(
        "none",
        "how observations name candidates and recent items. one-hot: M numbers for each, for small catalogues; binary: "
        "the item's number, counted from 1, in binary digits; none: not at all",
        "none",
        "one-hot",
        "binary",
    )
    request: bool = number_field(
        False, "agents observe an encoding of the visitor's request (`users.request`); language agents always read it"
    )
    observed_satisfaction: str = choice_field(
        "own", "own: estimated from the agent's own pages; platform: from all pages", "own", "platform"
    )
    privacy_epsilon: float = number_field(
        0.0,
        "makes what an agent's observations reveal of a person (epsilon, delta)-differentially private: noise on the "
        "profile (`profile_noise` if that is more) and history, statistics of items frozen at the historical log, "
        "other personal fields withheld; 0 = no guarantee",
        0,
        1000,
    )
    privacy_delta: float = number_field(1e-5, "delta of that guarantee", 1e-12, 0.1)
    privacy_pages: int = number_field(
        20, "pages of a person on which an agent sees an updated history; later pages repeat the last one", 1, 10**6
    )
    delay: float = number_field(
        0.0,
        "time that a visitor waits for a page; if a policy takes longer, on average over the batch, its first "
        "candidates are shown; 0 = no limit. Actions given to `step` are timed only in `text_env`",
        0,
        1e6,
        unit="seconds",
    )


@frozen
@dataclass(frozen=True)
class WorldConfig(Settings):
    """A complete game. It is frozen and validated when created; nested groups may be given as dicts of their fields."""

    description: str = text_field(
        "", "what the task demands and which published numbers it is calibrated to", repr=False
    )
    num_agents: int = number_field(2, "N, recommender agents", 1, 512, also=("n_agents", "agents"))
    slots: int = number_field(5, "K, slots per agent and page", 1, 256, also=("slate_size",))
    horizon: int = number_field(
        1000, "ticks per episode", 1, 10**8, unit="ticks", also=("max_cycles", "max_steps", "episode_length")
    )
    world_seed: int = number_field(0, "seed of items, activity and the fixed population", 0, 2**63 - 1)
    page: str = choice_field(
        "shared",
        "layout: a shared feed, one row per agent, rival platforms, one slot that is sold by auction, or one platform "
        "that ranks what agents publish",
        "shared",
        "rows",
        "rival",
        "auction",
        "platform",
    )
    action: str = choice_field(
        "candidates",
        "what agents choose: candidates, items, a query vector, weights of the candidates' features, or topic and "
        "clickbait of the item that they publish next",
        "candidates",
        "items",
        "query",
        "weights",
        "publish",
        also=("action_type",),
    )
    messages: int = number_field(0, "V, size of the message vocabulary; 0 = agents do not talk", 0, 256)
    mask_actions: bool = number_field(False, "observations become dicts of 'observation' and 'action_mask'")
    observability: str = choice_field("partial", "full adds the latent visitor to the observation", "partial", "full")
    catalogue: str = text_field(
        "", "name of a shipped catalogue or path of a saved one; '' = synthetic items and users"
    )
    discount: float = number_field(0.997, "recommended discount per tick", 0, 1)
    planner_price: float = number_field(
        0.0,
        "lambda: the `planner` oracle values a click by its reward plus lambda * max(theta - z, 0) * e; where agents "
        "set prices, by its reward plus lambda times the trust that the click adds",
        0,
        1000,
        unit="reward",
    )
    planner_target: float = number_field(
        1.0, "theta: satisfaction z above which good experience adds no value; 100: nearly the same for all z", -1, 100
    )
    static_weights: Mapping[str, float] = weights_field(
        "feature weights by which the policy `static` ranks candidates; other features weigh 0. Where agents set "
        "prices or bid, `price_level` or `bid_level` is the level that it sets: -1 the lowest, 0 the middle, 1 the "
        "highest",
        -1,
        1,
        *(feature.name for feature in CANDIDATE_FEATURES),
        *LEVELS.values(),
    )
    scale_zero: str = text_field("random", "policy whose play as a team defines score 0 of the task")
    scale_hundred: str = text_field("planner", "policy whose play as a team defines score 100")
    users: UserConfig = group_field(UserConfig)
    items: ItemConfig = group_field(ItemConfig)
    choice: ChoiceConfig = group_field(ChoiceConfig)
    feedback: FeedbackConfig = group_field(FeedbackConfig)
    dynamics: DynamicsConfig = group_field(DynamicsConfig)
    arrival: ArrivalConfig = group_field(ArrivalConfig)
    reward: RewardConfig = group_field(RewardConfig)
    offer: OfferConfig = group_field(OfferConfig)
    platform: PlatformConfig = group_field(PlatformConfig)
    candidates: CandidateConfig = group_field(CandidateConfig)
    observation: ObservationConfig = group_field(ObservationConfig)
    scenes: tuple[SceneConfig, ...] = parts_field(SceneConfig)
    roles: tuple[RoleConfig, ...] = parts_field(RoleConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        for test, message in self._conflicts():
            if test:
                raise ValueError(f"WorldConfig: {message}")
        if self.catalogue:
            check_catalogue_fields(self)

    def _conflicts(self) -> list[tuple[bool, str]]:
        """Invalid combinations of fields, each with a message that names the fields and their values."""
        d_sum, cut = self.arrival.d_0 + self.arrival.d_1, self.feedback.rating_cutpoints
        return [
            *self._scene_conflicts(),
            *self._role_conflicts(),
            *self._reward_conflicts(),
            *self._offer_conflicts(),
            *self._auction_conflicts(),
            *self._platform_conflicts(),
            *self._mood_conflicts(),
            *self._privacy_conflicts(),
            *self._observation_conflicts(),
            *self._item_conflicts(),
            (
                self.page != "rows" and self.choice.dissimilarity != 1,
                f"choice.dissimilarity = {self.choice.dissimilarity} needs page = 'rows'; "
                f"page = {self.page!r} allows only 1",
            ),
            (
                self.retrieves and self.candidates.number < self.slots,
                f"candidates.number = {self.candidates.number} must be at least slots = {self.slots}",
            ),
            (
                self.scale_zero == self.scale_hundred,
                f"scale_zero and scale_hundred are both {self.scale_zero!r}; a scale needs two policies",
            ),
            (d_sum > 1, f"arrival.d_0 + arrival.d_1 = {d_sum:g} must be at most 1"),
            (
                len(cut) != 4 or list(cut) != sorted(cut),
                f"feedback.rating_cutpoints = {cut} must be 4 ascending numbers",
            ),
            (
                self.users.request_vague + self.users.request_misleading > 1,
                f"users.request_vague + users.request_misleading = "
                f"{self.users.request_vague + self.users.request_misleading:g} must be at most 1",
            ),
            *(
                (
                    self.users.request == 0 and getattr(self.users, name) != usual,
                    f"users.{name} = {getattr(self.users, name):g} needs users.request > 0; nobody says anything, and "
                    f"only {usual:g}, the default, is allowed",
                )
                for name in ("request_vague", "request_misleading")
                for usual in [getattr(UserConfig(), name)]
            ),
        ]

    def _scene_conflicts(self) -> list[tuple[bool, str]]:
        names = [scene.name for scene in self.scenes]
        owners = [role.scene for role in self.roles if role.scene]
        return [
            (not self.scenes, "scenes = () is empty; at least one scene is needed"),
            (len(set(names)) < len(names), f"scenes have repeated names {names}"),
            (any(o not in names for o in owners), f"roles own scenes {owners}, but the scenes are {names}"),
            (
                len(self.scenes) == 1 and bool(owners),
                f"roles own scenes {owners}, but the only scene {names} is that of all agents; '' is allowed",
            ),
            (
                len(self.scenes) > 1 and sorted(owners) != sorted(names),
                f"with several scenes {names} each needs exactly one owner among the roles, got {owners}",
            ),
            (
                len(self.scenes) > 1 and (self.opens_agent or self.auctioned),
                f"page = {self.page!r} cannot have several scenes {names}; one is allowed",
            ),
        ]

    def _role_conflicts(self) -> list[tuple[bool, str]]:
        return [
            (not self.roles, "roles = () is empty; at least one role is needed"),
            (
                len({r.name for r in self.roles}) < len(self.roles),
                f"roles have repeated names {[r.name for r in self.roles]}",
            ),
            (
                any(not r.name.replace("_", "a").isalnum() for r in self.roles),
                f"role names {[r.name for r in self.roles]} must be made of letters, digits and _",
            ),
            (
                len(self.roles) > 1 and self.num_agents != len(self.roles),
                f"num_agents = {self.num_agents} but {len(self.roles)} roles {[r.name for r in self.roles]} "
                "have one agent each; a single role is repeatable",
            ),
            (
                not self.catalogue and any(r.knows and len(r.knows) != self.items.topics for r in self.roles),
                f"roles.knows = {[list(r.knows) for r in self.roles]} must hold "
                f"one label for each of the {self.items.topics} topics, or none",
            ),
        ]

    def _reward_conflicts(self) -> list[tuple[bool, str]]:
        """Rewards for nothing but what cannot happen: whatever agents show, they would earn 0."""
        missing: dict[str, str] = {}  # event that cannot happen -> what it needs
        if not self.has_carts:
            missing |= dict.fromkeys(("cart", "purchase"), "scenes with cart = True")
        if not self.feedback.like:
            missing["like"] = "feedback.like = True"
        if not (self.feedback.rating_after_click > 0 or (self.has_carts and self.feedback.rating_after_purchase > 0)):
            missing["rating"] = (
                "feedback.rating_after_click above 0, or purchases and feedback.rating_after_purchase above 0"
            )
        paid = dict.fromkeys(
            name for role in range(len(self.roles)) for name, weight in self.reward_weights(role).items() if weight
        )
        needed = dict.fromkeys(missing[name] for name in paid if name in missing)
        return [
            (
                bool(paid) and paid.keys() <= missing.keys(),
                f"agents are paid for {', '.join(paid)} alone, which cannot happen here; needed are "
                f"{', or '.join(needed)}",
            )
        ]

    def _offer_conflicts(self) -> list[tuple[bool, str]]:
        static = [self.static_weights, *(role.static_weights for role in self.roles)]
        return [
            (
                self.offer.kind == "price" and not self.feedback.instant,
                f"offer.kind = 'price' needs feedback.instant = True, not {self.feedback.instant}: "
                "a price holds for the page that it is offered on",
            ),
            (
                not self.offer.low < self.offer.high,
                f"offer.low = {self.offer.low:g} must be below offer.high = {self.offer.high:g}",
            ),
            *(
                (
                    self.offer.kind != kind and any(level in weights for weights in static),
                    f"static_weights hold {level!r}, which needs offer.kind = {kind!r}, not {self.offer.kind!r}",
                )
                for kind, level in LEVELS.items()
            ),
        ]

    def _mood_conflicts(self) -> list[tuple[bool, str]]:
        """Moods that cannot be drawn, of users whose choices depend on their mood."""
        choice, moods = self.choice, len(self.choice.v_0_by_mood)
        mood_up, mood_down = self.dynamics.mood_up, self.dynamics.mood_down
        moves = [round(up + down, 9) for up, down in zip(mood_up, mood_down, strict=False)]
        none_sum = self.dynamics.mood_up_none + self.dynamics.mood_down_none
        return [
            (moods == 1, f"choice.v_0_by_mood = {choice.v_0_by_mood} must have at least 2 moods, or none"),
            (
                not self.catalogue and moods > 1 and {len(mood_up), len(mood_down)} != {self.items.topics},
                f"dynamics.mood_up = {mood_up} and mood_down = {mood_down} "
                f"need one probability for each of the {self.items.topics} topics",
            ),
            (
                moods > 1 and max(moves, default=0) > 1,
                f"dynamics.mood_up + mood_down = {moves} must be at most 1 for each topic",
            ),
            (none_sum > 1, f"dynamics.mood_up_none + mood_down_none = {none_sum:g} must be at most 1"),
        ]

    def _observation_conflicts(self) -> list[tuple[bool, str]]:
        return [
            (
                self.observation.item_ids != "none" and not self.retrieves and not self.observation.recent,
                f"observation.item_ids = {self.observation.item_ids!r} names candidates and recent items, and there "
                f"are none with action = {self.action!r} and observation.recent = 0",
            ),
            (
                self.observation.request and self.users.request == 0,
                "observation.request = True needs users.request > 0; nobody says anything",
            ),
            (
                self.continuous and self.mask_actions,
                f"mask_actions = True makes no sense with action = {self.action!r}; allowed is False",
            ),
            (self.messages == 1, "messages = 1 carries no information; allowed are 0 (none) and 2 or more"),
        ]

    def _item_conflicts(self) -> list[tuple[bool, str]]:
        return [
            (
                self.items.partner_step % self.items.domains > 0 and not self.items.domain_topics,
                f"items.partner_step = {self.items.partner_step} needs items.domain_topics = True, "
                "so that each domain has topics of its own",
            ),
            (
                0 < self.items.period < self.items.life,
                f"items.period = {self.items.period} must be 0 or at least items.life = {self.items.life}",
            ),
            (
                self.items.period > 0 and self.items.life == 0,
                f"items.period = {self.items.period} needs items.life > 0; with items.life = 0 only 0 is allowed",
            ),
            (
                self.items.title_signal > 0 and self.items.titles == "keywords",
                f"items.title_signal = {self.items.title_signal:g} needs items.titles = 'goods', 'films' or "
                "'headlines'; 'keywords' allows only 0",
            ),
            (
                not self.catalogue and not self.ranked and self.items.topics > self.items.number,
                f"items.topics = {self.items.topics} must be at most items.number = {self.items.number}",
            ),
        ]

    def _auction_conflicts(self) -> list[tuple[bool, str]]:
        """Settings with which the one slot of an auction page, or what it is worth, is not well defined."""
        scenes = [scene.name for scene in self.scenes if scene.cart]
        return [
            (
                self.auctioned != (self.offer.kind == "bid"),
                f"page = {self.page!r} and offer.kind = {self.offer.kind!r} do not go together: page = 'auction' "
                "and offer.kind = 'bid' need each other",
            ),
            (self.auctioned and self.slots > 1, f"page = 'auction' sells one slot; slots = {self.slots} must be 1"),
            (
                self.auctioned and not (self.retrieves and self.candidates.number == 1),
                f"page = 'auction' needs action = 'candidates' or 'weights', not {self.action!r}, with "
                f"candidates.number = 1, not {self.candidates.number}: the value of the slot is that of one item",
            ),
            (
                self.auctioned and bool(scenes) and not self.feedback.instant,
                f"page = 'auction' with carts in the scenes {scenes} needs feedback.instant = True, "
                f"not {self.feedback.instant}: what a page is worth is known at its end",
            ),
        ]

    def _privacy_conflicts(self) -> list[tuple[bool, str]]:
        """Settings that would reveal personal data in spite of the noise on observations."""
        setting = f"observation.privacy_epsilon = {self.observation.privacy_epsilon:g}"
        scenes, knowing = [scene.name for scene in self.scenes], [role.name for role in self.roles if role.knows]
        return [
            (
                self.private and broken,
                f"{setting} is not possible with {what}, which would reveal personal data; {allowed}",
            )
            for broken, what, allowed in (
                (len(scenes) > 1, f"the item that leads from scene to scene {scenes}", "one scene is allowed"),
                (bool(knowing), f"roles.knows of {knowing}", "none is allowed"),
                (self.observability == "full", "observability = 'full'", "'partial' is allowed"),
                (self.users.population == "fixed", "users.population = 'fixed'", "'fresh' is allowed"),
                (self.messages > 0, f"messages = {self.messages}", "0 is allowed"),
                (self.offer.kind != "none", f"offer.kind = {self.offer.kind!r}", "'none' is allowed"),
                (self.items.stock_init > 0, f"items.stock_init = {self.items.stock_init}", "0 is allowed"),
                (self.observation.history_decay == 1, "observation.history_decay = 1", "less than 1 is allowed"),
                (
                    self.action == "weights",
                    "action = 'weights', which ranks by features that observations withhold",
                    "other actions are allowed",
                ),
            )
        ]

    def _platform_conflicts(self) -> list[tuple[bool, str]]:
        """Settings that a platform has no use for: creators act between visits and see no visitor."""
        default = ItemConfig()
        scenes = [scene.name for scene in self.scenes]
        owning = [role.name for role in self.roles if role.domains or role.items]
        knowing = [role.name for role in self.roles if role.knows]
        ignored = [
            (name, getattr(self.items, name), getattr(default, name))
            for name in ("number", "bait_shape", "bait_topic_share", "life")
        ]
        return [
            (
                self.ranked != (self.action == "publish"),
                f"page = {self.page!r} with action = {self.action!r}: page = 'platform' and action = 'publish' need "
                "each other",
            ),
            *(
                (self.ranked and broken, f"page = 'platform' cannot have {what}; {allowed}")
                for broken, what, allowed in (
                    (self.slots != 1, f"slots = {self.slots}", "1 is allowed, and platform.places is the page's size"),
                    (len(scenes) > 1, f"several scenes {scenes}", "one is allowed"),
                    (bool(owning), f"inventories of the roles {owning}", "creators show their own items alone"),
                    (bool(knowing), f"roles.knows of {knowing}", "none is allowed"),
                    (bool(self.catalogue), f"catalogue = {self.catalogue!r}", "'' is allowed"),
                    (self.private, "observation.privacy_epsilon > 0", "0 is allowed"),
                    (self.observability == "full", "observability = 'full'", "'partial' is allowed"),
                    (self.messages > 0, f"messages = {self.messages}", "0 is allowed"),
                    (self.offer.kind == "price", "offer.kind = 'price'", "'none' is allowed"),
                    (self.observation.recent > 0, f"observation.recent = {self.observation.recent}", "0 is allowed"),
                    (self.observation.request, "observation.request = True", "False is allowed"),
                    *(
                        (value != usual, f"items.{name} = {value!r}", f"{usual!r}, the default, is allowed")
                        for name, value, usual in ignored
                    ),
                )
            ),
        ]

    def _suggestion(self, name: str) -> str:
        if name in _ARGUMENTS:
            return f" ({name!r} is an argument of {_ARGUMENTS[name]})"
        for group in GROUPS:
            if name in (f.name for f in fields(getattr(self, group))):
                return f" (did you mean {group}={{{name!r}: ...}}?)"
        if name in ("others", "opponents", "rivals"):
            return f" (policies of other agents are background=, an argument of {_ARGUMENTS['background']})"
        if name == "seed":
            return (
                " (episodes are seeded by reset(seed=...); world_seed is the seed of items and of the fixed population)"
            )
        if name == "gamma":
            return " (did you mean 'discount'?)"
        if (field := super()._suggestion(name)) or not (argument := nearest(name, _ARGUMENTS)):
            return field
        return f" (did you mean {argument!r}, an argument of {_ARGUMENTS[argument]}?)"

    def _check_changes(self, changes: Mapping[str, Any]) -> None:
        if "roles" in changes:
            return
        reward = changes.get("reward", {})
        if isinstance(reward, RewardConfig):
            usual = RewardConfig(), self.reward
            values = {f.name: getattr(reward, f.name) for f in fields(reward)}
            reward = {n: value for n, value in values.items() if all(value != getattr(other, n) for other in usual)}
        paid = [name for name in (*EVENTS, *OBJECTIVES) if isinstance(reward, dict) and name in reward]
        own = [r.name for r in self.roles if r.rewards]
        if paid and own:
            raise ValueError(
                f"reward.{paid[0]} = {shown(reward[paid[0]])} does not reach the roles {own}, "
                "whose weights are their own (RoleConfig.rewards); give roles= as well"
            )
        if changes.get("static_weights") and all(r.static_weights for r in self.roles):
            raise ValueError(
                f"static_weights = {shown(changes['static_weights'])} do not reach the roles "
                f"{[r.name for r in self.roles]}, whose weights are their own (RoleConfig.static_weights); "
                "give roles= as well"
            )

    def reward_weights(self, role: int) -> dict[str, float]:
        """Weight of every event and objective in the reward of a role.

        Raises:
            ValueError, TypeError: there is no role of this number.
        """
        check_count("role", role, 0, len(self.roles) - 1)
        own = self.roles[role].rewards
        return {name: own.get(name, 0.0) if own else getattr(self.reward, name) for name in (*EVENTS, *OBJECTIVES)}

    @property
    def agents(self) -> list[str]:
        """Agent names `<role>_<i>`."""
        if len(self.roles) == 1:
            return [f"{self.roles[0].name}_{i}" for i in range(self.num_agents)]
        return [f"{role.name}_0" for role in self.roles]

    @property
    def has_carts(self) -> bool:
        """Whether items can be put in the cart on some page."""
        return any(scene.cart for scene in self.scenes)

    @property
    def one_feed(self) -> bool:
        """Whether all agents' slots stand in one feed, in an order that is drawn for each page."""
        return self.page == "shared"

    @property
    def draws_order(self) -> bool:
        """Whether an order of the agents is drawn for each page."""
        return self.one_feed or self.auctioned

    @property
    def opens_agent(self) -> bool:
        """Whether a visitor opens one agent for a session and sees the slots of no other."""
        return self.page == "rival"

    @property
    def auctioned(self) -> bool:
        """Whether all agents bid for a page, and the slot of the winner is shown alone."""
        return self.page == "auction"

    @property
    def ranked(self) -> bool:
        """Whether a fixed ranker fills the page from what the agents have published."""
        return self.page == "platform"

    @property
    def private(self) -> bool:
        """Whether observations are differentially private (`privacy.py`)."""
        return self.observation.privacy_epsilon > 0

    def hidden(self, n: int) -> tuple[str, ...]:
        """Observation fields that agent n does not see, because its role or privacy hides them."""
        return (*self.role_of(n).hidden, *(WITHHELD if self.private else ()))

    def unseen_features(self, n: int) -> frozenset[str]:
        """Features of candidates that agent n does not see: those that follow from what is hidden from it, and those
        that privacy withholds."""
        return unseen_features(self.hidden(n)) | (WITHHELD_FEATURES if self.private else frozenset())

    @property
    def continuous(self) -> bool:
        """Whether actions are vectors (queries or weights)."""
        return self.action in ("query", "weights")

    @property
    def retrieves(self) -> bool:
        """Whether agents choose among candidates drawn by a retrieval stage."""
        return self.action in ("candidates", "weights")

    def role_of(self, n: int) -> RoleConfig:
        """Agent n's role."""
        return self.roles[self.role_index(n)]

    def role_index(self, n: int) -> int:
        """Index of agent n's role.

        Raises:
            ValueError, TypeError: there is no agent of this number.
        """
        check_count("n", n, 0, self.num_agents - 1)
        return 0 if len(self.roles) == 1 else n


# What kinds of page differ in, for `kernels/page_kinds.py`.
PAGE_PROPERTIES = ("one_feed", "draws_order", "opens_agent", "auctioned", "ranked")

GROUPS = (
    "users",
    "items",
    "choice",
    "feedback",
    "dynamics",
    "arrival",
    "reward",
    "offer",
    "platform",
    "candidates",
    "observation",
)

# Arguments of the constructors that are no fields, and which constructors take them.
_ARGUMENTS = {
    "render_mode": "parallel_env, env, single_agent_env and text_env; a batch does not render",
    "observation_format": (
        "parallel_env, env, vector_env, single_agent_env, single_agent_vector_env and shared_policy_env"
    ),
    "num_envs": "vector_env and single_agent_vector_env",
    "num_copies": "shared_policy_env",
    "num_threads": "vector_env, single_agent_vector_env and shared_policy_env",
    "specialize": "vector_env, single_agent_vector_env and shared_policy_env",
    "copy": "vector_env",
    "device": "vector_env",
    "autoreset_mode": "single_agent_vector_env and shared_policy_env",
    "agent": "single_agent_env and single_agent_vector_env",
    "background": "single_agent_env, single_agent_vector_env and text_env",
    "learners": "text_env",
    "words": "text_env",
}


def plain_config(config: WorldConfig) -> dict[str, Any]:
    """Return all fields as JSON values, to be stored with results; a catalogue is replaced by its digest."""
    kept = {f.name: getattr(config, f.name) for f in fields(config)}
    plain: dict[str, Any] = json.loads(json.dumps(kept, default=_plain))
    return plain


def _plain(value: Any) -> Any:
    return value.digest() if hasattr(value, "digest") else dataclasses.asdict(value)


def _catalogue_fields(config: WorldConfig) -> Iterator[tuple[str, dataclasses.Field[Any]]]:
    """Group and field of every number that a catalogue replaces."""
    return ((group, f) for group in GROUPS for f in fields(getattr(config, group)) if f.metadata.get("from_catalogue"))


def check_catalogue_fields(config: WorldConfig) -> None:
    """Refuse fields that a world with a catalogue would ignore.

    Raises:
        ValueError: a field that the catalogue determines differs from its default.
    """
    changed = {
        f"{group}.{f.name}": (value, f.default)
        for group, f in _catalogue_fields(config)
        if (value := getattr(getattr(config, group), f.name)) != f.default
    }
    if changed:
        given = ", ".join(f"{name} = {value!r}" for name, (value, _) in changed.items())
        defaults = ", ".join(f"{name} = {default!r}" for name, (_, default) in changed.items())
        raise ValueError(
            f"WorldConfig: {given} would be ignored, since the catalogue gives it; leave the default, {defaults}"
        )


def for_catalogue(config: WorldConfig, prices: bool) -> WorldConfig:
    """Return the config with all fields that a catalogue determines at their defaults.

    Args:
        prices: whether the catalogue determines how prices change.

    Raises:
        ValueError: it has moods, which move by its own topics.
    """
    if config.choice.v_0_by_mood:
        raise ValueError(
            f"a task with moods (choice.v_0_by_mood = {config.choice.v_0_by_mood}) "
            f"is made for its own {config.items.topics} topics and takes no catalogue"
        )
    changes: dict[str, dict[str, Any]] = {"items": {"promotion_probability": 0.0}} if prices else {}
    for group, f in _catalogue_fields(config):
        changes.setdefault(group, {})[f.name] = f.default
    return replace(config, changes)
