# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# shellcheck disable=SC2034 # the other parts read them
# What this machine is: the module, the kernel's packages, kdump.

MODULE=/sys/module/panicast
SETTINGS=/etc/modprobe.d/panicast.conf
RELEASE=$(uname -r)

read_or() { # FILE DEFAULT
	if [ -r "$1" ]; then cat "$1"; else printf '%s\n' "$2"; fi
}

parameter() {
	read_or "$MODULE/parameters/$1" '?'
}

module_version() {
	read_or "$MODULE/version" "$(modinfo -F version panicast 2>/dev/null)"
}

# Where records go, a line each, as kmod/state.c says: "ADDRESS everywhere", or with device, next hop and MAC.
destinations() {
	read_or "$MODULE/state/destinations" "$(parameter dest)"
}

has_command() {
	command -v "$1" >/dev/null 2>&1
}

headers_package() { # RELEASE
	if [ -e /etc/debian_version ]; then
		printf 'apt install linux-headers-%s' "$1"
	elif has_command zypper; then
		printf 'zypper install kernel-%s-devel' "${1##*-}"
	else
		case $1 in
		*uek*) printf 'dnf install kernel-uek-devel-%s' "$1" ;;
		# As packages with modules name a kernel, whatever it is called. rpm takes no version with two hyphens.
		*) printf "dnf install 'kernel-devel-uname-r = %s'" "$(printf '%s\n' "$1" | sed 's/-/_/2g')" ;;
		esac
	fi
}

# Debian's and Ubuntu's packages that bring each new kernel (linux-image-amd64, linux-image-generic-hwe-24.04), and
# are here without what is needed for it, linux-headers or panicast-modules: "IMAGE WANTED" a line.
without_metapackage() { # NEEDED
	has_command dpkg-query || return 0
	here=$(dpkg-query -W -f='${db:Status-Abbrev} ${Package}\n' 'linux-image-*' "$1-*" 2>/dev/null |
		sed -n 's/^[a-z]i *//p')
	for image in $here; do
		flavour=${image#linux-image-}
		case $image in
		linux-image-[0-9]* | *-dbg | linux-image-extra-* | linux-image-unsigned-* | "$1"-*) continue ;;
		esac
		printf '%s\n' "$here" | grep -qx "$1-$flavour" || echo "$image $1-$flavour"
	done
}

kdump_armed() {
	[ "$(read_or /sys/kernel/kexec_crash_loaded 0)" = 1 ]
}

# yes: a crash kernel runs instead of the notifiers
kdump_first() {
	kdump_armed && [ "$(read_or /sys/module/kernel/parameters/crash_kexec_post_notifiers N)" != Y ]
}
