"""Lists of tasks, policies and metrics, and the description of one task, as text."""

from __future__ import annotations

import ast
import shutil
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

from . import SUITES, TASKS, Catalogue, WorldConfig, cli
from .batch import spaces
from .batch.observations import observation_layout, observation_space
from .config import RoleConfig, fields
from .config.settings import describe as describe_config
from .config.tasks import suite_of
from .evaluation import METRICS
from .policies import FAMILIES, POLICIES, TASK_POLICIES
from .world.build import shape_of


def tasks() -> None:
    """List the tasks, and the suites that they belong to. `describe` shows the details of one task."""
    for name, task in TASKS.items():
        sizes = f"{_count(task.num_agents, 'agent')} with {_count(task.slots, 'slot')}, {task.horizon} ticks"
        of = f"suite {suite_of(name)}" if suite_of(name) else "an example"
        _entry(name, f"{task.description.splitlines()[0]} ({of}; {sizes}; page {task.page}, actions {task.action})")
    for name, suite in SUITES.items():
        print(textwrap.fill(f"suite {name}: {suite.title}. {suite.purpose} {', '.join(suite.tasks)}.", _width()))


def describe(task: str = "ecommerce-v1") -> None:
    """Describe a task: agents, page, actions, observation, reward, and every field of its config with value, meaning,
    unit, range, default and source.

    Args:
        task: name of a task, optionally with changed fields: duel-v1,horizon=50.
    """
    settings = cli.config_of(task)
    catalogue = Catalogue.load(settings.catalogue) if settings.catalogue else None
    shape = shape_of(settings, catalogue)  # no world is built, which would compile
    print(textwrap.fill(f"{task}: {' '.join(settings.description.split())}", _width()) + "\n")
    for name, text in _facts(settings, shape):
        _entry(name, text)
    print("\nobservation, in this order")
    declared = {field.name: field for field in fields.OBSERVATION}
    for name, columns in fields.field_slices(fields.OBSERVATION, settings, shape).items():
        _entry(name, f"[{columns.start}:{columns.stop}] {_meaning(declared[name])}")
    declared = {field.name: field for field in fields.CANDIDATE_FEATURES}
    features = fields.observed_features(settings, shape) if shape.candidates else ()
    if features:
        print("\nfeatures of each candidate, in this order")
    for name in features:
        _entry(name, _meaning(declared[name]))
    print("\nconfig")
    print(*(line for line in describe_config(settings).splitlines() if not line.startswith("description =")), sep="\n")
    if catalogue is not None:
        print(f"the catalogue {settings.catalogue!r} {_contents(catalogue)}")


def policies() -> None:
    """List the policies by name. Commands also accept the folder of a trained policy, and module:factory."""
    classes = _classes()
    families = {f"{name}:WHAT": path for name, path in FAMILIES.items()}
    for name, path in (POLICIES | TASK_POLICIES | families).items():
        learns = " (learns while it serves)" if _learns(path, classes) else ""
        about = (ast.get_docstring(classes[path]) or "").partition("\n\n")[0]
        _entry(name, " ".join(about.split()) + learns)


def metrics() -> None:
    """List the metrics that are measured in addition to reward, with their definitions, units and sources."""
    for name, metric in METRICS.items():
        better = f", {metric.better} is better" if metric.better else ""
        _entry(name, f"{metric.definition} [{metric.unit}{better}; {metric.source}]")


# ------------------------------------------------------------------------------------------------ a task


def _facts(settings: WorldConfig, shape: fields.Shape) -> Iterator[tuple[str, str]]:
    yield "agents", f"{settings.num_agents}: {', '.join(settings.agents)}"
    yield "page", f"{settings.page}, {_count(settings.slots, 'slot')} for each agent"
    yield "action", f"{spaces.action_space(settings, shape)}: {settings.action}"
    seen = observation_space(settings, shape, observation_layout(settings, shape), "flat")
    yield "observation", f"{seen}, observability {settings.observability}"
    rewards = [_weights(settings.reward_weights(role)) for role in range(len(settings.roles))]
    alike = len(set(rewards)) == 1
    yield "reward", f"{rewards[0] if alike else 'differs between roles'}; sharing {settings.reward.sharing:g}"
    for role, paid in zip(settings.roles, rewards, strict=True) if len(rewards) > 1 else ():
        yield f"role {role.name}", _role(role, "" if alike else paid)
    yield (
        "episode",
        f"{settings.horizon} ticks, then all agents are truncated; recommended discount {settings.discount}",
    )


def _meaning(field: fields.Field) -> str:
    squashed = f", squashed to x / ({field.half:g} + |x|)" if field.half is not None else ""
    return f"{field.meaning} (in {field.range}{squashed})"


def _weights(weights: Mapping[str, float]) -> str:
    return ", ".join(f"{weight:g} per {event}" for event, weight in weights.items() if weight) or "nothing"


def _role(role: RoleConfig, paid: str) -> str:
    """Describe what distinguishes a role, including what it is paid for if roles differ in that."""
    parts = [f"owns the scene {role.scene}"] if role.scene else []
    parts += [f"may show the domains {', '.join(map(str, role.domains))}"] if role.domains else []
    parts += [f"may show {_count(len(role.items), 'item')}"] if role.items else []
    parts += [paid] if paid else []
    parts += [f"does not see {', '.join(role.hidden)}"] if role.hidden else []
    parts += [f"knows which of {1 + max(role.knows)} parts the intent lies in"] if role.knows else []
    return "; ".join(parts) or "as the task says"


def _contents(catalogue: Catalogue) -> str:
    users, items, dims, habits = len(catalogue.user_taste), *catalogue.item_vectors.shape, catalogue.habit_item.shape[1]
    topics = len(catalogue.topic_name)
    sizes = f"has {users} users with up to {habits} habits each, {items} items, {dims} dims, {topics} topics"
    return f"{sizes}; it comes from: {' '.join(catalogue.source.split()) or 'unknown'}"


# ------------------------------------------------------------------------------------------------ policies


def _classes() -> dict[str, ast.ClassDef]:
    """Return the syntax tree of each class in the packages that contain policies, by "module:class".

    The files are read without importing them, because their libraries may be slow or missing.
    """
    here = Path(__file__).parent
    files = [file for package in ("policies", "exact", "language") for file in sorted((here / package).glob("*.py"))]
    return {
        f"{here.name}.{file.parent.name}.{file.stem}:{node.name}": node
        for file in files
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef)
    }


def _learns(path: str, classes: Mapping[str, ast.ClassDef]) -> bool:
    """Return the value of `learns` that the class of this path, or the nearest of its bases, sets."""
    for node in classes[path].body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["learns"]:
            return bool(ast.literal_eval(node.value))
    module = path.partition(":")[0]
    for base in map(ast.unparse, classes[path].bases):
        here = f"{module}:{base}"
        found = here if here in classes else next((p for p in classes if p.endswith(f":{base}")), None)
        if found is not None and _learns(found, classes):
            return True
    return False


# ------------------------------------------------------------------------------------------------ text


def _entry(name: str, text: str) -> None:
    """Print a name and, beside it, a text wrapped to the terminal's width."""
    for i, line in enumerate(textwrap.wrap(text, _width() - 23) or [""]):
        print(f"  {name if i == 0 else '':20} {line}")


def _width() -> int:
    return max(60, min(shutil.get_terminal_size().columns, 120))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
