"""What can happen to a slot of a page, declared once.

From these declarations follow the columns of the report and of infos, the feedback of policies, logs, recorded tables,
pages in words and pictures, replays, the weights in `reward` and in roles, and the sum that agents are paid. How likely
a response is stands in `kernels/equations.py`, and `kernels/feedback.py` draws it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Response:
    """An event in a slot. All infos report it, and policies get it for their own slots.

    Attributes:
        name: its key in infos, and its column in reports, logs and recorded tables.
        kind: NumPy kind of its values: "?" whether it happened, "i4" or "f4" how much of it; 0 = it did not happen.
        meaning: one sentence for users.
        event: name of its weight in `reward` and `RoleConfig.rewards`.
        paid: what the weight is paid for.
        weight: default of `reward`.
        words: what pages as text, pictures and replays say of it, with the value for {}; "" = nothing.
        prompt_words: what prompts say of it after a click, in the same form: "into the cart"; "" = nothing.
        colour: colour of the words and of the slot's frame. The last response with a colour decides on the frame; "" =
            a plain frame.
        unless: name of a response that implies this one. If both happened, only the other is described: an item that
            was `bought` is not also called "in the cart".
    """

    name: str
    kind: str
    meaning: str
    event: str
    paid: str
    weight: float = 0.0
    words: str = ""
    prompt_words: str = ""
    colour: str = ""
    unless: str = ""


RESPONSES = (
    Response(
        "clicked", "?", "whether the item was clicked; at most one of a page is", "click", "per click", weight=1.0,
        words="clicked", colour="#1f6feb",
    ),
    Response(
        "cart", "?", "whether the item was put into the cart, or bought at once", "cart", "per cart",
        words="in the cart", prompt_words="into the cart", colour="#9a5b00", unless="bought",
    ),
    Response(
        "bought", "?", "whether the item was bought at once", "purchase", "per purchase, in mean margins",
        words="bought", prompt_words="bought", colour="#1a7f37",
    ),
    Response(
        "rating", "i4", "stars, 1 to 5; 0 = not rated", "rating", "per rating, on (rating - 3) / 2",
        words="rated {}", prompt_words="rated {} of 5",
    ),
    Response(
        "liked", "?", "whether the item was liked", "like", "per like",
        words="liked", prompt_words="liked", colour="#b03082",
    ),
    Response("dwell", "f4", "time spent with the item, in mean lengths", "dwell", "per mean length watched"),
)  # fmt: skip

NAMES = tuple(response.name for response in RESPONSES)
EVENTS = tuple(response.event for response in RESPONSES)
KINDS = ("?", "i4", "f4")


def check_responses(responses: Sequence[Response]) -> None:
    """Check that responses can be columns, and that each has a name and an event of its own.

    Raises:
        TypeError: one cannot.
    """
    for response in responses:
        if response.kind not in KINDS:
            raise TypeError(f"response {response.name!r} has kind = {response.kind!r}; choose one of {KINDS}")
        for key in ("name", "event"):
            value = getattr(response, key)
            if not value.isidentifier():
                raise TypeError(f"response {response.name!r} has {key} = {value!r}, which is not a name in Python")
            if [getattr(other, key) for other in responses].count(value) > 1:
                raise TypeError(f"two responses have {key} = {value!r}")


check_responses(RESPONSES)


def check_new(names: Collection[str], where: str) -> None:
    """Check that no response has the name of something else that stands beside it.

    Args:
        names: of the others.
        where: they stand, for the message.

    Raises:
        TypeError: one has.
    """
    if taken := [name for name in NAMES if name in names]:
        raise TypeError(f"response {taken[0]!r} has a name that {where} use for something else; rename the response")


def most_specific(values: Mapping[str, Any]) -> Iterator[tuple[Response, Any]]:
    """Yield the responses that happened to a slot, each with its value, without those that another one implies.

    Args:
        values: name of each response -> its value at this slot.
    """
    for response in RESPONSES:
        if values[response.name] and not (response.unless and values[response.unless]):
            yield response, values[response.name]


def rating_value(rating: Any) -> Any:
    """Return what a weight of ratings is multiplied by: (rating - 3) / 2, or 0 where nothing was rated."""
    return (rating > 0) * (rating - 3.0) / 2.0


# What is known of the purchase of an earlier cart item; infos have an entry `later_...` of each.
LATER_SALE = ("item", "agent", "price", "rating")


def later_reward(weights: Any, price: Any, value: Any) -> Any:
    """Return what the purchase of an earlier cart item pays, given its price and the `rating_value` of its rating.

    Args:
        weights: of the events, by name (`World.agents`).
    """
    return weights["purchase"] * price + weights["rating"] * value
