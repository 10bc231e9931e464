"""People's choice between two captions of one clip: FENSE's AudioCaps-Eval.

    python benchmarks/fense_choices.py --shared SHARED --mn04 MN04

SHARED/data/fense/pairs.csv: pairs of captions of AudioCaps test clips, four judges each (1: the
first fits better, -1: the second, 0: equal). A pair is decided where the sum is not 0. Accuracy:
the share of decided pairs in which the caption with the higher score is the people's; equal scores
count half. Beside it: the longer and the shorter text (characters), which hear nothing, and one
judge against the sign of the other three's sum, ties left out. Kinds: HC two human captions of the
clip, HI its own against another clip's, HM human against machine, MM two machines'. Intervals:
95 %, bootstrap clustered by clip. Source of the judgements: Zhou et al. 2022 (FENSE). Writes
benchmarks/results/fense_choices.json.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from judging_models import (
    Floats,
    arguments_of,
    differences,
    load_models,
    means,
    paired,
    spans,
    write,
)

from humanclap.choices import read_votes
from humanclap.metrics.choice_accuracy import credit, one_judge
from humanclap.metrics.vote_agreement import ratio
from humanclap.records import Votes
from humanclap.scoring.scorer import HumanCLAP

GROUPS: dict[str, tuple[str, ...]] = {
    "overall": ("HC", "HI", "HM", "MM"),
    "without HI": ("HC", "HM", "MM"),
    "HC": ("HC",),
    "HI": ("HI",),
    "HM": ("HM",),
    "MM": ("MM",),
}
LONGER, SHORTER = "longer text", "shorter text"


def judges(questions: Sequence[Votes]) -> dict[str, Any]:
    """One judge against the other three, over all questions given, decided or not."""
    agree, counted = one_judge(
        [one.n_first for one in questions], [one.n_second for one in questions]
    )
    able = np.flatnonzero(counted)
    clips = [questions[place].audio_a for place in able]
    return {
        "votes": int(counted.sum()),
        "clips": len(set(clips)),
        "accuracy": spans(ratio(agree[able], counted[able]), clips)["ratio"],
    }


def choices(
    scores: Mapping[str, tuple[Floats, Floats]], questions: Sequence[Votes]
) -> list[dict[str, Any]]:
    """Accuracy of each way to choose and differences, by group of questions.

    scores: a model -> its scores of the first and of the second captions, shape (questions,) each.
    """
    people = np.array([one.sum for one in questions])
    first, second = (np.array([len(t) for t in texts], np.float64) for texts in _texts(questions))
    ways = {**scores, LONGER: (first, second), SHORTER: (-first, -second)}
    compared = [*paired(list(scores)), *product(scores, (LONGER, SHORTER))]
    groups = []
    for name, kinds in GROUPS.items():
        inside = np.array([one.kind in kinds for one in questions])
        decided = np.flatnonzero(inside & (people != 0)).tolist()
        clips = [questions[place].audio_a for place in decided]
        columns = {
            way: credit(a[decided] - b[decided], people[decided]) for way, (a, b) in ways.items()
        }
        groups.append(
            {
                "pairs": name,
                "all": int(inside.sum()),
                "n": len(decided),
                "clips": len(set(clips)),
                "accuracy": spans(means(columns), clips),
                "differences": differences(columns, compared, clips),
                "one_judge": judges([one for one in questions if one.kind in kinds]),
            }
        )
    return groups


def _texts(questions: Sequence[Votes]) -> tuple[list[str], list[str]]:
    return [one.text_a for one in questions], [one.text_b for one in questions]


def score(model: HumanCLAP, questions: Sequence[Votes], folder: Path) -> tuple[Floats, Floats]:
    """Cosines of each clip with its first and with its second caption, shape (questions,) each."""
    clips = sorted({one.audio_a for one in questions})
    heard = dict(zip(clips, model.embed_audio([folder / clip for clip in clips]), strict=True))
    audio = np.stack([heard[one.audio_a] for one in questions]).astype(np.float64)
    first, second = (model.embed_text(texts).astype(np.float64) for texts in _texts(questions))
    return (audio * first).sum(axis=1), (audio * second).sum(axis=1)


def main() -> None:
    """Score, judge, print and write."""
    arguments = arguments_of(__doc__, "fense_choices").parse_args()
    folder = arguments.shared / "data" / "fense"
    questions = read_votes(folder / "pairs.csv")
    models = load_models(arguments.models, arguments.mn04)
    groups = choices(
        {name: score(model, questions, folder) for name, model in models.items()}, questions
    )
    found = {
        "data": "FENSE AudioCaps-Eval, the pairs whose sound is at hand",
        "n": len(questions),
        "clips": len({one.audio_a for one in questions}),
        "cluster": "clip",
        "groups": groups,
    }
    write(arguments, __file__, models, found)
    for group in groups:
        print(f"{group['pairs']:<12}n={group['n']:<5}", group["accuracy"], group["one_judge"])


if __name__ == "__main__":
    main()
