"""The words of a page that are not the runbook's own, in each language."""

from __future__ import annotations

_LABELS: dict[str, tuple[str, str]] = {
    # key: (English, French)
    "made": ("Made by `pyrunbook docs build` from {0}. Change that, not this page.",
             "Produit par `pyrunbook docs build` à partir de {0}. Modifier cette source, pas cette page."),
    "colon": (": ", " : "),
    "separator": ("; ", " ; "),
    "other_language": ("En français", "In English"),
    "right_page": ("Is this the right page?", "Est-ce la bonne page ?"),
    "symptoms": ("Symptoms", "Symptômes"),
    "impact": ("Impact", "Impact"),
    "when_to_ignore": ("When it may be ignored", "Quand on peut l'ignorer"),
    "what_to_type": ("What to type", "Que taper"),
    "worked": ("How to see that it worked", "Comment voir que c'est réussi"),
    "undo": ("How to undo it", "Comment revenir en arrière"),
    "call": ("Who to call", "Qui appeler"),
    "see": ("More under {0}.", "Détails sous {0}."),
    "no_more": ("All of it stands at the top of this page.", "Tout est dit au début de cette page."),
    "first_action": ("First action", "Première action"),
    "information": ("Information", "Informations"),
    "runbook": ("Runbook", "Runbook"),
    "updated": ("Last reviewed", "Dernière relecture"),
    "owner": ("Owner", "Responsable"),
    "severity": ("Severity", "Sévérité"),
    "estimate": ("Estimated time", "Temps estimé"),
    "reserve": ("{0} in reserve for a rollback", "{0} de réserve pour un retour arrière"),
    "timeout": ("ended and put back after {0}", "interrompu et existant rétabli après {0}"),
    "timeout_only": ("ended after {0}", "interrompu après {0}"),
    "frequency": ("Frequency", "Fréquence"),
    "window": ("Window", "Fenêtre"),
    "window_closed": ("closed until the inventory names one (`{0}`)",
                      "fermée tant que l'inventaire n'en donne pas (`{0}`)"),
    "cutoff": ("nothing starts in its last {0}", "aucun démarrage dans les dernières {0}"),
    "excluded": ("closed: {0}", "fermée : {0}"),
    "risk": ("Risk", "Risque"),
    "high": ("high", "élevé"),
    "medium": ("medium", "moyen"),
    "low": ("low", "faible"),
    "critical": ("critical", "critique"),
    "service": ("Service", "Service"),
    "services": ("{0} (values of {1})", "{0} (valeurs de {1})"),
    "platform": ("Platform", "Plateforme"),
    "strategy": ("Strategy", "Stratégie"),
    "alerts": ("Alerts", "Alertes"),
    "last_tested": ("Last tested", "Dernier test"),
    "never_tested": ("never, as far as this journal knows", "jamais, d'après ce journal"),
    "measured": ("Measured", "Mesuré"),
    "measured_runs": ("median {0}, longest {1}, of {2} runs", "médiane {0}, maximum {1}, sur {2} exécutions"),
    "prerequisites": ("Prerequisites", "Prérequis"),
    "checked": ("Checked by the run.", "Contrôlé par l'exécution."),
    "attested": ("Attested by the operator: `--attest {0}`.", "Attesté par l'opérateur : `--attest {0}`."),
    "you_attest": ("`--attest` says that you have made sure: {0}. How: see [Prerequisites](#before).",
                   "`--attest` déclare que vous l'avez vérifié : {0}. Comment : voir [Prérequis](#before)."),
    "none": ("None.", "Aucun."),
    "procedure": ("Procedure", "Procédure"),
    "all_of_it": ("All of it, with guards, journal and automatic way back:",
                  "En entier, avec gardes, journal et retour arrière automatique :"),
    "all_without_rollback": ("All of it, with guards and journal:", "En entier, avec gardes et journal :"),
    "not_automated": (
        "**Nothing of this is automated yet.** A run refuses and changes nothing. Do each step by hand, as below.",
        "**Rien n'est encore automatisé.** Une exécution refuse, sans rien modifier. Faire chaque étape à la main.",
    ),
    "dry_run": ("A dry run first, which changes nothing:", "D'abord à blanc, sans rien modifier :"),
    "dry_run_window": (
        "A dry run first, which changes nothing, at any time when a reason is given:",
        "D'abord à blanc, sans rien modifier, à tout moment si une raison est donnée :",
    ),
    "other_ways": ("Other ways to run it", "Autres façons de l'exécuter"),
    "emergency": (
        "In an emergency, outside the window; the reason is recorded:",
        "En urgence, hors de la fenêtre ; la raison est enregistrée :",
    ),
    "directly": ("The same with Ansible alone, from the project's directory:",
                 "La même chose avec Ansible seul, depuis le répertoire du projet :"),
    "flow": ("Flow", "Déroulement"),
    "step": ("Step", "Étape"),
    "step_facts": ("Step `{0}`, role `{1}`", "Étape `{0}`, rôle `{1}`"),
    "about": ("about {0}", "environ {0}"),
    "rescue": ("only when a step has failed", "seulement si une étape a échoué"),
    "conclude": ("in any case", "dans tous les cas"),
    "not_of_single": ("not by a run of another step alone, because it lacks the tag `always`",
                      "pas par une exécution d'une autre étape seule, faute du tag `always`"),
    "no_rescue": (
        "When a step fails, the run itself puts nothing back: its playbook has no `rescue`.",
        "Quand une étape échoue, l'exécution elle-même ne rétablit rien : son playbook n'a pas de `rescue`.",
    ),
    "no_return": ("from here on, going back needs the rollback plan",
                  "à partir d'ici, le retour passe par le plan de retour arrière"),
    "partial": ("A dry run cannot tell all of it. {0}", "À blanc, tout ne peut être annoncé. {0}"),
    "left_out": ("Not done with the values of {1}: {0} (only when {2}).",
                 "Pas fait avec les valeurs de {1} : {0} (seulement si {2})."),
    "just_this": ("Just this step, with its guards", "Cette étape seule, avec ses gardes"),
    "not_alone": (
        "Not by itself. {0} Run the whole procedure, or type what is below by hand, in its order.",
        "Pas isolément. {0} Lancer toute la procédure, ou taper à la main ce qui suit, dans l'ordre.",
    ),
    "after_switch": (
        (
            "A run of its own would begin by reading which color serves, and after the switch that is the other one. "
            "A run that died there is finished by `pyrunbook recover`."
        ),
        (
            "Une exécution isolée commencerait par lire quelle couleur sert ; après la bascule, c'est l'autre. "
            "Une exécution morte à ce point se termine par `pyrunbook recover`."
        ),
    ),
    "colors": (
        (
            "The service has two colors, blue and green. The **active** color is the one that serves, the **preview**"
            " color is the other one, where a new release goes first. After each update they have swapped, so which "
            "is which is read from the live system. In commands it is `$ACTIVE` and `$PREVIEW`, as they were when the "
            "work began: the first block by hand of step 1 sets them, and changes nothing."
        ),
        (
            "Le service a deux couleurs, blue et green. La couleur **active** est celle qui sert ; la couleur de "
            "**préversion** est l'autre, où une nouvelle version va d'abord. Elles s'échangent à chaque mise à jour :"
            " c'est le système en marche qui dit laquelle est laquelle. Dans les commandes, ce sont `$ACTIVE` et "
            "`$PREVIEW`, telles qu'au début du travail : le premier bloc manuel de l'étape 1 les définit, sans rien "
            "modifier."
        ),
    ),
    "by_hand": ("By hand", "À la main"),
    "on_platform": ("By hand, platform {0}", "À la main, plateforme {0}"),
    "compared": ("By hand, compared with {0}.", "À la main, comparé à {0}."),
    "expected": ("Expected result", "Résultat attendu"),
    "nothing_by_hand": ("Nothing to type.", "Aucune commande."),
    "verification": ("Verification", "Vérification"),
    "after": ("After the last change, over new connections:",
              "Après la dernière modification, sur de nouvelles connexions :"),
    "must_hold": ("must hold: {0}", "attendu : {0}"),
    "rollback": ("Rollback", "Retour arrière"),
    "whole": ("The whole run", "Toute l'exécution"),
    "step_by_step": (
        (
            "Step by step, by hand, in the shell in which the steps were typed: from the top, the blocks of those "
            "steps that were done; leave out the others. In any other shell, and after a run of pyrunbook, only the "
            "rollback of the whole run knows what was there."
        ),
        (
            "Étape par étape, à la main, dans le shell où les étapes ont été tapées : de haut en bas, les blocs des "
            "étapes qui ont été faites ; sauter les autres. Dans un autre shell, et après une exécution de pyrunbook,"
            " seul le retour arrière de toute l'exécution sait ce qui était là."
        ),
    ),
    "undo_step": ("After step {0}: {1}", "Après l'étape {0} : {1}"),
    "troubleshooting": ("Troubleshooting", "Dépannage"),
    "error": ("Error: {0}", "Erreur : {0}"),
    "cause": ("Cause", "Cause"),
    "solution": ("Solution", "Solution"),
    "commands": ("Commands", "Commandes"),
    "in_step": ("Step", "Étape"),
    "contacts": ("Contacts", "Contacts"),
    "when": ("When", "Quand"),
    "to": ("To", "Vers"),
    "reach": ("Reach", "Joindre"),
    "level": ("Level", "Niveau"),
    "who": ("Who", "Qui"),
    "handles": ("Handles", "Traite"),
    "at_once": ("at once", "immédiatement"),
    "after_time": ("after {0}", "après {0}"),
    "unknown_contact": ("not in the inventory", "absent de l'inventaire"),
    "inputs": ("Inputs", "Paramètres"),
    "inputs_how": ("Given with `-e name=value`, or in the inventory.",
                   "Donnés par `-e nom=valeur`, ou dans l'inventaire."),
    "inputs_more": ("{0} further inputs of the steps keep their defaults: `pyrunbook docs show {1} --all-inputs`.",
                    "{0} autres paramètres des étapes gardent leur défaut : `pyrunbook docs show {1} --all-inputs`."),
    "inputs_of": ("Of the step role `{0}`", "Du rôle `{0}`"),
    "input": ("Input", "Paramètre"),
    "type": ("Type", "Type"),
    "default": ("Default", "Défaut"),
    "meaning": ("Meaning", "Sens"),
    "required": ("required", "obligatoire"),
    "choices": ("one of {0}", "parmi {0}"),
    "list_of": ("list of {0}", "liste de {0}"),
    "here": ("here: {0}", "ici : {0}"),
    "links": ("Links", "Liens"),
    "missing": ("What is missing on this page", "Ce qui manque à cette page"),
    "nothing_yet": ("Nobody has written this yet.", "Personne ne l'a encore écrit."),
    "index": ("Runbooks", "Runbooks"),
    "by_category": ("By category", "Par catégorie"),
    "by_service": ("By service", "Par service"),
    "by_severity": ("By severity", "Par sévérité"),
    "by_owner": ("By owner", "Par responsable"),
    "by_alert": ("By alert", "Par alerte"),
    "deployment": ("Deployment", "Déploiement"),
    "incidents": ("Incidents", "Incidents"),
    "maintenance": ("Maintenance", "Maintenance"),
    "alert": ("Alert", "Alerte"),
    "about_index": ("Each page is made from the playbook that is run.",
                    "Chaque page est produite à partir du playbook exécuté."),
    "about_index_with": ("Each page is made from the playbook that is run, with the values of {0}.",
                         "Chaque page est produite à partir du playbook exécuté, avec les valeurs de {0}."),
    "other": ("Other playbooks", "Autres playbooks"),
    "no_metadata": ("Metadata: {0} is not there", "Métadonnées : {0} n'existe pas"),
    "metadata_broken": ("Metadata: {0} cannot be used", "Métadonnées : {0} est inutilisable"),
    "prompts": (
        (
            "It asks for {0} in the terminal. Without one (a schedule, a pipeline) Ansible does not ask: it "
            "goes on with the default, or with nothing"
        ),
        (
            "Il demande {0} dans le terminal. Sans terminal (planification, pipeline), Ansible ne demande "
            "rien : il continue avec la valeur par défaut, ou sans valeur"
        ),
    ),
    "pauses": (
        "It waits for somebody at: {0}. Without a terminal Ansible does not wait: it goes on as if somebody had agreed",
        (
            "Il attend quelqu'un à : {0}. Sans terminal, Ansible n'attend pas : il continue comme si quelqu'un avait "
            "accepté"
        ),
    ),
    "if_failed": ("If one of these fails, in place of the rest (`rescue`):",
                  "Si l'une de ces tâches échoue, à la place du reste (`rescue`) :"),
    "at_the_end": ("Afterwards, in any case (`always`):", "Ensuite, dans tous les cas (`always`) :"),
    "with": ("with {0}", "avec {0}"),
    "first_roles": ("These roles come first:", "Ces rôles passent d'abord :"),
    "import_ends": ("End of {0}.", "Fin de {0}."),
    "import_unread": ("{0} was not read.", "{0} n'a pas été lu."),
    "imports": ("Imports {0}", "Importe {0}"),
    "role": ("role {0}", "rôle {0}"),
    "roles": ("Roles", "Rôles"),
    "not_recovering": (
        "left out when `pyrunbook recover` brings an unfinished run to its end",
        "omise quand `pyrunbook recover` mène à son terme une exécution inachevée",
    ),
    "only_when_all": ("only when {0}", "seulement si {0}"),
    "more": ("and {0} more", "et {0} de plus"),
    "hosts": ("Hosts", "Hôtes"),
    "tags": ("Tags", "Tags"),
    "broken": ("Could not be read", "Illisibles"),
}  # fmt: skip

LANGUAGES = ("en", "fr")


def label(key: str, *values: object, language: str) -> str:
    """A word or sentence of the page, its blanks filled."""
    text = _LABELS[key][LANGUAGES.index(language)]
    return text.format(*values) if values else text
