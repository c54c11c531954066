"""Whether an answer is what a page shows: the same keys, the same types, the documented values."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

# How vendors write a moment; an answer keeps to the sample's way.
MOMENTS = [
    re.compile(pattern)
    for pattern in (
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d",
    )
]


@dataclass(frozen=True, slots=True)
class Expected:
    """A sample's value, and how an answer may differ from it.

    `varies`: keys whose value is the request's or the server's own (still of the sample's type, and a moment
    in the sample's way of writing). `nullable`: those that may be null instead. `more`: keys that the page
    leaves out. Every other value is the one that is printed.
    """

    value: Any
    varies: Collection[str] = ()
    nullable: Collection[str] = ()
    more: Collection[str] = ()

    def check(self, answer: Any) -> None:
        """Raises AssertionError, which names the place."""
        self._check(answer, self.value, "", "answer")

    def _check(self, answer: Any, sample: Any, key: str, where: str) -> None:
        if isinstance(sample, dict):
            assert isinstance(answer, dict), (where, answer)
            assert answer.keys() - set(self.more) == sample.keys(), (where, answer, sample)
            for name, value in sample.items():
                self._check(answer[name], value, name, f"{where}.{name}")
        elif isinstance(sample, list):
            assert isinstance(answer, list), (where, answer)
            assert bool(answer) is bool(sample) or key in self.varies, (where, answer)
            for number, item in enumerate(answer if sample else ()):
                self._check(item, sample[0], key, f"{where}[{number}]")
        else:
            self._check_value(answer, sample, key, where)

    def _check_value(self, answer: Any, sample: Any, key: str, where: str) -> None:
        if key not in self.varies:
            assert answer == sample, where
        if answer is None and key in self.nullable:
            return
        if sample is not None:
            assert type(answer) is type(sample), (where, answer, sample)
        for moment in MOMENTS:
            if isinstance(sample, str) and moment.fullmatch(sample):
                assert moment.fullmatch(answer), (where, answer, sample)
