"""Q-learning in one file of plain PyTorch on the batch, to read and to change: IQL, VDN and QMIX by a flag.

    python -m baselines train q-torch --task social-v1
    python -m baselines train q-torch --task duel-v1 --mixer qmix --sharing 1

As in CleanRL (Huang et al. 2022), everything between environment and optimiser is in this file. The options are in
`algorithms.py`, the network is in `recsys_env/trained/pages.py`, the page's value in `critic.py`, the chains of pages
in `page_links.py`. All learners share one network; the observation tells them apart.

    every tick: choose, sometimes at random -> step -> store in the replay -> every other tick a gradient step

The value of an action is the page's value and what the network scores of each of its choices: of the option in every
slot, and of each word (branches as in Tavakoli et al. 2018), so that the best action is the best choice in each. Only
pages are decisions, and a page's successor is the next one of its chain. Double Q-learning: van Hasselt et al. 2016;
IQL: Tan 1993; VDN: Sunehag et al. 2018; QMIX: Rashid et al. 2018.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from recsys_env.batch.base import CpuBatch
from recsys_env.trained import page_policies
from recsys_env.trained.pages import (
    EXCLUDED,
    SHARED,
    Layout,
    ObservationReader,
    Page,
    PageNetwork,
    best_slates,
    mlp,
    option_masks,
    to_actions,
)
from recsys_env.trained.weights import from_arrays, to_arrays

from .algorithms import TorchQ
from .critic import Value
from .page_links import Links
from .training import Point, RolloutRewards, Training

# isort: split
# After ours, whose error says what to install if it is missing.
import torch
from torch import nn

from recsys_env.batch.tensors import Tensors

# ------------------------------------------------------------------------------------------------ values


class Mixer(nn.Module):
    """The team's value as a function that rises in the values of N learners; its weights depend on the global state.

    Args:
        agents: N.
        state: size of the global state.
    """

    def __init__(self, agents: int, state: int, width: int = 32) -> None:
        super().__init__()
        self._shape = agents, width
        self.inner, self.outer = nn.Linear(state, agents * width), nn.Linear(state, width)
        self.bias, self.base = nn.Linear(state, width), mlp(state, width, 1, gain=0.01)

    def forward(self, values: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        """Team values [R] of values [R, N] in states [R, S]."""
        inner = self.inner(states).abs().view(-1, *self._shape) / self._shape[0] ** 0.5
        hidden = nn.functional.elu(torch.bmm(values.unsqueeze(1), inner).squeeze(1) + self.bias(states))
        total: torch.Tensor = (hidden * self.outer(states).abs()).sum(1) / self._shape[1] ** 0.5
        return total + self.base(states).squeeze(1)


class Values(nn.Module):
    """Values of actions: of one learner or, with a mixer, of the team."""

    def __init__(self, layout: Layout, width: int, mixer: Mixer | None) -> None:
        super().__init__()
        self.network, self.mixer = PageNetwork(layout, width), mixer
        self.page = Value(layout.summary, width)

    def forward(self, page: Page, chosen: torch.Tensor) -> torch.Tensor:
        """Values [R] of choices [R, K + words] on each page."""
        scores, words = self.network(page)
        picked = scores.gather(1, chosen[:, : self.network.layout.slots])
        picked = torch.where(picked > EXCLUDED / 2, picked, 0.0)  # an empty slot adds nothing
        value: torch.Tensor = self.page(page.summary()) + picked.sum(1)
        for part, word in zip(words, chosen[:, self.network.layout.slots :].T, strict=True):
            value = value + part.gather(1, word.unsqueeze(1)).squeeze(1)
        return value

    def best(self, page: Page) -> torch.Tensor:
        """Choices [R, K + words] of highest value."""
        scores, words = self.network(page)
        return best_slates(scores, words, self.network.layout.slots)

    def total(self, values: torch.Tensor, active: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        """Total values [R], given values [R, N] of the learners on each page; N = 1 where each learns by itself."""
        there = values * active
        return there.sum(1) if self.mixer is None else self.mixer(there, states)


# ------------------------------------------------------------------------------------------------ replay


class Replay:
    """The last T ticks of B copies and N learners, on the device: [T, B, N, ...].

    A decision is a page of one learner or, with `together`, the page of a copy and of all learners on it. A tick has
    G = N·B or B decisions, which `links` numbers.

    Args:
        envs: the batch.
        options: of the algorithm.
        gamma: discount per tick.
    """

    def __init__(self, envs: CpuBatch, options: TorchQ, gamma: float) -> None:
        self.to_device, self.observer = Tensors(envs, options.device), ObservationReader(envs, options.max_agents)
        self.layout = self.observer.layout
        self.together = options.mixer != "none"
        copies, agents = envs.num_envs, envs.num_agents
        # A page must still be here when the next page of its user slot comes.
        self.steps = max(-(-options.replay // (copies * agents)), envs.config.horizon + 1)
        self.members = agents if self.together else 1  # of a decision
        layout, decisions = self.layout, copies * agents // self.members

        def buffer(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
            return torch.zeros(self.steps, decisions, *shape, dtype=dtype, device=self.to_device.device)

        self.observations = buffer(self.members, layout.observation)
        self.masks = None if layout.candidates else buffer(self.members, layout.options, dtype=torch.bool)
        self.chosen = buffer(self.members, layout.slots + len(layout.words), dtype=torch.int64)
        self.active = buffer(self.members, dtype=torch.bool)
        self.states = buffer(envs.state_space.shape[0] if options.mixer == "qmix" else 0)
        chains = envs.shape.users if options.follows_visitors(envs.config) else 1
        self.links = Links(self.steps, copies, agents // self.members, chains, gamma)
        self.ticks = 0

    def look(self, envs: CpuBatch) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Store what learners see before a step; return observations [R, O] and masks [R, n] of all rows."""
        at, seen = self.ticks % self.steps, envs.observations
        self.observations[at] = self.to_device(self.observer.read()).reshape(self.observations[at].shape)
        self.active[at] = self.to_device(envs.active).reshape(self.active[at].shape)
        if self.masks is not None:
            masks = option_masks(self.to_device(seen["action_mask"]), self.layout)
            self.masks[at] = masks.reshape(self.masks[at].shape)
        if self.states.shape[2]:
            self.states[at] = self.to_device(envs.state())
        return self.observations[at].flatten(0, 1), None if self.masks is None else self.masks[at].flatten(0, 1)

    def add(self, chosen: torch.Tensor, user_slot: np.ndarray, active: np.ndarray, rewards: np.ndarray) -> None:
        """Store choices [R, ...] on the pages that were looked at, and rewards [B, N]."""
        self.chosen[self.ticks % self.steps] = chosen.view_as(self.chosen[0])
        if self.together:
            active, rewards = active.max(1, keepdims=True), rewards.mean(1, keepdims=True)
        self.links.add(self.ticks, *map(torch.from_numpy, (user_slot, active, rewards)))
        self.ticks += 1

    def pages(self, numbers: np.ndarray, network: PageNetwork) -> tuple[Page, torch.Tensor, torch.Tensor, torch.Tensor]:
        """For decisions [R]: their pages [R·members] and choices, who was active [R, members], and states [R, S]."""
        at = torch.from_numpy(numbers).to(self.to_device.device)

        def kept(what: torch.Tensor) -> torch.Tensor:
            return what.flatten(0, 1)[at]

        masks = None if self.masks is None else kept(self.masks).flatten(0, 1)
        page = network.read(kept(self.observations).flatten(0, 1), masks)
        return page, kept(self.chosen).flatten(0, 1), kept(self.active), kept(self.states)


# ------------------------------------------------------------------------------------------------ learning


def targets(
    online: Values, target: Values, replay: Replay, numbers: np.ndarray, discounts: tuple[float, float]
) -> torch.Tensor:
    """Targets [R] of double Q-learning: reward until the next decision, and the discounted value of that one.

    The online network chooses the action of the next decision, and the target network values it.

    Args:
        discounts: per page, per tick.
    """
    links = replay.links
    page, _, active, states = replay.pages(links.following.numpy()[numbers], online.network)
    values = target(page, online.best(page)).view_as(active)
    following = target.total(values, active, states)
    discount = discounts[0] * discounts[1] ** links.ticks[numbers].double()
    reward, discount = links.reward[numbers].to(following), discount.to(following)
    return reward + discount * following


class QLearner:
    """Trains one network for all learners; see `training.Learner`.

    The first `n_steps` ticks are random and measure the units of features. A resumed run begins with an empty replay.
    """

    def __init__(self, training: Training, options: TorchQ) -> None:
        self.training, self.options, self.agent_steps = training, options, training.done
        torch.manual_seed(training.seed)
        self._rng = np.random.default_rng(training.seed)
        self.envs = training.make_envs(copy=False)
        self.envs.reset(seed=training.seed)
        self.replay = Replay(self.envs, options, options.discount(training.config))
        self._rows = self.envs.num_envs * self.envs.num_agents
        mixer = Mixer(self.envs.num_agents, self.replay.states.shape[2]) if options.mixer == "qmix" else None
        self.online = Values(self.replay.layout, options.width, mixer).to(self.replay.to_device.device)
        self.target = copy.deepcopy(self.online).requires_grad_(False)
        self.optimiser = torch.optim.Adam(self.online.parameters(), options.learning_rate)
        if training.checkpoint:
            from_arrays(training.checkpoint.path, training.checkpoint.arrays, self._parts())

    def learn(self, timesteps: int, rollout_ended: Callable[[Point], None]) -> None:
        """Train until `timesteps` agent-steps."""
        options, rollout = self.options, RolloutRewards(self.training.config.horizon, rollout_ended)
        while self.agent_steps < timesteps:
            first = self.agent_steps == 0
            for tick in range(options.n_steps):
                rollout.add(self._play(1.0 if first else options.random_share(self.agent_steps, timesteps)))
                self.agent_steps += self._rows
                if not first and tick % options.update_every == 0:
                    self._update()
            if first:
                seen = self.replay.observations[: self.replay.ticks][self.replay.active[: self.replay.ticks]]
                for values in (self.online, self.target):
                    values.network.measure(seen)
            rollout.end(self.agent_steps)

    @torch.no_grad()
    def _play(self, epsilon: float) -> np.ndarray:
        """Play one tick with this share of random choices; return the individual rewards [B, N]."""
        network, envs = self.online.network, self.envs
        page = network.read(*self.replay.look(envs))
        scores, words = network(page)
        chosen = best_slates(scores, words, network.layout.slots)
        tried = [torch.rand_like(part) for part in (scores, *words)]
        tried[0] = tried[0].masked_fill(~page.allowed, EXCLUDED)
        random = best_slates(tried[0], tried[1:], network.layout.slots)
        chosen = torch.where(torch.rand(len(chosen), 1, device=chosen.device) < epsilon, random, chosen)
        user_slot, active, space = envs.next_user_slots.copy(), envs.active.copy(), envs.action_space
        actions = to_actions(chosen, network.layout).view(envs.num_envs, envs.num_agents, *(space.shape or ()))
        _, rewards, _, truncated, infos = envs.step(self.replay.to_device.actions(actions))
        self.replay.add(chosen, user_slot, active, rewards)
        if truncated.any():  # the copies of a batch end together
            self.replay.links.end()
        individual: np.ndarray = infos["individual_reward"]
        return individual

    def _update(self) -> None:
        """Take a gradient step on decisions whose next one is known."""
        options = self.options
        known = np.flatnonzero(self.replay.links.following.numpy() >= 0)
        if not len(known):
            return
        numbers = self._rng.choice(known, options.batch_size)
        discounts = options.discounts(self.training.config)
        with torch.no_grad():
            wanted = targets(self.online, self.target, self.replay, numbers, discounts)
        page, chosen, active, states = self.replay.pages(numbers, self.online.network)
        values = self.online.total(self.online(page, chosen).view_as(active), active, states)
        loss = nn.functional.smooth_l1_loss(values, wanted)
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.online.parameters(), 10.0)
        self.optimiser.step()
        with torch.no_grad():
            for slow, fast in zip(self.target.parameters(), self.online.parameters(), strict=True):
                slow.lerp_(fast, options.target_rate)

    def _parts(self) -> dict[str, Any]:
        return {"online": self.online, "target": self.target, "optimiser": self.optimiser}

    def resume_arrays(self) -> dict[str, np.ndarray]:
        return to_arrays(self._parts())

    def save(self, folder: Path) -> None:
        page_policies.save(folder, self.envs, {SHARED: self.online.network}, self.options.max_agents)
