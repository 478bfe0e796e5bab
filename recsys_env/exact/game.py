"""A finite Markov game as tables: M = {S, A, P(s', r | s, a)}, for any number of agents."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import array_of, check_count, is_number, is_sequence, shown

Policies = Sequence[np.ndarray] | np.ndarray  # one for each agent

if TYPE_CHECKING:
    from ..batch.vector import VectorEnv
    from .states import StateReader


_ONLY_TABLES = "this game was not made from a task, so no engine plays it"


def _array(value: Any) -> np.ndarray:
    """Return the value as an array, of objects if its rows have different lengths."""
    try:
        return array_of(value)
    except ValueError:
        return np.asarray(None)


def is_list(value: Any) -> bool:
    """Whether the value is a sequence or an array with at least one dimension; texts and bytes are not."""
    return is_sequence(value) or (isinstance(value, np.ndarray) and value.ndim > 0)


def checked_numbers(name: str, value: Any, shape: tuple[int | None, ...]) -> np.ndarray:
    """Return the value as an array of numbers of this shape; None stands for any size but 0.

    Raises:
        TypeError: it contains something else than numbers.
        ValueError: it has another shape, or numbers that are not finite.
    """
    array = _array(value)
    sizes = ", ".join("any" if size is None else str(size) for size in shape)
    wanted = f"finite numbers [{sizes}]"
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name} = {shown(value)} must be {wanted}")
    fits = [n == size or (size is None and n > 0) for n, size in zip(array.shape, shape, strict=False)]
    if array.ndim != len(shape) or not all(fits):
        raise ValueError(f"{name} = {shown(value)} has shape {list(array.shape)}, but must be {wanted}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} = {shown(value)} must be {wanted}; {shown(array[~np.isfinite(array)][0])} is none")
    return array


def checked_discount(name: str, value: Any) -> float:
    """Return the discount if it is a number in [0, 1).

    Raises:
        TypeError: it is not a number.
        ValueError: it is outside this range.
    """
    if not is_number(value):
        raise TypeError(f"{name} = {shown(value)} must be a number in [0, 1)")
    if not 0 <= value < 1:
        raise ValueError(f"{name} = {shown(value)} is out of range; allowed is [0, 1)")
    return float(value)


def checked_game(game: Any) -> MarkovGame:
    """Return the game if it is a `MarkovGame`.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(game, MarkovGame):
        raise TypeError(f"game = {shown(game)} must be a MarkovGame, such as tabulate(task) returns")
    return game


@dataclass(frozen=True, eq=False)
class MarkovGame:
    """A finite Markov game (Shapley 1953); with one agent a Markov decision process.

    All agents have the same actions. A joint action is one number: `joint_actions[a]` are the actions of its agents,
    where the last agent's action varies fastest.

    Raises:
        TypeError: names are not texts, or tables are not numbers.
        ValueError: sizes do not fit together, or numbers are out of range.
    """

    states: tuple[str, ...]  # S readable names
    agents: tuple[str, ...]  # N
    actions: tuple[str, ...]  # A, of each agent
    transitions: np.ndarray  # P[S, A^N, S]: probability of the next state
    rewards: np.ndarray  # R[N, S, A^N]: expected reward of each agent, after sharing
    individual_rewards: np.ndarray  # [N, S, A^N]: the same before sharing; the score of a team is their sum
    initial: np.ndarray  # [S]: probability that an episode starts there
    discount: float = 0.997  # recommended, per tick
    horizon: int = 1000  # ticks of an episode
    mirror: np.ndarray | None = None  # [S]: each state with two agents exchanged; None if they are not alike
    reader: StateReader | None = None  # which state a copy of the engine is in; None for a game that is only tables
    choices: np.ndarray | None = None  # [A, K]: each action as the engine takes it
    classes: np.ndarray | None = None  # [S]: the state of `payoff_relevant` that each state is; None: it is the same
    class_names: tuple[str, ...] = ()  # C names of these

    def __post_init__(self) -> None:
        for name in ("states", "agents", "actions", "class_names"):
            words = getattr(self, name)
            if not isinstance(words, tuple) or not all(isinstance(word, str) for word in words):
                raise TypeError(f"MarkovGame: {name} = {shown(words)} must be a tuple of names")
            if (not words and name != "class_names") or len(set(words)) < len(words):
                raise ValueError(f"MarkovGame: {name} = {shown(words)} must be different names, one or more")
        s, n, actions = len(self.states), len(self.agents), len(self.actions)
        joint = actions**n
        shapes = {"transitions": (s, joint, s), "initial": (s,)}
        shapes |= dict.fromkeys(("rewards", "individual_rewards"), (n, s, joint))
        for name, shape in shapes.items():
            self._check_table(name, shape)
        self._check_sums("transitions", self.transitions)
        self._check_sums("initial", self.initial)
        checked_discount("MarkovGame: discount", self.discount)
        check_count("MarkovGame: horizon", self.horizon, 1, 10**8)
        self._check_numbers("mirror", s)
        self._check_numbers("classes", len(self.class_names))
        if self.classes is None and self.class_names:
            raise ValueError(f"MarkovGame: class_names = {shown(self.class_names)} need classes")
        if self.choices is not None:
            self._check_table("choices", (actions, None), "iu")
            sizes = [int(most) + 1 for most in self.choices.max(0)]
            if math.prod(sizes) != actions or self.choices.tolist() != [*map(list, np.ndindex(*sizes))]:
                raise ValueError(
                    f"MarkovGame: choices = {shown(self.choices.tolist())} must be all combinations of one number from "
                    "0 on for each slot, of which the last one's changes fastest"
                )
        if self.reader is not None and not hasattr(self.reader, "states"):
            raise TypeError(f"MarkovGame: reader = {shown(self.reader)} must be a StateReader or None")

    def _check_table(self, name: str, shape: tuple[int | None, ...], kinds: str = "iuf") -> None:
        """Raise TypeError or ValueError unless this is an array of finite numbers of the shape."""
        table = getattr(self, name)
        if not isinstance(table, np.ndarray) or table.dtype.kind not in kinds:
            what = "whole numbers" if kinds == "iu" else "numbers"
            raise TypeError(f"MarkovGame: {name} = {shown(table)} must be an array of {what}")
        if table.dtype.kind == "f" and table.dtype.itemsize not in (4, 8):  # linear algebra takes no others
            raise TypeError(f"MarkovGame: {name} of dtype {table.dtype} must be of float32 or float64")
        checked_numbers(f"MarkovGame: {name}", table, shape)

    def _check_sums(self, name: str, table: np.ndarray) -> None:
        """Raise ValueError unless the rows are probabilities."""
        wrong = (np.abs(table.sum(-1) - 1) > 1e-9) | (table < 0).any(-1)
        if wrong.any():
            index = tuple(int(i) for i in np.argwhere(wrong)[0])
            where = f"{name}[{', '.join(map(str, index))}]" if index else name
            raise ValueError(
                f"MarkovGame: {where} = {shown(table[index].tolist())} must be probabilities that sum to 1"
            )

    def _check_numbers(self, name: str, count: int) -> None:
        """Raise unless there are none of these numbers of states [S], or each below a count at least once."""
        numbers = getattr(self, name)
        if numbers is None:
            return
        self._check_table(name, (len(self.states),), "iu")
        if set(numbers.tolist()) != set(range(count)):
            raise ValueError(
                f"MarkovGame: {name} = {shown(numbers.tolist())} must hold each number below {count}, and no other"
            )

    @property
    def joint_actions(self) -> np.ndarray:
        """Actions [A^N, N] of every joint action."""
        return np.array(list(itertools.product(range(len(self.actions)), repeat=len(self.agents))))

    @cached_property
    def payoff_relevant(self) -> MarkovGame:
        """The game of C states without the part of the past on which no transition and no reward depends.

        Markov perfect equilibria consist of its stationary strategies (Maskin & Tirole 2001), because the best response
        to such a strategy needs no more. If the table contains nothing else, this is the game itself.
        """
        if self.classes is None:
            return self
        first = np.unique(self.classes, return_index=True)[1]
        into = np.eye(len(first))[self.classes]  # [S, C]
        return replace(
            self,
            states=self.class_names,
            transitions=self.transitions[first] @ into,
            rewards=self.rewards[:, first],
            individual_rewards=self.individual_rewards[:, first],
            initial=self.initial @ into,
            mirror=None if self.mirror is None else self.classes[self.mirror[first]],
            reader=None,
            classes=None,
            class_names=(),
        )

    def lift(self, policy: np.ndarray) -> np.ndarray:
        """Extend a policy [C] or [C, A] of `payoff_relevant` to this game, [S] or [S, A]."""
        policy = self.payoff_relevant.checked_policy(policy)
        return policy if self.classes is None else policy[self.classes]

    def checked_policy(self, policy: Any, name: str = "policy") -> np.ndarray:
        """Return the policy if it is valid in this game: actions [S], or distributions over actions [S, A].

        Raises:
            TypeError: it is not an array of numbers.
            ValueError: it has another shape, an action does not exist, or a row does not sum to 1.
        """
        shape = len(self.states), len(self.actions)
        wanted = f"actions below {shape[1]} [{shape[0]}] or distributions {list(shape)}"
        array = _array(policy)
        given = shown(array.tolist() if isinstance(policy, np.ndarray) else policy)
        if array.dtype.kind not in "iuf":
            raise TypeError(f"{name} = {given} must be {wanted}")
        if array.shape == shape[:1] and array.dtype.kind in "iu" and ((array >= 0) & (array < shape[1])).all():
            return array
        if array.shape == shape and (array >= 0).all() and (np.abs(array.sum(1) - 1) < 1e-8).all():
            return array
        raise ValueError(f"{name} = {given} must be {wanted}")

    def mixed(self, policy: Any, name: str = "policy") -> np.ndarray:
        """Return a policy as distributions [S, A], with the errors of `checked_policy`."""
        array = self.checked_policy(policy, name)
        return np.eye(len(self.actions))[array] if array.ndim == 1 else array

    def checked_policies(self, policies: Any, but: int | None = None) -> list[Any]:
        """Return one valid policy for each agent; that of agent number `but` may be None.

        Raises:
            TypeError: they are not a sequence.
            ValueError: their number is wrong, or one is not valid in this game.
        """
        if not is_list(policies):
            raise TypeError(f"policies = {shown(policies)} must be a sequence of policies, one for each agent")
        if len(policies) != len(self.agents):
            raise ValueError(
                f"policies = {shown(policies)} are {len(policies)}, but must be one for each of the "
                f"{len(self.agents)} agents"
            )
        return [
            None if n == but and p is None else self.checked_policy(p, f"policies[{n}]") for n, p in enumerate(policies)
        ]

    def states_of(self, envs: VectorEnv) -> np.ndarray:
        """Return the number [B] of the state that each copy of a batch of this task is in.

        Raises:
            TypeError: `envs` is not a batch.
            ValueError: the game consists of tables only, or a copy is in none of its states.
            RuntimeError: the batch has not been reset.
        """
        if self.reader is None:
            raise ValueError(_ONLY_TABLES)
        from ..batch.vector import VectorEnv  # the tables alone need no engine

        if not isinstance(envs, VectorEnv):
            raise TypeError(f"envs = {shown(envs)} must be a batch, such as vector_env(task, copies) returns")
        envs._require_reset("states_of()")
        return self.reader.states(envs.arrays)

    def engine_actions(self, actions: np.ndarray) -> np.ndarray:
        """Convert actions [...] of the table to those of the engine: [...] for one slot, [..., K] for slates.

        Raises:
            TypeError: they are not integers.
            ValueError: the game consists of tables only, or has no such action.
        """
        if self.choices is None:
            raise ValueError(_ONLY_TABLES)
        actions = _integers("actions", actions)
        if ((actions < 0) | (actions >= len(self.choices))).any():
            raise ValueError(f"actions = {shown(actions.tolist())} must be whole numbers below {len(self.choices)}")
        chosen = self.choices[actions]
        return chosen[..., 0] if self.choices.shape[1] == 1 else chosen

    def table_actions(self, actions: np.ndarray) -> np.ndarray:
        """Convert actions of the engine to those of the table, as the inverse of `engine_actions`, with its errors."""
        if self.choices is None:
            raise ValueError(_ONLY_TABLES)
        actions = _integers("actions", actions)
        sizes, slots = tuple(self.choices.max(0) + 1), self.choices.shape[1]
        columns = actions[..., None] if slots == 1 else actions
        if columns.ndim == 0 or columns.shape[-1] != slots or ((columns < 0) | (columns >= sizes)).any():
            single = "" if slots == 1 else f" [..., {slots}]"
            raise ValueError(f"actions = {shown(actions.tolist())} must be whole numbers{single} below {max(sizes)}")
        return np.ravel_multi_index(tuple(np.moveaxis(columns, -1, 0)), sizes)

    def label(self, policy: np.ndarray) -> str:
        """Return a pure policy [S] as one word with the action of each state in turn, as in YXX.

        If the policy does not react to irrelevant parts of the past, the states are those of `payoff_relevant`.

        Raises:
            TypeError, ValueError: it is not a pure policy of this game.
        """
        policy = self.checked_policy(policy)
        if policy.ndim > 1:
            raise ValueError(
                f"policy = {shown(policy.tolist())} must be pure, an action for each state, to have a label"
            )
        if self.classes is not None and self.is_markov(policy):
            policy = policy[np.unique(self.classes, return_index=True)[1]]
        words = [self.actions[action] for action in policy]
        return ("" if max(map(len, self.actions)) == 1 else " ").join(words)

    def policy(self, label: str) -> np.ndarray:
        """Return the pure policy [S] of a label.

        Raises:
            TypeError: it is not a text.
            ValueError: it does not name an action for each state, or for each state of `payoff_relevant`.
        """
        if not isinstance(label, str):
            raise TypeError(
                f"label = {shown(label)} must be a text, such as {self.label(np.zeros(len(self.states), int))!r}"
            )
        words = list(label) if max(map(len, self.actions)) == 1 else label.split()
        counts = dict.fromkeys((len(self.payoff_relevant.states), len(self.states)))
        if len(words) not in counts or not set(words) <= set(self.actions):
            raise ValueError(
                f"policy {shown(label)} must name one of the actions {', '.join(self.actions)} "
                f"for each of the {' or '.join(map(str, counts))} states"
            )
        numbers = np.array([self.actions.index(word) for word in words])
        return numbers if len(words) == len(self.states) else self.lift(numbers)

    def is_markov(self, policy: np.ndarray) -> bool:
        """Whether a policy, [S] or [S, A], depends on nothing but the states of `payoff_relevant`."""
        policy = self.checked_policy(policy)
        if self.classes is None:
            return True
        first = np.unique(self.classes, return_index=True)[1]
        return bool((policy == policy[first][self.classes]).all())

    def seen_by(self, agent: int, policy: np.ndarray) -> np.ndarray:
        """Reorder a policy [S] or [S, A] of agent 0 to the states as another agent sees them, its own first.

        The policy stays the same for agent 0, and if the agents are not alike.

        Raises:
            TypeError, ValueError: there is no such agent, or it is not a policy of this game.
        """
        check_count("agent", agent, 0, len(self.agents) - 1)
        policy = self.checked_policy(policy)
        return policy if self.mirror is None or agent == 0 else policy[self.mirror]

    def is_symmetric(self, policies: Policies) -> bool:
        """Whether two agents that are alike act alike in the same situation.

        Raises:
            TypeError, ValueError: these are not policies of this game.
        """
        first, *others = self.checked_policies(policies)
        return self.mirror is not None and bool(np.array_equal(first, self.seen_by(1, others[0])))


def _integers(name: str, value: Any) -> np.ndarray:
    """Return the value as an array of integers."""
    array = _array(value)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} = {shown(value)} must be whole numbers")
    return array


def textbook_example() -> MarkovGame:
    """Return a small Markov decision process: one agent, three states, actions X and Y, a reward for the next state.

    R(s, a) = sum over s' of P(s' | s, a) r(s'), r = (0, 1, 10). The immediate reward is highest for Y in s0 and for X
    in s2. In the long run X and Y are better there, because they lead to s1.
    """
    reward = np.array([0.0, 1.0, 10.0])
    transitions = np.array(
        [
            [[0.5, 0.5, 0.0], [0.8, 0.0, 0.2]],
            [[0.0, 0.5, 0.5], [0.5, 0.5, 0.0]],
            [[0.5, 0.0, 0.5], [0.0, 1.0, 0.0]],
        ]
    )
    expected = (transitions @ reward)[None]
    return MarkovGame(
        states=("s0", "s1", "s2"),
        agents=("recommender_0",),
        actions=("X", "Y"),
        transitions=transitions,
        rewards=expected,
        individual_rewards=expected,
        initial=np.array([1.0, 0.0, 0.0]),
        discount=0.9,
        horizon=100,
    )
