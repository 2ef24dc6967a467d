# SPDX-License-Identifier: GPL-2.0-or-later
"""Settings that say what is received, and how much may be in flight."""

from __future__ import annotations

from .kinds import Setting, host_and_port, one_of, parse_interfaces

INTAKE: tuple[Setting, ...] = (
    Setting(
        "listen",
        str,
        "[::]:6664",
        "ADDR:PORT",
        "Address and UDP port to listen on. [::]: every address, including IPv4; 0.0.0.0: every "
        "IPv4 address. Only these two receive broadcasts. Port 0: any free port.",
        check=host_and_port,
        form="an address, IPv6 in brackets, and a UDP port",
    ),
    Setting(
        "interface",
        str,
        "",
        "NAME[,NAME]",
        "Interfaces to listen on, separated by commas. Empty: every interface.",
        check=parse_interfaces,
        form="names of interfaces, separated by commas",
        example="eth0,eth1",
    ),
    Setting(
        "capture",
        str,
        "auto",
        "auto|ring|udp",
        "ring: a packet socket, which loses nothing in a burst and receives both formats; needs "
        "the unit, or CAP_NET_RAW. udp: a UDP socket. auto: ring if that is allowed, else udp.",
        check=one_of("auto", "ring", "udp"),
    ),
    Setting(
        "raw_frames",
        bool,
        True,
        "",
        "Receive frames of the raw format (IP protocol 255) too. Needs a ring; without one the "
        "service runs without them.",
    ),
    Setting(
        "netconsole_port",
        int,
        0,
        "PORT",
        "UDP port on which to receive netconsole too, plain and extended, so that the same store "
        "has hosts without the module. The usual port is 6666. 0: none.",
        low=0,
        high=65535,
    ),
    Setting(
        "idle_s",
        float,
        5.0,
        "SECONDS",
        "Store an incomplete record, with its gaps marked, when none of its frames arrived for "
        "this long. A later frame still completes it.",
        low=0.1,
        high=3600,
        live=True,
    ),
    Setting(
        "memory_mib",
        int,
        256,
        "MIB",
        "Memory for records that are still arriving. Beyond it the longest idle ones wait in a file.",
        low=4,
        high=65536,
        live=True,
    ),
    Setting(
        "reserve_mib",
        int,
        0,
        "MIB",
        "How much of that memory to take at the start and keep. The kernel clears memory at its "
        "first use, which in a burst takes as long as everything else.",
        low=0,
        high=65536,
    ),
    Setting(
        "spill_mib",
        int,
        1024,
        "MIB",
        "Largest size of that file, in the folder of the database. Beyond it, or with 0, the "
        "longest idle records are stored incomplete and completed there.",
        low=0,
        high=1048576,
    ),
    Setting(
        "max_in_flight",
        int,
        20000,
        "RECORDS",
        "Records that may be arriving at once. Beyond it the longest idle ones are stored incomplete.",
        low=1,
        high=1000000,
        live=True,
    ),
    Setting(
        "max_text_kib",
        int,
        1024,
        "KIB",
        "Longest text of a record. Longer ones are dropped and counted. The wire allows 1024.",
        low=1,
        high=1024,
        live=True,
    ),
    Setting(
        "raw_window_s",
        float,
        60.0,
        "SECONDS",
        "The same raw text from the same Ethernet address within this time is a repetition, not "
        "a new record.",
        low=0.1,
        high=86400,
        live=True,
    ),
    Setting(
        "receive_buffer_mib",
        int,
        64,
        "MIB",
        "Buffer for bursts, for each interface that is named: the size of the packet ring, with "
        "a quarter more for IPv6, or of the UDP socket's buffer, which the kernel limits to "
        "net.core.rmem_max without CAP_NET_ADMIN.",
        low=2,
        high=1024,
    ),
    Setting(
        "key_file",
        str,
        "",
        "FILE",
        "File with the keys of sealed frames, mode 0600: each line has a key id and a key, as "
        "`panicast-receiver keygen` prints them, with the word master between them for a master "
        "key. A name without a slash is a credential (LoadCredential=). Empty: sealed frames are "
        "dropped.",
        form="a path, or the name of a credential",
        example="/etc/panicast/keys",
        live=True,
    ),
    Setting(
        "require_sealed",
        bool,
        False,
        "",
        "Drop everything that is not sealed with one of the keys, including raw frames and netconsole.",
        live=True,
    ),
    Setting(
        "sealed_hosts",
        str,
        "",
        "NAME[,NAME]",
        "Hosts whose unsealed frames are dropped, separated by commas; * matches any text, ? any character.",
        live=True,
    ),
    Setting(
        "confirm",
        str,
        "unicast",
        "never|unicast|always",
        "Which test records to answer with one small datagram, once they are stored, so that who "
        "sent one can know. unicast: those sent to an address of this machine. "
        "always: broadcasts and multicasts too. An answer tells the sender this machine's name.",
        check=one_of("never", "unicast", "always"),
        live=True,
    ),
    Setting(
        "source_records_per_minute",
        int,
        600,
        "N",
        "Records that a sender, identified by MAC and address together, may begin in a minute. 0: no limit.",
        low=0,
        high=1000000,
        live=True,
    ),
    Setting(
        "mac_records_per_minute",
        int,
        0,
        "N",
        "The same for a MAC alone. Senders behind a router share its MAC. 0: no limit.",
        low=0,
        high=1000000,
        live=True,
    ),
)
