import pytest

from labeling.digests import canonical_json, digest, keyed_digest


def test_the_order_of_keys_and_the_run_are_of_no_effect():
    assert canonical_json({"b": 1, "a": [1.5, None, "é"]}) == '{"a":[1.5,null,"é"],"b":1}'.encode()
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})


@pytest.mark.parametrize("other", [{"a": 2}, {"a": "1"}, {"b": 1}, [1], 1, None])
def test_other_content_has_another_digest(other):
    assert digest(other) != digest({"a": 1})


def test_keyed_digests_depend_on_the_key_and_on_where_parts_end():
    known = keyed_digest(b"k", "customer", "bob")
    assert len(known) == 64
    assert known == keyed_digest(b"k", "customer", "bob")
    assert known != keyed_digest(b"l", "customer", "bob")
    assert keyed_digest(b"k", "ab", "c") != keyed_digest(b"k", "a", "bc")
    assert keyed_digest(b"k", "é") != keyed_digest(b"k", "e\u0301")
