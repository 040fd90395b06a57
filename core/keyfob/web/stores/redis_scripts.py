"""What the Redis store asks of the server: each one Lua script on one key, and so atomic.

A record is a hash: `v` is its value, `n` its version, `e` its end, and `w` names the write that
made it what it is, so that a call that is repeated after its answer got lost is known again. What a
script is not told it does not know: the time is ours, like everywhere else, and not the server's.
Versions stay texts in Lua, whose numbers would lose their last digits.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple


class Script(NamedTuple):
    text: str
    sha: str


def _script(body: str) -> Script:
    text = _LIVE + body
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


# ARGV[1] is always the time. Anything that is no record of ours is as good as absent.
_LIVE = """
local key, now = KEYS[1], tonumber(ARGV[1])
local kind = redis.call('TYPE', key)['ok']
local version, ends = false, false
if kind == 'hash' then
    local found = redis.call('HMGET', key, 'n', 'e')
    version, ends = found[1], tonumber(found[2] or '')
end
local live = version and ends and ends > now
local function put(write, value, version, ends, milliseconds)
    -- Not always: to a script that has written something already, a full server refuses nothing.
    if kind ~= 'hash' and kind ~= 'none' then redis.call('DEL', key) end
    redis.call('HSET', key, 'v', value, 'n', version, 'e', ends, 'w', write)
    redis.call('PEXPIRE', key, milliseconds)
end
local function is_of(write)
    return redis.call('HGET', key, 'w') == write and 1 or 0
end
"""

#: now, longest value -> [version, value], or nil.
LOAD = _script("""
if not live or redis.call('HSTRLEN', key, 'v') > tonumber(ARGV[2]) then return false end
local value = redis.call('HGET', key, 'v')
return value and {version, value}
""")

#: now -> version, or nil.
VERSION = _script("return live and version")

#: now, write, value, version, end, milliseconds to live -> 1 or 0.
CREATE = _script("""
if live then return is_of(ARGV[2]) end
if tonumber(ARGV[5]) > now then put(ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]) end
return 1
""")

#: now, write, value, new version, end, milliseconds to live, old version -> 1 or 0.
REPLACE = _script("""
if not live then return 0 end
if version ~= ARGV[7] then return is_of(ARGV[2]) end
if tonumber(ARGV[5]) > now then
    put(ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6])
else
    redis.call('DEL', key)
end
return 1
""")

#: now, end, milliseconds to live -> 1 or 0.
EXTEND = _script("""
if not live then return 0 end
if tonumber(ARGV[2]) > ends then
    redis.call('HSET', key, 'e', ARGV[2])
    redis.call('PEXPIRE', key, ARGV[3])
end
return 1
""")

#: now, version or "" for any -> 1 or 0.
DELETE = _script("""
if ARGV[2] ~= '' and not (live and version == ARGV[2]) then return 0 end
redis.call('DEL', key)
return live and 1 or 0
""")

#: now -> 1 or 0.
CLEAR = _script("""
if live or not ends then return 0 end
return redis.call('DEL', key)
""")
