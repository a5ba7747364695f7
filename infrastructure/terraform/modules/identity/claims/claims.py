"""Writes tenant and role into Cognito's access tokens, which have neither by themselves.

A user's tenant is an attribute that only an administrator writes, and the role a group. A program's
is the scope that its client may ask for: `tenants/acme`.
Source: https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-pre-token-generation.html
"""

from collections.abc import Mapping
from typing import Any

ROLES = ("customer", "service")
PROGRAM = "TokenGeneration_ClientCredentials"
TENANT = "custom:tenant_id"
TENANT_SCOPE = "tenants/"


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer Cognito with what to add. Without a tenant or role nothing is, and Prosa refuses."""
    is_program = event["triggerSource"] == PROGRAM
    claims = _of_program(event["request"]) if is_program else _of_user(event["request"])
    told = {"claimsToAddOrOverride": {name: value for name, value in claims.items() if value}}
    event["response"] = {"claimsAndScopeOverrideDetails": {"accessTokenGeneration": told}}
    return event


def _of_user(request: Mapping[str, Any]) -> dict[str, str]:
    groups = request.get("groupConfiguration", {}).get("groupsToOverride") or ()
    return {
        "tenant_id": request.get("userAttributes", {}).get(TENANT, ""),
        "role": next((role for role in ROLES if role in groups), ""),
    }


def _of_program(request: Mapping[str, Any]) -> dict[str, str]:
    """Read the tenant of a program; one that asks for several tenants at once gets none."""
    scopes = request.get("scopes") or ()
    tenants = [
        scope.removeprefix(TENANT_SCOPE) for scope in scopes if scope.startswith(TENANT_SCOPE)
    ]
    return {"tenant_id": tenants[0], "role": "service"} if len(tenants) == 1 else {}
