"""What `helm test` runs, in a pod with the product's image: does everything answer that must?

Addresses come as GATEWAY_URL, ADMIN_URL and METRICS_URL. With OMNIROUTE_INITIAL_KEY the list of models is asked for too.
"""

import os
import sys
import time
import urllib.error
import urllib.request

LIMIT_S = float(os.environ.get("LIMIT_S", "120"))


def status(url, key=""):
    asked = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"} if key else {})
    try:
        with urllib.request.urlopen(asked, timeout=5) as answer:
            answer.read()
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError as error:
        return str(error)


def expect(what, wanted, *request):
    deadline = time.monotonic() + LIMIT_S
    while (found := status(*request)) != wanted:
        if time.monotonic() > deadline:
            sys.exit(f"FAILED {what}: {request[0]} gave {found}, not {wanted}")
        time.sleep(1)
    print("ok", what)


gateway, admin, metrics = (os.environ[name] for name in ("GATEWAY_URL", "ADMIN_URL", "METRICS_URL"))
expect("admin is up", 200, f"{admin}/healthz")
expect("the dashboard is there", 200, f"{admin}/dashboard/")
expect("admin lets nobody in without a log-in", 401, f"{admin}/api/keys")
expect("gateways have a configuration", 200, f"{gateway}/readyz")
if os.environ.get("REQUIRE_API_KEY") != "false":
    expect("gateways let nobody in without a key", 401, f"{gateway}/v1/models")
if key := os.environ.get("OMNIROUTE_INITIAL_KEY"):
    expect("the first key is let in", 200, f"{gateway}/v1/models", key)
expect("metrics are served", 200, f"{metrics}/metrics")
