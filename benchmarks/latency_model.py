"""Fits the latency model on published latencies and finds out how wrong it is on devices and models it has not seen.

`python benchmarks/latency_model.py` reads benchmarks/latency/*.csv and this repository's own small students
(benchmarks/results/shape_latency.json), writes benchmarks/results/latency_model.json and edgedistill/latency/fitted.json.

The model: time = core x runtime / threads^g x (sum over classes of MACs / peak rate of the path x inefficiency(class, path)
+ numbers written x cycles / clock + weight bytes / copying rate) + nodes x cycles / clock x (1 + s (threads - 1)).
All factors are exponentials of parameters. The fit minimises a soft-L1 loss of the log ratio, every SoC weighing the square
root of its points, with a ridge on everything that is special to a path, a runtime or a microarchitecture. Left out: rows
marked suspect or quoted from memory, 32-bit ARM, w8a16 (the CPU has no kernel for it), models whose layers are not counted
in latency_architectures.py, and more than eight threads, which no target uses. That last rule and the power law of threads
(against Amdahl's) were chosen with the held-out errors in sight; nothing else was.
"""

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from latency_architectures import MODELS, Work, transformer
from numpy.typing import NDArray
from scipy.optimize import least_squares

from edgedistill.latency.constants import CONSTANTS_FILE, Constants

HERE = Path(__file__).resolve().parent
CLASSES = ("pointwise", "spatial", "depthwise", "matmul")
MOST_THREADS = 8
PENALTY = 3.0
"""Weight of the ridge; 3 was taken before the held-out errors were looked at."""

SCALE = 0.25
"""Where the loss turns from square to linear: a log ratio of 0.25."""

USUAL_COPY = {"in-order": 2e9, "aarch64": 5e9, "x86_64": 10e9}
"""Bytes a second where no measurement of the device's memory was found."""

SPREADS = {
    "class_path": 0.5,
    "elements_path": 0.5,
    "runtime": 0.5,
    "runtime_int8": 0.3,
    "core": 0.25,
    "runtime_class": 0.3,
    "in_order": 0.5,
    "node_runtime": 0.5,
}
"""How far a special factor is expected to stray from 1, as a log ratio."""

CENTRES = {"bytes": 0.0, "glue": np.log(4), "node": np.log(2e4), "exponent": 0.0, "sync": np.log(0.1)}


@dataclass(frozen=True)
class Point:
    """A published latency and what is known of the device and the model."""

    device: str
    soc: str
    core: str
    model: str
    precision: str
    runtime: str
    path: str
    work: Work
    rate: float  # MACs a second of one core on this path
    simd: float  # clock x fp32 operations a cycle / 8
    clock: float
    threads: int
    speed: float  # cores in use, in units of the first
    copy: float
    in_order: bool
    seconds: float


def rows_of(name: str) -> list[dict[str, str]]:
    with (HERE / "latency" / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def runtime_of(text: str) -> str:
    for family in ("ArmNN", "TFLite", "ONNX Runtime"):
        if family in text:
            return family
    return text.split("-")[0]


def read_points() -> list[Point]:
    cores = {row["core"]: row for row in rows_of("cores.csv")}
    devices = {row["device"]: row for row in rows_of("devices.csv")}
    points = []
    for row in [*rows_of("points.csv"), *own_rows()]:
        point = as_point(row, devices[row["device"]], cores)
        if point.threads <= MOST_THREADS:
            points.append(point)
    return points


def own_rows() -> Iterator[dict[str, str]]:
    own = json.loads((HERE / "results" / "shape_latency.json").read_text(encoding="utf-8"))
    for shape in own["shapes"]:
        name = f"student {shape['layers']}x{shape['hidden']} ff {shape['intermediate']}, {own['tokens']} tokens"
        MODELS[name] = transformer(shape["layers"], shape["hidden"], shape["intermediate"], own["tokens"], heads=shape["heads"])
        yield {
            "device": "epyc-host",
            "model": name,
            "precision": "int8",
            "threads": "1",
            "runtime": "ONNX Runtime",
            "latency_ms": str(shape["p50_s"] * 1e3),
        }


def as_point(row: dict[str, str], device: dict[str, str], cores: dict[str, dict[str, str]]) -> Point:
    clusters = []
    for text in device["clusters"].split():
        count, rest = text.split("x", 1)
        name, clock = rest.rsplit("@", 1)
        clusters.append((int(count), cores[name], float(clock) * 1e9))
    _, core, clock = clusters[0]
    flop = float(core["fp32_flop_per_cycle"])
    arm = core["architecture"] == "aarch64"
    precision = "fp32" if row["precision"] == "fp16" and core["fp16"] == "no" else row["precision"]
    path = {"fp32": "fp32_neon" if arm else "fp32_x86", "fp16": "fp16", "int8": core["int8_path"]}[precision]
    per_cycle = {"fp32": flop / 2, "fp16": flop, "int8": float(core["int8_mac_per_cycle"])}[precision]
    speeds = [float(c["fp32_flop_per_cycle"]) * hz for n, c, hz in clusters for _ in range(n)]
    big = sum(n for n, c, _ in clusters if c["in_order"] == core["in_order"])
    threads = min(big if row["threads"] == "all" else int(row["threads"]), len(speeds))
    usual = USUAL_COPY["in-order" if core["in_order"] == "yes" else core["architecture"]]
    return Point(
        row["device"],
        device["soc"],
        core["core"],
        row["model"],
        precision,
        runtime_of(row["runtime"]),
        path,
        MODELS[row["model"]],
        per_cycle * clock,
        clock * flop / 8,
        clock,
        threads,
        sum(speeds[:threads]) / speeds[0],
        float(device["copy_mb_per_s"]) * 1e6 if device["copy_mb_per_s"] else usual,
        core["in_order"] == "yes",
        float(row["latency_ms"]) / 1e3,
    )


class Fit:
    """The model over a list of points: parameters in one vector, named slices into it."""

    def __init__(self, points: list[Point]) -> None:
        self.points = points
        self.paths, self.runtimes, self.cores = (sorted({getattr(p, k) for p in points}) for k in ("path", "runtime", "core"))
        sizes = {
            "class": len(CLASSES),
            "class_path": len(CLASSES) * len(self.paths),
            "elements": 1,
            "elements_path": len(self.paths),
            "glue": 1,
            "bytes": 1,
            "node": 1,
            "node_runtime": len(self.runtimes),
            "runtime": len(self.runtimes),
            "runtime_int8": len(self.runtimes),
            "runtime_class": len(CLASSES) * len(self.runtimes),
            "core": len(self.cores),
            "in_order": 1,
            "exponent": 1,
            "sync": 1,
        }
        ends = np.cumsum(list(sizes.values()))
        self.slices = {name: slice(int(end - size), int(end)) for (name, size), end in zip(sizes.items(), ends, strict=True)}
        self.size = int(ends[-1])
        self.y = np.log([p.seconds for p in points])
        self.soc = np.array([p.soc for p in points])
        self._columns()

    def _columns(self) -> None:
        ps = self.points
        self.macs = np.array([[getattr(p.work, c) / p.rate for c in CLASSES] for p in ps])
        self.elements = np.array([p.work.elements / p.simd for p in ps])
        self.glue = np.array([p.work.glue / p.simd for p in ps])
        width = {"fp32": 4, "fp16": 2, "int8": 1}
        self.bytes = np.array([p.work.weights * width[p.precision] / p.copy for p in ps])
        self.nodes = np.array([p.work.nodes / p.clock for p in ps])
        self.speed = np.array([p.speed for p in ps])
        self.threads = np.array([p.threads for p in ps], float)
        self.path, self.runtime, self.core = (
            np.array([names.index(getattr(p, k)) for p in ps])
            for names, k in ((self.paths, "path"), (self.runtimes, "runtime"), (self.cores, "core"))
        )
        self.in_order = np.array([p.in_order for p in ps], float)
        self.is_int8 = np.array([p.precision == "int8" for p in ps], float)

    def predict(self, theta: NDArray[np.float64], at: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the log seconds of the points `at`."""
        v = {name: theta[part] for name, part in self.slices.items()}
        path, runtime = self.path[at], self.runtime[at]
        speed = self.speed[at] ** exponent(v["exponent"][0])
        inefficiency = np.exp(
            v["class"] + v["class_path"].reshape(-1, len(CLASSES))[path] + v["runtime_class"].reshape(-1, len(CLASSES))[runtime]
        )
        work = (self.macs[at] * inefficiency).sum(1)
        work += self.elements[at] * np.exp(v["elements"][0] + v["elements_path"][path]) + self.glue[at] * np.exp(v["glue"][0])
        work += self.bytes[at] * np.exp(v["bytes"][0])
        factor = np.exp(
            v["core"][self.core[at]]
            + v["in_order"][0] * self.in_order[at]
            + v["runtime"][runtime]
            + v["runtime_int8"][runtime] * self.is_int8[at]
        )
        nodes = (
            self.nodes[at]
            * np.exp(v["node"][0] + v["node_runtime"][runtime])
            * (1 + np.exp(v["sync"][0]) * (self.threads[at] - 1))
        )
        return np.log(work / speed * factor + nodes)

    def start(self) -> NDArray[np.float64]:
        theta = np.zeros(self.size)
        theta[self.slices["class"]] = np.log(2)
        for name, centre in CENTRES.items():
            theta[self.slices[name]] = centre
        return theta

    def solve(self, at: NDArray[np.int64], start: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Return the parameters that fit the points `at` best."""
        names, counts = np.unique(self.soc[at], return_counts=True)
        count = dict(zip(names, counts, strict=True))
        weight = np.array([count[s] ** -0.5 for s in self.soc[at]])
        weight /= weight.mean()

        def residuals(theta: NDArray[np.float64]) -> NDArray[np.float64]:
            error = (self.predict(theta, at) - self.y[at]) / SCALE
            soft = np.sign(error) * np.sqrt(2 * (np.sqrt(1 + error**2) - 1)) * weight
            ridge = [theta[self.slices[n]] / s * PENALTY for n, s in SPREADS.items()]
            ridge.append(np.array([theta[self.slices[n]][0] - c for n, c in CENTRES.items()]) * PENALTY)
            return SCALE * np.concatenate([soft, *ridge])

        found: NDArray[np.float64] = least_squares(
            residuals, self.start() if start is None else start, max_nfev=60, ftol=1e-5, xtol=1e-5
        ).x
        return found


def exponent(value: float) -> float:
    return float(1 / (1 + np.exp(value - 2)))


def leave_out(fit: Fit, groups: NDArray[np.str_], start: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each point's log ratio of predicted to published by a fit that saw nothing of its group."""
    error = np.zeros(len(fit.points))
    for name in np.unique(groups):
        out, rest = np.flatnonzero(groups == name), np.flatnonzero(groups != name)
        error[out] = fit.predict(fit.solve(rest, start), out) - fit.y[out]
    return error


def ends(error: NDArray[np.float64], weight: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 10 % and 90 % points of the log ratios, weighted."""
    order = np.argsort(error)
    share = np.cumsum(weight[order]) / weight.sum()
    return float(error[order][np.searchsorted(share, 0.1)]), float(error[order][np.searchsorted(share, 0.9)])


def wide_ends(error: NDArray[np.float64], weight: NDArray[np.float64], students: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the ends that `plan` shows: the further of those of all points and of those that are like students."""
    lows, highs = zip(ends(error, weight), ends(error[students], weight[students]), strict=True)
    return min(lows), max(highs)


def coverage(
    error: NDArray[np.float64], groups: NDArray[np.str_], weight: NDArray[np.float64], *,
    students: NDArray[np.bool_] | None = None, counted: NDArray[np.bool_] | None = None,
) -> dict[str, float]:
    """How often an 80 % interval made from the *other* groups' held-out errors holds the published value.

    Args:
        error: log ratios, shape (n,).
        groups: what is left out together, shape (n,).
        weight: of each point, shape (n,).
        students: the points like students, whose ends widen the interval as those in `plan` do; None: the plain interval.
        counted: the points that are looked at; None: all.
    """
    inside = np.zeros(len(error), bool)
    for name in np.unique(groups):
        out = groups == name
        low, high = ends(error[~out], weight[~out]) if students is None else wide_ends(error[~out], weight[~out], students[~out])
        inside[out] = (error[out] >= low) & (error[out] <= high)
    seen = np.ones(len(error), bool) if counted is None else counted
    return {
        "points": float(inside[seen].mean()),
        "groups_equal": float(np.mean([inside[seen & (groups == g)].mean() for g in np.unique(groups[seen])])),
    }


def summary(error: NDArray[np.float64], groups: NDArray[np.str_]) -> dict[str, object]:
    absolute = np.abs(np.exp(error) - 1)
    table = [
        {
            "group": str(g),
            "points": int((groups == g).sum()),
            "median_absolute_error": round(float(np.median(absolute[groups == g])), 4),
            "median_ratio": round(float(np.exp(np.median(error[groups == g]))), 4),
        }
        for g in np.unique(groups)
    ]
    table.sort(key=lambda row: -row["median_absolute_error"])
    return {
        "median_absolute_error": round(float(np.median(absolute)), 4),
        "median_of_group_medians": round(float(np.median([r["median_absolute_error"] for r in table])), 4),
        "groups": table,
    }


def constants_of(fit: Fit, theta: NDArray[np.float64], interval: tuple[float, float]) -> Constants:
    """Take what concerns onnxruntime and transformers out of a fit."""
    v = {name: theta[part] for name, part in fit.slices.items()}
    here, product = fit.runtimes.index("ONNX Runtime"), CLASSES.index("matmul")
    by_path = (
        v["class"][product]
        + v["class_path"].reshape(-1, len(CLASSES))[:, product]
        + v["runtime_class"].reshape(-1, len(CLASSES))[here, product]
    )

    def number(value: float) -> float:
        return float(f"{np.exp(value):.4g}")

    return Constants(
        source=f"benchmarks/latency_model.py on {len(fit.points)} latencies (benchmarks/latency/points.csv, shape_latency.json)",
        points=len(fit.points),
        devices=len({p.device for p in fit.points}),
        matmul={path: number(by_path[i]) for i, path in enumerate(fit.paths) if path != "fp16"},
        glue_cycles=number(v["glue"][0]),
        bytes=number(v["bytes"][0]),
        node_cycles=number(v["node"][0] + v["node_runtime"][here]),
        node_threads=number(v["sync"][0]),
        runtime=number(v["runtime"][here]),
        int8=number(v["runtime_int8"][here]),
        in_order=number(v["in_order"][0]),
        in_order_cores=tuple(r["core"] for r in rows_of("cores.csv") if r["in_order"] == "yes"),
        cores={name: number(v["core"][i]) for i, name in enumerate(fit.cores)},
        thread_exponent=round(exponent(v["exponent"][0]), 4),
        low=round(float(np.exp(-interval[1])), 4),
        high=round(float(np.exp(-interval[0])), 4),
    )


def worst(fit: Fit, error: NDArray[np.float64], most: int = 12) -> list[dict[str, object]]:
    order = np.argsort(-np.abs(error))[:most]
    return [
        {
            "device": (p := fit.points[i]).device,
            "model": p.model,
            "precision": p.precision,
            "threads": p.threads,
            "runtime": p.runtime,
            "published_s": p.seconds,
            "predicted_s": float(f"{p.seconds * np.exp(error[i]):.4g}"),
            "ratio": round(float(np.exp(error[i])), 3),
        }
        for i in order
    ]


def main() -> None:
    """Fit, leave out, write."""
    fit = Fit(read_points())
    every = np.arange(len(fit.points))
    theta = fit.solve(every)
    inside = fit.predict(theta, every) - fit.y
    devices, models = (np.array([getattr(p, k) for p in fit.points]) for k in ("device", "model"))
    count = dict(zip(*np.unique(fit.soc, return_counts=True), strict=True))
    weight = np.array([1 / count[s] for s in fit.soc])
    held = {
        "device": (leave_out(fit, devices, theta), devices),
        "soc": (leave_out(fit, fit.soc, theta), fit.soc),
        "model": (leave_out(fit, models, theta), models),
    }
    error = held["soc"][0]
    has_products = np.array([p.work.matmul > 0 for p in fit.points])
    students = has_products & np.array([p.runtime == "ONNX Runtime" for p in fit.points])
    low_all, high_all = ends(error, weight)
    low_students, high_students = ends(error[students], weight[students])
    interval = wide_ends(error, weight, students)
    constants = constants_of(fit, theta, interval)
    result = {
        "command": "python benchmarks/latency_model.py",
        "commit": subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip(),
        "points": len(fit.points),
        "devices": len(set(devices)),
        "socs": len(set(fit.soc)),
        "models": len(set(models)),
        "fitted_median_absolute_error": round(float(np.median(np.abs(np.exp(inside) - 1))), 4),
        **{
            f"leave_one_{name}_out": summary(e, g) | {"interval_80_covers": coverage(e, g, weight)}
            for name, (e, g) in held.items()
        },
        "onnxruntime_transformers": {
            "points": int(students.sum()),
            "socs": sorted(set(fit.soc[students])),
            "leave_one_soc_out_median_absolute_error": round(float(np.median(np.abs(np.exp(error[students]) - 1))), 4),
            "rows": worst(fit, np.where(students, error, 0), int(students.sum())),
        },
        "interval_80_all": [round(float(np.exp(-high_all)), 4), round(float(np.exp(-low_all)), 4)],
        "interval_80_onnxruntime_transformers": [round(float(np.exp(-high_students)), 4), round(float(np.exp(-low_students)), 4)],
        "interval_80_used": [constants.low, constants.high],
        "interval_80_used_covers": {
            name: coverage(error, fit.soc, weight, students=students, counted=counted) | {"socs": len(set(fit.soc[counted]))}
            for name, counted in {"all": np.ones(len(error), bool), "transformers": has_products,
                                  "onnxruntime_transformers": students}.items()
        },
        "worst_leave_one_soc_out": worst(fit, error),
    }
    (HERE / "results" / "latency_model.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (HERE.parent / "edgedistill" / "latency" / CONSTANTS_FILE).write_text(constants.to_json(), encoding="utf-8")
    for name in held:
        found = result[f"leave_one_{name}_out"]
        print(name, {k: v for k, v in found.items() if k != "groups"}, file=sys.stderr)


if __name__ == "__main__":
    main()
