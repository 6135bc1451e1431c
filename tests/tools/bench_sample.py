#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A document of rt-bench from a machine that does not exist, the same one at each call.

What reads such documents (the report, the comparison, the tables) is tested with machines that are
not at hand. Everything hard stands in it: CPUs whose numbers are not in hwloc's order, a core that
is slower than the others, a row that stayed disturbed, one that failed, one without a runtime side,
rates, latencies, and a matrix over all pairs of CPUs.

    bench_sample.py 2 8 1            two packages of 8 cores with one CPU each, as JSON
    bench_sample.py 1 2 1 --peers    with columns of other libraries
    bench_sample.py 1 2 1 --seed 7 --slower yield2:1.1

Figures are drawn around those of docs/performance/results.md. The statistics are simple ones: the
interval of a median is that of its order statistics (at 21 repetitions the 6th to the 16th value).
"""
import argparse
import json
import math
import random
import statistics
import sys
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

CORES_OF_CACHE = 4  # cores that share a last-level cache
LATENCY_COUNT = 4000
LATENCY_RUN = statistics.NormalDist()


class Row(NamedTuple):
    name: str
    summary: str
    limit: Optional[float]  # ns per unit, of a good pair where it is a pair; None: no limit
    ratio: Optional[float]  # of the runtime to the limit; None: no runtime side
    units: int
    kind: str = "core"
    unit: str = "ns"
    bare: Optional[float] = None
    enters: Optional[float] = 0.0
    allocations: float = 0.0
    spread: float = 0.008  # of a repetition, relative
    latency: bool = False
    matrix: bool = False
    value: float = 0.0  # ns, where there is no limit
    goal: float = 1.5


ROWS = [
    Row("yield2", "two tasks yield to each other: one switch", 4.19, 1.38, 2_000_000, bare=2.1),
    Row("yield1k", "1000 tasks yield in a circle: one switch", 6.02, 1.43, 2_000_000),
    Row("spawn_join", "make a task, wait for its end, take its result", 13.92, 1.94, 800_000),
    Row("spawn_batch", "20,000 tasks that each suspend once: one task", 61.0, 1.41, 20_000,
        allocations=0.0002),
    Row("timer_arm", "wait with a deadline far ahead, be woken, disarm", 34.11, 1.29, 400_000),
    Row("uring_nop", "an operation that does nothing, 32 per enter", 71.5, 1.22, 200_000,
        enters=1 / 32),
    Row("uring_nop1", "an operation that does nothing, one per enter", 248.0, 1.11, 60_000,
        enters=1.0),
    Row("file_randread", "4 KiB from a random place, not cached, 32 in flight", 9_800.0, 1.02,
        3_000, unit="per_s", enters=0.31, spread=0.03, latency=True),
    Row("file_randread_buffered", "4 KiB from a random place, cached, 32 in flight", 910.0, 1.09,
        30_000, unit="per_s", enters=1 / 32, spread=0.015, latency=True),
    Row("my_yield", "a yield with nobody else there", None, 1.0, 4_000_000, value=2.95),
    Row("xcore_rtt", "a number to another core and one back", 488.0, 0.97, 40_000, "pair",
        spread=0.02, latency=True, matrix=True),
    Row("xcore_call1", "a call to another core, one in flight", 543.0, 1.04, 40_000, "pair",
        spread=0.02, latency=True),
    Row("xcore_call64", "a call to another core, 64 in flight", 22.0, 1.60, 1_000_000, "pair",
        spread=0.02),
    Row("xcore_post", "a call to another core without a reply", 16.4, 1.20, 1_000_000, "pair",
        spread=0.04),
    Row("xcore_stream", "an item of 8 bytes through a channel, one by one", 5.65, 1.57, 3_000_000,
        "pair", spread=0.012, matrix=True),
    Row("xcore_wake", "from a call until it runs on a core that slept", 35_772.0, 1.01, 101, "pair",
        enters=2.0, spread=0.03, latency=True),
    Row("tcp_echo", "server CPU of an echoed request, 64 connections", 6_140.0, 1.05, 50_000,
        "pair", enters=0.05, spread=0.03, latency=True),
    Row("start_stop", "start two shards whose first task returns, and stop", 212_000.0, 1.24, 40,
        "pair", enters=6.0, allocations=58.0, spread=0.03),
    Row("line_bounce", "one line of memory written by two cores in turn", None, None, 200_000,
        "pair", bare=127.0, enters=None),
]

# Of the limit's time. None is as good as a program that does one thing.
PEERS: Dict[str, Dict[str, float]] = {
    "libuv": {"timer_arm": 2.9, "xcore_wake": 1.2, "tcp_echo": 1.31},
    "Boost.Fiber": {"yield2": 5.6, "yield1k": 5.1, "spawn_join": 14.2, "spawn_batch": 6.3},
    "Go": {"yield2": 13.1, "yield1k": 11.8, "spawn_join": 21.0, "spawn_batch": 7.7,
           "xcore_rtt": 1.9, "xcore_stream": 9.4, "xcore_wake": 1.4, "tcp_echo": 2.2},
    "Concurrency Kit": {"xcore_rtt": 1.02, "xcore_stream": 1.1},
}


def cpus_of(packages: int, cores: int, smt: int) -> List[Dict[str, int]]:
    """In hwloc's order. Linux numbers first the first CPU of each core, then the second ones."""
    caches = -(-cores // CORES_OF_CACHE)
    return [{"number": thread * packages * cores + package * cores + core,
             "core": package * cores + core, "thread": thread,
             "cache": package * caches + core // CORES_OF_CACHE,
             "package": package, "node": package}
            for package in range(packages) for core in range(cores) for thread in range(smt)]


def distance(one: Dict[str, int], other: Dict[str, int]) -> float:
    """How much longer a line takes between these two than between two cores of a cache."""
    if one["core"] == other["core"]:
        return 0.45
    if one["package"] != other["package"]:
        return 3.1 + 0.06 * ((one["core"] + other["core"]) % 3)
    return 1.0 if one["cache"] == other["cache"] else 1.75


def middle(values: List[float]) -> Dict[str, float]:
    """Median, median absolute deviation, and the median's interval by its order statistics."""
    ordered = sorted(values)
    n = len(ordered)
    median = statistics.median(ordered)
    reach = min(n - 1, math.ceil((n + 1.96 * math.sqrt(n)) / 2))
    return {"value": median, "mad": statistics.median(abs(value - median) for value in ordered),
            "low": ordered[n - 1 - reach], "high": ordered[reach]}


def rounded(number: float) -> float:
    return float(f"{number:.5g}")


class Maker:
    def __init__(self, arguments: argparse.Namespace) -> None:
        self.options = arguments
        self.random = random.Random(arguments.seed)
        self.cpus = cpus_of(arguments.packages, arguments.cores, arguments.smt)
        self.firsts = [cpu for cpu in self.cpus if cpu["thread"] == 0]
        self.slow = self.firsts[-2 if len(self.firsts) > 2 else -1]["number"]
        self.disturbed = self.firsts[len(self.firsts) // 2]["number"]
        self.failed = self.firsts[-1]["number"]

    def repetitions(self, ns: float, spread: float) -> List[float]:
        """Skewed as times are, and with the machine's moods: each drags its neighbours along."""
        values = []
        mood = 0.0
        for _ in range(self.options.repetitions):
            mood = 0.6 * mood + self.random.gauss(0, spread)
            late = self.random.expovariate(1 / (2 * spread)) if self.random.random() < 0.1 else 0
            values.append(ns * (1 + mood + late))
        return values

    def latency(self, ns: float) -> Dict[str, Any]:
        """The body is lognormal; one in 250 met something else on the way."""
        buckets: Dict[float, int] = {}
        for i in range(LATENCY_COUNT):
            rank = (i + 0.5) / LATENCY_COUNT
            value = ns * math.exp(0.12 * LATENCY_RUN.inv_cdf(rank))
            if rank > 0.996:
                value *= 2 + 900 * (rank - 0.996)
            bucket = float(f"{value:.2g}" if value < 1e5 else f"{value:.3g}")
            buckets[bucket] = buckets.get(bucket, 0) + 1
        histogram = sorted(buckets.items())

        def percentile(share: float) -> float:
            seen = 0
            for value, count in histogram:
                seen += count
                if seen >= share * LATENCY_COUNT:
                    return value
            return histogram[-1][0]

        return {"count": LATENCY_COUNT,
                "mean": rounded(sum(v * c for v, c in histogram) / LATENCY_COUNT),
                "p50": percentile(0.5), "p90": percentile(0.9), "p99": percentile(0.99),
                "p999": percentile(0.999), "max": histogram[-1][0],
                "histogram": [list(pair) for pair in histogram]}

    def noise(self, disturbed: bool) -> Dict[str, Any]:
        n = self.options.repetitions
        draw = self.random.random
        return {"steal_ms": [round(31 * draw()) if disturbed else 0 for _ in range(n)],
                "switches": [round(240 * draw()) if disturbed else int(draw() * 1.2)
                             for _ in range(n)],
                "interrupts": [int(4 + 6 * draw()) for _ in range(n)],
                "waited_us": [round((900 if disturbed else 3) * draw(), 1) for _ in range(n)],
                "mhz": None}

    def ended(self, row: Row, cpu: int, cpu2: Optional[int],
              error: Optional[str]) -> Dict[str, Any]:
        """A result of which nothing is known but its place."""
        nothing = dict.fromkeys(
            ("value", "mad", "low", "high", "limit", "limit_mad", "limit_low", "limit_high",
             "ratio", "ratio_low", "ratio_high", "bare", "cpu_ns", "limit_cpu_ns", "allocations",
             "enters", "instructions", "cycles", "latency", "limit_latency", "outlier"))
        return {"name": row.name, "summary": row.summary, "kind": row.kind, "unit": row.unit,
                "core": cpu, "core2": cpu2, **nothing, "goal": row.goal, "over_goal": False,
                "repetitions": 0 if error else self.options.repetitions, "repeated": 0,
                "disturbed": False, "disturbance": "", "units": row.units, "values": [],
                "limit_values": [], "bare_values": [],
                "noise": {"steal_ms": [], "switches": [], "interrupts": [], "waited_us": [],
                          "mhz": None},
                "peers": [], "error": error}

    def result(self, row: Row, cpu: int, cpu2: Optional[int], far: float = 1.0,
               short: bool = False) -> Dict[str, Any]:
        """One row in one place; `short` leaves out latencies, as the pairs of a matrix do."""
        if row.name == "file_randread" and cpu == self.failed:
            return self.ended(row, cpu, cpu2, "open: the file system here has no O_DIRECT; "
                              "set RT_BENCH_DIR to a folder on a disk")
        made = self.ended(row, cpu, cpu2, None)
        disturbed = row.name == "timer_arm" and cpu == self.disturbed
        shown = (lambda ns: 1e9 / ns) if row.unit == "per_s" else (lambda ns: ns)
        spread = row.spread * (12 if disturbed else 1)
        factor = far * (1.22 if row.kind == "core" and cpu == self.slow else 1.0)
        factor *= 1 + self.random.gauss(0, 0.004)
        if row.bare is not None:
            bare = self.repetitions(row.bare * factor, row.spread)
            made["bare_values"] = [rounded(shown(ns)) for ns in bare]
            made["bare"] = rounded(shown(statistics.median(bare)))
        if row.ratio is None:
            return made
        base = (row.limit or row.value) * factor
        slower = self.options.slower.get(row.name, 1.0)
        run = self.repetitions(base * row.ratio * slower, spread)
        self.put(made, "", [rounded(shown(ns)) for ns in run])
        made["cpu_ns"] = rounded(statistics.median(run) * 1.002)
        if row.limit is not None:
            limit = self.repetitions(base, spread)
            self.put(made, "limit_", [rounded(shown(ns)) for ns in limit])
            made["limit_cpu_ns"] = rounded(base * 1.001)
            ratio = middle([a / b for a, b in zip(run, limit)])
            made.update(ratio=rounded(ratio["value"]), ratio_low=rounded(ratio["low"]),
                        ratio_high=rounded(ratio["high"]), over_goal=ratio["value"] > row.goal)
        made.update(allocations=row.allocations, enters=row.enters,
                    repeated=self.options.repetitions if disturbed else int(cpu % 5 == 0),
                    disturbed=disturbed, noise=self.noise(disturbed),
                    disturbance="steal 31 ms, 240 involuntary switches" if disturbed else "")
        if row.latency and not short:
            made["latency"] = self.latency(base * row.ratio * slower)
            made["limit_latency"] = self.latency(base)
        if self.options.peers and not short:
            made["peers"] = self.peers(row, base, shown)
        return made

    def put(self, made: Dict[str, Any], side: str, values: List[float]) -> None:
        figures = middle(values)
        made[f"{side}values"] = values
        made["limit" if side else "value"] = rounded(figures["value"])
        for name in ("mad", "low", "high"):
            made[side + name] = rounded(figures[name])

    def peers(self, row: Row, base: float, shown: Any) -> List[Dict[str, Any]]:
        found = []
        for name, ratios in PEERS.items():
            if row.name in ratios:
                ns = self.repetitions(base * ratios[row.name], row.spread)
                figures = middle([shown(value) for value in ns])
                found.append({"name": name, **{key: rounded(n) for key, n in figures.items()},
                              "ratio": rounded(statistics.median(ns) / base)})
        return found

    def pairs(self) -> List[Tuple[Dict[str, int], Dict[str, int]]]:
        """Those of the matrix; the first is the one that other pair rows run on."""
        pairs = [(one, other) for i, one in enumerate(self.cpus) for j, other in
                 enumerate(self.cpus) if i != j and (i < j or self.options.pairs == "all")]
        first = self.firsts[:2] if len(self.firsts) > 1 else self.cpus[:2]
        pairs.sort(key=lambda pair: (pair[0] is not first[0] or pair[1] is not first[1]))
        return pairs[:1] if self.options.pairs == "one" else pairs

    def results(self) -> List[Dict[str, Any]]:
        made = []
        pairs = self.pairs()
        for row in ROWS:
            if row.kind == "core":
                of_row = [self.result(row, cpu["number"], None) for cpu in self.firsts]
                self.name_outliers(of_row)
                made += of_row
            else:
                for i, (one, other) in enumerate(pairs if row.matrix else pairs[:1]):
                    far = distance(one, other) / distance(*pairs[0])
                    made.append(self.result(row, one["number"], other["number"], far, short=i > 0))
        return made

    def name_outliers(self, of_row: List[Dict[str, Any]]) -> None:
        good = [result for result in of_row if result["value"] is not None]
        if len(good) < 2:
            return
        for result in good:
            others = statistics.median(other["value"] for other in good if other is not result)
            worse = result["value"] / others
            if result["unit"] == "per_s":
                worse = 1 / worse
            if worse > 1.1 and not result["disturbed"]:
                result["outlier"] = f"{100 * (worse - 1):.0f} % worse than the median of the others"

    def document(self) -> Dict[str, Any]:
        o = self.options
        return {
            "schema": "rt-bench/1",
            "machine": {
                "date": "2026-11-25T19:30:00Z", "version": "0.1.0",
                "build": "gcc 12.2.0, release", "kernel": "6.18.44",
                "processor": "Synthetic 9000 (made up for tests)", "hypervisor": False,
                "engine": "io_uring",
                "features": "guard_install no_sqarray no_iowait registered_ring defer_taskrun iowq",
                "packages": o.packages, "cores": o.packages * o.cores, "cpus": self.cpus,
                "hardware_counters": "perf_event_open: no such device", "clock_ns": 21.3,
                "warnings": ["CPU 0 has the powersave governor: "
                             "cpupower frequency-set -g performance",
                             "autogroup is on: start it with setsid -w"],
            },
            "settings": {"seconds": 1.0, "quick": False, "seed": o.seed, "at_once": False,
                         "command": "rt-bench --json" + (" --peers" if o.peers else "")
                         + (" --pairs" if o.pairs != "one" else "")},
            "results": self.results(),
        }


def factor_of(text: str) -> Tuple[str, float]:
    name, _, factor = text.partition(":")
    if name not in {row.name for row in ROWS}:
        raise argparse.ArgumentTypeError(f"no row {name!r}; write ROW:FACTOR, such as yield2:1.1")
    return name, float(factor)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description="Print a document of rt-bench, made up.")
    made.add_argument("packages", type=int, help="number of packages (sockets), a node each")
    made.add_argument("cores", type=int, help="cores of a package")
    made.add_argument("smt", type=int, help="CPUs of a core")
    made.add_argument("--seed", type=int, default=1, help="another run of the same machine")
    made.add_argument("--repetitions", type=int, default=21, help="of each side of a row")
    made.add_argument("--peers", action="store_true", help="with other libraries")
    made.add_argument("--pairs", choices=("all", "half", "one"), default="all",
                      help="of the matrix: both directions, one, or a single pair")
    made.add_argument("--slower", type=factor_of, action="append", default=[], metavar="ROW:FACTOR",
                      help="the runtime's side of this row takes so many times as long")
    return made


def sample(*words: str) -> Dict[str, Any]:
    """The document for these words of the command line."""
    options = parser().parse_args([str(word) for word in words])
    options.slower = dict(options.slower)
    if min(options.packages, options.cores, options.smt, options.repetitions) < 1 \
            or options.packages * options.cores * options.smt < 2:
        parser().error("a machine has at least two CPUs here, and a row one repetition")
    return Maker(options).document()


if __name__ == "__main__":
    json.dump(sample(*sys.argv[1:]), sys.stdout)
    print()
