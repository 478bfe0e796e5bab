"""The report on a log: may one compare policies in a world fitted to it, and why?

split.py           log -> a first part, to which a world is fitted, and the held-out last days or pages
diagnosis.py       what the log can say at all
ranking.py         how well the world predicts held-out purchases    click_prediction.py  the same of clicks on pages
realism.py         how much simulated purchases resemble real ones   click_realism.py     the same of clicks on pages
visit_realism.py   how much simulated visits resemble real ones
decisions.py       which policy the world prefers, and what would reverse that
page_values.py     what simple policies earn on a page, by the world and by the log's propensities
verdict.py         numbers -> findings in words -> the verdict
assessment.py      `assess`: all of these parts in order -> a report of JSON values
page.py            report -> one HTML page
commands.py        `python -m recsys_env fit` and `report`
"""

from __future__ import annotations

from .assessment import ReportSettings, assess
from .page import write_page

__all__ = ["ReportSettings", "assess", "write_page"]
