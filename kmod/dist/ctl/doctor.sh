# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# Looks for all that would keep last words from leaving.

examine_module() {
	if [ -d "$MODULE" ]; then
		loaded=$(cat "$MODULE/version")
		installed=$(modinfo -F version panicast 2>/dev/null)
		if [ -n "$installed" ] && [ "$loaded" != "$installed" ]; then
			problem other-version "version $loaded is loaded, $installed is installed" "sudo panicast-ctl reload"
		fi
		return
	fi
	if modinfo panicast >/dev/null 2>&1; then
		if modprobe -n -v panicast 2>/dev/null | grep -qE '^install .*(/bin/)?(true|false)'; then
			problem not-loaded "a modprobe.d file keeps the module from loading" \
				"remove the line: grep -rn 'install panicast' /etc/modprobe.d"
		elif [ "$(secure_boot)" != off ] && ! trusted "$(modinfo -F signer panicast)"; then
			signer=$(modinfo -F signer panicast)
			if [ -n "$signer" ]; then
				signed="signed with a key that this kernel does not trust ($signer)"
			else
				signed="not signed"
			fi
			problem not-signed "the module is $signed, and this kernel loads only signed modules (Secure Boot: $(secure_boot))" \
				"$(signing_fix "$signer")"
		else
			why=$(refusal)
			problem not-loaded "the module is installed, but not loaded${why:+; the kernel log has: $why}" \
				"sudo panicast-ctl reload; if it is refused: sudo dmesg | tail"
		fi
	elif ! built_here; then
		problem not-built "no module for kernel $RELEASE: its package is not installed" \
			"sudo $(module_package "$RELEASE") && sudo panicast-ctl reload"
	elif [ ! -e "/lib/modules/$RELEASE/build/Makefile" ]; then
		problem not-built "no module for kernel $RELEASE: its headers are not installed" \
			"sudo $(headers_package "$RELEASE") && sudo panicast-ctl reload"
	else
		problem not-built "no module for kernel $RELEASE, though its headers are installed" \
			"sudo dkms autoinstall && sudo panicast-ctl reload; if it fails: /var/lib/dkms/panicast/*/build/make.log"
	fi
}

examine_cards() {
	[ -d "$MODULE" ] || return
	# not in a pipe: what is found is to be counted
	list=$(cards)
	while IFS=: read -r name why; do
		if [ -z "$name" ]; then
			continue
		elif [ -z "$why" ]; then
			note "$(card_title "$name") is armed"
		elif any_armed; then
			note "$(card_title "$name") is not armed:$why" "to arm it: $(card_advice "$name" "$why")"
		else
			problem not-armed "$(card_title "$name") is not armed:$why" "$(card_advice "$name" "$why")"
		fi
	done <<-LIST
		$list
	LIST
	[ -n "$list" ] || problem not-armed "no interface is both wanted and present" \
		"name one: iface= in $SETTINGS (it is '$(parameter iface)'), then sudo panicast-ctl reload"
}

# Every kernel module loader ignores a name that it does not know.
examine_settings() {
	known=$(known_settings)
	[ -n "$known" ] || return
	disk=$(settings_on_disk)
	while IFS= read -r setting; do
		name=${setting%%=*}
		[ -z "$name" ] || printf '%s\n' "$known" | grep -q "^$name " || unknown_setting "$name"
	done <<-LIST
		$disk
	LIST
	[ -d "$MODULE" ] || return
	while read -r name default; do
		case $name in
		# handed over by themselves
		key | key_id) continue ;;
		esac
		[ -r "$MODULE/parameters/$name" ] || continue
		now=$(parameter "$name")
		# the last one counts
		wanted=$(printf '%s\n' "$disk" | sed -n "s/^$name\(=\|$\)/=/p" | tail -n 1)
		if [ -z "$wanted" ]; then
			same_value "$name" "$now" "$default" ||
				note "$name is '$now' until the next boot; no file in modprobe.d says so (then it is '$default')"
		elif ! same_value "$name" "$now" "${wanted#=}"; then
			problem "differs-$name" "$name is '${wanted#=}' on disk, but '$now' in force" \
				"sudo panicast-ctl reload, or fix it: grep -rn panicast /etc/modprobe.d"
		fi
	done <<-LIST
		$known
	LIST
}

unknown_setting() { # NAME
	meant=$(printf '%s\n' "$known" | nearest "$1")
	problem "unknown-$1" "modprobe.d sets '$1', which the module does not know and the kernel ignores" \
		"grep -rn '$1' /etc/modprobe.d${meant:+; it may mean $meant}"
}

# What is not resolved goes to dest_mac, and a router takes no packet that came to it as a broadcast.
examine_destinations() {
	[ -d "$MODULE" ] || return 0
	while read -r to rest; do
		case $rest in
		*'unresolved: '*)
			problem "dest-$to" "$to is not resolved: ${rest#*unresolved: }; its records go to $(parameter dest_mac)" \
				"$(destination_advice "$to" "$rest")"
			;;
		esac
	done <<-LIST
		$(destinations)
	LIST
}

# By the words that the module gives (kmod/hop.c, kmod/nexthop.c).
destination_advice() { # ADDRESS REST
	name=${2#*dev }
	name=${name%% *}
	case $2 in
	*'no armed interface'*) naming "$name" ;;
	*'no IPv6'*) echo "sudo modprobe ipv6, or an IPv4 address: options panicast dest= in $SETTINGS" ;;
	*'does not answer'*) echo "ip neigh show dev $name; is the router, or $1, up?" ;;
	*'no route'*) echo "ip route get $1" ;;
	*) echo "another address: options panicast dest= in $SETTINGS, then: sudo panicast-ctl reload" ;;
	esac
}

examine_kdump() {
	if kdump_first; then
		problem kdump "kdump is armed and runs before panicast" \
			"echo Y | sudo tee /sys/module/kernel/parameters/crash_kexec_post_notifiers (lasting: crash_kexec_post_notifiers on the kernel's command line), or keep kdump alone, on purpose: echo kdump | sudo tee -a $ACCEPTED"
	elif kdump_armed; then
		note "kdump runs after panicast (crash_kexec_post_notifiers). It stops the other CPUs first, wherever they are." \
			"One that holds a driver's own lock can cost the record and the dump: docs/crashes.md"
	fi
}

doctor() {
	case "$*" in
	'') ;;
	--next)
		doctor_next
		return
		;;
	*) die "doctor takes --next or no argument" 2 ;;
	esac
	examine_module
	examine_cards
	examine_settings
	examine_destinations
	examine_kdump
	examine_key
	examine_kept
	examine_initramfs
	examine_kernels
	echo
	list_outcomes
	echo
	none_found || return 1
	if kdump_first; then
		echo "Nothing to fix except what $ACCEPTED names. While kdump is armed, it handles the crash, and panicast sends nothing."
	else
		echo "Last words would leave. To prove it: sudo panicast-ctl test"
	fi
}
