# SPDX-License-Identifier: GPL-2.0-or-later
"""Connects to the container engine: the one that answers, else a private dockerd of the pipeline's
own.

The private engine keeps its data and log in the cache folder and shares nothing with the system's
daemon. It makes no bridge and no firewall rule: containers use the machine's network while images
are built, and none afterwards. Its socket, pid file and runtime state are in /run, where they
vanish at a reboot and where paths are short enough for a socket (108 bytes). It keeps running for
the next task.
"""

from __future__ import annotations

import hashlib
import os
import socket
import time
from http import HTTPStatus
from pathlib import Path

import docker
from docker.errors import APIError, DockerException

from panicast_build.core import files, progress, tools
from panicast_build.core.errors import BuildError, UserError
from panicast_build.core.paths import CACHE, LOGS
from panicast_build.core.run import spawn

START_SECONDS = 60
SILENCE_SECONDS = 3600
# Where a user's Podman answers, below XDG_RUNTIME_DIR.
PODMAN = "podman/podman.sock"
# A container says whose it is: what a process left behind when it was killed is removed by the next one.
OWNER_LABEL = "panicast.owner"


def owner() -> str:
    """Returns the label of this process's containers."""
    return f"{socket.gethostname()}:{os.getpid()}"


def connect() -> docker.DockerClient:
    """Returns a client of DOCKER_HOST if set, else of the system's or user's Docker or the user's
    Podman, else of our own engine."""
    client = _first_answering() or _own()
    _remove_orphans(client)
    return client


def _answers(url: str | None) -> docker.DockerClient | None:
    """Returns the client of the engine at url; None means what DOCKER_HOST and its companions name."""
    try:
        # No version is pinned: the client takes the engine's. Builds may be silent for minutes.
        if url is None:
            client = docker.from_env(timeout=SILENCE_SECONDS)
        else:
            client = docker.DockerClient(base_url=url, timeout=SILENCE_SECONDS)
        client.ping()
    except (DockerException, OSError):
        return None
    return client


def _first_answering() -> docker.DockerClient | None:
    if chosen := os.environ.get("DOCKER_HOST"):
        client = _answers(None)
        if client is None:
            raise UserError(
                f"no container engine answers at DOCKER_HOST={chosen}", "start it, or unset DOCKER_HOST"
            )
        return client
    sockets = [Path("/var/run/docker.sock")]
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        sockets.append(Path(runtime) / "docker.sock")
        # Root has our own engine, with which all was seen to work.
        if os.geteuid() != 0:
            sockets.append(Path(runtime) / PODMAN)
    return next(filter(None, (_answers(f"unix://{path}") for path in sockets if path.exists())), None)


def _own() -> docker.DockerClient:
    if os.geteuid() != 0:
        raise UserError(
            "no container engine answers, and only root can start one",
            "install one (Debian: sudo apt-get install docker.io) and join its group "
            "(sudo usermod -aG docker $USER), or run this command as root",
        )
    tools.need("dockerd")
    state = Path("/run") / f"panicast-{hashlib.sha256(bytes(CACHE)).hexdigest()[:12]}"
    url = f"unix://{state}/docker.sock"
    # Two pipelines at once start one engine.
    with files.locked(CACHE / "engine.lock"):
        return _answers(url) or _start(state, url)


def _start(state: Path, url: str) -> docker.DockerClient:
    state.mkdir(mode=0o700, exist_ok=True)
    pid_file = state / "dockerd.pid"
    if pid := _alive(pid_file, state):
        raise UserError(
            f"the pipeline's dockerd (pid {pid}) runs but does not answer", f"end it with: kill {pid}"
        )
    # A containerd that outlived its dockerd is taken over by the next one.
    _alive(state / "exec" / "containerd" / "containerd.pid", state)
    LOGS.mkdir(parents=True, exist_ok=True)
    log_path = LOGS / "dockerd.log"
    argv = [
        tools.find("dockerd") or "dockerd",
        *("--data-root", str(CACHE / "docker")),
        *("--exec-root", str(state / "exec")),
        *("--pidfile", str(pid_file)),
        *("--host", url),
        "--bridge=none",
        "--iptables=false",
        "--ip6tables=false",
    ]
    with progress.step("starting a container engine of our own", log=log_path), log_path.open("wb") as log:
        process = spawn(argv, log=log)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            if client := _answers(url):
                return client
            time.sleep(0.2)
        if process.poll() is None:
            process.kill()
        raise BuildError("dockerd did not start", log_path)


def _alive(pid_file: Path, state: Path) -> int | None:
    """Returns the process that pid_file names if it is still ours; else removes the file.

    After a kill -9 the number may belong to another process, or to a zombie, which has no command
    line. dockerd would take either for its own.
    """
    try:
        pid = int(pid_file.read_text())
        if bytes(state) in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    except (OSError, ValueError):
        pass
    pid_file.unlink(missing_ok=True)
    return None


def _remove_orphans(client: docker.DockerClient) -> None:
    host = socket.gethostname()
    for container in client.containers.list(all=True, filters={"label": OWNER_LABEL}, ignore_removed=True):
        name, _, pid = container.labels[OWNER_LABEL].rpartition(":")
        if name == host and not Path(f"/proc/{pid}").exists():
            try:
                container.remove(force=True)
            except APIError as error:
                # Gone, or on its way: another run was faster.
                if error.status_code not in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
                    raise
