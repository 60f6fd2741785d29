#!/usr/bin/python3
"""candor diagnose beside mawk, GoAccess and bench/split_reference.c, on logs that bench/diagnose_gen.c makes.

Each reader runs several times, in turn; figures are the best run and the median, in MB of log per second of
wall clock, and the least processor time of all runs, in seconds per GB. The file is in the page cache.
GoAccess gets a smaller file (it slows down as its tables grow, so this flatters it) unless --goaccess-whole
is given. mawk counts lines by one column, which is the least anybody would do by hand; the reference splits
every line and counts by URL, which is about what a processor can do; candor makes its complete report. The
last column is the rate per processor against the reference's on a log of the same kind: the aim is half.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
GOACCESS = ["goaccess", "--log-format=%d %t %^ %m %U %q %^ %e %h %u %R %s %^ %^ %L", "--date-format=%Y-%m-%d",
            "--time-format=%H:%M:%S", "--no-progress", "-o", "json"]


def build(name, folder):
    program = folder / name
    subprocess.run([os.environ.get("CC", "cc"), "-O2", "-o", program, HERE / f"{name}.c"], check=True)
    return program


def runs_here(reference, path):
    """False where the processor has no AVX2."""
    code = subprocess.run([reference, path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
    if code not in (0, 3):
        raise SystemExit(f"{reference} failed on {path}")
    return code == 0


def generate(generator, kind, size, path):
    with open(path, "wb") as out:
        subprocess.run([generator, kind, str(size)], stdout=out, check=True)
    return path


def once(command, path):
    """Seconds of wall clock, of processor time, and the peak of memory in KB."""
    start = time.monotonic()
    pid = os.posix_spawnp(command[0], [str(c) for c in command] + [str(path)], os.environ, file_actions=[
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0), (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)])
    _, status, usage = os.wait4(pid, 0)
    wall = time.monotonic() - start
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"{command[0]} failed on {path}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def measure(readers, rounds):
    runs = {name: [] for name in readers}
    for number in range(rounds):
        for name, (command, path, limit) in readers.items():
            if number < limit:
                runs[name].append(once(command, path))
    return runs


def table(readers, runs):
    rows = []
    for name, (_, path, _) in readers.items():
        size = path.stat().st_size / 1e6
        walls = [r[0] for r in runs[name]]
        cpu = min(r[1] for r in runs[name])
        rows.append({"reader": name, "mb": round(size), "best_mb_s": round(size / min(walls)),
                     "median_mb_s": round(size / statistics.median(walls)), "cpu_s": round(cpu, 2),
                     "cpu_s_per_gb": round(cpu * 1000 / size, 2), "mb_s_per_cpu": round(size / cpu),
                     "peak_mib": round(max(r[2] for r in runs[name]) / 1024)})
    by = {r["reader"]: r["cpu_s_per_gb"] for r in rows}
    for r in rows:
        reference = by.get("reference, " + r["reader"].rsplit(", ", 1)[1])
        r["of_reference"] = round(reference / r["cpu_s_per_gb"], 3) if reference else None
    print(f"{'reader':34} {'MB':>6} {'best MB/s':>10} {'median':>8} {'cpu s/GB':>9} {'MB/s/cpu':>9} "
          f"{'peak MiB':>9} {'of ref/cpu':>11}")
    for r in rows:
        share = f"{r['of_reference']:.1%}" if r["of_reference"] else "-"
        print(f"{r['reader']:34} {r['mb']:>6} {r['best_mb_s']:>10} {r['median_mb_s']:>8} {r['cpu_s_per_gb']:>9} "
              f"{r['mb_s_per_cpu']:>9} {r['peak_mib']:>9} {share:>11}")
    return rows


def ratios(rows):
    by = {r["reader"]: r for r in rows}
    for kind in ("w3c", "httperr"):
        ours, mawk = by.get(f"candor diagnose, {kind}"), by.get(f"mawk by one column, {kind}")
        if ours and mawk:
            print(f"{kind}: {ours['median_mb_s'] / mawk['median_mb_s']:.1f} times mawk")
    if "goaccess, w3c" in by and "candor diagnose, w3c" in by:
        print(f"w3c: {by['candor diagnose, w3c']['median_mb_s'] / by['goaccess, w3c']['median_mb_s']:.0f} times GoAccess")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--candor", default=HERE.parent / "build" / "candor", type=pathlib.Path)
    options.add_argument("--size", type=int, default=1_000_000_000, help="bytes of each log")
    options.add_argument("--goaccess-size", type=int, default=100_000_000)
    options.add_argument("--goaccess-whole", action="store_true")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--json", type=pathlib.Path, help="write the figures there too")
    a = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="candor-bench-") as name:
        folder = pathlib.Path(name)
        generator = build("diagnose_gen", folder)
        reference = build("split_reference", folder)
        w3c = generate(generator, "w3c", a.size, folder / "u_ex.log")
        err = generate(generator, "httperr", a.size, folder / "httperr1.log")
        report = [a.candor, "diagnose", "--format", "json"]
        readers = {
            "candor diagnose, w3c": (report, w3c, a.rounds),
            "candor diagnose, 1 thread, w3c": (report + ["--threads", "1"], w3c, a.rounds),
            "mawk by one column, w3c": (["mawk", "{c[$12]++} END{for(k in c) print k, c[k]}"], w3c, a.rounds),
            "candor diagnose, httperr": (report, err, a.rounds),
            "mawk by one column, httperr": (["mawk", "{c[$13]++} END{for(k in c) print k, c[k]}"], err, a.rounds),
        }
        if runs_here(reference, w3c):
            readers["reference, w3c"] = ([reference], w3c, a.rounds)
            readers["reference, httperr"] = ([reference], err, a.rounds)
        if shutil.which("goaccess"):
            small = w3c if a.goaccess_whole else generate(generator, "w3c", a.goaccess_size, folder / "small.log")
            readers["goaccess, w3c"] = (GOACCESS, small, 1 if a.goaccess_whole else 2)
        rows = table(readers, measure(readers, a.rounds))
        ratios(rows)
        if a.json:
            a.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
