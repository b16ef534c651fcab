-- SPDX-License-Identifier: MIT
--
-- A connection: a number that the library knows, and what can be asked of it.
-- Its methods return nil, message, name when it is gone.

local library = require("dtlslisten.library")
local errors = require("dtlslisten.errors")
local ffi, lib, fetch = library.ffi, library.lib, library.fetch

local NO_CONN = lib.DTLSL_ERR_NOCONN

local Conn = {}
Conn.__index = Conn

function Conn.new(listener, id)
    return setmetatable({ listener = listener, id = id }, Conn)
end

-- Sends one datagram. True, or nil, message, name: DTLSL_ERR_NOCONN when the
-- connection is gone, DTLSL_ERR_STATE before "open" and after close,
-- DTLSL_ERR_TOOBIG above conn:mtu(), DTLSL_ERR_BUSY when the socket is full:
-- then "writable" follows.
function Conn:send(data)
    errors.bytes("conn:send", data)
    local listener = self.listener
    local pointer = listener.pointer
    if not pointer then
        return errors.failure(NO_CONN)
    end
    local result = listener.api.dtlsl_conn_send(pointer, self.id, data, #data)
    if result < 0 then
        return errors.failure(result)
    end
    return true
end

-- Says good-bye to the peer; the "close" (or "failed") comes as an event. In
-- the event "hello" it refuses the peer, and nothing comes.
function Conn:close()
    local listener = self.listener
    local pointer = listener.pointer
    if not pointer then
        return errors.failure(NO_CONN)
    end
    local result = listener.api.dtlsl_conn_close(pointer, self.id)
    if result < 0 then
        return errors.failure(result)
    elseif lib.dtlsl_conn_cookie_age(pointer, self.id) == NO_CONN then
        listener.conns[self.id] = nil -- refused: no event follows
    end
    return true
end

-- ask(CONN, FUNCTION): a result that is a number.
local function ask(conn, f)
    local pointer = conn.listener.pointer
    local result = pointer and f(pointer, conn.id) or NO_CONN

    if result < 0 then
        return errors.failure(result)
    end
    return result
end

-- The longest datagram, in bytes, that conn:send takes now.
function Conn:mtu()
    return ask(self, lib.dtlsl_conn_mtu)
end

-- The age of the cookie that opened the connection, in seconds: at least one
-- round trip.
function Conn:cookie_age()
    local ms, message, name = ask(self, lib.dtlsl_conn_cookie_age)

    if not ms then
        return nil, message, name
    end
    return ms / 1000
end

-- read(CONN, FUNCTION, [NAME]): a buffer with bytes, and their number.
local function read(conn, f, name)
    local pointer = conn.listener.pointer
    if not pointer then
        return nil, NO_CONN
    end
    return fetch(f, pointer, conn.id, name)
end

-- An address does not change: whoever asked once may ask when all is over.
local function address(conn, field, f)
    if not conn[field] then
        local buffer, result = read(conn, f)
        if result < 0 then
            return errors.failure(result)
        end
        conn[field] = ffi.string(buffer)
    end
    return conn[field]
end

-- "192.0.2.1:40000" or "[2001:db8::1]:40000".
function Conn:peer()
    return address(self, "peer_text", lib.dtlsl_conn_peer)
end

-- Our address that the peer uses.
function Conn:local_address()
    return address(self, "local_text", lib.dtlsl_conn_local)
end

-- bytes(CONN, FUNCTION, [NAME]): a string, nil if it is empty.
local function bytes(conn, f, name)
    local buffer, result = read(conn, f, name)

    if result < 0 then
        return errors.failure(result)
    elseif result == 0 then
        return nil
    end
    return ffi.string(buffer, result)
end

-- A fact on the session: "alpn", "cipher", "version", "server-name" or
-- "psk-identity"; nil where there is none.
function Conn:info(name)
    errors.text("conn:info", name)
    local text, message, code = bytes(self, lib.dtlsl_conn_info, name)
    if code == "DTLSL_ERR_OPTION" then
        errors.raise(lib.DTLSL_ERR_OPTION, ("conn:info knows no '%s', only " ..
            "alpn, cipher, version, server-name, psk-identity"):format(name))
    end
    return text, message, code
end

-- The application protocol that was negotiated, or nil.
function Conn:alpn()
    return self:info("alpn")
end

-- The peer's certificate in DER, or nil.
function Conn:peer_certificate()
    return bytes(self, lib.dtlsl_conn_peer_certificate)
end

-- What the cookie carried, or nil.
function Conn:cookie_app()
    return bytes(self, lib.dtlsl_conn_cookie_app)
end

-- Exports LENGTH bytes of keying material (RFC 5705), without a context when
-- CONTEXT is nil.
function Conn:export_keying_material(label, length, context)
    errors.text("conn:export_keying_material: the label", label)
    if context ~= nil then
        errors.bytes("conn:export_keying_material: the context", context)
    end
    if type(length) ~= "number" or length < 1 or length > 65535 then
        errors.argument("conn:export_keying_material: the length is %s, " ..
            "not 1 to 65535", tostring(length))
    end
    local pointer = self.listener.pointer
    if not pointer then
        return errors.failure(NO_CONN)
    end
    local out = ffi.new("uint8_t[?]", length)
    local result = lib.dtlsl_conn_export(pointer, self.id, label, context,
        context and #context or 0, out, length)
    if result < 0 then
        return errors.failure(result)
    end
    return ffi.string(out, length)
end

return Conn
