"""What a world says of the log of pages that it was fitted to: estimates with standard errors, and what is assumed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config.settings import Settings, choice_field, number_field, weights_field, words_field

if TYPE_CHECKING:
    from ..config import WorldConfig

ESTIMATED = {
    "choice.v_0": "what choosing nothing is worth, from pages without a click",
    "choice.beta_taste": "weight of taste: root of the mean squared norm of a person's coefficients of the vectors",
    "choice.beta_repeat": "weight of habit, beside the tastes",
    "choice.beta_price": "weight of the log price, from prices that moved: no experiment",
    "choice.eta": "how attention falls with the position",
    "choice.kappa": "extra attention for the first position",
    "feedback.b_0": "log odds of a cart, or of a purchase at once, after a click",
    "feedback.b_taste": "weight of taste in these odds",
    "feedback.b_price": "weight of price in these odds",
    "arrival.d_0": "share of visits after which a user never comes back",
}
BOUNDED = ("choice.eta", "choice.kappa")  # a world allows no negative ones
FACTS = {
    "num_agents": "recommenders that share a page",
    "slots": "items that each of them shows",
    "users.population": "the people of the log in every episode",
    "candidates.number": "items that retrieval offers each recommender",
    "feedback.instant": "whether carts are bought at once",
    "feedback.cart_hazard": "purchases from the cart per page",
    "feedback.cart_abandon": "carts that are given up per page, of those not bought",
    "arrival.k_0": "length of a session, in pages",
}
KEPT = {
    "users.habit_decay": "how habits fade",
    "choice.beta_quality": "whether people see an item's quality on the page",
    "feedback.a_quality": "whether an item's quality satisfies people",
    "choice.beta_satiation": "whether people tire of a topic",
    "choice.beta_trust": "trust in a recommender",
    "dynamics.drift": "how far a click moves a taste",
    "feedback.e_0": "what people think of an item once they have it, and with it satisfaction",
    "arrival.k_1": "whether satisfaction keeps people in a session",
    "arrival.r_0": "visits; at this value nearly every tick of the world is a page, as in the log",
    "arrival.r_1": "whether satisfaction brings people back",
    "candidates.topic_scale": "how much more often retrieval offers topics that the user likes",
    "items.promotion_period": "ticks that a price holds",
    "observation.profile_noise": "how blurred recommenders see a taste",
}
UNKNOWN = (
    "intents that the logging policy saw and the log does not hold: they make what it showed look liked",
    "states that outcomes depend on and the log lacks, such as satiation; showing random pages does not cure this",
    "position and taste entirely apart, if the logging policy always put first what it expected to be liked: what "
    "users were shown tells much of such tastes, and some random pages tell the rest",
    "habit and taste apart, as far as tastes differ in ways that the item vectors do not span",
    "whether better pages bring people back",
    "people and items that are not in the log",
)


@dataclass(frozen=True)
class PageFacts(Settings):
    """Numbers that describe a log of pages, and the estimates that were made from it."""

    pages: int = number_field(0, "pages; 0 = the log was no log of pages", 0)
    shown: int = number_field(0, "items shown on them, all of which were used", 0)
    clicks: int = number_field(0, "pages with a click", 0)
    several_clicks: int = number_field(0, "pages with more than one click, of which the first counts", 0)
    carts: int = number_field(0, "clicked items that were put in a cart or bought", 0)
    purchases: int = number_field(0, "clicked items that were bought", 0)
    candidates: int = number_field(
        0, "items of the world that retrieval offered at the median page; 0 = the log does not say", 0
    )
    popularity: str = choice_field(
        "clicks",
        "where the popularity of items comes from: the platform's own column, or the log's clicks",
        "column",
        "clicks",
    )
    vectors: str = choice_field(
        "given",
        "where the vectors of items come from: given, or learned from the log's clicks",
        "given",
        "learned",
    )
    draws: int = number_field(0, "draws of the weights from their posterior distribution", 0)
    effective: float = number_field(0.0, "independent draws that would tell the least certain mean as precisely", 0)
    settled: bool = number_field(True, "whether the parts of the draws agree")
    still_there: float = number_field(0.0, "users who have not left by the end of the log; 0 = it does not tell", 0)
    item_sd: float = number_field(0.0, "standard deviation of intercepts beside what popularity and price tell", 0)
    quality_sd: float = number_field(0.0, "standard deviation of items' own log odds of a cart after a click", 0)
    standard_errors: Any = weights_field("standard errors of the estimates", 0, float("inf"), *ESTIMATED)
    at_bound: Any = words_field("parameters that are 0 because a world does not allow negative ones", *BOUNDED)


def page_summary(world: Any) -> str:
    """Return a text about what a world has from its log of pages, what is assumed, and what cannot be known."""
    facts, log, errors = world.page_log, world.log, world.page_log.standard_errors
    lines = [
        f"A world fitted to {facts.pages:,} pages with {facts.shown:,} shown items, {facts.clicks:,} clicks and "
        f"{facts.purchases:,} purchases",
        f"  {log.users:,} users, {log.items:,} items in {len(world.catalogue.topic_name)} topics"
        + (f", {log.first} to {log.last}" if log.first else ""),
        *provenance_lines(world),
    ]
    if facts.several_clicks:
        lines.append(f"  {facts.several_clicks:,} pages had several clicks: the first one counts")
    if log.relabelled:
        lines.append(f"  {log.relabelled:,} items had several categories or texts: the most frequent was taken")
    if facts.popularity == "clicks":
        lines.append(
            "  the log has no column for the platform's own popularity: its clicks stand in, which depend on what was "
            "shown; policies that go by popularity may rank wrongly"
        )
    if facts.vectors == "learned":
        lines.append(
            "  no vectors of items were given: they are learned from the clicks, one draw from their posterior. The "
            "standard errors below take them as known"
        )
    if not facts.candidates and log.items > world.candidates.number:
        lines.append(
            f"  the log has no column for the items that retrieval offered: in the world it offers "
            f"{world.candidates.number} of {log.items:,}, which changes what policies earn, also compared with each "
            "other; set candidates.number if you know it"
        )
    if not facts.settled:
        lines.append(
            f"  parts of the {facts.draws:,} draws from the posterior distribution disagree, and the least certain "
            f"mean rests on as few as {facts.effective:.0f} independent ones: take standard errors as rough"
        )
    if log.doubts:
        lines += ["", "Probably wrong with the log, or lacking", *(f"  - {doubt}" for doubt in log.doubts.splitlines())]
    lines += ["", "Estimated from the log, with standard errors"]
    for name, meaning in ESTIMATED.items():
        if name in errors:
            lines.append(f"  {name} = {value_of(world, name):.4g} (+- {errors[name]:.2g}): {meaning}")
        elif name in facts.at_bound and value_of(world, name) == 0:
            lines.append(
                f"  {name} = 0: {meaning}; its estimate was negative, which a world does not allow, so that all other "
                "estimates were made with 0"
            )
    lines.append(f"  intercepts of items: standard deviation {facts.item_sd:.2g} beside what popularity and price tell")
    if facts.carts:
        lines.append(
            f"  qualities of items: standard deviation {facts.quality_sd:.2g} in the log odds of a cart after a click"
        )
    lines.append("  tastes and price sensitivities of users: drawn from their posterior, one draw each")
    assumed = world.choice.beta_price if "choice.beta_price" not in errors else 0.0
    all_offered = not facts.candidates and world.candidates.number >= log.items
    if assumed or all_offered:
        lines += ["", "Assumed"]
    if assumed:
        lines.append(
            f"  choice.beta_price = {assumed:.4g} (the setting `beta_price` of the fit): no item's price moves in the "
            "log, at whose prices this weight changes nothing"
        )
    if all_offered:
        lines.append(
            f"  candidates.number = {world.candidates.number}: retrieval offers all items, which are few; "
            "the log does not say what it offered"
        )
    lines += ["", "Counted in the log"]
    counted = {name for name in FACTS if value_of(world, name) != _default(world, name)} | {"num_agents", "slots"}
    counted -= {"candidates.number"}
    if facts.candidates:
        offered = f"{world.candidates.number}: items that retrieval offers each recommender; the log says"
        lines.append(f"  candidates.number = {offered} {facts.candidates}")
    lines += [f"  {name} = {in_words(value_of(world, name))}: {FACTS[name]}" for name in FACTS if name in counted]
    if facts.still_there and log.users - facts.still_there >= 1:
        lines.append(
            f"  about {facts.still_there:,.0f} of the {log.users:,} users have not left by the end of the log; the "
            "others hardly come in the world"
        )
    ratios = world.catalogue.item_price_ratio
    if ratios.size and (ratios.min(axis=1) < ratios.max(axis=1)).any():
        lines.append(
            f"  prices change: each item has {ratios.shape[1]} that were asked for it, relative to its list price"
        )
    if (hazard := world.feedback.cart_hazard) and "feedback.cart_hazard" in counted:
        leaving = 1 - (1 - hazard) * (1 - world.feedback.cart_abandon)
        lines.append(
            f"  an item leaves the cart after {1 / leaving:.3g} pages on average: of what is put in a cart shortly "
            f"before the end of an episode ({world.horizon} ticks), less is bought than in the log"
        )
    lines += ["", "Kept at its default (override what you know better)"]
    listed = {*errors, *facts.at_bound, *(("choice.beta_price",) if assumed else ())}
    missing = [name for name in ESTIMATED if name not in listed]
    kept = {**{name: ESTIMATED[name] for name in missing}, **{n: FACTS[n] for n in FACTS if n not in counted}, **KEPT}
    if facts.candidates or all_offered:
        del kept["candidates.number"]
    lines += [f"  {name} = {in_words(value_of(world, name))}: {meaning}" for name, meaning in kept.items()]
    lines += ["", "Not to be known from a log of pages"]
    return "\n".join([*lines, *(f"  - {sentence}" for sentence in world.unknown)])


def provenance_lines(world: Any) -> list[str]:
    """Lines about the source of a log, and about the version and settings of the fit, as far as they are known."""
    source, log = world.catalogue.source, world.log
    lines = [f"  source: {source}"] if source else []
    return lines + ([f"  fitted by recsys_env {log.version} with {log.settings}"] if log.version else [])


def value_of(config: WorldConfig, name: str) -> Any:
    """The value of a field, whose name has its group before a dot."""
    value: Any = config
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _default(world: WorldConfig, name: str) -> Any:
    from ..config import WorldConfig

    return value_of(WorldConfig(), name)


def in_words(value: Any) -> str:
    """A value as summaries show it."""
    return f"{value:.4g}" if isinstance(value, float) else repr(value)
