"""Logs in the forms of other libraries.

record(...)         -> to_obp(table, ...)       Open Bandit Pipeline: bandit feedback
                    -> to_recbole(table, path)  RecBole: a file of interactions
record_minari(...)                              Minari: a dataset of each agent's transitions
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..batch.spaces import unit_box
from ..batch.vector import VectorEnv
from ..checks import check_count, shown, unknown
from ..config import WorldConfig
from ..config.responses import NAMES
from ..files import check_writable, checked_path, replacing
from ..libraries import library
from .episodes import Policies, begin_episodes

if TYPE_CHECKING:
    import pandas

LOGGED_EVENTS = ("clicked", "cart", "bought")  # columns of truth values that all logs have


def to_obp(table: pandas.DataFrame, items: int, reward: str = "clicked") -> dict[str, Any]:
    """Return a log as bandit feedback of Open Bandit Pipeline (Saito et al. 2021), with a round for each impression.

    The propensity of a slot is conditional on the slots before it. So use obp's self-normalised estimators, and each
    position by itself. obp's estimators of whole slates need `slate_propensity` of the log.

    Args:
        table: log of `recsys_env.evaluation.record`, with propensities and the column `context`.
        items: number of items, M.
        reward: column that is the reward, "reward" or one of the responses.

    Returns:
        n_rounds (I), n_actions (M), context [I, O], action [I] (items), position [I] (the agent's slots, 0 .. K - 1),
        reward [I], pscore [I] (propensities), and None for expected_reward, which a log does not hold.

    Raises:
        TypeError, ValueError: `table` is no table, or lacks rows or columns; or an item is not below `items`.
    """
    rewards = ("reward", *NAMES)
    if not isinstance(reward, str) or reward not in rewards:
        raise ValueError(unknown("reward", reward, rewards))
    check_count("items", items, 1, 2**31)
    _check_table(table, ("item", "slot", "propensity", "context", reward))
    action = table["item"].to_numpy(np.int64)
    if action.max() >= items:
        raise ValueError(f"items = {items} must be above all items of the table; the largest is {action.max()}")
    return {
        "n_rounds": len(table),
        "n_actions": int(items),
        "context": np.stack(table["context"].tolist()),
        "action": action,
        "position": table["slot"].to_numpy(np.int64),
        "reward": table[reward].to_numpy(np.float64),
        "pscore": table["propensity"].to_numpy(np.float64),
        "expected_reward": None,
    }


def to_recbole(table: pandas.DataFrame, out: str | Path, event: str = "clicked") -> None:
    """Write a log's events as a file of interactions of RecBole (Zhao et al. 2021): user_id, item_id and timestamp.

    RecBole finds it as the data set NAME in the folder FOLDER if it is FOLDER/NAME/NAME.inter.

    Args:
        table: log of `recsys_env.evaluation.record`.
        out: path of the file, which ends in `.inter`; its folder is created.
        event: column of the event, "clicked", "cart" or "bought". A purchase has the time of the purchase.

    Raises:
        TypeError, ValueError: `table` is no table, or lacks rows or columns; or `out` is no path of such a file.
        OSError: the file cannot be written.
    """
    path = checked_path("out", out)
    if path.suffix != ".inter":
        raise ValueError(f"out = {shown(out)} must end in .inter, the files of interactions that RecBole reads")
    if not isinstance(event, str) or event not in LOGGED_EVENTS:
        raise ValueError(unknown("event", event, LOGGED_EVENTS))
    time = "bought_time" if event == "bought" else "time"
    _check_table(table, ("user", "item", "copy", time, event))
    found = table.loc[table[event], ["user", "item", time]].sort_values(time, kind="stable")
    if table.groupby("user")["copy"].nunique().max() > 1:  # the same people begin anew in each episode
        found["user"] += table["copy"].loc[found.index] * (int(table["user"].max()) + 1)
    found.columns = ["user_id:token", "item_id:token", "timestamp:float"]
    check_writable(path)
    with replacing(path) as new:
        found.to_csv(new, sep="\t", index=False)


def _check_table(table: Any, columns: tuple[str, ...]) -> None:
    pandas = library("pandas", "evaluate")
    if not isinstance(table, pandas.DataFrame):
        raise TypeError(f"table = {shown(table)} must be a log of recsys_env.evaluation.record")
    if missing := [name for name in columns if name not in table.columns]:
        reason = table.attrs.get("no_propensity", "")
        why = f" ({reason})" if "propensity" in missing and reason else ""
        how = "; record(..., columns=['context']) adds it" if "context" in missing else ""
        raise ValueError(f"the table has no column {', '.join(missing)}{why}{how}")
    if not len(table):
        raise ValueError("the table has no rows; record more episodes, or a policy that shows items")


def record_minari(
    task: str | WorldConfig | VectorEnv, policies: Policies, episodes: int = 1, seed: int = 0, *, name: str
) -> dict[str, Any]:
    """Play whole episodes as `episode_returns` does, and keep each agent's transitions as a dataset of Minari.

    An episode of a dataset is one copy. It has the agent's observations (flat, without masks), its actions, and its
    rewards after sharing at every tick, idle ones included, and ends by truncation.

    Args:
        task, policies, episodes, seed: as in `recsys_env.evaluation.episode_returns`.
        name: namespace of the datasets, such as "recsys/ecommerce"; that of an agent is NAME/AGENT-v0. Minari keeps
            them in the folder that its variable MINARI_DATASETS_PATH names.

    Returns:
        agent -> `minari.MinariDataset`.

    Raises:
        ImportError: minari is missing.
        TypeError, ValueError: as in `episode_returns`, or the name is none.
        FileExistsError: there is such a dataset; nothing has been played then.
    """
    minari = library("minari", "minari")
    buffer = library("minari.data_collector", "minari").EpisodeBuffer
    if not isinstance(name, str) or not name:
        raise ValueError(f"name = {shown(name)} must be a namespace of datasets, such as 'recsys/ecommerce'")
    envs, team, observations = begin_episodes(task, policies, episodes, seed)
    ids = {agent: f"{name}/{agent}-v0" for agent in envs.possible_agents}
    there = [one for one in ids.values() if one in minari.list_local_datasets()]
    if there:
        raise FileExistsError(f"Minari has a dataset {there[0]} already; choose another name, or delete it")
    horizon, space = envs.config.horizon, envs.action_space
    seen = np.zeros((horizon + 1, *envs.flat(observations)[0].shape), np.float32)
    actions = envs.empty_actions()
    acted, earned = np.zeros((horizon, *actions.shape), space.dtype), np.zeros((horizon, *actions.shape[:2]))
    for tick in range(horizon):
        seen[tick] = envs.flat(observations)[0]
        team.act(observations, actions)
        observations, rewards, _, truncated, infos = envs.step(actions)
        acted[tick], earned[tick] = actions, rewards
        team.observe(infos, truncated)
    team.check()
    seen[horizon] = envs.flat(envs.final_obs)[0]
    ends = np.arange(1, horizon + 1) == horizon
    made = {}
    for n, agent in enumerate(envs.possible_agents):
        episodes_of_agent = [
            buffer(
                id=b,
                observations=seen[:, b, n],
                actions=acted[:, b, n],
                rewards=earned[:, b, n],
                terminations=np.zeros(horizon, np.bool_),
                truncations=ends,
            )
            for b in range(envs.num_envs)
        ]
        with warnings.catch_warnings():
            # It warns of each description that is not given, such as an author.
            warnings.filterwarnings("ignore", category=UserWarning, module="minari")
            made[agent] = minari.create_dataset_from_buffers(
                ids[agent],
                episodes_of_agent,
                algorithm_name=type(team.policies[agent]).__name__,
                action_space=space,
                observation_space=unit_box(envs.layout.size),
            )
    return made
