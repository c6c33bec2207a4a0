-- One commit, in one step: nobody else is served while it runs, and it is written to the append-only file as one transaction.
-- It looks at everything before it writes anything, because what a function has written stays when it fails.

-- What the changes say in the end: the dependencies of each package, or false when it is removed.
local function last_words(args)
    local words = {}
    for at = 4, #args, 2 do
        for verb, package, dependencies in string.gmatch(args[at], '(%u+)|([^|\n]+)|([^|\n]*)\n') do
            if verb == 'INDEX' then
                words[package] = dependencies
            else
                words[package] = false
            end
        end
    end
    return words
end

local function each(list)
    return string.gmatch(list, '[^,]+')
end

-- Why the state after these words would not be a good one, or nil.
local function refusal(keys, dependents, words)
    for package, dependencies in pairs(words) do
        if dependencies then
            for name in each(dependencies) do
                local word = words[name]
                if word == false or (word == nil and redis.call('HEXISTS', keys.packages, name) == 0) then
                    return package .. ' would depend on ' .. name .. ', which is not indexed'
                end
            end
        else
            for _, name in ipairs(redis.call('SMEMBERS', dependents .. package)) do
                if words[name] == nil then
                    return package .. ' is a dependency of ' .. name
                end
            end
        end
    end
    return nil
end

-- All old edges go before new ones come.
local function put(keys, dependents, words)
    for package in pairs(words) do
        local old = redis.call('HGET', keys.packages, package)
        if old then
            for name in each(old) do
                redis.call('SREM', dependents .. name, package)
            end
        end
    end
    for package, dependencies in pairs(words) do
        if dependencies then
            redis.call('HSET', keys.packages, package, dependencies)
            for name in each(dependencies) do
                redis.call('SADD', dependents .. name, package)
            end
        else
            redis.call('HDEL', keys.packages, package)
        end
    end
end

-- keys: state, packages, changes. args: prefix of the keys of dependents, base, changes to keep, then lines and origin of each change.
-- Answers with the newest revision before, which is the base when it was done.
local function commit(names, args)
    local keys = { state = names[1], packages = names[2], changes = names[3] }
    local dependents, base, kept = args[1], args[2], tonumber(args[3])
    local newest = redis.call('HGET', keys.state, 'revision')
    if newest ~= base or #args == 3 then
        return newest
    end
    local words = last_words(args)
    local reason = refusal(keys, dependents, words)
    if reason then
        return redis.error_reply('REFUSED ' .. reason)
    end
    put(keys, dependents, words)
    local revision = tonumber(base)
    for at = 4, #args, 2 do
        revision = revision + 1
        local id = string.format('%.0f-0', revision)
        redis.call('XADD', keys.changes, id, 'lines', args[at], 'origin', args[at + 1])
    end
    redis.call('HSET', keys.state, 'revision', string.format('%.0f', revision))
    if revision > kept then
        redis.call('XTRIM', keys.changes, 'MINID', '~', string.format('%.0f', revision - kept + 1))
    end
    return newest
end

redis.register_function('NAME', commit)
