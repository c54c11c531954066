from __future__ import annotations

import pytest

from tocsin.web.security import is_own_form, secured


def test_what_an_answer_says_itself_is_not_overruled() -> None:
    headers = secured([(b"cache-control", b"public, max-age=300")])
    assert [value for name, value in headers if name == b"cache-control"] == [b"public, max-age=300"]
    assert (b"x-content-type-options", b"nosniff") in headers


@pytest.mark.parametrize(
    ("headers", "is_ours"),
    [
        ({}, True),
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "https://tocsin.example.com"}, False),
        ({"origin": "https://tocsin.example.com"}, True),
        ({"origin": "http://10.0.0.1:8000", "host": "10.0.0.1:8000"}, True),
        ({"origin": "https://evil.example.com", "host": "tocsin.example.com"}, False),
        ({"origin": "null", "host": "tocsin.example.com"}, False),
    ],
)
def test_a_form_on_somebody_elses_page_is_told_from_ours(headers: dict[str, str], is_ours: bool) -> None:  # noqa: FBT001
    assert is_own_form(headers, "https://tocsin.example.com") is is_ours
