"""The plans that a setting names."""

from __future__ import annotations

import tomllib
from pathlib import Path

from tocsin.domain.plan import PRESETS, Plans, parse_plans


def load_plans(setting: str) -> Plans:
    """The preset of that name, or the plans of the TOML file at that path (TOCSIN_PLANS).

    Raises ValueError, whose text is one line, for a file that cannot be read or has a mistake.
    """
    if setting in PRESETS:
        return PRESETS[setting]
    try:
        tables = tomllib.loads(Path(setting).read_text(encoding="utf-8"))
        return parse_plans(tables)
    except OSError as error:
        raise ValueError(f"TOCSIN_PLANS: {setting}: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"TOCSIN_PLANS: {setting}: {error}") from None
