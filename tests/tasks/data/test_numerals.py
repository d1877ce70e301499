"""Numbers in the ways that files write them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatescope.errors import settings_as_options
from gatescope.tasks import TaskError
from gatescope.tasks.data.numerals import Numerals, looks_like_number, way_to_read


@pytest.mark.parametrize(
    ("decimal", "thousands", "field", "value"),
    [
        (".", "", "-1.5e3", -1500.0),
        (".", "", "\u22122", -2.0),
        (".", "", "1_000", None),  # Python would read it
        (".", "", "\u0661", None),
        (".", "", "10,478", None),
        (".", ",", "10,478.11", 10478.11),
        (".", ",", "1,2345", None),
        (".", ",", "1234.5", 1234.5),
        (",", "", "10,478", 10.478),
        (",", "", "10.478", None),
        (",", ".", "1.234.567,5", 1234567.5),
        (",", " ", "1\u202f234,5", 1234.5),
        (".", "'", "1\N{RIGHT SINGLE QUOTATION MARK}234.5", 1234.5),
        (".", "_", "1_000", 1000.0),
        (",", "", ",5", 0.5),
        (",", "", "inf", None),
    ],
)
def test_number_is_read_by_its_marks(decimal: str, thousands: str, field: str, value: float | None) -> None:
    """Groups have three digits, and no other mark is passed over."""
    number = Numerals(decimal, thousands).number(field)
    assert math.isnan(number) if value is None else number == value


@given(st.integers(-(10**12), 10**12), st.integers(0, 999), st.sampled_from([",", ".", " ", "'"]))
def test_grouped_numbers_round_trip(whole: int, fraction: int, thousands: str) -> None:
    """Numbers that Python groups by thousands are read back."""
    decimal = "," if thousands == "." else "."
    field = f"{whole:,}".replace(",", thousands) + f"{decimal}{fraction:03d}"
    assert Numerals(decimal, thousands).number(field) == float(f"{whole}.{fraction:03d}")


def test_columns_of_per_cent_are_read_as_a_whole() -> None:
    """A sign on every number is a unit; a sign on some is a mistake."""
    values, percent = Numerals().column(["10.5%", "", "3 %"])
    assert percent
    assert values[[0, 2]].tolist() == [10.5, 3.0]
    values, percent = Numerals().column(["10.5%", "3"])
    assert not percent
    assert math.isnan(values[0])


def test_messages_name_the_setting_that_reads_a_field() -> None:
    """The message has the form of Python or of the command line, and both settings if either may be meant."""
    now = Numerals()
    with settings_as_options():
        assert str(way_to_read("10,478.11", now)) == "Read it with --thousands ,."
        assert str(way_to_read("10,478", now)) == "Read it with --thousands , or --decimal ,."
        assert str(way_to_read("3,5", now)) == "Read it with --decimal ,."
        assert str(way_to_read("1.234,5", now)) == "Read it with --decimal , --thousands .."
        assert str(way_to_read("1 234.5", now)) == "Read it with --thousands ' '."
    assert str(way_to_read("5%", now)) == "Other numbers of the column have no sign of per cent."
    assert way_to_read("x", now) is None
    for field, unit in (("$5", "$"), ("5 €", "€"), ("USD 5", "USD"), ("-5°C", "°C"), ("3万", "万")):
        assert str(way_to_read(field, now)) == f"Without {unit!r} it is a number."
    for field in ("(5)", "\u20135", "5-", "1/2"):  # accountants' minus signs, fractions
        assert way_to_read(field, now) is None


def test_group_with_a_leading_zero_is_refused() -> None:
    """0.500 is a half with any settings, so it is not read as 500."""
    assert math.isnan(Numerals(",", ".").number("0.500"))
    assert Numerals(",", ".").number("1.500") == 1500


def test_unknown_marks_are_refused() -> None:
    """Marks other than the known ones, and one mark for both settings, are refused."""
    for decimal, thousands in ((";", ""), (",", ","), (".", "x"), ("", "")):
        with pytest.raises(TaskError, match=r"Setting (decimal|thousands): expected"):
            Numerals(decimal, thousands)
    assert looks_like_number("1,234.5")
    assert looks_like_number("12 %")
    assert not looks_like_number("price")
