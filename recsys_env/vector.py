"""The batch as an environment: B copies of a task stepped by one compiled call. Everything else is a view of this.

    envs = VectorEnv(config, num_envs=1024)
    observations, infos = envs.reset(seed=0)                                     # [B, N, O]
    observations, rewards, terminations, truncations, infos = envs.step(actions) # [B, N] rewards, [B] ends

`step` returns views of two alternating sets of arrays. What a step returned stays valid until the step after the next,
so an observation and its successor coexist; copy what must live longer.

Episodes begin anew in the same step: where `truncations[b]`, the observation is already the first of the next episode,
and `final_obs[b]` is the last of the one that ended.
"""

from __future__ import annotations

import secrets
import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

import numba
import numpy as np

from .actions import ActionReader
from .catalogue import Catalogue
from .checks import check_count, checked_seed, is_number, shown
from .config import WorldConfig, check_catalogue_fields
from .fields import ACTION, OBSERVATION, STATE, candidate_features, places, private_fields
from .files import digest_of_arrays
from .infos import Infos
from .settings import difference
from .spaces import action_space, mask_size, observation_space, unit_box
from .texts import Texts, texts_of
from .world import Report, State, World, allocate_report, allocate_scratch, allocate_state, build, shape_of

QUERY_SCAN_WARNING = 50_000
CHUNK = 32  # copies that go through the stages of a tick together: more leave the processor's first cache
SPECIALISED = 1_024  # copies from which on a batch's step is compiled for its world alone


def copy_seed(seed: int, b: int) -> int:
    """Seed of copy b of a batch; copy 0 has the batch's own."""
    from .kernels.rng import copy_seeds

    return int(copy_seeds(seed, np.array([b]))[0])


def chunks(copies: int) -> np.ndarray:
    """Where each chunk of copies begins, and the last one ends."""
    return np.append(np.arange(0, copies, CHUNK), copies)


class Snapshot:
    """The saved state of one copy or of all: made by `VectorEnv.save`, put back by `VectorEnv.restore`; it may be
    copied and pickled.

    Args:
        config: the task it was taken in.
        arrays: the state.
        world: digest of the task's items and people (`VectorEnv.world_digest`).
    """

    def __init__(self, config: WorldConfig, arrays: State, world: str) -> None:
        self.config = config
        self.arrays = arrays
        self.world = world

    @property
    def num_envs(self) -> int:
        return len(self.arrays.copies)


def check_config(config: Any) -> None:
    """Raise TypeError unless this is a config."""
    if not isinstance(config, WorldConfig):
        raise TypeError(
            f"config = {shown(config)} must be a WorldConfig; recsys_env.vector_env takes a task by its name as well"
        )


Array = TypeVar("Array")  # where the game is played: of NumPy, or on a GPU
Told = TypeVar("Told", bound=Mapping[str, Any])  # infos


class Batch(Generic[Array, Told]):
    """B copies of a task, wherever they are stepped: their world, spaces and layouts, and what is told of a step.

    Args:
        config: the task.
        num_envs: B.
        catalogue: fitted items and users, a shipped one by name or a saved one by path, in place of the one that
            `config.catalogue` names. The fields that describe synthetic items and users must be at their defaults then.

    Attributes:
        device: where the game is played and its arrays lie, "cpu" or "cuda".
        possible_agents: names of the N agents.
        observation_space, action_space: of one agent; all agents of a task share them.
        action_fields: name -> slice of a continuous action (`query` or `weights`); empty where actions are discrete.
        observation_fields: name -> slice of the flat observation.
        candidate_features: names of the features that each candidate shows, in order; empty only without candidates.
        state_space: of `state()`.
        state_fields: name -> slice of the global state.
    """

    device = "cpu"

    def __init__(self, config: WorldConfig, num_envs: int = 1, catalogue: Catalogue | str | Path | None = None) -> None:
        check_config(config)
        catalogue = _loaded(catalogue, config)
        check_count("num_envs", num_envs, 1, 2**31)
        self.config = config
        self.catalogue = catalogue
        self.num_envs = int(num_envs)
        self.shape = shape_of(config, catalogue)
        entries = len(config.dynamics.mood_up), len(config.dynamics.mood_down)
        if config.choice.v_0_by_mood and entries != (self.shape.topics, self.shape.topics):
            raise ValueError(
                f"dynamics.mood_up and mood_down have {entries[0]} and {entries[1]} entries, "
                f"but the catalogue has {self.shape.topics} topics"
            )
        self.possible_agents = config.agents
        self.num_agents = config.num_agents
        self.world: World = build(config, catalogue)
        if config.action == "query" and self.shape.items > QUERY_SCAN_WARNING:
            warnings.warn(
                f"action = 'query' scans all {self.shape.items} items for every agent in every step", stacklevel=4
            )
        self.action_fields = places(ACTION, config, self.shape)
        self.observation_fields = places(OBSERVATION, config, self.shape)
        self.candidate_features = candidate_features(config, self.shape)
        self.state_fields = places(STATE, config, self.shape)
        size = self.world.params["shape"]["observation"][0]
        self.observation_space = observation_space(config, self.shape, int(size))
        self.action_space = action_space(config, self.shape)
        self.state_space = unit_box(max(place.stop for place in self.state_fields.values()))
        self._hidden = [
            (n, self.observation_fields[name])
            for n in range(config.num_agents)
            for name in dict.fromkeys(config.hidden(n))
            if name in self.observation_fields
        ]
        private = (self.observation_fields.get(field.name) for field in private_fields(config, self.shape))
        self._private = np.r_[tuple(place for place in private if place)]
        self._actions = ActionReader(config, self.num_envs, self.possible_agents, self.action_space)
        self._state: Any
        self._report: Any
        self._seed: int | list[int] | None = None  # None = there is no game yet

    @cached_property
    def world_digest(self) -> str:
        """SHA-256 of the world's items and people. With an equal config it says whether two worlds are the same: all
        else in a `World` follows from these and the config."""
        names = ("items", "q", "places", "prior_taste", "prior_rho", "prior_habits")
        return digest_of_arrays({name: getattr(self.world, name) for name in names})

    @cached_property
    def texts(self) -> Texts:
        """What the world's items, topics and domains are called."""
        return texts_of(self.world, self.catalogue)

    # -------------------------------------------------------------------------------------------- reset and step

    def reset(
        self, *, seed: int | Sequence[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, Told]:
        """Start an episode in every copy.

        Args:
            seed: an integer starts episode 0 of that seed (copy b plays `copy_seed(seed, b)`), a sequence gives one
                seed per copy; None keeps the seed and goes to the next episode (a never seeded environment takes one
                from the operating system).
            options: ignored.

        Returns:
            observations [B, N, O] (or a dict of them and masks), infos.
        """
        if seed is None and self._seed is None:
            seed = secrets.randbits(63)
        copies = self._fetched(self._state.copies, slice(None))
        if seed is None:
            copies["episode"] += 1
        else:
            seeds = checked_seeds(seed, self.num_envs)
            self._seed = seed if isinstance(seed, int) else seeds
            copies["seed"] = copies["population"] = np.array(seeds, np.uint64)
            copies["episode"] = 0
        self._put(self._state.copies, slice(None), copies)
        self._advance(self._sent(self._actions.empty()), mode=1)
        return self._observed()

    def step(self, actions: Any) -> tuple[Any, Array, Array, Array, Told]:
        """One tick of every copy.

        Args:
            actions: [B, N, ...] of the action space's shape and kind.

        Returns:
            observations [B, N, O], rewards [B, N], terminations [B] (always False), truncations [B], infos.

        Raises:
            ValueError, TypeError: an action outside its space; nothing has changed.
            RuntimeError: before the first `reset`.
        """
        report = self._tick(actions)
        observations, infos = self._observed()
        return observations, report.rewards, self._nobody(), report.truncated, infos

    def _tick(self, actions: Any) -> Any:
        """`step`, and the report of it."""
        self._require_reset("step()")
        self._advance(self._read(actions), mode=0)
        return self._report

    def look(self) -> tuple[Any, Told]:
        """Observations and infos of the present page once more, as after a reset; nothing changes."""
        self._require_reset("look()")
        self._advance(self._sent(self._actions.empty()), mode=2)
        return self._observed()

    def save(self, copy: int | None = None) -> Snapshot:
        """The state of one copy, or of all (None).

        Raises:
            RuntimeError: before the first `reset`.
        """
        self._require_reset("save()")
        chosen = self._chosen(copy)
        return Snapshot(self.config, State(*(self._fetched(array, chosen) for array in self._state)), self.world_digest)

    def restore(
        self, snapshot: Snapshot, copy: int | None = None, seed: int | Sequence[int] | None = None
    ) -> tuple[Any, Told]:
        """Continue from a snapshot, bit for bit.

        Args:
            snapshot: of one copy (restored into `copy`, or into every copy if None) or of as many copies as there are
                here.
            copy: which copy to overwrite; None = all.
            seed: new seed(s) for the events from here on; people stay those of the snapshot.

        Returns:
            observations and infos, as after a reset.

        Raises:
            ValueError: a snapshot of another task, world or number of copies, or a wrong copy or seed.
            TypeError: something else than a snapshot. Nothing has changed after any of these.
        """
        self._check_snapshot(snapshot)
        chosen = self._chosen(copy)
        count = self.num_envs if copy is None else 1
        if snapshot.num_envs not in (1, count):
            raise ValueError(f"a snapshot of {snapshot.num_envs} copies cannot be restored into {count}")
        seeds = None if seed is None else checked_seeds(seed, count)
        for mine, saved in zip(self._state, snapshot.arrays, strict=True):
            self._put(mine, chosen, saved)
        if seeds is not None:
            copies = self._fetched(self._state.copies, chosen)
            copies["seed"] = np.array(seeds, np.uint64)
            self._put(self._state.copies, chosen, copies)
        if self._seed is None:
            self._seed = [int(s) for s in self._fetched(self._state.copies, slice(None))["seed"]]
        return self.look()

    def _require_reset(self, call: str) -> None:
        if self._seed is None:
            raise RuntimeError(f"call reset() before {call}")

    def _check_snapshot(self, snapshot: Any) -> None:
        """Raise unless the snapshot belongs to this world and its arrays fit the state's, for any number of copies."""
        whole = (
            isinstance(snapshot, Snapshot)
            and isinstance(snapshot.config, WorldConfig)
            and isinstance(snapshot.arrays, State)
            and np.ndim(snapshot.arrays.copies) == 1
        )
        if not whole:
            raise TypeError(f"snapshot = {shown(snapshot)} must be what save() returns")
        if snapshot.config != self.config:
            raise ValueError(
                "the snapshot was taken in another task or with other settings: "
                f"{difference(snapshot.config, self.config)}"
            )
        if snapshot.world != self.world_digest:
            raise ValueError(
                "the snapshot was taken in another world: its items and users are not those of the catalogue here"
            )
        for name, saved, mine in zip(State._fields, snapshot.arrays, self._state, strict=True):
            shape = (snapshot.num_envs, *mine.shape[1:])
            if not isinstance(saved, np.ndarray) or (saved.shape, saved.dtype) != (shape, mine.dtype):
                found = f"{saved.dtype}{list(saved.shape)}" if isinstance(saved, np.ndarray) else shown(saved)
                raise ValueError(
                    f"the snapshot's {name} are {found}, expected {mine.dtype}{list(shape)}; "
                    "it is not what save() returned"
                )

    def _chosen(self, copy: int | None) -> slice:
        if copy is None:
            return slice(None)
        check_count("copy", copy, 0, self.num_envs - 1)
        return slice(copy, copy + 1)

    # -------------------------------------------------------------------------------------------- what is told

    @property
    def observations(self) -> Any:
        """What the last reset, step or restore returned."""
        return self._with_mask(self._report.observations, self._report.masks)

    @property
    def infos(self) -> Told:
        """The report of the last reset, step or restore."""
        return self._infos()

    @property
    def final_obs(self) -> Any:
        """Last observations [B, N, O] of the episodes that ended in the last step; valid where truncated."""
        return self._with_mask(self._report.final_observations, self._report.final_masks)

    @property
    def next_visitor(self) -> Array:
        """Person [B, N] whose page is about to be shown, -1 if idle or inactive. Equal only for the same person of a
        copy."""
        return self._column(self._report.agents, "next_visitor")

    @property
    def next_places(self) -> Array:
        """Where the person lives [B] whose page is about to be shown, -1 if idle; the next step overwrites it."""
        return self._column(self._state.copies, "visitor")

    @property
    def active(self) -> Array:
        """Agents [B, N] whose slots will be on the page about to be shown."""
        return self._column(self._report.agents, "active")

    @property
    def truncated(self) -> Array:
        """Copies [B] whose episode ended in the last step."""
        truncated: Array = self._report.truncated
        return truncated

    def state(self) -> Array:
        """Global state [B, S] for centralised critics: latent visitor, platform means, private parts of the
        observations; the mood once where all see the same. On a GPU the next call fills the same array.

        Scans the users of a copy, so it costs time proportional to U.
        """
        self._require_reset("state()")
        return self._states()

    def final_state(self) -> Array:
        """`state()` [B, S] at the end of the episodes that ended in the last step, beside `final_obs`; valid where
        truncated."""
        self._require_reset("final_state()")
        return self._final_states()

    def field(self, observations: Array, name: str) -> Array:
        """The view `observations[..., name]` of one field of flat observations."""
        if not isinstance(name, str) or name not in self.observation_fields:
            raise KeyError(f"{shown(name)}; observation fields are {', '.join(self.observation_fields)}")
        flat: Any = observations
        return flat[..., self.observation_fields[name]]  # type: ignore[no-any-return]

    def _observed(self) -> tuple[Any, Told]:
        return self.observations, self._infos()

    def _with_mask(self, observations: Any, masks: Any) -> Any:
        return {"observation": observations, "action_mask": masks} if self.config.mask_actions else observations

    # -------------------------------------------------------------------------------------------- actions

    def checked_action(self, n: int, action: Any) -> np.ndarray:
        """An action of agent n as an array of the action space's shape.

        Raises:
            ValueError, TypeError: it lies outside the space; the message names agent, value and space.
        """
        return self._actions.read_one(n, action)

    def empty_actions(self) -> np.ndarray:
        """A joint action [B, N, ...] to be filled in: the first of everything, or vectors of zero."""
        return np.zeros((self.num_envs, self.num_agents, *(self.action_space.shape or ())), self.action_space.dtype)

    def close(self) -> None:
        """Nothing to release."""

    # -------------------------------------------------------------------------------------------- where the arrays are
    # Of this class, on the host.

    def _fetched(self, array: Any, chosen: slice) -> np.ndarray:
        """A copy of these rows, on the host."""
        rows: np.ndarray = array[chosen].copy()
        return rows

    def _put(self, array: Any, chosen: slice, rows: np.ndarray) -> None:
        """Overwrite these rows, all with the same if only one is given."""
        array[chosen] = rows

    def _sent(self, array: np.ndarray) -> Any:
        """An array where the game is played."""
        return array

    def _read(self, actions: Any) -> Any:
        """Actions that lie in their space, as the kernels read them: [B, N, A]."""
        return self._actions.read(actions)

    def _column(self, records: Any, name: str) -> Array:
        """One field of an array of records."""
        column: Array = records[name]
        return column

    def _nobody(self) -> Array:
        """[B] of False."""
        raise NotImplementedError

    def _infos(self) -> Told:
        """Infos of the present report."""
        raise NotImplementedError

    def _states(self) -> Array:
        """`state()` of the present page."""
        raise NotImplementedError

    def _final_states(self) -> Array:
        """`final_state()` of the present report."""
        raise NotImplementedError

    def _advance(self, actions: Any, mode: int) -> None:
        """A tick (mode 0), the start of an episode (1), or the present page once more (2), into the next report."""
        raise NotImplementedError


class VectorEnv(Batch[np.ndarray, Infos]):
    """B independent copies of a task, on the CPU.

    Args:
        config, num_envs, catalogue: as in `Batch`, which lists the attributes too.
        num_threads: 1 runs serially (safe in forked workers); more spread the copies over numba's threads. Results do
            not depend on it.

    Before the first `reset` or `restore` there is no game: `step`, `look`, `state`, `final_state`, `save`,
    `expected_feedback`, `explain`, `public_items` and `latent_users` raise RuntimeError.
    """

    def __init__(
        self,
        config: WorldConfig,
        num_envs: int = 1,
        num_threads: int = 1,
        catalogue: Catalogue | str | Path | None = None,
    ) -> None:
        super().__init__(config, num_envs, catalogue)
        check_count("num_threads", num_threads, 1, numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
        self.num_threads = int(num_threads)
        self._starts = chunks(self.num_envs)
        self._state = allocate_state(self.world, self.num_envs)
        masks = mask_size(config, self.shape)
        self._buffers = [allocate_report(self.world, self.num_envs, masks) for _ in range(2)]
        self._report = self._buffers[0]
        self._scratch = allocate_scratch(self.world, self.num_envs)
        self._compiled: Any = None
        self._handles: list[Any] = [None, None]  # of each report

    def __getstate__(self) -> dict[str, Any]:
        held = {"_compiled": None, "_handles": [None, None], "_report": None}
        return {**self.__dict__, **held, "_current": int(self._report is self._buffers[1])}

    def __setstate__(self, state: dict[str, Any]) -> None:
        current = state.pop("_current")
        self.__dict__.update(state)
        self._report = self._buffers[current]
        for array in self.world:  # a copy comes writeable, which is another type to the compiled code
            array.flags.writeable = False

    # -------------------------------------------------------------------------------------------- reset and step

    def _nobody(self) -> np.ndarray:
        return np.zeros(self.num_envs, np.bool_)

    def _infos(self) -> Infos:
        return Infos(self._report)

    def _advance(self, actions: np.ndarray, mode: int) -> None:
        self._report = self._buffers[0] if self._report is self._buffers[1] else self._buffers[1]
        handle = self._handle()
        if self._compiled is None:
            self._compiled = self._compile(actions)
        if self.num_threads > 1:
            numba.set_num_threads(self.num_threads)
        self._compiled(handle, actions, mode, self._starts)
        for n, columns in self._hidden:
            self._report.observations[:, n, columns] = 0
            if mode == 0:
                self._report.final_observations[:, n, columns] = 0

    def _handle(self) -> Any:
        """Our arrays as the compiled step takes them; made anew where one of them has been replaced."""
        second = self._report is self._buffers[1]
        handle = self._handles[second]
        if handle is not None:
            world, state, report, scratch = handle.parts
            if world is self.world and state is self._state and report is self._report and scratch is self._scratch:
                return handle
            self._compiled = None  # which may be for another world
        from .kernels.handle import Handle

        self._handles[second] = Handle(self.world, self._state, self._report, self._scratch)
        return self._handles[second]

    def _compile(self, actions: np.ndarray) -> Any:
        """The entry for arrays like ours."""
        from .kernels.constants import type_of
        from .kernels.handle import HandleType
        from .kernels.step import run, run_parallel

        kernel = run if self.num_threads == 1 else run_parallel
        world = numba.typeof(self.world) if self.num_envs < SPECIALISED else type_of(self.world)
        parts = HandleType(world, *(numba.typeof(part) for part in (self._state, self._report, self._scratch)))
        return kernel.compile((parts, numba.typeof(actions), numba.int64, numba.typeof(self._starts)))

    # -------------------------------------------------------------------------------------------- views

    @property
    def arrays(self) -> State:
        """Everything that changes in the game, as the arrays themselves, whose layout is the engine's own: for compiled
        code, which takes them whole. All else reads `next_page`, `latent_users`, `utilities` and `inclusive_values`.
        Read, never write."""
        return self._state

    @property
    def report(self) -> Report:
        """What the last reset, step or restore reported, as the arrays themselves, from which `infos`, observations
        and rewards are taken: for compiled code, as `arrays`. Read, never write."""
        return self._report

    def output_arrays(self) -> list[np.ndarray]:
        """The arrays behind everything that `reset` and `step` return, of both alternating sets."""
        return [array for report in self._buffers for array in report]

    def prices_at(
        self, items: np.ndarray, tick: int, offers: np.ndarray | float = 1.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Prices of items [I] at a tick, after promotion and in mean list prices, and whether each is promoted.

        Args:
            offers: [I] what an agent multiplies them by (`infos["offer"]`).

        Raises:
            ValueError: there is no such item.
        """
        from .kernels.page import read_prices

        if len(items) and not 0 <= np.min(items) <= np.max(items) < self.shape.items:
            raise ValueError(f"items = {shown(items)} must be from 0 to {self.shape.items - 1}")
        prices, promoted = np.zeros(len(items)), np.zeros(len(items), np.bool_)
        read_prices(self.world, np.asarray(items, np.int64), tick, prices, promoted)
        return prices * offers, promoted

    def purchase_values(self, items: np.ndarray, paid: np.ndarray) -> np.ndarray:
        """What purchases of items [I] at prices paid [I], in mean list prices, count in rewards: values [I], in mean
        margins, to be multiplied by the weight of a purchase."""
        from .kernels.page import read_purchase_values

        values = np.zeros(len(items))
        read_purchase_values(self.world, np.asarray(items, np.int64), np.asarray(paid, np.float64), values)
        return values

    def public_items(self) -> dict[str, np.ndarray]:
        """What everybody may know of the items at the page about to be shown, beside `world.items` and `world.q`.

        Returns:
            arrays [B, M]: price (after promotion, in mean list prices), promoted (bool), available (bool), stock (units
            left, -1 = unlimited), age (ticks since its availability window opened, 0 without windows), popularity
            (decayed clicks of everybody), ctr and satisfaction (as in the features of candidates).

        Raises:
            RuntimeError: before the first `reset`.
        """
        from .kernels.page import read_items

        self._require_reset("public_items()")
        shape = self.num_envs, self.shape.items
        kinds = {"price": np.float64, "promoted": np.bool_, "available": np.bool_}
        kinds |= {"stock": np.int64, "age": np.int64}
        kinds |= dict.fromkeys(("popularity", "ctr", "satisfaction"), np.float64)
        found: dict[str, np.ndarray] = {name: np.zeros(shape, kind) for name, kind in kinds.items()}
        read_items(self.world, self._state, *found.values())
        return found

    @property
    def candidates(self) -> np.ndarray:
        """Items [B, N, C] that the agents' retrieval found for the page about to be shown, -1 = none; of no meaning
        where inactive."""
        return self._state.candidates

    @property
    def tick(self) -> np.ndarray:
        """Ticks [B] played in the present episode."""
        return self._state.copies["tick"]

    # -------------------------------------------------------------------------------------------- latent views
    # What no agent is told: for oracles, metrics, replays and analyses. Copies, which may be kept.

    @property
    def next_page(self) -> np.ndarray:
        """Records [B] (`world.COPY`) of the page about to be shown: `tick`; `visitor`, the place of its user, -1 in an
        idle tick; `intent`, a topic; `scene`; `anchor`, the item that led to the scene, -1 = none; `opened`, the agent
        of a rival page; `session_page`, 0 on the first of a session."""
        return self._state.copies.copy()

    def latent_users(self, places: np.ndarray | int | None = None) -> dict[str, np.ndarray]:
        """One user of each copy, as the simulator knows it.

        Args:
            places: [B] of the users, or one for all copies; None = those whose page is about to be shown (in an idle
                tick the one at place 0).

        Returns:
            incarnation [B]: how many people held this place before; group, mood [B]; sessions [B] that the person has
                begun; last_visit [B]: tick of the last page before this session, -1 = none;
            satisfaction z, price_sensitivity rho [B];
            wallet [B]: money in mean list prices, infinite where it is unlimited;
            taste [B, D], satiation [B, T], trust [B, N]: p_u, s_u, tau_u;
            cart_item, cart_agent [B, Q]: what lies in the cart and whose slot it is from, oldest first, -1 = nothing.

        Raises:
            RuntimeError: before the first `reset`.
            IndexError: a place beyond the number of users.
        """
        from .kernels.page import read_wallets

        self._require_reset("latent_users()")
        state, shape, at = self._state, self.shape, self.world.params["shape"][0]
        if places is None:
            places = np.maximum(state.copies["visitor"], 0)
        places = np.array(np.broadcast_to(places, self.num_envs), np.int64)
        rows, wallet = np.arange(self.num_envs), np.zeros(self.num_envs)
        users, vectors, carts = (array[rows, places] for array in (state.users, state.vectors, state.carts))
        read_wallets(self.world, state, places, wallet)
        filled = np.arange(shape.cart) < users["cart"][:, None]
        parts = {"taste": shape.dims, "satiation": shape.topics, "trust": shape.agents}
        return {
            **{name: users[name].copy() for name in ("incarnation", "group", "mood", "sessions", "last_visit")},
            "satisfaction": users["z"].copy(),
            "price_sensitivity": users["rho"].copy(),
            "wallet": wallet,
            **{name: vectors[:, at[name] : at[name] + size] for name, size in parts.items()},
            **{f"cart_{name}": np.where(filled, carts[name], -1) for name in ("item", "agent")},
        }

    @property
    def utilities(self) -> np.ndarray:
        """Utility v [B, N, K] of what each slot of the last page showed; of no meaning at a hole."""
        return self._report.slots["utility"].copy()

    @property
    def inclusive_values(self) -> np.ndarray:
        """lambda I_n + trust [B, N]: what each agent's slots were worth to the visitor at the last page that was shown,
        in utils; -inf where it showed nothing."""
        return self._state.inclusive.copy()

    # -------------------------------------------------------------------------------------------- global state

    def _states(self) -> np.ndarray:
        from .kernels.step import global_state

        rows = self._private_rows(self._report.observations)
        global_state(self.world, self._state, rows)
        return rows

    def _final_states(self) -> np.ndarray:
        rows = self._private_rows(self._report.final_observations)
        rows[:, : self._report.final_states.shape[1]] = self._report.final_states
        return rows

    def _private_rows(self, observations: np.ndarray) -> np.ndarray:
        """States [B, S] with the private parts of the observations filled in."""
        rows = np.empty((self.num_envs, *self.state_space.shape), np.float32)
        private = rows[:, self.state_fields["private"]].reshape(
            self.num_envs, self.num_agents, self.shape.private
        )  # a view
        private[:] = observations[..., self._private]
        return rows

    # -------------------------------------------------------------------------------------------- save, restore, expect

    def expected_feedback(self, actions: Any) -> dict[str, np.ndarray]:
        """Exact expectations of the page about to be shown, given a joint action; nothing changes.

        Returns:
            click, cart, purchase: probabilities [B, N, K] of each slot (purchase: instant ones);
            own [B, N]: expected own reward of this step, purchases of earlier cart items included;
            objectives [B, N]: what the page is paid beside it for diversity, novelty and fairness, which is certain;
            reward [B, N]: their sum after sharing.
        """
        from .kernels.expected import expect

        self._require_reset("expected_feedback()")
        read = self._actions.read(actions)
        b, n, k = self.num_envs, self.num_agents, self.config.slots
        state = State(*(array.copy() for array in self._state))
        report = self._buffers[0]._replace(slots=self._report.slots.copy(), agents=self._report.agents.copy())
        click, cart = np.zeros((b, n, k)), np.zeros((b, n, k))
        own, objectives, reward = np.zeros((b, n)), np.zeros((b, n)), np.zeros((b, n))
        expect(self.world, state, report, self._scratch, read, click, cart, own, objectives, reward)
        purchase = cart if self.config.feedback.instant else np.zeros_like(cart)
        by_slot = {"click": click, "cart": cart, "purchase": purchase}
        return {**by_slot, "own": own, "objectives": objectives, "reward": reward}

    def explain(self, actions: Any) -> dict[str, Any]:
        """The page about to be shown, given a joint action, taken apart; nothing changes and nothing is drawn.

        Returns:
            item [B, N, K]: in each slot, -1 = hole or not on the page, where all else is 0;
            rank [B, N, K]: rank - 1 on the page, -1 = not on it;
            terms: name -> [B, N, K], in utils: intercept, taste, quality, bait, price (as the agent offers it),
                freshness, popularity, intent, context, satiation, repeat;
            utility [B, N, K]: v, their sum;
            position [B, N, K]: log theta of the rank, which multiplies the odds of a click by theta;
            offer [B, N]: what multiplies the prices of the agent's slots, 1 = prices as they are;
            trust [B, N]: what trust adds to the utility of an agent on the page (0 on rival pages, where it has chosen
                the agent already);
            outside [B]: v_0, the utility of no click, 0 in an idle tick;
            click [B, N, K]: probability of a click.

        Raises:
            RuntimeError: before the first `reset`.
            ValueError, TypeError: an action outside its space.
        """
        from .kernels.explain import TERMS, explain

        self._require_reset("explain()")
        read = self._actions.read(actions)
        state = self._state._replace(
            messages=self._state.messages.copy(),
            offers=self._state.offers.copy(),
            inclusive=self._state.inclusive.copy(),
        )
        report = self._buffers[0]._replace(slots=self._report.slots.copy(), agents=self._report.agents.copy())
        slots = (self.num_envs, self.num_agents, self.config.slots)
        terms, position, click = np.zeros((*slots, len(TERMS))), np.zeros(slots), np.zeros(slots)
        trust, outside = np.zeros(slots[:2]), np.zeros(self.num_envs)
        explain(self.world, state, report, self._scratch, read, terms, position, trust, outside, click)
        return {
            "item": report.slots["item"],
            "rank": report.slots["rank"],
            "terms": {name: terms[..., i] for i, name in enumerate(TERMS)},
            "utility": report.slots["utility"],
            "position": position,
            "offer": np.exp(report.agents["log_offer"]),
            "trust": trust,
            "outside": outside,
            "click": click,
        }


def checked_batch(envs: Any) -> VectorEnv:
    """The batch on the CPU, if it is one.

    Raises:
        TypeError: it is something else, such as a `parallel_env`.
    """
    if not isinstance(envs, VectorEnv):
        what = "a batch on the CPU" if isinstance(envs, Batch) else "a batch"
        raise TypeError(
            f"envs is a {type(envs).__name__}, not {what}; make one with recsys_env.vector_env(task, num_envs)"
        )
    return envs


def batch_anywhere(envs: Any) -> Batch[Any, Any]:
    """The batch, on the CPU or on a GPU, if it is one.

    Raises:
        TypeError: as of `checked_batch`.
    """
    return envs if isinstance(envs, Batch) else checked_batch(envs)


def _loaded(catalogue: Any, config: WorldConfig) -> Catalogue | None:
    """The catalogue itself: the one given, as an object, by name or by path, else the one that the config names."""
    if catalogue is None:
        return Catalogue.load(config.catalogue) if config.catalogue else None
    if isinstance(catalogue, (str, Path)):
        catalogue = Catalogue.load(catalogue)
    if not isinstance(catalogue, Catalogue):
        raise TypeError(
            f"catalogue = {shown(catalogue)} must be a Catalogue, the name of a shipped one or the path of a saved one"
        )
    check_catalogue_fields(config)
    return catalogue


def checked_seeds(seed: Any, num_envs: int) -> list[int]:
    """The seed of each copy, of one for the whole batch or one for each."""
    if is_number(seed, int, np.integer):
        from .kernels.rng import copy_seeds

        return copy_seeds(checked_seed(seed), np.arange(num_envs)).tolist()
    if not isinstance(seed, (Sequence, np.ndarray)) or isinstance(seed, (str, bytes)) or getattr(seed, "ndim", 1) != 1:
        raise TypeError(
            f"seed = {shown(seed)} must be an integer in [0, 2^64), a sequence of one for each copy, or None"
        )
    if len(seed) != num_envs:
        raise ValueError(
            f"seed = {shown(seed)} has {len(seed)} entries, expected one for each of the {num_envs} copies"
        )
    return [checked_seed(entry, f"seed[{b}]") for b, entry in enumerate(seed)]
