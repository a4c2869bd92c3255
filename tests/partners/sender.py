"""A process that does nothing but send, to be killed: python sender.py DATABASE_URL DATA_DIR."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from services.partners import tasks
from shared import crypto
from shared.db import Database
from shared.settings import Settings
from shared.web import Context


async def send(url: str, folder: Path) -> None:
    db = Database.connect(url, pool_size=4, role="linli_partners")
    settings = Settings(data_dir=folder, demo=True, partner_networks=("127.0.0.0/8",))
    context = Context(db, crypto.load_or_create(settings.keys_file, may_create=False), settings)
    sys.stdout.write("sending\n")
    sys.stdout.flush()
    while True:
        await tasks.fan_out(context)
        await tasks.drain(context, seconds=3)
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(send(sys.argv[1], Path(sys.argv[2])))
