"""A step compiled for one world alone."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest

import recsys_env
from benchmarks.checks.unchanged import digests
from recsys_env.batch import vector
from recsys_env.batch.vector import VectorEnv
from recsys_env.config.tasks import task_config
from recsys_env.kernels.machine.specialize import specialised_type


def kind_of(**changes: Any) -> Any:
    return specialised_type(VectorEnv(task_config("ecommerce-v1", changes)).world)


@pytest.mark.slow
def test_a_world_of_its_own_is_played_as_all_are(monkeypatch: pytest.MonkeyPatch) -> None:
    config = task_config("journey-v1", {"horizon": 40})
    expected = digests(config, 8, 90)
    monkeypatch.setattr(vector, "SPECIALISED", 8)
    assert digests(config, 8, 90) == expected


def test_from_how_many_copies_on_a_world_has_its_own_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector, "SPECIALISED", 3)
    worlds: list[Any] = []
    monkeypatch.setattr("recsys_env.kernels.step.run.compile", lambda kinds: worlds.append(kinds[0].parts[0]) or str)
    for copies in (2, 3):
        with pytest.raises(TypeError):  # `str` plays no game
            recsys_env.vector_env("duel-v1", copies).reset(seed=0)
    world = VectorEnv(task_config("duel-v1", {})).world
    assert worlds == [numba.typeof(world), specialised_type(world)]


def test_a_world_that_is_replaced_is_compiled_for(compiled_worlds: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector, "SPECIALISED", 3)
    envs = recsys_env.vector_env("ecommerce-v1", 3)
    envs.reset(seed=0)
    first, params = envs.world, envs.world.params.copy()
    params["choice"]["beta_quality"] = 0.0
    params.flags.writeable = False
    for _ in range(2):
        envs.step(envs.empty_actions())
    envs.world = first._replace(params=params)
    for _ in range(3):
        envs.step(envs.empty_actions())
    assert set(compiled_worlds) == {specialised_type(first), specialised_type(envs.world)}
    assert compiled_worlds[-1] == specialised_type(envs.world)


@pytest.fixture
def compiled_worlds(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The types of the worlds that steps are compiled for; these steps play nothing."""
    worlds: list[Any] = []

    def compile_step(kinds: Any) -> Any:
        worlds.append(kinds[0].parts[0])
        return lambda *_: None

    monkeypatch.setattr("recsys_env.kernels.step.run.compile", compile_step)
    return worlds


@pytest.mark.parametrize(
    ("specialize", "special"), [("auto", [False, True]), (True, [True]), (False, [False]), (np.True_, [True])]
)
def test_when_a_small_batch_has_its_own_code(
    specialize: Any, special: list[bool], compiled_worlds: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector, "PAYS_OFF", 2 * 2 * 3)  # three steps of two copies of two agents
    envs = recsys_env.vector_env("duel-v1", 2, specialize=specialize)
    envs.reset(seed=0)
    for _ in range(2):
        envs.step(envs.empty_actions())
    assert len(compiled_worlds) == 1
    for _ in range(5):
        envs.step(envs.empty_actions())
    assert compiled_worlds == [specialised_type(envs.world) if own else numba.typeof(envs.world) for own in special]


def interrupt(kinds: Any) -> Any:
    raise KeyboardInterrupt


def test_a_batch_whose_compilation_is_interrupted_compiles_later(
    compiled_worlds: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector, "PAYS_OFF", 2 * 2)
    envs = recsys_env.vector_env("duel-v1", 2)
    envs.reset(seed=0)
    with monkeypatch.context() as patch:
        patch.setattr("recsys_env.kernels.step.run.compile", interrupt)
        with pytest.raises(KeyboardInterrupt):
            envs.step(envs.empty_actions())
    envs.step(envs.empty_actions())
    assert compiled_worlds[1:] == [specialised_type(envs.world)]


def test_what_specialize_may_be() -> None:
    for wrong in ("always", 1, None, np.array([True])):
        with pytest.raises(ValueError, match=r"specialize = .* is not allowed; choose True, False or 'auto'"):
            recsys_env.vector_env("duel-v1", specialize=wrong)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "changes",
    [
        {"world_seed": 5},
        {"horizon": 77},
        {"users": {"number": 9}},
        {"items": {"number": 99}},
        {"choice": {"beta_quality": 0.3}},
        {"arrival": {"k_0": 0.3}},
    ],
)
def test_worlds_of_one_structure_share_their_code(changes: Any) -> None:
    assert kind_of(**changes) == kind_of()


@pytest.mark.parametrize(
    "changes",
    [
        {"slots": 3},
        {"num_agents": 3},
        {"page": "rows"},
        {"mask_actions": True, "observability": "full"},
        {"candidates": {"number": 10}},
        {"choice": {"beta_quality": 0.0}},
        {"feedback": {"like": True}},
        {"observation": {"share": True}},
    ],
)
def test_another_structure_has_code_of_its_own(changes: Any) -> None:
    assert kind_of(**changes) != kind_of()


def test_a_coefficient_of_minus_zero_is_not_taken_for_zero() -> None:
    assert np.signbit(task_config("ecommerce-v1", {"choice": {"beta_quality": -0.0}}).choice.beta_quality)
    assert kind_of(choice={"beta_quality": -0.0}) == kind_of()
