# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# What firmware (pstore) or kdump kept of crashes before this boot. Each is sent once, as a record
# of the boot that crashed; the module seals and sends it (kmod/kept.c).

KEPT_DEVICE=/dev/panicast
# Digests of what was sent.
KEPT_STATE=/var/lib/panicast-ctl/kept
KEPT_STATE_LINES=1000
# The newest of a text; the module sends kib= KiB of it.
KEPT_BYTES=1048576
# Older files are history, on a machine that gets panicast today.
KEPT_DAYS=30
# Parts of one dump are written within seconds; an oops this close to a panic is part of it.
KEPT_APART=60
# A switch may take half a minute until it forwards; many machines do not speak at once.
KEPT_SETTLE=20
KEPT_SPREAD=20
KEPT_PATIENCE=600

kept_places() {
	echo "pstore /sys/fs/pstore"
	echo "pstore /var/lib/systemd/pstore"
	echo "kdump /var/crash"
	echo "kdump /var/lib/kdump"
}

# Files that nobody but root can have made or can change: on some machines everybody may write to
# /var/crash.
kept_files() { # FOLDER TEST...
	kept_folder=$1
	shift
	[ -n "$(find "$kept_folder/." -maxdepth 0 -user 0 \( ! -perm /022 -o -perm -1000 \) 2>/dev/null)" ] || return 0
	find "$kept_folder/." -xdev -mindepth 1 -maxdepth 3 \( -type d \( ! -user 0 -o -perm /022 \) -prune \) -o \
		\( -type f -user 0 ! -perm /022 -links 1 -size +0 -mtime "-$KEPT_DAYS" \( "$@" \) -print \) 2>/dev/null |
		while IFS= read -r file; do
			case $file in
			*[!A-Za-z0-9_./:@+-]*) echo "panicast-ctl: not read because of characters in its name: a file in ${file%/*}" | LC_ALL=C tr -cd '\n -~' >&2 ;;
			*) printf '%s\n' "$file" ;;
			esac
		done
}

# "TYPE TIME FILE..." for each dump; its parts are numbered from its end. Folders may have parts of
# several dumps with one number, so the time counts, too.
kept_pstore() { # FOLDER
	kept_files "$1" -name 'dmesg-*' | while IFS= read -r file; do
		header=$(head -c 64 "$file" 2>/dev/null | head -n 1 | tr -cd 'A-Za-z0-9# ')
		# shellcheck disable=SC2086 # words
		set -- ${header:-none}
		case $file:$header in
		*.enc.z:*) echo "panicast-ctl: $file is compressed; panicast-receiver import reads it" >&2 ;;
		*:Panic#[0-9]*' Part'[0-9]* | *:Oops#[0-9]*' Part'[0-9]*)
			echo "${file%/*} $1 ${2#Part} $(stat -c %Y "$file") $file"
			;;
		*:[A-Z]*#[0-9]*' Part'[0-9]*) ;; # an orderly end
		*) echo "panicast-ctl: $file does not begin as pstore's files do" >&2 ;;
		esac
	done | LC_ALL=C sort -k1,2 -k4,4n | awk -v apart="$KEPT_APART" '
		$1 " " $2 != key || $4 - last > apart { dump++ }
		{ key = $1 " " $2; last = $4; print dump, $3, $2, $4, $5 }' |
		LC_ALL=C sort -k1,1n -k2,2nr | awk -v apart="$KEPT_APART" '
		function gap(a, b) { return a < b ? b - a : a - b }
		{ type[$1] = $3 ~ /^Panic/ ? "panic" : "oops"; time[$1] = $4; files[$1] = files[$1] " " $5; dumps = $1 }
		END {
			for (i = 1; i <= dumps; i++) {
				for (j = 1; j <= dumps; j++)
					if (type[i] == "oops" && type[j] == "panic" && gap(time[i], time[j]) <= apart) break
				if (j > dumps) print type[i], time[i] files[i]
			}
		}'
}

kept_kdump() { # FOLDER
	kept_files "$1" -name 'vmcore-dmesg*.txt' -o -name 'dmesg.[0-9]*' -o -name dmesg.txt |
		while IFS= read -r file; do
			echo "panic $(stat -c %Y "$file") $file"
		done
}

# "HOW TYPE TIME FILE..." for each dump in all places.
kept_dumps() {
	kept_places | while read -r how place; do
		[ ! -d "$place" ] || "kept_$how" "$place" | sed "s/^/$how /"
	done
}

# What keeps a crash over a reboot, a word each: pstore with the driver behind it, kdump.
keepers() {
	case $(read_or /sys/module/pstore/parameters/backend '') in
	'' | '(null)') ;;
	*) echo "pstore ($(cat /sys/module/pstore/parameters/backend))" ;;
	esac
	! kdump_armed || echo kdump
}

kept_says() {
	list=$(keepers | tr '\n' ',' | sed 's/,$//; s/,/, /g')
	echo "${list:-by nothing: no pstore, no kdump}"
}

examine_kept() {
	[ -e "$KEPT_DEVICE" ] && [ -n "$(keepers)" ] && has_command systemctl || return 0
	systemctl -q is-enabled panicast-kept.service 2>/dev/null ||
		problem kept-not-sent "what is kept of a crash over a reboot ($(kept_says)) is not sent" \
			"sudo systemctl enable panicast-kept.service"
}

# The text of a dump.
kept_text() { # HOW FILE...
	kept_how=$1
	shift
	for file; do
		case $kept_how in
		# without the line that numbers the part
		pstore) head -c "$KEPT_BYTES" "$file" | tail -n +2 ;;
		*) tail -c "$KEPT_BYTES" "$file" ;;
		esac
	done | tail -c "$KEPT_BYTES"
}

# The boot id in the last line of the module's that names one.
kept_boot() { # TEXT
	LC_ALL=C tr -cd '\n -~' <"$1" | grep -oE 'panicast: (last words sent: )?boot [0-9a-f]{32}' |
		sed -n '$s/.* //p' | grep -v '^0*$'
}

# Beside it, on the disk, then in its place: a power cut leaves the old one or the new one.
kept_remember() { # DIGEST
	{ (umask 077 && mkdir -p "${KEPT_STATE%/*}") &&
		{ tail -n "$KEPT_STATE_LINES" "$KEPT_STATE" 2>/dev/null; echo "$1"; } >"$KEPT_STATE.new" &&
		sync "$KEPT_STATE.new" && mv "$KEPT_STATE.new" "$KEPT_STATE" && sync "${KEPT_STATE%/*}"; } ||
		die "$KEPT_STATE cannot be written: what was sent would be sent again at the next boot"
}

kept_is_known() { # DIGEST
	grep -qxF "$1" "$KEPT_STATE" 2>/dev/null
}

kept_ready() {
	any_armed && ! destinations | grep -q 'unresolved: '
}

# Until a card is armed; after a while also if a destination has no next hop.
kept_wait() {
	kept_left=$KEPT_PATIENCE
	until kept_ready || { [ "$kept_left" -le 0 ] && any_armed; }; do
		[ "$kept_left" -gt 0 ] || die "no card is armed; what was kept is sent at the next boot, or by: panicast-ctl kept"
		kept_left=$((kept_left - 2))
		sleep 2
	done
	sleep $((KEPT_SETTLE + $(od -An -N2 -tu2 /dev/urandom) % KEPT_SPREAD))
}

kept_send() { # HOW TYPE TIME TEXT MESSAGE
	boot=$(kept_boot "$4")
	{
		printf 'type=%s\nkept=%s\ntime=%s\n' "$2" "$1" "$3"
		[ -z "$boot" ] || printf 'boot=%s\n' "$boot"
		echo
		cat "$4"
	} >"$5"
	# one write is one record
	answer=$(LC_ALL=C dd if="$5" of="$KEPT_DEVICE" bs=2097152 count=1 conv=notrunc 2>&1) && return
	case $answer in
	*'not supported'*) die "format=raw cannot send what was kept; panicast.conf has format=" ;;
	*) die "what $1 kept was not sent: no interface is armed and has a link; see panicast-ctl status" ;;
	esac
}

kept_all() { # TEMPORARY [--wait]
	kept_dumps >"$1/dumps"
	sent=0 known=0
	while read -r how type time files; do
		# shellcheck disable=SC2086 # of names without blanks
		kept_text "$how" $files >"$1/text"
		[ -s "$1/text" ] || continue
		digest=$(sha256sum <"$1/text")
		digest=${digest%% *}
		if kept_is_known "$digest"; then
			known=$((known + 1))
			continue
		fi
		if [ -n "${2:-}" ] && [ "$sent" -eq 0 ]; then
			kept_wait
		fi
		kept_send "$how" "$type" "$time" "$1/text" "$1/message"
		kept_remember "$digest"
		sent=$((sent + 1))
		echo "Sent what $how kept of a crash on $(date -d "@$time" 2>/dev/null || echo "$time"): ${files%% *}"
	done <"$1/dumps"
	[ "$sent" -gt 0 ] || echo "Nothing new was kept of a crash ($known sent before)."
}

kept() {
	case $#${1:-} in
	0 | 1--wait) ;;
	*) die "kept takes --wait or no argument" 2 ;;
	esac
	need_root kept
	need_module
	[ -e "$KEPT_DEVICE" ] || die "the loaded module is older: sudo panicast-ctl reload"
	folder=$(umask 077 && mktemp -d) || die "no room for what was kept"
	trap 'rm -rf "$folder"' EXIT
	trap 'exit 1' INT TERM
	kept_all "$folder" "$@"
}
