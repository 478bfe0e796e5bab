"""Run the Python blocks of the site that need one library, or the extra that brings it, as they are printed.

    python -m benchmarks.compat.snippets torchrl

On a page that trains, `trained` and `random` are the rewards of what it trained and of random play. The first must be
higher.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent


def pages() -> list[Path]:
    """The README and the pages of the site that are written by hand."""
    made = {ROOT / "docs" / name for name in ("_build", "_generated")}
    return [ROOT / "README.md", *(page for page in sorted((ROOT / "docs").rglob("*.md")) if not made & {*page.parents})]


def blocks(page: Path) -> list[str]:
    """The Python blocks of a page in order. They share one namespace."""
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def needs(block: str) -> str | None:
    """What a block needs beyond the core, as its first line says: `# needs LIBRARY` and how to install it."""
    said = re.match(r"# needs (.*)", block)
    return said[1] if said else None


def run(library: str) -> int:
    """Run all blocks that need this library, page by page. Returns their number.

    Raises:
        RuntimeError: what a page trains does not beat random play.
    """
    count = 0
    for page in pages():
        names: dict[str, Any] = {"__name__": "__main__"}
        for block in blocks(page):
            if re.search(rf"\b{re.escape(library)}\b", needs(block) or ""):
                exec(compile(block, str(page), "exec"), names)
                count += 1
        if "trained" in names and not names["trained"] > names["random"]:
            raise RuntimeError(f"{page.name}: trained {names['trained']:g}, random play {names['random']:g}")
    return count


if __name__ == "__main__":
    print(f"{run(sys.argv[1])} blocks ran")
