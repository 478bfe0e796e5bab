"""What the documentation says about speed: how long a step takes, its parts and its lower bound, and what libraries
add."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from measured import NotMeasured, section, stored, whence, whence_rows

from recsys_env import TASKS, vector_env
from recsys_env.evaluation.tables import markdown

SHOWN = 6  # kernels of a profile
CAUSES = {  # words -> why an aim for speed that has them is missed; the first entry that fits counts
    "ticks/s": "The aim was set on another processor, on which a tick takes about half as long.",
    "pages/s": "The aim was set on another processor, and a page needs too many instructions even there.",
    "CartPoleVectorEnv": "A tick needs more instructions than a step of a pole with four numbers.",
    ", items ÷": "A page has ten slots, a cart, stock and promotions. CartPole has four numbers.",
    ", candidates ÷": "Each agent's candidates are drawn and described for every page.",
    "lower bound": "The bound counts each part of the work in a vectorised pass of its own.",
    "a page of candidates": "The bound draws eight candidates at a time. Each draw depends on the draws before it.",
    "million users": "Candidates, tables and visitors lie outside the caches, and a tick waits for memory.",
    "slowest task": "A table below lists every task that misses it, with what its step costs.",
    "parallel_env": "PettingZoo asks for dictionaries by agent. Making them takes longer than the compiled call.",
    "state()": "A table below lists every task that misses it, with what its state is made of.",
    "start, s": "It is numba's work on the kernels, on a processor slower than the one that the aim was set on.",
    "fused": "A tick of this game keeps more state: satisfaction, habits, trust and the platform's statistics.",
    "stepwise": "Each step from Python reads all copies' state again. That state is larger than RecSim NG's.",
    "code of their own": "On this processor the general code is nearly as fast.",
}


def parts() -> dict[str, Callable[[], str]]:
    """Name of a section -> function that returns it."""
    made = (speed, stages, profile, growth, trainers, recsim_ng, logs)
    return {function.__name__: function for function in made}


def speed() -> str:
    """The aims, and rates of all tasks and kinds of action."""
    result = stored("speed")
    tasks: Mapping[str, Any] = result["tasks"]
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
    return section(
        f"{_met(result['aims'])} aims for speed are met.{begins}",
        _aims(result["aims"]),
        *slow_interfaces(result),
        *slow_states(result),
        "The next table shows millions of ticks per second through `vector_env.step`, by the number of copies; the "
        "rate of 1,024 copies as a share of Gymnasium's `CartPoleVectorEnv` with as many (median [quartiles]); the "
        "share of ticks with a visitor; and the bytes of state:",
        markdown(["task, actions", *copies, "÷ CartPole", "pages", "bytes per copy"], rates),
        "One environment through PettingZoo, against `CartPole-v1` through `gymnasium.make`; and how many times as "
        "fast two threads are as one, by copies:",
        _interfaces(tasks),
        how=f"One core, windows of {result['settings']['window_s'] * 1000:g} ms that take turns, medians of "
        f"{result['settings']['rounds']}; without compile time. {whence_rows(tasks, 'speed.json')}",
    )


def _met(aims: Sequence[Sequence[Any]]) -> str:
    return f"{sum(row[-1] for row in aims)} of {len(aims)}"


def _aims(aims: Sequence[Sequence[Any]]) -> str:
    rows = [
        [
            what,
            *(f"{number:,.3g}" if number < 1000 else f"{number:,.0f}" for number in (aim, value)),
            "yes" if fine else f"no. {_cause(what)}",
        ]
        for what, aim, value, fine in aims
    ]
    return markdown(["", "aim", "measured", "met"], rows)


def _cause(aim: str) -> str:
    """Why an aim is missed."""
    return next(cause for words, cause in CAUSES.items() if words in aim)


def slow_interfaces(result: Mapping[str, Any]) -> list[str]:
    """Return a sentence and a table of the tasks whose `parallel_env` misses its aim; or nothing."""
    aim, tasks = _aim(result["aims"], "slowest task"), _as_named(result["tasks"])
    found = {task: row["interfaces"] for task, row in tasks.items() if "interfaces" in row}
    slow = [task for task in found if found[task]["parallel_of_CartPole"][1] < aim]
    rows = []
    for task in sorted(slow, key=lambda task: found[task]["parallel_of_CartPole"][1]):
        envs, (_, ratio, _) = vector_env(task), found[task]["parallel_of_CartPole"]
        agents, size = envs.num_agents, envs.layout.size
        time = found[task]["parallel_ns"][1] / 1000
        rows.append([f"`{task}`", f"{ratio:.2f}", f"{time:.1f}", agents, f"{size:,}", f"{agents * size:,}"])
    if not rows:
        return []
    return [
        f"{len(rows)} of {len(found)} tasks miss the aim of {aim:g} for `parallel_env`. A step makes an entry of five "
        "dictionaries for each agent, and computes and copies its observation; a step of `CartPole-v1` returns four "
        "numbers of one agent:",
        markdown(["task", "parallel ÷ CartPole", "µs per step", "agents", "numbers per agent", "of all agents"], rows),
    ]


def slow_states(result: Mapping[str, Any]) -> list[str]:
    """Return a sentence and a table of the tasks whose `state()` misses an aim; or nothing."""
    aims = {64: _aim(result["aims"], "state() ÷ step, 64"), 1024: _aim(result["aims"], "state() ÷ step, 1,024")}
    tasks, rows = _as_named(result["tasks"]), []
    for task, row in tasks.items():
        shares = {copies: row[f"B={copies}"]["state_of_step"][1] for copies in aims}
        if any(shares[copies] > aim for copies, aim in aims.items()):
            envs = vector_env(task)
            shown = (f"{share:.2f}" for share in shares.values())
            rows.append([f"`{task}`", *shown, f"{envs.shape.users:,}", f"{envs.state_space.shape[0]:,}"])
    if not rows:
        return []
    return [
        f"{len(rows)} of {len(tasks)} tasks miss an aim for `state()`. Each call sums satisfaction and trust anew over "
        "all users who were asked to come, and copies the private fields of all agents:",
        markdown(["task", *(f"state() ÷ step, {copies:,} copies" for copies in aims), "users", "numbers"], rows),
    ]


def _as_named(tasks: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rows of the tasks with the action that they have by their names, by task."""
    labels = {task: f"{task} {config.action}" for task, config in TASKS.items()}
    return {task: tasks[label] for task, label in labels.items() if label in tasks}


def _aim(aims: Sequence[Sequence[Any]], words: str) -> float:
    """Return the number of the aim that has these words; NaN, which nothing misses, if it has not been measured."""
    return float(next((aim for what, aim, *_ in aims if words in what), math.nan))


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
    """The time of each stage of a tick, and the tick's lower bound."""
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
    over = [row["over_bound"] for row in apart.values()]
    return section(
        f"A tick takes {min(over):.1f} to {max(over):.1f} times its lower bound.",
        markdown(["task, actions", "tick", *names, "bound", "tick ÷ bound"], rows),
        how=f"Nanoseconds per tick of one of {copies:,} copies. The bound is the time that the same primitive "
        f"operations take in passes of their own (ns: {unit}), counted by `benchmarks.speed.stages.operations`. "
        f"{source}",
    )


def profile() -> str:
    """The share of each kernel in the time of a tick."""
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
    share, largest = max(
        (share, name)
        for row in result["games"].values()
        for name, share in row["shares"].items()
        if name not in ("others", "no kernel")
    )
    return section(
        f"No kernel takes more than {share:.0%} of a tick (`{largest}`).",
        markdown(["task, actions", "kernels of 1 % or more", "smaller ones", "no line", "the largest"], rows),
        how=f"Samples of the processor in the step of {result['settings']['copies']:,} copies, by the kernel that is "
        f"inlined there. {whence(result, 'profile.json')}",
    )


def growth() -> str:
    """The time of a tick by the sizes of the world."""
    result = stored("speed")
    if not result["growth_ns"]:
        raise NotMeasured("speed")
    rows = [
        [name, ", ".join(f"{int(size):,}: {times[1]:,.0f}" for size, times in sizes.items())]
        for name, sizes in result["growth_ns"].items()
    ]
    larger = " and ".join(f"{_spread(times, '{:.2f}')} (`{name}`)" for name, times in result["million"].items())
    return section(
        f"A tick with a million users and a million items takes {larger} times as long as one with 8 users and 200 "
        "items.",
        markdown(["", "size: ns"], rows),
        how="Nanoseconds of a tick of one copy of `ecommerce-v1` by one size, all others unchanged, with other actions "
        f"in every tick. {whence(result, 'speed.json')}",
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
    added = {name: row["over_bare"][1] for name, row in result["stepping"].items() if row["over_bare"]}
    most = max(added, key=lambda name: added[name])
    inside = [row["environment_share"] for row in result["training"].values()]
    return section(
        f"The costliest interface, {most}, adds {added[most]:.0%} to the time of the bare batch; in training the "
        f"environment takes {min(inside):.0%} to {max(inside):.0%} of the time.",
        "Stepping alone; on top of the bare batch: median (lowest to highest) of nine pairs of windows.",
        markdown(["interface", "copies", "agent-steps/s", "on top of the bare batch"], stepping),
        "With PPO training (64 ticks per rollout, 4 epochs of 8 minibatches, two hidden layers of 64):",
        markdown(["interface", "copies", "agent-steps/s", "time inside the environment"], learning),
        how=f"`{result['settings']['task']}`, one thread. {whence_rows(result['stepping'], 'trainers.json')}",
    )


def recsim_ng() -> str:
    """Rates beside RecSim NG's."""
    result = stored("recsim_ng")
    rows = [
        [
            f"{kind}, {int(users):,} users, {threads}",
            *(f"{1e3 / row[f'{who}_ns'][1]:.2f}" for who in ("ours", "graph", "xla")),
            *(_spread(row[f"over_{who}"], "{:.2f}") for who in ("graph", "xla")),
        ]
        for threads, by_users in result["threads"].items()
        for users, kinds in by_users.items()
        for kind, row in kinds.items()
    ]
    ratios = {
        kind: [kinds[kind]["over_graph"][1] for kinds in result["threads"]["one thread"].values()]
        for kind in ("fused", "stepwise")
    }
    fused, stepwise = (f"{min(of):.1f} to {max(of):.1f}" for of in ratios.values())
    head = ["calls, users, threads", "ours", "RecSim NG", "with XLA", "ours ÷ RecSim NG", "ours ÷ with XLA"]
    return section(
        f"With one thread, our game is {fused} times as fast as RecSim NG fused, and {stepwise} times stepwise. "
        f"{_met(result['aims'])} aims are met.",
        _aims(result["aims"]),
        "The next table shows millions of pages per second, and how many times as fast our game is (median "
        "[quartiles]). RecSim NG's runtime makes a TensorFlow graph; the code that XLA compiles from this graph is "
        "measured too. TensorFlow has one thread, or by default one for each core; our game always has one:",
        markdown(head, rows),
        how=f"Fused: {result['settings']['ticks']} ticks in a call. Processor time with one thread, wall-clock time "
        f"with default threads; windows that take turns, medians of {result['settings']['rounds']}; without compile "
        f"time. {whence(result, 'recsim_ng.json')}",
    )


def logs() -> str:
    """How fast `record` writes rows, and how much memory it takes."""
    result = stored("logs")
    rows = [
        [
            f"`{case['task']}`",
            f"`{case['policies']}`",
            ", ".join(case["columns"]),
            f"{case['rows']:,}",
            "{median:,.0f} [{low:,.0f}, {high:,.0f}]".format(**case["rows_per_second"]),
            f"{case['rows'] / case['log_seconds']:,.0f}",
            f"{case['bytes_per_row']:.0f}",
        ]
        for case in result["cases"]
    ]
    slow, fast = (f(case["rows_per_second"]["median"] for case in result["cases"]) for f in (min, max))
    memory = [f"{row['megabytes']:.0f} MiB for {row['rows']:,}" for row in result["memory"]]
    found = (
        f"Beyond the time of the game, a second of processor time writes {slow:,.0f} to {fast:,.0f} rows. The largest "
        f"memory of a process hardly depends on the number of rows: {', '.join(memory)}."
    )
    how = (
        f"Rows per second of processor time, in all threads: the median of {result['settings']['rounds']} rounds, with "
        f"quartiles. {whence(result, 'logs.json')}"
    )
    head = [
        "task",
        "policies",
        "columns on request",
        "rows",
        "rows/s of the log alone",
        "rows/s with the game",
        "bytes",
    ]
    return section(found, markdown(head, rows), how=how)
