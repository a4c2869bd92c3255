"""The services of the town. This is the only list of them: what is not here does not exist.

A service is a folder with the usual rooms. `app` makes its ASGI app out of a `shared.web.Context`; a service whose
resource takes places names the collection in which it is claimed and the schema whose `takes` says what a body needs.
Both are named as "module:attribute", so that reading this list imports nothing.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from shared.web import Context


@dataclass(frozen=True, slots=True)
class Service:
    """One service: its name is its word in paths. `facts` is what grants tell it of people: `age_band`."""

    name: str
    title: str
    app: str
    role: str
    collection: str | None = None
    claims: str | None = None
    tasks: str | None = None
    notices: str | None = None
    paths: tuple[str, ...] = ()
    """Words after /v1 that lead here besides the service's name."""
    pages: tuple[str, ...] = ()
    """First words of paths outside /v1 that lead here: pages for people, which know a browser by its cookie."""
    facts: tuple[str, ...] = ()
    purposes: tuple[str, ...] = ()
    """What everybody who claims here must have consented to; codes of `shared.purposes`."""
    exports: str | None = None
    """Tells somebody all that the service knows of them: `shared.rights.Tables`."""
    ends: str | None = None
    """Ends what goes on by itself for somebody who is closed or has died; safe to do again."""
    forgets: str | None = None
    """Forgets of somebody what need not be known any more; safe to do again."""

    def make(self, context: Context) -> ASGIApp:
        """The service's app."""
        return cast("Callable[[Context], ASGIApp]", load(self.app))(context)


@cache
def load(name: str) -> Any:
    """The attribute that "module:attribute" names."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


GATEWAY_NOTICES = "services.gateway.notices:TYPES"
"""What the ledger itself announces, whichever service it was about."""
GATEWAY_EXPORTS = "services.gateway.actions:known_of"
"""What the ledger itself knows of somebody."""

OPERATIONS = "services.gateway.console:operation_ids"
"""Makes the set of all operationIds: the gateway knows every route, its own ones, too."""

SERVICES: tuple[Service, ...] = (
    Service(
        name="identity",
        title="Identity",
        app="services.identity.routes:app",
        role="linli_identity",
        tasks="services.identity.tasks:TASKS",
        notices="services.identity.notices:TYPES",
        exports="services.identity.actions.rights:known_of",
        pages=("oauth",),
    ),
    Service(
        name="booking",
        title="Booking",
        app="services.booking.routes:app",
        role="linli_booking",
        collection="reservations",
        claims="services.booking.schemas:ReservationIn",
        tasks="services.booking.tasks:TASKS",
        notices="services.booking.notices:TYPES",
        exports="services.booking.actions:known_of",
        forgets="services.booking.actions:forget",
    ),
    Service(
        name="elder-meals",
        title="Elder meals",
        app="services.elder_meals.routes:app",
        role="linli_elder_meals",
        collection="orders",
        claims="services.elder_meals.schemas.orders:OrderIn",
        tasks="services.elder_meals.tasks:TASKS",
        notices="services.elder_meals.notices:TYPES",
        facts=("age_band",),
        exports="services.elder_meals.actions.rights:known_of",
        ends="services.elder_meals.actions.rights:end",
        forgets="services.elder_meals.actions.rights:forget",
    ),
    Service(
        name="childcare",
        title="Childcare",
        app="services.childcare.routes:app",
        role="linli_childcare",
        collection="visits",
        claims="services.childcare.schemas:VisitIn",
        tasks="services.childcare.tasks:TASKS",
        notices="services.childcare.notices:TYPES",
        purposes=("childcare",),
        exports="services.childcare.actions.rights:known_of",
        forgets="services.childcare.actions.rights:forget",
    ),
    Service(
        name="events",
        title="Events",
        app="services.events.routes:app",
        role="linli_events",
        collection="registrations",
        claims="services.events.schemas:RegistrationIn",
        tasks="services.events.tasks:TASKS",
        notices="services.events.notices:TYPES",
        exports="services.events.actions.rights:known_of",
        forgets="services.events.actions.rights:forget",
    ),
    Service(
        name="partners",
        title="Partners",
        app="services.partners.routes:app",
        role="linli_partners",
        tasks="services.partners.tasks:TASKS",
        notices="services.partners.notices:TYPES",
        paths=("open",),
    ),
)


def service(name: str) -> Service:
    """The service with this name."""
    for one in SERVICES:
        if one.name == name:
            return one
    raise LookupError(name)


def notice_types() -> tuple[Any, ...]:
    """Every kind of notice there is (`shared.notices.NoticeType`), in the order of their names."""
    named = [GATEWAY_NOTICES, *(one.notices for one in SERVICES if one.notices is not None)]
    return tuple(sorted((kind for one in named for kind in load(one)), key=lambda kind: str(kind.name)))


def operation_ids() -> frozenset[str]:
    """Every operation of the gateway and of all services, by operationId: what a partner's key may name."""
    return cast("frozenset[str]", load(OPERATIONS)())
