-- SPDX-License-Identifier: Apache-2.0
-- wrk: GET /v1/whoami with the tokens of $TOKENS in turn. An answer counts as good if it is 200 and
-- names a token of the bench; the last line of the output is one JSON object.
local threads = {}
local requests = {}
local next_request = 0

good, bad, complaint = 0, 0, ""

function setup(thread)
    table.insert(threads, thread)
end

function init()
    for line in io.lines(os.getenv("TOKENS")) do
        local secret = line:match("^(%S+) ")
        local headers = {["Authorization"] = "Bearer " .. secret, ["Host"] = "localhost"}
        table.insert(requests, wrk.format("GET", "/v1/whoami", headers))
    end
end

function request()
    next_request = next_request % #requests + 1
    return requests[next_request]
end

function response(status, headers, body)
    if status == 200 and body:find('"bench%-%d+"') then
        good = good + 1
    else
        bad = bad + 1
        complaint = status .. " " .. body:sub(1, 200)
    end
end

function done(summary, latency)
    local all_good, all_bad, text = 0, 0, ""
    for _, thread in ipairs(threads) do
        all_good = all_good + thread:get("good")
        all_bad = all_bad + thread:get("bad")
        text = thread:get("complaint") ~= "" and thread:get("complaint") or text
    end
    local errors = summary.errors
    all_bad = all_bad + errors.connect + errors.read + errors.write + errors.timeout
    if text ~= "" then
        io.stderr:write("wrk: ", text, "\n")
    end
    io.write(string.format(
        '{"good": %d, "bad": %d, "seconds": %.3f, "p50_us": %d, "p99_us": %d}\n',
        all_good, all_bad, summary.duration / 1e6, latency:percentile(50), latency:percentile(99)))
end
