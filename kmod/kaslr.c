// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the kernel lies in memory, which turns addresses into symbols.
 *
 * The kernel prints it in a panic notifier of its own, after ours, see
 * panic.c.  The vmcoreinfo note, made for kdump, has it all the time.
 */
#include <linux/ctype.h>
#include <linux/elf.h>
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <xen/xen.h>

#include "compat/compat.h"
#include "kaslr.h"

static unsigned long offset, base;
static bool known;

/* The hexadecimal number after a name in a text that need not end in NUL. */
static bool find(const char *text, size_t size, const char *name,
		 unsigned long *value)
{
	const char *found = strnstr(text, name, size);
	char digits[2 * sizeof(*value) + 1];
	size_t i;

	if (!found)
		return false;
	found += strlen(name);
	for (i = 0; i < sizeof(digits) - 1 && found + i < text + size &&
	     isxdigit(found[i]); i++)
		digits[i] = found[i];
	digits[i] = '\0';
	return !kstrtoul(digits, 16, value);
}

/** pc_kaslr_init() - find out where the kernel lies */
void pc_kaslr_init(void)
{
	phys_addr_t where = compat_vmcoreinfo_note();
	const struct elf_note *note;
	unsigned long start;
	const char *text;
	size_t size;

	/* there the address is the hypervisor's, and nothing to be read with */
	if (!where || xen_pv_domain())
		return;
	note = phys_to_virt(where);
	text = (const char *)(note + 1) + ALIGN(note->n_namesz, 4);
	size = min_t(size_t, note->n_descsz, PAGE_SIZE);
	known = find(text, size, "KERNELOFFSET=", &offset) &&
		find(text, size, "SYMBOL(_stext)=", &start);
	if (known)
		base = start - offset;
}

/**
 * pc_kaslr_line() - the line that the kernel would have in the log
 * @buf: where to
 * @size: bytes there
 *
 * Return: bytes of it, 0 where nothing is known
 */
size_t pc_kaslr_line(char *buf, size_t size)
{
	if (!known)
		return 0;
	if (!offset)
		return scnprintf(buf, size, "<0>Kernel Offset: disabled\n");
	return scnprintf(buf, size, "<0>Kernel Offset: 0x%lx from 0x%lx\n",
			 offset, base);
}
