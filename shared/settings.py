"""Everything that can be set from outside: environment variables named LINLI_…, and DATABASE_URL.

`docs/settings.md` explains each of them, and a test compares.
"""

from __future__ import annotations

import os
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


def default_data_dir() -> Path:
    """/var/lib/linli for root, whose PostgreSQL runs as another user that must get there; else the user's own folder."""
    if os.name == "posix" and os.geteuid() == 0:
        return Path("/var/lib/linli")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "linli"


class Settings(BaseSettings):
    """One deployment's settings; immutable once read."""

    model_config = SettingsConfigDict(env_prefix="LINLI_", frozen=True, extra="ignore", populate_by_name=True)

    data_dir: Path = Field(default_factory=default_data_dir, description="Where keys and the embedded database live.")
    database_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("DATABASE_URL", "LINLI_DATABASE_URL", "database_url"),
        description="A PostgreSQL 18 to use instead of the embedded one (postgresql://user:password@host/name); "
        "its user owns the tables and need not be, and better is not, a superuser.",
    )
    demo: bool = Field(default=False, description="Demo helpers: codes shown in answers, demo accounts, tokens.")
    public_url: str = Field(
        default="http://127.0.0.1:8000",
        description="How the outside reaches the gateway; access tokens name it as their issuer, so it is the same in every process.",
    )
    upstreams: dict[str, str] = Field(
        default_factory=dict,
        description='Services that run elsewhere, as JSON: {"booking": "http://booking:8000"}; others run inside.',
    )
    pool_size: int = Field(default=12, ge=2, le=70, description="Database connections of one serving process.")
    guardian_levels: dict[str, Literal["declared", "checked", "confirmed"]] = Field(
        default_factory=dict,
        description='How well services want to know guardians, as JSON: {"childcare": "confirmed"}; else declared is enough.',
    )
    line_batch: int = Field(default=64, ge=1, le=1000, description="Most asks decided in one transaction.")
    line_waiting: int = Field(default=4000, ge=1, description="Most asks waiting in the line; more are told 503.")
    line_seconds: float = Field(default=8.0, gt=0, le=14, description="Longest an ask waits in the line (< 15 s).")
    hold_seconds: int = Field(default=30, ge=5, le=600, description="How long a held place waits for its service.")
    upstream_seconds: float = Field(default=6.0, gt=0, le=14, description="Longest a service may take to answer.")
    body_bytes: int = Field(default=64 * 1024, ge=1024, description="Largest request body.")
    account_rate: float = Field(default=50.0, gt=0, description="Requests a second for one account, on average.")
    account_burst: int = Field(default=200, ge=1, description="Requests one account may send at once.")
    address_rate: float = Field(default=2000.0, gt=0, description="Requests a second from one address, on average.")
    address_burst: int = Field(default=8000, ge=1, description="Requests one address may send at once.")
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = Field(
        default=(), description="Addresses whose X-Forwarded-For is believed."
    )
    partner_networks: tuple[IPv4Network | IPv6Network, ...] = Field(
        default=(),
        description="Private networks to which notices may be sent, also without TLS (door controllers, kitchen boxes).",
    )
    cors_origins: tuple[str, ...] = Field(default=(), description="Web origins that may call from a browser.")
    access_seconds: int = Field(default=900, ge=60, le=3600, description="Life of an access token.")
    refresh_days: int = Field(default=30, ge=1, le=180, description="Absolute life of a login.")
    idle_days: int = Field(default=14, ge=1, le=180, description="A login not refreshed for so long is over.")
    provider_seconds: float = Field(
        default=4.0, gt=0, le=14, description="Longest WeChat and others may take together."
    )
    aliyun_key_id: str | None = Field(
        default=None,
        description="AccessKey ID for Aliyun's SMS service; with secret, signature and template, codes go to phones.",
    )
    aliyun_key_secret: SecretStr | None = Field(default=None, description="Its AccessKey secret; signs calls.")
    aliyun_sign_name: str | None = Field(default=None, description="The approved signature (短信签名) of the messages.")
    aliyun_template: str | None = Field(
        default=None, description="The approved template (SMS_…) of the messages; its one variable is `code`."
    )
    aliyun_url: str = Field(
        default="https://dysmsapi.aliyuncs.com",
        description="Where Aliyun's SMS service is called; calls sign its host.",
    )
    wechat_appid: str | None = Field(
        default=None, description="The mini-program's AppID; with its secret, WeChat is on."
    )
    wechat_secret: SecretStr | None = Field(default=None, description="The mini-program's AppSecret.")
    wechat_url: str = Field(default="https://api.weixin.qq.com", description="Where WeChat is called.")
    alipay_appid: str | None = Field(
        default=None, description="The mini-program's APPID; with both keys, Alipay is on."
    )
    alipay_key: SecretStr | None = Field(default=None, description="Our RSA private key (base64 or PEM), signs calls.")
    alipay_public_key: str | None = Field(default=None, description="Alipay's RSA public key (base64 or PEM).")
    alipay_aes_key: SecretStr | None = Field(default=None, description="The AES key (base64) for phones from Alipay.")
    alipay_url: str = Field(default="https://openapi.alipay.com/gateway.do", description="Where Alipay is called.")
    zheliban_appid: str | None = Field(
        default=None, description="Our application's id in IRS; with both keys, Zheliban (浙里办) is on."
    )
    zheliban_access_key: str | None = Field(default=None, description="AK of the single sign-on component.")
    zheliban_secret_key: SecretStr | None = Field(default=None, description="SK of the single sign-on component.")
    zheliban_url: str = Field(
        default="https://ibcdsg.zj.gov.cn:8443",
        description="Where Zheliban is called; https://bcdsg.zj.gov.cn:8443 from inside the government's network.",
    )
    oidc_issuer: str | None = Field(
        default=None, description="The OpenID provider of the staff, as its configuration spells it; with a client, on."
    )
    oidc_client_id: str | None = Field(default=None, description="Our client id there.")
    oidc_client_secret: SecretStr | None = Field(default=None, description="Our client's secret; none: public client.")
    oidc_redirects: tuple[str, ...] = Field(default=(), description="Redirect URIs that may receive codes, exactly so.")
    oidc_two_factors: tuple[str, ...] = Field(
        default=("mfa",),
        description="What its id_token says in `acr` or `amr` when it was shown a second factor; others do not open desks.",
    )
    cipher: Literal["aes", "sm4"] = Field(
        default="aes",
        description="What seals personal data from now on; what is sealed already opens either way.",
    )
    reveals_a_day: int = Field(
        default=20,
        ge=1,
        le=1000,
        description="People whose data one member of the staff may see in a day by themselves.",
    )
    closure_days: int = Field(
        default=15, ge=0, le=15, description="Days in which somebody who wants to be forgotten may think again."
    )
    staff_hours: int = Field(default=12, ge=1, le=24, description="Absolute life of a login with a password.")
    staff_idle_minutes: int = Field(
        default=30, ge=5, le=720, description="A login with a password ends when it was not refreshed for so long."
    )
    oauth_clients: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="Frontends that staff log in to, with the addresses they may be sent back to, as JSON: "
        '{"desk": ["https://desk.example/login"]}; the docs console is always one.',
    )
    log_level: str = Field(default="info", description="debug, info, warning or error.")

    @property
    def issuer(self) -> str:
        """Who issues the access tokens: the address by which the outside knows us."""
        return self.public_url.rstrip("/")

    @cached_property
    def guardians(self) -> dict[str, int]:
        """The level of guardianship that services want, as the tables have it."""
        return {name: ("declared", "checked", "confirmed").index(level) for name, level in self.guardian_levels.items()}

    @cached_property
    def delivery_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """Private networks that notices may go to; in a demo also this machine, where the reader's own receiver runs."""
        return (*self.partner_networks, *((IPv4Network("127.0.0.0/8"),) if self.demo else ()))

    @cached_property
    def keys_file(self) -> Path:
        """Where this deployment's keys are."""
        return self.data_dir / "keys.json"
