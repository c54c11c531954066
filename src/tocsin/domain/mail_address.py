"""Mail addresses, as far as one can judge them without asking anybody."""

from __future__ import annotations

import email_validator

# The mail of a company's own network is fine: root@localhost, ops@mail.local. Its documentation names this
# list as the place to say so.
for _name in ("local", "localhost", "test"):
    email_validator.SPECIAL_USE_DOMAIN_NAMES.remove(_name)


def normal_address(text: str) -> str | None:
    """The address with its domain in lower case and ASCII, or None where it is none, or is made to be read as
    another (RFC 2047)."""
    if "=?" in text:
        return None
    try:
        checked = email_validator.validate_email(
            text, check_deliverability=False, allow_smtputf8=False, globally_deliverable=False
        )
    except email_validator.EmailNotValidError:
        return None
    return checked.ascii_email or checked.normalized
