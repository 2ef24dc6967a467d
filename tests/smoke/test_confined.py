# SPDX-License-Identifier: GPL-2.0-or-later
"""The receiver on a log host that enforces SELinux (Debian's policy, with the module of panicast-selinux) or
AppArmor (the receiver's own profiles, as on every Debian)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest

from panicast_build.build import rpm
from panicast_build.core import tools
from panicast_build.core.paths import LOGS
from panicast_build.engine import images
from panicast_build.engine.container import Container
from panicast_build.smoke import image, repo, vm
from panicast_build.smoke.debs import Debs
from panicast_build.smoke.failure import wait_for
from panicast_build.smoke.image import GuestImage
from panicast_build.smoke.scenario import RECEIVER, SERVICE, WEB_PAGE, WEB_SERVICE
from panicast_build.smoke.system import System
from panicast_build.targets import distros
from panicast_build.targets.distros import Distro

DISTRO, FROM = "debian-12", "el9"
COLLECT = "panicast-collect.service"
MODULES = ("panicast.pp.bz2", "panicast_ports.cil.bz2")
# An emulated machine starts Python in half a minute if others use the CPU too.
SECONDS = 400.0
GUEST_ROOT = "/guest/root"
NO_FILES = ("/proc", "/sys", "/dev", "/guest")
LABELS = "/etc/selinux/default/contexts/files/file_contexts"
# The engine mounts a file of its own over /etc/hosts.
RELABEL = [
    "setfiles",
    "-F",
    "-m",
    "-q",
    *(word for path in NO_FILES for word in ("-e", path)),
    LABELS,
    "/",
    "/etc/hosts",
]
# What it says is in what the service says of its sinks. Its file of settings lies in the system's.
HOOK = "#!/bin/sh\ncat >/dev/null\n. /etc/tell.conf\necho $WHAT of $PANICAST_HOST >&2\nexit 1\n"
SENDMAIL = "#!/bin/sh\ncat >/dev/null\necho no mail today >&2\nexit 1\n"
ELSEWHERE = "https://127.0.0.1:8443"
# Everything that begins a program, opens a file or connects to somebody.
SETTINGS = f"""
netconsole_port = 6666
journal = true
hook = "/usr/local/bin/tell"
webhook_file = "chat"
alerts_file = "/etc/panicast/alerts.toml"
loki = "{ELSEWHERE}"
otlp = "{ELSEWHERE}"
s3 = "s3://crashes"
s3_endpoint = "{ELSEWHERE}"
s3_login = "/etc/panicast/s3"
symbols = "/usr/lib/debug,{ELSEWHERE}"
nats = "nats://127.0.0.1:1"
postgresql = "host=127.0.0.1 dbname=x"
web_token_file = "/etc/panicast/token"
web_tokens_file = "/etc/panicast/tokens"
web_oidc = "{ELSEWHERE}"
web_oidc_client = "/etc/panicast/oidc"
"""
ALERTS = """
[[target]]
name = "mail"
format = "mail"
to = ["kernel@example.org"]
"""
TOKEN = "a-token-for-readers-of-the-page"
# A slow machine may take its time.
PATIENT = "[Manager]\nDefaultTimeoutStartSec=600\nDefaultDeviceTimeoutSec=600\n"
CREDENTIAL = "[Service]\nLoadCredential=chat:/root/chat\n"
# Its answers are taken by all but debuginfod's client, which asks on.
SERVER = f"""
import http.server, json, ssl
class Answer(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(404 if self.path.startswith("/buildid") else 200)
        self.end_headers()
        places = dict.fromkeys(("authorization_endpoint", "token_endpoint", "jwks_uri"), "{ELSEWHERE}/go")
        self.wfile.write(json.dumps({{"issuer": "{ELSEWHERE}", **places}}).encode())
    do_GET = do_PUT = do_POST
server = http.server.ThreadingHTTPServer(("127.0.0.1", 8443), Answer)
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain("/usr/local/share/ca-certificates/elsewhere.crt", "/root/key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
ASKED = (
    "POST /secret ",
    "POST /loki/api/v1/push ",
    "POST /v1/logs ",
    "PUT /crashes/",
    "GET /buildid/",
    "GET /.well-known/openid-configuration ",
)
RELEASE = "6.1.0-99-amd64"
KERNEL = f"/usr/lib/debug/vmlinux-{RELEASE}"
SOURCE = "void pc_dies(void)\n{\n\tfor (;;);\n}\n"
FILES = {
    "root/chat": f"{ELSEWHERE}/secret\n",
    "root/pc_dies.c": SOURCE,
    "root/elsewhere.py": SERVER,
    "usr/local/bin/tell": HOOK,
    "usr/sbin/sendmail": SENDMAIL,
    "etc/tell.conf": "WHAT=hook\n",
    "etc/panicast/alerts.toml": ALERTS,
    "etc/panicast/s3": "key:secret\n",
    "etc/panicast/token": f"{TOKEN}\n",
    "etc/panicast/oidc": "client:secret\n",
    "etc/systemd/system.conf.d/patient.conf": PATIENT,
    f"etc/systemd/system/{SERVICE}.d/credential.conf": CREDENTIAL,
}
# Who may read it, alone.
SECRETS = {
    "root": ("/root/chat",),
    "panicast": ("/etc/panicast/s3",),
    "panicast-web": ("/etc/panicast/token", "/etc/panicast/tokens", "/etc/panicast/oidc"),
}
COMPILE = ["gcc", "-g", "-O1", "-nostdlib", "-no-pie", "-Wl,-e,pc_dies", "-o", KERNEL, "/root/pc_dies.c"]
CERTIFY = [
    *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "99", "-subj", "/CN=elsewhere"),
    *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "/root/key"),
    *("-out", "/usr/local/share/ca-certificates/elsewhere.crt"),
]


VECTORS = json.loads((Path(__file__).parents[1] / "wire/vectors.json").read_text())
(FRAMES,) = (vector["frames"] for vector in VECTORS if vector["name"] == "panic of many frames")
SENDER = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    for frame in sys.argv[2:]:
        sock.sendto(bytes.fromhex(frame), ("127.0.0.1", int(sys.argv[1])))
"""
FETCH = """
import sys, urllib.request as r
asked = r.Request(sys.argv[1], headers={"Authorization": f"Bearer {sys.argv[2]}"})
print(r.urlopen(asked, timeout=240).read().decode())
"""
ORDER = """
import json, sys, urllib.request as r
told = json.dumps({"action": "acknowledge", "by": "test"}).encode()
head = {"Content-Type": "application/json", "Authorization": f"Bearer {sys.argv[2]}"}
r.urlopen(r.Request(sys.argv[1], told, head), timeout=240).read()
"""


LEAVE = """
import http.client
page = http.client.HTTPConnection("127.0.0.1", 6680, timeout=240)
page.request("GET", "/login/provider")
print(page.getresponse().getheader("Location"))
"""


def console(length: str) -> list[str]:
    """What a host without our module says of its panic, line by line."""
    lines = (
        "BUG: kernel NULL pointer dereference, address: 0000000000000000",
        "Oops: 0000 [#1] PREEMPT SMP NOPTI",
        f"CPU: 1 PID: 77 Comm: sh Not tainted {RELEASE} #1",
        f"RIP: 0010:pc_dies+0x0/0x{length}",
        "Call Trace:",
        " <TASK>",
        f" pc_unknown+0x4/0x8 [pc_mod {'ab' * 20}]",
        " </TASK>",
        "---[ end trace 0000000000000000 ]---",
        "Kernel panic - not syncing: Fatal exception",
    )
    return [f"[    9.000000] {line}\n" for line in lines]


@dataclass(frozen=True)
class Confinement:
    """What a kernel is told to enforce, what a unit's processes are labelled then, what a denial has in the
    kernel log, and the property of a unit that may do what the page may."""

    append: str
    label: Callable[[str], str]
    denied: str
    as_page: str


def service(unit: str) -> str:
    return Path(unit).stem.rpartition("-")[2]


def of_selinux(unit: str) -> str:
    return f"system_u:system_r:panicast_{service(unit)}_t:s0"


def profile(unit: str) -> str:
    return f"panicast-{service(unit)}"


CONFINEMENTS = {
    "selinux": Confinement(
        "security=selinux selinux=1", of_selinux, "avc:  denied", f"SELinuxContext={of_selinux(WEB_SERVICE)}"
    ),
    # Debian's kernel does so unasked.
    "apparmor": Confinement(
        "",
        lambda unit: f"{profile(unit)} (enforce)",
        'apparmor="DENIED"',
        f"AppArmorProfile={profile(WEB_SERVICE)}",
    ),
}
# Every denial is shown.
SHOWN = "sysctl.kernel.printk_ratelimit=0"


@pytest.fixture(params=CONFINEMENTS)
def confinement(request: pytest.FixtureRequest) -> Confinement:
    return CONFINEMENTS[request.param]


@pytest.fixture(scope="module")
def policy(client: docker.DockerClient, packaged: Callable[[Distro], Path]) -> dict[str, bytes]:
    """The files that the package brings."""
    (package,) = packaged(distros.get(FROM)).glob("panicast-selinux-*.noarch.rpm")
    debian = distros.get(rpm.DEBIAN_HOST)
    with Container(client, images.build(client, debian, "build-rpm-debian")) as box:
        box.put(package, "/tmp")
        box.run(["rpm", "-i", "--nodeps", "--noscripts", f"/tmp/{package.name}"])
        return {name: box.read(f"/usr/share/selinux/packages/{name}") for name in MODULES}


@pytest.fixture(scope="module")
def made(
    client: docker.DockerClient,
    packaged: Callable[[Distro], Path],
    policy: dict[str, bytes],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[GuestImage, Path]:
    """The disk of a log host on which the receiver is installed, and that of the packages."""
    tools.need(vm.QEMU, "mke2fs")
    folder = tmp_path_factory.mktemp("confined")
    distro = distros.of_family(distros.DebDistro)[DISTRO]
    family = Debs(client, distro)
    packages = family.built(packaged(distro))
    arguments = {"ARCHIVE": images.base(client, distro)}
    tag = images.build(client, distro, "guest-confined-deb", arguments, parent=family.image(packages))
    repository = folder / "repository"
    repo.fill(packages, family.index, repository)
    repo.disk(repository, folder / "repository.ext4")
    LOGS.mkdir(parents=True, exist_ok=True)

    def install(box: Container) -> None:
        box.put(repository, repo.MOUNTED)
        for argv in (family.tool.refresh, (*family.tool.install, RECEIVER, "python3-psycopg2")):
            box.run(argv, log=log)
        box.write(policy, "/root")
        box.run(["semodule", "-n", "-X", "200", "-i", *(f"/root/{name}" for name in MODULES)], log=log)
        box.write({name: text.encode() for name, text in FILES.items()}, "/")
        box.run(["chmod", "755", "/usr/local/bin/tell", "/usr/sbin/sendmail"], log=log)
        tokens = "--web-tokens-file=/etc/panicast/tokens"
        box.run([RECEIVER, "token", "add", "grafana", tokens], log=log)
        for user, paths in SECRETS.items():
            box.run(["chown", user, *paths], log=log)
            box.run(["chmod", "600", *paths], log=log)
        box.run(["mkdir", "-p", str(Path(KERNEL).parent)], log=log)
        box.run(COMPILE, log=log)
        box.run(CERTIFY, log=log)
        box.run(["update-ca-certificates"], log=log)
        box.run(["sh", "-c", 'echo "$0" >> /etc/panicast/receiver.toml', SETTINGS], log=log)
        box.run(RELABEL, log=log)
        # What is made of the root's own folder, and where others are mounted.
        empty = [f"{GUEST_ROOT}/{name}" for name in image.EMPTY.split()]
        box.run(["mkdir", "-p", GUEST_ROOT, *empty], log=log)
        box.run(["setfiles", "-F", "-r", GUEST_ROOT, LABELS, GUEST_ROOT], log=log)

    with (LOGS / "smoke-confined-made.log").open("w") as log:
        # To give files their labels is a privilege.
        may = ["SYS_ADMIN"]
        disk = image.prepared_image(client, tag, install, folder / "prepared-0", log, cap_add=may)
    return disk, folder / "repository.ext4"


@pytest.fixture
def log_host(made: tuple[GuestImage, Path], confinement: Confinement, tmp_path: Path) -> Iterator[System]:
    """It has booted, and enforces."""
    disk, repository = made
    spec = vm.Spec(
        name="log-host",
        number=2,
        peer="nobody",
        image=disk,
        repository=repository,
        folder=tmp_path,
        console=LOGS / "smoke-confined.serial",
        accelerator=vm.choose_accelerator(disk.kernel),
        append=f"{confinement.append} {SHOWN}",
    )
    with (
        (LOGS / "smoke-confined.log").open("w") as log,
        vm.Machine(spec, image.FOLDER) as machine,
        closing(System(machine, log)) as guest,
    ):
        guest.wait_until_up()
        yield guest


def labels(guest: System) -> dict[str, set[str]]:
    """The labels of each service's processes."""
    found: dict[str, set[str]] = {}
    for unit in (SERVICE, WEB_SERVICE, COLLECT):
        group = f"/sys/fs/cgroup/system.slice/{unit}/cgroup.procs"
        read = f"for pid in $(cat {group}); do tr -d '\\0\\n' < /proc/$pid/attr/current; echo; done"
        found[unit] = set(guest.run(["sh", "-c", read]).out.splitlines())
    return found


def denials(guest: System, denied: str) -> list[str]:
    """What was denied to ours, or of what is ours."""
    lines = guest.run(["dmesg"]).out.splitlines()
    return [line for line in lines if denied in line and "panicast" in line]


def stored(guest: System) -> dict[str, dict[str, Any]]:
    """The records by type and format."""
    records = json.loads(guest.run([RECEIVER, "list", "--all", "--json"]).out)
    return {f"{record['type']} {record['format']}": record for record in records}


def said(guest: System, *of: str) -> str:
    """What the journal has of a unit, or of a program."""
    return guest.run(["journalctl", "--output=cat", *of]).out


@pytest.mark.nightly
def test_each_service_works_confined(log_host: System, confinement: Confinement) -> None:
    guest, wanted = log_host, {unit: {confinement.label(unit)} for unit in (SERVICE, WEB_SERVICE, COLLECT)}
    guest.run(["systemd-run", "--unit=elsewhere", "python3", "/root/elsewhere.py"])
    guest.run(["systemctl", "enable", "--now", WEB_SERVICE])
    # It waits for NATS, of which there is none.
    guest.run(["systemctl", "start", "--no-block", COLLECT])
    wait_for("each service to be confined", SECONDS, lambda: labels(guest) == wanted)

    # By the wire: a drill, and a crash; another one by netconsole.
    guest.run([RECEIVER, "drill"])
    guest.run(["python3", "-c", SENDER, "6664", *FRAMES])
    (length,) = (
        row.split()[1].lstrip("0")
        for row in guest.run(["nm", "-S", KERNEL]).out.splitlines()
        if row.endswith(" pc_dies")
    )
    guest.run(["python3", "-c", SENDER, "6666", *(line.encode().hex() for line in console(length))])

    def came() -> bool:
        """A slow machine may keep a part before it has the rest."""
        found = stored(guest)
        return found.keys() == {"test v1", "panic v1", "panic netconsole"} and found["panic v1"]["complete"]

    wait_for("the crashes", SECONDS, came)
    crash, other = (stored(guest)[kind] for kind in ("panic v1", "panic netconsole"))

    # By the page: the records, with file and line; an order to the service; and the way to log in.
    def shown(record: dict[str, Any]) -> str:
        url = f"{WEB_PAGE}/api/v1/records/{record['id']}"
        return guest.run(["python3", "-c", FETCH, url, TOKEN]).out

    assert crash["host"] in shown(crash)
    wait_for("file and line", SECONDS, lambda: "pc_dies.c" in shown(other))
    group = json.loads(guest.run([RECEIVER, "groups", "--json"]).out)[0]["signature"]
    guest.run(["python3", "-c", ORDER, f"{WEB_PAGE}/api/v1/groups/{group}", TOKEN])
    assert "acknowledged" in guest.run([RECEIVER, "group", group]).out
    assert guest.run(["python3", "-c", LEAVE]).out.startswith(f"{ELSEWHERE}/go")

    def told() -> bool:
        asked = said(guest, "--unit=elsewhere")
        return (
            all(what in asked for what in ASKED)
            and "hook of" in guest.run([RECEIVER, "sinks"]).out
            and "no mail today" in said(guest, f"--unit={SERVICE}")
            and crash["host"] in said(guest, "--identifier=panicast")
        )

    wait_for("everybody to be told", SECONDS, told)

    for change in ("reload", "restart"):
        guest.run(["systemctl", change, SERVICE])
    guest.run([RECEIVER, "drill"])
    assert denials(guest, confinement.denied) == []

    # What its user could do, the page may not: this test would see a denial.
    as_page = [f"--property={confinement.as_page}", "--property=User=panicast"]
    pruning = ["/usr/bin/panicast-receiver", "prune", "--per-host", "0"]
    assert guest.run(["systemd-run", "--wait", "--pipe", *as_page, *pruning], check=False).code != 0
    assert stored(guest) and denials(guest, confinement.denied)


@pytest.mark.nightly
@pytest.mark.parametrize("confinement", ["apparmor"], indirect=True)
def test_profiles_come_and_go_with_the_package(log_host: System) -> None:
    guest, ours = log_host, {profile(unit) for unit in (SERVICE, WEB_SERVICE, COLLECT)}

    def loaded() -> set[str]:
        lines = guest.run(["cat", "/sys/kernel/security/apparmor/profiles"]).out.splitlines()
        return {line.split()[0] for line in lines if "panicast" in line}

    def apt(command: str) -> None:
        guest.run(["apt-get", command, "-y", "--no-install-recommends", RECEIVER], seconds=SECONDS)

    assert loaded() == ours
    apt("remove")
    assert loaded() == set()
    apt("install")
    assert loaded() == ours
    wait_for(
        "the service to be confined",
        SECONDS,
        lambda: labels(guest)[SERVICE] == {f"{profile(SERVICE)} (enforce)"},
    )
    apt("purge")
    assert loaded() == set()
    assert guest.run(["find", "/etc/apparmor.d", "-name", "*panicast*"]).out == ""
