"""The packaged scorer of candidates, and the distribution of slates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from recsys_env import WorldConfig, vector_env  # noqa: E402
from recsys_env.adapters.scorer import EXCLUDED, CandidateScorer, PageCritic, Slates  # noqa: E402
from recsys_env.config.settings import replace  # noqa: E402

SMALL = replace(WorldConfig(), {"slots": 3, "candidates": {"number": 7}, "items": {"number": 40, "dims": 4}})
KINDS: list[dict[str, Any]] = [
    {},
    {"candidates": {"number": 7, "features": "both"}, "observation": {"recent": 3, "item_ids": "binary"}},
    {"candidates": {"number": 7, "features": "vectors"}, "observation": {"recent": 2, "item_ids": "one-hot"}},
]


def seen(changes: dict[str, Any], ticks: int = 30) -> tuple[Any, Any]:
    """A batch, and its observations [B, N, O] after some ticks."""
    envs = vector_env(SMALL, 8, **changes)
    envs.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(ticks):
        envs.step(rng.integers(0, 7, envs.empty_actions().shape))
    return envs, torch.from_numpy(envs.observations.copy())


@pytest.mark.parametrize("changes", KINDS)
def test_flat_observations_and_their_parts_are_scored_alike(changes: dict[str, Any]) -> None:
    envs, flat = seen(changes)
    parts = {name: torch.from_numpy(part) for name, part in envs.layout.structured(flat.numpy()).items()}
    torch.manual_seed(0)
    for network in (CandidateScorer(envs.layout, 8), PageCritic(envs.layout, 8)):
        torch.testing.assert_close(network(parts), network(flat))
        torch.testing.assert_close(network(flat[0, 1]), network(flat)[0, 1])  # with any leading axes
        network(flat).sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    assert CandidateScorer(envs.layout)(flat).shape == (8, 2, 7)


def test_candidates_of_which_only_the_names_are_seen_are_scored() -> None:
    """An empty place is told from a candidate whose features are hidden."""
    _, flat = seen({"roles": ({"hidden": ("candidates",)},), "observation": {"item_ids": "binary"}})
    envs, _ = seen({"observation": {"item_ids": "binary"}}, 0)
    parts = envs.layout.split(flat)
    assert not parts["candidates"].any()
    scores, empty = CandidateScorer(envs.layout)(flat), ~parts["candidate_ids"].any(-1)
    assert ((scores == EXCLUDED) == empty)[~empty.all(-1)].all()
    assert len(scores[~empty].unique()) > 10


@pytest.mark.parametrize("changes", KINDS)
def test_the_order_of_candidates_does_not_matter(changes: dict[str, Any]) -> None:
    envs, flat = seen(changes)
    network, critic, turned = CandidateScorer(envs.layout), PageCritic(envs.layout), flat.clone()
    for name in ("candidates", "candidate_vectors", "candidate_topics", "candidate_ids"):
        if name in envs.layout.parts:
            columns = envs.layout.columns(name)
            blocks = flat[..., columns].reshape(8, 2, 7, -1).flip(2)
            turned[..., columns] = blocks.reshape(8, 2, -1)
    torch.testing.assert_close(network(turned), network(flat).flip(-1))
    torch.testing.assert_close(critic(turned), critic(flat))


def test_empty_places_are_excluded_and_empty_pages_have_finite_gradients() -> None:
    envs, flat = seen({})
    network = CandidateScorer(envs.layout)
    block = flat[..., envs.layout.columns("candidates")].reshape(8, 2, 7, -1)
    block[..., 4:, :] = 0
    flat[..., envs.layout.columns("candidates")] = block.reshape(8, 2, -1)
    scores, active = network(flat), torch.from_numpy(envs.active.copy())
    assert (scores[active][..., 4:] == EXCLUDED).all()
    assert (scores[active][..., :4] > EXCLUDED).all()
    nobody = network(torch.zeros(3, envs.layout.size))
    assert not nobody.any()
    slates = Slates(nobody, 2)
    picks = slates.sample()
    (slates.log_prob(picks).sum() + slates.entropy().sum()).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


def test_what_is_learnt_of_an_item_is_kept() -> None:
    """Two candidates that differ in nothing but their names have scores of their own."""
    envs, flat = seen({"observation": {"item_ids": "binary"}})
    network = CandidateScorer(envs.layout)
    row = flat[torch.from_numpy(envs.active.copy())][0].clone()
    features, ids = (row[envs.layout.columns(name)].view(7, -1) for name in ("candidates", "candidate_ids"))
    features[1] = features[0]
    assert not torch.equal(ids[0], ids[1])
    assert network(row)[0] != network(row)[1]
    ids[1] = ids[0]
    assert network(row)[0] == network(row)[1]


def test_worlds_without_candidates_are_refused() -> None:
    envs = vector_env(SMALL, 1, action="query")
    for kind in (CandidateScorer, PageCritic):
        with pytest.raises(ValueError, match="the observations hold no candidates"):
            kind(envs.layout)
        with pytest.raises(
            TypeError, match=r"layout = .*VectorEnv.* must be the layout of .* observations, envs\.layout"
        ):
            kind(envs)  # type: ignore[arg-type]
