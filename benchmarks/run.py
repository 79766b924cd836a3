"""Benchmarks: medshard beside its peers, in the same run.

    python benchmarks/run.py [--only A,A-hi-xray,A-hi-fundus,codecs,fidelity,C] [--quick] [--write-docs]

Pictures are painted once and kept in build/bench. Results go to build/bench/results.jsonl, one line a contestant, and
with --write-docs into docs/performance.md. README.md beside this file says how to read them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import codecs_floor
import fidelity
import report
from contestants import REFERENCE, ROOT, absent, decoding, environment, fidelity_routes, route_of, tasks
from corpora import VARIANTS, build_corpus, part_bytes
from figures import ratio, spread
from machine import machine
from peers import Task, peer_module
from race import Outcome, race
from workloads import WORKLOADS, Workload, from_tars, generate

SECTIONS = ("A", "A-hi-xray", "A-hi-fundus", "fidelity", "codecs", "C")
COUNTS = {"A": 3000, "A-hi-xray": 60, "A-hi-fundus": 120}
QUICK = {"A": 300, "A-hi-xray": 20, "A-hi-fundus": 24}
PAGE = ROOT / "docs" / "performance.md"
PLOT = ROOT / "docs" / "performance-a.svg"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, by commas")
    parser.add_argument("--quick", action="store_true", help="few pictures, one short round: does every cell work?")
    parser.add_argument("--peers", default="", help="only contestants whose name holds one of these, by commas")
    parser.add_argument("--from", dest="tars", type=Path, help="folder of tars to take for workload A")
    parser.add_argument("--pictures", type=int, help="of each chosen workload, instead of the usual number")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, help="default: 5 for A, 3 for the others")
    parser.add_argument("--seconds", type=float, default=4.0, help="of one window")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "bench")
    parser.add_argument("--write-docs", action="store_true", help=f"fill in {PAGE.relative_to(ROOT)}")
    options = parser.parse_args()
    options.only = [name for name in options.only.split(",") if name]
    wrong = [name for name in options.only if name not in SECTIONS]
    if wrong:
        parser.error(f"--only: no section {', '.join(wrong)}; there are {', '.join(SECTIONS)}")
    if options.write_docs and options.quick:
        parser.error("--write-docs: numbers of a quick run are no numbers")
    return options


def described() -> dict[str, Any]:
    """The machine, and what the engine is built of."""
    from medshard.engine import features

    return {
        **machine(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "engine": {name: str(value) for name, value in features().items()},
        "date": time.strftime("%Y-%m-%d"),
    }


def machine_line(told: dict[str, Any]) -> str:
    return (
        f"{told['cpu']}, {told['cores']} cores, {told['memory_gib']} GiB, {told['system']}, Python {told['python']}, "
        f"{told['date']}; load before the run {told['load_1min']}. Engine: "
        + ", ".join(f"{name} {value}" for name, value in told["engine"].items())
    )


# -- preparation ----------------------------------------------------------------------------------------------------


def workload_of(name: str, options: argparse.Namespace) -> Workload:
    if name == "A" and options.tars is not None:
        return from_tars(name, options.tars, options.folder)
    count = options.pictures or (QUICK if options.quick else COUNTS)[name]
    return generate(name, count, options.folder)


def corpora(workload: Workload) -> list[str]:
    """Build every variant; what could not be built, in words."""
    notes = []
    for variant in VARIANTS if workload.extension == "jpg" else ("unchanged", "renditions"):
        reason = build_corpus(workload, variant)
        if reason and variant == "unchanged":
            raise SystemExit(f"the corpus cannot be built: {reason}")
        if reason:
            notes.append(f"{VARIANTS[variant].title}: not in this version ({reason[-160:]})")
        elif variant != "unchanged":
            more = part_bytes(workload, variant) / part_bytes(workload, "unchanged") - 1
            notes.append(f"{VARIANTS[variant].title}: shards {100 * more:+.1f} % on disk")
    return notes


def prepared(chosen: Sequence[Task]) -> tuple[list[Task], list[str]]:
    """Convert what peers need converted; those that cannot run are left out, with the reason."""
    ready, notes, done = [], [], {}
    for task in chosen:
        reason = absent(task.peer, task.kernel)
        if not reason and task.peer not in done:
            done[task.peer] = _prepare(task)
        reason = reason or done[task.peer]
        if reason:
            notes.append(f"{task.label} with {decoding(task)} is left out: {reason}")
        else:
            ready.append(task)
    return ready, list(dict.fromkeys(notes))


def _prepare(task: Task) -> str:
    program = (
        "import sys; from peers import Task, peer_module\n"
        "if __name__ == '__main__':\n"
        "    task = Task.load(sys.argv[1]); peer_module(task.peer).prepare(task.workload)\n"
    )
    script = Path(task.workload.folder, "prepare.py")  # a file, since workers of some peers import it again
    script.write_text(program)
    variables = environment(task.peer, task.kernel)
    variables["PYTHONPATH"] += os.pathsep + str(Path(__file__).parent)
    made = subprocess.run(
        [sys.executable, str(script), task.dump()], env={**os.environ, **variables}, capture_output=True, text=True
    )
    return "" if made.returncode == 0 else f"preparing failed: {made.stderr.strip()[-300:]}"


# -- rows -----------------------------------------------------------------------------------------------------------


def row(outcome: Outcome, reference: Outcome | None, told: dict[str, fidelity.Fidelity]) -> dict[str, Any]:
    """A line of the table, with all that was measured."""
    task = outcome.task
    found: dict[str, Any] = {
        "workload": task.workload.name,
        "contestant": task.label,
        "decoding": decoding(task),
        "threads": task.threads,
        "version": outcome.first.get("version", ""),
        "settings": peer_module(task.peer).SETTINGS,
        "fidelity": str(told.get(route_of(task), "not measured")),
        "error": outcome.error,
        "rates": [round(rate, 2) for rate in outcome.rates()],
    }
    if task.peer == "medshard_loader" and task.variant == "renditions":
        found["fidelity"] = "not measured"  # it decodes other files than the route does
    if not outcome.windows:
        found["rate"] = f"failed: {outcome.error}"
        return found
    windows = outcome.windows
    own = max(window["memory"]["own"] for window in windows)
    rss = max(window["memory"]["rss"] for window in windows)
    first, whole = outcome.first["first_batch_s"], outcome.first["first_batch_with_imports_s"]
    per_core = spread([window["samples_per_core_s"] for window in windows])
    found |= {
        "median": statistics.median(outcome.rates()),
        "rate": str(spread(outcome.rates())),
        "per_core": str(per_core),
        "per_core_s": per_core.median,
        "memory": f"{own:.0f} / {rss:.0f}",
        "own_mb": round(own),
        "rss_mb": round(rss),
        "first": f"{first:.2f} ({whole:.1f} with imports)",
        "first_batch_s": first,
        "cores": statistics.median(window["cores"] for window in windows),
        "other_cores": statistics.median(window["other_cores"] for window in windows),
    }
    if reference is not None and outcome is not reference and len(reference.windows) == len(windows):
        found["ratio"] = str(ratio(reference.rates(), outcome.rates()))
    return found


def run_workload(name: str, options: argparse.Namespace) -> tuple[list[dict[str, Any]], list[str]]:
    """Race all contestants of a workload; rows and remarks."""
    workload = workload_of(name, options)
    notes = corpora(workload)
    chosen = tasks(workload, options.threads, one_thread=name == "A")
    wanted = [part for part in options.peers.split(",") if part]
    if wanted:
        chosen = [task for task in chosen if any(part in f"{task.label} {decoding(task)}" for part in wanted)]
    ready, left_out = prepared(chosen)
    print(f"\nworkload {name}: {workload.title}, {workload.count} pictures, {len(ready)} contestants", flush=True)
    told = measure_fidelity(workload, 20 if options.quick else 100, options)
    rounds = 1 if options.quick else options.rounds or (5 if name == "A" else 3)
    outcomes = race(
        [(task, environment(task.peer, task.kernel)) for task in ready],
        rounds=rounds,
        seconds=1.5 if options.quick else options.seconds,
        warm_up_s=0.5 if options.quick else 2.0,
    )
    is_reference = (REFERENCE, options.threads)
    reference = next((one for one in outcomes if (one.task.label, one.task.threads) == is_reference), None)
    rows = [row(outcome, reference, told) for outcome in outcomes]
    rows.sort(key=lambda line: (-line["threads"], -line.get("median", 0)))
    others = [line["other_cores"] for line in rows if "other_cores" in line]
    if others:
        busy = f"{statistics.median(others):.2f} [{min(others):.2f}-{max(others):.2f}]"
        notes.append(
            f"{rounds} rounds; other processes used {busy} cores during the windows (median of each contestant)"
        )
    return rows, [*notes, *left_out]


def measure_fidelity(workload: Workload, count: int, options: argparse.Namespace) -> dict[str, fidelity.Fidelity]:
    cases = fidelity.workload_cases(workload, count)
    routes = fidelity_routes(workload)
    return fidelity.measure(cases, options.folder / f"fidelity-{workload.name}", workload.size, workload.top, routes)


def real_fidelity(options: argparse.Namespace) -> str:
    """A table of 1,000 crops of real files, or why there is none."""
    shared = Path(os.environ.get("MEDSHARD_SHARED", ROOT.parent / "shared"))
    workload = Workload(name="A", folder="", count=0, **WORKLOADS["A"])
    cases = fidelity.real_cases(shared, workload, 60 if options.quick else 1000)
    if not cases:
        return f"Real files: left out, as $MEDSHARD_SHARED names no folder with data (looked at {shared.name}/data)."
    told = fidelity.measure(cases, options.folder / "fidelity-real", 224, 255, fidelity_routes(workload))
    return report.markdown(("route", "crops", "median / worst, dB", "mean shift"), _fidelity_lines(told))


def _fidelity_lines(told: dict[str, fidelity.Fidelity]) -> list[list[str]]:
    return [[name, str(one.crops), str(one), f"{one.shift:+.2f}"] for name, one in told.items()]


def run_codecs(options: argparse.Namespace) -> str:
    """Floors of each codec, as a table."""
    lines = []
    for name, count in (("A", 15), ("A-hi-xray", 2), ("A-hi-fundus", 4)):
        workload = workload_of(name, options)
        streams = [path.read_bytes() for path in workload.files[:count]]
        for decoder, rate in codecs_floor.floors(workload, streams, 1 if options.quick else 5).items():
            lines.append([workload.title.partition(" →")[0], decoder, str(rate)])
    return report.markdown(("pictures", "decoder, one thread, whole picture", "MPix/s"), lines)


def run_dicom(options: argparse.Namespace) -> str:
    """What benchmarks/dicom_decode.py prints, in a process of its own."""
    script = Path(__file__).with_name("dicom_decode.py")
    if not script.exists():
        return "DICOM decoding: this version has no benchmarks/dicom_decode.py."
    arguments = ["--slices", "20", "--seconds", "0.2"] if options.quick else []
    made = subprocess.run(
        [sys.executable, str(script), *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    return made.stdout.strip() if made.returncode == 0 else f"benchmarks/dicom_decode.py failed ({made.returncode})."


def settings_table(rows: Sequence[dict[str, Any]], before: str) -> str:
    """A line a contestant of this run; those of others stay as they stood in the page before."""
    headings = ["contestant", "version", "settings"]
    lines = {row[0]: row for row in report.parsed(before) if row != headings}
    lines.update({row["contestant"]: [row["contestant"], row["version"], row["settings"]] for row in rows})
    return report.markdown(headings, [lines[name] for name in sorted(lines)])


def main() -> None:
    options = parse()
    options.folder = options.folder.resolve()
    options.folder.mkdir(parents=True, exist_ok=True)
    told, began, pages, every = described(), time.perf_counter(), {}, []
    print(machine_line(told))
    pages["machine"] = machine_line(told)
    for name in options.only:
        if name in WORKLOADS:
            rows, notes = run_workload(name, options)
            every += rows
            headings = [heading for _, heading in report.COLUMNS]
            print(f"\n{report.text(headings, report.cells(rows))}\n", *notes, sep="\n")
            bullets = "\n".join(f"- {note}" for note in notes)
            pages[name] = f"{report.markdown(headings, report.cells(rows))}\n\n{bullets}"
            if name == "A" and any(line["rates"] for line in rows):
                target = PLOT if options.write_docs else options.folder / PLOT.name
                report.plot([line for line in rows if line["threads"] == options.threads], rows_title(name), target)
                pages[name] = f"![samples a second on workload A]({PLOT.name})\n\n{pages[name]}"
        else:
            section = {"fidelity": real_fidelity, "codecs": run_codecs, "C": run_dicom}[name]
            pages[name] = section(options)
            print(f"\n{name}\n{pages[name]}", flush=True)
    if every:
        pages["settings"] = settings_table(every, report.section(PAGE, "settings"))
    with (options.folder / "results.jsonl").open("a") as out:
        for line in every:
            print(json.dumps({"machine": told, "quick": options.quick, **line}), file=out)
    if options.write_docs:
        for name, content in pages.items():
            report.fill_in(PAGE, name, content)
    print(f"\n{time.perf_counter() - began:.0f} s in all; all numbers in {options.folder / 'results.jsonl'}")


def rows_title(name: str) -> str:
    return f"Workload {name}: {WORKLOADS[name]['title']}; median and range of windows; PSNR median / worst in the bar"


if __name__ == "__main__":
    main()
