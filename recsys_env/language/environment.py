"""Tasks for language agents: PettingZoo's parallel interface with prompts as observations and texts as actions."""

from __future__ import annotations

import string
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from pettingzoo import ParallelEnv

from ..api.environment import RecommendationEnv
from ..api.focal import Background, OtherAgents, policies_of
from ..checks import shown, unknown
from ..config import WorldConfig
from ..config.catalogue import Catalogue
from ..config.tasks import task_config, task_name
from ..policies import Policy, feedback
from .pages import Answer, Page, Reader, as_retrieved
from .prompts import describe, parse
from .rules import one_line

LONGEST_PROMPT, LONGEST_ANSWER = 400_000, 4_000  # characters


class TextEnv(ParallelEnv):
    """A task in words, as a PettingZoo parallel environment.

    An observation is the prompt of the page about to be shown (`describe`). It is "" if the agent has nothing to do: in
    an idle tick, on a rival's page, or after the end. The rules of the task, which are the same on all pages, are in
    `rules`: the system prompt of a language model. An action is any text, read by `parse`; the infos name the repairs
    that were needed. Rewards, episode ends and infos are those of the numeric task.

    Args:
        config: the task; its actions must be `"candidates"` or `"items"`.
        catalogue, render_mode, name: as for `RecommendationEnv`.
        words: vocabulary of the messages; by default the numbers from 0 on.
        background, learners: the policies of the agents that do not act in words, and the agents that do; as for
            `text_env`.

    Attributes:
        possible_agents, agents: as for `RecommendationEnv`, without the agents that `background` plays.
        numeric: the numeric environment behind this one; step it only through this one.
        team: the policies of the others.
        readers: agent -> the reader of its pages.
        rules: agent -> system prompt: the rules as this agent plays them, and how to answer.
        pages: agent -> the page that its prompt describes, or None.
        repairs: agent -> how often each of `prompts.REPAIRS` was needed since the environment was made.
    """

    def __init__(
        self,
        config: WorldConfig,
        catalogue: Catalogue | str | Path | None = None,
        render_mode: str | None = None,
        name: str = "recsys",
        words: Sequence[str] = (),
        background: Background | None = None,
        learners: Sequence[str] | None = None,
    ) -> None:
        if isinstance(config, WorldConfig) and (config.continuous or config.ranked):
            what = "publishes items between visits" if config.ranked else "takes vectors"
            raise ValueError(
                f"action = {config.action!r} {what}; texts name what is shown: 'candidates' and 'items' are allowed"
            )
        self.numeric = RecommendationEnv(config, catalogue, render_mode, name)
        self.metadata, self.render_mode = self.numeric.metadata, render_mode
        batch = self.numeric.vector
        if learners is None and isinstance(background, (str, Policy)):
            learners = batch.possible_agents[:1]
        others = {} if background is None else background
        self._others = OtherAgents(batch, policies_of(batch.possible_agents, others, learners))
        self.team = self._others.team
        self.possible_agents = [agent for agent in batch.possible_agents if agent not in self.team.policies]
        self.repairs: dict[str, Counter[str]] = {agent: Counter() for agent in self.possible_agents}
        self.pages: dict[str, Page | None] = dict.fromkeys(self.possible_agents)
        self.readers = {agent: Reader(words) for agent in self.possible_agents}
        self._bind(0)
        self.rules = {agent: reader.rules for agent, reader in self.readers.items()}
        self._asked = time.perf_counter()
        self._asked_at = -1  # the batch's move that led to the pages
        letters = self._letters()
        self._observation_space = spaces.Text(LONGEST_PROMPT, min_length=0, charset=letters)
        self._action_spaces = {
            agent: spaces.Text(LONGEST_ANSWER, min_length=0, charset=letters) for agent in self.possible_agents
        }

    __copy__ = deepcopy  # with an environment in numbers of its own

    def _letters(self) -> frozenset[str]:
        texts = self.numeric.vector.texts
        said = [*texts.titles, *texts.descriptions, *texts.topics, *self.readers[self.possible_agents[0]].vocabulary]
        names = [*self.numeric.possible_agents, *(scene.name for scene in self.numeric.config.scenes)]
        return frozenset(string.printable).union(*map(one_line, [*said, *names]))

    @property
    def agents(self) -> list[str]:
        return self.possible_agents[:] if self.numeric.agents else []

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        """Return the space of prompts; the same object for all agents."""
        self._check_agent(agent)
        return self._observation_space

    def action_space(self, agent: str) -> spaces.Space[Any]:
        """Return the space from which `sample` draws answers; any other text is accepted as well."""
        self._check_agent(agent)
        return self._action_spaces[agent]

    def _check_agent(self, agent: Any) -> None:
        if not isinstance(agent, str) or agent not in self.possible_agents:
            raise KeyError(unknown("agent", agent, self.possible_agents))

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, str], dict[str, Any]]:
        """Start an episode, as `RecommendationEnv.reset` does; with a seed, agents forget all visitors."""
        observations, infos = self.numeric.reset(seed, options)
        # The page after the step that ended an episode is the first one of the next, about which all were asked then.
        asked = seed is None and self._asked_at == self.numeric.vector._moves
        if seed is not None:
            self._bind(seed)
        elif not asked:
            for reader in self.readers.values():
                reader.reset(np.ones(1, np.bool_))
        if not asked:
            self._others.begin(seed)
        return self._prompts(observations), self._of_learners(infos)

    def _bind(self, seed: int) -> None:
        for agent, reader in self.readers.items():
            reader.bind(self.numeric.vector, agent, seed)

    def step(
        self, actions: Mapping[str, str]
    ) -> tuple[dict[str, str], dict[str, float], dict[str, bool], dict[str, bool], dict[str, Any]]:
        """Play one tick, given a text of every agent; the text of an agent without a page is ignored.

        Returns:
            as `RecommendationEnv.step`, with prompts; `infos[agent]["repairs"]` names the repairs.

        Raises:
            KeyError, TypeError, RuntimeError: as in `RecommendationEnv.step`, if an action is not a text, or if the
                numeric environment was stepped directly; nothing has changed.
        """
        self.numeric.vector._require_reset("step()")
        if not self.agents or not isinstance(actions, Mapping):
            return self.numeric.step(actions)  # the end, or what it refuses
        for agent in actions:
            if agent in self.team.policies:
                raise KeyError(f"{agent} is played by a policy; agents that act in words: {', '.join(self.agents)}")
        if set(actions) != set(self.agents):
            return self.numeric.step({**self._chosen(), **actions})  # it refuses them
        if self._asked_at != self.numeric.vector._moves:
            raise RuntimeError("call reset() before step(): the pages of these prompts are gone; step this one alone")
        late = 0 < self.numeric.config.observation.delay < time.perf_counter() - self._asked
        answers = {agent: self._answer(agent, actions[agent], late) for agent in self.possible_agents}
        joint = {agent: self.readers[agent].write([answer])[0] for agent, answer in answers.items()}
        observations, rewards, terminations, truncations, infos = self.numeric.step({**self._chosen(), **joint})
        batch = self.numeric.vector
        for agent, reader in self.readers.items():
            reader.observe(feedback(batch.infos, reader.index))
            if truncations[agent]:
                reader.reset(np.ones(1, np.bool_))
            repairs = () if (answer := answers[agent]) is None else answer.repairs
            self.repairs[agent].update(repairs)
            infos[agent]["repairs"] = repairs
        mine = self._of_learners
        self._others.observe()
        return self._prompts(observations), mine(rewards), mine(terminations), mine(truncations), mine(infos)

    def _answer(self, agent: str, text: Any, late: bool) -> Answer | None:
        if not isinstance(text, str):
            raise TypeError(f"action of {agent} is {shown(text)}; it must be a string")
        page = self.pages[agent]
        if page is None:
            return None
        return replace(as_retrieved(page), repairs=("late",)) if late else parse(text, page)

    def _of_learners(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {agent: values[agent] for agent in self.possible_agents}

    def _chosen(self) -> dict[str, np.ndarray]:
        """Return the actions that the others have chosen for this page."""
        agents = self.numeric.possible_agents
        return {agent: self._others.actions[0, agents.index(agent)] for agent in self.team.policies}

    def _prompts(self, observations: Mapping[str, Any]) -> dict[str, str]:
        """Write the prompts of the page about to be shown, for which the others have chosen."""
        for agent, reader in self.readers.items():
            (self.pages[agent],) = reader.read(self._flat(observations[agent])[None]) if self.agents else (None,)
        self._asked, self._asked_at = time.perf_counter(), self.numeric.vector._moves
        return {agent: "" if page is None else describe(page) for agent, page in self.pages.items()}

    @staticmethod
    def _flat(observation: Any) -> np.ndarray:
        return observation["observation"] if isinstance(observation, Mapping) else observation

    def render(self) -> Any:
        """Return the page that was shown last, as `RecommendationEnv.render` does."""
        return self.numeric.render()

    def close(self) -> None:
        """Do nothing: there is nothing to release."""
        self.numeric.close()


def text_env(
    task: str | WorldConfig,
    *,
    catalogue: Catalogue | str | Path | None = None,
    render_mode: str | None = None,
    words: Sequence[str] = (),
    background: Background | None = None,
    learners: Sequence[str] | None = None,
    **overrides: Any,
) -> TextEnv:
    """Create a task for language agents.

    Args:
        words: vocabulary of the messages, as many words as `messages`; by default the numbers from 0 on.
        background: policies of the agents that do not act in words, each by agent or one for all; None: all act in
            words.
        learners: the agents that act in words; by default those that `background` leaves out, or the first one if it
            is one policy for all.
        task, catalogue, render_mode, overrides: as for `recsys_env.parallel_env`.

    Raises:
        ValueError, TypeError: an argument is unknown or wrong; or the task has no pages in words, because its actions
            are vectors, its page is an auction or a platform, or there is too much to choose from.
    """
    config = task_config(task, overrides, catalogue)
    return TextEnv(config, catalogue, render_mode, task_name(task), words, background, learners)
