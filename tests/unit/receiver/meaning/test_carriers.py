# SPDX-License-Identifier: GPL-2.0-or-later
"""What carried the lines, and put something before each, changes no name."""

from __future__ import annotations

import pytest

from panicast_receiver.meaning import understand

from .test_meaning import TITLES


@pytest.mark.parametrize("text", TITLES.values(), ids=list(TITLES))
def test_dress_changes_nothing(text):
    def dressed(prefix: str, end: str = "\n") -> str:
        return "".join(prefix + line + end for line in text.splitlines())

    plain = understand(text)
    for other in (
        *(dressed("<4>[   12.345678] "), dressed("[   12.345678][  T123] ")),
        *(dressed("[   12.345678][ T12@C3] "), dressed("<6>[    0.000000] \x1b[31m", "\x1b[0m\r\n")),
        *("half a line\n" + text, text.replace("\n", "\n\ufffd\ufffd\n", 1) + "x" * 8192),
    ):
        if "Rust" in plain.title and "\ufffd" in other:
            continue
        assert understand(other).signature == plain.signature


CARRIERS = (
    *("Apr 15 13:58:08 a-host kernel: ", "Apr 15 13:58:08.549417 a-host kernel: ", "kernel: "),
    *("2026-04-15T13:58:08.549417+00:00 a-host kernel: ", "2026-04-15T13:58:08+0200 a-host kernel: "),
    *(
        "May 17 18:48:11 kernel: [ 6141.921740] ",
        "Thu Jan 11 09:00:51 2024 kern.alert kernel: [  303.219007] ",
    ),
    *("Mar 31 19:59:53 a-host.lan 4,1789,1531218013,-;", "[sam mar 10 14:43:50 2026] "),
    *("kern  :alert : [    5.464036] ", " kernel:[  840.275175] "),
)


@pytest.mark.parametrize("carrier", CARRIERS)
def test_who_carried_the_lines_changes_nothing(carrier):
    for title in (
        "NULL pointer dereference in my_eip",
        "list corruption in my_elsewhere",
        "ZFS panic in my_map",
    ):
        text = "".join(f"{carrier}{line}\n" for line in TITLES[title].splitlines())
        assert understand(text).title == title


#: Carriers of whom nobody told the receiver: what they put before a line is seen from the others.
UNKNOWN = (
    *(
        "[2026-04-15 13:58:{n:02}] ",
        "Apr 15 13:58:{n:02} ",
        "13:5{n}:08.{n}77  ",
        "a-host kern.emerg kernel: ",
    ),
    *("guest-1  | ", "2026-04-15T13:58:{n:02}.5494177Z stderr F ", '{{"log":"', "> ", "|", "DEBUG:console:"),
    *("a-host: ", "10.0.0.17: ", "2001:db8::7 ", "10.0.0.17 2,{n},{n}1234,-;", "[ 106.0{n}] a-host kernel: "),
    *("<2>1 2026-04-15T13:58:{n:02}+00:00 a-host kernel - - - ", "Jan  1 00:00:{n:02} :a-host: kernel: "),
)


@pytest.mark.parametrize("before", UNKNOWN)
@pytest.mark.parametrize(
    "title",
    [
        *("KASAN: use-after-free Read in udf_sync", "list corruption in my_unlink"),
        *("sleeping function called from invalid context in my_irq", "bad page state in my_free"),
    ],
)
def test_what_stands_before_all_lines_is_no_part_of_them(before, title):
    text = "".join(f"{before.format(n=9 + n)}{line}\n" for n, line in enumerate(TITLES[title].splitlines()))
    assert understand(f"a shell: # modprobe my\n{text}").title == title


@pytest.mark.parametrize("before", [">", "eth0: link is up", "9 ", "eth0: "])
def test_a_complaint_may_begin_where_another_line_has_not_ended(before):
    fault = TITLES["NULL pointer dereference in my_read"]
    assert understand(f"an earlier line\n{before}{fault}").title == "NULL pointer dereference in my_read"


def test_one_line_of_a_program_is_not_the_kernels():
    said = "my-app: divide error: 0000 in line 7\n"
    assert understand(f"eth0: link is up\n{said}").title == ""
    assert understand(f"my-app: Call Trace:\n{said}").title == "divide error"


def test_what_a_program_says_is_not_the_kernels_because_another_line_begins_alike():
    said = "Apr 15 13:58:01 :a-host: vpn[77]: WARNING: Make sure you know what you do\n"
    assert understand(said * 3).title == ""
