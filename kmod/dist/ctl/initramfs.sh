# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# Panicast in the initramfs, so that last words leave before the root is mounted. The hooks of
# initramfs-tools and dracut look for the switch (initramfs/contents.sh).

INITRAMFS_SWITCH=/etc/panicast/initramfs
BOOT=/boot
NO_KEY_IN_IMAGES="no key goes into an image, because others may read it"

in_initramfs() {
	[ -e "$INITRAMFS_SWITCH" ]
}

initramfs_says() {
	if ! in_initramfs; then
		echo "without panicast: what crashes before the root is mounted is not heard"
	elif [ -e "$KEY_FILE" ]; then
		echo "without panicast: records are sealed, and $NO_KEY_IN_IMAGES"
	else
		echo "with panicast"
	fi
}

# The command that makes the images. Where there are two, a distribution's packages call
# update-initramfs.
initramfs_maker() {
	if has_command update-initramfs; then
		echo "update-initramfs -u -k all"
	elif has_command dracut; then
		echo "dracut --regenerate-all --force"
	fi
}

initramfs_check() {
	[ -n "$(initramfs_maker)" ] ||
		die "nothing here makes an initramfs: install initramfs-tools or dracut"
	has_command ip || die "ip is missing, which brings links up in the image: install iproute2 or iproute"
	[ ! -d "$BOOT" ] || [ -w "$BOOT" ] ||
		die "$BOOT cannot be written, so no image can be rebuilt: sudo mount -o remount,rw $BOOT"
}

initramfs_rebuild() {
	initramfs_check
	maker=$(initramfs_maker)
	echo "Rebuilding the images: $maker"
	$maker
}

# Whatever goes wrong, the switch says what it said before.
initramfs_on() {
	[ ! -e "$KEY_FILE" ] ||
		die "records are sealed, and $NO_KEY_IN_IMAGES: nothing could be sent before the root is mounted"
	initramfs_check
	was_on=
	! in_initramfs || was_on=yes
	(umask 022 && mkdir -p "${INITRAMFS_SWITCH%/*}") || die "${INITRAMFS_SWITCH%/*} cannot be made"
	echo "# panicast-ctl initramfs on wrote this, off removes it." | put "$INITRAMFS_SWITCH" 644 || exit
	initramfs_rebuild || {
		[ -n "$was_on" ] || rm -f "$INITRAMFS_SWITCH"
		die "not all images were rebuilt. See above why, then: sudo panicast-ctl initramfs on"
	}
	echo "From the next boot on, last words leave as soon as a card has its driver and a link."
}

initramfs_off() {
	in_initramfs || die "it is off already: there is no $INITRAMFS_SWITCH"
	initramfs_check
	mv "$INITRAMFS_SWITCH" "$INITRAMFS_SWITCH.off" || die "$INITRAMFS_SWITCH could not be removed"
	initramfs_rebuild || {
		mv "$INITRAMFS_SWITCH.off" "$INITRAMFS_SWITCH"
		die "not all images were rebuilt. See above why, then: sudo panicast-ctl initramfs off"
	}
	rm -f "$INITRAMFS_SWITCH.off"
}

# After what changes the images' contents: another module, a key.
initramfs_follow() {
	! in_initramfs || initramfs_rebuild ||
		die "not all images were rebuilt. See above why, then: sudo panicast-ctl initramfs rebuild"
}

command_initramfs() {
	case ${1:-} in
	'') echo "The initramfs is made $(initramfs_says)." ;;
	on | off)
		need_root "initramfs $1"
		"initramfs_$1"
		;;
	rebuild)
		need_root "initramfs rebuild"
		initramfs_follow
		;;
	*) die "initramfs takes on, off, rebuild or no argument" 2 ;;
	esac
}

# The images have copies: of the settings, and of the switch's answer.
examine_initramfs() {
	in_initramfs || return 0
	if [ -e "$KEY_FILE" ]; then
		problem initramfs-sealed "the initramfs is to send last words, but records are sealed, and $NO_KEY_IN_IMAGES" \
			"sudo panicast-ctl initramfs off"
		return
	fi
	for image in "$BOOT/initrd.img-$RELEASE" "$BOOT/initramfs-$RELEASE.img" "$BOOT/initrd-$RELEASE"; do
		for newer in "$SETTINGS" "$INITRAMFS_SWITCH"; do
			[ -n "$(find "$newer" -newer "$image" 2>/dev/null)" ] || continue
			problem initramfs-old "$image is older than $newer, so it has older settings" \
				"sudo panicast-ctl initramfs on"
			break
		done
	done
}
