# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# The installed kernels: which has the module, which boots next, what would bring the module to one.

has_module() { # RELEASE
	modinfo -k "$1" panicast >/dev/null 2>&1
}

# Whether DKMS builds the module on this machine. If not, packages bring it, one for each kernel.
built_here() {
	for sources in /usr/src/panicast-*/dkms.conf; do
		[ -e "$sources" ] && return
	done
	return 1
}

module_package() { # RELEASE
	if [ -e /etc/debian_version ]; then
		printf 'apt install panicast-modules-%s' "$1"
	elif has_command zypper; then
		printf 'zypper install panicast-kmp-%s' "${1##*-}"
	else
		printf 'dnf install kmod-panicast-%s' "$1"
	fi
}

without_module() { # NAME WHICH RELEASE
	if ! built_here; then
		problem "$1" "$2 $3 has no module: its package is not installed" "sudo $(module_package "$3")"
	elif [ -e "/lib/modules/$3/build/Makefile" ]; then
		problem "$1" "$2 $3 has no module" "sudo dkms autoinstall -k $3"
	else
		problem "$1" "$2 $3 has no module: its headers are not installed" "sudo $(headers_package "$3")"
	fi
}

# The next kernel, and the one that an upgrade brings, want the module too.
examine_kernels() {
	for directory in /lib/modules/*/; do
		kernel=${directory#/lib/modules/}
		kernel=${kernel%/}
		[ "$kernel" != "$RELEASE" ] || continue
		[ -d "/lib/modules/$kernel/kernel" ] || continue
		has_module "$kernel" || without_module kernel-without-module "installed kernel" "$kernel"
	done
	if built_here; then
		needed=linux-headers why="installs its headers, which DKMS needs to build the module" kind=headers
	else
		needed=panicast-modules why="brings the module for it" kind=modules
	fi
	list=$(without_metapackage "$needed")
	while read -r image wanted; do
		[ -z "$image" ] || problem "$kind" "$image installs each new kernel, but no package $why" \
			"sudo apt install $wanted"
	done <<-LIST
		$list
	LIST
}

# What the boot loader starts by default, as far as grubby knows; else the newest, which others
# start.
next_kernel() {
	default=$(grubby --default-kernel 2>/dev/null)
	if [ -n "$default" ]; then
		echo "${default##*/vmlinuz-}"
		return
	fi
	{
		for image in /boot/vmlinuz-*; do
			[ ! -e "$image" ] || echo "${image##*/vmlinuz-}"
		done
		for image in /lib/modules/*/vmlinuz; do
			image=${image%/vmlinuz}
			[ ! -e "$image/vmlinuz" ] || echo "${image##*/}"
		done
	} | sort -V | tail -n 1
}

# For what reboots a machine by itself.
doctor_next() {
	kernel=$(next_kernel)
	[ -n "$kernel" ] || die "no kernel was found in /boot, so the next boot is unknown"
	if has_module "$kernel"; then
		echo "The next boot starts kernel $kernel, which has the module."
		return
	fi
	without_module next-kernel "the next boot starts kernel" "$kernel"
	none_found
}
