"""Adapter to packaging: which versions of a package the installed edgedistill takes."""

import functools
import importlib.metadata
from dataclasses import dataclass


@dataclass(frozen=True)
class Bounds:
    """The versions of a package that edgedistill takes.

    Attributes:
        versions: as pip reads them, such as `>=2.6`.
        requirement: what pip is asked for, such as `torch>=2.6`.
    """

    versions: str
    requirement: str


def exceeded_bounds(package: str, version: str | None) -> Bounds | None:
    """Return the bounds that a version of a package is outside of, None where there is no version or it is inside.

    None too where nobody can tell: edgedistill is not installed but run from its folder, packaging is missing, or the version
    is not written as PEP 440 has it.
    """
    requirements = _requirements()
    if version is None or package not in requirements:
        return None
    from packaging.requirements import Requirement
    from packaging.version import InvalidVersion, Version

    wanted = Requirement(requirements[package])
    try:
        is_inside = wanted.specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:  # somebody's own build
        return None
    if is_inside:
        return None
    extras = f"[{','.join(sorted(wanted.extras))}]" if wanted.extras else ""
    versions = ",".join(sorted(map(str, wanted.specifier), reverse=True))  # the lower bound first
    return Bounds(versions, f"{package}{extras}{versions}")


@functools.cache
def _requirements() -> dict[str, str]:
    """Return what the installed edgedistill asks for, by package, with those of its extras; empty where nobody can tell."""
    try:
        importlib.metadata.version("packaging")
        asked = importlib.metadata.requires("edgedistill") or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    return {canonicalize_name(Requirement(text).name): text for text in asked}
