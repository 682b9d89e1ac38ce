"""Documents: what they refuse, where they say it is, and that they come back as they were written."""

import os
import subprocess
from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field, ValidationError

from edgedistill.document import Document, parse, read_text
from edgedistill.errors import RecipeError, UsageError


class Wheel(Document):
    diameter_m: float = Field(0.6, gt=0)
    spokes: int = 32


class Bike(Document):
    name: str
    front: Wheel = Wheel()
    rear: Wheel | None = None
    spares: tuple[Wheel, ...] = ()
    by_size: dict[str, Wheel] = {}


class Shop(Document):
    owner: str = "nobody"
    best: Bike
    bikes: tuple[Bike, ...] = Field((), min_length=0)


def shop_of(text: str) -> Shop:
    return parse(Shop, text, Path("shop.yaml"), error=RecipeError)


def refusal(text: str) -> RecipeError:
    with pytest.raises(RecipeError) as caught:
        shop_of(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "place", "meant"),
    [
        ("ownr: a\nbest: {name: b}\n", "shop.yaml:1: ownr", "owner"),
        ("best:\n  name: b\n  frnt: {}\n", "shop.yaml:3: best.frnt", "front"),
        ("best:\n  name: b\n  front:\n    spoke: 3\n", "shop.yaml:4: best.front.spoke", "spokes"),
        ("best:\n  name: b\n  rear:\n    spoks: 3\n    diameter_m: 1\n", "shop.yaml:4: best.rear.spoks", "spokes"),
        ("best:\n  name: b\n  spares:\n  - spokes: 3\n  - spoks: 4\n", "shop.yaml:5: best.spares.1.spoks", "spokes"),
        ("best: {name: b}\nbikes: [{name: c, spares: [{spok: 4}]}]\n", "shop.yaml:2: bikes.0.spares.0.spok", "spokes"),
        ("best:\n  name: b\n  by_size:\n    big:\n      spoks: 4\n", "shop.yaml:5: best.by_size.big.spoks", "spokes"),
    ],
)
def test_parse_when_a_key_is_unknown_then_says_file_line_and_what_was_meant(text: str, place: str, meant: str) -> None:
    assert refusal(text).message == f"{place}: unknown key; did you mean {meant!r}?"


class Lamp(Document):
    colour: Literal["red", "green"] = "red"
    since: int = Field(0, alias="from")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("colour: gren\n", "lamp.yaml:1: colour: 'gren' is none of 'red' or 'green'; did you mean 'green'?"),
        ("colour: 7\n", "lamp.yaml:1: colour: Input should be 'red' or 'green' (got 7)"),
        ("colour: ochre\n", "lamp.yaml:1: colour: Input should be 'red' or 'green' (got 'ochre')"),
        ("form: 7\n", "lamp.yaml:1: form: unknown key; did you mean 'from'?"),
        ("since: 7\n", "lamp.yaml:1: since: unknown key; known keys: colour, from"),
    ],
)
def test_parse_when_a_word_is_none_of_the_allowed_then_says_which_was_meant(text: str, says: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse(Lamp, text, Path("lamp.yaml"), error=RecipeError)
    assert caught.value.message == says


def test_parse_when_nothing_is_like_the_unknown_key_then_names_those_that_are_known() -> None:
    assert refusal("best: {name: b, front: {zzz: 1}}\n").message.endswith("known keys: diameter_m, spokes")


def test_parse_when_json_then_the_line_is_found_too(tmp_path: Path) -> None:
    path = tmp_path / "wheel.json"
    path.write_text('{\n  "diameter_m": 0.5,\n  "spoks": 3\n}\n')
    with pytest.raises(UsageError) as caught:
        Wheel.read_json(path)
    assert caught.value.message == f"{path}:3: spoks: unknown key; did you mean 'spokes'?"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("best: {name: b, front: {diameter_m: -1}}",
         "shop.yaml:1: best.front.diameter_m: Input should be greater than 0 (got -1)"),
        ("best: {name: b, front: {diameter_m: .inf}}",
         "shop.yaml:1: best.front.diameter_m: Input should be a finite number (got inf)"),
        ("owner: a\nbest: {}", "shop.yaml:2: best.name: Field required"),
        ("owner: a", "shop.yaml: best: Field required"),
        ("best: {name: no}", "shop.yaml:1: best.name: Input should be a valid string (got False)"),
        ("best: {name: b}\nbikes:", "shop.yaml:2: bikes: a list is expected: a dash before each item, or brackets around all"),
        ("best:", "shop.yaml:1: best: a mapping of keys to values is expected; leave the key out to take the defaults"),
        ("- best", "shop.yaml: a mapping of keys to values is expected"),
        ("", "shop.yaml: a mapping of keys to values is expected"),
        ("7: x\nbest: {name: b}", "shop.yaml:1: 7: Keys should be strings (got 7)"),
    ],
)
def test_parse_when_a_value_is_wrong_then_says_where_and_what_was_given(text: str, message: str) -> None:
    assert refusal(text).message == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("best: {name: b", "shop.yaml:1:15: expected ',' or '}', but got '<stream end>'"),
        ("best:\n\tname: b\n", "shop.yaml:2:1: found character '\\t' that cannot start any token"),
        ("best: a: b", "shop.yaml:1:8: mapping values are not allowed here"),
        ("owner: !!python/object:os.system x", "shop.yaml:1:8: could not determine a constructor for the tag"),
        ("owner: \x00", "shop.yaml: special characters are not allowed"),
        ("owner: a\nbest: {name: b}\nowner: c\n", "shop.yaml:3:1: key 'owner' stands twice"),
        ("best:\n  name: b\n  name: c\n", "shop.yaml:3:3: key 'name' stands twice"),
        ("owner: 2024-13-45", "shop.yaml: month must be in 1..12"),
        ("owner: " + "1" * 5000, "shop.yaml: Exceeds the limit"),
        ("owner: " + "[" * 3000, "shop.yaml: is nested too deep"),
    ],
)
def test_parse_when_the_text_is_not_good_yaml_then_one_error_with_a_hint(text: str, message: str) -> None:
    error = refusal(text)
    assert error.message.startswith(message)
    assert error.hint


def test_parse_when_yaml_merges_a_mapping_then_an_own_key_wins_without_complaint() -> None:
    text = "best:\n  name: b\n  front: &w {spokes: 5, diameter_m: 2}\n  rear:\n    <<: *w\n    spokes: 6\n"
    assert shop_of(text).best.rear == Wheel(spokes=6, diameter_m=2)


def test_parse_when_many_problems_then_five_are_shown_and_the_rest_counted() -> None:
    error = refusal("best: {name: b}\n" + "".join(f"qqqq{i}: 1\n" for i in range(8)))
    assert error.message.count("unknown key") == 5
    assert error.message.endswith("(+3 more)")


def test_parse_when_an_item_of_a_list_is_wrong_then_the_list_is_not_called_too_short() -> None:
    class Rack(Document):
        wheels: tuple[Wheel, ...] = Field(min_length=1)

    with pytest.raises(RecipeError) as caught:
        parse(Rack, "wheels: [{spoks: 1}]", Path("r.yaml"), error=RecipeError)
    assert caught.value.message == "r.yaml:1: wheels.0.spoks: unknown key; did you mean 'spokes'?"
    with pytest.raises(RecipeError, match="at least 1 item"):
        parse(Rack, "wheels: []", Path("r.yaml"), error=RecipeError)


def test_parse_when_the_kind_has_no_published_schema_then_the_hint_names_none() -> None:
    assert "edgedistill schema" not in refusal("best: {name: 1}").hint


def test_document_when_changed_then_refuses() -> None:
    wheel = Wheel()
    with pytest.raises(ValidationError, match="frozen"):
        wheel.spokes = 3  # type: ignore[misc]
    assert wheel.spokes == 32


def test_document_when_given_nan_then_refuses() -> None:
    with pytest.raises(ValidationError):
        Wheel(diameter_m=float("nan"))


def test_document_when_written_then_reads_back_equal(tmp_path: Path) -> None:
    bike = Bike(name="Vélo: 'schön'", rear=Wheel(diameter_m=0.1 + 0.2), spares=(Wheel(spokes=1), Wheel(spokes=2)))
    shop = Shop(owner="no", best=bike, bikes=(bike, Bike(name="2024-12-05")))
    path = tmp_path / "shop.json"
    path.write_text(shop.to_json(), encoding="utf-8")
    assert Shop.read_json(path) == shop
    assert path.read_text(encoding="utf-8").endswith("}\n")
    assert shop_of(shop.to_yaml()) == shop


def test_read_json_when_cut_off_then_says_where_and_to_make_it_again(tmp_path: Path) -> None:
    path = tmp_path / "shop.json"
    path.write_text(Shop(best=Bike(name="b")).to_json()[:-30])
    with pytest.raises(UsageError, match=rf"{path}:\d+:\d+: ") as caught:
        Shop.read_json(path)
    assert "make it again" in caught.value.hint


def test_read_text_when_the_file_cannot_be_read_then_the_error_asked_for(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"tea\ncaf\xe9")
    (tmp_path / "wide").write_bytes("tea".encode("utf-16"))
    (tmp_path / "file").touch()
    cases = {
        tmp_path / "nowhere": "no such file",
        tmp_path: "is a folder",
        tmp_path / "latin": "latin:2: byte 8 of the file is not UTF-8",
        tmp_path / "wide": "wide:1: byte 1 of the file is not UTF-8",
        tmp_path / "file" / "x": "cannot be read",
        tmp_path / ("x" * 300): "cannot be read",
    }
    for path, message in cases.items():
        with pytest.raises(RecipeError, match=message) as caught:
            read_text(path, error=RecipeError)
        assert str(path) in caught.value.message
        assert caught.value.hint


@pytest.mark.parametrize(("encoding", "named"), [("latin-1", "WINDOWS-1252"), ("utf-16", "UTF-16")])
def test_read_text_when_of_another_encoding_then_the_hint_makes_it_readable(tmp_path: Path, encoding: str, named: str) -> None:
    path = tmp_path / "a shop.yaml"
    path.write_bytes("owner: Zo\u00eb".encode(encoding))
    with pytest.raises(UsageError) as refused:
        read_text(path)
    assert f"iconv -f {named} " in refused.value.hint
    subprocess.run(refused.value.hint, shell=True, check=True)  # noqa: S602 - the hint is what is tested
    assert read_text(tmp_path / "utf8-a shop.yaml") == "owner: Zo\u00eb"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the administrator may read everything")
def test_read_text_when_not_permitted_then_says_so(tmp_path: Path) -> None:
    path = tmp_path / "locked"
    path.touch(mode=0o000)
    with pytest.raises(UsageError, match="may not be read"):
        read_text(path)
