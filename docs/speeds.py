"""What the documentation says of speed: what a step takes, is made of and is bounded by, and what libraries add."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from measured import NotMeasured, stored, whence, whence_rows

from recsys_env.evaluation.tables import markdown

SHOWN = 6  # kernels of a profile


def parts() -> dict[str, Callable[[], str]]:
    """Name -> what makes the section of that name."""
    return {"speed": speed, "stages": stages, "profile": profile, "growth": growth, "trainers": trainers}


def speed() -> str:
    """The aims, and rates of all tasks and kinds of action."""
    result = stored("speed")
    tasks: Mapping[str, Any] = result["tasks"]
    met = sum(row[-1] for row in result["aims"])
    aims = [[what, f"{aim:,g}", f"{value:,.3g}" if value < 1000 else f"{value:,.0f}", "yes" if fine else "no"]
            for what, aim, value, fine in result["aims"]]  # fmt: skip
    batches = [name for name in next(iter(tasks.values())) if name.startswith("B=")]
    rates = [
        [
            label,
            *(f"{1e3 / row[name]['step_ns'][1]:.3f}" if name in row else "—" for name in batches),
            _spread(row["B=1024"]["of_CartPoleVectorEnv"], "{:.3f}"),
            f"{row['B=1024']['pages']:.0%}",
            f"{row['B=1024']['state_bytes_per_copy']:,.0f}",
        ]
        for label, row in tasks.items()
    ]
    copies = [f"{int(name.removeprefix('B=')):,}" for name in batches]
    starts = result["starts_s"]
    begins = (
        f" A fresh process makes its first step after {starts['first']:.0f} s of compiling, once, and after "
        f"{starts['second']:.1f} s from then on; the import takes {starts['import']:.2f} s."
        if starts
        else ""
    )
    return "\n\n".join(
        [
            f"{whence_rows(tasks, 'speed.json')} One core, windows of {result['settings']['window_s'] * 1000:g} ms "
            f"that take turns, medians of {result['settings']['rounds']}; compile time apart.{begins}",
            f"{met} of {len(aims)} aims are met:",
            markdown(["", "aim", "measured", "met"], aims),
            "Millions of ticks per second through `vector_env.step` by copies; the rate of 1,024 copies as a share of "
            "Gymnasium's `CartPoleVectorEnv` with as many (median [quartiles]); ticks with a visitor; bytes of state:",
            markdown(["task, actions", *copies, "÷ CartPole", "pages", "bytes per copy"], rates),
            "One environment through PettingZoo, against `CartPole-v1` through `gymnasium.make`; and how many times as "
            "fast two threads are as one, by copies:",
            _interfaces(tasks),
        ]
    )


def _interfaces(tasks: Mapping[str, Any]) -> str:
    threads = next((list(row["two_threads"]) for row in tasks.values() if "two_threads" in row), [])
    rows = [
        [
            label.partition(" ")[0],
            *(f"{1e9 / row['interfaces'][f'{kind}_ns'][1]:,.0f}" for kind in ("parallel", "aec")),
            _spread(row["interfaces"]["parallel_of_CartPole"], "{:.2f}"),
            *(
                f"{row['two_threads'][copies][1]:.2f}" if copies in row.get("two_threads", {}) else "—"
                for copies in threads
            ),
        ]
        for label, row in tasks.items()
        if "interfaces" in row
    ]
    head = ["task", "`parallel_env`, ticks/s", "`env` (AEC), ticks/s", "parallel ÷ CartPole"]
    return markdown([*head, *(f"× at {int(copies):,}" for copies in threads)], rows)


def stages() -> str:
    """What a tick is made of, and its lower bound."""
    result = stored("speed")
    apart = {label: row["apart"] for label, row in result["tasks"].items() if "apart" in row}
    names = list(next(iter(apart.values()))["stages_ns"])
    rows = [
        [
            label,
            f"{row['tick_ns']:,.0f}",
            *(f"{row['stages_ns'][name]:,.0f}" for name in names),
            f"{sum(row['bound_ns'].values()):,.0f}",
            f"{row['over_bound']:.1f}",
        ]
        for label, row in apart.items()
    ]
    unit = ", ".join(f"{name.replace('_', ' ')} {value:.2f}" for name, value in result["primitives_ns"].items())
    copies, source = next(iter(apart.values()))["copies"], whence_rows(result["tasks"], "speed.json")
    return "\n\n".join(
        [
            f"Nanoseconds per tick of one of {copies:,} copies; the bound is what its primitives take in passes of "
            f"their own (ns: {unit}), counted by `benchmarks.speed.stages.operations`. {source}",
            markdown(["task, actions", "tick", *names, "bound", "tick ÷ bound"], rows),
        ]
    )


def profile() -> str:
    """Which kernels a tick's time goes to."""
    result = stored("profile")
    rows = [
        [
            label,
            len(row["shares"]) - 2,
            *(f"{row['shares'][name]:.0%}" for name in ("others", "no kernel")),
            ", ".join(f"`{name}` {share:.1%}" for name, share in list(row["shares"].items())[:SHOWN]),
        ]
        for label, row in result["games"].items()
    ]
    return "\n\n".join(
        [
            f"Samples of the processor in the step of {result['settings']['copies']:,} copies, by the kernel that is "
            f"inlined there. {whence(result, 'profile.json')}",
            markdown(["task, actions", "kernels of 1 % or more", "smaller ones", "no line", "the largest"], rows),
        ]
    )


def growth() -> str:
    """What sizes do to a tick."""
    result = stored("speed")
    if not result["growth_ns"]:
        raise NotMeasured("speed")
    rows = [
        [name, ", ".join(f"{int(size):,}: {times[1]:,.0f}" for size, times in sizes.items())]
        for name, sizes in result["growth_ns"].items()
    ]
    larger = ", ".join(f"{_spread(times, '{:.2f}')} times with `{name}`" for name, times in result["million"].items())
    return "\n\n".join(
        [
            "Nanoseconds of a tick of one copy of `ecommerce-v1` by one size, all others as they are, other actions in "
            f"every tick. {whence(result, 'speed.json')}",
            markdown(["", "size: ns"], rows),
            f"Among a million users and a million items a tick takes, of what it takes among 8 and 200, {larger}.",
        ]
    )


def _spread(values: list[float], form: str) -> str:
    low, median, high = (form.format(value) for value in values)
    return f"{median} [{low}, {high}]"


def trainers() -> str:
    result = stored("trainers")
    stepping = [
        [
            name,
            f"{row['copies']:,}",
            f"{row['agent_steps_per_second']:,.0f}",
            "{1:.0%} ({0:.0%} to {2:.0%})".format(*row["over_bare"]) if row["over_bare"] else "—",
        ]
        for name, row in result["stepping"].items()
    ]
    learning = [
        [name, f"{row['copies']:,}", f"{row['agent_steps_per_second']:,.0f}", f"{row['environment_share']:.1%}"]
        for name, row in result["training"].items()
    ]
    return "\n\n".join(
        [
            f"`{result['settings']['task']}`, one thread. {whence_rows(result['stepping'], 'trainers.json')}",
            "Stepping alone; on top of the bare batch: median (lowest to highest) of nine pairs of windows.",
            markdown(["interface", "copies", "agent-steps/s", "on top of the bare batch"], stepping),
            "With PPO training (64 ticks per rollout, 4 epochs of 8 minibatches, two hidden layers of 64):",
            markdown(["interface", "copies", "agent-steps/s", "time inside the environment"], learning),
        ]
    )
