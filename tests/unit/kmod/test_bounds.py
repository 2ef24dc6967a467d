# SPDX-License-Identifier: GPL-2.0-or-later
"""What the module writes into a record, in a program of its own under the sanitizers: no byte beside its
buffers, and the text that was asked for."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from .conftest import KMOD, Encoder

#: So that the sanitizers see each access, not what the optimizer has left of it.
FLAGS = ["-O0", "-g", "-Wall", "-Wextra", "-fsanitize=undefined,address", "-fno-sanitize-recover=all"]
#: What log.c and record.c take from a kernel, as far as what is tried here needs it.
KERNEL = """
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#define min(a, b) ((a) < (b) ? (a) : (b))
#define max(a, b) ((a) > (b) ? (a) : (b))
#define min_t(type, a, b) min((type)(a), (type)(b))
struct udphdr { char bytes[8]; };
static char *strnstr(const char *text, const char *word, size_t most)
{
	return memmem(text, strnlen(text, most), word, strlen(word));
}
/* Memory of just this size. */
static char *slurp(const char *path, size_t *len)
{
	FILE *file = fopen(path, "r");
	char *text = malloc(1 << 20);

	*len = fread(text, 1, 1 << 20, file);
	return realloc(text, *len);
}
"""


def function(name: str, file: str) -> str:
    """A function of the module as it stands in its file."""
    found = re.search(rf"(?ms)^static \w+ {name}\(.*?^\}}$", (KMOD / file).read_text())
    assert found, f"{file} has no {name}()"
    return found[0]


def constant(name: str, file: str) -> str:
    return next(line for line in (KMOD / file).read_text().splitlines() if line.startswith(f"#define {name}"))


def compiled(folder: Path, body: str, *more: Path) -> Path:
    source = folder / "main.c"
    source.write_text(body)
    program = folder / "program"
    userspace = Path(__file__).with_name("userspace.h")
    argv = ["gcc", "-D_GNU_SOURCE", *FLAGS, "-Wno-unused-function", "-Wno-sign-compare"]
    subprocess.run([*argv, "-include", userspace, "-I", KMOD, "-o", program, source, *more], check=True)
    return program


def said(program: Path, *arguments: str | Path) -> str:
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_the_longest_number_fits_where_it_is_written(tmp_path: Path) -> None:
    """20 digits: the nanoseconds of 584 years, and what a clock that was never set may say."""
    program = compiled(
        tmp_path,
        """
#include "wire.h"
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv)
{
	struct pc_wire_meta meta = { .uptime_ns = strtoull(argv[argc - 1], NULL, 10), .cpu = ~0u, .pid = ~0u };
	char buf[1392];

	return fwrite(buf, 1, pc_wire_meta(&meta, buf, sizeof(buf)), stdout) ? 0 : 1;
}
""",
        KMOD / "wire.c",
    )
    for number in (0, 9, 10, 10**19 - 1, 10**19, 2**64 - 1):
        lines = said(program, str(number)).splitlines()
        assert f"uptime_ns={number}" in lines and "cpu=4294967295" in lines, lines


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # The first and the last surrogate, and their neighbours that are characters.
        (b"a\xed\xa0\x80b", b"a???b"),
        (b"a\xed\xbf\xbfb", b"a???b"),
        (b"a\xed\x9f\xbfb", b"a\xed\x9f\xbfb"),
        (b"a\xee\x80\x80b", b"a\xee\x80\x80b"),
        # Overlong, beyond the last, cut off.
        (b"\xe0\x9f\xbf", b"???"),
        (b"\xf0\x8f\xbf\xbf", b"????"),
        (b"\xf4\x90\x80\x80", b"????"),
        (b"\xf4\x8f\xbf\xbf", b"\xf4\x8f\xbf\xbf"),
        (b"\xc1\xbf", b"??"),
        (b"\xf5\x80\x80\x80", b"????"),
        # The first and the last of two bytes; the last control character, and what follows it.
        (b"\xc2\x80\xdf\xbf", b"\xc2\x80\xdf\xbf"),
        (b"a\x1fb\x7fc!", b"a b c!"),
        (b"\xe2\x82", b"??"),
    ],
)
def test_what_is_no_character_of_utf8_becomes_question_marks(
    encoder: Encoder, text: bytes, value: bytes
) -> None:
    assert encoder.value(text, 100) == value


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reads so many of the newest bytes of a log; says whether there are older ones, then the text."""
    body = f"""
#include <string.h>
{KERNEL}
{constant("PC_LOG_SLACK", "log.h")}
struct pc_log_text {{ const char *start; size_t len; bool older, newer; }};
static const char *whole;
static size_t whole_len;
/* As the kernel gives it: the newest whole lines that fit. */
static int newest(char *buf, int room)
{{
	const char *start = whole_len > (size_t)room ? whole + whole_len - room : whole;

	if (start > whole && start[-1] != '\\n')
		start = (const char *)memchr(start, '\\n', whole + whole_len - start) + 1;
	memcpy(buf, start, whole + whole_len - start);
	return whole + whole_len - start;
}}
static int (*log_buffer)(char *buf, int max_len) = newest;
static size_t compat_kmsg_newest(char *buf, size_t room)
{{
	return newest(buf, room);
}}
{function("read_newest", "log.c")}
int main(int argc, char **argv)
{{
	size_t limit = atoi(argv[argc - 1]);
	struct pc_log_text text;
	char *buf = malloc(limit + PC_LOG_SLACK);

	whole = slurp(argv[1], &whole_len);
	read_newest(buf, limit, &text);
	printf("%d %d\\n", text.older, text.newer);
	fwrite(text.start, 1, text.len, stdout);
	return 0;
}}
"""
    return compiled(tmp_path_factory.mktemp("log"), body)


LINES = [f"<6>[{number:5}.000000] line {number}\n" for number in range(200)]


def test_a_record_says_that_the_log_has_older_text_and_only_then(reader: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(LINES))
    size = len("".join(LINES))
    for limit in (size + 1, size):
        assert said(reader, log, str(limit)) == "0 0\n" + "".join(LINES)
    for left_out in (1, 2, 100):
        # Just so much that these lines fit, a byte more, and nearly one line more.
        newest = "".join(LINES[left_out:])
        for more in (0, 1, 20):
            assert said(reader, log, str(len(newest) + more)) == "1 0\n" + newest


def test_what_the_log_says_of_older_text_is_in_the_flags(tmp_path: Path) -> None:
    body = f"""
#include "wire.h"
{KERNEL}
{constant("PC_LOG_SLACK", "log.h")}
#define PC_FORMAT_RAW 1
#define END 0
#define pc_for_each_iface(iface) for ((iface) = NULL; (iface);)
enum pc_slot {{ SLOT }};
struct pc_iface {{ int none; }};
struct pc_burst {{ struct {{ unsigned int source; }} shape; }};
struct pc_config {{ int format; }} v1;
struct pc_draft {{
	struct pc_wire_record rec;
	struct pc_config *cfg;
	size_t size;
	char *log;
	const char *about;
	struct {{ size_t len; }} *kept;
}};
#define put_kept(draft, limit)
struct pc_log_text {{ const char *start; size_t len; bool older, newer; }};
static bool older;
static const struct pc_burst *pc_iface_burst(struct pc_iface *iface, enum pc_slot slot)
{{
	return iface && slot ? NULL : NULL;
}}
static void pc_log_read(char *buf, size_t limit, const char *about, struct pc_log_text *text)
{{
	*text = (struct pc_log_text){{ .start = buf, .len = limit && !about, .older = older }};
}}
#define put_end(draft, buf, newer) 0
#define raw_window(rec)
{function("put_text", "record.c")}
int main(void)
{{
	static char log[PC_LOG_SLACK + 1];

	for (int once = 0; once < 2; once++) {{
		struct pc_draft draft = {{ .cfg = &v1, .size = sizeof(log), .log = log }};

		older = once;
		put_text(&draft, SLOT);
		printf("%d ", draft.rec.flags);
	}}
	return 0;
}}
"""
    # docs/wire.md: 0x02, older text.
    assert said(compiled(tmp_path, body)) == "0 2 "


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a raw frame has of the text of a record of a type."""
    body = f"""
#include "wire.h"
{KERNEL}
{constant("PC_FRAME_RAW", "frame.h")}
{constant("PC_PANIC_LINE", "record.h")}
{function("raw_window", "record.c")}
int main(int argc, char **argv)
{{
	struct pc_wire_record rec = {{ .type = atoi(argv[argc - 1]), .chunk = PC_WIRE_CHUNK }};

	rec.text = slurp(argv[1], &rec.text_len);
	raw_window(&rec);
	fwrite(rec.text, 1, rec.text_len, stdout);
	return 0;
}}
"""
    return compiled(tmp_path_factory.mktemp("raw"), body)


PANIC = "<0>[  999.000000] Kernel panic - not syncing: x\n"
#: A panic and an oops, as the header has them.
PANIC_TYPE, OOPS_TYPE = "1", "2"


def test_a_raw_frame_has_the_newest_text(window: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    text = "".join([*LINES, PANIC, *LINES[:10]])
    log.write_text(text)
    for kind in (PANIC_TYPE, OOPS_TYPE):
        assert said(window, log, kind) == text[-1024:]
    log.write_text(text[-1000:])
    assert said(window, log, PANIC_TYPE) == text[-1000:]


def test_a_raw_frame_begins_with_the_panic_line_where_that_would_be_cut_off(
    window: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    text = "".join([*LINES, PANIC, *LINES])
    log.write_text(text)
    assert said(window, log, PANIC_TYPE) == text[text.index(PANIC) :][:1024]
    assert said(window, log, OOPS_TYPE) == text[-1024:]
