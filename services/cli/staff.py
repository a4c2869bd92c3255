"""The first administrator of a new town, and whoever has lost their password and has nobody to ask."""

from __future__ import annotations

import re
from typing import Final

import asyncpg

from services.cli import Stop, database
from services.identity.actions import staff
from services.identity.actions.staff import Invited
from shared.crypto import Keyring
from shared.db import Database, constraint_of
from shared.settings import Settings

_LOGIN: Final = re.compile(r"[\w.@+-]{2,64}")


def invite(settings: Settings, *, login: str, name: str, role: str, region: str) -> Invited:
    """An invitation for who logs in by this name, made with this role if there is nobody yet."""
    if not _LOGIN.fullmatch(login):
        raise Stop("A login is 2 to 64 letters, digits and . @ + - _.")
    with database.at(settings) as url:
        database.require_current(url)
        return database.acted(url, database.keys(settings, url), _invite, login, name, role, region)


async def _invite(db: Database, keys: Keyring, login: str, name: str, role: str, region: str) -> Invited:
    try:
        return await db.run(staff.invite_first, keys, login=login, name=name, role=role, prefix=region)
    except asyncpg.IntegrityConstraintViolationError as error:
        if constraint_of(error) == "role_known":
            raise Stop(f"There is no role called {role}.") from None
        if constraint_of(error) == "roles_prefix_fkey":
            raise Stop(f"There is no region {region}; see `linli regions import`.") from None
        raise
