#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Debian's keepalived: services and servers in every form of configuration; checkers that remove and
# restore servers under load, by deletion, by weight and by a sorry server; VRRP that moves the
# addresses between two directors while clients continue.
# timeout: 300
# check: debug, because the daemon and its requests do not depend on the kernel

# Functions are called by name.
# shellcheck disable=SC2317
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

declare -A keepalived
vip6=$(six 10.1.0.100)

# keepalived_up NAMESPACE OPTION…: starts keepalived with the configuration $work/NAMESPACE.conf.
keepalived_up() {
	local name=$1
	shift
	on "$name" keepalived --dont-fork --no-syslog --log-console --log-detail \
		--use-file "$work/$name.conf" \
		--pid "$work/$name.pid" --vrrp_pid "$work/$name.vrrp" --checkers_pid "$work/$name.checkers" \
		--bfd_pid "$work/$name.bfd" "$@" \
		>>"$work/$name.log" 2>&1 &
	keepalived[$name]=$!
}
keepalived_down() {
	kill "${keepalived[$1]}"
	wait "${keepalived[$1]}"
}
# Every check runs once a second, is retried once, and has a short timeout.
pace="delay_loop $TIME_SCALE
	warmup 0
	retry 1
	delay_before_retry $TIME_SCALE
	connect_timeout $((2 * TIME_SCALE))"

# more LOAD: waits for some more connections of the load.
more() {
	local was
	was=$(client progress "$1")
	wait_for 30 eval "[ \$(client progress $1) -gt $((was + 8)) ]" || note "the load $1 stands still"
}
# weights OPTION ADDRESS: prints the weights: "A 3 B 2".
weights() {
	# shellcheck disable=SC2086
	lvs -L -n "$1" $2 | awk "$names"' $1 == "->" && $2 ~ /^[[0-9]/ { print name($2), $4 }' | sort | xargs
}
shares() { tr ' ' '\n' <<<"$1" | sort | uniq -c | awk '{ printf "%s%s=%d", (NR > 1 ? " " : ""), $2, $1 }'; }

# A real server reports its health at http://SERVER:9000/up, which exists or not.
health_up() {
	local host
	for host in A B C; do
		mkdir -p "$work/health/$host"
		touch "$work/health/$host/up"
		on "$host" busybox httpd -f -p 9000 -h "$work/health/$host" >/dev/null 2>&1 &
	done
}
# The exit status of the MISC check scripts.
cat >"$work/look" <<-END
	#!/bin/sh
	read -r status <"$work/status.\$1"
	exit "\$status"
END
cat >"$work/tell" <<-END
	#!/bin/sh
	echo "\$1" >>"$work/told"
END
chmod 755 "$work" "$work/look" "$work/tell"
for host in A B C; do echo 0 >"$work/status.$host"; done

unload_all "$IPVS_MODULE"
drop_in
topology_up
health_up
client_up client
servers_up A B C
# On a busy machine a guest may pause for long. Lost packets stay lost.
client patience 30 >/dev/null
must on director nft 'table inet marks { chain early { type filter hook prerouting priority mangle;
	ip daddr 10.4.0.1 meta mark set 1; }; }'

# --- checkers -------------------------------------------------------------------------------------

# config WEIGHT: prints a configuration with a service for each checker and method. Options that no
# checker uses must only arrive unchanged.
config() {
	cat <<-END
		global_defs {
			script_user root
			lvs_flush
			lvs_timeouts tcp 800 tcpfin 90 udp 200
		}
		virtual_server 10.1.0.100 80 {
			$pace
			lvs_sched wrr
			lvs_method NAT
			protocol TCP
			real_server 10.2.0.11 80 {
				weight $1
				HTTP_GET {
					connect_port 9000
					url {
						path /up
						status_code 200
					}
				}
			}
			real_server 10.2.0.12 80 {
				weight 2
				HTTP_GET {
					connect_port 9000
					url {
						path /up
						status_code 200
					}
				}
			}
			real_server 10.2.0.13 80 {
				weight 1
				uthreshold 5000
				lthreshold 100
				HTTP_GET {
					connect_port 9000
					url {
						path /up
						status_code 200
					}
				}
			}
		}
		virtual_server $vip6 80 {
			$pace
			lvs_sched rr
			lvs_method NAT
			protocol TCP
			real_server $(six 10.2.0.11) 80 {
				HTTP_GET {
					connect_port 9000
					url {
						path /up
					}
				}
			}
			real_server $(six 10.2.0.12) 80 {
				HTTP_GET {
					connect_port 9000
					url {
						path /up
					}
				}
			}
		}
		virtual_server 10.1.0.101 8000 {
			$pace
			lvs_sched rr
			lvs_method TUN
			protocol TCP
			inhibit_on_failure
			real_server 10.3.0.11 8000 {
				TCP_CHECK {
				}
			}
			real_server 10.3.0.12 8000 {
				TCP_CHECK {
				}
			}
		}
		virtual_server 10.1.0.102 8080 {
			$pace
			lvs_sched wrr
			lvs_method DR
			protocol TCP
			quorum 10
			quorum_up "$work/tell up"
			quorum_down "$work/tell down"
			sorry_server 10.1.0.13 8080
			real_server 10.1.0.11 8080 {
				weight 8
				MISC_CHECK {
					misc_path "$work/look A"
					misc_dynamic
					misc_timeout $((10 * TIME_SCALE))
				}
			}
			real_server 10.1.0.12 8080 {
				weight 4
				MISC_CHECK {
					misc_path "$work/look B"
					misc_dynamic
					misc_timeout $((10 * TIME_SCALE))
				}
			}
		}
		virtual_server fwmark 1 {
			$pace
			lvs_sched lc
			lvs_method NAT
			real_server 10.2.0.13 80 {
				TCP_CHECK {
				}
			}
		}
		virtual_server_group several {
			10.1.0.103 443
			10.1.0.103 444
			10.1.0.103-104 445
		}
		virtual_server group several {
			lvs_sched sh
			sh-port
			sh-fallback
			lvs_method NAT
			protocol TCP
			persistence_timeout 120
			real_server 10.2.0.11 443 {
			}
		}
		virtual_server 10.1.0.103 446 {
			lvs_sched wlc
			lvs_method NAT
			protocol TCP
			persistence_timeout 60
			persistence_granularity 255.255.255.0
			real_server 10.2.0.11 446 {
			}
		}
		virtual_server 10.1.0.103 53 {
			lvs_sched mh
			mh-port
			lvs_method TUN type gue port 6080 csum
			protocol UDP
			ops
			real_server 10.3.0.11 53 {
			}
			real_server 10.3.0.12 53 {
				lvs_method TUN type gre
			}
		}
	END
}

# orphans NAMESPACE: clients of removed servers are reset at once, instead of waiting for the server
# to return.
orphans() { must on "$1" sysctl -qw net.ipv4.vs.expire_nodest_conn=1; }

config 3 >"$work/director.conf"
on director ip address add 10.1.0.104/32 dev eth0
keepalived_up director --check
rules() { lvs -S -n | sed 's/ --tun-type ipip//' | sort; }
wanted="-A -f 1 -s lc
-A -t 10.1.0.100:80 -s wrr
-A -t 10.1.0.101:8000 -s rr
-A -t 10.1.0.102:8080 -s wrr
-A -t 10.1.0.103:443 -s sh -p 120 -b sh-fallback,sh-port
-A -t 10.1.0.103:444 -s sh -p 120 -b sh-fallback,sh-port
-A -t 10.1.0.103:445 -s sh -p 120 -b sh-fallback,sh-port
-A -t 10.1.0.103:446 -s wlc -p 60 -M 255.255.255.0
-A -t 10.1.0.104:445 -s sh -p 120 -b sh-fallback,sh-port
-A -t [$vip6]:80 -s rr
-A -u 10.1.0.103:53 -s mh -o -b mh-port
-a -f 1 -r 10.2.0.13:80 -m -w 1
-a -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 3
-a -t 10.1.0.100:80 -r 10.2.0.12:80 -m -w 2
-a -t 10.1.0.100:80 -r 10.2.0.13:80 -m -w 1 -x 5000 -y 100
-a -t 10.1.0.101:8000 -r 10.3.0.11:8000 -i -w 1
-a -t 10.1.0.101:8000 -r 10.3.0.12:8000 -i -w 1
-a -t 10.1.0.102:8080 -r 10.1.0.11:8080 -g -w 8
-a -t 10.1.0.102:8080 -r 10.1.0.12:8080 -g -w 4
-a -t 10.1.0.103:443 -r 10.2.0.11:443 -m -w 1
-a -t 10.1.0.103:444 -r 10.2.0.11:443 -m -w 1
-a -t 10.1.0.103:445 -r 10.2.0.11:443 -m -w 1
-a -t 10.1.0.103:446 -r 10.2.0.11:446 -m -w 1
-a -t 10.1.0.104:445 -r 10.2.0.11:443 -m -w 1
-a -t [$vip6]:80 -r [$(six 10.2.0.11)]:80 -m -w 1
-a -t [$vip6]:80 -r [$(six 10.2.0.12)]:80 -m -w 1
-a -u 10.1.0.103:53 -r 10.3.0.11:53 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum
-a -u 10.1.0.103:53 -r 10.3.0.12:53 -i -w 1 --tun-type gre --tun-nocsum"
check_soon 'the services and servers are those of the configuration' "$wanted" rules
orphans director
[ "$IPVS_MODULE" = ip_vs ] || check_eq 'no module of the C director is loaded' "$(lsmod | grep -c '^ip_vs')" 0
check_eq 'the timeouts are those of the configuration' "$(lvs -L --timeout | xargs)" 'Timeout (tcp tcpfin udp): 800 90 200'
check_eq 'servers get connections by their weights' "$(shares "$(client get tcp 10.1.0.100 80 12)")" 'A=6 B=4 C=2'

# From here on, every service has load.
begin() {
	client load http tcp 10.1.0.100 80 1 0.1 >/dev/null
	client load http6 tcp "$vip6" 80 1 0.1 >/dev/null
	client load tcp tcp 10.1.0.101 8000 1 0.1 >/dev/null
	client load misc tcp 10.1.0.102 8080 1 0.1 >/dev/null
}
# ended NAME LOAD PATTERN: stops the load and checks the servers that answered and the errors.
ended() { check_match "$1: $2" "$(client stop "$2")" "$3"; }

client hold kept tcp 10.1.0.101 8000 2 >/dev/null
begin
more misc
check_soon 'a reached quorum runs its script' up tail -n 1 "$work/told"
rm "$work/health/B/up"
must on B nft 'table inet dead { chain in { type filter hook input priority 0;
	tcp dport 8000 reject with tcp reset; }; }'
echo 1 >"$work/status.A"
check_soon 'HTTP: a failed server is removed' 'A 3 C 1' weights -t 10.1.0.100:80
check_soon 'HTTP, IPv6: a failed server is removed' 'A 1' weights -t "[$vip6]:80"
check_soon 'TCP: a failed server gets weight 0 (inhibit_on_failure)' 'A 1 B 0' weights -t 10.1.0.101:8000
check_soon 'MISC: below the quorum, only the sorry server is left' 'C 1' weights -t 10.1.0.102:8080
check_soon 'a lost quorum runs its script' down tail -n 1 "$work/told"
# Requests in progress are lost when their server is removed. A server that refuses connections is
# visible to clients until the checker notices.
more misc
ended 'clients see at most one error while HTTP servers fail' http '([ABC]=[0-9]+ ?){3}( ?[a-z-]+=1)?'
ended 'clients see at most one error while IPv6 HTTP servers fail' http6 '([AB]=[0-9]+ ?){2}( ?[a-z-]+=1)?'
ended 'clients see only refused connections while a TCP server fails' tcp '([AB]=[0-9]+ ?){2}( ?refused=[0-9]+)?'
ended 'clients see at most one error while MISC servers fail' misc '([ABC]=[0-9]+ ?){3}( ?[a-z-]+=1)?'

begin
for load in http http6 tcp misc; do more $load; done
ended 'without what failed, none is refused' http 'A=[0-9]+ C=[0-9]+'
ended 'without what failed, none is refused' http6 'A=[0-9]+'
ended 'without what failed, none is refused' tcp 'A=[0-9]+'
ended 'without what failed, none is refused' misc 'C=[0-9]+'
check_eq 'the remaining servers get connections by their weights' "$(shares "$(client get tcp 10.1.0.100 80 8)")" 'A=6 C=2'
check_eq 'the service on a mark keeps its server' "$(client get tcp 10.4.0.1 80 2)" 'C C'

begin
more misc
touch "$work/health/B/up"
must on B nft delete table inet dead
echo 0 >"$work/status.A"
check_soon 'HTTP: a recovered server is added' 'A 3 B 2 C 1' weights -t 10.1.0.100:80
check_soon 'HTTP, IPv6: a recovered server is added' 'A 1 B 1' weights -t "[$vip6]:80"
check_soon 'TCP: a recovered server regains its weight' 'A 1 B 1' weights -t 10.1.0.101:8000
check_soon 'MISC: above the quorum, the sorry server is removed' 'A 8 B 4' weights -t 10.1.0.102:8080
check_soon 'a regained quorum runs its script' up tail -n 1 "$work/told"
for load in http http6 tcp misc; do more $load; done
ended 'servers return under load, none is lost' http 'A=[0-9]+ B=[0-9]+ C=[0-9]+'
ended 'servers return under load, none is lost' http6 'A=[0-9]+ B=[0-9]+'
ended 'servers return under load, none is lost' tcp 'A=[0-9]+ B=[0-9]+'
# Requests in progress to the sorry server are lost with it.
ended 'servers return under load' misc '([ABC]=[0-9]+ ?){3}( ?[a-z-]+=1)?'
check_match 'connections continue while the weight is 0' "$(client again kept)" '(A B|B A)'

# A script that sets a weight, and a reload of the configuration.
echo 12 >"$work/status.B"
check_soon 'MISC: a script sets the weight' 'A 8 B 10' weights -t 10.1.0.102:8080
config 5 >"$work/director.conf"
kill -HUP "${keepalived[director]}"
check_soon 'a reload changes a weight' 'A 5 B 2 C 1' weights -t 10.1.0.100:80
check_match 'connections continue across a reload' "$(client again kept)" '(A B|B A)'
keepalived_down director
check_eq 'keepalived removes its services when it stops' "$(lvs -S -n)" ''
client close kept >/dev/null

# --- VRRP -----------------------------------------------------------------------------------------

# A second director beside the first. VRRP moves 10.1.0.103 and 10.2.0.3, the gateway of NAT
# servers.
hosts+=' second'
{
	echo "netns add second"
	echo "link add eth0 netns second type veth peer name second0 netns router"
	echo "link add eth1 netns second type veth peer name second1 netns router"
} | batch
{
	echo "link set second0 up master front"
	echo "link set second1 up master back"
} | batch -n router
{
	echo "link set lo up"
	echo "link set eth0 up"
	echo "link set eth1 up"
	echo "address add 10.1.0.2/24 dev eth0"
	echo "address add 10.2.0.2/24 dev eth1"
	echo "address add fd00:0:0:1::2/64 dev eth0"
	echo "address add fd00:0:0:2::2/64 dev eth1"
	echo "route add default via 10.1.0.254"
	echo "route add default via fd00:0:0:1::254"
} | batch -n second
sysctls second net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.{all,default,eth0,eth1}.rp_filter=0 \
	net.ipv4.conf.{all,eth0,eth1}.send_redirects=0
for host in A B C; do must ip -n $host route replace default via 10.2.0.3 table 100; done
must ip -n director address del 10.1.0.103/32 dev eth0
must ip -n director address del "$(six 10.1.0.103)/128" dev eth0

# vrrp_config PRIORITY
vrrp_config() {
	local server
	cat <<-END
		global_defs {
			script_user root
			vrrp_garp_master_delay 1
			lvs_sync_daemon eth1 front
		}
		vrrp_instance front {
			state BACKUP
			interface eth0
			virtual_router_id 51
			priority $1
			advert_int $TIME_SCALE
			track_interface {
				eth1
			}
			virtual_ipaddress {
				10.1.0.103/32 dev eth0
				10.2.0.3/32 dev eth1
			}
			virtual_ipaddress_excluded {
				$(six 10.1.0.103)/128 dev eth0 preferred_lft 0
			}
		}
		virtual_server 10.1.0.103 80 {
			$pace
			lvs_sched rr
			lvs_method NAT
			protocol TCP
			$(for server in 11 12 13; do printf 'real_server 10.2.0.%s 80 {\nTCP_CHECK {\n}\n}\n' $server; done)
		}
		virtual_server 10.1.0.103 8080 {
			$pace
			lvs_sched rr
			lvs_method DR
			protocol TCP
			$(for server in 11 12 13; do printf 'real_server 10.1.0.%s 8080 {\nTCP_CHECK {\n}\n}\n' $server; done)
		}
		virtual_server $(six 10.1.0.103) 8080 {
			$pace
			lvs_sched rr
			lvs_method DR
			protocol TCP
			$(for server in 11 12 13; do printf 'real_server %s 8080 {\nTCP_CHECK {\n}\n}\n' "$(six 10.1.0.$server)"; done)
		}
	END
}
vrrp_config 150 >"$work/director.conf"
vrrp_config 100 >"$work/second.conf"
# holders: prints the director that has each of the three addresses: "director director director".
holders() {
	local address name found
	for address in 10.1.0.103 10.2.0.3 "$(six 10.1.0.103)"; do
		found=''
		for name in director second; do
			! ip -n "$name" -o address show | grep -q " $address/" || found+="+$name"
		done
		printf '%s\n' "${found#+}"
	done | xargs
}
# serve WHOM: all three services answer through all servers, and that director has counted the
# connections.
serve() {
	local vip=10.1.0.103 vip6 before
	vip6=$(six $vip)
	# Keepalived announces the addresses again after a second. The shares are not exact because
	# of the loads.
	sleep $((2 * TIME_SCALE))
	check_match "$1: NAT serves through all servers" "$(shares "$(client get tcp $vip 80 6)")" 'A=[0-9] B=[0-9] C=[0-9]'
	check_match "$1: DR serves through all servers" "$(shares "$(client get tcp $vip 8080 6)")" 'A=[0-9] B=[0-9] C=[0-9]'
	check_eq "$1: DR over IPv6 serves through all servers" "$(shares "$(client get tcp "$vip6" 8080 6)")" 'A=2 B=2 C=2'
	before=$(DIRECTOR=$1 statistics -t $vip:8080 | cut -d' ' -f1)
	client get tcp $vip 8080 3 >/dev/null
	check "$1: the expected director counts the connections" \
		test "$(DIRECTOR=$1 statistics -t $vip:8080 | cut -d' ' -f1)" -ge $((before + 3))
}
# daemons NAME: prints the synchronization daemons and their syncid: "master 51".
daemons() {
	DIRECTOR=$1 lvs -L --daemon | sed -n 's/^\(master\|backup\) .*syncid=\([0-9]*\).*/\1 \2/p' | sort | xargs
}
full() {
	[ "$(DIRECTOR=$1 lvs -S -n | grep -c '^-a')" = 9 ]
}

keepalived_up director
keepalived_up second
check_soon 'VRRP: the director of higher priority holds the addresses' 'director director director' holders
check 'both directors list all servers' wait_for 10 eval 'full director && full second'
orphans second
serve director
check_soon 'the director with the addresses runs the master daemon' 'master 51' daemons director
check_soon 'the other director runs the backup daemon' 'backup 51' daemons second
sed -i '0,/TCP_CHECK/s//weight 5\n&/' "$work/second.conf"
kill -HUP "${keepalived[second]}"
reloaded() { DIRECTOR=second weights -t 10.1.0.103:80; }
check_soon 'the other director reloads its configuration' 'A 5 B 1 C 1' reloaded
check_soon 'after a reload the backup daemon runs' 'backup 51' daemons second

client load nat tcp 10.1.0.103 80 1 0.1 >/dev/null
client load dr tcp 10.1.0.103 8080 1 0.1 >/dev/null
more dr
must ip -n router link set director0 down
check_soon 'the other director holds the addresses when a link fails' 'second second second' holders
serve second
more nat
more dr
must ip -n router link set director0 up
check_soon 'the first director holds the addresses when its link recovers' 'director director director' holders
wait_for 10 full director
serve director
more nat
more dr
keepalived_down director
check_soon 'the other director holds the addresses when the first stops' 'second second second' holders
check_soon 'it runs the master daemon' 'master 51' daemons second
check_eq 'keepalived that stops stops its daemon' "$(daemons director)" ''
serve second
more nat
more dr
# Each load may lose its connections in progress each time the addresses move, three times.
lost() { tr ' ' '\n' <<<"$1" | awk -F= '$1 !~ /^[ABC]$/ { sum += $2 } END { print (sum <= 3) }'; }
for load in nat dr; do
	served=$(client stop $load)
	check_match "the load continues across all changes: $load" "$served" 'A=[0-9]+ B=[0-9]+ C=[0-9]+( .*)?'
	check_eq "only connections in progress are lost: $load ($served)" "$(lost "$served")" 1
done
keepalived_down second

# Without an instance, the checkers run both daemons.
cat >"$work/second.conf" <<-END
	global_defs {
		lvs_sync_daemon eth1 id 7
	}
	virtual_server 10.1.0.103 80 {
		lvs_sched rr
		lvs_method NAT
		protocol TCP
		real_server 10.2.0.11 80 {
		}
	}
END
keepalived_up second
check_soon 'without an instance of VRRP, both daemons run' 'backup 7 master 7' daemons second
keepalived_down second
check_eq 'both stop with keepalived' "$(daemons second)" ''

if [ $failures -gt 0 ]; then
	for name in director second; do note "$(tail -n 60 "$work/$name.log")"; done
fi
finish
