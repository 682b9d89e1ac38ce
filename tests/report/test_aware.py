"""A student that was fine-tuned for int8 in the report: variants of its own, and a sentence on what it bought."""

import json

import jsonschema
import numpy as np
import pytest

from edgedistill.report.build import build_report
from edgedistill.report.html import render_html
from edgedistill.report.markdown import render_markdown
from edgedistill.report.model import RunReport
from edgedistill.report.stage import TargetInputs, TargetSettings, read_target_parts
from edgedistill.results import AwareGain, Labels

SHIPPED = AwareGain(
    scheme="dynamic_wi8_afp32", steps=300, learning_rate=2e-4, float_accuracy=0.95, post_training_accuracy=0.8, aware_accuracy=0.94,
    keeps_the_goal=True, is_shipped=True, text="validation accuracy: float student 0.9500, fine-tuned in int8 0.9400: better",
)
REPLACED = {"student_int8_aware": "student_int8", "student_int8_post_training": "teacher_int8"}


@pytest.fixture
def tuned(with_target, target_parts):
    """The parts of a run in which the fine-tuned student ships."""
    def more(values):
        return {**values, **{name: values[like] for name, like in REPLACED.items() if like in values}}

    return with_target(evaluations=more(target_parts.evaluations), logits=more(target_parts.logits), aware=SHIPPED,
                       measurements=more(target_parts.measurements))


def test_report_when_a_fine_tuned_student_ships_then_both_variants_and_the_sentence_are_everywhere(tuned):
    report = build_report(tuned)
    jsonschema.validate(json.loads(report.to_json()), RunReport.model_json_schema(mode="serialization"))
    target = report.targets["made-up-board"]
    assert list(target.variants)[-2:] == ["student_int8_aware", "student_int8_post_training"]
    assert target.aware == SHIPPED
    sentence = ("Fine-tuned for dynamic_wi8_afp32 in 300 steps with its rounding, student_int8_aware ships as student_int8. "
                "Validation accuracy: float student 0.9500, fine-tuned in int8 0.9400: better.")
    assert sentence in render_html(report)
    assert sentence in render_markdown(report)


def test_report_when_nothing_was_fine_tuned_then_no_word_of_it(parts):
    report = build_report(parts)
    assert report.targets["made-up-board"].aware is None
    assert "aware" not in render_markdown(report)
    assert "student_int8_aware" not in report.to_json()


@pytest.mark.parametrize("is_shipped", [True, False])
def test_read_parts_when_the_fine_tuned_student_ships_then_its_measurement_goes_by_both_names(target_parts, tmp_path, is_shipped):
    def document(name, value):
        (tmp_path / name).write_text(value.to_json(), encoding="utf-8")
        return tmp_path / name

    from edgedistill.examples import write_examples

    write_examples(tmp_path / "test.arrow", [str(i) for i in range(len(target_parts.texts))], target_parts.texts,
                   [int(label) for label in target_parts.gold])
    np.save(tmp_path / "logits.npy", target_parts.logits["student_int8"])
    measured = [m.model_dump(mode="json") for m in target_parts.measurements.values()]
    (tmp_path / "measurements.json").write_text(json.dumps({"sequence_tokens": 9, "measurements": measured}))
    inputs = TargetInputs(
        evaluations={"student_int8": document("evaluation.json", target_parts.evaluations["student_int8"])},
        logits={"student_int8": tmp_path / "logits.npy"}, measurements=tmp_path / "measurements.json",
        parity=document("parity.json", target_parts.parity), verdict=document("verdict.json", target_parts.quantization),
        test=tmp_path / "test.arrow", labels=document("labels.json", Labels(labels=target_parts.labels)),
    )
    settings = TargetSettings(name="board", predictions=(), budgets=(), goals=(),
                              aware=SHIPPED.model_copy(update={"is_shipped": is_shipped}))
    found = read_target_parts(settings, inputs).measurements
    assert ("student_int8_aware" in found) is is_shipped
    if is_shipped:
        assert found["student_int8_aware"].rounds_s == found["student_int8"].rounds_s


def test_run_when_the_fine_tuned_student_ships_then_it_is_timed_once(tmp_path):
    from edgedistill.pipeline import _distinct

    tuned, plain = tmp_path / "tuned", tmp_path / "plain"
    shipped = {"student_int8": tuned, "student_int8_aware": tuned, "student_int8_post_training": plain}
    assert _distinct(shipped) == {"student_int8": tuned, "student_int8_post_training": plain}
    kept = {"student_int8": plain, "student_int8_aware": tuned}
    assert _distinct(kept) == kept
