# SPDX-License-Identifier: GPL-2.0-or-later
"""Brings changes of groups and maintenance windows from the page to the service: the page writes
nothing itself, so it asks the service, by a socket beside the database.

The service takes orders from its own user, from root and from the page's user, and from nobody
else; the kernel tells who asks, whatever the socket's mode is. An order and its answer are one
message each.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import socket
import sqlite3
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Callable, Union

from .db import groups, maintenance
from .db.changing import changing
from .db.engine import Place
from .errors import NotFoundError, ReceiverError, UsageError
from .log import logger
from .text import escape
from .threads import name_thread

Order = Union[groups.Order, maintenance.Order]
FILE_NAME = "orders.sock"
#: What can be ordered, by the name that it has on the way.
_KINDS: Mapping[str, tuple[type[Order], Callable[[sqlite3.Connection, Any], int | None]]] = {
    "group": (groups.Order, groups.change),
    "maintenance": (maintenance.Order, maintenance.change),
}
#: The page's user, as the packages make it.
_PAGE = "panicast-web"
#: Bytes of an order, and seconds for which each side waits for the other, and for whoever may not order.
_LONGEST, _PATIENCE_S, _FOR_OTHERS_S = 64 << 10, 10.0, 0.1
#: Orders that are taken at once.
_MOST = 8
_PEER = struct.Struct("=iII")
#: What may be wrong with an order, by the name that it has on the way.
_WRONG = {one.__name__: one for one in (UsageError, NotFoundError, ReceiverError)}


def carry_out(place: Place, order: Order) -> int | None:
    """Do this in a database, wherever it is; return the number of the window that it is about, if it is.
    Raises ReceiverError."""
    change = next(change for made, change in _KINDS.values() if isinstance(order, made))
    with changing(place) as db:
        done = change(db, order)
    logger.info("%s", escape(order.line))
    return done


def give(state_dir: Path, order: Order) -> int | None:
    """Have the service do this; return the number of the window that it is about, if it is. Raises
    ReceiverError."""
    kind = "group" if isinstance(order, groups.Order) else "maintenance"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock, name_in(state_dir) as name:
            sock.settimeout(_PATIENCE_S)
            sock.connect(name)
            sock.send(json.dumps([kind, *order]).encode())
            answer = json.loads(sock.recv(_LONGEST) or b"{}")
    except (OSError, ValueError) as error:
        raise ReceiverError(
            "the receiver does not take the change: "
            f"{getattr(error, 'strerror', None) or error}; does panicast-receiver.service run?"
        ) from error
    if answer.get("wrong") != "":
        wrong = _WRONG.get(str(answer.get("wrong")), ReceiverError)
        raise wrong(str(answer.get("text", "the receiver did not answer; look at its log")))
    done: int | None = answer.get("done")
    return done


def begin(path: Path) -> Callable[[], None]:
    """Take orders for this database from now on; return what ends that. A failure is logged: the
    service must run without the socket too."""
    try:
        office = _Office(path)
    except OSError as error:
        logger.warning("the page cannot change anything: %s in %s", error.strerror, path.parent)
        return lambda: None
    office.start()
    return office.stop


class _Office(threading.Thread):
    """The service's thread that takes orders, until ``stop``. Raises OSError."""

    def __init__(self, path: Path) -> None:
        super().__init__(name="orders", daemon=True)
        self._path = path
        self._allowed = _allowed(path.parent)
        self._refused: set[int] = set()
        self._free = threading.BoundedSemaphore(_MOST)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with name_in(path.parent) as name:
            Path(name).unlink(missing_ok=True)
            self._socket.bind(name)
            # The page's user is in the folder's group.
            Path(name).chmod(0o660)
        self._socket.listen(8)

    def stop(self) -> None:
        """Take no more orders."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            (self._path.parent / FILE_NAME).unlink()

    def run(self) -> None:
        """Run the thread."""
        name_thread(self.name)
        with closing(self._socket):
            while True:
                try:
                    peer, _ = self._socket.accept()
                except OSError:
                    return
                # Whatever one of them sends, or does not: the next one is to be heard.
                try:
                    self._receive(peer)
                except Exception as error:
                    logger.debug("orders: %s", error)
                    peer.close()

    def _receive(self, peer: socket.socket) -> None:
        """Have an order carried out by a thread of its own, while there are few."""
        _, user, _ = _PEER.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
        if user not in self._allowed:
            peer.settimeout(_FOR_OTHERS_S)
            if user not in self._refused:
                logger.warning("orders: user %d may not change anything; only the page may", user)
            self._refused.add(user)
            # Read in any case: who is refused is to read why.
            peer.recv(_LONGEST)
            peer.send(_answer(ReceiverError("you may not change anything here; use the page or the command")))
            peer.close()
        elif self._free.acquire(timeout=_PATIENCE_S):
            try:
                threading.Thread(target=self._serve_and_close, args=(peer,), daemon=True).start()
            except RuntimeError:
                self._free.release()
                raise
        else:
            peer.close()

    def _serve_and_close(self, peer: socket.socket) -> None:
        try:
            with closing(peer):
                peer.settimeout(_PATIENCE_S)
                self._serve(peer)
        except Exception as error:
            logger.debug("orders: %s", error)
        finally:
            self._free.release()

    def _serve(self, peer: socket.socket) -> None:
        asked = peer.recv(_LONGEST)
        try:
            kind, *parts = json.loads(asked)
            made, _ = _KINDS[kind]
            done = carry_out(self._path.parent, made(*map(str, parts)))
        except ReceiverError as error:
            peer.send(_answer(error))
        except (ValueError, TypeError, KeyError):
            peer.send(_answer(UsageError("that is not an order")))
        else:
            peer.send(json.dumps({"wrong": "", "done": done}).encode())


def _answer(error: ReceiverError) -> bytes:
    kind = type(error).__name__ if type(error) in _WRONG.values() else ReceiverError.__name__
    return json.dumps({"wrong": kind, "text": str(error)}).encode()


def _allowed(folder: Path) -> frozenset[int]:
    users = {0, os.geteuid(), folder.stat().st_uid}
    with contextlib.suppress(KeyError):
        users.add(pwd.getpwnam(_PAGE).pw_uid)
    return frozenset(users)


@contextlib.contextmanager
def name_in(folder: Path) -> Iterator[str]:
    """Yield the socket's name; a socket's may have 107 bytes, a folder's more."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{FILE_NAME}"
    finally:
        os.close(descriptor)
