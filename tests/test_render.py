"""A page as a picture, and what draws and skips frames around our environments: video and frame-skip wrappers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import recsys_env
from recsys_env import parallel_env, single_agent_env
from recsys_env.api.render import topic_colour

pytest.importorskip("PIL", reason='needs pillow: pip install "recsys_env[render]"')

CLICKED = (31, 111, 235)


def sampled(env: Any) -> dict[str, Any]:
    return {agent: env.action_space(agent).sample() for agent in env.possible_agents}


def started(task: str = "ecommerce-v1", **overrides: Any) -> recsys_env.RecommendationEnv:
    env = parallel_env(task, render_mode="rgb_array", **overrides)
    env.reset(seed=0)
    for i, agent in enumerate(env.agents):
        env.action_space(agent).seed(i)
    return env


def packed(picture: np.ndarray) -> np.ndarray:
    """A number for the colour of each pixel, so that counting them takes one comparison."""
    red, green, blue = np.moveaxis(picture.astype(np.int32), -1, 0)
    return (red << 16) | (green << 8) | blue


def count(pixels: np.ndarray, colour: tuple[int, ...]) -> int:
    """How many pixels of a packed picture have a colour."""
    return int(np.count_nonzero(pixels == packed(np.array(colour))))


@pytest.mark.parametrize("task", ["duel-v1", "journey-v1", "grocery-v1", "rivals-v1", "auction-v0", "creators-v0"])
def test_every_page_of_a_task_has_one_size(task: str) -> None:
    """Also before the first page, in idle ticks, where agents are off the page, and after the end."""
    env = started(task, horizon=40)
    pictures = [env.render()]
    while env.agents:
        env.step(sampled(env))
        pictures.append(env.render())
    height, width, channels = pictures[0].shape
    assert channels == 3
    assert height % 2 == width % 2 == 0
    assert all(picture.shape == (height, width, 3) and picture.dtype == np.uint8 for picture in pictures)
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)  # each tick shows


def test_the_picture_shows_what_happened() -> None:
    """A card for each standing slot in its topic's colour, the clicked one marked, and no card in an idle tick."""
    env = started()
    seen = set()
    for _ in range(150):
        env.step(sampled(env))
        pixels, infos = packed(env.render()), env.vector.infos
        topics = {int(env.vector.world.items["topic"][j]) for j in infos["shown"][0].ravel() if j >= 0}
        for t in range(env.config.items.topics):
            assert (count(pixels, topic_colour(t)) > 100) == (t in topics), t
        clicked = bool(infos["clicked"].any() and not infos["cart"].any())
        clicks = count(pixels[20:], CLICKED)  # below the bar of progress
        assert clicks > 500 if clicked else clicks < 500 or infos["cart"].any()
        seen.add("clicked" if clicked else "idle" if not topics else "passed by")
    assert seen == {"clicked", "idle", "passed by"}


def test_many_agents_wrap_into_rows() -> None:
    four, five = (started(num_agents=n).render() for n in (4, 5))
    assert five.shape[1] == four.shape[1]
    assert five.shape[0] > 1.5 * four.shape[0]


def test_the_other_views_draw_too() -> None:
    single = single_agent_env("duel-v1", render_mode="rgb_array")
    single.reset(seed=0)
    single.step(0)
    aec = recsys_env.env("duel-v1", render_mode="rgb_array")
    aec.reset(seed=0)
    for env in (single, aec, gymnasium.make("recsys/duel-v1", render_mode="rgb_array")):
        assert env.metadata["render_fps"] == 4
    assert single.render().shape == aec.render().shape
    with pytest.raises(ValueError, match="render_mode = 'rgb' is not allowed; choose one of"):
        single_agent_env("duel-v1", render_mode="rgb")


def test_gymnasium_collects_the_frames() -> None:
    env = gymnasium.wrappers.RenderCollection(gymnasium.make("recsys/duel-v1", render_mode="rgb_array"))
    env.reset(seed=0)
    for _ in range(5):
        env.step(env.action_space.sample())
    frames = env.render()
    assert len(frames) == 6
    assert all(frame.shape == frames[0].shape for frame in frames)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # moviepy's
@pytest.mark.filterwarnings("ignore:.*unclosed file:ResourceWarning")  # moviepy's
def test_videos(tmp_path: Path) -> None:
    """Gymnasium's and PettingZoo's wrappers write one."""
    pytest.importorskip("moviepy", reason="needs moviepy")
    from pettingzoo.utils.wrappers.record_video_parallel import RecordVideoParallel

    one = gymnasium.wrappers.RecordVideo(
        single_agent_env("duel-v1", render_mode="rgb_array", horizon=6), str(tmp_path / "one")
    )
    one.reset(seed=0)
    while not one.step(one.action_space.sample())[3]:
        pass
    one.close()
    all_agents = RecordVideoParallel(started("duel-v1", horizon=6), str(tmp_path / "all"))
    all_agents.reset(seed=0)
    while all_agents.agents:
        all_agents.step(sampled(all_agents))
    all_agents.close()
    for folder in ("one", "all"):
        (video,) = (tmp_path / folder).glob("*.mp4")
        assert video.stat().st_size > 1000


def test_without_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stable-baselines3 makes environments with "rgb_array" that it never draws: only drawing needs the library."""
    env = started("duel-v1")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r'to draw a page needs Pillow: pip install "recsys_env\[render\]"'):
        env.render()


# ------------------------------------------------------------------------------------------------ frame skip


def test_a_stream_for_wrappers() -> None:
    """Seeded by `reset`, never used by the game."""
    env = parallel_env("ecommerce-v1", horizon=20)
    env.reset(seed=3)
    drawn = env.np_random.random(3)
    env.reset(seed=3)
    np.testing.assert_array_equal(env.np_random.random(3), drawn)
    before = env.np_random.bit_generator.state
    env.reset()
    env.step(sampled(env))
    assert env.np_random.bit_generator.state == before
    env.reset(seed=4)
    assert not np.array_equal(env.np_random.random(3), drawn)


def test_supersuit_skips_frames() -> None:
    """Two to four ticks for one action; the rewards of the skipped ones add up."""
    supersuit = pytest.importorskip("supersuit", reason='needs supersuit: pip install "recsys_env[train]"')
    env, plain = parallel_env("ecommerce-v1", horizon=60), parallel_env("ecommerce-v1", horizon=60)
    skipping = supersuit.frame_skip_v0(env, (2, 4))
    skipping.reset(seed=0)
    plain.reset(seed=0)
    steps, ticks = set(), 0
    while skipping.agents:
        actions = sampled(plain)
        rewards = skipping.step(actions)[1]
        now = int(env.vector.tick[0]) if env.agents else 60
        earned = dict.fromkeys(plain.possible_agents, 0.0)
        for _ in range(now - ticks):
            for agent, reward in plain.step(actions)[1].items():
                earned[agent] += reward
        assert rewards == pytest.approx(earned)
        steps, ticks = steps | {now - ticks}, now
    assert steps >= {2, 3, 4}
    aec = supersuit.frame_skip_v0(recsys_env.env("duel-v1", horizon=12), 3)
    aec.reset(seed=0)
    turns = 0
    for agent in aec.agent_iter():
        over = aec.last()[3]
        aec.step(None if over else aec.action_space(agent).sample())
        turns += not over
    assert turns == 2 * 4
    one = supersuit.frame_skip_v0(single_agent_env("duel-v1", horizon=12), 3)
    one.reset(seed=0)
    assert sum(1 for _ in iter(lambda: one.step(one.action_space.sample())[3], True)) == 3
