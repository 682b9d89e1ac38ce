"""Sources for the apps that load a bundle: a Gradle module in Kotlin, a Swift package, and a page with onnxruntime-web."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import jinja2

from edgedistill.package.bert_rules import BertRules
from edgedistill.package.contents import GOLDEN_FILE, TEXT_MODEL_FILE, ModelInput
from edgedistill.package.mobile_versions import version_values
from edgedistill.problem_type import ONE_LABEL, SEVERAL_LABELS, ProblemType

KOTLIN_PACKAGE = "org.edgedistill.classifier"

_MODULES = {
    "android/settings.gradle.kts": "android/settings.gradle.kts",
    "android/build.gradle.kts": "android/build.gradle.kts",
    "android/gradle.properties": "android/gradle.properties",
    "android/AndroidManifest.xml": "android/src/main/AndroidManifest.xml",
    "android/GoldenVectorsTest.kt": "android/src/androidTest/kotlin/GoldenVectorsTest.kt",
    "ios/Package.swift": "Package.swift",
    "ios/GoldenVectorsTests.swift": "ios/Tests/GoldenVectorsTests.swift",
    "web/package.json": "web/package.json",
}
"""Template below `templates/` -> its place in the bundle, of what is alike for every task."""

_PLACES = {
    "android/Classifier.kt": "android/src/main/kotlin/Classifier.kt",
    "android/GraphText.kt": "android/src/main/kotlin/GraphText.kt",
    "ios/Classifier.swift": "ios/Sources/Classifier.swift",
    "web/classifier.js": "web/classifier.js",
    "web/index.html": "web/index.html",
}
"""The same of what is for texts."""

CHARACTERS_FILE = "web/characters.json"

_LAST_OF_PLANE_0 = 0xFFFF
_IDEOGRAPHS = range(0x3400, 0xA000)
_LETTERS = range(0x0250, 0x2000)


@dataclass(frozen=True)
class AppModules:
    """What the modules for Android and iOS, and the page, of a task are told.

    Attributes:
        classifier: the class that they have; the Swift package has its name too.
        package: the Kotlin package.
        title: what the model is called.
        labels: name of each class.
        has_extensions: does the model need the operators of onnxruntime-extensions?
        asked_kotlin: expression of the input of the golden vector `vector`, at `position` in `golden`.
        asked_swift: the same in Swift.
        beside: files of the bundle beside those that every bundle has, which the Swift package leaves out.
        problem: may an example have several labels?
    """

    classifier: str
    package: str
    title: str
    labels: Sequence[str]
    has_extensions: bool
    asked_kotlin: str
    asked_swift: str
    beside: tuple[str, ...]
    problem: ProblemType = ONE_LABEL

    def values(self) -> dict[str, Any]:
        """Return what templates may name."""
        has_several = self.problem == SEVERAL_LABELS
        excluded = tuple(json.dumps(name) for name in (*_NOT_SWIFT, *self.beside))
        return dict(vars(self)) | version_values() | {
            "excluded": excluded, "model_file": TEXT_MODEL_FILE, "golden_file": GOLDEN_FILE,
            "has_several": has_several, "decision": "labels" if has_several else "class",
        }


@dataclass(frozen=True)
class HighCharacters:
    """What becomes of characters beyond U+FFFF, said with characters below.

    Attributes:
        vanishing: ranges of code points that vanish; first and last.
        standing: ranges of code points that are words of their own; first and last.
        images: text by code point, where a piece is made of it.
        alone: a text that is one word of its own, in no piece, wherever it stands.
        unknown: a character that is in no piece and stands inside words.
    """

    vanishing: tuple[tuple[int, int], ...]
    standing: tuple[tuple[int, int], ...]
    images: tuple[tuple[int, str], ...]
    alone: str
    unknown: str


def high_characters(rules: BertRules) -> HighCharacters | None:
    """Return the rules for characters beyond U+FFFF, or None when a piece is made of such a character."""
    characters, alphabet = rules.characters, set("".join((*rules.starts, *rules.inner)))
    high = {ord(char): text for char, text in characters.image.items() if ord(char) > _LAST_OF_PLANE_0}
    if any(ord(char) > _LAST_OF_PLANE_0 for char in alphabet):
        return None
    known = {code: text for code, text in high.items() if text.strip() and alphabet.issuperset(text.replace(" ", ""))}
    standing = {code for code, text in high.items() if text.startswith(" ") and code not in known}
    alone_codes = {code for first, last in characters.alone for code in range(first, last + 1)}
    unknown = next(chr(code) for code in _LETTERS if chr(code) not in characters.image and code not in alone_codes)
    ideographs = (chr(code) for code in _IDEOGRAPHS if code in alone_codes and chr(code) not in alphabet)
    return HighCharacters(
        vanishing=_with_long(_ranges(code for code, text in high.items() if not text), characters.dropped),
        standing=_with_long(_ranges(standing), characters.alone),
        images=tuple(sorted(known.items())),
        alone=next(ideographs, f" {unknown} "),  # without handle_chinese_chars ideographs are letters, and punctuation stands
        unknown=unknown,
    )


def app_sources(
    rules: BertRules, *, title: str, labels: Sequence[str], inputs: Sequence[ModelInput], example: str,
    problem: ProblemType = ONE_LABEL,
) -> dict[str, str]:
    """Return the sources by their name in the bundle; the same arguments give the same text.

    Args:
        rules: the tokenizer as tables.
        title: what the model is called.
        labels: name of each class.
        inputs: inputs of model.onnx, which the page feeds.
        example: a text that the page shows first.
        problem: may a text have several labels?

    Returns:
        all but the Kotlin module when pieces hold characters beyond U+FFFF, which Java's binding cannot hand over.
    """
    high = high_characters(rules)
    modules = AppModules(
        classifier="Classifier", package=KOTLIN_PACKAGE, title=title, labels=labels, has_extensions=True,
        asked_kotlin='vector.getString("text")', asked_swift="vector.text", beside=("tokenizer.json",),
        problem=problem,
    )
    values = modules.values() | {
        "example": example, "page_imports": "Classifier, replay", "input_types": {i.name: i.dtype for i in inputs},
    }
    if high is not None:
        values |= {name: getattr(high, name) for name in ("vanishing", "standing", "images", "alone", "unknown")}
    places = {name: place for name, place in (_MODULES | _PLACES).items() if high is not None or not name.startswith("android/")}
    return render_sources(_templates(), places, values) | {CHARACTERS_FILE: characters_json(rules)}


def module_sources(modules: AppModules) -> dict[str, str]:
    """Return what the modules for Android and iOS, and the page, have alike for every task, by name in the bundle.

    The classifier itself is not among it: each task has its own.
    """
    return render_sources(_templates(), _MODULES, modules.values())


def render_sources(folder: Traversable, places: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, str]:
    """Return rendered templates by their place in the bundle.

    Args:
        folder: where the templates lie; parts that they include lie in this module's folder.
        places: template below `folder` -> its place.
        values: what the templates may name.
    """
    environment = _environment()
    return {
        place: environment.from_string(folder.joinpath(name).read_text(encoding="utf-8")).render(values)
        for name, place in places.items()
    }


def _templates() -> Traversable:
    return files("edgedistill.package").joinpath("templates")


def characters_json(rules: BertRules) -> str:
    """Return the character table for tokenizers in other languages, as JSON.

    `image` is text by character, spaces parting words; a character that is in no range and not in `image` is in no
    token. `dropped` and `alone` are ranges of code points, first and last, that vanish or are words of their own.
    `frame` holds the first and the last id.
    """
    content = {
        "alone": rules.characters.alone, "dropped": rules.characters.dropped,
        "frame": [rules.first_id, rules.last_id], "image": dict(rules.characters.image),
    }
    return json.dumps(content, sort_keys=True, separators=(",", ":")) + "\n"


_NOT_SWIFT = (
    "android", "web", "ios/Tests", "model.onnx", "model.ort", "labels.json", "bundle.json", "bom.cdx.json", "verify.py",
    "README.md", "LICENSES.md", "required_operators_and_types.config",
)


def _environment() -> jinja2.Environment:
    """Return the environment of the templates, with filters for literals of Kotlin and Swift.

    A template includes a part by its name below `templates/`; the line of the `include` ends what the part's last line is.
    """
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - programs in three languages; the page alone is HTML, and escapes by filter
        loader=jinja2.FunctionLoader(_part),
    )
    environment.filters |= {"kotlin": _kotlin, "swift": _swift, "u16": _u16, "pairs": _pairs}
    return environment


def _part(name: str) -> str:
    """Return a part that several templates include, without its last end of line."""
    return _templates().joinpath(name).read_text(encoding="utf-8").removesuffix("\n")


def _kotlin(text: str) -> str:
    """Return a string literal of Kotlin in ASCII."""
    units = text.encode("utf-16-be")
    codes = [int.from_bytes(units[i : i + 2], "big") for i in range(0, len(units), 2)]
    return '"' + "".join(_plain(code) or f"\\u{code:04x}" for code in codes) + '"'


def _swift(text: str) -> str:
    """Return a string literal of Swift in ASCII."""
    return '"' + "".join(_plain(ord(char)) or f"\\u{{{ord(char):x}}}" for char in text) + '"'


def _plain(code: int) -> str | None:
    """Return a character that means itself in a literal of either language, else None."""
    return chr(code) if 0x20 <= code < 0x7F and chr(code) not in '"\\$' else None


def _u16(char: str) -> str:
    return f"\\u{ord(char):04X}"


def _pairs(ranges: Iterable[tuple[int, int]]) -> str:
    return ", ".join(f"0x{first:X}, 0x{last:X}" for first, last in ranges)


def _with_long(
    short: Sequence[tuple[int, int]], long: Sequence[tuple[int, int]]
) -> tuple[tuple[int, int], ...]:
    return tuple(sorted([*short, *(pair for pair in long if pair[0] > _LAST_OF_PLANE_0)]))


def _ranges(codes: Iterable[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for code in sorted(codes):
        if found and found[-1][1] == code - 1:
            found[-1] = (found[-1][0], code)
        else:
            found.append((code, code))
    return found


def sources_as_bytes(sources: Mapping[str, str]) -> dict[str, bytes]:
    """Return the sources as they are written: UTF-8."""
    return {name: text.encode() for name, text in sources.items()}
