"""Folders that are divided into splits: which subfolder is which, however it is spelled, and what only looks like it."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from edgedistill.errors import DataError
from edgedistill.tasks.image_classification.tables import SPLIT_NAMES

_SPLIT_OF = {word: split for split, words in SPLIT_NAMES.items() for word in words}
_WORD = "|".join(sorted(_SPLIT_OF, key=len, reverse=True))
_NAME = re.compile(rf"(?P<before>(?:.+[_-])?)(?P<word>{_WORD})(?P<after>(?:[_-].+)?)")

_Frame = tuple[str, str]
"""What stands before and after the word in names such as seg_train and train-images."""

_PLAIN: _Frame = ("", "")


def split_folder(folder: Path, split: str) -> Path | None:
    """Return the subfolder of a split, None where the folder is not divided into splits, or has no such one.

    A folder is divided where a subfolder called train or training holds folders, or where subfolders such as seg_train and
    seg_test, alike but for that word, do so; capitals do not count.

    Args:
        folder: any folder.
        split: train, validation or test.

    Raises:
        DataError: several subfolders could be the split, or train could be a class as well.
    """
    found = _divided(folder)
    several = found.get(split, [])
    if len(several) > 1:
        raise DataError(f"{folder}: {_listed(several)} could each be the {split} split",
                        hint=f"name one folder for each split: data.{split}: {several[0]}" + _others(found, split))
    return several[0] if several else None


def subfolders(folder: Path) -> list[Path]:
    """Return the folders in a folder, sorted; hidden ones count as nothing."""
    with os.scandir(folder) as items:
        return sorted(folder / item.name for item in items if not item.name.startswith(".") and item.is_dir())


def class_folders_inside(folder: Path) -> Path | None:
    """Return the first folder below that holds several folders, where each above holds one only; None where there is none."""
    inside = subfolders(folder)
    if len(inside) != 1:
        return None
    return inside[0] if len(subfolders(inside[0])) > 1 else class_folders_inside(inside[0])


def refuse_splits_as_classes(folder: Path, classes: Sequence[Path], suffixes: Iterable[str]) -> None:
    """Refuse folders that stand where classes are expected and look like splits: by their names, or by what they hold.

    Args:
        folder: where they are.
        classes: its subfolders.
        suffixes: ends of the names of pictures, in lower case.

    Raises:
        DataError: all are called like splits, or all hold the same folders and no pictures beside them.
    """
    if len(classes) < 2:
        return
    names = [{item.name for item in subfolders(place)} for place in classes]
    is_picture = tuple(suffixes)
    if len(names[0]) > 1 and all(found == names[0] for found in names) and not any(
        item.is_file() and item.suffix.lower() in is_picture for place in classes for item in place.iterdir()
    ):
        raise _same_inside(folder, classes, sorted(names[0]))
    read = [_read_name(place.name) for place in classes]
    if None not in read and len({item[1] for item in read if item is not None}) == 1:
        raise DataError(f"{folder}: {_listed(classes)} are called like splits; no train holds a folder for each class",
                        hint=f"make folders such as {classes[0] / 'cat'} and {classes[0] / 'dog'} in each; if they are classes, "
                        "call them otherwise")


def _same_inside(folder: Path, classes: Sequence[Path], names: Sequence[str]) -> DataError:
    held = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    message = f"{folder}: {_listed(classes)} hold folders of the same names ({held}): are these the classes?"
    if all(_read_name(name) is not None for name in names):
        return DataError(message.replace("these the classes", "these the splits"),
                         hint=f"put the splits above the classes: {folder / names[0] / classes[0].name}")
    roles = {item[0]: place for place in reversed(classes) if (item := _read_name(place.name)) is not None}
    rest = [place for place in classes if place not in roles.values()]
    for split in ("train", "test"):
        if split not in roles and rest:
            roles[split] = rest.pop(0)
    written = ", ".join(f"data.{split}: {roles[split]}" for split in SPLIT_NAMES if split in roles)
    return DataError(message, hint=f"if they are, write {written}; if not, move the pictures up into the folder of their class")


def _divided(folder: Path) -> dict[str, list[Path]]:
    """Return the folders of each split; nothing where the folder is not divided."""
    inside = subfolders(folder)
    by_frame: dict[_Frame, dict[str, list[Path]]] = {}
    for place in inside:
        read = _read_name(place.name)
        if read is not None:
            by_frame.setdefault(read[1], {}).setdefault(read[0], []).append(place)
    plain = by_frame.pop(_PLAIN, {})
    if any(subfolders(place) for place in plain.get("train", ())):
        _refuse_train_as_class(folder, plain, inside)
        return {split: [place for place in places if subfolders(place)] or places for split, places in plain.items()}
    framed = [found for found in by_frame.values() if "train" in found and len(found) > 1
              and all(subfolders(place) for places in found.values() for place in places)]
    if len(framed) > 1:
        raise DataError(f"{folder}: {_listed([found['train'][0] for found in framed])} could each be the train split",
                        hint=f"name one folder for each split: data.train: {framed[0]['train'][0]}" + _others(framed[0], "train"))
    return framed[0] if framed else {}


def _refuse_train_as_class(folder: Path, plain: dict[str, list[Path]], inside: Sequence[Path]) -> None:
    """Refuse a folder train, and no other split, beside folders that hold the same folders as it does."""
    if len(plain) > 1:
        return
    own = {item.name for place in plain["train"] for item in subfolders(place)}
    alike = [place for place in inside if place not in plain["train"] and own & {item.name for item in subfolders(place)}]
    if alike:
        train = plain["train"][0]
        hint = f"if it is a split, write data.train: {train}; if a class, move the pictures of each class up into its folder"
        raise DataError(
            f"{folder}: {_listed([train, *alike])} hold folders of the same names: is {train.name} a split or a class?", hint=hint
        )


def _read_name(name: str) -> tuple[str, _Frame] | None:
    """Return the split that a folder's name says, and what stands around the word; None where it says none."""
    found = _NAME.fullmatch(name.lower())
    return None if found is None else (_SPLIT_OF[found["word"]], (found["before"], found["after"]))


def _listed(places: Sequence[Path]) -> str:
    names = [place.name for place in places[:5]]
    return ", ".join(names) + (", ..." if len(places) > 5 else "") if len(places) != 2 else " and ".join(names)


def _others(found: dict[str, list[Path]], split: str) -> str:
    return "".join(f", data.{name}: {places[0]}" for name, places in found.items() if name != split)
