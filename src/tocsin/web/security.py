"""Headers that every answer carries, and the check of a form's origin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

# No inline script, no foreign origin; images may be data (the favicon).
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    # Keys, tokens and addresses in answers must not rest in a cache.
    (b"cache-control", b"no-store"),
)

RawHeaders = Iterable[tuple[bytes, bytes]]


def secured(headers: RawHeaders) -> list[tuple[bytes, bytes]]:
    """An answer's headers (lower-case names) and those of ours that it does not set itself."""
    headers = [*headers]
    said = {name for name, _ in headers}
    return headers + [header for header in _ALWAYS if header[0] not in said]


def is_own_form(headers: Mapping[str, str], public_url: str) -> bool:
    """Whether a browser sends this POST from one of our own pages (Sec-Fetch-Site, else Origin).

    Neither header: no browser of these years, so no cookie that another site could misuse.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc in {urlsplit(public_url).netloc, headers.get("host")}
