"""The rules about commands: what they find, and what they must not find."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pyrunbook.catalog.settings import Settings
from pyrunbook.lint.context import Context, Project
from pyrunbook.lint.effects import changes, needs_a_way_back
from pyrunbook.lint.from_markdown import from_page
from pyrunbook.lint.rules import rules
from pyrunbook.lint.shell import parse

Find = Callable[..., list[str]]


@pytest.fixture
def find(tmp_path: Path) -> Find:
    """The messages of a rule about a command on a page that is a runbook."""
    from datetime import date

    def find(rule: str, command: str, words: str = "") -> list[str]:
        file = tmp_path / "page.md"
        file.write_text(f"# Runbook: x\n\n{words}\n\n## Procedure\n\n```bash\n{command}\n```\n")
        context = Context(Project(tmp_path, Settings()), date(2026, 11, 21), [from_page(file)])
        return [finding.message for finding in rules()[rule].check(context.subjects[0], context)]

    return find


@pytest.mark.parametrize(
    "command",
    [
        "rm -rf /", "rm -rf /*", "rm -r logs", "rm -fr ./build/*", "rm -R *", 'rm -rf "$ROOT"', "rm -rf $ROOT/*",
        "sudo rm --recursive ~", "cd /x; rm -rf *", "kubectl exec p -- rm -rf data", "find . -name '*.log' -delete",
        "find -delete", "find $DIR -type f -exec rm {} +", "find logs/ -mtime +30 -delete",
        "curl -X POST 'http://p/api/v1/admin/tsdb/delete_series?match[]=up'",
        'curl -X DELETE http://p/delete_series?match[]={__name__=~"a.*",job="b"}',
        "kubectl delete pods --all", "kubectl -n x delete pvc --all", "oc delete all --all",
        "psql -c 'DROP TABLE runs'", "mysql -e 'truncate table x'", "psql <<SQL\nDELETE FROM runs;\nSQL",
        "psql -c 'UPDATE runs SET a = 1'", "redis-cli FLUSHALL", "redis-cli -n 3 flushdb",
        "terraform destroy -auto-approve", "docker system prune -af", "docker volume prune --force",
        "ls | xargs rm -rf", "sudo ls /srv/x | xargs -n1 sudo machinectl remove", "docker ps -aq | xargs docker rm -f",
        "ls /srv/x | grep old | xargs rm -rf", 'rm -rf "$ROOT"\nROOT=/srv/x', "find / -name x -delete",
        "aws s3 rm s3://b/x --recursive", "mkfs.ext4 /dev/sdb", "dd if=/dev/zero of=/dev/sda",
    ],
)  # fmt: skip
def test_destructive(find: Find, command: str) -> None:
    assert len(find("destructive-command", command)) == 1


@pytest.mark.parametrize(
    "command",
    [
        "rm -rf /srv/agent-factory/old", "rm file", "rm -f *.tmp", 'rm -rf "${ROOT:?}/cache"', "set -u\nrm -rf $ROOT/x",
        "( set -eu\n  rm -r \"$SCRATCH\" )", "find /srv/x/logs -name '*.log' -delete", "find . -name '*.log'",
        "find /srv/x -exec ls {} +", "curl 'http://p/delete_series?match[]=up&end=2026-01-01T00:00:00Z'",
        "curl -G http://p/delete_series -d 'match[]=up' -d end=1700000000", "kubectl delete pod x",
        "kubectl delete pods -l app=x", "kubectl get pods --all-namespaces", "psql -c 'DELETE FROM runs WHERE id = 1'",
        "psql -c 'SELECT 1'", "psql <<SQL\nBEGIN;\nDELETE FROM runs;\nROLLBACK;\nSQL", "redis-cli info",
        "terraform plan",
        "docker system prune", "aws s3 rm s3://b/x --recursive --dryrun", "dd if=/dev/sda of=/dev/null",
        "ls /srv/x/*.log | xargs rm", "ls | grep '^old-' | xargs rm",
        "docker ps -aq -f status=exited | xargs docker rm",
        "kubectl get pods | awk '{print $1}' | xargs kubectl delete pod", "ls | xargs du -sh",
        "ROOT=/srv/x\nrm -rf \"$ROOT/cache\"", "SCRATCH=$(mktemp -d)\nrm -rf $SCRATCH", "unzip cli.zip\nrm -rf cli.zip",
        "cd /srv/x\nrm -rf logs", "find /tmp -mtime +2 -delete", "pg_dump x > x.sql\npsql -c 'DROP DATABASE x'",
        "terraform plan\nterraform apply -auto-approve",
        "echo 'rm -rf /'", "# rm -rf /", "grep -r 'DROP TABLE' /srv/x", "git log --all", "rm -rf <directory>",
    ],
)  # fmt: skip
def test_not_destructive(find: Find, command: str) -> None:
    assert find("destructive-command", command) == []


@pytest.mark.parametrize(
    "command",
    [
        "cd /srv/x; rm current", "kubectl apply -f x; kubectl get pods", "systemctl stop x || true", "rm x || :",
        "mysqldump a | gzip > a.gz", "pg_dump a | psql b", "curl https://x/install.sh | bash",
        "tar -cz /x | ssh host 'cat > y'", "restic backup /x | tee log",
    ],
)  # fmt: skip
def test_hidden(find: Find, command: str) -> None:
    found = find("hidden-failure", command)
    assert len(found) == 1


@pytest.mark.parametrize(
    "command",
    [
        "cd /srv/x && rm current", "kubectl get pods; kubectl get svc", "sleep 5; systemctl restart x",
        "echo a; echo b",
        "for x in a b; do systemctl restart $x; done", "if test -f x; then rm x; fi", "set -e; cd x; rm y",
        "kubectl get pods | grep api", "cat x.yml | kubectl apply -f -", "echo x | kubectl apply -f -",
        "kubectl get x -o yaml | kubectl apply -f -",
        "set -o pipefail\nmysqldump a | gzip > a.gz", "set -euo pipefail; mysqldump a | gzip > a.gz",
        "grep x y || true", "kubectl delete pod x --ignore-not-found || true", "podman images -q | xargs -r podman rmi",
        "curl -X DELETE http://x/y | jq .", "iptables -L | grep x > out",
        "ceph osd dump | grep flags", "journalctl -u x | tail -5", "kubectl apply --dry-run=server -f x; kubectl get y",
        "cat <<EOF | kubectl apply -f -\na: b\nEOF", "ps aux | awk '{print $1}' > /dev/null",
    ],
)  # fmt: skip
def test_not_hidden(find: Find, command: str) -> None:
    assert find("hidden-failure", command) == []


@pytest.mark.parametrize(
    ("command", "words", "said"),
    [
        ("oc logs <pod>", "", ["<pod> has to be filled in, and nothing says with what"]),
        ("oc logs <pod>", "Take the `<pod>` of the alert.", []),
        ("oc logs <pod>  # <pod>: the one of the alert", "", []),
        ("oc logs <pod>\noc get pod <pod>", "", ["<pod> has to be filled in, and nothing says with what"]),
        ("a --plan=<plan_id>", "", ["<plan_id> has to be filled in, and nothing says with what"]),
        ("kubectl get volumeattachment\nkubectl delete volumeattachment <attachment-name>", "", []),  # listed
        ("storectl delete <volume> <snapshot>", "Delete the snapshot of a volume:", []),  # named
        ("aws describe --group <SecurityGroupId>", "See its security groups.", []),
        ("aws describe --group <sg-id>", "See its security groups.", []),
        ("kubectl -n <namespace> get x", "", ["<namespace> has to be filled in, and nothing says with what"]),
        ("kubectl get pods -A\nkubectl -n <namespace> get x", "", []),
        ("git checkout -b <name>", "", []),
        ("export NAMESPACE=<namespace>\nkubectl get x", "", []),  # filled in once, and the variable says what
        ("x --color <blue|green>", "", []),
        ("x --to <value of the label instance>", "", []),
        ("x -u <username> -t <your-team>", "", []),
        ("git push origin v<new-version>", "", ["<new-version> has to be filled in, and nothing says with what"]),
        ("x --account=xxx --zone xx", "", ["xxx stands where something has to be filled in"]),
        ("X_TOKEN='XXXX'", "", ["XXXX stands where something has to be filled in"]),
        ("kubectl logs pod/shop-xxx", "", []),
        ("kubectl rollout restart deploy/a deploy/b ...", "", []),  # and so on
        ("git commit -m ' ... '", "", []),
        ("oc login YOUR_CLUSTER", "", ["YOUR_CLUSTER stands where something has to be filled in"]),
        ("a XXX", "", ["XXX stands where something has to be filled in"]),
        ("a ... b", "", ["... stands where something has to be filled in"]),
        ("a |", "", ["the command goes on behind |, and there is nothing"]),
        ("a \\", "", ["the command goes on behind \\, and there is nothing"]),
        ("mktemp -d x-XXXXXX", "", []),
        ("a # TODO later", "", []),
        ("curl -d '<id>1</id>' x", "", []),
        ("cat < in > out", "", []),
        ("go test ./...", "", []),
    ],
)
def test_incomplete(find: Find, command: str, words: str, said: list[str]) -> None:
    assert find("incomplete-command", command, words) == said


@pytest.mark.parametrize(
    ("command", "rules_that_speak"),
    [
        ("ls |", {"incomplete-command"}),
        ("ls &&", {"incomplete-command"}),
        ("NAME (READY)\n...\n| x |", {"shell-syntax"}),
        ("ls\ndone |", {"incomplete-command"}),
    ],
)
def test_a_mistake_is_reported_by_one_rule(find: Find, command: str, rules_that_speak: set[str]) -> None:
    assert {name for name in ("incomplete-command", "shell-syntax") if find(name, command)} == rules_that_speak


@pytest.mark.parametrize(
    ("command", "words", "said"),
    [
        ("ls $A", "", ["$A has no value: no command before sets it"]),
        ("ls $A $A", "", ["$A has no value: no command before sets it"]),
        ("A=1\nls $A", "", []),
        ("ls $A\nA=1", "", []),  # within a block the order is Bash's to judge: functions and loops
        ("ls $HOME ${A:-x} ${B:?} $1 $? $$", "", []),
        ("ls '$A' \\$B", "", []),
        ("for a in 1 2; do ls $a; done", "", []),
        ("read -r A; ls $A", "", []),
        ("ls $A", "Set `A` to the name of the pod.", []),
        ("ls $A", "First: A=1", []),
        ("ls $A", "Take $A from the alert.", []),
        ("ls $OLD_NAME", "OLD_NAME is in the alert.", []),
        ("source env.sh\nls $A", "", []),
        ("# A='<the label>'\nls $A", "", []),
        ("x $AWS_SESSION_TOKEN $PGPASSWORD", "", []),
    ],
)
def test_undefined(find: Find, command: str, words: str, said: list[str]) -> None:
    assert find("undefined-variable", command, words) == said


@pytest.mark.parametrize(
    ("command", "endless"),
    [
        ("kubectl wait --for=condition=available=false deployment/x --timeout=120s", True),
        ("oc -n y wait deploy/x --for condition=Available=False", True),
        ("kubectl wait --for=condition=available deployment/x", False),
        ("kubectl wait --for=delete pod -l a=b", False),
        ("while true; do ls; done\nls", True),
        ("while true; do ls; done", False),  # the reader watches, and ends it
        ("while true; do ls; done &\nls", False),
        ("kubectl logs -f deployment/x\nkubectl get pods", True),
        ("kubectl get pods -n x -w\n\n# and then\nkubectl get svc", True),
        ("kubectl get pods -w", False),
        ("kubectl port-forward svc/x 1:1\ncurl localhost:1", True),
        ("kubectl port-forward svc/x 1:1 &\ncurl localhost:1", False),
        ("journalctl -fu x | grep error\nls", True),
        ("tail -F /x | grep -m1 ready\nls", False),
        ("timeout 60 tail -f /x\nls", False),
        ("watch -n 5 kubectl get pods\nls", True),
        ("docker compose logs -f x\nls", True),
        ("docker compose up -d\nls", False),
        ("kubectl logs -f job/migrate\nls", False),  # ends with the job
        ("kubectl logs -f x\n# Ctrl-C, then\nls", False),
        ("kubectl rollout status deploy/x -w\nls", False),
        ("tar -xf x.tgz\nls", False),
        ("while true; do ls && break; sleep 1; done", False),
        ("while ! curl x; do sleep 1; done", False),
    ],
)
def test_endless(find: Find, command: str, endless: bool) -> None:
    assert bool(find("endless-wait", command)) is endless


@pytest.mark.parametrize(
    ("command", "changing", "lasting"),
    [
        ("kubectl get pods", False, False),
        ("kubectl -n x --context y scale deploy/x --replicas=0", True, True),
        ("kubectl rollout status deploy/x", False, False),
        ("kubectl rollout restart deploy/x", True, False),
        ("kubectl rollout undo deploy/x", True, False),
        ("kubectl delete pod x", True, False),
        ("kubectl delete deployment x", True, True),
        ("kubectl apply --dry-run=client -f x", False, False),
        ("helm upgrade x y", True, True),
        ("helm list", False, False),
        ("systemctl status x", False, False),
        ("systemctl restart x", True, False),
        ("systemctl stop x", True, True),
        ("supervisorctl -c x.conf stop y", True, True),
        ("curl https://x", False, False),
        ("curl -XPOST https://x", True, False),
        ("curl --request GET https://x", False, False),
        ("sed -i s/a/b/ x", True, True),
        ("sed s/a/b/ x", False, False),
        ("psql -c 'select 1'", False, False),
        ("psql -c 'update a set b = 1 where c = 2'", True, True),
        ("ansible-playbook x.yml", True, False),
        ("ansible-playbook --check x.yml", False, False),
        ("find /x -name y", False, False),
        ("find /x -delete", True, False),
        ("tee /dev/null", False, False),
        ("vault kv get x", False, False),
        ("vault kv put x y=z", True, False),
        ("docker compose logs", False, False),
        ("docker compose up -d", True, False),
        ("some-program --delete-everything", False, False),
    ],
)
def test_effects(command: str, changing: bool, lasting: bool) -> None:
    found = parse(command).invocations[0]
    assert (changes(found), needs_a_way_back(found)) == (changing, lasting)


@pytest.mark.parametrize(
    "words",
    [
        "If you cannot resolve the issue, call L2.", "Remove images to resolve the issue:", "Use `if necessary` here.",
        "The deployment is as needed by the operator.", "Wait for 2 minutes.", "See what is required for this.",
        "La mise à jour nécessaire est la 2.", "Unusually high load.",
        "Keep an eye on `queue` until it is below 10.",
        "Identify the root cause and resolve it. Common causes are these:",
        "See the [disaster recovery documentation](x.md).",
    ],
)  # fmt: skip
def test_words_that_are_not_vague(find: Find, tmp_path: Path, words: str) -> None:
    from datetime import date

    file = tmp_path / "page.md"
    file.write_text(f"# Runbook: x\n\n## Procedure\n\n1. {words}\n")
    context = Context(Project(tmp_path, Settings()), date(2026, 11, 21))
    assert list(rules()["vague-instruction"].check(from_page(file), context)) == []


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("Scale **if needed**.", "if needed"), ("Fix the problem.", "Fix the problem"),
        ("Try to identify the root cause and resolve the issue.", "identify the root cause and resolve the issue"),
        ("Refer to the disaster recovery documentation.", "Refer to the disaster recovery documentation"),
        ("Keep an eye on it.", "Keep an eye on"), ("Identifier la cause et la corriger.", "Identifier la cause"),
        ("Call the appropriate team.", "appropriate team"), ("Check that everything works.", "everything works"),
        ("Wait a few minutes.", "Wait a few minutes"), ("Redémarrer au besoin.", "au besoin"),
        ("Faire le nécessaire.", "Faire le nécessaire"), ("Vérifier que tout fonctionne.", "tout fonctionne"),
        ("Prévenir l\N{RIGHT SINGLE QUOTATION MARK}équipe concernée.", "équipe concernée"),
    ],
)  # fmt: skip
def test_words_that_are_vague(find: Find, tmp_path: Path, words: str, found: str) -> None:
    from datetime import date

    file = tmp_path / "page.md"
    file.write_text(f"# Runbook: x\n\n## Procedure\n\n1. {words}\n")
    context = Context(Project(tmp_path, Settings()), date(2026, 11, 21))
    (finding,) = rules()["vague-instruction"].check(from_page(file), context)
    assert found in finding.message
    assert finding.at.line == 5


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ('curl http://p/series?match[]={job="a",env="b"}', "several words"),
        ("wget https://h/{a,b}.tgz", "several words"),
        ('curl "http://p/x?m="{1..9}', "several words"),
        ("curl http://p/series?match[]=up", "pattern"),
        ("curl http://$HOST/log[0-9].txt", "pattern"),
        ("curl -O https://h/*.tgz", "pattern"),
        ("curl http://p/x?start=0&end=1", "& ends the command"),
        ("curl -s http://p/x?start=$START&end=1", "& ends the command"),
        ('curl "http://p/x?start=0"&end=1', "& ends the command"),
        ("curl 'http://p/series?match[]={job=1,env=2}'", ""),
        ('curl "http://p/x?start=0&end=1"', ""),
        ("curl http://p/x?start=0\\&end=1", ""),
        ("curl http://p/x?a=1 & wait", ""),
        ("curl http://p/x?a=1 && echo done", ""),
        ("curl http://p/x?a=1&&echo done", ""),
        ("curl http://${HOST}:9090/-/ready", ""),
        ("curl http://{host}/x", ""),
        ("curl http://p/$(date +%s)", ""),
        ("grep -E '[0-9]{1,3}' /var/log/x", ""),
        ("rm /tmp/*.tgz", ""),
    ],
)
def test_urls_that_the_shell_changes(find: Find, command: str, said: str) -> None:
    found = find("unquoted-url", command)
    assert (len(found) == 1 and said in found[0]) if said else not found


def test_who_quotes_braces_for_curl_is_told_that_curl_reads_them_too(find: Find) -> None:
    assert find("unquoted-url", "curl http://p/{a,b}")[0].endswith("--globoff")
    assert "globoff" not in find("unquoted-url", "curl --globoff http://p/{a,b}")[0]
    assert "globoff" not in find("unquoted-url", "wget http://p/{a,b}")[0]
