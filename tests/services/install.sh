#!/bin/sh
# Installs what the tests' services need and this machine lacks; does nothing where nothing lacks.
#
#   Debian packages  openssh-server, git-lfs and chromium, only as root and where apt-get is
#   SeaweedFS        from requirements/services.txt into .venv-services (its own environment)
#
# UV names the uv to use. Prints one line for each thing that cannot be had. Exits 0 all the same,
# because tests without it are skipped with the reason; exits 1 where CI=true: there they fail.
set -u
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"

root=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
missing=0

lacks() {
    echo "tests/services: $1" >&2
    missing=1
}

have() {
    command -v "$1" >/dev/null 2>&1
}

# Debian starts a server on installation unless policy-rc.d says no (101). An answer that is there
# already is the administrator's and stays; then what was started after all is stopped by its id.
apt_install() {
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT INT TERM
        ours=1
    else
        ours=0
    fi
    was_running=$([ -e /run/sshd.pid ] && echo 1 || echo 0)
    log=$(mktemp)
    {
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@"
    } >"$log" 2>&1 </dev/null || tail -n 3 "$log" >&2
    rm -f "$log"
    if [ "$was_running" = 0 ] && [ -s /run/sshd.pid ]; then
        kill "$(cat /run/sshd.pid)"
    fi
    if [ "$ours" = 1 ]; then
        rm -f "$policy"
        trap - EXIT INT TERM
    fi
}

wanted=
have sshd || wanted="openssh-server"
have git-lfs || wanted="$wanted git-lfs"
have chromium || wanted="$wanted chromium"
if [ -n "$wanted" ] && have apt-get && [ "$(id -u)" = 0 ]; then
    # shellcheck disable=SC2086  # each word is a package
    apt_install $wanted
fi
have sshd || lacks "sshd is missing: install openssh-server"
have git-lfs || lacks "git-lfs is missing: install git-lfs"
have chromium || lacks "chromium is missing: install chromium"

lock=$root/requirements/services.txt
target=$root/.venv-services
uv=${UV:-}
[ -n "$uv" ] || { [ -x "$root/.venv/bin/uv" ] && uv=$root/.venv/bin/uv; } || uv=$(command -v uv)

# The copy of the lock, written last, says that the environment is whole and up to date.
if ! cmp -s "$lock" "$target/services.txt" || [ ! -x "$target/bin/weed" ]; then
    if [ -z "$uv" ]; then
        lacks "weed (SeaweedFS) is missing: install uv, or set UV, and run this again"
    else
        python=$root/.venv/bin/python
        [ -x "$python" ] || python=python3
        if "$uv" venv --quiet --clear --no-python-downloads --python "$python" "$target" &&
            "$uv" pip install --quiet --python "$target/bin/python" --require-hashes -r "$lock"
        then
            cp "$lock" "$target/services.txt"
        else
            lacks "weed (SeaweedFS) is missing: requirements/services.txt could not be installed"
        fi
    fi
fi

[ "$missing" = 0 ] || [ "${CI:-}" != true ]
