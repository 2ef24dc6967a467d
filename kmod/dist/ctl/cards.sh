# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# The network cards: which would send, why the others would not, and what to write to change it.

NET=/sys/class/net
# The last line of a list that is cut is no card's: no name has a blank.
NO_MORE='/^and [0-9]* more$/d'

# "NAME:" for each card that is armed, "NAME: WHY" for each other that the module knows of.
cards() {
	sed "$NO_MORE; s/\$/:/" "$MODULE/state/armed" 2>/dev/null
	sed "$NO_MORE" "$MODULE/state/unarmed" 2>/dev/null
}

# How many cards one of these lists has no room for; 0 where it has all.
left_out() { # armed|unarmed
	count=$(sed -n 's/^and \([0-9]*\) more$/\1/p' "$MODULE/state/$1" 2>/dev/null)
	echo "${count:-0}"
}

# Why an armed card says nothing while the machine is well, as that of a bond that stands by; empty if it speaks.
silent() { # CARD
	sed -n "s/^$1: //p" "$MODULE/state/silent" 2>/dev/null
}

any_armed() {
	# sysfs gives a size to empty files too
	[ -n "$(cat "$MODULE/state/armed" 2>/dev/null)" ]
}

driver() { # CARD
	link=$(readlink "$NET/$1/device/driver") || return 0
	echo "${link##*/}"
}

card_title() { # CARD
	name=$(driver "$1")
	echo "$1${name:+ ($name)}"
}

# The list that has this card beside those that would be sent on without it.
naming() { # CARD
	list=$(parameter iface)
	[ -n "$list" ] || list=$(sed "$NO_MORE" "$MODULE/state/armed" | tr '\n' ',')
	list=${list%,}
	echo "options panicast iface=${list:+$list,}$1 in $SETTINGS, then: sudo panicast-ctl reload"
}

# By the words that the module gives (kmod/state.c).
card_advice() { # CARD WHY
	case $2 in
	*'no link'*) echo "plug in a cable, or leave the card out by iface= in $SETTINGS" ;;
	*down*) echo "sudo ip link set $1 up" ;;
	*'for its key'*) echo "sudo panicast-ctl key load" ;;
	*'virtual machine'*) echo "name the cards that lead to the network in iface=, in $SETTINGS" ;;
	*'whose ports'*) echo "name ports of the switch in iface=, in $SETTINGS" ;;
	*'below it'*) echo "name the network cards that it sends by in iface=, in $SETTINGS" ;;
	*netpoll*) echo "nothing: its driver ($(driver "$1")) or its master does not support it; send on another card" ;;
	*MTU*) echo "sudo ip link set $1 mtu 1500" ;;
	*memory*) echo "when memory is free again: sudo panicast-ctl reload" ;;
	*public*) echo "seal records: panicast-ctl key; or, if its segment may read this kernel's log: $(naming "$1")" ;;
	*namespace*) echo "move it back: only the cards of the initial network namespace are armed" ;;
	*) naming "$1" ;;
	esac
}
