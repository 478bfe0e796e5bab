"""Language: texts of items as vectors, pages as prompts, and language models as policies.

encoders.py     texts -> vectors, by a sentence encoder on this machine or by hashing words
projection.py   vectors of texts -> taste vectors, for items without purchases
pages.py        the page about to be shown, as an agent may know it; an answer to it -> an action
rules.py        a task as an agent plays it -> system prompt; what each number in a prompt means
prompts.py      page -> prompt, text -> answer
environment.py  a task with prompts as observations and texts as actions
rollout.py      such a task page after page, as trainers of language models play it
tools.py        what a language agent may look up before it answers
interface.py    what a language model is: `generate`, and perhaps `log_likelihoods`
local_model.py  one with weights on this machine; endpoint.py: one behind an address
models.py       the name of a model -> the model
policy.py       policies that read prompts
nearest.py      a policy that shows the items with the most similar texts
"""

from .encoders import encode
from .environment import TextEnv, text_env
from .interface import LanguageModel, ModelError, ModelRefused
from .models import open_model
from .pages import Answer, Candidate, Page, PastItem, Reader
from .policy import LanguagePolicy, Limits, TextPolicy
from .projection import Projection
from .prompts import REPAIRS, describe, parse
from .rollout import TextRollout, rollout_factory
from .tools import TOOLS, Tools, schema

__all__ = [
    "REPAIRS",
    "TOOLS",
    "Answer",
    "Candidate",
    "LanguageModel",
    "LanguagePolicy",
    "Limits",
    "ModelError",
    "ModelRefused",
    "Page",
    "PastItem",
    "Projection",
    "Reader",
    "TextEnv",
    "TextPolicy",
    "TextRollout",
    "Tools",
    "describe",
    "encode",
    "open_model",
    "parse",
    "rollout_factory",
    "schema",
    "text_env",
]
