#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs the same operations through ipvsadm and lvsadm with any director module, and compares
# outcomes and listings. Both commands must refuse what the module does not offer. Needs root,
# ipvsadm, lvsadm, iproute2, python3. Output: TAP.
# timeout: 150
# check: debug, because texts do not depend on the kernel

set -u
export LC_ALL=C

if [ -z "${LVSADM_COMPARE_NETNS-}" ]; then
	modprobe "${IPVS_MODULE:-ipvs_rs}" || exit 1
	LVSADM_COMPARE_NETNS=1 exec unshare --net -- bash "$0" "$@"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

result() { # status description [file with details]
	if [ "$1" -eq 0 ]; then
		passed=$((passed + 1))
		echo "ok $((passed + failed)) - $2"
	else
		failed=$((failed + 1))
		echo "not ok $((passed + failed)) - $2"
		[ -z "${3-}" ] || sed 's/^/# /' "$3"
	fi
}

same() { # description expected actual
	diff -u "$2" "$3" >"$work/diff" 2>&1
	result $? "$1" "$work/diff"
}

# Operations, one a line. None depends on another that a module may lack.
cat >"$work/operations" <<'EOF'
-A -t 10.1.0.1:80 -s rr
-a -t 10.1.0.1:80 -r 10.0.0.2:8080 -m -w 3 -x 100 -y 50
-a -t 10.1.0.1:80 -r 10.0.0.1 -g
-a -t 10.1.0.1:80 -r 192.168.0.1 -i -w 5
-a -t 10.1.0.1:80 -r 10.0.0.3 -m
-e -t 10.1.0.1:80 -r 10.0.0.3 -m -w 65535
-a -t 10.1.0.1:80 -r 10.0.0.9 -m
-d -t 10.1.0.1:80 -r 10.0.0.9
-A -u 10.1.0.1:53
-a -u 10.1.0.1:53 -r 127.0.0.99:53 -m
-a -u 10.1.0.1:53 -r 10.0.0.7:domain -m -w 0
-A -t 192.168.77.1:443 -s wrr
-A -t 10.1.0.3:https -s lc
-E -t 10.1.0.3:https -s wlc
-A -t 10.1.0.4:81 -s rr
-D -t 10.1.0.4:81
-A -f 7 -s wlc
-a -f 7 -r 10.0.0.7:77 -m
-a -f 7 -r 10.0.0.8 -g -w 2
-A -t 10.1.0.2:0 -p -M 255.255.255.0
-a -t 10.1.0.2:0 -r 10.0.0.9
-A -t 10.1.0.5:82 -p 60
-A -u 10.1.0.6:54 -o
-A -f 9 -o
-a -t 10.1.0.1:80 -r 10.0.0.4 -i --tun-type gue --tun-port 6080 --tun-remcsum
-a -t 10.1.0.1:80 -r 10.0.0.5 -i --tun-type gre --tun-csum
-a -t 10.1.0.1:80 -r 10.0.0.6 -i --tun-type gue --tun-port 6081 --tun-nocsum
-A -t 192.168.77.1:444 -s sh -b sh-fallback,sh-port -p 60
-A -t 192.168.77.1:445 -s mh -b mh-port
-A -t 192.168.77.1:446 -s wrr -b flag-1,flag-3
-A --sctp-service 10.1.0.1:5060 -s lc
-A -u 10.1.0.2:5060 -p 120 --pe sip
-A -f 8 -6 -p 90 -M 64
-a -f 8 -6 -r [2001:db8::7]:77 -m
-A -t [2001:db8::1]:80 -s rr -p 33 -M 96
-A -t [2001:db8::2]:80 -s rr
-a -t [2001:db8::2]:80 -r [2001:db8::2]:8080 -m -w 0
-a -t [2001:db8::2]:80 -r [2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:80 -g
-a -t [2001:db8::2]:80 -r 10.9.9.9:80 -i
-a -t 10.1.0.1:80 -r 2001:db8::99 -i
--set 901 0 301
-Z -t 10.1.0.1:80
-A -t 10.1.0.1:80 -s rr
-A -t 10.1.0.1:99 -s nope
-E -t 10.1.0.1:99 -s rr
-D -t 10.1.0.1:99
-Z -t 10.1.0.1:99
-a -t 10.1.0.1:99 -r 10.0.0.1
-a -t 10.1.0.1:80 -r 10.0.0.1
-e -t 10.1.0.1:80 -r 10.0.0.77
-d -t 10.1.0.1:80 -r 10.0.0.77
-e -f 77 -r 10.0.0.77
-a -t 10.1.0.1:80 -r 10.0.0.31 -x 5 -y 10
-a -t 10.1.0.1:80 -r 224.0.0.31
-a -t 10.1.0.1:80 -r 10.0.0.35 -w 65536
-a -t 10.1.0.1:80 -r 10.0.0.36 -w 2147483647
-a -t 10.1.0.1:80 -r 10.0.0.37 -w 2147483648
-a -t 10.1.0.1:80 -r 10.0.0.38 -w 4294967296
-a -t 10.1.0.1:80 -r 10.0.0.32 -w -1
-a -t 10.1.0.1:80 -r 10.0.0.32 -x -1
-A -t 10.1.0.1:83 -o
-A -f 0
-A -t 10.1.0.1:65536
-A -t 10.1.0.1:84 -p 0
-A -t 10.1.0.1:84 -b flag-4
-A -t 10.1.0.1:84 -s rr -b sh-port
-A -t 10.1.0.1:84 -r 10.0.0.1
-A -t 10.1.0.1:84 -u 10.1.0.1:84
-a -t 10.1.0.1:80
-a -t 10.1.0.1:80 -r 10.0.0.33 -m -g
-a -t 10.1.0.1:80 -r 10.0.0.33 -m --tun-type gre
-a -t 10.1.0.1:80 -r 10.0.0.33 -i --tun-type gue
-a -t 10.1.0.1:80 -r 10.0.0.33 -i --tun-type vxlan
-a -t 10.1.0.1:80 -r [2001:db8::7]:80 -m
-C -n
-Z -n
-L -w 3
-L --timeout --stats
--set 1 2
--set -1 2 3
--set 99999999 2 3
-E -t 10.1.0.1:84 -A
EOF

operate() { # tool: carries all operations out, one line of outcome each
	"$1" -C
	ipvsadm --set 900 120 300
	while read -r -a words; do
		if "$1" "${words[@]}" >/dev/null 2>"$work/error"; then
			echo "done: ${words[*]}"
		else
			echo "refused: ${words[*]}"
			[ -s "$work/error" ] || echo "SILENTLY: ${words[*]}"
		fi
	done <"$work/operations"
}

ip link set lo up
for address in 10.1.0.1 10.1.0.2 127.0.0.99; do
	ip address add "$address/32" dev lo
done

lvsadm -L -n >"$work/first" 2>&1
result $? "the kernel has a director" "$work/first"

operate ipvsadm >"$work/ipvsadm.outcomes" 2>&1
ipvsadm -Sn >"$work/ipvsadm.rules"
ipvsadm -L -n --thresholds >"$work/ipvsadm.table"
ipvsadm -L --timeout >"$work/ipvsadm.timeouts"
operate lvsadm >"$work/lvsadm.outcomes" 2>&1
ipvsadm -Sn >"$work/lvsadm.rules"
ipvsadm -L -n --thresholds >"$work/lvsadm.table"
ipvsadm -L --timeout >"$work/lvsadm.timeouts"
sed 's/^/# /' "$work/lvsadm.outcomes"
same "ipvsadm and lvsadm perform and refuse the same operations" "$work/ipvsadm.outcomes" "$work/lvsadm.outcomes"
same "ipvsadm and lvsadm create the same rules" "$work/ipvsadm.rules" "$work/lvsadm.rules"
same "ipvsadm and lvsadm create the same table" "$work/ipvsadm.table" "$work/lvsadm.table"
same "ipvsadm and lvsadm set the same timeouts" "$work/ipvsadm.timeouts" "$work/lvsadm.timeouts"
grep -q -- '-r 10.0.0.2:8080 -m -w 3' "$work/lvsadm.rules"
result $? "the rules contain every operation" "$work/lvsadm.rules"

# Traffic, so that not all numbers are zero.
python3 - <<'EOF'
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.99", 53))
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(300):
    client.sendto(b"x" * 100, ("10.1.0.1", 53))
client = socket.socket()
client.settimeout(0.3)
try:
    client.connect(("10.1.0.1", 80))
except OSError:
    pass
EOF

compare_listing() { # arguments: both tools print the same while the figures stand still
	local try
	for try in 1 2 3 4 5 6 7 8; do
		ipvsadm "$@" >"$work/before" 2>&1
		lvsadm "$@" >"$work/ours" 2>&1
		ipvsadm "$@" >"$work/after" 2>&1
		cmp -s "$work/before" "$work/after" && break
		sleep 0.3
	done
	same "$* (try $try)" "$work/after" "$work/ours"
}

while read -r -a words; do
	compare_listing "${words[@]}"
done <<'EOF'
-L
-l
-L -n
-Ln
-ln
-L -n --stats
-L --stats
-L -n --rate
-L -n --stats --exact
-L -n --rate --exact
-L -n --thresholds
-L -n --persistent-conn
-L -n --tun-info
-L -n --nosort
-L --nosort --stats
-L -n --sort
-L --timeout
-L --daemon
-L -n -t 10.1.0.1:80
-L -n -u 10.1.0.1:53 --stats
-L -n -t 10.1.0.1:80 --thresholds --nosort
-L -n -f 7
-L -f 7
EOF
lvsadm -Ln >"$work/plain"
grep -q '10.1.0.1:80 rr' "$work/plain"
result $? "the compared table is not empty" "$work/plain"
lvsadm >"$work/bare" 2>&1
lvsadm -L >"$work/listed" 2>&1
same "lvsadm without arguments lists the table" "$work/listed" "$work/bare"
if [ -e /proc/net/ip_vs_conn ]; then
	for options in -Lnc -Lc "-L -n -c --persistent-conn"; do
		read -r -a words <<<"$options"
		compare_listing "${words[@]}"
	done
else
	lvsadm -Lnc >"$work/conn" 2>&1
	[ $? -eq 1 ] && grep -q 'does not offer it' "$work/conn"
	result $? "-c says that the module does not offer it" "$work/conn"
fi

# Each command reads the rules of the other. ipvsadm saves no thresholds.
ipvsadm -L -n >"$work/wanted"
ipvsadm -L -n --thresholds >"$work/wanted.thresholds"
lvsadm -Sn >"$work/ours.rules"
sed 's/ -x [0-9]*//; s/ -y [0-9]*//' "$work/ours.rules" >"$work/ours.bare"
ipvsadm -Sn >"$work/theirs.rules"
same "lvsadm -S prints the rules of ipvsadm and the thresholds" "$work/theirs.rules" "$work/ours.bare"
ipvsadm -C
ipvsadm -R <"$work/ours.rules"
ipvsadm -L -n --thresholds | sed 's/ *[0-9]* *[0-9]* *$//' >"$work/got"
sed 's/ *[0-9]* *[0-9]* *$//' "$work/wanted.thresholds" >"$work/want"
same "ipvsadm -R reads lvsadm -S" "$work/want" "$work/got"
lvsadm -C
lvsadm -R <"$work/theirs.rules" 2>"$work/error"
result $? "lvsadm -R reads ipvsadm -S" "$work/error"
ipvsadm -Sn >"$work/got"
same "lvsadm -R creates the rules that ipvsadm -S printed" "$work/theirs.rules" "$work/got"
lvsadm -C
lvsadm -R <"$work/ours.rules" 2>"$work/error"
result $? "lvsadm -R reads lvsadm -S" "$work/error"
lvsadm -Sn >"$work/got"
same "lvsadm -R creates the rules and thresholds that lvsadm -S printed" "$work/ours.rules" "$work/got"
lvsadm -C
lvsadm -S >"$work/named" 2>&1
result $? "-S of an empty table" "$work/named"
[ ! -s "$work/named" ]
result $? "-S of an empty table prints nothing" "$work/named"

# A refused line ends the input.
printf '%s\n' '-A -t 10.1.0.1:80 -s rr' '-A -t 10.1.0.1:80 -s rr' '-A -t 10.1.0.1:81 -s rr' |
	lvsadm -R 2>"$work/error"
status=$?
lvsadm -Sn >"$work/got"
echo '-A -t 10.1.0.1:80 -s rr' >"$work/want"
[ $status -eq 1 ] && grep -q 'line 2: -A -t 10.1.0.1:80 -s rr: ' "$work/error"
result $? "the error names a refused rule by line and text" "$work/error"
same "the rules after a refused rule have no effect" "$work/want" "$work/got"
printf '%s\n' '-A -t 10.1.0.1:82 -s rr' 'bogus' | lvsadm -R 2>"$work/error"
[ $? -eq 2 ] && grep -q 'line 2: bogus: ' "$work/error"
result $? "the error names an invalid rule, with exit code 2" "$work/error"
lvsadm -Sn >"$work/got"
same "no rule of a file with an invalid rule has an effect" "$work/want" "$work/got"

# Each error message names the problem.
refusal() { # exit code, what is said, arguments
	local code=$1 said=$2 status outcome
	shift 2
	lvsadm "$@" >"$work/error" 2>&1
	status=$?
	[ $status -eq "$code" ] && grep -qF -- "$said" "$work/error"
	outcome=$?
	echo "exit code $status" >>"$work/error"
	result $outcome "lvsadm $* reports: $said" "$work/error"
}
refusal 1 'the service exists already' -A -t 10.1.0.1:80
refusal 1 'no scheduler "nope"' -A -t 10.1.0.1:99 -s nope
refusal 1 'no such service' -D -t 10.1.0.1:99
refusal 1 'no such service' -L -n -t 10.1.0.1:99
refusal 1 'no such service' -a -t 10.1.0.1:99 -r 10.0.0.1
refusal 1 'no such server' -d -t 10.1.0.1:80 -r 10.0.0.77
refusal 1 'above --u-threshold 5' -a -t 10.1.0.1:80 -r 10.0.0.1 -x 5 -y 10
refusal 2 'does not apply to --list' -L -n -w 3
refusal 2 '--weight "2147483648"' -a -t 10.1.0.1:80 -r 10.0.0.1 -w 2147483648
refusal 2 'from 0 to 65535' -A -t 10.1.0.1:65536
if [ -e /sys/module/ip_vs ]; then
	refusal 1 'must be persistent' -A -t 10.1.0.1:0
else
	lvsadm -A -t 10.1.0.1:0 >"$work/error" 2>&1
	result $? "a service on all ports is accepted" "$work/error"
fi
setpriv --bounding-set -net_admin --inh-caps -net_admin lvsadm -L -n >"$work/error" 2>&1
[ $? -eq 1 ] && grep -q CAP_NET_ADMIN "$work/error"
result $? "without CAP_NET_ADMIN, the error names the capability" "$work/error"

# A mark above the signed range is printed as it is. ipvsadm prints it as a negative number.
lvsadm -A -f 3000000000 -s rr
lvsadm -L -n -f 3000000000 >"$work/got" 2>&1
grep -qx 'FWM  3000000000 rr' "$work/got"
result $? "a firewall mark has 32 bits" "$work/got"

# The JSON output equals the table.
lvsadm -R <"$work/ours.rules" 2>/dev/null
lvsadm -C
lvsadm -R <"$work/ours.rules"
lvsadm -L --json >"$work/table.json"
lvsadm -Sn >"$work/rules"
python3 - "$work/table.json" "$work/rules" >"$work/error" 2>&1 <<'EOF'
import json, sys
table = json.load(open(sys.argv[1]))
rules = [line.split() for line in open(sys.argv[2])]
assert table["version"] == "1.2.1", table["version"]
assert len(table["services"]) == sum(rule[0] == "-A" for rule in rules)
servers = [(s, d) for s in table["services"] for d in s["destinations"]]
wanted = [rule for rule in rules if rule[0] == "-a"]
assert len(servers) == len(wanted) > 0
methods = {"-m": "masquerade", "-i": "tunnel", "-g": "route"}
for (service, server), rule in zip(servers, wanted):
    address = server["address"] if server["family"] == "inet" else f"[{server['address']}]"
    at = rule.index("-r")
    assert rule[at + 1] == f"{address}:{server['port']}", (rule, server)
    assert methods[rule[at + 2]] == server["forwarding"], (rule, server)
    assert int(rule[rule.index("-w") + 1]) == server["weight"], (rule, server)
    for key in "connections", "packets_in", "packets_out", "bytes_in", "bytes_out":
        assert isinstance(server["stats"][key], int) and isinstance(server["rate"][key], int)
EOF
result $? "--json holds what the rules say" "$work/error"
lvsadm -L --timeout --json | python3 -c '
import json, sys
assert json.load(sys.stdin) == {"timeouts": {"tcp": 901, "tcp_fin": 120, "udp": 301}}' 2>"$work/error"
result $? "--timeout --json" "$work/error"

# Synchronization daemons: both commands start and list them alike, or both are refused.
lvsadm -C
both=1
for tool in ipvsadm lvsadm; do
	if "$tool" --start-daemon master --mcast-interface lo --syncid 3 --mcast-ttl 2 2>"$work/error"; then
		ipvsadm -L --daemon >"$work/$tool.daemon"
		lvsadm -L --daemon >"$work/daemon.ours"
		same "--daemon after $tool --start-daemon" "$work/$tool.daemon" "$work/daemon.ours"
		"$tool" --stop-daemon master 2>"$work/error"
		result $? "$tool --stop-daemon succeeds" "$work/error"
	else
		cp "$work/error" "$work/$tool.daemon"
		both=0
	fi
done
if [ $both -eq 1 ]; then
	same "ipvsadm and lvsadm start the same daemon" "$work/ipvsadm.daemon" "$work/lvsadm.daemon"
else
	grep -q '^lvsadm: cannot start the master synchronization daemon: ' "$work/lvsadm.daemon"
	result $? "lvsadm reports that the module has no daemon" "$work/lvsadm.daemon"
fi

lvsadm -C
echo "1..$((passed + failed))"
echo "# $passed passed, $failed failed"
[ "$failed" -eq 0 ]
