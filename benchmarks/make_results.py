"""Write benchmarks/RESULTS.md from the files in benchmarks/results/.

    python benchmarks/make_results.py [--check]

No figure is written by hand: each section renders one results file, which a script beside this one
made; its command stands with it. --check: exit 1 where RESULTS.md is not what would be written.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import choice_results
import gate_results
import large_results
import people_results
import reproduce_results
import reward_results
import scale_results
from results_text import table

HERE = Path(__file__).parent
TARGET = HERE / "RESULTS.md"
Result = dict[str, Any]
Renderer = Callable[[Result], list[str]]

HEAD = """\
# Results

Written by `python benchmarks/make_results.py`; no figure here is typed by hand. Each section names
the command that makes its numbers, its data and n. Intervals are 95 %. SHARED stands for a folder
with the reference data, which this project may not pass on."""


def human_tuning_esc(result: Result) -> list[str]:
    """Human-tuning on ESC's crowd answers, rendered by its own script."""
    sys.path.insert(0, str(HERE))
    from human_tuning_esc import markdown

    return [
        "Targets: the share of a clip's listeners who chose a label, for chosen and not-chosen "
        f"labels. Objective {result['settings']['objective']}, projections only; trained on "
        f"{result['train']['pairs']:,} pairs ({result['train']['clips']} clips) of folds 1, 2, 3 "
        f"and 5, learning rate and epoch chosen on {result['validation']['pairs']} other pairs "
        f"({result['validation']['clips']} clips) of those folds, judged on fold 4. Three seeds; "
        "intervals by bootstrap clustered by clip, without the variance of the seeds. *Tie "
        "ceiling*: the SRCC of a perfect score that has no ties, since most shares are exactly 0 "
        "or 1. *Label alone*: the SRCC of a label's mean share in training, which hears nothing.",
        "",
        markdown(result),
    ]


MODELS = ("mini", "mini-mn04", "training_free_mn04_minilm")
YARDSTICK = "training-free mn04 × MiniLM"


def share(found: Result) -> str:
    """A share of correct answers with its interval, where it has one."""
    interval = found.get("interval")
    ends = f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else ""
    return f"{found['accuracy']:.3f}{ends}"


def mini_quality(result: Result) -> list[str]:
    """Zero-shot, retrieval and nearly true captions, by the packaged models."""
    models = [result["models"][name] for name in MODELS]
    rows: list[list[object]] = [
        [title, models[0][key]["n"], *(share(model[key]) for model in models)]
        for title, key in (
            ("ESC-10 zero-shot, fold 4, 10-way", "esc10_fold4"),
            ("ESC test clips zero-shot, 50-way", "esc50_test"),
        )
    ]
    tta = "tta_held_out_prompts"
    for title, key in (("prompts: right one of 19", "recall_at_1"), ("prompts: AUC", "auc")):
        rows.append([title, models[0][tta]["n"], *(f"{model[tta][key]:.3f}" for model in models)])
    for kind, found in models[0]["scenes"].items():
        right = [f"{model['scenes'][kind]['correct']:.3f}" for model in models]
        rows.append([f"scenes: true caption above wrong {kind}", found["n"], *right])
    speed, probe = result["speed"], result["linear_probe_esc10"]
    megabytes = ", ".join(f"`{k}` {v / 1e6:.1f}" for k, v in result["sizes"]["bytes"].items())
    texts = ", ".join(
        f"{name} {item['sentence']:.3f} and {item['profile']:.3f} (n = {item['n']})"
        for name, item in result["text_likeness_with_teacher"].items()
    )
    student = result["audio_student_on_held_out_segments"]
    return [
        "Clips, prompts and recordings that trained nothing: ESC-10's fold 4, twelve classes left "
        "out whole and a fifth of the others, held-out prompts, and *scenes* mixed from these "
        "clips (but the classes left out) and RiTTA's held-out ones. A scene's caption is true; "
        "its wrong captions reverse the order, swap an event, change the count, or deny or claim "
        "an event. Shares with 95 % Wilson intervals. The names of the ten ESC classes that train "
        "are among the training captions; the other forty are not.",
        "",
        *table(["set", "n", *MODELS[:-1], YARDSTICK], rows),
        "",
        f"Linear probe, ESC-10, its own five folds (n = {probe['mini']['n']}; the student heard "
        "folds 1, 2, 3 and 5 of five of the ten classes, unlabelled): `mini` "
        f"{probe['mini']['accuracy']:.3f}, its teacher mn04 {probe['mini-mn04']['accuracy']:.3f}. "
        "Likeness of the student to mn04 on held-out "
        f"segments (n = {student['n']}): cosine of standardised features {student['cosine']:.3f}, "
        f"same top label {student['top_label']:.3f}.",
        "",
        "Mean cosine of the text tower with its teacher on held-out texts, sentence and profile: "
        f"{texts}.",
        "",
        f"One core: a 10 s clip {speed['mini_audio_ms']:.1f} ms with `mini`, "
        f"{speed['mini_mn04_audio_ms']:.1f} ms with `mini-mn04`, "
        f"{speed['htsat_tiny_without_front_end_ms']:.0f} ms with HTSAT-tiny (random weights, "
        f"without its front end) in the same run; a caption {speed['caption_ms']:.1f} ms. "
        f"Megabytes on disk: {megabytes}.",
    ]


def rating_coverage(result: Result) -> list[str]:
    """How often the intervals of predicted ratings hold."""
    rows = [
        [
            f"`{name}`",
            group,
            f"{found['n']} ({found['clips']})",
            f"{found['observed']:.2f}",
            "{:+.2f} [{:.2f}, {:.2f}]".format(*found["bias"]),
            f"{found['error']:.2f}",
            *("{:.1f} [{:.1f}, {:.1f}]".format(*(100 * x for x in span))
              for span in found["coverage"].values()),
        ]
        for name, model in result["models"].items()
        for group, found in model["groups"].items()
    ]  # fmt: skip
    return [
        "RELATE validation: each clip's pairs predicted by a map fitted without the clip and "
        "without every pair that shares a caption with it; *anchors* are recordings with captions "
        "of others. ESC: the map of all of RELATE validation, unchanged, on ten-way answers; there "
        "people chose one of ten labels and the rating is ten times the share that chose this one, "
        "another question than how well a caption fits (the embeddings were made with clips of all "
        "folds but 4). Bias: mean predicted minus mean observed rating. Coverage: share of "
        "observed means, in %, within the intervals of the model's error and the means' own noise. "
        f"95 % bootstrap intervals clustered by clip, {result['replicates']:,} replicates.",
        "",
        *table(
            ["model", "pairs", "n (clips)", "observed", "bias", "error", "50 %", "80 %", "95 %"],
            rows,
        ),
        "",
        "Models: "
        + ", ".join(f"`{n}@{m['fingerprint'][:8]}`" for n, m in result["models"].items()),
    ]


def rating_map_simulation(result: Result) -> list[str]:
    """Coverage by the strength of pooling."""
    shown = [row for row in result["rows"] if row["pairs"] in (20, 112, None)]
    rows = [
        [
            row["world"],
            row["pairs"] or f"half of {result['esc_pairs']}",
            "all" if row["pooled"] > 1000 else row["pooled"],
            f"{row['error']:.2f}",
            *(
                " / ".join(f"{100 * share:.0f}" for share in row[part])
                for part in ("all", "highest fifth", "lowest fifth")
            ),
        ]
        for row in sorted(shown, key=lambda row: (row["world"], row["pairs"] or 0))
    ]
    return [
        "How often intervals of 50 / 80 / 95 % hold, in %, on pairs that were not fitted, by how "
        "strongly the error of a stretch of scores is drawn to the common one (*pooled*: as by so "
        f"many groups of pairs; 20 is in use). Mean of {result['studies']} studies; made-up ones, "
        "and ESC's ten-way answers, whose shares crowd at 0 and 1, by "
        f"`{result['model']}`.",
        "",
        *table(
            ["studies", "pairs", "pooled", "mean error", "all", "highest fifth", "lowest fifth"],
            rows,
        ),
    ]


def relate_tables(result: Result) -> list[str]:
    """RELATE's own tables, reproduced."""
    found = result["REL"]
    rows = [
        [
            split,
            *(f"{item[key]:,}" for key in ("ratings", "pairs", "listeners")),
            f"{item['mean_rating']:.2f}",
        ]
        for split, item in found["splits"].items()
    ]
    systems = [
        [name, f"{item['pairs']:,}", f"{item['mean_mos']:.2f}", f"{item['icc1']:.3f}"]
        for name, item in found["test_by_system"].items()
    ]
    screening = found["screening"]
    return [
        f"Screening: {screening['mismatches']} mismatches with the published column over "
        f"{screening['rows_compared']:,} rows.",
        "",
        *table(["split", "ratings", "pairs", "listeners", "mean rating"], rows),
        "",
        *table(["system (test)", "pairs", "mean of pair means", "ICC(1)"], systems),
    ]


def hf_frontend(result: Result) -> list[str]:
    """Our front end against transformers' extractor."""
    rows = [
        [threads, scale, f"{item['max_difference_db']:.1e}", item["ratio"], item["median_ratio"]]
        for threads, by_scale in result["threads"].items()
        for scale, item in by_scale.items()
        if isinstance(item, dict)
    ]
    return [
        f"{result['clips']} clips of {result['seconds_each']} s; time of ours / time of "
        "`ClapFeatureExtractor`, both in one run "
        f"(load average at the start {result['load_average_before']}).",
        "",
        *table(["threads", "mel scale", "largest difference, dB", "best round", "median"], rows),
    ]


def laion_clap_speed(result: Result) -> list[str]:
    """Files and captions to scores, against `laion_clap`."""
    rows = [
        [
            way,
            *(" / ".join(f"{value:g}" for value in found[key]) for key in _SPREADS),
            f"{found['largest_difference']:.0e}",
        ]
        for way, found in result["ways"].items()
    ]
    return [
        f"{result['clips']} FLAC clips of 10 s, 44.1 kHz, stereo; one checkpoint of HTSAT-tiny and "
        f"RoBERTa-base with random weights; {result['rounds']} rounds on {result['cpus']} CPUs "
        f"(load average before: {result['load_average_before']}). Least / median / most of the "
        "rounds; ratios are within a round.",
        "",
        *table(
            ["", "seconds", "× ours", "peak MB", "× ours", "largest difference of scores"], rows
        ),
    ]


_SPREADS = ("seconds", "times_ours", "peak_mb", "memory_times_ours")


def metric_overhead(result: Result) -> list[str]:
    """`HumanCLAPScore` beside the `score_many` that it calls."""
    keys = [
        (base, clock)
        for base in ("by_score_many_within", "by_score_many_of_the_round")
        for clock in ("cpu", "clock")
    ]
    rows = [
        [
            name,
            f"{median(found['cpu_s']):.2f}",
            *("{min:.4f} / {median:.4f} / {max:.4f}".format(**found[base][clock])
              for base, clock in keys),
        ]
        for name, found in result["ways"].items()
    ]  # fmt: skip
    return [
        f"`mini`, {result['clips']} clips of {result['seconds_each']} s in batches of "
        f"{result['batch']}, {result['texts']} texts, the cache off, one thread, "
        f"{result['rounds']} rounds in turns on {result['processors']} CPUs (load average before: "
        f"{result['load_average_before']}); torch {result['torch']}, torchmetrics "
        f"{result['torchmetrics']}. Least / median / most of the rounds. *Within*: the whole run "
        "by the time that was spent inside `score_many` in that same run. *Of the round*: by a run "
        "of `score_many` alone, which other work on the machine moves. Target: 1.03.",
        "",
        *table(
            [
                *("", "processor, s", "× within, processor", "× within, clock"),
                *("× of the round, processor", "× of the round, clock"),
            ],
            rows,
        ),
    ]


def _times(found: Result) -> str:
    return f"{found['median']:.2f} ({found['min']:.2f} to {found['max']:.2f})"


def ray_scoring(result: Result) -> list[str]:
    """Scoring on Ray, rendered by its own script."""
    sys.path.insert(0, str(HERE))
    from ray_scoring import markdown

    return markdown(result)


def scoring_speed(result: Result) -> list[str]:
    """Scoring against transformers' pipeline, and memory on long work."""
    found, work, encoder = result["compared"], result["long_work"], result["encoder"]
    batch = found["their_batch"]
    rows = [
        [
            name,
            f"{statistics.median(found['seconds'][name]):.2f}",
            *(f"{ratio[end]:.2f}" for end in ("median", "min", "max")),
            f"{found['processor_times_as_fast'][name]['median']:.2f}",
            f"{found['least_cosine'][name]:.6f}" if name in found["least_cosine"] else "–",
        ]
        for name, ratio in found["times_as_fast"].items()
    ]
    long = [
        [name, item["clips"], item["seconds"], item["peak_gb"]]
        for name, item in (
            ("few", work["few"]),
            ("many", work["many"]),
            (f"one file of {work['long_hours']:g} h", work["long"]),
        )
    ]
    captions = result["captions"]
    return [
        f"{found['clips']} clips from disk to scores, {result['rounds']} rounds in one run, "
        f"{result['threads']} threads on {result['processors']} processors "
        f"({result['capability']}; load average "
        f"{result['load_average_before']} before, {result['load_average_after']} after: other work "
        f"ran beside it). Theirs loads by {found['loader']}, batch {batch['fp32']}"
        + (f" (bf16: {batch['bf16']})" if batch["bf16"] else "")
        + ". Cosine: the least, of clips and texts, to theirs at fp32.",
        "",
        *table(
            ["way", "median s", "times as fast", "least", "most", "by processor time", "cosine"],
            rows,
        ),
        "",
        f"Audio encoder on one thread: {encoder['encoder_gflop_s']} GFLOP/s of the "
        f"{encoder['matrix_product_gflop_s']} that a product of matrices reaches here "
        f"({encoder['share']:.0%}); under torch.compile "
        f"{_times(result['compiled']['times_as_fast'])} times as fast, compiling apart. "
        f"{captions['pairs']} pairs of "
        f"five systems with the same {captions['captions']} captions: {captions['embedded']} texts "
        "embedded. With `mini`:",
        "",
        *table(["work", "clips", "seconds", "peak GB"], long),
    ]


def listening_load(result: Result) -> list[str]:
    """A listening test under load."""
    per_pair = ", ".join(
        f"{count:,} pairs × {ratings}" for ratings, count in result["ratings_per_pair"].items()
    )
    times = [
        [name, *(f"{result[key][f'p{share}_ms']:.0f}" for share in (50, 95, 99))]
        for name, key in (
            ("acknowledgement of an answer", "acknowledgement"),
            (
                "with waiting for a killed server",
                "acknowledgement_with_waiting_for_a_killed_server",
            ),
        )
    ]
    return [
        f"{result['listeners']} simulated listeners at once on {result['machine']} (load average "
        f"before: {result['load_average_before']}), {result['kills']} kills of the server. "
        f"{result['answers_acknowledged']:,} answers acknowledged, "
        f"{result['answers_in_database']:,} in the database, "
        f"{result['acknowledged_but_lost']} lost, {result['doubled']} doubled; ratings per pair: "
        f"{per_pair}.",
        "",
        *table(["ms", "p50", "p95", "p99"], times),
    ]


def listening_load_choices(result: Result) -> list[str]:
    """An A/B study under load: the same, and which side stood first."""
    led, total = result["first_named_stood_first"], result["choices_per_pair_of_systems"]
    leads = ", ".join(
        f"{count:,} by {lead}" for lead, count in result["comparisons_by_lead_of_a_side"].items()
    )
    counts = [f"{n:,}" for n in sorted(set(total.values()))]
    shares = sorted(led[group] / n for group, n in total.items())
    return [
        *listening_load(result),
        "",
        "Each pair is a comparison of two clips, each rating a choice. Choices per pair of "
        f"systems: {', '.join(counts)} ({len(total)} pairs of systems). The system named first "
        f"stood at A in {shares[0]:.3f} to {shares[-1]:.3f} of them. Comparisons by how much more "
        f"often one side stood at A than the other: {leads}.",
    ]


def startup(result: Result) -> list[str]:
    """Start-up times."""
    cpu = result["processor_s"]
    rows = [[f"`{k}`", f"{s:.3f}", f"{cpu[k]:.3f}"] for k, s in result["median_s"].items()]
    parts = [
        f"Median of {result['runs']} fresh processes, seconds (load average before: "
        f"{result['load_average_before'][0]}, by other work).",
        "",
        *table(["", "clock", "processor"], rows),
    ]
    found = ", ".join(f"{name} {seconds:.3f}" for name, seconds in result["parts_s"].items())
    return [*parts, "", f"Parts of a first score, in seconds, one thread: {found}."]


def judging(name: str) -> Renderer:
    """A section of judging_results.py."""

    def renderer(result: Result) -> list[str]:
        sys.path.insert(0, str(HERE))
        import judging_results

        lines: list[str] = getattr(judging_results, name)(result)
        return lines

    return renderer


def of_training(name: str) -> Renderer:
    """A section that training_results.py renders."""

    def render_section(result: Result) -> list[str]:
        sys.path.insert(0, str(HERE))
        import training_results

        lines: list[str] = getattr(training_results, name)(result)
        return lines

    return render_section


def clip_identity(result: Result) -> list[str]:
    """Copies missed, others mistaken, and the cost."""
    titles, halves = result["titles"], result["copies"]
    rows = [
        [title]
        + [
            f"{row['missed']} of {row['asked']}, {row['false']}"
            for row in (halves["first"][kind], halves["second"][kind])
        ]
        for kind, title in titles.items()
    ]
    whole = result["all_against_all"]
    rows.append(
        ["the clip itself, asked for among all"]
        + [
            f"{row['missed']} of {row['asked']}, {len(row['false'])}"
            for row in (whole["first"], whole["second"])
        ]
    )
    false = {tuple(sorted(pair)) for half in whole.values() for pair in half["false"]}
    grid = [
        [*(row[name] for name in ("max_error_rate", "min_deviation", "missed", "asked", "false"))]
        for row in result["chosen_on"]
    ]
    same, size, cost = result["same_recording"], result["size"], result["cost"]
    more = 100 * (cost["score_with_identities_ms"] / cost["score_ms"] - 1)
    clips = ", ".join(f"{name} {count:,}" for name, count in result["clips"].items())
    few = sum(result["unknowable"].values())
    by_sets = ", ".join(f"{name} {count}" for name, count in same["by_sets"].items())
    return [
        f"All clips are made known ({clips}; {few} of them have too little sound), and copies of "
        f"{result['copied']} of them are asked for. Cells: copies missed, and false alarms: other "
        "clips found that are not of the same recording, by waveform correlation. The bounds were "
        "chosen on the first half. Copies with too little sound left to be known are not asked "
        "for.",
        "",
        *table(["copy", "first half: missed, false", "second half: missed, false"], rows),
        "",
        f"The data hold {same['pairs']} pairs of clips of one recording ({by_sets}), met under "
        f"another name and no false alarms: correlation {same['lowest_correlation']} and above; of "
        f"all other pairs met under the bounds below, {same['highest_of_others']} and below. The "
        f"false alarms of clips asked for among all are {len(false)} pairs: SpecMaskGIT's clips of "
        "one prompt with two vocoders (BigVSAN, HiFiGAN), so of one sound, if not of one waveform.",
        "",
        "The choice, on the first half, all kinds of copies together:",
        "",
        *table(
            ["share of bits that may differ", "deviations from chance", "missed", "of", "false"],
            grid,
        ),
        "",
        f"{size['clips']:,} clips take {size['bytes']:,} bytes, {size['compressed']:,} in an "
        f"archive. One core, a 10 s clip: coding {cost['coding_ms']:.2f} ms, finding it among "
        f"{cost['known_clips']:,} clips {cost['finding_ms']:.2f} ms; scoring "
        f"{cost['scored_clips']} clips of 10 s with `mini` takes {cost['score_ms']:.1f} ms of "
        "processor time a clip, and "
        f"{cost['score_with_identities_ms']:.1f} ms with both ({more:+.1f} %); the scores are "
        f"{'not ' if cost['scores_differ'] else ''}the same.",
    ]


def cache_speed(result: Result) -> list[str]:
    """Scored again, against the first time."""

    def span(found: Result, form: str = ".0f") -> str:
        return f"{found['median']:{form}} ({found['min']:{form}} to {found['max']:{form}})"

    rows = [
        [
            f"`{one['model']}`" if one["model"] == "mini" else one["model"],
            one["threads"],
            *(f"{1000 * median(times[name]) / result['clips']:.1f}" for name in WAYS),
            span(one["clock"]["first_by_again"]),
            span(one["processor"]["first_by_again"]),
            span(one["start"]["imports_s"], ".1f"),
            span(one["start"]["loading_s"], ".1f"),
        ]
        for one in result["models"]
        for times in [one["clock"]["seconds"]]
    ]
    costs = result["costs"]
    return [
        f"{result['clips']} generated FLAC clips of 10 s (44.1 kHz, stereo, {costs['clip_mb']:.1f} "
        f"MB each), {result['captions']} captions, {result['rounds']} rounds on {result['cores']} "
        f"cores (load average before and after {result['load_average_before'][0]} and "
        f"{result['load_average_after'][0]}, by other work); each round scored without the cache, "
        "with an empty one and again, with the same scores to the last bit. Ratios within a round: "
        "median, least and most. Target: 50 or more. Scored again, nearly all of the time goes "
        f"into hashing the files, {span(costs['hash_ms'], '.2f')} ms a clip on one core; decoding "
        f"one as `mini` hears it takes {span(costs['decode_ms'], '.1f')} ms. Imports and loading "
        "are paid once a process and stand apart.",
        "",
        *table(
            [
                *("model", "threads", "ms a clip: no cache", "first, cache empty", "again"),
                *("first / again", "of processor time", "imports, s", "loading, s"),
            ],
            rows,
        ),
    ]


WAYS = ("without", "first", "again")


SECTIONS: tuple[tuple[str, str, str, Renderer], ...] = (
    (
        "Agreement with people: RELATE validation",
        "relate_validation",
        "python benchmarks/relate_validation.py --shared SHARED --mn04 MN04",
        people_results.relate_validation,
    ),
    (
        "People's choice between two captions: FENSE",
        "fense_choices",
        "python benchmarks/fense_choices.py --shared SHARED --mn04 MN04",
        people_results.fense_choices,
    ),
    (
        "Simulated A/B studies: does the ranking hold what it says?",
        "choice_simulation",
        "python benchmarks/choice_simulation.py",
        choice_results.choice_simulation,
    ),
    (
        "Retrieval among AudioCaps clips",
        "audiocaps_retrieval",
        "python benchmarks/audiocaps_retrieval.py --shared SHARED --mn04 MN04",
        people_results.audiocaps_retrieval,
    ),
    (
        "Naming ESC's classes that the recipe leaves out",
        "left_out_classes",
        "python benchmarks/left_out_classes.py --shared SHARED --mn04 MN04",
        people_results.left_out_classes,
    ),
    (
        "What the packaged models cost",
        "model_costs",
        "python benchmarks/model_costs.py --mn04 MN04",
        people_results.model_costs,
    ),
    (
        "How often predicted ratings hold",
        "rating_coverage",
        "python benchmarks/rating_coverage.py --shared SHARED --mn04 MN04",
        rating_coverage,
    ),
    (
        "Ceiling, floor and the models between them: RELATE",
        "judging_relate",
        "python benchmarks/judging_relate.py --shared SHARED --mn04 MN04",
        judging("judging_relate"),
    ),
    (
        "Human-tuning on real answers: ESC",
        "human_tuning_esc",
        "python benchmarks/human_tuning_esc.py SHARED/data/esc --mn04 MN04",
        human_tuning_esc,
    ),
    (
        "The packaged models on sounds they did not hear",
        "mini_quality",
        "python recipes/mini/measure.py --shared SHARED --work WORK --output OUTPUT",
        mini_quality,
    ),
    (
        "Objectives on real answers: ESC-10",
        "objectives_esc",
        "python benchmarks/objectives_esc.py SHARED/data/esc",
        of_training("objectives_esc"),
    ),
    (
        "Ratings and choices as teachers",
        "choice_training",
        "python benchmarks/choice_training.py --shared SHARED",
        of_training("choice_training"),
    ),
    (
        "How many answers to buy: ESC-10",
        "efficiency_esc",
        "python benchmarks/efficiency_esc.py SHARED/data/esc",
        of_training("efficiency_esc"),
    ),
    (
        "Objectives and cleaning where the truth is known (simulated)",
        "simulated_grid",
        "python benchmarks/simulated_grid.py --worlds 6",
        of_training("simulated_grid"),
    ),
    (
        "Training a full-size CLAP: memory and time",
        "full_size_steps",
        "python benchmarks/full_size_steps.py",
        of_training("full_size_steps"),
    ),
    (
        "kill -9 and resume",
        "kill_and_resume",
        "python benchmarks/kill_and_resume.py",
        of_training("kill_and_resume"),
    ),
    (
        "Training on two hosts",
        "two_hosts",
        "python benchmarks/two_hosts.py",
        of_training("two_hosts"),
    ),
    (
        "The paper in one command: a rehearsal at full size",
        "reproduce_rehearsal",
        "python benchmarks/reproduce_rehearsal.py --shared SHARED --work FOLDER",
        reproduce_results.rehearsal,
    ),
    (
        "The paper in one command: verdicts on simulated ratings",
        "reproduce_verdicts",
        "python benchmarks/reproduce_verdicts.py",
        reproduce_results.verdicts,
    ),
    (
        "RELATE's tables from its public CSVs",
        "relate_tables",
        "python benchmarks/relate_tables.py SHARED/data/relate/scores",
        relate_tables,
    ),
    (
        "Intervals and tests in simulation",
        "interval_simulation",
        "python benchmarks/interval_simulation.py",
        judging("interval_simulation"),
    ),
    (
        "A gate for CI: its errors and its power (simulated)",
        "gate_simulation",
        "python benchmarks/gate_simulation.py --demos SHARED/data/tta-demos",
        gate_results.markdown,
    ),
    (
        "Errors of predicted ratings in simulation",
        "rating_map_simulation",
        "python benchmarks/rating_map_simulation.py --esc SHARED/data/esc --model mini",
        rating_map_simulation,
    ),
    (
        "Speed of the bootstrap",
        "bootstrap_speed",
        "python benchmarks/bootstrap_speed.py",
        judging("bootstrap_speed"),
    ),
    (
        "A million pairs (simulated)",
        "large_tables",
        "python benchmarks/large_tables.py",
        large_results.markdown,
    ),
    (
        "A leaderboard over demo pages",
        "tta_leaderboard",
        "python benchmarks/tta_leaderboard.py SHARED/data/tta-demos --mn04 MN04",
        judging("tta_leaderboard"),
    ),
    (
        "Clips met again",
        "clip_identity",
        "python benchmarks/clip_identity.py --shared SHARED",
        clip_identity,
    ),
    (
        "Front end of transformers' CLAPs",
        "hf_frontend",
        "python benchmarks/hf_frontend.py",
        hf_frontend,
    ),
    (
        "Scoring speed",
        "scoring_speed",
        'python benchmarks/scoring_speed.py --only "ours, fp32" --only mini',
        scoring_speed,
    ),
    (
        "Scoring on Ray",
        "ray_scoring",
        "python benchmarks/ray_scoring.py --work FOLDER",
        ray_scoring,
    ),
    (
        "The metric's overhead",
        "metric_overhead",
        "python benchmarks/metric_overhead.py",
        metric_overhead,
    ),
    (
        "A listening test under load (simulated listeners)",
        "listening_load",
        "python benchmarks/listening_load.py",
        listening_load,
    ),
    (
        "An A/B study under load (simulated listeners)",
        "listening_load_choices",
        "python benchmarks/listening_load.py --trial clips",
        listening_load_choices,
    ),
    (
        "A scoring service under load",
        "service_load",
        "python benchmarks/service_load.py --minutes 5",
        scale_results.service_load,
    ),
    (
        "Planning: a million and a billion pairs (a farm simulated)",
        "cluster_plan",
        "python benchmarks/cluster_plan.py",
        scale_results.cluster_plan,
    ),
    (
        "A study in PostgreSQL, many listeners (simulated)",
        "listening_scale",
        "python benchmarks/listening_scale.py",
        scale_results.listening_scale,
    ),
    (
        "Against laion_clap",
        "laion_clap_speed",
        "python benchmarks/laion_clap_speed.py --laion-python LAION/bin/python",
        laion_clap_speed,
    ),
    (
        "The score as a reward: values, gradients, memory",
        "reward_gradient",
        "python benchmarks/reward_gradient.py --mn04 MN04",
        reward_results.markdown,
    ),
    ("Scoring again", "cache_speed", "python benchmarks/cache_speed.py", cache_speed),
    ("Start-up", "startup", "python benchmarks/startup.py", startup),
)


def render() -> str:
    """The whole document; a section whose results file is absent says so."""
    glance = people_results.at_a_glance(HERE / "results")
    parts = [HEAD, "\n".join(["## Human judgements at a glance", "", *glance])]
    for title, name, command, renderer in SECTIONS:
        path = HERE / "results" / f"{name}.json"
        body = (
            renderer(json.loads(path.read_text(encoding="utf-8")))
            if path.exists()
            else ["Not measured yet."]
        )
        parts.append("\n".join([f"## {title}", "", f"    {command}", "", *body]))
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Write, or check."""
    parser = argparse.ArgumentParser(description="Write benchmarks/RESULTS.md.")
    parser.add_argument("--check", action="store_true")
    text = render()
    if not parser.parse_args().check:
        TARGET.write_text(text, encoding="utf-8")
    elif TARGET.read_text(encoding="utf-8") != text:
        sys.exit("benchmarks/RESULTS.md is stale; run: python benchmarks/make_results.py")


if __name__ == "__main__":
    main()
