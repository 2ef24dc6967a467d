# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# Puts the installed module and the settings on disk in force. Whatever goes wrong, the machine is armed as it was.

# Why the kernel would refuse the installed module while the old one is loaded, empty if it would not. The kernel looks
# at signature and version before it finds that one of this name is there.
refused() {
	file=$(modinfo -n panicast 2>/dev/null) || {
		echo "there is no module for kernel $RELEASE"
		return
	}
	answer=$(LC_ALL=C insmod "$file" 2>&1)
	case $answer in
	*'File exists'*) ;;
	*) echo "${answer:-insmod says nothing}" ;;
	esac
}

# A folder like modprobe.d, with the settings that are in force.
remember() { # FOLDER
	(umask 077 && mkdir "$1/modprobe.d" && {
		settings_in_force
		# a key that came with modprobe.d cannot be read back
		if [ -e "$KEY_FILE" ]; then
			echo "options panicast key=wait"
		else
			settings_on_disk | sed -n 's/^key\(_id\)*=/options panicast &/p'
		fi
	} >"$1/modprobe.d/panicast.conf")
}

hand_over_key() {
	[ ! -e "$KEY_FILE" ] || key_load
}

replace() { # FOLDER
	reason=$(refused)
	[ -z "$reason" ] || die "the kernel would refuse the new module, so the loaded one stays: $reason"
	remember "$1" || die "no room for the settings in force, so the loaded module stays"
	modprobe -r panicast panicast_seal || die "the module could not be unloaded and stays loaded"
	modprobe panicast && return
	reason=$(refusal)
	modprobe -C "$1/modprobe.d" panicast ||
		die "the module could not be loaded, not even with its old settings: ${reason:-sudo dmesg | tail}; then panicast-ctl doctor"
	hand_over_key
	die "nothing has changed, because the module refused the settings on disk: ${reason:-sudo dmesg | tail}"
}

reload() {
	need_root reload
	if [ -d "$MODULE" ]; then
		folder=$(mktemp -d) || die "no room for the settings in force, so the loaded module stays"
		# the shell that dies in it leaves the folder to us
		(replace "$folder")
		code=$?
		rm -rf "$folder"
		[ "$code" -eq 0 ] || exit "$code"
	else
		modprobe panicast ||
			die "the module could not be loaded: $(refusal | grep . || echo "panicast-ctl doctor, or dmesg | tail")"
	fi
	hand_over_key
	status
}
