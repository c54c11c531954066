"""The extractor sees what the pages print: how many samples of each kind, where they end, what they send."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.seeds.replay import Page
from tests.seeds.samples import SEEDS, Sample, endpoints, samples
from tests.seeds.shape import Expected
from tests.server import Server

# Counted by hand in the pages.
COUNTS = {
    "cronbeats": {"curl": 11, "json": 6, "headers": 3},
    "cronheart": {"curl": 2, "json": 5, "inline": 1},
    "cronpeek": {"curl": 13, "json": 8, "code": 7, "crontab": 1},
    "cronping-anethoth": {"curl": 6, "json": 2, "headers": 1},
    "cronping-com": {"curl": 3, "json": 7, "headers": 1, "request": 1, "code": 1},
}


@pytest.mark.parametrize("seed", SEEDS)
def test_each_seed_has_its_samples(seed: str) -> None:
    """That none of them is left out, each page's own test holds (`Page.left`)."""
    assert Counter(sample.kind for sample in samples(seed)) == COUNTS[seed]


@pytest.mark.parametrize("seed", SEEDS)
def test_every_curl_and_every_brace_of_a_page_is_in_a_sample(seed: str) -> None:
    text = SEEDS[seed].read_text(encoding="utf-8")
    found = samples(seed)
    for mark in (r"curl [-\"h]", r"\{\s*\"", r"https\.get\(", r"requests\.get\(", r"\$\{\{", r"^X-"):
        inside = sum(len(re.findall(mark, sample.text, re.MULTILINE)) for sample in found)
        assert len(re.findall(mark, text, re.MULTILINE)) == inside, mark


def at(seed: str, line: int) -> Sample:
    return next(sample for sample in samples(seed) if sample.line == line)


def test_a_sample_ends_where_the_page_goes_on() -> None:
    assert at("cronping-com", 86).text.endswith('"graceSeconds": 600\n}\'')
    assert at("cronping-com", 110).sent() == {"graceSeconds": 600, "tags": "prod db critical"}
    assert at("cronping-com", 8).text.endswith("X-Api-Key: cpk_abc123...")
    assert at("cronpeek", 267).text.endswith("await pingCronPeek('YOUR_TOKEN');")
    assert at("cronpeek", 333).text.endswith('${{ secrets.CRONPEEK_TOKEN }}"')
    assert at("cronheart", 32).value() == {"data": [], "total": 0}


def test_endpoints_are_read_from_words() -> None:
    found = {(one.method, one.path) for one in endpoints("cronpeek")}
    assert {("HEAD", "/api/v1/ping/:token"), ("GET", "/api/v1/monitors/:id/status")} <= found
    [status] = [one for one in endpoints("cronpeek") if one.path.endswith("/status")]
    assert status.pattern.fullmatch("/api/v1/monitors/0123/status")
    assert not status.pattern.fullmatch("/api/v1/monitors/0123/4567/status")


def test_what_is_left_out_is_told(server: Server, tmp_path: Path) -> None:
    page = Page("cronheart", server, tmp_path, {})
    page.value(38)
    page.ask("GET", "/api/v1/channels", 401)
    left = page.left()
    assert {"curl in line 7", "json in line 49", "GET /api/v1/monitors/{uuid}"} <= {*left}
    assert not {"json in line 38", "GET /api/v1/channels"} & {*left}


SAMPLE = {"id": "a", "at": "2026-03-28T02:00:12.000Z", "items": [{"count": 47, "none": None}]}


@pytest.mark.parametrize(
    "answer",
    [
        {"id": "a", "at": SAMPLE["at"]},
        {**SAMPLE, "more": 1},
        {**SAMPLE, "id": "b"},
        {**SAMPLE, "at": "2026-03-28T02:00:12Z"},
        {**SAMPLE, "at": None},
        {**SAMPLE, "items": []},
        {**SAMPLE, "items": [{"count": "47", "none": None}]},
        {**SAMPLE, "items": [{"count": 48, "none": None}, {"count": 48}]},
    ],
)
def test_an_answer_of_another_shape_is_noticed(answer: object) -> None:
    with pytest.raises(AssertionError):
        Expected(SAMPLE, {"at", "count"}).check(answer)


def test_an_answer_may_differ_where_it_says_so() -> None:
    answer = {"id": "b", "at": None, "items": [{"count": 1, "none": 2, "more": 3}], "more": 4}
    Expected(SAMPLE, {"id", "at", "count", "none"}, {"at"}, {"more"}).check(answer)
