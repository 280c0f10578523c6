# The backend with its migrations. Without access to these images: scripts/make-base-images.sh makes
# others, and says which arguments name them.
ARG BUILD_IMAGE=rust:1.95-bookworm
ARG RUNTIME_IMAGE=debian:bookworm-slim

FROM ${BUILD_IMAGE} AS build
WORKDIR /build
# The dependencies in a layer of their own, which stays as long as Cargo.lock does.
COPY Cargo.toml Cargo.lock ./
COPY crates/connection/Cargo.toml crates/connection/
COPY crates/migration/Cargo.toml crates/migration/
COPY crates/migration-cli/Cargo.toml crates/migration-cli/
COPY crates/scratch/Cargo.toml crates/scratch/
COPY xtask/Cargo.toml xtask/
COPY backend/Cargo.toml backend/
COPY tests/Cargo.toml tests/
RUN for library in crates/connection crates/migration crates/migration-cli crates/scratch backend tests; do \
        mkdir -p "$library/src" && : >"$library/src/lib.rs"; \
    done \
    && for program in xtask backend; do \
        mkdir -p "$program/src" && echo 'fn main() {}' >"$program/src/main.rs"; \
    done \
    && cargo build --release --locked --package xtask --package backend
COPY crates crates
COPY xtask xtask
COPY backend backend
# Cargo goes by the time of a file, and ours may be older than the empty ones above.
# The backend tells the commit it was built from.
ARG GIT_COMMIT
RUN if [ -z "$GIT_COMMIT" ]; then unset GIT_COMMIT; fi \
    && touch crates/*/src/*.rs xtask/src/*.rs backend/src/*.rs \
    && cargo build --release --locked --package xtask --package backend

FROM ${RUNTIME_IMAGE}
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin daydream
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /build/target/release/xtask /build/target/release/backend /usr/local/bin/
COPY scripts/start-with-migration.sh /usr/local/bin/
COPY sql /app/sql
WORKDIR /app
# The commit goes into the journal of migrations.
ARG GIT_COMMIT
ENV GIT_COMMIT=${GIT_COMMIT} XTASK_SQL=/app/sql BIND_ADDRESS=0.0.0.0:3001
USER daydream
EXPOSE 3001
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["backend", "--health-check"]
ENTRYPOINT ["start-with-migration.sh"]
