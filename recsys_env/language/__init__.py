"""Text: what items say as vectors, pages as prompts, and language models as policies.

encode.py       texts -> vectors, by a sentence encoder on this machine or by hashing words
projection.py   vectors of texts -> vectors of taste, for items that nobody has bought yet
pages.py        the page about to be shown, as an agent may know it; an answer to it -> an action
prompts.py      page -> prompt, text -> answer
environment.py  a task with prompts for observations and texts for actions
policy.py       what reads prompts as a policy; models.py: language models behind one interface
nearest.py      the nearest items by what they say
"""

from .encode import encode
from .environment import TextEnv, text_env
from .models import LanguageModel, ModelError, ModelRefused, open_model
from .pages import Answer, Candidate, Page, Reader
from .policy import LanguagePolicy, Limits, TextPolicy
from .projection import Projection
from .prompts import REPAIRS, describe, parse

__all__ = [
    "REPAIRS",
    "Answer",
    "Candidate",
    "LanguageModel",
    "LanguagePolicy",
    "Limits",
    "ModelError",
    "ModelRefused",
    "Page",
    "Projection",
    "Reader",
    "TextEnv",
    "TextPolicy",
    "describe",
    "encode",
    "open_model",
    "parse",
    "text_env",
]
