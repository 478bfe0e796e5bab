"""Scoring: metrics of an episode, runs of teams on tasks, statistics over runs, tournaments, tables and plots."""

from .episodes import (
    REFERENCES,
    UNSEEN,
    episode_returns,
    mean_interval,
    normalised_score,
    place_on_scale,
    play_episode,
    scale_ends,
    score_table,
)
from .metrics import METRICS, Log, measure
from .record import record
from .watch import watch

__all__ = [
    "METRICS",
    "REFERENCES",
    "UNSEEN",
    "Log",
    "episode_returns",
    "mean_interval",
    "measure",
    "normalised_score",
    "place_on_scale",
    "play_episode",
    "record",
    "scale_ends",
    "score_table",
    "watch",
]
