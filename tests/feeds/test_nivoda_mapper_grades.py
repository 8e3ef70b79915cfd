"""Grades, fluorescence, fancy colors and shapes: one spelling each, whatever the supplier writes."""

from typing import Any

import pytest
from feed_builders import make_item, map_quietly, map_warned


@pytest.mark.parametrize(
    ("field", "text", "expected"),
    [
        ("color", "e", "E"),
        ("color", "O-P", "OP"),
        ("color", "FANCY", "FANCY"),
        ("color", "Fancy Vivid Yellow", "FANCY"),
        ("color", None, None),
        ("clarity", "vvs2", "VVS2"),
        ("clarity", "SI-1", "SI1"),
        ("clarity", None, None),
        ("cut", "GD", "G"),
        ("cut", "PR", "P"),
        ("cut", "FR", "F"),
        ("cut", "EIGHTX", "EIGHTX"),
        ("cut", "Very Good", "VG"),
        ("cut", None, None),
        ("polish", "Excellent", "EX"),
        ("symmetry", "ideal", "ID"),
    ],
)
def test_grades_have_one_spelling(field: str, text: str | None, expected: str | None) -> None:
    item = make_item()
    item["diamond"]["certificate"][field] = text

    stone = map_quietly(item)

    assert getattr(stone, field) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("NON", "NON"),
        ("None", "NON"),
        ("STN", "STG"),
        ("STG", "STG"),
        ("Very Strong", "VST"),
        ("VERY_SLIGHT", "VSL"),
        ("SLT", "SLT"),
        ("Faint", "FNT"),
        ("medium", "MED"),
        (None, None),
        ("", None),
    ],
)
def test_fluorescence_has_one_spelling(text: str | None, expected: str | None) -> None:
    assert map_quietly(make_item(diamond__certificate__floInt=text)).fluorescence == expected


@pytest.mark.parametrize(
    ("field", "column"),
    [
        ("color", "color"),
        ("clarity", "clarity"),
        ("cut", "cut"),
        ("polish", "polish"),
        ("symmetry", "symmetry"),
        ("floInt", "fluorescence"),
    ],
)
def test_an_unknown_grade_becomes_null_and_the_stone_stays(field: str, column: str) -> None:
    stone, warnings = map_warned(make_item(**{f"diamond__certificate__{field}": "WONDERFUL"}))

    assert getattr(stone, column) is None
    assert warnings == [(f"$.diamond.certificate.{field}", "WONDERFUL")]
    assert (stone.carats_hundredths, stone.feed_price_cents) == (151, 130_000)


def test_ranks_follow_the_grades() -> None:
    stone = map_quietly(make_item(diamond__certificate__color="D", diamond__certificate__clarity="FL"))
    unknown = map_quietly(make_item(diamond__certificate__color=None, diamond__certificate__clarity=None))
    fancy = map_quietly(make_item(diamond__certificate__color="FANCY"))

    assert (stone.color_rank, stone.clarity_rank) == (1, 1)
    assert (unknown.color_rank, unknown.clarity_rank) == (None, None)
    assert fancy.color_rank == 34


@pytest.mark.parametrize(
    ("grade", "words", "color", "fancy"),
    [
        ("FANCY", ("YELLOW", "FANCY_INTENSE", "GREENISH"), "FANCY", ("YELLOW", "FANCY INTENSE", "GREENISH")),
        ("FANCY", ("Orangy-Brown", "Fancy-Light", "NONE"), "FANCY", ("ORANGY BROWN", "FANCY LIGHT", None)),
        ("FANCY", ("GREY", "FANCY", None), "FANCY", ("GRAY", "FANCY", None)),
        ("FANCY", (None, None, None), "FANCY", (None, None, None)),
        ("FANCY", ("EVEN", "EVEN", "EVEN"), "FANCY", (None, None, None)),
        (None, ("PINK", "FANCY VIVID", None), "FANCY", ("PINK", "FANCY VIVID", None)),
        (None, ("EVEN", "EVEN", None), None, (None, None, None)),
        ("G", ("EVEN", "FANCY_LIGHT", None), "G", (None, None, None)),
        ("G", ("U-V", None, "BROWN"), "G", (None, None, None)),
        ("G", ("BLUE", "FAINT", None), "G", ("BLUE", "FAINT", None)),
    ],
)
def test_fancy_colors_have_one_spelling_and_no_noise(
    grade: str | None, words: tuple[Any, ...], color: str | None, fancy: tuple[Any, ...]
) -> None:
    names = ("color", "f_color", "f_intensity", "f_overtone")
    changes = {
        f"diamond__certificate__{name}": word for name, word in zip(names, (grade, *words), strict=True)
    }
    stone = map_quietly(make_item(**changes))

    assert stone.color == color
    assert (stone.fancy_color, stone.fancy_intensity, stone.fancy_overtone) == fancy


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("round", "ROUND"),
        (" Cushion  b ", "CUSHION BRILLIANT"),
        ("ASCHER", "ASSCHER"),
        ("HALFMOON", "HALF MOON"),
        ("EUROPEAN_CUT", "OLD EUROPEAN"),
        ("DRAGON SCALE", "DRAGON SCALE"),
    ],
)
def test_a_shape_has_one_name(shape: str, expected: str) -> None:
    assert map_quietly(make_item(diamond__certificate__shape=shape)).shape == expected
