"""domain/mail_address.py."""

from __future__ import annotations

import pytest

from tocsin.domain.mail_address import normal_address


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("You@Example.COM", "You@example.com"),
        ("root@localhost", "root@localhost"),
        ("ops@mail.local", "ops@mail.local"),
        ("a+b@büro.example", "a+b@xn--bro-hoa.example"),
    ],
)
def test_an_address_is_kept_with_a_plain_domain(given: str, expected: str) -> None:
    assert normal_address(given) == expected


@pytest.mark.parametrize(
    "given",
    [
        "",
        "you",
        "a@b@c",
        "a b@c.example",
        "a@c.example\r\nBcc: x@y.example",
        "@c",
        "=?utf-8?q?a=0D=0Ab?=@c.example",
        "=?utf-8?b?cm9vdA==?=@c.example",
    ],
)
def test_what_is_no_address_is_none(given: str) -> None:
    assert normal_address(given) is None
