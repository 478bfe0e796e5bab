"""Kinds of pages: what planners and prompts take for granted of each."""

from __future__ import annotations

from dataclasses import fields
from types import SimpleNamespace

import numpy as np
import pytest

from recsys_env import WorldConfig
from recsys_env.config import PAGE_PROPERTIES
from recsys_env.kernels.equations import in_python
from recsys_env.kernels.page_kinds import slot_at
from recsys_env.language.rules import PAGES

KINDS = next(field.metadata["allowed"] for field in fields(WorldConfig) if field.name == "page")


@pytest.mark.parametrize("page", KINDS)
def test_the_first_slot_of_an_agent_has_its_best_rank(page: str) -> None:
    """Planners put the best item into the first slot, so the ranks of an agent rise with its slots."""
    agents, slots = 3, 4
    config = object.__new__(WorldConfig)  # of a kind alone, because each allows other fields
    object.__setattr__(config, "page", page)
    properties = {name: getattr(config, name) for name in PAGE_PROPERTIES}
    p = SimpleNamespace(shape=SimpleNamespace(**properties, slots=slots, agents=agents))
    order = np.array([[[2, 0, 1], [1, 2, 0], [0, 1, 2], [2, 1, 0]]])
    ranks: dict[int, list[int]] = {n: [] for n in range(agents)}
    for k in range(slots):
        for turn in range(agents):
            n, rank = in_python(slot_at)(SimpleNamespace(order=order), p, 0, k, turn, 0, agents)
            ranks[int(n)].append(int(rank))
    for own in ranks.values():
        assert own == sorted(set(own))
        assert len(own) == slots


def test_prompts_describe_each_kind_of_page_on_which_agents_act_in_words() -> None:
    assert set(PAGES) == set(KINDS) - {"auction", "platform"}
