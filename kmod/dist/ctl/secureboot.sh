# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# Secure Boot: whether this kernel loads the module, and what makes it.

secure_boot() {
	for variable in /sys/firmware/efi/efivars/SecureBoot-*; do
		[ -r "$variable" ] || continue
		# four bytes of attributes, then the value
		if [ "$(od -An -tu1 -j4 -N1 "$variable" | tr -d ' ')" = 1 ]; then
			echo on
			return
		fi
	done
	if [ "$(read_or /sys/module/module/parameters/sig_enforce N)" = Y ]; then
		echo "off, but the kernel wants signed modules"
	else
		echo off
	fi
}

# The certificate of the key that DKMS signs modules with, as DKMS finds it.
dkms_certificate() {
	set -- /etc/dkms/framework.conf /etc/dkms/framework.conf.d/*.conf
	set_by_hand=$(sed -n 's/^[[:space:]]*mok_certificate=//p' "$@" 2>/dev/null | tail -n 1 | tr -d "\"'")
	if [ -n "$set_by_hand" ]; then
		printf '%s\n' "$set_by_hand" | sed "s/\${*kernelver}*/$RELEASE/"
	elif grep -qs '^ID=ubuntu' /etc/os-release; then
		echo /var/lib/shim-signed/mok/MOK.der
	else
		echo /var/lib/dkms/mok.pub
	fi
}

# The certificate of who signed this kernel's module: a package that brings one has it.
certificate() {
	packaged=/usr/share/panicast/signers/$RELEASE.der
	if [ -e "$packaged" ]; then
		echo "$packaged"
	else
		dkms_certificate
	fi
}

# Whether shim hands the kernel the key that signs the module.
enrolled() {
	mokutil --test-key "$(certificate)" 2>/dev/null | grep -q 'is already enrolled'
}

# The keys that the kernel trusts are root's to see; for others the benefit of the doubt.
trusted() { # SIGNER
	[ -n "$1" ] || return
	[ "$(id -u)" -eq 0 ] || return 0
	grep -qF " $1: " /proc/keys || return
	# Every machine's DKMS calls its key this, those of an earlier installation too.
	[ "$1" != "DKMS module signing key" ] || ! command -v mokutil >/dev/null 2>&1 || enrolled
}

signing_fix() { # SIGNER
	if [ ! -d /sys/firmware/efi ]; then
		echo "this machine has no EFI to enrol a key in: boot a kernel with its own signed panicast.ko (docs/kernel.md), or take module.sig_enforce off the kernel's command line"
		return
	fi
	if [ -z "$1" ] && ! built_here; then
		echo "install a signed package of it (who builds it: ./inv modules --key), or panicast-dkms, which signs it here"
		return
	fi
	fix=
	if [ -z "$1" ]; then
		module=panicast/$(modinfo -F version panicast)
		fix="sudo dkms build --force $module && sudo dkms install --force $module"
	fi
	if ! enrolled; then
		import="sudo mokutil --import $(certificate), with a password for once; sudo reboot; at the screen: Enroll MOK, the password"
		command -v mokutil >/dev/null 2>&1 || import="install mokutil; $import"
		fix="${fix:+$fix; }$import"
	else
		fix="${fix:+$fix; }sudo panicast-ctl reload"
	fi
	echo "$fix"
}
