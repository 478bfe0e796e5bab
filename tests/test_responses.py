"""What can be declared as a response."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from recsys_env.config import responses
from recsys_env.config.responses import RESPONSES, check_new, check_responses
from recsys_env.kernels import equations

SHARED = replace(RESPONSES[4], name="shared", event="share")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"kind": "O"}, r"response 'shared' has kind = 'O'; choose one of \('\?', 'i4', 'f4'\)"),
        ({"kind": "U3"}, "has kind = 'U3'"),
        ({"name": "shared it"}, "response 'shared it' has name = 'shared it', which is not a name in Python"),
        ({"name": "clicked"}, "two responses have name = 'clicked'"),
        ({"event": "click"}, "two responses have event = 'click'"),
    ],
)
def test_what_cannot_be_a_response_is_refused(changes: dict[str, Any], why: str) -> None:
    check_responses((*RESPONSES, SHARED))
    with pytest.raises(TypeError, match=why):
        check_responses((*RESPONSES, replace(SHARED, **changes)))


def test_a_response_has_a_name_that_nothing_beside_it_has() -> None:
    check_new(("active", "payment"), "infos")
    with pytest.raises(TypeError, match="response 'dwell' has a name that infos use for something else"):
        check_new(("active", "dwell"), "infos")


@pytest.mark.parametrize("name", ["rating_value", "later_reward"])
def test_python_and_kernels_pay_by_the_same_function(name: str) -> None:
    assert equations.in_python(getattr(equations, name)) is getattr(responses, name)
