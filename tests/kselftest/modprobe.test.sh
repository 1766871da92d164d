#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The file for modprobe.d that an installation brings. Requests for the C director or for one of its
# schedulers, by modprobe or by the netlink family, load ours.
# timeout: 60
# check: debug, because modprobe reads its files alike on both kernels

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

theirs=$(find "/lib/modules/$(uname -r)/kernel/net/netfilter/ipvs" -name 'ip_vs*.ko*' | sed 's,.*/,,; s,\.ko.*,,')

# means NAME: prints the modules of either director that modprobe would load for the name.
means() {
	modprobe --show-depends "$1" 2>&1 | sed -n 's,.*/\(ip_\?vs[a-z_]*\)\.ko.*,\1,p' | xargs
}
none_of_theirs() {
	check_eq "$1: no module of the C director is loaded" "$(lsmod | grep -c '^ip_vs')" 0
}

unload_all ip_vs
unload_all ipvs_rs
check_eq 'without the file, ip_vs loads the C director' "$(means ip_vs)" ip_vs
check_eq 'without the file, ip_vs_rr loads the C scheduler' "$(means ip_vs_rr)" 'ip_vs ip_vs_rr'
drop_in

check_eq 'the kernel has several director modules' "$(wc -l <<<"$theirs" | awk '{ print ($1 > 5) }')" 1
for name in $theirs; do
	must modprobe "$name"
	check "$name loads ${name/ip_vs/ipvs_rs}" loaded "${name/ip_vs/ipvs_rs}"
	none_of_theirs "$name"
	must modprobe -r "$name"
	check_eq "modprobe -r $name removes the module" "$(lsmod | grep -c '^ipvs_rs')" 0
done

# Firewall modules that use connections of the C director must not load it.
if modinfo xt_ipvs >/dev/null 2>&1; then
	check_fails 'a module that needs the C director is refused' 'ip_vs' modprobe xt_ipvs
	none_of_theirs xt_ipvs
fi

# The kernel requests the module by the name of the netlink family when a program asks for the
# family.
check 'the netlink family is found by name' python3 - <<'END'
import socket, struct
sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)  # NETLINK_GENERIC
name = struct.pack("=HH", 9, 2) + b"IPVS\0\0\0\0"  # CTRL_ATTR_FAMILY_NAME
request = struct.pack("=BBH", 3, 1, 0) + name  # CTRL_CMD_GETFAMILY
sock.send(struct.pack("=IHHII", 16 + len(request), 16, 1, 1, 0) + request)
answer = sock.recv(65536)
kind, = struct.unpack_from("=H", answer, 4)
assert kind == 16, "no such family: %d" % struct.unpack_from("=i", answer, 16)
END
check 'a request for the netlink family loads ipvs_rs' loaded ipvs_rs
none_of_theirs 'the netlink family'
unload_all ipvs_rs

# A program that finds the C director loaded gets modules that work with it.
must modprobe --ignore-install ip_vs
must modprobe ip_vs_rr
check_eq 'beside a loaded C director, ip_vs_rr loads the C scheduler' "$(lsmod | grep -o '^ip_\?vs[a-z_]*' | sort | xargs)" 'ip_vs ip_vs_rr'
check_fails 'modprobe -r ip_vs fails while a scheduler needs the C director' 'in use' modprobe -r ip_vs
must modprobe -r ip_vs_rr
must modprobe -r ip_vs
check_eq 'modprobe -r ip_vs removes the C director' "$(lsmod | grep -c '^ip_vs')" 0
check 'modprobe -r ip_vs succeeds when no director is loaded' modprobe -r ip_vs

# A kernel for which nobody built ipvs_rs.
hidden=$(modinfo -n ipvs_rs)
must mv "$hidden" "$hidden.hidden"
must modprobe ip_vs
check_eq 'a kernel without ipvs_rs keeps the C director' "$(lsmod | grep -o '^ip_\?vs[a-z_]*' | xargs)" ip_vs
must modprobe -r ip_vs
check 'a kernel without ipvs_rs: ipvsadm works' ipvsadm -A -t 10.0.0.1:80 -s rr
check_eq 'a kernel without ipvs_rs: ipvsadm has loaded the C director' \
	"$(lsmod | grep -o '^ip_\?vs[a-z_]*' | sort | xargs)" 'ip_vs ip_vs_rr'
must ipvsadm -C
must modprobe -r ip_vs_rr
must modprobe -r ip_vs
must mv "$hidden.hidden" "$hidden"

# A kernel that refuses ipvs_rs. Here the reason is a parameter without meaning; secure boot refuses
# a module that is not signed.
echo 'options ipvs_rs delegate=nobody' >/etc/modprobe.d/refused.conf
check_match 'a kernel that refuses ipvs_rs: modprobe says that the C director takes its place' "$(modprobe ip_vs 2>&1)" \
	'.*ip_vs: ipvs_rs does not load, so the C director ip_vs takes its place.*'
check_eq 'a kernel that refuses ipvs_rs gets the C director' "$(lsmod | grep -o '^ip_\?vs[a-z_]*' | xargs)" ip_vs
must modprobe -r ip_vs
must rm /etc/modprobe.d/refused.conf

rm "$drop_in_force"
check_eq 'once the file is removed, ip_vs loads the C director' "$(means ip_vs)" ip_vs
finish
