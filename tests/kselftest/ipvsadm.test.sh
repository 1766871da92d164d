#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Debian's ipvsadm with every option. The same operations run with the C director and with ours, and
# print exactly the same output. The end of the script lists the intended differences. Rules and
# listings pass between ipvsadm and lvsadm in both directions.
# timeout: 240
# check: debug, because answers of both directors do not depend on the kernel

# Functions are called by name.
# shellcheck disable=SC2317
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

vip=10.1.0.100
vip6=$(six $vip)

# adm ARGUMENT…: prints the command, its output, and its status.
adm() {
	printf '$ ipvsadm %s\n' "$*"
	ipvsadm "$@" 2>&1
	printf '= %d\n' $?
}

# --- operations of both directors -----------------------------------------------------------------

services() {
	adm -C
	adm -A -t 10.1.0.1:80 -s rr
	adm -A -t 10.1.0.1:80 -s rr
	adm --add-service --tcp-service 10.1.0.1:81 --scheduler wrr
	adm --add-service --udp-service 10.1.0.1:53
	adm -A -u 10.1.0.1:54 -s rr -o
	adm -A -u 10.1.0.1:55 --ops
	adm -A -t 10.1.0.1:82 -s rr --ops
	adm -A -t 10.1.0.1:443 -p
	adm -A -t 10.1.0.1:444 --persistent 60 --netmask 255.255.255.0
	adm -A -t 10.1.0.1:445 -s wlc -p 86400 -M 255.255.0.0
	adm -A -t 10.1.0.1:446 -p 0
	adm -A -t 10.1.0.2:0 -s rr -p 100
	adm --add-service --fwmark-service 7 -s rr
	adm -A -f 8 -s wlc -p 30 -M 255.255.255.0
	adm -A -f 9 --ipv6 -s lc
	adm -A -f 9 -s lc
	adm -A -f 10 -6 -p 30 -M 64
	adm -A -f 0 -s rr
	adm -A -t '[fd00::1]:80' -s rr
	adm -A -t '[fd00::1]:81' -s rr -p 30 -M 64
	adm -A -t '[fd00::1]:82' -s rr -p 30 -M 129
	adm -A -u '[fd00::1]:53' -s sed
	adm -A --sctp-service 10.1.0.1:5060 -s rr -p 60
	adm --add-service --sctp-service '[fd00::1]:5060' --scheduler sh
	adm -A --sctp-service 10.1.0.1:5061 -s rr -o
	adm -A -u 10.1.0.1:5060 -s rr -p 60 -M 255.255.0.0 -o --pe sip
	adm -A -u 10.1.0.1:5061 -s rr -p 60 --pe nobody
	adm -A -u 10.1.0.1:5062 -s rr --pe sip
	adm -A -t 10.1.0.1:5060 -s rr -p 60 --pe sip
	adm -E -t 10.1.0.1:5060 -s rr -p 60
	adm -A -t 10.1.0.1:90 -s nobody
	adm -A -t 10.1.0.1:65536 -s rr
	adm -A -t nowhere.invalid:80 -s rr
	adm -A -t 10.1.0.1:domain -s rr
	adm -E -t 10.1.0.1:80 -s wlc
	adm --edit-service -t 10.1.0.1:81 -s wrr -p 70
	adm -E -t 10.1.0.1:444
	adm -E -t 10.1.0.1:99 -s rr
	adm -E -t 10.1.0.1:81 -s nobody
	adm -D -t 10.1.0.1:445
	adm --delete-service -u 10.1.0.1:55
	adm -D -t 10.1.0.1:445
	adm -D -f 8
	adm -D -f 9
	adm -S -n
	adm -L -n
}

schedulers() {
	local scheduler
	adm -C
	for scheduler in rr wrr lc wlc lblc lblcr dh sh sed nq fo ovf mh twos; do
		modinfo "ip_vs_$scheduler" >/dev/null 2>&1 || continue
		adm -A -t 10.1.0.1:80 -s "$scheduler"
		adm -L -n
		adm -D -t 10.1.0.1:80
	done
	adm -A -t 10.1.0.1:80 -s sh -b sh-fallback
	adm -A -t 10.1.0.1:81 -s sh -b sh-fallback,sh-port
	adm -A -t 10.1.0.1:82 -s mh --sched-flags mh-port
	adm -A -t 10.1.0.1:83 -s mh -b mh-fallback,mh-port -p 60
	adm -A -t 10.1.0.1:84 -s rr -b flag-1,flag-2,flag-3
	adm -A -t 10.1.0.1:85 -s sh -b flag-4
	adm -E -t 10.1.0.1:81 -s sh -b sh-port
	adm -E -t 10.1.0.1:82 -s sh
	adm -S -n
	adm -L -n
}

destinations() {
	adm -C
	adm -A -t 10.1.0.1:80 -s rr
	adm -A -u 10.1.0.1:53 -s rr
	adm -A -f 7 -s rr
	adm -A -f 8 -6 -s rr
	adm -A -t '[fd00::1]:80' -s rr
	adm -a -t 10.1.0.1:80 -r 10.2.0.1
	adm --add-server -t 10.1.0.1:80 --real-server 10.2.0.2:8080 --masquerading --weight 3
	adm -a -t 10.1.0.1:80 -r 10.2.0.3 -g -w 0
	adm -a -t 10.1.0.1:80 -r 10.2.0.4 --gatewaying --weight 65535
	adm -a -t 10.1.0.1:80 -r 10.2.0.5 -i -w 2147483647
	adm -a -t 10.1.0.1:80 -r 10.2.0.6 --ipip -w 2147483648
	adm -a -t 10.1.0.1:80 -r 10.2.0.6 --ipip -w -1
	adm -a -t 10.1.0.1:80 -r 10.2.0.7 -m -x 100
	adm -a -t 10.1.0.1:80 -r 10.2.0.8 -m --u-threshold 100 --l-threshold 50
	adm -a -t 10.1.0.1:80 -r 10.2.0.9 -m -x 65535 -y 65535
	adm -a -t 10.1.0.1:80 -r 10.2.0.10 -m -x 10 -y 11
	adm -a -t 10.1.0.1:80 -r 10.2.0.1
	adm -a -t 10.1.0.1:99 -r 10.2.0.1
	adm -a -t 10.1.0.1:80 -r 10.2.0.11 -m -g
	adm -a -t 10.1.0.1:80 -r 224.0.0.1
	adm -a -t 10.1.0.1:80 -r fd00::2
	adm -a -u 10.1.0.1:53 -r 10.2.0.1:5353 -m
	adm -a -u 10.1.0.1:53 -r 127.0.0.1:53 -m
	adm -a -f 7 -r 10.2.0.1 -m
	adm -a -f 7 -r 10.2.0.2:80 -m
	adm -a -f 8 -6 -r '[fd00::2]:80' -m
	adm -a -f 8 -6 -r fd00::3 -g -w 2
	adm -a -t '[fd00::1]:80' -r '[fd00::2]:8080' -m -w 7 -x 9 -y 3
	adm -a -t '[fd00::1]:80' -r '[fd00::3]' -i
	adm -a -t '[fd00::1]:80' -r 10.2.0.1 -i
	adm -a -t '[fd00::1]:80' -r 10.2.0.1 -m
	adm -e -t 10.1.0.1:80 -r 10.2.0.1 -m -w 5
	adm --edit-server -t 10.1.0.1:80 -r 10.2.0.2:8080 -g -w 6 -x 7 -y 2
	adm -e -t 10.1.0.1:80 -r 10.2.0.77
	adm -d -t 10.1.0.1:80 -r 10.2.0.7
	adm --delete-server -t 10.1.0.1:80 -r 10.2.0.8:80
	adm -d -t 10.1.0.1:80 -r 10.2.0.77
	adm -d -t 10.1.0.1:99 -r 10.2.0.1
	adm -S -n
	adm -L -n
	adm -L -n --thresholds
	adm -C
	adm -L -n
}

tunnels() {
	adm -C
	adm -A -t 10.1.0.1:80 -s rr
	adm -a -t 10.1.0.1:80 -r 10.2.0.1 -i --tun-type ipip
	adm -a -t 10.1.0.1:80 -r 10.2.0.2 -i --tun-type gue --tun-port 6080
	adm -a -t 10.1.0.1:80 -r 10.2.0.3 -i --tun-type gue --tun-port 6080 --tun-nocsum
	adm -a -t 10.1.0.1:80 -r 10.2.0.4 -i --tun-type gue --tun-port 6080 --tun-csum
	adm -a -t 10.1.0.1:80 -r 10.2.0.5 -i --tun-type gue --tun-port 6080 --tun-remcsum
	adm -a -t 10.1.0.1:80 -r 10.2.0.6 -i --tun-type gre
	adm -a -t 10.1.0.1:80 -r 10.2.0.7 -i --tun-type gre --tun-csum
	adm -a -t 10.1.0.1:80 -r 10.2.0.8 -i --tun-type gue
	adm -a -t 10.1.0.1:80 -r 10.2.0.8 -i --tun-type gre --tun-remcsum
	adm -a -t 10.1.0.1:80 -r 10.2.0.8 -i --tun-type vxlan
	adm -a -t 10.1.0.1:80 -r 10.2.0.8 -m --tun-type gre
	adm -e -t 10.1.0.1:80 -r 10.2.0.1 -i --tun-type gue --tun-port 6081 --tun-csum
	adm -e -t 10.1.0.1:80 -r 10.2.0.7 -m
	adm -L -n --tun-info
	adm -S -n
}

restoring() {
	adm -R <<-'END'
		-C
		-A -t 10.1.0.1:80 -s wrr
		ipvsadm -a -t 10.1.0.1:80 -r 10.2.0.1:80 -m -w 2
		-a -t 10.1.0.1:80 -r 10.2.0.2:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum
		-A -u 10.1.0.1:53 -s rr -o
		-A -f 7 -p 60 -M 255.255.255.0
		-a -f 7 -r 10.2.0.1 -g
		-A -t [fd00::1]:443 -s sh -b sh-port
		-a -t [fd00::1]:443 -r [fd00::2]:443 -m
	END
	adm --save -n
	adm --save --numeric
	adm -S
	adm -L
	adm --restore <<-'END'
		-A -t 10.1.0.1:81 -s rr
		-A -t 10.1.0.1:81 -s rr
		-A -t 10.1.0.1:82 -s rr
	END
	adm -S -n
	adm --clear
	adm -S -n
}

listings() {
	adm -R <<-'END'
		-A -t 10.1.0.1:80 -s wrr
		-a -t 10.1.0.1:80 -r 10.2.0.2:80 -m -w 2 -x 20 -y 10
		-a -t 10.1.0.1:80 -r 10.2.0.1:80 -g
		-A -u 10.1.0.1:53 -s rr
		-a -u 10.1.0.1:53 -r 10.2.0.1:53 -m
		-A -f 7 -s lc
		-A -t [fd00::1]:80 -s rr
		-a -t [fd00::1]:80 -r [fd00:1234:5678:9abc:def0:1234:5678:9abc]:80 -m
	END
	adm
	adm -l -n
	adm --list --numeric
	adm -L
	adm -L -n -t 10.1.0.1:80
	adm -L -n -u 10.1.0.1:53 --stats
	adm -L -n -f 7 --rate
	adm -L -n -t '[fd00::1]:80' --stats --exact
	adm -L -n -t 10.1.0.1:99
	adm -L -n --stats
	adm -L -n --rate
	adm -L -n --stats --exact
	adm -L -n --rate --exact
	adm -L -n --thresholds
	adm -L -n --persistent-conn
	adm -L -n --tun-info
	adm -L -n --sort
	# Without the sorting, services appear in the order of a hash.
	adm -L -n --nosort -f 7
	adm -L -n -c
	adm -L -n --connection --persistent-conn
	adm -L --daemon
	adm -L -n -w 3
	adm -L -n --stats --rate
	adm -L --timeout
	adm --set 901 121 301
	adm -L --timeout
	adm --set 0 122 0
	adm -L --timeout
	adm --set 900 120 300
	adm --set 1 2
	adm --set -1 0 0
	adm -L --timeout
	adm -h
	adm --help
	adm --nonsense
	adm -A
	adm -C
}

# Connections and datagrams of all kinds.
traffic_up() {
	lvs -R <<-END
		-A -t $vip:80 -s rr
		-a -t $vip:80 -r 10.2.0.11:80 -m
		-a -t $vip:80 -r 10.3.0.12:80 -i
		-a -t $vip:80 -r 10.1.0.13:80 -g
		-A -u $vip:80 -s rr
		-a -u $vip:80 -r 10.2.0.11:80 -m
		-a -u $vip:80 -r 10.2.0.12:80 -m
		-A -t [$vip6]:80 -s rr
		-a -t [$vip6]:80 -r [fd00:0:0:2::11]:80 -m
		-A -u [$vip6]:80 -s rr
		-a -u [$vip6]:80 -r [fd00:0:0:2::11]:80 -m
		-A -t 10.1.0.101:80 -s rr -p 600 -M 255.255.255.0
		-a -t 10.1.0.101:80 -r 10.2.0.12:80 -m
		-A -f 1 -s rr
		-a -f 1 -r 10.2.0.13:0 -m
		-A -f 1 -6 -s rr
		-a -f 1 -6 -r [fd00:0:0:2::13]:0 -m
	END
	shares "$(client hold kept tcp $vip 80 6)"
	shares "$(client hold kept tcp "$vip6" 80 2)"
	shares "$(client hold kept tcp 10.1.0.101 80 2)"
	shares "$(client hold kept tcp 10.4.0.1 80 2)"
	shares "$(client hold kept tcp fd00:0:0:4::1 80 2)"
	shares "$(client get udp $vip 80 6)"
	shares "$(client get udp "$vip6" 80 3)"
}
shares() { tr ' ' '\n' <<<"$1" | sort | uniq -c | xargs; }

# UDP packets and octets equal what the client sends. TCP counts vary with the acknowledgments.
figures() {
	adm -L -n
	adm -L -n --persistent-conn
	adm -L -n --stats --exact -u "$vip:80"
	adm -L -n --stats -u "[$vip6]:80"
	adm -L -n --stats --exact | awk '$1 ~ /^(TCP|FWM|->)$/ { print $1, $2, $3 }'
	adm -L -n -c | settled
	adm -L -n -c --persistent-conn | settled
	adm -Z -u "$vip:80"
	adm -L -n --stats --exact -u "$vip:80"
	adm -L -n --stats --exact -u "[$vip6]:80"
	adm --zero
	adm -Z -t 10.1.0.1:99
	adm -L -n --stats --exact
	adm -D -t "$vip:80"
	adm -L -n -t "[$vip6]:80"
}
counted() { [ "$(LVSADM=ipvsadm statistics -u "[$vip6]:80")" = '3 3 3 153 267' ]; }
# The listed connections, sorted, without times and client ports. Of UDP templates the C director
# shows ASSURED later than ours.
settled() {
	sed -E 's/ [0-9]+:[0-9]+ / TIME /; s/(10\.0\.0\.1|fd00::1\]):[0-9]+/\1:PORT/; s/ (ASSURED|NONE) +/ TEMPLATE /' | sort
}

# --- synchronization daemons ----------------------------------------------------------------------

daemons() {
	adm -L --daemon
	adm --start-daemon master --mcast-interface eth0 --syncid 3 --sync-maxlen 1400 --mcast-group 224.0.0.82 \
		--mcast-port 8849 --mcast-ttl 2
	adm --start-daemon master --mcast-interface eth1
	adm --start-daemon backup --mcast-interface eth1
	adm -L --daemon
	adm --start-daemon backup --mcast-interface nowhere
	adm -A -t 10.1.0.1:90 -s rr
	adm -a -t 10.1.0.1:90 -r "[fd00:0:0:3::11]:90" -i
	adm --stop-daemon master
	adm -L --daemon
	adm --stop-daemon master
	adm --stop-daemon backup
	adm --stop-daemon backup
	adm -a -t 10.1.0.1:90 -r "[fd00:0:0:3::11]:90" -i
	adm --start-daemon backup --mcast-interface eth0
	adm -D -t 10.1.0.1:90
	adm --start-daemon master --mcast-interface eth0 --mcast-group ff02::81 --sync-maxlen 65535 --syncid 255
	adm --start-daemon backup --mcast-interface eth0 --sync-maxlen 1 --mcast-port 65535
	adm -L --daemon
	adm --stop-daemon master
	adm --stop-daemon backup
	adm --start-daemon master --mcast-interface eth0 --mcast-group 10.0.0.1
	adm --start-daemon master --mcast-interface eth0 --syncid 256
	adm --start-daemon neither --mcast-interface eth0
	adm -L --daemon
}

# --- the comparison -------------------------------------------------------------------------------

sections=(services schedulers destinations tunnels restoring listings daemons)
export vip vip6
export -f adm settled figures "${sections[@]}"
unload_all ip_vs
unload_all ipvs_rs
topology_up
client_up client
servers_up A B C
must on director nft 'table inet marks { chain early { type filter hook prerouting priority mangle;
	ip daddr 10.4.0.1 meta mark set 1; ip6 daddr fd00:0:0:4::1 meta mark set 1; }; }'

# transcript WHOSE SECTION
transcript() {
	# The directors have different numbers of buckets.
	on director bash -c "$2" 2>&1 | sed 's/(size=[0-9]*)/(size=N)/' >"$work/$1.$2"
}
transcripts() {
	local section
	for section in "${sections[@]}"; do transcript "$1" "$section"; done
	LVSADM=ipvsadm traffic_up >"$work/$1.traffic"
	# A thread of the C director updates the counts every two seconds.
	wait_for 20 counted
	transcript "$1" figures
	client close kept >/dev/null
	on director ipvsadm -C
}
must modprobe ip_vs
transcripts theirs
check_eq 'the C director is loaded for the comparison' "$(lsmod | grep -c '^ip_vs ') $(lsmod | grep -c '^ipvs_rs')" '1 0'
unload_all ip_vs

drop_in
on director ipvsadm -L -n >/dev/null
check 'ipvsadm loads ipvs_rs by itself' loaded ipvs_rs
transcripts ours
check_eq 'only our director is loaded' "$(lsmod | grep -c '^ip_vs')" 0
for section in "${sections[@]}" traffic figures; do
	check "both directors print the same: $section" diff -u "$work/theirs.$section" "$work/ours.$section"
done
# The number of operations that succeeded and that were refused.
check_match 'many operations succeeded, and some were refused' \
	"$(cat "$work"/ours.* | grep -c '^= 0$'), $(cat "$work"/ours.* | grep -c '^= [1-9]')" '1[0-9][0-9], [3-9][0-9]'
check_eq 'ipvsadm --save prints the expected rules' "$(sed -n '/ipvsadm --save -n/,/^=/p' "$work/ours.restoring")" '$ ipvsadm --save -n
-A -t 10.1.0.1:80 -s wrr
-a -t 10.1.0.1:80 -r 10.2.0.1:80 -m -w 2
-a -t 10.1.0.1:80 -r 10.2.0.2:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum
-A -u 10.1.0.1:53 -s rr -o
-A -t [fd00::1]:443 -s sh -b sh-port
-a -t [fd00::1]:443 -r [fd00::2]:443 -m -w 1
-A -f 7 -s wlc -p 60 -M 255.255.255.0
-a -f 7 -r 10.2.0.1:0 -g -w 1
= 0'

# All options, short and long.
options() { grep -oE '(^|[ |])-[a-zA-Z0-9]\>|--[a-z0-9-]+' | tr -d ' |' | sort -u; }
ipvsadm --help | options >"$work/options"
cat "$work"/ours.* | sed -n 's/^\$ ipvsadm//p' | options >"$work/used"
check_match 'the help text of ipvsadm lists the expected number of options' "$(wc -l <"$work/options")" '[6-9][0-9]'
check_eq 'the comparison uses every option' "$(comm -23 "$work/options" "$work/used" | xargs)" ''

# --- ipvsadm and lvsadm ---------------------------------------------------------------------------

traffic_up >/dev/null
# The numbers are constant, except the remaining times and, for a while, the rates.
timeless() { on director "$@" 2>&1 | sed -E 's/ [0-9]+:[0-9]+ / TIME /'; }
listed() {
	local try
	for try in 1 2 3 4 5; do
		timeless ipvsadm "$@" >"$work/before"
		timeless lvsadm "$@" >"$work/listed"
		timeless ipvsadm "$@" >"$work/after"
		! cmp -s "$work/before" "$work/after" || break
		sleep 0.2
	done
	# An empty listing would compare nothing.
	[ "$(wc -l <"$work/listed")" -gt "$((try < 5 ? 0 : 99))" ] && diff -u "$work/after" "$work/listed"
}
for options in -L '-L -n' '-L -n --stats' '-L -n --stats --exact' '-L --stats' '-L -n --rate' '-L -n --rate --exact' \
	'-L -n --thresholds' '-L -n --persistent-conn' '-L -n --tun-info' '-L -n --nosort' '-L -n --sort' '-L --timeout' \
	'-L -c' '-L -n -c' '-L -n -c --persistent-conn' "-L -n -t $vip:80" "-L -n -t [$vip6]:80 --stats" \
	'-L -n -f 1' '-L -n -f 1 -6'; do
	# shellcheck disable=SC2086
	check "ipvsadm and lvsadm list the same: $options" listed $options
done
client close kept >/dev/null

# rules PROGRAM OPTION…: prints the saved rules, sorted.
rules() { on director "$@" | sort; }
ours() { rules lvsadm -S -n; }
before=$(ours)
for options in '-S -n' -S; do
	# shellcheck disable=SC2086
	on director ipvsadm $options >"$work/ipvsadm.rules"
	# shellcheck disable=SC2086
	on director lvsadm $options >"$work/lvsadm.rules"
	check "ipvsadm and lvsadm save the same rules: $options" diff -u "$work/ipvsadm.rules" "$work/lvsadm.rules"
	must on director lvsadm -C
	check "lvsadm restores what ipvsadm saves: $options" on director lvsadm -R <"$work/ipvsadm.rules"
	check_eq "lvsadm restores every rule of ipvsadm: $options" "$(ours)" "$before"
	must on director ipvsadm -C
	check "ipvsadm restores what lvsadm saves: $options" on director ipvsadm -R <"$work/lvsadm.rules"
	check_eq "ipvsadm restores every rule of lvsadm: $options" "$(ours)" "$before"
done
on director ipvsadm-save -n >"$work/saved"
must on director ipvsadm -A -t 10.1.0.1:99
check 'ipvsadm-restore succeeds' on director ipvsadm-restore <"$work/saved"
check_eq 'ipvsadm-restore restores exactly what ipvsadm-save saved' "$(ours)" "$before"
# The command that Debian's service runs.
cp "$work/saved" /etc/ipvsadm.rules
must on director ipvsadm -C
check 'the command of the Debian service succeeds' on director env AUTO=true /usr/libexec/ipvsadm/ipvsadm-load
check_eq 'the command of the Debian service loads every rule' "$(ours)" "$before"
rm /etc/ipvsadm.rules
must on director ipvsadm -C

finish
