# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# The key that frames are sealed with. It lies where no initramfs maker looks: those copy modprobe.d into images that
# all may read. modprobe.d only says that there is one, and the module sends nothing until it has been handed over.

KEY_FILE=/etc/panicast/key
WAIT_FILE=/etc/modprobe.d/panicast-key.conf

# The modprobe.d files of older versions that hold a key.
old_key_files() {
	grep -lsE '^[[:space:]]*options[[:space:]]+panicast[[:space:]](.*[[:space:]])?key="?[0-9a-fA-F]{64}' \
		/etc/modprobe.d/*.conf
}

# Beside it, then in its place: nobody ever reads half of it.
put() { # FILE MODE, from standard input
	part=$(umask 077 && mktemp "$1.XXXXXX") || die "$1 cannot be written"
	if ! cat >"$part" || ! chmod "$2" "$part" || ! mv "$part" "$1"; then
		rm -f "$part"
		die "$1 cannot be written"
	fi
}

# Reads "ID KEY", as keygen prints it: on a command line every user could see it.
key_new() {
	read -r id hex rest || [ "$id" = none ] || die "give the key on standard input: panicast-ctl key < FILE" 2
	if [ "$id" = none ]; then
		rm -f "$KEY_FILE" "$WAIT_FILE"
		[ ! -e "$MODULE/parameters/key" ] || echo none >"$MODULE/parameters/key"
		echo "The key is removed, and records are not sealed."
		initramfs_follow
		return
	fi
	case $id in
	*[!0-9]* | ????*) id=0 ;;
	esac
	case $hex in
	*[!0-9a-fA-F]*) hex= ;;
	esac
	if [ "$id" -lt 1 ] || [ "$id" -gt 255 ] || [ ${#hex} -ne 64 ] || [ -n "$rest" ]; then
		die "a key is an id from 1 to 255 and 64 hexadecimal digits, as panicast-receiver keygen prints them" 2
	fi
	# whatever root's umask is: the receiver reads its settings there
	(umask 022 && mkdir -p "${KEY_FILE%/*}") || die "${KEY_FILE%/*} cannot be made"
	old=$(old_key_files)
	printf '%s %s\n' "$id" "$hex" | put "$KEY_FILE" 600 || exit
	put "$WAIT_FILE" 644 <<-TEXT
		# Written by panicast-ctl key. The key itself is in $KEY_FILE, which panicast.service hands to the module
		# after loading. Until then nothing is sent.
		options panicast key=wait
	TEXT
	echo "Key $id is in $KEY_FILE, which only root can read."
	if [ -n "$old" ]; then
		echo "A key was in $(echo "$old" | tr '\n' ' ')and so in images in /boot, which everybody may read. Rebuild them:"
		echo "sudo update-initramfs -u -k all, or sudo dracut --regenerate-all --force. If it was this key, make a new one."
	fi
	for file in $(old_key_files); do
		echo "An old key is still in $file, where initramfs tools find it: remove the line"
	done
	if has_command systemctl; then
		systemctl -q enable panicast.service || echo "Run this at each boot: panicast-ctl key load"
	else
		echo "Run this after each load of the module: panicast-ctl key load"
	fi
	[ ! -d "$MODULE" ] || key_load
	# a module in the images would send unsealed text
	initramfs_follow
}

# Hands the key to the module that is loaded.
key_load() {
	[ -e "$KEY_FILE" ] || die "there is no $KEY_FILE: panicast-ctl key < FILE writes it"
	need_module
	[ -e "$MODULE/parameters/key" ] ||
		die "the loaded module can take a key only when it loads: sudo panicast-ctl reload"
	cat "$KEY_FILE" 2>/dev/null >"$MODULE/parameters/key" ||
		die "the module refused the key in $KEY_FILE: sudo dmesg | grep panicast"
	echo "Records are sealed with key $(read_or "$MODULE/state/key_id" '?')."
}

command_key() {
	need_root key
	case ${1:-new} in
	new) key_new ;;
	load) key_load ;;
	*) die "key takes load or no argument; it reads the key from standard input" 2 ;;
	esac
}

# A key seals nothing once others have read it.
examine_key() {
	if [ -n "$(find "$KEY_FILE" -perm /o=r,g=r 2>/dev/null)" ]; then
		problem key-readable "others may read the key in $KEY_FILE" \
			"sudo chmod 600 $KEY_FILE, then a new key, since this one may be known: panicast-ctl key"
	fi
	if [ -e "$KEY_FILE" ] && [ -d "$MODULE" ] && [ "$(read_or "$MODULE/state/key_id" 0)" = 0 ]; then
		problem key-not-handed-over "$KEY_FILE has a key, but the module does not have it" \
			"sudo panicast-ctl key load; at each boot: sudo systemctl enable panicast.service"
	fi
	for file in $(old_key_files); do
		problem key-in-modprobe.d "the key is in $file, which initramfs tools copy into images that everybody may read" \
			"remove the line, and set a new key: panicast-receiver keygen, sudo panicast-ctl key"
		if [ -n "$(find "$file" -perm /o=r,g=r)" ]; then
			problem key-readable "others may read the key in $file" "until then: sudo chmod 600 $file"
		fi
		image=$(find /boot -maxdepth 1 -name 'init*' -type f -newer "$file" -perm /o=r -print -quit)
		[ -z "$image" ] ||
			problem key-in-image "others may read $image, which holds a copy of the key in $file" \
				"remove the line, then rebuild it: sudo update-initramfs -u -k all, or sudo dracut --regenerate-all --force"
	done
}
