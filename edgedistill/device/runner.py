"""Runs on the device, alone: Python 3.8 or newer, numpy and onnxruntime, nothing of edgedistill.

    python3 runner.py facts                what the machine is; imports neither numpy nor onnxruntime
    python3 runner.py FOLDER check         which files and finished parts FOLDER holds
    python3 runner.py FOLDER part NAME     do one part of the work, in a process of its own
    python3 runner.py FOLDER end           stop the part that is running, if one is

A part that is finished lies whole in FOLDER/parts and is not done again. Only one part runs at a time: who comes while
one is running, waits for it. Parts: `answers-START-STOP`, `round-I`, `graphs-I-THREADS`; FOLDER/job.json says how.
"""

from __future__ import annotations

import contextlib
import gc
import glob
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import string
import sys
import time
from typing import Any, Callable, Iterator  # noqa: UP035 - a Python 3.8 has no other

AGE_LIMIT_S = 6 * 3600
"""Parts that are older do not belong to the same measurement any more, and a folder of which all is older to nobody."""

KEY_LENGTH = 20
"""Hexadecimal digits in the name of a folder of work; nothing else beside it is touched."""

END_TRIES, END_PAUSE_S = 50, 0.1
CPUS = "/sys/devices/system/cpu"
CLOCKS = CPUS + "/cpu[0-9]*/cpufreq/"
CLASSES = "/sys/class"
MICRO = 1e-6


def read(path: str) -> str:
    """Return the stripped text of a file of the system, empty where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read().strip("\0\n ")
    except OSError:
        return ""


def numbers(pattern: str) -> dict[str, float]:
    """Return the numbers in the files that match, by path."""
    texts = {path: read(path) for path in sorted(glob.glob(pattern))}
    return {path: float(text) for path, text in texts.items() if text.lstrip("-").isdigit()}


def cores() -> list[int]:
    """Return the cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def version(package: str) -> str | None:
    """Return the version of an installed package, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def core(fields: dict[str, str]) -> str:
    """Return the part number of a core, behind that of its maker where that is not Arm: others use Arm's numbers again."""
    part, maker = fields.get("CPU part", ""), fields.get("CPU implementer", "0x41")
    return part if maker == "0x41" or not part else maker + " " + part


def bytes_in(path: str, name: str) -> int:
    """Return a figure of a file of the system, which has it in kB, as bytes; 0 where it is not there."""
    return next((int(line.split()[1]) * 1024 for line in read(path).splitlines() if line.startswith(name)), 0)


def ram_bytes() -> int:
    """Return the memory of this machine, 0 where the system does not tell it."""
    with contextlib.suppress(AttributeError, ValueError, OSError):
        return bytes_in("/proc/meminfo", "MemTotal:") or max(0, os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE")
    return 0


def facts() -> dict[str, Any]:
    """Say what this machine is."""
    lines = (line.partition(":") for line in read("/proc/cpuinfo").splitlines())
    fields = {name.strip(): value.strip() for name, colon, value in lines if colon}
    return {
        "system": platform.system() + " " + platform.release(),
        "architecture": platform.machine(),
        "bits": 64 if sys.maxsize > 2**32 else 32,
        "model": read("/proc/device-tree/model") or read("/sys/devices/virtual/dmi/id/product_name") or None,
        "cpu": fields.get("model name") or core(fields) or platform.machine(),
        "cores": len(cores()),
        "max_clock_hz": max(numbers(CLOCKS + "cpuinfo_max_freq").values(), default=0) * 1000 or None,
        "features": sorted((fields.get("flags") or fields.get("Features") or "").split()),
        "ram_bytes": ram_bytes(),
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "onnxruntime": version("onnxruntime"),
        "is_emulated": read("/proc/self/comm").startswith("qemu-") or bool(os.environ.get("EDGEDISTILL_EMULATED")),
    }


def state() -> dict[str, Any]:
    """Say how the machine is just now: clocks, heat, and whatever says that it is throttled."""
    zones = {}
    for path, value in numbers("/sys/class/thermal/thermal_zone*/temp").items():
        kind = read(path[: -len("temp")] + "type") or "zone"
        zones[kind + " " + path.split("zone")[1].split("/")[0]] = value / 1000
    cooling = {
        read(path[: -len("cur_state")] + "type") + " at " + str(int(value))
        for path, value in numbers("/sys/class/thermal/cooling_device*/cur_state").items()
        if value > 0 and "cpu" in read(path[: -len("cur_state")] + "type").lower()
    }
    firmware = read("/sys/devices/platform/soc/soc:firmware/get_throttled")
    return {
        "governors": sorted({read(path) for path in glob.glob(CLOCKS + "scaling_governor")} - {""}),
        "frequencies_hz": {p.split("/")[5]: 1000 * v for p, v in numbers(CLOCKS + "scaling_cur_freq").items()},
        "temperatures_c": zones,
        "throttling": sorted(cooling) + (["firmware " + firmware] if firmware not in ("", "0", "0x0") else []),
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def energy_j() -> float | None:
    """Return the sum of the counters of used energy, None where there is none that may be read.

    Counted once: of RAPL's zones not the parts of a package, nor the platform that holds it; of a driver the sockets.
    """
    found = numbers(CLASSES + "/powercap/intel-rapl:[0-9]*/energy_uj")
    packages = {p: v for p, v in found.items() if p.count(":") == 1 and read(p[: -len("energy_uj")] + "name") != "psys"}
    others = numbers(CLASSES + "/hwmon/hwmon*/energy*_input")
    sockets = {p: v for p, v in others.items() if read(p[: -len("input")] + "label").startswith("Esocket")}
    found = packages or sockets or others
    return sum(found.values()) * MICRO if found else None


def siblings(cpu: str) -> set[int]:
    """Return the numbers of all that share a core with one ("0,4" or "0-1"); none where the system does not tell."""
    found: set[int] = set()
    for part in read(cpu + "/topology/thread_siblings_list").split(","):
        first, dash, last = part.partition("-")
        if first.isdigit():
            found.update(range(int(first), int(last if dash else first) + 1))
    return found


def fastest(allowed: list[int], threads: int, cpus: str = CPUS) -> list[int]:
    """Return the `threads` fastest cores, the last of equals; of hyperthreads a second one only when no other core is left."""
    speed = {c: max(numbers(f"{cpus}/cpu{c}/cpufreq/cpuinfo_max_freq").values(), default=0.0) for c in allowed}
    later = {c: sum(other > c for other in siblings(f"{cpus}/cpu{c}") & set(allowed)) for c in allowed}
    return sorted(allowed, key=lambda c: (-later[c], speed[c], c))[-threads:]


def pin(threads: int) -> list[int]:
    """Keep this process to its `threads` fastest cores and return them."""
    chosen = fastest(cores(), threads)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, chosen)
    return sorted(chosen)


def peak_rss_bytes() -> int:
    """Return the largest resident memory of this process so far: VmHWM, without /proc what getrusage says."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return bytes_in("/proc/self/status", "VmHWM:") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def open_session(model: Any, threads: int) -> Any:
    """Load a model, from a path or from bytes."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def rows_of(path: str) -> Iterator[dict[str, Any]]:
    """Yield the inputs of every row, batch 1.

    Of texts the file holds each input flat, with the offsets of its rows; of pictures their bytes, shape (rows, height,
    width, channels), and how they are normalised.
    """
    import numpy as np

    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    for picture in arrays.get("pixels", ()):
        values = picture[None].astype(np.float32) * arrays["scale"] - arrays["shift"]
        yield {"pixel_values": np.ascontiguousarray(values.transpose(0, 3, 1, 2), np.float32)}
    if "pixels" in arrays:
        return
    offsets = arrays.pop("offsets")
    for start, stop in zip(offsets[:-1], offsets[1:]):  # noqa: B905 - no `strict` in Python 3.8
        yield {name: np.ascontiguousarray(values[start:stop][None]).astype(np.int64) for name, values in arrays.items()}


def feed_of(session: Any, row: dict[str, Any]) -> dict[str, Any]:
    """Return the inputs of a row that the model asks for; stop with a sentence where the row has not all of them."""
    names = [node.name for node in session.get_inputs()]
    missing = [name for name in names if name not in row]
    if missing:
        sys.exit(f"model.onnx asks for {', '.join(missing)}, and its rows have {', '.join(row)}; a model that needs no more: "
                 "edgedistill export MODEL -o DIR")
    return {name: row[name] for name in names}


def scores_among(found: list[Any]) -> int:
    """Return which output holds the scores of classes, by the rule of `edgedistill/emulation/guest.py`; stop where none does.

    It is the first of float numbers with two or more columns, else the first of float numbers.
    """
    import numpy as np

    floats = [place for place, answer in enumerate(found) if isinstance(answer, np.ndarray) and answer.dtype.kind == "f"]
    wide = [place for place in floats if found[place].ndim > 1 and found[place].shape[-1] > 1]
    for place in wide + floats:
        return place
    sys.exit("model.onnx puts out no scores of classes as float numbers")


def answers(job: dict[str, Any], start: int, stop: int) -> Any:
    """Return the logits of some rows, shape (rows, classes), one row a call."""
    import numpy as np

    session, place = open_session("model.onnx", job["threads"]), None
    found = []
    for index, row in enumerate(rows_of("rows.npz")):
        if start <= index < stop:
            outputs = session.run(None, feed_of(session, row))
            place = scores_among(outputs) if place is None else place
            found.append(outputs[place])
    return np.concatenate(found).astype(np.float32)


def timed(call: Callable[[int], Any], *, runs: int, duration_ns: int = 0) -> list[int]:
    """Return the nanoseconds of at least `runs` runs and `duration_ns`; no garbage is collected in between."""
    samples: list[int] = []
    total, clock = 0, time.perf_counter_ns
    gc.collect()
    gc.disable()
    try:
        while len(samples) < runs or total < duration_ns:
            begin = clock()
            call(len(samples))
            samples.append(clock() - begin)
            total += samples[-1]
    finally:
        gc.enable()
    return samples


def measured_round(job: dict[str, Any]) -> dict[str, Any]:
    """Load the model in this fresh process, warm up, and time it; memory is that of the process from its start."""
    pinned = pin(job["threads"]) if job["pinned"] else []
    import onnxruntime  # noqa: F401 - the bare runtime's memory is the baseline

    rows = list(rows_of("timed.npz"))
    baseline, before, clock = peak_rss_bytes(), state(), time.perf_counter_ns
    begin = clock()
    session = open_session("model.onnx", job["threads"])
    load_ns = clock() - begin
    feeds = [feed_of(session, row) for row in rows]
    run = lambda index: session.run(None, feeds[index % len(feeds)])  # noqa: E731
    first = timed(run, runs=1)[0]
    warmup = timed(run, runs=job["warmup_runs"])
    used = energy_j()
    samples = timed(run, runs=job["runs"], duration_ns=job["duration_ns"])
    now = energy_j()
    return {
        "cpus": pinned, "load_s": load_ns / 1e9, "first_run_s": first / 1e9, "warmup_s": [ns / 1e9 for ns in warmup],
        "samples_s": [ns / 1e9 for ns in samples], "peak_rss_bytes": peak_rss_bytes(), "baseline_rss_bytes": baseline,
        "before": before, "after": state(), "energy_j": None if used is None or now is None or now < used else now - used,
    }


def measured_graphs(job: dict[str, Any], threads: int) -> dict[str, Any]:
    """Time every graph of graphs.npz (`NAME/model`, `NAME/feed/INPUT`) for a while and return the medians."""
    import numpy as np

    pinned = pin(threads)
    with np.load("graphs.npz") as stored:
        arrays = {name: stored[name] for name in stored.files}
    wanted = [key[: -len("/model")] for key in arrays if key.endswith("/model")]
    medians, before = {}, state()
    for graph in wanted if threads == 1 else job["large"]:
        session = open_session(arrays[graph + "/model"].tobytes(), threads)
        start = graph + "/feed/"
        feeds = {key[len(start) :]: values for key, values in arrays.items() if key.startswith(start)}
        session.run(None, feeds)
        samples = timed(lambda _: session.run(None, feeds), runs=5, duration_ns=int(job["seconds"] * 1e9))  # noqa: B023
        medians[graph] = float(np.median(samples)) / 1e9
    return {"cpus": pinned, "p50_s": medians, "before": before, "after": state()}


def do_part(name: str) -> None:
    """Do a part, or find it done; its file is absent or whole at any moment."""
    import fcntl

    os.makedirs("parts", exist_ok=True)
    path = os.path.join("parts", name)
    with open("lock", "a+", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        if os.path.exists(path):
            return
        with open("job.json", encoding="utf-8") as stream:
            job = json.load(stream)
        kind, *rest = name.split("-")
        with open(path + ".partial", "wb") as out:
            if kind == "answers":
                import numpy as np

                np.save(out, answers(job, int(rest[0]), int(rest[1])))
            else:
                found = measured_round(job) if kind == "round" else measured_graphs(job, int(rest[1]))
                out.write(json.dumps(found).encode())
            out.flush()
            os.fsync(out.fileno())
        os.replace(path + ".partial", path)


def end() -> None:
    """Stop who holds the lock, and who gets it next, until nobody does: its process id stands in it."""
    import fcntl
    import signal

    with open("lock", "a+", encoding="utf-8") as lock:
        for _ in range(END_TRIES):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                holder = read("lock")
                if holder.isdigit():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(holder), signal.SIGTERM)
                time.sleep(END_PAUSE_S)
            else:
                return


def is_old(path: str) -> bool:
    """Was this last written long ago, or in a future that a clock without a battery believed in?"""
    return abs(time.time() - os.path.getmtime(path)) > AGE_LIMIT_S


def remove_old_folders() -> None:
    """Take away the folders beside this one in which nothing was written for long: nobody came back for them."""
    here = os.getcwd()
    for folder in glob.glob(os.path.join(os.path.dirname(here), "*")):
        name = os.path.basename(folder)
        if folder == here or os.path.islink(folder) or len(name) != KEY_LENGTH or set(name) - set(string.hexdigits):
            continue
        with contextlib.suppress(FileNotFoundError):  # another session's, which writes there just now
            paths = [folder, *glob.glob(folder + "/*"), *glob.glob(folder + "/parts/*")]
            if all(is_old(path) for path in paths):
                shutil.rmtree(folder, ignore_errors=True)


def check() -> dict[str, Any]:
    """Say which files are here, with their sha256, and which parts are finished; what is old is taken away first."""
    remove_old_folders()
    files, parts = {}, []
    for path in sorted(glob.glob("*")):
        if os.path.isfile(path) and path != "lock":
            with open(path, "rb") as stream:
                files[path] = hashlib.sha256(stream.read()).hexdigest()
    for path in sorted(glob.glob("parts/*")):
        if is_old(path):
            os.remove(path)
        elif not path.endswith(".partial"):
            parts.append(os.path.basename(path))
    return {"files": files, "parts": parts}


def main(arguments: list[str]) -> None:
    """Do what is asked, and print one JSON document where there is something to say."""
    if arguments == ["facts"]:
        sys.stdout.write(json.dumps(facts()))
        return
    os.chdir(arguments[0])
    if arguments[1] == "check":
        sys.stdout.write(json.dumps(check()))
    elif arguments[1] == "end":
        end()
    else:
        do_part(arguments[2])


if __name__ == "__main__":
    main(sys.argv[1:])
