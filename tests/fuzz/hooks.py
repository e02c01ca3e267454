"""What schemathesis knows beyond the API's description: whose key a request carries, which objects it is about, and
what no answer may show.

It loads this file by the variable SCHEMATHESIS_HOOKS; `tests.fuzz.run` hands over the tenants, and reads the counts.
"""

import atexit
import hashlib
import itertools
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import schemathesis
from schemathesis import Case, CheckContext, HookContext, Response

KEY = "X-Avala-Api-Key"
# What a path's parameter names, by the segment before it.
KINDS = {
    "projects": "project",
    "auto-label-jobs": "job",
    "inference-providers": "provider",
    "webhooks": "webhook",
    "webhook-deliveries": "delivery",
    "exports": "export",
    "results": "result",
    "tasks": "item",
    "items": "item",
    "datasets": "dataset",
}
# What a field of a body or a query names.
FIELDS = {
    **{"project": "project", "dataset": "project", "provider_id": "provider"},
    **{"job": "job", "item": "item", "subscription": "webhook"},
}
# Of these, what a body refers to; the rest select, and what is foreign or unknown selects nothing.
REFERENCES = ("project", "provider_id", "dataset")
# What the description cannot say of a body, as far as it has all these fields.
PLAUSIBLE: list[dict[str, Any]] = [
    {"target_url": "http://localhost:9/hook"},
    {"events": ["auto_label.completed", "result.accepted"]},
    {"provider_type": "sagemaker", "config": {"endpoint_name": "autolabel-load", "region": "us-east-1"}},
    {
        "provider_type": "http",
        "config": {"endpoint_url": "http://localhost:9/", "auth_type": "bearer", "auth_header": "some-token"},
    },
    {"items": [{"key": "cloud.bin", "asset_type": "point_cloud"}]},
]
# What a call that makes something makes, by the last segment of its path.
MADE = {**KINDS, "auto-label": "job"}
UNKNOWN = "00000000-0000-4000-8000-000000000000"
# So many of each object are left over by DELETE, for the calls that come after it.
LEFT = 3
# Of a hundred requests so many keep what was generated; of the rest so many are about an object of the other tenant.
GENERATED, FOREIGN = 20, 25
KEYLESS = 3

_tenants: list[dict[str, Any]] = json.loads(Path(os.environ["FUZZ_TENANTS"]).read_text())
_counts: Counter[str] = Counter()


class Dice:
    """Throws that follow from the request alone, so that a seed means the same requests."""

    def __init__(self, case: Case[Any]) -> None:
        drawn = repr((case.operation.label, case.path_parameters, case.query, case.body))
        self._state = hashlib.sha256(drawn.encode("utf-8", "surrogatepass")).digest()

    def throw(self, sides: int) -> int:
        self._state = hashlib.sha256(self._state).digest()
        return int.from_bytes(self._state[:8]) % sides


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Chooses the caller, and replaces identifiers by real ones."""
    del context, kwargs
    dice = Dice(case)
    caller = dice.throw(2)
    headers = case.headers
    if dice.throw(100) >= KEYLESS:
        headers[KEY] = _tenants[caller]["key"]
    if dice.throw(100) >= GENERATED:
        segments = case.operation.path.strip("/").split("/")
        for before, segment in itertools.pairwise(segments):
            if segment.startswith("{") and before in KINDS:
                case.path_parameters[segment[1:-1]] = _one(dice, caller, KINDS[before], case.method)
        for name in sorted({"owner", "slug"} & (case.path_parameters or {}).keys()):
            case.path_parameters[name] = _one(dice, caller, name)
    if isinstance(case.body, dict):
        for fields in PLAUSIBLE:
            if fields.keys() <= case.body.keys() and dice.throw(100) >= GENERATED:
                case.body.update(fields)
    # The generators learn values from answers: a tenant that writes the other's name down would read it later, rightly.
    case.body = _without(case.body, _tenants[1 - caller]["canaries"])
    for named in (case.query, case.body):
        if isinstance(named, dict):
            for field in sorted(named.keys() & FIELDS.keys()):
                if isinstance(named[field], str) and dice.throw(100) >= GENERATED:
                    named[field] = _one(dice, caller, FIELDS[field])


def _without(value: Any, canaries: list[str]) -> Any:
    if isinstance(value, dict):
        return {_without(name, canaries): _without(part, canaries) for name, part in value.items()}
    if isinstance(value, list):
        return [_without(part, canaries) for part in value]
    if isinstance(value, str):
        for canary in canaries:
            value = value.replace(canary, "canary")
    return value


def _one(dice: Dice, caller: int, kind: str, method: str = "GET") -> str:
    owner = 1 - caller if dice.throw(100) < FOREIGN else caller
    known = _tenants[owner]["objects"][kind]
    if method == "DELETE" and owner == caller and len(known) <= LEFT:
        return UNKNOWN
    return str(known[dice.throw(len(known))])


@schemathesis.hook
def after_call(context: HookContext, case: Case[Any], response: Response) -> None:
    """Counts, and knows what is made and removed: later requests are about what is there."""
    del context
    _counts[f"{case.operation.label} {response.status_code}"] += 1
    caller = _caller(response)
    if caller is None:
        return
    objects = _tenants[caller]["objects"]
    kind = MADE.get(case.operation.path.strip("/").split("/")[-1])
    if response.status_code in (201, 202) and kind is not None and "uid" in response.json():
        objects[kind].append(response.json()["uid"])
    if response.status_code == 204 and case.method == "DELETE" and "auto-label-jobs" not in case.operation.path:
        removed = _segments(response)[-1]
        for uids in objects.values():
            if removed in uids:
                uids.remove(removed)


@schemathesis.check
def tenants_do_not_see_each_other(ctx: CheckContext, response: Response, case: Case[Any]) -> None:
    """I10: nothing of the other's content in any answer, and nothing but 404 for the other's objects."""
    del ctx
    caller = _caller(response)
    if caller is None:
        return
    other = _tenants[1 - caller]
    # The generators learn values from answers, so that one tenant may well send what is another's.
    sent = f"{response.request.url} {response.request.headers} {response.request.body!r}"
    shown = [canary for canary in other["canaries"] if canary.encode() in response.content and canary not in sent]
    assert not shown, f"The answer shows {shown} of another tenant."
    if response.request.method == "OPTIONS":
        return  # a browser's preflight, answered before the path is read: the same for every uid
    foreign = {uid for uids in other["objects"].values() for uid in uids}
    named = set(_segments(response))
    if isinstance(case.body, dict):
        named |= {str(case.body.get(field)) for field in REFERENCES}
    assert response.status_code >= 400 or not foreign & named, "An object of another tenant was served."


def _segments(response: Response) -> list[str]:
    """Of the path that was asked for."""
    return unquote(urlsplit(response.request.url or "").path).strip("/").split("/")


def _caller(response: Response) -> int | None:
    key = response.request.headers.get(KEY)
    return next((number for number, tenant in enumerate(_tenants) if tenant["key"] == key), None)


@atexit.register
def _write_counts() -> None:
    Path(os.environ["FUZZ_COUNTS"]).write_text(json.dumps(_counts))
