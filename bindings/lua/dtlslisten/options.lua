-- SPDX-License-Identifier: MIT
--
-- From a table of options to a config of the library. The names are those of
-- dtlslisten-config(5) with "_" for "-"; the library itself lists them.

local library = require("dtlslisten.library")
local errors = require("dtlslisten.errors")
local ffi, lib = library.ffi, library.lib

local options = {}

local EXACT = 2 ^ 53

local function list_options()
    local names = {}
    local name = ffi.new("const char *[1]")
    local unused = ffi.new("const char *[1]")
    local index = 0

    while lib.dtlsl_config_option(index, name, unused, unused) >= 0 do
        names[ffi.string(name[0])] = true
        index = index + 1
    end
    return names
end

local known = list_options()

-- ---- names -----------------------------------------------------------------

-- How many letters differ (Levenshtein).
local function distance(a, b)
    local row = {}

    for j = 0, #b do
        row[j] = j
    end
    for i = 1, #a do
        local diagonal = row[0]
        row[0] = i
        for j = 1, #b do
            local same = a:byte(i) == b:byte(j)
            local cost = diagonal + (same and 0 or 1)
            diagonal = row[j]
            row[j] = math.min(cost, row[j] + 1, row[j - 1] + 1)
        end
    end
    return row[#b]
end

local function nearest(key, own)
    local best, least

    local function consider(name)
        local steps = distance(key, name)
        if not best or steps < least or steps == least and name < best then
            best, least = name, steps
        end
    end

    for name in pairs(known) do
        local lua_name = name:gsub("-", "_")
        consider(lua_name)
        if lua_name:match("_ms$") then
            consider((lua_name:gsub("_ms$", "")))
        end
    end
    for name in pairs(own) do
        consider(name)
    end
    return best
end

local function unknown(key, own)
    errors.raise(lib.DTLSL_ERR_OPTION,
        ("there is no option '%s'; did you mean '%s'? " ..
            "dtlslisten-config(5) lists them"):format(key,
            nearest(tostring(key), own)))
end

-- The library's name, and true if the value is in seconds.
local function translate(key, own)
    if type(key) ~= "string" then
        unknown(key, own)
    end
    local name = key:gsub("_", "-")
    if key:match("^cookie%.") then
        return errors.text("the name of an option", key), false
    elseif known[name] then
        return name, false
    elseif known[name .. "-ms"] then
        return name .. "-ms", true
    end
    return unknown(key, own)
end

-- ---- values ----------------------------------------------------------------

local function number_text(key, value)
    if value ~= math.floor(value) or math.abs(value) >= EXACT then
        errors.argument("option %s: %s is not a whole number", key,
            tostring(value))
    end
    return ("%.0f"):format(value)
end

local function milliseconds(key, value)
    if type(value) ~= "number" or value ~= value then
        errors.argument("option %s: give seconds as a number, or use %s_ms",
            key, key)
    end
    return number_text(key, math.floor(value * 1000 + 0.5))
end

local function list_text(key, list)
    for _, item in ipairs(list) do
        errors.text("an item of option " .. key, item)
    end
    return table.concat(list, ",")
end

local function value_text(key, value)
    local kind = type(value)

    if kind == "boolean" then
        return value and "1" or "0"
    elseif kind == "number" then
        return number_text(key, value)
    elseif kind == "table" then
        return list_text(key, value)
    end
    return errors.text("option " .. key, value)
end

-- ---- a config --------------------------------------------------------------

-- error_text(CONFIG): what was wrong with the last call on it.
local function error_text(config)
    return ffi.string(lib.dtlsl_config_error(config))
end

local function set(config, name, value)
    local result = lib.dtlsl_config_set(config, name, value)
    if result < 0 then
        errors.raise(result, error_text(config))
    end
end

local function sorted_keys(t)
    local keys = {}

    for key in pairs(t) do
        keys[#keys + 1] = key
    end
    table.sort(keys, function(a, b)
        return tostring(a) < tostring(b)
    end)
    return keys
end

local function set_options(config, opts, own)
    local given = {}

    for _, key in ipairs(sorted_keys(opts)) do
        if not own[key] then
            local name, in_seconds = translate(key, own)
            if given[name] then
                errors.argument("the options %s and %s are the same one",
                    given[name], key)
            end
            given[name] = key
            set(config, name, (in_seconds and milliseconds or
                value_text)(key, opts[key]))
        end
    end
end

-- Options of strategies are the strategies' own: the library knows no list.
local function set_cookie_options(config, cookie_options)
    for _, key in ipairs(sorted_keys(cookie_options)) do
        local name = errors.text("a name in cookie_options", key)
        if not name:find("[.-]") then
            name = name:gsub("_", "-")
        end
        set(config, "cookie." .. name,
            value_text("cookie." .. name, cookie_options[key]))
    end
end

local function add_strategies(config, strategies)
    if #strategies == 0 and next(strategies) then
        errors.argument("option strategies: give a list, { STRATEGY, ... }")
    end
    for _, strategy in ipairs(strategies) do
        if type(strategy) ~= "table" or not strategy.plugin then
            errors.argument("option strategies: a %s is none; " ..
                "dtlslisten.strategy makes them", type(strategy))
        end
        local result = lib.dtlsl_config_add_cookie(config, strategy.plugin,
            strategy.user)
        if result < 0 then
            errors.raise(result, error_text(config))
        end
    end
end

-- Of what the binding takes itself, in every table of options.
options.shared = { cookie_options = "table", strategies = "table" }

-- options.number(NAME, VALUE, LEAST, MOST): a whole number within bounds.
function options.number(name, value, least, most)
    if type(value) ~= "number" or value ~= math.floor(value) or
        value < least or value > most then
        errors.argument("option %s: %s is not a whole number from %d to %d",
            name, tostring(value), least, most)
    end
    return value
end

-- options.config(OPTS, OWN): a config, collected if it is not freed before.
-- OWN has the names that are not the library's, each with its type.
function options.config(opts, own)
    if type(opts) ~= "table" then
        errors.argument("give a table of options, not a %s", type(opts))
    end
    for name, kind in pairs(own) do
        if opts[name] ~= nil and type(opts[name]) ~= kind then
            errors.argument("option %s: give a %s, not a %s", name, kind,
                type(opts[name]))
        end
    end
    local out = ffi.new("dtlsl_config *[1]")
    local result = lib.dtlsl_config_new(out)
    if result < 0 then
        errors.raise(result, "cannot make a config: " ..
            ffi.string(lib.dtlsl_strerror(result)))
    end
    local config = ffi.gc(out[0], lib.dtlsl_config_free)
    set_options(config, opts, own)
    set_cookie_options(config, opts.cookie_options or {})
    add_strategies(config, opts.strategies or {})
    return config
end

-- options.make(OPTS, OWN, FUNCTION, TYPE, ...): what FUNCTION makes of a
-- config, a listener or a gate; the config is given back.
function options.make(opts, own, f, ctype, ...)
    local config = options.config(opts, own)
    local out = ffi.new(ctype .. " *[1]")
    local result = f(out, config, ...)

    if result < 0 then
        errors.raise(result, error_text(config))
    end
    lib.dtlsl_config_free(ffi.gc(config, nil))
    return out[0]
end

return options
