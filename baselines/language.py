"""Tune a language model to what visitors click: train low-rank adapters (LoRA, Hu et al. 2022) on logged pages.

    python -m baselines language --model smollm2 --task grocery-v1 --out runs/smollm2-grocery
    python -m recsys_env evaluate --policies llm:smollm2 llm:runs/smollm2-grocery --tasks grocery-v1,horizon=60

Pages are filled at random and logged, on seeds of training. For each page with a click, the clicked title and some of
the others are rated as `recsys_env.language.LanguagePolicy` rates them: by log P(title | visitor) less
log P(title | any visitor), where the second term is that of the untrained model. Training raises the probability of the
click under the softmax of these ratings. Ratings are divided by their spread on a page before training: they are sums
over many tokens, so that the softmax would otherwise be certain of every choice.

A fifth of the visitors and a fifth of the titles are held out: training sees no page of the former and none of the
latter. What is learned is measured on pages of these visitors, separately where the clicked title is known from
training and where it is held out, beside a random choice and the title that was clicked most often in training.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from recsys_env import VectorEnv, cli
from recsys_env.config import settings
from recsys_env.evaluation import UNSEEN
from recsys_env.files import write_json
from recsys_env.language.local_model import ADAPTER, LocalModel, quiet
from recsys_env.language.pages import Answer, Page, Reader
from recsys_env.language.policy import ANY_VISITOR, story
from recsys_env.libraries import library
from recsys_env.policies import Team
from recsys_env.provenance import provenance, task_digests

COPIES = 16
HELD_OUT = 0.2  # of the visitors, and of the titles
AT_ONCE = 32  # titles, each with a row of the whole vocabulary for each of its tokens


@dataclass(frozen=True)
class Tuning:
    """Tune a language model to what visitors click."""

    model: str = "smollm2"
    """Name or path of the model; see `recsys_env.language.open_model`."""
    task: str = "grocery-v1"
    """Task whose pages are logged; it may have fields changed after commas: grocery-v1,horizon=100."""
    clicks: int = 1000
    """Pages with a click."""
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
    """A page with a click: the visitor, the page, and titles that were shown, the first of which was clicked."""

    visitor: tuple[int, ...]
    page: Page
    titles: list[str]

    def without(self, titles: set[str]) -> Example:
        """Return the example without these titles, also in the visitor's history."""
        page = replace(
            self.page,
            clicked=tuple(past for past in self.page.clicked if past.title not in titles),
            recent=tuple(past for past in self.page.recent if past.title not in titles),
            anchor="" if self.page.anchor in titles else self.page.anchor,
        )
        return Example(self.visitor, page, [title for title in self.titles if title not in titles])


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
            # In a fixed population every copy has the same people.
            visitor = (b, int(feedback["visitor"][b]))[self.envs.config.users.population == "fixed" :]
            self.examples.append(Example(visitor, page, [titles[first], *others[: self._beside]]))
        super().observe(feedback)


def logged(tuning: Tuning) -> list[Example]:
    """Play at random and return pages with a click, of all agents."""
    config = settings.replace(cli.config_of(tuning.task), {"mask_actions": False})
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


@dataclass
class Split:
    """Pages to train on, and held-out pages by what is new there: the visitor, or the visitor and the clicked title."""

    train: list[Example]
    held_out: dict[str, list[Example]]


def split(examples: Sequence[Example], seed: int) -> Split:
    """Hold out a fifth of the visitors and a fifth of the titles.

    Raises:
        ValueError: too few pages for one of the three parts.
    """
    rng = np.random.default_rng(seed)

    def some(of: set[Any]) -> set[Any]:
        order = sorted(of)
        return {order[i] for i in rng.permutation(len(order))[: int(HELD_OUT * len(order))]}

    visitors = some({example.visitor for example in examples})
    titles = some({title for example in examples for title in example.titles})
    known = [
        example.without(titles)
        for example in examples
        if example.visitor not in visitors and example.titles[0] not in titles
    ]
    theirs = [example for example in examples if example.visitor in visitors]
    found = Split(
        [example for example in known if len(example.titles) > 1],
        {
            "visitors": [example for example in theirs if example.titles[0] not in titles],
            "visitors and titles": [example for example in theirs if example.titles[0] in titles],
        },
    )
    if not (found.train and all(found.held_out.values())):
        raise ValueError(f"{len(examples)} pages of {len(visitors)} held-out visitors are too few; give more --clicks")
    return found


Rating = Callable[[Example], np.ndarray]  # of the titles of a page


class Rater:
    """Rates titles as `recsys_env.language.LanguagePolicy` does, in units of their spread; a `Rating`.

    A rating is log P(title | visitor) less log P(title | any visitor), where the second term is that of the untrained
    model, which is asked for it here.

    Args:
        model: the untrained model.
        titles: all titles that are rated later.

    Attributes:
        spread: what ratings are divided by; 1 before `measure_spread`.
    """

    def __init__(self, model: LocalModel, titles: Sequence[str]) -> None:
        self._torch, self._model, self.spread = library("torch", "text"), model, 1.0
        self._usual: dict[str, float] = {}
        for at in range(0, len(titles), AT_ONCE):
            named = titles[at : at + AT_ONCE]
            rates = model.log_likelihoods(ANY_VISITOR, [f" {title}" for title in named])
            self._usual.update(zip(named, rates.tolist(), strict=True))

    def ratings(self, example: Example) -> Any:
        """Return the ratings of the example's titles as a tensor [I], which can be differentiated."""
        found = self._model.scores(story(example.page), [f" {title}" for title in example.titles])
        usual = self._torch.tensor([self._usual[title] for title in example.titles], device=found.device)
        return (found - usual) / self.spread

    def measure_spread(self, examples: Sequence[Example]) -> None:
        """Set `spread` to the mean standard deviation of the ratings on a page."""
        with self._torch.inference_mode():
            self.spread = float(np.mean([float(self.ratings(example).std(correction=0)) for example in examples]))

    def __call__(self, example: Example) -> np.ndarray:
        with self._torch.inference_mode():
            return np.asarray(self.ratings(example).double().cpu())


def rated_alike(example: Example) -> np.ndarray:
    """A random choice."""
    return np.zeros(len(example.titles))


def by_clicks(train: Sequence[Example]) -> Rating:
    """The log of how often each title was clicked in training, each counted once more."""
    clicks = Counter(example.titles[0] for example in train)
    return lambda example: np.log([clicks[title] + 1.0 for title in example.titles])


def measured(rating: Rating, examples: Sequence[Example]) -> dict[str, float]:
    """Return the mean "nats" that the softmax of the ratings loses on a page, and the share of pages on which the click
    is rated "first", equal ratings in shares."""
    nats, first = [], []
    for example in examples:
        found = rating(example)
        best = found == found.max()
        nats.append(float(np.logaddexp.reduce(found) - found[0]))
        first.append(float(best[0] / best.sum()))
    return {"nats": float(np.mean(nats)), "first": float(np.mean(first))}


def command(argv: Sequence[str]) -> None:
    """Run `python -m baselines language`."""
    cli.run(tune, "baselines language", argv)


def tune(tuning: Tuning) -> dict[str, Any]:
    """Log pages, train, and write the adapter.

    Returns:
        held_out: by what is new there, "visitors" or "visitors and titles": the number of pages and, by name, the
        `measured` of "chance", of the "most clicked" title and of the model "before" and after each "pass 1", ...;
        pages: trained on. And where the results come from. The folder keeps all of it as tuning.json.

    Raises:
        ValueError, ImportError: no such task or model, or its library is missing.
    """
    cli.at_least(5, clicks=tuning.clicks)
    cli.at_least(1, beside=tuning.beside, passes=tuning.passes, rank=tuning.rank, batch=tuning.batch)
    torch, peft = library("torch", "text"), library("peft", "text")
    model, examples = LocalModel(tuning.model, tuning.device), logged(tuning)
    torch.manual_seed(tuning.seed)
    parts = split(examples, tuning.seed)
    rater = Rater(model, sorted({title for example in examples for title in example.titles}))
    adapters = peft.LoraConfig(r=tuning.rank, lora_alpha=2 * tuning.rank, target_modules="all-linear")
    with quiet():
        model.network = peft.get_peft_model(model.network, adapters)
    rater.measure_spread(parts.train)
    result: dict[str, dict[str, Any]] = {new: {"pages": len(some)} for new, some in parts.held_out.items()}

    def measure(name: str, rating: Rating) -> None:
        for new, some in parts.held_out.items():
            found = result[new][name] = measured(rating, some)
            said = f"{found['nats']:.3f} nats a page, the click rated first on {found['first']:.0%}"
            print(f"{name}, on {len(some)} pages of new {new}: {said}", flush=True)

    print(f"{len(parts.train)} pages with a click to train on")
    compared: dict[str, Rating] = {"chance": rated_alike, "most clicked": by_clicks(parts.train), "before": rater}
    for name, rating in compared.items():
        measure(name, rating)
    for number in _train(model.network, rater, parts.train, tuning):
        measure(f"pass {number}", rater)
    return _saved(model, tuning, {"held_out": result, "spread": rater.spread, "pages": len(parts.train)})


def _train(network: Any, rater: Rater, examples: Sequence[Example], tuning: Tuning) -> Iterator[int]:
    """Raise the probability of clicks under the softmax of the ratings; yield 1, 2, ... after each pass."""
    torch = library("torch", "text")
    optimiser = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], tuning.learning_rate)
    rng = np.random.default_rng(tuning.seed)
    steps_per_pass = -(-len(examples) // tuning.batch)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, tuning.passes * steps_per_pass)
    for number in range(tuning.passes):
        for some in np.array_split(rng.permutation(len(examples)), steps_per_pass):
            optimiser.zero_grad()
            for i in some:
                (-rater.ratings(examples[i]).log_softmax(0)[0] / len(some)).backward()
            optimiser.step()
            schedule.step()
        yield number + 1


def _saved(model: LocalModel, tuning: Tuning, found: dict[str, Any]) -> dict[str, Any]:
    """Write the adapter, which names its model as it was asked for, and what was found."""
    model.network.peft_config["default"].base_model_name_or_path = tuning.model
    with quiet():
        model.network.save_pretrained(str(tuning.out))
    said = {name: str(value) if isinstance(value, Path) else value for name, value in vars(tuning).items()}
    result = {"settings": said, **found, **provenance(), "played": task_digests(said)}
    write_json(tuning.out / "tuning.json", result)
    print(f"a model by its path: llm:{tuning.out} ({tuning.out / ADAPTER})")
    return result
