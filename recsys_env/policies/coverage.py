"""Scripted teams for tasks whose roles know different parts of the visitor's intent (`RoleConfig.knows`).

Each team adds one step of coordination. All know the world's coefficients, as a platform would have estimated them, and
read no latent variables.

Alone       each agent shows what its own label makes likely
Convention  each agent also leaves to the agents before it what these would show
Memory      each agent also learns from the clicks in its own slots during a session
Talk        each agent also sends its label; from a session's second page on, all know the labels
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..batch.base import AnyBatch
from ..batch.observations import unsquashed
from ..kernels.equations import choice_probability, in_python
from .ranking import Ranker
from .slates import heard, say


class Alone(Ranker):
    """Shows the option with the best odds of a click, given its own label of the intent and the visitor's profile."""

    deterministic = True

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        envs = self.envs
        if not any(role.knows for role in envs.config.roles):
            raise ValueError(
                f"{type(self).__name__} needs roles that know parts of the visitor's intent (knows); this task has none"
            )
        topics, roles = envs.shape.topics, [envs.config.role_of(n) for n in range(envs.num_agents)]
        self._labels = np.array([role.knows or (0,) * topics for role in roles])  # [N, T]
        self._informed = bool(roles[self.index].knows)
        self._topics = envs.world.items["topic"]

    def score(self, observations: np.ndarray) -> np.ndarray:
        return self.log_odds(self.believed(observations))

    def possible_by_label(self, observations: np.ndarray) -> np.ndarray:
        """Topics [B, T] that the agent's label leaves possible, as 0 and 1."""
        if not self._informed:
            return np.ones((len(observations), self._labels.shape[1]))
        known = self.envs.field(observations, "knows")
        return known[:, self._labels[self.index]].astype(float)

    def believed(self, observations: np.ndarray) -> np.ndarray:
        """Probability [B, T] that each topic is the session's intent."""
        return normalised(self.possible_by_label(observations))

    def log_odds(self, belief: np.ndarray, left: np.ndarray | float = 1.0) -> np.ndarray:
        """Log odds [B, C] that each option adds to a click, in expectation over the intent, up to a constant.

        Args:
            belief: [B, T] probability that each topic is the intent.
            left: [B, T] 0 where other agents show the topic if it is the intent, so that showing it adds nothing.
        """
        choice = self.envs.config.choice
        match = unsquashed(self.feature("profile_match"), "profile_match")
        factor = belief * left * np.exp(choice.beta_intent) + (1.0 - belief)
        by_option = np.take_along_axis(factor, self._topics[np.maximum(self.items, 0)], 1)
        return choice.beta_taste * match + np.log(by_option + 1e-9)


class Convention(Alone):
    """Leaves to the agents before it the topics that they would show, which all agents can compute."""

    deterministic = True

    def score(self, observations: np.ndarray) -> np.ndarray:
        common = self.common(observations)
        left = np.ones_like(common)
        for m in range(self.index):
            left *= 1.0 - self._shows(m, common * left)
        return self.log_odds(self.believed(observations), left)

    def common(self, observations: np.ndarray) -> np.ndarray:
        """Topics [B, T] that remain possible by common knowledge, as 0 and 1."""
        return np.ones((len(observations), self._labels.shape[1]))

    def _shows(self, m: int, possible: np.ndarray) -> np.ndarray:
        """Whether agent m, who knows only its own label, would show each topic [B, T] if it were the intent."""
        shows, rows = np.zeros_like(possible), np.arange(len(possible))
        for label in np.unique(self._labels[m]):
            odds = self.log_odds(normalised(possible * (self._labels[m] == label)))
            best = np.where(self.items >= 0, odds, -np.inf).argmax(1)
            topic = self._topics[np.maximum(self.items[rows, best], 0)]
            shows[rows, topic] += self._labels[m][topic] == label
        return shows


class Memory(Convention):
    """Updates its belief about the intent, by Bayes' rule, with the clicks in its own slots during a session."""

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        envs = self.envs
        choice = envs.config.choice
        self._log = np.zeros((envs.num_envs, envs.shape.topics))  # log likelihood of what happened in this session
        # P(click | another intent), P(click | this intent), alone on the page
        meant = in_python(choice_probability)(np.array([0.0, choice.beta_intent]), choice.v_0)
        self._no_click, self._click = np.diff(np.log1p(-meant))[0], np.diff(np.log(meant))[0]

    def believed(self, observations: np.ndarray) -> np.ndarray:
        self._log[self.begins(observations)] = 0.0
        return normalised(self.possible_by_label(observations) * np.exp(self._log - self._log.max(1, keepdims=True)))

    def begins(self, observations: np.ndarray) -> np.ndarray:
        """Whether this is a session's first page [B]."""
        return self.envs.field(observations, "session_page")[:, 0] == 0

    def observe(self, feedback: Mapping[str, np.ndarray]) -> None:
        copies, slots = np.nonzero(feedback["shown"] >= 0)
        topics = self._topics[feedback["shown"][copies, slots]]
        clicked = feedback["clicked"][copies, slots]
        np.add.at(self._log, (copies, topics), np.where(clicked, self._click, self._no_click))


class Talk(Memory):
    """Sends its label as a message, and uses the other agents' labels from a session's second page on."""

    deterministic = True

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        actions = super().act(observations, mask)
        label = self.possible_by_label(observations).argmax(1)
        return say(self.envs, actions, self._labels[self.index][label])

    def believed(self, observations: np.ndarray) -> np.ndarray:
        return normalised(super().believed(observations) * self._heard(observations))

    def common(self, observations: np.ndarray) -> np.ndarray:
        heard = self._heard(observations)
        return np.where(heard.all(1, keepdims=True), 1.0, heard * self.possible_by_label(observations))

    def _heard(self, observations: np.ndarray) -> np.ndarray:
        """Topics [B, T] that the other agents' messages in this session leave possible, as 0 and 1."""
        possible = np.ones((len(observations), self._labels.shape[1]))
        if self.envs.shape.vocabulary:
            words, begins = heard(self.envs, observations), self.begins(observations)
            for m, word in enumerate(words.T):
                says = (word >= 0) & ~begins
                possible *= np.where(says[:, None], self._labels[m] == word[:, None], True)
        return possible


def normalised(weights: np.ndarray) -> np.ndarray:
    """Normalise weights to probabilities [B, T]; zeros where no topic is possible."""
    return weights / np.maximum(weights.sum(1, keepdims=True), 1e-300)
