"""Finds policies by name, by the folder of a trained policy, or by `module:factory`."""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Callable, Iterable
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from ..addresses import without_secrets
from ..checks import did_you_mean, shown
from ..config import WorldConfig
from ..config.scenarios import PACKAGE
from ..files import FileError, read_json
from ..libraries import is_missing
from .base import Policy
from .shipped import shipped

POLICIES: dict[str, str] = {  # name -> "module:factory"; libraries are imported when a policy that needs them is made
    "random": "recsys_env.policies.random:Random",
    "blind": "recsys_env.policies.random:Blind",
    "popularity": "recsys_env.policies.assortment:Popularity",
    "content": "recsys_env.policies.assortment:Content",
    "nearest": "recsys_env.policies.ranking:Nearest",
    "static": "recsys_env.policies.linear:Static",
    "observer": "recsys_env.policies.observer:Observer",
    "greedy": "recsys_env.policies.assortment:Greedy",
    "planner": "recsys_env.policies.assortment:Planner",
    "central": "recsys_env.policies.assortment:Central",
    "linucb": "recsys_env.policies.bandits:LinUCB",
    "linear-thompson": "recsys_env.policies.bandits:LinearThompson",
    "epsilon-greedy": "recsys_env.policies.bandits:EpsilonGreedy",
    "ucb1": "recsys_env.policies.bandits:UCB1",
    "thompson": "recsys_env.policies.bandits:Thompson",
    "implicit": "recsys_env.policies.collaborative:ImplicitALS",
    "implicit-bpr": "recsys_env.policies.collaborative:ImplicitBPR",
    "implicit-knn": "recsys_env.policies.collaborative:ImplicitKNN",
    "lightfm": "recsys_env.policies.collaborative:LightFM",
    "surprise": "recsys_env.policies.collaborative:SurpriseSVD",
    "surprise-knn": "recsys_env.policies.collaborative:SurpriseKNN",
    "two-tower": "recsys_env.policies.deep:TwoTower",
    "sasrec": "recsys_env.policies.deep:SASRec",
}
TASK_POLICIES: dict[str, str] = {  # for certain tasks, or as opponents; they are not rows of every table
    "reciprocal": "recsys_env.policies.conditional:Reciprocal",
    "grim": "recsys_env.policies.conditional:Grim",
    "matcher": "recsys_env.policies.conditional:Matcher",
    "undercutter": "recsys_env.policies.conditional:Undercutter",
    "equilibrium": "recsys_env.exact.policies:Equilibrium",
    "joint": "recsys_env.exact.policies:Joint",
    "coverage-alone": "recsys_env.policies.coverage:Alone",
    "coverage-convention": "recsys_env.policies.coverage:Convention",
    "coverage-memory": "recsys_env.policies.coverage:Memory",
    "coverage-talk": "recsys_env.policies.coverage:Talk",
    "teller": "recsys_env.policies.bundle:Teller",
    "auction-truthful": "recsys_env.policies.auction:Truthful",
    "auction-pacing": "recsys_env.policies.auction:Pacing",
    "auction-greedy": "recsys_env.policies.auction:Highest",
    "creators-fair": "recsys_env.policies.creators:Fair",
    "creators-bait": "recsys_env.policies.creators:Bait",
    "creators-reciprocal": "recsys_env.policies.creators:Reciprocal",
    "creators-myopic": "recsys_env.policies.creators:Myopic",
}
FAMILIES: dict[str, str] = {  # policies NAME:ARGUMENT
    "text": "recsys_env.language.nearest:TextNearest",
    "llm": "recsys_env.language.policy:LanguagePolicy",
    "llm-list": "recsys_env.language.policy:ListingPolicy",
    "population": "recsys_env.policies.population:NamedPopulation",
}
_STATE = "the world and the visitor's state"
ORACLES: dict[str, str] = {
    **dict.fromkeys(("observer", "teller"), "the world, but of visitors only what its agent observes"),
    **dict.fromkeys(("greedy", "planner", "reciprocal", "grim", "matcher", "undercutter"), _STATE),
    "learned/streaming-v1/oracle": _STATE,
    "central": "the world, the visitor's state and the options of all agents",
    **dict.fromkeys(("equilibrium", "joint"), "the exact solution of the game"),
}
"""What policies know that agents do not observe. The world includes the latent numbers of its items."""
CHECKPOINT = "policy.json"  # in the folder of a trained policy: {"loader": one of the names of `loaders`}
LOADERS: dict[str, str | Callable[[Path], Policy]] = {  # the package's, and those of `register_loader`
    "ranker": "recsys_env.policies.linear:SavedRanker",
    "networks": "recsys_env.trained.networks:NetworkPolicy",
    "pages": "recsys_env.trained.page_policies:PagePolicy",
    "generative": "recsys_env.trained.generative:GenerativePolicy",
    "sb3": "recsys_env.trained.sb3:load",
    "table": "recsys_env.exact.policies:SavedTable",
}


def knowledge(policy: str) -> str:
    """Return what a policy of this name knows."""
    return ORACLES.get(policy, "what agents observe")


def made_for_page(config: WorldConfig) -> tuple[str, ...]:
    """Return the names of the policies that were made for the kind of page of a task: bidders, or creators."""
    kind = "auction-" if config.auctioned else "creators-" if config.ranked else None
    return tuple(name for name in TASK_POLICIES if kind and name.startswith(kind))


def made_for_prices(config: WorldConfig) -> tuple[str, ...]:
    """Return the names of the policies that answer the prices of others, where agents set prices."""
    return ("matcher", "undercutter") if config.offer.kind == "price" else ()


def register_loader(name: str, loader: str | Callable[[Path], Policy]) -> None:
    """Register a loader for policy folders whose `policy.json` contains {"loader": name}.

    The file only names a loader, and the loader itself is registered here, in code. A folder from somebody else can
    therefore not execute anything.

    Args:
        loader: function that is called with the folder; "module:function" is imported when it is needed.

    Raises:
        ValueError: the name is taken.
    """
    known = loaders()
    if known.get(name, loader) != loader:
        raise ValueError(f"loader {shown(name)} is {shown(known[name])} already; choose another name")
    LOADERS[name] = loader


def loaders() -> dict[str, str | Callable[[Path], Policy]]:
    """Return all loaders of policy folders by name: the package's own, those of `register_loader`, and the entry points
    "recsys_env.loaders" of other installed packages."""
    return {**_declared_loaders(), **LOADERS}


@cache
def _declared_loaders() -> dict[str, str]:
    """Loaders that installed packages declare, read once: it takes longer than to play an episode."""
    return {point.name: point.value for point in entry_points(group="recsys_env.loaders")}


def import_policies(words: Iterable[str]) -> tuple[str, ...]:
    """Import the modules of policies named as module:factory, which may register tasks and metrics.

    Args:
        words: policies, or teams of the form `agent=policy,agent=policy`.

    Returns:
        the names of the policies: the words, without passwords and keys of addresses (`addresses.without_secrets`).
    """
    names = tuple(map(without_secrets, words))
    for name in names:
        for policy in (part.partition("=")[2] for part in name.split(",")) if is_team(name) else (name,):
            module, _, factory = policy.partition(":")
            if module and factory and module not in FAMILIES and not os.path.exists(policy):
                _import(policy)
    return names


def is_team(policy: str) -> bool:
    """Whether this is a team, `agent=policy,...`; folder names and addresses of models may contain a = as well."""
    return "=" in policy.partition(":")[0] and not os.path.isdir(policy)


def make_policy(policy: str | Path | Policy) -> Policy:
    """Create a policy from its name, from the folder of a trained policy, or from `module:factory`.

    A `Policy` is returned unchanged. For the names of `FAMILIES` the text after the colon is an argument:
    `llm:smollm2`, `population:content+greedy`. A folder is a path, or `learned/TASK/KIND` for a policy that ships with
    the package. The checkpoint of a learner (`learned/TASK/LEARNER`) plays no other task.

    Raises:
        TypeError: `policy` is something else, such as a class.
        ValueError: there is no policy of that name, the folder contains no usable policy, or the factory does not
            return a `Policy`.
        ImportError: the policy's library is missing; the message says which extra installs it.
    """
    if isinstance(policy, Policy):
        return policy
    if not isinstance(policy, str | Path):
        meant = instead_of(policy)
        raise TypeError(f"policy = {shown(policy)} must be a Policy object, a name, a folder or module:factory{meant}")
    policy = without_secrets(str(policy))
    folder = next((f for f in (Path(policy), PACKAGE / policy) if os.path.isfile(f / CHECKPOINT)), None)
    named, card = POLICIES | TASK_POLICIES, None
    if policy in named:
        made = _import(named[policy])()
    elif folder is not None:
        card = shipped(folder, folder / CHECKPOINT)
        made = _loader(folder / CHECKPOINT)(folder)
    elif (family := policy.partition(":"))[0] in FAMILIES and family[2]:
        made = _import(FAMILIES[family[0]])(family[2])
    elif all(policy.partition(":")):
        factory = _import(policy)
        try:
            made = factory()
        except (TypeError, SystemExit) as error:
            raise ValueError(
                f"policy {shown(policy)} was not made by {policy}(): {error}{instead_of(factory)}"
            ) from error
    else:
        hint = did_you_mean(policy, named)
        if os.sep in policy:
            raise ValueError(f"policy {shown(policy)}: there is no folder of this name with a {CHECKPOINT}{hint}")
        raise ValueError(
            f"unknown policy {shown(policy)}{hint}; policies are {', '.join(named)}, "
            f"{', '.join(f'{name}:WHAT' for name in FAMILIES)}, a folder that holds {CHECKPOINT}, or module:factory"
        )
    if not isinstance(made, Policy):
        raise ValueError(f"policy {shown(policy)} made a {type(made).__name__}, not a recsys_env.policies.Policy")
    if card is not None:
        made.shipped = card
    return made


def instead_of(given: Any) -> str:
    """Suggest what may have been meant by an argument of the wrong kind."""
    if inspect.isclass(given) and issubclass(given, Policy):
        return f"; give an instance: {given.__name__}()"
    if any(kind.__module__.startswith(("stable_baselines3.", "sb3_contrib.")) for kind in type(given).__mro__):
        return "; a trained model becomes a policy by recsys_env.adapters.sb3.SB3Policy(model)"
    return ""


def _loader(checkpoint: Path) -> Callable[[Path], Any]:
    """Return the loader of a policy folder."""
    name, known = read_json(checkpoint, {"loader": str}, "trained policy")["loader"], loaders()
    if name not in known:
        names = f"loaders are {', '.join(known)}, and those of recsys_env.policies.register_loader"
        raise FileError(f"{checkpoint} names the loader {name!r}; {names}")
    loader = known[name]
    return _import(loader) if isinstance(loader, str) else loader


def _import(path: str) -> Callable[..., Any]:
    """Import the object that "module:attribute" names."""
    module, _, name = path.partition(":")
    try:
        found = importlib.import_module(module)
    except (ModuleNotFoundError, TypeError) as error:  # the other is of a relative name
        if isinstance(error, ModuleNotFoundError) and not is_missing(module, error):
            raise ImportError(f"policy {shown(path)} needs {error.name}, which is not installed") from error
        raise ValueError(
            f"policy {shown(path)}: there is no module {shown(module)}; "
            "my_file.py in this folder or on PYTHONPATH is my_file:MyPolicy"
        ) from error
    if not hasattr(found, name):
        raise ValueError(
            f"policy {shown(path)}: module {shown(module)} has no {shown(name)}{did_you_mean(name, vars(found))}"
        )
    return getattr(found, name)
