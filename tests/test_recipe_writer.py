"""The recipe writer: what it writes reads back, every key is explained, and bad answers are refused before writing."""

from dataclasses import replace
from pathlib import Path

import pytest

from edgedistill.catalog import load_recipe
from edgedistill.errors import DataError, TeacherError, UsageError
from edgedistill.recipe import read_recipe
from edgedistill.recipe_writer import RecipeAnswers, suggest_recipe_id, write_recipe
from edgedistill.tasks.text_classification.task import DEFAULT_TEACHER


@pytest.fixture
def answers(tmp_path: Path) -> RecipeAnswers:
    (tmp_path / "data").mkdir()
    for name in ("train", "test"):
        (tmp_path / "data" / f"{name}.csv").write_text("intent,utterance\nlight,lamp off\nvolume,turn it up\n")
    return RecipeAnswers(
        recipe_id="my-intents",
        task="text-classification",
        train=tmp_path / "data" / "train.csv",
        test=tmp_path / "data" / "test.csv",
        text_column="utterance",
        label_column="intent",
    )


def test_write_recipe_when_answers_are_good_then_it_reads_back(answers: RecipeAnswers, tmp_path: Path) -> None:
    path = tmp_path / "recipes" / "mine.yaml"
    write_recipe(answers, path)
    recipe = read_recipe(path)
    assert recipe.id == "my-intents"
    assert (recipe.data.train, recipe.data.validation, recipe.data.test) == (
        "../data/train.csv",
        None,
        "../data/test.csv",
    )
    assert (recipe.data.text_column, recipe.data.label_column) == ("utterance", "intent")
    assert recipe.teacher == DEFAULT_TEACHER
    assert load_recipe(path).path(recipe.data.train or "") == answers.train.resolve()


def test_write_recipe_when_written_then_every_key_has_a_comment_above_it(
    answers: RecipeAnswers, tmp_path: Path
) -> None:
    path = tmp_path / "mine.yaml"
    write_recipe(answers, path)
    lines = path.read_text().splitlines()
    keys = [i for i, line in enumerate(lines) if line.strip() and not line.lstrip().startswith(("#", "-"))]
    assert len(keys) > 30
    assert all(lines[i - 1].lstrip().startswith("# ") for i in keys)
    assert "  # weight of the soft term (default: 0.9)" in lines
    assert "(default: 0.15)" in lines[lines.index("  validation_share: 0.15") - 1]


def test_write_recipe_when_written_then_unlabelled_data_are_offered_in_a_comment_that_can_be_uncommented(
    answers: RecipeAnswers, tmp_path: Path
) -> None:
    path = tmp_path / "mine.yaml"
    write_recipe(answers, path)
    text = path.read_text()
    assert "without labels, for the teacher to label" in text
    assert text.count("  # unlabelled: null\n") == 1
    path.write_text(text.replace("  # unlabelled: null\n", "  unlabelled: more.txt\n"))
    assert read_recipe(path).data.unlabelled == "more.txt"


def test_default_teacher_when_compared_with_the_built_in_recipe_then_the_same() -> None:
    assert load_recipe("home-intents").recipe.teacher == DEFAULT_TEACHER


def test_write_recipe_when_file_exists_then_refused_and_untouched(answers: RecipeAnswers, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("mine")
    with pytest.raises(UsageError, match="exists already") as caught:
        write_recipe(answers, path)
    assert caught.value.hint == "choose another file: -o FILE"
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("change", "error", "message", "hint"),
    [
        (
            {"text_column": "text"},
            DataError,
            "train.csv: no column 'text'; did you mean 'utterance'?",
            "--text-column utterance",
        ),
        ({"label_column": "intend"}, DataError, "no column 'intend'; did you mean 'intent'?", "--label-column intent"),
        ({"train": Path("nowhere/train.csv")}, DataError, "nowhere/train.csv: no such file", "ls ."),
        ({"recipe_id": "My Intents!"}, UsageError, "'My Intents!' is not a recipe id", "for example: my-intents"),
        ({"teacher": "./nowhere"}, TeacherError, "./nowhere: neither a model folder nor", "--teacher"),
        ({"teacher": "a b/c"}, TeacherError, "a b/c: neither a model folder nor", "--teacher"),
    ],
)
def test_write_recipe_when_an_answer_is_wrong_then_error_and_no_file(
    answers: RecipeAnswers, tmp_path: Path, change: dict[str, object], error: type[UsageError], message: str, hint: str
) -> None:
    path = tmp_path / "mine.yaml"
    with pytest.raises(error) as caught:
        write_recipe(replace(answers, **change), path)
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert not path.exists()


def test_write_recipe_when_teacher_is_a_folder_then_relative_and_offline(
    answers: RecipeAnswers, tmp_path: Path
) -> None:
    folder = tmp_path / "teacher"
    folder.mkdir()
    with pytest.raises(TeacherError, match="no config.json"):
        write_recipe(replace(answers, teacher=str(folder)), tmp_path / "mine.yaml")
    (folder / "config.json").write_text("{}")
    write_recipe(replace(answers, teacher=str(folder)), tmp_path / "mine.yaml")
    teacher = read_recipe(tmp_path / "mine.yaml").teacher
    assert (teacher.name, teacher.allow_hub, teacher.sha256, teacher.package) == ("teacher", False, None, None)


def test_write_recipe_when_teacher_is_on_the_hub_then_the_hub_is_allowed(
    answers: RecipeAnswers, tmp_path: Path
) -> None:
    write_recipe(replace(answers, teacher="google/bert_uncased_L-4_H-256_A-4"), tmp_path / "mine.yaml")
    assert read_recipe(tmp_path / "mine.yaml").teacher.allow_hub


def test_write_recipe_when_names_look_like_yaml_then_quoted(answers: RecipeAnswers, tmp_path: Path) -> None:
    odd = tmp_path / "data" / "a #1: no.csv"
    odd.write_text("yes,123\nlamp off,light\n")
    write_recipe(replace(answers, train=odd, test=None, text_column="yes", label_column="123"), tmp_path / "mine.yaml")
    data = read_recipe(tmp_path / "mine.yaml").data
    assert (data.train, data.text_column, data.label_column) == ("data/a #1: no.csv", "yes", "123")


@pytest.mark.parametrize(
    ("train", "expected"),
    [("x/Support Tickets.csv.gz", "support-tickets"), ("x/sms_spam/train.tsv", "sms_spam"), ("/data.csv", "my-recipe")],
)
def test_suggest_recipe_id_when_file_is_just_called_train_then_its_folder(train: str, expected: str) -> None:
    assert suggest_recipe_id(Path(train)) == expected


def write_long(answers: RecipeAnswers, words: int, *, share: float = 1.0) -> None:
    rows = ["light," + " ".join(["word"] * (words if i < 100 * share else 5)) for i in range(100)]
    answers.train.write_text("intent,utterance\n" + "\n".join(rows) + "\nvolume,up\n")


@pytest.mark.parametrize(("words", "share", "tokens"), [(44, 1.0, 64), (200, 0.03, 64), (45, 1.0, 128), (150, 0.5, 256), (900, 1.0, 512)])
def test_write_recipe_when_texts_are_long_then_max_tokens_holds_95_percent_and_says_why(
    answers: RecipeAnswers, tmp_path: Path, words: int, share: float, tokens: int
) -> None:
    write_long(answers, words, share=share)
    path = tmp_path / "mine.yaml"
    write_recipe(answers, path)
    assert read_recipe(path).teacher.max_tokens == tokens  # 1.4 a word and 2: 45 words are 65
    lines = path.read_text().splitlines()
    at = lines.index(f"  max_tokens: {tokens}")
    assert lines[at - 1 - (tokens > 64)].startswith("  # texts are cut after so many tokens")
    assert ("of the texts of train.csv fit" in lines[at - 1] and "slower" in lines[at - 1]) == (tokens > 64)


def test_write_recipe_when_the_teacher_has_a_tokenizer_then_it_counts_and_its_positions_are_the_most(
    answers: RecipeAnswers, tmp_path: Path, wordpiece_json: str
) -> None:
    folder = tmp_path / "teacher"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "bert", "max_position_embeddings": 100}')
    (folder / "tokenizer.json").write_text(wordpiece_json)
    write_long(answers, 70)  # "word" is no token of it: one [UNK] each, where 1.4 a word were 100
    write_recipe(replace(answers, teacher=str(folder)), tmp_path / "mine.yaml")
    assert read_recipe(tmp_path / "mine.yaml").teacher.max_tokens == 100
    assert "in 100 tokens about 100% of the texts of train.csv fit" in (tmp_path / "mine.yaml").read_text()
