# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# What the hooks of initramfs-tools and dracut put into an image, so that last words leave before
# the root is mounted. They look at the machine on which the image is made, and may stop at a failing
# command (set -e).

# Whether an image gets panicast: the administrator asked for it, and no key is set. A key goes into
# no image, because others may read that, and unsealed text must not leave a machine that seals.
# kdump's image gets nothing: it runs when the last words have left.
panicast_wanted() {
	case ${IN_KDUMP:-}${CONFDIR:-} in
	1* | *kdump*) return 1 ;;
	esac
	[ -e /etc/panicast/initramfs ] && [ ! -e /etc/panicast/key ] &&
		! grep -qsE '^[[:space:]]*options[[:space:]]+panicast[[:space:]](.*[[:space:]])?key="?[^"[:space:]]' \
			/etc/modprobe.d/*.conf
}

# The cards that send, and those that would if they had a link just now.
panicast_sending() {
	[ -d /sys/module/panicast/state ] || return 0
	# the last line of a list that is cut is no card's
	sed '/^and [0-9]* more$/d' /sys/module/panicast/state/armed
	sed -n 's/: no link$//p' /sys/module/panicast/state/unarmed
}

# Where the module is not loaded, or nothing sends: all cards but USB and wireless.
panicast_wired() {
	for card in /sys/class/net/*; do
		case $([ -e "$card/wireless" ] || readlink -e "$card/device") in
		'' | */usb[0-9]*) ;;
		*) echo "${card##*/}" ;;
		esac
	done
}

# Where a card is in the machine; of a bond, bridge or VLAN, where the cards below it are.
panicast_device() { # NAME
	if [ -e "/sys/class/net/$1/device" ]; then
		readlink -f "/sys/class/net/$1/device"
	else
		for below in /sys/class/net/"$1"/lower_*; do
			[ ! -e "$below" ] || panicast_device "${below##*/lower_}"
		done
	fi
}

panicast_devices() {
	cards=$(panicast_sending)
	for card in ${cards:-$(panicast_wired)}; do
		panicast_device "$card"
	done | sort -u
}

# The module, and the drivers of the cards and of the buses on the way to them.
panicast_modules() {
	echo panicast
	panicast_devices | while read -r device; do
		while [ "${device#/sys/devices/}" != "$device" ]; do
			[ ! -e "$device/driver/module" ] || basename "$(readlink -f "$device/driver/module")"
			device=${device%/*}
		done
	done | sort -u
}

# The udev rule that brings the cards up once they have their names. The kernel may number virtio's
# devices in another order there.
panicast_rule() { # IP
	panicast_devices | sed 's,/virtio[0-9]*$,/virtio*,' | while read -r device; do
		# shellcheck disable=SC2016 # udev's variable
		printf 'ACTION=="add", SUBSYSTEM=="net", DEVPATH=="%s/net/*", RUN+="%s link set dev $name up"\n' \
			"${device#/sys}" "$1"
	done
}
