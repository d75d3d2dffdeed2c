# Made by goreleaser, which puts the binary of each platform in a directory named for it.
# The first stage lends its certificates only; it runs on the builder's own platform.
FROM --platform=$BUILDPLATFORM alpine:3.22 AS certificates

FROM scratch
ARG TARGETPLATFORM
COPY --from=certificates /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY $TARGETPLATFORM/pubsubctl /usr/bin/pubsubctl
# No user database in an empty image: a number is all there is.
USER 65532:65532
EXPOSE 7999 5561
ENTRYPOINT ["/usr/bin/pubsubctl"]
