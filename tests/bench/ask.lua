-- SPDX-License-Identifier: Apache-2.0
-- wrk: asks random ids to add 1; prints what came of it as one line of JSON.
-- Environment: BENCH_IDS, BENCH_PATH (the path up to the id).

local ids = tonumber(os.getenv("BENCH_IDS"))
local path = os.getenv("BENCH_PATH")
local requests = {}
local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("seed", threads)
end

function init(arguments)
  math.randomseed(seed)
  local headers = { ["Content-Type"] = "application/json" }
  for id = 1, ids do
    requests[id] = wrk.format("POST", path .. id, headers, "1")
  end
end

function request()
  return requests[math.random(ids)]
end

function done(summary, latency, per_thread)
  local errors = summary.errors
  io.write(string.format(
    '\nBENCH {"answers": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "max_ms": %.3f, '
      .. '"errors": {"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    latency.max / 1e3, errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
