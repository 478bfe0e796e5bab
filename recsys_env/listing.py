"""What there is: tasks, policies, metrics."""

from __future__ import annotations

from . import TASKS, Catalogue, cli
from .config import describe
from .evaluation.metrics import METRICS
from .evaluation.tables import grid
from .policies import POLICIES, make_policy


def tasks(task: str = "", /) -> None:
    """List the tasks, or everything about one of them.

    Args:
        task: name of a task, with changed fields after commas if there are any (`duel-v0,horizon=50`): all of its
            fields are listed, each with its value, meaning, unit, allowed range, default and source.
    """
    if task:
        try:
            config = cli.config_of(task)
            catalogue = Catalogue.load(config.catalogue) if config.catalogue else None
        except (ValueError, TypeError) as error:
            cli.fail(error)
        print(describe(config))
        if catalogue is not None:
            print(f"the catalogue {config.catalogue!r} {_contents(catalogue)}")
        return
    cli.require("evaluate", "rich")
    rows = [
        [name, str(c.num_agents), str(c.slots), c.page, c.action, str(c.horizon), c.description.split("\n")[0]]
        for name, c in TASKS.items()
    ]
    grid("tasks", ["task", "agents", "slots", "page", "action", "horizon", "what it is"], rows)


def _contents(catalogue: Catalogue) -> str:
    users, items, dims, habits = len(catalogue.user_taste), *catalogue.item_vectors.shape, catalogue.habit_item.shape[1]
    topics = len(catalogue.topic_name)
    sizes = f"has {users} users with up to {habits} habits each, {items} items, {dims} dims, {topics} topics"
    return f"{sizes}; it comes from: {' '.join(catalogue.source.split()) or 'unknown'}"


def policies() -> None:
    """List the policies that have a name; any folder of a trained one and any module:factory will do as well."""
    cli.require("evaluate", "rich")
    rows = []
    for name in POLICIES:
        try:
            policy = make_policy(name)
            rows.append([name, "yes" if policy.learns else "no", (type(policy).__doc__ or "").split("\n")[0]])
        except ImportError as error:
            rows.append([name, "", str(error)])
    grid("policies", ["policy", "learns while it serves", "what it is"], rows)


def metrics() -> None:
    """List the metrics beside reward, with their definitions and sources."""
    cli.require("evaluate", "rich")
    rows = [
        [name, metric.definition, metric.unit, metric.better or "neither", metric.source]
        for name, metric in METRICS.items()
    ]
    grid("metrics", ["metric", "definition", "unit", "better", "source"], rows)
