"""OpenEnv: a server of tasks in words, and its client.

    # my_server.py
    from recsys_env.adapters.openenv import page_app

    app = page_app("ecommerce-v1", background="content", pages=3)

`uvicorn my_server:app` serves it, and each connection plays a game of its own:

    with PageClient(base_url="http://127.0.0.1:8000").sync() as client:
        result = client.reset(seed=7)
        while not result.done:
            result = client.step(PageAction(answer=model(result.observation.prompt)))

One agent learns and the others are policies. Resets with the same seed begin alike, on any connection. The reward of a
step is what the agent has earned since the step before.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from ..api.focal import Background
from ..checks import checked_seed
from ..config import WorldConfig
from ..language.rollout import TextRollout, compile_game, only_learner, rollout_factory
from ..libraries import needed

with needed("the OpenEnv adapter", "recsys_env[openenv]"):
    from fastapi import FastAPI
    from openenv.core import EnvClient
    from openenv.core.client_types import StepResult
    from openenv.core.env_server import Action, Environment, Observation, State, create_app
    from pydantic import Field

MOST_SESSIONS = 64


class PageAction(Action):
    """An answer to the page, or a call of a tool, which leaves the page open.

    Attributes:
        answer: the answer; ignored where a tool is called.
        tool: name of a tool; empty: the page is answered.
        arguments: arguments of the tool by name.
    """

    answer: str = ""
    tool: str = ""
    arguments: dict[str, Any] = Field(default_factory=dict)


class PageObservation(Observation):
    """What the agent reads.

    Attributes:
        prompt: the page to be answered; empty when the rollout is over.
        rules: the system prompt (`TextEnv.rules`), in the observation of a reset only.
        said: what the tool answered; empty where none was called.
    """

    rules: str = ""
    prompt: str = ""
    said: str = ""


class PageState(State):
    """Where a session stands.

    Attributes:
        seed: of the rollout; the same seed begins alike.
        agent: the agent that learns.
        reward: what it has earned since the rollout began.
        pages: pages that it has answered.
        repairs: how often each of `recsys_env.language.REPAIRS` was needed.
    """

    seed: int | None = None
    agent: str = ""
    reward: float = 0.0
    pages: int = 0
    repairs: dict[str, int] = Field(default_factory=dict)


class PageEnvironment(Environment[PageAction, PageObservation, PageState]):
    """One session of the server."""

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self, rollout: TextRollout) -> None:
        super().__init__()
        self._rollout = rollout
        self._agent = only_learner(rollout)
        self._state = PageState(agent=self._agent)

    def reset(self, seed: int | None = None, episode_id: str | None = None, **options: Any) -> PageObservation:
        """Begin a rollout. Without a seed, one is drawn, which `state` returns."""
        seed = secrets.randbits(63) if seed is None else checked_seed(seed)
        self._rollout.start(seed)
        self._state = PageState(episode_id=episode_id, seed=seed, agent=self._agent)
        return self._observation(rules=self._rollout.env.rules[self._agent])

    def step(self, action: PageAction, timeout_s: float | None = None, **options: Any) -> PageObservation:
        """Answer the page or call a tool. After the end, or before the first reset, nothing happens."""
        self._state.step_count += 1
        if action.tool:
            return self._observation(said=self._rollout.call(self._agent, action.tool, action.arguments))
        if self._rollout.prompts:
            self._rollout.play({self._agent: action.answer})
        return self._observation()

    def _observation(self, **texts: str) -> PageObservation:
        rollout, before = self._rollout, self._state.reward
        self._state.reward = rollout.rewards[self._agent]
        self._state.pages, self._state.repairs = rollout.played, dict(rollout.repairs[self._agent])
        prompt = rollout.prompts.get(self._agent, "")
        return PageObservation(prompt=prompt, done=not prompt, reward=self._state.reward - before, **texts)

    @property
    def state(self) -> PageState:
        return self._state


class PageClient(EnvClient[PageAction, PageObservation, PageState]):
    """A connection to the server; `PageClient(base_url=...).sync()` waits for each answer."""

    def _step_payload(self, action: PageAction) -> dict[str, Any]:
        return action.model_dump()

    def _parse_result(self, payload: dict[str, Any]) -> StepResult[PageObservation]:
        ends = {name: payload.get(name) for name in ("reward", "done")}
        return StepResult(PageObservation(**payload["observation"], **ends), **ends)

    def _parse_state(self, payload: dict[str, Any]) -> PageState:
        return PageState(**payload)


def page_app(
    task: str | WorldConfig,
    *,
    background: Background | Callable[[], Background] = "popularity",
    sessions: int = MOST_SESSIONS,
    **options: Any,
) -> FastAPI:
    """Return a server of a task, as `uvicorn` runs it.

    Args:
        background: policies of all agents but the one that learns, which is the first one if this is one policy for
            all.
        sessions: connections that may play at the same time.
        task, options: as for `language.rollout_factory`, as are errors.
    """
    rollout = rollout_factory(task, background=background, **options)
    only_learner(rollout())  # raises if there are several
    compile_game(rollout)
    return create_app(
        lambda: PageEnvironment(rollout()),
        PageAction,
        PageObservation,
        env_name="recsys_env",
        max_concurrent_envs=sessions,
        state_cls=PageState,
    )
