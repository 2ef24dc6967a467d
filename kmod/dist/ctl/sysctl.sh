# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# What on this machine ends in a panic, whose last words leave, and what in a silent hang.

SHIPPED=/usr/share/panicast/sysctl.conf
SYSCTL=/etc/sysctl.d/90-panicast.conf
PROC=/proc/sys
WATCHDOGS=/sys/class/watchdog

# "KEY VALUE" for each setting that we ship and this kernel has.
shipped() {
	sed -n 's/^-\([a-z_.]*\) *= *\([0-9]*\)$/\1 \2/p' "$SHIPPED" | while read -r key value; do
		[ ! -e "$(knob "$key")" ] || echo "$key $value"
	done
}

knob() { # KEY
	echo "$PROC/$(echo "$1" | tr . /)"
}

value_of() { # KEY
	read_or "$(knob "kernel.$1")" ''
}

# A line of the list: what happens, what comes of it, and the line that changes it if it should be another.
outcome() { # WHAT COMES [CHANGE]
	printf '  %-14s %s\n' "$1" "$2"
	[ -z "${3:-}" ] || printf '  %-14s to change it: %s\n' '' "$3"
}

# An event that panics if its setting is on, and if what looks for it is; else it is a record if reasons= has its word.
event() { # WHAT SETTING WORD OTHERWISE [LOOKER FOUND]
	now=$(value_of "$2")
	if [ -z "$now" ]; then
		outcome "$1" "this kernel has no kernel.$2"
	elif [ -n "${5:-}" ] && [ "$(value_of "$5")" = 0 ]; then
		outcome "$1" "nobody looks for it" "kernel.$5 = $6, kernel.$2 = 1"
	elif [ "$now" = 0 ]; then
		case ,$(parameter reasons), in
		*",$3,"*) outcome "$1" "a record of type oops; $4" "kernel.$2 = 1" ;;
		*) outcome "$1" "$4" "kernel.$2 = 1" ;;
		esac
	else
		outcome "$1" "panic"
	fi
}

watchdogs() {
	none=yes
	for dog in "$WATCHDOGS"/watchdog*; do
		[ -e "$dog" ] || continue
		none=
		title="${dog##*/} ($(read_or "$dog/identity" '?'))"
		governor=$(read_or "$dog/pretimeout_governor" none)
		if [ "$(read_or "$dog/state" '?')" != active ]; then
			outcome watchdog "$title is not started: a machine that hangs whole stays so" \
				"RuntimeWatchdogSec=60s in /etc/systemd/system.conf"
		elif [ ! -e "$dog/pretimeout" ]; then
			outcome watchdog "$title resets the machine without last words: its driver has no pretimeout"
		elif [ "$(cat "$dog/pretimeout")" -gt 0 ] && [ "$governor" = panic ]; then
			outcome watchdog "$title: panic, $(cat "$dog/pretimeout") s before it resets the machine"
		else
			outcome watchdog "$title resets the machine without last words" \
				"RuntimeWatchdogPreSec=30s and RuntimeWatchdogPreGovernor=panic in /etc/systemd/system.conf"
		fi
	done
	[ -z "$none" ] || outcome watchdog "none: a machine that hangs whole stays so"
}

list_outcomes() {
	echo "What becomes a panic on this machine:"
	event oops panic_on_oops oops "the task is killed, the machine goes on"
	event "soft lockup" softlockup_panic lockup "a warning in the log; the CPU stays busy" soft_watchdog 1
	event "hard lockup" hardlockup_panic lockup "a warning in the log; the CPU stays stuck" nmi_watchdog 1
	event "hung task" hung_task_panic lockup "a warning in the log; the task stays stuck" hung_task_timeout_secs 120
	event "RCU stall" panic_on_rcu_stall lockup "a warning in the log; the machine may hang"
	event "unknown NMI" unknown_nmi_panic - "a line in the log: a BMC's \"send NMI\" does nothing"
	after=$(value_of panic)
	case $after in
	0) outcome "then" "the machine stays as it is after a panic" "kernel.panic = 10" ;;
	-*) outcome "then" "it reboots at once" ;;
	?*) outcome "then" "it reboots after $after s" ;;
	esac
	watchdogs
	if [ -e "$SYSCTL" ]; then
		echo "  $SYSCTL is on; sudo panicast-ctl sysctl off restores what was before"
	else
		echo "  all kernel.* lines at once, permanently: sudo panicast-ctl sysctl on (off restores them)"
	fi
}

sysctl_on() {
	[ ! -e "$SYSCTL" ] || die "it is on already: $SYSCTL"
	mkdir -p "${SYSCTL%/*}" || die "${SYSCTL%/*} cannot be made"
	{
		cat "$SHIPPED"
		echo "# What was before, for panicast-ctl sysctl off:"
		shipped | while read -r key _; do
			echo "#was $key = $(cat "$(knob "$key")")"
		done
	} | put "$SYSCTL" 644 || exit
	shipped | set_all || die "$SYSCTL applies from the next boot on, but not all of it could be set now"
	echo "$SYSCTL applies now and at each boot."
}

sysctl_off() {
	[ -e "$SYSCTL" ] || die "it is off already: there is no $SYSCTL"
	sed -n 's/^#was \([a-z_.]*\) = \(-*[0-9]*\)$/\1 \2/p' "$SYSCTL" | set_all ||
		die "not everything could be restored; $SYSCTL stays"
	rm -f "$SYSCTL" || die "$SYSCTL could not be removed"
	echo "$SYSCTL is removed, and everything is as it was before."
}

set_all() { # from standard input: "KEY VALUE" a line
	failed=0
	while read -r key value; do
		echo "$value" >"$(knob "$key")" || failed=1
	done
	return "$failed"
}

command_sysctl() {
	case ${1:-} in
	on | off)
		need_root "sysctl $1"
		"sysctl_$1"
		;;
	'') list_outcomes ;;
	*) die "sysctl takes on, off or no argument" 2 ;;
	esac
}
