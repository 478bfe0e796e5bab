"""Run the README's blocks of one extra, as printed.

python -m benchmarks.compat.snippets torchrl
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

README = Path(__file__).parent.parent.parent / "README.md"


def blocks(extra: str) -> list[str]:
    """The Python blocks whose first line says that they need this extra (or library)."""
    every = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    return [block for block in every if re.match(rf"# (needs|pip install).*\b{re.escape(extra)}\b", block)]


if __name__ == "__main__":
    for block in blocks(sys.argv[1]):
        exec(compile(block, "README.md", "exec"), {"__name__": "__main__"})
    print(f"{len(blocks(sys.argv[1]))} blocks ran")
