/* SPDX-License-Identifier: GPL-2.0-only */
/* Tunnels of packets and of frames: see tunnel.c and xdp.c. */
#ifndef KNET_TUNNEL_H
#define KNET_TUNNEL_H

#include <net/ip.h>

/*
 * The UDP source port of a tunnel for packets of a flow with this hash, so that routers
 * and cards spread flows: as udp_flow_src_port() makes one of the hash of a packet. It
 * does not tell which connections have the same lower half of the hash.
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
