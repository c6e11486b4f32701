"""Support messages with personal data in known places, made without a look at what redaction looks for.

The values are Faker's, by the standards of fifty-six locales; the written forms (grouped, lower case, other dashes)
and the sentences are this file's. A message holds up to three values, and numbers that are nobody's data.
"""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from faker import Faker

DEVELOPMENT_LOCALES = (
    "en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL", "pl_PL", "pt_BR", "sv_SE", "en_IN", "ja_JP",
    "ru_RU", "tr_TR", "da_DK", "en_IE", "en_AU", "en_CA", "de_AT", "de_CH", "pt_PT", "no_NO", "fi_FI", "cs_CZ",
    "hu_HU", "ko_KR", "zh_CN", "es_MX", "en_NZ", "fr_CH", "nl_BE", "el_GR", "uk_UA", "ro_RO", "id_ID", "he_IL",
)  # fmt: skip
NEW_LOCALES = (
    "bg_BG", "hr_HR", "sk_SK", "sl_SI", "th_TH", "vi_VN", "lt_LT", "lv_LV", "es_AR", "es_CL", "es_CO", "uz_UZ", "zh_TW",
    "fa_IR", "hi_IN", "ka_GE", "bs_BA", "az_AZ", "hy_AM", "mk_MK",
)  # fmt: skip

_ASKING = {
    "en": {
        "EMAIL": ["my email is {}", "please write to {} instead", "{} is not getting any mail from you", "{}",
                  "I registered with {} last year", "contact: {}", "send the receipt to {}, not to my wife"],
        "PHONE": ["my phone number is {}", "call me on {}", "you can reach me at {} after work", "{} is my new number",
                  "tel: {}", "text me at {} please", "I ring from {}, nobody answers", "mobile {}", "thanks, {}"],
        "CARD": ["my card number is {}", "card {} was charged twice", "I paid with {}", "{} got declined",
                 "visa: {}", "please remove {} from my account"],
        "IBAN": ["my IBAN is {}", "refund to {}", "please pay it out to {} thanks", "IBAN: {}", "{} is my new bank"],
        "NATIONAL_ID": ["my id number is {}", "ID: {}", "you asked for my national id, it is {}", "{} for the check"],
        "IP": ["my IP address is {}", "the login came from {}", "router shows {} and no internet", "{} can't connect"],
        "URL": ["the link {} does not work", "I clicked {} and got an error", "{}", "reset link: {}"],
        "ORDER": ["my order number is {}", "order no. {} is late", "order #{}", "where is order {}",
                  "ticket number {}", "booking reference: {}", "invoice {} is wrong"],
        "ACCOUNT": ["my account number is {}", "customer number {}", "account no: {}", "customer id is {}"],
    },
    "de": {
        "EMAIL": ["meine E-Mail ist {}", "bitte schreiben Sie an {}", "Mail: {}"],
        "PHONE": ["meine Telefonnummer ist {}", "rufen Sie mich unter {} an", "Tel. {}", "Handy: {}"],
        "CARD": ["meine Kartennummer ist {}", "Karte {} wurde abgelehnt"],
        "IBAN": ["meine IBAN lautet {}", "bitte auf {} überweisen"],
        "ORDER": ["meine Bestellnummer ist {}", "Bestellung {} fehlt"],
        "ACCOUNT": ["meine Kundennummer ist {}", "Kontonummer {}"],
    },
    "fr": {
        "EMAIL": ["mon adresse est {}", "écrivez-moi à {}"],
        "PHONE": ["mon numéro est {}", "appelez-moi au {}", "tél : {}"],
        "CARD": ["ma carte {} a été refusée", "numéro de carte : {}"],
        "IBAN": ["mon IBAN est {}", "remboursez sur {} svp"],
        "ORDER": ["ma commande {} n'est pas arrivée", "commande n° {}"],
        "ACCOUNT": ["numéro de client {}", "compte n° {}"],
    },
    "es": {
        "EMAIL": ["mi correo es {}", "escríbanme a {}"],
        "PHONE": ["mi teléfono es {}", "llámame al {}", "móvil: {}"],
        "CARD": ["mi tarjeta {} no funciona", "número de tarjeta: {}"],
        "IBAN": ["mi IBAN es {}", "devuelvan el dinero a {}"],
        "ORDER": ["mi pedido {} no ha llegado", "número de pedido {}"],
        "ACCOUNT": ["número de cliente: {}", "mi número de cuenta es {}"],
    },
}  # fmt: skip
_LANGUAGES = {"de_DE": "de", "de_AT": "de", "de_CH": "de", "fr_FR": "fr", "fr_CH": "fr", "es_ES": "es", "es_MX": "es",
              "es_AR": "es", "es_CL": "es", "es_CO": "es"}  # fmt: skip
_OPENINGS = ("Hi, ", "hello!! ", "Good morning. ", "", "", "Dear team, ", "Still waiting. ", "URGENT: ")
_CLOSINGS = (".", " please", "!", "", " - thanks", ". Kind regards", "?", ". It has been {days} days.")
_NOBODYS = (
    "I paid {amount} on {date}.", "It was {percent}% off.", "The app says version {version}.", "I waited since {time}.",
    "You charged me {amount} twice.", "It happened on {date} at {time}.", "I am on hold for {days} minutes.",
    "Opening hours say {time}-{time}.", "My bill went from {amount} to {amount}.", "Nothing since {year}.",
    "The parcel weighs {percent} kg.", "Speed is {percent} of {days}00 Mbit/s.", "I bought {days} of them.",
    "Model X{days}00 is broken.", "We are {days} people in room {days}.", "The {year}-{next} contract ends.",
)  # fmt: skip
_NATIONAL = {
    "en_US": "ssn", "en_GB": "ssn", "fr_FR": "ssn", "de_CH": "ssn", "fr_CH": "ssn", "it_IT": "ssn", "fi_FI": "ssn",
    "sv_SE": "ssn", "ko_KR": "ssn", "zh_CN": "ssn", "es_ES": "nif", "pt_BR": "cpf", "pl_PL": "pesel",
    "en_IN": "aadhaar_id",
}  # fmt: skip
_NO_IBANS = ("AR", "CO", "TH")
"""Countries without IBANs for which Faker makes some; to others it lends Britain's, at times of a wrong length."""

_SHARES = {"EMAIL": 5, "PHONE": 6, "CARD": 5, "IBAN": 4, "NATIONAL_ID": 3, "IP": 2, "URL": 2, "ORDER": 3, "ACCOUNT": 2}


@dataclass(frozen=True)
class Mark:
    """One value: its kind, and where in the text it stands."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True)
class MarkedMessage:
    """A text, the values in it, and the locale they were made for ("" where by hand)."""

    text: str
    marks: tuple[Mark, ...]
    locale: str = ""


def read_marked(text: str) -> MarkedMessage:
    """Return the message of a text in which each value is written ``[[KIND:value]]``."""
    plain, marks, place = "", [], 0
    for match in re.finditer(r"\[\[([A-Z_]+):(.*?)\]\](?!\])", text):
        plain += text[place : match.start()]
        marks.append(Mark(match[1], len(plain), len(plain) + len(match[2])))
        plain += match[2]
        place = match.end()
    return MarkedMessage(plain + text[place:], tuple(marks))


def generate_messages(count: int, *, seed: int, locales: tuple[str, ...]) -> Iterator[MarkedMessage]:
    """Yield ``count`` messages; the same for the same seed and locales."""
    rng = random.Random(seed)  # noqa: S311 the messages are no secret
    fakers = {locale: Faker(locale) for locale in locales}
    for place, faker in enumerate(fakers.values()):
        faker.seed_instance(seed * 1000 + place)
    for _ in range(count):
        locale = rng.choice(locales)
        yield _make_message(locale, fakers[locale], rng)


def _make_message(locale: str, faker: Faker, rng: random.Random) -> MarkedMessage:
    language = _LANGUAGES.get(locale, "en") if rng.random() < 0.6 else "en"
    parts = [rng.choice(_OPENINGS)]
    values = rng.choices((0, 1, 2, 3), (2, 5, 2, 1))[0]
    for kind in rng.choices(list(_SHARES), list(_SHARES.values()), k=values):
        value = _make_value(kind, locale, faker, rng)
        if value is not None:
            templates = _ASKING[language].get(kind) or _ASKING["en"][kind]
            parts += [
                rng.choice(templates).replace("{}", f"[[{kind}:{value}]]"),
                rng.choice((". ", ", ", "\n", " and ")),
            ]
    if values == 0 or rng.random() < 0.5:
        parts.append(_fill(rng.choice(_NOBODYS), rng))
    else:
        parts.append(_fill(rng.choice(_CLOSINGS), rng))
    marked = read_marked("".join(parts).strip())
    return MarkedMessage(marked.text, marked.marks, locale)


def _fill(sentence: str, rng: random.Random) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: _nobodys(match[1], rng), sentence)


def _nobodys(what: str, rng: random.Random) -> str:
    """Return an amount, a date, a time: a number that is nobody's personal data."""
    day, month, year, number = (
        rng.randint(1, 28),
        rng.randint(1, 12),
        rng.randint(2015, 2027),
        rng.randint(100, 9999999),
    )
    return rng.choice(
        {
            "amount": (f"£{number:,}.00", f"{number / 100:.2f} EUR", f"${number / 100:,.2f}", f"{number} euros",
                       f"€{number}"),
            "date": (f"{year}-{month:02}-{day:02}", f"{day:02}/{month:02}/{year}", f"{day}.{month}.{year}",
                     f"{day:02}.{month:02}.{year % 100}", f"{month}/{day}/{year % 100}"),
            "time": (f"{day % 24:02}:{month:02}", f"{day % 12}.{month + 10} pm", f"{day % 24}:{month + 10}:{day:02}"),
            "version": (f"{day}.{month}.{year % 10}", f"{day}.{month}", f"v{day}.{month}.{number}",
                        f"{day}.{month}.0.{year}"),
            "percent": (str(day), f"{day}.{month}"),
            "days": (str(day),),
            "year": (str(year),),
            "next": (str(year + 1), str((year + 1) % 100)),
        }[what]
    )  # fmt: skip


def _make_value(kind: str, locale: str, faker: Faker, rng: random.Random) -> str | None:
    return {
        "EMAIL": _make_email,
        "PHONE": lambda *_: faker.phone_number(),
        "CARD": _make_card,
        "IBAN": lambda *_: _make_iban(locale, faker, rng),
        "NATIONAL_ID": lambda *_: _make_national_id(locale, faker),
        "IP": lambda *_: rng.choice((faker.ipv4, faker.ipv4, faker.ipv6, faker.mac_address))(),
        "URL": _make_url,
        "ORDER": _make_order,
        "ACCOUNT": lambda *_: faker.numerify(rng.choice(("########", "##########", "######", "KK####"))),
    }[kind](faker, rng)  # fmt: skip


def _make_national_id(locale: str, faker: Faker) -> str | None:
    if locale == "en_GB":  # Faker's bear a prefix and a suffix that are never given out
        letters = faker.random_element(("AB", "CE", "GH", "JK", "NW", "PT", "SR", "YZ"))
        return faker.numerify(f"{letters} ## ## ## {faker.random_element('ABCD')}").replace(
            " ", faker.random_element(("", " "))
        )
    if locale == "en_IN":  # Faker's end in another rule's digit
        return _make_aadhaar(faker)
    return str(getattr(faker, _NATIONAL[locale])()) if locale in _NATIONAL else None


def _make_aadhaar(faker: Faker) -> str:
    """Return twelve digits of which the last is Verhoeff's, by the tables of his thesis."""
    turned = [list(range(10))]
    for _ in range(7):
        turned.append([(1, 5, 7, 6, 2, 8, 3, 0, 9, 4)[digit] for digit in turned[-1]])
    product = ("0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
               "5987604321", "6598710432", "7659821043", "8765932104", "9876543210")  # fmt: skip
    number, check = faker.numerify("%##########").replace("1", "7", 1), 0
    for place, digit in enumerate(reversed(number), start=1):
        check = int(product[check][turned[place % 8][int(digit)]])
    number += str((5 - check) % 5 if check < 5 else check)
    return _group_by_four(number, faker)


def _group_by_four(number: str, faker: Faker) -> str:
    """Return ``number`` as it is, or in groups of four."""
    return number if faker.boolean() else " ".join(number[place : place + 4] for place in (0, 4, 8))


def _make_email(faker: Faker, rng: random.Random) -> str:
    address = rng.choice((faker.email, faker.free_email, faker.company_email, faker.ascii_email))()
    local, domain = address.split("@")
    form = rng.random()
    if form < 0.1:
        return address.upper()
    if form < 0.2:
        return f"{local}+{faker.word() if faker.word().isascii() else 'news'}@{domain}"
    if form < 0.25:
        return f"{local}@mail.{domain}"
    if form < 0.28:
        return rng.choice((f"{local} (at) {domain}", f"{local}[at]{domain}"))
    return address


def _make_card(faker: Faker, rng: random.Random) -> str:
    number = faker.credit_card_number()
    sizes = {15: (4, 6, 5), 14: (4, 6, 4)}.get(len(number), (4, 4, 4, 4, 4))
    groups, rest = [], number
    for size in sizes:
        groups, rest = [*groups, rest[:size]], rest[size:]
    separator = rng.choice(("", "", " ", " ", " ", "-", "-", ".", "\u00a0", "\u2011"))
    return separator.join(group for group in groups if group)


def _make_iban(locale: str, faker: Faker, rng: random.Random) -> str | None:
    iban = faker.iban()
    if not locale.endswith(iban[:2]) or iban[:2] in _NO_IBANS:
        return None
    form = rng.random()
    if form < 0.4:
        return iban
    if form < 0.5:
        return iban.lower()
    separator = " " if form < 0.9 else rng.choice(("-", "\u00a0"))
    return separator.join(iban[place : place + 4] for place in range(0, len(iban), 4))


def _make_url(faker: Faker, rng: random.Random) -> str:
    host, secret = faker.domain_name(), faker.sha1()[: rng.choice((12, 20, 40))]
    return rng.choice(
        (
            f"https://{host}/login?token={secret}",
            f"https://{host}/account/reset?lang=en&key={secret}",
            f"http://{faker.user_name()}:{secret}@{host}/files",
            f"https://www.{host}/reset-password/{secret}",
            f"{host}/pay?session_id={secret}&step=2",
            f"https://{host}/callback#access_token={secret}",
            f"https://api.{host}/v1/items?api_key={secret}",
            f"https://{host}/verify/{faker.uuid4()}",
        )
    )


def _make_order(faker: Faker, rng: random.Random) -> str:
    forms = (
        "########",
        "######",
        "AB-######",
        "###-#######-#######",
        "ORD-2026-#####",
        "SO########",
        "%#########",
        "R%########",
    )
    return faker.numerify(rng.choice(forms))
