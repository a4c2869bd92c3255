"""A kitchen's own system: signed notices, a server that is away for a while, and nothing missed."""

from __future__ import annotations

import json
import threading
import time
import uuid
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook, WebhookVerificationError


def story(town: Any) -> None:
    steward, resident, elder = town.as_("steward"), town.as_("resident"), town.as_("elder")

    town.say("The town gives the kitchen's system a key of its own: meals of its region, and nothing else.")
    reach = {"name": "厨房系统", "types": ["elder-meals.*"], "region": "330424101", "operations": ["partners.*"]}
    key = steward.post("/v1/partners/keys", reach)["key"]
    system = town.with_key("kitchen's system", key)
    system.get("/v1/elder-meals/orders", expect=403)

    town.say("It names its address. The first call is a challenge: who cannot read the signature cannot echo it.")
    server = Server()
    wanted = {"url": server.url, "types": ["elder-meals.order.*"], "community": "330424101"}
    endpoint = system.post("/v1/partners/endpoints", wanted)
    server.open(endpoint["secret"])
    own = f"/v1/partners/endpoints/{endpoint['id']}"
    town.until(lambda: town.read(key, own)["state"] == "enabled")
    system.get(own)
    began = town.read(key, "/v1/partners/notices", after="latest", types="elder-meals.order.*")["next"]

    town.say("A meal is ordered: the notice comes signed, with numbers instead of names.")
    first = _ordered(town, resident, elder)
    town.until(lambda: first["id"] in server.subjects)

    town.say("The kitchen's server is away. The meal is given back, and another one ordered: deliveries fail and wait.")
    server.shut()
    resident.delete(first["href"])
    second = _ordered(town, resident, elder)
    town.until(lambda: len(_of(town.read(key, f"{own}/deliveries")["items"], "attempts")) >= 1)
    system.get(f"{own}/deliveries")

    town.say("Polling misses nothing meanwhile: the same notices, in the order of their positions.")
    polled: list[dict[str, Any]] = []
    town.until(lambda: _poll(town, key, began, polled) >= 3)
    told = [(one["type"], one["subject"]) for one in polled]
    assert told == [
        ("elder-meals.order.made", first["id"]),
        ("elder-meals.order.cancelled", first["id"]),
        ("elder-meals.order.made", second["id"]),
    ], told
    system.get("/v1/partners/notices", after=began, types="elder-meals.order.*")

    town.say("It is back. What waits would come by itself; it need not wait: the range is asked for again.")
    server.open(endpoint["secret"])
    since = {"since": first["slot"]["starts_at"][:4] + "-01-01T00:00:00+08:00", "until": datetime.now(UTC).isoformat()}
    system.post(f"{own}/recover", since)
    town.until(lambda: {one["id"] for one in polled} <= server.heard)

    resident.delete(second["href"])
    system.delete(own)
    server.shut()


def _ordered(town: Any, son: Any, elder: Any) -> Any:
    """A meal for the elder, out of the next window that may be his."""
    father = elder.id
    slots = town.read(son.token, "/v1/slots", service="elder-meals", limit=500, **{"for": father})["items"]
    for window in slots:
        if not window["bookable"]:
            continue
        day = window["starts_at"][:10]
        menu = f"/v1/elder-meals/kitchens/{window['facility']['id']}/menus/{day}"
        for dish in town.read(son.token, menu)["dishes"]:
            if not {"vegetarian", "low_oil"} <= set(dish["diets"]):
                continue
            stock = town.read(son.token, "/v1/slots", subject=dish["dish_id"], **{"for": father})["items"]
            if any(one["bookable"] and one["starts_at"][:10] == day for one in stock):
                lines = [{"dish_id": dish["dish_id"], "portions": 1}]
                return son.post(
                    "/v1/elder-meals/orders", {"slot_id": window["id"], "persons": [father], "lines": lines}
                )
    raise LookupError("no meal can be ordered")


def _poll(town: Any, key: str, began: int, polled: list[dict[str, Any]]) -> int:
    after = polled[-1]["position"] if polled else began
    polled += town.read(key, "/v1/partners/notices", after=after, types="elder-meals.order.*", wait=2)["items"]
    return len(polled)


def _of(deliveries: list[dict[str, Any]], field: str) -> list[dict[str, Any]]:
    return [one for one in deliveries if one["state"] == "due" and one[field]]


class Server:
    """The kitchen's server, on this machine: it believes only what is signed."""

    def __init__(self) -> None:
        self.subjects: set[str] = set()
        self.heard: set[str] = set()
        self._port = 0
        self._listening: ThreadingHTTPServer | None = None
        self._bind(None)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}/{uuid.uuid4().hex[:8]}"

    def open(self, secret: str) -> None:
        """Listen, and verify with this secret."""
        self.shut()
        self._bind(Webhook(secret))

    def _bind(self, webhook: Webhook | None) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                try:
                    told = webhook.verify(body, dict(self.headers)) if webhook else None
                except WebhookVerificationError:
                    told = None
                answer = json.dumps({"challenge": told.get("challenge")} if told else {}).encode()
                self.send_response(200 if told else 401)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
                if told and "subject" in told:
                    outer.subjects.add(told["subject"])
                    outer.heard.add(told["id"])

            def log_message(self, *_: object) -> None:
                """Nothing is written down."""

        for _ in range(50):
            try:
                self._listening = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
                break
            except OSError:
                time.sleep(0.1)
        assert self._listening is not None
        self._port = self._listening.server_address[1]
        threading.Thread(target=self._listening.serve_forever, daemon=True).start()

    def shut(self) -> None:
        """Be away."""
        if self._listening is not None:
            self._listening.shutdown()
            self._listening.server_close()
            self._listening = None
