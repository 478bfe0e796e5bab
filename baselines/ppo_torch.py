"""PPO in one file of plain PyTorch on the batch, to read and to change: IPPO, and MAPPO by a flag.

    python -m baselines train ppo-torch --task social-v1
    python -m baselines train ppo-torch --task duel-v1 --centralised --sharing 1

As in CleanRL (Huang et al. 2022), everything between environment and optimiser is in this file. The options are in
`algorithms.py`, the network is in `recsys_env/trained/pages.py`, the critic in `critic.py`, the chains of pages in
`page_links.py`. Every tensor has the rows of all copies and agents (R = B·N) as an axis; no Python loop runs over
copies or pages.

    play T ticks -> value the pages -> generalised advantages along chains -> several epochs of the clipped objective

Only pages are decisions. A tick without a page for an agent shows nothing of the agent's action, so that it takes no
part in training; what is earned then counts for an earlier page. PPO: Schulman et al. 2017; IPPO: de Witt et al. 2020;
MAPPO: Yu et al. 2022; generalised advantages: Schulman et al. 2016; slates: Plackett 1975.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

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
    Scorer,
    VisitorMemory,
    best_slates,
    echo_of,
    option_masks,
    to_actions,
)
from recsys_env.trained.weights import from_arrays, to_arrays

from .algorithms import TorchPPO
from .critic import Value
from .logged_pages import log_by, split
from .page_links import Links
from .pretraining import MEASURED_ON, ClickModel, pretrain
from .training import Point, RolloutRewards, Training

# isort: split
# After ours, whose error says what to install if it is missing.
import torch
from torch import nn
from torch.distributions import Categorical, Normal

from recsys_env.batch.tensors import Tensors

SEQUENCE = 16  # pages of a visitor that a gradient of the memory runs through
AT_ONCE = 1 << 14  # pages that are valued at once


# ------------------------------------------------------------------------------------------------ actor and critic


def gumbel(like: torch.Tensor) -> torch.Tensor:
    """Gumbel noise: the top K of scores + noise are drawn from their softmax without replacement (Yellott 1977)."""
    return -torch.empty_like(like).exponential_().clamp_min_(1e-30).log_()


def slate_log_probability(scores: torch.Tensor, picks: torch.Tensor) -> torch.Tensor:
    """Log-probability [R] of picks [R, K] in this order (Plackett-Luce).

    Each pick is drawn from the options that are left, by softmax of the scores [R, n].
    """
    picked = scores.gather(1, picks)
    never = scores.scatter(1, picks, 2 * EXCLUDED).logsumexp(1, keepdim=True)
    later = picked.flip(1).logcumsumexp(1).flip(1)  # of this pick and those after it
    return (picked - torch.logaddexp(never, later)).sum(1)


class Agent(nn.Module):
    """An actor, and a critic of the page or of the page and the global state.

    Args:
        actor: scores options.
        state: size of the global state that the critic sees; 0 if it sees none.
        width: of the critic.
    """

    def __init__(self, actor: Scorer, state: int, width: int) -> None:
        super().__init__()
        layout, memory = actor.layout, actor.memory.hidden_size if actor.memory else 0
        self.actor = actor
        self.log_deviation = nn.Parameter(torch.full((layout.vector,), -0.5))  # of a vector, before tanh
        self.critic = Value(layout.summary + memory + state, width)

    def sample(self, page: Page, remembered: torch.Tensor | None) -> torch.Tensor:
        """Sample choices [R, K + words], or vectors [R, D] before tanh."""
        scores, words = self.actor(page, remembered)
        if self.actor.layout.vector:
            return torch.normal(scores, self.log_deviation.exp().expand_as(scores))
        noisy = [part + gumbel(part) for part in words]
        return best_slates(scores + gumbel(scores), noisy, self.actor.layout.slots)

    def evaluate(
        self, page: Page, remembered: torch.Tensor | None, chosen: torch.Tensor, state: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Log-probability and entropy of what was chosen, and the value of the page: [R] each.

        The entropy of a slate has no closed form; that of its first pick grows and falls with it. Through tanh, the
        ratio of two probabilities is that of the normal ones.
        """
        scores, words = self.actor(page, remembered)
        if self.actor.layout.vector:
            normal = Normal(scores, self.log_deviation.exp(), validate_args=False)
            log_probability, entropy = normal.log_prob(chosen).sum(1), normal.entropy().sum(1)
        else:
            slots = self.actor.layout.slots
            log_probability = slate_log_probability(scores, chosen[:, :slots])
            entropy = Categorical(logits=scores, validate_args=False).entropy()
            for part, word in zip(words, chosen[:, slots:].T, strict=True):
                of_word = Categorical(logits=part, validate_args=False)
                log_probability, entropy = log_probability + of_word.log_prob(word), entropy + of_word.entropy()
        seen = [page.summary(), state] if remembered is None else [page.summary(), remembered.detach(), state]
        return log_probability, entropy, self.critic(torch.cat(seen, 1))


# ------------------------------------------------------------------------------------------------ playing


class Rollout:
    """T steps of R rows, on the device, and the batch at its present step.

    Args:
        envs: the batch, which has just been reset.
        options: of the algorithm.
        gamma: discount per tick.
        observer: reads what agents act on; by default their observations.
    """

    def __init__(
        self, envs: CpuBatch, options: TorchPPO, gamma: float, observer: ObservationReader | None = None
    ) -> None:
        self.envs, self.to_device = envs, Tensors(envs, options.device)
        self.observer = observer or ObservationReader(envs)
        self.layout = self.observer.layout
        self.shape = steps, copies, agents = options.n_steps, envs.num_envs, envs.num_agents
        layout, device = self.layout, self.to_device.device

        def buffer(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
            return torch.zeros(steps, copies * agents, *shape, dtype=dtype, device=device)

        self.observations = buffer(layout.observation)
        self.masks = None if layout.candidates or layout.vector else buffer(layout.options, dtype=torch.bool)
        kind, parts = (
            (torch.float32, layout.vector) if layout.vector else (torch.int64, layout.slots + len(layout.words))
        )
        self.chosen = buffer(parts, dtype=kind)
        self.states = buffer(envs.state_space.shape[0] if options.centralised else 0)
        self.active = torch.zeros(self.shape, dtype=torch.bool, device=device)
        self.visitors = torch.zeros(self.shape, dtype=torch.int64, device=device)
        self.individual_rewards = torch.zeros(self.shape, device=device)
        self.episodes, self._ticks = np.zeros(steps, np.int64), 0
        chains = envs.shape.users if options.follows_visitors(envs.config) else 1
        self.links = Links(steps, copies, agents, chains, gamma, device)
        self.remembered, self.echoes, self._memory = buffer(options.memory), buffer(layout.echo), None
        if options.memory:
            sizes = options.memory, layout.echo
            self._memory = VisitorMemory((copies, agents), envs.shape.users, sizes, device)

    @torch.no_grad()
    def collect(self, agents: list[tuple[Agent, slice]]) -> None:
        """Play T steps, each agent in its rows."""
        steps, copies, per_copy = self.shape
        for t in range(steps):
            self._look(t)
            page = self.envs.next_user_slots, self.envs.active, self.envs.next_visitor
            user_slot, self.active[t], self.visitors[t] = map(self.to_device.kept, page)
            episode, tick = divmod(self._ticks, self.envs.config.horizon)
            self.episodes[t], self._ticks = episode, self._ticks + 1
            if self._memory:
                whose = user_slot.cpu().numpy(), self.visitors[t].cpu().numpy()
                self.remembered[t], self.echoes[t] = self._memory.recall(*whose)
            state, pages = torch.empty_like(self.remembered[t]), []
            for agent, rows in agents:
                page = agent.actor.read(self.observations[t, rows], None if self.masks is None else self.masks[t, rows])
                known = None
                if self._memory:
                    known = state[rows] = remember(agent, page, self.echoes[t, rows, None], self.remembered[t, rows])
                self.chosen[t, rows] = agent.sample(page, known)
                pages.append((page, rows))
            space: Any = self.envs.action_space
            actions = to_actions(self.chosen[t], self.layout).view(copies, per_copy, *space.shape)
            _, earned, _, over, infos = self.envs.step(self.to_device.actions(actions))
            self.individual_rewards[t] = self.to_device(infos["individual_reward"])
            self.observer.record(infos, over)
            self.links.add(t, user_slot, self.active[t], self.to_device(earned))
            if self._memory:
                individual, echo = self.individual_rewards[t].view(-1), torch.empty_like(self.echoes[t])
                for page, rows in pages:
                    echo[rows] = echo_of(individual[rows], self.chosen[t, rows], page, self.layout)
                self._memory.keep(*whose, state, echo)
            if tick + 1 == self.envs.config.horizon:  # the copies of a batch end together
                self.links.end()
                if self._memory:
                    self._memory.forget(np.ones(copies, np.bool_))
        self.links.end()

    def _look(self, t: int) -> None:
        """Store what agents see before step t."""
        rows, seen = self.observations.shape[1], self.envs.observations
        self.observations[t] = self.to_device(self.observer.read()).reshape(rows, -1)
        if self.masks is not None:
            self.masks[t] = option_masks(self.to_device(seen["action_mask"]), self.layout).reshape(rows, -1)
        if self.states.shape[2]:
            self.states[t] = self.to_device(self.envs.state()).repeat_interleave(self.shape[2], 0)

    def pages(self, rows: slice) -> np.ndarray:
        """Numbers [P] of the pages of these rows, T·R in all."""
        active = self.active.flatten(1)
        numbers = torch.arange(active.numel(), device=active.device).view_as(active)
        found: np.ndarray = numbers[:, rows][active[:, rows]].cpu().numpy()
        return found

    def sequences(self, pages: np.ndarray) -> np.ndarray:
        """Arrange pages [P] as sequences [M, L] of one visitor each, in the order of time, padded with -1.

        Without a memory, each page is a sequence.
        """
        if self._memory is None:
            return pages[:, None]
        steps, rows = np.divmod(pages, self.observations.shape[1])
        visitors = self.visitors.cpu().numpy().reshape(-1)[pages]
        order = np.lexsort((steps, visitors, self.episodes[steps], rows))
        whose = np.stack((rows, self.episodes[steps], visitors))[:, order]
        begins = np.append(True, (whose[:, 1:] != whose[:, :-1]).any(0))
        position = np.arange(len(order)) - np.maximum.accumulate(np.where(begins, np.arange(len(order)), 0))
        position %= SEQUENCE
        found = np.full(((position == 0).sum(), SEQUENCE), -1)
        found[(position == 0).cumsum() - 1, position] = pages[order]
        return found


def remember(agent: Agent, page: Page, echoes: torch.Tensor, begin: torch.Tensor) -> torch.Tensor:
    """Run the memory along sequences of pages [R / L, L], each from a state [R / L, H]; return states [R, H].

    Args:
        echoes: [R / L, L, E] what the agent did on the previous pages, and what it earned.
    """
    assert agent.actor.memory is not None
    seen = torch.cat((page.context.view(*echoes.shape[:2], -1), echoes), 2)
    states: torch.Tensor = agent.actor.memory(seen, begin.unsqueeze(0).contiguous())[0]
    return states.flatten(0, 1)


# ------------------------------------------------------------------------------------------------ learning


def advantages(values: torch.Tensor, links: Links, page_gamma: float, gamma: float, gae_lambda: float) -> torch.Tensor:
    """Generalised advantages [T·R] of pages with values [T·R], each against the page that follows in its chain.

    The discount to the next page is `page_gamma` · `gamma`^ticks (a semi-Markov process, Sutton, Precup & Singh 1999).
    The last page of a chain stands for the next one, which was not seen.
    """
    values, numbers = values.double(), torch.arange(len(values), device=values.device)
    following = torch.where(links.following < 0, numbers, links.following)
    discount = (page_gamma * gamma ** links.ticks.double()).masked_fill(links.following < 0, 0.0)
    error = links.reward + discount * values[following] - values
    return links.sums(error, gae_lambda * discount)


@dataclass
class Batch:
    """Pages to learn from, with the values and probabilities of the agent that played them.

    Attributes:
        rollout: where they were played.
        sequences: [M, L] their numbers, -1 = none.
        old: [T·R] log-probabilities of what was chosen.
        advantages, returns: [T·R].
        reference: [T·R] log-probabilities of what was chosen, by the network as training in the game began; None where
            the policy is not held near it.
    """

    rollout: Rollout
    sequences: torch.Tensor
    old: torch.Tensor
    advantages: torch.Tensor
    returns: torch.Tensor
    reference: torch.Tensor | None = None


@torch.no_grad()
def judge(agent: Agent, rollout: Rollout, sequences: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities and values [T·R] that an agent gives to what was chosen at these sequences; 0 elsewhere."""
    size, device = rollout.active.numel(), rollout.observations.device
    log_probabilities, values = torch.zeros(size, device=device), torch.zeros(size, device=device)
    for some in sequences.split(max(1, AT_ONCE // sequences.shape[1])):
        numbers, log_probability, _, value = evaluate(agent, rollout, some)
        log_probabilities[numbers], values[numbers] = log_probability, value
    return log_probabilities, values


@torch.no_grad()
def assess(agent: Agent, rollout: Rollout, rows: slice, discounts: tuple[float, float], gae_lambda: float) -> Batch:
    """Compute values and advantages of the pages of these rows.

    Args:
        discounts: per page, per tick.
    """
    sequences = torch.from_numpy(rollout.sequences(rollout.pages(rows))).to(rollout.observations.device)
    old, values = judge(agent, rollout, sequences)
    gains = advantages(values, rollout.links, *discounts, gae_lambda).float()
    return Batch(rollout, sequences, old, gains, gains + values)


def evaluate(agent: Agent, rollout: Rollout, sequences: torch.Tensor) -> list[torch.Tensor]:
    """For the pages of some sequences: their numbers, and log-probability, entropy and value of each."""
    numbers, there = sequences.clamp_min(0), sequences.flatten() >= 0
    flat = numbers.flatten()

    def played(what: torch.Tensor) -> torch.Tensor:
        return what.flatten(0, 1)[flat]

    page = agent.actor.read(played(rollout.observations), None if rollout.masks is None else played(rollout.masks))
    known = None
    if agent.actor.memory:
        echoes = played(rollout.echoes).view(*numbers.shape, -1)
        known = remember(agent, page, echoes, rollout.remembered.flatten(0, 1)[numbers[:, 0]])
    found = agent.evaluate(page, known, played(rollout.chosen), played(rollout.states))
    return [part[there] for part in (flat, *found)]


def divergence(now: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Divergence [R] of a policy from a reference, estimated from the log-probabilities of what it chose (Schulman
    2020); never negative."""
    beyond = reference - now
    return beyond.exp() - beyond - 1


def update(
    agent: Agent,
    optimiser: torch.optim.Optimizer,
    batch: Batch,
    options: TorchPPO,
    ent_coef: float,
    kl_coef: float = 0.0,
) -> None:
    """Take several epochs of minibatches of the clipped objective, the gradients of each minibatch in
    `options.accumulate` parts; `kl_coef` weighs the divergence from the reference."""
    pages = batch.sequences[batch.sequences >= 0]
    chosen = batch.advantages[pages]
    normalised = (batch.advantages - chosen.mean()) / (chosen.std() + 1e-8)
    parts = max(1, round(len(pages) / options.batch_size))
    for _ in range(options.n_epochs):
        for which in torch.randperm(len(batch.sequences), device=pages.device).chunk(parts):
            optimiser.zero_grad()
            of_all = int((batch.sequences[which] >= 0).sum())
            for some in which.chunk(options.accumulate):
                numbers, log_probability, entropy, value = evaluate(agent, batch.rollout, batch.sequences[some])
                ratio, gain = (log_probability - batch.old[numbers]).exp(), normalised[numbers]
                clipped = torch.minimum(ratio * gain, ratio.clamp(1 - options.clip, 1 + options.clip) * gain)
                error = (value - batch.returns[numbers]) / agent.critic.unit
                loss = 0.5 * error.square().mean() - (clipped + ent_coef * entropy).mean()
                if batch.reference is not None:
                    loss = loss + kl_coef * divergence(log_probability, batch.reference[numbers]).mean()
                (loss * (len(numbers) / of_all)).backward()
            for group in optimiser.param_groups:
                nn.utils.clip_grad_norm_(group["params"], 0.5)
            optimiser.step()


class PPOLearner:
    """Trains one agent for all learners, or one for each; see `training.Learner`.

    The first rollout is played only to measure the units of features and returns.
    """

    kl_coef = 0.0  # weight of the divergence from the network as training in the game began

    def __init__(self, training: Training, options: TorchPPO) -> None:
        self.training, self.options, self.agent_steps = training, options, training.done
        torch.manual_seed(training.seed)
        self.envs = training.make_envs(copy=False)
        self.envs.reset(seed=training.seed)
        self.rollout = Rollout(self.envs, options, options.discount(training.config), self._observer())
        state, learners = self.rollout.states.shape[2], training.learners
        self.rows = (
            {agent: slice(n, None, len(learners)) for n, agent in enumerate(learners)}
            if options.separate
            else {SHARED: slice(None)}
        )
        device = self.rollout.to_device.device
        self.agents = {
            name: Agent(self._actor(self.rollout.layout), state, options.width).to(device) for name in self.rows
        }
        self.optimisers = {
            name: torch.optim.Adam(self._groups(agent), options.learning_rate, eps=1e-5)
            for name, agent in self.agents.items()
        }
        self.references = copy.deepcopy(self.agents) if self.kl_coef else {}
        if training.checkpoint:
            from_arrays(training.checkpoint.path, training.checkpoint.arrays, self._parts())
        elif options.pages:
            self._pretrain()

    def _observer(self) -> ObservationReader:
        return ObservationReader(self.envs, self.options.max_agents)

    def _actor(self, layout: Layout) -> Scorer:
        return page_policies.page_network(layout, self.options.width, self.options.memory, self.options.attention)

    def _groups(self, agent: Agent) -> list[dict[str, Any]]:
        """Groups of parameters for the optimiser: actor and critic apart, so that large gradients of one do not shrink
        those of the other. A group's `pace` is a factor on the learning rate."""
        actor = [*agent.actor.parameters(), agent.log_deviation]
        return [{"params": actor, "pace": 1.0}, {"params": list(agent.critic.parameters()), "pace": 1.0}]

    def _pretrain(self) -> None:
        """Train one network on logged pages, and give it to all learners."""
        first, *others = (agent.actor for agent in self.agents.values())
        self._fit(first)
        for network in others:
            network.load_state_dict(first.state_dict())
            network.measured = True

    def _fit(self, network: Scorer) -> None:
        """Train a network to predict clicks on logged pages."""
        pages, validation = split(log_by(self.options, self.training.config, 1, self.envs.shape.items))
        device = self.rollout.to_device.device
        network.measure(pages.seen[:MEASURED_ON].to(device))
        model = ClickModel(network, self.options.width).to(device)
        pretrain(model, model.losses, pages, validation, self.options, device)

    def learn(self, timesteps: int, rollout_ended: Callable[[Point], None]) -> None:
        """Train until `timesteps` agent-steps."""
        returns = RolloutRewards(self.training.config.horizon, rollout_ended)
        while self.agent_steps < timesteps:
            left = 1 - self.agent_steps / timesteps
            self.rollout.collect([(agent, self.rows[name]) for name, agent in self.agents.items()])
            returns.add(self.rollout.individual_rewards.cpu().numpy())
            for name in self.agents:
                if self.agent_steps == 0:
                    self._measure(name)
                else:
                    self._update(name, left)
            self.agent_steps += self.rollout.individual_rewards.numel()
            returns.end(self.agent_steps)

    def _assess(self, name: str) -> Batch:
        discounts = self.options.discounts(self.training.config)
        return assess(self.agents[name], self.rollout, self.rows[name], discounts, self.options.gae_lambda)

    def _measure(self, name: str) -> None:
        agent, pages = self.agents[name], self.rollout.pages(self.rows[name])
        agent.actor.measure(self.rollout.observations.flatten(0, 1)[torch.from_numpy(pages)])
        if len(pages) > 1 and (unit := self._assess(name).returns[torch.from_numpy(pages)].std()) > 0:
            agent.critic.unit.copy_(unit)
        if name in self.references:
            self.references[name].load_state_dict(agent.state_dict())

    def _update(self, name: str, left: float) -> None:
        for group in self.optimisers[name].param_groups:
            group["lr"] = self.options.learning_rate * left * group["pace"]
        batch = self._assess(name)
        if (batch.sequences >= 0).sum() > 1:
            if name in self.references:
                batch.reference, _ = judge(self.references[name], self.rollout, batch.sequences)
            ent_coef = self.options.ent_coef * left
            update(self.agents[name], self.optimisers[name], batch, self.options, ent_coef, self.kl_coef)

    def _parts(self) -> dict[str, Any]:
        references = {f"{name}.reference": agent for name, agent in self.references.items()}
        return {**self.agents, **references, **{f"{name}.optimiser": part for name, part in self.optimisers.items()}}

    def resume_arrays(self) -> dict[str, np.ndarray]:
        return to_arrays(self._parts())

    def save(self, folder: Path) -> None:
        networks = cast("dict[str, PageNetwork]", {name: agent.actor for name, agent in self.agents.items()})
        page_policies.save(folder, self.envs, networks, self.options.max_agents)
