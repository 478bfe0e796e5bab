"""What the documentation says about privacy: who learns what of visitors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from measured import percent, section, stored, whence

from recsys_env.evaluation.tables import markdown, spread


def parts() -> dict[str, Callable[[], str]]:
    """Name of a section -> function that returns it."""
    return {"attackers": attackers, "privacy": privacy}


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
        rows.append([_epsilon(row), noise, account, *(spread(value) for value in row["individual_reward"].values())])
    first, last = result["rows"][0], result["rows"][-1]
    how = (
        f"`{settings['task']}`, {settings['episodes']} episodes, δ = {first['delta']:g}, {first['pages']} pages: the "
        "noise on each number of profile and history, ε by a second account, and individual reward per agent and "
        f"episode, ± 95 %. {whence(result, 'privacy.json')}"
    )
    private, open_ = (spread(row["individual_reward"]["static"]) for row in (first, last))
    means = f"Without privacy `static` earns {open_}; with ε = {first['epsilon']:g} it earns {private}."
    return section(
        means,
        markdown(["ε", "noise", "second account", *(f"`{name}`" for name in first["individual_reward"])], rows),
        how=how,
    )


def _epsilon(row: Mapping[str, Any]) -> str:
    return f"{row['epsilon']:g}" if row["epsilon"] else "∞"
