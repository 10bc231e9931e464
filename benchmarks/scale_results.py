"""Sections of RESULTS.md on size: a service, many listeners, several hosts, a cluster."""

from __future__ import annotations

from typing import Any

from results_text import table

Result = dict[str, Any]


def service_load(result: Result) -> list[str]:
    """A scoring service under clients, beside batch scoring."""
    rates, cpu = result["clips_per_s"], result["clips_per_cpu_s"]
    rows = [
        [
            title,
            f"{found['service']:.1f}",
            f"{found['batch']:.1f} ({' and '.join(f'{x:.1f}' for x in found['batch_runs'])})",
            f"{found['service'] / found['batch']:.2f}",
        ]
        for title, found in (("clips a second", rates), ("clips a CPU second of its own", cpu))
    ]
    codes = ", ".join(f"{n:,} × {code}" for code, n in sorted(result["codes"].items()))
    latency = ", ".join(f"{name} {s:.2f} s" for name, s in result["latency_s"].items())
    memory, seconds = result["memory_mb"], result["cpu_s"]
    hostile = ", ".join(
        f"{name} ({'/'.join(sorted(codes_of))})" for name, codes_of in result["hostile"].items()
    )
    return [
        f"{result['clients']} clients in a closed loop for {result['minutes']:g} minutes, "
        f"{result['clips']} files of 5-10 s at 16 to 48 kHz, `mini` on {result['processors']} CPU "
        f"cores that clients and service share (load average after: {result['load'][0]:.1f}). "
        f"Answers: {codes}. Latency: {latency}. Greatest difference of a score to `score_pairs`: "
        f"{result['greatest_difference']:.1e}.",
        "",
        *table(["", "service", "`score_pairs` (before and after)", "ratio"], rows),
        "",
        f"CPU seconds: service {seconds['service']:.0f}, clients {seconds['clients']:.0f}. "
        f"{result['windows_a_batch']:.1f} windows a batch. Resident memory of the service: "
        f"{memory['first_half']:.0f} MB on average in the first half, "
        f"{memory['second_half']:.0f} MB in the second, {memory['most']:.0f} MB at most. Exit code "
        f"after SIGTERM: {result['exit_code']}. Hostile requests sent meanwhile, and their "
        f"answers: {hostile}.",
    ]


def listening_scale(result: Result) -> list[str]:
    """A study in PostgreSQL under many listeners, and how many answers a second it takes."""
    pace, size = result["pace"], result["size"]
    cost = result["rate"][-1]["processor_ms_per_answer"]
    harms = ", ".join(f"{n} × {harm}" for harm, n in pace["harms"].items()) or "none"
    per_pair = ", ".join(f"{k:,} pairs × {n}" for n, k in pace["ratings_per_pair"].items())
    times = [
        [name, *(f"{one[key][f'p{share}_ms']:,.0f}" for share in (50, 95, 99))]
        for name, one, key in (
            ("at a person's pace", pace, "acknowledgement"),
            ("the same, waiting for what was away included", pace, "acknowledgement_with_waiting"),
            *(
                (f"{one['listeners']} that do not wait, {one['workers']} processes", one,
                 "acknowledgement")
                for one in result["rate"]
            ),
        )
    ]  # fmt: skip
    per_second = [pace["answers_per_s"]] * 2 + [one["answers_per_s"] for one in result["rate"]]
    slowest = [[f"`{query}`", f"{ms:,.1f}"] for query, ms in size["statements_ms"].items()]
    return [
        f"{pace['listeners']:,} simulated listeners at once, {result['session']} sounds each, who "
        f"think {pace['think_s']:g} s on average; {pace['workers']} server processes; "
        f"{result['machine']} (load average before: {result['load_average_before']}). Harm on the "
        f"way: {harms}. Each listener closed the browser once and came back. "
        f"{pace['answers_acknowledged']:,} answers acknowledged, {pace['answers_in_database']:,} "
        f"in the database, {pace['acknowledged_but_lost']} lost, {pace['doubled']} doubled; "
        f"ratings per pair: {per_pair}.",
        "",
        *table(
            ["acknowledged in ms", "p50", "p95", "p99", "answers a second"],
            [[*row, f"{n:.0f}"] for row, n in zip(times, per_second, strict=True)],
        ),
        "",
        "The processor's time of an answer, with its clip and its share of all pages: "
        f"{cost['server']:.0f} ms of the server processes, {cost['postgresql']:.0f} ms of "
        f"PostgreSQL ({result['rate'][-1]['workers']} processes). "
        f"With all answers in the database the researcher's view takes {size['overview_ms']:,.0f} "
        f"ms, the export {size['export_ms']:,.0f} ms. Kinds of statements with the longest mean:",
        "",
        *table(["statement", "ms"], slowest),
    ]


def cluster_plan(result: Result) -> list[str]:
    """Unit costs, the planning sheet and the simulated farm."""
    costs, sheet = result["costs"], result["sheet"]
    shares = ", ".join(f"{name} {share:.0%}" for name, share in sheet["shares"].items())
    a_pair = costs["decode_s"] + costs["score_s"]
    cores = ", ".join(f"{n:.0f} for {rate} clips/s" for rate, n in sheet["cores_for_a_gpu"].items())
    plans = [
        [f"{one['pairs']:,}", f"{one['nodes']:,}", f"{one['hours']:,.2f}",
         f"{one['core_hours']:,.0f}", f"{one['price']:,.0f}", f"{one['wav_tb']:,.1f}",
         f"{one['node_mb_s']:.0f}"]
        for one in sheet["plans"]
    ]  # fmt: skip
    farm = [
        [one["name"], f"{one['farm']['workers']:,}", f"{one['farm']['pairs']:,}",
         f"{one['hours']:.2f}", f"{one['pairs_a_second']:,.0f}", f"{one['efficiency']:.0%}",
         f"{one['wasted']:.1%}", one["node_deaths"]]
        for one in result["farm"]
    ]  # fmt: skip
    chunks = costs["driver_s_a_chunk"], costs["head_s_a_chunk"]
    return [
        f"**Measured here**, in processor time of one core, medians of 60 clips of 10 s (32 kHz, "
        f"synthesised): decode a FLAC {costs['decode_s'] * 1e3:.1f} ms, read a text "
        f"{costs['read_text_s'] * 1e3:.1f} ms, score the decoded clip with its text by `mini` "
        f"{costs['score_s'] * 1e3:.1f} ms. From an empty process to the first score "
        f"{costs['load_s']:.1f} s. Of Ray, for each chunk of clips (slope over "
        f"{costs['measured_chunks']:.0f} chunks): {chunks[0] * 1e3:.1f} ms in the driver, "
        f"{chunks[1] * 1e3:.1f} ms in Ray's own head processes. A pair costs "
        f"{a_pair * 1e3:.1f} ms: {shares}.",
        "",
        f"**The plan** for pairs of a 10 s clip and a text of its own, on nodes of 16 such cores, "
        f"all cores busy (the farm below says how far that holds). The price is an assumption of "
        f"{sheet['core_hour']:g} a core-hour; the command takes another. No GPU was measured. A "
        f"GPU would need so many of these cores to decode for it: {cores} (those rates are "
        "assumed).",
        "",
        *table(
            ["pairs", "nodes", "hours", "core-hours", "price", "TB as 16-bit WAV",
             "MB/s to a node"],
            plans,
        ),
        "",
        "**The farm** is a simulation by events of `score --runner ray`, with the costs above; all "
        "troubles are assumptions. Efficiency: of what the workers could do if none ever waited. "
        "Wasted: worker time on chunks that were scored again. In every run each shard was written "
        f"once. One driver serves {1 / costs['driver_s_a_chunk']:.0f} chunks a second, which is "
        f"what {costs['chunk_clips'] * a_pair / costs['driver_s_a_chunk']:.0f} such workers score; "
        "so many workers want several drivers, each with its part of the manifest.",
        "",
        *table(
            ["", "workers", "pairs", "hours", "pairs a second", "efficiency", "wasted",
             "node deaths"],
            farm,
        ),
    ]  # fmt: skip
