"""Replays: an episode as one HTML file that shows what all agents saw and did, and what only the simulator knows.

    python -m recsys_env watch --task ecommerce-v1 --policies content greedy --out episode.html

The file needs only a browser: no server and no network. `replay.html` beside this module draws it. Its data are columns
of numbers, one value or row for each tick, rounded to the visible precision, packed and compressed.
"""

from __future__ import annotations

import base64
import html
import json
import string
import zlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from .. import cli
from ..addresses import without_secrets
from ..api.focal import usual_background
from ..api.render import item_name, published, topic_name
from ..batch.infos import OF_BIDS, Infos
from ..batch.vector import VectorEnv
from ..checks import check_count, shown
from ..config import WorldConfig
from ..config.catalogue import Catalogue
from ..config.fields import candidate_features
from ..config.responses import LATER_SALE, NAMES, RESPONSES
from ..config.tasks import task_config
from ..files import check_writable, checked_path, replacing
from .episodes import Policies, begin_episodes, by_agent
from .surrogate import Options, Surrogate, can_explain, held_out_fidelity, list_page

# Bit 0, 1, ... of a slot's flags; the next one says that it is promoted. Other responses are columns of numbers.
FLAGS = tuple(response.name for response in RESPONSES if response.kind == "?")
_STEP = 1e-3  # the smallest difference between two numbers that is kept
_COARSE = {"observed": 1e-2, "taste": 1e-2, "satiation": 1e-2, "reason": 1e-2}  # and of those that are only drawn
_UNSEEN = ("candidates",)  # fields of an observation that are left out


def watch(
    task: str | WorldConfig | VectorEnv,
    policies: Policies | None = None,
    seed: int = 0,
    out: str | Path = "episode.html",
    *,
    ticks: int | None = None,
    title: str | None = None,
    catalogue: Catalogue | str | Path | None = None,
) -> Path:
    """Play an episode and write a file that replays it in a browser.

    Args:
        task, seed, catalogue: as in `episode_returns`.
        policies: as in `episode_returns`; None = `content`, or `creators-myopic` on a platform of creators.
        out: the HTML file; its folder is created. 2,000 ticks of any shipped task take less than 3 MB.
        ticks: number of ticks to play; None = the whole episode.
        title: title of the page; None = the task's name.

    Returns:
        the path of the file.

    Raises:
        ValueError, TypeError: as in `episode_returns`, or `ticks` is outside 1 .. horizon.
        OSError: the file cannot be written; nothing has been played then.
    """
    path = checked_path("out", out)
    if title is not None and not isinstance(title, str):
        raise TypeError(f"title = {shown(title)} must be a text or None")
    if policies is None:
        config = task.config if isinstance(task, VectorEnv) else task_config(task, {})
        policies = usual_background(config) if config.ranked else "content"
    envs, team, observations = begin_episodes(task, policies, 1, seed, catalogue=catalogue)
    horizon = envs.config.horizon
    if ticks is not None:
        check_count("ticks", ticks, 1, horizon)
    check_writable(path)
    episode, actions = _Episode(envs), envs.empty_actions()
    for _ in range(horizon if ticks is None else ticks):
        team.act(observations, actions)
        episode.before(actions)
        observations, _, _, truncated, infos = envs.step(actions)
        episode.after(infos, over=bool(truncated[0]))
        team.observe(infos, truncated)
    team.check()
    name = title or (task if isinstance(task, str) else "your own task")
    played = by_agent(envs.possible_agents, policies).values()
    named = [
        without_secrets(str(policy)) if isinstance(policy, str | Path) else type(policy).__name__ for policy in played
    ]
    head = {"title": name, "seed": seed, "policies": named, **episode.head()}
    with replacing(path) as new:
        new.write_text(_filled(head, episode.columns()), encoding="utf-8", errors="xmlcharrefreplace")
    return path


def command(
    task: str = "ecommerce-v1",
    policies: tuple[str, ...] | None = None,
    seed: int = 0,
    ticks: int | None = None,
    out: Path = Path("episode.html"),
) -> Path:
    """Play an episode and write one HTML file that replays it in a browser.

    Args:
        task: name of a task, optionally with changed fields: streaming-v1,observability=full.
        policies: one for all agents, or one for each agent in order: names, folders of trained policies,
            module:factory; or a mixed team agent=policy,agent=policy. By default `content`, or `creators-myopic` on a
            platform of creators.
        seed: seed of the episode and of the policies.
        ticks: number of ticks to play; by default the whole episode.
        out: the file.
    """
    (task,) = cli.known_tasks((task,))
    return watch(cli.config_of(task), policies, seed, out, ticks=ticks, title=task)


def show(path: Path) -> None:
    """Print the path of the replay."""
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB; open it in a browser")


class _Episode:
    """Records a batch of one copy, tick by tick: first the page about to be shown, then its outcome."""

    def __init__(self, envs: VectorEnv) -> None:
        self._envs = envs
        self._rows: dict[str, list[Any]] = {}  # column -> one value or row for each tick
        self._seen: set[int] = set()  # items
        self._events: list[list[Any]] = []  # tick, kind, item, agent, price, rating
        self._lost: list[int] = []  # ticks at which a visitor was lost
        self._fates: list[list[int]] = []  # tick, agent, slot of an impression that was carted; its outcome, and when
        self._in_cart: dict[int, dict[int, list[int]]] = {}  # user slot -> item -> tick, agent, slot
        self._page: Any = None  # `next_page` of the page about to be shown
        self._person: dict[str, Any] = {}  # `latent_users` of its visitor
        # by agent and tick: the options that it could show, if surrogate models are to explain the policies
        self._options: list[list[Options]] = [[] for _ in envs.possible_agents] if can_explain(envs) else []

    def before(self, actions: np.ndarray) -> None:
        """Record the page about to be shown with these actions: visitor, observations, slates, and their reasons."""
        envs = self._envs
        self._page = envs.next_page[0]
        self._person = {name: values[0] for name, values in envs.latent_users().items()}
        self._take_visitor()
        flat, _ = envs.flat(envs.observations)
        self._take(observed=np.concatenate([envs.field(flat[0], name) for name, _ in self._fields()], axis=-1).ravel())
        explained = envs.explain(actions)
        items = np.maximum(explained["item"][0].ravel(), 0).astype(np.int64)
        public = {name: values[0, items] for name, values in envs.public_items().items()}
        self._seen.update(int(j) for j in explained["item"].ravel() if j >= 0)
        for n, pages in enumerate(self._options):
            pages.append(list_page(envs, n, explained["item"][:, n]))
        self._take(
            item=explained["item"][0].ravel(),
            rank=explained["rank"][0].ravel(),
            price=public["price"] * np.repeat(explained["price_multiplier"][0], explained["item"].shape[2]),
            stock=public["stock"],
            flags=public["promoted"].astype(np.int64) << len(FLAGS),
            click=explained["click"][0].ravel(),
            trust_term=explained["trust"][0],
            outside=explained["outside"],
            active=envs.active[0],
            **{f"term {name}": values[0].ravel() for name, values in explained["terms"].items()},
        )

    def _take_visitor(self) -> None:
        envs, page, person = self._envs, self._page, self._person
        means = envs.state()[0]
        self._take(
            **{name: page[name] for name in ("visitor", "intent", "scene", "anchor", "opened", "session_page")},
            **{name: value for name, value in person.items() if name != "wallet"},
            wallet=person["wallet"] if envs.config.users.wallet_init and page["visitor"] >= 0 else 0.0,
            mean_satisfaction=means[envs.state_fields["mean_satisfaction"]],
            mean_trust=means[envs.state_fields["mean_trust"]],
        )
        self._seen.update(int(j) for j in (*person["cart_item"], page["anchor"]) if j >= 0)

    def after(self, infos: Infos, *, over: bool) -> None:
        """Record the outcome of the page."""
        flags = self._rows["flags"][-1]
        for bit, name in enumerate(FLAGS):
            flags |= infos[name][0].ravel().astype(np.int64) << bit
        amounts = {name: infos[name][0].ravel() for name in NAMES if name not in FLAGS}
        self._take(**amounts, individual_reward=infos["individual_reward"][0])
        if self._envs.config.auctioned:
            self._take(**{name: infos[name][0] for name in OF_BIDS})
        if self._envs.config.ranked:
            items = published(self._envs, int(self._page["tick"]))
            self._take(published=items)
            self._seen.update(int(j) for j in items if j >= 0)
        if self._page["visitor"] < 0:
            return
        tick, user_slot = int(self._page["tick"]), int(self._page["visitor"])
        in_cart = self._in_cart.setdefault(user_slot, {})
        for n, k in np.argwhere(infos["cart"][0] & ~infos["bought"][0]).tolist():
            in_cart[int(infos["shown"][0, n, k])] = [tick, n, k]
        sales = zip(*(infos[f"later_{name}"][0].tolist() for name in LATER_SALE), strict=True)
        for item, agent, price, rating in sales:
            if item >= 0:
                self._events.append([tick, "bought", item, agent, round(price, 2), rating])
                self._fates.append([*in_cart.pop(item), 1, tick])
        if not over:  # else the user slot belongs to the next episode already
            self._take_leave(tick, user_slot, in_cart)

    def _take_leave(self, tick: int, user_slot: int, in_cart: dict[int, list[int]]) -> None:
        """Record which items are no longer in the visitor's cart, and whether the visitor was lost."""
        person = self._envs.latent_users(user_slot)
        if person["incarnation"][0] != self._person["incarnation"]:
            self._lost.append(tick)
        kept = set(person["cart_item"][0].tolist())
        for item in [item for item in in_cart if item not in kept]:
            self._events.append([tick, "abandoned", item, in_cart[item][1], 0, 0])
            self._fates.append([*in_cart.pop(item), 0, tick])

    def _take(self, **values: Any) -> None:
        for name, value in values.items():
            self._rows.setdefault(name, []).append(np.array(value))

    def _fields(self) -> list[tuple[str, int]]:
        """Return name and size of the observation fields that are kept."""
        fields = self._envs.observation_fields.items()
        return [(name, columns.stop - columns.start) for name, columns in fields if name not in _UNSEEN]

    def columns(self) -> dict[str, np.ndarray]:
        """Return the recorded numbers: name -> [ticks, ...]."""
        columns = {name: np.stack(rows) for name, rows in self._rows.items()}
        return {**columns, **self._reasons(columns["item"]), "centres": self._envs.world.centres}

    def _reasons(self, shown: np.ndarray) -> dict[str, np.ndarray]:
        """Return what each feature contributes to each slot by the policy's surrogate model, [ticks, N K]."""
        names = candidate_features(self._envs.config, self._envs.shape)
        reasons = np.zeros((*shown.shape, len(names)))
        for n, (surrogate, pages) in enumerate(self._surrogates):
            slots = slice(n * self._envs.shape.slots, (n + 1) * self._envs.shape.slots)
            stands = (pages.items[:, None] == shown[:, slots, None]) & pages.there[:, None]
            found = np.take_along_axis(surrogate.contributions(pages), stands.argmax(2)[..., None], 1)
            reasons[:, slots] = found * stands.any(2)[..., None]
        return {f"reason {name}": reasons[..., f] for f, name in enumerate(names) if self._options}

    @cached_property
    def _surrogates(self) -> list[tuple[Surrogate, Options]]:
        """Fit a surrogate model of each agent's policy to all pages, after the last tick."""
        all_pages = [Options(*map(np.concatenate, zip(*pages, strict=True))) for pages in self._options]
        return [(Surrogate.fit(pages), pages) for pages in all_pages]

    def head(self) -> dict[str, Any]:
        """Return all other data of the replay: names, texts and sizes."""
        envs, config = self._envs, self._envs.config
        shape, world = envs.shape, envs.world
        return {
            "horizon": config.horizon,
            "ticks": len(self._rows["visitor"]),
            "agents": envs.possible_agents,
            "slots": shape.slots,
            "topics": [topic_name(envs, t) for t in range(shape.topics)],
            "scenes": [scene.name for scene in config.scenes],
            "page": config.page,
            "moods": len(config.choice.v_0_by_mood),
            "log_theta": np.round(world.log_theta, 4).tolist(),
            "items": {
                str(j): [item_name(envs, j), int(world.items["topic"][j]), round(float(world.items["price"][j]), 3)]
                for j in sorted(self._seen)
            },
            "fields": self._fields(),
            "stock": config.items.stock_init,
            "wallet": config.users.wallet_init,
            "cart": shape.cart,
            "flags": [*FLAGS, "promoted"],
            "responses": {r.name: [r.words, r.colour or "var(--faint)", r.unless] for r in RESPONSES if r.words},
            "events": self._events,
            "lost": self._lost,
            "fates": self._fates,
            "fidelity": [held_out_fidelity(pages) for _, pages in self._surrogates],
        }


# ------------------------------------------------------------------------------------------------ the file


class _Page(string.Template):
    """Template `replay.html`. Values that are filled in are not scanned for placeholders again."""

    delimiter = "%%"  # a $ is JavaScript's


def _filled(head: Mapping[str, Any], columns: Mapping[str, np.ndarray]) -> str:
    """Return the replay with its data filled in."""
    layout, packed = _packed(columns)
    text = json.dumps({**head, "columns": layout}, separators=(",", ":")).replace("<", "\\u003c")  # ends no script
    template = resources.files("recsys_env.evaluation").joinpath("replay.html").read_text(encoding="utf-8")
    data = base64.b64encode(zlib.compress(packed, 9)).decode()
    return _Page(template).substitute(title=html.escape(str(head["title"])), head=text, data=data)


def _packed(columns: Mapping[str, np.ndarray]) -> tuple[list[Sequence[Any]], bytes]:
    """Pack the columns one after the other, each beginning at a multiple of 4 bytes.

    Returns:
        for each column its name, kind of number, rounding step, first byte and numbers per tick; and the bytes.
    """
    layout: list[Sequence[Any]] = []
    packed = b""
    for name, column in columns.items():
        step, numbers = (
            (1, column.astype(np.int64))
            if column.dtype.kind in "bui"
            else _rounded(column, _COARSE.get(name.split()[0], _STEP))
        )
        kind = next(kind for kind in ("i1", "i2", "i4") if np.array_equal(numbers.astype(f"<{kind}"), numbers))
        layout.append((name, kind, step, len(packed), int(np.prod(column.shape[1:], dtype=int))))
        values = numbers.astype(f"<{kind}").tobytes()
        packed += values + bytes(-len(values) % 4)
    return layout, packed


def _rounded(column: np.ndarray, step: float) -> tuple[float, np.ndarray]:
    """Return the step to which a column of floats is rounded, at least this one, and the number of floats per value."""
    step = max(step, float(np.abs(column).max(initial=0)) / 32_000)
    return step, np.rint(column / step).astype(np.int64)
