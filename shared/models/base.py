"""What every table has in common: names of constraints that are the same everywhere, and the types in use."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Annotated, Any

from sqlalchemy import BigInteger, Date, DateTime, Identity, LargeBinary, MetaData, SmallInteger, Text, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column

Id = Annotated[uuid.UUID, mapped_column(Uuid, primary_key=True, server_default=text("uuidv7()"))]
"""A UUID of version 7: rows made together lie together."""
No = Annotated[int, mapped_column(BigInteger, Identity(always=True), primary_key=True)]
"""A small number for keys that are compared millions of times."""
Moment = Annotated[datetime, mapped_column(DateTime(timezone=True))]
Made = Annotated[datetime, mapped_column(DateTime(timezone=True), server_default=text("now()"))]
Small = Annotated[int, mapped_column(SmallInteger)]
Big = Annotated[int, mapped_column(BigInteger)]
Bytes = Annotated[bytes, mapped_column(LargeBinary)]


class Base(DeclarativeBase):
    """The one metadata."""

    metadata = MetaData(
        naming_convention={
            "pk": "%(table_name)s_pkey",
            "fk": "%(table_name)s_%(column_0_name)s_fkey",
            "uq": "%(table_name)s_%(column_0_name)s_key",
            "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        str: Text,
        date: Date,
        uuid.UUID: Uuid,
        dict[str, Any]: JSONB,
        list[str]: ARRAY(Text),
        list[int]: ARRAY(BigInteger),
        list[uuid.UUID]: ARRAY(Uuid),
    }
