"""Text: what items say as vectors, pages as prompts, and language models as policies.

encode.py       texts -> vectors, by a sentence encoder on this machine or by hashing words
projection.py   vectors of texts -> vectors of taste, for items that nobody has bought yet
pages.py        the page about to be shown, as an agent may know it; an answer to it -> an action
prompts.py      page -> prompt, text -> answer
environment.py  a task with prompts for observations and texts for actions
policy.py       what reads prompts as a policy
"""

from .encode import encode
from .environment import TextEnv, text_env
from .pages import Answer, Candidate, Page, Reader
from .policy import TextPolicy
from .projection import Projection
from .prompts import REPAIRS, describe, parse

__all__ = [
    "REPAIRS",
    "Answer",
    "Candidate",
    "Page",
    "Projection",
    "Reader",
    "TextEnv",
    "TextPolicy",
    "describe",
    "encode",
    "parse",
    "text_env",
]
