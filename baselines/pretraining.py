"""Pre-training of networks on logged pages, by gradient steps and with early stopping.

    curve = pretrain(network, losses, pages, validation, options, device)

A network learns to predict what visitors click; the losses are in nats. `ClickModel` makes a click model of any network
that scores options. The generative recommender, which also predicts items, has its own losses
(`generative_pretraining.py`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from recsys_env.trained.pages import EXCLUDED, Scorer

from .algorithms import Pretraining
from .critic import Value
from .logged_pages import LoggedPages

# isort: split
# After ours, whose error says what to install if it is missing.
import torch
from torch import nn

MEASURED_ON = 4096  # pages that measure the units of features, before training
AT_ONCE = 2048  # pages, when losses are validated
WARM_UP = 100  # steps in which the learning rate rises
PAGE, ITEMS = "page", "items"  # names of losses: of the outcome of all pages [P], of the clicked item of those with one
SHOWN = {ITEMS: "an item", PAGE: "a page"}  # how they are printed

Losses: TypeAlias = Callable[[LoggedPages], dict[str, torch.Tensor]]
"""Losses of pages by name: `page` [P], and `items` [X] of the pages with a click, if the network predicts items."""


class ClickModel(nn.Module):
    """Predicts clicks by the scores of a network: a multinomial logit with the alternative of no click, whose score
    depends on the page (McFadden 1974).

    Args:
        network: scores options.
        width: of the hidden layers behind the score of no click.
    """

    def __init__(self, network: Scorer, width: int) -> None:
        super().__init__()
        self.network, self.nothing = network, Value(network.layout.summary, width)

    def losses(self, pages: LoggedPages) -> dict[str, torch.Tensor]:
        """Loss [P] of what was clicked on each page, or of no click."""
        page = self.network.read(pages.seen)
        scores = self.network(page)[0].gather(1, pages.slots.clamp_min(0)).masked_fill(pages.slots < 0, EXCLUDED)
        outcomes = torch.cat((scores, self.nothing(page.summary()).unsqueeze(1)), 1).log_softmax(1)
        return {PAGE: -outcomes.gather(1, pages.clicked.unsqueeze(1)).squeeze(1)}


def pretrain(
    network: nn.Module,
    losses: Losses,
    pages: LoggedPages,
    validation: LoggedPages,
    options: Pretraining,
    device: torch.device,
) -> list[dict[str, float]]:
    """Train until the loss on the validation pages has not fallen for a while, and keep the best weights.

    With `options.reward_weight`, pages that led to more reward count more (reward-weighted regression, Peters and
    Schaal 2007): as exp(weight · return in standard deviations).

    Returns:
        step and losses on the validation pages, before training and after every `options.validate_every` steps.
    """
    optimiser = torch.optim.AdamW(network.parameters(), options.pretraining_rate, weight_decay=options.weight_decay)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1 / WARM_UP, 1.0, WARM_UP - 1)
    weights, has_click = _weights(pages, options.reward_weight), pages.has_click
    rate = has_click.float().mean()
    curve = [{"step": 0.0, **validated(network, losses, validation, device)}]
    _show(curve[0])
    best, kept = curve[0], copy.deepcopy(network.state_dict())
    for step, rows in enumerate(_minibatches(pages, options.pretraining_batch), 1):
        network.train()
        optimiser.zero_grad()
        clicks = has_click[rows]
        # A page of each kind counts as often as it occurs.
        occurs = rate / clicks.float().mean()
        weight = weights[rows] * torch.where(clicks, occurs, (len(rows) - clicks.sum() * occurs) / (~clicks).sum())
        of_loss = {PAGE: weight / len(rows), ITEMS: weights[rows] * clicks / clicks.sum()}
        for some in torch.arange(len(rows)).chunk(options.accumulate):
            found = losses(pages.take(rows[some]).to(device))
            has = {PAGE: some, ITEMS: some[clicks[some]]}
            sums = [(of_loss[name][has[name]].to(device) * of).sum() for name, of in found.items()]
            torch.stack(sums).sum().backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % options.validate_every == 0 or step == options.pretraining_steps:
            curve.append({"step": float(step), **validated(network, losses, validation, device)})
            _show(curve[-1])
            if total_loss(curve[-1]) < total_loss(best):
                best, kept = curve[-1], copy.deepcopy(network.state_dict())
            waited = len(curve) - 1 - curve.index(best)
            if waited >= options.patience or step >= options.pretraining_steps:
                break
    network.eval()
    network.load_state_dict(kept)
    return curve


def _show(point: Mapping[str, float]) -> None:
    nats = ", ".join(f"{point[name]:.3f} nats {where}" for name, where in SHOWN.items() if name in point)
    print(f"pre-training, step {point['step']:.0f}: {nats}", flush=True)


def _weights(pages: LoggedPages, strength: float) -> torch.Tensor:
    """Weights [P] of the pages, 1 on average."""
    returns = pages.returns
    found = (strength * (returns - returns.mean()) / returns.std(correction=0).clamp_min(1e-8)).exp()
    return found / found.mean()


def total_loss(losses: Mapping[str, float]) -> float:
    """The loss by which the best weights are chosen."""
    return sum(losses.get(name, 0.0) for name in (PAGE, ITEMS))


def _minibatches(pages: LoggedPages, size: int) -> Iterator[torch.Tensor]:
    """Yield batches of rows without end: pages with a click, in random order, and as many others."""
    clicks, others = (which.nonzero().squeeze(1) for which in (pages.has_click, ~pages.has_click))
    while True:
        for some in clicks[torch.randperm(len(clicks))].split(size):
            beside = others[torch.randint(len(others), some.shape)] if len(others) else others
            yield torch.cat((some, beside))


@torch.no_grad()
def validated(network: nn.Module, losses: Losses, pages: LoggedPages, device: torch.device) -> dict[str, float]:
    """Return the mean losses on these pages, by name."""
    network.eval()
    parts = [losses(pages.take(rows).to(device)) for rows in torch.arange(len(pages)).split(AT_ONCE)]
    return {name: float(torch.cat([part[name] for part in parts]).mean()) for name in parts[0]}
