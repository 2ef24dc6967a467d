# SPDX-License-Identifier: GPL-2.0-or-later
"""``serve``: makes the parts, watches the two threads, talks to systemd, stops without loss."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Callable, TypeVar

import sdnotify

from .. import log, orders, stats
from ..alerts import courier
from ..alerts.rules import Rules, files
from ..assembly.intake import Intake
from ..assembly.reassembly import Limits
from ..assembly.spill import Spill
from ..capture import Capture
from ..capture import sockets as packet_sockets
from ..capture.bpf import programs_for
from ..capture.ring import RingCapture
from ..capture.udp import UdpCapture
from ..db import schema
from ..db.boots import Ages
from ..db.damage import DamagedError, is_damage
from ..db.retention import Retention
from ..db.store import Store
from ..errors import FullError, ReceiverError
from ..log import logger
from ..settings import SERVE, Settings, exposure
from ..settings.kinds import host_and_port, parse_interfaces, parse_names
from ..sinks import Sink
from ..sinks.choice import hidden, hide_from_hook
from ..sinks.cursors import feed_only
from ..sinks.feeder import Feeder
from ..wire.ethernet import ETHERTYPE_IPV6
from ..wire.sealing import Keys
from . import allocator, counts, locator, memory, privileges
from .answerer import Answerer
from .committer import RETRY_S, Committer
from .explainer import Explainer
from .handoff import Handoff
from .labeller import Labeller, Source, source_of
from .listener import Listener
from .locator import Locator, symbols_of
from .preflight import keys_of, prepare, rules_of

#: Seconds without a sign of life after which a thread is stuck: then systemd gets no sign either.
STUCK_S = 20.0
#: Seconds that the end waits for a thread that loses nothing.
_END_S = 5.0
#: Seconds that systemd is asked for if the start takes longer, and seconds between two requests.
_GRANTED_S, _ASK_S = 60.0, 5.0
#: With more packets a second than this, what is not urgent waits.
BURST = 5000
_STOP = (signal.SIGTERM, signal.SIGINT)
_SIGNALS = {*_STOP, signal.SIGUSR1, signal.SIGHUP}
T = TypeVar("T")


def run(settings: Settings, reread: Callable[[], Settings]) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code. Raises ReceiverError when it cannot start.

    ``reread`` gives the settings anew on SIGHUP.
    """
    log.start(settings.log_level)
    ready = prepare(settings)
    for line in [*exposure.warnings(settings), *memory.warnings(settings, memory.own_limit())]:
        logger.warning("%s", line)
    for what, fix in locator.warnings(settings):
        logger.warning("%s; %s", what, fix)
    # Before there are threads: what each of them begins gets none of our rights.
    privileges.keep_from_children()
    allocator.tune(settings.reserve_mib << 20)
    # Records hold what a crashed kernel knew: owner and group only.
    os.umask(0o027)
    # Blocked here, so in the threads too: signals are taken by _supervise, one at a time, and nowhere else.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    with ExitStack() as stack:
        # The sockets first: what comes while an older database is brought up to date waits in them.
        udps = hold_ports(settings, stack)
        captures = open_captures(settings, udps, stack)
        store = _when_there_is_room(lambda: Store(settings.state_path(writing=True), beat=_ask_for_time()))
        stack.callback(store.close)
        spill = Spill(store.path.parent, settings.spill_mib << 20)
        stack.callback(spill.close)
        handoff = Handoff()
        listener = Listener(
            captures,
            Intake(_limits(settings), settings.raw_window_s, spill, settings.netconsole_port),
            handoff,
        )

        def busy() -> bool:
            return listener.rate > BURST

        symbols = symbols_of(settings, store.path.parent)
        explainer = Explainer(
            store.path, busy, store.is_usable, symbols is not None, lambda: bool(store.sealed_hosts)
        )
        answerer = Answerer(udps[0], settings.netconsole_port)
        committer = Committer(handoff, store, explainer.wake, answerer.answer)
        _put_into_force(settings, listener.intake, committer, answerer, ready.keys)
        feeders = _when_there_is_room(lambda: _feeders(ready.sinks, store, busy, committer))
        committer.start()
        listener.start()
        stack.callback(orders.begin(store.path))
        explainer.start()
        stack.callback(explainer.join, _END_S)
        stack.callback(explainer.stop)
        if symbols:
            finder = Locator(store.path, symbols, store.is_usable)
            finder.start()
            stack.callback(finder.join, _END_S)
            stack.callback(finder.stop)

        def count() -> stats.Stats:
            return counts.collect(listener, committer, explainer, answerer, feeders)

        # Who hears that it listens may ask how: doctor does.
        stats.write(store.path.parent, count())
        for capture in captures:
            logger.info("listening: %s", capture.name)
        logger.info("records are kept in %s", store.path)
        for feeder in feeders:
            feeder.start()
            logger.info("records go to: %s", feeder.name)
        labeller = Labeller(store.path, store.is_usable)
        labeller.follow(ready.labels, hidden(settings, files(ready.rules)))
        labeller.start()
        stack.callback(labeller.join, _END_S)
        stack.callback(labeller.stop)
        couriers = None
        if ready.alerts:
            couriers = courier.Couriers(ready.alerts, store.path.parent, store.is_usable)
            stack.callback(couriers.end)
            couriers.follow(ready.rules, _ages(settings))

        def tell_by(settings: Settings, told: Rules, labels: Source) -> None:
            hide_from_hook(ready.sinks, settings, files(told))
            labeller.follow(labels, hidden(settings, files(told)))
            if couriers:
                couriers.follow(told, _ages(settings))

        alive = _Supervisor(
            store.path.parent, listener, committer, answerer, settings, reread, count, tell_by
        ).run()
        for feeder in feeders:
            feeder.stop()
        return 0 if alive and not committer.failed else 1


def _when_there_is_room(make: Callable[[], T]) -> T:
    """Return what ``make`` does, as soon as the disk has room for it. What comes meanwhile waits in the
    sockets, which were opened before. Raises SystemExit when the service is to stop."""
    notifier, complained = sdnotify.SystemdNotifier(), False
    while True:
        try:
            return make()
        except FullError as error:
            if not complained:
                logger.error("%s; trying again until it works", error)
                complained = True
            # As when the disk becomes full later: the service runs, and its state says what it lacks.
            notifier.notify(f"READY=1\nWATCHDOG=1\nSTATUS={error}")
        if signal.sigtimedwait(_STOP, RETRY_S):
            raise SystemExit(0)


def _ages(settings: Settings) -> Ages:
    return Ages(settings.silent_s, settings.retire_days)


def _feeders(
    sinks: Sequence[Sink], store: Store, busy: Callable[[], bool], committer: Committer
) -> list[Feeder]:
    """Return a feeder for each sink, and feed no others: this reads the file first. Raises
    ReceiverError."""
    folder = store.path.parent

    def made() -> list[Feeder]:
        found = [Feeder(sink, folder, busy, committer.suspect, store.is_usable) for sink in sinks]
        feed_only(folder, [feeder.name for feeder in found])
        return found

    try:
        return made()
    except (sqlite3.DatabaseError, DamagedError) as error:
        if isinstance(error, sqlite3.Error) and not is_damage(error, store.path):
            raise schema.failure(error, store.path) from error
        store.begin_anew(error)
        return made()


def _ask_for_time() -> Callable[[], None]:
    """Return a function that tells systemd, not too often, that the start takes longer."""
    notifier = sdnotify.SystemdNotifier()
    asked_at = float("-inf")

    def ask() -> None:
        nonlocal asked_at
        if time.monotonic() > asked_at + _ASK_S:
            asked_at = time.monotonic()
            notifier.notify(f"EXTEND_TIMEOUT_USEC={int(_GRANTED_S * 1e6)}")

    return ask


def open_captures(settings: Settings, udps: Sequence[UdpCapture], stack: ExitStack) -> Sequence[Capture]:
    """Return the captures that the settings ask for, with those that hold the ports; ``stack`` closes them.
    Raises ReceiverError."""
    given = packet_sockets.given()
    rings = _rings(settings, udps, given, stack) if settings.capture != "udp" else []
    for sock in given:
        sock.close()
    if not rings:
        _say_what_was_granted(udps[0], settings.receive_buffer_mib << 20)
        return udps
    for udp in udps:
        udp.hold()
    return rings


def hold_ports(settings: Settings, stack: ExitStack) -> list[UdpCapture]:
    """Bind a socket to each port; ``stack`` closes them. Raises ReceiverError."""
    found: list[UdpCapture] = []
    address, port = host_and_port(settings.listen)
    interfaces = [name for name in parse_interfaces(settings.interface) if name]
    for one in [port, *([settings.netconsole_port] if settings.netconsole_port else [])]:
        found.append(UdpCapture(address, one, interfaces, settings.receive_buffer_mib << 20))
        stack.callback(found[-1].close)
    return found


def _rings(
    settings: Settings, udps: Sequence[UdpCapture], given: list[socket.socket], stack: ExitStack
) -> list[RingCapture]:
    """Return a ring for each interface and Ethernet type; ``stack`` closes them. The UDP sockets
    then only keep their ports. Returns an empty list if rings are not allowed.

    The sockets ``given`` by systemd are used first. Raises ReceiverError if the settings ask for a
    ring and it is not allowed.
    """
    address, _ = host_and_port(settings.listen)
    programs = programs_for(address, [udp.port for udp in udps], settings.raw_frames)
    wanted = [
        (name, *program) for name in parse_interfaces(settings.interface) for program in programs.items()
    ]
    try:
        sockets = [packet_sockets.take(given, ethertype) for _, ethertype, _ in wanted]
    except PermissionError:
        if settings.capture == "ring":
            raise ReceiverError(
                "a packet ring needs CAP_NET_RAW; run as root, or give --capture udp"
            ) from None
        if settings.raw_frames:
            logger.warning("cannot receive raw frames without CAP_NET_RAW; using a UDP socket")
        else:
            logger.info("a packet ring needs CAP_NET_RAW; using a UDP socket")
        return []
    names = ", ".join(udp.name for udp in udps)
    rings: list[RingCapture] = []
    for sock, (interface, ethertype, program) in zip(sockets, wanted):
        # IPv6 comes second: it has a quarter, unless there is nothing but it.
        second = ethertype == ETHERTYPE_IPV6 and len(programs) > 1
        size = settings.receive_buffer_mib << 20
        ring = RingCapture(sock, interface, program, size // 4 if second else size)
        stack.callback(ring.close)
        kind = "of IPv6 " if ethertype == ETHERTYPE_IPV6 else ""
        where = interface or "every interface"
        ring.name = f"{names}, packet ring {kind}of {ring.ring_bytes >> 20} MiB on {where}"
        rings.append(ring)
    return rings


def _say_what_was_granted(udp: UdpCapture, wanted: int) -> None:
    if udp.buffer_bytes < wanted:
        logger.warning(
            "%s: the kernel grants %d KiB of receive buffer, not %d MiB; `sysctl net.core.rmem_max=%d` "
            "makes room for bursts of many hosts",
            udp.name,
            udp.buffer_bytes >> 10,
            wanted >> 20,
            wanted,
        )


def _limits(settings: Settings) -> Limits:
    return Limits(
        settings.memory_mib << 20, settings.max_in_flight, settings.max_text_kib << 10, settings.idle_s
    )


def _put_into_force(
    settings: Settings, intake: Intake, committer: Committer, answerer: Answerer, keys: Keys
) -> None:
    """Apply the settings that may change while we run."""
    intake.set_limits(_limits(settings), settings.raw_window_s)
    intake.rates.sources.per_minute = settings.source_records_per_minute
    intake.rates.macs.per_minute = settings.mac_records_per_minute
    intake.keys = answerer.keys = keys
    answerer.confirm = settings.confirm
    intake.require_sealed = settings.require_sealed
    intake.sealed_hosts = parse_names(settings.sealed_hosts)
    committer.take_sealed_alone_of(intake.sealed_hosts)
    committer.retain(Retention(settings.keep_days, settings.keep_mib << 20, settings.records_per_host))


class _Supervisor:
    """The main thread: takes signals, watches the other two, talks to systemd."""

    def __init__(
        self,
        state_dir: Path,
        listener: Listener,
        committer: Committer,
        answerer: Answerer,
        settings: Settings,
        reread: Callable[[], Settings],
        count: Callable[[], stats.Stats],
        tell_by: Callable[[Settings, Rules, Source], None],
    ) -> None:
        self._state_dir = state_dir
        self._count = count
        self._listener = listener
        self._committer = committer
        self._answerer = answerer
        #: Those in force, and those that the service began with.
        self._settings = self._begun = settings
        self._reread = reread
        self._tell_by = tell_by
        self._alerts_file = settings.alerts_file
        self._notifier = sdnotify.SystemdNotifier()
        self._said = ""

    def run(self) -> bool:
        """Wait for a signal to stop, then stop both threads in order; return False if one died by
        itself."""
        listener, committer = self._listener, self._committer
        self._notifier.notify("READY=1")
        next_stats = time.monotonic() + self._settings.stats_s
        next_write = time.monotonic() + stats.EVERY_S
        self._say_state()
        alive = True
        while alive:
            if time.monotonic() >= next_write:
                stats.write(self._state_dir, self._count())
                self._say_state()
                next_write = time.monotonic() + stats.EVERY_S
            received = signal.sigtimedwait(_SIGNALS, 1.0)
            number = received.si_signo if received else 0
            now = time.monotonic()
            if number in _STOP:
                break
            if number == signal.SIGHUP:
                self._reload()
                next_stats = now + self._settings.stats_s
            if number == signal.SIGUSR1 or (self._settings.stats_s and now >= next_stats):
                logger.info("%s", stats.line(self._count()))
                next_stats = now + self._settings.stats_s
            alive = listener.is_alive() and committer.is_alive()
            if now - min(listener.beat_at, committer.beat_at) < STUCK_S:
                self._notifier.notify("WATCHDOG=1")
        self._notifier.notify("STOPPING=1")
        listener.stop()
        committer.stop()
        listener.join()
        committer.join()
        logger.info("%s", stats.line(self._count()))
        stats.remove(self._state_dir)
        if not alive:
            logger.error("a thread of the service ended by itself; the lines above say why")
        return alive

    def _say_state(self) -> None:
        """Show in `systemctl status` what keeps us from storing, if anything."""
        if self._committer.trouble != self._said:
            self._said = self._committer.trouble
            self._notifier.notify(f"STATUS={self._said}")

    def _reload(self) -> None:
        """Apply the settings that can change while we run; a wrong file changes nothing."""
        now_us = time.monotonic_ns() // 1000
        self._notifier.notify(f"RELOADING=1\nMONOTONIC_USEC={now_us}")
        try:
            settings = self._reread()
            keys = keys_of(settings)
            # Another file needs a restart, what the same one says does not.
            told = rules_of(self._alerts_file)
            labels = source_of(settings.labels)
        except ReceiverError as error:
            logger.error("the settings stay as they are: %s", error)
        else:
            _put_into_force(settings, self._listener.intake, self._committer, self._answerer, keys)
            self._tell_by(settings, told, labels)
            log.set_level(settings.log_level)
            kept = [
                s.key for s in SERVE if not s.live and getattr(settings, s.key) != getattr(self._begun, s.key)
            ]
            self._settings = settings
            logger.info("the settings were read again%s", f"; restart for: {', '.join(kept)}" if kept else "")
        self._notifier.notify("READY=1")
