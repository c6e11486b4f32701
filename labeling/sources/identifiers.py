"""Numbers that carry their own check: which parts of a candidate are a card, an IBAN, a national id, a phone.

Each finder takes what a redaction rule's pattern matched and returns the spans in it that pass. They read a candidate
once, from left to right, so their work grows with its length and no faster.
"""

import ipaddress
import re
from collections.abc import Callable
from itertools import accumulate
from typing import Final, Literal

Span = tuple[int, int]
Finder = Callable[[str], list[Span]]

Validator = Literal[
    "none", "luhn", "iban", "phone", "ip", "mac", "order", "dni", "nir", "steuer_id", "aadhaar", "cpf",
    "codice_fiscale", "pesel", "personnummer", "ahv", "rijksregister", "henkilotunnus", "rrn", "resident_id",
]  # fmt: skip

_SEPARATED: Final = re.compile(r"[^ .\-]+")
_CARD_LENGTHS: Final = {
    "0": (16, 12), "1": (15,), "2": (19, 16, 15), "3": (16, 15, 14), "4": (19, 16, 13), "5": (19, 18, 16, 12),
    "6": (19, 18, 17, 16, 12), "7": (), "8": (16,), "9": (16,),
}  # fmt: skip
"""Lengths of payment cards by their first digit, the longest first."""

_LARGEST_GROUP: Final = 6
_SHORT_MAESTRO: Final = ("50", "56", "57", "58", "6", "0604")
_UATP: Final = ("1800", "2131", "2014", "2149")
_IBAN_START: Final = re.compile(r"(?<![A-Z0-9])[A-Z]{2}[ -]?[0-9]{2}", re.IGNORECASE)
_IBAN_LENGTHS: Final = {
    country: length
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FI FO GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU MN XK", 21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL", 24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "AO CV GW LY MZ PT ST", 26: "DZ IR IS TR", 27: "BI CF CG CM DJ FR GA GQ GR IT KM MC MG MR SM TD",
        28: "AL AZ BF BJ BY CI CY DO GT HN HU LB MA ML NE NI PL SN SV TG", 29: "BR EG PS QA UA", 30: "JO KW MU YE",
        31: "MT SC", 32: "LC", 33: "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip
"""Length of an IBAN by country: those of the registry of ISO 13616, and those that use them without being in it."""

_NO_PHONE: Final = re.compile(
    r"""\(?(?:
        \d{4}([-./\ ])\d{1,2}\1\d{1,2}(?![./-]?\d)                        # 2026-03-01, and what follows it
      | \d{1,2}([-./\ ])\d{1,2}\2(?:19|20)\d{2}(?![./-]?\d)               # 01.03.2026
      | \d{1,2}([-./])\d{1,2}\3\d{2}(?![./-]?\d)                          # 01/03/26
      | \d{1,2}[.:]\d{2}[ ]?-[ ]?\d{1,2}[.:]\d{2}$                        # 09.00-17.30
      | (?:19|20)\d{2}[ ]?[-/][ ]?(?:19|20)\d{2}$                         # 2019-2020
      | (?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])$         # 20260301
      | [1-9]\d?(?:[. ]\d{3})+$ | [1-9]\d\d(?:\.\d{3})+$ | \d+\.\d{1,2}$       # 12 345 678, 123.456.789, 1234567.50
    )""",
    re.VERBOSE,
)
_LIKE_MONTH: Final = r"(?:0[1-9]|1[0-2])"
_LIKE_DAY: Final = r"(?:0[1-9]|[12][0-9]|3[01])"
_VERHOEFF_TURN: Final = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
_FISCAL_ODD: Final = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)


def find_cards(candidate: str) -> list[Span]:
    """Return the payment cards in a run of digits and separators: runs of whole words, each the longest from its start.

    The run may hold a neighbour's digits too ("card 4111 1111 1111 1111 12/27"), hence the search.
    """
    words = [match.span() for match in _SEPARATED.finditer(candidate)]
    digits = "".join(candidate[start:end] for start, end in words)
    starts = list(accumulate((end - start for start, end in words), initial=0))
    word_ending = {end: place for place, end in enumerate(starts[1:])}
    spans: list[Span] = []
    taken = -1
    for first, start in enumerate(starts[:-1]):
        lengths = _CARD_LENGTHS[digits[start]] if first > taken else ()
        for last in (word_ending[start + length] for length in lengths if start + length in word_ending):
            if _is_grouped(words[first : last + 1]) and is_card(digits[start : starts[last + 1]]):
                spans.append((words[first][0], words[last][1]))
                taken = last
                break
    return spans


def _is_grouped(words: list[Span]) -> bool:
    return len(words) == 1 or max(end - start for start, end in words) <= _LARGEST_GROUP


def is_card(digits: str) -> bool:
    """Whether ``digits`` begin and are as long as a payment card's, and pass Luhn's check (ISO/IEC 7812-1)."""
    if not (digits.isascii() and digits.isdigit()) or len(digits) not in _CARD_LENGTHS[digits[0]]:
        return False
    if (len(digits) == 12 or digits[0] == "0") and not digits.startswith(_SHORT_MAESTRO):
        return False
    if digits[0] in "12" and len(digits) == 15 and not digits.startswith(_UATP):
        return False
    return len(set(digits)) > 1 and passes_luhn(digits)


def passes_luhn(digits: str) -> bool:
    """Whether the last of ``digits`` is the check digit of the others by Luhn's rule."""
    doubled = sum(map(int, digits[-2::-2])) * 2 - 9 * sum(digit > "4" for digit in digits[-2::-2])
    return (sum(map(int, digits[::-2])) + doubled) % 10 == 0


def find_ibans(candidate: str) -> list[Span]:
    """Return the IBANs in ``candidate``: right length for the country, remainder of 1 by 97 (ISO 13616, ISO 7064)."""
    spans: list[Span] = []
    for start in _IBAN_START.finditer(candidate):
        country = candidate[start.start() : start.start() + 2].upper()
        if country not in _IBAN_LENGTHS or (spans and start.start() < spans[-1][1]):
            continue
        end = _end_of_iban(candidate, start.start(), _IBAN_LENGTHS[country])
        if end:
            spans.append((start.start(), end))
    return spans


def _end_of_iban(candidate: str, start: int, length: int) -> int:
    """Return where the IBAN from ``start`` ends, 0 where there is none."""
    characters: list[str] = []
    place = start
    while place < len(candidate) and len(characters) < length:
        if candidate[place].isalnum():
            characters.append(candidate[place])
        place += 1
    text = "".join(characters)
    if len(text) < length or not text.isascii() or candidate[place : place + 1].isalnum():
        return 0
    return place if _remainder_97(text[4:] + text[:4]) == 1 else 0


def _remainder_97(text: str) -> int:
    return int("".join(str(int(character, 36)) for character in text)) % 97


def _is_phone(text: str) -> bool:
    digits = re.sub(r"\D", "", re.split(r"[xe]", text, maxsplit=1)[0])
    return 7 <= len(digits) <= 17 and len(set(digits)) > 1 and not _NO_PHONE.match(text)


def _is_ip(text: str) -> bool:
    if "::" in text and sum(character.isalnum() for character in text) < 5:
        return False
    try:
        return bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def _is_mac(text: str) -> bool:
    """Whether ``text`` has its colons or dashes, or in groups of four a letter: 4111.1111.1111 may be a card's part."""
    return not text.replace(".", "").isdigit()


def _compact(text: str) -> str:
    return re.sub(r"[ ./\-]", "", text).upper()


def _weighted(digits: str, weights: tuple[int, ...]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def _is_dni(text: str) -> bool:
    text = _compact(text)
    number = int(text[:-1].translate(str.maketrans("XYZ", "012")))
    return "TRWAGMYFPDXBNJZSQVHLCKE"[number % 23] == text[-1]


def _is_nir(text: str) -> bool:
    text = _compact(text).replace("2A", "19").replace("2B", "18")
    return text.isdigit() and 97 - int(text[:-2]) % 97 == int(text[-2:])


def _is_steuer_id(text: str) -> bool:
    digits = _compact(text)
    if len(digits) != 11 or digits[0] == "0" or len(set(digits[:10])) not in (8, 9):
        return False
    product = 10
    for digit in digits[:10]:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == int(digits[10])


def _is_aadhaar(text: str) -> bool:
    """Whether the last digit is right by Verhoeff (dihedral group of order 10)."""
    check = 0
    for place, digit in enumerate(reversed(_compact(text))):
        value = int(digit)
        for _ in range(place % 8):
            value = _VERHOEFF_TURN[value]
        check = _multiply_dihedral(check, value)
    return check == 0


def _multiply_dihedral(left: int, right: int) -> int:
    if left < 5:
        return (left + right) % 5 if right < 5 else (left + right) % 5 + 5
    return (left - right) % 5 + 5 if right < 5 else (left - right) % 5


def _is_cpf(text: str) -> bool:
    digits = _compact(text)
    if len(digits) != 11 or len(set(digits)) == 1:
        return False
    return all(
        (_weighted(digits, tuple(range(count + 1, 1, -1))) * 10 % 11) % 10 == int(digits[count]) for count in (9, 10)
    )


def _is_codice_fiscale(text: str) -> bool:
    text = _compact(text)
    values = [int(character) if character.isdigit() else ord(character) - 65 for character in text[:15]]
    total = sum(_FISCAL_ODD[value] if place % 2 == 0 else value for place, value in enumerate(values))
    return chr(65 + total % 26) == text[15]


def _is_pesel(text: str) -> bool:
    if not re.match(rf"\d{{2}}(?:[02468][1-9]|[13579][0-2]){_LIKE_DAY}", text):
        return False
    return _weighted(text, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def _is_personnummer(text: str) -> bool:
    digits = re.sub(r"\D", "", text)[-10:]
    return bool(re.match(rf"\d{{2}}{_LIKE_MONTH}", digits)) and passes_luhn(digits)


def _is_ahv(text: str) -> bool:
    return _weighted(_compact(text), (1, 3) * 6 + (1,)) % 10 == 0


def _is_rijksregister(text: str) -> bool:
    digits = _compact(text)
    return any(97 - int(century + digits[:9]) % 97 == int(digits[9:]) for century in ("", "2"))


def _is_henkilotunnus(text: str) -> bool:
    number = int(text[:6] + text[7:10])
    return "0123456789ABCDEFHJKLMNPRSTUVWXY"[number % 31] == text[10].upper()


def _is_rrn(text: str) -> bool:
    return bool(re.match(rf"\d{{2}}{_LIKE_MONTH}{_LIKE_DAY}", text))


def _is_resident_id(text: str) -> bool:
    total = _weighted(text, tuple(2**power % 11 for power in range(17, 0, -1)))
    return bool(re.match(rf"(?:19|20)\d{{2}}{_LIKE_MONTH}{_LIKE_DAY}", text[6:14])) and (
        "10X98765432"[total % 11] == text[17].upper()
    )


def _is_order(text: str) -> bool:
    """Whether ``text`` is no date: 20260301, 2026-0301."""
    return not re.fullmatch(rf"(?:19|20)\d{{2}}-?{_LIKE_MONTH}-?{_LIKE_DAY}", text)


def _find_whole(is_valid: Callable[[str], bool]) -> Finder:
    return lambda candidate: [(0, len(candidate))] if is_valid(candidate) else []


FINDERS: Final[dict[str, Finder]] = {
    "luhn": find_cards,
    "iban": find_ibans,
    **{
        name: _find_whole(is_valid)
        for name, is_valid in (
            ("phone", _is_phone),
            ("ip", _is_ip),
            ("mac", _is_mac),
            ("dni", _is_dni),
            ("nir", _is_nir),
            ("steuer_id", _is_steuer_id),
            ("aadhaar", _is_aadhaar),
            ("cpf", _is_cpf),
            ("codice_fiscale", _is_codice_fiscale),
            ("pesel", _is_pesel),
            ("personnummer", _is_personnummer),
            ("ahv", _is_ahv),
            ("rijksregister", _is_rijksregister),
            ("henkilotunnus", _is_henkilotunnus),
            ("rrn", _is_rrn),
            ("resident_id", _is_resident_id),
            ("order", _is_order),
        )
    },
}
"""What finds the valid parts of a candidate, by the name that a rule's ``validator`` gives."""
