// SPDX-License-Identifier: GPL-2.0-only
/*
 * An XDP program that drops the frames of one address, and hands all others to the
 * director:
 *
 *	clang --target=bpf -O2 -g -I/usr/include/$(uname -m)-linux-gnu -c forward.bpf.c
 *	ip link set dev eth0 xdpdrv obj forward.bpf.o sec xdp
 *
 * The director needs fast_path=2: Documentation/fast-path.rst.
 */

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>

#define SEC(name) __attribute__((section(name), used))

/* 192.0.2.1 */
#ifndef BLOCKED
#define BLOCKED 0xc0000201
#endif

extern int ipvs_rs_xdp_forward(struct xdp_md *ctx) SEC(".ksyms");

SEC("xdp") int forward(struct xdp_md *ctx)
{
	const void *end = (const void *)(long)ctx->data_end;
	const struct ethhdr *eth = (const void *)(long)ctx->data;
	const struct iphdr *ip = (const void *)(eth + 1);

	if ((const void *)(ip + 1) <= end && eth->h_proto == __builtin_bswap16(ETH_P_IP) &&
	    ip->saddr == __builtin_bswap32(BLOCKED))
		return XDP_DROP;
	return ipvs_rs_xdp_forward(ctx);
}

char _license[] SEC("license") = "GPL";
