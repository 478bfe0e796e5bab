"""The report as one HTML page, which needs no other file: words, tables and small plots."""

from __future__ import annotations

import html
import string
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from ...checks import shown
from ...files import checked_path, replacing
from . import click_sections, purchase_sections
from .markup import bullets

CLASSES = {"allowed": "allowed", "with care": "care", "not allowed": "not", "refused": "refused"}


def write_page(report: Mapping[str, Any], path: str | Path, title: str = "") -> Path:
    """Write a report as one HTML page without other files; a browser shows it without a network.

    Args:
        report: of `assess`, or read from its JSON.
        path: the file; its folder exists.
        title: name of the log.

    Raises:
        TypeError: `report` is no report.
        ImportError: matplotlib is missing.
        OSError: the file cannot be written.
    """
    if not isinstance(report, Mapping) or "verdict" not in report:
        raise TypeError(f"report = {shown(report)} must be what assess returned")
    path = checked_path("path", path)
    head = f"May policies be compared in a world fitted to {title or 'this log'}?"
    body = [f"<h1>{html.escape(head)}</h1>", *_verdict(report["verdict"])]
    sections = click_sections if report.get("origin") == "pages" else purchase_sections
    if "log" in report:
        body += sections.log_facts(report)
    for name, (heading, section) in sections.SECTIONS.items():
        if name in report:
            body += [f"<h2>{heading}</h2>", *section(report[name])]
    template = resources.files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    with replacing(path) as new:
        text = _Template(template).substitute(title=html.escape(head), body="\n".join(body))
        new.write_text(text, encoding="utf-8", errors="xmlcharrefreplace")
    return path


class _Template(string.Template):
    delimiter = "%%"


HEADS = {  # part of a verdict -> its heading
    "right": "What is right in this world",
    "wrong": "What is wrong in it",
    "never": "What it must not be trusted for",
}


def _verdict(verdict: Mapping[str, Any]) -> list[str]:
    found = [f'<p class="verdict {CLASSES[verdict["comparison"]]}">{html.escape(verdict["sentence"])}</p>']
    for name, head in HEADS.items():
        if verdict[name]:
            found += [f"<h3>{head}</h3>", bullets(verdict[name])]
    return found
