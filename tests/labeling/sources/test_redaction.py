import time
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling.config import load_config, parse_config
from labeling.errors import ConfigError
from labeling.sources.redaction import RedactionRules, clean_texts, redact_texts

CONFIGS = Path(__file__).parents[3] / "configs"
RULES = load_config(CONFIGS / "redaction.yaml", RedactionRules)


def redact(text: str | None) -> str | None:
    return redact_texts(pl.Series([text], dtype=pl.String), RULES).item()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("write to Bob.O'Hara+x@mail.example.co.uk, please", "write to <EMAIL>, please"),
        ("jörg@müller.example and a@b.cd", "<EMAIL> and <EMAIL>"),
        ("'bob@example.org' or <ann@example.org>", "'<EMAIL>' or <<EMAIL>>"),
        ("root@[10.0.0.1] and root@10.0.0.1", "<EMAIL> and <EMAIL>"),
        ("bob (at) example (dot) org", "<EMAIL>"),
        ("bob[at]example.org", "<EMAIL>"),
        ("bob at example dot co dot uk now", "<EMAIL> now"),
        ("jane @ gmail.com", "<EMAIL>"),
        ("card 4111 1111 1111 1111 12/27", "card <CARD> 12/27"),
        ("card 4111-1111-1111-1111.", "card <CARD>."),
        ("4111.1111.1111.1111", "<CARD>"),
        ("378282246310005 is my amex", "<CARD> is my amex"),
        ("ref 55 4111111111111111 ok", "ref 55 <CARD> ok"),
        ("maestro 6304 0000 0000 0000", "maestro <CARD>"),
        ("4111111111111111 5500000000000004", "<CARD> <CARD>"),
        ("IBAN GB82 WEST 1234 5698 7654 32 please", "IBAN <IBAN> please"),
        ("de89370400440532013000", "<IBAN>"),
        ("BE68-5390-0754-7034", "<IBAN>"),
        ("a12 ab99 NO93 8601 1117 947", "a12 ab99 <IBAN>"),
    ],
)
def test_addresses_cards_and_ibans_become_placeholders(text, expected):
    assert redact(text) == expected


@pytest.mark.parametrize(
    "number",
    [
        "+49 (0)30 1234-5678", "0044 20 7946 0958", "(555) 010-1234", "07700900123", "+1-555-123-4567x890",
        "(+44) 20 7946 0018", "030/1234567", "01 23 45 67 89", "01.23.45.67.89", "612 345 678", "91 234 56 78",
        "12 34 56 78", "(11) 91234-5678", "98765 43210", "138 1234 5678", "8 (916) 123-45-67", "555.010.2234",
        "347 1234567", "08-123 45 67", "03-1234-5678", "+358 40 1234567",
    ],
)  # fmt: skip
def test_phones_of_many_countries_become_placeholders(number):
    assert redact(f"is it {number}, or not") == "is it <PHONE>, or not"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("call me on 12345678", "call me on <PHONE>"),
        ("Tel.: 5551234", "Tel.: <PHONE>"),
        ("20401234 is my new number", "<PHONE> is my new number"),
    ],
)
def test_a_word_near_it_tells_a_phone_from_a_bare_number(text, expected):
    assert redact(text) == expected
    assert redact("it was 12345678") == "it was 12345678"


@pytest.mark.parametrize(
    "number",
    [
        "123-45-6789", "AB 12 34 56 C", "ab123456c", "12345678Z", "X1234567L", "RSSMRA85T10A562S", "529.982.247-25",
        "44051401359", "811218-9876", "756.9217.0769.85", "131052-308T", "255081416802538", "2 55 08 14 168 025 38",
        "86095742719", "85.07.30-033.28", "11010519491231002X", "2341 2341 2346", "760121-1000000",
    ],
)  # fmt: skip
def test_national_ids_become_placeholders(number):
    assert redact(f"it is {number}.") == "it is <NATIONAL_ID>."


@pytest.mark.parametrize(
    "number",
    ["123-45-678", "000-12-3456", "12345678A", "RSSMRA85T10A562T", "756.9217.0769.86", "131052-308U", "44051401358"],
)
def test_a_number_whose_check_fails_is_no_national_id(number):
    assert "<NATIONAL_ID>" not in str(redact(f"it is {number}."))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from 192.168.1.20 at 03:12", "from <IP> at 03:12"),
        ("2001:db8:85a3::8a2e:370:7334", "<IP>"),
        ("3C:22:FB:4A:9E:01 or 00-1B-44-11-3A-B7 or 001b.4411.3ab7", "<IP> or <IP> or <IP>"),
        ("http://192.168.0.1/ fails", "http://<IP>/ fails"),
        ("see https://x.example/y?token=abc123, thanks", "see <URL>, thanks"),
        ("https://user:pw@host.example/x", "<URL>"),
        ("shop.example/pay?session_id=ab12", "<URL>"),
        ("https://x.example/reset-password/9f8e7d6c5b4a", "<URL>"),
        ("https://x.example/v/123e4567-e89b-12d3-a456-426614174000", "<URL>"),
    ],
)
def test_network_addresses_and_links_that_let_somebody_in_become_placeholders(text, expected):
    assert redact(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("order number AB-12345 is late", "order number <ORDER> is late"),
        ("order 4111111111111112 is late", "order <ORDER> is late"),
        ("ticket #4711", "ticket #<ORDER>"),
        ("ORD-2026-55123", "<ORDER>"),
        ("Bestellnummer: 2026-004711", "Bestellnummer: <ORDER>"),
        ("número de pedido 445566", "número de pedido <ORDER>"),
        ("114-1234567-1234567", "<ORDER>"),
        ("account no. 12345678", "account no. <ACCOUNT>"),
        ("customer id is C-449120", "customer id is <ACCOUNT>"),
        ("sort code 60-16-13", "sort code <ACCOUNT>"),
        ("my account number is 0770090012", "my account number is <ACCOUNT>"),
    ],
)
def test_numbers_of_orders_and_accounts_keep_the_words_before_them(text, expected):
    assert redact(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "I paid 1,234.56 on 2026-03-01 at 10:30",
        "GB82WEST12345698765433 is no IBAN",
        "0000000000000000",
        "4111 1111 1111 1112",
        "meet me @ noon, 12/05/2026",
        "the fee was 100.000 for 24 months",
        "12 345 678 lei, 123.456.789 pesos, 1234567.50 euros",
        "open 09.00-17.30, 10:30:45 to 11:00:00",
        "firmware 10.4.2.118 and version 7.12.0.2016",
        "01.03.2026 and 2019-2026 and 20260301",
        "order 15 more for 1500.00, order 100000 units",
        "at this point I looked at the dot on it",
        "std::vector, 12::30",
        "https://www.example.com/help?lang=en&page=2",
        "<EMAIL>",
        "I see \xa0£10 – £20 …",
    ],
)
def test_other_numbers_stay(text):
    assert redact(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("اتصل ٠٧٧٠٠٩٠٠١٢٣", "اتصل <PHONE>"),
        ("４１１１ １１１１ １１１１ １１１１", "<CARD>"),
        ("4111\u20111111\u20131111\u22121111", "<CARD>"),
        ("GB82\u00a0WEST\u202f1234\u20095698\u00a07654\u00a032", "<IBAN>"),
        ("41111\u200d11111\u200c111111", "<CARD>"),
        ("bob＠example．org", "<EMAIL>"),
        ("a２ – b", "a２ – b"),
        ("＜EMAIL＞ a@b.cd", "＜EMAIL＞ <EMAIL>"),
    ],
)
def test_digits_dashes_and_spaces_of_other_scripts_are_read(text, expected):
    assert redact(text) == expected


def test_control_characters_go_and_markup_stays():
    text = "  e\u0301<script>alert(1)</script>\x00\x1b[31m\u202e\ufeff\r\nnext\tone\u2028end\x85\ufdd0 "
    assert redact(text) == "é<script>alert(1)</script>[31m\nnext\tone\nend"


def test_an_address_split_by_an_invisible_mark_is_redacted():
    assert redact("bo\u200bb@exam\u00adple.org") == "<EMAIL>"


def test_null_stays_null_and_cleaning_twice_changes_nothing():
    texts = pl.Series([None, " a\r\nb ", ""], dtype=pl.String)
    once = redact_texts(texts, RULES)
    assert once.to_list() == [None, "a\nb", ""]
    assert redact_texts(once, RULES).equals(once)
    assert clean_texts(once).equals(once)


def test_the_given_series_is_not_changed():
    texts = pl.Series(["a@b.cd", "٠٧٧٠٠٩٠٠١٢٣", None])
    before = texts.to_list()
    redact_texts(texts, RULES)
    assert texts.to_list() == before


def test_rules_without_patterns_redact_nothing():
    nothing = RedactionRules(schema_version=1, rules=())
    assert redact_texts(pl.Series(["a@b.cd"]), nothing).item() == "a@b.cd"


PIECES = st.sampled_from(
    [
        "4111111111111111", "4111 1111 1111 1111", "GB82WEST12345698765432", "+49 170 1234567", "0170 1234567", "ID ",
        "a@b.cd", "@", "b.cd", "order no. ", "account ", "order ", "12345", "999-12-3456", "123-45-6789", "10.0.0.1",
        "https://x.yz/", "?token=", "<EMAIL>", "<", ">", "EMAIL", "IP", " ", "-", ".", "\u2011", "\xa0", "\u200d", "٤",
        "call ", " at ", " dot ", "com", "12 34 56 78", "\n", "/", ":", "(", ")", "#", "é", "756.9217.0769.85", "7",
        "::1", "\ufdd0", "1Z", "44 051 401 358",
    ]
)  # fmt: skip
PIECED = st.lists(PIECES, max_size=14).map("".join)


@settings(max_examples=25, deadline=None)
@given(st.lists(PIECED | st.text(max_size=60), min_size=20, max_size=40))
def test_redacting_twice_changes_nothing_more(texts):
    once = redact_texts(pl.Series(texts, dtype=pl.String), RULES)
    assert redact_texts(once, RULES).to_list() == once.to_list()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(PIECED, st.sampled_from(RULES.kinds), PIECED), min_size=20, max_size=40))
def test_a_placeholder_is_never_damaged(parts):
    """Each is there as a whole, or gone as a whole: no half of one is left."""
    texts = [f"{before.replace('<', '')} <{kind}> {after.replace('<', '')}" for before, kind, after in parts]
    placeholder = f"<(?:{'|'.join(RULES.kinds)})>"
    rest = redact_texts(pl.Series(texts), RULES).str.replace_all(placeholder, "")
    assert not rest.str.contains("<", literal=True).any()


def test_a_greedy_rule_cannot_damage_the_placeholder_of_another():
    rules = RedactionRules.model_validate(
        {
            "schema_version": 1,
            "rules": [{"kind": "EMAIL", "pattern": r"\w+@\w+"}, {"kind": "WORD", "pattern": "[A-Z]{2,}"}],
        }
    )
    once = redact_texts(pl.Series(["a@b NASA <EMAIL>"]), rules)
    assert once.item() == "<EMAIL> <WORD> <EMAIL>"
    assert redact_texts(once, rules).equals(once)


HOSTILE = [
    ("", "4", ""), ("", "4 ", ""), ("", "@", ""), ("", "a@", ""), ("", "a@a.", ""), ("", "ab:", ""), ("", ":", ""),
    ("", "GB12 ", ""), ("", "1.", ""), ("", "1-", ""), ("", "+1", ""), ("", "(1", ""), ("", "phone ", "1234567"),
    ("", "http://a/?", ""), ("", "?token=", ""), ("", "order no ", "1234"), ("", "٤", ""), ("www.", "a.", ""),
    ("http://a.b/", "a/", ""), ("", " at a dot ", "@"), ("a", " (dot) a", "(at)"), ("", "45-32 ", ""), ("", "0 1", ""),
]  # fmt: skip


@pytest.mark.parametrize(("head", "piece", "tail"), HOSTILE)
def test_the_work_on_a_hostile_text_grows_with_its_length_and_no_faster(head, piece, tail):
    def fastest(length: int) -> float:
        text = head + piece * (length // len(piece)) + tail
        seconds = []
        for _ in range(3):
            begun = time.process_time()
            redact(text)
            seconds.append(time.process_time() - begun)
        return min(seconds)

    assert fastest(40_000) < 5 * fastest(10_000) + 0.05  # a square would need 16 times


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        ({"kind": "EMAIL", "pattern": "("}, "does not compile"),
        ({"kind": "EMAIL", "pattern": "(?=x)x"}, "does not compile"),
        ({"kind": "EMAIL", "pattern": "x*"}, "empty text"),
        ({"kind": "CARD", "pattern": "x", "needs": "x*", "validator": "luhn"}, "empty text"),
        ({"kind": "CARD", "pattern": "x", "needs": "(?=x)", "validator": "luhn"}, "does not compile"),
        ({"kind": "CARD", "pattern": "(?=x)x", "validator": "luhn"}, "needs `needs`"),
        ({"kind": "email", "pattern": "x"}, "kind"),
        ({"kind": "EMAIL", "pattern": "x", "validator": "guess"}, "validator"),
    ],
)
def test_a_wrong_rule_is_a_fault_with_its_place(rule, fault):
    with pytest.raises(ConfigError, match=fault) as caught:
        parse_config({"schema_version": 1, "rules": [rule]}, RedactionRules, name="redaction.yaml")
    assert "rules.0" in str(caught.value)


def test_more_kinds_than_there_are_marks_is_a_fault():
    rules = [{"kind": f"KIND_{chr(65 + n // 26)}{chr(65 + n % 26)}", "pattern": "x"} for n in range(40)]
    with pytest.raises(ConfigError, match="at most 32 kinds"):
        parse_config({"schema_version": 1, "rules": rules}, RedactionRules, name="redaction.yaml")
