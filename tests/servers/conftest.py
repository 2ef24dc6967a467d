# SPDX-License-Identifier: GPL-2.0-or-later
"""The servers that the receiver hands records to, as the distribution packages them: started here, on the
loopback, in folders of their own, PostgreSQL by a user who is not root."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest

from panicast_build.core import tools

from ..unit.receiver.conftest import VECTORS, Receiver, big, cli, serve, vectors
from ..waiting import PATIENCE_S, held_port, wait_until

__all__ = ["PATIENCE_S", "big", "cli", "serve", "vectors", "wait_until"]

PASSWORD = "correct horse"
#: Who owns the servers' folders and runs them when root starts the tests: PostgreSQL refuses root.
USER = "postgres"


@pytest.fixture
def port() -> Iterator[Callable[[], int]]:
    """Called: a TCP port of the loopback that is the test's until its end, whoever listens there."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(held_port())


class Server:
    """A process that can be killed and started again."""

    def __init__(self, argv: list[str], folder: Path, user: str | None = None) -> None:
        self._argv = argv
        self._folder = folder
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; what it says is in the file log."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._argv, stdout=log, stderr=log, cwd=self._folder, user=self._user, umask=0o077
            )

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Signal it and wait for its end."""
        assert self._process
        self._process.send_signal(number)
        self._process.wait(PATIENCE_S)

    def restart(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Kill it and start it again."""
        self.kill(number)
        self.start()

    def close(self) -> None:
        """End it, if it runs."""
        if self._process and self._process.poll() is None:
            self.kill()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users may reach, as pytest's own are not."""
    path = Path(tempfile.mkdtemp(prefix="panicast-servers-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


class Postgres(Server):
    """A database server with the database panicast."""

    def __init__(self, folder: Path, port: int) -> None:
        tools.need("initdb", "postgres")
        self.port = port
        data = folder / "data"
        user = USER if os.geteuid() == 0 else None
        word = folder / "word"
        word.write_text(PASSWORD)
        if user:
            shutil.chown(folder, user)
            shutil.chown(word, user)
        subprocess.run(
            [
                *(str(tools.find("initdb")), "--pgdata", str(data), "--username=panicast", "--no-sync"),
                *("--auth=scram-sha-256", f"--pwfile={word}", "--encoding=UTF8", "--locale=C"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=folder,
            user=user,
        )
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": ""}
        flags = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        super().__init__([str(tools.find("postgres")), "-D", str(data), *flags], folder, user)
        passfile = folder / "pgpass"
        passfile.write_text(f"127.0.0.1:{self.port}:*:panicast:{PASSWORD}\n")
        passfile.chmod(0o600)
        self.dsn = f"host=127.0.0.1 port={self.port} user=panicast dbname=panicast passfile={passfile}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        super().start()
        wait_until(self._answers, "PostgreSQL answers")

    def _answers(self) -> bool:
        try:
            self.ask("SELECT 1", "postgres")
        except psycopg2.OperationalError:
            return False
        return True

    def ask(self, query: str, database: str = "panicast") -> list[tuple[object, ...]]:
        """The rows of a query, as its owner; what it changes stays."""
        with contextlib.closing(psycopg2.connect(self.dsn, dbname=database)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(query)
                return cursor.fetchall() if cursor.description else []


@pytest.fixture
def postgres(folder: Path, port: Callable[[], int]) -> Iterator[Postgres]:
    """A running PostgreSQL with an empty database."""
    (folder / "postgres").mkdir()
    server = Postgres(folder / "postgres", port())
    with contextlib.closing(server):
        server.start()
        server.ask("CREATE DATABASE panicast", "postgres")
        yield server


#: After a restart a node says this of a consumer for as long as nobody uses it, and hosts say little here.
_UNUSED = re.compile(r"JetStream consumer '[^']*PANICAST_HOSTS[^']*' is not current")


class Nats(Server):
    """One node of a cluster."""

    def __init__(
        self, folder: Path, name: str, port: int, monitor: int, route: int, routes: list[int]
    ) -> None:
        self.url = f"nats://127.0.0.1:{port}"
        self._monitor = monitor
        folder.mkdir()
        config = {
            "server_name": name,
            "listen": f"127.0.0.1:{port}",
            "http": f"127.0.0.1:{self._monitor}",
            "authorization": {"user": "panicast", "password": PASSWORD},
            "jetstream": {
                "store_dir": str(folder / "store"),
                "max_memory_store": 1 << 26,
                "max_file_store": 1 << 30,
            },
            "cluster": {
                "name": "panicast",
                "listen": f"127.0.0.1:{route}",
                "routes": [f"nats://127.0.0.1:{other}" for other in routes],
            },
        }
        # Its configuration may be JSON.
        (folder / "config").write_text(json.dumps(config))
        super().__init__([str(tools.find("nats-server")), "-c", str(folder / "config")], folder)

    def health(self) -> str:
        """What it says of its part in the cluster: "ok" if all is in order, streams caught up."""
        try:
            address = f"http://127.0.0.1:{self._monitor}/healthz"
            with urllib.request.urlopen(address, timeout=PATIENCE_S) as answer:
                return str(json.load(answer).get("status"))
        except urllib.error.HTTPError as error:
            said = error.read().decode()
            return "ok" if _UNUSED.search(said) else said
        except OSError as error:
            return str(error)


class Cluster:
    """Three nodes with JetStream."""

    def __init__(self, folder: Path, port: Callable[[], int]) -> None:
        tools.need("nats-server")
        routes = [port() for _ in range(3)]
        self.nodes = [
            Nats(folder / f"n{number}", f"n{number}", port(), port(), route, routes)
            for number, route in enumerate(routes)
        ]
        login = folder / "login"
        login.write_text(f"panicast:{PASSWORD}\n")
        login.chmod(0o600)
        self.servers = ",".join(node.url for node in self.nodes)
        #: What the receiver is told of it.
        self.flags = ("--nats", self.servers, "--nats-login", str(login))

    def wait(self) -> None:
        """Wait until all of it is in order."""
        said: list[str] = []

        def healthy() -> bool:
            said[:] = [node.health() for node in self.nodes]
            return set(said) == {"ok"}

        try:
            wait_until(healthy, "the cluster is healthy")
        except AssertionError as error:
            raise AssertionError(f"{error}: {said}") from error


@pytest.fixture
def cluster(folder: Path, port: Callable[[], int]) -> Iterator[Cluster]:
    """A running cluster without a stream."""
    made = Cluster(folder, port)
    with contextlib.ExitStack() as stack:
        for node in made.nodes:
            stack.enter_context(contextlib.closing(node))
            node.start()
        made.wait()
        yield made


class Burst:
    """Panics of as many boots as are wanted, sent to a receiver."""

    def __init__(self, receiver: Receiver) -> None:
        (self._vector,) = (vector for vector in VECTORS if vector["name"] == "panic of many frames")
        self._frames = [bytes.fromhex(frame) for frame in self._vector["frames"]]
        self._receiver = receiver
        self.text = self._vector["text"]
        self.sent: set[tuple[str, int]] = set()

    def send(self, count: int) -> None:
        """Send so many panics, none of which was sent before, and wait until the receiver has said that it
        keeps them."""
        for _ in range(count):
            event = len(self.sent) + 1
            self._receiver.send(
                [frame[:24] + event.to_bytes(4, "big") + frame[28:] for frame in self._frames]
            )
            self.sent.add((self._vector["boot_id"], event))
            time.sleep(0.005)
        wait_until(self._announced, "the receiver keeps what was sent")

    def _announced(self) -> bool:
        self._receiver.read(0.1)
        return sum(" panic from " in line for line in self._receiver.log) >= len(self.sent)


@pytest.fixture
def burst() -> type[Burst]:
    """Called with a receiver."""
    return Burst
