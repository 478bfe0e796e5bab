"""Tune a language model to what visitors click: train low-rank adapters (LoRA, Hu et al. 2022) on logged pages.

    python -m baselines language --model smollm2 --task grocery-v1 --out runs/smollm2-grocery
    python -m recsys_env evaluate --policies llm:smollm2 llm:runs/smollm2-grocery --tasks grocery-v1,horizon=60

Pages are filled at random and logged, on seeds of training. For each page with a click, the clicked title and some of
the others are rated as `recsys_env.language.LanguagePolicy` rates them: by log P(title | visitor) less
log P(title | any visitor), where the second term is that of the untrained model. Training raises the probability of the
click under the softmax of these ratings. Ratings are divided by their spread on a page before training: they are sums
over many tokens, so that the softmax would otherwise be certain of every choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from recsys_env import VectorEnv, cli, replace
from recsys_env.evaluation import UNSEEN
from recsys_env.files import write_json
from recsys_env.language.models import ADAPTER, LocalModel, quiet
from recsys_env.language.pages import Answer, Page, Reader
from recsys_env.language.policy import NOBODY, story
from recsys_env.libraries import library
from recsys_env.policies import Team
from recsys_env.provenance import provenance

COPIES = 16
HELD_OUT = 0.2
AT_ONCE = 32  # titles, each with a row of the whole vocabulary for each of its tokens


@dataclass(frozen=True)
class Tuning:
    """Tune a language model to what visitors click."""

    model: str = "smollm2"
    """Name or path of the model; see `recsys_env.language.open_model`."""
    task: str = "grocery-v1"
    """Task whose pages are logged; it may have fields changed after commas: grocery-v1,horizon=100."""
    clicks: int = 400
    """Pages with a click; a fifth is held out."""
    beside: int = 3
    """Titles of each page that were shown beside the clicked one."""
    passes: int = 1
    """Passes over the pages."""
    rank: int = 8
    """Rank of the adapters."""
    learning_rate: float = 3e-4
    """Learning rate at the beginning; it falls to 0."""
    batch: int = 4
    """Pages of a gradient step."""
    seed: int = 0
    """Seed of the log and of training."""
    device: str = "auto"
    """auto, cpu or cuda."""
    out: Path = Path("runs/language")
    """Folder of the adapter; as a policy, `llm:FOLDER`."""


@dataclass
class Example:
    """A page with a click: a description of the visitor, and titles, the first of which was clicked."""

    story: str
    titles: list[str] = field(default_factory=list)


class RandomLog(Reader):
    """Fills pages at random and keeps those with a click."""

    def __init__(self, beside: int) -> None:
        super().__init__()
        self._beside, self.examples = beside, list[Example]()
        self._shown: list[tuple[Page, list[int]] | None] = []

    def answer(self, pages: Any) -> list[Answer | None]:
        self._shown = [page and (page, self._picks(page)) for page in pages]
        return [None if shown is None else Answer(tuple(shown[1])) for shown in self._shown]

    def _picks(self, page: Page) -> list[int]:
        picks: list[int] = self.rng.permutation(len(page.candidates))[: page.slots].tolist()
        return picks

    def observe(self, feedback: Mapping[str, np.ndarray]) -> None:
        for b, shown in enumerate(self._shown):
            clicked = np.flatnonzero(feedback["clicked"][b])
            if shown is None or not len(clicked):
                continue
            page, picks = shown
            item = feedback["shown"][b, clicked[0]]
            titles = [page.candidates[pick].title for pick in picks]
            first = next(i for i, pick in enumerate(picks) if self.items[b, page.candidates[pick].position] == item)
            others = [title for i, title in enumerate(titles) if i != first and title != titles[first]]
            self.examples.append(Example(story(page), [titles[first], *others[: self._beside]]))
        super().observe(feedback)


def logged(tuning: Tuning) -> list[Example]:
    """Play at random and return pages with a click, of all agents."""
    config = replace(cli.config_of(tuning.task), {"mask_actions": False})
    envs = VectorEnv(config, COPIES, copy=False)
    team = Team(envs, {agent: RandomLog(tuning.beside) for agent in envs.possible_agents}, tuning.seed)
    observations, _ = envs.reset(seed=tuning.seed % UNSEEN)
    actions = envs.empty_actions()
    logs: list[Any] = list(team.policies.values())
    while sum(len(log.examples) for log in logs) < tuning.clicks:
        team.act(observations, actions)
        observations, _, _, truncated, infos = envs.step(actions)
        team.observe(infos, truncated)
    return [example for log in logs for example in log.examples if len(example.titles) > 1][: tuning.clicks]


def command(argv: Sequence[str]) -> None:
    """Run `python -m baselines language`."""
    cli.run(tune, "baselines language", argv)


def tune(tuning: Tuning) -> dict[str, Any]:
    """Log pages, train, and write the adapter.

    Returns:
        held_out: on held-out pages before and after each pass, "nats" of loss per page and the share of pages whose
        click is rated "first". chance: the same of random ratings. And where the results come from. The folder
        keeps all of it as tuning.json.

    Raises:
        ValueError, ImportError: no such task or model, or its library is missing.
    """
    cli.at_least(1, clicks=tuning.clicks // 5, beside=tuning.beside, passes=tuning.passes, rank=tuning.rank)
    torch, peft = library("torch", "language"), library("peft", "language")
    model, examples = LocalModel(tuning.model, tuning.device), logged(tuning)
    torch.manual_seed(tuning.seed)
    order = torch.randperm(len(examples)).tolist()
    held_out, rest = order[: int(HELD_OUT * len(order))], order[int(HELD_OUT * len(order)) :]
    titles = sorted({title for example in examples for title in example.titles})
    usual: dict[str, float] = {}
    for at in range(0, len(titles), AT_ONCE):
        named = titles[at : at + AT_ONCE]
        rates = model.log_likelihoods(NOBODY, [f" {title}" for title in named])
        usual.update(zip(named, rates.tolist(), strict=True))
    adapters = peft.LoraConfig(r=tuning.rank, lora_alpha=2 * tuning.rank, target_modules="all-linear")
    with quiet():
        model.network = peft.get_peft_model(model.network, adapters)

    def rated(example: Example) -> Any:
        found = model.scores(example.story, [f" {title}" for title in example.titles])
        return found - torch.tensor([usual[title] for title in example.titles], device=found.device)

    with torch.inference_mode():
        spread = float(np.mean([float(rated(examples[i]).std(correction=0)) for i in held_out]))

    def measure() -> dict[str, float]:
        with torch.inference_mode():
            found = [rated(examples[i]) / spread for i in held_out]
        nats = [-float(some.log_softmax(0)[0]) for some in found]
        return {"nats": float(np.mean(nats)), "first": float(np.mean([int(some.argmax()) == 0 for some in found]))}

    optimiser = torch.optim.AdamW([p for p in model.network.parameters() if p.requires_grad], tuning.learning_rate)
    steps = tuning.passes * -(-len(rest) // tuning.batch)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, steps)
    sizes = np.array([len(examples[i].titles) for i in held_out])
    chance = {"nats": float(np.log(sizes).mean()), "first": float((1 / sizes).mean())}
    measured = [measure()]
    print(
        f"{len(examples)} pages with a click; held out, at random: {_in_words(chance)}; "
        f"before: {_in_words(measured[0])}"
    )
    for _ in range(tuning.passes):
        for some in np.array_split(np.random.default_rng(tuning.seed).permutation(rest), steps // tuning.passes):
            optimiser.zero_grad()
            for i in some:
                (-(rated(examples[i]) / spread).log_softmax(0)[0] / len(some)).backward()
            optimiser.step()
            schedule.step()
        measured.append(measure())
        print(f"held out: {_in_words(measured[-1])}", flush=True)
    return _saved(model, tuning, {"held_out": measured, "chance": chance, "spread": spread, "pages": len(examples)})


def _in_words(measure: Mapping[str, float]) -> str:
    return f"{measure['nats']:.3f} nats a page, the click rated first on {measure['first']:.0%}"


def _saved(model: LocalModel, tuning: Tuning, found: dict[str, Any]) -> dict[str, Any]:
    """Write the adapter, which names its model as it was asked for, and what was found."""
    model.network.peft_config["default"].base_model_name_or_path = tuning.model
    with quiet():
        model.network.save_pretrained(str(tuning.out))
    settings = {name: str(value) if isinstance(value, Path) else value for name, value in vars(tuning).items()}
    result = {"settings": settings, **found, **provenance()}
    write_json(tuning.out / "tuning.json", result)
    print(f"a model by its path: llm:{tuning.out} ({tuning.out / ADAPTER})")
    return result
