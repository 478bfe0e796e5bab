"""The named tasks: frozen, versioned `WorldConfig`s. Each description says what the task demands and which published
numbers it is calibrated to."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import pettingzoo

from ..checks import ByName, ReadOnly, shown, unknown
from ..libraries import is_missing
from .catalogue import Catalogue
from .fitted import FittedWorld
from .settings import replace
from .world_config import (
    ArrivalConfig,
    CandidateConfig,
    ChoiceConfig,
    DynamicsConfig,
    FeedbackConfig,
    ItemConfig,
    ObservationConfig,
    OfferConfig,
    PlatformConfig,
    RewardConfig,
    RoleConfig,
    SceneConfig,
    UserConfig,
    WorldConfig,
    for_catalogue,
)

_SHOP = (SceneConfig("page", cart=True),)

# What `social-v1` and `rivals-v1` have in common: people without habits, items without prices, clicks that are paid.
_FEED = WorldConfig(
    num_agents=2,
    slots=1,
    horizon=400,
    users=UserConfig(number=8),
    items=ItemConfig(
        number=400, topics=12, quality_sd=0.3, popularity_quality=0.5, price_log_sd=0.0, topic_price_log_sd=0.0
    ),
    choice=ChoiceConfig(beta_quality=1.4, beta_satiation=0.4, beta_intent=1.0),
    feedback=FeedbackConfig(a_taste=2.0, a_quality=0.5, a_satiation=0.2, noise_scale=0.3, like=True),
    candidates=CandidateConfig(topic_scale=1.0),
    reward=RewardConfig(click=1.0),
)

# One bad click takes about .5 of z from a satisfied visitor of `news-v1`, `coldstart-v1` and `ecommerce-v1`.
_STRONG_MOODS = DynamicsConfig(z_rate=0.3, baseline=-0.4)

_SHIPPED: dict[str, WorldConfig] = {
    "duel-v1": WorldConfig(
        description="""Harvest or repair: two agents share one visitor, whose mood item Y exploits and item X repairs.

        A click is an instant purchase and pays its recommender 1. Item Y attracts clicks (utility 2 against 0) but
        disappoints and sometimes worsens the mood; item X repairs it. The mood has three levels, and in the worst one
        the visitor hardly ever clicks. Constant strategies form a prisoner's dilemma. Exact average rewards per tick
        are: Y against X (T) .155, both X (R) .143, both Y (P) .066, X against Y (S) .021. Pure strategies that see the
        mood (best, middle, worst) have exactly two symmetric equilibria, both strict. One is YXX: harvest in the best
        mood and repair in the others. This is also what a team would play, .231. The other is YYY, .066. Playing one
        against the other costs 36 to 43 % of the best response. Question: which of the two equilibria do learners
        select, the one that harvests what both repaired, or the one in which nobody repairs? Stresses: equilibrium
        selection, state dependence, credit over time. Discount .997.
        """,
        num_agents=2,
        slots=1,
        page="rows",
        action="items",
        observability="full",
        scenes=_SHOP,
        scale_zero="equilibrium",
        scale_hundred="joint",
        world_seed=1,
        users=UserConfig(number=1, topics=1, activity_log_sd=0.0, price_sensitivity_log_sd=0.0),
        items=ItemConfig(
            number=2,
            dims=1,
            topics=2,
            quality_sd=0.0,
            bait_topic_share=1.0,
            price_log_sd=0.0,
            topic_price_log_sd=0.0,
            popularity_log_sd=0.0,
        ),
        choice=ChoiceConfig(
            v_0_by_mood=(1.5, 1.5, 5.5), beta_taste=0.0, beta_quality=0.0, beta_bait=2.0, eta=0.0, kappa=0.0
        ),
        feedback=FeedbackConfig(e_0=1.0, a_taste=0.0, a_bait=2.0, b_0=50.0, b_taste=0.0, b_quality=0.0, instant=True),
        dynamics=DynamicsConfig(
            drift=0.0, mood_up=(0.5, 0.0), mood_down=(0.0, 0.1), mood_up_none=0.01, mood_down_none=0.02
        ),
        arrival=ArrivalConfig(k_0=40.0, k_1=0.0, r_0=40.0, r_1=0.0),
        reward=RewardConfig(click=0.0, purchase=1.0),
    ),
    "pricing-duel-v0": WorldConfig(
        description="""Two sellers of the same good choose among seven prices; the visitor is loyal to the last seller.

        A click is a purchase and pays the price minus the unit cost, which is half of the list price. The visitor is in
        one of three states: loyal to this seller, to the rival, or to nobody. There are 7^3 pure stationary strategies
        of these states, and `recsys_env.exact` finds the Markov perfect equilibria among them. Rewards per agent and
        tick when both play levels (mine, rival's, nobody's) are: of four such equilibria the worst (3, 0, 1) .2316 and
        the best symmetric one (3, 0, 2) .2692, prices at random .3219, myopic (5, 3, 3) .5903, joint optimum (6, 6, 3)
        .6986. Foresight alone makes rivals fight for every new customer. Agents also see both prices of the visitor's
        last page (`price_levels`), and strategies that react to these prices can earn more. Playing (6, 6, 3) while
        both did so at the last page, and (2, 0, 1) otherwise, is an equilibrium, too: tacit collusion at the joint
        optimum, which learners have been found to reach (Calvano et al. 2020). Question: where between the far-sighted
        Markov equilibrium and the joint optimum do learners settle, and do they change when they see or shape the
        rival's policy? Stresses: collusion, opponent shaping, foresight. Discount .997.
        """,
        num_agents=2,
        slots=1,
        page="rows",
        observability="full",
        scenes=_SHOP,
        roles=(RoleConfig("left", items=(0,)), RoleConfig("right", items=(1,))),
        scale_zero="equilibrium",
        scale_hundred="joint",
        users=UserConfig(number=1, topics=1, activity_log_sd=0.0, price_sensitivity_log_sd=0.0, rating_bias_sd=0.0),
        items=ItemConfig(
            number=2,
            dims=1,
            topics=1,
            quality_sd=0.0,
            price_log_sd=0.0,
            topic_price_log_sd=0.0,
            popularity_log_sd=0.0,
        ),
        choice=ChoiceConfig(
            v_0=0.0, beta_taste=0.0, beta_quality=0.0, beta_price=3.0, beta_trust=2.5, eta=0.0, kappa=0.0
        ),
        feedback=FeedbackConfig(
            e_0=50.0, a_taste=0.0, a_quality=0.0, noise_scale=0.0, b_0=50.0, b_taste=0.0, b_quality=0.0, instant=True
        ),
        dynamics=DynamicsConfig(
            drift=0.0,
            z_rate=0.0,
            z_rate_none=0.0,
            trust_rate=1.0,
            trust_rate_none=0.0,
            trust_rate_rival=1.0,
            baseline=0.0,
        ),
        arrival=ArrivalConfig(k_0=-40.0, k_1=0.0, r_0=40.0, r_1=0.0, d_0=0.3),
        reward=RewardConfig(click=0.0, purchase=1.0, margin_rate=0.5),
        offer=OfferConfig("price"),
        candidates=CandidateConfig(number=1),
    ),
    "market-v0": WorldConfig(
        description="""Three sellers share one screen; each shows two items and sets one of seven price levels.

        A click is a purchase and pays the price minus half of the list price. People differ in taste and in price
        sensitivity, some items are on promotion, and buyers become loyal to the seller at the expense of its rivals.
        This is the dilemma of `pricing-duel-v0` in a world that is too large to be solved exactly. A seller that looks
        ahead (`planner`, which pays .3 per unit of trust in itself) gains loyal customers by undercutting myopic
        rivals, but when all look ahead, all earn less than if none did. Individual reward per agent and episode: random
        69, planner 198, greedy 256, central 301; a planner among greedy rivals 282, a greedy one among planners 178.
        Question: do learning sellers fight for loyal customers or settle on prices that pay all of them, and who
        profits from looking further ahead than the others? Stresses: collusion, foresight, slates and prices at once.
        The task is not calibrated to a published funnel: more pages end in a purchase than in real shops, so that
        prices matter at every page. Discount .997.
        """,
        num_agents=3,
        slots=2,
        page="rows",
        scenes=_SHOP,
        roles=(RoleConfig("seller"),),
        scale_hundred="central",
        users=UserConfig(number=8, price_sensitivity_log_sd=0.4),
        items=ItemConfig(
            number=120,
            topics=8,
            quality_sd=0.5,
            price_log_sd=0.2,
            topic_price_log_sd=0.3,
            promotion_probability=0.2,
            promotion_depth=0.2,
        ),
        choice=ChoiceConfig(
            v_0=4.0, beta_taste=3.0, beta_quality=0.5, beta_price=3.0, beta_trust=2.5, dissimilarity=0.7
        ),
        feedback=FeedbackConfig(
            e_0=1.0, a_taste=2.0, a_quality=0.5, noise_scale=0.5, b_0=50.0, b_taste=0.0, b_quality=0.0, instant=True
        ),
        dynamics=DynamicsConfig(drift=0.0, trust_rate=0.8, trust_rate_none=0.0, trust_rate_rival=0.8, baseline=0.0),
        arrival=ArrivalConfig(k_0=-1.0, k_1=0.0, r_0=5.0, r_1=0.0, d_0=0.2),
        reward=RewardConfig(click=0.0, purchase=1.0, margin_rate=0.5),
        offer=OfferConfig("price"),
        candidates=CandidateConfig(number=10, topic_scale=1.0),
    ),
    "ecommerce-v1": WorldConfig(
        description="""Two sellers fill one shop window: slates of five, prices, stock, wallets, carts, mixed motives.

        Pays .05 per click and the margin of purchases. A purchase happens pages after the item was carted, if at all.
        There is one unit of each of 100 items in 500 ticks, and a wallet holds one mean price; without these limits the
        planner earns far more. Clickbait attracts clicks, but a bad one costs about .5 of satisfaction, so how much
        bait pays depends on the visitor. Question: how much of the next click should an agent give up for later
        purchases and return visits, while the other seller fills the rest of the page and may sell the last unit?
        Stresses: delayed reward, budgets, scarcity, retention. Calibration: clicks per page under random .20 (Virtual
        Taobao .206), a third of carts bought (RetailRocket .324); carts per click (.10) are about 4 times
        RetailRocket's .026, raised to keep learning practical. Discount .997.
        """,
        num_agents=2,
        slots=5,
        page="shared",
        scenes=_SHOP,
        users=UserConfig(number=8, habit_size=8, z_init=0.8, wallet_init=1.0, wallet_refill=0.002),
        items=ItemConfig(
            number=100, topics=12, bait_shape=0.5, popularity_quality=0.5, stock_init=1, restock_period=500
        ),
        choice=ChoiceConfig(
            v_0=7.0,
            beta_taste=4.0,
            beta_quality=1.0,
            beta_bait=3.5,
            beta_satiation=0.4,
            beta_repeat=-0.5,
            beta_intent=1.0,
            beta_price=0.7,
        ),
        feedback=FeedbackConfig(
            e_0=1.2,
            a_taste=2.0,
            a_quality=0.4,
            a_bait=4.5,
            a_price=0.6,
            noise_scale=0.4,
            b_0=-4.0,
            b_taste=2.0,
            b_quality=0.3,
            b_price=2.0,
        ),
        dynamics=_STRONG_MOODS,
        arrival=ArrivalConfig(k_0=1.2, k_1=3.0, r_0=4.0, r_1=10.0),
        candidates=CandidateConfig(topic_scale=1.0),
        reward=RewardConfig(click=0.05, purchase=1.0),
    ),
    "coverage-v0": WorldConfig(
        description="""Each of two agents knows half of what the visitor wants: the row or the column of its topic.

        The 12 topics form a grid of three rows and four columns, with one item for each topic. Each agent has one slot,
        and both share one reward: the click. An item shown by both is a hole, so agents that guess independently
        collide. Coordination improves in steps, and a scripted team plays each step: leaving to the other agent what it
        would show (`coverage-convention`), learning from the clicks on earlier pages of the session
        (`coverage-memory`), and telling what it knows in a word that the other agent hears at the visitor's next page
        (`coverage-talk`). `central` arranges the page with the knowledge of both and is 100 of the scale. Exact
        expected clicks per page: .147 at random, .276 each alone, .354 the best pair of rules, .523 with all known.
        Question: do learners discover a convention, memory or a language, and how much of the available gain do they
        realise? Stresses: team play, split information, memory, communication. The parameters were set by hand: each
        step is worth 10 to 30 % and sessions have 2.7 pages. The task is not calibrated to data. Discount .997.
        """,
        num_agents=2,
        slots=1,
        page="shared",
        action="items",
        messages=4,
        scale_hundred="central",
        users=UserConfig(number=8, intent_scale=0.0),
        items=ItemConfig(
            number=12, topics=12, quality_sd=0.0, price_log_sd=0.0, topic_price_log_sd=0.0, popularity_log_sd=0.0
        ),
        choice=ChoiceConfig(v_0=3.2, beta_taste=0.5, beta_quality=0.0, beta_intent=3.2, eta=0.0, kappa=0.0),
        arrival=ArrivalConfig(k_0=0.5, r_0=4.0),
        reward=RewardConfig(sharing=1.0),
        roles=(
            RoleConfig(
                "row",
                knows=(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2),
            ),
            RoleConfig(
                "column",
                knows=(0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3),
            ),
        ),
    ),
    "journey-v1": WorldConfig(
        description="""Three agents own the entrance, item and cart page of a shop and share one reward.

        Only purchases count. (The entrance has a click weight of .02, so that its myopic oracle has something to
        optimise.) Topics that attract clicks at the entrance are never put into carts, so clickbait is tempting there.
        An entrance that plans for the team (`planner`, which adds what the item page would sell to the value of a
        click) sells a third more than a selfish one (`greedy`). Question: does the entrance, which sells nothing
        itself, learn to send visitors where the other agents sell? Stresses: credit across agents and pages. Clicks per
        page (.52 under random) and carts are several times those of real shops, to keep learning practical. A third of
        carts is bought, as in RetailRocket. Discount .997.
        """,
        num_agents=3,
        slots=4,
        page="rows",
        scenes=(
            SceneConfig("entrance"),
            SceneConfig("item", beta_context=1.5, cart=True),
            SceneConfig("cart", cart=True),
        ),
        roles=(
            RoleConfig(
                "entrance",
                scene="entrance",
                rewards={"click": 0.02},
            ),
            RoleConfig(
                "item",
                scene="item",
            ),
            RoleConfig(
                "cart",
                scene="cart",
            ),
        ),
        users=UserConfig(number=8, habit_size=8),
        items=ItemConfig(number=400, topics=12, popularity_quality=0.5, bait_topic_share=1.0),
        choice=ChoiceConfig(
            v_0=5.0,
            beta_taste=4.0,
            beta_quality=1.0,
            beta_bait=3.0,
            beta_satiation=0.3,
            beta_repeat=-0.5,
            beta_intent=1.0,
            beta_price=0.7,
        ),
        feedback=FeedbackConfig(
            e_0=-0.2,
            a_taste=2.0,
            a_quality=0.4,
            a_bait=1.0,
            a_price=0.4,
            noise_scale=0.9,
            b_0=-4.0,
            b_topic=4.0,
            b_taste=2.0,
            b_quality=0.3,
            b_price=1.0,
        ),
        arrival=ArrivalConfig(k_0=1.9, k_1=0.8, r_0=-1.3, r_1=2.0),
        candidates=CandidateConfig(topic_scale=1.0),
        reward=RewardConfig(click=0.0, purchase=1.0, sharing=1.0),
    ),
    "social-v1": replace(
        _FEED,
        {
            "description": """Two teams fill a row each for the same users, whom clickbait drives away. A stag hunt.

        Pays clicks. Users return only while their satisfaction is above a threshold, and one clickbait click uses up
        most of the margin. Bait therefore pays on satisfied users; afterwards one of the two teams has to repair the
        damage with good items. The myopic oracle drives users away and earns little more than random play. With
        num_agents=1 this is a task of planning alone, with num_agents=4 a tragedy of the commons. Both teams see
        the visitor's observed satisfaction, estimated from all pages. Question: can two selfish learners sustain the
        repair that lets both harvest? Stresses: state dependence, long credit, social dilemmas. Clicks per page (.27
        under random, .62 under content) are above KuaiRand's .176 and .379 to .451. Discount .997.
        """,
            "page": "rows",
            "users": {"z_init": 0.8},
            "items": {"bait_shape": 0.5},
            "choice": {"v_0": 7.2, "beta_taste": 5.0, "beta_bait": 5.0},
            "feedback": {"e_0": 2.0, "a_bait": 6.0},
            "dynamics": {"z_rate": 0.4, "trust_rate": 0.15, "baseline": -0.5},
            "arrival": {"k_0": 1.0, "k_1": 4.0, "r_0": 6.0, "r_1": 15.0, "d_1": 0.5, "d_2": 6.0},
            "observation": {"observed_satisfaction": "platform"},
        },
    ),
    "news-v1": WorldConfig(
        description="""A news page of eight providers, whose items appear, age and expire within the episode.

        Pays clicks, and a little for diversity (.01 of a slate's dissimilarity) and for fairness: to show a provider
        that got less than its due share of exposure over about the last 50 pages earns a little, to show one that got
        more costs as much (.1 of theta times the difference). Individual rewards and scores count clicks only. A ranker
        that always corrects the exposure loses some of its clicks. Each item lives 400 ticks and then returns as a new
        item of the same desk. Clickbait attracts clicks and drives unsatisfied users away. Question: how fast can a
        policy learn the value of a new item before it expires, and what does a fair share for every provider cost in
        clicks?
        Stresses: non-stationarity, cold items, fairness against clicks, retention. Calibration: clicks per impression
        under random .015 (Upworthy .0152). Discount .997.
        """,
        num_agents=3,
        slots=3,
        page="shared",
        users=UserConfig(number=8, habit_size=8, z_init=0.8),
        items=ItemConfig(
            number=60,
            topics=8,
            providers=8,
            bait_shape=0.5,
            popularity_quality=0.5,
            price_log_sd=0.0,
            topic_price_log_sd=0.0,
            life=400,
            popularity_half_life=200.0,
        ),
        choice=ChoiceConfig(
            v_0=7.6,
            beta_taste=3.0,
            beta_quality=1.2,
            beta_bait=3.5,
            beta_satiation=0.4,
            beta_repeat=-1.5,
            beta_intent=0.5,
            beta_fresh=1.0,
            tau_fresh=100.0,
            beta_pop=0.2,
        ),
        feedback=FeedbackConfig(e_0=1.6, a_taste=1.5, a_quality=0.6, a_bait=4.5, noise_scale=0.4),
        dynamics=_STRONG_MOODS,
        arrival=ArrivalConfig(k_0=1.2, k_1=3.0, r_0=4.0, r_1=10.0),
        candidates=CandidateConfig(topic_scale=1.0),
        reward=RewardConfig(click=1.0, diversity=0.01, fairness=0.1, fairness_half_life=50.0),
    ),
    "streaming-v1": WorldConfig(
        description="""Three rows on a streaming home screen are paid by watch time; users tire of a topic.

        Each click satiates its topic for many pages, in all rows. Topics are a common resource that recovers slowly.
        Satiated users click less and enjoy less what they watch. All rows see the platform's history of the visitor.
        Question: do the rows remember what the visitor has had enough of, and leave topics time to recover? Stresses:
        memory, a commons of attention. Clicks per page .21 under random (KuaiRand .176) and .29 under content (KuaiRand
        .379 to .451; unreachable here because users get satiated). Discount .997.
        """,
        num_agents=3,
        scale_hundred="learned/streaming-v1/oracle",
        slots=2,
        horizon=600,
        page="rows",
        users=UserConfig(number=8, habit_size=8),
        items=ItemConfig(
            number=400, topics=12, popularity_quality=0.5, length_log_sd=0.3, price_log_sd=0.0, topic_price_log_sd=0.0
        ),
        choice=ChoiceConfig(
            v_0=6.4,
            beta_taste=6.0,
            beta_quality=1.3,
            beta_bait=2.0,
            beta_satiation=3.0,
            beta_repeat=-0.5,
            beta_intent=1.5,
            dissimilarity=0.6,
        ),
        feedback=FeedbackConfig(e_0=-0.5, a_taste=2.0, a_quality=0.5, a_bait=2.4, a_satiation=1.2, noise_scale=1.1),
        dynamics=DynamicsConfig(satiation_page=0.97, satiation_session=1.0),
        arrival=ArrivalConfig(k_0=2.0, k_1=1.0),
        candidates=CandidateConfig(topic_scale=1.0),
        reward=RewardConfig(click=0.0, dwell=1.0),
        observation=ObservationConfig(history_decay=0.85, share=True),
    ),
    "coldstart-v1": WorldConfig(
        description="""New users and items arrive all the time: 1 to 4 in 10 sessions end in a new person.

        Pays clicks. Items live 600 ticks. Profiles are blurred for privacy: their noise has twice the norm of a taste.
        An agent knows only its own history of a visitor, so its rivals may know what it lacks (`observation.share`
        pools the histories). A new person starts with neutral satisfaction (z 0). The first pages decide whether it
        comes back, and only satisfied users forgive bait. Question: what should an agent show to a person of whom it
        knows almost nothing, and how soon does it know more than its rivals? Stresses: exploration, private
        information, fast adaptation, retention. Calibration: clicks per page under random .17 (KuaiRand .176). Discount
        .997.
        """,
        num_agents=4,
        slots=2,
        page="shared",
        users=UserConfig(number=8, habit_size=8, z_init=0.0),
        items=ItemConfig(
            number=200,
            topics=10,
            bait_shape=0.5,
            popularity_quality=0.5,
            price_log_sd=0.0,
            topic_price_log_sd=0.0,
            life=600,
        ),
        choice=ChoiceConfig(
            v_0=8.8,
            beta_taste=7.0,
            beta_quality=0.7,
            beta_bait=3.0,
            beta_satiation=0.3,
            beta_repeat=-1.0,
            beta_intent=1.0,
            beta_fresh=0.3,
            tau_fresh=100.0,
        ),
        feedback=FeedbackConfig(e_0=1.3, a_taste=2.0, a_quality=0.5, a_bait=4.5, noise_scale=0.4),
        dynamics=_STRONG_MOODS,
        arrival=ArrivalConfig(k_0=1.2, k_1=3.0, r_0=2.0, r_1=10.0, d_0=0.1, d_1=0.3, d_2=4.0),
        candidates=CandidateConfig(topic_scale=1.0),
        reward=RewardConfig(click=1.0),
        observation=ObservationConfig(profile_noise=2.0),
    ),
    "grocery-v1": WorldConfig(
        description="""The same 2,434 households shop in every episode: habits, prices, promotions; slates of ten.

        A click may be an instant purchase, which pays its margin. Tastes, habits, prices and their weights are fitted
        to 84.51 Complete Journey (`Catalogue.load("grocery").settings`). v_0 and the cart intercept are set so that
        clicks do not saturate: .28 a page under random, .49 under content. Profiles are noisier than in other tasks.
        There is no satiation: in the data a purchase makes its topic hardly rarer at the next trip. Question: how much
        of what a household will click and buy can be learned from its past purchases, the prices and the promotions?
        Stresses: learning from a fixed population, price and promotion. Nearly every tick is a visit. Discount .997.
        """,
        num_agents=2,
        slots=10,
        page="shared",
        scenes=_SHOP,
        scale_hundred="central",
        catalogue="grocery",
        users=UserConfig(population="fixed", habit_size=64, habit_decay=0.9925, habit="purchase"),
        items=ItemConfig(promotion_probability=0.4826, promotion_depth=0.244),
        choice=ChoiceConfig(v_0=5.7, beta_taste=2.3049, beta_quality=0.0, beta_price=1.6381, beta_repeat=1.3358),
        feedback=FeedbackConfig(instant=True, b_0=0.0),
        arrival=ArrivalConfig(k_0=2.3, k_1=0.0, r_0=1.0, r_1=1.0),
        candidates=CandidateConfig(topic_scale=1.0),
        reward=RewardConfig(click=0.0, purchase=1.0),
        observation=ObservationConfig(profile_noise=1.0),
    ),
    "crossdomain-v0": WorldConfig(
        description="""Three domains (news, videos, a shop) serve the same users; each domain has its own topics.

        Pays clicks, to the team. In each session a person opens one domain at random, for a page or two, and each
        domain knows the person only from its own pages. Profiles say next to nothing: their noise has four times the
        norm of a taste. Tastes lie in four dimensions that all domains share, so clicks in one domain are informative
        for the others. There are three ways to use them: `observation.share` pools the histories (`content` and
        `nearest` earn a sixth to a fifth more), `messages` lets the domain that a person leaves inform the next one,
        and a model may be pre-trained on pages of other domains. Question: how much of what one domain knows about a
        person reaches the others, and by which way? Stresses: transfer, cold start between domains, communication,
        privacy. Clicks per page .17 under random (KuaiRand .176). Discount .997.
        """,
        num_agents=3,
        slots=2,
        horizon=600,
        page="rival",
        users=UserConfig(number=12, groups=1, topics=2, activity_log_sd=0.5),
        items=ItemConfig(
            number=300,
            dims=4,
            domains=3,
            domain_topics=True,
            topic_weight=0.7,
            quality_sd=0.3,
            popularity_quality=0.5,
            price_log_sd=0.0,
            topic_price_log_sd=0.0,
        ),
        choice=ChoiceConfig(v_0=6.7, beta_taste=8.0, beta_quality=0.7, beta_satiation=0.3),
        feedback=FeedbackConfig(e_0=-0.2, a_taste=2.0, a_quality=0.5, noise_scale=0.3),
        dynamics=replace(_STRONG_MOODS, {"drift": 0.0}),
        arrival=ArrivalConfig(k_0=-0.5, k_1=1.0, r_0=2.0, r_1=3.0, d_0=0.05, d_1=0.2, d_2=3.0),
        candidates=CandidateConfig(topic_scale=1.0),
        reward=RewardConfig(click=1.0, sharing=1.0),
        observation=ObservationConfig(profile_noise=4.0),
        roles=(
            RoleConfig(
                "news",
                domains=(0,),
            ),
            RoleConfig(
                "video",
                domains=(1,),
            ),
            RoleConfig(
                "shop",
                domains=(2,),
            ),
        ),
    ),
    "bundle-v0": WorldConfig(
        description="""Three departments of one shop: what one of them sells makes demand for another.

        Pays purchases, to the team. Each department shows a row of its own goods on every page. What goes with an item
        that was just bought is sold by the next department, as lenses go with a camera. A department sees what it sold
        itself, so the one that could follow up does not know of the sale, unless histories are shared
        (`observation.share`) or messages tell (`messages`). What goes with what is a map that agents have to learn.
        Question: do the departments learn the map, and tell each other what they sold? Stresses: communication, team
        credit, representation learning. Discount .997.
        """,
        num_agents=3,
        slots=2,
        horizon=600,
        page="rows",
        scenes=_SHOP,
        users=UserConfig(number=8, groups=1, habit="purchase"),
        items=ItemConfig(
            number=600,
            domains=3,
            domain_topics=True,
            partner_step=1,
            topic_weight=0.8,
            quality_sd=0.5,
            price_log_sd=0.0,
            topic_price_log_sd=0.0,
        ),
        choice=ChoiceConfig(v_0=5.0, beta_taste=2.0, beta_partner=6.0, partner_decay=0.95),
        feedback=FeedbackConfig(b_0=1.0, b_taste=1.0, instant=True),
        dynamics=DynamicsConfig(drift=0.0),
        arrival=ArrivalConfig(k_0=3.0, k_1=0.5),
        candidates=CandidateConfig(topic_scale=1.0, features="both"),
        reward=RewardConfig(click=0.0, purchase=1.0, sharing=1.0),
        observation=ObservationConfig(recent=4),
        roles=(
            RoleConfig("cameras", domains=(0,)),
            RoleConfig("lenses", domains=(1,)),
            RoleConfig("travel", domains=(2,)),
        ),
    ),
    "playlist-v0": WorldConfig(
        description="""Two rival music apps: what somebody wants to hear next depends on the last two plays.

        Pays plays. A person opens one app for a session of many plays. What goes well after the last play, and after
        the one before it, are maps that agents have to learn from the vectors of songs: their observations hold no
        comparison of a candidate with the listener. Topics wear out, and listeners return to the app that they have
        come to trust. Question: does a model that reads the sequence beat every ranker that does not? Stresses:
        representation learning, sequences, retention. Discount .997.
        """,
        num_agents=2,
        slots=1,
        horizon=600,
        page="rival",
        scale_hundred="greedy",
        users=UserConfig(number=8, groups=1),
        items=ItemConfig(number=600, quality_sd=0.5, price_log_sd=0.0, topic_price_log_sd=0.0),
        choice=ChoiceConfig(
            v_0=3.0,
            beta_taste=2.5,
            beta_partner=6.0,
            partner_second=0.5,
            partner_decay=0.8,
            beta_satiation=0.5,
            beta_trust=2.0,
        ),
        feedback=FeedbackConfig(e_0=0.5, a_satiation=0.3, noise_scale=0.5),
        dynamics=DynamicsConfig(drift=0.0, trust_rate=0.2, trust_rate_none=0.05),
        arrival=ArrivalConfig(k_0=3.0, k_1=1.0, r_0=0.0, r_1=2.0),
        candidates=CandidateConfig(topic_scale=1.0, features="vectors"),
        reward=RewardConfig(click=1.0),
        observation=ObservationConfig(recent=8),
    ),
    "auction-v0": WorldConfig(
        description="""Four advertisers bid for the one sponsored slot of every page, each with a budget. Second price.

        Pays clicks on the own item, times a factor that is drawn for each bidder and page, less the price. The highest
        bid wins and pays the second highest. A bidder sees what the slot is worth to it, its budget, the pages until
        the next refill and the price of the last page, but not who paid. A budget is half of what four truthful bidders
        would spend. Who bids truthfully has therefore spent it when half of the pages are still to come; who bids less
        buys more pages at lower prices, and the less the others bid, the less it pays itself. If all four bid as little
        as they can, the slot goes to the same bidder as before and costs next to nothing, but any of them then gains by
        bidding more. Question: do learners find how much to bid at every page, and where between competition and
        collusion do they settle? Stresses: budgets over time, response to rivals, collusion. The task is not calibrated
        to data. Discount .997.
        """,
        num_agents=4,
        slots=1,
        page="auction",
        scale_zero="auction-truthful",
        scale_hundred="central",
        roles=(RoleConfig("bidder"),),
        users=UserConfig(number=8),
        items=ItemConfig(quality_sd=0.5, price_log_sd=0.0, topic_price_log_sd=0.0),
        choice=ChoiceConfig(v_0=3.0, beta_taste=4.0, beta_quality=1.0),
        dynamics=DynamicsConfig(drift=0.0),
        arrival=ArrivalConfig(k_0=2.0, k_1=0.0, r_0=5.0, r_1=0.0),
        candidates=CandidateConfig(number=1, topic_scale=1.0),
        reward=RewardConfig(click=1.0),
        offer=OfferConfig("bid", levels=21, low=0.0625, high=2.0, value_log_sd=0.6, budget=4.7, refill_period=250),
    ),
    "creators-v0": WorldConfig(
        description="""Twenty creators on one platform: bait wins clicks, and wears out the audience that all share.

        Pays clicks. Every 50 ticks each creator chooses topic and clickbait of its next item, which joins the last four
        that it published. A fixed ranker fills every page with the items that it predicts to be clicked. Bait wins
        places and clicks, and whoever clicked on it comes back less often, to anybody. With two creators honest items
        pay for each of them whatever the other does; with twenty the damage is everybody's and the gain is one's own.
        Question: up to how many creators does cooperation last, and under which learners? Stresses: social dilemmas of
        many, delayed credit, populations (`num_agents` from 2 to 50 is the treatment). Discount .997.
        """,
        num_agents=20,
        slots=1,
        page="platform",
        action="publish",
        scale_hundred="creators-fair",
        roles=(RoleConfig("creator"),),
        users=UserConfig(number=10, groups=1, topics=2, z_init=0.9),
        items=ItemConfig(dims=8, topics=4, quality_sd=0.3, price_log_sd=0.0, topic_price_log_sd=0.0),
        choice=ChoiceConfig(v_0=-1.0, beta_taste=2.0, beta_bait=0.8, kappa=0.0, eta=0.3),
        feedback=FeedbackConfig(e_0=1.5, a_taste=0.0, a_quality=0.3, a_bait=3.0, noise_scale=0.3),
        dynamics=DynamicsConfig(drift=0.0, z_rate=0.15, z_rate_none=0.0),
        arrival=ArrivalConfig(k_0=-3.0, k_1=0.0, r_0=0.0, r_1=3.3),
        reward=RewardConfig(click=1.0),
        platform=PlatformConfig(match=3.0, bait=2.0),
        observation=ObservationConfig(profile_noise=0.3),
    ),
    "rivals-v1": replace(
        _FEED,
        {
            "description": """Two rival platforms: each session opens one of them, the more trusted one more often.

        Pays clicks. A platform can invest in future visits by sparing users its bait: users then trust it more and open
        it more often, at the rival's expense. Against a myopic rival a small investment is the best response known. If
        both platforms invest the same constant amount, a whole range of amounts is in equilibrium: on the grid of the
        evidence card nothing tried beats 1.25 to 4 times the price that `planner` pays. Two platforms earn less the
        more both invest there (individual reward from 93 down to 50; both myopic 113). `planner` itself invests a
        little less than that. Myopic play is best for both and is 100 of the scale. Question: does a learner respond to
        the investment of the rival that it meets, and where do two learners end? Stresses: opponent modelling,
        competition for retention. Clicks per page .12 under random and .39 under content (KuaiRand .176 and .379 to
        .451). Discount .997.
        """,
            "page": "rival",
            "scale_hundred": "greedy",
            "items": {"bait_shape": 0.3},
            "choice": {"v_0": 6.0, "beta_taste": 4.0, "beta_bait": 3.0, "beta_trust": 3.0},
            "feedback": {"e_0": 1.2, "a_bait": 4.0},
            "dynamics": {"z_rate": 0.15, "trust_rate": 0.4, "trust_rate_none": 0.05, "baseline": 0.0},
            "arrival": {"k_0": 0.0, "k_1": 0.0, "r_0": 4.0, "r_1": 0.0},
        },
    ),
}


def _tuned(name: str, config: WorldConfig) -> WorldConfig:
    """A task with the parameters of `planner` and `static` that `python -m recsys_env tune` found for it."""
    found = dict(_FOUND.get(name, {}))
    weights = found.pop("roles", {})  # of `static`, by role
    roles = tuple(replace(role, {"static_weights": weights.get(role.name, {})}) for role in config.roles)
    return replace(config, {**found, "roles": roles})


_FOUND: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "tuned.json").read_text(encoding="utf-8"))
_TASKS = ByName("task", {name: _tuned(name, config) for name, config in _SHIPPED.items()})
TASKS: Mapping[str, WorldConfig] = ReadOnly(_TASKS, "`recsys_env.register_task` adds a task, and a task never changes")
"""Read-only mapping from name to task: the tasks of the package, which never change under their name, and those that
`register_task` added."""


class Suite(NamedTuple):
    """Tasks that are evaluated together.

    Attributes:
        title: its name in tables and headings.
        purpose: what its scores tell, in a sentence.
        tasks: names of its tasks, with changed fields where these are a treatment: `social-v1,num_agents=4`.
    """

    title: str
    purpose: str
    tasks: tuple[str, ...]


SUITES: Mapping[str, Suite] = ReadOnly(
    {
        "marl": Suite(
            "MARL",
            "Compares algorithms for several learners, who cooperate, compete or both; `duel-v1` and `pricing-duel-v0` "
            "are solved exactly, and `social-v1` is played by teams of two sizes.",
            (
                "duel-v1",
                "pricing-duel-v0",
                "coverage-v0",
                "bundle-v0",
                "social-v1",
                "social-v1,num_agents=4",
                "rivals-v1",
                "market-v0",
                "auction-v0",
                "creators-v0",
            ),
        ),
        "ranking": Suite(
            "Ranking with long-term effects",
            "Compares recommenders where what a page shows changes what later pages earn, by satisfaction, satiation, "
            "age of the items or the sequence of plays.",
            (
                "ecommerce-v1",
                "news-v1",
                "streaming-v1",
                "playlist-v0",
            ),
        ),
    },
    "the suites are part of the package",
)
"""The suites by name. Tasks in no suite are examples: they can be played and stay as they are, but are not scored on
the leaderboard."""


def suite_of(task: str) -> str:
    """Return the name of the suite that has a task, or "" for an example."""
    return next((name for name, suite in SUITES.items() if task in suite.tasks), "")


def register_task(name: str, config: WorldConfig) -> None:
    """Register a config of your own as a task, for this process.

    It is added to `TASKS`, and its name can be used wherever a task's can, as in `parallel_env("my-shop-v0")`,
    `pettingzoo.make("parallel", "recsys/my-shop-v0")` and `gymnasium.make("recsys/my-shop-v0")`.

    Args:
        name: letters, digits, `_` and `-`, with a version at the end, as in "my-shop-v0".
        config: the task.

    Raises:
        ValueError: the name has another form or is taken. A task never changes under its name: give it the next
            version.
        TypeError: `config` is not a `WorldConfig`.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f"name = {shown(name)} must be letters, digits, _ and - with a version at the end, as in 'my-shop-v0'"
        )
    if not isinstance(config, WorldConfig):
        raise TypeError(f"config = {shown(config)} must be a WorldConfig")
    if name in _TASKS:
        raise ValueError(f"task {name!r} is taken, and a task never changes; give yours another name or version")
    _TASKS[name] = config
    _announce(name)


_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]*-v(0|[1-9][0-9]*)")


def _announce(name: str) -> None:
    """Register a task with PettingZoo and Gymnasium as "recsys/<name>", and as EPyMARL takes it from Gymnasium."""
    pettingzoo.register("parallel", f"recsys/{name}", "recsys_env:parallel_env", kwargs={"task": name})
    pettingzoo.register("aec", f"recsys/{name}", "recsys_env:env", kwargs={"task": name})
    gymnasium.register(
        f"recsys/{name}",
        "recsys_env:single_agent_env",
        vector_entry_point="recsys_env:single_agent_vector_env",
        kwargs={"task": name},
    )
    gymnasium.register(
        f"recsys-gymma/{name}",
        "recsys_env.adapters.epymarl:EPyMARLEnv",
        disable_env_checker=True,  # whose environments pay one number
        kwargs={"task": name},
    )


for _name in _TASKS:
    _announce(_name)


def task_name(task: str | WorldConfig) -> str:
    """Return the name of an environment that plays a task: the task's own, or "recsys" for a config."""
    return task if isinstance(task, str) else "recsys"


def task_config(
    task: str | WorldConfig, overrides: Mapping[str, Any], catalogue: Catalogue | str | Path | None = None
) -> WorldConfig:
    """Return the config of a task, with some fields replaced.

    Args:
        task: name of a task, or a config. The name of your own task may be preceded by the module that registers it,
            as in Gymnasium: `my_file:my-shop-v0` imports `my_file` first. The file of a fitted world, `shop.npz`, is a
            task as well.
        overrides: fields to replace; nested ones are given as dicts.
        catalogue: replaces the items and users of a named task. The fields that the catalogue determines return to
            their defaults.

    Raises:
        ValueError, TypeError: the task, module, field or value does not exist or is not allowed; the message names the
            nearest one.
    """
    if isinstance(task, str):
        if task.endswith(".npz"):
            world: WorldConfig = FittedWorld.load(task)
            return replace(world, overrides)
        module, _, task = task.rpartition(":")
        if module:
            _import(module)
        if (name := task.partition(",")[0]) in TASKS and name != task:
            raise ValueError(
                f"task = {shown(task)} changes fields in its name, which commands allow; give them as keywords"
            )
        if task not in TASKS:
            if (name := task.rpartition("/")[2]) in TASKS:
                raise ValueError(
                    f"task = {shown(task)} is an id for pettingzoo.make or gymnasium.make; the task itself is {name!r}"
                )
            raise ValueError(f"{unknown('task', task, TASKS)}; a task that my_file.py registers is my_file:my-task-v0")
        task = TASKS[task]
        if catalogue is not None:
            task = for_catalogue(task, prices=Catalogue.load(catalogue).item_price_ratio.shape[1] > 0)
    if not isinstance(task, WorldConfig):
        hint = "; did you mean WorldConfig()?" if task is WorldConfig else ""
        raise TypeError(f"task = {shown(task)} must be the name of a task or a WorldConfig{hint}")
    return replace(task, overrides)


def _import(module: str) -> None:
    if module.startswith("."):
        raise ValueError(f"module {shown(module)} is relative to nothing; give its whole name")
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if not is_missing(module, error):
            raise
        raise ValueError(
            f"there is no module {shown(error.name)} that could register tasks; my_file.py in this folder or on "
            "PYTHONPATH is my_file:my-task-v0"
        ) from error
