"""Figures as the report writes them."""

from promise.analysis.markdown import figure, flops, interval, listed, protocol, short, signed, spread, table, titled


def test_figures() -> None:
    assert [figure(value) for value in (0.1, 0.00004, -0.12346, 12.0)] == [".1000", ".0000", "−.1235", "12.0000"]
    assert [signed(value) for value in (0.00004, -0.00004, 0.5, -0.5)] == [".0000", ".0000", "+.5000", "−.5000"]
    assert interval(-0.01, -0.02, 0.003) == "−.0100 (−.0200 to .0030)"
    assert [flops(value) for value in (999.0, 12_345.0, 1.5e9)] == ["999", "12.3 k", "1.5 G"]


def test_a_missing_figure_is_a_dash_and_never_a_zero() -> None:
    assert figure(None) == flops(None) == spread([]) == spread([None]) == "–"
    assert spread([None, 0.05]) == ".0500"


def test_the_spread_is_told_where_there_is_one() -> None:
    assert spread([0.05, 0.050001]) == ".0500"
    assert spread([0.05, 0.07, 0.06]) == ".0600 (.0500–.0700)"


def test_names() -> None:
    assert (short("ndcg@5"), short("mrr@5")) == ("N@5", "mrr@5")
    assert (titled("my_data"), protocol("remove")) == ("My Data", "past items removed")
    assert listed(["a", "b"]) == "a and b"


def test_a_bar_does_not_end_its_cell() -> None:
    assert table(["x"], [["a|b"]]) == ["| x |", "|---|", "| a\\|b |"]
