-- SPDX-License-Identifier: MIT
--
-- What the specs share: foreign clients as processes, waiting for conditions,
-- files that go away at the end.

local uv = require("luv")

local helper = {
    IDENTITY = "spec",
    TEXT_KEY = "spec-psk-0123456",
    KEY = "737065632d70736b2d30313233343536", -- the same in hexadecimal
    LIMIT = 60 * 1000, -- any one thing may take so long, in milliseconds
}

-- The root of the source tree, and where make check built its programs.
helper.source = os.getenv("DTLSL_SOURCE") or "../.."
helper.tests = os.getenv("DTLSL_TESTS") or "../../build/check/tests"

-- ---- waiting ---------------------------------------------------------------

-- wait_for(CONDITION, [STEP]): runs the loop, and STEP, until it is true.
function helper.wait_for(condition, step)
    local timer = uv.new_timer()
    local late = false
    local deadline = uv.hrtime() + helper.LIMIT * 1e6

    timer:start(10, 10, function() -- so that "once" comes back
        late = uv.hrtime() > deadline
    end)
    while not condition() and not late do
        if step then
            step()
            uv.run("nowait")
        else
            uv.run("once")
        end
    end
    timer:close()
    assert(condition(), "it did not happen within a minute")
end

-- ---- processes -------------------------------------------------------------

local Process = {}
Process.__index = Process

local running = {}

-- spawn{ PROGRAM, ARGUMENT..., [env =], [cwd =] }: both outputs are collected
-- in process.output.
function helper.spawn(command)
    local process = setmetatable({ output = "", open = 2 }, Process)
    local program = table.remove(command, 1)
    local stdin, stdout, stderr = uv.new_pipe(), uv.new_pipe(), uv.new_pipe()
    local problem

    process.stdin = stdin
    process.handle, problem = uv.spawn(program, {
        args = command,
        env = command.env,
        cwd = command.cwd,
        stdio = { stdin, stdout, stderr },
    }, function(status, signal)
        process.status, process.signal = status, signal
        process.handle:close()
        running[process] = nil
    end)
    running[process] = true
    assert(process.handle, program .. ": " .. tostring(problem))
    for _, pipe in ipairs({ stdout, stderr }) do
        pipe:read_start(function(_, data)
            if data then
                process.output = process.output .. data
            else
                process.open = process.open - 1
                pipe:close()
            end
        end)
    end
    return process
end

function Process:say(text)
    self.stdin:write(text)
end

function Process:has(text)
    return self.output:find(text, 1, true) ~= nil
end

-- sees(TEXT, [STEP]): waits until it printed that, and says if it did.
function Process:sees(text, step)
    helper.wait_for(function()
        return self:has(text) or self:ended()
    end, step)
    assert(self:has(text), ("no %q in:\n%s"):format(text, self.output))
end

function Process:ended()
    return self.status ~= nil and self.open == 0
end

function Process:kill(signal)
    if self.status == nil then
        self.handle:kill(signal or "sigterm")
    end
end

-- Waits for its end and returns its status and signal.
function Process:wait(step)
    helper.wait_for(function()
        return self:ended()
    end, step)
    if not self.stdin:is_closing() then
        self.stdin:close()
    end
    uv.run("nowait") -- luv must not be closed with handles that are closing
    return self.status, self.signal
end

function Process:stop(step)
    self:kill()
    return self:wait(step)
end

-- What a test that failed left behind; luv cannot close with it.
function helper.kill_all()
    for process in pairs(running) do
        process:kill("sigkill")
        process:wait()
    end
end

-- ---- clients ---------------------------------------------------------------

local function port_of(address)
    return address:match(":(%d+)$")
end
helper.port_of = port_of

-- openssl(ADDRESS, ARGUMENT...): a client that copies lines.
function helper.openssl(address, ...)
    return helper.spawn({ "openssl", "s_client", "-dtls1_2", "-connect",
        "127.0.0.1:" .. port_of(address), ... })
end

function helper.openssl_psk(address, ...)
    return helper.openssl(address, "-psk", helper.KEY, "-psk_identity",
        helper.IDENTITY, ...)
end

function helper.gnutls(address, ...)
    local arguments = { "gnutls-cli", "--udp", "--insecure", "--port",
        port_of(address), ... }

    table.insert(arguments, "127.0.0.1")
    return helper.spawn(arguments)
end

-- luajit(ARGUMENT...): another process of the same interpreter; it finds the
-- binding and the library as this one does.
function helper.luajit(...)
    return helper.spawn({ "luajit", ... })
end

-- environment(CHANGES): ours with changes; false takes a variable away.
function helper.environment(changes)
    local list = {}

    for name, value in pairs(uv.os_environ()) do
        if changes[name] == nil then
            table.insert(list, name .. "=" .. value)
        end
    end
    for name, value in pairs(changes) do
        if value then
            table.insert(list, name .. "=" .. value)
        end
    end
    return list
end

-- ---- files -----------------------------------------------------------------

local made

-- The directory of this run.
function helper.dir()
    if not made then
        made = assert(uv.fs_mkdtemp((os.getenv("TMPDIR") or "/tmp") ..
            "/dtlsl-lua.XXXXXX"))
    end
    return made
end

function helper.clean_up()
    if made then
        os.execute("rm -rf '" .. made .. "'")
        made = nil
    end
end

function helper.write(name, text)
    local path = helper.dir() .. "/" .. name
    local file = assert(io.open(path, "wb"))

    file:write(text)
    file:close()
    return path
end

function helper.read(path)
    local file = assert(io.open(path, "rb"))
    local text = file:read("*a")

    file:close()
    return text
end

function helper.psk_file()
    return helper.write("psk", helper.IDENTITY .. ":" .. helper.KEY .. "\n")
end

-- make_certificate(NAME): NAME.pem and NAME.key, signed by themselves.
function helper.make_certificate(name)
    local pem, key = helper.dir() .. "/" .. name .. ".pem",
        helper.dir() .. "/" .. name .. ".key"
    local status = os.execute(("openssl req -x509 -newkey ec -pkeyopt " ..
        "ec_paramgen_curve:P-256 -nodes -keyout '%s' -out '%s' -days 30 " ..
        "-subj '/CN=%s' 2>/dev/null"):format(key, pem, name))

    assert(status == 0 or status == true, "openssl made no certificate")
    return pem, key
end

return helper
