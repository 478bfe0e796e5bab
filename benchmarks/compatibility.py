"""Which trainer libraries work with this environment today? Makes each one's environment from nothing and trains its
algorithms.

    python -m benchmarks.compatibility [--library torchrl ...] [--keep FOLDER]

For every library: a new virtual environment, the install commands below, then `python -m benchmarks.compat.<library>`
on the smallest task as `benchmarks.compat.DILEMMA` changes it, and the documentation's code blocks of that library.
"Learned" means that the reward per agent and tick is above .33, between random play and two agents that always show X
(`DILEMMA` names what both earn). Libraries that are not named keep what an earlier run stored; one that fails is stored
with its error.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

from recsys_env.provenance import provenance

from .ages import code
from .result_files import earlier, store

ROOT = Path(__file__).parent.parent
LEARNED = 0.33
SNIPPETS = {"sb3": "train"}  # whose blocks on the site name the extra
# library: (pip commands, packages whose versions are stored)
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
}


def versions(python: Path, packages: list[str]) -> dict[str, str]:
    code = "import importlib.metadata as m, json, sys; print(json.dumps({p: m.version(p) for p in sys.argv[1:]}))"
    names = [*packages, "torch", "numpy", "numba", "gymnasium", "pettingzoo"]
    done = subprocess.run([python, "-c", code, *names], check=True, capture_output=True, encoding="utf-8")
    return json.loads(done.stdout)


def run(library: str, folder: Path) -> dict[str, Any]:
    """Install and train one library; its rows, or what went wrong."""
    commands, packages = INSTALL[library]
    venv.create(folder / library, with_pip=True)
    python = folder / library / "bin" / "python"
    for command in commands:
        done = subprocess.run(
            [python, "-m", "pip", "install", "--quiet", *command], cwd=ROOT, capture_output=True, encoding="utf-8"
        )
        if done.returncode:
            return {"install": commands, "error": done.stderr[-2000:]}
    where: dict[str, Any] = {
        "cwd": folder,
        "env": {**os.environ, "PYTHONPATH": str(ROOT)},
    }  # some libraries write logs where they run
    done = subprocess.run(
        [python, "-m", f"benchmarks.compat.{library}"], **where, capture_output=True, encoding="utf-8"
    )
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    for row in rows:
        row["learned"] = row["after"] > LEARNED
    result: dict[str, Any] = {
        "install": commands,
        "versions": versions(python, packages),
        "own": len(packages),
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
    parser.add_argument("--library", nargs="*", default=list(INSTALL), choices=list(INSTALL))
    parser.add_argument("--keep", type=Path, help="folder for the environments; default: a temporary one")
    args = parser.parse_args()
    settings = {"learned_above": LEARNED, "code": code("adapters")}
    results: dict[str, Any] = earlier("compatibility", "libraries", settings)
    with tempfile.TemporaryDirectory() as temporary:
        for library in args.library:
            results[library] = {
                **run(library, (args.keep or Path(temporary)).resolve()),
                "source": provenance("benchmarks.compatibility"),
            }
            print(library, json.dumps(results[library], indent=1), file=sys.stderr, flush=True)
            store("compatibility", "benchmarks.compatibility", settings, {"libraries": results})


if __name__ == "__main__":
    main()
