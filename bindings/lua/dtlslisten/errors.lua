-- SPDX-License-Identifier: MIT
--
-- Errors of the binding. What a programmer or a configuration did wrong is
-- raised, as an object with code, name and message; what happens to a server
-- at run time is returned as nil, message, name.

local library = require("dtlslisten.library")
local ffi, lib = library.ffi, library.lib

local errors = {}

local Error = {}
Error.__index = Error

function Error.__tostring(err)
    return err.where .. err.message
end

local here = debug.getinfo(1, "S").source:match("^(.*[/\\])") or "@"

-- The line outside of the binding that called into it.
local function caller()
    for level = 3, 12 do
        local frame = debug.getinfo(level, "Sl")
        if not frame then
            break
        elseif frame.what ~= "C" and frame.source:sub(1, #here) ~= here then
            return ("%s:%d: "):format(frame.short_src, frame.currentline)
        end
    end
    return ""
end

function errors.raise(code, message)
    error(setmetatable({
        code = code,
        name = ffi.string(lib.dtlsl_err_name(code)),
        message = message,
        where = caller(),
    }, Error), 0)
end

-- errors.argument(FORMAT, ...): an argument breaks its rule.
function errors.argument(...)
    errors.raise(lib.DTLSL_ERR_ARGUMENT, string.format(...))
end

-- errors.bytes(WHAT, VALUE): a string, or an error.
function errors.bytes(what, value)
    if type(value) ~= "string" then
        errors.argument("%s: give a string, not a %s", what, type(value))
    end
    return value
end

-- errors.text(WHAT, VALUE): a string that C does not cut short.
function errors.text(what, value)
    if errors.bytes(what, value):find("\0", 1, true) then
        errors.argument("%s: there is a zero byte in it", what)
    end
    return value
end

-- nil, message, name for a negative result.
function errors.failure(code)
    return nil, ffi.string(lib.dtlsl_strerror(code)),
        ffi.string(lib.dtlsl_err_name(code))
end

return errors
