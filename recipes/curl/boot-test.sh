#!/bin/sh
set -eu

# A server of this machine's own, by HTTP; by HTTPS with a certificate that no authority signed.
cd "$(mktemp -d)"
echo "hello from the machine" >page
httpd -p 127.0.0.1:8081 -h .
[ "$(curl -sf http://127.0.0.1:8081/page)" = "hello from the machine" ]
[ "$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8081/absent)" = 404 ]
[ -s /usr/local/etc/ssl/certs/ca-certificates.crt ]
