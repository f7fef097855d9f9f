"""The rules of a watch: pure functions from what was seen to what is kept.

A **watch** is the payload, a **page** is what one fetch saw, an **observation**
is the bounded note of it that goes into the snapshot. Everything from the web
is untrusted: texts are cut, stripped of control characters, and the page itself
never reaches the snapshot.

The verdict over all observations so far, by the first line that applies:

=============== ==============================================================
``pending``     nothing was observed yet
``unreachable`` no observation was ok
``observed``    the watch makes no claim
``confirmed``   every ok observation found the claim
``refuted``     no ok observation found the claim, and each saw the whole page
``mixed``       anything else
=============== ==============================================================
"""

from __future__ import annotations

import codecs
import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

import attrs

from roost_core.errors import InvalidInput, PermanentError
from roost_core.models import Json, check_seconds

DEFAULT_CHECKS: Final = 3
#: At the default delay this many checks take about ten weeks.
MAX_CHECKS: Final = 100_000
DEFAULT_DELAY_SECONDS: Final = 60.0
#: The longest URL, in characters, that is fetched or kept.
MAX_URL: Final = 2048
#: The longest claim, in characters.
MAX_CLAIM: Final = 1000
#: The snapshot keeps the details of this many observations, the newest, and counts them all.
OBSERVATIONS_KEPT: Final = 100
#: The longest error text of an observation, in characters.
MAX_ERROR: Final = 300
#: The longest content type that is kept, in characters.
MAX_CONTENT_TYPE: Final = 100
#: The excerpt shows this many characters on either side of the claim,
EXCERPT_MARGIN: Final = 80
#: and is never longer than this.
MAX_EXCERPT: Final = 400

_WHITE_SPACE: Final = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000"
    + "".join(map(chr, range(0x2000, 0x200B)))
)

#: Codecs for pages. Python has others whose decoders are slow or warn on hostile input.
_CHARSET: Final = re.compile(
    r"utf-(8(-sig)?|16(-[lb]e)?|32(-[lb]e)?)|ascii|iso8859-\d+|cp\d+|koi8-[rut]|mac-\w+"
    r"|gb2312|gbk|gb18030|hz|big5(hkscs)?|euc_(jp|kr)|shift_jis(_2004|x0213)?|iso2022_\w+|johab"
)


@attrs.frozen
class Watch:
    """What a payload asks for.

    :ivar url: the http or https URL to fetch.
    :ivar claim: a text that the page should contain, or None.
    :ivar checks_required: how many fetches make the watch complete.
    :ivar delay_seconds: the time between two fetches.
    """

    url: str
    claim: str | None = None
    checks_required: int = DEFAULT_CHECKS
    delay_seconds: float = DEFAULT_DELAY_SECONDS

    @classmethod
    def from_payload(cls, payload: Json) -> Watch:
        """Read a payload.

        :raises PermanentError: it is invalid; the text names the field.
        """
        known = [field.name for field in attrs.fields(cls)]
        if not isinstance(payload, Mapping):
            raise PermanentError(f"the payload must be an object with {', '.join(known)}")
        for key in payload:
            if key not in known:
                raise PermanentError(
                    f"the payload has an unknown field {key!r:.80}; known are {', '.join(known)}"
                )
        try:
            return cls(
                url=_url(payload.get("url")),
                claim=_claim(payload.get("claim")),
                checks_required=_checks(payload.get("checks_required", DEFAULT_CHECKS)),
                delay_seconds=check_seconds(
                    payload.get("delay_seconds", DEFAULT_DELAY_SECONDS), "delay_seconds"
                ),
            )
        except InvalidInput as error:
            raise PermanentError(f"the payload's {error}") from error


def _url(value: Json) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidInput("url must be a string such as https://example.com/")
    if len(value) > MAX_URL:
        raise InvalidInput(f"url has {len(value)} characters; the limit is {MAX_URL}")
    if not value.isprintable() or " " in value:
        raise InvalidInput("url must not contain spaces or control characters")
    try:
        parts = urlsplit(value)
        # The port is parsed on access.
        is_sound = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_sound = False
    if not is_sound:
        raise InvalidInput("url must name a host, as in https://example.com/")
    if parts.scheme not in ("http", "https"):
        raise InvalidInput(f"url must start with http:// or https://, not {parts.scheme!r:.20}")
    if "@" in parts.netloc:
        # The value is not repeated: what precedes the @ is a secret.
        raise InvalidInput("url must not contain a user name or a password")
    return value


def _claim(value: Json) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_CLAIM:
        raise InvalidInput(f"claim must be a string of 1 to {MAX_CLAIM} characters")
    return value


def _checks(value: Json) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_CHECKS:
        raise InvalidInput(
            f"checks_required must be a whole number from 1 to {MAX_CHECKS}, not {value!r:.40}"
        )
    return value


@attrs.frozen(kw_only=True)
class Page:
    """What one fetch saw, complete or not.

    :ivar url: the URL that answered, after redirects.
    :ivar at: when the fetch began, by this machine's clock.
    :ivar elapsed_ms: how long it took, in milliseconds.
    :ivar status: the last HTTP status, or None if nothing answered.
    :ivar body: the decoded content, at most the byte cap.
    :ivar is_truncated: whether there was more than the cap.
    :ivar error: what went wrong on the way, or None.
    """

    url: str
    at: datetime
    elapsed_ms: int
    redirects: int = 0
    status: int | None = None
    content_type: str | None = None
    charset: str | None = None
    body: bytes | None = None
    is_truncated: bool = False
    error: str | None = None


def observe(page: Page, watch: Watch) -> dict[str, Json]:
    """Make the observation of a page: plain JSON values of bounded size.

    ``ok`` means that a whole answer, or as much as the cap allows, came with a
    2xx status. ``claim_found`` is None where that is unknown: no claim, not
    ok, or the claim is not in the part of a truncated page that was read.
    """
    error = page.error
    if error is None and (page.status is None or not 200 <= page.status < 300):
        error = f"the site answered with HTTP status {page.status}"
    found, excerpt = None, None
    if error is None and watch.claim is not None:
        excerpt = find_claim(decode(page.body or b"", page.charset), watch.claim)
        found = None if excerpt is None and page.is_truncated else excerpt is not None
    has_body = page.body is not None
    return {
        "ok": error is None,
        "status": page.status,
        "url": clean(page.url, MAX_URL),
        "redirects": page.redirects,
        "at": page.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "elapsed_ms": page.elapsed_ms,
        "bytes": len(page.body) if page.body is not None else None,
        "sha256": hashlib.sha256(page.body or b"").hexdigest() if has_body else None,
        "truncated": page.is_truncated,
        "content_type": clean(page.content_type or "", MAX_CONTENT_TYPE) or None,
        "claim_found": found,
        "excerpt": excerpt,
        "error": None if error is None else clean(error, MAX_ERROR),
    }


def clean(text: str, limit: int) -> str:
    """Make a text from the web safe to keep and to print.

    White space collapses to single spaces, whatever else does not print (control characters,
    bidirectional overrides, lone surrogates) is removed, and at most ``limit`` characters are kept.
    """
    # Cut twice: a hostile text is not scanned in full, and the result respects the limit.
    spaced = " ".join(text[: 4 * limit].split())
    kept = "".join(char for char in spaced if char.isprintable())
    return kept if len(kept) <= limit else kept[: limit - 1] + "…"


def decode(body: bytes, charset: str | None) -> str:
    """Decode a page by its declared charset, UTF-8 where that is missing or not for pages.

    Bytes that do not decode become U+FFFD.
    """
    name = "utf-8-sig"
    try:
        declared = codecs.lookup(charset or name).name
    except (LookupError, ValueError):
        declared = name
    if _CHARSET.fullmatch(declared) and declared != "utf-8":
        name = declared
    return body.decode(name, errors="replace")


def find_claim(text: str, claim: str) -> str | None:
    """Return an excerpt around the first place where ``text`` contains the claim, or None.

    Letter case does not matter, and any run of white space matches any other. The text is
    the page's source: markup inside the claim's words separates them.
    """
    # Whole-text replacements and a plain search: a pattern that page and claim were made
    # for can take minutes, and a list of words many times the page's room.
    spaced = _single_spaced(text)
    folded = spaced.casefold()
    start = folded.find(_single_spaced(claim).strip().casefold())
    if start < 0:
        return None
    # A few letters fold to more than one; positions then differ, and the folded text is shown.
    shown = spaced if len(spaced) == len(folded) else folded
    end = start + len(claim) + EXCERPT_MARGIN
    return clean(shown[max(0, start - EXCERPT_MARGIN) : end], MAX_EXCERPT)


def _single_spaced(text: str) -> str:
    for char in _WHITE_SPACE:
        text = text.replace(char, " ")
    while "  " in text:
        text = text.replace("  ", " ")
    return text


def initial_data() -> dict[str, Json]:
    """Return the data of the first snapshot, before any fetch."""
    return {
        "checks_completed": 0,
        "verdict": "pending",
        "counts": {"ok": 0, "failed": 0, "claim_found": 0, "claim_absent": 0},
        "observations": [],
    }


def next_data(
    data: Mapping[str, Any], observation: Mapping[str, Json], watch: Watch
) -> dict[str, Json]:
    """Return the data with one more observation; the given data stays as it is."""
    counts = dict(data["counts"])
    counts["ok" if observation["ok"] else "failed"] += 1
    if observation["claim_found"] is not None:
        counts["claim_found" if observation["claim_found"] else "claim_absent"] += 1
    return {
        **data,
        "checks_completed": data["checks_completed"] + 1,
        "verdict": verdict(counts, has_claim=watch.claim is not None),
        "counts": counts,
        "observations": [*data["observations"], dict(observation)][-OBSERVATIONS_KEPT:],
    }


def verdict(counts: Mapping[str, int], *, has_claim: bool) -> str:
    """Return the verdict; the table is at the top of this module."""
    if counts["ok"] + counts["failed"] == 0:
        return "pending"
    if counts["ok"] == 0:
        return "unreachable"
    if not has_claim:
        return "observed"
    if counts["claim_found"] == counts["ok"]:
        return "confirmed"
    if counts["claim_absent"] == counts["ok"]:
        return "refuted"
    return "mixed"


def is_complete(data: Mapping[str, Any], watch: Watch) -> bool:
    """Return whether the watch has made all of its checks."""
    return bool(data["checks_completed"] >= watch.checks_required)


def step_label(data: Mapping[str, Any], watch: Watch) -> str:
    """Return the name of the step that led to ``data``, for people."""
    return f"check {data['checks_completed']} of {watch.checks_required}"


def report(work_id: str, data: Mapping[str, Any], watch: Watch) -> dict[str, Json]:
    """Return the evidence report: what was asked, what was seen, and what is left out."""
    left_out = data["checks_completed"] - len(data["observations"])
    return {
        "work_id": work_id,
        "watch": attrs.asdict(watch),
        "verdict": data["verdict"],
        "checks_completed": data["checks_completed"],
        "counts": dict(data["counts"]),
        "observations": list(data["observations"]),
        "observations_left_out": left_out,
        "note": f"the details of the first {left_out} observations were not kept; "
        "counts and verdict include them"
        if left_out
        else "every observation is listed",
    }
