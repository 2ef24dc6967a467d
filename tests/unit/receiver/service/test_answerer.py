# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests are answered, once they are stored, and nobody is made to send anything else to anybody."""

import json
import os
import socket
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt

from panicast_receiver.db.store import Store
from panicast_receiver.records.record import Reply, Source, headerless
from panicast_receiver.service.answerer import Answerer
from panicast_receiver.service.committer import Committer
from panicast_receiver.service.handoff import Handoff
from panicast_receiver.wire import answer as wire
from panicast_receiver.wire.sealing import SharedKey, seal_datagram
from panicast_receiver.wire.v1 import decode

from ..conftest import PATIENCE_S, udp_frame
from ..db.test_store import partial
from ..ipv6 import RECEIVER, SENDER

ANSWERS = json.loads((Path(__file__).parents[3] / "wire/answers.json").read_text())
CARD = "52:54:00:00:00:01"


@pytest.mark.parametrize("vector", ANSWERS, ids=lambda vector: vector["name"])
def test_the_recorded_answers_byte_for_byte(vector):
    key, salt = (bytes.fromhex(vector[name] or "") for name in ("key", "salt"))
    made = wire.encode(
        bytes.fromhex(vector["header"]),
        vector["restored"],
        vector["receiver"],
        key or None,
        salt or bytes(16),
    )
    assert made.hex() == vector["answer"]
    assert decode(made).name == "MAGIC"


def test_a_name_is_cut_between_letters_and_never_empty(vectors):
    header = vectors[0]["frames"][0][:80]
    names = {name: wire.encode(header, 0, name, None, bytes(16))[80:] for name in ("", "é" * 40, "\udcff")}
    assert names == {"": b"?", "é" * 40: "é".encode() * 32, "\udcff": b"?"}


class Port:
    """Keeps what is sent. ``own``: the addresses of this machine."""

    def __init__(self, own=(bytes([10, 0, 0, 1]),)):
        self.own = own
        self.sent = []

    def answer(self, data, source, port, own):
        if own and own not in self.own:
            raise OSError(22, "Invalid argument")
        self.sent.append((data, source.ip, port, own))


@pytest.fixture
def tests(vectors):
    """Whole test records, each another event: by where from and where to."""
    vector = next(vector for vector in vectors if vector["type"] == "test")
    metadata = vector["frames"][0][80:]

    def made(ip="10.0.0.7", port=6665, to="10.0.0.1", iface="eth0", metadata=metadata):
        family = socket.AF_INET6 if ":" in to else socket.AF_INET
        reply = Reply(vector["frames"][1][:80], port, socket.inet_pton(family, to))
        record = headerless("v1", b"", b"", 3, 0, Source(None, ip, iface, reply), metadata)
        return replace(record, type="test", header_host=vector["host"])

    return made


def answerer(confirm="unicast", **own):
    found = Answerer(Port(**own), netconsole_port=6666)
    found.confirm = confirm
    return found


def test_who_is_answered(tests):
    port = answerer()
    port.answer(tests())
    ((data, *rest),) = port._port.sent
    assert rest == ["10.0.0.7", 6665, bytes([10, 0, 0, 1])]
    assert data[:4] == b"PCSA" and data[80:].decode() == socket.gethostname()[:64]
    assert port.counts == {"answered": 1}


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ({"ip": "224.0.0.1"}, "address"),
        ({"ip": "255.255.255.255"}, "address"),
        ({"ip": "ff02::1", "to": "2001:db8::1"}, "address"),
        ({"ip": "127.0.0.1"}, "address"),
        ({"ip": "::1", "to": "2001:db8::1"}, "address"),
        ({"ip": "10.0.0.1"}, "address"),
        ({"port": 1023}, "port"),
        ({"port": 0}, "port"),
        ({"port": 6666}, "port"),
        ({"metadata": b""}, "too small"),
        ({"to": "10.0.0.255"}, "not sent"),
    ],
    ids=str,
)
def test_who_is_not_answered(tests, where, why):
    port = answerer()
    port.answer(tests(**where))
    assert not port._port.sent and port.counts == {f"not answered: {why}": 1}


@pytest.mark.parametrize("to", ["255.255.255.255", "224.0.0.251", "ff02::1", "10.0.0.255"])
def test_what_many_heard_is_answered_only_if_that_is_wanted(tests, to):
    never, usual, always = (answerer(confirm) for confirm in ("never", "unicast", "always"))
    for port in (never, usual, always):
        port.answer(tests(to=to))
    assert not never._port.sent and not usual._port.sent
    # From the address that routing chooses.
    ((_, _, _, own),) = always._port.sent
    assert own == b""


def test_a_record_of_another_type_a_sender_without_address_and_never(tests):
    port = answerer()
    for record in (replace(tests(), type="panic"), tests(ip=None), replace(tests(), source=Source())):
        port.answer(record)
    answerer("never").answer(tests())
    assert not port._port.sent and not port.counts


def test_an_address_gets_few_answers_and_others_still_get_theirs(tests):
    port = answerer()
    for _ in range(100):
        port.answer(tests())
    port.answer(tests(ip="10.0.0.8"))
    assert [ip for _, ip, _, _ in port._port.sent] == ["10.0.0.7"] * 10 + ["10.0.0.8"]
    assert port.counts["not answered: rate"] == 90
    # Those who forge unsealed ones use up nothing of the sealed ones.
    assert port._refusal(replace(tests(), flags=1), "10.0.0.7", 6665, bytes([10, 0, 0, 1])) == ""


def test_a_sealed_test_is_answered_sealed_or_not_at_all(tests):
    key, record = bytes(range(32)), replace(tests(), flags=1)
    header = bytearray(record.source.reply.header)
    header[6:8] = 1, 7
    record.source = record.source._replace(reply=record.source.reply._replace(header=bytes(header)))
    port = answerer()
    port.answer(record)
    assert not port._port.sent
    port.keys = {7: SharedKey(key)}
    port.answer(record)
    port.answer(record)
    answers = [data for data, *_ in port._port.sent]
    assert len({data[32:48] for data in answers}) == 2
    for data in answers:
        nonce = data[32:48] + data[24:28] + b"\0\0\0\1"
        name = crypto_aead_xchacha20poly1305_ietf_decrypt(data[80:], data[:80], nonce, key)
        assert name.decode() == socket.gethostname()[:64] and name not in data


# The real service


def ask(receiver, frames, family=socket.AF_INET, host="127.0.0.1"):
    """Send frames from a socket; return it, to hear answers with."""
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.settimeout(PATIENCE_S)
    for frame in frames:
        sock.sendto(frame, (host, receiver.port))
    return sock


@pytest.fixture
def test_frames(vectors):
    return next(vector for vector in vectors if vector["type"] == "test")["frames"]


def test_it_answers_once_and_only_what_is_whole(serve, big, test_frames):
    receiver = serve()
    other = [frame[:24] + b"\0\0\0\x63" + frame[28:] for frame in test_frames]
    with ask(receiver, [*big["frames"], *other[:-1], b"", *test_frames, *test_frames]) as sock:
        data, (host, port) = sock.recvfrom(2000)
        assert (host, port, data[8:28]) == ("127.0.0.1", receiver.port, test_frames[0][8:28])
        assert len(data) < len(test_frames[0])
        # Nothing more came in between: not for the panic, the repetition, or what is not whole yet.
        sock.sendto(other[-1], ("127.0.0.1", receiver.port))
        assert sock.recv(2000)[24:28] == other[0][24:28]
    receiver.wait_counted("tests answered 2;")


def test_it_answers_sealed(serve, tmp_path, test_frames):
    key = bytes(range(32))
    (tmp_path / "keys").write_text(f"7 {key.hex()}\n")
    (tmp_path / "keys").chmod(0o600)
    receiver = serve("--key-file", str(tmp_path / "keys"))
    with ask(receiver, [seal_datagram(frame, 7, key) for frame in test_frames]) as sock:
        data = sock.recv(2000)
    assert data[6:8] == b"\1\7"
    nonce = data[32:48] + data[24:28] + b"\0\0\0\1"
    assert crypto_aead_xchacha20poly1305_ietf_decrypt(data[80:], data[:80], nonce, key)


def test_never_ends_with_a_reload(serve, tmp_path, big, test_frames):
    config = tmp_path / "receiver.toml"
    config.write_text('confirm = "never"\n')
    receiver = serve("--config", str(config))
    with ask(receiver, test_frames) as sock:
        # One thread announces a record, answers it, and goes on to the next.
        receiver.wait_for("record .* test from")
        for frame in big["frames"]:
            sock.sendto(frame, ("127.0.0.1", receiver.port))
        receiver.wait_for("record .* panic from")
        config.write_text("")
        receiver.process.send_signal(1)
        receiver.wait_for("settings were read again")
        sock.sendto(b"", ("127.0.0.1", receiver.port))
        for frame in test_frames:
            sock.sendto(frame[:24] + b"\0\0\0\x63" + frame[28:], ("127.0.0.1", receiver.port))
        assert sock.recv(2000)[24:28] == b"\0\0\0\x63"


SETUP = (
    "ip link set lo up && ip link add pc-a address 52:54:00:00:00:01 type veth peer name pc-b && "
    "ip link set pc-a up && ip link set pc-b up && "
    "ip addr add 10.0.0.1/24 dev pc-a && ip neigh add 10.0.0.7 lladdr 52:54:00:12:34:56 dev pc-a && "
    f"ip -6 addr add {RECEIVER}/64 dev pc-a nodad && "
    f'ip -6 neigh add {SENDER} lladdr 52:54:00:12:34:56 dev pc-a && exec "$@"'
)
#: Sends frames into the wire and prints the first UDP datagram that comes back.
WIRE_PROGRAM = """
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.bind(("pc-b", 3))
s.settimeout(120)
for frame in sys.stdin.read().split():
    s.send(bytes.fromhex(frame))
while True:
    frame, (_, _, kind, *_) = s.recvfrom(2000)
    if kind != 4 and b"PCSA" in frame:
        print(frame.hex())
        break
"""


@pytest.mark.parametrize("capture", ["ring", "udp"])
def test_a_test_in_a_ring_is_answered_from_the_address_that_it_was_sent_to(serve, test_frames, capture):
    if os.geteuid() != 0:
        pytest.skip("needs root: it makes network namespaces")
    receiver = serve(
        *("--receive-buffer-mib", "8", "--capture", capture, "--listen", "[::]:0", "--no-raw-frames"),
        prefix=("unshare", "--net", "sh", "-c", SETUP, "sh"),
    )
    card = bytes.fromhex(CARD.replace(":", ""))
    # First a broadcast, and one for another machine: neither is answered.
    others = [frame[:24] + b"\0\0\0\x62" + frame[28:] for frame in test_frames]
    frames = [udp_frame(data, receiver.port) for data in others]
    for data in test_frames:
        frame = bytearray(card + udp_frame(data, receiver.port)[6:])
        frame[30:34] = 10, 0, 0, 1
        frames.append(with_checksum(bytes(frame)))
    done = subprocess.run(
        [
            *("nsenter", f"--net=/proc/{receiver.process.pid}/ns/net"),
            *(sys.executable, "-c", WIRE_PROGRAM),
        ],
        check=True,
        timeout=PATIENCE_S,
        input="\n".join(frame.hex() for frame in frames),
        capture_output=True,
        text=True,
    )
    frame = bytes.fromhex(done.stdout)
    assert frame[26:34] == bytes([10, 0, 0, 1, 10, 0, 0, 7])
    assert int.from_bytes(frame[34:36], "big") == receiver.port and frame[36:38] == (6665).to_bytes(2, "big")
    assert frame[42:46] == b"PCSA" and frame[66:70] == test_frames[0][24:28]


def with_checksum(frame):
    """The frame with the checksum of its IPv4 header."""
    header = frame[14:24] + bytes(2) + frame[26:34]
    total = sum(int.from_bytes(header[at : at + 2], "big") for at in range(0, 20, 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return frame[:24] + (0xFFFF - total).to_bytes(2, "big") + frame[26:]


def test_what_is_whole_only_later_is_answered_then(tmp_path, test_frames):
    answered = []
    with closing(Store(tmp_path)) as store:
        for frames in (test_frames[:-1], test_frames[-1:]):
            handoff = Handoff()
            handoff.put([partial(frames)])
            handoff.close()
            Committer(handoff, store, answer=answered.append).run()
    assert [record.complete for record in answered] == [True]
