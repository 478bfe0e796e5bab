"""What the documentation says about large models and their cost: each measure as Markdown, with its plots."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from measured import NotMeasured, files, origin_of, picture, played, section, stored, union, whence, whence_rows

from recsys_env.evaluation.plots import COLOURS
from recsys_env.evaluation.statistics import interval, place_on_scale
from recsys_env.evaluation.tables import bracketed, markdown, marked, platform_values, spread
from recsys_env.files import read_json
from recsys_env.policies import ORACLES


def parts(folder: Path) -> dict[str, Callable[[], str]]:
    """Name of a section -> function that returns it.

    Args:
        folder: of the plots that sections show, in the documentation's source.
    """
    return {
        "new_items": new_items,
        "titles": titles,
        "words": words,
        "manipulation": manipulation,
        "partners": partners,
        "generative": generative,
        "scaling": partial(scaling, folder),
        "unseen": unseen,
        "cold_start": cold_start,
        "crossdomain": crossdomain,
        "kinds": kinds,
        "tuning": tuning,
        "adaptation": adaptation,
        "attackers": attackers,
        "privacy": privacy,
        "sparsity": partial(sparsity, folder),
        "interpretability": interpretability,
        "computation": partial(computation, folder),
    }


TOLD = ("quality", "bait")  # what the words of titles may tell
# Policies of the leaderboard that stand beside the generative recommender.
BESIDE = ("blind", "popularity", "nearest", "sasrec", "two-tower", "content", "static", "observer")


def percent(value: Mapping[str, float], digits: int = 1) -> str:
    return f"{value['mean']:.{digits}%} ± {value['ci95']:.{digits}%}"


def new_items() -> str:
    result = stored("new_items")
    settings, less = result["settings"], "best text minus this"

    def said(value: Mapping[str, float]) -> str:
        return bracketed([value[end] for end in ("mean", "low", "high")], 3)

    rows = [
        [name, said(row["recall"]), said(row["ndcg"]), said(row[less]["ndcg"]) if name != result["best text"] else "—"]
        for name, row in result["rankings"].items()
    ]
    recall = {name: row["recall"]["mean"] for name, row in result["rankings"].items()}
    means = (
        "Placed by its words, a product without purchases is found with a recall of "
        f"{recall[result['best text']]:.2f}; a random order reaches {recall['random']:.2f}, and its own purchases "
        f"would reach {recall['its own purchases: taste']:.2f}."
    )
    how = (
        f"Products that were left out of the fit, each fifth in turn ({settings['folds']} folds), ranked for the "
        f"households that bought some of them later; the best {settings['cutoff']} count [95 % over households]. "
        f"{whence(result, 'new_items.json')}"
    )
    return section(means, markdown(["ranked by", "recall", "NDCG", "NDCG of the best text less this"], rows), how=how)


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
            apart = one["mean"] - one["ci95"] > other["mean"] + other["ci95"]
            beyond = ", beyond both intervals" if apart else ""
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
    shares = {name: row["order"]["mean"] for name, row in result["agents"].items()}
    never = [f"`{name}`" for name, share in shares.items() if share == 0]
    others = [f"`{name}` on {share:.0%}" for name, share in shares.items() if share > 0]
    never_said = f"{', '.join(never)} never fall for an order. " if never else ""
    means = never_said + (f"Of the pages with such a title, others do: {', '.join(others)}." if others else "")
    how = (
        f"A variant of `{settings['task']}`, {settings['episodes']} held-out episodes, ± 95 %; {settings['share']:.0%} "
        "of the titles have an addition: the share of pages with such a candidate on which the agent shows one that it "
        f"would not show by its plain title. {whence(result, 'manipulation.json')}"
    )
    return section(means, markdown(["agent", "orders", "harmless words"], rows), how=how)


LEARNED = {  # trainings of the study of partners, in words
    "own playlist": "`playlist-v0`",
    "own bundle": "`bundle-v0`, histories of its own sales",
    "shared bundle": "`bundle-v0`, shared histories",
    "heard bundle": "`bundle-v0`, one department beside two that play `teller`",
    "deaf bundle": "the same, which does not hear them",
}


def partners() -> str:
    """What the map of what goes with what is worth, and what telling of sales is worth."""
    result = stored("partners")
    settings, bundle, learned = result["settings"], result["scripted"]["bundle-v0"], result["learned"]
    own = {name: np.array(values) for name, values in result["scripted"]["playlist-v0"]["own"].items()}
    if trained := learned.get("own playlist"):
        own["ppo-torch"] = np.mean([run["own"] for run in trained.values()], 0)
    scores = place_on_scale(own, "random", "greedy")
    teams = markdown(
        ["`bundle-v0`, all departments", "reward per agent"],
        [[name, spread(row)] for name, row in bundle["rewards"].items()],
    )
    gained = [[f"gain of {name}", percent(row, 0)] for name, row in bundle["gains"].items()]
    gained += [[f"gain of {name} to who learns", percent(row, 0)] for name, row in result["gains of learners"].items()]
    lost = [
        [f"`{agent}` does not follow up: {who}", percent(row, 0)]
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
            [words, spread(interval(np.mean([run["own"] for run in of.values()], 1))), len(of)]
            for name, words in LEARNED.items()
            if (of := learned.get(name))
        ]
        tables.append(markdown(["trained `ppo-torch` with target attention", "reward per learner", "seeds"], rows))
    beside = f", a trained network {scores['ppo-torch']['score']:.0f}" if trained else ""
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


def generative() -> str:
    """Rewards after pre-training and after training in the game, by task, beside policies of the leaderboard."""
    rows, sources, gained, passes = [], [], [], set[int]()
    known = {name for task in played().values() for name in task["teams"]}
    names = [name for name in BESIDE if name in known]
    for path in (*files("training/generative-*.json"), *files("single_runs/generative-*.json")):
        result = read_json(path)
        settings, runs = result["settings"], result["runs"]
        task, passes = settings["task"], passes | {settings.get("passes", 0)}
        means = {kind: over_seeds(runs, kind) for kind in ("before", "after", "gain")}
        others = {name: row for name in names if (row := played().get(task, {"teams": {}})["teams"].get(name))}
        low = means["after"]["mean"] - means["after"]["ci95"]
        above = [f"`{name}`" for name, row in others.items() if low > row["mean"] + row["ci95"]]
        said = [spread(others[name]) if name in others else "—" for name in names]
        pays = "the task's" if settings["sharing"] is None else "the team's"
        head = [f"`{task}`", f"`{settings['algorithm']}`", f"`{settings['size']}`", pays, str(len(runs))]
        rows.append([*head, *map(spread, means.values()), *said, ", ".join(above)])
        gained.append(means["gain"]["mean"] > means["gain"]["ci95"])
        sources += [{**result["sources"][run["source"]], "command": run["command"]} for run in runs]
    if not rows:
        raise NotMeasured("training")
    origin = origin_of(sources)
    how = (
        f"{settings['pages']:,} logged pages, {settings['timesteps']:,} agent-steps in the game: individual reward per "
        "agent and episode, ± 95 % over seeds (of one seed: over episodes), of the pre-trained network and of the "
        "trained one, beside policies that play all agents on other episodes. "
        f"{_former(passes)}{whence(origin, 'training/')[:-1]} and `benchmarks/results/single_runs/`."
    )
    head = ["task", "algorithm", "size", "reward", "seeds", "pre-trained", "trained", "gain"]
    head += [f"`{name}`" for name in names]
    return section(
        f"Training in the game raises the reward of the pre-trained network in {sum(gained)} of {len(gained)} rows, "
        "beyond the interval.",
        markdown([*head, "above, beyond both intervals"], sorted(rows)),
        how=how,
    )


def _former(passes: set[int]) -> str:
    """Say that runs of a fixed number of passes were pre-trained by an earlier version; nothing if there are none."""
    if not any(passes):
        return ""
    return (
        f"Runs were pre-trained by an earlier version, in {max(passes)} passes over pages with a click, without early "
        "stopping. "
    )


def over_seeds(runs: Sequence[Mapping[str, Any]], kind: str) -> Mapping[str, float]:
    """Mean and ci95 over training runs; over the episodes of the run if there is only one."""
    if len(runs) == 1:
        return runs[0][kind]  # type: ignore[no-any-return]
    return interval(np.array([run[kind]["mean"] for run in runs]))


_PREDICTORS = (("items", "unigram"), ("items", "bigram"), ("page", "base rate"))  # that stand in the table


def scaling(folder: Path) -> str:
    """Losses and rewards by size and number of logged pages, over seeds, beside policies that are not pre-trained."""
    return "\n\n".join(_scaling_of(result, folder) for result in _of_tasks("scaling"))


def _scaling_of(result: Mapping[str, Any], folder: Path) -> str:
    settings, groups = result["settings"], dict[tuple[int, int], list[Any]]()
    for cell in sorted(result["cells"].values(), key=lambda cell: (cell["pages"], cell["parameters"], cell["seed"])):
        groups.setdefault((cell["pages"], cell["parameters"]), []).append(cell)
    beside = {name: interval(np.array(row["own"])) for name, row in result["beside"].items()}
    own = {key: over_cells(cells, "own") for key, cells in groups.items()}
    items = {key: over_cells(cells, "best", "items") for key, cells in groups.items()}
    figure, (losses, rewards) = _figures(2, 8.5)
    for i, pages in enumerate(dict.fromkeys(pages for pages, _ in groups)):
        some = [key for key in groups if key[0] == pages]
        for axes, values in ((losses, items), (rewards, own)):
            means, widths = zip(*((values[key]["mean"], values[key]["ci95"] or 0.0) for key in some), strict=True)
            size, label = [parameters for _, parameters in some], f"{pages:,} pages"
            axes.errorbar(size, means, widths, fmt="o-", capsize=3, color=COLOURS[i], label=label)
    for name, end in beside.items():
        rewards.axhline(end["mean"], linestyle=":", linewidth=1, color="0.5")
        rewards.annotate(name, (1, end["mean"]), xycoords=("axes fraction", "data"), fontsize="x-small", va="center")
    losses.set(xscale="log", xlabel="parameters", ylabel="nats an item, held-out visitors")
    rewards.set(xscale="log", xlabel="parameters", ylabel="individual reward of the first agent per episode")
    losses.legend(fontsize="small", frameon=False)
    path = folder / f"scaling-{settings['task']}.png"
    figure.savefig(path, dpi=100)
    table = [
        [
            *(f"`{cells[0]['size']}`", f"{key[1]:,}", f"{key[0]:,}", str(len(cells))),
            *(f"{over_cells(cells, name)['mean']:.2g}" for name in ("operations", "steps")),
            *(spread(items[key], 3), spread(over_cells(cells, "best", "page"), 4)),
            *(f"{over_cells(cells, 'predictors', *name)['mean']:.3f}" for name in _PREDICTORS),
            *(spread(own[key]), f"{over_cells(cells, 'seconds', 'all')['mean']:.0f}"),
        ]
        for key, cells in groups.items()
    ]
    best, count = max(own, key=lambda key: own[key]["mean"]), len(groups)
    lost = {
        name: sum(
            gains([cell["predictors"]["items"][name] - cell["best"]["items"] for cell in cells])
            for cells in groups.values()
        )
        for name in ("unigram", "bigram")
    }
    earned = {
        name: sum(gains([cell["own"] - row["own"][cell["seed"]] for cell in cells]) for cells in groups.values())
        for name, row in result["beside"].items()
    }
    means = (
        f"`{settings['task']}`: Of {count} combination{'s' if count > 1 else ''} of size and pages, {lost['unigram']} "
        f"lose less on an item than the unigram of clicks, and {lost['bigram']} less than the bigram. The best, "
        f"`{groups[best][0]['size']}` on {best[0]:,} pages, earns {spread(own[best])}. Combinations that earn more "
        f"than a policy beside them: {', '.join(f'`{name}` {won} of {count}' for name, won in earned.items())}. A "
        "difference counts if its interval over seeds lies above 0."
    )
    how = (
        f"Pre-trained until the loss no longer falls; then it plays the first agent beside `{settings['rivals']}`, "
        f"{settings['episodes']} episodes for each seed; ± 95 % over seeds. Uniform over the catalogue loses "
        f"{over_cells(next(iter(groups.values())), 'predictors', 'items', 'uniform')['mean']:.2f} nats an item. "
        f"{whence(origin_of(cell['source'] for cell in result['cells'].values()), path.with_suffix('.json').name)}"
    )
    head = ["size", "parameters", "pages", "seeds", "FLOPs", "steps", "nats an item", "nats a page"]
    head += [*(name for _, name in _PREDICTORS), "individual reward", "seconds"]
    others = markdown(["beside it", "individual reward"], [[f"`{name}`", spread(end)] for name, end in beside.items()])
    return section(means, picture(path, "losses and reward by size"), markdown(head, table), others, how=how)


def over_cells(cells: Sequence[Mapping[str, Any]], *path: str) -> Mapping[str, float]:
    """Interval over the cells of different seeds of the number that lies at this path."""
    values: list[Any] = list(cells)
    for name in path:
        values = [value[name] for value in values]
    return interval(np.array(values, float))


def gains(differences: Sequence[float]) -> bool:
    """Whether differences, one for each seed, are above 0 by more than their interval, which one seed does not have."""
    found = interval(np.array(differences))
    return found["ci95"] is not None and found["mean"] > found["ci95"]


def unseen() -> str:
    sections = []
    for result in _of_tasks("unseen"):
        settings = result["settings"]
        rows = [
            [f"`{name}`", kind, *(spread(row[kind][who]) for who in settings["company"])]
            for name, row in result["rows"].items()
            for kind in row
        ]
        said = [
            f"`{name}` is `{begun['algorithm']}`, seed {begun['seed']}, {begun['timesteps'] / 1e6:.1f} M agent-steps "
            f"in {begun.get('catalogues', 1)} catalogues"
            for name, begun in result["trained"].items()
        ]
        how = (
            f"Individual reward of the first agent per episode, {settings['episodes']} episodes in each of sixteen "
            f"worlds, ± 95 % over worlds. {'; '.join(said)}. {whence(result, 'unseen-' + settings['task'] + '.json')}"
        )
        alone = {name: row["unseen"]["itself"] for name, row in result["rows"].items()}
        best, learned = (max(of, key=lambda name: alone[name]["mean"]) for of in (alone, result["trained"]))
        means = (
            f"In worlds of `{settings['task']}` that nothing was trained on, `{best}` earns the most beside itself, "
            f"{spread(alone[best])}; the best learner, `{learned}`, earns {spread(alone[learned])}."
        )
        head = ["policy", "catalogue", *(f"beside {who}" for who in settings["company"])]
        sections.append(section(means, markdown(head, rows), how=how))
    return "\n\n".join(sections)


def kinds() -> str:
    sections = []
    for result in _of_tasks("kinds"):
        settings, rows = result["settings"], []
        for name, row in result["rows"].items():
            alone = row["beside"].get(name)
            if alone is None:
                continue
            best = max(row["beside"].items(), key=lambda pair: pair[1]["all"]["mean"])
            costs = alone["costs"]
            said = [
                spread(alone[key]) if key in alone else "—" for key in ("own", "satisfaction", "diversity", "rating")
            ]
            rivals = [other["own"]["mean"] for who, other in row["beside"].items() if who != name]
            rows.append(
                [f"`{name}`", *said, f"{sum(rivals) / len(rivals):.2f}" if rivals else "—"]
                + [
                    f"{spread(best[1]['all'])} (`{best[0]}`)",
                    f"{costs.get('ms', 0):.2f}",
                    f"{costs.get('tokens', 0):.0f}",
                ]
                + [spread(row["best reply gains"]) if "best reply gains" in row else "—"]
            )
        how = (
            f"{settings['episodes']} episodes of {settings['ticks']} ticks, ± 95 %: individual reward of the first "
            "agent where all play the policy, the platform's satisfaction, diversity and rating then, individual "
            "reward on average beside the other policies, the best sum of rewards with another policy, and what a page "
            f"costs. {whence_rows(result['rows'], 'kinds-' + settings['task'] + '.json')}"
        )
        alone = {name: row["beside"][name]["own"] for name, row in result["rows"].items() if name in row["beside"]}
        best = max(alone, key=lambda name: alone[name]["mean"])
        means = f"In `{settings['task']}`, `{best}` earns the most where all play the same, {spread(alone[best])}."
        head = ["policy", "individual reward", "satisfaction", "diversity", "rating", "beside others", "best team with"]
        head += ["ms a page", "tokens a page", "a best reply gains"]
        sections.append(section(means, markdown(head, rows), how=how))
    return "\n\n".join(sections)


def tuning() -> str:
    """How adapters improve a language model, by task; `baselines language` writes the results."""
    rows, said, results = [], [], _of_tasks("tuning")
    for result in results:
        task = result["settings"]["task"]
        for new, stages in result["held_out"].items():
            named = [name for name in stages if name != "pages"]
            for name in named:
                found = stages[name]
                rows.append([f"`{task}`", new, name, f"{found['nats']:.3f}", f"{found['first']:.0%}"])
            first = {name: f"{stages[name]['first']:.0%}" for name in (*named[:3], named[-1])}
            said.append(
                f"on {stages['pages']} pages of new {new} the tuned model rates the clicked title first on "
                f"{first[named[-1]]}, the untuned one on {first['before']}, the most clicked title is right on "
                f"{first['most clicked']}, and chance on {first['chance']}"
            )
    settings, origin = results[-1]["settings"], origin_of(results)
    how = (
        f"`{settings['model']}`, {results[-1]['pages']} logged pages with a click. A fifth of the visitors and of the "
        "titles is held out. Loss of choosing the clicked title among it and up to "
        f"{settings['beside']} that were shown beside it, and how often it is rated first. "
        f"{whence(origin, 'tuning-*.json')}"
    )
    head = ["task", "new", "rating", "nats a page", "clicked title first"]
    return section(f"In `{settings['task']}`, {'; '.join(said)}.", markdown(head, rows), how=how)


def _of_tasks(name: str) -> list[Any]:
    """The stored results of a measure that has a file for each task.

    Raises:
        NotMeasured: nothing.
    """
    return [stored(path.stem) for path in files(f"{name}-*.json")] or [stored(name)]


def crossdomain() -> str:
    result = stored("crossdomain")
    settings = result["settings"]
    names = list(dict.fromkeys(name for row in result["levers"].values() for name in row))
    columns = {
        f"{what}, {lever}": (lever, key)
        for key, what in (("own", "individual reward"), ("new here", "new here"))
        for lever in result["levers"]
    }
    rows = [
        [f"`{name}`", *(spread(found[key], 3 if key != "own" else 1) if (found := _row(result, lever, name)) else "—"
         for lever, key in columns.values())]
        for name in names
    ]  # fmt: skip
    generative = [
        [kind, spread(row["own"], 1), spread(row["new here"], 3)] for kind, row in result["generative"].items()
    ]
    how = (
        "Individual reward per agent and episode, and per page of visitors who are new to a domain and "
        f"known to another; policies over {settings['episodes']} episodes, `ppo-torch` over {settings['seeds']} seeds "
        f"of {settings['agent_steps'] / 1e6:.1f} M agent-steps, ± 95 %. {whence(result, 'crossdomain.json')}"
    )
    beside = (
        f"The generative recommender (`{settings['size']}`, {settings['pages']:,} logged pages) plays one domain, the "
        "others play `content`. It was pre-trained on pages of other domains, of its own or of all; mean of the three, "
        f"{settings['seeds']} seeds:"
    )
    changes = [
        f"`{name}` earns {spread(result['levers']['alone'][name]['own'], 1)} by its own histories and "
        f"{spread(row['own'], 1)} by pooled ones"
        for name, row in result["levers"]["pooled"].items()
        if name in ("content", "ppo-torch")
    ]
    return section(
        f"In `{settings['task']}`, {', '.join(changes)}.",
        markdown(["policy", *columns], rows),
        beside,
        markdown(["pages of", "individual reward", "new here"], generative),
        how=how,
    )


def _row(result: Mapping[str, Any], lever: str, name: str) -> Any:
    return result["levers"][lever].get(name)


COLD = ("ndcg_new_users", "ndcg_known_users", "ndcg_cold_items", "ndcg_warm_items")
COLD_TASKS = ("coldstart-v1", "news-v1", "grocery-v1")


def cold_start() -> str:
    sections = []
    for task in COLD_TASKS:
        found = stored("evaluation")["tasks"][task]
        columns = {name: values for name in COLD if (values := platform_values(found, name))}
        rows = [
            [
                f"`{marked(team, row['learns'])}`",
                *(spread(values[i], 3) if values[i] else "—" for values in columns.values()),
            ]
            for i, (team, row) in enumerate(found["teams"].items())
        ]
        how = (
            f"Of the whole platform, ± 95 % (t over runs). {whence(union(found['teams'].values()), 'evaluation.json')}"
        )
        name, values = next(iter(columns.items()))
        teams = {team: value for team, value in zip(found["teams"], values, strict=True) if value}
        best = max((team for team in teams if team not in ORACLES), key=lambda team: teams[team]["mean"])
        means = (
            f"In `{task}`, `{best}` has the best `{name}` of the policies that use observations only, "
            f"{spread(teams[best], 3)}."
        )
        sections.append(section(means, markdown(["policy", *columns], rows), how=how))
    return "\n\n".join(sections)


def adaptation() -> str:
    result = stored("adaptation")
    settings, rows = result["settings"], []
    for policy, shifts in result["rows"].items():
        for shift, row in shifts.items():
            low, high = row["pages"]["range"]
            levels = [f"{row[name]['mean']:.3f}" for name in ("before", "at first", "new level")]
            pages = f"{row['pages']['mean']:.0f} ({low:.0f} to {high:.0f})" if row["rise"]["range"][0] > 0 else "—"
            rows.append([f"`{policy}`", shift, *levels, pages])
    how = (
        f"`{settings['task']}`, {settings['copies']} copies: individual reward per page of the first agent before the "
        f"change, over the first {settings['window']} pages after it and at its new level, and pages until "
        f"{settings['back']:.0%} of the way is made (95 % of resampled copies; — where it does not rise again). "
        f"{whence(result, 'adaptation.json')}"
    )
    again = [
        f"`{policy}` after a change of {shift}"
        for policy, shifts in result["rows"].items()
        for shift, row in shifts.items()
        if row["rise"]["range"][0] > 0
    ]
    means = f"Of all policies and changes, these rise again after the first pages: {', '.join(again) or 'none'}."
    head = ["policy", "what changes", "before", "at first", "new level", "pages"]
    return section(means, markdown(head, rows), how=how)


def attackers() -> str:
    """How often attackers are right under each promise of privacy, and how often they would be by chance."""
    result = stored("privacy")
    settings, closed, open_ = result["settings"], result["rows"][0], result["rows"][-1]
    rows = [
        [_epsilon(row), *(f"{percent(of['right'])} ({of['chance']['mean']:.1%})" for of in row["attackers"].values())]
        for row in result["rows"]
    ]
    statistics, rises, links = "topic by statistics", "clicks by statistics", "linking"

    def right(row: Mapping[str, Any], attacker: str) -> str:
        of = row["attackers"][attacker]
        return f"{of['right']['mean']:.0%} (chance {of['chance']['mean']:.0%})"

    means = (
        f"Without privacy an attacker finds {right(open_, rises)} of the clicks in the statistics of items, and these "
        f"statistics alone tell the main topic of {right(open_, statistics)} of the visitors. With ε = "
        f"{closed['epsilon']:g} it finds {right(closed, rises)} of the clicks and names {right(closed, statistics)} of "
        f"the topics. Linking by the profile is not covered: it is right for {right(closed, links)} of the visitors "
        "who come back."
    )
    numbers = ", ".join(f"{of['number']:,} ({name})" for name, of in open_["attackers"].items())
    how = (
        f"`{settings['task']}`, {settings['episodes']} episodes of random play: how often each attacker is right, "
        f"± 95 %, and in brackets how often it would be by chance. Cases without privacy: {numbers}. "
        f"{whence(result, 'privacy.json')}"
    )
    return section(means, markdown(["ε", *open_["attackers"]], rows), how=how)


def privacy() -> str:
    """What policies that act on observations earn under each promise of privacy."""
    result = stored("privacy")
    settings, rows = result["settings"], []
    for row in result["rows"]:
        noise = f"{row['profile_noise']:.2f} / {row['history_noise']:.1f}" if row["epsilon"] else "as the task has it"
        account = f"{row['second_account']:.4f}" if row["epsilon"] else "—"
        rows.append([_epsilon(row), noise, account, *(spread(value) for value in row["own"].values())])
    first, last = result["rows"][0], result["rows"][-1]
    how = (
        f"`{settings['task']}`, {settings['episodes']} episodes, δ = {first['delta']:g}, {first['pages']} pages: the "
        "noise on each number of profile and history, ε by a second account, and individual reward per agent and "
        f"episode, ± 95 %. {whence(result, 'privacy.json')}"
    )
    means = (
        f"Without privacy `static` earns {spread(last['own']['static'])}; with ε = {first['epsilon']:g} it earns "
        f"{spread(first['own']['static'])}."
    )
    return section(
        means, markdown(["ε", "noise", "second account", *(f"`{name}`" for name in first["own"])], rows), how=how
    )


def _epsilon(row: Mapping[str, Any]) -> str:
    return f"{row['epsilon']:g}" if row["epsilon"] else "∞"


def sparsity(folder: Path) -> str:
    result = stored("sparsity")
    figure, panels = _figures(2, 9)
    for axes, unit in zip(panels, ("pages per person", "impressions per item"), strict=True):
        for i, (policy, rows) in enumerate(result["rows"].items()):
            near: dict[int, list[tuple[float, float]]] = {}  # cells that are about as sparse make one point
            for row in rows:
                near.setdefault(round(2 * math.log10(row[unit])), []).append((row[unit], row["ndcg"]["mean"]))
            points = [
                [sum(part) / len(cells) for part in zip(*cells, strict=True)] for _, cells in sorted(near.items())
            ]
            colour, mark = COLOURS[i % len(COLOURS)], "os"[i // len(COLOURS)]
            axes.plot(*zip(*points, strict=True), f"{mark}-", color=colour, label=policy, markersize=4)
        axes.set(xscale="log", xlabel=unit, ylabel="NDCG")
    panels[1].legend(fontsize="x-small", frameon=False, bbox_to_anchor=(1, 1), loc="upper left")
    figure.savefig(folder / "sparsity.png", dpi=100)
    cells = next(iter(result["rows"].values()))
    ends = [min(cells, key=lambda row: row["pages per person"]), max(cells, key=lambda row: row["pages per person"])]
    table = []
    for policy, rows in result["rows"].items():
        chosen = [rows[cells.index(end)] for end in ends]
        table.append([f"`{policy}`", *(spread(row[name], 3) for row in chosen for name in ("ndcg", "own per page"))])
    named = [
        f"{end['users']} users, {end['items']} items, {end['ticks']} ticks ({end['pages per person']:.0f} pages each)"
        for end in ends
    ]
    how = (
        f"`{result['settings']['task']}` with other numbers of users, items and ticks: NDCG and individual reward per "
        f"page where there is least of a person, {named[0]}, and most, {named[1]}; ± 95 %. "
        f"{whence(result, 'sparsity.json')}"
    )
    head = ["policy", *(f"{name}, {where}" for where in ("least", "most") for name in ("NDCG", "own per page"))]
    least, most = (cells.index(end) for end in ends)
    gains = {
        policy: rows[most]["ndcg"]["mean"] - rows[least]["ndcg"]["mean"] for policy, rows in result["rows"].items()
    }
    best = max(gains, key=lambda policy: gains[policy])
    means = f"`{best}` gains the most from more pages of each person: its NDCG changes by {gains[best]:+.3f}."
    plot = picture(folder / "sparsity.png", "ranking quality by sparsity")
    return section(means, plot, markdown(head, table), how=how)


def interpretability() -> str:
    result = stored("interpretability")
    settings, rows = result["settings"], []
    for policy, row in result["rows"].items():
        shares = [f"{row[name]:.0%}" for name in ("features", "tree", "true terms")]
        rows.append([f"`{policy}`", *shares, percent(row["agreement"], 0), f"{row['reasons']:.2f}"])
    chance = next(iter(result["rows"].values()))["chance"]
    how = (
        f"`{settings['task']}`: the share of a slate that surrogates name (chance {chance:.0%}), how often what is "
        "shown is truly worth more than what is not (chance 50 %), and the cosine between what moves the choice and "
        f"what moves the utility. {whence(result, 'interpretability.json')}"
    )
    explained = {policy: row["features"] for policy, row in result["rows"].items()}
    least, most = (end(explained, key=lambda policy: explained[policy]) for end in (min, max))
    means = (
        f"A weighted sum of observed features names between {explained[least]:.0%} (`{least}`) and "
        f"{explained[most]:.0%} (`{most}`) of a policy's slate."
    )
    head = ["policy", "features", f"tree of depth {settings['depth']}", "true terms", "agreement", "reasons"]
    return section(means, markdown(head, rows), how=how)


def computation(folder: Path) -> str:
    result = stored("computation")
    figure, (axes,) = _figures(1, 6.5)
    for name, row in result["rows"].items():
        on = name in result["frontier"]
        axes.errorbar(row["ms alone"], row["own"]["mean"], row["own"]["ci95"], fmt="o", color=COLOURS[0 if on else 7])
        axes.annotate(
            name, (row["ms alone"], row["own"]["mean"]), xytext=(4, 4), textcoords="offset points", fontsize=8
        )
    axes.set(xscale="log", xlabel="milliseconds a page, one copy", ylabel="individual reward per agent and episode")
    figure.savefig(folder / "computation.png", dpi=100)
    rows = []
    for name, row in result["rows"].items():
        counts = [f"{row[what]:,.0f}" if row[what] else "—" for what in ("parameters", "operations")]
        joules = f"{1000 * row['joules']:.2f}" if row["joules"] else "—"
        times = [f"{row[when]:.3f}" for when in ("ms alone", "ms in a batch")]
        rows.append(
            [f"`{name}`", *counts, *times, joules, spread(row["own"]), "yes" if name in result["frontier"] else ""]
        )
    how = (
        f"`{result['settings']['task']}`, {result['settings']['episodes']} episodes, ± 95 %; a batch has "
        f"{result['settings']['batch']} copies. {whence(result, 'computation.json')}"
    )
    frontier = [
        f"`{name}` ({row['ms alone']:.2g} ms a page, reward {spread(row['own'])})"
        for name in result["frontier"]
        for row in [result["rows"][name]]
    ]
    means = (
        f"On the frontier of reward against time lie {', '.join(frontier)}; every other policy is slower than one of "
        "these that earns at least as much."
    )
    plot = picture(folder / "computation.png", "reward against time")
    head = [
        "policy",
        "parameters",
        "FLOPs a page",
        "ms a page",
        "in a batch",
        "mJ a page",
        "individual reward",
        "on the frontier",
    ]
    return section(means, plot, markdown(head, rows), how=how)


def draw_intervals(values: Mapping[str, Sequence[float]], label: str, path: Path) -> None:
    """A bar for each name, best on top, of (estimate, low, high)."""
    figure, (axes,) = _figures(1, 6.5, 1 + 0.26 * len(values))
    for name, (estimate, low, high) in reversed(values.items()):
        axes.barh(
            name, estimate, xerr=[[max(0.0, estimate - low)], [max(0.0, high - estimate)]], capsize=2, color=COLOURS[0]
        )
    axes.set(xlabel=label)
    figure.savefig(path, dpi=100)


def _figures(panels: int, width: float, height: float = 3.4) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(1, panels, squeeze=False)[0]
