"""Which targets are judged, on which scale, and what is judged beside them: trivial predictors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from humanclap.errors import InputError, LeakageError
from humanclap.evaluation.agreement.members import of_level, stated
from humanclap.evaluation.agreement.result import TargetCounts
from humanclap.evaluation.floors import trivial_tables
from humanclap.evaluation.join import Coverage, Joined
from humanclap.evaluation.settings import EvaluationSettings
from humanclap.grouping import caption_key, check_leakage
from humanclap.records import Target
from humanclap.scale import RatingScale, ask_for_scale, check_targets_scale


def judged_targets(
    targets: Sequence[Target], settings: EvaluationSettings, where: str
) -> tuple[list[Target], list[Target]]:
    """The targets to judge, and those left out; raises InputError where there are none."""
    kinds = {"rating", "anchor"} if settings.include_anchors else {"rating"}
    judged = [target for target in targets if target.kind in kinds]
    if not judged:
        hint = "" if settings.include_anchors else "; --include-anchors adds anchors"
        raise InputError(f"{where}: none of the {len(targets)} targets is a rating{hint}")
    return judged, [target for target in targets if target.kind not in kinds]


def check_scale(targets: Sequence[Target], scale: RatingScale, where: str) -> None:
    """Raise InputError where mean ratings are outside the scale, or their scale is another one."""
    for target in targets:
        if target.kind != "attention_check" and target.mos not in scale:
            raise InputError(
                f"{where}: pair {target.pair_id!r} has mos {target.mos:g}, outside {scale}; name "
                "the study's scale with --rating-scale low..high"
            )
    units, ratings = [t.target for t in targets], [t.mos for t in targets]
    check_targets_scale(units, ratings, scale, where=where)
    ask_for_scale(ratings, scale, where=where)


def target_counts(targets: Sequence[Target], judged: Sequence[Target]) -> TargetCounts:
    """How many targets of each kind were judged and left out."""
    return TargetCounts(
        total=len(targets),
        judged=len(judged),
        anchors=sum(target.kind == "anchor" for target in targets),
        anchors_judged=sum(target.kind == "anchor" for target in judged),
        attention_checks=sum(target.kind == "attention_check" for target in targets),
    )


def shared_captions(
    train: Sequence[Target], judged: Sequence[Target], settings: EvaluationSettings, where: str
) -> int:
    """Refuse judged clips and captions among the floor's; how many captions are shared."""
    check_scale(train, settings.rating_scale, where)
    splits: dict[str, Sequence[Target]] = {
        "floor": [target for target in train if target.kind == "rating"],
        "judged": judged,
    }
    of_floor, of_judged = ({caption_key(t.text) for t in targets} for targets in splits.values())
    shared = of_floor & of_judged
    if shared and settings.allow_shared_captions:
        splits = {
            name: [replace(target, text=f"of {target.audio}") for target in targets]
            for name, targets in splits.items()
        }
    try:
        check_leakage(splits)
    except LeakageError as error:
        raise LeakageError(
            f"{where}: the floor must be fitted on pairs that are not judged: {error}; leave them "
            "out of it, or, where captions are shared by design, give --allow-shared-captions"
        ) from error
    return len(shared)


def with_trivial(
    joined: Joined[Target], train: Sequence[Target], settings: EvaluationSettings, where: str
) -> tuple[Joined[Target], tuple[str, ...]]:
    """The joined tables with those of the trivial predictors behind them, and their names."""
    systems = of_level(joined, "system")
    judged = [
        replace(target, system=stated(system))
        for target, system in zip(joined.targets, systems, strict=True)
    ]
    tables = trivial_tables(train, judged, scale=settings.rating_scale, where=where)
    taken = {table.name for table in tables} & joined.scores.keys()
    if taken:
        raise InputError(f"a score table is named {min(taken)!r}, as a trivial predictor is")
    scores = {**joined.scores, **{table.name: tuple(table.scores) for table in tables}}
    coverage = {**joined.coverage, **{table.name: Coverage() for table in tables}}
    names = tuple(table.name for table in tables)
    return Joined(targets=joined.targets, scores=scores, coverage=coverage), names
