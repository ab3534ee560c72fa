#!/bin/sh
# Made the files beside it, once. faketime, so that they are valid on a machine with a slow clock.
set -eu
openssl() { faketime 2020-01-01 /usr/bin/openssl "$@"; }
openssl ecparam -name prime256v1 -genkey -noout -out root.pem
openssl req -new -x509 -key root.pem -days 36500 -subj "/C=XX/O=Bench/CN=Bench Attestation Root" \
    -addext basicConstraints=critical,CA:TRUE -outform DER -out attestation-root.der
# WebAuthn §8.2.1 wants this subject and these extensions.
openssl ecparam -name prime256v1 -genkey -noout -out batch.pem
openssl req -new -key batch.pem -out batch.csr \
    -subj "/C=XX/O=Bench/OU=Authenticator Attestation/CN=Bench Key Batch 1"
echo 'basicConstraints=critical,CA:FALSE' > batch.ext
openssl x509 -req -in batch.csr -CA attestation-root.der -CAkey root.pem -set_serial 1 \
    -days 36500 -extfile batch.ext -outform DER -out attestation.der
# The key as its 32 bytes. It is no secret: nothing but tests trusts it.
openssl ec -in batch.pem -outform DER | dd bs=1 skip=7 count=32 of=attestation.key
rm root.pem batch.pem batch.csr batch.ext
