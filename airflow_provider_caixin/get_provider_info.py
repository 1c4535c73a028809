"""What Airflow knows of this provider: its parts, its connection form and its configuration."""

from __future__ import annotations

from typing import Any

from airflow_provider_caixin.settings.options import CONFIG_OPTIONS, OPTION_MEANINGS, SECTION

INTEGRATION = "Caixin (Juhe video SMS)"


def get_provider_info() -> dict[str, Any]:
    """Describe the provider in the shape of Airflow's ``provider_info.schema.json``.

    Every Airflow process calls this at its start, so nothing heavy is imported for it. ``package-name`` has
    to be the distribution's name: with another one Airflow's whole provider discovery fails.
    """
    return {
        "package-name": "airflow-provider-caixin",
        "name": INTEGRATION,
        "description": "Video SMS campaigns (视频短信) through the Juhe Caixin gateway.",
        "integrations": [
            {
                "integration-name": INTEGRATION,
                "external-doc-url": "https://www.juhe.cn",
                "tags": ["service"],
            }
        ],
        "hooks": [_modules("hooks.caixin")],
        "operators": [_modules("operators.caixin")],
        "sensors": [_modules("sensors.caixin")],
        "triggers": [_modules("triggers.caixin")],
        # Airflow loads it by its entry point; here it is for who reads the provider's page.
        "plugins": [
            {"name": "caixin", "plugin-class": "airflow_provider_caixin.plugins.caixin.CaixinPlugin"}
        ],
        "transfers": [
            {
                # Any database with a hook of common.sql, which is no integration of its own.
                "source-integration-name": "Common SQL",
                "target-integration-name": INTEGRATION,
                "python-module": "airflow_provider_caixin.transfers.sql_to_caixin",
            }
        ],
        "notifications": ["airflow_provider_caixin.notifications.caixin.CaixinNotifier"],
        "task-decorators": [
            {
                "name": "caixin_send",
                "class-name": "airflow_provider_caixin.decorators.caixin.caixin_send_task",
            }
        ],
        "cli": ["airflow_provider_caixin.cli.get_commands"],
        "extra-links": [
            "airflow_provider_caixin.operators.links.CampaignLink",
            "airflow_provider_caixin.operators.links.TemplateMediaLink",
        ],
        "connection-types": [
            {
                "connection-type": "caixin",
                "hook-class-name": "airflow_provider_caixin.hooks.caixin.CaixinHook",
                "hook-name": INTEGRATION,
                "ui-field-behaviour": {
                    "hidden-fields": ["login"],
                    "relabeling": {"password": "AppKey"},
                    "placeholders": {
                        "host": "v.juhe.cn",
                        "schema": "https",
                        "password": "the AppKey of the account",
                    },
                },
                "conn-fields": _connection_fields(),
            }
        ],
        "config": {
            SECTION: {
                "description": "Defaults of the Caixin provider for all connections and Dags.",
                "options": CONFIG_OPTIONS,
            }
        },
    }


def _modules(module: str) -> dict[str, Any]:
    return {"integration-name": INTEGRATION, "python-modules": [f"airflow_provider_caixin.{module}"]}


def _connection_fields() -> dict[str, dict[str, Any]]:
    """Build the form's fields, each kept as the connection extra of the same name.

    A field left empty arrives as null or an empty text: not given. What is also an option of the
    configuration has its meaning from there.
    """
    fields = (
        (
            "account",
            "Account",
            "string",
            "Name that rate, caps and volume are counted by. Empty: a hash of the AppKey.",
        ),
        ("timeout", "Timeout", "number", "Seconds in which the gateway has to answer. Empty: 10."),
        ("path_suffix", "Path suffix", "string", "Empty, or .php where the gateway's addresses end in it."),
        ("messages_per_second", "Messages a second", "number", None),
        (
            "max_per_day",
            "Messages a day",
            "integer",
            f"Messages that one account may send in one day of Asia/Shanghai. Empty: as in [{SECTION}], else no limit.",
        ),
        ("send_window", "Send window", "string", None),
        ("frequency_cap", "Frequency cap", "string", None),
        ("blocked_regions", "Blocked regions", "string", None),
        ("ledger_conn_id", "Ledger connection", "string", None),
    )
    return {
        name: {
            "label": label,
            "description": description or f"{OPTION_MEANINGS[name]} Empty: as in [{SECTION}].",
            "schema": {"type": [kind, "null"]},
        }
        for name, label, kind, description in fields
    }
