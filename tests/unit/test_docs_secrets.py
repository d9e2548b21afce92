"""No secret of an inventory or of a role is on a page: canaries everywhere, and none comes out."""

from __future__ import annotations

from pathlib import Path

import pytest
from sample_project import FILES, UPDATE, edit, read_target, write

from pyrunbook.docs.collection import collect

VARIABLES = "inventories/production/group_vars/services.yml"
CANARY = "c4n4ry"
VAULTED = """\
!vault |
          $ANSIBLE_VAULT;1.1;AES256
          6334c4n4ry6334
"""


def pages(project: Path, *runbooks: str) -> dict[str, str]:
    target = read_target(project, project / "inventories/production")
    return collect(target, ("en", "fr"), only=runbooks, all_languages=("en", "fr")).files


def shown(project: Path) -> str:
    return "\n".join(pages(project).values())


def say(project: Path, *lines: str) -> None:
    """Add variables to the inventory."""
    file = project / VARIABLES
    file.write_text(file.read_text(encoding="utf-8") + "".join(f"{line}\n" for line in lines), encoding="utf-8")


def ask(project: Path, *templates: str) -> None:
    """Have the page show values, in a command and in a text."""
    notes = project / "roles/deploy/meta/step.yml"
    edit(
        notes,
        '        {{ kubectl }} apply -f "{{ deploy_manifests }}"\n',
        "".join(f"        echo {t}\n" for t in templates),
    )
    edit(notes, "purpose: {en: Start the release., fr: Démarrer la version.}", "purpose: >-\n  " + " ".join(templates))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write(tmp_path / "shop")


@pytest.mark.parametrize(
    ("line", "template"),
    [
        (f"db_password: {CANARY}", "{{ db_password }}"),
        (f"shop: {{api_token: {CANARY}}}", "{{ shop.api_token }}"),
        (f"shop: {{deep: [{{client_secret: {CANARY}}}]}}", "{{ shop.deep[0].client_secret }}"),
        (f"shop: {{deep: [{{client_secret: {CANARY}}}]}}", "{{ shop }}"),
        (f"shop: {{deep: {{privateKey: {CANARY}}}}}", "{{ shop | string | upper | lower }}"),
        (f"environment: [{{name: DB_PASSWORD, value: {CANARY}}}]", "{{ environment }}"),
        (f"environment: [{{name: DB_PASSWORD, value: {CANARY}}}]", "{{ environment[0].value }}"),
        (f"database: postgres://shop:{CANARY}@db/shop", "{{ database }}"),
        (f"database: 'postgres://db/shop?user=a&password={CANARY}'", "{{ database }}"),
        (f"login: 'Bearer {CANARY}xyz'", "{{ login }}"),
        (f"hook: https://hooks.slack.com/services/T1/B2/{CANARY}", "{{ hook }}"),
        (f"db_password: {CANARY}\nline: 'login {{{{ db_password }}}}'", "{{ line }}"),
        (f"db_credentials: {{user: {CANARY}}}", "{{ db_credentials.user }}"),
        (f"shop: {{db_credentials: {{user: {CANARY}}}}}", "{{ shop.db_credentials['user'] }}"),
        (f"db_pin: [{CANARY}]", "{{ db_pin | join }}"),
        (f"quiet: {VAULTED}", "{{ quiet }}"),
        (f"shop: {{x: 1}}\nquiet:\n  - {VAULTED}", "{{ quiet }}"),
        (f'settings: \'{{"password": "{CANARY}"}}\'', "{{ settings }}"),
        (f"pem: '-----BEGIN RSA PRIVATE KEY----- {CANARY}'", "{{ pem }}"),
    ],
)
def test_a_template_shows_no_secret(project: Path, line: str, template: str) -> None:
    say(project, line, "harmless: visible")
    ask(project, template, "{{ harmless }}")
    text = shown(project)
    assert CANARY not in text
    assert "echo visible" in text
    assert template not in text, "it was not filled at all"
    assert "[secret]" in text or "[redacted]" in text or "(vaulted)" in text


def test_a_file_that_is_vaulted_as_a_whole_tells_nothing(project: Path) -> None:
    directory = project / "inventories/production/group_vars/services"
    directory.mkdir()
    (project / VARIABLES).rename(directory / "main.yml")
    (directory / "vault.yml").write_text(f"$ANSIBLE_VAULT;1.1;AES256\n{CANARY}\n")
    (project / "inventories/production/host_vars").mkdir()
    (project / "inventories/production/host_vars/shop.yml").write_text(f"$ANSIBLE_VAULT;1.1;AES256\n{CANARY}\n")
    ask(project, "{{ vaulted_login }}")
    made = pages(project, UPDATE)
    text = made[f"{UPDATE}.md"]
    assert CANARY not in text
    assert "echo VAULTED_LOGIN" in text and "- `vaulted_login`" in text
    assert "https://shop.example.com" in text


def test_the_checks_of_a_service_show_no_secret(project: Path) -> None:
    edit(project / VARIABLES, "service_checks:", f"""service_checks:
  - name: login
    path: /login?token={CANARY}
    method: POST
    headers: {{Authorization: "Bearer {CANARY}", X-Api-Key: {CANARY}, Cookie: "a={CANARY}", X-Trace: visible}}
    body: {{user: shop, password: {CANARY}}}
    json: {{session_token: {CANARY}, ok: true}}
  - {{name: form, path: /form, body: "user=shop&password={CANARY}", contains: "password: {CANARY}"}}""")  # fmt: skip
    edit(project / VARIABLES, "https://shop.example.com", f"https://ops:{CANARY}@shop.example.com")
    text = shown(project)
    assert CANARY not in text
    assert "X-Trace: visible" in text and "/login?token=" in text and "`ok`" in text


def test_contacts_and_channels_show_no_secret(project: Path) -> None:
    channels = f"""
  slack: "#shop"
  paging_key: {CANARY}
  hook: https://hooks.slack.com/services/T1/B2/{CANARY}
  bot: https://bot:{CANARY}@chat.example.com"""
    edit(project / VARIABLES, ' {slack: "#shop"}', channels)
    say(project, f"night_token: {CANARY}")
    edit(project / VARIABLES, 'reach: "+33-111"', 'reach: "+33-111 {{ night_token }}"')
    edit(project / VARIABLES, "name: {en: On call, fr: Astreinte}", f'name: "On call, password: {CANARY}"')
    edit(project / "playbooks/maintenance/update.meta.yml", "contacts: [L1, slack]",
         "contacts: [L1, slack, paging_key, hook, bot]")  # fmt: skip
    text = shown(project)
    assert CANARY not in text
    assert "| paging_key |  |  | `[secret]` |" in text
    assert "@chat.example.com" in text and "+33-111 [secret]" in text


def test_inputs_show_no_secret(project: Path) -> None:
    """Neither their defaults nor what the inventory sets: by name, by `no_log`, by the shape of the value."""
    write(project, **{
        "roles/deploy/defaults/main.yml": f"""
            deploy_manifests: deploy
            deploy_registry_password: {CANARY}
            deploy_code: {CANARY}
            deploy_nested: {{user: shop, code: {CANARY}}}
            deploy_source: https://ci:{CANARY}@git.example.com/shop.git
            deploy_login: {{user: visible, password: {CANARY}}}
        """,
        "roles/deploy/meta/argument_specs.yml": """
            argument_specs:
              main:
                options:
                  deploy_manifests: {description: x, type: path}
                  deploy_registry_password: {description: x, type: str}
                  deploy_code: {description: x, type: str, no_log: true}
                  deploy_nested: {description: x, type: dict, options: {code: {type: str, no_log: true}}}
                  deploy_source: {description: x, type: str}
                  deploy_login: {description: x, type: dict}
        """,
    })  # fmt: skip
    ask(project, "{{ deploy_code }}", "{{ deploy_nested.code }}", "{{ deploy_source }}", "{{ deploy_login }}")
    text = shown(project)
    assert CANARY not in text
    assert "@git.example.com/shop.git" in text and "visible" in text
    say(project, f"deploy_code: {CANARY}2", f"deploy_nested: {{code: {CANARY}3}}", f"signing_token: {CANARY}4",
        f"deploy_source: https://ci:{CANARY}5@git.example.org/shop.git")  # fmt: skip
    text = shown(project)
    assert CANARY not in text
    assert "@git.example.org/shop.git" in text
    assert "| `deploy_code` | str | `[secret]` |" in text
    given = f"import_role: {{name: deploy}}\n          vars: {{deploy_code: {CANARY}6, deploy_source: visible}}"
    edit(project / "playbooks/maintenance/update.yml", "import_role: {name: deploy}", given)
    text = shown(project)
    assert CANARY not in text
    assert "echo visible\n" in text


def test_conditions_and_titles_show_no_secret(project: Path) -> None:
    edit(project / "playbooks/maintenance/update.yml", "when: release != ''", f"when: api_token == '{CANARY}'")
    assert CANARY not in shown(project)
    (project / "playbooks/maintenance/update.meta.yml").unlink()  # then the outline is shown
    edit(project / "playbooks/maintenance/update.yml", "Deploy {{ service_release }}", f"'Deploy, password: {CANARY}'")
    text = shown(project)
    assert CANARY not in text
    assert "api_token ==" in text


def test_the_canary_would_be_seen(project: Path) -> None:
    """The same places, with a value that is no secret: a check of the tests above."""
    say(project, f"harmless: {CANARY}")
    ask(project, "{{ harmless }}")
    assert CANARY in shown(project)
    assert VARIABLES in FILES
