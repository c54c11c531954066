"""A project, who may act in it, and how much."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tocsin.domain.plan import Plan


class Role(StrEnum):
    """What a person is in a project."""

    OWNER = "owner"
    ADMIN = "admin"
    EDITOR = "editor"
    VIEWER = "viewer"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks: a key, or a person who signed in (`key_id` None), in one project.

    `dialect` is the face that asks, `plan` the project's plan as that face knows it.
    """

    project_id: int
    project_uid: str
    dialect: str
    plan: Plan
    key_id: int | None
    read_only: bool
    owner_id: int
    owner_email: str
