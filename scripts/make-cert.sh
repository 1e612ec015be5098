#!/bin/sh
# Makes a private CA and a certificate for a server, for TLS in a network of one's own:
#
#   make-cert.sh DIRECTORY NAME...     NAME: a host name or an address that clients connect to
#
# The CA is made once; run again, it signs a new certificate for the server. See docs/OPERATIONS.md.
set -eu

DAYS=${DAYS:-825}
CA_DAYS=${CA_DAYS:-3650}

if [ $# -lt 2 ]; then
    echo "usage: $0 DIRECTORY NAME..." >&2
    exit 2
fi
command -v openssl >/dev/null || {
    echo "$0: openssl is missing" >&2
    exit 1
}
directory=$1
shift
umask 077

names=
for name in "$@"; do
    case $name in
    *[!0-9A-Za-z.:*_-]* | '')
        echo "$0: $name is not a name" >&2
        exit 2
        ;;
    *:*) entry=IP:$name ;;
    *[!0-9.]*) entry=DNS:$name ;;
    *) entry=IP:$name ;;
    esac
    names=${names:+$names,}$entry
done

mkdir -p "$directory"
cd "$directory"
directory=$(pwd)

# What openssl says is shown when it fails, and nothing half-made is left.
said=$(mktemp)
clean() {
    rm -f "$said" ca.key.new ca.pem.new server.key.new server.pem.new server.csr server.ext
    # If nothing was made in it.
    rmdir "$directory" 2>/dev/null || true
}
trap clean EXIT
trap 'exit 1' HUP INT TERM
run() {
    if ! openssl "$@" >"$said" 2>&1; then
        cat "$said" >&2
        echo "$0: openssl $1 failed, so there is no certificate for $names" >&2
        exit 1
    fi
}

# Under other names first: a server that is told to read again never finds half of a pair. And
# before the CA: here openssl says which name is wrong. Clients look at subjectAltName alone, and a
# common name has room for 64 characters only.
run ecparam -name prime256v1 -genkey -noout -out server.key.new
run req -new -key server.key.new -subj '/CN=Plausch server' -addext "subjectAltName=$names" \
    -out server.csr

if [ ! -f ca.key ]; then
    run ecparam -name prime256v1 -genkey -noout -out ca.key.new
    # Each CA has a name of its own: of two with the same one, clients that trust the other would
    # say that the certificate is damaged.
    number=$(openssl rand -hex 4)
    run req -x509 -new -key ca.key.new -sha256 -days "$CA_DAYS" -out ca.pem.new \
        -subj "/CN=Plausch private CA $number" \
        -addext 'basicConstraints=critical,CA:TRUE,pathlen:0' \
        -addext 'keyUsage=critical,keyCertSign,cRLSign'
    chmod 644 ca.pem.new
    mv ca.pem.new ca.pem
    mv ca.key.new ca.key
    echo "made $directory/ca.pem (give it to everybody) and $directory/ca.key (to nobody)"
fi

cat >server.ext <<EOF
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
subjectAltName=$names
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid,issuer
EOF
run x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -sha256 \
    -days "$DAYS" -extfile server.ext -out server.pem.new
chmod 644 server.pem.new
mv server.key.new server.key
mv server.pem.new server.pem
echo "made $directory/server.pem and $directory/server.key for $names"
