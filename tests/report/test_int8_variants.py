"""What each int8 variant is made of: scheme, coverage, the nodes that stayed in float and why, and bytes by part."""

import json

import jsonschema
import pytest

from edgedistill.report import tables_int8
from edgedistill.report.build import build_report
from edgedistill.report.html import render_html
from edgedistill.report.markdown import render_markdown
from edgedistill.report.model import RunReport
from edgedistill.results import Coverage

MIB = 2**20
FLOAT, RESTORED = "its weight is stored as float", "its weight is stored in int8 and restored to float"
REASONS = {"tied_table": RESTORED} | {f"encoder/layer.{i}/dense": FLOAT for i in range(8)}
TITLE = "What is int8 in each variant"


@pytest.fixture
def report(with_target, target_parts):
    """A run whose teacher kept nine nodes in float, and whose fine-tuned student is float."""
    def verdict(scheme, **coverage):
        found = target_parts.quantization.coverage.model_copy(update=coverage)
        return target_parts.quantization.model_copy(update={"scheme": scheme, "coverage": found})

    like = {"student_int8_aware": "student_int8"}
    more = {field: {**getattr(target_parts, field), **{name: getattr(target_parts, field)[of] for name, of in like.items()}}
            for field in ("evaluations", "logits")}
    return build_report(with_target(**more, verdicts={
        "teacher_int8": verdict("static_wi8_ai8", weight_bytes_share=0.75, nodes_share=0.5, float_nodes=tuple(REASONS),
                                float_reasons=REASONS,
                                bytes_by_part={"embedding": 3 * MIB, "encoder": 2 * MIB, "head": 2048, "other": 0}),
        "student_int8_aware": verdict("float", weight_bytes_share=0.0, nodes_share=0.0, float_nodes=("head",),
                                      float_reasons={"head": FLOAT}),
    }))


def test_report_has_scheme_and_coverage_of_each_int8_variant_and_of_no_float_one(report):
    jsonschema.validate(json.loads(report.to_json()), RunReport.model_json_schema(mode="serialization"))
    found = {name: variant.int8 for name, variant in report.targets["made-up-board"].variants.items()}
    assert {name: form.scheme for name, form in found.items() if form is not None} == {
        "teacher_int8": "static_wi8_ai8", "student_int8": "dynamic_wi8_afp32", "student_int8_aware": "float"}
    assert found["student_int8"].coverage == report.targets["made-up-board"].int8_coverage
    assert found["teacher_int8"].coverage.float_reasons == REASONS


def test_variants_has_a_row_a_variant_with_reasons_counted(report):
    table = tables_int8.variants(report.targets["made-up-board"])
    assert table.headers == ("variant", "scheme", "nodes left in float, and why", "weight bytes in int8", "nodes in int8",
                             "embedding", "encoder", "head", "other")
    assert table.rows == (
        ("teacher_int8", "static_wi8_ai8", f"8: {FLOAT}; 1: {RESTORED}", "75.0 %", "50.0 %", "3.00 MiB", "2.00 MiB", "2.0 KiB", "0 B"),
        ("student_int8", "dynamic_wi8_afp32", "none", "99.0 %", "100.0 %", "1.00 MiB", "878.9 KiB", "9.8 KiB", "48.8 KiB"),
        ("student_int8_aware", "float", f"1: {FLOAT}", "0.0 %", "0.0 %", "1.00 MiB", "878.9 KiB", "9.8 KiB", "48.8 KiB"),
    )


def test_variant_nodes_names_them(report):
    table = tables_int8.variant_nodes(report.targets["made-up-board"])
    named = ", ".join(f"encoder/layer.{i}/dense" for i in range(6)) + " and 2 more"
    assert table.rows == (("teacher_int8", FLOAT, named, "8"), ("teacher_int8", RESTORED, "tied_table", "1"),
                          ("student_int8_aware", FLOAT, "head", "1"))


def test_pages_show_the_variants_and_fold_the_names(report, read_page):
    page, text = render_html(report), render_markdown(report)
    said = " ".join(" ".join(read_page(page).text).split())
    assert TITLE in said
    assert said.index(TITLE) < said.index("Nodes that stayed in float, by variant")
    assert "<details><summary>Nodes that stayed in float, by variant</summary>" in page
    assert "#### What is int8 in each variant" in text
    assert f"| teacher_int8 | static_wi8_ai8 | 8: {FLOAT}; 1: {RESTORED} | 75.0 % | 50.0 % |" in text
    assert "<details><summary>Nodes that stayed in float, by variant</summary>" in text


def test_pages_of_a_report_that_has_the_shipped_one_alone_show_no_such_table(parts):
    report = build_report(parts)
    assert TITLE not in render_html(report)
    assert TITLE not in render_markdown(report)


def test_report_without_the_field_is_read_as_before(report):
    old = json.loads(report.to_json())
    for variant in old["targets"]["made-up-board"]["variants"].values():
        del variant["int8"]
    read = RunReport.model_validate(old)
    assert all(variant.int8 is None for variant in read.targets["made-up-board"].variants.values())
    assert tables_int8.variants(read.targets["made-up-board"]).rows == ()


def test_a_part_that_a_graph_has_not_weighs_nothing(with_target, target_parts):
    bare = Coverage(weight_bytes_share=1, nodes_share=1, float_nodes=(), bytes_by_part={})
    report = build_report(with_target(verdicts={"teacher_int8": target_parts.quantization.model_copy(update={"coverage": bare})}))
    assert tables_int8.variants(report.targets["made-up-board"]).rows[0][5:] == ("0 B",) * 4
