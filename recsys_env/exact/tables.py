"""Computes the tables of a finite world with the engine's own functions.

A tick is split at its random draws (`kernels/outcomes.py`). Each row of the batch is one possible path through the
tick. At each draw a row is replaced by one row for each outcome, weighted by the outcome's probability.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np

from ..batch.vector import VectorEnv
from ..checks import check_count
from ..config import WorldConfig
from ..config.tasks import task_config
from ..kernels import outcomes
from ..kernels.expected import expect
from ..world.arrays import ROW_ARRAYS, State, allocate_report, allocate_scratch, allocate_state, with_rows
from .game import MarkovGame
from .states import StateReader, obstacles

NEVER = 2.0**-53  # the engine's uniform numbers have 53 bits, so less probable outcomes do not occur
_ROWS = 20_000  # rows of the batch at a time
_CONFIRMED_ROWS = 5_000  # rows that confirm the tables at one tick
_CONFIRMED = 32  # pages in a row that are played to confirm the tables, at ticks from the first to the last


def tabulate(task: str | WorldConfig, *, max_states: int = 1000, **overrides: Any) -> MarkovGame:
    """Return the Markov game of a finite world: P(s', r | s, a) for every reachable state.

    A state contains what determines the next state and the rewards: the agent whose page it is, and each user's mood or
    satisfaction, trust, satiation and habits, as far as the config gives them weight; in an auction also the budgets
    and the pages since their last refill. It also contains what agents themselves did and can observe: the prices of
    all agents at the visitor's last page (`price_levels`), or the price of the last page (`last_price`). A strategy can
    react to these prices, although nothing else depends on them; `MarkovGame.payoff_relevant` is the game without
    them. The table leaves out what else agents observe of the past (numbers of visits, clicks, popularity), which has
    no bounds, and of chance. The tick is not part of a state, so the game goes on for ever. Agents do not know their
    order on a shared page when they act, so the table averages over it.

    Args:
        task: name of a task, or a config; keywords override its fields.
        max_states: largest number of states that is allowed.

    Returns:
        the game; its `reader` finds the state of copies of the engine.

    Raises:
        ValueError: the world is infinite, and the message names what makes it so; or it is too large, and the message
            says how large; or some ticks that are played to confirm the tables contradict them.
        TypeError: `task` is neither a name nor a config.
    """
    check_count("max_states", max_states, 1, 10**6)
    config = task_config(task, overrides)
    found = list(obstacles(config))
    envs = VectorEnv(config)
    if config.action == "candidates" and (config.candidates.number > 1 or _inventory(envs) > 1):
        found.append(
            f"candidates.number = {config.candidates.number} are drawn from {_inventory(envs)} items; needed is "
            "action = 'items', or one candidate from an inventory of one item"
        )
    if envs.shape.price_ratios:
        found.append(
            f"the catalogue's {envs.shape.price_ratios} prices of each item make prices depend on the tick; needed is "
            "a catalogue without item_price_ratio"
        )
    if found:
        raise ValueError(f"this world has no finite table: {'; '.join(found)}")
    return _Builder(envs, max_states).build()


def _inventory(envs: VectorEnv) -> int:
    """Return the number of items in the largest inventory of an agent."""
    return int(envs.world.allowed.sum(1).max()) if envs.world.allowed.shape[1] else envs.shape.items


@dataclass
class _Rows:
    """Possible paths through ticks: the state and probability of each, and the tick that it belongs to."""

    state: State
    weight: np.ndarray  # [B]
    source: np.ndarray  # [B]

    def take(self, which: np.ndarray) -> _Rows:
        return _Rows(State(*(array[which] for array in self.state)), self.weight[which], self.source[which])

    def split(self, probability: np.ndarray) -> tuple[_Rows, np.ndarray, np.ndarray]:
        """Return a row for each outcome of a draw with these probabilities [B, outcomes], the row that it comes from,
        and the outcome."""
        # Contiguous arrays: for others the compiled code would be compiled once more.
        which, outcome = map(np.ascontiguousarray, np.nonzero(probability > NEVER))
        rows = self.take(which)
        rows.weight = rows.weight * probability[which, outcome]
        return rows, which, outcome

    @staticmethod
    def join(parts: list[_Rows]) -> _Rows:
        state = State(*(np.concatenate(arrays) for arrays in zip(*(part.state for part in parts), strict=True)))
        return _Rows(
            state, np.concatenate([part.weight for part in parts]), np.concatenate([part.source for part in parts])
        )

    def __len__(self) -> int:
        return len(self.weight)


class _Builder:
    """Explores a world from the start of an episode."""

    def __init__(self, envs: VectorEnv, max_states: int) -> None:
        self.envs, self.config, self.shape, self.world = envs, envs.config, envs.shape, envs.world
        self.max_states = max_states
        space: Any = envs.action_space
        sizes = [int(space.n)] if hasattr(space, "n") else space.nvec.tolist()
        self._check_size(math.prod(sizes))
        self.choices = np.array(list(itertools.product(*map(range, sizes))))  # [A, width]
        joint = list(itertools.product(range(len(self.choices)), repeat=self.shape.agents))
        self.joint = self.choices[np.array(joint)]  # [A^N, N, width]
        drawn = np.zeros(self.shape.users)  # probability of each user slot, from its alias table
        np.add.at(drawn, np.arange(self.shape.users), self.world.activity["probability"] / self.shape.users)
        np.add.at(drawn, self.world.activity["alias"], (1 - self.world.activity["probability"]) / self.shape.users)
        self.drawn = drawn
        self.orders = self._orders()

    def _check_size(self, actions: int) -> None:
        """Raise ValueError if a single state has too many pages to compute at a time."""
        agents, slots = self.shape.agents, self.shape.slots
        joint, orders = actions**agents, math.factorial(agents) ** slots if self._several_orders() else 1
        each = sum(array.nbytes for array in allocate_state(self.world, 1, rows=self.shape.users))
        size = joint * orders * each
        if size > _BYTES:
            raise ValueError(
                f"this world has {joint:,} joint actions ({actions} actions, {agents} agents) on {orders:,} orders of "
                f"the page, too many for tables: one state alone takes {size / 2**30:.3g} GiB, allowed is "
                f"{_BYTES / 2**30:g}"
            )

    def _several_orders(self) -> bool:
        return self.config.draws_order and len(self.config.scenes) == 1

    def _orders(self) -> np.ndarray:
        """Return every order [R, K, N] of a page that several agents share or bid for; all are equally probable."""
        agents, slots = self.shape.agents, self.shape.slots
        if not self._several_orders():
            return np.zeros((1, slots, agents), np.int32)
        rounds = list(itertools.permutations(range(agents)))
        return np.array(list(itertools.product(rounds, repeat=slots)), np.int32)

    def build(self) -> MarkovGame:
        """Explore all states, breadth first."""
        self.envs.reset(seed=0)
        users = self.shape.users
        held = {
            name: with_rows(array[:, :0], users) if name in ROW_ARRAYS else array.copy()
            for name, array in self.envs.arrays._asdict().items()
        }
        start = State(**held)
        outcomes.begin_world(self.world, start)
        reader = StateReader(self.envs, start)
        first = self._arrive(_Rows(start, np.ones(1), np.zeros(1, np.int64)))
        known: dict[bytes, int] = {}
        keys: list[np.ndarray] = []
        initial = self._enlist(first, reader, known, keys)
        entries: list[tuple[np.ndarray, ...]] = []  # state, joint action, next state, probability
        worth: list[np.ndarray] = []
        waiting = [self._distinct(first, initial, 0)]
        done = 0
        while waiting:
            states = waiting.pop(0)
            step = max(1, _ROWS // (len(self.joint) * len(self.orders)))
            for at in range(0, len(states), step):
                part = states.take(np.arange(at, min(at + step, len(states))))
                rows, of_pages = self._play(part)
                worth.append(of_pages)
                before = len(known)
                after = self._enlist(rows, reader, known, keys)
                source, joint = np.divmod(rows.source, len(self.joint))
                entries.append((done + at + source, joint, after, rows.weight))
                if len(known) > before:
                    waiting.append(self._distinct(rows, after, before))
            done += len(states)
        worths = np.concatenate(worth, axis=1)
        self._confirm(first, reader, known, worths)
        return self._tables(reader, np.array(keys), (first.weight, initial), entries, worths)

    def _confirm(self, rows: _Rows, reader: StateReader, known: dict[bytes, int], worths: np.ndarray) -> None:
        """Play some pages from the start, as if they were spread over the episode, and compare them with the pages of
        the same states in the tables.

        Raises:
            ValueError: they differ, so the states do not hold all that pages depend on.
        """
        joint, most = len(self.joint), max(1, _CONFIRMED_ROWS // (len(self.joint) * len(self.orders)))
        for tick in np.linspace(0, self.config.horizon - 1, _CONFIRMED).astype(int):
            keys = reader.keys(rows.state)
            numbers = np.array([known.get(key.tobytes(), -1) for key in keys])
            if (numbers < 0).any():
                self._contradicted(
                    f"{reader.names(keys[numbers < 0])[0]!r} is a state that other histories do not lead to"
                )
            last = len(rows) - 1 - np.unique(numbers[::-1], return_index=True)[1]  # of each state, another history
            chosen = last[np.linspace(0, len(last) - 1, min(len(last), most)).astype(int)]
            rows, numbers = rows.take(chosen), numbers[chosen]
            rows.state.copies["tick"] = tick
            pages = self._pages(rows)
            here = self._worth(pages, len(rows) * joint)
            there = worths[:, (numbers[:, None] * joint + np.arange(joint)).ravel()]
            errors = np.abs(here - there).max((0, 2))
            if (largest := errors.max()) > 1e-6:
                state = reader.names(reader.keys(rows.state))[int(errors.argmax()) // joint]
                self._contradicted(f"{state!r} leads to other pages at another time (a difference of {largest:.2g})")
            rows = self._follow(pages)

    @staticmethod
    def _contradicted(how: str) -> NoReturn:
        raise ValueError(
            f"this world has no finite table: {how}, so something depends on more than it declares in "
            "kernels/equations.py"
        )

    def _enlist(self, rows: _Rows, reader: StateReader, known: dict[bytes, int], keys: list[np.ndarray]) -> np.ndarray:
        """Return the number [B] of each row's state; new states get the next numbers."""
        found = reader.keys(rows.state)
        numbers = np.zeros(len(rows), np.int64)
        for i, key in enumerate(found):
            number = known.setdefault(key.tobytes(), len(known))
            if number == len(keys):
                keys.append(key)
            numbers[i] = number
        size = len(keys) * len(self.joint) * len(keys)
        if len(keys) > self.max_states or size > _ENTRIES:
            raise ValueError(
                f"this world has more than {min(len(keys), self.max_states)} states x {len(self.joint)} joint actions "
                f"(max_states = {self.max_states}, at most {_ENTRIES:.0e} table entries); values found of each part: "
                f"{reader.sizes(np.array(keys))}"
            )
        return numbers

    @staticmethod
    def _distinct(rows: _Rows, numbers: np.ndarray, least: int) -> _Rows:
        """Return a row for each state from number `least` on, in the order of their numbers."""
        values, which = np.unique(numbers, return_index=True)
        return rows.take(which[values >= least])

    # ------------------------------------------------------------------------------------------------ one tick

    def _play(self, states: _Rows) -> tuple[_Rows, np.ndarray]:
        """Return every path of a tick from these states, for each joint action, and what `_worth` says of the pages."""
        pages = self._pages(states)
        worth = self._worth(pages, len(states) * len(self.joint))
        return self._follow(pages), worth

    def _pages(self, states: _Rows) -> _Rows:
        """Return the pages that these states lead to: one for each joint action and each order of the agents."""
        rows = states.take(np.repeat(np.arange(len(states)), len(self.joint)))
        rows.weight, rows.source = np.ones(len(rows)), np.arange(len(rows))
        rows, _, order = rows.split(np.full((len(rows), len(self.orders)), 1 / len(self.orders)))
        rows.state.order[:] = self.orders[order]
        if len(self.config.scenes) > 1:  # the scene's owner has the page to itself
            rows.state.order[:] = self.world.scenes["owner"][rows.state.copies["scene"], None, None]
        return rows

    def _follow(self, pages: _Rows) -> _Rows:
        """Return every path from these pages to the next ones."""
        served = pages.state.copies["visitor"] >= 0
        stayed, left = self._serve(pages.take(np.flatnonzero(served)))
        arrived = self._arrive(_Rows.join([left, pages.take(np.flatnonzero(~served))]))
        return _Rows.join([stayed, arrived])

    def _worth(self, pages: _Rows, size: int) -> np.ndarray:
        """Return expected individual rewards, shared rewards and clicks [3, size, N], by the source of the pages."""
        sums = np.zeros((3, size, self.shape.agents))
        for total, values in zip(sums, self._expect(pages), strict=True):
            np.add.at(total, pages.source, pages.weight[:, None] * values)
        return sums

    def _actions(self, rows: _Rows) -> np.ndarray:
        return np.ascontiguousarray(self.joint[rows.source % len(self.joint)], np.int64)

    def _buffers(self, rows: _Rows) -> tuple[Any, Any]:
        return allocate_report(self.world, len(rows), 0), allocate_scratch(self.world, len(rows))

    def _expect(self, rows: _Rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the expected individual rewards, shared rewards and clicks [B, N] of the pages of these rows."""
        report, scratch = self._buffers(rows)
        slots = (len(rows), self.shape.agents, self.shape.slots)
        click, cart = np.zeros((2, *slots))
        individual, objectives, rewards = np.zeros((3, *slots[:2]))
        spent, actions = State(*(array.copy() for array in rows.state)), self._actions(rows)
        expect(self.world, spent, report, scratch, actions, click, cart, individual, objectives, rewards)
        return individual, rewards, click.sum(-1)

    def _serve(self, rows: _Rows) -> tuple[_Rows, _Rows]:
        """Show the pages of these rows; return the rows whose visitor stays, and the other rows."""
        report, scratch = self._buffers(rows)
        click = np.zeros((len(rows), self.shape.agents, self.shape.slots))
        outcomes.show_pages(self.world, rows.state, report, scratch, self._actions(rows), click)
        none = np.maximum(1 - click.sum((1, 2)), 0)
        each = click.reshape(len(rows), self.shape.agents * self.shape.slots)
        rows, _, clicked = rows.split(np.column_stack([each, none]))

        report, scratch = self._buffers(rows)
        items, cart, mood = np.zeros(len(rows), np.int64), np.zeros((len(rows), 2)), np.zeros((len(rows), 3))
        outcomes.take_effects(self.world, rows.state, report, scratch, self._actions(rows), clicked, items, cart, mood)
        rows, which, carted = rows.split(cart)
        rows, again, step = rows.split(mood[which])
        items, carted = items[which[again]], carted[again] > 0

        leaving = np.zeros((len(rows), 3))
        outcomes.move_moods(self.world, rows.state, step - 1, leaving)
        rows, which, left = rows.split(leaving)
        outcomes.end_pages(self.world, rows.state, left, items[which], carted[which])
        stays = left == outcomes.STAYS
        stayed = rows.take(np.flatnonzero(stays))
        outcomes.retrieve(self.world, stayed.state, allocate_scratch(self.world, len(stayed)))
        return stayed, rows.take(np.flatnonzero(~stays))

    def _arrive(self, rows: _Rows) -> _Rows:
        """Draw the next visitors of these rows, which have none."""
        rows, _, user_slots = rows.split(np.tile(self.drawn, (len(rows), 1)))
        accepts = np.zeros((len(rows), 2))
        outcomes.ask_users(self.world, rows.state, user_slots, accepts)
        rows, which, comes = rows.split(accepts)
        idle = rows.take(np.flatnonzero(comes == 0))
        come = np.flatnonzero(comes)
        rows, user_slots = rows.take(come), user_slots[which[come]]
        intents, opens = np.zeros((len(rows), self.shape.topics)), np.zeros((len(rows), self.shape.agents))
        outcomes.begin_sessions(self.world, rows.state, user_slots, intents, opens)
        rows, which, intent = rows.split(intents)
        rows.state.copies["intent"] = intent
        if self.config.opens_agent:
            rows, _, opened = rows.split(opens[which])
            rows.state.copies["opened"] = opened
        outcomes.retrieve(self.world, rows.state, allocate_scratch(self.world, len(rows)))
        return _Rows.join([rows, idle])

    # ------------------------------------------------------------------------------------------------ the tables

    def _tables(
        self,
        reader: StateReader,
        keys: np.ndarray,
        start: tuple[np.ndarray, np.ndarray],
        entries: list[tuple[np.ndarray, ...]],
        worths: np.ndarray,
    ) -> MarkovGame:
        """Return the game with its states in a readable order."""
        states, joint = len(keys), len(self.joint)
        order = reader.number(keys)
        state, action, after, weight = (np.concatenate(parts) for parts in zip(*entries, strict=True))
        transitions = np.zeros((states, joint, states))
        np.add.at(transitions, (state, action, after), weight)
        transitions /= transitions.sum(-1, keepdims=True)  # less improbable outcomes are left out
        initial = np.bincount(start[1], start[0], states)
        keys = keys[order]
        bare = reader.without_past(keys)
        relevant, classes = _numbered(bare)
        individual, shared = (
            np.ascontiguousarray(rewards.reshape(states, joint, -1)[order].transpose(2, 0, 1)) for rewards in worths[:2]
        )
        game = MarkovGame(
            states=reader.names(keys),
            agents=tuple(self.envs.possible_agents),
            actions=self._action_names(),
            transitions=np.ascontiguousarray(transitions[order][:, :, order]),
            rewards=shared,
            individual_rewards=individual,
            initial=(initial / initial.sum())[order],
            discount=self.config.discount,
            horizon=self.config.horizon,
            reader=reader,
            choices=self.choices,
            classes=classes if len(relevant) < states else None,
            class_names=reader.names(bare[relevant]) if len(relevant) < states else (),
        )
        return _with_mirror(game, keys)

    def _action_names(self) -> tuple[str, ...]:
        """Return X, Y, Z for up to three single actions; else the numbers of the action."""
        if len(self.choices) <= 3 and self.choices.shape[1] == 1:
            return tuple("XYZ"[: len(self.choices)])
        return tuple("-".join(map(str, choice)) for choice in self.choices.tolist())


_ENTRIES = 50_000_000  # of a table of transitions, 400 MB
_BYTES = 2**29  # of the copies of a state, one for each joint action and order of the page


def _numbered(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the index [C] of each distinct row of [S, W], where it comes first, and the number [S] of every row."""
    _, first, which = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    return first[order], np.argsort(order)[which.ravel()]


def _with_mirror(game: MarkovGame, keys: np.ndarray) -> MarkovGame:
    """Add the mirror to a game whose two agents are alike in everything."""
    if len(game.agents) != 2 or game.reader is None:
        return game
    try:
        mirror = game.reader.mirror(keys)
    except ValueError:
        return game
    actions = len(game.actions)
    swap = np.arange(actions**2).reshape(actions, actions).T.ravel()
    same = np.allclose(game.transitions[mirror][:, swap][:, :, mirror], game.transitions, atol=1e-12)
    same = same and np.allclose(game.rewards[::-1, mirror][:, :, swap], game.rewards, atol=1e-12)
    return replace(game, mirror=mirror) if same else game
