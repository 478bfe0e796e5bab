"""Find stored results that are older than the code that they are about.

    python -m benchmarks.ages           # list the results that are older, and the commits that they were measured at
    python -m benchmarks.ages --all     # list every result and what it is about
    python -m benchmarks.ages --fill    # store the digests of the code at commits that results name for the first time

A result is about a task, a policy or a part of the code. It is older than that if the digest has changed since it was
measured. Comments, docstrings, formatting and dates do not count.

task: what the task plays (`PLAY` in tests/test_frozen_tasks.py). A learner with a central critic also depends on the
global state (`STATE` in the same file).
policy: the commit at which it began to act as it does (`ACTS_SINCE`). The test also plays some stored rows of the
evaluation again.
part of the code: the files of one of `AREAS`. Measurements of speed, proofs and fits are about these.

A result names its commit, and benchmarks/commits.json holds the digests of the code at each such commit. So the test
(tests/test_ages.py) needs no history. The proofs (soak, mutants, bad inputs, compatibility) store the digest of the
code that they were run on, and resume only on the same code. A commit that only renamed or moved code (`RENAMED`) makes
no result older.

A commit that ends in -dirty had uncommitted changes, which no digest covers. The command counts the results of such
commits; proofs and whole files may not have any. Before 61ab0ea the last bit of a world could depend on the processor;
that difference does not count as another task.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import inspect
import io
import re
import subprocess
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from recsys_env import TASKS
from recsys_env.files import read_json, write_json
from recsys_env.policies.registry import POLICIES, TASK_POLICIES

from .result_files import RESULTS

ROOT = Path(__file__).parent.parent
COMMITS = Path(__file__).parent / "commits.json"
FROZEN = "tests/test_frozen_tasks.py"
AREAS: dict[str, tuple[str, ...]] = {  # name -> files, and folders with everything below them
    "kernels": (
        "recsys_env/kernels/",
        "recsys_env/world/arrays.py",
        "recsys_env/world/build.py",
        "recsys_env/config/fields.py",
    ),
    "cuda": ("recsys_env/kernels/", "recsys_env/cuda/"),
    "fitting": tuple(
        f"recsys_env/fitting/{name}.py"  # what decides the numbers of a fit to a purchase log
        for name in (
            "complete_journey",
            "estimate",
            "newcomers",
            "occasions",
            "prices",
            "table",
            "tastes",
            "weights",
            "world",
        )
    ),
    "pages": (  # what decides the numbers of a fit to a log of pages
        *(
            f"recsys_env/fitting/{name}.py"
            for name in ("choice_data", "choice_model", "learned_vectors", "logistic", "page_world", "visits")
        ),
        *(f"recsys_env/kernels/{name}.py" for name in ("page_choices", "page_vectors")),
    ),
    "checks": (  # what refuses bad input, and what draws it
        *("recsys_env/*", "recsys_env/exact/", "recsys_env/language/", "recsys_env/policies/registry.py"),
        *("benchmarks/checks/bad_inputs.py", "benchmarks/checks/bad_cases/"),
    ),
    "titles": tuple(f"recsys_env/world/texts/{name}.py" for name in ("titles", "poles", "measure")),
    "adapters": (
        "recsys_env/adapters/",
        "recsys_env/batch/vector.py",
        "recsys_env/api/environment.py",
        "recsys_env/api/views.py",
    ),
    "experiments": ("recsys_env/experiments/",),
}
ABOUT = {  # stored file -> area; all other files are about the tasks and policies that they name
    **dict.fromkeys(("soak", "mutants", "speed", "profile", "trainers", "unchanged", "recsim_ng", "logs"), "kernels"),
    "gpu": "cuda",
    **dict.fromkeys(("fit_origin", "fit_report", "fit_growth", "new_items"), "fitting"),
    **dict.fromkeys(("page_growth", "recovery"), "pages"),
    "bad_inputs": "checks",
    "titles": "titles",
    "compatibility": "adapters",
    "experiments": "experiments",
}
TASKS_TOO = ("experiments",)  # files that are about an area and about the tasks that they name
# Files that are older than the code that they are about, and will be measured again. The site lists them.
AWAITED: tuple[str, ...] = (
    "compatibility",
    "mutants",
    "recovery",
)
TASKS_OF = {"messages": "journey-v1"}  # files about a version of a task that has no name
# Policy -> the commit at which it began to act differently, for policies that have changed since they were measured.
ACTS_SINCE: dict[str, str] = {}
# Commit -> digests that it changed, although what they stand for stayed the same to the bit; oldest first. "PLAY": the
# tasks played the same, as new digests of the code before have shown. Otherwise parts of the code that were renamed or
# moved, and gave the same numbers before and after.
RENAMED: dict[str, tuple[str, ...]] = {
    "79be80a3fca5c87105eb2a4104edf613165413dc": ("PLAY",),
    # No game uses the two files of kernels that it changed.
    "4ff0bb6c46077b752a95fc228afd3836d34d78b2": ("kernels", "cuda", "fitting", "pages"),
    # Checks, names and estimates of A/B tests. The first and last repetition of each case was played again: those that
    # came out otherwise (the design by item, and the control) were measured anew.
    "b0d26274176400cd67175696b8e0c7cdfd8aa64b": ("experiments",),
    "f301bc10e7ac295fa287659152703f144b04ab8b": ("experiments",),
    "dc6656a5f59233bc3bc461dea3b68969cff5f2a5": ("experiments",),
    "d0808ef71773825a15b0dba3ad8b7867b20a335f": ("experiments",),
    "1cacde293b0b7ba7a73b9810e384159d528770b3": ("experiments",),
    "23a6b0f365c308e62e2b4dae6f21890f45ce0945": ("experiments",),
    "626c2c0082a48a41a047d0656bf1a02234c29ef7": ("experiments",),
    # Checks of logs, their doubts and errors. Twelve logs were fitted before and after: no number changed.
    "410fa62c62c64bbbeb01bfac094c585edf887654": ("fitting", "pages", "experiments"),
    "48834a73540722d5f64918845cfed2278f0f59b6": ("fitting", "pages"),
    "1f009a57d0ca84ed54b8937c9a9904a21a74e93d": ("fitting", "pages"),
    "6300718a302c36ecd15272f2dd457660ee8c0479": ("fitting", "pages"),
    # They import a module by its name, and add up item ids as integers.
    "7f978768234550aaa99fe9a0218916bb08f90fa9": ("checks",),
    "7ae95a88a3dbac0c90b90ef324463cf75c7fb72c": ("checks",),
    # A/B tests again, as above.
    "2cc02207b5e368f9ef20f3034395c10da159ccab": ("experiments",),
    "271aeb9b2d9fcb59e77f0a00051f4f17953a1758": ("experiments",),
    # The habits of a fit to pages fade otherwise; no game uses that.
    "6c1a916c5bc93c86bb5d9f513561e89cd10604db": ("kernels", "cuda", "experiments"),
    # A/B tests again, as above.
    "f232237f238f7e61763ab34b2386c4fdc98992a6": ("experiments",),
    "1d97a5cb98c22ce438ad28ce7724061c4a64e937": ("experiments",),
    "e847ed8c80e06837569b89972ed82876a446c965": ("experiments",),
    "ef202c0746302373fd5abdd711fb66a05381c0a1": ("experiments",),
    "685f05892bb7aeee11191cc4245a6a03aae7c57e": ("experiments",),
    # Two expressions stand before the calls that take them, a type has another name, and people that `observer`
    # imagines have more columns, which no term reads. The frozen tasks and stored rows of the evaluation play the same.
    "1f47f0e6757a178f77924e65157b30cae6412504": ("kernels", "cuda"),
    # It words an error of exact tables, for worlds that no shipped term makes.
    "254bd4639301fe6ec49c3250f27f6603b80eace0": ("checks",),
    # The words of fields, of an error and of two replies.
    "82057087a740eae6e74b2f62a331a07d4efa2f75": ("kernels", "cuda", "checks"),
    # Habits of a fit to pages are counted at the page of a purchase; no game uses that.
    "0aad473e1747af284ed1982e5c384f512911379d": ("kernels", "cuda"),
    # Fitted catalogues have two more numbers, by which `content` goes; they are 0 in all tasks. Of the results about
    # fits only `fit_origin` plays it, and it was measured anew.
    "db024bcef980915c88edae99de5995e62268a4fa": ("kernels", "cuda", "fitting"),
    # Usual prices in `content`'s beliefs, which are list prices in all tasks; occasions at which nothing new is bought
    # are left out of a sum to which they add nothing. A fit to Complete Journey is the same to the bit.
    "5b2865163895b4f5cb1c6b6c338688f035327554": ("kernels", "cuda", "fitting"),
    # A term that no task has (`choice.habit_rate` is 0), checks on import, names, and a function in one place, not two.
    # The frozen tasks play the same.
    "2656a57ad654510e443b0d75dcc7a40ef8f51f45": ("kernels", "cuda", "experiments"),
    "fe88042bae3a05e86d5b5275dc36f8caac911fc7": ("kernels",),
    "07f310f902e35f0b7250cf2bccf92e233de3bb00": ("kernels", "cuda"),
    "2df4acca8876f7b97a7ba8a873ac4e42d15a334f": ("kernels", "cuda"),
    "030efe918015e7e9fe62af9659ecac8f8c26bcdd": ("kernels", "cuda", "experiments"),
    "97278136d2f8c04ab6a5ed8751f2de121f9def86": ("cuda",),
    "eacd5cd1ec07c32f0425bee0503fa2bca3b0a906": ("kernels", "cuda"),
    # Checks of logs, their doubts and errors, facts of a world, and draws that reports read. Thirteen logs were fitted
    # before and after: no number changed.
    "efcbb83ad3b76bf69b2a1cac395915c659c00c1e": ("pages",),
    "39e780ab9ffe09cd41d0ebaadc3e3df1d78b3cbe": ("fitting",),
    "93dd3d1374d2227f4b77cbd810a2a30b60c66ff4": ("fitting",),
    "1bd658b0eae8c102ec31e992c30cfb35f92f816b": ("fitting",),
    "e18a0d2b65ca579fdf3bf6b72c3d5a06637a6a22": ("pages",),
    "2a989a9f8e70b7995f4ba12fb8ccc525f3770609": ("fitting",),
    "caf3b3e2223fc2e05f4649569f3b71619aefb90d": ("fitting",),
    "4bb34d033434570c29e6051733a211bf90949fa4": ("fitting",),
    "b29b768b45d44e2ec8aeee25f6c67c77e5beb715": ("fitting",),
    "f16ed893a5c1a130f89e9976affdd1c61a852f8b": ("fitting", "pages"),
    "e3bb058266c2eee3472489463a939c616f6a70dd": ("fitting", "pages"),
    # A/B tests have another name for an option.
    "7abefd6a352a1e2f0e0823de8efca9979dcf7037": ("experiments",),
    # A property in place of an expression, and a check in fewer lines with the same messages (tests/test_config.py).
    "72af1f0b1d9a8e05934992ac6db370876688ba53": ("kernels", "checks"),
    # Columns and functions that hold or return logarithms are named for it, and a list of names is in one place. 349
    # games, and six scripted policies on all tasks, play the same.
    "4e4347ca32daa5e2cb1b08c5f4a7c371b4cdf2b6": ("kernels", "cuda", "checks"),
    # Names of a word chosen by rank, and of the columns of a tutorial.
    "1e2df1e43096e1c7e9145d9d15ee237de7db84bc": ("titles",),
    # The name of a column; four fits agreed to the bit.
    "9e6da1699ae67dcb36d50b3281e6cd7797c573ac": ("fitting",),
    # Checks of logs, their doubts and errors. Four fits to purchases and two to pages agreed to the bit.
    "4ae962c9a1d930cbb8a860e449c6fc28aaaa1583": ("fitting", "pages"),
    "cdeef4fe88dba062e827a57a9bc7e39164e36983": ("fitting", "pages"),
    "dd3be067e9679c822cb8e4febcdec6d75eab1c8e": ("fitting", "pages"),
    "f5304099db732a957e2a895f67294c7b04060bcc": ("fitting", "pages"),
    "f11d30c975c398a5b5ad5f5e298ae93d202cf47f": ("fitting", "pages"),
    "aff1ed23e958468007180b6821fbab031605f515": ("fitting", "pages"),
    "58a2c3a85ead82a570e287da77de83fbb162fad3": ("fitting", "pages"),
    "5552090e6b652b93887efe7222fb02120360835a": ("fitting", "pages"),
    "5c9bb0ae6b3a87f70dbb16805aeb68365852a3b3": ("fitting", "pages"),
    "7fd4f99341b6cb3b055f46a182df86425583ebdf": ("fitting", "pages"),
    # What metrics read is another array, which no game uses. The configs of `without` are equal on all tasks.
    "f851a6532175a7b8b26ec6181b4a620155289890": ("kernels", "cuda", "experiments"),
    # Names of variables.
    "bda1b3239d2c3f79955dff3ccfc9b9c91ddb2987": ("fitting", "pages"),
    # Formulas that stood in two places. The frozen tasks and stored rows of the evaluation play the same; configs of
    # `without` agree to 1e-7.
    "5e6e4bff37cc1e45673c3c3af2d2df24c6e7cde0": ("kernels", "cuda", "experiments"),
    # A property in place of an expression, what goes with what for terms of extensions, and an error. The frozen tasks
    # play the same.
    "0c9c546ad2c3a1cbadc053f6b38cec5d04494c8c": ("kernels", "cuda"),
    "54df10ba5febbdd78d7ac7e5f78eb20e0388860a": ("kernels",),
    "30f041597aa133abc1f9cd94601d170907806574": ("kernels",),
    "5b1f27190770a065a94c0efb4d7989b2ba7de0a6": ("kernels",),
}
# Module -> the name that digests know it by, for modules that were renamed while they did the same.
MOVED = {"language.encoders": "language.encode", "encoders": "encode"}
CENTRAL = ("mappo", "qmix")  # BenchMARL's learners that see the global state
DIRTY = "-dirty"  # what `provenance` adds to a commit
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_NAMED = {**POLICIES, **TASK_POLICIES}


# ------------------------------------------------------------------------------------------------ the code


def meaning(tree: Any) -> Any:
    """Turn a syntax tree into nested lists that are the same in every version of Python: without docstrings, empty
    fields and line numbers. Imported modules have the names of `MOVED`."""
    if isinstance(tree, ast.AST):
        if isinstance(tree, _DOCUMENTED) and ast.get_docstring(tree) is not None:
            tree.body = tree.body[1:]
        if isinstance(tree, ast.ImportFrom) and tree.module in MOVED:
            tree.module = MOVED[tree.module]
        inside = {name: meaning(value) for name, value in ast.iter_fields(tree) if name != "kind"}
        return [type(tree).__name__, *(item for item in sorted(inside.items()) if item[1] not in (None, []))]
    return [meaning(item) for item in tree] if isinstance(tree, list) else repr(tree) if tree is not None else None


def digest(*parts: Any) -> str:
    """Digest some values to ten hexadecimal digits."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:10]


def within(path: str, area: tuple[str, ...]) -> bool:
    """Whether a file is part of an area. A trailing * stands for the files of a folder without its subfolders."""
    return any(
        path == part
        or (part.endswith("/") and path.startswith(part))
        or (part.endswith("*") and path.rpartition("/")[0] == part[:-2])
        for part in area
    )


def described(files: Mapping[str, str], tables: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Digest a state of the code: {"areas" | "PLAY" | "STATE": {name: digest}}.

    Args:
        files: path -> text of the Python files.
        tables: the tables of the frozen tasks.
    """
    used = [path for path in files if any(within(path, area) for area in AREAS.values())]
    trees = {path: meaning(ast.parse(files[path])) for path in used}
    areas = {
        name: digest(*(trees[path] for path in sorted(trees) if within(path, area))) for name, area in AREAS.items()
    }
    short = {name: {task: value[:10] for task, value in table.items()} for name, table in tables.items()}
    return {"areas": areas, **short}


def tables_of(text: str) -> dict[str, dict[str, str]]:
    """Read the tables of digests from the text of the frozen tasks' test."""
    tables: dict[str, dict[str, str]] = {"PLAY": {}, "STATE": {}}
    for node in ast.parse(text).body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) in tables and node.value is not None:
            tables[ast.unparse(node.target)] = ast.literal_eval(node.value)
    return tables


@cache
def present() -> dict[str, dict[str, str]]:
    """The digests of the code as it is now."""
    files = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
        for folder in ("recsys_env", "benchmarks")
        for path in sorted((ROOT / folder).rglob("*.py"))
    }
    return {**described(files, tables_of((ROOT / FROZEN).read_text(encoding="utf-8"))), "policies": ACTS_SINCE}


def code(area: str) -> dict[str, str]:
    """What a proof stores in its settings: the part of the code that it is about, and its digest."""
    return {area: present()["areas"][area]}


# ------------------------------------------------------------------------------------------------ history


def git(*words: str) -> bytes:
    return subprocess.run(["git", "-C", str(ROOT), *words], check=True, capture_output=True).stdout


def at(commit: str) -> dict[str, dict[str, str]]:
    """The digests of the code at a commit, as they are after all later commits of `RENAMED`."""
    found = dict(code_at(commit))  # which is kept for other commits
    for renaming, kept in RENAMED.items():
        if includes(commit, renaming):
            continue
        before, after = code_at(f"{renaming}^"), code_at(renaming)
        for kind, table in found.items():
            same = [name for name in table if kind in kept or name in kept]
            found[kind] = table | {name: after[kind][name] for name in same if table[name] == before[kind].get(name)}
    return {**found, "policies": {name: since for name, since in ACTS_SINCE.items() if includes(commit, since)}}


@cache
def code_at(commit: str) -> dict[str, dict[str, str]]:
    """The digests of the code at a commit."""
    with tarfile.open(fileobj=io.BytesIO(git("archive", commit, "recsys_env", "benchmarks"))) as archive:
        members = [member for member in archive.getmembers() if member.name.endswith(".py")]
        files = {member.name: archive.extractfile(member).read().decode() for member in members}  # type: ignore[union-attr]
    return described(files, tables_of(git("show", f"{commit}:{FROZEN}").decode()))


def includes(commit: str, earlier: str) -> bool:
    """Whether a commit is another one or descends from it."""
    return git("merge-base", commit, earlier).decode().strip() == earlier


# ------------------------------------------------------------------------------------------------ results


class Result(NamedTuple):
    """Something that was measured.

    Attributes:
        place: file and row.
        kind, name: what it is about: "PLAY" or "STATE" and a task, "policies" and a policy, or "areas" and a part of
            the code.
        commits: the commits of the code that it was measured with.
        digest: the digest of that code, if the result itself holds it.
    """

    place: str
    kind: str
    name: str
    commits: tuple[str, ...]
    digest: str | None = None


def results(folder: Path = RESULTS) -> Iterator[Result]:
    """All stored results."""
    for path in sorted(folder.rglob("*.json")):
        yield from of_file(str(path.relative_to(folder).with_suffix("")), read_json(path))


def of_file(name: str, stored: Mapping[str, Any]) -> Iterator[Result]:
    """The results in one file."""
    if name in ABOUT:
        settings = stored.get("settings", {})
        made = settings.get("code", {}).get(ABOUT[name])
        commits = sorted(set(_every(stored, _commits)))
        yield Result(name, "areas", ABOUT[name], tuple(commits), made)
        if name not in TASKS_TOO:
            return
    if name in TASKS_OF:
        yield Result(name, "PLAY", TASKS_OF[name], tuple(_commits(stored)))
    yield from dict.fromkeys(_of(name, stored, ()))


def _of(place: str, value: Any, commits: tuple[str, ...]) -> Iterator[Result]:
    """Find what a part of a file is about from the names of tasks and policies in it."""
    if not isinstance(value, dict):
        return
    commits = tuple(sorted(set(_commits(value)))) or commits
    settings = value.get("settings") or value.get("origin", {}).get("settings", {})
    if isinstance(settings, dict) and settings.get("task") in TASKS:
        yield Result(place, "PLAY", settings["task"], commits)
        if sees_state(settings):
            yield Result(place, "STATE", settings["task"], commits)
    for key, inside in value.items():
        if key in ("settings", "source", "sources", "origin", "aggregate", "differences"):
            continue
        inner = f"{place} {key}"
        own = tuple(sorted(set(_commits(inside)))) or commits if isinstance(inside, dict) else commits
        task = re.split(r"[ ,:]", key)[0]
        if task in TASKS and own:
            yield Result(inner, "PLAY", task, own)
        if key in _NAMED and own and isinstance(inside, dict):
            yield Result(inner, "policies", key, own)
        yield from _of(inner, inside, commits)


def sees_state(settings: Mapping[str, Any]) -> bool:
    """Whether a learner with these settings has a central critic or mixer."""
    central = settings.get("centralised") or settings.get("mixer") == "qmix"
    return bool(central or settings.get("algorithm") in CENTRAL)


def _commits(value: Mapping[str, Any]) -> Iterator[str]:
    """The commits that a row itself names."""
    for source in (value, value.get("source"), value.get("origin"), *value.get("sources", ())):
        if isinstance(source, dict):
            yield from (commit.removesuffix(DIRTY) for commit in _named_by(source))


def _named_by(source: Mapping[str, Any]) -> list[str]:
    """The commits that an origin names, as they are written there."""
    named = source.get("commit") or source.get("stored_in") or ()
    return [str(commit) for commit in ([named] if isinstance(named, str) else named) if commit]


def _every(value: Any, commits: Callable[[Mapping[str, Any]], Iterable[str]]) -> Iterator[str]:
    """The commits named by a value and by everything inside it."""
    if isinstance(value, dict):
        yield from commits(value)
    for inside in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _every(inside, commits)


def uncommitted(folder: Path = RESULTS) -> dict[str, int]:
    """Count, for each file, the sources that had uncommitted changes. Files without any are left out."""
    counts = {
        str(path.relative_to(folder).with_suffix("")): sum(
            commit.endswith(DIRTY) for commit in _every(read_json(path), _named_by)
        )
        for path in sorted(folder.rglob("*.json"))
    }
    return {name: count for name, count in counts.items() if count}


def changes(result: Result, known: Mapping[str, Any]) -> list[str]:
    """The commits of a result at which what it is about was different; empty if nothing has changed."""
    now = present()[result.kind].get(result.name)
    if result.digest and result.digest == now:
        return []
    return [commit for commit in result.commits if known.get(commit, {}).get(result.kind, {}).get(result.name) != now]


def said(result: Result, since: list[str]) -> str:
    """One line that says what an older result is about and since when that has changed."""
    what = {"PLAY": "what", "STATE": "the global state of", "policies": "the policy", "areas": "the code of"}
    about = f"{what[result.kind]} {result.name}{' plays' if result.kind == 'PLAY' else ''}"
    return f"{result.place}: {about} has changed since {', '.join(commit[:7] for commit in since)}"


def older(folder: Path = RESULTS) -> list[str]:
    """One line for each stored result that is older than what it is about."""
    known = read_json(COMMITS)
    return [said(result, since) for result in results(folder) if (since := changes(result, known))]


def fill() -> None:
    """Store the digests of the code at all commits that results name. Needs the history of the repository.

    Stored digests are kept while nothing has changed in how they are made.
    """
    functions: tuple[Any, ...] = (meaning, digest, within, described, tables_of, at, code_at, includes)
    code_of = [inspect.getsource(function) for function in functions]
    made_by = digest(AREAS, MOVED, RENAMED, ACTS_SINCE, FROZEN, code_of)
    stored = read_json(COMMITS) if COMMITS.is_file() else {}
    kept = stored if stored.get("made by") == made_by else {}
    named = sorted({commit for result in results() for commit in result.commits})
    write_json(COMMITS, {"made by": made_by, **{commit: kept.get(commit) or at(commit) for commit in named}}, indent=1)
    print(f"{len(named)} commits, of which {len(set(named) - kept.keys())} are new")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fill", action="store_true", help="store the digests at the commits that results name")
    parser.add_argument("--all", action="store_true", help="list all results, not only older ones")
    args = parser.parse_args()
    if args.fill:
        fill()
    known, every = read_json(COMMITS), list(results())
    for result in every:
        if since := changes(result, known):
            print(said(result, since))
        elif args.all:
            print(f"{result.place}: up to date with {result.name} ({result.kind})")
    print(f"{sum(bool(changes(result, known)) for result in every)} of {len(every)} results are older")
    for name, count in uncommitted().items():
        print(f"{name}: {count} sources had changes that were not committed")


if __name__ == "__main__":
    main()
