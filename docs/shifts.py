"""What the documentation says about what changes: unseen catalogues, new visitors, other domains, drift."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from measured import of_tasks, section, stored, union, whence, who_earns_most

from recsys_env.evaluation.tables import markdown, marked, platform_values, spread
from recsys_env.policies import ORACLES


def parts() -> dict[str, Callable[[], str]]:
    """Name of a section -> function that returns it."""
    return {"unseen": unseen, "cold_start": cold_start, "crossdomain": crossdomain, "adaptation": adaptation}


def unseen() -> str:
    sections = []
    for result in of_tasks("unseen"):
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
        learned = max(result["trained"], key=lambda name: alone[name]["mean"])
        means = (
            f"In worlds of `{settings['task']}` that nothing was trained on, "
            f"{who_earns_most(alone, ' beside itself')}; the best learner, `{learned}`, earns {spread(alone[learned])}."
        )
        head = ["policy", "catalogue", *(f"beside {who}" for who in settings["company"])]
        sections.append(section(means, markdown(head, rows), how=how))
    return "\n\n".join(sections)


def crossdomain() -> str:
    result = stored("crossdomain")
    settings = result["settings"]
    names = list(dict.fromkeys(name for row in result["levers"].values() for name in row))
    digits = {"individual_reward": 1, "new here": 3}
    columns = {f"{key.replace('_', ' ')}, {lever}": (lever, key) for key in digits for lever in result["levers"]}
    rows = [
        [f"`{name}`"]
        + [
            spread(found[key], digits[key]) if (found := _row(result, lever, name)) else "—"
            for lever, key in columns.values()
        ]
        for name in names
    ]
    generative = [
        [kind, spread(row["individual_reward"], 1), spread(row["new here"], 3)]
        for kind, row in result["generative"].items()
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
        f"`{name}` earns {spread(result['levers']['alone'][name]['individual_reward'], 1)} by its own histories and "
        f"{spread(row['individual_reward'], 1)} by pooled ones"
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
