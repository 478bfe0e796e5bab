"""The batch as an environment: one compiled call steps B copies of a task. All other interfaces are views of it.

    envs = VectorEnv(config, num_envs=1024)
    observations, infos = envs.reset(seed=0)                                     # [B, N, O]
    observations, rewards, terminations, truncations, infos = envs.step(actions) # [B, N] rewards, [B] ends

The results are copies, which may be kept. With `copy=False` they are views of two alternating sets of arrays, which
saves time. They stay valid until the step after the next, so an observation and its successor exist at the same time.

Episodes restart in the same step: where `truncations[b]` is true, the observation is already the first one of the next
episode, and `final_obs[b]` is the last one of the finished episode.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numba
import numpy as np

from ..checks import as_indices, as_numbers, check_count, check_flag, shown
from ..config import WorldConfig
from ..config.catalogue import Catalogue
from ..kernels.step import STEP
from ..world.arrays import (
    Report,
    Scratch,
    State,
    World,
    aligned,
    allocate_report,
    allocate_scratch,
    allocate_state,
    has_come,
    read_only,
)
from .base import Batch, checked_cpu_batch
from .game import GameBatch
from .infos import OF_BIDS, Infos, price_multipliers
from .memory import available, bytes_of_copies, check_fits
from .replacement import check_world
from .spaces import mask_size

CHUNK = 64  # most copies that go through a stage of a tick together: their state fits into the first-level cache
# The default of `specialize`: batches of this many copies at the first step, smaller ones after this many agent-steps,
# which take about as long as compiling.
SPECIALISED, PAYS_OFF = 1_024, 20_000_000
_threads: dict[str, int] = {}  # "process": the one in which threads have started


def chunks(copies: int, threads: int = 1) -> np.ndarray:
    """Return where each chunk of copies begins, and where the last one ends; with many threads chunks are smaller."""
    return np.append(np.arange(0, copies, min(CHUNK, -(-copies // threads))), copies)


class VectorEnv(GameBatch[np.ndarray, Infos]):
    """B independent copies of a task, on the CPU.

    Args:
        config, num_envs, catalogue: as in `GameBatch`; `Batch` lists the attributes.
        num_threads: 1 runs serially (safe in forked workers); more spread the copies over numba's threads. Results do
            not depend on it.
        specialize: whether the step is compiled for the structure of this world, which makes every step faster. It is
            compiled once and kept on disk. True: at the first step. False: never; the batch uses the code for all
            worlds. "auto": at the first step in large batches (`SPECIALISED` copies), and in smaller ones when they
            have played so much that it pays off (`PAYS_OFF` agent-steps). Results do not depend on it.
        copy: whether results are copies; see `Batch.copy`.
        observation_format: as in `GameBatch`.

    Raises:
        ValueError: `specialize` is something else, the batch does not fit into the available memory, or as in
            `GameBatch`.
        TypeError: `copy` is not a bool, or as in `GameBatch`.

    Before the first `reset` or `restore` there is no game: `step`, `look`, `state`, `final_state`, `save`,
    `expected_feedback`, `explain`, `public_items` and `latent_users` raise RuntimeError.
    """

    _world: World
    _compiled: Any  # the step, once there was one
    _until_specialised: float  # how many steps come before it is compiled for our world alone
    _made: dict[Any, Any]  # compiled code for our world and arrays, each under a key of its own, once it was asked for
    _packed: list[Any]  # of our arrays, with each report

    def __init__(
        self,
        config: WorldConfig,
        num_envs: int = 1,
        num_threads: int = 1,
        catalogue: Catalogue | str | Path | None = None,
        specialize: bool | Literal["auto"] = "auto",
        copy: bool = True,
        observation_format: str = "flat",
    ) -> None:
        super().__init__(config, num_envs, catalogue, observation_format)
        check_flag("copy", copy)
        self.copy = bool(copy)
        check_count("num_threads", num_threads, 1, numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
        self.num_threads = int(num_threads)
        self._until_specialised = _steps_until_specialised(specialize, self.num_envs, self.num_agents)
        masks = mask_size(config, self.shape)
        check_fits(self.num_envs, bytes_of_copies(self.world, self.num_envs, masks), *self._free_memory())
        self._starts = chunks(self.num_envs, self.num_threads)
        self._state = allocate_state(self.world, self.num_envs)
        self._buffers = [allocate_report(self.world, self.num_envs, masks) for _ in range(2)]
        self._report = self._buffers[0]
        self._scratch = allocate_scratch(self.world, self.num_envs)
        self._codes = {name: self.layout.codes(name) for name in self.layout.named}

    def __getstate__(self) -> dict[str, Any]:
        held: dict[str, Any] = {
            "_compiled": None,
            "_packed": [None, None],
            "_made": {},
            "_report": None,
        }
        return {**self.__dict__, **held, "_current": int(self._report is self._buffers[1])}

    def __setstate__(self, state: dict[str, Any]) -> None:
        current = state.pop("_current")
        self.__dict__.update(state)
        # A copy comes writeable, which is another type to compiled code, and lies anywhere in memory.
        self.world = read_only(World(*map(aligned, self.world)))
        self._state, self._scratch = State(*map(aligned, self._state)), Scratch(*map(aligned, self._scratch))
        self._buffers = [Report(*map(aligned, report)) for report in self._buffers]
        self._report = self._buffers[current]

    # -------------------------------------------------------------------------------------------- reset and step

    def _nobody(self) -> np.ndarray:
        return np.zeros(self.num_envs, np.bool_)

    def _infos(self, report: Report) -> Infos:
        return Infos(report)

    def _advance(self, actions: np.ndarray, mode: int) -> None:
        second = self._report is self._buffers[0]
        packed = self._packed_with(second)
        if self._compiled is None or self._until_specialised == 0:
            self._compiled = self._compile(actions)
        if self.num_threads > 1:
            _check_fork(self.num_threads)
            numba.set_num_threads(self.num_threads)
        # From here on there is no way back: Ctrl-C comes before, or after the compiled code.
        self._report = self._buffers[second]
        self._until_specialised -= 1
        self._compiled(packed.address, actions, mode, self._starts)
        self._name_items()
        for n, columns in self._hidden:
            self._report.observations[:, n, columns] = 0
            if mode == STEP:
                self._report.final_observations[:, n, columns] = 0

    def _name_items(self) -> None:
        """Write which items the candidates and the recent items are into the observations, which no kernel does."""
        if not self._codes:
            return
        copies, active = self._state.copies, self._report.agents["active"][:, :, None]
        views = np.arange(self.num_agents) if self.shape.views > 1 else np.zeros(self.num_agents, np.int64)
        consumed = self._state.recent["item"][np.arange(self.num_envs)[:, None], copies["row"][:, None], views]
        items = {"candidate_ids": self._state.candidates, "recent_ids": consumed[:, :, : self.shape.recent]}
        for name, codes in self._codes.items():
            found = codes[np.where(active, items[name] + 1, 0)]
            self._report.observations[..., self.layout.columns(name)] = found.reshape(*found.shape[:2], -1)

    def _replace_state(self, arrays: dict[str, np.ndarray]) -> None:
        self._packed = [None, None]  # first, so that an interrupt leaves no addresses of arrays that are gone
        self._state = self._state._replace(**arrays)

    def _free_memory(self) -> tuple[int | None, str]:
        return available(), "in memory"

    def _packed_with(self, second: bool) -> Any:
        """Our arrays, with the first or second report, as compiled code takes them."""
        if self._packed[second] is None:
            from ..kernels.machine.packed import PackedArrays

            self._packed[second] = PackedArrays(self.world, self._state, self._buffers[second], self._scratch)
        return self._packed[second]

    def _compile(self, actions: np.ndarray) -> Any:
        """The step for arrays like ours."""
        from ..kernels.machine.threads import compiled_step

        kinds = self._kinds(specialised=self._until_specialised <= 0)
        return compiled_step(kinds, actions, self._starts, self.num_threads)

    def _kinds(self, specialised: bool = False) -> Any:
        """The type of our packed arrays, of all worlds or of this one alone."""
        from ..kernels.machine.packed import PackedArraysType
        from ..kernels.machine.pointers import typeof
        from ..kernels.machine.specialize import specialised_type

        world = specialised_type(self.world) if specialised else typeof(self.world)
        return PackedArraysType(world, *map(typeof, (self._state, self._report, self._scratch)))

    # -------------------------------------------------------------------------------------------- rollouts

    def _roll_out(
        self, actors_for: Callable[[int], Sequence[Any]], ticks: int, own: np.ndarray, rewards: np.ndarray
    ) -> int:
        """Play at most `ticks` ticks with compiled policies, and add rewards [B, N] to these arrays.

        `actors_for` gets the number of ticks to be played and returns the actor of each agent.

        Returns:
            the number of ticks that were played.
        """
        self._require_reset("rollout()")
        from ..kernels.machine.packed import PackedArrays

        ticks = self._make_room(ticks)
        actors, actions = actors_for(ticks), self._actions.empty()
        held = [PackedArrays(actor.arrays) for actor in actors]
        addresses = np.array(
            [(self._actor_address(actor), packed.address) for actor, packed in zip(actors, held, strict=True)]
        )
        hidden = [(n, *columns.indices(self._report.observations.shape[2])) for n, columns in self._hidden]
        bounds = self._actions.low, self._actions.highest
        arguments = (
            *(self._step_address(), addresses, ticks, bounds),
            *(np.array(hidden, np.int64).reshape(-1, 4), self._starts, actions, own, rewards),
        )
        roll = self._made.get("play") or self._compile_play(arguments)
        packed = self._packed_with(self._report is self._buffers[1])
        if self._ticks_with_room < ticks:
            raise RuntimeError(
                "a policy stepped, reset or restored the batch of the rollout while it was asked to act; it must not"
            )
        self._ticks_with_room -= ticks
        self._torn = True  # until all copies have come to the same tick
        self._moves += 1
        outside = roll(packed.address, *arguments)
        if outside >= 0:
            width = self._actions.highest.size
            self._actions.reject(outside, actions.reshape(-1, width)[outside // width])
        self._torn = False
        if self._until_specialised > 0:
            self._until_specialised = max(self._until_specialised - ticks, 0)
        return ticks

    def _step_address(self) -> int:
        """The address of the step, for all worlds or for this one alone."""
        from ..kernels.machine.addresses import address_for
        from ..kernels.step import run

        specialised = self._until_specialised <= 0
        if ("step", specialised) not in self._made:
            kinds = self._kinds(specialised), numba.typeof(self._actions.empty()), numba.int64
            self._made["step", specialised] = address_for(run, *kinds, numba.typeof(self._starts))
        return int(self._made["step", specialised])

    def _actor_address(self, actor: Any) -> int:
        """The address of the function of a compiled policy (`policies.compiled.Actor`)."""
        from ..kernels.machine.addresses import address_for
        from ..kernels.machine.packed import PackedArraysType
        from ..kernels.machine.pointers import typeof

        key = actor.function, typeof(actor.arrays)
        if key not in self._made:
            int64, chunk, actions = numba.int64, numba.typeof(self._starts), numba.typeof(self._actions.empty())
            arrays = self._kinds(), PackedArraysType(key[1])
            self._made[key] = address_for(actor.function, *arrays, int64, int64, chunk, actions)
        return int(self._made[key])

    def _compile_play(self, arguments: Sequence[Any]) -> Any:
        from ..kernels.machine.compiler import compiled_for
        from ..kernels.rollout import play

        self._made["play"] = compiled_for(self._kinds(), play, *arguments)
        return self._made["play"]

    # -------------------------------------------------------------------------------------------- views

    @property
    def world(self) -> World:  # type: ignore[override]
        """Read-only arrays of items and users. Assigning a `World` of the same shapes replaces it in all copies."""
        return self._world

    @world.setter
    def world(self, world: World) -> None:
        if "_world" in vars(self):
            check_world(world, self._world, self.shape)
            if any(array.flags.writeable for array in world):  # another type to compiled code
                world = read_only(World(*map(aligned, world)))
        self._world = world
        self._compiled, self._packed, self._made = None, [None, None], {}
        for made_of_it in ("world_digest", "texts", "requests"):
            vars(self).pop(made_of_it, None)

    @property
    def arrays(self) -> State:
        """All arrays of the game's state, in the engine's own layout, for compiled code.

        Get them again after each step: when more users have come than the arrays have rows for, larger ones replace
        them. Other code reads `next_page`, `latent_users`, `utilities` and `inclusive_values`. Do not write to them.
        """
        return self._state

    @property
    def report(self) -> Report:
        """The arrays of the last reset, step or restore, from which infos, observations and rewards are taken.

        They are meant for compiled code, like `arrays`. Do not write to them.
        """
        return self._report

    def output_arrays(self) -> list[np.ndarray]:
        """Return the arrays behind everything that `reset` and `step` return, of both alternating sets."""
        return [array for report in self._buffers for array in report]

    def prices_at(
        self, items: np.ndarray, tick: int, multipliers: np.ndarray | float = 1.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return prices of items [I] at a tick, after promotion and in mean list prices, and whether each is promoted.

        Args:
            tick: 0 to the horizon.
            multipliers: [I] factors by which an agent multiplies the prices (`infos["price_multiplier"]`), or one
                number for all.

        Raises:
            ValueError, TypeError: there is no such item or tick, or multipliers are not positive or have another shape.
        """
        from ..kernels.page import read_prices

        which = self._items(items)
        check_count("tick", tick, 0, self.config.horizon)
        factors = as_numbers("multipliers", multipliers)
        if factors.shape not in ((), which.shape) or (factors.size and factors.min() <= 0):
            raise ValueError(
                f"multipliers = {shown(multipliers)} must be one positive number, or one for each of {len(which)} items"
            )
        prices, promoted = np.zeros(len(which)), np.zeros(len(which), np.bool_)
        read_prices(self.world, which, int(tick), prices, promoted)
        return prices * factors, promoted

    def _items(self, items: Any) -> np.ndarray:
        """Items [I], as compiled code takes them."""
        which = as_indices("items", items, self.shape.items)
        if which.ndim != 1:
            raise ValueError(f"items = {shown(items)} of shape {which.shape} must be a list of items, [I]")
        return which

    def purchase_values(self, items: np.ndarray, paid: np.ndarray) -> np.ndarray:
        """Return the reward values of purchases of items [I] at paid prices [I], which are in mean list prices.

        The values [I] are in mean margins, and are multiplied by the weight of a purchase.

        Raises:
            ValueError, TypeError: there is no such item, or the prices are not one number of at least 0 for each.
        """
        from ..kernels.page import read_purchase_values

        which, prices = self._items(items), as_numbers("paid", paid)
        if prices.shape != which.shape or (prices.size and prices.min() < 0):
            raise ValueError(f"paid = {shown(paid)} must be one price of 0 or more for each of {len(which)} items")
        values = np.zeros(len(which))
        read_purchase_values(self.world, which, prices.astype(np.float64), values)
        return values

    def public_items(self) -> dict[str, np.ndarray]:
        """Return the public statistics of items at the page about to be shown.

        `world.items` and `world.item_vectors` hold what does not change.

        Returns:
            arrays [B, M]: price (after promotion, in mean list prices), promoted (bool), available (bool), stock (units
            left, -1 = unlimited), age (ticks since its availability window opened, 0 without windows), popularity
            (decayed clicks on all agents' slots), ctr and satisfaction (as in the features of candidates).

        Raises:
            RuntimeError: before the first `reset`.
        """
        from ..kernels.page import read_items

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
        """Item ids [B, N, C] of the candidates for the page about to be shown, -1 = none.

        They have no meaning where an agent is inactive. This is a read-only view, which the next step overwrites.
        """
        return _read_only(self._state.candidates)

    @property
    def tick(self) -> np.ndarray:
        """Ticks [B] played in the current episode: a read-only view, which the next step overwrites."""
        return _read_only(self._state.copies["tick"])

    @property
    def next_user_slots(self) -> np.ndarray:
        return _read_only(self._state.copies["visitor"])

    # -------------------------------------------------------------------------------------------- latent views
    # What no agent is told: for oracles, metrics, replays and analyses. Copies, which may be kept.

    @property
    def next_page(self) -> np.ndarray:
        """Records [B] (`arrays.COPY`) of the page about to be shown: `tick`; `visitor`, the slot of its user, -1 in an
        idle tick; `intent`, a topic; `scene`; `anchor`, the item that led to the scene, -1 = none; `opened`, the agent
        of a rival page; `session_page`, 0 on the first of a session."""
        return self._state.copies.copy()

    def latent_users(self, user_slots: np.ndarray | int | None = None) -> dict[str, np.ndarray]:
        """Return the latent variables of one user of each copy.

        Args:
            user_slots: [B] slots of the users, or one for all copies; None = the users whose page is about to be shown
                (in an idle tick the user in slot 0). Of a user who has not come in this episode everything is 0, and
                no item is in the cart.

        Returns:
            incarnation [B]: number of people who held this slot before; group, mood [B]; sessions [B] that the person
            has begun; last_visit [B]: tick of the last page before this session, -1 = none; satisfaction,
            price_sensitivity [B]; wallet [B]: money in mean list prices, infinite where it is unlimited; taste [B,
            D], satiation [B, T], trust [B, N]: p_u, s_u, tau_u; cart_item, cart_agent [B, Q]: items in the cart and the
            agents that are credited, oldest first, -1 = none.

        Raises:
            RuntimeError: before the first `reset`.
            IndexError: a user slot is not below the number of users.
            ValueError, TypeError: `user_slots` are not slots of users.
        """
        from ..kernels.page import read_wallets

        self._require_reset("latent_users()")
        state, shape, at = self._state, self.shape, self.world.params["shape"][0]
        if user_slots is None:
            user_slots = np.maximum(state.copies["visitor"], 0)
        which = self._user_slots(user_slots, self.num_envs)
        copies, wallet = np.arange(self.num_envs), np.zeros(self.num_envs)
        users = state.users[copies, which]
        come = has_come(users, state.copies)
        vectors, carts = (array[copies, np.where(come, users["row"], 0)] for array in (state.vectors, state.carts))
        read_wallets(self.world, state, which, wallet)
        for array in (users, vectors, wallet):
            array[~come] = 0
        filled = np.arange(shape.cart) < users["cart"][:, None]
        parts = {"taste": shape.dims, "satiation": shape.topics, "trust": shape.agents}
        return {
            **{name: users[name].copy() for name in ("incarnation", "group", "mood", "sessions", "last_visit")},
            "satisfaction": users["satisfaction"].copy(),
            "price_sensitivity": users["rho"].copy(),
            "wallet": wallet,
            **{name: vectors[:, at[name] : at[name] + size] for name, size in parts.items()},
            **{f"cart_{name}": np.where(filled, carts[name], -1) for name in ("item", "agent")},
        }

    def _user_slots(self, user_slots: Any, num_envs: int) -> np.ndarray:
        """Return a user slot for each copy [num_envs], given one for all or one for each.

        Raises:
            IndexError, ValueError, TypeError: as of `latent_users`.
        """
        which = as_indices("user_slots", user_slots, self.shape.users, IndexError)
        if which.shape not in ((), (num_envs,)):
            raise ValueError(
                f"user_slots = {shown(user_slots)} of shape {which.shape} must be one for all copies, "
                f"or one for each of the {num_envs}"
            )
        return np.array(np.broadcast_to(which, num_envs))

    @property
    def utilities(self) -> np.ndarray:
        """Utility v [B, N, K] of each slot of the last page; it has no meaning at a hole."""
        return self._report.slots["utility"].copy()

    @property
    def inclusive_values(self) -> np.ndarray:
        """Inclusive value lambda I_n + trust [B, N] of each agent's slots on the last page, in utils.

        It is -inf where an agent showed nothing.
        """
        return self._state.inclusive.copy()

    # -------------------------------------------------------------------------------------------- global state

    def _states(self) -> np.ndarray:
        return self._written("global_state")

    def _final_states(self) -> np.ndarray:
        return self._written("final_state")

    def _written(self, entry: str) -> np.ndarray:
        """States [B, S] as an entry of `kernels.step` writes them."""
        rows = np.empty((self.num_envs, *self.state_space.shape), np.float32)
        write = self._made.get(entry) or self._compile_writer(entry, rows)
        write(self._packed_with(self._report is self._buffers[1]).address, self._private, rows)
        return rows

    def _compile_writer(self, entry: str, rows: np.ndarray) -> Any:
        from ..kernels import step
        from ..kernels.machine.compiler import compiled_for

        self._made[entry] = compiled_for(self._kinds(), getattr(step, entry), self._private, rows)
        return self._made[entry]

    # -------------------------------------------------------------------------------------------- expect, explain

    def expected_feedback(self, actions: Any) -> dict[str, np.ndarray]:
        """Return the exact expectations of the page about to be shown, given a joint action; nothing changes.

        Returns:
            click, cart, purchase: probabilities [B, N, K] of each slot (purchase: instant ones);
            individual_reward [B, N]: expected own reward of this step, including purchases of earlier cart items;
            objectives [B, N]: reward for diversity, novelty and fairness of the page, which is certain;
            reward [B, N]: their sum after sharing.
        """
        from ..kernels.expected import expect

        self._require_reset("expected_feedback()")
        read = self._actions.read(actions)
        b, n, k = self.num_envs, self.num_agents, self.config.slots
        state, report = self._spare_state(), self._spare_report()
        click, cart = np.zeros((b, n, k)), np.zeros((b, n, k))
        own, objectives, reward = np.zeros((b, n)), np.zeros((b, n)), np.zeros((b, n))
        expect(self.world, state, report, self._scratch, read, click, cart, own, objectives, reward)
        purchase = cart if self.config.feedback.instant else np.zeros_like(cart)
        by_slot = {"click": click, "cart": cart, "purchase": purchase}
        return {**by_slot, "individual_reward": own, "objectives": objectives, "reward": reward}

    def _spare_state(self) -> State:
        """The state, with copies of the arrays that kernels write while they build a page."""
        written = ("messages", "price_levels", "inclusive", "windows", "window_clicks", "pages_served")
        return self._state._replace(**{name: getattr(self._state, name).copy() for name in written})

    def _spare_report(self) -> Report:
        """A copy of the report that kernels may overwrite, with the price multipliers and bids of an idle tick."""
        last = self._report
        agents, bids = last.agents.copy(), np.zeros_like(last.bids)
        agents["log_price_multiplier"] = 0.0
        return self._buffers[0]._replace(slots=last.slots.copy(), agents=agents, bids=bids)

    def explain(self, actions: Any) -> dict[str, Any]:
        """Explain the page about to be shown, given a joint action; nothing changes and nothing is drawn.

        Returns:
            item [B, N, K]: item in each slot, -1 = hole or not on the page; there all other values are 0;
            rank [B, N, K]: rank - 1 on the page, -1 = not on it;
            terms: name -> [B, N, K], in utils: intercept, taste, quality, bait, price (as the agent offers it),
                freshness, popularity, intent, context, satiation, repeat, partner;
            utility [B, N, K]: v, the sum of the terms;
            position [B, N, K]: log theta of the rank; theta multiplies the odds of a click;
            price_multiplier [B, N]: factor on the prices of the agent's slots, 1 = unchanged prices;
            slot_value, bid, payment [B, N]: in an auction what the slot is worth to each agent, what it bids and what
                it pays, else 0;
            trust [B, N]: contribution of trust to the utility of an agent on the page (0 on rival pages, where trust
            has already chosen the agent); outside [B]: v_0, the utility of no click, 0 in an idle tick; click [B, N,
            K]: probability of a click.

        Raises:
            RuntimeError: before the first `reset`.
            ValueError, TypeError: an action is outside its space.
        """
        from ..kernels.explain import TERMS, explain

        self._require_reset("explain()")
        read = self._actions.read(actions)
        state, report = self._spare_state(), self._spare_report()
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
            "price_multiplier": price_multipliers(report),
            **{info: report.bids[name].copy() for info, name in OF_BIDS.items()},
            "trust": trust,
            "outside": outside,
            "click": click,
        }


def _steps_until_specialised(specialize: Any, num_envs: int, num_agents: int) -> float:
    """Return how many steps a batch plays before its step is compiled for its world alone; infinity = all."""
    if not isinstance(specialize, (bool, np.bool_)) and not (isinstance(specialize, str) and specialize == "auto"):
        raise ValueError(f"specialize = {shown(specialize)} is not allowed; choose True, False or 'auto'")
    if not specialize:
        return math.inf
    if specialize == "auto" and num_envs < SPECIALISED:
        return -(-PAYS_OFF // (num_envs * num_agents))
    return 0


def _check_fork(threads: int) -> None:
    """Raise RuntimeError in a process that was forked after threads had started; the threading library would crash
    it."""
    started = _threads.setdefault("process", os.getpid())
    if started != os.getpid():
        raise RuntimeError(
            f"num_threads = {threads} is not possible here: this process was forked after threads had started; "
            "use num_threads=1, or start it by spawn"
        )


def _read_only(array: np.ndarray) -> np.ndarray:
    """A view that cannot be written through: the game is played in the array behind it."""
    view = array.view()
    view.flags.writeable = False
    return view


def checked_vector_env(envs: Any) -> VectorEnv:
    """The batch that plays its copies on the CPU, if it is one.

    Raises:
        TypeError: it is something else, such as a batch as some of its agents see it.
    """
    if isinstance(envs, VectorEnv):
        return envs
    if isinstance(envs, GameBatch) or not isinstance(envs, Batch):
        return checked_cpu_batch(envs)  # type: ignore[return-value]  # which says what it is
    held = "its batch" if hasattr(envs, "batch") else "one of its parts"
    raise TypeError(f"envs is a {type(envs).__name__}, not a VectorEnv; give {held}")
