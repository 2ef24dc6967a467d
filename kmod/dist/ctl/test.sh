# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# Sends a test, and says which receivers have it.

# As long as the module waits (kmod/ask.c).
ANSWER_SECONDS=3

# Destinations that are the address of one machine, which is expected to answer: no broadcasts of a
# segment.
unicast() {
	destinations | awk '$2 != "everywhere" && !/ mac ff:ff:ff:ff:ff:ff / { print $1 }'
}

# Who answered the last test, a line each, as kmod/state.c says.
answers() {
	read_or "$MODULE/state/heard" '' | grep -v -e '^refused: ' -e '^deaf: ' -e '^$'
}

# What else there is to say of the answers: refused, deaf.
about_answers() { # WORD
	read_or "$MODULE/state/heard" '' | sed -n "s/^$1: //p"
}

# Sends a test by this file of the module's state: test, or ask, which waits.
send() { # FILE TEXT
	printf '%s' "$2" 2>/dev/null >"$MODULE/state/$1"
}

command_test() {
	by="test"
	[ -z "$(unicast)" ] || by=ask
	case ${1:-} in
	--wait) by=ask ;;
	--no-wait) by="test" ;;
	-*) die "test knows no '$1', but --wait and --no-wait" 2 ;;
	esac
	case ${1:-} in
	--*) shift ;;
	esac
	[ $# -le 1 ] || die "test takes one text; put it in quotes" 2
	need_module
	need_root test
	text=${1:-test by panicast-ctl}
	send "$by" "$text" ||
		die "no test was sent: no interface is armed and has a link; see panicast-ctl status"
	echo "A record of type test was sent on $(tr '\n' ' ' <"$MODULE/state/armed")"
	if [ "$by" = test ]; then
		echo "On the log host: panicast-receiver list"
	else
		say_answers
	fi
}

# Fails if somebody did not answer who is expected to.
say_answers() {
	answers | while read -r from _ ms _ _ _ frames _ restored seal name; do
		lost=
		[ "$restored" = 0 ] || lost=", of which $restored were lost and restored"
		[ "$seal" = plain ] || lost="$lost; its answer was sealed"
		echo "$name ($from) has it: it answered after $ms ms. $frames frames$lost"
	done
	refused=$(about_answers refused)
	[ -z "$refused" ] ||
		echo "$refused datagrams were no answer to this test, or not sealed with this machine's key"
	deaf=$(about_answers deaf)
	[ -z "$deaf" ] || echo "No answer could be heard: $deaf"
	silent=0
	for to in $(unicast); do
		answers | grep -q "^$to " || no_answer "$to"
	done
	[ -n "$(answers)$(unicast)" ] ||
		echo "Nobody answered within $ANSWER_SECONDS s. Broadcasts are answered by receivers with confirm = \"always\""
	return "$silent"
}

no_answer() { # ADDRESS
	silent=1
	why=$(destinations | sed -n "s/^$1 .*unresolved: //p")
	small=$(destinations | sed -n "s/^$1 .* mtu //p")
	[ -z "$small" ] ||
		echo "A router on the way to $1 takes no packets larger than $small bytes, which is known now. Test once more."
	cat <<-TEXT
		No answer from $1 within $ANSWER_SECONDS s.${why:+ Its records go to $(parameter dest_mac): $why}
		  On it: panicast-receiver list --all
		  If the test is there, only the answer was lost: let UDP from its port $(parameter port) in to this
		  machine's port $(parameter source_port), and see confirm in its /etc/panicast/receiver.toml.
		  If it is not: panicast-receiver doctor there, panicast-ctl doctor here, and let UDP to port
		  $(parameter port) pass on the way.
	TEXT
}
