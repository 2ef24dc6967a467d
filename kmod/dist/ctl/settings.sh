# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# The settings that modprobe.d has, beside those in force and those that there are.

# NAME=VALUE a line, in modprobe's order, without the quotes that the kernel takes away.
settings_on_disk() {
	LC_ALL=C modprobe -c 2>/dev/null | sed -n 's/^options panicast //p' | awk '{
		word = ""; quoted = 0
		for (i = 1; i <= length($0); i++) {
			c = substr($0, i, 1)
			if (c == "\"") quoted = !quoted
			else if (c ~ /[ \t]/ && !quoted) { if (word != "") print word; word = "" }
			else word = word c
		}
		if (word != "") print word
	}' | awk -F= '{ name = $1; gsub("-", "_", name); print name substr($0, length($1) + 1) }'
}

# "NAME DEFAULT" for each parameter of the installed module, as its descriptions have it.
known_settings() {
	modinfo -F parm panicast 2>/dev/null | sed -n 's/^\([a-z0-9_]*\):\(.*\)$/\1 \2/p' | while read -r name text; do
		default=
		case $text in
		*\(*\)) default=${text##*\(} && default=${default%\)} ;;
		esac
		echo "$name $default"
	done
}

# The name from standard input that takes the fewest changes of a letter, if they are few.
nearest() { # NAME
	awk -v wrong="$1" '
	function min(a, b) { return a < b ? a : b }
	function distance(a, b,   i, j, before, above, old) {
		for (j = 0; j <= length(b); j++) row[j] = j
		for (i = 1; i <= length(a); i++) {
			before = row[0]; row[0] = i
			for (j = 1; j <= length(b); j++) {
				old = row[j]
				row[j] = min(min(row[j], row[j - 1]) + 1, before + (substr(a, i, 1) != substr(b, j, 1)))
				before = old
			}
		}
		return row[length(b)]
	}
	BEGIN { best = 3 }
	{ d = distance(wrong, $1); if (d < best) { best = d; name = $1 } }
	END { print name }'
}

# Numbers may be written in hexadecimal, MAC addresses in capitals.
same_value() { # NAME ONE OTHER
	[ "$2" = "$3" ] || [ "$(plain "$1" "$2")" = "$(plain "$1" "$3")" ]
}

plain() { # NAME VALUE
	if [ "$1" = dest_mac ]; then
		printf '%s\n' "$2" | tr 'A-F' 'a-f'
	elif printf '%s\n' "$2" | grep -qE '^(0[xX][0-9a-fA-F]+|[0-9]+)$'; then
		printf '%d\n' "$2" 2>/dev/null
	else
		printf '%s\n' "$2"
	fi
}

# The value that the module did not take when it was last to be loaded, in the kernel log's words.
refusal() {
	dmesg 2>/dev/null | awk '
		/panicast: version / { why = "" }
		/panicast: .* refused: / { why = $0; sub(/^.*panicast: /, "", why) }
		END { print why }'
}

# Those in force, as a line for modprobe.d; the key and its number are handed over by themselves.
settings_in_force() {
	printf 'options panicast'
	for file in "$MODULE"/parameters/*; do
		name=${file##*/}
		case $name in
		key | key_id) continue ;;
		esac
		value=$(cat "$file" 2>/dev/null) || continue
		# no way to write this one there
		case $value in
		*'"'*) continue ;;
		esac
		printf ' %s="%s"' "$name" "$value"
	done
	echo
}
