# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# What a user can paste into a report. It has no address of this machine, no key and no text of its log.

HEARD_SECONDS=5

firmware() { # CARD
	ethtool -i "$1" 2>/dev/null | sed -n 's/^firmware-version: *//p'
}

pci_id() { # CARD
	cat "$NET/$1/device/vendor" "$NET/$1/device/device" 2>/dev/null | sed 's/^0x//' | tr '\n' ':' | sed 's/:$//'
}

report_cards() {
	cards | while IFS=: read -r name why; do
		version=$(firmware "$name")
		printf '| %s | %s | %s | %s | %s |\n' "$name" "$(driver "$name")" "$(pci_id "$name")" \
			"${version:-unknown}" "${why:+not armed:$why}"
	done
}

now_ms() {
	# /proc/uptime has hundredths of a second everywhere; date has less
	read -r uptime _ </proc/uptime
	echo "${uptime%.*}${uptime#*.}0"
}

# What a receiver on this machine, or the web page of another, has of the test: an answer in words.
heard() { # WORD WEB
	if [ -n "$2" ] && has_command curl; then
		ask="curl -fsS $2/api/v1/records?search=$1" asked="its web page says so"
	elif [ -n "$2" ] && has_command wget; then
		ask="wget -qO- $2/api/v1/records?search=$1" asked="its web page says so"
	elif [ -n "$2" ]; then
		echo "not asked: neither curl nor wget is installed; look at $2/?search=$1"
		return
	elif has_command panicast-receiver; then
		ask="panicast-receiver list --search $1 --all --json" asked="that of this machine"
	else
		echo "unknown here; on the log host run: panicast-receiver list --search $1 --all"
		return
	fi
	for _ in $(seq "$HEARD_SECONDS"); do
		# shellcheck disable=SC2086 # words of our own
		if $ask 2>/dev/null | grep -qF "$1"; then
			echo "yes ($asked)"
			return
		fi
		sleep 1
	done
	echo "no, not within $HEARD_SECONDS s ($asked)"
}

report_test() { # WEB
	if [ ! -d "$MODULE" ] || [ "$(id -u)" -ne 0 ]; then
		echo "test: not sent (it needs root and a loaded module)"
		return
	fi
	word="report-$(od -An -N4 -tx1 /dev/urandom | tr -d ' ')"
	before=$(now_ms)
	by="test"
	[ -z "$(unicast)" ] || by=ask
	if send "$by" "$word"; then
		echo "test: done in $(($(now_ms) - before)) ms, $(dmesg 2>/dev/null | sed -n 's/^.*panicast: test: //p' | tail -n 1)"
		if [ "$by" = ask ] && [ -n "$(answers)" ]; then
			echo "heard by a receiver: yes ($(answers | wc -l) of $(unicast | wc -l) answered, after $(answers | sed 's/^[^ ]* ms \([0-9]*\) .*/\1/' | tr '\n' ' ')ms)"
		else
			echo "heard by a receiver: $(heard "$word" "$1")"
		fi
	else
		echo "test: not sent; no interface is armed and has a link"
	fi
}

report() {
	[ $# -le 1 ] || die "report takes the address of a receiver's web page, or no argument" 2
	case ${1:-http://} in
	http://* | https://*) ;;
	*) die "'$1' is not the address of a web page, such as http://loghost:6680" 2 ;;
	esac
	echo "panicast $(module_version), kernel $RELEASE, $(uname -m)"
	sed -n 's/^PRETTY_NAME="*\([^"]*\)"*$/\1/p' /etc/os-release 2>/dev/null
	echo "machine: $(read_or /sys/class/dmi/id/sys_vendor '?') $(read_or /sys/class/dmi/id/product_name '?')"
	echo "secure boot: $(secure_boot); kdump: $(kdump_says); kept: $(kept_says)"
	if [ -d "$MODULE" ]; then
		echo "format $(parameter format), $(parameter kib) KiB, parity $(parameter parity) %, $(parameter repeat) times; sealed: $(read_or "$MODULE/state/key_id" 0 | sed 's/^0$/no/; s/^[1-9].*/yes/')"
		echo "log read by $(read_or "$MODULE/state/log_source" '?')"
	else
		echo "the module is not loaded"
	fi
	echo
	echo "| card | driver | PCI id | firmware | |"
	echo "|---|---|---|---|---|"
	report_cards
	echo
	web=${1:-}
	report_test "${web%/}"
}
