"""Scoring: what an episode is measured by, runs of teams on tasks, what follows from them, and how it is shown.

log.py          EpisodeLog, what is taken down of an episode      ->  metrics.py  METRICS, functions of it
episodes.py     whole episodes of a team                          ->  runs.py     one team, task and seed, in a file
statistics.py   from runs to scores with intervals                ->  report.py, scenarios.py, tournaments.py
impressions.py  an episode as a table of impressions              replay.py    an episode as a page that replays it
surrogate.py    what a policy goes by                             ->  replay.py
stored.py       what stored results look like                     ->  tables.py, plots.py
"""

from .episodes import COMPARED, UNSEEN, compared, episode_returns, play_episode
from .impressions import record
from .log import EpisodeLog
from .metrics import METRICS, measure, metric
from .replay import watch
from .report import evaluate, show
from .scenarios import play_scenarios
from .statistics import mean_interval, normalised_score, place_on_scale, scale_ends, score_table
from .tournaments import tournament

__all__ = [
    "COMPARED",
    "METRICS",
    "UNSEEN",
    "EpisodeLog",
    "compared",
    "episode_returns",
    "evaluate",
    "mean_interval",
    "measure",
    "metric",
    "normalised_score",
    "place_on_scale",
    "play_episode",
    "play_scenarios",
    "record",
    "scale_ends",
    "score_table",
    "show",
    "tournament",
    "watch",
]
