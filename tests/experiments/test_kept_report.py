"""A report is taken over where its table, settings and files are the same ones, and not otherwise."""

from pathlib import Path

from promise.experiments.kept_report import find_report, keep_report, made_of


def test_a_report_is_kept_and_found(tmp_path: Path) -> None:
    table, figure, path = (tmp_path / name for name in ("results.csv", "figure.png", "report.json"))
    table.write_text("a\n1\n")
    figure.write_text("x")
    known = made_of(table, {"logger": "csv"})
    assert known == made_of(table, {"logger": "csv"}) != made_of(table, {"logger": "wandb"})
    assert find_report(path, known) is None
    keep_report(path, known, {"paths": {"figure": str(figure)}, "tables": [["λ", ["a"], [[None, 1.5]]]]})
    found = find_report(path, known)
    assert found is not None and found["tables"] == [["λ", ["a"], [[None, 1.5]]]]
    assert find_report(path, "other") is None
    assert sorted(each.name for each in tmp_path.iterdir()) == ["figure.png", "report.json", "results.csv"]
    table.write_text("a\n2\n")
    assert made_of(table, {"logger": "csv"}) != known
    figure.unlink()
    assert find_report(path, known) is None
    path.write_text("garbage")
    assert find_report(path, known) is None
