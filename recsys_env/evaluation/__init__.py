"""Evaluation: play teams of policies on tasks, compute scores and metrics, and show the results.

log.py          EpisodeLog, the record of an episode              ->  metrics.py  METRICS, functions of the log
episodes.py     whole episodes of a team                          ->  runs.py     one team, task and seed, in a file
statistics.py   from runs to scores with intervals                ->  report.py, scenarios.py, tournaments.py
impressions.py  a log: episodes as a table of impressions         replay.py    an episode as an HTML replay
surrogate.py    which features explain a policy's slates          ->  replay.py
stored.py       the form of stored results                        ->  tables.py, plots.py
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
