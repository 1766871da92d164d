#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs in a director with our packages after each boot, and prints TAP. The first boot tests the
# start, the rules and their changes. The second tests that all of it is back after a reboot, and a
# kernel without our modules. The third tests a director from which the packages have been purged.

state=/var/lib/packages-test
mkdir -p $state
boot=$(($(cat $state/boot 2>/dev/null || echo 0) + 1))
echo $boot >$state/boot
number=$(cat $state/number 2>/dev/null || echo 0)

check() { # NAME CMD...: passes if the command succeeds
	local name=$1 out
	shift
	number=$((number + 1))
	if out=$("$@" 2>&1); then
		echo "ok $number - $name"
	else
		printf '# %s\n' "$*" "${out//$'\n'/$'\n'# }"
		echo "not ok $number - $name"
	fi
}
equal() { [ "$1" = "$2" ] || { echo "got: $1"; echo "wanted: $2"; return 1; }; }
fails() { ! "$@"; }
directors() { lsmod | awk '$1 == "ip_vs" || $1 == "ipvs_rs" { print $1 }' | xargs; }
rules() { lvsadm -S -n; }
failed_units() { systemctl --failed --no-legend --plain | awk '{ print $1 }' | xargs; }
# up: waits until all units have started.
up() { systemctl is-system-running --wait >/dev/null; }

# serve: a real server in a network namespace answers through the service 10.1.0.100:80.
serve() {
	ip netns add server
	ip link add to-server type veth peer name eth0 netns server
	ip address add 10.2.0.1/24 dev to-server
	ip link set to-server up
	ip -n server address add 10.2.0.11/24 dev eth0
	ip -n server link set eth0 up
	ip -n server link set lo up
	ip -n server route add default via 10.2.0.1
	ip address add 10.1.0.100/32 dev lo
	sysctl -qw net.ipv4.ip_forward=1
	ip netns exec server python3 -c '
import socket
listener = socket.create_server(("", 80))
while True:
    peer, _ = listener.accept()
    peer.sendall(b"server\n")
    peer.close()' &
}
answer() { timeout 10 bash -c 'cat </dev/tcp/10.1.0.100/80'; }
answers() {
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		[ "$(answer 2>/dev/null)" != server ] || return 0
		sleep 1
	done
	return 1
}

first='-A -t 10.1.0.100:80 -s wlc
-a -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 3
-A -f 7 -s sh -p 600
-a -f 7 -r 10.2.0.12:0 -g -w 1'
second='-A -t 10.1.0.100:80 -s rr
-a -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 2
-A -u 10.1.0.100:53 -s sed
-a -u 10.1.0.100:53 -r 10.2.0.12:53 -m -w 1'
up

case $boot in
1)
	check 'after the installation the director boots without a failed unit' equal "$(failed_units)" ''
	check 'the director is ipvs_rs' equal "$(directors)" ipvs_rs
	check 'the rules of /etc/lvsadm.rules are there' equal "$(rules)" "$first"
	check 'lvsadm.service is active' systemctl is-active lvsadm
	serve
	check 'a client of the service gets an answer' answers
	check 'ipvsadm lists the services' ipvsadm -L -n

	echo "$second" >/etc/lvsadm.rules
	check 'systemctl reload lvsadm succeeds' systemctl reload lvsadm
	check 'a reload makes the table equal the file' equal "$(rules | sort)" "$(sort <<<"$second")"
	echo '-A -t 10.1.0.100:80 -s nosuch' >/etc/lvsadm.rules
	check 'a reload with a wrong rule fails' fails systemctl reload lvsadm
	check 'a reload with a wrong rule changes nothing' equal "$(rules | sort)" "$(sort <<<"$second")"
	echo "$second" >/etc/lvsadm.rules
	check 'systemctl restart lvsadm succeeds' systemctl restart lvsadm
	check 'systemctl stop lvsadm succeeds' systemctl stop lvsadm
	check 'a stop leaves the table' equal "$(rules | sort)" "$(sort <<<"$second")"
	check 'the manual pages are installed' test -s /usr/share/man/man5/lvsadm-rules.5.gz -a -s /usr/share/man/man7/ipvs_rs-settings.7.gz
	echo $number >$state/number
	systemctl reboot
	;;
2)
	check 'after a reboot the director is ipvs_rs' equal "$(directors)" ipvs_rs
	check 'after a reboot the rules are there' equal "$(rules | sort)" "$(sort <<<"$second")"
	check 'after a reboot no unit has failed' equal "$(failed_units)" ''

	version=$(dpkg-query -W -f '${Version}' ipvs-rs-dkms)
	lvsadm -C
	lsmod | awk '/^ipvs_rs_/ { print $1 }' | xargs -n 1 modprobe -r
	modprobe -r ip_vs
	check 'modprobe -r ip_vs removes ipvs_rs' equal "$(directors)" ''
	check 'DKMS takes the modules of this kernel away' dkms uninstall "ipvs-rs/$version" -k "$(uname -r)"
	check 'the modules load at boot as before' systemctl restart systemd-modules-load
	check 'a kernel without our modules keeps the C director' equal "$(directors)" ip_vs
	check 'the rules apply to the C director' systemctl restart lvsadm
	check 'the C director has the rules' equal "$(rules | sort)" "$(sort <<<"$second")"
	modprobe ip_vs_rr
	check 'modprobe -r ip_vs fails while the C director is in use' fails modprobe -r ip_vs
	check 'the C director stays' equal "$(directors)" ip_vs

	check 'the packages can be purged' dpkg --purge ipvs-rs-dkms lvsadm
	check 'a purge leaves nothing behind' equal \
		"$(find /usr /var/lib /etc -name 'ipvs*rs*' -o -name 'lvsadm*' ! -name lvsadm.rules)" ''
	echo $number >$state/number
	systemctl reboot
	;;
3)
	check 'without the packages no unit fails' equal "$(failed_units)" ''
	check 'without the packages modprobe ip_vs succeeds' modprobe ip_vs
	check 'without the packages ip_vs is the C director' equal "$(directors)" ip_vs
	echo "1..$number"
	systemctl poweroff
	;;
esac
