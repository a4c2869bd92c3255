"""The stories of the town, told against a town that runs as `script/server` runs it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from services.cli import stories
from shared import embedded
from tests.cli import commands
from tests.cli.commands import Serving
from tests.conftest import copy_of, reachable


@pytest.fixture(scope="module")
def town(server: embedded.Embedded, template: str) -> Iterator[tuple[str, ...]]:
    """A served town; the words with which a command finds it."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(reachable())
        url = stack.enter_context(copy_of(server, template))
        commands.said("seed", "--residents", 30, "--data-dir", folder, url=url)
        serving = Serving("up", "--port", 0, "--data-dir", folder, folder=folder, url=url)
        up = stack.enter_context(serving)
        yield ("--url", up.ready(), "--data-dir", str(folder)), url


def test_there_is_a_story_for_every_part_of_the_town() -> None:
    assert stories.names() == ["childcare", "events", "fitness", "meals", "partner"]


@pytest.mark.parametrize("name", stories.names())
def test_the_story_is_true(town: tuple[tuple[str, ...], str], name: str) -> None:
    words, url = town
    for n in range(1 if name == "partner" else 2):  # a newcomer tells it twice; that one waits for a server to be away
        told = commands.said("story", name, *words, url=url)
        assert told.rstrip().endswith("The end."), told
        assert n or "ends here" not in told, told
