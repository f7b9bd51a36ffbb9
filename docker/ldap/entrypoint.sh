#!/bin/sh
# The first start makes a CA, a certificate and passwords, and fills the directory; later ones only serve it.
set -eu
umask 077

state=/var/lib/ldap
shared=/shared
gateway=10001 # the uid of the gateway's image
host=${LDAP_HOST:-ldap}

make_tls() {
    mkdir -p "$state/tls"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 3650 \
        -subj "/CN=Doorward sample CA" -keyout "$state/tls/ca.key" -out "$state/tls/ca.crt"
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc \
        -subj "/CN=$host" -keyout "$state/tls/server.key" -out "$state/tls/server.csr"
    printf 'basicConstraints = CA:FALSE\nextendedKeyUsage = serverAuth\nsubjectAltName = DNS:%s\n' "$host" >"$state/tls/extensions"
    openssl x509 -req -days 3650 -in "$state/tls/server.csr" -extfile "$state/tls/extensions" \
        -CA "$state/tls/ca.crt" -CAkey "$state/tls/ca.key" -CAcreateserial -out "$state/tls/server.crt"
    # Nothing else is ever signed by it.
    rm "$state/tls/ca.key" "$state/tls/server.csr" "$state/tls/extensions"
}

# No line break at the end: slappasswd and ldapwhoami take every byte of the file for the password.
make_password() {
    openssl rand -hex 12 | tr -d '\n' >"$1"
}

fill() {
    reader=$(slappasswd -T "$state/reader-password")
    people=$(slappasswd -T "$state/people-password")
    {
        awk -v hash="$people" '{ print } $0 == "objectClass: inetOrgPerson" { print "userPassword: " hash }' /etc/sample/people.ldif
        printf '\ndn: cn=reader,dc=example,dc=org\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\n'
        printf 'cn: reader\nuserPassword: %s\n' "$reader"
    } | slapadd -q -f /etc/sample/slapd.conf
}

if [ ! -e "$state/filled" ]; then
    # What an interrupted first start left behind.
    rm -rf "$state/db" "$state/tls"
    mkdir -p "$state/db"
    make_tls
    make_password "$state/reader-password"
    make_password "$state/people-password"
    fill
    touch "$state/filled"
fi

chmod 0755 "$shared"
install -m 0444 "$state/tls/ca.crt" "$shared/ca.crt"
install -m 0400 -o "$gateway" -g "$gateway" "$state/reader-password" "$shared/reader-password"
install -m 0400 "$state/people-password" "$shared/people-password"

mkdir -p /run/slapd
chown -R openldap:openldap "$state" /run/slapd
echo "The sample people's password is in $shared/people-password."
exec slapd -d 0 -u openldap -g openldap -f /etc/sample/slapd.conf -h "ldap:/// ldapi:///"
