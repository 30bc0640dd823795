-- The rate limit: a bucket per key that holds as many requests as a second allows and is refilled
-- evenly. A request that is refused costs nothing.

local settings = require "api.settings"

local M = {}

local buckets = {}

--- Takes one request of the account.
--- @return number|nil wait seconds until one is free, when there is none
function M.take(account_id)
  local rate = settings.live.rate
  if rate == 0 then return nil end
  local size = math.max(rate, 1)
  local now = ngx.now()
  local bucket = buckets[account_id]
  if not bucket then
    bucket = { level = size, at = now }
    buckets[account_id] = bucket
  end
  bucket.level = math.min(size, bucket.level + (now - bucket.at) * rate)
  bucket.at = now
  if bucket.level < 1 then return (1 - bucket.level) / rate end
  bucket.level = bucket.level - 1
  return nil
end

function M.reset() buckets = {} end

return M
