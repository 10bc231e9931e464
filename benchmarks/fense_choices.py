"""People's choice between two captions of one clip: FENSE's AudioCaps-Eval.

    python benchmarks/fense_choices.py --shared SHARED --mn04 MN04

SHARED/data/fense/pairs.csv: pairs of captions of AudioCaps test clips, four judges each. Judged as
`humanclap evaluate --choices` does: accuracy over the decided pairs, equal scores counted half;
the ceilings, what knowing people's preference would reach with so few votes and one judge against
the sign of the other three's sum; the floors that hear nothing, the longer and the shorter text
and words fitted on other clips' choices. Kinds: HC two human captions of the clip, HI its own
against another clip's, HM human against machine, MM two machines'. "Without HI" is judged by
itself, its words too. Intervals: 95 %, bootstrap clustered by clip. Source of the judgements: Zhou
et al. 2022 (FENSE). Writes benchmarks/results/fense_choices.json.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from judging_models import REPLICATES, arguments_of, load_models, write

from humanclap.choices import read_votes
from humanclap.evaluation import EvaluationSettings, ScoreTable
from humanclap.evaluation.choices import JudgedChoices, judge_choices
from humanclap.evaluation.choices.accuracy import pairs_of
from humanclap.evaluation.choices.accuracy_result import BEST, CEILINGS, ONE_JUDGE, ChoiceGroup
from humanclap.evaluation.statistic import Statistic
from humanclap.records import Votes
from humanclap.scoring.run import score_table
from humanclap.scoring.scorer import HumanCLAP

EASY = "HI"
PERMUTATIONS = 10_000
SETTINGS = EvaluationSettings(replicates=REPLICATES, permutations=PERMUTATIONS)


def span(found: Statistic) -> list[float]:
    """[value, low, high] to four places."""
    return [round(value, 4) for value in (found.value, found.low, found.high)]


def group_of(name: str, found: ChoiceGroup, judged: JudgedChoices) -> dict[str, Any]:
    """One group of pairs as the results file has it."""
    shares = {one: span(value) for one, value in found.accuracy.items() if one not in CEILINGS}
    return {
        "pairs": name,
        "all": found.questions,
        "n": found.decided,
        "clips": found.clusters,
        "accuracy": shares,
        "single_votes": {one: span(value) for one, value in found.votes_met.items()},
        "best_possible": span(found.accuracy[BEST]),
        "one_judge": {
            "votes": found.accuracy[ONE_JUDGE].n,
            "accuracy": span(found.accuracy[ONE_JUDGE]),
        },
        "differences": [
            {"name": one.name, "baseline": one.baseline, "difference": span(one.accuracy)}
            for one in found.differences
        ],
        "tests": [
            {"name": one.name, "baseline": one.baseline, "p": one.p, "p_holm": one.p_holm}
            for one in judged.tests
            if found is judged.overall
        ],
    }


def groups_of(
    tables: Sequence[ScoreTable],
    votes: Sequence[Votes],
    settings: EvaluationSettings = SETTINGS,
) -> list[dict[str, Any]]:
    """All pairs, those without foreign captions, each kind, and those no model met."""
    everything = judge_choices(tables, votes, settings)
    hard = judge_choices(tables, [one for one in votes if one.kind != EASY], settings)
    kinds = [group for group in everything.groups if group.level == "kind"]
    return [
        group_of("overall", everything.overall, everything),
        group_of(f"without {EASY}", hard.overall, hard),
        *(group_of(group.name, group, everything) for group in kinds),
        *([group_of("unmet", everything.unmet, everything)] if everything.unmet else []),
    ]


def scored(name: str, model: HumanCLAP, votes: Sequence[Votes], folder: Path) -> ScoreTable:
    """The model's scores of both sides of every pair of captions."""
    return ScoreTable(name=name, scores=score_table(model, pairs_of(votes), audio_root=folder))


def main() -> None:
    """Score, judge, print and write."""
    arguments = arguments_of(__doc__, "fense_choices").parse_args()
    folder = arguments.shared / "data" / "fense"
    votes = read_votes(folder / "pairs.csv")
    models = load_models(arguments.models, arguments.mn04)
    tables = [scored(name, model, votes, folder) for name, model in models.items()]
    groups = groups_of(tables, votes)
    met = {one.name: one.exposure.in_words() for one in judge_choices(tables, votes).metrics}
    found = {
        "data": "FENSE AudioCaps-Eval, the pairs whose sound is at hand",
        "n": len(votes),
        "clips": groups[0]["clips"],
        "cluster": "clip",
        "permutations": PERMUTATIONS,
        "met": met,
        "groups": groups,
    }
    write(arguments, __file__, models, found)
    for group in groups:
        print(f"{group['pairs']:<12}n={group['n']:<5}", group["accuracy"], group["one_judge"])


if __name__ == "__main__":
    main()
