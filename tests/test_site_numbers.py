"""Numbers in sentences and comments of the site are made from results, or computed here, or say why they need neither.

A number that states a measurement or an expectation is one of these:

- `{{ name }}`, which docs/quoted.py makes from a stored result when the site is built;
- a part of a phrase of `COMPUTED`, which is computed here;
- a part of a phrase of `GIVEN`, with the reason why nothing here computes it.

So are those of the tasks' descriptions, which are on their pages, and of the docstrings of the API reference.

Not looked at: whole numbers below ten, code, equations, shapes in brackets, and what `DEFINITIONS` names.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import pytest

pytest.importorskip("quantecon")
pytest.importorskip("rich")
pytest.importorskip("matplotlib")
pytest.importorskip("torch")

import quoted
import test_frozen_tasks
from measured import evidence

from baselines import learners, sweep
from baselines.algorithms import Generative
from baselines.generative_pretraining import SOFT
from benchmarks.compat import TEAM
from benchmarks.compat.snippets import ROOT, pages
from recsys_env import TASKS, Catalogue, WorldConfig, exact
from recsys_env.batch import game as game_batch
from recsys_env.batch.vector import PAYS_OFF, SPECIALISED
from recsys_env.cli import CATALOGUES
from recsys_env.evaluation.report import Command
from recsys_env.fitting.world import CLICKS_PER_PAGE
from recsys_env.kernels.dynamics import SATISFACTION_RATE
from recsys_env.language import endpoint, rules
from recsys_env.language import pages as prompts
from recsys_env.trained import sizes
from recsys_env.world.build import build as world
from recsys_env.world.texts import POLES
from recsys_env.world.texts.requests import WIDTH

DEFINITIONS = re.compile(
    r"\b(?:19|20)\d\d\b"  # years
    r"|Python 3\.\d+(?:,? (?:to|or) 3\.\d+)?|\b(?:torch|torchrl|numpy|Gymnasium) <? ?\d[\d.]*"  # versions
    r"|SHA-256|64 bits|2\^64|84\.51|SmolLM2-135M|section \d[\d.]*"  # names
    r"|(?:KuaiRand(?:'s)?|Virtual Taobao|RetailRocket(?:'s)?|Upworthy) (?:\d*\.\d+(?: and | to )?)+"  # published levels
    r"|95 %"  # intervals
    r"|(?:0 and |and (?:another )?|is |, )100\b|100 (?:for the best|of the scale)|so 100 is|becomes 100"  # of the scale
)
NUMBER = re.compile(r"(?<![\w.])\d*\.?\d[\d,]*(?:\.\d+)?(?: ?(?:%|ms|seconds|s|minutes|KB|MB|GB|M|times))?(?![\w])")


# ------------------------------------------------------------------------------------------------ what is computed


@cache
def duel(play: str) -> float:
    """Expected reward per agent and tick of `duel-v1` as the team of the compatibility table, in the long run, of "X",
    "Y" and "random" play."""
    game = exact.tabulate("duel-v1", **TEAM)
    policy = np.full((3, 2), 0.5) if play == "random" else game.policy(play * 3)
    return float((exact.evaluate(game, [policy, policy], exact.AVERAGE) @ game.initial).mean())


def three(value: float) -> str:
    """A share as .123."""
    return f"{value:.3f}".lstrip("0")


def against(one: str, other: str) -> list[float]:
    """What two policies of the pages on exact answers earn per tick."""
    game = exact.tabulate("duel-v1")
    return (exact.evaluate(game, [game.policy(one), game.policy(other)]) @ game.initial).tolist()  # type: ignore[no-any-return]


def anarchy() -> float:
    game = exact.tabulate("duel-v1")
    value, _ = exact.team_optimum(game)
    return exact.prices(exact.pure_policies(game).equilibria(), game.initial @ value)[0]


def mix() -> list[float]:
    """Of the mixed equilibrium of harvest and myopic play."""
    game = exact.tabulate("duel-v1")
    payoffs = exact.empirical_game(game, [[game.policy("YXX"), game.policy("YYY")]] * 2)
    mixed = [found for found in exact.mixed_equilibria(payoffs) if 0.01 < found[0][0] < 0.99]
    return [float(share) for share in mixed[0][0]]


def horizons() -> str:
    others = sorted({task.horizon for task in TASKS.values()} - {1000})
    count = sum(task.horizon != 1000 for task in TASKS.values())
    word = ["none", "one", "two", "three", "four", "five", "six", "seven"][count]
    return f"(1000 in most named tasks, {' or '.join(map(str, others))} in {word})"


COMPUTED: dict[str, list[Callable[[], str]]] = {  # page -> phrases in it
    "docs/exact.md": [
        lambda: f"of anarchy {three(anarchy())}, of stability 1",
        lambda: "and a mix: {} and {}".format(*(f"{share:.2f}".lstrip("0") for share in sorted(mix(), reverse=True))),
        lambda: "{} and {} per tick".format(*map(three, against("YXX", "YYY"))),
    ],
    "docs/game.md": [
        horizons,
        lambda: f"({' or '.join({f'{task.discount:g}' for task in TASKS.values()})} in all named tasks)",
    ],
    "docs/data.md": [
        lambda: "{:,} products and {:,} households".format(*catalogue()[::-1]),
        lambda: f"one of the {catalogue()[1]:,} most bought products",
        lambda: f"{2_469 - catalogue()[0]} of 2,469 did not",  # households of Complete Journey
        lambda: f"`choice.v_0` is calibrated to .{CLICKS_PER_PAGE * 10:.0f} clicks on a page filled at random",
        lambda: f"On a page of {page_of_grocery()} products",
    ],
    "docs/speed.md": [
        lambda: f"at the first step of a batch of {SPECIALISED:,} copies or more",
        lambda: f"changes once after {PAYS_OFF:,} agent-steps",
        lambda: f"{catalogue()[0]:,} people and {catalogue()[1]:,} products",
    ],
    "docs/observations.md": [
        lambda: f"it warns above {game_batch.QUERY_SCAN_WARNING:,} items",
        lambda: f"`items.log_impressions` per item ({WorldConfig().items.log_impressions:g})",
        lambda: f"to {world.SAMPLE} people (down to {world.SAMPLE // 8} in catalogues beyond",
        lambda: f"{4_000_000 // world.SAMPLE:,} items) who are in no episode",
        lambda: f"the estimate moves .{SATISFACTION_RATE * 10:.0f} of the way",
        lambda: f"where `dynamics.z_rate` is .{SATISFACTION_RATE * 10:.0f}",
        lambda: "(2 to {meta[high]} words)".format(
            meta=next(f.metadata for f in dataclasses.fields(WorldConfig) if f.name == "messages")
        ),
    ],
    "docs/language.md": [
        lambda: f"at most {prompts.MOST_OPTIONS} items",
        lambda: f"words for the first {len(POLES)} dimensions",
        lambda: f"see a vector of {WIDTH} numbers",
        lambda: f"stands for {WIDTH} signs",
        lambda: f"more than {rules.LONGEST_LINE} characters are cut",
        lambda: f"the last {prompts.IGNORED} items that were shown",
        lambda: f"{endpoint.Endpoint.answer_tokens:,} tokens behind an address",
        lambda: f"and {endpoint.LanguageModel.answer_tokens} on this machine",
        lambda: f"({endpoint.SECONDS:.0f} seconds by default)",
        lambda: f"at most {endpoint.LONGEST_REPLY // 2**20} MiB",
    ],
    "docs/evaluation.md": [
        lambda: f"({Command().episodes} by default)",
        lambda: "seeds {} to {}, on which [learners]".format(*ends(CATALOGUES["train"])),
        lambda: "seeds {} to {}, on which nothing".format(*ends(CATALOGUES["unseen"])),
    ],
    "docs/large_models.md": [
        lambda: "worlds {} to {} at once".format(*ends(CATALOGUES["train"])),
        lambda: "in worlds {} to {}, beside".format(*ends(CATALOGUES["unseen"])),
    ],
    "docs/training/generative.md": [
        lambda: f"scores multiplied by .{SOFT * 10:.0f}",
        lambda: f"three tokens out of {sizes.SIZES['0.1m'].tokens}",
        lambda: f"the nearest of {sizes.SIZES['0.1m'].tokens} centres",
        lambda: f"At most {sizes.SIZES['0.1m'].tokens} items",
    ],
    "docs/training/learners.md": [
        lambda: f"plays {learners.TICKS:,} ticks of a task, counted over all copies",
        lambda: (
            f"With more than {learners.MOST_AGENTS} agents (`creators-v0`) a run has "
            f"{learners.budget('creators-v0'):,} agent-steps and fewer ticks"
        ),
        lambda: f"seven runs of {learners.SHORT:,} ticks on a seed that is not published ({sweep.SEEDS[0][0]})",
        lambda: "a second round of {} runs".format(
            len(sweep.SEEDS[1]) * len(sweep.changes(learners.LEARNERS["ppo-torch"]))
        ),
        lambda: "plays each setting with two other seeds ({} and {})".format(*sweep.SEEDS[1]),
        lambda: "`ippo` now has a learning rate of {learning_rate}".format(**sweep.defaults(learners.LEARNERS["ippo"])),
        lambda: "its sweeps started at {learning_rate}".format(
            **learners.read_sweep(learners.SWEEP)["ippo"]["duel-v1"]["rounds"][0]["defaults"]
        ),
        lambda: "{:.1f} million, after {:,} logged pages".format(
            Generative("streaming-v1").timesteps / 1e6, Generative("streaming-v1").pages
        ),
        lambda: f"{Generative('streaming-v1').eval_episodes} episodes on seeds that nothing else uses",
        lambda: f"{10 * Generative('streaming-v1').eval_episodes} other episodes",
    ],
    "docs/versioning.md": [lambda: f"{test_frozen_tasks.TICKS} ticks on a fixed seed"],
    "README.md": [lambda: f"batch of {SPECIALISED:,} copies or more"],
    "benchmarks/compat/__init__.py": [
        lambda: f"both X {three(duel('X'))}, both Y {three(duel('Y'))}",
        lambda: f"random play {three(duel('random'))}",
    ],
}


def page_of_grocery() -> int:
    return TASKS["grocery-v1"].num_agents * TASKS["grocery-v1"].slots


def catalogue() -> tuple[int, int]:
    """Households and products of the shipped catalogue."""
    catalogue = Catalogue.load("grocery")
    return len(catalogue.user_activity), len(catalogue.item_price)


def ends(seeds: range) -> tuple[int, int]:
    """The first and the last."""
    return seeds[0], seeds[-1]


TRIED = "work that left no results: how often something was tried by hand"
SIZES = "numbers of copies in the tables of the page"
MACHINE = "an order of magnitude, which depends on the machine"
LIMIT = "a limit of the code"
SCALE = "the scale of scores"
SOLVED = "tested in tests/test_exact*.py and tests/test_pricing.py"
BLOCK = "what the code block beside it sets"
GIVEN: dict[str, dict[str, str]] = {  # page -> phrases in it, with the reason why nothing computes their numbers
    "README.md": {
        "about 3 minutes": MACHINE,
        "about 10 minutes on 2 cores": MACHINE,
        "100 is the best known policy": SCALE,
    },
    "docs/evaluation.md": dict.fromkeys(
        (
            "What 100 means",
            "100 is the best known policy",
            "the present 100",
            "scores above 100",
            "policies that are 100",
            "where 100 is",
        ),
        SCALE,
    ),
    "docs/challenge.md": {"More steps (10 million)": TRIED},
    "docs/data.md": {
        "more than 10,000 characters": LIMIT,
        "The 20 most bought products": "a definition",
        "dates such as 20240301": "an example",
        "the other 15 products": "twenty less five",
    },
    "docs/exact.md": {
        "feedback.noise_scale = 0.3": BLOCK,
        "147 states in all": SOLVED,
        "147, (": SOLVED,
        "512 pairs of copies": "a size of the check",
        ".2316 to .2776": SOLVED,
        "earns .6986": SOLVED,
        ".7610: both gain .3805": SOLVED,
        "near 100": "the scale of scores",
    },
    "docs/language.md": {
        "last 20,000 characters": LIMIT,
        "(401)": "a status of HTTP",
        "(403)": "a status of HTTP",
        "(404)": "a status of HTTP",
        "status 408, 409, 429 and 500 or more": "statuses of HTTP",
    },
    "docs/policies.md": {"64 MiB": LIMIT},
    "docs/interfaces.md": {"512 rows": BLOCK},
    "docs/speed.md": {
        "with 64 and with 1,024 copies": SIZES,
        "From 1,024 copies on, the state": SIZES,
        "With 4,096 copies": SIZES,
        "aim: 30 %": "an aim",
    },
    "docs/training/generative.md": {"in 16 worlds at once": BLOCK},
    "docs/training/learners.md": {
        "earns at least 1 % more on so many tasks that": "the rule of tests/test_sweep.py",
        "(a sign test at 5 %)": "the rule of tests/test_sweep.py",
        "about 130 runs of 2.5 to 10 million": TRIED,
        "64 candidates": "the size of a generation when it was tuned",
        "58 runs, most of them of 15 seconds": TRIED,
        "24 runs": TRIED,
    },
    "docs/observations.md": {"at most 1,000 items": LIMIT},
    "docs/training/rllib.md": {"16 copies": BLOCK},
    "docs/trial.md": {"on 2026-12-01": "the day of the trial"},
    "docs/tutorials/stable_baselines3.md": {"makes an episode 100 ticks": BLOCK},
}


# ------------------------------------------------------------------------------------------------ descriptions


def per_page(task: str, policy: str) -> str:
    """Clicks of a page, as .12."""
    return f"{evidence(task)['levels'][policy]['clicks_per_page']:.2f}".lstrip("0")


def own(task: str, policy: str) -> str:
    return f"{evidence(task)['rows'][policy]['mean']:.0f}"


def paid(task: str, policy: str, rival: str) -> str:
    """What a policy earns against a rival's."""
    return f"{evidence(task)['play']['payoffs'][policy][rival]['mean']:.0f}"


def carts_per_click() -> float:
    return float(evidence("ecommerce-v1")["levels"]["random"]["carts_per_click"])


def unbeaten(task: str) -> list[str]:
    """The planners of the least and the greatest price that nothing tried beats."""
    (found,) = evidence(task)["play"]["priced"]["unbeaten"]
    return [found[0], found[-1]]


def priced(task: str) -> list[float]:
    """Individual reward where both play the ends of that range, and where both are myopic."""
    prices = evidence(task)["play"]["priced"]["prices"]
    return [prices[name]["reward"]["mean"] for name in (*unbeaten(task), "greedy")]


def duel_of(rows: str, columns: str) -> str:
    return three(against(rows * 3, columns * 3)[0])


def of_wrong_answers() -> str:
    """Loss of the equilibrium policies of the duel against each other, to what is best there."""
    mine, best = against("YXX", "YYY"), (against("YYY", "YYY")[0], against("YXX", "YXX")[0])
    losses = [1 - earned / most for earned, most in zip(mine, best, strict=True)]
    return f"costs {100 * losses[0]:.0f} to {100 * losses[1]:.0f} %"


DESCRIBED: dict[str, list[Callable[[], str]]] = {  # task -> phrases of its description
    "duel-v1": [
        lambda: f"Y against X (T) {duel_of('Y', 'X')}, both X (R) {duel_of('X', 'X')}, both Y (P) {duel_of('Y', 'Y')}",
        lambda: f"X against Y (S) {duel_of('X', 'Y')}",
        lambda: f"would play, {three(against('YXX', 'YXX')[0])}. The other is YYY, {three(against('YYY', 'YYY')[0])}",
        of_wrong_answers,
    ],
    "market-v0": [
        lambda: f"pays .{TASKS['market-v0'].planner_price * 10:.0f} per unit of trust",
        lambda: (
            f"random {own('market-v0', 'random')}, planner {own('market-v0', 'planner')}, greedy "
            f"{own('market-v0', 'greedy')}, central {own('market-v0', 'central')}; a planner among greedy rivals "
            f"{paid('market-v0', 'planner', 'greedy')}, a greedy one among planners "
            f"{paid('market-v0', 'greedy', 'planner')}"
        ),
    ],
    "ecommerce-v1": [
        lambda: f"Pays {TASKS['ecommerce-v1'].reward.click:.2f} per click".replace("0.", "."),
        lambda: f"each of {TASKS['ecommerce-v1'].items.number} items in {TASKS['ecommerce-v1'].items.restock_period}",
        lambda: f"under random {per_page('ecommerce-v1', 'random')}",
        lambda: (
            f"carts per click (.{100 * carts_per_click():.0f}) are about {carts_per_click() / 0.026:.0f} times "
            "RetailRocket's .026"
        ),
    ],
    "coverage-v0": [
        lambda: f"The {TASKS['coverage-v0'].items.number} topics",
    ],
    "journey-v1": [lambda: f"({per_page('journey-v1', 'random')} under random)"],
    "social-v1": [
        lambda: f"({per_page('social-v1', 'random')} under random, {per_page('social-v1', 'content')} under content)"
    ],
    "news-v1": [
        lambda: "({:.2f} of a slate's".format(TASKS["news-v1"].reward.diversity).replace("0.", "."),
        lambda: "({:.1f} of theta".format(TASKS["news-v1"].reward.fairness).replace("0.", "."),
        lambda: f"last {TASKS['news-v1'].reward.fairness_half_life:.0f} pages",
        lambda: f"lives {TASKS['news-v1'].items.life} ticks",
        lambda: f"under random {three(evidence('news-v1')['levels']['random']['clicks_per_impression'])}",
    ],
    "streaming-v1": [
        lambda: f"Clicks per page {per_page('streaming-v1', 'random')} under random",
        lambda: f"{per_page('streaming-v1', 'content')} under content",
    ],
    "coldstart-v1": [
        lambda: f"live {TASKS['coldstart-v1'].items.life} ticks",
        lambda: f"under random {per_page('coldstart-v1', 'random')}",
    ],
    "grocery-v1": [
        lambda: f"{catalogue()[0]:,} households",
        lambda: (
            f"{per_page('grocery-v1', 'random')} a page under random, {per_page('grocery-v1', 'content')} under content"
        ),
    ],
    "crossdomain-v0": [lambda: f"Clicks per page {per_page('crossdomain-v0', 'random')} under random"],
    "creators-v0": [lambda: f"Every {TASKS['creators-v0'].platform.period} ticks"],
    "rivals-v1": [
        lambda: "beats {} to {} times the price".format(*(name.split()[-1] for name in unbeaten("rivals-v1"))),
        lambda: "(individual reward from {:.0f} down to {:.0f}; both myopic {:.0f})".format(*priced("rivals-v1")),
        lambda: f"{per_page('rivals-v1', 'random')} under random and {per_page('rivals-v1', 'content')} under content",
    ],
}
ELSEWHERE = "tested in tests/test_{}.py"
GIVEN_IN_DOCSTRINGS = {
    "recsys_env.evaluation.watch": {"2,000 ticks of any shipped task take less than 3 MB": ELSEWHERE.format("watch")},
    "recsys_env.evaluation.place_on_scale": {"those of `high` 100": "the scale of scores"},
    "recsys_env.experiments.ab_test": {"more than 15 % of the ticks": "what it allows"},
    "recsys_env.experiments.Protocol": {"more than 15 % of the ticks": "what it allows"},
    "recsys_env.experiments.sparse": {"12 % of the ticks": "what it sets", "satisfaction is .8": "what it sets"},
    "recsys_env.evaluation.record": {"batches of 256": "what it sets"},
    "recsys_env.fitting.fit": {"within 20 years": "what it allows"},
    "recsys_env.world.texts.measure.explained": {"fewer than 20 texts": "what it allows"},
}
GIVEN_IN_DESCRIPTIONS: dict[str, dict[str, str]] = {
    "pricing-duel-v0": {
        "worst (3, 0, 1) .2316 and the best symmetric one (3, 0, 2) .2692, prices at random .3219, myopic (5, 3, 3) "
        ".5903, joint optimum (6, 6, 3) .6986": ELSEWHERE.format("exact_report"),
    },
    "ecommerce-v1": {"a bad one costs about .5": "from the coefficients of the world"},
    "coverage-v0": {
        ".147 at random, .276 each alone, .354 the best pair of rules, .523 with all known": ELSEWHERE.format(
            "coverage"
        ),
        "each step is worth 10 to 30 % and sessions have 2.7 pages": "what the task was set to",
    },
    "journey-v1": {"click weight of .02": "a weight of the role's config"},
    "coldstart-v1": {"1 to 4 in 10 sessions": "what the task was set to"},
    "creators-v0": {"`num_agents` from 2 to 50": "what is to be varied"},
}


@pytest.mark.parametrize("task", TASKS)
def test_no_number_of_a_description_is_unfounded(task: str) -> None:
    text = one_line(TASKS[task].description)
    said = [f"Discount {three(TASKS[task].discount)}", *(make() for make in DESCRIBED.get(task, ()))]
    said += GIVEN_IN_DESCRIPTIONS.get(task, {})
    assert [phrase for phrase in said if phrase not in text] == []
    assert left(text, said) == []


# ------------------------------------------------------------------------------------------------ docstrings


def referenced() -> dict[str, list[str]]:
    """Module -> names in it, or "" of itself, of all that the API reference takes docstrings from."""
    pages = (page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs" / "api").glob("*.md")))
    found = {pair for page in pages for pair in re.findall(r"auto(function|class|module)::\s+(recsys_env[\w.]*)", page)}
    modules: dict[str, list[str]] = {}
    for directive, name in sorted(found):
        module, _, attribute = (name, "", "") if directive == "module" else name.rpartition(".")
        modules.setdefault(module, []).append(attribute)
    return modules


REFERENCED = referenced()


def docstrings(found: Any) -> list[str]:
    """Of a function, class or module, and of what is public in it; without lines of code."""
    inside = [] if isinstance(found, FunctionType) else [value for key, value in vars(found).items() if key[0] != "_"]
    documented = [value for value in inside if isinstance(value, (FunctionType, type, property))]
    own = [value for value in documented if str(getattr(value, "__module__", "recsys_env")).startswith("recsys_env")]
    texts = (inspect.getdoc(value) or "" for value in (found, *own))
    return [re.sub(r"^ *.*(?:\w=[\w\"]| = ).*$", "", text, flags=re.MULTILINE) for text in texts]


@pytest.mark.parametrize("module", REFERENCED)
def test_no_number_of_a_docstring_is_unfounded(module: str) -> None:
    holder = pytest.importorskip(module, exc_type=ImportError)
    wrong = []
    for attribute in REFERENCED[module]:
        name = f"{module}.{attribute}".rstrip(".")
        text = " ".join(map(one_line, map(sentences, docstrings(getattr(holder, attribute) if attribute else holder))))
        said = list(GIVEN_IN_DOCSTRINGS.get(name, {}))
        wrong += [f"{name}: {phrase}" for phrase in (*(p for p in said if p not in text), *left(text, said))]
    assert not wrong, "\n".join(wrong)


# ------------------------------------------------------------------------------------------------ what is found


def sentences(text: str) -> str:
    """Sentences of a page, and the comments in its code blocks; without code, equations, links and generated parts."""
    comments = "\n".join(
        line.partition("#")[2]
        for block in re.findall(r"```(?:python|bash)\n(.*?)```", text, flags=re.DOTALL)
        for line in block.splitlines()
    )
    text = re.sub(r"<!-- (\w+) -->.*?<!-- /\1 -->", "", text, flags=re.DOTALL)
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    text = re.sub(r"\$\$.*?\$\$|\$[^$]*\$", "", f"{text}\n{comments}", flags=re.DOTALL)
    return re.sub(r"\]\([^)]*\)|\[[^\]]*, [NOBK0-9][^\]]*\]", "]", text)


def one_line(text: str) -> str:
    return " ".join(text.split())


def unfounded(page: Path) -> list[str]:
    """Numbers of a page that are neither made, nor computed, nor given; each with the words around it."""
    name = str(page.relative_to(ROOT))
    text = one_line(sentences(page.read_text(encoding="utf-8")))
    return left(text, [*(make() for make in COMPUTED.get(name, ())), *GIVEN.get(name, ())])


def left(text: str, phrases: list[str]) -> list[str]:
    """Numbers of a text that are not in these phrases, each with the words around it."""
    for phrase in phrases:
        text = text.replace(phrase, "")
    text = DEFINITIONS.sub("", re.sub(r"`[^`]*`|\{\{ \w+ \}\}", "", text))
    return [
        text[max(match.start() - 40, 0) : match.end() + 20]
        for match in NUMBER.finditer(text)
        if not (match[0].rstrip(",").isdecimal() and int(match[0].rstrip(",")) < 10)
    ]


# ------------------------------------------------------------------------------------------------ tests


def test_no_number_of_a_page_is_unfounded() -> None:
    """What is listed needs a name of docs/quoted.py, or a line in this file; or nobody needs it."""
    found = [f"{page.relative_to(ROOT)}: {number}" for page in pages() for number in unfounded(page)]
    assert not found, "\n".join(found)


def test_what_is_computed_and_given_is_on_the_page() -> None:
    missing = []
    for page in sorted({*COMPUTED, *GIVEN}):
        text = one_line((ROOT / page).read_text(encoding="utf-8")).replace(" # ", " ")
        said = [*(make() for make in COMPUTED.get(page, ())), *GIVEN.get(page, ())]
        missing += [f"{page}: {phrase}" for phrase in said if phrase not in text]
    assert not missing, "\n".join(missing)


def test_quoted_numbers_are_measured_and_quoted() -> None:
    made = quoted.numbers()
    assert made.keys() == quoted.used()
    assert [name for name, number in made.items() if not re.search(r"\d", number)] == []


def test_a_result_that_is_not_there_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise quoted.NotMeasured(name)

    monkeypatch.setattr(quoted, "stored", missing)
    assert quoted.numbers()["pooling_random"] == "(not measured)"


def test_a_new_number_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "It earns 17.3 in 3 of 5 runs of 2,000 pages (± 95 %, Sutton 2018), `0.5` of it and {{ pooling_random }}.\n"
        "```python\nx = 31  # about .29 per tick\n```\n"
    )
    monkeypatch.setitem(unfounded.__globals__, "ROOT", tmp_path)
    found = " | ".join(unfounded(page))
    assert [number in found for number in ("17.3", "2,000", ".29")] == [True] * 3
    assert len(unfounded(page)) == 3
