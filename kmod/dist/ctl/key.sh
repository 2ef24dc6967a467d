# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# The key that frames are sealed with.

KEY_FILE=/etc/modprobe.d/panicast-key.conf

# Beside it, then in its place: nobody ever reads half of it.
put() { # FILE MODE, from standard input
	part=$(umask 077 && mktemp "$1.XXXXXX") || die "$1 cannot be written"
	if ! cat >"$part" || ! chmod "$2" "$part" || ! mv "$part" "$1"; then
		rm -f "$part"
		die "$1 cannot be written"
	fi
}

# Reads "ID KEY", as keygen prints it: on a command line every user could see it.
command_key() {
	[ $# -eq 0 ] || die "key takes no argument: the key comes from standard input" 2
	need_root key
	read -r id hex rest || [ "$id" = none ] || die "give the key on standard input: panicast-ctl key < FILE" 2
	if [ "$id" = none ]; then
		rm -f "$KEY_FILE"
		echo "Records are sealed no longer once the module is loaded again: sudo panicast-ctl reload"
		return
	fi
	case $id in
	*[!0-9]* | ????*) id=0 ;;
	esac
	case $hex in
	*[!0-9a-fA-F]*) hex= ;;
	esac
	if [ "$id" -lt 1 ] || [ "$id" -gt 255 ] || [ ${#hex} -ne 64 ] || [ -n "$rest" ]; then
		die "right is a key id from 1 to 255 and 64 hexadecimal digits, as panicast-receiver keygen prints them" 2
	fi
	printf '# Written by panicast-ctl key.\noptions panicast key_id=%s key=%s\n' "$id" "$hex" | put "$KEY_FILE" 600 || exit
	echo "Key $id is in $KEY_FILE. Records are sealed with it once the module is loaded again: sudo panicast-ctl reload"
	[ ! -d /etc/initramfs-tools ] || echo "Initramfs images get a copy of it, which others may read: see panicast-ctl doctor after the next one is made"
}

# A key seals nothing once others have read it. Initramfs makers copy modprobe.d.
examine_key() {
	key_file=
	for file in /etc/modprobe.d/*.conf; do
		grep -qsE '^[[:space:]]*options[[:space:]]+panicast[[:space:]](.*[[:space:]])?key=[0-9a-fA-F]' "$file" || continue
		key_file=$file
		if [ -n "$(find "$file" -perm /o=r,g=r)" ]; then
			problem key-readable "others may read the key in $file" "make a new key, since this one may be known; until then: sudo chmod 600 $file"
		fi
	done
	[ -n "$key_file" ] || return
	image=$(find /boot -maxdepth 1 -name 'init*' -type f -newer "$key_file" -perm /o=r -print -quit)
	[ -n "$image" ] || return
	if [ -d /etc/initramfs-tools ]; then
		fix="echo UMASK=0077 | sudo tee /etc/initramfs-tools/conf.d/panicast-key && sudo update-initramfs -u -k all, then a new key"
	else
		fix="sudo chmod 600 $image, then a new key"
	fi
	problem key-in-image "others may read $image, which holds a copy of the key in $key_file" "$fix"
}
