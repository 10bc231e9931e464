"""Sections of RESULTS.md on people's judgements and costs of the packaged models; see make_results.

`at_a_glance` puts them side by side, with the models of the earlier state from before_*.json.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from results_text import Span, span, table

Result = dict[str, Any]
BEFORE = "before_"
ARROWS = {"text_to_audio": ("text → audio", "captions"), "audio_to_text": ("audio → text", "clips")}
FLOORS = ("longer text", "shorter text", "caption words, others' choices")


def _notes(result: Result) -> list[str]:
    return ["", f"**Of these models:** {result['note']}"] if "note" in result else []


def _signatures(result: Result) -> list[str]:
    return ["", "Models: " + ", ".join(f"`{one}`" for one in result["models"].values())]


def _difference_rows(found: Sequence[Result], *keys: str) -> list[list[object]]:
    return [
        [f"{one['name']} − {one['baseline']}", *(span(one[key], "+.3f") for key in keys)]
        for one in found
    ]


def fense_choices(result: Result) -> list[str]:
    """People's choice between two captions."""
    groups = result["groups"]
    overall, hard = groups[:2]
    rows: list[list[object]] = [
        ["pairs decided", *(f"{group['n']} of {group['all']}" for group in groups)],
        ["**best possible** given the votes", *(span(group["best_possible"]) for group in groups)],
        [
            "**one judge**, against three",
            *(span(group["one_judge"]["accuracy"]) for group in groups),
        ],
        *(
            [f"*{way}*" if way in FLOORS else way]
            + [span(group["accuracy"][way]) for group in groups]
            for way in overall["accuracy"]
        ),
    ]
    return [
        f"FENSE's AudioCaps-Eval, the {result['n']} pairs of captions of {result['clips']} clips "
        f"whose sound is at hand, four judges each; {overall['n']} decided. Judged by `humanclap "
        "evaluate --choices`: share of decided pairs in which the model's cosine chooses as people "
        "do; equal scores count half. HC: two human captions of the clip; HI: its own against "
        "another clip's; HM: human against machine; MM: two machines' (judges may have punished "
        "their faults of fluency). *Unmet*: no model met caption or clip in training, tuning or "
        "calibration. *In italics*: what hears nothing; words by ridge regression on the choices "
        "of other clips and captions. Best possible: what knowing which caption most people would "
        "take reaches on average, as four votes decide a pair, by a beta-binomial model of the "
        "votes; over single votes the side with more of them would reach "
        f"{span(overall['single_votes']['best possible given the votes'])}. One judge: against the "
        f"sign of the other three's sum, ties left out ({overall['one_judge']['votes']} votes). "
        f"Bootstrap clustered by clip, {result['replicates']:,} replicates; where nothing was "
        "missed the interval has no width and means little.",
        *_notes(result),
        "",
        *table(["chosen by", *(group["pairs"] for group in groups)], rows),
        "",
        *table(
            ["difference, same draws", "overall", "p (Holm)", "without HI", "p (Holm)"],
            _choice_differences(overall, hard),
        ),
        "",
        "Met before: " + "; ".join(f"{name} {told}" for name, told in result["met"].items()) + ".",
        "",
        f"p: paired sign-flip test, whole clips, {result['permutations']:,} permutations.",
        *_signatures(result),
    ]


def _choice_differences(*groups: Result) -> list[list[object]]:
    """Differences of accuracy and their tests: those of the first group, in each of the groups."""
    rows = []
    for one in groups[0]["differences"]:
        names = one["name"], one["baseline"]
        row: list[object] = [f"{names[0]} − {names[1]}"]
        for group in groups:
            of = {(d["name"], d["baseline"]): d for d in group["differences"]}
            tests = {(t["name"], t["baseline"]): t for t in group["tests"]}
            row.append(span(of[names]["difference"], "+.3f") if names in of else "–")
            test = tests.get(names)
            row.append(f"{test['p']:.3f} ({test['p_holm']:.3f})" if test else "–")
        rows.append(row)
    return rows


def audiocaps_retrieval(result: Result) -> list[str]:
    """Retrieval among AudioCaps clips."""
    text, audio = result["text_to_audio"], result["audio_to_text"]
    heads = [f"text → audio {key}" for key in ("R@1", "R@5", "R@10")]
    heads += ["median rank", "audio → text R@1", "audio → text R@10"]
    chance = result["chance"]
    by_text, by_clip = ("R@1", "R@5", "R@10", "median_rank"), ("R@1", "R@10")
    rows = [
        [
            name,
            *(span(row[key]) for key in by_text[:3]),
            span(row["median_rank"], ".1f"),
            *(span(audio["rows"][name][key]) for key in by_clip),
        ]
        for name, row in text["rows"].items()
    ]
    at_random = [*(f"{chance['text_to_audio'][key]:.3f}" for key in by_text[:3])]
    at_random += [f"{chance['text_to_audio']['median_rank']:.1f}"]
    at_random += [f"{chance['audio_to_text'][key]:.3f}" for key in by_clip]
    differences = [
        [
            f"{one['name']} − {one['baseline']}",
            *(span(one[key], "+.3f") for key in by_text[:3]),
            span(one["median_rank"], "+.1f"),
            *(span(other[key], "+.3f") for key in by_clip),
        ]
        for one, other in zip(text["differences"], audio["differences"], strict=True)
    ]
    return [
        f"{result['captions']} human captions of {result['clips']} AudioCaps test clips, five "
        "each. A caption finds its clip among all clips; a clip finds one of its captions among "
        "all captions. Ties stand in random order: a recall counts the chance of being within the "
        "first k, a rank is the mean over the orders. Bootstrap clustered by clip, "
        f"{result['replicates']:,} replicates; the clips to choose from stay the same.",
        *_notes(result),
        "",
        *table(["model", *heads], [*rows, ["*one score for all*", *at_random]]),
        "",
        *table(["difference, same draws", *heads], differences),
        *_signatures(result),
    ]


def relate_validation(result: Result) -> list[str]:
    """Agreement of the models with RELATE's listeners."""
    keys = ("srcc", "lcc", "ktau")
    heads = ["SRCC", "LCC", "KTAU"]
    lines = [
        "RELATE's ratings (REL, 0–10) of natural AudioCaps clips of its validation split. "
        "*Screened*: the pairs and answers RELATE's own screening kept. *All rated, with "
        "anchors*: every pair with every answer, deliberately mismatched pairs included, which are "
        "easy to tell. The noise ceiling is what a perfect metric would reach on average with "
        "ratings as few and as noisy as these; its interval is that of the estimate. Bootstrap "
        f"clustered by caption, {result['replicates']:,} replicates.",
        *_notes(result),
    ]
    for one in result["sets"]:
        ceiling = one["ceiling"]
        rows = [[name, *(span(row[key]) for key in keys)] for name, row in one["rows"].items()]
        rows += [
            ["**noise ceiling**", span(ceiling["srcc"]), "", ""],
            ["one listener, against the rest", span([ceiling["one_listener_srcc"], None, None]),
             "", ""],
        ]  # fmt: skip
        lines += [
            "",
            f"**{one['pairs'].capitalize()}**, {one['n']} pairs ({one['anchors']} of them anchors) "
            f"of {one['clips']} clips and {one['captions']} captions, {ceiling['ratings']} "
            "ratings:",
            "",
            *table(["", *heads], rows),
        ]
        if one["differences"]:
            differences = _difference_rows(one["differences"], *keys)
            lines += ["", *table(["difference, same draws", *heads], differences)]
    return [*lines, *_signatures(result)]


def left_out_classes(result: Result) -> list[str]:
    """Zero-shot over classes the recipe leaves out."""
    parts = [result["among_left_out"], result["among_all_at_hand"]]
    names = list(result["models"])
    rows: list[list[object]] = [
        [name, *(span(part["accuracy"][name]) for part in parts)]
        + [f"{part['mean_of_classes'][name]:.3f}" for part in parts]
        for name in names
    ]
    chance = [f"{part['chance']:.3f}" for part in parts]
    rows.append(["*chance*", *chance, *chance])
    heads = [f"among {part['names']} names" for part in parts]
    differences = [
        [f"{one['name']} − {one['baseline']}"]
        + [span(part["differences"][place]["difference"], "+.3f") for part in parts]
        for place, one in enumerate(parts[0]["differences"])
    ]
    classes = [
        [category, one["n"], one["recordings"]]
        + [
            f"{part['classes'][category]['accuracy'][name][0]:.3f}"
            for name in names
            for part in parts
        ]
        for category, one in parts[0]["classes"].items()
    ]
    return [
        f"The {result['n']} clips ({result['recordings']} recordings) of the {len(classes)} ESC "
        "classes of which recipes/mini/bank.py keeps every named clip out of training, named among "
        "these classes and among all ESC classes at hand, by their bare names. Left out are sounds "
        "with these names: the words are not, nor what mn04_as, which learned these classes from "
        "AudioSet, says of other sounds. A model over mn04_as itself has met the classes. "
        "Bootstrap clustered by recording, "
        f"{result['replicates']:,} replicates; where nothing was missed the interval has no width "
        "and means little.",
        *_notes(result),
        "",
        *table(["model", *heads, *(f"mean of classes, {head}" for head in heads)], rows),
        "",
        *table(["difference, same draws", *heads], differences),
        "",
        *table(
            ["class", "clips", "recordings"]
            + [f"{name}, {part['names']} names" for name in names for part in parts],
            classes,
        ),
        *_signatures(result),
    ]


def model_costs(result: Result) -> list[str]:
    """Time of a clip and size of the wheel."""
    wheel, times = result["wheel"], result["times"]
    rows = [
        [name, f"{row['cpu_ms']['median']:.1f}", f"{row['cpu_ms']['min']:.1f}",
         f"{row['clock_ms']['min']:.1f}", span(row["ratio"]),
         f"{result['parameters'][name] / 1e6:.2f}" if name in result["parameters"] else ""]
        for name, row in times.items()
    ]  # fmt: skip
    parts = ", ".join(f"`{name}` {size:.2f}" for name, size in wheel["weights_mb_of"].items())
    return [
        "One 10 s clip, fp32, batch 1, one thread: waveform to embedding, front end included; "
        "*htsat-tiny*: the audio tower of transformers' ClapModel at its default sizes, random "
        "weights, without its front end. Each is timed right after a call of itself that is not "
        "timed; the models first shipped were timed without that, when each call also paid for "
        f"memory that the one before gave back. {result['rounds']} interleaved rounds, load "
        f"average before them {result['load_average_before'][0]}, torch {result['torch']}. "
        "Ratio of CPU times within a round: median [quartiles].",
        *_notes(result),
        "",
        *table(
            ["model", "CPU ms, median", "CPU ms, least", "ms on the clock, least",
             "time / htsat-tiny", "parameters, millions"],
            rows,
        ),
        "",
        f"Wheel: {wheel['wheel_mb']:.2f} MB, of which weights {wheel['weights_mb']:.2f} MB "
        f"({parts}).",
        *_signatures(result),
    ]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A row of `at_a_glance`: its results file, and how to read n, models, floor and people."""

    title: str
    file: str
    n: Callable[[Result], object]
    of: Callable[[Result, str], Span]
    floor: Callable[[Result], str] = lambda result: "–"
    people: Callable[[Result], str] = lambda result: "–"


def _fense(title: str, group: int) -> Measure:
    def floor(result: Result) -> str:
        found = result["groups"][group]["accuracy"]
        best = max((name for name in FLOORS if name in found), key=lambda name: found[name][0])
        return f"{best} {span(found[best])}"

    return Measure(
        title=title,
        file="fense_choices",
        n=lambda result: f"{result['groups'][group]['n']} pairs",
        of=lambda result, model: result["groups"][group]["accuracy"][model],
        floor=floor,
        people=lambda r: f"one judge {span(r['groups'][group]['one_judge']['accuracy'])}",
    )


def _retrieval(task: str, key: str) -> Measure:
    words, items = ARROWS[task]
    return Measure(
        title=f"AudioCaps, {words}: {key}",
        file="audiocaps_retrieval",
        n=lambda result: f"{result[task]['n']} {items}",
        of=lambda result, model: result[task]["rows"][model][key],
        floor=lambda result: f"chance {result['chance'][task][key]:.3f}",
    )


def _relate(title: str, place: int) -> Measure:
    return Measure(
        title=title,
        file="relate_validation",
        n=lambda result: f"{result['sets'][place]['n']} pairs",
        of=lambda result, model: result["sets"][place]["rows"][model]["srcc"],
        people=lambda r: f"noise ceiling {span(r['sets'][place]['ceiling']['srcc'])}",
    )


def _left_out(title: str, part: str) -> Measure:
    return Measure(
        title=title,
        file="left_out_classes",
        n=lambda result: f"{result['n']} clips",
        of=lambda result, model: result[part]["accuracy"][model],
        floor=lambda result: f"chance {result[part]['chance']:.3f}",
    )


MEASURES = (
    _fense("choice between two captions (FENSE): accuracy", 0),
    _fense("the same without foreign captions (HI)", 1),
    _retrieval("text_to_audio", "R@1"),
    _retrieval("text_to_audio", "R@10"),
    _retrieval("audio_to_text", "R@1"),
    _relate("RELATE validation, screened: SRCC", 0),
    _relate("RELATE validation, all rated, with anchors: SRCC", 1),
    _left_out("ESC classes left out, among their names: accuracy", "among_left_out"),
    _left_out("ESC classes left out, among all names at hand: accuracy", "among_all_at_hand"),
    Measure(
        title="time of a clip / HTSAT-tiny's: ratio [quartiles]",
        file="model_costs",
        n=lambda result: f"{result['rounds']} rounds",
        of=lambda result, model: result["times"][model]["ratio"],
    ),
)


def _read(folder: Path, name: str) -> Result | None:
    path = folder / f"{name}.json"
    found: Result | None = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    return found


def _models(results: Sequence[Result | None]) -> list[str]:
    """Models of several results files, each once, in the order they are met."""
    return list(dict.fromkeys(name for one in results if one for name in one["models"]))


def _said(title: str, state: Mapping[str, Result | None]) -> list[str]:
    """Notes of results files, each once, with the files that say it."""
    files: dict[str, list[str]] = {}
    for file, result in state.items():
        if result and "note" in result:
            files.setdefault(result["note"], []).append(file)
    return [f"{title}, {', '.join(names)}: {note}" for note, names in files.items()]


def at_a_glance(folder: Path) -> list[str]:
    """Measures in rows, models in columns; those of the earlier state behind, from before_*.json.

    folder: of the results files; a measure that was not made is a dash.
    """
    files = list(dict.fromkeys(measure.file for measure in MEASURES))
    now = {file: _read(folder, file) for file in files}
    before = {file: _read(folder, BEFORE + file) for file in files}
    columns = [(now, name, name) for name in _models(list(now.values()))]
    columns += [(before, name, f"before: {name}") for name in _models(list(before.values()))]
    rows = []
    for measure in MEASURES:
        any_result = now[measure.file] or before[measure.file]
        if any_result is None:
            continue
        cells = []
        for state, name, _ in columns:
            result = state[measure.file]
            known = result is not None and name in result["models"]
            cells.append(span(measure.of(result, name)) if result and known else "–")
        known_things = [measure.n(any_result), measure.floor(any_result)]
        rows.append([measure.title, *known_things, *cells, measure.people(any_result)])
    notes = [*_said("Models of now", now), *_said("Models of before", before)]
    wheels = [
        f"{title} {size['wheel_mb']:.2f} MB (weights {size['weights_mb']:.2f})"
        for title, state in (("now", now), ("before", before))
        if (result := state["model_costs"]) and (size := result["wheel"])
    ]
    heads = ["measure", "n", "hears nothing", *(head for _, _, head in columns), "people"]
    return [
        "One row a measure, each from the results file of its section below; 95 % intervals. None "
        "of these data chose or tuned anything in the models of now unless a line below says so. "
        "*Before*: the models first shipped, whose results are kept in results/before_*.json with "
        "their fingerprints.",
        "",
        *table(heads, rows),
        "",
        f"Wheel: {'; '.join(wheels) or 'not built'}.",
        *(line for note in notes for line in ("", note)),
    ]
