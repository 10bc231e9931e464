"""Zero-shot naming of ESC's classes of which no clip taught: those the recipe leaves out.

    python benchmarks/left_out_classes.py --shared SHARED --mn04 MN04

All clips of the classes in LEFT_OUT_CLASSES of recipes/mini/bank.py (--classes names others, as
ESC's categories are spelt), named among (a) those classes and (b) all classes in SHARED/data/esc.
A name is the bare label, "clock tick", as in recipes/mini/measure.py. Ties in random order.
Intervals: 95 %, bootstrap clustered by ESC's recording. mn04_as was itself trained on AudioSet,
which labels these classes, so nothing is left out for a model whose audio tower is mn04_as. Writes
benchmarks/results/left_out_classes.json.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from judging_models import (
    Floats,
    arguments_of,
    chance_within,
    differences,
    load_models,
    means,
    paired,
    place_among,
    spans,
    write,
)

from humanclap.errors import InputError
from humanclap.scoring.scorer import HumanCLAP
from humanclap.tables import read_table

RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "mini"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedClip:
    """A clip of ESC: its file, its class as category and as name, the recording it is cut from."""

    audio: str
    category: str
    name: str
    recording: str


def recording_of(clip: str) -> str:
    """ESC cuts several clips from one recording.

    >>> recording_of("4-154405-B")
    '154405'
    """
    parts = clip.split("-")
    if len(parts) != 3:
        raise InputError(f"clip is {clip!r}; expected ESC's fold-recording-take")
    return parts[1]


def read_clips(folder: Path) -> list[NamedClip]:
    """All ESC clips at hand."""
    return [
        NamedClip(
            audio=row.text("audio"),
            category=row.text("category"),
            name=row.text("text"),
            recording=recording_of(row.text("clip")),
        )
        for row in read_table(folder / "clips.csv").rows
    ]


def classes_left_out() -> list[str]:
    """The classes the packaged models' recipe leaves out."""
    sys.path.insert(0, str(RECIPE))
    import bank

    try:
        return list(bank.LEFT_OUT_CLASSES)
    except AttributeError:
        raise SystemExit(
            f"{RECIPE / 'bank.py'} leaves no classes out; name some: --classes"
        ) from None


def right_names(cosines: Floats, names: Sequence[str], own: Sequence[str]) -> list[float]:
    """Chance that the likeliest name of each clip is its own, ties in random order.

    cosines: shape (clips, names); own: the right name of each clip.

    >>> right_names(np.array([[0.2, 0.9], [0.5, 0.5]]), ["dog", "cow"], ["cow", "cow"])
    [1.0, 0.5]
    """
    return [
        chance_within(1, *place_among(row, np.array(names) == name))
        for row, name in zip(cosines, own, strict=True)
    ]


def among(
    heard: Mapping[str, Floats],
    models: Mapping[str, HumanCLAP],
    clips: Sequence[NamedClip],
    names: Sequence[str],
) -> dict[str, Any]:
    """Accuracy among these names, whole and by class; heard: model -> audio embeddings."""
    own = [clip.name for clip in clips]
    right = {
        label: right_names(heard[label] @ model.embed_text(names).astype(float).T, names, own)
        for label, model in models.items()
    }
    recordings = [clip.recording for clip in clips]
    classes: dict[str, Any] = {}
    for category in sorted({clip.category for clip in clips}):
        places = [i for i, clip in enumerate(clips) if clip.category == category]
        columns = {label: [values[i] for i in places] for label, values in right.items()}
        inside = [recordings[i] for i in places]
        classes[category] = {
            "n": len(places),
            "recordings": len(set(inside)),
            "accuracy": spans(means(columns), inside),
        }
    return {
        "names": len(names),
        "chance": round(1 / len(names), 4),
        "accuracy": spans(means(right), recordings),
        "mean_of_classes": {
            label: round(float(np.mean([one["accuracy"][label][0] for one in classes.values()])), 4)
            for label in models
        },
        "differences": differences(right, paired(list(models)), recordings),
        "classes": classes,
    }


def main() -> None:
    """Embed, name, print and write."""
    parser = arguments_of(__doc__, "left_out_classes")
    parser.add_argument("--classes", nargs="+", metavar="CATEGORY")
    arguments = parser.parse_args()
    folder = arguments.shared / "data" / "esc"
    every = read_clips(folder)
    chosen = arguments.classes or classes_left_out()
    absent = set(chosen) - {clip.category for clip in every}
    if absent:
        raise SystemExit(f"{folder / 'clips.csv'} has no clip of {', '.join(sorted(absent))}")
    clips = [clip for clip in every if clip.category in chosen]
    models = load_models(arguments.models, arguments.mn04)
    paths = [folder / clip.audio for clip in clips]
    heard = {name: model.embed_audio(paths).astype(float) for name, model in models.items()}
    found: dict[str, Any] = {
        "data": "ESC-50, the clips at hand",
        "classes": dict(sorted(Counter(clip.category for clip in clips).items())),
        "n": len(clips),
        "recordings": len({clip.recording for clip in clips}),
        "cluster": "recording",
    }
    for task, of in (("among_left_out", clips), ("among_all_at_hand", every)):
        found[task] = among(heard, models, clips, sorted({clip.name for clip in of}))
        print(task, found[task]["names"], found[task]["accuracy"], found[task]["differences"])
    options = f" --classes {' '.join(arguments.classes)}" if arguments.classes else ""
    write(arguments, __file__, models, found, options=options)


if __name__ == "__main__":
    main()
