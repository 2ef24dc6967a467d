# SPDX-License-Identifier: GPL-2.0-or-later
"""What is heard, and how much of it may be in flight."""

from __future__ import annotations

from .kinds import Setting, host_and_port, one_of, parse_interfaces

INTAKE: tuple[Setting, ...] = (
    Setting(
        "listen",
        str,
        "[::]:6664",
        "ADDR:PORT",
        "Address and UDP port to listen on. [::]: every address, of IPv4 too; 0.0.0.0: all of IPv4. "
        "Broadcasts are heard on these two only. Port 0: any free one.",
        check=host_and_port,
        form="an address, IPv6 in brackets, and a UDP port",
    ),
    Setting(
        "interface",
        str,
        "",
        "NAME[,NAME]",
        "Interfaces to listen on, separated by commas; empty: every interface.",
        check=parse_interfaces,
        form="names of interfaces, separated by commas",
        example="eth0,eth1",
    ),
    Setting(
        "capture",
        str,
        "auto",
        "auto|ring|udp",
        "ring: from a packet socket, the way that loses nothing in a burst and hears both formats; needs "
        "the unit, or CAP_NET_RAW. udp: from a UDP socket. auto: ring where that is allowed, else udp.",
        check=one_of("auto", "ring", "udp"),
    ),
    Setting(
        "raw_frames",
        bool,
        True,
        "",
        "Hear frames of the raw format (IP protocol 255) too. Needs a ring, goes on without.",
    ),
    Setting(
        "netconsole_port",
        int,
        0,
        "PORT",
        "UDP port on which to hear netconsole too, plain and extended, so that hosts without the module land "
        "in the same store; 6666 is usual. 0: not at all.",
        low=0,
        high=65535,
    ),
    Setting(
        "idle_s",
        float,
        5.0,
        "SECONDS",
        "An incomplete record is stored, gaps marked, when nothing of it was heard for this long. "
        "A later frame still completes it.",
        low=0.1,
        high=3600,
        live=True,
    ),
    Setting(
        "memory_mib",
        int,
        256,
        "MIB",
        "Memory for records that are still arriving; beyond it the longest idle ones wait in a file.",
        low=4,
        high=65536,
        live=True,
    ),
    Setting(
        "reserve_mib",
        int,
        0,
        "MIB",
        "Of that memory, what is taken at the start and kept. The kernel clears what is used for the first "
        "time, which in the middle of a burst takes as long as all the rest.",
        low=0,
        high=65536,
    ),
    Setting(
        "spill_mib",
        int,
        1024,
        "MIB",
        "Largest size of that file, in the folder of the database; beyond it, or with 0, the longest idle "
        "records are stored incomplete and completed there.",
        low=0,
        high=1048576,
    ),
    Setting(
        "max_in_flight",
        int,
        20000,
        "RECORDS",
        "Records that may be arriving at once; beyond it the longest idle ones are stored incomplete.",
        low=1,
        high=1000000,
        live=True,
    ),
    Setting(
        "max_text_kib",
        int,
        1024,
        "KIB",
        "Records with a longer text are dropped and counted. The wire allows 1024.",
        low=1,
        high=1024,
        live=True,
    ),
    Setting(
        "raw_window_s",
        float,
        60.0,
        "SECONDS",
        "The same raw text from the same Ethernet address within this time is a repetition, not a record.",
        low=0.1,
        high=86400,
        live=True,
    ),
    Setting(
        "receive_buffer_mib",
        int,
        64,
        "MIB",
        "Buffer for bursts, for each of the interfaces named: the packet ring, with a quarter more for IPv6, "
        "or the UDP socket's, of which the kernel grants at most net.core.rmem_max without CAP_NET_ADMIN.",
        low=2,
        high=1024,
    ),
    Setting(
        "key_file",
        str,
        "",
        "FILE",
        "Keys of sealed frames, mode 0600: lines of a key id and a key, as `panicast-receiver keygen` prints "
        "them, with the word master between them for a master. A name without slash is a credential's "
        "(LoadCredential=). Empty: sealed frames are dropped.",
        form="a path, or the name of a credential",
        example="/etc/panicast/keys",
        live=True,
    ),
    Setting(
        "require_sealed",
        bool,
        False,
        "",
        "Drop whatever is not sealed with one of the keys: raw frames and netconsole too.",
        live=True,
    ),
    Setting(
        "sealed_hosts",
        str,
        "",
        "NAME[,NAME]",
        "Hosts of which nothing is taken that is not sealed, separated by commas; * and ? stand for any "
        "characters, for any one.",
        live=True,
    ),
    Setting(
        "source_records_per_minute",
        int,
        600,
        "N",
        "Records that a sender, known by MAC and address together, may begin in a minute. 0: no limit.",
        low=0,
        high=1000000,
        live=True,
    ),
    Setting(
        "mac_records_per_minute",
        int,
        0,
        "N",
        "The same for a MAC alone, which senders behind a router share. 0: no limit.",
        low=0,
        high=1000000,
        live=True,
    ),
)
