"""What there is: tasks, policies, metrics."""

from __future__ import annotations

from recsys_env import TASKS
from recsys_env.measures import METRICS
from recsys_env.policies import POLICIES, make_policy

from . import cli
from .tables import grid


def tasks() -> None:
    """List the tasks."""
    cli.require("evaluate", "rich")
    rows = [[name, str(c.num_agents), str(c.slots), c.page, c.action, str(c.horizon), c.description.split("\n")[0]] for name, c in TASKS.items()]
    grid("tasks", ["task", "agents", "slots", "page", "action", "horizon", "what it is"], rows)


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
    rows = [[name, metric.definition, metric.unit, metric.better or "neither", metric.source] for name, metric in METRICS.items()]
    grid("metrics", ["metric", "definition", "unit", "better", "source"], rows)
