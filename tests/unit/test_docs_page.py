"""A page: its sections, their order, and what stands in them, with the values of an inventory."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sample_project import SLOW, UPDATE, edit, read_target, write

from pyrunbook.catalog import load
from pyrunbook.catalog.settings import read_settings
from pyrunbook.catalog.step_notes import read_step_notes
from pyrunbook.docs.collection import collect
from pyrunbook.docs.page import RunbookPage
from pyrunbook.docs.target import Target

LANGUAGES = ("en", "fr")
FIRST_SCREEN = {
    "en": ["Is this the right page?", "What to type", "How to see that it worked", "How to undo it", "Who to call"],
    "fr": ["Est-ce la bonne page ?", "Que taper", "Comment voir que c'est réussi", "Comment revenir en arrière",
           "Qui appeler"],
}  # fmt: skip
SECTIONS = {
    "en": ["Information", "Prerequisites", "Procedure", "Verification", "Rollback", "Troubleshooting",
           "Contacts", "Inputs", "Links"],
    "fr": ["Informations", "Prérequis", "Procédure", "Vérification", "Retour arrière", "Dépannage",
           "Contacts", "Paramètres", "Liens"],
}  # fmt: skip


def target(project: Path, inventory: str = "production", service: str = "") -> Target:
    return read_target(project, project / "inventories" / inventory if inventory else None, service)


def page(
    project: Path, name: str = UPDATE, language: str = "en", inventory: str = "production", *, service: str = "",
    all_inputs: bool = False,
) -> str:  # fmt: skip
    of = target(project, inventory, service)
    made = collect(of, (language,), only=[name], all_languages=LANGUAGES, all_inputs=all_inputs)
    assert not made.problems
    (text,) = made.files.values()
    return text


def section(text: str, heading: str) -> str:
    """What stands between a heading of the second level and the next one."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    assert found, f"no section {heading}"
    return re.sub(r"^<a id=.*\n", "", found[1], flags=re.MULTILINE)


def step(text: str, title: str) -> str:
    """What stands below the heading of a step."""
    found = re.search(rf"^### \d+\. {re.escape(title)}\n(.*?)(?=^#|^<a |\Z)", text, re.DOTALL | re.MULTILINE)
    assert found, f"no step {title}"
    return found[1]


def headings(text: str, level: int) -> list[str]:
    without_code = re.sub(r"^(`{3,}).*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.findall(rf"^{'#' * level} (.+)$", without_code, re.MULTILINE)


def rows(text: str) -> dict[str, list[str]]:
    """The rows of tables: first cell to the others."""
    lines = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| |")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return {row[0]: row[1:] for row in cells}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write(tmp_path / "shop")


# --- the order of the source guide ----------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_sections_stand_in_the_order_of_the_guide(project: Path, language: str) -> None:
    text = page(project, language=language)
    assert headings(text, 2) == FIRST_SCREEN[language] + SECTIONS[language]
    assert headings(text, 1) == [{"en": "Update", "fr": "Mise à jour"}[language]]


def test_the_shipped_pages_have_the_sections_of_the_source_guide() -> None:
    """Those of its template, in its order."""
    root = Path(__file__).parents[2]
    guide = (root / "tests/source/runbook-authoring.md").read_text(encoding="utf-8")
    template = guide.partition("## Structure d'un Runbook")[2].partition("## Exemple")[0]
    asked = re.findall(r"^## (\S+)", template, re.MULTILINE)
    assert asked == [
        "Informations",
        "Prérequis",
        "Procédure",
        "Vérification",
        "Rollback",
        "Troubleshooting",
        "Contacts",
    ]
    ours = {"Rollback": "Retour arrière", "Troubleshooting": "Dépannage"}
    settings = read_settings(root).docs
    made = collect(read_target(root, root / settings.inventory), ("fr",), all_languages=settings.languages)
    pages = [name for name in made.files if "/" in name]
    assert pages
    for name in pages:
        there = [heading for heading in headings(made.files[name], 2) if heading in SECTIONS["fr"]]
        assert [ours.get(heading, heading) for heading in asked] == there[:7], name


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_first_screen_of_every_shipped_page_answers_what_is_asked_at_night(language: str) -> None:
    root = Path(__file__).parents[2]
    settings = read_settings(root).docs
    made = collect(read_target(root, root / settings.inventory), (language,), all_languages=settings.languages)
    pages = {name: text for name, text in made.files.items() if "/" in name}
    assert len(pages) >= 8
    for name, text in pages.items():
        screen, _, rest = text.partition(f"\n## {SECTIONS[language][0]}\n")
        assert headings(screen, 2) == FIRST_SCREEN[language], name
        assert len(screen.splitlines()) <= 60, name
        assert {"en": "Nobody has written", "fr": "Personne ne l'a encore"}[language] not in text, name
        dry, real = re.findall(r"^```bash\n(pyrunbook run .*)\n```$", screen, re.MULTILINE)
        assert "--check" in dry and "--check" not in real, name
        assert "<details>" not in screen and "<details>" in rest, name


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_incident_begins_with_what_is_seen_and_what_to_do_first(project: Path, language: str) -> None:
    text = page(project, SLOW, language)
    head, typed = section(text, FIRST_SCREEN[language][0]), section(text, FIRST_SCREEN[language][1])
    if language == "en":
        assert re.findall(r"^- (.+)$", head, re.MULTILINE) == ["Answers take more than 2 s.", "Customers complain."]
        words = ["**Symptoms**:\n", "**Alerts**: `ShopSlow`", "**Severity**: high", "**Impact**: Customers leave."]
        words.append("**When it may be ignored**: While the shop is closed.")
        first = "**First action**: [Look at the service]"
    else:
        words = ["**Symptômes** :\n", "**Alertes** : `ShopSlow`", "**Sévérité** : élevé"]
        words += ["**Impact** : Les clients partent.", "**Quand on peut l'ignorer** : Quand la boutique est fermée."]
        first = "**Première action** : [Regarder le service]"
    places = [head.index(word) for word in words]
    assert places == sorted(places)
    link = re.search(rf"^{re.escape(first)}\(#([\w-]+)\)", typed, re.MULTILINE)
    assert link and f'<a id="{link[1]}"></a>' in text


def test_what_is_typed_names_what_is_attested_and_what_has_to_be_filled_in(project: Path) -> None:
    typed = section(page(project), "What to type")
    assert re.findall(r"^pyrunbook run .*$", typed, re.MULTILINE) == [
        'pyrunbook run maintenance/update -i production --check --no-window --reason "dry run" -e release=RELEASE',
        "pyrunbook run maintenance/update --window -i production --attest told -e release=RELEASE",
    ]
    assert "- `RELEASE`: What to deploy." in typed
    assert "you have made sure: **Support has been told**. How: see [Prerequisites](#before)." in typed
    assert "- `RELEASE` : Ce qu'il faut déployer." in section(page(project, language="fr"), "Que taper")


def test_how_it_is_seen_that_it_worked_and_how_it_is_undone(project: Path) -> None:
    text = page(project)
    assert section(text, "How to see that it worked").strip() == (
        "The new release answers. More under [Verification](#checks)."
    )
    assert section(text, "How to undo it").strip() == (
        "A failed run puts back what was there. More under [Rollback](#way-back)."
    )


def test_what_nobody_has_written_is_said_and_listed(project: Path) -> None:
    text = page(project, SLOW)
    for heading in ("How to see that it worked", "How to undo it", "Who to call", "Prerequisites", "Troubleshooting"):
        assert section(text, heading).startswith("\nNobody has written this yet."), heading
    missing = section(text, "What is missing on this page")
    assert re.findall(r"^- (.+)$", missing, re.MULTILINE) == [
        "How to see that it worked", "How to undo it", "Who to call", "Estimated time", "Prerequisites",
        "Troubleshooting",
    ]  # fmt: skip
    bare = page(write(project, **{
        "playbooks/incidents/slow_answers.meta.yml": """
            argument_specs:
              Slow answers:
                short_description: x
                runbook: {schema: 1, title: Slow, owner: "@x", updated: 2026-11-20}
        """,
    }), SLOW)  # fmt: skip
    for asked in ("Impact", "Severity", "When it may be ignored"):
        assert f"**{asked}**: Nobody has written this yet." in bare
        assert f"- {asked}\n" in section(bare, "What is missing on this page")


# --- information and prerequisites ----------------------------------------------------------------------------------


def test_the_information(project: Path) -> None:
    assert rows(section(page(project), "Information")) == {
        "**Runbook**": ["`maintenance/update`"],
        "**Last reviewed**": ["2026-11-20"],
        "**Owner**": ["@shop-oncall"],
        "**Estimated time**": ["30 min; 10 min in reserve for a rollback; ended and put back after 45 min"],
        "**Frequency**": ["Each release"],
        "**Window**": ["Sunday, 02:00 to 04:00 (UTC); nothing starts in its last 40 min; closed: 2026-12-24"],
        "**Risk**": ["medium"],
        "**Hosts**": ["`services`"],
        "**Service**": ["shop"],
        "**Platform**": ["kubernetes"],
        "**Strategy**": ["`controlled_stop`"],
    }


@pytest.mark.parametrize(
    ("spec", "english", "french"),
    [
        ("always", "open at all times", "ouverte en permanence"),
        ("daily 22:00-24:00 UTC", "every day, 22:00 to 24:00 (UTC)", "tous les jours, de 22:00 à 24:00 (UTC)"),
        ("Mon-Fri 08:00-18:00 Europe/Paris", "Monday to Friday, 08:00 to 18:00 (Europe/Paris)",
         "du lundi au vendredi, de 08:00 à 18:00 (Europe/Paris)"),
        ("first Sun 02:00-04:00 UTC", "first Sunday of the month, 02:00 to 04:00 (UTC)",
         "premier dimanche du mois, de 02:00 à 04:00 (UTC)"),
        ("Sat,Sun 01:00-02:00 UTC", "Saturday, Sunday, 01:00 to 02:00 (UTC)",
         "samedi, dimanche, de 01:00 à 02:00 (UTC)"),
        ("RRULE:FREQ=MONTHLY;BYMONTHDAY=1 02:00 2h UTC", "RRULE:FREQ=MONTHLY;BYMONTHDAY=1 02:00 2h UTC",
         "RRULE:FREQ=MONTHLY;BYMONTHDAY=1 02:00 2h UTC"),
    ],
)  # fmt: skip
def test_a_window_in_words(project: Path, spec: str, english: str, french: str) -> None:
    edit(project / "inventories/production/group_vars/services.yml", "Sun 02:00-04:00 UTC", spec)
    assert rows(section(page(project), "Information"))["**Window**"][0].startswith(f"{english};")
    assert rows(section(page(project, language="fr"), "Informations"))["**Fenêtre**"][0].startswith(f"{french} ;")


def test_the_runbooks_own_window_where_the_inventory_names_none(project: Path) -> None:
    window = rows(section(page(project, inventory="metal"), "Information"))["**Window**"]
    assert window == ["Saturday, 03:00 to 05:00 (UTC); nothing starts in its last 15 min; closed: 2026-12-24"]
    edit(project / "playbooks/maintenance/update.meta.yml", "spec: Sat 03:00-05:00 UTC, ", "")
    assert "closed until the inventory names one" in page(project, inventory="metal")


def test_prerequisites_say_who_checks(project: Path) -> None:
    assert section(page(project), "Prerequisites").strip().splitlines() == [
        "- [ ] **Nobody else deploys** (`quiet`). Checked by the run. The lock is free.",
        "- [ ] **Support has been told** (`told`). Attested by the operator: `--attest told`.",
    ]


# --- the steps ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inventory", "titles"),
    [
        ("production", ["1. Check that it may start", "2. Drain the active color first", "3. Deploy the release",
                        "4. Verify the service", "5. Free the lock"]),
        ("metal", ["1. Check that it may start", "2. Deploy the release", "3. Verify the service",
                   "4. Drain the old color", "5. Free the lock"]),
    ],
)  # fmt: skip
def test_the_steps_stand_in_the_order_of_the_inventorys_strategy(
    project: Path, inventory: str, titles: list[str]
) -> None:
    text = page(project, inventory=inventory)
    assert [title for title in headings(text, 3) if re.match(r"\d+\. ", title)] == titles
    assert "The whole run: Put back what was there" in headings(text, 3)
    assert "only when a step has failed" in section(text, "Rollback")
    assert "in any case" in step(text, "Free the lock")


def test_a_step_has_what_an_operator_needs(project: Path) -> None:
    playbook = "ansible-playbook playbooks/maintenance/update.yml -i inventories/production"
    assert step(page(project), "Deploy the release").strip().split("\n\n") == [
        (
            "Step `deploy`, role `deploy`; about 5 min; only when `release != ''`; "
            "from here on, going back needs the rollback plan."
        ),
        "Start the release.",
        "A dry run cannot tell all of it. Readiness shows only live.",
        "**Expected result**: It runs.",
        "<details>\n<summary>Just this step, with its guards</summary>",
        (
            "```bash\n"
            "pyrunbook run maintenance/update -i production --step deploy --attest told -e release=RELEASE\n"
            f"""{playbook} -e '{{"preflight_attested": ["told"]}}' -e release=RELEASE --tags deploy\n```"""
        ),
        "</details>",
        "<details>\n<summary>By hand</summary>",
        "Apply the manifests.",
        '```bash\nkubectl --context prod-eu -n shop apply -f "deploy/$PREVIEW"\n```',
        "</details>",
    ]


def test_commands_have_the_values_of_the_inventory_and_its_platform(project: Path) -> None:
    kubernetes, host = page(project), page(project, inventory="metal")
    assert 'kubectl --context prod-eu -n shop scale "deployment/$ACTIVE_DEPLOYMENT" --replicas=0' in kubernetes
    assert "Wait, 300 s at most." in kubernetes
    assert "sudo" not in kubernetes and "kubectl" not in host
    assert 'sudo -n systemctl disable --now "$ACTIVE_UNIT"' in host
    assert 'ACTIVE=$(cat "/srv/shop/active")' in host
    assert "https://shop.example.com/health | sort" not in host
    assert "(2) Tell support that it is down." in kubernetes
    assert "Nothing to type." in step(host, "Verify the service")


def test_what_is_done_with_one_strategy_is_not_told_with_the_other(project: Path) -> None:
    edit(project / "inventories/production/group_vars/services.yml", "controlled_stop", "zero_downtime")
    text = page(project)
    assert "Wait, 300 s at most." in text and "(1)" not in text
    assert "Tell support" not in text


def test_each_service_of_an_inventory_can_be_asked_for(project: Path) -> None:
    other = page(project, inventory="metal", service="shop-b")
    assert 'cat "/srv/b/active"' in other
    assert rows(section(other, "Information"))["**Service**"] == ["shop-a, shop-b (values of shop-b)"]


def test_what_no_inventory_says_is_a_blank_and_listed(project: Path) -> None:
    text = page(project, inventory="metal")
    assert "enable --now shop-SHOP_FLAVOR" in text
    assert "[Dashboard](DASHBOARD_URL/shop)" in text
    assert re.findall(r"^- (.+)$", section(text, "What is missing on this page"), re.MULTILINE) == [
        "`dashboard_url`", "`shop_flavor`",
    ]  # fmt: skip
    assert "What is missing" not in page(project)


def test_without_an_inventory_all_values_are_blanks_and_both_platforms_are_shown(project: Path) -> None:
    text = page(project, inventory="")
    assert "kubectl -n SERVICE_NAMESPACE apply" in text
    assert 'cat "SERVICE_ROOT/active"' in text
    deploy = step(text, "Deploy the release")
    titles = re.findall(r"<summary>(.*)</summary>", deploy)
    assert titles[1:] == ["By hand, platform host", "By hand, platform kubernetes"]
    assert "pyrunbook run maintenance/update -i INVENTORY --check" in text
    listed = re.findall(r"^- `(.+)`$", section(text, "What is missing on this page"), re.MULTILINE)
    assert {"service_namespace", "service_root", "service_url", "shop_flavor"} <= set(listed)
    assert "Platform" not in section(text, "Information")


def test_a_role_without_notes_is_listed(project: Path) -> None:
    (project / "roles/deploy/meta/step.yml").unlink()
    text = page(project)
    assert "- `roles/deploy/meta/step.yml`" in section(text, "What is missing on this page")
    assert "--tags deploy" in step(text, "Deploy the release")


def test_undo_stands_in_the_reverse_order(project: Path) -> None:
    undo = [title for title in headings(page(project), 3) if title.startswith("After step")]
    assert undo == ["After step 3: Deploy the release", "After step 2: Drain the active color first"]
    rollback = section(page(project), "Rollback")
    assert "- After step 5: Free the lock: Nothing to undo.\n- After step 1:" in rollback
    assert "After step 4" not in rollback  # it only verifies
    assert 'delete -f "deploy/$PREVIEW"' in rollback


def test_an_undo_that_another_one_needs_comes_first(project: Path) -> None:
    edit(project / "roles/drain/meta/step.yml", "schema: 1", "schema: 1\nundo_before: [deploy]")
    undo = [title for title in headings(page(project), 3) if title.startswith("After step")]
    assert undo == ["After step 2: Drain the active color first", "After step 3: Deploy the release"]
    assert "from the top, the blocks of those steps that were done" in section(page(project), "Rollback")


def test_a_step_that_means_something_else_alone_says_so_in_place_of_the_command(project: Path) -> None:
    notes = "schema: 1\nnot_alone: {en: It would stop the service., fr: Elle arrêterait le service.}"
    edit(project / "roles/drain/meta/step.yml", "schema: 1", notes)
    drain = step(page(project), "Drain the active color first")
    assert "--step" not in drain and "--tags" not in drain
    assert "Not by itself. It would stop the service. Run the whole procedure, or type what is below" in drain
    assert "Pas isolément. Elle arrêterait le service." in page(project, language="fr")


def test_what_comes_after_the_switch_cannot_be_run_by_itself(project: Path) -> None:
    edit(project / "roles/deploy/meta/step.yml", "schema: 1", "schema: 1\nswitches: true")
    for inventory, after in (
        ("production", ["Verify the service"]),
        ("metal", ["Verify the service", "Drain the old"]),
    ):
        text = page(project, inventory=inventory)
        for title in ("Check that it may start", "Deploy the release", "Free the lock"):
            assert "--tags" in step(text, title), title
        assert re.findall(r"^### \d+\. (.*)\n(?:(?!^#).*\n)*?Not by itself", text, re.MULTILINE) == [
            title for title in headings_of_steps(text) if title.startswith(tuple(after))
        ]  # fmt: skip


def headings_of_steps(text: str) -> list[str]:
    return [title.partition(". ")[2] for title in headings(text, 3) if re.match(r"\d+\. ", title)]


def test_the_words_of_colors_are_explained_where_commands_use_them(project: Path) -> None:
    procedure = section(page(project), "Procedure")
    assert procedure.count("The **active** color is the one that serves") == 1
    assert procedure.index("The **active** color") < procedure.index("### Flow")
    assert "The **active** color" not in page(project, SLOW)


def test_verification_repeats_what_must_hold(project: Path) -> None:
    text = section(page(project), "Verification")
    assert "- [ ] 4. [Verify the service](#procedure-verify): Each answer is 200." in text
    assert "must hold: status 200; 20 requests over new connections, 0 may fail; p95 at most 500 ms" in text
    assert "for i in $(seq 20); do curl -sS --max-time 5" in text
    assert "https://shop.example.com/health; done" in text


# --- trouble, people, inputs ----------------------------------------------------------------------------------------


def test_known_errors_are_there_once_and_only_those_of_the_platform(project: Path) -> None:
    kubernetes, host = page(project), page(project, inventory="metal")
    errors = [title for title in headings(kubernetes, 3) if title.startswith("Error")]
    assert errors == ["Error: release is missing", "Error: The lock is held", "Error: pods left"]
    assert [t for t in headings(host, 3) if t.startswith("Error")] == [
        "Error: release is missing",
        "Error: The lock is held",
        "Error: port still open",
    ]
    trouble = section(kubernetes, "Troubleshooting")
    assert "Give it in place of RELEASE: " in trouble
    assert "*Step [1](#prerequisite-guard), [5](#conclude-free)*" in trouble
    assert "pyrunbook unlock -i inventories/production" in trouble
    both = page(project, inventory="")
    assert "Error: pods left" in both and "Error: port still open" in both


def test_the_same_error_on_both_platforms_hides_neither(project: Path) -> None:
    notes = project / "roles/drain/meta/step.yml"
    edit(notes, "error: pods left", "error: still there")
    edit(notes, "error: port still open", "error: still there")
    edit(notes, "A finalizer., fr: Un finalizer.", "Something., fr: Quelque chose.")
    edit(notes, "A stray process., fr: Un processus perdu.", "Something., fr: Quelque chose.")
    assert "Look at it." in page(project)
    assert "End it." in page(project, inventory="metal")


def test_contacts_and_escalation_are_resolved(project: Path) -> None:
    english = section(page(project), "Who to call")
    assert "| It failed. (at once) | L2, Support, Second line | +33-222 |" in english
    assert "| It still fails. (after 20 min) | slack | #shop |" in english
    assert "| Nobody answers. (at once) | L9 | not in the inventory |" in english
    assert section(page(project), "Contacts").strip().splitlines()[-4:] == [
        "| L1 Operator | On call | runbooks | +33-111 |",
        "| slack |  |  | #shop |",
        "| L2 Support | Second line |  | +33-222 |",
        "| L9 |  |  | not in the inventory |",
    ]
    french = section(page(project, language="fr"), "Qui appeler")
    assert "| Elle a échoué. (immédiatement) | L2, Technique, Deuxième ligne | +33-222 |" in french
    assert "| L1 Opérateur | Astreinte | runbooks | +33-111 |" in section(page(project, language="fr"), "Contacts")


def test_inputs(project: Path) -> None:
    text = section(page(project, all_inputs=True), "Inputs")
    assert "docs show" not in text
    assert rows(text) == {
        "Input": ["Type", "Default", "Meaning"],
        "`release`": ["str", "required", "What to deploy."],
        "`pace`": ["str: one of `calm`, `brisk`", "`calm`", "How fast it goes."],
        "`windows_closed`": ["list of str", "`[]`", "Days without one."],
        "`signing_token`": ["str", "`[secret]`", "Signs the release."],
        "`drain_timeout`": ["float", "`120`; here: `300`", "Seconds until nothing is left."],
        "`drain_color`": ["str: one of `blue`, `green`", "`{{ service_active_color }}`", "Which one."],
        "`deploy_manifests`": ["path", "`deploy/{{ service_preview_color }}`", "Of the release."],
    }
    french = rows(section(page(project, language="fr"), "Paramètres"))
    assert "`drain_color`" not in french
    assert french["`pace`"] == ["str : parmi `calm`, `brisk`", "`calm`", "À quelle vitesse."]
    assert french["`drain_timeout`"] == ["float", "`120` ; ici : `300`", "Secondes avant qu'il ne reste rien."]
    metal = page(project, inventory="metal", all_inputs=True)
    assert rows(section(metal, "Inputs"))["`drain_timeout`"][1] == "`120`"
    edit(project / "inventories/production/group_vars/services.yml", "drain_timeout: 300", "drain_timeout: 120")
    assert rows(section(page(project), "Inputs"))["`drain_timeout`"][1] == "`120`"


def test_an_input_that_nobody_sets_is_left_out_unless_it_is_asked_for(project: Path) -> None:
    """Those of the runbook are all there; of its roles what has to be set, and what the inventory sets."""
    own = ["`release`", "`pace`", "`windows_closed`", "`signing_token`"]
    text = section(page(project), "Inputs")
    assert [*rows(text)][1:] == [*own, "`drain_timeout`"]
    assert "2 further inputs of the steps keep their defaults: `pyrunbook docs show maintenance/update --all" in text
    assert text.index("<details>\n<summary>Inputs</summary>\n\n| Input |") < text.index("\n\n</details>\n")
    assert [*rows(section(page(project, inventory="metal"), "Inputs"))][1:] == own
    spec = project / "roles/deploy/meta/argument_specs.yml"
    edit(spec, "type: path", "type: path, required: true")
    (project / "roles/deploy/defaults/main.yml").unlink()
    assert rows(section(page(project, inventory="metal"), "Inputs"))["`deploy_manifests`"][1] == "required"
    given = "import_role: {name: deploy}\n          vars: {deploy_manifests: v2}"
    edit(project / "playbooks/maintenance/update.yml", "import_role: {name: deploy}", given)
    assert "`deploy_manifests`" not in rows(section(page(project, inventory="metal"), "Inputs"))


# --- the diagram ----------------------------------------------------------------------------------------------------

NODE = re.compile(r'  (\w+)(?:\(\["(.*)"\]\)|\["(.*)"\]|\[/"(.*)"/\])')
EDGE = re.compile(r'  (\w+) (?:-->|-\.->|-\. "(?:[^"]*)" \.->) (\w+)')


def flow(text: str) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Nodes with their labels, and edges; fails for a line that is neither."""
    found = re.search(r"^```mermaid\nflowchart TD\n(.*?)\n```$", text, re.DOTALL | re.MULTILINE)
    assert found
    nodes: dict[str, str] = {}
    edges = []
    for line in found[1].split("\n"):
        if node := NODE.fullmatch(line):
            nodes[node[1]] = next(label for label in node.groups()[1:] if label is not None)
        else:
            edge = EDGE.fullmatch(line)
            assert edge, f"neither node nor edge: {line}"
            edges.append((edge[1], edge[2]))
    return nodes, edges


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("inventory", ["production", "metal"])
def test_the_diagram_shows_every_step_once_and_joins_them(project: Path, inventory: str, language: str) -> None:
    nodes, edges = flow(page(project, language=language, inventory=inventory))
    assert len(nodes) == 6 + 3  # start and two ends
    assert {end for edge in edges for end in edge} == set(nodes)
    names = {label: node for node, label in nodes.items()}
    if language == "en":
        deploy, back = names["Deploy the release"], names["Put back what was there"]
        assert (deploy, back) in edges
        assert (names["Check that it may start"], back) not in edges  # it refuses, nothing has changed
        assert (names["Free the lock"], names["Succeeded"]) in edges
        assert (back, names["Failed and put back"]) in edges


def test_labels_of_the_diagram_hold_any_title(project: Path) -> None:
    edit(project / "playbooks/maintenance/update.yml", "Verify the service", "'\"A\" [b] <i>`c`</i> #1 ```'")
    nodes, _ = flow(page(project))
    (label,) = [label for label in nodes.values() if "[b]" in label]
    assert not set('"<>`&') & set(label)


# --- what the playbook sets for a step ------------------------------------------------------------------------------


def test_what_the_playbook_sets_for_a_step_fills_its_texts_and_commands(project: Path) -> None:
    edit(
        project / "playbooks/maintenance/update.yml",
        "import_role: {name: deploy}",
        "import_role: {name: deploy}\n          vars: {deploy_manifests: '{{ shop_release_directory }}/v2'}",
    )
    edit(project / "roles/deploy/meta/step.yml", "{en: Start the release., fr: Démarrer la version.}",
         "'Start it from {{ deploy_manifests }}.'")  # fmt: skip
    text = page(project)
    assert "Start it from SHOP_RELEASE_DIRECTORY/v2." in text
    assert 'apply -f "SHOP_RELEASE_DIRECTORY/v2"' in step(text, "Deploy the release")
    assert 'delete -f "SHOP_RELEASE_DIRECTORY/v2"' in section(text, "Rollback")
    assert "- `shop_release_directory`" in section(text, "What is missing on this page")


@pytest.mark.parametrize(
    ("condition", "inventory", "there"),
    [
        ("shop_mirrored | default(false)", "production", False),
        ("shop_mirrored | default(false)", "", True),
        ("service_platform == 'host'", "production", False),
        ("service_platform == 'kubernetes'", "production", True),
        ("pace == 'brisk'", "production", True),
        ("pace | default('calm') == 'brisk'", "production", True),
        ("service_active_color == 'blue'", "production", True),
        ("not ansible_check_mode", "production", True),
        ("[not recovers, service_platform == 'host']", "production", False),
    ],
)
def test_a_step_that_no_run_of_this_service_does_is_left_out_and_named(
    project: Path, condition: str, inventory: str, there: bool
) -> None:
    """What an operator may set, and what is known only in the run, leaves no step out."""
    edit(project / "playbooks/maintenance/update.yml", "when: release != ''", f"when: {condition}")
    text = page(project, inventory=inventory)
    assert ("Deploy the release" in headings_of_steps(text)) is there
    assert ("Deploy the release" in flow(text)[0].values()) is there
    named = re.findall(r"^- Not done with the values of shop: Deploy the release \(only when `(.*)`\)\.$", text, re.M)
    assert named == ([] if there else [condition.rpartition(", ")[2].rstrip("]")])
    assert 'delete -f "deploy/' in text or not there


# --- what ships ------------------------------------------------------------------------------------------------------


def shipped(inventory: str, language: str = "en", name: str = "maintenance/production_update") -> str:
    root = Path(__file__).parents[2]
    return page(root, name, language, inventory)


@pytest.mark.parametrize(
    ("inventory", "order"), [("production", ["9", "4", "7", "5", "1"]), ("staging", ["9", "8", "6", "4", "1"])]
)
def test_the_shipped_ways_back_bring_up_the_color_before_the_traffic(inventory: str, order: list[str]) -> None:
    assert re.findall(r"^### After step (\d+): ", shipped(inventory), re.MULTILINE) == order


@pytest.mark.parametrize(
    ("inventory", "alone"),
    [
        ("production", ["preflight", "backup", "rollback_plan", "deploy_green", "validate"]),
        ("staging", ["preflight", "backup", "rollback_plan", "deploy_green", "validate"]),
    ],
)
def test_the_shipped_page_offers_only_steps_that_mean_the_same_by_themselves(inventory: str, alone: list[str]) -> None:
    assert re.findall(r"--step (\w+)", shipped(inventory)) == alone


def test_what_the_notes_name_is_there() -> None:
    """A misspelled role in `undo_before` would change nothing."""
    root = Path(__file__).parents[2]
    for file in sorted((root / "roles").glob("*/meta/step.yml")):
        for role in read_step_notes(file).undo_before:
            assert (root / "roles" / role).is_dir(), f"{file}: {role}"


def test_after_a_rollback_the_checks_ask_for_the_release_that_the_plan_recorded() -> None:
    text = section(shipped("production", name="deployment/rollback"), "Verification")
    assert "- [ ] **version**, must hold: status 200; `version` is `$ACTIVE_RELEASE`" in text
    update = section(shipped("production"), "Verification")
    assert "- [ ] **version**, must hold: status 200; `version` is `$RELEASE`" in update


def test_where_no_step_verifies_what_each_results_in_is_what_there_is_to_see() -> None:
    text = shipped("production", name="maintenance/unlock")
    assert section(text, "Verification").strip().splitlines() == [
        "- [ ] 1. [Show or break the lock](#procedure-unlock): The holder is shown, or the lock is free."
    ]


def test_a_way_back_is_promised_only_where_there_is_one() -> None:
    unlock, update = shipped("production", name="maintenance/unlock"), shipped("production")
    assert "All of it, with guards and journal:" in unlock and "ended after 5 min" in unlock
    assert "put back" not in section(unlock, "Information")
    assert "automatic way back" in update and "ended and put back after 45 min" in update


def test_where_there_is_a_window_the_page_says_how_to_work_outside_it() -> None:
    assert '--check --no-window --reason "dry run"\n' in section(shipped("production"), "What to type")
    procedure = section(shipped("production"), "Procedure")
    assert (
        'pyrunbook run maintenance/production_update --no-window --reason "REASON" -i production --attest' in procedure
    )
    trouble = section(shipped("production"), "Troubleshooting").partition("### Error: The window is closed")[2]
    assert '--no-window --reason "REASON"' in trouble.partition("\n### ")[0]
    assert "--no-window" not in shipped("production", name="deployment/rollback")


def test_every_link_within_a_shipped_page_leads_somewhere() -> None:
    for inventory in ("production", "staging"):
        for name in ("maintenance/production_update", "deployment/rollback", "maintenance/unlock"):
            for language in LANGUAGES:
                text = shipped(inventory, language, name)
                anchors = re.findall(r'<a id="([^"]+)">', text)
                assert len(anchors) == len(set(anchors))
                assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= set(anchors), f"{name} {language}"
                assert "[R1]" not in text


def test_the_words_of_a_french_page_are_the_same_everywhere() -> None:
    """One word for one thing, also where another one is right."""
    for name in ("maintenance/production_update", "deployment/rollback", "maintenance/unlock"):
        text = re.sub(r"^```.*?^```|`[^`]*`", "", shipped("production", "fr", name), flags=re.DOTALL | re.MULTILINE)
        text = re.sub(r"\[[^\]]*\]\([^)]*\)|<a id=[^>]*>|#[\w-]+", "", text)
        for other in ("backup", "plan de rollback", "on-call", "échec(s)", "Dernière mise à jour |"):
            lines = [line for line in text.splitlines() if other in line and "@" not in line and "Erreur" not in line]
            assert not lines, f"{name}: {other}: {lines}"


def of_production(
    runbook: str, service: dict[str, Any] | None = None, language: str = "en", *, all_inputs: bool = False
) -> str:
    """The page of a shipped runbook, with the values of production and some changed."""
    root = Path(__file__).parents[2]
    target = read_target(root, root / "inventories/production")
    assert target.service
    changed = replace(target, service=replace(target.service, variables=target.service.variables | (service or {})))
    return RunbookPage(load(root).get(runbook), changed, language, all_inputs=all_inputs).as_markdown()


@pytest.mark.parametrize("runbook", ["incidents/security_failure", "incidents/secure_mode_off"])
def test_a_run_that_takes_no_lock_has_a_page_without_one(runbook: str) -> None:
    text = of_production(runbook)
    for words in (
        "Take the lock",
        "lock is free",
        "Free the lock",
        "get lease",
        "No color of the service serves",
        "$ACTIVE",
    ):
        assert words not in text, words
    assert "The prerequisites hold." in text
    assert "`preflight_exclusive`" not in text
    assert "| `preflight_exclusive` | bool | `true`; here: `false` |" in of_production(runbook, all_inputs=True)
    update = of_production("maintenance/production_update")
    assert "Take the lock" in update and "The lock is free" in update and "and this run holds the lock." in update


def test_a_page_tells_what_its_own_run_checks_first() -> None:
    rotation, back = of_production("maintenance/certificate_rotation"), of_production("deployment/rollback")
    assert "window check maintenance/certificate_rotation" in rotation
    assert "Only before an update" not in rotation + back
    assert "The window is open and long enough, no earlier run is unfinished, the prerequisites hold, and" in rotation
    assert "**Expected result**: No earlier run is unfinished, and this run holds the lock." in back, (
        "it waits for no window"
    )
    assert "/health" not in section(rotation, "Verification"), "a rotation performs no checks of the service"
    assert "/health" in section(back, "Verification")


def test_secure_mode_is_switched_one_way() -> None:
    on, off = of_production("incidents/security_failure"), of_production("incidents/secure_mode_off")
    assert "or sign again" not in on and "or the reverse" not in on + off
    assert "**First action**: [Switch secure mode on](#procedure-secure-mode). Have the service stop signing, and" in on
    assert "Have the service sign again, and" in step(off, "Switch secure mode off")
    assert "Have the service stop signing, and" in section(off, "Rollback")


def test_the_impact_is_that_of_the_strategy_that_is_selected() -> None:
    assert "**Impact**: The service answers 503" in of_production("maintenance/production_update")
    other = of_production("maintenance/production_update", {"update_strategy": "zero_downtime"})
    assert "**Impact**: None: both colors run" in other and "controlled_stop" not in section(other, "How to undo it")


def test_keys_that_the_inventory_names_are_in_the_commands_and_others_are_not_told() -> None:
    """The words under which an inventory names them count as secret; commands have what is public of them."""
    without = of_production("maintenance/certificate_rotation")
    assert headings_of_steps(without)[1:] == ["Rotate the certificates that are due", "Verify what is served",
                                              "Conclude the run"]  # fmt: skip
    assert "agent-factory: Rotate the keys that sign templates (only when `service_signing_keys |" in without
    keys = [
        {"name": "templates", "kind": "transit", "issuer": "vault", "key": "shop-templates"},
        {"name": "old", "kind": "files", "directory": "/srv/signing"},
    ]
    text = of_production("maintenance/certificate_rotation", {"service_signing_keys": keys})
    assert '"transit/keys/shop-templates/rotate"' in step(text, "Rotate the keys that sign templates")
    assert '"transit/sign/shop-templates"' in step(text, "Test the signature")
    assert 'cd "/srv/signing"' in step(text, "Test the signature")
    assert "What is missing" not in text and "{%" not in text


def test_no_block_of_a_shipped_page_only_says_that_there_is_nothing_to_type() -> None:
    bare = {"service_signing_path": "", "certificate_issuers": {}, "service_certificates": []}
    bare |= {"service_rotation_test": {}}
    for runbook in load(Path(__file__).parents[2]):
        for values in ({}, bare):
            for block in re.findall(
                r"^```bash\n(.*?)^```", of_production(runbook.id, values), re.MULTILINE | re.DOTALL
            ):
                assert not re.fullmatch(r'echo "[^"$]*"\n', block), (runbook.id, block)
                assert block.strip(), runbook.id
