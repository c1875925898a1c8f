"""Builds the page of web/ into a folder of its own, and tries it in Chromium: web/test/page_test.mjs.

usage: web_test.py VEILNET

Ends with 77, which CTest counts as skipped, where Node, the packages of web/ or Chromium are missing.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
WEB = ROOT / "web"


def skip(reason):
    print(f"web_test: skipped: {reason}")
    sys.exit(77)


def main():
    veilnet = pathlib.Path(sys.argv[1]).resolve()
    if not shutil.which("node"):
        skip("there is no node")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if [int(n) for n in re.findall(r"\d+", version)[:2]] < [20, 19]:
        skip(f"node is {version}; 20.19 or newer is needed")
    if not (WEB / "node_modules").is_dir():
        skip("there is no web/node_modules: cd web && npm ci")
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not chromium:
        skip("there is no chromium (a Debian package; CHROMIUM names another program)")
    with tempfile.TemporaryDirectory() as folder:
        page = pathlib.Path(folder, "page")
        subprocess.run(["npm", "run", "build", "--", "--outDir", page, "--emptyOutDir"], cwd=WEB, check=True)
        subprocess.run([sys.executable, ROOT / "scripts/web_models.py", "--veilnet", veilnet, "--output", page / "models"],
                       check=True)
        sys.exit(subprocess.run(["node", "test/page_test.mjs", veilnet, page, chromium], cwd=WEB).returncode)


if __name__ == "__main__":
    main()
