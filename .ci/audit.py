"""Look for known holes in the installed packages: ``make audit``. Needs PyPI's or OSV's service of advisories.

pip-audit calls packages that its service does not answer for "skipped", and succeeds; here that is no success.
"""

from __future__ import annotations

import json
import subprocess
import sys


def main() -> int:
    """0: none known; 1: holes, listed; 2: nobody could be asked."""
    words = [sys.executable, "-m", "pip_audit", "--format", "json", "--skip-editable", "--progress-spinner", "off"]
    for service in ("osv", "pypi"):
        found = subprocess.run(
            [*words, "--vulnerability-service", service], capture_output=True, text=True, check=False
        )
        packages = json.loads(found.stdout)["dependencies"] if found.stdout.startswith("{") else []
        asked = [package for package in packages if "skip_reason" not in package]
        if asked:
            break
    else:
        print("the services of advisories cannot be reached from here; run make audit where OSV or PyPI can be asked")
        return 2
    holes = [(package, hole) for package in asked for hole in package["vulns"]]
    for package, hole in holes:
        mended = ", ".join(hole["fix_versions"]) or "no version yet"
        print(f"{package['name']} {package['version']}: {hole['id']}, mended in {mended}")
    print(f"{len(asked)} of {len(packages)} packages were looked up by {service}: {len(holes)} known holes")
    return int(bool(holes))


if __name__ == "__main__":
    sys.exit(main())
