"""The sentences that a card opens with: what the task asks, and what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

import measured

from recsys_env import TASKS

from .games import game
from .learners import trained

_FOUR = (
    "{Count} myopic agents earn {P} each, {count} patient ones {R}; a lone patient agent gets {S}, a lone greedy one "
    "among patient ones {T}: {game}."
)


def _ppo(paid: str) -> tuple[str, str]:
    """What PPO ends at, paid by an agent's own clicks, sales or the like, and by the team's."""
    return f"PPO paid by its own {paid} ends at {{ppo-torch}}.", "Paid by the team's, it ends at {ppo-torch-team}."


OPENINGS: Mapping[str, Sequence[str]] = {
    # task -> sentences of `opening`: what it asks, and what was measured; in braces a name of `figures`
    "duel-v1": (
        "The hook wins the click and spoils the visitor's mood; the fair item repairs it, for both agents.",
        "Two agents that never repair earn {equilibrium} each in an episode, two that repair together {joint}, and "
        "both ways to play are equilibria.",
        *_ppo("clicks"),
    ),
    "pricing-duel-v0": (
        "Two sellers of the same good set prices for a visitor who is loyal to the last seller.",
        "In the worst stationary equilibrium each earns {equilibrium}, with random prices {random}, and with the "
        "prices that are best for both {joint}.",
        *_ppo("profit"),
        "With a discount of 0 it ends at {ppo-torch-myopic}.",
    ),
    "market-v0": (
        "Buyers grow loyal to a seller, so undercutting the others wins customers for later.",
        "Three myopic sellers earn {greedy} each, three that look ahead {planner}, and three that follow a common plan "
        "{central}.",
        *_ppo("profit"),
    ),
    "ecommerce-v1": (
        "Clickbait wins the click, but a satisfied visitor buys pages later and comes back, to either seller.",
        _FOUR,
        *_ppo("sales"),
    ),
    "coverage-v0": (
        "Each agent knows half of what the visitor wants, and an item that both show wastes a slot.",
        "Teams whose agents guess alone earn {coverage-alone}, with a convention {coverage-convention}, with memory "
        "{coverage-memory} and with messages {coverage-talk}; an agent that knows everything earns {central}.",
        "PPO ends at {ppo-torch}.",
        "With a memory it ends at {ppo-torch-memory}.",
        "Without messages it ends at {ppo-torch-silent}.",
    ),
    "journey-v1": (
        "Only purchases pay, and the topics that attract clicks at the entrance are not those that people buy.",
        "A myopic team earns {greedy}, a team that looks ahead {planner}, and the best fixed rankings {static}.",
        "PPO ends at {ppo-torch}.",
        "With a discount of 0 it ends at {ppo-torch-myopic}.",
    ),
    "social-v1": (
        "Bait earns clicks now and drives visitors away from both agents.",
        _FOUR,
        *_ppo("clicks"),
    ),
    "news-v1": (
        "Items appear and expire within the episode, and bait drives readers away from all agents.",
        _FOUR,
        *_ppo("reward"),
    ),
    "streaming-v1": (
        "Rows are paid by watch time, and users slowly tire of a topic.",
        "Random rows earn {random}, a policy that follows tastes {content}, the best fixed ranking {static}, and an "
        "oracle that looks ahead {planner}.",
        *_ppo("watch time"),
    ),
    "coldstart-v1": (
        "New users and items arrive all the time, so agents must act on little information.",
        "Ranking by profile and past clicks earns {content}, the best fixed ranking {static}, and an oracle that knows "
        "tastes and items {planner}.",
        *_ppo("clicks"),
    ),
    "grocery-v1": (
        "The same households come in every episode, with habits, prices and promotions fitted to real purchases.",
        "Showing what is popular earns {popularity}, ranking by profile and past purchases {content}, and an oracle "
        "{greedy}.",
        *_ppo("sales"),
    ),
    "crossdomain-v0": (
        "Each of three domains knows a person by its own pages only, though one taste governs all three.",
        "Random pages earn {random}, ranking by profile and past clicks {content}, and an oracle that knows tastes "
        "{greedy}.",
        "PPO ends at {ppo-torch}.",
    ),
    "bundle-v0": (
        "What one department sells makes demand for the goods of the next, which did not see the sale.",
        "The best fixed rankings earn {static}, departments that know what goes with what and see their own sales "
        "alone {observer}, and departments that see everything {planner}.",
        "Departments that rank by the visitor's profile alone earn {content}.",
    ),
    "playlist-v0": (
        "What a listener wants next depends on the last two plays, and no observation says what goes with what.",
        "The best fixed ranking earns {static}, an agent that knows what goes with what and learns about the listener "
        "{observer}, and one that knows the listener, too, {greedy}.",
        "An agent that ranks by the listener's profile alone earns {content}.",
    ),
    "auction-v0": (
        "Four advertisers bid for one slot per page, with budgets that truthful bids use up in half of the time.",
        "Four truthful bidders earn {auction-truthful} each, four that pace their budgets {auction-pacing}, and four "
        "that bid as little as they can {central}.",
        *_ppo("surplus"),
    ),
    "creators-v0": (
        "Bait wins a creator places and clicks, and whoever clicked on it comes back less often, to all creators. If "
        "all publish honest items, all earn most. A constant choice finds that, but baiting alone pays more.",
        "Twenty creators who never bait earn {R} each, twenty who always do {P}; a lone baiter among honest creators "
        "gets {T}, a lone honest creator among baiters {S}: {game}.",
        *_ppo("clicks"),
    ),
    "rivals-v1": (
        "A platform that spares its users bait is opened more often, and its rival less.",
        "Two myopic platforms earn {R} each, two that invest in their users {P}; a lone investor gets {T}, a lone "
        "myopic platform among investors {S}: {game}.",
        *_ppo("clicks"),
    ),
}


def opening(task: str) -> str:
    """What a task asks and what was measured, in a few sentences; without those whose numbers are not stored."""
    known, said = figures(task), []
    for sentence in OPENINGS.get(task, ()):
        with suppress(KeyError):
            said.append(sentence.format_map(known))
    return " ".join(said)


def figures(task: str) -> dict[str, str]:
    """Name -> number or words that `OPENINGS` quotes: individual reward per agent and episode where all agents play a
    policy or a learner, the payoffs T, R, P and S, and what kind of game these make."""
    found, play = measured.evidence(task), measured.evidence(task).get("play", {})
    rewards = {name: row["mean"] for name, row in found.get("rows", {}).items() if "mean" in row}
    rewards |= {name: row["reward"]["mean"] for name, _, row in trained(task)}
    rewards |= {name: play[name]["mean"] for name in "TRPS" if name in play}
    said = {name: f"{mean:.{0 if abs(mean) >= 40 else 1}f}" for name, mean in rewards.items() if mean is not None}
    if "T" in play:
        count = {2: "two", 3: "three", 4: "four"}.get(TASKS[task].num_agents, "many")
        said |= {"game": game(play), "count": count, "Count": count.capitalize()}
    return said
