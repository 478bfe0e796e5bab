"""The algorithms that can be trained, by name."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from recsys_env.checks import unknown

from . import benchmarl
from .cma_es import CMAES
from .generative import Generative
from .ippo import IPPO
from .ippo_separate import SeparateIPPO
from .maskable_ppo import MaskablePPO
from .options import Algorithm
from .recurrent_ppo import RecurrentPPO
from .torch_learners import TorchPPO, TorchQ
from .transformer_ppo import TransformerPPO

_KINDS: tuple[type[Algorithm], ...] = (
    IPPO,
    SeparateIPPO,
    MaskablePPO,
    RecurrentPPO,
    TransformerPPO,
    TorchPPO,
    TorchQ,
    Generative,
    CMAES,
    *benchmarl.FAMILY,
)
ALGORITHMS: dict[str, type[Algorithm]] = {kind.name: kind for kind in _KINDS}


def find_algorithm(name: str, among: Sequence[str] = tuple(ALGORITHMS)) -> type[Algorithm]:
    """The algorithm of this name.

    Raises:
        ValueError: there is none among these.
    """
    if name not in among:
        raise ValueError(unknown("algorithm", name, among))
    return ALGORITHMS[name]


def check_library(kind: type[Algorithm]) -> None:
    """Raise `ImportError`, which says how to install it, if the algorithm's library is missing."""
    if importlib.util.find_spec(kind.library) is None:
        raise ImportError(f"{kind.name} needs {kind.library}: {kind.install}")
