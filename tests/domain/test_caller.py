"""Callers: a program acts for any customer, a customer for themself."""

import pytest

from prosa.domain.caller import Caller
from prosa.domain.errors import Forbidden
from prosa.domain.identifiers import TenantId

SERVICE = Caller(tenant_id=TenantId("acme"), name="crm")
ANA = Caller(tenant_id=TenantId("acme"), name="login-7", customer_id="ana")


@pytest.mark.parametrize("asked", [None, "ana", "rui"])
def test_a_program_acts_for_whom_it_says(asked: str | None) -> None:
    assert SERVICE.customer_for(asked) == asked


@pytest.mark.parametrize("asked", [None, "ana"])
def test_a_customer_acts_for_themself(asked: str | None) -> None:
    assert ANA.customer_for(asked) == "ana"


@pytest.mark.parametrize("asked", ["rui", "", "login-7"])
def test_a_customer_acts_for_nobody_else_and_the_refusal_names_nobody(asked: str) -> None:
    with pytest.raises(Forbidden) as refused:
        ANA.customer_for(asked)
    assert "rui" not in str(refused.value)
    assert "ana" not in str(refused.value)
