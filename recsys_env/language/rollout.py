"""Rollouts in words, page after page, as trainers of language models play them.

rollout = TextRollout(recsys_env.text_env("ecommerce-v1", background={"recommender_1": "content"}), pages=3)
prompts = rollout.start(seed=7)                      # the learners that are asked, and their prompts
while prompts:
    prompts = rollout.play({agent: model(prompt) for agent, prompt in prompts.items()})
rollout.rewards                                      # learner -> sum of its rewards

Rollouts with the same seed begin alike and share their luck: as long as the answers are equal, so are the pages and the
rewards. What differs within such a group is due to the answers, as GRPO takes for granted (Shao et al. 2024).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..api.focal import Background
from ..checks import check_count, checked_seed, shown, unknown
from ..config import WorldConfig
from ..policies import Policy
from .environment import TextEnv, text_env
from .tools import Tools, tools_of

MOST_TICKS = 10**6


class TextRollout:
    """Plays a task in words and stops only where a learner is asked. All other ticks are played at once.

    Args:
        env: a task in words; play it only through this object.
        pages: pages after which a rollout ends; None: with the episode. What is earned later is not counted.
        warmup: ticks that pass before the rollout begins, in which the learners show the first candidates.
        tools: names of the tools (`tools.TOOLS`) that the learners may call, or such names by learner.

    Attributes:
        prompts: the learners that are asked now -> their prompts; empty before `start` and when the rollout is over.
        rewards: learner -> sum of its rewards since the rollout began, those of ticks without a page included.
        played: number of pages answered since the rollout began.
        repairs: learner -> how often each of `prompts.REPAIRS` was needed since the rollout began.
        tools, allowed: learner -> its tools, and the names of those that it may call.

    Raises:
        TypeError, ValueError: an argument is of another kind or out of range.
    """

    def __init__(
        self,
        env: TextEnv,
        pages: int | None = None,
        warmup: int = 0,
        tools: Sequence[str] | Mapping[str, Sequence[str]] = (),
    ) -> None:
        if not isinstance(env, TextEnv):
            raise TypeError(f"env = {shown(env)} must be an environment in words, as text_env makes")
        if pages is not None:
            check_count("pages", pages, 1, MOST_TICKS)
        check_count("warmup", warmup, 0, env.numeric.config.horizon - 1)
        self.env, self._pages, self._warmup = env, pages, warmup
        self.allowed = tools_of(tools, env.possible_agents)
        self.tools = {agent: Tools(env, agent) for agent in env.possible_agents}
        self._forget()

    def _forget(self) -> None:
        agents = self.env.possible_agents
        self.prompts: dict[str, str] = {}
        self.rewards = dict.fromkeys(agents, 0.0)
        self.repairs: dict[str, Counter[str]] = {agent: Counter() for agent in agents}
        self.played = 0

    def start(self, seed: int) -> dict[str, str]:
        """Begin a rollout in episode 0 of this seed, and return its first prompts; none if no learner is asked."""
        prompts, _ = self.env.reset(seed=checked_seed(seed))
        for _ in range(self._warmup):
            prompts, *_ = self.env.step(dict.fromkeys(self.env.agents, ""))
        self._forget()
        return self._until_asked(prompts)

    def play(self, answers: Mapping[str, str]) -> dict[str, str]:
        """Answer the page, and return the prompts of the next one; they are empty when the rollout is over.

        Raises:
            KeyError, TypeError: the answers are not texts of the learners in `prompts`; nothing has changed.
            RuntimeError: the rollout is over, or was not begun.
        """
        if not self.prompts:
            raise RuntimeError("no learner is asked: call start(seed)")
        if not isinstance(answers, Mapping) or set(answers) != set(self.prompts):
            raise KeyError(
                f"answers = {shown(answers)} must be a text of each learner that is asked: {', '.join(self.prompts)}"
            )
        prompts = self._tick(answers)
        self.played += 1
        if self._pages == self.played:
            self.stop()
            return {}
        return self._until_asked(prompts)

    def _until_asked(self, prompts: Mapping[str, str]) -> dict[str, str]:
        while self.env.agents and not any(prompts.values()):
            prompts = self._tick({})
        self.prompts = {agent: prompt for agent, prompt in prompts.items() if prompt}
        return dict(self.prompts)

    def _tick(self, answers: Mapping[str, str]) -> dict[str, str]:
        prompts, rewards, _, _, infos = self.env.step({**dict.fromkeys(self.env.agents, ""), **answers})
        for agent, reward in rewards.items():
            self.rewards[agent] += reward
            self.repairs[agent].update(infos[agent]["repairs"])
        return prompts

    def stop(self) -> None:
        """End the rollout: nobody is asked any more."""
        self.prompts = {}

    def call(self, agent: str, name: str, arguments: str | Mapping[str, Any] = "{}") -> str:
        """Return a tool's answer to a learner; see `Tools.call`. Tools that are not allowed answer so."""
        if agent not in self.allowed:
            raise KeyError(unknown("agent", agent, self.allowed))
        allowed = self.allowed[agent]
        if name not in allowed:
            return f"There is no tool {shown(name)} here; tools: {', '.join(allowed) or 'none'}."
        return self.tools[agent].call(name, arguments)


def rollout_factory(
    task: str | WorldConfig,
    *,
    background: Background | Callable[[], Background] | None = None,
    learners: Sequence[str] | None = None,
    pages: int | None = None,
    warmup: int = 0,
    tools: Sequence[str] | Mapping[str, Sequence[str]] = (),
    **overrides: Any,
) -> Callable[[], TextRollout]:
    """Return a function that makes rollouts of a task, each in an environment of its own: trainers play many at once.

    Args:
        background: as for `text_env`, by name; or a function that makes them, because a policy object acts in one
            environment only.
        pages, warmup, tools: as for `TextRollout`.
        task, learners, overrides: as for `text_env`.

    Raises:
        ValueError, TypeError: an argument is wrong, as for `text_env` and `TextRollout`, or `background` are objects.
    """
    given = background.values() if isinstance(background, Mapping) else [background]
    if any(isinstance(policy, Policy) for policy in given):
        raise TypeError(
            f"background = {shown(background)} would act in several environments; give names, or a function that makes "
            "them: background=lambda: ..."
        )

    def make() -> TextRollout:
        made = background() if callable(background) else background
        return TextRollout(text_env(task, background=made, learners=learners, **overrides), pages, warmup, tools)

    make()  # raises for wrong arguments before training begins
    return make


def compile_game(make: Callable[[], TextRollout]) -> None:
    """Play a page, so that the game is compiled before anybody waits for it."""
    rollout = make()
    prompts = rollout.start(0)
    if prompts:
        rollout.play(dict.fromkeys(prompts, ""))


def only_learner(rollout: TextRollout) -> str:
    """Return the agent that learns. If there are several, raise `ValueError`."""
    agents = rollout.env.possible_agents
    if len(agents) > 1:
        raise ValueError(f"{', '.join(agents)} act in words, but one can learn here: others must play the rest")
    return agents[0]
