"""Settings of the site. It needs no network, and warnings are errors:

pip install -e ".[docs]" && sphinx-build -W --keep-going -b html docs docs/_build/html
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from docutils.nodes import SkipNode
from latex2mathml.converter import convert

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]

import generate

import recsys_env

project = "recsys_env"
author = "recsys_env contributors"
copyright = "2026, recsys_env contributors"
version = release = recsys_env.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "_generated/parts"]
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
myst_dmath_double_inline = True

default_role = "literal"  # docstrings write code between single backticks
autodoc_default_options = {"members": True, "show-inheritance": True, "member-order": "bysource"}
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
napoleon_use_rtype = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = "recsys_env"
html_static_path = ["_static", "images"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_math_renderer = "mathml"
pygments_style = "default"
pygments_dark_style = "monokai"


def _inline_math(writer: Any, node: Any) -> None:
    """Equations as MathML, which browsers draw by themselves: no script, no font and no request."""
    writer.body.append(convert(node.astext()))
    raise SkipNode


def _block_math(writer: Any, node: Any) -> None:
    writer.body.append(f'<div class="math-block">{convert(node.astext(), display="block")}</div>')
    raise SkipNode


def _aligned_as_literal(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Docstrings line up small tables with spaces and show calls by indenting them: keep such paragraphs as they are."""
    text = "\n".join(lines)
    lines[:] = "\n\n".join(_paragraph(part) for part in re.split(r"\n\s*\n", text)).split("\n") + [""]


def _paragraph(text: str) -> str:
    rows = text.split("\n")
    if any(re.search(r"\S {3,}\S", row) for row in rows) and not rows[0].lstrip().startswith((":", "..", "-", "*")):
        return "::\n\n" + "\n".join(f"    {row}" for row in rows)
    return text


def setup(app: Any) -> None:
    app.add_html_math_renderer("mathml", (_inline_math, None), (_block_math, None))
    app.connect("autodoc-process-docstring", _aligned_as_literal)
    app.connect("builder-inited", lambda app: generate.main())
