# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2016,SC2034,SC2154,SC2317 # names of lib.sh and of the scripts
#
# A pair of directors: the primary, 10.1.0.1, and the backup, 10.1.0.2. Scripts read this file after
# lib.sh and machines.sh.
#
# On two machines, the second one is the primary, alone. The first one has the backup, with the
# clients and servers of topology.sh. Wires 1 and 2 lengthen the front and the back network to the
# primary, wire 3 joins the directors. On one machine, the primary is the namespace "primary".
#
# The service 10.1.0.100:80 is NAT, 10.1.0.100:8080 DR. 10.2.0.3 is the gateway of the NAT servers.
# The director that works has both addresses.
#
# With IPVS_MODULE=ip_vs LVSADM=ipvsadm, the C director runs on both, and its primary dies once, for
# comparison.

examples=/usr/share/doc/ipvs_rs/examples/failover
# Connections that stay open, and new ones in a second.
if [ -n "${MACHINE-}" ]; then held=${FAILOVER_CONNECTIONS:-4000}; else held=${FAILOVER_CONNECTIONS:-400}; fi
rate=${FAILOVER_RATE:-100}
# The role and the namespace of the director that the functions are about.
role=backup
DIRECTOR=director

# director_here NUMBER: what both directors have: addresses, and that they forward packets.
director_here() {
	{
		echo "link set lo up"
		echo "link set eth0 up"
		echo "link set eth1 up"
		echo "link set eth2 up"
		echo "address add 10.1.0.$1/24 dev eth0"
		echo "address add 10.2.0.$1/24 dev eth1"
		echo "address add 10.5.0.$1/24 dev eth2"
		echo "route add default via 10.1.0.254"
	} | batch -n "$DIRECTOR"
	sysctls "$DIRECTOR" net.ipv4.ip_forward=1 net.ipv4.conf.{all,default,eth0,eth1}.rp_filter=0 \
		net.ipv4.conf.{all,eth0,eth1}.send_redirects=0
}
modules_ready() {
	unload_all ip_vs
	unload_all ipvs_rs
	must module_load "$IPVS_MODULE"
	drop_in
}
# primary_here: the second machine is the primary.
primary_here() {
	role=primary
	hosts=director
	hostname primary
	topology_down
	modules_ready
	pin_hooks
	must sysctl -qw net.core.devconf_inherit_init_net=1 net.ipv6.conf.default.{accept_dad=0,accept_ra=0}
	must ip netns add director
	wire 1 director eth0
	wire 2 director eth1
	wire 3 director eth2
	director_here 1
}

# keepalived_up EXAMPLE: keepalived that keeps its services when it stops. Otherwise it deletes them
# before it gives up the addresses, and the host refuses new connections for a moment.
keepalived_up() {
	on "$DIRECTOR" keepalived --dont-fork --dont-release-ipvs --no-syslog --log-console --log-detail \
		--config-id "$role" --use-file "$examples/$1.conf" \
		--pid "$work/$role.pid" --vrrp_pid "$work/$role.vrrp" --checkers_pid "$work/$role.checkers" \
		>>"$work/$role.log" 2>&1 </dev/null &
}
keepalived_down() {
	kill "$(cat "$work/$role.pid")"
	wait_for 20 test ! -e "$work/$role.pid"
}

# heartbeat_up MODE: heartbeat, fake and ldirectord with the example configurations, and both
# daemons.
heartbeat_up() {
	must install -m 644 "$examples/ha-$1.cf" /etc/ha.d/ha.cf
	must install -m 644 -t /etc/ha.d "$examples/haresources" "$examples/ldirectord.cf"
	must install -m 600 -t /etc/ha.d "$examples/authkeys"
	must install -m 755 -t /etc/ha.d/resource.d "$examples/fake" "$examples/lvs-filled"
	must install -m 644 -t /etc/fake/instance_config "$examples/10.1.0.100.cfg"
	# fake reads the link address in the form that older versions of ifconfig print.
	ln -sf /bin/busybox /usr/sbin/ifconfig
	ln -sf /bin/busybox /usr/sbin/route
	lvs -L --daemon | grep -q master || {
		must lvs --start-daemon backup --mcast-interface eth2 --syncid 51
		must lvs --start-daemon master --mcast-interface eth2 --syncid 51
	}
	on "$DIRECTOR" ldirectord ldirectord.cf status >/dev/null 2>&1 || must on "$DIRECTOR" ldirectord ldirectord.cf start
	on "$DIRECTOR" /etc/init.d/heartbeat start >>"$work/heartbeat.log" 2>&1 </dev/null ||
		bail "heartbeat does not start: $(cat "$work/heartbeat.log")"
}
heartbeat_down() {
	on "$DIRECTOR" /etc/init.d/heartbeat stop >>"$work/heartbeat.log" 2>&1 </dev/null
	on "$DIRECTOR" ldirectord ldirectord.cf stop >/dev/null 2>&1
}
# hears NAME: heartbeat hears the other director, of this name.
hears() { [ "$(on "$DIRECTOR" cl_status nodestatus "$1")" = active ]; }
# heartbeat_log: what heartbeat logged of the directors, but not that this machine is slow. A crash
# may leave zeros in it.
heartbeat_log() { grep -av 'Gmain_timeout\|G_CH_\|Late heartbeat' /var/log/ha-log | tail -n 150 | tr -d '\000'; }

holds() { ip -n "$DIRECTOR" -o address show | grep -q ' 10.1.0.100/'; }
# active: prints the number of active connections that the director counts at its servers.
active() { on "$DIRECTOR" ipvsadm -L -n | awk '$1 == "->" && $2 ~ /^[0-9]/ { sum += $5 } END { print sum + 0 }'; }

# --- on the first machine -------------------------------------------------------------------------

# holder: prints which directors have the addresses.
holder() {
	local found=''
	! second holds || found=primary
	! holds || found+=${found:+ }backup
	echo "$found"
}

# held_by NAME: one director alone has the addresses, this one.
held_by() { [ "$(holder)" = "$1" ]; }

# pair_up: the backup, the clients and the servers.
pair_up() {
	local host
	if [ -n "${MACHINE-}" ]; then second_up; else one_machine; fi
	modules_ready
	topology_up
	must ip -n director address flush dev eth0
	must ip -n director address flush dev eth1
	if [ -n "${MACHINE-}" ]; then
		hostname backup
		wire 1 router primary0
		wire 2 router primary1
		wire 3 director eth2
		printf 'link set primary%s\n' '0 master front' '1 master back' | batch -n router
	else
		# The wire between the directors is a bridge, so that its ends can come and go.
		echo "link add eth2 netns director type veth peer name director2 netns router" | batch
		printf 'link %s\n' 'add wire type bridge' 'set wire up' 'set director2 master wire up' | batch -n router
		primary_wires
	fi
	director_here 2
	for host in A B C; do must ip -n $host route replace default via 10.2.0.3 table 100; done
}

# primary_ready COMMAND…: prepares the primary, which has no connections, and runs the command
# there.
primary_ready() {
	if [ -n "${MACHINE-}" ]; then
		must second ". $here/failover.sh; IPVS_MODULE=$IPVS_MODULE LVSADM=$LVSADM; primary_here; $*"
		return
	fi
	[ -e /run/netns/primary ] || primary_wires
	second director_here 1
	second "$*"
}

# The functions of machines.sh for a primary on this machine, which restarts by losing its
# namespace.
one_machine() {
	hosts+=' primary'
	second() {
		local role=primary DIRECTOR=primary
		eval "$*"
	}
	second_dies() {
		printf 'link set primary%s down\n' 0 1 2 | batch -n router
		ip netns pids primary | xargs kill -9
		must ip netns del primary
	}
	second_reached() { :; }
	second_leaves() { :; }
}
primary_wires() {
	# The kernel deletes them some time after their namespace.
	must wait_for 60 eval '! ip -n router -br link show | grep -q ^primary'
	[ -e /run/netns/primary ] || must ip netns add primary
	{
		echo "link add eth0 netns primary type veth peer name primary0 netns router"
		echo "link add eth1 netns primary type veth peer name primary1 netns router"
		echo "link add eth2 netns primary type veth peer name primary2 netns router"
	} | batch
	printf 'link set primary%s up\n' '0 master front' '1 master back' '2 master wire' | batch -n router
}

# crowd_up: the servers, and the client that holds connections.
crowd_up() {
	local host
	must sysctl -qw fs.file-max=4000000
	# A debug kernel on a busy host takes half a minute to free 100,000 connections.
	[ "$held" -lt 50000 ] || echo 300 >/sys/module/rcupdate/parameters/rcu_cpu_stall_timeout
	for host in client A B C; do
		sysctls $host net.core.somaxconn=8192 net.ipv4.tcp_max_syn_backlog=8192 net.ipv4.ip_local_port_range='1024 65535'
	done
	python3 "$here/steady.py" server A B C &
	wait_for 30 eval 'on C ss -Hltn sport = :8080 | grep -q .' || bail 'the real servers do not start'
	takes_orders client client steady.py client 10.0.0.{1,2,3,4}
}

# hold COUNT: opens half of them by NAT, half by DR.
hold() {
	local left=$1 part port begin=$SECONDS
	for port in 80 8080; do
		for ((left = $1 / 2; left > 0; left -= part)); do
			part=$((left < 5000 ? left : 5000))
			client open held 10.1.0.100 $port $part >/dev/null
		done
	done
	note "opening $1 connections took $((SECONDS - begin)) s"
}
# more: waits for new connections of both loads.
more() {
	local load was
	for load in nat dr; do
		was=$(client progress $load)
		wait_for 30 eval "[ \$(client progress $load) -gt $((was + rate / 2)) ]" || note "the load $load stands still"
	done
}
# moment: the address moves after the first call, and before the second.
moment() {
	client moment nat >/dev/null
	client moment dr >/dev/null
}
# loads_up: begins new connections by NAT and DR, and waits for some.
loads_up() {
	client load nat 10.1.0.100 80 $((rate / 2)) >/dev/null
	client load dr 10.1.0.100 8080 $((rate / 2)) >/dev/null
	more
	moment
}
# field NAME RESULT
field() {
	local rest=${2##*"$1="}
	echo "${rest%% *}"
}

# check_loads WHAT: ends the loads while WHAT. Every new connection opens in the end, unless no
# director has the address for seconds. On one machine, at most those of 20 ms are lost, and two
# more. On two machines, at most those of two seconds are lost: machines that a busy host emulates
# stand still for so long. The notes have the figures. Sets `gap` to the milliseconds in which none
# opened.
check_loads() {
	local load result most=$((rate / 100 + 2))
	[ -z "${MACHINE-}" ] || most=$rate
	more
	moment
	client halt nat >/dev/null
	client halt dr >/dev/null
	gap=0
	for load in nat dr; do
		result=$(client end $load)
		note "new connections while $1 ($load): $result"
		[ "$(field gap "$result")" -le "$gap" ] || gap=$(field gap "$result")
		# The router tells clients when a host does not answer for 3 seconds.
		if [ "$(field gap "$result")" -le 2500 ]; then
			check_eq "$1 ($load): every new connection opens in the end" "$(field never "$result")" 0
			check_eq "$1 ($load): none is refused" "$(field refused "$result")" 0
		fi
		check "$1 ($load): only connections of the last moment are lost" test "$(field lost "$result")" -le "$most"
	done
}
# check_held NAME: every connection that was open before still answers. A hundred thousand of them
# take minutes on the debug kernel, and longer beside other work.
check_held() {
	local ASK_LIMIT=$((120 * TIME_SCALE + held / 50))
	check_eq "$1" "$(client again held)" "$held answered, 0 reset, 0 silent"
}

# --- the test with keepalived ---------------------------------------------------------------------

# primary_dies MODE: the primary is killed under load, and can start again.
primary_dies() {
	loads_up
	second_dies
	check "$1: the backup takes the address of a director that dies" wait_for 30 holds
	check_loads "$1: the primary dies"
	note "new connections open again after $gap ms"
	[ -n "${MACHINE-}" ] || [ "$rate" -gt 100 ] || check "$1: new connections open again within a second" [ "$gap" -le 1000 ]
	check_held "$1: every open connection answers through the backup"
	wait_for 120 second_reached || bail 'the second machine does not return'
}
# c_dies: the same with the C director, as far as its backup has the connections. The notes tell how
# long the address takes to move without ours.
c_dies() {
	local load
	note "the backup has $(active) of $held connections"
	# It sends a connection with its third packet.
	note "every connection answers: $(client again held)"
	loads_up
	second_dies
	check 'C: the backup takes the address of a director that dies' wait_for 30 holds
	more
	moment
	for load in nat dr; do note "C: new connections while the primary dies ($load): $(client end $load)"; done
	note "C: every connection again: $(client again held)"
	wait_for 120 second_reached
	second_leaves
}
# filled DIRECTOR_COMMAND…: the director that the command asks has all connections.
filled() { [ "$("$@")" -ge "$held" ]; }

# keepalived_ends: ends the test. After a failure, prints what keepalived did on both machines.
keepalived_ends() {
	if [ "$failures" -gt 0 ]; then
		note "$(grep -v 'gratuitous\|success' "$work/backup.log")"
		note "$(second 'grep -v "gratuitous\|success" "$work/primary.log"')"
	fi
	second_leaves
	finish
}

with_keepalived() {
	pair_up
	crowd_up
	primary_ready keepalived_up keepalived-mode1
	check_soon 'the first director that starts has the address' primary holder
	keepalived_up keepalived-mode1
	hold "$held"
	if [ "$IPVS_MODULE" = ip_vs ]; then
		c_dies
		finish
	fi
	check_soon 'the primary has all connections' "$held" second active
	check_soon 'the backup has all connections' "$held" active
	primary_dies 'mode 1'

	# Failback, mode 1: the primary becomes the backup.
	primary_ready keepalived_up keepalived-mode1
	check 'mode 1: the returned primary has all connections' wait_for 60 filled second active
	check_eq 'mode 1: the address stays where it is' "$(holder)" backup
	loads_up
	keepalived_down
	check_soon 'mode 1: the primary takes the address when the other director stops' primary holder
	check_loads 'mode 1: the other director stops'
	check_held 'mode 1: every open connection answers through the returned primary'

	# Failback, mode 2: the primary takes over again, when it has the connections.
	must second 'keepalived_down; keepalived_up keepalived-mode2'
	check_soon 'mode 2: the primary has the address' primary holder
	keepalived_up keepalived-mode2
	check 'mode 2: the backup becomes ready' wait_for 30 lvs sync status
	primary_dies 'mode 2'
	loads_up
	must ip -n director link set eth2 down
	primary_ready keepalived_up keepalived-mode2
	sleep 5
	check_eq 'mode 2: a primary without the connections does not take the address' "$(holder)" backup
	check_match 'mode 2: it says that it is not ready' "$(second lvs sync status)" '.*joining.*'
	must ip -n director link set eth2 up
	check_soon 'mode 2: the primary takes the address when it has the connections' primary holder
	check_loads 'mode 2: the primary takes over again'
	check_held 'mode 2: every open connection answers through the primary again'

	keepalived_ends
}
