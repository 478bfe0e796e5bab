"""Find out which trainer libraries and extras work with this environment today, each in a fresh virtual environment.

    python -m benchmarks.compat.table [--library torchrl ...] [--extra render ...] [--keep FOLDER]

Each library is installed with the commands below. Then `python -m benchmarks.compat.LIBRARY` trains its algorithms on
the smallest task, changed as `benchmarks.compat.DILEMMA` says, and the code blocks of that library in the documentation
are run. An algorithm has learned if the reward per agent and tick is above .33, which lies between random play and two
agents that always show X (`DILEMMA` names what both earn). Every other extra is installed together with what tests
need, and the tests that belong to it are run. What is not named keeps its stored
rows. A failure is stored with its error.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recsys_env.provenance import provenance

from ..result_files import earlier, store
from . import LEARNED

ROOT = Path(__file__).parent.parent.parent
SNIPPETS = {"sb3": "train"}  # library -> the name in its blocks on the site, where it is that of an extra
# library -> (pip commands, packages whose versions are stored)
INSTALL: dict[str, tuple[list[list[str]], list[str]]] = {
    "sb3": ([["-e", ".[train]"]], ["stable-baselines3", "sb3-contrib", "supersuit"]),
    "torchrl": ([["-e", ".[torchrl]"]], ["torchrl"]),
    "benchmarl": ([["-e", ".[benchmarl]"]], ["benchmarl", "torchrl"]),
    "rllib": ([["-e", ".[rllib]"]], ["ray"]),
    "skrl": ([["-e", ".[skrl]"]], ["skrl"]),
    "tianshou": ([["-e", ".[tianshou]"]], ["tianshou"]),
    "agilerl": (
        [
            ["agilerl==2.42.5", "transformers>=5,<6", "numba>=0.61,<0.70"],
            ["--no-deps", "pettingzoo==1.27.0", "-e", "."],
        ],
        ["agilerl"],
    ),
    "xuance": ([["xuance==1.4.4"], ["-e", "."]], ["xuance"]),
    "pufferlib": ([["-e", ".[pufferlib]"]], ["pufferlib-core"]),
    "trl": ([["-e", ".[trl]"]], ["trl"]),
    "verifiers": ([["-e", ".[verifiers]", "torch>=2.8"]], ["verifiers"]),
    "openenv": ([["-e", ".[openenv]", "torch>=2.8", "transformers>=5.24"]], ["openenv"]),
}
# Extra that brings no trainer library -> the tests that belong to it.
EXTRAS: dict[str, tuple[str, ...]] = {
    "train": ("test_train", "test_ippo", "test_cma_es", "test_ppo_torch", "test_q_torch"),
    "recommenders": ("test_policies", "test_learners"),
    "lightfm": ("test_policies", "test_learners"),
    "evaluate": ("test_evaluate", "test_tournament", "test_statistics", "test_scenarios", "test_plots", "test_record"),
    "exact": ("test_exact", "test_exact_report", "test_exact_solve", "test_exploit", "test_counterfactual"),
    "openspiel": ("test_openspiel",),
    "text": ("test_language", "test_language_models", "test_encode", "test_pages", "test_texts"),
    "language": ("test_language", "test_language_models", "test_encode"),
    "generative": ("test_generative",),
    "cuda": ("test_cuda",),
    "render": ("test_render",),
    "fit": ("test_fitting", "test_page_logs", "test_fit_report"),
    "minari": ("test_logs",),
    "privacy": ("test_privacy",),
    "docs": ("test_site", "test_results", "test_readme"),
}


def versions(python: Path, packages: Sequence[str] = ()) -> dict[str, str]:
    """Versions of packages in an environment: of these, which must be there, and of those that all environments
    share."""
    code = """if True:
        import importlib.metadata as m, json, sys
        there = {d.name.lower() for d in m.distributions()}
        print(json.dumps({p: m.version(p) for p in sys.argv[2:] if p in there or p in sys.argv[1].split()}))
    """
    names = [*packages, "torch", "numpy", "numba", "gymnasium", "pettingzoo"]
    command = [str(python), "-c", code, " ".join(packages), *names]
    done = subprocess.run(command, check=True, capture_output=True, encoding="utf-8")
    return json.loads(done.stdout)


def installed(name: str, commands: list[list[str]], folder: Path) -> tuple[Path, str]:
    """Make an environment and install these packages. Returns its Python and the error, if there is one."""
    venv.create(folder / name, with_pip=True)
    python = folder / name / "bin" / "python"
    for command in commands:
        done = subprocess.run(
            [python, "-m", "pip", "install", "--quiet", *command], cwd=ROOT, capture_output=True, encoding="utf-8"
        )
        if done.returncode:
            return python, done.stderr[-2000:]
    return python, ""


def run_tests(extra: str, folder: Path) -> dict[str, Any]:
    """Install an extra and run its tests. Returns how they ended, or the error."""
    commands, began = [["-e", f".[{extra},test-core]"]], time.perf_counter()
    python, error = installed(f"extra-{extra}", commands, folder)
    if error:
        return {"install": commands, "error": error}
    tests = [f"tests/{test}.py" for test in EXTRAS[extra]]
    done = subprocess.run(
        [python, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", *tests],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
    )
    said = done.stdout.strip().splitlines() or [""]
    ended = ", ".join(re.findall(r"\d+ (?:passed|failed|skipped|errors?)", said[-1]))
    result: dict[str, Any] = {"install": commands, "versions": versions(python), "tests": tests, "ended": ended}
    result["seconds"] = round(time.perf_counter() - began)
    return result | ({"error": done.stdout[-2000:]} if done.returncode or "passed" not in ended else {})


def run(library: str, folder: Path) -> dict[str, Any]:
    """Install and train one library. Returns its rows, or the error."""
    commands, packages = INSTALL[library]
    python, error = installed(library, commands, folder)
    if error:
        return {"install": commands, "error": error}
    where: dict[str, Any] = {
        "cwd": folder,
        "env": {**os.environ, "PYTHONPATH": str(ROOT)},
    }  # some libraries write logs where they run
    done = subprocess.run(
        [python, "-m", f"benchmarks.compat.{library}"], **where, capture_output=True, encoding="utf-8"
    )
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    result: dict[str, Any] = {
        "install": commands,
        "versions": versions(python, packages),
        "named": len(packages),
        "rows": rows,
    }
    snippets = subprocess.run(
        [python, "-m", "benchmarks.compat.snippets", SNIPPETS.get(library, library)],
        **where,
        capture_output=True,
        encoding="utf-8",
    )
    result["snippets"] = snippets.stdout.splitlines()[-1] if snippets.returncode == 0 else snippets.stderr[-2000:]
    return result | {"error": done.stderr[-2000:]} if done.returncode else result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", nargs="*", choices=list(INSTALL))
    parser.add_argument("--extra", nargs="*", choices=list(EXTRAS))
    parser.add_argument("--keep", type=Path, help="folder for the environments; default: a temporary one")
    args = parser.parse_args()
    settings = {"learned_above": LEARNED}
    found: dict[str, Any] = {kind: earlier("compatibility", kind, settings) for kind in ("libraries", "extras")}
    every = args.library is None and args.extra is None
    asked = [
        *(("libraries", name, run) for name in (INSTALL if every else args.library or ())),
        *(("extras", name, run_tests) for name in (EXTRAS if every else args.extra or ())),
    ]
    with tempfile.TemporaryDirectory() as temporary:
        for kind, name, tried in asked:
            row = tried(name, (args.keep or Path(temporary)).resolve())
            found[kind][name] = {**row, "source": provenance()}
            print(name, json.dumps(found[kind][name], indent=1), file=sys.stderr, flush=True)
            store("compatibility", settings, found)


if __name__ == "__main__":
    main()
