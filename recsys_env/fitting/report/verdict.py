"""What the numbers of a report mean, in words: findings of each part, and the verdict that follows from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from ...policies.registry import ORACLES
from .click_prediction import BOOSTING
from .decisions import usable
from .page_values import LACKING
from .ranking import FITTED

COVERED, HARDLY_COVERED = 0.8, 0.5  # shares of the purchases that are of items with enough users
CONNECTED = 0.95  # share of the users in the largest connected group
NEAR, FAR = 1.5, 3.0  # a distance, relative to its floor
SMALL = 0.02  # a distance that does not matter
FEW_HELD_OUT, WIDE = 50, 0.25  # users who are ranked for; width of an interval, relative to what it is about
TOLD_APART, ALIKE = 0.9, 0.05  # AUC of the discriminator; AUC above its floor
EXPLORED, HARDLY_EXPLORED = 0.05, 0.01  # shares of the pages with an unusual slot
CALIBRATED = (0.8, 1.25)  # slopes of the calibration, and predicted clicks per click
USUAL_STRENGTH = 0.5  # utils of a hidden confounder, that the best policy should survive

Kind: TypeAlias = Literal["right", "wrong", "serious"]  # serious: wrong in a way that affects which policy is best


class Finding(NamedTuple):
    """One sentence about what is right or wrong in a world."""

    kind: Kind
    text: str


SENTENCES = {
    "allowed": "You may compare policies in this world: ask which of two policies does better, not by how much.",
    "with care": "Compare policies in this world only with care, and confirm what you find with an experiment: the "
    "first points under 'wrong' affect which policy is best.",
    "not allowed": "Do not compare policies in this world. The customers chose from pages that a recommender had "
    "filled, so the world prefers what that recommender preferred. Use it to try out code.",
    "refused": "No world can be fitted to this log: {reason}.",
}


def about_log(doubts: Iterable[str], serious: Iterable[str] = ()) -> list[Finding]:
    """Findings of doubts about a log, of which serious ones affect which policy is best."""
    kinds: dict[Kind, Iterable[str]] = {"serious": serious, "wrong": doubts}
    return [Finding(kind, f"{doubt[0].upper()}{doubt[1:]}.") for kind, found in kinds.items() for doubt in found]


def about_overlap(found: Mapping[str, Any], rows: str = "purchases", verb: str = "bought") -> list[Finding]:
    """Findings of `diagnosis.overlap`, whose rows are those that users bought or saw."""
    covered, linked = found[f"{rows} of items with enough users"], found["users in the largest connected group"]
    text = (
        f"{percent(covered)} of the {rows} are of items that at least {found['enough users']} users {verb}, so that "
        "the appeal of these items can be told from chance."
    )
    kind: Kind = "right" if covered >= COVERED else "wrong" if covered >= HARDLY_COVERED else "serious"
    findings = [Finding(kind, text if kind == "right" else f"Only {text}")]
    if linked < CONNECTED:
        text = f"Only {percent(linked)} of the users are linked through items that they share"
        findings.append(Finding("wrong", f"{text}. Tastes of users in different groups cannot be compared."))
    return findings


def about_ranking(quality: Mapping[str, Mapping[str, Any]], impersonal: Sequence[str]) -> list[Finding]:
    """Findings of `ranking.held_out_quality`; `impersonal` are the names of scores that are the same for all users."""
    findings = []
    names = {"all": "Among all items", "new": "Among items that are new to a user"}
    for subset, scores in quality.items():
        others = {name: row["ndcg"]["mean"] for name, row in scores.items() if name != FITTED}
        best = max(others, key=lambda name: others[name])
        gain, mean = scores[best]["fitted minus this"]["ndcg"], scores[FITTED]["ndcg"]["mean"]
        users = scores[FITTED]["ndcg"]["users"]
        if subset == "all" and users < FEW_HELD_OUT:
            text = f"Only {users} users of the first part of the log bought anything in the second, too few to check"
            findings.append(Finding("serious", f"{text} what the world predicts. Hold out a longer part."))
        kind: Kind = "right"
        if gain["low"] > 0:
            text = "the fitted utility ranks later purchases better than every simple method"
        elif gain["high"] < 0:
            kind, text = "wrong", f"the method '{best}' ranks later purchases better than the fitted utility"
        elif gain["high"] - gain["low"] > WIDE * max(mean, others[best]):
            kind = "wrong"
            text = (
                "the log does not tell whether the fitted utility ranks later purchases better than the best simple "
                f"method, '{best}'"
            )
        else:
            text = f"the fitted utility ranks later purchases about as well as the best simple method, '{best}'"
        compared = f"(NDCG@20 {mean:.3f} against {others[best]:.3f}, for {users:,} users)"
        findings.append(Finding(kind, f"{names[subset]}, {text} {compared}."))
    new = quality.get("new", {})
    lost = [name for name in impersonal if name in new and new[name]["fitted minus this"]["ndcg"]["high"] < 0]
    if lost:
        text = f"For items that are new to a user the fitted utility ranks worse than {lost[0]}, which is the same for"
        findings.append(Finding("serious", f"{text} all users: the log has taught it no tastes."))
    return findings


def wrong_propensities(found: Mapping[str, Any]) -> dict[str, float]:
    """Policies of `page_values.page_values` whose importance weights say that propensities are wrong, with these
    weights."""
    policies = found.get("policies", {}).items()
    return {name: row["weight"]["mean"] for name, row in policies if row["weight"]["low"] > 1 + LACKING}


def about_exploration(found: Mapping[str, float] | None) -> Finding:
    """Finding of `diagnosis.exploration`."""
    unknown = "What its recommender knew and the log does not contain looks like a preference for what it showed."
    if found is None:
        return Finding("wrong", f"The log has no propensities, so it does not say what was left to chance. {unknown}")
    share = found["pages"]
    text = f"{percent(share)} of the pages show an item that was unlikely to be shown there."
    if share >= EXPLORED:
        return Finding("right", f"{text} These pages separate what was shown from what is liked.")
    return Finding("serious" if share < HARDLY_EXPLORED else "wrong", f"Only {text} {unknown}")


def about_clicks(quality: Mapping[str, Any]) -> list[Finding]:
    """Findings of `click_prediction.click_quality`."""
    loss = {name: row["log-loss"]["mean"] for name, row in quality.items()}
    simple = min((name for name in loss if name not in (FITTED, BOOSTING)), key=lambda name: loss[name])
    findings, worse_than = [], dict[str, Kind]({simple: "serious", BOOSTING: "wrong"})
    for name, worse in worse_than.items():
        gap = quality[name]["fitted minus this"]["log-loss"]
        compared = f"(log-loss {loss[FITTED]:.4f} against {loss[name]:.4f})"
        if gap["low"] > 0:
            findings.append(Finding(worse, f"'{name}' predicts later clicks better than the world {compared}."))
        else:
            how = "better than" if gap["high"] < 0 else "about as well as"
            findings.append(Finding("right", f"The world predicts later clicks {how} '{name}' {compared}."))
    slope, level = (quality[FITTED][name] for name in ("slope", "predicted clicks per click"))
    right = all(CALIBRATED[0] <= part["mean"] <= CALIBRATED[1] for part in (slope, level))
    text = (
        f"The world's click probabilities are {'' if right else 'not '}calibrated: for each real click it predicts "
        f"{level['mean']:.2f}, and the slope of its calibration is {slope['mean']:.2f}."
    )
    return [*findings, Finding("right" if right else "wrong", text)]


def about_page_values(found: Mapping[str, Any]) -> list[Finding]:
    """Findings of `page_values.page_values`."""
    if "reason" in found:
        return [Finding("wrong", f"The world cannot be checked by off-policy estimates: {found['reason']}.")]
    if wrong := wrong_propensities(found):
        name = max(wrong, key=lambda name: wrong[name])
        text = (
            "The propensities of the log cannot be those of its slots: the importance weights of the policy "
            f"{name} are {wrong[name]:.3g} on average, and must be 1. So off-policy estimates cannot check the world, "
            "and it is not known how much the log left to chance."
        )
        return [Finding("wrong", text)]
    if all(row["dr"] is None for row in found["policies"].values()):
        text = "what the simple policies would show was shown or clicked too rarely in the log"
        return [Finding("wrong", f"The world cannot be checked by off-policy estimates: {text}.")]
    apart = [
        Finding(
            "wrong",
            f"If the policy {name} fills the slots of a page one at a time, the world expects "
            f"{row['world']['mean']:.2f} clicks in them, and the log says {row['ips']['mean']:.2f} (IPS); they differ "
            "beyond chance.",
        )
        for name, row in found["policies"].items()
        if row["apart"]
    ]
    differ, alike = found["pairs"]["differ"], found["pairs"]["ordered alike"]
    if not differ:
        return apart
    text = (
        f"The world orders {alike} of {differ} pairs of simple policies, which off-policy estimates (DR) separate "
        "beyond chance, as these estimates do."
    )
    return [Finding("right" if alike == differ else "serious", text), *apart]


def about_realism(found: Mapping[str, Any], meanings: Mapping[str, str], rows: str = "purchases") -> list[Finding]:
    """Findings of the part "realism", whose marginals have these meanings."""
    classifier = found["discriminator"]
    auc, floor, telling = classifier["auc"], classifier["floor"], next(iter(classifier["features"]))
    alike = auc <= floor + ALIKE
    tells = "can hardly tell" if alike else "tells" if auc > TOLD_APART else "sometimes tells"
    by = "" if alike else f", mostly by: {telling}"
    text = f"A classifier {tells} simulated from real {rows} (AUC {auc:.2f}, floor {floor:.2f}){by}."
    return [*about_marginals(found["marginals"], meanings, rows), Finding("right" if alike else "wrong", text)]


def about_marginals(marginals: Mapping[str, Any], meanings: Mapping[str, str], rows: str) -> list[Finding]:
    """Which distributions of simulated rows, such as purchases, are like those of real ones, and which are not."""
    how: dict[str, list[str]] = {"no": [], "much": [], "somewhat": []}
    for name, row in marginals.items():
        if row["world"] is not None and row["floor"] is not None:
            near, far = (row["world"] <= factor * row["floor"] + SMALL for factor in (NEAR, FAR))
            how["no" if near else "somewhat" if far else "much"].append(meanings[name])
    return [
        Finding(
            "right" if much == "no" else "wrong",
            f"Simulated {rows} differ {much} more from real ones than these do from each other in: {', '.join(of)}.",
        )
        for much, of in how.items()
        if of
    ]


def about_decisions(ranking: Mapping[str, Any], confounder: Mapping[str, Any]) -> list[Finding]:
    """Findings of the part "decisions"."""
    first = next(iter(ranking["policies"]))
    best, second = usable(ranking["policies"])[:2]
    share, of, oracle = percent(ranking["share of pairs that differ"]), "compared policies", ""
    if first in ORACLES and first != best:
        of = "policies that you can ship"
        oracle = f" {first} earns more, but is an oracle, which knows {ORACLES[first]}."
    if [best, second] in ranking["pairs that differ"]:
        text = f"{best} is the best of the {of} beyond chance; {share} of all pairs truly differ.{oracle}"
        findings = [Finding("right", text)]
    else:
        text = f"{best} and {second}, the two best of the {of}, differ by no more than chance; {share} of pairs differ."
        findings = [Finding("wrong", f"{text}{oracle}")]
    rows = confounder["strengths"]
    if rows[0]["same best policy"] < 1:
        text = "Other visitors alone make another policy the best, so the effect of a hidden confounder cannot be told."
        return [*findings, Finding("wrong", text)]
    weakest = next((row["strength"] for row in rows if row["same best policy"] < 1), None)
    if weakest is None:
        text = f"{best} stays best under a hidden confounder of up to {rows[-1]['strength']:g} utils."
    else:
        strong = "It takes a strong confounder to change that: " if weakest > USUAL_STRENGTH else ""
        text = f"{strong}A hidden confounder of {weakest:g} utils makes another policy than {best} the best."
    serious = weakest is not None and weakest <= USUAL_STRENGTH
    return [*findings, Finding("serious" if serious else "right", text)]


def verdict(comparable: bool, findings: Sequence[Finding], never: Sequence[str]) -> dict[str, Any]:
    """The verdict on a world.

    Args:
        comparable: whether a log of this origin allows to compare policies at all.
        findings: of all parts.
        never: what the world must not be trusted for.

    Returns:
        comparison: one of `SENTENCES`; sentence; right, wrong: sentences, serious ones first; never.
    """
    by_kind = {kind: [finding.text for finding in findings if finding.kind == kind] for kind in get_args(Kind)}
    comparison = "not allowed" if not comparable else "with care" if by_kind["serious"] else "allowed"
    wrong = by_kind["serious"] + by_kind["wrong"]
    return {
        "comparison": comparison,
        "sentence": SENTENCES[comparison],
        "right": by_kind["right"],
        "wrong": wrong,
        "never": list(never),
    }


def refused(reason: object) -> dict[str, Any]:
    """The verdict on a log that no world can be fitted to."""
    sentence = SENTENCES["refused"].format(reason=reason)
    return {"comparison": "refused", "sentence": sentence, "right": [], "wrong": [], "never": []}


def percent(share: float) -> str:
    """A share in percent."""
    return f"{100 * share:.0f} %"
