"""What others wrote is decoded within bounds: a value of plain types, or `Unreadable`."""

from __future__ import annotations

import json
import sys
import tomllib
from contextlib import suppress

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from anchored.decisions.decoding import Unreadable, json_value, toml_value, yaml_value

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)
NUMBERS = st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)
DOCUMENTS = st.dictionaries(TEXTS.filter(lambda key: key != "<<"), TEXTS | st.lists(TEXTS))

DEEP = 7_900
HOSTILE_JSON = {
    "empty": b"",
    "deep": b"[" * DEEP,
    "deep and closed": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "digits": b"1" * 5000,
    "a large float": b"1e999",
    "not a number": b"[NaN]",
    "infinite": b"[-Infinity]",
    "a key twice": b'{"a": 1, "a": 2}',
    "a lone surrogate": b'["\\udc80"]',
    "a lone surrogate as key": b'{"\\udc80": 1}',
    "NUL": b'["\0"]',
    "not UTF-8": b'["\xff"]',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "endless string": b'"' + b'\\"' * 500_000,
    "too long": b'["' + b"x" * (1 << 20) + b'"]',
}
HOSTILE_YAML = {
    "empty": b"",
    "an alias": b"a: &a [x]\nb: *a\n",
    "an alias bomb": b"a0: &a0 [x, x]\n"
    + b"".join(b"a%d: &a%d [*a%d, *a%d]\n" % (n, n, n - 1, n - 1) for n in range(1, 40)),
    "a tag": b"!!python/object/apply:os.system [touch PWNED]\n",
    "a tagged scalar": b"md5: !!binary aGk=\n",
    "a merge key": b"<<: {a: b}\n",
    "a key twice": b"a: 1\na: 2\n",
    "a list as key": b"? [a]\n: b\n",
    "two documents": b"a: 1\n---\nb: 2\n",
    "deep": b"[" * DEEP,
    "deep mappings": b"{a: " * DEEP,
    "deep by indentation": b"".join(b" " * n + b"a:\n" for n in range(900)),
    "many": b"[" + b"a," * 60_000 + b"]",
    "NUL": b'a: "\\0"\n',
    "a lone surrogate": b'a: "\\ud800"\n',
    "not UTF-8": b"a: \xff\n",
    "too long": b"a: " + b"x" * (1 << 20),
    "a huge key": b"k" * 5_000 + b": v\n",
}
HOSTILE_TOML = {
    "deep arrays": b"a = " + b"[" * DEEP,
    "deep tables": b"a = " + b"{a = " * DEEP,
    "a deep key": b".".join([b"a"] * DEEP) + b" = 1\n",
    "a deep quoted key": b".".join([b'"a"'] * DEEP) + b" = 1\n",
    "a deep header": b"[" + b".".join([b"a"] * DEEP) + b"]\n",
    "digits": b"a = " + b"1" * 5000,
    "hexadecimal digits": b"a = 0x" + b"f" * 5000,
    "NUL": b'a = "\0"\n',
    "a lone surrogate": b'a = "\\ud800"\n',
    "not UTF-8": b'a = "\xff"\n',
    "too long": b"#" * (1 << 20),
    "endless string": b'a = """' + b'\\"' * 100_000,
}


def pairs(corpus):
    return pytest.mark.parametrize("text", corpus.values(), ids=corpus)


def check_refused(decode, text):
    with pytest.raises(Unreadable) as caught:
        decode(text)
    assert caught.value.why.isprintable()
    assert 0 < len(caught.value.why) <= 200


@pairs(HOSTILE_JSON)
def test_hostile_json_is_refused_in_short_words(text):
    check_refused(json_value, text)


@pairs(HOSTILE_YAML)
def test_hostile_yaml_is_refused_in_short_words(text):
    check_refused(yaml_value, text)


@pairs(HOSTILE_YAML)
def test_hostile_yaml_is_refused_without_libyaml_too(text, monkeypatch):
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    check_refused(yaml_value, text)


@pairs(HOSTILE_TOML)
def test_hostile_toml_is_refused_in_short_words(text):
    check_refused(toml_value, text)


def test_no_yaml_scalar_has_a_type():
    text = "md5: 2001-99-99\nsize: 12\nyes: on\nnone: ~\nempty:\nexp: 1e5\nquoted: '007'\n"
    assert yaml_value(text) == {
        "md5": "2001-99-99",
        "size": "12",
        "yes": "on",
        "none": "~",
        "empty": "",
        "exp": "1e5",
        "quoted": "007",
    }


def test_a_byte_order_mark_is_no_content():
    mark = b"\xef\xbb\xbf"
    assert json_value(mark + b'{"a": 1}') == {"a": 1}
    assert yaml_value(mark + b"a: b") == {"a": "b"}
    assert toml_value(mark + b"a = 1") == {"a": 1}


def test_brackets_and_dots_in_strings_and_comments_are_no_depth():
    dots = "." * 50
    assert json_value(json.dumps(["[" * 100 + '"\\'])) == ["[" * 100 + '"\\']
    text = f'# {"[" * 100}{dots}\na = \'{"[" * 100}{dots}\'\nb = """\n\\"{"{" * 100}"""\n'
    assert toml_value(text) == {"a": "[" * 100 + dots, "b": '"' + "{" * 100}
    assert toml_value("a = [" + "1.5, 0.25,\n" * 100 + "]")["a"] == [1.5, 0.25] * 100


def test_how_long_a_text_may_be_is_said_by_who_asks():
    assert json_value("[1, 2]", longest=6) == [1, 2]
    check_refused(lambda text: json_value(text, longest=5), "[1, 2]")


@given(JSON)
def test_whatever_json_writes_is_read_as_it_was(value):
    assert json_value(json.dumps(value)) == value
    assert json_value(json.dumps(value, ensure_ascii=False).encode()) == value


@given(DOCUMENTS)
def test_whatever_yaml_writes_in_strings_is_read_as_it_was(value):
    text = yaml.safe_dump(value, default_style='"', allow_unicode=True)
    assert yaml_value(text) == value


@given(st.binary(max_size=200) | st.text("[]{}:,&*!-\"'#\n a1.=\\", max_size=60).map(str.encode))
def test_any_bytes_are_a_value_or_unreadable(text):
    for decode in (json_value, yaml_value, toml_value):
        with suppress(Unreadable):
            decode(text)


@given(st.text("[]{}:,\"'\\ a1.=#\n", max_size=80))
def test_toml_that_is_not_deep_is_never_refused_for_its_depth(text):
    try:
        expected = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        check_refused(toml_value, text)
    else:
        assert toml_value(text) == expected


def test_no_limit_of_the_interpreter_is_needed():
    before = sys.getrecursionlimit()
    for decode in (json_value, yaml_value, toml_value):
        check_refused(decode, "[" * 200_000)
    assert sys.getrecursionlimit() == before
