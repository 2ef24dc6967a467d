# SPDX-License-Identifier: GPL-2.0-or-later
"""What one container has compiled another takes from ccache, and only if nothing of it has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import docker
import pytest

from panicast_build.engine import images
from panicast_build.engine.container import Container
from panicast_build.kernel import build, ccache, config
from panicast_build.kernel.build import Options
from panicast_build.kernel.tree import BUILD, Wanted
from panicast_build.targets.distros import DebDistro

HIT, MISS = "direct_cache_hit", "cache_miss"
SOURCE = b'#include "header.h"\nint number(void) { return NUMBER; }\n'
HEADER = b"#define NUMBER 1\n"
# As kbuild compiles.
COMPILE = ("gcc", "-Wp,-MMD,.main.o.d", "-c", "-o", "main.o", "main.c")
# Otherwise ccache hashes anew what was written less than two seconds ago. So nobody need wait, and it has to
# tell such a file from the one before.
AT_ONCE = {"CCACHE_DISABLE_INODE_CACHE_MIN_AGE": "1"}
LOG = "/tmp/statistics"


@dataclass
class Compiler:
    """One builder's container with a source in it."""

    box: Container
    environment: dict[str, str]

    def header(self, text: bytes) -> None:
        """Writes the header over, with the time that it had."""
        self.box.write({"header.h": text}, BUILD)

    def compile(self) -> str:
        """What ccache says of it."""
        env = {**self.environment, **AT_ONCE, "CCACHE_STATSLOG": LOG}
        self.box.run(["rm", "-f", LOG])
        self.box.run(COMPILE, cwd=BUILD, env=env)
        (result,) = {HIT, MISS} & set(self.box.read(LOG).decode().splitlines())
        return result

    def object(self) -> bytes:
        """What was compiled."""
        return self.box.read(f"{BUILD}/main.o")


Builder = Callable[[Path], AbstractContextManager[Compiler]]


@pytest.fixture
def builder(client: docker.DockerClient, distro: DebDistro, tmp_path: Path) -> Builder:
    """Called with ccache's folder: a builder that compiles with it."""
    image = images.build(client, distro, "kernel-deb")

    @contextmanager
    def builder(cache: Path) -> Iterator[Compiler]:
        options = Options(Wanted(config.get("smoke")), jobs=1, cache=cache)
        with (
            (tmp_path / "log").open("a") as log,
            build.workshop(client, image, options, log) as (box, _, environment),
        ):
            compiler = Compiler(box, environment)
            box.write({"main.c": SOURCE}, BUILD)
            compiler.header(HEADER)
            yield compiler

    return builder


def test_only_what_has_not_changed_is_taken(builder: Builder, tmp_path: Path) -> None:
    with builder(tmp_path / "cache") as first:
        assert first.compile() == MISS
        compiled = first.object()
        assert first.compile() == HIT
        # It remembers the headers' hashes, so that it has to notice that one is another.
        assert first.box.run(["find", ccache.MEMORY, "-name", "inode-cache-*"]).output
    with builder(tmp_path / "cache") as second:
        assert second.compile() == HIT
        assert second.object() == compiled
        # As long as the other, and as old.
        second.header(HEADER.replace(b"1", b"2"))
        assert second.compile() == MISS
        assert second.object() != compiled
        second.header(HEADER)
        assert second.compile() == HIT
        assert second.object() == compiled
        second.box.run(["sh", "-c", 'echo >> "$(readlink -f /usr/bin/gcc)"'])
        assert second.compile() == MISS


class Server(BaseHTTPRequestHandler):
    """What ccache asks of a server: keeps what is put to it."""

    files: dict[str, bytes]
    protocol_version = "HTTP/1.1"

    def _answer(self, code: int, content: bytes = b"") -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def do_GET(self) -> None:
        found = self.files.get(self.path)
        self._answer(404 if found is None else 200, found or b"")

    do_HEAD = do_GET

    def do_PUT(self) -> None:
        self.files[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(201)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    """A server for ccache on the loopback."""
    Server.files = {}
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_builders_share_by_a_server(
    builder: Builder, server: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ccache.SETTING, f"http://127.0.0.1:{server.server_port}")
    with builder(tmp_path / "one") as one:
        assert one.compile() == MISS
        compiled = one.object()
    assert Server.files
    with builder(tmp_path / "other") as other:
        assert other.compile() == HIT
        assert other.object() == compiled
        other.header(HEADER.replace(b"1", b"2"))
        assert other.compile() == MISS
