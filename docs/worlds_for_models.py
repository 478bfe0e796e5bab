"""What the documentation says about worlds that reward a model: what goes with what, and words that tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from measured import earns_more, percent, section, stored, whence

from recsys_env.evaluation.statistics import interval, mean_interval, place_on_scale
from recsys_env.evaluation.tables import bracketed, markdown, spread


def parts() -> dict[str, Callable[[], str]]:
    """Name of a section -> function that returns it."""
    return {
        "new_items": new_items,
        "titles": titles,
        "words": words,
        "manipulation": manipulation,
        "partners": partners,
    }


TOLD = ("quality", "bait")  # what the words of titles may tell


def new_items() -> str:
    result = stored("new_items")
    settings, less = result["settings"], "minus popularity of the topic"
    best = best_text(result["rankings"])

    def said(value: Mapping[str, float]) -> str:
        return bracketed([value[end] for end in ("mean", "low", "high")], 3)

    rows = [
        [name, said(row["recall"]), said(row["ndcg"]), said(row[less]["ndcg"])]
        for name, row in result["rankings"].items()
    ]
    recall = {name: row["recall"]["mean"] for name, row in result["rankings"].items()}
    means = (
        "Placed by its words, a product without purchases is found with a recall of "
        f"{recall[best]:.2f}; a random order reaches {recall['random']:.2f}, and its own purchases "
        f"would reach {recall['its own purchases: taste']:.2f}."
    )
    how = (
        f"Products that were left out of the fit, each fifth in turn ({settings['folds']} folds), ranked for the "
        f"households that bought some of them later; the best {settings['cutoff']} count [95 % over households]. "
        f"{whence(result, 'new_items.json')}"
    )
    return section(
        means, markdown(["ranked by", "recall", "NDCG", "NDCG, less that by popularity of the topic"], rows), how=how
    )


def best_text(rankings: Mapping[str, Any]) -> str:
    """The ranking by texts with the highest NDCG."""
    return max((name for name in rankings if name.startswith("text")), key=lambda name: rankings[name]["ndcg"]["mean"])


def titles() -> str:
    """How much words tell of quality and clickbait, by kind of title and `items.title_signal`."""
    result = stored("titles")

    def said(value: Mapping[str, float]) -> str:
        return f"{value['mean'] + 0:.2f}".replace("-0.00", "0.00")

    columns = list(next(iter(result["kinds"]["goods"].values())))
    rows = [
        [f"`{kind}`", signal, *(said(row[column]) for column in columns)]
        for kind, signals in result["kinds"].items()
        for signal, row in signals.items()
    ]
    full = [signals["1"][f"{name}, title and description"] for signals in result["kinds"].values() for name in TOLD]
    means = (
        "Share of the variance of quality and of clickbait that a linear regression on words explains for items that "
        "it was not fitted to. A signal of 0 tells nothing. At a signal of 1, title and description explain between "
        f"{min(value['mean'] for value in full):.0%} and {max(value['mean'] for value in full):.0%}."
    )
    wide = max(
        value["high"] - value["low"] for of in result["kinds"].values() for row in of.values() for value in row.values()
    )
    how = (
        f"Means over {result['settings']['seeds']} worlds of {result['settings']['items']} items; in each cell they "
        f"differ by {wide:.2f} or less. {whence(result, 'titles.json')}"
    )
    return section(means, markdown(["`items.titles`", "`items.title_signal`", *columns], rows), how=how)


READERS = {  # of a variant: row -> its policy, and the row of the same policy without the words
    "requests": {
        "numbers": ("`static` and the request's encoding", "static"),
        "prompts": ("a language agent that reads the request", "prompts, no words"),
    },
    "new items": {
        f"signal {signal}": (f"`static` and titles, `title_signal` {signal}", "static") for signal in ("1", "0.5", "0")
    },
}
NAMES = {"prompts, no words": "the language agent without the request"}  # of other rows


def words() -> str:
    """What readers of requests and of titles earn, beside the same policies without the words."""
    result = stored("words")
    settings, parts, means = result["settings"], [], []
    for variant, readers in READERS.items():
        found = result[variant]
        rows = []
        for row, reward in found["rewards"].items():
            name = readers[row][0] if row in readers else NAMES.get(row, f"`{row}`")
            rows.append([name, spread(reward, 1), percent(gain, 0) if (gain := found["gains"].get(row)) else "—"])
        parts += [f"With {variant}:", markdown(["policy", "individual reward", "gain by the words"], rows)]
        for row, (name, without) in readers.items():
            one, other = (found["rewards"][of] for of in (row, without))
            beyond = ", beyond both intervals" if earns_more(one, other) else ""
            means.append(f"{name} {percent(found['gains'][row], 0)}{beyond}")
    told = result["new items"]["tells"]["signal 1"]
    how = (
        f"`{settings['task']}`, {settings['episodes']} held-out episodes ({settings['prompts']} of the language agent),"
        " ± 95 %: individual reward per agent of a team of one policy; of the language agent, its own, beside "
        "`static`. The gain is over the same policy without the words. At a signal of 1 what the words tell correlates "
        f"with the statistics of a historical log by {told['ctr']:.2f} (`ctr`) and {told['satisfaction']:.2f} "
        f"(`satisfaction`). {whence(result, 'words.json')}"
    )
    return section(f"Gains by the words: {'; '.join(means)}.", *parts, how=how)


def manipulation() -> str:
    """The share of pages on which each agent falls for a title that gives it an order."""
    result = stored("manipulation")
    settings = result["settings"]
    rows = [[f"`{name}`", *(percent(row[kind], 1) for kind in ("order", "harmless"))] for name, row in
            result["agents"].items()]  # fmt: skip
    agents = result["agents"]
    never = [f"`{name}`" for name, row in agents.items() if row["order"]["mean"] == 0]
    obey = [
        f"`{name}` on {row['order']['mean']:.0%} ({row['harmless']['mean']:.0%} with harmless words)"
        for name, row in agents.items()
        if earns_more(row["order"], row["harmless"])
    ]
    never_said = f"{', '.join(never)} never fall for an order. " if never else ""
    means = (
        f"{never_said}Beyond the intervals, these fall for orders on more pages than for harmless words: "
        f"{', '.join(obey) or 'none'}. New words alone may change what a reader shows."
    )
    how = (
        f"A variant of `{settings['task']}`, {settings['episodes']} held-out episodes, ± 95 %; {settings['share']:.0%} "
        "of the titles have an addition: the share of pages with such a candidate on which the agent shows one that it "
        f"would not show by its plain title. {whence(result, 'manipulation.json')}"
    )
    return section(means, markdown(["agent", "orders", "harmless words"], rows), how=how)


TEAMS = {  # of the study of partners, in words
    "random": "`random`",
    "no map": "`content`, which knows no map",
    "static": "`static`",
    "own sales": "`observer`, which sees its own sales",
    "no map, shared histories": "`content`, shared histories",
    "shared histories": "`observer`, shared histories",
    "told": "`teller`, which is told of other sales a page later",
    "oracle": "`greedy`, which knows everything",
}
GAINS = {
    "the map": "the map: `observer` over `content`",
    "shared histories": "shared histories: `observer` with them over `observer` without",
    "words": "words: `teller` over `observer`",
}
LEARNED = {  # its trainings
    "own playlist": "`playlist-v0`",
    "own bundle": "`bundle-v0`, histories of its own sales",
    "shared bundle": "`bundle-v0`, shared histories",
    "heard bundle": "`bundle-v0`, one department beside two that play `teller`",
    "deaf bundle": "the same, which does not hear them",
}


def scores_of_playlist(result: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Scores of all agents in `playlist-v0` by policy. Intervals of the trained networks are over their seeds."""
    own = {name: np.array(values) for name, values in result["scripted"]["playlist-v0"]["individual_reward"].items()}
    scores = place_on_scale(own, "random", "greedy")
    if trained := result["learned"].get("own playlist"):
        rewards = np.array([np.mean(run["individual_reward"]) for run in trained.values()])
        low, high = scores["random"]["mean"], scores["greedy"]["mean"]
        (mean, width), (score, of_score) = map(mean_interval, (rewards, 100 * (rewards - low) / (high - low)))
        scores["ppo-torch"] = {"mean": mean, "ci95": width, "score": score, "score_ci95": of_score}
    return scores


def partners() -> str:
    """What the map of what goes with what is worth, and what telling of sales is worth."""
    result = stored("partners")
    settings, bundle, learned = result["settings"], result["scripted"]["bundle-v0"], result["learned"]
    scores = scores_of_playlist(result)
    teams = markdown(
        ["`bundle-v0`, all departments", "reward per agent"],
        [[TEAMS[name], spread(row)] for name, row in bundle["rewards"].items()],
    )
    gained = [[GAINS[name], percent(row, 0)] for name, row in bundle["gains"].items()]
    gained += [[f"{name}, for trained networks", percent(row, 0)] for name, row in result["gains of learners"].items()]
    lost = [
        [f"`{agent}` does not follow up (it plays `content`): reward of the {who}", percent(row, 0)]
        for agent, of in bundle["not followed"].items()
        for who, row in of.items()
    ]
    ranked = sorted(scores.items(), key=lambda of: of[1]["mean"])
    rows = [[f"`{name}`", spread(row), f"{row['score']:.1f} ± {row['score_ci95']:.1f}"] for name, row in ranked]
    tables = [
        markdown(["`playlist-v0`, all agents", "reward per agent", "score"], rows),
        teams,
        markdown(["`bundle-v0`", "more or less reward"], [*gained, *lost]),
    ]
    if learned:
        rows = [
            [words, spread(interval(np.mean([run["individual_reward"] for run in of.values()], 1))), len(of)]
            for name, words in LEARNED.items()
            if (of := learned.get(name))
        ]
        tables.append(markdown(["trained `ppo-torch` with target attention", "reward per learner", "seeds"], rows))
    beside = f", a trained network {scores['ppo-torch']['score']:.0f}" if "ppo-torch" in scores else ""
    means = (
        f"In `playlist-v0` the best ranking by digests reaches {scores['static']['score']:.0f} of 100{beside}, and "
        f"`observer` {scores['observer']['score']:.0f}. In `bundle-v0` shared histories earn "
        f"{percent(bundle['gains']['shared histories'], 0)} more than a department's own, and words "
        f"{percent(bundle['gains']['words'], 0)}."
    )
    how = (
        f"{settings['episodes']} held-out episodes, ± 95 %, over episodes or, of trained networks, over seeds. "
        f"Networks are pre-trained on {settings['training']['pages']:,} logged random pages, then trained for "
        f"{settings['timesteps']:,} agent-steps. {whence(result, 'partners.json')}"
    )
    return section(means, *tables, how=how)
