"""The report's answers, in sentences; every figure comes with its interval and n."""

from __future__ import annotations

import math

from humanclap.experiments.summary import ALPHA
from humanclap.experiments.words import SIMULATED, p_value
from humanclap.reproduce.agreement import Estimate
from humanclap.reproduce.findings import FindingRow, Findings
from humanclap.reproduce.request import MAIN_OBJECTIVE
from humanclap.reproduce.verdict import (
    HUMAN_CLAP_SRCC,
    PUBLISHED_GAINS,
    RELATE_TEST,
    judge_gain,
    judge_level,
)

REHEARSAL = (
    "Rehearsal: few steps, one seed, few pairs. It shows that everything runs; its figures say "
    "nothing about the paper."
)


def notes(found: Findings) -> list[str]:
    """What every reader must see first: a rehearsal, simulated ratings, the user's note."""
    request = found.request
    told = [REHEARSAL] if request.quick else []
    told += [SIMULATED] if request.simulated else []
    return [*told, request.note] if request.note else told


def answers(found: Findings) -> list[tuple[str, list[str]]]:
    """Each question of the plan with its answer."""
    own = found.request.own
    return [
        ("Does training help?" if own else "Does the gain replicate?", _gain(found)),
        ("Which objective wins?", _wins(found)),
        ("How do the released checkpoints compare?", _released(found)),
        ("How near is it to the ceiling, and how far from what hears nothing?", _limits(found)),
        ("Does it hold for a system that training did not meet?", _left_out(found)),
        ("How few ratings would have done?", _fewer(found)),
        ("Can the predicted ratings be believed?", _coverage(found)),
    ]


def headline(found: Findings) -> list[str]:
    """The verdict first."""
    gain = found.main.gain["all judged"]
    if found.request.own:
        return [_own_gain(found, gain)]
    verdict = judge_gain(gain, PUBLISHED_GAINS["all judged"])
    said = {
        "replicates": "The gain of Human-CLAP replicates.",
        "is smaller than published": "There is a gain, but it is smaller than published.",
        "does not replicate": "The gain of Human-CLAP does not replicate.",
        "cannot be told": "It cannot be told whether the gain of Human-CLAP replicates.",
    }
    return [said[verdict.word], verdict.sentence]


def _own_gain(found: Findings, gain: Estimate) -> str:
    shown = gain.shown(signed=True)
    before = f"{found.base_name} before training"
    if math.isnan(gain.low):
        return f"Whether training helped cannot be told: {gain.reason or 'no interval'}."
    if gain.low > 0:
        return f"{MAIN_OBJECTIVE} agrees better with your listeners than {before}: {shown} SRCC."
    if gain.high < 0:
        return f"{MAIN_OBJECTIVE} agrees worse with your listeners than {before}: {shown} SRCC."
    return f"No gain of {MAIN_OBJECTIVE} over {before} is shown: {shown} SRCC."


def _gain(found: Findings) -> list[str]:
    main, base = found.main, found.base
    told = [
        f"Judged on {found.judged_pairs:,} pairs that no training met, {found.base_name} before "
        f"training has an SRCC of {base.srcc['all judged'].shown()}, {MAIN_OBJECTIVE} one of "
        f"{main.srcc['all judged'].shown()} (mean over {_seeds(main)})."
    ]
    if found.request.own:
        told.append(_own_gain(found, main.gain["all judged"]))
    else:
        told.append(judge_level(main.srcc["all judged"], HUMAN_CLAP_SRCC))
    return told + [_gain_in(found, view, n) for view, n in found.views.items()]


def _gain_in(found: Findings, view: str, n: int) -> str:
    gain, own = found.main.gain[view], found.request.own
    where = f"{view.capitalize()} ({n:,} pairs)"
    if own or view not in PUBLISHED_GAINS:
        why = f", without an interval: {gain.reason}" if math.isnan(gain.low) else ""
        return f"{where}: the gain is {gain.shown(signed=True)}{why}."
    both = {
        "all judged": " These are RELATE's validation and test splits, as in the paper.",
        "test alone": " The published gain is that of validation and test together.",
    }
    verdict = judge_gain(gain, PUBLISHED_GAINS[view])
    return f"{where}: {verdict.word}. {verdict.sentence}{both.get(view, '')}"


def _seeds(row: FindingRow) -> str:
    return "1 seed" if row.seeds == 1 else f"{row.seeds} seeds"


def _wins(found: Findings) -> list[str]:
    beaten = [name for name, (gain, p) in found.wins.items() if p < ALPHA and gain.low > 0]
    rest = [name for name in found.wins if name not in beaten]
    top = found.row(found.best).srcc["all judged"]
    told = [
        f"{found.best} has the highest SRCC, {top.shown()}; a highest figure alone shows nothing."
    ]
    told += [f"It is shown to be better than {_beside(found, name)}." for name in beaten]
    return told + [f"It is not shown to be better than {_beside(found, name)}." for name in rest]


def _beside(found: Findings, name: str) -> str:
    """`MSE: +0.012 [+0.004, +0.020], Holm p 0.012`."""
    gain, p = found.wins[name]
    return f"{name}: {gain.shown(signed=True)}, Holm p {p_value(p)}"


def _released(found: Findings) -> list[str]:
    rows = [row for row in found.rows if row.kind == "released"]
    if not rows:
        return ["No released checkpoint was judged."]
    told = [
        f"{row.name}: SRCC {row.srcc['all judged'].shown()}, "
        f"{row.gain['all judged'].shown(signed=True)} against {found.base_name}."
        for row in rows
        if row.gain
    ]
    if not found.request.own:
        told.append(
            "They were trained on RELATE, and we could not read on which part of it. Where they "
            "met these pairs in training, their figures here are too high."
        )
    return told


def _limits(found: Findings) -> list[str]:
    told = []
    ceiling = found.ceilings.get("all judged")
    if ceiling is not None and not math.isnan(ceiling.srcc.value):
        told.append(
            f"With ratings as few and noisy as these, a perfect metric would reach "
            f"{ceiling.srcc.value:.3f} [{ceiling.srcc_low:.3f}, {ceiling.srcc_high:.3f}]; "
            f"{MAIN_OBJECTIVE} has {found.main.srcc['all judged'].shown()}."
        )
    elif ceiling is not None:
        told.append(f"There is no noise ceiling: {ceiling.reason}.")
    floors = [row for row in found.rows if row.kind == "floor"]
    told += [
        f"{row.name}, which hears nothing: {row.srcc['all judged'].shown()}." for row in floors
    ]
    return told if found.request.own else [*told, *_published_limits(found)]


def _published_limits(found: Findings) -> list[str]:
    """The ceiling and the floors of RELATE's test split, beside those that humanclap published."""
    view = "test alone"
    if view not in found.views:
        return []
    ceiling = found.ceilings.get(view)
    measured = {row.name: row.srcc[view].value for row in found.rows if row.kind == "floor"}
    measured["noise ceiling"] = math.nan if ceiling is None else ceiling.srcc.value
    shown = [
        f"{name} {published:.3f} published, {_number(measured.get(name, math.nan))} here"
        for name, published in RELATE_TEST.items()
    ]
    n = f"{found.views[view]:,} pairs here, 1,311 published"
    return [f"On the test split alone ({n}): {'; '.join(shown)}."]


def _number(value: float) -> str:
    return "none" if math.isnan(value) else f"{value:.3f}"


def _left_out(found: Findings) -> list[str]:
    if not found.left_out:
        return [f"No system was left out of training: {found.not_left_out}."]
    return [
        f"Trained without {one.system}, judged on its {one.n:,} pairs: SRCC {one.srcc.shown()}, "
        f"{one.gain.shown(signed=True)} against {found.base_name}."
        for one in found.left_out
    ]


def _fewer(found: Findings) -> list[str]:
    if not found.fewer:
        return ["There are too few rated pairs to train on still fewer."]
    told = [
        f"{one.pairs:,} rated pairs ({one.ratings:,.0f} ratings): SRCC {one.srcc.shown()}, "
        f"{one.gain.shown(signed=True)} against {found.base_name}, "
        f"{one.against_all.shown(signed=True)} against all {found.train_pairs:,} pairs."
        for one in found.fewer
    ]
    helping = [one.pairs for one in found.fewer if one.gain.low > 0]
    as_good = [one.pairs for one in found.fewer if one.gain.low > 0 and one.against_all.high >= 0]
    told.append(
        f"The fewest that are shown to help are {helping[0]:,} pairs."
        if helping
        else "No smaller number of pairs is shown to help."
    )
    if as_good:
        told.append(f"From {as_good[0]:,} pairs on, no loss against all of them is shown.")
    return told


def _coverage(found: Findings) -> list[str]:
    known = found.intervals
    if known is None or found.calibrated is None:
        return ["The checkpoint predicts no ratings."]
    told = [
        f"On the scale {found.request.scale}, a predicted rating is "
        f"{found.calibrated.error.shown()} away from people's mean, and "
        f"{found.calibrated.bias.shown(signed=True)} above it, on average."
    ]
    if known.reason:
        return [*told, f"Whether its intervals hold cannot be told: {known.reason}."]
    held = ", ".join(
        f"the {one.level:.0%} intervals hold {share.value:.1%} [{share.low:.1%}, {share.high:.1%}]"
        for one, share in zip(known.coverage, found.calibrated.shares, strict=True)
    )
    return [
        *told,
        f"Of {known.coverage[0].n:,} judged pairs' mean ratings, {held}. A rating that can be "
        "believed holds about as many as its level says.",
    ]


def table(found: Findings) -> tuple[list[str], list[list[str]]]:
    """One row a model: SRCC in each view, gain over the base, Holm's p."""
    views = list(found.views)
    heads = ["model", "kind", *views, f"gain over {found.base_name}", "Holm p"]
    rows = []
    for row in found.rows:
        gain = row.gain["all judged"].shown(signed=True) if row.gain else "–"
        p = "–" if math.isnan(row.p_holm) else p_value(row.p_holm)
        rows.append([row.name, row.kind, *(row.srcc[view].shown() for view in views), gain, p])
    ceilings = [found.ceilings.get(view) for view in views]
    limit = [
        "–" if one is None or math.isnan(one.srcc.value) else f"{one.srcc.value:.3f}"
        for one in ceilings
    ]
    return heads, [*rows, ["noise ceiling", "ceiling", *limit, "–", "–"]]


def method(found: Findings) -> list[str]:
    """How it was computed, a sentence each."""
    request = found.request
    return [
        f"{found.read:,} ratings were read and {found.kept:,} kept by screening; anchors and "
        "attention checks train and judge nothing.",
        f"{found.train_pairs:,} pairs train; a tenth of them, whole captions and clips, chooses "
        f"the epoch and fits the rating map. {found.judged_pairs:,} pairs judge, and chose "
        "nothing.",
        f"SRCC is the mean over seeds ({', '.join(map(str, request.used_seeds))}). Intervals are "
        "95 %, by a bootstrap that draws captions whole, the same draws for both sides of a gain. "
        "p is a paired permutation test with Holm's correction over all gains of the table.",
        f"{found.overlap:.0%} of the ratings judged against came from listeners who also rated "
        "training pairs.",
        "The paper's optimiser, learning rate, batch size and epochs could not be read: AdamW, "
        f"1e-5, {request.batch_size} and {request.epochs} here.",
    ]


def counted_pairs(found: Findings) -> str:
    """`2,862 pairs train, 2,598 judge`."""
    return f"{found.train_pairs:,} pairs train, {found.judged_pairs:,} judge"
