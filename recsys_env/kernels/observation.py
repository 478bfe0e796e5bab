"""Observations of the page about to be shown. Every field is bounded: shares and one-hots as they are, the rest
squashed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..config.fields import OBSERVATION
from .dynamics import visitor_id
from .equations import freshness, relative_ctr, relative_satisfaction
from .machine.compiler import kernel
from .machine.numeric import round_up_to_lanes, squash
from .machine.vectors import dot, match_items, row_dot, squash_item, squash_row, squash_vector
from .objectives import exposure_of, share_of
from .page import (
    actions_of_pick,
    age_of,
    can_show,
    is_continuous,
    is_promoted,
    log_price,
    public_statistics,
    retrieves,
    view_of,
    wallet_now,
)
from .page_kinds import acts
from .platform import observe_platform
from .retrieval import count_seen

_ONE = np.float32(1.0)
_HALF = {field.name: field.half for field in OBSERVATION}
_PAGES, _VISITS, _GAP = (np.float32(_HALF[name]) for name in ("session_page", "visits", "visit_gap"))
_SLOT_VALUE, _LAST_PRICE = np.float32(_HALF["slot_value"]), np.float32(_HALF["last_price"])
_SATISFACTION_PAGES, _RECENT_PAGES = np.float32(_HALF["satisfaction_pages"]), np.float32(_HALF["recent_pages"])


class Candidate(NamedTuple):
    """Facts about a candidate that are known before its features are written."""

    item: int
    match: float  # <profile, q_j>
    recall: float  # <clicked mean, q_j>
    seen: float  # `seen_count`
    promoted: bool


class Bounded(NamedTuple):
    """The features of a candidate that are not squashed, because they are bounded as they are."""

    ctr: float
    satisfaction: float
    freshness: float
    promotion: float


@kernel
def observe(world, state, report, scratch, p, b, observations, masks):
    """Write the observation and mask of every agent, and who comes next."""
    copy = state.copies[b]
    for n in range(p.shape.agents):
        active = acts(world, p, copy, n)
        meets = active and not p.shape.ranked  # creators act between visits
        report.agents[b, n].active = active
        report.agents[b, n].next_visitor = (
            visitor_id(p, copy, copy.visitor, state.users[b, copy.visitor].incarnation) if meets else -1
        )
        report.agents[b, n].next_user_slot = copy.visitor if meets else -1
        for o in range(p.shape.observation):
            observations[b, n, o] = 0.0
        observations[b, n, p.fields.role + world.agents[n].role] = 1.0
        observations[b, n, p.fields.agent_id + n] = 1.0
        if p.shape.ranked:
            observe_platform(world, state, p, b, n, observations)
        elif active:
            _observe_visit(state, p, b, n, observations)
            _observe_history(state, p, b, n, observations)
            _observe_journey(world, state, p, b, n, observations)
            if retrieves(p):
                size, at = p.shape.observed_features, p.fields.candidates
                describe_candidates(world, state, scratch, p, b, n, p.observed, size, observations, n, at)
                if p.fields.candidate_vectors >= 0:
                    _observe_candidate_items(world, state, p, b, n, observations)
            _observe_known(world, state, p, b, n, observations)
            _observe_messages(state, p, b, n, observations)
            _observe_price_levels(state, p, b, n, observations)
            if p.shape.auctioned:
                _observe_bidder(state, p, b, n, observations)
            _observe_recent(world, state, p, b, n, observations)
            _observe_request(world, state, p, b, n, observations)
            if p.fields.exposure >= 0:
                _observe_exposure(world, state, p, b, n, observations)
            if p.shape.full:
                write_latent(state, p, b, observations[b, n], p.fields)
        if masks.shape[2] > 0:
            _mask(world, state, p, b, n, active, masks)


@kernel
def _observe_visit(state, p, b, n, observations):
    copy, at = state.copies[b], p.fields
    user = state.users[b, copy.visitor]
    sessions, last_visit = user.sessions, user.last_visit
    if p.shape.opens_agent:  # each platform knows its own
        visits = state.visits[b, copy.row, n]
        sessions, last_visit = visits.sessions, visits.last_visit
    observations[b, n, at.is_active] = 1.0
    observations[b, n, at.visitor_present] = 1.0
    observations[b, n, at.session_page] = squash(copy.session_page, _PAGES)
    observations[b, n, at.visits] = squash(sessions, _VISITS)
    observations[b, n, at.visit_gap] = squash(copy.tick - last_visit, _GAP) if last_visit >= 0 else _ONE
    if at.cart >= 0:
        observations[b, n, at.cart] = user.cart / (1.0 * p.shape.cart)


@kernel
def _observe_history(state, p, b, n, observations):
    """Noisy profile, and the history and the observed satisfaction of own slots (or of the platform)."""
    row, dims, size = state.copies[b].row, p.shape.dims, p.shape.dims + p.shape.topics
    profile, history, at = p.shape.profile, _history(p, n), p.fields
    squash_vector(state.vectors, b, row, profile, dims, observations, n, at.profile)
    squash_vector(state.vectors, b, row, history, size, observations, n, at.history)
    if at.observed_satisfaction >= 0:
        write_observed_satisfaction(state, p, b, 0 if p.shape.satisfaction_views == 1 else n, observations[b, n], at)


@kernel
def _observe_journey(world, state, p, b, n, observations):
    copy = state.copies[b]
    if p.fields.scene < 0:
        return
    observations[b, n, p.fields.scene + copy.scene] = 1.0
    if copy.anchor >= 0:
        for d in range(p.shape.dims):
            observations[b, n, p.fields.anchor + d] = squash(world.item_vectors[copy.anchor, d])


@kernel
def _observe_candidate_items(world, state, p, b, n, observations):
    """Vectors and topics of agent n's candidates."""
    dims, topics, at = p.shape.dims, p.shape.topics, p.fields
    for c in range(p.shape.candidates):
        j = np.int64(state.candidates[b, n, c])
        if j >= 0:
            squash_item(world.item_vectors, j, dims, observations, b, n, at.candidate_vectors + c * dims)
            observations[b, n, at.candidate_topics + c * topics + world.items[j].topic] = 1.0


@kernel
def describe_candidates(world, state, scratch, p, b, n, feature, size, rows, r, at):
    """Write the features of agent n's candidates into rows[b, r, at:], `size` numbers for each candidate.

    `feature` gives the position of each feature, -1 = left out. Features that are squashed are written first; the
    inputs of the other ones are kept in the scratch meanwhile. Returns the number of candidates.
    """
    row = scratch.turns[b].scratch_row
    if feature.repeat >= 0:
        count_seen(world, state, p, b, n, state.candidates[b, n], scratch.seen[row])
    items, copy = state.candidates[b, n], state.copies[b]
    count = 0
    for c in range(p.shape.candidates):
        count += items[c] >= 0
    if feature.history_match >= 0:
        match_items(world, state, p, b, _history(p, n), items, count, scratch.history_matches[row])
    if feature.promotion >= 0:
        for c in range(p.shape.candidates):  # also of empty positions, so that it vectorises
            scratch.promotion[row, c] = 1.0 if is_promoted(world, p, items[c], copy.tick) else 0.0
    for c in range(count):
        candidate = Candidate(
            item=np.int64(items[c]),
            match=state.matches[b, n, c],
            recall=scratch.history_matches[row, c],
            seen=np.float64(scratch.seen[row, c]),
            promoted=scratch.promotion[row, c] > 0.0,
        )
        clicks, impressions, satisfaction, age = _write_features(
            world, state, p, b, n, candidate, feature, rows, r, at + c * size
        )
        scratch.item_clicks[row, c], scratch.item_impressions[row, c] = clicks, impressions
        scratch.item_satisfaction[row, c], scratch.item_age[row, c] = satisfaction, age
    squash_row(rows, b, r, at, at + p.shape.candidates * size)
    _describe_bounded(scratch, p, b, count, feature, size, rows, r, at)
    return count


@kernel
def _history(p, n):
    """Return where the history that agent n is told begins among a person's vectors."""
    return p.shape.noisy_history + view_of(p, n) * (p.shape.dims + p.shape.topics)


@kernel
def _describe_bounded(scratch, p, b, count, feature, size, rows, r, at):
    """The features of the candidates that are bounded as they are. First all of one kind, which vectorises."""
    row = scratch.turns[b].scratch_row
    clicks, impressions, satisfaction = (
        scratch.item_clicks[row],
        scratch.item_impressions[row],
        scratch.item_satisfaction[row],
    )
    ctr, pleased, fresh = scratch.relative_ctr[row], scratch.relative_satisfaction[row], scratch.freshness[row]
    mean_ctr, mean_satisfaction = p.shape.mean_ctr, p.shape.mean_satisfaction
    for c in range(round_up_to_lanes(count)):
        ctr[c] = relative_ctr(mean_ctr, clicks[c], impressions[c])
    for c in range(round_up_to_lanes(count)):
        pleased[c] = relative_satisfaction(mean_satisfaction, clicks[c], satisfaction[c])
    if feature.freshness >= 0:
        for c in range(round_up_to_lanes(count)):
            fresh[c] = freshness(p.choice, scratch.item_age[row, c])
    for c in range(count):
        values = Bounded(ctr[c], pleased[c], fresh[c], scratch.promotion[row, c])
        _write_bounded(values, feature, rows, b, r, at + c * size)


@kernel
def _write_features(world, state, p, b, n, candidate, feature, rows, r, at):
    """Write the features of a candidate that are squashed into rows[b, r, at:]. Return the inputs of the other ones:
    clicks, impressions and satisfaction over all users, and age."""
    copy, dims = state.copies[b], p.shape.dims
    tick, j = copy.tick, candidate.item
    popularity, clicks, impressions, satisfaction = public_statistics(world, state, p, b, j, copy.stamp, tick)
    if feature.profile_match >= 0:
        rows[b, r, at + feature.profile_match] = candidate.match
        rows[b, r, at + feature.history_match] = candidate.recall
        rows[b, r, at + feature.topic_count] = state.vectors[b, copy.row, _history(p, n) + dims + world.items[j].topic]
    rows[b, r, at + feature.popularity] = popularity * p.shape.popularity_scale
    if feature.price >= 0:
        rows[b, r, at + feature.price] = log_price(world, p, j, tick, candidate.promoted)
    if feature.repeat >= 0:
        rows[b, r, at + feature.repeat] = candidate.seen
    if feature.context >= 0:
        context = row_dot(world.item_vectors, copy.anchor, world.item_vectors, j, dims) if copy.anchor >= 0 else 0.0
        rows[b, r, at + feature.context] = context
    if feature.length >= 0:
        rows[b, r, at + feature.length] = world.items[j].length
    return clicks, impressions, satisfaction, np.float64(age_of(world, p, j, tick))


@kernel
def _write_bounded(values, feature, rows, b, r, at):
    rows[b, r, at + feature.ctr], rows[b, r, at + feature.satisfaction] = values.ctr, values.satisfaction
    if feature.freshness >= 0:
        rows[b, r, at + feature.freshness] = values.freshness
    if feature.promotion >= 0:
        rows[b, r, at + feature.promotion] = values.promotion


@kernel
def write_item(world, state, p, b, n, j, match, seen, rows, r):
    """Write into rows[b, r] what the observation of agent n would hold of item j as a candidate."""
    copy = state.copies[b]
    recall = dot(state.vectors, b, copy.row, _history(p, n), world.item_vectors, j, p.shape.dims)
    candidate = Candidate(j, match, recall, seen, is_promoted(world, p, j, copy.tick))
    clicks, impressions, satisfaction, age = _write_features(world, state, p, b, n, candidate, p.features, rows, r, 0)
    squash_row(rows, b, r, 0, p.shape.features)
    ctr = relative_ctr(p.shape.mean_ctr, clicks, impressions)
    pleased = relative_satisfaction(p.shape.mean_satisfaction, clicks, satisfaction)
    values = Bounded(ctr, pleased, freshness(p.choice, age), 1.0 if candidate.promoted else 0.0)
    _write_bounded(values, p.features, rows, b, r, 0)


@kernel
def _observe_known(world, state, p, b, n, observations):
    """Write what the role knows of the session's intent."""
    if p.shape.labels == 0:
        return
    label = world.labels[n, state.copies[b].intent]
    if label >= 0:
        observations[b, n, p.fields.knows + label] = 1.0


@kernel
def _observe_messages(state, p, b, n, observations):
    """Write what the others said at this visitor's last page."""
    if p.shape.vocabulary == 0:
        return
    row = state.copies[b].row
    for m in range(p.shape.agents):
        word = state.messages[b, row, m]
        if m != n and word >= 0:
            observations[b, n, p.fields.messages + m * p.shape.vocabulary + word] = 1.0


@kernel
def _observe_price_levels(state, p, b, n, observations):
    """The levels of all agents' prices at this visitor's last page."""
    if p.fields.price_levels < 0:
        return
    for m in range(p.shape.agents):
        observations[b, n, p.fields.price_levels + m] = state.price_levels[b, state.copies[b].row, m]


@kernel
def _observe_bidder(state, p, b, n, observations):
    """Write what the page is worth to the bidder, what is left of its budget, and what everybody knows."""
    bidder, at = state.bidders[b, n], p.fields
    observations[b, n, at.slot_value] = squash(bidder.value, _SLOT_VALUE)
    observations[b, n, at.budget] = bidder.budget / p.offer.budget if p.offer.budget > 0.0 else 1.0
    write_auction(state, p, b, observations[b, n], at)


@kernel
def write_auction(state, p, b, row, at):
    """Write what everybody knows of the auction into the vector `row`, at its offsets in `at`."""
    auction = state.auctions[b, 0]
    row[at.until_refill] = 1.0 - auction.pages / (1.0 * p.offer.refill_period)
    row[at.last_price] = squash(auction.last_price, _LAST_PRICE)


@kernel
def _observe_recent(world, state, p, b, n, observations):
    """The items that the visitor consumed last, as far as agent n knows, newest first."""
    row, dims, topics, at = state.copies[b].row, p.shape.dims, p.shape.topics, p.fields
    for i in range(p.shape.recent):
        recent = state.recent[b, row, view_of(p, n), i]
        if recent.item >= 0:
            j = np.int64(recent.item)
            observations[b, n, at.recent_mask + i] = 1.0
            squash_item(world.item_vectors, j, dims, observations, b, n, at.recent_vectors + i * dims)
            observations[b, n, at.recent_topics + i * topics + world.items[j].topic] = 1.0
            observations[b, n, at.recent_bought + i] = recent.bought
            observations[b, n, at.recent_pages + i] = squash(recent.pages, _RECENT_PAGES)


@kernel
def _observe_request(world, state, p, b, n, observations):
    """Write what the visitor said at the start of the session, in numbers."""
    if p.shape.encoding == 0:
        return
    said = state.requests[b, state.copies[b].row, 0]
    for i in range(p.shape.encoding if said >= 0 else 0):
        observations[b, n, p.fields.request + i] = world.requests[said, i]


@kernel
def _observe_exposure(world, state, p, b, n, observations):
    total = exposure_of(state.exposure, b, n)
    for i in range(p.shape.providers):
        observations[b, n, p.fields.exposure + i] = share_of(world, state.exposure, b, n, i, total)


@kernel
def write_observed_satisfaction(state, p, b, view, row, at):
    """Write the visitor's satisfaction, as this view observes it, into the vector `row`, at its offsets in `at`."""
    vector = state.vectors[b, state.copies[b].row]
    row[at.observed_satisfaction] = vector[p.shape.observed_satisfaction + view]
    row[at.satisfaction_pages] = squash(vector[p.shape.satisfaction_pages + view], _SATISFACTION_PAGES)


@kernel
def write_latent(state, p, b, row, at):
    """Write the latent visitor into the vector `row`, each part at its offset in `at`."""
    copy = state.copies[b]
    user, vector = state.users[b, copy.visitor], state.vectors[b, copy.row]
    for d in range(p.shape.dims):
        row[at.latent_taste + d] = squash(vector[p.shape.taste + d])
    for t in range(p.shape.topics):
        row[at.latent_satiation + t] = squash(vector[p.shape.satiation + t])
    for m in range(p.shape.agents):
        row[at.latent_trust + m] = vector[p.shape.trust + m]
    row[at.latent_intent + copy.intent] = 1.0
    row[at.latent_satisfaction] = user.satisfaction
    row[at.latent_price_sensitivity] = squash(user.rho)
    wallet = squash(wallet_now(p, user, copy.tick)) if p.users.wallet_init > 0.0 else np.float32(0.0)
    row[at.latent_wallet] = wallet


@kernel
def _may_show(world, state, p, b, n, i):
    """Whether option i (candidate or item) of agent n would stand on the page."""
    if retrieves(p):
        return state.candidates[b, n, i] >= 0
    return can_show(world, state, p, b, n, i)


@kernel
def _mask(world, state, p, b, n, active, masks):
    """1 where an option would stand, per slot; levels, messages and what creators publish are always allowed; a mask of
    zeros is given as ones."""
    options = p.shape.candidates if retrieves(p) else p.shape.items
    size = masks.shape[2]
    found = False
    if active and not is_continuous(p) and not p.shape.ranked:
        repeat = actions_of_pick(p) if p.shape.slots == 1 else 1
        for i in range(options):
            fits = _may_show(world, state, p, b, n, i)
            found = found or fits
            for r in range(repeat):
                masks[b, n, i * repeat + r] = fits
        if p.shape.slots > 1:
            for k in range(1, p.shape.slots):
                for i in range(options):
                    masks[b, n, k * options + i] = masks[b, n, i]
            for i in range(p.shape.slots * options, size):
                masks[b, n, i] = 1
    if not found:
        for i in range(size):
            masks[b, n, i] = 1
