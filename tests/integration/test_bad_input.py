"""Bad input of many kinds: one message and one hint on stderr, the documented exit code, and nothing damaged."""

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from filelock import FileLock

from edgedistill import catalog, run_folder
from edgedistill.cli.app import run_command_line
from edgedistill.prepare import stage as prepare_stage

from .conftest import Chain

RECIPE = """\
schema_version: 1
id: tiny
task: text-classification
data:
  train: train.tsv
  validation: validation.tsv
  test: test.tsv
teacher:
  name: classifier
  max_tokens: 32
distillation:
  rows_seen: 200
  transfer_set: {rows: 600, copies: 6}
"""
BYTE_PAIRS = '{"model": {"type": "BPE", "vocab": {}, "merges": []}}'
RUN = ("run", "--recipe", "recipe.yaml", "--target", "raspberry-pi", "--out", "out")
PLAN = ("plan", "--recipe", "recipe.yaml", "--target", "raspberry-pi")
HOLD = """
import sys, filelock
with filelock.FileLock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""
PREPARE = ("prepare", "--recipe", "recipe.yaml", "--out", "out")


@dataclass(frozen=True)
class Answer:
    """What a command answered."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Case:
    """A kind of bad input.

    Attributes:
        arguments: what is typed; paths are relative to the world's folder.
        words: what the message or the hint must say.
        damage: makes the input bad.
        code: the exit code.
        in_process: is it asked without a new process, which is quicker?
    """

    arguments: tuple[str, ...]
    words: tuple[str, ...]
    damage: Callable[[Path], object] = field(default=lambda world: None)
    code: int = 2
    in_process: bool = True


def _write(name: str, content: str | bytes) -> Callable[[Path], object]:
    raw = content if isinstance(content, bytes) else content.encode()
    return lambda world: (world / name).write_bytes(raw)


def _recipe(*changes: tuple[str, str]) -> Callable[[Path], object]:
    text = RECIPE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return _write("recipe.yaml", text)


def _target(**changes: object) -> Callable[[Path], object]:
    """Write board.yaml: the shipped raspberry-pi with changes."""

    def write(world: Path) -> None:
        shipped = Path(catalog.data_folder("targets")) / "raspberry-pi.yaml"
        content = yaml.safe_load(shipped.read_text(encoding="utf-8"))
        for key, value in changes.items():
            place = content
            *parents, last = key.split("__")
            for parent in parents:
                place = place[parent]
            place[last] = value
        (world / "board.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

    return write


def _pickled_teacher(world: Path) -> None:
    (world / "classifier" / "model.safetensors").unlink()
    (world / "classifier" / "pytorch_model.bin").write_bytes(b"\x80\x02}q\x00.")


def _of_family(name: str) -> Callable[[Path], None]:
    def change(world: Path) -> None:
        file = world / "classifier" / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | {"model_type": name}), encoding="utf-8")

    return change


def _rename_class(world: Path) -> None:
    text = (world / "test.tsv").read_text(encoding="utf-8")
    (world / "test.tsv").write_text(text.replace("\ngreet\t", "\ngreeet\t", 1), encoding="utf-8")


def _ragged(world: Path) -> None:
    lines = (world / "train.tsv").read_text(encoding="utf-8").splitlines()
    lines[4] += "\tone more"
    (world / "train.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


CASES = {
    # the first dozen go through a process of their own
    "unknown target": Case(("plan", "-r", "recipe.yaml", "-t", "raspbery-pi"), ("did you mean 'raspberry-pi'",),
                           in_process=False),
    "unknown recipe": Case(("run", "-r", "home-intent", "-t", "raspberry-pi"),
                           ("did you mean 'home-intents'", "edgedistill recipes list"), in_process=False),
    "unknown key": Case(RUN, ("recipe.yaml:12: distillation.rows_sen", "did you mean 'rows_seen'"),
                        _recipe(("rows_seen", "rows_sen")), in_process=False),
    "wrong type": Case(RUN, ("recipe.yaml:10: teacher.max_tokens", "'many'"), _recipe(("32", "many")),
                       in_process=False),
    "bad YAML": Case(RUN, ("recipe.yaml:7:7: expected",), _recipe(("train: train.tsv", "train: [")), in_process=False),
    "missing data file": Case(RUN, ("train.tsv: no such file",), lambda world: (world / "train.tsv").unlink(),
                              in_process=False),
    "undecodable bytes": Case(RUN, ("train.tsv:2", "UTF-8", "iconv"),
                              _write("train.tsv", b"label\ttext\ngreet\tol\xe1\n"), in_process=False),
    "pickled teacher": Case(RUN, ("pytorch_model.bin", "safe_serialization=True"), _pickled_teacher, in_process=False),
    "out is a file": Case((*RUN[:-1], "train.tsv"), ("train.tsv: is a file", "-o DIR"), in_process=False),
    "nothing fits": Case((*RUN, "--set", "budgets.model_bytes=1000"), ("bert-2x64", "model_bytes"), code=3,
                         in_process=False),
    "unknown option": Case((*RUN, "--tarhget", "x"), ("--tarhget", "edgedistill run --help"), in_process=False),
    "no trials": Case((*RUN, "--trials", "0"), ("--trials 0: at least one student", "--trials 1")),
    "no time": Case((*RUN, "--time-limit", "0"), ("--time-limit 0: more than 0 minutes", "--time-limit 30")),
    # recipes
    "no recipe file": Case(("plan", "-r", "other.yaml", "-t", "raspberry-pi"),
                           ("other.yaml: no such file", "edgedistill init --train FILE -o other.yaml")),
    "recipe file with a slip": Case(("plan", "-r", "recipes.yaml", "-t", "raspberry-pi"),
                                    ("did you mean 'recipe.yaml'", "--recipe recipe.yaml")),
    "recipe file without its end": Case(("plan", "-r", "recipe", "-t", "raspberry-pi"),
                                        ("did you mean 'recipe.yaml'", "--recipe recipe.yaml")),
    "empty recipe": Case(PLAN, ("a mapping of keys", "edgedistill schema recipe"), _write("recipe.yaml", "")),
    "recipe is no text": Case(PLAN, ("byte 1 of the file is not UTF-8",), _write("recipe.yaml", b"\xff\xfe\x00")),
    "key twice": Case(PLAN, ("'seed'",), _write("recipe.yaml", RECIPE + "seed: 1\nseed: 2\n")),
    "two sources of data": Case(PLAN, ("data.train", "data.hub"), _recipe(("  test: test.tsv", "  hub: {name: x/y}"))),
    "unknown rung": Case((*RUN, "--set", "student.rung=bert-9x9"), ("no rung 'bert-9x9'", "bert-2x64")),
    "set of a key of another section": Case((*PLAN, "--set", "temperature=4"),
                                            ("did you mean 'distillation.temperature'", "hint:  --set distillation.temperature=4")),
    "set of no data": Case((*PLAN, "--set", "data.train=null"), ("no training data", "data.train: FILE", "docs/recipe.md")),
    "set of an unknown key": Case((*PLAN, "--set", "distillation.temprature=3"), ("did you mean 'temperature'",)),
    "set without =": Case((*PLAN, "--set", "distillation.temperature"), ("--set distillation.temperature=4",)),
    "set of a value that is none": Case((*PLAN, "--set", "distillation.temperature=hot"), ("--set", "'hot'")),
    "set below a value": Case((*PLAN, "--set", "teacher.name.more=1"), ("name is no section",)),
    "unknown loss": Case((*PLAN, "--set", "distillation.losses=[{name: hiden-states}]"), ("did you mean 'hidden-states'?",)),
    "losses in a plan that need the teacher's tokens": Case(
        (*PLAN, "--set", "distillation.losses=[{name: minilm-v2}]"), ("minilm-v2", "no WordPiece", "decoupled-kd"),
        _write("classifier/tokenizer.json", BYTE_PAIRS)),
    "losses in a run that need the teacher's tokens": Case(
        (*RUN, "--set", "distillation.losses=[{name: minilm-v2}]"), ("minilm-v2", "no WordPiece", "decoupled-kd"),
        _write("classifier/tokenizer.json", BYTE_PAIRS)),
    # targets
    "unknown key in target": Case(("targets", "check", "board.yaml"),
                                  ("cpu.coers", "did you mean 'cores'", "board.yaml:"), _target(cpu__coers=4)),
    "impossible target value": Case(("targets", "check", "board.yaml"), ("ram_bytes.value", "board.yaml:"),
                                    _target(ram_bytes__value=-1)),
    "features of another processor": Case(("plan", "-r", "recipe.yaml", "-t", "./board.yaml"), ("avx2", "aarch64"),
                                          _target(cpu__features=["avx2"])),
    # data
    "missing column": Case(RUN, ("train.tsv:1: no column 'text'; did you mean 'utterance'",),
                           _write("train.tsv", "label\tutterance\ngreet\thello\n")),
    "empty text": Case(RUN, ("train.tsv:3", "the text is empty"),
                       _write("train.tsv", "label\ttext\ngreet\thello\nleave\t \n")),
    "one class": Case(RUN, ("two classes are needed",), _write("train.tsv", "label\ttext\ngreet\thello\ngreet\they\n")),
    "unknown label in test": Case(PREPARE, ("test.tsv:", "'greeet' is not in train", "did you mean 'greet'"),
                                  _rename_class),
    "ragged row": Case(PREPARE, ("train.tsv:5: 3 fields", "2"), _ragged),
    "too few rows, plan": Case((*PLAN, "--set", "data.test=null", "--set", "data.validation=null"),
                               ("2 different rows in 2 classes", "test and validation", "at least 3 of one class and 2 of another"),
                               _write("train.tsv", "label\ttext\ngreet\thello\nleave\tbye\n")),
    "empty file": Case(PREPARE, ("train.tsv: is empty",), _write("train.tsv", "")),
    "header only": Case(PREPARE, ("train.tsv: has no rows",), _write("train.tsv", "label\ttext\n")),
    "unknown format": Case(PLAN, ("known format", ".jsonl"), _recipe(("train: train.tsv", "train: recipe.yaml"))),
    "damaged gzip": Case(PLAN, ("train.tsv.gz", "gzip"), lambda world: (
        _recipe(("train: train.tsv", "train: train.tsv.gz"))(world), _write("train.tsv.gz", b"\x1f\x8bnot")(world))),
    # teachers
    "teacher missing": Case(RUN, ("'nowhere/model'", "allow_hub"),
                            _recipe(("name: classifier", "name: nowhere/model"))),
    "teacher is a file": Case(RUN, ("not a file",), _recipe(("name: classifier", "name: train.tsv"))),
    "teacher of another sha256": Case(RUN, ("sha256", "the recipe wants " + "0" * 64),
                                      _recipe(("name: classifier", f"name: classifier\n  sha256: '{'0' * 64}'"))),
    "teacher's config is not JSON": Case(RUN, ("config.json:1", "save_pretrained"),
                                         _write("classifier/config.json", "{not json")),
    "teacher of a family that is not exported": Case(RUN, ("'fnet' cannot be exported", "docs/export.md"), _of_family("fnet")),
    "teacher that is a decoder": Case(RUN, ("a gpt2 reads texts from left to right", "name an encoder"), _of_family("gpt2")),
    "teacher's config is a list": Case(RUN, ("config.json",), _write("classifier/config.json", "[1, 2]")),
    "teacher's class names are no list": Case(RUN, ("config.json", "id2label"), _write(
        "classifier/config.json",
        json.dumps({"architectures": ["BertForSequenceClassification"], "id2label": {"a": "b"}}))),
    "teacher without a tokenizer": Case(("teach", "-r", "recipe.yaml", "-d", "data", "-o", "out"), ("tokenizer",),
                                        lambda world: [p.unlink() for p in (world / "classifier").glob("*token*")]),
    "teacher with damaged weights": Case(("teach", "-r", "recipe.yaml", "-d", "data", "-o", "out"), ("classifier",),
                                         _write("classifier/model.safetensors", b"\x10\0\0\0\0\0\0\0{broken")),
    # results of other steps
    "corrupted soft labels": Case(
        ("distill", "-r", "recipe.yaml", "-d", "data", "--taught", "taught", "-o", "out"), ("soft_labels.arrow",),
        lambda world: _flip(world / "taught" / "soft_labels" / "soft_labels.arrow")),
    "soft labels of other data": Case(
        ("distill", "-r", "recipe.yaml", "-d", "data", "--taught", "taught", "-o", "out"), ("stale", "data"),
        lambda world: shutil.copyfile(world / "data" / "test.arrow", world / "data" / "train.arrow")),
    "nothing taught": Case(("distill", "-r", "recipe.yaml", "-d", "data", "--taught", "data", "-o", "out"),
                           ("no such file", "edgedistill teach")),
    "nothing prepared": Case(("teach", "-r", "recipe.yaml", "-d", "taught", "-o", "out"), ("edgedistill prepare",)),
    "export of no model": Case(("export", "data", "-o", "out"), ("config.json: no such file",)),
    "quantize of no model": Case(("quantize", "student", "-d", "data", "-o", "out"), ("edgedistill export MODEL",)),
    "quantize of a damaged model": Case(("quantize", "onnx", "-d", "data", "-o", "out"), ("model.onnx",),
                                        _write("onnx/model.onnx", b"not a model")),
    "unknown scheme": Case(("quantize", "onnx", "-d", "data", "-o", "out", "--scheme", "int4"), ("dynamic_wi8_afp32",)),
    "evaluate with other labels": Case(("evaluate", "int8", "-d", "other.tsv"), ("other.tsv:2", "'red'", "greet"),
                                       _write("other.tsv", "label\ttext\nred\ta rose\nblue\tthe sky\n")),
    "evaluate on other columns": Case(("evaluate", "int8", "-d", "other.csv"), ("text and label",),
                                      _write("other.csv", "intent,utterance\ngreet,hi\n")),
    "unknown split": Case(("evaluate", "int8", "-d", "data", "--split", "tset"), ("no split 'tset'", "test")),
    "benchmark of a zip": Case(("benchmark", "packed/bundle.zip", "-d", "data"), ("bundle.zip: neither an .onnx file", "unpack it, and name the folder")),
    "dry run on a device": Case(("run", "--target", "raspberry-pi", "--dry-run", "--on", "ssh://pi@pi"), ("a dry run asks no device",)),
    "benchmark of no model": Case(("benchmark", "data", "-d", "data"), ("neither an .onnx file nor a model folder",)),
    "no threads": Case(("benchmark", "int8", "-d", "data", "--threads", "0"), ("--threads",)),
    "damaged bundle, predict": Case(("predict", "packed/bundle", "hello"), ("model.onnx", "sha256"),
                                    lambda world: _flip(world / "packed" / "bundle" / "model.onnx")),
    "damaged bundle.json, verify": Case(("verify", "packed/bundle"), ("bundle.json",),
                                        _write("packed/bundle/bundle.json", "{}")),
    "no bundle": Case(("verify", "data"), ("no bundle",)),
    "no bundle, predict": Case(("predict", "nowhere", "hello"), ("no such bundle",)),
    "cut zip": Case(("predict", "packed/bundle.zip", "hello"), ("no sound zip",),
                    lambda world: _cut(world / "packed" / "bundle.zip")),
    "report without a run": Case(("report", "data"), ("report.json", "run folder")),
    "report of another file": Case(("report", "recipe.yaml"), ("recipe.yaml: is no report.json", "name the run folder")),
    "damaged report": Case(("report", "data"), ("report.json:1",), _write("data/report.json", "{")),
    "compare of one": Case(("compare", "data"), ("edgedistill compare RUN RUN",)),
    "compare without a run": Case(("compare", "data", "taught"), ("report.json",)),
    # folders
    "out of another verb": Case(("export", "student", "-o", "data"), ("holds the result of `edgedistill prepare`",)),
    "out is the input": Case(("quantize", "int8", "-d", "data", "-o", "int8"), ("cannot be made from itself",)),
    "out is somebody's folder": Case((*PREPARE[:-1], "classifier"), ("edgedistill did not make it",)),
    "run folder is somebody's folder": Case((*RUN[:-1], "classifier"), ("no run of edgedistill",)),
    "out below a file": Case((*RUN[:-1], "train.tsv/out"), ("-o DIR",)),
    "out that no system lets be made": Case((*RUN[:-1], "/proc/edgedistill"), ("/proc/edgedistill",)),
    "init over a file": Case(("init", "--train", "train.tsv", "-o", "recipe.yaml"), ("not overwritten",)),
    "init without data": Case(("init", "-o", "new.yaml"), ("edgedistill init --train FILE",)),
    "init of an unknown task": Case(("init", "--train", "train.tsv", "--task", "translation"), ("'translation'",)),
    "unknown schema": Case(("schema", "recip"), ("edgedistill schema recipe",)),
}


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.fixture
def world(chain: Chain, tmp_path: Path) -> Path:
    """A copy of everything a command may be given, with a recipe of its own."""
    folder = tmp_path / "world"
    shutil.copytree(chain.folder, folder)
    (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    return folder


@pytest.fixture
def ask(
    world: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Answer]:
    """Type a command in the world's folder, in this process or in a new one."""
    monkeypatch.chdir(world)

    def type_(*arguments: str, in_process: bool = True) -> Answer:
        if in_process:
            code = run_command_line(list(arguments))
            out, err = capfd.readouterr()
            return Answer(code, out, err)
        done = subprocess.run(
            [sys.executable, "-m", "edgedistill", *arguments], cwd=world, capture_output=True, text=True, check=False,
            env=os.environ | {"HF_HUB_OFFLINE": "1"}, stdin=subprocess.DEVNULL, timeout=120,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    return type_


def _hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*")) if path.is_file()
    }


def _require_one_clear_error(answer: Answer, *, code: int, words: tuple[str, ...]) -> None:
    lines = answer.stderr.splitlines()
    assert answer.code == code, answer.stderr
    said = [line.split(":")[0] for line in lines if line.startswith(("error:", "hint:"))]
    assert said == ["error", "hint"], answer.stderr
    assert lines[-1].startswith("hint:  "), answer.stderr
    assert len(lines[-1]) > len("hint:  "), answer.stderr
    assert "Traceback" not in answer.stderr
    assert "internal error" not in answer.stderr
    assert answer.stdout == ""
    for word in words:
        assert word in answer.stderr, answer.stderr


@pytest.mark.parametrize("name", CASES)
def test_command_when_its_input_is_bad_then_says_so_once_and_damages_nothing(
    name: str, world: Path, ask: Callable[..., Answer]
) -> None:
    case = CASES[name]
    case.damage(world)
    before = _hashes(world)
    answer = ask(*case.arguments, in_process=case.in_process)
    _require_one_clear_error(answer, code=case.code, words=case.words)
    after = _hashes(world)
    assert {path: after.get(path) for path in before} == before
    assert {path.split("/")[0] for path in set(after) - set(before)} <= {"out"}


def test_run_when_another_run_holds_the_folder_then_refuses(world: Path, ask: Callable[..., Answer]) -> None:
    (world / "out").mkdir()
    lock = world / "out" / run_folder.LOCK_FILE
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        answer = ask(*RUN, in_process=False)
    finally:
        holder.communicate("")
    _require_one_clear_error(answer, code=2, words=("another run is working in this folder", "-o DIR"))
    with FileLock(lock, timeout=5):  # the dead holder does not block the next run
        pass


def test_run_when_the_disk_has_too_little_room_then_says_how_much_is_needed(
    ask: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_folder.shutil, "disk_usage", lambda path: SimpleNamespace(free=10**8))
    _require_one_clear_error(ask(*RUN), code=2, words=("0.1 GB free", "1.5 GB"))


@pytest.mark.parametrize(("number", "words"), [
    (errno.ENOSPC, ("the disk is full", "finished steps are kept")),
    (errno.EROFS, ("read-only", "-o DIR")),
    (errno.EACCES, ("may not be written", "-o DIR")),
])
def test_run_when_a_stage_cannot_write_then_says_why_and_leaves_no_half_result(
    world: Path, ask: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch, number: int, words: tuple[str, ...]
) -> None:
    def fail(path: Path, *rest: object) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(prepare_stage, "write_examples", fail)
    _require_one_clear_error(ask(*RUN), code=2, words=words)
    assert not [path for path in (world / "out").rglob("*") if path.is_file() and path.name != run_folder.LOCK_FILE]


def test_run_when_the_disk_really_is_full_then_says_so(
    world: Path, ask: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = world / "out"
    out.mkdir()
    mounted = shutil.which("mount") and os.geteuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(out)], check=False, capture_output=True).returncode == 0
    if not mounted:
        pytest.skip("this user may not mount a file system")
    try:
        monkeypatch.setattr(run_folder, "_DISK_NEED_BYTES", 0)
        _require_one_clear_error(ask(*RUN), code=2, words=("the disk is full", "free some space"))
    finally:
        subprocess.run(["umount", str(out)], check=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_run_when_the_folder_is_read_only_then_says_so(world: Path, ask: Callable[..., Answer]) -> None:
    (world / "out").mkdir(mode=0o500)
    _require_one_clear_error(ask(*RUN), code=2, words=("may not be written", "-o DIR"))


def test_command_when_stdout_is_full_then_says_so(world: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "edgedistill", "targets", "list"], stdout=full, check=False,
                              stderr=subprocess.PIPE, text=True)
    _require_one_clear_error(Answer(done.returncode, "", done.stderr), code=2, words=("No space left",))


def test_command_when_the_reader_of_stdout_is_gone_then_ends_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-m", "edgedistill", "targets", "list"], stdout=writer, check=False,
                          stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_error_when_traceback_is_asked_for_then_shows_it(ask: Callable[..., Answer]) -> None:
    answer = ask("--traceback", "targets", "show", "nothing")
    assert "Traceback" in answer.stderr
    assert answer.stderr.splitlines()[-2].startswith("error: no target 'nothing'")
