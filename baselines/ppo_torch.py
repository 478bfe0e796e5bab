"""PPO in one file of plain PyTorch on the batch: a template to copy and change (IPPO with one policy shared by all
agents).

    python -m baselines.ppo_torch --task ecommerce-v1

In the manner of CleanRL (Huang et al. 2022): everything between environment and optimiser is on this page. Every tensor
has the rows of all copies and agents (B·N) as an axis; no Python loop runs over copies or agents. A tick without a page
for an agent (`infos["active"]`) shows nothing of its action, so the policy's loss leaves it out; its value still
matters, so the critic's does not.
PPO: Schulman et al. 2017; generalised advantages: Schulman et al. 2016.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import recsys_env
from recsys_env import VectorEnv, WorldConfig, cli
from recsys_env.evaluation import UNSEEN, score_table
from recsys_env.files import write_json
from recsys_env.policies import Policy
from recsys_env.provenance import provenance
from recsys_env.tensors import Tensors, one_thread

# isort: split
# After ours, whose error says what to install if torch is missing.
import numpy as np
import torch
from gymnasium import spaces
from torch import nn
from torch.distributions import Categorical
from tqdm import tqdm


@dataclass(frozen=True)
class Args:
    """PPO in one file of plain PyTorch."""

    task: str = "ecommerce-v1"
    """Name of the task."""
    total_steps: int = 3_000_000
    """Agent-steps."""
    num_envs: int = 256
    """Copies of the game."""
    num_steps: int = 64
    """Ticks of a rollout."""
    learning_rate: float = 1e-3
    """Of Adam, at the beginning; it falls to 0."""
    gamma: float = 0.99
    """Discount per tick."""
    gae_lambda: float = 0.95
    """Of generalised advantages."""
    epochs: int = 4
    """Passes over a rollout."""
    minibatches: int = 8
    """Of a rollout."""
    clip: float = 0.2
    """How far a probability's ratio may move."""
    entropy: float = 0.005
    """Weight of the entropy bonus."""
    sharing: float | None = None
    """reward.sharing; the task's own by default."""
    all_ticks: bool = False
    """Let ticks without a page into the policy's loss, to see what leaving them out gains."""
    eval_episodes: int = 50
    """Episodes of the evaluation."""
    seed: int = 0
    """Of training; evaluation has seeds of its own."""
    device: str = "auto"
    """auto = a GPU where there is one."""
    out: Path | None = None
    """File for the result, JSON."""


class Agent(nn.Module):
    """Actor and critic; the actor has one categorical head for each part of the action (slots, and a message if there
    are any)."""

    def __init__(self, size: int, heads: list[int], width: int = 64) -> None:
        super().__init__()
        self.heads = heads
        scores = nn.Linear(width, sum(heads))
        nn.init.orthogonal_(scores.weight, 0.01)  # start near a uniform choice
        self.actor = nn.Sequential(nn.Linear(size, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), scores)
        self.critic = nn.Sequential(
            nn.Linear(size, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1)
        )

    def distributions(self, observations: torch.Tensor, masks: torch.Tensor) -> list[Categorical]:
        logits = self.actor(observations).masked_fill(~masks, -1e9)
        return [Categorical(logits=part, validate_args=False) for part in logits.split(self.heads, dim=1)]

    def evaluate(
        self, observations: torch.Tensor, masks: torch.Tensor, actions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Log-probability and entropy of actions [R, heads], and the value of the observations: [R] each."""
        parts = self.distributions(observations, masks)
        log_probability: Any = sum(part.log_prob(actions[:, k]) for k, part in enumerate(parts))
        entropy: Any = sum(part.entropy() for part in parts)
        return log_probability, entropy, self.value(observations)

    def sample(self, observations: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        return torch.stack([part.sample() for part in self.distributions(observations, masks)], dim=1)

    def best(self, observations: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        return torch.stack([part.logits.argmax(1) for part in self.distributions(observations, masks)], dim=1)

    def value(self, observations: torch.Tensor) -> torch.Tensor:
        return self.critic(observations).squeeze(1)  # type: ignore[no-any-return]


class TorchPolicy(Policy):
    """A trained agent as a policy, for evaluation and to play beside others."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent

    @one_thread()
    @torch.no_grad()
    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        device = next(self.agent.parameters()).device
        rows = torch.as_tensor(np.ascontiguousarray(observations), device=device)
        masks = (
            torch.ones(len(rows), sum(self.agent.heads), dtype=torch.bool, device=device)
            if mask is None
            else torch.as_tensor(mask, device=device).bool()
        )
        return self.agent.best(rows, masks).cpu().numpy().reshape(len(rows), *(self.envs.action_space.shape or ()))


def heads_of(space: spaces.Space[Any]) -> list[int]:
    """Sizes of the parts of a discrete action."""
    if isinstance(space, spaces.Discrete):
        return [int(space.n)]
    if isinstance(space, spaces.MultiDiscrete):
        return [int(n) for n in space.nvec]
    raise ValueError(f"this template samples discrete actions, not {space}: choose action='candidates' or 'items'")


class Rollout:
    """What T steps of R rows brought, on the device, and the batch at its present step."""

    def __init__(self, envs: VectorEnv, steps: int, tensors: Tensors, seed: int) -> None:
        self.envs, self.to_device = envs, tensors
        self.rows, device = envs.num_envs * envs.num_agents, tensors.device
        size, heads = envs.observation_space["observation"].shape[0], heads_of(envs.action_space)  # type: ignore[index]

        def buffer(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
            return torch.zeros(steps, self.rows, *shape, dtype=dtype, device=device)

        self.observations, self.masks = buffer(size), buffer(sum(heads), dtype=torch.bool)
        self.actions, self.active = buffer(len(heads), dtype=torch.int64), buffer(dtype=torch.bool)
        self.log_probabilities, self.values, self.rewards, self.advantages = buffer(), buffer(), buffer(), buffer()
        self.ended, self.final_values = np.zeros(steps, bool), buffer()
        self.now, _ = envs.reset(seed=seed)
        self.own = 0.0

    def _on_device(self, observations: Any) -> tuple[torch.Tensor, torch.Tensor]:
        flat, masks = self.to_device(observations["observation"]), self.to_device(observations["action_mask"])
        return flat.view(self.rows, -1), masks.view(self.rows, -1).bool()

    @torch.no_grad()
    def collect(self, agent: Agent) -> torch.Tensor:
        """Play T steps; returns the value of the observation after the last."""
        shape, own = (self.envs.num_envs, self.envs.num_agents, *(self.envs.action_space.shape or ())), 0.0
        for t in range(len(self.ended)):
            self.observations[t], self.masks[t] = self._on_device(self.now)
            self.active[t] = self.to_device(self.envs.active).view(-1)
            self.actions[t] = agent.sample(self.observations[t], self.masks[t])
            self.log_probabilities[t], _, self.values[t] = agent.evaluate(
                self.observations[t], self.masks[t], self.actions[t]
            )
            self.now, rewards, _, truncated, infos = self.envs.step(self.actions[t].cpu().numpy().reshape(shape))
            self.rewards[t] = self.to_device(rewards).view(-1)
            self.ended[t] = truncated.any()  # the copies of a batch end together
            if self.ended[t]:
                # By the horizon: what would have followed is worth what the critic says of the last observation.
                self.final_values[t] = agent.value(self._on_device(self.envs.final_obs)[0])
            own += float(infos["own"].mean())
        self.own = own / len(self.ended)
        return agent.value(self._on_device(self.now)[0])

    def estimate_advantages(self, after: torch.Tensor, gamma: float, gae_lambda: float) -> None:
        """Generalised advantages; an episode's end is bootstrapped, not taken for a terminal state."""
        advantage = torch.zeros_like(after)
        for t in reversed(range(len(self.ended))):
            following = after if t + 1 == len(self.ended) else self.values[t + 1]
            if self.ended[t]:
                following, advantage = self.final_values[t], torch.zeros_like(after)
            advantage = self.rewards[t] + gamma * following - self.values[t] + gamma * gae_lambda * advantage
            self.advantages[t] = advantage


def update(agent: Agent, optimiser: torch.optim.Optimizer, rollout: Rollout, args: Args) -> None:
    """Several epochs of minibatches of the clipped objective."""
    names = ("observations", "masks", "actions", "active", "log_probabilities", "values", "advantages")
    observations, masks, actions, active, old, values, advantages = (
        getattr(rollout, name).flatten(0, 1) for name in names
    )
    returns = advantages + values
    counts = torch.ones_like(active) if args.all_ticks else active
    chosen = advantages[counts]
    normalised = (advantages - chosen.mean()) / (chosen.std() + 1e-8)
    for _ in range(args.epochs):
        for rows in torch.randperm(len(returns), device=returns.device).chunk(args.minibatches):
            log_probability, entropy, value = agent.evaluate(observations[rows], masks[rows], actions[rows])
            ratio, weight = (log_probability - old[rows]).exp(), counts[rows].float()
            gain = torch.minimum(ratio * normalised[rows], ratio.clamp(1 - args.clip, 1 + args.clip) * normalised[rows])
            policy_loss = -((gain + args.entropy * entropy) * weight).sum() / weight.sum().clamp_min(1.0)
            loss = policy_loss + 0.5 * (value - returns[rows]).pow(2).mean()
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
            optimiser.step()


def train(args: Args, config: WorldConfig) -> tuple[Agent, dict[str, Any]]:
    """The trained agent, and its learning curve: own reward per agent and tick, by agent-steps."""
    torch.manual_seed(args.seed)
    envs = VectorEnv(config, args.num_envs)
    tensors = Tensors(envs, args.device)
    rollout = Rollout(envs, args.num_steps, tensors, args.seed)
    agent = Agent(rollout.observations.shape[-1], heads_of(envs.action_space)).to(tensors.device)
    optimiser = torch.optim.Adam(agent.parameters(), args.learning_rate, eps=1e-5)
    steps_each, curve, began = args.num_steps * rollout.rows, [], time.perf_counter()
    rounds = max(1, round(args.total_steps / steps_each))
    with tqdm(total=rounds * steps_each, unit="agent-step", unit_scale=True) as bar:
        for iteration in range(rounds):
            optimiser.param_groups[0]["lr"] = args.learning_rate * (1 - iteration / rounds)
            rollout.estimate_advantages(rollout.collect(agent), args.gamma, args.gae_lambda)
            update(agent, optimiser, rollout, args)
            curve.append(((iteration + 1) * steps_each, rollout.own))
            bar.update(steps_each)
            bar.set_postfix_str(f"own reward per tick {rollout.own:.4f}")
    return agent, {"agent_steps": rounds * steps_each, "seconds": time.perf_counter() - began, "curve": curve}


def main(args: Args) -> dict[str, Any]:
    """Train, and print and return the scores beside those of other policies."""
    changes: dict[str, Any] = {} if args.sharing is None else {"reward": {"sharing": args.sharing}}
    config = recsys_env.task_config(args.task, {"mask_actions": True, **changes})
    agent, training = train(args, config)
    trained = {name: TorchPolicy(agent) for name in config.agents}
    table = score_table(config, trained, args.eval_episodes, args.seed + UNSEEN)
    for name, row in table.items():
        scored = f"score {row['score']:6.1f} ±{row['score_ci95']:.1f}" if "score" in row else ""
        print(f"{name:10} {row['mean']:9.3f} ±{row['ci95']:.3f}   {scored}")
    settings = {key: str(value) if isinstance(value, Path) else value for key, value in vars(args).items()}
    result = {
        "task": args.task,
        "table": table,
        "training": training,
        "settings": settings,
        **provenance(),
    }
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        write_json(args.out, result, indent=1)
    return result


if __name__ == "__main__":
    cli.run(main, "baselines.ppo_torch")
