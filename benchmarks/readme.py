"""Write the README's tables from the raw results, between `<!-- name -->` and `<!-- /name -->`; `python -m baselines
plot` writes those of baselines/results.

python -m benchmarks.readme
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from recsys_env import TASKS

from .record import RESULTS
from .separation import LEVELS

README = Path(__file__).parent.parent / "README.md"


def load(name: str) -> dict[str, Any] | None:
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.is_file() else None


def origin(result: dict[str, Any], name: str, rows: Mapping[str, Any] | None = None) -> str:
    """One line that says where a table comes from: of its rows, where each has an origin of its own, else of the
    file."""
    sources: dict[tuple[Any, ...], list[str]] = {}
    for row, source in {row: rows[row]["origin"] for row in rows}.items() if rows else {"": result}.items():
        sources.setdefault(tuple(source[key] for key in ("command", "processor", "cores", "date")), []).append(
            f"`{row}`"
        )
    parts = [
        f"`{command}`, {processor}, {cores} cores, {date}" + (f" ({', '.join(of)})" if len(sources) > 1 else "")
        for (command, processor, cores, date), of in sources.items()
    ]
    return f"{'; '.join(parts)}; raw: `benchmarks/results/{name}.json`."


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def spread(value: dict[str, float], digits: int = 2) -> str:
    return f"{value['mean']:.{digits}f} ±{value['ci95']:.{digits}f}"


def tasks(result: dict[str, Any]) -> str:
    rows = []
    for name, levels in result["tasks"].items():
        summary = TASKS[name].description.split("\n")[0].rstrip(".")
        scores = [spread(levels[level]) for level in LEVELS]
        clicks = f"{levels['random']['clicks_per_page']:.2f} / {levels['content']['clicks_per_page']:.2f}"
        rows.append([f"`{name}`", summary, *scores, clicks, f"{levels['greedy']['sessions_per_place']:.1f}"])
    head = ["task", "what it is", *LEVELS, "clicks per page, random / content", "sessions per place"]
    note = f"Mean own reward per agent and episode with its 95 % interval, all agents using the same policy; {result['episodes']} episodes × {result['seeds']} seeds."
    return f"{note} {origin(result, 'separation', result['tasks'])}\n\n{table(head, rows)}"


def fit(result: dict[str, Any]) -> str:
    parts = [
        "How well the shipped arrays predict the four weeks they have not seen (mean over households, 95 % bootstrap interval). "
        + origin(result, "fit_report")
    ]
    for subset, scores in result["held-out purchases"].items():
        rows = [
            [
                name,
                *(f"{q[m]['mean']:.4f} [{q[m]['low']:.4f}, {q[m]['high']:.4f}]" for m in ("ndcg", "recall")),
                f"{q['fitted minus this']['ndcg']['mean']:+.4f}",
            ]
            for name, q in scores.items()
        ]
        parts.append(f"*{subset}*\n\n" + table(["score", "NDCG@20", "recall@20", "fitted − this (NDCG)"], rows))
    columns = result["purchases"]
    rows = []
    for name, value in columns["data, held out"].items():
        values = [column[name] for column in columns.values()]
        if isinstance(value, dict):
            rows.append([f"{name}, 10/25/50/75/90 %", *(" / ".join(f"{x:.2f}" for x in v.values()) for v in values)])
        else:
            rows.append([name, *(f"{v:,.0f}" if name == "purchases" else f"{v:.2f}" for v in values)])
    parts.append(
        "The data, and as many purchases in `grocery-v0` as in the held-out weeks, from the state at their beginning. *Shelf*: every page is the "
        "whole catalogue, so that this is the world without a policy; the others: pages of twenty products that two agents with the same policy chose "
        "from retrieved candidates.\n\n" + table(["statistic", *columns], rows)
    )
    return "\n\n".join(parts)


def fit_origin(result: dict[str, Any]) -> str:
    rows = [
        [name, f"`{row['origin']}`", " / ".join(f"{tau:.2f}" for tau in row["tau"])]
        for name, row in result["logs"].items()
    ]
    return (
        f"Kendall's τ between the orders of {len(result['policies'])} policies in the world fitted to a log of "
        f"{result['purchases']:,} purchases and in the synthetic world where they were made; one number per such world. "
        f"{origin(result, 'fit_origin')}\n\n" + table(["the log", "`origin`", "τ"], rows)
    )


def tension(result: dict[str, Any]) -> str:
    keys = ("T", "R", "P", "S", "T-R", "P-S", "team_loss", "coupling")
    rows = [[f"`{name}`", *(spread(row[key]) for key in keys)] for name, row in result["tasks"].items()]
    sweep = [[beta, *(spread(row[key]) for key in keys[:-1])] for beta, row in result["trust_sweep"].items()]
    pooled = [
        [n, spread(row["private"]), spread(row["pooled"]), spread(row["gain"], 3)]
        for n, row in result["pooled_history"].items()
    ]
    return "\n\n".join([
        "T: a lone myopic agent among planners, R: all planners, P: all myopic, S: a lone planner among myopic agents (own reward of that agent "
        f"per episode, {result['episodes']} episodes on common random numbers); coupling: own return lost when the rivals go from random to greedy ÷ "
        f"own gain from doing so. {origin(result, 'tension', result['tasks'])}",
        table(["task", *keys], rows),
        "`social-v0` by `beta_trust`: where T − R falls below 0 the commons has become a reputation game.",
        table(["beta_trust", *keys[:-1]], sweep),
        "`coldstart-v0`, content policies with their own or with pooled click histories:",
        table(["agents", "private", "pooled", "gain ratio"], pooled),
    ])  # fmt: skip


def speed(result: dict[str, Any]) -> str:
    yard, large, starts = result["yardsticks"], result["scale"], result["starts_s"]
    rows, api = [], []
    for name, row in result["tasks"].items():
        threads = sorted({int(setting.split("threads=")[1]) for setting in row if setting.startswith("B=")})
        for batch in [setting.split()[0] for setting in row if setting.endswith("threads=1")]:
            one, many = row[f"{batch} threads=1"], row[f"{batch} threads={threads[-1]}"]
            cells = [one["kernel_ticks"], one["ticks"], one["pages"], one["agent_steps"], many["ticks"]]
            rows.append(
                [
                    name,
                    batch.removeprefix("B="),
                    *(f"{cell / 1e6:.3f}" for cell in cells),
                    f"{one['state_bytes_per_copy']:,.0f}",
                ]
            )
        against = row["api"]["parallel_of_CartPole"], row["B=1024 threads=1"]["of_CartPoleVectorEnv"]
        api.append([
            name, f"{row['api']['parallel_ticks']:,.0f}", f"{row['api']['aec_ticks']:,.0f}",
            *("{1:.2f} ({0:.2f} to {2:.2f})".format(*pairs) for pairs in against), f"{sum(row['lower_bound_ns'].values()):.0f}",
        ])  # fmt: skip
    return "\n\n".join([
        f"Millions per second on one core, and ticks on {result['cores']}; compile time apart. {origin(result, 'speed', result['tasks'])} Yardsticks of the same run: "
        f"`CartPoleVectorEnv` with 1,024 copies {yard['CartPoleVectorEnv_1024'] / 1e6:.2f} M steps/s, `CartPole-v1` through `gymnasium.make` "
        f"{yard['CartPole-v1']:,.0f} steps/s.",
        table(["task", "copies", "kernel ticks", "ticks", "pages", "agent-steps", "ticks, all cores", "state bytes per copy"], rows),
        "Against the yardsticks in windows side by side: median (lowest to highest) of nine pairs.",
        table(["task", "parallel_env ticks/s", "AEC ticks/s", "parallel ÷ CartPole-v1", "batch of 1,024 ÷ CartPoleVectorEnv", "lower bound, ns per page"], api),
        f"One million users × one million items (`items` actions, one copy): {large['million_step_us']:.1f} µs per step against {large['small_step_us']:.1f} µs for "
        f"8 × 200, {large['million_state_GiB']:.2f} GiB of state, reset {large['million_reset_us']:.0f} against {large['small_reset_us']:.0f} µs. "
        f"Start of a fresh process until the first step: {starts['first_start']:.1f} s compiling, {starts['second_start']:.1f} s afterwards; import {starts['import']:.2f} s.",
    ])  # fmt: skip


def trainers(result: dict[str, Any]) -> str:
    def over(row: dict[str, Any]) -> str:
        return "{1:.0%} ({0:.0%} to {2:.0%})".format(*row["over_bare"]) if row["over_bare"] else "—"

    steps = [
        [name, f"{row['copies']:,}", f"{row['agent_steps_per_second']:,.0f}", over(row)]
        for name, row in result["stepping"].items()
    ]
    learns = [
        [name, f"{row['copies']:,}", f"{row['agent_steps_per_second']:,.0f}", f"{row['environment_share']:.1%}"]
        for name, row in result["training"].items()
    ]
    return "\n\n".join([
        f"`{result['task']}`, one thread. {origin(result, 'trainers', result['stepping'])}",
        "Stepping alone; on top of the bare batch: median (lowest to highest) of nine pairs of windows side by side.",
        table(["road", "copies", "agent-steps/s", "on top of the bare batch"], steps),
        "With PPO training (64 ticks per rollout, 4 epochs of 8 minibatches, two hidden layers of 64):",
        table(["road", "copies", "agent-steps/s", "time inside the environment"], learns),
    ])  # fmt: skip


def compatibility(result: dict[str, Any]) -> str:
    rows = []
    for library, row in result["libraries"].items():
        named = (
            ", ".join(f"{name} {number}" for name, number in list(row.get("versions", {}).items())[: row.get("own", 1)])
            or library
        )
        if "rows" not in row or row.get("error"):
            rows.append([named, "—", "failed, see the raw file", "", "", ""])
        for run in row.get("rows", []):
            rows.append(
                [
                    named,
                    run["algorithm"],
                    "yes" if run["learned"] else "no",
                    f"{run['before']:.3f} → {run['after']:.3f}",
                    f"{run['agent_steps']:,}",
                    f"{run['agent_steps'] / run['seconds']:,.0f}",
                ]
            )
    return (
        f"Reward per agent and tick of `duel-v0` with `sharing=1`, untrained → trained; learned: above {result['learned_above']}. {origin(result, 'compatibility', result['libraries'])}\n\n"
        + table(["library", "algorithm", "learned", "reward", "agent-steps", "agent-steps/s"], rows)
    )


def messages(result: dict[str, Any]) -> str:
    rows = [
        [name, f"{spread(result[key])}"]
        for name, key in (("messages heard", "heard"), ("messages cut", "cut"), ("gain", "gain"))
    ]
    seeds, ends = len(result["runs"]["heard"]), result["references"]
    return (
        f"Mean reward per agent and episode, {seeds} seeds, {result['agent_steps'] / 1e6:.1f} M agent-steps each (random {ends['random']:.1f}, myopic oracle {ends['greedy']:.1f}). "
        f"{origin(result, 'messages')}\n\n" + table(["team", "reward"], rows)
    )


def idle(result: dict[str, Any]) -> str:
    rows = [
        [f"`{name}`", *(spread(row[key]) for key in ("active ticks", "all ticks", "gain"))]
        for name, row in result["tasks"].items()
    ]
    return (
        f"Own reward per agent and episode, {result['seeds']} seeds, {result['agent_steps'] / 1e6:.1f} M agent-steps each. {origin(result, 'idle_ticks', result['tasks'])}\n\n"
        + table(["task", "active ticks alone", "all ticks", "gain"], rows)
    )


def cluster(result: dict[str, Any]) -> str:
    runners, curve = result["env_runners"], result["curve"]
    return (
        f"Two nodes that the command starts on one machine, with {' and '.join(str(count) for count in runners.values())} env runners: reward per agent and tick of `{result['task']}` "
        f"{curve[0][1]:.3f} → {curve[-1][1]:.3f} after {curve[-1][0]:,} agent-steps in {result['seconds']:.0f} s. {origin(result, 'ray-two-nodes')}"
    )


def maddpg(result: dict[str, Any]) -> str:
    rows = [
        [name, f"{row['mean']:.2f} ±{row['half_width_95']:.2f}"]
        for name, row in (
            ("random queries", result["table"]["random"]),
            ("untrained", result["before"]),
            ("trained", result["after"]),
            ("gain over untrained", result["gain"]),
        )
    ]
    return (
        f"MADDPG with `query` actions on `{result['task']}`, {result['training']['agent_steps'] / 1e6:.1f} M agent-steps in {result['training']['seconds'] / 60:.1f} min: own reward per agent and "
        f"episode, 100 unseen episodes, one training seed. {origin(result, 'maddpg-ecommerce-v0')}\n\n"
        + table(["", "reward"], rows)
    )


def regret(result: dict[str, Any]) -> str:
    rows = [
        [f"every slate of a small world, lambda = {name}", f"{row['regret_percent']:.4f}"]
        for name, row in result["enumerated"].items()
    ]
    for task, kinds in result["one_swap"].items():
        rows += [[f"one swap in `{task}`, {kind}", f"{row['regret_percent']:.4f}"] for kind, row in kinds.items()]
    return f"What the best slate earns beyond `greedy`'s. {origin(result, 'regret')}\n\n" + table(
        ["against", "regret, %"], rows
    )


SECTIONS: dict[str, Callable[[Any], str]] = {
    "regret": regret, "separation": tasks, "fit_report": fit, "fit_origin": fit_origin, "tension": tension, "speed": speed, "trainers": trainers, "compatibility": compatibility,
    "messages": messages, "idle_ticks": idle, "ray-two-nodes": cluster, "maddpg-ecommerce-v0": maddpg,
}  # fmt: skip
NAMES = {
    **{name: name for name in SECTIONS},
    "separation": "tasks",
    "fit_report": "fit",
    "ray-two-nodes": "cluster",
    "maddpg-ecommerce-v0": "maddpg",
}


def write_sections(made: dict[str, str]) -> None:
    """Put each text between its markers in the README.

    Raises:
        ValueError: the README has no such markers.
    """
    text = README.read_text()
    for name, body in made.items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        if begin not in text or end not in text:
            raise ValueError(f"README.md has no markers {begin} and {end}")
        head, rest = text.split(begin)
        text = f"{head}{begin}\n{body}\n{end}{rest.split(end)[1]}"
    README.write_text(text)


def main() -> None:
    write_sections({NAMES[name]: write(result) for name, write in SECTIONS.items() if (result := load(name))})


if __name__ == "__main__":
    main()
