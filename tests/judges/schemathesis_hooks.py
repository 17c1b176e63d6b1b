# SPDX-License-Identifier: Apache-2.0
"""What schemathesis cannot know: values that exist, which token it must not delete, and that the JSON
mapping of protobuf takes more than one form of a value."""

import datetime
import os
import random
import re

import schemathesis
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.specs.openapi.checks import negative_data_rejection

ADMIN_TOKEN = os.environ["ADMIN_TOKEN"]
SOON = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=9)).date().isoformat()
POLICY = {"actions": ["http:/api/x/*:Get", "http:!/api/x/y:*"]}
REAL = {"name": ["ci", "deploy-1", "osmo-user", "team-a"], "expires_at": [SOON], "expireDate": [SOON],
        "roles": [["osmo-user"]], "access_token": [ADMIN_TOKEN], "token": [ADMIN_TOKEN], "pool": ["default"],
        "method": ["GET"], "path": ["/api/x"], "pageSize": [1, 1000], "pageToken": [""],
        "filter": ["state = ACTIVE", 'name = "c*"'], "policies": [[POLICY]], "bucket": [None]}


def make_real(values, of):
    for name in set(values) & set(REAL):
        if of.random() < 0.9:
            values[name] = of.choice(REAL[name])
    for value in values.values():
        if isinstance(value, dict):
            make_real(value, of)


@schemathesis.hook
def before_call(context, case, kwargs):
    """Every second well-formed case gets values that lead somewhere."""
    of = random.Random(repr((case.path, case.path_parameters, case.query, case.body)))
    parts = [part for part in (case.path_parameters, case.query, case.body) if isinstance(part, dict)]
    if case.meta and case.meta.generation.mode.is_positive and of.random() < 0.5:
        for part in parts:
            make_real(part, of)
    for name, value in (case.path_parameters or {}).items():
        if value == "admin":  # whose token it calls with
            case.path_parameters[name] = "nobody"


@schemathesis.check
def refuses_what_the_schema_forbids(context, response, case):
    try:
        return negative_data_rejection(context, response, case)
    except AcceptedNegativeData as failure:
        # an enum by its number, a number as text, null for the default
        if not re.search(r"incorrect type|violates `(type|anyOf)`", failure.message, re.IGNORECASE):
            raise
    return True
