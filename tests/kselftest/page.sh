# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034,SC2154,SC2317 # names of lib.sh and of failover.sh
#
# The commands of Documentation/migrating.rst, as an administrator enters them on a director.
# Scripts read this file after failover.sh.

page=/usr/share/doc/ipvs_rs/migrating.rst

# block SECTION NUMBER: prints this block of commands of a section. It follows a line that ends with
# two colons, and is indented further than that line.
block() {
	awk -v section="$1" -v wanted="$2" '
		function indentation(line) {
			sub(/^[0-9]\. /, "   ", line)
			match(line, /^ */)
			return RLENGTH
		}
		/^==+$/ { inside = last == section }
		{ last = $0 }
		/^$/ { next }
		code && indentation($0) > outer { if (inside && number == wanted) print; next }
		{ code = 0 }
		/::$/ { code = 1; outer = indentation($0); number += inside }' "$page"
}

# administrator SECTION NUMBER: enters the commands of a block. Prints what they print.
administrator() {
	local commands
	commands=$(block "$@")
	[ -n "$commands" ] || bail "$page has no block $2 in the section '$1'"
	on "$DIRECTOR" bash -ec "$(declare -f apt-get systemctl keepalived_up keepalived_down wait_for pause)
		$(declare -p work role DIRECTOR examples drop_in_force TIME_SCALE)
		$commands"
}

# The modules and lvsadm are on the machine already. The packages also bring these aliases.
apt-get() { install -D -m 644 /usr/share/ipvs_rs/ipvs_rs.conf "$drop_in_force"; }
# The first process of a guest is not systemd.
systemctl() {
	case $* in
	'stop keepalived') keepalived_down ;;
	'start keepalived') keepalived_up keepalived-mode1 ;;
	*) return 1 ;;
	esac
}

directors() { awk '$1 == "ip_vs" || $1 == "ipvs_rs" { print $1 }' /proc/modules | xargs; }
