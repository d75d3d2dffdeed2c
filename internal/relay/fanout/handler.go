package fanout

import (
	"context"
	"io"
	"net/http"

	"github.com/pubsubctl/pubsubctl/internal/grip"
)

// Handler answers what arrives on a connection, the way a GRIP origin does.
// The built-in app and any proxied origin are Handlers.
type Handler interface {
	// Request answers an HTTP request, or the follow-up of a held one. It may be
	// called from any goroutine and may block; ctx ends when the client is gone
	// or, for a follow-up, when the engine stops. An error stands for an origin
	// that could not be asked at all.
	Request(ctx context.Context, r *Request) (*Response, error)
}

// Request is one HTTP request as a Handler sees it. The Handler must not change
// or keep it, Header and Body included, after it has answered.
type Request struct {
	// Method, Path and RawQuery are as the client sent them: Path is not
	// decoded, RawQuery has no question mark.
	Method, Path, RawQuery string
	// Host is the authority the client asked for, Secure tells that it came over
	// TLS. A follow-up has those of the request that is held.
	Host   string
	Secure bool
	// Header holds the client's header with canonical names. It is nil for a
	// follow-up: the engine asks with its own rights, not the client's.
	Header http.Header
	// Body is the request body, never nil. ContentLength is its size, -1 if unknown.
	Body          io.Reader
	ContentLength int64
	// Remote is the client's address, Conn the number its log lines carry.
	Remote string
	Conn   uint64
	// FollowUp is set when the engine asks by itself: with GET for the next link
	// of a held stream, with POST for the gone link of one that has ended. Path is
	// then the link as the Handler gave it, which may be an absolute URI, without
	// its query.
	FollowUp bool
	// Last has an entry for each channel of the held connection that has a
	// prev-id. It is set for next links, and when the request of a long-poll is
	// asked once more.
	Last []grip.Last
}

// Response is a Handler's answer. The engine only reads Header, so Handlers may
// share one among answers.
type Response struct {
	// Status is the HTTP status; 0 stands for 200. Reason is its phrase, empty for
	// the usual one; net/http has no way to send another, so the connection of such
	// an answer closes behind it, and HTTP/2 goes without.
	Status int
	Reason string
	Header http.Header
	// Body is the whole body, or its beginning when Stream is set.
	Body []byte
	// Stream, if not nil, continues the body; the engine closes it.
	Stream io.ReadCloser
	// Instruct, if not nil, tells the engine what to do with the connection. Its
	// links must be ones that the Handler can be asked for: paths, or absolute
	// URIs. Status, Reason and Expose are the Handler's to follow, not the engine's.
	Instruct *grip.Instruct
	// Prefix is what the names of the channels begin with although the origin does
	// not know: filters name channels without it.
	Prefix string
}
