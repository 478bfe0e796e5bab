"""Mutation testing of the kernels: change one thing in one kernel at a time and see whether a test fails.

    python -m benchmarks.checks.mutants [--number 240] [--workers 2] [--limit 20] [--seconds 600] [--only step.py]
    python -m benchmarks.checks.mutants --list

A mutant changes one comparison, operator, constant, condition, name or statement of a compiled function, or one
constant of its module. Every function of every kernel file gets some mutants, drawn with a seed of its own, so that a
function keeps its mutants until it is edited. The result is stored after each mutant, and `--resume` tries those that a
run that was cut off has not stored.

killed: a test failed, the process crashed, or a test took far more processor time than without the mutant.
invalid: numba cannot compile the mutant. It is not counted.
survived: all tests passed. `REASONS` says why no test can notice it, or what no test asks for.

A fresh process would compile for 20 seconds before each test. Therefore the tests first run once in this process, which
compiles everything, and must pass. Each mutant is then tried in a fork, which compiles only the functions that depend
on the changed one. Slow tests come last, because quick ones notice most mutants.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import gc
import importlib
import json
import os
import random
import re
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from recsys_env.kernels.machine.compiler import MACHINERY

from ..result_files import earlier, store

ROOT = Path(__file__).parent.parent.parent
KERNELS = ROOT / "recsys_env" / "kernels"
FILES = {
    path.name: ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted(KERNELS.rglob("*.py"))
    if path.name not in ("__init__.py", *MACHINERY) and path.parent.name != "plain"
}
SEED = 12

# Tests in the order in which they are run, each with the compiled entries whose faults it can notice.
TESTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("tests/test_rng.py", ("uniforms",)),
    ("tests/test_numeric.py", ("apply", "cosines", "products", "squashed", "squashed_into")),
    (
        "tests/test_kernels.py",
        (
            *("run", "build_alias", "expect", "global_state", "list_options", "appraise"),
            *("read_prices", "read_wallets", "respond"),
        ),
    ),
    ("tests/test_public_items.py", ("read_items", "respond")),
    ("tests/test_environment.py", ("find_outside",)),
    ("tests/test_vector.py", ("final_state",)),
    ("tests/test_rows.py", ("run",)),
    ("tests/test_record.py", ("read_rewards",)),
    (
        "tests/test_page_logs.py",
        (
            *("appeals", "approximate_users", "count_habits", "curvatures", "draw_users", "draw_vectors"),
            *("likings", "shift_segments", "slopes"),
        ),
    ),
    ("tests/test_weights.py", ("separate", "scored")),
    ("tests/test_assortment.py", ("choose",)),
    ("tests/test_expected.py", ("expect",)),
    ("tests/test_effects.py", ("run", "expect", "read_wallets", "read_purchase_values")),
    ("tests/test_explain.py", ("explain",)),
    (
        "tests/test_exact.py",
        (
            *("begin_world", "show_pages", "take_effects", "move_moods"),
            *("end_pages", "ask_users", "begin_sessions", "retrieve"),
        ),
    ),
    ("tests/test_metrics.py", ("appraise", "appraise_fairness", "read_prices")),
    ("tests/test_rollout.py", ("play", "follow", "rank", "choose_slates", "score_options")),
    ("tests/test_policies.py", ("choose", "arrange")),
    ("tests/test_pricing.py", ("choose", "arrange")),
    ("tests/test_observer.py", ("sample_people", "imagine", "choose_expected", "learn")),
)
# Threads must not be started before a fork. `run_parallel` runs the body of `run`, and has its own test for the rest.
PARALLEL = ("tests/test_kernels.py", "test_a_copy_does_not_depend_on_its_batch_nor_on_threads")
SELECTED = {  # test file -> which of its tests are run, where most of them are about other things
    "tests/test_policies.py": "greedy or planner or content or place or kind_of_action and (content or popularity)",
    "tests/test_environment.py": "wrong_action",
    "tests/test_vector.py": "final_state",
    "tests/test_weights.py": "not policies_that_choose_slates",
    "tests/test_kernels.py": f"not {PARALLEL[1]}",
}

# Why no test has to notice a survivor, for ids that contain the key.
REASONS = {
    "only rounding leads here": "only rounding leads to this line, and no test can cause it",
    "rng.py:build_alias: probability[start + small[k]] = 1.0": "only rounding leaves an entry of `small` over",
    "rng.py:build_alias: if scaled[g] < 1.0: | scaled[g] < 1.0 -> scaled[g] <= 1.0": (
        "equivalent: with a weight of exactly 1 both orders give a table of the same distribution"
    ),
    "slates.py:: _STARTS": "a setting of a search: another number of starts finds equally good slates",
    "(start / (_STARTS - 1)) ** 2, -np.inf  # denser where fixed points lie closer | _STARTS - 1 -> _STARTS + 1": (
        "a setting of a search: starts that lie a little closer find equally good slates"
    ),
    "for _ in range(_ROUNDS): | range(_ROUNDS)": "a setting of a search: one round less finds equally good slates",
    "weights.py:: _ROUNDS = 100": "a setting of a search: one round more finds weights as good",
    "rollout.py:: POLICIES = ": "another stream of random numbers is as good",
    "_fill_page: page.means[n] = 0.0": (
        "a setting of a search: rounds that begin with the means of another page find equally good slates"
    ),
    "_prefetch_": "equivalent: memory that is not loaded ahead of time is loaded a little later",
    "u % USERS_PER_WORD -> u + USERS_PER_WORD": (
        "equivalent on processors that shift by the remainder of 64, such as x86 and ARM"
    ),
    "numeric.py:round_up_to_lanes: return (n + LANES - 1) // LANES * LANES | 1 -> -1": (
        "equivalent: more of a vector stays unused"
    ),
    "LANES * LANES | n + LANES - 1 -> n + LANES + 1": "equivalent: more of a vector stays unused",
    "_expect_page: if p.shape.cart > 0: | p.shape.cart -> p.shape.slots": "equivalent: without carts nothing is due",
    "if feature.length >= 0: | 0 -> 1": "equivalent: the length is never the first feature, which is profile_match",
    "feature.freshness >= 0 -> feature.freshness > 0": "equivalent: freshness is never the first feature",
    "feature.promotion >= 0 -> feature.promotion > 0": "equivalent: promotion is never the first feature",
    "filled, slots, score) and can_show(world, state, p, b, n, j) -> can_show(": (
        "equivalent: `insert` checks again; the condition only avoids the cost of can_show"
    ),
    "if p.users.wallet_init > 0.0 else np.float32(0.0) | squash": (
        "equivalent: without wallets the smaller of 0 and the refilled amount is 0"
    ),
    "if stop > first and copy.anchor < 0: | stop > first -> stop >= first": (
        "equivalent: it fills scratch in an idle tick, and scratch is filled again before it is read"
    ),
    "_consumption: bought = n >= 0 and report.slots[b, n, k].bought | n >= 0 and report.slots[b, n, k].bought -> rep": (
        "equivalent: without a click no slot is bought"
    ),
    ".shape[1], size)) | 1 -> -1": "equivalent: the last axis of two is the second",
    "probability[start + large[k]] = 1.0 | 1.0 -> 2.0": "equivalent: every uniform number is below 1",
    "draw_click: if mass > 0.0: | mass > 0.0 -> mass >= 0.0": (
        "equivalent but for rounding: an agent without mass is skipped"
    ),
    "habit.item, habit.count, habit.window = -1, 0.0, 0 | 0.0 -> 1.0": "equivalent: no count is read of an empty entry",
    "for i in range(count - 1):  # Fisher & Yates | 1 -> -1": "equivalent: the last entries trade with themselves",
    "p.users.rating_bias_sd > 0.0 else 0.0 | p.users.rating_bias_sd > 0.0 -> p.users.rating_bias_sd >= 0.0": (
        "equivalent: 0 times a draw is 0"
    ),
    "1.0 - p.observation.history_decay, 1e-6) | 1e-6 ->": "differs only for a decay within a millionth of 1",
    "for b in range(chunk[0], chunk[1]): | 1 -> -1": "equivalent: the last of two entries is the second",
    "_search: if in_topic and copy.anchor >= 0: | in_topic and copy.anchor >= 0 -> copy.anchor >= 0": (
        "differs if the draws outside the anchor's topic find nothing, in a world that is almost sold out; no test "
        "plays such a world"
    ),
}


# ------------------------------------------------------------------------------------------------ mutants


class Span(NamedTuple):
    """A piece of a file. Lines count from 1, columns are bytes."""

    line: int
    column: int
    last: int
    end: int


@dataclass(frozen=True)
class Mutant:
    """One change of one line.

    Attributes:
        file, function: where it is; function "" is a constant of the module.
        span: the changed text.
        before, after: the old and the new text.
        text: the first line of the span, as it was.
    """

    file: str
    function: str
    span: Span
    before: str
    after: str
    text: str

    @property
    def id(self) -> str:
        """A name that stays the same while the line does: file, function, line, change."""
        return f"{self.file}:{self.function}: {self.text} | {self.before} -> {self.after} @{self.span.column}"


COMPARISONS: dict[type, tuple[type, ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
}
OPERATORS: dict[type, type] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Add,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
}
CONTINUOUS = ("uniform(", "rest ", "u01 ")  # a draw hits a boundary once in 2^53, so these are not moved
GROUPS = {"state", "report", "scratch", "world", "p", "np", "math"}  # their attributes have different types
SAME_ARGUMENT = {"exp", "log", "log1p", "sigmoid", "tanh", "softplus", "squash", "abs"}  # f(x) -> x
OTHER_FUNCTION = {"min": "max", "max": "min"}


def changes(node: ast.AST, siblings: dict[str, list[str]]) -> Iterator[str]:
    """Texts that may replace a node. `siblings` are the attributes that the function reads of the same object."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        drawn = any(word in ast.unparse(node) for word in CONTINUOUS)
        for operator in COMPARISONS.get(type(node.ops[0]), ())[drawn:]:
            yield ast.unparse(ast.Compare(node.left, [operator()], node.comparators))
    elif isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        yield ast.unparse(ast.BinOp(node.left, OPERATORS[type(node.op)](), node.right))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
        yield ast.unparse(node.operand)
    elif isinstance(node, ast.BoolOp):
        yield f"({ast.unparse(ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values))})"
        for i in range(len(node.values)):
            rest = node.values[:i] + node.values[i + 1 :]
            yield ast.unparse(rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest))
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield str(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        yield repr(node.value + 1)
        if node.value > 0:
            yield repr(-node.value)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        name, arguments = node.func.id, [ast.unparse(argument) for argument in node.args]
        if name in SAME_ARGUMENT and len(arguments) == 1:
            yield f"({arguments[0]})"
        if name in OTHER_FUNCTION:
            yield f"{OTHER_FUNCTION[name]}({', '.join(arguments)})"
        if name == "range":
            yield f"range({', '.join([*arguments[:-1], f'{arguments[-1]} - 1'])})"
            later = ["1", *arguments] if len(arguments) == 1 else [f"{arguments[0]} + 1", *arguments[1:]]
            yield f"range({', '.join(later)})"
    elif isinstance(node, ast.IfExp):
        yield f"({ast.unparse(node.body)})"
        yield f"({ast.unparse(node.orelse)})"
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
        others = siblings.get(ast.unparse(node.value), [])
        if node.attr in others and len(others) > 1:
            yield f"{ast.unparse(node.value)}.{others[(others.index(node.attr) + 1) % len(others)]}"
    elif isinstance(node, ast.AugAssign) and type(node.op) in (ast.Add, ast.Sub, ast.Mult):
        opposite = {ast.Add: "-=", ast.Sub: "+=", ast.Mult: "/="}[type(node.op)]
        yield f"{ast.unparse(node.target)} {opposite} {ast.unparse(node.value)}"
        yield "pass"
    elif isinstance(node, (ast.Assign, ast.Expr, ast.Continue, ast.Break)):
        stored = isinstance(node, ast.Assign) and all(
            isinstance(target, (ast.Attribute, ast.Subscript)) for target in node.targets
        )
        called = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
        if stored or called or isinstance(node, (ast.Continue, ast.Break)):
            yield "pass"


def compiled_functions(tree: ast.Module) -> dict[str, ast.FunctionDef]:
    """The functions decorated with `kernel` or `entry`."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            names = {
                decorator.func if isinstance(decorator, ast.Call) else decorator for decorator in node.decorator_list
            }
            if node.name.lstrip("_").startswith("prefetch"):  # loads memory ahead of time; no value depends on it
                continue
            if any(isinstance(name, ast.Name) and name.id in ("kernel", "stage", "entry") for name in names):
                found[node.name] = node
    return found


def module_constants(tree: ast.Module, everything: str) -> list[ast.AST]:
    """The numbers that a module assigns to names, for names that are read somewhere in `everything`."""
    values = []
    for node in tree.body:
        if isinstance(node, ast.Assign):
            target, value = node.targets[0], node.value
            pairs = [(target, value)]
            if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                pairs = list(zip(target.elts, value.elts, strict=True))
            values += [part for name, part in pairs if len(re.findall(rf"\b{ast.unparse(name)}\b", everything)) > 1]
    return [constant for value in values for constant in ast.walk(value) if isinstance(constant, ast.Constant)]


def siblings_in(function: ast.AST) -> dict[str, list[str]]:
    """Map each object to the attributes that are read of it."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and ast.unparse(node.value) not in GROUPS:
            if ast.unparse(node.value) == "rng" and not node.attr.isupper():
                continue  # a function
            found.setdefault(ast.unparse(node.value), set()).add(node.attr)
    return {name: sorted(attributes) for name, attributes in found.items()}


def mutants_of(file: str, source: str, everything: str) -> dict[str, list[Mutant]]:
    """All mutants of a file by function, in the order of the text. `everything` is the text of all files."""
    tree, lines = ast.parse(source), source.splitlines(keepends=True)
    found: dict[str, list[Mutant]] = {}
    functions = compiled_functions(tree)
    places: list[tuple[str, list[ast.AST]]] = [("", module_constants(tree, everything))]
    places += [
        (name, [node for statement in function.body for node in ast.walk(statement)])
        for name, function in functions.items()
    ]
    for name, nodes in places:
        siblings = siblings_in(functions[name]) if name else {}
        signed = {id(node.operand) for node in nodes if isinstance(node, ast.UnaryOp)}  # -1 becomes 1 and never -2
        placed: list[Any] = [node for node in nodes if hasattr(node, "lineno") and id(node) not in signed]
        for node in sorted(placed, key=lambda n: (n.lineno, n.col_offset)):
            for after in changes(node, siblings):
                place = Span(node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)
                before = "".join(lines[place.line - 1 : place.last]).encode()
                before = before[place.column : len(before) - len(lines[place.last - 1].encode()) + place.end]
                mutant = Mutant(file, name, place, before.decode(), after, lines[place.line - 1].strip())
                found.setdefault(name, []).append(mutant)
    return found


def mutated(source: str, mutant: Mutant) -> str:
    """The source with the mutant applied."""
    text, span = source.encode(), mutant.span
    lines = text.splitlines(keepends=True)
    start = sum(len(line) for line in lines[: span.line - 1]) + span.column
    stop = sum(len(line) for line in lines[: span.last - 1]) + span.end
    return (text[:start] + mutant.after.encode() + text[stop:]).decode()


def chosen(number: int, only: str = "") -> list[Mutant]:
    """Choose about `number` mutants from all files: at least one of each function, the others in proportion to the
    mutants that a function has."""
    sources = {file: source_of(file).read_text(encoding="utf-8") for file in FILES}
    every = {file: mutants_of(file, source, "".join(sources.values())) for file, source in sources.items()}
    total = sum(len(mutants) for functions in every.values() for mutants in functions.values())
    picked = []
    for file, functions in every.items():
        for name, mutants in functions.items():
            count = min(len(mutants), max(1, round(number * len(mutants) / total)))
            picked += random.Random(f"{SEED} {file} {name}").sample(mutants, count)
    random.Random(SEED).shuffle(picked)  # so that the first part of a run is a fair sample
    return [mutant for mutant in picked if only in f"{mutant.file}:{mutant.function}"]


def source_of(file: str) -> Path:
    return ROOT / (FILES[file].replace(".", "/") + ".py")


# ------------------------------------------------------------------------------------------------ compiled functions


class Compiled:
    """All compiled functions of this process and the dependences between them."""

    def __init__(self) -> None:
        from numba.core.dispatcher import Dispatcher

        self._kind = Dispatcher
        self.all: list[Any] = [
            thing for thing in gc.get_objects() if issubclass(type(thing), Dispatcher)
        ]  # isinstance would load lazy modules
        self._uses = {function: self._used(function) for function in self.all}

    def _used(self, function: Any) -> set[Any]:
        names, scope = function.py_func.__code__.co_names, function.py_func.__globals__
        modules = [scope[name] for name in names if type(scope.get(name)).__name__ == "module"]
        values = [scope.get(name) for name in names] + [
            getattr(module, name, None) for module in modules for name in names
        ]
        values += [cell.cell_contents for cell in function.py_func.__closure__ or ()]
        return {value for value in values if isinstance(value, self._kind)}

    def named(self, module: str, name: str) -> Any:
        return getattr(importlib.import_module(module), name)

    def reading(self, module: str, name: str) -> set[Any]:
        """Functions that read a constant of a module."""
        return {f for f in self.all if name in f.py_func.__code__.co_names}

    def dependents(self, changed: set[Any]) -> set[Any]:
        """These functions and all that call them, directly or not."""
        found = set(changed)
        while more := {function for function, used in self._uses.items() if used & found} - found:
            found |= more
        return found

    def forget(self, functions: set[Any]) -> None:
        """Have these functions compiled again when they are called next."""
        for function in functions:
            function._make_finalizer()()
            function._reset_overloads()
            function._can_compile = True


def without_caches(compiled: Compiled) -> None:
    """Stop reading compiled code from disk and writing it there, where it would be used for another mutant."""
    from numba.core.caching import NullCache

    for function in compiled.all:
        function._cache = NullCache()


def apply(mutant: Mutant, compiled: Compiled) -> set[Any]:
    """Apply a mutant in this process and return the functions that must be compiled again."""
    source = mutated(source_of(mutant.file).read_text(encoding="utf-8"), mutant)
    tree, module = ast.parse(source), importlib.import_module(FILES[mutant.file])
    if not mutant.function:
        return apply_constant(mutant, tree, module, compiled)
    definition = compiled_functions(tree)[mutant.function]
    definition.decorator_list = []
    scope: dict[str, Any] = {}
    exec(compile(ast.Module([definition], []), module.__file__ or "", "exec"), module.__dict__, scope)
    dispatcher = compiled.named(FILES[mutant.file], mutant.function)
    dispatcher.py_func.__code__ = scope[mutant.function].__code__
    return compiled.dependents({dispatcher})


def apply_constant(mutant: Mutant, tree: ast.Module, module: Any, compiled: Compiled) -> set[Any]:
    """Give a module's constant its new value, in the module and in those that import it."""
    statement = next(
        node
        for node in tree.body
        if isinstance(node, ast.Assign) and node.lineno <= mutant.span.line <= (node.end_lineno or 0)
    )
    before = dict(module.__dict__)
    exec(compile(ast.Module([statement], []), module.__file__ or "", "exec"), module.__dict__)
    names = [
        n.id
        for target in statement.targets
        for n in ast.walk(target)
        if isinstance(n, ast.Name) and module.__dict__[n.id] != before[n.id]
    ]
    readers: set[Any] = set()
    for name in names:
        readers |= compiled.reading(FILES[mutant.file], name)
        for other in FILES.values():
            scope = importlib.import_module(other).__dict__
            if name in scope and scope[name] == before[name]:
                scope[name] = module.__dict__[name]
    return compiled.dependents(readers)


# ------------------------------------------------------------------------------------------------ tests


class Watch:
    """A pytest plugin that records the first failure and limits the processor time of each test."""

    def __init__(self, limit: float = 0.0) -> None:
        self.limit = limit
        self.failed = self.error = ""
        self.invalid = False
        self.times: dict[str, float] = {}
        self._began = 0.0

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._began = time.process_time()
        if self.limit:
            signal.setitimer(signal.ITIMER_PROF, self.limit)  # ends the process, also in compiled code

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self.times[nodeid] = time.process_time() - self._began

    def pytest_exception_interact(self, node: Any, call: Any) -> None:
        from numba.core.errors import NumbaError

        if not self.failed:
            causes, error = [], call.excinfo.value
            while error is not None:
                causes.append(error)
                error = error.__cause__ or error.__context__
            self.invalid = any(isinstance(cause, NumbaError) for cause in causes)
            self.failed = node.nodeid
            self.error = f"{call.excinfo.typename}: {call.excinfo.value}".strip().splitlines()[0][:160]


def run_tests(entries: set[str] | None, limit: float = 0.0, parallel: bool = False) -> tuple[int, Watch]:
    """Run the tests that can notice a change of these entries (None: all tests), up to the first failure."""
    import pytest

    watch = Watch(limit)
    base = ["-x", "-q", "-n", "0", "-p", "no:cacheprovider", "--no-header", "--rootdir", str(ROOT)]
    files = [(path, SELECTED.get(path, "")) for path, of in TESTS if entries is None or entries & set(of)]
    for marked in ("not slow", "slow"):
        for path, selected in [PARALLEL] if parallel else files:
            if (ROOT / path).is_file():
                options = ["-m", marked, "-k", selected]
                code = int(pytest.main([*base, str(ROOT / path), *options], plugins=[watch]))
                if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
                    return code, watch
    return 0, watch


# ------------------------------------------------------------------------------------------------ trying


def attempt(mutant: Mutant | None, compiled: Compiled, limit: float, report: Path) -> None:
    """Apply the mutant in a fork, run the tests and write the outcome. Without a mutant, compile everything again
    instead."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    functions = set(compiled.all) if mutant is None else apply(mutant, compiled)
    compiled.forget(functions)
    entries = {function.py_func.__name__ for function in functions}
    code, watch = run_tests(entries, limit, parallel=mutant is not None and mutant.function == "run_parallel")
    outcome = "survived" if code == 0 else "invalid" if watch.invalid else "killed"
    report.write_text(
        json.dumps({"outcome": outcome, "by": watch.failed, "error": watch.error, "code": code}), encoding="utf-8"
    )


def judged(status: int, report: Path) -> dict[str, Any]:
    """The outcome of a fork that has ended with this status."""
    if report.is_file() and os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0:
        return dict(json.loads(report.read_text(encoding="utf-8")))
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        return {"outcome": "killed", "by": "too slow" if name == "SIGPROF" else "crash", "error": name}
    return {"outcome": "invalid", "by": "", "error": f"ended with status {status}"}


def try_all(
    mutants: list[Mutant | None], compiled: Compiled, workers: int, limit: float, deadline: float
) -> Iterator[tuple[Mutant | None, dict[str, Any]]]:
    """Yield the outcome of each mutant as it ends. No mutant is begun after the deadline."""
    waiting, running = list(mutants), {}  # type: list[Mutant | None], dict[int, tuple[Mutant | None, Path, float]]
    with tempfile.TemporaryDirectory() as folder:
        while running or (waiting and time.monotonic() < deadline):
            while waiting and len(running) < workers and time.monotonic() < deadline:
                mutant, report = waiting.pop(0), Path(folder) / f"{len(waiting)}.json"
                sys.stdout.flush()
                pid = os.fork()
                if pid == 0:
                    code = 1
                    with contextlib.suppress(BaseException):
                        log = os.open(report.with_suffix(".log"), os.O_CREAT | os.O_WRONLY)
                        os.dup2(log, 1)
                        os.dup2(log, 2)
                        attempt(mutant, compiled, limit, report)
                        code = 0
                    os._exit(code)
                running[pid] = mutant, report, time.monotonic()
            pid, status = os.waitpid(-1, 0)
            mutant, report, began = running.pop(pid)
            yield mutant, {**judged(status, report), "seconds": round(time.monotonic() - began, 1)}


# ------------------------------------------------------------------------------------------------ result


def summary(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts per file and in total, and the survivors with their reasons."""
    files = {}
    for file in [*FILES, "all"]:
        counts = Counter(row["outcome"] for row in results if file in (row["file"], "all"))
        valid = counts["killed"] + counts["survived"]
        files[file] = {
            **{name: counts[name] for name in ("killed", "survived", "invalid")},
            "share_killed": round(counts["killed"] / max(valid, 1), 4),
        }
    survivors = [
        {"id": row["id"], "line": row["line"], "reason": reason_for(row["id"])}
        for row in results
        if row["outcome"] == "survived"
    ]
    equivalent = sum(row["reason"].startswith("equivalent") for row in survivors)
    counted = files["all"]["killed"] + files["all"]["survived"] - equivalent
    return {
        "files": files,
        "share_killed_of_those_that_differ": round(files["all"]["killed"] / max(counted, 1), 4),
        "survivors": survivors,
    }


def reason_for(name: str) -> str:
    return next((why for part, why in REASONS.items() if part in name), "none known: no test asks for it")


def show(result: dict[str, Any]) -> None:
    for file, row in result["files"].items():
        print(f"{file:16} " + "  ".join(f"{name} {value}" for name, value in row.items()))
    print(f"share killed of those that differ: {result['share_killed_of_those_that_differ']}")
    for row in result["survivors"]:
        file, _, rest = row["id"].partition(":")
        function, _, change = rest.partition(": ")
        text, _, change = change.rpartition(" | ")
        print(
            f"\nsurvived: {file} line {row['line']} in {function or 'the module'}\n  {text}\n  {change}\n"
            f"  {row['reason']}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, default=240, help="approximate number of mutants")
    parser.add_argument("--workers", type=int, default=1, help="number of processes")
    parser.add_argument("--limit", type=int, help="try at most this many mutants now")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no mutant after this time")
    parser.add_argument("--only", default="", help="only mutants whose file:function contains this")
    parser.add_argument("--resume", action="store_true", help="keep the stored outcomes of mutants that are the same")
    parser.add_argument("--list", action="store_true", help="name the mutants and stop")
    args = parser.parse_args()
    deadline = time.monotonic() + args.seconds
    mutants = chosen(args.number, args.only)
    if args.list:
        for mutant in mutants:
            print(mutant.id)
        print(f"{len(mutants)} mutants of {len({(m.file, m.function) for m in mutants})} functions")
        return
    settings = {"seed": SEED}
    stored = {row["id"]: row for row in earlier("mutants", "mutants", settings)} if args.resume else {}
    done = {mutant.id: {**stored[mutant.id], **place(mutant)} for mutant in mutants if mutant.id in stored}
    left = [mutant for mutant in mutants if mutant.id not in done][: args.limit]
    print(f"{len(mutants)} mutants, {len(done)} done; now the tests without a mutant", flush=True)
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp()  # used only by entries outside the kernels
    for module in FILES.values():
        importlib.import_module(module)
    without_caches(Compiled())
    began = time.process_time()
    failed, watch = run_tests(None)
    if failed:
        raise SystemExit(f"the tests fail without a mutant: {watch.failed}: {watch.error}")
    compiled, spent = Compiled(), time.process_time() - began
    without_caches(compiled)  # also for the tests' own entries, which are imported now
    limit = 60 + 4 * max(watch.times.values())
    print(
        f"passed in {spent:.0f} s of processor time; a test may take {limit:.0f} s. {len(left)} mutants to try",
        flush=True,
    )
    for tried, outcome in try_all([None, *left], compiled, args.workers, limit, deadline):
        if tried is None:
            print(
                f"{outcome['seconds']:6} s  no mutant, all compiled again: {outcome['outcome']} {outcome['error']}",
                flush=True,
            )
            if outcome["outcome"] != "survived":
                raise SystemExit("a test fails without a mutant when everything is compiled again")
            continue
        done[tried.id] = {"id": tried.id, **place(tried), **outcome}
        print(
            f"{outcome['seconds']:6} s  {outcome['outcome']:9} {tried.id}  "
            f"[{outcome['by'].partition('::')[2] or outcome['by']}]",
            flush=True,
        )
        rows = [done[m.id] for m in mutants if m.id in done]
        store("mutants", settings, {"number": len(mutants), "tried": len(rows), **summary(rows), "mutants": rows})
    show(summary(list(done.values())))
    print(f"{len(mutants) - len(done)} not tried yet")


def place(mutant: Mutant) -> dict[str, Any]:
    return {"file": mutant.file, "function": mutant.function, "line": mutant.span.line}


if __name__ == "__main__":
    main()
