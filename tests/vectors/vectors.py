#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The cookies of dtlslisten-cookie(7), computed from its text alone.

    vectors.py check FILE     recompute every vector of the file
    vectors.py make           print the file

Nothing here is shared with the C code. The standard library is enough for
"hmac", "cluster", the key file and the ClientHello; AES needs the module
cryptography (python3-cryptography)."""

import hashlib
import hmac
import struct
import sys

LABEL = b"dtlslisten-cookie-v1"
EPOCH_MS = 3600000
IDS = {"hmac": 0x10, "aead": 0x20, "cluster": 0x30, "fips": 0x40}


# ---- the specification ------------------------------------------------------

def extract(secret):
    return hmac.new(LABEL, secret, hashlib.sha256).digest()


def expand(prk, info, length):
    out, block, n = b"", b"", 1
    while len(out) < length:
        block = hmac.new(prk, block + info + bytes([n]),
                         hashlib.sha256).digest()
        out += block
        n += 1
    return out[:length]


def key_info(kind, kid, epoch, service, boot=b""):
    return (LABEL + b"\0" + bytes([IDS[kind], kid]) + struct.pack(">Q", epoch)
            + bytes([len(service)]) + service + boot)


def kid_of(prk):
    return expand(prk, LABEL + b"\0kid", 1)[0]


def offset_of(prk, kid, service):
    info = LABEL + b"\0time" + bytes([kid, len(service)]) + service
    return struct.unpack(">I", expand(prk, info, 4))[0]


def endpoint(address, zone):
    """16 address, 2 port, 4 zone of a 24-byte address."""
    link_local = address[0] == 0xFE and address[1] & 0xC0 == 0x80
    keep = address[18:22] if zone and link_local else bytes(4)
    return address[:18] + keep


def binds_tail(v, cookie_len):
    tail = v.get("tail", b"")
    end = len(v["core"]) + 1 + cookie_len + len(tail)
    if not tail or len(tail) > 512 or end > v.get("budget", 139):
        return 0
    return int("fragment" not in v or end <= v["fragment"])


def binds_local(v):
    """No strategy mints such cookies; all verify them."""
    return 2 if "local" in v else 0


def message(v, header, zone):
    out = header + endpoint(v["peer"], zone)
    if header[0] & 2:
        out += endpoint(v["local"], zone)
    out += v["core"]
    if header[0] & 1:
        out += v["tail"]
    return out


def mint(v):
    kind = v["strategy"]
    secret, service = v["secret"], v.get("service", b"")
    prk = extract(secret)
    keyed = kind == "cluster" or "kid" in v
    kid = v["kid"] if keyed else kid_of(prk)
    now = v["unix"] if keyed else v["mono"]
    epoch = v.get("epoch", now // EPOCH_MS)
    length = 64 if kind == "fips" else 32
    key = expand(prk, key_info(kind, kid, epoch, service, v.get("boot", b"")),
                 length)
    if kind in ("hmac", "cluster"):
        shift = 0 if keyed else offset_of(prk, kid, service)
        issued = struct.pack(">I", (now + shift) % 2**32)
        node = struct.pack(">H", v.get("node", 0)) if keyed else b""
        size = 2 + 4 + len(node) + 16
        fmt = IDS[kind] | binds_tail(v, size) | binds_local(v)
        header = bytes([fmt, kid]) + issued + node
        tag = hmac.new(key, message(v, header, not keyed),
                       hashlib.sha256).digest()[:16]
        return {"prk": prk, "key": key, "cookie": header + tag}
    app = v.get("app", b"")
    fmt = IDS[kind] | binds_tail(v, 23 + len(app)) | binds_local(v)
    header = bytes([fmt, kid, epoch % 256])
    plain = struct.pack(">I", now % 2**32) + app
    seal = seal_siv if kind == "aead" else seal_fips
    return {"prk": prk, "key": key,
            "cookie": header + seal(key, message(v, header, not keyed), plain)}


def seal_siv(key, ad, plain):
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV
    return AESSIV(key).encrypt(plain, [ad])


def seal_fips(key, ad, plain):
    from cryptography.hazmat.primitives.ciphers import (Cipher, algorithms,
                                                        modes)
    tag = hmac.new(key[:32], ad + struct.pack(">H", len(plain)) + plain,
                   hashlib.sha256).digest()[:16]
    ctr = Cipher(algorithms.AES(key[32:]), modes.CTR(tag)).encryptor()
    return tag + ctr.update(plain) + ctr.finalize()


def open_siv(key, ad, sealed):
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV
    try:
        return AESSIV(key).decrypt(sealed, [ad])
    except InvalidTag:
        return None


def open_fips(key, ad, sealed):
    from cryptography.hazmat.primitives.ciphers import (Cipher, algorithms,
                                                        modes)
    ctr = Cipher(algorithms.AES(key[32:]), modes.CTR(sealed[:16])).decryptor()
    plain = ctr.update(sealed[16:]) + ctr.finalize()
    return plain if seal_fips(key, ad, plain) == sealed else None


def signed32(n):
    n %= 2**32
    return n - 2**32 if n >= 2**31 else n


def window(v, now, delta):
    """None within it, else the name of what is wrong."""
    if delta > now:
        return "MISMATCH"
    if delta > v["lifetime"]:
        return "EXPIRED"
    return "FUTURE" if -delta > v["skew"] else None


def genuine_time(v, prk, kid, keyed):
    """The time in an hmac or cluster cookie's header as an age, and the tag's
    truth."""
    kind, cookie, now = v["strategy"], v["cookie"], v["now"]
    service = v.get("service", b"")
    shift = 0 if keyed else offset_of(prk, kid, service)
    delta = signed32(now - struct.unpack(">I", cookie[2:6])[0] + shift)
    key = expand(prk, key_info(kind, kid, (now - delta) // EPOCH_MS, service),
                 32)
    tag = hmac.new(key, message(v, cookie[:-16], not keyed),
                   hashlib.sha256).digest()[:16]
    return delta, hmac.compare_digest(tag, cookie[-16:])


def judge_tagged(v, prk, kid, keyed):
    if v["cookie"][0] & 1 and not v.get("tail"):
        v = dict(v, tail=b"")
        delta, _ = genuine_time(v, prk, kid, keyed)
        return "MISMATCH" if window(v, v["now"], delta) else "NEED_MORE", 0, b""
    if v["cookie"][0] & 2 and "local" not in v:
        return "NEED_MORE", 0, b""
    delta, genuine = genuine_time(v, prk, kid, keyed)
    if not genuine:
        return "MISMATCH", 0, b""
    wrong = window(v, v["now"], delta)
    return (wrong, 0, b"") if wrong else ("VALID", max(delta, 0), b"")


def judge_sealed(v, prk, kid, keyed):
    kind, cookie, now = v["strategy"], v["cookie"], v["now"]
    if v["cookie"][0] & 1 and not v.get("tail"):
        return "NEED_MORE", 0, b""
    if v["cookie"][0] & 2 and "local" not in v:
        return "NEED_MORE", 0, b""
    unseal = open_siv if kind == "aead" else open_fips
    for epoch in (now // EPOCH_MS - 1, now // EPOCH_MS, now // EPOCH_MS + 1):
        if epoch < 0 or epoch % 256 != cookie[2]:
            continue
        key = expand(prk, key_info(kind, kid, epoch, v.get("service", b"")),
                     64 if kind == "fips" else 32)
        plain = unseal(key, message(v, cookie[:3], not keyed), cookie[3:])
        if plain is None:
            continue
        delta = signed32(now - struct.unpack(">I", plain[:4])[0])
        if (now - delta) // EPOCH_MS != epoch:
            continue
        wrong = window(v, now, delta)
        return (wrong, 0, b"") if wrong else ("VALID", max(delta, 0),
                                              plain[4:])
    return "MISMATCH", 0, b""


def judge(v):
    """The verdict on v["cookie"] at v["now"], the age, the application's
    data."""
    kind, cookie = v["strategy"], v["cookie"]
    sizes = {"hmac": 22, "cluster": 24}
    keyed = kind == "cluster" or "kid" in v
    prk = extract(v["secret"])
    kid = v["kid"] if keyed else kid_of(prk)
    if kind in sizes:
        fits = len(cookie) == sizes[kind]
    else:
        fits = len(cookie) >= 23
    if not fits or cookie[0] & 0xF0 != IDS[kind] or cookie[0] & 12:
        return "MALFORMED", 0, b""
    if cookie[1] != kid:
        return "UNKNOWN_KEY", 0, b""
    if kind in sizes:
        return judge_tagged(v, prk, kid, keyed)
    return judge_sealed(v, prk, kid, keyed)


def split_hello(datagram):
    """CORE, cookie and TAIL of a ClientHello's first fragment."""
    body = datagram[25:13 + struct.unpack(">H", datagram[11:13])[0]]
    at = 35 + body[34]
    core, size = body[:at], body[at]
    cookie, at = body[at + 1:at + 1 + size], at + 1 + size
    end = at + 2 + struct.unpack(">H", body[at:at + 2])[0]
    end += 1 + body[end]
    return {"core": core, "cookie": cookie, "tail": body[at:end]}


class BadFile(Exception):
    pass


def number(word, top):
    if not word.isdigit() or not word.isascii() or int(word) > top:
        raise BadFile
    return int(word)


def parse_key(words, keys):
    if len(words) != 5 or len(keys) == 16:
        raise BadFile
    kid = number(words[1], 255)
    activate = number(words[2], 2**40)
    retire = None if words[3] == "-" else number(words[3], 2**40)
    digits = words[4][4:]
    if kid in keys or (retire is not None and retire <= activate):
        raise BadFile
    if not words[4].startswith("hex:") or len(digits) % 2:
        raise BadFile
    if not 64 <= len(digits) <= 512:
        raise BadFile
    if any(c not in "0123456789abcdefABCDEF" for c in digits):
        raise BadFile
    keys[kid] = (activate, retire, bytes.fromhex(digits))


def parse_file(text):
    """{kid: (activate, retire or None, secret)} and the service."""
    service, keys = None, {}
    if not text.endswith(b"\n"):
        raise BadFile
    lines = [l[:-1] if l.endswith(b"\r") else l
             for l in text[:-1].split(b"\n")]
    for n, line in enumerate(lines):
        if any((c < 32 and c != 9) or c == 127 for c in line):
            raise BadFile
        if n == 0:
            if line != b"dtlslisten-cluster-keys 1":
                raise BadFile
            continue
        words = line.decode("latin-1").replace("\t", " ").split(" ")
        words = [w for w in words if w]
        if not words or words[0].startswith("#"):
            continue
        if words[0] == "service":
            if service is not None or keys or len(words) != 2:
                raise BadFile
            if len(words[1]) > 255:
                raise BadFile
            service = words[1].encode("latin-1")
        elif words[0] == "key":
            parse_key(words, keys)
        else:
            raise BadFile
    if not keys:
        raise BadFile
    return keys, service or b""


def mints_at(keys, now):
    """The kid that mints, or None before the first activation."""
    begun = {k: v for k, v in keys.items() if v[0] <= now}
    live = [k for k, v in begun.items() if v[1] is None or v[1] > now]
    if live:
        return max(live, key=lambda k: (begun[k][0], k))
    if begun:
        return max(begun, key=lambda k: (begun[k][1], begun[k][0], k))
    return None


# ---- the vectors ------------------------------------------------------------

NUMBERS = {"mono", "unix", "kid", "node", "fragment", "budget", "at", "now",
           "lifetime", "skew", "age"}
TEXTS = ("vector", "strategy", "mints", "result", "verdict")


def read_vectors(path):
    """Blocks of 'name value' lines, with an empty line between two."""
    with open(path, encoding="ascii") as f:
        blocks = f.read().split("\n\n")
    for block in blocks:
        v = {}
        for line in block.splitlines():
            if line.startswith("#") or not line:
                continue
            name, _, value = line.partition(" ")
            if name in NUMBERS:
                v[name] = int(value)
            elif name in TEXTS:
                v[name] = value
            else:
                v[name] = bytes.fromhex(value)
        if v:
            yield v


def check_one(v):
    if "verdict" in v:
        return judge(v) == (v["verdict"], v["age"], v.get("data", b""))
    if "strategy" in v:
        got = mint(v)
        return all(got[n] == v[n] for n in ("prk", "key", "cookie"))
    if "datagram" in v:
        got = split_hello(v["datagram"])
        return all(got[n] == v[n] for n in got)
    try:
        keys, _ = parse_file(v["file"])
    except BadFile:
        return v["result"] == "refused"
    if v["result"] != "accepted":
        return False
    kid = mints_at(keys, v["at"])
    return v["mints"] == ("none" if kid is None else str(kid))


def check(path):
    vectors = list(read_vectors(path))
    bad = [v["vector"] for v in vectors if not check_one(v)]
    for name in bad:
        print("differs:", name)
    print(f"{len(vectors)} vectors, {len(bad)} differ")
    return 1 if bad or len(vectors) < 40 else 0


def show(name, v, extra):
    print("vector", name)
    for key, value in list(v.items()) + list(extra.items()):
        if isinstance(value, bytes):
            value = value.hex()
        print(key, value)
    print()


def inputs():
    """Peers and hellos to combine."""
    v4 = bytes(10) + b"\xff\xff\xc0\0\x02\x01" + struct.pack(">HIH", 50000,
                                                            0, 0)
    v6 = bytes.fromhex("20010db8" + "00" * 11 + "07") + struct.pack(
        ">HIH", 4433, 0, 0)
    link = bytes.fromhex("fe80" + "00" * 13 + "09") + struct.pack(
        ">HIH", 5684, 3, 0)
    plain = b"\xfe\xfd" + b"\xaa" * 32 + b"\0"
    resumed = b"\xfe\xfd" + bytes(range(32)) + b"\x20" + bytes(range(64, 96))
    tail = bytes.fromhex("0002c02b0100")
    long_tail = struct.pack(">H", 200) + b"\xc0\x2b" * 100 + b"\1\0"
    return [
        ("plain", {"peer": v4, "core": plain, "tail": tail}),
        ("v6", {"peer": v6, "core": plain, "tail": tail}),
        ("link-local", {"peer": link, "core": plain, "tail": tail}),
        ("resumed", {"peer": v4, "core": resumed, "tail": tail}),
        ("long-tail", {"peer": v4, "core": plain, "tail": long_tail}),
        ("wide-budget", {"peer": v4, "core": resumed, "tail": long_tail,
                         "budget": 1200}),
        ("no-tail", {"peer": v4, "core": plain}),
        ("fragment", {"peer": v4, "core": plain, "tail": tail,
                      "fragment": 64}),
        ("long-fragment", {"peer": v4, "core": plain, "tail": tail,
                           "fragment": 100}),
    ]


def make_cookies():
    short, long = bytes(range(32)), bytes(range(256))
    for name, v in inputs():
        for strategy in ("hmac", "cluster", "aead", "fips"):
            first = {"strategy": strategy, "secret": short}
            if strategy == "cluster":
                first.update(kid=7, unix=1795300000123, node=513)
            else:
                first.update(mono=7200123)
            if strategy in ("aead", "fips"):
                first.update(app=b"node-0017"[:9])
            first.update(v)
            show(f"{strategy}-{name}", first, mint(first))
    for strategy in ("hmac", "cluster", "aead", "fips"):
        v = {"strategy": strategy, "secret": long, "service": b"coap.prod"}
        if strategy == "hmac":
            v.update(mono=2**33 + 5)
        else:
            v.update(kid=255, unix=1795305599999)
        v.update(inputs()[0][1])
        show(f"{strategy}-service", v, mint(v))
    for app in (b"", b"x" * 12, b"y" * 232):
        for strategy in ("aead", "fips"):
            v = {"strategy": strategy, "secret": short, "app": app, "kid": 0,
                 "unix": 1795300000000}
            v.update(inputs()[0][1])
            show(f"{strategy}-app-{len(app)}", v, mint(v))


def flip(cookie, at, bit=1):
    return cookie[:at] + bytes([cookie[at] ^ bit]) + cookie[at + 1:]


def altered(base, cookie):
    """What a verifier may be shown: a name, and what differs."""
    now, peer, core = base["now"], base["peer"], base["core"]
    keyed = "kid" in base
    return [
        ("fresh", {}),
        ("last", {"now": now + 120000}),
        ("expired", {"now": now + 120001}),
        ("next-epoch", {"now": now + 100000}),
        ("first", {"now": now - base["skew"]}),
        ("future", {"now": now - base["skew"] - 1}),
        ("weeks-later", {"now": now + 2**32}),
        ("tag", {"cookie": flip(cookie, len(cookie) - 1, 0x80)}),
        ("time", {"cookie": flip(cookie, 5)}),
        ("header", {"cookie": flip(cookie, 6 if keyed else 3)}),
        ("unbound-tail", {"cookie": flip(cookie, 0, 1)}),
        ("reserved", {"cookie": flip(cookie, 0, 4)}),
        ("other-strategy", {"cookie": flip(cookie, 0, 0x80)}),
        ("other-key", {"cookie": flip(cookie, 1)}),
        ("short", {"cookie": cookie[:-1]}),
        ("long", {"cookie": cookie + b"\0"}),
        ("22", {"cookie": cookie[:22]}),
        ("no-tail", {"tail": b""}),
        ("late-no-tail", {"tail": b"", "now": now + 120001}),
        ("other-tail", {"tail": flip(base["tail"], 3)}),
        ("other-address", {"peer": flip(peer, 15)}),
        ("other-port", {"peer": flip(peer, 17)}),
        ("other-version", {"core": flip(core, 1, 2)}),
        ("other-random", {"core": flip(core, 33)}),
        ("other-session", {"core": core[:-1] + b"\1\0"}),
    ]


def show_verdict(name, v):
    verdict, age, data = judge(v)
    show(name, v, {"verdict": verdict, "age": age,
                   **({"data": data} if data else {})})


def make_local(strategy, minted, base):
    """Cookies that bind the address that they were asked at."""
    local = minted["peer"][:15] + b"\x09" + minted["peer"][16:]
    cookie = mint(dict(minted, local=local))["cookie"]
    v = dict(base, cookie=cookie)
    show_verdict(f"verify-{strategy}-local", dict(v, local=local))
    show_verdict(f"verify-{strategy}-other-local",
                 dict(v, local=flip(local, 14)))
    show_verdict(f"verify-{strategy}-no-local", v)


def make_verdicts():
    """Minted 50 seconds before an epoch ends."""
    for strategy in ("hmac", "cluster", "aead", "fips"):
        base = {"strategy": strategy, "secret": bytes(range(32)),
                "lifetime": 120000}
        if strategy in ("cluster", "fips"):
            base.update(kid=7, skew=60000, now=EPOCH_MS * 498694 - 50000)
        else:
            base.update(skew=5000, now=EPOCH_MS * 3 - 50000)
        base.update(inputs()[0][1])
        minted = dict(base, mono=base["now"], unix=base["now"], node=513,
                      app=b"hint")
        cookie = mint(minted)["cookie"]
        for name, other in altered(base, cookie):
            v = dict(base, cookie=cookie)
            v.update(other)
            if v["tail"] == b"":
                del v["tail"]
            show_verdict(f"verify-{strategy}-{name}", v)
        make_local(strategy, minted, base)
        if strategy in ("aead", "fips"):
            # Who has the key could seal a time of another epoch.
            v = dict(minted, mono=base["now"] + 60000,
                     unix=base["now"] + 60000, epoch=base["now"] // EPOCH_MS)
            show_verdict(f"verify-{strategy}-wrong-epoch",
                         dict(base, now=base["now"] + 61000,
                              cookie=mint(v)["cookie"]))


def make_files():
    secret = b"hex:" + bytes(range(32)).hex().encode()
    head = b"dtlslisten-cluster-keys 1\n"
    # Offsets are from t: a clock before 2026 counts as never set.
    t = 1795300000
    two = (head + b"service coap.prod\n"
           + b"key 7 %d %d %s\n" % (t + 1000, t + 3000, secret)
           + b"# next\n\nkey 8 %d - %s\r\n" % (t + 2000, secret))
    gap = (head + b"key 1 %d %d %s\n" % (t + 1000, t + 2000, secret)
           + b"key 2 %d\t%d %s\n" % (t + 1000, t + 2500, secret)
           + b"key 3 %d %d %s\n" % (t + 4000, t + 5000, secret))
    for at in (t + n for n in (999, 1000, 1999, 2000, 2999, 3000, 10**9)):
        keys, _ = parse_file(two)
        kid = mints_at(keys, at)
        show(f"file-two-{at - t}", {"file": two, "at": at},
             {"result": "accepted", "mints": "none" if kid is None else kid})
    for at in (t + n for n in (1500, 2200, 3000, 4000, 6000)):
        keys, _ = parse_file(gap)
        show(f"file-gap-{at - t}", {"file": gap, "at": at},
             {"result": "accepted", "mints": mints_at(keys, at)})
    bad = {
        "empty": b"",
        "no-header": b"key 1 0 - " + secret + b"\n",
        "other-version": b"dtlslisten-cluster-keys 2\nkey 1 0 - " + secret
                         + b"\n",
        "no-keys": head,
        "torn": (head + b"key 1 0 - " + secret)[:-2],
        "no-line-feed": head + b"key 1 0 - " + secret,
        "short-secret": head + b"key 1 0 - " + secret[:-2] + b"\n",
        "odd-secret": head + b"key 1 0 - " + secret + b"0\n",
        "long-secret": head + b"key 1 0 - hex:" + b"ab" * 257 + b"\n",
        "not-hex": head + b"key 1 0 - " + secret[:-1] + b"g\n",
        "same-kid": head + (b"key 1 0 - " + secret + b"\n") * 2,
        "kid-256": head + b"key 256 0 - " + secret + b"\n",
        "retire-first": head + b"key 1 5 5 " + secret + b"\n",
        "minus": head + b"key 1 -5 - " + secret + b"\n",
        "extra-word": head + b"key 1 0 - " + secret + b" x\n",
        "late-service": head + b"key 1 0 - " + secret + b"\nservice x\n",
        "two-services": head + b"service x\nservice x\nkey 1 0 - " + secret
                        + b"\n",
        "unknown-line": head + b"keys 1 0 - " + secret + b"\n",
        "control": head + b"# \x01\nkey 1 0 - " + secret + b"\n",
        "seventeen": head + b"".join(b"key %d 0 - " % k + secret + b"\n"
                                     for k in range(17)),
    }
    for name, text in bad.items():
        try:
            parse_file(text)
            raise SystemExit(f"{name} is not bad")
        except BadFile:
            show(f"file-{name}", {"file": text, "at": 0},
                 {"result": "refused"})


def make_hello():
    core = b"\xfe\xfd" + bytes(range(32)) + b"\4" + b"sess"
    tail = bytes.fromhex("0004c02bc02c0100")
    cookie = bytes(range(22))
    body = core + bytes([len(cookie)]) + cookie + tail + b"\0\0"
    size = len(body).to_bytes(3, "big")
    datagram = (b"\x16\xfe\xff" + bytes(7) + b"\1"
                + struct.pack(">H", 12 + len(body)) + b"\1" + size + b"\0\1"
                + bytes(3) + size + body)
    show("hello-split", {"datagram": datagram}, split_hello(datagram))


def make():
    print("# SPDX-License-Identifier: MIT")
    print("# Made by vectors.py from the text of dtlslisten-cookie(7).\n")
    make_cookies()
    make_verdicts()
    make_files()
    make_hello()
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["check"] and len(sys.argv) == 3:
        sys.exit(check(sys.argv[2]))
    if sys.argv[1:] == ["make"]:
        sys.exit(make())
    sys.exit(__doc__)
