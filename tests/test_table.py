"""Tables of text: how wide they are, and what stands out."""

import pytest

from dlscratch.table import BOLD, PLAIN, WIDTH, Table, columns

TABLE = Table("Title", "what it is", ("name", "n", "x"), (("a", "1", "2.5"), ("bb", "10", "1")), frozenset({(1, 2)}))


def test_columns_are_aligned():
    assert str(TABLE) == "Title: what it is\nname   n    x\na      1  2.5\nbb    10    1"


def test_the_best_is_bold_only_where_it_may_be():
    assert TABLE.text(bold=True).endswith(f"10    {BOLD}1{PLAIN}")
    assert BOLD not in TABLE.text()


def test_markdown_and_html_say_the_same():
    assert TABLE.markdown() == "| name | n | x |\n| --- | ---: | ---: |\n| a | 1 | 2.5 |\n| bb | 10 | **1** |\n"
    assert "<tr><th scope=row>bb</th><td>10</td><td><strong>1</strong></td></tr>" in TABLE.html()


def test_what_comes_from_a_run_is_escaped():
    table = Table("<t>", "&", ("", "x"), (("<script>|", "|"),))
    assert "<script>" not in table.html()
    assert "<t>" not in table.html()
    assert r"<script>\|" in table.markdown()


@pytest.mark.parametrize("name", ["手書き数字" * 20, "word " * 40, "x" * 300, "a very-" + "long" * 30 + " name"])
def test_a_long_name_goes_on_below_and_the_table_stays_narrow(name):
    lines = Table("T", "about", ("", *"abcdef"), ((name, *(["12.34±5.67"] * 6)),)).text().splitlines()
    assert all(columns(line) <= WIDTH for line in lines)
    assert lines[2].endswith("12.34±5.67")
    pieces = [lines[2][: -6 * 12], *lines[3:]]
    assert "".join(pieces).replace(" ", "") == name.replace(" ", "")


def test_cells_stand_closer_where_names_would_else_be_torn():
    cells = ["12.34±5.67"] * 8
    lines = Table("T", "about", ("", *"abcdefgh"), (("lr=0.5 (75 diverged)", *cells),)).text().splitlines()
    assert lines[2].split("12.34")[0].strip() == "lr=0.5 (75"
    assert lines[3] == "  diverged)"
    assert lines[2].endswith(" 12.34±5.67 12.34±5.67")


def test_what_stands_below_comes_last_in_every_form():
    table = Table("T", "about", ("", "x"), (("a", "1"),), below="and 3 <more>")
    assert table.text().endswith("\nand 3 <more>")
    assert table.markdown().endswith("|\n\nand 3 <more>\n")
    assert "and 3 &lt;more&gt;</p>" in table.html()


def test_wide_characters_count_two():
    assert columns("手a") == 3
