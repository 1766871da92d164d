// SPDX-License-Identifier: GPL-2.0-only
/* Generic netlink families whose attributes are parsed in Rust. */

#include <linux/slab.h>
#include <net/genetlink.h>
#include <net/sock.h>

#include "helpers.h"

struct knet_family {
	struct genl_family family;
	struct genl_ops ops[];
};

/*
 * Commands require CAP_NET_ADMIN: in the initial user namespace, or with
 * @delegated in the one that owns the network namespace. Process context.
 */
struct genl_family *knet_family_register(const char *name, unsigned int version,
					 const struct knet_command *commands, unsigned int n,
					 const struct knet_family_calls *calls,
					 struct module *owner, bool delegated, int *error)
{
	struct knet_family *f;
	unsigned int i;

	f = kzalloc(struct_size(f, ops, n), GFP_KERNEL);
	if (!f) {
		*error = -ENOMEM;
		return NULL;
	}
	for (i = 0; i < n; i++) {
		f->ops[i].cmd = commands[i].number;
		f->ops[i].flags = delegated ? GENL_UNS_ADMIN_PERM : GENL_ADMIN_PERM;
		f->ops[i].validate = GENL_DONT_VALIDATE_STRICT |
				     GENL_DONT_VALIDATE_DUMP;
		if (commands[i].act)
			f->ops[i].doit = calls->act;
		if (commands[i].dump) {
			f->ops[i].start = calls->start;
			f->ops[i].dumpit = calls->dump;
			f->ops[i].done = calls->done;
		}
	}
	strscpy(f->family.name, name, sizeof(f->family.name));
	f->family.version = version;
	f->family.netnsok = true;
	f->family.parallel_ops = true;
	f->family.module = owner;
	f->family.ops = f->ops;
	f->family.n_ops = n;
	f->family.resv_start_op = U8_MAX;

	*error = genl_register_family(&f->family);
	if (*error) {
		kfree(f);
		return NULL;
	}
	return &f->family;
}

/* Waits until no command is running. Process context. */
void knet_family_unregister(struct genl_family *family)
{
	genl_unregister_family(family);
	kfree(container_of(family, struct knet_family, family));
}

struct net *knet_info_net(const struct genl_info *info)
{
	return genl_info_net(info);
}

u8 knet_info_command(const struct genl_info *info)
{
	return info->genlhdr->cmd;
}

/* The attribute stream behind the generic netlink header. */
const u8 *knet_nlmsg_attributes(const struct nlmsghdr *nlh, u32 *len)
{
	u32 offset = NLMSG_HDRLEN + GENL_HDRLEN;

	*len = nlh->nlmsg_len > offset ? nlh->nlmsg_len - offset : 0;
	return (const u8 *)nlh + offset;
}

/* @message must outlive the answer: string literals do. */
void knet_info_message(struct genl_info *info, const char *message)
{
	if (info->extack)
		info->extack->_msg = message;
}

void knet_cb_message(struct netlink_callback *cb, const char *message)
{
	if (cb->extack)
		cb->extack->_msg = message;
}

struct net *knet_cb_net(const struct netlink_callback *cb)
{
	return sock_net(cb->skb->sk);
}

u8 knet_cb_command(const struct netlink_callback *cb)
{
	const struct genlmsghdr *header = nlmsg_data(cb->nlh);

	return header->cmd;
}

struct sk_buff *knet_reply_new(void)
{
	return genlmsg_new(NLMSG_DEFAULT_SIZE, GFP_KERNEL);
}

void *knet_reply_header(struct sk_buff *skb, struct genl_info *info,
			u8 command)
{
	return genlmsg_put_reply(skb, info, info->family, 0, command);
}

int knet_reply_send(struct sk_buff *skb, void *header, struct genl_info *info)
{
	genlmsg_end(skb, header);
	return genlmsg_reply(skb, info);
}

void knet_reply_free(struct sk_buff *skb)
{
	nlmsg_free(skb);
}

void *knet_dump_header(struct sk_buff *skb, struct netlink_callback *cb,
		       u8 command)
{
	return genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			   genl_info_dump(cb)->family, NLM_F_MULTI, command);
}

void knet_dump_end(struct sk_buff *skb, void *header)
{
	genlmsg_end(skb, header);
}

void knet_dump_cancel(struct sk_buff *skb, void *header)
{
	genlmsg_cancel(skb, header);
}

int knet_put(struct sk_buff *skb, int type, const void *data, int len)
{
	return nla_put(skb, type, len, data);
}

int knet_put_u64(struct sk_buff *skb, int type, u64 value, int pad)
{
	return nla_put_u64_64bit(skb, type, value, pad);
}

struct nlattr *knet_nest_start(struct sk_buff *skb, int type)
{
	return nla_nest_start_noflag(skb, type);
}

void knet_nest_end(struct sk_buff *skb, struct nlattr *nest)
{
	nla_nest_end(skb, nest);
}

/* The state of a dump between its calls. */
void **knet_dump_data(struct netlink_callback *cb)
{
	return (void **)&cb->args[0];
}

const struct nlmsghdr *knet_cb_message_header(const struct netlink_callback *cb)
{
	return cb->nlh;
}

const struct nlmsghdr *knet_info_message_header(const struct genl_info *info)
{
	return info->nlhdr;
}

u32 knet_dump_length(const struct sk_buff *skb)
{
	return skb->len;
}
