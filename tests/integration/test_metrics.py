# SPDX-License-Identifier: Apache-2.0
"""/metrics, read as strictly as the format is written (text format 0.0.4)."""

import re
import urllib.request

from env import http1

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? ([^ ]+)")


def scrape(service):
    with urllib.request.urlopen(f"{service.url}/metrics") as reply:
        assert reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return reply.read().decode()


def parse(text):
    """{family: (type, {sample name and labels: value})}; fails on whatever is not of the format."""
    assert text.endswith("\n")
    families, family, helped = {}, None, None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            helped = re.fullmatch(rf"# HELP ({NAME}) .+", line).group(1)
        elif line.startswith("# TYPE "):
            family, kind = re.fullmatch(rf"# TYPE ({NAME}) (counter|gauge|histogram)", line).groups()
            assert family == helped and family not in families
            families[family] = (kind, {})
        else:
            name, labels, value = SAMPLE.fullmatch(line).groups()
            kind, samples = families[family]
            suffixes = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
            assert name in [family + suffix for suffix in suffixes]
            assert (name, labels) not in samples
            samples[name, labels] = float(value)
    return families


def check_histogram(family, samples):
    series = {}
    for (name, labels), value in samples.items():
        if name == family + "_bucket":
            rest, bound = re.fullmatch(r'(.*?),?le="([^"]+)"', labels).groups()
            series.setdefault(rest, []).append((float(bound), value))
    for rest, buckets in series.items():
        assert buckets == sorted(buckets), "buckets are cumulative, their bounds ascend"
        assert buckets[-1][0] == float("inf")
        assert buckets[-1][1] == samples[family + "_count", rest or None]
        assert samples[family + "_sum", rest or None] >= 0


def test_metrics_keep_to_the_format(service):
    families = parse(scrape(service))
    for family, (kind, samples) in families.items():
        assert samples, f"{family} has no series"
        if kind == "histogram":
            check_histogram(family, samples)
        if kind == "counter":
            assert family.endswith("_total")
            assert all(value >= 0 for value in samples.values())


def test_the_process_tells_about_itself(service):
    families = parse(scrape(service))
    with open(f"/proc/{service.pid}/status") as status:
        resident_kb = int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))
    shown = families["process_resident_memory_bytes"][1]["process_resident_memory_bytes", None]
    assert 0.5 < shown / (resident_kb * 1024) < 2
    (name, labels), value = next(iter(families["build_info"][1].items()))
    assert 'program="token-service"' in labels and value == 1
    for name in "process_cpu_seconds_total", "process_open_fds", "process_start_time_seconds":
        assert families[name][1][name, None] > 0


def test_counters_never_fall(service):
    first, second = parse(scrape(service)), parse(scrape(service))
    for family, (kind, samples) in first.items():
        if kind == "counter":
            for series, value in samples.items():
                assert second[family][1][series] >= value


def test_a_gateway_of_its_own_counts_what_it_answers(service, start_gateway):
    gateway = start_gateway(service.grpc)
    for path in ["/v1/whoami", "/v1/whoami", "/v1/nope", "/api/version", "/healthz"]:
        http1.request(gateway.http, "GET", path)
    http1.talk(gateway.http, b"GET / HTTP/1.1\n\n")
    families = parse(scrape(gateway))
    calls, replies, errors = (families[f"gateway_{name}_total"][1] for name in ["calls", "http_replies", "http_errors"])

    def called(method, code):
        return calls["gateway_calls_total", f'method="{method}",code="{code}"']

    assert called("osmo.token.v1.TokenService/WhoAmI", "UNAUTHENTICATED") == 2
    assert called("osmo.compat.v1.CompatService/GetVersion", "OK") == 1
    assert {labels: value for (_, labels), value in replies.items()} == {'class="2xx"': 2, 'class="4xx"': 4, 'class="5xx"': 0}
    assert {labels: value for (_, labels), value in errors.items() if value} == {'kind="line_end"': 1}
    kind, latency = families["gateway_call_duration_seconds"]
    check_histogram("gateway_call_duration_seconds", latency)
    assert kind == "histogram" and sum(n for (name, _), n in latency.items() if name.endswith("_count")) == 3
