#!/bin/sh
# Says in one line what this machine lacks. usage: check-machine.sh PYTHON
python=$1
lacks() {
    echo "flotilla: $1 is missing; on Debian or Ubuntu: apt-get install $2" >&2
    exit 1
}
command -v "$python" >/dev/null || lacks "Python ($python)" "python3 python3-venv"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
    || { echo "flotilla: Python 3.11 or newer is needed; make PYTHON=python3.13 names another one" >&2; exit 1; }
"$python" -c 'import venv, ensurepip' 2>/dev/null || lacks "Python's venv" python3-venv
command -v git >/dev/null || lacks git git
command -v cc >/dev/null || lacks "a C compiler (cc)" gcc
