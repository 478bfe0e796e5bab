"""The named tasks: frozen, versioned `WorldConfig`s, each with what it stresses and which published numbers it was set to."""

from __future__ import annotations

import difflib
from typing import Any

from .config import RoleConfig, SceneConfig, WorldConfig, replace

_SHOP = (SceneConfig("page", cart=True),)

TASKS: dict[str, WorldConfig] = {
    "duel-v0": WorldConfig(
        description="the smallest dilemma",
        num_agents=2, slots=1, page="rows", action="items", observability="full", scenes=_SHOP, planner_price=2.0, world_seed=1,
        users=dict(number=1, topics=1, activity_log_sd=0.0, price_sensitivity_log_sd=0.0),
        items=dict(number=2, dims=1, topics=2, quality_sd=0.0, bait_topic_share=1.0, price_log_sd=0.0, topic_price_log_sd=0.0,
                   popularity_log_sd=0.0),
        choice=dict(v_0_by_mood=(-0.5, 0.5, 1.5), beta_taste=0.0, beta_quality=0.0, beta_bait=1.0, eta=0.0, kappa=0.0),
        feedback=dict(b_0=50.0, b_taste=0.0, b_quality=0.0, instant=True),
        dynamics=dict(drift=0.0, mood_up=(0.3, 0.0), mood_down=(0.0, 0.4), mood_up_none=0.1),
        arrival=dict(k_0=40.0, k_1=0.0, r_0=40.0, r_1=0.0),
        reward=dict(click=0.0, purchase=1.0),
    ),
    "ecommerce-v0": WorldConfig(
        description="price, stock, wallet, cart",
        num_agents=2, slots=5, page="shared", scenes=_SHOP, planner_price=0.5,
        users=dict(number=8, habit_size=8, wallet_init=1.5, wallet_refill=0.003),
        items=dict(number=200, topics=12, popularity_quality=0.5, stock_init=2, restock_period=500),
        choice=dict(v_0=6.0, beta_taste=4.0, beta_quality=1.0, beta_bait=2.5, beta_satiation=0.4, beta_repeat=-0.5, beta_intent=1.0, beta_price=0.7),
        feedback=dict(e_0=-0.1, a_taste=2.0, a_quality=0.4, a_bait=3.5, a_price=0.6, noise_scale=0.9, b_0=-4.0, b_taste=2.0, b_quality=0.3, b_price=2.0),
        candidates=dict(topic_scale=1.0),
        reward=dict(click=0.05, purchase=1.0),
    ),
    "journey-v0": WorldConfig(
        description="entrance, item and cart page, one agent each",
        num_agents=3, slots=4, page="rows", planner_price=1.0,
        scenes=(SceneConfig("entrance"), SceneConfig("item", beta_context=1.5, cart=True), SceneConfig("cart", cart=True)),
        roles=(RoleConfig("entrance", scene="entrance", rewards=(0.02, 0.0, 0.0, 0.0, 0.0, 0.0)), RoleConfig("item", scene="item"), RoleConfig("cart", scene="cart")),
        users=dict(number=8, habit_size=8),
        items=dict(number=400, topics=12, popularity_quality=0.5, bait_topic_share=0.7),
        choice=dict(v_0=5.0, beta_taste=4.0, beta_quality=1.0, beta_bait=2.0, beta_satiation=0.3, beta_repeat=-0.5, beta_intent=1.0, beta_price=0.7),
        feedback=dict(e_0=-0.2, a_taste=2.0, a_quality=0.4, a_bait=1.0, a_price=0.4, noise_scale=0.9, b_0=-4.0, b_topic=1.5, b_taste=2.0, b_quality=0.3, b_price=1.0),
        arrival=dict(k_0=1.9, k_1=0.8, r_0=-1.3, r_1=2.0),
        candidates=dict(topic_scale=1.0),
        reward=dict(click=0.0, purchase=1.0, sharing=1.0),
    ),
    "social-v0": WorldConfig(
        description="clickbait against satisfaction, trust",
        num_agents=4, slots=2, page="rows", planner_price=20.0,
        users=dict(number=8, habit_size=8),
        items=dict(number=400, topics=12, popularity_quality=0.5, price_log_sd=0.0, topic_price_log_sd=0.0),
        choice=dict(v_0=8.2, beta_taste=4.0, beta_quality=1.4, beta_bait=3.5, beta_satiation=0.4, beta_repeat=-0.5, beta_intent=1.0, beta_trust=0.5, dissimilarity=0.5),
        feedback=dict(e_0=0.5, a_taste=2.0, a_quality=0.5, a_bait=4.5, a_satiation=0.2, noise_scale=1.0, like=True),
        dynamics=dict(z_rate=0.15, trust_rate=0.15),
        arrival=dict(k_0=1.9, k_1=1.0),
        candidates=dict(topic_scale=1.0),
        reward=dict(click=1.0),
    ),
    "news-v0": WorldConfig(
        description="freshness",
        num_agents=3, slots=3, page="shared", planner_price=5.0,
        users=dict(number=16, habit_size=8),
        items=dict(number=120, topics=8, popularity_quality=0.5, price_log_sd=0.0, topic_price_log_sd=0.0, life=400, popularity_half_life=200.0),
        choice=dict(v_0=6.2, beta_taste=3.0, beta_quality=1.2, beta_bait=2.0, beta_satiation=0.4, beta_repeat=-1.5, beta_intent=0.5, beta_fresh=1.0, tau_fresh=100.0, beta_pop=0.2),
        feedback=dict(e_0=0.1, a_taste=1.5, a_quality=0.6, a_bait=2.2, noise_scale=1.0),
        arrival=dict(k_0=1.9, k_1=0.8),
        candidates=dict(topic_scale=1.0),
        reward=dict(click=1.0),
    ),
    "streaming-v0": WorldConfig(
        description="watch time",
        num_agents=3, slots=4, page="rows", planner_price=20.0,
        users=dict(number=8, habit_size=8),
        items=dict(number=400, topics=12, popularity_quality=0.5, length_log_sd=0.3, price_log_sd=0.0, topic_price_log_sd=0.0),
        choice=dict(v_0=8.2, beta_taste=6.0, beta_quality=1.3, beta_bait=2.0, beta_satiation=0.6, beta_repeat=-0.5, beta_intent=1.5, dissimilarity=0.6),
        feedback=dict(e_0=-0.5, a_taste=2.0, a_quality=0.5, a_bait=2.4, a_satiation=0.35, noise_scale=1.1),
        dynamics=dict(satiation_session=0.5),
        arrival=dict(k_0=2.0, k_1=1.0),
        candidates=dict(topic_scale=1.0),
        reward=dict(click=0.0, dwell=1.0),
    ),
    "coldstart-v0": WorldConfig(
        description="new users and items all the time",
        num_agents=4, slots=2, page="shared", planner_price=2.0,
        users=dict(number=8, habit_size=8),
        items=dict(number=200, topics=10, popularity_quality=0.5, price_log_sd=0.0, topic_price_log_sd=0.0, life=600),
        choice=dict(v_0=5.8, beta_taste=5.0, beta_quality=1.0, beta_bait=0.8, beta_satiation=0.3, beta_repeat=-1.0, beta_intent=1.0, beta_fresh=0.3, tau_fresh=100.0),
        feedback=dict(e_0=-0.4, a_taste=2.0, a_quality=0.5, a_bait=1.2, noise_scale=1.0),
        arrival=dict(k_0=1.9, k_1=0.8, d_0=0.3),
        candidates=dict(topic_scale=1.0),
        reward=dict(click=1.0),
        observation=dict(profile_noise=1.0),
    ),
    "grocery-v0": WorldConfig(
        description="a world fitted to real purchases",
        num_agents=2, slots=10, page="shared", scenes=_SHOP, catalogue="grocery", planner_price=0.0,
        users=dict(population="fixed", habit_size=64, habit_decay=0.9925, habit="purchase"),
        items=dict(promotion_probability=0.482, promotion_depth=0.244),
        choice=dict(v_0=3.0, beta_taste=2.02, beta_quality=0.0, beta_price=1.64, beta_repeat=1.47),
        feedback=dict(instant=True, b_0=0.0),
        arrival=dict(k_0=2.3, k_1=0.0, r_0=1.0, r_1=1.0),
        reward=dict(click=0.0, purchase=1.0),
    ),
    "rivals-v0": WorldConfig(
        description="platforms that users leave and come back to",
        num_agents=3, slots=4, page="rival", planner_price=20.0,
        users=dict(number=8, habit_size=8),
        items=dict(number=400, topics=12, popularity_quality=0.5, price_log_sd=0.0, topic_price_log_sd=0.0),
        choice=dict(v_0=7.6, beta_taste=4.0, beta_quality=1.4, beta_bait=3.5, beta_satiation=0.4, beta_repeat=-0.5, beta_intent=1.0, beta_trust=3.0),
        feedback=dict(e_0=0.5, a_taste=2.0, a_quality=0.5, a_bait=4.5, a_satiation=0.2, noise_scale=1.0, like=True),
        dynamics=dict(z_rate=0.15, trust_rate=0.15),
        arrival=dict(k_0=1.9, k_1=1.0),
        candidates=dict(topic_scale=1.0),
        reward=dict(click=1.0),
    ),
}  # fmt: skip


def task_config(task: str | WorldConfig, overrides: dict[str, Any]) -> WorldConfig:
    """The config of a task, by name or as given, with some fields replaced."""
    if isinstance(task, str):
        if task not in TASKS:
            close = difflib.get_close_matches(task, TASKS, n=1, cutoff=0.3)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise ValueError(f"unknown task {task!r}{hint}; tasks are {', '.join(TASKS)}")
        task = TASKS[task]
    if not isinstance(task, WorldConfig):
        raise TypeError(f"task = {task!r} must be the name of a task or a WorldConfig")
    return replace(task, overrides)
