"""Parts of an HTML page: words, tables and small plots."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ...evaluation.plots import COLOURS
from ...libraries import library
from .ranking import FITTED

# ------------------------------------------------------------------------------------------------ text


def paragraph(words: str) -> str:
    return f"<p>{html.escape(words)}</p>"


def bullets(sentences: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{html.escape(sentence)}</li>" for sentence in sentences) + "</ul>"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = "".join(f"<th>{html.escape(head)}</th>" for head in heads)
    lines = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{cells}</tr>{lines}</table></div>'


def _cell(text: str) -> str:
    """A cell, in which numbers stay on one line."""
    kind = ' class="number"' if text[:1] in "+-" or text[:1].isdigit() else ""
    return f"<td{kind}>{html.escape(text)}</td>"


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def interval_text(row: Mapping[str, float], digits: int = 3, sign: bool = False) -> str:
    mean, low, high = (f"{row[part]:{'+' if sign else ''}.{digits}f}" for part in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]"


# ------------------------------------------------------------------------------------------------ plots


def figure(draw: Callable[[Any, Any], None], values: Any, caption: str) -> str:
    """A plot as part of the page."""
    figure = library("matplotlib.figure", "evaluate").Figure(figsize=(6.6, 2.6), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    draw(axes, values)
    figure.set_figheight(max(2.2, 0.9 + 0.3 * len(axes.get_yticks()) if axes.yaxis_inverted() else 2.6))
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    data = base64.b64encode(file.getvalue()).decode()
    said = html.escape(caption)
    return f'<figure><img alt="{said}" src="data:image/svg+xml;base64,{data}"><figcaption>{said}</figcaption></figure>'


def draw_intervals(axes: Any, rows: Mapping[str, Mapping[str, float]], label: str) -> None:
    """A dot with its interval for each row, the first on top."""
    for height, (name, row) in enumerate(rows.items()):
        colour = COLOURS[1] if name == FITTED else COLOURS[0]
        axes.plot([row["low"], row["high"]], [height, height], color=colour)
        axes.plot(row["mean"], height, "o", color=colour)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.invert_yaxis()
    axes.set_xlabel(label)
    axes.grid(axis="x", alpha=0.25)
