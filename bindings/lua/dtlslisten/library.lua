-- SPDX-License-Identifier: MIT
--
-- The C library: its declarations, which the rock's build derives from the
-- installed headers, the library itself, and who owns what was made in it.

local SONAME = "libdtlslisten.so.0"

local is_luajit, ffi = pcall(require, "ffi")
if not is_luajit or type(jit) ~= "table" then
    error("dtlslisten needs LuaJIT and its FFI; this is " .. _VERSION ..
        ". Install luajit (Debian: apt-get install luajit) and run your " ..
        "program with it: luajit server.lua", 0)
end

local function declare()
    local found, declarations = pcall(require, "dtlslisten.cdef")
    if not found then
        error("dtlslisten: there is no dtlslisten/cdef.lua, the " ..
            "declarations of the C library. It is made where the binding " ..
            "is installed: luarocks make, or make in bindings/lua", 0)
    end
    if not pcall(ffi.typeof, "dtlsl_event") then
        ffi.cdef(declarations)
        ffi.cdef([[
            void *dtlslisten_dlopen(const char *name, int flags)
                __asm__("dlopen");
        ]])
    end
end

-- The collector may run in what the library calls, at the program's end too,
-- and unload it there. RTLD_NODELETE and RTLD_NOW keep it.
local function keep_loaded(path)
    ffi.C.dtlslisten_dlopen(path, 0x1000 + 2)
end

local function load()
    local path = os.getenv("DTLSLISTEN_LIBRARY")
    if not path or path == "" then
        path = SONAME
    end
    local found, lib = pcall(ffi.load, path)
    if not found then
        error(("dtlslisten: cannot load the C library: %s. Install " ..
            "libdtlslisten (./configure && make && make install && " ..
            "ldconfig), or name the file in the environment variable " ..
            "DTLSLISTEN_LIBRARY"):format(lib), 0)
    end
    keep_loaded(path)
    return lib
end

-- A function that these headers have may be missing in an older library.
local function check_version(lib)
    if lib.dtlsl_version() < lib.DTLSL_VERSION then
        error(("dtlslisten: the C library is version %s, older than the " ..
            "headers that this binding was installed with. Update " ..
            "libdtlslisten, or install the binding anew"):format(
            ffi.string(lib.dtlsl_version_string())), 0)
    end
end

declare()
local lib = load()
check_version(lib)

-- The same functions for where C may call back into Lua. LuaJIT cannot have
-- that in compiled code, so these are always interpreted.
local interpreted = setmetatable({}, {
    __index = function(functions, name)
        local f = lib[name]
        local function call(...)
            return f(...)
        end
        jit.off(call)
        functions[name] = call
        return call
    end,
})

-- own(OBJECT, FREE): OBJECT.release() frees OBJECT.pointer, and so does the
-- collector. All that OBJECT refers to is alive until then: the finalizer of a
-- userdata keeps what it refers to, one of ffi.gc does not. Finalizers that
-- run later may still have OBJECT; what was freed they do not have.
local function own(object, free)
    object.owner = newproxy(true)

    function object.release()
        local pointer = object.pointer
        object.pointer = nil
        if pointer then
            free(pointer)
        end
    end

    getmetatable(object.owner).__gc = object.release
end

local size = 256
local buffer = ffi.new("uint8_t[?]", size)

-- fetch(FUNCTION, ...): what FUNCTION(..., buffer, size) writes, and its
-- result. The buffer grows until everything fits.
local function fetch(f, a, b, c)
    local result

    local function try()
        if c then
            return f(a, b, c, buffer, size)
        elseif b then
            return f(a, b, buffer, size)
        end
        return f(a, buffer, size)
    end

    repeat
        result = try()
        if result == lib.DTLSL_ERR_SPACE then
            size = 2 * size
            buffer = ffi.new("uint8_t[?]", size)
        end
    until result ~= lib.DTLSL_ERR_SPACE
    return buffer, result
end

-- counters(FUNCTION, POINTER): all of them, name -> number.
local function counters(f, pointer)
    local found = {}
    local name = ffi.new("char[?]", lib.DTLSL_COUNTER_NAME_MAX)
    local value = ffi.new("uint64_t[1]")
    local index = 0

    while f(pointer, index, name, lib.DTLSL_COUNTER_NAME_MAX, value) >= 0 do
        found[ffi.string(name)] = tonumber(value[0])
        index = index + 1
    end
    return found
end

return {
    ffi = ffi,
    lib = lib,
    interpreted = interpreted,
    own = own,
    fetch = fetch,
    counters = counters,
}
