"""Mission Control as it is deployed (decision 0042).

The emulator serves no distribution: the local proxy serves the page. Here it is compared with the deployed policies,
functions and files.
"""

import json
import re
from typing import Any, Final

import httpx
import pytest

from local import aws, demo, settings
from local.up import Stack
from tests.system.system import System

pytestmark = pytest.mark.takes(5)

ADDRESSES: Final[list[tuple[str, str | None]]] = json.loads((settings.ROOT / "console" / "addresses.json").read_text())
EDGE: Final = settings.INFRA / "lib" / "edge"
PAGE: Final = settings.CONSOLE_URL.removesuffix("/")


@pytest.fixture(scope="module")
def distribution(stack: Stack) -> dict[str, Any]:
    """The deployed distribution."""
    (found,) = [
        distribution
        for distribution in aws.client("cloudfront").list_distributions()["DistributionList"]["Items"]
        if distribution["DomainName"] == stack.outputs["ConsoleDistributionDomain"]
    ]
    config: dict[str, Any] = aws.client("cloudfront").get_distribution_config(Id=found["Id"])["DistributionConfig"]
    return config


@pytest.fixture(scope="module")
def bucket(distribution: dict[str, Any]) -> str:
    """The bucket of the page's files."""
    return next(
        str(origin["DomainName"]).partition(".s3.")[0]
        for origin in distribution["Origins"]["Items"]
        if ".s3." in origin["DomainName"]
    )


def behaviors(distribution: dict[str, Any]) -> dict[str, dict[str, Any]]:
    named = {behavior["PathPattern"]: behavior for behavior in distribution["CacheBehaviors"]["Items"]}
    return {"/*": distribution["DefaultCacheBehavior"], **named}


def headers_of(behavior: dict[str, Any]) -> dict[str, str]:
    """The headers of a behavior's policy, as a browser gets them."""
    policy = aws.client("cloudfront").get_response_headers_policy_config(Id=behavior["ResponseHeadersPolicyId"])
    config = policy["ResponseHeadersPolicyConfig"]
    security = config["SecurityHeadersConfig"]
    transport = security["StrictTransportSecurity"]
    subdomains = "; includeSubDomains" if transport["IncludeSubdomains"] else ""
    found = {
        "Strict-Transport-Security": f"max-age={transport['AccessControlMaxAgeSec']}{subdomains}",
        "Referrer-Policy": security["ReferrerPolicy"]["ReferrerPolicy"],
        **{header["Header"]: header["Value"] for header in config["CustomHeadersConfig"]["Items"]},
    }
    if "ContentTypeOptions" in security:
        found["X-Content-Type-Options"] = "nosniff"
    if "ContentSecurityPolicy" in security:
        found["Content-Security-Policy"] = security["ContentSecurityPolicy"]["ContentSecurityPolicy"]
    return found


def test_the_headers_here_are_those_of_the_deployed_policies(distribution: dict[str, Any], stack: Stack) -> None:
    sources = [f"https://{name}.s3.{settings.REGION}.amazonaws.com" for name in settings.SOURCE_BUCKETS]
    own = f"https://{stack.outputs['BucketName']}.s3.{settings.REGION}.amazonaws.com"
    for path, pattern in (("/", "/*"), ("/nothing.png", "/*"), ("/reference/", "/reference/*")):
        expected = headers_of(behaviors(distribution)[pattern])
        # The files of items are in the emulator here.
        pictures = " ".join([own, *sources])
        expected = {name: value.replace(pictures, settings.EMULATOR_URL) for name, value in expected.items()}
        answer = httpx.get(f"{PAGE}{path}")
        assert {name: answer.headers[name] for name in expected} == expected, path
        policy = "Content-Security-Policy"
        assert (policy in answer.headers) == (policy in expected), path


def test_the_files_here_are_those_of_the_deployed_bucket(bucket: str) -> None:
    objects = aws.client("s3").list_objects_v2(Bucket=bucket)["Contents"]
    keys = {str(found["Key"]) for found in objects}
    assert {"index.html", "icon.svg", "reference/index.html"} <= keys
    assert any(key.startswith("assets/") for key in keys)
    for key in keys:
        stored = aws.client("s3").get_object(Bucket=bucket, Key=key)
        answer = httpx.get(f"{PAGE}/{key}")
        assert answer.content == stored["Body"].read(), key
        assert answer.headers["Cache-Control"] == stored["CacheControl"], key
        assert kind(answer.headers["Content-Type"]) == kind(stored["ContentType"]), key


def kind(content_type: str) -> str:
    """Both names of JavaScript are one."""
    return content_type.partition(";")[0].replace("application/javascript", "text/javascript")


def test_an_address_is_answered_here_by_the_file_that_answers_it_at_the_edge(bucket: str) -> None:
    for asked, key in ADDRESSES:
        answer = httpx.get(f"{PAGE}{asked}")
        if key is None:
            assert answer.status_code == httpx.codes.NOT_FOUND, asked
        else:
            assert answer.content == aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read(), asked


def test_the_functions_of_the_edge_are_deployed_and_live(distribution: dict[str, Any]) -> None:
    for pattern, file in (("/*", "page.js"), ("/reference/*", "page.js"), ("/api/*", "api.js")):
        (association,) = behaviors(distribution)[pattern]["FunctionAssociations"]["Items"]
        name = association["FunctionARN"].rpartition("/")[2]
        code = aws.client("cloudfront").get_function(Name=name, Stage="LIVE")["FunctionCode"].read()
        assert association["EventType"] == "viewer-request"
        assert code.decode() == (EDGE / file).read_text()


def test_a_call_of_the_api_is_no_page(system: System) -> None:
    unknown = httpx.get(f"{PAGE}/api/v1/nothing/")
    assert unknown.headers["Content-Type"].startswith("application/json")
    assert system.api.get("/keys/me").json() == system.api.get("/keys/me/").json()


def test_the_bucket_of_items_answers_the_page_and_no_other(stack: Stack) -> None:
    (rule,) = aws.client("s3").get_bucket_cors(Bucket=stack.outputs["BucketName"])["CORSRules"]
    page = f"https://{stack.outputs['ConsoleDistributionDomain']}"
    assert stack.outputs["ConsoleUrl"] == f"{page}/"
    assert rule["AllowedOrigins"] == [page, PAGE, settings.CORS_ORIGIN]


def test_the_link_of_the_demo_opens_reviews_alone_for_a_week(stack: Stack, system: System) -> None:
    project = system.project()
    link = demo.review_link(stack, project)
    found = re.fullmatch(rf"{re.escape(settings.CONSOLE_URL)}projects/{project}#key=(avk_[\w-]+)", link)
    assert found
    headers = {"X-Avala-Api-Key": found[1]}
    about = httpx.get(f"{settings.BASE_URL}/keys/me/", headers=headers).json()
    assert about["scopes"] == list(demo.REVIEW_SCOPES)
    assert about["expires_at"] is not None
    assert httpx.get(f"{settings.BASE_URL}/projects/{project}/", headers=headers).status_code == httpx.codes.OK
    refused = httpx.post(f"{settings.BASE_URL}/projects/{project}/auto-label/", headers=headers, json={})
    assert refused.status_code == httpx.codes.FORBIDDEN
