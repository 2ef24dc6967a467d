#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Puts panicast into dracut's images, if panicast-ctl initramfs on has asked for it.
# shellcheck disable=SC1091,SC2154 # a file that is checked by itself; dracut's variables

. /usr/share/panicast/initramfs/contents.sh

check() {
	panicast_wanted && require_binaries ip || return 1
}

depends() {
	echo udev-rules
}

installkernel() {
	# Drivers that are not loaded now, too.
	# shellcheck disable=SC2046 # words
	hostonly='' instmods $(panicast_modules)
}

install() {
	inst_multiple ip
	inst_multiple -o /etc/modprobe.d/panicast.conf
	mkdir -p "$initdir/etc/udev/rules.d"
	panicast_rule "$(command -v ip)" >"$initdir/etc/udev/rules.d/90-panicast.rules"
	inst_hook pre-trigger 10 "$moddir/load.sh"
}
