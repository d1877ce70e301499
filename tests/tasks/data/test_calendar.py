"""Dates as files write them: read in one way or refused, spaced evenly or not, and continued."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatescope.tasks.forecasting.calendar import Dates, Step
from gatescope.tasks.forecasting.date_formats import DateOrder, looks_like_date
from gatescope.tasks.forecasting.dates import DateError, read_dates


def read_column(values: list[str], order: DateOrder | None = None) -> Dates:
    """Return the dates of a column called date, whose first row is on line 2."""
    column = read_dates(values, range(2, len(values) + 2), "date", order, named_as_date=True)
    assert column is not None
    return column


@pytest.mark.parametrize(
    ("values", "step", "following"),
    [
        ("2020-01-30 2020-01-31 2020-02-01", "day", "2020-02-02 2020-02-03"),
        ("1949-10 1949-11 1949-12", "month", "1950-01 1950-02"),
        ("31.12.2019 01.01.2020 02.01.2020", "day", "03.01.2020 04.01.2020"),
        ("1/13/2020 1/14/2020 1/15/2020", "day", "1/16/2020 1/17/2020"),
        ("2019-12-31 2020-01-31 2020-02-29", "month", "2020-03-31 2020-04-30"),
        ("2020Q3 2020Q4 2021Q1", "quarter", "2021Q2 2021Q3"),
        ("2020-W52 2020-W53 2021-W01", "week", "2021-W02 2021-W03"),
        ("1577836800 1577840400 1577844000", "hour", "1577847600 1577851200"),
        ("1577836800000 1577836860000 1577836920000", "minute", "1577836980000 1577837040000"),
        ("20200227 20200228 20200229", "day", "20200301 20200302"),
        ("202011 202012 202101", "month", "202102 202103"),
        ("2020-01-01T22:00:00Z 2020-01-01T23:00:00Z 2020-01-02T00:00:00Z", "hour", "2020-01-02T01:00:00Z"),
        # The clock goes forward by an hour; the steps are hours of UTC.
        ("2020-03-29T01:00+01:00 2020-03-29T03:00+02:00 2020-03-29T04:00+02:00", "hour", "2020-03-29T05:00+02:00"),
        ("10-Mar-2020 11-Mar-2020 12-Mar-2020", "day", "13-Mar-2020"),
        ("JAN-2020 FEB-2020 MAR-2020", "month", "APR-2020"),
        ("30-Dec-19 31-Dec-19 01-Jan-20", "day", "02-Jan-20"),
        ("2019年12月30日 2019年12月31日 2020年1月1日", "day", "2020年1月2日"),
        ("2019年11月 2019年12月 2020年01月", "month", "2020年02月"),
        ("2019년12월30일 2019년12월31일 2020년1월1일", "day", "2020년1월2일"),
        ("202001312350 202001312355 202002010000", "5 minutes", "202002010005"),
        ("20200131235958 20200131235959 20200201000000", "second", "20200201000001"),
        ("2020013122 2020013123 2020020100", "hour", "2020020101"),
        ("1577836800000000 1577840400000000 1577844000000000", "hour", "1577847600000000"),
        ("1577836800000000000 1577840400000000000 1577844000000000000", "hour", "1577847600000000000"),
        ("1990 1995 2000", "5", "2005 2010"),
        ("0.25 0.5 0.75", "0.25", "1.00"),
        ("2020-01-02 2020-01-03 2020-01-06", "weekday", "2020-01-07"),
        ("2020-01-01 2020-01-15 2020-01-29", "2 weeks", "2020-02-12"),
    ],
)
def test_dates_are_continued_as_they_are_written(values: str, step: str, following: str) -> None:
    """The step is that of the calendar, and what follows has the same form."""
    dates, expected = values.split(), following.split()
    column = read_column(dates)
    between, gaps = column.step(range(len(dates)))
    assert between is not None
    assert str(between) == step
    assert gaps == []
    assert column.after(len(dates) - 1, between, len(expected)) == expected


def test_dates_with_spaces_are_continued() -> None:
    """Names of months and times of day."""
    for values, expected in (
        (["December 30, 2019", "December 31, 2019", "January 1, 2020"], "January 2, 2020"),
        (["2 Sep 2020", "3 Sept 2020", "4 Sep 2020"], "5 Sep 2020"),
        (["2020-01-01 11:00 AM", "2020-01-01 11:30 AM", "2020-01-01 12:00 PM"], "2020-01-01 12:30 PM"),
        (["2020-01-01 23:59:59.5", "2020-01-02 00:00:00.0", "2020-01-02 00:00:00.5"], "2020-01-02 00:00:01.0"),
    ):
        column = read_column(values)
        step, _ = column.step(range(3))
        assert step is not None
        assert column.after(2, step, 1) == [expected]


@given(
    st.dates(dt.date(1700, 1, 1), dt.date(2200, 1, 1)),
    st.sampled_from(["D", "7D", "ME", "QE", "h", "15min", "B", "MS"]),
)
def test_dates_against_pandas(start: dt.date, freq: str) -> None:
    """Steps of every kind are found and continued as by `pandas.date_range`."""
    every = [str(moment) for moment in pd.date_range(start, periods=20, freq=freq)]
    column = read_column(every[:15])
    step, gaps = column.step(range(15))
    assert step is not None
    assert gaps == []
    assert column.after(14, step, 5) == every[15:]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            "01/02/2020 02/02/2020",
            "Column 'date': .* got '01/02/2020' on line 2. Choose the order with date_order='dmy' or date_order='mdy'",
        ),
        (
            "13/01/2020 01/14/2020",
            "Line 2, column 'date': Expected days and months in one order, got .13/01/2020., and ",
        ),
        ("01/02/20 13/02/20", "that can be read in one way"),
        ("2020-01-01 soon", "Line 3, column 'date': Expected a date as in the other rows, got 'soon'"),
        (
            "2020-02-28 2020-02-30",
            "Line 3, column 'date': Expected a date, got '2020-02-30', which does not exist",
        ),
        ("2020-01-01T00:00Z 2020-01-01T01:00", "Line 3, .*Expected a time zone, as in the first row"),
        ("2020-W54 2020-W01", "which does not exist"),
        ("Foo-2020 Mar-2020", "which does not exist"),
        ("Marx-2020 Mar-2020", "which does not exist"),
        ("2020-01-01T25:00 2020-01-02T01:00", "which does not exist"),
    ],
)
def test_unclear_dates_are_refused(values: str, message: str) -> None:
    """Nothing is guessed: the line is named, and the setting that decides."""
    with pytest.raises(DateError, match=message):
        read_column(values.split())


def test_date_order_decides() -> None:
    """The same column is in February or in January."""
    values = ["01/02/20", "02/02/20", "03/02/20"]
    for order, second in (("dmy", dt.datetime(2020, 2, 2)), ("mdy", dt.datetime(2020, 2, 2)), ("ymd", None)):
        column = read_column(values, order)  # type: ignore[arg-type]
        if second is not None:
            assert column.order[1] == (second - dt.datetime(1970, 1, 1)).total_seconds()
    assert read_column(["01/02/2020", "01/03/2020"], "mdy").order.tolist() == [1577923200.0, 1578009600.0]


def test_names_are_not_dates() -> None:
    """Words, times without a day and numbers too large for a float are names of steps, not dates."""
    for values in (["spring", "summer"], ["10:30", "11:00"], ["9" * 400, "1"]):
        assert read_dates(values, [2, 3], "date", None, named_as_date=True) is None
    assert not looks_like_date("12.5")
    assert looks_like_date("2020-01-01")


def test_gaps_are_counted_on_the_calendar() -> None:
    """Missing dates, in days, months and weekdays; uneven dates have no step."""
    for values, gaps in (
        ("2020-01-01 2020-01-02 2020-01-05 2020-01-06", [(1, 2)]),
        ("2020-01 2020-02 2020-05 2020-06", [(1, 2)]),
        ("2020-01-02 2020-01-03 2020-01-06 2020-01-08", [(2, 1)]),
        ("1 2 3 5", [(2, 1)]),
    ):
        assert read_column(values.split()).step(range(4))[1] == gaps
    assert read_column(["2020-01-01", "2020-01-04", "2020-01-09", "2020-01-11"]).step(range(4)) == (None, [])
    assert read_column(["2020-01-01", "2020-01-02"]).step(range(2)) == (None, [])


@pytest.mark.parametrize(
    ("step", "seasons"),
    [
        (Step(months=1), (12,)),
        (Step(months=3), (4,)),
        (Step(months=12), ()),
        (Step(size=86_400), (7, 365)),
        (Step(size=86_400, weekdays=True), (5, 261)),
        (Step(size=3600), (24, 168)),
        (Step(size=900), (96, 672)),
        (Step(size=604_800), (52,)),
        (Step(size=1, clock=False), ()),
    ],
)
def test_seasons_are_those_of_the_calendar(step: Step, seasons: tuple[int, ...]) -> None:
    """A day, a week and a year, in steps."""
    assert step.seasons == seasons


def test_the_last_years_of_the_calendar_end_quietly() -> None:
    """Python counts to the year 9999."""
    column = read_column(["9988-01-01", "9989-01-01", "9990-01-01"])
    step, _ = column.step(np.arange(3).tolist())
    assert step is not None
    assert len(column.after(2, step, 50)) < 50
