import { createHash } from 'node:crypto'

/** A program that Redis runs in one piece, so that no other command comes in between. */
export interface LimitScript {
  readonly text: string
  /** By which Redis knows it once it has seen its text. */
  readonly sha1: string
}

// KEYS[1]: what is remembered of a caller. ARGV: limit, period (ms), burst, cost, and the time (ms) where it is not to be Redis' own.
// Answers stand as texts: Redis cuts the fractions of numbers off. What is remembered goes by itself once the caller has all takes again.
// A take that is refused changes it only where it lies ahead of what can be, as the clock was set back.

/** As `takeFrom` of @banyan/resilience for `gcra`. */
const EVENLY = `
local limit, period, burst, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local now = tonumber(ARGV[5])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + time[2] / 1000
end
local epsilon = 0.001
local interval = period / limit
local tolerance = interval * burst
local known = tonumber(redis.call('GET', KEYS[1]) or '') or 0
local before = math.min(math.max(known, now), now + tolerance + epsilon)
local after = before + interval * cost
local wait = after - now - tolerance
local allowed = wait <= epsilon
local full = before
if allowed then full = after end
if allowed or before < known then
  redis.call('SET', KEYS[1], string.format('%.17g', full), 'PX', math.max(1, math.ceil(full - now)))
end
local remaining = math.max(0, math.floor((tolerance - (full - now) + epsilon) / interval))
local text = function(number) return string.format('%.17g', number) end
return { allowed and '1' or '0', text(remaining), text(full - now), text(allowed and 0 or wait) }`

/** As `takeFrom` for `sliding-window`. */
const SLIDING = `
local limit, period, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[4])
local now = tonumber(ARGV[5])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + time[2] / 1000
end
local start = math.floor(now / period) * period
local current, previous = 0, 0
local ahead = false
local known = redis.call('GET', KEYS[1])
if known then
  local s, c, p = string.match(known, '^(%S+) (%S+) (%S+)$')
  s, c, p = tonumber(s), tonumber(c), tonumber(p)
  if s and c and p then
    ahead = s > start
    if s >= start then current, previous = c, p
    elseif s + period >= start then previous = c end
  end
end
local left = function(taken) return limit - taken - previous * (1 - (now - start) / period) end
local allowed = left(current + cost) >= -1e-9
local taken = current
if allowed then taken = current + cost end
local full = now
if taken > 0 then full = start + 2 * period elseif previous > 0 then full = start + period end
if allowed or ahead then
  redis.call('SET', KEYS[1], string.format('%.17g %.17g %.17g', start, taken, previous), 'PX', math.max(1, math.ceil(full - now)))
end
local wait = 0
if not allowed then
  local room = limit - cost
  if current <= room then wait = start + period * (1 - (room - current) / previous) - now
  else wait = start + period + period * (1 - room / current) - now end
end
local text = function(number) return string.format('%.17g', number) end
return { allowed and '1' or '0', text(math.max(0, math.floor(left(taken) + 1e-9))), text(math.max(0, full - now)), text(wait) }`

export const limitScripts: { readonly gcra: LimitScript; readonly 'sliding-window': LimitScript } = {
  gcra: scriptOf(EVENLY),
  'sliding-window': scriptOf(SLIDING),
}

function scriptOf(text: string): LimitScript {
  return { text, sha1: createHash('sha1').update(text).digest('hex') }
}
