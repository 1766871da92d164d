#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs in a director with our packages after each boot, and prints TAP. Each boot runs the next
# stage.
#   boots.sh NUMBER STAGE...      NUMBER: the checks that the caller has printed before
# installed: after the installation: the start, the rules and their changes.
# secure: a boot with secure boot.
# upgraded: another kernel: all of it is there again.
# unbuilt: a kernel without our modules, and the removal of the packages.
# purged: a boot without the packages.

state=/var/lib/packages-test
mkdir -p $state
boot=$(($(cat $state/boot 2>/dev/null || echo 0) + 1))
echo $boot >$state/boot
number=$(cat $state/number 2>/dev/null || echo "$1")
shift
stage=${!boot} next=$((boot + 1))
next=${!next-}

check() { # NAME CMD...: passes if the command succeeds
	local name=$1
	shift
	number=$((number + 1))
	# Not in a subshell: the command may open a connection.
	if "$@" >$state/output 2>&1; then
		echo "ok $number - $name"
	else
		echo "# $*"
		sed 's/^/# /' $state/output
		echo "not ok $number - $name"
	fi
}
equal() { [ "$1" = "$2" ] || { echo "got: $1"; echo "wanted: $2"; return 1; }; }
fails() { ! "$@"; }
directors() { awk '$1 == "ip_vs" || $1 == "ipvs_rs" { print $1 }' /proc/modules | xargs; }
rules() { lvsadm -S -n; }
failed_units() { systemctl --failed --no-legend --plain | awk '{ print $1 }' | xargs; }
# up: waits until all units have started.
up() { systemctl is-system-running --wait >/dev/null; }

# serve: a real server in a network namespace, for the service 10.1.0.100:80. It says its name and
# then repeats what it gets.
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
	ip netns exec server socat TCP-LISTEN:80,fork,reuseaddr 'SYSTEM:echo server; cat' 2>/dev/null &
}
# answers: opens a connection through the service, with descriptor 3, and waits for the name.
answers() {
	local name
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		{ exec 3<>/dev/tcp/10.1.0.100/80; } 2>/dev/null && read -rt 10 name <&3 && [ "$name" = server ] && return
		sleep 1
	done
	return 1
}
# goes_on TEXT: the connection of descriptor 3 still carries text to the server and back.
goes_on() {
	local text
	echo "$1" >&3
	read -rt 60 text <&3 && equal "$text" "$1"
}

first='-A -t 10.1.0.100:80 -s wlc
-a -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 3
-A -f 7 -s sh -p 600
-a -f 7 -r 10.2.0.12:0 -g -w 1'
second='-A -t 10.1.0.100:80 -s rr
-a -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 2
-A -u 10.1.0.100:53 -s sed
-a -u 10.1.0.100:53 -r 10.2.0.12:53 -m -w 1'
maximum() { sysctl -n net.ipv4.vs.conn_max; }
# unload: removes the director with its schedulers, by the names of the C director.
unload() {
	lvsadm -C
	awk '/^ipvs_rs_/ { sub("ipvs_rs", "ip_vs"); print $1 }' /proc/modules | xargs -rn 1 modprobe -r
	modprobe -r ip_vs
}
# unbuild: takes our modules of this kernel away.
unbuild() {
	local version
	version=$(dpkg-query -W -f '${Version}' ipvs-rs-dkms)
	# `dkms status` takes long.
	if [ -d "/var/lib/dkms/ipvs-rs/$version/$(uname -r)" ]; then
		dkms uninstall "ipvs-rs/$version" -k "$(uname -r)"
	else
		rm -r "/lib/modules/$(uname -r)/updates/dkms"
		depmod
	fi
}
up

case $stage in
installed)
	check 'after the installation the director boots without a failed unit' equal "$(failed_units)" ''
	check 'the director is ipvs_rs' equal "$(directors)" ipvs_rs
	check 'the rules of /etc/lvsadm.rules are there' equal "$(rules)" "$first"
	check 'lvsadm.service is active' systemctl is-active lvsadm
	check 'lvsadm.service has run before the network was online' \
		grep -qw network-online.target <<<"$(systemctl show -P Before lvsadm)"
	serve
	check 'a client of the service gets an answer' answers
	check 'ipvsadm lists the services' ipvsadm -L -n

	# As migrating.rst says, from the C director, and from ipvs_rs.
	unload
	modprobe --ignore-install ip_vs
	lvsadm -R </etc/lvsadm.rules
	check 'a client of the C director gets an answer' answers
	check '/usr/lib/ipvs_rs/replace replaces the C director' /usr/lib/ipvs_rs/replace
	check 'then the director is ipvs_rs' equal "$(directors)" ipvs_rs
	check 'the connection of the C director goes on' goes_on first
	check '/usr/lib/ipvs_rs/replace replaces ipvs_rs' /usr/lib/ipvs_rs/replace
	check 'the connection goes on again' goes_on second
	check 'the rules are as before' equal "$(rules | sort)" "$(sort <<<"$first")"
	exec 3>&-

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
	for page in man8/lvsadm.8 man5/lvsadm-rules.5 man7/ipvs_rs-schedulers.7 man7/ipvs_rs-settings.7; do
		check "the manual page ${page#*/} is installed" test -s "/usr/share/man/$page.gz"
	done
	for file in bash-completion/completions/lvsadm zsh/vendor-completions/_lvsadm fish/vendor_completions.d/lvsadm.fish; do
		check "the completion ${file%%/*} is installed" test -s "/usr/share/$file"
	done
	sed 's/^#\(net.ipv4.vs.conn_max = \).*/\11000000/' /usr/share/doc/ipvs-rs-dkms/examples/sysctl.d/ipvs_rs.conf \
		>/etc/sysctl.d/ipvs_rs.conf
	systemctl restart systemd-sysctl
	check 'the example for sysctl.d sets conn_max' equal "$(maximum)" 1000000
	;;
secure)
	check 'with secure boot, the kernel is locked down' grep -q 'Kernel is locked down from EFI Secure Boot' <<<"$(dmesg)"
	check 'with secure boot, the kernel loads modules that are signed with an enrolled key' equal "$(directors)" ipvs_rs
	check 'with secure boot, the rules are there' equal "$(rules)" "$first"
	xzcat -f "$(modinfo -n ipvs_rs_rr)" | head -c -1 >$state/unsigned.ko
	modprobe -r ip_vs_rr
	check 'with secure boot, the kernel refuses modules without a signature' fails insmod $state/unsigned.ko
	check 'with secure boot, the same module loads with its signature' modprobe ip_vs_rr
	;;
upgraded)
	serve
	check "Linux $(uname -r): no unit has failed" equal "$(failed_units)" ''
	check "Linux $(uname -r): the director is ipvs_rs" equal "$(directors)" ipvs_rs
	check "Linux $(uname -r): the rules are there" equal "$(rules)" "$first"
	check "Linux $(uname -r): a client of the service gets an answer" answers
	;;
unbuilt)
	check 'a kernel without our modules boots without a failed unit' equal "$(failed_units)" ''
	check 'a kernel without our modules keeps the C director' equal "$(directors)" ip_vs
	check 'the C director has the rules' equal "$(rules | sort)" "$(sort </etc/lvsadm.rules)"
	check 'modprobe -r ip_vs fails while the C director is in use' fails modprobe -r ip_vs
	check 'the C director stays' equal "$(directors)" ip_vs
	check 'the packages can be removed' dpkg --remove ipvs-rs-dkms lvsadm
	check 'a removal leaves no module of any kernel' equal "$(find /lib/modules/ -name 'ipvs_rs*')" ''
	check 'a removal leaves the director that runs' equal "$(directors)" ip_vs
	check 'the packages can be purged' dpkg --purge ipvs-rs-dkms lvsadm
	check 'a purge leaves nothing behind' equal \
		"$(find /usr /var/lib /etc -name 'ipvs*rs*' ! -path '/etc/sysctl.d/*' -o -name 'lvsadm*' ! -name lvsadm.rules)" ''
	;;
purged)
	check 'without the packages no unit fails' equal "$(failed_units)" ''
	check 'without the packages modprobe ip_vs succeeds' modprobe ip_vs
	check 'without the packages ip_vs is the C director' equal "$(directors)" ip_vs
	;;
esac
if [ "$next" = unbuilt ]; then
	check 'modprobe -r ip_vs succeeds' unload
	check 'modprobe -r ip_vs has removed ipvs_rs' equal "$(directors)" ''
	# As secure boot does. This cannot be undone before the next boot. The modules have no
	# signature, or that of a key that is not enrolled.
	echo 1 >/sys/module/module/parameters/sig_enforce
	check 'where only trusted modules load, modprobe ip_vs succeeds' modprobe ip_vs
	check 'where only trusted modules load, others leave the C director' equal "$(directors)" ip_vs
	check 'where only trusted modules load, the kernel log says so' \
		grep -q 'ip_vs: ipvs_rs does not load' <<<"$(dmesg)"
	check 'the modules of this kernel can be taken away' unbuild
fi
echo "$number" >$state/number
echo "# end of $stage"
systemctl "$([ -n "$next" ] && echo reboot || echo poweroff)"
