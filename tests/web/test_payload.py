from __future__ import annotations

import pytest

from tocsin.web.payload import JSON_DEPTH, MalformedError, field_names, read_json, read_object

REFUSED = {
    "nothing": b"",
    "blanks": b" \n",
    "half": b'{"a":',
    "two": b"{}{}",
    "not a number": b'{"a":NaN}',
    "infinite": b'{"a":1e999}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "no UTF-8": b'{"a":"\xff"}',
    "a lone surrogate": rb'{"a":"\ud800"}',
    "a raw control character": b'{"a":"\x01"}',
    "NUL": rb'{"a":["b\u0000"]}',
    "NUL in a key": rb'{"a\u0000":1}',
    "deep": b"[" * (JSON_DEPTH + 1) + b"]" * (JSON_DEPTH + 1),
    "very deep": b"[" * 100_000,
    "deep objects": b'{"a":' * (JSON_DEPTH + 1) + b"1" + b"}" * (JSON_DEPTH + 1),
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_what_is_no_json_of_ours_is_refused_with_a_reason(body: bytes) -> None:
    with pytest.raises(MalformedError, match=r"JSON"):
        read_json(body)
    assert field_names(body) == []


@pytest.mark.parametrize("body", [b"[]", b"1", b"null", b'"text"', b"true"])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedError, match="object"):
        read_object(body)


def test_the_deepest_that_is_allowed_is_read() -> None:
    deep = read_json(b"[" * JSON_DEPTH + b"]" * JSON_DEPTH)
    for _ in range(JSON_DEPTH - 1):
        (deep,) = deep
    assert deep == []


def test_of_a_repeated_key_the_last_counts() -> None:
    assert read_object(b'{"a":1,"a":2}') == {"a": 2}


def test_an_escaped_backslash_before_u0000_is_no_nul() -> None:
    assert read_object(rb'{"a":"\\u0000"}') == {"a": "\\u0000"}
