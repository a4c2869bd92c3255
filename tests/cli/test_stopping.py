"""Told to stop, the server does not wait for those who only wait for news."""

from __future__ import annotations

import asyncio
import os
import signal
import socket

import httpx
from starlette.types import Receive, Scope, Send

from services.cli import serving


def test_a_signal_ends_what_only_waits_for_news() -> None:
    stopping, begun = asyncio.Event(), asyncio.Event()

    async def news(scope: Scope, _receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        begun.set()
        await stopping.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"what there is"})

    async def served() -> httpx.Response:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            address = f"http://127.0.0.1:{listening.getsockname()[1]}"
            server = asyncio.create_task(serving._http(news, listening, lambda: None, stopping))
            async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
                reader = asyncio.create_task(client.get(address))
                await begun.wait()
                os.kill(os.getpid(), signal.SIGTERM)
                await server
                return await reader

    answer = asyncio.run(served())
    assert (answer.status_code, answer.text) == (200, "what there is")
