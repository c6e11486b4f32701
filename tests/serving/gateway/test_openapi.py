"""Whatever comes, the answer is one that the OpenAPI document names (benchmarks/api_cases.py draws thousands)."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.serving.gateway.openapi_cases import find_fault, requests


@settings(max_examples=40, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_request_is_answered_otherwise_than_the_document_says(served, data):
    document = served.client.get("/openapi.json").json()
    fault = find_fault(served.client, data.draw(requests(document)), document)
    if fault:
        pytest.fail(fault)
