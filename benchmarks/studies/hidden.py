"""Does the planner's lead rest on knowing the visitor's taste, or the quality and clickbait of items?

    python -m benchmarks.studies.hidden [--task social-v1 news-v1 coldstart-v1] [--episodes 200]

`planner` knows both, and agents observe neither. Here it plays without one of them, or without both:

taste       replaced by the posterior mean that `content` computes from the profile and from the clicks that the agent
            has seen (`estimate_taste`)
items       the attributes that only oracles know of an item, its intercept, quality and clickbait, are replaced by the
            means of the catalogue

The planner still knows everything else exactly, such as satisfaction, satiation and the rivals' last page. Its scores
are therefore no bound on what a policy can earn that only observes. All agents play the same policy, on the same
held-out episodes.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from recsys_env import TASKS, VectorEnv, WorldConfig, cli
from recsys_env.batch.base import AnyBatch
from recsys_env.evaluation import scale_ends
from recsys_env.evaluation.statistics import place_on_scale
from recsys_env.kernels.equations import Alternative, depends_on
from recsys_env.kernels.machine.compiler import entry
from recsys_env.kernels.planners.beliefs import Sees, estimate_taste
from recsys_env.policies import Planner, Policy
from recsys_env.provenance import provenance
from recsys_env.world.arrays import State, World, aligned, read_only

from .played import HELD_OUT, Played, ratio
from .study import measure, options

KINDS: dict[str, tuple[bool, bool]] = {  # row -> whether the planner is denied (taste, items)
    "planner, taste estimated": (True, False),
    "planner, mean items": (False, True),
    "planner, taste estimated and mean items": (True, True),
}


@entry
def estimate(world, state, n, sees, taste):
    """Overwrite the taste of agent n's visitor with the agent's estimate of it, in all copies; `taste` [D] is
    scratch."""
    p = world.params[0]
    for b in range(state.copies.size):
        row = state.copies[b].row
        if row >= 0:
            estimate_taste(state, p, b, n, sees, taste)
            for d in range(p.shape.dims):
                state.vectors[b, row, p.shape.taste + d] = taste[d]


def with_mean_items(world: World) -> World:
    """The same world, in which every item has the catalogue's mean of each latent attribute."""
    items = aligned(world.items)
    for name, parts in depends_on(Alternative).items():
        if "latent item" in parts:
            items[name] = items[name].mean()
    return read_only(world._replace(items=items))


class _Told:
    """A batch whose world and state are replaced by others for whoever reads them."""

    def __init__(self, envs: VectorEnv, world: World, arrays: State) -> None:
        self._envs, self.world, self.arrays = envs, world, arrays

    def __getattr__(self, name: str) -> Any:
        return getattr(self._envs, name)


class Denied(Planner):
    """The planner without knowledge of the visitor's taste, of the items, or of both."""

    def __init__(self, taste: bool, items: bool) -> None:
        super().__init__()
        self._denied_taste, self._denied_items = taste, items

    def bind(self, envs: AnyBatch, agent: str, seed: int) -> None:
        super().bind(envs, agent, seed)
        game = self.envs
        self._game = game
        world = with_mean_items(game.world) if self._denied_items else game.world
        self._taste = np.zeros(envs.shape.dims)
        self._all = Sees.unless(envs.config.hidden(self.index))
        self.envs: Any = _Told(game, world, game.arrays)

    def act(self, observations: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        self.envs.arrays = self._game.arrays
        if self._denied_taste:
            self.envs.arrays = self.envs.arrays._replace(vectors=aligned(self.envs.arrays.vectors))
            estimate(self.envs.world, self.envs.arrays, self.index, self._all, self._taste)
        return super().act(observations, mask)


class _Kind:
    """What `Played` makes policies of."""

    def __init__(self, taste: bool, items: bool) -> None:
        self.taste, self.items = taste, items

    def policy(self, config: WorldConfig, n: int) -> Policy:
        return Denied(self.taste, self.items)


def measure_task(task: str, episodes: int) -> dict[str, Any]:
    """Rows of a task: individual reward and score of each kind and of the ends of the scale, and paired differences
    from the planner in points of the score."""
    config = TASKS[task]
    made: Any = {name: _Kind(*denied) for name, denied in KINDS.items()}
    played = Played(config, episodes, HELD_OUT, made)
    low, high = scale_ends(config)
    samples = {name: played.mean(name) for name in dict.fromkeys((low, high, "static", "planner", *KINDS))}
    span = (samples[high] - samples[low]) / 100
    lost = {name: ratio(samples["planner"] - samples[name], span) for name in KINDS}
    return {"rows": place_on_scale(samples, low, high), "lost": lost, "source": provenance()}


def main() -> None:
    given = options(__doc__, task=("social-v1", "news-v1", "coldstart-v1"), episodes=200)
    cells = {task: partial(measure_task, task, given.episodes) for task in cli.known_tasks(given.task)}
    measure("hidden", {"episodes": given.episodes, "seed": HELD_OUT}, cells, "tasks", given.again)


if __name__ == "__main__":
    main()
