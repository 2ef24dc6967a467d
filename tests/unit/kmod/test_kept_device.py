# SPDX-License-Identifier: GPL-2.0-or-later
"""What the module takes from /dev/panicast, in a program of its own under the sanitizers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from .conftest import KMOD
from .test_bounds import KERNEL, compiled, function

NOW = 1_900_000_000
BOOT = "00ff" * 8
# What kept.c and record.c take from a kernel.
MORE = f"""
#include <ctype.h>
#include <errno.h>
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define NSEC_PER_SEC 1000000000ULL
#define ktime_get_real_ns() ({NOW} * NSEC_PER_SEC)
#define div_u64(a, b) ((a) / (b))
#define LINES_MAX 256
static ssize_t strscpy(char *dst, const char *src, size_t size)
{{
	size_t len = strlen(src);

	memcpy(dst, src, min(len, size - 1));
	dst[min(len, size - 1)] = 0;
	return len < size ? (ssize_t)len : -E2BIG;
}}
static int kstrtou64(const char *text, int base, u64 *value)
{{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, base);
	return *end || end == text || errno || !isdigit(*text) ? -EINVAL : 0;
}}
static int hex2bin(u8 *to, const char *text, size_t count)
{{
	for (; count; count--, text += 2) {{
		if (!isxdigit(text[0]) || !isxdigit(text[1]) || sscanf(text, "%2hhx", to++) != 1)
			return -EINVAL;
	}}
	return 0;
}}
"""


def struct() -> str:
    text = (KMOD / "record.h").read_text()
    return text[text.index("struct pc_kept {") : text.index("/**\n * struct pc_draft")]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prints what was understood of a file: type, who, time, boot, flags, and the newest of its text."""
    text = (KMOD / "kept.c").read_text()
    parser = text[text.index("static int take_type") : text.index("static int send(")]
    body = f"""
#include "wire.h"
{KERNEL}{MORE}{struct()}
struct pc_draft {{ struct pc_wire_record rec; const struct pc_kept *kept; }};
{parser}
{function("put_kept", "record.c")}
int main(int argc, char **argv)
{{
	struct pc_kept kept = {{ }};
	struct pc_draft draft = {{ .kept = &kept }};
	size_t len;
	static const char *buf;
	int i;

	buf = slurp(argv[1], &len);
	if (parse(&kept, buf, len))
		return 9;
	put_kept(&draft, argc > 2 ? strtoul(argv[2], NULL, 10) : kept.len);
	printf("%d %s %llu ", kept.type, kept.by, (unsigned long long)kept.time_ns);
	for (i = 0; i < PC_WIRE_BOOT_ID * kept.boot_known; i++)
		printf("%02x", kept.boot_id[i]);
	printf(" %d|", draft.rec.flags);
	fwrite(draft.rec.text, 1, draft.rec.text_len, stdout);
	return 0;
}}
"""
    return compiled(tmp_path_factory.mktemp("kept"), body)


def understood(program: Path, tmp_path: Path, written: str | bytes, *limit: str) -> str | None:
    """What the program prints; None where it refuses."""
    file = tmp_path / "written"
    file.write_bytes(written.encode() if isinstance(written, str) else written)
    done = subprocess.run([program, file, *limit], capture_output=True, check=False)
    assert done.returncode in (0, 9), done.stderr.decode()
    return None if done.returncode else done.stdout.decode()


LINES = f"type=panic\nkept=pstore\ntime=1800000000\nboot={BOOT}\n"


def test_lines_and_text(program: Path, tmp_path: Path) -> None:
    assert understood(program, tmp_path, f"{LINES}\nold\nnew\n") == (
        f"1 pstore 1800000000000000000 {BOOT} 0|old\nnew\n"
    )
    said = understood(program, tmp_path, "kept=kdump\ntype=oops\ntime=1\n\n\n\n=")
    assert said == "2 kdump 1000000000  0|\n\n="


def test_no_crash_is_in_the_future(program: Path, tmp_path: Path) -> None:
    for time in (NOW + 1, 2**64 - 1):
        said = understood(program, tmp_path, f"type=panic\nkept=kdump\ntime={time}\n\nx")
        assert said and said.split()[2] == f"{NOW}000000000"


@pytest.mark.parametrize(("limit", "text"), [("9", "three\n"), ("10", "two\nthree\n"), ("4", "ree\n")])
def test_the_newest_whole_lines_are_sent(program: Path, tmp_path: Path, limit: str, text: str) -> None:
    said = understood(program, tmp_path, f"{LINES}\none\ntwo\nthree\n", limit)
    # docs/wire.md: 0x02, older text.
    assert said and said.endswith(f" 2|{text}")


@pytest.mark.parametrize(
    "written",
    [
        *("\n", "\n\n", "x", f"{LINES}\n", LINES, LINES[:-1]),
        f"{LINES}more=1\n\nx",
        f"{LINES}boot=\n\nx",
        LINES.replace("00ff", "00fg") + "\nx",
        LINES.replace("pstore", "") + "\nx",
        LINES.replace("pstore", "p" * 16) + "\nx",
        LINES.replace("pstore", "a b") + "\nx",
        LINES.replace("pstore", "p\xe9") + "\nx",
        LINES.replace("panic", "hello") + "\nx",
        LINES.replace("time=18", "time=-18") + "\nx",
        LINES.replace("1800000000", "0") + "\nx",
        LINES.replace("1800000000", str(2**64)) + "\nx",
        f"type=panic\n{'x' * 300}\n\nx",
        b"\0" * 300 + b"\n\nx",
    ],
)
def test_what_is_wrong_is_refused(program: Path, tmp_path: Path, written: str | bytes) -> None:
    assert understood(program, tmp_path, written) is None
