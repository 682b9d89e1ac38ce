"""The prepare stage of pictures: what is written, what is left out, and what is said about it."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgedistill.errors import DataError
from edgedistill.examples import NO_LABEL, read_examples
from edgedistill.manifest import GivenWarning
from edgedistill.plan import PictureSize
from edgedistill.stage import Workspace
from edgedistill.tasks.image_classification import prepare_stage as stage
from edgedistill.tasks.image_classification.data_file import write_data_file
from edgedistill.tasks.image_classification.data_report import PictureReport
from edgedistill.tasks.image_classification.pictures import pixels_of
from edgedistill.tasks.task import DataFile


def prepared(out: Path, train: Path, **settings: object) -> tuple[Path, PictureReport]:
    done = Workspace(out).perform("prepare", stage.STAGE, stage.Settings(**settings), stage.Inputs(train))
    return done.folder, PictureReport.read_json(done.folder / "data_report.json")


def test_prepare_when_a_folder_then_three_splits_of_squares(make_folder, tmp_path: Path) -> None:
    folder, report = prepared(tmp_path / "out", make_folder(rows=20))
    assert report.classes == ("dark", "light")
    assert (report.side, report.channels) == (32, 3)
    assert report.train.rows + report.validation.rows + report.test.rows == 40
    for split in ("train", "validation", "test"):
        examples = read_examples(folder / f"{split}.arrow")
        values = pixels_of(examples).take(range(len(examples)))
        assert values.shape[1:] == (32, 32, 3)
        means = values.mean(axis=(1, 2, 3))
        np.testing.assert_array_equal(means > 120, examples.labels == 1)


@pytest.mark.parametrize(("settings", "why"), [
    ({}, "by the pictures of train"), ({"side": 24, "channels": 1}, "by the recipe"),
    ({"side": 24}, "the size by the recipe, grey or colour by the pictures of train"),
])
def test_prepare_when_the_size_is_decided_then_says_by_what(settings: dict[str, int], why: str, make_folder, tmp_path: Path) -> None:
    done = Workspace(tmp_path / "out").perform("prepare", stage.STAGE, stage.Settings(**settings), stage.Inputs(make_folder()))
    assert done.manifest.decisions[0].why == why


def test_prepare_when_repeated_then_the_same_bytes(make_folder, tmp_path: Path) -> None:
    source = make_folder()
    first, second = (prepared(tmp_path / name, source)[0] for name in ("a", "b"))
    assert (first / "train.arrow").read_bytes() == (second / "train.arrow").read_bytes()


def test_prepare_when_pictures_are_broken_animated_doubled_or_alone_then_the_report_names_them(make_folder, tmp_path: Path) -> None:
    source = make_folder(rows=20)
    (source / "dark" / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    (source / "dark" / "copy.png").write_bytes((source / "dark" / "00.png").read_bytes())
    (source / "alone").mkdir()
    frames = [Image.new("RGB", (24, 24), (0, 0, shade)) for shade in (10, 200)]
    frames[0].save(source / "alone" / "a.gif", save_all=True, append_images=frames[1:])
    _, report = prepared(tmp_path / "out", source)
    assert len(report.broken) == 1
    assert report.broken[0].startswith("dark/broken.jpg: ")
    assert report.single == ("alone",)
    assert report.treated["animated"] == 1
    assert report.train.dropped_duplicates == 1


def test_prepare_when_equal_pictures_have_different_labels_then_all_are_kept_and_counted(make_folder, tmp_path: Path) -> None:
    source, test, validation = make_folder(rows=20), make_folder("test", rows=4), make_folder("validation", rows=4)
    (source / "light" / "copy.png").write_bytes((source / "dark" / "00.png").read_bytes())
    done = Workspace(tmp_path / "out").perform("prepare", stage.STAGE, stage.Settings(), stage.Inputs(source, validation, test))
    report = PictureReport.read_json(done.folder / "data_report.json")
    assert (report.train.rows, report.train.dropped_duplicates, report.conflicting) == (41, 0, 1)


def test_prepare_when_an_array_has_twelve_bits_then_each_dark_picture_is_counted(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 4096, (40, 8, 8), dtype=np.uint16)
    values[0] = 40_000
    np.savez(tmp_path / "d.npz", image=values, label=np.arange(40) % 2)
    done = Workspace(tmp_path / "out").perform("prepare", stage.STAGE, stage.Settings(), stage.Inputs(tmp_path / "d.npz"))
    assert PictureReport.read_json(done.folder / "data_report.json").treated == {"16 bits": 40, "dark 16 bits": 39}
    (why,) = [item.why for item in done.manifest.decisions if item.what == "39 pictures: dark 16 bits"]
    assert "nearly black" in why


def test_prepare_when_a_tiff_holds_floats_then_it_is_not_said_to_have_16_bits(make_folder, tmp_path: Path) -> None:
    source = make_folder()
    Image.fromarray(np.linspace(0, 1, 400, dtype=np.float32).reshape(20, 20)).save(source / "dark" / "f.tiff")
    done = Workspace(tmp_path / "out").perform("prepare", stage.STAGE, stage.Settings(), stage.Inputs(source))
    assert PictureReport.read_json(done.folder / "data_report.json").treated == {"floats": 1}
    (why,) = [item.why for item in done.manifest.decisions if item.what == "1 pictures: floats"]
    assert "by 255 where no value of a picture is above 1" in why


def test_prepare_when_most_pictures_are_broken_then_refused_with_the_first(make_folder, tmp_path: Path) -> None:
    source = make_folder(rows=2)
    for number in range(3):
        (source / "dark" / f"bad{number}.png").write_text("x", encoding="utf-8")
    with pytest.raises(DataError, match=r"3 of 7 pictures cannot be decoded, the first: dark/bad0\.png"):
        prepared(tmp_path / "out", source, side=32, channels=3)


def test_prepare_when_a_picture_stands_in_test_too_then_train_loses_it(make_folder, tmp_path: Path) -> None:
    train, test = make_folder(rows=20), make_folder("others", rows=4)
    (test / "dark" / "00.png").write_bytes((train / "dark" / "03.png").read_bytes())
    done = Workspace(tmp_path / "out").perform("prepare", stage.STAGE, stage.Settings(), stage.Inputs(train, test=test))
    report = PictureReport.read_json(done.folder / "data_report.json")
    assert report.train.dropped_in_other_splits == 1
    assert report.test.rows == 8


@pytest.mark.parametrize(("order", "classes"), [
    (("tench", "shark", "ray"), ("dark", "light")),
    (("light", "shark"), ("dark", "light")),
    (("light", "mid", "dark"), ("light", "mid", "dark")),
])
def test_prepare_when_the_teacher_knows_classes_then_its_order_where_it_knows_all(
    order: tuple[str, ...], classes: tuple[str, ...], make_folder, tmp_path: Path
) -> None:
    _, report = prepared(tmp_path / "out", make_folder(), side=16, label_order=order)
    assert report.classes == classes


def test_prepare_when_pictures_without_labels_repeat_labelled_ones_then_they_are_left_out(make_folder, tmp_path: Path) -> None:
    train, test, own = make_folder(rows=20), make_folder("others", rows=4), make_folder("own", rows=3, classes=("any",))
    flat = tmp_path / "flat"
    (own / "any").rename(flat)
    for number, file in enumerate([*sorted(test.rglob("*.png")), train / "dark" / "00.png", flat / "00.png"]):
        (flat / f"again{number}.png").write_bytes(file.read_bytes())
    done = Workspace(tmp_path / "out").perform(
        "prepare", stage.STAGE, stage.Settings(side=32), stage.Inputs(train, test=test, unlabelled=flat))
    rows = read_examples(done.folder / "unlabelled.arrow")
    assert rows.shown == ["00.png", "01.png", "02.png"]
    assert rows.labels.tolist() == [-1, -1, -1]
    told = [decision.what for decision in done.manifest.decisions]
    assert "took 3 of 13 pictures without labels" in told


def test_prepare_when_train_is_a_saved_data_set_with_splits_then_takes_them(make_folder, tmp_path: Path) -> None:
    import datasets

    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["dark", "light"])})
    splits = {}
    for name, rows in (("train", 12), ("validation", 3), ("test", 2)):
        files = sorted(make_folder(name, rows=rows).rglob("*.png"))
        table = {"image": [str(file) for file in files], "label": [int(file.parent.name == "light") for file in files]}
        splits[name] = datasets.Dataset.from_dict(table, features=features)
    datasets.DatasetDict(splits).save_to_disk(str(tmp_path / "saved"))
    _, report = prepared(tmp_path / "out", tmp_path / "saved", side=32)
    assert [split.rows for split in (report.train, report.validation, report.test)] == [24, 6, 4]
    assert not report.test.is_made_here


def test_prepare_when_pictures_are_left_out_then_decisions_say_so_and_what_to_do(make_folder, tmp_path: Path) -> None:
    source = make_folder(rows=20)
    (source / "none").mkdir()
    for name in ("none/a.heic", "dark/b.heic", "stray.png", "dark/notes.txt"):
        (source / name).write_bytes(b"x")
    done = Workspace(tmp_path / "out").perform("prepare", stage.STAGE, stage.Settings(side=32), stage.Inputs(source))
    told = {decision.what: decision.why for decision in done.manifest.decisions}
    assert "convert them to JPEG" in told["left 2 pictures out that are not read: dark/b.heic, none/a.heic"]
    assert "left 1 pictures out that lie beside the folders of the classes: stray.png" in told
    assert "folders without a picture that is read: none" in told
    assert not [what for what in told if "notes.txt" in what]


def test_prepare_when_all_pictures_are_of_one_class_then_refused_before_any_is_decoded(make_folder, tmp_path: Path) -> None:
    make_folder("wrap/photos", rows=2)
    with pytest.raises(DataError, match="two classes are needed"):
        prepared(tmp_path / "out", tmp_path / "wrap")


def test_prepare_when_a_name_is_not_utf8_then_the_rows_name_it_readably(make_folder, tmp_path: Path) -> None:
    source = make_folder(rows=20)
    for file, name in ((source / "dark" / "00.png", b"caf\xe9.png"), (source / "light" / "00.png", b"\xff.txt")):
        file.rename(file.with_name(os.fsdecode(name)))
    folder, report = prepared(tmp_path / "out", source, side=16)
    names = [name for split in ("train", "validation", "test") for name in read_examples(folder / f"{split}.arrow").shown]
    assert "dark/caf\\xe9.png" in names
    assert report.ignored == ("light/\\xff.txt",)


def test_write_data_file_when_columns_are_called_otherwise_then_the_hint_fits_commands_without_such_options(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("file,label\na.png,a\n", encoding="utf-8")
    np.savez(tmp_path / "d.npz", pictures=np.zeros((1, 4, 4), np.uint8))
    for name in ("d.csv", "d.npz"):
        with pytest.raises(DataError, match="no (column|array) 'image'") as refused:
            write_data_file(DataFile(tmp_path / name, "test", ("a",)), tmp_path / "rows.arrow", size=PictureSize(16, 3))
        assert refused.value.hint.startswith("call the columns image and label, or prepare the data first")


def test_write_data_file_when_labels_are_not_needed_then_a_flat_folder_will_do(make_folder, tmp_path: Path) -> None:
    flat = make_folder(rows=3) / "dark"
    write_data_file(DataFile(flat, "test", None), tmp_path / "rows.arrow", size=PictureSize(16, 3))
    assert read_examples(tmp_path / "rows.arrow").shown == ["00.png", "01.png", "02.png"]


def test_write_data_file_when_labels_may_lack_then_folders_of_classes_are_still_read_as_such(make_folder, tmp_path: Path) -> None:
    folder = make_folder(rows=2)
    names = tuple(sorted(path.name for path in folder.iterdir()))
    for path, expected in ((folder, [number for number in range(len(names)) for _ in range(2)]), (folder / names[0], [NO_LABEL] * 2)):
        write_data_file(DataFile(path, "test", names, may_lack_labels=True), tmp_path / "rows.arrow", size=PictureSize(16, 3))
        assert sorted(read_examples(tmp_path / "rows.arrow").labels.tolist()) == expected


def test_prepare_when_a_split_lacks_a_class_then_warns_of_it_with_the_reason(
    make_folder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train, given = make_folder(rows=20), make_folder("given", rows=4, classes=("light",))
    Path(make_folder("more", rows=1, classes=("rare",)) / "rare").rename(train / "rare")
    done = Workspace(tmp_path / "out").perform("prepare", stage.STAGE, stage.Settings(), stage.Inputs(train, validation=given))
    told = {d.what: d for d in done.manifest.decisions if "no row" in d.what}
    assert list(told) == ["validation has no row of these classes: dark, rare", "test has no row of these classes: rare"]
    assert told["validation has no row of these classes: dark, rare"].why.startswith("the rows that were given for it have none")
    assert "one whose picture stands in another split" in told["test has no row of these classes: rare"].why
    assert all(isinstance(d, GivenWarning) and d.what in caplog.text for d in told.values())
