"""What a role knows of the visitor's intent (`RoleConfig.knows`): who is told which label, and when."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recsys_env import WorldConfig, vector_env
from recsys_env.config.catalogue import Catalogue

ROW, COLUMN = (0, 0, 1, 1), (0, 1, 0, 1)
GAME: dict[str, Any] = {
    "num_agents": 3,
    "slots": 1,
    "horizon": 40,
    "users": {"number": 3, "intent_scale": 0.0},
    "items": {"number": 8, "dims": 4, "topics": 4},
    "arrival": {"r_0": 0.0},
    "roles": ({"name": "row", "knows": ROW}, {"name": "column", "knows": COLUMN}, {"name": "nothing"}),
}


@pytest.mark.parametrize("page", ["shared", "rival"])
def test_a_role_sees_the_label_of_the_intent(page: str) -> None:
    """One-hot and exact; zeros for who knows nothing, is inactive or idle; and `state()` holds every agent's."""
    envs = vector_env(WorldConfig(**GAME, page=page), 16)
    place, seen = envs.observation_fields["knows"], []
    envs.reset(seed=0)
    private = envs.state_fields["private"]
    for _ in range(60):
        known, intent = envs.field(envs.observations, "knows"), envs.next_page["intent"]
        assert known.shape == (16, 3, 2)
        for n, labels in enumerate((ROW, COLUMN)):
            expected = np.eye(2)[np.array(labels)[intent]] * envs.active[:, n, None]
            np.testing.assert_array_equal(known[:, n], expected)
        assert not known[:, 2].any()
        state = envs.state()[:, private].reshape(16, 3, -1)
        start = envs.observation_fields["clicked_mean"].start
        np.testing.assert_array_equal(state[..., place.start - start : place.stop - start], known)
        seen.append(known[:, :2].argmax(-1)[envs.active[:, 0]])
        envs.step(envs.empty_actions())
    assert not envs.active.all()
    assert {tuple(labels) for labels in np.concatenate(seen).tolist()} >= {(0, 0), (1, 0)}


def test_who_knows_something_changes_nothing_else() -> None:
    config = WorldConfig(**GAME)
    plain = WorldConfig(**{**GAME, "roles": tuple({"name": name} for name in ("row", "column", "nothing"))})
    envs, other = vector_env(config, 4), vector_env(plain, 4)
    place = envs.observation_fields["knows"]
    assert "knows" not in other.observation_fields
    envs.reset(seed=1), other.reset(seed=1)
    for _ in range(50):
        rest = np.delete(envs.observations, np.r_[place], axis=-1)
        np.testing.assert_array_equal(rest, other.observations)
        for batch in (envs, other):
            batch.step(batch.empty_actions())


def test_labels_fit_the_topics_of_a_catalogue() -> None:
    topics = len(Catalogue.load("grocery").topic_name)
    vector_env(WorldConfig(catalogue="grocery", roles=({"knows": tuple(range(topics))},)))
    with pytest.raises(ValueError, match=f"knows holds 2 labels, but the catalogue has {topics} topics"):
        vector_env(WorldConfig(catalogue="grocery", roles=({"knows": (0, 1)},)))
