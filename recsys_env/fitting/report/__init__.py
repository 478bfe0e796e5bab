"""The report on a log: may one compare policies in a world fitted to it, and why?

split.py       log -> a first part, to which a world is fitted, and the held-out last days
diagnosis.py   what the log can say at all
ranking.py     how well the world predicts held-out purchases
realism.py     how much simulated purchases resemble held-out ones
decisions.py   which policy the world prefers, and what would reverse that
verdict.py     numbers -> findings in words -> the verdict
assessment.py  `assess`: all of these parts in order -> a report of JSON values
page.py        report -> one HTML page
commands.py    `python -m recsys_env fit` and `report`
"""

from __future__ import annotations

from .assessment import ReportSettings, assess
from .page import write_page

__all__ = ["ReportSettings", "assess", "write_page"]
