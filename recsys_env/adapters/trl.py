"""TRL: pages in words as environments of `GRPOTrainer`, which trains a language model as one agent among policies.

    environments = environment_factory("ecommerce-v1", background="content", pages=1)
    trainer = GRPOTrainer(
        model,
        reward_funcs=reward,
        environment_factory=environments,
        train_dataset=Dataset.from_list(environments.rows(range(1000))),
        args=GRPOConfig(num_generations=8),
    )

Each row of the data set is a seed, and TRL begins all rollouts of a group with the same row, so a group begins alike.
The prompt is the page. The text that the model ends with answers the page that is open; where a rollout has several
pages, the model calls the tool `show` to answer a page and to see the next one. TRL demands a chat template that can
write tool calls, even where no tools are offered.

The adapter needs nothing of TRL itself.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..api.focal import Background
from ..config import WorldConfig
from ..language.rollout import TextRollout, only_learner, rollout_factory
from ..language.tools import TOOLS

OVER = "The rollout is over."


class PageEnvironment:
    """One rollout at a time, as TRL plays it: its public methods but `reset` are the tools that the model may call.

    Attributes:
        rollout: the rollout, for reward functions of your own: its `rewards`, `repairs` and `played`.
        agent: the agent that learns.
    """

    def __init__(self, rollout: TextRollout, agent: str) -> None:
        self.rollout, self.agent = rollout, agent

    def reset(self, seed: int | None = None, **row: Any) -> str:
        """Begin a rollout and return its first prompt, which TRL appends to the row's last message."""
        if seed is None:
            raise ValueError("each row of train_dataset needs a seed, as rows(seeds) of the environments has")
        return self.rollout.start(int(seed)).get(self.agent, OVER)


class SeveralPages(PageEnvironment):
    """Rollouts of several pages: the model answers a page by a call and reads the next one in its result."""

    def show(self, answer: str) -> str:
        """Answer the page that you were asked about. You are then asked about the next page.

        Args:
            answer: The answer, in the form that the page asks for.
        """
        if not self.rollout.prompts:
            return OVER
        if not isinstance(answer, str):
            return "The answer must be a text."
        return self.rollout.play({self.agent: answer}).get(self.agent, OVER)


class PageEnvironments:
    """Makes environments for TRL, and rows for them.

    Attributes:
        agent: the agent that learns.
        rules: its system prompt (`TextEnv.rules`).
    """

    def __init__(self, rollout: Callable[[], TextRollout], several: bool) -> None:
        first = rollout()
        self.agent = only_learner(first)
        self.rules = first.env.rules[self.agent]
        tools = {name: _method(name) for name in first.allowed[self.agent]}
        self._kind = type("RecommendationPages", (SeveralPages if several else PageEnvironment,), tools)
        self._rollout = rollout

    def __call__(self) -> PageEnvironment:
        return self._kind(self._rollout(), self.agent)  # type: ignore[no-any-return]

    def rows(self, seeds: Iterable[int], system: str | None = None) -> list[dict[str, Any]]:
        """Return the rows of a data set: one group of rollouts for each seed.

        Args:
            seeds: of the episodes; keep them below `recsys_env.evaluation.UNSEEN`, from which evaluations begin.
            system: the system prompt; None: the rules; "": none.
        """
        system = self.rules if system is None else system
        said = [{"role": "system", "content": system}] if system else []
        return [{"prompt": [*said, {"role": "user", "content": ""}], "seed": int(seed)} for seed in seeds]


def environment_factory(
    task: str | WorldConfig,
    *,
    background: Background | Callable[[], Background] = "popularity",
    pages: int | None = 1,
    **options: Any,
) -> PageEnvironments:
    """Return what `GRPOTrainer(environment_factory=...)` takes.

    Args:
        background: policies of all agents but the one that learns, which is the first one if this is one policy for
            all.
        pages: pages of a rollout; None: the whole episode. With several pages, the model also has the tool `show`.
        task, options: as for `language.rollout_factory`, as are errors.
    """
    return PageEnvironments(rollout_factory(task, background=background, pages=pages, **options), several=pages != 1)


def _method(name: str) -> Callable[..., str]:
    """Return a tool as a method of the environment, with the name, the types and the docstring that TRL reads."""

    @functools.wraps(TOOLS[name])
    def method(self: PageEnvironment, **arguments: Any) -> str:
        return self.rollout.call(self.agent, name, arguments)

    return method


def reward(completions: Sequence[Any], environments: Sequence[PageEnvironment], **row: Any) -> list[float]:
    """Return the rewards of finished rollouts, for `GRPOTrainer(reward_funcs=...)`: the sums of what the agent earned.

    The text that a model ended with is first played as the answer to the page that is still open. Call it once for each
    rollout, before reward functions of your own that read `environment.rollout`.
    """
    for completion, environment in zip(completions, environments, strict=True):
        if environment.rollout.prompts:
            environment.rollout.play({environment.agent: _text(completion)})
            environment.rollout.stop()
    return [environment.rollout.rewards[environment.agent] for environment in environments]


def _text(completion: Any) -> str:
    """Return what the last message says: completions are texts, or lists of messages."""
    if isinstance(completion, str):
        return completion
    said = completion[-1].get("content") if completion else None
    return said if isinstance(said, str) else ""
