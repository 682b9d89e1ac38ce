"""Check a bundle: every file against its sha256, and the golden vectors against both models in it."""

from pathlib import Path

from pydantic import Field

from edgedistill.document import Document
from edgedistill.errors import BundleError, ParityError
from edgedistill.host import tool_version
from edgedistill.package.archive import opened_bundle
from edgedistill.package.contents import BundleManifest, read_manifest
from edgedistill.package.standalone_verify import check_bundle


class BundleCheck(Document):
    """What checking a bundle found."""

    files_checked: int
    altered_files: tuple[str, ...] = Field(description="missing, altered, or not part of the bundle")
    vectors_replayed: int = Field(description="golden vectors, all models together")
    models: tuple[str, ...] = Field(description="the models that answered them")
    ids_checked: bool = Field(description="were the golden texts tokenized again?")
    decisions_flipped: int
    max_abs_error: float | None = Field(description="largest difference of a logit; null: none, or not a number")
    passed: bool
    problems: tuple[str, ...] = Field(description="a sentence each")
    warnings: tuple[str, ...] = Field((), description="what does not fail the check but must be known, a sentence each")


def verify_bundle(bundle: Path) -> BundleCheck:
    """Replay the golden vectors on model.onnx and model.ort, and compare every file with its sha256.

    A file whose hash is wrong is named and not opened. It is the check that `verify.py` in the bundle does, by the
    same code.

    Args:
        bundle: a bundle's folder or its zip.

    Returns:
        The findings; `passed` is true when there is no problem.

    Raises:
        BundleError: it is no bundle, its bundle.json cannot be read, or the zip is damaged or not to be trusted.
    """
    with opened_bundle(bundle) as folder:
        manifest = read_manifest(folder)
        found = check_bundle(folder)
    return BundleCheck(
        files_checked=found.files,
        altered_files=found.altered,
        vectors_replayed=found.vectors,
        models=found.models,
        ids_checked=found.ids_checked,
        decisions_flipped=found.decisions_flipped,
        max_abs_error=found.max_abs_error if found.models and found.max_abs_error < float("inf") else None,
        passed=not found.problems,
        problems=found.problems,
        warnings=_denials(manifest, tool_version("onnxruntime")),
    )


def _denials(manifest: BundleManifest, installed: str | None) -> tuple[str, ...]:
    """Say it when the onnxruntime that answered is one that the bundle's target must not have."""
    return tuple(
        f"onnxruntime {installed} answered here and must not be used on {manifest.target_id}: {denied.reason} "
        f"({denied.reference})"
        for denied in manifest.runtime_denied
        if installed is not None and denied.covers(installed)
    )


def require_sound_bundle(bundle: Path) -> BundleCheck:
    """Check a bundle and refuse one that does not pass.

    Raises:
        BundleError: a file is missing, altered or extra.
        ParityError: all files are as they were packed, but a model answers differently here.
    """
    check = verify_bundle(bundle)
    if check.altered_files:
        raise BundleError(f"{bundle}: {'; '.join(check.problems)}", hint="copy the bundle again, or make it again")
    if not check.passed:
        raise ParityError(f"{bundle}: {'; '.join(check.problems)}",
                          hint="see 'instruction sets' in docs/verify.md; edgedistill doctor shows this machine's")
    return check
