"""verifiers: a task in words as a taskset and an environment with a seat for each agent that learns.

    # my_market.py
    from recsys_env.adapters.verifiers import environment

    Taskset, Env, Harness = environment("market-v0", pages=4, horizon=100)
    __all__ = ["Env", "Harness", "Taskset"]

verifiers finds the three by the name of the module (`vf-eval my_market`). `Taskset` yields one task for each seed, and
`Env.run` plays it as one episode. All episodes of a group are played from one task, so a group begins alike. Each
learner has a seat with the agent's name (`--env.seller-0.model`), a trace and a reward, and all seats are trainable.

A seat is a conversation in which the pages are the user's turns and the answers are the model's. Seats that are asked
at the same page do not see each other's answers. `Harness` runs the conversations and their tools in this process;
nothing that a model writes is executed, so no sandbox is needed.

The adapter uses the interface `verifiers.v1`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from ..config import WorldConfig
from ..language.rollout import compile_game, rollout_factory
from ..language.tools import schema
from ..libraries import needed

with needed("the verifiers adapter", "recsys_env[verifiers]"):
    import httpx
    import verifiers.v1 as vf
    from pydantic import Field, create_model
    from verifiers.v1.dialects.chat import message_to_wire

MOST_CALLS = 8  # answers of the model that may call tools, before it has to answer the page


class PageData(vf.TaskData):
    """What a task holds.

    Attributes:
        seed: of its episodes, which therefore begin alike.
        rules: agent -> its system prompt (`TextEnv.rules`), unless the task has a `system_prompt` for all.
        tools: agent -> the tools that its model is told of.
    """

    seed: int
    rules: dict[str, str]
    tools: dict[str, list[dict[str, Any]]] = Field(default_factory=dict)


class PageTask(vf.Task[PageData]):
    """One beginning of an episode; the group of episodes that a trainer plays of it begins alike."""


class PageHarness(vf.Harness[vf.HarnessConfig]):
    """A chat in this process: asks the model, answers its calls of tools, and returns when it has answered the page.

    Attributes:
        call: answers a call, given the name of a tool and its arguments as JSON; `environment` sets it for each seat.
    """

    APPENDS_SYSTEM_PROMPT = True
    SUPPORTS_RESUME = True
    EXECUTES_CODE = False
    NEEDS_CONTAINER = False

    call: Callable[[str, str], str]

    async def launch(
        self,
        ctx: vf.ModelContext,
        trace: vf.Trace,
        runtime: vf.Runtime,
        endpoint: str,
        secret: str,
        mcp_urls: dict[str, str],
        data: PageData,
    ) -> vf.ProgramResult:
        tools = data.tools.get(trace.agent.name, [])
        system, prompt = self.resolve_prompt(data)
        messages = [message_to_wire(message) for message in prompt or []]
        if messages[0]["role"] != "system":  # later pages bring the whole conversation
            messages.insert(0, {"role": "system", "content": system or data.rules[trace.agent.name]})
        async with httpx.AsyncClient(timeout=None, headers={"Authorization": f"Bearer {secret}"}) as client:
            for left in reversed(range(MOST_CALLS + 1)):
                offered = {"tools": tools} if tools and left else {}
                request = {"model": ctx.model, "messages": messages, **offered}
                response = await client.post(f"{endpoint}/chat/completions", json=request)
                if response.is_error:
                    return vf.ProgramResult(exit_code=1, stdout="", stderr=response.text)
                message = response.json()["choices"][0]["message"]
                if not (calls := message.get("tool_calls")) or not left:
                    break
                messages += [message, *map(self._answered, calls)]
        return vf.ProgramResult(exit_code=0, stdout="", stderr="")

    def _answered(self, call: dict[str, Any]) -> dict[str, Any]:
        said = self.call(call["function"]["name"], call["function"]["arguments"])
        return {"role": "tool", "tool_call_id": call["id"], "content": said}


def environment(
    task: str | WorldConfig, *, seeds: Iterable[int] = range(1000), **options: Any
) -> tuple[type[vf.Taskset], type[vf.Env], type[vf.Harness]]:
    """Return the taskset, the environment and the harness of a task, for a module that verifiers loads.

    Args:
        seeds: one task for each; keep them below `recsys_env.evaluation.UNSEEN`, from which evaluations begin.
        task, options: as for `language.rollout_factory`. By default every agent has a seat; agents that `background`
            plays have none.

    Raises:
        ValueError, TypeError: an argument is wrong, as for `rollout_factory`.
    """
    rollout = rollout_factory(task, **options)
    first = rollout()
    rules, tools = first.env.rules, {agent: list(map(schema, names)) for agent, names in first.allowed.items()}
    seat = vf.AgentConfig(runtime=vf.SubprocessConfig())
    seats: dict[str, Any] = {agent: (vf.AgentConfig, seat.model_copy()) for agent in tools}
    config = create_model("PageEnvConfig", __base__=vf.EnvConfig, **seats)

    class PageTaskset(vf.Taskset[PageTask, vf.TasksetConfig]):
        def load(self) -> Iterator[PageTask]:
            for seed in seeds:
                data = PageData(name=f"seed {seed}", seed=seed, rules=rules, tools=tools)
                yield PageTask(data, self.config.task)

    class PageEnv(vf.Env[config]):  # type: ignore[valid-type]
        async def start(self) -> None:
            await asyncio.to_thread(compile_game, rollout)

        async def run(self, task: PageTask, agents: vf.Agents) -> None:
            game = rollout()
            async with AsyncExitStack() as stack:
                seats = {}
                for name in game.env.possible_agents:
                    agent = getattr(agents, name)
                    agent.harness.call = partial(game.call, name)
                    seats[name] = await stack.enter_async_context(agent.interaction(task))
                prompts = game.start(task.data.seed)
                while prompts:
                    asked = [seats[name].turn(prompt) for name, prompt in prompts.items()]
                    answers = dict(zip(prompts, await asyncio.gather(*asked), strict=True))
                    if any(answer.terminated for answer in answers.values()):
                        break  # a seat has failed or has reached a limit
                    prompts = game.play({name: answer.last_reply for name, answer in answers.items()})
            for name, seat in seats.items():
                seat.trace.record_reward("reward", game.rewards[name])
                seat.trace.record_metrics({"pages": game.played, "repairs": game.repairs[name].total()})

    return PageTaskset, PageEnv, PageHarness
