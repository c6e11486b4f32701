import polars as pl
import pytest

from labeling.config import parse_config
from labeling.errors import ConfigError
from labeling.sources.lots import LotPolicy, PartShares, assign_lots

PARTS = PartShares(calibrate=0.5, test=0.3, estimate=0.2)
POLICY = LotPolicy(audit_share=0.2, parts=PARTS)
IDS = pl.Series([f"c{number}" for number in range(4000)])


def test_a_conversation_keeps_its_lot_whatever_comes_with_it():
    everything = assign_lots(IDS, policy=POLICY, key=b"k")
    turned = assign_lots(IDS.reverse(), policy=POLICY, key=b"k")
    assert turned.reverse().equals(everything)
    assert assign_lots(IDS[7:9], policy=POLICY, key=b"k").equals(everything[7:9])
    assert assign_lots(pl.concat([IDS, IDS]), policy=POLICY, key=b"k")[4000:].equals(everything)


def test_the_shares_are_met_and_only_audit_has_parts():
    drawn = assign_lots(IDS, policy=POLICY, key=b"k")
    audit = drawn.filter(pl.col("lot") == "audit")
    assert audit.height == pytest.approx(800, abs=100)
    assert drawn.filter(pl.col("lot") == "open")["part"].null_count() == 4000 - audit.height
    shares = dict(audit["part"].value_counts(normalize=True).iter_rows())
    assert shares == {name: pytest.approx(share, abs=0.06) for name, share in PARTS.model_dump().items()}


def test_another_key_draws_other_lots():
    first, second = (assign_lots(IDS, policy=POLICY, key=key)["lot"] for key in (b"k", b"l"))
    assert 0 < (first != second).sum() < 2000


def test_a_larger_audit_share_takes_no_conversation_out():
    before = assign_lots(IDS, policy=POLICY, key=b"k")
    after = assign_lots(IDS, policy=LotPolicy(audit_share=0.4, parts=PARTS), key=b"k")
    audit = before["lot"] == "audit"
    assert after.filter(audit).equals(before.filter(audit))
    assert (after["lot"] == "audit").sum() > audit.sum()


def test_a_missing_conversation_gets_no_lot():
    assert assign_lots(pl.Series([None, "c1"]), policy=POLICY, key=b"k")["lot"].is_null().to_list() == [True, False]


def test_shares_that_do_not_sum_to_one_are_a_fault():
    raw = {"audit_share": 1.0, "parts": {"calibrate": 0.5, "test": 0.5, "estimate": 0.5}}
    with pytest.raises(ConfigError) as caught:
        parse_config(raw, LotPolicy, name="selection.yaml")
    assert len(caught.value.faults) == 2
    assert "found 1.5" in str(caught.value)
