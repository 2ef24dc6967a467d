# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# What would be sent in a panic: for people, and for programs that look after many machines.

line() {
	printf '%-12s %s\n' "$1" "$2"
}

kdump_says() {
	if kdump_first && accepted kdump; then
		echo "armed and runs first, as $ACCEPTED accepts: the crash kernel keeps the last words"
	elif kdump_first; then
		echo "armed and runs first: last words would not leave"
	elif kdump_armed; then
		echo "armed, runs after panicast"
	else
		echo "not armed"
	fi
}

status_cards() {
	any_armed || line armed "none: last words would not leave"
	cards | while IFS=: read -r name why; do
		if [ -n "$why" ]; then
			line "not armed" "$name:$why"
			line "" "  to arm it: $(card_advice "$name" "$why")"
		else
			quiet=$(silent "$name")
			line armed "$(card_title "$name")${quiet:+, sends only in a panic: $quiet}"
		fi
	done
	status_left_out armed armed
	status_left_out "not armed" unarmed
}

status_left_out() { # TITLE armed|unarmed
	count=$(left_out "$2")
	[ "$count" = 0 ] ||
		line "$1" "and $count more, for which $MODULE/state/$2 has no room: the kernel gives it one page"
}

status_destinations() {
	title="sends to"
	destinations | while read -r line; do
		line "$title" "$line"
		title=
	done
	line "" "port $(parameter port), format $(parameter format)"
}

# Receivers that answered the last test.
status_heard() {
	title="heard by"
	answers | while read -r from _ ms _ age _ _ _ _ _ name; do
		line "$title" "$name ($from), a test $age s ago, after $ms ms"
		title=
	done
}

status() {
	case ${1:-} in
	'') ;;
	--json)
		status_json
		return
		;;
	*) die "status takes --json or no argument" 2 ;;
	esac
	if [ ! -d "$MODULE" ]; then
		line module "not loaded (kernel $RELEASE)"
		line "secure boot" "$(secure_boot)"
		return 1
	fi
	line module "$(module_version), kernel $RELEASE"
	status_cards
	status_destinations
	status_heard
	line record "newest $(parameter kib) KiB, parity $(parameter parity) %, sent $(parameter repeat) times; reasons $(parameter reasons)"
	line "log read by" "$(read_or "$MODULE/state/log_source" '?')"
	key_id=$(read_or "$MODULE/state/key_id" 0)
	if [ "$key_id" != 0 ]; then
		line sealed "with key $key_id"
	else
		line sealed "no"
	fi
	line kdump "$(kdump_says)"
	line kept "$(kept_says)"
	line initramfs "$(initramfs_says)"
	line "secure boot" "$(secure_boot)"
	if ! built_here; then
		line "built by" "its package; the next boot's kernel: panicast-ctl doctor --next"
	elif [ -e "/lib/modules/$RELEASE/build/Makefile" ]; then
		line headers "installed"
	else
		line headers "missing: $(headers_package "$RELEASE")"
	fi
	all_is_well
}

all_is_well() {
	[ -d "$MODULE" ] && any_armed && { ! kdump_first || accepted kdump; }
}

json_text() {
	printf '"%s"' "$(printf '%s' "$1" | sed 's/\\/\\\\/g; s/"/\\"/g; s/	/\\t/g')"
}

json_true_if() { # COMMAND...
	if "$@"; then printf true; else printf false; fi
}

json_cards() { # armed|unarmed
	comma=
	cards | while IFS=: read -r name why; do
		case $1$why in
		armed?* | unarmed) continue ;;
		esac
		printf '%s{"name": %s, "driver": %s' "$comma" "$(json_text "$name")" "$(json_text "$(driver "$name")")"
		[ -z "$why" ] ||
			printf ', "why": %s, "advice": %s' "$(json_text "${why# }")" "$(json_text "$(card_advice "$name" "$why")")"
		quiet=$(silent "$name")
		[ -z "$quiet" ] || printf ', "silent": %s' "$(json_text "$quiet")"
		printf '}'
		comma=', '
	done
}

json_destinations() {
	comma=
	destinations | while read -r to rest; do
		printf '%s{"to": %s' "$comma" "$(json_text "$to")"
		case $rest in
		*'unresolved: '*) printf ', "unresolved": %s' "$(json_text "${rest#*unresolved: }")" ;;
		esac
		# shellcheck disable=SC2086 # words
		set -- ${rest%%unresolved: *}
		while [ $# -ge 2 ]; do
			printf ', "%s": %s' "$1" "$(json_text "$2")"
			shift 2
		done
		printf '}'
		comma=', '
	done
}

json_keepers() {
	comma=
	keepers | while IFS= read -r keeper; do
		printf '%s%s' "$comma" "$(json_text "$keeper")"
		comma=', '
	done
}

json_heard() {
	comma=
	answers | while read -r from _ ms _ age _ frames _ restored seal name; do
		printf '%s{"from": %s, "name": %s, "ms": %s, "age": %s, "frames": %s, "restored": %s, "sealed": %s}' "$comma" \
			"$(json_text "$from")" "$(json_text "$name")" "$ms" "$age" "$frames" "$restored" \
			"$(json_true_if test "$seal" = sealed)"
		comma=', '
	done
}

json_settings() {
	comma=
	for file in "$MODULE"/parameters/*; do
		[ "${file##*/}" != key ] || continue
		value=$(cat "$file" 2>/dev/null) || continue
		printf '%s"%s": %s' "$comma" "${file##*/}" "$(json_text "$value")"
		comma=', '
	done
}

# One line. Names and meanings are stable; new ones may come.
status_json() {
	printf '{"ok": %s, "host": %s, "kernel": %s' \
		"$(json_true_if all_is_well)" "$(json_text "$(uname -n)")" "$(json_text "$RELEASE")"
	printf ', "loaded": %s, "version": %s' "$(json_true_if test -d "$MODULE")" "$(json_text "$(module_version)")"
	printf ', "armed": [%s], "not_armed": [%s]' "$(json_cards armed)" "$(json_cards unarmed)"
	printf ', "armed_more": %s, "not_armed_more": %s' "$(left_out armed)" "$(left_out unarmed)"
	printf ', "destinations": [%s]' "$(json_destinations)"
	printf ', "heard": [%s]' "$(json_heard)"
	printf ', "settings": {%s}' "$(json_settings)"
	printf ', "log_source": %s' "$(json_text "$(read_or "$MODULE/state/log_source" '')")"
	printf ', "key_id": %s' "$(read_or "$MODULE/state/key_id" 0)"
	printf ', "kdump_armed": %s, "kdump_first": %s' "$(json_true_if kdump_armed)" "$(json_true_if kdump_first)"
	printf ', "kept_by": [%s]' "$(json_keepers)"
	printf ', "initramfs": %s' "$(json_true_if in_initramfs)"
	printf ', "secure_boot": %s' "$(json_text "$(secure_boot)")"
	printf ', "headers": %s}\n' "$(json_true_if test -e "/lib/modules/$RELEASE/build/Makefile")"
	all_is_well
}
