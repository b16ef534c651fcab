# SPDX-License-Identifier: MIT
"""host.py PLUGIN.so: a host of strategies in Python, with a clock of its own,
for the plugin of examples/plugin/minute.rs. It knows the construction from the
plugin's comment and makes the same cookies."""
import ctypes as c
import hashlib
import hmac
import sys

SECRET = bytes(range(32))
MINUTE = 60000
VALID, MALFORMED, EXPIRED, MISMATCH = 1, 2, 4, 6
P, U8, U32, U64, I32, SIZE = (c.c_void_p, c.c_uint8, c.c_uint32, c.c_uint64,
                              c.c_int32, c.c_size_t)


class Input(c.Structure):
    _fields_ = [("size", U32), ("flags", U32), ("mono_ms", U64),
                ("unix_ms", U64), ("peer", U8 * 24), ("local", U8 * 24),
                ("core", P), ("tail", P), ("app", P), ("core_len", U32),
                ("tail_len", U32), ("app_len", U32), ("fragment_len", U32)]


class Result(c.Structure):
    _fields_ = [("size", U32), ("age_ms", U32), ("node", U32),
                ("app_len", U32), ("app", U8 * 232)]


LOG = c.CFUNCTYPE(None, P, I32, c.c_char_p)
RANDOM = c.CFUNCTYPE(I32, P, P, SIZE)
CLEANSE = c.CFUNCTYPE(None, P, SIZE)
CT_EQUAL = c.CFUNCTYPE(I32, P, P, SIZE)
HMAC_NEW = c.CFUNCTYPE(P, P, P, SIZE)
HMAC_SHA256 = c.CFUNCTYPE(I32, P, P, SIZE, P)
HMAC_FREE = c.CFUNCTYPE(None, P)
STRATEGY = c.CFUNCTYPE(P, P, c.c_char_p)
OPEN = c.CFUNCTYPE(I32, P, P, P, SIZE, c.POINTER(P), c.c_char_p, SIZE)
CLOSE = c.CFUNCTYPE(None, P)
MINT = c.CFUNCTYPE(I32, P, c.POINTER(Input), P, SIZE)
VERIFY = c.CFUNCTYPE(I32, P, c.POINTER(Input), c.c_char_p, SIZE,
                     c.POINTER(Result))


class Host(c.Structure):
    _fields_ = [("size", U32), ("abi", U32), ("ctx", P),
                ("default_secret", c.c_char_p), ("log", LOG),
                ("random", RANDOM), ("cleanse", CLEANSE),
                ("ct_equal", CT_EQUAL), ("hmac_new", HMAC_NEW),
                ("hmac_sha256", HMAC_SHA256), ("hmac_free", HMAC_FREE),
                ("strategy", STRATEGY)]


class Plugin(c.Structure):
    _fields_ = [("size", U32), ("abi", U32), ("name", c.c_char_p),
                ("max_cookie_len", U32), ("flags", U32), ("open", OPEN),
                ("close", CLOSE), ("mint", MINT), ("verify", VERIFY),
                ("tick", P), ("counter", P)]


keys = {}  # of the contexts that are lent


def hmac_new(_ctx, key, length):
    handle = max(keys, default=0) + 1
    keys[handle] = c.string_at(key, length)
    return handle


def hmac_sha256(handle, data, length, tag):
    c.memmove(tag, sha256(keys[handle], c.string_at(data, length)), 32)
    return 0


def sha256(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


HOST = Host(c.sizeof(Host), 1, None, SECRET, LOG(lambda *_: None),
            RANDOM(lambda *_: -1), CLEANSE(lambda p, n: c.memset(p, 0, n)),
            CT_EQUAL(lambda a, b, n: c.string_at(a, n) == c.string_at(b, n)),
            HMAC_NEW(hmac_new), HMAC_SHA256(hmac_sha256),
            HMAC_FREE(lambda handle: keys.pop(handle, None) and None),
            STRATEGY(lambda *_: None))
CORE = bytes([0xfe, 0xfd]) + bytes(range(32)) + bytes([0])


def hello(mono_ms, last=1):
    peer = (U8 * 24)(*([0] * 15 + [last, 1, 2]))
    return Input(c.sizeof(Input), 0, mono_ms, 0, peer, (U8 * 24)(),
                 c.cast(CORE, P), None, None, len(CORE), 0, 0, 60)


def mint(plugin, state, mono_ms):
    room = c.create_string_buffer(64)
    length = plugin.mint(state, hello(mono_ms), room, 64)
    assert length == 18, length
    return room.raw[:length]


def expected(mono_ms):
    minute = mono_ms // MINUTE
    key = sha256(SECRET, b"minute cookie v1")
    message = minute.to_bytes(8, "big") + bytes(hello(0).peer) + CORE
    return bytes([0xf0, minute & 255]) + sha256(key, message)[:16]


def main():
    entry = c.CDLL(sys.argv[1]).dtlsl_cookie_plugin_v1
    entry.restype = c.POINTER(Plugin)
    plugin = entry().contents
    state, err = P(), c.create_string_buffer(256)

    def answer(cookie, mono_ms, last=1):
        out = Result(c.sizeof(Result))
        result = plugin.verify(state, hello(mono_ms, last), cookie,
                               len(cookie), out)
        return result, out.age_ms

    assert (plugin.size, plugin.abi, plugin.name) == (72, 1, b"minute")
    host = Host.from_buffer_copy(HOST)
    host.size -= 8
    assert plugin.open(c.byref(host), None, None, 0, state, err, 256) < 0
    assert b"too old" in err.value, err.value
    assert plugin.open(c.byref(HOST), None, None, 0, state, err, 256) == 0

    for start in (0, 5 * MINUTE, 255 * MINUTE, 300 * MINUTE, 2**40 * MINUTE):
        cookie = mint(plugin, state, start)
        assert cookie == expected(start)
        for later, result in ((0, VALID), (MINUTE, VALID),
                              (2 * MINUTE - 1, VALID), (2 * MINUTE, EXPIRED),
                              (255 * MINUTE, EXPIRED),
                              (256 * MINUTE, MISMATCH)):
            age = later if result == VALID else 0
            assert answer(cookie, start + later) == (result, age), later
        assert answer(cookie, start, last=2)[0] == MISMATCH
        assert answer(cookie[:-1], start)[0] == MALFORMED
        assert answer(b"\x10" + cookie[1:], start)[0] == MALFORMED
        for bit in range(8, 8 * len(cookie)):
            forged = bytearray(cookie)
            forged[bit // 8] ^= 1 << bit % 8
            assert answer(bytes(forged), start)[0] == MISMATCH, bit
    assert plugin.mint(state, hello(0), c.create_string_buffer(17), 17) < 0
    plugin.close(state)
    assert not keys, "a context was not given back"


main()
