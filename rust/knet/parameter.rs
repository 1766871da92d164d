// SPDX-License-Identifier: GPL-2.0-only

//! Parameters of modules that are lists of ports, which the kernel's `module!` macro lacks:
//! `modprobe NAME ports=21,2121`.
//!
//! C header: `include/linux/moduleparam.h`

use core::{
    cell::UnsafeCell,
    ffi::{c_uint, CStr},
    mem::size_of,
};
use kernel::{bindings, str::as_char_ptr_in_const_context};

/// The most ports of a list.
pub const MOST: usize = 8;
/// The permissions of the file below `/sys/module/NAME/parameters`: everybody may read it.
const MODE: u16 = 0o444;

/// The ports of a parameter. The kernel writes them before the module is initialized, and never
/// again.
pub struct Ports {
    ports: UnsafeCell<[u16; MOST]>,
    count: UnsafeCell<c_uint>,
}

// SAFETY: nobody writes the cells once the module is initialized.
unsafe impl Sync for Ports {}

impl Ports {
    /// A parameter that is one port if nobody sets it.
    pub const fn new(port: u16) -> Self {
        Self {
            ports: UnsafeCell::new([port, 0, 0, 0, 0, 0, 0, 0]),
            count: UnsafeCell::new(1),
        }
    }

    /// The ports; 0 stands for none. From the initialization of the module on, any context.
    pub fn get(&self) -> [u16; MOST] {
        // SAFETY: the kernel has parsed the parameters. Later it only reads them, because the file
        // cannot be written.
        unsafe { *self.ports.get() }
    }
}

/// What the kernel must know about the memory of a list.
pub struct Array(bindings::kparam_array);

// SAFETY: only the kernel reads it.
unsafe impl Sync for Array {}

impl Array {
    /// The memory of these ports.
    pub const fn new(ports: &'static Ports) -> Self {
        Self(bindings::kparam_array {
            max: MOST as c_uint,
            elemsize: size_of::<u16>() as c_uint,
            num: ports.count.get(),
            ops: &raw const bindings::param_ops_ushort,
            elem: ports.ports.get().cast(),
        })
    }
}

/// An entry of the section `__param`.
#[repr(transparent)]
pub struct Parameter(bindings::kernel_param);

// SAFETY: only the kernel reads it.
unsafe impl Sync for Parameter {}

impl Parameter {
    /// The parameter `name` of `module` with this memory.
    pub const fn new(
        name: &'static CStr,
        module: *const bindings::module,
        array: &'static Array,
    ) -> Self {
        Self(bindings::kernel_param {
            name: as_char_ptr_in_const_context(name),
            mod_: module.cast_mut(),
            ops: &raw const bindings::param_array_ops,
            perm: MODE,
            level: -1,
            flags: 0,
            __bindgen_anon_1: bindings::kernel_param__bindgen_ty_1 {
                arr: &raw const array.0,
            },
        })
    }
}

/// Declares the parameter `ports` of the module that is being compiled, with a description, as a
/// static [`Ports`] called `PORTS`.
#[macro_export]
macro_rules! ports_parameter {
    ($default:expr, $description:literal) => {
        static PORTS: $crate::parameter::Ports = $crate::parameter::Ports::new($default);

        const _: () = {
            static ARRAY: $crate::parameter::Array = $crate::parameter::Array::new(&PORTS);
            #[link_section = "__param"]
            #[used(compiler)]
            static PARAMETER: $crate::parameter::Parameter = $crate::parameter::Parameter::new(
                c"ports",
                &raw const ::kernel::bindings::__this_module,
                &ARRAY,
            );

            // With `used` alone, a newer rustc flags the section for the linker. Then it is another
            // one than that of `module!`, and modpost reads only one of them.
            const KIND: &str = "parmtype=ports:array of ushort\0";
            #[link_section = ".modinfo"]
            #[used(compiler)]
            static KIND_OCTETS: [u8; KIND.len()] = $crate::parameter::octets(KIND);

            const TEXT: &str = concat!("parm=ports:", $description, "\0");
            #[link_section = ".modinfo"]
            #[used(compiler)]
            static TEXT_OCTETS: [u8; TEXT.len()] = $crate::parameter::octets(TEXT);
        };
    };
}

/// The octets of a text with `N` octets, for the section `.modinfo`.
pub const fn octets<const N: usize>(text: &str) -> [u8; N] {
    match text.as_bytes().first_chunk::<N>() {
        Some(octets) => *octets,
        None => [0; N],
    }
}
