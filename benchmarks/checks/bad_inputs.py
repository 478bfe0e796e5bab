"""Try a hundred thousand bad inputs: each must raise one clear line and change nothing.

    python -m benchmarks.checks.bad_inputs [--number 100000] [--kind config "joint actions" ...] [--samples 5]

The inputs are drawn with a fixed seed: config fields with values of the wrong kind, range or nesting; names of tasks,
fields, agents and policies; arguments of constructors; seeds; actions of every kind of action space; snapshots and
their contents; questions about items, users and finite games; answers and addresses of language models; scenarios;
views; purchase logs; damaged catalogues; batches that do not fit into memory; command lines. Each is bad by
construction and comes with the names that its error must contain.

silent: the input was accepted, or it was refused and the state has changed.
unclear: the error was raised by code of a library, or it is not a Value-, Type-, Key-, Index-, Runtime-, Import- or
OSError, or it has more than one line. Or it does not name the field, argument, agent, column or file, or the value (its
text, shape, dtype, length or kind).
clear: everything else. An answer of a language model that is repaired with a message is clear. Python's own message is
accepted for a wrong number or name of arguments.

A command line is judged by its exit status and by what it prints.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..result_files import store
from .bad_cases.calls import (
    contents_case,
    counterfactual_case,
    exact_case,
    getter_case,
    language_case,
    memory_case,
    scenario_case,
    unpacking_case,
    view_case,
)
from .bad_cases.case import Case, Repaired, Skipped
from .bad_cases.environments import (
    Running,
    agents_case,
    joint_case,
    lookup_case,
    policy_case,
    reset_case,
    restore_case,
)
from .bad_cases.files import Files, command_case, file_case, fit_case
from .bad_cases.settings import arguments_case, config_case, conflict_case, unknown_case

SEED = 12_000
ROOT = Path(__file__).parent.parent.parent
OURS = (str(ROOT / "recsys_env"), str(ROOT / "baselines"))
ALLOWED_ERRORS = (ValueError, TypeError, KeyError, IndexError, RuntimeError, ImportError, OSError)
LONGEST = 1500  # characters of a message

# ------------------------------------------------------------------------------------------------ judging


def judge(case: Case) -> tuple[str, str]:
    """Give the input and return ("silent" | "unclear" | "clear" | "skipped", the message)."""
    before = case.state() if case.state else b""
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()) as printed,
        ):
            warnings.simplefilter("ignore")
            found = case.call()
    except Skipped:
        return "skipped", ""
    except Repaired as told:
        return ("clear", f"repaired: {told}") if str(told) else ("silent", "taken as a good answer")
    except SystemExit as error:
        return judge_exit(case, error.code, printed.getvalue())
    except BaseException as error:  # whatever is raised is judged
        if isinstance(error, KeyboardInterrupt):
            raise
        verdict = judge_error(case, error)
    else:
        return "silent", f"accepted: {found!r}"[:160]
    if case.state and case.state() != before:
        return "silent", f"the state has changed after {verdict[1]}"
    return verdict


def judge_error(case: Case, error: BaseException) -> tuple[str, str]:
    message = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    said = f"{type(error).__name__}: {message}"
    trace = error.__traceback__
    code: Any = None
    while trace is not None:
        code, trace = trace.tb_frame.f_code, trace.tb_next
    file = code.co_filename
    if not isinstance(error, ALLOWED_ERRORS):
        return "unclear", f"[not an error of ours] {said}"
    by_call = isinstance(error, TypeError) and "argument" in message and code is getattr(case.call, "__code__", None)
    if not by_call and not file.startswith(OURS):
        return "unclear", f"[raised in {Path(file).parent.name}/{Path(file).name}] {said}"
    return judge_text(case, message, said)


def judge_exit(case: Case, code: Any, printed: str) -> tuple[str, str]:
    if code in (0, None):
        return "silent", "the command ended with 0"
    text = code if isinstance(code, str) else printed
    if "Traceback" in text:
        return "unclear", f"[a traceback] {text[-200:]}"
    lines = [line.strip(" │╭╰─╮╯\t") for line in text.splitlines()]  # the argument parser draws a frame
    return judge_text(case, " ".join(line for line in lines if line), text)


def judge_text(case: Case, message: str, said: str) -> tuple[str, str]:
    if not message or "\n" in message or len(message) > LONGEST:
        return "unclear", f"[not one line] {said}"
    if case.secret and case.secret in said:
        return "unclear", f"[tells what is secret] {said}"
    if not any(name in message for name in case.names):
        return "unclear", f"[does not name {' or '.join(case.names)}] {said}"
    if case.values and not any(value in message for value in case.values):
        return "unclear", f"[does not tell the value] {said}"
    return "clear", said


# ------------------------------------------------------------------------------------------------ the run


def generators(running: Running, files: Files) -> dict[str, tuple[float, Callable[[np.random.Generator], Case]]]:
    """Map each kind of input to its share of all inputs and to the function that draws one."""
    return {
        "config": (0.29, config_case),
        "unknown field": (0.08, unknown_case),
        "conflict": (0.06, conflict_case),
        "arguments": (0.08, arguments_case),
        "joint actions": (0.09, lambda rng: joint_case(rng, running)),
        "actions by agent": (0.08, lambda rng: agents_case(rng, running)),
        "seeds": (0.06, lambda rng: reset_case(rng, running)),
        "names and order": (0.015, lambda rng: lookup_case(rng, running)),
        "restore": (0.025, lambda rng: restore_case(rng, running)),
        "policies": (0.02, lambda rng: policy_case(rng, running)),
        "catalogue files": (0.012, lambda rng: file_case(rng, files)),
        "fit": (0.006, fit_case),
        "commands": (0.002, command_case),
        "getters": (0.05, lambda rng: getter_case(rng, running)),
        "contents of snapshots": (0.03, lambda rng: contents_case(rng, running)),
        "exact": (0.03, exact_case),
        "counterfactuals": (0.005, lambda rng: counterfactual_case(rng, running)),
        "language": (0.03, language_case),
        "scenarios": (0.01, scenario_case),
        "views": (0.02, lambda rng: view_case(rng, running)),
        "files that unpack": (0.001, lambda rng: unpacking_case(rng, files)),
        "batches that do not fit": (0.004, memory_case),
    }


def cases(rng: np.random.Generator, draw: Callable[[np.random.Generator], Case]) -> Iterator[Case]:
    while True:
        with contextlib.suppress(Skipped):
            yield draw(rng)


def run(number: int, kinds: list[str], samples: int) -> dict[str, Any]:
    """Give `number` bad inputs of these kinds (none: of all kinds) and count the verdicts."""
    counts: dict[str, Counter[str]] = {}
    found: dict[str, list[dict[str, str]]] = {"silent": [], "unclear": [], "clear": []}
    with tempfile.TemporaryDirectory() as folder:
        running = Running()
        made = generators(running, Files(Path(folder)))
        for place, (kind, (share, draw)) in enumerate(made.items()):
            if kinds and kind not in kinds:
                continue
            rng, began = np.random.default_rng([SEED, place]), time.perf_counter()
            count: Counter[str] = Counter()
            stream = cases(rng, draw)
            while count.total() < max(1, round(number * (share if not kinds else 1 / len(kinds)))):
                case = next(stream)
                verdict, said = judge(case)
                if verdict == "skipped":
                    continue
                count[verdict] += 1
                if verdict == "silent" and case.state:
                    running.start()
                if sum(row["kind"] == kind for row in found[verdict]) < samples:
                    # The folder of temporary files has another path on another machine.
                    what, told = (text.replace(f"{tempfile.gettempdir()}/", "") for text in (case.what, said))
                    found[verdict].append({"kind": kind, "input": what[:300], "said": told[:400]})
            counts[kind] = count
            print(
                f"{kind:18} "
                + "  ".join(f"{v} {count[v]:6}" for v in found)
                + f"  ({time.perf_counter() - began:.0f} s)",
                flush=True,
            )
    total = sum(counts.values(), Counter())
    return {
        "number": total.total(),
        **{verdict: total[verdict] for verdict in found},
        "kinds": {kind: {verdict: count[verdict] for verdict in found} for kind, count in counts.items()},
        "first": {verdict: rows for verdict, rows in found.items() if verdict != "clear"},
        "clear_samples": found["clear"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, default=100_000, help="number of inputs")
    parser.add_argument("--kind", nargs="*", default=[], help="only these kinds; nothing is stored")
    parser.add_argument("--samples", type=int, default=5, help="examples to keep of each kind and verdict")
    args = parser.parse_args()
    importlib.import_module("pandas")
    result = run(args.number, args.kind, args.samples)
    for verdict in ("silent", "unclear"):
        for row in result["first"][verdict]:
            print(f"{verdict}: {row['kind']}: {row['input']}\n    {row['said']}")
    print({name: result[name] for name in ("number", "silent", "unclear", "clear")})
    if not args.kind:
        settings = {"seed": SEED, "number": args.number, "samples": args.samples}
        print(store("bad_inputs", settings, result))


if __name__ == "__main__":
    main()
