// SPDX-License-Identifier: MIT
// The strategy "minute", in Rust: no crate, std and the host's HMAC.
//
//     0      1          2                                  18
//     +------+----------+-----------------------------------+
//     | 0xf0 | minute&ff| tag[16]                           |
//     +------+----------+-----------------------------------+
//
// tag is HMAC-SHA-256 over the minute of the monotonic clock, the peer and
// what the ClientHello has before its cookie. A cookie is good in its minute
// and the next one. The types are those of <dtlslisten/cookie.h>.
#![allow(non_camel_case_types, dead_code)]

use std::ffi::{c_void, CStr};
use std::os::raw::c_char;

const ABI: u32 = 1;
const SECRET_LEN: usize = 32;
const ADDRESS_LEN: usize = 24;
const CORE_MAX: usize = 67;

const VALID: i32 = 1;
const MALFORMED: i32 = 2;
const EXPIRED: i32 = 4;
const MISMATCH: i32 = 6;
const ERR_ARGUMENT: i32 = -10001;
const ERR_NOMEM: i32 = -10002;
const ERR_OPTION: i32 = -10004;
const ERR_SPACE: i32 = -10007;
const ERR_PLUGIN: i32 = -10009;

const MARK: u8 = 0xf0; // of a private construction
const TAG_LEN: usize = 16;
const COOKIE_LEN: usize = 2 + TAG_LEN;
const MINUTE_MS: u64 = 60_000;

// ---- <dtlslisten/cookie.h> ------------------------------------------------

#[repr(C)]
pub struct dtlsl_cookie_input {
    size: u32,
    flags: u32,
    mono_ms: u64,
    unix_ms: u64,
    peer: [u8; ADDRESS_LEN],
    local: [u8; ADDRESS_LEN],
    core: *const u8,
    tail: *const u8,
    app: *const u8,
    core_len: u32,
    tail_len: u32,
    app_len: u32,
    fragment_len: u32,
}

#[repr(C)]
pub struct dtlsl_cookie_result {
    size: u32,
    age_ms: u32,
    node: u32,
    app_len: u32,
    app: [u8; 232],
}

#[repr(C)]
pub struct dtlsl_cookie_option {
    key: *const c_char,
    value: *const c_char,
}

#[repr(C)]
pub struct dtlsl_cookie_host {
    size: u32,
    abi: u32,
    ctx: *mut c_void,
    default_secret: *const u8,
    log: extern "C" fn(*mut c_void, i32, *const c_char),
    random: extern "C" fn(*mut c_void, *mut u8, usize) -> i32,
    cleanse: extern "C" fn(*mut c_void, usize),
    ct_equal: extern "C" fn(*const u8, *const u8, usize) -> i32,
    hmac_new: extern "C" fn(*mut c_void, *const u8, usize) -> *mut c_void,
    hmac_sha256: extern "C" fn(*mut c_void, *const u8, usize, *mut u8) -> i32,
    hmac_free: extern "C" fn(*mut c_void),
    strategy: extern "C" fn(
        *mut c_void,
        *const c_char,
    ) -> *const dtlsl_cookie_plugin,
}

#[repr(C)]
pub struct dtlsl_cookie_plugin {
    size: u32,
    abi: u32,
    name: *const c_char,
    max_cookie_len: u32,
    flags: u32,
    open: extern "C" fn(
        *const dtlsl_cookie_host,
        *mut c_void,
        *const dtlsl_cookie_option,
        usize,
        *mut *mut c_void,
        *mut c_char,
        usize,
    ) -> i32,
    close: extern "C" fn(*mut c_void),
    mint: extern "C" fn(
        *mut c_void,
        *const dtlsl_cookie_input,
        *mut u8,
        usize,
    ) -> i32,
    verify: extern "C" fn(
        *mut c_void,
        *const dtlsl_cookie_input,
        *const u8,
        usize,
        *mut dtlsl_cookie_result,
    ) -> i32,
    tick: Option<extern "C" fn(*mut c_void, u64, u64, *mut u64)>,
    counter: Option<
        extern "C" fn(*mut c_void, u32, *mut *const c_char, *mut u64) -> i32,
    >,
}

#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(std::mem::size_of::<dtlsl_cookie_input>() == 112);
    assert!(std::mem::size_of::<dtlsl_cookie_result>() == 248);
    assert!(std::mem::size_of::<dtlsl_cookie_host>() == 88);
    assert!(std::mem::size_of::<dtlsl_cookie_plugin>() == 72);
};

// The table is constant.
unsafe impl Sync for dtlsl_cookie_plugin {}

// ---- the strategy ---------------------------------------------------------

struct Minute<'a> {
    host: &'a dtlsl_cookie_host,
    mac: *mut c_void,
}

impl<'a> Minute<'a> {
    // A key of its own: the default secret is other strategies', too.
    fn new(host: &'a dtlsl_cookie_host) -> Result<Self, i32> {
        let label = b"minute cookie v1";
        let mut key = [0; 32];
        let secret = host.default_secret;
        let mac = (host.hmac_new)(host.ctx, secret, SECRET_LEN);
        if mac.is_null() {
            return Err(ERR_NOMEM);
        }
        let status = (host.hmac_sha256)(
            mac,
            label.as_ptr(),
            label.len(),
            key.as_mut_ptr(),
        );
        (host.hmac_free)(mac);
        let mac = if status < 0 {
            std::ptr::null_mut()
        } else {
            (host.hmac_new)(host.ctx, key.as_ptr(), key.len())
        };
        (host.cleanse)(key.as_mut_ptr().cast(), key.len());
        if mac.is_null() {
            return Err(ERR_NOMEM);
        }
        Ok(Minute { host, mac })
    }

    fn tag(
        &self,
        minute: u64,
        input: &dtlsl_cookie_input,
    ) -> Result<[u8; 32], i32> {
        let len = input.core_len as usize;
        if len > CORE_MAX {
            return Err(ERR_ARGUMENT);
        }
        let core = unsafe { std::slice::from_raw_parts(input.core, len) };
        let mut message = [0; 8 + ADDRESS_LEN + CORE_MAX];
        let mut tag = [0; 32];
        message[..8].copy_from_slice(&minute.to_be_bytes());
        message[8..8 + ADDRESS_LEN].copy_from_slice(&input.peer);
        message[8 + ADDRESS_LEN..][..len].copy_from_slice(core);
        let whole = 8 + ADDRESS_LEN + len;
        match (self.host.hmac_sha256)(
            self.mac,
            message.as_ptr(),
            whole,
            tag.as_mut_ptr(),
        ) {
            status if status < 0 => Err(status),
            _ => Ok(tag),
        }
    }

    fn mint(
        &self,
        input: &dtlsl_cookie_input,
        cookie: &mut [u8],
    ) -> Result<i32, i32> {
        if cookie.len() < COOKIE_LEN {
            return Err(ERR_SPACE);
        }
        let minute = input.mono_ms / MINUTE_MS;
        let tag = self.tag(minute, input)?;
        cookie[0] = MARK;
        cookie[1] = minute as u8;
        cookie[2..COOKIE_LEN].copy_from_slice(&tag[..TAG_LEN]);
        Ok(COOKIE_LEN as i32)
    }

    fn verify(
        &self,
        input: &dtlsl_cookie_input,
        cookie: &[u8],
        out: &mut dtlsl_cookie_result,
    ) -> Result<i32, i32> {
        if cookie.len() != COOKIE_LEN || cookie[0] != MARK {
            return Ok(MALFORMED);
        }
        let now = input.mono_ms / MINUTE_MS;
        let age = u64::from((now as u8).wrapping_sub(cookie[1]));
        if age > now {
            return Ok(MISMATCH);
        }
        let tag = self.tag(now - age, input)?;
        if (self.host.ct_equal)(tag.as_ptr(), cookie[2..].as_ptr(), TAG_LEN)
            != 1
        {
            return Ok(MISMATCH);
        }
        if age > 1 {
            return Ok(EXPIRED);
        }
        out.age_ms = (input.mono_ms - (now - age) * MINUTE_MS) as u32;
        Ok(VALID)
    }
}

impl Drop for Minute<'_> {
    fn drop(&mut self) {
        (self.host.hmac_free)(self.mac);
    }
}

// ---- the C side: a panic aborts, it never unwinds into the caller ---------

fn explain(err: *mut c_char, err_len: usize, text: &str) {
    let len = text.len().min(err_len.saturating_sub(1));
    if err_len > 0 {
        unsafe {
            std::ptr::copy_nonoverlapping(text.as_ptr().cast(), err, len);
            *err.add(len) = 0;
        }
    }
}

fn flat(result: Result<i32, i32>) -> i32 {
    result.unwrap_or_else(|code| code)
}

extern "C" fn open(
    host: *const dtlsl_cookie_host,
    _user: *mut c_void,
    options: *const dtlsl_cookie_option,
    n_options: usize,
    state: *mut *mut c_void,
    err: *mut c_char,
    err_len: usize,
) -> i32 {
    // The size first: an older library's table is shorter.
    let host_size = unsafe { *host.cast::<u32>() } as usize;
    if host_size < std::mem::size_of::<dtlsl_cookie_host>() {
        explain(err, err_len, "the library is too old; update libdtlslisten");
        return ERR_PLUGIN;
    }
    if n_options > 0 {
        let key = unsafe { CStr::from_ptr((*options).key) };
        let text = format!("strategy minute has no option '{}'; take it out",
                           key.to_string_lossy());
        explain(err, err_len, &text);
        return ERR_OPTION;
    }
    match Minute::new(unsafe { &*host }) {
        Ok(minute) => {
            unsafe { *state = Box::into_raw(Box::new(minute)).cast() };
            0
        }
        Err(code) => {
            explain(err, err_len, "no HMAC-SHA-256; check OpenSSL's provider");
            code
        }
    }
}

extern "C" fn close(state: *mut c_void) {
    drop(unsafe { Box::from_raw(state.cast::<Minute>()) });
}

extern "C" fn mint(
    state: *mut c_void,
    input: *const dtlsl_cookie_input,
    cookie: *mut u8,
    cap: usize,
) -> i32 {
    let minute = unsafe { &*state.cast::<Minute>() };
    let cookie = unsafe { std::slice::from_raw_parts_mut(cookie, cap) };
    flat(minute.mint(unsafe { &*input }, cookie))
}

extern "C" fn verify(
    state: *mut c_void,
    input: *const dtlsl_cookie_input,
    cookie: *const u8,
    len: usize,
    out: *mut dtlsl_cookie_result,
) -> i32 {
    let minute = unsafe { &*state.cast::<Minute>() };
    let cookie = unsafe { std::slice::from_raw_parts(cookie, len) };
    flat(minute.verify(unsafe { &*input }, cookie, unsafe { &mut *out }))
}

static TABLE: dtlsl_cookie_plugin = dtlsl_cookie_plugin {
    size: std::mem::size_of::<dtlsl_cookie_plugin>() as u32,
    abi: ABI,
    name: b"minute\0".as_ptr().cast(),
    max_cookie_len: COOKIE_LEN as u32,
    flags: 0,
    open,
    close,
    mint,
    verify,
    tick: None,
    counter: None,
};

#[no_mangle]
pub extern "C" fn dtlsl_cookie_plugin_v1() -> *const dtlsl_cookie_plugin {
    &TABLE
}
