# The image of all actions: Python, the library, node and npm, and nothing else that could be of use to anyone
# who got into it. It builds with the classic builder and with BuildKit, for amd64 and arm64.
#
# The bases are pinned by digest; Dependabot renews both together. npm comes with node's, and its version is checked.

FROM node:24.19.0-trixie-slim@sha256:ab3eebe934147fee049b5eb83c570f68c849a13c930bdfa482de99fcdfa3b3de AS node

FROM python:3.13.15-slim-trixie@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b AS library
COPY requirements/runtime.txt /tmp/runtime.txt
RUN python3 -m venv /opt/flotilla \
    && /opt/flotilla/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --only-binary :all: \
        --requirement /tmp/runtime.txt \
    # PyGithub's models and the cryptography that they import: flotilla uses its Requester alone.
    && /opt/flotilla/bin/pip uninstall --quiet --yes cffi cryptography pycparser PyJWT PyNaCl pip \
    && find /opt/flotilla/lib/python3.13/site-packages/github -type f -regextype posix-extended \
        ! -regex '.*/(__init__|Consts|GithubException|GithubObject|Requester)\..*' -delete
# npm without what publishing does not need, and its code compiled, which takes a fifth off its start.
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY --from=node /usr/local/lib/node_modules/npm /usr/local/lib/node_modules/npm
WORKDIR /tmp/warm
RUN printf '{"name":"warm","version":"1.0.0"}' > package.json \
    && rm -rf /usr/local/lib/node_modules/npm/docs /usr/local/lib/node_modules/npm/man \
        /usr/local/lib/node_modules/npm/node_modules/node-gyp \
    && find /usr/local/lib/node_modules/npm -name '*.md' ! -iname 'licen[cs]e*' -delete \
    && NODE_COMPILE_CACHE=/opt/npm-compiled node /usr/local/lib/node_modules/npm/bin/npm-cli.js publish --dry-run --offline
# The library is plain Python: copied in, it needs no build tool, whose hash would be one more to trust.
COPY lib/flotilla /opt/flotilla/lib/python3.13/site-packages/flotilla
RUN /opt/flotilla/bin/python -m compileall -q /opt/flotilla/lib/python3.13/site-packages/flotilla

FROM python:3.13.15-slim-trixie@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b
# No pip, no apt, no dpkg, no program that runs as another user. dpkg's records stay: scanners read them.
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3.13/site-packages/pip* /usr/local/lib/python3.13/ensurepip \
        /usr/bin/apt* /usr/lib/apt /usr/bin/dpkg* /usr/sbin/dpkg* /var/lib/apt /var/cache/apt \
    && find / -xdev -type f -perm /6000 -exec chmod a-s {} +
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY --from=library /usr/local/lib/node_modules/npm /usr/local/lib/node_modules/npm
COPY --from=library /opt /opt
ENV NODE_COMPILE_CACHE=/opt/npm-compiled
ARG NPM_VERSION=11.17.0
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm \
    && ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx \
    && node --version \
    && if [ "$(npm --version)" != "$NPM_VERSION" ]; then echo "npm is $(npm --version): test it, then set NPM_VERSION"; exit 1; fi \
    # Without -B once: Python's own modules come uncompiled.
    && /opt/flotilla/bin/python -I -c "import flotilla.__main__; from flotilla.github.api import requester_class as r; r()"
LABEL org.opencontainers.image.title="flotilla" \
      org.opencontainers.image.description="Releases families of npm packages that carry prebuilt native binaries" \
      org.opencontainers.image.licenses="MIT"
# The working directory is the consumer's workspace: isolated (-I), Python takes no module and no variable from there;
# it writes no bytecode (-B), and each line reaches the log at once (-u).
ENTRYPOINT ["/opt/flotilla/bin/python", "-IBu", "-m", "flotilla"]
