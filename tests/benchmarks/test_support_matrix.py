"""The tables of the README and of the pictures' page come from result files, and nothing is ticked without one."""

from pathlib import Path

import bundle_checks
import pytest
from bundle_checks import CHECKS, BundleCheck, outcome_of
from images_table import table as picture_table
from readme_table import BEGIN as TABLE_BEGIN
from readme_table import table
from support_matrix import BEGIN, claims, matrix

ROOT = Path(__file__).resolve().parents[2]
RUN = {"report": {"task": "text-classification", "targets": {"raspberry-pi": {
    "parity": {"arm64": None}, "variants": {"student_int8": {"latency": {"target": {"source": "predicted"}}}},
}}}}


def _ticked(results, targets=("raspberry-pi", "pixel-8")):
    return {claim.what: claim.files for claim in claims(results, targets) if claim.files}


@pytest.mark.parametrize(("begin", "fresh"), [(TABLE_BEGIN, table), (BEGIN, matrix)])
def test_readme_then_holds_the_tables_that_the_scripts_make(begin, fresh):
    assert begin in fresh()
    assert fresh() in (ROOT / "README.md").read_text(encoding="utf-8")


def test_page_of_pictures_then_holds_the_table_that_the_script_makes():
    assert picture_table() in (ROOT / "docs" / "images.md").read_text(encoding="utf-8")


def test_matrix_when_there_is_no_result_ticks_nothing():
    assert _ticked({}) == {}


def test_matrix_when_a_run_is_recorded_ticks_its_task_and_target_and_no_measurement():
    assert _ticked({"mine.json": RUN}) == {
        "text-classification: a whole run": ("mine.json",), "raspberry-pi: a whole run, latency predicted": ("mine.json",),
    }
    (rest,) = [claim for claim in claims({"mine.json": RUN}, ("raspberry-pi", "pixel-8")) if "other" in claim.what]
    assert rest.what.startswith("the 1 other")


def test_matrix_when_a_text_differs_does_not_tick_the_tokenizer():
    def rows(differing):
        return {"tokenizer_fuzz.json": {"rows": [{"onnxruntime_extensions": "0.15.2", "texts": 100_000, "texts_that_differ": differing}]}}

    assert not _ticked(rows(1))
    assert list(_ticked(rows(0)).values()) == [("tokenizer_fuzz.json",)]


@pytest.mark.parametrize(("outcome", "is_ticked"), [("passed", True), ("skipped", False), ("failed", False)])
def test_matrix_when_a_check_did_not_pass_does_not_tick_it(outcome, is_ticked):
    check = CHECKS["web-page"]
    row = {"outcome": outcome, "sources_sha256": check.sources_sha256()}
    found = _ticked({"bundle_checks.json": {"checks": {"web-page": row}}})

    assert (check.what in found) == is_ticked


@pytest.mark.parametrize("row", [{"outcome": "passed"}, {"outcome": "passed", "sources_sha256": "0" * 64}])
def test_matrix_when_a_check_looked_at_other_sources_does_not_tick_it(row):
    assert _ticked({"bundle_checks.json": {"checks": {"web-page": row}}}) == {}


def test_hash_of_a_check_when_a_file_in_its_folder_changes_changes_too(tmp_path, monkeypatch):
    monkeypatch.setattr(bundle_checks, "ROOT", tmp_path)
    (tmp_path / "made" / "below").mkdir(parents=True)
    (tmp_path / "made" / "below" / "a.kt").write_text("one")
    (tmp_path / "b.py").write_text("one")
    check = BundleCheck("it works", "tests/test_a.py", ("made", "b.py"))

    def after(name, text):
        (tmp_path / name).write_text(text)
        return check.sources_sha256()

    seen = [check.sources_sha256(), after("made/below/a.kt", "two"), after("b.py", "two"), after("made/c.kt", "")]
    assert len(set(seen)) == 4

    (tmp_path / "made" / "c.kt").unlink()
    after("b.py", "one")
    assert after("made/below/a.kt", "one") == seen[0]


@pytest.mark.parametrize(("cases", "expected"), [
    ("", ("failed", "pytest found no such test")),
    ("<testcase/>", ("passed", "")),
    ("<testcase/><testcase><skipped message='no npm'/></testcase>", ("skipped", "no npm")),
    ("<testcase><skipped message='no npm'/></testcase><testcase><failure message='1 != 2'/></testcase>", ("failed", "1 != 2")),
])
def test_outcome_when_read_from_pytest_is_the_worst_of_its_tests(tmp_path, cases, expected):
    (tmp_path / "report.xml").write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")

    assert outcome_of(tmp_path / "report.xml") == expected


def test_outcome_when_the_report_is_of_several_tests_then_is_that_of_the_one_asked_for(tmp_path):
    (tmp_path / "report.xml").write_text(
        '<testsuites><testsuite><testcase classname="tests.a.test_b" name="test_one"/>'
        '<testcase classname="tests.a.test_b" name="test_two[1]"><failure message="no"/></testcase></testsuite></testsuites>')

    asked = ("tests/a/test_b.py::test_one", "tests/a/test_b.py::test_two", "tests/a/test_b.py", "tests/a/test_c.py")
    assert [outcome_of(tmp_path / "report.xml", test)[0] for test in asked] == ["passed", "failed", "failed", "failed"]


def test_checks_then_name_tests_that_exist():
    for check in CHECKS.values():
        assert all((ROOT / source).exists() for source in check.sources)
        file, _, name = check.test.partition("::")
        assert f"def {name or 'test_'}" in (ROOT / file).read_text(encoding="utf-8")


@pytest.mark.parametrize(("furthest", "is_ticked"), [(0.04, True), (0.2, False)])
def test_web_page_when_a_logit_is_further_off_than_allowed_then_is_not_ticked(furthest, is_ticked):
    row = {"recipe_id": "mine", "student": "a short training", "vectors": 2, "equal_ids": 2, "equal_labels": 2, "within_1e-3": 1,
           "max_abs_errors": [0.0, furthest], "tolerance": 0.1,
           "texts": {"rows": 9, "equal_classes": 9, "within_1e-3": 8, "max_abs_error": 0.05}}
    found = _ticked({"web_logits.json": row})
    assert any("student of mine (a short training)" in what and "of 9 test texts 9 have" in what for what in found) == is_ticked
