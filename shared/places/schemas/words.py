"""Words that all of them use."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

Region = Annotated[str, StringConstraints(pattern=r"^[0-9]{2,12}(-[0-9]{2})?$")]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Clock = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
EndClock = Annotated[str, StringConstraints(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]
Capacity = Annotated[int, Field(ge=1, le=100_000)]
Minutes = Annotated[int, Field(ge=0, le=60 * 24 * 60)]
Age = Annotated[int, Field(ge=0, le=150)]
AtLeastOne = Annotated[int, Field(ge=1, le=1000)]
