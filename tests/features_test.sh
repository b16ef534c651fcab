#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What a session can do beyond an echo, with foreign clients: resumption by
# ticket and by session id, client certificates, ALPN, pre-shared keys,
# exporters, and the refusal of a renegotiation. The server tells its side.
#
# DTLSL_FACTS                       the server to run
# See tests/interop/common.sh for the rest.

# shellcheck source=tests/interop/common.sh
. "${srcdir:-.}/tests/interop/common.sh"

facts=${DTLSL_FACTS:-$top_builddir/tests/interop/facts}

# ---- helpers ---------------------------------------------------------------

# serve NAME OPTION...: a server for one case; false if it does not listen.
serve()
{
    local name=$1
    local options=()
    local option

    shift
    for option; do
        options+=(-o "$option")
    done
    need_server "$name" 127.0.0.1 "$facts" "${options[@]}"
}

have()
{
    command -v "$1" >/dev/null && return 0
    skip "$2"
    return 1
}

# The clients; options follow.
openssl_echo()
{
    local name=$1

    shift
    run_lines "$name" "$name" openssl s_client -dtls1_2 \
        -connect "$host:$port" "$@"
}

gnutls_echo()
{
    local name=$1

    shift
    run_lines "$name" "$name" gnutls-cli --udp --insecure --port "$port" \
        "$@" "$host"
}

ncat_echo()
{
    local name=$1

    shift
    run_lines "$name" "$name" ncat --udp --ssl "$@" "$host" "$port"
}

# prints NAME TEXT: the client that ran last has printed it.
prints()
{
    if has "$2" "$dir/client.out"; then
        ok "$1"
    else
        not_ok "$1" "the client does not say \"$2\": $(last_of \
            "$dir/client.out" 3)"
    fi
}

# tells NAME TEXT: the server does.
tells()
{
    if served "$2"; then
        ok "$1"
    else
        not_ok "$1" "the server does not say \"$2\": $(last_of \
            "$dir/server.log" 3)"
    fi
}

failed_or_ended()
{
    grep -aqE '^(failed|open)' "$dir/server.log" || gone "$server"
}

# refused NAME PATTERN COMMAND...: the handshake ends as FAILED with a text.
refused()
{
    local name=$1
    local pattern=$2

    shift 2
    start client "$@"
    until_true failed_or_ended
    if grep -aqE "^failed: .*($pattern)" "$dir/server.log" &&
        ! grep -aq '^open' "$dir/server.log"; then
        ok "$name"
    else
        not_ok "$name" "$(last_of "$dir/server.log" 3)"
    fi
    stop client
}

# finish NAME: the server stops, its counters add up.
finish()
{
    stop_server "$1"
    check_counters "$1-counters"
}

# ---- resumption ------------------------------------------------------------

# resume_openssl NAME OPTION...
resume_openssl()
{
    local name=$1

    shift
    rm -f "$dir/session"
    openssl_echo "$name-first" -sess_out "$dir/session" "$@"
    openssl_echo "$name" -sess_in "$dir/session" "$@"
    prints "$name-client" "Reused, TLSv1.2"
    tells "$name-server" "open reused"
}

# resume_gnutls NAME OPTION...: it says hello in the second session.
resume_gnutls()
{
    local name=$1

    shift
    gnutls_echo "$name" --resume "$@"
    prints "$name-client" "This is a resumed session"
    tells "$name-server" "open reused"
    expected=$((expected + 1))
}

resumption()
{
    if have openssl resume-openssl; then
        serve resume-ticket self-signed=1 &&
            resume_openssl resume-ticket &&
            finish resume-ticket
        serve resume-id self-signed=1 &&
            resume_openssl resume-id -no_ticket &&
            finish resume-id
    fi
    if have gnutls-cli resume-gnutls; then
        serve resume-gnutls-ticket self-signed=1 &&
            resume_gnutls resume-gnutls-ticket &&
            finish resume-gnutls-ticket
        serve resume-gnutls-id self-signed=1 &&
            resume_gnutls resume-gnutls-id --priority NORMAL:%NO_TICKETS &&
            finish resume-gnutls-id
    fi
}

# ---- client certificates ---------------------------------------------------

# make_certificate NAME: NAME.pem and NAME.key, signed by NAME-ca.pem.
make_certificate()
{
    local ec="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"

    # shellcheck disable=SC2086
    openssl req -x509 $ec -keyout "$dir/$1-ca.key" -out "$dir/$1-ca.pem" \
        -subj "/CN=$1 authority" -days 30 2>/dev/null &&
        openssl req $ec -keyout "$dir/$1.key" -out "$dir/$1.csr" \
            -subj "/CN=$1 client" 2>/dev/null &&
        openssl x509 -req -in "$dir/$1.csr" -CA "$dir/$1-ca.pem" \
            -CAkey "$dir/$1-ca.key" -CAcreateserial -days 30 \
            -out "$dir/$1.pem" 2>/dev/null
}

# shown NAME: the server has the client's certificate, byte for byte as long.
shown()
{
    local len

    len=$(openssl x509 -in "$dir/good.pem" -outform DER | wc -c)
    tells "$1" "certificate $((len))"
}

good_certificates()
{
    local options=(self-signed=1 "ca-file=$dir/good-ca.pem")

    if serve cert-openssl "${options[@]}"; then
        openssl_echo cert-openssl -cert "$dir/good.pem" -key "$dir/good.key"
        shown cert-openssl-shown
        finish cert-openssl
    fi
    if have gnutls-cli cert-gnutls && serve cert-gnutls "${options[@]}"; then
        gnutls_echo cert-gnutls --x509certfile "$dir/good.pem" \
            --x509keyfile "$dir/good.key"
        shown cert-gnutls-shown
        finish cert-gnutls
    fi
    if have ncat cert-ncat && serve cert-ncat "${options[@]}"; then
        ncat_echo cert-ncat --ssl-cert "$dir/good.pem" \
            --ssl-key "$dir/good.key"
        shown cert-ncat-shown
        finish cert-ncat
    fi
    # Sessions that were opened with a certificate are resumed with it.
    if serve cert-resume-ticket "${options[@]}"; then
        resume_openssl cert-resume-ticket -cert "$dir/good.pem" \
            -key "$dir/good.key"
        finish cert-resume-ticket
    fi
    if serve cert-resume-id "${options[@]}"; then
        resume_openssl cert-resume-id -no_ticket -cert "$dir/good.pem" \
            -key "$dir/good.key"
        finish cert-resume-id
    fi
}

# refuse_certificate NAME PATTERN COMMAND...: on a server of its own.
refuse_certificate()
{
    local name=$1
    local pattern=$2

    shift 2
    if serve "$name" self-signed=1 "ca-file=$dir/good-ca.pem"; then
        refused "$name" "$pattern" "$@" "$host:$port"
        finish "$name"
    fi
}

# gnutls_to OPTION... HOST:PORT: for refuse_certificate.
gnutls_to()
{
    local to=${!#}

    exec gnutls-cli --udp --insecure --port "${to##*:}" "${@:1:$#-1}" \
        "${to%:*}"
}

bad_certificates()
{
    local none="did not return a certificate"
    local foreign="certificate verify failed"

    refuse_certificate cert-none-openssl "$none" openssl s_client -dtls1_2 \
        -connect
    refuse_certificate cert-foreign-openssl "$foreign" openssl s_client \
        -dtls1_2 -cert "$dir/foreign.pem" -key "$dir/foreign.key" -connect
    have gnutls-cli cert-bad-gnutls || return
    refuse_certificate cert-none-gnutls "$none" gnutls_to
    # It shows only what an authority that was asked for has signed.
    refuse_certificate cert-foreign-gnutls "$foreign|$none" gnutls_to \
        --x509certfile "$dir/foreign.pem" --x509keyfile "$dir/foreign.key"
}

certificates()
{
    have openssl certificates || return
    if ! make_certificate good || ! make_certificate foreign; then
        not_ok certificates "openssl made none"
        return
    fi
    good_certificates
    bad_certificates
}

# ---- ALPN ------------------------------------------------------------------

alpn()
{
    local options=(self-signed=1 alpn=coap,spare)
    local no="no application protocol"

    if have openssl alpn-openssl; then
        if serve alpn-openssl "${options[@]}"; then
            openssl_echo alpn-openssl -alpn other,spare,coap
            prints alpn-openssl-client "ALPN protocol: coap"
            tells alpn-openssl-server "alpn coap"
            finish alpn-openssl
        fi
        if serve alpn-none-openssl "${options[@]}"; then
            openssl_echo alpn-none-openssl
            finish alpn-none-openssl
        fi
        if serve alpn-other-openssl "${options[@]}"; then
            refused alpn-other-openssl "$no" openssl s_client -dtls1_2 \
                -alpn other -connect "$host:$port"
            finish alpn-other-openssl
        fi
    fi
    if have gnutls-cli alpn-gnutls; then
        if serve alpn-gnutls "${options[@]}"; then
            gnutls_echo alpn-gnutls --alpn other --alpn spare
            prints alpn-gnutls-client "Application protocol: spare"
            tells alpn-gnutls-server "alpn spare"
            finish alpn-gnutls
        fi
        if serve alpn-other-gnutls "${options[@]}"; then
            refused alpn-other-gnutls "$no" gnutls-cli --udp --insecure \
                --alpn other --port "$port" "$host"
            finish alpn-other-gnutls
        fi
    fi
    if have ncat alpn-ncat && serve alpn-ncat "${options[@]}"; then
        ncat_echo alpn-ncat --ssl-alpn spare
        tells alpn-ncat-server "alpn spare"
        finish alpn-ncat
    fi
}

# ---- pre-shared keys -------------------------------------------------------

# The CoAP clients find out by themselves that the server speaks no CoAP.
psk_coap()
{
    local name=psk-coap-$1

    have "coap-client-$1" "$name" || return
    serve "$name" "psk-file=$dir/psk" || return
    start client "coap-client-$1" -v 7 -u "$identity" -k "$key" -N \
        -B "$limit" -m put -e hello "coaps://$host:$port/x"
    tells "$name" "psk-identity $identity"
    served "open new" && expected=$((expected + 1))
    stop client
    finish "$name"
}

psk()
{
    local suites="NORMAL:-KX-ALL:+PSK"

    if have openssl psk-openssl; then
        if serve psk-openssl "psk-file=$dir/psk"; then
            openssl_echo psk-openssl -psk "$hex_key" -psk_identity "$identity"
            tells psk-openssl-server "psk-identity $identity"
            finish psk-openssl
        fi
    fi
    if have gnutls-cli psk-gnutls; then
        if serve psk-gnutls "psk-file=$dir/psk"; then
            gnutls_echo psk-gnutls --pskusername "$identity" \
                --pskkey "$hex_key" --priority "$suites"
            tells psk-gnutls-server "psk-identity $identity"
            finish psk-gnutls
        fi
    fi
    psk_coap openssl
    psk_coap gnutls
}

# A wrong key gives a Finished that nobody can read; it may be forged, so
# nothing is said until the handshake's time is over. An unknown identity
# looks no different.
psk_wrong()
{
    local options=("psk-file=$dir/psk" handshake-timeout-ms=1000)
    local wrong=${hex_key//3/4}

    have openssl psk-wrong || return
    if serve psk-wrong-key "${options[@]}"; then
        refused psk-wrong-key . openssl s_client -dtls1_2 -psk "$wrong" \
            -psk_identity "$identity" -connect "$host:$port"
        finish psk-wrong-key
    fi
    if serve psk-unknown "${options[@]}"; then
        refused psk-unknown . openssl s_client -dtls1_2 -psk "$hex_key" \
            -psk_identity nobody -connect "$host:$port"
        finish psk-unknown
    fi
}

# ---- exporters -------------------------------------------------------------

exporters()
{
    local keys

    have openssl exporter || return
    serve exporter self-signed=1 || return
    openssl_echo exporter -keymatexport EXPORTER-facts -keymatexportlen 20
    keys=$(cat "$dir/client.out" "$dir/server.log" |
        sed -nE 's/^ *(Keying material:|exported|exported-by-ssl) //p')
    if [ "$(grep -cE '^[0-9A-F]{40}$' <<<"$keys")" -eq 3 ] &&
        [ "$(sort -u <<<"$keys" | wc -l)" -eq 1 ]; then
        ok exporter-equal
    else
        not_ok exporter-equal "$keys"
    fi
    finish exporter
}

# ---- renegotiation ---------------------------------------------------------

lives_or_closed()
{
    has "after it" "$dir/client.out" || has "closed: " "$dir/server.log" ||
        gone "$server"
}

# The server answers with the warning no_renegotiation. OpenSSL's client takes
# that for fatal and says so in an alert, with which the session ends; were it
# to go on, it would be echoed.
renegotiation_openssl()
{
    have openssl renegotiation-openssl || return
    serve renegotiation-openssl self-signed=1 || return
    start client openssl s_client -dtls1_2 -connect "$host:$port"
    say client "before it"
    if sees client "before it"; then
        say client R
        sees client RENEGOTIATING
        say client "after it"
        until_true lives_or_closed
    fi
    if has "after it" "$dir/client.out" ||
        grep -aq '^closed: .*alert' "$dir/server.log"; then
        ok renegotiation-openssl
    else
        not_ok renegotiation-openssl "$(last_of "$dir/server.log" 3)"
    fi
    stop client
    openssl_echo renegotiation-next
    expected=$((expected + 1))
    finish renegotiation-openssl
}

# GnuTLS' client goes on asking; the session stays open meanwhile.
renegotiation_gnutls()
{
    have gnutls-cli renegotiation-gnutls || return
    serve renegotiation-gnutls self-signed=1 || return
    start client gnutls-cli --udp --insecure --rehandshake --port "$port" \
        "$host"
    if sees client "A TLS warning alert has been received" &&
        served "open new" && ! has "closed: " "$dir/server.log"; then
        ok renegotiation-gnutls
    else
        not_ok renegotiation-gnutls "$(last_of "$dir/client.out")"
    fi
    stop client
    expected=1
    finish renegotiation-gnutls
}

# ---- runs ------------------------------------------------------------------

[ -x "$facts" ] || unable "$facts is not there: make check builds it"
make_psk_file
resumption
certificates
alpn
psk
psk_wrong
exporters
renegotiation_openssl
renegotiation_gnutls
report features
