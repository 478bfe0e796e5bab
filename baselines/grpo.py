"""GRPO in one file, to read and to change: train the generative recommender by comparing what it shows within groups.

    python -m baselines train generative-grpo --task streaming-v1 --group 8

As in `ppo_torch.py`, everything between environment and optimiser is in this file. The network is pre-trained by
`generative_pretraining.py`; the options are in `algorithms.py`.

    restore the copies of each group to one state -> each plays T ticks with slates of its own -> its return less the
    group's mean, in standard deviations -> several epochs of the clipped objective, less the divergence from the
    pre-trained network

The copies of a group begin alike and have the same random numbers: the same visitors come as far as the pages that
they were shown let them, and they click alike on equal pages. Differences of returns therefore come from the slates,
and from other agents that draw their pages at random, and no critic is needed. What a page changes after its T ticks
does not count. GRPO: Shao et al. 2024; slates: Plackett 1975.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recsys_env.trained import generative
from recsys_env.trained.generative import GenerativeNetwork
from recsys_env.trained.pages import SHARED, best_slates, option_masks, to_actions
from recsys_env.trained.weights import from_arrays, to_arrays

from .algorithms import GenerativeGRPO
from .generative_pretraining import MEASURED, Recommender, from_array, to_array
from .ppo_torch import divergence, gumbel, slate_log_probability
from .training import Point, RolloutRewards, Training

# isort: split
# After ours, whose error says what to install if it is missing.
import torch
from torch import nn

from recsys_env.batch.tensors import Tensors

AT_ONCE = 1 << 13  # pages whose probabilities are computed at once


@dataclass
class Pages:
    """Pages to learn from.

    Attributes:
        seen: [P, O] what agents acted on.
        masks: [P, n] bool, options that could be shown; nothing where they are candidates.
        chosen: [P, K + words]
        advantages: [P] of the copy and agent that played the page, within its group.
        old, reference: [P] log-probability of what was chosen, for the network that played and the pre-trained one.
    """

    seen: torch.Tensor
    masks: torch.Tensor
    chosen: torch.Tensor
    advantages: torch.Tensor
    old: torch.Tensor
    reference: torch.Tensor

    def __len__(self) -> int:
        return len(self.seen)


def group_advantages(returns: torch.Tensor, group: int) -> torch.Tensor:
    """Return each return [B, N] less the mean of its group of copies, in the group's standard deviations."""
    of_group = returns.view(-1, group, returns.shape[1])
    beside = of_group - of_group.mean(1, keepdim=True)
    return (beside / (of_group.std(1, correction=0, keepdim=True) + 1e-6)).view_as(returns)


def log_probability(
    network: GenerativeNetwork, seen: torch.Tensor, masks: torch.Tensor, chosen: torch.Tensor
) -> torch.Tensor:
    """Log-probability [P] of what was chosen [P, K + words]."""
    slots = network.layout.slots
    scores, words = network(network.read(seen, masks))
    found = slate_log_probability(scores, chosen[:, :slots])
    for part, word in zip(words, chosen[:, slots:].unbind(1), strict=True):
        found = found + part.log_softmax(1).gather(1, word.unsqueeze(1)).squeeze(1)
    return found


def objective(now: torch.Tensor, pages: Pages, rows: torch.Tensor, options: GenerativeGRPO) -> torch.Tensor:
    """Return the mean objective of some pages, clipped as in PPO, less the divergence from the reference (Shao et al.
    2024, equations 3 and 4).

    Args:
        now: [R] log-probabilities of what was chosen there, by the network that learns.
        rows: [R] numbers of the pages in `pages`.
    """
    ratio, gain = (now - pages.old[rows]).exp(), pages.advantages[rows]
    clipped = torch.minimum(ratio * gain, ratio.clamp(1 - options.clip, 1 + options.clip) * gain)
    return (clipped - options.kl_coef * divergence(now, pages.reference[rows])).mean()


class GRPOLearner:
    """Pre-trains a network on logged pages, then trains it by GRPO; all learners share one network. See
    `training.Learner`.

    The first rollout is played only to measure the units of features.
    """

    def __init__(self, training: Training, options: GenerativeGRPO) -> None:
        self.training, self.options, self.agent_steps = training, options, training.done
        torch.manual_seed(training.seed)
        self.envs = training.make_envs(copy=False)
        self.envs.reset(seed=training.seed)
        self.to_device = Tensors(self.envs, options.device)
        self.recommender = Recommender(self.envs, options)
        self.network, self.reference = (self.recommender.network().to(self.to_device.device) for _ in range(2))
        self.optimiser = torch.optim.Adam(self.recommender.pace(self.network), options.learning_rate, eps=1e-5)
        self._tick = 0
        if training.checkpoint:
            arrays = training.checkpoint.arrays
            self.recommender.measured = from_array(arrays.pop(MEASURED))
            from_arrays(training.checkpoint.path, arrays, self._parts())
        elif options.pages:
            self.recommender.pretrain(self.network, self.recommender.log(training.config))

    # -------------------------------------------------------------------------------------------- playing

    @torch.no_grad()
    def _play(self, returns: RolloutRewards) -> Pages:
        """Let the copies of each group begin at the state of its first one, and play them until the rewards are
        compared or the episode ends."""
        envs, options, observer = self.envs, self.options, self.recommender.observer
        first = np.arange(envs.num_envs) // options.group * options.group
        envs.restore(envs.save().take(first))
        observer.take(first)
        ticks = min(options.n_steps, envs.config.horizon - self._tick)
        earned = torch.zeros(envs.num_envs, envs.num_agents, device=self.to_device.device)
        gamma, layout, kept = options.discount(envs.config), observer.layout, list[tuple[torch.Tensor, ...]]()
        space: Any = envs.action_space
        for t in range(ticks):
            seen, active = self.to_device(observer.read()).flatten(0, 1), self.to_device.kept(envs.active).flatten()
            masks = seen.new_zeros(len(seen), 0, dtype=torch.bool)
            if not layout.candidates:
                masks = option_masks(self.to_device(envs.observations["action_mask"]), layout).flatten(0, 1)
            scores, words = self.network(self.network.read(seen, masks))
            noisy = [part + gumbel(part) for part in (scores, *words)]
            chosen = best_slates(noisy[0], noisy[1:], layout.slots)
            which = torch.arange(len(seen), device=seen.device)
            kept.append((seen[active], masks[active], chosen[active], which[active]))
            actions = to_actions(chosen, layout).view(*earned.shape, *space.shape)
            _, rewards, _, over, infos = envs.step(self.to_device.actions(actions))
            observer.record(infos, over)
            earned += gamma**t * self.to_device(rewards)
            returns.add(infos["individual_reward"])
        self._tick = (self._tick + ticks) % envs.config.horizon
        self.agent_steps += ticks * earned.numel()
        seen, masks, chosen, which = (torch.cat(parts) for parts in zip(*kept, strict=True))
        advantages = group_advantages(earned, options.group).flatten()[which]
        parts = list(zip(*(part.split(AT_ONCE) for part in (seen, masks, chosen)), strict=True))
        old, reference = (
            torch.cat([log_probability(network, *part) for part in parts]) for network in (self.network, self.reference)
        )
        return Pages(seen, masks, chosen, advantages, old, reference)

    # -------------------------------------------------------------------------------------------- learning

    def learn(self, timesteps: int, rollout_ended: Callable[[Point], None]) -> None:
        """Train until `timesteps` agent-steps."""
        returns = RolloutRewards(self.training.config.horizon, rollout_ended)
        while self.agent_steps < timesteps:
            left, begins = 1 - self.agent_steps / timesteps, self.agent_steps == 0
            pages = self._play(returns)
            if begins:
                self.network.measure(pages.seen)
                self.reference.load_state_dict(self.network.state_dict())
            elif len(pages) > 1:
                for group in self.optimiser.param_groups:
                    group["lr"] = self.options.learning_rate * left * group["pace"]
                self._update(pages)
            returns.end(self.agent_steps)

    def _update(self, pages: Pages) -> None:
        """Take several epochs of minibatches."""
        options, parts = self.options, max(1, round(len(pages) / self.options.batch_size))
        for _ in range(options.n_epochs):
            for rows in torch.randperm(len(pages), device=pages.seen.device).chunk(parts):
                self.optimiser.zero_grad()
                for some in rows.chunk(options.accumulate):
                    now = log_probability(self.network, pages.seen[some], pages.masks[some], pages.chosen[some])
                    loss = -objective(now, pages, some, options)
                    (loss * (len(some) / len(rows))).backward()
                for group in self.optimiser.param_groups:
                    nn.utils.clip_grad_norm_(group["params"], 0.5)
                self.optimiser.step()

    # -------------------------------------------------------------------------------------------- what is kept

    def _parts(self) -> dict[str, Any]:
        return {"network": self.network, "reference": self.reference, "optimiser": self.optimiser}

    def resume_arrays(self) -> dict[str, np.ndarray]:
        return {**to_arrays(self._parts()), MEASURED: to_array(self.recommender.measured)}

    def save(self, folder: Path) -> None:
        generative.save(folder, self.envs, {SHARED: self.network}, self.recommender.measured)
