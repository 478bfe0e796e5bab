"""Train PPO of Ray RLlib on a cluster; without one, on two nodes that this command starts on one machine.

    python -m baselines cluster                                   # two local nodes, about a minute
    python -m baselines cluster --address auto --task ecommerce-v1 --iterations 200

On a cluster of several machines:

1. Every node needs the same Python and, in a checkout, `pip install -e ".[rllib]"`, or an image that has it. Env
   runners build their own environments, so that only weights and samples travel. Where Ray asks for a token, all nodes
   need the same one (`~/.ray/auth_token`).
2. Run `ray start --head --port=6379` on one node and `ray start --address=HEAD:6379` on all others.
3. Run `python -m baselines cluster --address auto` on the head. By default `--env-runners` is every CPU of the cluster
   but one, which is left for the learner. The learner uses a GPU of the head if there is one.
4. Run `ray stop` on every node at the end.

Each node compiles the game in its first run, which takes about 30 s, and keeps the compiled code beside the package, or
in the user's cache folder of numba where that cannot be written to (NUMBA_CACHE_DIR chooses another one). Env runners
of a node that start together may each compile it. Where the package is installed on a shared disk, one node's code
serves all nodes with the same kind of CPU.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from recsys_env import cli, replace
from recsys_env.adapters.rllib import multi_agent, rows
from recsys_env.files import write_json
from recsys_env.provenance import provenance, task_digests

# isort: split
# After ours, whose error says what to install if it is missing.
import ray
import torch
from ray.cluster_utils import Cluster
from ray.rllib.algorithms import PPOConfig

LOCAL_CPUS = 2  # of each of the two local nodes, so that three env runners do not fit on one
# With these, nothing listens to the network; Ray replaces 127.0.0.1 by the machine's own address.
LOOPBACK = ("127.0.0.2", "127.0.0.3")
SINGLE_THREADED = {"OMP_NUM_THREADS": "1"}  # for each env runner; more threads would compete for the same cores


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Connect to a cluster; without an address, start one of two nodes on this machine and stop it at the end."""
    runtime_env = {"env_vars": SINGLE_THREADED}
    if address is not None:
        ray.init(address=address, runtime_env=runtime_env, log_to_driver=False)
        try:
            yield
        finally:
            ray.shutdown()
        return
    torch.set_num_threads(1)  # the learner shares this machine's cores with both nodes
    head, other = LOOPBACK
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": LOCAL_CPUS, "include_dashboard": False, "node_ip_address": head},
    )
    try:
        cluster.add_node(num_cpus=LOCAL_CPUS, node_ip_address=other)
        cluster.wait_for_nodes()
        ray.init(address=cluster.address, runtime_env=runtime_env, log_to_driver=False)
        yield
    finally:
        ray.shutdown()
        cluster.shutdown()


@dataclass(frozen=True)
class Options:
    """Train PPO of Ray RLlib on a cluster, and print a line for each iteration."""

    address: str | None = None
    """Of a running cluster: auto, or HEAD:6379; by default two local nodes are started."""
    task: str = "duel-v1"
    """Its name; it may have fields changed after commas."""
    networks: Literal["rows", "shared", "independent"] = "rows"
    """One for all agents or one for each; rows: one for all, with a batch of the game per env runner."""
    env_runners: int | None = None
    """By default the CPUs of the cluster but one."""
    num_envs: int = 16
    """Copies of the game in each env runner."""
    fragment: int = 100
    """Ticks of each copy per iteration."""
    iterations: int = 10
    horizon: int = 100
    """Ticks per episode."""
    device: str = "auto"
    """Of the learner: auto, cpu or cuda."""
    seed: int = 0
    out: Path | None = None
    """File for the result, JSON."""


def cluster(options: Options) -> dict[str, Any]:
    """Train by these options.

    Returns:
        the settings, env_runners by address of their node, curve of (agent-steps, mean reward per agent and tick), and
        seconds.
    """
    settings = {name: value for name, value in vars(options).items() if name not in ("address", "out")}
    world = replace(cli.config_of(options.task), {"horizon": options.horizon, "reward": {"sharing": 1.0}})
    in_rows = options.networks == "rows"
    with connected(options.address):
        if in_rows:
            config: Any = rows(PPOConfig(), world, options.num_envs, device=options.device)
        else:
            config = multi_agent(PPOConfig(), world, policies=options.networks, device=options.device)
            config.env_runners(num_envs_per_env_runner=options.num_envs)
        steps = options.num_envs * options.fragment * (world.num_agents if in_rows else 1)
        runners = options.env_runners or int(ray.cluster_resources()["CPU"]) - 1
        config.env_runners(num_env_runners=runners, rollout_fragment_length=options.fragment)
        config.training(
            train_batch_size_per_learner=runners * steps,
            minibatch_size=max(steps // 4, 256),
            num_epochs=6,
            lr=2e-3,
            gamma=0.95,
            entropy_coeff=0.01,
        )
        algorithm = config.debugging(seed=options.seed).build_algo()
        nodes = Counter(algorithm.env_runner_group.foreach_env_runner(node_of_runner, local_env_runner=False))
        by_node = {node["NodeManagerAddress"]: nodes[node["NodeID"]] for node in ray.nodes()}
        for node, count in by_node.items():
            print(f"node at {node}: {count} env runners", flush=True)
        per_step = 1 if in_rows else world.num_agents  # a row is an agent
        curve, began = [], time.perf_counter()
        for _ in range(options.iterations):
            report = algorithm.train()["env_runners"]
            done = int(report["num_env_steps_sampled_lifetime"]) * per_step
            reward = report.get("episode_return_mean", float("nan")) / per_step / options.horizon
            speed = done / (time.perf_counter() - began)
            print(f"{done:>9,} agent-steps {speed:>8,.0f}/s  reward per agent and tick {reward:.3f}", flush=True)
            curve.append((done, float(reward)))
        seconds = time.perf_counter() - began
        algorithm.stop()
    result = {
        **provenance(),
        "played": task_digests(settings),
        "settings": settings,
        "env_runners": by_node,
        "curve": curve,
        "seconds": seconds,
    }
    if options.out:
        write_json(options.out, result, indent=1)
    return result


def node_of_runner(runner: Any) -> str:
    """The id of the node that an env runner is on."""
    return ray.get_runtime_context().get_node_id()


def command(argv: Sequence[str]) -> dict[str, Any]:
    """Run `python -m baselines cluster`."""
    result: dict[str, Any] = cli.run(cluster, "baselines cluster", argv)
    return result
