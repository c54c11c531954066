from __future__ import annotations

from tests.cli.conftest import Tocsin
from tests.server import Server


def test_a_link_signs_the_owner_of_an_account_in_once(server: Server) -> None:
    server.command("key", "create", "--dialect", "tocsin", "--email", "me@example.com")
    link = server.command("sign-in-link", "Me@example.com").strip()
    path = "/link/" + link.rpartition("/link/")[2]
    assert server.client.post(path).status_code == 303
    assert "me@example.com" in server.client.get("/").text
    assert server.client.post(path).status_code == 404


def test_a_link_begins_with_the_public_address(tocsin: Tocsin) -> None:
    tocsin("key", "create", "--dialect", "tocsin", "--email", "me@example.com")
    assert tocsin("sign-in-link", "me@example.com").out.startswith("http://127.0.0.1:8000/link/")


def test_there_is_no_link_for_a_stranger(tocsin: Tocsin) -> None:
    tocsin("key", "create", "--dialect", "tocsin")
    ended = tocsin("sign-in-link", "nobody@example.com")
    assert (ended.status, ended.out, "no such account" in ended.err) == (1, "", True)
