# SPDX-License-Identifier: GPL-2.0-or-later
"""check-config, doctor, drill, prune, import, reload."""

import json
import os
import re
import signal
import zlib

import pytest

from panicast_receiver.cli import doctor
from panicast_receiver.db.store import Store
from panicast_receiver.settings import load

from ..conftest import wait_until
from ..db.test_damage import with_text
from ..db.test_fleet import record


def test_check_config(cli, tmp_path):
    config = tmp_path / "c.toml"
    config.write_text('idle_s = 7\nlisten = "127.0.0.1:1"\n')
    done = cli("check-config", "--config", str(config), state_dir=None)
    assert done.returncode == 0 and done.stdout == "listen = '127.0.0.1:1'\nidle_s = 7.0\n"
    config.write_text("idle_s = 0\n")
    done = cli("check-config", "--config", str(config), state_dir=None)
    assert done.returncode == 2 and "right is a number from 0.1" in done.stderr


def test_a_drill_comes_back(serve, cli):
    receiver = serve()
    done = cli("drill", "--listen", f"127.0.0.1:{receiver.port}")
    assert done.returncode == 0 and "came back complete" in done.stdout, done.stderr
    assert [entry["reason"] for entry in json.loads(cli("list", "--json").stdout)] == ["drill"]


@pytest.mark.parametrize("flags", [["--require-sealed"], ["--sealed-hosts", "*"], []])
@pytest.mark.parametrize("kind", [[], ["--master"]])
def test_a_drill_comes_back_where_only_sealed_records_are_taken(serve, cli, tmp_path, flags, kind):
    keys = tmp_path / "keys"
    keys.write_text(cli("keygen", "--id", "7", *kind).stdout)
    keys.chmod(0o600)
    flags = [*flags, "--key-file", str(keys)]
    receiver = serve(*flags)
    done = cli("drill", "--listen", f"127.0.0.1:{receiver.port}", *flags)
    assert done.returncode == 0 and "came back complete" in done.stdout, done.stderr
    (entry,) = json.loads(cli("list", "--json").stdout)
    # Where it need not, it does not: a host that has sealed once is not believed without.
    assert entry["sealed"] == (len(flags) > 2)


def test_a_drill_without_the_key_says_what_is_missing(cli, tmp_path):
    Store(tmp_path / "state").close()
    done = cli("drill", "--require-sealed")
    assert done.returncode == 2 and "require_sealed without a key" in done.stderr


def test_a_drill_without_a_service_says_so(cli, tmp_path, monkeypatch):
    Store(tmp_path / "state").close()
    monkeypatch.setattr("panicast_receiver.cli.operations.PATIENCE_S", 0.2)
    from panicast_receiver.cli.main import main

    argv = ["drill", "--state-dir", str(tmp_path / "state"), "--listen", "127.0.0.1:9"]
    assert main(argv) == 1


def test_doctor_tells_good_from_bad(serve, tmp_path):
    def findings(*state, **flags):
        return list(doctor.examine(load(flags, "/dev/null"), tmp_path.joinpath(*state)))

    receiver = serve()
    found = findings("state", listen=f"127.0.0.1:{receiver.port}")
    assert [finding for finding in found if finding.fix and "clock" not in finding.what] == []
    assert any("a service keeps its records" in finding.what for finding in found)
    bad = {
        finding.what: finding.fix
        for finding in findings("none", listen="127.0.0.1:9", interface="nope0", capture="udp")
    }
    assert "start the service" in bad["nobody listens on UDP port 9"]
    assert bad["interface nope0 does not exist"]
    assert any("no service ever ran" in what for what in bad)


def test_prune_by_age_and_by_host(cli, tmp_path):
    store = Store(tmp_path / "state")
    store.write([record("panic", f"h{n % 2}", 1, n, n) for n in range(1, 11)])
    store.write([record("hello", "h1", 1, 20, 0)])
    assert "would be deleted" in cli("prune", "--per-host", "3", "--dry-run").stdout
    # The service may hold the folder meanwhile.
    assert cli("prune", "--per-host", "3").stdout == "4 records deleted\n"
    assert {entry["event"] for entry in json.loads(cli("list", "--json").stdout)} == {5, 6, 7, 8, 9, 10}
    assert cli("prune", "--older-than", "2023-11-14T22:13:28").stdout == "4 records deleted\n"
    assert {entry["event"] for entry in json.loads(cli("list", "--json").stdout)} == {8, 9, 10}
    store.write([record("panic", "h2", 1, 11, 11)])
    store.close()
    nothing = cli("prune")
    assert nothing.returncode == 2 and "nothing to prune" in nothing.stderr


def test_what_firmware_kept_is_imported_once(cli, tmp_path):
    folder = tmp_path / "pstore" / "1700000000" / "001"
    folder.mkdir(parents=True)
    (folder / "dmesg-efi-170000000001001").write_bytes(
        b"Panic#1 Part1\n<0>[   9.0] Kernel panic - not syncing: from firmware\n"
    )
    (folder / "dmesg-efi-170000000002001").write_bytes(b"Panic#1 Part2\n<6>[   8.0] before\n")
    deflate = zlib.compressobj(wbits=-15)
    packed = deflate.compress(b"Oops#2 Part1\n<1>[   5.0] BUG: oops\n") + deflate.flush()
    (folder / "dmesg-ramoops-0.enc.z").write_bytes(packed)
    (folder / "dmesg.txt").write_bytes(b"the same again")
    (folder / "console-ramoops-0").write_bytes(b"no dump")
    assert (
        cli("import", str(tmp_path / "pstore"), "--host", "db-07").stdout
        == "2 records imported, 0 known already\n"
    )
    assert (
        cli("import", str(tmp_path / "pstore"), "--host", "db-07").stdout
        == "0 records imported, 2 known already\n"
    )
    listed = {entry["type"]: entry for entry in json.loads(cli("list", "--json").stdout)}
    assert listed["panic"]["reason"] == "from firmware" and listed["panic"]["host"] == "db-07"
    shown = cli("show", listed["panic"]["id"], "--raw").stdout
    assert shown == "<6>[   8.0] before\n<0>[   9.0] Kernel panic - not syncing: from firmware\n"
    (folder / "dmesg-efi-170000000003001.enc.z").write_bytes(b"\xff\xff")
    bad = cli("import", str(tmp_path / "pstore"))
    assert bad.returncode == 1 and "not deflated" in bad.stderr


def test_import_takes_what_is_a_file_itself_and_no_more_than_a_text(cli, tmp_path):
    """Whoever collected them may have left links, pipes, a file larger than the disk, one of the future."""
    folder, secret = tmp_path / "pstore", tmp_path / "secret"
    folder.mkdir()
    secret.write_text("root:secret\n")
    (folder / "dmesg-efi-1").symlink_to(secret)
    os.mkfifo(folder / "dmesg-efi-2")
    (folder / "dmesg-efi-3").write_bytes(b"Panic#1 Part1\n<0>[ 1.0] Kernel panic - not syncing: x\n")
    with (folder / "dmesg-efi-3").open("r+b") as file:
        file.truncate(1 << 40)
    os.utime(folder / "dmesg-efi-3", (4_000_000_000, 4_000_000_000))
    (folder / "dmesg-efi-4").write_bytes(b"Panic#4 Part1\n<0>[ 1.0] Kernel panic - not syncing: y\n")
    os.utime(folder / "dmesg-efi-4", (-300_000_000, -300_000_000))
    assert cli("import", "--host", "a", str(folder)).stdout == "2 records imported, 0 known already\n"
    older, found = json.loads(cli("list", "--json").stdout)
    assert (
        found["received"] < "2090" and older["time"] == older["received"] == "1970-01-01T00:00:00.000000000Z"
    )
    text = cli("show", found["id"], "--raw").stdout
    assert "Kernel panic" in text and "secret" not in text


def test_one_file_keeps_no_other_from_being_imported_and_all_take_little_memory(cli, tmp_path):
    """Each of these bombs expands to the longest text there is; nobody goes down for ever."""
    folder = tmp_path / "pstore"
    deflate = zlib.compressobj(9, wbits=-15)
    bomb = deflate.compress(b"Panic#1 Part1\n" + bytes(1 << 20)) + deflate.flush()
    for number in range(300):
        (folder / f"{number}").mkdir(parents=True)
        (folder / f"{number}" / "dmesg-efi-1.enc.z").write_bytes(bomb)
    (folder / "0" / "dmesg-efi-2.enc.z").write_bytes(b"\xff\xff")
    (folder / "1" / "dmesg-efi-1").write_bytes(b"Panic#9 Part1\n<0>[ 1.0] Kernel panic - not syncing: x\n")
    (folder / "dmesg-efi-loop").symlink_to(folder)
    deep = folder
    for _ in range(10):
        deep = deep / "d"
        deep.mkdir()
    (deep / "dmesg-efi-1").write_bytes(b"Panic#1 Part1\nnobody looks here\n")
    done = cli("import", "--host", "a", str(folder), prefix=("prlimit", f"--as={400 << 20}"))
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("\n") == 1 and "dmesg-efi-2.enc.z is not deflated" in done.stderr
    # All bombs are one text of one host.
    assert done.stdout == "2 records imported, 299 known already\n"


@pytest.mark.parametrize("command", [("prune", "--per-host", "1"), ("import", "pstore")])
def test_a_disk_that_takes_no_more_is_said_in_a_sentence(cli, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pstore").mkdir()
    (tmp_path / "pstore" / "dmesg-efi-1").write_bytes(b"Panic#1 Part1\n" + os.urandom(200_000))
    store = Store(tmp_path / "state")
    store.write([with_text(number) for number in range(100)])
    store.close()
    # Enough for the index of the log, and not for the log.
    done = cli(*command, prefix=("prlimit", f"--fsize={64 << 10}"))
    assert done.returncode == 1 and done.stdout == ""
    assert re.fullmatch(r"panicast-receiver: .*panicast\.db.*\n", done.stderr), done.stderr


def test_sighup_reads_the_settings_again(serve, cli, tmp_path, big):
    config = tmp_path / "c.toml"
    config.write_text("idle_s = 3600\n")
    receiver = serve("--config", str(config))
    receiver.send(big["frames"][:2])
    receiver.wait_counted("^packets 2;")
    config.write_text("idle_s = 0\n")
    receiver.process.send_signal(signal.SIGHUP)
    receiver.wait_for("the settings stay as they are: .*idle_s: 0.0 is wrong")
    config.write_text("idle_s = 1\nspill_mib = 1\n")
    receiver.process.send_signal(signal.SIGHUP)
    receiver.wait_for("the settings were read again; restart for: spill_mib")
    # For a record that waits already, too.
    other = [frame[:24] + (99).to_bytes(4, "big") + frame[28:] for frame in big["frames"][:2]]
    receiver.send(other)

    def both():
        receiver.read(0.1)
        return sum(" incomplete, " in line for line in receiver.log) == 2

    wait_until(both)
    assert {entry["event"] for entry in json.loads(cli("list", "--json").stdout)} == {7, 99}
    # What is said of it is of the new level.
    config.write_text('log_level = "warning"\n')
    receiver.process.send_signal(signal.SIGHUP)
    assert receiver.stop() == 0
    assert sum("the settings were read again" in line for line in receiver.log) == 1


def test_levels(serve, big):
    receiver = serve(prefix=("env", "JOURNAL_STREAM=1:2"))
    receiver.send(big["frames"])
    receiver.wait_for("^<5>record .* panic")
