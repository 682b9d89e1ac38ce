"""Made-up results of a run: six test rows that can be counted by hand, and a larger one that looks like a real run."""

import csv
import dataclasses
import json
from datetime import UTC, datetime
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest

from edgedistill.catalog import data_folder
from edgedistill.frontier import FrontierRow
from edgedistill.host import Host
from edgedistill.manifest import Decision
from edgedistill.recipe import BenchmarkProtocol
from edgedistill.report.build import ReportParts, TargetParts
from edgedistill.report.model import StepReport
from edgedistill.results import (
    BudgetCheck,
    ClassFigures,
    Coverage,
    Evaluation,
    GoalCheck,
    Interval,
    LayerCoverage,
    Measurement,
    ParityReport,
    ParityResult,
    Prediction,
    QuantizationVerdict,
    TrainingLog,
    TrainingPoint,
)
from edgedistill.tasks.image_classification.decode import to_thumbnail

MIB = 2**20
LABELS = ("lights_on", "lights_off", "<script>alert('label')</script>")
TEXTS = (
    "turn the lights on",
    "<script>alert('text')</script>",
    "lights | off `now`",
    "make it dark @home",
    "</script><img src=x onerror=alert(1)>",
    "brighter & warmer",
)
GOLD = np.array([0, 0, 1, 1, 2, 2], dtype=np.int32)
HOST = Host(
    system="Linux", architecture="x86_64", cpu="Made-up CPU @ 2.0 GHz", cores=2, features=("avx2", "avx512_vnni"),
    ram_bytes=8 * 2**30, python="3.11.9",
)
ANSWERS = {
    # rows right:            1  1  1  1  1  0  -> 5 of 6
    "teacher": (0, 0, 1, 1, 2, 0),
    "teacher_int8": (0, 0, 1, 1, 2, 0),
    # 1  0  0  1  0  1 -> 3 of 6
    "student_no_kd": (0, 1, 0, 1, 0, 2),
    # 1  1  0  1  1  0 -> 4 of 6
    "student": (0, 0, 0, 1, 2, 0),
    "student_onnx": (0, 0, 0, 1, 2, 0),
    # 1  1  0  1  0  1 -> 4 of 6
    "student_int8": (0, 0, 0, 1, 0, 2),
}
SIZES = {
    "teacher": 80 * MIB, "teacher_int8": 20 * MIB, "student_no_kd": 8 * MIB, "student": 8 * MIB,
    "student_onnx": 8 * MIB, "student_int8": 2 * MIB,
}
P50_S = {"teacher": 0.020, "teacher_int8": 0.008, "student_onnx": 0.002, "student_int8": 0.001}
PARAMETERS = {"teacher": 22_700_000, "teacher_int8": 22_700_000}


SEVERAL_LABELS = ("hot", "<wet>", "windy")
SEVERAL_TEXTS = ("a storm in the sun", "it <b>pours</b>", "no weather | today", "a gale, and rain")
SEVERAL_GOLD = np.array([[1, 0, 1], [0, 1, 0], [0, 0, 0], [0, 1, 1]], dtype=np.int32)
SEVERAL_PROBABILITIES = {
    # rows right: 1 1 1 0, as windy is missed
    "teacher": ((0.9, 0.1, 0.9), (0.1, 0.9, 0.1), (0.1, 0.1, 0.1), (0.1, 0.9, 0.25)),
    # 1 0 1 0: hot is added, <wet> and windy are missed
    "student": ((0.75, 0.1, 0.9), (0.75, 0.9, 0.1), (0.1, 0.1, 0.3), (0.1, 0.45, 0.25)),
}


FETCHING = {"src", "href", "srcset", "data", "action", "poster"}


class Page(HTMLParser):
    """Reads a page as a browser would: elements, text outside scripts, and the content of scripts."""

    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.elements, self.text, self.scripts, self._in_script = [], [], [], False
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._in_script = True
            self.scripts.append((dict(attrs), []))

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self._in_script = False

    def handle_data(self, data):
        if self._in_script:
            self.scripts[-1][1].append(data)
        else:
            self.text.append(data)

    def count(self, tag):
        return sum(name == tag for name, _ in self.elements)

    def outside(self):
        """What the page refers to that is not in it."""
        return [value for _, attributes in self.elements for name, value in attributes.items()
                if name in FETCHING and not value.startswith(("#", "data:,"))]

    def figures(self):
        return {a["id"]: json.loads("".join(body)) for a, body in self.scripts if a.get("type") == "application/json"}


@pytest.fixture
def read_page():
    """Reads the source of a page; see `Page`."""
    return Page


def logits_of(answers, margin=4.0, classes=3):
    """Raw logits that decide as told, with one margin."""
    logits = np.zeros((len(answers), classes), dtype=np.float32)
    logits[np.arange(len(answers)), answers] = margin
    return logits


def evaluation_of(variant, answers, *, gold=GOLD, labels=LABELS):
    gold, answers = np.asarray(gold), np.asarray(answers)
    accuracy = float((gold == answers).mean())
    confusion = np.zeros((len(labels), len(labels)), dtype=int)
    np.add.at(confusion, (gold, answers), 1)
    half = 1.96 * (max(accuracy * (1 - accuracy), 1e-4) / len(gold)) ** 0.5
    around = Interval(value=accuracy, low=max(0.0, accuracy - half), high=min(1.0, accuracy + half))
    return Evaluation(
        variant=variant, model_sha256=variant.encode().hex().ljust(64, "0"),
        parameters=PARAMETERS.get(variant, 2_100_000),
        size_bytes=SIZES[variant], split="test", n=len(gold), accuracy=around, macro_f1=around,
        calibration_error=Interval(value=0.02, low=0.01, high=0.04),
        agreement_with_teacher=None if variant == "teacher" else Interval(value=0.97, low=0.95, high=0.99),
        mcnemar_against_teacher=None,
        classes=tuple(
            ClassFigures(label=name, support=int(confusion[i].sum()), precision=0.9, recall=0.8 + 0.01 * (i % 19),
                         f1=0.85)
            for i, name in enumerate(labels)
        ),
        confusion=tuple(tuple(int(x) for x in row) for row in confusion),
    )


def evaluation_of_several(variant, logits):
    """Accuracy is counted; the student's figures by class too: right, true, decided are 1 1 2, 1 2 1, 1 2 1."""
    is_wrong = ((logits > 0) != SEVERAL_GOLD).any(axis=1).astype(int)
    figures = ((1, 0.5, 1.0), (2, 1.0, 0.5), (2, 1.0, 0.5))
    return evaluation_of(variant, is_wrong, gold=0 * is_wrong, labels=("right", "wrong")).model_copy(update={
        "confusion": (), "macro_f1": Interval(value=0.81, low=0.71, high=0.91), "micro_f1": Interval(value=0.77, low=0.67, high=0.87),
        "classes": tuple(ClassFigures(label=name, support=n, precision=precision, recall=recall, f1=2 / 3)
                         for name, (n, precision, recall) in zip(SEVERAL_LABELS, figures, strict=True)),
    })


def measurement_of(variant, p50_s, *, noisy=False, rounds=3):
    """Runs at 0.9, 1.0, 1.1 times the p50 in every round; round r is 0.1 % slower than the one before."""
    samples = tuple(tuple(p50_s * (1 + 0.001 * r) * f for f in (0.9, 1.0, 1.1)) for r in range(rounds))
    return Measurement(
        variant=variant, model_sha256="0" * 64, host=HOST, runtime="onnxruntime 1.32.0", protocol=BenchmarkProtocol(),
        sequence_tokens=9, rounds_s=samples, warmup_s=(p50_s * 2,), load_s=p50_s * 30, first_run_s=p50_s * 3,
        peak_rss_bytes=60 * MIB + SIZES[variant], baseline_rss_bytes=60 * MIB, is_noisy=noisy,
    )


def parity_of(passed=True):
    def gate(reference, candidate, flipped):
        return ParityResult(
            reference=reference, candidate=candidate, n=6, top1_agreement=1 - flipped / 6, decisions_flipped=flipped,
            max_abs_error=0.5, mean_abs_error=0.1, passed=passed or flipped == 0,
        )

    return ParityReport(onnx=gate("student", "student_onnx", 0), int8=gate("student_onnx", "student_int8", 2))


def prediction_of(rung, mib, p50_s, *, chosen=False, rejected=""):
    return Prediction(
        rung=rung, parameters=int(mib * MIB), int8_bytes=int(mib * MIB), float_bytes=int(4 * mib * MIB),
        peak_memory_bytes=int(10 * MIB + 2 * mib * MIB), latency_p50_s=p50_s, latency_interval_s=(p50_s / 2, p50_s * 2),
        sequence_tokens=9, is_chosen=chosen, rejected_because=rejected,
    )


def trial_of(number, rung, mib, accuracy, *, met=True, chosen=False, **changes):
    return FrontierRow(
        trial=number, rung=rung, parameters=int(mib * MIB), int8_bytes=int(mib * MIB), latency_p50_s=0.002,
        float_accuracy=accuracy, int8_accuracy=accuracy, teacher_accuracy=0.95, temperature=2.0, alpha=0.9, learning_rate=1e-3,
        batch_size=64, transfer_rows=24_000, scheme="dynamic_wi8_afp32", met_goal=met, is_pruned=False,
        finding="none" if met else "does-not-fit", finding_text="says so", because="a test says so", is_chosen=chosen,
    ).model_copy(update=changes)


def budgets_of(size_limit_mib=3):
    limit = size_limit_mib * MIB
    return (
        BudgetCheck(name="model_bytes", limit=limit, value=2 * MIB, unit="bytes", source="measured",
                    met=limit >= 2 * MIB, why="fits a poor link"),
        BudgetCheck(name="peak_memory_bytes", limit=48 * MIB, value=14 * MIB, unit="bytes", source="emulated",
                    met=True),
        BudgetCheck(name="latency_p50_s", limit=0.010, value=0.006, unit="s", source="predicted", met=True),
    )


@pytest.fixture
def target_parts():
    return TargetParts(
        name="Made-up Board <1>",
        evaluations={name: evaluation_of(name, answers) for name, answers in ANSWERS.items()},
        logits={name: logits_of(answers) for name, answers in ANSWERS.items()},
        texts=TEXTS,
        gold=GOLD,
        labels=LABELS,
        measurements={name: measurement_of(name, p50_s) for name, p50_s in P50_S.items()},
        parity=parity_of(),
        quantization=QuantizationVerdict(
            scheme="dynamic_wi8_afp32", candidates={"dynamic_wi8_afp32": 0.99, "dynamic_wi8_afp32_reduced_range": 0.98},
            coverage=Coverage(weight_bytes_share=0.99, nodes_share=1.0, float_nodes=(),
                              bytes_by_part={"embedding": MIB, "encoder": 900_000, "head": 10_000, "other": 50_000}),
            decision="dynamic_wi8_afp32: it agrees best with the float model on validation",
            layers=(LayerCoverage(layer="embeddings", int8_bytes=5120, float_bytes=0, int8_nodes=1, float_nodes=0),
                    LayerCoverage(layer="encoder.layer.0", int8_bytes=4096, float_bytes=1024, int8_nodes=3, float_nodes=1)),
        ),
        predictions=(
            prediction_of("6x384", 6.0, 0.020, rejected="model_bytes 6.00 MiB is over 3.00 MiB (x2.00)"),
            prediction_of("6x192", 2.0, 0.006, chosen=True),
            prediction_of("4x128", 1.0, 0.002),
        ),
        budgets=budgets_of(),
        frontier=(
            trial_of(1, "6x192", 2.0, 0.93, chosen=True), trial_of(2, "4x128", 1.0, 0.84, met=False),
            trial_of(3, "<i>5x", 1.5, None, met=False, is_pruned=True, finding="given-up"),
        ),
        advice="",
        goals=(GoalCheck(metric="accuracy", type="max-degradation", limit=0.6, value=4 / 6, met=True),),
        curves={
            "student": TrainingLog(rows_seen=1260, points=(
                TrainingPoint(step=10, loss=1.5, validation_loss=1.2, validation_accuracy=0.5, hard_loss=1.6, soft_loss=1.4,
                              validation_hard_loss=1.3, validation_soft_loss=1.1),
                TrainingPoint(step=20, loss=0.5, validation_loss=0.6, validation_accuracy=0.8, hard_loss=0.7, soft_loss=0.4,
                              validation_hard_loss=0.8, validation_soft_loss=0.5),
            )),
        },
    )


@pytest.fixture
def parts(target_parts):
    return ReportParts(
        recipe="made-up", task="text-classification", created=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), host=HOST,
        tools={"torch": "2.13.0", "onnxruntime": "1.32.0"}, targets={"made-up-board": target_parts},
        decisions=(Decision(step="plan", what="student 6x192", why="the largest that fits"),),
        steps=(StepReport(step="prepare", duration_s=0.4), StepReport(step="teach", duration_s=41.0)),
        data={"classes": list(LABELS), "train": {"rows": 12, "rows_by_class": dict.fromkeys(map(str, range(30)), 4)}},
    )


@pytest.fixture
def with_target(parts):
    """Return the parts with some values of the target replaced."""

    def replace(**changes):
        target = dataclasses.replace(parts.targets["made-up-board"], **changes)
        return dataclasses.replace(parts, targets={"made-up-board": target})

    return replace


@pytest.fixture
def several_parts(with_target):
    """A run in which several labels may apply to each of four texts, or none."""
    logits = {name: np.log(np.divide(p, np.subtract(1, p))).astype(np.float32) for name, p in SEVERAL_PROBABILITIES.items()}
    by_variant = {name: logits["teacher" if name.startswith("teacher") else "student"] for name in ANSWERS}
    return with_target(
        texts=SEVERAL_TEXTS, gold=SEVERAL_GOLD, labels=SEVERAL_LABELS, logits=by_variant,
        evaluations={name: evaluation_of_several(name, values) for name, values in by_variant.items()},
    )


@pytest.fixture
def make():
    """The makers of single results, for tests that change one."""
    return SimpleNamespace(budgets=budgets_of, parity=parity_of, measurement=measurement_of, logits=logits_of,
                           evaluation=evaluation_of, prediction=prediction_of)


@pytest.fixture
def lifelike_parts(parts, target_parts):
    """Two targets on the built-in model's test texts, with drawn logits: what a real page looks like."""
    with (data_folder("models") / "home-intents" / "data" / "test.tsv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    labels = tuple(sorted({row["label"] for row in rows}))
    gold = np.array([labels.index(row["label"]) for row in rows], dtype=np.int32)
    logits = _drawn_logits(gold, len(labels))
    board = dataclasses.replace(
        target_parts,
        name="Raspberry Pi 4 Model B (64-bit)",
        texts=tuple(row["text"] for row in rows),
        gold=gold,
        labels=labels,
        logits=logits,
        evaluations={
            name: evaluation_of(name, values.argmax(axis=1), gold=gold, labels=labels)
            for name, values in logits.items()
        },
        measurements={name: _long_measurement(name, p50_s) for name, p50_s in P50_S.items()},
        curves={name: _drawn_curve(best) for name, best in (("teacher", 0.96), ("student", 0.94),
                                                            ("student_no_kd", 0.9))},
    )
    small = dataclasses.replace(board, name="Raspberry Pi Zero 2 W", budgets=budgets_of(size_limit_mib=1))
    targets = {"raspberry-pi": board, "raspberry-pi-zero-2w": small}
    return dataclasses.replace(parts, recipe="home-intents", targets=targets)


@pytest.fixture
def many_classes_parts(lifelike_parts):
    """Three targets of 150 classes each and 4500 test rows, with thousands of different wrong answers."""
    labels = tuple(f"a_class_with_a_usual_name_{i:03d}" for i in range(150))
    gold = np.arange(4500, dtype=np.int32) % len(labels)
    logits = _drawn_logits(gold, len(labels))
    board = dataclasses.replace(
        lifelike_parts.targets["raspberry-pi"], texts=tuple(f"a text of some words, number {i}" for i in range(len(gold))),
        gold=gold, labels=labels, logits=logits,
        evaluations={name: evaluation_of(name, values.argmax(axis=1), gold=gold, labels=labels)
                     for name, values in logits.items()},
    )
    return dataclasses.replace(lifelike_parts, targets={f"board-{i}": board for i in range(3)})


@pytest.fixture
def picture_parts(parts, target_parts):
    """Sixty small drawn pictures of three classes, grey and coloured, one of them with a long name."""
    random = np.random.default_rng(5)
    labels = ("circle", "square", "a_class_with_a_name_that_is_too_long_for_a_narrow_column")
    gold = np.arange(60, dtype=np.int32) % 3
    logits = _drawn_logits(gold, len(labels))
    names = tuple(f"photos/{labels[g]}/{'a-long-name-without-a-space-' * 4 if i == 0 else ''}{i:03d}.png"
                  for i, g in enumerate(gold))
    pixels = [random.integers(0, 256, (32, 32, 1 + 2 * (i % 2)), dtype=np.uint8) for i in range(60)]
    board = dataclasses.replace(
        target_parts, texts=names, gold=gold, labels=labels, logits=logits,
        evaluations={name: evaluation_of(name, values.argmax(axis=1), gold=gold, labels=labels)
                     for name, values in logits.items()},
        thumbnail_of=lambda row: to_thumbnail(pixels[row]),
    )
    return dataclasses.replace(parts, task="image-classification", targets={"made-up-board": board})


def _drawn_logits(gold, classes):
    random = np.random.default_rng(7)
    base = random.normal(size=(len(gold), classes))
    base[np.arange(len(gold)), gold] += 5.0
    blur = {"teacher": 0.9, "teacher_int8": 0.95, "student_no_kd": 1.6, "student": 1.2}
    drawn = {name: (base + scale * random.normal(size=base.shape)).astype(np.float32) for name, scale in blur.items()}
    drawn["student_onnx"] = drawn["student"]
    drawn["student_int8"] = drawn["student"] + 0.15 * random.normal(size=base.shape).astype(np.float32)
    return drawn


def _long_measurement(name, p50_s):
    random = np.random.default_rng(len(name))
    rounds = tuple(tuple(float(x) for x in p50_s * np.exp(np.abs(random.normal(0, 0.1, 60)))) for _ in range(5))
    return measurement_of(name, p50_s).model_copy(update={"rounds_s": rounds, "is_noisy": name == "student_onnx"})


def _drawn_curve(best):
    steps = range(100, 1300, 100)
    return TrainingLog(rows_seen=153_000, points=tuple(
        TrainingPoint(step=s, loss=3 * 0.997**s, validation_loss=0.2 + 3 * 0.9965**s,
                      validation_accuracy=best - 0.6 * 0.995**s, hard_loss=2.5 * 0.996**s, soft_loss=3.2 * 0.997**s,
                      validation_hard_loss=0.5 + 2 * 0.996**s, validation_soft_loss=0.3 + 3 * 0.997**s)
        for s in steps
    ))
