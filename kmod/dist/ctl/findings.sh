# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# What doctor has found. Each kind has a name; what the administrator wants as it is, is named in a file.

ACCEPTED=/etc/panicast/accepted
problems=0

accepted() { # NAME
	sed 's/#.*//; s/[[:space:]]*$//' "$ACCEPTED" 2>/dev/null | grep -qxF -e "$1"
}

problem() { # NAME WHAT FIX
	if accepted "$1"; then
		printf 'accepted: %s [%s]\n' "$2" "$1"
		return
	fi
	problems=$((problems + 1))
	printf '%s. %s [%s]\n   fix: %s\n' "$problems" "$2" "$1" "$3"
}

none_found() {
	[ "$problems" -eq 0 ]
}

note() { # WHAT [FIX]
	printf 'note: %s\n' "$1"
	[ $# -lt 2 ] || printf '      %s\n' "$2"
}
