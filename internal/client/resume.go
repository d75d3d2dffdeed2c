package client

import (
	"strings"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

// resumable makes an event id fit for a Last-Event-ID header (rule 15.4). A
// byte outside printable ASCII there would crash the request in the app; the
// second result is then false and the reader has to start afresh.
func resumable(id string) (string, bool) {
	odd := strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r > '~' })
	return pubsub.CleanID(id), !odd
}
