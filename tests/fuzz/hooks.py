"""What schemathesis is told about requests: none that never reaches the door, as uvicorn refuses what is too long for HTTP."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

import schemathesis

LONGEST = 8000
"""Characters of an address."""


@schemathesis.hook
def filter_case(_context: Any, case: Any) -> bool:
    """Whether this made-up request can be sent at all."""
    query = case.query if isinstance(case.query, dict) else {}
    return len(quote(case.formatted_path)) + len(urlencode(query, doseq=True, errors="replace")) < LONGEST
