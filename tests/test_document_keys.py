"""Keys of documents: which one was meant by one that is not there, beside it or in another section."""

import pytest
from pydantic import Field

from edgedistill.document import Document
from edgedistill.document_keys import MeantKeys, meant_by


class Bell(Document):
    tone_hz: int = 440
    maker: str = ""


class Wheel(Document):
    spokes: int = 32
    maker: str = ""
    bell: Bell = Bell()


class Bike(Document):
    colour: str = Field("red", alias="paint")
    wheel: Wheel | None = None
    spares: tuple[Bell, ...] = ()


@pytest.mark.parametrize(("place", "ways", "is_beside"), [
    (("pant",), (("paint",),), True),
    (("wheel", "spoke"), (("wheel", "spokes"),), True),
    (("spokes",), (("wheel", "spokes"),), False),
    (("spoks",), (("wheel", "spokes"),), False),
    (("maker",), (("wheel", "maker"), ("wheel", "bell", "maker")), False),
    (("wheel", "tone_hz"), (("wheel", "bell", "tone_hz"),), False),
    (("wheel", "bell", "spokes"), (("wheel", "spokes"),), False),
    (("wheel", "paint"), (("paint",),), False),
    (("tone",), (("wheel", "bell", "tone_hz"),), False),
    (("spares", 0, "makr"), (("spares", "0", "maker"),), True),
])
def test_meant_by_when_a_key_is_unknown_then_one_beside_it_or_of_another_section(
    place: tuple[int | str, ...], ways: tuple[tuple[str, ...], ...], is_beside: bool
) -> None:
    assert meant_by(Bike, place) == MeantKeys(ways, is_beside)


@pytest.mark.parametrize("place", [("zzz",), ("wheel", "zzz"), ("spares", 0, "spokes")])
def test_meant_by_when_nothing_is_like_it_then_none(place: tuple[int | str, ...]) -> None:
    assert meant_by(Bike, place) is None


def test_words_when_several_sections_have_it_then_each_with_its_whole_way() -> None:
    found = meant_by(Bike, ("maker",))
    assert found is not None
    assert found.words == "did you mean 'wheel.maker' or 'wheel.bell.maker'?"
