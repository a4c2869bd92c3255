"""Refusals: everything a caller can be told instead of what they asked for.

A refusal is a state of the world, named in English. Its docstring is the sentence an English reader sees; `zh` is the
sentence everybody else sees; `code` is what programs read. The tree says the HTTP status, and each root's kinds have a
room; the roots themselves are in `refusal`:

    Refusal
    ├── Unreadable          400   requests
    ├── NotKnown            401   access
    ├── NotAllowed          403   access
    ├── NotThere            404
    ├── MethodNotAllowed    405
    ├── Conflict            409   claims: why somebody has no place; conflicts: all others
    ├── Gone                410
    ├── Changed             412   (the resource is not the one you read)
    ├── TooLarge            413
    ├── WrongMediaType      415
    ├── Unprocessable       422   requests
    ├── ConditionMissing    428
    ├── TooMany             429
    ├── Broken              500
    └── Unavailable         503   outages; those of somebody slow are 504

`docs/errors.md` lists every one of them, and a test compares. The stars below are why a new refusal is written in one
place: callers say `errors.Full`, wherever it stands.
"""

from __future__ import annotations

from shared.errors.access import *
from shared.errors.claims import *
from shared.errors.conflicts import *
from shared.errors.outages import *
from shared.errors.refusal import *
from shared.errors.requests import *
