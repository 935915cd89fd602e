"""Dependency audit: known vulnerabilities of the installed packages; says in one line where it was skipped."""

import json
import subprocess
import sys
import urllib.request

# A release with known vulnerabilities: an index that does not list them is not one of advisories.
KNOWN = "https://pypi.org/pypi/Jinja2/3.1.0/json"
SECONDS_TO_ANSWER, SECONDS_IN_ALL = 4, 240


def main() -> int:
    """Return 1 if a package has a known vulnerability, else 0."""
    try:
        with urllib.request.urlopen(KNOWN, timeout=SECONDS_TO_ANSWER) as answer:
            if not json.load(answer)["vulnerabilities"]:
                return _skipped("pypi.org lists no advisories here")
    except (OSError, ValueError, KeyError, TypeError) as problem:
        return _skipped(f"the advisories of pypi.org cannot be reached: {problem}")
    words = [
        sys.executable,
        "-m",
        "pip_audit",
        "--skip-editable",
        "--progress-spinner=off",
        "--format=json",
        "--desc=off",
    ]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS_IN_ALL, check=False)
        packages = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError) as problem:
        return _skipped(f"pip-audit found no answer: {type(problem).__name__}; pip install pip-audit if it is missing")
    found = [(each["name"], each["version"], each["vulns"]) for each in packages if each.get("vulns")]
    for name, version, problems in found:
        for each in problems:
            fixed = ", ".join(each["fix_versions"]) or "no release"
            sys.stdout.write(f"audit: {name} {version} has {each['id']}, fixed in {fixed}.\n")
    if not found:
        sys.stdout.write(
            f"audit: {sum('vulns' in each for each in packages)} packages without a known vulnerability.\n"
        )
    return int(bool(found))


def _skipped(why: str) -> int:
    sys.stdout.write(f"audit: skipped, {why}.\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
