"""Print the lowest versions that pyproject.toml declares, of the core and of the extras named, one a line, for pip.

    python .ci/lowest.py train evaluate

torch is left out: its older wheels bring gigabytes of CUDA's libraries.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import tomllib

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def lowest(requirements: list[str]) -> Iterator[str]:
    for requirement in requirements:
        nested = re.fullmatch(r"recsys_env\[(.*)\]", requirement)
        if nested:
            for extra in nested[1].split(","):
                yield from lowest(PROJECT["optional-dependencies"][extra])
        elif not requirement.startswith("torch>"):
            yield re.sub(r"[>=]=([^,;]+).*", r"==\1", requirement)


extras = [f"recsys_env[{','.join(sys.argv[1:])}]"] if sys.argv[1:] else []
print(*dict.fromkeys(lowest(PROJECT["dependencies"] + extras)), sep="\n")
