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
mkdir -p "$directory"
cd "$directory"

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

if [ ! -f ca.key ]; then
    openssl ecparam -name prime256v1 -genkey -noout -out ca.key
    openssl req -x509 -new -key ca.key -sha256 -days "$CA_DAYS" -out ca.pem \
        -subj '/CN=Plausch private CA' \
        -addext 'basicConstraints=critical,CA:TRUE,pathlen:0' \
        -addext 'keyUsage=critical,keyCertSign,cRLSign'
    echo "made $directory/ca.pem (give it to everybody) and $directory/ca.key (to nobody)"
fi

# Under other names first: a server that is told to read again never finds half of a pair.
openssl ecparam -name prime256v1 -genkey -noout -out server.key.new
openssl req -new -key server.key.new -subj "/CN=$1" -out server.csr
cat >server.ext <<EOF
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
subjectAltName=$names
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid,issuer
EOF
openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -sha256 \
    -days "$DAYS" -extfile server.ext -out server.pem.new 2>/dev/null
rm -f server.csr server.ext
mv server.key.new server.key
mv server.pem.new server.pem
chmod 644 ca.pem server.pem
echo "made $directory/server.pem and $directory/server.key for $names"
