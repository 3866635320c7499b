#!/bin/sh
# The wheel in a clean environment, in an empty folder: segment a photo, serve the page. Usage: wheel.sh PYTHON DIST
set -eu
python=$1
wheel=$(ls "$PWD/$2"/*.whl)
photo=$PWD/repvit_sam/example_photos/coffee.jpg
place=$(mktemp -d)
server=
clean_up() {
  if [ -n "$server" ]; then
    kill "$server" 2>/dev/null || :
    wait "$server" 2>/dev/null || :
  fi
  rm -rf "$place"
}
trap clean_up EXIT
trap 'exit 130' INT TERM
cd "$place"

"$python" -m venv clean
clean/bin/python -m pip install --disable-pip-version-check --quiet "${wheel}[app]"
clean/bin/repvit-sam segment "$photo" --box 170,12,425,282 --out result
test -s result/mask.png && test -s result/cutout.png && test -s result/overlay.png && test -s result/masks.json

port=$(clean/bin/python -c 'from repvit_sam.app.main import free_port; print(free_port("127.0.0.1", 7950))')
clean/bin/repvit-sam demo --port "$port" >demo.log 2>&1 &
server=$!
for _ in $(seq 60); do
  if clean/bin/python -c "import urllib.request
for file in 'main.js', 'document/prompts.js', 'styles/page.css':
    urllib.request.urlopen(f'http://127.0.0.1:$port/repvit-sam/{file}').read()" 2>/dev/null; then
    echo "the wheel works: segment and demo, in $(clean/bin/python -c 'import repvit_sam; print(repvit_sam.__file__)')"
    exit 0
  fi
  kill -0 "$server" 2>/dev/null || break
  sleep 1
done
cat demo.log
exit 1
