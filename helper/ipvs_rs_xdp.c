// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lets XDP programs hand the frames of known connections to the director:
 *
 *	int ipvs_rs_xdp_forward(struct xdp_md *ctx);
 *
 * The function returns the action with which the program must end: XDP_PASS for each
 * frame that the director leaves to the host. Documentation/fast-path.rst tells how
 * programs call it. While a program that calls it is loaded, so is this module.
 *
 * It is a module of its own so that only hosts that use XDP need a kernel that can
 * have it.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/module.h>

#include "helpers.h"

__bpf_kfunc_start_defs();

__bpf_kfunc int ipvs_rs_xdp_forward(struct xdp_md *ctx)
{
	return knet_xdp_forward((struct xdp_buff *)ctx);
}

__bpf_kfunc_end_defs();

#ifdef IPVS_RS_OWN_BTF

/*
 * What tools make of this module's debug information where they have the kernel's
 * types: the function above, with its own types in .BTF, and those of the kernel, by
 * their names, in .BTF.base. Documentation/bpf/btf.rst in the kernel has the format.
 */

/* As struct btf_header, which may grow. */
struct own_header {
	__u16 magic;
	__u8 version;
	__u8 flags;
	__u32 hdr_len;
	__u32 type_off;
	__u32 type_len;
	__u32 str_off;
	__u32 str_len;
};

#define OWN_HEADER(of, end)						\
	.header = {							\
		.magic = BTF_MAGIC,					\
		.version = BTF_VERSION,					\
		.hdr_len = sizeof(struct own_header),			\
		.type_len = offsetof(of, strings) - sizeof(struct own_header), \
		.str_off = offsetof(of, strings) - sizeof(struct own_header), \
		.str_len = sizeof((end)),				\
	}

#define OWN_INFO(kind, count)	((kind) << 24 | (count))

/* Offsets of strings. Those of .BTF follow those of .BTF.base. */
enum {
	NAME_INT = 1,
	NAME_XDP_MD = NAME_INT + sizeof("int"),
	NAME_CTX = NAME_XDP_MD + sizeof("xdp_md"),
	NAME_FUNCTION = NAME_CTX + sizeof("ctx"),
	NAME_TAG = NAME_FUNCTION + sizeof("ipvs_rs_xdp_forward"),
};

/* Identifiers of types. */
enum { TYPE_INT = 1, TYPE_XDP_MD, TYPE_CTX, TYPE_PROTOTYPE, TYPE_FUNCTION };

#define BASE_STRINGS	"\0int\0xdp_md"
#define OWN_STRINGS	"ctx\0ipvs_rs_xdp_forward\0bpf_kfunc"

struct base_btf {
	struct own_header header;
	struct btf_type integer;
	__u32 encoding;
	struct btf_type xdp_md;
	char strings[sizeof(BASE_STRINGS)];
} __packed;

static const struct base_btf base_btf __used __section(".BTF.base") = {
	OWN_HEADER(struct base_btf, BASE_STRINGS),
	.integer = {
		.name_off = NAME_INT,
		.info = OWN_INFO(BTF_KIND_INT, 0),
		.size = sizeof(int),
	},
	.encoding = BTF_INT_SIGNED << 24 | 32,
	.xdp_md = {
		.name_off = NAME_XDP_MD,
		.info = OWN_INFO(BTF_KIND_STRUCT, 0),
		.size = sizeof(struct xdp_md),
	},
	.strings = BASE_STRINGS,
};

struct own_btf {
	struct own_header header;
	struct btf_type ctx;
	struct btf_type prototype;
	struct btf_param parameter;
	struct btf_type function;
	struct btf_type tag;
	struct btf_decl_tag tag_of;
	char strings[sizeof(OWN_STRINGS)];
} __packed;

static const struct own_btf own_btf __used __section(".BTF") = {
	OWN_HEADER(struct own_btf, OWN_STRINGS),
	.ctx = {
		.info = OWN_INFO(BTF_KIND_PTR, 0),
		.type = TYPE_XDP_MD,
	},
	.prototype = {
		.info = OWN_INFO(BTF_KIND_FUNC_PROTO, 1),
		.type = TYPE_INT,
	},
	.parameter = {
		.name_off = NAME_CTX,
		.type = TYPE_CTX,
	},
	.function = {
		.name_off = NAME_FUNCTION,
		.info = OWN_INFO(BTF_KIND_FUNC, BTF_FUNC_STATIC),
		.type = TYPE_PROTOTYPE,
	},
	/* Tools show the function to authors of programs. */
	.tag = {
		.name_off = NAME_TAG,
		.info = OWN_INFO(BTF_KIND_DECL_TAG, 0),
		.type = TYPE_FUNCTION,
	},
	.tag_of = {
		.component_idx = -1,
	},
	.strings = OWN_STRINGS,
};

/* A struct btf_id_set8 of one. */
static struct {
	u32 cnt;
	u32 flags;
	u32 id;
	u32 id_flags;
} own_functions = {
	.cnt = 1,
	.flags = BTF_SET8_KFUNCS,
	.id = TYPE_FUNCTION,
};

#define FUNCTIONS ((struct btf_id_set8 *)&own_functions)

#else

BTF_KFUNCS_START(named_functions)
BTF_ID_FLAGS(func, ipvs_rs_xdp_forward)
BTF_KFUNCS_END(named_functions)

#define FUNCTIONS (&named_functions)

#endif

static int __init ipvs_rs_xdp_init(void)
{
	static const struct btf_kfunc_id_set set = {
		.owner = THIS_MODULE,
		.set = FUNCTIONS,
	};
	int err;

	if (!IS_ENABLED(CONFIG_DEBUG_INFO_BTF_MODULES)) {
		pr_err("XDP needs a kernel with CONFIG_DEBUG_INFO_BTF_MODULES\n");
		return -EOPNOTSUPP;
	}
	err = register_btf_kfunc_id_set(BPF_PROG_TYPE_XDP, &set);
	if (err) {
		pr_err("the kernel does not let XDP programs call a function (error %d)\n", err);
		return err;
	}
	knet_xdp_offer(true);
	return 0;
}

static void __exit ipvs_rs_xdp_exit(void)
{
	knet_xdp_offer(false);
}

module_init(ipvs_rs_xdp_init);
module_exit(ipvs_rs_xdp_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Lets XDP programs hand frames to the director ipvs_rs");
