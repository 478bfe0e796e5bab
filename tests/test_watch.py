"""The replay of an episode holds what happened, needs nothing from outside, and can be gone through in a browser."""

from __future__ import annotations

import base64
import dataclasses
import html
import json
import os
import re
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import comparison
import numpy as np
import pytest
from plain_game import Game

from recsys_env import TASKS, VectorEnv, WorldConfig, replace, vector_env
from recsys_env.__main__ import main
from recsys_env.api.render import _NAME
from recsys_env.config.catalogue import Catalogue
from recsys_env.evaluation import watch
from recsys_env.evaluation.replay import FLAGS
from recsys_env.policies import LOADERS, Content, Team, register_loader
from recsys_env.world.texts import on_one_line

# A small shop in which everything happens: clicks, carts, purchases at once given up or later, lost users, promotions.
SHOP = WorldConfig(
    slots=3,
    horizon=200,
    messages=2,
    scenes=({"name": "page", "cart": True},),
    candidates={"number": 8},
    users={"number": 3, "habit_size": 4, "wallet_init": 3.0, "wallet_refill": 0.05},
    items={
        "number": 30,
        "dims": 4,
        "topics": 5,
        "promotion_probability": 0.5,
        "promotion_depth": 0.3,
        "stock_init": 4,
        "restock_period": 50,
    },
    choice={"v_0": 1.5, "beta_price": 0.7, "beta_satiation": 0.4, "beta_trust": 0.5},
    feedback={"b_0": 1.5, "cart_hazard": 0.2, "cart_abandon": 0.2, "rating_after_click": 0.3, "like": True},
    arrival={"r_0": 0.7, "d_0": 0.3},
    reward={"click": 0.1, "purchase": 1.0},
)
KINDS = {"i1": np.int8, "i2": np.int16, "i4": np.int32}


def part(page: str, name: str) -> str:
    found = re.search(rf'<script type="[a-z/]*" id="{name}">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return found.group(1)


def read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The head of a replay, and its columns: name -> [ticks, numbers]."""
    page = path.read_text(encoding="utf-8")
    head, packed = json.loads(part(page, "head")), zlib.decompress(base64.b64decode(part(page, "data")))
    columns = {}
    for name, kind, step, start, size in head["columns"]:
        rows = len(head["topics"]) if name == "centres" else head["ticks"]
        values = np.frombuffer(packed, KINDS[kind], rows * size, start)
        columns[name] = values.reshape(rows, size) * step
    return head, columns


@pytest.fixture(scope="module")
def episode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return watch(SHOP, ["content", "popularity"], 3, tmp_path_factory.mktemp("watch") / "shop.html", title="a <shop>")


# ------------------------------------------------------------------------------------------------ what it holds


def test_it_holds_what_happened(episode: Path) -> None:
    """Tick by tick, the same as the same game played again."""
    head, columns = read(episode)
    envs = vector_env(SHOP)
    observations, _ = envs.reset(seed=3)
    team = Team(envs, dict(zip(SHOP.agents, ("content", "popularity"), strict=True)), 3)
    actions, later = envs.empty_actions(), []
    assert (head["ticks"], head["agents"], head["policies"]) == (200, SHOP.agents, ["content", "popularity"])
    fields = np.concatenate([envs.field(observations[0, 0], name) for name, _ in head["fields"]]).size
    game = Game(SHOP, envs.world)
    for t in range(SHOP.horizon):
        rules = comparison.read(game, envs.arrays, 0)
        copy, person = envs.next_page[0], envs.latent_users()
        names = [name for name, _ in head["fields"]]
        seen = np.concatenate([envs.field(observations[0], name) for name in names], axis=-1)
        np.testing.assert_allclose(columns["observed"][t].reshape(2, fields), seen, atol=0.006)
        team.act(observations, actions)
        observations, _, _, truncated, infos = envs.step(actions)
        for name in ("visitor", "intent", "session_page"):
            assert columns[name][t, 0] == copy[name]
        if copy["visitor"] >= 0:
            assert columns["satisfaction"][t, 0] == pytest.approx(person["satisfaction"][0], abs=1e-3)
            money = game.wallet(rules, rules.people[rules.visitor])
            assert columns["wallet"][t, 0] == pytest.approx(money, abs=1e-3)
            shown = np.flatnonzero(columns["item"][t] >= 0)
            stock = [game.stock(rules, int(columns["item"][t, s])) for s in shown]
            np.testing.assert_array_equal(columns["stock"][t, shown], stock)
        np.testing.assert_array_equal(columns["item"][t].reshape(2, 3), infos["shown"][0])
        for bit, name in enumerate(FLAGS):
            np.testing.assert_array_equal(columns["flags"][t].astype(int) >> bit & 1, infos[name][0].ravel())
        np.testing.assert_allclose(columns["individual_reward"][t], infos["individual_reward"][0], atol=1e-3)
        total = sum(column[t] for name, column in columns.items() if name.startswith("term "))
        np.testing.assert_allclose(total, envs.utilities[0].ravel(), atol=11 * 0.5e-3 + 1e-6)
        later += [
            [t, "bought", *(int(infos[f"later_{name}"][0, i]) for name in ("item", "agent"))]
            for i in np.flatnonzero(infos["later_item"][0] >= 0)
        ]
        team.observe(infos, truncated)
    assert [event[:4] for event in head["events"] if event[1] == "bought"] == later
    assert len(later) > 5
    assert {str(int(j)) for j in np.unique(columns["item"]) if j >= 0} <= set(head["items"])


def test_what_became_of_carts_and_people(episode: Path) -> None:
    """Every carted item is bought, given up or still there at the end; a lost user's place has a new person next."""
    head, columns = read(episode)
    carted = {(t, s) for t, s in np.argwhere(columns["flags"].astype(int) >> FLAGS.index("cart") & 1).tolist()}
    fates = {(t, n * 3 + k): (kind, when) for t, n, k, kind, when in head["fates"]}
    assert set(fates) <= carted
    assert all(when >= t for (t, _), (_, when) in fates.items())
    kinds = [kind for kind, _ in fates.values()]
    assert kinds.count(1) == sum(event[1] == "bought" for event in head["events"]) > 5
    assert kinds.count(0) == sum(event[1] == "abandoned" for event in head["events"]) > 5
    assert len(head["lost"]) > 3
    for t in head["lost"]:
        place = columns["visitor"][t, 0]
        again = next((i for i in range(t + 1, head["ticks"]) if columns["visitor"][i, 0] == place), None)
        assert again is None or columns["incarnation"][again, 0] == columns["incarnation"][t, 0] + 1
    assert (columns["stock"] >= 0).all()
    assert 0 < columns["wallet"].max() <= SHOP.users.wallet_init + 1e-3


@pytest.mark.parametrize("task", TASKS)
def test_every_task(task: str, tmp_path: Path) -> None:
    policy = "random" if TASKS[task].ranked else "content"
    head, columns = read(watch(task, policy, seed=1, ticks=30, out=tmp_path / "a.html"))
    assert (head["title"], head["ticks"], head["horizon"]) == (task, 30, TASKS[task].horizon)
    assert (columns["visitor"] >= 0).any()
    assert ("bid" in columns, "published" in columns) == (TASKS[task].auctioned, TASKS[task].ranked)
    assert all(np.isfinite(column).all() for column in columns.values())


def test_two_thousand_ticks_of_the_largest_task(tmp_path: Path) -> None:
    path = watch(replace(TASKS["grocery-v1"], {"horizon": 2000}), out=tmp_path / "long.html")
    assert read(path)[0]["ticks"] == 2000
    assert path.stat().st_size < 3e6


def test_masked_observations_and_one_agent(tmp_path: Path) -> None:
    head, _ = read(watch(replace(SHOP, {"mask_actions": True, "num_agents": 1}), ticks=20, out=tmp_path / "a.html"))
    assert head["agents"] == ["recommender_0"]


# ------------------------------------------------------------------------------------------------ policies


class Mine(Content):
    """A policy of one's own."""


def test_policies_of_ones_own_and_trained_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_watched_policy.py").write_text(
        "from recsys_env.policies import Content\n\nclass Own(Content): pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(LOADERS, "watched", "")
    monkeypatch.delitem(LOADERS, "watched")
    register_loader("watched", lambda folder: Content())
    trained = tmp_path / "trained"
    trained.mkdir()
    (trained / "policy.json").write_text('{"loader": "watched"}')
    policies = ["my_watched_policy:Own", str(trained)]
    head, _ = read(watch("ecommerce-v1", policies, ticks=10, out=tmp_path / "a.html"))
    assert head["policies"] == policies
    head, _ = read(watch("duel-v1", [Mine(), "content"], ticks=10, out=tmp_path / "a.html"))
    assert head["policies"] == ["Mine", "content"]
    for team in ("recommender_1=greedy,recommender_0=content", {"recommender_1": "greedy", "recommender_0": "content"}):
        head, _ = read(watch("duel-v1", team, ticks=10, out=tmp_path / "a.html"))
        assert head["policies"] == ["content", "greedy"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"policies": ["content"] * 3}, "3 policies are given, expected one for all or one for each of recommender_0"),
        ({"policies": "contnt"}, r"unknown policy 'contnt' \(did you mean 'content'\?\)"),
        (
            {"policies": "recommender_0=content"},
            "team 'recommender_0=content' must name a policy for each of the agents",
        ),
        ({"ticks": 0}, r"ticks = 0 is out of range; allowed is \[1, 200\]"),
        ({"ticks": 201}, r"ticks = 201 is out of range"),
        ({"seed": -1}, r"seed = -1 is out of range"),
    ],
)
def test_refusals(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        watch(SHOP, out=tmp_path / "a.html", **options)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written_is_refused_before_the_episode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert watch("duel-v1", ticks=5, out=tmp_path / "new" / "folder" / "a.html").is_file()
    monkeypatch.setattr(VectorEnv, "step", None)
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"file/a\.html cannot be written: .*file"):
        watch("duel-v1", out=tmp_path / "file" / "a.html")
    with pytest.raises(IsADirectoryError, match=r"new is a folder, not a file"):
        watch("duel-v1", out=tmp_path / "new")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match=r"a\.html cannot be written: no permission in .*new"):
        watch("duel-v1", out=tmp_path / "new" / "a.html")


def test_an_interrupted_writer_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = watch("duel-v1", ticks=5, out=tmp_path / "a.html")
    before = path.read_bytes()
    monkeypatch.setattr(Path, "write_text", lambda self, *_, **__: (self.write_bytes(b"<"), 1 / 0))
    with pytest.raises(ZeroDivisionError):
        watch("duel-v1", ticks=6, out=path)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == before


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tyro", reason='needs tyro: pip install "recsys_env[evaluate]"')
    out = tmp_path / "episode.html"
    words = ["watch", "--task", "duel-v1,horizon=30", "--out", str(out), "--policies"]
    main([*words, "recommender_1=greedy,recommender_0=content"])
    assert f"{out}: 0.0 MB; open it in a browser" in capsys.readouterr().out
    head, _ = read(out)
    assert (head["title"], head["policies"]) == ("duel-v1,horizon=30", ["content", "greedy"])
    for wrong, message in (
        ("contnt", "error: unknown policy 'contnt'"),
        ("module:thing", "error: policy 'module:thing'"),
    ):
        with pytest.raises(SystemExit):
            main([*words, wrong])
        assert message in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------ the file


def test_nothing_from_outside(episode: Path) -> None:
    page = episode.read_text(encoding="utf-8")
    page = page.replace(part(page, "data"), "")
    assert "://" not in page
    assert not re.search(r"(src|href)\s*=|@import|url\(|fetch|XMLHttp", page)
    assert "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'" in page
    assert "innerHTML" not in page


def test_names_cannot_break_the_page(episode: Path) -> None:
    page = episode.read_text(encoding="utf-8")
    assert "<title>a &lt;shop&gt;: an episode</title>" in page
    assert "<" not in part(page, "head")
    assert "{{" not in page


HOSTILE = (
    "{{data}}",
    "{{head}}",
    "%%{data}",
    "%%head",
    "$data ${head}",
    "</script><script>document.title = 'broken'</script>",
    "<!--<script>",
    "'\"`\\",
    "a\u2028b\u2029c",
    "\ud800",
)


@pytest.fixture(scope="module")
def hostile_items() -> Catalogue:
    """A shop whose items are all called so."""
    grocery = Catalogue.load("grocery")
    names = np.resize(np.array(HOSTILE), len(grocery.item_name))
    return dataclasses.replace(grocery, item_name=names)


@pytest.mark.parametrize("title", HOSTILE)
def test_no_title_breaks_the_page(title: str, hostile_items: Catalogue, tmp_path: Path) -> None:
    path = watch("grocery-v1", ticks=30, title=title, out=tmp_path / "a.html", catalogue=hostile_items)
    page = path.read_text(encoding="utf-8")
    head, columns = read(path)
    assert head["title"] == title
    named = {name.partition(f"item {j} ")[2] for j, (name, *_) in head["items"].items()}
    assert named == {on_one_line(name)[:_NAME] for name in HOSTILE}
    assert (columns["visitor"] >= 0).any()
    shown = re.search("<title>(.*): an episode</title>", page)
    assert shown is not None
    assert html.unescape(shown.group(1)) == title.replace("\ud800", "\ufffd")
    assert page.count("</script>") == 3
    assert "<!--<" not in page


# ------------------------------------------------------------------------------------------------ in a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or chromedriver is None:
        pytest.skip("needs chromium and chromedriver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1400,900",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    yield driver
    driver.quit()


def opened(browser: Any, path: Path, fragment: str = "") -> Any:
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get("about:blank")
    browser.get(f"{path.as_uri()}{fragment}")
    WebDriverWait(browser, 60).until(lambda driver: driver.execute_script("return document.body.dataset.ready"))
    return browser


def pressed(browser: Any, *keys: str, shift: bool = False) -> int:
    """The tick after these keys."""
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    chain = ActionChains(browser)
    if shift:
        chain.key_down(Keys.SHIFT).send_keys(*keys).key_up(Keys.SHIFT).perform()
    else:
        chain.send_keys(*keys).perform()
    return int(browser.execute_script("return document.body.dataset.tick"))


def texts(browser: Any, selector: str) -> str:
    return str(browser.execute_script(f"return document.querySelector({selector!r}).textContent"))


def numbers(browser: Any, selector: str) -> list[float]:
    """What the elements show, signs and percent signs in place."""
    script = f"return [...document.querySelectorAll({selector!r})].map(x => x.textContent)"
    return [float(text.replace("−", "-").removesuffix(" %")) for text in browser.execute_script(script)]


def test_keys_and_buttons(browser: Any, episode: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    head, columns = read(episode)
    opened(browser, episode, "#tick=7")
    assert texts(browser, "#tick") == "tick 7 of 200"
    assert pressed(browser, Keys.ARROW_RIGHT) == 8
    assert pressed(browser, Keys.ARROW_LEFT, Keys.ARROW_LEFT) == 6
    assert pressed(browser, Keys.ARROW_RIGHT, shift=True) == 16
    assert pressed(browser, Keys.END) == 199
    assert pressed(browser, Keys.ARROW_RIGHT) == 199
    assert pressed(browser, Keys.HOME) == 0
    assert pressed(browser, Keys.ARROW_LEFT) == 0
    clicks = np.flatnonzero((columns["flags"].astype(int) & 1).any(axis=1))
    assert pressed(browser, "c") == clicks[clicks > 0][0]
    pressed(browser, Keys.HOME)
    bought = sorted({event[0] for event in head["events"] if event[1] == "bought"})
    assert pressed(browser, "p") == bought[0]
    assert pressed(browser, "p") == bought[1]
    assert pressed(browser, "p", shift=True) == bought[0]
    pressed(browser, Keys.HOME)
    assert pressed(browser, "l") == head["lost"][0]
    for name, first in (("click", clicks[clicks > 0][0]), ("purchase", bought[0]), ("lost", head["lost"][0])):
        pressed(browser, Keys.HOME)
        browser.find_element("id", name).click()
        assert browser.execute_script("return document.body.dataset.tick") == str(first)
    slider = browser.find_element("id", "slider")
    pressed(browser, Keys.HOME)
    slider.send_keys(Keys.ARROW_RIGHT)
    assert browser.execute_script("return [document.body.dataset.tick, slider.value]") == ["1", "1"]
    assert "tick 1: " in slider.get_attribute("aria-valuetext")


def test_it_plays(browser: Any, episode: Path) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    opened(browser, episode)
    pressed(browser, " ")
    assert browser.find_element("id", "play").get_attribute("aria-pressed") == "true"
    WebDriverWait(browser, 60).until(lambda driver: int(driver.execute_script("return document.body.dataset.tick")) > 2)
    pressed(browser, " ")
    assert browser.find_element("id", "play").get_attribute("aria-pressed") == "false"


def test_each_tick_shows_its_page(browser: Any, episode: Path) -> None:
    """Items, what happened to them, the utility of each slot and the odds stand where they should."""
    head, columns = read(episode)
    opened(browser, episode)
    shown = 0
    for t in range(0, 200, 7):
        browser.execute_script(f"show({t})")
        cards = texts(browser, "#agents")
        utilities = numbers(browser, "#terms td.half b")  # by rank, rounded to .01
        clicks = numbers(browser, "#terms tr:has(td.half b) td:last-child")
        assert texts(browser, "#visit").startswith("Nobody" if columns["visitor"][t, 0] < 0 else "User")
        slots = np.flatnonzero(columns["item"][t] >= 0)
        slots = slots[np.argsort(columns["rank"][t, slots], kind="stable")]
        assert len(utilities) == len(clicks) == len(slots)
        for i, s in enumerate(slots):
            shown += 1
            assert f"{int(columns['rank'][t, s]) + 1}. {head['items'][str(int(columns['item'][t, s]))][0]}" in cards
            v = sum(column[t, s] for name, column in columns.items() if name.startswith("term "))
            assert utilities[i] == pytest.approx(v, abs=0.005 + 1e-6)
            assert clicks[i] == pytest.approx(100 * columns["click"][t, s], abs=0.05 + 1e-6)
        for word in ("clicked", "bought", "liked"):
            happened = (columns["flags"][t].astype(int) >> FLAGS.index(word) & 1).any()
            marks = browser.execute_script(
                "return [...document.querySelectorAll('#agents .pill')].map(x => x.textContent)"
            )
            assert (word in marks) == happened
    assert shown > 50


def test_as_another_agent_sees_it(browser: Any, episode: Path) -> None:
    head, columns = read(episode)
    opened(browser, episode)
    browser.execute_script(f"show({int((columns['visitor'][:, 0] >= 0).argmax())})")
    browser.execute_script("document.querySelectorAll('#who button')[1].click()")
    assert texts(browser, "#knower") == "recommender_1"
    fields = browser.execute_script(
        "return [...document.querySelectorAll('#known > :nth-child(3n + 1)')].map(x => x.textContent)"
    )
    assert fields == [name for name, _ in head["fields"]]
    assert "trust in recommender_0" in texts(browser, "#latent")


def test_no_request_leaves_the_file(browser: Any, episode: Path) -> None:
    browser.get_log("performance")
    opened(browser, episode)
    pressed(browser, "c", "p", "l")
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert {url.partition("#")[0] for url in asked} - {"about:blank"} == {episode.as_uri()}
    assert not browser.get_log("browser")  # nor an error in the console


def test_hostile_names_in_a_browser(browser: Any, hostile_items: Catalogue, tmp_path: Path) -> None:
    title = "</script><!--{{head}}%%{data}"
    path = watch("grocery-v1", ticks=30, title=title, out=tmp_path / "a.html", catalogue=hostile_items)
    opened(browser, path)
    assert texts(browser, "#title") == title
    assert browser.title == f"{title}: an episode"


@pytest.mark.parametrize("width", [1400, 390])
def test_no_sideways_scrolling(browser: Any, episode: Path, width: int) -> None:
    metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 800}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        opened(browser, episode, "#tick=20")
        assert browser.execute_script("return innerWidth") == width
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_long_episode_moves_at_once(browser: Any, tmp_path: Path) -> None:
    """Going to another tick builds the page anew, and only that: its parts do not grow with the ticks gone through."""
    opened(browser, watch(VectorEnv(SHOP), ["content"], out=tmp_path / "a.html"))
    count = "return document.getElementsByTagName('*').length"
    pages = []
    for _ in range(3):
        browser.execute_script("for (let t = 0; t < 200; t++) show(t); show(11)")
        pages.append(browser.execute_script(count))
    assert len(set(pages)) == 1
