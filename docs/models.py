"""What the documentation says about large models and their cost: each measure as Markdown, with its plots."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from measured import (
    NotMeasured,
    files,
    of_tasks,
    origin_of,
    percent,
    picture,
    played,
    reward_beside_others,
    section,
    stored,
    whence,
    whence_rows,
    who_earns_most,
)

from recsys_env.evaluation.plots import COLOURS
from recsys_env.evaluation.statistics import interval
from recsys_env.evaluation.tables import markdown, spread
from recsys_env.files import read_json


def parts(folder: Path) -> dict[str, Callable[[], str]]:
    """Name of a section -> function that returns it.

    Args:
        folder: of the plots that sections show, in the documentation's source.
    """
    return {
        "generative": generative,
        "scaling": partial(scaling, folder),
        "kinds": kinds,
        "tuning": tuning,
        "sparsity": partial(sparsity, folder),
        "interpretability": interpretability,
        "computation": partial(computation, folder),
    }


# Policies of the leaderboard that stand beside the generative recommender.
BESIDE = ("blind", "popularity", "nearest", "sasrec", "two-tower", "content", "static", "observer")


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
    return "\n\n".join(_scaling_of(result, folder) for result in of_tasks("scaling"))


def _scaling_of(result: Mapping[str, Any], folder: Path) -> str:
    settings, groups = result["settings"], dict[tuple[int, int], list[Any]]()
    for cell in sorted(result["cells"].values(), key=lambda cell: (cell["pages"], cell["parameters"], cell["seed"])):
        groups.setdefault((cell["pages"], cell["parameters"]), []).append(cell)
    beside = {name: interval(np.array(row["individual_reward"])) for name, row in result["beside"].items()}
    own = {key: over_cells(cells, "individual_reward") for key, cells in groups.items()}
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
        name: sum(
            gains([cell["individual_reward"] - row["individual_reward"][cell["seed"]] for cell in cells])
            for cells in groups.values()
        )
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


def kinds() -> str:
    sections = []
    for result in of_tasks("kinds"):
        settings, rows = result["settings"], []
        for name, row in result["rows"].items():
            alone = row["beside"].get(name)
            if alone is None:
                continue
            others = {who: found for who, found in row["beside"].items() if who != name}
            best = max(others.items(), key=lambda pair: pair[1]["all"]["mean"])
            costs = alone["costs"]
            said = [
                spread(alone[key]) if key in alone else "—"
                for key in ("individual_reward", "satisfaction", "diversity", "rating")
            ]
            rows.append(
                [f"`{name}`", *said, f"{reward_beside_others(result, name):.2f}"]
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
            f"reward on average beside {' and '.join(f'`{who}`' for who in settings['beside'])}, the best sum of "
            "rewards with another policy, and what a page costs. "
            f"{whence_rows(result['rows'], 'kinds-' + settings['task'] + '.json')}"
        )
        alone = {
            name: row["beside"][name]["individual_reward"]
            for name, row in result["rows"].items()
            if name in row["beside"]
        }
        means = f"In `{settings['task']}`, {who_earns_most(alone, ' where all play the same')}."
        head = ["policy", "individual reward", "satisfaction", "diversity", "rating", "beside others", "best team with"]
        head += ["ms a page", "tokens a page", "a best reply gains"]
        sections.append(section(means, markdown(head, rows), how=how))
    return "\n\n".join(sections)


def tuning() -> str:
    """How adapters improve a language model, by task; `baselines language` writes the results."""
    rows, said, results = [], [], of_tasks("tuning")
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
    # More pages per person by fewer people, in logs of the same length and catalogues of the same size.
    ticks, items = max(row["ticks"] for row in cells), sorted(row["items"] for row in cells)[len(cells) // 2]
    alike = [row for row in cells if (row["ticks"], row["items"]) == (ticks, items)]
    ends = [end(alike, key=lambda row: row["pages per person"]) for end in (min, max)]
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
    means = (
        f"Of as many pages by fewer people, `{best}` gains the most: its NDCG changes by {gains[best]:+.3f}. The plot "
        "shows longer logs as well."
    )
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
        axes.errorbar(
            row["ms alone"],
            row["individual_reward"]["mean"],
            row["individual_reward"]["ci95"],
            fmt="o",
            color=COLOURS[0 if on else 7],
        )
        axes.annotate(
            name,
            (row["ms alone"], row["individual_reward"]["mean"]),
            xytext=(4, 4),
            textcoords="offset points",
            fontsize=8,
        )
    axes.set(xscale="log", xlabel="milliseconds a page, one copy", ylabel="individual reward per agent and episode")
    figure.savefig(folder / "computation.png", dpi=100)
    rows = []
    for name, row in result["rows"].items():
        counts = [f"{row[what]:,.0f}" if row[what] else "—" for what in ("parameters", "operations")]
        joules = f"{1000 * row['joules']:.2f}" if row["joules"] else "—"
        times = [f"{row[when]:.3f}" for when in ("ms alone", "ms in a batch")]
        rows.append(
            [
                f"`{name}`",
                *counts,
                *times,
                joules,
                spread(row["individual_reward"]),
                "yes" if name in result["frontier"] else "",
            ]
        )
    how = (
        f"`{result['settings']['task']}`, {result['settings']['episodes']} episodes, ± 95 %; a batch has "
        f"{result['settings']['batch']} copies. {whence(result, 'computation.json')}"
    )
    frontier = [
        f"`{name}` ({row['ms alone']:.2g} ms a page, reward {spread(row['individual_reward'])})"
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


def _figures(panels: int, width: float, height: float = 3.4) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(1, panels, squeeze=False)[0]
