"""What the documentation says about worlds that are fitted to logs (benchmarks/results): each section as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from measured import section, stored, whence

from recsys_env.evaluation.tables import markdown

_REGRET = (
    "Regret is how much less than the best policy that policy earns which one would choose by the fitted world, in the "
    "worst of the worlds."
)


def parts() -> dict[str, Callable[[], str]]:
    """Name of a section -> function that returns it."""
    return {
        "fit_report": fit_report,
        "fit_origin": fit_origin,
        "fit_growth": fit_growth,
        "recovery": recovery,
        "page_growth": page_growth,
    }


def fit_report() -> str:
    result = stored("fit_report")
    sections = [_fit_found(result["held-out purchases"])]
    for subset, scores in result["held-out purchases"].items():
        rows = []
        for name, found in scores.items():
            values = [
                f"{found[m]['mean']:.4f} [{found[m]['low']:.4f}, {found[m]['high']:.4f}]" for m in ("ndcg", "recall")
            ]
            rows.append([name, *values, f"{found['fitted minus this']['ndcg']['mean']:+.4f}"])
        sections += [f"*{subset}*", markdown(["score", "NDCG@20", "recall@20", "fitted − this (NDCG)"], rows)]
    columns = result["purchases"]
    rows = []
    for name, value in columns["data, held out"].items():
        values = [column[name] for column in columns.values()]
        if isinstance(value, dict):
            said = [" / ".join(f"{x:.2f}" for x in quantiles.values()) for quantiles in values]
            rows.append([f"{name}, 10/25/50/75/90 %", *said])
        else:
            rows.append([name, *(f"{x:,.0f}" if name == "purchases" else f"{x:.2f}" for x in values)])
    sections += [
        "The next table compares statistics of the purchases in the data with those of as many purchases in the "
        "fitted world, which begins in the state of the first held-out day. *Shelf* is the world without a policy: "
        "every page is the whole catalogue. In the other columns two agents with the same policy choose pages of "
        "twenty products from retrieved candidates.",
        markdown(["statistic", *columns], rows),
        _told_apart(result["discriminator"]),
    ]
    how = (
        "The fit predicts four weeks that it has not seen; mean over households, 95 % bootstrap interval. "
        f"{whence(result, 'fit_report.json')}"
    )
    return section(*sections, how=how)


def _told_apart(found: Mapping[str, Any]) -> str:
    """How well a classifier tells simulated purchases from real ones."""
    name, lost = next(iter(found["lost if shuffled"].items()))
    return (
        f"A classifier tells a purchase on the shelf from a held-out one with an AUC of {found['auc']:.2f} (0.5 is "
        f"chance), and one of the last training weeks from a held-out one with {found['floor']:.2f}. It goes most by "
        f"*{name}*: shuffling these values costs it {lost:.2f}."
    )


def _fit_found(purchases: Mapping[str, Any]) -> str:
    """What the fitted utility is worth beside the best of the others."""
    (subset, scores), *_ = purchases.items()
    ndcg = {name: row["ndcg"]["mean"] for name, row in scores.items()}
    fitted = ndcg.pop("fitted utility")
    best = max(ndcg, key=lambda name: ndcg[name])
    return (
        f"The fitted utility ranks the purchases of {subset} in the held-out weeks with an NDCG of {fitted:.3f}; the "
        f"best other score, {best}, reaches {ndcg[best]:.3f}."
    )


def fit_origin() -> str:
    result = stored("fit_origin")
    settings, taus = result["settings"], [tau for row in result["logs"].values() for tau in row["tau"]]
    rows = []
    for name, row in result["logs"].items():
        values = [
            [list(world[of].values()) for of in ("the world itself", name)] for world in result["scores"].values()
        ]
        factors = np.exp(np.abs(np.diff(np.log(values), axis=1)))
        said = [" / ".join(f"{tau:.2f}" for tau in row["tau"]), f"{np.mean(row['tau']):.2f}"]
        lost = max(_regret(*world) for world in values)
        off = [f"{np.median(factors):.2f}", f"{factors.max():.2f}"]
        rows.append([name, f"`{row['origin']}`", *said, f"{100 * lost:.1f} %", *off])
    how = (
        f"Kendall's τ between the orders of {len(settings['policies'])} policies in the world fitted to a log of "
        f"{settings['purchases']:,} purchases and in the synthetic world where they were made; one number per such "
        f"world, and their mean. {_REGRET} The last columns say by what factor a policy earns more or less in the "
        f"fitted world than in the other, over all policies and worlds. {whence(result, 'fit_origin.json')}"
    )
    means = (
        f"A fitted world and the world that its log comes from rank policies with a Kendall's τ of {min(taus):.2f} to "
        f"{max(taus):.2f} (1 = the same order, 0 = unrelated orders)."
    )
    heads = ["the log", "`origin`", "τ", "mean", "regret, largest", "values off by: median", "worst"]
    return section(means, markdown(heads, rows), how=how)


def _regret(true: Sequence[float], fitted: Sequence[float]) -> float:
    """The share of the best policy's value that is lost by the one that seems best in a fitted world."""
    return 1 - true[int(np.argmax(fitted))] / max(true)


def fit_growth() -> str:
    result = stored("fit_growth")
    rows = [
        [
            f"{log['rows']:,}",
            f"{log['users']:,}",
            f"{log['items']:,}",
            f"{log['seconds']:.0f}",
            f"{log['peak_bytes'] / 2**30:.2f}",
            f"{log['weight_purchases']:,}",
            f"{log['beta_taste']:.2f} ± {log['taste_error']:.2f}",
        ]
        for log in result["logs"]
    ]
    largest = result["logs"][-1]
    found = (
        f"A fit of {largest['rows']:,} rows by {largest['users']:,} users takes {largest['seconds']:.0f} seconds of "
        f"one core and {largest['peak_bytes'] / 2**30:.1f} GiB of memory."
    )
    how = (
        "Made-up logs, each in a process of its own; seconds of one core, and the largest memory of the process with "
        "its log. The weights rest on the purchases of all users, or of a sample where there are many. "
        f"The last column is `beta_taste` with its standard error. {whence(result, 'fit_growth.json')}"
    )
    heads = ["rows", "users", "items", "seconds", "GiB", "purchases for the weights", "`beta_taste`"]
    return section(found, markdown(heads, rows), how=how)


def recovery() -> str:
    result = stored("recovery")
    groups: dict[tuple[str, int, str], list[Any]] = {}
    for cell in result["cells"].values():
        groups.setdefault((cell["log"], cell["pages"], cell["vectors"]), []).append(cell)
    names = list(next(iter(result["cells"].values()))["estimates"])
    rows = []
    for (log, pages, vectors), cells in groups.items():
        taus, factors = ([cell[key] for cell in cells] for key in ("tau", "factor"))
        covered = [sum(_held(cell, name) for cell in cells) for name in names]
        regrets = [_regret(list(cell["truth"].values()), list(cell["scores"].values())) for cell in cells]
        said = [f"{np.mean(taus):.2f}", f"{min(taus):.2f}", f"{100 * max(regrets):.1f} %"]
        said += [f"{np.median(factors):.2f}", f"{max(factors):.2f}"]
        counts = [
            str(count) if _is_comparable(name, vectors) else "–" for name, count in zip(names, covered, strict=True)
        ]
        rows.append([log, f"{pages:,}", vectors, str(len(cells)), *said, *counts])
    taus = [cell["tau"] for cell in result["cells"].values()]
    held = {
        name: [_held(cell, name) for cell in result["cells"].values() if _is_comparable(name, cell["vectors"])]
        for name in names
    }
    shares = ", ".join(f"{sum(of)} of {len(of)} for `{name}`" for name, of in held.items())
    found = (
        f"A world fitted to a log of pages and the world that wrote it rank policies with a Kendall's τ of "
        f"{min(taus):.2f} to {max(taus):.2f}, {np.mean(taus):.2f} on average. The true weight is within its 95 % "
        f"interval in {shares}."
    )
    how = (
        f"{len(result['settings']['policies'])} policies play in the world fitted to a log and in the synthetic world "
        f"that wrote it. {_REGRET} The factor says how far apart the values of a policy typically are in the two "
        "worlds. The last columns count the worlds whose true weight is within the 95 % interval of the estimate. The "
        "true weight of tastes is that for the vectors of the world; the weight of tastes for learned ones is another "
        f"number. {whence(result, 'recovery.json')}"
    )
    heads = ["pages filled by", "pages", "vectors", "worlds", "τ: mean", "lowest", "regret, largest"]
    heads += ["factor: median", "largest"]
    return section(found, markdown([*heads, *(f"`{name}`" for name in names)], rows), how=how)


def _is_comparable(weight: str, vectors: str) -> bool:
    """Whether the true weight is that of the same vectors."""
    return weight != "choice.beta_taste" or vectors == "given"


def _held(cell: Mapping[str, Any], weight: str) -> bool:
    """Whether the true weight is within the 95 % interval of its estimate."""
    found = cell["estimates"][weight]
    return abs(found["estimate"] - found["true"]) < 1.96 * float(found["error"])


def page_growth() -> str:
    result = stored("page_growth")
    rows = [
        [
            f"{log['rows']:,}",
            log["vectors"],
            f"{log['users']:,}",
            f"{log['items']:,}",
            f"{log['seconds'] / 60:.1f}",
            f"{log['peak_bytes'] / 2**30:.2f}",
            f"{log['beta_taste']:.2f} ± {log['taste_error']:.2f}",
            f"{log['eta']:.2f} ± {log['eta_error']:.2f}",
        ]
        for log in result["logs"]
    ]
    largest = result["logs"][-1]
    found = (
        f"A fit of {largest['rows']:,} rows by {largest['users']:,} users, with vectors learned, takes "
        f"{largest['seconds'] / 60:.0f} minutes of one core and {largest['peak_bytes'] / 2**30:.1f} GiB of memory."
    )
    truth = result["settings"]
    how = (
        "Made-up logs of random pages, each in a process of its own; minutes of one core, and the largest memory of "
        f"the process with its log. True are a taste of {truth['true taste']:g} and an eta of {truth['true eta']:g}. "
        f"{whence(result, 'page_growth.json')}"
    )
    heads = ["rows", "vectors", "users", "items", "minutes", "GiB", "`beta_taste`", "`eta`"]
    return section(found, markdown(heads, rows), how=how)
