/* SPDX-License-Identifier: GPL-2.0-only */
/* Tunnels of packets and of frames: see tunnel.c and xdp.c. */
#ifndef KNET_TUNNEL_H
#define KNET_TUNNEL_H

#include <net/ip.h>

/*
 * The UDP source port of a tunnel for packets of a flow with this hash, as
 * udp_flow_src_port() makes one of the hash of a packet: routers and cards spread flows
 * by it. The upper half of the hash hides the lower one, which chooses the bucket, from
 * those who see the port.
 */
static __always_inline u16 knet_tunnel_port(struct net *net, u32 flow)
{
	int min, max;

	inet_get_local_port_range(net, &min, &max);
	/* The upper bits choose the port. */
	flow ^= flow << 16;
	return (((u64)flow * (max - min)) >> 32) + min;
}

#endif /* KNET_TUNNEL_H */
