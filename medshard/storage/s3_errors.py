"""obstore's errors in our words.

The client's own text is never passed on, nor chained as a cause: a refusal quotes the request as the server signed it,
with access key, session token and signature.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from medshard.errors import StorageError

__all__ = ["client_errors", "is_broken_body", "is_past_the_end", "s3_error"]

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([A-Za-z]{1,64})</Code>")
_KIND = re.compile(r"\bHttpError \{\s*kind: ([A-Za-z]+)")
_METADATA = re.compile(r"/latest/(api/token|meta-data/iam/)")  # of the machine's metadata service

_KEYS = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_REACH = "check AWS_ENDPOINT_URL and the network"
_REGION = "the bucket seems to lie in another region; check AWS_REGION"
_BY_CODE = {
    "NoSuchBucket": "there is no such bucket",
    "SignatureDoesNotMatch": f"the signature was refused; {_KEYS}",
    "InvalidAccessKeyId": f"the access key is not known; {_KEYS}",
    "ExpiredToken": "the session token has expired; renew AWS_SESSION_TOKEN",
    "InvalidToken": "the session token was refused; renew AWS_SESSION_TOKEN",
    "RequestTimeTooSkewed": "the clock of this machine is wrong",
    "AuthorizationHeaderMalformed": _REGION,
    "PermanentRedirect": _REGION,
    "IllegalLocationConstraintException": _REGION,
}
_BY_KIND = {
    "Connect": f"cannot be reached; {_REACH}",
    "Timeout": f"gave no answer in time; {_REACH}",
    "Interrupted": f"broke the connection each time; {_REACH}",
    "Request": f"broke the connection each time; {_REACH}",
}


def client_errors() -> tuple[type[Exception], ...]:
    """The types that obstore raises on purpose."""
    from obstore.exceptions import BaseError

    return (BaseError, OSError, ValueError, NotImplementedError)


def is_past_the_end(error: Exception) -> bool:
    """Whether a range begins behind the last byte of its object."""
    return _found(_STATUS, error) == "416"


def is_broken_body(error: Exception) -> bool:
    """Whether an answer broke off in its middle, or stalled there."""
    return "response body" in str(error).partition("\n")[0] and _found(_STATUS, error) == ""


def _found(pattern: re.Pattern[str], error: Exception) -> str:
    match = pattern.search(str(error))
    return match[1] if match else ""


def s3_error(url: str, endpoint: str, error: Exception) -> StorageError:
    """What to raise.

    Args:
        url: of the object or folder.
        endpoint: of the service, empty for AWS.
        error: what obstore raised.
    """
    status, code, kind = (_found(pattern, error) for pattern in (_STATUS, _CODE, _KIND))
    # only the host: an address may hold a password
    service = urlsplit(endpoint).hostname or "S3"
    if _METADATA.search(str(error).partition("\n")[0]):
        return StorageError(
            f"{url}: there are no credentials: none in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (profiles in ~/.aws "
            "are not read), and the machine has no role. For a public bucket set AWS_SKIP_SIGNATURE=true."
        )
    if code in _BY_CODE:
        return StorageError(f"{url}: {_BY_CODE[code]} ({status} {code} from {service})")
    if isinstance(error, FileNotFoundError):
        return StorageError(f"{url}: there is no such object")
    answer = " ".join(part for part in (status, code) if part)
    if status in ("401", "403"):
        return StorageError(
            f"{url}: {service} refused ({answer}); {_KEYS} and the bucket's policy. Without the permission to list, an "
            "object that does not exist is refused, too."
        )
    if "Received redirect" in str(error) or status.startswith("3"):
        return StorageError(f"{url}: {_REGION} ({service} redirected)")
    if status.startswith("5") or status == "429":
        return StorageError(f"{url}: {service} kept failing ({answer}) until the time for retries was over")
    if kind in _BY_KIND:
        return StorageError(f"{url}: {service} {_BY_KIND[kind]}")
    return StorageError(f"{url}: cannot be read from {service} ({answer or kind or type(error).__name__}); {_REACH}")
