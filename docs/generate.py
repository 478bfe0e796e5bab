"""Everything on the site that is made from code and results: tables of fields, tasks, policies, metrics and config
fields, one page per task, tables and plots of scores. It is written to docs/_generated/ whenever the site is built.

python docs/generate.py
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import inspect
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cards
import measured
import results
from cards.aims import table_of_aims
from PIL import Image
from sphinx.ext.autodoc.mock import mock

from recsys_env import SCENARIOS, SUITES, TASKS, WorldConfig, parallel_env
from recsys_env.config import GROUPS, RoleConfig, fields
from recsys_env.config.responses import RESPONSES
from recsys_env.config.tasks import suite_of
from recsys_env.evaluation import METRICS, scale_ends, watch
from recsys_env.evaluation.tables import markdown
from recsys_env.fitting import FitSettings, PageFitSettings
from recsys_env.policies import ORACLES, POLICIES, knowledge
from recsys_env.policies.registry import made_for_page

OUT = Path(__file__).parent / "_generated"
LIBRARIES = (
    "torch",
    "stable_baselines3",
    "torchrl",
    "tensordict",
    "skrl",
    "ray",
    "implicit",
    "surprise",
    "lightfm",
    "pandas",
    "verifiers",
    "openenv",
    "fastapi",
    "httpx",
    "pyspiel",
    "pydantic",
)
MISSING = [library for library in LIBRARIES if importlib.util.find_spec(library) is None]  # docstrings do without


def main() -> None:
    shutil.rmtree(OUT, ignore_errors=True)
    for folder in ("parts", "tasks", "plots"):
        (OUT / folder).mkdir(parents=True)
    parts: dict[str, Callable[[], str]] = {
        "observation_fields": lambda: table_of(fields.OBSERVATION),
        "candidate_features": candidate_features,
        "state_fields": lambda: table_of(fields.STATE),
        "responses": responses,
        "events": events,
        "policies": policies,
        "metrics": metrics,
        "config": config_fields,
        "fit_settings": lambda: _fields_table(dataclasses.fields(FitSettings)),
        "page_fit_settings": lambda: _fields_table(dataclasses.fields(PageFitSettings)),
        "scenarios": scenarios,
        "tasks": lambda: results.tasks("[{0}](_generated/tasks/{0}.md)"),
        "task_pages": task_pages,
        "moving_pages": moving_pages,
        "replay": replay,
        "aims": table_of_aims,
        **results.parts(OUT / "plots"),
    }
    for name, make in parts.items():
        (OUT / "parts" / f"{name}.md").write_text(unbroken(make()) + "\n", encoding="utf-8")
    for task in TASKS:
        (OUT / "tasks" / f"{task}.md").write_text(unbroken(task_page(task)), encoding="utf-8")


def unbroken(text: str) -> str:
    """Put non-breaking spaces into intervals, `1.2 ±0.3` and `5 [4, 6]`, changes, `1 → 2`, and marks, `✓ 3 %`."""
    return re.sub(r"(?<=\d) (?=±\d|\[-?\d|→ \d|%)|(?<=\d,) (?=-?[\d.]+\])|(?<=[→✓✗]) (?=[-+]?\d)", "\u00a0", text)


# ------------------------------------------------------------------------------------------------ Markdown


def code(value: Any) -> str:
    return f"`{value}`"


def first_sentence(text: str | None) -> str:
    paragraph = " ".join((text or "").split("\n\n")[0].split())
    return re.split(r"(?<=[.])(?<!et al[.])\s", paragraph)[0].rstrip(".")


def number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


# ------------------------------------------------------------------------------------------------ declarations


SYMBOLS = {
    "dims": "D",
    "topics": "T",
    "agents": "N",
    "scenes": "S",
    "roles": "R",
    "candidates": "C",
    "features": "F",
    "observed_features": "F'",
    "recent": "L",
    "window": "W",
    "id_columns": "I",
    "vocabulary": "V",
    "labels": "Y",
    "providers": "G",
    "private": "P",
    "encoding": "E",
}  # of the axes that a field is declared with


def size(field: fields.Field) -> str:
    return " · ".join(SYMBOLS[axis] for axis in field.axes) or "1"


def squashing(field: fields.Field) -> str:
    return f"h = {field.half:g}" if field.squashed else ""


def notes(field: fields.Field) -> str:
    """Which agents have the field, and in which worlds."""
    said = ["own slots" if field.history else "", field.when.text]
    return "; ".join([*filter(None, said), *(["may be hidden"] if field.hideable else [])])


def field_row(field: fields.Field) -> list[str]:
    return [code(field.name), field.meaning, field.range, squashing(field), notes(field)]


def table_of(declared: Iterable[fields.Field]) -> str:
    rows = [[code(f.name), size(f), *field_row(f)[1:]] for f in declared]
    return markdown(["field", "size", "meaning", "range", "squashed", "notes"], rows)


def candidate_features() -> str:
    return markdown(["feature", "meaning", "range", "squashed", "notes"], map(field_row, fields.CANDIDATE_FEATURES))


def responses() -> str:
    kinds = {"?": "bool", "i4": "int32", "f4": "float32"}
    rows = [[code(r.name), kinds[r.kind], r.meaning] for r in RESPONSES]
    return markdown(["entry", "type", "meaning"], rows)


def events() -> str:
    rows = [[r.event, r.paid, code(f"reward.{r.event}"), code(r.name)] for r in RESPONSES]
    return markdown(["event", "the weight is paid", "field", "in infos"], rows)


def policies() -> str:
    rows = []
    for name, path in POLICIES.items():
        module, _, attribute = path.partition(":")
        with mock(MISSING):
            policy = getattr(importlib.import_module(module), attribute)
        kind = "oracle" if name in ORACLES else "learns while it serves" if policy.learns else ""
        rows.append([code(name), first_sentence(inspect.getdoc(policy)), kind, install(name, module)])
    return markdown(["name", "what it is", "", "install"], rows)


def install(policy: str, module: str) -> str:
    """The extra that a policy needs, or "core"."""
    if policy == "lightfm":
        return code("lightfm")
    return code("recommenders") if module.endswith((".collaborative", ".deep")) else "core"


def metrics() -> str:
    rows = [
        [code(name), metric.definition, metric.unit, metric.better, metric.source] for name, metric in METRICS.items()
    ]
    return markdown(["metric", "definition", "unit", "better", "source"], rows)


def scenarios() -> str:
    rows = []
    for name, scenario in SCENARIOS.items():
        background = ", ".join(f"{code(agent)} {code(policy)}" for agent, policy in scenario.background.items())
        rows.append([code(name), scenario.about, ", ".join(map(code, scenario.focal)), background])
    return markdown(["scenario", "whom the focal agents meet", "focal", "background"], rows)


# ------------------------------------------------------------------------------------------------ config


def config_fields() -> str:
    config = WorldConfig()
    whole = [f for f in dataclasses.fields(config) if "group" not in f.metadata and "item" not in f.metadata]
    parts = [f"## The task\n\n{_fields_table(whole)}"]
    for f in dataclasses.fields(config):
        kind = f.metadata.get("group", f.metadata.get("item"))
        if dataclasses.is_dataclass(kind):
            repeated = " (a tuple, one entry each)" if "item" in f.metadata else ""
            text = " ".join((inspect.getdoc(kind) or "").split())
            parts.append(
                f"## `{f.name}`\n\n`{kind.__name__}`{repeated}. {text}\n\n{_fields_table(dataclasses.fields(kind))}"
            )
    return "\n\n".join(parts)


def _fields_table(some: Iterable[dataclasses.Field[Any]]) -> str:
    head = ["field", "meaning", "default", "allowed", "unit", "source", "catalogue"]
    rows = [_config_row(f) for f in some]
    kept = [i for i in range(len(head)) if any(row[i] for row in rows)]  # without empty columns
    return markdown([head[i] for i in kept], [[row[i] for i in kept] for row in rows])


def _config_row(f: dataclasses.Field[Any]) -> list[str]:
    meta = f.metadata
    words = meta.get("allowed") or meta.get("words") or meta.get("names")
    allowed = ", ".join(map(code, words)) if words else f"{meta['low']:g} to {meta['high']:g}" if "low" in meta else ""
    if isinstance(f.default, bool):
        allowed = "True, False"
    default = "" if f.name == "description" else code(repr(f.default))
    given = "yes" if meta.get("from_catalogue") else ""
    return [code(f.name), meta["doc"], default, allowed, meta.get("unit", ""), meta.get("source", ""), given]


# ------------------------------------------------------------------------------------------------ tasks


def task_pages() -> str:
    """One line of links."""
    pages = (f"[{name.rpartition('-v')[0]}](_generated/tasks/{name}.md)" for name in TASKS)
    return f"The tasks' pages: {', '.join(pages)}."


def sections(config: WorldConfig) -> tuple[str, str, str]:
    """The description without its first line, its question, and what it says that the task stresses."""
    text = " ".join(config.description.partition("\n")[2].split())
    question, stresses = re.search(r"Question: (.*?\?)", text), re.search(r"Stresses: (.*?)\.", text)
    body = re.sub(r"Question: .*?\?|Stresses: .*?\.|Discount [.\d]+\.", "", text)
    asked = question[1][0].upper() + question[1][1:] if question else ""
    return " ".join(body.split()), asked, stresses[1] if stresses else ""


def task_page(name: str) -> str:
    config = TASKS[name]
    env = parallel_env(name)
    body, question, stresses = sections(config)
    agents = ", ".join(code(each) for each, _ in alike(config))
    space = env.observation_space(env.possible_agents[0])
    facts = [
        ["Agents", agents],
        ["Slots", f"{config.slots} per agent and page"],
        ["Page", f"`{config.page}` ([what that is](../../game.md#the-page))"],
        ["Action space", code(env.action_space(env.possible_agents[0]))],
        ["Observation space", code(space)],
        ["Global state", code(env.state_space)],
        ["Recommended discount", f"{config.discount:g} per tick"],
        ["Suite", suite_text(name)],
        ["Make", code(f'recsys_env.parallel_env("{name}")')],
    ]
    return "\n\n".join(
        [
            f"# {name}",
            results.summary(config) + ".",
            page_picture(name),
            markdown(["", ""], facts),
            f"## Description\n\n{body}",
            f"## The question it poses\n\n{question}",
            f"The task stresses {stresses}. What was measured of that is under [Evidence](#evidence); "
            "[What the tasks ask for](../../challenge.md) compares all tasks.",
            f"## Make it\n\n{make_text(name)}",
            f"## Agents and roles\n\n{roles(config)}",
            f"## Action space\n\n{action_text(config, env)}",
            f"## Observation space\n\n{observation_text(config, env)}",
            f"## Rewards\n\n{reward_text(config)}",
            f"## Episode end\n\nAll agents are truncated together after exactly {config.horizon} ticks. No episode "
            "terminates, so bootstrap from the last observation.",
            f"## Reference scores\n\n{score_text(name, config)}",
            f"## Evidence\n\n{cards.card(name)}",
            "## Arguments\n\nEvery [field of the config](../../config.md) is a keyword of the constructors above.\n\n"
            + measured.folded("The fields that this task sets", changed_fields(config)),
        ]
    )


def moving_pages() -> str:
    """An animation of an episode's first pages."""
    env = parallel_env("ecommerce-v1", render_mode="rgb_array")
    env.reset(seed=0)
    for agent in env.possible_agents:
        env.action_space(agent).seed(0)
    pages = []
    while len(pages) < 12:
        infos = env.step({agent: env.action_space(agent).sample() for agent in env.agents})[4]
        if any(info["visitor"] >= 0 for info in infos.values()):
            pages.append(Image.fromarray(env.render()).quantize(64))
    path = OUT / "plots" / "pages.gif"
    pages[0].save(path, save_all=True, append_images=pages[1:], duration=1000 // env.metadata["render_fps"] * 4, loop=0)
    return "![Twelve pages of ecommerce-v1](/_generated/plots/pages.gif)"


def replay() -> str:
    """A link to a replay."""
    path = watch("ecommerce-v1", ("content", "greedy"), out=OUT / "plots" / "replay.html", ticks=200)
    return f"{{download}}`The first 200 ticks of this episode </_generated/plots/{path.name}>`."


def page_picture(name: str) -> str:
    """A page with a click, as the environment draws it."""
    Image.fromarray(results.clicked_page(name, "rgb_array")).save(OUT / "plots" / f"page-{name}.png")
    return f"![A page of {name}](../plots/page-{name}.png)"


def alike(config: WorldConfig) -> list[tuple[str, RoleConfig]]:
    """The agents with their roles; many of one role are named by the first and the last."""
    names = config.agents
    if len(config.roles) == 1 and len(names) > 4:
        return [(f"{names[0]} ... {names[-1]}", config.roles[0])]
    return [(agent, config.role_of(n)) for n, agent in enumerate(names)]


def roles(config: WorldConfig) -> str:
    rows = []
    for agents, role in alike(config):
        inventory = "all" if not (role.domains or role.items) else f"domains {role.domains} items {role.items}"
        hidden = ", ".join(map(code, role.hidden)) or "nothing"
        knows = f"{1 + max(role.knows)} labels of the intent" if role.knows else "nothing"
        rows.append([code(agents), role.name, role.scene or "every page", inventory, hidden, knows])
    note = (
        "The keyword `num_agents=` changes the number of agents."
        if len(config.roles) == 1
        else "Each role has one agent, so the number of agents is fixed."
    )
    return markdown(["agent", "role", "shows on", "inventory", "hidden from it", "knows"], rows) + f"\n\n{note}"


def action_text(config: WorldConfig, env: Any) -> str:
    what = {
        "candidates": f"indices among the {config.candidates.number} candidates that retrieval found for this visitor",
        "items": f"ids among the {env.vector.shape.items} items",
        "query": "a vector; the items nearest to it are shown",
        "publish": f"topic and clickbait of the next item: {env.vector.shape.topics} topics times "
        f"{env.vector.shape.bait_levels} levels",
        "weights": f"weights of the features by which the agent's {config.candidates.number} candidates are ranked",
    }[config.action]
    if config.offer.kind == "price":
        what += f", and one of {config.offer.levels} price levels for all its slots"
    if config.offer.kind == "bid":
        what = f"one of {config.offer.levels} levels of its bid for the slot, which shows its candidate if it wins"
    if config.messages:
        what += f", and one of {config.messages} words for the other agents"
    space = env.action_space(env.possible_agents[0])
    return (
        f"`{space}` for each agent: {what}. The keyword `action=` chooses another kind of action; see "
        "[Actions](../../observations.md#actions)."
    )


def observation_text(config: WorldConfig, env: Any) -> str:
    declared = {field.name: field for field in fields.OBSERVATION}
    rows = []
    for name, columns in env.observation_fields.items():
        rows.append([f"[{columns.start}:{columns.stop}]", columns.stop - columns.start, *field_row(declared[name])[:4]])
    text = markdown(["columns", "size", "field", "meaning", "range", "squashed"], rows)
    names = env.vector.candidate_features
    if config.retrieves:
        text += (
            f"\n\n`candidates` is [{config.candidates.number}, {len(names)}], candidate after candidate; its features, "
            f"in order: {', '.join(map(code, names))} ([what they mean](../../observations.md#candidate-features))."
        )
    return (
        text
        + "\n\nAll values are `float32` in [−1, 1]; the ranges are those after squashing. "
        + "[Observations](../../observations.md) defines each field."
    )


def reward_text(config: WorldConfig) -> str:
    shared = {f.name: getattr(config.reward, f.name) for f in dataclasses.fields(config.reward)}
    rows = []
    for role in config.roles:
        weights = role.rewards or shared
        paid = [f"{weights[event]:g} {PER_EVENT[event]}" for event in PER_EVENT if weights.get(event, 0.0) != 0.0]
        rows.append([role.name, " + ".join(paid) or "nothing of its own"])
    s = config.reward.sharing
    meaning = {0.0: "each agent receives what it earned", 1.0: "all agents receive the mean of what all earned"}
    return (
        markdown(["role", "individual reward"], rows)
        + f"\n\n`reward.sharing` = {s:g}: {meaning.get(s, 'agents share a part of their rewards')}. Scores are "
        + "computed from individual rewards. [The game](../../game.md#rewards) defines each part."
    )


PER_EVENT = {
    **{response.event: response.paid for response in RESPONSES},
    "diversity": "· diversity of its slate per page",
    "novelty": "· novelty of its slate per page",
    "fairness": "· fairness of exposure per page",
}


def make_text(name: str) -> str:
    background = next(iter(made_for_page(TASKS[name])), "content")
    return f"""```py
# PettingZoo, all agents; the second call finds it by its registered name
recsys_env.parallel_env("{name}")
pettingzoo.make("parallel", "recsys/{name}")
# a batch of copies
recsys_env.vector_env("{name}", num_envs=256)
# Gymnasium, one agent
recsys_env.single_agent_env("{name}", background="{background}")
gymnasium.make("recsys/{name}", background="{background}")
```"""


def changed_fields(config: WorldConfig) -> str:
    """The fields of a task that are not the defaults; roles and scenes have tables of their own."""
    rows, default = [], WorldConfig()
    for f in dataclasses.fields(config):
        value, usual = getattr(config, f.name), getattr(default, f.name)
        if f.name in ("description", "roles", "scenes") or value == usual:
            continue
        for g in dataclasses.fields(value) if f.name in GROUPS else ():
            if (mine := getattr(value, g.name)) != (theirs := getattr(usual, g.name)):
                rows.append([code(f"{f.name}.{g.name}"), number(mine), number(theirs), g.metadata["doc"]])
        if f.name not in GROUPS:
            rows.append([code(f.name), number(value), number(usual), f.metadata["doc"]])
    return markdown(["field", "value", "default", "meaning"], rows)


def suite_text(name: str) -> str:
    """The suite of a task, or why it is in none."""
    if suite := suite_of(name):
        return f"`{suite}`: {SUITES[suite].title}"
    return f"none: it is an [example](../../tasks.md#suites). {results.reason(name)}"


def score_text(name: str, config: WorldConfig) -> str:
    low, high = scale_ends(config)
    return (
        f"On this task `{low}` scores 0 and `{high}`, which knows {knowledge(high)}, 100. "
        "[Evaluation](../../evaluation.md#what-each-interval-means) "
        "explains the intervals.\n\n" + (results.task_scores(name, OUT / "plots"))
    )


if __name__ == "__main__":
    main()
