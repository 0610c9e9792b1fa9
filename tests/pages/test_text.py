"""Foreign text in Markdown places."""

from pages.text import literal


def test_everything_markdown_acts_on_is_escaped():
    assert literal("![](x) :red[y] $z$ **b**") == r"\!\[\]\(x\) \:red\[y\] \$z\$ \*\*b\*\*"


def test_words_stay_words_and_lines_become_one():
    assert literal("two\nlines") == "two lines"
