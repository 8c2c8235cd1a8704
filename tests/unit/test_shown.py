"""Nothing that others wrote acts on a terminal, a log or a page."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchored.display.shown import shown, shown_lines, shown_output


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("a\nerror: b\tc\r", "a\\nerror: b\\tc\\r"),
        ("\x9b2J", "\\x9b2J"),
        ("abc\u202etxt.exe", "abc\\u202etxt.exe"),
        ("\u2066a\u2069", "\\u2066a\\u2069"),
        ("a\u200bb\ufeffc", "a\\u200bb\\ufeffc"),
        ("a\u2028b", "a\\u2028b"),
        ("n\udcffme", "n\\udcffme"),
        ("\U000e0041", "\\U000e0041"),
        ("a\u200db", "a\\u200db"),
    ],
)
def test_what_acts_is_shown_as_an_escape(text, expected):
    assert shown(text) == expected


@pytest.mark.parametrize(
    "text",
    ["Größe é", "日本語", "семинар", "עברית", "👩‍💻 👨‍👩‍👧 🏳️‍🌈 ❤️ 👍🏽", "x\\y", "[red]", "…—«»"],
)
def test_ordinary_text_stays(text):
    assert shown(text) == shown_lines(text) == shown_output(text) == text


def test_several_lines_keep_their_ends():
    assert shown_lines("a\n\tb\r\nc\x1b[2J\n") == "a\n\tb\nc\\x1b[2J\n"


def test_output_loses_its_colours_and_what_a_progress_bar_wrote_over():
    assert shown_output("\x1b[1;31mred\x1b[0m") == "red"
    assert shown_output("10%\r50%\r100%\r") == "100%"
    assert shown_output("\x1b]52;c;cm0=\x07 \x1b[2J") == "\\x1b]52;c;cm0=\\x07 \\x1b[2J"


def test_long_text_is_cut():
    assert shown("x" * 100, 10) == "x" * 9 + "…"
    assert shown("x" * 10, 10) == "x" * 10


@given(st.text(st.characters(), max_size=50))
def test_nothing_is_left_that_acts(text):
    said = shown(text)
    for character in said.replace("\u200d", ""):
        assert unicodedata.category(character) not in {"Cc", "Cs", "Zl", "Zp"}
        assert unicodedata.bidirectional(character) not in {
            *("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"),
        }
    said.encode()
    assert shown(said) == said
