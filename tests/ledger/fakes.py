"""Secrets that are none: of the right shape, made at run time so that no source file holds one."""

from __future__ import annotations

import base64
import json

LETTERS = "QWERTYUIOPASDFGHJKLZXCVBNMqwertyuiopasdfghjklzxcvbnm0918273645"


def drawn(size: int, start: int = 7) -> str:
    """Return letters and digits in no order that anybody would type."""
    return "".join(LETTERS[(start + 17 * i + i * i) % len(LETTERS)] for i in range(size))


def _part(fields: dict[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")


AWS = "AK" + "IA" + drawn(16).upper()
GITHUB = "gh" + "p_" + drawn(36)
JWT = ".".join([_part({"alg": "HS256"}), _part({"sub": "ada"}), drawn(43)])
KEY_HEAD = "-----BEGIN RSA " + "PRIVATE KEY-----"
KEY = "\n".join([KEY_HEAD, drawn(64, 1), drawn(64, 2), "-----END RSA " + "PRIVATE KEY-----"])

FAKES = {
    "AWS Access Key": f'key = "{AWS}"',
    "Artifactory Credentials": "token: " + "AK" + "C" + drawn(24) + " ",
    "Azure Storage Account access key": "Account" + "Key=" + drawn(88),
    "Basic Auth Credentials": "https" + "://ada:" + drawn(12) + "@example.com/",
    "Cloudant Credentials": "cloudant_" + "pass" + "word = " + ("0a1b2c3d" * 8),
    "Discord Bot Token": "M" + drawn(23) + "." + drawn(6) + "." + drawn(27),
    "GitHub Token": f"token: {GITHUB}",
    "GitLab Token": "gl" + "pat-" + drawn(20),
    "Google API Key": "AI" + "za" + drawn(35),
    "IBM COS HMAC Credentials": "secret_access" + "_key = " + ("0a1b2c" * 8),
    "IBM Cloud IAM Key": "ibm_cloud_" + "key = " + drawn(44),
    "JSON Web Token": f"Bearer {JWT}",
    "Mailchimp Access Key": drawn(32).lower() + "-us" + "12",
    "NPM tokens": "npm" + "_" + drawn(36),
    "OpenAI Token": "sk" + "-" + drawn(20) + "T3Blbk" + "FJ" + drawn(20, 3),
    "Private Key": KEY_HEAD,
    "PyPI Token": "py" + "pi-AgEIcHlwaS5vcmc" + drawn(80),
    "Secret Keyword": "pass" + f'word = "{drawn(20)}"',
    "SendGrid API Key": "SG" + "." + drawn(22) + "." + drawn(43),
    "Slack Token": "xo" + "xb-" + "123456789012-" + drawn(24).lower(),
    "SoftLayer Credentials": "softlayer_api_" + "key = " + ("0a1b2c3d" * 8),
    "Square OAuth Secret": "sq0" + "csp-" + drawn(43),
    "Stripe Access Key": "sk" + "_live_" + drawn(24),
    "Telegram Bot Token": "1234567890" + ":" + drawn(35),
    "Twilio API Key": "S" + "K" + ("0a1b2c3d" * 4),
}
"""A line for every kind that stops a patch."""

CLEAN = """
import hashlib
password = getpass()
token = request.headers["token"]
digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
url = "https://example.com:8080/path?x=y@z"
secrets = vault.read("the/path")
"""
