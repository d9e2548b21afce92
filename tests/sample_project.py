"""A small project of somebody's own: two runbooks, five roles, two inventories. For the tests of its pages."""

from __future__ import annotations

import textwrap
from pathlib import Path

from pyrunbook.docs.target import Target, choose
from pyrunbook.project.inventory import read_services

UPDATE, SLOW = "maintenance/update", "incidents/slow_answers"

FILES = {
    ".pyrunbook.yml": """
        docs: {inventory: inventories/production, languages: [en, fr]}
    """,
    "playbooks/maintenance/update.yml": """
        ---
        - name: Update
          hosts: services
          vars: {runbook_id: maintenance/update}
          pre_tasks:
            - name: Check that it may start
              ansible.builtin.import_role: {name: guard}
              tags: [always, guard]
          tasks:
            - name: Update, or put back
              block:
                - name: Drain {{ service_active_color }} first
                  ansible.builtin.import_role: {name: drain}
                  tags: [drain_first]
                  when: update_strategy | default('zero_downtime') == 'controlled_stop'
                - name: Deploy {{ service_release }}
                  ansible.builtin.import_role: {name: deploy}
                  tags: [deploy]
                  when: release != ''
                - name: Verify the service
                  ansible.builtin.import_role: {name: probe}
                  tags: [verify]
                - name: Drain the old color
                  ansible.builtin.import_role: {name: drain}
                  tags: [drain]
                  when: update_strategy | default('zero_downtime') != 'controlled_stop'
              rescue:
                - name: Put back what was there
                  ansible.builtin.import_role: {name: restore}
                  tags: [restore]
              always:
                - name: Free the lock
                  ansible.builtin.import_role: {name: guard}
                  tags: [free]
    """,
    "playbooks/maintenance/update.meta.yml": """
        argument_specs:
          Update:
            short_description: Update it
            options:
              release: {description: What to deploy., type: str, required: true}
              pace:
                description: How fast it goes.
                type: str
                default: calm
                choices: [calm, brisk]
              windows_closed: {description: Days without one., type: list, elements: str, default: []}
              signing_token: {description: Signs the release., type: str, default: changeme}
            runbook:
              schema: 1
              title: {en: Update, fr: Mise à jour}
              summary: {en: Bring a release into service., fr: Mettre une version en service.}
              owner: "@shop-oncall"
              updated: 2026-11-20
              estimate: 30m
              reserve: 10m
              timeout: 45m
              frequency: {en: Each release, fr: À chaque version}
              window: {spec: Sat 03:00-05:00 UTC, cutoff: 15m, exclusions: [2026-12-24]}
              risk: medium
              impact: {en: None., fr: Aucun.}
              when_to_ignore: {en: While no release is waiting., fr: Tant qu'aucune version n'attend.}
              verification: {en: The new release answers., fr: La nouvelle version répond.}
              prerequisites:
                - id: quiet
                  text: {en: Nobody else deploys, fr: Personne d'autre ne déploie}
                  check: automatic
                  how: {en: The lock is free., fr: Le verrou est libre.}
                - id: told
                  text: {en: Support has been told, fr: Le support est prévenu}
                  check: attested
              rollback: {en: A failed run puts back what was there., fr: Une exécution en échec rétablit l'existant.}
              escalation:
                - {to: L2, when: {en: It failed., fr: Elle a échoué.}}
                - {to: slack, after: 20m, when: {en: It still fails., fr: Elle échoue encore.}}
                - {to: L9, when: {en: Nobody answers., fr: Personne ne répond.}}
              troubleshooting:
                - error: The lock is held
                  cause: {en: Another run is alive., fr: Une autre exécution est en vie.}
                  solution: {en: Wait for it., fr: L'attendre.}
                  commands: ["pyrunbook unlock -i {{ inventory_dir }}"]
              contacts: [L1, slack]
              links:
                - {title: {en: Dashboard, fr: Tableau de bord}, url: "{{ dashboard_url }}/shop"}
              alerts: [ShopUpdateFailed]
              titles:
                fr:
                  guard: Vérifier que cela peut commencer
                  drain_first: Drainer d'abord la couleur active
                  deploy: Déployer la version
                  verify: Vérifier le service
                  drain: Drainer l'ancienne couleur
                  restore: Rétablir l'existant
                  free: Libérer le verrou
              inputs:
                fr:
                  release: Ce qu'il faut déployer.
                  pace: À quelle vitesse.
                  windows_closed: Jours sans fenêtre.
                  signing_token: Signe la version.
    """,
    "playbooks/incidents/slow_answers.yml": """
        ---
        - name: Slow answers
          hosts: services
          vars: {runbook_id: incidents/slow_answers}
          tasks:
            - name: Look at the service
              ansible.builtin.import_role: {name: probe}
              tags: [look]
    """,
    "playbooks/incidents/slow_answers.meta.yml": """
        argument_specs:
          Slow answers:
            short_description: Find out why answers are slow
            runbook:
              schema: 1
              title: {en: Slow answers, fr: Réponses lentes}
              owner: "@shop-oncall"
              updated: 2026-11-20
              severity: high
              symptoms:
                - {en: Answers take more than 2 s., fr: Les réponses prennent plus de 2 s.}
                - {en: Customers complain., fr: Les clients se plaignent.}
              impact: {en: Customers leave., fr: Les clients partent.}
              when_to_ignore: {en: While the shop is closed., fr: Quand la boutique est fermée.}
              alerts: [ShopSlow]
              titles: {fr: {look: Regarder le service}}
    """,
    "roles/guard/meta/step.yml": """
        schema: 1
        purpose: {en: Hold the lock., fr: Tenir le verrou.}
        expected: {en: The lock is ours., fr: Le verrou est à nous.}
        estimate: 10s
        by_hand:
          kubernetes:
            - text: {en: Read which color serves., fr: Lire quelle couleur sert.}
              commands: |
                ACTIVE=$({{ kubectl }} get service shop -o name)
          host:
            - text: {en: Read which color serves., fr: Lire quelle couleur sert.}
              commands: |
                ACTIVE=$(cat "{{ service_root }}/active")
        undo_text: {en: Nothing to undo., fr: Rien à annuler.}
        troubleshooting:
          - &held
            error: The lock is held
            cause: {en: Another run is alive., fr: Une autre exécution est en vie.}
            solution: {en: Wait for it., fr: L'attendre.}
    """,
    "roles/drain/defaults/main.yml": """
        drain_timeout: 120
        drain_color: "{{ service_active_color }}"
    """,
    "roles/drain/README.md": "# drain, in the words of its authors\n",
    "roles/drain/meta/argument_specs.yml": """
        argument_specs:
          main:
            short_description: Drain a color
            options:
              drain_timeout: {description: Seconds until nothing is left., type: float, default: 120}
              drain_color: {description: Which one., type: str, choices: [blue, green]}
    """,
    "roles/drain/meta/step.yml": """
        schema: 1
        purpose: {en: Let the color finish., fr: Laisser la couleur finir.}
        expected: {en: No pod is left., fr: Il ne reste aucun pod.}
        estimate: 2m
        by_hand:
          kubernetes:
            - text: {en: "Wait, {{ drain_timeout }} s at most.", fr: "Attendre, {{ drain_timeout }} s au plus."}
              commands: |
                {{ kubectl }} scale "deployment/{{ service_colors[service_active_color].deployment }}" --replicas=0
              expected: {en: '"scaled"', fr: « scaled »}
            - text: {en: Tell support that it is down., fr: Dire au support que c'est arrêté.}
              when: update_strategy == 'controlled_stop'
          host:
            - text: {en: Stop it., fr: L'arrêter.}
              commands: |
                {{ service_stop_command }} "{{ service_colors[service_active_color].unit }}"
        undo_text: {en: Start the color again., fr: Redémarrer la couleur.}
        undo:
          kubernetes:
            - text: {en: Scale it up., fr: La remonter.}
              commands: |
                {{ kubectl }} scale "deployment/{{ service_colors[service_active_color].deployment }}" --replicas=3
        troubleshooting:
          - error: pods left
            platform: kubernetes
            cause: {en: A finalizer., fr: Un finalizer.}
            solution: {en: Look at it., fr: Le regarder.}
          - error: port still open
            platform: host
            cause: {en: A stray process., fr: Un processus perdu.}
            solution: {en: End it., fr: L'arrêter.}
        inputs:
          fr: {drain_timeout: Secondes avant qu'il ne reste rien., drain_color: Laquelle.}
    """,
    "roles/deploy/defaults/main.yml": "deploy_manifests: deploy/{{ service_preview_color }}\n",
    "roles/deploy/README.md": "# deploy, in the words of its authors\n",
    "roles/deploy/meta/argument_specs.yml": """
        argument_specs:
          main:
            short_description: Deploy
            options:
              deploy_manifests: {description: Of the release., type: path}
    """,
    "roles/deploy/meta/step.yml": """
        schema: 1
        purpose: {en: Start the release., fr: Démarrer la version.}
        expected: {en: It runs., fr: Elle tourne.}
        estimate: 5m
        by_hand:
          kubernetes:
            - text: {en: Apply the manifests., fr: Appliquer les manifestes.}
              commands: |
                {{ kubectl }} apply -f "{{ deploy_manifests }}"
          host:
            - text: {en: Start it., fr: La démarrer.}
              commands: |
                {{ service_start_command }} shop-{{ shop_flavor }}
        undo_text: {en: Remove the preview., fr: Supprimer la préversion.}
        undo:
          kubernetes:
            - text: {en: Delete it., fr: La supprimer.}
              commands: |
                {{ kubectl }} delete -f "{{ deploy_manifests }}"
        check_mode: partial
        check_mode_why: {en: Readiness shows only live., fr: La disponibilité ne se voit qu'en vrai.}
        point_of_no_return: true
        inputs:
          fr: {deploy_manifests: De la version.}
    """,
    "roles/probe/defaults/main.yml": 'probe_checks: "{{ service_checks }}"\n',
    "roles/probe/meta/step.yml": """
        schema: 1
        purpose: {en: Ask the service., fr: Interroger le service.}
        expected: {en: Each answer is 200., fr: Chaque réponse est 200.}
        undo_text: {en: Nothing to undo., fr: Rien à annuler.}
        verifies: true
        by_hand:
          kubernetes:
            - text: {en: Ask it., fr: L'interroger.}
              commands: |
                curl -fsS "{{ service_url }}/health"
    """,
    "roles/restore/meta/step.yml": """
        schema: 1
        purpose: {en: Back to what was there., fr: Retour à l'existant.}
        expected: {en: The old color serves., fr: L'ancienne couleur sert.}
        undo_text: {en: Update again., fr: Refaire la mise à jour.}
        by_hand:
          kubernetes:
            - text: {en: Go back., fr: Revenir.}
              commands: |
                {{ kubectl }} rollout undo deployment
    """,
    "inventories/production/services.yml": """
        services:
          hosts:
            shop:
    """,
    "inventories/production/group_vars/services.yml": """
        service_platform: kubernetes
        service_context: prod-eu
        service_namespace: shop
        service_url: https://shop.example.com
        service_colors:
          blue: {url: "http://blue.shop", deployment: shop-blue}
          green: {url: "http://green.shop", deployment: shop-green}
        update_strategy: controlled_stop
        update_window: Sun 02:00-04:00 UTC
        update_window_cutoff: 40m
        drain_timeout: 300
        dashboard_url: https://grafana.example.com
        service_checks:
          - {name: health, path: /health, requests: 20, latency: {p95: 500}}
        runbook_contacts:
          - level: L1
            role: {en: Operator, fr: Opérateur}
            handles: {en: runbooks, fr: runbooks}
            name: {en: On call, fr: Astreinte}
            reach: "+33-111"
          - level: L2
            role: {en: Support, fr: Technique}
            name: {en: Second line, fr: Deuxième ligne}
            reach: "+33-222"
        runbook_channels: {slack: "#shop"}
    """,
    "inventories/metal/services.yml": """
        services:
          hosts:
            shop-a:
            shop-b: {service_root: /srv/b}
          vars:
            service_platform: host
            service_root: /srv/shop
            service_url: http://127.0.0.1:8000
            service_colors:
              blue: {url: "http://127.0.0.1:8101", address: "127.0.0.1:8101", unit: shop-blue}
              green: {url: "http://127.0.0.1:8102", address: "127.0.0.1:8102", unit: shop-green}
            service_systemctl_command: [sudo, -n, systemctl]
    """,
}  # fmt: skip


def write(root: Path, **changed: str | None) -> Path:
    """Write the project into a directory.

    Args:
        root: of the project; created.
        changed: path of a file, `/` and all, to another text; `None` leaves the file out.

    Returns:
        the root.
    """
    for name, text in (FILES | changed).items():
        if text is not None:
            file = root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
    return root


def edit(file: Path, before: str, after: str) -> None:
    """Change a text that is in a file, as an author would."""
    text = file.read_text(encoding="utf-8")
    if before not in text:
        raise AssertionError(f"{file} does not say {before!r}")
    file.write_text(text.replace(before, after), encoding="utf-8")


def read_target(project: Path, inventory: Path | None, service: str = "") -> Target:
    """The target of pages with the values of an inventory; without values where there is none."""
    return choose(project, inventory, read_services(inventory), service) if inventory else Target(project)
