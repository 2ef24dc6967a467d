# SPDX-License-Identifier: GPL-2.0-or-later
"""A throw-away container: starts, runs argv lists, and is always removed."""

from __future__ import annotations

import codecs
import io
import shlex
import shutil
import socket
import struct
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO, cast

import docker
from docker.errors import APIError

from panicast_build.core import archive
from panicast_build.core.errors import BuildError, UserError
from panicast_build.core.run import Result
from panicast_build.engine import engine

CHUNK = 1 << 20
# What root of a container may do: that which dpkg and rpm need to unpack files of any owner and mode, and
# package managers and tests to become another user, or to end what another began.
CAPABILITIES = (
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETFCAP",
    "SETGID",
    "SETUID",
    "SYS_CHROOT",
)
# No set-uid program gives more.
SECURITY = ("no-new-privileges",)
# Far more than the compilers of a kernel's build, far fewer than a machine has.
PROCESSES = 8192
# What is before each piece of output: the stream it is of, and its length (ContainerAttach in Docker's API).
FRAME = struct.Struct(">BxxxL")


class Container:
    """with Container(client, image) as box: box.run(["make"]). It has no network unless asked for
    the host's.

    tmpfs maps mount points in memory to their options. mounts maps folders of this machine to paths
    in the container. cpus limits the CPUs, e.g. 0 or 0-3.
    """

    def __init__(
        self,
        client: docker.DockerClient,
        image: str,
        *,
        network: str = "none",
        env: Mapping[str, str] | None = None,
        cap_add: Sequence[str] = (),
        security_opt: Sequence[str] = (),
        tmpfs: Mapping[str, str] | None = None,
        mounts: Mapping[Path, str] | None = None,
        hostname: str | None = None,
        cpus: str = "",
    ) -> None:
        self._client = client
        self._container = client.containers.create(
            image,
            ["sleep", "infinity"],
            init=True,
            network_mode=network,
            environment={"LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", **(env or {})},
            cap_drop=["ALL"],
            cap_add=[*CAPABILITIES, *cap_add],
            security_opt=[*SECURITY, *security_opt],
            pids_limit=PROCESSES,
            tmpfs=dict(tmpfs or {}),
            hostname=hostname,
            cpuset_cpus=cpus or None,
            volumes=[f"{here}:{there}" for here, there in (mounts or {}).items()],
            labels={engine.OWNER_LABEL: engine.owner()},
        )

    def __enter__(self) -> Self:
        try:
            self._container.start()
        except BaseException:
            self._container.remove(force=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.remove(force=True)

    def run(
        self,
        argv: Sequence[str],
        *,
        log: TextIO | None = None,
        user: str = "root",
        cwd: str = "/",
        env: Mapping[str, str] | None = None,
        check: bool = True,
        watch: Callable[[str], None] | None = None,
    ) -> Result:
        """Runs argv to its end, copies its output to log and watch as it comes, and returns it.

        With check an exit code other than 0 raises BuildError if there is a log, else UserError
        with the output.
        """
        if log:
            log.write(f"+ {shlex.join(argv)}\n")
        api = self._client.api
        started = api.exec_create(
            self._container.id, list(argv), user=user, workdir=cwd, environment=dict(env or {})
        )
        output = []
        for text in codecs.iterdecode(self._output(started["Id"]), "utf-8", errors="replace"):
            output.append(text)
            if log:
                log.write(text)
                log.flush()
            if watch:
                watch(text)
        code = api.exec_inspect(started["Id"])["ExitCode"]
        if check and code != 0:
            message = f"{argv[0]} failed with exit code {code}"
            if log:
                raise BuildError(message, Path(log.name))
            raise UserError(message, "".join(output).strip())
        return Result(code, "".join(output))

    def _output(self, exec_id: str) -> Iterator[bytes]:
        """Starts what exec_create() prepared and yields its output as it comes, however long it is
        silent.

        docker-py's own exec_start() sometimes loses the beginning: it reads below the buffer that
        already holds what came with the answer's headers (its issues 2042 and 3332).
        """
        api = self._client.api
        url = f"{api.base_url}/v{api.api_version}/exec/{exec_id}/start"
        with api.post(url, json={"Detach": False, "Tty": False}, stream=True) as answer:
            if not answer.ok:
                raise APIError("a command could not be started", answer, answer.text.strip())
            while header := answer.raw.read(FRAME.size):
                _, size = FRAME.unpack(header)
                yield answer.raw.read(size)

    def feed(self, argv: Sequence[str], data: bytes) -> None:
        """Runs argv, which reads exactly data from its standard input and then ends. Unlike write(),
        this leaves nothing on a disk."""
        api = self._client.api
        started = api.exec_create(self._container.id, list(argv), stdin=True)
        stream = api.exec_start(started["Id"], socket=True)
        connection = cast(socket.socket, getattr(stream, "_sock", stream))
        connection.sendall(data)
        while connection.recv(CHUNK):
            pass
        if code := api.exec_inspect(started["Id"])["ExitCode"]:
            raise UserError(f"{argv[0]} in a container failed with exit code {code}")

    def cpu_seconds(self) -> float:
        """Returns the CPU time that all its processes have used so far, in seconds."""
        stats = cast(dict[str, Any], self._container.stats(stream=False))
        return float(stats["cpu_stats"]["cpu_usage"]["total_usage"]) / 1e9

    def put(self, source: Path, dest: str) -> None:
        """Copies a file, or the contents of a folder, into the existing folder dest of the
        container."""
        self.write(archive.read_tree(source) if source.is_dir() else {source.name: source}, dest)

    def write(self, files: Mapping[str, Path | bytes], dest: str, *, mtime: int = 0) -> None:
        """Writes files (name -> path here, or contents) into the existing folder dest."""
        with tempfile.TemporaryFile() as tar:
            archive.write_tar(tar, files, mtime=mtime)
            tar.seek(0)
            self._container.put_archive(dest, tar)

    def get(self, source: str, dest: Path) -> None:
        """Copies a file of the container, or the contents of a folder, into the folder dest here."""
        with tempfile.TemporaryFile() as spool:
            for chunk in self._archive(source):
                spool.write(chunk)
            spool.seek(0)
            with tarfile.open(fileobj=spool) as tar:
                for member in tar:
                    top, _, rest = member.name.partition("/")
                    # Not extract(): its filters, which keep names inside dest, came with Python 3.11.4.
                    content = tar.extractfile(member) if member.isfile() else None
                    if content is None:
                        continue
                    target = dest / (rest or top)
                    if not target.resolve().is_relative_to(dest.resolve()):
                        raise UserError(f"{member.name} of the container leads out of {dest}")
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with target.open("wb") as out:
                        shutil.copyfileobj(content, out)

    def read(self, path: str) -> bytes:
        """Returns the contents of a file of the container."""
        with tarfile.open(fileobj=io.BytesIO(b"".join(self._archive(path)))) as tar:
            member = tar.extractfile(tar.next() or "")
            assert member is not None, f"{path} is not a file"
            return member.read()

    def _archive(self, path: str) -> Iterator[bytes]:
        """Yields the tar archive of a file or folder in pieces.

        docker-py's own get_archive() cannot read the header that Podman says beside it.
        """
        api = self._client.api
        url = f"{api.base_url}/v{api.api_version}/containers/{self._container.id}/archive"
        with api.get(url, params={"path": path}, stream=True) as answer:
            if not answer.ok:
                raise APIError(f"{path} could not be read", answer, answer.text.strip())
            yield from answer.iter_content(CHUNK)

    def commit(self, tag: str) -> None:
        """Makes an image of the container as it is, without its mounts."""
        repository, _, name = tag.partition(":")
        self._container.commit(repository, name)

    def export(self, dest: Path) -> None:
        """Writes the container's whole file system atomically to the tar archive dest."""
        part = dest.with_name(dest.name + ".part")
        with part.open("wb") as out:
            # They are bytes, whatever the type stubs say.
            out.writelines(cast(Iterator[bytes], self._container.export(chunk_size=CHUNK)))
        part.replace(dest)
