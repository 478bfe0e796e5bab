"""Numbers from stored results that sentences of the site quote as `{{ name }}`; they are computed when the site is
built.

from quoted import numbers; numbers()["pooling_random"]
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import first_runs
from measured import (
    RESULTS,
    NotMeasured,
    earns_more,
    evidence,
    files,
    listed,
    played,
    reward_beside_others,
    rewards_of_seeds,
    stored,
)
from models import BESIDE, over_seeds
from worlds_for_models import best_text, scores_of_playlist

from baselines.learners import TICKS
from baselines.paper import Study, core_hours
from recsys_env import SUITES, TASKS, Catalogue
from recsys_env.evaluation.tuning import Budget
from recsys_env.files import read_json
from recsys_env.fitting import page_doubts, page_world, plausibility, visits
from recsys_env.fitting.report import page_values, split
from recsys_env.policies import ORACLES

PAGES = Path(__file__).parent


def numbers() -> dict[str, str]:
    """Name -> the number as it is printed; where its result is not stored, "(not measured)"."""
    made = dict.fromkeys(used(), "(not measured)")
    sections = (
        generative,
        pooling,
        market,
        computation,
        new_items,
        observer,
        partners,
        fit,
        log_limits,
        session,
        state,
        costs,
        kernels,
        compiled,
        searches,
        paper,
        first_runs.numbers,
    )
    for section in sections:
        with suppress(NotMeasured):
            made |= section()
    return made


def used() -> set[str]:
    """The names that pages quote."""
    pages = (page.read_text(encoding="utf-8") for page in PAGES.rglob("*.md"))
    return {name for page in pages for name in re.findall(r"\{\{ (\w+) \}\}", page)}


def generative() -> dict[str, str]:
    """On how many tasks the generative recommender earns more than another policy, beyond both intervals."""
    trained: dict[str, dict[str, float]] = {}
    for path in files("training/generative-*.json"):
        result = read_json(path)
        if result["settings"]["algorithm"] == "generative":
            trained[result["settings"]["task"]] = dict(over_seeds(result["runs"], "after"))
    if not trained or not set(trained) <= set(played()):
        raise NotMeasured("training")

    def above(policy: str) -> str:
        rows = {task: played()[task]["teams"][policy] for task in trained}
        won = sum(earns_more(own, rows[task]) for task, own in trained.items())
        return f"{won} of {len(trained)}"

    quoted = {f"generative_above_{policy.replace('-', '_')}": policy for policy in BESIDE}
    return {name: above(policy) for name, policy in quoted.items() if name in used()}


def observer() -> dict[str, str]:
    """The tasks in which `observer` earns less than `static`, beyond both intervals."""
    below = [
        f"`{task}`"
        for task, row in played().items()
        if {"observer", "static"} <= set(row["teams"]) and earns_more(row["teams"]["static"], row["teams"]["observer"])
    ]
    return {"observer_below_static": listed(below)}


def partners() -> dict[str, str]:
    """Scores in `playlist-v0`, and rewards of trained networks in `bundle-v0`."""
    result = stored("partners")
    cases = {case: f"{case} bundle" for case in ("own", "shared", "deaf", "heard")}
    if not {"own playlist", *cases.values()} <= set(result["learned"]):  # trainings are stored one by one
        raise NotMeasured("partners")
    scores = scores_of_playlist(result)
    rewards = {case: rewards_of_seeds(result["learned"][name]).mean() for case, name in cases.items()}
    return {
        **{f"playlist_{name.replace('-', '_')}": f"{scores[name]['score']:.0f}" for name in ("static", "ppo-torch")},
        **{f"bundle_{case}": f"{reward:.0f}" for case, reward in rewards.items()},
    }


def pooling() -> dict[str, str]:
    """Rewards in `crossdomain-v0` with the histories of one domain, with pooled ones, and with messages."""
    result = stored("crossdomain")
    alone, pooled, messages = (result["levers"][lever] for lever in ("alone", "pooled", "messages"))
    found = {
        "ppo_alone": alone["ppo-torch"],
        "ppo_pooled": pooled["ppo-torch"],
        "ppo_messages": messages["ppo-torch"],
        "content_alone": alone["content"],
        "content_pooled": pooled["content"],
        "random": alone["random"],
        **{f"pages_{'_'.join(of.split())}": row for of, row in result["generative"].items()},
    }
    steps = {"pooling_steps": f"{result['settings']['agent_steps'] / 1e6:.0f} million"}
    return {f"pooling_{name}": f"{row['individual_reward']['mean']:.0f}" for name, row in found.items()} | steps


def market() -> dict[str, str]:
    """The reward of a language model beside other policies in `grocery-v1`, and its time for a page."""
    results = [stored(path.stem) for path in files("kinds-*.json")]
    if not results:
        raise NotMeasured("kinds")
    grocery = stored("kinds-grocery-v1")

    seconds = [result["rows"]["llm:smollm2"]["beside"]["llm:smollm2"]["costs"]["ms"] / 1000 for result in results]
    return {
        "market_llm": f"{reward_beside_others(grocery, 'llm:smollm2'):.1f}",
        "market_tuned": f"{reward_beside_others(grocery, 'llm:smollm2-tuned'):.1f}",
        "market_seconds": f"{min(seconds):.1f} to {max(seconds):.1f} seconds",
    }


def computation() -> dict[str, str]:
    """The cost of a page on one core."""
    rows = stored("computation")["rows"]
    found = {"generative": rows["generative-1m"], "ppo": rows["ppo-torch"], "static": rows["static"]}
    made = {f"page_{name}_ms": f"{row['ms alone']:.2g} ms" for name, row in found.items()}
    return made | {
        "page_generative_parameters": millions(rows["generative-1m"]["parameters"]),
        "page_generative_operations": f"{rows['generative-1m']['operations'] / 1e6:.1f} million",
        "page_ppo_parameters": f"{rows['ppo-torch']['parameters']:,}",
        **{f"page_{name}_reward": f"{row['individual_reward']['mean']:.1f}" for name, row in found.items()},
    }


def new_items() -> dict[str, str]:
    """Recall of products that were placed by their words, and by their own purchases."""
    result = stored("new_items")
    ways = {
        "words": best_text(result["rankings"]),
        "purchases": "its own purchases: taste",
        "topic": "popularity of the topic",
        "random": "random",
    }
    return {f"new_items_{name}": f"{result['rankings'][way]['recall']['mean']:.2f}" for name, way in ways.items()}


def fit() -> dict[str, str]:
    """How the fitted households differ from the data."""
    result = stored("fit_report")
    scores = result["held-out purchases"]["all products"]
    repeats = [row for name, row in scores.items() if name.startswith("repeat count")]
    beside = max(repeats, key=lambda row: row["ndcg"]["mean"])["fitted minus this"]["ndcg"]
    columns = result["purchases"]
    habits, top = "share among the user's 64 habits at the end of training", "share of the 20 most bought products"
    data, shelf = columns["data, held out"], columns["shelf"]

    def dip(what: str) -> str:
        name = f"same {what} at the next trip ÷ three trips later, both ÷ shuffled"
        return between(100 * (1 - columns[column][name]) for column in ("data, training", "data, held out"))

    return {
        "fit_minus_repeats": f"{beside['mean']:+.4f} [{beside['low']:+.4f}, {beside['high']:+.4f}]",
        "fit_habits": f"{shelf[habits]:.2f}",
        "data_habits": f"{data[habits]:.2f}",
        "fit_top": f"{shelf[top]:.2f}",
        "data_top": f"{data[top]:.2f}",
        "data_topic_dip": f"{dip('topic')} %",
        "data_product_dip": f"{dip('product')} %",
    }


def log_limits() -> dict[str, str]:
    """Where `fit` refuses or doubts a log."""
    return {
        "fewest_purchases": f"{plausibility.FEWEST}",
        **{f"fewest_report_{what}": f"{number}" for what, number in split.FEWEST.items()},
        "fewest_users": f"{plausibility.FEWEST_USERS}",
        "fewest_clicks": f"{page_world.FEWEST_CLICKS}",
        "fewest_clickers": f"{page_world.FEWEST_CLICKERS}",
        "all_offered": f"{page_world.ALL_OFFERED}",
        "few_purchases": f"{plausibility.FEW}",
        "still_back": f"{visits.STILL_BACK:g}".lstrip("0"),
        "few_users": f"{plausibility.FEW_USERS}",
        "repeated_rows": f"{100 * plausibility.REPEATED:.0f} %",
        "far_below": f"{page_doubts.FAR_BELOW}",
        "share_of_price": f"{100 * plausibility.SHARE_OF_PRICE:.0f} %",
        "farthest_price": f"{plausibility.FARTHEST:,.0f}",
        "widest_prices": f"{plausibility.WIDEST:,.0f}",
        "typical_price": f"{plausibility.TYPICAL:.0f}",
        "largest_rating": f"{plausibility.LARGEST_RATING}",
        "fewest_matched": f"{page_values.FEWEST_CLICKS}",
    }


def session() -> dict[str, str]:
    """Pages of a session of `ecommerce-v1`, and sessions of an episode of `grocery-v1`."""
    shop, grocery = (evidence(task).get("levels") for task in ("ecommerce-v1", "grocery-v1"))
    if not (shop and grocery):
        raise NotMeasured("evidence")
    households = len(Catalogue.load("grocery").user_activity)
    return {
        **{f"session_{policy}": f"{shop[policy]['pages_per_session']:.1f}" for policy in ("random", "planner")},
        "grocery_sessions": f"{households * grocery['random']['sessions_per_place']:.0f}",
        "grocery_households": f"{households:,}",
    }


def state() -> dict[str, str]:
    """What policies gain that look at the state in tasks without an exact table: by observations, and as oracles."""
    found = {
        task: evidence(task).get("state", {}) for task in TASKS if "optimum" not in evidence(task).get("exact", {})
    }
    found = {task: row for task, row in found.items() if "missing" not in row}
    if any("gain" not in row for row in found.values()):
        raise NotMeasured("evidence")
    del found["coverage-v0"], found["social-v1"]
    observed = (100 * found[task]["observed"]["gain"]["mean"] for task in ("market-v0", "ecommerce-v1", "news-v1"))
    oracles = (100 * row["gain"]["mean"] for row in found.values() if row["policy"] in ORACLES)
    return {"state_gains": f"{between(observed)} %", "oracle_gains": f"{between(oracles)} %"}


def costs() -> dict[str, str]:
    """The bytes of state of one copy."""
    tasks = stored("speed")["tasks"]
    state = {label: row["B=1024"]["state_bytes_per_copy"] for label, row in tasks.items() if "B=1024" in row}
    return {
        "state_ecommerce": f"{state['ecommerce-v1 candidates'] / 1000:.0f} KB",
        "state_grocery": f"{state['grocery-v1 candidates'] / 1e6:.1f} MB",
    }


def kernels() -> dict[str, str]:
    """The largest share of a kernel in the profiles."""
    games = stored("profile")["games"].values()
    apart = ("others", "no kernel")
    shares = (share for game in games for name, share in game["shares"].items() if name not in apart)
    return {"largest_kernel": f"{100 * max(shares):.0f} %"}


def compiled() -> dict[str, str]:
    """What the compiler reports about the code for GPUs."""
    found = stored("gpu").get("compiled")
    if not found:
        raise NotMeasured("gpu")
    return {
        "gpu_capabilities": " and ".join(found),
        "gpu_registers": " and ".join(str(row["registers"]) for row in found.values()),
        "gpu_contracted": str(sum(row["contracted"] for row in found.values())),
        "gpu_spilled": str(sum(row["spill_stores"] + row["spill_loads"] for row in found.values())),
    }


def searches() -> dict[str, str]:
    """The episodes of a search for the weights of `static`, and as a multiple of what a learner plays."""
    budget = Budget()
    episodes = budget.generations * budget.population * budget.episodes
    times = [episodes * task.horizon / TICKS for task in TASKS.values() if task.static_weights]
    return {"search_episodes": f"{episodes:,}", "search_times": f"{min(times):.1f} to {max(times):.1f}"}


def paper() -> dict[str, str]:
    """What the protocol of `python -m baselines paper` plays on the suite `marl`, and the core-hours of the fastest and
    of the slowest learner."""
    study = Study("ppo-torch", SUITES["marl"].tasks, None, None, RESULTS / "training", 0)
    ranked = sorted((hours, f"`{name}`", on) for name, (hours, on) in core_hours(study).items())
    if not ranked:
        raise NotMeasured("training")
    tasks = sorted({task for *_, on in (ranked[0], ranked[-1]) for task in on.split(", ")})
    return {
        "paper_steps": f"{sum(job.algorithm.timesteps for job in study.jobs) / 1e6:.0f} million",
        "paper_trainings": f"{len(study.jobs)}",
        "paper_fastest": f"{ranked[0][0]:.1g} ({ranked[0][1]})",
        "paper_slowest": f"{ranked[-1][0]:.1g} ({ranked[-1][1]})",
        "paper_measured": listed([f"`{task}`" for task in tasks]),
    }


def millions(count: float) -> str:
    return f"{count / 1e6:.1f} million"


def between(values: Iterable[float]) -> str:
    """The lowest and the highest value."""
    found = list(values)
    return f"{min(found):.0f} to {max(found):.0f}"
